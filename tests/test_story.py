"""What a user does with a project, one command after the other."""

import pytest

from project import Project
from servers import new_database


def test_from_nothing_to_tables(project: Project) -> None:
    project.warm = False
    [users, found, *_] = project.generate().splitlines()
    assert users.startswith("users  wrote src/my_project/users/migrations/")
    assert found == "       create users"
    assert [path.name[-11:] for path in project.revisions("books")] == ["_initial.py"]
    [users, books] = project.migrate().splitlines()
    assert users.startswith("users  applied ")
    assert books.startswith("books  applied ")
    assert project.tables() == {
        "users",
        "books",
        "alembic_version_users",
        "alembic_version_books",
    }


def test_second_migrate_changes_nothing_and_says_so(project: Project) -> None:
    project.generate()
    project.migrate()
    before = (project.path / "my_project.db").read_bytes()
    assert project.migrate() == "users  up to date\nbooks  up to date\n"
    assert (project.path / "my_project.db").read_bytes() == before


def test_a_column_more_and_back(project: Project) -> None:
    project.generate()
    project.migrate()
    project.sqlite("INSERT INTO books (name) VALUES ('Ulysses')")
    project.add_column("users", "email", "sa.String(50), index=True")
    [users, books] = project.generate().splitlines()
    assert users.endswith("_add_users_email.py")  # which says it all
    assert books == "books  no changes"
    assert len(project.revisions("users")) == 2
    assert len(project.revisions("books")) == 1
    assert "(add users email)" in project.migrate()
    assert "email" in str(project.sqlite("SELECT sql FROM sqlite_schema WHERE name = 'users'"))
    project.run("alembic", "--name", "users", "downgrade", "-1")
    assert "email" not in str(project.sqlite("SELECT sql FROM sqlite_schema WHERE name = 'users'"))
    assert project.migrate().splitlines()[1] == "books  up to date"
    assert project.sqlite("SELECT name FROM books") == [("Ulysses",)]


@pytest.mark.parametrize("kind", ["postgresql", "newest postgresql"])
def test_on_a_server(kind: str, project: Project) -> None:
    with new_database(kind) as database:
        project.environment["DATABASE_URL"] = database.text
        project.generate()
        assert project.migrate().count("(initial)") == 2
        at_first = database.schema()
        project.add_column("users", "email", "sa.String(50), unique=True")
        project.generate()
        assert "(add users email)" in project.migrate()
        with_email = database.schema()
        assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
        project.run("alembic", "--name", "users", "downgrade", "-1")
        assert database.schema() == at_first != with_email
        project.migrate()
        assert database.schema() == with_email
        assert project.migrate() == "users  up to date\nbooks  up to date\n"
        _, users, books = project.migrations("status").splitlines()
        assert [users.split()[3], books.split()[3]] == ["0", "0"]
