"""An Alembic plug-in that corrects autogenerate and lets it find more.

Without this folder, autogenerate compares each app's own tables as plain Alembic does. The list
says what you lose with each file. A file imports only from files above it.

sql, column_types       helpers for names, expressions and types in a database's SQL
mysql, server_defaults  types and defaults whose changes Alembic misses, or finds by mistake
indexes                 PostgreSQL's indexes, whose expressions the server rewrites
limits                  an error for each change that autogenerate cannot write
enum_types              creating, altering and dropping PostgreSQL's enum types
domains_and_sequences   creating PostgreSQL's domains and sequences
column_changes          the steps that PostgreSQL needs for a new type or identity
sqlite                  indexes on expressions, and what SQLite loses when it copies a table
separate_keys           foreign keys of new tables that refer to each other
constraints             changed checks, NOT NULL, and foreign keys that only look changed
mysql_keys              the indexes that MySQL creates for foreign keys
operation_order         an order of operations that every database accepts
rendering               code for types and defaults that Alembic renders wrongly
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult

from . import (
    column_changes,
    constraints,
    domains_and_sequences,
    enum_types,
    indexes,
    limits,
    mysql,
    mysql_keys,
    operation_order,
    rendering,
    server_defaults,
    sqlite,
)

OPTIONS: dict[str, Any] = {
    "autogenerate_plugins": [
        "alembic.autogenerate.*",
        "alembic.ext.checkconstraint_byname",
        __name__,
    ],
    "compare_type": column_changes.compare_type,
    "process_revision_directives": operation_order.sort_operations,
    "render_item": rendering.render_item,
}
"""The options that env.py passes to `context.configure`."""


def setup(plugin: Plugin) -> None:
    """Register the comparators of the plug-in; Alembic calls this."""
    first, last = DispatchPriority.FIRST, DispatchPriority.LAST

    def add(
        compare: Callable[..., bool | None],
        target: str,
        element: str,
        dialects: Iterable[str] = ("default",),
        priority: DispatchPriority = DispatchPriority.MEDIUM,
    ) -> None:
        for dialect in dialects:
            plugin.add_autogenerate_comparator(
                comparator(compare), target, element, qualifier=dialect, priority=priority
            )

    pg = ("postgresql",)
    add(enum_types.compare_enum_types, "schema", "enum types", pg)
    add(domains_and_sequences.create_missing, "schema", "domains", pg)
    add(server_defaults.find_serials, "schema", "serials", pg, first)
    add(mysql.leave_out_not_null, "schema", "not null", mysql.NAMES, first)
    add(sqlite.compare_expression_indexes, "schema", "indexes", ("sqlite",), last)
    add(limits.refuse_other_exclusions, "schema", "exclusions", pg)
    add(limits.refuse_other_keys, "table", "keys")
    add(constraints.compare_checks_of_types, "table", "checks of types", priority=last)
    add(constraints.leave_out_same_foreign_keys, "table", "same keys", priority=last)
    add(indexes.compare_indexes, "table", "words of indexes", pg, last)
    add(mysql_keys.remember_tables, "table", "both states", mysql.NAMES)
    add(server_defaults.compare_server_default, "column", "server_default", priority=first)
    add(limits.refuse_other_values, "column", "server_default", priority=first)
    add(limits.refuse_without_numbers, "column", "numbers", (*pg, *mysql.NAMES))
    add(constraints.compare_nullable, "column", "nullable", priority=first)
    add(mysql.compare_mysql_type, "column", "types", mysql.NAMES)
    # Without a dialect: if two have priority LAST, Alembic first runs the one for a dialect.
    add(column_changes.find_casts, "column", "casts", priority=last)


def comparator(compare: Callable[..., bool | None]) -> Callable[..., PriorityDispatchResult]:
    """Return `compare` as a comparator for Alembic; if it returns True, no other comparator runs.

    For a table or a column, `compare` gets both states: in the database and in the models.
    """

    def called(context: Any, change: Any, *details: Any) -> PriorityDispatchResult:
        states = details[-2:] if len(details) > 1 else ()
        if any(state is None for state in states):  # the whole table is created or dropped
            return PriorityDispatchResult.CONTINUE
        stop = compare(context, change, *states)
        return PriorityDispatchResult.STOP if stop else PriorityDispatchResult.CONTINUE

    return called


Plugin.setup_plugin_from_module(sys.modules[__name__], __name__)
