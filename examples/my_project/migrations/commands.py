"""The commands that work on several apps: what each does, and what it prints."""

import gc
import io
import json
import logging
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from sysconfig import get_path
from typing import Any

from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.config import CommandLine, Config
from alembic.operations.ops import (
    CreateTableOp,
    DowngradeOps,
    DropTableOp,
    MigrateOperation,
    MigrationScript,
    ModifyTableOps,
    UpgradeOps,
)
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, inspect, table
from sqlalchemy.exc import DBAPIError

from .apps import App
from .changes import describe, summarise
from .databases import Databases
from .enum_types import EnumTypeOp
from .errors import Interrupted, naming, relative, shown
from .graph import draw
from .leftovers import left_over
from .ownership import Ownership, check_models
from .risks import risks


@dataclass
class Run:
    """One call of `python -m migrations`."""

    config: Config
    options: Namespace
    line: CommandLine
    apps: dict[str, App]
    """All apps, in the order of their sections."""
    selected: list[App]
    """Those that the command is for, in the same order."""
    databases: Databases
    scripts: dict[str, ScriptDirectory] = field(default_factory=dict)

    def turn_to(self, app: App) -> Config:
        """The configuration, with the app's section as Alembic's main section."""
        self.config.config_ini_section = app.name
        return self.config

    def script(self, app: App) -> ScriptDirectory:
        """The app's revision files, read once."""
        if app.name not in self.scripts:
            with naming(app):
                script = ScriptDirectory.from_config(self.turn_to(app))
                # It puts prepend_sys_path in front of sys.path, once more for every app.
                sys.path[:] = dict.fromkeys(sys.path)
                app.check_revisions(script)
            self.scripts[app.name] = script
        return self.scripts[app.name]

    def in_environment(
        self,
        app: App,
        work: Callable[[Any, MigrationContext], Iterable[RevisionStep]],
        **options: Any,
    ) -> None:
        """Run env.py for an app, as every command of Alembic does.

        There `work` gets the database's current revisions, and returns the steps to be taken.
        """
        script = self.script(app)
        with EnvironmentContext(self.turn_to(app), script, fn=work, **options):
            script.run_env()

    def each(self, work: Callable[[App], str], apps: Iterable[App]) -> None:
        """Do the work for each app and print what it says; at an error, print how far it came."""
        todo = list(apps)
        for position, app in enumerate(todo):
            show_progress(app.name)
            try:
                with naming(app):
                    said = work(app)
            except BaseException:
                show_progress("")
                if len(todo) > 1:
                    done, rest = names(todo[:position]), names(todo[position + 1 :])
                    print(f"stopped at {app.name}; done: {done}; not done: {rest}", flush=True)
                raise
            show_progress("")
            self.say(app, said)

    def say(self, app: App, text: str) -> None:
        """Print what is to be said about one app."""
        if text:
            width = max(len(other.name) for other in self.selected)
            print(f"{app.name:<{width}}  " + text.replace("\n", f"\n{'':<{width}}  "), flush=True)


def migrate(run: Run) -> None:
    """Bring every app's database to its newest revision."""
    current = read_current(run)
    for app in run.selected:
        check_head(run, app, current[app.name])
    if run.options.sql:
        print_sql(run, current)
        return

    def upgrade(app: App) -> str:
        head = run.script(app).get_current_head()
        if head is None:
            return "no revisions yet"
        if current[app.name] == (head,):
            return "up to date"
        script = run.script(app)
        applied: list[str] = []

        def steps(now: Any, _: MigrationContext) -> list[RevisionStep]:
            # Not those that were pending before: another migrator may have been faster.
            pending = list(script.iterate_revisions("head", now, implicit_base=True))[::-1]
            applied.extend(label(script, revision.revision) for revision in pending)
            return [RevisionStep(script.revision_map, revision, True) for revision in pending]

        run.in_environment(app, steps, destination_rev="head")
        return f"applied {', '.join(applied)}" if applied else "up to date"

    run.each(upgrade, run.selected)


def print_sql(run: Run, current: dict[str, tuple[str, ...]]) -> None:
    """Print the SQL of the pending revisions of every app, each under a comment with its name."""
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(encoding="utf-8")
    for app in run.selected:
        head, before = run.script(app).get_current_head(), current[app.name]
        pending = head is not None and before != (head,)
        print(f"-- {app.name}" if pending else f"-- {app.name}: up to date", end="\n\n", flush=True)
        if pending:
            with naming(app):
                command.upgrade(
                    run.turn_to(app), f"{before[0]}:head" if before else "head", sql=True
                )


