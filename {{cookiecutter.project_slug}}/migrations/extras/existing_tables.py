"""Refuse revisions that would create tables which are there already, or are views."""

from functools import partial

from alembic.operations import ops
from alembic.util import CommandError

from ..apps import App
from ..errors import program
from ..revision_files import files_of, tables_created
from ..run import Run
from .precautions import existing, names_of, neighbours, ownership_of


def before_writing(run: Run, app: App, operations: ops.UpgradeOps) -> None:
    """Refuse a revision that creates a view as a table, and a first one that lacks existing tables.

    It may lack tables of models that moved, as revisions of another app create those.
    """
    new = [operation for operation in operations.ops if isinstance(operation, ops.CreateTableOp)]
    ownership = run.databases.run(app.url, partial(ownership_of, run=run, apps=[app]))
    created = {ownership.key(operation.schema, operation.table_name) for operation in new}
    if new and (views := run.databases.run(app.url, partial(existing, tables=created))):
        raise CommandError(
            f"{app.name}: {names_of(views)} is a view in the database, not a table; say so in the"
            " model, with the table argument info={'is_view': True}"
        )
    if run.current[app.name]:
        return
    there = {ownership.key(*key) for key in app.model_tables} - created
    for other in neighbours(run, app) if there else ():
        there -= {ownership.key(*key) for key in tables_created(files_of(run.script(other)))}
    if there:
        raise CommandError(
            f"{app.name}: no revision creates {names_of(there)}, which the database has already;"
            f" first run: {program('adopt', app.name)}"
        )
