"""`./migrate.sh --sql`: reviewed by people, applied by the database's own client."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, DefaultClause, MetaData, make_url

from project import Project
from revisions import add_revision
from servers import Database, new_database

COMMENTED = """\
    title: orm.Mapped[str] = orm.mapped_column(
        sa.String(50), server_default="书名", comment="书的名字"
    )
"""


@pytest.fixture
def second(database: Database, tmp_path: Path) -> Iterator[Database]:
    """Another empty database of the same kind."""
    kind = database.url.get_backend_name()
    if kind == "sqlite":
        yield Database(make_url(f"sqlite:///{tmp_path}/second.db"))
    else:
        with new_database(kind) as other:
            yield other


def apply(database: Database, script: str) -> None:
    """Run a script with the database's own client."""
    url = database.url
    if url.get_backend_name() == "sqlite":
        connection = sqlite3.connect(str(url.database))
        connection.executescript(script)
        connection.close()
        return
    if url.get_backend_name() == "postgresql":
        command = ["psql", "--quiet", "--set=ON_ERROR_STOP=1"]
        command += [url.set(drivername="postgresql").render_as_string(hide_password=False)]
    else:
        command = ["mariadb", f"--host={url.host}", f"--port={url.port}", f"--user={url.username}"]
        command += [f"--password={url.password or ''}", "--default-character-set=utf8mb4"]
        command += [str(url.database)]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, input=script.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def schema(database: Database) -> str:
    """Everything about the tables that SQLAlchemy can see, as text."""
    metadata = MetaData()
    with database.engine() as engine:
        metadata.reflect(engine)
    return "\n".join(
        f"{column} {column.type} {column.nullable} {default_of(column)} {column.comment}"
        for _, table in sorted(metadata.tables.items())
        for column in table.columns
    )


def default_of(column: Column[object]) -> str:
    """The server default of a reflected column."""
    default = column.server_default
    return str(default.arg) if isinstance(default, DefaultClause) else ""


def test_applied_sql_is_as_good_as_migrating(
    project: Project, database: Database, second: Database
) -> None:
    project.environment = {"DATABASE_URL": database.text}
    elsewhere = {"DATABASE_URL": second.text, "LC_ALL": "C"}
    with project.models("books").open("a", encoding="utf-8") as models:
        models.write(COMMENTED)
    for heads in (["-- users", "-- books"], ["-- users: up to date", "-- books"]):
        project.generate()
        script = project.run("./migrate.sh", "--sql", env=elsewhere).stdout
        assert [line for line in script.splitlines() if line.startswith(("-- u", "-- b"))] == heads
        if database.url.get_backend_name() != "mysql":
            assert script.count("BEGIN;") == script.count("COMMIT;") == script.count("-- Running")
        apply(second, script)
        project.migrate()
        assert schema(second) == schema(database)
        checked = project.run("python", "-m", "migrations", "check", env=elsewhere).stdout
        assert checked == "users  no changes\nbooks  no changes\n"
        project.add_column("books", "author")
    assert "书名" in schema(second)


CHECK = """\
    __table_args__ = (sa.CheckConstraint("name > 'a'", name="positive"),)
"""


def test_sql_of_a_check_that_goes(project: Project, database: Database, second: Database) -> None:
    project.environment["DATABASE_URL"] = database.text
    project.add_column("books", "offset", "sa.Integer")  # a reserved word of MariaDB, not of MySQL
    with project.models("books").open("a") as models:
        models.write(CHECK)
    project.generate()
    elsewhere = {"DATABASE_URL": second.text}
    apply(second, project.run("./migrate.sh", "--sql", env=elsewhere).stdout)
    project.migrate()
    project.add_column("users", "added")
    project.remove_line(project.models("books"), "CheckConstraint")
    project.generate()
    if database.url.get_backend_name() == "sqlite":  # it copies the table
        for command in ("./migrate.sh", "alembic -n books upgrade head"):
            line = project.refused(*command.split(), "--sql")
            assert line.startswith("books: ")
            assert line.endswith("run it without --sql, as SQLite copies what it alters")
        assert not project.run("./migrate.sh", "--sql", status=1).stdout
        return
    apply(second, project.run("./migrate.sh", "--sql", env=elsewhere).stdout)
    project.migrate()
    assert second.schema() == database.schema()
    assert "positive" not in str(second.schema())


def test_merge_of_two_heads_that_are_applied(project: Project, database: Database) -> None:
    project.environment["DATABASE_URL"] = database.text
    for name in ("base", "one", "two"):
        add_revision(project, "users", f"op.create_table('t_{name}', sa.Column('id', sa.Integer))")
    last = project.revisions("users")[-1]
    last.write_text(last.read_text().replace("= 'users_2'", "= 'users_1'"))
    project.run("alembic", "--name", "users", "upgrade", "heads")
    project.run("alembic", "--name", "users", "merge", "heads", "-m", "merge")
    script = project.migrate("--sql", "users")
    assert "CREATE TABLE" not in script
    apply(database, script)
    assert project.migrate("users") == "users  up to date\n"
    assert database.tables() == {"t_base", "t_one", "t_two", "alembic_version_users"}
