"""Filters for cookiecutter.json and the files it renders; cookiecutter loads them as an extension.

The answers are checked here and not in a hook: this runs before anything is written, and when
a hook fails, cookiecutter prints a traceback.
"""

import json
import keyword
import re
import runpy
import sys
import unicodedata
from pathlib import Path
from typing import Any

from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment
from jinja2.ext import Extension

# What the project imports under these names, its own package may not hide.
IMPORTED = {"alembic", "mako", "markupsafe", "migrations", "pytest", "sqlalchemy", "src", "tests"}

ADD_APP = Path(__file__).parent / "{{cookiecutter.project_slug}}" / "migrations" / "add_app.py"

DRIVERS = {
    "sqlite": ("sqlite", "sqlite+aiosqlite"),
    "postgresql": ("postgresql+psycopg", "postgresql+asyncpg"),
    "mysql": ("mysql+pymysql", "mysql+aiomysql"),
}


class Answers(Extension):
    """The filters `slug`, `checked_apps`, `url` and `toml`."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters.update(slug=slug, checked_apps=checked_apps, url=url, toml=toml)


def slug(name: str) -> str:
    """A name for the folder and the package, as near to the project's name as ASCII goes."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    found = re.sub(r"[^a-z0-9]+", "_", ascii_name.lower()).strip("_0123456789")[:63].rstrip("_")
    return found if found and problem_with_slug(found) is None else "my_project"


def checked_apps(answers: dict[str, Any]) -> str:
    """The names of the apps, separated by blanks; one line and no project if an answer is wrong."""
    for key in ("project_name", "description"):
        if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in answers[key]):
            raise FailedHookException(f"{key}: take out the control characters")
    if problem := problem_with_slug(answers["project_slug"]):
        raise FailedHookException(f"project_slug {answers['project_slug']!r}: {problem}")
    names = [name.strip() for name in answers["apps"].split(",")]
    add_app = runpy.run_path(str(ADD_APP))
    try:
        add_app["check_names"](names)
    except add_app["Refused"] as refused:
        raise FailedHookException(f"apps: {refused}") from None
    return " ".join(names)


def problem_with_slug(name: str) -> str | None:
    """What is wrong with a name for the folder and the package, or None."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return "use a to z, 0 to 9 and _, and begin with a letter"
    if keyword.iskeyword(name):
        return "it is a keyword of Python"
    if name in sys.stdlib_module_names or name in IMPORTED:
        return "the project imports another module of that name"
    if len(name) > 63:
        return "it is longer than 63 characters"
    return None


def url(answers: dict[str, Any]) -> str:
    """The URL for alembic.ini; with a database per app, APP stands in it for the app's name."""
    database = answers["database"]
    name = answers["project_slug"]
    driver = DRIVERS[database][bool(answers["async_driver"])]
    per_app = answers["database_layout"] == "per_app"
    if database == "sqlite":
        return f"{driver}:///%(here)s/{'APP' if per_app else name}.db"
    user = "postgres:postgres" if database == "postgresql" else "root:root"
    return f"{driver}://{user}@localhost/{name}{'_APP' if per_app else ''}"


def toml(text: str) -> str:
    """A text as the inside of a TOML string; a description is one line there."""
    quoted = json.dumps(" ".join(text.split()), ensure_ascii=False)
    return quoted[1:-1].replace("\x7f", "\\u007f")
