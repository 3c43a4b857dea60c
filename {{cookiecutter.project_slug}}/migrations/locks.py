"""One migrator at a time: the lock of an app's version table, for each kind of database."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from hashlib import blake2b
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from .apps import App
from .databases import version_schema


def one_migrator(connection: Connection, app: App) -> AbstractContextManager[None]:
    """Hold the lock of the app's version table in a block; wait for it, and say so.

    Raises CommandError when another migrator holds it for longer than the `lock_timeout`.
    """
    name = connection.dialect.name.replace("mariadb", "mysql")
    locks = {"postgresql": lock_postgresql, "mysql": lock_mysql, "sqlite": lock_sqlite}
    return locks[name](connection, app) if name in locks else nullcontext()


@contextmanager
def lock_postgresql(connection: Connection, app: App) -> Iterator[None]:
    """Hold a transaction-level advisory lock on a connection of its own.

    On the migration's own connection, `autocommit_block()` would give it up. A session-level
    lock would stay behind in the pool of a PgBouncer in transaction mode. It polls instead of
    waiting in the server: CREATE INDEX CONCURRENTLY waits for every open snapshot, also that of
    a waiting session. READ COMMITTED keeps none between statements.
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
            holder.invalidate()  # closes it as it is: another error would hide this one
            raise
        with suppress(DBAPIError):  # it may have been cut off while idle; the work is done
            holder.rollback()


@contextmanager
def lock_mysql(connection: Connection, app: App) -> Iterator[None]:
    """Hold a named lock. It belongs to the connection, so the commits of DDL do not free it.

    https://mariadb.com/docs/server/reference/sql-functions/secondary-functions/miscellaneous-functions/get_lock
    """
    name = mysql_lock(connection, app)
    cursor = connection.connection.cursor()  # the driver's: SQLAlchemy would begin a transaction

    def attempt() -> bool:
        cursor.execute(f"SELECT GET_LOCK('{name}', 0)")
        [[locked]] = cursor.fetchall()
        return bool(locked)

    wait_for(attempt, app)
    try:
        yield
    finally:
        with suppress(Exception):  # the server frees the lock of a connection that it has lost
            cursor.execute(f"SELECT RELEASE_LOCK('{name}')")


def mysql_lock(connection: Connection, app: App) -> str:
    """Return the name of the app's lock; a server has one list of names for all databases."""
    return "alembic_" + lock_digest(connection, app, size=16).hex()


@contextmanager
def lock_sqlite(connection: Connection, app: App) -> Iterator[None]:
    """Start each transaction with BEGIN IMMEDIATE: a file has one writer, so this is the lock.

    It also lets DDL roll back, which Python's sqlite3 runs outside of any transaction.
    https://docs.python.org/3/library/sqlite3.html#transaction-control

    Foreign keys are off meanwhile. SQLite alters a table by copying it; dropping the old one
    would delete the rows that refer to it, also those of other apps.
    https://www.sqlite.org/lang_altertable.html#otheralter
    """
    enforced = False

    def attempt() -> bool:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except DBAPIError as error:
            if "locked" not in str(error.orig):
                raise
            return False
        return True

    def begin(begun: Connection) -> None:
        nonlocal enforced
        options = connection.get_execution_options()
        if begun is not connection or options.get("isolation_level") == "AUTOCOMMIT":
            return
        connection.connection.rollback()  # the engine may have a listener that says BEGIN
        enforced |= bool(connection.exec_driver_sql("PRAGMA foreign_keys").scalar())
        if enforced:
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        wait_for(attempt, app)
        # What is left to wait for is a reader, at the commit.
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(app.lock_timeout * 1000)}")

    driver: Any = connection.connection.driver_connection
    if connection.in_transaction():  # SQLAlchemy's: SQLite has none until something is written
        if connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
            raise CommandError(
                f"{app.name}: its connection enforces foreign keys, which could cost rows, and is"
                " in a transaction, where that cannot be changed; give one that is in none"
            )
        if not getattr(driver, "in_transaction", False):
            begin(connection)
    autocommit = getattr(driver, "autocommit", None)
    if autocommit is False:  # Python 3.12 can begin each transaction at the end of the last
        driver.autocommit = -1  # sqlite3.LEGACY_TRANSACTION_CONTROL
    event.listen(connection.engine, "begin", begin)  # after those that it has already
    try:
        yield
    finally:
        event.remove(connection.engine, "begin", begin)
        if enforced:
            connection.connection.cursor().execute("PRAGMA foreign_keys = ON")
        if autocommit is False:
            driver.autocommit = False


def lock_digest(connection: Connection, app: App, size: int) -> bytes:
    """Return a name for the lock of the app's version table, which no other program will use."""
    where = [connection.engine.url.database, version_schema(app, connection.dialect)]
    name = "/".join(["alembic", *(part or "" for part in where), app.version_table])
    return blake2b(name.encode(), digest_size=size).digest()


def wait_for(attempt: Callable[[], bool], app: App) -> None:
    """Repeat `attempt` until it returns true, for the app's `lock_timeout` at most."""
    deadline = time.monotonic() + app.lock_timeout
    pause, said = 0.02, False
    while not attempt():
        if time.monotonic() >= deadline:
            raise CommandError(
                f"{app.name}: another migration has held the lock for {app.lock_timeout:g} s;"
                f" run this again when it is done, or raise lock_timeout in {app.ini}"
            )
        if not said and pause > 0.1:
            print(
                f"{app.name}: waiting for another migration, {app.lock_timeout:g} s at most",
                file=sys.stderr,
                flush=True,
            )
            said = True
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
