"""Enum types of PostgreSQL: objects of their own, which Alembic's autogenerate ignores.

Here revisions create, alter and drop them, and columns merely refer to them. On other
databases, where an enum is a kind of column, these statements do nothing.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import MigrateOperation, UpgradeOps
from alembic.util import CommandError, PriorityDispatchResult
from sqlalchemy import ARRAY, Column, DefaultClause, Dialect, text
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.types import TypeDecorator, TypeEngine

from ..apps import App, TableKey
from ..ownership import Ownership
from ..revision_files import (
    files_by_name,
    files_of,
    has_literal_schema,
    literal,
    parsed,
    upgrade_calls,
)

Labels = tuple[str, ...]

COLUMNS_OF_TYPE = text("""
    SELECT n.nspname, c.relname, a.attname, CASE a.atttypid WHEN t.typarray THEN '[]' ELSE '' END,
           pg_get_expr(d.adbin, d.adrelid)
    FROM pg_type t
    JOIN pg_attribute a ON a.atttypid IN (t.oid, t.typarray) AND NOT a.attisdropped
    JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    JOIN pg_namespace tn ON tn.oid = t.typnamespace
    WHERE t.typname = :name AND tn.nspname = :schema
    ORDER BY n.nspname, c.relname, a.attnum
""")

# Another app may be at any of its revisions: there the column need not have the type, nor this
# default. A default that is no value any more is left to the next revision of that app.
CHANGE_ELSEWHERE = (
    "DO $$DECLARE value text; BEGIN"
    " SELECT substring(pg_get_expr(adbin, adrelid) FROM '''.*''') INTO value"
    " FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
    " WHERE attrelid = to_regclass({table}) AND attname = {name} AND atttypid = to_regtype({type});"
    " IF FOUND THEN {change}; END IF;"
    " IF value <> '' THEN BEGIN EXECUTE {set_default} || value;"
    " EXCEPTION WHEN invalid_text_representation THEN NULL; END; END IF; END$$"
)


class EnumColumn(NamedTuple):
    """A column with an enum type; the table and the default are SQL."""

    table: str
    name: str
    brackets: str
    """`[]` for an array of such values."""
    server_default: str | None
    elsewhere: bool
    """Whether the table is another app's."""


@dataclass
class EnumTypeOp(MigrateOperation):
    """Create, alter or drop an enum type: where it is missing, it has no labels."""

    app: App
    """The one that has the type."""
    schema: str | None
    name: str
    before: Labels | None
    after: Labels | None
    columns_before: tuple[EnumColumn, ...] = ()
    columns_after: tuple[EnumColumn, ...] = ()

    @property
    def only_adds(self) -> bool:
        """Whether the type stays, and gets more labels."""
        before, after = self.before, self.after
        return bool(before and after and [it for it in after if it in before] == list(before))

    @property
    def words(self) -> str:
        """What `check` and `generate` say of it."""
        verb = "create" if self.before is None else "drop" if self.after is None else "alter"
        return f"{verb} type {self.name}"

    @property
    def risks(self) -> list[str]:
        """What `generate` warns of: with fewer labels, another type takes its place."""
        before, after = self.before or (), self.after or ()
        gone = [label for label in before if label not in after]
        if not gone or not after:
            return []
        renamed = "if it was renamed, execute ALTER TYPE ... RENAME VALUE instead"
        return [
            f"takes {', '.join(gone)} from the type {self.name}, which fails on rows that have"
            " it and rewrites tables under a lock: "
            + (renamed if set(after) - set(before) else "give those rows another value before")
        ]

    def reverse(self) -> "EnumTypeOp":
        """The operation that takes this one back."""
        columns = (self.columns_after, self.columns_before)
        return EnumTypeOp(self.app, self.schema, self.name, self.after, self.before, *columns)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """What Alembic's own `check` shows."""
        return ("enum_type", self.schema, self.name, self.before, self.after)


