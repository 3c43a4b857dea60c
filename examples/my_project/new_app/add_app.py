"""Add apps to the project: copy the folder app for each, and add a section to alembic.ini.

With --installed, the apps are those of installed packages, and only the sections are added. In the
templates, $app, $package and $model stand for names; change the templates as you like.
This needs only the standard library, as the project's template runs it before any installation.
"""

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports: see `main`

import argparse
import configparser
import keyword
import os
import re
import shutil
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from string import Template

NEW_APP = Path(__file__).resolve().parent

NOT_A_NAME = {
    r"(?![a-z][a-z0-9_]*\Z)": "use a to z, 0 to 9 and _, and begin with a letter",
    rf"({'|'.join(keyword.kwlist)})\Z": "it is a keyword of Python",
    r"(default|alembic|post_write_hooks|loggers|handlers|formatters)\Z"
    r"|(logger|handler|formatter)_": "a section of that name has another purpose",
    r"alembic_version|sqlite_": "tables of that name belong to Alembic or SQLite",
    r"naming\Z": "a module of that name holds the naming convention",
    # PostgreSQL's 63 bytes less "alembic_version_" and "_pkc".
    r".{44}": "it is longer than 43 characters, and its version table would not fit",
}
"""What the name of an app must not match, and why."""


GROUP = "alembic_apps"
"""The group of entry points in which a package names its apps, and `module:attribute` of each."""


class Refused(Exception):
    """Nothing was changed; the text says why."""


def add_apps(ini: Path, names: list[str]) -> None:
    """Add apps to the project of an alembic.ini; after any error, none is added."""
    text, parser = read(ini)
    settings = parser["DEFAULT"]
    if "apps_folder" not in settings:
        raise Refused(f"{ini} has no apps_folder in [DEFAULT]; set it to the folder for apps")
    folder = Path(settings["apps_folder"])
    package = package_of(folder, settings.get("prepend_sys_path", ""))
    check_names(names, parser.sections())
    for path in [folder / f"{name}{suffix}" for name in names for suffix in ("", ".py")]:
        if path.exists():
            raise Refused(f"{path.stem!r} cannot be added: {path} exists already")

    sections = ""
    raw_folder = parser.get("DEFAULT", "apps_folder", raw=True)
    naming = folder / "naming.py"
    is_first = not naming.exists()
    try:
        for name in names:
            words = {"app": name, "package": package, "model": model_of(name)}
            for template in (NEW_APP / "app").rglob("*.tpl"):
                path = folder / name / template.relative_to(NEW_APP / "app").with_suffix("")
                fill(template, path, words)
            metadata = f"{package}.{name}.models:Base.metadata"
            sections += section(parser, name, metadata, f"{raw_folder}/{name}/migrations")
        if is_first:
            fill(NEW_APP / "naming.py.tpl", naming, {})
        replace(ini, insert(sections, text))
    except BaseException:
        if read(ini)[0] == text:  # else everything was done
            for name in names:
                shutil.rmtree(folder / name, ignore_errors=True)
            if is_first:
                naming.unlink(missing_ok=True)
        raise


def add_installed(ini: Path, names: list[str]) -> None:
    """Add apps of installed packages, all or none. Imports no package."""
    text, parser = read(ini)
    check_names(names, parser.sections())
    sections = [section(parser, name, *offer_of(name)) for name in names]
    replace(ini, insert("".join(sections), text))


def list_installed(ini: Path) -> None:
    """Print the apps of installed packages, and which of them alembic.ini has already."""
    _, parser = read(ini)
    offers = sorted(entry_points(group=GROUP), key=lambda offer: offer.name)
    if not offers:
        print("no installed package has an app")
    for offer in offers:
        added = "added" if parser.has_section(offer.name) else "not added"
        print(f"{offer.name}  {package_with(offer)}  {added}")


def package_with(offer: EntryPoint) -> str:
    """Return the name and version of the package that has an app."""
    return f"{offer.dist.name} {offer.dist.version}" if offer.dist else "?"


def offer_of(name: str) -> tuple[str, str]:
    """Return an app's metadata and version_locations, if exactly one package has the app."""
    found = list(entry_points(group=GROUP, name=name))
    packages = " and ".join(sorted(map(package_with, found)))
    problem = ""
    if not found:
        problem = "no installed package has it; see ./add_app.sh --installed"
    elif len(found) > 1:
        problem = f"{packages} have it; uninstall one"
    elif not re.fullmatch(r"[\w.]+:[\w.]+", found[0].value):
        problem = f"{packages} says {found[0].value}, not module:attribute"
    if problem:
        raise Refused(f"{name!r} cannot be added: {problem}")
    module = found[0].value.partition(":")[0]
    return found[0].value, f"{module.rpartition('.')[0] or module}:migrations"


def check_names(names: list[str], sections: list[str]) -> None:
    """Raise Refused if an app cannot have one of these names; alembic.ini has these sections."""
    for name in names:
        for pattern, problem in NOT_A_NAME.items():
            if re.match(pattern, name):
                raise Refused(f"{name!r} cannot be the name of an app: {problem}")
        if names.count(name) > 1:
            raise Refused(f"{name!r} is named twice")
        if name in sections:
            raise Refused(f"{name!r} cannot be added: there is a section of that name already")


