"""Create a tenant in one step: its databases or its schema, with all tables.

On PostgreSQL and SQLite, a new database is a copy of that of the tenant `template`, if there is
one. Copying takes as long for a thousand revisions as for one.
"""

import os
from contextlib import closing, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError

from ...apps import App
from ...commands.migrate import migrate
from ...errors import shown
from ...locks import wait_for
from ...run import Run
from ..empty_databases import execute
from .schemas import read_all
from .tenant_list import NAME, NoTenants, Tenant, bound, read_tenants

TEMPLATE = "template"

BUSY = ("55006", "42P04")
"""PostgreSQL's errors if another process uses the template, or has just created the database."""

EXISTS = {
    "postgresql": text("SELECT 1 FROM pg_database WHERE datname = :name"),
    "mysql": text("SELECT 1 FROM information_schema.schemata WHERE schema_name = :name"),
}


def create_tenant(run: Run) -> None:
    """Create the database or schema of a new tenant, at the newest revision of every app."""
    name, listed = run.options.new, []
    with suppress(NoTenants):
        listed = read_tenants(run.config, run.apps.values())
    new = next((it for it in listed if it.name == name), Tenant(name))
    if not NAME.fullmatch(name):
        raise CommandError(f"tenants: {name!r} is not valid; use letters, digits and underscores")
    own = [app for app in run.apps.values() if app.tenants]
    its = bound(run.config, run.apps, new)
    # A tenant with a URL of its own may be on another server.
    copies = name != TEMPLATE and not new.url
    template = bound(run.config, run.apps, Tenant(TEMPLATE)) if copies else {}

    def of(apps: dict[str, App]) -> list[App]:
        return [apps[app.name] for app in own]

    with own[0].naming():
        by_url = {app.url: app for app in of(its)}
        missing = [app for app in by_url.values() if not exists(run, app)]
        copied = {
            app: template[app.name]
            for app in missing
            if copies and app.database[0] != "mysql" and exists(run, template[app.name])
        }
        if copied:
            silent = Config(
                run.config.config_file_name, stdout=StringIO(), cmd_opts=run.config.cmd_opts
            )
            migrate(replace(run, config=silent, apps=template, selected=of(template)))
            run.databases.close()
        for app in missing:
            create(run, app, copied.get(app))
            what = f", a copy of {shown(copied[app].url)}" if app in copied else ""
            print(f"created {shown(app.url)}{what}", file=run.config.stdout)
    read_all(run, [new], own, create=True)
    migrate(replace(run, apps=its, selected=of(its)))
    if new not in listed and name != TEMPLATE:
        print(f"{name} is not in {own[0].tenants} yet; add it", file=run.config.stdout)


def exists(run: Run, app: App) -> bool:
    """Return True if an app's database exists, or if this kind of database cannot tell."""
    name, kind = app.url.database or "", app.database[0]
    if kind == "sqlite":
        return Path(name).exists()
    if kind not in EXISTS:
        return True
    ask = EXISTS[kind].bindparams(name=name)
    return run.databases.run(server_of(app), lambda server: server.scalar(ask)) is not None


def server_of(app: App) -> URL:
    """Return a URL of the app's server for questions about its databases."""
    return app.url.set(database="postgres" if app.database[0] == "postgresql" else "")


def create(run: Run, app: App, template: App | None) -> None:
    """Create an app's database, as a copy of the template's if there is one."""
    name, old = app.url.database or "", template.url.database or "" if template else ""
    if app.database[0] == "sqlite":
        if old:
            copy_file(Path(old), Path(name))
        return  # else the first connection creates it

    def attempt(connection: Connection) -> bool:
        quote = connection.dialect.identifier_preparer.quote_identifier
        statement = f"CREATE DATABASE {quote(name)}"
        if app.database[0] == "mysql":
            statement = f"CREATE DATABASE IF NOT EXISTS {quote(name)}"
        elif old:
            statement += f" TEMPLATE {quote(old)}"
        try:
            execute(connection, statement)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", getattr(error.orig, "pgcode", "")) not in BUSY:
                raise
            return False
        return True

    # PostgreSQL copies no template that someone is connected to, such as another process here.
    why = f"somebody has been connected to {old}" if old else "the server has been busy"
    wait_for(lambda: exists(run, app) or run.databases.run(server_of(app), attempt), app, why)


def copy_file(old: Path, new: Path) -> None:
    """Copy an SQLite database. The new file appears only when the copy is complete."""
    import sqlite3  # only SQLite should pay for this import

    part = new.with_name(f"{new.name}.{os.getpid()}")
    try:
        with closing(sqlite3.connect(old)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        with suppress(FileExistsError):  # another process was faster
            os.link(part, new)
    finally:
        part.unlink(missing_ok=True)
