"""Checks, foreign keys and indexes that only look changed, or whose change Alembic misses."""

import re
from copy import copy
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.schema import conv

from .operation_order import drops_foreign_key
from .sql import escape_colons, explained, quoted_name, sql_of, without_doubled_percents

STRING = re.compile("'(?:[^']|'')*'")
"""A string in SQL; the check of an Enum has one for each of its values."""

OPTIONS = ("onupdate", "ondelete", "deferrable", "initially")
"""The options of a foreign key that Alembic compares."""


def columns_of(operation: ops.MigrateOperation) -> list[sa.Column[Any]]:
    """Return the columns of a table that is created; none for any other operation."""
    items = operation.columns if isinstance(operation, ops.CreateTableOp) else ()
    return [item for item in items if isinstance(item, sa.Column)]


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


def add_checks_of_columns(upgrade: ops.OpContainer) -> None:
    """Add the checks in the columns of new tables, which Alembic leaves out."""
    for table in (op for op in upgrade.ops if isinstance(op, ops.CreateTableOp)):
        found: list[Any] = [check for it in columns_of(table) for check in it.constraints]
        checks = [sa.CheckConstraint(check.sqltext, name=check.name) for check in found]
        sa.Table(table.table_name, sa.MetaData(), *checks)  # only then are they rendered
        table.columns = [*table.columns, *checks]


def compare_checks_of_types(
    context: AutogenContext, changes: ops.ModifyTableOps, reflected: sa.Table, model: sa.Table
) -> None:
    """Leave out the checks of Boolean and Enum columns, which come and go with their columns.

    If an existing column gets such a type, create its check. If the values of an Enum change,
    replace its check, as Alembic cannot drop the old one. If the model has a check without a name,
    drop none: the database may have given it any name.
    """
    of_columns = [constraint for column in model.columns for constraint in column.constraints]
    constraints = [*model.constraints, *of_columns]
    checks: list[Any] = [check for check in constraints if isinstance(check, sa.CheckConstraint)]
    dialect = without_doubled_percents(context.dialect)
    final_name = dialect.identifier_preparer.format_constraint
    # `_type_bound` is private, but nothing else tells these checks from others.
    of_types = [check for check in checks if check._type_bound]
    names = {str(name) for check in of_types for name in (check.name, final_name(check))}
    names |= {str(getattr(column.type, "name", None)) for column in model.columns}
    unnamed = not all(isinstance(check.name, str) for check in checks)

    def stays(change: ops.MigrateOperation) -> bool:
        if isinstance(change, ops.DropConstraintOp) and change.constraint_type == "check":
            return not unnamed and str(change.constraint_name) not in names
        if isinstance(change, ops.CreateCheckConstraintOp):
            return str(change.constraint_name) not in names
        return True

    changes.ops = list(filter(stays, changes.ops))
    for change in changes.ops:
        kind: Any = getattr(change, "modify_type", None)
        if isinstance(change, ops.AlterColumnOp) and getattr(kind, "create_constraint", False):
            change.modify_type = kind = copy(kind)
            kind.create_constraint = False
    in_database: dict[str, Any] = {str(it.name): it for it in reflected.constraints}
    compiler: Any = dialect.ddl_compiler(dialect, None)  # type: ignore[arg-type]
    for check in sorted(of_types, key=lambda check: str(check.name)):
        # Also private: it is False where no check is needed, as on databases with a BOOLEAN type.
        if not (isinstance(check.name, str) and check._create_rule(compiler)):
            continue
        if any(column.name not in reflected.columns for column in check.columns):
            continue  # it is created with its column
        known_as = [str(final_name(check)).strip('"`'), str(check.name)]
        known_as += [str(column.type.name) for column in check.columns]
        name = next((name for name in known_as if name in in_database), known_as[0])
        condition = sql_of(check.sqltext, dialect)
        if name in in_database:
            if STRING.findall(str(in_database[name].sqltext)) == STRING.findall(condition):
                continue
            changes.ops.insert(0, ops.DropConstraintOp.from_constraint(in_database[name]))
        table, schema, text = changes.table_name, changes.schema, escape_colons(condition)
        changes.ops.append(ops.CreateCheckConstraintOp(conv(name), table, text, schema=schema))


def leave_out_same_foreign_keys(
    context: AutogenContext, changes: ops.ModifyTableOps, *_tables: Any
) -> None:
    """Leave out foreign keys that differ only because the model names the default schema."""
    table_key = context.opts["target_metadata"].key

    def meaning(key: ops.CreateForeignKeyOp) -> tuple[Any, ...]:
        options = {(it, str(value).lower()) for it, value in key.kw.items() if it in OPTIONS}
        options = {it for it in options if it[1] not in ("no action", "immediate")}
        table = table_key(key.kw["referent_schema"], key.referent_table)
        return table, key.local_cols, key.remote_cols, options

    added = [change for change in changes.ops if isinstance(change, ops.CreateForeignKeyOp)]
    for drop in filter(drops_foreign_key, changes.ops.copy()):
        before = meaning(ops.CreateForeignKeyOp.from_constraint(drop.to_constraint()))
        for add in added:
            if meaning(add) == before:
                changes.ops = [change for change in changes.ops if change not in (drop, add)]
    for add in added:  # else SQLite leaves out the key, because the schemas seem to differ
        add.kw["source_schema"] = changes.schema
        add.kw["referent_schema"], _ = table_key(add.kw["referent_schema"], add.referent_table)


def leave_out_same_indexes(
    context: AutogenContext, changes: ops.ModifyTableOps, reflected: sa.Table, model: sa.Table
) -> None:
    """Leave out PostgreSQL's indexes whose expressions only look changed."""
    source = f"FROM ONLY {quoted_name(context.dialect, model.schema, model.name)}"

    def shown(index: sa.Index) -> tuple[Any, ...] | None:
        sql = [sql_of(item, context.dialect) for item in index.expressions]
        # In parentheses, `x DESC` is not valid. Without them, it would be `x` named `desc`.
        expressions = explained(context, f"({'), ('.join(sql)}) {source}")
        nulls = bool(index.dialect_options["postgresql"]["nulls_not_distinct"])
        return (bool(index.unique), nulls, expressions) if expressions else None

    existing = {index.name: index for index in reflected.indexes}
    for after in model.indexes:
        found = [op for op in changes.ops if getattr(op, "index_name", None) == after.name]
        before = existing.get(after.name)
        if found and before is not None and shown(before) == shown(after) is not None:
            changes.ops = [op for op in changes.ops if op not in found]
