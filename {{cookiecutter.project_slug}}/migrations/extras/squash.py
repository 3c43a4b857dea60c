"""Replace an app's history by one revision with the last id, which creates today's tables."""

import ast
import builtins
import re
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from alembic import command
from alembic.operations import BatchOperations, Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from alembic.util import CommandError, rev_id

from ..apps import App
from ..errors import program, relative
from ..revision_files import files_of, literal, oldest_first, upgrade_calls
from ..run import Run
from . import ruff_format
from .empty_databases import check_schemas, in_empty_database, try_out, write_initial
from .new_revisions import check_folders
from .precautions import ask, changes_of, check_moves, head_of, uninterrupted

HOMES = (Operations, BatchOperations, MigrationContext, sa, sa.Enum, sa.Inspector)

SCHEMA_ONLY = {name for home in (*HOMES, builtins, str, list, dict) for name in dir(home)}
"""The functions that change no rows, and whose other changes autogenerate sees."""
SCHEMA_ONLY -= {"bulk_insert", "delete", "exec", "execute", "insert", "invoke", "run_async"}
SCHEMA_ONLY -= {"create_exclude_constraint", "update"}

ENUM_TYPE = re.compile(r"\s*(CREATE|ALTER|DROP) TYPE ")


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
    run.check_at_head(app)
    check_folders(run, app)
    check_schemas(run, app)
    if found := changes_of(run, app):
        raise CommandError(
            f"{app.name}: models and database differ: {', '.join(found)};"
            " first run ./generate.sh and ./migrate.sh"
        )


def announcement(run: Run, app: App) -> str:
    """Return what squashing an app does, and which parts of its revisions are lost."""
    files, head = files_of(run.script(app)), head_of(run, app)
    if head is None:  # revisions of another app created its tables
        return f"writes a first revision; on other databases, run: {program('adopt', app.name)}"
    count = f"{len(files)} revision{'' if len(files) == 1 else 's'}"
    lines = [f"replaces {count} by one, with the id of the last: {head}"]
    for file in files:
        for number, name in beyond_schema(file).items():
            lines.append(f"lost: {name} in line {number} of {relative(str(file))}")
    return "\n".join(lines)


def beyond_schema(file: Path) -> dict[int, str]:
    """Return the calls in a revision's upgrade that seem to do more than change the schema.

    Each is a function's name, by the number of its line. The last of a line says most.
    """
    found: dict[int, str] = {}
    for call in upgrade_calls(file):
        name = str(getattr(call.func, "attr", getattr(call.func, "id", "")))
        if name in SCHEMA_ONLY or name[:1].isupper() or "func" in ast.unparse(call.func).split("."):
            continue
        if name == "execute" and call.args and ENUM_TYPE.match(literal(call.args[0]) or ""):
            continue
        found[call.lineno] = name
    return found


def write_revisions(run: Run, temporary: Path) -> dict[App, Path]:
    """Write the new revisions into a folder, and try them out in an empty database."""
    folders = {app.name: temporary / app.name for app in run.selected}
    ids = {app.name: head_of(run, app) or rev_id() for app in run.selected}
    new: dict[App, Path] = {}
    for database in dict.fromkeys(app.database for app in run.selected):
        together = [app for app in run.selected if app.database == database]
        heads = {it.name: head_of(run, it) for it in together[0].neighbours}
        at = {name: head for name, head in heads.items() if head} | ids
        with in_empty_database(run, together[0], folders) as empty:
            for app in together:
                folders[app.name].mkdir()
            for app in together:
                scripts = oldest_first(run.script(app))
                also = required(run, app, scripts, ids)
                new[app] = write_initial(empty, app.name, at, also, ids[app.name])
                note_replaced(new[app], scripts)
            for app in together:
                try:
                    try_out(empty, empty.apps[app.name])
                except CommandError as error:
                    raise CommandError(
                        f"{error}; nothing is changed; write the revision by hand"
                    ) from error
    return new


def required(run: Run, app: App, scripts: Iterable[Script], ids: Mapping[str, str]) -> list[str]:
    """Return each `APP:ID` that an app's revisions require, with these ids of squashed apps."""
    found = []
    for _, _, name in run.order.requirements({app: scripts}):
        other = name.partition(":")[0]
        found.append(f"{other}:{ids[other]}" if other in ids else name)
    return list(dict.fromkeys(found))


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
        for file, text in before.items():
            file.write_bytes(text)
        for file in filter(Path.is_file, new.keys() - before.keys()):
            file.unlink()
        raise
