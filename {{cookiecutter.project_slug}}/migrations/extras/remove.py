"""Remove apps: run their downgrades, and remove their sections from alembic.ini."""

from argparse import ArgumentParser
from functools import partial
from pathlib import Path

from alembic import command
from alembic.util import CommandError
from sqlalchemy import Column, Connection, MetaData, Table, func, inspect, select, table

from ..apps import App, TableKey
from ..databases import version_schema
from ..errors import program, relative
from ..locks import one_migrator
from ..revision_files import files_of, tables_created
from ..run import Run, read_versions
from .ini_file import ini_of, read, replace
from .leftover_tables import check_nothing_left
from .precautions import (
    ask,
    check_moves,
    existing,
    names_of,
    neighbours,
    own_tables,
    ownership_of,
    references,
)


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="+")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--keep-tables", action="store_true", help="only remove the section")
    one.add_argument("--keep-section", action="store_true", help="only drop the tables")


def remove(run: Run) -> None:
    """Drop the tables of apps by their downgrades, and remove the sections from alembic.ini."""
    ini = ini_of(run)
    keep_section = run.options.keep_section
    section = "keeps its section" if keep_section else f"removes its section from {ini.name}"
    last_first = run.selected[::-1]
    tables: dict[App, list[TableKey]] = {}
    for app in last_first:
        without_section(read(ini), app.name)
        drops = "keeps its tables"
        if not run.options.keep_tables:
            with app.naming():
                tables[app] = tables_to_drop(run, app)
                rows = run.databases.run(app.url, partial(count_rows, tables=tables[app]))
            drops = f"drops {', '.join(rows) or 'no table'}"
        run.say(app, f"{drops}; {section}")
    if not keep_section:
        check_requirements(run)
    ask(run)
    if not keep_section:
        replace(ini, read(ini))  # if this user may not write there, fail now

    def unplug(app: App) -> str:
        dropped = drop(run, app, tables[app]) if app in tables else []
        told = f"dropped {', '.join(dropped) or 'no table'}"
        if keep_section:
            return told
        replace(ini, without_section(read(ini), app.name))
        return f"removed, {told}; its code is still in {app.models.partition(':')[0]}"

    run.each_until_error(unplug, last_first)


def check_requirements(run: Run) -> None:
    """Refuse to remove an app while a revision of a remaining app requires one of its own."""
    staying = [app for app in run.apps.values() if app not in run.selected]
    revisions = {app: run.script(app).walk_revisions() for app in staying}
    for app, revision, required in run.order.requirements(revisions):
        if run.apps[name := required.partition(":")[0]] not in staying:
            raise CommandError(
                f"{name}: revision {revision.revision} of {app.name} requires {required};"
                f" first remove that from `requires` in {relative(revision.path)}"
            )


def tables_to_drop(run: Run, app: App) -> list[TableKey]:
    """Return the app's own tables in its database; raise CommandError if they cannot be dropped."""
    try:
        run.script(app)
        _ = app.metadata
    except CommandError as error:
        problem = str(error).partition("; ")[0]
        check = partial(check_nothing_left, run=run, app=app, problem=problem)
        run.databases.run(app.url, check)
        return []
    run.check_current(app)
    check_moves(run, app)
    check_references(run, app)
    tables = run.databases.run(app.url, partial(applied_tables, run=run, app=app))
    if tables and not run.current[app.name]:
        raise CommandError(
            f"{app.name}: no revision created {names_of(tables)}, which the database has; adopt"
            f" them ({program('adopt', app.name)}), drop them by hand, or add --keep-tables"
        )
    run.databases.run(app.url, partial(check_foreign_keys, run=run, app=app, tables=tables))
    return tables


def applied_tables(connection: Connection, run: Run, app: App) -> list[TableKey]:
    """Return the app's own tables, except those that only its pending revisions would create.

    If such a table exists already, it belongs to someone else.
    """
    ownership, script = ownership_of(connection, run, [app]), run.script(app)
    own, current = own_tables(connection, run, app), run.current[app.name]
    if not current:
        return own
    steps = [*script.iterate_revisions(current, "base")][::-1]
    created = {ownership.key(*it) for it in tables_created(Path(step.path) for step in steps)}
    pending = {ownership.key(*it) for it in tables_created(files_of(script))} - created
    return sorted({*existing(connection, created), *own} - pending, key=str)


