"""Changes that every database knows."""

from catalogue import NO_NAME, NO_NAME_HERE, Case, one_table

AGAIN = "check: finds a change again"

SETTLES = [
    Case(
        "nullable_key",
        "Table('nullable_key', Base.metadata,"
        " Column('id', Integer, primary_key=True, nullable=True))",
        plain={"postgresql": AGAIN, "mysql": AGAIN},
    ),
    one_table("float_default", "Column('x', Float, server_default='1.5', nullable=False)"),
    one_table(
        "blank_default",
        "Column('x', String(9), server_default='', nullable=False)",
        plain={"sqlite": AGAIN, "mysql": AGAIN},
    ),
    one_table(
        "lines_in_default",
        "Column('x', String(9), server_default='a\\nb')",
        plain={"sqlite": AGAIN, "mysql": AGAIN},
    ),
    one_table(
        "named_check", "Column('x', Integer), CheckConstraint('x > 0', name='named_check_x')"
    ),
]

COLUMNS = [
    one_table("column_added", "Column('a', Integer)", "Column('a', Integer), Column('b', Text)"),
    one_table(
        "column_dropped",
        "Column('a', Integer), Column('b', String(9), index=True)",
        "Column('a', Integer)",
    ),
    one_table(
        "column_added_with_default",
        "Column('a', Integer)",
        "Column('a', Integer), Column('b', String(9), nullable=False, server_default='x')",
    ),
    one_table("text_longer", "Column('x', String(50))", "Column('x', String(200))"),
    one_table("numeric_precision", "Column('x', Numeric(8, 2))", "Column('x', Numeric(10, 3))"),
    one_table("becomes_required", "Column('x', Integer)", "Column('x', Integer, nullable=False)"),
    one_table("becomes_optional", "Column('x', Integer, nullable=False)", "Column('x', Integer)"),
    one_table(
        "bigger_integer", "Column('x', Integer, index=True)", "Column('x', BigInteger, index=True)"
    ),
    one_table(
        "default_changed",
        "Column('x', Integer, server_default='7')",
        "Column('x', Integer, server_default='8')",
    ),
    one_table(
        "boolean_default",
        "Column('x', Boolean, server_default=false())",
        "Column('x', Boolean, server_default=true())",
        plain={"mysql": AGAIN},
    ),
    one_table(
        "default_with_quotes",
        """Column('x', String(99), server_default="it's 5%")""",
        """Column('x', String(99), server_default="it's 6%")""",
        plain="check: finds a change again, or fails",
    ),
    one_table(
        "now_taken_away",
        "Column('x', DateTime, server_default=func.now())",
        "Column('x', DateTime)",
        plain={"mysql": AGAIN},
    ),
    one_table(
        "now_added",
        "Column('x', DateTime)",
        "Column('x', DateTime, server_default=func.now())",
        plain={"mysql": AGAIN},
    ),
]

INDEXES = [
    one_table("index_added", "Column('x', Integer)", "Column('x', Integer, index=True)"),
    one_table("index_dropped", "Column('x', Integer, index=True)", "Column('x', Integer)"),
    one_table(
        "index_becomes_unique",
        "Column('x', Integer, index=True)",
        "Column('x', Integer, index=True, unique=True)",
    ),
    one_table(
        "index_of_two",
        "Column('x', Integer), Column('y', Integer), Index('index_of_two_i', 'x')",
        "Column('x', Integer), Column('y', Integer), Index('index_of_two_i', 'x', 'y')",
    ),
    one_table(
        "unique_named",
        "Column('x', Integer), Column('y', Integer)",
        "Column('x', Integer), Column('y', Integer), UniqueConstraint('x', 'y', name='unique_named_xy')",
    ),
    one_table(
        "unique_dropped",
        "Column('x', Integer), Column('y', Integer), UniqueConstraint('x', 'y', name='unique_dropped_xy')",
        "Column('x', Integer), Column('y', Integer)",
    ),
    one_table(
        "check_changed",
        "Column('x', Integer), CheckConstraint('x > 0', name='check_changed_x')",
        "Column('x', Integer), CheckConstraint('x > 1', name='check_changed_x')",
        plain="schema: does not compare checks",
        here="schema: A check whose condition changes",
    ),
    one_table(
        "check_added",
        "Column('x', Integer)",
        "Column('x', Integer), CheckConstraint('x > 0', name='check_added_x')",
        plain="schema: does not compare checks",
    ),
]

REFERRED = """
Table("{0}_other", Base.metadata, Column("id", Integer, primary_key=True))
Table("{0}", Base.metadata, Column("id", Integer, primary_key=True), {1})
"""


def with_key(name: str, before: str, after: str = "", **options: str | dict[str, str]) -> Case:
    """A case of two tables, whose foreign key `NAME_other.id` changes."""
    filled = (
        text and REFERRED.format(name, text.replace("OTHER", f"{name}_other.id"))
        for text in (before, after)
    )
    return Case(name, *filled, **options)  # type: ignore[arg-type]


KEYS = [
    with_key("key_of_new_table", "Column('x', ForeignKey('OTHER'))"),
    with_key(
        "key_added",
        "Column('x', Integer)",
        "Column('x', Integer, ForeignKey('OTHER', name='key_added_fk', ondelete='CASCADE'))",
        plain={"mysql": "downgrade: leaves the index of the key"},
    ),
    with_key(
        "key_dropped",
        "Column('x', Integer, ForeignKey('OTHER', name='key_dropped_fk'))",
        "Column('x', Integer)",
        plain={"mysql": "check: leaves the index of the key"},
    ),
    with_key(
        "key_with_column",
        "Column('y', Integer)",
        "Column('y', Integer), Column('x', Integer, ForeignKey('OTHER', name='key_with_column_fk'))",
    ),
]

TABLES = [
    Case(
        "table_added",
        "Table('table_added_a', Base.metadata, Column('id', Integer, primary_key=True))",
        """
Table("table_added_b", Base.metadata, Column("id", Integer, primary_key=True))
Table("table_added_a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("b", ForeignKey("table_added_b.id")))
""",
        plain=NO_NAME,
        here=NO_NAME_HERE,
    ),
    Case(
        "table_dropped",
        """
Table("table_dropped_b", Base.metadata, Column("id", Integer, primary_key=True))
Table("table_dropped_a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("b", ForeignKey("table_dropped_b.id")))
Table("table_dropped_c", Base.metadata, Column("id", Integer, primary_key=True))
""",
        "Table('table_dropped_c', Base.metadata, Column('id', Integer, primary_key=True))",
        plain={
            "postgresql": "chance: drops the tables in any order",
            "mysql": "chance: drops the tables in any order",
        },
    ),
]

CASES = [*SETTLES, *COLUMNS, *INDEXES, *KEYS, *TABLES]
