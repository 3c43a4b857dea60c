"""What a test leaves in a PostgreSQL database, no other test finds there."""

from servers import new_database

LEFT = [
    'CREATE SCHEMA "by hand"',
    "CREATE TYPE kind AS ENUM ('a', 'b')",
    'CREATE TABLE "by hand"."Table" (id serial PRIMARY KEY, kind kind)',
    "CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY RANGE (id)",
    "CREATE TABLE part PARTITION OF parts FOR VALUES FROM (1) TO (2)",
    "CREATE VIEW seen AS SELECT * FROM parts",
    "CREATE MATERIALIZED VIEW kept AS SELECT * FROM seen",
    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
    "CREATE FUNCTION one() RETURNS positive LANGUAGE sql AS 'SELECT 1'",
    "CREATE SEQUENCE counted",
]

CHANGES = [
    "ALTER DATABASE {name} SET default_transaction_read_only = on",
    "GRANT ALL ON SCHEMA public TO pg_monitor",
    "SELECT lo_create(0)",
]


def test_a_database_is_emptied_and_used_again() -> None:
    with new_database("postgresql") as first:
        for statement in LEFT:
            first.query(statement)
    with new_database("postgresql") as second:
        assert second == first
        assert second.query("SELECT objid FROM pg_depend WHERE objid >= 16384") == []


def test_a_database_that_is_not_as_it_was_is_dropped() -> None:
    for statement in CHANGES:
        with new_database("postgresql") as first:
            first.query(statement.format(name=first.url.database))
        with new_database("postgresql") as second:
            assert second != first, statement
