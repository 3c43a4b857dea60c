"""Not a revision: what Alembic finds when it is called without the name of an app.

The section [alembic] of alembic.ini keeps its revisions here. Alembic loads this file before
it does anything, whatever the command, and shows the error.
"""

from pathlib import Path

from alembic.config import Config
from alembic.util import CommandError

from migrations.apps import choose_an_app, read_apps

beside = Path(__file__).parents[2] / "alembic.ini"  # not if this is an installed package
raise CommandError(choose_an_app(read_apps(Config(beside if beside.exists() else "alembic.ini"))))
