"""The type that a column has on one database."""

import re
from typing import Any, TypeGuard

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ENUM


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
