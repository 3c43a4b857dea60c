"""The right app, the right database, and a session that nobody has used before."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.config import Config

from migrations.apps import read_apps
from project import Project
from revisions import Checkpoints, add_revision
from servers import Database

SETTINGS = {
    "sqlite": {
        "PRAGMA recursive_triggers = 1": "PRAGMA recursive_triggers",
        "PRAGMA reverse_unordered_selects = 1": "PRAGMA reverse_unordered_selects",
        "PRAGMA cache_size = 7": "PRAGMA cache_size",
        "CREATE TEMPORARY TABLE notes (a INT)": "SELECT count(*) FROM temp.sqlite_schema",
    },
    "postgresql": {
        "SET search_path TO legacy, public": "SHOW search_path",
        "SET statement_timeout = 12345": "SHOW statement_timeout",
        "SET TIME ZONE 'Asia/Tokyo'": "SHOW TIME ZONE",
        "SET default_transaction_isolation = 'serializable'": "SHOW default_transaction_isolation",
        "SET ROLE {role}": "SELECT current_user",
        "CREATE TEMPORARY TABLE notes (a INT)": (
            "SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()"
        ),
    },
    "mysql": {
        "SET FOREIGN_KEY_CHECKS = 0": "SELECT @@SESSION.foreign_key_checks",
        "SET UNIQUE_CHECKS = 0": "SELECT @@SESSION.unique_checks",
        "SET sql_mode = ''": "SELECT @@SESSION.sql_mode",
        "SET time_zone = '+03:00'": "SELECT @@SESSION.time_zone",
        "SET lock_wait_timeout = 77": "SELECT @@SESSION.lock_wait_timeout",
        "SET @mine = 1": "SELECT coalesce(@mine, 'unset')",
    },
}
"""What a revision sets in its session, and what the revision of another app asks about it."""


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    """A role that may do everything, on PostgreSQL."""
    name = f"role_{str(database.url.database)[-16:]}"
    if database.url.get_backend_name() == "postgresql":
        database.query(f"CREATE ROLE {name} SUPERUSER")
        database.query("CREATE SCHEMA legacy")
    yield name
    if database.url.get_backend_name() == "postgresql":
        database.query(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
        database.query(f"DROP OWNED BY {name}")
        database.query(f"DROP ROLE {name}")


def test_every_app_starts_on_a_fresh_session(
    bake: Callable[..., Project], database: Database, role: str
) -> None:
    project = bake(apps="users, books, shop")  # a pool of two connections gives them in turn
    project.environment["DATABASE_URL"] = database.text
    settings = SETTINGS[database.url.get_backend_name()]
    statements = [statement.format(role=role) for statement in settings]
    add_revision(project, "users", f"for it in {statements!r}: op.execute(it)")
    answers = (
        f"[str(op.get_bind().exec_driver_sql(it).scalar()) for it in {[*settings.values()]!r}]"
    )
    for app in ("books", "shop"):
        add_revision(project, app, f"open('{app}', 'w').write('\\n'.join({answers}))")
    project.migrate()
    expected = [str(row[0]) for question in settings.values() for row in database.query(question)]
    for app in ("books", "shop"):
        assert (project.path / app).read_text().split("\n") == expected
        assert f"alembic_version_{app}" in database.tables()


GIVEN_WITH_A_LISTENER = """
import os
from alembic import command
from alembic.config import Config
import my_project.users.models
from sqlalchemy import create_engine

url = os.environ["DATABASE_URL"].replace("asyncpg", "psycopg")
attributes = {"connection": create_engine(url)}
config = Config("alembic.ini", ini_section="users", attributes=attributes)
command.downgrade(config, "base")
command.upgrade(config, "head")
"""

LISTENER = """

@sa.event.listens_for(sa.Engine, "connect")
def connect(connection, _):
    connection.cursor().execute("SET TIME ZONE 'Asia/Tokyo'")
"""


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "postgresql+asyncpg"])
def test_what_the_models_set_in_each_session_is_there(
    bake: Callable[..., Project], postgresql: Database, driver: str
) -> None:
    project = bake(apps="users, books, shop", async_driver="asyncpg" in driver)
    project.environment["DATABASE_URL"] = postgresql.with_driver(driver).text
    for app in ("books", "shop"):
        answer = "op.get_bind().exec_driver_sql('SHOW TIME ZONE').scalar()"
        add_revision(project, app, f"open('{app}', 'w').write({answer})")
    with project.models("users").open("a") as file:
        file.write(LISTENER)
    project.environment["PYTHONPATH"] = "src"
    imports = "import my_project.users.models; from migrations.commands.migrate import migrate_apps"
    project.run("python", "-c", f"{imports}; migrate_apps()")
    for app in ("books", "shop"):
        assert (project.path / app).read_text() == "Asia/Tokyo"
    postgresql.query("CREATE TABLE users (id SERIAL PRIMARY KEY, name VARCHAR(200) NOT NULL)")
    assert "would write" in project.migrations("adopt", "users")
    assert "stamped" in project.migrations("adopt", "--yes", "users")
    assert "no changes" in project.migrations("-n", "users", "check")
    project.run("python", "-c", GIVEN_WITH_A_LISTENER)


FROM_PYTHON = """
from alembic import command
from alembic.config import Config

