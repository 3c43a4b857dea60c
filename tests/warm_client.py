"""What `python` and `alembic` are where a warm Python is active: it does their work, if it can.

Starting this takes a hundredth of a second, because it imports next to nothing.
"""

import _socket
import marshal
import os
import signal
import sys

REAL, SOCKET, *ARGUMENTS = sys.argv[1:]
BIN, _, NAME = REAL.rpartition("/")

# What the warm Python can do; all else needs a new one.
WARM = (["-m", "migrations"], ["new_app/add_app.py"])


def main() -> None:
    """Let the warm Python run the command, and end as that does; else run it."""
    env = dict(os.environ, VIRTUAL_ENV=BIN.removesuffix("/bin"))
    env["PATH"] = env["PATH"].replace(f"{SOCKET.removesuffix('socket')}bin:", "")
    if NAME == "alembic" or any(ARGUMENTS[: len(start)] == start for start in WARM):
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        connection.connect(SOCKET)
        asked = marshal.dumps([[NAME, *ARGUMENTS], os.getcwd(), env])  # noqa: PTH109
        files = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)
        connection.sendmsg([len(asked).to_bytes(8, "big")], [rights])
        connection.sendall(asked)
        child = number_from(connection)
        for sent in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sent, lambda number, _: os.kill(child, number))
        status = number_from(connection)
        if status < 0:
            signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        os._exit(status)
    os.execve(REAL, [REAL, *ARGUMENTS], env)


def number_from(connection: _socket.socket) -> int:
    """The next number that the warm Python sends."""
    return int.from_bytes(connection.recv(8), "big", signed=True)


main()
