"""One run of a command over the apps: their revisions, their databases, and the loop."""

import gc
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, TypeVar

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, TableClause, inspect, table
from sqlalchemy.exc import DBAPIError

from .apps import App
from .commands import hooks
from .databases import Databases
from .errors import program
from .locks import version_schema
from .order import Order, ancestors
from .revision_files import check_revisions

T = TypeVar("T")

FindSteps = Callable[[Any, MigrationContext], Iterable[Any]]
"""Gets the current revisions of a database, and returns the steps that Alembic is to run."""


@dataclass
class Run:
    """One run of a command, such as a call of `python -m migrations`."""

    config: Config
    options: Namespace
    apps: dict[str, App]
    """All apps, in the order of their sections."""
    selected: list[App]
    """The apps that the command is for, in the same order."""
    databases: Databases
    scripts: dict[str, ScriptDirectory] = field(default_factory=dict)
    """The revision files of the apps that were asked for so far, by name."""
    known: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)
    """The current revisions of the apps whose databases were read so far, by name."""

    def __post_init__(self) -> None:
        """Pass to env.py what is read once for all apps."""
        self.order = Order(self.apps, self.script)
        shared = {"apps": self.apps, "databases": self.databases, "order": self.order}
        self.config.attributes.update(shared)

    def config_for(self, app: App) -> Config:
        """Return Alembic's configuration, with the app's section as the main one."""
        self.config.config_ini_section = app.name
        return self.config

    def script(self, app: App) -> ScriptDirectory:
        """Return the app's revision files. They are read once."""
        if app.name not in self.scripts:
            with app.naming():
                script = ScriptDirectory.from_config(self.config_for(app))
                # Alembic puts prepend_sys_path in front of sys.path again for every app.
                sys.path[:] = dict.fromkeys(sys.path)
                check_revisions(app, script)
            self.scripts[app.name] = script
        return self.scripts[app.name]

    def current(self, app: App) -> tuple[str, ...]:
        """Return the revisions that the app's database was at when it was first read.

        Raises CommandError if one of them is unknown. Reads all selected apps of the database.
        """
        if app.name not in self.known:
            with app.naming():
                others = [it for it in self.selected if it.url == app.url and it is not app]
                read = partial(read_versions, apps=[*others, app])
                self.known.update(self.databases.run(app.url, read))
        for revision in {*self.known[app.name]}.difference(self.script(app).get_heads()):
            found = self.order.ids_of(app).get(revision)
            if found != revision:
                why = "has no file; is the code older than the database?"
                if found:
                    why = f"was squashed into {found}; first migrate with the code before that"
                raise CommandError(
                    f"{app.name}: the database is at revision {revision}, which {why}"
                )
        return self.known[app.name]

    def applied(self, app: App) -> set[str]:
        """Return the ids of the revisions that were applied when the database was first read."""
        return ancestors(self.script(app), self.current(app))

    def steps(self, app: App, to: str, up: bool = True) -> list[Script]:
        """Return the revisions to run, in order, to upgrade or downgrade an app to a revision.

        `to` is any target that Alembic knows, such as `head`, `base` or `-1`.
        """
        now, iterate = self.current(app), self.script(app).iterate_revisions
        with app.naming():
            if up:
                return list(iterate(to, now, implicit_base=True))[::-1]
            return list(iterate(now, to, select_for_downgrade=True))

    def plan(self, to: str, up: bool = True) -> list[tuple[App, list[Script]]]:
        """Return the steps of all selected apps in the order to run them; see `Order.plan`."""
        apps = self.selected if up else self.selected[::-1]
        return self.order.plan({app: self.steps(app, to, up) for app in apps}, self.applied, up)

    def unfinished(self, app: App) -> str | None:
        """Return why extras/ says that an app must not be migrated or compared, or None."""
        return next((why for hook in hooks("unfinished") if (why := hook(self, app))), None)

    def check_ready(self, app: App) -> None:
        """Raise CommandError if an app has several heads, or must not be migrated or compared."""
        self.current(app)  # raises CommandError if the database is at an unknown revision
        with app.naming():
            self.script(app).get_revision("head")
        if why := self.unfinished(app):
            raise CommandError(f"{app.name}: {why}")

    def check_at_head(self, app: App) -> None:
        """Raise CommandError as `check_ready` does, and if the database is not at the head."""
        self.check_ready(app)
        if self.steps(app, "head"):
            raise CommandError(
                f"{app.name}: the database is behind the newest revision;"
                f" run {program('migrate', app.name)}"
            )

    def in_environment(self, app: App, find_steps: FindSteps, **options: Any) -> None:
        """Run env.py for an app, as every command of Alembic does."""
        script = self.script(app)
        with EnvironmentContext(self.config_for(app), script, fn=find_steps, **options):
            script.run_env()

    def take(
        self, app: App, revisions: Sequence[Script], up: bool = True, **options: Any
    ) -> list[Script]:
        """Upgrade or downgrade an app by these revisions, and return those that were run.

        Another migrator may have run some of them already.
        """
        taken: list[Script] = []

        def find_steps(now: tuple[str, ...], _: MigrationContext) -> list[RevisionStep]:
            applied = ancestors(self.script(app), now)
            if not up and applied - self.applied(app):
                raise CommandError("another migration has just changed it; run this again")
            taken[:] = [it for it in revisions if (it.revision in applied) != up]
            return [RevisionStep(self.script(app).revision_map, it, up) for it in taken]

        self.in_environment(app, find_steps, destination_rev=revisions[-1].revision, **options)
        return taken

    def each_until_error(
        self, work: Callable[..., str], apps: Iterable[App], *arguments: Iterable[Any]
    ) -> None:
        """Call `work` for each app and print what it returns. After an error, print what is left.

        As with `map`, `arguments` give further arguments for each app.
        """
        todo = list(apps)
        if self.config.cmd_opts and not gc.isenabled():  # see __init__.py
            gc.freeze()  # what has been imported and read so far is never freed
            gc.enable()
        for position, (app, *more) in enumerate(zip(todo, *arguments, strict=True)):
            try:
                with app.naming():
                    said = work(app, *more)
            except BaseException:
                left = ", ".join(dict.fromkeys(it.name for it in todo[position + 1 :]))
                if len(todo) > 1:
                    line = f"stopped at {app.name}; not done: {left or 'none'}"
                    print(line, file=self.config.stdout)
                raise
            self.say(app, said)

    def each_despite_errors(self, work: Callable[[App], str]) -> None:
        """Call `work` for each app and print what it returns. After any error, exit with 1."""
        errors: set[str] = set()
        for app in self.selected:
            try:
                with app.naming():
                    self.script(app)
                    self.say(app, work(app))
            except CommandError as error:
                if self.options.raiseerr:
                    raise
                if str(error) not in errors:  # one mistake may stop several apps
                    print(error, file=sys.stderr)
                errors.add(str(error))
        if errors:
            sys.exit(1)

    def say(self, app: App, text: str) -> None:
        """Print lines about an app, the first of them after its name."""
        if text:
            width = max(len(other.name) for other in self.selected)
            margin = "\n" + " " * (width + 2)
            print(f"{app.name:<{width}}  " + text.replace("\n", margin), file=self.config.stdout)


