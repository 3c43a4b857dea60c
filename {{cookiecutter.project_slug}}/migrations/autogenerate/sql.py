"""Names, strings, expressions, defaults and types in SQL."""

import re
from copy import copy
from functools import cache
from typing import Any, TypeGuard

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.exc import DBAPIError


def quoted_name(dialect: sa.Dialect, schema: str | None, name: str) -> str:
    """Return a name, quoted if necessary, with its schema if it has one."""
    quote = dialect.identifier_preparer.quote
    return f"{quote(schema)}.{quote(name)}" if schema else quote(name)


def quoted_string(value: str) -> str:
    """Return a string literal in SQL."""
    return "'" + value.replace("'", "''") + "'"


def connection_of(context: AutogenContext | MigrationContext) -> sa.Connection:
    """Return the connection to the database that is compared."""
    assert context.connection is not None
    return context.connection


def explained(context: AutogenContext | MigrationContext, sql: str) -> list[str] | None:
    """Return how EXPLAIN of PostgreSQL shows an expression, or None if it is not valid.

    The expression is not run. If PostgreSQL shows two alike, they mean the same.
    """
    connection = connection_of(context)
    explain = sa.text(escape_colons(f"EXPLAIN (VERBOSE, COSTS OFF) SELECT {sql}"))
    try:
        with connection.begin_nested():
            return list(connection.scalars(explain))
    except DBAPIError:
        return None


def sql_of(item: Any, dialect: sa.Dialect) -> str:
    """Return an expression in SQL, which names columns without their table."""
    if isinstance(item, str):
        return item
    words = {"literal_binds": True, "include_table": False}
    return str(item.compile(dialect=without_doubled_percents(dialect), compile_kwargs=words))


def escape_colons(sql: str) -> str:
    """Return SQL for `text()` and `op.execute`, which take `:word` for a parameter."""
    return re.sub(r"(?<![:\w]):(?=\w)", r"\:", sql)


@cache
def without_doubled_percents(dialect: sa.Dialect) -> sa.Dialect:
    """Return a dialect that does not double percent signs, as in a revision they must be single.

    Some drivers need them doubled, so their dialects double them in everything that they render.
    """
    plain = copy(dialect)
    plain.paramstyle, plain.positional = "named", False
    plain.identifier_preparer = plain.preparer(plain)
    return plain


def plain_type(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
    """Return the type for this database; for a TypeDecorator, the type that it decorates."""
    kind = kind.dialect_impl(dialect)
    while isinstance(kind, sa.TypeDecorator):
        kind = kind.impl_instance.dialect_impl(dialect)
    return kind


def item_type(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
    """Return the plain type of an array's items; for other types, the plain type itself."""
    kind = plain_type(kind, dialect)
    return plain_type(kind.item_type, dialect) if isinstance(kind, sa.ARRAY) else kind


def is_enum(kind: sa.types.TypeEngine[Any]) -> TypeGuard[ENUM]:
    """Return True if a plain type is an enum type of PostgreSQL."""
    return isinstance(kind, ENUM) and bool(kind.name)


def type_name(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str:
    """Return a type in SQL as CAST accepts it: without a collation."""
    return re.sub(r' COLLATE ("[^"]+"|\w+)', "", kind.compile(dialect=dialect))
