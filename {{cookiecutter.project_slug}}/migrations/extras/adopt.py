"""Adopt tables that exist: stamp a database only where it is what an app's models say."""

from argparse import ArgumentParser
from dataclasses import replace
from functools import partial

from alembic import command
from alembic.util import CommandError
from sqlalchemy import Connection

from ..apps import App, TableKey
from ..commands.check import changes_of
from ..errors import relative
from ..run import Run, read_versions
from .empty_databases import check_schemas, write_initial
from .moved_models import check_moves
from .packaged_revisions import before_writing
from .ruff_format import written


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")
    parser.add_argument("--yes", action="store_true", help="do it, do not only say it")


def adopt(run: Run) -> None:
    """Stamp the apps whose tables exist already, where models and tables agree."""
    current = run.current
    stamps: dict[str, tuple[str, ...]] = {}

    def plan(app: App) -> str:
        head = run.head(app)
        if current[app.name]:
            return f"stamped already: {', '.join(current[app.name])}"
        if taken := classic_revisions(run, app):
            stamps[app.name] = taken
            would = f"would stamp {', '.join(taken)}, as in alembic_version"
        elif tables := own_tables(run, app):
            compare(run, app)
            if head is None:
                check_moves(run, app)
                before_writing(run, app)
                check_schemas(run, app)
            stamps[app.name] = (head,) if head else ()
            would = f"would stamp {head}" if head else "would write a first revision and stamp it"
            would += f"; its models agree with: {', '.join(name for _, name in tables)}"
        elif app.own_models:
            return "nothing to adopt: no table is there; ./generate.sh and ./migrate.sh make them"
        else:
            return f"nothing to adopt: {app.models} has no tables; does it import models?"
        return "" if run.options.yes else would

    run.report(plan)

    def stamp(app: App) -> str:
        if revisions := stamps[app.name]:
            command.stamp(run.config_of(app), list(revisions))
            return f"stamped {', '.join(revisions)}"
        path = write_initial(run, app)
        written([str(path)])
        command.stamp(run.config_of(app), "head")
        return f"wrote {relative(str(path))} and stamped it"

    if run.options.yes:
        run.each(stamp, [app for app in run.selected if app.name in stamps])
    elif stamps:
        print("nothing is changed yet: --yes does it")


def classic_revisions(run: Run, app: App) -> tuple[str, ...]:
    """The app's own revisions among those in `alembic_version`, the table of plain Alembic."""
    classic = replace(app, version_table="alembic_version")
    found = run.databases.run(app.url, partial(read_versions, apps=[classic]))
    own = {revision.revision for revision in run.script(app).walk_revisions()}
    return tuple(revision for revision in found[app.name] if revision in own)


def own_tables(run: Run, app: App) -> list[TableKey]:
    """The app's own tables that its database has."""

    def find(connection: Connection) -> list[TableKey]:
        return run.ownership([app], connection).tables_in(connection)

    return run.databases.run(app.url, find)


def compare(run: Run, app: App) -> None:
    """Raise CommandError unless the app's tables are as its models say."""
    if found := changes_of(run, app):
        raise CommandError(
            f"{app.name}: not stamped, because its tables are not what its models say;"
            f" they would have to: {', '.join(found)}"
        )
