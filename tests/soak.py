"""Many migrators at once, migrators killed at any moment, and many tenants.

`make soak` does all of it, which takes hours. Parts of it:

    .venv/bin/python tests/soak.py mysql --rounds 5 --processes 8 --kills 20
    .venv/bin/python tests/soak.py "tenants schemas"

test_concurrency.py and test_interruption.py do the same for a moment.
"""

import os
import re
import signal
import subprocess
import tempfile
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from signal import SIGCONT, SIGSTOP
from threading import Timer

from sqlalchemy import make_url

from galera import Node, galera
from private_servers import pgbouncer, private_server
from project import Project, bake, wait_for
from revisions import Checkpoints, add_revision
from servers import Database, database_on, new_database
from tenants import Tenants, with_tenants

Contents = tuple[dict[str, list[str]], dict[str, list[tuple[object, ...]]]]
"""The schema of a database, and its rows."""

APPS = ("users", "books", "orders")

LOG = """
    op.create_table("log", sa.Column("revision", sa.String(50)))
    """

# Three revisions for each app. They change rows in ways that show when they do so twice.
REVISIONS = (
    """
    op.create_table(
        "APP",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False),
    )
    reach("APP created")
    for row in range(8):
        op.execute(sa.text("INSERT INTO APP VALUES (:id, 'x')").bindparams(id=row + 1))
    op.execute("INSERT INTO log VALUES ('APP_1')")
    reach("APP filled")
    op.create_index("APP_name", "APP", ["name"])
    reach("APP_1")
    """,
    """
    op.execute("INSERT INTO log VALUES ('APP_2')")
    reach("APP_2 logged")
    op.add_column("APP", sa.Column("size", sa.Integer, nullable=False, server_default="7"))
    reach("APP widened")
    op.execute("UPDATE APP SET size = size + id")
    reach("APP_2")
    """,
    """
    op.execute("UPDATE APP SET size = size * 2")
    reach("APP doubled")
    op.create_table("APP_parts", sa.Column("id", sa.Integer, primary_key=True))
    for row in range(8):
        op.execute(sa.text("INSERT INTO APP_parts VALUES (:id)").bindparams(id=row + 1))
    reach("APP copied")
    op.drop_index("APP_name", "APP")
    op.execute("INSERT INTO log VALUES ('APP_3')")
    reach("APP_3")
    """,
)

REQUIRES = {
    "books_1": "users:users_1",
    "users_2": "orders:orders_1",
    "orders_2": "books:books_3",
}
PLAN = [
    "users_1",
    "books_1",
    "books_2",
    "books_3",
    "orders_1",
    "orders_2",
    "orders_3",
    "users_2",
    "users_3",
]
"""What requires what, and the order that follows from it."""

CHECKPOINTS = len(APPS) * "".join(REVISIONS).count("reach(")
"""How many a run reaches."""

# What PostgreSQL refuses inside of a transaction, and what a waiting lock would block for ever.
CONCURRENTLY = """
    with op.get_context().autocommit_block():
        op.create_index("APP_index_NUMBER", "APP", ["size"], postgresql_concurrently=True)
    """


# A database that migrations/ does not know. It is PostgreSQL, with a dialect of another package.
OTHER = """
from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg, PGDialectAsync_psycopg

class Other(PGDialect_psycopg):
    name = "other"
    supports_statement_cache = True

class OtherAsync(PGDialectAsync_psycopg):
    name = "other"
    supports_statement_cache = True

class OtherImpl(PostgresqlImpl):
    __dialect__ = "other"
"""
OTHER_ENTRY_POINTS = """
[sqlalchemy.dialects]
other.psycopg = other:Other
other.psycopg_async = other:OtherAsync
"""


@dataclass(frozen=True)
class Case:
    """A way to reach a database, and whether its revisions leave their transaction."""

    driver: str
    server: str = ""
    concurrently: bool = False
    pgbouncer: bool = False
    galera: bool = False


