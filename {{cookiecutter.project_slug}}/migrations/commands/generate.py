"""New revisions for the apps whose models changed."""

from argparse import ArgumentParser

from alembic.autogenerate import RevisionContext
from alembic.util import CommandError, rev_id

from ..apps import App
from ..errors import program, relative
from ..revision_files import removed_after_error
from ..run import Run
from . import hooks
from .check import Difference, compare, in_words


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")
    parser.add_argument("-m", "--message", help="default: made from the changes")


def generate(run: Run) -> None:
    """Write a new revision for every app whose models changed."""
    for app in run.selected:
        if not run.at_head(app):
            raise CommandError(
                f"{app.name}: the database is behind the newest revision;"
                f" run {program('migrate', app.name)} before generating another"
            )

    found = compare(run, run.selected)
    for app in run.selected:
        for check in hooks("before_writing") if found[app].upgrade.ops else ():
            check(run, app, found[app].upgrade)
    written: list[str] = []

    def write(app: App) -> str:
        changes = in_words(found[app].upgrade)
        if not changes:
            return "no changes"
        first = not run.current[app.name]
        message = run.options.message or ("initial" if first else summarise(changes))
        path = write_revision(run, app, message, found[app])
        written.append(path)
        lines = [f"wrote {relative(path)}"]
        if message != ", ".join(changes):  # else its name tells
            lines.append(summarise(changes, width=300))
        for warnings in hooks("warnings"):
            lines += [f"warning: {text}" for text in warnings(run, app, found[app].upgrade)]
        return "\n".join(lines)

    try:
        run.each_until_error(write, run.selected)
    finally:
        for tidy in hooks("written"):
            tidy(written)


def summarise(changes: list[str], width: int = 72) -> str:
    """Return as many of the changes as fit into a line, and the number of the others."""
    for count in range(len(changes), 0, -1):
        more = [f"and {len(changes) - count} more"] if count < len(changes) else []
        summary = ", ".join([*changes[:count], *more])
        if len(summary) <= width:
            return summary
    return f"{len(changes)} changes"


def write_revision(
    run: Run, app: App, message: str, found: Difference, id: str | None = None
) -> str:
    """Write what was found to a new revision, as `alembic revision` does, and return its path.

    `alembic.command.revision` can be given operations as well, but runs env.py again for every
    app to render them. Here the run that compared the models serves all apps.
    """
    options = dict.fromkeys(("splice", "branch_label", "version_path", "depends_on"))
    arguments = {**options, "message": message, "head": "head", "rev_id": id or rev_id()}
    revision = RevisionContext(run.config_for(app), run.script(app), arguments)
    [new] = revision.generated_revisions
    new.upgrade_ops, new.downgrade_ops = found.upgrade, found.downgrade
    revision.run_no_autogenerate(run.current[app.name], found.context)
    with removed_after_error(app.folders, str(new.rev_id)):
        [script] = revision.generate_scripts()
    assert script is not None
    return script.path
