"""The keys of alembic.ini by which an app is compared with its database in another way."""

from pathlib import Path

from project import bake
from servers import Database

BEFORE = """
class Shelf(Base):
    __tablename__ = "{app}_shelf"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str | None] = orm.mapped_column(sa.String(9), server_default="a")
    size: orm.Mapped[str | None] = orm.mapped_column(sa.String(9))
    number: orm.Mapped[int | None]
    team: orm.Mapped[int | None]
"""

AFTER = """
class Kind(Base):
    __tablename__ = "{app}_kind"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)

class Shelf(Base):
    __tablename__ = "{app}_shelf"
    __table_args__ = (
        sa.CheckConstraint("number > 0", name="hidden_check"),
        sa.CheckConstraint("number < 9", name="seen_check"),
        sa.Index("hidden_index", "number"),
        sa.Index("seen_index_{app}", "number"),
        sa.UniqueConstraint("number", name="hidden_unique"),
    )
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str | None] = orm.mapped_column(sa.String(9), server_default="b")
    size: orm.Mapped[str | None] = orm.mapped_column(sa.String(99))
    number: orm.Mapped[int | None]
    team: orm.Mapped[int | None] = orm.mapped_column(
        sa.ForeignKey("{app}_team.id", name="hidden_key")
    )
    hidden_column: orm.Mapped[int | None]
    seen_column: orm.Mapped[int | None]

class Team(Base):
    __tablename__ = "{app}_team"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
"""

FILTER = """
def shows(item, name, kind, reflected, compare_to):
    return not str(name).startswith(("hidden_", "ck_books_shelf_hidden_")) and name != "books_kind"
"""


def test_what_is_not_compared(tmp_path: Path, database: Database) -> None:
    project = bake(tmp_path, apps="users, books, shop", database=database.url.get_backend_name())
    project.environment["DATABASE_URL"] = database.text
    header = project.models("users").read_text().partition("\n\nclass User(")[0]
    for app in ("users", "books", "shop"):
        project.models(app).write_text(header + BEFORE.format(app=app))
    project.generate()
    project.migrate()
    for app in ("users", "books", "shop"):
        project.models(app).write_text(header + AFTER.format(app=app))
    (project.package / "books" / "filter.py").write_text(FILTER)
    project.set_ini("books", "include_object", "my_project.books.filter:nosuch")
    line = project.refused("./generate.sh", "books")
    assert "books: cannot import my_project.books.filter:nosuch: module" in line
    assert "has no attribute 'nosuch'; correct include_object in [books] of alembic.ini" in line
    project.set_ini("books", "include_object", "my_project.nosuch:shows")
    line = project.refused("./generate.sh", "books")
    assert "No module named 'my_project.nosuch'; correct include_object in [books]" in line
    project.set_ini("books", "include_object", "my_project.books.filter:shows")
    project.set_ini("users", "compare_type", "no")
    project.set_ini("shop", "compare_server_default", "false")
    project.generate()
    texts = [
        file.read_text() for app in ("users", "books", "shop") for file in project.revisions(app)
    ]
    newest = [text for text in texts if "Revises: nothing" not in text]
    users, books, shop = (" ".join(text.split()) for text in newest)
    assert " server_default=" in users
    assert " type_=sa." not in users
    assert " server_default=" not in shop
    assert " type_=sa." in shop
    for name in ("hidden_check", "hidden_index", "hidden_unique", "hidden_key", "hidden_column"):
        assert name in users
        assert name not in books
    assert "books_kind" not in books
    assert "seen_check" in books
    assert "seen_index_books" in books
    assert "seen_column" in books


def test_tests_of_a_package_are_not_imported(tmp_path: Path) -> None:
    project = bake(tmp_path, apps="users")
    package = project.package / "users"
    project.set_ini("users", "metadata", "my_project.users:models.Base.metadata")
    init = package / "__init__.py"
    init.write_text("from my_project.users import models\n")
    for name in ("tests", "admin"):
        (package / name).mkdir()
        (package / name / "__init__.py").write_text("import nosuch\n")
    for name in ("test_models", "conftest", "seed_demo"):
        (package / f"{name}.py").write_text("import nosuch\n")
    line = project.refused("./generate.sh")
    assert line.startswith("users: cannot import my_project.users.admin: ")
    project.set_ini("users", "exclude_modules", "admin, my_project.users.seed_*")
    assert "create users" in project.generate()
