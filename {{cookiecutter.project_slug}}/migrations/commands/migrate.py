"""Migrate the databases of the apps to their newest revisions, or print the SQL for that."""

import io
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from contextlib import closing, redirect_stdout
from functools import partial
from pathlib import Path
from threading import Lock

from alembic.config import Config
from alembic.runtime.migration import RevisionStep
from alembic.script import Script
from alembic.util import to_tuple

from ..apps import App, read_apps, select_apps
from ..databases import Databases
from ..errors import HOME, naming
from ..run import Run
from . import with_extras

ONE_AT_A_TIME = Lock()
"""Held by a thread that migrates, because all threads share Alembic's `context` and `op`."""


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")
    parser.add_argument("--sql", action="store_true", help="print the SQL, run nothing")


def migrate(run: Run) -> None:
    """Migrate every app's database to its newest revision."""
    pending = {app: [] if run.at_head(app) else run.steps(app, "head") for app in run.selected}
    plan = run.order.plan(pending, run.applied, up=True)
    if run.options.sql:
        with redirect_stdout(io.StringIO()) as script:  # print nothing if an app has an error
            print_sql(run, plan)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # it becomes an SQL file
        print(script.getvalue(), end="")
    else:
        run.each_until_error(partial(upgrade, run), *zip(*plan, strict=True))


def upgrade(run: Run, app: App, revisions: Sequence[Script]) -> str:
    """Apply revisions of an app, and return the text to print about it."""
    if not revisions:
        return "up to date" if run.script(app).get_heads() else "no revisions yet"
    applied = [f"{it.revision} ({it.doc})" for it in run.take(app, revisions)]
    return f"applied {', '.join(applied)}" if applied else "up to date"


def migrate_apps(*names: str, ini: str | Path | None = None, tenant: str | None = None) -> None:
    """Migrate all apps, or those named, from Python. Prints nothing, and raises CommandError.

    Apps with tenants are migrated for every tenant, or for the one named.
    """
    with ONE_AT_A_TIME, naming("alembic.ini", ""), closing(Databases()) as databases:
        config = Config(ini or HOME.with_name("alembic.ini"), stdout=io.StringIO())
        apps = read_apps(config)
        options = Namespace(sql=False, tenant=[tenant] if tenant else [])
        with_extras(migrate)(Run(config, options, apps, select_apps(apps, names), databases))


def print_sql(run: Run, plan: Iterable[tuple[App, Sequence[Script]]]) -> None:
    """Print the SQL of pending revisions in order, with a comment where another app begins."""
    now = {app: run.current[app.name] for app in run.selected}
    for app, revisions in plan:
        print(f"-- {app.name}" if revisions else f"-- {app.name}: up to date", end="\n\n")
        if revisions:
            ids = [revision.revision for revision in revisions]
            steps = [RevisionStep(run.script(app).revision_map, it, True) for it in revisions]
            is_mariadb = run.databases.run(app.url, lambda it: getattr(it.dialect, "is_mariadb", 0))
            run.config.attributes["is_mariadb"] = is_mariadb
            # `command.upgrade` starts from one revision, but the database may be at several.
            with app.naming():
                run.in_environment(
                    app,
                    lambda *_, steps=steps: steps,
                    as_sql=True,
                    starting_rev=now[app],
                    destination_rev=ids[-1],
                )
            replaced = {id for it in revisions for id in to_tuple(it.down_revision, default=())}
            now[app] = tuple({*now[app], *ids} - replaced)
