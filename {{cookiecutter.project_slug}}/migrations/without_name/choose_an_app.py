"""Not a revision: Alembic loads this file when it is called without the name of an app.

The section [alembic] of alembic.ini has this folder as its version_locations. Every command loads
this file first, and prints the error.
"""

from pathlib import Path

from alembic.config import Config
from alembic.util import CommandError

from migrations.apps import read_apps
from migrations.errors import program

beside = Path(__file__).parents[2] / "alembic.ini"  # not there in an installed package
apps = read_apps(Config(beside if beside.exists() else "alembic.ini"))
every = f"{program('migrate')} migrates them all"
raise CommandError(f"name an app: alembic --name {'|'.join(apps)} ...; {every}")
