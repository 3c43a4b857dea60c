"""How a command runs for tenants: for each of them in turn or at once, or for one."""

import io
import logging
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import (
    ExitStack,
    closing,
    contextmanager,
    redirect_stderr,
    redirect_stdout,
    suppress,
)
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from shlex import quote
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from ...apps import App, read_apps
from ...databases import Databases
from ...errors import explain, program
from ...run import Run
from . import reports, schemas
from .tenant_list import NoTenants, Tenant, bound, chosen, read_tenants
from .workers import Current, Result, Workers

Command = Callable[[Run], None]

EACH = ("migrate", "upgrade", "downgrade", "stamp", "ensure_version", "current", "status")
"""The commands that run for all tenants if none is named."""

EACH_NAMED = ("adopt", "check")
"""The commands that run for the tenants that are named, or for the first if none is."""

NONE = ("tenant", "branches", "edit", "heads", "history", "list_templates", "merge", "show")
"""The commands that need no tenant, and the one that creates tenants."""


def run_command(run: Run, command: Command) -> None:
    """Run a command for one tenant, for all, or for the apps without tenants."""
    given = getattr(run.options, "tenant", ())
    only, name = given or getattr(run.options, "part", ""), name_of(run, command)
    if name in NONE and (name == "tenant" or not given):
        command(run)
    elif not any(app.tenants for app in run.selected):
        if given:
            names = ", ".join(app.name for app in run.selected)
            raise CommandError(f"{names}: no tenants; leave out --tenant")
        check_tenants(run, name)
        command(shared_run(run))
    elif name == "remove" and not run.options.keep_tables:
        names = " ".join(app.name for app in run.selected)
        raise CommandError(
            f"{names}: remove needs one database; first run {program()} -n {names} downgrade"
            f" base, then {program('remove', '--keep-tables', names)}"
        )
    elif name in EACH + EACH_NAMED * bool(only) and not getattr(run.options, "sql", False):
        each_tenant(run, command, name)
    else:
        command(run_for_one(run, name))


def name_of(run: Run, command: Command) -> str:
    """Return the name of a command, which may be one of Alembic's own."""
    alembics = getattr(run.options, "cmd", None)
    return str(alembics[0].__name__ if isinstance(alembics, tuple) else command.__name__)


def shared_run(run: Run) -> Run:
    """Return a run over the apps without tenants."""
    apps = {app.name: app for app in run.apps.values() if not app.tenants}
    selected = [app for app in run.selected if not app.tenants]
    return replace(run, apps=apps, selected=selected)


def run_for_one(run: Run, name: str) -> Run:
    """Return a run in which apps with tenants are bound to one: the tenant named, or the first.

    With `--tenant`, it leaves out the apps without tenants.
    """
    given = run.options.tenant
    tenants = chosen(read_tenants(run.config, run.apps.values()), given)
    if len(tenants) > 1 and (given or getattr(run.options, "sql", False)):
        raise CommandError(f"{name}: needs one tenant; name one: --tenant {tenants[0].name}")
    apps = bound(run.config, run.apps, tenants[0])
    selected = [apps[app.name] for app in run.selected if app.tenants or not given]
    if len(tenants) > 1 and name in ("check", "generate", "adopt"):
        print(f"with {tenants[0].name}, the first of {len(tenants)} tenants:")
    return replace(run, apps=apps, selected=selected)


