"""Alembic's own commands, for every app."""

import logging
from argparse import Namespace
from collections.abc import Sequence

from alembic.config import CommandLine
from alembic.script import Script

from ..apps import App
from ..run import Run

READ_ONLY = ("branches", "current", "heads", "history", "show")
"""Alembic's commands that change nothing."""


def run_alembic_command(run: Run) -> None:
    """Run one of Alembic's own commands for every app."""
    options = Namespace(**{**vars(run.options), "raiseerr": True})  # else Alembic prints the errors
    name, run_cmd = run.options.cmd[0].__name__, CommandLine().run_cmd

    def call(app: App) -> str:
        if len(run.selected) > 1:
            print(f"{app.name}:")
        run_cmd(run.config_for(app), options)
        return ""

    def take(app: App, revisions: Sequence[Script]) -> str:
        if revisions:
            print(f"{app.name}:")
            run.take(app, revisions, up=name == "upgrade", tag=options.tag)
        return ""

    if name in READ_ONLY:
        logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
        run.each_despite_errors(call)
        return
    for app in run.selected:  # before the first one moves
        script = run.script(app)
        with app.naming():
            script.get_revisions(options.revisions if name == "stamp" else ())
    if name in ("upgrade", "downgrade") and len(run.selected) > 1 and not options.sql:
        plan = run.plan(options.revision, up=name == "upgrade")
        apps, revisions = zip(*plan, strict=True)
        run.each_until_error(take, apps, revisions)
    else:
        run.each_until_error(call, run.selected)
