"""Several migrators at once."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from project import Project
from revisions import REACH, Checkpoints, add_revision
from servers import Database
from soak import APPS, CASES, FLEETS, Case, Soak, TenantSoak


@pytest.mark.parametrize(
    "case",
    [
        "sqlite",
        "postgresql",
        "mysql",
        "concurrently",
        "newest postgresql",
        "pgbouncer",
        "pgbouncer and asyncpg",
        "other",
    ],
)
def test_many_at_once_apply_each_revision_once(case: str, tmp_path: Path) -> None:
    with Soak.of(CASES[case], tmp_path) as soak:
        soak.race(processes=4)


@pytest.mark.parametrize("kind", FLEETS)
def test_two_runs_at_once_over_tenants(kind: str, tmp_path: Path) -> None:
    with TenantSoak.of_kind(kind, tmp_path, 12) as soak:
        soak.story()


# A database that is unknown here decides itself how long to wait.
@pytest.mark.parametrize("case", [name for name in CASES if name not in ("galera", "other")])
def test_lock_times_out_and_dies_with_its_holder(case: str, tmp_path: Path) -> None:
    waiting, held = "users: waiting for another migration", "users: another migration has held"
    create = "op.create_table('inside', sa.Column('id', sa.Integer))"
    with Soak.of(CASES[case], tmp_path) as soak, soak.database() as database:
        project = soak.project
        add_revision(project, "users", f"reach('start'); {create}")
        checkpoints = Checkpoints.of(project)
        checkpoints.order("wait at start")
        alembic = ("alembic", "--name", "users", "upgrade", "head")
        with project.started(*alembic, env=checkpoints.env) as holder:
            checkpoints.wait_for("start", holder)
            project.set_ini("users", "lock_timeout", "1")
            [first, second] = project.run("./migrate.sh", status=1).stderr.splitlines()
            assert first == f"{waiting}, 1 s at most"
            assert second.startswith(f"{held} the lock for 1 s; ")
            project.set_ini("users", "lock_timeout", "300")
            with project.started("./migrate.sh") as waiter:
                assert waiter.stderr is not None
                assert waiter.stderr.readline() == f"{waiting}, 300 s at most\n"
                holder.kill()
                out, err = waiter.communicate(timeout=200)
                assert (waiter.returncode, err) == (0, ""), out + err
        assert "inside" in database.tables()


def test_nothing_stays_behind_in_pgbouncer(tmp_path: Path) -> None:
    with Soak.of(CASES["pgbouncer"], tmp_path) as soak, soak.database(), ExitStack() as stack:
        soak.write_revisions(1)
        soak.project.migrate()
        through = Database(make_url(soak.project.environment["DATABASE_URL"]))
        engine = stack.enter_context(through.engine())
        # At the same time, so that they get all of its connections to the server.
        for connection in [stack.enter_context(engine.connect()) for _ in range(5)]:
            assert connection.execute(text("TABLE pg_prepared_statements")).all() == []
            locks = "SELECT * FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            assert connection.execute(text(locks)).all() == []


def test_commands_that_read_wait_for_no_lock(project: Project, database: Database) -> None:
    project.environment["DATABASE_URL"] = database.text
    project.generate()
    project.migrate()
    [revision] = project.revisions("users")
    with revision.open("a") as file:
        file.write("from reach import reach\ndef downgrade():\n    reach('start')\n")
    shutil.copy(REACH, project.path)
    checkpoints = Checkpoints.of(project)
    checkpoints.order("wait at start")
    downgrade = ("python", "-m", "migrations", "-n", "users", "downgrade", "-1")
    with project.started(*downgrade, env=checkpoints.env) as holder:
        checkpoints.wait_for("start", holder)
        for command in ("status", "current", "check", "history", "generate"):
            done = project.run("python", "-m", "migrations", command)
            assert done.stderr == ""
        assert holder.poll() is None


def test_old_code_that_waits_for_new(project: Project, postgresql: Database) -> None:
    project.environment["DATABASE_URL"] = postgresql.text
    add_revision(project, "users", "pass")
    old = Project(shutil.copytree(project.path, project.path.with_name("old")), project.environment)
    add_revision(project, "users", "reach('middle')")
    checkpoints = Checkpoints.of(project)
    checkpoints.order("wait at middle")
    with project.started("./migrate.sh", env=checkpoints.env) as new:
        checkpoints.wait_for("middle", new)
        with old.started("./migrate.sh") as waiter:
            assert waiter.stderr is not None
            assert "waiting" in waiter.stderr.readline()
            checkpoints.recall("wait at middle")
            _, err = waiter.communicate()
            assert "; is the code older than the database" in err


def test_an_async_driver_of_a_database_that_is_unknown_here(tmp_path: Path) -> None:
    with Soak.of(Case("other+psycopg_async"), tmp_path) as soak:
        soak.race(processes=4)


def test_the_row_that_is_locked_belongs_to_no_app(tmp_path: Path) -> None:
    with Soak.of(CASES["other"], tmp_path) as soak, soak.database() as database:
        soak.project.set_ini("users", "tables", "*")
        soak.project.generate()
        soak.project.migrate()
        assert "alembic_version$lock" in database.tables()
        assert soak.project.migrations("check").count("no changes") == len(APPS)
        assert "alembic_version$lock" not in soak.project.migrations("status")


WITH_CONNECTION = """
import sys
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, pool