def generate(run: Run) -> None:
    """Write a new revision for every app whose models changed."""
    current = read_current(run)
    for app in run.selected:
        if not at_head(run, app, current):
            raise CommandError(
                f"{app.name}: the database is behind the newest revision;"
                f" run ./migrate.sh {app.name} before generating another"
            )
        with naming(app):
            check_models(app, tuple(run.apps.values()))

    found = differences(run, run.selected)
    written: list[str] = []

    def write(app: App) -> str:
        ids: list[str] = []

        def fill(_: object, __: object, directives: list[MigrationScript]) -> None:
            [script] = directives
            script.upgrade_ops, script.downgrade_ops = found[app]
            ids.append(str(script.rev_id))

        upgrade, _ = found[app]
        changes = describe(upgrade)
        if not changes:
            return "no changes"
        check_home(run, app)
        made_up = summarise(changes) if current[app.name] else "initial"
        config = run.turn_to(app)
        config.set_main_option("revision_environment", "true")  # what runs env.py
        try:
            script = command.revision(
                config, run.options.message or made_up, process_revision_directives=fill
            )
        except BaseException:
            remove_revisions(app, ids)
            raise
        assert isinstance(script, Script)
        written.append(script.path)
        lines = [f"wrote {relative(script.path)}"]
        lines += [f"warning: {text}" for text in risks(upgrade, app.database[0])]
        return "\n".join(lines)

    try:
        run.each(write, run.selected)
    finally:
        tidy(written)


def differences(run: Run, apps: Sequence[App]) -> dict[App, tuple[UpgradeOps, DowngradeOps]]:
    """What autogenerate would change for each app, and how to take it back.

    Apps of one database are compared together, so that its tables are reflected once.
    """
    # From here on little is garbage before the end; looking for it takes a quarter of the time.
    gc.disable()
    found: dict[App, tuple[UpgradeOps, DowngradeOps]] = {}
    for together in by_database(apps).values():
        try:
            found |= compare(run, together)
        except Interrupted:
            raise
        except CommandError:
            if len(together) == 1:
                raise
            for app in together:  # which of them is it?
                found |= compare(run, [app])
    return found


def compare(run: Run, apps: Sequence[App]) -> dict[App, tuple[UpgradeOps, DowngradeOps]]:
    """Compare apps of one database with it, and sort what is found by app."""
    found = {app: (UpgradeOps([]), DowngradeOps([])) for app in apps}

    def sort(_: Any, context: MigrationContext) -> list[RevisionStep]:
        ownership: Ownership = context.opts["target_metadata"]
        script = produce_migrations(context, ownership)  # type: ignore[arg-type]
        assert script.upgrade_ops is not None
        assert script.downgrade_ops is not None
        backwards = script.downgrade_ops.ops[::-1]
        for operation, back in zip(script.upgrade_ops.ops, backwards, strict=True):
            upgrade, downgrade = found[owner_of(operation, ownership)]
            upgrade.ops.append(operation)
            downgrade.ops.insert(0, back)
        return []

    run.config.attributes["compared"] = {app: run.script(app) for app in apps}
    try:
        with naming(apps[0]):
            run.in_environment(apps[0], sort)
    finally:
        del run.config.attributes["compared"]
    return found


def owner_of(operation: MigrateOperation, ownership: Ownership) -> App:
    """The app that an operation is for, among those that were compared."""
    match operation:
        case EnumTypeOp(app=app):
            return app
        case CreateTableOp() | DropTableOp() | ModifyTableOps():
            owner = ownership.owner(operation.schema, operation.table_name)
            assert owner is not None
            return owner
    # An extension of Alembic has found something that we do not know.
    if len(ownership.compared) > 1:
        raise CommandError(f"which app is {type(operation).__name__} for?")
    return next(iter(ownership.compared))


def remove_revisions(app: App, ids: list[str]) -> None:
    """Remove what was written of these revisions: half a file would stop every command."""
    for folder in app.folders:
        for revision in ids:
            for file in folder.glob(f"*{revision}*"):
                file.unlink()


def tidy(files: list[str]) -> None:
    """Sort the imports of new revisions and format them, where ruff is installed."""
    if files and find_spec("ruff"):
        for command in (["check", "--fix"], ["format"]):
            ruff = [sys.executable, "-m", "ruff", *command, "--silent"]
            subprocess.run([*ruff, *files], check=False)


