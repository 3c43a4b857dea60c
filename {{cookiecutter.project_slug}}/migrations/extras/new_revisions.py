"""Refuse new revisions that could not run, or that belong to someone else."""

from functools import partial
from pathlib import Path

from alembic.operations import ops
from alembic.util import CommandError

from ..apps import App
from ..errors import program
from ..revision_files import files_of, tables_created
from ..run import Run
from .precautions import existing, names_of, ownership_of, references


def before_writing(run: Run, app: App, operations: ops.UpgradeOps) -> None:
    """Refuse a revision of a package, a view as a table, and a foreign key to another database.

    Refuse a first revision without all tables of the app's models, too. It may lack tables of
    models that moved, as revisions of another app create those.
    """
    check_folders(run, app)
    for key, referred, other in references(app, run.apps.values()):
        if other.database != app.database:
            raise CommandError(
                f"{app.name}: {key.parent.table.name} refers to {referred.name} of {other.name} in"
                " another database; remove the foreign key, or use one database for both apps"
            )
    ownership = run.databases.run(app.url, partial(ownership_of, run=run, apps=[app]))
    new = [it for it in operations.ops if isinstance(it, ops.CreateTableOp)]
    created = {ownership.key(it.schema, it.table_name) for it in new}
    if new and (views := run.databases.run(app.url, partial(existing, tables=created))):
        raise CommandError(
            f"{app.name}: {names_of(views)} is a view in the database, not a table; say so in the"
            " model, with the table argument info={'is_view': True}"
        )
    if run.current(app):
        return
    there = {ownership.key(*key) for key in app.model_tables} - created
    for other in app.neighbours if there else ():
        there -= {ownership.key(*key) for key in tables_created(files_of(run.script(other)))}
    if there:
        raise CommandError(
            f"{app.name}: no revision creates {names_of(there)}, which the database has already;"
            f" first run: {program('adopt', app.name)}"
        )


def check_folders(run: Run, app: App) -> None:
    """Refuse to write a revision into the folder of an installed package."""
    project = Path(str(run.config.config_file_name)).resolve().parent
    for location, folder in zip(app.version_locations, app.folders, strict=True):
        inside = folder.is_relative_to(project) and "site-packages" not in folder.parts
        if ":" in location and not Path(location).is_absolute() and not inside:
            raise CommandError(
                f"{app.name}: its revisions in {folder} belong to an installed package; install a"
                " version of the package that has what you need"
            )
