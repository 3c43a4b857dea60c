"""Columns of MySQL and MariaDB: their types and defaults, which the server rewrites."""

import re
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.dialects.mysql import LONGTEXT, SET
from sqlalchemy.exc import CompileError, DBAPIError
from sqlalchemy.schema import CreateTable

from .column_types import plain_type
from .sql import connection_of, default_of

NAMES = ("mysql", "mariadb")

SIZES = {"TINY": 8, "": 16, "MEDIUM": 24, "LONG": 32}
"""The prefixes of BLOB and TEXT, each with the bits of its greatest length."""

JSON_CHECK = sa.text("""
    SELECT 1 FROM information_schema.check_constraints
    WHERE constraint_schema = coalesce(:schema, database())
      AND table_name = :table AND check_clause = :clause
""")

REWRITTEN = (sa.Numeric, sa.Float, sa.Date, sa.DateTime, sa.Time)
"""The types whose defaults the server rewrites, for example '1' as 1.00."""


def compare_mysql_type(
    context: AutogenContext, change: ops.AlterColumnOp, *columns: sa.Column[Any]
) -> bool:
    """Compare what Alembic ignores in a type, and allow for what the server makes of it."""
    reflected, model = (column.type for column in columns)
    wanted: Any = plain_type(model, context.dialect)
    if isinstance(wanted, sa.types.NullType) or context.opts["compare_type"] is False:
        return False  # the model or the section leaves it open
    sql = wanted.compile(dialect=context.dialect)
    changed = None
    if isinstance(wanted, sa.JSON) and isinstance(reflected, LONGTEXT):
        change.existing_type = model  # else altering the column drops MariaDB's check for JSON
        changed = False
    elif sql != "LONGTEXT" and isinstance(reflected, LONGTEXT) and is_json(context, change):
        change.existing_type, changed = sa.JSON(), True
    elif isinstance(wanted, SET) and isinstance(reflected, SET):
        changed = wanted.values != reflected.values
    elif {getattr(it, "unsigned", None) for it in (wanted, reflected)} == {True, False}:
        changed = isinstance(wanted, sa.Integer) or None
    elif made := types_made_of(sql):
        changed = type(reflected).__name__ not in made
    if changed:
        change.modify_type = model
    return changed is not None


def is_json(context: AutogenContext, change: ops.AlterColumnOp) -> bool:
    """Return True if a text column has the check by which MariaDB marks JSON."""
    if not getattr(context.dialect, "is_mariadb", False):
        return False
    clause = f"json_valid(`{change.column_name}`)"
    table = {"schema": change.schema, "table": change.table_name, "clause": clause}
    return connection_of(context).scalar(JSON_CHECK, table) is not None


def types_made_of(sql: str) -> set[str]:
    """Return the types that the server may make of one with a length, for any character set."""
    match = re.fullmatch(r"(FLOAT|BLOB|TEXT)\((\d+)\)", sql)
    if not match:
        return set()
    kind, length = match[1], int(match[2])
    if kind == "FLOAT":
        return {"DOUBLE" if length > 24 else kind}
    widths = (1,) if kind == "BLOB" else (1, 2, 3, 4)
    return {next(it for it in SIZES if length * width >> SIZES[it] == 0) + kind for width in widths}


def is_other_default(
    context: AutogenContext, reflected: sa.Column[Any], model: Any, in_database: str | None
) -> bool | None:
    """Return True if a model's default differs from the database's; None if unknown."""
    default = model.server_default.arg
    before, wanted = in_database or "NULL", str(default_of(model, context.dialect))
    if not isinstance(default, str) and mysql_words(before) == mysql_words(wanted):
        return False
    shown = shown_default(context, reflected, default)
    if shown is None:
        return False if is_same_literal(context, reflected, wanted, before) else None
    return shown != (in_database or "")


def shown_default(context: AutogenContext, reflected: sa.Column[Any], default: Any) -> str | None:
    """Return a column's default as the database would show it, or None if it is not valid there.

    A temporary table with that column is created and read; this commits nothing.
    """
    connection = connection_of(context)
    column = sa.Column(
        reflected.name, reflected.type, sa.DefaultClause(default), nullable=reflected.nullable
    )
    scratch = sa.Table("alembic_default", sa.MetaData(), column, prefixes=["TEMPORARY"])
    try:
        with connection.begin_nested():
            connection.execute(CreateTable(scratch))
    except (CompileError, DBAPIError):  # it is not valid here, or this user may not create tables
        return None
    [shown] = sa.inspect(connection).get_columns(scratch.name)
    connection.exec_driver_sql(f"DROP TEMPORARY TABLE {scratch.name}")  # plain DROP TABLE commits
    return shown["default"] or ""


def mysql_words(default: str) -> str:
    """Return a default in one spelling: `true` as 1, and now() as current_timestamp."""
    default = re.sub(r"\bnow\b", "current_timestamp", default.lower().replace("()", ""))
    return {"true": "1", "false": "0"}.get(default, default)


def is_same_literal(context: AutogenContext, column: sa.Column[Any], *defaults: str) -> bool:
    """Return True if two SQL literals are the same value in a column of numbers or times."""
    literals = all(re.fullmatch(r"'[^']*'|[\d.+-]+", default) for default in defaults)
    if not literals or not isinstance(column.type, REWRITTEN):
        return False
    values: list[sa.ColumnElement[Any]] = [sa.literal_column(default) for default in defaults]
    floats = isinstance(column.type, sa.Float)  # the server has no CAST for them
    one, other = (it + 0 if floats else sa.cast(it, column.type) for it in values)
    return bool(connection_of(context).scalar(sa.select(one == other)))


def leave_out_not_null(context: AutogenContext, _upgrade: ops.UpgradeOps) -> None:
    """Make the models' computed columns nullable, as MariaDB does not accept NOT NULL there."""
    if getattr(context.dialect, "is_mariadb", False):
        for table in context.sorted_tables:
            for column in table.columns:
                column.nullable = column.nullable or column.computed is not None
