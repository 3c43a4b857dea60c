"""What the apps need of each other: foreign keys between models, and the order of revisions.

A revision that needs one of another app says so: `requires = ("APP:8ff088cfe4ca",)`. Where no
requirement says otherwise, upgrades go in the order of the sections of alembic.ini, and downgrades
the other way.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter

from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError, to_tuple
from sqlalchemy import ForeignKey, Table
from sqlalchemy.exc import NoReferencedTableError

from .apps import App, TableKey, table_key
from .errors import program, relative


class Order:
    """The order of the revisions of all apps: each comes after those that it requires.

    A revision is called `APP:ID` here, as in `requires`.
    """

    def __init__(self, apps: Mapping[str, App], script: Callable[[App], ScriptDirectory]) -> None:
        self.apps = apps
        self.script = script
        self._ids: dict[str, dict[str, str]] = {}

    def plan(
        self, steps: Mapping[App, Sequence[Script]], applied: Callable[[App], set[str]], up: bool
    ) -> list[tuple[App, list[Script]]]:
        """Return the upgrades, or the downgrades, of apps in an order that works.

        Each item is a run of revisions of one app, as long as it can be. An app without steps
        has an empty run. `applied` returns the ids that are applied in an app's database now.

        Raises CommandError if something required is unknown, not applied or part of a circle,
        and for a downgrade that takes away what stays required.
        """
        found = {f"{app.name}:{it.revision}": (app, it) for app in steps for it in steps[app]}
        needs: dict[str, list[str]] = {}
        for app, revisions in steps.items():
            names = [f"{app.name}:{revision.revision}" for revision in revisions] or [app.name]
            needs |= zip(names, [[], *([earlier] for earlier in names)], strict=False)
        if up:
            for app, revision, required in self.requirements(steps):
                name, _, id = required.partition(":")
                if required in found:
                    needs[f"{app.name}:{revision.revision}"].append(required)
                elif id not in applied(self.apps[name]):
                    raise CommandError(
                        f"{app.name}: revision {revision.revision} requires {required}, which is"
                        f" not applied; run {program('migrate')}"
                    )
        elif found:
            every = {app: self.script(app).walk_revisions() for app in self.apps.values()}
            for app, revision, required in self.requirements(every):
                name, _, id = required.partition(":")
                if required in found and f"{app.name}:{revision.revision}" in found:
                    needs[required].append(f"{app.name}:{revision.revision}")
                elif required in found and revision.revision in applied(app):
                    down = to_tuple(revision.down_revision, default=("base",))[0]
                    raise CommandError(
                        f"{name}: revision {revision.revision} of {app.name} is applied, and"
                        f" requires {id}; first run: {program()} -n {app.name} downgrade {down}"
                    )
        runs: list[tuple[App, list[Script]]] = []
        for name in sorted_by_needs(needs, "take one out of `requires` in its revision"):
            app = self.apps[name.partition(":")[0]]
            if not runs or runs[-1][0] is not app:
                runs.append((app, []))
            runs[-1][1].extend([found[name][1]] if name in found else [])
        return runs

    def requirements(
        self, revisions: Mapping[App, Iterable[Script]]
    ) -> Iterator[tuple[App, Script, str]]:
        """Yield app, revision and `APP:ID` for each requirement of these revisions."""
        for app in revisions:
            for revision in revisions[app]:
                yield from ((app, revision, name) for name in self.required(app, revision))

    def required(self, app: App, revision: Script) -> list[str]:
        """Return what a revision requires; raise CommandError for what does not exist."""
        found = []
        for text in to_tuple(getattr(revision.module, "requires", ()), default=()):
            name, _, id = text.partition(":")
            ids = self.ids_of(self.apps[name]) if name in self.apps else {}
            if id not in ids:
                what = f"revision {id} in {name}" if name in self.apps else f"app {name}"
                raise CommandError(
                    f"{app.name}: revision {revision.revision} requires {text}, and there is no"
                    f" {what}; correct `requires` in {relative(revision.path)}"
                )
            found.append(f"{name}:{ids[id]}")
        return found

    def ids_of(self, app: App) -> dict[str, str]:
        """Return the ids of an app's revisions; one that was squashed leads to its successor."""
        if app.name not in self._ids:
            self._ids[app.name] = {
                id: revision.revision
                for revision in self.script(app).walk_revisions()
                for id in (*getattr(revision.module, "replaces", ()), revision.revision)
            }
        return self._ids[app.name]


