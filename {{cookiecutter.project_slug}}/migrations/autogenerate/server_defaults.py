"""Server defaults: which of them changed, where Alembic is wrong, fails or asks too often."""

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import CommandError, PriorityDispatchResult
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import CompileError, DBAPIError
from sqlalchemy.schema import CreateTable

from .sql import default_of

SERIALS = sa.text("""
    SELECT t.relname, a.attname,
           'nextval(' || quote_literal(CAST(CAST(s.oid AS regclass) AS text)) || '::regclass)'
    FROM pg_class s
    JOIN pg_depend d ON d.objid = s.oid AND d.classid = CAST('pg_class' AS regclass)
    JOIN pg_class t ON t.oid = d.refobjid AND d.refclassid = CAST('pg_class' AS regclass)
    JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    WHERE s.relkind = 'S' AND n.nspname IN :schemas
""").bindparams(sa.bindparam("schemas", expanding=True))


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
    if not isinstance(after, sa.DefaultClause) or not isinstance(before, sa.DefaultClause | None):
        return PriorityDispatchResult.CONTINUE
    changed = is_changed(context, reflected, model, None if before is None else str(before.arg))
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
    if in_database is None and not mysql:
        return None
    default = model.server_default.arg
    string = default if isinstance(default, str) else None
    wanted = str(default_of(model, context.dialect))
    # Alembic stumbles over quotes: here it leaves them out, there it forgets to double them,
    # and on SQLite it puts '' and a text of several lines into parentheses.
    if in_database is not None and (
        in_database in (string, wanted, f"({wanted})") or in_database.startswith(f"{wanted}::")
    ):
        return False
    if mysql and string is None and mysql_words(in_database or "NULL") == mysql_words(wanted):
        return False
    if not mysql and string and (isinstance(model.type, sa.String) or "'" in string):
        return True
    if not mysql and context.dialect.name != "postgresql":
        return None
    # MySQL and MariaDB rewrite defaults by the column's type: they make 1.00 of '1'. Alembic has
    # PostgreSQL compare the values: those of random() and nextval() are never the same, those of
    # json cannot be compared, and a new enum value is none yet.
    shown = shown_default(context, reflected, default)
    if shown == (in_database or ""):
        return False
    if mysql:
        return None if shown is None else True
    return isinstance(reflected.type, sa.ARRAY | ENUM | sa.JSON) or None


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
    kind = "" if context.dialect.name == "postgresql" else "TEMPORARY "  # it commits without that
    context.connection.exec_driver_sql(f"DROP {kind}TABLE {scratch.name}")
    return shown["default"] or ""


def mysql_words(default: str) -> str:
    """Return a default as MySQL and MariaDB show it, where `true` is 1 and now() an alias."""
    default = re.sub(r"\bnow\b", "current_timestamp", default.lower().replace("()", ""))
    return {"true": "1", "false": "0"}.get(default, default)


def find_serials(
    context: AutogenContext, _upgrade: ops.UpgradeOps, schemas: Iterable[str | None]
) -> PriorityDispatchResult:
    """Ask PostgreSQL once for every SERIAL column; Alembic would, for each of them."""
    assert context.connection is not None
    names = [schema or context.dialect.default_schema_name for schema in schemas]
    serials = {tuple(row) for row in context.connection.execute(SERIALS, {"schemas": names})}
    impl = context.migration_context.impl
    ask = impl.autogen_column_reflect

    def leave_out_default(inspector: Any, table: sa.Table, column: ReflectedColumn) -> None:
        serial = (table.name, column["name"], column.get("default")) in serials
        if serial and isinstance(column["type"], sa.INTEGER | sa.BIGINT):
            column["default"] = None  # models do not have it either
        else:
            ask(inspector, table, column)  # type: ignore[no-untyped-call]

    # Alembic calls this for each column that it compares, and nobody else does.
    impl.autogen_column_reflect = leave_out_default  # type: ignore[method-assign]
    return PriorityDispatchResult.CONTINUE
