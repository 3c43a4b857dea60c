"""Alembic's own commands, for every app."""

import logging
from argparse import Namespace

from ..apps import App
from ..run import Run
from . import hooks

READ_ONLY = ("branches", "current", "heads", "history", "show")
"""Alembic's commands that change nothing."""


def run_alembic_command(run: Run) -> None:
    """Run one of Alembic's own commands for every app; downgrades go in reverse order."""
    options = Namespace(**{**vars(run.options), "raiseerr": True})  # else it prints errors itself
    name = run.options.cmd[0].__name__

    def call(app: App) -> str:
        if len(run.selected) > 1:
            print(f"{app.name}:")
        run.line.run_cmd(run.config_for(app), options)
        return ""

    if name in READ_ONLY:
        logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
        run.each_despite_errors(call)
        return
    for app in run.selected:
        run.script(app)
    for check in hooks("before_command"):
        check(run, name)
    run.each_until_error(call, run.selected[::-1] if name == "downgrade" else run.selected)
