"""Which revisions the apps have, and which of them their databases are at."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, inspect, table
from sqlalchemy.exc import DBAPIError

from .apps import App
from .errors import naming
from .half_done import left_half_done, note_name
from .run import Run

TABLES_IN_A_QUERY = 100
"""SQLite allows 500, at least."""


def read_current(run: Run) -> dict[str, tuple[str, ...]]:
    """The revisions that the selected apps' databases are at, asking each database once."""
    current: dict[str, tuple[str, ...]] = {}
    for url, apps in by_database(run.selected).items():
        with naming(apps[0]):
            read = partial(read_versions, apps=apps, half_done=run.half_done)
            current.update(run.databases.run(url, read))
    return current


def by_database(apps: Iterable[App]) -> dict[URL, list[App]]:
    """The apps of each database."""
    found: dict[URL, list[App]] = {}
    for app in apps:
        found.setdefault(app.url, []).append(app)
    return found


def read_versions(
    connection: Connection, apps: Sequence[App], half_done: dict[str, str] | None = None
) -> dict[str, tuple[str, ...]]:
    """The revisions in the apps' version tables; none where there is no such table yet.

    Adds to `half_done` the notes of what a run has left so: see half_done.py.
    """
    inspector = inspect(connection)
    versions: dict[str, tuple[str, ...]] = {app.name: () for app in apps}
    existing = []
    for app in apps:
        with naming(app):
            if app.version_table in inspector.get_table_names(app.version_table_schema):
                existing.append(app)
    try:
        for start in range(0, len(existing), TABLES_IN_A_QUERY):
            read_tables(connection, existing[start : start + TABLES_IN_A_QUERY], versions)
    except DBAPIError:
        connection.rollback()
        for app in existing:  # which of them is it? Or do their collations differ, on MySQL?
            versions[app.name] = ()
            with naming(app):
                read_tables(connection, [app], versions)
    if half_done is not None and connection.dialect.name in ("mysql", "mariadb"):
        for app in existing:
            noted = note_name(app) in inspector.get_table_names(app.version_table_schema)
            if noted and (text := left_half_done(connection, app, versions[app.name])):
                half_done[app.name] = text
    return versions


def read_tables(
    connection: Connection, apps: Sequence[App], versions: dict[str, tuple[str, ...]]
) -> None:
    """Read the version tables of apps in one query."""
    quote = connection.dialect.identifier_preparer.format_table
    queries = []
    for number, app in enumerate(apps):
        version_table = quote(table(app.version_table, schema=app.version_table_schema))
        queries.append(f"SELECT {number}, {version_table}.version_num FROM {version_table}")
    for number, revision in connection.exec_driver_sql(" UNION ALL ".join(queries)):
        name = apps[number].name
        versions[name] = tuple(sorted([*versions[name], revision]))


def check_head(run: Run, app: App, current: tuple[str, ...]) -> str | None:
    """The app's one head, or None before its first revision.

    Raises CommandError for several heads, and for a database that is at an unknown revision.
    """
    heads = run.script(app).get_heads()
    if len(heads) > 1:
        raise CommandError(
            f"{app.name}: has {len(heads)} heads ({', '.join(heads)}); merge them with:"
            f" python -m migrations -n {app.name} merge heads -m merge"
        )
    check_current(run, app, current)
    return heads[0] if heads else None


def check_whole(run: Run, app: App, current: tuple[str, ...]) -> str | None:
    """As `check_head`; raises CommandError as well for a revision that is half done."""
    head = check_head(run, app, current)
    if text := run.half_done.get(app.name):
        raise CommandError(f"{app.name}: {text}")
    return head


def at_head(run: Run, app: App, current: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether its database is at the app's one head; raises what `check_whole` does."""
    head = check_whole(run, app, current[app.name])
    return current[app.name] == ((head,) if head else ())


def check_current(run: Run, app: App, current: tuple[str, ...]) -> None:
    """Raise CommandError for a database that is at an unknown revision."""
    for revision in current:
        try:
            run.script(app).get_revision(revision)
        except CommandError:
            for step in run.script(app).walk_revisions():
                if revision in getattr(step.module, "replaces", ()):
                    raise CommandError(
                        f"{app.name}: its database is at revision {revision}, which was squashed"
                        f" into {step.revision}; first migrate it with the code before that"
                    ) from None
            raise CommandError(
                f"{app.name}: its database is at revision {revision}, which is not among the"
                " revision files: is this an older version of the code?"
            ) from None


def label(script: ScriptDirectory, revision: str) -> str:
    """A revision's id and what it does."""
    return f"{revision} ({script.get_revision(revision).doc})"
