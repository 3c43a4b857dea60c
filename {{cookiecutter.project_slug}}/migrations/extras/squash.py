"""One revision in place of an app's history: it creates what is there now, under the last id."""

import ast
import builtins
import re
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.operations import BatchOperations
from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy import Inspector, dialects

from ..apps import App
from ..commands.check import changes_of
from ..errors import naming, relative
from ..order import check_models
from ..revision_files import literal, oldest_first, upgrade_calls
from ..run import Run
from .confirming import ask
from .empty_databases import check_schemas, in_empty_database, uninterrupted, write_initial
from .moved_models import check_moves
from .packaged_revisions import before_writing
from .ruff_format import written

SCHEMA_WORDS = re.compile(
    r"(add|alter|batch|create(?!_exclude)|drop|rename)_|(f|get_bind|get_context)$"
)
"""The operations of Alembic that change what a comparison sees, or nothing."""

SCHEMA_MODULES = {"op", "sa", "sqlalchemy", "orm", "context", *dialects.__all__}
"""The names under which revisions import what changes nothing but the schema."""

HARMLESS = (builtins, str, list, dict, Inspector, BatchOperations)
"""What has functions that change no row."""

ENUM_TYPE = re.compile(r"\s*(CREATE|ALTER|DROP) TYPE ")


@dataclass
class History:
    """The revisions of an app that become one."""

    app: App
    head: str | None
    """None if it has no revisions, because those of another app created its tables."""
    scripts: list[Script]
    """Oldest first."""
    new: Path = field(default_factory=Path)
    """The revision that replaces them, not yet in its place."""

    @property
    def home(self) -> Path:
        """The place of the new revision."""
        return self.app.folders[0] / self.new.name

    @property
    def files(self) -> list[Path]:
        """Their files."""
        return [Path(script.path) for script in self.scripts]

    @property
    def replaced(self) -> list[str]:
        """The ids that are gone afterwards, now or by an earlier squash."""
        before = [id for script in self.scripts for id in getattr(script.module, "replaces", ())]
        return [*before, *(script.revision for script in self.scripts[:-1])]


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="+")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def squash(run: Run) -> None:
    """Replace all revisions of an app by one that creates its tables as they are now."""
    histories = []
    for app in run.selected:
        with naming(app):
            histories.append(history(run, app))
    for it in histories:
        count = len(it.scripts)
        files = f"{count} revision{'' if count == 1 else 's'}"
        told = f"replaces {files} by one, with the id of the last: {it.head}"
        if it.head is None:
            told = f"writes a first revision; elsewhere: python -m migrations adopt {it.app.name}"
        for file in it.files:
            told += "".join(f"\nlost: what {relative(str(file))} does in {at}" for at in work(file))
        run.say(it.app, told)
    print("every other database must have been migrated that far before it gets this")
    ask(run)
    with TemporaryDirectory() as temporary:
        for it in histories:
            folder = Path(temporary, it.app.name)
            folder.mkdir()
            with naming(it.app):
                it.new = write_initial(run, it.app, it.head, folder)
                if it.replaced:
                    note_replaced(it.new, it.replaced)
        verify(run, histories)
        with uninterrupted():
            exchange(histories)
    written([str(it.home) for it in histories])
    for it in histories:
        told = f"wrote {relative(str(it.home))}"
        if it.head is None:
            command.stamp(run.config_of(it.app), "head")
            told += " and stamped it"
        else:
            told += f" in place of {len(it.files)}"
        run.say(it.app, told)


def history(run: Run, app: App) -> History:
    """What is to be squashed; CommandError unless database, revisions and models are one."""
    head = run.head(app)
    scripts = oldest_first(run.script(app))
    check_moves(run, app, together=run.selected)
    if len(scripts) < 2 and len(run.selected) == 1:
        raise CommandError(f"{app.name}: has one revision or none; there is nothing to squash")
    if not run.at_head(app):
        raise CommandError(f"{app.name}: its database is behind; run ./migrate.sh {app.name} first")
    before_writing(run, app)
    check_schemas(run, app)
    check_models(app, tuple(run.apps.values()))
    if found := changes_of(run, app):
        raise CommandError(
            f"{app.name}: models and database differ: {', '.join(found)};"
            " run ./generate.sh and ./migrate.sh first"
        )
    return History(app, head, scripts)


