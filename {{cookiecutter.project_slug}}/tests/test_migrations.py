"""The migrations of every app: one head, up, down and up again, and models that match them.

New apps are found in alembic.ini. Every test has a new SQLite database, unless DATABASE_URL
names another: that one must be empty, and is emptied again after each test.
"""

import os
from collections.abc import Iterator
from pathlib import Path

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
from sqlalchemy import Engine, create_engine, inspect, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from migrations.apps import App, read_apps
from migrations.databases import Databases

INI = Path(__file__).parents[1] / "alembic.ini"
APPS = list(read_apps(Config(INI)).values())
VERSION_TABLES = {app.version_table for app in APPS}


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
    """A database that has only the apps before this one: its tables may refer to theirs."""
    url = make_url(os.environ.get("DATABASE_URL") or f"sqlite:///{tmp_path}/test.db")
    engine = create_async_engine(url) if url.get_dialect().is_async else create_engine(url)
    found = Databases().run(url, lambda connection: inspect(connection).get_table_names())
    if tables := set(found) - VERSION_TABLES:
        pytest.fail(f"the database of DATABASE_URL has tables: {sorted(tables)}", pytrace=False)
    shared = [other for other in APPS if other.database == app.database]
    for other in shared[: shared.index(app)]:
        command.upgrade(on(engine, other), "head")
    yield engine
    for other in reversed(shared):
        command.downgrade(on(engine, other), "base")


def on(engine: Engine | AsyncEngine, app: App) -> Config:
    """Configure Alembic for an app, to work on an engine."""
    return Config(INI, ini_section=app.name, attributes={"connection": engine})
