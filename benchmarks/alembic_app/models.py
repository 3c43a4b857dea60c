"""Three models; each part of this file becomes a revision of its own."""

import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from bench.naming import NAMING_CONVENTION


class Base(orm.DeclarativeBase):
    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)


class Author(Base):
    __tablename__ = "app001_author"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(100))
    email: orm.Mapped[str | None] = orm.mapped_column(sa.String(200))
    born: orm.Mapped[int | None]
    created: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime(timezone=True))


# Next revision


class Book(Base):
    __tablename__ = "app001_book"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str] = orm.mapped_column(sa.String(100), index=True)
    pages: orm.Mapped[int]
    published: orm.Mapped[datetime.date | None]
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(Author.id))


# Next revision


class Review(Base):
    __tablename__ = "app001_review"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    text: orm.Mapped[str] = orm.mapped_column(sa.Text)
    stars: orm.Mapped[int]
    public: orm.Mapped[bool]
    created: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime(timezone=True))
