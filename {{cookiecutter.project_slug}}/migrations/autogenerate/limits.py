"""Differences that autogenerate finds, or could, but cannot write: they are refused by name."""

import re
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import CommandError, PriorityDispatchResult
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from ..ownership import Ownership
from .server_defaults import SERIAL
from .sql import explained, quoted_name, sql_of


def refuse_other_keys(
    context: AutogenContext, _changes: ops.ModifyTableOps, *names_and_tables: Any
) -> PriorityDispatchResult:
    """Refuse a primary key of other columns, and an EXCLUDE constraint that comes or goes."""
    reflected, model = names_and_tables[-2:]
    if reflected is None or model is None:
        return PriorityDispatchResult.CONTINUE
    keys = [", ".join(column.name for column in it.primary_key) for it in (reflected, model)]
    if keys[0] and {*keys[0].split(", ")} != {*keys[1].split(", ")}:
        change = f"from ({keys[0]}) to ({keys[1]})"
        raise by_hand(context, model, f"the primary key of {model.name} changes {change}")
    if context.dialect.name == "postgresql" and context.inspector:
        # The index of such a constraint is the only one that has a constraint and is not unique.
        indexes = context.inspector.get_indexes(model.name, schema=model.schema)
        doubled = [it for it in indexes if it.get("duplicates_constraint") and not it["unique"]]
        before = {it["name"] for it in doubled}
        after = [it.name for it in model.constraints if isinstance(it, ExcludeConstraint)]
        if len(before) != len(after) or not (None in after or before == {*after}):
            raise by_hand(context, model, f"an EXCLUDE constraint of {model.name} comes or goes")
    return PriorityDispatchResult.CONTINUE


def refuse_other_values(
    context: AutogenContext, _change: ops.AlterColumnOp, *names_and_columns: Any
) -> PriorityDispatchResult:
    """Refuse a column that is computed in another way, and SERIAL in exchange for Identity.

    MySQL rewrites expressions: there, Alembic warns of what may be a change.
    """
    reflected, model = columns = names_and_columns[-2:]
    name = f"{model.table.name}.{model.name}"
    if context.dialect.name == "postgresql":
        before, after = (isinstance(it.server_default, sa.Identity) for it in columns)
        to_serial = model.server_default is None and model is model.table.autoincrement_column
        if (after and SERIAL in reflected.info) or (before and to_serial):
            raise by_hand(context, model.table, f"{name} changes between SERIAL and Identity")
    computed = [it.server_default for it in columns if isinstance(it.server_default, sa.Computed)]
    if not computed:
        return PriorityDispatchResult.CONTINUE
    shown: list[Any] = [sql_of(it.sqltext, context.dialect) for it in computed]
    if context.dialect.name == "postgresql":
        table = quoted_name(context.dialect, model.table.schema, model.table.name)
        shown = [explained(context.connection, f"{sql} FROM ONLY {table}") for sql in shown]
    else:
        shown = [re.sub(r"[\s()`'\"\[\]]", "", sql).lower() for sql in shown]
    if len(shown) == 2 and shown[0] == shown[1]:
        return PriorityDispatchResult.STOP
    if len(shown) == 2 and context.dialect.name in ("mysql", "mariadb"):
        return PriorityDispatchResult.CONTINUE
    raise by_hand(context, model.table, f"{name} is computed in another way than in the database")


def by_hand(context: AutogenContext, table: sa.Table, what: str) -> CommandError:
    """Return the error that says what to write by hand, and for which app."""
    ownership: Ownership = context.opts["target_metadata"]
    app = ownership.owner(table.schema, table.name)
    name = app.name if app else ""
    return CommandError(
        f"{name}: {what}, which you have to write by hand: alembic --name {name} revision"
    )
