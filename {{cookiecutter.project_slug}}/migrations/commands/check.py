"""Compare the models of the apps with their databases."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.util import CommandError
from sqlalchemy import Column, Constraint, Index, Table

from ..apps import App
from ..errors import program
from ..order import references
from ..ownership import Ownership
from ..revision_files import files_of, oldest_first, tables_created
from ..run import Run


def check(run: Run) -> None:
    """Fail if models and database differ, or if a revision is pending."""

    def ready(app: App) -> bool:
        with suppress(CommandError):  # `report_on` raises it again
            return run.at_head(app)
        return False

    found: dict[App, Difference] = {}
    with suppress(CommandError):  # likewise, for the app that causes it
        found = compare(run, filter(ready, run.selected))

    def report_on(app: App) -> str:
        if not run.at_head(app):
            raise CommandError(
                f"the database is behind the newest revision; run {program('migrate')}"
            )
        difference = found.get(app) or compare(run, [app])[app]
        if changes := in_words(difference.upgrade):
            told = summarise(changes, width=1000)
            advice = f"run {program('generate')}, or correct the database"
            raise CommandError(f"models and database differ: {told}; {advice}")
        return "no changes"

    run.each_despite_errors(report_on)
    check_order(run)


def check_order(run: Run) -> None:
    """Raise CommandError if a new database cannot be created with the revisions in this order."""
    revisions = {app: oldest_first(run.script(app)) for app in run.apps.values()}
    plan = run.order.plan(revisions, lambda _: set(), up=True)
    last = {app: place for place, (app, _) in enumerate(plan)}
    first = {app: place for place, (app, _) in reversed(list(enumerate(plan)))}
    for app in run.selected:
        for key, referred, other in references(app, tuple(run.apps.values())):
            if last[app] > first[other] or not revisions[app]:
                continue
            if (referred.schema, referred.name) in tables_created(files_of(run.script(other))):
                raise CommandError(
                    f"{app.name}: {key.parent} refers to {referred.name}, which is created later"
                    " in a new database; add `requires` to the revision with the foreign key, or"
                    f" move [{other.name}] before [{app.name}] in {app.ini}"
                )


@dataclass
class Difference:
    """What autogenerate would change for an app."""

    upgrade: ops.UpgradeOps
    downgrade: ops.DowngradeOps
    context: MigrationContext
    """The context in which models and database were compared."""


def compare(run: Run, apps: Iterable[App]) -> dict[App, Difference]:
    """Return what autogenerate would change for each app.

    Apps with the same database and the same settings are compared together, so that its tables
    are reflected only once.
    """
    found: dict[App, Difference] = {}
    groups: dict[tuple[Any, ...], list[App]] = {}
    for app in apps:
        key = (app.url, *map(app.section.get, ("compare_type", "compare_server_default")))
        groups.setdefault(key, []).append(app)
    for together in groups.values():
        try:
            found |= _compare_together(run, together)
        except CommandError:
            if len(together) == 1:
                raise
            for app in together:  # so that only the app with the error fails
                found |= _compare_together(run, [app])
    return found


def _compare_together(run: Run, apps: Sequence[App]) -> dict[App, Difference]:
    """Compare apps with their common database, and return the differences by app."""
    found: dict[App, Difference] = {}

    def sort(_: Any, context: MigrationContext) -> list[RevisionStep]:
        ownership: Ownership = context.opts["target_metadata"]
        script = produce_migrations(context, ownership)  # type: ignore[arg-type]
        assert script.upgrade_ops is not None
        assert script.downgrade_ops is not None
        for app in apps:
            found[app] = Difference(ops.UpgradeOps([]), ops.DowngradeOps([]), context)
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
    if isinstance(app := getattr(operation, "app", None), App):
        return app
    if isinstance(operation, ops.CreateTableOp | ops.DropTableOp | ops.ModifyTableOps):
        owner = ownership.owner(operation.schema, operation.table_name)
        assert owner is not None
        return owner
    if len(ownership.compared) > 1:
        raise CommandError(f"{type(operation).__name__} does not say which app it is for")
    return next(iter(ownership.compared))


def in_words(operations: ops.UpgradeOps) -> list[str]:
    """Return a few words for each change of a revision, such as `add TABLE COLUMN`.

    Leaves out what another change implies, such as the index of a new column.
    """
    found: list[str] = []
    diffs = operations.as_diffs()
    # New tables and columns, and dropped tables, which come after their indexes.
    told = {str(diff[1].name) for diff in diffs if diff[0] == "remove_table"}
    for diff in diffs:
        kind, *parts = diff if isinstance(diff, tuple) else diff[0]
        verb = {"add": "add", "remove": "drop", "modify": "alter"}.get(kind.partition("_")[0], kind)
        match parts:
            case [Table(name=str(what))] if kind in ("add_table", "remove_table"):
                told.add(what)
                verb = "create" if verb == "add" else verb
            case [_, str(table), Column() as column]:
                what = f"{table} {column.name}"
                told |= {what} if verb == "add" else set()
            case [_, str(table), str(column), *_]:
                what = f"{table} {column}"
            case [Index() | Constraint() as item]:
                table = str(getattr(item.table, "name", ""))
                columns = [column.name for column in getattr(item, "columns", ())]
                covered = {f"{table} {column}" for column in columns}
                if table in told or (verb == "add" and covered and covered <= told):
                    continue
                what = f"{table} {'index' if isinstance(item, Index) else 'constraint'}"
                what += f" {item.name or 'on ' + ', '.join(columns)}"
            case _:  # a comment, or a plug-in's
                names = [getattr(part, "name", part) for part in parts]
                what = " ".join(str(name) for name in names if name is not None)
        found.append(f"{verb} {what}")
    return list(dict.fromkeys(found))


def summarise(changes: list[str], width: int = 72) -> str:
    """Return a line with as many changes as fit, and the number of the others."""
    for count in range(len(changes), 0, -1):
        more = [f"and {len(changes) - count} more"] if count < len(changes) else []
        summary = ", ".join([*changes[:count], *more])
        if len(summary) <= width:
            return summary
    return f"{len(changes)} changes"
