"""Errors in one line: the app, what is wrong, and what to do about it."""

import configparser
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import gaierror
from textwrap import shorten

from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import URL, exc, make_url

from .commands import hooks

HOME = Path(__file__).parent

INI_OPTION: list[str] = []
"""The option `-c FILE` if it was given, because recommended commands need it as well."""

NOISE = re.compile(
    r"^<class '[\w.]+'>: |\s*\(Background on this error at: \S+\)|; please specify a specific.*"
)
"""The parts of messages of SQLAlchemy, asyncpg and Alembic that tell a user nothing."""


@contextmanager
def naming(app: str, url: str, ctrl_c: type[BaseException] = KeyboardInterrupt) -> Iterator[None]:
    """Turn every error in the block into a `CommandError` with one line: `APP: what is wrong`.

    Subclasses of CommandError keep their type, so that callers can still tell them apart.
    Ctrl-C raises `ctrl_c` with such a line. The password in `url` is never shown.
    """
    try:
        yield
    except CommandError as error:
        if not re.match(r"\S+: ", str(error)):  # else the line names this or another app already
            error.args = (line_for(app, url, error), *error.args[1:])
        raise
    except KeyboardInterrupt as error:
        raise ctrl_c(str(error) or f"{app}: {explain(error)}") from error
    except (Exception, SystemExit) as error:  # even a revision that exits with 0 is not applied
        raise CommandError(line_for(app, url, error)) from error


def line_for(app: str, url_text: str, error: BaseException) -> str:
    """Return `APP: what is wrong`, with the database's URL if the error comes from there."""
    line = explain(error)
    with suppress(exc.ArgumentError, ValueError):
        url = make_url(url_text)
        if url.password and url.password not in shown(url):  # else the URL shows it anyway
            line = line.replace(url.password, "***")
        if is_of_database(error):
            line = f"{shown(url)}: {line}"
    return f"{app}: {line}"


def is_of_database(error: BaseException) -> bool:
    """Return True if an error comes from a database or its URL, not from a revision or a module."""
    network = ConnectionError | TimeoutError | gaierror  # asyncpg raises them as they are
    kinds = exc.DBAPIError | exc.NoSuchModuleError | ModuleNotFoundError | network
    tried_several = isinstance(error, OSError) and error.errno is None  # addresses of a host
    return (isinstance(error, kinds) or tried_several) and not failing_line(error)


def explain(error: BaseException) -> str:
    """Return an error's message, its place in the user's code, any advice, and its notes."""
    said = line = message_of(error)
    if (at := failing_line(error)) and not isinstance(error, CommandError | KeyboardInterrupt):
        line += f", at {at}"
        if isinstance(error, exc.DBAPIError) and error.statement:
            line += f", in: {shorten(error.statement, 120, placeholder=' …')}"
    advice = [text for hook in hooks("advice") if (text := hook(error, said))]
    notes = getattr(error, "__notes__", ())
    return "; ".join([line.rstrip(".") if advice else line, *advice[:1], *notes])


def message_of(error: BaseException) -> str:
    """Return an error's own message in one line, after its type unless the message is enough."""
    match error:
        case exc.DBAPIError():
            # Only the first line. The others are details, or other addresses of the same server.
            text = one_line(NOISE.sub("", str(error.orig).strip().split("\n")[0]))
            # PyMySQL, aiomysql and others put a number before the words.
            numbered = re.fullmatch(r"""\((\d+), ["'](.*)["']\)""", text)
            return f"{numbered[2]} ({numbered[1]})" if numbered else text
        case OSError() if error.strerror:
            return f"{relative(str(error.filename or ''))}: {error.strerror}".removeprefix(": ")
        case CommandError() | RevisionError() | Warning():
            return one_line(NOISE.sub("", str(error)))
        case KeyboardInterrupt():
            return "interrupted; run the command again to continue"
        case _:
            text = f"{type(error).__name__}: {NOISE.sub('', str(error))}"
            return shorten(text, 300, placeholder=" …").removesuffix(":")


def explain_ini(error: configparser.Error | ValueError, ini: Path) -> str:
    """Return what is wrong in an ini file. Quotes no value, because it may contain a password."""
    match error:
        case configparser.InterpolationError():
            return (
                f"cannot read {error.option!r} in [{error.section}] or [DEFAULT] of {ini.name};"
                " write a percent sign as %%, and %(name)s only with the name of another key"
            )
        case configparser.ParsingError():  # or a line above the first section
            line = getattr(error, "lineno", 0) or error.errors[0][0]
            return f"{ini.name}, line {line}: write [section], or key = value in a section"
        case _:
            return f"{ini.name}: {one_line(str(error))}"


def failing_line(error: BaseException) -> str:
    """Return the innermost `FILE, line N` of a revision or imported module in a traceback."""
    machinery = (HOME.name, "alembic")
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        code, module = frame.f_code, str(frame.f_globals.get("__name__"))
        if code.co_name in ("upgrade", "downgrade", "<module>") and not (
            module.partition(".")[0] in machinery or Path(code.co_filename).parent == HOME
        ):
            return f"{relative(code.co_filename)}, line {line}"
    return ""


def shown(url: URL) -> str:
    """Return a database URL for messages, without its password and with a short path."""
    url = url.difference_update_query([key for key in url.query if "pass" in key])
    if url.drivername.startswith("sqlite") and url.database:
        url = url.set(database=relative(url.database))
    return url.render_as_string(hide_password=True)


def program(command: str = "", *arguments: str) -> str:
    """Return the command to recommend: a script such as ./migrate.sh, or python -m migrations."""
    script = f"./{command}.sh"
    start = script if Path(script).is_file() else f"python -m {HOME.name} {command}".rstrip()
    return " ".join([start, *INI_OPTION, *arguments])


def relative(path: str) -> str:
    """Return a path relative to the current folder, if it is inside that folder."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def one_line(text: str) -> str:
    """Return the text with every line break and run of blanks as a single blank."""
    return " ".join(text.split())