CASES = {
    "sqlite": Case("sqlite"),
    "postgresql": Case("postgresql+psycopg"),
    "mysql": Case("mysql+pymysql"),
    "concurrently": Case("postgresql+psycopg", concurrently=True),
    "newest postgresql": Case("postgresql+psycopg", "newest postgresql", concurrently=True),
    "pgbouncer": Case("postgresql+psycopg", concurrently=True, pgbouncer=True),
    "pgbouncer and asyncpg": Case("postgresql+asyncpg", pgbouncer=True),
    "aiosqlite": Case("sqlite+aiosqlite"),
    "asyncpg": Case("postgresql+asyncpg", concurrently=True),
    "aiomysql": Case("mysql+aiomysql"),
    "other": Case("other+psycopg"),
    "galera": Case("mysql+pymysql", galera=True),
}


@dataclass
class Soak:
    """A project of several apps, and what happens when its migrators meet or die."""

    project: Project
    case: Case
    port: int | None
    """Where PgBouncer listens."""
    nodes: Sequence[Node]
    """Those of a Galera cluster."""

    @classmethod
    @contextmanager
    def of(cls, case: Case, folder: Path) -> "Iterator[Soak]":
        """Bake the project below a folder."""
        project = bake(folder, apps=", ".join(APPS))
        if case.concurrently:
            project.set_ini("DEFAULT", "transaction_per_migration", "true")
        if case.driver.startswith("other"):
            add_other_dialect(project)
        if case.galera:
            with galera() as nodes:
                yield cls(project, case, None, nodes)
        elif case.pgbouncer:
            with private_server(pgbouncer) as server:
                yield cls(project, case, server.database.url.port, ())
        else:
            yield cls(project, case, None, ())

    @contextmanager
    def database(self) -> Iterator[Database]:
        """An empty database, which the project uses until the end of the block."""
        kind = self.case.server or self.case.driver.partition("+")[0].replace("other", "postgresql")
        new = new_database(kind, self.project.path)
        with database_on(self.nodes[0].database) if self.nodes else new as database:
            url = database.url.set(drivername=self.case.driver, port=self.port or database.url.port)
            self.project.environment["DATABASE_URL"] = Database(url).text
            if self.nodes:  # what other nodes have done is there at once
                causal = {"init_command": "SET wsrep_sync_wait = 15"}
                database = Database(database.url.update_query_dict(causal))
            yield database

    def write_revisions(self, count: int) -> None:
        """Write the first so many revisions of every app, and no more."""
        for app in APPS:
            for file in self.project.revisions(app):
                file.unlink()
            for number in range(1, count + 1):
                requires = REQUIRES.get(f"{app}_{number}", "")
                add_revision(self.project, app, self.upgrade(app, number), requires=requires)

    def upgrade(self, app: str, number: int) -> str:
        """The code of a revision."""
        code = REVISIONS[number - 1]
        if (app, number) == (APPS[0], 1):
            code = LOG + code
        if self.case.concurrently and number > 1:
            code += CONCURRENTLY.replace("NUMBER", str(number))
        return code.replace("APP", app)

    @cached_property
    def clean(self) -> Contents:
        """What one undisturbed run of all revisions makes of an empty database."""
        with self.database() as database:
            self.write_revisions(3)
            self.project.migrate()
            return contents(database)

    def race(self, processes: int) -> None:
        """Let so many processes migrate an empty database at once, and then new revisions."""
        expected, log = self.clean, []
        with self.database() as database:
            for revisions in (1, 3):
                self.write_revisions(revisions)
                self._start_at_once(processes)
                log = sorted(f"{app}_{n + 1}" for app in APPS for n in range(revisions))
                assert database.query("SELECT * FROM log ORDER BY 1") == [(line,) for line in log]
            assert contents(database) == expected
            if self.case.concurrently:
                assert not database.query("SELECT * FROM pg_index WHERE NOT indisvalid")

    def at(self, number: int) -> dict[str, str]:
        """The environment for one of several migrators: each node of a cluster in its turn."""
        if not self.nodes:
            return {}
        port = self.nodes[number % len(self.nodes)].database.url.port
        url = make_url(self.project.environment["DATABASE_URL"]).set(port=port)
        return {"DATABASE_URL": Database(url).text}

    def _start_at_once(self, processes: int, *arguments: str) -> None:
        command = ("./migrate.sh", *arguments)
        with ExitStack() as stack:
            for run in [
                stack.enter_context(
                    self.project.started(*command, env=self.project.shell(self.at(number)))
                )
                for number in range(processes)
            ]:
                out, err = run.communicate(timeout=600)
                assert run.returncode == 0, out + err

    def kill(self, random: Random, what: str = "client") -> list[str]:
        """Kill a run at a random moment; then migrate, and return the advice that had to be taken.

        Only where DDL cannot be rolled back may there be any. In a cluster, the run may also lose
        its node, or the node freezes for a while.
        """
        expected = self.clean
        if self.nodes:  # it takes 5 s to notice that one is gone
            self.project.set_ini("DEFAULT", "lock_timeout", "10")
        checkpoints = Checkpoints.of(self.project)
        moment = random.randrange(CHECKPOINTS)
        advice: list[str] = []
        with self.database() as database:
            with self.project.started("./migrate.sh", env=checkpoints.env | self.at(-1)) as run:
                wait_for(lambda: len(checkpoints.reached()) >= moment or run.poll() is not None)
                time.sleep(random.random() * 0.03)
                if what == "frozen":
                    self.nodes[-1].signal(SIGSTOP)
                    Timer(random.uniform(0, 15), self.nodes[-1].signal, [SIGCONT]).start()
                elif what == "node":
                    self.nodes[-1].stop()
                else:
                    run.kill()
                advice += self._complete(database)
                run.communicate()
            advice += self._complete(database)
            assert contents(database) == expected
        if what == "node":
            self.nodes[-1].start()
        wait_for(lambda: all(node.sees_all() for node in self.nodes))
        return advice

    def _complete(self, database: Database) -> Iterator[str]:
        """Migrate until all is done, and yield the advice that has to be taken."""
        before = ""
        while (done := self.project.run("./migrate.sh", status=None)).returncode != 0:
            *waited, line = done.stderr.splitlines()
            assert "mysql" in self.case.driver, line
            assert len(waited) <= len(self.nodes), done.stderr
            assert line != before
            yield (before := line)
            finish_by_hand(self.project, database, line)


