"""Alembic's own commands, for every app."""

import logging
import re
from argparse import Namespace

from alembic import command

from ..apps import App
from ..errors import naming
from ..revisions import check_current, read_current
from ..run import Run

LOOKING = ("branches", "current", "heads", "history", "show")
"""Alembic's commands that change nothing."""


def alembic(run: Run) -> None:
    """Run one of Alembic's own commands for every app; downgrades go in reverse order."""
    options = Namespace(**{**vars(run.options), "raiseerr": True})  # else it prints errors itself
    name = run.options.cmd[0].__name__

    def call(app: App) -> str:
        if len(run.selected) > 1:
            print(f"{app.name}:")
        run.line.run_cmd(run.turn_to(app), options)
        return ""

    if name in LOOKING:
        logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
        run.look(call)
        return
    for app in run.selected:
        run.script(app)
    if name in ("upgrade", "downgrade", "stamp"):
        check_targets(run)
    run.each(call, run.selected[::-1] if name == "downgrade" else run.selected)


def check_targets(run: Run) -> None:
    """Raise what can be known of an upgrade, downgrade or stamp before the first app gets it."""
    stamp = run.options.cmd[0] is command.stamp
    targets = run.options.revisions if stamp else run.options.revision.split(":")
    current = {} if stamp or run.options.sql else read_current(run)
    for app in run.selected:
        check_current(run, app, current.get(app.name, ()))
        with naming(app):
            for target in targets:
                if target and not re.search(r"[+-]\d+$", target):  # not +1, head-2
                    run.script(app).get_revisions(target)
