"""Revisions that end the transaction in which they run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.util import CommandError
from sqlalchemy import Connection, event

from ..apps import App


@contextmanager
def guard(migration: MigrationContext, _: App) -> Iterator[None]:
    """Commit after a revision that commits by itself, and refuse one that rolls back.

    Alembic commits only the transaction that it began. Once a revision has ended that one, what
    follows, the new version too, would be lost without a word. Which transaction Alembic began
    is known to its private `_transaction` alone; nothing else here reads or sets it.
    """
    connection = migration.connection
    assert connection is not None
    rolled_back = False

    def on_rollback(_: Connection) -> None:
        nonlocal rolled_back
        ends = connection.get_transaction()
        rolled_back |= ends is not None and ends is migration._transaction

    def on_version_apply(step: MigrationInfo, **_: Any) -> None:
        if rolled_back:
            connection.rollback()
            raise CommandError(
                f"revision {step.up_revision_id} rolls back the transaction that it runs in, and"
                " so what came before; use a savepoint: with op.get_bind().begin_nested()"
            )
        if migration._transaction not in (None, connection.get_transaction()):
            connection.commit()
            migration._transaction = connection.begin()

    migration.on_version_apply_callbacks = (*migration.on_version_apply_callbacks, on_version_apply)
    event.listen(connection, "rollback", on_rollback)
    try:
        yield
    finally:
        event.remove(connection, "rollback", on_rollback)
