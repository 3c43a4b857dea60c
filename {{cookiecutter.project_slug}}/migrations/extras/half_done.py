"""The note about a half-done revision on MySQL and MariaDB, which cannot roll back DDL.

Each DDL statement commits itself and everything before it. A revision that stops later leaves its
changes behind, and the version table does not show that. So a note is written just before the first
DDL of a revision, which commits the note as well. It is valid until the version table changes.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from alembic.util import CommandError, to_tuple
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, event, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..apps import App
from ..errors import relative
from ..locks import one_migrator
from ..run import Run, read_versions

MYSQL = ("mysql", "mariadb")
READS = "SELECT|SET|SHOW|DESCRIBE|EXPLAIN"
DOES_NOT_COMMIT = re.compile(
    rf"\s*({READS}|INSERT|UPDATE|DELETE|REPLACE|ROLLBACK|SAVEPOINT)\b", re.I
)
CHANGES_NOTHING = re.compile(rf"\s*({READS}|LOCK|UNLOCK)\b", re.I)


@contextmanager
def guard(migration: MigrationContext, app: App) -> Iterator[None]:
    """Keep a note while revisions run. Refuse to run any if one is half done already."""
    connection, script = migration.connection, migration.script
    assert connection is not None
    assert script is not None
    with ExitStack() as stack:
        if migration.dialect.name in MYSQL:
            note = Note(migration, connection, app)
            for name in ("before_cursor_execute", "after_cursor_execute"):
                event.listen(connection, name, getattr(note, name))
                stack.callback(event.remove, connection, name, getattr(note, name))
            stack.push(note.close)
            for revision in script.walk_revisions():
                for name in {"upgrade", "downgrade"} & vars(revision.module).keys():
                    function = getattr(revision.module, name)
                    setattr(revision.module, name, note.of(revision, name)(function))
                    stack.callback(setattr, revision.module, name, function)
        yield


class Note:
    """The note in one run of an app's revisions."""

    def __init__(self, migration: MigrationContext, connection: Connection, app: App) -> None:
        self.migration, self.connection, self.app = migration, connection, app
        self.table = note_table(app)
        self.found = read_note(connection, app, migration.get_current_heads())
        self.revision: Script | None = None  # the one that is running, or the last that ran
        self.text = ""  # what to write before its first DDL
        self.changed = False  # whether it has changed anything

    @contextmanager
    def of(self, revision: Script, direction: str) -> Iterator[None]:
        """Run the `upgrade` or the `downgrade` of a revision, and prepare the note about it."""
        if self.found:
            raise CommandError(self.found)
        if self.revision is None:
            with suppress(DBAPIError):  # this DDL commits, but nothing has been done yet
                self.table.create(self.connection, checkfirst=True)
        if self.revision is not revision:  # otherwise its upgrade calls its downgrade
            self.revision, self.changed = revision, False
            self.text = describe(self.app, revision, direction)
        yield

    def before_cursor_execute(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        """Write the note before the first statement that commits. Go on if that fails."""
        if self.text and not DOES_NOT_COMMIT.match(statement):
            from sqlalchemy.dialects.mysql import insert  # only MySQL should pay for this import

            note = json.dumps([sorted(self.migration.get_current_heads()), self.text])  # pure ASCII
            row = insert(self.table).values(id=1, note=note).on_duplicate_key_update(note=note)
            changed, self.text = self.changed, ""
            try:
                self.connection.execute(row)
            except DBAPIError as error:  # a deadlock or a timeout has ended the transaction
                ends = {1213, 1205}.intersection(getattr(error.orig, "args", ()))
                if ends or error.connection_invalidated:
                    raise
            self.changed = changed  # the note is not a change by the revision

    def after_cursor_execute(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        """Remember that a statement has changed something."""
        self.changed |= not CHANGES_NOTHING.match(statement)

    def close(self, _: Any, error: BaseException | None, __: Any) -> None:
        """Add to the error of a run what is half done. If nothing is, drop the table."""
        self.text = ""
        if self.connection.invalidated:
            return
        with suppress(SQLAlchemyError):  # for instance, the table may be missing
            self.connection.exec_driver_sql("UNLOCK TABLES")  # a revision may have locked some
            half_done = read_note(self.connection, self.app, self.migration.get_current_heads())
            if half_done and error and self.changed:
                error.add_note(half_done)
            elif self.revision or not half_done:
                self.connection.execute(self.table.delete().where(self.table.c.id == 1))
                self.table.drop(self.connection)  # commits, even if the user must not drop tables


def describe(app: App, revision: Script, direction: str) -> str:
    """Return the text of the note: what is half done, and what to do about it."""
    down, up = " ".join(to_tuple(revision.down_revision, default=("base",))), revision.revision
    start, end = (down, up) if direction == "upgrade" else (up, down)
    alembic = f"alembic --name {app.name}"
    return (
        f"revision {up} is half done: a run stopped in its {direction}, in"
        f" {relative(revision.path)}; this database cannot roll back DDL: do by hand what is"
        f" missing of `{alembic} {direction} {start}:{end} --sql`, then `{alembic} stamp {end}`;"
        f" or undo by hand what is done, then DROP TABLE {note_table(app).fullname}"
    )


def note_table(app: App) -> Table:
    """Return the table of an app's note. It exists only while it may be needed."""
    name = f"{app.version_table[:59]}$half"  # no app's name contains `$`
    columns = Column("id", Integer, primary_key=True, autoincrement=False), Column("note", Text)
    return Table(name, MetaData(), *columns, schema=app.version_table_schema)


def read_note(connection: Connection, app: App, versions: Sequence[str]) -> str | None:
    """Return the note, or None if there is none or the version table has changed."""
    with suppress(DBAPIError):  # the table may be missing
        if found := connection.scalar(select(note_table(app).c.note)):
            then, text = json.loads(found)
            return str(text) if then == sorted(versions) else None
    return None


def read_under_lock(connection: Connection, app: App) -> str | None:
    """Return the note. While another migrator runs, the note is about that one: return None."""
    with suppress(CommandError, DBAPIError), one_migrator(connection, replace(app, lock_timeout=0)):
        return read_note(connection, app, read_versions(connection, [app])[app.name])
    return None


def unfinished(run: Run, app: App) -> str | None:
    """Return the note of an app if it is valid."""
    look = partial(read_note, app=app, versions=run.current(app))
    if app.database[0] != "mysql" or not run.databases.run(app.url, look):
        return None
    return run.databases.run(app.url, partial(read_under_lock, app=app))
