"""Print the results for many tenants, grouped so that they fit on a screen."""

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from ...commands.status import in_columns
from .workers import Result

MANY = 10
"""How many names or different errors are shown, if there are more."""


def named(tenants: Sequence[str]) -> str:
    """Return `3 tenants: acme, beta, gamma`, with only the first names if there are many."""
    more = ["..."] if len(tenants) > MANY else []
    return f"{counted(len(tenants))}: {', '.join([*tenants[:MANY], *more])}"


def counted(number: int) -> str:
    """Return `1 tenant` or `2 tenants`."""
    return f"{number} tenant{'' if number == 1 else 's'}"


class Progress:
    """Shows on a terminal how many tenants are done, failed and left."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.failed, self.shown = total, 0, 0, 0.0
        self.terminal = sys.stderr is not None and sys.stderr.isatty()

    def add(self, result: Result) -> None:
        """Count a result, and show the numbers a few times a second."""
        self.done += not result.errors
        self.failed += bool(result.errors)
        if self.terminal and time.monotonic() - self.shown > 0.1:
            self.shown = time.monotonic()
            left = self.total - self.done - self.failed
            print(
                f"\r{self.done} done, {self.failed} failed, {left} left ", end="", file=sys.stderr
            )

    def clear(self) -> None:
        """Erase the line with the numbers."""
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr)


def print_results(results: Sequence[Result], apps: Sequence[str], out: TextIO) -> None:
    """Print each line about an app with its number of tenants, then all other output."""
    width = max(map(len, apps))
    for app in apps:
        texts = Counter(text for result in results for name, text in result.said if name == app)
        lines = [f"{text} in {counted(number)}" for text, number in texts.most_common(MANY)]
        if more := texts.total() - sum(number for _, number in texts.most_common(MANY)):
            lines.append(f"other results in {counted(more)}")
        if lines:
            print(f"{app:<{width}}  " + ("\n" + " " * (width + 2)).join(lines), file=out)
    printed: dict[str, list[str]] = {}
    for result in results:
        if result.printed and not result.said and not result.errors:
            printed.setdefault(result.printed.rstrip(), []).append(result.tenant)
    for text, tenants in printed.items():
        print(f"{named(tenants)}\n{text}", file=out)


def print_status(results: Sequence[Result], shared: str, as_json: bool) -> None:
    """Print how many tenants are at each revision of each app, and name those that are behind.

    `shared` is the JSON about the apps without tenants.
    """
    of_shared = json.loads(shared or "[]")
    found = [{"tenant": None, **row} for row in of_shared]
    for result in results:
        if result.errors:
            found.append({"tenant": result.tenant, "error": "; ".join(result.errors)})
        else:
            found += ({"tenant": result.tenant, **row} for row in json.loads(result.printed))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    alike: dict[tuple[str, ...], list[str]] = {}
    for row in (it for it in found if "app" in it):
        now, head = (", ".join(row[it]) or "-" for it in ("current", "heads"))
        pending, half_done = str(len(row["pending"])), row["half_done"] or ""
        alike.setdefault((row["app"], now, head, pending, half_done), []).append(row["tenant"])
    order = list(dict.fromkeys(app for app, *_ in alike))
    rows: list[tuple[str, ...]] = [("app", "current", "head", "pending", "tenants")]
    for key in sorted(alike, key=lambda key: (order.index(key[0]), -len(alike[key]))):
        *cells, pending, half_done = key
        tenants = [str(it) for it in alike[key] if it]
        behind = half_done or pending != "0"
        where = "shared" if not tenants else named(tenants) if behind else counted(len(tenants))
        rows.append((*cells, pending, where))
    for line in in_columns(rows) if len(rows) > 1 else ():
        print(line)
    for half_done, tenants in ((key[-1], alike[key]) for key in alike if key[-1]):
        print(f"{half_done} ({named(tenants) if tenants[0] else 'shared'})")


def errors_of(failed: Sequence[Result], again: str, begun: int, total: int) -> list[str]:
    """Return a line for each group of errors that differ only in the tenant, and a summary.

    `again` is the command to recommend.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for result in failed:
        name = re.compile(rf"(?<![A-Za-z0-9]){re.escape(result.tenant)}(?![A-Za-z0-9])")
        for error in result.errors:
            groups.setdefault(name.sub("{tenant}", error), []).append((result.tenant, error))
    lines = [
        f"{group[0][1]} ({named(list(dict.fromkeys(tenant for tenant, _ in group)))})"
        for group in list(groups.values())[:MANY]
    ]
    if len(groups) > MANY:
        lines.append(f"... and {len(groups) - MANY} other errors")
    rest = f", {total - begun} not begun; to continue" if begun < total else "; to retry"
    return [*lines, f"{len(failed)} of {counted(total)} failed{rest}, run: {again}"]
