"""Several migrators at once."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from project import Project
from revisions import REACH, Checkpoints, add_revision
from servers import Database
from soak import CASES, FLEETS, Soak, TenantSoak


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
    ],
)
def test_many_at_once_apply_each_revision_once(case: str, tmp_path: Path) -> None:
    with Soak.of(CASES[case], tmp_path) as soak:
        soak.race(processes=4)


@pytest.mark.parametrize("kind", FLEETS)
def test_two_runs_at_once_over_tenants(kind: str, tmp_path: Path) -> None:
    with TenantSoak.of_kind(kind, tmp_path, 12) as soak:
        soak.story()


@pytest.mark.parametrize("case", CASES)
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
