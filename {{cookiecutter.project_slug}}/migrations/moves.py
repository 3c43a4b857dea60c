"""Models that moved: the revisions of one app create the table, and another app has it now."""

from collections.abc import Iterable

from alembic.util import CommandError
from sqlalchemy import Connection

from .apps import App
from .ownership import neighbours, owners, revision_files, table_key, tables_of_revisions
from .run import Run


def check_moves(run: Run, app: App, together: Iterable[App] = ()) -> None:
    """Refuse to work on one of two such apps, unless on both together."""
    homes = neighbours(app.database, tuple(run.apps.values()))
    default = run.databases.run(app.url, default_schema)
    having = owners(homes, default)
    for old in homes:
        created = tables_of_revisions(revision_files(run.script(old)))
        keys = {table_key(*key, default) for key in created}
        for key in sorted(keys & having.keys(), key=str):
            new = having[key]
            if old != new and app in (old, new) and not {old, new} <= set(together):
                raise CommandError(
                    f"{app.name}: the revisions of {old.name} create {key[1]}, which {new.name} has"
                    f" now; first run: python -m migrations squash {old.name} {new.name}"
                )


def default_schema(connection: Connection) -> str | None:
    """The schema of tables that name none."""
    return connection.dialect.default_schema_name
