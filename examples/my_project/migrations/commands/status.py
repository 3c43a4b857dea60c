"""Where the apps' databases are, and what is pending."""

import json
from typing import Any

from ..errors import shown
from ..revisions import check_current, read_current
from ..run import Run
from .leftovers import left_over


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
