"""Revisions that end their transaction, and statements that have no effect in one."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.util import CommandError
from sqlalchemy import Connection, event

from ..apps import App
from ..errors import one_line

ROLLBACK = re.compile(r"\s*(ROLLBACK|ABORT)\b(?!.*\bTO\b)", re.IGNORECASE)
JOURNAL_MODE = re.compile(r"\s*PRAGMA\s+(\w+\.)?journal_mode\s*[=(]", re.IGNORECASE)


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

    def on_rollback(_: Connection) -> None:
        nonlocal rolled_back
        ends = connection.get_transaction()
        rolled_back |= ends is not None and ends is migration._transaction

    def on_execute(_: Connection, __: Any, statement: str, *___: Any) -> None:
        if ROLLBACK.match(statement):
            raise CommandError(
                f"a revision executes {one_line(statement)}, which undoes what came before it; use"
                " a savepoint: with op.get_bind().begin_nested()"
            )
        in_block = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        if JOURNAL_MODE.match(statement) and not in_block:
            print(
                f"{app.name}: warning: {one_line(statement)} does nothing in a transaction; run"
                " it in a block: with op.get_context().autocommit_block()",
                file=sys.stderr,
            )

    def on_version_apply(step: MigrationInfo, **_: Any) -> None:
        if rolled_back:
            connection.rollback()
            raise CommandError(
                f"revision {step.up_revision_id} rolls back its transaction, which undoes what"
                " came before it; use a savepoint: with op.get_bind().begin_nested()"
            )
        if migration._transaction not in (None, connection.get_transaction()):
            connection.commit()
            migration._transaction = connection.begin()

    migration.on_version_apply_callbacks = (*migration.on_version_apply_callbacks, on_version_apply)
    listeners: dict[str, Callable[..., Any]] = {
        "rollback": on_rollback,
        "before_cursor_execute": on_execute,
    }
    for name, listener in listeners.items():
        event.listen(connection, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners.items():
            event.remove(connection, name, listener)
