"""Empty databases beside an app's own, in which to write a first revision and to try it."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError

from ..apps import App
from ..commands.check import compare
from ..commands.generate import needed, write_revision
from ..databases import Databases
from ..errors import relative
from ..revision_files import files_of, upgrade_calls
from ..run import Run
from .precautions import neighbours, uninterrupted

SURROUNDINGS = text("""
    SELECT 'CREATE SCHEMA ' || quote_ident(nspname), 1 AS rank, oid FROM pg_namespace
    WHERE nspname !~ '^(pg_|information_schema$)' AND oid NOT IN (
        SELECT objid FROM pg_depend
        WHERE classid = CAST('pg_namespace' AS regclass) AND deptype = 'e'
    )
    UNION ALL
    SELECT 'CREATE EXTENSION ' || quote_ident(extname)
        || ' SCHEMA ' || CAST(CAST(extnamespace AS regnamespace) AS text), 2, oid FROM pg_extension
    ORDER BY rank, oid
""")
"""Select statements that create a database's schemas (not its extensions') and extensions."""

CREATES = re.compile(r"(\s*CREATE\s+(SCHEMA|EXTENSION)\s++)(?!IF\s)", re.IGNORECASE)


def check_schemas(run: Run, app: App) -> None:
    """Refuse schemas on MySQL and MariaDB, where each is a real database that would be changed."""
    for other in neighbours(run, app) if app.database[0] == "mysql" else ():
        named = [(other.ini, str(other.version_table_schema))]
        named += [(other.models, str(schema)) for schema, _ in other.model_tables]
        for file in files_of(run.script(other)):
            words = [word for call in upgrade_calls(file) for word in call.keywords]
            values = [word.value for word in words if (word.arg or "").endswith("schema")]
            named += [(relative(str(file)), ast.unparse(value).strip("'")) for value in values]
        for where, schema in named:
            if schema != "None":
                raise CommandError(
                    f"{other.name}: {where} has the schema {schema}, which is another database"
                    " on MySQL and MariaDB, and trying out the revision would change that;"
                    " remove the schema, or write the revision by hand"
                )


@contextmanager
def in_empty_database(run: Run, app: App, folders: Mapping[str, Path]) -> Iterator[Run]:
    """Yield a run in which an empty database replaces the app's own; drop it at the end.

    Apps that are in `folders` take their revisions from that folder instead of their own.
    """
    with app.naming(), empty_database(run.databases, app.url) as url:
        url_text = url.render_as_string(hide_password=False)
        config = Config(run.config.config_file_name, cmd_opts=run.options)
        apps = dict(run.apps)
        there = {it.name: replace(it, url_text=url_text, apps=apps) for it in neighbours(run, app)}
        for name in there.keys() & folders.keys():
            folder = str(folders[name])
            there[name] = replace(there[name], version_locations=(folder,))
            config.set_section_option(name, "version_locations", folder.replace("%", "%%"))
        apps.update(there)
        yield replace(run, config=config, apps=apps, selected=[*there.values()], scripts={})


def write_initial(
    empty: Run, name: str, at: Mapping[str, str], also: Iterable[str] = (), id: str | None = None
) -> Path:
    """Write a revision that creates everything in an app's models, in a run with empty databases.

    It requires the revisions in `at` of the apps that the models need, and of those in `also`.
    """
    app = empty.apps[name]
    found = compare(empty, [app])[app]
    needs = {*(other.name for other in needed(app, found)), *also}
    requires = [f"{other}:{revision}" for other, revision in at.items() if other in needs]
    path = write_revision(empty, app, "initial", found, requires, id)
    del empty.scripts[name]  # so that what the caller adds to the file is read
    return Path(path)


@contextmanager
def empty_database(databases: Databases, url: URL) -> Iterator[URL]:
    """Yield the URL of an empty database on the same server; SQLite's is a temporary file.

    On PostgreSQL it gets the schemas and extensions of the other, which revisions seldom create.
    """
    if url.get_backend_name() == "sqlite":
        with TemporaryDirectory() as folder:
            yield url.set(database=str(Path(folder, "empty.db")))
        return
    name = f"empty_{uuid4().hex}"
    # Drivers prefer these options to the name in the path. They name the app's own database.
    empty = url.set(database=name).difference_update_query(["dbname", "db", "database"])
    event.listen(Engine, "before_cursor_execute", unless_there, retval=True)
    try:
        with uninterrupted():  # else the server might create it after the drop
            databases.run(url, partial(execute, statement=f"CREATE DATABASE {name}"))
        if url.get_backend_name() == "postgresql":
            for statement in databases.run(url, lambda real: real.scalars(SURROUNDINGS).all()):
                with suppress(DBAPIError):  # a revision that needs it fails
                    databases.run(empty, partial(execute, statement=statement))
        yield empty
    finally:
        with uninterrupted():
            event.remove(Engine, "before_cursor_execute", unless_there)
            databases.close()
            databases.run(url, partial(drop_database, name=name))


def unless_there(
    connection: Connection, _: Any, statement: str, parameters: Any, *__: Any
) -> tuple[str, Any]:
    """Return the statement, with IF NOT EXISTS if it creates a schema or an extension."""
    if connection.dialect.name == "postgresql":
        statement = CREATES.sub(r"\1IF NOT EXISTS ", statement, count=1)
    return statement, parameters


def execute(connection: Connection, statement: str) -> None:
    """Execute a statement outside any transaction."""
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))


def drop_database(connection: Connection, name: str) -> None:
    """Drop a database if it exists, even if an interrupted run is still connected to it."""
    version = connection.dialect.server_version_info or ()
    force = connection.dialect.name == "postgresql" and version >= (13,)
    execute(connection, f"DROP DATABASE IF EXISTS {name}{' WITH (FORCE)' if force else ''}")
