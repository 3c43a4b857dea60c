"""What an app leaves in a database when its section of alembic.ini, or its code, is gone."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial

from alembic.util import CommandError
from sqlalchemy import Connection, column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from ..apps import App, TableKey
from ..errors import naming, shown
from ..order import neighbours, table_key
from ..run import Run, by_database


def remarks(run: Run) -> Iterator[str]:
    """Yield a line for each version table, in the databases of all apps, that no section has."""
    apps, databases = tuple(run.apps.values()), run.databases
    if len(run.selected) < len(apps):
        return
    for database in dict.fromkeys(app.database for app in apps):
        homes = neighbours(database, apps)
        with naming(homes[0]):
            claimed: set[TableKey] = set()
            for url, apps_there in by_database(homes).items():
                claimed |= databases.run(url, partial(version_tables, apps=apps_there))
            found = databases.run(homes[0].url, partial(unclaimed, claimed=claimed))
        for (schema, name), revisions in found.items():
            full_name = f"{schema}.{name}" if schema else name
            yield (
                f"no section of alembic.ini has the version table {full_name},"
                f" which is at {revisions}, in {shown(homes[0].url)}"
            )


def version_tables(connection: Connection, apps: Iterable[App]) -> set[TableKey]:
    """The version tables of apps with one URL, which may say what their default schema is."""
    default = connection.dialect.default_schema_name
    return {(app.version_table_schema or default, app.version_table) for app in apps}


def unclaimed(connection: Connection, claimed: set[TableKey]) -> dict[TableKey, str]:
    """The version tables of a database that none of its apps has, and what they are at."""
    inspector = inspect(connection)
    default = connection.dialect.default_schema_name
    schemas = {default, *(schema for schema, _ in claimed)}
    if connection.dialect.name == "postgresql":  # MySQL's schemas are other databases
        schemas |= set(inspector.get_schema_names())
    found: dict[TableKey, str] = {}
    for schema in sorted(schemas, key=str):
        for name in inspector.get_table_names(schema):
            if not name.startswith("alembic_version") or (schema, name) in claimed:
                continue
            if [it["name"] for it in inspector.get_columns(name, schema)] == ["version_num"]:
                found[table_key(schema, name, default)] = ""
    for schema, name in found:
        versions = select(table(name, column("version_num"), schema=schema))
        try:
            found[schema, name] = ", ".join(sorted(connection.scalars(versions))) or "no revision"
        except DBAPIError:  # it may be somebody else's
            connection.rollback()
            found[schema, name] = "a revision that this user may not read"
    return found


def named_like(connection: Connection, app: App, apps: Iterable[App]) -> list[str]:
    """The tables that may be an app's by their names, and are no other app's as far as one can see.

    This is for an app whose models or revisions are gone, so that nothing says which it has.
    """
    others: set[TableKey] = set()
    for other in apps:
        if other.name != app.name and other.database == app.database:
            with suppress(CommandError):  # its code may be gone as well
                others |= other.own_models.keys()
    return [
        name
        for name in inspect(connection).get_table_names()
        if (app.claims(None, name) or name == app.name or name.startswith(f"{app.name}_"))
        and not name.startswith("alembic_version")
        and (None, name) not in others
    ]
