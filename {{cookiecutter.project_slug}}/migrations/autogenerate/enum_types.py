"""Enum types of PostgreSQL, which Alembic's autogenerate does not compare.

Revisions create, alter and drop the types; columns only refer to them. On other databases, where
an enum is part of its column, these statements do nothing.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy.dialects.postgresql import ENUM

from .. import revision_files
from ..apps import App, TableKey
from ..ownership import Ownership
from .column_types import is_enum, item_type, plain_type
from .sql import connection_of, cut, default_of, escape_colons, quoted_name, quoted_string

Labels = tuple[str, ...]

Columns = Mapping[tuple[str, ...], str | None]
"""Columns as (table in SQL, name, `[]` for an array), each with its server default in SQL."""

COLUMNS = sa.text("""
    SELECT n.nspname, c.relname, a.attname, CASE a.atttypid WHEN t.oid THEN '' ELSE '[]' END,
           pg_get_expr(d.adbin, d.adrelid)
    FROM pg_type t
    JOIN pg_attribute a ON a.atttypid IN (t.oid, t.typarray) AND NOT a.attisdropped
    JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE t.oid = CAST(:type AS regtype)
    ORDER BY n.nspname, c.relname, a.attnum
""")


@dataclass
class EnumTypeOp(ops.MigrateOperation):
    """Create, alter or drop an enum type; labels of None mean that it does not exist."""

    app: App
    """The app that owns the type."""
    schema: str | None
    name: str
    before: Labels | None
    after: Labels | None
    columns_before: Columns = field(default_factory=dict)
    columns_after: Columns = field(default_factory=dict)

    @property
    def only_adds(self) -> bool:
        """True if the type exists before and after, and only gets more labels."""
        before, after = self.before, self.after
        return bool(before and after and [it for it in after if it in before] == list(before))

    @property
    def risks(self) -> list[str]:
        """Warnings that `generate` prints if labels are removed, as that replaces the type."""
        before, after = self.before or (), self.after or ()
        gone = [label for label in before if label not in after]
        if not gone or not after:
            return []
        renamed = "if it was renamed, execute ALTER TYPE ... RENAME VALUE instead"
        return [
            f"removes {', '.join(gone)} from the type {self.name}, which fails on rows that have"
            " it and rewrites tables under a lock; "
            + (renamed if set(after) - set(before) else "first give those rows another value")
        ]

    def reverse(self) -> "EnumTypeOp":
        """Return the operation that undoes this one."""
        columns = (self.columns_after, self.columns_before)
        return EnumTypeOp(self.app, self.schema, self.name, self.after, self.before, *columns)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return the words that `check` and `generate` print for this operation."""
        verb = "create" if self.before is None else "drop" if self.after is None else "alter"
        return (f"{verb} type", self.name)


def compare_enum_types(context: AutogenContext, upgrade: ops.UpgradeOps) -> None:
    """Compare the enum types of the apps' models with those in the database."""
    types = EnumTypes(context)
    for app in types.ownership.compared:
        upgrade.ops.extend(types.changes(app))


