"""Alembic runs this file for each command. It is the same for every app.

Alembic's option `--name` chooses the section of alembic.ini, and so the app. The section says
which database, version table and models to use.
"""

import io
import sys
import warnings
from contextlib import ExitStack, closing, nullcontext
from logging.config import fileConfig
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.schema import CreateSchema

from migrations.apps import App, read_apps, search_path
from migrations.commands import autogenerate_options, hooks
from migrations.databases import Databases, end_session
from migrations.errors import naming, program
from migrations.locks import one_migrator, version_schema
from migrations.ownership import Ownership
from migrations.revision_files import check_revisions
from migrations.run import checked

config = context.config

# `python -m migrations` has read the sections. It keeps connections open, and prints the errors.
called_by_run = "apps" in config.attributes

# Only a command line sets cmd_opts. Callers in Python handle logging and exceptions themselves.
from_command_line = config.cmd_opts is not None and not called_by_run


def changes_database() -> bool:
    """Return True for upgrade, downgrade and stamp: only these have a destination."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def settings(app: App, dialect: Dialect, connection: Connection | None = None) -> dict[str, Any]:
    """Return the arguments of `context.configure` that are the same online and offline."""
    # commands/check.py compares all apps of a database at once. Other commands compare this app.
    compared = config.attributes.get("compared", {app: context.script})
    # PostgreSQL has no default schema as long as the schema of a new tenant is missing.
    default = dialect.default_schema_name or app.schema
    ownership = Ownership(compared, default, connection)
    one_by_one = app.section.getboolean("transaction_per_migration", False)
    return {
        "version_table": app.version_table,
        "version_table_schema": version_schema(app, dialect),
        "target_metadata": ownership,
        "include_name": ownership.include_name,
        "include_object": ownership.include_object,
        "include_schemas": True,
        "compare_server_default": app.section.getboolean("compare_server_default", True),
        # SQLite alters most things by copying the table. Others run plain ALTER TABLE.
        "render_as_batch": True,
        # lock_sqlite in locks.py makes DDL transactional on SQLite.
        "transactional_ddl": True if dialect.name == "sqlite" else None,
        "transaction_per_migration": one_by_one and dialect.name != "sqlite",
        **autogenerate_options(),
        **({} if app.section.getboolean("compare_type", True) else {"compare_type": False}),
    }


def run_offline(app: App) -> None:
    """Print the SQL instead of running it (`--sql`). After an error, print nothing."""
    script = io.StringIO()
    context.configure(
        url=app.url,
        literal_binds=True,
        output_buffer=script,
        dialect_opts={"paramstyle": "named", **config.attributes.get("dialect_opts", {})},
        **settings(app, app.url.get_dialect()()),
    )
    with context.begin_transaction():
        if path := search_path(app.url):
            if not context.get_starting_revision_argument():
                context.execute(CreateSchema(path, if_not_exists=True))
            context.execute(f'SET search_path = "{path}"')
        context.run_migrations()
    (config.output_buffer or sys.stdout).write(script.getvalue())


def run_online(app: App, connection: Connection) -> None:
    """Run the command on a connection, under the app's lock if it changes the database."""
    writes = changes_database()
    context.configure(
        connection=connection,
        # Alembic would create the version table even for a command that only compares.
        dont_mutate=not writes,
        **settings(app, connection.dialect, connection),
    )
    migration = context.get_context()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        # The models of two apps may refer to each other. order.py sorts their revisions.
        warnings.filterwarnings("ignore", "Cannot correctly sort tables")
        if writes:
            # Alembic has no hook between finding a command's steps and running the first of them.
            assert migration._migrations_fn is not None
            migration._migrations_fn = checked(migration._migrations_fn, app, config, connection)
            stack.enter_context(one_migrator(connection, app))
            for guard in hooks("guard"):
                stack.enter_context(guard(migration, app))
        stack.enter_context(context.begin_transaction())
        context.run_migrations()


def run_command(app: App) -> None:
    """Run the command offline, on the caller's connection, or on a connection of its own."""

    def work(connection: Connection) -> None:
        run_online(app, connection)
        if changes_database():
            end_session(connection)

    given = config.attributes.get("connection")
    if context.is_offline_mode():
        run_offline(app)
    elif isinstance(given, Connection):
        run_online(app, given)
    elif isinstance(given, Engine):
        with given.connect() as connection:
            run_online(app, connection)
    else:
        url = given.url if given else app.url  # of an AsyncEngine, only the URL is used
        with closing(Databases()) as own:
            config.attributes.get("databases", own).run(url, work)


def main() -> None:
    """Find the app that Alembic was called for, and run the command for it."""
    apps = config.attributes["apps"] if called_by_run else read_apps(config)
    app = apps.get(config.config_ini_section)
    if app is None:
        every = f"{program('migrate')} migrates them all"
        raise CommandError(f"name an app: alembic --name {'|'.join(apps)} ...; {every}")
    # Alembic's command line prints a traceback for any error but CommandError.
    one_line = naming(app.name, app.url_text, ctrl_c=CommandError)
    with one_line if from_command_line else nullcontext():
        if from_command_line and config.file_config.has_section("loggers"):
            fileConfig(config.file_config, disable_existing_loggers=False)
        if not called_by_run:
            check_revisions(app, context.script)
        run_command(app)


main()
