"""Alembic's own commands, for every app."""

import logging
from argparse import Namespace
from collections.abc import Sequence

from alembic.script import Script

from ..apps import App
from ..run import Run
from . import hooks

READ_ONLY = ("branches", "current", "heads", "history", "show")
"""Alembic's commands that change nothing."""


def run_alembic_command(run: Run) -> None:
    """Run one of Alembic's own commands for every app."""
    options = Namespace(**{**vars(run.options), "raiseerr": True})  # else Alembic prints the errors
    name = run.options.cmd[0].__name__

    def call(app: App) -> str:
        if len(run.selected) > 1:
            print(f"{app.name}:")
        run.command_line.run_cmd(run.config_for(app), options)
        return ""

    if name in READ_ONLY:
        logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
        run.each_despite_errors(call)
        return
    for app in run.selected:
        run.script(app)
    for check in hooks("before_command"):
        check(run, name)
    if name in ("upgrade", "downgrade") and len(run.selected) > 1 and not options.sql:
        run_in_order(run, up=name == "upgrade")
    else:
        run.each_until_error(call, run.selected)


def run_in_order(run: Run, up: bool) -> None:
    """Upgrade or downgrade several apps, in the order that their revisions require."""
    steps: dict[App, list[Script]] = {}
    for app in run.selected if up else run.selected[::-1]:
        run.check_current(app)
        with app.naming():
            steps[app] = run.steps(app, run.options.revision, up)

    def call(app: App, revisions: Sequence[Script]) -> str:
        if revisions:
            print(f"{app.name}:")
            run.take(app, revisions, up, tag=run.options.tag)
        return ""

    run.each_until_error(call, *zip(*run.order.plan(steps, run.applied, up), strict=True))