def drop(run: Run, app: App, tables: list[TableKey]) -> list[str]:
    """Downgrade an app to base, drop its version table, and return the names of dropped tables."""
    if run.current[app.name]:
        command.downgrade(run.config_for(app), "base")
        if left := run.databases.run(app.url, partial(existing, tables=tables)):
            raise CommandError(
                f"{app.name}: its downgrades left {names_of(left)} behind; drop that by hand,"
                " then run this again"
            )
    dropped = [name for _, name in tables]
    if run.databases.run(app.url, partial(drop_version_table, app=app)):
        dropped.append(app.version_table)
    return dropped


def drop_version_table(connection: Connection, app: App) -> bool:
    """Drop an app's version table, which must be empty; return False if there was none."""
    schema = version_schema(app, connection.dialect)
    home = Table(app.version_table, MetaData(), Column("version_num"), schema=schema)
    with one_migrator(connection, app), connection.begin():
        if not existing(connection, [(schema, home.name)]):
            return False
        if read_versions(connection, [app])[app.name]:
            raise CommandError(f"{app.name}: another migration has just changed it; run this again")
        home.drop(connection)
    return True


def check_references(run: Run, app: App) -> None:
    """Refuse to remove an app while a model of a remaining app refers to one of its own."""
    for other in [other for other in neighbours(run, app) if other not in run.selected]:
        for key, referred, referred_app in references(other, tuple(run.apps.values())):
            if referred_app == app:
                raise CommandError(
                    f"{app.name}: {key.parent} of {other.name} refers to {referred.name}; first"
                    f" remove that foreign key from the models of {other.name}, or remove"
                    f" {other.name} as well"
                )


def check_foreign_keys(connection: Connection, run: Run, app: App, tables: list[TableKey]) -> None:
    """Refuse to drop tables while the database has a foreign key to them from a remaining table."""
    ownership = ownership_of(connection, run, neighbours(run, app))
    schemas = {None, *(schema for other in ownership.apps for schema, _ in other.model_tables)}
    for schema in schemas - {connection.dialect.default_schema_name} if tables else ():
        for (_, name), keys in inspect(connection).get_multi_foreign_keys(schema=schema).items():
            owner = ownership.owner(schema, name)
            for key in keys if owner not in run.selected else ():
                referred = key["referred_table"]
                if ownership.key(key["referred_schema"], referred) in tables:
                    whose = f"of {owner.name}" if owner else "of no app"
                    way_out = "run ./generate.sh and ./migrate.sh" if owner else "drop it by hand"
                    raise CommandError(
                        f"{app.name}: the database has a foreign key from"
                        f" {name}.{', '.join(key['constrained_columns'])} {whose} to {referred};"
                        f" first {way_out}"
                    )


def count_rows(connection: Connection, tables: list[TableKey]) -> list[str]:
    """Return the names of tables, each with its number of rows."""
    counted = []
    for schema, name in tables:
        rows = connection.scalar(select(func.count()).select_from(table(name, schema=schema)))
        counted.append(f"{name} ({rows} row{'' if rows == 1 else 's'})")
    return counted


def without_section(text: str, name: str) -> str:
    """Return the text of alembic.ini without a section and the blank line above it.

    Comments below its last key stay: they may be about what follows.
    """
    lines = text.splitlines(keepends=True)
    start = next((n for n, line in enumerate(lines) if line.startswith(f"[{name}]")), None)
    if start is None:
        raise CommandError(f"{name}: cannot find the lines of [{name}]; delete them by hand")
    end = start + 1
    for number, line in enumerate(lines[end:], start=end):
        if line.startswith("["):
            break
        if line.strip() and not line.lstrip().startswith(("#", ";")):
            end = number + 1
    if start and not lines[start - 1].strip():
        start -= 1
    return "".join(lines[:start] + lines[end:])
