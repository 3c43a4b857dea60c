"""Check that every app knows the target of upgrade, downgrade or stamp before any app moves."""

import re

from ..run import Run


def before_command(run: Run, name: str) -> None:
    """Raise CommandError if one of the apps does not have a target revision."""
    if name not in ("upgrade", "downgrade", "stamp"):
        return
    targets = run.options.revisions if name == "stamp" else run.options.revision.split(":")
    for app in run.selected:
        with app.naming():
            for target in targets:
                if target and not re.search(r"[+-]\d+$", target):  # not +1, head-2
                    run.script(app).get_revisions(target)
