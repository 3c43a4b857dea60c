"""Server defaults: which of them changed, where Alembic is wrong, fails or asks too often."""

import re
from collections.abc import Iterable
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import PriorityDispatchResult
from sqlalchemy import (
    ARRAY,
    BIGINT,
    INTEGER,
    JSON,
    Column,
    DefaultClause,
    Identity,
    Inspector,
    MetaData,
    String,
    Table,
    bindparam,
    event,
    inspect,
    text,
)
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import CompileError, DBAPIError
from sqlalchemy.schema import CreateTable

from .enum_types import default_of, escape_colons

SERIALS = text("""
    SELECT t.relname, a.attname,
           'nextval(' || quote_literal(CAST(CAST(s.oid AS regclass) AS text)) || '::regclass)'
    FROM pg_class s
    JOIN pg_depend d ON d.objid = s.oid AND d.classid = CAST('pg_class' AS regclass)
    JOIN pg_class t ON t.oid = d.refobjid AND d.refclassid = CAST('pg_class' AS regclass)
    JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    WHERE s.relkind = 'S' AND n.nspname IN :schemas
""").bindparams(bindparam("schemas", expanding=True))


def compare_server_default(
    context: AutogenContext,
    change: ops.AlterColumnOp,
    _schema: str | None,
    _table: str,
    _column: str,
    reflected: Column[Any],
    model: Column[Any],
) -> PriorityDispatchResult:
    """Compare server defaults where Alembic finds a change that is none, or fails.

    As `compare_server_default` of `context.configure` it would break on a Computed and an Identity.
    """
    assert context.dialect is not None
    before, after = reflected.server_default, model.server_default
    if isinstance(after, Identity) and not context.dialect.supports_identity_columns:
        return PriorityDispatchResult.STOP
    if not isinstance(after, DefaultClause) or not isinstance(before, DefaultClause | None):
        return PriorityDispatchResult.CONTINUE
    in_database = None if before is None else str(before.arg)
    if context.dialect.name in ("mysql", "mariadb"):
        changed = mysql_default_changed(context, reflected, in_database, model)
    else:
        changed = default_changed(context, reflected, in_database, model)
    if changed is None:
        return PriorityDispatchResult.CONTINUE
    if changed:
        change.modify_server_default = after
    return PriorityDispatchResult.STOP


def default_changed(
    context: AutogenContext, reflected: Column[Any], in_database: str | None, model: Column[Any]
) -> bool | None:
    """Whether a server default changed; None leaves the decision to Alembic."""
    assert context.dialect is not None
    assert isinstance(model.server_default, DefaultClause)
    if in_database is None:
        return None
    wanted = model.server_default.arg
    words = wanted if isinstance(wanted, str) else None
    literal = default_of(model, context.dialect)
    # Alembic stumbles over quotes: here it leaves them out, there it forgets to double them,
    # and on SQLite it puts '' and a text of several lines into parentheses.
    same = in_database in (words, literal, f"({literal})")
    if same or in_database.startswith(f"{literal}::"):
        return False
    if words and (isinstance(model.type, String) or "'" in words):
        return True
    if context.dialect.name != "postgresql":
        return None
    # Alembic has PostgreSQL compare the values: those of random() and nextval() are never the
    # same, those of json cannot be compared, and a new enum value is none yet.
    if shown_default(context, reflected, wanted) == in_database:
        return False
    return isinstance(reflected.type, ARRAY | ENUM | JSON) or None


def mysql_default_changed(
    context: AutogenContext, reflected: Column[Any], in_database: str | None, model: Column[Any]
) -> bool | None:
    """Whether a server default changed, for MySQL and MariaDB; None where they cannot tell.

    They rewrite defaults, each in its way and by the column's type: of '1' they make 1.00, of
    (uuid()) uuid().
    """
    assert context.dialect is not None
    assert isinstance(model.server_default, DefaultClause)
    wanted = model.server_default.arg
    if isinstance(wanted, str):
        escaped = wanted.replace("\\", "\\\\")
        same = in_database in (escaped, "'" + escaped.replace("'", "''") + "'")
    else:
        rendered = str(default_of(model, context.dialect))
        same = mysql_words(in_database or "NULL") == mysql_words(rendered)
    if same:
        return False
    shown = shown_default(context, reflected, wanted)
    return None if shown is None else shown != (in_database or "")


def shown_default(context: AutogenContext, reflected: Column[Any], wanted: Any) -> str | None:
    """A column's default as the database would show it, or None if it cannot have this one.

    A temporary table, which commits nothing, shows what becomes of it.
    """
    assert context.dialect is not None
    assert context.connection is not None
    column = Column(
        reflected.name,
        reflected.type,
        server_default=DefaultClause(wanted),
        nullable=reflected.nullable,
    )
    scratch = Table("alembic_default", MetaData(), column, prefixes=["TEMPORARY"])
    try:
        with context.connection.begin_nested():
            context.connection.execute(CreateTable(scratch))
    except (CompileError, DBAPIError):  # the default is not valid here, or the user may not
        return None
    [shown] = inspect(context.connection).get_columns(scratch.name)
    kind = "" if context.dialect.name == "postgresql" else "TEMPORARY "  # it commits without that
    context.connection.exec_driver_sql(f"DROP {kind}TABLE {scratch.name}")
    return shown["default"] or ""


def mysql_words(default: str) -> str:
    """A default as MySQL and MariaDB show it, to whom `true` is 1 and now() only an alias."""
    default = re.sub(r"\bnow\b", "current_timestamp", default.lower().replace("()", ""))
    return {"true": "1", "false": "0"}.get(default, default)


def find_serials(
    context: AutogenContext, _upgrade: ops.UpgradeOps, schemas: Iterable[str | None]
) -> PriorityDispatchResult:
    """Ask PostgreSQL once for every SERIAL column; Alembic would, for each of them."""
    assert context.connection is not None
    names = [schema or context.dialect.default_schema_name for schema in schemas]
    serials = context.connection.execute(SERIALS, {"schemas": names})
    context.inspector.info_cache[SERIALS] = {tuple(row) for row in serials}
    return PriorityDispatchResult.CONTINUE


@event.listens_for(Table, "column_reflect")
def omit_default_of_serial(inspector: Inspector, table: Table, column: ReflectedColumn) -> None:
    """Take away the default that makes a column SERIAL: models do not have it either."""
    found = (table.name, column["name"], column.get("default"))
    serial = found in inspector.info_cache.get(SERIALS, ())
    if serial and isinstance(column["type"], INTEGER | BIGINT):
        column["default"] = None


@event.listens_for(Table, "column_reflect")
def keep_colons(inspector: Inspector, _table: Table, column: ReflectedColumn) -> None:
    """Escape colons in defaults, which would become parameters when SQLite copies the table."""
    if inspector.dialect.name == "sqlite" and (default := column.get("default")):
        column["default"] = escape_colons(default)
