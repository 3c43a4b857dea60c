"""What SQLite cannot alter: a table is copied, and the copy has to have all that the table had."""

import re
from pathlib import Path

import pytest

from project import NEWEST, OLDEST, Project, bake
from revisions import add_revision

HEADER = """
from sqlalchemy import *
from sqlalchemy.orm import DeclarativeBase

class Base(DeclarativeBase):
    pass

class Team(Base):
    __tablename__ = "team"
    id = Column(Integer, primary_key=True)
"""

MODELS = """
class Member(Base):
    __tablename__ = "member"
    __table_args__ = (
        CheckConstraint("age < 200"),
        CheckConstraint("age < 300 AND title != ')'", name="named"),
        UniqueConstraint("nick", "age"),
        {"sqlite_autoincrement": True},
    )
    id = Column(Integer, primary_key=True)
    email = Column(String(50, collation="NOCASE"), unique=True, nullable=False)
    nick = Column(String(50), unique=True)
    title = Column(String(50), nullable=False, server_default="a:b")
    age = Column(Integer)
    twice = Column(Integer, Computed("age * 2", persisted=False))
    team = Column(ForeignKey("team.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"))

class Pet(Base):
    __tablename__ = "pet"
    id = Column(Integer, primary_key=True)
    name = Column(String, unique=True)

Index("ix_down", Member.nick.desc(), Member.age)
Index("ix_lower", func.lower(Member.nick), unique=True)
Index("ix_part", func.coalesce(Member.title, "x:y"), sqlite_where=Member.title > "w:x")
Index("by_hand", Member.email, unique=True, sqlite_where=Member.age > 1)
"""

CHANGES = {
    "50, collation": "70, collation",
    "age = Column(Integer)": 'age = Column(Integer, server_default="7")',
    "String(50), nullable": "String(60), nullable",
    "name = Column(String,": 'name = Column(String, server_default="Rex",',
    'Index("by_hand"': 'Index("ix_comes", func.upper(Member.title))\nIndex("by_hand"',
}

BY_HAND = """
DROP TABLE pet;
CREATE TABLE pet (id INTEGER PRIMARY KEY, /* , ( */
    name VARCHAR COLLATE NOCASE UNIQUE);
CREATE TABLE log (line TEXT);
CREATE VIEW ages AS SELECT nick, age FROM member;
CREATE TRIGGER tell AFTER INSERT ON member BEGIN
    INSERT INTO log VALUES (new.nick || ':a' || new.age); END;
DROP INDEX by_hand;
CREATE UNIQUE INDEX by_hand ON member (email COLLATE NOCASE) WHERE age > 1;
CREATE INDEX by_hand_too ON member (lower(email));
INSERT INTO team VALUES (1);
INSERT INTO pet VALUES (1, 'Tom');
INSERT INTO member (id, email, nick, age, team) VALUES (1, 'ann@x', 'ann', 3, 1);
INSERT INTO member (id, email, nick, age) VALUES (9, 'bob@x', 'bob', 4);
DELETE FROM member WHERE id = 9;
"""


def schema(project: Project) -> dict[object, list[str]]:
    """The SQL of all that the database has, each in sorted lines."""
    return {
        name: sorted(line.strip("\t ,").replace('"', "") for line in str(sql).splitlines())
        for name, sql in project.sqlite("SELECT name, sql FROM sqlite_schema WHERE sql != ''")
    }


def execute(project: Project, script: str) -> None:
    """Change the database behind the back of the project."""
    code = f"import sqlite3; sqlite3.connect('my_project.db').executescript({script!r})"
    project.run("python", "-c", code)


@pytest.mark.parametrize("venv", [NEWEST, OLDEST], ids=["newest", "oldest"])
def test_a_copy_keeps_what_the_table_had(tmp_path: Path, venv: Path) -> None:
    project = bake(tmp_path, apps="shop")
    project.venv = venv
    models = HEADER + MODELS
    project.models("shop").write_text(models)
    project.revise("shop")
    project.migrate()
    assert project.migrations("check") == "shop  no changes\n"
    created = schema(project)
    assert "CREATE UNIQUE INDEX ix_lower ON member (lower(nick))" in created["ix_lower"]
    execute(project, BY_HAND)
    before = schema(project)

    for old, new in CHANGES.items():
        assert old in models
        models = models.replace(old, new)
    project.models("shop").write_text(models)
    project.revise("shop")
    project.migrate()
    assert project.migrations("check") == "shop  no changes\n"
    after = schema(project)
    assert after["ix_comes"] == ["CREATE INDEX ix_comes ON member (upper(title))"]
    altered = {"age INTEGER": "age INTEGER DEFAULT '7'"}
    lines = [altered.get(line, line) for line in before["member"]]
    lines = [line.replace("VARCHAR(50) COLLATE", "VARCHAR(70) COLLATE") for line in lines]
    lines = [line.replace("VARCHAR(50) DEFAULT", "VARCHAR(60) DEFAULT") for line in lines]
    assert after["member"] == sorted(lines)
    assert "name VARCHAR COLLATE NOCASE DEFAULT 'Rex'" in after["pet"]
    assert "UNIQUE (name)" in after["pet"]
    for kept in ("ages", "tell", "by_hand", "by_hand_too", "ix_down", "ix_lower", "ix_part"):
        assert after[kept] == before[kept]
    with pytest.raises(AssertionError, match=r"UNIQUE constraint failed: member\.email"):
        execute(project, "INSERT INTO member (email) VALUES ('ANN@X')")
    execute(project, "INSERT INTO member (email, nick) VALUES ('cy@x', 'cy')")
    assert project.sqlite("SELECT id, age, twice FROM member") == [(1, 3, 6), (10, 7, 14)]
    assert project.sqlite("SELECT * FROM log") == [("ann:a3",), ("bob:a4",), ("cy:a7",)]
    assert project.sqlite("SELECT * FROM ages ORDER BY age") == [("ann", 3), ("cy", 7)]
    assert project.sqlite("SELECT * FROM pet") == [(1, "Tom")]

    project.migrations("downgrade", "-1")
    again = schema(project)
    assert again.keys() == before.keys()
    for name in before.keys() - {"pet"}:
        assert again[name] == before[name]
    project.migrate()
    assert schema(project) == after
    project.migrations("downgrade", "base")
    project.migrate()
    assert project.migrations("check") == "shop  no changes\n"


