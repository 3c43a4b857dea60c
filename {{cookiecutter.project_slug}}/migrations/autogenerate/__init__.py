"""An Alembic plug-in: what autogenerate misses, gets wrong, or asks too often.

Without this folder, autogenerate finds what plain Alembic does, for the app's own tables. These
are lost: check constraints that changed, enum types of PostgreSQL as objects of their own,
server defaults that Alembic takes for changed, the indexes that MySQL makes for foreign keys,
and the order of operations that every database accepts.
"""

import sys
from typing import Any

from alembic.runtime.plugins import Plugin

from .arranging import arrange
from .comparison import compare_type, render_item, setup

__all__ = ["OPTIONS", "setup"]

Plugin.setup_plugin_from_module(sys.modules[__name__], __name__)

OPTIONS: dict[str, Any] = {
    "autogenerate_plugins": ["alembic.autogenerate.*", __name__],
    "compare_type": compare_type,
    "process_revision_directives": arrange,
    "render_item": render_item,
}
"""What env.py passes to `context.configure`."""
