"""Empty databases to try something in, of the same kind as an app's own."""

import ast
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread
from typing import Any
from uuid import uuid4

from alembic import command
from alembic.config import Config
from alembic.script import Script
from alembic.util import CommandError, rev_id
from sqlalchemy import URL, Connection, event, text
from sqlalchemy.exc import DBAPIError

from ..apps import App
from ..databases import Databases, T
from ..errors import relative
from ..revision_files import files_of, upgrade_calls, whole_or_none
from ..run import Run

SURROUNDINGS = text("""
    SELECT 'CREATE SCHEMA IF NOT EXISTS ' || quote_ident(nspname) AS statement, 1 AS rank, oid
    FROM pg_namespace
    WHERE nspname !~ '^(pg_|information_schema$)' AND oid NOT IN (
        SELECT objid FROM pg_depend
        WHERE classid = CAST('pg_namespace' AS regclass) AND deptype = 'e'
    )
    UNION ALL
    SELECT 'CREATE EXTENSION IF NOT EXISTS ' || quote_ident(extname)
        || ' SCHEMA ' || CAST(CAST(extnamespace AS regnamespace) AS text), 2, oid FROM pg_extension
    ORDER BY rank, oid
""")
"""What makes the schemas of a PostgreSQL database, but for those of extensions, and these."""

SURROUNDING = re.compile(r"(\s*CREATE\s+(SCHEMA|EXTENSION)\s++)(?!IF\s)", re.IGNORECASE)


@contextmanager
def in_empty_database(
    run: Run, app: App, folders: Mapping[str, Path] | None = None
) -> Iterator[Run]:
    """A run in which an empty database, gone afterwards, stands in for the app's own.

    Where folders are given by the names of apps, their revisions are those that are in there.
    """
    check_schemas(run, app)
    databases = ScratchDatabases()
    with empty_database(databases, app.url) as url:
        other = url.render_as_string(hide_password=False)
        apps = {
            name: replace(a, url_text=other) if a.database == app.database else a
            for name, a in run.apps.items()
        }
        config = Config(run.config.config_file_name, cmd_opts=run.options)
        for name, folder in (folders or {}).items():
            apps[name] = replace(apps[name], version_locations=(str(folder),))
            location = str(folder).replace("%", "%%")
            config.set_section_option(name, "version_locations", location)
        config.attributes.update(apps=apps, databases=databases)
        selected = [apps[a.name] for a in run.selected]
        yield Run(config, run.options, run.line, apps, selected, databases)


def check_schemas(run: Run, app: App) -> None:
    """Refuse schemas where each is a database of its own: an empty one would stand in for none."""
    if app.database[0] != "mysql":
        return
    for other in run.neighbours(app):
        for where, schema in schemas_of(run, other):
            raise CommandError(
                f"{other.name}: {where} has the schema {schema}, which is a database of its own on"
                " MySQL and MariaDB: what is tried out in an empty one would change it; take the"
                " schema out, or write the revision by hand"
            )


def schemas_of(run: Run, app: App) -> Iterator[tuple[str, str]]:
    """The schemas that an app names, and where."""
    named = [app.version_table_schema, *(p.rpartition(".")[0] for p in app.tables)]
    yield from (("alembic.ini", schema) for schema in named if schema)
    yield from ((app.models, schema) for schema, _ in app.own_models if schema)
    for file in files_of(run.script(app)):
        for call in upgrade_calls(file):
            for word in call.keywords:
                if (word.arg or "").endswith("schema") and ast.unparse(word.value) != "None":
                    yield relative(str(file)), ast.unparse(word.value).strip("'")


class ScratchDatabases(Databases):
    """Databases in which revisions may create again what stands ready there."""

    def run(self, url: URL, work: Callable[[Connection], T]) -> T:
        """Call `work` with a connection to the database, and return what it returns."""

        def run(connection: Connection) -> T:
            if connection.dialect.name == "postgresql":
                event.listen(connection, "before_cursor_execute", unless_there, retval=True)
            return work(connection)

        return super().run(url, run)


def unless_there(
    _: Connection, __: Any, statement: str, parameters: Any, *___: Any
) -> tuple[str, Any]:
    """The statement, which creates a schema or an extension only where that is missing."""
    return SURROUNDING.sub(r"\1IF NOT EXISTS ", statement, count=1), parameters


@contextmanager
def empty_database(databases: Databases, url: URL) -> Iterator[URL]:
    """The URL of an empty database beside another one; SQLite's is a temporary file.

    On PostgreSQL it has the other's schemas and extensions: mostly no revision creates those.
    """
    if url.get_backend_name() == "sqlite":
        with TemporaryDirectory() as folder:
            try:
                yield url.set(database=str(Path(folder, "empty.db")))
            finally:
                databases.close()
        return
    name = f"empty_{uuid4().hex}"
    empty = url.set(database=name)
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
            databases.close()
            databases.run(url, partial(drop_database, name=name))
            databases.close()


def execute(connection: Connection, statement: str) -> None:
    """Execute a statement for which there may be no transaction."""
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))


def drop_database(connection: Connection, name: str) -> None:
    """Drop a database if it exists; an interrupted run may have left a connection to it."""
    version = connection.dialect.server_version_info or ()
    force = connection.dialect.name == "postgresql" and version >= (13,)
    execute(connection, f"DROP DATABASE IF EXISTS {name}{' WITH (FORCE)' if force else ''}")


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of the block."""
    if current_thread() is not main_thread():  # only that one is interrupted
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in handlers:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for one in came[:1]:
            signal.raise_signal(one)


def write_initial(
    run: Run, app: App, revision: str | None = None, folder: Path | None = None
) -> Path:
    """Write a revision that creates all that the app's models have; elsewhere, if so told."""
    id = revision or rev_id()
    with (
        whole_or_none([folder] if folder else app.folders, id),
        in_empty_database(run, app, {app.name: folder} if folder else None) as empty,
    ):
        script = command.revision(
            empty.config_of(app), message="initial", autogenerate=True, rev_id=id
        )
    assert isinstance(script, Script)
    return Path(script.path)
