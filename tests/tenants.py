"""Projects whose apps are there for many tenants, on every kind of database."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from project import Project, bake
from servers import SERVERS, Database, new_database

KINDS = ("sqlite", "postgresql", "schemas", "mysql")
"""A database for each tenant on each kind of server, and a schema for each in PostgreSQL."""


@dataclass
class Tenants:
    """A project with a file of tenants, and where they are."""

    project: Project
    base: Database
    """On servers, the name of every tenant's database begins with the name of this one."""
    kind: str

    def name(self, *names: str) -> None:
        """Write the file of tenants."""
        (self.project.path / "tenants.txt").write_text("".join(f"{name}\n" for name in names))

    def make(self, *names: str) -> None:
        """Write the file of tenants, and create empty databases for them."""
        self.name(*names)
        if self.kind in ("postgresql", "mysql"):
            start = f"CREATE DATABASE {self.base.url.database}"
            outside_transaction(self.kind, [f"{start}_{name}" for name in names])

    def of(self, tenant: str) -> Database:
        """The database of a tenant."""
        if self.kind == "schemas":
            options = {"options": f"-csearch_path=s_{tenant}"}
            return Database(self.base.url.update_query_dict(options))
        return Database(make_url(self.url.replace("{tenant}", tenant)))

    @property
    def url(self) -> str:
        """The `tenant_url`."""
        if self.kind == "sqlite":
            return f"sqlite:///{self.project.path}/{{tenant}}.db"
        return self.base.text.replace(str(self.base.url.database), "{0}_{{tenant}}").format(
            self.base.url.database
        )

    def all_alike(self, names: Iterable[str]) -> bool:
        """Whether the databases of these tenants have the same tables, and the same rows there."""
        [first, *others] = [(self.of(name).schema(), self.of(name).rows()) for name in names]
        return all(other == first for other in others)


@contextmanager
def with_tenants(kind: str, folder: Path, **answers: object) -> Iterator[Tenants]:
    """A project of which both apps are there for tenants; in the end, their databases are gone."""
    project = bake(folder, tenants=True, **answers)
    server = {"schemas": "postgresql"}.get(kind, kind)
    with new_database(server, folder) as base:
        tenants = Tenants(project, base, kind)
        project.remove_line(project.path / "alembic.ini", "sqlalchemy.url")
        project.set_ini("DEFAULT", "tenants", "tenants.txt")
        if kind == "schemas":
            project.set_ini("DEFAULT", "tenant_schema", "s_{tenant}")
            project.environment["DATABASE_URL"] = base.text
        else:
            project.set_ini("DEFAULT", "tenant_url", tenants.url.replace("%", "%%"))
        try:
            yield tenants
        finally:
            if server in SERVERS and kind != "schemas":
                drop_databases(server, f"{base.url.database}_")


def drop_databases(kind: str, start: str) -> None:
    """Drop the databases whose names begin so."""
    server = Database(make_url(SERVERS[kind]))
    catalog = "datname FROM pg_database"
    if kind == "mysql":
        catalog = "schema_name FROM information_schema.schemata"
    names = [str(name) for (name,) in server.query(f"SELECT {catalog}")]
    force = " WITH (FORCE)" if kind == "postgresql" else ""
    drops = [f"DROP DATABASE {name}{force}" for name in names if name.startswith(start)]
    outside_transaction(kind, drops)


def outside_transaction(kind: str, statements: Iterable[str]) -> None:
    """Run statements on a server for which there may be no transaction."""
    with Database(make_url(SERVERS[kind])).engine() as engine, engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in statements:
            connection.exec_driver_sql(statement)
