"""Most changes on SQLite copy the table, and Alembic copies only what SQLAlchemy reflects.

This file keeps the rest, or refuses to copy. It also creates indexes on expressions, such as
lower(name) or id DESC.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any

import sqlalchemy as sa
from alembic.ddl import base, sqlite
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy.schema import CreateTable

from .operation_order import alone
from .sql import escape_colons, quoted_string

COPIED = "Unnamed CHECK constraint on reflected|Skipped unsupported reflection of expression-based"
"""Warnings of Alembic and SQLAlchemy about losses that do not happen here."""

NOT_SAID = re.compile(
    r"""("[^"]*"|`[^`]*`|\[[^]]*\])|--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'""", re.DOTALL
)
"""Comments and strings in SQL; the group matches quoted names."""

CLAUSES = re.compile(
    r"\b(ON CONFLICT|ON (?:DELETE|UPDATE)(?! NO ACTION)|COLLATE|DEFERRABLE|STRICT|WITHOUT ROWID)\b",
    re.IGNORECASE,
)
"""What a CREATE TABLE may say and SQLAlchemy may not reflect."""


class SQLiteImpl(sqlite.SQLiteImpl):
    """Alembic's operations on SQLite. Alembic uses this class, the last that names the dialect.

    A batch calls the methods in this order. It passes its private `ApplyBatchImpl`, the only way
    to reach a copy before it is created.
    """

    __dialect__ = "sqlite"

    connection: sa.Connection
    copying = False
    after_copy: list[str]

    def start_migrations(self) -> None:
        """Silence warnings about losses that do not happen here; env.py restores them."""
        warnings.filterwarnings("ignore", COPIED)

    def correct_for_autogen_constraints(
        self, _: Any, existing: set[sa.Index], __: Any, wanted: set[sa.Index]
    ) -> None:
        """Leave out indexes on expressions if the database has one of the same name.

        SQLAlchemy does not reflect their expressions.
        """
        names = {index.name for index in wanted if has_expressions(index)}
        query = "SELECT name FROM sqlite_master WHERE type = 'index'"
        if names := names and names.intersection(self.connection.exec_driver_sql(query).scalars()):
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
        self.copying, new = True, batch_impl.new_table
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
                said = NOT_SAID.sub(r"\1 ", sql)
                keep_collations(said, table, new)
                self.refuse_losses(said, table, new, batch_impl.reflected)
                if "AUTOINCREMENT" in said.upper():
                    self.keep_counting(table, new)
            elif kind == "trigger" or name not in reflected or batch_impl.indexes.pop(name, None):
                self.after_copy.append(escape_colons(sql))

    def refuse_losses(self, said: str, table: sa.Table, new: sa.Table, reflected: bool) -> None:
        """Refuse a copy that would lose a clause, or rows because of a new ON CONFLICT."""

        def without_keys(table: sa.Table) -> Counter[str]:
            created = CreateTable(table, include_foreign_key_constraints=[])
            return clauses_in(str(created.compile(dialect=self.dialect)))

        before, known = clauses_in(said), without_keys(table)
        for key in table.foreign_key_constraints:
            known["ON DELETE"] += bool(key.ondelete)
            known["ON UPDATE"] += bool(key.onupdate)
            known["DEFERRABLE"] += key.deferrable is not None
        lost = sorted(before - known) if reflected else []
        if without_keys(new)["ON CONFLICT"] > before["ON CONFLICT"]:
            lost = ["rows because of a new ON CONFLICT"]
        if lost:
            raise CommandError(
                f"a copy of {table.name} may lose {lost[0]}; change the table with op.execute, or"
                " pass all of it to batch_alter_table(..., copy_from=sa.Table(...))"
            )

    def keep_counting(self, table: sa.Table, new: sa.Table) -> None:
        """Let AUTOINCREMENT go on counting in a copy, so that no number is used again."""
        new.dialect_options["sqlite"]["autoincrement"] = True
        where = f"WHERE name = {quoted_string(table.name)}"
        last = self.connection.scalar(sa.text(f"SELECT seq FROM sqlite_sequence {where}"))
        self.after_copy.append(f"UPDATE sqlite_sequence SET seq = {last or 0} {where}")

    def rename_table(self, old_table_name: str, new_table_name: str, schema: Any = None) -> None:
        """Rename a table; a copy gets the indexes and triggers of its original."""
        if not self.copying:
            super().rename_table(old_table_name, new_table_name, schema)
            return
        self.copying = False
        self.execute("PRAGMA legacy_alter_table = ON")  # else it fails where a view reads the table
        super().rename_table(old_table_name, new_table_name, schema)
        for statement in ("PRAGMA legacy_alter_table = OFF", *self.after_copy):
            self.execute(statement)


def clauses_in(sql: str) -> Counter[str]:
    """Return how often a CREATE TABLE has each clause that a copy may lose."""
    found = CLAUSES.findall(NOT_SAID.sub(" ", sql))
    return Counter(" ".join(clause.upper().split()) for clause in found)


def keep_collations(said: str, table: sa.Table, new: sa.Table) -> None:
    """Give the columns of a reflected table, and of its copy, their collations."""
    said = said.partition("(")[2].rpartition(")")[0]
    while (shorter := re.sub(r"\([^()]*\)", " ", said)) != said:
        said = shorter
    for column in table.columns:
        start = re.compile(rf'\s*["`[]?{re.escape(column.name)}["`\]]?(?!\w)', re.IGNORECASE)
        item = next(filter(start.match, said.split(",")), "")
        if collation := re.search(r"COLLATE\s+\W?(\w+)", item, re.IGNORECASE):
            for each in (column, new.columns.get(column.key)):
                if each is not None and isinstance(kind := copy(each.type), sa.String):
                    kind.collation = kind.collation or collation[1]
                    each.type = kind


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


def with_indexes_apart(
    operations: Iterable[ops.MigrateOperation],
) -> Iterator[ops.MigrateOperation]:
    """Yield operations with each index on expressions outside of copies, which cannot have it.

    Such an index is dropped before the other changes of its table, or created after them.
    """
    for change in operations:
        if not isinstance(change, ops.ModifyTableOps):
            yield change
            continue
        indexes = [op for op in change.ops if isinstance(op, ops.CreateIndexOp | ops.DropIndexOp)]
        apart = [op for op in indexes if has_expressions(op.to_index())]
        change.ops = [op for op in change.ops if op not in apart]
        yield from (alone(change, op) for op in apart if isinstance(op, ops.DropIndexOp))
        yield change
        yield from (alone(change, op) for op in apart if isinstance(op, ops.CreateIndexOp))


def has_expressions(index: sa.Index) -> bool:
    """Return True if an index is on more than plain columns."""
    return not all(isinstance(expression, sa.Column) for expression in index.expressions)
