"""Adopt existing tables: stamp a database only if its tables match an app's models."""

from argparse import ArgumentParser
from dataclasses import replace
from functools import partial

from alembic import command
from alembic.util import CommandError

from ..apps import App
from ..errors import program, relative
from ..order import sorted_by_needs
from ..run import Run, read_versions
from . import ruff_format
from .empty_databases import check_schemas, in_empty_database, try_out, write_initial
from .new_revisions import check_folders
from .precautions import changes_of, check_moves, head_of, names_of, own_tables, references


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")
    parser.add_argument("--yes", action="store_true", help="do it; default: only print the plan")


def adopt(run: Run) -> None:
    """Stamp the apps whose tables match the models, and write first revisions that are missing."""
    stamps: dict[App, tuple[str, ...]] = {}

    def plan(app: App) -> str:
        head = head_of(run, app)
        if now := run.current(app):
            return f"stamped already: {', '.join(now)}"
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
                check_folders(run, app)
                check_schemas(run, app)
            stamps[app] = (head,) if head else ()
            would = f"would stamp {head}" if head else "would write a first revision and stamp it"
            would += f"; its models agree with: {names_of(tables)}"
        else:
            return "nothing to adopt: it has no tables yet; run ./generate.sh and ./migrate.sh"
        return "" if run.options.yes else would

    run.each_despite_errors(plan)

    def stamp(app: App) -> str:
        told = ""
        if not stamps[app]:
            near = app.neighbours
            at = {it.name: heads[0] for it in near if (heads := run.script(it).get_heads())}
            with in_empty_database(run, app, {}) as empty:
                path = str(write_initial(empty, app.name, at))
                ruff_format.written([path])
                try:
                    try_out(empty, empty.apps[app.name])
                except CommandError as error:
                    raise CommandError(
                        f"{error}; correct {relative(path)}, then run:"
                        f" {program('adopt', app.name)} --yes"
                    ) from error
            del run.scripts[app.name]  # the app has a revision now
            told = f"wrote {relative(path)} and "
        command.stamp(run.config_for(app), list(stamps[app]) or "head")
        return told + f"stamped {', '.join(stamps[app]) or 'it'}"

    if run.options.yes:
        apps = tuple(run.apps.values())
        needs = {app.name: {it.name for _, _, it in references(app, apps)} for app in stamps}
        order = sorted_by_needs(needs, "write their first revisions by hand")
        run.each_until_error(stamp, [run.apps[name] for name in order])
    elif stamps:
        print("nothing is changed yet; add --yes")


def classic_revisions(run: Run, app: App) -> tuple[str, ...]:
    """Return the revisions in plain Alembic's table `alembic_version` that are the app's."""
    classic = replace(app, version_table="alembic_version")
    found = run.databases.run(app.url, partial(read_versions, apps=[classic]))
    own = {revision.revision for revision in run.script(app).walk_revisions()}
    return tuple(revision for revision in found[app.name] if revision in own)
