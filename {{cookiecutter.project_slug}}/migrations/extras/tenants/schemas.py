"""Read the revisions of all tenants at once that are schemas of one PostgreSQL database."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from alembic.util import CommandError
from sqlalchemy import Connection, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from ...apps import App
from ...run import Run, read_tables
from .reports import named
from .tenant_list import Tenant, place_of

Places = dict[str, list[tuple[Tenant, App, str]]]
"""The tenants, apps and schemas in each database, by its URL."""

EXISTING = text("""
    SELECT nspname, relname FROM pg_namespace n
    LEFT JOIN pg_class c ON relnamespace = n.oid AND relkind IN ('r', 'p') AND relname = ANY(:names)
    WHERE nspname = ANY(:schemas)
""")


def read_all(
    run: Run, tenants: Iterable[Tenant], apps: Sequence[App], create: bool
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the current revisions of apps that have a schema for each tenant, by tenant and app.

    If `create` is true, missing schemas are created.
    """
    places: Places = {}
    for tenant in tenants:
        for app in apps:
            url, schema = place_of(run.config, app, tenant)
            if schema:
                places.setdefault(url, []).append((tenant, app, schema))
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for url, there in places.items():
        app = replace(there[0][1], url_text=url, tenants="")
        try:
            with app.naming():
                read = partial(_read, places=there, create=create)
                versions, new = run.databases.run(app.url, read)
        except CommandError:
            if len(places) == 1:
                raise
            continue  # the tenants there fail one by one; those of other servers go on
        if new:
            print(f"created a schema for {named(new)}", file=run.config.stdout)
        for (tenant, app, _), revisions in zip(there, versions, strict=False):
            found.setdefault(tenant.name, {})[app.name] = revisions
    return found


def _read(
    connection: Connection, places: Sequence[tuple[Tenant, App, str]], create: bool
) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return the current revisions of each place in a database, and the tenants that are new."""
    schemas = list(dict.fromkeys(schema for _, _, schema in places))
    names = list({app.version_table for _, app, _ in places})
    rows = connection.execute(EXISTING, {"schemas": schemas, "names": names}).all()
    connection.rollback()
    missing = set(schemas).difference(schema for schema, _ in rows) if create else set()
    created = set()
    for schema in missing:
        for _ in range(2):  # another migrator may create it at the same moment
            with suppress(DBAPIError), connection.begin():
                connection.execute(CreateSchema(schema, if_not_exists=True))
                created.add(schema)
    existing = {tuple(row) for row in rows}
    tables = {
        number: table(app.version_table, schema=schema)
        for number, (_, app, schema) in enumerate(places)
        if (schema, app.version_table) in existing
    }
    new = dict.fromkeys(tenant.name for tenant, _, schema in places if schema in created)
    try:
        found = read_tables(connection, tables)
    except DBAPIError:  # one is unreadable; each tenant reads its own
        return [], list(new)
    return [found.get(number, ()) for number in range(len(places))], list(new)
