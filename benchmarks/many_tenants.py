"""Measures two apps of many tenants: a shell loop, one process, two workers, and the DDL alone.

Writes the raw numbers, and tables of them; ./benchmarks/run.sh tenants calls it.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from contenders import DDL, FRESH, HERE, NOTHING, SHELL, STATUS, bake, run
from run import Series, versions

ONE, TWO = "one process", "two workers"
CHANGE, NOTHING_FOR_ONE = "one change", "nothing to do for one"
NEW, INSIDE, REPLAY = "new tenant", "new tenant, Python runs", "replay"
OPERATIONS = (FRESH, NOTHING, STATUS, CHANGE)

REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    op.add_column("APP_author", sa.Column("phone", sa.String(50)))
"""

# The driver runs statements at one place after the other.
EXECUTE = """
import importlib, json, sys, time
driver, jobs = json.load(open(sys.argv[1]))
connect, seconds = importlib.import_module(driver).connect, []
for place, statements in jobs:
    start = time.perf_counter()
    connection = connect(**place)
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    connection.close()
    seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
"""

MAKE_TENANTS = """
import json, sys, time
from migrations.__main__ import main
seconds = []
for name in sys.argv[1:]:
    start = time.perf_counter()
    if main(["tenant", name]):
        sys.exit(1)
    seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
"""

Job = tuple[str, Sequence[str]]
"""A URL, and statements to run there."""


@dataclass(frozen=True)
class Kind:
    """A kind of tenants: how many, where they are, and how these places come and go."""

    tenants: int
    server: str
    database: str
    """The name of a tenant's database, or of the one for all."""
    schema: str = ""
    create: str = "CREATE DATABASE {}"
    drop: str = "DROP DATABASE IF EXISTS {}"
    goal: int = 4
    """How many times faster than the shell loop it should be."""