def package_of(folder: Path, sys_path: str) -> str:
    """Return the dotted name of a folder, as seen from the nearest folder of sys.path."""
    roots = [Path(line.strip()) for line in sys_path.split("\n") if line.strip()]
    found = [folder.relative_to(root).parts for root in roots if folder.is_relative_to(root)]
    if parts := min(filter(None, found), key=len, default=None):
        return ".".join(parts)
    raise Refused(f"{folder} is not below any folder of prepend_sys_path in the ini file")


def model_of(app: str) -> str:
    """Return the name of an app's first model, in the singular: City for cities."""
    singular = f"{app[:-3]}y" if app.endswith("ies") else re.sub(r"(?<![sui])s$", "", app)
    model = "".join(word.capitalize() for word in singular.split("_"))
    return f"{model}Row" if keyword.iskeyword(model) or model in ("", "Base", "I", "O") else model


def fill(template: Path, path: Path, words: dict[str, str]) -> None:
    """Write a file from a template, with words in place of the placeholders."""
    text = Template(template.read_text(encoding="utf-8")).safe_substitute(words)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def section(parser: configparser.ConfigParser, app: str, metadata: str, versions: str) -> str:
    """Return the section of a new app, with a database of its own if alembic.ini has `app_url`."""
    lines = ["", f"[{app}]", f"metadata = {metadata}", f"version_locations = {versions}"]
    if url := parser.get("DEFAULT", "app_url", raw=True, fallback=""):
        lines.append(f"sqlalchemy.url = {url.replace('APP', app)}")
    return "\n".join([*lines, ""])


def insert(sections: str, text: str) -> str:
    """Return the text of alembic.ini with new sections below the last app, or below [DEFAULT]."""
    parts = re.split(r"(?m)^(?=\[.+\])", text)
    # From weak to strong: any part, [DEFAULT], an app. The strongest that is found counts.
    kinds = ("", r"\[DEFAULT\]", r"\[(?!DEFAULT\])(?s:.*)\nmetadata\s*[=:]")
    ends = [end for kind in kinds for end, part in enumerate(parts, 1) if re.match(kind, part)]
    old, after = "".join(parts[: ends[-1]]), "".join(parts[ends[-1] :])
    comments = r"(^[#;].*\n)*" if after else ""  # comments right above the next section stay there
    before = re.sub(rf"(?m)(^[^\S\n]*\n)*{comments}\Z", "", old, count=1)
    newline = "\r\n" if "\r\n" in text else "\n"
    added = sections if before.endswith("\n") else f"\n{sections}"
    return before + added.replace("\n", newline) + old[len(before) :] + after


def read(ini: Path) -> tuple[str, configparser.ConfigParser]:
    """Return the text of alembic.ini, with its own line breaks, and what it sets."""
    parser = configparser.ConfigParser({"here": ini.parent.as_posix()})
    try:
        text = ini.read_bytes().decode()
        parser.read_string(text, source=str(ini))
    except UnicodeDecodeError as error:
        raise Refused(f"{ini} is not encoded in UTF-8: see byte {error.start}") from None
    except configparser.ParsingError as error:  # it quotes the line, which may have a password
        line = getattr(error, "lineno", 0) or error.errors[0][0]
        raise Refused(f"cannot parse {ini}, line {line}") from None
    return text, parser


def replace(path: Path, text: str) -> None:
    """Replace a file's text in one step, so that it is never half-written."""
    path = path.resolve()
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_bytes(text.encode())
        shutil.copymode(path, new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def interrupt(*_: object) -> None:
    """Exit on Ctrl-C or SIGTERM; ignore later ones, so that half-done changes are undone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    print("interrupted", file=sys.stderr)
    sys.exit(130)


def main() -> None:
    """Add the apps named on the command line; exit status 1 when refused, 130 when interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    usage = "%(prog)s [-c INI] NAME ...\n       %(prog)s --installed [-c INI] [NAME ...]"
    parser = argparse.ArgumentParser("./add_app.sh", usage, "Add new apps, or those of packages.")
    parser.add_argument("names", metavar="NAME", nargs="*", help="such as cities")
    parser.add_argument("-c", "--config", metavar="INI", help="default: alembic.ini")
    parser.add_argument("--installed", action="store_true", help="without a NAME, list them")
    options = parser.parse_args()
    names: list[str] = options.names
    if not names and not options.installed:
        parser.error("name the app to add")
    ini = Path(__file__).resolve().parents[1] / "alembic.ini"
    if given := options.config or os.environ.get("ALEMBIC_CONFIG"):
        ini = Path(os.environ.get("MIGRATIONS_CALLED_FROM", ""), given).absolute()
    todo = "change the models, then run ./generate.sh and ./migrate.sh"
    try:
        if not options.installed:
            add_apps(ini, names)
        elif names:
            add_installed(ini, names)
            todo = "run ./migrate.sh"
        else:
            list_installed(ini)
            return
    except (Refused, OSError, configparser.Error) as error:
        sys.exit(" ".join(str(error).split()))
    print(f"added {', '.join(names)}: {todo}")


if __name__ == "__main__":
    main()
