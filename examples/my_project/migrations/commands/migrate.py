"""Bring the apps' databases to their newest revisions, or print the SQL that would."""

import io
import sys
from functools import partial
from typing import Any

from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory

from ..apps import App
from ..errors import naming
from ..revisions import check_whole, label, read_current
from ..run import Run


def migrate(run: Run) -> None:
    """Bring every app's database to its newest revision."""
    current = read_current(run)
    for app in run.selected:
        check_whole(run, app, current[app.name])
    if run.options.sql:
        print_sql(run, current)
        return

    def upgrade(app: App) -> str:
        head = run.script(app).get_current_head()
        if head is None:
            return "no revisions yet"
        if current[app.name] == (head,):
            return "up to date"
        script = run.script(app)
        applied: list[str] = []

        def work(now: Any, context: MigrationContext) -> list[RevisionStep]:
            # Not those that were pending before: another migrator may have been faster.
            steps = steps_to_head(script, now, context)
            applied.extend(label(script, step.revision.revision) for step in steps)
            return steps

        run.in_environment(app, work, destination_rev="head")
        return f"applied {', '.join(applied)}" if applied else "up to date"

    run.each(upgrade, run.selected)


def steps_to_head(script: ScriptDirectory, now: Any, _: MigrationContext) -> list[RevisionStep]:
    """The steps from the revisions that a database is at to the newest one."""
    pending = list(script.iterate_revisions("head", now, implicit_base=True))[::-1]
    return [RevisionStep(script.revision_map, revision, True) for revision in pending]


def print_sql(run: Run, current: dict[str, tuple[str, ...]]) -> None:
    """Print the SQL of the pending revisions of every app, each under a comment with its name."""
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(encoding="utf-8")
    for app in run.selected:
        script, before = run.script(app), current[app.name]
        head = script.get_current_head()
        pending = head is not None and before != (head,)
        print(f"-- {app.name}" if pending else f"-- {app.name}: up to date", end="\n\n")
        if pending:
            # Not `command.upgrade`, which takes one revision to start from: there may be several.
            with naming(app):
                run.in_environment(
                    app,
                    partial(steps_to_head, script),
                    as_sql=True,
                    starting_rev=before,
                    destination_rev="head",
                )
