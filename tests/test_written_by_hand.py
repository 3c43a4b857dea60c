"""What autogenerate cannot write: `check` and `generate` name it, and say what to do."""

from pathlib import Path

from project import bake
from servers import Database

MODELS = """
from sqlalchemy import *
from sqlalchemy.dialects.postgresql import INT4RANGE, ExcludeConstraint

metadata = MetaData()
{}
"""

NUMBERS = "Column('id', Integer, {}), Column('number', Integer, {})"
TWICE = "Column('n', Integer), Column('twice', Integer{})"
PERIODS = "Column('id', Integer, primary_key=True), Column('period', INT4RANGE){}"

# A table before and after a change, and what is said of it.
CHANGES = [
    (
        NUMBERS.format("primary_key=True, autoincrement=False", "nullable=False"),
        NUMBERS.format("primary_key=True, autoincrement=False", "primary_key=True"),
        "the primary key of {} changes from (id) to (id, number)",
    ),
    (
        TWICE.format(""),
        TWICE.format(", Computed('n * 2', persisted=True)"),
        "model and database compute {}.twice differently",
    ),
    (
        TWICE.format(", Computed('n * 2', persisted=True)"),
        TWICE.format(""),
        "model and database compute {}.twice differently",
    ),
]
BUT_NOT_MYSQL = [
    (
        TWICE.format(", Computed('n * 2', persisted=True)"),
        TWICE.format(", Computed('n + n', persisted=True)"),
        "model and database compute {}.twice differently",
    ),
]
ONLY_POSTGRESQL = [
    (
        PERIODS.format(""),
        PERIODS.format(", ExcludeConstraint(('period', '&&'), name='no_overlap_1')"),
        "{} has gained or lost an EXCLUDE constraint",
    ),
    (
        PERIODS.format(", ExcludeConstraint(('period', '&&'), name='no_overlap_2')"),
        PERIODS.format(""),
        "{} has gained or lost an EXCLUDE constraint",
    ),
    (
        "Column('id', Integer, primary_key=True)",
        "Column('id', Integer, Identity(), primary_key=True)",
        "the identity of {}.id differs from its model",
    ),
    (
        "Column('id', Integer, Identity(), primary_key=True)",
        "Column('id', Integer, primary_key=True)",
        "the identity of {}.id differs from its model",
    ),
]
UNNAMED = (PERIODS.format(", ExcludeConstraint(('period', '&&'))"),) * 2


def test_what_has_to_be_written_by_hand(tmp_path: Path, database: Database) -> None:
    kind = database.url.get_backend_name()
    project = bake(tmp_path, apps="shop", database=kind)
    project.environment["DATABASE_URL"] = database.text
    changes = [*CHANGES, *(BUT_NOT_MYSQL if kind != "mysql" else [])]
    changes += ONLY_POSTGRESQL if kind == "postgresql" else []
    project.set_ini("shop", "metadata", f"{project.package.name}.shop.models:metadata")

    def write(changed: int) -> None:
        tables = [pair[number == changed] for number, pair in enumerate(changes)]
        tables += UNNAMED[:1] if kind == "postgresql" else []
        lines = [f"Table('t{number}', metadata, {it})" for number, it in enumerate(tables)]
        project.models("shop").write_text(MODELS.format("\n".join(lines)))

    write(changed=-1)
    project.revise("shop")
    project.migrate()
    assert project.migrations("check") == "shop  no changes\n"
    for number, (_, _, what) in enumerate(changes):
        write(changed=number)
        for command in (("./generate.sh",), ("python", "-m", "migrations", "check")):
            assert project.refused(*command) == (
                f"shop: {what.format(f't{number}')}; write the change by hand:"
                " alembic --name shop revision"
            )
