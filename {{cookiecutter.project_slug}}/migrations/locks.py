"""One migrator at a time: the lock of an app's version table, and the schema of that table."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import blake2b
from itertools import count
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, Dialect, event, text
from sqlalchemy.exc import DBAPIError

from .apps import App
from .commands import needed_hook


def one_migrator(connection: Connection, app: App) -> AbstractContextManager[None]:
    """Hold the lock of the app's version table during a block. Say so while waiting for it.

    Raises CommandError if another migrator still holds it after `lock_timeout` seconds. The
    folder extras/ has a lock for Galera, and for databases that are not known here.
    """
    name = connection.dialect.name.replace("mariadb", "mysql")
    lock: Callable[..., AbstractContextManager[None]]
    known = {"postgresql": lock_postgresql, "mysql": lock_mysql, "sqlite": lock_sqlite}
    if name in known and not galera_node(connection):
        lock = known[name]
    else:
        lock = needed_hook("lock_row", "row_lock.py", f"{app.name}: a lock on {name}")
    return lock(connection, app)


@contextmanager
def lock_postgresql(connection: Connection, app: App) -> Iterator[None]:
    """Hold a transaction-level advisory lock on a connection of its own.

    On the migration's own connection, `autocommit_block()` would release it. A session-level lock
    would stay in the pool of a PgBouncer in transaction mode. A session that waits in the server
    has an open snapshot, and CREATE INDEX CONCURRENTLY waits for every snapshot. So this polls,
    at READ COMMITTED, which keeps no snapshot between statements.
    https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
    """
    key = int.from_bytes(lock_digest(connection, app, size=8), signed=True)
    with connection.engine.connect() as holder:
        holder.connection.commit()  # a listener for `connect` may have begun a transaction
        holder = holder.execution_options(isolation_level="READ COMMITTED")

        def attempt() -> bool:
            if holder.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}):
                return True
            holder.rollback()
            return False

        wait_for(attempt, app)
        # The server must not end the idle transaction that holds the lock.
        holder.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        if (holder.dialect.server_version_info or ()) >= (17,):
            holder.exec_driver_sql("SET LOCAL transaction_timeout = 0")
        try:
            yield
        except BaseException:
            holder.invalidate()  # closes it without a rollback, whose error would hide this one
            raise
        with suppress(DBAPIError):  # the server may have closed it; the work is done
            holder.rollback()


@contextmanager
def lock_mysql(connection: Connection, app: App) -> Iterator[None]:
    """Hold a named lock. It belongs to the connection, so DDL does not release it by a commit.

    https://mariadb.com/docs/server/reference/sql-functions/secondary-functions/miscellaneous-functions/get_lock
    """
    # All databases of a server share these names.
    name = "alembic_" + lock_digest(connection, app, size=16).hex()
    cursor = connection.connection.cursor()  # the driver's: SQLAlchemy would begin a transaction

    def attempt() -> bool:
        cursor.execute(f"SELECT GET_LOCK('{name}', 0)")
        [[locked]] = cursor.fetchall()
        return bool(locked)

    wait_for(attempt, app)
    try:
        yield
    finally:
        with suppress(Exception):  # if the connection is lost, the server has released the lock
            cursor.execute(f"SELECT RELEASE_LOCK('{name}')")


@contextmanager
def lock_sqlite(connection: Connection, app: App) -> Iterator[None]:
    """Start each transaction with BEGIN IMMEDIATE, which locks the file for one writer.

    Then DDL can be rolled back, too. Python's sqlite3 would run it outside of any transaction.
    https://docs.python.org/3/library/sqlite3.html#transaction-control

    Foreign keys are off during the block. SQLite alters a table by copying it, and dropping the
    old table would delete the rows that refer to it, even those of other apps.
    https://www.sqlite.org/lang_altertable.html#otheralter
    """
    cursor = connection.connection.cursor()  # the driver's: SQLAlchemy would begin a transaction
    cursor.execute("PRAGMA foreign_keys")
    [[enforced]] = cursor.fetchall()

    def attempt() -> bool:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except DBAPIError as error:
            if "locked" not in str(error.orig):
                raise
            return False
        return True

    def begin(begun: Connection) -> None:
        """Begin a transaction in SQLite whenever SQLAlchemy begins one on this connection."""
        options = connection.get_execution_options()
        if begun is not connection or options.get("isolation_level") == "AUTOCOMMIT":
            return
        connection.connection.rollback()  # the engine may have a listener that says BEGIN
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        wait_for(attempt, app)
        # The commit may still have to wait for a reader.
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(app.lock_timeout * 1000)}")

    driver: Any = connection.connection.driver_connection
    if connection.in_transaction():  # SQLAlchemy has begun one; Python's sqlite3 waits for a write
        if enforced:
            raise CommandError(
                f"{app.name}: the given connection enforces foreign keys, which could delete rows,"
                " and cannot change that in its transaction; give one without a transaction"
            )
        if not driver.in_transaction:
            begin(connection)
    autocommit = getattr(driver, "autocommit", None)
    if autocommit is False:  # since Python 3.12: each transaction begins when the last one ends
        driver.autocommit = -1  # sqlite3.LEGACY_TRANSACTION_CONTROL
    event.listen(connection.engine, "begin", begin)  # runs after the listeners that are there
    try:
        yield
    finally:
        event.remove(connection.engine, "begin", begin)
        if enforced:
            connection.connection.cursor().execute("PRAGMA foreign_keys = ON")
        if autocommit is False:
            driver.autocommit = False


def galera_node(connection: Connection) -> str | None:
    """Return the name of the connection's node in a Galera cluster; None outside of a cluster."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        return None
    cursor = connection.connection.cursor()  # SQLAlchemy would begin a transaction
    cursor.execute("SHOW VARIABLES LIKE 'wsrep_%'")
    found: dict[str, str] = dict(cursor.fetchall())
    in_cluster = found.get("wsrep_on") == "ON" and found["wsrep_provider"] != "none"
    return found["wsrep_node_name"] if in_cluster else None


def version_schema(app: App, dialect: Dialect) -> str | None:
    """Return the schema of the app's version table, or None for the usual default schema.

    With a search_path such as `tenant, public`, PostgreSQL would find the version table in
    `public` if `tenant` has none yet.
    """
    current = dialect.default_schema_name if dialect.name == "postgresql" else None
    return app.version_table_schema or (current if current != "public" else None)


def lock_digest(connection: Connection, app: App, size: int) -> bytes:
    """Return bytes that identify the app's version table and that no other program will use."""
    where = [connection.engine.url.database, version_schema(app, connection.dialect)]
    name = "/".join(["alembic", *(part or "" for part in where), app.version_table])
    return blake2b(name.encode(), digest_size=size).digest()


def wait_for(attempt: Callable[[], bool], app: App) -> None:
    """Repeat `attempt` until it returns True. Raise CommandError after the app's `lock_timeout`."""
    deadline = time.monotonic() + app.lock_timeout
    for tries in count(1):
        if attempt():
            return
        if time.monotonic() >= deadline:
            raise CommandError(
                f"{app.name}: another migration has held the lock for {app.lock_timeout:g} s;"
                f" run this again when it is done, or increase lock_timeout in {app.ini}"
            )
        if tries == 5:  # most migrations are done by then
            wait = f"{app.lock_timeout:g} s at most"
            print(f"{app.name}: waiting for another migration, {wait}", file=sys.stderr)
        time.sleep(min(tries * 0.02, 0.25))
