"""Changes between models and database, in words."""

from collections.abc import Iterator

from alembic.operations import ops


def describe(operations: ops.OpContainer) -> list[str]:
    """What a revision does, a few words for each change: `add users email`, `drop books`."""
    return list(dict.fromkeys(_describe(operations, created=set())))


def _describe(container: ops.OpContainer, created: set[str]) -> Iterator[str]:
    for operation in container.ops:
        match operation:
            case ops.OpContainer():
                yield from _describe(operation, created)
            case ops.CreateTableOp(table_name=table):
                created.add(table)
                yield f"create {table}"
            case ops.DropTableOp(table_name=table):
                created.add(table)
                yield f"drop {table}"
            case ops.AddColumnOp(table_name=table, column=column):
                yield f"add {table} {column.name}"
            case ops.DropColumnOp(table_name=table, column_name=column):
                yield f"drop {table} {column}"
            case ops.AlterColumnOp(table_name=table, column_name=column):
                yield f"alter {table} {column}"
            case ops.CreateIndexOp(table_name=table, index_name=index):
                if table not in created:
                    yield f"add {table} index {index}"
            case ops.DropIndexOp(table_name=table, index_name=index):
                if table not in created:
                    yield f"drop {table} index {index}"
            case ops.AddConstraintOp():
                constraint = operation.to_constraint()
                yield f"add {constraint.table.name} constraint {constraint.name}"
            case ops.DropConstraintOp(table_name=table, constraint_name=constraint):
                yield f"drop {table} constraint {constraint}"
            case _:
                yield type(operation).__name__.removesuffix("Op").lower()