config = Config("alembic.ini", ini_section="users")
config.set_main_option("sqlalchemy.url", "sqlite:///of_a_test.db")
command.upgrade(config, "head")
command.downgrade(config, "base")
"""


def test_a_url_that_is_set_in_python_wins(project: Project) -> None:
    project.generate()
    project.migrate()
    for variable in ("USERS_DATABASE_URL", "DATABASE_URL"):
        project.run("python", "-c", FROM_PYTHON, env={variable: "sqlite:///my_project.db"})
        assert "users" in project.tables()
        assert "alembic_version_users" in project.tables("of_a_test.db")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql://h/a", "postgresql+psycopg://me@h:5432/a", True),
        ("postgresql://h/x?dbname=a", "postgresql://h/a", True),
        ("postgresql://h/x?dbname=a", "postgresql://h/x?dbname=b", False),
        ("postgresql:///?service=a", "postgresql:///?service=b", False),
        ("postgresql:///a?host=h", "postgresql://h/a", True),
        ("postgresql:///a?host=h", "postgresql:///a?host=i", False),
        ("mysql://h/a?unix_socket=/s", "mysql://h/a?unix_socket=/t", False),
        ("mysql+pymysql://h/a", "mariadb+pymysql://h/a", True),
    ],
)
def test_options_of_a_url_may_name_the_database(
    one: str, other: str, same: bool, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USERS_DATABASE_URL", one)
    monkeypatch.setenv("BOOKS_DATABASE_URL", other)
    users, books = read_apps(Config(project.path / "alembic.ini")).values()
    assert (users.database == books.database) is same


def test_the_projects_tests_leave_the_database_of_an_option_alone(
    bake: Callable[..., Project], postgresql: Database
) -> None:
    project = bake(database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    project.generate()
    project.migrate()
    real = postgresql.url
    url = real.set(database="postgres").update_query_dict({"dbname": str(real.database)})
    project.environment["DATABASE_URL"] = Database(url).text
    assert "8 passed" in project.run("make", "test").stdout
    assert {"users", "books"} < postgresql.tables()


def test_white_space_around_a_url_is_cut_off(project: Project, tmp_path: Path) -> None:
    project.environment["DATABASE_URL"] = f" sqlite:///{tmp_path}/x.db\n"
    project.generate()
    project.migrate()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.db"]


@pytest.mark.parametrize("command", ["downgrade -1", "upgrade +2"])
def test_relative_targets_are_checked_before_the_first_app(project: Project, command: str) -> None:
    project.generate()
    if command.startswith("downgrade"):
        project.migrate("books")
    before = project.tables()
    line = project.refused("python", "-m", "migrations", *command.split())
    assert line.startswith("users: Relative revision ")
    assert project.tables() == before


@pytest.mark.parametrize("spelling", ["-qn books", "-q --nam books", "-n books -q", "--name=books"])
def test_every_spelling_of_an_app_is_heard(project: Project, spelling: str) -> None:
    project.generate()
    project.migrate()
    project.run("python", "-m", "migrations", *spelling.split(), "downgrade", "base")
    shown = project.migrations("-q", "-n", "users", "current", "-nbooks")
    assert shown.startswith("users:\n")
    assert shown.endswith("books:\n")
    assert "users" in project.tables()
    assert "books" not in project.tables()


def test_a_schema_in_front_of_one_that_is_migrated(project: Project, postgresql: Database) -> None:
    for app in ("users", "books"):
        create = f"op.create_table('{app}', sa.Column('id', sa.Integer))"
        add_revision(project, app, create, f"op.drop_table('{app}')")
    project.environment["DATABASE_URL"] = postgresql.text
    project.migrate()
    postgresql.query("CREATE SCHEMA t5")
    url = postgresql.url.update_query_dict({"options": "-csearch_path=t5,public"})
    project.environment["DATABASE_URL"] = Database(url).text
    remove = ("python", "-m", "migrations", "remove", "books", "--yes", "--keep-section")
    assert "drops no table" in project.run(*remove).stdout  # there is nothing in t5 yet
    assert {"books", "alembic_version_books"} < postgresql.tables("public")
    assert project.migrate().count(" applied ") == 2
    assert project.migrate().count(" up to date") == 2
    tables = {"users", "books", "alembic_version_users", "alembic_version_books"}
    assert postgresql.tables("t5") == postgresql.tables("public") == tables
    project.run("alembic", "--name", "books", "downgrade", "base")
    assert "books" in postgresql.tables("public")
    assert "books" not in postgresql.tables("t5")


ONE_CONNECTION = """
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine
import os

