"""What adopt, remove and squash make sure of before and while they change something."""

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from ..apps import App, TableKey
from ..errors import program
from ..run import Run


def ask(run: Run) -> None:
    """Return if the answer is yes, or was given by --yes; raise CommandError otherwise."""
    if run.options.yes:
        return
    if not (sys.stdin and sys.stdin.isatty()):  # it may be closed
        raise CommandError("nothing is changed: there is no terminal to ask on; --yes does it")
    run.databases.close()  # a server does not wait for ever
    print("Go on? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("nothing is changed")


def own_tables(connection: Connection, run: Run, app: App) -> list[TableKey]:
    """Return the app's own tables that its database has."""
    ownership, inspector = run.ownership([app], connection), inspect(connection)
    found = {
        ownership.key(schema, name)
        for schema in {schema or None for schema in ownership.schemas}
        for name in inspector.get_table_names(schema)
        if ownership.owns(schema, name)
    }
    return sorted(found, key=str)


def check_moves(run: Run, app: App, together: Iterable[App] = ()) -> None:
    """Refuse an app whose model moved to another app, or came from one, unless both are given."""
    near = run.neighbours(app)
    ownership = run.databases.run(app.url, lambda connection: run.ownership(near, connection))
    for old, created in ownership.created.items():
        for key in sorted(created & ownership.owners.keys(), key=str):
            new = ownership.owners[key]
            if new != old and app in (old, new) and not {old, new} <= set(together):
                raise CommandError(
                    f"{app.name}: the revisions of {old.name} create {key[1]}, which {new.name} has"
                    f" now; first run: {program('squash', old.name, new.name)}"
                )


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of the block, where signals can wait."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
