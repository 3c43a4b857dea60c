"""The commands, each in a file of its own, and the hooks for modules of extras/.

A module in extras/ can define any of these functions:

- `arguments(parser)`, together with a function that is named like the module and takes a `Run`,
  adds a command, or replaces one of the same name.
- `start()` is called first by `python -m migrations`.
- `options(parser)` declares arguments of every command.
- `around(work)` gets a command, which is a function of a `Run`, and returns one to run instead.
- `apps_of_tenant(config, apps)` returns the apps, bound to the tenant in the command line.
- `run_async(url, work)` calls `work` with a connection of an async driver.
- `has_final_names(file)` returns True if no naming convention can change a name in a revision file.
- `lock_row(connection, app)` returns a context manager that keeps out other migrators, for a
  database that locks.py has no lock for.
- `guard(migration, app)` returns a context manager in which env.py runs the revisions.
- `unfinished(run, app)` returns why an app must not be migrated or compared, or None.
- `advice(error, said)` returns what to do about an error, or None.
- `before_writing(run, app, operations)` raises CommandError to refuse a new revision.
- `warnings(run, app, operations)` yields lines that `generate` prints about a new revision.
- `also_needed(app, found)` returns apps whose newest revisions a new one requires, apart from those
  that its foreign keys refer to; `found` is a `Difference`.
- `written(files)` is called with the files of new revisions.
- `remarks(run)` yields lines that `status` prints below its table.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from alembic.util import CommandError

PACKAGE = __name__.rpartition(".")[0]


@cache
def extras() -> tuple[ModuleType, ...]:
    """Return the modules of the folder extras/, or none if it was deleted."""
    try:
        home = import_module(f"{PACKAGE}.extras")
    except ModuleNotFoundError:
        return ()
    names = sorted(found.name for found in iter_modules(home.__path__))
    return tuple(import_module(f"{home.__name__}.{name}") for name in names)


def hooks(name: str) -> list[Callable[..., Any]]:
    """Return the functions of this name that modules of extras/ define, not just import."""
    found: list[tuple[str, Any]] = [(it.__name__, getattr(it, name, None)) for it in extras()]
    return [hook for home, hook in found if getattr(hook, "__module__", "") == home]


def needed_hook(name: str, file: str, user: str) -> Callable[..., Any]:
    """Return the hook of this name; raise CommandError if its file is missing in extras/."""
    for hook in hooks(name):
        return hook
    raise CommandError(f"{user} needs {PACKAGE}/extras/{file}; copy it from the template")


def with_extras(work: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a command with every `around` of extras/ applied."""
    for around in hooks("around"):
        work = around(work)
    return work


def commands() -> dict[str, tuple[Callable[..., None], Callable[[ArgumentParser], None]]]:
    """Return the added commands by name, each with the function that declares its arguments."""
    own = [import_module(f"{__name__}.{name}") for name in ("migrate", "generate", "status")]
    found = {}
    for module in (*own, *extras()):
        name = module.__name__.rpartition(".")[2]
        if hasattr(module, "arguments"):
            found[name] = (getattr(module, name), module.arguments)
    return found


@cache
def autogenerate_options() -> dict[str, Any]:
    """Return the options of autogenerate/ for `context.configure`, or none if it was deleted."""
    name = f"{PACKAGE}.autogenerate"
    options: dict[str, Any] = getattr(import_module(name), "OPTIONS", {}) if find_spec(name) else {}
    return options
