"""Run Alembic for every app in alembic.ini, or for those named, in one process.

All of Alembic's commands and options work. A few commands are added.
"""

import gc
import logging
import os
import signal
import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from logging.config import fileConfig
from pathlib import Path

from alembic.config import CommandLine, Config
from alembic.util import CommandError

from .apps import read_apps
from .commands import alembic_commands, check, commands, hooks, with_extras
from .databases import Databases
from .errors import HOME, INI_OPTION, explain
from .run import Run, select_apps


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 1 for an error, 2 for usage, 130 for Ctrl-C."""
    line = CommandLine(f"python -m {HOME.name}")
    parser = parser_of(line)
    options = parser.parse_args(arguments)
    if not hasattr(options, "cmd"):
        print(f"no command is given; see {parser.prog} --help", file=sys.stderr)
        return 2
    # Alembic's own commands are tuples, the added ones are functions.
    work = options.cmd if callable(options.cmd) else alembic_commands.run_alembic_command
    options.quiet |= callable(options.cmd)  # functions print what they did
    try:
        here = os.environ.pop("MIGRATIONS_CALLED_FROM", "")  # set by run.sh: the user's folder
        given = [os.environ.get("ALEMBIC_CONFIG"), *options.config][-1]
        INI_OPTION[:] = ["-c", *options.config[-1:]] if options.config else []
        ini = Path(here, given) if given else "alembic.ini"
        config = Config(ini, stdout=sys.stdout, cmd_opts=options)
        apps = read_apps(config)
        selected = select_apps(apps, [*options.names, *getattr(options, "apps", ())])
        if config.file_config.has_section("loggers"):
            fileConfig(config.file_config, disable_existing_loggers=False)
        if options.quiet:
            for logger in ("alembic", "alembic.runtime.migration"):
                logging.getLogger(logger).setLevel(logging.WARNING)
        with closing(Databases()) as databases:
            with_extras(work)(Run(config, options, apps, selected, databases))
    except (KeyboardInterrupt, Exception) as error:
        if options.raiseerr:
            raise
        if isinstance(error, KeyboardInterrupt):
            print(str(error) or "interrupted", file=sys.stderr)
            return 130
        print(str(error) if isinstance(error, CommandError) else explain(error), file=sys.stderr)
        return 1
    return 0


def parser_of(line: CommandLine) -> ArgumentParser:
    """Return Alembic's command-line parser, with the added commands and a repeatable -n."""
    for name, (work, declare) in commands().items():
        added = line.subparsers.add_parser(name, help=work.__doc__, description=work.__doc__)
        declare(added)
        added.set_defaults(cmd=work)
    line.subparsers.choices["check"].set_defaults(cmd=check.check)  # in place of Alembic's
    parser = ArgumentParser(
        line.parser.prog, description=__doc__, parents=[line.parser], conflict_handler="resolve"
    )
    # `type` is called with each value, so one list collects the options before and after the
    # command.
    given: dict[str, list[str]] = {"config": [], "names": [], "x": []}
    parser.set_defaults(**given)
    for name, place in [("", parser), *line.subparsers.choices.items()]:
        add = partial(place.add_argument, dest=SUPPRESS)
        flags = ("-c", "--config") if name != "current" else ("--config",)  # its -c: --check-heads
        add(*flags, type=given["config"].append, metavar="INI", help="default: alembic.ini")
        add("-x", type=given["x"].append, metavar="KEY=VALUE", help="for context.get_x_argument()")
        several = "the section of an app; can be repeated; default: every app"
        add("-n", "--name", type=given["names"].append, metavar="APP", help=several)
        if place is not parser:
            for declare in hooks("options"):
                declare(place)
    return parser


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # from __init__.py
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for start in hooks("start"):
        start()
    exit_status = main()
    gc.freeze()  # skip the garbage collection at exit
    sys.exit(exit_status)
