"""The commands that work on several apps: what each does, and what it prints."""

import io
import json
import logging
import re
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from alembic import command
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from .apps import App
from .changes import describe
from .differences import differences, known
from .errors import naming, shown
from .graph import draw
from .leftovers import left_over
from .revisions import at_head, check_current, check_whole, label, read_current
from .run import Run


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


def check(run: Run) -> None:
    """Fail where models and database differ, or where revisions are pending."""
    current = read_current(run)

    def ready(app: App) -> bool:
        with suppress(CommandError):  # `report` raises it again
            return at_head(run, app, current)
        return False

    found = differences(run, filter(ready, run.selected))

    def report(app: App) -> str:
        if not at_head(run, app, current):
            raise CommandError("the database is behind the newest revision; run ./migrate.sh")
        if changes := describe(known(found[app]).upgrade):
            raise CommandError(
                f"models and database differ: {', '.join(changes)}; run ./generate.sh"
            )
        return "no changes"

    run.look(report)


def status(run: Run) -> None:
    """Show every app's database, current revision, head, and how many revisions are pending."""
    current = read_current(run)
    found = []
    for app in run.selected:
        script = run.script(app)
        check_current(run, app, current[app.name])
        heads = script.get_heads()
        now = current[app.name] or "base"
        steps = list(script.iterate_revisions(tuple(heads), now, implicit_base=True))
        found.append(
            {
                "app": app.name,
                "current": list(current[app.name]),
                "heads": heads,
                "pending": [step.revision for step in reversed(steps)],
                "half_done": run.half_done.get(app.name),
                "database": shown(app.url),
            }
        )
    if run.options.json:
        print(json.dumps(found, indent=2))
    else:
        print_table(found, brief=len(found) > MANY and not run.options.apps)
        for name, text in run.half_done.items():
            print(f"{name}: {text}")
        if len(run.selected) == len(run.apps):
            for line in left_over(run.databases, tuple(run.selected)):
                print(line)


MANY = 20
"""With more apps than this, `status` shows only those that have something to do."""


def print_table(found: list[dict[str, Any]], brief: bool) -> None:
    """Print a row for each app; in brief, only for those that have something to do."""
    rows = [("app", "current", "head", "pending", "database")]
    for row in found:
        if row["pending"] or row["half_done"] or not brief:
            now, head = (", ".join(row[key]) or "-" for key in ("current", "heads"))
            rows.append((row["app"], now, head, str(len(row["pending"])), row["database"]))
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for cells in rows if len(rows) > 1 else ():
        print("  ".join(f"{c:<{width}}" for c, width in zip(cells, widths, strict=True)).rstrip())
    if brief:
        print(f"{len(found) - len(rows) + 1} of {len(found)} apps are up to date")


def graph(run: Run) -> None:
    """Print a picture of every app's revisions and references, as text for Mermaid."""
    current = read_current(run)
    for app in run.selected:
        check_current(run, app, current[app.name])
    scripts = {app.name: run.script(app) for app in run.selected}
    print("\n".join(draw(run.selected, scripts, current)))


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


def find(cmd: Any) -> Callable[[Run], None]:
    """What to run for the command that the command line found."""
    if callable(cmd):
        return cmd  # type: ignore[no-any-return]
    return check if cmd[0] is command.check else alembic
