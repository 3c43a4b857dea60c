"""What Alembic's autogenerate overlooks, gets wrong or asks too often, put right for every app."""

import re
from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import (
    CheckConstraint,
    Column,
    DefaultClause,
    Enum,
    PrimaryKeyConstraint,
    Table,
    TextClause,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import conv
from sqlalchemy.types import SchemaType, TypeEngine

from .arranging import RENEWED, drops_foreign_key
from .enum_types import compare_enum_types, enum_reference, escape_colons
from .server_defaults import compare_server_default, find_serials

# A text in SQL, and the cast that PostgreSQL adds.
LITERAL = re.compile(r"""'((?:[^']|'')*)'(::[\w ".(),\[\]]+)?""")


def compare_type(
    context: MigrationContext,
    _reflected: Column[Any],
    _model: Column[Any],
    in_database: TypeEngine[Any],
    wanted: TypeEngine[Any],
) -> bool | None:
    """Whether a type changed; None leaves the decision to Alembic."""
    if not isinstance(in_database, postgresql.ENUM) or not isinstance(wanted, Enum):
        return None
    # Models may name the default schema, and then types have it as well.
    default_schema = context.dialect.default_schema_name
    schemas = {None if s == default_schema else s for s in (in_database.schema, wanted.schema)}
    return in_database.name != wanted.name or len(schemas) > 1


def compare_checks(
    context: AutogenContext,
    changes: ops.ModifyTableOps,
    _schema: str | None,
    _name: str,
    reflected: Table | None,
    model: Table | None,
) -> PriorityDispatchResult:
    """Compare check constraints by name, which Alembic by itself does not.

    Their conditions cannot be compared: databases rewrite them. With the project's naming
    convention a check has another name when its condition has changed.
    """
    if reflected is None or model is None:
        return PriorityDispatchResult.CONTINUE

    def final_name(check: CheckConstraint) -> str:
        return str(context.dialect.identifier_preparer.format_constraint(check))

    checks = [check for check in model.constraints if isinstance(check, CheckConstraint)]
    named = [check for check in checks if isinstance(check.name, str)]
    # The checks of Boolean and Enum columns come and go with their columns.
    of_types = {final_name(check) for check in named if check._type_bound}
    of_types |= {str(c.type.name) for c in model.columns if isinstance(c.type, SchemaType)}
    wanted = {final_name(check): check for check in named if not check._type_bound}
    existing = {
        final_name(check): check
        for check in reflected.constraints
        if isinstance(check, CheckConstraint) and check.name
    }
    # One that the database named could be any of those that the models leave unnamed.
    if named == checks:
        for name in sorted(existing.keys() - wanted.keys() - of_types):
            changes.ops.append(ops.DropConstraintOp.from_constraint(existing[name]))
    for name in sorted(wanted.keys() - existing.keys()):
        changes.ops.append(ops.AddConstraintOp.from_constraint(wanted[name]))
    return PriorityDispatchResult.CONTINUE


def add_keys_to_new_table(
    context: AutogenContext,
    changes: ops.ModifyTableOps,
    _schema: str | None,
    _name: str,
    reflected: Table | None,
    model: Table | None,
) -> PriorityDispatchResult:
    """Create the foreign keys with `use_alter` of a new table; Alembic would the next time."""
    assert context.dialect is not None
    if reflected is None and model is not None and context.dialect.supports_alter:
        keys = [key for key in model.foreign_key_constraints if key.use_alter]
        changes.ops.extend(ops.CreateForeignKeyOp.from_constraint(key) for key in keys)
    return PriorityDispatchResult.CONTINUE


def compare_key_indexes(
    _context: AutogenContext,
    changes: ops.ModifyTableOps,
    schema: str | None,
    name: str,
    reflected: Table | None,
    model: Table | None,
) -> PriorityDispatchResult:
    """Spell out the index that MySQL makes for a foreign key without one.

    Otherwise it stays behind when the key is dropped.
    """
    if reflected is None or model is None:
        return PriorityDispatchResult.CONTINUE
    made = {str(index.name): index for index in reflected.indexes}
    for position, change in reversed(list(enumerate(changes.ops))):
        if drops_foreign_key(change) and (index := made.get(str(change.constraint_name))):
            columns = [model.columns.get(column.name) for column in index.columns]
            if not any(column is not None and column.foreign_keys for column in columns):
                changes.ops.append(ops.DropIndexOp.from_index(index))
        elif isinstance(change, ops.CreateForeignKeyOp) and isinstance(change.constraint_name, str):
            new = ops.CreateIndexOp(
                conv(change.constraint_name), name, change.local_cols, schema=schema
            )
            if not indexes_on(model, change.local_cols):
                changes.ops.insert(position, new)
    return PriorityDispatchResult.CONTINUE


def keep_keys_indexed(
    _context: AutogenContext,
    changes: ops.ModifyTableOps,
    schema: str | None,
    name: str,
    reflected: Table | None,
    model: Table | None,
) -> PriorityDispatchResult:
    """See that no index is dropped which a foreign key needs: MySQL refuses that.

    The index that it made for the key goes by itself as soon as the columns have another.
    """
    if reflected is None or model is None:
        return PriorityDispatchResult.CONTINUE
    # By name: a table that another one refers to may have been reflected twice.
    keys = {str(key.name): key for key in reflected.foreign_key_constraints}
    for change in filter(drops_foreign_key, changes.ops):
        keys.pop(str(change.constraint_name), None)
    for key_name, key in keys.items():
        before = indexes_on(reflected, key.column_keys)
        after = indexes_on(model, key.column_keys)
        made = before & {key_name, key.column_keys[0]}
        if after - before and before == made:
            changes.info.setdefault(RENEWED, []).append(key)
        elif not after and not made:
            new = ops.CreateIndexOp(conv(key_name), name, key.column_keys, schema=schema)
            changes.ops.insert(0, new)
    return PriorityDispatchResult.CONTINUE


def indexes_on(table: Table, columns: Sequence[str]) -> set[str]:
    """The names of the indexes and constraints of a table that begin with these columns."""
    keys = [c for c in table.constraints if isinstance(c, UniqueConstraint | PrimaryKeyConstraint)]
    found = [(str(i.name), [column.name for column in i.columns]) for i in [*table.indexes, *keys]]
    return {name for name, names in found if names[: len(columns)] == list(columns)}


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """The code for something in a revision; False leaves it to Alembic.

    Which forgets the imports of types, and doubles percent signs in the defaults it has read.
    """
    if kind == "server_default" and isinstance(item, DefaultClause):
        literal = LITERAL.fullmatch(str(item.arg))
        if literal and isinstance(item.arg, TextClause):
            if "\\" in literal[1] and context.dialect.name in ("mysql", "mariadb"):
                return f"sa.text({escape_colons(str(item.arg))!r})"  # it shows them escaped
            return repr(literal[1].replace("''", "'"))
    if kind == "type":
        if context.dialect.name == "postgresql" and (code := enum_reference(item, context)):
            return code
        module = type(item).__module__
        own = not module.startswith("sqlalchemy.")
        if own:
            context.imports.add(f"import {module}")
        if own or (".dialects." in module and context.dialect.name not in module):
            # Alembic writes these as they show themselves, with bare names for types within.
            names = re.findall(r"(?<=[(=])[A-Z]\w*(?=\()", repr(item))
            known = [name for name in names if hasattr(sqlalchemy, name)]
            context.imports.update(f"from sqlalchemy import {name}" for name in known)
    return False


def setup(plugin: Plugin) -> None:
    """Register the comparators: see `Plugin.setup_plugin_from_module`."""
    plugin.add_autogenerate_comparator(compare_checks, "table", "checks")
    plugin.add_autogenerate_comparator(add_keys_to_new_table, "table", "keys")
    plugin.add_autogenerate_comparator(
        compare_server_default, "column", "server_default", priority=DispatchPriority.FIRST
    )
    plugin.add_autogenerate_comparator(
        find_serials, "schema", "serials", qualifier="postgresql", priority=DispatchPriority.FIRST
    )
    for dialect in ("mysql", "mariadb"):
        for comparator in (compare_key_indexes, keep_keys_indexed):
            plugin.add_autogenerate_comparator(
                comparator, "table", qualifier=dialect, priority=DispatchPriority.LAST
            )
    plugin.add_autogenerate_comparator(
        compare_enum_types, "schema", "enum types", qualifier="postgresql"
    )