SERVERS = {
    "psycopg": os.environ.get(
        "TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    "pymysql": os.environ.get("TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1:3306/mysql"),
}
SHARED = f"benchmark_{os.getpid()}"
OWN = f"{SHARED}_{{tenant}}"
FORCE = "DROP DATABASE IF EXISTS {} WITH (FORCE)"
KINDS = {
    "SQLite": Kind(500, "sqlite:///", f"{OWN}.db", goal=10),
    "PostgreSQL": Kind(200, SERVERS["psycopg"], OWN, drop=FORCE),
    "schemas": Kind(
        500,
        SERVERS["psycopg"],
        SHARED,
        "in_{tenant}",
        "CREATE SCHEMA {}",
        "DROP SCHEMA IF EXISTS {} CASCADE",
    ),
    "MariaDB": Kind(100, SERVERS["pymysql"], OWN),
}


@dataclass
class Measured(Series):
    """What is measured, for a number of tenants."""

    tenants: int = 1


@dataclass
class Fleet:
    """A project for tenants, the same project without, and the places of the tenants."""

    kind: Kind
    folder: Path
    plain: Path = field(init=False)
    project: Path = field(init=False)

    def __post_init__(self) -> None:
        self.plain = bake(self.folder, ["app001", "app002"], 3, tenants=True)
        self.project = self.folder / "tenants"
        run("cp -R bench tenants", self.folder)
        before, _, _ = self.kind.server.rpartition("/")
        at = f"{self.kind.server}{self.folder}" if self.driver == "sqlite3" else before
        self.database = f"{at}/{self.kind.database}"
        key = "tenant_schema" if self.kind.schema else "tenant_url"
        ini = self.project / "alembic.ini"
        keys = f"tenants = tenants.txt\n{key} = {self.kind.schema or self.database}"
        ini.write_text(ini.read_text().replace("\n[DEFAULT]\n", f"\n[DEFAULT]\n{keys}\n", 1))
        run("python -m compileall -q .", self.folder)

    @property
    def driver(self) -> str:
        """The module of the driver."""
        return urlsplit(self.kind.server).scheme.partition("+")[2] or "sqlite3"

    def url(self, tenant: str) -> str:
        """The URL at which a tenant's tables are."""
        search_path = f"?options=-csearch_path%3D{self.kind.schema}" if self.kind.schema else ""
        return (self.database + search_path).replace("{tenant}", tenant)

    def place(self, url: str) -> dict[str, Any]:
        """What the driver takes instead of a URL."""
        if self.driver == "sqlite3":
            return {"database": url.removeprefix("sqlite:///"), "isolation_level": None}
        if self.driver == "psycopg":
            return {"conninfo": url.replace("+psycopg", "", 1), "autocommit": True}
        parts = urlsplit(url)
        at = {"host": parts.hostname, "port": parts.port or 3306, "database": parts.path[1:]}
        return {**at, "user": parts.username, "password": parts.password or "", "autocommit": True}

    def by_driver(self, *jobs: Job) -> list[str]:
        """The command that lets the driver run statements, and prints the seconds of each job."""
        file = self.folder / "jobs.json"
        file.write_text(json.dumps([self.driver, [(self.place(url), sql) for url, sql in jobs]]))
        return ["python", "-c", EXECUTE, str(file)]

    def run(self, command: Sequence[str]) -> str:
        """Run a command in the project, and return what it printed."""
        return run(shlex.join(command), self.project, self.database)

    def at_server(self, statement: str, tenants: Sequence[str]) -> Job:
        """What creates or drops the places of tenants."""
        schema = self.kind.schema
        name = schema or self.kind.database
        statements = [statement.format(name.replace("{tenant}", tenant)) for tenant in tenants]
        return self.database if schema else self.kind.server, statements

    def create(self, tenants: Sequence[str]) -> list[Job]:
        """What creates the places of tenants, one after the other; SQLite needs nothing."""
        if self.driver == "sqlite3":
            return []
        return [self.at_server(self.kind.create, [tenant]) for tenant in tenants]

    def drop(self, tenants: Sequence[str]) -> None:
        """Drop the places of tenants."""
        if self.driver == "sqlite3":
            for tenant in tenants:
                Path(self.place(self.url(tenant))["database"]).unlink(missing_ok=True)
        else:
            self.run(self.by_driver(self.at_server(self.kind.drop, tenants)))

    def reset(self, tenants: Sequence[str]) -> None:
        """Let these be the tenants, their places empty, and three revisions."""
        self.drop(tenants)
        self.run(self.by_driver(*self.create(tenants)))
        self.name(tenants)
        self.change(there=False)

    def name(self, tenants: Sequence[str]) -> None:
        """Let these be the tenants."""
        (self.project / "tenants.txt").write_text("".join(f"{tenant}\n" for tenant in tenants))

    def change(self, there: bool) -> None:
        """Add a revision to every app, or take it away."""
        for project in (self.plain, self.project):
            for app in ("app001", "app002"):
                path = project / f"src/bench/{app}/migrations/0004_step.py"
                path.unlink(missing_ok=True)
                if there:
                    path.write_text(REVISION.replace("APP", app))

    def sql(self, tenant: str) -> list[str]:
        """The statements that bring a tenant to the newest revisions."""
        script = run("./migrate.sh --sql", self.plain, self.url(tenant))
        code = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
        return [text for part in code.split(";\n") if (text := part.strip().removesuffix(";"))]

    def check(self, contender: str) -> None:
        """Exit unless every tenant is at the newest revisions."""
        rows = json.loads(self.run(["python", "-m", "migrations", "status", "--json"]))
        names = (self.project / "tenants.txt").read_text().split()
        if len(rows) != 2 * len(names) or any(row.get("pending") != [] for row in rows):
            sys.exit(f"{contender}: not every tenant is at the newest revisions")


@contextmanager
def fleet_of(kind: Kind) -> Iterator[Fleet]:
    """A fleet in a temporary folder, with the database for all if there is one."""
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(kind, Path(folder))
        if not kind.schema:
            yield fleet
            return
        fleet.run(fleet.by_driver((kind.server, [f"CREATE DATABASE {kind.database}"])))
        try:
            yield fleet
        finally:
            fleet.run(fleet.by_driver((kind.server, [FORCE.format(kind.database)])))


class Benchmark:
    """All measurements with one kind of tenants."""

    def __init__(self, name: str, fleet: Fleet, tenants: int, shell: int) -> None:
        self.name, self.fleet = name, fleet
        self.tenants = [f"tenant{number:03}" for number in range(tenants)]
        self.some = self.tenants[:shell]
        self.new = [f"new{number}" for number in range(6)]
        self.results: dict[tuple[str, str], Measured] = {}
        first = self.tenants[0]
        fleet.reset([first])
        self.script = {FRESH: fleet.sql(first)}
        fleet.run(fleet.by_driver((fleet.url(first), self.script[FRESH])))
        fleet.change(there=True)
        self.script[CHANGE] = fleet.sql(first)
        fleet.drop([first])

    def series(self, operation: str, contender: str, tenants: int = 1) -> Measured:
        """Where the numbers go."""
        new = Measured(self.name, 2, 3, operation, contender, tenants=tenants)
        return self.results.setdefault((operation, contender), new)

    def statements(self, operation: str, tenant: str) -> Job:
        """What the driver runs for a tenant."""
        return self.fleet.url(tenant), [
            it.replace(self.tenants[0], tenant) for it in self.script[operation]
        ]

    def command(self, contender: str, operation: str) -> list[str]:
        """The command of a contender, or none where there is nothing to measure."""
        script = "status" if operation == STATUS else "migrate"
        if contender == DDL:
            if operation not in self.script:
                return []
            jobs = [self.statements(operation, tenant) for tenant in self.tenants]
            return self.fleet.by_driver(*jobs)
        if contender == SHELL:
            step = "./migrate.sh" if script == "migrate" else "python -m migrations status"
            urls = " ".join(shlex.quote(self.fleet.url(tenant)) for tenant in self.some)
            return ["bash", "-c", f"for url in {urls}; do DATABASE_URL=$url {step} || exit; done"]
        return f"python -m migrations {script} --jobs {2 if contender == TWO else 1}".split()

    def fleet_round(self, contenders: Sequence[str]) -> None:
        """Measure what is done for all tenants."""
        for contender in contenders:
            tenants = self.some if contender == SHELL else self.tenants
            folder = self.fleet.plain if contender == SHELL else self.fleet.project
            self.fleet.reset(tenants)
            for operation in OPERATIONS:
                if operation == CHANGE:
                    self.fleet.change(there=True)
                if command := self.command(contender, operation):
                    series = self.series(operation, contender, len(tenants))
                    series.measure(command, folder, self.fleet.database)
                if (operation, contender) == (NOTHING, ONE):
                    command = [*command, "--tenant", tenants[-1]]
                    series = self.series(NOTHING_FOR_ONE, ONE)
                    series.measure(command, folder, self.fleet.database)
            self.fleet.check(contender)
            self.fleet.drop(tenants)
        self.fleet.change(there=False)

    def new_round(self) -> None:
        """Measure new tenants: a command for each, then all but the first in one Python."""
        self.fleet.name(self.new)
        for way in (DDL, REPLAY):
            for tenant in self.new:
                command = ["python", "-m", "migrations", "tenant", tenant]
                if way == DDL:
                    command = self.by_driver(tenant)
                self.series(NEW, way).measure(command, self.fleet.project, self.fleet.database)
            self.fleet.check(way)
            self.fleet.drop(self.new)
            command = ["python", "-c", MAKE_TENANTS, *self.new]
            if way == DDL:
                command = self.by_driver(*self.new)
            seconds = json.loads(self.fleet.run(command).splitlines()[-1])
            jobs = len(seconds) // len(self.new)
            sums = [sum(seconds[at : at + jobs]) for at in range(0, len(seconds), jobs)]
            self.series(INSIDE, way).seconds += sums[1:]
            self.fleet.drop(self.new)

    def by_driver(self, *tenants: str) -> list[str]:
        """The command that makes new tenants by the driver."""
        jobs: list[Job] = []
        for tenant in tenants:
            jobs += [*self.fleet.create([tenant]), self.statements(FRESH, tenant)]
        return self.fleet.by_driver(*jobs)


TOLD = """\
Two apps with three models and three revisions each, for many tenants. All numbers are seconds or
ratios, from medians. The shell loop calls `./migrate.sh` for each tenant. It ran for {} tenants,
and its time is multiplied. "DDL alone" runs the same statements with the driver, in one process.
The databases and schemas exist already, and are empty. Those of a new tenant are created.
Where a goal has two numbers, it is met if the better one meets it.
Measured with {}.
"""

WHY = """\
Where the time goes, from profiles of these commands:

- A command for a new tenant starts Python and imports Alembic, which takes 0.2 s. The driver alone
  starts in 0.02 to 0.1 s. Where the DDL takes less than that, no command is within twice its time.
- PyMySQL reads all certificates of the machine for each connection, which takes 17 ms. A new
  tenant takes three connections, and the DDL alone two. `?ssl_disabled=true` halves the CPU time.
- In schemas, a question to PostgreSQL's catalog takes longer the more schemas there are. With 340,
  one takes 6 ms until PostgreSQL has analyzed `pg_class`, then 0.1 ms.
"""


def cell(number: float, digits: int = 2) -> str:
    """A number with so many digits that count; nothing for 0."""
    return f"{number:.{digits}g}" if 0 < number < 100 else f"{number:.0f}" if number else ""


class Report:
    """The tables."""

    def __init__(self, numbers: dict[str, Any]) -> None:
        self.machine: dict[str, str] = numbers["machine"]
        self.series = {
            (one["database"], one["operation"], one["contender"]): one for one in numbers["series"]
        }
        self.kinds = list(dict.fromkeys(kind for kind, _, _ in self.series))

    def seconds(self, kind: str, operation: str, contender: str) -> float:
        """The median for all tenants, or 0: what was measured for some is multiplied."""
        one = self.series.get((kind, operation, contender))
        if not one:
            return 0
        total = self.series[kind, FRESH, ONE]["tenants"] if operation in OPERATIONS else 1
        return float(median(one["seconds"])) * total / int(one["tenants"])

    def fleets(self) -> list[list[str]]:
        """What is done for all tenants."""
        contenders = (SHELL, ONE, TWO, DDL)
        head = ["tenants", "operation", *(f"{it}, s" for it in contenders)]
        head += [f"{SHELL} / {ONE}", f"{SHELL} / {TWO}", f"{ONE} / DDL"]
        rows = []
        for kind in self.kinds:
            for operation in OPERATIONS:
                loop, one, two, ddl = (self.seconds(kind, operation, it) for it in contenders)
                row = [self.named(kind), operation, *map(cell, (loop, one, two, ddl))]
                rows.append([*row, cell(loop / one), cell(loop / two), cell(ddl and one / ddl)])
        return [head, *rows]

    def new(self) -> list[list[str]]:
        """What a new tenant takes."""
        head = ["one new tenant", "", "DDL alone, s", "replay, s", "replay / DDL"]
        rows = []
        for kind in self.kinds:
            for operation, how in ((NEW, "a command"), (INSIDE, "in a Python that runs")):
                ddl, ours = (self.seconds(kind, operation, it) for it in (DDL, REPLAY))
                rows.append([kind, how, cell(ddl, 3), cell(ours, 3), cell(ours / ddl)])
        return [head, *rows]

    def goals(self) -> list[list[str]]:
        """The goals, and what was measured."""
        rows = []

        def add(kind: str, goal: str, met: bool, **measured: float) -> None:
            texts = [f"{cell(number)} ({how})" for how, number in measured.items() if number]
            rows.append([self.named(kind), goal, ", ".join(texts), "met" if met else "missed"])

        for kind in self.kinds:
            least = KINDS[kind].goal
            for operation in OPERATIONS:
                loop, *ours = (self.seconds(kind, operation, it) for it in (SHELL, ONE, TWO))
                one, two = (loop / it for it in ours)
                goal = f"{operation}: {least} times as fast as the {SHELL}"
                add(kind, goal, max(one, two) >= least, **{ONE: one, TWO: two})
            if KINDS[kind].schema:
                ratio = self.seconds(kind, NOTHING, ONE) / self.seconds(kind, NOTHING_FOR_ONE, ONE)
                add(kind, f"{NOTHING}: twice the time for one", ratio <= 2, **{ONE: ratio})
            for operation in (NEW, INSIDE):
                ddl, replay = (self.seconds(kind, operation, it) for it in (DDL, REPLAY))
                ratio = replay / ddl
                add(kind, f"{operation}: twice the {DDL}", ratio <= 2, **{REPLAY: ratio})
        return [["tenants", "goal", "measured", ""], *rows]

    def sample(self) -> int:
        """For how many tenants the shell loop ran."""
        return max(int(one["tenants"]) for (*_, it), one in self.series.items() if it == SHELL)

    def named(self, kind: str) -> str:
        """The kind, with the number of tenants."""
        return f"{kind}, {self.series[kind, FRESH, ONE]['tenants']}"


def write(folder: Path) -> None:
    """Write the tables beside the numbers, and print them."""
    from report import table  # only now, because matplotlib is large; see Series.measure

    report = Report(json.loads((folder / "tenants.json").read_text()))
    machine = ", ".join(f"{name} {version}" for name, version in report.machine.items())
    tables = [table(head, rows) for head, *rows in (report.goals(), report.fleets(), report.new())]
    text = "\n".join([TOLD.format(report.sample(), machine), *tables, WHY])
    (folder / "tenants.md").write_text(f"# Benchmark of many tenants\n\n{text}")
    print(text)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="./benchmarks/run.sh tenants", description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--tenants", type=int, metavar="N", help="instead of 100 to 500")
    parser.add_argument("--shell", type=int, default=10, metavar="N", help="tenants; it is slow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=HERE / "results", metavar="FOLDER")
    options = parser.parse_args()
    machine = versions("alembic", "sqlalchemy", "psycopg", "pymysql")
    results: list[Measured] = []
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.kinds:
        kind = KINDS[name]
        tenants = options.tenants or kind.tenants
        with fleet_of(kind) as fleet:
            benchmark = Benchmark(name, fleet, tenants, min(options.shell, tenants))
            for number in range(options.rounds):
                print(f"{name}: {tenants} tenants, round {number + 1}", file=sys.stderr, flush=True)
                try:
                    benchmark.fleet_round((SHELL, ONE, TWO, DDL)[:: -1 if number % 2 else 1])
                    benchmark.new_round()
                finally:
                    fleet.drop([*benchmark.tenants, *benchmark.new])
        results += benchmark.results.values()
        numbers = {"machine": machine, "series": [asdict(one) for one in results]}
        (options.output / "tenants.json").write_text(json.dumps(numbers) + "\n")
    write(options.output)


if __name__ == "__main__":
    main()
