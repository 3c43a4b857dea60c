"""The package alembic_apps, installed into an empty virtual environment: nothing is copied."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages import assert_runs_as_shown, section
from project import DEV, TEMPLATE, Project
from servers import Database

PAGE = (TEMPLATE / "docs" / "adopting.md").read_text()
PLUG_INS = (TEMPLATE / "docs" / "plug-ins.md").read_text()


def inis(title: str) -> str:
    """The parts of alembic.ini in a section of the page."""
    return "\n".join(re.findall(r"(?ms)^```ini\n# alembic\.ini.*?^```$", section(PAGE, title)))


INI = "\n".join(
    [
        inis("Copy the folder"),
        section(PAGE, "Install instead of copying"),
        inis("Tables made by `create_all`"),
        "",
    ]
)
"""What writes the alembic.ini of a repository with two apps that has installed the package."""

APPS = ("python", "-m", "alembic_apps")

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
    assert_runs_as_shown(INI, repository.path, repository.env())
    assert repository.run(*APPS, "generate").stdout.count("  wrote ") == 2
    assert repository.run(*APPS, "migrate").stdout.count("  applied ") == 2

    with (repository.path / "shop/users/models.py").open("a") as file:
        file.write("    age: orm.Mapped[int | None]\n")
    line = repository.refused(*APPS, "check")
    assert (
        line
        == "users: models and database differ: add users age; run python -m alembic_apps generate,"
        " or correct the database"
    )
    repository.run(*APPS, "generate")
    assert "(add users age)" in repository.run(*APPS, "migrate").stdout
    repository.run("alembic", "--name", "users", "downgrade", "-1")
    repository.run("alembic", "--name", "users", "upgrade", "head")
    assert repository.run(*APPS, "check").stdout == "users   no changes\norders  no changes\n"
    repository.run(*APPS, "downgrade", "base")
    assert repository.run(*APPS, "status").stdout.count("  -  ") == 2


def test_alembic_without_a_name(repository: Project) -> None:
    assert_runs_as_shown(INI, repository.path, repository.env())
    for command in (["revision", "-m", "stray"], ["upgrade", "head"]):
        line = (
            "name an app: alembic --name users|orders ...;"
            " python -m alembic_apps migrate migrates them all"
        )
        assert repository.refused("alembic", *command) == line


def test_a_program_migrates_when_it_starts(repository: Project) -> None:
    assert_runs_as_shown(INI, repository.path, repository.env())
    repository.run(*APPS, "generate")
    text = section(PAGE, "A program that migrates when it starts")
    [code] = re.findall(r"(?ms)^```python\n(.*?)^```", text)
    for old, new in {
        "migrations.commands.migrate": "alembic_apps.commands.migrate",
        "migrate_apps()": 'migrate_apps(ini="alembic.ini")',
    }.items():
        assert f"`{new}`" in text
        code = code.replace(old, new)
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
    text = section(PLUG_INS, "A package that ships its migrations")
    assert_runs_as_shown(text, repository.path, repository.env())
    [command] = re.findall(r"`(python -m alembic_apps generate .*)`", text)
    assert repository.run(*command.split()).stdout.count("  wrote ") == 2
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
