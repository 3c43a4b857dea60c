"""Empty databases to try something in, of the same kind as an app's own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from alembic import command
from alembic.config import Config
from alembic.script import Script
from sqlalchemy import URL, Connection, text

from .apps import App
from .databases import Databases
from .run import Run


@contextmanager
def in_empty_database(
    run: Run, app: App, folders: Mapping[str, Path] | None = None
) -> Iterator[Run]:
    """A run in which an empty database, gone afterwards, stands in for the app's own.

    Where folders are given by the names of apps, their revisions are those that are in there.
    """
    databases = Databases()
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


@contextmanager
def empty_database(databases: Databases, url: URL) -> Iterator[URL]:
    """The URL of an empty database beside another one; SQLite's is a temporary file."""
    if url.get_backend_name() == "sqlite":
        with TemporaryDirectory() as folder:
            try:
                yield url.set(database=str(Path(folder, "empty.db")))
            finally:
                databases.close()
        return
    name = f"empty_{uuid4().hex}"
    databases.run(url, outside_of_transactions(f"CREATE DATABASE {name}"))
    try:
        yield url.set(database=name)
    finally:
        databases.close()
        databases.run(url, outside_of_transactions(f"DROP DATABASE {name}"))
        databases.close()


def outside_of_transactions(statement: str) -> Callable[[Connection], None]:
    """Work that executes a statement for which there may be no transaction."""

    def execute(connection: Connection) -> None:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))

    return execute


def write_initial(
    run: Run, app: App, revision: str | None = None, folder: Path | None = None
) -> Path:
    """Write a revision that creates all that the app's models have; elsewhere, if so told."""
    with in_empty_database(run, app, {app.name: folder} if folder else None) as empty:
        script = command.revision(
            empty.turn_to(app), message="initial", autogenerate=True, rev_id=revision
        )
    assert isinstance(script, Script)
    return Path(script.path)
