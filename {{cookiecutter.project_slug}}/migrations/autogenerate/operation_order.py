"""The operations of a new revision, in an order that every database accepts."""

from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from . import mysql_keys
from .column_changes import in_steps
from .domains_and_sequences import StatementOp
from .enum_types import EnumTypeOp
from .separate_keys import drops_foreign_key, full_name, separate_keys
from .sql import without_doubled_percents


def sort_operations(
    context: MigrationContext, _revision: Any, scripts: list[ops.MigrationScript]
) -> None:
    """Put the operations of new revisions into an order that every database accepts.

    Alembic calls this before it writes them (`process_revision_directives`).
    """
    # Alembic renders SQL with this dialect, and has no option to keep percent signs single.
    context.impl.dialect = without_doubled_percents(context.impl.dialect)
    for script in scripts:
        for upgrade, downgrade in zip(
            script.upgrade_ops_list, script.downgrade_ops_list, strict=True
        ):
            for operation in upgrade.ops:
                if isinstance(operation, ops.CreateTableOp):
                    operation.columns = [*operation.columns, *checks_in_columns(operation)]
            mysql_keys.make_way_for_indexes(upgrade, downgrade)
            for change in [*upgrade.ops, *downgrade.ops]:
                if context.dialect.name == "postgresql" and isinstance(change, ops.ModifyTableOps):
                    change.ops = [step for it in change.ops for step in in_steps(it)]
            upgrade.ops = [with_schemas(operation) for operation in upgrade.ops]
            downgrade.ops = [with_schemas(operation) for operation in downgrade.ops]
            # One direction drops the tables that the other creates.
            alter = context.dialect.supports_alter
            names = separate_keys(upgrade, downgrade, alter)
            names += separate_keys(downgrade, upgrade, alter)
            upgrade.ops = in_order(upgrade.ops, names)
            downgrade.ops = in_order(downgrade.ops, names)


def checks_in_columns(operation: ops.CreateTableOp) -> list[sa.CheckConstraint]:
    """Return the checks in the columns of a new table, which Alembic leaves out."""
    found: list[Any] = [check for it in columns_of(operation) for check in it.constraints]
    checks = [sa.CheckConstraint(check.sqltext, name=check.name) for check in found]
    sa.Table(operation.table_name, sa.MetaData(), *checks)  # only then are they rendered
    return checks


def with_schemas(operation: ops.MigrateOperation) -> ops.MigrateOperation:
    """Return an operation whose foreign keys name a schema only if the other table has one.

    If the MetaData has a schema, Alembic would write that schema into all of them.
    """
    columns = columns_of(operation)
    if not columns or not columns[0].table.metadata.schema:
        return operation
    assert isinstance(operation, ops.CreateTableOp)
    table, without_schema = columns[0].table, sa.MetaData()
    for each in {table, *(key.column.table for key in table.foreign_keys)}:
        each.to_metadata(
            without_schema, referred_schema_fn=lambda _, __, key, ___: key.referred_table.schema
        )
    copied = without_schema.tables[table.key]
    created = ops.CreateTableOp.from_table(copied)
    # Only the foreign keys: in a copy, types change their schema, and constraints their name.
    kept = [item for item in operation.columns if not isinstance(item, sa.ForeignKeyConstraint)]
    created.columns = [*kept, *copied.foreign_key_constraints]
    return created


def columns_of(operation: ops.MigrateOperation) -> list[sa.Column[Any]]:
    """Return the columns of a table that is created; none for any other operation."""
    items = operation.columns if isinstance(operation, ops.CreateTableOp) else ()
    return [item for item in items if isinstance(item, sa.Column)]


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
            case EnumTypeOp(only_adds=True):  # it commits whatever came before it
                return 0, 0
            case EnumTypeOp(after=None):
                return 7, 0
            case StatementOp(do=statement) if statement.startswith("DROP"):
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
