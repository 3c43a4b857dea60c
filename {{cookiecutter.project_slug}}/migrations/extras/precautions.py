"""Helpers of several extras: tables, foreign keys, a question, signals."""

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from alembic.util import CommandError
from sqlalchemy import Connection, ForeignKey, Table, inspect

from ..apps import App, TableKey
from ..commands.check import compare, in_words
from ..errors import program
from ..ownership import Ownership
from ..run import Run

SHOWN = ("type", "nullable")
"""The properties of a column whose changes are shown as `OLD to NEW`."""


def ownership_of(connection: Connection, run: Run, apps: Iterable[App]) -> Ownership:
    """Return the `Ownership` of the tables in a connected database, for these of its apps."""
    scripts = {app: run.script(app) for app in apps}
    default = connection.dialect.default_schema_name
    return Ownership(scripts, default, connection)


def ask(run: Run) -> None:
    """Ask whether to go on, unless --yes was given; raise CommandError if the answer is no."""
    if run.options.yes:
        return
    if not (sys.stdin and sys.stdin.isatty()):  # stdin may be closed
        raise CommandError("nothing is changed: there is no terminal to ask on; add --yes")
    run.databases.close()  # a server may close idle connections
    print("Go on? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("nothing is changed")


def head_of(run: Run, app: App) -> str | None:
    """Return an app's head, or None if it has no revision yet.

    Raises CommandError if there are several heads, or the database is at an unknown revision.
    """
    run.current(app)
    with app.naming():
        head = run.script(app).get_revision("head")
    return head.revision if head else None


def existing(connection: Connection, tables: Iterable[TableKey]) -> list[TableKey]:
    """Return those of these tables that exist in a database; views count."""
    return [key for key in tables if inspect(connection).has_table(key[1], key[0])]


def names_of(tables: Iterable[TableKey]) -> str:
    """Return the names of tables, for a message."""
    return ", ".join(sorted(name for _, name in tables))


def own_tables(connection: Connection, run: Run, app: App) -> list[TableKey]:
    """Return the app's own tables that exist in its database."""
    ownership, inspector = ownership_of(connection, run, [app]), inspect(connection)
    found = {
        ownership.key(schema, name)
        for schema in {schema or None for schema in ownership.schemas}
        for name in inspector.get_table_names(schema)
        if ownership.owner(schema, name)
    }
    return sorted(found, key=str)


def changes_of(run: Run, app: App) -> list[str]:
    """Return the changes that autogenerate finds for an app, in words, with details of columns."""
    operations = compare(run, [app])[app].upgrade
    details: dict[str, str] = {}
    for diff in (it for it in operations.as_diffs() if isinstance(it, list)):
        changed = [
            f"{name} {old!r} to {new!r}" if name in SHOWN else name
            for name, old, new in ((it[0].removeprefix("modify_"), *it[-2:]) for it in diff)
        ]
        details[f"alter {diff[0][2]} {diff[0][3]}"] = f" ({', '.join(changed)})"
    return [change + details.get(change, "") for change in in_words(operations)]


def references(app: App, apps: Iterable[App]) -> Iterator[tuple[ForeignKey, Table, App]]:
    """Yield each foreign key of an app to another app: key, referred table and its app."""
    # Apps of several databases may share a MetaData; the app in this database comes first.
    nearest = sorted(apps, key=lambda it: it.database != app.database)
    for table in app.model_tables.values():
        for key in table.foreign_keys:
            referred = key.column.table
            place = (referred.schema, referred.name)
            other = next((it for it in nearest if it.model_tables.get(place) is referred), None)
            if other is not None and other.name != app.name:
                yield key, referred, other


def check_moves(run: Run, app: App, together: Iterable[App] = ()) -> None:
    """Refuse an app if a model moved between it and another, unless both are in `together`."""
    near = app.neighbours
    ownership = run.databases.run(app.url, partial(ownership_of, run=run, apps=near))
    for old in near:
        for key in sorted(ownership.created_by(old) & ownership.apps_by_model.keys(), key=str):
            new = ownership.apps_by_model[key]
            if new != old and app in (old, new) and not {old, new} <= set(together):
                raise CommandError(
                    f"{app.name}: the revisions of {old.name} create {key[1]}, which is now in"
                    f" {new.name}; first run: {program('squash', old.name, new.name)}"
                )


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the block ends, where the system can do that."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
