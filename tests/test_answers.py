"""Answers: refused in one line before anything is written, or taken as they are.

Most are tried in this process, by what cookiecutter itself calls; a few by its command.
"""

import json
import keyword
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from alembic.config import Config
from cookiecutter.environment import StrictEnvironment
from cookiecutter.exceptions import FailedHookException
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jinja2 import FileSystemLoader, Template

from migrations.apps import read_apps
from new_app.add_app import add_apps
from project import DEV, TEMPLATE, Project, bake, bake_anew, tree


def cookiecutter(
    folder: Path, *arguments: str, typed: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the command as a user does who has no settings; without input, it does not ask."""
    command = [DEV / "bin" / "cookiecutter", TEMPLATE, "--output-dir", folder, *arguments]
    return subprocess.run(
        [*map(str, command), *(["--no-input"] if typed is None else [])],
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"HOME": str(folder.parent), "PATH": ""},
    )


def answered(**answers: object) -> dict[str, Any]:
    """All answers as cookiecutter takes them before it writes anything; it may refuse them."""
    context = generate_context(str(TEMPLATE / "cookiecutter.json"), extra_context=answers)
    return dict(prompt_for_config(context, no_input=True))


@cache
def templates() -> list[Template]:
    """The files that show answers."""
    folder = TEMPLATE / "{{cookiecutter.project_slug}}"
    context = generate_context(str(TEMPLATE / "cookiecutter.json"))
    loader = FileSystemLoader(folder)
    jinja = StrictEnvironment(context=context, keep_trailing_newline=True, loader=loader)
    jinja.globals["template_commit"] = str  # else it asks git
    files = tree(folder).items()
    return [jinja.get_template(path) for path, content in files if b"cookiecutter." in content]


def sketch(folder: Path, **answers: object) -> Project:
    """A project's apps and the files that show answers: what a bake writes, but no hook runs."""
    taken = answered(**answers)
    for template in templates():
        path = folder / str(template.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template.render(cookiecutter=taken), encoding="utf-8", newline="\n")
    add_apps(folder / "alembic.ini", taken["__apps"].split())
    return Project(folder)


REFUSED = {
    "project_slug": [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "{folder}/x",
        "Shop",
        "1shop",
        "_shop",
        "my-shop",
        "my shop",
        "shop ",
        "shop\n",
        "café",
        "\uff53hop",
        "class",
        "json",
        "typing_extensions",
        "a" * 64,
    ],
    "apps": [
        "",
        "users,",
        "users, users",
        "users,books,users ",
        "Users",
        "1st",
        "my-app",
        "my app",
        "us\ners",
        "a.b",
        "../x",
        "us\u0435rs",
        "class",
        "DEFAULT",
        "alembic",
        "post_write_hooks",
        "loggers",
        "handlers",
        "formatters",
        "logger_x",
        "handler_x",
        "formatter_x",
        "alembic_version_x",
        "naming",
        "a" * 44,
    ],
    "project_name": ["My \x1b[31mProject", "My \udcff Project"],
    "description": ["ding\a"],
}


@pytest.mark.parametrize(
    ("key", "answer"), [(key, answer) for key, answers in REFUSED.items() for answer in answers]
)
def test_refused_in_one_line(key: str, answer: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    before = tree(tmp_path)
    with pytest.raises(FailedHookException) as refused:
        bake_anew(out, **{key: answer.format(folder=tmp_path)})
    [line] = str(refused.value).splitlines()
    assert line.startswith(key)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("project_slug", "{folder}/x"),
        ("apps", "us\ners"),
        ("project_name", "My \udcff Project"),
        ("description", "ding\a"),
    ],
)
def test_refused_by_the_command(key: str, answer: str, tmp_path: Path) -> None:
    assert answer in REFUSED[key]
    out = tmp_path / "out"
    out.mkdir()
    before = tree(tmp_path)
    done = cookiecutter(out, f"{key}={answer.format(folder=tmp_path)}")
    assert done.returncode == 1
    [line] = done.stdout.splitlines()
    assert line.startswith(key)
    assert tree(tmp_path) == before


def assert_intact(folder: Path, name: str, description: str) -> None:
    """The texts stand in the files that show them; in pyproject.toml on one line."""
    readme = (folder / "README.md").read_bytes().decode()
    assert readme.startswith(f"# {name}\n\n{description}\n")
    settings = tomllib.loads((folder / "pyproject.toml").read_bytes().decode())
    assert settings["project"]["description"] == " ".join(description.splitlines())


TEXTS = [
    """O'Brien & "Sons" '''<b>""",
    r"C:\new\table \u0041 \\",
    "100 % %s %(here)s %%",
    "$(touch x) `touch x` $HOME ${x}",
    "two\n\nlines\n",
    "🦊 naïve 中文 עברית",
    "  wide\t  blanks\u3000 ",
]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_arrives_intact(text: str, tmp_path: Path) -> None:
    project = sketch(tmp_path, project_name=text, description=text, project_slug="shop")
    assert_intact(project.path, text, text)