def check(run: Run) -> None:
    """Fail where models and database differ, or where revisions are pending."""
    current = read_current(run)
    found: dict[App, tuple[UpgradeOps, DowngradeOps]] = {}
    with suppress(CommandError):  # each app reports its own
        found = differences(run, [app for app in run.selected if at_head(run, app, current)])

    def report(app: App) -> str:
        if not at_head(run, app, current):
            raise CommandError("the database is behind the newest revision; run ./migrate.sh")
        upgrade, _ = found.get(app) or differences(run, [app])[app]
        if changes := describe(upgrade):
            raise CommandError(
                f"models and database differ: {', '.join(changes)}; run ./generate.sh"
            )
        return "no changes"

    look(run, report)


def status(run: Run) -> None:
    """Show every app's database, current revision, head, and how many revisions are pending."""
    current = read_current(run)
    found = []
    for app in run.selected:
        script = run.script(app)
        check_current(run, app, current[app.name])
        heads = script.get_heads()
        steps = list(script.iterate_revisions(tuple(heads), current[app.name] or "base"))
        found.append(
            {
                "app": app.name,
                "current": list(current[app.name]),
                "heads": heads,
                "pending": [step.revision for step in reversed(steps)],
                "database": shown(app.url),
            }
        )
    if run.options.json:
        print(json.dumps(found, indent=2))
    else:
        print_table(found, brief=len(found) > MANY and not run.options.apps)
        if len(run.selected) == len(run.apps):
            for line in left_over(run.databases, run.selected):
                print(line)


def print_table(found: list[dict[str, Any]], brief: bool) -> None:
    """Print a row for each app; in brief, only for those that have revisions pending."""
    rows = [("app", "current", "head", "pending", "database")]
    for row in found:
        if row["pending"] or not brief:
            now, head = (", ".join(row[key]) or "-" for key in ("current", "heads"))
            rows.append((row["app"], now, head, str(len(row["pending"])), row["database"]))
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for cells in rows if len(rows) > 1 else ():
        print("  ".join(f"{c:<{width}}" for c, width in zip(cells, widths, strict=True)).rstrip())
    if brief:
        print(f"{len(found) - len(rows) + 1} of {len(found)} apps are up to date")


def graph(run: Run) -> None:
    """Print a picture of every app's revisions and references, as text for Mermaid."""
    current = read_current(run)
    for app in run.selected:
        check_current(run, app, current[app.name])
    scripts = {app.name: run.script(app) for app in run.selected}
    print("\n".join(draw(run.selected, scripts, current)))


def alembic(run: Run) -> None:
    """Run one of Alembic's own commands for every app; downgrades go in reverse order."""
    options = Namespace(**{**vars(run.options), "raiseerr": True})  # else it prints errors itself
    name = run.options.cmd[0].__name__

    def call(app: App) -> str:
        if len(run.selected) > 1:
            print(f"{app.name}:", flush=True)
        run.line.run_cmd(run.turn_to(app), options)
        return ""

    if name in LOOKING:
        logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
        look(run, call)
        return
    for app in run.selected:
        run.script(app)
    if name in ("upgrade", "downgrade", "stamp"):
        check_targets(run)
    run.each(call, run.selected[::-1] if name == "downgrade" else run.selected)


MANY = 20
"""With more apps than this, `status` shows only those that have something to do."""

TABLES_IN_A_QUERY = 100
"""SQLite allows 500, at least."""

LOOKING = ("branches", "current", "heads", "history", "show")
"""Alembic's commands that change nothing."""

ADDED = (migrate, generate, status, graph)
"""The commands that Alembic does not have."""


def find(cmd: Any) -> Callable[[Run], None]:
    """What to run for the command that the command line found."""
    if callable(cmd):
        return cmd  # type: ignore[no-any-return]
    return check if cmd[0] is command.check else alembic


def look(run: Run, work: Callable[[App], str]) -> None:
    """Do work that changes nothing for every app, also after an error; exit with 1 if there was."""
    failed = False
    for app in run.selected:
        try:
            with naming(app):
                run.script(app)
                run.say(app, work(app))
        except CommandError as error:
            if run.options.raiseerr or isinstance(error, Interrupted):
                raise
            print(error, file=sys.stderr, flush=True)
            failed = True
    if failed:
        sys.exit(1)


def read_current(run: Run) -> dict[str, tuple[str, ...]]:
    """The revisions that the selected apps' databases are at, asking each database once."""
    current: dict[str, tuple[str, ...]] = {}
    for url, apps in by_database(run.selected).items():
        with naming(apps[0]):
            current.update(run.databases.run(url, partial(read_versions, apps=apps)))
    return current


