"""The order of the apps: a foreign key may only refer to a table of an earlier section.

Upgrades go in the order of the sections of alembic.ini, downgrades the other way.
"""

from collections.abc import Iterable, Iterator
from functools import cache

from alembic.util import CommandError
from sqlalchemy import ForeignKey, Table
from sqlalchemy.exc import NoReferencedTableError

from .apps import App, TableKey, table_key


@cache
def check_models(app: App, apps: tuple[App, ...]) -> None:
    """Refuse models that cannot be migrated in the order of the sections."""
    owners = apps_by_table(apps_of_database(app.database, apps))
    for table in app.metadata.tables.values():
        owned = (table.schema, table.name) in owners or app_of_table(table, apps) is not None
        if not owned and not table.info.get("is_view"):
            raise CommandError(
                f"{app.name}: no section of {app.ini} has the table {table.name} of {app.models};"
                " add its name to the `tables` of one of them"
            )
    order = [other.name for other in apps]  # by name: squash works on copies of apps
    for key, referred, other in references(app, apps):
        line = f"{app.name}: {key.parent.table.name} refers to {referred.name} of {other.name}"
        if other.database != app.database:
            raise CommandError(f"{line}, which is in another database")
        if order.index(other.name) > order.index(app.name):
            if any(it.name == app.name for _, _, it in references(other, apps)):
                raise CommandError(
                    f"{line}, which refers to {app.name} as well: make one app of both, or take"
                    " the foreign keys of one out"
                )
            raise CommandError(
                f"{line}, a later section; move [{other.name}] before [{app.name}] in {app.ini}"
            )


@cache
def apps_of_database(database: tuple[str, ...], apps: tuple[App, ...]) -> tuple[App, ...]:
    """Return the apps whose tables are in this `App.database`."""
    return tuple(app for app in apps if app.database == database)


@cache
def apps_by_table(apps: tuple[App, ...], default_schema: str | None = None) -> dict[TableKey, App]:
    """Return the tables that the models of the apps of a database have, each with its app."""
    for app in apps:
        _ = app.metadata  # all imports first: model_tables is cached, and apps may share a MetaData
    found: dict[TableKey, App] = {}
    for app in apps:
        for schema, name in app.model_tables:
            key = table_key(schema, name, default_schema)
            if key in found:
                raise CommandError(
                    f"both {found[key].name} and {app.name} have the table {name}; set `tables`"
                    f" in their sections of {app.ini}, so that only one of them has it"
                )
            found[key] = app
    return found


def app_of_table(table: Table, apps: Iterable[App]) -> App | None:
    """Return the app whose models have this very table."""
    key = (table.schema, table.name)
    return next((app for app in apps if app.model_tables.get(key) is table), None)


def references(app: App, apps: tuple[App, ...]) -> Iterator[tuple[ForeignKey, Table, App]]:
    """Yield the foreign keys of an app to other apps: key, table that it refers to, its app."""
    near = apps_of_database(app.database, apps)
    for table in app.model_tables.values():
        for key in table.foreign_keys:
            referred = referred_table(app, key)
            other = app_of_table(referred, near) or app_of_table(referred, apps)
            if other is not None and other.name != app.name:
                yield key, referred, other


def referred_table(app: App, key: ForeignKey) -> Table:
    """Return the table that a foreign key refers to."""
    try:
        return key.column.table
    except NoReferencedTableError:
        raise CommandError(
            f"{app.name}: {key.parent} refers to {key.target_fullname}, and no model of {app.name}"
            " has that table; for another app's, write the column itself: ForeignKey(Model.id)"
        ) from None
