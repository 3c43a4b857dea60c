"""The example project is what the template makes today, and its revisions fit its models."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from project import TEMPLATE, Project, bake, tree

EXAMPLE = TEMPLATE / "examples" / "my_project"
MIGRATIONS = "../../{{cookiecutter.project_slug}}/migrations"


def test_example_is_up_to_date(project: Project) -> None:
    names = [name for name in files_in_git(EXAMPLE) if name != "migrations"]
    revisions = {name for name in names if re.search(r"/migrations/\d[^/]*\.py$", name)}
    assert len(revisions) == 2
    kept = {name: text_of(EXAMPLE, name) for name in names if name not in revisions}
    baked = [name for name in tree(project.path) if (project.path / name).is_file()]
    # The template's migrations/ holds no Jinja, and the example has it by a link.
    baked = [name for name in baked if not name.startswith("migrations/")]
    assert kept == {name: text_of(project.path, name) for name in baked}, "run make example"

    for name in revisions:
        shutil.copy2(EXAMPLE / name, project.path / name)
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"


def test_example_has_no_second_copy_of_the_migrations(tmp_path: Path) -> None:
    project = bake(tmp_path, tenants=True)  # then nothing is left out
    links = [name for name in files_in_git(TEMPLATE) if (TEMPLATE / name).is_symlink()]
    assert links == ["examples/my_project/migrations"]
    assert (EXAMPLE / "migrations").readlink() == Path(MIGRATIONS)
    assert tree(EXAMPLE / "migrations") == tree(project.path / "migrations")


def test_example_runs_where_it_is(tmp_path: Path) -> None:
    example = Project(EXAMPLE, {"DATABASE_URL": f"sqlite:///{tmp_path}/example.db"}, warm=False)
    before = tree(EXAMPLE)
    users, books = example.migrate().splitlines()
    assert users.startswith("users  applied ")
    assert books.startswith("books  applied ")
    assert example.migrations("check") == "users  no changes\nbooks  no changes\n"
    assert example.refused("alembic", "current").startswith("name an app: ")
    assert tree(EXAMPLE) == before


def files_in_git(folder: Path) -> list[str]:
    """The files below a folder that git has, or would have with the next commit."""
    files = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.check_output(files, cwd=folder, text=True).split("\0")[:-1]
    return [name for name in dict.fromkeys(names) if os.path.lexists(folder / name)]


def text_of(folder: Path, name: str) -> str:
    """A file's text, but for the commit of the template, which the example does not name."""
    text = (folder / name).read_text()
    return re.sub(r"the commit `[0-9a-f]{40}` of | --checkout [0-9a-f]{40}", "", text)
