"""Migrate from within a program. Prints nothing, and raises CommandError."""

import io
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from alembic.config import Config

from ..apps import read_apps, select_apps
from ..commands import with_extras
from ..commands.migrate import migrate
from ..databases import Databases
from ..errors import HOME, naming
from ..run import Run

ONE_AT_A_TIME = Lock()
"""Held by a thread that migrates, because all threads share Alembic's `context` and `op`."""


def migrate_apps(*names: str, ini: str | Path | None = None, tenant: str | None = None) -> None:
    """Migrate all apps, or those named.

    Apps with tenants are migrated for every tenant, or for the one named.
    """
    with silent_run(ini, tenant=[tenant] if tenant else []) as run:
        run.selected = select_apps(run.apps, names)
        with_extras(migrate)(run)


@contextmanager
def silent_run(ini: str | Path | None, **options: Any) -> Iterator[Run]:
    """Give a program a run over all apps, with these options, that prints nothing."""
    with ONE_AT_A_TIME, naming("alembic.ini", ""), closing(Databases()) as databases:
        config = Config(ini or HOME.with_name("alembic.ini"), stdout=io.StringIO())
        apps = read_apps(config)
        yield Run(config, Namespace(**options), apps, list(apps.values()), databases)
