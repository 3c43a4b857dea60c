"""Whether models, revisions and databases agree."""

from contextlib import suppress

from alembic.util import CommandError

from ..apps import App
from ..autogenerate.changes import describe
from ..autogenerate.differences import differences, known
from ..revisions import at_head, read_current
from ..run import Run


def check(run: Run) -> None:
    """Fail where models and database differ, or where revisions are pending."""
    current = read_current(run)

    def ready(app: App) -> bool:
        with suppress(CommandError):  # `report` raises it again
            return at_head(run, app, current)
        return False

    found = differences(run, filter(ready, run.selected))

    def report(app: App) -> str:
        if not at_head(run, app, current):
            raise CommandError("the database is behind the newest revision; run ./migrate.sh")
        if changes := describe(known(found[app]).upgrade):
            raise CommandError(
                f"models and database differ: {', '.join(changes)}; run ./generate.sh"
            )
        return "no changes"

    run.look(report)
