"""Run commands for many tenants, which have the same apps in a database or a schema of their own.

Every tenant has the apps whose sections of alembic.ini set `tenants`. Commands that work on
databases run for all tenants. Commands that write revisions compare with one tenant.
"""

from argparse import ArgumentParser
from collections.abc import Callable

from alembic.config import Config
from alembic.util import CommandError

from ...apps import App
from ...run import Run


def options(parser: ArgumentParser) -> None:
    """Declare the arguments that choose tenants."""
    add = parser.add_argument_group("for apps with tenants").add_argument
    add("--tenant", action="append", default=[], metavar="GLOB", help="only these tenants")
    add("--part", default="", metavar="K/N", help="only part K of N, from 0 to N-1 or from 1 to N")
    add("--jobs", metavar="N", help="the number of processes; default: tenant_jobs or 1")
    add("--max-failures", metavar="N", help="stop when N tenants have failed")


def apps_of_tenant(config: Config, apps: dict[str, App]) -> dict[str, App]:
    """Return the apps, bound to a tenant if `-x tenant=NAME` is given."""
    given = [it for it in getattr(config.cmd_opts, "x", None) or () if it.startswith("tenant=")]
    if not given:
        return apps
    from .tenant_list import bound, chosen, read_tenants  # only tenants should pay for this import

    names = [given[-1].removeprefix("tenant=")]
    tenant, *others = chosen(read_tenants(config, apps.values()), names)
    if others:
        raise CommandError(f"tenants: -x tenant={names[0]} is more than one; give one name")
    return bound(config, apps, tenant)


def around(command: Callable[[Run], None]) -> Callable[[Run], None]:
    """Return a function that runs a command for tenants if there are any."""

    def run_command(run: Run) -> None:
        if any(app.tenants for app in run.apps.values()):
            from . import runs  # likewise

            runs.run_command(run, command)
        elif given := getattr(run.options, "tenant", ()):
            raise CommandError(f"--tenant {given[0]}: no section of alembic.ini sets `tenants`")
        else:
            command(run)

    return run_command
