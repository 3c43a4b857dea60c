"""The README's commands, run one after the other in a fresh copy, print what it shows."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import make_url

from project import GIT, Project, bake_anew, template_copy
from servers import Database

# What differs from run to run: dates in file names, and revision ids.
CHANGING = [
    (r"\d{4}_\d\d_\d\d_\d{4}_", "DATE_"),
    (r"(?<![0-9a-z])[0-9a-f]{12}(?![0-9a-z])", "REVISION"),
]


def test_every_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    copy = template_copy(tmp_path / "copy")
    readme = (copy / "README.md").read_text()
    assert_runs_as_shown(readme, copy)
    [picture] = re.findall(r"(?ms)^```mermaid\n(.*?)^```", readme)
    graph = Project(copy / "try" / "my_project").migrations("graph")
    assert masked(graph) == masked(picture)


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
        page = re.sub(r"python3 -m venv.*\n.*activate\npip install.*\n", "", page)
    script = "set -eu\n"
    for language, block in re.findall(r"(?ms)^```(bash|python)\n(.*?)^```", page):
        if language == "bash":
            script += block
        else:
            path, _, code = block.removeprefix("# ").partition("\n")
            script += f"cat >> {path} <<'PYTHON'\n{code}PYTHON\n"

    said = project.run("bash", "-c", script, env=GIT).stdout
    assert "no changes" in said
    assert "8 passed, 4 skipped" in said
    assert project.run("git", "status", "--short").stdout.count("notes") == 1
    columns = Database(make_url(url)).query("SELECT email FROM users")
    assert columns == []


def assert_runs_as_shown(page: str, folder: Path) -> None:
    """Run the `$` lines of a page's console blocks in one shell, and compare what they print."""
    blocks = re.findall(r"^```console\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    shown = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks), flags=re.MULTILINE)
    script = "exec 2>&1\n" + "".join(f"echo '$ '{quoted(c)}\n{c}\n" for c, _ in shown)
    outer = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=outer, capture_output=True, text=True, check=False
    )
    expected = "".join(f"$ {command}\n{output}" for command, output in shown)
    assert masked(done.stdout).splitlines() == masked(expected).splitlines()


def quoted(command: str) -> str:
    """A command as one word of a shell script."""
    return "'" + command.replace("'", "'\\''") + "'"


def masked(text: str) -> str:
    """A text without what differs from run to run, and without blank lines."""
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text)
    return "".join(line for line in text.splitlines(keepends=True) if line.strip())
