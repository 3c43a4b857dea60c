"""What `graph` prints, read by the real Mermaid."""

import json
from collections.abc import Callable

from npm import run_node
from project import Project

# What means something to Mermaid, to Markdown or to HTML.
MESSAGE = '- "x" 1. <b>**b**</b> _i_ `c` #65; %%{init: {}}%% & é 漢 \\ [a](b) | end; --> :::x'

LOAN = """
from my_project.users.models import User


class Loan(Base):
    __tablename__ = "loans"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(User.id))
"""


def test_graph_is_what_mermaid_understands(bake: Callable[..., Project]) -> None:
    project = bake(apps="users, books, empty")
    with project.models("books").open("a") as file:
        file.write(LOAN)
    project.generate("users", "books")
    project.migrate()
    project.add_column("users", "email")
    project.generate("users", "-m", MESSAGE)

    graph = project.migrations("graph")
    found = json.loads(run_node("mermaid.mjs", text=graph))
    assert found["boxes"] == {
        "users": ["app1_1", "app1_2"],
        "books": ["app2_1"],
        "empty": [],
    }
    assert found["texts"]["app1_1"] == "initial"
    assert found["texts"]["app1_2"] == MESSAGE
    assert found["applied"] == ["app1_1", "app2_1"]
    assert found["arrows"] == [
        ["app1_1", "", "app1_2"],
        ["app1_1", "", "app2_1"],
        ["app2", "loans.user_id", "app1"],
    ]
    assert "users" not in project.migrations("graph", "books")


def test_graph_shows_several_heads(project: Project) -> None:
    project.generate()
    project.migrate()
    [initial] = json.loads(project.migrations("status", "--json", "books"))[0]["heads"]
    for message in ("left", "right"):
        arguments = ("-m", message, "--head", initial, "--splice")
        project.migrations("-n", "books", "revision", *arguments)

    graph = project.migrations("graph", "books")
    assert graph.count("app1_1 --> ") == 2
    assert "left" in graph
    assert "right" in graph


def test_graph_prints_nothing_before_an_error(project: Project) -> None:
    project.environment["BOOKS_DATABASE_URL"] = "nonsense"
    ran = project.run("python", "-m", "migrations", "graph", status=1)
    assert ran.stderr.startswith("books: BOOKS_DATABASE_URL is not a database URL")
    assert ran.stdout == ""
