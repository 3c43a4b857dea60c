"""The database servers that tests use: the local ones, or those of the environment.

TEST_POSTGRESQL_URL and TEST_MYSQL_URL name a server and a user who may create databases.
Where no server answers, its tests are skipped, or fail if REQUIRE_DATABASES is set.
"newest postgresql" is a server that the tests start: see private_servers.py.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import URL, Engine, create_engine, inspect, make_url, pool, text
from sqlalchemy.dialects.postgresql.base import PGInspector
from sqlalchemy.exc import DBAPIError

from reused import reused_database

SERVERS = {
    "postgresql": os.environ.get(
        "TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    "mysql": os.environ.get("TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1:3306/mysql"),
}


@dataclass(frozen=True)
class Database:
    """A database that a test has for itself."""

    url: URL
    kind: str = ""
    """What `new_database` was asked for."""

    @property
    def text(self) -> str:
        """The URL with its password, as for DATABASE_URL."""
        return self.url.render_as_string(hide_password=False)

    def with_driver(self, driver: str) -> "Database":
        """The same database, through another driver, such as postgresql+asyncpg."""
        return replace(self, url=self.url.set(drivername=driver))

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """An engine without a pool."""
        engine = engine_for(self.url)
        yield engine
        engine.dispose()

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement in a transaction, and return its rows if it has any."""
        with self.engine() as engine, engine.begin() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    @contextmanager
    def reader(self, password: str) -> Iterator[URL]:
        """The URL for a user who may read in the database, and nothing else."""
        name = f"reader_{self.url.database}"
        if self.url.get_backend_name() == "postgresql":
            self.query(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            self.query("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        else:
            self.query(f"CREATE USER {name} IDENTIFIED BY '{password}'")
            self.query(f"GRANT SELECT ON {self.url.database}.* TO {name}")
        try:
            yield self.url.set(username=name, password=password)
        finally:
            if self.url.get_backend_name() == "postgresql":
                self.query(f"DROP OWNED BY {name}")
            self.query(f"DROP USER {name}")

    def tables(self, schema: str | None = None) -> set[str]:
        """The names of the tables."""
        with self.engine() as engine, engine.connect() as connection:
            return set(inspect(connection).get_table_names(schema))

    def schema(self, schema: str | None = None) -> dict[str, list[str]]:
        """What its tables consist of, to be compared; the order of columns does not count."""
        found: dict[str, list[str]] = {}
        with self.engine() as engine, engine.connect() as connection:
            inspector = inspect(connection)
            parts = ["columns", "pk_constraint", "foreign_keys", "indexes"]
            parts += ["unique_constraints", "check_constraints"]
            if engine.dialect.supports_comments:
                parts.append("table_comment")
            for part in parts:
                for (_, table), items in getattr(inspector, f"get_multi_{part}")(schema).items():
                    found[f"{table} {part}"] = sorted(
                        map(repr, items if isinstance(items, list) else [items])
                    )
            if isinstance(inspector, PGInspector):
                found["enums"] = sorted(map(str, inspector.get_enums(schema)))
        return found

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """The rows of every table, sorted."""
        with self.engine() as engine, engine.connect() as connection:
            return {
                name: sorted(map(tuple, connection.execute(text(f"SELECT * FROM {name}"))), key=str)
                for name in inspect(connection).get_table_names()
            }


def engine_for(url: URL) -> Engine:
    """An engine without a pool.

    PyMySQL reads all certificates of this machine for each connection, which takes ten times as
    long as all else; unless it is to have none. A URL with options says itself what it needs.
    """
    plain = url.drivername == "mysql+pymysql" and not url.query
    arguments = {"ssl_disabled": True} if plain else {}
    return create_engine(url, poolclass=pool.NullPool, connect_args=arguments)


@cache
def why_not(kind: str) -> str | None:
    """Why no server of a kind can be used, or None if one answers."""
    try:
        with engine_for(make_url(SERVERS[kind])).connect():
            return None
    except DBAPIError as error:
        return f"no {kind} server answers: {' '.join(str(error.orig).split())}"


def cannot_run(why: str) -> NoReturn:
    """Skip a test that has no server, or let it fail if REQUIRE_DATABASES is set."""
    if os.environ.get("REQUIRE_DATABASES"):
        pytest.fail(why)
    pytest.skip(why)


@contextmanager
def new_database(kind: str, folder: Path | None = None) -> Iterator[Database]:
    """An empty database on the server of a kind, which is gone or empty afterwards.

    One of SQLite is a file in the folder, and is left there.
    """
    if kind == "sqlite":
        yield Database(make_url(f"sqlite:///{folder}/{uuid.uuid4().hex}.db"))
        return
    if kind == "newest postgresql":
        from private_servers import newest_postgresql  # which imports from here

        server = Database(newest_postgresql(), kind)
    elif problem := why_not(kind):
        cannot_run(problem)
    else:
        server = Database(make_url(SERVERS[kind]), kind)
    if server.url.get_backend_name() == "postgresql":
        with reused_database(server.url, new_name()) as url:
            yield replace(server, url=url)
        return
    with database_on(server) as database:
        yield database


@contextmanager
def database_on(server: Database) -> Iterator[Database]:
    """An empty database on a server, which is gone afterwards."""
    name = new_name()
    server.query(f"CREATE DATABASE {name}")
    try:
        yield replace(server, url=server.url.set(database=name))
    finally:
        server.query(f"DROP DATABASE {name}")


def new_name() -> str:
    """A name that no other database has."""
    return f"test_{uuid.uuid4().hex[:16]}"
