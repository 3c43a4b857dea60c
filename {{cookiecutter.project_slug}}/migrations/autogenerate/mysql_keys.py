"""The indexes that MySQL and MariaDB need for foreign keys, and create where none exists."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.schema import conv

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
            # By name, because a table that others refer to may have been reflected twice.
            keys = {str(key.name): key for key in reflected.foreign_key_constraints}
            for key in foreign_keys(change, ops.DropConstraintOp):
                keys.pop(str(key.name), None)
            staying = [key for _, key in sorted(keys.items())]
            before = indexes_in([*reflected.indexes, *reflected.constraints])
            after = indexes_in([*model.indexes, *model.constraints])
            new = foreign_keys(change, ops.CreateForeignKeyOp)
            after = indexes_made_for([*staying, *new], after) | after
            make_way(change, staying, before, after)
            make_way(backwards[change.schema, change.table_name], staying, after, before)


def make_way(
    change: ops.ModifyTableOps, staying: list[Any], before: Indexes, after: Indexes
) -> None:
    """Let a change of one table drop indexes that foreign keys need.

    Create the index that replaces one first. Without such an index, drop the key and recreate it.
    """
    drops = index_operations(change, ops.DropIndexOp | ops.DropConstraintOp)
    creates = index_operations(change, ops.CreateIndexOp | ops.CreateUniqueConstraintOp)
    columns = {it.column_name for it in change.ops if isinstance(it, ops.DropColumnOp)}
    made = {
        (str(name), tuple(key.column_keys))
        for key in foreign_keys(change, ops.DropConstraintOp)
        for name in (key.name, key.column_keys[0])
    }
    left_behind = {
        name
        for name, indexed in made & before.items() - after.items()
        if name not in drops and not columns.issuperset(indexed)
    }
    for key in staying:
        lost = {name for name in drops.keys() | left_behind if serves(before.get(name, ()), key)}
        kept = [it for name, it in before.items() if it == after.get(name) and name not in lost]
        if not lost or any(serves(it, key) for it in kept):
            continue
        instead = [it for name, it in creates.items() if serves(after.get(name, ()), key)]
        if instead and not lost & (creates.keys() | left_behind):
            change.ops.remove(instead[0])
            change.ops.insert(min(change.ops.index(drops[name]) for name in lost), instead[0])
        else:
            change.ops.insert(0, ops.DropConstraintOp.from_constraint(key))
            change.ops.append(ops.CreateForeignKeyOp.from_constraint(key))
    for name in sorted(left_behind):
        drop = ops.DropIndexOp(conv(name), change.table_name, schema=change.schema)
        change.ops.insert(0, drop)


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


def foreign_keys(change: ops.ModifyTableOps, kind: Any) -> list[sa.ForeignKeyConstraint]:
    """Return the foreign keys that operations of this kind create or drop."""
    found = [it.to_constraint() for it in change.ops if isinstance(it, kind)]
    return [it for it in found if isinstance(it, sa.ForeignKeyConstraint)]


def index_operations(change: ops.ModifyTableOps, kinds: Any) -> dict[str, ops.MigrateOperation]:
    """Return the operations of these kinds that create or drop indexes, by the index's name."""
    found: dict[str, ops.MigrateOperation] = {}
    for operation in change.ops:
        if isinstance(operation, kinds):
            has_index = isinstance(operation, ops.CreateIndexOp | ops.DropIndexOp)
            item = operation.to_index() if has_index else operation.to_constraint()
            found |= dict.fromkeys(indexes_in([item]), operation)
    return found


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
