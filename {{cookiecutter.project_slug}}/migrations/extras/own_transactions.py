"""Revisions that end their transaction."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, event

from ..apps import App

ROLLBACK = re.compile(r"\s*(ROLLBACK|ABORT)\b(?!.*\bTO\b)", re.IGNORECASE)


@contextmanager
def guard(migration: MigrationContext, app: App) -> Iterator[None]:
    """Commit after a revision that commits by itself, and refuse one that rolls back.

    Alembic commits only the transaction that it began. If a revision ends that one, everything
    after it would be lost silently, even the new version. Only the private `_transaction` says
    which transaction Alembic began. Nothing else here reads or sets it.
    """
    connection = migration.connection
    assert connection is not None
    rolled_back = False
    refusal = CommandError(
        "a revision rolls back its transaction, which undoes what came before it; use a savepoint:"
        " with op.get_bind().begin_nested()"
    )

    def on_rollback(_: Connection) -> None:
        nonlocal rolled_back
        ends = connection.get_transaction()
        rolled_back |= ends is not None and ends is migration._transaction

    def on_execute(_: Connection, __: Any, statement: str, *___: Any) -> None:
        if ROLLBACK.match(statement):
            raise refusal

    def on_version_apply(**_: Any) -> None:
        if rolled_back:
            connection.rollback()
            raise refusal
        if migration._transaction not in (None, connection.get_transaction()):
            connection.commit()
            migration._transaction = connection.begin()

    migration.on_version_apply_callbacks = (*migration.on_version_apply_callbacks, on_version_apply)
    event.listen(connection, "rollback", on_rollback)
    event.listen(connection, "before_cursor_execute", on_execute)
    try:
        yield
    finally:
        event.remove(connection, "rollback", on_rollback)
        event.remove(connection, "before_cursor_execute", on_execute)
