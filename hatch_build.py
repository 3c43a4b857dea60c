"""Builds the package alembic_apps from the folder migrations/ of the template."""

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("{{cookiecutter.project_slug}}", "migrations")
PACKAGE = "alembic_apps"

RUN_BY_PATH = ("env.py", "without_name/choose_an_app.py")
"""The files that Alembic runs by their paths. They cannot import relatively, so they name the
package, which is `migrations` in a project."""


class NamePackage(BuildHookInterface[Any]):
    """Puts the package's name into the files that name it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add copies of these files to the wheel; pyproject.toml leaves out the originals."""
        folder = Path(mkdtemp())
        for name in RUN_BY_PATH:
            text = Path(self.root, SOURCE, name).read_text(encoding="utf-8")
            copy = folder / name
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(text.replace("from migrations.", f"from {PACKAGE}."), encoding="utf-8")
            build_data["force_include"][str(copy)] = f"{PACKAGE}/{name}"
