"""The page on deploying of a project: from a program that starts, and from a wheel."""

import re
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from pages import assert_runs_as_shown, section
from project import TEMPLATE, Project, bake
from revisions import add_revision
from servers import Database, new_database

FASTAPI = """
class FastAPI:
    def __init__(self, lifespan):
        self.lifespan = lifespan
"""

SERVE = """
import asyncio
from main import app

async def serve():
    async with app.lifespan(app):
        print("started")

asyncio.run(serve())
"""

FROM_A_PROGRAM = """
import gc, logging, os, signal, sys, warnings

gc.disable()

def state():
    loggers = [logging.getLogger(name) for name in (None, "alembic", "alembic.runtime.migration")]
    settings = [(it.level, it.handlers, it.disabled) for it in loggers]
    signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    collection = gc.isenabled(), gc.get_freeze_count()
    return settings, signals, collection, warnings.filters, warnings.formatwarning, sys.stdout

before = [list(it) if isinstance(it, list) else it for it in state()]
from migrations.extras.from_python import migrate_apps
migrate_apps(*sys.argv[1:])
assert before == [*state()], (before, state())
"""

FROM_ANYWHERE = """
import sys
from alembic.util import CommandError
from migrations.extras.from_python import migrate_apps

try:
    migrate_apps(*sys.argv[2:], ini=sys.argv[1] or None)
except CommandError as error:
    print(f"raised: {error}")
"""

EXAMPLE_TEST = """
from sqlalchemy import create_engine, inspect

def test_tables(url):
    for is_async, driver in {"aiosqlite": "pysqlite", "asyncpg": "psycopg", "aio": "py"}.items():
        url = url.replace(is_async, driver)
    engine = create_engine(url)
    assert {"users", "books"} < set(inspect(engine).get_table_names())
    engine.dispose()
"""


@pytest.mark.parametrize(
    ("kind", "layout", "driver"),
    [
        ("sqlite", "shared", "sqlite"),
        ("sqlite", "per_app", "sqlite+aiosqlite"),
        ("postgresql", "shared", "postgresql+asyncpg"),
        ("postgresql", "per_app", "postgresql+psycopg"),
        ("mysql", "shared", "mysql+aiomysql"),
        ("mysql", "per_app", "mysql+pymysql"),
    ],
)
def test_a_program_migrates_when_it_starts(
    kind: str, layout: str, driver: str, tmp_path: Path
) -> None:
    is_async = driver.partition("+")[2].startswith(("aio", "asyncpg"))
    project = bake(tmp_path, database=kind, database_layout=layout, async_driver=is_async)
    (project.path / "fastapi.py").write_text(FASTAPI)
    (project.path / "serve.py").write_text(SERVE)
    page = (project.path / "docs" / "deploying.md").read_text()
    assert_runs_as_shown(section(page, "At the start of a program"), project.path, project.env())
    for app in ("users", "books"):
        create = f"op.create_table('{app}', sa.Column('id', sa.Integer))"
        add_revision(project, app, create, f"op.drop_table('{app}')")

    with new_database(kind, tmp_path) as database:
        for variable in ("USERS_DATABASE_URL", "BOOKS_DATABASE_URL"):
            project.environment[variable] = database.with_driver(driver).text
        replicas = [project.start("python", "serve.py") for _ in range(3)]
        for out, err in [replica.communicate() for replica in replicas]:
            assert out == "started\n"
            assert re.fullmatch(r"(\w+: waiting for another migration, 60 s at most\n)*", err), err
        assert {"users", "books"} < database.tables()
        project.run("python", "serve.py")

    with new_database(kind, tmp_path) as database:
        project.environment = {"TEST_DATABASE_URL": database.with_driver(driver).text}
        (project.path / "tests" / "test_example.py").write_text(EXAMPLE_TEST)
        done = project.run("python", "-m", "pytest", "-q", "tests/test_example.py")
        assert "1 passed" in done.stdout
        assert kind == "sqlite" or {"users", "books"} < database.tables()


def test_the_program_stays_as_it_is(project: Project) -> None:
    project.generate()
    for apps in (["users"], []):
        done = project.run("python", "-c", FROM_A_PROGRAM, *apps)
        assert (done.stdout, done.stderr) == ("", "")
        assert ("books" in project.tables()) is (not apps)


