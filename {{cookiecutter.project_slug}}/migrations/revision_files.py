"""Revision files: check that they load, and find what they create without running them."""

import ast
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from .apps import App, TableKey
from .errors import relative

TABLE_OPERATIONS = ("create_table", "rename_table", "drop_table", "batch_alter_table")


def check_revisions(app: App, script: ScriptDirectory) -> None:
    """Load an app's revision files; raise CommandError if they or their folders are wrong."""
    _ = app.folders
    if not Path(script.dir, Path(__file__).name).exists():  # it is another folder than this one
        raise CommandError(
            f"{app.name}: script_location is {relative(script.dir)}, whose env.py does not know"
            " the keys of this section; set script_location = %(here)s/migrations only"
            f" in [DEFAULT] of {app.ini}"
        )
    with warnings.catch_warnings():
        # Alembic only warns if two files have the same id, or if no file has an id that is used.
        warnings.filterwarnings("error", "Revision .* is (not present|present more than once)")
        script.get_heads()


def oldest_first(script: ScriptDirectory) -> list[Script]:
    """Return an app's revisions, each after its down revisions."""
    return list(script.walk_revisions())[::-1]


def files_of(script: ScriptDirectory) -> list[Path]:
    """Return an app's revision files, oldest first."""
    return [Path(revision.path) for revision in oldest_first(script)]


def files_by_name(app: App) -> list[Path]:
    """Return an app's revision files in the order of their names, without loading them.

    Includes subfolders: Alembic reads those with `recursive_version_locations`.
    """
    return sorted(file for folder in app.folders for file in folder.rglob("*.py"))


def tables_created(files: Iterable[Path]) -> set[TableKey]:
    """Return the tables that revision files create and do not drop later; their order counts.

    Finds `create_table`, `rename_table` and `drop_table` with literal names and schemas. Tables
    that a revision creates in another way have to be listed in the section's `tables`.
    """
    tables: set[TableKey] = set()
    for operation, names, schema in (call for file in files for call in table_calls(file)):
        if operation == "create_table":
            tables.add((schema, names[0]))
        elif operation in ("drop_table", "rename_table"):
            tables.discard((schema, names[0]))  # it may have come from another app
            tables.update((schema, name) for name in names[1:])
    return tables


@cache
def parsed(file: Path) -> ast.Module:
    """Return the syntax tree of a revision file."""
    return ast.parse(file.read_bytes())


@cache
def upgrade_calls(file: Path) -> list[ast.Call]:
    """Return the calls in a revision file in order, without those in its `downgrade`."""
    parts = [it for it in parsed(file).body if not getattr(it, "name", "").startswith("downgrade")]
    calls = [node for part in parts for node in ast.walk(part) if isinstance(node, ast.Call)]
    return sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def literal(node: ast.expr | None) -> str | None:
    """Return the value of a string literal, or None for any other expression."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def has_literal_schema(call: ast.Call) -> bool:
    """Return True if a call has no `schema`, or a literal one.

    A computed schema is unknown; a wrong guess could drop another app's table or type.
    """
    given = {word.arg: word.value for word in call.keywords}
    return None not in given and isinstance(given.get("schema"), ast.Constant | None)


def table_calls(file: Path) -> Iterator[tuple[str, list[str], str | None]]:
    """Yield each operation on a table in a revision file: operation, names of tables, schema.

    Only `rename_table` has two names, the old and the new one.
    """
    for call in upgrade_calls(file):
        operation = str(getattr(call.func, "attr", ""))
        if operation not in TABLE_OPERATIONS or not has_literal_schema(call):
            continue
        given = {word.arg: word.value for word in call.keywords}
        words = ("table_name", "old_table_name", "new_table_name")
        wanted = 2 if operation == "rename_table" else 1
        nodes = [*call.args[:wanted], *(given[word] for word in words if word in given)]
        names = [name for node in nodes if (name := literal(node))]
        if len(names) == wanted:
            yield operation, names, literal(given.get("schema"))
