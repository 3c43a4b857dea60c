"""What differs between the apps' models and their databases."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import produce_migrations
from alembic.operations.ops import (
    CreateTableOp,
    DowngradeOps,
    DropTableOp,
    MigrateOperation,
    ModifyTableOps,
    UpgradeOps,
)
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.util import CommandError

from ..apps import App
from ..errors import naming
from ..ownership import Ownership
from ..revisions import by_database
from ..run import Run
from .changes import describe
from .enum_types import EnumTypeOp


@dataclass
class Difference:
    """What autogenerate would change for an app."""

    upgrade: UpgradeOps
    downgrade: DowngradeOps
    context: MigrationContext
    """Where it was found."""


def differences(run: Run, apps: Iterable[App]) -> dict[App, Difference | CommandError]:
    """What autogenerate would change for each app, or why that cannot be said.

    Apps of one database are compared together, so that its tables are reflected once.
    """
    found: dict[App, Difference | CommandError] = {}
    for together in by_database(apps).values():
        try:
            found |= compare(run, together)
        except CommandError as error:
            if len(together) == 1:
                found[together[0]] = error
            else:
                for app in together:  # which of them is it?
                    found |= differences(run, [app])
    return found


def known(difference: Difference | CommandError) -> Difference:
    """The difference; raises the error that there is instead."""
    if isinstance(difference, CommandError):
        raise difference
    return difference


def changes_of(run: Run, app: App) -> list[str]:
    """What autogenerate would change for one app, in words."""
    [difference] = differences(run, [app]).values()
    return describe(known(difference).upgrade, how=True)


def compare(run: Run, apps: Sequence[App]) -> dict[App, Difference]:
    """Compare apps of one database with it, and sort what is found by app."""
    found: dict[App, Difference] = {}

    def sort(_: Any, context: MigrationContext) -> list[RevisionStep]:
        ownership: Ownership = context.opts["target_metadata"]
        script = produce_migrations(context, ownership)  # type: ignore[arg-type]
        assert script.upgrade_ops is not None
        assert script.downgrade_ops is not None
        found.update({app: Difference(UpgradeOps([]), DowngradeOps([]), context) for app in apps})
        backwards = script.downgrade_ops.ops[::-1]
        for operation, back in zip(script.upgrade_ops.ops, backwards, strict=True):
            difference = found[owner_of(operation, ownership)]
            difference.upgrade.ops.append(operation)
            difference.downgrade.ops.insert(0, back)
        return []

    run.config.attributes["compared"] = {app: run.script(app) for app in apps}
    try:
        with naming(apps[0]):
            run.in_environment(apps[0], sort)
    finally:
        del run.config.attributes["compared"]
    return found


def owner_of(operation: MigrateOperation, ownership: Ownership) -> App:
    """The app that an operation is for, among those that were compared."""
    match operation:
        case EnumTypeOp(app=app):
            return app
        case CreateTableOp() | DropTableOp() | ModifyTableOps():
            owner = ownership.owner(operation.schema, operation.table_name)
            assert owner is not None
            return owner
    # An extension of Alembic has found something that we do not know.
    if len(ownership.compared) > 1:
        raise CommandError(f"which app is {type(operation).__name__} for?")
    return next(iter(ownership.compared))