class EnumTypes:
    """The enum types of one database, and those of its apps' models and revisions."""

    def __init__(self, context: AutogenContext) -> None:
        self.ownership: Ownership = context.opts["target_metadata"]
        self.dialect = context.dialect
        self.connection = connection_of(context)
        inspector: Any = context.inspector
        self.existing = {
            self.ownership.key(enum["schema"], enum["name"]): tuple(enum["labels"])
            for enum in inspector.get_enums("*")
        }
        self.in_models = {app: self.of_models(app) for app in self.ownership.apps}

    def changes(self, app: App) -> Iterator[EnumTypeOp]:
        """Yield operations that create or alter an app's enum types, and drop the unused ones."""
        files = revision_files.files_of(self.ownership.compared[app]) if self.existing else []
        created = self.created(files)
        for key, labels in self.in_models[app].items():
            # If several apps share a type, the first owns it, because it is upgraded first.
            owner = next((other for other, types in self.in_models.items() if types.get(key)), app)
            before = self.existing.get(key) if owner is app else self.in_models[owner][key]
            if before and labels and owner is app and key in created:
                before = without_failed_labels(before, labels, files)
            if labels is None or labels == before:
                continue
            if before is None:
                yield EnumTypeOp(app, *key, before=None, after=labels)
            # If its model moved here, another app's revision created the type.
            elif owner is app and key in created | self.created(self.files_of_others(app)):
                yield self.alter(app, key, before, labels)
            else:
                whose = "another program" if owner is app else owner.name
                raise CommandError(
                    f"{app.name}: its enum type {key[1]} has other values in {whose};"
                    " give it another name: Enum(..., name=...)"
                )
        unused = (created & self.existing.keys()).difference(*self.in_models.values())
        if unused:
            # In a new database, revisions of other apps may run later and need the type.
            for file in self.files_of_others(app):
                unused -= {self.key(*key) for key, _ in types_in(file)}
        for key in sorted(unused, key=str):
            yield EnumTypeOp(app, *key, before=self.existing[key], after=None)

    def alter(self, app: App, key: TableKey, before: Labels, after: Labels) -> EnumTypeOp:
        """Return the operation that changes a type's labels; refuse to replace one others use."""
        others = [other.name for other in self.in_models if key in self.in_models[other]]
        others.remove(app.name)
        columns_before: dict[tuple[str, ...], str | None] = {}
        columns_after: dict[tuple[str, ...], str | None] = {}
        name = quoted_name(self.dialect, key[0] or self.dialect.default_schema_name, key[1])
        for schema, table, *column, default in self.connection.execute(COLUMNS, {"type": name}):
            table_name = quoted_name(self.dialect, *self.ownership.key(schema, table))
            if self.ownership.owner(schema, table) is app:
                columns_before[table_name, *column] = default
            else:
                others.append(f"the table {table_name}")
        for other_key, _, item, brackets in self.columns_of_models(app):
            if other_key == key:
                its_table = self.ownership.key(item.table.schema, item.table.name)
                place = (quoted_name(self.dialect, *its_table), item.name, brackets)
                columns_after[place] = default_of(item, self.dialect)
        operation = EnumTypeOp(app, *key, before, after, columns_before, columns_after)
        if others and not operation.only_adds:
            raise CommandError(
                f"{app.name}: values of its enum type {key[1]} were removed or reordered, but"
                f" {others[0]} also uses that type; only add values, or give one of the two types"
                " another name: Enum(..., name=...)"
            )
        return operation

    def of_models(self, app: App) -> dict[TableKey, Labels | None]:
        """Return an app's enum types with their labels; None if its models only refer to a type."""
        found: dict[TableKey, Labels | None] = {}
        for key, enum, _, _ in self.columns_of_models(app):
            labels = tuple(enum.enums) if enum.create_type else None
            if found.setdefault(key, labels) != labels:
                raise CommandError(
                    f"{app.name}: two of its enum types are called {enum.name};"
                    " give one another name: Enum(..., name=...)"
                )
        return found

    def columns_of_models(self, app: App) -> Iterator[tuple[TableKey, ENUM, sa.Column[Any], str]]:
        """Yield the key and type of each enum column, the column, and `[]` if it is an array."""
        for table in app.model_tables.values():
            for column in table.columns:
                enum = item_type(column.type, self.dialect)
                if is_enum(enum):
                    brackets = "" if is_enum(plain_type(column.type, self.dialect)) else "[]"
                    yield self.key(enum.schema, str(enum.name)), enum, column, brackets

    def key(self, schema: str | None, name: str) -> TableKey:
        """Return the key of a type, its name cut to the length that the database keeps."""
        return self.ownership.key(schema, cut(name))

    def files_of_others(self, app: App) -> list[Path]:
        """Return the revision files of the other apps in the database."""
        others = [other for other in self.ownership.apps if other is not app]
        return [file for other in others for file in revision_files.files_by_name(other)]

    def created(self, files: Iterable[Path]) -> set[TableKey]:
        """Return the types that revision files create and do not drop; the files are not run."""
        types: set[TableKey] = set()
        for file in files:
            called = [call.func for call in revision_files.upgrade_calls(file)]
            dropped = [f.value for f in called if isinstance(f, ast.Attribute) and f.attr == "drop"]
            for key, call in types_in(file):
                if call in dropped:
                    types.discard(self.key(*key))
                elif not any(word.arg == "create_type" for word in call.keywords):
                    types.add(self.key(*key))
        return types


def types_in(file: Path) -> Iterator[tuple[TableKey, ast.Call]]:
    """Yield the enum types that a revision file creates, drops or refers to."""
    for call in revision_files.upgrade_calls(file):
        called = getattr(call.func, "attr", getattr(call.func, "id", None))
        if called in ("Enum", "ENUM") and revision_files.has_literal_schema(call):
            given = {word.arg: revision_files.literal(word.value) for word in call.keywords}
            if name := given.get("name"):
                yield (given.get("schema"), name), call


