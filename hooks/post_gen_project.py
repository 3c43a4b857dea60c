"""Add the apps with the code of ./add_app.sh, and remove the files that the answers exclude.

Make the scripts executable, too: from a zip, or with core.fileMode=false, they are not.
"""

import runpy
import shutil
from pathlib import Path

APPS = """{{ cookiecutter | checked_apps }}"""
CI = """{{ cookiecutter.ci }}"""
DATABASE = """{{ cookiecutter.database }}"""
TENANTS = """{{ cookiecutter.tenants }}"""
SCRIPTS = ("add_app.sh", "generate.sh", "migrate.sh", "migrations/run.sh")

for script in map(Path, SCRIPTS):
    mode = script.stat().st_mode
    script.chmod(mode | (mode & 0o444) >> 2)  # whoever may read it may run it
add_app = runpy.run_path("new_app/add_app.py")
add_app["add_apps"](Path("alembic.ini").resolve(), APPS.split())
if CI != "github":
    Path(".github/workflows/ci.yml").unlink()
    for folder in (Path(".github/workflows"), Path(".github")):
        if not any(folder.iterdir()):
            folder.rmdir()
if CI != "gitlab":
    Path(".gitlab-ci.yml").unlink()
if TENANTS != "True":
    shutil.rmtree("migrations/extras/tenant")
if DATABASE == "sqlite":
    Path("compose.yaml").unlink()
    Path("Dockerfile").unlink()
