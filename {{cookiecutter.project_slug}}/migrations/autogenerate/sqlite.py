"""Most changes on SQLite copy the table, and Alembic copies only what SQLAlchemy reflects.

This file keeps the rest. It also creates indexes on expressions, such as lower(name) or id DESC.
"""

import re
import warnings
from copy import copy
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.ddl import base, sqlite
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy.schema import CreateIndex

from ..ownership import Ownership
from ..revision_files import files_of
from .enum_types import strings_in
from .sql import connection_of, escape_colons, quoted_string

COPIED = "Unnamed CHECK constraint on reflected|Skipped unsupported reflection of expression-based"
"""Warnings of Alembic and SQLAlchemy about losses that do not happen here."""

NOT_SAID = re.compile(
    r"""("[^"]*"|`[^`]*`|\[[^]]*\])|--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'""", re.DOTALL
)
"""Comments and strings in SQL; the group matches quoted names."""

INDEXES = """
    SELECT name, tbl_name, sql,
           EXISTS (SELECT 1 FROM pragma_index_info(sqlite_master.name) AS i WHERE i.name IS NULL)
    FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
"""
"""Select indexes, and whether they have expressions, which SQLAlchemy does not reflect."""


class SQLiteImpl(sqlite.SQLiteImpl):
    """Alembic's operations on SQLite. Alembic uses this class, the last that names the dialect.

    A batch calls the methods in this order. It passes its private `ApplyBatchImpl`, the only way
    to reach a copy before it is created.
    """

    __dialect__ = "sqlite"

    connection: sa.Connection
    copying: Any = None
    after_copy: list[str]

    def start_migrations(self) -> None:
        """Silence warnings about losses that do not happen here; env.py restores them."""
        warnings.filterwarnings("ignore", COPIED)

    def correct_for_autogen_constraints(
        self, _: Any, existing: set[sa.Index], __: Any, wanted: set[sa.Index]
    ) -> None:
        """Leave indexes on expressions to `compare_expression_indexes`."""
        names = {index.name for index in wanted if has_expressions(index)}
        for indexes in (existing, wanted):
            indexes -= {index for index in indexes if index.name in names}

    def autogen_column_reflect(
        self, inspector: sa.Inspector, table: sa.Table, column_info: dict[str, Any]
    ) -> None:
        """Escape colons in a default, so that they do not become parameters."""
        super().autogen_column_reflect(inspector, table, column_info)
        if default := column_info.get("default"):
            column_info["default"] = escape_colons(default)

    def prep_table_for_batch(self, batch_impl: Any, table: sa.Table) -> None:
        """Give a copy what Alembic did not reflect of its original; the copy is created next."""
        self.copying, new = batch_impl, batch_impl.new_table
        for key, column in new.columns.items():
            if column.computed is not None:
                batch_impl.column_transfers[key].pop("expr", None)  # it takes no values
            if key in table.columns and column.name not in [key, *table.columns.keys()]:
                # This also renames the column in indexes, triggers and views.
                self.execute(base.ColumnName(table.name, key, column.name, schema=table.schema))
                table.columns[key].name = column.name
        stated = any(isinstance(it, sa.CheckConstraint) for it in batch_impl.table_args)
        keep_checks(self.connection, table, new, unnamed=not stated)
        schema = self.dialect.identifier_preparer.quote(table.schema or "main")
        rows = self.connection.exec_driver_sql(
            f"SELECT type, name, sql FROM {schema}.sqlite_master"
            " WHERE sql IS NOT NULL AND lower(tbl_name) = lower(?) ORDER BY rowid",
            (table.name,),
        )
        reflected = {str(index.name) for index in table.indexes}
        self.after_copy = []
        for kind, name, sql in rows.all():
            if kind == "table":
                keep_clauses(new, sql)
            elif kind == "trigger" or name not in reflected or batch_impl.indexes.pop(name, None):
                self.after_copy.append(escape_colons(sql))

    def drop_table(self, table: sa.Table, **options: Any) -> None:
        """Drop a table unless its copy lost rows; let AUTOINCREMENT go on counting in the copy."""
        if self.copying and table is self.copying.table:
            new, count = self.copying.new_table, sa.select(sa.func.count())
            rows = {self.connection.scalar(count.select_from(it)) for it in (table, new)}
            if len(rows) > 1:
                raise CommandError(
                    f"a copy of {table.name} would lose rows, because of ON CONFLICT in a new"
                    " constraint; first change or delete the rows that violate it"
                )
            if new.dialect_options["sqlite"]["autoincrement"]:
                where = f"WHERE name = {quoted_string(table.name)}"
                last = self.connection.scalar(sa.text(f"SELECT seq FROM sqlite_sequence {where}"))
                self.after_copy.append(f"UPDATE sqlite_sequence SET seq = {last or 0} {where}")
        super().drop_table(table, **options)

    def rename_table(self, old_table_name: str, new_table_name: str, schema: Any = None) -> None:
        """Rename a table; a copy gets the indexes and triggers of its original."""
        if not self.copying:
            super().rename_table(old_table_name, new_table_name, schema)
            return
        self.copying = None
        self.execute("PRAGMA legacy_alter_table = ON")  # else it fails where a view reads the table
        super().rename_table(old_table_name, new_table_name, schema)
        for statement in ("PRAGMA legacy_alter_table = OFF", *self.after_copy):
            self.execute(statement)


def has_expressions(index: sa.Index) -> bool:
    """Return True if an index is on more than plain columns."""
    return not all(isinstance(expression, sa.Column) for expression in index.expressions)


def keep_clauses(new: sa.Table, sql: str) -> None:
    """Give a copy the clauses that its original's CREATE TABLE has for the remaining columns."""
    said = NOT_SAID.sub(r"\1 ", sql)
    kinds = sa.UniqueConstraint | sa.PrimaryKeyConstraint
    constraints = [it for it in new.constraints if isinstance(it, kinds)]
    for listed, action in re.findall(r"\(([^()]*)\) ON CONFLICT (\w+)", said, re.IGNORECASE):
        names = [name.strip(' "`[]\n\t') for name in listed.split(",")]
        for constraint in constraints:
            if [column.name for column in constraint.columns] == names:
                constraint.dialect_options["sqlite"]["on_conflict"] = action
    said = said.partition("(")[2].rpartition(")")[0]
    while "(" in said and (shorter := re.sub(r"\([^()]*\)", " ", said)) != said:
        said = shorter
    items = [" ".join(item.split()) for item in said.split(",")]
    for column in new.columns:
        start = re.compile(rf'["`[]?{re.escape(column.name)}["`\]]?(?!\w)', re.I)
        item = next(filter(start.match, items), "")
        collation = re.search(r"COLLATE \W?(\w+)", item, re.I)
        if collation and isinstance(column.type, sa.String) and not column.type.collation:
            kind = copy(column.type)
            kind.collation = collation[1]
            column.type = kind
        if re.search("AUTOINCREMENT", item, re.I):
            new.dialect_options["sqlite"]["autoincrement"] = True
        for rule in ("PRIMARY KEY", "NOT NULL", "UNIQUE"):
            if found := re.search(rf"{rule} ON CONFLICT (\w+)", item, re.I):
                option = f"on_conflict_{rule.lower().replace(' ', '_')}"
                column.dialect_options["sqlite"][option] = found[1]
        for key in column.foreign_keys:
            if key.constraint is not None and key.constraint.name is None:
                for event in ("DELETE", "UPDATE"):
                    if found := re.search(rf"ON {event} (SET \w+|NO ACTION|\w+)", item, re.I):
                        setattr(key.constraint, f"on{event.lower()}", found[1])


def keep_checks(connection: sa.Connection, table: sa.Table, new: sa.Table, unnamed: bool) -> None:
    """Give a copy the checks without a name; leave out those of dropped columns and old types."""
    names = {column.name for column in new.columns}
    gone = [rf"\b{re.escape(it.name)}\b" for it in table.columns if it.name not in names]
    of_columns = re.compile("|".join(gone) or "$^", re.IGNORECASE)
    for key, column in new.columns.items():
        if key in table.columns and repr(column.type) != repr(table.columns[key].type):
            gone.append(rf"^\W*{re.escape(column.name)}\W* IN \(")
    of_types = re.compile("|".join(gone) or "$^", re.IGNORECASE)
    for check in sa.inspect(connection).get_check_constraints(table.name, table.schema):
        condition = str(check["sqltext"])
        if check["name"] and of_columns.search(condition):
            new.constraints -= {it for it in new.constraints if it.name == check["name"]}
        elif not check["name"] and unnamed and not of_types.search(condition):
            new.append_constraint(sa.CheckConstraint(escape_colons(condition)))


def compare_expression_indexes(context: AutogenContext, upgrade: ops.UpgradeOps) -> None:
    """Create, replace and drop indexes on expressions, each outside a batch, which cannot do it.

    An index that is in no model is dropped if a revision names it. Plain Alembic does not see it.
    """
    ownership: Ownership = context.opts["target_metadata"]
    existing = {name: row for name, *row in connection_of(context).exec_driver_sql(INDEXES)}
    for app, script in ownership.compared.items():
        all_of_app = [index for table in app.model_tables.values() for index in table.indexes]
        wanted = {
            str(index.name): index
            for index in filter(has_expressions, all_of_app)
            if context.run_object_filters(index, index.name, "index", False, None)
        }
        named = {string for file in files_of(script) for string in strings_in(file)}
        unwanted = named.intersection(existing).difference(wanted)
        for name in sorted(wanted) + sorted(it for it in unwanted if existing[it][2]):
            table, before, _ = existing.get(name, ("", "", 0))
            index = wanted.get(name)
            after = "" if index is None else CreateIndex(index).compile(dialect=context.dialect)
            if "".join(before.split()) == "".join(str(after).split()):
                continue
            if before:
                drop = operation_of(name, table, before).reverse()
                upgrade.ops.insert(0, ops.ModifyTableOps(table, [drop]))
            if index is not None:
                create = ops.CreateIndexOp.from_index(index)
                upgrade.ops.append(ops.ModifyTableOps(create.table_name, [create]))


def operation_of(name: str, table: str, statement: str) -> ops.CreateIndexOp:
    """Return the operation for a CREATE INDEX statement."""
    found = re.search(r"\((.*?)\)\s*(?:WHERE\s(.*))?$", statement, re.DOTALL | re.IGNORECASE)
    expressions, where = found.groups() if found else (statement, None)
    options: Any = {"sqlite_where": sa.text(escape_colons(where))} if where else {}
    unique = bool(re.match(r"CREATE\s+UNIQUE", statement, re.IGNORECASE))
    columns = [sa.text(escape_colons(expressions))]
    return ops.CreateIndexOp(name, table, columns, unique=unique, **options)
