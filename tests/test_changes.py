"""Every kind of change to models: generated, applied, taken back; on every database."""

import re
from pathlib import Path

import pytest

from project import NEWEST, OLDEST, bake
from servers import Database

MODELS = '''
"""The models of shop."""

import enum

from sqlalchemy import *
from sqlalchemy.orm import DeclarativeBase

from my_project.naming import NAMING_CONVENTION


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Author(Base):
    __tablename__ = "author"

    id = Column(Integer, Identity(), primary_key=True)
    number = Column(Integer)
    twice = Column(Integer, Computed("number * 2", persisted=True))


{}


class Player(Base):
    __tablename__ = "player"

    id = Column(Integer, primary_key=True)
    team_id = Column(ForeignKey("team.id", use_alter=True), index=True)


class Team(Base):
    __tablename__ = "team"

    id = Column(Integer, primary_key=True)
    captain_id = Column(ForeignKey(Player.id), index=True)


class Book(Base):
    """A table and its columns."""

    __tablename__ = "book"
    __table_args__ = ({})

    id = Column(Integer, primary_key=True)
    {}
'''

CLASSES = (
    """
class Color(enum.Enum):
    red = 1
    green = 2


class Shelf(Base):
    __tablename__ = "shelf"

    id = Column(Integer, primary_key=True)
    author_id = Column(ForeignKey(Author.id), index=True)
    color = Column(Enum(Color))


class Place(Base):
    __tablename__ = "place"

    id = Column(Integer, primary_key=True)
    shelf_id = Column(ForeignKey(Shelf.id))
""",
    """
class Color(enum.Enum):
    red = 1
    blue = 3
    green = 2


class Size(enum.Enum):
    big = 1


class Box(Base):
    __tablename__ = "box"

    id = Column(Integer, primary_key=True)
    author_id = Column(ForeignKey(Author.id), index=True)
    size = Column(Enum(Size))
""",
)

# Each line is a kind of change: before and after.
CONSTRAINTS = [
    ('CheckConstraint("number > 0", name="dropped")', ""),
    ("", 'CheckConstraint("number < 100", name="added")'),
    ("", 'CheckConstraint("needed % 2 = 1", name="odd")'),
    (
        'CheckConstraint("number > 1", name="changed")',
        'CheckConstraint("number > 2", name="changed")',
    ),
    ('UniqueConstraint("number", "text")', 'UniqueConstraint("text", "number")'),
    ('{"comment": "书 1"}', '{"comment": "书 2"}'),
]
COLUMNS = [
    ("", 'added = Column(String(9), nullable=False, server_default="x")'),
    ("dropped = Column(String(9), index=True)", ""),
    (
        "old_name = Column(String(9), nullable=False)",
        "new_name = Column(String(9), nullable=False)",
    ),
    ("longer = Column(String(50))", "longer = Column(String(200))"),
    ("precise = Column(Numeric(8, 2))", "precise = Column(Numeric(10, 3))"),
    ("needed = Column(Integer)", "needed = Column(Integer, nullable=False)"),
    ("optional = Column(Integer, nullable=False)", "optional = Column(Integer)"),
    (
        "flag = Column(Boolean, server_default=false())",
        "flag = Column(Boolean, server_default=true())",
    ),
    (
        'number = Column(Integer, server_default="7")',
        'number = Column(Integer, server_default="8")',
    ),
    (
        """text = Column(String(99), server_default="it's 5% 中:x", comment="it's")""",
        """text = Column(String(99), server_default="it's 6% 书:x", comment="it's 6%")""",
    ),
    (
        """json = Column(JSON, server_default='{"a":1}')""",
        """json = Column(JSON, server_default='{"a":2}')""",
    ),
    ("made = Column(DateTime, server_default=func.now())", "made = Column(DateTime)"),
    ("seen = Column(DateTime)", "seen = Column(DateTime, server_default=func.now())"),
    ("indexed = Column(Integer)", "indexed = Column(Integer, index=True)"),
    ("bare = Column(Integer, index=True)", "bare = Column(Integer)"),
    ("single = Column(Integer)", "single = Column(Integer, unique=True)"),
    ("several = Column(Integer, unique=True)", "several = Column(Integer)"),
    ("friend = Column(Integer)", "friend = Column(ForeignKey(Author.id, ondelete='CASCADE'))"),
    ("stranger = Column(ForeignKey(Author.id))", "stranger = Column(Integer)"),
    ("left = Column(ForeignKey(Author.id), index=True)", ""),
    ("boss = Column(ForeignKey(Author.id))", "boss = Column(ForeignKey(Author.id), index=True)"),
    ("heir = Column(ForeignKey(Author.id), index=True)", "heir = Column(ForeignKey(Author.id))"),
    ("twin = Column(ForeignKey(Author.id))", "twin = Column(ForeignKey(Author.id), unique=True)"),
    ("wife = Column(ForeignKey(Author.id), unique=True)", "wife = Column(ForeignKey(Author.id))"),
    (
        "pet = Column(ForeignKey(Author.id))",
        "pet = Column(ForeignKey(Author.id, ondelete='CASCADE'), index=True)",
    ),
    (
        'price = Column(Numeric(10, 2), server_default="1")',
        'price = Column(Numeric(10, 2), server_default="2")',
    ),
    (
        'since = Column(DateTime, server_default="2020-01-01")',
        'since = Column(DateTime, server_default="2021-01-01")',
    ),
    (
        'color = Column(Enum(Color), server_default="red")',
        'color = Column(Enum(Color), server_default="blue")',
    ),
    ('kept = Column(Boolean(create_constraint=True, name="kept"))',) * 2,
    ('checked = Column(Integer, CheckConstraint("checked > 0", name="checked"))',) * 2,
    ("same = Column(Float, server_default='1.5', nullable=False)",) * 2,
    ("""always = Column(JSON, server_default='{"a":1}')""",) * 2,
    ('blank = Column(String(9), server_default="", nullable=False)',) * 2,
    (
        """path = Column(String(9), server_default="a\\\\b:c'5%")""",
        """path = Column(String(9), server_default="a\\\\c")""",
    ),
    ("""lines = Column(String(9), server_default="a\\nb")""",) * 2,
]


