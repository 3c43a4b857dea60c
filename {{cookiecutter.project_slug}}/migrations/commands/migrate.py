"""Migrate the databases of the apps to their newest revisions."""

from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial

from alembic.script import Script

from ..apps import App
from ..run import Run


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")


def migrate(run: Run) -> None:
    """Migrate every app's database to its newest revision."""
    run.each_until_error(partial(upgrade, run), *zip(*pending(run), strict=True))


def pending(run: Run) -> list[tuple[App, list[Script]]]:
    """Return the revisions to run; see `Order.plan`. An app may have none."""
    for app in run.selected:
        run.at_head(app)  # raises CommandError if it must not be migrated
    return run.plan("head")


def upgrade(run: Run, app: App, revisions: Sequence[Script]) -> str:
    """Apply revisions of an app, and return the text to print about it."""
    if not revisions:
        return "up to date" if run.script(app).get_heads() else "no revisions yet"
    applied = [f"{it.revision} ({it.doc})" for it in run.take(app, revisions)]
    return f"applied {', '.join(applied)}" if applied else "up to date"
