"""The contenders: projects with the same apps, and their commands for what is measured."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = HERE.parent / ".venv-bench/bin"
"""Where the contenders are installed."""

PROJECT, DJANGO, SHELL = "this project", "Django 5.2", "shell loop"
FRESH, NOTHING, STATUS, CHECK, UNCHANGED, GENERATE = OPERATIONS = (
    "fresh migrate",
    "nothing to do",
    "status",
    "check",
    "generate, no changes",
    "generate from nothing",
)
IMPORTS, DDL = "imports alone", "DDL alone"
"""The floor: what a start with Alembic costs at least, and what the database needs itself."""

COMMANDS = {
    PROJECT: {
        FRESH: "python -m migrations migrate",
        NOTHING: "python -m migrations migrate",
        STATUS: "python -m migrations status",
        CHECK: "python -m migrations check",
        UNCHANGED: "python -m migrations generate",
        GENERATE: "python -m migrations generate",
    },
    DJANGO: {
        FRESH: "python manage.py migrate",
        NOTHING: "python manage.py migrate",
        STATUS: "python manage.py showmigrations",
        CHECK: "python manage.py makemigrations --check --dry-run",
        UNCHANGED: "python manage.py makemigrations",
        GENERATE: "python manage.py makemigrations",
    },
    SHELL: {
        FRESH: "alembic --name $app upgrade head",
        NOTHING: "alembic --name $app upgrade head",
        STATUS: "alembic --name $app current",
        CHECK: "alembic --name $app check",
        UNCHANGED: "alembic --name $app revision --autogenerate",
        GENERATE: "alembic --name $app revision --autogenerate",
    },
}


@dataclass(frozen=True)
class Contender:
    """A project with apps that have revisions, and a copy of it where they have none yet."""

    name: str
    folder: Path
    bare: Path

    def command(self, operation: str) -> list[str]:
        """The command for an operation."""
        command = COMMANDS[self.name][operation]
        if self.name == SHELL:
            apps = " ".join(app.name for app in app_folders(self.folder))
            return ["bash", "-c", f"for app in {apps}; do {command} || exit; done"]
        return command.split()


def app_folders(folder: Path) -> list[Path]:
    """The packages of a project's apps."""
    return sorted(folder.glob("**/bench/app*"))


def revision_files(folder: Path) -> set[Path]:
    """The revision files of all apps of a project."""
    files = (path for app in app_folders(folder) for path in app.glob("migrations/*.py"))
    return {path for path in files if path.name != "__init__.py"}


def build(folder: Path, apps: int, revisions: int) -> list[Contender]:
    """Make the projects; the shell loop runs in the one of `python -m migrations`."""
    names = [f"app{number:03}" for number in range(1, apps + 1)]
    project = bake(folder, names, revisions)
    django = folder / "django"
    for name in names:
        migrations = django / "bench" / name / "migrations"
        migrations.mkdir(parents=True)
        for package in (migrations, migrations.parent):
            (package / "__init__.py").touch()
    shutil.copy(HERE / "django_app/manage.py", django)
    generate = "python manage.py makemigrations app001 --name step"
    write_apps(django, HERE / "django_app", generate, revisions)
    contenders = [
        Contender(PROJECT, project, bare(project)),
        Contender(DJANGO, django, bare(django)),
    ]
    return [*contenders, replace(contenders[0], name=SHELL)]


def bake(folder: Path, names: list[str], revisions: int, tenants: bool = False) -> Path:
    """Make a project of this template, whose apps have so many revisions."""
    answers = f"project_slug=bench ci=none apps={','.join(names)} tenants={tenants}"
    run(f"'{sys.executable}' -m cookiecutter --no-input -o . '{HERE.parent}' {answers}", folder)
    write_apps(
        folder / "bench",
        HERE / "alembic_app",
        "alembic --name app001 revision --autogenerate --rev-id {} --message step"
        " && alembic --name app001 upgrade head",
        revisions,
    )
    return folder / "bench"


def write_apps(project: Path, source: Path, generate: str, revisions: int) -> None:
    """Write the models, and the revisions: the first app's are generated, the others copied."""
    first, *others = app_folders(project)
    parts = (source / "models.py").read_text().split("# Next revision\n")
    for number, _ in enumerate(parts, start=1):
        (first / "models.py").write_text("".join(parts[:number]))
        run(generate.format(f"{number:04}"), project)
    more = (source / "revision.py").read_text()
    for number in range(len(parts) + 1, revisions + 1):
        text = more.replace("NUMBER", f"{number:04}").replace("BEFORE", f"{number - 1:04}")
        (first / f"migrations/{number:04}_step.py").write_text(text)
    for app in others:
        for path in first.rglob("*.py"):
            text = path.read_text().replace(first.name, app.name)
            (app / path.relative_to(first)).write_text(text)


def bare(project: Path) -> Path:
    """Compile a project, and copy it without its revisions."""
    run("python -m compileall -q .", project)
    copy = Path(shutil.copytree(project, project.with_name(f"{project.name}_bare")))
    for path in revision_files(copy):
        path.unlink()
    return copy


def environment(database_url: str) -> dict[str, str]:
    """The environment variables of every command."""
    outer = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return {**outer, "PATH": f"{BIN}{os.pathsep}{outer['PATH']}", "DATABASE_URL": database_url}


def run(command: str, folder: Path, database_url: str = "sqlite:///build.db") -> str:
    """Run a command in a folder, and return what it printed."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(database_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stdout}")
    return done.stdout
