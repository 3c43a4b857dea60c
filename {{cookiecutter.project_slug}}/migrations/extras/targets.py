"""The targets of upgrade, downgrade and stamp: checked for every app before the first one moves."""

import re

from ..run import Run


def before_command(run: Run, name: str) -> None:
    """Raise what is wrong with an upgrade, downgrade or stamp before it reaches the first app."""
    if name not in ("upgrade", "downgrade", "stamp"):
        return
    targets = run.options.revisions if name == "stamp" else run.options.revision.split(":")
    for app in run.selected:
        script = run.script(app)
        with app.naming():
            for target in targets:
                if target and not re.search(r"[+-]\d+$", target):  # not +1, head-2
                    script.get_revisions(target)
            if name == "stamp" or run.options.sql:
                continue
            run.check_current(app)
            now = run.current[app.name]
            if name == "upgrade":  # as Alembic does it
                list(script.iterate_revisions(targets[0], now, implicit_base=True))
            else:
                list(script.iterate_revisions(now, targets[0], select_for_downgrade=True))
