"""Show which revision each app's database is at, and how many are pending."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import shown
from ..run import Run
from . import hooks

MANY = 20
"""With more apps than this, only those with something to do are shown."""


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def status(run: Run) -> None:
    """Show every app's database, current revision, head, and how many revisions are pending."""
    found = []
    for app in run.selected:
        script = run.script(app)
        run.check_current(app)
        heads = script.get_heads()
        now = run.current[app.name] or "base"
        steps = list(script.iterate_revisions(tuple(heads), now, implicit_base=True))
        found.append(
            {
                "app": app.name,
                "current": list(run.current[app.name]),
                "heads": heads,
                "pending": [step.revision for step in reversed(steps)],
                "half_done": run.unfinished(app),
                "database": shown(app.url),
            }
        )
    if run.options.json:
        print(json.dumps(found, indent=2))
        return
    print_table(found, brief=len(found) > MANY and not run.options.apps)
    for row in found:
        if row["half_done"]:
            print(f"{row['app']}: {row['half_done']}")
    for remarks in hooks("remarks"):
        for line in remarks(run):
            print(line)


def print_table(found: list[dict[str, Any]], brief: bool) -> None:
    """Print a row for each app; if `brief`, only for those with something to do."""
    rows = [("app", "current", "head", "pending", "database")]
    for row in found:
        if row["pending"] or row["half_done"] or not brief:
            now, head = (", ".join(row[key]) or "-" for key in ("current", "heads"))
            rows.append((row["app"], now, head, str(len(row["pending"])), row["database"]))
    for line in in_columns(rows) if len(rows) > 1 else ():
        print(line)
    if brief:
        print(f"{len(found) - len(rows) + 1} of {len(found)} apps are up to date")


def in_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a line for each row, with the cells of each column aligned."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for cells in rows:
        padded = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()
