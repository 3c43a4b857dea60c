"""Adopt existing tables: stamp a database only if its tables match an app's models."""

from argparse import ArgumentParser
from dataclasses import replace
from functools import partial

from alembic import command
from alembic.script import Script
from alembic.util import CommandError

from ..apps import App
from ..errors import explain, program, relative
from ..order import sorted_by_needs
from ..run import Run, read_versions
from . import packaged_revisions, ruff_format
from .empty_databases import check_schemas, in_empty_database, write_initial
from .precautions import (
    changes_of,
    check_moves,
    check_writable,
    names_of,
    neighbours,
    own_tables,
    references,
)


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")
    parser.add_argument("--yes", action="store_true", help="do it; default: only print the plan")


def adopt(run: Run) -> None:
    """Stamp the apps whose tables exist already, if these match the models."""
    current = run.current
    stamps: dict[App, tuple[str, ...]] = {}

    def plan(app: App) -> str:
        head = run.head(app)
        if current[app.name]:
            return f"stamped already: {', '.join(current[app.name])}"
        if taken := classic_revisions(run, app):
            stamps[app] = taken
            would = f"would stamp {', '.join(taken)}, as in alembic_version"
        elif tables := run.databases.run(app.url, partial(own_tables, run=run, app=app)):
            if found := changes_of(run, app):
                raise CommandError(
                    f"{app.name}: not stamped, because models and database differ:"
                    f" {', '.join(found)}; change the models, or bring the database up to date"
                )
            if head is None:
                check_moves(run, app)
                packaged_revisions.before_writing(run, app)
                check_schemas(run, app)
            stamps[app] = (head,) if head else ()
            would = f"would stamp {head}" if head else "would write a first revision and stamp it"
            would += f"; its models agree with: {names_of(tables)}"
        elif app.model_tables:
            return "nothing to adopt: it has no tables yet; run ./generate.sh and ./migrate.sh"
        else:
            return f"nothing to adopt: {app.models} has no tables; does it import the models?"
        return "" if run.options.yes else would

    run.each_despite_errors(plan)

    def stamp(app: App) -> str:
        check_writable(run, app, "not stamped: its database")
        if revisions := stamps[app]:
            command.stamp(run.config_for(app), list(revisions))
            return f"stamped {', '.join(revisions)}"
        near = neighbours(run, app)
        at = {it.name: heads[0] for it in near if (heads := run.script(it).get_heads())}
        with in_empty_database(run, app, {}) as empty:
            path = str(write_initial(empty, app.name, at))
            ruff_format.written([path])
            try:
                try_out(empty, empty.apps[app.name])
            except Exception as error:
                raise CommandError(
                    f"{app.name}: wrote {relative(path)} but did not stamp it, because it fails in"
                    f" an empty database: {explain(error)}; correct it, then run:"
                    f" {program('adopt', app.name)} --yes"
                ) from error
        command.stamp(run.config_for(app), "head")
        del run.scripts[app.name]  # the app has a revision now
        return f"wrote {relative(path)} and stamped it"

    if run.options.yes:
        apps = tuple(run.apps.values())
        needs = {app.name: {it.name for _, _, it in references(app, apps)} for app in stamps}
        order = sorted_by_needs(needs, "write their first revisions by hand")
        run.each_until_error(stamp, [run.apps[name] for name in order])
    elif stamps:
        print("nothing is changed yet; add --yes")


def try_out(empty: Run, app: App) -> None:
    """Run the revisions of an app, and those that they require, in an empty database."""
    steps: dict[App, list[Script]] = {}
    todo = [app]
    while todo:
        it = todo.pop()
        if it in empty.selected and it not in steps:
            steps[it] = empty.steps(it, "head")
            needs = empty.order.requirements({it: steps[it]})
            todo += [empty.apps[name.partition(":")[0]] for _, _, name in needs]
    for it, revisions in empty.order.plan(steps, empty.applied, up=True):
        empty.take(it, revisions)


def classic_revisions(run: Run, app: App) -> tuple[str, ...]:
    """Return the revisions in plain Alembic's table `alembic_version` that are the app's."""
    classic = replace(app, version_table="alembic_version")
    found = run.databases.run(app.url, partial(read_versions, apps=[classic]))
    own = {revision.revision for revision in run.script(app).walk_revisions()}
    return tuple(revision for revision in found[app.name] if revision in own)
