"""Bring the databases of the apps to their newest revisions, or print the SQL that would."""

import io
import sys
from argparse import ArgumentParser, Namespace
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory

from ..apps import App, read_apps, select_apps
from ..databases import Databases
from ..errors import HOME, naming
from ..run import Run


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")
    parser.add_argument("--sql", action="store_true", help="print the SQL, run nothing")


def migrate(run: Run) -> None:
    """Bring every app's database to its newest revision."""
    at_head = {app: run.at_head(app) for app in run.selected}
    if run.options.sql:
        print_sql(run, at_head)
        return

    def upgrade(app: App) -> str:
        script = run.script(app)
        if at_head[app]:
            return "up to date" if script.get_heads() else "no revisions yet"
        applied: list[str] = []

        def work(now: Any, context: MigrationContext) -> list[RevisionStep]:
            # Not what was pending when this began: another migrator may have been faster.
            steps = steps_to_head(script, now, context)
            applied.extend(f"{it.revision.revision} ({it.revision.doc})" for it in steps)
            return steps

        run.in_environment(app, work, destination_rev="head")
        return f"applied {', '.join(applied)}" if applied else "up to date"

    run.each_until_error(upgrade, run.selected)


def migrate_apps(*names: str, ini: str | Path | None = None) -> None:
    """Migrate all apps, or those named, from a program: raise CommandError, use no stdout."""
    with naming("alembic.ini", ""), closing(Databases()) as databases:
        config = Config(ini or HOME.with_name("alembic.ini"), stdout=io.StringIO())
        apps = read_apps(config)
        config.attributes.update(apps=apps, databases=databases)
        migrate(Run(config, Namespace(sql=False), apps, select_apps(apps, names), databases))


def steps_to_head(script: ScriptDirectory, now: Any, _: MigrationContext) -> list[RevisionStep]:
    """Return the steps from the revisions that a database is at to the newest one."""
    pending = list(script.iterate_revisions("head", now, implicit_base=True))[::-1]
    return [RevisionStep(script.revision_map, revision, True) for revision in pending]


def print_sql(run: Run, at_head: dict[App, bool]) -> None:
    """Print the SQL of the pending revisions of every app, each under a comment with its name."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # it is a file of SQL
    for app, up_to_date in at_head.items():
        print(f"-- {app.name}: up to date" if up_to_date else f"-- {app.name}", end="\n\n")
        if not up_to_date:
            # Not `command.upgrade`, which takes one revision to start from: there may be several.
            with app.naming():
                run.in_environment(
                    app,
                    partial(steps_to_head, run.script(app)),
                    as_sql=True,
                    starting_rev=run.current[app.name],
                    destination_rev="head",
                )
