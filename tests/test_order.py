"""Revisions that require revisions of other apps: written, obeyed, and guarded."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from project import Project, bake, tree
from servers import Database, new_database
from test_sql import apply

HEADER = """
import sqlalchemy as sa
from my_project.base import Base
"""
BASE = """
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from my_project.naming import NAMING_CONVENTION


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
"""
USER = """

class User(Base):
    __tablename__ = "users"
    id = sa.Column(sa.Integer, primary_key=True)
"""
BOOK = """

class Book(Base):
    __tablename__ = "books"
    id = sa.Column(sa.Integer, primary_key=True)
"""
AUTHOR = '    author_id = sa.Column(sa.ForeignKey("users.id"))\n'
FAVOURITE = '    favourite_id = sa.Column(sa.ForeignKey("books.id"))\n'


def write_models(project: Project, models: Mapping[str, str]) -> None:
    """Give apps other models, which share one Base."""
    (project.package / "base.py").write_text(BASE)
    for app, classes in models.items():
        project.models(app).write_text(HEADER + classes)
        project.set_ini(app, "tables", f"{app}, {app}_*")


def id_of(revision: Path) -> str:
    """The id of a revision file."""
    return line_of(revision, "revision")


def line_of(revision: Path, name: str) -> str:
    """The value that a revision file gives a name, without its quotes."""
    lines = revision.read_text().splitlines()
    [line] = [line for line in lines if line.startswith(f"{name}: ")]
    return line.partition(" = ")[2].strip("\"'")


@pytest.fixture
def apps_that_need_each_other(tmp_path: Path, database: Database) -> tuple[Project, dict[str, str]]:
    """users.1, books.1 that requires it, and users.2 that requires that; the ids by those names."""
    project = bake(tmp_path, database=database.url.get_backend_name())
    project.environment["DATABASE_URL"] = database.text
    write_models(project, {"users": USER, "books": BOOK + AUTHOR})
    project.generate()
    project.migrate()
    write_models(project, {"users": USER + FAVOURITE})
    [first], [books] = project.revisions("users"), project.revisions("books")
    second = project.revise("users")
    ids = {"users.1": id_of(first), "books.1": id_of(books), "users.2": id_of(second)}
    assert line_of(books, "requires") == f'("users:{ids["users.1"]}",)'
    assert line_of(second, "requires") == f'("books:{ids["books.1"]}",)'
    assert "requires" not in first.read_text()
    return project, ids


def test_apps_that_need_each_other(
    apps_that_need_each_other: tuple[Project, dict[str, str]], database: Database, tmp_path: Path
) -> None:
    project, ids = apps_that_need_each_other
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
    schema = database.schema()

    project.migrations("downgrade", "-1")
    assert database.tables() == {"users", "alembic_version_users", "alembic_version_books"}
    said = project.migrate()
    assert [line.split()[0] for line in said.splitlines()] == ["books", "users"]
    assert database.schema() == schema
    project.migrations("downgrade", "base")
    assert database.tables() == {"alembic_version_users", "alembic_version_books"}
    project.migrations("upgrade", "head")
    assert database.schema() == schema

    kind = database.url.get_backend_name()
    with new_database(kind, tmp_path) as new:
        project.environment["DATABASE_URL"] = new.text
        runs = [line.split()[:3] for line in project.migrate().splitlines()]
        assert runs == [
            ["users", "applied", ids["users.1"]],
            ["books", "applied", ids["books.1"]],
            ["users", "applied", ids["users.2"]],
        ]
        assert new.schema() == schema
        assert "8 passed" in project.run("make", "test").stdout
        assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
    if kind != "sqlite":  # it copies tables, for which there must be a connection
        with new_database(kind, tmp_path) as new:
            project.environment["DATABASE_URL"] = new.text
            apply(new, project.run("./migrate.sh", "--sql").stdout)
            assert new.schema() == schema
            assert project.migrate() == "users  up to date\nbooks  up to date\n"


def test_what_is_refused(
    apps_that_need_each_other: tuple[Project, dict[str, str]], database: Database
) -> None:
    project, ids = apps_that_need_each_other
    migrations, alembic = ("python", "-m", "migrations"), ("alembic", "--name")
    books_1, users_1, users_2 = ids["books.1"], ids["users.1"], ids["users.2"]
    kind = database.url.get_backend_name()
    required = (
        f"users: revision {books_1} of books still requires users:{users_1};"
        " first run: python -m migrations -n books downgrade base"
    )

    # The database has users.1 and books.1; users.2 is pending.
    before = database.schema(), database.rows()
    assert project.refused(*migrations, "-qn", "users", "downgrade", "base") == required
    assert project.refused(*alembic, "users", "downgrade", "base") == required
    assert (database.schema(), database.rows()) == before
    project.migrate()
    before = database.schema(), database.rows()
    line = (
        f"books: revision {users_2} of users still requires books:{books_1};"
        f" first run: python -m migrations -n users downgrade {users_1}"
    )
    assert project.refused(*migrations, "-qn", "books", "downgrade", "-1") == line
    assert project.refused(*alembic, "books", "downgrade", "base") == line
    assert (database.schema(), database.rows()) == before

    project.migrations("downgrade", "base")
    before = database.schema(), database.rows()
    run = "which is not applied; run ./migrate.sh"
    line = f"books: revision {books_1} requires users:{users_1}, {run}"
    assert project.refused("./migrate.sh", "books") == line
    assert project.refused(*alembic, "books", "upgrade", "head") == line
    assert project.refused(*migrations, "-qn", "books", "upgrade", "head") == line
    assert project.refused("./migrate.sh", "users").startswith(
        f"users: revision {users_2} requires"
    )
    assert (database.schema(), database.rows()) == before

    [books] = project.revisions("books")
    text = books.read_text()
    where = books.relative_to(project.path)
    for wrong in ("users:123456", "users:head", "gone:123456", users_1):
        books.write_text(text.replace(f"users:{users_1}", wrong))
        line = (
            f"books: revision {books_1} requires {wrong}, but there is no such revision;"
            f" correct `requires` in {where}"
        )
        assert project.refused("./migrate.sh") == line
        assert project.refused(*alembic, "books", "upgrade", "head") == line
    books.write_text(text.replace(f"users:{users_1}", f"users:{users_2}"))
    circle = [f"users:{users_2}", f"books:{books_1}"]
    lines = {
        f"{one} needs {other}, which needs {one}; remove one of these from `requires` in its"
        " revision"
        for one, other in (circle, circle[::-1])
    }
    assert project.refused("./migrate.sh") in lines
    assert (database.schema(), database.rows()) == before, kind
    books.write_text(text)
    project.migrate()
    books.write_text(text.replace(f"users:{users_1}", f"users:{users_2}"))
    assert project.run(*migrations, "check", status=1).stderr.strip() in lines
    books.write_text(text.replace(f"users:{users_1}", "users:123456"))
    assert "but there is no such revision" in project.run(*migrations, "check", status=1).stderr


TEAM = """

