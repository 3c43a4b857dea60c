"""What only PostgreSQL has: partitions, and comparing without a right to temporary tables."""

import shutil
from pathlib import Path

import pytest

from project import bake
from servers import Database

MEASURES = '''
"""The models of shop."""

import sqlalchemy as sa
from sqlalchemy import orm



class Base(orm.DeclarativeBase):
    """What they have in common."""


class Measure(Base):
    """A table in parts."""

    __tablename__ = "measure"
    __table_args__ = {"postgresql_partition_by": "RANGE (day)"}

    day = sa.Column(sa.Integer, primary_key=True)
'''

ATTACH = """
    op.create_table("measure_2", sa.Column("day", sa.Integer(), primary_key=True))
    op.execute("ALTER TABLE measure ATTACH PARTITION measure_2 FOR VALUES FROM (2) TO (3)")
"""


@pytest.mark.parametrize("deleted", [False, True], ids=["whole", "without autogenerate"])
def test_partitions_stay(tmp_path: Path, postgresql: Database, deleted: bool) -> None:
    project = bake(tmp_path, apps="shop", database="postgresql")
    if deleted:
        shutil.rmtree(project.path / "migrations" / "autogenerate")
    project.environment["DATABASE_URL"] = postgresql.text
    project.set_ini("shop", "tables", "measure*")
    project.models("shop").write_text(MEASURES)
    revision = project.revise("shop")
    head, upgrade, rest = revision.read_text().partition("\n\n\ndef downgrade")
    revision.write_text(head + ATTACH + upgrade + rest)
    project.migrate()
    postgresql.query("CREATE TABLE measure_1 PARTITION OF measure FOR VALUES FROM (1) TO (2)")
    assert project.migrations("check") == "shop  no changes\n"
    project.add_column("shop", "amount", "sa.Integer")
    assert project.generate().splitlines()[0].endswith("_add_measure_amount.py")
    project.migrate()
    assert project.migrations("check") == "shop  no changes\n"
    assert {"measure", "measure_1", "measure_2"} < postgresql.tables()
