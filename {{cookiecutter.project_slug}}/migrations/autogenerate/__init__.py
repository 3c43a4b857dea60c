"""An Alembic plug-in: what autogenerate misses, gets wrong, or asks too often.

Without this folder, autogenerate finds what plain Alembic does, for the app's own tables. These
are lost: check constraints that changed, PostgreSQL's enum types, domains and sequences as objects
of their own, the steps that it needs for a new type or identity, server defaults, types and
indexes that Alembic takes for changed or for the same, the refusal of what cannot be written, the
indexes that MySQL makes for foreign keys, the order of operations that every database accepts, and
on SQLite indexes on expressions, and what SQLAlchemy does not reflect of a table that is copied.
"""

import sys
from typing import Any

from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority

from . import (
    column_changes,
    constraints,
    domains_and_sequences,
    enum_types,
    indexes,
    limits,
    mysql,
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
    add = plugin.add_autogenerate_comparator
    first, last = DispatchPriority.FIRST, DispatchPriority.LAST
    pg = "postgresql"
    add(enum_types.compare_enum_types, "schema", "enum types", qualifier=pg)
    add(domains_and_sequences.create_missing, "schema", "domains", qualifier=pg)
    add(server_defaults.find_serials, "schema", "serials", qualifier=pg, priority=first)
    add(server_defaults.compare_server_default, "column", "server_default", priority=first)
    add(column_changes.find_casts, "column", "casts", priority=last)
    add(constraints.compare_nullable, "column", "nullable", priority=first)
    add(limits.refuse_other_values, "column", "server_default", priority=first)
    add(limits.refuse_other_keys, "table", "keys")
    add(constraints.leave_out_checks_of_types, "table", "checks of types", priority=last)
    add(constraints.compare_checks_of_types, "table", priority=last)  # after the one above
    add(sqlite.compare_expression_indexes, "schema", qualifier="sqlite", priority=last)
    for dialect in ("postgresql", "mysql", "mariadb"):
        add(server_defaults.check_autoincrement, "column", qualifier=dialect)
    add(indexes.compare_indexes, "table", "words of indexes", qualifier=pg, priority=last)
    add(constraints.leave_out_same_foreign_keys, "table", "same keys", priority=last)
    for dialect in mysql.NAMES:
        add(mysql.remember_tables, "table", qualifier=dialect)
        add(mysql.compare_type, "column", "types", qualifier=dialect)
        add(mysql.leave_out_not_null, "schema", "not null", qualifier=dialect, priority=first)


Plugin.setup_plugin_from_module(sys.modules[__name__], __name__)
