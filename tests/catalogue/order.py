"""Changes whose operations need an order: tables, columns and keys that wait for each other."""

from catalogue import Case

PLAIN = {
    "postgresql": "upgrade: refers to what is not unique yet",
    "mysql": "upgrade: refers to what is not there yet",
}

CASES = [
    Case(
        "key_to_new_unique",
        """
Table("key_to_new_unique_a", Base.metadata, Column("id", Integer, primary_key=True))
Table("key_to_new_unique_b", Base.metadata, Column("id", Integer, primary_key=True))
""",
        """
Table("key_to_new_unique_a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("code", Integer),
      ForeignKeyConstraint(["code"], ["key_to_new_unique_b.code"], name="key_to_new_unique_fk"))
Table("key_to_new_unique_b", Base.metadata, Column("id", Integer, primary_key=True),
      Column("code", Integer),
      UniqueConstraint("code", name="key_to_new_unique_u"))
""",
        plain=PLAIN,
    ),
    Case(
        "table_to_new_unique",
        """
Table("table_to_new_unique_b", Base.metadata, Column("id", Integer, primary_key=True), Column("code", Integer))
""",
        """
Table("table_to_new_unique_a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("code", Integer),
      ForeignKeyConstraint(["code"], ["table_to_new_unique_b.code"], name="table_to_new_unique_fk"))
Table("table_to_new_unique_b", Base.metadata, Column("id", Integer, primary_key=True),
      Column("code", Integer), Index("table_to_new_unique_i", "code", unique=True))
""",
        plain=PLAIN,
    ),
    Case(
        "unique_goes_with_key",
        """
Table("unique_goes_with_key_a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("code", Integer), UniqueConstraint("code", name="unique_goes_with_key_u"))
Table("unique_goes_with_key_b", Base.metadata, Column("id", Integer, primary_key=True),
      Column("code", Integer),
      ForeignKeyConstraint(["code"], ["unique_goes_with_key_a.code"], name="unique_goes_with_key_fk"))
""",
        """
Table("unique_goes_with_key_a", Base.metadata, Column("id", Integer, primary_key=True), Column("code", Integer))
Table("unique_goes_with_key_b", Base.metadata, Column("id", Integer, primary_key=True), Column("code", Integer))
""",
        plain=PLAIN,
    ),
    Case(
        "unique_goes_with_table",
        """
Table("unique_goes_with_table_a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("code", Integer), UniqueConstraint("code", name="unique_goes_with_table_u"))
Table("unique_goes_with_table_b", Base.metadata, Column("id", Integer, primary_key=True),
      Column("code", Integer),
      ForeignKeyConstraint(["code"], ["unique_goes_with_table_a.code"], name="unique_goes_with_table_fk"))
""",
        """
Table("unique_goes_with_table_a", Base.metadata, Column("id", Integer, primary_key=True), Column("code", Integer))
""",
    ),
    Case(
        "column_goes_with_key",
        """
Table("column_goes_with_key_a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("code", Integer), UniqueConstraint("code", name="column_goes_with_key_u"))
Table("column_goes_with_key_b", Base.metadata, Column("id", Integer, primary_key=True),
      Column("code", Integer),
      ForeignKeyConstraint(["code"], ["column_goes_with_key_a.code"], name="column_goes_with_key_fk"))
""",
        """
Table("column_goes_with_key_a", Base.metadata, Column("id", Integer, primary_key=True))
Table("column_goes_with_key_b", Base.metadata, Column("id", Integer, primary_key=True), Column("code", Integer))
""",
        plain=PLAIN,
    ),
    Case(
        "circle_created",
        "Table('circle_created_c', Base.metadata, Column('id', Integer, primary_key=True))",
        """
Table('circle_created_c', Base.metadata, Column('id', Integer, primary_key=True))
Table("circle_created_a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("c", ForeignKey("circle_created_c.id", name="circle_created_ac")),
      Column("b", ForeignKey("circle_created_b.id", name="circle_created_ab")))
Table("circle_created_b", Base.metadata, Column("id", Integer, primary_key=True),
      Column("b", ForeignKey("circle_created_b.id", name="circle_created_bb")),
      Column("a", ForeignKey("circle_created_a.id", name="circle_created_ba")))
""",
        plain=PLAIN,
    ),
    Case(
        "circle_dropped",
        """
Table("circle_dropped_a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("b", ForeignKey("circle_dropped_b.id", name="circle_dropped_ab")))
Table("circle_dropped_b", Base.metadata, Column("id", Integer, primary_key=True),
      Column("a", ForeignKey("circle_dropped_a.id", name="circle_dropped_ba")))
Table("circle_dropped_c", Base.metadata, Column("id", Integer, primary_key=True))
""",
        "Table('circle_dropped_c', Base.metadata, Column('id', Integer, primary_key=True))",
        plain=PLAIN,
    ),
    Case(
        "dependent_on",
        """
for name, other in (("c", None), ("b", "c"), ("a", "b"), ("d", "a")):
    table = Table(
        f"dependent_on_{name}", Base.metadata, Column("x", Integer),
        postgresql_inherits=other and f"dependent_on_{other}")
    if other:
        table.add_is_dependent_on(Base.metadata.tables[f"dependent_on_{other}"])
""",
        on=("postgresql",),
    ),
    Case(
        "circle_in_schema",
        """
class Base(DeclarativeBase):
    metadata = MetaData(schema="circle_in_schema")


Table("a", Base.metadata, Column("id", Integer, primary_key=True),
      Column("b", ForeignKey("circle_in_schema.b.id", name="circle_ab")))
Table("b", Base.metadata, Column("id", Integer, primary_key=True), Column("code", Integer),
      Column("a", ForeignKey("circle_in_schema.a.id", name="circle_ba")))
""",
        """
class Base(DeclarativeBase):
    metadata = MetaData(schema="circle_in_schema")


Table("a", Base.metadata, Column("id", Integer, primary_key=True), Column("code", Integer),
      Column("b", ForeignKey("circle_in_schema.b.id", name="circle_ab")),
      ForeignKeyConstraint(["code"], ["circle_in_schema.b.code"], name="circle_code"))
Table("b", Base.metadata, Column("id", Integer, primary_key=True), Column("code", Integer),
      UniqueConstraint("code", name="circle_code_u"),
      Column("a", ForeignKey("circle_in_schema.a.id", name="circle_ba")))
""",
        on=("postgresql",),
        plain="upgrade: refers to what is not there yet",
        setup="CREATE SCHEMA circle_in_schema",
    ),
]
