"""Which tables an app may create, alter and drop: its own, and no other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, text

from .apps import App, TableKey, table_key
from .commands import hooks
from .revision_files import files_by_name, files_of, tables_created

PARTITIONS = text("""
    SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relispartition
""")


@dataclass(eq=False)
class Ownership(Sequence[MetaData]):
    """Decides what autogenerate sees when it compares one or more apps of a database.

    An app owns a table if its models have it, its revisions created it, or its `tables` match.
    So autogenerate still finds the table of a deleted model. An app never owns a table of another
    app's models, so a model that moved does not become a DROP TABLE. A pattern of `tables` never
    matches a table that another app's revisions created.

    This object is also Alembic's `target_metadata`, a list of MetaData. It imports the models on
    first access, because only autogenerate needs them.
    """

    compared: Mapping[App, ScriptDirectory]
    default_schema: str | None
    connection: Connection | None = None
    _created: dict[App, set[TableKey]] = field(default_factory=dict, init=False)

    @property
    def _app(self) -> App:
        """One of the compared apps, which have the same URL."""
        return next(iter(self.compared))

    @cached_property
    def naming_convention(self) -> Mapping[Any, Any]:
        """The naming convention of the models, which Alembic reads when it runs operations.

        Empty if extras/ finds that no name in the revisions depends on it.
        """
        files = files_of(self.compared[self._app])
        final = any(all(map(hook, files)) for hook in hooks("has_final_names"))
        return {} if final else self._app.metadata.naming_convention

    def __getitem__(self, index: Any) -> Any:
        return self._metadata[index]

    def __len__(self) -> int:
        return len(self._metadata)

    def include_name(self, name: str | None, kind: str, parents: Any) -> bool:
        """Return True for what autogenerate should reflect, which excludes other apps' tables."""
        if kind == "schema":
            return name is None or any(fnmatchcase(name, it) for it in self.schemas if it)
        return kind != "table" or self.owner(parents["schema_name"], str(name)) is not None

    def include_object(
        self, item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any
    ) -> bool:
        """Return True for what belongs to the compared apps, as apps may share a MetaData."""
        if kind == "table" and item.info.get("is_view"):
            return False
        parent = getattr(item, "parent", item)  # of a constraint: its table, or its column
        table = getattr(parent, "table", parent)
        app = self.owner(table.schema, table.name)
        return bool(app and app.include_object(item, name, kind, reflected, compare_to))

    def owner(self, schema: str | None, name: str) -> App | None:
        """Return the one of the compared apps that owns the table, or None."""
        key = self.key(schema, name)
        if app := self.apps_by_model.get(key):
            return app if app in self.compared else None
        if key in self._never_owned or name.startswith("alembic_version"):
            return None
        for app in self.compared:
            if key in self.created_by(app):
                return app
        app = max(self.apps, key=lambda it: it.claim(*key))
        claimed = app in self.compared and app.claim(*key)
        created = claimed and any(key in self.created_by(it) for it in self._apps_of_server)
        return app if claimed and not created else None

    def key(self, schema: str | None, name: str) -> TableKey:
        """Return the key of a table or a type in the database."""
        return table_key(schema, name, self.default_schema)

    def key_for(self, app: App, schema: str | None, name: str) -> TableKey:
        """Return the key of what an app names. If it names no schema, it means its default."""
        # This connection may lead to another place than the URL of the compared apps.
        default = self.default_schema if app.schema == self._app.schema else app.schema
        return self.key(schema or default, name)

    def created_by(self, app: App) -> set[TableKey]:
        """Return the tables that an app's revisions create. Those of other apps are not loaded."""
        if app not in self._created:
            script = self.compared.get(app)
            tables = tables_created(files_of(script) if script else files_by_name(app))
            self._created[app] = {self.key_for(app, *table) for table in tables}
        return self._created[app]

    @property
    def apps(self) -> tuple[App, ...]:
        """All apps of the database."""
        return self._app.neighbours

    @cached_property
    def apps_by_model(self) -> dict[TableKey, App]:
        """The app of each model's table. Raises CommandError if two apps have the same table."""
        for app in self._apps_of_server:
            _ = app.metadata  # all imports first: apps may share a MetaData
        found: dict[TableKey, App] = {}
        for app in self._apps_of_server:
            for schema, name in app.model_tables:
                key = self.key_for(app, schema, name)
                if key in found:
                    raise CommandError(
                        f"both {found[key].name} and {app.name} have the table {name}; set"
                        f" `tables` in their sections of {app.ini}, so that only one of them has it"
                    )
                found[key] = app
        return found

    @cached_property
    def _apps_of_server(self) -> list[App]:
        """The apps of the database, or on MySQL of its server, where each schema is a database."""
        place, tenants = self._app.database, self._app.tenants
        shared = place[:-1] if place[0] == "mysql" else place
        near = [it for it in self._app.apps.values() if it.tenants == tenants]
        return [it for it in near if it.database[: len(shared)] == shared]

    @cached_property
    def _metadata(self) -> list[MetaData]:
        """The MetaData of the compared apps. Raises CommandError if a table is in no app."""
        owners = self.apps_by_model
        for app in self.compared:
            for table in app.metadata.tables.values():
                key = (table.schema, table.name)
                owned = self.key(*key) in owners or any(
                    it.model_tables.get(key) is table for it in app.apps.values()
                )
                if not owned and not table.info.get("is_view"):
                    raise CommandError(
                        f"{app.name}: no section of {app.ini} has the table {table.name} of"
                        f" {app.models}; add its name to `tables` in one of them"
                    )
        return list(dict.fromkeys(app.metadata for app in self.compared))

    @cached_property
    def _never_owned(self) -> set[TableKey]:
        """Version tables and PostgreSQL's partitions. No app owns one that is in no model."""
        found = {
            self.key_for(app, app.version_table_schema, app.version_table)
            for app in self._apps_of_server
        }
        if self.connection is not None and self.connection.dialect.name == "postgresql":
            found |= {self.key(*row) for row in self.connection.execute(PARTITIONS)}
        return found

    @cached_property
    def schemas(self) -> set[str | None]:
        """The schemas, or patterns of schemas, that may have tables of the compared apps."""
        found: set[str | None] = set()
        for app in self.compared:
            found |= {schema for schema, _ in [*app.model_tables, *self.created_by(app)]}
            found |= {pattern.rpartition(".")[0] for pattern in app.tables}
        return found
