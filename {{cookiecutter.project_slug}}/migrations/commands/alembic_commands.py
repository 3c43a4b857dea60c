"""Alembic's own commands, for every app."""

import logging
import re
from argparse import Namespace

from alembic import command

from ..apps import App
from ..errors import naming
from ..run import Run

READ_ONLY = ("branches", "current", "heads", "history", "show")
"""Alembic's commands that change nothing."""


def alembic(run: Run) -> None:
    """Run one of Alembic's own commands for every app; downgrades go in reverse order."""
    options = Namespace(**{**vars(run.options), "raiseerr": True})  # else it prints errors itself
    name = run.options.cmd[0].__name__

    def call(app: App) -> str:
        if len(run.selected) > 1:
            print(f"{app.name}:")
        run.line.run_cmd(run.config_of(app), options)
        return ""

    if name in READ_ONLY:
        logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
        run.report(call)
        return
    for app in run.selected:
        run.script(app)
    if name in ("upgrade", "downgrade", "stamp"):
        check_targets(run)
    run.each(call, run.selected[::-1] if name == "downgrade" else run.selected)


def check_targets(run: Run) -> None:
    """Raise what is wrong with an upgrade, downgrade or stamp before it reaches the first app."""
    stamp = run.options.cmd[0] is command.stamp
    targets = run.options.revisions if stamp else run.options.revision.split(":")
    for app in run.selected:
        if not stamp and not run.options.sql:
            run.check_current(app)
        with naming(app):
            for target in targets:
                if target and not re.search(r"[+-]\d+$", target):  # not +1, head-2
                    run.script(app).get_revisions(target)
