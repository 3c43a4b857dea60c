"""Apps of installed packages: using one takes only a section of alembic.ini.

A package names its apps in entry points, so that no package has to be imported here.
"""

import configparser
import re
from argparse import ArgumentParser
from importlib.metadata import EntryPoint, entry_points

from alembic.util import CommandError

from ..commands.status import in_columns
from ..errors import explain_ini, one_line
from ..run import Run
from . import ini_file

GROUP = "alembic_apps"
"""The group of entry points, each the name of an app and `module:attribute` of its MetaData."""


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("new", metavar="NAME", nargs="*", help="default: list them")
    parser.set_defaults(needs_apps=False)


def installed(run: Run) -> None:
    """Add the named apps of installed packages, all or none; without a NAME, list what there is."""
    ini = ini_file.ini_of(run)
    names: list[str] = run.options.new
    if not names:
        try:
            has = run.config.file_config.has_section
        except (configparser.Error, UnicodeError) as error:
            raise CommandError(explain_ini(error, ini)) from None
        rows = [
            (it.name, package_with(it), "added" if has(it.name) else "not added") for it in offers()
        ]
        print("\n".join(in_columns(rows)) or "no installed package has an app")
        return
    add_app = ini_file.add_app(ini)
    try:
        text, parser = add_app["read"](ini)
        add_app["check_names"](names, parser.sections())
        sections = [add_app["section"](parser, name, *offer_of(name)) for name in names]
        ini_file.replace(ini, add_app["insert"]("".join(sections), text))
    except (add_app["Refused"], configparser.Error) as error:
        raise CommandError(one_line(str(error))) from None
    print(f"added {', '.join(names)}: run ./migrate.sh")


def offers() -> list[EntryPoint]:
    """Return the entry points of all apps in installed packages, sorted by name."""
    return sorted(entry_points(group=GROUP), key=lambda offer: offer.name)


def package_with(offer: EntryPoint) -> str:
    """Return the name and version of the package that has an app."""
    return f"{offer.dist.name} {offer.dist.version}" if offer.dist else "?"


def offer_of(name: str) -> tuple[str, str]:
    """Return an app's metadata and version_locations, if exactly one package has the app."""
    found = [offer for offer in offers() if offer.name == name]
    packages = " and ".join(map(package_with, found))
    problem = ""
    if not found:
        problem = "no installed package has it; see ./add_app.sh --installed"
    elif len(found) > 1:
        problem = f"{packages} have it; uninstall one"
    elif not re.fullmatch(r"[\w.]+:[\w.]+", found[0].value):
        problem = f"{packages} says {found[0].value}, not module:attribute"
    if problem:
        raise CommandError(f"{name!r} cannot be added: {problem}")
    module = found[0].value.partition(":")[0]
    return found[0].value, f"{module.rpartition('.')[0] or module}:migrations"
