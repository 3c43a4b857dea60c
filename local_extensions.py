"""Filters for cookiecutter.json and the files it renders; cookiecutter loads them as an extension.

The answers are checked here, before anything is written. A hook would be too late, and prints a
traceback when it fails. `__apps` of cookiecutter.json checks them after the prompts. They are
checked again before the project's folder is made, because `cookiecutter --replay` has no prompts.
No other file uses `__apps`, as answers in a replay file may have been edited.
"""

import json
import keyword
import re
import runpy
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

from cookiecutter.exceptions import FailedHookException, OutputDirExistsException
from jinja2 import Environment
from jinja2.ext import Extension

# The project needs modules of these names. A package of the same name would hide them.
NEEDED = """
    aiomysql aiosqlite alembic asyncpg cryptography greenlet hatchling iniconfig mako markupsafe
    migrations mypy packaging pip pluggy psycopg psycopg_binary py pygments pymysql pytest
    pytest_alembic ruff sqlalchemy src tests typing_extensions
"""

FOLDER = "{{cookiecutter.project_slug}}"
"""The name of the project's folder; cookiecutter renders it right before it makes the folder."""

QUESTIONS = Path(__file__).with_name("cookiecutter.json")
ADD_APP = Path(__file__).parent / FOLDER / "new_app" / "add_app.py"

DRIVERS = {
    "sqlite": ("sqlite", "sqlite+aiosqlite"),
    "postgresql": ("postgresql+psycopg", "postgresql+asyncpg"),
    "mysql": ("mysql+pymysql", "mysql+aiomysql"),
}


class Answers(Extension):
    """The filters below, and the function `template_commit`."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        # cruft bakes two versions of the template in one process: each has to import its own.
        sys.modules.pop(__name__, None)
        for function in (slug, checked_apps, check_folder, url, toml):
            environment.filters[function.__name__] = function
        environment.globals["template_commit"] = template_commit

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return a template's source; the folder's name first checks all answers."""
        return f"{{{{ cookiecutter | check_folder }}}}{source}" if source == FOLDER else source


def slug(name: str) -> str:
    """Return a name for the folder and the package, as close to the project's as ASCII allows."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "_", ascii_name.lower())
    found = words.lstrip("_0123456789")[:63].rstrip("_")
    return found if found and problem_with_slug(found) is None else "my_project"


def checked_apps(answers: dict[str, Any]) -> str:
    """Return the names of the apps, separated by blanks; fail in one line if an answer is wrong."""
    for key in ("project_name", "description"):
        if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in answers[key]):
            raise FailedHookException(f"{key}: remove the control characters")
    for key, choices in json.loads(QUESTIONS.read_text("utf-8")).items():
        if isinstance(choices, list) and key[0] != "_" and answers[key] not in choices:
            raise FailedHookException(f"{key}: choose one of {', '.join(choices)}")
    if problem := problem_with_slug(answers["project_slug"]):
        raise FailedHookException(f"project_slug {answers['project_slug']!r}: {problem}")
    names = [name.strip() for name in answers["apps"].split(",")]
    add_app = runpy.run_path(str(ADD_APP))
    try:
        add_app["check_names"](names, sections=[])
    except add_app["Refused"] as refused:
        raise FailedHookException(f"apps: {refused}") from None
    return " ".join(names)


def check_folder(answers: dict[str, Any]) -> str:
    """Return "" if the project can be made; `cookiecutter -f` would overwrite existing files."""
    checked_apps(answers)
    name = answers["project_slug"]
    folder = Path(answers.get("_output_dir", ".")).absolute()
    if "%" in str(folder):
        raise FailedHookException(
            f"{folder}: Alembic cannot read an alembic.ini below a folder with a % in its name;"
            " choose another folder"
        )
    for path in ("alembic.ini", f"src/{name}"):
        there = folder / name / path
        if "_output_dir" in answers and there.exists():  # cruft does not say where it writes
            raise OutputDirExistsException(f"{there} exists already; move it away first")
    return ""


def problem_with_slug(name: str) -> str | None:
    """Return what is wrong with a name for the folder and the package, or None."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return "use a to z, 0 to 9 and _, and begin with a letter"
    if keyword.iskeyword(name):
        return "it is a keyword of Python"
    if name in sys.stdlib_module_names or name in NEEDED.split():
        return "the project needs a module of that name"
    if len(name) > 63:
        return "it is longer than 63 characters"
    return None


def url(answers: dict[str, Any]) -> str:
    """Return the URL for alembic.ini; with a database per app, APP stands for the app's name."""
    database = answers["database"]
    name = answers["project_slug"]
    driver = DRIVERS[database][bool(answers["async_driver"])]
    per_app = answers["database_layout"] == "per_app"
    if database == "sqlite":
        return f"{driver}:///%(here)s/{'APP' if per_app else name}.db"
    user = "postgres:postgres" if database == "postgresql" else "root:root"
    return f"{driver}://{user}@localhost/{name}{'_APP' if per_app else ''}"


def toml(text: str) -> str:
    """Return text for the inside of a TOML string, in one line."""
    quoted = json.dumps(" ".join(text.splitlines()), ensure_ascii=False)
    return quoted[1:-1].replace("\x7f", "\\u007f")


def template_commit() -> str:
    """Return the commit that the template is checked out at, or "" if git cannot tell."""
    template = Path(__file__).parent
    if not (template / ".git").exists() or not shutil.which("git"):
        return ""
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, cwd=template, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
