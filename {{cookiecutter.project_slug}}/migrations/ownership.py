"""Which tables an app may create, alter and drop: its own, and no other."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, overload

from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, ForeignKey, MetaData, Table, inspect
from sqlalchemy.exc import NoReferencedTableError

from .apps import App, TableKey


class Ownership(Sequence[MetaData]):
    """Decides what Alembic's autogenerate gets to see, for one or more apps of a database.

    A table is an app's own if its models have it, its revisions created it, or its `tables`
    patterns match; so that the table of a deleted model is still known. It is not if another
    app's models have it, so that a model which moved does not become a DROP TABLE; and what
    another app's revisions created, no pattern takes away.

    This is also the `target_metadata`: a sequence of every MetaData of these apps, imported
    when autogenerate first asks for it, because other commands need no models.
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
        """Whether to look at something in the database: asked before it is reflected."""
        if kind == "schema":
            return name is None or name in self._schemas
        return kind != "table" or self.owns(parents["schema_name"], str(name))

    def include_object(
        self, item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any
    ) -> bool:
        """Whether to compare something: the tables of a shared MetaData are not all the app's."""
        return kind != "table" or self.owns(item.schema, str(name))

    def owns(self, schema: str | None, name: str) -> bool:
        """Whether a table is one of these apps' own."""
        return self.owner(schema, name) is not None

    def owner(self, schema: str | None, name: str) -> App | None:
        """The one of these apps whose own a table is."""
        key = self.key(schema, name)
        if app := self._owners.get(key):
            return app if app in self.compared else None
        if key in self._version_tables or name.startswith("alembic_version"):
            return None
        for app, created in self._created.items():
            if key in created:
                return app
        for app in self.compared:
            if app.claims(*key) and key not in self._created_elsewhere:
                return app
        return None

    def is_of_an_app(self, schema: str | None, name: str) -> bool:
        """Whether a table is one of any app of the database."""
        claimed = any(app.claims(schema, name) for app in self.apps)
        return claimed or self.key(schema, name) in self._owners or self.owns(schema, name)

    def key(self, schema: str | None, name: str) -> TableKey:
        """The key of a table or a type in the database."""
        return table_key(schema, name, self._default_schema)

    def tables_in(self, connection: Connection) -> list[TableKey]:
        """The apps' own tables that a database has."""
        found: set[TableKey] = set()
        for schema in {name or None for name in self._schemas}:
            tables = inspect(connection).get_table_names(schema)
            found |= {self.key(schema, table) for table in tables if self.owns(schema, table)}
        return sorted(found, key=str)

    def moved(self) -> Iterator[tuple[App, App, str]]:
        """The tables that one app's revisions create, and another's models have: from, to, name."""
        for app, created in self._created.items():
            for key in sorted(created & self._owners.keys(), key=str):
                if self._owners[key] != app:
                    yield app, self._owners[key], key[1]

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
    def _owners(self) -> dict[TableKey, App]:
        return owners(self.apps, self._default_schema)

    @cached_property
    def _version_tables(self) -> set[TableKey]:
        return {self.key(app.version_table_schema, app.version_table) for app in self.apps}

    @cached_property
    def _created(self) -> dict[App, set[TableKey]]:
        return {
            app: {self.key(*key) for key in tables_of_revisions(revision_files(script))}
            for app, script in self.compared.items()
        }

    @cached_property
    def _created_elsewhere(self) -> set[TableKey]:
        others = [app for app in self.apps if app not in self.compared]
        created = (tables_of_revisions(files_by_name(app)) for app in others)
        return {self.key(*key) for tables in created for key in tables}

    @cached_property
    def _schemas(self) -> set[str | None]:
        found: set[str | None] = set()
        for app, created in self._created.items():
            found |= {schema for schema, _ in [*app.own_models, *created]}
            found |= {pattern.rpartition(".")[0] for pattern in app.tables}
        return found


def oldest_first(script: ScriptDirectory) -> list[Script]:
    """An app's revisions, each behind those that it builds on."""
    return list(script.walk_revisions())[::-1]


def revision_files(script: ScriptDirectory) -> list[Path]:
    """An app's revision files, oldest first."""
    return [Path(revision.path) for revision in oldest_first(script)]


def files_by_name(app: App) -> list[Path]:
    """An app's revision files by their names, for an app whose revisions need not be loaded.

    Also from folders below: Alembic reads those with `recursive_version_locations`.
    """
    return sorted(file for folder in app.folders for file in folder.rglob("*.py"))


def tables_of_revisions(files: Iterable[Path]) -> set[TableKey]:
    """The tables that revision files leave behind, read from their calls, oldest file first.

    Nothing is run. Only `create_table`, `rename_table` and `drop_table` with literal names and
    schemas are understood; for anything else, a section has `tables`.
    """
    tables: set[TableKey] = set()
    for file in files:
        for operation, names, schema in _table_calls(file):
            if operation == "create_table":
                tables.add((schema, names[0]))
            elif operation == "drop_table":
                tables.discard((schema, names[0]))
            elif len(names) > 1:  # it may have come from another app
                tables.discard((schema, names[0]))
                tables.add((schema, names[1]))
    return tables


@cache
def parsed(file: Path) -> ast.Module:
    """A revision file's code."""
    return ast.parse(file.read_bytes())


