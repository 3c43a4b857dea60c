"""The operations of a new revision, in an order that every database accepts."""

from collections.abc import Iterator
from typing import TypeGuard

import sqlalchemy as sa
from alembic.operations import ops
from alembic.util import CommandError

from .enum_types import EnumTypeOp


def in_order(
    operations: list[ops.MigrateOperation], names: list[str]
) -> list[ops.MigrateOperation]:
    """Return operations in order: types, new tables, changes, drops.

    Drops of foreign keys alone precede new tables. New foreign keys alone follow other changes.
    `names` is the order in which tables are created; they are dropped in reverse.
    """
    positions = {name: position for position, name in enumerate(names)}
    dropped = {full_name(op) for op in operations if isinstance(op, ops.DropTableOp)}

    def place(operation: ops.MigrateOperation) -> tuple[int, int]:
        match operation:
            case EnumTypeOp(before=tuple(), after=tuple()):  # it commits whatever came before it
                return 0, 0
            case EnumTypeOp(after=None):
                return 7, 0
            case ops.CreateTableOp():
                return 3, positions.get(full_name(operation), 0)
            case ops.DropTableOp():
                return 6, -positions.get(full_name(operation), 0)
            case ops.ModifyTableOps(ops=changes):
                if all(map(drops_foreign_key, changes)):
                    return 2, 0
                return 5 if all(isinstance(op, ops.CreateForeignKeyOp) for op in changes) else 4, 0
        return 1, 0

    for change in operations:
        if isinstance(change, ops.ModifyTableOps):
            if full_name(change) in dropped:  # a foreign key may block the drop of another table
                change.ops = list(filter(drops_foreign_key, change.ops))
            # MySQL does not drop an index while a foreign key needs it.
            change.ops.sort(
                key=lambda op: isinstance(op, ops.CreateForeignKeyOp) - drops_foreign_key(op)
            )
    empty = [op for op in operations if isinstance(op, ops.ModifyTableOps) and op.is_empty()]
    return sorted((op for op in operations if op not in empty), key=place)


def separate_keys(creating: ops.OpContainer, dropping: ops.OpContainer, alter: bool) -> list[str]:
    """Return the names of new tables, each after the tables that it refers to.

    Move keys that have to wait into operations of their own, because their tables refer to each
    other, or because the same revision makes the referred column unique. For a key of a new table,
    also add its drop to `dropping`. Without `alter`, as on SQLite, a new table keeps all its keys.
    """
    tables = {full_name(op): op for op in creating.ops if isinstance(op, ops.CreateTableOp)}
    changes = [op for op in creating.ops if isinstance(op, ops.ModifyTableOps)]
    changed = {column for change in changes for column in changed_columns(change)}
    begun: list[str] = []
    done: list[str] = []

    def visit(table: ops.CreateTableOp) -> None:
        name = full_name(table)
        begun.append(name)
        keys = [item for item in table.columns if isinstance(item, sa.ForeignKeyConstraint)]
        for key in sorted(keys, key=lambda key: tuple(key.column_keys)):
            waits = bool(key.use_alter or changed & targets(key))
            other = key.elements[0].target_fullname.rpartition(".")[0]
            if other in tables and other not in begun and not waits:
                visit(tables[other])
            if alter and (waits or other in set(begun) - {*done, name}):
                if not isinstance(key.name, str):
                    raise CommandError(
                        f"the foreign key of {name} to {other} has to be added later, and has no"
                        " name; give it one: ForeignKey(..., name=...)"
                    )
                table.columns = [item for item in table.columns if item is not key]
                creating.ops.append(alone(table, ops.CreateForeignKeyOp.from_constraint(key)))
                dropping.ops.append(alone(table, ops.DropConstraintOp.from_constraint(key)))
        done.append(name)

    for change in changes:
        keys = (ops.CreateForeignKeyOp, ops.DropConstraintOp)
        for op in [op for op in change.ops if isinstance(op, keys)]:
            if changed & targets(op.to_constraint()):
                change.ops.remove(op)
                creating.ops.append(alone(change, op))
    for name in tables:  # in Alembic's order, which respects `add_is_dependent_on`
        if name not in begun:
            visit(tables[name])
    return done


def alone(
    table: ops.CreateTableOp | ops.ModifyTableOps, operation: ops.MigrateOperation
) -> ops.ModifyTableOps:
    """Return a change to a table that consists of this one operation."""
    return ops.ModifyTableOps(table.table_name, [operation], schema=table.schema)


def changed_columns(change: ops.ModifyTableOps) -> Iterator[str]:
    """Yield `table.column` for columns that are added or dropped, or whose keys or indexes are."""
    for diff in change.as_diffs():
        match diff:
            case (_, _, _, sa.Column(name=name)):
                yield f"{full_name(change)}.{name}"
            case (_, sa.Index() | sa.UniqueConstraint() | sa.PrimaryKeyConstraint() as item):
                yield from (f"{full_name(change)}.{column.name}" for column in item.columns)


def targets(key: sa.Constraint) -> set[str]:
    """Return the columns that a foreign key refers to, as `table.column`; else nothing."""
    return {element.target_fullname for element in getattr(key, "elements", ())}


def drops_foreign_key(operation: ops.MigrateOperation) -> TypeGuard[ops.DropConstraintOp]:
    """Return True if an operation drops a foreign key."""
    return isinstance(operation, ops.DropConstraintOp) and operation.constraint_type == "foreignkey"


def full_name(operation: ops.CreateTableOp | ops.DropTableOp | ops.ModifyTableOps) -> str:
    """Return the name of a table as foreign keys write it, with its schema if it has one."""
    return ".".join(filter(None, (operation.schema, operation.table_name)))
