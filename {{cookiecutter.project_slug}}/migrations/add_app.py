"""Add apps to the project: for each a package with a model, and a section of alembic.ini.

One that an installed package has needs a section only. Which packages have one stands in their
metadata: nothing of theirs is imported.

Needs the standard library alone: the project's template calls it when nothing is installed.
"""

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports: see `main`

import argparse
import configparser
import keyword
import re
import shutil
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NoReturn

GROUP = "alembic_apps"
"""The entry points of packages with apps: the app's name = `module:attribute` of its MetaData."""

SECTION = """
[{app}]
metadata = {metadata}
version_locations = {home}migrations
"""

MODELS = '''\
"""The models of {app}.

After a change, run ./generate.sh and ./migrate.sh.
"""

import sqlalchemy as sa
from sqlalchemy import orm

from {package}.naming import NAMING_CONVENTION


class Base(orm.DeclarativeBase):
    """What the models of {app} have in common."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)


class {model}(Base):
    """A row of the table {app}."""

    __tablename__ = "{app}"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(200))
'''

NAMING = '''\
"""Names for indexes and constraints: a revision can only drop what has a name."""

import hashlib
from typing import Any

import sqlalchemy as sa


def condition(check: sa.CheckConstraint, _: sa.Table) -> str:
    """Four digits that change with the condition of a check, so that its name does.

    No database gives a condition back as it was written; names can be compared.
    """
    sql = check.sqltext.compile()
    return hashlib.sha256(f"{sql} {sql.params}".encode()).hexdigest()[:4]


NAMING_CONVENTION: dict[str, Any] = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s_%(condition)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
    "condition": condition,
}
'''

TAKEN = re.compile(
    r"(default|alembic|post_write_hooks|loggers|handlers|formatters)$|(logger|handler|formatter)_"
)


class Refused(Exception):
    """Nothing was changed; the text says why."""