engine = create_engine(os.environ["ONLY"], pool_size=1, max_overflow=0, pool_timeout=1)
from migrations.__main__ import main
from migrations.apps import read_apps
config = Config("alembic.ini", ini_section="users", attributes={"connection": engine})
app = read_apps(config)["users"]
try:
    with app.naming():
        command.upgrade(config, "head")
except CommandError as error:
    print(error)
"""


def test_one_connection_is_not_enough(project: Project, postgresql: Database) -> None:
    add_revision(project, "users", "pass")
    said = project.run("python", "-c", ONE_CONNECTION, env={"ONLY": postgresql.text}).stdout
    needs_two = "; allow two connections at a time: on PostgreSQL, one of them holds"
    assert f"{needs_two} the lock\n" in said
    with postgresql.reader("x") as url:
        name = url.username
        postgresql.query(f"GRANT ALL ON SCHEMA public TO {name}")
        postgresql.query(f"ALTER ROLE {name} CONNECTION LIMIT 1")
        project.environment["DATABASE_URL"] = Database(url).text
        try:
            assert needs_two in project.refused("./migrate.sh")
        finally:
            postgresql.query(f"DROP OWNED BY {name}")


def test_a_revision_may_not_roll_back(project: Project, database: Database) -> None:
    project.environment["DATABASE_URL"] = database.text
    create = "op.create_table('t', sa.Column('id', sa.Integer))"
    add_revision(project, "users", f"{create}\nop.execute('ROLLBACK')")
    line = project.refused("./migrate.sh")
    assert line.startswith("users: a revision rolls back its transaction, which undoes what")
    if database.url.get_backend_name() != "mysql":
        assert "t" not in database.tables()


def test_an_index_that_failed_is_dropped_first(project: Project, postgresql: Database) -> None:
    project.environment["DATABASE_URL"] = postgresql.text
    postgresql.query("CREATE TABLE t (a INT)")
    postgresql.query("INSERT INTO t VALUES (1), (1)")
    index = "op.create_index('i', 't', ['a'], unique=True, postgresql_concurrently=True)"
    add_revision(project, "users", f"with op.get_context().autocommit_block(): {index}")
    assert "could not create unique index" in project.refused("./migrate.sh")
    line = project.refused("./migrate.sh")
    assert line.endswith("; if an earlier attempt left it, drop it")


def test_check_goes_on_where_a_database_is_down(project: Project) -> None:
    project.generate()
    project.migrate()
    project.environment["USERS_DATABASE_URL"] = "postgresql+psycopg://127.0.0.1:1/users"
    done = project.run("python", "-m", "migrations", "check", status=1)
    assert done.stdout == "books  no changes\n"
    [line] = done.stderr.splitlines()
    assert line.startswith("users: postgresql+psycopg://127.0.0.1:1/users: ")


def test_two_schemas_of_a_database_do_not_wait_for_each_other(
    project: Project, postgresql: Database
) -> None:
    add_revision(project, "users", "reach('start')")
    project.set_ini("users", "lock_timeout", "1")
    postgresql.query("CREATE SCHEMA t5")
    url = postgresql.url.update_query_dict({"options": "-csearch_path=t5,public"})
    checkpoints = Checkpoints.of(project)
    checkpoints.order("wait at start")
    env = {**checkpoints.env, "DATABASE_URL": Database(url).text}
    with project.started("./migrate.sh", "users", env=env) as holder:
        checkpoints.wait_for("start", holder)
        project.environment["DATABASE_URL"] = postgresql.text
        assert "applied" in project.migrate("users")
        checkpoints.recall("wait at start")
        assert holder.wait() == 0


def test_a_url_in_an_env_file_is_read_whole(project: Project) -> None:
    recipe = "set -a; . ./.env; set +a"
    assert recipe in (project.path / "README.md").read_text()
    url = "sqlite:///file:x.db?timeout=7&uri=true"
    (project.path / ".env").write_text(f"DATABASE_URL='{url}'\n")
    said = project.run("bash", "-c", f"{recipe}; python -m migrations status").stdout
    assert "x.db?timeout=7&uri=true" in said
