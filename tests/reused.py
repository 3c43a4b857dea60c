"""PostgreSQL databases that one test after the other uses: making one takes longer than a test.

Whoever gives one back may have done anything to it. It is emptied, and used again only if it is
then as it was at first. Those that are left are dropped when the tests end.
"""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import URL, create_engine, pool, text
from sqlalchemy.exc import DBAPIError

# Objects of users have at least this oid. To drop one may drop others.
EMPTY = """
DO $$
DECLARE command text;
BEGIN
    PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    FOR command IN
        SELECT format('DROP EXTENSION IF EXISTS %I CASCADE', extname)
        FROM pg_extension WHERE oid >= 16384
    LOOP EXECUTE command; END LOOP;
    FOR command IN
        SELECT format('DROP SCHEMA %I CASCADE', nspname)
        FROM pg_namespace WHERE oid >= 16384 AND nspname NOT LIKE 'pg\\_%'
    LOOP EXECUTE command; END LOOP;
    FOR command IN
        SELECT format('DROP %s IF EXISTS %s CASCADE', it.type, it.identity)
        FROM pg_depend, pg_identify_object(classid, objid, 0) AS it
        WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'public'::regnamespace
            AND it.identity IS NOT NULL
    LOOP EXECUTE command; END LOOP;
END $$
"""

# Most of what there can be in a database depends on something.
STATE = """
SELECT
    (SELECT count(*) FROM pg_depend),
    (SELECT count(*) FROM pg_default_acl),
    (SELECT count(*) FROM pg_event_trigger),
    (SELECT count(*) FROM pg_largeobject_metadata),
    (SELECT count(*) FROM pg_publication),
    (SELECT sum(hashtext(description)) FROM pg_description),
    (SELECT string_agg(concat(nspname, nspowner, nspacl), ' ' ORDER BY nspname)
        FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%'),
    (SELECT string_agg(concat(setrole, setconfig), ' ' ORDER BY setrole)
        FROM pg_db_role_setting WHERE setdatabase = it.oid),
    (SELECT count(*) FROM pg_shdepend WHERE dbid = it.oid OR objid = it.oid),
    it.datdba, it.datacl::text, it.datconnlimit
FROM pg_database AS it WHERE datname = current_database()
"""


@dataclass(frozen=True)
class Reusable:
    """An empty database, and what its catalog says as long as it is empty."""

    server: URL
    name: str
    state: tuple[object, ...]

    @classmethod
    def create(cls, server: URL, name: str) -> "Reusable":
        """Create a database, which need not survive a failure of the server."""
        run(server, f"CREATE DATABASE {name}")
        run(server, f"ALTER DATABASE {name} SET synchronous_commit = off")
        return cls(server, name, run(server.set(database=name), STATE))

    @property
    def url(self) -> URL:
        """The URL of the database."""
        return self.server.set(database=self.name)

    def empty(self) -> bool:
        """Empty the database, and return whether it is as it was at first."""
        with suppress(DBAPIError):
            return run(self.url, EMPTY, STATE) == self.state
        return False

    def drop(self) -> None:
        """Drop the database, and cut off who uses it."""
        run(self.server, f"DROP DATABASE {self.name} WITH (FORCE)")


def run(url: URL, *statements: str) -> tuple[object, ...]:
    """Run statements, and return the row that the last of them has, if any."""
    engine = create_engine(url, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        results = [connection.execute(text(statement)) for statement in statements]
        return tuple(results[-1].one()) if results[-1].returns_rows else ()


SPARE: list[Reusable] = []


@contextmanager
def reused_database(server: URL, name: str) -> Iterator[URL]:
    """An empty database, which another test may have had before; the name is for a new one."""
    database = next((it for it in SPARE[::-1] if it.server == server), None)
    if database:
        SPARE.remove(database)
    else:
        database = Reusable.create(server, name)
    try:
        yield database.url
    finally:
        if database.empty():
            SPARE.append(database)
        else:
            database.drop()


def forget(server: URL) -> None:
    """Leave the databases of a server that is about to end."""
    SPARE[:] = [it for it in SPARE if it.server != server]


@atexit.register
def drop_all() -> None:
    """Drop what is left of them."""
    while SPARE:
        SPARE.pop().drop()
