"""A question before what cannot be undone."""

import sys

from alembic.util import CommandError

from ..run import Run


def ask(run: Run) -> None:
    """Return if the answer is yes, or was given by --yes; raise CommandError otherwise."""
    if run.options.yes:
        return
    if not (sys.stdin and sys.stdin.isatty()):  # it may be closed
        raise CommandError("nothing is changed: there is no terminal to ask on; --yes does it")
    run.databases.close()  # a server does not wait for ever
    try:
        answer = input("Go on? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandError("nothing is changed")
