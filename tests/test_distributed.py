"""docs/distributed.md: CockroachDB's dialect with a PostgreSQL server, which runs here."""

import subprocess
from pathlib import Path

import pytest

from pages import assert_runs_as_shown
from project import DEV, TEMPLATE, Project
from servers import Database

PAGE = (TEMPLATE / "docs" / "distributed.md").read_text()
URL = "cockroachdb+psycopg://root@localhost:26257/my_project"

# What the dialect asks of CockroachDB's catalog, and PostgreSQL's does not have.
CATALOG = """
DO $$ BEGIN EXECUTE format(
    'CREATE OR REPLACE VIEW information_schema.columns AS SELECT *, ''NO'' AS is_hidden,
        data_type AS crdb_sql_type, NULL AS column_comment FROM (%s) AS postgresql',
    rtrim(pg_get_viewdef('information_schema.columns'), ';')
); END $$
"""


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the dialect, which does not go with the newest SQLAlchemy."""
    folder = tmp_path_factory.mktemp("cockroachdb") / "venv"
    uv = str(DEV / "bin" / "uv")
    subprocess.run(
        [uv, "venv", "--quiet", "--seed", "--python", str(DEV / "bin" / "python"), folder],
        check=True,
    )
    packages = ["alembic", "psycopg[binary]", "sqlalchemy-cockroachdb"]
    python = str(folder / "bin" / "python")
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    subprocess.run([*install, *packages], check=True)
    return folder


def test_the_dialect_of_cockroachdb(project: Project, venv: Path, postgresql: Database) -> None:
    postgresql.query(CATALOG)
    url = postgresql.with_driver("cockroachdb+psycopg").text
    project.venv, project.warm = venv, False
    project.environment = {"DATABASE_URL": url, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    assert_runs_as_shown(PAGE.replace(URL, url), project.path, project.shell())

    project.add_column("users", "email", "sa.String(50), index=True")
    assert "books  no changes\n" in project.generate()
    assert "(add users email)" in project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