def models(after: bool) -> str:
    """The models before or after all the changes."""
    constraints = ", ".join(filter(None, (pair[after] for pair in CONSTRAINTS)))
    columns = "\n    ".join(pair[after] for pair in COLUMNS)
    return MODELS.format(CLASSES[after], constraints, columns)


def rename_by_hand(revision: Path, old: str, new: str) -> None:
    """Make one renaming of what was generated as a column more and a column less."""
    text = revision.read_text()
    for before, after in ((old, new), (new, old)):
        rename = (
            f'batch_op.alter_column("{before}", new_column_name="{after}",'
            " existing_type=sa.String(9), existing_nullable=False)\n"
        )
        column = rf"batch_op\.add_column\(\s*sa\.Column\(.{after}.*\)\s*\)\n"
        text, added = re.subn(column, rename, text)
        text, dropped = re.subn(rf"batch_op\.drop_column\(.{before}.\)\n", "\n", text)
        assert added == dropped == 1
    revision.write_text(text)


@pytest.mark.parametrize("venv", [NEWEST, OLDEST], ids=["newest", "oldest"])
def test_every_kind_of_change(tmp_path: Path, database: Database, venv: Path) -> None:
    kind = database.url.get_backend_name()
    project = bake(tmp_path, apps="shop", database=kind)
    project.environment["DATABASE_URL"] = database.text
    project.venv = venv
    project.models("shop").write_text(models(after=False))
    project.revise("shop")
    project.migrate()
    assert project.migrations("check") == "shop  no changes\n"
    before = database.schema()
    assert "ck_book_changed" in str(before)
    database.query("INSERT INTO author (id) VALUES (1)")
    database.query("INSERT INTO book (id, old_name, optional, needed) VALUES (1, 'Ulysses', 1, 1)")

    project.models("shop").write_text(models(after=True))
    revision = project.revise("shop")
    rename_by_hand(revision, "old_name", "new_name")
    project.migrate()
    assert project.migrations("check") == "shop  no changes\n"
    after = database.schema()
    assert database.query("SELECT new_name, added FROM book") == [("Ulysses", "x")]

    project.migrations("downgrade", "-1")
    # PostgreSQL cannot remove a label from an enum type.
    assert {
        name: [re.sub(r"'blue', ", "", text) for text in found] if kind == "postgresql" else found
        for name, found in database.schema().items()
    } == before
    assert database.query("SELECT old_name FROM book") == [("Ulysses",)]

    project.migrations("downgrade", "base")
    assert database.tables() == {"alembic_version_shop"}
    assert not database.schema().get("enums")
    project.migrate()
    assert database.schema() == after
    project.venv = NEWEST
    assert project.migrations("check") == "shop  no changes\n"


# What MySQL or MariaDB shows otherwise than it was written.
DEFAULTS = [
    'Numeric(10, 2), server_default="1"',
    'Numeric(10, 2), server_default="1.005"',
    'Float, server_default=text("0.10")',
    'Integer, server_default=text("(1 + 2)")',
    'Integer, server_default=text("NULL")',
    'DateTime, server_default="2020-01-01"',
    'Time, server_default="12:00"',
    'String(36), server_default=text("(uuid())")',
    """String(36), server_default=text("'5%'")""",
]


