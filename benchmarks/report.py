"""Tables and a plot of what run.py measured; `python benchmarks/report.py` makes them again."""

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from contenders import DDL, DJANGO, FRESH, HERE, IMPORTS, PROJECT, SHELL

COLOURS = {PROJECT: "#e8710a", DJANGO: "#1e9e6a", SHELL: "#8e6fd8"}
GREY = "#808890"  # to be read on white and on black


class Results:
    """The medians of all rounds."""

    def __init__(self, folder: Path) -> None:
        numbers = json.loads((folder / "results.json").read_text())
        self.machine: dict[str, str] = numbers["machine"]
        self.series: list[dict[str, Any]] = numbers["series"]
        self.databases = self.values("database")
        self.operations = self.values("operation", contender=PROJECT)

    def values(self, key: str, **wanted: object) -> list[Any]:
        """What stands under a key, in the series with these values under others."""
        found = (one for one in self.series if wanted.items() <= one.items())
        return list(dict.fromkeys(one[key] for one in found))

    def get(self, contender: str, what: str = "seconds", **wanted: object) -> float | None:
        """The median of a series, if there is one."""
        numbers = self.numbers(contender, what, **wanted)
        return median(numbers) if numbers else None

    def ratio(self, contender: str, **wanted: object) -> str:
        """How many times as long as a contender this project takes.

        In the same round they run one after the other: what slows the machine slows both.
        """
        this, other = (self.numbers(name, "seconds", **wanted) for name in (PROJECT, contender))
        rounds = [a / b for a, b in zip(this, other, strict=False)]
        return f"{median(rounds):.2g}" if rounds else ""

    def numbers(self, contender: str, what: str, **wanted: object) -> list[float]:
        """What was measured of a contender, a number for each round."""
        wanted = {"revisions": 3, **wanted, "contender": contender}
        found = [one for one in self.series if wanted.items() <= one.items()]
        return list(found[0][what]) if found else []


def ratios(results: Results) -> str:
    """How many times as long as Django this project takes, as a Markdown table."""
    apps = results.values("apps", revisions=3)
    rows = []
    for operation in results.operations:
        for database in results.databases:
            row = [operation, database]
            for number in apps:
                where = {"operation": operation, "database": database, "apps": number}
                row.append(results.ratio(DJANGO, **where))
            rows.append(row)
    return table(["time / Django's time", "", *(f"{number} apps" for number in apps)], rows)


def medians(results: Results, database: str) -> str:
    """All that was measured on one database, as a Markdown table."""
    head = [database, "apps", "revisions", "this, s", "Django, s", "shell loop, s", "floor, s"]
    head += ["/ Django", "/ shell loop", "/ floor", "this, MB", "Django, MB"]
    cells = {(one["revisions"], one["apps"]) for one in results.series}
    rows = []
    for operation in results.operations:
        for revisions, apps in sorted(cells):
            where = {"database": database, "apps": apps, "revisions": revisions}
            floor = results.get(IMPORTS, **where) or 0
            if operation == FRESH:
                floor += results.get(DDL, **where) or 0
            where["operation"] = operation
            this, *others = (results.get(name, **where) for name in (PROJECT, DJANGO, SHELL))
            if this:
                row = [operation, str(apps), str(revisions)]
                row += [f"{time:.2f}" if time else "" for time in (this, *others, floor)]
                row += [results.ratio(name, **where) for name in (DJANGO, SHELL)]
                row.append(f"{this / floor:.2g}")
                peaks = (results.get(name, "peak_mb", **where) for name in (PROJECT, DJANGO))
                rows.append(row + [f"{peak:.0f}" for peak in peaks if peak])
    return table(head, rows)


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def plot(results: Results, path: Path) -> None:
    """Draw seconds over the number of apps: a row for each database."""
    keys = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    mpl.rcParams.update(dict.fromkeys(keys, GREY) | {"svg.hashsalt": "plot", "font.size": 9})
    shape = (len(results.databases), len(results.operations))
    size = (2.1 * shape[1] + 0.6, 2.3 * shape[0] + 0.5)
    figure, panels = plt.subplots(*shape, figsize=size, sharex=True, sharey=True, squeeze=False)
    for database, row in zip(results.databases, panels, strict=True):
        for operation, panel in zip(results.operations, row, strict=True):
            where = {"operation": operation, "database": database, "revisions": 3}
            for contender, colour in COLOURS.items():
                apps = results.values("apps", contender=contender, **where)
                times = [results.get(contender, apps=number, **where) for number in apps]
                panel.plot(apps, times, marker=".", color=colour, label=contender)
            panel.set(xscale="log", yscale="log", facecolor="none")
            panel.grid(color=GREY, alpha=0.25)
            panel.spines[["top", "right"]].set_visible(False)
            ticks = results.values("apps", revisions=3)
            panel.set_xticks(ticks, [str(number) for number in ticks], minor=False)
            panel.minorticks_off()
            panel.yaxis.set_major_formatter("{x:g} s")
        row[0].set_ylabel(database)
    for operation, panel in zip(results.operations, panels[0], strict=True):
        panel.set_title(operation, fontsize=9)
    for panel in panels[-1]:
        panel.set_xlabel("apps")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    figure.savefig(path, transparent=True, metadata={"Date": None})


def write(folder: Path) -> None:
    """Write the tables and the plot beside the numbers, and print the tables."""
    results = Results(folder)
    machine = ", ".join(f"{name} {version}" for name, version in results.machine.items())
    tables = [ratios(results), *(medians(results, name) for name in results.databases)]
    told = "Medians, in seconds and MB, and of the ratios within a round, measured with"
    text = f"{told} {machine}.\n\n" + "\n".join(tables)
    (folder / "results.md").write_text(f"# Benchmark\n\n{text}")
    plot(results, folder / "results.svg")
    print(text)


if __name__ == "__main__":
    write(HERE / "results")
