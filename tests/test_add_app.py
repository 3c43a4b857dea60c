"""./add_app.sh: one section and one package more, and not a byte else; or nothing at all."""

import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from project import Project, bake, tree

BOOKS = "version_locations = %(here)s/src/my_project/books/migrations"
ALEMBIC = "# `alembic` without `--name APP` uses this section"

SECTION = """
[shop]
metadata = my_project.shop.models:Base.metadata
version_locations = %(here)s/src/my_project/shop/migrations
"""


def without_apps(text: str) -> str:
    """An alembic.ini as before the first app."""
    return text[: text.index("[users]")] + text[text.index(ALEMBIC) :]


def with_apps_last(text: str) -> str:
    """An alembic.ini that ends with its apps, and without a line break."""
    apps = text[text.index("[users]") : text.index(ALEMBIC)]
    return f"{without_apps(text)}\n{apps.rstrip()}"


@pytest.mark.parametrize(
    ("edit", "above", "below"),
    [
        (lambda text: text, BOOKS, ALEMBIC),
        (without_apps, "apps_folder = %(here)s/src/my_project", ALEMBIC),
        (with_apps_last, BOOKS, ""),
        (lambda text: with_apps_last(text) + "\n\n# The end.\n\n", "# The end.", ""),
        (lambda text: text.replace(BOOKS, f"{BOOKS}\n# tables = b*"), "# tables = b*", ALEMBIC),
        (lambda text: text.replace(BOOKS, f"{BOOKS}\n\n; [old]\n\n"), "; [old]", ALEMBIC),
        (lambda text: text.replace("\n\n", "\n"), BOOKS, ALEMBIC),
        (lambda text: text.replace("\n", "\r\n"), BOOKS, ALEMBIC),
    ],
    ids=["baked", "no apps", "last", "last words", "comment", "old app", "no blanks", "CRLF"],
)
def test_new_section_among_the_old_lines(
    edit: Callable[[str], str], above: str, below: str, project: Project
) -> None:
    ini = project.path / "alembic.ini"
    old = edit(ini.read_text())
    ini.write_text(old, newline="")
    project.run("./add_app.sh", "shop")

    section = SECTION.replace("\n", "\r\n") if "\r\n" in old else SECTION
    before, _, after = ini.read_bytes().decode().partition(section)
    assert before + after in (old, old + "\n")
    assert before.rstrip().endswith(above)
    assert after.lstrip().startswith(below)

    assert project.generate("shop").startswith("shop  wrote src/my_project/shop/migrations/")
    assert project.migrate("shop").startswith("shop  applied ")
    assert project.tables() == {"shop", "alembic_version_shop"}


def test_several_apps_each_with_a_database(tmp_path: Path) -> None:
    project = bake(tmp_path, database_layout="per_app", async_driver=True)
    said = project.run("./add_app.sh", "shop", "till").stdout
    assert said.startswith("added shop, till: ")
    project.generate()
    assert [line.split()[0] for line in project.migrate().splitlines()[2:]] == ["shop", "till"]
    assert project.tables("till.db") == {"till", "alembic_version_till"}


def test_what_a_new_app_looks_like_can_be_changed(project: Project) -> None:
    append("new_app/app/views.py.tpl", b"# $model of $app costs 5 $$, $other")(project)
    project.run("./add_app.sh", "cities")
    views = project.models("cities").with_name("views.py")
    assert views.read_text() == "# City of cities costs 5 $, $other"


def append(path: str, content: bytes) -> Callable[[Project], None]:
    """What appends to a file of a project, and makes the file if need be."""

    def change(project: Project) -> None:
        file = project.path / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes((file.read_bytes() if file.exists() else b"") + content)

    return change


def nothing(project: Project) -> None:
    """No change to a project."""


