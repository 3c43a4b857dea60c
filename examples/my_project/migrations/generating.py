"""New revisions for the apps whose models changed."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from sysconfig import get_path

from alembic import command
from alembic.operations.ops import MigrationScript
from alembic.script import Script
from alembic.util import CommandError

from .apps import App
from .changes import describe, summarise
from .differences import differences
from .errors import naming, relative
from .ownership import check_models
from .revisions import at_head, read_current
from .risks import risks
from .run import Run


def generate(run: Run) -> None:
    """Write a new revision for every app whose models changed."""
    current = read_current(run)
    for app in run.selected:
        if not at_head(run, app, current):
            raise CommandError(
                f"{app.name}: the database is behind the newest revision;"
                f" run ./migrate.sh {app.name} before generating another"
            )
        with naming(app):
            check_models(app, tuple(run.apps.values()))

    found = differences(run, run.selected)
    written: list[str] = []

    def write(app: App) -> str:
        ids: list[str] = []

        def fill(_: object, __: object, directives: list[MigrationScript]) -> None:
            [script] = directives
            script.upgrade_ops, script.downgrade_ops = found[app]
            ids.append(str(script.rev_id))

        upgrade, _ = found[app]
        changes = describe(upgrade)
        if not changes:
            return "no changes"
        check_home(run, app)
        message = run.options.message or (summarise(changes) if current[app.name] else "initial")
        config = run.turn_to(app)
        config.set_main_option("revision_environment", "true")  # what runs env.py
        try:
            script = command.revision(config, message, process_revision_directives=fill)
        except BaseException:
            remove_revisions(app, ids)
            raise
        assert isinstance(script, Script)
        written.append(script.path)
        lines = [f"wrote {relative(script.path)}"]
        if message != ", ".join(changes):  # else its name tells
            lines.append(summarise(changes, width=300))
        lines += [f"warning: {text}" for text in risks(upgrade, app.database[0])]
        return "\n".join(lines)

    try:
        run.each(write, run.selected)
    finally:
        tidy(written)


def remove_revisions(app: App, ids: list[str]) -> None:
    """Remove what was written of these revisions: half a file would stop every command."""
    for folder in app.folders:
        for revision in ids:
            for file in folder.glob(f"*{revision}*"):
                file.unlink()


def tidy(files: list[str]) -> None:
    """Sort the imports of new revisions and format them, where ruff is installed."""
    if files and find_spec("ruff"):
        for command in (["check", "--fix"], ["format"]):
            ruff = [sys.executable, "-m", "ruff", *command, "--silent"]
            subprocess.run([*ruff, *files], check=False)


def check_home(run: Run, app: App) -> None:
    """Refuse to write a revision into the folder of an installed package."""
    project = Path(str(run.config.config_file_name)).resolve().parent
    installed = [Path(get_path(kind)).resolve() for kind in ("purelib", "platlib")]
    for location, folder in zip(app.version_locations, app.folders, strict=True):
        inside = folder.is_relative_to(project) and not any(map(folder.is_relative_to, installed))
        if ":" in location and not Path(location).is_absolute() and not inside:
            raise CommandError(
                f"{app.name}: its revisions belong to an installed package, and none is written"
                f" to {folder}: install a version of it that has what you need"
            )
