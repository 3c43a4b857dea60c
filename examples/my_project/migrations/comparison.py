"""What Alembic's autogenerate overlooks, gets wrong or asks too often, put right for every app."""

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, TypeGuard, TypeVar

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import (
    BIGINT,
    INTEGER,
    CheckConstraint,
    Column,
    DefaultClause,
    Dialect,
    Enum,
    Identity,
    Inspector,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    TextClause,
    UniqueConstraint,
    bindparam,
    event,
    inspect,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable, conv
from sqlalchemy.types import SchemaType, TypeEngine

from .enum_types import EnumTypeOp, compare_enum_types, default_of, enum_reference

# A text in SQL, and the cast that PostgreSQL adds.
LITERAL = re.compile(r"""'((?:[^']|'')*)'(::[\w ".(),\[\]]+)?""")

SERIALS = text("""
    SELECT t.relname, a.attname,
           'nextval(' || quote_literal(CAST(CAST(s.oid AS regclass) AS text)) || '::regclass)'
    FROM pg_class s
    JOIN pg_depend d ON d.objid = s.oid AND d.classid = CAST('pg_class' AS regclass)
    JOIN pg_class t ON t.oid = d.refobjid AND d.refclassid = CAST('pg_class' AS regclass)
    JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    WHERE s.relkind = 'S' AND n.nspname IN :schemas
""").bindparams(bindparam("schemas", expanding=True))

RENEWED = "foreign keys that a downgrade has to make anew"

TableOp = TypeVar("TableOp", ops.CreateTableOp, ops.DropTableOp)


def compare_type(
    context: MigrationContext,
    _reflected: Column[Any],
    _model: Column[Any],
    in_database: TypeEngine[Any],
    wanted: TypeEngine[Any],
) -> bool | None:
    """Whether a type changed; None leaves the decision to Alembic."""
    if not isinstance(in_database, postgresql.ENUM) or not isinstance(wanted, Enum):
        return None
    # Models may name the default schema, and then types have it as well.
    default_schema = context.dialect.default_schema_name
    schemas = {None if s == default_schema else s for s in (in_database.schema, wanted.schema)}
    return in_database.name != wanted.name or len(schemas) > 1


def compare_server_default(
    context: AutogenContext,
    change: ops.AlterColumnOp,
    _schema: str | None,
    _table: str,
    _column: str,
    reflected: Column[Any],
    model: Column[Any],
) -> PriorityDispatchResult:
    """Compare server defaults where Alembic finds a change that is none, or fails.

    As `compare_server_default` of `context.configure` it would break on a Computed and an Identity.
    """
    assert context.dialect is not None
    before, after = reflected.server_default, model.server_default
    if isinstance(after, Identity) and not context.dialect.supports_identity_columns:
        return PriorityDispatchResult.STOP
    if not isinstance(after, DefaultClause) or not isinstance(before, DefaultClause | None):
        return PriorityDispatchResult.CONTINUE
    in_database = None if before is None else str(before.arg)
    if context.dialect.name in ("mysql", "mariadb"):
        changed = mysql_default_changed(context, reflected, in_database, model)
    else:
        changed = default_changed(context.dialect, in_database, model)
    if changed is None:
        return PriorityDispatchResult.CONTINUE
    if changed:
        change.modify_server_default = after
    return PriorityDispatchResult.STOP


def default_changed(dialect: Dialect, in_database: str | None, model: Column[Any]) -> bool | None:
    """Whether a server default changed; None leaves the decision to Alembic."""
    assert isinstance(model.server_default, DefaultClause)
    if in_database is None:
        return None
    wanted = model.server_default.arg
    words = wanted if isinstance(wanted, str) else None
    literal = default_of(model, dialect)
    # Alembic stumbles over quotes: here it leaves them out, there it forgets to double them.
    if in_database in (words, literal) or in_database.startswith(f"{literal}::"):
        return False
    # It has PostgreSQL compare the values, which fails for json, and for a new enum value.
    as_text = isinstance(model.type, String) or in_database.endswith("::json")
    return True if words and (as_text or "'" in words) else None


def mysql_default_changed(
    context: AutogenContext, reflected: Column[Any], in_database: str | None, model: Column[Any]
) -> bool | None:
    """Whether a server default changed, for MySQL and MariaDB; None where they cannot tell.

    They rewrite defaults, each in its way and by the column's type: of '1' they make 1.00, of
    (uuid()) uuid(). So a temporary table, which commits nothing, shows what becomes of this one.
    """
    assert context.dialect is not None
    assert context.connection is not None
    assert isinstance(model.server_default, DefaultClause)
    wanted = model.server_default.arg
    if isinstance(wanted, str):
        escaped = wanted.replace("\\", "\\\\")
        same = in_database in (escaped, "'" + escaped.replace("'", "''") + "'")
    else:
        rendered = str(default_of(model, context.dialect))
        same = mysql_words(in_database or "NULL") == mysql_words(rendered)
    if same:
        return False
    column = Column(
        reflected.name,
        reflected.type,
        server_default=DefaultClause(wanted),
        nullable=reflected.nullable,
    )
    scratch = Table("alembic_default", MetaData(), column, prefixes=["TEMPORARY"])
    try:
        context.connection.execute(CreateTable(scratch))
    except DBAPIError:  # the default is not valid here, or the user may not
        return None
    [shown] = inspect(context.connection).get_columns(scratch.name)
    context.connection.exec_driver_sql(f"DROP TEMPORARY TABLE {scratch.name}")
    return shown["default"] != in_database


def mysql_words(default: str) -> str:
    """A default as MySQL and MariaDB show it, to whom `true` is 1 and now() only an alias."""
    default = re.sub(r"\bnow\b", "current_timestamp", default.lower().replace("()", ""))
    return {"true": "1", "false": "0"}.get(default, default)


def find_serials(
    context: AutogenContext, _upgrade: ops.UpgradeOps, schemas: Iterable[str | None]
) -> PriorityDispatchResult:
    """Ask PostgreSQL once for every SERIAL column; Alembic would, for each of them."""
    assert context.connection is not None
    names = [schema or context.dialect.default_schema_name for schema in schemas]
    serials = context.connection.execute(SERIALS, {"schemas": names})
    context.inspector.info_cache[SERIALS] = {tuple(row) for row in serials}
    return PriorityDispatchResult.CONTINUE


@event.listens_for(Table, "column_reflect")
def omit_default_of_serial(inspector: Inspector, table: Table, column: ReflectedColumn) -> None:
    """Take away the default that makes a column SERIAL: models do not have it either."""
    found = (table.name, column["name"], column.get("default"))
    serial = found in inspector.info_cache.get(SERIALS, ())
    if serial and isinstance(column["type"], INTEGER | BIGINT):
        column["default"] = None


@event.listens_for(Table, "column_reflect")
def keep_colons(inspector: Inspector, _table: Table, column: ReflectedColumn) -> None:
    """Escape colons in defaults, which would become parameters when SQLite copies the table."""
    if inspector.dialect.name == "sqlite" and (default := column.get("default")):
        column["default"] = re.sub(r"(?<![:\w]):(?=\w)", r"\:", default)


def compare_checks(
    context: AutogenContext,
    changes: ops.ModifyTableOps,
    _schema: str | None,
    _name: str,
    reflected: Table | None,
    model: Table | None,
) -> PriorityDispatchResult:
    """Compare check constraints by name, which Alembic by itself does not.

    Their conditions cannot be compared: databases rewrite them. With the project's naming
    convention a check has another name when its condition has changed.
    """
    if reflected is None or model is None:
        return PriorityDispatchResult.CONTINUE

    def final_name(check: CheckConstraint) -> str:
        return str(context.dialect.identifier_preparer.format_constraint(check))

    checks = [check for check in model.constraints if isinstance(check, CheckConstraint)]
    named = [check for check in checks if isinstance(check.name, str)]
    # The checks of Boolean and Enum columns come and go with their columns.
    of_types = {final_name(check) for check in named if check._type_bound}
    of_types |= {str(c.type.name) for c in model.columns if isinstance(c.type, SchemaType)}
    wanted = {final_name(check): check for check in named if not check._type_bound}
    existing = {
        final_name(check): check
        for check in reflected.constraints
        if isinstance(check, CheckConstraint) and check.name
    }
    # One that the database named could be any of those that the models leave unnamed.
    if named == checks:
        for name in sorted(existing.keys() - wanted.keys() - of_types):
            changes.ops.append(ops.DropConstraintOp.from_constraint(existing[name]))
    for name in sorted(wanted.keys() - existing.keys()):
        changes.ops.append(ops.AddConstraintOp.from_constraint(wanted[name]))
    return PriorityDispatchResult.CONTINUE


def add_keys_to_new_table(
    context: AutogenContext,
    changes: ops.ModifyTableOps,
    _schema: str | None,
    _name: str,
    reflected: Table | None,
    model: Table | None,
) -> PriorityDispatchResult:
    """Create the foreign keys with `use_alter` of a new table; Alembic would the next time."""
    assert context.dialect is not None
    if reflected is None and model is not None and context.dialect.supports_alter:
        keys = [key for key in model.foreign_key_constraints if key.use_alter]
        changes.ops.extend(ops.CreateForeignKeyOp.from_constraint(key) for key in keys)
    return PriorityDispatchResult.CONTINUE


def compare_key_indexes(
    _context: AutogenContext,
    changes: ops.ModifyTableOps,
    schema: str | None,
    name: str,
    reflected: Table | None,
    model: Table | None,
) -> PriorityDispatchResult:
    """Spell out the index that MySQL makes for a foreign key without one.

    Otherwise it stays behind when the key is dropped.
    """
    if reflected is None or model is None:
        return PriorityDispatchResult.CONTINUE
    made = {str(index.name): index for index in reflected.indexes}
    for position, change in reversed(list(enumerate(changes.ops))):
        if drops_foreign_key(change) and (index := made.get(str(change.constraint_name))):
            columns = [model.columns.get(column.name) for column in index.columns]
            if not any(column is not None and column.foreign_keys for column in columns):
                changes.ops.append(ops.DropIndexOp.from_index(index))
        elif isinstance(change, ops.CreateForeignKeyOp) and isinstance(change.constraint_name, str):
            new = ops.CreateIndexOp(
                conv(change.constraint_name), name, change.local_cols, schema=schema
            )
            if not indexes_on(model, change.local_cols):
                changes.ops.insert(position, new)
    return PriorityDispatchResult.CONTINUE


def keep_keys_indexed(
    _context: AutogenContext,
    changes: ops.ModifyTableOps,
    schema: str | None,
    name: str,
    reflected: Table | None,
    model: Table | None,
) -> PriorityDispatchResult:
    """See that no index is dropped which a foreign key needs: MySQL refuses that.

    The index that it made for the key goes by itself as soon as the columns have another.
    """
    if reflected is None or model is None:
        return PriorityDispatchResult.CONTINUE
    # By name: a table that another one refers to may have been reflected twice.
    keys = {str(key.name): key for key in reflected.foreign_key_constraints}
    for change in filter(drops_foreign_key, changes.ops):
        keys.pop(str(change.constraint_name), None)
    for key_name, key in keys.items():
        before = indexes_on(reflected, key.column_keys)
        after = indexes_on(model, key.column_keys)
        made = before & {key_name, key.column_keys[0]}
        if after - before and before == made:
            changes.info.setdefault(RENEWED, []).append(key)
        elif not after and not made:
            new = ops.CreateIndexOp(conv(key_name), name, key.column_keys, schema=schema)
            changes.ops.insert(0, new)
    return PriorityDispatchResult.CONTINUE


def indexes_on(table: Table, columns: Sequence[str]) -> set[str]:
    """The names of the indexes and constraints of a table that begin with these columns."""
    keys = [c for c in table.constraints if isinstance(c, UniqueConstraint | PrimaryKeyConstraint)]
    found = [(str(i.name), [column.name for column in i.columns]) for i in [*table.indexes, *keys]]
    return {name for name, names in found if names[: len(columns)] == list(columns)}


def arrange(context: MigrationContext, _revision: Any, scripts: list[ops.MigrationScript]) -> None:
    """Put the operations of new revisions into an order that every database accepts."""
    # Some drivers get every percent sign twice; a revision must have it once.
    dialect = copy(context.impl.dialect)
    dialect.paramstyle, dialect.positional = "named", False
    dialect.identifier_preparer = dialect.preparer(dialect)
    context.impl.dialect = dialect
    for script in scripts:
        containers = [c for c in (script.upgrade_ops, script.downgrade_ops) if c is not None]
        # What the one direction drops, the other creates.
        references = dict(references_of(op) for container in containers for op in container.ops)
        renew_keys(*containers)
        for container in containers:
            container.ops = arranged(container.ops, references)


def renew_keys(upgrade: ops.OpContainer, downgrade: ops.OpContainer) -> None:
    """Have a downgrade make foreign keys anew whose own index has gone: they get it again."""
    for operation, back in zip(upgrade.ops, downgrade.ops[::-1], strict=True):
        for key in operation.info.get(RENEWED, ()):
            assert isinstance(back, ops.ModifyTableOps)
            back.ops.append(ops.DropConstraintOp.from_constraint(key))
            back.ops.append(ops.CreateForeignKeyOp.from_constraint(key))


def references_of(operation: ops.MigrateOperation) -> tuple[str, set[str]]:
    """The name of a new table, and the names of those that it refers to."""
    if not isinstance(operation, ops.CreateTableOp):
        return "", set()
    columns = [item for item in operation.columns if isinstance(item, Column)]
    keys = [key for column in columns for key in column.foreign_keys if not key.use_alter]
    return full_name(operation), {key.target_fullname.rpartition(".")[0] for key in keys}


def full_name(operation: TableOp) -> str:
    """The name of a table as SQLAlchemy has it in its foreign keys."""
    return ".".join(filter(None, (operation.schema, operation.table_name)))


def arranged(
    operations: Iterable[ops.MigrateOperation], references: Mapping[str, set[str]]
) -> list[ops.MigrateOperation]:
    """Types and new tables first, then changes, and last what goes.

    Labels are added before all else: that commits what came before it.
    """
    added: list[ops.MigrateOperation] = []
    types: list[ops.MigrateOperation] = []
    new: list[ops.CreateTableOp] = []
    changes: list[ops.ModifyTableOps] = []
    drops: list[ops.DropTableOp] = []
    unused: list[ops.MigrateOperation] = []
    for operation in operations:
        match operation:
            case ops.CreateTableOp():
                new.append(operation)
            case ops.DropTableOp():
                drops.append(operation)
            case ops.ModifyTableOps():
                # MySQL keeps an index for as long as a foreign key needs it.
                operation.ops.sort(
                    key=lambda op: isinstance(op, ops.CreateForeignKeyOp) - drops_foreign_key(op)
                )
                changes.append(operation)
            case EnumTypeOp(only_adds=True):
                added.append(operation)
            case EnumTypeOp(after=None):
                unused.append(operation)
            case _:
                types.append(operation)
    # A table takes its indexes with it, but waits for the keys of others.
    gone = {(drop.schema, drop.table_name) for drop in drops}
    for change in changes:
        if (change.schema, change.table_name) in gone:
            change.ops = list(filter(drops_foreign_key, change.ops))
    changes = [change for change in changes if change.ops]
    new, drops = referred_first(new, references), referred_first(drops, references)[::-1]
    return [*added, *types, *new, *changes, *drops, *unused]


def drops_foreign_key(operation: ops.MigrateOperation) -> TypeGuard[ops.DropConstraintOp]:
    """Whether an operation drops a foreign key."""
    return isinstance(operation, ops.DropConstraintOp) and operation.constraint_type == "foreignkey"


def referred_first(
    operations: Iterable[TableOp], references: Mapping[str, set[str]]
) -> list[TableOp]:
    """Order whole tables: each stands behind those that it refers to."""
    tables = {full_name(operation): operation for operation in operations}
    graph = {name: references.get(name, set()) & tables.keys() - {name} for name in sorted(tables)}
    try:
        return [tables[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError:  # they need an order made by hand
        return list(tables.values())


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """The code for something in a revision; False leaves it to Alembic.

    Which forgets the imports of types, and doubles percent signs in the defaults it has read.
    """
    if kind == "server_default" and isinstance(item, DefaultClause):
        literal = LITERAL.fullmatch(str(item.arg))
        if literal and isinstance(item.arg, TextClause):
            return repr(literal[1].replace("''", "'"))
    if kind == "type":
        if context.dialect.name == "postgresql" and (code := enum_reference(item, context)):
            return code
        if not type(item).__module__.startswith("sqlalchemy."):
            context.imports.add(f"import {type(item).__module__}")
    return False


plugin = Plugin("migrations.comparison")
plugin.add_autogenerate_comparator(compare_checks, "table", "checks")
plugin.add_autogenerate_comparator(add_keys_to_new_table, "table", "keys")
plugin.add_autogenerate_comparator(
    compare_server_default, "column", "server_default", priority=DispatchPriority.FIRST
)
plugin.add_autogenerate_comparator(
    find_serials, "schema", "serials", qualifier="postgresql", priority=DispatchPriority.FIRST
)
for dialect in ("mysql", "mariadb"):
    for comparator in (compare_key_indexes, keep_keys_indexed):
        plugin.add_autogenerate_comparator(
            comparator, "table", qualifier=dialect, priority=DispatchPriority.LAST
        )
plugin.add_autogenerate_comparator(
    compare_enum_types, "schema", "enum types", qualifier="postgresql"
)
