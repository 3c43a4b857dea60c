"""The models of users.

After a change, run ./generate.sh and ./migrate.sh.
"""

import sqlalchemy as sa
from sqlalchemy import orm

from my_project.naming import NAMING_CONVENTION


class Base(orm.DeclarativeBase):
    """The base class of the models of users."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)


class User(Base):
    """A row of the table users."""

    __tablename__ = "users"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(200))
