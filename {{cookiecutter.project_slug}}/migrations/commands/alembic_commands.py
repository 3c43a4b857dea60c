"""Alembic's own commands, for every app."""

import logging
import re
from argparse import Namespace

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
    name = run.options.cmd[0].__name__
    targets = run.options.revisions if name == "stamp" else run.options.revision.split(":")
    for app in run.selected:
        script = run.script(app)
        with naming(app):
            for target in targets:
                if target and not re.search(r"[+-]\d+$", target):  # not +1, head-2
                    script.get_revisions(target)
            if name == "stamp" or run.options.sql:
                continue
            run.check_current(app)
            now = run.current[app.name]
            if name == "upgrade":  # as Alembic does it
                list(script.iterate_revisions(targets[0], now, implicit_base=True))
            else:
                list(script.iterate_revisions(now, targets[0], select_for_downgrade=True))
