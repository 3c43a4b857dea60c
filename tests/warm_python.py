"""A Python that is warm: it has imported what all commands import, and forks for each of them.

Starting Python and importing Alembic costs several times as much as what most commands then do.
What is forked is a process all the same, with its own environment, folder, output, signals and
exit status. It imports migrations/ from the project, as a Python that has just been started.
"""

import atexit
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

IMPORTS = """
    aiomysql aiosqlite alembic.autogenerate alembic.command alembic.config ast asyncio asyncpg
    json logging.config mako.template psycopg pymysql sqlalchemy.dialects.mysql.aiomysql
    sqlalchemy.dialects.mysql.pymysql sqlalchemy.dialects.postgresql.asyncpg
    sqlalchemy.dialects.postgresql.psycopg sqlalchemy.dialects.sqlite.aiosqlite
    sqlalchemy.dialects.sqlite.pysqlite sqlalchemy.ext.asyncio
"""


class WarmPython:
    """The tests' end: asks a warm Python to run one command after the other."""

    def __init__(self, python: Path, env: Mapping[str, str]) -> None:
        folder = tempfile.TemporaryDirectory(prefix="warm-")
        self._outputs = [Path(folder.name, name) for name in ("stdout", "stderr")]
        self._process = subprocess.Popen(
            [python, __file__, *self._outputs],
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

        def stop() -> None:
            self._process.communicate()
            folder.cleanup()

        atexit.register(stop)

    def run(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        """Run `python -m MODULE ...` or `alembic ...`, and return how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([command, str(cwd), dict(env)]), file=self._process.stdin, flush=True)
        status = int(self._process.stdout.readline())
        out, err = (file.read_text("utf-8") for file in self._outputs)
        return subprocess.CompletedProcess(command, status, out, err)


@cache
def warm_python(venv: Path) -> WarmPython:
    """Return the warm Python of a virtual environment; it ends with the tests."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return WarmPython(venv / "bin" / "python", {**env, "PYTHONDONTWRITEBYTECODE": "1"})


def serve() -> None:
    """Fork for each command that is asked for, and answer with its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the tests, and they end this
    for module in IMPORTS.split():
        importlib.import_module(module)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(*json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def become(command: list[str], cwd: str, env: dict[str, str]) -> None:
    """Run a command and end as Python does, but at once: it would look through all it imported."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    os.environ["SSL_CERT_FILE"] = os.devnull  # PyMySQL would read it for each connection
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(sys.argv[1:], 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    status: object = None
    try:
        run(command)
    except SystemExit as error:
        status = error.code
        if not isinstance(status, int | None):
            print(status, file=sys.stderr)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = error
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    if isinstance(status, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status if isinstance(status, int) else int(status is not None))


def run(command: list[str]) -> None:
    """Run a command, with the arguments and the path that a new Python would have."""
    sys.orig_argv = [sys.executable, *command[1:]]
    if command[0] == "alembic":
        from alembic.config import main

        sys.path[0] = str(Path(sys.executable).parent)
        sys.argv = command
        main()
    else:
        _, option, module, *arguments = command
        sys.path[0] = str(Path.cwd())
        sys.argv = [option, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve()
