"""Test the migrations of every app: one head, up, down and up again, and models that match them.

The apps are found in alembic.ini. Every test gets a new database: an SQLite file or, if
DATABASE_URL is set, a database on that server.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import to_tuple
from pytest_alembic import Config as PytestAlembicConfig
from pytest_alembic import MigrationContext, runner
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
from migrations.order import Order
from migrations.revision_files import files_of, oldest_first, tables_created

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
"""Select the statements that create a PostgreSQL database's schemas and extensions."""


@pytest.fixture(params=APPS, ids=[app.name for app in APPS])
def app(request: pytest.FixtureRequest) -> App:
    """Return the app under test."""
    found: App = request.param
    return found


@pytest.fixture
def alembic_config(app: App) -> Config:
    """Return the configuration of Alembic for the app, as pytest-alembic needs it."""
    if not script(app).get_heads():
        pytest.skip(f"{app.name} has no revisions yet; run ./generate.sh")
    return Config(INI, ini_section=app.name)


@pytest.fixture
def alembic_engine(tmp_path: Path) -> Iterator[Engine | AsyncEngine]:
    """Create a new database, and yield an engine for it."""
    with new_database(tmp_path) as url:
        create = create_async_engine if url.get_dialect().is_async else create_engine
        yield create(url, poolclass=NullPool)


@pytest.fixture
def alembic_runner(
    app: App,
    alembic_config: Config,
    alembic_engine: Engine | AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MigrationContext]:
    """Yield pytest-alembic's runner; it also migrates other apps as far as is needed."""
    steps = steps_with_others(app)
    own = [place for place, (other, _) in enumerate(steps) if other is app]
    end_of = {steps[place][1].revision: place + 1 for place in own}
    done = 0

    def go_to(revision: str) -> None:
        nonlocal done
        end = end_of.get(revision, own[0] if revision == "base" else len(steps))
        for other, step in steps[done:end]:
            command.upgrade(on(alembic_engine, other), step.revision)
        for other, step in reversed(steps[end:done]):
            down = to_tuple(step.down_revision, default=("base",))[0]
            command.downgrade(on(alembic_engine, other), down)
        done = end

    config = PytestAlembicConfig.from_raw_config(alembic_config)
    engine: Any = alembic_engine  # an AsyncEngine works as well
    with runner(config, engine) as context:
        for direction in ("upgrade", "downgrade"):
            monkeypatch.setattr(context.command_executor, direction, go_to)
        yield context


def steps_with_others(app: App) -> list[tuple[App, Script]]:
    """Return all revisions of an app and those of other apps that it needs, in their order.

    It needs all revisions of earlier apps in its database, all of apps that created a table of its
    models, and whatever any of these require.
    """
    order = Order({it.name: it for it in APPS}, script)
    revisions = {it: oldest_first(script(it)) for it in APPS}
    near = [it for it in APPS if it.database == app.database]
    whole = near[: near.index(app) + 1]
    whole += [it for it in near if tables_created(files_of(script(it))) & app.model_tables.keys()]
    wanted = {f"{it.name}:{step.revision}" for it in whole for step in revisions[it]}
    plan = order.plan(revisions, lambda _: set(), up=True)
    found = []
    for other, step in reversed([(other, step) for other, run in plan for step in run]):
        if f"{other.name}:{step.revision}" in wanted:
            found.append((other, step))
            wanted.update(order.required(other, step))
            wanted.update(f"{other.name}:{id}" for id in to_tuple(step.down_revision, default=()))
    return found[::-1]


@cache
def script(app: App) -> ScriptDirectory:
    """Return the revisions of an app."""
    return ScriptDirectory.from_config(Config(INI, ini_section=app.name))


@contextmanager
def new_database(folder: Path) -> Iterator[URL]:
    """Create a database, yield its URL, and drop it afterwards.

    On PostgreSQL it gets the schemas and extensions of the original, which revisions seldom create.
    """
    server = make_url(os.environ.get("DATABASE_URL") or "sqlite://")
    if server.get_backend_name() == "sqlite":
        yield server.set(database=str(folder / "test.db"))
        return
    name = f"test_{uuid4().hex}"
    # These options would override the name of the new database.
    new = server.set(database=name).difference_update_query(["dbname", "database", "db"])
    execute(server, f"CREATE DATABASE {name}")
    try:
        if server.get_backend_name() == "postgresql":
            for statement in execute(server, SURROUNDINGS):
                with suppress(DBAPIError):  # a revision that needs it fails
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
    """Run a statement outside any transaction, and return its first column if it has one."""

    def work(connection: Connection) -> Sequence[str]:
        options = connection.execution_options(isolation_level="AUTOCOMMIT")
        result = options.execute(text(statement))
        return result.scalars().all() if result.returns_rows else ()

    databases = Databases()
    found = databases.run(server, work)
    databases.close()
    return found


def on(engine: Engine | AsyncEngine, app: App) -> Config:
    """Return the configuration of Alembic for an app, to work on this engine."""
    return Config(INI, ini_section=app.name, attributes={"connection": engine})
