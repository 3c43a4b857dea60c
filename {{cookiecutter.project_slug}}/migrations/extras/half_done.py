"""MySQL and MariaDB cannot roll back DDL: a note of the revision that is half done.

There, DDL commits what came before it, and itself. A revision that stops later leaves that behind,
and the version table does not tell. So each revision first writes a note in its transaction: a
commit keeps the note, a rollback takes it away. It counts until the version table changes.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from alembic.util import CommandError, to_tuple
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, event, func, select
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..apps import App
from ..errors import naming, relative
from ..locks import mysql_lock
from ..run import Run, by_database

MYSQL = ("mysql", "mariadb")
CHANGES_NOTHING = re.compile(r"\s*(SELECT|SET|SHOW|DESCRIBE|EXPLAIN|(UN)?LOCK)\b", re.IGNORECASE)


@contextmanager
def guard(migration: MigrationContext, app: App) -> Iterator[None]:
    """Let each revision first write its note; refuse to run any while one is half done."""
    with ExitStack() as stack:
        if migration.dialect.name in MYSQL:
            assert migration.connection
            assert migration.script
            note = Note(app, migration.connection)
            listener = (migration.connection, "after_cursor_execute", note.after_statement)
            event.listen(*listener)
            stack.callback(event.remove, *listener)
            stack.push(partial(note.close, migration))
            for revision in migration.script.walk_revisions():
                for name in {"upgrade", "downgrade"} & vars(revision.module).keys():
                    function = getattr(revision.module, name)
                    setattr(revision.module, name, note.keep(migration, revision, name)(function))
                    stack.callback(setattr, revision.module, name, function)
        yield


class Note:
    """The note of an app, in a table that exists while there is something to remember."""

    def __init__(self, app: App, connection: Connection) -> None:
        self.app, self.connection = app, connection
        columns = Column("id", Integer, primary_key=True, autoincrement=False), Column("note", Text)
        name = f"{app.version_table[:59]}$half"  # no app's name has a `$`
        self.table = Table(name, MetaData(), *columns, schema=app.version_table_schema)
        self.revision: Script | None = None  # the one that is running, or was the last to
        self.changed = False  # whether it has changed anything

    def read(self, versions: Sequence[str]) -> str | None:
        """Return the note, unless the version table has changed or another migrator is at work."""
        own = func.connection_id()
        migrator = func.coalesce(func.is_used_lock(mysql_lock(self.connection, self.app)), own)
        with suppress(DBAPIError):  # there is no such table
            if note := self.connection.scalar(select(self.table.c.note).where(migrator == own)):
                then, text = json.loads(note)
                return str(text) if then == sorted(versions) else None
        return None

    @contextmanager
    def keep(self, migration: MigrationContext, revision: Script, direction: str) -> Iterator[None]:
        """Write the note first, or go on without it: no change is there yet that could be lost."""
        if revision is not self.revision:  # else its upgrade calls its downgrade
            versions = migration.get_current_heads()
            if half_done := self.read(versions):
                raise CommandError(half_done)
            note = json.dumps([sorted(versions), self.describe(revision, direction)])  # pure ASCII
            row = insert(self.table).values(id=1, note=note).on_duplicate_key_update(note=note)
            with suppress(DBAPIError):
                self.table.create(self.connection, checkfirst=True)
                self.connection.execute(row)
            self.revision, self.changed = revision, False
        yield

    def describe(self, revision: Script, direction: str) -> str:
        """Return what is half done if the revision stops now, and what to do about it."""
        down, up = " ".join(to_tuple(revision.down_revision, default=("base",))), revision.revision
        start, end = (down, up) if direction == "upgrade" else (up, down)
        alembic = f"alembic --name {self.app.name}"
        return (
            f"revision {up} is half done: a run stopped in its {direction}, in"
            f" {relative(revision.path)}; this database cannot roll back DDL: do by hand what is"
            f" missing of `{alembic} {direction} {start}:{end} --sql`, then `{alembic} stamp {end}`"
            f"; or undo by hand what is done, then DROP TABLE {self.table.fullname}"
        )

    def after_statement(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        """Remember that a statement has changed something."""
        self.changed |= not CHANGES_NOTHING.match(statement)

    def close(self, migration: MigrationContext, _: Any, error: Any, __: Any) -> None:
        """Say in the error of a run what is half done; if nothing is, drop the table."""
        if self.connection.invalidated:
            return
        with suppress(SQLAlchemyError):  # such as that there is no such table
            self.connection.exec_driver_sql("UNLOCK TABLES")  # a revision may have locked some
            half_done = self.read(migration.get_current_heads())
            if half_done and error and self.changed:
                error.add_note(half_done)
            elif self.revision or not half_done:
                self.connection.execute(self.table.delete().where(self.table.c.id == 1))
                self.table.drop(self.connection)  # commits, also where this user may not drop


def unfinished(run: Run) -> dict[str, str]:
    """Return the notes of the selected apps that count, by name."""
    found: dict[str, str] = {}
    for url, apps in by_database(run.selected).items():
        if url.get_backend_name() in MYSQL:
            with naming(apps[0]):
                found |= run.databases.run(url, partial(read_notes, run, apps))
    return found


def read_notes(run: Run, apps: Sequence[App], connection: Connection) -> dict[str, str]:
    """Return the notes of apps of one database that count, by name."""
    notes = {app.name: Note(app, connection).read(run.current[app.name]) for app in apps}
    return {name: note for name, note in notes.items() if note}
