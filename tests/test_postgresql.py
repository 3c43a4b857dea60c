"""What only PostgreSQL has: partitions, standbys, comparing without a right to temporary tables."""

import shutil
from pathlib import Path

import pytest

from private_servers import private_postgresql, private_server, standby
from project import TEMPLATE, Project, bake, tree, wait_for
from servers import Database

MODELS = '''
"""The models of shop."""

import sqlalchemy as sa
from sqlalchemy import orm



class Base(orm.DeclarativeBase):
    """What they have in common."""


class Measure(Base):
    """Its only table."""

    __tablename__ = "measure"

    id = sa.Column(sa.Integer, primary_key=True)
'''

PARTITIONED = (
    MODELS
    + """    __table_args__ = {"postgresql_partition_by": "RANGE (id)"}
"""
)

ATTACH = """
    op.create_table("measure_2", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("ALTER TABLE measure ATTACH PARTITION measure_2 FOR VALUES FROM (2) TO (3)")
"""


@pytest.mark.parametrize("deleted", [False, True], ids=["whole", "without autogenerate"])
def test_partitions_stay(tmp_path: Path, postgresql: Database, deleted: bool) -> None:
    project = bake(tmp_path, apps="shop", database="postgresql")
    if deleted:
        shutil.rmtree(project.path / "migrations" / "autogenerate")
    project.environment["DATABASE_URL"] = postgresql.text
    project.set_ini("shop", "tables", "measure*")
    project.models("shop").write_text(PARTITIONED)
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


DEFAULTS = [
    "sa.String(36), server_default=sa.text('md5(random()::text)')",
    """sa.Integer, server_default=sa.text("nextval('s')")""",
    "sa.Numeric, server_default='1'",
    "sa.Numeric(10, 2), server_default=sa.text('1.0')",
    "sa.DateTime, server_default=sa.text('CURRENT_TIMESTAMP')",
    """sa.String(9, collation='C'), server_default=sa.text("lower('A')")""",
    "sa.JSON, server_default='{}'",
    "sa.Integer, server_default=sa.null()",
    "sa.Float(24)",
]


def test_comparing_needs_no_right_and_draws_no_number(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path, apps="shop", database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    postgresql.query("CREATE SEQUENCE s")
    project.models("shop").write_text(MODELS)
    for number, column in enumerate(DEFAULTS):
        project.add_column("shop", f"c{number}", column)
    project.revise("shop")
    project.migrate()
    postgresql.query("ALTER SEQUENCE s OWNED BY measure.c1")
    postgresql.query(f"REVOKE TEMPORARY ON DATABASE {postgresql.url.database} FROM PUBLIC")
    with postgresql.reader("Pa55") as url:
        postgresql.query(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {url.username}")
        reader = {"DATABASE_URL": Database(url).text}
        checked = project.run("python", "-m", "migrations", "check", env=reader).stdout
        assert checked == "shop  no changes\n"
        models = project.models("shop")
        models.write_text(models.read_text().replace("'s'", "'measure_id_seq'"))
        line = project.refused("python", "-m", "migrations", "check", env=reader)
        assert "differ: alter measure c1;" in line
    assert postgresql.query("SELECT last_value, is_called FROM s") == [(1, False)]


ROWS = [
    ("sa.String(9)", "sa.Integer", "'7'"),
    ("sa.String(9)", "sa.Enum('a', 'b', name='e1')", "'a'"),
    ("sa.Enum('a', 'b', name='e2')", "sa.String(9)", "'a'"),
    ("sa.Enum('a', 'b', name='e3')", "sa.Enum('a', 'b', name='e3', native_enum=False)", "'a'"),
    ("sa.Enum('a', 'b', name='e4')", "sa.Enum('a', 'b', 'c', name='e5')", "'a'"),
    ("sa.ARRAY(sa.Enum('a', name='e6'))", "sa.ARRAY(sa.Enum('a', name='e7'))", "'{a}'"),
    ("sa.Boolean", "sa.Integer", "true"),
]


def test_rows_keep_their_values_when_types_change(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path, apps="shop", database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    shown = []
    for kind in range(2):
        project.models("shop").write_text(MODELS)
        for number, kinds in enumerate(ROWS):
            project.add_column("shop", f"c{number}", kinds[kind])
        project.revise("shop")
        project.migrate()
        if kind == 0:
            values = ", ".join(value for _, _, value in ROWS)
            postgresql.query(f"INSERT INTO measure VALUES (1, {values})")
        shown += postgresql.query("SELECT * FROM measure")
    assert shown[1] == (1, 7, "a", "a", "a", "a", "{a}", 1)
    project.migrations("downgrade", "-1")
    assert postgresql.query("SELECT * FROM measure") == shown[:1]


READ_ONLY = "is read-only; if it is a standby, use the URL of the primary"


def test_on_a_standby_all_works_that_only_reads(project: Project) -> None:
    migrations = ("python", "-m", "migrations")
    with private_server(private_postgresql) as server, private_server(standby(server)) as replica:
        primary, copy = server.database, replica.database
        on_primary = {"DATABASE_URL": primary.text}
        project.environment["DATABASE_URL"] = copy.text

        def refused(*command: str) -> str:
            before = tree(project.path), primary.rows(), primary.schema()
            line = project.refused(*command)
            assert (tree(project.path), primary.rows(), primary.schema()) == before
            return line

        def replicate(*command: str) -> None:
            project.run(*command, env=on_primary)
            wait_for_replica()

        def wait_for_replica() -> None:
            [[written]] = primary.query("SELECT pg_current_wal_lsn()")
            there = f"SELECT 1 WHERE pg_last_wal_replay_lsn() >= '{written}'"
            wait_for(lambda: copy.query(there))

        project.generate()
        assert "CREATE TABLE" in (line := refused("./migrate.sh"))
        assert line == (
            f"users: {copy.text}: cannot execute CREATE TABLE in a read-only transaction;"
            f" the database {READ_ONLY}"
        )
        replicate("./migrate.sh")
        assert project.migrate() == "users  up to date\nbooks  up to date\n"
        project.add_column("users", "email")
        assert "books  no changes\n" in project.generate()
        assert project.migrations("status").splitlines()[1].split()[3] == "1"
        for command in (("./migrate.sh",), ("alembic", "--name", "users", "upgrade", "head")):
            line = refused(*command)
            assert line.startswith("users: cannot execute ALTER TABLE in a read-only transaction,")
            assert line.endswith(f"; the database {READ_ONLY}")
        replicate("./migrate.sh")
        assert project.migrations("check") == "users  no changes\nbooks  no changes\n"

        refusal = f"; the database {READ_ONLY}"
        assert refused(*migrations, "squash", "users", "--yes").endswith(refusal)
        primary.query("DROP TABLE alembic_version_books")
        wait_for_replica()
        assert "books  would stamp " in project.migrations("adopt")
        assert refused(*migrations, "adopt", "--yes").endswith(refusal)
        [revision] = project.revisions("books")
        revision.unlink()
        assert "books  would write a first revision" in project.migrations("adopt")
        assert refused(*migrations, "adopt", "--yes").endswith(refusal)
        page = (TEMPLATE / "docs" / "distributed.md").read_text()
        assert f"the database {READ_ONLY}" in page
        replicate(*migrations, "adopt", "--yes")
        assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
