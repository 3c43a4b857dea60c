"""The databases and schemas of tenants: create missing ones, and read all schemas at once."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from alembic.util import CommandError
from sqlalchemy import Connection, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from ...apps import App
from ...commands.migrate import migrate
from ...errors import shown
from ...run import Run, read_tables
from ..empty_databases import execute
from .reports import named
from .tenant_list import Tenant, bound, place_of, read_tenants
from .workers import Current

DATABASES = {
    "postgresql": text("SELECT 1 FROM pg_database WHERE datname = :name"),
    "mysql": text("SELECT 1 FROM information_schema.schemata WHERE schema_name = :name"),
}

TABLES = text("""
    SELECT nspname, relname FROM pg_namespace n
    LEFT JOIN pg_class c ON relnamespace = n.oid AND relkind IN ('r', 'p') AND relname = ANY(:names)
    WHERE nspname = ANY(:schemas)
""")


class Place(NamedTuple):
    """The schema of an app for a tenant."""

    tenant: str
    app: App
    schema: str


def create_tenant(run: Run) -> None:
    """Create the database or schema of a new tenant, at the newest revision of every app."""
    own = [app for app in run.apps.values() if app.tenants]
    listed = read_tenants(run.config, own)
    new = next((it for it in listed if it.name == run.options.new), Tenant(run.options.new))
    apps = bound(run.config, run.apps, new)
    selected = [apps[app.name] for app in own]
    for app in {it.url: it for it in selected}.values():
        with app.naming():
            if create_database(run, app):
                print(f"created {shown(app.url)}", file=run.config.stdout)
    read_schemas(run, [new], own, create=True)
    migrate(replace(run, apps=apps, selected=selected))
    if new not in listed:
        print(f"{new.name} is not in {own[0].tenants} yet; add it", file=run.config.stdout)


def create_database(run: Run, app: App) -> bool:
    """Create an app's database, and return False if it exists or if that is unknown."""
    name, kind = app.url.database or "", app.database[0]
    if kind == "sqlite":
        return not Path(name).exists()  # the first connection creates it
    if kind not in DATABASES:
        return False

    def create(server: Connection) -> bool:
        found = server.scalar(DATABASES[kind], {"name": name})
        server.rollback()
        if not found:
            quoted = server.dialect.identifier_preparer.quote_identifier(name)
            execute(server, f"CREATE DATABASE {quoted}")
        return not found

    server = app.url.set(database="postgres" if kind == "postgresql" else "")
    return run.databases.run(server, create)


def read_schemas(
    run: Run, tenants: Iterable[Tenant], apps: Sequence[App], create: bool
) -> dict[str, Current]:
    """Return the current revisions of apps that have a schema for each tenant, by its name.

    If `create` is true, missing schemas are created.
    """
    places: dict[str, list[Place]] = {}
    for tenant in tenants:
        for app in apps:
            url, schema = place_of(run.config, app, tenant)
            if schema:
                places.setdefault(url, []).append(Place(tenant.name, app, schema))
    found: dict[str, Current] = {}
    for url, there in places.items():
        app = replace(there[0].app, url_text=url, tenants="")
        try:
            with app.naming():
                read = partial(read_places, places=there, run=run, create=create)
                for place, now in run.databases.run(app.url, read).items():
                    found.setdefault(place.tenant, {})[place.app.name] = now
        except CommandError:
            if len(places) == 1:
                raise
            # The tenants there fail one by one. Those of other servers go on.
    return found


def read_places(
    connection: Connection, places: Sequence[Place], run: Run, create: bool
) -> dict[Place, tuple[str, ...]]:
    """Return the current revisions in schemas of one database.

    If one of them cannot be read, none is returned, so that each tenant reads its own.
    """
    schemas = {place.schema for place in places}
    names = {place.app.version_table for place in places}
    rows = connection.execute(TABLES, {"schemas": [*schemas], "names": [*names]}).all()
    connection.rollback()
    created = set()
    for schema in schemas.difference(schema for schema, _ in rows) if create else ():
        with suppress(DBAPIError), connection.begin():  # another migrator may be creating it
            connection.execute(CreateSchema(schema, if_not_exists=True))
            created.add(schema)
    if new := dict.fromkeys(place.tenant for place in places if place.schema in created):
        print(f"created a schema for {named([*new])}", file=run.config.stdout)
    existing = {tuple(row) for row in rows}
    tables = {
        place: table(place.app.version_table, schema=place.schema)
        for place in places
        if (place.schema, place.app.version_table) in existing
    }
    try:
        return dict.fromkeys(places, ()) | read_tables(connection, tables)
    except DBAPIError:
        return {}