@cache
def upgrade_calls(file: Path) -> list[ast.Call]:
    """The calls in a revision file in their order, but for those of its `downgrade`."""
    parts = [
        part
        for part in parsed(file).body
        if not (isinstance(part, ast.FunctionDef) and part.name.startswith("downgrade"))
    ]
    calls = [node for part in parts for node in ast.walk(part) if isinstance(node, ast.Call)]
    return sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def literal(node: ast.expr | None) -> str | None:
    """The text that stands in a file as such, or None for whatever else there is."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def refers_to(file: Path, table: str) -> bool:
    """Whether a revision file alters a table or makes a foreign key to it.

    The table is named with its schema if it has one.
    """
    makers = ("ForeignKey", "ForeignKeyConstraint", "create_foreign_key", "batch_alter_table")
    calls = [call for call in upgrade_calls(file) if getattr(call.func, "attr", "") in makers]
    nodes = [node for call in calls for node in ast.walk(call) if isinstance(node, ast.expr)]
    return any(f"{literal(node)}.".startswith(f"{table}.") for node in nodes)


def is_literal(node: ast.expr | None) -> bool:
    """Whether a text, or None, stands in a file as such, or nothing at all."""
    return node is None or isinstance(node, ast.Constant)


def _table_calls(file: Path) -> Iterator[tuple[str, list[str], str | None]]:
    """The operations on whole tables of a revision file."""
    for call in upgrade_calls(file):
        function = call.func
        if not isinstance(function, ast.Attribute):
            continue
        if function.attr not in ("create_table", "rename_table", "drop_table"):
            continue
        given = {word.arg: word.value for word in call.keywords}
        if None in given or not is_literal(given.get("schema")):
            continue  # to take it for one in another schema could drop a stranger's
        first = [given[word] for word in ("table_name", "old_table_name") if word in given]
        second = [given[word] for word in ("new_table_name",) if word in given]
        wanted = 2 if function.attr == "rename_table" else 1
        names = [literal(node) for node in [*call.args[:wanted], *first, *second]]
        if names and all(names):
            yield function.attr, [str(name) for name in names], literal(given.get("schema"))


def table_key(schema: str | None, name: str, default_schema: str | None) -> TableKey:
    """The key of a table or a type; whoever names it may leave out the default schema."""
    return (None if schema == default_schema else schema, name)


@cache
def neighbours(database: tuple[str, ...], apps: tuple[App, ...]) -> tuple[App, ...]:
    """The apps of a database."""
    return tuple(app for app in apps if app.database == database)


@cache
def owners(apps: tuple[App, ...], default_schema: str | None = None) -> dict[TableKey, App]:
    """Which of the apps of a database has which table, by their models."""
    for app in apps:
        _ = app.metadata  # before the first own_models: apps may share a MetaData
    found: dict[TableKey, App] = {}
    for app in apps:
        for schema, name in app.own_models:
            key = table_key(schema, name, default_schema)
            if key in found:
                raise CommandError(
                    f"both {found[key].name} and {app.name} have the table {name}; set `tables`"
                    " in their sections of alembic.ini, so that only one of them has it"
                )
            found[key] = app
    return found


@cache
def check_models(app: App, apps: tuple[App, ...]) -> None:
    """Refuse models that could not be migrated; upgrades go in the order of the sections."""
    claimed = owners(neighbours(app.database, apps))
    for table in app.metadata.tables.values():
        key = (table.schema, table.name)
        if key not in claimed and not any(owner(table, [other]) for other in apps):
            raise CommandError(
                f"{app.name}: no section of alembic.ini has the table {table.name} of {app.models};"
                " add its name to the `tables` of one of them"
            )
    order = [other.name for other in apps]
    for table, referred, other in references(app, apps):
        line = f"{app.name}: {table.name} refers to {referred.name} of {other.name}"
        if other.database != app.database:
            raise CommandError(f"{line}, which is in another database")
        if order.index(other.name) > order.index(app.name):
            if any(it.name == app.name for _, _, it in references(other, apps)):
                raise CommandError(
                    f"{line}, which refers to {app.name} as well: make one app of both, or take"
                    " the foreign keys of one out"
                )
            raise CommandError(
                f"{line}, a later section; move [{other.name}] before [{app.name}] in alembic.ini"
            )


def references(app: App, apps: tuple[App, ...]) -> Iterator[tuple[Table, Table, App]]:
    """The foreign keys to other apps: the app's table, the one it refers to, and whose that is."""
    near = neighbours(app.database, apps)
    for table in app.own_models.values():
        for foreign_key in table.foreign_keys:
            referred = referred_table(app, foreign_key)
            other = owner(referred, near) or owner(referred, apps)
            if other is not None and other.name != app.name:
                yield table, referred, other


def referred_table(app: App, key: ForeignKey) -> Table:
    """The table that a foreign key refers to."""
    try:
        return key.column.table
    except NoReferencedTableError:
        raise CommandError(
            f"{app.name}: {key.parent} refers to {key.target_fullname}, and no model of {app.name}"
            " has that table; for another app's, write the column itself: ForeignKey(Model.id)"
        ) from None


def owner(table: Table, apps: Iterable[App]) -> App | None:
    """The app whose models have a table."""
    key = (table.schema, table.name)
    return next((app for app in apps if app.own_models.get(key) is table), None)
