"""Changes of columns on PostgreSQL: which types are the same, and which steps a change needs."""

from collections.abc import Iterator
from copy import copy
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import CompileError

from .column_types import is_enum, item_type, type_name
from .sql import connection_of, explained, quoted_name

CAST = sa.text("""
    SELECT CASE WHEN t.oid = to_regtype(:before) OR t.typcategory = 'S' THEN 'a'
           ELSE (SELECT castcontext FROM pg_cast
                 WHERE castsource = to_regtype(:before) AND casttarget = t.oid) END
    FROM pg_type t WHERE t.oid = to_regtype(:after)
""")
"""Select the kind of cast from one type to another; `a` and `i` need no USING."""

CASTS = "casts"
"""The key in `AlterColumnOp.kw` for the USING expressions, one for each new type of the column."""


class ColumnName(str):
    """An INCLUDE column of a unique constraint; Alembic finds only the key columns by name."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"sa.column({super().__repr__()})"


def compare_type(context: MigrationContext, *columns_and_types: Any) -> bool | None:
    """Return True if a type changed, False if only its name did; None leaves it to Alembic."""
    types = columns_and_types[-2:]
    if context.dialect.name != "postgresql":
        return None
    try:
        names = [type_name(kind, context.dialect) for kind in types]
    except CompileError:
        return None
    if names[0] != names[1]:
        before, after = (explained(context, f"CAST(NULL AS {name})") for name in names)
        if after and before == after:
            return False
        if any(is_enum(item_type(kind, context.dialect)) for kind in types):
            return True
    return None


def in_steps(change: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
    """Yield the steps in which PostgreSQL accepts a change of a column.

    If the new type needs USING, drop the default or identity first, and add the new one last.
    """
    if isinstance(change, ops.CreateUniqueConstraintOp) and "postgresql_include" in change.kw:
        included = [ColumnName(name) for name in change.kw["postgresql_include"] or ()]
        change.kw["postgresql_include"] = included
    if not isinstance(change, ops.AlterColumnOp):
        yield change
        return
    before, after = change.existing_server_default or None, change.modify_server_default
    identities = sum(isinstance(default, sa.Identity) for default in (before, after))
    casts = change.kw.get(CASTS, {})
    if not (any(casts.values()) or (identities and after is not False)):
        yield change
        return

    def step(kind: Any, before: Any, after: Any) -> ops.AlterColumnOp:
        return ops.AlterColumnOp(
            change.table_name,
            change.column_name,
            schema=change.schema,
            existing_type=kind,
            existing_server_default=before,
            modify_server_default=after,
        )

    if before is not None and identities < 2:
        yield step(change.existing_type, before, None)
        before = None
    rest = copy(change)
    rest.existing_server_default = rest.modify_server_default = False
    if rest.has_changes():
        yield rest
    if after:
        yield step(change.modify_type or change.existing_type, before, after)


def find_casts(context: AutogenContext, change: ops.AlterColumnOp, *columns: Any) -> None:
    """Find the USING expressions for a changed type, for the upgrade and for the downgrade."""
    if change.modify_type is not None and context.dialect.name == "postgresql":
        types = (change.existing_type, change.modify_type)
        change.kw[CASTS] = casts = {
            after: cast_of(context, change.column_name, before, after)
            for before, after in (types, types[::-1])
        }
        defaults = [column.server_default for column in columns]
        if any(casts.values()) and all(isinstance(it, sa.DefaultClause) for it in defaults):
            change.modify_server_default = defaults[1]


def cast_of(context: AutogenContext, column: str, *types: Any) -> str | None:
    """Return the USING expression that a change of type needs, or None if it needs none."""
    before, after = names = [type_name(kind, context.dialect) for kind in types]
    if before.endswith("[]") and after.endswith("[]"):
        names = [name.removesuffix("[]") for name in names]
    found = connection_of(context).scalar(CAST, dict(zip(("before", "after"), names, strict=True)))
    if found in ("a", "i"):
        return None
    through = "" if found else "::text"
    return f"{quoted_name(context.dialect, None, column)}{through}::{after}"


alembic_code = renderers.dispatch(ops.AlterColumnOp("", ""))


@renderers.dispatch_for(ops.AlterColumnOp, replace=True)
def render_alter_column(context: AutogenContext, change: ops.AlterColumnOp) -> str:
    """Return the code that alters a column, with two arguments that Alembic leaves out."""
    code = str(alembic_code(context, change)).removesuffix(")")
    if using := change.kw.get(CASTS, {}).get(change.modify_type):
        code += f", postgresql_using={using!r}"
    identity = change.existing_server_default
    if isinstance(identity, sa.Identity) and change.modify_server_default is not False:
        code += f", existing_server_default=sa.{identity!r}"
    return f"{code})"
