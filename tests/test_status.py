"""What `status` shows to people and to programs, for few apps and for many."""

import json
from collections.abc import Callable

from project import Project
from revisions import add_revision

APPS = [f"app{number}" for number in range(21)]


def test_json_tells_a_program_all(project: Project) -> None:
    project.generate("users")
    [users, books] = json.loads(project.migrations("status", "--json"))
    [head] = users["heads"]
    assert users == {
        "app": "users",
        "current": [],
        "heads": [head],
        "pending": [head],
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


def test_of_many_apps_only_those_with_something_to_do(bake: Callable[..., Project]) -> None:
    project = bake(apps=", ".join(APPS))
    project.generate()
    project.migrate(*APPS[2:])
    lines = project.migrations("status").splitlines()
    assert [line.split()[0] for line in lines] == ["app", "app0", "app1", "19"]
    assert lines[-1] == "19 of 21 apps are up to date"
    assert len(project.migrations("status", *APPS).splitlines()) == 22
    project.migrate()
    assert project.migrations("status") == "21 of 21 apps are up to date\n"
