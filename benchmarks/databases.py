"""A private database for each contender, and what is in it afterwards."""

import os
import re
import sqlite3
import subprocess
from pathlib import Path

SERVER = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres")

EXECUTE_SCRIPT = """
import sqlite3, sys
sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())
"""

SQLITE_CONTENT = """
SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name LIKE 'app%'
UNION ALL SELECT count(*) FROM sqlite_schema AS t, pragma_table_info(t.name)
WHERE t.type = 'table' AND t.name LIKE 'app%'
UNION ALL SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name LIKE 'ix%'
UNION ALL SELECT count(*) FROM sqlite_schema AS t, pragma_foreign_key_list(t.name)
"""
POSTGRESQL_CONTENT = """
SELECT count(*) FROM pg_tables WHERE tablename LIKE 'app%'
UNION ALL SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'
    AND table_name LIKE 'app%'
UNION ALL SELECT count(*) FROM pg_indexes WHERE tablename LIKE 'app%' AND indexname LIKE 'ix%'
UNION ALL SELECT count(*) FROM pg_constraint WHERE contype = 'f'
"""


class SQLite:
    """A file; its own client is the sqlite3 module."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.db"
        self.url = f"sqlite:///{self.path}"

    def create(self) -> None:
        """Begin with an empty database."""
        self.path.unlink(missing_ok=True)

    drop = create

    def client(self, script: Path) -> list[str]:
        """The command that runs an SQL script."""
        return ["python", "-c", EXECUTE_SCRIPT, str(self.path), str(script)]

    def content(self) -> list[int]:
        """The number of the apps' tables, columns, indexes and foreign keys."""
        connection = sqlite3.connect(self.path)
        rows = connection.execute(SQLITE_CONTENT).fetchall()
        connection.close()
        return [number for (number,) in rows]


class PostgreSQL:
    """A database on the server; its own client is psql."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = re.sub(r"\W", "_", f"benchmark_{os.getpid()}_{name}".lower())
        _, _, address = SERVER.partition("://")
        self.server = f"postgresql://{address}"
        self.database = f"{self.server.rpartition('/')[0]}/{self.name}"
        self.url = self.database.replace("://", "+psycopg://", 1)

    def create(self) -> None:
        """Begin with an empty database."""
        self.drop()
        psql(self.server, f"CREATE DATABASE {self.name}")

    def drop(self) -> None:
        """Remove the database."""
        psql(self.server, f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")

    def client(self, script: Path) -> list[str]:
        """The command that runs an SQL script."""
        return ["psql", "--quiet", "--set", "ON_ERROR_STOP=1", "-f", str(script), self.database]

    def content(self) -> list[int]:
        """The number of the apps' tables, columns, indexes and foreign keys."""
        return [int(line) for line in psql(self.database, POSTGRESQL_CONTENT).split()]


def psql(url: str, statement: str) -> str:
    """Run a statement and return its rows."""
    command = ["psql", "--quiet", "--no-align", "--tuples-only", "-c", statement, url]
    quiet = {**os.environ, "PGOPTIONS": "-c client_min_messages=warning"}
    return subprocess.run(command, env=quiet, stdout=subprocess.PIPE, text=True, check=True).stdout


DATABASES: dict[str, type[SQLite | PostgreSQL]] = {"SQLite": SQLite, "PostgreSQL": PostgreSQL}