def ancestors(script: ScriptDirectory, heads: Sequence[str]) -> set[str]:
    """Return the ids of the revisions that are applied where a database is at `heads`."""
    found = script.iterate_revisions(tuple(heads), "base") if heads else ()
    return {revision.revision for revision in found}


def sorted_by_needs(needs: Mapping[str, Iterable[str]], advice: str) -> list[str]:
    """Return the names `APP` or `APP:ID` that are keys of `needs`, each after those that it needs.

    What belongs to one app stays together as far as it can; otherwise the given order counts.
    Where an app has several names, each has to need the one before it. Raises CommandError, with
    the advice, for a circle.
    """
    names = list(needs)
    places = {name: place for place, name in enumerate(names)}
    sorter = TopologicalSorter({name: [it for it in needs[name] if it in places] for name in needs})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = ", which needs ".join(error.args[1][::-1])
        raise CommandError(f"{circle}: {advice}") from None
    found: list[str] = []
    ready: dict[str, int] = {}  # the place of what could be next, by app
    app = ""
    while sorter.is_active():
        ready |= {name.partition(":")[0]: places[name] for name in sorter.get_ready()}
        if app not in ready:
            app = names[min(ready.values())].partition(":")[0]
        found.append(names[ready.pop(app)])
        sorter.done(found[-1])
    return found


@cache
def check_models(app: App, apps: tuple[App, ...]) -> None:
    """Refuse tables that no section has, and foreign keys to tables in another database."""
    owners = apps_by_table(apps_of_server(app.database, apps), app.schema)
    for table in app.metadata.tables.values():
        owned = (table.schema, table.name) in owners or app_of_table(table, apps) is not None
        if not owned and not table.info.get("is_view"):
            raise CommandError(
                f"{app.name}: no section of {app.ini} has the table {table.name} of {app.models};"
                " add its name to the `tables` of one of them"
            )
    for key, referred, other in references(app, apps):
        if other.database != app.database:
            raise CommandError(
                f"{app.name}: {key.parent.table.name} refers to {referred.name} of {other.name},"
                " which is in another database"
            )


@cache
def apps_of_database(database: tuple[str, ...], apps: tuple[App, ...]) -> tuple[App, ...]:
    """Return the apps whose tables are in this `App.database`."""
    return tuple(app for app in apps if app.database == database)


@cache
def apps_of_server(database: tuple[str, ...], apps: tuple[App, ...]) -> tuple[App, ...]:
    """Return the apps of a database, and on MySQL those of its server: a schema is a database."""
    if database[0] != "mysql":
        return apps_of_database(database, apps)
    return tuple(app for app in apps if app.database[:-1] == database[:-1])


@cache
def apps_by_table(apps: tuple[App, ...], default_schema: str | None = None) -> dict[TableKey, App]:
    """Return the tables that the models of apps have, each with its app."""
    for app in apps:
        _ = app.metadata  # all imports first: model_tables is cached, and apps may share a MetaData
    found: dict[TableKey, App] = {}
    for app in apps:
        for schema, name in app.model_tables:
            key = table_key(schema or app.schema, name, default_schema)
            if key in found:
                raise CommandError(
                    f"both {found[key].name} and {app.name} have the table {name}; set `tables`"
                    f" in their sections of {app.ini}, so that only one of them has it"
                )
            found[key] = app
    return found


def app_of_table(table: Table, apps: Iterable[App]) -> App | None:
    """Return the app whose models have this very table."""
    key = (table.schema, table.name)
    return next((app for app in apps if app.model_tables.get(key) is table), None)


def references(app: App, apps: tuple[App, ...]) -> Iterator[tuple[ForeignKey, Table, App]]:
    """Yield the foreign keys of an app to other apps: key, table that it refers to, its app."""
    near = apps_of_database(app.database, apps)
    for table in app.model_tables.values():
        for key in table.foreign_keys:
            referred = referred_table(app, key)
            other = app_of_table(referred, near) or app_of_table(referred, apps)
            if other is not None and other.name != app.name:
                yield key, referred, other


def referred_table(app: App, key: ForeignKey) -> Table:
    """Return the table that a foreign key refers to."""
    try:
        return key.column.table
    except NoReferencedTableError:
        raise CommandError(
            f"{app.name}: {key.parent} refers to {key.target_fullname}, and no model of {app.name}"
            " has that table; for another app's, write the column itself: ForeignKey(Model.id)"
        ) from None