def each_tenant(run: Run, command: Command, name: str) -> None:
    """Run a command for the shared apps, then for the tenants; a downgrade in reverse order."""
    own = [app for app in run.selected if app.tenants]
    if name == "adopt" and (new := [app for app in own if not run.script(app).get_heads()]):
        raise CommandError(
            f"{new[0].name}: has no revision yet; first run {program('adopt', '--yes')}, which"
            " writes one and stamps the first tenant"
        )
    # `status` prints JSON, so that its rows can be counted.
    options = Namespace(**{**vars(run.options), "json": True})
    shared = replace(shared_run(run), options=options)
    # Other parts may still need what a downgrade would take from the shared apps.
    if getattr(options, "tenant", ()) or (name == "downgrade" and options.part):
        shared.selected.clear()
    job = Job(str(run.config.config_file_name), options, command, [app.name for app in own])
    with Workers(job, jobs_of(run)) as workers:
        tenants: list[Tenant] = []
        with suppress(NoTenants):  # the list may be in a table of a shared app
            tenants = tenants_of(run)
        before, after = io.StringIO(), name == "downgrade"
        if shared.selected and not after:
            with redirect_stdout(before if name == "status" else sys.stdout):
                command(shared)
        tenants = tenants or tenants_of(run)
        results = results_of(run, workers, tenants, own, name)
    if name == "status":
        reports.print_status(results, before.getvalue(), run.options.json)
    else:
        reports.print_results(results, [app.name for app in own], run.config.stdout)
    failed = [result for result in results if result.errors]
    if failed or workers.interrupted:
        dots = ["..."] * (name in ("upgrade", "downgrade", "stamp"))
        apps = [f"-n {it.name}" for it in run.selected if len(run.selected) < len(run.apps)]
        only = [f"--tenant {quote(it)}" for it in getattr(options, "tenant", ())]
        only += [f"--part {options.part}"] * bool(getattr(options, "part", ""))
        done = {it.tenant for it in results if not it.errors}
        left = [it.name for it in tenants if it.name not in done]
        relative = re.search(r"[+-]\d+$", getattr(options, "revision", ""))
        if relative or (len(left) <= reports.MANY and len(results) == len(tenants)):
            only = [f"--tenant {it}" for it in left]
        again = program(name, *dots, *apps, *only)
        lines = reports.errors_of(failed, again, len(results), len(tenants))
        raise (KeyboardInterrupt if workers.interrupted else CommandError)("\n".join(lines))
    if shared.selected and after:
        check_tenants(replace(run, selected=shared.selected), name)
        command(shared)


def check_tenants(run: Run, name: str) -> None:
    """Refuse to downgrade a shared app if a revision that a tenant has applied requires it."""
    if name != "downgrade" or run.options.sql:
        return
    going = {
        f"{app.name}:{step.revision}"
        for app in run.selected
        for step in run.steps(app, run.options.revision, up=False)
    }
    every = {app: run.script(app).walk_revisions() for app in run.apps.values() if app.tenants}
    requiring = [it for it in run.order.requirements(every) if it[2] in going]
    for tenant in read_tenants(run.config, every) if requiring else ():
        one = replace(run, apps=bound(run.config, run.apps, tenant), selected=[])
        for app, revision, required in requiring:
            if revision.revision in one.applied(one.apps[app.name]):
                line = f"revision {revision.revision} of {app.name} still requires {required}"
                shared, advice = required.partition(":")[0], f"first downgrade {app.name}"
                raise CommandError(f"{shared}: {line} in {tenant.name}; {advice}")


def tenants_of(run: Run) -> list[Tenant]:
    """Return the tenants that a command is for."""
    options = run.options
    tenants = read_tenants(run.config, run.apps.values())
    bound(run.config, run.apps, tenants[0])  # raises what is wrong for all of them
    return chosen(tenants, getattr(options, "tenant", ()), getattr(options, "part", ""))


def jobs_of(run: Run) -> int:
    """Return the number of processes, which is 1 if a program calls `migrate_apps`."""
    if not hasattr(run.options, "jobs"):
        return 1
    default = run.config.file_config.defaults().get("tenant_jobs", "1")
    return number("tenant_jobs or --jobs", run.options.jobs or default)


def number(name: str, text: str | int) -> int:
    """Return a number that is 1 or more."""
    if not re.fullmatch(r"0*[1-9]\d*", str(text)):
        raise CommandError(f"{name} is {text}; write a number from 1")
    return int(text)


