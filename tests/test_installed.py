"""The package alembic_apps, installed into an empty virtual environment: nothing is copied."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages import assert_runs_as_shown, section
from project import DEV, TEMPLATE, Project
from servers import Database

PAGE = (TEMPLATE / "docs" / "adopting.md").read_text()
SECTION = section(PAGE, "Install instead of copying")

MODELS = """
import sqlalchemy as sa
from sqlalchemy import orm


class Base(orm.DeclarativeBase): ...


class Model(Base):
    __tablename__ = "{app}"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(50))
"""


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the package, what it depends on, and two drivers."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    uv = str(DEV / "bin" / "uv")
    python = str(folder / "bin" / "python")
    subprocess.run(
        [uv, "venv", "--quiet", "--python", str(DEV / "bin" / "python"), folder], check=True
    )
    packages = [str(TEMPLATE), "psycopg[binary]", "pymysql"]
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *packages],
        check=True,
    )
    return folder


@pytest.fixture
def repository(tmp_path: Path, venv: Path) -> Iterator[Project]:
    """A repository with two packages of models, a folder for the revisions of each, and no more."""
    for app in ("users", "orders"):
        (tmp_path / "shop" / app / "migrations").mkdir(parents=True)
        (tmp_path / "shop" / app / "models.py").write_text(MODELS.format(app=app))
    yield Project(tmp_path, venv=venv, warm=False)
    python = {path.name for path in tmp_path.glob("*") if path.suffix != ".db"}
    assert python <= {"alembic.ini", "shop"}


def test_it_migrates_as_the_page_says(repository: Project, database: Database) -> None:
    for app in ("USERS", "ORDERS"):
        repository.environment[f"{app}_DATABASE_URL"] = database.text
    assert_runs_as_shown(SECTION, repository.path, repository.env())

    with (repository.path / "shop/users/models.py").open("a") as file:
        file.write("    age: orm.Mapped[int | None]\n")
    apps = ("python", "-m", "alembic_apps")
    line = repository.refused(*apps, "check")
    assert (
        line
        == "users: models and database differ: add users age; run python -m alembic_apps generate"
    )
    repository.run(*apps, "generate")
    assert "(add users age)" in repository.run(*apps, "migrate").stdout
    repository.run("alembic", "--name", "users", "downgrade", "-1")
    repository.run("alembic", "--name", "users", "upgrade", "head")
    assert repository.run(*apps, "check").stdout == "users   no changes\norders  no changes\n"
    repository.run(*apps, "downgrade", "base")
    assert repository.run(*apps, "status").stdout.count("  -  ") == 2


def test_alembic_without_a_name(repository: Project) -> None:
    text = SECTION.partition("# alembic.ini\n")[2].partition("```")[0]
    (repository.path / "alembic.ini").write_text(text)
    for command in (["revision", "-m", "stray"], ["upgrade", "head"]):
        assert repository.refused("alembic", *command) == (
            "name an app: alembic --name APP ..., where APP is one of: users, orders;"
            " python -m alembic_apps migrate migrates them all"
        )


def test_a_program_migrates_when_it_starts(repository: Project) -> None:
    assert_runs_as_shown(SECTION, repository.path, repository.env())
    text = section(PAGE, "A program that migrates when it starts")
    assert_runs_as_shown(text, repository.path, repository.env())  # the last block counts
    code = "from shop.start import start; start()"
    repository.run("python", "-c", code, env={"USERS_DATABASE_URL": "sqlite:///started.db"})
    assert repository.tables("started.db") == {"alembic_version_users", "users"}


PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "shop"
version = "1.0"

[tool.hatch.build.targets.wheel]
packages = ["shop"]
"""


def test_a_package_ships_its_migrations(
    repository: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = section(PAGE, "A package that ships its migrations")
    assert_runs_as_shown(text, repository.path, repository.env())
    source, site, elsewhere = (tmp_path_factory.mktemp(name) for name in ("source", "site", "any"))
    shutil.copytree(repository.path / "shop", source / "shop")
    (source / "pyproject.toml").write_text(PYPROJECT)
    uv = str(DEV / "bin" / "uv")
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(source)]
    subprocess.run(install, check=True)
    code = "from shop.start import start; start()"
    user = Project(elsewhere, {"PYTHONPATH": str(site)}, repository.venv, warm=False)
    user.run("python", "-c", code)
    assert {"users", "orders", "alembic_version_orders"} < user.tables("shop.db")