def without_failed_labels(before: Labels, wanted: Labels, files: Iterable[Path]) -> Labels:
    """Return a type's labels in the database, except those that are wanted but no revision adds.

    A new label is committed before its revision ends, which may still fail and be deleted.
    """
    strings = {string for file in files for string in strings_in(file)}
    sql = " ".join(strings)
    known = [label for label in before if label in strings or quoted_string(label) in sql]
    if not known:  # the revisions write them in some other way
        return before
    return tuple(label for label in before if label in known or label not in wanted)


@cache
def strings_in(file: Path) -> set[str]:
    """Return the string literals in a revision file."""
    nodes = ast.walk(revision_files.parsed(file))
    values = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return {value.replace("\\:", ":") for value in values if isinstance(value, str)}


@renderers.dispatch_for(EnumTypeOp)
def render_enum_type(context: AutogenContext, operation: EnumTypeOp) -> list[str]:
    """Return the lines of code for an operation; an empty line ends an indented block."""
    before, after = operation.before, operation.after
    if before is None or after is None:
        enum = enum_arguments(before or after or (), operation.name, operation.schema)
        return [f"sa.Enum({enum}).{'create' if after else 'drop'}(op.get_bind())"]
    block = ["if op.get_context().dialect.name == 'postgresql':"]
    if operation.only_adds:
        # The transaction that adds a label cannot use it: in no default, and in no later revision.
        block.append("with op.get_context().autocommit_block():")
        statements = statements_to_add(operation, before, after, context.dialect)
    else:
        statements = statements_to_replace(operation, after, context.dialect)
    calls = [f"op.execute({escape_colons(statement)!r})" for statement in statements]
    return [*block, *calls, *("" for _ in block)]


def statements_to_add(
    operation: EnumTypeOp, before: Labels, after: Labels, dialect: sa.Dialect
) -> list[str]:
    """Return the SQL that adds labels to a type."""
    name = quoted_name(dialect, operation.schema, operation.name)
    statements, place = [], f"BEFORE {quoted_string(before[0])}"
    for label in after:
        if label not in before:
            new = quoted_string(label)
            statements.append(f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {new} {place}")
        place = f"AFTER {quoted_string(label)}"
    return statements


def statements_to_replace(operation: EnumTypeOp, after: Labels, dialect: sa.Dialect) -> list[str]:
    """Return the SQL that replaces a type, and alters the columns of the app's own tables."""
    name = quoted_name(dialect, operation.schema, operation.name)
    old_name = f"{cut(operation.name, 59)}_old"
    statements = [
        f"ALTER TYPE {name} RENAME TO {quoted_name(dialect, None, old_name)}",
        f"CREATE TYPE {name} AS ENUM ({', '.join(map(quoted_string, after))})",
    ]
    for (table, column, brackets), default_before in operation.columns_before.items():
        column_name, kind = quoted_name(dialect, None, column), name + brackets
        alter = f"ALTER COLUMN {column_name}"
        changes = [f"{alter} TYPE {kind} USING {column_name}::text{brackets}::{kind}"]
        if default_before:
            changes.insert(0, f"{alter} DROP DEFAULT")
        if default := operation.columns_after.get((table, column, brackets)):
            changes.append(f"{alter} SET DEFAULT {default}")
        statements.append(f"ALTER TABLE {table} {', '.join(changes)}")
    return [*statements, f"DROP TYPE {quoted_name(dialect, operation.schema, old_name)}"]


def enum_reference(kind: sa.types.TypeEngine[Any], context: AutogenContext) -> str | None:
    """Return code that refers to a column's enum type and does not create it, or None."""
    enum = plain_type(kind, context.dialect)
    if is_enum(enum):
        context.imports.add("from sqlalchemy.dialects import postgresql")
        code = enum_arguments(enum.enums, str(enum.name), enum.schema)
        return f"postgresql.ENUM({code}, create_type=False)"
    return None


def enum_arguments(labels: Iterable[str], name: str, schema: str | None) -> str:
    """Return the code of the arguments for an enum type."""
    words = [*map(repr, labels), f"name={name!r}"]
    return ", ".join(words + ([f"schema={schema!r}"] if schema else []))
