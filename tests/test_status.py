"""What `status` shows to people and to programs, for few apps and for many."""

import json
import re

from project import Project
from revisions import add_revision
from servers import Database


def test_json_tells_a_program_all(project: Project) -> None:
    project.generate("users")
    [users, books] = json.loads(project.migrations("status", "--json"))
    [head] = users["heads"]
    assert users == {
        "app": "users",
        "current": [],
        "heads": [head],
        "pending": [head],
        "half_done": None,
        "database": "sqlite:///my_project.db",
    }
    assert (books["app"], books["heads"], books["pending"]) == ("books", [], [])

    project.migrate()
    [users, _] = json.loads(project.migrations("status", "--json"))
    assert (users["current"], users["pending"]) == ([head], [])


def test_what_a_second_base_brings_is_pending(project: Project) -> None:
    create = "op.create_table('t_{}', sa.Column('id', sa.Integer))"
    first, second = (add_revision(project, "users", create.format(name)) for name in ("a", "b"))
    last = project.revisions("users")[-1]
    last.write_text(last.read_text().replace(f"down_revision = '{first}'", "down_revision = None"))
    project.run("alembic", "--name", "users", "upgrade", first)
    [users, _] = json.loads(project.migrations("status", "--json"))
    assert users["pending"] == [second]
    project.run("alembic", "--name", "users", "merge", "heads", "-m", "merge")
    [users, _] = json.loads(project.migrations("status", "--json"))
    assert users["pending"] == [second, *users["heads"]]
    assert project.migrate("users").count("(") == 2


def test_version_tables_in_the_schemas_of_urls_are_known(
    project: Project, postgresql: Database
) -> None:
    for app in ("users", "books"):
        postgresql.query(f"CREATE SCHEMA {app}")
        url = postgresql.url.update_query_dict({"options": f"-csearch_path={app}"})
        project.environment[f"{app.upper()}_DATABASE_URL"] = url.render_as_string(False)
    project.generate()
    project.migrate()
    for app in ("users", "books"):
        assert postgresql.tables(app) == {app, f"alembic_version_{app}"}
    assert len(project.migrations("status").splitlines()) == 3
    postgresql.query("ALTER TABLE books.alembic_version_books RENAME TO alembic_version_shop")
    assert "version table alembic_version_shop in postgresql" in project.migrations("status")


def test_version_tables_of_different_collations(project: Project, mysql: Database) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    project.generate()
    project.migrate()
    for app, collation in (("users", "utf8mb4_general_ci"), ("books", "utf8mb4_unicode_ci")):
        table = f"alembic_version_{app}"
        mysql.query(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE {collation}")
    assert project.migrate() == "users  up to date\nbooks  up to date\n"


def test_check_names_some_of_many_changes(project: Project) -> None:
    columns = "".join(
        f"    column_{number}: orm.Mapped[int] = orm.mapped_column(index=True)\n"
        for number in range(100)
    )
    with project.models("users").open("a") as file:
        file.write(columns)
    project.generate("users")
    project.migrate("users")
    project.models("users").write_text(project.models("users").read_text().replace(columns, ""))
    line = project.run("python", "-m", "migrations", "-n", "users", "check", status=1).stderr
    assert 900 < len(line) < 1100
    assert re.search(r", and \d+ more; run \./generate\.sh, or correct the database\n$", line)

    # The indexes of a table that goes are not named.
    project.models("users").write_text(
        project.models("users").read_text().partition("class User(")[0]
    )
    line = project.refused("python", "-m", "migrations", "-n", "users", "check")
    differs = "users: models and database differ: drop users"
    assert line == f"{differs}; run ./generate.sh, or correct the database"