@pytest.mark.parametrize(
    ("change", "name", "problem"),
    [
        (nothing, "users", "a section of that name already"),
        (nothing, "alembic", "has another purpose"),
        (nothing, "logger_x", "has another purpose"),
        (nothing, "class", "keyword"),
        (nothing, "naming", "module of that name"),
        (nothing, "sqlite_x", "SQLite"),
        (nothing, "Till", "use a to z"),
        (nothing, "../till", "use a to z"),
        (nothing, "till\n", "use a to z"),
        (nothing, "", "use a to z"),
        (nothing, "a" * 44, "longer than 43"),
        (nothing, "shop", "named twice"),
        (append("src/my_project/till/x", b""), "till", "till exists already"),
        (append("src/my_project/till.py", b""), "till", "till.py exists already"),
        (append("alembic.ini", b"\xff"), "till", "UTF-8"),
        (append("alembic.ini", b"[users]"), "till", "'users' already exists"),
        (lambda it: (it.path / "alembic.ini").unlink(), "till", "alembic.ini"),
        (lambda it: it.remove_line(it.path / "alembic.ini", "apps_folder"), "till", "apps_folder"),
        (lambda it: it.set_ini("DEFAULT", "apps_folder", "%(nowhere)s"), "till", "nowhere"),
        (lambda it: it.set_ini("DEFAULT", "apps_folder", "/nowhere"), "till", "prepend_sys_path"),
        (lambda it: it.set_ini("DEFAULT", "apps_folder", "%(here)s/src/f/x"), "till", "src/f"),
    ],
)
def test_refusal_changes_nothing(
    change: Callable[[Project], None], name: str, problem: str, project: Project
) -> None:
    append("src/f", b"a file")(project)
    change(project)
    before = tree(project.path)
    assert problem in project.refused("./add_app.sh", "shop", name)
    assert tree(project.path) == before


@pytest.mark.parametrize("blocks", [0, 1])
def test_failure_half_way_changes_nothing(blocks: int, project: Project) -> None:
    (project.package / "naming.py").unlink()
    before = tree(project.path)
    # In one block of 1 KiB there is room for the models, but not for alembic.ini.
    said = project.refused("bash", "-c", f"ulimit -f {blocks}; ./add_app.sh shop till")
    assert "File too large" in said
    assert tree(project.path) == before


# Sends a signal at each of the steps from one on: before files are opened, made, renamed, removed.
SIGNALS = """
import os, sys

todo = int(os.environ["STEPS"])

def step(event, arguments):
    global todo
    if event.startswith(("open", "os.")) and arguments:
        if "/src/my_project/" in str(arguments[0]) or "/alembic.ini" in str(arguments[0]):
            todo -= 1
            if todo <= 0:
                os.kill(os.getpid(), int(os.environ["SIGNAL"]))

sys.addaudithook(step)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_anywhere_all_is_made_or_nothing(
    number: signal.Signals, project: Project, tmp_path: Path
) -> None:
    project.warm = False
    append("../hook/sitecustomize.py", SIGNALS.encode())(project)
    (project.package / "naming.py").unlink()
    before = tree(project.path)
    for steps in count(1):
        env = {"PYTHONPATH": str(tmp_path / "hook"), "SIGNAL": str(number), "STEPS": str(steps)}
        done = project.run("./add_app.sh", "shop", "till", status=130, env=env)
        assert (done.stdout, done.stderr) == ("", "interrupted\n")
        if tree(project.path) != before:
            break
    assert steps > 10
    assert project.migrate("shop", "till").count("no revisions yet") == 2
    assert {path.name for path in project.package.glob("*")} >= {"shop", "till", "naming.py"}


def test_interrupted_while_starting(project: Project) -> None:
    project.warm = False
    append("new_app/argparse.py", b"import os\nos.kill(os.getpid(), 2)")(project)
    done = project.run("./add_app.sh", "shop", status=-2)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize(("broken", "line"), [("se cret\n{}", 1), ("{}se cret\n", 54)])
def test_ini_that_cannot_be_parsed_is_not_quoted(broken: str, line: int, project: Project) -> None:
    ini = project.path / "alembic.ini"
    ini.write_text(broken.format(ini.read_text()))
    for script in (["./add_app.sh", "shop"], ["./add_app.sh", "--installed"], ["./migrate.sh"]):
        said = project.refused(*script)
        assert f"alembic.ini, line {line}" in said
        assert "se cret" not in said
