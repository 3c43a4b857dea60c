"""The order of the operations in a new revision: one that every database accepts."""

from collections.abc import Iterable, Mapping
from copy import copy
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeGuard, TypeVar

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, ForeignKeyConstraint, MetaData

from .enum_types import EnumTypeOp

RENEWED = "foreign keys that a downgrade has to make anew"

TableOp = TypeVar("TableOp", ops.CreateTableOp, ops.DropTableOp)


def arrange(context: MigrationContext, _revision: Any, scripts: list[ops.MigrationScript]) -> None:
    """Put the operations of new revisions into an order that every database accepts."""
    # Some drivers get every percent sign twice; a revision must have it once.
    dialect = copy(context.impl.dialect)
    dialect.paramstyle, dialect.positional = "named", False
    dialect.identifier_preparer = dialect.preparer(dialect)
    context.impl.dialect = dialect
    for script in scripts:
        containers = [c for c in (script.upgrade_ops, script.downgrade_ops) if c is not None]
        for container in containers:
            container.ops = [with_full_names(operation) for operation in container.ops]
        # What the one direction drops, the other creates.
        references = dict(references_of(op) for container in containers for op in container.ops)
        renew_keys(*containers)
        for container in containers:
            container.ops = arranged(container.ops, references)


def with_full_names(operation: ops.MigrateOperation) -> ops.MigrateOperation:
    """Give a new table foreign keys that name their schema, if what they refer to has one.

    Else Alembic writes that of the models' MetaData in front of a table that has none.
    """
    if isinstance(operation, ops.CreateTableOp):
        for item in operation.columns:
            if isinstance(item, Column) and item.table.metadata.schema:
                table = item.table.to_metadata(MetaData(), referred_schema_fn=schema_to_name)
                return ops.CreateTableOp.from_table(table)
    return operation


def schema_to_name(_: Any, __: Any, key: ForeignKeyConstraint, ___: Any) -> str | None:
    """The schema that a foreign key names: what `Table.to_metadata` asks for."""
    return key.referred_table.schema


def renew_keys(upgrade: ops.OpContainer, downgrade: ops.OpContainer) -> None:
    """Have a downgrade make foreign keys anew whose own index has gone: they get it again."""
    tables = [op for op in downgrade.ops if isinstance(op, ops.ModifyTableOps)]
    backwards = {(table.schema, table.table_name): table for table in tables}
    for operation in upgrade.ops:
        for key in operation.info.get(RENEWED, ()):
            back = backwards[key.table.schema, key.table.name]
            back.ops.append(ops.DropConstraintOp.from_constraint(key))
            back.ops.append(ops.CreateForeignKeyOp.from_constraint(key))


def references_of(operation: ops.MigrateOperation) -> tuple[str, set[str]]:
    """The name of a new table, and the names of those that it refers to."""
    if not isinstance(operation, ops.CreateTableOp):
        return "", set()
    columns = [item for item in operation.columns if isinstance(item, Column)]
    keys = [key for column in columns for key in column.foreign_keys if not key.use_alter]
    return full_name(operation), {key.target_fullname.rpartition(".")[0] for key in keys}


def full_name(operation: TableOp) -> str:
    """The name of a table as SQLAlchemy has it in its foreign keys."""
    return ".".join(filter(None, (operation.schema, operation.table_name)))


def arranged(
    operations: Iterable[ops.MigrateOperation], references: Mapping[str, set[str]]
) -> list[ops.MigrateOperation]:
    """Types and new tables first, then changes, and last what goes.

    Labels are added before all else: that commits what came before it.
    """
    added: list[ops.MigrateOperation] = []
    types: list[ops.MigrateOperation] = []
    new: list[ops.CreateTableOp] = []
    changes: list[ops.ModifyTableOps] = []
    drops: list[ops.DropTableOp] = []
    unused: list[ops.MigrateOperation] = []
    for operation in operations:
        match operation:
            case ops.CreateTableOp():
                new.append(operation)
            case ops.DropTableOp():
                drops.append(operation)
            case ops.ModifyTableOps():
                # MySQL keeps an index for as long as a foreign key needs it.
                operation.ops.sort(
                    key=lambda op: isinstance(op, ops.CreateForeignKeyOp) - drops_foreign_key(op)
                )
                changes.append(operation)
            case EnumTypeOp(only_adds=True):
                added.append(operation)
            case EnumTypeOp(after=None):
                unused.append(operation)
            case _:
                types.append(operation)
    # A table takes its indexes with it, but waits for the keys of others.
    gone = {(drop.schema, drop.table_name) for drop in drops}
    for change in changes:
        if (change.schema, change.table_name) in gone:
            change.ops = list(filter(drops_foreign_key, change.ops))
    changes = [change for change in changes if change.ops]
    new, drops = referred_first(new, references), referred_first(drops, references)[::-1]
    return [*added, *types, *new, *changes, *drops, *unused]


def drops_foreign_key(operation: ops.MigrateOperation) -> TypeGuard[ops.DropConstraintOp]:
    """Whether an operation drops a foreign key."""
    return isinstance(operation, ops.DropConstraintOp) and operation.constraint_type == "foreignkey"


def referred_first(
    operations: Iterable[TableOp], references: Mapping[str, set[str]]
) -> list[TableOp]:
    """Order whole tables: each stands behind those that it refers to."""
    tables = {full_name(operation): operation for operation in operations}
    graph = {name: references.get(name, set()) & tables.keys() - {name} for name in sorted(tables)}
    try:
        return [tables[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError:  # they need an order made by hand
        return list(tables.values())
