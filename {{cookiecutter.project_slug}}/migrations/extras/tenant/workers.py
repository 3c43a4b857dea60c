"""Processes that do a job for one tenant after another. If one dies, only its tenant fails."""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

from .tenant_list import Tenant

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as Pipe


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


Current = dict[str, tuple[str, ...]]
"""The current revisions of a tenant's apps, by name, as far as they are known already."""

Job = Callable[[Tenant, Current], Result]
"""A function to be called for each tenant. It can be pickled."""


class Workers:
    """Runs a job in several processes, or in this one if the number is 1 or less."""

    def __init__(self, job: Job, number: int, max_failures: int) -> None:
        self.job = job
        self.max_failures = max_failures
        self.failed = 0
        self.todo: deque[tuple[Tenant, Current]] = deque()
        self.results: list[Result] = []
        self.interrupted = False
        self.busy: dict[Pipe, Worker] = {}
        # Forks are fast but must not share a database connection, so all come before the first.
        method = "fork" if sys.platform == "linux" else "spawn"
        self.idle = [Worker(job, method) for _ in range(number if number > 1 else 0)]

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
            for worker in self.busy.values():
                stopped = f"{worker.tenant}: its process was stopped in the middle"
                self.results.append(Result(worker.tenant, errors=[stopped]))

    def _do_at_once(self) -> None:
        from multiprocessing.connection import wait

        kinds = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(kind, self._interrupt) for kind in kinds]
        try:
            while self.todo or self.busy:
                while self.todo and self.idle:
                    worker = self.idle.pop()
                    worker.begin(*self.todo.popleft())
                    self.busy[worker.pipe] = worker
                for pipe in wait(list(self.busy)):
                    worker = self.busy.pop(pipe)  # type: ignore[call-overload]
                    self._add(worker.result())
                    died = worker.process.exitcode is not None
                    self.idle.append(Worker(self.job, "spawn") if died and self.todo else worker)
        finally:
            for kind, handler in zip(kinds, before, strict=True):
                signal.signal(kind, handler)

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
        for worker in self.busy.values():
            with suppress(ProcessLookupError):
                os.kill(worker.process.pid, signal.SIGINT)

    def close(self) -> None:
        """End the processes. Busy ones are terminated."""
        for worker in self.busy.values():
            worker.process.terminate()
        everyone = [*self.idle, *self.busy.values()]
        for worker in everyone:
            worker.pipe.close()
        for worker in everyone:  # the last one first: earlier pipes are open there, too
            worker.process.join()


class Worker:
    """A process, and the pipe to it."""

    def __init__(self, job: Job, method: str) -> None:
        from multiprocessing import get_context  # here, because only workers need this slow import

        context: Any = get_context(method)
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(job, theirs, self.pipe), daemon=True)
        self.process.start()
        theirs.close()
        self.tenant = ""

    def begin(self, tenant: Tenant, current: Current) -> None:
        """Send a tenant to the process, which does the job for it."""
        self.tenant = tenant.name
        with suppress(BrokenPipeError):  # the process was killed while idle; `result` says so
            self.pipe.send((tenant, current))

    def result(self) -> Result:
        """Wait for the tenant's result and return it, or an error if the process has died."""
        try:
            found: Result = self.pipe.recv()
        except (EOFError, OSError):  # it may have sent a part of the result
            self.process.join()
            status = self.process.exitcode
            died = f"was killed by signal {-status}" if status < 0 else f"exited with {status}"
            return Result(self.tenant, errors=[f"{self.tenant}: its process {died}"])
        return found


def serve(job: Job, pipe: "Pipe", other_end: "Pipe") -> None:
    """Do the job for each tenant that comes through the pipe, until it is closed."""
    other_end.close()  # else this process would keep its own pipe open
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # Ctrl-C then reaches only the main process, which passes it on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            pipe.send(job(*pipe.recv()))
