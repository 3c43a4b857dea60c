"""Names for indexes and constraints, because a revision can only drop what has a name."""

import hashlib
from typing import Any

import sqlalchemy as sa


def condition(check: sa.CheckConstraint, _: sa.Table) -> str:
    """Return four digits that depend on a check's condition, so that its name changes with it.

    Databases rewrite conditions, so only names can be compared.
    """
    sql = check.sqltext.compile()
    return hashlib.sha256(f"{sql} {sql.params}".encode()).hexdigest()[:4]


NAMING_CONVENTION: dict[str, Any] = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s_%(condition)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
    "condition": condition,
}
