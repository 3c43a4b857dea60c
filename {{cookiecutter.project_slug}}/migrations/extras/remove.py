"""Remove apps: run their downgrades, and remove their sections from alembic.ini."""

import shutil
from argparse import ArgumentParser
from functools import partial
from pathlib import Path

from alembic import command
from alembic.util import CommandError
from sqlalchemy import Column, Connection, MetaData, Table, func, inspect, select, table

from ..apps import App, TableKey
from ..errors import program, relative
from ..locks import one_migrator, version_schema
from ..revision_files import oldest_first, tables_created
from ..run import Run, read_versions
from .precautions import ask, check_moves, existing, names_of, own_tables, ownership_of


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="+")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--keep-tables", action="store_true", help="only remove the section")
    one.add_argument("--keep-section", action="store_true", help="only drop the tables")


def remove(run: Run) -> None:
    """Drop the tables of apps by their downgrades, and remove the sections from alembic.ini."""
    ini = Path(str(run.config.config_file_name)).resolve()
    keep_section = run.options.keep_section
    section = "keeps its section" if keep_section else f"removes its section from {ini.name}"
    last_first = run.selected[::-1]
    tables: dict[App, list[TableKey]] = {}
    for app in last_first:
        without_section(ini, app.name)
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
        replace(ini, ini.read_bytes())  # if this user may not write there, fail now

    def unplug(app: App) -> str:
        if app in tables:
            drop(run, app, tables[app])
        told = f"dropped {names_of(tables.get(app, ())) or 'no table'}"
        if keep_section:
            return told
        replace(ini, without_section(ini, app.name))
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
        raise CommandError(
            f"{str(error).partition('; ')[0]}; only its code can drop its tables; bring it back, or"
            f" keep them: {program('remove', app.name)} --keep-tables"
        ) from error
    check_moves(run, app)
    tables = run.databases.run(app.url, partial(applied_tables, run=run, app=app))
    run.databases.run(app.url, partial(check_foreign_keys, run=run, app=app, tables=tables))
    return tables


def applied_tables(connection: Connection, run: Run, app: App) -> list[TableKey]:
    """Return the app's own tables, except those that only its pending revisions would create.

    If such a table exists already, it belongs to someone else.
    """
    applied = [it for it in oldest_first(run.script(app)) if it.revision in run.applied(app)]
    ownership = ownership_of(connection, run, [app])
    created = {ownership.key(*it) for it in tables_created(Path(it.path) for it in applied)}
    pending = ownership.created_by(app) - created
    own = {*existing(connection, created), *own_tables(connection, run, app)} - pending
    return sorted(own, key=str) if applied else []


def drop(run: Run, app: App, tables: list[TableKey]) -> None:
    """Downgrade an app to base, and drop its version table."""
    if run.current(app):
        command.downgrade(run.config_for(app), "base")
    if left := run.databases.run(app.url, partial(existing, tables=tables)):
        raise CommandError(
            f"{app.name}: its downgrades left {names_of(left)} behind; drop that by hand,"
            " then run this again"
        )
    run.databases.run(app.url, partial(drop_version_table, app=app))


def drop_version_table(connection: Connection, app: App) -> None:
    """Drop an app's version table, which must be empty, if there is one."""
    schema = version_schema(app, connection.dialect)
    home = Table(app.version_table, MetaData(), Column("version_num"), schema=schema)
    with one_migrator(connection, app), connection.begin():
        if read_versions(connection, [app])[app.name]:
            raise CommandError(f"{app.name}: another migration has just changed it; run this again")
        home.drop(connection, checkfirst=True)


def check_foreign_keys(connection: Connection, run: Run, app: App, tables: list[TableKey]) -> None:
    """Refuse to drop tables while the database has a foreign key to them from a remaining table.

    SQLite would drop them anyway, and MySQL would stop half-way.
    """
    ownership = ownership_of(connection, run, app.neighbours)
    schemas = {None, *(schema for other in ownership.apps for schema, _ in other.model_tables)}
    for schema in schemas - {connection.dialect.default_schema_name} if tables else ():
        for (_, name), keys in inspect(connection).get_multi_foreign_keys(schema=schema).items():
            owner = ownership.owner(schema, name)
            for key in keys if owner not in run.selected else ():
                referred = key["referred_table"]
                if ownership.key(key["referred_schema"], referred) in tables:
                    column = f"{name}.{', '.join(key['constrained_columns'])}"
                    raise CommandError(
                        f"{app.name}: {column} of {owner.name if owner else 'no app'} refers to"
                        f" {referred}; first drop that foreign key"
                    )


def count_rows(connection: Connection, tables: list[TableKey]) -> list[str]:
    """Return the names of tables, each with its number of rows."""
    counted = []
    for schema, name in tables:
        rows = connection.scalar(select(func.count()).select_from(table(name, schema=schema)))
        counted.append(f"{name} ({rows} row{'' if rows == 1 else 's'})")
    return counted


def without_section(ini: Path, name: str) -> bytes:
    """Return the text of alembic.ini without a section and the blank line above it.

    Comments below its last key stay: they may be about what follows.
    """
    lines = ini.read_bytes().decode().splitlines(keepends=True)
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
    return "".join(lines[:start] + lines[end:]).encode()


def replace(ini: Path, text: bytes) -> None:
    """Replace the text of alembic.ini in one step, so that it is never half-written."""
    new = ini.with_name(f"{ini.name}.new")
    try:
        new.write_bytes(text)
        shutil.copymode(ini, new)
        new.replace(ini)
    finally:
        new.unlink(missing_ok=True)
