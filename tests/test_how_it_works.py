"""docs/how-it-works.md: its forty lines run, break where it says, and grow into the folder."""

import re
import shutil
from pathlib import Path

import pytest

from pages import assert_runs_as_shown, section
from project import SECRET, TEMPLATE, Project, bake, wait_for
from servers import Database
from starts import append, edit, packages, write

PAGE = (TEMPLATE / "docs" / "how-it-works.md").read_text()
ORDERS = "shop/orders/models.py"
UPGRADE = ("alembic", "--name", "users", "upgrade", "head")


@pytest.fixture
def by_hand(tmp_path: Path) -> Project:
    """The forty lines, in a repository with two apps that are migrated."""
    repo = Project(tmp_path / "by_hand")
    packages(repo)
    assert_runs_as_shown(section(PAGE, "Forty lines by hand"), repo.path, repo.shell())
    return repo


@pytest.fixture
def moved(by_hand: Project, tmp_path: Path) -> Project:
    """A copy of it with the folder of the template in place of the forty lines."""
    bake(tmp_path)
    repo = Project(shutil.copytree(by_hand.path, tmp_path / "moved"))
    assert_runs_as_shown(section(PAGE, "From forty lines to the folder"), repo.path, repo.shell())
    return repo


def test_they_are_forty() -> None:
    blocks = re.findall(r"(?ms)^```(?:ini|python|bash)\n# \S+\n(.*?)^```", PAGE)
    assert len("".join(blocks).splitlines()) == 40


def test_every_file_is_there() -> None:
    text = section(PAGE, "What breaks")
    folder = TEMPLATE / "docs" / re.findall(r"\(([^)]+/migrations)\)", text)[0]
    named = set(re.findall(r"`([a-z_/]+(?:\.py|/))`", text))
    assert {"ownership.py", "locks.py", "order.py", "extras/half_done.py", "extras/"} < named
    assert [name for name in named - {"__init__.py"} if not (folder / name).exists()] == []


def test_both_ways_make_the_same_tables(by_hand: Project, moved: Project) -> None:
    for repo in (by_hand, moved):
        (repo.path / "shop.db").unlink()
    by_hand.run("sh", "migrate.sh")
    moved.migrate()
    tables = {"users", "addresses", "orders", "alembic_version_users", "alembic_version_orders"}
    assert by_hand.tables("shop.db") == moved.tables("shop.db") == tables


def check(repo: Project, app: str, status: int | None = None) -> str:
    """What plain `alembic check` says of an app."""
    done = repo.run("alembic", "--name", app, "check", status=status)
    return done.stdout + done.stderr


def test_tables_of_other_apps(by_hand: Project, moved: Project) -> None:
    """Without the filter they are dropped; with it, the table of a deleted model stays."""
    for repo in (by_hand, moved):
        models = (repo.path / ORDERS).read_text()
        write(repo, ORDERS, models.partition("\n\nclass Order(")[0])
    assert "No new upgrade operations detected" in check(by_hand, "orders")
    assert "('remove_table', Table('orders'" in check(moved, "orders")

    edit(by_hand, "migrations/env.py", "        include_name=include_name,\n", "")
    proposed = check(by_hand, "orders")
    for table in ("users", "alembic_version_users"):
        assert f"('remove_table', Table('{table}'" in proposed
        assert f"Table('{table}'" not in check(moved, "orders")


def test_two_containers_at_once(by_hand: Project, moved: Project) -> None:
    for repo in (by_hand, moved):
        (repo.path / "shop.db").unlink()
        [first] = (repo.path / "shop/users/migrations").glob("*_initial.py")
        wait = "import os, pathlib, time\n    pathlib.Path(f'at_{os.getpid()}').touch()\n"
        wait += "    while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
        edit(repo, str(first), "def upgrade() -> None:\n", f"def upgrade() -> None:\n    {wait}")

    def arrived(repo: Project) -> int:
        return len(list(repo.path.glob("at_*")))

    with by_hand.started(*UPGRADE) as one:
        wait_for(lambda: arrived(by_hand) == 1)
        with by_hand.started(*UPGRADE) as two:
            wait_for(lambda: arrived(by_hand) == 2)
            (by_hand.path / "go").touch()
            said = [process.communicate()[1] for process in (one, two)]
    assert one.returncode or two.returncode
    assert "table users already exists" in "".join(said)

    with moved.started(*UPGRADE) as one:
        wait_for(lambda: arrived(moved) == 1)
        with moved.started(*UPGRADE) as two:
            assert two.stderr
            assert "waiting for another migration" in two.stderr.readline()
            (moved.path / "go").touch()
            one.communicate()
            two.communicate()
    assert (one.returncode, two.returncode, arrived(moved)) == (0, 0, 1)


