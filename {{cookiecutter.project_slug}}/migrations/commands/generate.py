"""New revisions for the apps whose models changed."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from sysconfig import get_path

from alembic.autogenerate import RevisionContext
from alembic.operations.ops import CreateTableOp, DropTableOp, UpgradeOps
from alembic.util import CommandError

from ..apps import App
from ..autogenerate.arranging import full_name
from ..autogenerate.changes import describe, summarise
from ..autogenerate.differences import Difference, differences, known
from ..autogenerate.risks import risks
from ..errors import naming, relative
from ..ownership import check_models, refers_to, revision_files, tables_of_revisions
from ..revisions import at_head, read_current
from ..run import Run


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

    found = {app: known(it) for app, it in differences(run, run.selected).items()}
    for app in run.selected:
        if not current[app.name] and found[app].upgrade.ops:
            check_first(run, app, found[app].upgrade)
    written: list[str] = []

    def write(app: App) -> str:
        changes = describe(found[app].upgrade)
        if not changes:
            return "no changes"
        check_home(run, app)
        message = run.options.message or (summarise(changes) if current[app.name] else "initial")
        path = write_revision(run, app, message, current[app.name], found[app])
        written.append(path)
        lines = [f"wrote {relative(path)}"]
        if message != ", ".join(changes):  # else its name tells
            lines.append(summarise(changes, width=300))
        warnings = risks(found[app].upgrade, app.database[0])
        warnings += [
            f"revisions of {other} refer to {table}: run ./migrate.sh {other} before this, and"
            f" after it python -m migrations squash {app.name} {other}; else no new database"
            " can be made"
            for table, other in references(run, app, found[app].upgrade)
        ]
        lines += [f"warning: {text}" for text in warnings]
        return "\n".join(lines)

    try:
        run.each(write, run.selected)
    finally:
        tidy(written)


def check_first(run: Run, app: App, operations: UpgradeOps) -> None:
    """Refuse a first revision that would not create what the database has already.

    What another app's revisions created, before its model moved, is there in every database.
    """
    created = {(o.schema, o.table_name) for o in operations.ops if isinstance(o, CreateTableOp)}
    there = app.own_models.keys() - created
    for other in run.neighbours(app) if there else ():
        there -= tables_of_revisions(revision_files(run.script(other)))
    if there:
        names = ", ".join(sorted(name for _, name in there))
        raise CommandError(
            f"{app.name}: no revision creates {names}, which its database has already;"
            f" first run: python -m migrations adopt {app.name}"
        )


def write_revision(
    run: Run, app: App, message: str, current: tuple[str, ...], found: Difference
) -> str:
    """Write what was found to a new revision, as `alembic revision` does; return its path."""
    options = dict.fromkeys(("rev_id", "splice", "branch_label", "version_path", "depends_on"))
    arguments = {**options, "message": message, "head": "head"}
    revision = RevisionContext(run.turn_to(app), run.script(app), arguments)
    [new] = revision.generated_revisions
    new.upgrade_ops, new.downgrade_ops = found.upgrade, found.downgrade
    revision.run_no_autogenerate(current, found.context)  # calls env.py's `arrange`
    with whole_or_none(app.folders, str(new.rev_id)):
        [script] = revision.generate_scripts()
    assert script is not None
    return script.path


def references(run: Run, app: App, operations: UpgradeOps) -> Iterator[tuple[str, str]]:
    """The tables that are dropped, each with the name of another app whose revisions refer to it.

    A new database gets all revisions of the one app, and then all of the other.
    """
    dropped = [full_name(op) for op in operations.ops if isinstance(op, DropTableOp)]
    for table in dropped:
        for other in run.neighbours(app):
            files = revision_files(run.script(other)) if other != app else []
            if any(refers_to(file, table) for file in files):
                yield table, other.name


@contextmanager
def whole_or_none(folders: Iterable[Path], revision: str) -> Iterator[None]:
    """Delete the file of a new revision after an error: half a file would stop every command."""
    try:
        yield
    except BaseException:
        for folder in folders:
            for file in folder.rglob(f"*{revision}*"):
                file.unlink()
        raise


def tidy(files: list[str]) -> None:
    """Sort the imports of new revisions and format them, where ruff is installed."""
    if files and find_spec("ruff"):
        for command in (["check", "--fix"], ["format"]):
            ruff = [sys.executable, "-m", "ruff", *command, "--silent"]
            subprocess.run([*ruff, *files], check=False)


def check_home(run: Run, app: App) -> None:
    """Refuse to write a revision into the folder of an installed package."""
    for location, folder in zip(app.version_locations, app.folders, strict=True):
        if ":" not in location or Path(location).is_absolute():
            continue
        project = Path(str(run.config.config_file_name)).resolve().parent
        installed = [Path(get_path(kind)).resolve() for kind in ("purelib", "platlib")]
        if not folder.is_relative_to(project) or any(map(folder.is_relative_to, installed)):
            raise CommandError(
                f"{app.name}: its revisions belong to an installed package, and none is written"
                f" to {folder}: install a version of it that has what you need"
            )
