"""Tables that a database has before the first revision of their app."""

from alembic.operations import ops
from alembic.util import CommandError

from ..apps import App
from ..errors import program
from ..revision_files import files_of, tables_created
from ..run import Run
from .precautions import neighbours


def before_writing(run: Run, app: App, operations: ops.UpgradeOps) -> None:
    """Refuse a first revision that does not create a table which the database has already.

    Tables of models that moved are left out: revisions of another app create them.
    """
    if run.current[app.name]:
        return
    created = {(o.schema, o.table_name) for o in operations.ops if isinstance(o, ops.CreateTableOp)}
    there = app.model_tables.keys() - created
    for other in neighbours(run, app) if there else ():
        there -= tables_created(files_of(run.script(other)))
    if there:
        names = ", ".join(sorted(name for _, name in there))
        raise CommandError(
            f"{app.name}: no revision creates {names}, which its database has already;"
            f" first run: {program('adopt', app.name)}"
        )
