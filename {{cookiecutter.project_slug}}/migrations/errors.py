"""What went wrong, in one line: in which app, and what to do about it."""

import configparser
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import gaierror
from typing import TYPE_CHECKING

import alembic
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import URL, exc, make_url

if TYPE_CHECKING:
    from .apps import App

# What Alembic or a driver says, and what its user can do: the first pattern that is found.
ADVICE = {
    r"can't locate revision|no such revision": (
        "is the code older than the database, or the id another app's (name that with -n APP)?"
    ),
    r"multiple head": "merge them with: python -m migrations -n APP merge heads -m merge",
    r"present more than once": "delete one of the two files, or give it an id of its own",
    r"referenced from .* is not present": "restore its file, or correct down_revision",
    r"detected in revisions": "correct down_revision in one of them",
    r"determine revision id": "write its revision = ..., or move the file elsewhere",
    r"target database is not up to date": "run ./migrate.sh",
    r"script\.py\.mako|template rendering": "correct migrations/script.py.mako",
    r"^keyerror: '(logger|handler|formatter)": "correct the logging sections of alembic.ini",
    r"\.ini: no such file": "run this in its folder, or name the file with -c",
    r"connect(ion\.__init__)?\(\) got an unexpected keyword": (
        "take that option out of the URL, or write the driver's own: asyncpg has ssl for sslmode"
    ),
    r"greenlet": "run: pip install 'sqlalchemy[asyncio]'",
    r"password authentication|access denied|role \S+ does not exist": (
        "check the user, the password and the grants"
    ),
    r"unknown database|(database|schema) \S+ does not exist|\.sqlite_master": (
        "create it first, or correct its name"
    ),
    r"(table|relation|type) \S+ already exists": (
        "if it was there before: python -m migrations adopt"
    ),
    r"unable to open database file": "does its folder exist, and may this user write there?",
    r"file is not a database": "name a file of SQLite, or one that does not exist yet",
    r"column:? \S*version_num": "version_table must name a version table",
    r"permission denied$|read-only file system": "may this user write there?",
    r"constraint must have a name|it has no name": (
        "name it in the revision, or give the models a naming convention"
    ),
    r"\bread[- ]?only\b": "connect to a server, or name a file, that takes writes",
    r"permission denied (for|to) |command denied|must be owner": (
        "the user of the URL lacks that right"
    ),
    r"resolve host|translate host|name resolution|name or service|nodename": "check the host",
    r"connection refused|can't connect|connect call failed|timed out|timeout expired": (
        "is the database server running, and are host and port right?"
    ),
    r"deadlock|lock (wait )?timeout|database is locked": (
        "another program uses what this changes: run the command again when it is done"
    ),
    r"is full|no space left|disk i/o error|file too large": "make room, then run the command again",
    r"server closed|lost connection|\bterminating(?!.*timeout)|gone away|connection \w+ closed": (
        "the server went away: run the command again when it is back"
    ),
}

# What Alembic, SQLAlchemy and the drivers put around the words that matter.
NOISE = re.compile(
    r"^<class '[\w.]+'>: |^connection failed: |\s*\(Background on this error at: \S+\)"
    r"|; please specify a specific target.*|\. Be sure the 'revision' variable.*"
)


@contextmanager
def naming(app: "App") -> Iterator[None]:
    """Turn every error of the block into a `CommandError` of one line that begins with the app.

    Alembic's own command errors keep their type, so that callers can still tell them apart;
    Ctrl-C stays a `KeyboardInterrupt`, and gets such a line.
    """
    try:
        yield
    except CommandError as error:
        if not re.match(r"\S+: ", str(error)):  # else it has the name of this or another app
            error.args = (one_error(app, error), *error.args[1:])
        raise
    except KeyboardInterrupt as error:
        if error.args:  # it has its line
            raise
        line = with_notes("interrupted; run the command again to go on", error)
        raise KeyboardInterrupt(f"{app.name}: {line}") from error
    except (Exception, SystemExit) as error:  # a revision that exits with 0 is not applied
        raise CommandError(one_error(app, error)) from error


@contextmanager
def reporting(app: "App") -> Iterator[None]:
    """As `naming`, for Alembic's own command line: it reports a `CommandError`, and no other."""
    try:
        with naming(app):
            yield
    except KeyboardInterrupt as error:
        raise CommandError(str(error)) from error