def compare_enum_types(
    context: AutogenContext, upgrade: UpgradeOps, _schemas: Iterable[str | None]
) -> PriorityDispatchResult:
    """Compare the enum types of the apps' models with those in the database."""
    ownership: Ownership = context.opts["target_metadata"]
    inspector: Any = context.inspector
    existing = {
        ownership.key(enum["schema"], enum["name"]): tuple(enum["labels"])
        for enum in inspector.get_enums("*")
    }
    of_models = {app: enums_of_models(app, ownership, context.dialect) for app in ownership.apps}
    for app in ownership.compared:
        upgrade.ops.extend(changes_of_enum_types(app, context, existing, of_models))
    return PriorityDispatchResult.CONTINUE


def changes_of_enum_types(
    app: App,
    context: AutogenContext,
    existing: Mapping[TableKey, Labels],
    of_models: Mapping[App, Mapping[TableKey, Labels | None]],
) -> Iterator[EnumTypeOp]:
    """What has to be done for an app's models to have their enum types."""
    ownership: Ownership = context.opts["target_metadata"]
    files = files_of(ownership.compared[app]) if existing else ()
    created = {ownership.key(*key) for key in types_of_revisions(files)}
    for key, labels in of_models[app].items():
        # Of several apps that share an enum the first has it, as upgrades go in that order.
        owner = next((other for other, enums in of_models.items() if enums.get(key)), app)
        there = existing.get(key) if owner is app else of_models[owner][key]
        if there and labels and owner is app and key in created:
            there = labels_of_revisions(files, there, labels)
        if labels is None or labels == there:
            continue
        if there is None:
            yield EnumTypeOp(app, *key, before=None, after=labels)
        elif owner is app and (key in created or key in types_of_others(app, ownership)):
            columns = (columns_of_database(context, app, key), columns_of_models(context, app, key))
            yield EnumTypeOp(app, *key, there, labels, *map(tuple, columns))
        else:
            whose = "another program" if owner is app else owner.name
            raise CommandError(
                f"{app.name}: its enum type {key[1]} has other values than that of {whose};"
                " give it another name: Enum(..., name=...)"
            )
    unused = (created & existing.keys()).difference(*of_models.values())
    if unused:
        # In a new database the revisions of other apps run later, and need the type.
        others = files_of_others(app, ownership)
        unused -= {ownership.key(*key) for file in others for key, _ in types_in(file)}
    for key in sorted(unused, key=str):
        yield EnumTypeOp(app, *key, before=existing[key], after=None)


def types_of_others(app: App, ownership: Ownership) -> set[TableKey]:
    """The enum types that the revisions of other apps have made: a model may have moved."""
    created = types_of_revisions(files_of_others(app, ownership))
    return {ownership.key(*key) for key in created}


def files_of_others(app: App, ownership: Ownership) -> list[Path]:
    """The revision files of the other apps of the database."""
    return [file for other in ownership.apps if other is not app for file in files_by_name(other)]


def enum_of(column: Column[Any], dialect: Dialect) -> ENUM | None:
    """The enum type of a column, or of what its arrays hold."""
    kind = column.type.dialect_impl(dialect)
    return as_enum(kind.item_type if isinstance(kind, ARRAY) else kind, dialect)


def as_enum(kind: TypeEngine[Any], dialect: Dialect) -> ENUM | None:
    """The enum type that a type is, or is the decorator of."""
    kind = kind.dialect_impl(dialect)
    if isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return kind if isinstance(kind, ENUM) and kind.name else None


def enums_of_models(
    app: App, ownership: Ownership, dialect: Dialect
) -> dict[TableKey, Labels | None]:
    """The enum types of an app's models; None for one that they refer to but do not create."""
    found: dict[TableKey, Labels | None] = {}
    for table in app.own_models.values():
        for column in table.columns:
            if enum := enum_of(column, dialect):
                key = ownership.key(enum.schema, str(enum.name))
                labels = tuple(enum.enums) if enum.create_type else None
                if found.setdefault(key, labels) != labels:
                    raise CommandError(
                        f"{app.name}: two of its enum types are called {enum.name};"
                        " give one another name: Enum(..., name=...)"
                    )
    return found


