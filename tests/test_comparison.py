"""docs/comparison.md: what it says of Alembic itself, tried."""

from pathlib import Path

from project import TEMPLATE, Project
from starts import append, several_bases


def test_multiple_bases_write_every_change_into_one_file(tmp_path: Path) -> None:
    page = (TEMPLATE / "docs" / "comparison.md").read_text()
    assert "the changes of every app into one file (tried)" in " ".join(page.split())
    repo = Project(tmp_path / "repo")
    repo.path.mkdir()
    several_bases(repo, [f"sqlite:///{repo.path}/shop.db"])
    for app in ("users", "orders"):
        append(repo, f"shop/{app}/models.py", "    note: orm.Mapped[str | None]\n")
    [first] = (repo.path / "shop/users/versions").glob("*.py")
    head = first.name.partition("_")[0]
    repo.run("alembic", "revision", "--autogenerate", "-m", "note", "--head", head)
    [note] = repo.path.glob("shop/*/versions/*_note.py")
    for table in ("addresses", "orders"):
        assert f"op.add_column('{table}'" in note.read_text()
