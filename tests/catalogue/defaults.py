"""Server defaults: in a new table, and given to a column that had none."""

from catalogue import Case, one_table

NONE: dict[str, str] = {}
AGAIN = {"mysql": "check: finds a change again"}
EVERYWHERE = AGAIN | {"postgresql": "check: finds a change again"}

DEFAULTS = {
    "true": ("Boolean", "true()", AGAIN),
    "false_text": ("Boolean", "'0'", NONE),
    "number": ("Integer", "text('1')", NONE),
    "negative": ("Integer", "'-1'", NONE),
    "sum": ("Integer", "text('(1 + 2)')", NONE),
    "numeric": ("Numeric(10, 2)", "'1.50'", NONE),
    "number_of_text": ("Numeric(10, 2)", "text('0')", AGAIN),
    "date": ("Date", "'2020-01-01'", AGAIN),
    "current": ("DateTime", "func.current_timestamp()", NONE),
    "text_now": ("DateTime", "text('CURRENT_TIMESTAMP')", NONE),
    "empty_text": ("String(9)", "text(\"''\")", NONE),
    "colon": ("String(20)", "'a:b'", NONE),
    "backslash": ("String(20)", "'a\\\\b'", AGAIN),
    "percent": ("String(20)", "'5%'", NONE),
    "unicode": ("String(20)", "'中'", NONE),
    "brackets": ("String(20)", "'{}'", NONE),
    "function": ("String(20)", "func.lower('A')", AGAIN),
}


def defaults() -> list[Case]:
    """Two cases for each default: one that settles, and one where it is added."""
    found = []
    for name, (kind, default, plain) in DEFAULTS.items():
        column = f"Column('x', {kind}, server_default={default})"
        found.append(one_table(f"default_{name}", column, plain=plain))
        here = {"mysql": "schema: A default that is a function, on MySQL and MariaDB"}
        found.append(
            one_table(
                f"default_added_{name}",
                f"Column('x', {kind})",
                column,
                plain=plain,
                here=here if name == "function" else {},
            )
        )
    return found


CASES = [
    *defaults(),
    one_table(
        "default_null", "Column('x', String(9), server_default=text('NULL'))", plain=EVERYWHERE
    ),
]
