"""Types of columns, and NOT NULL, where Alembic finds a change by mistake or misses one."""

import re
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects.mysql import LONGTEXT, SET
from sqlalchemy.exc import CompileError

from .sql import explained, is_enum, item_type, plain_type, quoted_name, type_name

CAST = ((sa.Integer, sa.Numeric), (sa.Date, sa.DateTime), (sa.JSON,))
"""Types of which PostgreSQL casts one to another by itself."""

SIZES = {"TINY": 8, "": 16, "MEDIUM": 24, "LONG": 32}
"""The prefixes of MySQL's BLOB and TEXT, each with the bits of its greatest length."""


def leave_nullable_keys(
    _: AutogenContext, change: ops.AlterColumnOp, reflected: sa.Column[Any], model: sa.Column[Any]
) -> bool:
    """Ignore the nullability of primary keys, which no database has."""
    change.existing_nullable = reflected.nullable
    return reflected.primary_key and model.primary_key


def compare_type(context: MigrationContext, *columns_and_types: Any) -> bool | None:
    """Return True if a type changed, False if only its name did; None leaves it to Alembic."""
    types = columns_and_types[-2:]
    if context.dialect.name != "postgresql":
        return None
    try:
        names = [type_name(kind, context.dialect) for kind in types]
    except CompileError:
        return None
    if names[0] != names[1]:
        before, after = (explained(context, f"CAST(NULL AS {name})") for name in names)
        if after and before == after:
            return False
        if any(is_enum(item_type(kind, context.dialect)) for kind in types):
            return True
    return None


def fit_default_to_type(
    context: AutogenContext, change: ops.AlterColumnOp, *columns: sa.Column[Any]
) -> None:
    """Change the default together with the type, if PostgreSQL does not cast the old one."""
    defaults = [column.server_default for column in columns]
    if cast_to_new_type(context, change) and all(
        isinstance(it, sa.DefaultClause) for it in defaults
    ):
        change.modify_server_default = defaults[1]


def cast_to_new_type(context: AutogenContext, change: ops.AlterColumnOp) -> str:
    """Return the USING expression that PostgreSQL needs for a change of type, else nothing."""
    dialect = context.dialect
    if not (change.modify_type and change.existing_type and dialect.name == "postgresql"):
        return ""
    before, after = (item_type(it, dialect) for it in (change.existing_type, change.modify_type))
    enums = is_enum(before), is_enum(after)
    alike = any(isinstance(before, it) and isinstance(after, it) for it in CAST)
    if not any(enums) and (alike or isinstance(after, sa.String | type(before))):
        return ""
    name = type_name(change.modify_type, dialect)
    through = f"::text{'[]' if name.endswith('[]') else ''}" if all(enums) else ""
    return f"{quoted_name(dialect, None, change.column_name)}{through}::{name}"


def compare_mysql_type(
    context: AutogenContext, change: ops.AlterColumnOp, *columns: sa.Column[Any]
) -> bool:
    """Compare what Alembic ignores in a type, and allow for what the server makes of it."""
    reflected, model = (column.type for column in columns)
    wanted: Any = plain_type(model, context.dialect)
    if isinstance(wanted, sa.types.NullType) or context.opts["compare_type"] is False:
        return False  # the model or the section leaves it open
    changed = None
    if isinstance(wanted, sa.JSON) and isinstance(reflected, LONGTEXT):
        change.existing_type = model  # else altering the column drops MariaDB's check for JSON
        changed = False
    elif isinstance(wanted, SET) and isinstance(reflected, SET):
        changed = wanted.values != reflected.values
    elif {getattr(it, "unsigned", None) for it in (wanted, reflected)} == {True, False}:
        changed = isinstance(wanted, sa.Integer) or None
    elif made := types_made_of(wanted.compile(dialect=context.dialect)):
        changed = type(reflected).__name__ not in made
    if changed:
        change.modify_type = model
    return changed is not None


def types_made_of(sql: str) -> set[str]:
    """Return the types that MySQL may make of one with a length, for any character set."""
    match = re.fullmatch(r"(FLOAT|BLOB|TEXT)\((\d+)\)", sql)
    if not match:
        return set()
    kind, length = match[1], int(match[2])
    if kind == "FLOAT":
        return {"DOUBLE" if length > 24 else kind}
    widths = (1,) if kind == "BLOB" else (1, 2, 3, 4)
    return {next(it for it in SIZES if length * width >> SIZES[it] == 0) + kind for width in widths}
