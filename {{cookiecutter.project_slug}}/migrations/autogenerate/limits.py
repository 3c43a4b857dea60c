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
from .sql import connection_of, explained, quoted_name, sql_of

EXCLUSIONS = sa.text("""
    SELECT n.nspname, r.relname, c.conname FROM pg_constraint c
    JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
    WHERE c.contype = 'x'
""")


def by_hand(context: AutogenContext, table: sa.Table, what: str) -> CommandError:
    """Return the error for a change that has to be written by hand."""
    ownership: Ownership = context.opts["target_metadata"]
    app = ownership.owner(table.schema, table.name)
    name = app.name if app else ""
    return CommandError(f"{name}: {what}; write the change by hand: alembic --name {name} revision")


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


def refuse_other_computed(
    context: AutogenContext, _: ops.AlterColumnOp, reflected: sa.Column[Any], model: sa.Column[Any]
) -> bool:
    """Refuse a change of a computed column.

    MySQL rewrites expressions. There, Alembic only warns of a possible change.
    """
    defaults = reflected.server_default, model.server_default
    computed = [default for default in defaults if isinstance(default, sa.Computed)]
    shown: list[Any] = [sql_of(default.sqltext, context.dialect) for default in computed]
    if context.dialect.name == "postgresql":
        table = quoted_name(context.dialect, model.table.schema, model.table.name)
        shown = [explained(context, f"{sql} FROM ONLY {table}") for sql in shown]
    else:
        shown = [re.sub(r"[\s()`'\"\[\]]", "", sql).lower() for sql in shown]
    same = len(shown) == 2 and shown[0] == shown[1]
    rewritten = len(shown) == 2 and context.dialect.name in ("mysql", "mariadb")
    if shown and not (same or rewritten):
        name = f"{model.table.name}.{model.name}"
        raise by_hand(context, model.table, f"model and database compute {name} differently")
    return same


def refuse_other_numbers(
    context: AutogenContext,
    change: ops.AlterColumnOp,
    reflected: sa.Column[Any],
    model: sa.Column[Any],
) -> None:
    """Refuse a change of an identity, and a primary key that the database does not number."""
    name = f"{model.table.name}.{model.name}"
    identity = any(isinstance(it.server_default, sa.Identity) for it in (reflected, model))
    if identity and change.modify_server_default is not False:
        raise by_hand(context, model.table, f"the identity of {name} differs from its model")
    numbered = model is model.table.autoincrement_column
    generated = bool(model.default or model.server_default or reflected.autoincrement)
    if numbered and not generated and context.dialect.name != "sqlite":
        what = f"the database does not number {name}, whose model has no autoincrement=False"
        raise by_hand(context, model.table, what)
