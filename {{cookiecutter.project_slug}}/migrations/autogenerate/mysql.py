"""What is particular to MySQL and MariaDB: indexes that foreign keys need, types, NOT NULL."""

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import PriorityDispatchResult
from sqlalchemy.dialects.mysql import LONGTEXT, SET
from sqlalchemy.schema import conv

NAMES = ("mysql", "mariadb")

TABLES = "the table in the database and in the models"
"""The key of `ModifyTableOps.info` by which the comparison passes them on."""

SIZES = {"TINY": 8, "": 16, "MEDIUM": 24, "LONG": 32}
"""The kinds of BLOB and TEXT, with the bits of the length of what fits in."""

JSON_CHECK = sa.text("""
    SELECT 1 FROM information_schema.check_constraints
    WHERE constraint_schema = coalesce(:schema, database())
      AND table_name = :table AND check_clause = :clause
""")

REWRITTEN = (sa.Numeric, sa.Float, sa.Date, sa.DateTime, sa.Time)
"""The types whose defaults the server rewrites: it makes 1.00 of '1'."""

Indexes = dict[str, tuple[str | None, ...]]
"""The columns of indexes, unique constraints and primary keys by name; None is an expression."""


def remember_tables(
    _context: AutogenContext, changes: ops.ModifyTableOps, *tables: Any
) -> PriorityDispatchResult:
    """Keep both states of a table for `make_way_for_indexes`."""
    changes.info[TABLES] = tables[-2:]
    return PriorityDispatchResult.CONTINUE


def make_way_for_indexes(upgrade: ops.OpContainer, downgrade: ops.OpContainer) -> None:
    """Let revisions change the indexes that foreign keys need.

    The server makes an index for a foreign key that has none. Another one that begins with the
    key's columns replaces it. The server refuses to drop the last index of a key, and leaves the
    one that it made behind when the key goes.
    """
    changed = [it for it in downgrade.ops if isinstance(it, ops.ModifyTableOps)]
    backwards = {(it.schema, it.table_name): it for it in changed}
    for change in upgrade.ops:
        reflected, model = change.info.get(TABLES, (None, None))
        if isinstance(change, ops.ModifyTableOps) and reflected is not None and model is not None:
            # By name: a table that another one refers to may have been reflected twice.
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
    """Let one table lose indexes that foreign keys need.

    Another index is created first. Where none is, the key goes as well, and comes back at the end.
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
    """Return the indexes that the server makes for foreign keys, next to other indexes.

    One with more columns serves a key, too. Of two keys with the same columns, the last has it.
    """
    without = [key for key in keys if not any(serves(it, key) for it in indexes.values())]
    made = {tuple(key.column_keys): key for key in without}
    return {
        str(key.name or columns[0]): columns
        for columns, key in made.items()
        if not any(serves(other, key) for other in made if other != columns)
    }


def foreign_keys(change: ops.ModifyTableOps, kind: Any) -> list[sa.ForeignKeyConstraint]:
    """Return the foreign keys that operations of this kind are for."""
    found = [it.to_constraint() for it in change.ops if isinstance(it, kind)]
    return [it for it in found if isinstance(it, sa.ForeignKeyConstraint)]


def index_operations(change: ops.ModifyTableOps, kinds: Any) -> dict[str, ops.MigrateOperation]:
    """Return the operations of these kinds that are for indexes, by their names."""
    found: dict[str, ops.MigrateOperation] = {}
    for operation in change.ops:
        if isinstance(operation, kinds):
            has_index = isinstance(operation, ops.CreateIndexOp | ops.DropIndexOp)
            item = operation.to_index() if has_index else operation.to_constraint()
            found |= dict.fromkeys(indexes_in([item]), operation)
    return found


def indexes_in(items: Iterable[Any]) -> Indexes:
    """Return the indexes, unique constraints and primary keys among items of a table.

    The server calls one without a name like its first column.
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
    """Return True if an index on these columns is one that a foreign key can use."""
    return list(columns[: len(key.column_keys)]) == key.column_keys


def compare_type(
    context: AutogenContext, change: ops.AlterColumnOp, *names_and_columns: Any
) -> PriorityDispatchResult:
    """Compare what Alembic leaves out of a type, and know what the server makes of one."""
    reflected, model = (column.type for column in names_and_columns[-2:])
    wanted = model.dialect_impl(context.dialect)
    while isinstance(wanted, sa.TypeDecorator):
        wanted = wanted.impl_instance.dialect_impl(context.dialect)
    if isinstance(wanted, sa.types.NullType):  # the model leaves it open
        return PriorityDispatchResult.CONTINUE
    sql = wanted.compile(dialect=context.dialect)
    changed = None
    if isinstance(wanted, sa.JSON) and isinstance(reflected, LONGTEXT):
        change.existing_type = model  # else altering the column takes away MariaDB's check of it
        changed = False
    elif sql != "LONGTEXT" and isinstance(reflected, LONGTEXT) and is_json(context, change):
        change.existing_type, changed = sa.JSON(), True
    elif isinstance(wanted, SET) and isinstance(reflected, SET):
        changed = wanted.values != reflected.values
    elif {getattr(it, "unsigned", None) for it in (wanted, reflected)} == {True, False}:
        changed = isinstance(wanted, sa.Integer) or None
    elif made := types_made_of(sql):
        changed = type(reflected).__name__ not in made
    if changed:
        change.modify_type = model
    return PriorityDispatchResult.CONTINUE if changed is None else PriorityDispatchResult.STOP


def is_json(context: AutogenContext, change: ops.AlterColumnOp) -> bool:
    """Return True if a text is MariaDB's JSON, whose check is all that tells it."""
    if not getattr(context.dialect, "is_mariadb", False):
        return False
    clause = f"json_valid(`{change.column_name}`)"
    table = {"schema": change.schema, "table": change.table_name, "clause": clause}
    assert context.connection is not None
    return context.connection.scalar(JSON_CHECK, table) is not None


def types_made_of(sql: str) -> set[str]:
    """Return what the server makes of a type with a length, whatever the bytes of a letter."""
    match = re.fullmatch(r"(FLOAT|BLOB|TEXT)\((\d+)\)", sql)
    if not match:
        return set()
    kind, length = match[1], int(match[2])
    if kind == "FLOAT":
        return {"DOUBLE" if length > 24 else kind}
    widths = (1,) if kind == "BLOB" else (1, 2, 3, 4)
    return {next(it for it in SIZES if length * width >> SIZES[it] == 0) + kind for width in widths}


def is_same_literal(context: AutogenContext, column: sa.Column[Any], *defaults: str) -> bool:
    """Return True if a number or a time takes two literals in SQL for the same value."""
    literals = all(re.fullmatch(r"'[^']*'|[\d.+-]+", default) for default in defaults)
    if not literals or not isinstance(column.type, REWRITTEN):
        return False
    values: list[sa.ColumnElement[Any]] = [sa.literal_column(default) for default in defaults]
    floats = isinstance(column.type, sa.Float)  # the server has no CAST for them
    one, other = (it + 0 if floats else sa.cast(it, column.type) for it in values)
    assert context.connection is not None
    return bool(context.connection.scalar(sa.select(one == other)))


def leave_out_not_null(
    context: AutogenContext, _upgrade: ops.UpgradeOps, _schemas: Iterable[str | None]
) -> PriorityDispatchResult:
    """Take NOT NULL from the computed columns of the models: MariaDB does not accept it."""
    if getattr(context.dialect, "is_mariadb", False):
        for table in context.sorted_tables:
            for column in table.columns:
                column.nullable = column.nullable or column.computed is not None
    return PriorityDispatchResult.CONTINUE