def test_an_error_is_raised_in_one_line(project: Project, tmp_path: Path) -> None:
    create = "op.create_table('users', sa.Column('id', sa.Integer))"
    add_revision(project, "users", create)
    add_revision(project, "books", "raise RuntimeError('no')")
    env = {"PYTHONPATH": str(project.path)}

    def said(*arguments: str) -> str:
        done = project.run("python", "-c", FROM_ANYWHERE, *arguments, cwd=tmp_path, env=env)
        assert not done.stderr, done.stderr
        return done.stdout

    line = (
        "books: RuntimeError: no, at my_project/src/my_project/books/migrations/books_1.py, line 7"
    )
    assert said("") == f"raised: {line}\n"
    assert project.tables() == {"users", "alembic_version_users"}
    assert said(str(project.path / "alembic.ini"), "users") == ""
    apps = "nosuch: no such app in alembic.ini; apps: users, books"
    assert said("", "nosuch") == f"raised: {apps}\n"
    advice = "run this in its folder, or name the file with -c (in Python: ini=)"
    assert (
        said("gone.ini") == f"raised: alembic.ini: gone.ini: No such file or directory; {advice}\n"
    )


@pytest.mark.parametrize("other", ["migrations.py", "migrations/__init__.py", "migrations/apps.py"])
def test_another_package_called_migrations(other: str, project: Project, tmp_path: Path) -> None:
    project.generate()
    path = tmp_path / "other" / other
    path.parent.mkdir(parents=True)
    path.touch()
    where = rf"\['{path.parent}'\]" if path.parent.name == "migrations" else "a file migrations.py"
    code = """
import migrations
from alembic import command, config, util
try:
    command.upgrade(config.Config("my_project/alembic.ini", ini_section="users"), "head")
except util.CommandError as error:
    print(error)
"""
    env = {"PYTHONPATH": str(tmp_path / "other")}
    [line] = project.run("python", "-c", code, cwd=tmp_path, env=env).stdout.splitlines()
    assert re.fullmatch(rf"another package is called migrations: .*{where}.*; rename it", line)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A virtual environment that also has the packages of the tests' own."""
    venv = tmp_path / "venv"
    launcher = Project(tmp_path)
    uv = (sys.executable, "-m", "uv")
    launcher.run(*uv, "venv", "--quiet", "--python", sys.executable, str(venv))
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib"))
    pip = venv / "bin" / "pip"
    pip.write_text('#!/bin/sh\nexec "$VIRTUAL_ENV/bin/python" -m pip "$@"\n')
    pip.chmod(0o755)
    return venv


def test_from_a_wheel(project: Project, venv: Path, database: Database, tmp_path: Path) -> None:
    project.generate()
    page = section((project.path / "docs" / "deploying.md").read_text(), "From a wheel")
    project.venv, project.warm = venv, False
    project.environment = {
        "PIP_NO_BUILD_ISOLATION": "0",  # that is: none
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "DATABASE_URL": database.text,
    }
    by_console, _, ini = page.partition("```ini\n")
    assert_runs_as_shown(by_console, project.path, project.env())
    assert {"users", "books"} < database.tables()

    def agrees(folder: Path, package: str) -> None:
        """Check that everything works in a folder, and that nothing else has the project."""
        deployed = Project(folder, project.environment, venv, warm=False)
        apps = ("python", "-m", package)
        assert deployed.run(*apps, "check").stdout == "users  no changes\nbooks  no changes\n"
        assert deployed.run(*apps, "status").stdout.count("  0  ") == 2
        deployed.run(*apps, "downgrade", "base")
        assert deployed.run(*apps, "migrate").stdout.count(" applied ") == 2

    copied = tmp_path / "copied"
    copied.mkdir()
    for name in ("alembic.ini", "migrations"):
        shutil.move(project.path / "deploy" / name, copied / name)
    shutil.rmtree(project.path)
    agrees(copied, "migrations")

    # The same with the package: alembic.ini is all that is left.
    Project(tmp_path, project.environment, venv).run(
        *("pip", "install", "--quiet", "--no-deps", str(TEMPLATE))
    )
    shutil.rmtree(copied / "migrations")
    deployed = Project(copied)
    for title, line in re.findall(r"\[(\w+)\]\n(.+)", ini.partition("```")[0]):
        deployed.set_ini(title, *line.split(" = "))
    agrees(copied, "alembic_apps")