def test_a_copy_with_another_name_for_a_column(project: Project) -> None:
    add_revision(
        project,
        "users",
        """
        op.execute("CREATE TABLE users (a TEXT CHECK (a != ''), b TEXT, id INTEGER PRIMARY KEY,\
            boss INTEGER, FOREIGN KEY (boss) REFERENCES users (id) ON DELETE SET NULL)")
        op.execute("CREATE INDEX ix ON users (lower(a), b)")
        op.execute("CREATE INDEX plain ON users (a)")
        op.execute("CREATE VIEW v AS SELECT a FROM users")
        op.execute("CREATE TRIGGER t AFTER UPDATE ON users BEGIN SELECT new.a; END")
        op.execute("INSERT INTO users VALUES ('x', 'y', 1, 1)")
        with op.batch_alter_table("users") as batch_op:
            batch_op.alter_column("a", new_column_name="c")
            batch_op.alter_column("b", server_default="z")
        """,
    )
    project.migrate("users")
    keys = "SELECT on_delete FROM pragma_foreign_key_list('users')"
    assert project.sqlite(keys) == [("SET NULL",)]
    project.sqlite("UPDATE users SET c = 'w'")
    assert project.sqlite("SELECT c FROM users JOIN v USING (c)") == [("w",)]
    assert schema(project)["ix"] == ["CREATE INDEX ix ON users (lower(c), b)"]
    assert schema(project)["plain"] == ["CREATE INDEX plain ON users (c)"]
    assert "CHECK (c != '')" in schema(project)["users"]


UNIQUE = 'batch_op.create_unique_constraint("uq", ["a"], sqlite_on_conflict="REPLACE")'


@pytest.mark.parametrize(
    ("column", "clause"),
    [
        ("a TEXT", "ON CONFLICT"),
        ("a TEXT UNIQUE ON CONFLICT IGNORE", "ON CONFLICT"),
        ("a TEXT REFERENCES users ON DELETE CASCADE", "ON DELETE"),
        ("a TEXT REFERENCES users DEFERRABLE", "DEFERRABLE"),
    ],
)
def test_a_copy_loses_no_clause(project: Project, column: str, clause: str) -> None:
    change = UNIQUE if column == "a TEXT" else 'batch_op.alter_column("a", nullable=False)'
    table = f"id INTEGER PRIMARY KEY, {column} /* ON UPDATE */"
    add_revision(project, "users", f"op.execute('CREATE TABLE users ({table})')")
    project.migrate("users")
    execute(project, "INSERT INTO users VALUES (1, 'x'), (2, 'y')")
    before = schema(project)
    batch = f'with op.batch_alter_table("users") as batch_op:\n    {change}\n'
    add_revision(project, "users", batch)
    line = project.refused("./migrate.sh", "users")
    assert f"{clause}; change the table with op.execute, or pass all of it to" in line
    assert schema(project) == before
    whole = 'sa.Table("users", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("a", sa.Text))'
    revision = project.package / "users" / "migrations" / "users_2.py"
    revision.write_text(revision.read_text().replace('"users")', f'"users", copy_from={whole})'))
    if change == UNIQUE:  # it may lose rows all the same
        assert "may lose rows" in project.refused("./migrate.sh", "users")
    else:
        project.migrate("users")
    assert project.sqlite("SELECT id, a FROM users") == [(1, "x"), (2, "y")]


LIMITED = """
class Limited(Base):
    __tablename__ = "limited"
    id = Column(Integer, primary_key=True)
    age = Column(Integer, {check}{default})

{indexes}
"""


def test_limits(project: Project) -> None:
    """What docs/limits.md says of SQLite, and of checks without a name."""
    indexes = 'Index("ix", Limited.age.desc())\nIndex("goes", func.abs(Limited.age))'
    values = {"check": 'CheckConstraint("age > 0")', "default": "", "indexes": indexes}
    project.models("users").write_text(HEADER + LIMITED.format(**values))
    project.revise("users")
    project.migrate("users")
    other = {"check": 'CheckConstraint("age > 1")', "indexes": 'Index("ix", func.abs(Limited.age))'}
    project.models("users").write_text(HEADER + LIMITED.format(**{**values, **other}))
    assert project.migrations("-n", "users", "check") == "users  no changes\n"

    execute(
        project,
        """
        DROP TABLE limited;
        CREATE TABLE limited (id INTEGER PRIMARY KEY DESC NOT NULL, -- a comment
            age INTEGER REFERENCES team);
    """,
    )
    models = LIMITED.format(
        check='ForeignKey("team.id")', default=", server_default='1'", indexes=""
    )
    project.models("users").write_text(HEADER + models)
    project.generate("users")
    project.migrate("users")
    copied = " ".join(schema(project)["limited"])
    assert "DEFAULT '1'" in copied
    assert not re.search("DESC|comment", copied)
