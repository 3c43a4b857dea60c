"""Differences that autogenerate cannot write: each raises an error that names it."""

import re
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import CommandError

from ..ownership import Ownership
from .sql import explained, quoted_name, sql_of


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
