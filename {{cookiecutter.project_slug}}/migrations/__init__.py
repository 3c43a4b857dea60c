# SPDX-License-Identifier: MIT
"""The migrations of every app in alembic.ini; see `python -m migrations --help`.

Start reading at env.py, which Alembic runs for every app. apps.py reads the apps. ownership.py
decides which app owns a table. databases.py connects. locks.py lets only one migrator work at a
time. order.py sorts the revisions of all apps. run.py and commands/ run a command for all apps.
You can delete autogenerate/ and extras/.
"""

import gc
import re
import signal
import sys

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
    from alembic import __version__ as version
except ModuleNotFoundError:
    version = "0"
if tuple(map(int, re.findall(r"\d+", version)[:3])) < (1, 20, 1):
    sys.exit(
        f"{sys.executable} has no Alembic 1.20.1 or later; run `pip install -e .` in the project's"
        " folder and virtual environment, or `uv pip install -e .`"
    )
