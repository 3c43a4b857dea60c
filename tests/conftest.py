"""Fixtures: projects to run, and databases for them."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from project import Project, bake
from servers import Database, new_database

pytest.register_assert_rewrite("pages")

# Where a shell runs the tests in the background, these are ignored, also in what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

# Importing from the template would leave bytecode in it, and in every bake.
sys.dont_write_bytecode = True

# Files with tests that take long. They come first, so that no worker has one left in the end.
LONG = (
    "test_benchmarks.py",
    "test_readme.py",
    "test_update.py",
    "test_plug_ins.py",
    "test_interruption.py",
    "test_concurrency.py",
    "test_galera.py",
)

# Files whose tests run on the newest PostgreSQL, too.
NEWEST_TOO = ("test_concurrency", "test_enum_types")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let tests of some files have a database of either PostgreSQL server in turn."""
    if metafunc.module.__name__ in NEWEST_TOO and "postgresql" in metafunc.fixturenames:
        metafunc.parametrize("postgresql", ["postgresql", "newest postgresql"], indirect=True)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: most tests wait now and then, for a disk or a lock."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) + 1
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the long tests come first."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(name="bake")
def bake_here(tmp_path: Path) -> Callable[..., Project]:
    """Bake a project in the test's own folder: `bake(apps="users", database="mysql")`."""
    return lambda **answers: bake(tmp_path, **answers)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The default project: users and books, in one SQLite database."""
    return bake(tmp_path)


@pytest.fixture
def postgresql(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty PostgreSQL database."""
    with new_database(getattr(request, "param", "postgresql")) as database:
        yield database


@pytest.fixture
def mysql() -> Iterator[Database]:
    """An empty MariaDB or MySQL database."""
    with new_database("mysql") as database:
        yield database


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind in turn; give its `text` to a project as DATABASE_URL."""
    with new_database(request.param, tmp_path) as database:
        yield database
