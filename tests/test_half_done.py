"""The note of what is half done on MySQL and MariaDB, which cannot roll back DDL."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from private_servers import PrivateServer, private_mysql, private_server
from project import Project, bake
from revisions import Checkpoints, add_revision
from servers import Database
from soak import finish_by_hand

INSIDE = "op.create_table('inside', sa.Column('id', sa.Integer))\n"
KEYED = INSIDE.replace("))", ", primary_key=True))")


@contextmanager
def user(database: Database, grants: str) -> Iterator[Database]:
    """The database as a user who has these privileges and no others."""
    name = f"user_{database.url.database}"
    database.query(f"CREATE USER {name}")
    database.query(f"GRANT {grants} ON {database.url.database}.* TO {name}")
    try:
        yield Database(database.url.set(username=name))
    finally:
        database.query(f"DROP USER {name}")


def stop_and_finish(project: Project, database: Database) -> str:
    """A revision stops in its middle, and says so in a line; then it is finished by hand."""
    line = project.refused("./migrate.sh", env=raising(project))
    assert " is half done: " in line
    assert project.refused("./migrate.sh") == f"users: {line.partition('; ')[2]}"
    finish_by_hand(project, database, line)
    assert "users  up to date\n" in project.migrate()
    assert not [name for name in database.tables() if "$half" in name]
    return line


def raising(project: Project) -> dict[str, str]:
    """The environment of a run that raises an error in the middle of a revision."""
    checkpoints = Checkpoints.of(project)
    checkpoints.order("raise at middle")
    return checkpoints.env


@pytest.mark.parametrize("finish", [True, False])
def test_it_says_what_is_half_done(finish: bool, project: Project, mysql: Database) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    create = "op.create_table('users', sa.Column('id', sa.Integer))"
    add_revision(project, "users", f"{create}\nop.execute('INSERT INTO users VALUES (7)')")
    project.migrate()
    add_revision(
        project,
        "users",
        f"op.execute('UPDATE users SET id = id + 1')\n{INSIDE}"
        "reach('middle')\nop.execute('UPDATE users SET id = id + 1')",
    )
    checkpoints = Checkpoints.of(project)
    checkpoints.order("raise at middle")
    line = project.refused("./migrate.sh", env=checkpoints.env)
    half_done = line.partition("; ")[2]
    assert line.startswith(
        "users: RuntimeError: middle, at src/my_project/users/migrations/users_2.py, line 9; "
    )
    assert half_done.startswith(
        "revision users_2 is half done: a run stopped in its upgrade, in"
        " src/my_project/users/migrations/users_2.py; "
    )
    # Nothing is done twice.
    assert project.refused("./migrate.sh") == f"users: {half_done}"
    alembic = project.run("alembic", "--name", "users", "upgrade", "head", status=None)
    assert alembic.returncode != 0
    assert half_done in alembic.stderr
    assert mysql.rows()["users"] == [(8,)]
    if finish:
        finish_by_hand(project, mysql, line)
    else:
        mysql.query("UPDATE users SET id = id - 1")
        mysql.query("DROP TABLE inside")
        mysql.query("DROP TABLE alembic_version_users$half")
        project.migrate()
    assert project.migrate().splitlines()[0] == "users  up to date"
    assert mysql.rows()["users"] == [(9,)]
    assert mysql.tables() == {"users", "inside", "alembic_version_users"}


@pytest.mark.parametrize("finish", [True, False])
def test_it_says_what_a_downgrade_left(finish: bool, project: Project, mysql: Database) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    down = "op.drop_table('inside')\nreach('middle')\nreach('end')\nop.drop_table('outside')"
    add_revision(project, "users", "pass")
    add_revision(project, "users", INSIDE + INSIDE.replace("inside", "outside"), down)
    project.migrate()
    checkpoints = Checkpoints.of(project)
    checkpoints.order("wait at middle")
    checkpoints.order("raise at end")
    with project.started(
        *("python", "-m", "migrations", "downgrade", "-n", "users", "-1"), env=checkpoints.env
    ) as run:
        checkpoints.wait_for("middle", run)
        # This is work under way, of which nothing is wrong.
        assert "half done" not in project.migrations("status")
        checkpoints.recall("wait at middle")
        _, err = run.communicate()
    half_done = "users: " + err.splitlines()[-1].partition("; ")[2]
    assert half_done.startswith("users: revision users_2 is half done: a run stopped in its downg")
    before = mysql.rows()
    for script in ("./migrate.sh", "./generate.sh"):
        assert project.refused(script) == half_done
    check = project.run("python", "-m", "migrations", "check", status=1)
    assert check.stderr.splitlines()[0] == half_done
    assert project.migrations("status").splitlines()[-1] == half_done
    [users, books] = json.loads(project.migrations("status", "--json"))
    assert (f"users: {users['half_done']}", books["half_done"]) == (half_done, None)
    assert mysql.rows() == before
    assert len(project.revisions("users")) == 2
    if finish:
        finish_by_hand(project, mysql, half_done)
    else:
        mysql.query("CREATE TABLE inside (id INTEGER)")
        mysql.query("DROP TABLE alembic_version_users$half")
    assert "half done" not in project.migrations("status")
    project.migrate()
    assert mysql.tables() == {"inside", "outside", "alembic_version_users"}


def test_the_note_is_kept_apart_from_the_table_of_an_app_called_half(
    tmp_path: Path, mysql: Database
) -> None:
    project = bake(tmp_path, apps="users, users_half", database="mysql")
    project.environment["DATABASE_URL"] = mysql.text
    project.generate()
    project.migrate()
    project.add_column("users", "email")
    project.generate()
    assert "users_half  up to date\n" in project.migrate()


def test_nothing_is_half_done_where_the_first_statement_fails(
    project: Project, mysql: Database
) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    mysql.query("CREATE TABLE inside (id INTEGER)")
    add_revision(project, "users", INSIDE)
    line = project.refused("./migrate.sh")
    assert "'inside' already exists" in line
    assert "half done" not in line
    mysql.query("DROP TABLE inside")
    project.migrate()
    assert mysql.tables() == {"inside", "alembic_version_users"}


def test_a_user_who_may_not_drop_tables(project: Project, mysql: Database) -> None:
    with user(
        mysql, "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES"
    ) as restricted:
        project.environment["DATABASE_URL"] = restricted.text
        add_revision(project, "users", INSIDE)
        add_revision(project, "books", INSIDE)
        line = project.refused("./migrate.sh")
        assert line.startswith("books: Table 'inside' already exists (1050)")
        assert "half done" not in line
        mysql.query("DROP TABLE inside")
        assert "books  applied books_1" in project.migrate()


def strict_mysql(folder: Path, port: int) -> PrivateServer:
    """A server that demands primary keys, as managed ones do."""
    server = private_mysql(folder, port)
    return replace(server, run=[*server.run, "--innodb-force-primary-key=1"])


def test_where_primary_keys_are_demanded(project: Project) -> None:
    with private_server(strict_mysql) as server:
        project.environment["DATABASE_URL"] = server.database.text
        add_revision(project, "users", KEYED)
        add_revision(project, "users", KEYED.replace("inside", "outside"))
        assert "users  applied users_1 (), users_2 ()\n" in project.migrate()
        more = "op.add_column('inside', sa.Column('{}', sa.Integer))\n"
        add_revision(project, "users", more.format("a") + "reach('middle')\n" + more.format("b"))
        stop_and_finish(project, server.database)


def test_where_rows_are_deleted_by_key_only(project: Project, mysql: Database) -> None:
    safe = {"init_command": "SET SESSION sql_safe_updates = 1"}
    project.environment["DATABASE_URL"] = Database(mysql.url.update_query_dict(safe)).text
    add_revision(project, "users", INSIDE)
    add_revision(project, "users", INSIDE.replace("inside", "outside"))
    assert "users  applied users_1 (), users_2 ()\n" in project.migrate()
    add_revision(project, "users", "op.drop_table('inside')\nreach('middle')\n" + INSIDE)
    stop_and_finish(project, mysql)


LOCKED = """
op.execute("LOCK TABLES inside WRITE")
op.execute("INSERT INTO inside (id) VALUES (7)")
op.add_column("inside", sa.Column("{0}1", sa.Integer))
reach("middle")
op.add_column("inside", sa.Column("{0}2", sa.Integer))
op.execute("UNLOCK TABLES")
"""


def test_between_lock_tables_and_unlock_tables(project: Project, mysql: Database) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    add_revision(project, "users", INSIDE)
    add_revision(project, "users", LOCKED.format("a"))
    assert "users  applied users_1 (), users_2 ()\n" in project.migrate()
    add_revision(project, "users", LOCKED.format("b"))
    stop_and_finish(project, mysql)
    assert mysql.rows()["inside"] == [(7, None, None, None, None)] * 2


def test_letters_that_the_character_set_of_the_database_lacks(
    project: Project, mysql: Database
) -> None:
    mysql.query(f"ALTER DATABASE {mysql.url.database} CHARACTER SET latin1")
    project.environment["DATABASE_URL"] = mysql.text
    comment = "op.create_table('{}', sa.Column('id', sa.Integer, comment='表'))\n"
    add_revision(project, "users", comment.format("a") + "reach('middle')\n" + comment.format("b"))
    [revision] = project.revisions("users")
    revision.rename(revision.with_name("users_1_表.py"))
    line = stop_and_finish(project, mysql)
    assert "in its upgrade, in src/my_project/users/migrations/users_1_表.py; " in line
    assert mysql.tables() == {"a", "b", "alembic_version_users"}


CANNOT = {
    "CREATE": "SELECT, INSERT, UPDATE, DELETE, ALTER, DROP",
    "CREATE, DROP": "SELECT, INSERT, UPDATE, DELETE, ALTER",
}


@pytest.mark.parametrize("missing", CANNOT)
def test_a_user_who_may_not_create_tables(missing: str, project: Project, mysql: Database) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    add_revision(project, "users", INSIDE)
    project.migrate()
    with user(mysql, CANNOT[missing]) as restricted:
        project.environment["DATABASE_URL"] = restricted.text
        assert_it_goes_on_without(project, mysql)


def test_a_note_that_cannot_be_written(project: Project, mysql: Database) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    add_revision(project, "users", INSIDE)
    project.migrate()
    mysql.query("CREATE TABLE alembic_version_users$half (other INTEGER)")
    assert_it_goes_on_without(project, mysql)


def assert_it_goes_on_without(project: Project, database: Database) -> None:
    """Two revisions of a table run; of one that fails, what can be rolled back is."""
    insert = "op.execute('INSERT INTO inside (id) VALUES (7)')\n"
    more = "op.add_column('inside', sa.Column('{}', sa.Integer))\n"
    add_revision(project, "users", f"{insert}reach('middle')\n{more.format('a')}{insert}")
    add_revision(project, "users", more.format("b"))
    assert "half done" not in project.refused("./migrate.sh", env=raising(project))
    assert database.rows()["inside"] == []
    assert "users  applied users_2 (), users_3 ()\n" in project.migrate()
    assert database.rows()["inside"] == [(7, None, None)] * 2
    add_revision(project, "users", f"{more.format('c')}{insert}reach('middle')")
    assert "half done" not in project.refused("./migrate.sh", env=raising(project))
    assert database.rows()["inside"] == [(7, None, None, None)] * 2


NOTHING = {
    "rows": "op.execute('INSERT INTO inside VALUES (7)')\nreach('middle')",
    "locked": "op.execute('LOCK TABLES inside WRITE')\nreach('middle')",
    "outside of a transaction": "with op.get_context().autocommit_block():\n    reach('middle')",
}


@pytest.mark.parametrize("what", NOTHING)
def test_nothing_is_half_done_where_nothing_is_left(
    what: str, project: Project, mysql: Database
) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    add_revision(project, "users", INSIDE)
    project.migrate()
    add_revision(project, "users", NOTHING[what])
    assert "half done" not in project.refused("./migrate.sh", env=raising(project))
    assert mysql.tables() == {"inside", "alembic_version_users"}
    assert mysql.rows()["inside"] == []


def test_a_revision_that_begins_with_what_no_transaction_allows(
    project: Project, mysql: Database
) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    add_revision(project, "users", INSIDE)
    begin = "op.execute('SET TRANSACTION ISOLATION LEVEL READ COMMITTED')\n"
    add_revision(project, "users", begin + INSIDE.replace("inside", "outside"))
    assert "users  applied users_1 (), users_2 ()\n" in project.migrate()


def test_an_upgrade_that_calls_its_downgrade(project: Project, mysql: Database) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    add_revision(project, "users", INSIDE)
    down = "op.execute('DROP TABLE IF EXISTS inside')"
    again = INSIDE.replace("'id'", "'number'")
    add_revision(project, "users", f"downgrade()\nreach('middle')\n{again}", down)
    line = stop_and_finish(project, mysql)
    assert "revision users_2 is half done: a run stopped in its upgrade, in" in line
    assert mysql.tables() == {"inside", "alembic_version_users"}
