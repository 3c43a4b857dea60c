"""`python -m migrations remove`: what is the app's goes, all else stays byte for byte."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from project import Project, bake, tree
from revisions import add_revision
from servers import Database, new_database

REMOVE = ("python", "-m", "migrations", "remove")

REFERENCE = """
from my_project.users.models import User

Book.user_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey(User.id))
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_app_goes_and_the_others_stay_as_they_are(kind: str, tmp_path: Path) -> None:
    project = bake(tmp_path)
    ini = project.path / "alembic.ini"
    as_baked = ini.read_bytes()
    models = project.models("books").read_text()
    with new_database(kind, tmp_path) as live, new_database(kind, tmp_path) as fresh:
        project.environment["DATABASE_URL"] = live.text
        project.run("./add_app.sh", "shop")
        project.models("books").write_text(models + REFERENCE)
        project.generate()
        project.migrate()
        live.query("CREATE TABLE of_nobody (id INT PRIMARY KEY)")
        live.query("INSERT INTO users (id, name) VALUES (1, 'ann'), (2, 'bob')")
        live.query("INSERT INTO books (id, name, user_id) VALUES (3, 'Ulysses', 2)")
        live.query("INSERT INTO shop (id, name) VALUES (4, 'open')")
        before, files = live.rows(), tree(project.path)

        said = project.refused(*REMOVE, "shop", "users", "--yes")
        assert said == (
            "users: books.user_id of books refers to users; first drop that foreign key"
        )

        done = project.run(*REMOVE, "shop", status=1)
        assert done.stdout == "shop  drops shop (1 row); removes its section from alembic.ini\n"
        assert done.stderr == ("nothing is changed: there is no terminal to ask on; add --yes\n")
        assert answer(project, "n", "shop") == 1
        assert (live.rows(), tree(project.path)) == (before, files)

        assert answer(project, "y", "shop") == 0
        assert ini.read_bytes() == as_baked
        del before["shop"], before["alembic_version_shop"]
        assert live.rows() == before
        assert project.models("shop").exists()
        project.migrations("check")
        project.run("./migrate.sh", env={"DATABASE_URL": fresh.text})
        elsewhere = ("users", "books", "--yes", "--keep-section")
        done = project.run(*REMOVE, *elsewhere, env={"DATABASE_URL": fresh.text})
        assert done.stdout.splitlines()[2:] == [
            "books  dropped books",
            "users  dropped users",
        ]
        assert fresh.tables() == set()
        assert ini.read_bytes() == as_baked
        project.run("./migrate.sh", env={"DATABASE_URL": fresh.text})
        fresh.query("CREATE TABLE of_nobody (id INT PRIMARY KEY)")
        assert fresh.schema() == live.schema()

        done = project.run(*REMOVE, "users", "books", "--yes")
        assert done.stdout == (
            "books  drops books (1 row); removes its section from alembic.ini\n"
            "users  drops users (2 rows); removes its section from alembic.ini\n"
            "books  removed, dropped books; its code is still in my_project.books.models\n"
            "users  removed, dropped users; its code is still in my_project.users.models\n"
        )
        assert live.tables() == {"of_nobody"}


def answer(
    project: Project, text: str, *apps: str, meanwhile: Callable[[], object] = lambda: None
) -> int:
    """The exit status of `remove` on a terminal where somebody gives this answer, in the end."""
    terminal, theirs = os.openpty()
    with subprocess.Popen(
        [*REMOVE, *apps],
        cwd=project.path,
        env=project.env(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        said = b""
        while not said.endswith(b"Go on? [y/N] "):
            said += (read := process.stdout.read(1))
            assert read, said
        meanwhile()
        os.write(terminal, f"{text}\n".encode())
        process.communicate()
    os.close(terminal)
    os.close(theirs)
    return process.returncode


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one app, which has a row."""
    project = bake(tmp_path_factory.mktemp("removing"), apps="shop, users")
    project.generate()
    project.migrate()
    project.sqlite("INSERT INTO shop (id, name) VALUES (4, 'open')")
    return project


@pytest.fixture
def copy(shop: Project, tmp_path: Path) -> Project:
    """A copy of it to change."""
    return Project(shutil.copytree(shop.path, tmp_path / "my_project"))


def without_models(project: Project) -> None:
    """Take the package away."""
    shutil.rmtree(project.package / "shop")


def without_revisions(project: Project) -> None:
    """Take the revisions away."""
    shutil.rmtree(project.package / "shop" / "migrations")


def strange_reference(project: Project) -> None:
    """Let a table that no app has refer to the app's."""
    project.sqlite("CREATE TABLE log (id INT, shop_id INT REFERENCES shop (id))")


def irreversible(project: Project) -> None:
    """Have a revision that cannot be taken back."""
    [revision] = project.revisions("shop")
    head, _, _ = revision.read_text().partition("def downgrade")
    revision.write_text(f"{head}def downgrade() -> None:\n    raise NotImplementedError\n")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            without_models,
            [
                "shop: no folder at version_locations = src/my_project/shop/migrations",
                "; only its code can drop its tables; bring it back, or keep them: ",
                "python -m migrations remove shop --keep-tables",
            ],
        ),
        (
            without_revisions,
            ["version_locations = src/my_project/shop/migrations; only its code can drop its"],
        ),
        (strange_reference, ["shop: log.shop_id of no app refers to shop; first drop that"]),
        (irreversible, ["shop: NotImplementedError, at src/my_project/shop/migrations/"]),
    ],
)
def test_what_cannot_be_dropped_stays(
    change: Callable[[Project], None], parts: list[str], copy: Project
) -> None:
    change(copy)
    files, rows = tree(copy.path), copy.sqlite("SELECT * FROM shop")
    said = copy.refused(*REMOVE, "shop", "--yes")
    assert [part for part in parts if part not in said] == []
    assert copy.sqlite("SELECT * FROM shop") == rows
    assert {**tree(copy.path), "my_project.db": b""} == {**files, "my_project.db": b""}


