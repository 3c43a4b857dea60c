"""The benchmark measures everything; what its numbers are is for its readers."""

import json
import re
import subprocess
from pathlib import Path

from project import TEMPLATE

PROJECTS = {"this project", "Django 5.2"}
GROWTH = {"fresh migrate", "nothing to do", "status"}
OPERATIONS = GROWTH | {"check", "generate, no changes", "generate from nothing"}
FLOOR = {("imports alone", "imports alone"), ("DDL alone", "DDL alone")}


def test_the_readme_has_the_table_of_the_last_run() -> None:
    results = (TEMPLATE / "benchmarks/results/results.md").read_text()
    first_table = re.search(r"(?m)(^\|.*\n)+", results)
    assert first_table
    assert first_table[0] in (TEMPLATE / "README.md").read_text()


def test_a_short_run_has_all_numbers(tmp_path: Path) -> None:
    short = ["--apps", "2", "--revisions", "4", "--databases", "SQLite", "--rounds", "1"]
    run = [str(TEMPLATE / "benchmarks/run.sh"), *short, "--output", str(tmp_path)]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    measured: dict[tuple[int, int], set[tuple[str, str]]] = {}
    for one in json.loads((tmp_path / "results.json").read_text())["series"]:
        numbers = [*one["seconds"], *one["cpu_seconds"], *one["peak_mb"]]
        assert len([number for number in numbers if number > 0]) == 3
        pairs = measured.setdefault((one["apps"], one["revisions"]), set())
        pairs.add((one["operation"], one["contender"]))
    assert measured == {
        (2, 3): FLOOR | {(o, c) for o in OPERATIONS for c in (*PROJECTS, "shell loop")},
        (10, 4): FLOOR | {(o, c) for o in GROWTH for c in PROJECTS},
    }
    assert "| fresh migrate | 10 | 4 |" in (tmp_path / "results.md").read_text()
    assert "<svg" in (tmp_path / "results.svg").read_text()

    python, script = TEMPLATE / ".venv-bench/bin/python", TEMPLATE / "benchmarks/order.py"
    said = subprocess.check_output([python, script, "--rounds", "1"], text=True)
    assert said.startswith("200 apps, 1200 revisions, 1000 requirements\nthis project: ")
    assert re.search(r"(?m)^Django: [\d.]+ ms$", said)


def test_a_short_run_with_tenants_has_all_numbers(tmp_path: Path) -> None:
    short = ["--tenants", "2", "--shell", "1", "--rounds", "1", "--kinds", "SQLite"]
    run = [str(TEMPLATE / "benchmarks/run.sh"), "tenants", *short, "--output", str(tmp_path)]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    measured: dict[str, set[str]] = {}
    for one in json.loads((tmp_path / "tenants.json").read_text())["series"]:
        assert min(one["seconds"]) > 0
        measured.setdefault(one["operation"], set()).add(one["contender"])
    ours, new = {"shell loop", "one process", "two workers"}, {"DDL alone", "replay"}
    assert measured == {
        "fresh migrate": {*ours, "DDL alone"},
        "one change": {*ours, "DDL alone"},
        **dict.fromkeys(("nothing to do", "status"), ours),
        "nothing to do for one": {"one process"},
        **dict.fromkeys(("new tenant", "new tenant, Python runs"), new),
    }
    tables = (tmp_path / "tenants.md").read_text()
    assert tables.count("| SQLite, 2 | fresh migrate") == 2