class Team(Base):
    __tablename__ = "users_teams"
    id = sa.Column(sa.Integer, primary_key=True)
"""
GROUP = """

class Group(Base):
    __tablename__ = "users_groups"
    id = sa.Column(sa.Integer, primary_key=True)
    code = sa.Column(sa.String(9), unique=True)
    other = sa.Column(sa.Integer)
"""
TO_TEAM = '    team_id = sa.Column(sa.ForeignKey("users_teams.id"))\n'
TO_GROUP = '    group_{0} = sa.Column(sa.ForeignKey("users_groups.{0}"))\n'


def test_drop_and_rename_what_old_revisions_refer_to(tmp_path: Path, database: Database) -> None:
    project = bake(tmp_path, database=database.url.get_backend_name())
    project.environment["DATABASE_URL"] = database.text
    write_models(
        project, {"users": USER + TEAM + GROUP, "books": BOOK + TO_TEAM + TO_GROUP.format("code")}
    )
    project.generate()
    project.migrate()

    write_models(project, {"users": USER + TEAM + GROUP + "    name = sa.Column(sa.Integer)\n"})
    assert "requires" not in project.revise("users").read_text()  # it adds something
    project.migrate()

    group = GROUP.replace("    other = sa.Column(sa.Integer)\n", "")
    write_models(project, {"users": USER + TEAM + group})
    assert "requires" not in project.revise("users").read_text()  # nobody refers to that
    project.migrate()
    write_models(project, {"books": BOOK + TO_TEAM + TO_GROUP.format("id")})
    changed = project.revise("books")
    project.migrate()
    group = group.replace("    code = sa.Column(sa.String(9), unique=True)\n", "")
    write_models(project, {"users": USER + TEAM + group})
    assert line_of(project.revise("users"), "requires") == f'("books:{id_of(changed)}",)'
    project.migrate()

    renamed = group.replace("users_groups", "users_bands")
    to_renamed = TO_GROUP.format("id").replace("users_groups", "users_bands")
    write_models(project, {"users": USER + TEAM + renamed, "books": BOOK + TO_TEAM + to_renamed})
    circle = r"(users|books) needs (users|books), which needs \1; generate one of them first, .*"
    assert re.match(circle, project.refused("./generate.sh"))
    revision = project.revise("users")
    assert line_of(revision, "requires") == f'("books:{id_of(changed)}",)'
    text = re.sub(r"(?s)def upgrade.*", "", revision.read_text())
    text += "def upgrade() -> None:\n    op.rename_table('users_groups', 'users_bands')\n"
    text += "def downgrade() -> None:\n    op.rename_table('users_bands', 'users_groups')\n"
    revision.write_text(text)
    project.migrate()
    assert project.generate() == "users  no changes\nbooks  no changes\n"

    write_models(project, {"users": USER + renamed, "books": BOOK + to_renamed})
    before = project.revisions("books")
    said = project.generate()
    assert [line.split()[0] for line in said.splitlines() if " wrote " in line] == [
        "books",
        "users",
    ]
    [second] = set(project.revisions("books")) - set(before)
    [dropping] = project.package.glob("users/migrations/*drop_users_teams.py")
    assert line_of(dropping, "requires") == f'("books:{id_of(second)}",)'
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"

    with new_database(database.url.get_backend_name(), tmp_path) as new:
        project.environment["DATABASE_URL"] = new.text
        project.migrate()
        assert new.schema() == database.schema()
        project.migrations("downgrade", "base")
        assert new.tables() == {"alembic_version_users", "alembic_version_books"}


CARD = """