def add_other_dialect(project: Project) -> None:
    """Install the package of the other dialect, for this project alone."""
    packages = project.path.parent / "packages"
    (about := packages / "other-1.0.dist-info").mkdir(parents=True)
    (packages / "other.py").write_text(OTHER)
    (about / "METADATA").write_text("Name: other\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(OTHER_ENTRY_POINTS)
    project.environment["PYTHONPATH"] = str(packages)


FLEETS = {"sqlite": 500, "postgresql": 200, "schemas": 500, "mysql": 100}
"""How many tenants of each kind there are in a long run."""

OF_TENANT = """
    import os, re
    tenant = re.findall("tenant[0-9]+", str(op.get_bind().engine.url))[-1]
    reach(f"{tenant} pid {os.getpid()}")
    """


@dataclass
class TenantSoak(Soak):
    """The same project for many tenants: runs at once, broken tenants, and killed workers."""

    tenants: Tenants
    names: list[str]

    @classmethod
    @contextmanager
    def of_kind(cls, kind: str, folder: Path, count: int) -> "Iterator[TenantSoak]":
        """Bake the project below a folder, for so many tenants with empty databases."""
        with with_tenants(kind, folder, apps=", ".join(APPS)) as tenants:
            names = [f"tenant{number:03}" for number in range(count)]
            tenants.make(*names)
            yield cls(tenants.project, CASES["sqlite"], None, (), tenants, names)
            if kind == "schemas":  # all in one transaction would take more locks than there are
                for name in names:
                    tenants.base.query(f"DROP SCHEMA s_{name} CASCADE")

    def upgrade(self, app: str, number: int) -> str:
        """The code of a revision, which says for which tenant it runs."""
        return OF_TENANT + super().upgrade(app, number).replace('reach("', 'reach(f"{tenant} ')

    def run(self, *command: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run a command, whose output must fit a screen."""
        done = self.project.run(*command, status=status)
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        assert len(lines) <= 24, lines
        assert max(map(len, done.stdout.splitlines()), default=0) <= 200, done.stdout
        return done

    def story(self) -> None:
        """Two whole runs at once, nothing to do, a change that breaks three, and a new tenant."""
        everyone = f" in {len(self.names)} tenants\n"
        self.write_revisions(1)
        self._start_at_once(2, "--jobs", "2")
        assert self.run("./migrate.sh").stdout.count(f"up to date{everyone}") == len(APPS)
        status = ("python", "-m", "migrations", "status")
        assert len(self.run(*status).stdout.splitlines()) == 1 + len(APPS)

        self.write_revisions(3)
        broken = self.names[1::4][:3]
        for name in broken:
            self.tenants.of(name).query("ALTER TABLE log RENAME TO lost")
        [error, last] = self.run("./migrate.sh", "--jobs", "2", status=1).stderr.splitlines()
        assert error.endswith(f" (3 tenants: {', '.join(broken)})"), error
        assert f"3 tenants: {', '.join(broken)}\n" in self.run(*status).stdout
        for name in broken:
            self.tenants.of(name).query("ALTER TABLE lost RENAME TO log")
        again = last.partition("run: ")[2].split()
        assert again[1:] == [part for name in broken for part in ("--tenant", name)]
        assert "3 tenants\n" in self.run(*again).stdout

        self.run("python", "-m", "migrations", "tenant", f"tenant{len(self.names)}")
        self.names.append(f"tenant{len(self.names)}")
        self.tenants.name(*self.names)
        self.assert_complete()

    def kill_workers(self, random: Random, kills: int) -> None:
        """Kill a worker so many times in a run, each for another tenant."""
        self.write_revisions(3)
        checkpoints = Checkpoints.of(self.project)
        points = re.findall(r'reach\("(.*)"\)', "".join(REVISIONS))
        if self.tenants.kind == "mysql":  # where nothing can be half done
            points = ["APP_2 logged"]
        moments = {
            name: f"{name} {random.choice(points).replace('APP', random.choice(APPS))}"
            for name in sorted(random.sample(self.names, kills))
        }
        for moment in moments.values():
            checkpoints.order(f"wait at {moment}")
        left = dict(moments)
        with self.project.started("./migrate.sh", "--jobs", "2", env=checkpoints.env) as run:

            def ready() -> list[str]:
                return [it for it in left if left[it] in checkpoints.reached()]

            while left:
                wait_for(lambda: ready() or run.poll() is not None)
                assert ready(), run.communicate()
                name = ready()[0]
                pids = re.findall(rf"(?m)^{name} pid (\d+)$", "\n".join(checkpoints.reached()))
                os.kill(int(pids[-1]), signal.SIGKILL)
                del left[name]
            out, err = run.communicate(timeout=600)
        [error, last] = err.splitlines()
        first, *_ = moments
        died = f"{first}: its process was killed by signal 9"
        assert error == f"{died} ({kills} tenants: {', '.join(moments)})"
        assert out.count(f" in {len(self.names) - kills} tenants\n") >= len(APPS), out
        self.run(*last.partition("run: ")[2].split())
        self.assert_complete()

    def assert_complete(self) -> None:
        """Nothing is left to do, and every tenant is as one undisturbed run leaves it."""
        everyone = f"up to date in {len(self.names)} tenants\n"
        assert self.run("./migrate.sh").stdout.count(everyone) == len(APPS)
        alone = "tenant999999"
        self.tenants.make(alone)
        self.project.migrate()
        expected = contents(self.tenants.of(alone))
        assert len(expected[1]["log"]) == len(PLAN)
        for name in self.names:
            assert contents(self.tenants.of(name)) == expected, name


def contents(database: Database) -> Contents:
    """What is in a database, but for a lock, and a note on MySQL that does not count any more."""
    schema = {k: v for k, v in database.schema().items() if "$" not in k}
    return schema, {k: v for k, v in database.rows().items() if "$" not in k}


def finish_by_hand(project: Project, database: Database, line: str) -> None:
    """Do what the line says about a revision that is half done, as it says it, and no more.

    What is missing shows in a second database, to which the statements are applied one by one.
    """
    parts = re.search(r"do by hand what is missing of `(.*?)`, then `(.*?)`", line)
    assert parts, line
    show, stamp = parts.groups()
    script = re.sub(r"(?m)^--.*", "", project.run(*show.split()).stdout)
    statements = [" ".join(part.split()) for part in script.split(";") if part.strip()]
    statements = [part for part in statements if "alembic_version" not in part]
    here = without_versions(database)
    with new_database("mysql") as other:
        rows, versions = database.rows(), {}
        for app in re.findall(r"(?m)^\[(\w+)\]", (project.path / "alembic.ini").read_text()):
            for version in rows.get(f"alembic_version_{app}", ()):
                versions[app] = str(version[0])
        plan = [(revision.partition("_")[0], revision) for revision in PLAN]
        steps = [(app, revision) for app, revision in plan if revision <= versions.get(app, "")]
        for app, revision in [*steps, *versions.items()]:
            upgrade = ("alembic", "--name", app, "upgrade", revision)
            project.run(*upgrade, env={"DATABASE_URL": other.text})
        while without_versions(other) != here:
            assert statements, line
            other.query(statements.pop(0))
    for rest in statements:
        database.query(rest)
    project.run(*stamp.split())


def without_versions(database: Database) -> Contents:
    """What is in a database but for version tables and notes."""
    schema, rows = database.schema(), database.rows()
    return (
        {name: parts for name, parts in schema.items() if "alembic_version" not in name},
        {name: lines for name, lines in rows.items() if "alembic_version" not in name},
    )


def main() -> None:
    """Do what the command line asks for, and say how it goes."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    cases = [*CASES, *(f"tenants {kind}" for kind in FLEETS)]
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(cases)}")
    parser.add_argument("--rounds", type=int, default=20, help="of migrators at once (20)")
    parser.add_argument("--processes", type=int, default=16, help="in each round (16)")
    parser.add_argument("--kills", type=int, default=100, help="(100)")
    parser.add_argument("--seed", type=int, default=time.time_ns(), help="of the moments to kill")
    options = parser.parse_args()
    random = Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    for name in options.cases or cases:
        with tempfile.TemporaryDirectory() as folder:
            if name in CASES:
                one_database(name, Path(folder), random, options)
            else:
                many_tenants(name.removeprefix("tenants "), Path(folder), random)


def one_database(name: str, folder: Path, random: Random, options: Namespace) -> None:
    """Let migrators meet and die."""
    case = CASES[name]
    with Soak.of(case, folder) as soak:
        for _ in range(options.rounds):
            soak.race(options.processes)
        print(f"{name}: {options.rounds} rounds of {options.processes} at once", flush=True)
        # What leaves its transaction cannot be rolled back, by its author's choice.
        kills = 0 if case.concurrently else options.kills
        for what in ("client", "node", "frozen") if case.galera else ("client",):
            stopped = sum(bool(soak.kill(random, what)) for _ in range(kills))
            said = f"{name}: {kills} kills ({what}); {stopped} left a revision half done"
            print(said, flush=True)


def many_tenants(kind: str, folder: Path, random: Random) -> None:
    """Let runs over tenants meet, and workers die."""
    (folder / "story").mkdir()
    with TenantSoak.of_kind(kind, folder / "story", FLEETS[kind]) as soak:
        soak.story()
    print(f"tenants {kind}: two runs at once over {FLEETS[kind]}, three broken", flush=True)
    (folder / "kills").mkdir()
    with TenantSoak.of_kind(kind, folder / "kills", 100) as soak:
        soak.kill_workers(random, 10)
    print(f"tenants {kind}: 10 workers of a run over 100 killed", flush=True)


if __name__ == "__main__":
    main()
