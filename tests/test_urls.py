"""Which database an app has: where its URL comes from, and what may stand in it."""

import sys
from collections.abc import Iterator

import pytest

from project import Project
from revisions import add_revision
from servers import Database, new_database

PASSWORD = "s%41cr et@:/p%w"

IN_PYTHON = """
import asyncio
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect

engine = create_engine("sqlite:///given.db")

def upgrade(app, **attributes):
    command.upgrade(Config("alembic.ini", ini_section=app, attributes=attributes), "head")

async def in_a_running_loop():
    upgrade("users")

asyncio.run(in_a_running_loop())
upgrade("books", connection=engine)
with engine.begin() as connection:
    upgrade("users", connection=connection)
with engine.connect() as connection:
    upgrade("books", connection=connection)
    connection.rollback()
print(*sorted(inspect(engine).get_table_names()))
"""

LEFT_OPEN = """
from alembic import command
from alembic.config import Config

for app in ("users", "books"):
    command.downgrade(Config("alembic.ini", ini_section=app), "base")
"""

AS_DOCUMENTED = """
import sys
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event

kind, enforced = sys.argv[1:]
arguments = {"autocommit": False} if kind == "autocommit" else {}
engine = create_engine("sqlite:///given.db", connect_args=arguments)

@event.listens_for(engine, "connect")
def connect(connection, _):
    if kind == "begin":
        connection.isolation_level = None
    connection.rollback()
    if kind == "autocommit":
        connection.autocommit = True
    connection.execute(f"PRAGMA foreign_keys = {enforced}")
    if kind == "autocommit":
        connection.autocommit = False

if kind == "begin":
    @event.listens_for(engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN")

connection = engine.connect()
for given in (engine, connection):
    for app in ("users", "books"):
        config = Config("alembic.ini", ini_section=app, attributes={"connection": given})
        command.upgrade(config, "head")
        command.downgrade(config, "base")
        command.upgrade(config, "head")
        command.check(config)
for number in range(2):
    assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == int(enforced)
    connection.exec_driver_sql(f"INSERT INTO users VALUES ({number}, 'Ann')")
    connection.commit()
"""

IN_A_TRANSACTION = """
import sys
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

with create_engine("sqlite:///my_project.db").connect() as connection:
    connection.connection.execute(f"PRAGMA foreign_keys = {sys.argv[1]}")
    with connection.begin():
        attributes = {"connection": connection}
        command.upgrade(Config("alembic.ini", ini_section="users", attributes=attributes), "head")
"""


FINDS_ITS_URL = """
config = op.get_context().config
found = sa.engine_from_config(config.get_section(config.config_ini_section)).url
assert found == op.get_bind().engine.url == sa.make_url(config.get_main_option("sqlalchemy.url"))
op.execute("CREATE TABLE found (id INTEGER)")
"""

WITH_ONE_CONFIG = """
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

config = Config("alembic.ini", ini_section="users")
for given in (create_engine("sqlite:///given%.db"), create_engine("sqlite://").connect(), None):
    config.attributes["connection"] = given
    command.upgrade(config, "head")
"""


def users_database(project: Project, **env: str) -> str:
    """The database that `status` shows for users."""
    done = project.run("python", "-m", "migrations", "-n", "users", "status", env=env)
    return done.stdout.splitlines()[1].split()[-1]


def test_the_nearest_url_wins(project: Project) -> None:
    general = {"DATABASE_URL": "sqlite:///general.db"}
    assert users_database(project) == "sqlite:///my_project.db"
    assert users_database(project, **general) == "sqlite:///general.db"
    project.set_ini("users", "sqlalchemy.url", "sqlite:///%(here)s/own.db")
    assert users_database(project, **general) == "sqlite:///own.db"
    env = {**general, "USERS_DATABASE_URL": "sqlite:///users.db"}
    assert users_database(project, **env) == "sqlite:///users.db"


def test_a_revision_finds_the_url_in_use(project: Project) -> None:
    for app in ("users", "books"):
        add_revision(project, app, FINDS_ITS_URL)

    def migrated(pattern: str) -> set[str]:
        [file] = project.path.glob(pattern)  # SQLAlchemy 2.1 decodes %41, 2.0 does not
        return project.tables(file.name)

    own = {f"{app}_DATABASE_URL": f"sqlite:///{app}%41.db" for app in ("USERS", "BOOKS")}
    project.run("./migrate.sh", env=own)
    assert migrated("BOOKS*.db") == {"found", "alembic_version_books"}
    (project.path / "script.py").write_text(WITH_ONE_CONFIG)
    project.run("python", "script.py")
    for pattern in ("given*.db", "my_project.db"):
        assert migrated(pattern) == {"found", "alembic_version_users"}
    # A section's own URL, which the environment overrides, with a percent sign that is no good.
    project.set_ini("books", "sqlalchemy.url", "sqlite:///of_the_ini%.db")
    plain = {"BOOKS_DATABASE_URL": "sqlite:///plain%41.db"}
    project.run("alembic", "--name", "books", "upgrade", "head", env=plain)
    assert migrated("plain*.db") == {"found", "alembic_version_books"}


@pytest.fixture
def guarded(mysql: Database) -> Iterator[Database]:
    """A MariaDB database, as a user whose password has what URLs and ini files make hard."""
    name = str(mysql.url.database)
    mysql.query(f"CREATE USER '{name}'@'%' IDENTIFIED BY '{PASSWORD}'")
    mysql.query(f"GRANT ALL ON {name}.* TO '{name}'@'%'")
    yield Database(mysql.url.set(username=name, password=PASSWORD))
    mysql.query(f"DROP USER '{name}'@'%'")


