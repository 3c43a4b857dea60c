"""Every app sees its own tables and no others: not its neighbours', and not strangers'."""

from pathlib import Path

import pytest

from project import Project, bake
from servers import Database, new_database
from test_sql import apply

# What nobody in the project knows; other programs' version tables among it.
STRANGERS = [
    "CREATE TABLE stranger (id INTEGER PRIMARY KEY, name VARCHAR(9) DEFAULT 'x')",
    "CREATE INDEX stranger_name ON stranger (name)",
    "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
    "CREATE TABLE alembic_version_stranger (version_num VARCHAR(32) PRIMARY KEY)",
    "CREATE TABLE django_migrations (id INTEGER PRIMARY KEY)",
]
STRANGERS_ON_POSTGRESQL = [
    "CREATE TYPE mood AS ENUM ('good', 'bad')",
    "ALTER TABLE stranger ADD COLUMN mood mood",
    "CREATE SEQUENCE stranger_numbers",
    "CREATE SCHEMA elsewhere",
    "CREATE TABLE elsewhere.books (id INTEGER PRIMARY KEY)",
    "CREATE TYPE elsewhere.genre AS ENUM ('good', 'bad')",
]

BOOK = '''

class Book(Base):
    """A row of the table books."""

    __tablename__ = "books"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    genre: orm.Mapped[str] = orm.mapped_column(sa.Enum("novel", "poem", name="genre"))
    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(User.id), index=True)
'''

LINE = '''

class Line(Base):
    """A row of the table lines."""

    __tablename__ = "lines"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    order_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(Order.id))
'''

RENAME = """
def upgrade() -> None:
    op.rename_table("lines", "order_lines")


def downgrade() -> None:
    op.rename_table("order_lines", "lines")
"""


@pytest.fixture
def crowded(database: Database) -> Database:
    """A database that other programs use as well."""
    on_postgresql = database.url.get_backend_name() == "postgresql"
    for statement in STRANGERS + (STRANGERS_ON_POSTGRESQL if on_postgresql else []):
        database.query(statement)
    return database


def test_own_tables_and_no_others(tmp_path: Path, crowded: Database) -> None:
    project = bake(tmp_path, apps="users, books, orders")
    project.environment["DATABASE_URL"] = crowded.text
    users, books, orders = (project.models(app) for app in ("users", "books", "orders"))
    without_book = books.read_text().partition("\n\nclass Book")[0]
    books.write_text("from my_project.users.models import User\n" + without_book + BOOK)
    orders.write_text(orders.read_text() + LINE)
    without_lines, without_orders = (
        orders.read_text().partition(f"\n\nclass {name}")[0] for name in ("Line", "Order")
    )
    strangers = crowded.schema()

    project.generate()
    project.migrate()
    assert (
        project.migrations("check")
        == "users   no changes\nbooks   no changes\norders  no changes\n"
    )

    orders.write_text(orders.read_text().replace('"lines"', '"order_lines"'))
    revision = project.revise("orders")
    head = revision.read_text().partition("\ndef upgrade")[0]
    revision.write_text(head + RENAME)
    project.migrate()

    # first a model, then the app's last model, after that table was renamed
    for text, table in ((without_lines, "order_lines"), (without_orders, "orders")):
        orders.write_text(text)
        said = project.generate()
        assert said.splitlines()[:2] == ["users   no changes", "books   no changes"]
        newest = max(project.revisions("orders"), key=lambda path: path.stat().st_mtime_ns)
        upgrade, downgrade = newest.read_text().split("def downgrade")
        assert upgrade.count("op.") == 1
        assert f'op.drop_table("{table}")' in upgrade
        assert downgrade.count("op.create_table(") == 1
        project.migrate()
    assert crowded.tables() & {"orders", "lines", "order_lines"} == set()

    # a model that moves from one app to another
    books.write_text(without_book)
    users.write_text(users.read_text() + BOOK)
    assert project.generate() == "users   no changes\nbooks   no changes\norders  no changes\n"

    for file in project.package.glob("*/migrations/2*.py"):
        for name in ("stranger", "alembic_version", "django", "mood", "elsewhere"):
            assert name not in file.read_text()
    project.migrations("downgrade", "base")
    left = crowded.schema()
    assert {name: left[name] for name in strangers} == strangers
    assert {name.split()[0] for name in left if name not in strangers} == {
        "alembic_version_users",
        "alembic_version_books",
        "alembic_version_orders",
    }


