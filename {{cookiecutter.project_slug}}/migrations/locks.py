"""One migrator at a time: the lock of an app's version table, for each kind of database."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import blake2b
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from .apps import App
from .databases import version_schema
from .errors import program


def one_migrator(connection: Connection, app: App) -> AbstractContextManager[None]:
    """Hold the lock of the app's version table during a block. Say so while waiting for it.

    Raises CommandError if another migrator still holds it after `lock_timeout` seconds.
    """
    name = connection.dialect.name.replace("mariadb", "mysql")
    locks = {"postgresql": lock_postgresql, "mysql": lock_mysql, "sqlite": lock_sqlite}
    lock = lock_row if galera_node(connection) else locks.get(name, lock_row)
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
        # The commit may still have to wait for a reader.
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(app.lock_timeout * 1000)}")

    driver: Any = connection.connection.driver_connection
    if connection.in_transaction():  # for SQLAlchemy; SQLite has none until the first write
        if connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
            raise CommandError(
                f"{app.name}: the given connection enforces foreign keys, which could delete rows,"
                " and cannot change that in its transaction; give one without a transaction"
            )
        if not getattr(driver, "in_transaction", False):
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


@contextmanager
def lock_row(connection: Connection, app: App) -> Iterator[None]:
    """Update a row, and keep the transaction open on a connection of its own.

    This also keeps out migrators on other nodes of the database. A node that was cut off may have
    lost the lock. So before each statement of the migration, the row is read on that
    connection. A Galera cluster replicates the transaction while it is open, and is polled.
    https://galeracluster.com/library/documentation/using-sr.html

    In other databases, the UPDATE waits in a thread, so that `lock_timeout` works. An async driver
    cannot be used from a thread. With it, the database decides how long the UPDATE waits.
    """
    columns = sa.Column("name", sa.String(32), primary_key=True), sa.Column("taken", sa.Integer)
    # No app owns a table whose name begins with alembic_version, and no app's name contains `$`.
    rows = sa.Table("alembic_version$lock", sa.MetaData(), *columns, mysql_engine="InnoDB")
    holder, name = connection.engine.connect(), lock_digest(connection, app, size=16).hex()
    node, given_up = galera_node(connection), Event()
    cannot = CommandError(
        f"{app.name}: {connection.dialect.name} cannot lock a row for another connection;"
        f" print the SQL with {program('migrate', '--sql')}, and run it by hand"
    )
    if holder.connection.dbapi_connection is connection.connection.dbapi_connection:
        raise cannot
    if (other := galera_node(holder)) != node:
        raise CommandError(
            f"{app.name}: two connections lead to two nodes of a Galera cluster, {node} and"
            f" {other}; use a URL that leads to one node"
        )

    def taken(name: str) -> bool:
        with suppress(DBAPIError):
            return bool(holder.scalar(sa.select(rows.c.taken).where(rows.c.name == name)))
        return False

    def attempt() -> bool:
        try:
            if holder.execute(rows.update().where(rows.c.name == name).values(taken=1)).rowcount:
                return True
            holder.execute(rows.insert().values(name=name, taken=0))
            holder.commit()
        except DBAPIError as error:  # the row is locked, or another migrator has just inserted it
            if node and error.connection_invalidated:  # a new connection would lack the settings
                raise
            with suppress(DBAPIError):  # fails if Galera has rolled back already
                holder.rollback()
        return False

    def wait_in_database() -> None:
        while not (attempt() or given_up.wait(0.1)):
            pass
        if given_up.is_set():
            holder.invalidate()

    def check(*_: Any) -> None:
        if not taken(name):
            raise CommandError(f"{app.name}: the database has dropped the lock; run this again")

    waiter = Thread(target=wait_in_database, daemon=True)
    try:
        try:
            rows.create(holder, checkfirst=True)
        except DBAPIError:  # another migrator may have just created it
            holder.rollback()
            if not sa.inspect(holder).has_table(rows.name):
                raise
        holder.commit()
        if node:
            holder.exec_driver_sql(
                "SET autocommit = 0, innodb_lock_wait_timeout = 0, wsrep_sync_wait = 15,"
                " wsrep_trx_fragment_unit = 'statements', wsrep_trx_fragment_size = 1"
            )
            wait_for(attempt, app)
            # So the first query sees what the last holder of the lock did on another node.
            connection.connection.cursor().execute("SET wsrep_sync_wait = 15")
        else:
            holder.execute(rows.insert().values(name=(probe := uuid4().hex), taken=1))
            holder.rollback()
            if taken(probe):
                raise cannot
            (waiter.run if connection.dialect.is_async else waiter.start)()
            wait_for(lambda: not waiter.is_alive(), app)
        event.listen(connection, "before_cursor_execute", check)
        try:
            yield
        finally:
            event.remove(connection, "before_cursor_execute", check)
        with suppress(DBAPIError):
            holder.rollback()
    finally:
        given_up.set()
        if not waiter.is_alive():
            holder.invalidate()


def galera_node(connection: Connection) -> str | None:
    """Return the name of the connection's node in a Galera cluster; None outside of a cluster."""
    found: dict[str, str] = {}
    if connection.dialect.name in ("mysql", "mariadb"):
        cursor = connection.connection.cursor()  # SQLAlchemy would begin a transaction
        cursor.execute("SHOW VARIABLES LIKE 'wsrep_%'")
        found = dict(cursor.fetchall())
    in_cluster = found.get("wsrep_on") == "ON" and found["wsrep_provider"] != "none"
    return found["wsrep_node_name"] if in_cluster else None


def lock_digest(connection: Connection, app: App, size: int) -> bytes:
    """Return bytes that identify the app's version table and that no other program will use."""
    where = [connection.engine.url.database, version_schema(app, connection.dialect)]
    name = "/".join(["alembic", *(part or "" for part in where), app.version_table])
    return blake2b(name.encode(), digest_size=size).digest()


def wait_for(attempt: Callable[[], bool], app: App) -> None:
    """Repeat `attempt` until it returns True. Raise CommandError after the app's `lock_timeout`."""
    deadline = time.monotonic() + app.lock_timeout
    pause, said = 0.02, False
    while not attempt():
        if time.monotonic() >= deadline:
            raise CommandError(
                f"{app.name}: another migration has held the lock for {app.lock_timeout:g} s;"
                f" run this again when it is done, or increase lock_timeout in {app.ini}"
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
