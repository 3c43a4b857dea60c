"""Apps whose models share one MetaData, as SQLModel's do: `tables` says which has which."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from project import Project, bake
from servers import Database

SQLALCHEMY = {
    "base.py": """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

from my_project.naming import NAMING_CONVENTION


class Base(DeclarativeBase):
    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)
""",
    "users/models.py": """
import sqlalchemy as sa
from my_project.base import Base


class User(Base):
    __tablename__ = "users"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50), nullable=False)


class Profile(Base):
    __tablename__ = "user_profiles"
    id = sa.Column(sa.Integer, primary_key=True)
    user_id = sa.Column(sa.ForeignKey("users.id"))
""",
    "books/models/__init__.py": "from my_project.base import Base",
    "books/models/authors.py": """
import sqlalchemy as sa
from my_project.base import Base


class Author(Base):
    __tablename__ = "authors"
    id = sa.Column(sa.Integer, primary_key=True)
    user_id = sa.Column(sa.ForeignKey("users.id"), index=True)
""",
    "books/models/shelves/__init__.py": "",
    "books/models/shelves/books.py": """
import sqlalchemy as sa
from my_project.base import Base


class Book(Base):
    __tablename__ = "books"
    id = sa.Column(sa.Integer, primary_key=True)
""",
}
SQLMODEL = {
    "base.py": "from sqlmodel import SQLModel as Base",
    "users/models.py": """
from my_project.base import Base
from sqlmodel import Field


class User(Base, table=True):
    __tablename__ = "users"
    id: int | None = Field(primary_key=True)
    name: str = Field(max_length=50)


class Profile(Base, table=True):
    __tablename__ = "user_profiles"
    id: int | None = Field(primary_key=True)
    user_id: int = Field(foreign_key="users.id")
""",
    "books/models/__init__.py": "from my_project.base import Base",
    "books/models/authors.py": """
from my_project.base import Base
from sqlmodel import Field


class Author(Base, table=True):
    __tablename__ = "authors"
    id: int | None = Field(primary_key=True)
    user_id: int = Field(foreign_key="users.id", index=True)
""",
    "books/models/shelves/__init__.py": "",
    "books/models/shelves/books.py": """
from my_project.base import Base
from sqlmodel import Field


class Book(Base, table=True):
    __tablename__ = "books"
    id: int | None = Field(primary_key=True)
""",
}


def write_models(project: Project, files: Mapping[str, str]) -> None:
    """Put other models into a project's package."""
    (project.package / "books" / "models.py").unlink()
    for name, text in files.items():
        path = project.package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def tables_of(revision: Path, operation: str) -> list[str]:
    """The tables that a revision creates or drops when it is applied."""
    upgrade = revision.read_text().partition("def downgrade")[0]
    return re.findall(rf'op\.{operation}_table\(\s*"(\w+)"', upgrade)


@pytest.mark.parametrize("models", [SQLALCHEMY, SQLMODEL], ids=["sqlalchemy", "sqlmodel"])
def test_one_base_for_all(tmp_path: Path, database: Database, models: dict[str, str]) -> None:
    project = bake(tmp_path)
    project.environment["DATABASE_URL"] = database.text
    write_models(project, models)
    project.set_ini("users", "tables", "users user_*")
    project.set_ini("books", "tables", "books, author?")
    project.generate()
    [users], [books] = project.revisions("users"), project.revisions("books")
    assert tables_of(users, "create") == ["users", "user_profiles"]
    assert sorted(tables_of(books, "create")) == ["authors", "books"]
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"

    (project.package / "books/models/authors.py").unlink()
    assert project.generate("users") == "users  no changes\n"
    revision = project.revise("books")
    assert tables_of(revision, "drop") == ["authors"]
    assert tables_of(revision, "create") == []
    assert revision.read_text().count("drop_") == 1
    project.migrate()
    project.migrations("downgrade", "base")
    assert database.tables() == {"alembic_version_users", "alembic_version_books"}


