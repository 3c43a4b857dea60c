"""Many migrators at once, and migrators killed at any moment.

`make soak` does all of it, which takes hours. A part of it:

    .venv/bin/python tests/soak.py mysql --rounds 5 --processes 8 --kills 20

test_concurrency.py and test_interruption.py do the same for a moment.
"""

import re
import tempfile
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
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
    nodes: Sequence[Node] = ()
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
                yield cls(project, case, server.database.url.port)
        else:
            yield cls(project, case, None)

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
            for number, upgrade in enumerate(REVISIONS[:count], 1):
                if (app, number) == (APPS[0], 1):
                    upgrade = LOG + upgrade
                if self.case.concurrently and number > 1:
                    upgrade += CONCURRENTLY.replace("NUMBER", str(number))
                requires = REQUIRES.get(f"{app}_{number}", "")
                add_revision(self.project, app, upgrade.replace("APP", app), requires=requires)

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

    def _start_at_once(self, processes: int) -> None:
        with ExitStack() as stack:
            for run in [
                stack.enter_context(
                    self.project.started("./migrate.sh", env=self.project.shell(self.at(number)))
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
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=20, help="of migrators at once (20)")
    parser.add_argument("--processes", type=int, default=16, help="in each round (16)")
    parser.add_argument("--kills", type=int, default=100, help="(100)")
    parser.add_argument("--seed", type=int, default=time.time_ns(), help="of the moments to kill")
    options = parser.parse_args()
    random = Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    for name in options.cases or CASES:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as folder, Soak.of(case, Path(folder)) as soak:
            for _ in range(options.rounds):
                soak.race(options.processes)
            print(f"{name}: {options.rounds} rounds of {options.processes} at once", flush=True)
            # What leaves its transaction cannot be rolled back, by its author's choice.
            kills = 0 if case.concurrently else options.kills
            for what in ("client", "node", "frozen") if case.galera else ("client",):
                stopped = sum(bool(soak.kill(random, what)) for _ in range(kills))
                said = f"{name}: {kills} kills ({what}); {stopped} left a revision half done"
                print(said, flush=True)


if __name__ == "__main__":
    main()