def results_of(
    run: Run, workers: Workers, tenants: Sequence[Tenant], apps: Sequence[App], name: str
) -> list[Result]:
    """Run the command for tenants, and return the results in the order of the tenants."""
    most = number("--max-failures", getattr(run.options, "max_failures", None) or sys.maxsize)
    progress = reports.Progress(len(tenants))
    create = name in ("migrate", "upgrade", "stamp")
    current = schemas.read_all(run, tenants, apps, create)
    # The revisions of some are known already. These need no connection and no process.
    at_head = {app.name: tuple(run.script(app).get_heads()) for app in apps}
    known: list[tuple[Tenant, Current]] = []
    rest: list[tuple[Tenant, Current]] = []
    for tenant in tenants:
        now = current.get(tenant.name, {}) if name in ("migrate", "status") else {}
        (known if now and (name == "status" or now == at_head) else rest).append((tenant, now))
    found: dict[str, Result] = {}
    try:
        for result in chain((workers.job(*it) for it in known), workers.do(rest)):
            found[result.tenant] = result
            progress.add(result)
            if result.interrupted and not workers.busy:  # in this process
                raise KeyboardInterrupt
            if progress.failed >= most:
                for todo in (known, rest, workers.todo):
                    todo.clear()
    except KeyboardInterrupt:  # between two tenants
        workers.interrupted = True
        for it in (worker.tenant.name for worker in workers.busy.values()):
            found[it] = Result(it, errors=[f"{it}: its process was stopped in the middle"])
    progress.clear()
    return [found[tenant.name] for tenant in tenants if tenant.name in found]


@contextmanager
def log_to(out: io.StringIO) -> Iterator[None]:
    """Write the steps that Alembic logs to `out`, and nowhere else."""
    logger, handler = logging.getLogger("alembic.runtime.migration"), logging.StreamHandler(out)
    handler.addFilter(lambda record: record.getMessage().startswith("Running "))
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


class TenantRun(Run):
    """A run for one tenant, which collects the lines about apps instead of printing them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.said: list[tuple[str, str]] = []

    def say(self, app: App, text: str) -> None:
        """Keep lines about an app."""
        if text:
            self.said.append((app.name, text))


@dataclass
class Job:
    """A command that can be run for one tenant after another. It can be pickled."""

    ini: str
    options: Namespace
    command: Command
    apps: list[str]
    """The names of the apps that the command is for."""

    @cached_property
    def shared(self) -> tuple[Config, dict[str, App], dict[str, ScriptDirectory]]:
        """What is the same for all tenants, and is read once in each process."""
        # Without a command line, revisions see none either.
        config = Config(self.ini, cmd_opts=self.options if hasattr(self.options, "cmd") else None)
        return config, read_apps(config), {}

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return Job, (self.ini, self.options, self.command, self.apps)

    def __call__(self, tenant: Tenant, current: Current) -> Result:
        """Run the command for a tenant. `current` has its current revisions if they are known."""
        config, apps, scripts = self.shared
        result = Result(tenant.name)
        out, err = io.StringIO(), io.StringIO()
        config.stdout = out
        with closing(Databases()) as databases, ExitStack() as stack:
            if hasattr(self.options, "cmd"):  # else a program called, whose threads may print
                stack.enter_context(redirect_stdout(out))
                stack.enter_context(redirect_stderr(err))
                stack.enter_context(log_to(out))
            try:
                its = bound(config, apps, tenant)
                selected = [its[name] for name in self.apps]
                run = TenantRun(config, self.options, its, selected, databases, scripts)
                result.said = run.said
                run.current.update(current)
                self.command(run)
            except KeyboardInterrupt as error:
                result.interrupted, result.errors = True, [str(error) or "interrupted"]
            except SystemExit:
                result.errors = err.getvalue().splitlines()
            except Exception as error:
                result.errors = [str(error) if isinstance(error, CommandError) else explain(error)]
        result.printed = out.getvalue()
        return result
