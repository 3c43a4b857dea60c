"""The code of a revision, where Alembic's own would fail or lose something."""

import re
import sys
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type  # no public function renders a type
from alembic.util import CommandError
from sqlalchemy.dialects.postgresql import DOMAIN

from .enum_types import enum_reference
from .sql import escape_colons

LITERAL = re.compile(r"""('(?:[^']|'')*')(::[\w ".(),\[\]]+)?""")
"""A string in SQL, and the cast that PostgreSQL shows after it."""


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Return the code for an item of a revision, or False to leave it to Alembic."""
    if kind == "server_default" and isinstance(item, sa.DefaultClause):
        literal = LITERAL.fullmatch(str(item.arg))
        if literal and isinstance(item.arg, sa.TextClause):
            return f"sa.text({escape_colons(literal[1])!r})"
    if kind == "type":
        if context.dialect.name == "postgresql" and (code := enum_reference(item, context)):
            return code
        if isinstance(item, DOMAIN) and item.create_type:  # another statement creates it
            code = str(context.migration_context.impl.render_type(item, context))
            return f"{code.removesuffix(')')}, create_type=False)"
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
