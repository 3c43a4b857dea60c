"""Tables, their keys and the tables that they refer to."""

from catalogue import NO_NAME, NO_NAME_HERE, Case, one_table

CIRCLE = "upgrade: refers to what is not there yet"
CIRCLE_HERE = "generate: Tables that refer to each other by keys without names"
INHERITANCE = """
class JoinedBase(Base):
    __tablename__ = "inheritance_base"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    __mapper_args__ = {{"polymorphic_on": "kind", "polymorphic_identity": "base"}}


class Joined(JoinedBase):
    __tablename__ = "inheritance_joined"

    id: Mapped[int] = mapped_column(ForeignKey("inheritance_base.id"), primary_key=True)
    __mapper_args__ = {{"polymorphic_identity": "joined"}}


class Single(JoinedBase):
    __mapper_args__ = {{"polymorphic_identity": "single"}}
    only: Mapped[str | None] = mapped_column(String(20))
    {}
"""
MANY = """
many_to_many = Table("many_to_many", Base.metadata,
    Column("a", ForeignKey("many_to_many_a.id"), primary_key=True),
    Column("b", ForeignKey("many_to_many_b.id"), primary_key=True), {})
Table("many_to_many_a", Base.metadata, Column("id", Integer, primary_key=True))
Table("many_to_many_b", Base.metadata, Column("id", Integer, primary_key=True))
"""
COMPOSITE = """
Table("composite_a", Base.metadata, Column("x", Integer, primary_key=True, autoincrement=False),
      Column("y", String(9), primary_key=True))
Table("composite_b", Base.metadata, Column("id", Integer, primary_key=True),
      Column("x", Integer), Column("y", String(9)), {})
"""
COMPOSITE_KEY = (
    'ForeignKeyConstraint(["x", "y"], ["composite_a.x", "composite_a.y"], name="composite_fk")'
)
TREE = 'Table("tree", Base.metadata, Column("id", Integer, primary_key=True), {})'
CONVENTION = """
class Base(DeclarativeBase):
    metadata = MetaData(naming_convention={{
        "ix": "ix_%(column_0_label)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s", "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s"}})


class ByConvention(Base):
    __tablename__ = "by_convention"

    id: Mapped[int] = mapped_column(primary_key=True)
    x: Mapped[int]
    {}
"""
EVERYTHING = """
class Other(Base):
    __tablename__ = "everything_other"
    id: Mapped[int] = mapped_column(primary_key=True)


class Everything(Base):
    __tablename__ = "everything"
    {}
    id: Mapped[int] = mapped_column(primary_key=True)
    {}
"""

