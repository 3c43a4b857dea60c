"""One call of `python -m migrations`: its apps, and how each of them gets its turn."""

import gc
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from alembic.config import CommandLine, Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from .apps import App
from .databases import Databases
from .errors import naming
from .ownership import Ownership, neighbours


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
    half_done: dict[str, str] = field(default_factory=dict)
    """What `read_current` has found half done, by app: see half_done.py."""

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

    def neighbours(self, app: App) -> tuple[App, ...]:
        """All apps of an app's database."""
        return neighbours(app.database, tuple(self.apps.values()))

    def ownership(self, apps: Iterable[App], connection: Connection) -> Ownership:
        """Which tables are the own ones of apps of the database that is connected."""
        scripts = {app: self.script(app) for app in apps}
        return Ownership(scripts, tuple(self.apps.values()), connection.dialect.default_schema_name)

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
        gc.freeze()  # what has been imported and read by now stays to the end
        gc.enable()
        for position, app in enumerate(todo):
            show_progress(app.name)
            try:
                with naming(app):
                    said = work(app)
            except BaseException:
                show_progress("")
                if len(todo) > 1:
                    done, rest = names(todo[:position]), names(todo[position + 1 :])
                    print(f"stopped at {app.name}; done: {done}; not done: {rest}")
                raise
            show_progress("")
            self.say(app, said)

    def say(self, app: App, text: str) -> None:
        """Print what is to be said about one app."""
        if text:
            margin = "\n" + " " * (self.width + 2)
            print(f"{app.name:<{self.width}}  " + text.replace("\n", margin))

    @cached_property
    def width(self) -> int:
        """The length of the longest name."""
        return max(len(app.name) for app in self.selected)

    def look(self, work: Callable[[App], str]) -> None:
        """Do work that changes nothing for each app, also after an error; then exit with 1."""
        failed = False
        for app in self.selected:
            try:
                with naming(app):
                    self.script(app)
                    self.say(app, work(app))
            except CommandError as error:
                if self.options.raiseerr:
                    raise
                print(error, file=sys.stderr)
                failed = True
        if failed:
            sys.exit(1)


def names(apps: Iterable[App]) -> str:
    """The names of apps, for a message."""
    return ", ".join(app.name for app in apps) or "none"


def show_progress(text: str) -> None:
    """Show what is being done, on a terminal; an empty text clears it."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}", end="", flush=True)
