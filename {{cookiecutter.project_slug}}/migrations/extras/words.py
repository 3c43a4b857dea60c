"""Changes in words: for the messages of new revisions, and for what `check` and `adopt` print."""

from collections.abc import Iterator

from alembic.operations import ops


def in_words(operations: ops.OpContainer, details: bool = False) -> list[str]:
    """Return what a revision does, a few words for each change, such as `add TABLE COLUMN`.

    What follows from another change is left out, such as the index of a new column. With
    `details`, a changed column says what of it changes.
    """
    told = {op.table_name for op in operations.ops if isinstance(op, ops.DropTableOp)}
    return list(dict.fromkeys(_in_words(operations, told, details)))


def _in_words(container: ops.OpContainer, told: set[str], details: bool) -> Iterator[str]:
    for operation in container.ops:
        match operation:
            case ops.OpContainer():
                yield from _in_words(operation, told, details)
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
                what = f" ({', '.join(_altered(operation))})" if details else ""
                yield f"alter {table} {column}{what}"
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
            case _:  # a plug-in's own
                yield str(getattr(operation, "words", type(operation).__name__))


def _altered(column: ops.AlterColumnOp) -> Iterator[str]:
    """Yield what of a column is altered."""
    if column.modify_type is not None:
        yield f"{column.existing_type!r} to {column.modify_type!r}"
    if column.modify_nullable is not None:
        yield "to nullable" if column.modify_nullable else "to NOT NULL"
    if column.modify_server_default is not False:
        yield "server default"
    if column.modify_comment is not False:
        yield "comment"
