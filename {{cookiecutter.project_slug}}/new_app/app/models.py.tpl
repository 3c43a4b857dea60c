"""The models of $app.

After a change, run ./generate.sh and ./migrate.sh.
"""

import sqlalchemy as sa
from sqlalchemy import orm

from $package.naming import NAMING_CONVENTION


class Base(orm.DeclarativeBase):
    """The base class of the models of $app."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)


class $model(Base):
    """A row of the table $app."""

    __tablename__ = "$app"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(200))
