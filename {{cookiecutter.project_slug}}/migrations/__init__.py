"""The migrations of every app of alembic.ini; see `python -m migrations --help`."""

import sys
from importlib.util import find_spec

if not find_spec("alembic"):
    sys.exit(f"Alembic is not installed: run  {sys.executable} -m pip install -e .")
