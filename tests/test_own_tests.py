"""The tests that a project comes with, on every database and through every driver."""

from pathlib import Path

import pytest

from project import bake
from servers import new_database


@pytest.mark.parametrize(
    ("kind", "layout", "driver"),
    [
        ("sqlite", "per_app", "sqlite+aiosqlite"),
        ("postgresql", "per_app", "postgresql+asyncpg"),
        ("mysql", "shared", "mysql+pymysql"),
    ],
)
def test_project_passes_its_own_tests(kind: str, layout: str, driver: str, tmp_path: Path) -> None:
    project = bake(tmp_path, database=kind, database_layout=layout, async_driver="aio" in driver)
    scratch = f"sqlite:///{tmp_path}/scratch.db"
    project.run("./generate.sh", env={f"{app}_DATABASE_URL": scratch for app in ("USERS", "BOOKS")})
    if kind == "sqlite":
        project.environment["DATABASE_URL"] = f"{driver}://"
        assert "8 passed" in project.run("make", "test").stdout
        return
    with new_database(kind) as database:
        project.environment["DATABASE_URL"] = database.with_driver(driver).text
        assert "8 passed" in project.run("make", "test").stdout
