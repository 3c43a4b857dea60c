"""Compare server defaults where Alembic is wrong, fails, or queries too often."""

import re
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import DBAPIError

from .sql import connection_of, escape_colons, explained, sql_of, type_name

SERIAL = "default of a SERIAL column"
"""The key in `Column.info` under which a left-out default is kept."""

LITERAL = re.compile(r"'(?:[^'\\]|''|\\.)*'|[\d.+-]+", re.DOTALL)
"""Matches a string or a number in MySQL's SQL."""


def compare_server_default(
    context: AutogenContext, change: ops.AlterColumnOp, reflected: Any, model: Any
) -> bool:
    """Compare server defaults where Alembic would fail, or find a change where there is none.

    As `compare_server_default` of `context.configure`, it would fail on Computed and Identity.
    """
    before, after = reflected.server_default, model.server_default
    if not context.opts["compare_server_default"]:
        return True
    if isinstance(after, sa.Identity) and not context.dialect.supports_identity_columns:
        return True
    changed: bool | None = None
    if {type(before), type(after)} == {sa.Identity, sa.DefaultClause}:
        changed = True
    elif isinstance(after, sa.DefaultClause) and isinstance(before, sa.DefaultClause | None):
        in_database = reflected.info.get(SERIAL) if before is None else str(before.arg)
        changed = is_changed(context, reflected, model, in_database)
    if changed:
        change.modify_server_default = after
    return changed is not None


def is_changed(
    context: AutogenContext, reflected: sa.Column[Any], model: Any, in_database: str | None
) -> bool | None:
    """Return True if a server default changed; None leaves the decision to Alembic."""
    default = model.server_default.arg
    string = default if isinstance(default, str) else None
    wanted = sql_of(default if string is None else sa.literal(string), context.dialect)
    # Alembic mishandles quotes: it leaves some out, does not double others, and on SQLite it puts
    # '' and texts of several lines into parentheses.
    if in_database is not None and (
        in_database in (string, wanted, f"({wanted})") or in_database.startswith(f"{wanted}::")
    ):
        return False
    if context.dialect.name in ("mysql", "mariadb"):
        return differs_on_mysql(context, reflected.type, in_database or "NULL", wanted)
    if in_database is None:
        return wanted.upper() != "NULL"
    if context.dialect.name == "postgresql":
        return differs(context, reflected.type, in_database, wanted)
    return True if string and (isinstance(model.type, sa.String) or "'" in string) else None


def differs(context: AutogenContext, kind: sa.types.TypeEngine[Any], *defaults: str) -> bool:
    """Return True if PostgreSQL shows two defaults differently, and their values differ, too.

    Alembic compares only values. But random() never gives the same one, json has no equality, and
    nextval() uses up a number; a read-only transaction refuses that.
    """
    if not isinstance(kind, sa.types.NullType):
        name = type_name(kind, context.dialect)
        defaults = tuple(f"CAST({default} AS {name})" for default in defaults)
    before, after = (explained(context, default) for default in defaults)
    if before == after:
        return before is None
    connection = connection_of(context)
    compare = sa.text(escape_colons(f"SELECT {' IS DISTINCT FROM '.join(defaults)}"))
    with suppress(DBAPIError), connection.begin_nested() as savepoint:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        different = bool(connection.scalar(compare))
        savepoint.rollback()
        return different
    return True


def differs_on_mysql(
    context: AutogenContext, kind: sa.types.TypeEngine[Any], before: str, wanted: str
) -> bool:
    """Return True if two defaults differ in more than how the server writes them."""
    wanted = {"true": "1", "false": "0"}.get(wanted, wanted)
    literals = [bool(LITERAL.fullmatch(default)) for default in (before, wanted)]
    if all(literals):
        # The server writes '1' as 1.00 in a DECIMAL. It has no CAST to FLOAT.
        rewritten = isinstance(kind, sa.Numeric | sa.Date | sa.DateTime | sa.Time)
        values: list[Any] = [sa.literal_column(it) for it in (before, wanted)]
        one, other = (
            it + 0 if isinstance(kind, sa.Float) else sa.cast(it, kind if rewritten else sa.BINARY)
            for it in values
        )
        return not connection_of(context).scalar(sa.select(one == other))
    if any(literals):
        return True
    before, wanted = (re.sub(r"[\s()]", "", default.lower()) for default in (before, wanted))
    unread = before == "null" and re.search("['\",]", wanted)  # by SQLAlchemy: a function
    return not unread and before != re.sub(r"\bnow\b", "current_timestamp", wanted)


def find_serials(context: AutogenContext, _upgrade: ops.UpgradeOps) -> None:
    """Recognise the default of a SERIAL column by its name, without Alembic's query for each.

    If the table or the column was renamed, the name differs, and Alembic's query decides.
    """
    impl = context.migration_context.impl
    ask = impl.autogen_column_reflect

    def leave_out_default(inspector: Any, table: sa.Table, column: ReflectedColumn) -> None:
        default = column.get("default") or ""
        sequence = re.fullmatch(r"nextval\('(?:.*\.)?(.+)'::regclass\)", default.replace('"', ""))
        if sequence and sequence[1] == f"{table.name}_{column['name']}_seq":
            column["default"] = None
        else:
            ask(inspector, table, column)  # type: ignore[no-untyped-call]
        if default and not column.get("default"):
            column["info"] = {SERIAL: default}  # type: ignore[typeddict-unknown-key]

    # Only Alembic calls this, for each column that it compares.
    impl.autogen_column_reflect = leave_out_default  # type: ignore[method-assign]
