"""Version tables that an app left in a database when its section was removed."""

import re
from collections.abc import Iterator

from sqlalchemy import inspect

from ..errors import shown
from ..run import Run


def remarks(run: Run) -> Iterator[str]:
    """Yield a line for each version table without a section, in the default schemas of the URLs."""
    if len(run.selected) < len(run.apps):
        return
    for url, app in {app.url: app for app in run.selected}.items():
        with app.naming():
            tables = run.databases.run(url, lambda it: inspect(it).get_table_names())
        claimed = {it.version_table for it in app.neighbours}
        for name in sorted({*tables} - claimed):
            if re.fullmatch(r"alembic_version\w*", name):  # others are of row_lock and half_done
                yield f"no section of {app.ini} has the version table {name} in {shown(url)}"
