"""A question before what cannot be undone."""

import sys

from alembic.util import CommandError


def ask(yes: bool) -> None:
    """Return if the answer is yes, or was given by --yes; raise CommandError otherwise."""
    if yes:
        return
    if not (sys.stdin and sys.stdin.isatty()):  # it may be closed
        raise CommandError("nothing is changed: there is no terminal to ask on; --yes does it")
    try:
        answer = input("Go on? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandError("nothing is changed")
