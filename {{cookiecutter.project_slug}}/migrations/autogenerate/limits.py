"""Differences that autogenerate cannot write: each raises an error that names it."""

import re
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from ..apps import TableKey
from ..ownership import Ownership
from . import mysql
from .server_defaults import SERIAL
from .sql import connection_of, explained, quoted_name, sql_of

EXCLUSIONS = sa.text("""
    SELECT n.nspname, r.relname, c.conname FROM pg_constraint c
    JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
    WHERE c.contype = 'x'
""")


def refuse_other_keys(
    context: AutogenContext, _: ops.ModifyTableOps, reflected: sa.Table, model: sa.Table
) -> None:
    """Refuse a primary key whose columns changed."""
    keys = [", ".join(column.name for column in it.primary_key) for it in (reflected, model)]
    if keys[0] and {*keys[0].split(", ")} != {*keys[1].split(", ")}:
        change = f"from ({keys[0]}) to ({keys[1]})"
        raise by_hand(context, model, f"the primary key of {model.name} changes {change}")


def refuse_other_exclusions(context: AutogenContext, _: ops.UpgradeOps) -> None:
    """Refuse an added or removed EXCLUDE constraint; one query reads those of all tables."""
    ownership: Ownership = context.opts["target_metadata"]
    assert context.inspector is not None
    in_database: dict[TableKey, set[str]] = {}
    for schema, table, name in connection_of(context).execute(EXCLUSIONS):
        in_database.setdefault(ownership.key(schema, table), set()).add(name)
    for model in (it for app in ownership.compared for it in app.model_tables.values()):
        before = in_database.get(ownership.key(model.schema, model.name), set())
        after = [it.name for it in model.constraints if isinstance(it, ExcludeConstraint)]
        same = len(before) == len(after) and (None in after or before == {*after})
        if not same and context.inspector.has_table(model.name, model.schema):
            raise by_hand(context, model, f"{model.name} has gained or lost an EXCLUDE constraint")


def refuse_other_values(
    context: AutogenContext, _: ops.AlterColumnOp, *columns: sa.Column[Any]
) -> bool:
    """Refuse a change of a computed column, and a change between SERIAL and Identity.

    MySQL rewrites expressions. There, Alembic only warns of a possible change.
    """
    reflected, model = columns
    name = f"{model.table.name}.{model.name}"
    if context.dialect.name == "postgresql":
        before, after = (isinstance(it.server_default, sa.Identity) for it in columns)
        to_serial = model.server_default is None and model is model.table.autoincrement_column
        if (after and SERIAL in reflected.info) or (before and to_serial):
            raise by_hand(context, model.table, f"{name} changes between SERIAL and Identity")
    computed = [it.server_default for it in columns if isinstance(it.server_default, sa.Computed)]
    if not computed:
        return False
    shown: list[Any] = [sql_of(it.sqltext, context.dialect) for it in computed]
    if context.dialect.name == "postgresql":
        table = quoted_name(context.dialect, model.table.schema, model.table.name)
        shown = [explained(context, f"{sql} FROM ONLY {table}") for sql in shown]
    else:
        shown = [re.sub(r"[\s()`'\"\[\]]", "", sql).lower() for sql in shown]
    if len(shown) == 2 and shown[0] == shown[1]:
        return True
    if len(shown) == 2 and context.dialect.name in mysql.NAMES:
        return False
    raise by_hand(context, model.table, f"model and database compute {name} differently")


def refuse_without_numbers(
    context: AutogenContext, change: ops.AlterColumnOp, reflected: Any, model: Any
) -> None:
    """Refuse a primary key without numbers from the database, if its model expects them."""
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
        raise CommandError(
            f"{owner_name(context, model.table)}: the database does not generate {table}.{name},"
            f" but its model expects it; set autoincrement=False there, or execute by hand: {sql}"
        )


def by_hand(context: AutogenContext, table: sa.Table, what: str) -> CommandError:
    """Return the error for a change that has to be written by hand."""
    name = owner_name(context, table)
    return CommandError(f"{name}: {what}; write the change by hand: alembic --name {name} revision")


def owner_name(context: AutogenContext, table: sa.Table) -> str:
    """Return the name of the app that owns a table."""
    ownership: Ownership = context.opts["target_metadata"]
    app = ownership.owner(table.schema, table.name)
    return app.name if app else ""
