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
    """Hold the lock of the app's version table in a block; wait for it, and say so.

    Raises CommandError when another migrator holds it for longer than the `lock_timeout`.
    """
    name = connection.dialect.name.replace("mariadb", "mysql")
    locks = {"postgresql": lock_postgresql, "mysql": lock_mysql, "sqlite": lock_sqlite}
    lock = lock_row if galera_node(connection) else locks.get(name, lock_row)
    return lock(connection, app)


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
    # The names are the server's, for all of its databases.
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
        with suppress(Exception):  # the server frees the lock of a connection that it has lost
            cursor.execute(f"SELECT RELEASE_LOCK('{name}')")


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


@contextmanager
def lock_row(connection: Connection, app: App) -> Iterator[None]:
    """Hold a row that an open transaction has updated, on a connection of its own.

    This keeps out migrators on other machines of the database, too. A machine that was cut off may
    have lost the lock, so each statement of the migration first makes sure that it is still there.
    A Galera cluster replicates the transaction while it is open, and is polled.
    https://galeracluster.com/library/documentation/using-sr.html

    Elsewhere the UPDATE waits in the database, in a thread. An async driver cannot use one: with
    it the database alone decides how long that takes.
    """
    columns = sa.Column("name", sa.String(32), primary_key=True), sa.Column("taken", sa.Integer)
    # No app owns what begins with alembic_version, and no app's name has a `$`.
    rows = sa.Table("alembic_version$lock", sa.MetaData(), *columns, mysql_engine="InnoDB")
    holder, name = connection.engine.connect(), lock_digest(connection, app, size=16).hex()
    node, given_up = galera_node(connection), Event()
    cannot = CommandError(
        f"{app.name}: {connection.dialect.name} cannot hold a lock in a transaction of a second"
        f" connection; print the SQL with {program('migrate', '--sql')}, and run that by hand"
    )
    if holder.connection.dbapi_connection is connection.connection.dbapi_connection:
        raise cannot
    if (other := galera_node(holder)) != node:
        raise CommandError(
            f"{app.name}: its connections reach two nodes of a Galera cluster, {node} and {other};"
            " give a URL that leads to one"
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
        except DBAPIError as error:  # it waits no longer, or another migrator was faster
            if node and error.connection_invalidated:  # a new one would have other settings
                raise
            with suppress(DBAPIError):  # Galera may have done so, and calls that an error
                holder.rollback()
        return False

    def wait_in_database() -> None:
        while not (attempt() or given_up.wait(0.1)):
            pass
        if given_up.is_set():
            holder.invalidate()

    def check(*_: Any) -> None:
        if not taken(name):
            raise CommandError(f"{app.name}: the database has taken the lock away; run this again")

    waiter = Thread(target=wait_in_database, daemon=True)
    try:
        try:
            rows.create(holder, checkfirst=True)
        except DBAPIError:  # another migrator may have been faster
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
            # Its first query waits for what the last holder of the lock did on another node.
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
    """Return the name of the node of a Galera cluster that a connection leads to, if it does."""
    found: dict[str, str] = {}
    if connection.dialect.name in ("mysql", "mariadb"):
        cursor = connection.connection.cursor()  # SQLAlchemy would begin a transaction
        cursor.execute("SHOW VARIABLES LIKE 'wsrep_%'")
        found = dict(cursor.fetchall())
    in_cluster = found.get("wsrep_on") == "ON" and found["wsrep_provider"] != "none"
    return found["wsrep_node_name"] if in_cluster else None


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
