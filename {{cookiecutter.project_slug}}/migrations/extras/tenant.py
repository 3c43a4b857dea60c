"""The command that creates a tenant, and the same for programs: see tenants/new_tenant.py."""

from argparse import ArgumentParser
from pathlib import Path

from ..run import Run
from .from_python import silent_run


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("new", metavar="NAME", help="a copy of `template`, if there is one")


def tenant(run: Run) -> None:
    """Create the database or schema of a new tenant, at the newest revision of every app."""
    from .tenants.new_tenant import create_tenant  # only tenants should pay for this import

    create_tenant(run)


def make_tenant(name: str, ini: str | Path | None = None) -> None:
    """Create a tenant from Python. Prints nothing, and raises CommandError."""
    with silent_run(ini, new=name) as run:
        tenant(run)
