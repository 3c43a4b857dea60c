"""Enum types of PostgreSQL: an app's own get labels, and strangers' stay as they are."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import inspect
from sqlalchemy.dialects.postgresql.base import PGInspector

from project import Project, bake
from servers import Database, new_database

MODELS = '''
"""The models of shop."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, ENUM
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """What they have in common."""


class Mood(sa.TypeDecorator):
    """An enum that converts its values."""

    impl = sa.Enum
    cache_ok = True


class Book(Base):
    """A row of the table books."""

    __tablename__ = "books"

    id = sa.Column(sa.Integer, primary_key=True)
    {}
'''


@pytest.fixture
def shop(tmp_path: Path, postgresql: Database) -> Project:
    """A project with one app, shop, which has no columns yet."""
    project = bake(tmp_path, apps="shop", database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    return project


def migrate(project: Project, *columns: str) -> str:
    """Give the model other columns, migrate, check that nothing is left; return the new file."""
    project.models("shop").write_text(MODELS.format("\n    ".join(columns)))
    revision = project.revise("shop")
    project.migrate()
    assert project.migrations("check") == "shop  no changes\n"
    return revision.read_text()


def types(database: Database) -> dict[str, list[str]]:
    """The enum types of a database and their values."""
    with database.engine() as engine:
        inspector = inspect(engine)
        assert isinstance(inspector, PGInspector)
        return {enum["name"]: enum["labels"] for enum in inspector.get_enums("*")}


LABELS = '"red", "green"'
MOODS = '"good", "bad"'


def test_own_types_follow_the_models(shop: Project, postgresql: Database) -> None:
    color_type = 'sa.Enum({}, name="ColorEnum", schema="Odd")'
    color = f'color = sa.Column({color_type}, server_default="{{}}")'.format
    moods = 'moods = sa.Column(ARRAY(sa.Enum({}, name="mood", create_constraint=False)))'.format

    postgresql.query('CREATE SCHEMA "Odd"')
    migrate(shop, color(LABELS, "green"), moods(MOODS))
    # a new value that becomes the default at once, and what SQL has to quote
    labels = '"first", "red", "it\'s 5%:x", "green"'
    code = migrate(shop, color(labels, "it's 5%:x"), moods(MOODS))
    assert code.count("ADD VALUE IF NOT EXISTS") == 2
    added = {"ColorEnum": ["first", "red", "it's 5%:x", "green"], "mood": ["good", "bad"]}
    assert types(postgresql) == added
    postgresql.query("INSERT INTO books DEFAULT VALUES")
    assert postgresql.query("SELECT color, moods FROM books") == [("it's 5%:x", None)]
    postgresql.query("DELETE FROM books")
    code = migrate(shop, color(labels, "red"))
    assert code.count('sa.Enum("good", "bad", name="mood").drop(') == 1

    # A downgrade keeps the labels, and a revision that has gone does not count.
    shop.migrations("downgrade", "-2")
    assert types(postgresql) == added
    for file in shop.revisions("shop"):
        if "Revises: nothing" not in file.read_text():
            file.unlink()
    models = shop.models("shop")
    first = f"{color(LABELS, 'green')}\n    {moods(MOODS)}"
    models.write_text(MODELS.format(first))
    assert shop.migrations("check") == "shop  no changes\n"
    shop.migrations("downgrade", "base")
    assert types(postgresql) == {}
    shop.migrate()
    assert types(postgresql) == {"ColorEnum": ["red", "green"], "mood": ["good", "bad"]}

    # A label less is refused, until it is renamed.
    models.write_text(MODELS.format(first.replace('"red"', '"lime"')))
    for command in (("./generate.sh",), ("python", "-m", "migrations", "check")):
        assert shop.refused(*command) == (
            "shop: its enum type ColorEnum has no red in the models; keep what rows may hold, or"
            " rename it: ALTER TYPE ColorEnum RENAME VALUE ... TO ..."
        )
    before = {*shop.revisions("shop")}
    shop.run("alembic", "--name", "shop", "revision")
    [revision] = {*shop.revisions("shop")} - before
    renaming = """op.execute("ALTER TYPE \\"Odd\\".\\"ColorEnum\\" RENAME VALUE 'red' TO 'lime'")"""
    revision.write_text(revision.read_text().replace("pass", renaming, 1))
    shop.migrate()
    assert shop.migrations("check") == "shop  no changes\n"


def test_types_that_are_decorated(shop: Project, postgresql: Database) -> None:
    migrate(shop, 'mood = sa.Column(Mood("good", "bad", name="mood"))')
    column = 'mood = sa.Column(Mood("good", "new", "bad", name="mood"), server_default="new")'
    migrate(shop, column, 'moods = sa.Column(ARRAY(Mood("good", "new", "bad", name="mood")))')
    assert types(postgresql) == {"mood": ["good", "new", "bad"]}
    shop.migrations("downgrade", "base")
    assert types(postgresql) == {}
    shop.migrate()
    assert types(postgresql) == {"mood": ["good", "new", "bad"]}


def test_types_of_strangers_stay_as_they_are(shop: Project, postgresql: Database) -> None:
    postgresql.query("CREATE TYPE mood AS ENUM ('good')")
    own = 'mood = sa.Column(sa.Enum("happy", name="mood"))'
    shop.models("shop").write_text(MODELS.format(own))
    assert shop.refused("./generate.sh") == (
        "shop: its enum type mood has other values in another program;"
        " give it another name: Enum(..., name=...)"
    )
    theirs = 'mood = sa.Column(ENUM("good", name="mood", create_type=False))'
    migrate(shop, theirs)
    postgresql.query("ALTER TYPE mood ADD VALUE 'bad'")
    assert shop.migrations("check") == "shop  no changes\n"
    assert ".drop(op.get_bind())" not in migrate(shop)
    shop.migrations("downgrade", "base")
    assert types(postgresql) == {"mood": ["good", "bad"]}


def test_two_apps_with_one_type(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path, database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    for app in ("users", "books"):
        project.add_column(app, "color", 'sa.Enum("red", "green", name="color")')
    project.generate()
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
    project.remove_line(project.models("books"), "color")
    assert "drop(" not in project.revise("books").read_text().partition("def downgrade")[0]
    project.add_column("books", "color", 'sa.Enum("blue", name="color")')
    project.migrate()
    assert project.refused("./generate.sh").startswith(
        "books: its enum type color has other values in users"
    )


@pytest.fixture
def sharing(tmp_path: Path, postgresql: Database) -> Project:
    """A project with two apps whose tables have columns of one type."""
    project = bake(tmp_path, database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    set_roles(project, "a")
    project.generate()
    project.migrate()
    return project


def set_roles(project: Project, *labels: str) -> None:
    """Give both apps a column of the type and one of arrays, instead of those they have."""
    role = f'sa.Enum({", ".join(map(repr, labels))}, name="Role")'
    for app in ("users", "books"):
        path = project.models(app)
        path.write_text(path.read_text().partition("    role")[0])
        project.add_column(app, "role", f"{role}, server_default={labels[0]!r}")
        project.add_column(app, "roles", f"sa.ARRAY({role})")


def check_both(project: Project, postgresql: Database) -> None:
    """Check that nothing is left to do, here and in a new database."""
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
    with new_database(postgresql.kind) as other:
        elsewhere = replace(project, environment={"DATABASE_URL": other.text})
        elsewhere.migrate()
        assert other.schema() == postgresql.schema()
        elsewhere.migrations("downgrade", "base")
        assert types(other) == {}


def test_a_type_of_two_apps_gets_labels(sharing: Project, postgresql: Database) -> None:
    set_roles(sharing, "a", "b")
    sharing.revise("users")
    sharing.migrate()
    check_both(sharing, postgresql)
    assert types(postgresql) == {"Role": ["a", "b"]}


def test_a_type_that_two_apps_give_up_stays(sharing: Project, postgresql: Database) -> None:
    for app in ("users", "books"):
        sharing.remove_line(sharing.models(app), "role")
    assert "type_role" not in sharing.generate()
    sharing.migrate()
    check_both(sharing, postgresql)
    assert types(postgresql) == {"Role": ["a"]}
    # but not for longer than the revisions of books refer to it
    sharing.migrations("squash", "--yes", "books")
    assert "drop_type_role" in sharing.generate()
    sharing.migrate()
    check_both(sharing, postgresql)
    assert types(postgresql) == {}


def test_a_label_of_a_failed_revision_gets_another(shop: Project, postgresql: Database) -> None:
    color = 'color = sa.Column(sa.Enum({}, name="color"))'.format
    migrate(shop, color('"red"'))
    mood = 'a_mood = sa.Column(sa.Enum("good", "bad", name="mood"))'
    columns = f"{mood}\n    " + color('"it\'s: 5%", "red"')
    shop.models("shop").write_text(MODELS.format(columns))
    revision = shop.revise("shop")
    text = revision.read_text()
    failing = '\n    op.execute("nonsense")\n\n\ndef downgrade'
    revision.write_text(text.replace("\n\n\ndef downgrade", failing))
    assert "nonsense" in shop.refused("./migrate.sh")
    # all is undone but for the label
    assert types(postgresql) == {"color": ["it's: 5%", "red"]}
    revision.unlink()
    again = shop.revise("shop").read_text()
    assert again.partition("def")[2] == text.partition("def")[2]
    shop.migrate()
    assert shop.migrations("check") == "shop  no changes\n"
    shop.migrations("downgrade", "-1")
    assert types(postgresql) == {"color": ["it's: 5%", "red"]}


REVIEW = """

class Review(Base):
    __tablename__ = "reviews"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    state: orm.Mapped[str] = orm.mapped_column(sa.Enum({}, name="review_state"))
"""


def test_a_type_changes_in_the_app_to_which_its_model_moved(
    tmp_path: Path, postgresql: Database
) -> None:
    project = bake(tmp_path, database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    users, books = project.models("users"), project.models("books")
    before = users.read_text(), books.read_text()
    users.write_text(before[0] + REVIEW.format('"new"'))
    project.generate()
    project.migrate()
    users.write_text(before[0])
    books.write_text(before[1] + REVIEW.format('"new", "old"'))
    project.revise("books")
    project.migrate()
    assert types(postgresql) == {"review_state": ["new", "old"]}
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