def test_what_downgrades_forget_is_named(copy: Project) -> None:
    [revision] = copy.revisions("shop")
    copy.remove_line(revision, "op.drop_table")
    revision.write_text(revision.read_text() + "    pass\n")
    said = copy.refused(*REMOVE, "shop", "--yes")
    assert said == ("shop: its downgrades left shop behind; drop that by hand, then run this again")
    copy.sqlite("DROP TABLE shop")
    copy.run(*REMOVE, "shop", "--yes")
    assert copy.tables() == {"users", "alembic_version_users"}


@pytest.mark.parametrize("option", [(), ("--keep-section",)])
def test_what_a_pending_revision_creates_or_renames_is_not_there_yet(
    option: tuple[str, ...], project: Project
) -> None:
    create = "op.create_table('{}', sa.Column('id', sa.Integer))"
    add_revision(project, "users", create.format("users"), "op.drop_table('users')")
    add_revision(project, "users", create.format("notes"), "op.drop_table('notes')")
    project.migrate()
    add_revision(project, "users", create.format("logs"), "op.drop_table('logs')")
    add_revision(project, "users", "op.rename_table('notes', 'letters')")
    for name in ("logs", "letters"):
        project.sqlite(f"CREATE TABLE {name} (of_a_stranger INT)")
        project.sqlite(f"INSERT INTO {name} VALUES (1)")
    project.sqlite("INSERT INTO notes VALUES (1), (2)")
    done = project.run(*REMOVE, "users", "--yes", *option)
    assert done.stdout.splitlines()[0].startswith("users  drops notes (2 rows), users (0 rows); ")
    assert "dropped notes, users" in done.stdout.splitlines()[1]
    assert project.tables() == {"logs", "letters"}
    assert project.sqlite("SELECT * FROM logs") == project.sqlite("SELECT * FROM letters") == [(1,)]


def test_tables_of_a_lost_app_are_named_and_can_be_dropped_once_its_code_is_back(
    copy: Project,
) -> None:
    ini = (copy.path / "alembic.ini").read_text()
    kept = copy.path / "kept"
    (copy.package / "shop").rename(kept)
    done = copy.run(*REMOVE, "shop", "--keep-tables", "--yes")
    assert done.stdout == (
        "shop  keeps its tables; removes its section from alembic.ini\n"
        "shop  removed, dropped no table; its code is still in my_project.shop.models\n"
    )
    assert copy.sqlite("SELECT * FROM shop") == [(4, "open")]
    assert copy.migrations("check") == "users  no changes\n"
    assert copy.migrations("status").splitlines()[-1] == (
        "no section of alembic.ini has the version table alembic_version_shop"
        " in sqlite:///my_project.db"
    )

    kept.rename(copy.package / "shop")
    (copy.path / "alembic.ini").write_text(ini)
    copy.run(*REMOVE, "shop", "--yes")
    assert copy.tables() == {"users", "alembic_version_users"}
    assert len(copy.migrations("status").splitlines()) == 2


def test_a_section_without_tables_goes_and_a_table_of_no_revision_stays(copy: Project) -> None:
    copy.sqlite("DELETE FROM alembic_version_shop")
    done = copy.run(*REMOVE, "shop", "--yes")
    assert done.stdout == (
        "shop  drops no table; removes its section from alembic.ini\n"
        "shop  removed, dropped no table; its code is still in my_project.shop.models\n"
    )
    assert copy.sqlite("SELECT * FROM shop") == [(4, "open")]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_other_line_stays(newline: str, copy: Project) -> None:
    ini = copy.path / "alembic.ini"
    section = "# The shop.\n[shop]\n# Its own.\ntables =\n  shop"
    text = ini.read_text().replace("\n[shop]", f"\n{section}")
    text = text.replace("\n[users]", "# Below it.\n\n# Users.\n[users]").replace("\n", newline)
    ini.write_text(text, newline="")
    copy.run(*REMOVE, "shop", "--yes")
    start, end = text.index("[shop]"), text.index("# Below it.")
    assert ini.read_bytes().decode() == text[:start] + text[end:]


def test_nothing_goes_where_nobody_can_be_asked(copy: Project) -> None:
    before = tree(copy.path)
    said = copy.refused("bash", "-c", "exec python -m migrations remove shop <&-")
    assert said == "nothing is changed: there is no terminal to ask on; add --yes"
    assert tree(copy.path) == before


def test_the_server_need_not_wait_for_an_answer(copy: Project, postgresql: Database) -> None:
    copy.environment["DATABASE_URL"] = postgresql.text
    copy.migrate()
    others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    def hang_up() -> None:
        postgresql.query(f"SELECT pg_terminate_backend(pid) FROM {others}")

    assert answer(copy, "y", "shop", meanwhile=hang_up) == 0
    assert postgresql.tables() == {"alembic_version_users", "users"}
