"""`python -m migrations squash`: fewer files, and the same tables and rows everywhere."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pages import assert_runs_as_shown, section
from project import TEMPLATE, Project, bake, tree
from servers import Database, new_database

PAGE = (TEMPLATE / "docs" / "changing-apps.md").read_text()
SQUASH = ("python", "-m", "migrations", "squash")

REFERENCE = """
from my_project.users.models import User

Book.user_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey(User.id))
Book.kind: orm.Mapped[str | None] = orm.mapped_column(sa.Enum("novel", "play", name="kind"))
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "newest postgresql"])
def test_databases_stay_as_they_are_and_new_ones_become_the_same(kind: str, tmp_path: Path) -> None:
    project = bake(tmp_path)
    with (
        new_database(kind, tmp_path) as live,
        new_database(kind, tmp_path) as fresh,
        new_database(kind, tmp_path) as behind,
    ):
        project.environment = {"DATABASE_URL": live.text, "OTHER": behind.text}
        project.generate()
        project.migrate()
        project.run("./migrate.sh", env={"DATABASE_URL": behind.text})
        live.query("INSERT INTO users (id, name) VALUES (1, 'ann'), (2, 'bob')")
        project.add_column("users", "email")
        with project.models("books").open("a") as file:
            file.write(REFERENCE)
        project.generate()
        project.migrate()
        write_by_hand(project)
        project.migrate()
        live.query("INSERT INTO books (id, name, user_id, kind) VALUES (3, 'Ulysses', 2, 'novel')")
        before = live.rows()
        old = shutil.copytree(project.path, tmp_path / "old")
        history = project.migrations("-n", "users", "history")

        assert_runs_as_shown(section(PAGE, "Squash a history"), project.path, project.shell())
        assert [len(project.revisions(app)) for app in ("users", "books")] == [1, 2]
        assert live.rows() == before
        project.migrations("check")
        project.run("./migrate.sh", cwd=old, env={"DATABASE_URL": behind.text})
        project.run("./migrate.sh", env={"DATABASE_URL": behind.text})
        assert behind.schema() == live.schema()

        project.add_column("users", "phone")
        project.generate("users")
        project.migrate("users")
        done = project.run(*SQUASH, "users", "books", "--yes")
        assert "lost" not in done.stdout  # nothing of what is generated
        project.migrations("check")
        project.run("./migrate.sh", env={"DATABASE_URL": fresh.text})
        assert fresh.schema() == live.schema()
        [only] = project.revisions("users")
        ids = tuple(re.findall("-> ([0-9a-f]+)", history)[::-1])
        assert f"replaces: Sequence[str] = {ids}" in only.read_text().replace('"', "'")