def types_of_revisions(files: Iterable[Path]) -> set[TableKey]:
    """The enum types that revision files create and leave behind; nothing is run."""
    types: set[TableKey] = set()
    for file in files:
        dropped = [
            call.func.value
            for call in upgrade_calls(file)
            if isinstance(call.func, ast.Attribute) and call.func.attr == "drop"
        ]
        for key, call in types_in(file):
            if call in dropped:
                types.discard(key)
            elif not any(word.arg == "create_type" for word in call.keywords):
                types.add(key)
    return types


def labels_of_revisions(files: Iterable[Path], there: Labels, wanted: Labels) -> Labels:
    """The labels of a type in the database, but for those that are wanted and in no revision.

    A label is there to stay before the end of its revision, which may fail and be deleted.
    """
    texts = {text for file in files for text in texts_in(file)}
    sql = " ".join(texts)
    known = [label for label in there if label in texts or sql_literal(label) in sql]
    if not known:  # they are written in some other way
        return there
    return tuple(label for label in there if label in known or label not in wanted)


@cache
def texts_in(file: Path) -> set[str]:
    """The texts in the code of a revision file."""
    nodes = ast.walk(parsed(file))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return {text.replace("\\:", ":") for text in texts if isinstance(text, str)}


def types_in(file: Path) -> Iterator[tuple[TableKey, ast.Call]]:
    """The enum types that a revision file creates, drops or refers to."""
    for call in upgrade_calls(file):
        given = {word.arg: word.value for word in call.keywords}
        called = getattr(call.func, "attr", getattr(call.func, "id", None))
        if not has_literal_schema(call):
            continue
        if called in ("Enum", "ENUM") and (name := literal(given.get("name"))):
            yield (literal(given.get("schema")), name), call


def columns_of_database(context: AutogenContext, app: App, key: TableKey) -> Iterator[EnumColumn]:
    """The columns of all apps' tables that have an enum type in the database.

    Those of strangers' tables are left alone, so that their type cannot be replaced.
    """
    assert context.connection is not None
    ownership: Ownership = context.opts["target_metadata"]
    parameters = {"schema": key[0] or context.dialect.default_schema_name, "name": key[1]}
    for schema, name, *parts in context.connection.execute(COLUMNS_OF_TYPE, parameters):
        table = ownership.key(schema, name)
        if ownership.is_of_an_app(*table):
            elsewhere = ownership.owner(*table) is not app
            yield EnumColumn._make([quoted(context.dialect, *table), *parts, elsewhere])


def columns_of_models(context: AutogenContext, app: App, key: TableKey) -> Iterator[EnumColumn]:
    """The columns of all apps' models that have an enum type."""
    ownership: Ownership = context.opts["target_metadata"]
    dialect = context.dialect
    for other in ownership.apps:
        for table in other.own_models.values():
            for column in table.columns:
                enum = enum_of(column, dialect)
                if enum and ownership.key(enum.schema, str(enum.name)) == key:
                    yield EnumColumn(
                        quoted(dialect, ownership.key(table.schema, table.name)[0], table.name),
                        column.name,
                        "[]" if isinstance(column.type, ARRAY) else "",
                        default_of(column, dialect),
                        elsewhere=other is not app,
                    )


