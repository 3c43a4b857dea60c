"""Which tables an app may create, alter and drop: its own, and no other."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, overload

from alembic.script import ScriptDirectory
from sqlalchemy import MetaData

from .apps import App, TableKey
from .order import check_models, neighbours, owners_of_models, table_key
from .revision_files import files_by_name, files_of, tables_created


class Ownership(Sequence[MetaData]):
    """Decides what autogenerate sees, when it compares one or more apps of a database.

    A table is an app's own if the app's models have it, its revisions created it, or its `tables`
    match. So the table of a deleted model is still known. It is not the app's own if another
    app's models have it: a model that moved does not become a DROP TABLE. No pattern of `tables`
    takes a table that another app's revisions created.

    This is the `target_metadata` as well: a sequence of the MetaData of these apps. They are
    imported when autogenerate asks for them, because other commands need no models.
    """

    def __init__(
        self,
        compared: Mapping[App, ScriptDirectory],
        apps: tuple[App, ...],
        default_schema: str | None,
    ) -> None:
        self.compared = compared
        self._all_apps = apps
        self._default_schema = default_schema

    @overload
    def __getitem__(self, index: int) -> MetaData: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[MetaData]: ...
    def __getitem__(self, index: int | slice) -> MetaData | Sequence[MetaData]:
        return self._metadata[index]

    def __len__(self) -> int:
        return len(self._metadata)

    def include_name(self, name: str | None, kind: str, parents: Any) -> bool:
        """Return True if autogenerate should reflect something; foreign tables cost nothing."""
        if kind == "schema":
            return name is None or name in self.schemas
        return kind != "table" or self.owns(parents["schema_name"], str(name))

    def include_object(
        self, item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any
    ) -> bool:
        """Return True if something should be compared: apps may share a MetaData."""
        return kind != "table" or self.owns(item.schema, str(name))

    def owns(self, schema: str | None, name: str) -> bool:
        """Return True if a table is one of these apps' own."""
        return self.owner(schema, name) is not None

    def owner(self, schema: str | None, name: str) -> App | None:
        """Return the one of these apps whose own a table is."""
        key = self.key(schema, name)
        if app := self.owners.get(key):
            return app if app in self.compared else None
        if key in self._version_tables or name.startswith("alembic_version"):
            return None
        for app, created in self.created.items():
            if key in created:
                return app
        for app in self.compared:
            if app.claims(*key) and key not in self._created_elsewhere:
                return app
        return None

    def key(self, schema: str | None, name: str) -> TableKey:
        """Return the key of a table or a type in the database."""
        return table_key(schema, name, self._default_schema)

    @cached_property
    def apps(self) -> tuple[App, ...]:
        """All apps of the database."""
        return neighbours(next(iter(self.compared)).database, self._all_apps)

    @cached_property
    def _metadata(self) -> list[MetaData]:
        for app in self.compared:
            check_models(app, self._all_apps)
        return list(dict.fromkeys(app.metadata for app in self.compared))

    @cached_property
    def owners(self) -> dict[TableKey, App]:
        """The tables of the models of all apps of the database, each with its app."""
        return owners_of_models(self.apps, self._default_schema)

    @cached_property
    def _version_tables(self) -> set[TableKey]:
        return {self.key(app.version_table_schema, app.version_table) for app in self.apps}

    @cached_property
    def created(self) -> dict[App, set[TableKey]]:
        """The tables that the revisions of these apps create."""
        return {
            app: {self.key(*key) for key in tables_created(files_of(script))}
            for app, script in self.compared.items()
        }

    @cached_property
    def _created_elsewhere(self) -> set[TableKey]:
        others = [app for app in self.apps if app not in self.compared]
        created = (tables_created(files_by_name(app)) for app in others)
        return {self.key(*key) for tables in created for key in tables}

    @cached_property
    def schemas(self) -> set[str | None]:
        """The schemas that the tables of these apps may be in."""
        found: set[str | None] = set()
        for app, created in self.created.items():
            found |= {schema for schema, _ in [*app.own_models, *created]}
            found |= {pattern.rpartition(".")[0] for pattern in app.tables}
        return found