def test_a_revision_that_fails_on_sqlite(by_hand: Project, moved: Project) -> None:
    for repo in (by_hand, moved):
        [first] = (repo.path / "shop/users/migrations").glob("*_initial.py")
        head = first.name.partition("_")[0]
        text = f"from alembic import op\nrevision = '{'2' * 12}'\ndown_revision = '{head}'\n"
        text += "def upgrade():\n    op.execute('CREATE TABLE half (id INTEGER)')\n    1 / 0\n"
        write(repo, "shop/users/migrations/half.py", text)
        repo.run(*UPGRADE, status=None)
        assert ("half" in repo.tables("shop.db")) == (repo is by_hand)
        edit(repo, "shop/users/migrations/half.py", "1 / 0", "pass")
    assert "table half already exists" in by_hand.run(*UPGRADE, status=1).stderr
    moved.run(*UPGRADE)


def test_two_apps_that_need_each_other(
    by_hand: Project, moved: Project, postgresql: Database
) -> None:
    append(
        moved, ORDERS, "User.last_id = orm.mapped_column(sa.ForeignKey(Order.id, name='last'))\n"
    )
    assert "users   wrote" in moved.generate()
    shutil.copytree(moved.path / "shop", by_hand.path / "shop", dirs_exist_ok=True)
    edit(by_hand, "alembic.ini", "sqlite:///%(here)s/shop.db", postgresql.text)
    assert 'relation "orders" does not exist' in by_hand.run("sh", "migrate.sh", status=1).stderr
    assert postgresql.tables() == set()
    moved.environment["DATABASE_URL"] = postgresql.text
    assert re.findall(r"(?m)^\w+ +applied", moved.migrate()) == [
        "users   applied",
        "orders  applied",
        "users   applied",
    ]


def test_a_column_that_changes_on_sqlite(by_hand: Project, moved: Project) -> None:
    for repo in (by_hand, moved):
        edit(
            repo,
            "shop/users/models.py",
            "street: orm.Mapped[str | None]",
            "street: orm.Mapped[str]",
        )
        repo.run("alembic", "--name", "users", "revision", "--autogenerate", "-m", "change")
    assert 'near "ALTER": syntax error' in by_hand.run(*UPGRADE, status=1).stderr
    moved.run(*UPGRADE)
    assert check(moved, "users", status=0)


def test_a_module_that_nothing_imports(by_hand: Project, moved: Project) -> None:
    for repo in (by_hand, moved):
        models = (repo.path / "shop/users/models.py").read_text()
        (repo.path / "shop/users/models.py").unlink()
        write(repo, "shop/users/models/__init__.py", models)
        tag = "from . import Base, orm\n\nclass Tag(Base):\n    __tablename__ = 'tags'\n"
        tag += "    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)\n"
        write(repo, "shop/users/models/tag.py", tag)
    assert "No new upgrade operations detected" in check(by_hand, "users", status=0)
    assert "('add_table', Table('tags'" in check(moved, "users")


def test_a_wrong_folder(by_hand: Project, moved: Project) -> None:
    for repo in (by_hand, moved):
        (repo.path / "shop.db").unlink()
        edit(repo, "alembic.ini", "shop/users/migrations", "shop/user/migrations")
    by_hand.run(*UPGRADE)
    assert by_hand.tables("shop.db") == {"alembic_version_users"}
    assert "no folder at version_locations = shop/user/migrations;" in moved.refused(*UPGRADE)


def test_urls(by_hand: Project, moved: Project) -> None:
    """A password is printed, the environment not read, and an async driver not run."""
    url = "sqlite:///%(here)s/shop.db"
    for repo in (by_hand, moved):
        repo.run(*UPGRADE, env={"DATABASE_URL": "sqlite:///other.db"})
        assert (repo.path / "other.db").exists() == (repo is moved)
        edit(repo, "alembic.ini", url, url.replace("sqlite", "sqlite+aiosqlite"))
    assert "MissingGreenlet" in by_hand.run(*UPGRADE, status=1).stderr
    moved.run(*UPGRADE)

    for repo in (by_hand, moved):
        text = (repo.path / "alembic.ini").read_text()
        url = f"sqlalchemy.url = postgresql+psycopg://ann:%{SECRET}@localhost/shop"
        write(repo, "alembic.ini", re.sub("(?m)^sqlalchemy.url.*", url, text))
    said = by_hand.run(*UPGRADE, status=1).stderr
    assert "Traceback" in said
    assert SECRET in said
    assert "write a percent sign as %%" in moved.refused(*UPGRADE)
