"""The shape of migrations/: its budgets, who may import whom, and what can be deleted."""

import ast
import shutil
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from project import TEMPLATE, bake
from servers import Database

MIGRATIONS = TEMPLATE / "{{cookiecutter.project_slug}}" / "migrations"

FLOOR = ("autogenerate", "extras")
"""The folders that can be deleted; the rest is the core."""

TENANTS = "extras.tenant"
"""The folder that a project has only if it was baked with tenants."""

ENTRIES = ("env", "without_name")
"""Where Alembic comes in: these may import all of the core, and nothing imports them."""

ORDER = [
    "",  # the package itself
    "commands",
    "errors",
    "apps",
    "revision_files",
    "ownership",
    "order",
    "databases",
    "locks",
    "run",
    "commands.alembic_commands",
    "commands.check",
    "commands.generate",
    "commands.migrate",
    "commands.status",
    "__main__",
]
"""The modules of the core: each imports only from those above it."""


def module_of(path: Path) -> str:
    """The name of a file's module inside the package, such as `commands.check`."""
    *folders, name = path.relative_to(MIGRATIONS).with_suffix("").parts
    return ".".join(folders if name == "__init__" else [*folders, name])


FILES = {module_of(path): path for path in sorted(MIGRATIONS.rglob("*.py"))}


def top(module: str) -> str:
    """The folder or file directly in migrations/ that a module is in."""
    return module.partition(".")[0]


CORE = [module for module in FILES if top(module) not in FLOOR]
TREES = {module: ast.parse(path.read_bytes()) for module, path in FILES.items()}


@pytest.mark.parametrize(
    ("name", "modules", "goal", "most"),
    [
        ("core", CORE, 2000, 2291),
        ("pattern", ["env", "apps", "ownership", "databases"], 750, 750),
        ("without tenants", [it for it in FILES if not it.startswith(TENANTS)], 4000, 5347),
        ("everything", FILES, 4000, 6187),
    ],
    ids=["core", "pattern", "without tenants", "everything"],
)
def test_budget(name: str, modules: Iterable[str], goal: int, most: int) -> None:
    """The lines of Python; above a goal, only as many as today's promises cost."""
    lines = {module: FILES[module].read_bytes().count(b"\n") for module in modules}
    total = sum(lines.values())
    said = f"{name}: {total} lines in {len(lines)} files; the goal is {goal}"
    print(said)
    assert total <= most, f"{said}: {lines}"


def test_core_is_few_files() -> None:
    print(f"core: {len(CORE)} files of 18")
    assert len(CORE) <= 18, CORE


def imported(module: str) -> Iterator[str]:
    """The modules of the same package that a module imports."""
    package = FILES[module].relative_to(MIGRATIONS).parent.parts
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start: tuple[str, ...] = ()
            if node.level:
                start = ("migrations", *package[: len(package) + 1 - node.level])
            source = ".".join([*start, *([node.module] if node.module else [])])
            names = [f"{source}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if top(name) == "migrations":
                inner = name.partition(".")[2]
                # What is no module is a name of the module before it.
                yield inner if inner in FILES else inner.rpartition(".")[0]


IMPORTS = {module: set(imported(module)) for module in FILES}


def test_no_circle_of_imports() -> None:
    TopologicalSorter(IMPORTS).prepare()  # raises CycleError, which names the circle


def test_core_imports_upwards() -> None:
    assert sorted(ORDER) == sorted(module for module in CORE if top(module) not in ENTRIES)
    for module, above in ((module, ORDER[:place]) for place, module in enumerate(ORDER)):
        assert IMPORTS[module] <= set(above), f"{module or 'migrations'} imports from below"
    for module in CORE:
        if top(module) in ENTRIES:
            assert IMPORTS[module] <= set(ORDER), module


def test_what_can_be_deleted_imports_from_the_core_and_its_own_folder() -> None:
    for module in FILES:
        if top(module) in FLOOR:
            own = {other for other in FILES if top(other) == top(module)}
            assert IMPORTS[module] <= own | set(ORDER), module


def test_only_what_alembic_runs_names_the_package() -> None:
    for module, tree in TREES.items():
        if top(module) in ENTRIES:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert "migrations" not in [top(alias.name) for alias in node.names], module
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert top(str(node.module)) != "migrations", module


def test_modules_say_what_they_are_for() -> None:
    assert [module for module, tree in TREES.items() if not ast.get_docstring(tree)] == []


@pytest.mark.parametrize("gone", [FLOOR[:1], FLOOR[1:], FLOOR], ids=" and ".join)
def test_story_without(gone: tuple[str, ...], database: Database, tmp_path: Path) -> None:
    project = bake(tmp_path)
    for name in gone:
        shutil.rmtree(project.path / "migrations" / name)
    project.environment["DATABASE_URL"] = database.text
    project.warm = gone != FLOOR or database.url.get_backend_name() != "sqlite"

    assert [line.split()[:2] for line in project.generate().splitlines()] == [
        ["users", "wrote"],
        ["create", "users"],
        ["books", "wrote"],
        ["create", "books"],
    ]
    assert project.migrate().count("applied") == 2
    at_first = database.schema()
    project.warm = True
    assert {"users columns", "books columns"} < at_first.keys()

    project.add_column("users", "email", "sa.String(50), index=True")
    users, *_, books = project.generate().splitlines()  # between them: what extras/ warns of
    assert users.endswith("_add_users_email.py")
    assert books == "books  no changes"
    assert "(add users email)" in project.migrate()
    with_email = database.schema()
    assert len(with_email["users columns"]) == len(at_first["users columns"]) + 1
    project.migrations("-n", "users", "downgrade", "-1")
    assert database.schema() == at_first
    project.migrations("downgrade", "base")
    assert database.tables() == {"alembic_version_users", "alembic_version_books"}
    assert project.migrate().count("applied") == 2
    assert database.schema() == with_email

    project.run("./add_app.sh", "shop")
    assert "shop   wrote" in project.generate()
    assert "shop   applied" in project.migrate()
    assert project.migrate() == "users  up to date\nbooks  up to date\nshop   up to date\n"
    agreed = "users  no changes\nbooks  no changes\nshop   no changes\n"
    assert project.migrations("check") == agreed
    _, *rows = (line.split() for line in project.migrations("status").splitlines())
    assert [(app, current == head, pending) for app, current, head, pending, _ in rows] == [
        (app, True, "0") for app in ("users", "books", "shop")
    ]

    project.run("alembic", "--name", "users", "downgrade", "base")
    project.run("alembic", "--name", "users", "upgrade", "head")
    assert project.run("alembic", "--name", "users", "current").stdout.endswith(" (head)\n")
    assert database.schema().keys() > with_email.keys()
    assert project.migrations("check") == agreed
