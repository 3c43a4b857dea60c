# SPDX-License-Identifier: MIT
"""The migrations of every app of alembic.ini; see `python -m migrations --help`.

Begin with env.py, which Alembic runs for every app. apps.py reads the apps, ownership.py decides
which app owns a table, locks.py allows one migrator at a time. run.py and commands/ do for all
apps what Alembic does for one. autogenerate/ and extras/ can be deleted.
"""

import gc
import re
import shlex
import signal
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        f"Python {sys.version.split()[0]}, {sys.executable}, is too old: this needs 3.11 or later,"
        " in .venv or in the virtual environment that is active"
    )

if sys.argv[0] == "-m" and __name__ in sys.orig_argv:  # true while `python -m migrations` starts
    gc.disable()  # collecting garbage takes a tenth of the start; __main__.py enables it
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C must not print a traceback

try:
    from alembic import __version__ as found
except ModuleNotFoundError:
    project = str(Path(__file__).resolve().parents[1])
    python, first = sys.executable, ""
    if sys.prefix == sys.base_prefix:  # not a virtual environment: pip may be forbidden there
        first = shlex.join([python, "-m", "venv", f"{project}/.venv"]) + " && "
        python = f"{project}/.venv/bin/python"
    install = first + shlex.join([python, "-m", "pip", "install", "-e", project])
    sys.exit(f"Alembic is not installed: run  {install}")

if tuple(map(int, re.findall(r"\d+", found)[:3])) < (1, 20, 1):
    upgrade = shlex.join([sys.executable, "-m", "pip", "install", "alembic>=1.20.1"])
    sys.exit(f"Alembic {found} is too old: run  {upgrade}")
