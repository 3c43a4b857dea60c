"""Connections to the databases of the apps, with a clean session for each app."""

from collections.abc import Callable
from typing import Any, TypeVar

from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from .apps import search_path
from .commands import needed_hook

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
        if url.get_dialect().is_async:
            driver = f"the driver {url.get_driver_name()}"
            found: T = needed_hook("run_async", "async_drivers.py", driver)(url, work)
            return found
        if url not in self._engines:
            self._engines[url] = create_engine(url, connect_args=connect_args(url))
            keep_settings(self._engines[url])
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
    """Return the arguments for psycopg that turn off prepared statements, as PgBouncer needs."""
    known = url.get_driver_name() in ("psycopg", "psycopg_async")
    return {"prepare_threshold": None} if known else {}


def keep_settings(engine: Engine) -> None:
    """Commit what the models' `connect` listeners set, before a rollback can undo it."""
    # `insert` puts it in front of SQLAlchemy's own listener, which rolls back.
    event.listen(engine, "connect", lambda driver, _: driver.commit(), insert=True)


def in_session(connection: Connection, url: URL, work: Callable[[Connection], T]) -> T:
    """Call `work`, return what it returns, and roll back what it has not committed.

    Raises CommandError if the session is in another schema than its URL says.
    """
    schema, found = search_path(url), connection.dialect.default_schema_name
    if schema and found not in (schema, None):
        raise CommandError(
            f"the session is in the schema {found}, not {schema}, because a pooler ignores the"
            " URL's `options`; connect to PostgreSQL directly"
        )
    result = work(connection)
    try:
        connection.rollback()
    except DBAPIError:  # Galera has rolled back already, for DDL on another node
        connection.invalidate()
    return result


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
