"""MySQL and MariaDB cannot roll back DDL: a note of the revision that is half done.

There a statement of DDL commits what came before it, and itself. A run that ends in the middle
of a revision leaves behind what it did so far, and the version table does not tell. So a note of
each such statement is written just before it, and the statement's own commit makes it last.
The note counts until the version table changes. It is a table of its own, and dropped at the end
of a run; one that was left behind, at the end of the next that has something to do.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from inspect import currentframe
from pathlib import Path
from types import FrameType
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Column, Connection, MetaData, Table, Text, event, func, inspect, select
from sqlalchemy.exc import DBAPIError

from ..apps import App
from ..databases import mysql_lock
from ..errors import naming, shorten
from ..run import Run, by_database

READS = re.compile(r"\s*(SELECT|SET|SHOW|DESCRIBE|EXPLAIN)\b", re.IGNORECASE)
DOES_NOT_COMMIT = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


@contextmanager
def guard(migration: MigrationContext, app: App) -> Iterator[None]:
    """Keep the note; refuse to run a revision that an earlier run has left half done."""
    connection = migration.connection
    assert connection is not None
    if connection.dialect.name not in ("mysql", "mariadb"):
        yield
        return
    note = Note(migration, app)
    event.listen(connection, "before_cursor_execute", note.before)
    event.listen(connection, "after_cursor_execute", note.after)
    try:
        yield
    except BaseException as error:
        with suppress(DBAPIError):  # what is wrong is known already
            if not connection.invalidated:
                note.close(error)
        raise
    else:
        note.close()
    finally:
        event.remove(connection, "before_cursor_execute", note.before)
        event.remove(connection, "after_cursor_execute", note.after)


class Note:
    """The note, in a table of its own that exists while there is something to remember."""

    def __init__(self, migration: MigrationContext, app: App) -> None:
        assert migration.connection is not None
        self.connection = migration.connection
        self.migration = migration
        self.app = app
        self.table = note_table(app)
        self.revision: str | None = None
        """The revision that is running, or was the last to."""
        self.begun = False
        """Whether it has changed anything."""
        self.own_work = False
        self.found = self.read()

    def read(self) -> str | None:
        """The note, if there is one that counts."""
        if not inspect(self.connection).has_table(self.table.name, self.table.schema):
            return None
        same = self.table.c.versions == self.versions()
        return self.connection.scalar(select(self.table.c.text).where(same))

    def versions(self) -> str:
        """What the version table says."""
        return in_words(self.migration.get_current_heads())

    def before(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        """Write the note before a statement of a revision that commits."""
        frame = revision_at_work()
        if frame is None or self.own_work:
            return
        if self.found:
            raise CommandError(self.found)
        self.own_work = True
        if self.revision != frame.f_globals["revision"]:
            self.revision = frame.f_globals["revision"]
            self.begun = False
            self.table.create(self.connection, checkfirst=True)
        if not READS.match(statement) and not DOES_NOT_COMMIT.match(statement):
            text = self.describe(frame, statement)
            self.connection.execute(self.table.delete())
            self.connection.execute(self.table.insert().values(versions=self.versions(), text=text))
        self.own_work = False

    def after(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        """See whether the revision has changed anything."""
        if not self.own_work and not READS.match(statement) and revision_at_work():
            self.begun = True

    def close(self, error: BaseException | None = None) -> None:
        """At the end of a run, drop the table, or say in the error what it leaves half done."""
        self.own_work = True
        text = self.read()
        if self.begun and text and error:
            error.add_note(text)
        elif not text or self.revision:
            if text:
                self.connection.execute(self.table.delete())
                self.connection.commit()
            with suppress(DBAPIError):  # this user may not drop tables: then it stays, empty or old
                self.table.drop(self.connection, checkfirst=True)

    def describe(self, frame: FrameType, statement: str) -> str:
        """Say what is half done, and what to do about it."""
        revision, down = frame.f_globals["revision"], frame.f_globals["down_revision"] or "base"
        direction = frame.f_code.co_name
        start, end = (down, revision) if direction == "upgrade" else (revision, down)
        alembic = f"alembic --name {self.app.name}"
        return (
            f"revision {revision} is half done: a run stopped in its {direction}"
            f" ({Path(frame.f_code.co_filename).name}, line {frame.f_lineno}), at or right after:"
            f" {shorten(statement, 120)}; this database cannot roll back DDL: do the rest of"
            f" `{alembic} {direction} {start}:{end} --sql` by hand, then `{alembic} stamp {end}`;"
            f" or undo by hand what is done, then DROP TABLE {self.table.fullname}"
        )


def note_name(app: App) -> str:
    """The name of the table of an app's note: the name of an app has no `$`."""
    return f"{app.version_table[:59]}$half"


def note_table(app: App) -> Table:
    """The table of an app's note."""
    return Table(
        note_name(app),
        MetaData(),
        Column("versions", Text),
        Column("text", Text),
        schema=app.version_table_schema,
    )


def in_words(versions: Iterable[str]) -> str:
    """What a version table says, as a note has it."""
    return " ".join(sorted(versions))


def unfinished(run: Run) -> dict[str, str]:
    """Return the notes that count of the selected apps, by name."""
    found: dict[str, str] = {}
    for url, apps in by_database(run.selected).items():
        if url.get_backend_name() in ("mysql", "mariadb"):
            with naming(apps[0]):
                found |= run.databases.run(url, partial(read_notes, run=run, apps=apps))
    return found


def read_notes(connection: Connection, run: Run, apps: Iterable[App]) -> dict[str, str]:
    """Return the notes of apps that count, unless a migrator is at work."""
    inspector, found = inspect(connection), {}
    for app in apps:
        if note_name(app) in inspector.get_table_names(app.version_table_schema):
            note = note_table(app).c
            same = note.versions == in_words(run.current[app.name])
            nobody = func.is_free_lock(mysql_lock(connection, app)) == 1
            with suppress(DBAPIError):  # a migrator has just dropped the table
                if text := connection.scalar(select(note.text).where(same, nobody)):
                    found[app.name] = str(text)
    return found


def revision_at_work() -> FrameType | None:
    """The call of `upgrade` or `downgrade` in a revision file that we are in, if we are."""
    frame = currentframe()
    while frame and not (
        frame.f_code.co_name in ("upgrade", "downgrade") and "down_revision" in frame.f_globals
    ):
        frame = frame.f_back
    return frame
