"""The order of the revisions of all apps.

A revision names those of other apps that must run before it: `requires = ("APP:8ff088cfe4ca",)`.
Apart from that, upgrades follow the order of the sections in alembic.ini, and downgrades the
reverse.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import groupby

from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError, to_tuple

from .apps import App
from .errors import program, relative


class Order:
    """Sorts the revisions of all apps so that each comes after those that it requires.

    A revision is named `APP:ID` here, as in `requires`.
    """

    def __init__(self, apps: Mapping[str, App], script: Callable[[App], ScriptDirectory]) -> None:
        self.apps = apps
        self.script = script
        self._ids: dict[str, dict[str, str]] = {}

    def plan(
        self, steps: Mapping[App, Sequence[Script]], applied: Callable[[App], set[str]], up: bool
    ) -> list[tuple[App, list[Script]]]:
        """Return the revisions in `steps`, sorted for an upgrade or a downgrade.

        Each item is an app with as many revisions as can run before another app's. An app without
        steps has an empty list. `applied` returns the ids of the revisions that are applied now.

        Raises CommandError if a requirement is unknown, not applied or part of a circle, and for
        a downgrade if an applied revision still requires one that it would undo.
        """
        found = {f"{app.name}:{it.revision}": it for app in steps for it in steps[app]}
        needs: dict[str, list[str]] = {}  # each revision needs the previous one of its app
        for app, revisions in steps.items():
            earlier: list[str] = []
            for name in [f"{app.name}:{it.revision}" for it in revisions] or [app.name]:
                needs[name], earlier = earlier, [name]
        requiring: Mapping[App, Iterable[Script]] = steps
        if found and not up:  # any revision may require one that is undone
            requiring = {app: self.script(app).walk_revisions() for app in self.apps.values()}
        for app, revision, required in self.requirements(requiring):
            other, _, id = required.partition(":")
            name = f"{app.name}:{revision.revision}"
            if name in found and required in found:
                first, then = (required, name) if up else (name, required)
                needs[then].append(first)
            elif up and id not in applied(self.apps[other]):
                raise CommandError(
                    f"{app.name}: revision {revision.revision} requires {required}, which is"
                    f" not applied; run {program('migrate')}"
                )
            elif not up and required in found and revision.revision in applied(app):
                down = to_tuple(revision.down_revision, default=("base",))[0]
                raise CommandError(
                    f"{other}: revision {revision.revision} of {app.name} still requires"
                    f" {required}; first run: {program()} -n {app.name} downgrade {down}"
                )
        order = sorted_by_needs(needs, "remove one of these from `requires` in its revision")
        return [
            (self.apps[name], [found[key] for key in keys if key in found])
            for name, keys in groupby(order, key=app_of)
        ]

    def requirements(
        self, revisions: Mapping[App, Iterable[Script]]
    ) -> Iterator[tuple[App, Script, str]]:
        """Yield each requirement of these revisions: app, revision and the required `APP:ID`."""
        for app in revisions:
            for revision in revisions[app]:
                yield from ((app, revision, name) for name in self.required(app, revision))

    def required(self, app: App, revision: Script) -> list[str]:
        """Return each `APP:ID` that a revision requires; raise CommandError if one is unknown."""
        found = []
        for text in to_tuple(getattr(revision.module, "requires", ()), default=()):
            name, _, id = text.partition(":")
            ids = self.ids_of(self.apps[name]) if name in self.apps else {}
            if id not in ids:
                raise CommandError(
                    f"{app.name}: revision {revision.revision} requires {text}, but there is no"
                    f" such revision; correct `requires` in {relative(revision.path)}"
                )
            found.append(f"{name}:{ids[id]}")
        return found

    def ids_of(self, app: App) -> dict[str, str]:
        """Map each id of an app's revisions to itself, and each squashed id to its successor."""
        if app.name not in self._ids:
            self._ids[app.name] = {
                id: revision.revision
                for revision in self.script(app).walk_revisions()
                for id in (*getattr(revision.module, "replaces", ()), revision.revision)
            }
        return self._ids[app.name]


def ancestors(script: ScriptDirectory, heads: Sequence[str]) -> set[str]:
    """Return the ids of all revisions that are applied in a database at `heads`."""
    found = script.iterate_revisions(tuple(heads), "base") if heads else ()
    return {revision.revision for revision in found}


def app_of(name: str) -> str:
    """Return the app in a name such as `APP:ID` or `APP`."""
    return name.partition(":")[0]


def sorted_by_needs(needs: Mapping[str, Iterable[str]], advice: str) -> list[str]:
    """Return the keys of `needs`, each after those that it needs. A key is `APP` or `APP:ID`.

    The keys of one app stay together if possible. Apart from that, their order stays the same.
    If an app has several keys, each has to need the previous one. A circle raises CommandError
    with the advice.
    """
    places = {name: place for place, name in enumerate(needs)}
    sorter = TopologicalSorter({name: [it for it in needs[name] if it in needs] for name in needs})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = ", which needs ".join(error.args[1][::-1]).replace(", which", "", 1)
        raise CommandError(f"{circle}; {advice}") from None
    found: list[str] = []
    ready: dict[str, str] = {}  # for each app, the key that could be next
    app = ""
    while sorter.is_active():
        ready |= {app_of(name): name for name in sorter.get_ready()}
        if app not in ready:
            app = app_of(min(ready.values(), key=places.__getitem__))
        found.append(ready.pop(app))
        sorter.done(found[-1])
    return found
