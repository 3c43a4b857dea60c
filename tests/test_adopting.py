"""Repositories that used Alembic in another way, moved as docs/adopting.md says."""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from pages import assert_runs_as_shown, section
from project import SECRET, TEMPLATE, Project, bake, tree
from servers import Database, new_database
from starts import ROWS, STARTS, Start, append

PAGE = (TEMPLATE / "docs" / "adopting.md").read_text()
FIRST_STEPS = PAGE.partition("\n## ")[0]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.title)
def test_a_repository_is_moved_and_keeps_every_row(start: Start, kind: str, tmp_path: Path) -> None:
    repo = Project(tmp_path / "repo")
    repo.path.mkdir()
    bake(tmp_path)
    with databases(start, kind, repo.path) as live, databases(start, kind, tmp_path) as fresh:
        start.make(repo, [database.text for database in live])
        insert_rows(live)
        before = rows(live)

        if kind != "sqlite":  # there, the ini of the page names the right files
            repo.environment = variables(start, live)
        assert_runs_as_shown(FIRST_STEPS + section(PAGE, start.title), repo.path, repo.shell())
        after = rows(live)
        assert {table: after[table] for table in before} == before
        assert all(name.startswith("alembic_version_") for _, name in after.keys() - before.keys())

        append(repo, start.models, "    added: orm.Mapped[str | None]\n")
        assert repo.generate().count("  wrote ") == 1
        assert repo.migrate().count("  applied ") == 1
        repo.migrations("check")
        changed = rows(live)
        for table in (key for key in before if not key[1].startswith("alembic_version")):
            old = [row[: len(before[table][0])] for row in changed[table]]
            assert old == before[table]

        repo.run("./migrate.sh", env=variables(start, fresh))
        assert schema(fresh) == schema(live)


@contextmanager
def databases(start: Start, kind: str, folder: Path) -> Iterator[list[Database]]:
    """Empty databases, as many as a start has."""
    with ExitStack() as stack:
        yield [
            Database(make_url(f"sqlite:///{folder}/{file}"))
            if kind == "sqlite"
            else stack.enter_context(new_database(kind))
            for file in start.files
        ]


def variables(start: Start, databases: Sequence[Database]) -> dict[str, str]:
    """The environment that makes these the databases of a repository."""
    return {name: d.text for name, d in zip(start.variables, databases, strict=True)}


def insert_rows(databases: Sequence[Database]) -> None:
    """Insert rows into every table."""
    for table, values in ROWS.items():
        [home] = (database for database in databases if table in database.tables())
        home.query(f"INSERT INTO {table} {values}")


def rows(databases: Sequence[Database]) -> dict[tuple[int, str], list[tuple[object, ...]]]:
    """The rows of every table of several databases; each may have an `alembic_version`."""
    return {
        (number, table): sorted(database.query(f"SELECT * FROM {table}"))
        for number, database in enumerate(databases)
        for table in database.tables()
    }


def schema(databases: Sequence[Database]) -> list[dict[str, list[str]]]:
    """What the tables of several databases consist of, but for what the old way left behind."""
    return [
        {part: words for part, words in database.schema().items() if "alembic_version " not in part}
        for database in databases
    ]