config = Config("alembic.ini", ini_section="users")
with create_engine(sys.argv[1], {}).connect() as config.attributes["connection"]:
    command.upgrade(config, "head")
"""


@pytest.mark.parametrize("option", ["isolation_level='AUTOCOMMIT'", "poolclass=pool.StaticPool"])
def test_a_database_that_cannot_hold_a_lock_is_refused(option: str, tmp_path: Path) -> None:
    with Soak.of(CASES["other"], tmp_path) as soak, soak.database() as database:
        soak.write_revisions(1)
        url = soak.project.environment["DATABASE_URL"]
        done = soak.project.run("python", "-c", WITH_CONNECTION.format(option), url, status=1)
        assert done.stderr.splitlines()[-1].endswith(
            "users: other cannot lock a row for another connection; print the SQL with"
            " ./migrate.sh --sql, and run it by hand"
        )
        assert "users" not in database.tables()


def test_a_database_without_a_lock_is_refused_without_extras(tmp_path: Path) -> None:
    with Soak.of(CASES["other"], tmp_path) as soak, soak.database() as database:
        soak.write_revisions(1)
        shutil.rmtree(soak.project.path / "migrations" / "extras")
        assert soak.project.refused("./migrate.sh").endswith(
            ": a lock on other needs migrations/extras/row_lock.py; copy it from the template"
        )
        assert database.tables() == set()


def test_a_user_who_may_not_create_the_table_of_the_lock(tmp_path: Path) -> None:
    with Soak.of(CASES["other"], tmp_path) as soak, soak.database() as database:
        soak.write_revisions(1)
        with database.reader("Pa55") as url:
            other = Database(url.set(drivername="other+psycopg"))
            line = soak.project.refused("./migrate.sh", "users", env={"DATABASE_URL": other.text})
            assert "permission denied for schema public" in line


# What a server may say that speaks like PostgreSQL and has no such locks.
NO_ADVISORY_LOCKS = """
CREATE FUNCTION public.pg_try_advisory_xact_lock(bigint) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN RAISE feature_not_supported USING MESSAGE = 'advisory locks are not supported'; END $$
"""


def test_a_server_that_only_speaks_like_postgresql(tmp_path: Path) -> None:
    with Soak.of(CASES["postgresql"], tmp_path) as soak, soak.database() as database:
        name = database.url.database
        database.query(NO_ADVISORY_LOCKS)
        database.query(f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
        soak.write_revisions(1)
        line = soak.project.refused("./migrate.sh", "users")
        assert line.endswith(f"/{name}: advisory locks are not supported")
        assert database.tables() == set()
