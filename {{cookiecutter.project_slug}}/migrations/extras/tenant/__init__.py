"""Run commands for many tenants, which have the same apps in a database or a schema of their own.

Every tenant has the apps whose sections of alembic.ini set `tenants`. Commands that work on
databases run for all tenants. Commands that write revisions compare with one tenant. The command
`tenant` creates a tenant.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace

from alembic.config import Config
from alembic.util import CommandError

from ...apps import App
from ...run import Run

FROM_A_PROGRAM = {"part": "", "jobs": 1, "max_failures": None}
"""The options of a run that no command line has started."""


def options(parser: ArgumentParser) -> None:
    """Declare the arguments that choose tenants."""
    add = parser.add_argument_group("for apps with tenants").add_argument
    add("--tenant", action="append", default=[], metavar="GLOB", help="only these tenants")
    add("--part", default="", metavar="K/N", help="only part K of N, from 0 to N-1 or from 1 to N")
    add("--jobs", type=int, metavar="N", help="the number of processes; default: tenant_jobs or 1")
    add("--max-failures", type=int, metavar="N", help="stop when N tenants have failed")


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command `tenant`."""
    parser.add_argument("new", metavar="NAME")
    parser.set_defaults(sql=False)


def tenant(run: Run) -> None:
    """Create the database or schema of a new tenant, at the newest revision of every app."""
    from .places import create_tenant  # only tenants should pay for this import

    create_tenant(run)


def apps_of_tenant(config: Config, apps: dict[str, App]) -> dict[str, App]:
    """Return the apps, bound to a tenant if `-x tenant=NAME` is given."""
    given = [it for it in getattr(config.cmd_opts, "x", None) or () if it.startswith("tenant=")]
    if not given:
        return apps
    from .tenant_list import bound, one_of  # likewise

    name = given[-1].removeprefix("tenant=")
    return bound(config, apps, one_of(config, apps.values(), [name]))


def around(command: Callable[[Run], None]) -> Callable[[Run], None]:
    """Return a function that runs a command for tenants if there are any."""

    def run_command(run: Run) -> None:
        given = getattr(run.options, "tenant", ())
        if given and not any(app.tenants for app in run.selected):
            raise CommandError(f"--tenant {given[0]}: is only for apps with tenants; leave it out")
        if any(app.tenants for app in run.apps.values()):
            from . import runs  # likewise

            run_options = Namespace(**{**FROM_A_PROGRAM, **vars(run.options)})
            runs.run_command(replace(run, options=run_options), command)
        else:
            command(run)

    return run_command