def test_what_env_py_did_besides(tmp_path: Path) -> None:
    repo = Project(tmp_path / "repo")
    repo.path.mkdir()
    other = bake(tmp_path)
    start = next(start for start in STARTS if "several apps" in start.title)
    with databases(start, "sqlite", repo.path) as [live]:
        start.make(repo, [live.text])
        assert_runs_as_shown(FIRST_STEPS + section(PAGE, start.title), repo.path, repo.shell())
        text = section(PAGE, "What your env.py did besides")
        [view] = re.findall(r"(?ms)^```python\n(.*?)^```", text)
        model = "class Name(View):\n    __tablename__ = 'names'\n"
        model += "    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)\n"
        append(repo, start.models, f"\n\n{view}\n\n{model}")
        live.query("CREATE VIEW names AS SELECT id FROM users")
        assert repo.generate() == "users   no changes\norders  no changes\n"

    assert 'Config("alembic.ini", ini_section="users")' in text
    code = "from alembic import command; from alembic.config import Config; "
    code += 'command.upgrade(Config("alembic.ini", ini_section="users"), "head")'
    repo.run("python", "-c", code, env={"DATABASE_URL": "sqlite:///other.db"})
    assert {"users", "addresses"} < repo.tables("other.db")

    shutil.copytree(other.path / "tests", repo.path / "tests")
    assert "2 passed" in repo.run("python", "-m", "pytest", "-k", "single_head").stdout

    assert "`apps_folder = %(here)s/shop`" in FIRST_STEPS
    repo.set_ini("DEFAULT", "apps_folder", "%(here)s/shop")
    repo.run("./add_app.sh", "notes")
    assert "\nnotes   wrote shop/notes/migrations/" in repo.generate()


def test_models_without_names_for_constraints(project: Project, postgresql: Database) -> None:
    models = project.models("users")
    text = models.read_text().replace("naming_convention=NAMING_CONVENTION", "")
    for url in ("sqlite:///my_project.db", postgresql.text):
        project.environment["DATABASE_URL"] = url
        models.write_text(text)
        project.generate("users")
        project.migrate()
        models.write_text(text.replace("String(200))", "String(200), unique=True)"))
        assert "_add_users_constraint_on_name.py\n" in project.run("./generate.sh").stdout
        if url == postgresql.text:
            project.migrate()
            line = project.refused("python", "-m", "migrations", "-qn", "users", "downgrade", "-1")
        else:
            line = project.refused("./migrate.sh")
        assert line.endswith("; name it in the revision, or give the models a naming convention")
        for revision in project.revisions("users"):
            revision.unlink()


ADOPT = ("python", "-m", "migrations", "adopt")


def test_interrupted_adopt_writes_no_revision(project: Project) -> None:
    project.generate()
    project.migrate()
    project.sqlite("DROP TABLE alembic_version_users")
    [revision] = project.revisions("users")
    revision.unlink()
    with (project.path / "alembic.ini").open("a") as ini:
        ini.write(
            "\n[post_write_hooks]\nhooks = slow\nslow.type = exec\nslow.executable = sh\n"
            "slow.options = -c 'kill -TERM $PPID; exec sleep 600 > /dev/null 2>&1'"
            " REVISION_SCRIPT_FILENAME\n"
        )
    before = tree(project.path)
    project.run(*ADOPT, "users", "--yes", status=130)
    assert tree(project.path) == before
    project.set_ini("post_write_hooks", "hooks", "")
    assert "and stamped it" in project.run(*ADOPT, "users", "--yes").stdout


def test_generate_leaves_no_table_out(project: Project) -> None:
    project.sqlite("CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(9))")
    assert project.refused("./generate.sh") == (
        "users: no revision creates users, which the database has already;"
        " first run: python -m migrations adopt users"
    )
    assert project.refused(*ADOPT, "users") == (
        "users: not stamped, because models and database differ:"
        " alter users name (type VARCHAR(length=9) to String(length=200), nullable True to False);"
        " change the models until they match"
    )
    assert project.revisions("users") == project.revisions("books") == []


