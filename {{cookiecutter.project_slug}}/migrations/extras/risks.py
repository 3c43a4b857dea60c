"""Warnings about what a new revision may do to data and programs, with what to do instead."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic.operations import ops

from ..apps import App
from ..run import Run


def warnings(_: Run, app: App, operations: ops.UpgradeOps) -> Iterator[str]:
    """Yield a line for each operation that may lose data, fail on it, or lock a big table."""
    dialect = app.database[0]
    created = [op for op in operations.ops if isinstance(op, ops.CreateTableOp)]
    new = {(op.schema, op.table_name) for op in created}
    for operation in operations.ops:
        if isinstance(operation, ops.DropTableOp):
            name = operation.table_name
            names = [op.table_name for op in created]
            advice = instead_of_drop(names, f'rename_table("{name}", "')
            yield f"drops the table {name} and its rows; {advice}"
        elif (
            isinstance(operation, ops.ModifyTableOps)
            and (operation.schema, operation.table_name) not in new
        ):
            yield from risks_of_table(operation, dialect)


def risks_of_table(table: ops.ModifyTableOps, dialect: str) -> Iterator[str]:
    """Yield the risks of the changes to one existing table."""
    added = [op.column.name for op in table.ops if isinstance(op, ops.AddColumnOp)]
    for operation in table.ops:
        match operation:
            case ops.DropColumnOp(column_name=name):
                advice = instead_of_drop(added, f'alter_column("{name}", new_column_name="')
                yield f"drops {table.table_name}.{name} and its data; {advice}"
            case ops.AddColumnOp(column=column):
                # Computed columns and identities also count as server defaults.
                if not column.nullable and column.server_default is None:
                    effect = "gives old rows '' or 0" if dialect == "mysql" else "fails on old rows"
                    yield (
                        f"{table.table_name}.{column.name} is NOT NULL without server_default,"
                        f" which {effect}; add it nullable, fill it, then alter it"
                    )
            case ops.AlterColumnOp():
                yield from risks_of_column(operation, dialect)
            case ops.CreateIndexOp(index_name=index, kw=options):
                if dialect == "postgresql" and not options.get("postgresql_concurrently"):
                    yield (
                        f"building {index} locks out writers; on a big table, create it with"
                        " postgresql_concurrently=True inside op.get_context().autocommit_block()"
                    )


def risks_of_column(operation: ops.AlterColumnOp, dialect: str) -> Iterator[str]:
    """Yield the risks of a change to NOT NULL, and of a change of type."""
    column = f"{operation.table_name}.{operation.column_name}"
    if operation.modify_nullable is False:
        lock = " and reads the whole table under a lock" if dialect == "postgresql" else ""
        yield f"{column} becomes NOT NULL, which fails on NULLs{lock}; first fill them"
    after = operation.modify_type
    if after is not None and not is_longer(operation.existing_type, after):
        yield (
            f"{column} changes its type, which may cut or refuse values and locks the table;"
            " a new column, filled in batches, is safer"
        )


def instead_of_drop(added: list[str], rename: str) -> str:
    """Return what to do instead of a drop; autogenerate takes a rename for a drop and an add."""
    if not added:
        return "first deploy code that does not use it"
    new_name = added[0] if len(added) == 1 else "..."
    return f'if it was renamed, write {rename}{new_name}") instead'


def is_longer(before: object, after: object) -> bool:
    """Return True if a text type only gets longer, which loses nothing."""
    if not (isinstance(before, sa.String) and isinstance(after, sa.String)):
        return False
    if isinstance(before, sa.Enum) or isinstance(after, sa.Enum):
        return False
    return after.length is None or (before.length is not None and before.length <= after.length)
