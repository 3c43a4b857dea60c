"""Replace an app's history by one revision with the last id, which creates today's tables."""

import ast
import builtins
import re
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from alembic import command
from alembic.operations import BatchOperations, Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from ..apps import App
from ..errors import program, relative
from ..order import sorted_by_needs
from ..revision_files import files_of, literal, oldest_first, parsed, upgrade_calls
from ..run import Run
from . import packaged_revisions, ruff_format
from .empty_databases import check_schemas, in_empty_database, write_initial
from .precautions import ask, changes_of, check_moves, check_writable, neighbours, uninterrupted

HOMES = (Operations, BatchOperations, MigrationContext, sa, sa.Enum, sa.Inspector)

SCHEMA_ONLY = {name for home in (*HOMES, builtins, str, list, dict) for name in dir(home)}
"""The functions that change no rows, and whose other changes autogenerate sees."""
SCHEMA_ONLY -= {"bulk_insert", "delete", "exec", "execute", "insert", "invoke", "run_async"}
SCHEMA_ONLY -= {"create_exclude_constraint", "update"}

ENUM_TYPE = re.compile(r"\s*(CREATE|ALTER|DROP) TYPE ")

NEEDED = re.compile(
    r"\s*(CREATE|ALTER|DROP)\s+(OR\s+REPLACE\s+)?(DOMAIN|EXTENSION|FUNCTION|SCHEMA|SEQUENCE)\b"
)
"""Statements about objects that tables may need, and that autogenerate does not see."""


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="+")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def squash(run: Run) -> None:
    """Replace all revisions of an app by one that creates its tables as they are now."""
    for app in run.selected:
        with app.naming():
            check_ready(run, app)
    for app in run.selected:
        run.say(app, announcement(run, app))
    print(f"run {program('migrate')} on every other database before you deploy this")
    ask(run)
    old = {app: files_of(run.script(app)) for app in run.selected}
    with TemporaryDirectory() as temporary:
        new = write_revisions(run, Path(temporary))
        texts = {app.folders[0] / file.name: file.read_bytes() for app, file in new.items()}
    with uninterrupted():
        exchange([file for files in old.values() for file in files], texts)
    ruff_format.written([str(file) for file in texts])
    for app in run.selected:
        told = f"wrote {relative(str(app.folders[0] / new[app].name))}"
        if old[app]:
            told += f" in place of {len(old[app])}"
        else:
            command.stamp(run.config_for(app), "head")
            told += " and stamped it"
        run.say(app, told)


def check_ready(run: Run, app: App) -> None:
    """Raise CommandError unless an app's database, revisions and models agree."""
    check_moves(run, app, together=run.selected)
    if len(files_of(run.script(app))) < 2 and len(run.selected) == 1:
        raise CommandError(f"{app.name}: has one revision or none; there is nothing to squash")
    if not run.at_head(app):
        raise CommandError(
            f"{app.name}: the database is behind the newest revision;"
            f" run {program('migrate', app.name)}"
        )
    packaged_revisions.before_writing(run, app)
    check_schemas(run, app)
    check_writable(run, app, "not squashed: it needs an empty database on the server, which")
    if found := changes_of(run, app):
        raise CommandError(
            f"{app.name}: models and database differ: {', '.join(found)};"
            " first run ./generate.sh and ./migrate.sh"
        )


def announcement(run: Run, app: App) -> str:
    """Return what squashing an app does, and which parts of its revisions are lost."""
    files, head = files_of(run.script(app)), run.head(app)
    if head is None:  # revisions of another app created its tables
        return f"writes a first revision; on other databases, run: {program('adopt', app.name)}"
    count = f"{len(files)} revision{'' if len(files) == 1 else 's'}"
    lines = [f"replaces {count} by one, with the id of the last: {head}"]
    for file in files:
        for number, name in beyond_schema(file):
            lines.append(f"lost: {name} in line {number} of {relative(str(file))}")
    return "\n".join(lines)


def beyond_schema(file: Path) -> list[tuple[int, str]]:
    """Return the calls in a revision's upgrade that seem to do more than change the schema.

    Each is the number of its line and the name of the called function.
    """
    found: dict[tuple[int, int], str] = {}
    within: set[ast.AST] = set()
    for call in upgrade_calls(file):
        name = str(getattr(call.func, "attr", getattr(call.func, "id", "")))
        if name in SCHEMA_ONLY or name[:1].isupper() or "func" in ast.unparse(call.func).split("."):
            continue
        if name == "execute" and call.args and ENUM_TYPE.match(literal(call.args[0]) or ""):
            continue
        place = call.lineno, call.col_offset
        # `a().b()` comes before `a()`, but begins at the same place. The name `a` says more.
        if place in found or call not in within:
            found[place] = name
            within.update(ast.walk(call))
    return [(number, name) for (number, _), name in found.items()]