def test_all_texts_at_once_arrive_intact_as_sketched(tmp_path: Path) -> None:
    text = "\n".join(TEXTS)
    answers = {"project_name": text, "description": text, "project_slug": "shop"}
    project = bake_anew(tmp_path, **answers)
    assert_intact(project.path, text, text)
    assert list(tmp_path.rglob("x")) == []

    baked, sketched = tree(project.path), tree(sketch(tmp_path / "sketch", **answers).path)
    assert {"alembic.ini", "pyproject.toml", "src/shop/users/models.py"} < set(sketched)
    del sketched["README.md"]  # it names the template's commit
    both = baked.keys() & sketched.keys()
    assert {path: baked[path] for path in both} == {path: sketched[path] for path in both}


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Pg2", "pg2"),
        ("3 Café 2.0!", "cafe_2_0"),
        ("2026", "my_project"),
        ("a" * 62 + " 2", "a" * 62),
    ],
)
def test_slug_of_a_name(name: str, slug: str) -> None:
    assert answered(project_name=name)["project_slug"] == slug


def test_slug_names_the_folder_and_the_package(tmp_path: Path) -> None:
    project = bake_anew(tmp_path, project_name="3 Café 2.0!")
    assert (project.path.name, project.package.name) == ("cafe_2_0", "cafe_2_0")


def test_braces_typed_at_the_prompt_arrive_intact(tmp_path: Path) -> None:
    text = "{{ x }} {% y %} {# z"
    done = cookiecutter(tmp_path, typed=f"{text}\n\n{text}\n\n\n\n\n\n\n")
    assert done.returncode == 0, done.stdout
    assert_intact(tmp_path / "x_y_z", text, text)


def test_refused_at_the_prompt(tmp_path: Path) -> None:
    done = cookiecutter(tmp_path, typed="\n{{ x }}\n\n\n\n\n\n\n\n")
    assert done.returncode == 1
    assert "project_slug '{{ x }}': use a to z" in done.stdout.splitlines()[-1]
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("answer", "problem"), [("apps=users,users", "twice"), ("apps=shop", "exists already")]
)
def test_an_existing_project_is_left_as_it_was(
    answer: str, problem: str, project: Project, tmp_path: Path
) -> None:
    before = tree(tmp_path)
    done = cookiecutter(tmp_path, "--overwrite-if-exists", answer)
    assert done.returncode == 1
    assert problem in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert tree(tmp_path) == before


def test_into_a_folder_with_other_files(tmp_path: Path) -> None:
    owners = tmp_path / "my_project" / ".github" / "CODEOWNERS"
    owners.parent.mkdir(parents=True)
    owners.write_text("* @me")
    done = cookiecutter(tmp_path, "--overwrite-if-exists", "ci=none")
    assert done.returncode == 0, done.stdout
    assert owners.read_text() == "* @me"
    assert (tmp_path / "my_project" / "alembic.ini").exists()


def edited_replay(folder: Path, **answers: str) -> None:
    """Bake a project below a folder, and edit the answers that cookiecutter keeps beside it."""
    done = cookiecutter(folder)
    assert done.returncode == 0, done.stdout
    [file] = (folder.parent / ".cookiecutter_replay").iterdir()
    context = json.loads(file.read_text())
    context["cookiecutter"] |= answers
    file.write_text(json.dumps(context))


def test_edited_answers_of_a_replay_count(tmp_path: Path) -> None:
    out = tmp_path / "out"
    edited_replay(out, project_slug="again", apps="shop, till", database_layout="per_app")
    done = cookiecutter(out, "--replay", typed="")
    assert done.returncode == 0, done.stdout
    project = Project(out / "again")
    assert [line.split()[0] for line in project.generate().splitlines()[::2]] == ["shop", "till"]
    project.migrate()
    assert project.tables("till.db") == {"till", "alembic_version_till"}
    assert "SHOP_DATABASE_URL" in (project.path / "README.md").read_text()


