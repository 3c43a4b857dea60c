"""The option `--sql` of `migrate`: print the SQL of what is pending instead of running it."""

import io
import sys
from argparse import ArgumentParser
from contextlib import redirect_stdout

from alembic.util import to_tuple

from ..commands import migrate as core
from ..run import Run


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    core.arguments(parser)
    parser.add_argument("--sql", action="store_true", help="print the SQL, run nothing")


def migrate(run: Run) -> None:
    """Migrate every app's database to its newest revision, or print the SQL for that."""
    if not run.options.sql:
        core.migrate(run)
        return
    with redirect_stdout(io.StringIO()) as script:  # print nothing if an app has an error
        print_sql(run)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # it becomes an SQL file
    print(script.getvalue(), end="")


def print_sql(run: Run) -> None:
    """Print the SQL of pending revisions in order, with a comment where another app begins."""
    now = {app: run.current(app) for app in run.selected}
    for app, revisions in core.pending(run):
        print(f"-- {app.name}" if revisions else f"-- {app.name}: up to date", end="\n\n")
        if revisions:
            # The server of a mysql:// URL may be MariaDB.
            is_mariadb = run.databases.run(app.url, lambda it: getattr(it.dialect, "is_mariadb", 0))
            options = {"is_mariadb": True} if is_mariadb else {}  # only these dialects know it
            run.config.attributes["dialect_opts"] = options
            with app.naming():
                # `command.upgrade` starts from one revision, but the database may be at several.
                run.take(app, revisions, as_sql=True, starting_rev=now[app])
            ids = {revision.revision for revision in revisions}
            replaced = {id for it in revisions for id in to_tuple(it.down_revision, default=())}
            now[app] = tuple({*now[app], *ids} - replaced)
