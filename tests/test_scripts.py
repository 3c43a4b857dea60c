"""The scripts, started in every way that people start scripts."""

import re
import shlex
import shutil
import subprocess
import sys
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


def test_without_alembic(shop: Project, tmp_path: Path) -> None:
    folder = tmp_path / "my venv"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/*/site-packages")
    (packages / "pip.py").touch()
    shop.environment["VIRTUAL_ENV"] = str(folder)
    said = shop.refused(str(shop.path / "migrate.sh"), cwd=tmp_path)
    problem, _, command = said.partition("; run  ")
    assert problem == "Alembic is not installed"
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-e", str(shop.path)]
    assert shlex.split(command) == pip
    shop.run("./add_app.sh", "till")


def test_without_alembic_or_virtual_environment(shop: Project) -> None:
    base = Path(sys.base_prefix, "bin")
    has_alembic = subprocess.run([base / "python3", "-c", "import alembic"], capture_output=True)
    if has_alembic.returncode == 0:
        pytest.skip("the Python outside of virtual environments has Alembic")
    said = shop.refused("./migrate.sh", env=WITHOUT_VENV | {"PATH": f"{base}:/usr/bin:/bin"})
    make, install = said.partition("; run  ")[2].split(" && ")
    inner = f"{shop.path}/.venv"
    assert shlex.split(make)[1:] == ["-m", "venv", inner]
    pip = [f"{inner}/bin/python", "-m", "pip", "install", "-e", str(shop.path)]
    assert shlex.split(install) == pip


def test_without_alembic_in_an_environment_made_by_uv(shop: Project, tmp_path: Path) -> None:
    folder = tmp_path / "my venv"
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, folder], check=True)
    shop.environment["VIRTUAL_ENV"] = str(folder)
    said = shop.refused("./migrate.sh")
    command = shlex.split(said.partition("Alembic is not installed; run  ")[2])
    python = str(folder / "bin" / "python")
    assert command == ["uv", "pip", "install", "--python", python, "-e", str(shop.path)]


@pytest.mark.parametrize(
    ("sqlalchemy", "also"),
    [("1.4.54", ", and SQLAlchemy 2 will replace 1.4.54"), ("2.0.36", "")],
)
@pytest.mark.parametrize("has_pip", [True, False], ids=["pip", "uv"])
def test_alembic_is_too_old(
    has_pip: bool, sqlalchemy: str, also: str, shop: Project, tmp_path: Path
) -> None:
    folder = tmp_path / "my venv"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/*/site-packages")
    for name, version in (("alembic", "1.16.4"), ("sqlalchemy", sqlalchemy)):
        (packages / f"{name}.py").write_text(f"__version__ = {version!r}")
    if has_pip:
        (packages / "pip.py").touch()
    said = shop.refused("./migrate.sh", env={"VIRTUAL_ENV": str(folder)})
    problem, _, command = said.partition("; run  ")
    assert problem == f"Alembic 1.16.4 is too old{also}"
    python = str(folder / "bin" / "python")
    pip = (
        [python, "-m", "pip", "install"]
        if has_pip
        else ["uv", "pip", "install", "--python", python]
    )
    assert shlex.split(command) == [*pip, "alembic>=1.20.1"]
    assert command.split()[-1][1:-1] in (shop.path / "pyproject.toml").read_text()


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
