"""An Alembic plug-in: what autogenerate misses, gets wrong, or asks too often.

Without this folder, autogenerate finds what plain Alembic does, for the app's own tables. What is
lost, by its files, each of which imports only from those above it:

sql, column_types       SQL of names, expressions and types, as one database writes it
mysql, server_defaults  types and defaults that Alembic takes for changed or for the same
indexes                 PostgreSQL's indexes, whose expressions it writes in other words
limits                  the refusal of what cannot be written
enum_types              PostgreSQL's enum types as objects of their own
domains_and_sequences   PostgreSQL's domains and sequences as objects of their own
column_changes          the steps that PostgreSQL needs for a new type or identity
sqlite                  indexes on expressions, and what a copy of a table would lose
separate_keys           foreign keys of new tables that refer to each other
constraints             checks that changed, NOT NULL, and foreign keys that are the same
mysql_keys              the indexes that MySQL makes for foreign keys
operation_order         the order of operations that every database accepts
rendering               the code of types and defaults that Alembic cannot write
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
"""What env.py passes to `context.configure`."""


def setup(plugin: Plugin) -> None:
    """Register what the plug-in compares; Alembic calls this."""
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
    # With no dialect: where two are last, Alembic begins with those for one dialect.
    add(column_changes.find_casts, "column", "casts", priority=last)


def comparator(compare: Callable[..., bool | None]) -> Callable[..., PriorityDispatchResult]:
    """Return `compare` as Alembic calls it; where it returns True, Alembic compares no further.

    Of a table or a column, `compare` gets both states: in the database and in the models.
    """

    def called(context: Any, change: Any, *details: Any) -> PriorityDispatchResult:
        states = details[-2:] if len(details) > 1 else ()
        if any(state is None for state in states):  # the whole table comes or goes
            return PriorityDispatchResult.CONTINUE
        stop = compare(context, change, *states)
        return PriorityDispatchResult.STOP if stop else PriorityDispatchResult.CONTINUE

    return called


Plugin.setup_plugin_from_module(sys.modules[__name__], __name__)
