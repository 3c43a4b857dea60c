"""The text of alembic.ini, for commands that change its sections."""

import runpy
import shutil
from pathlib import Path
from typing import Any

from alembic.util import CommandError

from ..run import Run


def ini_of(run: Run) -> Path:
    """Return the path of the ini file that a run has read."""
    return Path(str(run.config.config_file_name)).resolve()


def read(ini: Path) -> str:
    """Return the text of alembic.ini, with its own line breaks."""
    return ini.read_bytes().decode()


def replace(ini: Path, text: str) -> None:
    """Replace the text of alembic.ini in one step, so that it is never half-written."""
    new = ini.with_name(f"{ini.name}.new")
    try:
        new.write_bytes(text.encode())
        shutil.copymode(ini, new)
        new.replace(ini)
    finally:
        new.unlink(missing_ok=True)


def add_app(ini: Path) -> dict[str, Any]:
    """Return the functions of new_app/add_app.py beside alembic.ini; new_app is no package."""
    file = ini.with_name("new_app") / "add_app.py"
    if not file.is_file():
        raise CommandError(f"{file} is missing; copy the folder new_app, or write the section")
    return runpy.run_path(str(file))
