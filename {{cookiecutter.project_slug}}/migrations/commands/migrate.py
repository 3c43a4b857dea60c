"""Migrate the databases of the apps to their newest revisions."""

import io
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Lock

from alembic.config import Config
from alembic.script import Script

from ..apps import App, read_apps
from ..databases import Databases
from ..errors import HOME, naming
from ..run import Run, select_apps
from . import with_extras

ONE_AT_A_TIME = Lock()
"""Held by a thread that migrates, because all threads share Alembic's `context` and `op`."""


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")


def migrate(run: Run) -> None:
    """Migrate every app's database to its newest revision."""
    apps, revisions = zip(*pending(run), strict=True)
    run.each_until_error(partial(upgrade, run), apps, revisions)


def pending(run: Run) -> list[tuple[App, list[Script]]]:
    """Return the revisions to run; see `Order.plan`. An app may have none."""
    for app in run.selected:
        run.check_ready(app)
    return run.plan("head")


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
        options = Namespace(tenant=[tenant] if tenant else [])
        with_extras(migrate)(Run(config, options, apps, select_apps(apps, names), databases))
