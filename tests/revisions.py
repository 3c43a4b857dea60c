"""Revisions written by hand, and how far a run of them has come."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from textwrap import dedent, indent

from project import Project, wait_for

REACH = Path(__file__).with_name("reach.py")


def add_revision(
    project: Project, app: str, upgrade: str, downgrade: str = "pass", requires: str = ""
) -> str:
    """Write a revision of an app that has no others than such; return its id, such as `users_1`.

    Its code may say how far it has come: `reach("here")`. It may require another app's.
    """
    folder = project.package / app / "migrations"
    number = len(project.revisions(app)) + 1
    lines = [
        "import sqlalchemy as sa",
        "from alembic import op",
        "from reach import reach",
        f"revision = '{app}_{number}'",
        f"down_revision = {f'{app}_{number - 1}' if number > 1 else None!r}",
        *([f"requires = [{requires!r}]"] if requires else []),
        f"def upgrade():\n{indent(dedent(upgrade), '    ')}",
        f"def downgrade():\n{indent(dedent(downgrade), '    ')}",
    ]
    (folder / f"{app}_{number}.py").write_text("\n".join(lines) + "\n")
    shutil.copy(REACH, project.path)
    return f"{app}_{number}"


@dataclass
class Checkpoints:
    """What the revisions of one run have reached, and what they are to do there."""

    folder: Path

    @classmethod
    def of(cls, project: Project) -> "Checkpoints":
        """Checkpoints for one run of a project; give it their `env`."""
        return cls(Path(tempfile.mkdtemp(dir=project.path)))

    @property
    def env(self) -> dict[str, str]:
        """The environment of the run."""
        return {"CHECKPOINTS": str(self.folder)}

    def order(self, what: str) -> None:
        """Let the run `wait at NAME`, or `raise at NAME`."""
        (self.folder / what).touch()

    def recall(self, what: str) -> None:
        """Take back such an order: the run goes on."""
        (self.folder / what).unlink()

    def reached(self) -> list[str]:
        """What the run has reached."""
        file = self.folder / "reached"
        return file.read_text().splitlines() if file.exists() else []

    def wait_for(self, name: str, run: "Popen[str]") -> None:
        """Return when the run has reached this."""
        wait_for(lambda: name in self.reached() or run.poll() is not None)
        assert name in self.reached(), run.communicate()