def write_by_hand(project: Project) -> None:
    """Write a revision of users that changes rows."""
    project.migrations("-n", "users", "revision", "-m", "fill email")
    [file] = project.package.glob("users/migrations/*_fill_email.py")
    statement = "op.execute(\"UPDATE users SET email = name || '@example.org'\")"
    file.write_text(file.read_text().replace("    pass", f"    {statement}", 1))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_model_that_moved_to_a_new_app(kind: str, tmp_path: Path) -> None:
    project = bake(tmp_path)
    with (
        new_database(kind, tmp_path) as live,
        new_database(kind, tmp_path) as fresh,
        new_database(kind, tmp_path) as later,
    ):
        project.environment["DATABASE_URL"] = live.text
        books = project.models("books").read_text()
        model = books[books.index("class Book(") :]
        moved = model.replace("Book", "Shelf").replace('"books"', '"shelf"')
        project.models("books").write_text(f"{books}\n\n{moved}")
        project.generate()
        project.migrate()
        project.run("./migrate.sh", env={"DATABASE_URL": later.text})
        live.query("INSERT INTO shelf (id, name) VALUES (1, 'top')")
        project.models("books").write_text(books)
        project.run("./add_app.sh", "shelf")
        assert project.generate().count("no changes") == 3
        project.run("./migrate.sh", env={"DATABASE_URL": fresh.text})
        project.migrations("check")
        moves = "the revisions of books create shelf, which is now in shelf;"
        assert moves in project.refused("python", "-m", "migrations", "adopt", "shelf", "--yes")
        assert moves in project.refused(*SQUASH, "books", "--yes")

        before = live.rows()
        done = project.run(*SQUASH, "books", "shelf", "--yes")
        assert "shelf  writes a first revision; on other databases, run: python" in done.stdout
        assert done.stdout.rstrip().endswith("_initial.py and stamped it")
        after = live.rows()
        assert len(after.pop("alembic_version_shelf")) == 1
        assert after == before
        project.migrations("check")

        env = {"DATABASE_URL": later.text}
        said = project.refused("./migrate.sh", "shelf", env=env)
        assert "first revision, run: python -m migrations adopt;" in said
        project.run("python", "-m", "migrations", "adopt", "shelf", "--yes", env=env)
        assert later.schema() == live.schema()
    with new_database(kind, tmp_path) as fresh:
        project.run("./migrate.sh", env={"DATABASE_URL": fresh.text})
        project.environment["DATABASE_URL"] = fresh.text
        project.run("python", "-m", "migrations", "remove", "shelf", "--yes")
        assert "books" in fresh.tables()


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two revisions of users, and one of books."""
    project = bake(tmp_path_factory.mktemp("squashing"))
    project.set_ini("DEFAULT", "file_template", "%%(rev)s_%%(slug)s")
    project.generate()
    project.migrate()
    project.add_column("users", "email")
    project.generate()
    project.migrate()
    return project


def behind(project: Project) -> None:
    """Take the last revision back."""
    project.migrations("-n", "users", "downgrade", "-1")


def changed(project: Project) -> None:
    """Change a model."""
    project.add_column("users", "phone")


def in_the_way(project: Project) -> None:
    """Have a folder where the new revision should go."""
    [last] = project.package.glob("users/migrations/*_email.py")
    last.with_name(last.name.replace("add_users_email", "initial")).mkdir()


def another_table(project: Project) -> None:
    """Have a model that books got from users."""
    with project.models("books").open("a") as file:
        file.write("\nShelf = sa.Table('shelves', Base.metadata, sa.Column('id', sa.Integer))\n")
    [first] = [path for path in project.revisions("users") if "initial" in path.name]
    create = "    op.create_table('shelves', sa.Column('id', sa.Integer))\n"
    first.write_text(first.read_text().replace("None:\n", f"None:\n{create}", 1))


@pytest.mark.parametrize(
    ("change", "apps", "problem"),
    [
        (behind, ["users"], "users: the database is behind the newest revision; run ./migrate"),
        (changed, ["users"], "users: models and database differ: add users phone; first"),
        (in_the_way, ["users"], "Is a directory"),
        (
            another_table,
            ["users"],
            "users: the revisions of users create shelves, which is now in books;"
            " first run: python -m migrations squash users books",
        ),
    ],
)
def test_refusal_changes_nothing(
    change: Callable[[Project], None],
    apps: list[str],
    problem: str,
    grown: Project,
    tmp_path: Path,
) -> None:
    project = Project(shutil.copytree(grown.path, tmp_path / "my_project"))
    change(project)
    before = tree(project.path)
    assert problem in project.refused(*SQUASH, *apps, "--yes")
    assert tree(project.path) == before


INTERRUPTION = """
import os, signal
from pathlib import Path

kept = []


@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def note(connection, cursor, statement, *_):
    if statement.startswith("CREATE DATABASE"):
        Path(os.environ["NAMES"]).write_text(statement.split()[-1])
    interrupt("before", connection, statement)


@sa.event.listens_for(sa.Engine, "after_cursor_execute")
def after(connection, cursor, statement, *_):
    interrupt("after", connection, statement)


