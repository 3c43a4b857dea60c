"""One call of `python -m migrations`: its apps, where their databases are, and a loop over them."""

import gc
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import Any, TypeVar

from alembic.config import CommandLine, Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, TableClause, inspect, table
from sqlalchemy.exc import DBAPIError

from .apps import App
from .commands import hooks
from .databases import Databases, version_schema
from .errors import program
from .order import Order, ancestors
from .revision_files import check_revisions

T = TypeVar("T")

Steps = Callable[[Any, MigrationContext], Iterable[Any]]
"""What returns the steps of a command, from the revisions that a database is at."""

TABLES_IN_A_QUERY = 100
"""How many version tables one query reads; SQLite allows 500 or more."""


@dataclass
class Run:
    """One call of `python -m migrations`."""

    config: Config
    options: Namespace
    apps: dict[str, App]
    """All apps, in the order of their sections."""
    selected: list[App]
    """Those that the command is for, in the same order."""
    databases: Databases
    command_line: CommandLine = field(default_factory=CommandLine)
    scripts: dict[str, ScriptDirectory] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Leave for env.py what is read once for all apps."""
        self.order = Order(self.apps, self.script)
        shared = {"apps": self.apps, "databases": self.databases, "order": self.order}
        self.config.attributes.update(shared)

    def config_for(self, app: App) -> Config:
        """Make the app's section Alembic's main section, and return the configuration."""
        self.config.config_ini_section = app.name
        return self.config

    def script(self, app: App) -> ScriptDirectory:
        """Return the app's revision files, which are read once."""
        if app.name not in self.scripts:
            with app.naming():
                script = ScriptDirectory.from_config(self.config_for(app))
                # Alembic puts prepend_sys_path in front of sys.path again for every app.
                sys.path[:] = dict.fromkeys(sys.path)
                check_revisions(app, script)
            self.scripts[app.name] = script
        return self.scripts[app.name]

    @cached_property
    def current(self) -> dict[str, tuple[str, ...]]:
        """The revisions that the apps' databases were at when they were first asked."""
        return Current(self)

    def applied(self, app: App) -> set[str]:
        """Return the ids of the revisions that were applied when the database was first asked."""
        self.check_current(app)
        return ancestors(self.script(app), self.current[app.name])

    def unfinished(self, app: App) -> str | None:
        """Return why an app must not be migrated or compared, if a module in extras/ says so."""
        return next((why for hook in hooks("unfinished") if (why := hook(self, app))), None)

    def check_current(self, app: App) -> None:
        """Raise CommandError for a database that is at an unknown revision."""
        for revision in {*self.current[app.name]}.difference(self.script(app).get_heads()):
            found = self.order.ids_of(app).get(revision)
            if found != revision:
                why = "is not among the revision files: is this an older version of the code?"
                if found:
                    why = f"was squashed into {found}; first migrate it with the code before that"
                raise CommandError(
                    f"{app.name}: its database is at revision {revision}, which {why}"
                )

    def steps(self, app: App, to: str, up: bool = True) -> list[Script]:
        """Return the revisions to apply, or to take back, up or down to `to`, in their order.

        `to` is what Alembic takes, such as `head`, `base` or `-1`.
        """
        now, iterate = self.current[app.name], self.script(app).iterate_revisions
        if up:
            return list(iterate(to, now, implicit_base=True))[::-1]
        return list(iterate(now, to, select_for_downgrade=True))

    def head(self, app: App) -> str | None:
        """Return the app's one head, or None before its first revision.

        Raises CommandError for several heads, and for a database at an unknown revision.
        """
        heads = self.script(app).get_heads()
        if len(heads) > 1:
            raise CommandError(
                f"{app.name}: has {len(heads)} heads ({', '.join(heads)}); merge them with:"
                f" {program()} -n {app.name} merge heads -m merge"
            )
        self.check_current(app)
        return heads[0] if heads else None

    def at_head(self, app: App) -> bool:
        """Return True if the database is at the app's one head.

        Raises CommandError as `head` does, and if a revision is unfinished.
        """
        head = self.head(app)
        if why := self.unfinished(app):
            raise CommandError(f"{app.name}: {why}")
        return self.current[app.name] == ((head,) if head else ())

    def in_environment(self, app: App, work: Steps, **options: Any) -> None:
        """Run env.py for an app, as every command of Alembic does.

        `work` gets the database's current revisions and returns the steps to be taken.
        """
        script = self.script(app)
        with EnvironmentContext(self.config_for(app), script, fn=work, **options):
            script.run_env()

    def take(
        self, app: App, revisions: Sequence[Script], up: bool = True, **options: Any
    ) -> list[Script]:
        """Apply revisions of an app, or take them back; return those that still had to be.

        Another migrator may have been faster since these were found.
        """
        taken: list[Script] = []

        def work(now: tuple[str, ...], _: MigrationContext) -> list[RevisionStep]:
            applied = ancestors(self.script(app), now)
            if not up and applied - self.applied(app):
                raise CommandError("somebody else migrated it just now; run this again")
            taken[:] = [it for it in revisions if (it.revision in applied) != up]
            return [RevisionStep(self.script(app).revision_map, it, up) for it in taken]

        self.in_environment(app, work, destination_rev=revisions[-1].revision, **options)
        return taken

    def each_until_error(
        self, work: Callable[..., str], apps: Iterable[App], *arguments: Iterable[Any]
    ) -> None:
        """Do the work for each app and print what it returns; at an error, say how far it came.

        As with `map`, `arguments` give further arguments for each app.
        """
        todo = list(apps)
        if self.config.cmd_opts and not gc.isenabled():  # see __init__.py
            gc.freeze()  # what is imported and read by now is never freed
            gc.enable()
        for position, (app, *more) in enumerate(zip(todo, *arguments, strict=True)):
            try:
                with app.naming():
                    said = work(app, *more)
            except BaseException:
                if len(set(todo)) > 1:
                    rest = todo[position + 1 :]
                    done = [it for it in todo[:position] if it not in [app, *rest]]
                    line = f"stopped at {app.name}; done: {names(done)}; not done: {names(rest)}"
                    print(line, file=self.config.stdout)
                raise
            self.say(app, said)

    def each_despite_errors(self, work: Callable[[App], str]) -> None:
        """Print what `work` returns for each app, also after an error; then exit with status 1."""
        failed = False
        for app in self.selected:
            try:
                with app.naming():
                    self.script(app)
                    self.say(app, work(app))
            except CommandError as error:
                if self.options.raiseerr:
                    raise
                print(error, file=sys.stderr)
                failed = True
        if failed:
            sys.exit(1)

    def say(self, app: App, text: str) -> None:
        """Print lines about one app, with its name in front of the first."""
        if text:
            width = max(len(other.name) for other in self.selected)
            margin = "\n" + " " * (width + 2)
            print(f"{app.name:<{width}}  " + text.replace("\n", margin), file=self.config.stdout)