def check_name(name: str) -> None:
    """Raise Refused for what cannot be the name of an app."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        problem = "use a to z, 0 to 9 and _, and begin with a letter"
    elif keyword.iskeyword(name):
        problem = "it is a keyword of Python"
    elif TAKEN.match(name):
        problem = "alembic.ini has a section of that name for another purpose"
    elif name.startswith(("alembic_version", "sqlite_")):
        problem = "tables of that name belong to Alembic or SQLite"
    elif name == "naming":
        problem = "a module of that name holds the naming convention"
    elif len(name) > 43:  # PostgreSQL's 63 bytes less "alembic_version_" and "_pkc"
        problem = "it is longer than 43 characters, and its version table would not fit"
    else:
        return
    raise Refused(f"{name!r} cannot be the name of an app: {problem}")


def check_names(names: list[str]) -> None:
    """Raise Refused for names that apps cannot have, or not together."""
    for name in names:
        check_name(name)
        if names.count(name) > 1:
            raise Refused(f"{name!r} is named twice")


def add_apps(ini: Path, names: list[str]) -> None:
    """Add the apps, all of them or, raising Refused, none; no line of alembic.ini is lost."""
    text, parser = read(ini)
    settings = parser["DEFAULT"]
    if "apps_folder" not in settings:
        raise Refused(f"{ini} has no apps_folder in [DEFAULT]: where should new apps go?")
    apps_folder = Path(settings["apps_folder"])
    package = package_of(apps_folder, settings.get("prepend_sys_path", "").split("\n"))
    check_new(names, parser)
    for name in names:
        for path in (apps_folder / name, apps_folder / f"{name}.py"):
            if path.exists():
                raise Refused(f"{name!r} cannot be added: {path} exists already")

    raw_folder = parser.get("DEFAULT", "apps_folder", raw=True)
    sections = "".join(
        section(parser, name, f"{package}.{name}.models:Base.metadata", f"{raw_folder}/{name}/")
        for name in names
    )
    naming = apps_folder / "naming.py"
    is_first = not naming.exists()
    try:
        for name in names:
            write_package(apps_folder / name, name, package)
        if is_first:
            write(naming, NAMING)
        replace(ini, insert_sections(text, sections))
    except BaseException:
        if read(ini)[0] == text:  # else all is done
            for name in names:
                shutil.rmtree(apps_folder / name, ignore_errors=True)
            if is_first:
                naming.unlink(missing_ok=True)
        raise


def add_installed(ini: Path, names: list[str]) -> None:
    """Add apps of installed packages, all of them or, raising Refused, none."""
    text, parser = read(ini)
    check_new(names, parser)
    sections = ""
    for name in names:
        offers = [offer for offer in installed() if offer.name == name]
        if not offers:
            listing = "see ./add_app.sh --installed"
            raise Refused(f"{name!r} cannot be added: no installed package has it; {listing}")
        if len(offers) > 1:
            packages = " and ".join(map(package_with, offers))
            raise Refused(f"{name!r} cannot be added: {packages} have it; uninstall one")
        value = offers[0].value
        if not re.fullmatch(r"[\w.]+:[\w.]+", value):
            package = package_with(offers[0])
            raise Refused(f"{name!r} cannot be added: {package} says {value}, not module:attribute")
        module = value.partition(":")[0]
        sections += section(parser, name, value, f"{module.rpartition('.')[0] or module}:")
    replace(ini, insert_sections(text, sections))


def installed() -> list[EntryPoint]:
    """The apps that installed packages have, by the metadata of those packages."""
    return sorted(entry_points(group=GROUP), key=lambda offer: offer.name)


def package_with(offer: EntryPoint) -> str:
    """The name and version of the package that has an app."""
    return f"{offer.dist.name} {offer.dist.version}" if offer.dist else "?"


def list_installed(ini: Path) -> str:
    """A line for each app that an installed package has."""
    _, parser = read(ini)
    state = {True: "added", False: "not added"}
    rows = [
        (offer.name, package_with(offer), state[parser.has_section(offer.name)])
        for offer in installed()
    ]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in rows
    ]
    return "\n".join(lines) or "no installed package has an app"


def check_new(names: list[str], parser: configparser.ConfigParser) -> None:
    """Raise Refused for names that new apps cannot have."""
    check_names(names)
    for name in names:
        if parser.has_section(name):
            raise Refused(f"{name!r} cannot be added: alembic.ini has such a section already")


def section(parser: configparser.ConfigParser, name: str, metadata: str, home: str) -> str:
    """The section of a new app; `home` is what its folder of revisions is in."""
    url = parser.get("DEFAULT", "app_url", raw=True, fallback="")
    url_line = f"sqlalchemy.url = {url.replace('APP', name)}\n" if url else ""
    return SECTION.format(app=name, metadata=metadata, home=home) + url_line


def read(ini: Path) -> tuple[str, configparser.ConfigParser]:
    """Read alembic.ini: its text, line breaks as they are, and its sections."""
    parser = configparser.ConfigParser({"here": ini.parent.as_posix()})
    try:
        with ini.open(encoding="utf-8", newline="") as file:
            text = file.read()
        parser.read_string(text, source=str(ini))
    except UnicodeDecodeError as error:
        raise Refused(f"{ini} is not encoded in UTF-8: see byte {error.start}") from None
    except configparser.ParsingError as error:
        # What it says quotes the line, and a password may be there.
        line = getattr(error, "lineno", 0) or error.errors[0][0]
        raise Refused(f"cannot parse {ini}, line {line}") from None
    return text, parser


def package_of(folder: Path, sys_path: list[str]) -> str:
    """The dotted name of a folder, as seen from the nearest folder of sys.path."""
    roots = [Path(entry.strip()) for entry in sys_path if entry.strip()]
    above = [root for root in roots if folder.is_relative_to(root) and folder != root]
    if not above:
        raise Refused(f"{folder} is not below any folder of prepend_sys_path in alembic.ini")
    return ".".join(folder.relative_to(max(above, key=lambda root: len(root.parts))).parts)


def insert_sections(text: str, sections: str) -> str:
    """Put sections behind the last one of an app; where there is none yet, behind [DEFAULT].

    Comments at its end stay with it, but for one right above the next section.
    """
    lines = text.splitlines(keepends=True)
    section = last = "DEFAULT"
    ends: dict[str, int] = {}
    for number, line in enumerate(lines):
        if header := re.match(r"\[(.+)\]", line):
            section = header[1]
        elif re.match(r"metadata\s*[=:]", line) and section != "DEFAULT":
            last = section
        ends[section] = number + 1
    end = ends[last]
    while end < len(lines) and lines[end - 1].startswith(("#", ";")):
        end -= 1
    while not lines[end - 1].strip():
        end -= 1
    before, after = "".join(lines[:end]), "".join(lines[end:])
    newline = "\r\n" if "\r\n" in text else "\n"
    if not before.endswith("\n"):
        before += newline
    return before + sections.replace("\n", newline) + after


def write_package(folder: Path, app: str, package: str) -> None:
    """Write the package of an app: a model, and a folder for its revisions."""
    (folder / "migrations").mkdir(parents=True)
    write(folder / "__init__.py", "")
    write(folder / "migrations" / "__init__.py", "")
    write(folder / "models.py", MODELS.format(app=app, package=package, model=model_of(app)))


def model_of(app: str) -> str:
    """The name of the class for a row of a table: cities -> City."""
    if app.endswith("ies"):
        app = app[:-3] + "y"
    elif app.endswith("s") and not app.endswith(("ss", "us", "is")):
        app = app[:-1]
    model = "".join(part.capitalize() for part in app.split("_"))
    return f"{model}Row" if keyword.iskeyword(model) or model in ("", "Base", "I", "O") else model


def write(path: Path, text: str) -> None:
    """Write a text file, with line feeds on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")


def replace(path: Path, text: str) -> None:
    """Replace a file's text in one step, so that it is never half-written."""
    path = path.resolve()
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        shutil.copymode(path, new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def interrupt(*_: object) -> NoReturn:
    """End at Ctrl-C or SIGTERM; another one does not keep what is half done from being undone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    print("interrupted", file=sys.stderr)
    sys.exit(130)


def main() -> int:
    """Add the apps named on the command line; exit status 1 when refused, 130 when interrupted."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    parser = argparse.ArgumentParser(prog="./add_app.sh", description="Add apps to the project.")
    parser.add_argument("names", metavar="NAME", nargs="*", help="such as cities")
    parser.add_argument(
        "--installed", action="store_true", help="from installed packages; without NAME, list them"
    )
    options = parser.parse_args()
    names: list[str] = options.names
    if not names and not options.installed:
        parser.error("the following arguments are required: NAME")
    ini = Path(__file__).resolve().parents[1] / "alembic.ini"
    try:
        if not names:
            print(list_installed(ini))
            return 0
        (add_installed if options.installed else add_apps)(ini, names)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    except (OSError, configparser.Error) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    todo = "run ./migrate.sh"
    if not options.installed:
        todo = "change the models, then run ./generate.sh and ./migrate.sh"
    print(f"added {', '.join(names)}: {todo}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
