"""What it costs to put revisions into order across apps, here and in Django, in one process.

    .venv-bench/bin/python benchmarks/order.py [--apps 200] [--revisions 6] [--rounds 9]

Every revision but the first of an app needs one of the next app. Both sides get what they have
read from files before: here the modules, there the graph's nodes and dependencies.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from django.db.migrations.graph import MigrationGraph  # type: ignore[import-not-found]

TEMPLATE = Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}"
sys.path.insert(0, str(TEMPLATE))

from migrations.order import Order  # noqa: E402


class Thing:
    """Something with attributes, in place of an app, a revision or its module."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


def names(apps: int) -> list[str]:
    """The names of the apps."""
    return [f"app{number:03}" for number in range(apps)]


def requirements(apps: int, revisions: int) -> Iterator[tuple[str, int, str, int]]:
    """Yield what needs what: an app and its revision, and the other app and its revision."""
    found = names(apps)
    for place, name in enumerate(found):
        for number in range(2, revisions + 1):
            yield name, number, found[(place + 1) % apps], number - 1


def this_project(apps: int, revisions: int) -> Callable[[], object]:
    """What finds the order here."""
    sections: dict[str, Any] = {name: Thing(name=name) for name in names(apps)}
    needs = {
        f"{app}_{number}": (f"{other}:{other}_{required}",)
        for app, number, other, required in requirements(apps, revisions)
    }
    steps: dict[Any, list[Any]] = {
        app: [
            Thing(
                revision=f"{name}_{number}",
                module=Thing(requires=needs.get(f"{name}_{number}", ())),
                path="",
            )
            for number in range(1, revisions + 1)
        ]
        for name, app in sections.items()
    }

    def script(app: Any) -> Any:
        return Thing(walk_revisions=lambda: steps[app][::-1])

    return lambda: Order(sections, script).plan(steps, lambda _: set(), up=True)


def django(apps: int, revisions: int) -> Callable[[], object]:
    """What finds the order there, as `MigrationLoader` and `MigrationExecutor` do."""

    def plan() -> list[tuple[str, str]]:
        graph = MigrationGraph()
        for name in names(apps):
            for number in range(1, revisions + 1):
                graph.add_node((name, str(number)), None)
            for number in range(2, revisions + 1):
                key = name, str(number)
                graph.add_dependency(None, key, (name, str(number - 1)))
        for app, number, other, required in requirements(apps, revisions):
            graph.add_dependency(None, (app, str(number)), (other, str(required)))
        graph.validate_consistency()
        graph.ensure_not_cyclic()
        found: dict[tuple[str, str], None] = {}
        for leaf in graph.leaf_nodes():
            found |= dict.fromkeys(graph.forwards_plan(leaf))
        return list(found)

    return plan


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option, default in {"--apps": 200, "--revisions": 6, "--rounds": 9}.items():
        parser.add_argument(option, type=int, default=default)
    options = parser.parse_args()
    count = sum(1 for _ in requirements(options.apps, options.revisions))
    print(
        f"{options.apps} apps, {options.apps * options.revisions} revisions, {count} requirements"
    )
    seconds: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for name, make in {"this project": this_project, "Django": django}.items():
            work = make(options.apps, options.revisions)
            start = time.perf_counter()
            work()
            seconds.setdefault(name, []).append(time.perf_counter() - start)
    for name, taken in seconds.items():
        print(f"{name}: {median(taken) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