class Current(dict[str, tuple[str, ...]]):
    """The current revisions by app. The first question about a database reads all its apps."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __missing__(self, name: str) -> tuple[str, ...]:
        app = self._run.apps[name]
        with app.naming():
            together = [it for it in self._run.selected if it.url == app.url and it is not app]
            together.append(app)
            self.update(self._run.databases.run(app.url, partial(read_versions, apps=together)))
        return self[name]


def read_versions(connection: Connection, apps: Sequence[App]) -> dict[str, tuple[str, ...]]:
    """Return the revisions in the apps' version tables; none where there is no such table yet."""
    inspector = inspect(connection)
    versions: dict[App, tuple[str, ...]] = dict.fromkeys(apps, ())
    existing = {}
    for app in apps:
        with app.naming():
            schema = version_schema(app, connection.dialect)
            if app.version_table in inspector.get_table_names(schema):
                existing[app] = table(app.version_table, schema=schema)
    try:
        versions |= read_tables(connection, existing)
    except DBAPIError:
        connection.rollback()
        for app in existing:  # which of them is it? Or do their collations differ, on MySQL?
            with app.naming():
                versions |= read_tables(connection, {app: existing[app]})
    return {app.name: versions[app] for app in apps}


def read_tables(
    connection: Connection, tables: Mapping[T, TableClause]
) -> dict[T, tuple[str, ...]]:
    """Return what version tables hold, with a query for many of them at once."""
    quote = connection.dialect.identifier_preparer.format_table
    found: dict[T, tuple[str, ...]] = dict.fromkeys(tables, ())
    keys = list(tables)
    for start in range(0, len(keys), TABLES_IN_A_QUERY):
        names = [quote(tables[key]) for key in keys[start : start + TABLES_IN_A_QUERY]]
        queries = [f"SELECT {i}, {name}.version_num FROM {name}" for i, name in enumerate(names)]
        rows = connection.exec_driver_sql(" UNION ALL ".join(queries))
        for number, revision in sorted(tuple(row) for row in rows):
            found[keys[start + number]] += (revision,)
    return found


def order_of(apps: dict[str, App], ini: str | None) -> Order:
    """Return the order of revisions for a command of plain Alembic, which reads one app only."""
    script = cache(lambda app: ScriptDirectory.from_config(Config(ini, ini_section=app.name)))
    return Order(apps, script)


def checked(steps: Steps, app: App, order: Order, connection: Connection) -> Steps:
    """Return `steps`, which now also check what other apps require: see order.py."""

    @cache
    def applied(other: App) -> set[str]:
        read = partial(read_versions, apps=[other])
        with closing(Databases()) as databases:
            near = (other.database, other.schema) == (app.database, app.schema)
            found = read(connection) if near else databases.run(other.url, read)
        return ancestors(order.script(other), found[other.name])

    def checked_steps(now: Any, migration: MigrationContext) -> Iterable[Any]:
        found = list(steps(now, migration))
        revisions = [it.revision for it in found if isinstance(it, RevisionStep)]
        order.plan({app: revisions}, applied, up=any(it.is_upgrade for it in found))
        return found

    return checked_steps


def names(apps: Iterable[App]) -> str:
    """Return the names of apps, for a message."""
    return ", ".join(dict.fromkeys(app.name for app in apps)) or "none"
