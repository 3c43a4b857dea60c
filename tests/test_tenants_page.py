"""docs/tenants.md, followed in projects that had one database before."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from sqlalchemy import make_url

from pages import assert_runs_as_shown, section
from project import TEMPLATE, Project, bake
from servers import Database

PAGE = (TEMPLATE / "docs" / "tenants.md").read_text()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the folder for tenants, and SQLite."""
    return bake(tmp_path, tenants=True)


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

    for app in ("users", "books"):
        for path in project.revisions(app):
            path.unlink()
        for name in names:
            tenant(project, name).query(f"DROP TABLE alembic_version_{app}")
    tenant(project, "beta").query("ALTER TABLE books ADD note TEXT")
    for_first, for_all = re.findall(r"`python -m (migrations adopt .*?)`", PAGE)
    assert project.run("python", "-m", *for_first.split()).stdout.count(" and stamped it\n") == 2
    done = project.run("python", "-m", *shlex.split(for_all), status=1)
    assert done.stdout.count(" in 2 tenants\n") == 2
    assert "drop books note" in done.stderr


def test_shards(project: Project) -> None:
    project.generate()
    [line] = re.findall(r"`(shard1 .*)`", PAGE)
    shards = [line.replace("1", number) for number in "12"]
    url = rf"sqlite:///{project.path}/\1.db"
    files = re.sub(r"postgresql\+psycopg://(\w+)\.example\.com/app", url, "\n".join(shards))
    (project.path / "tenants.txt").write_text(files)
    project.set_ini("DEFAULT", "tenants", "tenants.txt")
    assert project.migrate().count("(initial) in 2 tenants\n") == 2
    assert {"users", "books"} < tenant(project, "db2").tables()


def test_a_schema_for_each(postgresql: Database, tmp_path: Path) -> None:
    project = bake(tmp_path, tenants=True, database="postgresql", apps="accounts, users, books")
    project.environment = {"DATABASE_URL": postgresql.text, "PYTHONPATH": "src"}
    project.generate("users", "books")
    follow(project, "A schema for each tenant, and a shared app")
    assert postgresql.tables() == {"accounts", "alembic_version_accounts"}
    tables = {"users", "books", "alembic_version_users", "alembic_version_books"}
    assert postgresql.tables("t_acme") == postgresql.tables("t_beta") == tables
    assert "accounts" not in project.migrate("--tenant", "acme")

    at_once = (
        "from concurrent.futures import ThreadPoolExecutor; from my_project.tenants import sign_up;"
        " list(ThreadPoolExecutor(4).map(sign_up, ['c1', 'c2', 'c3', 'c4']))"
    )
    assert not project.run("python", "-c", at_once).stderr
    assert project.migrate().count("up to date in 6 tenants\n") == 2


def test_kubernetes_job_does_every_tenant_once(tmp_path: Path) -> None:
    project = bake(tmp_path, tenants=True, database="postgresql")
    page = section((project.path / "docs" / "deploying.md").read_text(), "Many tenants")
    [block] = re.findall(r"(?s)```yaml\n(.*?)```", page)
    spec = yaml.safe_load(block)["spec"]
    [container] = spec["template"]["spec"]["containers"]
    names = [f"t{number}" for number in range(30)]
    (project.path / "tenants.txt").write_text("\n".join(names))
    project.set_ini("DEFAULT", "tenants", "tenants.txt")
    project.environment["TENANT_URL"] = f"sqlite:///{project.path}/{{tenant}}.db"
    project.generate()
    applied = 0
    for index in range(spec["completions"]):
        command = [it.replace("$(JOB_COMPLETION_INDEX)", str(index)) for it in container["command"]]
        said = project.run(*command).stdout
        applied += sum(map(int, re.findall(r"\(initial\) in (\d+) tenant", said)))
    assert applied == 2 * len(names)
    assert project.migrate().count("up to date in 30 tenants") == 2
