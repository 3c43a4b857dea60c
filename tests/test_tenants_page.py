"""docs/tenants.md, followed in projects that had one database before."""

import re
from pathlib import Path

from sqlalchemy import make_url

from pages import assert_runs_as_shown, section
from project import TEMPLATE, Project, bake
from servers import Database

PAGE = (TEMPLATE / "docs" / "tenants.md").read_text()


def follow(project: Project, title: str) -> None:
    """Do what a part of the page says."""
    assert_runs_as_shown(section(PAGE, title), project.path, project.shell())


def tenant(project: Project, name: str) -> Database:
    """The SQLite file of a tenant."""
    return Database(make_url(f"sqlite:///{project.path}/{name}.db"))


def test_a_database_for_each(project: Project) -> None:
    project.generate()
    follow(project, "A database for each tenant")
    follow(project, "Drift, and a change in steps")
    names = ("acme", "beta", "gamma", "delta")
    [first, *others] = [tenant(project, name).schema() for name in names]
    assert others == [first] * 3
    project.migrations("tenant", "template")
    assert "up to date" in project.migrations("tenant", "omega")

    for name in names[:2]:
        for app in ("users", "books"):
            tenant(project, name).query(f"DROP TABLE alembic_version_{app}")
    follow(project, "Tables that exist already")
    assert project.migrate() == "users  up to date in 4 tenants\nbooks  up to date in 4 tenants\n"


def test_shards(project: Project) -> None:
    project.generate()
    [shards] = re.findall(r"(?s)```text\n(.*?)```", PAGE)
    url = rf"sqlite:///{project.path}/\1.db"
    files = re.sub(r"postgresql\+psycopg://(\w+)\.example\.com/app", url, shards)
    (project.path / "tenants.txt").write_text(files)
    project.set_ini("DEFAULT", "tenants", "tenants.txt")
    assert project.migrate().count("(initial) in 2 tenants\n") == 2
    assert {"users", "books"} < Database(make_url(url.replace(r"\1", "db2"))).tables()


def test_a_schema_for_each(postgresql: Database, tmp_path: Path) -> None:
    project = bake(tmp_path, database="postgresql", apps="accounts, users, books")
    project.environment = {"DATABASE_URL": postgresql.text, "PYTHONPATH": "src"}
    project.generate("users", "books")
    follow(project, "A schema for each tenant, and a shared app")
    assert postgresql.tables() == {"accounts", "alembic_version_accounts"}
    assert postgresql.schema("t_acme") == postgresql.schema("t_beta")
    assert {"users", "books"} < postgresql.tables("t_beta")

    at_once = (
        "from concurrent.futures import ThreadPoolExecutor; from my_project.tenants import sign_up;"
        " list(ThreadPoolExecutor(4).map(sign_up, ['c1', 'c2', 'c3', 'c4']))"
    )
    assert not project.run("python", "-c", at_once).stderr
    assert project.migrate().count("up to date in 6 tenants\n") == 2
