"""Changes on MySQL and MariaDB."""

from catalogue import one_table

CASES = [
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
]
