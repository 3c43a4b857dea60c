"""Version tables that an app left in a database when its section was removed."""

import re
from collections.abc import Iterator

from sqlalchemy import inspect

from ..errors import shown
from ..order import apps_of_database
from ..run import Run


def remarks(run: Run) -> Iterator[str]:
    """Yield a line for each version table in the apps' databases that no section has."""
    if len(run.selected) < len(run.apps):
        return
    for database in dict.fromkeys(app.database for app in run.selected):
        app, *others = apps_of_database(database, tuple(run.selected))
        with app.naming():
            tables = run.databases.run(app.url, lambda it: inspect(it).get_table_names())
        claimed = {it.version_table for it in (app, *others)}
        for name in sorted({*tables} - claimed):
            if re.fullmatch(r"alembic_version\w*", name):  # others are of row_lock and half_done
                yield f"no section of {app.ini} has the version table {name} in {shown(app.url)}"
