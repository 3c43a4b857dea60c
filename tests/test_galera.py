"""A Galera cluster of three nodes: migrators on all of them, and nodes that die or freeze."""

from collections.abc import Iterator
from contextlib import closing
from random import Random

import pytest
from sqlalchemy import Connection, make_url, text

from migrations.databases import Databases
from revisions import Checkpoints, add_revision
from servers import Database
from soak import CASES, Soak


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soak]:
    """A cluster, and a project of several apps."""
    with Soak.of(CASES["galera"], tmp_path_factory.mktemp("cluster")) as soak:
        yield soak


def test_many_at_once_apply_each_revision_once(cluster: Soak) -> None:
    cluster.race(processes=2)
    cluster.race(processes=3)


@pytest.mark.parametrize("what", ["client", "node", "frozen"])
def test_killed_at_any_moment_the_next_run_completes(what: str, cluster: Soak) -> None:
    cluster.kill(Random(what), what)


def test_read_that_ddl_of_another_node_ends(cluster: Soak) -> None:
    """As when `migrate` looks for a note which another node drops at that moment."""
    with cluster.database() as database, closing(Databases()) as databases:
        database.query("CREATE TABLE note (id INTEGER PRIMARY KEY)")
        other = Database(make_url(cluster.at(1)["DATABASE_URL"]))

        def read(connection: Connection) -> list[object]:
            found = list(connection.scalars(text("SELECT id FROM note")))
            other.query("DROP TABLE note")
            return found

        assert databases.run(database.url, read) == []


def test_nothing_is_half_done_while_another_node_migrates(cluster: Soak) -> None:
    project, half_done = cluster.project, "users: revision users_2 is half done: "
    cluster.write_revisions(0)
    add_revision(project, "users", "op.create_table('a', sa.Column('id', sa.Integer))")
    add_revision(
        project,
        "users",
        "op.add_column('a', sa.Column('b', sa.Integer))\nreach('middle')\nop.drop_table('a')",
    )
    checkpoints = Checkpoints.of(project)
    checkpoints.order("wait at middle")
    with cluster.database():
        with project.started("./migrate.sh", env=checkpoints.env | cluster.at(0)) as run:
            checkpoints.wait_for("middle", run)
            status = project.run("python", "-m", "migrations", "status", env=cluster.at(1))
            assert "half done" not in status.stdout
            project.set_ini("users", "lock_timeout", "1")
            refused = project.run("./migrate.sh", status=1, env=cluster.at(1)).stderr
            [waiting, held] = refused.splitlines()
            assert waiting == "users: waiting for another migration, 1 s at most"
            assert held.startswith("users: another migration has held the lock for 1 s; ")
            project.set_ini("users", "lock_timeout", "300")
            with project.started("./migrate.sh", env=cluster.at(2)) as waiter:
                assert waiter.stderr is not None
                assert waiter.stderr.readline().startswith("users: waiting for another migration")
                run.kill()
                _, err = waiter.communicate()
                assert err.startswith(half_done)
        status = project.run("python", "-m", "migrations", "status", env=cluster.at(1))
        assert status.stdout.splitlines()[-1].startswith(half_done)


SPREAD = """
import sys
from itertools import cycle
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from pymysql import connect

config = Config("alembic.ini", ini_section="users")
host, user, database, *ports = sys.argv[1:]
port = map(int, cycle(ports))
engine = create_engine(
    "mysql+pymysql://",
    creator=lambda: connect(host=host, user=user, database=database, port=next(port)),
)
with engine.connect() as config.attributes["connection"]:
    command.upgrade(config, "head")
"""


def test_connections_that_a_proxy_spreads_over_the_nodes(cluster: Soak) -> None:
    project = cluster.project
    cluster.write_revisions(1)
    with cluster.database() as database:
        url, ports = database.url, [str(node.database.url.port) for node in cluster.nodes]
        arguments = map(str, [url.host, url.username, url.database, *ports])
        done = project.run("python", "-c", SPREAD, *arguments, status=1)
        assert done.stderr.splitlines()[-1].endswith(
            "users: two connections lead to two nodes of a Galera cluster, node0 and node1; use a"
            " URL that leads to one node"
        )
        assert database.tables() == set()
