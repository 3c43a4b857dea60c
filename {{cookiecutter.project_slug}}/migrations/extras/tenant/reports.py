"""Print the results for many tenants, grouped so that they fit on a screen."""

import json
import re
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


def print_results(results: Sequence[Result], apps: Sequence[str], out: TextIO) -> None:
    """Print each line about an app with its number of tenants, then all other output."""
    width = max(map(len, apps))
    for app in apps:
        texts = Counter(text for result in results for name, text in result.said if name == app)
        lines = [f"{text} in {counted(number)}" for text, number in texts.most_common(MANY)]
        if len(texts) > MANY:
            lines.append(f"... and {len(texts) - MANY} other results")
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
    found = [{"tenant": None, **row} for row in json.loads(shared or "[]")]
    for result in results:
        if result.errors:
            found.append({"tenant": result.tenant, "error": "; ".join(result.errors)})
        else:
            found += ({"tenant": result.tenant, **row} for row in json.loads(result.printed))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    alike: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for row in (it for it in found if "app" in it):
        now, head = (", ".join(row[it]) or "-" for it in ("current", "heads"))
        state = (now, head, str(len(row["pending"])), row["half_done"] or "")
        alike.setdefault(row["app"], {}).setdefault(state, []).append(row["tenant"])
    rows: list[tuple[str, ...]] = [("app", "current", "head", "pending", "tenants")]
    remarks = []
    for app, states in alike.items():
        for cells, tenants in sorted(states.items(), key=lambda item: -len(item[1])):
            *revisions, pending, half_done = cells
            behind = pending != "0" or half_done
            where = "shared"
            if tenants[0]:
                where = named(tenants) if behind else counted(len(tenants))
            rows.append((app, *revisions, pending, where))
            remarks += [f"{half_done} ({where})"] * bool(half_done)
    for line in (*in_columns(rows), *remarks):
        print(line)


def errors_of(failed: Sequence[Result], again: str, begun: int, total: int) -> list[str]:
    """Return a line for each group of errors that differ only in the tenant, and a summary.

    `again` is the command to recommend.
    """
    groups: dict[str, dict[str, str]] = {}
    for result in failed:
        name = re.compile(rf"(?<![A-Za-z0-9]){re.escape(result.tenant)}(?![A-Za-z0-9])")
        for error in result.errors:
            groups.setdefault(name.sub("{tenant}", error), {})[result.tenant] = error
    shown = list(groups.values())[:MANY]
    lines = [f"{next(iter(group.values()))} ({named([*group])})" for group in shown]
    if len(groups) > MANY:
        lines.append(f"... and {len(groups) - MANY} other errors")
    rest = f", {total - begun} not begun; to continue" if begun < total else "; to retry"
    return [*lines, f"{len(failed)} of {counted(total)} failed{rest}, run: {again}"]
