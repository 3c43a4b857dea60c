"""Migrate without importing an app's models if its revisions do not need them.

Importing the models takes longer than most revisions.
"""

import re
from pathlib import Path

NAMED = re.compile(r"\b(?:\w*Constraint|Index|create_(?!table)\w+|drop_(?:constraint|index))\(")
"""Matches calls with a name that a naming convention may change."""

UNNAMED = re.compile(
    r"ForeignKey\(|\b(?:primary_key|unique|index|create_constraint)=True"
    r"|^(?:from|import) (?!alembic|sqlalchemy|collections|typing)",
    re.MULTILINE,
)
"""Matches what a naming convention may name: a column's constraint, or code of another module."""


def has_final_names(file: Path) -> bool:
    """Return True if no naming convention can change a name in a revision file.

    For models with a naming convention, autogenerate writes every name in `op.f()`.
    """
    text = file.read_text(encoding="utf-8")
    return not UNNAMED.search(text) and len(NAMED.findall(text)) == text.count(".f(")
