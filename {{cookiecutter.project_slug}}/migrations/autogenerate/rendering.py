"""The code of a revision, where Alembic's own would fail or lose something."""

import re
import sys
from copy import copy
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type  # no public function renders a type
from alembic.operations import ops
from alembic.util import CommandError

from .columns import cast_to_new_type
from .enum_types import enum_arguments
from .sql import escape_colons, is_enum, plain_type

LITERAL = re.compile(r"""('(?:[^']|'')*')(::[\w ".(),\[\]]+)?""")
"""A string in SQL, and the cast that PostgreSQL shows after it."""

alembic_code = renderers.dispatch(ops.AlterColumnOp("", ""))


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Return the code for an item of a revision, or False to leave it to Alembic."""
    if kind == "server_default" and isinstance(item, sa.DefaultClause):
        literal = LITERAL.fullmatch(str(item.arg))
        if literal and isinstance(item.arg, sa.TextClause):
            return f"sa.text({escape_colons(literal[1])!r})"
    if kind == "type":
        enum = plain_type(item, context.dialect)
        if is_enum(enum):  # another operation creates it
            context.imports.add("from sqlalchemy.dialects import postgresql")
            code = enum_arguments(enum.enums, str(enum.name), enum.schema)
            return f"postgresql.ENUM({code}, create_type=False)"
        if not is_made_by_its_repr(item):
            if isinstance(item, sa.TypeDecorator):
                return str(_repr_type(item.load_dialect_impl(context.dialect), context))
            name = type(item).__name__
            raise CommandError(f"{name} has the repr {item!r}; write one that creates the type")
        import_type(item, context)
    return False


def is_made_by_its_repr(item: sa.types.TypeEngine[Any]) -> bool:
    """Return True if the code that Alembic writes for a custom type creates that type."""
    if type(item).__module__.startswith("sqlalchemy."):
        return True
    names = {**vars(sa), "module": sys.modules[type(item).__module__]}
    try:
        return type(eval(f"module.{item!r}", names)) is type(item)
    except Exception:  # its code may raise anything
        return False


def import_type(item: sa.types.TypeEngine[Any], context: AutogenContext) -> None:
    """Add the imports that the code of a type needs, as Alembic omits some."""
    module = type(item).__module__
    custom = not module.startswith("sqlalchemy.")
    if custom:
        context.imports.add(f"import {module}")
    if custom or (".dialects." in module and context.dialect.name not in module):
        # Alembic writes the `repr` of these, which has bare names for nested types.
        names = re.findall(r"(?<=[(=])[A-Z]\w*(?=\()", repr(item))
        known = [name for name in names if hasattr(sa, name)]
        context.imports.update(f"from sqlalchemy import {name}" for name in known)


@renderers.dispatch_for(ops.AlterColumnOp, replace=True)
def render_alter_column(context: AutogenContext, change: ops.AlterColumnOp) -> list[str]:
    """Return the lines of code that alter a column.

    Where PostgreSQL needs a USING expression, the default may not fit the new type. So it is
    dropped before and set afterwards.
    """
    using = cast_to_new_type(context, change)
    if not using:
        return [str(alembic_code(context, change))]
    before, after = change.existing_server_default, change.modify_server_default
    without_default = copy(change)
    without_default.existing_server_default = without_default.modify_server_default = False
    code = str(alembic_code(context, without_default)).removesuffix(")")
    lines = [f"{code}, postgresql_using={using!r})"]

    def set_default(default: Any) -> str:
        where = change.table_name, change.column_name
        step = ops.AlterColumnOp(*where, schema=change.schema, modify_server_default=default)
        return str(alembic_code(context, step))

    if before:
        lines.insert(0, set_default(None))
    if after := before if after is False else after:
        lines.append(set_default(after))
    return lines
