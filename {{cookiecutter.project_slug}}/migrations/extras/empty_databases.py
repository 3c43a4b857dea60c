"""Empty databases, of the same kind as an app's own: to write a first revision, and to try it."""

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
"""What makes the schemas of a PostgreSQL database, but for those of extensions, and these."""

CREATES = re.compile(r"(\s*CREATE\s+(SCHEMA|EXTENSION)\s++)(?!IF\s)", re.IGNORECASE)


def check_schemas(run: Run, app: App) -> None:
    """Refuse schemas where each is a database of its own: an empty one would stand in for none."""
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
                    f"{other.name}: {where} has the schema {schema}, which is a database"
                    " of its own on MySQL and MariaDB: what is tried out in an empty one would"
                    " change it; take the schema out, or write the revision by hand"
                )


@contextmanager
def in_empty_database(run: Run, app: App, folders: Mapping[str, Path]) -> Iterator[Run]:
    """Yield a run in which an empty database stands in for the app's own; drop it in the end.

    The apps that `folders` names have the revisions in there instead of their own.
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
    """Write a revision that creates all that an app's models have; `empty` is such a run.

    It requires the apps that the models need, and those in `also`, at the revisions in `at`.
    """
    app = empty.apps[name]
    found = compare(empty, [app])[app]
    needs = {*(other.name for other in needed(app, found)), *also}
    requires = [f"{other}:{revision}" for other, revision in at.items() if other in needs]
    path = write_revision(empty, app, "initial", found, requires, id)
    del empty.scripts[name]  # what the caller adds to the file is read again
    return Path(path)


@contextmanager
def empty_database(databases: Databases, url: URL) -> Iterator[URL]:
    """Yield the URL of an empty database beside another one; SQLite's is a temporary file.

    On PostgreSQL it has the other's schemas and extensions: mostly no revision creates those.
    """
    if url.get_backend_name() == "sqlite":
        with TemporaryDirectory() as folder:
            yield url.set(database=str(Path(folder, "empty.db")))
        return
    name = f"empty_{uuid4().hex}"
    # Drivers prefer these options to the name in the path: they would lead to the database itself.
    empty = url.set(database=name).difference_update_query(["dbname", "db", "database"])
    event.listen(Engine, "before_cursor_execute", unless_there, retval=True)
    try:
        with uninterrupted():  # else the server could go on to create what is dropped already
            databases.run(url, partial(execute, statement=f"CREATE DATABASE {name}"))
        if url.get_backend_name() == "postgresql":
            for statement in databases.run(url, lambda real: real.scalars(SURROUNDINGS).all()):
                with suppress(DBAPIError):  # a revision that needs it says so
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
    """Return the statement; one that creates a schema or an extension may find it there."""
    if connection.dialect.name == "postgresql":
        statement = CREATES.sub(r"\1IF NOT EXISTS ", statement, count=1)
    return statement, parameters


def execute(connection: Connection, statement: str) -> None:
    """Execute a statement for which there may be no transaction."""
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))


def drop_database(connection: Connection, name: str) -> None:
    """Drop a database if it exists; an interrupted run may have left a connection to it."""
    version = connection.dialect.server_version_info or ()
    force = connection.dialect.name == "postgresql" and version >= (13,)
    execute(connection, f"DROP DATABASE IF EXISTS {name}{' WITH (FORCE)' if force else ''}")
