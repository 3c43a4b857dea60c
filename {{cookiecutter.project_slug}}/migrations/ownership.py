"""Which tables an app may create, alter and drop: its own, and no other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text

from .apps import App, TableKey, table_key
from .commands import hooks
from .order import apps_by_table, apps_of_database, apps_of_server, check_models
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
    all_apps: tuple[App, ...]
    default_schema: str | None
    connection: Connection | None = None

    @cached_property
    def naming_convention(self) -> Mapping[Any, Any]:
        """The naming convention of the models, which Alembic reads when it runs operations.

        Empty if extras/ finds that no name in the revisions depends on it.
        """
        app, script = next(iter(self.compared.items()))
        final = any(all(map(hook, files_of(script))) for hook in hooks("has_final_names"))
        return {} if final else app.metadata.naming_convention

    def __getitem__(self, index: Any) -> Any:
        return self._metadata[index]

    def __len__(self) -> int:
        return len(self._metadata)

    def include_name(self, name: str | None, kind: str, parents: Any) -> bool:
        """Return True for what autogenerate should reflect, which excludes other apps' tables."""
        if kind == "schema":
            return name is None or any(fnmatchcase(name, it) for it in self.schemas if it)
        return kind != "table" or self.owns(parents["schema_name"], str(name))

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

    def owns(self, schema: str | None, name: str) -> bool:
        """Return True if one of the compared apps owns the table."""
        return self.owner(schema, name) is not None

    def owner(self, schema: str | None, name: str) -> App | None:
        """Return the one of the compared apps that owns the table, or None."""
        key = self.key(schema, name)
        if app := self.apps_by_model.get(key):
            return app if app in self.compared else None
        if key in self._never_owned or name.startswith("alembic_version"):
            return None
        for app, created in self.created_by_revisions.items():
            if key in created:
                return app
        app = max(self.apps, key=lambda app: app.claim(*key))
        claimed = app in self.compared and app.claim(*key) and key not in self._created_elsewhere
        return app if claimed else None

    def key(self, schema: str | None, name: str) -> TableKey:
        """Return the key of a table or a type in the database."""
        return table_key(schema, name, self.default_schema)

    @cached_property
    def apps(self) -> tuple[App, ...]:
        """All apps of the database."""
        return apps_of_database(next(iter(self.compared)).database, self.all_apps)

    @cached_property
    def _metadata(self) -> list[MetaData]:
        for app in self.compared:
            check_models(app, self.all_apps)
        return list(dict.fromkeys(app.metadata for app in self.compared))

    @cached_property
    def _apps_of_server(self) -> tuple[App, ...]:
        return apps_of_server(next(iter(self.compared)).database, self.all_apps)

    @cached_property
    def apps_by_model(self) -> dict[TableKey, App]:
        """The app of each model's table, for all apps that may have tables in this database."""
        return apps_by_table(self._apps_of_server, self.default_schema)

    @cached_property
    def _never_owned(self) -> set[TableKey]:
        """Version tables and PostgreSQL's partitions. No app owns one that is in no model."""
        found = {
            self.key(app.version_table_schema or app.schema, app.version_table)
            for app in self._apps_of_server
        }
        if self.connection is not None and self.connection.dialect.name == "postgresql":
            found |= {self.key(*row) for row in self.connection.execute(PARTITIONS)}
        return found

    @cached_property
    def created_by_revisions(self) -> dict[App, set[TableKey]]:
        """The tables that the revisions of each compared app create."""
        return {
            app: {self.key(*key) for key in tables_created(files_of(script))}
            for app, script in self.compared.items()
        }

    @cached_property
    def _created_elsewhere(self) -> set[TableKey]:
        return {
            self.key(schema or app.schema, name)
            for app in self._apps_of_server
            if app not in self.compared
            for schema, name in tables_created(files_by_name(app))
        }

    @cached_property
    def schemas(self) -> set[str | None]:
        """The schemas, or patterns of schemas, that may have tables of the compared apps."""
        found: set[str | None] = set()
        for app, created in self.created_by_revisions.items():
            found |= {schema for schema, _ in [*app.model_tables, *created]}
            found |= {pattern.rpartition(".")[0] for pattern in app.tables}
        return found
