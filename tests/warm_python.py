"""A Python that is warm: it has imported what all commands import, and forks for each of them.

Starting Python and importing Alembic costs several times as much as what most commands then do.
What is forked is a process all the same, with its own environment, folder, output and exit status.
It imports migrations/ from the project, as a Python that has just been started.

Tests ask for a command by `WarmPython.run`; shells do where it is `active`, with `python` and
`alembic`.
"""

import atexit
import gc
import importlib
import marshal
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

IMPORTS = """
    aiomysql aiosqlite alembic.autogenerate alembic.command alembic.config ast asyncio asyncpg
    json logging.config mako.template psycopg pymysql sqlalchemy.dialects.mysql.aiomysql
    sqlalchemy.dialects.mysql.pymysql sqlalchemy.dialects.postgresql.asyncpg
    sqlalchemy.dialects.postgresql.psycopg sqlalchemy.dialects.sqlite.aiosqlite
    sqlalchemy.dialects.sqlite.pysqlite sqlalchemy.ext.asyncio
"""

CLIENT = Path(__file__).with_name("warm_client.py")


class WarmPython:
    """The tests' end: asks a warm Python to run one command after the other."""

    def __init__(self, venv: Path, env: Mapping[str, str]) -> None:
        folder = tempfile.TemporaryDirectory(prefix="warm-")
        self._folder = Path(folder.name)
        self._socket = str(self._folder / "socket")
        self._process = subprocess.Popen(
            [venv / "bin" / "python", __file__, self._socket],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it is ready
        (self._folder / "bin").mkdir()
        for name in ("python", "alembic"):
            python = Path(sys.base_prefix, "bin", "python3")  # starts faster than one of a venv
            words = [python, "-IS", CLIENT, venv / "bin" / name, self._socket]
            script = self._folder / "bin" / name
            script.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
            script.chmod(0o755)

        def stop() -> None:
            self._process.communicate()
            folder.cleanup()

        atexit.register(stop)

    def run(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        """Run `python -m MODULE ...` or `alembic ...`, and return how it ended."""
        outputs = [self._folder / name for name in ("stdout", "stderr")]
        with (
            Path(os.devnull).open() as nothing,
            outputs[0].open("w") as out,
            outputs[1].open("w") as err,
            socket.socket(socket.AF_UNIX) as connection,
        ):
            connection.connect(self._socket)
            asked = marshal.dumps([list(command), str(cwd), dict(env)])
            files = [file.fileno() for file in (nothing, out, err)]
            socket.send_fds(connection, [len(asked).to_bytes(8, "big")], files)
            connection.sendall(asked)
            answer = connection.makefile("rb").read()
        status = int.from_bytes(answer[-8:], "big", signed=True)
        said = [output.read_text("utf-8") for output in outputs]
        return subprocess.CompletedProcess(command, status, *said)

    def active(self, env: Mapping[str, str]) -> dict[str, str]:
        """The environment in which `python` and `alembic` ask this Python to do their work."""
        path = f"{self._folder / 'bin'}{os.pathsep}{env['PATH']}"
        return {**env, "PATH": path, "VIRTUAL_ENV": str(self._folder)}


@cache
def warm_python(venv: Path) -> WarmPython:
    """Return the warm Python of a virtual environment; it ends with the tests."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return WarmPython(venv, {**env, "PYTHONDONTWRITEBYTECODE": "1"})


def serve() -> None:
    """Fork for each command that is asked for; answer with its process, then with its status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the tests, and they end this
    for module in IMPORTS.split():
        importlib.import_module(module)
    gc.freeze()
    ended, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listener, ended, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            if listener in ready:
                connection, _ = listener.accept()
                child = start(connection)
                running[child] = connection
                send(connection, child)
            if ended in ready:
                os.read(ended, 1000)
                while running and (found := os.waitpid(-1, os.WNOHANG))[0]:
                    with running.pop(found[0]) as connection:
                        send(connection, os.waitstatus_to_exitcode(found[1]))


def send(connection: socket.socket, number: int) -> None:
    """Send a number to who asked, if he is still there."""
    with suppress(OSError):
        connection.sendall(number.to_bytes(8, "big", signed=True))


def start(connection: socket.socket) -> int:
    """Start what a connection asks for, and return its process."""
    head, files, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as rest:
        command, cwd, env = marshal.loads(rest.read(int.from_bytes(head, "big")))
    child = os.fork()
    if child == 0:
        become(command, cwd, env, files)
    for file in files:
        os.close(file)
    return child


def become(command: list[str], cwd: str, env: dict[str, str], files: list[int]) -> None:
    """Run a command and end as Python does, but at once: it would look through all it imported."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    os.environ["SSL_CERT_FILE"] = os.devnull  # PyMySQL would read it for each connection
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
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
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    match command:
        case ["alembic", *_]:
            from alembic.config import main

            sys.path[0] = str(Path(sys.executable).parent)
            sys.argv = command
            main()
        case [_, "-m", module, *arguments]:
            sys.path[0] = str(Path.cwd())
            sys.argv = ["-m", *arguments]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [_, file, *arguments]:
            sys.path[0] = str(Path(file).parent.absolute())
            sys.argv = [file, *arguments]
            runpy.run_path(file, run_name="__main__")


if __name__ == "__main__":
    serve()
