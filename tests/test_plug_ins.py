"""Apps of installed packages, as docs/plug-ins.md says; the wheels are real."""

import re
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from pages import assert_runs_as_shown, section
from project import NEWEST, TEMPLATE, Project, tree
from servers import Database, new_database

PAGE = (TEMPLATE / "docs" / "plug-ins.md").read_text()

ALARM = """
import os
from pathlib import Path

Path(os.environ["ALARM"]).write_text("imported")
raise RuntimeError("nobody added this")
"""


@pytest.fixture
def plug_in(project: Project) -> Project:
    """The repository of acme-notes, made as the page says, with version 1.0 built."""
    repo = Project(project.path.parent / "acme-notes")
    repo.path.mkdir()
    assert_runs_as_shown(section(PAGE, "Offer an app in a package"), repo.path, repo.shell())
    return repo


@pytest.fixture
def venv(tmp_path: Path, plug_in: Project) -> Path:
    """A virtual environment with all that the projects' own has, and wheels to install there.

    One of them is installed: it has an app and sets off an alarm when it is imported.
    """
    venv = tmp_path / "venv"
    uv = [sys.executable, "-m", "uv"]
    plug_in.run(*uv, "venv", "--quiet", "--python", str(NEWEST / "bin" / "python"), str(venv))
    venv_file(venv, "newest.pth").write_text(str(venv_file(NEWEST, "")))
    pip = venv / "bin" / "pip"
    pip.write_text('#!/bin/sh\nexec "$VIRTUAL_ENV/bin/python" -m pip "$@"\n')
    pip.chmod(0o755)

    alarm = tmp_path / "alarm"
    shutil.copytree(plug_in.path / "src" / "acme_notes", alarm / "src" / "acme_alarm")
    (alarm / "src" / "acme_alarm" / "__init__.py").write_text(ALARM)
    text = (plug_in.path / "pyproject.toml").read_text()
    text = text.replace("notes =", "alarm =").replace("notes", "alarm")
    (alarm / "pyproject.toml").write_text(text)
    plug_in.run(*uv, "build", "--quiet", "--wheel", cwd=alarm)
    [wheel] = (alarm / "dist").glob("*.whl")
    plug_in.run(str(pip), "install", "--quiet", "--no-index", str(wheel), env=active(venv, plug_in))
    return venv


