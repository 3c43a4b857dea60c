"""More requirements for a new revision: of apps whose revisions know what it moves or drops."""

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from alembic.operations import ops

from ..apps import App, TableKey
from ..commands.check import Difference
from ..commands.generate import referred_tables
from ..ownership import Ownership
from ..revision_files import files_by_name, literal, table_calls, upgrade_calls


def also_needed(app: App, found: Difference) -> list[App]:
    """Return the apps whose revisions have to run before a new one of this app.

    The new revision changes a table that their revisions changed, refers to one, or drops
    something that their revisions mention.
    """
    ownership = found.ownership
    touched = set(referred_tables(found))
    dropped: list[tuple[str, ...]] = []  # a table, or a table and a column
    for operation in found.upgrade.ops:
        if isinstance(operation, ops.CreateTableOp | ops.DropTableOp | ops.ModifyTableOps):
            touched.add(ownership.key(operation.schema, operation.table_name))
        if isinstance(operation, ops.DropTableOp):
            dropped.append((operation.table_name,))
        for part in getattr(operation, "ops", ()):
            if isinstance(part, ops.DropColumnOp):
                dropped.append((part.table_name, part.column_name))
    if not touched:
        return []
    return [
        other
        for other, altered in altered_by_revisions(ownership).items()
        if other is not app
        and (
            altered & touched
            or any(mentions(file, names) for names in dropped for file in files_by_name(other))
        )
    ]


@cache
def altered_by_revisions(ownership: Ownership) -> dict[App, set[TableKey]]:
    """Return, for each app of a database, the tables that its revisions create, alter or drop."""
    return {
        app: {
            ownership.key(schema, name)
            for file in files_by_name(app)
            for _, names, schema in table_calls(file)
            for name in names
        }
        for app in ownership.apps
    }


def mentions(file: Path, names: Iterable[str]) -> bool:
    """Return True if the string literals of a revision's upgrade contain all of the names."""
    nodes = [node for call in upgrade_calls(file) for node in ast.walk(call)]
    text = " ".join(literal(node) or "" for node in nodes if isinstance(node, ast.expr))
    return all(re.search(rf"\b{re.escape(name)}\b", text) for name in names)
