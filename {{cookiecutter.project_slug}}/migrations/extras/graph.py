"""The revisions of every app as a picture: text for Mermaid, which GitHub and GitLab draw."""

import re
from argparse import ArgumentParser
from collections.abc import Iterator

from alembic.util import to_tuple

from ..apps import App
from ..order import references
from ..revision_files import oldest_first
from ..run import Run


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("apps", metavar="APP", nargs="*", help="default: every app")


def graph(run: Run) -> None:
    """Print a picture of every app's revisions and references, as text for Mermaid."""
    boxes = {app.name: f"app{number}" for number, app in enumerate(run.selected, start=1)}
    lines = ["flowchart LR"]
    for app in run.selected:
        run.check_current(app)
        with app.naming():
            lines += [f'  subgraph {boxes[app.name]}["{escape(app.name)}"]']
            lines += [*revisions(run, app, boxes[app.name]), "  end"]
    for app in run.selected:
        columns: dict[str, list[str]] = {}
        for key, _, other in references(app, tuple(run.selected)):
            columns.setdefault(other.name, []).append(escape(str(key.parent)))
        for name, referring in columns.items():
            arrow = "<br>".join(dict.fromkeys(referring))
            lines.append(f'  {boxes[app.name]} -. "{arrow}" .-> {boxes[name]}')
    print("\n".join([*lines, "  classDef applied fill:#d3f9d8,stroke:#2b8a3e,color:#000"]))


def revisions(run: Run, app: App, box: str) -> Iterator[str]:
    """Yield a node for each revision of an app, oldest first, and the arrows between them."""
    script = run.script(app)
    applied = {it.revision for it in script.iterate_revisions(run.current[app.name], "base")}
    nodes = {it: f"{box}_{number}" for number, it in enumerate(oldest_first(script), start=1)}
    if not nodes:
        yield f'    {box}_0["no revisions yet"]'
    for it, node in nodes.items():
        mark = ":::applied" if it.revision in applied else ""
        yield f'    {node}["{escape(it.revision)}<br>{escape(it.doc)}"]{mark}'
    by_id = {it.revision: node for it, node in nodes.items()}
    for it, node in nodes.items():
        for before in to_tuple(it.down_revision, default=()):
            yield f"    {by_id[before]} --> {node}"


def escape(text: str) -> str:
    """Return a text for a label: Mermaid reads #65; as a character there."""
    return re.sub(r"[^\w ,.]|(?<=\d)\.", lambda found: f"#{ord(found[0])};", text)
