"""Domains and sequences of PostgreSQL: a revision creates them before the columns that use them.

They are not compared. If one changes, or no model uses it any more, it is left as it is.
"""

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.dialects.postgresql import DOMAIN, CreateDomainType, DropDomainType
from sqlalchemy.schema import CreateSequence, DropSequence

from ..apps import App
from ..ownership import Ownership
from .column_types import item_type
from .sql import connection_of, escape_colons, quoted_name, without_doubled_percents


class StatementOp(ops.ExecuteSQLOp):
    """Create or drop a domain or a sequence."""

    def __init__(self, app: App, do: str, undo: str) -> None:
        super().__init__(escape_colons(do))
        self.app, self.do, self.undo = app, do, undo

    def reverse(self) -> "StatementOp":
        """Return the operation that undoes this one."""
        return StatementOp(self.app, self.undo, self.do)

    def to_diff_tuple(self) -> tuple[str, str]:
        """Return the words that `check` and `generate` print for this operation."""
        verb, kind, name = self.do.split()[:3]
        return verb.lower(), f"{kind.lower()} {name}"


def create_missing(context: AutogenContext, upgrade: ops.UpgradeOps) -> None:
    """Create the domains and sequences that the models use and the database lacks."""
    ownership: Ownership = context.opts["target_metadata"]
    dialect = without_doubled_percents(context.dialect)
    seen = set()
    for app in ownership.compared:
        columns = [column for table in app.model_tables.values() for column in table.columns]
        for item in (item for column in columns for item in items_of(column, dialect)):
            domain = isinstance(item, DOMAIN)
            name = quoted_name(dialect, item.schema, item.name)
            found = sa.func.to_regtype(name) if domain else sa.func.to_regclass(name)
            if name not in seen and connection_of(context).scalar(sa.select(found)) is None:
                create, drop = (
                    (CreateDomainType, DropDomainType) if domain else (CreateSequence, DropSequence)
                )
                do, undo = (str(kind(item).compile(dialect=dialect)) for kind in (create, drop))
                upgrade.ops.append(StatementOp(app, do, undo))
            seen.add(name)


def items_of(column: sa.Column[Any], dialect: sa.Dialect) -> list[Any]:
    """Return the domain of a column, and the sequences that supply its values, if any."""
    default = getattr(column.server_default, "arg", None)
    items = [item_type(column.type, dialect), column.default]
    items.append(getattr(default, "sequence", None))
    return [item for item in items if isinstance(item, DOMAIN | sa.Sequence)]