def one_error(app: "App", error: BaseException) -> str:
    """The line for an error in an app; with the database, where that and no code is to blame."""
    line = with_notes(explain(error), error)
    with suppress(exc.ArgumentError, ValueError):
        url = make_url(app.url_text)
        line = without_password(line, url)
        if is_of_database(error):
            line = f"{shown(url)}: {line}"
    return f"{app.name}: {line}"


def with_notes(line: str, error: BaseException) -> str:
    """The line, and what was noted about the error on its way: see `BaseException.add_note`."""
    return "; ".join([line, *getattr(error, "__notes__", ())])


def is_of_database(error: BaseException) -> bool:
    """Whether an error comes from a database or its URL, and not from a revision or a module."""
    if isinstance(error, OSError):  # as asyncpg has it; without a number, if it tried several
        refused = ConnectionRefusedError | ConnectionResetError | TimeoutError | gaierror
        return error.errno is None or isinstance(error, refused)
    kinds = exc.DBAPIError | exc.NoSuchModuleError | ModuleNotFoundError
    return isinstance(error, kinds) and not place(error)


def explain(error: BaseException) -> str:
    """Say what an exception means to someone who did not write the code that raised it."""
    said = line = describe(error)
    if not isinstance(error, CommandError | SyntaxError) and (at := place(error)):
        line += f", at {at}"
        if isinstance(error, exc.DBAPIError) and error.statement:
            line += f", in: {shorten(error.statement, 120)}"
    for pattern, advice in ADVICE.items():
        if re.search(pattern, said, re.IGNORECASE):
            return f"{line.rstrip('.')}; {advice}"
    return line


def describe(error: BaseException) -> str:
    """What an exception says, without the noise."""
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
        case ModuleNotFoundError() if place(error):
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
            return shorten(text, 300).removesuffix(":")


def explain_ini(error: configparser.Error | UnicodeError) -> str:
    """Say what is wrong in alembic.ini, never quoting a value: it may hold a password."""
    match error:
        case configparser.DuplicateSectionError():
            where = f"{error.source}, line {error.lineno}"
            return f"{where}: the section [{error.section}] stands twice; delete one"
        case configparser.DuplicateOptionError():
            where = f"{error.source}, line {error.lineno}"
            return f"{where}: {error.option!r} stands twice in [{error.section}]; delete one"
        case configparser.InterpolationError():
            return (
                f"cannot read {error.option!r} in [{error.section}] or [DEFAULT] of alembic.ini;"
                " write a percent sign as %%, and %(name)s only with the name of another key"
            )
        case configparser.MissingSectionHeaderError():
            return f"{error.source}, line {error.lineno}: there is no [section] above this line"
        case configparser.ParsingError():
            line = getattr(error, "lineno", 0) or error.errors[0][0]
            return f"{error.source}, line {line}: neither [section] nor key = value"
        case UnicodeDecodeError():
            return (
                f"alembic.ini is not {error.encoding} text: see byte {error.start}; save it as such"
            )
        case _:
            return one_line(str(error))


def place(error: BaseException) -> str:
    """The innermost line of a revision, or of a module's own code, that an error came through."""
    home = Path(__file__).parent
    machinery = {home, home / "autogenerate", home / "commands", Path(alembic.__file__).parent}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if frame.name in ("upgrade", "downgrade", "<module>") and path.parent not in machinery:
            return f"{relative(frame.filename)}, line {frame.lineno}"
    return ""


def without_password(text: str, url: URL) -> str:
    """Take a URL's password out of a text, unless a word that is no secret happens to be it."""
    password = url.password
    if password and len(password) > 2 and password not in shown(url):
        return text.replace(password, "***")
    return text


def shown(url: URL) -> str:
    """A database URL to show: without its password, and with a short path."""
    url = url.difference_update_query([key for key in url.query if "pass" in key])
    if url.drivername.startswith("sqlite") and url.database:
        url = url.set(database=relative(url.database))
    return url.render_as_string(hide_password=True)


def relative(path: str) -> str:
    """A path as seen from the current folder, where it is below it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def one_line(text: str) -> str:
    """Fold line breaks and runs of blanks into single blanks."""
    return " ".join(text.split())


def shorten(text: str, width: int) -> str:
    """Fold into one line of at most so many characters."""
    line = one_line(text)
    return line if len(line) <= width else line[: width - 1] + "…"
