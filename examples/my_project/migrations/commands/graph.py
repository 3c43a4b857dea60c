"""The revisions of every app as a picture: text for Mermaid, which GitHub and GitLab draw."""

import re
from collections.abc import Iterator, Mapping, Sequence

from alembic.script import ScriptDirectory
from alembic.util import to_tuple

from ..apps import App
from ..errors import naming
from ..ownership import oldest_first, owner
from ..revisions import check_current, read_current
from ..run import Run


def graph(run: Run) -> None:
    """Print a picture of every app's revisions and references, as text for Mermaid."""
    current = read_current(run)
    for app in run.selected:
        check_current(run, app, current[app.name])
    scripts = {app.name: run.script(app) for app in run.selected}
    print("\n".join(draw(run.selected, scripts, current)))


def draw(
    apps: Sequence[App],
    scripts: Mapping[str, ScriptDirectory],
    current: Mapping[str, tuple[str, ...]],
) -> Iterator[str]:
    """The lines of a flowchart with a box for each app, and arrows for what refers to what."""
    yield "flowchart LR"
    boxes = {app.name: f"app{number}" for number, app in enumerate(apps, start=1)}
    for app in apps:
        box = boxes[app.name]
        yield f'  subgraph {box}["{escape(app.name)}"]'
        with naming(app):
            yield from chain(box, scripts[app.name], current[app.name])
        yield "  end"
    for app in apps:
        for name, columns in references(app, apps).items():
            yield f'  {boxes[app.name]} -. "{"<br>".join(columns)}" .-> {boxes[name]}'
    yield "  classDef applied fill:#d3f9d8,stroke:#2b8a3e,color:#000"


def chain(box: str, script: ScriptDirectory, current: tuple[str, ...]) -> Iterator[str]:
    """The revisions of an app, oldest first, and an arrow from each to the next."""
    applied = {step.revision for step in script.iterate_revisions(current, "base")}
    revisions = oldest_first(script)
    nodes = {step.revision: f"{box}_{number}" for number, step in enumerate(revisions, start=1)}
    if not revisions:
        yield f'    {box}_0["no revisions yet"]'
    for step in revisions:
        mark = ":::applied" if step.revision in applied else ""
        text = f"{escape(step.revision)}<br>{escape(step.doc)}"
        yield f'    {nodes[step.revision]}["{text}"]{mark}'
    for step in revisions:
        for before in to_tuple(step.down_revision, default=()):
            yield f"    {nodes[before]} --> {nodes[step.revision]}"


def references(app: App, apps: Sequence[App]) -> dict[str, list[str]]:
    """The columns with foreign keys to other apps' tables, by the name of the other app."""
    found: dict[str, list[str]] = {}
    for table in app.own_models.values():
        for constraint in table.foreign_key_constraints:
            other = owner(constraint.referred_table, apps)
            if other and other.name != app.name:
                columns = ", ".join(constraint.column_keys)
                found.setdefault(other.name, []).append(escape(f"{table.name}.{columns}"))
    return found


def escape(text: str) -> str:
    """A text inside the quotes of a label: Mermaid reads #65; as a character there."""
    return re.sub(r"[^\w ,.]|(?<=\d)\.", lambda found: f"#{ord(found[0])};", text)