def interrupt(when, connection, statement):
    if f"{when} {statement.strip()}".startswith(os.environ["INTERRUPT"]):
        if "TABLE" in statement:  # one that nobody closes any more
            kept.append(connection.engine.connect())
        os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_interrupted_squash_leaves_no_database(kind: str, grown: Project, tmp_path: Path) -> None:
    project = Project(shutil.copytree(grown.path, tmp_path / "my_project"))
    name = tmp_path / "name"
    with new_database(kind) as database:
        project.environment = {"DATABASE_URL": database.text, "NAMES": str(name)}
        project.migrate()
        with project.models("users").open("a") as file:
            file.write(INTERRUPTION)
        before = tree(project.path)
        for moment in ("after CREATE DATABASE", "after CREATE TABLE", "before DROP DATABASE"):
            done = project.run(*SQUASH, "users", "--yes", status=130, env={"INTERRUPT": moment})
            assert re.fullmatch(r"(users: )?interrupted.*\n", done.stderr)
            assert name.read_text().startswith("empty_")
            assert name.read_text() not in names_of_databases(database)
            assert tree(project.path) == before


def names_of_databases(database: Database) -> list[object]:
    """The names of all databases of a server."""
    schemas = "information_schema.schemata"
    query = {"postgresql": "SELECT datname FROM pg_database"}
    backend = database.url.get_backend_name()
    found = database.query(query.get(backend, f"SELECT schema_name FROM {schemas}"))
    return [name for (name,) in found]


