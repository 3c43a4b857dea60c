"""What a database holds, to be compared with what another one holds; and how to empty it."""

import re
from collections.abc import Iterable

import sqlalchemy as sa

Contents = dict[str, list[str]]
"""Facts by what they are about, without the version tables. The order of columns does not count."""

# Facts of PostgreSQL for which the inspector has no words: what they are about, and the fact.
POSTGRESQL = """
    SELECT concat(conrelid::regclass, ' constraints'),
           concat(conname, ' ', pg_get_constraintdef(oid))
    FROM pg_constraint WHERE conrelid <> 0 AND connamespace = ANY(:schemas)
    UNION ALL SELECT concat(indrelid::regclass, ' indexes'), pg_get_indexdef(indexrelid)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = ANY(:schemas)
    UNION ALL SELECT concat(attrelid::regclass, ' collations'),
                     concat(attname, ' ', attcollation::regcollation)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attcollation <> 0 AND NOT attisdropped AND relkind = 'r'
          AND relnamespace = ANY(:schemas)
    UNION ALL SELECT 'relations', concat(relkind, ' ', pg_class.oid::regclass)
    FROM pg_class WHERE relkind NOT IN ('c', 't') AND relnamespace = ANY(:schemas)
    UNION ALL SELECT 'types', concat(typtype, ' ', pg_type.oid::regtype)
    FROM pg_type WHERE typrelid = 0 AND typnamespace = ANY(:schemas)
"""
POSTGRESQL_SCHEMAS = """
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
"""

# Words of SQLite's CREATE TABLE that no PRAGMA tells.
SQLITE_WORDS = r"AUTOINCREMENT|COLLATE \w+|ON CONFLICT \w+|DEFERRABLE|INITIALLY \w+|STRICT|ROWID"


def contents(connection: sa.Connection) -> Contents:
    """Return what a database holds, all schemas of a PostgreSQL database included."""
    dialect = connection.dialect.name
    found: Contents = {}
    inspector = sa.inspect(connection)
    schemas: list[str | None] = [None]
    if dialect == "postgresql":
        all_schemas = connection.execute(sa.text(POSTGRESQL_SCHEMAS)).all()
        schemas = [name for _, name in all_schemas]
        oids = [oid for oid, _ in all_schemas]
        for about, fact in connection.execute(sa.text(POSTGRESQL), {"schemas": oids}):
            found.setdefault(about, []).append(fact)
        for enum in inspector.get_enums("*"):  # type: ignore[attr-defined]
            found[f"enum {enum['schema']}.{enum['name']}"] = enum["labels"]
    elif dialect == "sqlite":
        rows = connection.exec_driver_sql("SELECT type, tbl_name, sql FROM sqlite_schema")
        for kind, table, sql in rows.all():
            if kind == "table":
                found[f"{table} words"] = sorted(re.findall(SQLITE_WORDS, sql, re.IGNORECASE))
            elif sql:
                code = re.sub(r"[\"\s]", "", sql)
                found.setdefault(f"{table} {kind}", []).append(code)
    else:
        for table in inspector.get_table_names():
            sql = str(connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").all()[0][1])
            # The index of a foreign key is named like the key or, if that has no name, its column.
            sql = re.sub(r"KEY `\w+_ibfk_\d+` \(`(\w+)`", r"KEY `\1` (`\1`", sql)
            sql = re.sub(r"AUTO_INCREMENT=\d+ |_ibfk_\d+", "", sql)
            found[table] = [line.strip(" ,") for line in sql.splitlines()]
        schemas = []
    parts = ["columns", "pk_constraint", "foreign_keys", "unique_constraints", "check_constraints"]
    for part in [*parts, *(["table_comment"] if connection.dialect.supports_comments else [])]:
        for schema in schemas:
            reflected = getattr(inspector, f"get_multi_{part}")(schema)
            for (_, table), items in reflected.items():
                items = items if isinstance(items, list) else [items]
                found[f"{schema or ''}.{table} {part}"] = [repr(item) for item in items]
    connection.rollback()
    return {
        about: sorted(fact for fact in facts if "alembic_version" not in fact)
        for about, facts in found.items()
        if "alembic_version" not in about and facts
    }


def differences(before: Contents, after: Contents) -> str:
    """Return what one has and the other has not, or an empty string."""
    found = []
    for about in sorted({*before, *after}):
        ones, others = set(before.get(about, ())), set(after.get(about, ()))
        found += [f"{about}: missing {fact}" for fact in sorted(ones - others)]
        found += [f"{about}: unexpected {fact}" for fact in sorted(others - ones)]
    return "\n".join(found)


def empty(connection: sa.Connection) -> None:
    """Drop all that a database holds; one of SQLite is in memory, and begins anew."""
    connection.rollback()
    if connection.dialect.name == "sqlite":
        assert connection.engine.url.database is None
        connection.invalidate()
        connection.rollback()
        return
    statements: Iterable[str]
    if connection.dialect.name == "postgresql":
        names = [name for _, name in connection.execute(sa.text(POSTGRESQL_SCHEMAS))]
        statements = [f'DROP SCHEMA "{name}" CASCADE' for name in names] + ["CREATE SCHEMA public"]
    else:
        name = connection.engine.url.database
        statements = [f"DROP DATABASE {name}", f"CREATE DATABASE {name}", f"USE {name}"]
    for statement in statements:
        connection.exec_driver_sql(statement)
    connection.commit()
