"""The scripts, started in every way that people start scripts."""

import re
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from project import NEWEST, TEMPLATE, Project, bake

WITHOUT_VENV = {"VIRTUAL_ENV": "", "PATH": "/usr/bin:/bin"}


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    """A project with one app, in a folder whose name is no easy one."""
    shop = bake(tmp_path / "a folder/naïve 中文 'quoted' $HOME", apps="shop")
    shop.warm = False
    return shop


def test_everything_in_the_c_locale(shop: Project) -> None:
    shop.environment["LC_ALL"] = "C"
    assert shop.generate().startswith("shop  wrote src/my_project/shop/migrations/")
    assert shop.migrate().startswith("shop  applied ")
    shop.run("./add_app.sh", "till")
    assert shop.migrate() == "shop  up to date\ntill  no revisions yet\n"
    assert shop.migrate("--sql").startswith("-- shop: up to date\n")


def test_letters_that_the_terminal_lacks(shop: Project) -> None:
    shop.environment["PYTHONIOENCODING"] = "cp1252"
    escaped = "\\u4e66"
    assert f"_{escaped}.py\n" in shop.generate("-m", "书")
    assert f"({escaped})\n" in shop.migrate()
    assert f"<br>{escaped}" in shop.migrations("graph")


def link(path: Path, target: Path | str) -> Path:
    """Make a symbolic link, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def test_from_anywhere(shop: Project, tmp_path: Path) -> None:
    script = shop.path / "migrate.sh"
    there = link(tmp_path / "project", shop.path)
    absolute = link(tmp_path / "bin" / "absolute", script)
    relative = link(tmp_path / "bin" / "re lative", Path("..", script.relative_to(tmp_path)))
    chain = link(tmp_path / "else where" / "chain", Path("..", "bin", "chain"))
    link(tmp_path / "bin" / "chain", relative)
    # What CDPATH would lead to instead.
    (tmp_path / "decoy" / "my_project" / "migrations").mkdir(parents=True)
    environment = {
        "CDPATH": f"{tmp_path / 'decoy'}:.",
        "PATH": f"{tmp_path / 'bin'}:{NEWEST / 'bin'}:/usr/bin:/bin",
    }
    for command, folder in (
        ([str(script)], tmp_path),
        (["my_project/migrate.sh"], shop.path.parent),
        (["my_project/migrations/run.sh", "-m", "migrations", "migrate"], shop.path.parent),
        (["bash", "migrate.sh"], shop.path),
        (["bash", "my_project/migrate.sh"], shop.path.parent),
        (["../migrate.sh"], shop.path / "migrations"),
        ([str(there / "migrate.sh")], tmp_path),
        (["./migrate.sh"], there),
        ([str(absolute)], tmp_path),
        (["bin/re lative"], tmp_path),
        (["./re lative"], tmp_path / "bin"),
        ([str(chain)], shop.path),
        (["absolute"], tmp_path),
    ):
        done = shop.run(*command, cwd=folder, env=environment)
        assert done.stdout == "shop  no revisions yet\n"


def test_nobody_reads_what_they_print(shop: Project) -> None:
    shop.run("./add_app.sh", "till")
    for line in (
        "./generate.sh | :",
        "./migrate.sh | :",
        "python -m migrations current | :",
        "python -m migrations status | :",
        "./migrate.sh >&-",
        "python -m migrations status >&-",
    ):
        done = shop.run("bash", "-c", f"set -o pipefail; {line}")
        assert done.stderr == ""
    assert shop.tables() == {"shop", "alembic_version_shop", "till", "alembic_version_till"}


def test_a_program_that_imports_the_package_is_left_alone(shop: Project) -> None:
    package = shop.path / "src/my_project"
    (package / "__init__.py").write_text("import migrations\n")
    told = "gc.isenabled(), signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    (package / "serve.py").write_text(f"import gc, signal\nprint({told})\n")
    done = shop.run("python", "-m", "my_project.serve", env={"PYTHONPATH": "src"})
    assert done.stdout == "True True\n"


def test_environment_that_is_not_active_is_found(shop: Project) -> None:
    link(shop.path / ".venv", NEWEST)
    assert shop.run("./migrate.sh", env=WITHOUT_VENV).stdout == "shop  no revisions yet\n"


def test_safe_path(shop: Project) -> None:
    shop.environment["PYTHONSAFEPATH"] = "1"
    assert shop.migrate() == "shop  no revisions yet\n"
    shop.run("./add_app.sh", "till")


@pytest.mark.parametrize("version", [None, "1.16.4"])
def test_without_a_new_enough_alembic(version: str | None, shop: Project, tmp_path: Path) -> None:
    folder = tmp_path / "my venv"
    venv.create(folder, symlinks=True)
    if version:
        (packages,) = folder.glob("lib/*/site-packages")
        (packages / "alembic.py").write_text(f"__version__ = {version!r}")
    shop.environment["VIRTUAL_ENV"] = str(folder)
    assert shop.refused(str(shop.path / "migrate.sh"), cwd=tmp_path) == (
        f"{folder}/bin/python has no Alembic 1.20.1 or later; run `pip install -e .` in the"
        " project's folder and virtual environment, or `uv pip install -e .`"
    )
    assert '"alembic>=1.20.1"' in (shop.path / "pyproject.toml").read_text()
    shop.run("./add_app.sh", "till")


def test_python_is_too_old(shop: Project) -> None:
    code = "import sys; sys.version_info = (3, 9, 18); import migrations"
    said = shop.refused("python", "-c", code)
    assert " is too old; create .venv with Python 3.11 or later, or activate a virtual env" in said


def test_without_python(shop: Project, tmp_path: Path) -> None:
    for tool in ("bash", "dirname", "readlink"):
        link(tmp_path / "bin" / tool, str(shutil.which(tool)))
    environment = {"VIRTUAL_ENV": "", "PATH": str(tmp_path / "bin")}
    assert shop.refused("./migrate.sh", env=environment).startswith("Python is not installed")


# macOS has bash 3.2. An empty array, expanded under `set -u`, is an error there.
NEWER = re.compile(
    r"(declare|local|typeset) -\w*[Agn]|mapfile|readarray|coproc|&>>|\|&|;&|;;&|\$\{\w+[\^,@]"
    r"|\$\{\w+\[[@*]\]\}|\[-\d|globstar|lastpipe|%\(|(\[|test) -v|wait -n|EPOCH|BASHPID"
)


@pytest.mark.parametrize("script", [*TEMPLATE.glob("*.sh"), *TEMPLATE.glob("{{*/**/*.sh")], ids=str)
def test_nothing_newer_than_bash_3_2(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    code = re.sub(r"(?m)^\s*#.*", "", script.read_text())
    assert NEWER.findall(code) == []
