"""Revisions of installed packages: none is written into their folders."""

from pathlib import Path
from sysconfig import get_path

from alembic.util import CommandError

from ..apps import App
from ..run import Run


def before_writing(run: Run, app: App, _: object = None) -> None:
    """Refuse to write a revision into the folder of an installed package."""
    for location, folder in zip(app.version_locations, app.folders, strict=True):
        if ":" not in location or Path(location).is_absolute():
            continue
        project = Path(str(run.config.config_file_name)).resolve().parent
        installed = [Path(get_path(kind)).resolve() for kind in ("purelib", "platlib")]
        if not folder.is_relative_to(project) or any(map(folder.is_relative_to, installed)):
            raise CommandError(
                f"{app.name}: its revisions in {folder} belong to an installed package; install a"
                " version of the package that has what you need"
            )
