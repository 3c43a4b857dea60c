"""A project baked from the template, and what a user does with it."""

import atexit
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from compileall import compile_dir
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from py_compile import PycInvalidationMode
from tempfile import mkdtemp

from cookiecutter.main import cookiecutter

from warm_python import warm_python

TEMPLATE = Path(__file__).resolve().parents[1]

DEV = Path(sys.prefix)
"""The environment of the tests themselves, which has the template's tools."""

# The environments in which projects run: with their dependencies, and little else.
NEWEST = TEMPLATE / ".venv-newest"
OLDEST = TEMPLATE / ".venv-oldest"

# Who commits.
GIT = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "A. Nyone"), ("EMAIL", "a@example.org"))
}

SECRET = "Pa55"
"""What begins every password in a test of errors: no command may print it."""


@dataclass
class Project:
    """A baked project; `run` starts its scripts as its user would."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables for every run, such as DATABASE_URL."""
    venv: Path = NEWEST
    """The virtual environment that is active."""
    warm: bool = True
    """Whether `run` may fork a Python that is warm; otherwise it starts one, as a user does."""

    def start(
        self, *command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Start a command in the project's folder and do not wait for it."""
        return subprocess.Popen(
            command,
            cwd=cwd or self.path,
            env=self.env(env),
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    @contextmanager
    def started(
        self, *command: str, env: Mapping[str, str] | None = None
    ) -> Iterator["subprocess.Popen[str]"]:
        """A command that runs meanwhile; one that still does at the end of the block is killed."""
        with self.start(*command, env=env) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(
        self,
        *command: str,
        status: int | None = 0,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in the project's folder; fail unless it ends with the exit status.

        A status of None accepts any, for callers that look themselves.
        """
        python = None if cwd or not self._may_be_warm(env) else as_python(command)
        if python:
            done = warm_python(self.venv).run(python, self.path, self.env(env))
        else:
            own = command[0].endswith(".sh") or command[0] in ("python", "alembic")
            with self.start(*command, cwd=cwd, env=self.shell(env) if own else env) as process:
                out, err = process.communicate()
            done = subprocess.CompletedProcess(command, process.returncode, out, err)
        if status is not None and done.returncode != status:
            said = f"{done.stdout}\n{done.stderr}"
            raise AssertionError(
                f"{' '.join(command)} ended with {done.returncode}, not {status}\n{said}"
            )
        return done

    def _may_be_warm(self, more: Mapping[str, str] | None) -> bool:
        """Whether commands in an environment may fork the warm Python."""
        starts = ("LANG", "LC_", "PATH", "PYTHON", "VIRTUAL_ENV")  # what counts at the start
        keys = {*self.environment, *(more or {})} - {"PYTHONPATH"}
        return self.warm and not any(key.startswith(starts) for key in keys)

    def generate(self, *arguments: str) -> str:
        """Run ./generate.sh, which must have nothing to warn of, and return what it printed."""
        done = self.run("./generate.sh", *arguments)
        assert not done.stderr, done.stderr
        return done.stdout

    def revise(self, app: str, *arguments: str) -> Path:
        """Run ./generate.sh for one app whose models changed, and return the new file."""
        said = self.generate(*arguments, app)
        wrote = re.search(rf"(?m)^{app} +wrote (.+)$", said)
        assert wrote, said
        return self.path / wrote[1]

    def migrate(self, *arguments: str) -> str:
        """Run ./migrate.sh, which must have nothing to warn of, and return what it printed."""
        done = self.run("./migrate.sh", *arguments)
        assert not done.stderr, done.stderr
        return done.stdout

    def migrations(self, *arguments: str) -> str:
        """Run `python -m migrations` and return what it printed."""
        return self.run("python", "-m", "migrations", *arguments).stdout

    def refused(
        self, *command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        """Run a command that must fail with one line on stderr, and return that line.

        Plain Alembic prints it to stdout, and logs to stderr.
        """
        done = self.run(*command, status=None, cwd=cwd, env=env)
        said = done.stdout + done.stderr
        assert done.returncode not in (0, None), said
        assert not re.search(f"Traceback|Warning|{SECRET}", said), said
        plain = command[0] == "alembic"
        lines = (done.stdout if plain else done.stderr).splitlines()
        assert len(lines) == 1, said
        assert not plain or lines[0].startswith("FAILED: "), said
        return lines[0].removeprefix("FAILED: ")

    def revisions(self, app: str) -> list[Path]:
        """The revision files of an app, oldest first as far as their names tell."""
        folder = self.package / app / "migrations"
        return sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")

    def models(self, app: str) -> Path:
        """The file with the models of an app."""
        return self.package / app / "models.py"

    @property
    def package(self) -> Path:
        """The folder of the project's package."""
        [package] = (path for path in (self.path / "src").iterdir() if path.suffix == "")
        return package

    def add_column(self, app: str, column: str, kind: str = "sa.String(50)") -> None:
        """Add a nullable column to the only model of an app, as its user would: at the end."""
        line = f"    {column}: orm.Mapped[object | None] = orm.mapped_column({kind})\n"
        with self.models(app).open("a") as file:
            file.write(line)

    def remove_line(self, path: Path, containing: str) -> None:
        """Remove the lines of a file that contain a text."""
        lines = path.read_text().splitlines(keepends=True)
        assert any(containing in line for line in lines)
        path.write_text("".join(line for line in lines if containing not in line))

    def sqlite(self, query: str, database: str | None = None) -> list[tuple[object, ...]]:
        """Ask the project's SQLite database."""
        with sqlite3.connect(self.path / (database or f"{self.path.name}.db")) as connection:
            rows = connection.execute(query).fetchall()
        connection.close()
        return rows

    def tables(self, database: str | None = None) -> set[str]:
        """The names of the tables in the project's SQLite database."""
        query = "SELECT name FROM sqlite_schema WHERE type = 'table'"
        return {str(name) for (name,) in self.sqlite(query, database)}

    def set_ini(self, section: str, key: str, value: str) -> None:
        """Set a key in a section of alembic.ini, replacing it where it stands."""
        path = self.path / "alembic.ini"
        head, title, rest = path.read_text().partition(f"[{section}]\n")
        assert title, f"no section [{section}]"
        body, bracket, tail = rest.partition("\n[")
        body = re.sub(rf"(?m)^{re.escape(key)}\s*=.*\n?(?:[ \t]+.*\n?)*", "", body)
        path.write_text(f"{head}{title}{key} = {value}\n{body}{bracket}{tail}")

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment in which the project's commands run."""
        outer = {
            key: value
            for key, value in os.environ.items()
            if not key.endswith("DATABASE_URL") and not key.startswith(("PYTEST_", "PYTHON"))
        }
        path = os.pathsep.join([f"{self.venv / 'bin'}", f"{DEV / 'bin'}", outer["PATH"]])
        inner = {"VIRTUAL_ENV": str(self.venv), "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        return {**outer, **inner, **self.environment, **(more or {})}

    def shell(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment for a shell, in which commands fork the warm Python if they may."""
        env = self.env(more)
        return warm_python(self.venv).active(env) if self._may_be_warm(more) else env


def as_python(command: Sequence[str]) -> Sequence[str] | None:
    """What a warm Python is to run for a command; None for one that a shell has to start."""
    match command:
        case ["./migrate.sh" | "./generate.sh" as script, *arguments]:
            return ["python", "-m", "migrations", Path(script).stem, *arguments]
        case ["python", "-m", "migrations", *_] | ["alembic", *_]:
            return command
    return None


def wait_for(fact: Callable[[], object], seconds: float = 120) -> None:
    """Return when something is true; the time only guards against hanging."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def bake(folder: Path, **answers: object) -> Project:
    """Generate a project below a folder, with the defaults for what is not answered.

    It is a copy: for the same answers, cookiecutter runs once.
    """
    baked = _bake_once(tuple(sorted(answers.items())))
    return Project(shutil.copytree(baked, folder / baked.name))


@cache
def _bake_once(answers: tuple[tuple[str, object], ...]) -> Path:
    folder = mkdtemp(prefix="bake-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    project = bake_anew(Path(folder), **dict(answers))
    # Else every command of every copy does; by hash, because `cp -R` gives its files a new time.
    by_hash = PycInvalidationMode.CHECKED_HASH
    compile_dir(project.path / "migrations", quiet=1, invalidation_mode=by_hash)
    return project.path


def bake_anew(folder: Path, **answers: object) -> Project:
    """Generate a project below a folder by cookiecutter, for answers that come only once."""
    path = cookiecutter(
        str(TEMPLATE),
        no_input=True,
        extra_context=answers,
        output_dir=str(folder),
        default_config=True,
    )
    return Project(Path(path))


def template_copy(folder: Path) -> Path:
    """Copy the template as someone who clones it would get it, with what is not committed yet."""
    files = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.check_output(files, cwd=TEMPLATE, text=True).split("\0")[:-1]:
        if (TEMPLATE / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TEMPLATE / name, folder / name, follow_symlinks=False)
    return folder


def add_a_filter(template: Path) -> None:
    """Add a filter to the extension of a template, and a line to a file that it renders."""
    extension = template / "local_extensions.py"
    code = extension.read_text().replace("for function in (", "for function in (loud, ")
    extension.write_text(f"{code}\n\ndef loud(text: str) -> str:\n    return text.upper()\n")
    with (template / "{{cookiecutter.project_slug}}" / "Makefile").open("a") as file:
        file.write("# {{ cookiecutter.project_slug | loud }}\n")


def tree(folder: Path) -> dict[str, bytes]:
    """What is below a folder but bytecode: its files, and its folders with an empty content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }
