"""Adds the apps that were asked for, by the code of ./add_app.sh; removes the other files."""

import subprocess
import sys
from pathlib import Path

APPS = """{{ cookiecutter.__apps }}"""
CI = """{{ cookiecutter.ci }}"""
DATABASE = """{{ cookiecutter.database }}"""

subprocess.run(
    [sys.executable, "migrations/add_app.py", *APPS.split()], check=True, stdout=subprocess.DEVNULL
)
if CI != "github":
    Path(".github/workflows/ci.yml").unlink()
    for folder in (Path(".github/workflows"), Path(".github")):
        if not any(folder.iterdir()):
            folder.rmdir()
if CI != "gitlab":
    Path(".gitlab-ci.yml").unlink()
if DATABASE == "sqlite":
    Path("compose.yaml").unlink()
    Path("Dockerfile").unlink()
