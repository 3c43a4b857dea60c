"""Repositories that used Alembic in another way, moved as docs/adopting.md says."""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from pages import assert_runs_as_shown, section
from project import GIT, SECRET, TEMPLATE, Project, bake, tree
from servers import Database, new_database
from starts import ROWS, STARTS, Start, append, edit, one_environment

PAGE = (TEMPLATE / "docs" / "adopting.md").read_text()
COPYING = section(PAGE, "Copy the folder")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    "start", STARTS, ids=lambda start: f"{start.title} ({start.make.__name__})"
)
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
        repo.environment["EMPTY"] = fresh[0].text
        assert_runs_as_shown(COPYING + section(PAGE, start.title), repo.path, repo.shell())
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
        if start.make is one_environment:
            for database in (*live, *fresh):
                assert (99, "admin") in database.query("SELECT id, email FROM customers")


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


def blocks(kind: str, title: str) -> list[str]:
    """The blocks of one kind in a section of the page."""
    return re.findall(rf"(?ms)^```{kind}\n(.*?)^```", section(PAGE, title))


@pytest.fixture
def moved(tmp_path: Path) -> Project:
    """A repository with one environment, moved to several apps, beside the project `my_project`."""
    repo = Project(tmp_path / "repo")
    repo.path.mkdir()
    bake(tmp_path)
    one_environment(repo, [f"sqlite:///{repo.path}/shop.db"])
    text = COPYING + section(PAGE, "One Alembic environment becomes several apps")
    assert_runs_as_shown(text, repo.path, repo.shell({"EMPTY": "sqlite:///empty.db"}))
    return repo


def test_what_env_py_did(moved: Project) -> None:
    [view] = blocks("python", "Models that belong to no app")
    model = "class Name(View):\n    __tablename__ = 'names'\n"
    model += "    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)\n"
    append(moved, "shop/models.py", f"\n\n{view}\n\n{model}")
    moved.sqlite("CREATE VIEW names AS SELECT id FROM users", "shop.db")
    assert moved.generate() == "users   no changes\norders  no changes\n"

    models = moved.path / "shop" / "models.py"
    models.write_text(re.sub(r"(?s)class Order.*(?=class View)", "", models.read_text()))
    assert "drop orders" in moved.refused("python", "-m", "migrations", "-n", "orders", "check")
    text = section(PAGE, "Tables whose models are elsewhere")
    assert_runs_as_shown(text, moved.path, moved.shell())
    [line] = re.findall(r"`include_object = (.*?)`", text)
    moved.set_ini("orders", "include_object", line)
    assert moved.generate() == "users   no changes\norders  no changes\n"

    assert 'Config("alembic.ini", ini_section="users")' in PAGE
    code = "from alembic import command; from alembic.config import Config; "
    code += 'command.upgrade(Config("alembic.ini", ini_section="users"), "head")'
    moved.run("python", "-c", code, env={"DATABASE_URL": "sqlite:///other.db"})
    assert {"users", "addresses"} < moved.tables("other.db")

    shutil.copytree(moved.path.parent / "my_project" / "tests", moved.path / "tests")
    assert "2 passed" in moved.run("python", "-m", "pytest", "-k", "single_head").stdout

    moved.run("./add_app.sh", "notes")
    assert "\nnotes   wrote shop/notes/migrations/" in moved.generate()


def test_a_program_that_migrates_when_it_starts(moved: Project) -> None:
    [copied] = blocks("python", "A program that migrates when it starts")
    (moved.path / "shop" / "start.py").write_text(copied)
    url = f"sqlite:///{moved.path}/started.db"
    code = f"import os; os.environ['DATABASE_URL'] = {url!r}; import shop.start"
    environment = {"PYTHONPATH": str(moved.path)}
    moved.run("python", "-c", code, cwd=moved.path.parent, env=environment)
    assert {"alembic_version_users", "orders"} < moved.tables("started.db")


