"""Pairs of models, before and after a change, for tests/test_against_alembic.py.

To add a case, add a `Case` to the list `CASES` of the file of its database, or of a file for all
databases. The names of its tables and types begin with its name, because all cases share one
database. Run it alone with `CASES=name python -m pytest -n 0 -s tests/test_against_alembic.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

HEADER = """
import datetime
import decimal
import enum
import uuid

import sqlalchemy as sa
from sqlalchemy import *
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
"""
BASE = """

class Base(DeclarativeBase):
    pass


"""
"""What comes before the models of each case, behind HEADER; a case may define another `Base`."""

DATABASES = ("sqlite", "postgresql", "mysql")


@dataclass(frozen=True)
class Case:
    """Models before and after a change, and how plain Alembic fares with it."""

    name: str
    """Letters, digits and _: also the name of the app."""
    before: str
    after: str = ""
    """Empty: the models stay as they are, and the only question is whether it settles."""
    on: tuple[str, ...] = DATABASES
    plain: str | Mapping[str, str] = ""
    """Empty if plain Alembic gets it right. Else the step at which it goes wrong and why:
    `"check: finds a change again"`, for all databases or by database.

    Steps are generate, upgrade, check, schema (the database is not what the models say), downgrade;
    "chance" means that it goes wrong now and then, and is not tried.
    """
    here: str | Mapping[str, str] = ""
    """The same for this project, for what plain Alembic gets wrong, too. In the place of the why
    it has the first words of a bullet in docs/limits.md: `"schema: A check whose ..."`.
    """
    setup: str = ""
    """SQL to be run in the empty database first: statements that end in `;` and a line break."""

    @property
    def has_own_base(self) -> bool:
        """Whether its models have another `Base`."""
        return "class Base(" in self.before

    def models(self, after: bool, base: str = BASE) -> str:
        """The source of the models before or after the change."""
        return HEADER + base + ((after and self.after) or self.before)

    def wrong(self, side: str, database: str) -> str:
        """The step at which it goes wrong with "plain" or "here", and why; empty if it does not."""
        said: str | Mapping[str, str] = getattr(self, side)
        return said if isinstance(said, str) else said.get(database, "")


NO_NAME = {
    "sqlite": "upgrade: it has no name",
    "postgresql": "downgrade: it has no name",
    "mysql": "downgrade: it has no name",
}
NO_NAME_HERE = {
    "sqlite": "upgrade: A constraint without a name",
    "postgresql": "downgrade: A constraint without a name",
    "mysql": "downgrade: A constraint without a name",
}
"""What becomes of a constraint without a name in a table that is there: `plain` and `here`."""


def one_table(
    name: str,
    before: str,
    after: str = "",
    on: tuple[str, ...] = DATABASES,
    plain: str | Mapping[str, str] = "",
    here: str | Mapping[str, str] = "",
) -> Case:
    """Return a case of one table with an id, and other arguments of `Table` that change."""
    source = f"Table({name!r}, Base.metadata, Column('id', Integer, primary_key=True)"
    changed = after and f"{source}, {after})"
    return Case(name, f"{source}, {before})", changed, on, plain, here)


def cases(database: str) -> list[Case]:
    """Return the cases for a database."""
    found: list[Case] = []
    for name in ("any", "defaults", "order", "tables", "types", database):
        found += [it for it in import_module(f"catalogue.{name}").CASES if database in it.on]
    names = [case.name for case in found]
    assert len(set(names)) == len(names), "two cases have the same name"
    return found
