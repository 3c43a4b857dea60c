"""Pieces of SQL."""

import re
from copy import copy
from functools import cache
from typing import Any

import sqlalchemy as sa


def quoted_name(dialect: sa.Dialect, schema: str | None, name: str) -> str:
    """Return a name in SQL, with its schema if it has one."""
    quote = dialect.identifier_preparer.quote
    return f"{quote(schema)}.{quote(name)}" if schema else quote(name)


def quoted_string(value: str) -> str:
    """Return a string in SQL."""
    return "'" + value.replace("'", "''") + "'"


def default_of(column: sa.Column[Any], dialect: sa.Dialect) -> str | None:
    """Return the server default of a model's column in SQL, or None if it has none."""
    default = column.server_default
    if not isinstance(default, sa.DefaultClause):
        return None
    arg = sa.literal(default.arg) if isinstance(default.arg, str) else default.arg
    plain = without_doubled_percents(dialect)
    return str(arg.compile(dialect=plain, compile_kwargs={"literal_binds": True}))


def escape_colons(sql: str) -> str:
    """Return SQL for `text()` and `op.execute`, to which a word behind a colon is a parameter."""
    return re.sub(r"(?<![:\w]):(?=\w)", r"\:", sql)


@cache
def without_doubled_percents(dialect: sa.Dialect) -> sa.Dialect:
    """Return a dialect that renders a percent sign once, as a revision must have it.

    Some drivers need it twice, and so their dialects double it in all that they render.
    """
    plain = copy(dialect)
    plain.paramstyle, plain.positional = "named", False
    plain.identifier_preparer = plain.preparer(plain)
    return plain