@pytest.mark.parametrize(
    ("key", "answer"),
    [("apps", "users,users"), ("project_slug", "../x"), ("database", "oracle"), ("ci", "")],
)
def test_edited_answers_of_a_replay_are_checked(key: str, answer: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    edited_replay(out, **{"project_slug": "again"} | {key: answer})
    before = tree(out)
    done = cookiecutter(out, "--replay", typed="")
    assert done.returncode == 1
    [line] = done.stdout.splitlines()
    assert line.startswith(key)
    assert tree(out) == before


@pytest.mark.parametrize("name", ["100%", "a %(here)s", "%%"])
def test_a_folder_that_alembic_cannot_read_is_refused(name: str, tmp_path: Path) -> None:
    out = tmp_path / name
    out.mkdir()
    done = cookiecutter(out)
    assert done.returncode == 1
    [line] = done.stdout.splitlines()
    assert line.startswith(f"{out}: Alembic cannot read")
    assert tree(out) == {}


def test_package_hides_no_module_that_the_project_imports(project: Project) -> None:
    program = """
import sys
import aiomysql, aiosqlite, alembic.command, asyncpg, psycopg, pymysql, pytest_alembic
import sqlalchemy.ext.asyncio
print(*[name for name, module in sys.modules.items() if hasattr(module, "__file__")])
"""
    imported = project.run("python", "-c", program).stdout.split()
    names = {name for name in imported if re.fullmatch("[a-z][a-z0-9_]*", name)}
    assert {"greenlet", "sqlalchemy", "psycopg"} < names
    for name in names:
        with pytest.raises(FailedHookException, match=name):
            answered(project_slug=name)


def test_names_that_are_hard_to_use(tmp_path: Path) -> None:
    apps = ["i", "o", "s", "ies", "base", "none", "build", "dist", "migrations", "tests", "a" * 43]
    project = bake(tmp_path, project_slug="a" * 63, apps=", ".join(apps))
    project.run("ruff", "check")
    project.run("ruff", "format", "--check")
    project.run("git", "init")
    project.run("git", "add", "--all")
    tracked = project.run("git", "ls-files").stdout.split()
    assert {str(project.models(app).relative_to(project.path)) for app in apps} < set(tracked)
    assert project.generate().count("wrote") == project.migrate().count("applied") == len(apps)
    assert project.tables() == {*apps, *(f"alembic_version_{app}" for app in apps)}


ODD_NAMES = st.one_of(
    st.sampled_from([*keyword.kwlist, *keyword.softkwlist, *sorted(sys.stdlib_module_names)]),
    st.sampled_from([*REFUSED["project_slug"], *REFUSED["apps"]]),
    st.tuples(
        st.sampled_from(["", "logger", "logger_", "sqlite_", "alembic_version", "__"]),
        st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True),
        st.sampled_from(["", "", "\n", "\u017f", "\uff41", "A", "-", "."]),
    ).map("".join),
)
NAMES = st.one_of(
    st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True),
    st.from_regex(r"[a-z]_*(s|ies|us)?", fullmatch=True),
    st.sampled_from(["base", "trues", "none", "sa", "orm", "metadata", "str"]),
    st.integers(38, 44).map(lambda length: "a" * length),
    ODD_NAMES,
)
# Without an opening brace: in answers that are not typed at the prompt, cookiecutter renders Jinja.
CHARACTERS = st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="{") | st.just("\n")
RANDOM_TEXTS = st.text(CHARACTERS, max_size=30)
ANSWERS = st.fixed_dictionaries(
    {
        "project_slug": NAMES | st.integers(60, 64).map(lambda length: "a" * length),
        "apps": st.lists(NAMES, min_size=1, max_size=4).map(" , ".join),
        "project_name": RANDOM_TEXTS | st.characters(exclude_characters="{\r"),
        "description": RANDOM_TEXTS,
        "database": st.sampled_from(["sqlite", "sqlite", "postgresql", "mysql"]),
        "async_driver": st.booleans(),
        "tenants": st.booleans(),
        "ci": st.sampled_from(["github", "gitlab", "none"]),
    }
)


@pytest.mark.parametrize("layout", ["shared", "per_app"])
@settings(max_examples=150, deadline=None)
@given(answers=ANSWERS)
def test_random_answers(layout: str, answers: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        try:
            project = sketch(Path(folder), database_layout=layout, **answers)
        except FailedHookException as refused:
            lines = str(refused).splitlines()
            assert len(lines) == 1
            return
        assert_intact(project.path, answers["project_name"], answers["description"])
        for path in (project.path / "src").rglob("*.py"):  # the others do not depend on answers
            compile(path.read_bytes(), path, "exec")
        names = [name.strip() for name in answers["apps"].split(",")]
        assert list(read_apps(Config(project.path / "alembic.ini"))) == names


@pytest.mark.parametrize("layout", ["shared", "per_app"])
@settings(max_examples=3, deadline=None)
@given(answers=ANSWERS)
def test_random_projects_run(layout: str, answers: dict[str, Any]) -> None:
    answers |= {"database": "sqlite", "database_layout": layout}
    try:
        answered(**answers)
    except FailedHookException:
        assume(False)
    names = [name.strip() for name in answers["apps"].split(",")]
    with TemporaryDirectory() as folder:
        project = bake_anew(Path(folder), **answers)
        assert_intact(project.path, answers["project_name"], answers["description"])
        assert project.generate().count("  wrote ") == len(names)
        assert project.migrate().count("  applied ") == len(names)
        for name in names:
            assert name in project.tables(f"{name}.db" if layout == "per_app" else None)
