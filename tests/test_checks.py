"""Checks within columns, and those that types make: created, changed, dropped, taken back."""

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from project import bake
from servers import Database

HEADER = """
from sqlalchemy import *
from sqlalchemy.orm import DeclarativeBase

class Base(DeclarativeBase):
    metadata = MetaData({convention})

def values(*labels, **options):
    return Enum(*labels, native_enum=False, create_constraint=True, **options)

def boolean(name):
    return Boolean(create_constraint=True, name=name)

class Unnamed(Base):
    __tablename__ = "unnamed"
    id = Column(Integer, primary_key=True)
    number = Column(Integer{check})

class Thing(Base):
    __tablename__ = "thing"
    id = Column(Integer, primary_key=True)
"""

CONVENTION = 'naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s"}'

COLUMNS = [
    ("a = Column(Integer)", 'a = Column(Integer, CheckConstraint("a > 0", name="gets"))'),
    ("", 'b = Column(Integer, CheckConstraint("b > 0", name="added"))'),
    ('c = Column(Integer, CheckConstraint("c > 0", name="goes"))', "c = Column(Integer)"),
    ('d = Column(Integer, CheckConstraint("d != 1", name="dropped"))', ""),
    (
        'f = Column(values("x", "y:z", name="longer"))',
        'f = Column(values("x", "y:z", "abcd", name="longer"))',
    ),
    (
        'g = Column(values("x", name="same", length=9))',
        'g = Column(values("x", "y%", name="same", length=9))',
    ),
    ("h = Column(String(9))", 'h = Column(values("x", name="typed", length=9))'),
    ('i = Column(values("x", name="free", length=9))', "i = Column(String(9))"),
    ("j = Column(Boolean)", 'j = Column(boolean("true"))'),
    ('k = Column(boolean("false"))', "k = Column(Boolean)"),
    ("", 'l = Column(values("x", name="new_enum"))'),
    ("", 'm = Column(boolean("new_boolean"))'),
    ('n = Column(boolean("stays"))',) * 2,
]


@pytest.mark.parametrize("convention", ["", CONVENTION], ids=["", "convention"])
def test_checks_of_columns(tmp_path: Path, database: Database, convention: str) -> None:
    kind = database.url.get_backend_name()
    project = bake(tmp_path, apps="shop", database=kind)
    project.environment["DATABASE_URL"] = database.text
    # This convention refuses a check without a name.
    check = "" if convention else ', CheckConstraint("number < 9")'

    def write(after: int) -> None:
        lines = [f"    {pair[after]}\n" for pair in COLUMNS]
        header = HEADER.format(convention=convention, check=check)
        project.models("shop").write_text(header + "".join(lines))
        project.revise("shop")
        project.migrate()
        assert project.migrations("check") == "shop  no changes\n"

    def checks(table: str = "thing") -> list[str]:
        engine = create_engine(database.url)
        found = inspect(engine).get_check_constraints(table)
        engine.dispose()
        return sorted(re.sub("[` ]|<>", "", str(it["sqltext"])).lower() for it in found)

    write(after=0)
    before = checks()
    assert "c>0" in before
    assert (checks("unnamed") == ["number<9"]) == (not convention)
    write(after=1)
    after = checks()
    assert {"a>0", "b>0"} < set(after)
    assert not [it for it in after if it[0] in "cdik"]
    for column, label in (("f", "abcd"), ("g", "y%"), ("h", "x"), ("l", "x")):
        assert [it for it in after if it[0] == column and f"'{label}'" in it]
    if kind != "postgresql":
        assert {"jin(0,1)", "min(0,1)", "nin(0,1)"} < set(after)
    project.migrations("downgrade", "-1")
    assert [it[0] for it in checks()] == [it[0] for it in before]
    project.migrations("downgrade", "base")
    project.migrate()
    assert checks() == after