def write_revisions(run: Run, temporary: Path) -> dict[App, Path]:
    """Write the new revisions into a folder, and run each in an empty database before the next.

    Raise CommandError if the database then differs from the models.
    """
    folders = {app.name: temporary / app.name for app in run.selected}
    for folder in folders.values():
        folder.mkdir()
    new: dict[App, Path] = {}
    for first in run.selected:
        if first in new:  # done with the others of its database
            continue
        needs = needs_after(run, first)
        at: dict[str, str] = {}
        with in_empty_database(run, first, folders) as empty:
            for name in sorted_by_needs(needs, "so none of them can become one revision"):
                app = run.apps[name.partition(":")[0]]
                with app.naming():
                    revision = name.partition(":")[2] or "head"
                    if app in run.selected:
                        also = [need.partition(":")[0] for need in needs[name]]
                        new[app] = write_initial(empty, app.name, at, also, run.head(app))
                        note_replaced(new[app], oldest_first(run.script(app)))
                        revision = empty.script(empty.apps[app.name]).get_heads()[0]
                    try:
                        command.upgrade(empty.config_for(app), revision)
                    except DBAPIError:
                        if app not in new or not (count := copy_needed(new[app], run.script(app))):
                            raise
                        run.say(app, f"kept, because its tables need them: {count} statements")
                        command.upgrade(empty.config_for(app), revision)
                    at[app.name] = revision
                    if app in new and (found := changes_of(empty, empty.apps[app.name])):
                        raise CommandError(
                            f"{app.name}: not squashed, because a new database and the models"
                            f" would differ: {', '.join(found)}"
                        )
    return new


def copy_needed(file: Path, old: ScriptDirectory) -> int:
    """Copy statements that tables may need from old revisions; return how many are in upgrades."""
    text, scripts = file.read_text(encoding="utf-8"), oldest_first(old)
    first = [line for script in scripts for line in lines_needed(script, "upgrade")]
    last = [line for script in scripts[::-1] for line in lines_needed(script, "downgrade")]
    text = re.sub(r"(?m)^def upgrade\(.*\n", lambda found: found[0] + "".join(first), text, count=1)
    file.write_text(text + "".join(last), encoding="utf-8", newline="\n")
    return len(first)


def lines_needed(script: Script, function: str) -> list[str]:
    """Return code for the statements in a function of a revision that tables may need."""
    nodes = (it for it in parsed(Path(script.path)).body if getattr(it, "name", "") == function)
    calls = [call for it in nodes for call in ast.walk(it) if isinstance(call, ast.Call)]
    lines = []
    for call in sorted(calls, key=lambda call: call.lineno):
        if getattr(call.func, "attr", "") == "execute" and call.args:
            [text, *_] = getattr(call.args[0], "args", None) or call.args  # it may be in sa.text()
            sql = literal(text) or str(getattr(script.module, getattr(text, "id", ""), ""))
            if NEEDED.match(sql.upper()):
                lines.append(f"    op.execute({sql!r})\n")
    return lines


def needs_after(run: Run, first: App) -> dict[str, list[str]]:
    """Return which revisions of a database need which, once each selected app has only one.

    A selected app is listed by its name, a revision of another app as `APP:ID`.
    """
    selected = {app.name for app in run.selected}
    needs: dict[str, list[str]] = {}
    for app in neighbours(run, first):
        if app.name in selected:
            needs[app.name] = []
        earlier: list[str] = []
        for revision in oldest_first(run.script(app)):
            name = app.name if app.name in selected else f"{app.name}:{revision.revision}"
            required = [
                other if (other := it.partition(":")[0]) in selected else it
                for it in run.order.required(app, revision)
            ]
            needs.setdefault(name, []).extend(it for it in [*earlier, *required] if it != name)
            earlier = [name]
    return needs


def note_replaced(file: Path, scripts: Sequence[Script]) -> None:
    """Write the ids that a revision replaces into its file, where `Order.ids_of` reads them."""
    ids = [id for script in scripts for id in getattr(script.module, "replaces", ())]
    ids += [script.revision for script in scripts[:-1]]
    if ids:
        text = file.read_text(encoding="utf-8")
        line = f"replaces: Sequence[str] = {tuple(ids)!r}"
        text = re.sub(r"(?m)^depends_on\b.*$", lambda found: f"{found[0]}\n{line}", text, count=1)
        file.write_text(text, encoding="utf-8", newline="\n")


def exchange(old: Sequence[Path], new: Mapping[Path, bytes]) -> None:
    """Replace old revision files with new ones; after an error, restore the old ones."""
    before = {file: file.read_bytes() for file in old}
    try:
        for file, text in new.items():
            file.write_bytes(text)
        for file in before.keys() - new.keys():
            file.unlink()
    except BaseException:
        for file in filter(Path.is_file, new):
            file.unlink()
        for file, text in before.items():
            if not file.exists():
                file.write_bytes(text)
        raise
