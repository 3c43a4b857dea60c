"""Adopt tables that exist: stamp a database only where it is what an app's models say."""

from dataclasses import replace
from functools import partial
from typing import Any

from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from .apps import App
from .changes import describe
from .commands import Run, check_head, look, read_current, read_versions
from .ownership import Ownership


def adopt(run: Run) -> None:
    """Stamp the apps whose tables exist already, where models and tables agree."""
    current = read_current(run)
    stamps: dict[str, tuple[str, ...]] = {}
    reasons: dict[str, str] = {}

    def plan(app: App) -> str:
        head = check_head(run, app, current[app.name])
        if current[app.name]:
            return f"stamped already: {', '.join(current[app.name])}"
        if taken := classic_revisions(run, app):
            stamps[app.name] = taken
            reasons[app.name] = f"{', '.join(taken)}, as in alembic_version"
        elif tables := own_tables(run, app):
            compare(run, app, head)
            stamps[app.name] = (str(head),)
            reasons[app.name] = f"{head}: as its models say: {', '.join(tables)}"
        else:
            return "nothing to adopt: it has no tables yet; ./migrate.sh creates them"
        return "" if run.options.yes else f"would stamp {reasons[app.name]}"

    look(run, plan)

    def stamp(app: App) -> str:
        command.stamp(run.turn_to(app), list(stamps[app.name]))
        return f"stamped {reasons[app.name]}"

    if run.options.yes:
        run.each(stamp, [app for app in run.selected if app.name in stamps])
    elif stamps:
        print("nothing was changed yet: --yes stamps")


def classic_revisions(run: Run, app: App) -> tuple[str, ...]:
    """The app's own revisions among those in `alembic_version`, the table of plain Alembic."""
    classic = replace(app, version_table="alembic_version")
    found = run.databases.run(app.url, partial(read_versions, apps=[classic]))
    own = {revision.revision for revision in run.script(app).walk_revisions()}
    return tuple(revision for revision in found[app.name] if revision in own)


def own_tables(run: Run, app: App) -> list[str]:
    """The names of the app's own tables that its database has."""
    ownership = Ownership(app, list(run.apps.values()), run.script(app))
    return [name for _, name in run.databases.run(app.url, ownership.tables_in)]


def compare(run: Run, app: App, head: str | None) -> None:
    """Raise CommandError unless the app's tables are those that its head stands for."""
    if head is None:
        raise CommandError(
            f"{app.name}: has tables, but no revision yet: ./generate.sh {app.name} writes one"
            " that creates them all"
        )
    if found := differences(run, app):
        raise CommandError(
            f"{app.name}: not stamped, because its tables are not what its models say;"
            f" they would have to: {', '.join(found)}"
        )


def differences(run: Run, app: App) -> list[str]:
    """What autogenerate would change in an app's database, whatever revision that is at."""
    found: list[str] = []

    def autogenerate(_: object, context: MigrationContext) -> list[Any]:
        script = produce_migrations(context, context.opts["target_metadata"])
        assert script.upgrade_ops is not None
        found.extend(describe(script.upgrade_ops))
        return []

    script = run.script(app)
    with EnvironmentContext(run.turn_to(app), script, fn=autogenerate):
        script.run_env()
    return found
