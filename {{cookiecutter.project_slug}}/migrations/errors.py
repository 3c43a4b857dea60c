"""What went wrong, in one line: in which app, and what to do about it."""

import configparser
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from alembic.util import CommandError
from sqlalchemy import exc

if TYPE_CHECKING:
    from .apps import App

# What a driver says, and what its user can do. Looked up in lower case, first match wins.
ADVICE = {
    "password authentication failed": "check the user and the password in the URL",
    "access denied for user": "check the user, the password and the grants",
    "unable to open database file": "does its folder exist, and may this user write there?",
    "file is not a database": "the URL names a file that is not an SQLite database",
    "readonly database": "the database file cannot be written to",
    "read-only": "the server takes no writes: connect to the primary",
    "unknown database": "create the database first",
    "could not translate host name": "check the host in the URL",
    "failed to resolve host": "check the host in the URL",
    "name or service not known": "check the host in the URL",
    "refused": "is the database server running, and is the port right?",
    "can't connect": "is the database server running, and are host and port right?",
    "permission denied": "the user of the URL lacks that right",
    "command denied": "the user of the URL lacks that right",
    "disk is full": "make room, then run the command again",
    "no space left": "make room, then run the command again",
    "server closed the connection": "the server went away: run the command again when it is back",
    "lost connection": "the server went away: run the command again when it is back",
    "terminating connection": "the server went away: run the command again when it is back",
}


@contextmanager
def naming(app: "App") -> Iterator[None]:
    """Turn every error of the block into a `CommandError` of one line that begins with the app.

    Alembic's own command errors keep their type, so that callers can still tell them apart.
    """
    try:
        yield
    except CommandError as error:
        line = one_line(str(error))
        if not line.startswith(f"{app.name}: "):
            error.args = (f"{app.name}: {line}", *error.args[1:])
        raise
    except Exception as error:
        line = without_password(explain(error), app.url.password)
        raise CommandError(f"{app.name}: {line}") from error


def explain(error: BaseException) -> str:
    """Say what an exception means to someone who did not write the code that raised it."""
    if isinstance(error, exc.DBAPIError):
        text = one_line(str(error.orig))
        # PyMySQL, aiosqlite and others put a number before the words.
        if match := re.fullmatch(r"""\((\d+), ["'](.*)["']\)""", text):
            text = f"{match[2]} ({match[1]})"
        advice = next((advice for sign, advice in ADVICE.items() if sign in text.lower()), "")
        statement = f"; in: {shorten(error.statement)}" if error.statement else ""
        return text + statement + revision_line(error) + (f" ({advice})" if advice else "")
    if isinstance(error, exc.NoSuchModuleError):
        return f"{one_line(str(error))}: no such dialect or driver in the database URL"
    if isinstance(error, ModuleNotFoundError):
        return f"the module {error.name!r} is not installed{revision_line(error)}"
    if isinstance(error, configparser.Error):
        return explain_ini(error)
    if isinstance(error, SyntaxError):
        return f"syntax error in {error.filename}, line {error.lineno}: {error.msg}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or ''}: {error.strerror}".removeprefix(": ")
    return f"{type(error).__name__}: {one_line(str(error))}{revision_line(error)}"


def explain_ini(error: configparser.Error) -> str:
    """Say what is wrong in alembic.ini, never quoting a value: it may hold a password."""
    if isinstance(error, configparser.DuplicateSectionError):
        return f"the section [{error.section}] stands twice in {error.source} (line {error.lineno})"
    if isinstance(error, configparser.DuplicateOptionError):
        return (
            f"{error.option!r} stands twice in [{error.section}]"
            f" of {error.source} (line {error.lineno})"
        )
    if isinstance(error, configparser.InterpolationError):
        return (
            f"cannot read {error.option!r} in [{error.section}] of alembic.ini:"
            " write a percent sign as %%"
        )
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"cannot parse {error.source}, line {error.lineno}: no section begins before it"
    if isinstance(error, configparser.ParsingError):
        lines = ", ".join(str(line) for line, _ in error.errors)
        return f"cannot parse {error.source}, line {lines}"
    return one_line(str(error))


def revision_line(error: BaseException) -> str:
    """Name the innermost line of a revision file that an exception came through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.name in ("upgrade", "downgrade"):
            return f", at {frame.filename}, line {frame.lineno}"
    return ""


def without_password(text: str, password: str | None) -> str:
    """Take a password out of a text, unless it is too short to tell from other letters."""
    return text.replace(password, "***") if password and len(password) > 2 else text


def one_line(text: str) -> str:
    """Fold line breaks and runs of blanks into single blanks."""
    return " ".join(text.split())


def shorten(text: str, width: int = 120) -> str:
    """Fold into one line of at most so many characters."""
    line = one_line(text)
    return line if len(line) <= width else line[: width - 1] + "…"