class Card(Base):
    __tablename__ = "cards"
    id = sa.Column(sa.Integer, primary_key=True)
"""


def test_a_model_moves_to_an_earlier_app_and_back(tmp_path: Path, database: Database) -> None:
    project = bake(tmp_path, database=database.url.get_backend_name())
    project.environment["DATABASE_URL"] = database.text
    write_models(project, {"users": USER, "books": BOOK + CARD})
    project.set_ini("books", "tables", "books, cards")
    project.generate()
    project.migrate()
    [books] = project.revisions("books")

    def move(to: str, columns: str) -> Path:
        models = {"users": USER, "books": BOOK}
        models[to] += CARD + columns
        write_models(project, models)
        project.set_ini("users", "tables", "users, cards" if to == "users" else "users")
        project.set_ini("books", "tables", "books, cards" if to == "books" else "books")
        revision = project.revise(to)
        project.migrate()
        assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
        if database.url.get_backend_name() == "sqlite":
            assert "8 passed" in project.run("make", "test").stdout
        return revision

    first = move("users", "    one = sa.Column(sa.Integer)\n")
    assert line_of(first, "requires") == f'("books:{id_of(books)}",)'
    second = move("books", "    one = sa.Column(sa.Integer)\n    two = sa.Column(sa.Integer)\n")
    assert line_of(second, "requires") == f'("users:{id_of(first)}",)'
    assert new_schema(project, database, tmp_path) == database.schema()


def test_squash_and_remove_heed_requirements(tmp_path: Path, database: Database) -> None:
    project = bake(tmp_path, database=database.url.get_backend_name())
    project.environment["DATABASE_URL"] = database.text
    migrations = ("python", "-m", "migrations")
    name = "    name = sa.Column(sa.String(9))\n"
    write_models(project, {"users": USER, "books": BOOK + AUTHOR})
    project.generate()
    project.migrate()
    write_models(project, {"users": USER + name, "books": BOOK + AUTHOR + name})
    project.generate()
    project.migrate()

    project.migrations("squash", "users", "--yes")
    assert new_schema(project, database, tmp_path) == database.schema()
    project.migrations("squash", "books", "--yes")
    [users], [books] = project.revisions("users"), project.revisions("books")
    assert line_of(books, "requires") == f'("users:{id_of(users)}",)'
    assert new_schema(project, database, tmp_path) == database.schema()

    write_models(project, {"users": USER + name + FAVOURITE})
    assert line_of(project.revise("users"), "requires") == f'("books:{id_of(books)}",)'
    project.migrate()
    before = database.schema(), database.rows(), tree(project.package)
    for apps in ["users"], ["users", "books"]:
        line = project.run(*migrations, "squash", "--yes", *apps, status=1).stderr
        assert re.match(r"\S+: its first .*: \S+ needs \S+, which needs \S+; remove one", line)
        assert line.count("\n") == 1
    assert (database.schema(), database.rows(), tree(project.package)) == before

    write_models(project, {"users": USER + name, "books": BOOK + name})
    project.generate()
    project.migrate()
    assert project.refused(*migrations, "remove", "users", "--yes").startswith(
        f"users: revision {id_of(books)} of books requires users:{id_of(users)};"
        " first remove that from `requires` in src/my_project/books/"
    )


def new_schema(project: Project, database: Database, folder: Path) -> dict[str, list[str]]:
    """What a new database consists of."""
    with new_database(database.url.get_backend_name(), folder) as new:
        project.run("./migrate.sh", env={"DATABASE_URL": new.text})
        return new.schema()


def test_refer_to_a_model_that_moved_to_a_later_app(project: Project) -> None:
    to_card = '    card_id = sa.Column(sa.ForeignKey("cards.id"))\n'
    write_models(project, {"users": USER + CARD, "books": BOOK + to_card})
    project.set_ini("users", "tables", "users, cards")
    project.generate()
    project.migrate()
    project.run("./add_app.sh", "shelf")
    write_models(project, {"users": USER, "shelf": CARD + "    one = sa.Column(sa.Integer)\n"})
    project.set_ini("shelf", "tables", "cards")
    revision = project.revise("shelf")
    assert "users:" in line_of(revision, "requires")
    project.migrate()
    assert project.migrations("check").count("no changes") == 3
