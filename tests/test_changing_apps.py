"""docs/changing-apps.md, followed on a database with rows, and then on an empty one.

Its part on squashing is followed in test_squashing.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from pages import assert_runs_as_shown, section
from project import GIT, TEMPLATE, Project, bake
from servers import Database, new_database

PAGE = (TEMPLATE / "docs" / "changing-apps.md").read_text()

Start = Callable[[Project, Database], None]


def as_baked(project: Project, database: Database) -> None:
    """Nothing but the two apps, with a row each."""
    project.generate()
    project.migrate()
    database.query("INSERT INTO users (id, name) VALUES (1, 'ann')")
    database.query("INSERT INTO books (id, name) VALUES (2, 'Ulysses')")


def with_review(project: Project, database: Database) -> None:
    """A second model of users."""
    key = 'sa.ForeignKey("users.id"), index=True'
    add(project, "users", "Review", "user_id: orm.Mapped[int]", key)
    as_baked(project, database)
    database.query("INSERT INTO reviews (id, user_id) VALUES (3, 1)")


def add(project: Project, app: str, model: str, column: str, kind: str) -> None:
    """Add a model with a column to an app."""
    table = f"{model.lower()}s"
    with project.models(app).open("a") as file:
        file.write(
            f'\n\nclass {model}(Base):\n    __tablename__ = "{table}"\n\n'
            f"    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)\n"
            f"    {column} = orm.mapped_column({kind})\n"
        )


def with_another(project: Project, database: Database) -> None:
    """Another database beside it: the one that is new elsewhere, migrated already."""
    as_baked(project, database)
    project.run("./migrate.sh", env={"DATABASE_URL": project.environment["OTHER"]})


def two_branches(project: Project, database: Database) -> None:
    """A branch with a revision of Ann, checked out and applied, and one of Bob."""
    as_baked(project, database)
    git(project, "init --quiet --initial-branch main")
    commit(project)
    git(project, "switch --quiet --create bob")
    models = project.models("users")
    column = "    phone: orm.Mapped[str | None]\n"
    models.write_text(models.read_text().replace("    id:", f"{column}    id:"))
    project.generate()
    commit(project)
    git(project, "switch --quiet main")
    project.add_column("users", "email")
    project.generate()
    project.migrate()
    commit(project)


def commit(project: Project) -> None:
    """Commit what there is."""
    git(project, "add .")
    git(project, "commit --quiet --message change")


def git(project: Project, arguments: str) -> None:
    """Run git."""
    project.run("git", *arguments.split())


STARTS: dict[str, Start] = {
    "Rename an app": as_baked,
    "Move a model to another app": with_review,
    "Two apps that need each other": as_baked,
    "Remove an app": with_another,
    "Two people add a revision to one app": two_branches,
}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("title", STARTS)
def test_rows_stay_and_new_databases_become_the_same(title: str, kind: str, tmp_path: Path) -> None:
    project = bake(tmp_path)
    with new_database(kind, tmp_path) as live, new_database(kind, tmp_path) as fresh:
        project.environment = {"DATABASE_URL": live.text, "OTHER": fresh.text, **GIT}
        STARTS[title](project, live)
        before = rows(live)

        assert_runs_as_shown(section(PAGE, title), project.path, project.shell())
        after = rows(live)
        if title == "Rename an app":
            before["works"] = before.pop("books")
        if title == "Remove an app":
            del before["books"]
        assert after.keys() == before.keys()
        if title != "Two apps that need each other":  # which takes all back
            for table, old in before.items():
                assert [row[: len(old[0])] for row in after[table]] == old
        project.migrations("check")
        project.run("./migrate.sh", env={"DATABASE_URL": fresh.text})
        assert fresh.schema() == live.schema()

        if title == "Move a model to another app":
            for app in ("users", "books"):
                remove = ("python", "-m", "migrations", "remove", app, "--yes")
                assert project.refused(*remove) == (
                    f"{app}: the revisions of users create reviews, which is now in books;"
                    " first run: python -m migrations squash users books"
                )
            project.migrations("squash", "users", "books", "--yes")
            project.migrations("check")
            assert rows(live) == after
            with new_database(kind, tmp_path) as newer:
                project.run("./migrate.sh", "users", env={"DATABASE_URL": newer.text})
                assert newer.tables() == {"users", "alembic_version_users"}
                project.run("./migrate.sh", env={"DATABASE_URL": newer.text})
                assert newer.schema() == live.schema()


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """The rows of every table but the version tables."""
    found = database.rows()
    return {name: rows for name, rows in found.items() if not name.startswith("alembic_version")}
