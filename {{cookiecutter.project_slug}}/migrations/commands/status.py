"""Show which revision each app's database is at, and how many are pending."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import shown
from ..run import Run
from . import hooks


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def status(run: Run) -> None:
    """Show every app's database, current revision, head, and how many revisions are pending."""
    found: list[dict[str, Any]] = []
    for app in run.selected:
        found.append(
            {
                "app": app.name,
                "current": list(run.current(app)),
                "heads": run.script(app).get_heads(),
                "pending": [step.revision for step in run.steps(app, "heads")],
                "half_done": run.unfinished(app),
                "database": shown(app.url),
            }
        )
    if run.options.json:
        print(json.dumps(found, indent=2))
        return
    rows = [("app", "current", "head", "pending", "database")]
    for row in found:
        now, head = (", ".join(row[key]) or "-" for key in ("current", "heads"))
        rows.append((row["app"], now, head, str(len(row["pending"])), row["database"]))
    print("\n".join(in_columns(rows)))
    for row in found:
        if row["half_done"]:
            print(f"{row['app']}: {row['half_done']}")
    for remarks in hooks("remarks"):
        for line in remarks(run):
            print(line)


def in_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a line for each row, with the cells of each column aligned."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for cells in rows:
        padded = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()
