"""Revision files: check that they load, and find what they create without running them."""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from .apps import App, TableKey
from .errors import failing_line, relative

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
        try:
            script.get_heads()
        except KeyError as error:
            if failing_line(error):  # a revision file raised it
                raise
            raise CommandError(
                f"{app.name}: a revision has depends_on = {error}, which is not a revision of"
                f" {app.name}; for another app's revision, write requires = ('APP:ID',) instead"
            ) from None
    for revision in script.walk_revisions():
        if len(revision.revision) > 32:  # the length of Alembic's column version_num
            raise CommandError(
                f"{app.name}: the revision id {revision.revision} is longer than 32 characters,"
                " which servers refuse; shorten it"
            )


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
    for file in files:
        for operation, names, schema in _table_calls(file):
            if operation == "create_table":
                tables.add((schema, names[0]))
            elif operation == "drop_table":
                tables.discard((schema, names[0]))
            elif len(names) > 1:  # the table may have come from another app
                tables.discard((schema, names[0]))
                tables.add((schema, names[1]))
    return tables


def tables_altered(files: Iterable[Path]) -> set[TableKey]:
    """Return the tables that revision files create, alter, rename or drop, by literal names."""
    calls = (call for file in files for call in _table_calls(file))
    return {(schema, name) for _, names, schema in calls for name in names}


def mentions(file: Path, names: Iterable[str]) -> bool:
    """Return True if the string literals of a revision's upgrade contain all of the names."""
    nodes = [node for call in upgrade_calls(file) for node in ast.walk(call)]
    text = " ".join(literal(node) or "" for node in nodes if isinstance(node, ast.expr))
    return all(re.search(rf"\b{re.escape(name)}\b", text) for name in names)


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


def _table_calls(file: Path) -> Iterator[tuple[str, list[str], str | None]]:
    """Yield each operation on a table in a revision file: operation, names of tables, schema."""
    for call in upgrade_calls(file):
        operation = getattr(call.func, "attr", "")
        if operation not in TABLE_OPERATIONS or not has_literal_schema(call):
            continue
        given = {word.arg: word.value for word in call.keywords}
        words = ("table_name", "old_table_name", "new_table_name")
        wanted = 2 if operation == "rename_table" else 1
        named = [given[word] for word in words if word in given]
        names = [literal(node) for node in [*call.args[:wanted], *named]]
        if names and all(names):
            yield operation, [str(name) for name in names], literal(given.get("schema"))