def test_a_user_who_may_not_create_databases(
    grown: Project, postgresql: Database, tmp_path: Path
) -> None:
    project = Project(shutil.copytree(grown.path, tmp_path / "my_project"))
    project.environment["DATABASE_URL"] = postgresql.text
    project.migrate()
    with postgresql.reader("Pa55") as url:
        postgresql.query(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {url.username}")
        project.environment["DATABASE_URL"] = Database(url).text
        line = project.refused(*SQUASH, "users", "--yes")
        assert line.startswith("users: postgresql+psycopg://reader_")
        assert "permission denied to create database; check the user," in line


WRITING = """
import os, signal
from pathlib import Path

write_bytes, unlink = Path.write_bytes, Path.unlink


def write_bytes_and_stop(self, data):
    write_bytes(self, data)
    stop()


def unlink_and_stop(self, missing_ok=False):
    unlink(self, missing_ok)
    stop()


def stop():
    if how := os.environ.pop("STOP", ""):
        if how == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            raise KeyboardInterrupt


Path.{method} = {method}_and_stop
"""


@pytest.mark.parametrize("method", ["write_bytes", "unlink"])
@pytest.mark.parametrize("how", ["error", "signal"])
def test_interrupted_exchange_leaves_all_files_or_one(
    method: str, how: str, grown: Project, tmp_path: Path
) -> None:
    project = Project(shutil.copytree(grown.path, tmp_path / "my_project"))
    with project.models("users").open("a") as file:
        file.write(WRITING.format(method=method))
    before = tree(project.path)
    project.run(*SQUASH, "users", "--yes", status=130, env={"STOP": how})
    if how == "error":
        assert tree(project.path) == before
    else:
        assert len(project.revisions("users")) == 1
        project.migrations("check")


SEEDING = """
    from my_project import seeds
    session = sa.orm.Session(bind=op.get_bind())
    seeds.fill(op.get_bind())
    session.add_all(seeds.USERS)
    session.flush()
    rows = op.get_bind().exec_driver_sql("SELECT 1").fetchall()
    for name in sorted(sa.inspect(op.get_bind()).get_table_names()):
        print(name.upper())
"""


def test_work_of_other_modules_is_named(grown: Project, tmp_path: Path) -> None:
    project = Project(shutil.copytree(grown.path, tmp_path / "my_project"))
    [last] = project.package.glob("users/migrations/*_email.py")
    text, line = last.read_text(), "def upgrade() -> None:\n"
    start = text[: text.index(line)].count("\n") + 2
    last.write_text(text.replace(line, f"{line}{SEEDING}", 1))
    said = project.run(*SQUASH, "users", status=None).stdout
    lost = [(int(at) - start, call) for call, at in re.findall(r"lost: (\w+) in line (\d+) ", said)]
    assert lost == [(3, "fill"), (4, "add_all"), (5, "flush"), (6, "exec_driver_sql")]


def test_schemas_and_extensions_that_are_there(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path, database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    for app, schema in (("users", "by hand"), ("books", "shop")):
        models = project.models(app)
        models.write_text(models.read_text().replace("MetaData(", f'MetaData(schema="{schema}", '))
    postgresql.query('CREATE SCHEMA "by hand"')
    project.add_column("books", "kind", "sa.dialects.postgresql.CITEXT")
    project.generate()
    [first] = project.revisions("books")
    by_hand = "".join(
        f"    op.execute('{statement}')\n"
        for statement in ("CREATE SCHEMA shop", "create extension citext")
    )
    first.write_text(first.read_text().replace("None:\n", f"None:\n{by_hand}", 1))
    project.migrate()
    for app in ("users", "books"):
        project.add_column(app, "email")
    project.generate()
    project.migrate()
    before = postgresql.schema("shop"), postgresql.schema("by hand")

    said = project.run(*SQUASH, "users", "--yes").stdout  # the other app creates its own
    assert "lost" not in said
    said = project.run(*SQUASH, "books", "--yes").stdout
    assert said.count("lost: ") == said.count("lost: execute") == 2
    assert (postgresql.schema("shop"), postgresql.schema("by hand")) == before
    project.migrations("check")


def test_the_name_of_the_database_in_the_options_of_its_url(
    grown: Project, postgresql: Database, tmp_path: Path
) -> None:
    project = Project(shutil.copytree(grown.path, tmp_path / "my_project"))
    options = {"dbname": str(postgresql.url.database)}
    url = postgresql.url.set(database=None).update_query_dict(options)
    project.environment["DATABASE_URL"] = Database(url).text
    project.migrate()
    project.migrations("squash", "users", "--yes")
    [revision] = project.revisions("users")
    assert "create_table" in revision.read_text()


def test_functions_that_tables_need_are_written_by_hand(
    grown: Project, postgresql: Database, tmp_path: Path
) -> None:
    project = Project(shutil.copytree(grown.path, tmp_path / "my_project"))
    project.environment["DATABASE_URL"] = postgresql.text
    project.migrate()
    postgresql.query("CREATE FUNCTION code() RETURNS text LANGUAGE sql AS $$ SELECT 'a' $$")
    project.add_column("users", "code", "sa.String(9), server_default=sa.text('code()')")
    project.generate()
    project.migrate()
    before = tree(project.path)
    line = project.refused(*SQUASH, "users", "--yes")
    assert line.startswith(
        "users: its first revision fails in an empty database: function code() does not exist, at "
    )
    assert line.endswith("; nothing is changed; write the revision by hand")
    assert tree(project.path) == before


def of_models(project: Project, schema: str) -> None:
    """Let the models of books name a schema."""
    models = project.models("books")
    models.write_text(models.read_text().replace("MetaData(", f'MetaData(schema="{schema}", '))


def of_revisions(project: Project, schema: str) -> None:
    """Let a revision of books name a schema."""
    [first] = project.revisions("books")
    statement = f"    op.drop_table('kept', schema='{schema}')\n"
    first.write_text(first.read_text().replace("None:\n", f"None:\n{statement}", 1))


@pytest.mark.parametrize("where", [of_models, of_revisions])
def test_mysql_has_no_empty_database_for_schemas(
    where: Callable[[Project, str], None], grown: Project, mysql: Database, tmp_path: Path
) -> None:
    project = Project(shutil.copytree(grown.path, tmp_path / "my_project"))
    project.environment["DATABASE_URL"] = mysql.text
    project.migrate()
    with new_database("mysql") as other:
        for table in ("books", "kept"):
            other.query(f"CREATE TABLE {table} (id INTEGER)")
        where(project, str(other.url.database))
        before = tree(project.path)
        said = project.refused(*SQUASH, "users", "--yes")
        assert said.startswith("books: ")
        assert " names a schema, which is another database on MySQL and MariaDB" in said
        assert tree(project.path) == before
        assert other.tables() == {"books", "kept"}
