"""What the combinations of answers generate: sound files, and on SQLite a project that runs."""

import re
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path

import pytest
import yaml
from sqlalchemy import make_url

from project import DEV, Project, add_a_filter, bake, bake_anew, template_copy, tree

DRIVERS = {
    ("sqlite", False): "pysqlite",
    ("sqlite", True): "aiosqlite",
    ("postgresql", False): "psycopg",
    ("postgresql", True): "asyncpg",
    ("mysql", False): "pymysql",
    ("mysql", True): "aiomysql",
}
LAYOUTS = ("shared", "per_app")
CI_FILES = {"github": {".github/workflows/ci.yml"}, "gitlab": {".gitlab-ci.yml"}, "none": set()}

Bakes = list[tuple[Project, dict[str, object]]]
"""Projects, each with the answers it was made from."""


@pytest.fixture(scope="module")
def bakes(tmp_path_factory: pytest.TempPathFactory) -> Bakes:
    """A project for every combination of answers, in a folder that is named for them."""
    found = []
    for (database, is_async), layout, ci in product(DRIVERS, LAYOUTS, CI_FILES):
        answers = {
            "database": database,
            "database_layout": layout,
            "async_driver": is_async,
            "tenants": layout == "per_app",
            "ci": ci,
        }
        folder = tmp_path_factory.mktemp("-".join(map(str, answers.values())))
        found.append((bake_anew(folder, **answers), answers))
    return found


def lint(*command: object) -> None:
    """Run a linter; fail with what it says."""
    program, *arguments = map(str, command)
    done = subprocess.run([DEV / "bin" / program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_follow_from_the_answers(bakes: Bakes) -> None:
    for project, answers in bakes:
        files = {path: content.decode() for path, content in tree(project.path).items()}
        for path, text in files.items():
            assert not re.search(r"(?<!\$)\{[{%#]", text), f"a brace in {project.path / path}"
            if path.endswith((".yml", ".yaml")):
                yaml.safe_load(text)

        of_ci = {path for path in files if re.match(r"\.git(hub|lab).*yml", path)}
        assert of_ci == CI_FILES[str(answers["ci"])]

        driver = DRIVERS[str(answers["database"]), bool(answers["async_driver"])]
        urls = re.findall(r"(?m)^(?:sqlalchemy\.url|app_url) = (.*)$", files["alembic.ini"])
        assert {make_url(url).get_driver_name() for url in urls} == {driver}
        settings = tomllib.loads(files["pyproject.toml"])
        needed = {re.split(r"\W", text)[0] for text in settings["project"]["dependencies"]}
        assert needed - {"pysqlite"} == {"alembic", "sqlalchemy", driver} - {"pysqlite"}


def test_linters_and_formatters_have_nothing_to_say(bakes: Bakes) -> None:
    paths = [project.path for project, _ in bakes]
    lint("ruff", "check", "--no-cache", *paths)
    lint("ruff", "format", "--no-cache", "--check", *paths)
    lint("shfmt", "-i", "2", "-d", *paths)
    scripts = {script.read_bytes(): script for path in paths for script in path.rglob("*.sh")}
    lint("shellcheck", *scripts.values())


def test_types_are_right(bakes: Bakes, tmp_path: Path) -> None:
    different = {what_mypy_reads(project): project for project, _ in bakes}
    for project in different.values():
        project.run("mypy", "--cache-dir", str(tmp_path))


def what_mypy_reads(project: Project) -> str:
    """The Python of a project, and the settings for mypy."""
    files = tree(project.path)
    settings = tomllib.loads(files["pyproject.toml"].decode())["tool"]["mypy"]
    return repr((settings, {path: files[path] for path in files if path.endswith(".py")}))


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sqlite_up_and_down(layout: str, is_async: bool, tmp_path: Path) -> None:
    project = bake(tmp_path, database_layout=layout, async_driver=is_async)
    databases = [None, None] if layout == "shared" else ["users.db", "books.db"]

    project.generate()
    project.migrate()
    assert "books" in project.tables(databases[1])
    project.add_column("books", "author")
    assert project.generate().startswith("users  no changes\nbooks  wrote ")
    assert "(add books author)" in project.migrate()
    assert project.migrations("check") == "users  no changes\nbooks  no changes\n"
    project.migrations("downgrade", "base")
    left = [project.tables(database) for database in databases]
    assert all(table.startswith("alembic_version_") for tables in left for table in tables)


def test_what_runs_does_not_depend_on_ci(bakes: Bakes) -> None:
    runs = ("alembic.ini", "generate.sh", "migrate.sh", "migrations/", "src/")
    by_answers: dict[str, dict[str, bytes]] = {}
    for project, answers in bakes:
        files = {path: text for path, text in tree(project.path).items() if path.startswith(runs)}
        others = {key: answer for key, answer in answers.items() if key != "ci"}
        assert by_answers.setdefault(str(others), files) == files


@pytest.mark.parametrize("apps", ["shop", ",".join(f"app{n}" for n in range(40))])
def test_any_number_of_apps(apps: str, tmp_path: Path) -> None:
    project = bake(tmp_path, apps=apps)
    names = [name.strip() for name in apps.split(",")]
    for path, content in tree(project.path).items():
        assert not re.search(rb"users|books", content), f"{path} mentions an app not asked for"
    generated = project.generate().splitlines()
    assert [line.split()[:2] for line in generated[::2]] == [[name, "wrote"] for name in names]
    assert [line.split() for line in generated[1::2]] == [["create", name] for name in names]
    applied = project.migrate().splitlines()
    assert [line.split()[:2] for line in applied] == [[name, "applied"] for name in names]
    again = project.migrate().splitlines()
    assert [line.split(maxsplit=1) for line in again] == [[name, "up to date"] for name in names]
    assert project.tables() == {*names, *(f"alembic_version_{name}" for name in names)}


def test_template_without_executable_scripts(tmp_path: Path) -> None:
    """As from a zip, or from a repository with core.fileMode=false."""
    template = template_copy(tmp_path / "template")
    for script in template.rglob("*.sh"):
        script.chmod(0o644)
    Project(tmp_path).run("cookiecutter", "--no-input", "--default-config", str(template))
    project = Project(tmp_path / "my_project", warm=False)
    project.run("./add_app.sh", "shop")
    project.generate()
    assert project.migrate().count("applied") == 3
    assert project.run("migrations/run.sh", "-c", "print(1)").stdout == "1\n"


def test_project_without_executable_scripts(project: Project) -> None:
    for script in project.path.rglob("*.sh"):
        script.chmod(0o644)
    project.run("bash", "add_app.sh", "shop")
    project.run("bash", "add_app.sh", "--installed")
    project.run("bash", "generate.sh")
    assert project.run("bash", "migrate.sh").stdout.count("applied") == 3


BAKE_BOTH = """
import sys
from cookiecutter.main import cookiecutter
for template in sys.argv[1:]:
    answers = {"project_slug": f"from_{template}"}
    cookiecutter(template, no_input=True, default_config=True, extra_context=answers)
"""


def test_two_versions_of_the_template_in_one_process(tmp_path: Path) -> None:
    """As cruft does it."""
    template_copy(tmp_path / "older")
    add_a_filter(template_copy(tmp_path / "newer"))
    command = [sys.executable, "-c", BAKE_BOTH, "older", "newer"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "from_newer" / "Makefile").read_text().endswith("# FROM_NEWER\n")
