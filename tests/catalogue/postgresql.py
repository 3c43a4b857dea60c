"""Changes on PostgreSQL."""

from catalogue import Case, one_table

AGAIN = "check: finds a change again"
CAST = "upgrade: writes no USING"
STAYS = "schema: leaves the type"
UNSEEN = "schema: sees no change"
OPTIONS = "schema: The condition or another option of an index"
UNIQUE_OPTIONS = "A unique constraint that becomes deferrable, or includes other columns"

OTHERS = [
    one_table(
        "enum_label_added",
        "Column('x', Enum('a', name='enum_label_added_e'))",
        "Column('x', Enum('a', 'b', name='enum_label_added_e'))",
        plain="schema: does not compare labels",
        here="downgrade: A label of an enum type that goes or moves",
    ),
    one_table(
        "enum_label_gone",
        "Column('x', Enum('a', 'b', name='enum_label_gone_e'))",
        "Column('x', Enum('b', name='enum_label_gone_e'))",
        plain="schema: does not compare labels",
        here="generate: A label of an enum type that goes or moves",
    ),
    one_table(
        "enum_label_moved",
        "Column('x', Enum('a', 'b', name='enum_label_moved_e'))",
        "Column('x', Enum('b', 'a', name='enum_label_moved_e'))",
        plain="schema: does not compare labels",
        here="schema: A label of an enum type that goes or moves",
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

ENUM = "Column('x', Enum('a', 'b', name='{0}_e'))"
LONG = "Column('x', Enum({}, name='long_enum_name_" + "é" * 30 + "'))"

TYPES = [
    one_table(
        name,
        before.format(name),
        after.format(name),
        plain=plain,
    )
    for name, before, after, plain in (
        (
            "enum_to_text",
            ENUM,
            "Column('x', Enum('a', 'b', name='{0}_e', native_enum=False))",
            STAYS,
        ),
        ("enum_to_string", ENUM, "Column('x', String(20))", STAYS),
        (
            "enum_to_string_default",
            "Column('x', Enum('a', 'b', name='{0}_e'), server_default='a')",
            "Column('x', String(20), server_default='a')",
            STAYS,
        ),
        (
            "enums_to_strings",
            "Column('x', postgresql.ARRAY(Enum('a', name='{0}_e')), server_default='{{}}')",
            "Column('x', postgresql.ARRAY(String(20)), server_default='{{}}')",
            STAYS,
        ),
        (
            "enum_renamed",
            "Column('x', Enum('a', name='{0}_e'), server_default='a')",
            "Column('x', Enum('a', 'b', name='{0}_f'), server_default='a')",
            CAST,
        ),
        (
            "enums_renamed",
            "Column('x', postgresql.ARRAY(Enum('a', name='{0}_e')), server_default='{{}}')",
            "Column('x', postgresql.ARRAY(Enum('a', name='{0}_f')), server_default='{{}}')",
            CAST,
        ),
        ("string_to_enum", "Column('x', String(20))", ENUM, CAST),
        ("string_to_integer", "Column('x', String(20))", "Column('x', Integer)", CAST),
        (
            "string_to_integer_default",
            "Column('x', String(20), server_default='1')",
            "Column('x', Integer, server_default='1')",
            CAST,
        ),
        (
            "boolean_to_integer",
            "Column('x', Boolean, server_default=false())",
            "Column('x', Integer, server_default='0')",
            CAST,
        ),
        ("string_to_date", "Column('x', String(20))", "Column('x', Date)", CAST),
        (
            "text_to_jsonb",
            "Column('x', Text, server_default='{{}}')",
            "Column('x', postgresql.JSONB, server_default='{{}}')",
            CAST,
        ),
        ("json_to_jsonb", "Column('x', JSON)", "Column('x', postgresql.JSONB)", ""),
        ("string_to_uuid", "Column('x', String(36))", "Column('x', Uuid)", CAST),
        ("float_24", "Column('x', Float(24))", "Column('x', Float(53))", AGAIN),
    )
] + [
    one_table(
        "long_enum_name",
        LONG.format("'a'"),
        LONG.format("'a', 'b'"),
        plain=AGAIN,
        here="downgrade: A label of an enum type that goes or moves",
    ),
]

IDENTITIES = [
    one_table(
        name,
        f"Column('x', Integer, {before})",
        f"Column('x', Integer, {after})",
        plain=plain,
        here="generate: An identity that is added, removed or changed",
    )
    for name, before, after, plain in (
        ("identity_added", "nullable=False", "Identity()", "downgrade: drops no identity"),
        (
            "identity_added_null",
            "nullable=True",
            "Identity(start=3)",
            "upgrade: NOT NULL is missing",
        ),
        ("identity_always", "Identity()", "Identity(always=True)", "upgrade: adds an identity"),
        (
            "identity_options",
            "Identity(start=3)",
            "Identity(start=3, increment=5, maxvalue=99)",
            "upgrade: adds an identity",
        ),
        ("identity_removed", "Identity()", "nullable=True", "upgrade: drops no identity"),
        (
            "identity_to_default",
            "Identity()",
            "nullable=False, server_default='1'",
            "generate: fails",
        ),
        (
            "identity_for_default",
            "nullable=False, server_default='1'",
            "Identity()",
            "generate: fails",
        ),
    )
]

DEFAULTS = [
    one_table(name, f"Column('x', {column})", plain=plain)
    for name, column, plain in (
        ("default_null_text", "Integer, server_default=text('NULL')", AGAIN),
        ("default_random", "String(36), server_default=text('md5(random()::text)')", AGAIN),
        ("default_numeric_one", "Numeric(10, 2), server_default='1'", ""),
    )
]

DOMAIN = "Column('x', postgresql.DOMAIN('{0}_d', Integer, check='VALUE > 0'))"
DOMAINS = "Column('x', postgresql.ARRAY(postgresql.DOMAIN('{0}_d', String(9), check=\"VALUE <> 'a:b%'\")))"

OBJECT = "A domain or a sequence"

OBJECTS = [
    one_table(
        "domain_of_new_table",
        DOMAIN.format("domain_of_new_table"),
        plain="downgrade: leaves the domain",
        here=f"downgrade: {OBJECT}",
    ),
    one_table(
        "domain_added",
        "Column('y', Integer)",
        DOMAIN.format("domain_added"),
        plain="upgrade: no domain",
        here=f"upgrade: {OBJECT}",
    ),
    one_table(
        "domains_added",
        "Column('y', Integer)",
        DOMAINS.format("domains_added"),
        plain="upgrade: no domain",
        here=f"upgrade: {OBJECT}",
    ),
    one_table(
        "integer_to_domain",
        "Column('x', Integer)",
        DOMAIN.format("integer_to_domain"),
        plain="upgrade: no domain",
        here=f"upgrade: {OBJECT}",
    ),
    one_table(
        "sequence_of_new_table",
        "Column('x', Integer, Sequence('sequence_of_new_table_s', start=5))",
        plain="schema: no sequence",
        here=f"schema: {OBJECT}",
    ),
    one_table(
        "sequence_added",
        "Column('y', Integer)",
        "Column('x', Integer, server_default=Sequence('sequence_added_s', metadata=Base.metadata).next_value())",
        plain="upgrade: no sequence",
        here=f"upgrade: {OBJECT}",
    ),
    Case(
        "sequence_shared",
        """
s = Sequence("sequence_shared_s", metadata=Base.metadata)
Table("sequence_shared_a", Base.metadata, Column("x", Integer, server_default=s.next_value()))
Table("sequence_shared_b", Base.metadata, Column("x", Integer, server_default=s.next_value()))
""",
        plain="upgrade: no sequence",
        here=f"upgrade: {OBJECT}",
    ),
]

INDEX = "Column('x', Text), Column('y', Integer), Column('z', DateTime(True)), Index('{0}_i', {1})"
IN_UTC = """func.date_trunc('day', text("z AT TIME ZONE 'UTC'"))"""

INDEXES = [
    one_table(
        name,
        INDEX.format(name, before),
        after and INDEX.format(name, after),
        plain=plain,
        here=here,
    )
    for name, before, after, plain, here in (
        ("index_at_time_zone", IN_UTC, "", AGAIN, ""),
        ("index_same_where", "'x', postgresql_where=text('y>0 and not x is null')", "", "", ""),
        (
            "index_where",
            "'x', postgresql_where=text('y>0')",
            "'x', postgresql_where=text('y > 1')",
            UNSEEN,
            OPTIONS,
        ),
        (
            "index_nulls",
            "'x', unique=True",
            "'x', unique=True, postgresql_nulls_not_distinct=True",
            "",
            "",
        ),
        ("index_include", "'x'", "'x', postgresql_include=['y']", UNSEEN, OPTIONS),
        ("index_using", "'x'", "'x', postgresql_using='hash'", UNSEEN, OPTIONS),
        ("index_ops", "'x'", "'x', postgresql_ops={'x': 'text_pattern_ops'}", UNSEEN, OPTIONS),
        ("index_with", "'x'", "'x', postgresql_with={'fillfactor': 50}", UNSEEN, OPTIONS),
    )
]

UNIQUE = "Column('x', Integer), UniqueConstraint('x', name='{0}_u'{1})"

OTHER_LIMITS = [
    one_table(
        "collation_changed",
        "Column('x', String(9))",
        "Column('x', String(9, collation='C'))",
        plain=UNSEEN,
        here="schema: A collation that changes",
    ),
    one_table(
        "unique_deferrable",
        UNIQUE.format("unique_deferrable", ""),
        UNIQUE.format("unique_deferrable", ", deferrable=True"),
        plain=UNSEEN,
        here=f"schema: {UNIQUE_OPTIONS}",
    ),
    one_table(
        "unique_other_include",
        UNIQUE.format("unique_other_include", ""),
        UNIQUE.format("unique_other_include", ", postgresql_include=['id']"),
        plain=UNSEEN,
        here=f"schema: {UNIQUE_OPTIONS}",
    ),
    one_table(
        "unique_include",
        "Column('x', Integer)",
        UNIQUE.format("unique_include", ", postgresql_include=['id']"),
        plain="upgrade: KeyError",
        here=f"upgrade: {UNIQUE_OPTIONS}",
    ),
    one_table(
        "domain_unused",
        DOMAIN.format("domain_unused"),
        "Column('y', Integer)",
        plain=STAYS,
        here=f"schema: {OBJECT}",
    ),
]

CASES = [*OTHERS, *TYPES, *IDENTITIES, *DEFAULTS, *OBJECTS, *INDEXES, *OTHER_LIMITS]
