"""Tables that an app leaves in a database when its section or its code is gone."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from alembic.util import CommandError
from sqlalchemy import Connection, column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from ..apps import App
from ..errors import program, shown
from ..order import apps_of_database
from ..run import Run
from .precautions import neighbours


def remarks(run: Run) -> Iterator[str]:
    """Yield a line for each version table in the apps' databases that no section has."""
    if len(run.selected) < len(run.apps):
        return
    for database in dict.fromkeys(app.database for app in run.selected):
        apps = apps_of_database(database, tuple(run.selected))
        with apps[0].naming():
            found = run.databases.run(apps[0].url, partial(unclaimed, apps=apps))
        for name, revisions in found.items():
            yield (
                f"no section of {apps[0].ini} has the version table {name},"
                f" which is at {revisions}, in {shown(apps[0].url)}"
            )


def unclaimed(connection: Connection, apps: Sequence[App]) -> dict[str, str]:
    """Return the version tables of a database that no app claims, and the revisions they are at.

    An app claims its version table in every schema, as the default one depends on the user.
    """
    default, inspector = connection.dialect.default_schema_name, inspect(connection)
    on_postgresql = connection.dialect.name == "postgresql"  # MySQL's schemas are other databases
    found: dict[str, str] = {}
    for schema in inspector.get_schema_names() if on_postgresql else [default]:
        names = {it for it in inspector.get_table_names(schema) if it.startswith("alembic_version")}
        for name in sorted(names - {app.version_table for app in apps}):
            full_name = name if schema == default else f"{schema}.{name}"
            versions = select(table(name, column("version_num"), schema=schema))
            try:
                found[full_name] = ", ".join(sorted(connection.scalars(versions))) or "no revision"
            except DBAPIError:  # not a version table, or this user may not read it
                connection.rollback()
    return found


def check_nothing_left(connection: Connection, run: Run, app: App, problem: str) -> None:
    """Refuse to remove an app whose code is gone if it seems to have tables, as nothing drops them.

    These are its version table, and tables named like the app that no other app has.
    """
    left = []
    if current := run.current[app.name]:
        left.append(f"{app.version_table} at {', '.join(current)}")
    others: set[str] = set()
    default = (None, connection.dialect.default_schema_name)
    for other in neighbours(run, app):
        if other != app:
            with suppress(CommandError):  # its code may be gone as well
                others |= {name for schema, name in other.model_tables if schema in default}
    for name in sorted({*inspect(connection).get_table_names()} - others):
        like = app.claim(None, name) or name == app.name or name.startswith(f"{app.name}_")
        if like and not name.startswith("alembic_version"):
            left.append(f"{name} (by its name)")
    if left:
        raise CommandError(
            f"{problem}; only its code can drop what is left in {shown(app.url)}:"
            f" {', '.join(left)}; bring its code back and run this again, or keep the tables:"
            f" {program('remove', app.name)} --keep-tables"
        )
