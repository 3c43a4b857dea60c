"""Indexes of PostgreSQL, which rewrites their expressions and conditions."""

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops

from .sql import explained, quoted_name, sql_of


def compare_indexes(
    context: AutogenContext, changes: ops.ModifyTableOps, reflected: sa.Table, model: sa.Table
) -> None:
    """Leave out expressions that only look changed; compare the options that Alembic ignores."""
    source = f"FROM ONLY {quoted_name(context.dialect, model.schema, model.name)}"
    existing = {index.name: index for index in reflected.indexes}
    for after in model.indexes:
        if (before := existing.get(after.name)) is None:
            continue
        found = [op for op in changes.ops if getattr(op, "index_name", None) == after.name]
        pair = [described(context, index, source, bool(found)) for index in (before, after)]
        if not found and pair[0] != pair[1]:
            changes.ops.append(ops.DropIndexOp.from_index(before))
            changes.ops.append(ops.CreateIndexOp.from_index(after))
        elif pair[0] == pair[1] and pair[0]["expressions"]:
            changes.ops = [op for op in changes.ops if op not in found]


def described(
    context: AutogenContext, index: sa.Index, source: str, expressions: bool
) -> dict[str, Any]:
    """Return what defines an index; its expressions only if `expressions` is true."""

    def shown(*items: Any) -> list[str] | None:
        sql = [sql_of(item, context.dialect) for item in items]
        # In parentheses, `x DESC` is not valid. Without them, it would be `x` named `desc`.
        return explained(context, f"({'), ('.join(sql)}) {source}")

    options = index.dialect_options["postgresql"]
    return {
        "unique": bool(index.unique),
        "include": [getattr(column, "name", column) for column in options["include"] or ()],
        "using": options["using"] or "btree",
        "where": options["where"] is not None and shown(options["where"]),
        "nulls": bool(options["nulls_not_distinct"]),
        "expressions": expressions and shown(*index.expressions),
    }
