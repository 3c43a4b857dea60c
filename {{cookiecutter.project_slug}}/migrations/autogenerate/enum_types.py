"""Enum types of PostgreSQL, which Alembic's autogenerate does not compare.

Revisions create the types, add labels to them and drop them; columns only refer to them. On other
databases, where an enum is part of its column, these statements do nothing.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import CommandError

from .. import revision_files
from ..apps import App, TableKey
from ..ownership import Ownership
from .sql import escape_colons, is_enum, item_type, quoted_name, quoted_string

Labels = tuple[str, ...]


@dataclass
class EnumTypeOp(ops.MigrateOperation):
    """Create an enum type, add labels, or drop it; labels of None mean that it does not exist."""

    app: App
    """The app that owns the type."""
    schema: str | None
    name: str
    before: Labels | None
    after: Labels | None

    def reverse(self) -> "EnumTypeOp":
        """Return the operation that undoes this one; PostgreSQL cannot remove labels again."""
        return EnumTypeOp(self.app, self.schema, self.name, self.after, self.before)

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
            if labels is None:
                continue
            # If several apps share a type, the first owns it, because it is upgraded first.
            owner = next(other for other, types in self.in_models.items() if types.get(key))
            before = self.existing.get(key) if owner is app else self.in_models[owner][key]
            if before is None:
                yield EnumTypeOp(app, *key, before=None, after=labels)
            elif owner is app and key in created:
                yield from self.added_labels(app, key, before, labels, files)
            elif labels == before:
                continue
            # If its model moved here, another app's revision created the type.
            elif owner is app and key in self.created(others := self.files_of_others(app)):
                yield from self.added_labels(app, key, before, labels, others)
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

    def added_labels(
        self, app: App, key: TableKey, before: Labels, after: Labels, files: Iterable[Path]
    ) -> Iterator[EnumTypeOp]:
        """Yield the operation that adds labels to a type; refuse to remove any.

        A label that no revision names does not count. It is left over from a revision that was
        taken back, or that failed after its new labels were committed, and was deleted.
        """
        strings = {string for file in files for string in strings_in(file)}
        sql = " ".join(strings)
        named = [label for label in before if label in strings or quoted_string(label) in sql]
        before = tuple(named) or before  # the revisions may write labels in some other way
        if gone := [label for label in before if label not in after]:
            raise CommandError(
                f"{app.name}: its enum type {key[1]} has no {', '.join(gone)} in the models; keep"
                f" what rows may hold, or rename it: ALTER TYPE {key[1]} RENAME VALUE ... TO ..."
            )
        if set(after) != set(before):
            yield EnumTypeOp(app, *key, before, after)

    def of_models(self, app: App) -> dict[TableKey, Labels | None]:
        """Return an app's enum types with their labels; None if its models only refer to a type."""
        found: dict[TableKey, Labels | None] = {}
        for column in (it for table in app.model_tables.values() for it in table.columns):
            enum = item_type(column.type, self.dialect)
            if is_enum(enum):
                labels = tuple(enum.enums) if enum.create_type else None
                if found.setdefault(self.key(enum.schema, str(enum.name)), labels) != labels:
                    raise CommandError(
                        f"{app.name}: two of its enum types are called {enum.name};"
                        " give one another name: Enum(..., name=...)"
                    )
        return found

    def key(self, schema: str | None, name: str) -> TableKey:
        """Return the key of a type; PostgreSQL keeps 63 bytes of its name."""
        return self.ownership.key(schema, name.encode()[:63].decode(errors="ignore"))

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
    name = quoted_name(context.dialect, operation.schema, operation.name)
    calls, place = [], f"BEFORE {quoted_string(before[0])}"
    for label in after:
        if label not in before:
            value = f"{quoted_string(label)} {place}"
            statement = escape_colons(f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {value}")
            calls.append(f"op.execute({statement!r})")
        place = f"AFTER {quoted_string(label)}"
    if not calls:
        return []
    block = [
        "if op.get_context().dialect.name == 'postgresql':",
        # The transaction that adds a label cannot use it: in no default, and in no later revision.
        "with op.get_context().autocommit_block():",
    ]
    return [*block, *calls, *("" for _ in block)]


def enum_arguments(labels: Iterable[str], name: str, schema: str | None) -> str:
    """Return the code of the arguments for an enum type."""
    words = [*map(repr, labels), f"name={name!r}"]
    return ", ".join(words + ([f"schema={schema!r}"] if schema else []))
