"""Empty databases beside an app's own, in which to write a first revision and to try it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from alembic.config import Config
from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError

from ..apps import App
from ..commands.check import compare
from ..commands.generate import needed, write_revision
from ..databases import Databases
from ..errors import explain
from ..revision_files import files_of
from ..run import Run
from .precautions import changes_of, uninterrupted

SURROUNDINGS = text("""
    SELECT format('CREATE SCHEMA %I', nspname), 1 AS rank, oid FROM pg_namespace
    WHERE nspname !~ '^(pg_|information_schema$)' AND oid NOT IN (
        SELECT objid FROM pg_depend WHERE classid = 'pg_namespace'::regclass AND deptype = 'e'
    )
    UNION ALL
    SELECT format('CREATE EXTENSION %I SCHEMA %s', extname, extnamespace::regnamespace), 2, oid
    FROM pg_extension
    ORDER BY rank, oid
""")
"""Select statements that create a database's schemas (not its extensions') and extensions."""


def check_schemas(run: Run, app: App) -> None:
    """Refuse schemas on MySQL and MariaDB, where each is a real database that would be changed."""
    for other in app.neighbours if app.database[0] == "mysql" else ():
        texts = [file.read_text(encoding="utf-8") for file in files_of(run.script(other))]
        named = any(re.search(r"schema\s*=\s*(?!None)", text) for text in texts)
        if named or other.version_table_schema or any(schema for schema, _ in other.model_tables):
            raise CommandError(
                f"{other.name}: names a schema, which is another database on MySQL and MariaDB,"
                " and trying out the revision would change that; write the revision by hand"
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
        there = {it.name: replace(it, url_text=url_text, apps=apps) for it in app.neighbours}
        for name in there.keys() & folders.keys():
            folder = str(folders[name])
            there[name] = replace(there[name], version_locations=(folder,))
            config.set_section_option(name, "version_locations", folder.replace("%", "%%"))
        apps.update(there)
        yield replace(run, config=config, apps=apps, selected=[*there.values()], scripts={})


def write_initial(
    empty: Run, name: str, at: Mapping[str, str], also: Sequence[str] = (), id: str | None = None
) -> Path:
    """Write a revision that creates everything in an app's models, in a run with empty databases.

    It requires the revisions in `also`, each an `APP:ID`. Of other apps that the models need, it
    requires those in `at`.
    """
    app = empty.apps[name]
    found = compare(empty, [app])[app]
    needs = {other.name for other in needed(app, found)} - {it.partition(":")[0] for it in also}
    requires = [*also, *(f"{other}:{at[other]}" for other in at if other in needs)]
    path = write_revision(empty, app, "initial", found, requires, id)
    del empty.scripts[name]  # so that what the caller adds to the file is read
    return Path(path)


def try_out(empty: Run, app: App) -> None:
    """Run the revisions of an app, and those that they require, in an empty database.

    Raises CommandError if they fail, or if the database then differs from the app's models.
    """
    try:
        steps: dict[App, list[Script]] = {}
        todo = [app]
        while todo:
            it = todo.pop()
            if it in empty.selected and it not in steps:
                steps[it] = empty.steps(it, "head")
                needs = empty.order.requirements({it: steps[it]})
                todo += [empty.apps[name.partition(":")[0]] for _, _, name in needs]
        for it, revisions in empty.order.plan(steps, empty.applied, up=True):
            if revisions:
                empty.take(it, revisions)
        if found := changes_of(empty, app):
            raise CommandError(f"it would differ from the models: {', '.join(found)}")
    except Exception as error:
        raise CommandError(
            f"{app.name}: its first revision fails in an empty database: {explain(error)}"
        ) from error


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
            databases.close()
            databases.run(url, partial(drop_database, name=name))


def execute(connection: Connection, statement: str) -> None:
    """Execute a statement outside any transaction."""
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))


def drop_database(connection: Connection, name: str) -> None:
    """Drop a database if it exists, even if an interrupted run is still connected to it."""
    force = " WITH (FORCE)" if connection.dialect.name == "postgresql" else ""
    execute(connection, f"DROP DATABASE IF EXISTS {name}{force}")
