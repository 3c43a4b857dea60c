"""An Alembic plug-in: what autogenerate misses, gets wrong, or asks too often.

Without this folder, autogenerate finds what plain Alembic does, for the app's own tables. These
are lost: check constraints that changed, enum types of PostgreSQL as objects of their own,
server defaults that Alembic takes for changed, the indexes that MySQL makes for foreign keys, the
order of operations that every database accepts, and on SQLite indexes on expressions, and what
SQLAlchemy does not reflect of a table that is copied.
"""

import sys
from typing import Any

from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority

from . import constraints, enum_types, operation_order, rendering, server_defaults, sqlite

OPTIONS: dict[str, Any] = {
    "autogenerate_plugins": [
        "alembic.autogenerate.*",
        "alembic.ext.checkconstraint_byname",
        __name__,
    ],
    "compare_type": enum_types.compare_type,
    "process_revision_directives": operation_order.sort_operations,
    "render_item": rendering.render_item,
}
"""What env.py passes to `context.configure`."""


def setup(plugin: Plugin) -> None:
    """Register what the plug-in compares; Alembic calls this."""
    add = plugin.add_autogenerate_comparator
    first, last = DispatchPriority.FIRST, DispatchPriority.LAST
    add(enum_types.compare_enum_types, "schema", "enum types", qualifier="postgresql")
    add(server_defaults.find_serials, "schema", "serials", qualifier="postgresql", priority=first)
    add(server_defaults.compare_server_default, "column", "server_default", priority=first)
    add(constraints.create_constraints_of_new_table, "table", "new table")
    add(constraints.leave_out_checks_of_types, "table", "checks of types", priority=last)
    add(constraints.compare_checks_of_types, "table", priority=last)  # after the one above
    add(sqlite.compare_expression_indexes, "schema", qualifier="sqlite", priority=last)
    for dialect in ("postgresql", "mysql", "mariadb"):
        add(server_defaults.check_autoincrement, "column", qualifier=dialect)
    for dialect in ("mysql", "mariadb", "default"):  # that of MySQL runs before the next
        add(constraints.leave_out_same_foreign_keys, "table", qualifier=dialect, priority=last)
    for dialect in ("mysql", "mariadb"):
        add(constraints.compare_indexes_of_foreign_keys, "table", qualifier=dialect, priority=last)


Plugin.setup_plugin_from_module(sys.modules[__name__], __name__)
