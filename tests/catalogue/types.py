"""Types of columns: how they settle, and how they change."""

from catalogue import Case, one_table

KINDS = [
    "BigInteger", "Boolean", "Date", "DateTime", "DateTime(timezone=True)", "Double", "Float",
    "Integer", "Interval", "JSON", "LargeBinary", "Numeric", "Numeric(12, 4)", "SmallInteger",
    "String(7)", "Text", "Time", "Unicode(7)", "UnicodeText", "Uuid", "CHAR(3)", "VARCHAR(9)",
    "Enum('a', 'b', native_enum=False)", "Enum('a', 'b', native_enum=False, length=20)",
    "PickleType", "String(7, collation=None)", "Uuid(as_uuid=False)", "Uuid(native_uuid=False)",
]  # fmt: skip


def changed(name: str, before: str, after: str, **options: object) -> Case:
    """A column whose type changes, and that has a value for both."""
    return one_table(name, f"Column('x', {before})", f"Column('x', {after})", **options)  # type: ignore[arg-type]


CASES = [
    one_table("every_type", ", ".join(f"Column('x{n}', {kind})" for n, kind in enumerate(KINDS))),
    changed("string_to_text", "String(50)", "Text"),
    changed("text_to_string", "Text, nullable=False", "String(50), nullable=False"),
    changed("string_shorter", "String(50)", "String(20)"),
    changed("integer_to_string", "Integer", "String(20)", on=("sqlite", "mysql")),
    changed("date_to_datetime", "Date", "DateTime"),
    changed("datetime_to_date", "DateTime", "Date"),
    changed("float_to_numeric", "Float", "Numeric(10, 2)"),
    changed("small_to_big", "SmallInteger", "BigInteger"),
    changed("integer_to_numeric", "Integer", "Numeric(10, 2)"),
    changed(
        "integer_with_default", "Integer, server_default='1'", "BigInteger, server_default='2'"
    ),
    changed(
        "enum_as_text",
        "Enum('a', 'b', native_enum=False)",
        "Enum('a', 'longer', native_enum=False)",
    ),
    changed(
        "boolean_checked",
        "Integer), Column('y', Boolean(create_constraint=True, name='boolean_checked_y')",
        "BigInteger), Column('y', Boolean(create_constraint=True, name='boolean_checked_y')",
    ),
    one_table(
        "boolean_checked_added",
        "Column('x', Integer)",
        "Column('y', Boolean(create_constraint=True, name='boolean_checked_added_y'))",
        on=("postgresql", "mysql"),
    ),
    changed("char_longer", "CHAR(3)", "CHAR(5)"),
    changed(
        "json_to_text",
        "JSON",
        "Text",
        on=("sqlite", "mysql"),
        plain={"mysql": "downgrade: MariaDB no longer checks the JSON"},
        here={"mysql": "downgrade: `JSON` that becomes text, on MariaDB"},
    ),
    Case(
        "custom_type",
        """
class CustomType(TypeDecorator):
    impl = String(9)
    cache_ok = True

Table("custom_type", Base.metadata, Column("id", Integer, primary_key=True), Column("x", CustomType))
""",
        """
class CustomType(TypeDecorator):
    impl = String(20)
    cache_ok = True

Table("custom_type", Base.metadata, Column("id", Integer, primary_key=True), Column("x", CustomType),
      Column("y", CustomType, nullable=False, server_default="y"))
""",
        plain="upgrade: does not import the type",
    ),
    Case(
        "variant",
        """
Table("variant", Base.metadata, Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
      Column("x", JSON().with_variant(postgresql.JSONB, "postgresql")))
""",
        """
Table("variant", Base.metadata, Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
      Column("x", JSON().with_variant(postgresql.JSONB, "postgresql")),
      Column("y", String(20).with_variant(Text, "sqlite")))
""",
        plain={
            "sqlite": "upgrade: does not import a type",
            "mysql": "upgrade: does not import a type",
        },
    ),
]
