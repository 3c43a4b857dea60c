"""The migrations of every app: one head, up, down and up again, and models that match them.

New apps are found in alembic.ini. Every test has a new database: an SQLite file or, where
DATABASE_URL is set, a database on that server.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from pytest_alembic.tests import (  # noqa: F401
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from migrations.apps import App, read_apps
from migrations.databases import Databases

INI = Path(__file__).parents[1] / "alembic.ini"
APPS = list(read_apps(Config(INI)).values())

SURROUNDINGS = """
    SELECT 'CREATE SCHEMA ' || quote_ident(nspname), 1 AS rank, oid FROM pg_namespace
    WHERE nspname !~ '^(pg_|information_schema$)' AND oid NOT IN (
        SELECT objid FROM pg_depend
        WHERE classid = CAST('pg_namespace' AS regclass) AND deptype = 'e'
    )
    UNION ALL
    SELECT 'CREATE EXTENSION ' || quote_ident(extname)
        || ' SCHEMA ' || CAST(CAST(extnamespace AS regnamespace) AS text), 2, oid FROM pg_extension
    ORDER BY rank, oid
"""
"""Ask a PostgreSQL database what creates its schemas and extensions."""


@pytest.fixture(params=APPS, ids=[app.name for app in APPS])
def app(request: pytest.FixtureRequest) -> App:
    """The app under test."""
    found: App = request.param
    return found


@pytest.fixture
def alembic_config(app: App) -> Config:
    """What pytest-alembic needs to know of the app."""
    config = Config(INI, ini_section=app.name)
    if not ScriptDirectory.from_config(config).get_heads():
        pytest.skip(f"{app.name} has no revisions yet: ./generate.sh makes the first")
    return config


@pytest.fixture
def alembic_engine(app: App, tmp_path: Path) -> Iterator[Engine | AsyncEngine]:
    """A new database that has only the apps before this one: its tables may refer to theirs."""
    with new_database(tmp_path) as url:
        create = create_async_engine if url.get_dialect().is_async else create_engine
        engine = create(url, poolclass=NullPool)
        shared = [other for other in APPS if other.database == app.database]
        for other in shared[: shared.index(app)]:
            command.upgrade(on(engine, other), "head")
        yield engine


@contextmanager
def new_database(folder: Path) -> Iterator[URL]:
    """Create a database, and drop it afterwards.

    On PostgreSQL it gets the schemas and extensions that are there already: mostly an administrator
    made them, and no revision.
    """
    server = make_url(os.environ.get("DATABASE_URL") or "sqlite://")
    if server.get_backend_name() == "sqlite":
        yield server.set(database=str(folder / "test.db"))
        return
    name = f"test_{uuid4().hex}"
    # These options, if there are any, would outrank the name of the new database.
    new = server.set(database=name).difference_update_query(["dbname", "database", "db"])
    execute(server, f"CREATE DATABASE {name}")
    try:
        if server.get_backend_name() == "postgresql":
            for statement in execute(server, SURROUNDINGS):
                with suppress(DBAPIError):  # a revision that needs it says so
                    execute(new, statement)
        yield new
    finally:
        execute(server, f"DROP DATABASE {name}")


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def unless_there(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
    """Let a revision that creates a schema or an extension find it there."""
    create = r"(?i)(\s*CREATE\s+(?:SCHEMA|EXTENSION)\s++)(?!IF\s)"
    found = re.match(create, statement)
    return f"{found[0]}IF NOT EXISTS {statement[found.end() :]}" if found else statement, parameters


def execute(server: URL, statement: str) -> Sequence[str]:
    """Run a statement outside of any transaction, and return its first column if it has any."""

    def work(connection: Connection) -> Sequence[str]:
        options = connection.execution_options(isolation_level="AUTOCOMMIT")
        result = options.execute(text(statement))
        return result.scalars().all() if result.returns_rows else ()

    databases = Databases()
    found = databases.run(server, work)
    databases.close()
    return found


def on(engine: Engine | AsyncEngine, app: App) -> Config:
    """Configure Alembic for an app, to work on an engine."""
    return Config(INI, ini_section=app.name, attributes={"connection": engine})
