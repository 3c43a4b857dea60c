"""The example project is what the template makes today, and its revisions fit its models."""

import re
import shutil
import subprocess
from pathlib import Path

from project import TEMPLATE, Project, tree

EXAMPLE = TEMPLATE / "examples" / "my_project"


def test_example_is_up_to_date(project: Project) -> None:
    files = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.check_output(files, cwd=EXAMPLE, text=True).split("\0")[:-1]
    revisions = {name for name in names if re.search(r"/migrations/\d[^/]*\.py$", name)}
    assert len(revisions) == 2
    kept = {name: text_of(EXAMPLE, name) for name in names if name not in revisions}
    baked = [name for name in tree(project.path) if (project.path / name).is_file()]
    assert kept == {name: text_of(project.path, name) for name in baked}, "run make example"

    for name in revisions:
        shutil.copy2(EXAMPLE / name, project.path / name)
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"


def text_of(folder: Path, name: str) -> str:
    """A file's text, but for the commit of the template, which the example does not name."""
    text = (folder / name).read_text()
    return re.sub(r"the commit `[0-9a-f]{40}` of | --checkout [0-9a-f]{40}", "", text)