def test_adopt_tries_first_revisions_in_an_empty_database(
    tmp_path: Path, postgresql: Database
) -> None:
    project = bake(tmp_path, apps="books, users", database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    project.add_column("users", "code", 'sa.Integer, server_default=sa.text("next_code()")')
    project.add_column("books", "user_id", "sa.ForeignKey(User.id)")
    books = project.models("books")
    books.write_text("from my_project.users.models import User\n" + books.read_text())
    function = "CREATE FUNCTION next_code() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    postgresql.query(function)
    project.generate()
    project.migrate()
    postgresql.query("DROP TABLE alembic_version_users, alembic_version_books")
    for revision in project.revisions("users") + project.revisions("books"):
        revision.unlink()

    # The first revision of users comes first, as books refers to it.
    line = project.refused(*ADOPT, "--yes")
    [revision] = project.revisions("users")
    assert line.startswith(
        f"users: wrote {revision.relative_to(project.path)} but did not stamp it, because it fails"
        " in an empty database: function next_code() does not exist, at src/my_project/users/"
    )
    assert line.endswith("; correct it, then run: python -m migrations adopt users --yes")
    text = revision.read_text()
    begin = "def upgrade() -> None:\n"
    revision.write_text(text.replace(begin, f'{begin}    op.execute("{function}")\n'))
    project.run(*ADOPT, "--yes")
    assert project.migrations("check") == "books  no changes\nusers  no changes\n"
    with new_database("postgresql") as another:
        project.run("./migrate.sh", env={"DATABASE_URL": another.text})


def test_adopt_may_not_create_a_database(project: Project, postgresql: Database) -> None:
    project.environment["DATABASE_URL"] = postgresql.text
    revision = project.revise("users")
    project.migrate("users")
    revision.unlink()
    postgresql.query("DROP TABLE alembic_version_users")
    with postgresql.reader(SECRET) as url:
        environment = {"DATABASE_URL": Database(url).text}
        line = project.refused(*ADOPT, "users", "--yes", env=environment)
    assert line.endswith("denied to create database; check the user, the password and the grants")


def test_adopt_finds_no_table_or_no_model(project: Project) -> None:
    (project.package / "base.py").write_text("import sqlalchemy\n\nempty = sqlalchemy.MetaData()\n")
    project.set_ini("users", "metadata", "my_project.base:empty")
    assert project.run(*ADOPT, "--yes").stdout.splitlines() == [
        "users  nothing to adopt: my_project.base:empty has no tables; does it import the models?",
        "books  nothing to adopt: it has no tables yet; run ./generate.sh and ./migrate.sh",
    ]


def test_mysql_has_no_empty_database_for_schemas(project: Project, mysql: Database) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    models = project.models("books")
    schema = f'MetaData(schema="{mysql.url.database}", '
    models.write_text(models.read_text().replace("MetaData(", schema))
    columns = "id INTEGER AUTO_INCREMENT PRIMARY KEY, name VARCHAR(200) NOT NULL"
    mysql.query(f"CREATE TABLE books ({columns})")
    assert project.refused(*ADOPT, "books", "--yes").startswith(
        f"books: my_project.books.models:Base.metadata has the schema {mysql.url.database}, which"
    )
    assert project.revisions("books") == []


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_key_that_the_database_does_not_number(kind: str, tmp_path: Path) -> None:
    project = bake(tmp_path, apps="users", database=kind)
    with new_database(kind) as database:
        project.environment["DATABASE_URL"] = database.text
        database.query(
            "CREATE TABLE users (id INT NOT NULL PRIMARY KEY, name VARCHAR(200) NOT NULL)"
        )
        database.query("INSERT INTO users VALUES (7, 'Ann')")
        line = project.refused("python", "-m", "migrations", "adopt")
        assert line.startswith("users: the database does not number users.id, but its model")
        for statement in line.partition("by hand: ")[2].split("; "):
            database.query(statement)
        assert "stamped it" in project.migrations("adopt", "--yes")
        database.query("INSERT INTO users (name) VALUES ('Bob')")
        assert database.query("SELECT id FROM users ORDER BY id") == [(7,), (8,)]
        assert project.migrations("check") == "users  no changes\n"
        change = {"postgresql": "ALTER id DROP DEFAULT", "mysql": "MODIFY id INT NOT NULL"}[kind]
        database.query(f"ALTER TABLE users {change}")
        line = project.refused("python", "-m", "migrations", "check")
        assert "users: the database does not number users.id" in line
        model = project.models("users")
        key = "mapped_column(primary_key=True"
        model.write_text(model.read_text().replace(key, f"{key}, autoincrement=False"))
        assert project.migrations("check") == "users  no changes\n"
