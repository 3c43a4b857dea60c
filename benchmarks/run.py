"""Measures this template's project, Django and a shell loop over Alembic, side by side.

Writes the raw numbers, tables and a plot; ./benchmarks/run.sh calls it with all it needs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from contenders import (
    DDL,
    FRESH,
    GENERATE,
    HERE,
    IMPORTS,
    NOTHING,
    OPERATIONS,
    SHELL,
    STATUS,
    UNCHANGED,
    Contender,
    build,
    environment,
    revision_files,
    run,
)
from databases import DATABASES

GROWTH = (FRESH, NOTHING, STATUS)
"""What is measured with more and more revisions."""


@dataclass
class Series:
    """What one contender took for one operation, a number for each round."""

    database: str
    apps: int
    revisions: int
    operation: str
    contender: str
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)

    def measure(self, command: list[str], folder: Path, url: str) -> None:
        """Run a command once. Its peak can never be below that of this process."""
        with tempfile.TemporaryFile() as output:
            start = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=folder, env=environment(url), stdout=output, stderr=output
            )
            _, status, usage = os.wait4(process.pid, 0)
            self.seconds.append(time.perf_counter() - start)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                sys.exit(f"{' '.join(command)} failed:\n{output.read().decode()}")
        self.cpu_seconds.append(usage.ru_utime + usage.ru_stime)
        self.peak_mb.append(usage.ru_maxrss / 1024)


def measure(
    kind: str, apps: int, revisions: int, operations: Sequence[str], rounds: int, shell: bool
) -> list[Series]:
    """Measure all contenders in turn, with one number of apps and revisions on one database."""
    results: dict[tuple[str, str], Series] = {}

    def series(operation: str, contender: str) -> Series:
        new = Series(kind, apps, revisions, operation, contender)
        return results.setdefault((operation, contender), new)

    def perform(operation: str, contender: Contender, series: Series) -> None:
        folder, database = contender.folder, databases[contender.name]
        if operation == FRESH:
            database.create()
        elif operation == GENERATE:
            folder, database = contender.bare, empty
        before = revision_files(folder)
        series.measure(contender.command(operation), folder, database.url)
        written = revision_files(folder) - before
        for path in written:
            path.unlink()
        plain = contender.name == SHELL and operation == UNCHANGED  # writes empty files
        if len(written) != (apps if plain or operation == GENERATE else 0):
            sys.exit(f"{contender.name}: {operation} wrote {len(written)} files")

    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        here = Path(temporary)
        contenders = [c for c in build(here, apps, revisions) if shell or c.name != SHELL]
        databases = {c.name: DATABASES[kind](here, c.name) for c in contenders}
        empty, client = (DATABASES[kind](here, name) for name in ("empty", "client"))
        for database in (*databases.values(), empty, client):
            stack.callback(database.drop)
            database.create()
        project = contenders[0].folder
        script = here / "all.sql"
        script.write_text(run("python -m migrations migrate --sql", project, empty.url))
        imports = ["python", "-c", "import alembic.command, sqlalchemy"]

        # Once without counting: bytecode gets compiled, files get into the cache.
        for contender in contenders:
            perform(FRESH, contender, Series(kind, apps, revisions, FRESH, contender.name))
            content = databases[contender.name].content()
            if content != [3 * apps, 15 * apps, apps, apps]:
                sys.exit(f"{contender.name} made other tables than it should: {content}")
        for number in range(rounds):
            for operation in operations:
                for contender in contenders[:: -1 if number % 2 else 1]:
                    # The shell loop takes minutes: with many apps, once is enough.
                    if contender.name != SHELL or apps < 10 or not number:
                        perform(operation, contender, series(operation, contender.name))
            series(IMPORTS, IMPORTS).measure(imports, project, "")
            client.create()
            series(DDL, DDL).measure(client.client(script), project, "")
    return list(results.values())


def versions(*packages: str) -> dict[str, str]:
    """The versions of packages, of Python and of the system."""
    code = "python -c 'from importlib.metadata import version; print(version(\"{}\"))'"
    found = {name: run(code.format(name), HERE).strip() for name in packages}
    return {**found, "python": platform.python_version(), "system": platform.system()}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="./benchmarks/run.sh", description=__doc__)

    def numbers(option: str, default: list[int], text: str) -> None:
        parser.add_argument(option, type=int, nargs="*", metavar="N", default=default, help=text)

    numbers("--apps", [2, 10, 50, 200], "how many apps, with 3 revisions each")
    numbers("--revisions", [3, 30, 300], "how many revisions in each of 10 apps")
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=OPERATIONS)
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shell-up-to", type=int, default=50, metavar="N", help="apps; it is slow")
    parser.add_argument("--output", type=Path, default=HERE / "results", metavar="FOLDER")
    options = parser.parse_args()
    cells = {(10, n): GROWTH for n in options.revisions}
    cells |= {(n, 3): options.operations for n in options.apps}

    machine = versions("alembic", "sqlalchemy", "django", "psycopg")
    results: list[Series] = []
    options.output.mkdir(parents=True, exist_ok=True)
    for kind in options.databases:
        for (apps, revisions), operations in sorted(cells.items()):
            print(f"{kind}: {apps} apps with {revisions} revisions", file=sys.stderr, flush=True)
            shell = revisions == 3 and apps <= options.shell_up_to
            results += measure(kind, apps, revisions, operations, options.rounds, shell)
            numbers_so_far = {"machine": machine, "series": [asdict(one) for one in results]}
            (options.output / "results.json").write_text(json.dumps(numbers_so_far) + "\n")
    import report  # only now, because matplotlib is large; see Series.measure

    report.write(options.output)


if __name__ == "__main__":
    main()