def by_database(apps: Iterable[App]) -> dict[URL, list[App]]:
    """The apps of each database."""
    found: dict[URL, list[App]] = {}
    for app in apps:
        found.setdefault(app.url, []).append(app)
    return found


def read_versions(connection: Connection, apps: Sequence[App]) -> dict[str, tuple[str, ...]]:
    """The revisions in the apps' version tables; none where there is no such table yet."""
    inspector = inspect(connection)
    versions: dict[str, tuple[str, ...]] = {app.name: () for app in apps}
    existing = []
    for app in apps:
        with naming(app):
            if app.version_table in inspector.get_table_names(app.version_table_schema):
                existing.append(app)
    try:
        for start in range(0, len(existing), TABLES_IN_A_QUERY):
            read_tables(connection, existing[start : start + TABLES_IN_A_QUERY], versions)
    except DBAPIError:
        connection.rollback()
        for app in existing:  # which of them is it?
            with naming(app):
                read_tables(connection, [app], versions)
        raise
    return versions


def read_tables(
    connection: Connection, apps: Sequence[App], versions: dict[str, tuple[str, ...]]
) -> None:
    """Read the version tables of apps in one query."""
    quote = connection.dialect.identifier_preparer.format_table
    queries = []
    for number, app in enumerate(apps):
        version_table = quote(table(app.version_table, schema=app.version_table_schema))
        queries.append(f"SELECT {number}, {version_table}.version_num FROM {version_table}")
    for number, revision in connection.exec_driver_sql(" UNION ALL ".join(queries)):
        name = apps[number].name
        versions[name] = tuple(sorted([*versions[name], revision]))


def check_head(run: Run, app: App, current: tuple[str, ...]) -> str | None:
    """The app's one head, or None before its first revision.

    Raises CommandError for several heads, and for a database that is at an unknown revision.
    """
    heads = run.script(app).get_heads()
    if len(heads) > 1:
        raise CommandError(
            f"{app.name}: has {len(heads)} heads ({', '.join(heads)}); merge them with:"
            f" python -m migrations -n {app.name} merge heads -m merge"
        )
    check_current(run, app, current)
    return heads[0] if heads else None


def at_head(run: Run, app: App, current: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether its database is at the app's one head; raises what `check_head` does."""
    head = check_head(run, app, current[app.name])
    return current[app.name] == ((head,) if head else ())


def check_current(run: Run, app: App, current: tuple[str, ...]) -> None:
    """Raise CommandError for a database that is at an unknown revision."""
    for revision in current:
        try:
            run.script(app).get_revision(revision)
        except CommandError:
            for step in run.script(app).walk_revisions():
                if revision in getattr(step.module, "replaces", ()):
                    raise CommandError(
                        f"{app.name}: its database is at revision {revision}, which was squashed"
                        f" into {step.revision}; first migrate it with the code before that"
                    ) from None
            raise CommandError(
                f"{app.name}: its database is at revision {revision}, which is not among the"
                " revision files: is this an older version of the code?"
            ) from None


def check_home(run: Run, app: App) -> None:
    """Refuse to write a revision into the folder of an installed package."""
    project = Path(str(run.config.config_file_name)).resolve().parent
    installed = [Path(get_path(kind)).resolve() for kind in ("purelib", "platlib")]
    for location, folder in zip(app.version_locations, app.folders, strict=True):
        inside = folder.is_relative_to(project) and not any(map(folder.is_relative_to, installed))
        if ":" in location and not Path(location).is_absolute() and not inside:
            raise CommandError(
                f"{app.name}: its revisions belong to an installed package, and none is written"
                f" to {folder}: install a version of it that has what you need"
            )


def check_targets(run: Run) -> None:
    """Raise what can be known of an upgrade, downgrade or stamp before the first app gets it."""
    stamp = run.options.cmd[0] is command.stamp
    targets = run.options.revisions if stamp else run.options.revision.split(":")
    current = {} if stamp or run.options.sql else read_current(run)
    for app in run.selected:
        check_current(run, app, current.get(app.name, ()))
        with naming(app):
            for target in targets:
                if target and not re.search(r"[+-]\d+$", target):  # not +1, head-2
                    run.script(app).get_revisions(target)


def label(script: ScriptDirectory, revision: str) -> str:
    """A revision's id and what it does."""
    return f"{revision} ({script.get_revision(revision).doc})"


def names(apps: Iterable[App]) -> str:
    """The names of apps, for a message."""
    return ", ".join(app.name for app in apps) or "none"


def show_progress(text: str) -> None:
    """Show what is being done, on a terminal; an empty text clears it."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}", end="", flush=True)
