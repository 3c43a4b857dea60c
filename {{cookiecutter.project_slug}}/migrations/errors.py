"""Errors in one line: in which app, what is wrong, and what to do about it."""

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

GIVEN: list[str] = []
"""The option `-c FILE` of this run, if it was given: what is recommended must have it, too."""

NOISE = re.compile(
    r"^<class '[\w.]+'>: |^connection failed: |\s*\(Background on this error at: \S+\)"
    r"|; please specify a specific target.*"
)
"""What Alembic, SQLAlchemy and the drivers put around the words that matter."""


@contextmanager
def naming(app: str, url: str, ctrl_c: type[BaseException] = KeyboardInterrupt) -> Iterator[None]:
    """Turn every error of the block into a `CommandError` of one line that begins with the app.

    Alembic's own command errors keep their type, so that callers can still tell them apart.
    Ctrl-C becomes an error of the type `ctrl_c`, with such a line. The password in `url` is
    never shown.
    """
    try:
        yield
    except CommandError as error:
        if not re.match(r"\S+: ", str(error)):  # else it names this or another app already
            error.args = (line_for(app, url, error), *error.args[1:])
        raise
    except KeyboardInterrupt as error:
        line = with_notes("interrupted; run the command again to go on", error)
        raise ctrl_c(str(error) or f"{app}: {line}") from error
    except (Exception, SystemExit) as error:  # a revision that exits with 0 is not applied
        raise CommandError(line_for(app, url, error)) from error


def line_for(app: str, url_text: str, error: BaseException) -> str:
    """Return the line for an error in an app; it shows the database if that is to blame."""
    line = with_notes(explain(error), error)
    with suppress(exc.ArgumentError, ValueError):
        url = make_url(url_text)
        line = without_password(line, url)
        if is_of_database(error):
            line = f"{shown(url)}: {line}"
    return f"{app}: {line}"


def with_notes(line: str, error: BaseException) -> str:
    """Return the line with the notes of the error: see `BaseException.add_note`."""
    return "; ".join([line, *getattr(error, "__notes__", ())])


def is_of_database(error: BaseException) -> bool:
    """Return True if an error comes from a database or its URL, not from a revision or a module."""
    if isinstance(error, OSError):  # asyncpg's; it has no number if several addresses were tried
        refused = ConnectionRefusedError | ConnectionResetError | TimeoutError | gaierror
        return (error.errno is None or isinstance(error, refused)) and not failing_line(error)
    kinds = exc.DBAPIError | exc.NoSuchModuleError | ModuleNotFoundError
    return isinstance(error, kinds) and not failing_line(error)


def explain(error: BaseException) -> str:
    """Say what an exception means to someone who did not write the code that raised it."""
    said = line = message_of(error)
    at = failing_line(error)
    if at and not isinstance(error, CommandError | SyntaxError):
        line += f", at {at}"
        if isinstance(error, exc.DBAPIError) and error.statement:
            line += f", in: {shorten(error.statement, 120, placeholder=' …')}"
    advice = [text for hook in hooks("advice") if (text := hook(error, said))]
    return "; ".join([line.rstrip(".") if advice else line, *advice[:1]])


def message_of(error: BaseException) -> str:
    """Return what an exception says, without the noise."""
    match error:
        case exc.DBAPIError():
            # The first line: the others are details, or other addresses of the same server.
            text = one_line(NOISE.sub("", str(error.orig).strip().split("\n")[0]))
            # PyMySQL, aiomysql and others put a number before the words.
            numbered = re.fullmatch(r"""\((\d+), ["'](.*)["']\)""", text)
            return f"{numbered[2]} ({numbered[1]})" if numbered else text
        case exc.NoSuchModuleError():
            name = str(error).rpartition(":")[2].replace(".", "+")
            return (
                f"SQLAlchemy has no dialect and driver {name!r};"
                " URLs begin like postgresql+psycopg://, mysql+pymysql:// or sqlite:///"
            )
        case ModuleNotFoundError() if failing_line(error):
            return f"the module {error.name!r} is not installed"
        case ModuleNotFoundError():
            return f"the driver {error.name!r} is not installed; install it, or name another"
        case SyntaxError():
            path = relative(error.filename or "?")
            return f"syntax error in {path}, line {error.lineno}: {error.msg}"
        case OSError() if error.strerror:
            return f"{relative(str(error.filename or ''))}: {error.strerror}".removeprefix(": ")
        case CommandError() | RevisionError() | Warning():
            return NOISE.sub("", one_line(str(error)))
        case _:
            text = f"{type(error).__name__}: {NOISE.sub('', str(error))}"
            return shorten(text, 300, placeholder=" …").removesuffix(":")


def explain_ini(error: configparser.Error | UnicodeError, ini: Path) -> str:
    """Say what is wrong in an ini file. It quotes no value, because that may hold a password."""
    match error:
        case configparser.InterpolationError():
            return (
                f"cannot read {error.option!r} in [{error.section}] or [DEFAULT] of {ini.name};"
                " write a percent sign as %%, and %(name)s only with the name of another key"
            )
        case configparser.ParsingError():  # or a line above the first section
            line = getattr(error, "lineno", 0) or error.errors[0][0]
            return f"{error.source}, line {line}: neither [section] nor key = value in a section"
        case UnicodeDecodeError():
            bad = f"see byte {error.start}; save it as such"
            return f"{ini.name} is not {error.encoding} text: {bad}"
        case configparser.DuplicateSectionError() | configparser.DuplicateOptionError():
            what = f"{getattr(error, 'option', '')} in [{error.section}]".removeprefix(" in ")
            return f"{error.source}, line {error.lineno}: {what} is there twice; delete one"
        case _:
            return one_line(str(error))


def failing_line(error: BaseException) -> str:
    """Return the innermost line of a revision or an imported module that an error came through."""
    machinery = (HOME.name, "alembic")
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        code, module = frame.f_code, str(frame.f_globals.get("__name__"))
        if code.co_name in ("upgrade", "downgrade", "<module>") and not (
            module.partition(".")[0] in machinery or Path(code.co_filename).parent == HOME
        ):
            return f"{relative(code.co_filename)}, line {line}"
    return ""


def without_password(text: str, url: URL) -> str:
    """Take a URL's password out of a text, unless it also occurs in the rest of the URL."""
    password = url.password
    if password and len(password) > 2 and password not in shown(url):
        return text.replace(password, "***")
    return text


def shown(url: URL) -> str:
    """Return a database URL to show: without its password, and with a short path."""
    url = url.difference_update_query([key for key in url.query if "pass" in key])
    if url.drivername.startswith("sqlite") and url.database:
        url = url.set(database=relative(url.database))
    return url.render_as_string(hide_password=True)


def program(command: str = "", *arguments: str) -> str:
    """Return the command line to recommend: the script ./migrate.sh, or python -m migrations."""
    script = f"./{command}.sh"
    start = script if Path(script).is_file() else f"python -m {HOME.name} {command}".rstrip()
    return " ".join([start, *GIVEN, *arguments])


def relative(path: str) -> str:
    """Return a path as seen from the current folder, where it is below it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def one_line(text: str) -> str:
    """Fold line breaks and runs of blanks into single blanks."""
    return " ".join(text.split())
