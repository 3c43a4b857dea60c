"""Compare the models of the apps with their databases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.util import CommandError
from sqlalchemy import Column, Constraint, Index

from ..apps import App
from ..errors import program
from ..ownership import Ownership
from ..revision_files import oldest_first
from ..run import Run

VERBS = {"add_table": "create", "add": "add", "remove": "drop", "modify": "alter"}
"""Words for what Alembic calls a difference, such as `add_column`."""


def check(run: Run) -> None:
    """Fail if models and database differ, or if a revision is pending."""
    found = Differences(run)

    def report_on(app: App) -> str:
        run.check_at_head(app)
        if changes := in_words(found.of(app).upgrade):
            told = summarise(changes, width=1000)
            advice = f"run {program('generate')}, or correct the database"
            raise CommandError(f"models and database differ: {told}; {advice}")
        return "no changes"

    run.each_despite_errors(report_on)
    every = {app: oldest_first(run.script(app)) for app in run.apps.values()}
    run.order.plan(every, lambda _: set(), up=True)  # raises CommandError if they cannot be sorted


@dataclass
class Difference:
    """What autogenerate would change for an app."""

    upgrade: ops.UpgradeOps
    downgrade: ops.DowngradeOps
    context: MigrationContext
    """The context in which models and database were compared."""
    ownership: Ownership


class Differences:
    """What autogenerate would change for each selected app.

    Selected apps with the same database and settings are compared at once, so that the tables are
    reflected only once.
    """

    def __init__(self, run: Run) -> None:
        self._run, self._at_once = run, run.selected
        self._found: dict[App, Difference] = {}

    def of(self, app: App) -> Difference:
        """Return what autogenerate would change for an app."""

        def settings(it: App) -> tuple[Any, ...]:
            return it.url, *map(it.section.get, ("compare_type", "compare_server_default"))

        if app not in self._found:
            try:
                together = [it for it in self._at_once if settings(it) == settings(app)]
                self._found |= compare(self._run, together or [app])
            except CommandError:
                if not self._at_once:
                    raise
                self._at_once = []  # from now on, compare each alone to see which one is wrong
                return self.of(app)
        return self._found[app]


def compare(run: Run, apps: Sequence[App]) -> dict[App, Difference]:
    """Compare apps with their common database, and return the differences by app."""
    found: dict[App, Difference] = {}

    def sort(_: Any, context: MigrationContext) -> list[RevisionStep]:
        ownership: Ownership = context.opts["target_metadata"]
        script = produce_migrations(context, ownership)  # type: ignore[arg-type]
        assert script.upgrade_ops is not None
        assert script.downgrade_ops is not None
        for app in apps:
            found[app] = Difference(ops.UpgradeOps([]), ops.DowngradeOps([]), context, ownership)
        backwards = script.downgrade_ops.ops[::-1]
        for operation, back in zip(script.upgrade_ops.ops, backwards, strict=True):
            difference = found[_app_of_operation(operation, ownership)]
            difference.upgrade.ops.append(operation)
            difference.downgrade.ops.insert(0, back)
        return []

    run.config.attributes["compared"] = {app: run.script(app) for app in apps}
    try:
        with apps[0].naming():
            run.in_environment(apps[0], sort)
    finally:
        del run.config.attributes["compared"]
    return found


def _app_of_operation(operation: ops.MigrateOperation, ownership: Ownership) -> App:
    """Return the app that an operation is for. Operations of autogenerate/ have it as `app`."""
    if len(ownership.compared) == 1:
        return next(iter(ownership.compared))
    owner: App | None = getattr(operation, "app", None)
    if isinstance(operation, ops.CreateTableOp | ops.DropTableOp | ops.ModifyTableOps):
        owner = ownership.owner(operation.schema, operation.table_name)
    if owner is None:
        raise CommandError(f"{type(operation).__name__} does not say which app it is for")
    return owner


def in_words(operations: ops.UpgradeOps) -> list[str]:
    """Return a few words for each change of a revision, such as `add TABLE COLUMN`.

    Leaves out what another change implies, such as the index of a new column.
    """
    # The diffs of one altered column are a list, of which the first says enough.
    diffs = [it if isinstance(it, tuple) else it[0] for it in operations.as_diffs()]
    told = {str(it[1].name) for it in diffs if it[0] in ("add_table", "remove_table")}
    told |= {f"{it[2]} {it[3].name}" for it in diffs if it[0] == "add_column"}
    found: dict[str, None] = {}  # without duplicates
    for kind, *parts in diffs:
        verb = VERBS.get(kind) or VERBS.get(kind.partition("_")[0], kind)
        match parts:
            case [_, str(table), Column(name=column) | str(column), *_]:
                what = f"{table} {column}"
            case [Index() | Constraint() as item]:
                table = getattr(item.table, "name", "")
                columns = [str(it.name) for it in getattr(item, "columns", ())]
                if told & {table, *(f"{table} {column}" for column in columns)}:
                    continue
                what = f"{table} {'index' if isinstance(item, Index) else 'constraint'}"
                what += f" {item.name or 'on ' + ', '.join(columns)}"
            case _:  # a table, a comment, or a plug-in's
                names = [getattr(part, "name", part) for part in parts if part is not None]
                what = " ".join(map(str, names))
        found[f"{verb} {what}"] = None
    return list(found)


def summarise(changes: list[str], width: int = 72) -> str:
    """Return a line with as many changes as fit, and the number of the others."""
    for count in range(len(changes), 0, -1):
        more = [f"and {len(changes) - count} more"] if count < len(changes) else []
        summary = ", ".join([*changes[:count], *more])
        if len(summary) <= width:
            return summary
    return f"{len(changes)} changes"
