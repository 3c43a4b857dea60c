"""A project gets what changed in its template since, by cruft."""

import subprocess
from pathlib import Path

from project import DEV, GIT, Project, add_a_filter, template_copy

CRUFT = (str(DEV / "bin" / "uvx"), "--quiet", "cruft")


def test_cruft_brings_what_changed(tmp_path: Path) -> None:
    template = Project(template_copy(tmp_path / "template"), GIT)
    commit(template, "--initial-branch=main")
    first = template.run("git", "rev-parse", "HEAD").stdout.strip()
    launcher = Project(tmp_path, GIT)
    launcher.run("cookiecutter", "--no-input", str(template.path))
    project = Project(tmp_path / "my_project", GIT)
    assert f"commit `{first}`" in (project.path / "README.md").read_text()
    project.run("./add_app.sh", "shop")
    project.generate()
    commit(project)
    link = [*CRUFT, "link", str(template.path), "--checkout", first]
    subprocess.run(link, cwd=project.path, input="\n" * 10, text=True, check=True)
    commit(project)
    project.run(*CRUFT, "check")

    baked = template.path / "{{cookiecutter.project_slug}}"
    for name in ("migrations/env.py", "alembic.ini"):
        (baked / name).write_text((baked / name).read_text() + "\n# new\n")
    add_a_filter(template.path)
    commit(template)
    project.run(*CRUFT, "check", status=1)
    project.run(*CRUFT, "update", "--skip-apply-ask")
    project.run(*CRUFT, "check")
    assert (project.path / "migrations/env.py").read_text().endswith("\n# new\n")
    ini = (project.path / "alembic.ini").read_text()
    assert ini.endswith("\n# new\n")
    assert "[shop]" in ini
    assert (project.path / "Makefile").read_text().endswith("# MY_PROJECT\n")
    second = template.run("git", "rev-parse", "HEAD").stdout.strip()
    assert f"commit `{second}`" in (project.path / "README.md").read_text()
    assert not list(project.path.rglob("*.rej"))
    assert "shop   applied" in project.migrate()


def commit(project: Project, *options: str) -> None:
    """Commit everything in a folder, which becomes a repository if it is none."""
    project.run("git", "init", "--quiet", *options)
    project.run("git", "add", ".")
    project.run("git", "commit", "--quiet", "--message", "A step")
