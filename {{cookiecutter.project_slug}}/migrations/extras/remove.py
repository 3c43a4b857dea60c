"""Unplug an app: its tables go by its own downgrades, its section of alembic.ini goes with them."""

import configparser
from argparse import ArgumentParser
from functools import partial
from pathlib import Path

from alembic import command
from alembic.util import CommandError
from sqlalchemy import Column, Connection, MetaData, Table, func, inspect, select, table

from ..add_app import read, replace
from ..apps import App, TableKey
from ..errors import naming, shown
from ..locks import one_migrator
from ..order import referred_table, table_key
from ..revision_files import files_of, tables_created
from ..run import Run, read_versions
from .adopt import own_tables
from .confirming import ask
from .leftover_tables import named_like
from .moved_models import check_moves


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="+")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--keep-tables", action="store_true", help="only take out the section")
    one.add_argument("--keep-section", action="store_true", help="only drop the tables")


def remove(run: Run) -> None:
    """Drop the tables of apps, by their downgrades, and take their sections out of alembic.ini."""
    ini = Path(str(run.config.config_file_name))
    keep_tables, keep_section = run.options.keep_tables, run.options.keep_section
    last_first = run.selected[::-1]
    current = {} if keep_tables else run.current
    for app in last_first:
        without_section(read(ini)[0], app.name)
        section = "its section stays" if keep_section else "takes its section out of alembic.ini"
        drops = "its tables stay"
        if not keep_tables:
            with naming(app):
                tables = tables_to_drop(run, app, current[app.name])
                check_references(run, app, tables)
                rows = run.databases.run(app.url, partial(count_rows, tables=tables))
            drops = f"drops {', '.join(rows) or 'no table'}"
        run.say(app, f"{drops}; {section}")
    ask(run)
    if not keep_section:
        replace(ini, read(ini)[0])  # may this user write there? If not, fail first

    def unplug(app: App) -> str:
        dropped = [] if keep_tables else drop(run, app, current[app.name])
        told = f"dropped {', '.join(dropped)}" if dropped else "dropped no table"
        if keep_section:
            return told
        replace(ini, without_section(read(ini)[0], app.name))
        return f"removed, {told}; code left as it is: {app.models.partition(':')[0]}"

    run.each(unplug, last_first)


def tables_to_drop(run: Run, app: App, current: tuple[str, ...]) -> list[TableKey]:
    """The app's own tables that its database has; CommandError unless its downgrades drop them."""
    try:
        run.script(app)
        _ = app.metadata
    except CommandError as error:
        like = run.databases.run(app.url, partial(named_like, app=app, apps=run.apps.values()))
        if not current and not like:
            return []
        told = [f"{app.version_table} at {', '.join(current)}"] if current else []
        told += [f"{name}, by its name" for name in like]
        why = str(error).partition("; ")[0]
        raise CommandError(
            f"{why}; without its code nothing can drop what is left in {shown(app.url)}:"
            f" {', '.join(told)}; bring its code back, and run this again; or leave the tables"
            f" alone: python -m migrations remove {app.name} --keep-tables"
        ) from None
    run.check_current(app)
    check_moves(run, app)
    if current:
        return applied_tables(run, app, current)
    if tables := own_tables(run, app):
        raise CommandError(
            f"{app.name}: no revision created {names(tables)}, which its database has; adopt them"
            f" (python -m migrations adopt {app.name}), drop them by hand, or add --keep-tables"
        )
    return []


def applied_tables(run: Run, app: App, current: tuple[str, ...]) -> list[TableKey]:
    """The app's own tables that its database has, as far as revisions that are applied go.

    One that a pending revision would create, and which is there already, is somebody else's.
    """
    script, own = run.script(app), set(own_tables(run, app))
    applied = [Path(step.path) for step in script.iterate_revisions(current, "base")][::-1]

    def find(connection: Connection) -> list[TableKey]:
        default, inspector = connection.dialect.default_schema_name, inspect(connection)

        def created_by(files: list[Path]) -> set[TableKey]:
            return {table_key(*key, default) for key in tables_created(files)}

        created = created_by(applied)
        pending = created_by(files_of(script)) - created
        here = {key for key in created if inspector.has_table(key[1], key[0])}
        return sorted(here | own - pending, key=str)

    return run.databases.run(app.url, find)


