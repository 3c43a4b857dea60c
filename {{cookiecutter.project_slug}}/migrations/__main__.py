"""Alembic for every app of alembic.ini, or for those named, in one process.

All of Alembic's commands and options work here; a few are added.
"""

import gc
import logging
import os
import signal
import sys
import warnings
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from logging.config import fileConfig
from typing import Any

from alembic import command
from alembic.config import CommandLine, Config
from alembic.util import CommandError

from migrations.apps import read_apps, select_apps
from migrations.commands import plain
from migrations.commands.adopt import adopt
from migrations.commands.check import check
from migrations.commands.generate import generate
from migrations.commands.graph import graph
from migrations.commands.migrate import migrate
from migrations.commands.remove import remove
from migrations.commands.squash import squash
from migrations.commands.status import status
from migrations.databases import Databases
from migrations.errors import explain, one_line
from migrations.run import Run

ADDED = (migrate, generate, status, graph, adopt, remove, squash)
"""The commands that Alembic does not have."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 1 for an error, 130 for Ctrl-C and SIGTERM."""
    # Alembic's own -n takes one name.
    line = command_line()
    several = ArgumentParser(line.parser.prog, add_help=False, allow_abbrev=False)
    several.add_argument("-n", "--name", dest="names", action="append", default=[])
    options, rest = several.parse_known_args(arguments)
    options = line.parser.parse_args(rest, options)
    if not hasattr(options, "cmd"):
        print("which command? See: python -m migrations --help", file=sys.stderr)
        return 2
    work = chosen(options.cmd)
    options.quiet |= work is not plain.alembic  # the others print what they did themselves
    databases = Databases()
    try:
        ini = options.config or [os.environ.get("ALEMBIC_CONFIG", "alembic.ini")]
        config = Config(ini[-1], stdout=sys.stdout, cmd_opts=options)
        apps = read_apps(config)
        selected = select_apps(apps, [*options.names, *getattr(options, "apps", ())])
        config.attributes.update(apps=apps, databases=databases)
        if config.file_config.has_section("loggers"):
            fileConfig(config.file_config, disable_existing_loggers=False)
        if options.quiet:
            for logger in ("alembic", "alembic.runtime.migration"):
                logging.getLogger(logger).setLevel(logging.WARNING)
        run = Run(config, options, line, apps, selected, databases)
        work(run)
    except KeyboardInterrupt as error:
        if options.raiseerr:
            raise
        print(str(error) or "interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if options.raiseerr:
            raise
        print(str(error) if isinstance(error, CommandError) else explain(error), file=sys.stderr)
        return 1
    finally:
        databases.close()
    return 0


def chosen(cmd: Any) -> Callable[[Run], None]:
    """What to run for the command that the command line found; Alembic's are tuples."""
    if callable(cmd):
        return cmd  # type: ignore[no-any-return]
    return check if cmd[0] is command.check else plain.alembic


class Output(TextIOWrapper):
    """Standard output, line by line: into a pipe, too, nothing comes after its error.

    What nobody reads any more, as behind `| head`, goes nowhere, and a letter that the terminal's
    encoding lacks is written as its number: no migration stops for that.
    """

    def write(self, text: str) -> int:
        """Write text, and return its length."""
        try:
            return super().write(text)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return len(text)


def one_line_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """What Python prints for a warning: the text, and not the place in Alembic that gave it."""
    return f"warning: {one_line(str(message))}\n"


def command_line() -> CommandLine:
    """Alembic's own command line, with a few commands more."""
    line = CommandLine(prog="python -m migrations")
    line.parser.description = __doc__
    line.parser.epilog = "-n APP may be given several times; without it, every app gets its turn."
    for work in ADDED:
        parser = line.subparsers.add_parser(
            work.__name__, help=work.__doc__, description=work.__doc__
        )
        if work in (remove, squash):
            parser.add_argument("apps", metavar="APP", nargs="+")
            parser.add_argument("--yes", action="store_true", help="do not ask")
        else:
            parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")
        parser.set_defaults(cmd=work)
        if work is migrate:
            parser.add_argument("--sql", action="store_true", help="print the SQL, run nothing")
        if work is status:
            parser.add_argument("--json", action="store_true", help="print JSON, for programs")
        if work is generate:
            parser.add_argument("-m", "--message", help="default: made from the changes")
        if work is remove:
            one = parser.add_mutually_exclusive_group()
            one.add_argument("--keep-tables", action="store_true", help="only take out the section")
            one.add_argument("--keep-section", action="store_true", help="only drop the tables")
        if work is adopt:
            parser.add_argument("--yes", action="store_true", help="do it, do not only say it")
    return line


if __name__ == "__main__":
    stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")  # it may be closed
    errors = "backslashreplace" if stdout.errors == "strict" else stdout.errors
    sys.stdout = Output(stdout.buffer, stdout.encoding, errors, line_buffering=True)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # from __init__.py
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Docker and Kubernetes send this; else it ends a process without a word, and not at all PID 1.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    warnings.formatwarning = one_line_warning
    exit_status = main()
    gc.freeze()  # Python would look through all of it once more
    sys.exit(exit_status)
