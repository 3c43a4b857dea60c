"""The ways to start a project for those who have uv or pipx."""

from pathlib import Path

import pytest

from project import TEMPLATE, Project


@pytest.mark.parametrize("start", [("uvx", "cookiecutter"), ("pipx", "run", "cookiecutter")])
def test_one_command_starts_a_project_that_migrates(start: tuple[str, ...], tmp_path: Path) -> None:
    launcher = Project(tmp_path, {"HOME": str(tmp_path)})
    launcher.run(*start, "--no-input", str(TEMPLATE))
    project = Project(tmp_path / "my_project", warm=False)
    project.generate()
    project.migrate()
    assert {"users", "alembic_version_users", "books", "alembic_version_books"} == project.tables()
