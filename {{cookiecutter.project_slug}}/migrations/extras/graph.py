"""The revisions of every app as a Mermaid flowchart, which GitHub and GitLab draw."""

import re
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping

from alembic.util import to_tuple

from ..apps import App
from ..revision_files import oldest_first
from ..run import Run
from .precautions import references


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")


def graph(run: Run) -> None:
    """Print the revisions of every app, and the references between apps, as a Mermaid flowchart."""
    boxes = {app.name: f"app{number}" for number, app in enumerate(run.selected, start=1)}
    nodes = {
        f"{app.name}:{revision.revision}": f"{boxes[app.name]}_{number}"
        for app in run.selected
        for number, revision in enumerate(oldest_first(run.script(app)), start=1)
    }
    lines = ["flowchart LR"]
    required: list[str] = []
    for app in run.selected:
        lines.append(f'  subgraph {boxes[app.name]}["{escape(app.name)}"]')
        with app.naming():
            lines += [*revisions(run, app, boxes[app.name], nodes), "  end"]
            for revision in oldest_first(run.script(app)):
                node = nodes[f"{app.name}:{revision.revision}"]
                names = [name for name in run.order.required(app, revision) if name in nodes]
                required += [f"  {nodes[name]} -.-> {node}" for name in names]
    for app in run.selected:
        columns: dict[str, list[str]] = {}
        for key, _, other in references(app, tuple(run.selected)):
            columns.setdefault(other.name, []).append(escape(str(key.parent)))
        for name, referring in columns.items():
            arrow = "<br>".join(dict.fromkeys(referring))
            lines.append(f'  {boxes[app.name]} -. "{arrow}" .-> {boxes[name]}')
    lines += required
    print("\n".join([*lines, "  classDef applied fill:#d3f9d8,stroke:#2b8a3e,color:#000"]))


def revisions(run: Run, app: App, box: str, nodes: Mapping[str, str]) -> Iterator[str]:
    """Yield a node for each revision of an app, oldest first, and the arrows between them."""
    applied = run.applied(app)
    found = oldest_first(run.script(app))
    if not found:
        yield f'    {box}_0["no revisions yet"]'
    for it in found:
        mark = ":::applied" if it.revision in applied else ""
        label = f"{escape(it.revision)}<br>{escape(it.doc)}"
        yield f'    {nodes[f"{app.name}:{it.revision}"]}["{label}"]{mark}'
    for it in found:
        for before in to_tuple(it.down_revision, default=()):
            yield f"    {nodes[f'{app.name}:{before}']} --> {nodes[f'{app.name}:{it.revision}']}"


def escape(text: str) -> str:
    """Return text for a label, with special characters in Mermaid's notation, such as #65;."""
    return re.sub(r"[^\w ,.]|(?<=\d)\.", lambda found: f"#{ord(found[0])};", text)