def test_references_between_apps(project: Project) -> None:
    models = project.models("users")
    text = models.read_text()
    refer = "    book_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey({}))\n".format
    models.write_text("from my_project.books.models import Book\n" + text + refer("Book.id"))
    assert project.refused("./generate.sh", env={"BOOKS_DATABASE_URL": "sqlite:///other.db"}) == (
        "users: users refers to books of books in another database; remove the foreign key, or use"
        " one database for both apps"
    )
    models.write_text(text + refer('"books.id"'))
    line = project.refused("./generate.sh")
    assert "column 'users.book_id' could not find table 'books' with which" in line
    assert line.endswith("; for another app's table, write ForeignKey(Model.id)")
    assert project.revisions("users") == project.revisions("books") == []


def test_tables_in_schemas(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path, database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    # Tables of the same names, in schemas where the app has none.
    for statement in ("CREATE SCHEMA elsewhere", "CREATE TABLE books (id INTEGER PRIMARY KEY)"):
        postgresql.query(statement)
    postgresql.query("CREATE SCHEMA shop")
    postgresql.query("CREATE TABLE elsewhere.books (id INTEGER PRIMARY KEY)")
    for app, schema in (("users", "public"), ("books", "shop")):
        models = project.models(app)
        models.write_text(models.read_text().replace("MetaData(", f'MetaData(schema="{schema}", '))
        project.add_column(app, "kind", f'sa.Enum("{app}", name="{app}_kind")')
    project.set_ini("users", "version_table_schema", "public")
    project.set_ini("books", "version_table_schema", "shop")
    project.set_ini("books", "transaction_per_migration", "true")
    project.generate()
    script = project.run("./migrate.sh", "--sql").stdout
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
    assert len(project.migrations("status").splitlines()) == 3
    ini = project.path / "alembic.ini"
    with_books = ini.read_text()
    project.run("python", "-m", "migrations", "remove", "books", "--keep-tables", "--yes")
    ini.write_text(with_books)
    assert postgresql.tables("shop") == {"books", "alembic_version_books"}
    assert postgresql.tables() == {"users", "alembic_version_users", "books"}
    with new_database("postgresql") as second:
        second.query("CREATE SCHEMA shop")
        apply(second, script)
        assert second.schema("shop") == postgresql.schema("shop")

    project.models("books").write_text(
        project.models("books").read_text().partition("\n\nclass Book")[0]
    )
    revision = project.revise("books")
    assert revision.read_text().count('op.drop_table("books", schema="shop")') == 1
    project.migrate()
    project.migrations("downgrade", "base")
    assert postgresql.tables("shop") == {"alembic_version_books"}
    assert postgresql.tables() == {"alembic_version_users", "books"}
    assert postgresql.tables("elsewhere") == {"books"}


def test_key_from_a_schema_to_a_table_without_one(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path, database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    postgresql.query("CREATE SCHEMA shop")
    models = project.models("books")
    text = models.read_text().replace("MetaData(", 'MetaData(schema="shop", ')
    models.write_text(f"from my_project.users.models import User\n{text}")
    project.add_column("books", "user_id", 'sa.ForeignKey(User.id, ondelete="CASCADE")')
    project.add_column("books", "next_id", 'sa.ForeignKey("shop.books.id")')
    project.add_column("books", "last_id", 'sa.ForeignKey("books.id")')
    project.generate()
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"


NOTE = '''

class Note(Base):
    """A row of the table user_notes."""

    __tablename__ = "user_notes"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
'''

LOG = '''

class Log(Base):
    """A row of the table elsewhere.log."""

    __tablename__ = "log"
    __table_args__ = {"schema": "elsewhere"}

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
'''


def test_patterns_and_the_tables_of_others(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path, database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    postgresql.query("CREATE SCHEMA elsewhere")
    postgresql.query("CREATE TABLE elsewhere.users (id INTEGER PRIMARY KEY)")
    users, books = project.models("users"), project.models("books")
    without_note = books.read_text()
    users.write_text(users.read_text() + LOG)
    books.write_text(without_note + NOTE)
    project.set_ini("users", "tables", "user* log")
    said = project.generate()
    assert "create log, create users\n" in said
    assert "create books, create user_notes\n" in said
    project.migrate()
    [revision] = project.revisions("books")
    (revision.parent / "2026").mkdir()
    revision.rename(revision.parent / "2026" / revision.name)
    project.set_ini("books", "recursive_version_locations", "true")
    books.write_text(without_note)
    assert project.generate("users") == "users  no changes\n"
    assert "books  wrote" in project.generate()
    project.migrate()
    assert postgresql.tables() & {"users", "books", "user_notes"} == {"users", "books"}
    assert postgresql.tables("elsewhere") == {"users", "log"}


ELSEWHERE = """
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

given = {{"connection": create_engine({url!r})}}
config = Config("alembic.ini", ini_section="users", attributes=given)
command.upgrade(config, "head")
command.check(config)
"""


def test_new_model_on_a_given_connection_to_another_database(
    tmp_path: Path, database: Database
) -> None:
    project = bake(tmp_path)
    project.environment["DATABASE_URL"] = database.text
    project.generate()
    users = project.models("users")
    users.write_text(users.read_text() + NOTE)
    with new_database(database.url.get_backend_name(), tmp_path) as other:
        code = ELSEWHERE.format(url=other.text)
        line = project.run("python", "-c", code, status=1).stderr.splitlines()[-1]
    assert "New upgrade operations detected: [('add_table', Table('user_notes'" in line


def test_revision_that_computes_its_schema(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path, apps="users", database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    postgresql.query("CREATE TABLE users (id INTEGER PRIMARY KEY)")
    postgresql.query("CREATE TYPE mood AS ENUM ('good')")
    postgresql.query("CREATE SCHEMA elsewhere")
    models = project.models("users")
    models.write_text(models.read_text().replace("MetaData(", 'MetaData(schema="elsewhere", '))
    project.add_column("users", "mood", 'sa.Enum("bad", name="mood", schema="elsewhere")')
    revision = project.revise("users")
    text = revision.read_text().replace('schema="elsewhere"', "schema=SCHEMA")
    assert text.count("schema=SCHEMA") == 5
    revision.write_text(text.replace("\nrevision:", '\nSCHEMA = "elsewhere"\nrevision:'))
    project.migrate()
    assert project.generate() == "users  no changes\n"


def test_table_that_moved_and_was_renamed(project: Project) -> None:
    users, books = project.models("users"), project.models("books")
    without_note = books.read_text()
    users.write_text(users.read_text() + NOTE)
    project.generate()
    project.migrate()
    users.write_text(users.read_text().replace(NOTE, ""))
    books.write_text(without_note + NOTE.replace("user_notes", "notes"))
    project.migrations("--name", "books", "revision", "--message", "rename")
    revision = max(project.revisions("books"), key=lambda path: path.stat().st_mtime_ns)
    head = revision.read_text().partition("\ndef upgrade")[0]
    rename = RENAME.replace("order_lines", "notes").replace("lines", "user_notes")
    revision.write_text(head + rename)
    project.migrate()
    assert project.generate() == "users  no changes\nbooks  no changes\n"
    books.write_text(without_note)
    assert "drop_table('notes')" in project.revise("books").read_text().replace('"', "'")


ENFORCED = """

@sa.event.listens_for(sa.Engine, "connect")
def enforce_foreign_keys(connection: object, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
"""

AS_A_LIBRARY = """
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import my_project.users.models

with sa.create_engine("sqlite:///my_project.db").connect() as connection:
    config = Config("alembic.ini", ini_section="users", attributes={"connection": connection})
    command.upgrade(config, "head")
    print(connection.exec_driver_sql("PRAGMA foreign_keys").scalar())
"""


def test_copies_of_tables_and_the_rows_that_refer_to_them(project: Project) -> None:
    """Where SQLite enforces foreign keys, dropping a table deletes what refers to its rows."""
    users, books = project.models("users"), project.models("books")
    users.write_text(users.read_text() + ENFORCED)
    key = "sa.ForeignKey(User.id, ondelete='CASCADE')"
    column = f"    user_id: orm.Mapped[int] = orm.mapped_column({key})\n"
    books.write_text("from my_project.users.models import User\n" + books.read_text() + column)
    project.generate()
    project.migrate()
    project.sqlite("INSERT INTO users (id, name) VALUES (1, 'x')")
    project.sqlite("INSERT INTO books (id, name, user_id) VALUES (1, 'x', 1)")
    users.write_text(users.read_text().replace("sa.String(200)", "sa.String(300), unique=True"))
    revision = project.revise("users")
    revision.write_text("import my_project.users.models\n" + revision.read_text())
    assert project.run("python", "-c", AS_A_LIBRARY, env={"PYTHONPATH": "src"}).stdout == "1\n"
    assert project.sqlite("SELECT user_id FROM books") == [(1,)]
    project.run("alembic", "--name", "users", "downgrade", "-1")
    project.run("alembic", "--name", "users", "upgrade", "head")
    assert project.sqlite("SELECT user_id FROM books") == [(1,)]


COPY = """    book_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("{0}.books.id"))


class Copy(Base):
    __tablename__ = "books"
    __table_args__ = {{"schema": "{0}"}}

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
"""


def test_schema_of_mysql_that_is_the_database_of_another_app(
    project: Project, mysql: Database
) -> None:
    with new_database("mysql") as other:
        here, there = mysql.url.database, str(other.url.database)
        project.environment.update(
            USERS_DATABASE_URL=mysql.text, BOOKS_DATABASE_URL=other.text, DATABASE_URL=""
        )
        with project.models("books").open("a") as file:
            file.write("    title: orm.Mapped[str | None] = orm.mapped_column(sa.String(9))\n")
        project.generate("books")
        project.migrate("books")
        before = other.schema()

        with project.models("users").open("a") as file:
            file.write(COPY.format(there))
        for app in ("users", "books"):
            line = project.refused("./generate.sh", app)
            assert line.startswith(f"{app}: both users and books have the table books; set `tables")
        project.set_ini("users", "tables", "users")
        assert "add" not in project.generate("users")
        project.migrate()
        assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
        assert other.schema() == before

        # Nor does a pattern claim what the other app's revisions created.
        models = project.models("users")
        models.write_text(models.read_text().partition("    book_id")[0])
        project.set_ini("users", "tables", f"users {there}.*")
        project.set_ini("books", "tables", f"books {here}.*")
        assert "drop" in project.generate("users")
        project.migrate()
        assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
        assert other.schema() == before


VIEW = '''

class Named(Base):
    """A row of the view named_users."""

    __tablename__ = "named_users"

    id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id"), primary_key=True)
'''


def test_a_model_on_a_view(tmp_path: Path, database: Database) -> None:
    project = bake(tmp_path, apps="users")
    project.environment["DATABASE_URL"] = database.text
    project.set_ini("users", "tables", "*")
    project.generate()
    project.migrate()
    database.query("CREATE VIEW named_users AS SELECT id FROM users WHERE name <> ''")
    models = project.models("users")
    with models.open("a") as file:
        file.write(VIEW)
    assert project.refused("./generate.sh") == (
        "users: named_users is a view in the database, not a table; say so in the model,"
        " with the table argument info={'is_view': True}"
    )
    assert len(project.revisions("users")) == 1
    with models.open("a") as file:
        file.write('    __table_args__ = {"info": {"is_view": True}}\n')
    assert project.generate() == "users  no changes\n"
    assert project.migrations("check") == "users  no changes\n"