def drop(run: Run, app: App, current: tuple[str, ...]) -> list[str]:
    """Downgrade an app to nothing, drop its version table, and tell what was dropped."""
    before = applied_tables(run, app, current) if current else []
    if current:
        command.downgrade(run.config_of(app), "base")
        if tables := applied_tables(run, app, current):
            raise CommandError(
                f"{app.name}: its downgrades left {names(tables)} behind; drop what they should"
                " have dropped by hand, then run this again"
            )
    dropped = [name for _, name in before]
    if run.databases.run(app.url, partial(drop_version_table, app=app)):
        dropped.append(app.version_table)
    return dropped


def drop_version_table(connection: Connection, app: App) -> bool:
    """Drop an app's version table, which must be empty; whether there was one."""
    schema = app.version_table_schema
    home = Table(app.version_table, MetaData(), Column("version_num"), schema=schema)
    with one_migrator(connection, app), connection.begin():
        if not inspect(connection).has_table(home.name, schema):
            return False
        if read_versions(connection, [app])[app.name]:
            raise CommandError(f"{app.name}: somebody else migrated it just now; run this again")
        home.drop(connection)
    return True


def check_references(run: Run, app: App, tables: list[TableKey]) -> None:
    """Refuse while a foreign key of an app that stays, or of nobody's table, points here."""
    try:
        models = list(app.own_models.values())
    except CommandError:
        return  # its code is gone, and so are its tables
    for other in run.neighbours(app):
        if other in run.selected:
            continue
        for model in other.own_models.values():
            for key in model.foreign_keys:
                referred = referred_table(other, key)
                if any(referred is own for own in models):
                    raise CommandError(
                        f"{app.name}: {model.name}.{key.parent.name} of {other.name} refers to"
                        f" {referred.name}; take that foreign key out of the models of"
                        f" {other.name} first, or remove {other.name}, too"
                    )
    if tables:
        run.databases.run(app.url, partial(check_foreign_keys, run=run, app=app, tables=tables))


def check_foreign_keys(connection: Connection, run: Run, app: App, tables: list[TableKey]) -> None:
    """Refuse while the database has such a foreign key, whatever the models say."""
    ownership = run.ownership(run.neighbours(app), connection)
    schemas = {None, *(schema for other in ownership.apps for schema, _ in other.own_models)}
    for schema in schemas - {connection.dialect.default_schema_name}:
        found = inspect(connection).get_multi_foreign_keys(schema=schema)
        for (_, name), foreign_keys in found.items():
            owning = ownership.owner(schema, name)
            if owning in run.selected:
                continue
            for foreign_key in foreign_keys:
                referred = foreign_key["referred_table"]
                if ownership.key(foreign_key["referred_schema"], referred) in tables:
                    whose = f"of {owning.name}" if owning else "of no app"
                    way_out = "run ./generate.sh and ./migrate.sh" if owning else "drop it by hand"
                    columns = ", ".join(foreign_key["constrained_columns"])
                    raise CommandError(
                        f"{app.name}: its database has a foreign key from {name}.{columns} {whose}"
                        f" to {referred}; {way_out} first"
                    )


def count_rows(connection: Connection, tables: list[TableKey]) -> list[str]:
    """The names of tables, each with its number of rows."""
    counted = []
    for schema, name in tables:
        rows = connection.scalar(select(func.count()).select_from(table(name, schema=schema)))
        counted.append(f"{name} ({rows} row{'' if rows == 1 else 's'})")
    return counted


def names(tables: list[TableKey]) -> str:
    """The names of tables, for a message."""
    return ", ".join(name for _, name in tables)


def without_section(text: str, name: str) -> str:
    """The text of alembic.ini without a section, and without a blank line above that.

    Comments below its last key stay: they may be about what follows.
    """
    lines = text.splitlines(keepends=True)
    start = next((n for n, line in enumerate(lines) if line.startswith(f"[{name}]")), len(lines))
    end = start + 1
    for number, line in enumerate(lines[end:], start=end):
        if line.startswith("["):
            break
        if line.strip() and not line.lstrip().startswith(("#", ";")):
            end = number + 1
    if start and not lines[start - 1].strip():
        start -= 1
    shorter = "".join(lines[:start] + lines[end:])
    expected = sections(text)
    del expected[name]
    if sections(shorter) != expected:
        raise CommandError(f"{name}: cannot find the lines of [{name}] in alembic.ini; delete them")
    return shorter


def sections(text: str) -> dict[str, dict[str, str]]:
    """What the sections of alembic.ini set."""
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return {name: dict(section) for name, section in parser.items()}
