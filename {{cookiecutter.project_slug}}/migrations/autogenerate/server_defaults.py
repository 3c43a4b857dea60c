"""Server defaults: which of them changed, where Alembic is wrong, fails or asks too often."""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import CommandError, PriorityDispatchResult
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import CompileError, DBAPIError
from sqlalchemy.schema import CreateTable

from .mysql import is_same_literal
from .sql import default_of, escape_colons, explained, type_name

SERIAL = "default of a SERIAL column"
"""The key of `Column.info` with the default that was left out."""


def compare_server_default(
    context: AutogenContext, change: ops.AlterColumnOp, *names_and_columns: Any
) -> PriorityDispatchResult:
    """Compare server defaults where Alembic finds a change that is none, or fails.

    As `compare_server_default` of `context.configure` it would break on a Computed and an Identity.
    """
    reflected, model = names_and_columns[-2:]
    before, after = reflected.server_default, model.server_default
    if not context.opts["compare_server_default"]:
        return PriorityDispatchResult.STOP
    if isinstance(after, sa.Identity) and not context.dialect.supports_identity_columns:
        return PriorityDispatchResult.STOP
    kinds = {type(default) for default in (before, after)}
    if kinds == {sa.Identity, sa.DefaultClause}:
        change.modify_server_default = after
        return PriorityDispatchResult.STOP
    if not isinstance(after, sa.DefaultClause) or not isinstance(before, sa.DefaultClause | None):
        return PriorityDispatchResult.CONTINUE
    in_database = reflected.info.get(SERIAL) if before is None else str(before.arg)
    changed = is_changed(context, reflected, model, in_database)
    if changed:
        change.modify_server_default = after
    return PriorityDispatchResult.CONTINUE if changed is None else PriorityDispatchResult.STOP


def check_autoincrement(
    context: AutogenContext, change: ops.AlterColumnOp, *names_and_columns: Any
) -> PriorityDispatchResult:
    """Refuse a primary key that the database does not number, although its model counts on it."""
    reflected, model = names_and_columns[-2:]
    numbered = model is model.table.autoincrement_column and model.default is None
    if numbered and model.server_default is None and not reflected.autoincrement:
        table, name = change.table_name, change.column_name
        sql = f"ALTER TABLE {table} MODIFY {name} INTEGER AUTO_INCREMENT"
        if context.dialect.name == "postgresql":
            sql = (
                f"CREATE SEQUENCE {table}_{name}_seq OWNED BY {table}.{name}; ALTER TABLE {table}"
                f" ALTER {name} SET DEFAULT nextval('{table}_{name}_seq');"
                f" SELECT setval('{table}_{name}_seq', max({name})) FROM {table}"
            )
        app = context.opts["target_metadata"].owner(change.schema, table)
        raise CommandError(
            f"{app.name}: the database does not number {table}.{name}, as its model has it:"
            f" set autoincrement=False in the model, or execute by hand: {sql}"
        )
    return PriorityDispatchResult.CONTINUE


def is_changed(
    context: AutogenContext,
    reflected: sa.Column[Any],
    model: sa.Column[Any],
    in_database: str | None,
) -> bool | None:
    """Return True if a server default changed; None leaves the decision to Alembic."""
    assert isinstance(model.server_default, sa.DefaultClause)
    mysql = context.dialect.name in ("mysql", "mariadb")
    default = model.server_default.arg
    string = default if isinstance(default, str) else None
    wanted = str(default_of(model, context.dialect))
    if in_database is None and not mysql:
        return wanted.upper() != "NULL"
    # Alembic stumbles over quotes: here it leaves them out, there it forgets to double them,
    # and on SQLite it puts '' and a text of several lines into parentheses.
    if in_database is not None and (
        in_database in (string, wanted, f"({wanted})") or in_database.startswith(f"{wanted}::")
    ):
        return False
    if context.dialect.name == "postgresql":
        return differs(context, reflected.type, str(in_database), wanted)
    if mysql and string is None and mysql_words(in_database or "NULL") == mysql_words(wanted):
        return False
    if not mysql:
        return True if string and (isinstance(model.type, sa.String) or "'" in string) else None
    # MySQL and MariaDB rewrite defaults by the column's type: they make 1.00 of '1'.
    shown = shown_default(context, reflected, default)
    if shown is None:  # the default is not valid, or this user may not do that
        same = is_same_literal(context, reflected, wanted, in_database or "")
        return False if same else None
    return shown != (in_database or "")


def differs(context: AutogenContext, kind: sa.types.TypeEngine[Any], *defaults: str) -> bool:
    """Return True if two defaults of a column of PostgreSQL differ in what it shows, and in value.

    Alembic compares the values: those of random() are never the same, those of json have no
    equality, and nextval() uses up a number, which a transaction that only reads refuses to do.
    """
    before, after = defaults
    if not isinstance(kind, sa.types.NullType):
        name = type_name(kind, context.dialect)
        before, after = (f"CAST({default} AS {name})" for default in defaults)
    if (shown := explained(context.connection, before)) == explained(context.connection, after):
        return shown is None
    assert context.connection is not None
    compare = sa.text(escape_colons(f"SELECT {before} IS DISTINCT FROM {after}"))
    with suppress(DBAPIError), context.connection.begin_nested() as savepoint:
        context.connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        differ = bool(context.connection.scalar(compare))
        savepoint.rollback()
        return differ
    return True


def shown_default(context: AutogenContext, reflected: sa.Column[Any], default: Any) -> str | None:
    """Return a column's default as the database would show it, or None if it is not valid there.

    A temporary table, which commits nothing, shows what becomes of it.
    """
    assert context.connection is not None
    column = sa.Column(
        reflected.name,
        reflected.type,
        server_default=sa.DefaultClause(default),
        nullable=reflected.nullable,
    )
    scratch = sa.Table("alembic_default", sa.MetaData(), column, prefixes=["TEMPORARY"])
    try:
        with context.connection.begin_nested():
            context.connection.execute(CreateTable(scratch))
    except (CompileError, DBAPIError):  # the default is not valid here, or the user may not
        return None
    [shown] = sa.inspect(context.connection).get_columns(scratch.name)
    context.connection.exec_driver_sql(f"DROP TEMPORARY TABLE {scratch.name}")  # else it commits
    return shown["default"] or ""


def mysql_words(default: str) -> str:
    """Return a default as MySQL and MariaDB show it, where `true` is 1 and now() an alias."""
    default = re.sub(r"\bnow\b", "current_timestamp", default.lower().replace("()", ""))
    return {"true": "1", "false": "0"}.get(default, default)


def find_serials(
    context: AutogenContext, _upgrade: ops.UpgradeOps, _schemas: Iterable[str | None]
) -> PriorityDispatchResult:
    """Take a default by its name for that of a SERIAL column; Alembic would ask for each of them.

    Its sequence has another name only where the table or the column was renamed.
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

    # Alembic calls this for each column that it compares, and nobody else does.
    impl.autogen_column_reflect = leave_out_default  # type: ignore[method-assign]
    return PriorityDispatchResult.CONTINUE