def work(file: Path) -> Iterator[str]:
    """Where the upgrade of a revision does more than change the schema, as far as one can see."""
    told: set[ast.AST] = set()
    for call in upgrade_calls(file):
        calls = [part for part in beginnings(call) if isinstance(part, ast.Call)]
        names = [called(part) for part in calls if is_work(part)]
        if names and call not in told:
            told.update(ast.walk(call))
            yield f"line {call.lineno}: {names[-1]}"


def is_work(call: ast.Call) -> bool:
    """Whether a call seems to do more than change the schema."""
    name, arguments = called(call), [*call.args, *(word.value for word in call.keywords)]
    if name == "execute":
        return not (arguments and ENUM_TYPE.match(literal(arguments[0]) or ""))
    match call.func:
        case ast.Attribute(value=ast.Name(id="op")):
            return not SCHEMA_WORDS.match(name)
    if name in ("commit", "exec_driver_sql", "scalar", "scalars"):
        return True
    match [*beginnings(call)][-1]:
        case ast.Name(id=root) if root in SCHEMA_MODULES:
            return False
    if name in ("create", "drop"):  # a type, mostly
        return False
    if any(isinstance(it, ast.Call) and called(it) == "get_bind" for it in arguments):
        return True
    return name[:1].islower() and not any(hasattr(kind, name) for kind in HARMLESS)


def called(call: ast.Call) -> str:
    """The name of what is called, without what stands before it."""
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def beginnings(part: ast.expr) -> Iterator[ast.expr]:
    """An expression and those it begins with: `a.b().c`, then `a.b()`, `a.b` and `a`."""
    while True:
        yield part
        match part:
            case ast.Call(func=first) | ast.Attribute(value=first) | ast.Subscript(value=first):
                part = first
            case _:
                return


def note_replaced(file: Path, revisions: list[str]) -> None:
    """Write the ids that a revision stands for into it: revisions.py looks for them."""
    text = file.read_text(encoding="utf-8")
    line = f"replaces: Sequence[str] = {tuple(revisions)!r}"
    text = re.sub(r"(?m)^depends_on\b.*$", lambda found: f"{found[0]}\n{line}", text, count=1)
    file.write_text(text, encoding="utf-8", newline="\n")


def verify(run: Run, histories: list[History]) -> None:
    """Migrate an empty database with the new revisions; CommandError unless that does the same."""
    folders = {it.app.name: it.new.parent for it in histories}
    for it in histories:
        with in_empty_database(run, it.app, folders) as empty, naming(it.app):
            app = empty.apps[it.app.name]
            for other in empty.neighbours(app):
                command.upgrade(empty.config_of(other), "head")
            if found := changes_of(empty, app):
                raise CommandError(
                    f"{app.name}: not squashed: in a new database the tables would still have to:"
                    f" {', '.join(found)}"
                )


def exchange(histories: list[History]) -> None:
    """Put the new revisions in the place of the old ones; after an error, all are back."""
    new = [(beside(it.home, "new"), it.home) for it in histories]
    aside = [(file, beside(file, "old")) for it in histories for file in it.files]
    done: list[tuple[Path, Path]] = []
    try:
        for (file, _), it in zip(new, histories, strict=True):
            file.write_bytes(it.new.read_bytes())
        for source, target in [*aside, *new]:
            done.append((source, target))
            source.rename(target)
    except BaseException:
        for source, target in reversed(done):
            if not source.exists():  # the last may not have gone yet
                target.rename(source)
        for file, _ in new:
            file.unlink(missing_ok=True)
        raise
    for _, old in aside:
        old.unlink()


def beside(file: Path, suffix: str) -> Path:
    """A name in the same folder that Alembic does not take for a revision."""
    return file.with_name(f"{file.name}.{suffix}")
