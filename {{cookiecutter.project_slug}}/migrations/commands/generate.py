"""Write new revisions for the apps whose models changed."""

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from typing import Any

from alembic.autogenerate import RevisionContext
from alembic.operations import ops
from alembic.util import rev_id
from sqlalchemy import ForeignKeyConstraint

from ..apps import App, TableKey
from ..errors import relative
from ..order import sorted_by_needs
from ..run import Run
from . import hooks
from .check import Difference, Differences, in_words, summarise


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")
    parser.add_argument("-m", "--message", help="default: made from the changes")


def generate(run: Run) -> None:
    """Write a new revision for every app whose models changed."""
    for app in run.selected:
        run.check_at_head(app)
    differences = Differences(run)
    found = {app: differences.of(app) for app in run.selected}
    for app in run.selected:
        if found[app].upgrade.ops:
            for check in hooks("before_writing"):
                check(run, app, found[app].upgrade)
    needs = {app.name: [other.name for other in needed(app, found[app])] for app in run.selected}
    todo = sorted_by_needs(needs, "generate one of them first, without what needs the others")
    written: list[str] = []

    def write(app: App) -> str:
        changes = in_words(found[app].upgrade)
        if not changes:
            return "no changes"
        first = not run.current(app)
        message = run.options.message or ("initial" if first else summarise(changes))
        requires = [
            f"{name}:{head}"
            for name in needs[app.name]
            for head in run.script(run.apps[name]).get_heads()
        ]
        path = write_revision(run, app, message, found[app], requires)
        written.append(path)
        lines = [f"wrote {relative(path)}"]
        if message != ", ".join(changes):  # else the file's name tells
            lines.append(summarise(changes, width=300))
        for warnings in hooks("warnings"):
            lines += [f"warning: {text}" for text in warnings(run, app, found[app].upgrade)]
        return "\n".join(lines)

    try:
        run.each_until_error(write, [run.apps[name] for name in todo])
    finally:
        for tidy in hooks("written"):
            tidy(written)


def needed(app: App, found: Difference) -> list[App]:
    """Return the apps whose newest revisions have to run before a new one of this app.

    The new revision has a foreign key to one of their tables, or extras/ says that it needs them.
    """
    owners = {found.ownership.apps_by_model.get(table) for table in referred_tables(found)}
    also = {other for hook in hooks("also_needed") for other in hook(app, found)}
    return [other for other in found.ownership.apps if other in owners | also and other != app]


def referred_tables(found: Difference) -> Iterator[TableKey]:
    """Yield the tables that the new foreign keys of a difference refer to."""
    for operation in found.upgrade.ops:
        for part in (*getattr(operation, "ops", ()), *getattr(operation, "columns", ())):
            if isinstance(part, ops.CreateForeignKeyOp):
                yield found.ownership.key(part.kw.get("referent_schema"), part.referent_table)
            elif isinstance(part, ForeignKeyConstraint):
                yield found.ownership.key(part.referred_table.schema, part.referred_table.name)


def write_revision(
    run: Run,
    app: App,
    message: str,
    found: Difference,
    requires: Sequence[str],
    id: str | None = None,
) -> str:
    """Write the differences to a new revision, as `alembic revision` does, and return its path.

    `alembic.command.revision` also takes operations, but it runs env.py again for every app. This
    renders them with the context that compared the models of all apps.
    """
    options = dict.fromkeys(("splice", "branch_label", "version_path", "depends_on"))
    arguments = {**options, "message": message, "head": "head", "rev_id": id or rev_id()}
    revision = RevisionContext(run.config_for(app), run.script(app), arguments)
    template_args: dict[str, Any] = revision.template_args  # for script.py.mako
    template_args["requires"] = requires
    [new] = revision.generated_revisions
    new.upgrade_ops, new.downgrade_ops = found.upgrade, found.downgrade
    revision.run_no_autogenerate(run.current(app), found.context)
    try:
        [script] = revision.generate_scripts()
    except BaseException:  # an incomplete file would stop every later command
        for folder in app.folders:
            for file in folder.rglob(f"*{new.rev_id}*"):
                file.unlink()
        raise
    assert script is not None
    return script.path
