"""Changes on PostgreSQL."""

from catalogue import one_table

CASES = [
    one_table(
        "enum_label_added",
        "Column('x', Enum('a', name='enum_label_added_e'))",
        "Column('x', Enum('a', 'b', name='enum_label_added_e'))",
        plain="schema: does not compare labels",
    ),
    one_table(
        "jsonb_default",
        """Column('x', postgresql.JSONB, server_default='{"a": 1}')""",
        """Column('x', postgresql.JSONB, server_default='{"a": 2}')""",
    ),
    one_table(
        "array_of_text",
        "Column('x', postgresql.ARRAY(String(9)), server_default='{}')",
        "Column('x', postgresql.ARRAY(String(20)), server_default='{}')",
    ),
    one_table("identity_of_new_table", "Column('x', Integer, Identity(start=5))"),
    one_table(
        "comment_changed",
        "Column('x', Integer, comment='a'), comment='a'",
        "Column('x', Integer, comment='b'), comment='b'",
    ),
    one_table(
        "computed_of_new_table",
        "Column('x', Integer), Column('y', Integer, Computed('x * 2', persisted=True))",
    ),
    one_table("uuid_default", "Column('x', Uuid, server_default=text('gen_random_uuid()'))"),
    one_table("timezone_added", "Column('x', DateTime)", "Column('x', DateTime(timezone=True))"),
]
