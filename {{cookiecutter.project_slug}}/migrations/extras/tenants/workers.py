"""Processes that do a job for one tenant after another. If one dies, only its tenant fails."""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
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


Current = Mapping[str, tuple[str, ...]]
"""The current revisions of a tenant's apps, by name, as far as they are known already."""

Job = Callable[[Tenant, Current], Result]
"""A function to be called for each tenant. It can be pickled."""


class Workers:
    """Runs a job in several processes, or in this one if the number is 1."""

    def __init__(self, job: Job, number: int) -> None:
        self.job = job
        self.todo: deque[tuple[Tenant, Current]] = deque()
        self.interrupted = False
        self.busy: dict[Pipe, Worker] = {}
        self.idle: list[Worker] = []
        # Forks are fast but must not share a database connection, so all come before the first.
        for _ in range(number if number > 1 else 0):
            others = [worker.pipe for worker in self.idle]
            self.idle.append(Worker(job, "fork" if sys.platform == "linux" else "spawn", others))

    def do(self, tenants: Iterable[tuple[Tenant, Current]]) -> Iterator[Result]:
        """Do the job for these tenants, and yield the results as they come in."""
        self.todo.extend(tenants)
        if not self.idle:
            while self.todo:
                yield self.job(*self.todo.popleft())
            return
        from multiprocessing.connection import wait

        kinds = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(kind, self.interrupt) for kind in kinds]
        try:
            while self.todo or self.busy:
                while self.todo and self.idle:
                    worker = self.idle.pop()
                    worker.begin(*self.todo.popleft())
                    self.busy[worker.pipe] = worker
                for pipe in wait(list(self.busy)):
                    worker = self.busy.pop(pipe)  # type: ignore[call-overload]
                    result = worker.result()
                    if worker.process.exitcode is not None and self.todo:
                        worker = Worker(self.job, "spawn", ())
                    self.idle.append(worker)
                    yield result
        finally:
            for kind, handler in zip(kinds, before, strict=True):
                signal.signal(kind, handler)

    def interrupt(self, _: int = 0, __: FrameType | None = None) -> None:
        """Start no more tenants, and interrupt the busy ones. The second time, stop at once."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        self.todo.clear()
        for worker in self.busy.values():
            with suppress(ProcessLookupError):
                os.kill(worker.process.pid, signal.SIGINT)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes. Busy ones are terminated."""
        for worker in self.busy.values():
            worker.process.terminate()
        for worker in [*self.idle, *self.busy.values()]:
            worker.pipe.close()
            worker.process.join()


class Worker:
    """A process, and the pipe to it."""

    def __init__(self, job: Job, method: str, inherited: Iterable["Pipe"]) -> None:
        from multiprocessing import get_context  # here, because only workers need this slow import

        context: Any = get_context(method)
        self.pipe, theirs = context.Pipe()
        close = [*inherited, self.pipe] if method == "fork" else []
        self.process = context.Process(target=serve, args=(job, theirs, close), daemon=True)
        self.process.start()
        theirs.close()
        self.tenant = Tenant("")

    def begin(self, tenant: Tenant, current: Current) -> None:
        """Send a tenant to the process, which does the job for it."""
        self.tenant = tenant
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
            return Result(self.tenant.name, errors=[f"{self.tenant.name}: its process {died}"])
        return found


def serve(job: Job, pipe: "Pipe", inherited: Iterable["Pipe"]) -> None:
    """Do the job for each tenant that comes through the pipe, until it is closed."""
    for other in inherited:
        other.close()  # else it would stay open after the main process has ended
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # Ctrl-C then reaches only the main process, which passes it on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            pipe.send(job(*pipe.recv()))
