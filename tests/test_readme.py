"""The README's commands, run one after the other in a fresh copy, print what it shows."""

import os
import re
from pathlib import Path

import pytest
from sqlalchemy import make_url

from pages import assert_runs_as_shown, masked
from project import GIT, TEMPLATE, Project, bake_anew, template_copy
from servers import Database

# What pip installs is compiled when it is imported, and most of it never is.
COMPILE_LATER = {"PIP_NO_COMPILE": "0", "PYTHONDONTWRITEBYTECODE": ""}


def test_every_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    copy = template_copy(tmp_path / "copy")
    readme = (copy / "README.md").read_text()
    outer = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    assert_runs_as_shown(readme, copy, outer | COMPILE_LATER)
    _, picture = re.findall(r"(?ms)^```mermaid\n(.*?)^```", readme)
    graph = Project(copy / "try" / "my_project").migrations("graph")
    assert masked(graph) == masked(picture)


def test_first_tables_in_postgresql(tmp_path: Path, postgresql: Database) -> None:
    readme = (TEMPLATE / "README.md").read_text()
    _, block = re.findall(r"(?ms)^```bash\n(.*?)^```", readme)
    install, export, commands = re.split(r"(export DATABASE_URL=.*\n)", block)
    assert export.startswith("export DATABASE_URL=postgresql+psycopg://USER:PASSWORD@")
    assert install.splitlines()[1:] == ["pip install -e '.[dev]'"]  # as in test_start.py
    project = bake_anew(tmp_path, database="postgresql")
    script = f"export DATABASE_URL={postgresql.text}\n{commands}./add_app.sh shop\n{commands}"
    said = project.run("bash", "-c", script).stdout
    assert said.count(" applied ") == 3
    assert {"users", "books", "shop"} < postgresql.tables()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_command_of_a_projects_readme_works(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    project = bake_anew(tmp_path, database=kind)
    page = (project.path / "README.md").read_text()
    if kind == "sqlite":
        url = f"sqlite:///{project.path}/my_project.db"
        assert "export DATABASE_URL=sqlite:///$PWD/my_project.db\n" in page
    else:
        url = request.getfixturevalue("postgresql").text
        page = re.sub(r"export DATABASE_URL=.*", f"export DATABASE_URL={url}", page)
        # Once is enough for what takes long.
        page = re.sub(r"python3 -m venv.*\n.*activate\npip install.*\n|make lint\n", "", page)
    script = "set -eu\n"
    for language, block in re.findall(r"(?ms)^```(bash|python)\n(.*?)^```", page):
        if language == "bash":
            script += block
        else:
            path, _, code = block.removeprefix("# ").partition("\n")
            script += f"cat >> {path} <<'PYTHON'\n{code}PYTHON\n"

    said = project.run("bash", "-c", script, env=GIT | COMPILE_LATER).stdout
    assert "no changes" in said
    assert "8 passed, 4 skipped" in said
    assert project.run("git", "status", "--short").stdout.count("notes") == 1
    columns = Database(make_url(url)).query("SELECT email FROM users")
    assert columns == []
