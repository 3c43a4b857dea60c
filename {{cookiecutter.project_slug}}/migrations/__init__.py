# SPDX-License-Identifier: MIT
"""The migrations of every app in alembic.ini; see `python -m migrations --help`.

Start reading at env.py, which Alembic runs for every app. apps.py reads the apps. ownership.py
decides which app owns a table. locks.py lets only one migrator work at a time. run.py and
commands/ run a command for all apps. You can delete autogenerate/ and extras/.
"""

import gc
import re
import shlex
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        f"Python {sys.version.split()[0]} ({sys.executable}) is too old; create .venv with Python"
        " 3.11 or later, or activate a virtual environment that has it"
    )

if sys.argv[0] == "-m" and __name__ in sys.orig_argv:  # true while `python -m migrations` starts
    gc.disable()  # it takes a tenth of the start-up time; Run.each_until_error enables it again
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C must not print a traceback

try:
    from alembic import __version__ as found
    from sqlalchemy import __version__ as sa
except ModuleNotFoundError:
    found = ""
if tuple(map(int, re.findall(r"\d+", found)[:3])) < (1, 20, 1):
    project = str(Path(__file__).resolve().parents[1])
    first, pip = "", [sys.executable, "-m", "pip", "install"]
    if not found and sys.prefix == sys.base_prefix:  # outside a virtual one, pip may refuse
        first = shlex.join([sys.executable, "-m", "venv", f"{project}/.venv"]) + " && "
        pip[0] = f"{project}/.venv/bin/python"
    elif not find_spec("pip"):  # uv made this environment
        pip = ["uv", "pip", "install", "--python", sys.executable]
    if not found:
        sys.exit(f"Alembic is not installed; run  {first}{shlex.join([*pip, '-e', project])}")
    also = f", and SQLAlchemy 2 will replace {sa}" if sa < "2" else ""
    sys.exit(f"Alembic {found} is too old{also}; run  {shlex.join([*pip, 'alembic>=1.20.1'])}")
