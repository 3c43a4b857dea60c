"""Another ini file than alembic.ini: by -c, by ALEMBIC_CONFIG, and from another folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from project import Project
from revisions import add_revision

FROM_ELSEWHERE = "../my_project/production.ini"


@pytest.fixture
def shop(bake: Callable[..., Project]) -> Project:
    """A project with one app, and a second ini file with another database."""
    shop = bake(apps="shop")
    ini = (shop.path / "alembic.ini").read_text()
    (shop.path / "production.ini").write_text(ini.replace("my_project.db", "production.db"))
    return shop


@pytest.mark.parametrize(
    ("options", "env"),
    [
        (["-c", FROM_ELSEWHERE], {}),
        ([f"--config={FROM_ELSEWHERE}"], {"ALEMBIC_CONFIG": "alembic.ini"}),
        ([], {"ALEMBIC_CONFIG": FROM_ELSEWHERE}),
    ],
    ids=["-c", "--config", "ALEMBIC_CONFIG"],
)
def test_another_ini_file(
    options: list[str], env: dict[str, str], shop: Project, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    before = (shop.path / "alembic.ini").read_text()

    def run(*command: str) -> str:
        here = env | {"PYTHONPATH": str(shop.path)}
        return shop.run(*command, cwd=elsewhere, env=here).stdout

    assert run(str(shop.path / "add_app.sh"), *options, "till").startswith("added till")
    assert "till  wrote " in run(str(shop.path / "generate.sh"), *options)
    assert "CREATE TABLE till" in run(str(shop.path / "migrate.sh"), "--sql", *options, "till")
    assert "till  applied" in run(str(shop.path / "migrate.sh"), *options)
    python = ["python", "-m", "migrations"]
    assert run(*python, *options, "status") == run(*python, "status", *options)
    assert "/production.db\n" in run(*python, "status", *options)
    run(*python, "downgrade", *options, "base")
    run(*python, *options, "upgrade", "head")
    tables = {"shop", "alembic_version_shop", "till", "alembic_version_till"}
    assert shop.tables("production.db") == tables
    assert not (shop.path / "my_project.db").exists()
    assert (shop.path / "alembic.ini").read_text() == before
    assert list(elsewhere.iterdir()) == []


def test_another_ini_file_from_the_projects_folder(shop: Project) -> None:
    shop.warm = False
    shop.run("./generate.sh", "-c", "production.ini")
    shop.run("./migrate.sh", "-c", "production.ini", "shop")
    assert "shop" in shop.tables("production.db")
    assert not (shop.path / "my_project.db").exists()
    shop.migrate()  # where none is named, it is alembic.ini
    assert "shop" in shop.tables()
    assert shop.run("python", "-m", "migrations", "current", "-c").stdout.endswith(" (head)\n")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("[shop]", "[till]", "shop: no such app in production.ini; apps: till"),
        ("metadata", "# metadata", "shop: production.ini: write metadata = "),
        (":Base", ":Bass", "correct metadata in [shop] of production.ini"),
        (".shop.models", ".nosuch", "correct metadata in [shop] of production.ini"),
        ("/shop/migrations", "/nosuch", "correct it in [shop] of production.ini"),
        ("sqlalchemy.url", "# ", "or sqlalchemy.url in [shop] of production.ini"),
        ("[shop]", "[shop]\nsqlalchemy.url = 100%", "cannot read 'sqlalchemy.url' in [shop]"),
        ("[shop]", "[shop]\nsqlalchemy.url = 100%", "or [DEFAULT] of production.ini"),
        (
            "[shop]",
            "[shop]\nlock_timeout = x",
            "production.ini: could not convert string to float",
        ),
        ("# A section", "# \udcff", "production.ini: 'utf-8' codec can't decode"),
        ("[shop]", "[shop]\n[shop]", "production.ini: While reading from"),
    ],
)
def test_messages_name_the_file(old: str, new: str, line: str, shop: Project) -> None:
    ini = shop.path / "production.ini"
    text = ini.read_text().replace(old, new)
    ini.write_bytes(text.encode(errors="surrogateescape"))
    said = shop.refused("./generate.sh", "-c", "production.ini", "shop")
    assert line in said
    assert "alembic.ini" not in said


def test_x_arguments_reach_revisions(shop: Project) -> None:
    add_revision(
        shop,
        "shop",
        """
        from alembic import context
        given = context.get_x_argument(as_dictionary=True)
        open("found", "a").write(f"{sorted(given.items())}\\n")
        """,
    )
    found = shop.path / "found"
    python = ("python", "-m", "migrations")
    for command in (
        ("./migrate.sh", "-x", "a=1", "-x", "b=2"),
        (*python, "upgrade", "head", "-x", "a=1", "-x", "b=2"),
        (*python, "-x", "a=1", "-qn", "shop", "upgrade", "-x", "b=2", "head"),
        (*python, "-x", "a=1", "-x", "b=2", "migrate"),
    ):
        shop.run(*command)
        assert found.read_text() == "[('a', '1'), ('b', '2')]\n", command
        found.unlink()
        shop.run(*python, "downgrade", "base")
    shop.run("./migrate.sh")
    assert found.read_text() == "[]\n"
    assert shop.generate("-x", "a=1").startswith("shop  wrote")


def test_what_is_recommended_is_for_the_same_ini_file(shop: Project) -> None:
    shop.run("./generate.sh", "-c", "production.ini")
    line = shop.refused("./generate.sh", "-c", "production.ini")
    assert line.endswith("; run ./migrate.sh -c production.ini shop")