def read_versions(connection: Connection, apps: Sequence[App]) -> dict[str, tuple[str, ...]]:
    """Return the revisions in the apps' version tables, or none if an app has no table yet."""
    inspector = inspect(connection)
    found: dict[str, tuple[str, ...]] = {app.name: () for app in apps}
    tables: dict[str, TableClause] = {}
    for app in apps:
        with app.naming():
            schema = version_schema(app, connection.dialect)
            if app.version_table in inspector.get_table_names(schema):
                tables[app.name] = table(app.version_table, schema=schema)
    try:
        return found | read_tables(connection, tables)
    except DBAPIError:  # one may be unreadable, or on MySQL their collations may differ
        if len(apps) == 1:
            raise
        connection.rollback()
    for app in apps:
        with app.naming():
            found |= read_versions(connection, [app])
    return found


def read_tables(
    connection: Connection, tables: Mapping[T, TableClause]
) -> dict[T, tuple[str, ...]]:
    """Return the revisions in version tables. One query reads a hundred of them."""
    quote = connection.dialect.identifier_preparer.format_table
    found: dict[T, tuple[str, ...]] = dict.fromkeys(tables, ())
    keys, names = list(tables), map(quote, tables.values())
    queries = [f"SELECT {i}, {name}.version_num FROM {name}" for i, name in enumerate(names)]
    for start in range(0, len(queries), 100):
        rows = connection.exec_driver_sql(" UNION ALL ".join(queries[start : start + 100]))
        for number, revision in sorted(map(tuple, rows)):
            found[keys[number]] += (revision,)
    return found


def checked(find_steps: FindSteps, app: App, config: Config, connection: Connection) -> FindSteps:
    """Return `find_steps` with a check of what apps require of each other; see `Order.plan`."""

    @cache
    def script(other: App) -> ScriptDirectory:
        return ScriptDirectory.from_config(Config(config.config_file_name, ini_section=other.name))

    # Plain Alembic reads only the app that it was called for.
    order: Order = config.attributes.get("order") or Order(app.apps, script)

    @cache
    def applied(other: App) -> set[str]:
        read = partial(read_versions, apps=[other])
        near = (other.database, other.schema) == (app.database, app.schema)
        near &= not other.tenants  # else `url` raises: they are in many places
        with closing(Databases()) as databases:
            found = read(connection) if near else databases.run(other.url, read)
        return ancestors(order.script(other), found[other.name])

    def find_and_check(now: Any, migration: MigrationContext) -> Iterable[Any]:
        found = list(find_steps(now, migration))
        revisions = [it.revision for it in found if isinstance(it, RevisionStep)]
        order.plan({app: revisions}, applied, up=any(it.is_upgrade for it in found))
        return found

    return find_and_check


def select_apps(apps: dict[str, App], names: Iterable[str]) -> list[App]:
    """Return the apps with these names, or all if there are none, in the order of the sections."""
    wanted = set(names)
    if unknown := sorted(wanted - set(apps)):
        [ini] = {app.ini for app in apps.values()}
        raise CommandError(f"{', '.join(unknown)}: no such app in {ini}; apps: {', '.join(apps)}")
    return [app for app in apps.values() if not wanted or app.name in wanted]
