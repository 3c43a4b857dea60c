"""Models that moved: the revisions of one app create the table, and another app has it now."""

from collections.abc import Iterable

from alembic.util import CommandError
from sqlalchemy import Connection

from ..apps import App
from ..run import Run


def check_moves(run: Run, app: App, together: Iterable[App] = ()) -> None:
    """Refuse to work on one of two such apps, unless on both together."""

    def find(connection: Connection) -> list[tuple[App, App, str]]:
        return list(run.ownership(run.neighbours(app), connection).moved())

    for old, new, table in run.databases.run(app.url, find):
        if app in (old, new) and not {old, new} <= set(together):
            raise CommandError(
                f"{app.name}: the revisions of {old.name} create {table}, which {new.name} has"
                f" now; first run: python -m migrations squash {old.name} {new.name}"
            )
