"""Migrations that end in their middle: killed, interrupted, failed, or left by their server."""

import signal
from collections.abc import Callable
from pathlib import Path
from random import Random
from subprocess import Popen

import pytest

from private_servers import PrivateServer, private_mysql, private_postgresql, private_server
from project import Project, bake, wait_for
from revisions import Checkpoints, add_revision
from servers import Database, new_database
from soak import APPS, CASES, FLEETS, Soak, TenantSoak

INSIDE = "op.create_table('inside', sa.Column('id', sa.Integer))\n"

# What a run waits for in the server, and how to see that it does.
SLEEP = {"postgresql": "SELECT pg_sleep(600)", "mysql": "SELECT SLEEP(600)"}
SLEEPING = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'"
    " AND state = 'active' AND datname = current_database()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE info = 'SELECT SLEEP(600)'"
    " AND db = DATABASE()",
}


@pytest.mark.parametrize("case", ["sqlite", "postgresql", "mysql"])
def test_killed_at_any_moment_the_next_run_completes(case: str, tmp_path: Path) -> None:
    with Soak.of(CASES[case], tmp_path) as soak:
        for seed in range(5):
            soak.kill(Random(f"{case} {seed}"))


@pytest.mark.parametrize("kind", FLEETS)
def test_killed_workers_cost_their_tenants(kind: str, tmp_path: Path) -> None:
    with TenantSoak.of_kind(kind, tmp_path, 12) as soak:
        soak.kill_workers(Random(kind), kills=2)


def press_ctrl_c(run: "Popen[str]", _: Database) -> None:
    run.send_signal(signal.SIGINT)


def terminate(run: "Popen[str]", _: Database) -> None:
    run.terminate()


def cut(_: "Popen[str]", database: Database) -> None:
    """Cut every connection to a database but the own."""
    if database.url.get_backend_name() == "postgresql":
        others = "FROM pg_stat_activity WHERE datname = current_database()"
        database.query(f"SELECT pg_terminate_backend(pid) {others} AND pid <> pg_backend_pid()")
        return
    others = "FROM information_schema.processlist WHERE db = DATABASE()"
    for (process,) in database.query(f"SELECT id {others} AND id <> CONNECTION_ID()"):
        database.query(f"KILL {process}")


def fail(_: "Popen[str]", __: Database) -> None:
    """The revision raises an error by itself."""


End = Callable[["Popen[str]", Database], None]
STATUS = {fail: 1, cut: 1, press_ctrl_c: 130, terminate: 130}


@pytest.mark.parametrize(
    ("driver", "end"),
    [
        *(("sqlite", end) for end in (fail, press_ctrl_c, terminate)),
        *(("postgresql+psycopg", end) for end in STATUS),
        *(("mysql+pymysql", end) for end in STATUS),
        ("postgresql+asyncpg", cut),
        ("mysql+aiomysql", press_ctrl_c),
    ],
)
def test_ended_in_the_middle_of_a_revision(driver: str, end: End, tmp_path: Path) -> None:
    kind = driver.partition("+")[0]
    with new_database(kind, tmp_path) as database:
        project = three_apps(tmp_path, kind)
        project.environment["DATABASE_URL"] = database.with_driver(driver).text
        checkpoints = Checkpoints.of(project)
        checkpoints.order("raise at middle" if end is fail else "wait at middle")
        with project.started("./migrate.sh", env=checkpoints.env) as run:
            checkpoints.wait_for("middle", run)
            end(run, database)
            if end is not fail:
                checkpoints.recall("wait at middle")
            assert_stopped_at_books(run, STATUS[end])
        assert not {"inside", "books", "orders"} & database.tables()
        assert database.rows()["users"] == []
        assert_next_run_completes(project, database)


@pytest.mark.parametrize("end", [press_ctrl_c, cut])
@pytest.mark.parametrize("kind", SLEEP)
def test_ended_while_the_server_works(kind: str, end: End, tmp_path: Path) -> None:
    with new_database(kind) as database:
        project = three_apps(tmp_path, kind, middle=f"op.execute('{SLEEP[kind]}')")
        project.environment["DATABASE_URL"] = database.text
        with project.started("./migrate.sh") as run:
            wait_for(lambda: database.query(SLEEPING[kind]) or run.poll() is not None)
            end(run, database)
            assert_stopped_at_books(run, STATUS[end])
        # Until the server notices that nobody waits for its answer, it keeps the lock.
        wait_for(lambda: not database.query(SLEEPING[kind]))
        [revision] = project.revisions("books")
        project.remove_line(revision, SLEEP[kind])
        assert_next_run_completes(project, database)