def test_a_table_of_two_apps_or_of_none(project: Project) -> None:
    write_models(project, SQLALCHEMY)
    both = "users: both users and books have the table users; set `tables` in their sections"
    assert project.refused("./generate.sh").startswith(both)
    project.set_ini("users", "tables", "users")
    assert project.refused("./generate.sh").startswith(both)
    project.set_ini("books", "tables", "authors")
    none = "users: no section of alembic.ini has the table user_profiles of my_project.users.models"
    assert project.refused("./generate.sh").startswith(none)
    assert project.refused("python", "-m", "migrations", "-n", "users", "check").startswith(none)
    plain = project.run("alembic", "--name", "users", "check", status=255).stderr
    assert "add its name to `tables` in one of them" in plain
    project.set_ini("users", "tables", "user*")
    assert "no section of alembic.ini has the table books" in project.refused("./generate.sh")
    assert project.revisions("users") == project.revisions("books") == []


def test_apps_that_refer_to_each_other(project: Project) -> None:
    write_models(project, SQLALCHEMY)
    users = project.models("users")
    before = users.read_text()
    users.write_text(before + '    author_id = sa.Column(sa.ForeignKey("authors.id"))\n')
    project.set_ini("users", "tables", "user*")
    project.set_ini("books", "tables", "books author?")
    line = project.refused("./generate.sh")
    assert re.fullmatch(
        r"(users|books) needs (users|books), which needs \1;"
        r" generate one of them first, without what needs the others",
        line,
    )
    assert project.revisions("users") == project.revisions("books") == []
    users.write_text(before)
    project.generate()
    project.migrate()
    users.write_text(before + '    author_id = sa.Column(sa.ForeignKey("authors.id"))\n')
    assert "requires" in project.revise("users").read_text()
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"


IN_ANOTHER_APP = """

from my_project.users.models import Base as UsersBase, User

marks = sa.Table("user_marks", UsersBase.metadata, sa.Column("user_id", sa.ForeignKey(User.id)))


class Author(User):
    __tablename__ = "authors"
    id = sa.Column(sa.ForeignKey(User.id), primary_key=True)
"""


def test_tables_that_the_module_of_another_app_defines(tmp_path: Path) -> None:
    project = bake(tmp_path)
    with project.models("books").open("a") as file:
        file.write(IN_ANOTHER_APP)
    project.generate()
    [first] = project.revisions("users")
    assert sorted(tables_of(first, "create")) == ["authors", "user_marks", "users"]
    project.migrate()
    agreed = "users  no changes\nbooks  no changes\n"
    assert project.migrations("check") == agreed
    assert project.run("alembic", "--name", "users", "check").returncode == 0
    project.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    first.unlink()
    project.sqlite("DELETE FROM alembic_version_users")
    adopted = project.run("python", "-m", "migrations", "adopt", "--yes").stdout
    assert "_initial.py and stamped it" in adopted
    assert project.migrations("check") == agreed


def test_the_pattern_that_says_more_wins(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path)
    project.environment["DATABASE_URL"] = postgresql.text
    write_models(project, SQLALCHEMY)
    postgresql.query("CREATE SCHEMA shop")
    shelf = project.package / "books/models/shelves/books.py"
    shelf.write_text(shelf.read_text() + '    __table_args__ = {"schema": "shop"}\n')
    project.set_ini("users", "tables", "* book*")
    project.set_ini("books", "tables", "shop.* author?")
    project.generate()
    [users], [books] = project.revisions("users"), project.revisions("books")
    assert tables_of(users, "create") == ["users", "user_profiles"]
    assert sorted(tables_of(books, "create")) == ["authors", "books"]
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
    # What no model has belongs to the same app, whichever is asked.
    for table in ("old", "authorx", "shop.old"):
        postgresql.query(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY)")
    assert tables_of(project.revise("users"), "drop") == ["old"]
    project.migrate("users")
    assert sorted(tables_of(project.revise("books"), "drop")) == ["authorx", "old"]
    project.set_ini("users", "tables", "* shop.*")
    both = "users: both users and books have the table books; set `tables` in their sections"
    assert project.refused("./generate.sh", "users").startswith(both)
