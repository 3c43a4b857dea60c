"""The lock for Galera, and for databases that are unknown here: a row in an open transaction."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from ..apps import App
from ..errors import program
from ..locks import galera_node, lock_digest, wait_for


@contextmanager
def lock_row(connection: Connection, app: App) -> Iterator[None]:
    """Update a row, and keep the transaction open on a connection of its own.

    This also keeps out migrators on other nodes of the database. A node that was cut off may
    have lost the lock. So before each statement of the migration, the row is read on that
    connection. A Galera cluster replicates the transaction while it is open, and is polled.
    https://galeracluster.com/library/documentation/using-sr.html

    In other databases, the UPDATE waits for the row, and the database decides how long.
    """
    columns = sa.Column("name", sa.String(32), primary_key=True), sa.Column("taken", sa.Integer)
    # No app owns a table whose name begins with alembic_version, and no app's name contains `$`.
    rows = sa.Table("alembic_version$lock", sa.MetaData(), *columns, mysql_engine="InnoDB")
    holder, name = connection.engine.connect(), lock_digest(connection, app, size=16).hex()
    node = galera_node(connection)
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
            if error.connection_invalidated:  # a new connection would lack the settings
                raise
            with suppress(DBAPIError):  # fails if Galera has rolled back already
                holder.rollback()
        return False

    def check(*_: Any) -> None:
        if not taken(name):
            raise CommandError(f"{app.name}: the database has dropped the lock; run this again")

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
        else:
            holder.execute(rows.insert().values(name=(probe := uuid4().hex), taken=1))
            holder.rollback()
            if taken(probe):
                raise cannot
        wait_for(attempt, app)
        if node:  # so the first query sees what the last holder of the lock did on another node
            connection.connection.cursor().execute("SET wsrep_sync_wait = 15")
        event.listen(connection, "before_cursor_execute", check)
        try:
            yield
        finally:
            event.remove(connection, "before_cursor_execute", check)
        with suppress(DBAPIError):
            holder.rollback()
    finally:
        holder.invalidate()
