"""Names of constraints and schemas: whatever plain Alembic makes of them, so do these."""

from pathlib import Path

from project import Project, bake
from revisions import add_revision
from servers import Database

BASE = """
from sqlalchemy import *
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    metadata = MetaData({})


"""

CONVENTION = 'naming_convention={"uq": "uq_%(table_name)s_%(column_0_name)s"}'

USER = """
class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
"""

UNNAMED = """
op.create_table(
    "users",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("email", sa.String(50)),
    sa.UniqueConstraint("email"),
)
"""

BY_ITS_NAME = """
with op.batch_alter_table("users") as batch:
    batch.drop_constraint("uq_users_email", type_="unique")
    batch.drop_column("email")
"""


def models(project: Project, app: str, metadata: str, text: str) -> None:
    """Write the models of an app."""
    project.models(app).write_text(BASE.format(metadata) + text)


def test_operations_get_the_naming_convention(tmp_path: Path, database: Database) -> None:
    project = bake(tmp_path, apps="users")
    project.environment["DATABASE_URL"] = database.text
    models(project, "users", CONVENTION, USER)
    add_revision(project, "users", UNNAMED, 'op.drop_table("users")')
    add_revision(project, "users", BY_ITS_NAME)
    add_revision(project, "users", "op.execute('SELECT 1')")
    project.migrate()
    assert project.migrations("check") == "users  no changes\n"
    project.migrations("downgrade", "base")
    project.run("alembic", "--name", "users", "upgrade", "users_2")
    # Only operations need the models.
    project.models("users").write_text("1 / 0")
    project.migrate()


def test_what_autogenerate_wrote_needs_no_models(project: Project) -> None:
    project.generate()
    project.add_column("users", "email", "sa.String(50), index=True")
    project.add_column("books", "reader_id", 'sa.ForeignKey("books.id")')
    models = [project.models("users"), project.models("books")]
    texts = [file.read_text() for file in models]
    project.migrate()
    project.generate()
    for file in models:
        file.write_text("1 / 0")
    project.migrate()
    project.migrations("downgrade", "base")
    project.migrate()
    for file, text in zip(models, texts, strict=True):
        file.write_text(text)
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"


MODELS_OF_USERS = """
class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    number = Column("no", Integer, key="number", unique=True)
    email = Column(String(50), unique=True)
    boss_id = Column(ForeignKey("{0}users.number", ondelete="CASCADE"))
    kind = Column(Enum("a", "b", name="kind"{1}))
    own_kind = Column(Enum("a", "b", name="own_kind"))
    flag = Column(Boolean(create_constraint=True, name="flag"))
"""

MODELS_OF_BOOKS = """
from my_project.users.models import User


class Book(Base):
    __tablename__ = "books"
    id = Column(Integer, primary_key=True)
    user_id = Column(ForeignKey(User.id, name="fk_user", {0}))
    next_id = Column(ForeignKey("books.id"))
"""


def agreed(project: Project) -> None:
    """Generate, migrate and check, also after a downgrade."""
    project.generate()
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
    project.migrations("downgrade", "base")
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"


def test_a_schema_of_the_metadata(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path)
    project.environment["DATABASE_URL"] = postgresql.text
    postgresql.query("CREATE SCHEMA auth")
    text = MODELS_OF_USERS.format("auth.", ', schema="public"')
    models(project, "users", f'schema="auth", {CONVENTION}', text)
    models(project, "books", "", MODELS_OF_BOOKS.format('ondelete="CASCADE"'))
    agreed(project)
    constraints = postgresql.schema("auth")["users unique_constraints"]
    assert len([it for it in constraints if "uq_users_" in it]) == 2
    # SQLAlchemy 2.0 leaves the other one there, too.
    assert "'name': 'kind'" in str(postgresql.schema("public")["enums"])


def test_models_that_name_the_default_schema(tmp_path: Path, database: Database) -> None:
    kind = database.url.get_backend_name()
    schema = {"sqlite": "main", "postgresql": "public"}.get(kind, str(database.url.database))
    project = bake(tmp_path)
    project.environment["DATABASE_URL"] = database.text
    text = MODELS_OF_USERS.format(f"{schema}.", "")
    models(project, "users", f"schema={schema!r}", text)
    # SQLite has no foreign keys to another schema, so SQLAlchemy leaves them out.
    named = f"schema={schema!r}" if kind == "sqlite" else ""
    models(project, "books", named, MODELS_OF_BOOKS.format('ondelete="CASCADE"'))
    agreed(project)
    # A key that does change, and models that no longer name it.
    models(project, "books", f"schema={schema!r}", MODELS_OF_BOOKS.format("onupdate='CASCADE'"))
    project.set_ini("books", "version_table_schema", schema)
    said = project.generate()
    assert "constraint" in said
    assert "users  no changes" in said
    project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
    models(project, "users", "", text.replace(f"{schema}.", ""))
    assert project.generate() == "users  no changes\nbooks  no changes\n"