def test_defaults_that_mysql_rewrites(tmp_path: Path, mysql: Database) -> None:
    project = bake(tmp_path, apps="shop", database="mysql")
    project.environment["DATABASE_URL"] = mysql.text
    columns = [f"c{number} = Column({column})" for number, column in enumerate(DEFAULTS)]
    project.models("shop").write_text(MODELS.format("", "", "\n    ".join(columns)))
    project.generate()
    project.migrate()
    assert project.migrations("check") == "shop  no changes\n"
    project.models("shop").write_text(project.models("shop").read_text().replace("uuid", "rand"))
    assert "differ: alter book c7;" in project.refused("python", "-m", "migrations", "check")
    # A user who may only read finds the same.
    with mysql.reader("Pa55") as url:
        environment = {"DATABASE_URL": Database(url).text}
        line = project.refused("python", "-m", "migrations", "check", env=environment)
        assert "differ: alter book c7;" in line


# What PostgreSQL shows otherwise than it was written, and whose values it cannot compare.
UNCOMPARABLE = [
    ("""JSON, server_default=text("'{}'::JSON")""", """JSON, server_default=text("'[]'")"""),
    ("""JSON, server_default=text("'{}'")""", 'JSON, server_default=text("json_build_array( )")'),
    ('String(36), server_default=text("MD5(random()::text)")',) * 2,
    ("""Integer, server_default=text("nextval('number')")""",) * 2,
    (
        """Enum("a", name="e"), server_default=text("'a'")""",
        """Enum("b", "a", name="e"), server_default=text("'b'")""",
    ),
    (
        """ARRAY(Enum("a", name="f")), server_default="{}\"""",
        """ARRAY(Enum("a", "b", name="f")), server_default="{b}\"""",
    ),
]


def test_defaults_that_postgresql_cannot_compare(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path, apps="shop", database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    postgresql.query("CREATE SEQUENCE number")
    for after in (False, True):
        kinds = enumerate(pair[after] for pair in UNCOMPARABLE)
        columns = "\n    ".join(f"c{number} = Column({kind})" for number, kind in kinds)
        project.models("shop").write_text(MODELS.format("", "", columns))
        project.revise("shop")
        project.migrate()
        assert project.migrations("check") == "shop  no changes\n"
    assert postgresql.query("SELECT nextval('number')") == [(1,)]
    postgresql.query("INSERT INTO book DEFAULT VALUES")
    assert postgresql.query("SELECT c0, c1, c3, c4, c5 FROM book") == [([], [], 2, "b", "{b}")]
    postgresql.query("DELETE FROM book")
    project.migrations("downgrade", "-1")
    project.migrate()
    assert project.migrations("check") == "shop  no changes\n"


TYPES = """
class Document(TypeDecorator):
    impl = JSONB
    cache_ok = True

    def load_dialect_impl(self, dialect):
        return JSONB() if dialect.name == "postgresql" else JSON()


class Encrypted(TypeDecorator):
    impl = String(99)
    cache_ok = True

    def __init__(self, key):
        super().__init__()
        self.key = key


class Odd(TypeDecorator):
    impl = Document
    cache_ok = True

    def __repr__(self):
        return "<Odd>"


class Point(UserDefined):
    cache_ok = True

    def __repr__(self):
        return "<Point>"

    def get_col_spec(self, **_):
        return "INTEGER"
"""


def test_types_within_types(tmp_path: Path, database: Database) -> None:
    project = bake(tmp_path, apps="shop", database=database.url.get_backend_name())
    project.environment["DATABASE_URL"] = database.text
    columns = """document = Column(Document)
    either = Column(JSON().with_variant(JSONB, "postgresql"))
    tags = Column(JSON().with_variant(ARRAY(String(9)), "postgresql"))
    secret = Column(Encrypted("key"))
    odd = Column(Odd)"""
    models = project.models("shop")
    models.write_text(MODELS.format(TYPES, "", columns))
    imports = """from sqlalchemy import *
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import UserDefinedType as UserDefined"""
    models.write_text(models.read_text().replace("from sqlalchemy import *", imports))
    project.generate()
    project.migrate()
    assert project.migrations("check") == "shop  no changes\n"
    with models.open("a") as file:
        file.write("    place = Column(Point)\n")
    assert project.refused("./generate.sh") == (
        "shop: Point has the repr <Point>; write one that creates the type"
    )
    assert len(project.revisions("shop")) == 1
