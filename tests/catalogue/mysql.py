"""Changes on MySQL and MariaDB."""

from catalogue import Case, one_table

KEYED = """
Table("NAME_other", Base.metadata, Column("id", Integer, primary_key=True),
      Column("tenant", Integer), Column("code", Integer, unique=True),
      UniqueConstraint("tenant", "id", name="NAME_other_u"))
Table("NAME", Base.metadata, Column("id", Integer, primary_key=True), Column("y", Integer), ITEMS)
"""

KEY = "Column('x', ForeignKey('NAME_other.id', name='NAME_k'){0})"
CASCADING = "Column('x', ForeignKey('NAME_other.id', name='NAME_k', ondelete='CASCADE'){0})"
MOVED = "Column('z', ForeignKey('NAME_other.id', name='NAME_k'))"
ONE = "ForeignKeyConstraint(['x'], ['NAME_other.tenant'], name='NAME_k1')"
BOTH = "ForeignKeyConstraint(['x', 'z'], ['NAME_other.tenant', 'NAME_other.id'], name='NAME_k2')"
X = "Column('x', Integer)"
XZ = "Column('x', Integer), Column('z', Integer)"

# Tables whose indexes the server makes for their foreign keys, before and after a change.
KEYS = {
    "cascades": (KEY.format(""), CASCADING.format("")),
    "cascades_and_index": (KEY.format(""), CASCADING.format(", index=True")),
    "cascades_without": (KEY.format(", index=True"), CASCADING.format("")),
    "index_to_unique": (KEY.format(", index=True"), KEY.format(", index=True, unique=True")),
    "index_to_constraint": (
        KEY.format(", index=True"),
        KEY.format("") + ", UniqueConstraint('x', name='NAME_u')",
    ),
    "index_of_one_more": (
        KEY.format("") + ", Index('NAME_i', 'x')",
        KEY.format("") + ", Index('NAME_i', 'x', 'y')",
    ),
    "key_gets_index": (KEY.format(""), KEY.format(", index=True")),
    "key_loses_index": (KEY.format(", index=True"), KEY.format("")),
    "key_to_index": (KEY.format(""), "Column('x', Integer, index=True)"),
    "index_to_key": ("Column('x', Integer, index=True)", KEY.format("")),
    "key_goes": (KEY.format(""), X),
    "key_comes": (X, KEY.format("")),
    "key_moves": (f"{KEY.format('')}, Column('z', Integer)", f"{X}, {MOVED}"),
    "keyed_column_goes": (KEY.format(", index=True"), "Column('z', Integer)"),
    "keyed_column_comes": (X, f"{X}, {MOVED}"),
    "two_stay": (f"{XZ}, {ONE}, {BOTH}",) * 2,
    "two_come": (XZ, f"{XZ}, {ONE}, {BOTH}"),
    "longer_key_goes": (f"{XZ}, {ONE}, {BOTH}", f"{XZ}, {ONE}"),
    "longer_key_comes": (f"{XZ}, {ONE}", f"{XZ}, {ONE}, {BOTH}"),
    "two_swap_index": (
        f"{XZ}, {ONE}, {BOTH}, Index('NAME_i', 'x', 'z')",
        f"{XZ}, {ONE}, {BOTH}, Index('NAME_i', 'x')",
    ),
}

# Columns of the types that the server has alone, or rewrites, before and after a change.
TYPES = [
    ("mysql.SET('a', 'b')", "mysql.SET('a', 'c')"),
    ("Integer", "Integer().with_variant(mysql.INTEGER(unsigned=True), 'mysql')"),
    ("mysql.BIGINT(unsigned=True)", "mysql.BIGINT"),
    ("JSON", "JSON, nullable=False"),
    ("JSON, comment='a'", "JSON, comment='b'"),
    ("Float(24)", "Float(53)"),
    ("LargeBinary(16)", "LargeBinary(70000)"),
    ("Text(16)", "Text(20000)"),
]


def keys(after: bool) -> str:
    """The models of the case with foreign keys."""
    tables = {f"keys_{name}": pair[after] for name, pair in KEYS.items()}
    return "".join(KEYED.replace("ITEMS", it).replace("NAME", name) for name, it in tables.items())


def types(after: bool) -> str:
    """The models of the case with types."""
    columns = (f"Column('c{number}', {pair[after]})" for number, pair in enumerate(TYPES))
    return f"Table('types', Base.metadata, {', '.join(columns)})"


CASES = [
    # Plain Alembic gets only a few of them right, each alone.
    Case("keys", keys(False), keys(True), plain="upgrade: drops the index that a key needs"),
    Case("types", types(False), types(True), plain="check: MariaDB makes TINYBLOB of BLOB(16)"),
    one_table(
        "mysql_comment_changed",
        "Column('x', Integer, comment='a'), comment='a'",
        "Column('x', Integer, comment='b'), comment='b'",
    ),
    one_table(
        "mysql_enum_label_added",
        "Column('x', Enum('a'))",
        "Column('x', Enum('a', 'b'))",
    ),
    one_table(
        "decimal_default",
        "Column('x', Numeric(10, 2), server_default='1')",
        "Column('x', Numeric(10, 2), server_default='2')",
        plain="check: finds a change again",
    ),
    one_table("tinyint", "Column('x', mysql.TINYINT(unsigned=True))"),
    one_table("longtext", "Column('x', Text)", "Column('x', mysql.LONGTEXT)"),
    one_table(
        "index_length",
        "Column('x', String(99)), Index('index_length_i', 'x')",
        "Column('x', String(99)), Index('index_length_i', 'x', mysql_length=9)",
        plain="schema: does not compare the length of an index",
        here="schema: The length of an index",
    ),
    one_table(
        "index_like_its_column",
        "Column('x', Integer), Index('x', 'x')",
        "Column('x', Integer)",
        plain="schema: leaves out an index with the name of its column",
        here="schema: Dropping an index that has the name of its column",
    ),
]
