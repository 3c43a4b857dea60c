"""One of many revisions: an index dropped and created again."""

from alembic import op

revision, down_revision = "NUMBER", "BEFORE"


def upgrade() -> None:
    op.drop_index("ix_app001_book_title", "app001_book")
    op.create_index("ix_app001_book_title", "app001_book", ["title"])
