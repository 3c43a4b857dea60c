"""The commands, a file for each, and how the folder extras/ adds to them.

A module in extras/ takes part by what it defines. Each of these is optional:

- `arguments(parser)` and a function with the module's own name, which takes a `Run`: a command.
  After `parser.set_defaults(needs_apps=False)`, alembic.ini need not have an app.
- `start()`: what `python -m migrations` does first.
- `options(parser)`: declares arguments of every command.
- `around(work)`: returns what to run in place of a command, which is a function of a `Run`.
- `apps_of_tenant(config, apps)`: the apps, bound to the tenant that the command line names.
- `before_command(run, name)`: raises CommandError against one of Alembic's own commands.
- `guard(migration, app)`: a context manager around the revisions that env.py runs.
- `unfinished(run, app)`: why an app must not be migrated or compared, or None.
- `advice(error, said)`: what to do about an error, or None.
- `before_writing(run, app, operations)`: raises CommandError against a new revision.
- `warnings(run, app, operations)`: the lines that `generate` adds about a new revision.
- `written(files)`: what to do with the files of new revisions.
- `remarks(run)`: the lines that `status` adds below its table.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

PACKAGE = __name__.rpartition(".")[0]


@cache
def extras() -> tuple[ModuleType, ...]:
    """Return the modules of the folder extras/; none where it was deleted."""
    try:
        home = import_module(f"{PACKAGE}.extras")
    except ModuleNotFoundError:
        return ()
    names = sorted(found.name for found in iter_modules(home.__path__))
    return tuple(import_module(f"{home.__name__}.{name}") for name in names)


def hooks(name: str) -> list[Callable[..., Any]]:
    """Return the functions of this name that modules of extras/ define (and not only import)."""
    found = ((module, getattr(module, name, None)) for module in extras())
    return [
        hook
        for module, hook in found
        if hook and getattr(hook, "__module__", "") == module.__name__
    ]


def with_extras(work: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a command as the modules of extras/ let it run."""
    for around in hooks("around"):
        work = around(work)
    return work


def commands() -> dict[str, tuple[Callable[..., None], Callable[[ArgumentParser], None]]]:
    """Return the commands that Alembic does not have: what to run, and what declares arguments."""
    own = [import_module(f"{__name__}.{name}") for name in ("migrate", "generate", "status")]
    found = {}
    for module in (*own, *extras()):
        name = module.__name__.rpartition(".")[2]
        if hasattr(module, "arguments"):
            found[name] = (getattr(module, name), module.arguments)
    return found


@cache
def autogenerate_options() -> dict[str, Any]:
    """Return what the folder autogenerate/ passes to `context.configure`; nothing if it is gone."""
    name = f"{PACKAGE}.autogenerate"
    options: dict[str, Any] = getattr(import_module(name), "OPTIONS", {}) if find_spec(name) else {}
    return options
