"""Processes that run a command for one tenant after another. If one dies, only its tenant fails."""

import io
import logging
import os
import signal
import sys
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import cached_property
from types import FrameType
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from ...apps import App, read_apps
from ...databases import Databases
from ...errors import explain
from ...run import Run
from .tenant_list import Tenant, bound

Command = Callable[[Run], None]

Current = dict[str, tuple[str, ...]]
"""The current revisions of a tenant's apps, by name, as far as they are known already."""


@dataclass
class Result:
    """The result of a command for one tenant."""

    tenant: str
    said: list[tuple[str, str]] = field(default_factory=list)
    """The lines about apps, each with the name of the app."""
    printed: str = ""
    errors: list[str] = field(default_factory=list)
    """Empty if all went well."""
    interrupted: bool = False


@contextmanager
def printed_to(out: io.StringIO, err: io.StringIO) -> Iterator[None]:
    """Write what a command prints, and the steps that Alembic logs, to `out` and `err`."""
    logger, handler = logging.getLogger("alembic.runtime.migration"), logging.StreamHandler(out)
    handler.addFilter(lambda record: record.getMessage().startswith("Running "))
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with redirect_stdout(out), redirect_stderr(err):
            yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


@dataclass
class TenantRun(Run):
    """A run for one tenant, which collects the lines about apps instead of printing them."""

    said: list[tuple[str, str]] = field(default_factory=list)

    def say(self, app: App, text: str) -> None:
        """Keep lines about an app."""
        if text:
            self.said.append((app.name, text))


@dataclass
class Job:
    """A command that can be run for one tenant after another. It can be pickled before that."""

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

    def __call__(self, tenant: Tenant, current: Current) -> Result:
        """Run the command for a tenant. `current` has its current revisions if they are known."""
        config, apps, scripts = self.shared
        result = Result(tenant.name)
        config.stdout = out = io.StringIO()
        err = io.StringIO()
        # A program that called has threads that may print.
        capture = printed_to(out, err) if config.cmd_opts else nullcontext()
        databases = Databases()
        with capture:
            try:
                its = bound(config, apps, tenant)
                selected = [its[name] for name in self.apps]
                run = TenantRun(config, self.options, its, selected, databases, scripts)
                result.said = run.said
                run.known.update(current)
                self.command(run)
            except KeyboardInterrupt as error:
                result.interrupted, result.errors = True, [str(error) or "interrupted"]
            except SystemExit:
                result.errors = err.getvalue().splitlines()
            except Exception as error:
                result.errors = [str(error) if isinstance(error, CommandError) else explain(error)]
            finally:
                databases.close()
        result.printed = out.getvalue()
        return result


class Workers:
    """Runs a job in several processes, or in this one if the number is 1 or less."""

    def __init__(self, job: Job, number: int, max_failures: int) -> None:
        self.job = job
        self.max_failures = max_failures
        self.todo: deque[tuple[Tenant, Current]] = deque()
        self.results: list[Result] = []
        self.failed = 0
        self.interrupted = False
        self.busy: dict[Any, tuple[Any, str]] = {}
        """The processes at work, each with the name of its tenant."""
        # Forks are fast but must not share a database connection, so all come before the first.
        method = "fork" if sys.platform == "linux" else "spawn"
        self.idle = [start(job, method) for _ in range(number if number > 1 else 0)]

    def do(self, todo: Iterable[tuple[Tenant, Current]]) -> None:
        """Do the job for these tenants, until too many have failed or Ctrl-C ends it."""
        self.todo.extend(todo)
        try:
            if self.idle:
                self._do_at_once()
            while self.todo:
                self._add(self.job(*self.todo.popleft()))
        except KeyboardInterrupt:  # between two tenants, or the second one
            self.interrupted = True
            for _, tenant in self.busy.values():
                stopped = f"{tenant}: its process was stopped in the middle"
                self.results.append(Result(tenant, errors=[stopped]))

    def _do_at_once(self) -> None:
        from multiprocessing.connection import wait

        kinds = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(kind, self._interrupt) for kind in kinds]
        try:
            while self.todo or self.busy:
                while self.todo and self.idle:
                    process, pipe = self.idle.pop()
                    tenant, current = self.todo.popleft()
                    self.busy[pipe] = process, tenant.name
                    with suppress(BrokenPipeError):  # it was killed while idle
                        pipe.send((tenant, current))
                for pipe in wait(list(self.busy)):
                    self._receive(pipe)
        finally:
            for kind, handler in zip(kinds, before, strict=True):
                signal.signal(kind, handler)

    def _receive(self, pipe: Any) -> None:
        """Receive the result of a process, which is an error if it has died, and replace that."""
        process, tenant = self.busy.pop(pipe)
        try:
            result = pipe.recv()
        except (EOFError, OSError):  # it may have sent a part of the result
            process.join()
            status = process.exitcode
            died = f"was killed by signal {-status}" if status < 0 else f"exited with {status}"
            result = Result(tenant, errors=[f"{tenant}: its process {died}"])
            process, pipe = start(self.job, "spawn")
        self.idle.append((process, pipe))
        self._add(result)

    def _add(self, result: Result) -> None:
        """Keep a result, and show on a terminal how many tenants are done, failed and left."""
        self.results.append(result)
        self.failed += bool(result.errors)
        self.interrupted |= result.interrupted
        if self.interrupted or (result.errors and self.failed >= self.max_failures):
            self.todo.clear()
        if sys.stderr and sys.stderr.isatty():
            left = len(self.todo) + len(self.busy)
            done = len(self.results) - self.failed
            line = f"\r{done} done, {self.failed} failed, {left} left "
            print(line, end="" if left else "\n", file=sys.stderr)

    def _interrupt(self, _: int, __: FrameType | None) -> None:
        """Start no more tenants, and interrupt the busy ones. The second time, stop at once."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        self.todo.clear()
        for process, _tenant in self.busy.values():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)

    def close(self) -> None:
        """End the processes. Busy ones are terminated."""
        for process, _ in self.busy.values():
            process.terminate()
        for pipe in (*self.busy, *(pipe for _, pipe in self.idle)):
            pipe.close()
        for process, _ in (*self.busy.values(), *self.idle):
            process.join()


def start(job: Job, method: str) -> tuple[Any, Any]:
    """Return a new process, and the pipe to it."""
    from multiprocessing import get_context  # here, because only workers need this slow import

    context: Any = get_context(method)
    pipe, theirs = context.Pipe()
    process = context.Process(target=serve, args=(job, theirs, pipe), daemon=True)
    process.start()
    theirs.close()
    return process, pipe


def serve(job: Job, pipe: Any, other_end: Any) -> None:
    """Do the job for each tenant that comes through the pipe, until it is closed."""
    # This process keeps the other ends of earlier pipes open, but not its own. So the process that
    # was started last ends first, when the main process closes them or is gone.
    other_end.close()
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # Ctrl-C then reaches only the main process, which passes it on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            pipe.send(job(*pipe.recv()))