def test_a_hard_password_works_and_is_never_shown(project: Project, guarded: Database) -> None:
    encoded = guarded.text.split(":")[2].split("@")[0]

    def shown(*command: str, status: int = 0, **env: str) -> str:
        done = project.run(*command, status=status, env=env)
        output = done.stdout + done.stderr
        assert not [secret for secret in (PASSWORD, encoded, encoded[:6]) if secret in output]
        return output

    url = guarded.text
    shown("./generate.sh", DATABASE_URL=url)
    assert "applied" in shown("./migrate.sh", DATABASE_URL=url)
    assert "***" in shown("python", "-m", "migrations", "status", DATABASE_URL=url)
    shown("alembic", "--name", "users", "--raiseerr", "current", "--verbose", DATABASE_URL=url)

    project.set_ini("DEFAULT", "sqlalchemy.url", guarded.text.replace("%", "%%"))
    assert shown("./migrate.sh") == "users  up to date\nbooks  up to date\n"
    project.set_ini("DEFAULT", "sqlalchemy.url", guarded.text)
    assert "write a percent sign as %%" in shown("./migrate.sh", status=1)
    plain = ("alembic", "--name", "users", "current")
    assert "write a percent sign as %%" in shown(*plain, status=255)
    wrong = guarded.text.replace(encoded, "wrong-password")
    assert "Access denied" in shown("./migrate.sh", status=1, DATABASE_URL=wrong)


def test_each_app_on_its_own_kind_of_server(
    project: Project, postgresql: Database, mysql: Database
) -> None:
    project.environment = {
        "USERS_DATABASE_URL": postgresql.text,
        "BOOKS_DATABASE_URL": mysql.text,
    }
    project.generate()
    project.migrate()
    assert project.migrate() == "users  up to date\nbooks  up to date\n"
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
    assert postgresql.tables() == {"users", "alembic_version_users"}
    assert mysql.tables() == {"books", "alembic_version_books"}


@pytest.mark.parametrize("driver", ["postgresql+asyncpg", "mysql+aiomysql", "sqlite+aiosqlite"])
def test_async_drivers(driver: str, project: Project, request: pytest.FixtureRequest) -> None:
    if driver.startswith("sqlite"):
        project.environment = {"DATABASE_URL": f"{driver}:///{project.path}/my_project.db"}
    else:
        database: Database = request.getfixturevalue(driver.partition("+")[0])
        project.environment = {"DATABASE_URL": database.with_driver(driver).text}
    project.generate()
    project.migrate()
    project.add_column("books", "title")
    assert "add_books_title" in project.generate()
    assert "users  up to date" in project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
    project.migrations("downgrade", "base")
    assert project.migrations("current") == "users:\nbooks:\n"


def test_without_the_extra_an_async_driver_is_refused(project: Project) -> None:
    (project.path / "migrations" / "extras" / "async_drivers.py").unlink()
    project.environment = {"DATABASE_URL": "sqlite+aiosqlite:///my_project.db"}
    line = "users: the driver aiosqlite needs migrations/extras/async_drivers.py; copy it from"
    assert project.refused("./migrate.sh").startswith(line)
    assert project.refused("alembic", "--name", "users", "current").startswith(line)


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
def test_called_from_python(driver: str, project: Project) -> None:
    project.environment = {"DATABASE_URL": f"{driver}:///{project.path}/my_project.db"}
    project.generate()
    (project.path / "script.py").write_text(IN_PYTHON)
    done = project.run("python", "script.py")
    assert done.stderr == ""
    assert done.stdout == "alembic_version_books alembic_version_users books users\n"
    assert project.tables() == {"users", "alembic_version_users"}


def test_no_more_connections_than_one_database_needs(
    project: Project, postgresql: Database
) -> None:
    name = f"few_{postgresql.url.database}"
    postgresql.query(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 2")
    try:
        with new_database("postgresql") as other:
            for app, database in {"USERS": postgresql, "BOOKS": other}.items():
                database.query(f"GRANT CREATE ON SCHEMA public TO {name}")
                url = Database(database.url.set(username=name)).text
                project.environment[f"{app}_DATABASE_URL"] = url
            project.generate()
            project.migrate()
            (project.path / "script.py").write_text(LEFT_OPEN)
            done = project.run("python", "-X", "dev", "script.py")
            assert (done.stdout, done.stderr) == ("", "")
    finally:
        postgresql.query(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_called_in_a_transaction_of_sqlite(project: Project) -> None:
    add_revision(project, "users", "op.create_table('a', sa.Column('id', sa.Integer))\n1 / 0")
    (project.path / "script.py").write_text(IN_A_TRANSACTION)
    failed = project.run("python", "script.py", "OFF", status=1)
    assert "ZeroDivisionError" in failed.stderr
    assert project.tables() == set()
    project.remove_line(project.revisions("users")[0], "1 / 0")
    refused = project.run("python", "script.py", "ON", status=1)
    assert (
        "CommandError: users: the given connection enforces foreign keys, which" in refused.stderr
    )
    assert project.tables() == set()
    project.run("python", "script.py", "OFF")
    assert project.tables() == {"a", "alembic_version_users"}


@pytest.mark.parametrize("enforced", ["0", "1"])
@pytest.mark.parametrize("kind", ["begin", "autocommit"])
def test_an_engine_set_up_as_sqlalchemy_documents(
    project: Project, kind: str, enforced: str
) -> None:
    if kind == "autocommit" and sys.version_info < (3, 12):
        pytest.skip("Python's sqlite3 has no autocommit before 3.12")
    project.generate()
    project.run("python", "-c", AS_DOCUMENTED, kind, enforced)
    assert project.sqlite("SELECT id FROM users", "given.db") == [(0,), (1,)]
