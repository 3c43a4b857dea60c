"""How a command runs for tenants: for each of them, or for one."""

import io
import re
import sys
from argparse import Namespace
from contextlib import closing, nullcontext, redirect_stdout
from dataclasses import replace
from functools import cache
from shlex import quote

from alembic.util import CommandError

from ...apps import App
from ...errors import program
from ...run import Run
from . import reports
from .places import read_schemas
from .tenant_list import bound, chosen, one_of, read_tenants
from .workers import Command, Job, Workers

EACH = ("migrate", "upgrade", "downgrade", "stamp", "ensure_version", "current", "status")
"""The commands that run for all tenants if none is named."""

EACH_NAMED = ("adopt", "check")
"""The commands that run for the tenants that are named, or for the first if none is."""


def run_command(run: Run, command: Command) -> None:
    """Run a command for one tenant, for all, or for the apps without tenants."""
    options, name = run.options, name_of(run, command)
    own = [app for app in run.selected if app.tenants]
    named = options.tenant or options.part
    for_each = name in EACH or (name in EACH_NAMED and named)
    if name == "adopt" and not all(run.script(app).get_heads() for app in own):
        for_each = False  # it writes first revisions, by comparing with one tenant
    if not own:
        run_shared(run, command, name)
    elif name == "remove" and not options.keep_tables:
        names = " ".join(app.name for app in own)
        raise CommandError(
            f"{names}: remove needs one database; first run {program()} -n {names} downgrade"
            f" base, then {program('remove', '--keep-tables', names)}"
        )
    elif for_each and not getattr(options, "sql", False):
        each_tenant(run, command, name, own)
    elif options.tenant or name in (*EACH_NAMED, "generate"):
        command(run_for_one(run))
    else:
        command(run)  # if it needs a database, App.url says how to name a tenant


def name_of(run: Run, command: Command) -> str:
    """Return the name of a command, which may be one of Alembic's own."""
    alembics = getattr(run.options, "cmd", None)
    return str(alembics[0].__name__ if isinstance(alembics, tuple) else command.__name__)


def run_shared(run: Run, command: Command, name: str) -> None:
    """Run a command for the apps without tenants."""
    apps = {app.name: app for app in run.apps.values() if not app.tenants}
    selected = [app for app in run.selected if not app.tenants]
    if name == "downgrade" and not run.options.sql:
        check_tenants(run, replace(run, apps=apps, selected=selected))
    command(replace(run, apps=apps, selected=selected))


def check_tenants(run: Run, shared: Run) -> None:
    """Refuse to downgrade a shared app if a revision that a tenant has applied requires it."""

    @cache
    def applied(app: App) -> set[str]:
        found: set[str] = set()
        for tenant in read_tenants(run.config, [app]) if app.tenants else ():
            apps = bound(run.config, run.apps, tenant)
            found |= replace(run, apps=apps, selected=[]).applied(apps[app.name])
        return found

    steps = {app: shared.steps(app, run.options.revision, up=False) for app in shared.selected}
    run.order.plan(steps, applied, up=False)


def run_for_one(run: Run) -> Run:
    """Return a run in which apps with tenants are bound to one: the tenant named, or the first.

    With `--tenant`, it leaves out the apps without tenants.
    """
    given = run.options.tenant
    tenant = one_of(run.config, run.apps.values(), given)
    apps = bound(run.config, run.apps, tenant)
    selected = [apps[app.name] for app in run.selected if app.tenants or not given]
    return replace(run, apps=apps, selected=selected)


def each_tenant(run: Run, command: Command, name: str, own: list[App]) -> None:
    """Run a command for the shared apps, then for the tenants; a downgrade in reverse order."""
    # `status` prints JSON, so that its rows can be counted.
    options = Namespace(**{**vars(run.options), "json": True})
    shared = any(not app.tenants for app in run.selected) and not options.tenant
    down = name == "downgrade"
    job = Job(str(run.config.config_file_name), options, command, [app.name for app in own])
    jobs = options.jobs or run.config.file_config.getint("DEFAULT", "tenant_jobs", fallback=1)
    with closing(Workers(job, jobs, options.max_failures or sys.maxsize)) as workers:
        printed = io.StringIO()
        if ":" not in own[0].tenants:  # a file, whose mistakes are found before anything moves
            read_tenants(run.config, own)
        if shared and not down:
            with redirect_stdout(printed) if name == "status" else nullcontext():
                run_shared(replace(run, options=options), command, name)
        # The list may be in a table of a shared app.
        tenants = chosen(run.config, run.apps.values(), options.tenant, options.part)
        known = read_schemas(run, tenants, own, create=name in ("migrate", "upgrade", "stamp"))
        workers.do((tenant, known.get(tenant.name, {})) for tenant in tenants)
    found = {result.tenant: result for result in workers.results}
    results = [found[tenant.name] for tenant in tenants if tenant.name in found]
    if name == "status":
        reports.print_status(results, printed.getvalue(), run.options.json)
    else:
        reports.print_results(results, job.apps, run.config.stdout)
    failed = [result for result in results if result.errors]
    if failed or workers.interrupted:
        left = [it.name for it in tenants if it.name not in found or found[it.name].errors]
        lines = reports.errors_of(failed, again(run, name, left), len(results), len(tenants))
        raise (KeyboardInterrupt if workers.interrupted else CommandError)("\n".join(lines))
    # Other parts may still need what a downgrade would take from the shared apps.
    if shared and down and not options.part:
        run_shared(run, command, name)


def again(run: Run, name: str, left: list[str]) -> str:
    """Return the command to recommend, for those tenants that are left."""
    options = run.options
    targets = getattr(options, "revisions", [getattr(options, "revision", "")])
    apps = [f"-n {app.name}" for app in run.selected if len(run.selected) < len(run.apps)]
    only = [f"--tenant {quote(it)}" for it in options.tenant]
    only += [f"--part {options.part}"] * bool(options.part)
    # A relative target would go further in the tenants that are done.
    if len(left) <= reports.MANY or re.search(r"[+-]\d+$", targets[0]):
        only = [f"--tenant {it}" for it in left]
    return program(name, *map(quote, filter(None, targets)), *apps, *only)
