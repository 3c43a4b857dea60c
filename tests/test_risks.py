"""What generate warns of, and that what it advises works."""

from pathlib import Path

from project import Project
from servers import Database

BEFORE = """

class Account(Base):
    __tablename__ = "account"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    login: orm.Mapped[str] = orm.mapped_column(sa.String(50))
    label: orm.Mapped[str] = orm.mapped_column(sa.String(50))
    notes: orm.Mapped[str | None] = orm.mapped_column(sa.String(50))
    code: orm.Mapped[str] = orm.mapped_column(sa.String(50))


class Old(Base):
    __tablename__ = "old"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
"""
AFTER = """

class Account(Base):
    __tablename__ = "account"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    user_name: orm.Mapped[str] = orm.mapped_column(sa.String(50))
    label: orm.Mapped[str] = orm.mapped_column(sa.String(80), index=True)
    notes: orm.Mapped[str] = orm.mapped_column(sa.String(50))
    code: orm.Mapped[str] = orm.mapped_column(sa.String(5))
"""
RISKS = {
    "all": [
        "drops the table old and its rows; first deploy code that does not use it",
        "drops account.login and its data; if it was renamed,"
        ' write alter_column("login", new_column_name="user_name") instead',
    ],
    "sqlite": [
        "account.user_name is NOT NULL without server_default, which fails on old rows;"
        " add it nullable, fill it, then alter it",
        "account.notes becomes NOT NULL, which fails on NULLs; first fill them",
    ],
    "mysql": [
        "account.user_name is NOT NULL without server_default, which gives old rows '' or 0;"
        " add it nullable, fill it, then alter it",
        "account.notes becomes NOT NULL, which fails on NULLs; first fill them",
    ],
    "postgresql": [
        "account.user_name is NOT NULL without server_default, which fails on old rows;"
        " add it nullable, fill it, then alter it",
        "account.notes becomes NOT NULL, which fails on NULLs and reads the whole table under"
        " a lock; first fill them",
        "building ix_account_label locks out writers; on a big table, create it with"
        " postgresql_concurrently=True inside op.get_context().autocommit_block()",
    ],
}
TYPE = (
    "account.code changes its type, which may cut or refuse values and locks the table;"
    " a new column, filled in batches, is safer"
)


def append(path: Path, text: str) -> None:
    """Write a text at the end of a file."""
    with path.open("a") as file:
        file.write(text)


def test_generate_warns_of_what_may_lose_or_lock(project: Project, database: Database) -> None:
    project.environment["DATABASE_URL"] = database.text
    models = project.models("users")
    first = models.read_text()
    append(models, BEFORE)
    assert "warning" not in project.generate(), "new tables put nothing at risk"
    project.migrate()
    models.write_text(first + AFTER)

    lines = project.generate().splitlines()
    kind = database.url.get_backend_name()
    assert sorted(lines[2:-1]) == sorted(
        f"       warning: {risk}" for risk in [*RISKS["all"], *RISKS[kind], TYPE]
    )
    assert lines[-1] == "books  no changes"


def test_following_the_advice_keeps_the_data(project: Project, postgresql: Database) -> None:
    project.environment["DATABASE_URL"] = postgresql.text
    project.generate()
    project.migrate()
    postgresql.query("INSERT INTO users (name) VALUES ('Ada')")
    models = project.models("users")
    models.write_text(models.read_text().replace("    name:", "    full_name:"))
    append(models, "    age: orm.Mapped[int] = orm.mapped_column(index=True)\n")

    said = project.generate("users")
    assert 'write alter_column("name", new_column_name="...") instead' in said
    [revision] = project.package.glob("users/migrations/*_add_users_*.py")
    text = revision.read_text()
    start = text.index("    with op.batch_alter_table")
    revision.write_text(
        text[:start]
        + """\
    op.alter_column("users", "name", new_column_name="full_name")
    op.add_column("users", sa.Column("age", sa.Integer))
    op.execute("UPDATE users SET age = 36")
    op.alter_column("users", "age", nullable=False)
    with op.get_context().autocommit_block():
        op.create_index("ix_users_age", "users", ["age"], postgresql_concurrently=True)


def downgrade() -> None:
    raise NotImplementedError
"""
    )
    project.migrate()
    assert postgresql.query("SELECT full_name, age FROM users") == [("Ada", 36)]
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
