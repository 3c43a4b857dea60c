"""Changes on SQLite, which copies a table for most of them."""

from catalogue import one_table

CASES = [
    one_table(
        "copied_with_check",
        "Column('x', Integer), CheckConstraint('x > 0', name='copied_with_check_x')",
        "Column('x', Text), CheckConstraint('x > 0', name='copied_with_check_x')",
    ),
    one_table(
        "copied_with_partial_index",
        "Column('x', Integer), Column('y', Integer), Index('copied_with_partial_index_i', 'y', sqlite_where=text('y > 0'))",
        "Column('x', Text), Column('y', Integer), Index('copied_with_partial_index_i', 'y', sqlite_where=text('y > 0'))",
    ),
]