CASES = [
    Case("inheritance", INHERITANCE.format(""), INHERITANCE.format("more: Mapped[int | None]")),
    Case("many_to_many", MANY.format(""), MANY.format('Column("at", Integer)')),
    Case(
        "composite",
        COMPOSITE.format(""),
        COMPOSITE.format(COMPOSITE_KEY),
        plain={"mysql": "downgrade: leaves the index of the key"},
    ),
    Case(
        "tree",
        TREE.format(""),
        TREE.format(
            "Column('parent', Integer, ForeignKey('tree.id', name='tree_fk', ondelete='SET NULL'))"
        ),
    ),
    Case(
        "by_convention",
        CONVENTION.format(""),
        CONVENTION.format("""y: Mapped[int] = mapped_column(unique=True, server_default="1")
    z: Mapped[int | None] = mapped_column(ForeignKey("by_convention.id"), index=True)
    __table_args__ = (UniqueConstraint("x", "y"),)"""),
    ),
    Case(
        "by_convention_back",
        CONVENTION.replace(
            "by_convention", "by_convention_back"
        ).format("""y: Mapped[int] = mapped_column(unique=True)
    __table_args__ = (UniqueConstraint("x", "y"), CheckConstraint("x > 0", name="positive"))"""),
        CONVENTION.replace("by_convention", "by_convention_back").format(""),
        plain="schema: does not compare checks",
    ),
    Case(
        "everything",
        EVERYTHING.format(
            "", "old: Mapped[str] = mapped_column(String(9), index=True)\n    n: Mapped[int]"
        ),
        EVERYTHING.format(
            "__table_args__ = (UniqueConstraint('n', 'new', name='everything_u'), Index('everything_i', 'n', 'new'))",
            """n: Mapped[int | None] = mapped_column(BigInteger)
    new: Mapped[str] = mapped_column(String(9), index=True, server_default="x")
    other: Mapped[int | None] = mapped_column(ForeignKey(Other.id, name="everything_fk"))""",
        ),
    ),
    one_table(
        "reserved_words",
        'Column("order", Integer), Column("select", Integer, index=True)',
        'Column("order", BigInteger), Column("from", Integer, index=True), Column("group", String(9), server_default="user")',
    ),
    one_table(
        "CamelCase",
        'Column("camelCase", Integer, index=True)',
        'Column("camelCase", BigInteger, index=True), Column("With Space", Integer, index=True)',
    ),
    Case(
        "primary_key_of_two",
        'Table("primary_key_of_two", Base.metadata, Column("a", Integer, primary_key=True), Column("b", Integer, primary_key=True))',
    ),
    Case(
        "without_primary_key",
        'Table("without_primary_key", Base.metadata, Column("a", Integer), Column("b", Integer))',
    ),
    Case(
        "text_as_primary_key",
        'Table("text_as_primary_key", Base.metadata, Column("a", String(9), primary_key=True))',
        'Table("text_as_primary_key", Base.metadata, Column("a", String(20), primary_key=True))',
    ),
    Case(
        "bigger_primary_key",
        'Table("bigger_primary_key", Base.metadata, Column("a", Integer, primary_key=True))',
        'Table("bigger_primary_key", Base.metadata, Column("a", BigInteger, primary_key=True))',
    ),
    Case(
        "bigger_keys",
        'Table("bigger_keys_a", Base.metadata, Column("a", Integer, primary_key=True, autoincrement=False))\n'
        'Table("bigger_keys_b", Base.metadata, Column("a", Integer, primary_key=True, autoincrement=False), Column("b", Integer, ForeignKey("bigger_keys_a.a", name="bigger_keys_fk")))',
        'Table("bigger_keys_a", Base.metadata, Column("a", BigInteger, primary_key=True, autoincrement=False))\n'
        'Table("bigger_keys_b", Base.metadata, Column("a", Integer, primary_key=True, autoincrement=False), Column("b", BigInteger, ForeignKey("bigger_keys_a.a", name="bigger_keys_fk")))',
        plain={"mysql": "upgrade: the foreign key is in the way"},
        here={
            "mysql": "upgrade: The type of a column that a foreign key refers to, on MySQL and MariaDB"
        },
    ),
    Case(
        "primary_key_grows",
        'Table("primary_key_grows", Base.metadata, Column("a", Integer, primary_key=True, autoincrement=False), Column("b", Integer, nullable=False))',
        'Table("primary_key_grows", Base.metadata, Column("a", Integer, primary_key=True, autoincrement=False), Column("b", Integer, primary_key=True, autoincrement=False))',
        plain="schema: sees no change",
        here="generate: A primary key whose columns change",
    ),
    Case(
        "key_other_action",
        'Table("key_other_action", Base.metadata, Column("id", Integer, primary_key=True), Column("x", Integer, ForeignKey("key_other_action.id", name="key_other_action_fk")))',
        'Table("key_other_action", Base.metadata, Column("id", Integer, primary_key=True), Column("x", Integer, ForeignKey("key_other_action.id", name="key_other_action_fk", ondelete="CASCADE")))',
    ),
    one_table(
        "unique_of_column",
        "Column('x', Integer)",
        "Column('x', Integer, unique=True)",
        plain=NO_NAME,
        here=NO_NAME_HERE,
    ),
    one_table(
        "unique_of_column_dropped",
        "Column('x', Integer, unique=True)",
        "Column('x', Integer)",
        plain={"sqlite": "schema: it has no name"},
        here={"sqlite": "schema: A constraint without a name"},
    ),
    one_table(
        "index_renamed",
        "Column('x', Integer), Index('index_renamed_a', 'x')",
        "Column('x', Integer), Index('index_renamed_b', 'x')",
    ),
    one_table(
        "index_other_order",
        "Column('x', Integer), Column('y', Integer), Index('index_other_order_i', 'x', 'y')",
        "Column('x', Integer), Column('y', Integer), Index('index_other_order_i', 'y', 'x')",
    ),
    one_table(
        "index_of_new_column",
        "Column('x', Integer)",
        "Column('x', Integer), Column('y', Integer), Index('index_of_new_column_i', 'x', 'y')",
    ),
    one_table(
        "unique_of_new_column",
        "Column('x', Integer)",
        "Column('x', Integer), Column('y', Integer), UniqueConstraint('x', 'y', name='unique_of_new_column_u')",
    ),
    one_table(
        "index_of_gone_column",
        "Column('x', Integer), Column('y', Integer), Index('index_of_gone_column_i', 'x', 'y')",
        "Column('x', Integer)",
    ),
    one_table(
        "unique_of_gone_column",
        "Column('x', Integer), Column('y', Integer), UniqueConstraint('x', 'y', name='unique_of_gone_column_u')",
        "Column('x', Integer)",
    ),
    one_table(
        "key_of_gone_column",
        "Column('x', Integer, ForeignKey('key_of_gone_column.id', name='key_of_gone_column_fk'))",
        "Column('y', Integer)",
    ),
    one_table(
        "check_of_gone_column",
        "Column('x', Integer), CheckConstraint('x > 0', name='check_of_gone_column_c')",
        "Column('y', Integer)",
        plain={
            "sqlite": "upgrade: the copy of the table has a check of the column",
            "postgresql": "downgrade: does not create the check again",
            "mysql": "downgrade: does not create the check again",
        },
    ),
    one_table(
        "index_descending",
        "Column('x', Integer), Column('y', Integer)",
        "Column('x', Integer), Column('y', Integer), Index('index_descending_i', text('x DESC'), 'y')",
        on=("postgresql",),
    ),
    one_table(
        "index_of_lower",
        "Column('x', String(20))",
        "Column('x', String(20)), Index('index_of_lower_i', func.lower(text('x')))",
        on=("postgresql",),
    ),
    one_table(
        "many_columns",
        ", ".join(f"Column('a{n}', Integer)" for n in range(60)),
        ", ".join(f"Column('b{n}', Integer)" for n in range(60)),
    ),
    Case(
        "circle_without_names",
        """
Table("circle_without_names_a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("b", ForeignKey("circle_without_names_b.id")))
Table("circle_without_names_b", Base.metadata, Column("id", Integer, primary_key=True),
      Column("a", ForeignKey("circle_without_names_a.id")))
""",
        plain={"postgresql": CIRCLE, "mysql": CIRCLE},
        here={"postgresql": CIRCLE_HERE, "mysql": CIRCLE_HERE},
    ),
    Case(
        "use_alter",
        """
Table("use_alter_a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("b", ForeignKey("use_alter_b.id", name="use_alter_ab", use_alter=True)))
Table("use_alter_b", Base.metadata, Column("id", Integer, primary_key=True),
      Column("a", ForeignKey("use_alter_a.id", name="use_alter_ba")))
""",
        plain={"postgresql": "check: leaves the key out", "mysql": "check: leaves the key out"},
    ),
]
