"""The indexes that MySQL and MariaDB need for foreign keys, and create where none exists."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.schema import conv

from .operation_order import drops_foreign_key

TABLES = "the table in the database and in the models"
"""The key in `ModifyTableOps.info` under which the comparison keeps both states of a table."""

Indexes = dict[str, tuple[str | None, ...]]
"""Indexes, unique constraints and primary keys by name, with columns; None is an expression."""


def remember_tables(_: AutogenContext, changes: ops.ModifyTableOps, *tables: sa.Table) -> None:
    """Keep both states of a table for `make_way_for_indexes`."""
    changes.info[TABLES] = tables


def make_way_for_indexes(upgrade: ops.OpContainer, downgrade: ops.OpContainer) -> None:
    """Let revisions change the indexes that foreign keys need.

    The server creates an index for a foreign key that has none. A later index that begins with the
    key's columns replaces it. The server refuses to drop the last index of a key. When the key is
    dropped, the index that the server created stays.
    """
    changed = [it for it in downgrade.ops if isinstance(it, ops.ModifyTableOps)]
    backwards = {(it.schema, it.table_name): it for it in changed}
    for change in upgrade.ops:
        if isinstance(change, ops.ModifyTableOps) and TABLES in change.info:
            reflected, model = change.info[TABLES]
            back = backwards[change.schema, change.table_name]
            # By name, because a table that others refer to may have been reflected twice.
            keys = {str(key.name): key for key in reflected.foreign_key_constraints}
            for key in dropped_keys(change):
                keys.pop(str(key.name), None)
            staying = [key for _, key in sorted(keys.items())]
            before = indexes_in([*reflected.indexes, *reflected.constraints])
            after = indexes_in([*model.indexes, *model.constraints])
            after |= indexes_made_for([*staying, *dropped_keys(back)], after)
            make_way(change, staying, before, after)
            make_way(back, staying, after, before)


def make_way(
    change: ops.ModifyTableOps, staying: list[Any], before: Indexes, after: Indexes
) -> None:
    """Let a change of one table drop indexes; drop and create again the keys that need them."""
    drops = ops.DropIndexOp | ops.DropConstraintOp
    dropped = [it for it in change.ops if isinstance(it, drops) and not drops_foreign_key(it)]
    items: list[Any] = [it.to_diff_tuple()[1] for it in dropped]
    going = {str(item.name) for item in items}
    columns = {it.column_name for it in change.ops if isinstance(it, ops.DropColumnOp)}
    for key in dropped_keys(change):
        indexed = tuple(key.column_keys)
        for name in sorted({str(key.name), indexed[0]} - going):
            left = before.get(name) == indexed != after.get(name)
            if left and not columns.issuperset(indexed):
                going.add(name)
                drop = ops.DropIndexOp(conv(name), change.table_name, schema=change.schema)
                change.ops.insert(0, drop)
    for key in staying:
        serving = {name for name, indexed in before.items() if serves(indexed, key)}
        kept = [it for it in serving - going if before[it] == after.get(it)]
        if serving & going and not kept:
            change.ops.insert(0, ops.DropConstraintOp.from_constraint(key))
            change.ops.append(ops.CreateForeignKeyOp.from_constraint(key))


def indexes_made_for(keys: Iterable[Any], indexes: Indexes) -> Indexes:
    """Return the indexes that the server creates for foreign keys if these indexes exist.

    An index with more columns also serves a key. Keys with the same columns share the last's index.
    """
    without = [key for key in keys if not any(serves(it, key) for it in indexes.values())]
    made = {tuple(key.column_keys): key for key in without}
    return {
        str(key.name or columns[0]): columns
        for columns, key in made.items()
        if not any(serves(other, key) for other in made if other != columns)
    }


def dropped_keys(change: ops.ModifyTableOps) -> list[Any]:
    """Return the foreign keys that a change drops."""
    return [it.to_constraint() for it in change.ops if drops_foreign_key(it)]


def indexes_in(items: Iterable[Any]) -> Indexes:
    """Return the indexes, unique constraints and primary keys among items of a table.

    The server names one without a name after its first column.
    """
    found: Indexes = {}
    for item in items:
        if isinstance(item, sa.Index | sa.UniqueConstraint | sa.PrimaryKeyConstraint):
            parts = getattr(item, "expressions", item.columns)
            columns = tuple(getattr(part, "name", None) for part in parts)
            primary = isinstance(item, sa.PrimaryKeyConstraint)
            found["PRIMARY" if primary else str(item.name or columns[0])] = columns
    return found


def serves(columns: tuple[str | None, ...], key: sa.ForeignKeyConstraint) -> bool:
    """Return True if a foreign key can use an index on these columns."""
    return list(columns[: len(key.column_keys)]) == key.column_keys