@pytest.mark.parametrize("kind", [private_postgresql, private_mysql])
def test_server_stopped_and_started(
    kind: Callable[[Path, int], PrivateServer], tmp_path: Path
) -> None:
    with private_server(kind) as server:
        project = three_apps(tmp_path, server.database.url.get_backend_name())
        project.environment["DATABASE_URL"] = server.database.text
        checkpoints = Checkpoints.of(project)
        checkpoints.order("wait at middle")
        with project.started("./migrate.sh", env=checkpoints.env) as run:
            checkpoints.wait_for("middle", run)
            server.stop()
            checkpoints.recall("wait at middle")
            assert_stopped_at_books(run, 1)
        assert "refused" in project.refused("./migrate.sh")
        server.start()
        assert_next_run_completes(project, server.database)


def three_apps(folder: Path, kind: str, middle: str = "reach('middle')") -> Project:
    """A project with a revision for each app, of which that of books has a middle.

    It can be rolled back there: on MySQL, it has not yet changed any table.
    """
    project = bake(folder, apps=", ".join(APPS))
    for app in APPS:
        create = f"op.create_table('{app}', sa.Column('id', sa.Integer))\n"
        begin = INSIDE if kind != "mysql" else ""
        begin += f"op.execute('INSERT INTO users VALUES (7)')\n{middle}\n"
        add_revision(project, app, begin + create if app == "books" else create)
    return project


def assert_stopped_at_books(run: "Popen[str]", status: int) -> None:
    """The run has ended with a line, and says how far it came."""
    out, err = run.communicate()
    assert run.returncode == status, out + err
    [line] = err.splitlines()
    assert line.startswith("books: ")
    assert out.splitlines()[-1] == "stopped at books; not done: orders"


def assert_next_run_completes(project: Project, database: Database) -> None:
    """It does all of books and of orders, and nothing twice."""
    project.migrate()
    expected = {*APPS, *(f"alembic_version_{app}" for app in APPS)}
    assert database.tables() - {"inside"} == expected
    assert database.rows()["users"] == [(7,)]


def test_a_revision_that_ends_its_transaction(project: Project, database: Database) -> None:
    project.environment["DATABASE_URL"] = database.text
    insert, bind = "op.execute('INSERT INTO inside VALUES (7)')\n", "op.get_bind()"
    batch = f"{insert}{bind}.commit()\n"
    add_revision(project, "users", INSIDE + batch + batch + insert)
    add_revision(project, "users", f"{insert}{bind}.rollback()\n{insert}")
    for _ in range(2):  # what the first did stays, and is not done again
        line = project.refused("./migrate.sh")
        assert line.startswith("users: a revision rolls back its transaction, which undoes")
        assert database.rows()["inside"] == [(7,)] * 3
    add_revision(project, "users", f"with {bind}.begin_nested() as it:\n    it.rollback()")
    project.remove_line(project.revisions("users")[1], "rollback")
    assert "users  applied users_2 (), users_3 ()\n" in project.migrate()
    assert "users  up to date\n" in project.migrate()
    assert database.rows()["inside"] == [(7,)] * 5


def test_a_lock_that_is_cut_off_stops_nothing(project: Project, postgresql: Database) -> None:
    project.environment["DATABASE_URL"] = postgresql.text
    add_revision(project, "users", f"{INSIDE}reach('middle')")
    checkpoints = Checkpoints.of(project)
    checkpoints.order("wait at middle")
    with project.started("./migrate.sh", env=checkpoints.env) as run:
        checkpoints.wait_for("middle", run)
        locks = "pg_locks WHERE locktype = 'advisory' AND granted AND database ="
        database = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        postgresql.query(f"SELECT pg_terminate_backend(pid) FROM {locks} {database}")
        checkpoints.recall("wait at middle")
        out, err = run.communicate()
    assert (run.returncode, err) == (0, ""), err
    assert out.startswith("users  applied users_1")
