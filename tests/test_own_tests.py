"""The tests that a project comes with, on every database and through every driver."""

import shutil
from pathlib import Path

import pytest

from project import bake
from servers import Database, new_database


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


MODEL = """
from sqlalchemy.dialects.postgresql import CITEXT

class Note(Base):
    __tablename__ = "notes"
    __table_args__ = {"schema": "legacy"}
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str] = orm.mapped_column(CITEXT)
"""


@pytest.mark.parametrize("driver", ["postgresql+asyncpg", "postgresql+psycopg"])
def test_what_an_administrator_made_is_there(
    driver: str, postgresql: Database, tmp_path: Path
) -> None:
    if not postgresql.query("SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"):
        pytest.skip("the server has no extension citext")
    project = bake(tmp_path, database="postgresql", async_driver="asyncpg" in driver)
    needed = ["__init__.py", *["async_drivers.py"] * ("asyncpg" in driver)]
    extras = project.path / "migrations" / "extras"
    texts = {extras / name: (extras / name).read_text() for name in needed}
    shutil.rmtree(extras)
    extras.mkdir()
    for path, kept in texts.items():
        path.write_text(kept)
    project.environment["DATABASE_URL"] = postgresql.with_driver(driver).text
    for statement in ("SCHEMA legacy", "SCHEMA own", "EXTENSION citext"):
        postgresql.query(f"CREATE {statement}")
    with project.models("users").open("a") as file:
        file.write(MODEL)
    project.run("./generate.sh")
    [revision] = project.revisions("users")
    text = revision.read_text()
    for direction, statement in (
        ("upgrade", "CREATE SCHEMA own"),
        ("downgrade", "DROP SCHEMA own"),
    ):
        start = f"def {direction}() -> None:\n"
        assert start in text
        text = text.replace(start, f"{start}    op.execute('{statement}')\n")
    revision.write_text(text)
    assert "8 passed" in project.run("make", "test").stdout
