"""Format new revisions and sort their imports with ruff, if it is installed."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec


def written(files: Sequence[str]) -> None:
    """Sort the imports of new revision files and format them."""
    if files and find_spec("ruff"):
        for command in (["check", "--fix"], ["format"]):
            ruff = [sys.executable, "-m", "ruff", *command, "--silent"]
            subprocess.run([*ruff, *files], check=False)
