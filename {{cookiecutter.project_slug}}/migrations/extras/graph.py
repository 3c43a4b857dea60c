"""The revisions of every app as a Mermaid flowchart, which GitHub and GitLab draw."""

import re
from argparse import ArgumentParser

from alembic.util import to_tuple

from ..revision_files import oldest_first
from ..run import Run
from .precautions import references


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")


def graph(run: Run) -> None:
    """Print the revisions of every app, and the references between apps, as a Mermaid flowchart."""
    boxes = {app: f"app{number}" for number, app in enumerate(run.selected, start=1)}
    nodes = {
        f"{app.name}:{revision.revision}": f"{box}_{number}"
        for app, box in boxes.items()
        for number, revision in enumerate(oldest_first(run.script(app)), start=1)
    }
    applied = {app: run.applied(app) for app in run.selected}  # errors come before any output
    arrows: list[str] = []
    print("flowchart LR")
    for app, box in boxes.items():
        print(f'  subgraph {box}["{escape(app.name)}"]')
        for revision in oldest_first(run.script(app)):
            node = nodes[f"{app.name}:{revision.revision}"]
            mark = ":::applied" if revision.revision in applied[app] else ""
            print(f'    {node}["{escape(revision.revision)}<br>{escape(revision.doc)}"]{mark}')
            for before in to_tuple(revision.down_revision, default=()):
                arrows.append(f"{nodes[f'{app.name}:{before}']} --> {node}")
            for name in run.order.required(app, revision):
                arrows += [f"{nodes[name]} -.-> {node}"] if name in nodes else []
        print("  end")
        for key, _, other in references(app, tuple(run.selected)):
            arrows.append(f'{box} -. "{escape(str(key.parent))}" .-> {boxes[other]}')
    for arrow in arrows:
        print(f"  {arrow}")
    print("  classDef applied fill:#d3f9d8,stroke:#2b8a3e,color:#000")


def escape(text: str) -> str:
    """Return text for a label, with special characters in Mermaid's notation, such as #65;."""
    return re.sub(r"[^\w ,.]|(?<=\d)\.", lambda found: f"#{ord(found[0])};", text)
