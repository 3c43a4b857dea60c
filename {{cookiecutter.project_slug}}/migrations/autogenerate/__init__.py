"""An Alembic plug-in that corrects autogenerate and lets it find more.

Without this folder, autogenerate compares each app's own tables as plain Alembic does. The list
says what you lose with each file. A file imports only from files above it.

sql              helpers for names, expressions and types in a database's SQL
limits           an error for each change that autogenerate cannot write
server_defaults  defaults whose changes Alembic misses, or finds by mistake
columns          the same for types and NOT NULL
enum_types       creating PostgreSQL's enum types, adding labels to them, and dropping them
operation_order  an order of operations that every database accepts
constraints      checks, foreign keys and PostgreSQL's indexes that only look changed
mysql_keys       the indexes that MySQL creates for foreign keys
sqlite           what SQLite loses when it copies a table, and indexes on expressions
rendering        code for types and defaults that Alembic renders wrongly, and USING
"""

import sys
from collections.abc import Callable
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult

from . import (
    columns,
    constraints,
    enum_types,
    limits,
    mysql_keys,
    operation_order,
    rendering,
    server_defaults,
    sqlite,
)
from .sql import without_doubled_percents


def process_revision_directives(
    context: MigrationContext, _revision: Any, scripts: list[ops.MigrationScript]
) -> None:
    """Complete and sort the operations of new revisions, before Alembic writes them."""
    # Alembic renders SQL with this dialect, and has no option to keep percent signs single.
    context.impl.dialect = without_doubled_percents(context.impl.dialect)
    alter = context.dialect.supports_alter
    for script in scripts:
        for upgrade, downgrade in zip(
            script.upgrade_ops_list, script.downgrade_ops_list, strict=True
        ):
            constraints.add_checks_of_columns(upgrade)
            mysql_keys.make_way_for_indexes(upgrade, downgrade)
            for operations in (upgrade, downgrade):
                operations.ops = list(map(constraints.with_schemas, operations.ops))
            # One direction drops the tables that the other creates.
            names = operation_order.separate_keys(upgrade, downgrade, alter)
            names += operation_order.separate_keys(downgrade, upgrade, alter)
            for operations in (upgrade, downgrade):
                operations.ops = operation_order.in_order(operations.ops, names)
                if not alter:
                    operations.ops = list(sqlite.with_indexes_apart(operations.ops))


OPTIONS: dict[str, Any] = {
    "autogenerate_plugins": [
        "alembic.autogenerate.*",
        "alembic.ext.checkconstraint_byname",
        __name__,
    ],
    "compare_type": columns.compare_type,
    "process_revision_directives": process_revision_directives,
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
        dialect: str = "default",
        priority: DispatchPriority = DispatchPriority.MEDIUM,
    ) -> None:
        plugin.add_autogenerate_comparator(
            comparator(compare), target, element, qualifier=dialect, priority=priority
        )

    add(enum_types.compare_enum_types, "schema", "enum types", "postgresql")
    add(server_defaults.find_serials, "schema", "serials", "postgresql", first)
    add(limits.refuse_other_exclusions, "schema", "exclusions", "postgresql")
    add(limits.refuse_other_keys, "table", "keys")
    add(constraints.compare_checks_of_types, "table", "checks of types", priority=last)
    add(constraints.leave_out_same_foreign_keys, "table", "same keys", priority=last)
    add(constraints.leave_out_same_indexes, "table", "same indexes", "postgresql", last)
    add(columns.leave_nullable_keys, "column", "nullable", priority=first)
    add(server_defaults.compare_server_default, "column", "server_default", priority=first)
    add(limits.refuse_other_computed, "column", "server_default", priority=first)
    add(limits.refuse_other_numbers, "column", "numbers", priority=last)
    # Without a dialect: if two have priority LAST, Alembic first runs the one for a dialect.
    add(columns.fit_default_to_type, "column", "default of type", priority=last)
    for dialect in ("mysql", "mariadb"):
        add(mysql_keys.remember_tables, "table", "both states", dialect)
        add(columns.compare_mysql_type, "column", "types", dialect)


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