def test_an_image_holds_what_migrating_needs(moved: Project, tmp_path: Path) -> None:
    [dockerfile] = blocks("dockerfile", "A Docker image")
    image = tmp_path / "image"
    image.mkdir()
    for sources, target in re.findall(r"(?m)^COPY (.+) (\S+)$", dockerfile):
        moved.run("cp", "-R", *sources.split(), f"{image}/{target}")
    [command] = re.findall(r"(?m)^CMD (.*)$", dockerfile)
    done = Project(image).run(*json.loads(command), env={"DATABASE_URL": "sqlite:///new.db"})
    assert done.stdout.count("  applied ") == 2


def test_check_finds_what_alembic_check_does_not(tmp_path: Path) -> None:
    repo = Project(tmp_path / "repo")
    repo.path.mkdir()
    bake(tmp_path)
    one_environment(repo, [f"sqlite:///{repo.path}/shop.db"])
    edit(repo, "shop/models.py", 'server_default="0"', 'server_default="1"')
    assert "No new upgrade operations" in repo.run("alembic", "check").stdout
    after = section(PAGE, "What `check` finds that `alembic check` did not")
    move = section(PAGE, "One Alembic environment becomes one app").partition("$ ./migrate.sh")[0]
    assert_runs_as_shown(f"{COPYING}{move}```\n{after}", repo.path, repo.shell())
    repo.migrate()
    repo.migrations("check")


def test_a_later_version_is_taken(moved: Project) -> None:
    def commit() -> str:
        moved.run("git", "add", ".")
        moved.run("git", "commit", "--quiet", "--message", "step", env=GIT)
        return moved.run("git", "rev-parse", "HEAD").stdout.strip()

    moved.run("git", "init", "--quiet")
    copied = commit()
    append(moved, "migrations/script.py.mako", "# ours\n")
    (moved.path / "migrations" / "extras" / "graph.py").unlink()
    commit()

    later = Project(moved.path.parent / "my_project")
    edit(later, "migrations/script.py.mako", '"""${message}', '"""Later: ${message}')
    (later.path / "migrations" / "extras" / "ruff_format.py").rename(
        later.path / "migrations" / "extras" / "formatting.py"
    )
    text = section(PAGE, "Take a later version")
    assert_runs_as_shown(text, moved.path, moved.shell({"COPIED": copied}))
    template = (moved.path / "migrations" / "script.py.mako").read_text()
    assert template.startswith('"""Later: ')
    assert template.endswith("# ours\n")
    extras = {path.name for path in (moved.path / "migrations" / "extras").glob("*.py")}
    assert "formatting.py" in extras
    assert not {"graph.py", "ruff_format.py"} & extras
    assert not (moved.path / "ours.patch").exists()


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
        " change the models, or bring the database up to date"
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
        "users: its first revision fails in an empty database: function next_code() does not exist,"
        " at src/my_project/users/"
    )
    assert line.endswith(
        f"; correct {revision.relative_to(project.path)}, then run:"
        " python -m migrations adopt users --yes"
    )
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


def test_adopt_finds_no_table(project: Project) -> None:
    none = "nothing to adopt: it has no tables yet; run ./generate.sh and ./migrate.sh"
    assert project.run(*ADOPT, "--yes").stdout == f"users  {none}\nbooks  {none}\n"


def test_mysql_has_no_empty_database_for_schemas(project: Project, mysql: Database) -> None:
    project.environment["DATABASE_URL"] = mysql.text
    models = project.models("books")
    schema = f'MetaData(schema="{mysql.url.database}", '
    models.write_text(models.read_text().replace("MetaData(", schema))
    columns = "id INTEGER AUTO_INCREMENT PRIMARY KEY, name VARCHAR(200) NOT NULL"
    mysql.query(f"CREATE TABLE books ({columns})")
    assert project.refused(*ADOPT, "books", "--yes").startswith(
        "books: names a schema, which is another database on MySQL and MariaDB"
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
        assert line.startswith("users: the database does not number users.id, whose model has no")
        number = {
            "postgresql": [
                "CREATE SEQUENCE users_id_seq OWNED BY users.id",
                "ALTER TABLE users ALTER id SET DEFAULT nextval('users_id_seq')",
                "SELECT setval('users_id_seq', max(id)) FROM users",
            ],
            "mysql": ["ALTER TABLE users MODIFY id INTEGER AUTO_INCREMENT"],
        }
        for statement in number[kind]:
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
