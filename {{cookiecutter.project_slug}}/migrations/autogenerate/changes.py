"""Changes between models and database, in words."""

from collections.abc import Iterator

from alembic.operations import ops

from .enum_types import EnumTypeOp


def describe(operations: ops.OpContainer, how: bool = False) -> list[str]:
    """What a revision does, a few words for each change: `add TABLE COLUMN`, `drop TABLE`.

    With `how`, also what of a column is altered.
    """
    told = {op.table_name for op in operations.ops if isinstance(op, ops.DropTableOp)}
    return list(dict.fromkeys(_describe(operations, told, how)))


def summarise(changes: list[str], width: int = 72) -> str:
    """As many of the changes as fit in a line, and the number of the others."""
    for count in range(len(changes), 0, -1):
        more = [f"and {len(changes) - count} more"] if count < len(changes) else []
        summary = ", ".join([*changes[:count], *more])
        if len(summary) <= width:
            return summary
    return f"{len(changes)} changes"


def _describe(container: ops.OpContainer, told: set[str], how: bool) -> Iterator[str]:
    """Describe each operation, but not what goes without saying: the index of a new column."""
    for operation in container.ops:
        match operation:
            case ops.OpContainer():
                yield from _describe(operation, told, how)
            case ops.CreateTableOp(table_name=table):
                told.add(table)
                yield f"create {table}"
            case ops.DropTableOp(table_name=table):
                yield f"drop {table}"
            case ops.AddColumnOp(table_name=table, column=column):
                told.add(f"{table} {column.name}")
                yield f"add {table} {column.name}"
            case ops.DropColumnOp(table_name=table, column_name=column):
                yield f"drop {table} {column}"
            case ops.AlterColumnOp(table_name=table, column_name=column):
                details = f" ({', '.join(_altered(operation))})" if how else ""
                yield f"alter {table} {column}{details}"
            case ops.CreateIndexOp(table_name=table, index_name=index, columns=columns):
                names = [getattr(column, "name", "an expression") for column in columns]
                if table not in told and not all(f"{table} {name}" in told for name in names):
                    yield f"add {table} index {index}"
            case ops.DropIndexOp(table_name=table, index_name=index):
                if table not in told:
                    yield f"drop {table} index {index}"
            case ops.AddConstraintOp():
                constraint = operation.to_constraint()
                on = [column.name for column in getattr(constraint, "columns", ())]
                name = constraint.name or f"on {', '.join(on)}"
                if constraint.table.name not in told:
                    yield f"add {constraint.table.name} constraint {name}"
            case ops.DropConstraintOp(table_name=table, constraint_name=constraint):
                yield f"drop {table} constraint {constraint}"
            case (
                ops.CreateTableCommentOp(table_name=table)
                | ops.DropTableCommentOp(table_name=table)
            ):
                yield f"comment {table}"
            case EnumTypeOp(name=name, before=before, after=after):
                verb = "create" if before is None else "drop" if after is None else "alter"
                yield f"{verb} type {name}"
            case _:
                yield type(operation).__name__.removesuffix("Op").lower()


def _altered(column: ops.AlterColumnOp) -> Iterator[str]:
    """What of a column is altered."""
    if column.modify_type is not None:
        yield f"{column.existing_type!r} to {column.modify_type!r}"
    if column.modify_nullable is not None:
        yield "to nullable" if column.modify_nullable else "to NOT NULL"
    if column.modify_server_default is not False:
        yield "server default"
    if column.modify_comment is not False:
        yield "comment"