def default_of(column: Column[Any], dialect: Dialect) -> str | None:
    """The server default of a model's column, in SQL."""
    default = column.server_default
    if not isinstance(default, DefaultClause):
        return None
    if isinstance(default.arg, str):
        return sql_literal(default.arg)
    return str(default.arg.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def quoted(dialect: Dialect, schema: str | None, name: str) -> str:
    """A name in SQL, with its schema if it has one."""
    quote = dialect.identifier_preparer.quote
    return f"{quote(schema)}.{quote(name)}" if schema else quote(name)


def sql_literal(label: str) -> str:
    """A label in SQL."""
    return "'" + label.replace("'", "''") + "'"


def escape_colons(sql: str) -> str:
    """SQL for `text()` and `op.execute`, to which a word behind a colon would be a parameter."""
    return re.sub(r"(?<![:\w]):(?=\w)", r"\:", sql)


def statements_to_add(
    operation: EnumTypeOp, before: Labels, after: Labels, dialect: Dialect
) -> list[str]:
    """The SQL that adds labels to a type."""
    name = quoted(dialect, operation.schema, operation.name)
    places = [f"BEFORE {sql_literal(before[0])}", *(f"AFTER {sql_literal(a)}" for a in after)]
    return [
        f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {sql_literal(label)} {place}"
        for label, place in zip(after, places, strict=False)
        if label not in before
    ]


def statements_to_replace(operation: EnumTypeOp, after: Labels, dialect: Dialect) -> list[str]:
    """The SQL that puts another type in the place of one."""
    name = quoted(dialect, operation.schema, operation.name)
    old_name = f"{operation.name[:59]}_old"
    old = quoted(dialect, operation.schema, old_name)
    defaults = {column[:2]: column.server_default for column in operation.columns_after}
    sql = [
        f"ALTER TYPE {name} RENAME TO {quoted(dialect, None, old_name)}",
        f"CREATE TYPE {name} AS ENUM ({', '.join(map(sql_literal, after))})",
    ]
    for column in operation.columns_before:
        column_name, kind = quoted(dialect, None, column.name), name + column.brackets
        table, alter = f"ALTER TABLE {column.table}", f"ALTER COLUMN {column_name}"
        change = f"{alter} TYPE {kind} USING {column_name}::text{column.brackets}::{kind}"
        if column.elsewhere:
            sql.append(
                CHANGE_ELSEWHERE.format(
                    table=sql_literal(column.table),
                    name=sql_literal(column.name),
                    type=sql_literal(old + column.brackets),
                    change=f"{table} {alter} DROP DEFAULT, {change}",
                    set_default=sql_literal(f"{table} {alter} SET DEFAULT "),
                )
            )
            continue
        changes = [change]
        if column.server_default:
            changes.insert(0, f"{alter} DROP DEFAULT")
        if default := defaults.get(column[:2]):
            changes.append(f"{alter} SET DEFAULT {default}")
        sql.append(f"{table} {', '.join(changes)}")
    return [*sql, f"DROP TYPE {old}"]


@renderers.dispatch_for(EnumTypeOp)
def render(context: AutogenContext, operation: EnumTypeOp) -> list[str]:
    """The lines of a revision file; an empty one ends a block."""
    before, after = operation.before, operation.after
    if before is None or after is None:
        enum = arguments(before or after or (), operation.name, operation.schema)
        return [f"sa.Enum({enum}).{'create' if after else 'drop'}(op.get_bind())"]
    block = ["if op.get_context().dialect.name == 'postgresql':"]
    if operation.only_adds:
        # Until its transaction ends, nothing can use a new label: no default, no later revision.
        block.append("with op.get_context().autocommit_block():")
        sql = statements_to_add(operation, before, after, context.dialect)
    else:
        sql = statements_to_replace(operation, after, context.dialect)
    calls = [f"op.execute({escape_colons(line)!r})" for line in sql]
    return [*block, *calls, *("" for _ in block)]


def enum_reference(item: TypeEngine[Any], context: AutogenContext) -> str | None:
    """The code of an enum type of a column: other statements have created it."""
    assert context.dialect is not None
    enum = as_enum(item, context.dialect)
    if enum is None:
        return None
    context.imports.add("from sqlalchemy.dialects import postgresql")
    code = arguments(enum.enums, str(enum.name), enum.schema)
    return f"postgresql.ENUM({code}, create_type=False)"


def arguments(labels: Iterable[str], name: str, schema: str | None) -> str:
    """The arguments that make an enum type."""
    words = [*map(repr, labels), f"name={name!r}"]
    return ", ".join(words + ([f"schema={schema!r}"] if schema else []))