def active(venv: Path, plug_in: Project) -> dict[str, str]:
    """The environment in which a virtual environment is active, and pip finds the plug-in."""
    return {
        "VIRTUAL_ENV": str(venv),
        "PATH": f"{venv / 'bin'}:{plug_in.env()['PATH']}",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(plug_in.path / "dist"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "ALARM": str(venv / "alarm"),
    }


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_app_of_a_package(
    kind: str, project: Project, plug_in: Project, venv: Path, tmp_path: Path
) -> None:
    with new_database(kind, tmp_path) as live, new_database(kind, tmp_path) as fresh:
        project.environment["DATABASE_URL"] = live.text
        with_url = PAGE.replace("sqlite:///my_project.db", shown(live))
        project.generate()
        project.migrate()
        project.environment |= active(venv, plug_in)
        project.run("pip", "uninstall", "--quiet", "--yes", "acme-notes")

        def follow(title: str) -> None:
            """Do what a part of the page says."""
            text = section(with_url, title).partition("\n### ")[0]
            assert_runs_as_shown(text, project.path, project.env())

        ini = (project.path / "alembic.ini").read_bytes()
        live.query("INSERT INTO users (id, name) VALUES (1, 'ann')")
        before = live.rows()

        follow("Use an app of a package")
        live.query("INSERT INTO notes (id, text) VALUES (7, 'buy milk')")
        release(plug_in)
        follow("Take a new version of the package")
        assert live.query("SELECT * FROM notes") == [(7, "buy milk", None)]
        with_app = (project.path / "alembic.ini").read_text()
        project.migrations("check")
        project.run("./migrate.sh", env={"DATABASE_URL": fresh.text})
        assert fresh.schema() == live.schema()
        models = venv_file(venv, "acme_notes/models.py")
        released = models.read_text()
        models.write_text(f"{released}    added: orm.Mapped[int | None]\n")
        assert "belong to an installed package" in project.refused("./generate.sh")
        models.write_text(released)

        follow("Remove an app of a package")
        assert (project.path / "alembic.ini").read_bytes() == ini
        assert live.rows() == before

        project.run("pip", "install", "--quiet", "acme-notes")
        project.run("./add_app.sh", "--installed", "notes")
        project.migrate()
        live.query("INSERT INTO notes (id, text) VALUES (7, 'buy milk')")
        after = live.rows()
        project.run("pip", "uninstall", "--quiet", "--yes", "acme-notes")
        follow("When the package is gone already")
        assert (project.path / "alembic.ini").read_bytes() == ini
        assert live.rows() == after

        project.run("pip", "install", "--quiet", "acme-notes")
        (project.path / "alembic.ini").write_text(with_app)
        assert project.migrate("notes") == "notes  up to date\n"
        project.run("python", "-m", "migrations", "remove", "notes", "--yes")
        assert live.rows() == before
        assert not (venv / "alarm").exists()


def test_a_package_without_an_entry_point(project: Project, plug_in: Project) -> None:
    package = project.path.parent / "packages" / "acme_notes"
    shutil.copytree(plug_in.path / "src" / "acme_notes", package)
    versions = package / "migrations" / "versions"
    versions.mkdir()
    for revision in (package / "migrations").glob("*_initial.py"):
        revision.rename(versions / revision.name)
    project.environment["PYTHONPATH"] = str(package.parent)
    text = section(PAGE, "A package without an entry point")
    with_revisions, without = re.findall(r"(?ms)^```ini\n(.*?)^```", text)

    ini = project.path / "alembic.ini"
    before = ini.read_text()
    ini.write_text(f"{before}\n{with_revisions}")
    assert project.migrate("notes").startswith("notes  applied ")
    with (package / "models.py").open("a") as models:
        models.write("    written: orm.Mapped[str | None]\n")
    assert "belong to an installed package; install" in project.refused("./generate.sh", "notes")

    project.environment["DATABASE_URL"] = "sqlite:///without.db"
    ini.write_text(f"{before}\n{without}")
    (project.path / "src" / "my_project" / "notes_migrations").mkdir()
    assert project.revise("notes").parent.name == "notes_migrations"
    assert project.migrate("notes").startswith("notes  applied ")
    ini.write_text(before)
    project.generate()
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"


def shown(database: Database) -> str:
    """A database's URL as messages have it."""
    return database.url.render_as_string()


def release(plug_in: Project) -> None:
    """Build version 1.1 of the plug-in, which has a column more."""
    with (plug_in.path / "src" / "acme_notes" / "models.py").open("a") as file:
        file.write("    written: orm.Mapped[str | None]\n")
    plug_in.generate()
    about = plug_in.path / "pyproject.toml"
    about.write_text(about.read_text().replace('"1.0"', '"1.1"'))
    plug_in.run("uv", "build", "--quiet", "--wheel")


def venv_file(venv: Path, name: str) -> Path:
    """A file of a package that is installed in a virtual environment."""
    return Path(sysconfig.get_path("purelib", vars={"base": str(venv)})) / name


def test_the_first_app_of_a_project(project: Project) -> None:
    listed = project.run("./add_app.sh", "--installed")
    assert listed.stdout == "no installed package has an app\n"
    project.environment["PYTHONPATH"] = str(offer(project, "one", {"notes": "acme:metadata"}))
    ini = project.path / "alembic.ini"
    text = ini.read_text()
    start, end = text.index("[users]"), text.index("# `alembic` without")
    ini.write_text(text[:start] + text[end:])
    listed = project.run("./add_app.sh", "--installed")
    assert (listed.stdout, listed.stderr) == ("notes  acme-one 1.0  not added\n", "")
    added = project.run("./add_app.sh", "--installed", "notes")
    assert (added.stdout, added.stderr) == ("added notes: run ./migrate.sh\n", "")
    section = "[notes]\nmetadata = acme:metadata\nversion_locations = acme:migrations\n\n"
    assert ini.read_text() == text[:start] + section + text[end:]


def offer(project: Project, package: str, apps: dict[str, str]) -> Path:
    """Put the metadata of a package with apps beside a project, and return the folder."""
    packages = project.path.parent / "packages"
    folder = packages / f"acme_{package}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Name: acme-{package}\nVersion: 1.0\n")
    lines = [f"{app} = {value}\n" for app, value in apps.items()]
    (folder / "entry_points.txt").write_text("".join(["[alembic_apps]\n", *lines]))
    return packages


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nosuch", "no installed package has it; see ./add_app.sh --installed"),
        ("users", "there is a section of that name already"),
        ("twice", "acme-one 1.0 and acme-two 1.0 have it; uninstall one"),
        ("wrong", "acme-one 1.0 says acme.models, not module:attribute"),
        ("Capital", "use a to z"),
    ],
)
def test_refusal_changes_nothing(name: str, problem: str, project: Project) -> None:
    apps = {"twice": "a:b", "users": "a:b", "Capital": "a:b"}
    offer(project, "one", {**apps, "wrong": "acme.models", "good": "acme:metadata"})
    project.environment["PYTHONPATH"] = str(offer(project, "two", apps))
    before = tree(project.path)
    assert problem in project.refused("./add_app.sh", "--installed", "good", name)
    assert tree(project.path) == before
