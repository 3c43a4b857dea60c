"""The command that creates a tenant, and the same for programs: see tenants/new_tenant.py."""

from argparse import ArgumentParser, Namespace
from contextlib import closing
from io import StringIO
from pathlib import Path

from alembic.config import Config

from ..apps import read_apps
from ..commands.migrate import ONE_AT_A_TIME
from ..databases import Databases
from ..errors import HOME, naming
from ..run import Run


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("new", metavar="NAME", help="a copy of `template`, if there is one")


def tenant(run: Run) -> None:
    """Create the database or schema of a new tenant, at the newest revision of every app."""
    from .tenants.new_tenant import create_tenant  # only tenants should pay for this import

    create_tenant(run)


def make_tenant(name: str, ini: str | Path | None = None) -> None:
    """Create a tenant from Python. Prints nothing, and raises CommandError."""
    with ONE_AT_A_TIME, naming("tenants", ""), closing(Databases()) as databases:
        config = Config(ini or HOME.with_name("alembic.ini"), stdout=StringIO())
        options = Namespace(new=name)
        tenant(Run(config, options, read_apps(config), [], databases))
