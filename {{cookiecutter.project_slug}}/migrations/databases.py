"""Connections to the databases of the apps, with a clean session for each app."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar
from uuid import uuid4

from alembic.util import CommandError
from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, inspect, pool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from .apps import App, search_path

T = TypeVar("T")


class Databases:
    """Connections to the databases of the apps. Only one pool is open at a time.

    A server may limit the number of connections, and close idle ones.
    """

    def __init__(self) -> None:
        self._engines: dict[URL, Engine] = {}
        self._open: Engine | None = None

    def run(self, url: URL, work: Callable[[Connection], T]) -> T:
        """Call `work` with a connection to the database, and return what it returns."""
        if url.drivername == "sqlite+aiosqlite":
            # aiosqlite's thread prints a traceback if it cannot open the file.
            url = url.set(drivername="sqlite")
        if url.get_dialect().is_async:
            return run_async(url, work)
        if url not in self._engines:
            self._engines[url] = create_engine(url, connect_args=connect_args(url))
            event.listen(self._engines[url], "connect", end_transaction, insert=True)
        engine = self._engines[url]
        if engine is not self._open:
            self.close()
            self._open = engine
        with engine.connect() as connection:
            return in_session(connection, url, work)

    def close(self) -> None:
        """Close every connection."""
        if self._open:
            self._open.dispose()


def connect_args(url: URL) -> dict[str, Any]:
    """Return the driver's connect arguments that turn off prepared statements.

    They belong to a session of the server. Behind a PgBouncer in transaction mode, the next
    transaction may get another session, which lacks them or has others with the same names.
    """
    if url.get_driver_name() in ("psycopg", "psycopg_async"):
        return {"prepare_threshold": None}
    if url.get_driver_name() == "asyncpg":
        unique = {"prepared_statement_name_func": lambda: f"__asyncpg_{uuid4()}__"}
        # Other drivers read `?options=` themselves. For this one, `run_async` removes it.
        settings = dict(re.findall(r"-c *(\w+)=(\S+)", str(url.query.get("options"))))
        return {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "server_settings": settings,
            **unique,
        }
    return {}


def end_transaction(driver_connection: Any, _: Any) -> None:
    """Commit what the models' `connect` listeners have set, before a rollback can undo it."""
    driver_connection.commit()


def run_async(url: URL, work: Callable[[Connection], T]) -> T:
    """Call `work` with a connection of an async driver, even if an event loop is running."""
    import asyncio  # here, because only async drivers need these slow imports
    from concurrent.futures import ThreadPoolExecutor

    from sqlalchemy.ext.asyncio import create_async_engine

    async def connect_and_work() -> T:
        asyncpg = url.get_driver_name() == "asyncpg"
        at = url.difference_update_query(["options"]) if asyncpg else url
        engine = create_async_engine(at, poolclass=pool.NullPool, connect_args=connect_args(url))
        event.listen(engine.sync_engine, "connect", end_transaction, insert=True)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(in_session, url, work)
        finally:
            await engine.dispose()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(connect_and_work())
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, connect_and_work()).result()


def in_session(connection: Connection, url: URL, work: Callable[[Connection], T]) -> T:
    """Call `work`, return what it returns, and roll back what it has not committed."""
    check_schema(connection, url)
    found = work(connection)
    try:
        connection.rollback()
    except DBAPIError:  # Galera has rolled back already, for DDL on another node
        connection.invalidate()
    return found


def check_schema(connection: Connection, url: URL) -> None:
    """Raise CommandError if the session is in another schema than its URL says."""
    schema, found = search_path(url), connection.dialect.default_schema_name
    if schema and found not in (schema, None):
        raise CommandError(
            f"the session is in the schema {found}, not {schema}, because a pooler ignores the"
            " URL's `options`; connect to PostgreSQL directly"
        )


def create_schema(connection: Connection, schema: str | None) -> None:
    """Create the schema of a version table, which Alembic creates before any revision runs."""
    if schema and not inspect(connection).has_schema(schema):
        with nullcontext() if connection.in_transaction() else connection.begin():
            connection.execute(CreateSchema(schema))


def version_schema(app: App, dialect: Dialect) -> str | None:
    """Return the schema of the app's version table, or None for the usual default schema.

    With a search_path such as `tenant, public`, PostgreSQL would find the version table in
    `public` if `tenant` has none yet.
    """
    current = dialect.default_schema_name if dialect.name == "postgresql" else None
    return app.version_table_schema or (current if current != "public" else None)


def end_session(connection: Connection) -> None:
    """Reset the session, so that the next app does not inherit settings of a revision.

    https://www.postgresql.org/docs/current/sql-discard.html
    """
    connection.rollback()
    of_models = connection.engine.pool.dispatch.connect.parent_listeners  # listeners of all engines
    if connection.dialect.name == "postgresql" and not (connection.dialect.is_async or of_models):
        # This is cheaper than reconnecting, but it also resets what those listeners have set.
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("DISCARD ALL")
    else:
        connection.invalidate()
