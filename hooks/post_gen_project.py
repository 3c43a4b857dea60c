"""Adds the apps that were asked for, by the code of ./add_app.sh; removes the other files."""

import runpy
from pathlib import Path

APPS = """{{ cookiecutter.__apps }}"""
CI = """{{ cookiecutter.ci }}"""
DATABASE = """{{ cookiecutter.database }}"""

add_app = runpy.run_path("new_app/add_app.py")
add_app["add_apps"](Path("alembic.ini").resolve(), APPS.split())
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
