"""The catalogue of bad input: one line that names the app and what to do, and nothing written.

In each project the app users has work to do, a revision or a changed model, and comes first;
books, or what both use, is broken. So whatever can be known beforehand has to stop users too.

Most commands fork a warm Python. In every table, the first case of each command is started as its
user starts it, and so is what is about processes: signals, and what may be written.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL

from project import SECRET, Project, bake, tree
from servers import Database, new_database

PASSWORD = f"{SECRET}/w%rd"
QUOTED = f"{SECRET}%2Fw%25rd"

COMMANDS = {
    "migrate": ("./migrate.sh",),
    "generate": ("./generate.sh",),
    "status": ("python", "-m", "migrations", "status"),
    "check": ("python", "-m", "migrations", "-n", "books", "check"),
    "upgrade": ("python", "-m", "migrations", "upgrade", "head"),
    "alembic": ("alembic", "--name", "books", "upgrade", "head"),
    "alembic check": ("alembic", "--name", "books", "check"),
}

Break = Callable[[Project], object]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project without a fault: both apps migrated, and one more revision of users pending."""
    project = bake(tmp_path_factory.mktemp("whole"))
    project.generate()
    project.migrate()
    project.add_column("users", "email")
    project.generate()
    shutil.rmtree(project.path / ".ruff_cache", ignore_errors=True)
    return project


@pytest.fixture
def pending(whole: Project, tmp_path: Path) -> Project:
    """A copy to break, for commands that migrate."""
    return Project(shutil.copytree(whole.path, tmp_path / "pending" / "my_project"))


@pytest.fixture
def changed(whole: Project, tmp_path: Path) -> Project:
    """A copy to break, for commands that generate: the column has no revision yet."""
    project = Project(shutil.copytree(whole.path, tmp_path / "changed" / "my_project"))
    [second] = project.package.glob("users/migrations/*_email.py")
    second.unlink()
    return project


def assert_line(line: str, expected: str) -> None:
    """Compare a line with one in which … stands for anything."""
    pattern = ".*".join(map(re.escape, expected.split("…")))
    assert re.fullmatch(pattern, line), f"\n{line}\nis not\n{expected}"


def refused(project: Project, *command: str) -> str:
    """The line that a command fails with, once it is sure that it wrote nothing."""
    before = tree(project.path)
    line = project.refused(*command)
    assert tree(project.path) == before
    return line


@dataclass(frozen=True)
class Case:
    """A way to break a project, and what each of the commands must say then."""

    breaks: Break
    line: str
    commands: tuple[str, ...] = ("migrate", "alembic")


def replace(path: Path, old: str, new: str) -> None:
    """Replace a text that stands in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def ini(key: str, value: str, section: str = "books") -> Break:
    """Set a key of alembic.ini."""
    return lambda project: project.set_ini(section, key, value)


def no_ini(key: str) -> Break:
    """Take a key of books out of alembic.ini."""

    def breaks(project: Project) -> None:
        project.set_ini("books", key, "to be removed")
        project.remove_line(project.path / "alembic.ini", "to be removed")

    return breaks


def ini_lines(*lines: str, before: str = "[alembic]") -> Break:
    """Put lines into alembic.ini, behind the last app or elsewhere."""
    return lambda project: replace(
        project.path / "alembic.ini", f"\n{before}\n", "\n".join(["", *lines, before, ""])
    )


def own_env(project: Project) -> None:
    """Let the section of books name an environment that it had before."""
    (project.path / "old").mkdir()
    (project.path / "old" / "env.py").write_text("raise AssertionError")
    project.set_ini("books", "script_location", "%(here)s/old")


def no_apps(project: Project) -> None:
    """Take the sections of all apps out of alembic.ini."""
    path = project.path / "alembic.ini"
    head, _, rest = path.read_text().partition("[users]")
    path.write_text(head + rest[rest.index("[alembic]") :])


def not_utf8(project: Project) -> None:
    """Add a comment to alembic.ini, in Latin-1."""
    with (project.path / "alembic.ini").open("ab") as file:
        file.write("# für alle".encode("latin-1"))


def url(text: str) -> Break:
    """Let books have another database."""
    return lambda project: project.environment.update(BOOKS_DATABASE_URL=text)


def models(text: str, file: str = "models.py") -> Break:
    """Write a module of books."""
    return lambda project: (project.package / "books" / file).write_text(text)


def both(*steps: Break) -> Break:
    """Break a project in several ways."""
    return lambda project: [step(project) for step in steps]


def revision(old: str, new: str) -> Break:
    """Change the revision of books."""
    return lambda project: replace(project.revisions("books")[0], old, new)


def another_revision(name: str, **changes: str) -> Break:
    """Copy the revision of books, with other ids."""

    def breaks(project: Project) -> None:
        first = project.revisions("books")[0]
        lines = first.read_text().splitlines()
        for key, value in changes.items():
            lines = [f"{key} = {value}" if line.startswith(f"{key}:") else line for line in lines]
        first.with_name(f"9_{name}.py").write_text("\n".join(lines))

    return breaks


def first_id(project: Project) -> str:
    """The id of the revision of books."""
    [[revision]] = project.sqlite("SELECT version_num FROM alembic_version_books")
    return str(revision)


def two_heads(project: Project) -> None:
    """Let two revisions of books follow its first."""
    first = f"'{first_id(project)}'"
    for name in ("aaa", "bbb"):
        another_revision(name, revision=f"'{name}'", down_revision=first)(project)


def depends_on_users(project: Project) -> None:
    """Let the revision of books depend on one of users."""
    [[of_users]] = project.sqlite("SELECT version_num FROM alembic_version_users")
    revision("depends_on: str | Sequence[str] | None = None", f"depends_on = '{of_users}'")(project)


def sql(statement: str) -> Break:
    """Change the database."""
    return lambda project: project.sqlite(statement)


def file(name: str, text: str | None) -> Break:
    """Write a file of the project, or remove it."""

    def breaks(project: Project) -> None:
        path = project.path / name
        path.unlink() if text is None else path.write_text(text)

    return breaks


PYTHON = ("generate", "check")
"""The commands that import models."""
READ = ("migrate", "generate", "status")
"""Commands that go the same way as far as alembic.ini and the databases are concerned."""

FOLDERS = "correct it in [books] of alembic.ini, or install its package"

INI = {
    "no apps": Case(
        no_apps,
        "no apps: alembic.ini has no section that sets metadata; ./add_app.sh NAME adds one",
        READ,
    ),
    "metadata missing": Case(
        no_ini("metadata"),
        "books: alembic.ini: write metadata = module:attribute",
        (*READ, "check", "alembic"),
    ),
    "metadata empty": Case(
        ini("metadata", ""),
        "books: alembic.ini: write metadata = module:attribute",
        ("migrate",),
    ),
    "metadata without a colon": Case(
        ini("metadata", "my_project.books.models"),
        "books: alembic.ini: write metadata = module:attribute",
        ("migrate",),
    ),
    "a flag that is none": Case(
        ini("transaction_per_migration", "maybe"),
        "books: alembic.ini: Not a boolean: maybe",
        ("migrate",),
    ),
    "version_locations missing": Case(
        no_ini("version_locations"),
        f"books: no folder at version_locations = ; {FOLDERS}",
        (*READ, "check", "alembic"),
    ),
    "version_locations empty": Case(
        ini("version_locations", ""),
        f"books: no folder at version_locations = ; {FOLDERS}",
    ),
    "version_locations not a folder": Case(
        ini("version_locations", "%(here)s/nosuch"),
        f"books: no folder at version_locations = nosuch; {FOLDERS}",
        ("migrate", "generate", "upgrade", "alembic"),
    ),
    "script_location with another env.py": Case(
        own_env,
        "books: script_location is old, whose env.py does not know the keys of this section;"
        " set script_location = %(here)s/migrations only in [DEFAULT] of alembic.ini",
        (*READ, "check", "upgrade"),
    ),
    "version_locations of a package": Case(
        ini("version_locations", "nosuch:migrations"),
        f"books: no folder at version_locations = nosuch:migrations; {FOLDERS}",
    ),
    "duplicate section": Case(
        ini_lines("[books]", f"sqlalchemy.url = mysql://me:{PASSWORD}@host/books"),
        "alembic.ini: While reading from … [line 25]: section 'books' already exists",
        READ,
    ),
    "duplicate key": Case(
        ini_lines("sqlalchemy.url = a", f"sqlalchemy.url = mysql://me:{PASSWORD}@host/books"),
        "alembic.ini: While reading from … [line 26]: option 'sqlalchemy.url' in section 'books'"
        " already exists",
        ("migrate",),
    ),
    "line that is none": Case(
        ini_lines(f"mysql//me;{PASSWORD}@host/books"),
        "alembic.ini, line 25: write [section], or key = value in a section",
        ("migrate",),
    ),
    "line before the first section": Case(
        ini_lines(f"sqlalchemy.url = mysql://me:{PASSWORD}@host/books", before="[DEFAULT]"),
        "alembic.ini, line 4: write [section], or key = value in a section",
        ("migrate",),
    ),
    "not UTF-8": Case(
        not_utf8,
        "alembic.ini: 'utf-8' codec can't decode byte 0xfc in position …: …",
        ("migrate",),
    ),
    "alembic.ini missing": Case(
        file("alembic.ini", None),
        "alembic.ini: No such file or directory; run this in its folder, or name the file with -c"
        " (in Python: ini=)",
        READ,
    ),
    "alembic.ini unreadable": Case(
        both(file("alembic.ini", None), lambda project: (project.path / "alembic.ini").mkdir()),
        "alembic.ini: Is a directory",
        ("migrate",),
    ),
    "undoubled percent sign": Case(
        ini("sqlalchemy.url", f"postgresql://me:{PASSWORD}@127.0.0.1/books"),
        "books: cannot read 'sqlalchemy.url' in [books] or [DEFAULT] of alembic.ini; write a"
        " percent sign as %%, and %(name)s only with the name of another key",
        ("migrate", "generate", "alembic"),
    ),
    "undoubled percent sign and brackets": Case(
        ini("sqlalchemy.url", f"postgresql://me:%({SECRET})s@127.0.0.1/books"),
        "books: cannot read 'sqlalchemy.url' in [books] or [DEFAULT] of alembic.ini; write a"
        " percent sign as %%, and %(name)s only with the name of another key",
        ("migrate",),
    ),
    "one version table for two": Case(
        ini("version_table", "alembic_version_users"),
        "books: has the version table 'alembic_version_users' of users in the same database;"
        " give each its own version_table in alembic.ini",
        (*READ, "alembic"),
    ),
    "version table of another kind": Case(
        ini("version_table", "books"),
        "books: sqlite:///my_project.db: no such column: books.version_num",
        ("migrate", "generate"),
    ),
    "version table's schema": Case(
        ini("version_table_schema", "nosuch"),
        "books: sqlite:///my_project.db: no such table: nosuch.sqlite_master;"
        " create it first, or correct its name",
        ("migrate",),
    ),
    "lock_timeout": Case(
        ini("lock_timeout", "soon"),
        "books: alembic.ini: could not convert string to float: 'soon'",
    ),
    "path_separator": Case(
        ini("path_separator", "comma"),
        "books: alembic.ini: 'comma' is not a valid value for path_separator;"
        " expected 'space', 'newline', 'os', ':', ';'",
        ("migrate",),
    ),
    "logging": Case(
        lambda project: replace(project.path / "alembic.ini", "keys = console", "keys = nosuch"),
        "…KeyError: 'handler_nosuch'",
    ),
}

MODELS = {
    "module missing": Case(
        ini("metadata", "my_project.nosuch:Base.metadata"),
        "books: cannot import my_project.nosuch: No module named 'my_project.nosuch';"
        " correct metadata in [books] of alembic.ini",
        (*PYTHON, "alembic check"),
    ),
    "attribute missing": Case(
        ini("metadata", "my_project.books.models:Nosuch.metadata"),
        "books: cannot import my_project.books.models:Nosuch.metadata: module"
        " 'my_project.books.models' has no attribute 'Nosuch'; correct metadata in [books] of"
        " alembic.ini",
        ("generate",),
    ),
    "not a MetaData": Case(
        ini("metadata", "my_project.books.models:Base"),
        "books: my_project.books.models:Base is not a MetaData;"
        " write metadata = module:attribute in [books] of alembic.ini",
        PYTHON,
    ),
    "import raises": Case(
        models(f"raise RuntimeError('broken\\n in two lines')\n# {PASSWORD}"),
        "books: cannot import my_project.books.models: RuntimeError: broken in two lines,"
        " at src/my_project/books/models.py, line 1",
        (*PYTHON, "alembic check"),
    ),
    "import raises what a database could have said": Case(
        models("raise TimeoutError('request to https://billing timed out')"),
        "books: cannot import my_project.books.models: TimeoutError: request to https://billing"
        " timed out, at src/my_project/books/models.py, line 1",
        ("check",),
    ),
    "import exits": Case(
        models("import sys\n\nsys.exit('bye')"),
        "books: cannot import my_project.books.models: SystemExit: bye,"
        " at src/my_project/books/models.py, line 3",
        ("generate",),
    ),
    "module not installed": Case(
        models("import nosuch.inner"),
        "books: cannot import my_project.books.models: ModuleNotFoundError: No module named"
        " 'nosuch', at src/my_project/books/models.py, line 1",
        ("generate",),
    ),
    "syntax error": Case(
        models("\nx = ("),
        "books: cannot import my_project.books.models: SyntaxError: '(' was never closed"
        " (models.py, line 2)",
        ("generate",),
    ),
    "a module of the package fails": Case(
        both(ini("metadata", "my_project.books:models.Base.metadata"), models("1 / 0", "b.py")),
        "books: cannot import my_project.books.b: ZeroDivisionError: division by zero,"
        " at src/my_project/books/b.py, line 1",
        PYTHON,
    ),
}

HOSTS = {
    "psycopg": "postgresql+psycopg",
    "asyncpg": "postgresql+asyncpg",
    "pymysql": "mysql+pymysql",
    "aiomysql": "mysql+aiomysql",
}

URLS = {
    "missing": Case(
        ini("sqlalchemy.url", ""),
        "books: no database URL; set DATABASE_URL or BOOKS_DATABASE_URL in the environment,"
        " or sqlalchemy.url in [books] of alembic.ini",
        (*READ, "check", "alembic"),
    ),
    "malformed": Case(
        url(f"postgresql//me:{PASSWORD}@host/books"),
        "books: BOOKS_DATABASE_URL is not a database URL like"
        " postgresql+psycopg://user:password@host/name"
        " (in a password, write @ : / % as %40 %3A %2F %25)",
        ("migrate", "generate", "alembic"),
    ),
    "password with an @": Case(
        url(f"postgresql+psycopg://me:s@{SECRET}@127.0.0.1/books"),
        "books: BOOKS_DATABASE_URL is not a database URL like…"
        " (in a password, write @ : / % as %40 %3A %2F %25)",
        (*READ, "alembic"),
    ),
    "password with an @ and a slash": Case(
        url(f"postgresql+psycopg://me@corp:s@s/{SECRET}@127.0.0.1/books"),
        "books: BOOKS_DATABASE_URL is not a database URL like…",
        ("status",),
    ),
    "MySQL without a database": Case(
        url(f"mysql+pymysql://me:{QUOTED}@127.0.0.1/"),
        "books: BOOKS_DATABASE_URL is not a database URL like…",
        (*READ, "check", "alembic"),
    ),
    "port not a number": Case(
        url(f"postgresql://me:{QUOTED}@host:port/books"),
        "books: BOOKS_DATABASE_URL is not a database URL like…",
        ("migrate",),
    ),
    "unknown dialect": Case(
        url(f"postgres://me:{QUOTED}@host/books"),
        "books: postgres://me:***@host/books: NoSuchModuleError: Can't load plugin:"
        " sqlalchemy.dialects:postgres;"
        " use a URL like postgresql+psycopg://, mysql+pymysql:// or sqlite:///",
        ("migrate", "generate", "alembic"),
    ),
    "unknown driver": Case(
        url(f"postgresql+nosuch://me:{QUOTED}@host/books?password={SECRET}"),
        "books: postgresql+nosuch://me:***@host/books: NoSuchModuleError: Can't load"
        " plugin: sqlalchemy.dialects:postgresql.nosuch; use a URL like…",
        ("migrate",),
    ),
    "driver not installed": Case(
        url(f"mysql+mysqldb://me:{QUOTED}@host/books"),
        "books: mysql+mysqldb://me:***@host/books: ModuleNotFoundError: No module named"
        " 'MySQLdb'; install it, or use another driver in the URL",
        (*READ, "alembic"),
    ),
    "option of another driver": Case(
        url(f"postgresql+asyncpg://me:{QUOTED}@127.0.0.1/books?sslmode=require"),
        "books: TypeError: connect() got an unexpected keyword argument 'sslmode';"
        " remove that option from the URL, or use the driver's own: asyncpg has ssl for sslmode",
        (*READ, "alembic"),
    ),
    "SQLite with two slashes": Case(
        url("sqlite://books.db"),
        "books: ArgumentError: Invalid SQLite URL: sqlite://books.db Valid SQLite URL forms are…",
        ("migrate",),
    ),
    **{
        f"unknown host, {name}": Case(
            url(f"{driver}://me:{QUOTED}@host.invalid/books"),
            f"books: {driver}://me:***@host.invalid/books: …;"
            " is the database server running, and are host and port right?",
            ("migrate", "alembic") if name == "psycopg" else ("migrate",),
        )
        for name, driver in HOSTS.items()
    },
    **{
        f"connection refused, {name}": Case(
            url(f"{driver}://me:{QUOTED}@localhost:1/books"),
            f"books: {driver}://me:***@localhost:1/books: …;"
            " is the database server running, and are host and port right?",
            (*READ, "check", "upgrade", "alembic") if name == "psycopg" else ("migrate",),
        )
        for name, driver in HOSTS.items()
    },
    "SQLite folder missing": Case(
        url("sqlite:////nosuch/books.db"),
        "books: sqlite:////nosuch/books.db: unable to open database file;"
        " does its folder exist, and may this user write there?",
        (*READ, "alembic"),
    ),
    "SQLite folder missing, aiosqlite": Case(
        url("sqlite+aiosqlite:////nosuch/books.db"),
        "books: sqlite+aiosqlite:////nosuch/books.db: unable to open database file;"
        " does its folder exist, and may this user write there?",
    ),
    "SQLite file not a database": Case(
        lambda project: url(f"sqlite:///{project.path}/README.md")(project),
        "books: sqlite:///README.md: file is not a database",
        (*READ, "check", "alembic"),
    ),
}

REVISIONS = {
    "several heads": Case(
        two_heads,
        "books: Multiple head revisions are present for given argument 'head';"
        " merge them with: python -m migrations -n APP merge heads -m merge",
        ("migrate", "generate", "check", "alembic"),
    ),
    "database at another revision": Case(
        sql("UPDATE alembic_version_books SET version_num = 'nosuch'"),
        "books: the database is at revision nosuch, which has no file; is the code older than"
        " the database?",
        (*READ, "check", "upgrade"),
    ),
    "database at another revision, plain Alembic": Case(
        sql("UPDATE alembic_version_books SET version_num = 'nosuch'"),
        "books: Can't locate revision identified by 'nosuch'; is the code older than the"
        " database, or does the id belong to another app (add -n APP)?",
        ("alembic",),
    ),
    "syntax error": Case(
        revision("def upgrade", "def def upgrade"),
        "books: SyntaxError: invalid syntax (…_initial.py, line 19)",
        (*READ, "check", "alembic"),
    ),
    "error when loaded": Case(
        revision("def upgrade", "nosuch\n\ndef upgrade"),
        "books: NameError: name 'nosuch' is not defined,"
        " at src/my_project/books/migrations/…_initial.py, line 19",
    ),
    "module not installed": Case(
        revision("import sqlalchemy", "import nosuch\nimport sqlalchemy"),
        "books: ModuleNotFoundError: No module named 'nosuch',"
        " at src/my_project/books/migrations/…_initial.py, line 10",
        ("migrate",),
    ),
    "no id": Case(
        revision("revision: str =", "id ="),
        "books: Could not determine revision id from filename …_initial.py. …",
        ("migrate",),
    ),
    "two files of one id": Case(
        another_revision("copy"),
        "books: Revision … is present more than once",
        (*READ, "check", "alembic"),
    ),
    "down_revision that does not exist": Case(
        another_revision("next", revision="'aaa'", down_revision="'nosuch'"),
        "books: Revision nosuch referenced from nosuch -> aaa (head), initial is not present",
        (*READ, "check", "alembic"),
    ),
    "depends_on in another app": Case(
        depends_on_users,
        "books: KeyError: '…'; if a revision has it as depends_on, write requires = ('APP:ID',)"
        " for another app's revision",
        (*READ, "check", "upgrade", "alembic"),
    ),
    "KeyError of a revision file": Case(
        revision("def upgrade", "{}['nosuch']\n\ndef upgrade"),
        "books: KeyError: 'nosuch', at src/my_project/books/migrations/…_initial.py, line 19",
        ("migrate",),
    ),
    "circle": Case(
        revision("Sequence[str] | None = None\nbranch", "Sequence[str] | None = revision\nbranch"),
        "books: Self-loop is detected in revisions (…)",
        ("migrate",),
    ),
    "pending while generating": Case(
        sql("DELETE FROM alembic_version_books"),
        "books: the database is behind the newest revision; run ./migrate.sh books",
        ("generate",),
    ),
    "script.py.mako with a syntax error": Case(
        file("migrations/script.py.mako", "${"),
        "users: SyntaxException: …/migrations/script.py.mako' at line: 1 char: 1",
        ("generate",),
    ),
    "script.py.mako that raises": Case(
        file("migrations/script.py.mako", "${nosuch.x}"),
        "users: Template rendering failed; see … for a template-oriented traceback.",
        ("generate",),
    ),
    "script.py.mako missing": Case(
        file("migrations/script.py.mako", None),
        "users: migrations/script.py.mako: No such file or directory",
        ("generate",),
    ),
}


def parameters(**tables: dict[str, Case]) -> list[object]:
    """The cases of several tables, each with the commands that no case before it has."""
    found: list[object] = []
    for table, cases in tables.items():
        seen: set[str] = set()
        for name, case in cases.items():
            first = set(case.commands) - seen
            seen |= first
            found.append(pytest.param(case, first, id=f"{table}: {name}".replace("_", " ")))
    return found


@pytest.mark.parametrize(
    ("case", "first"), parameters(alembic_ini=INI, models=MODELS, URL=URLS, revisions=REVISIONS)
)
def test_refused(case: Case, first: set[str], pending: Project, changed: Project) -> None:
    for project in (pending, changed):
        case.breaks(project)
    for command in case.commands:
        project = changed if command == "generate" else pending
        project.warm = command not in first
        assert_line(refused(project, *COMMANDS[command]), case.line)


@pytest.mark.parametrize(
    "command",
    ["./migrate.sh", "./generate.sh", "python -m migrations -n", "python -m migrations status"],
)
def test_unknown_app(pending: Project, command: str) -> None:
    pending.warm = False
    line = refused(pending, *command.split(), "nosuch", *["check"][: command.endswith("-n")])
    assert line == "nosuch: no such app in alembic.ini; apps: users, books"


def test_missing_command(pending: Project) -> None:
    line = refused(pending, "python", "-m", "migrations")
    assert line == "no command is given; see python -m migrations --help"
    done = pending.run("python", "-m", "migrations", "-n", status=2)
    assert done.stderr.startswith("usage: python -m migrations ")


@pytest.mark.parametrize("command", ["upgrade", "downgrade", "stamp"])
def test_unknown_target(pending: Project, command: str) -> None:
    first, second = ("books", "users") if command == "downgrade" else ("users", "books")
    [[target]] = pending.sqlite(f"SELECT version_num FROM alembic_version_{first}")
    line = refused(pending, "python", "-m", "migrations", command, str(target))
    unknown = "Can't locate revision identified by" if command == "stamp" else "No such revision or"
    assert line.startswith(f"{second}: {unknown}")
    assert f"'{target}'; is the code older" in line


Access = Callable[[Database], AbstractContextManager[URL]]


def read_only_postgresql(database: Database) -> AbstractContextManager[URL]:
    """The URL of a database that is like a replica."""
    name = database.url.database
    database.query(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    return nullcontext(database.url)


def read_only_mysql(database: Database) -> AbstractContextManager[URL]:
    """The URL of a database that is like a replica."""
    query = {"init_command": "SET SESSION TRANSACTION READ ONLY"}
    return nullcontext(database.url.update_query_dict(query))


def of_reader(database: Database) -> AbstractContextManager[URL]:
    """The URL for a user who may not create tables."""
    return database.reader(PASSWORD)


def of_nobody(database: Database) -> AbstractContextManager[URL]:
    """The URL for a user who does not exist."""
    return nullcontext(database.url.set(username="nosuch", password=PASSWORD))


def unknown(database: Database) -> AbstractContextManager[URL]:
    """The URL of a database that does not exist."""
    return nullcontext(database.url.set(database="nosuch"))


CREATE_IT = "create it first, or correct its name"
GRANTS = "check the user, the password and the grants"
STANDBY = "the database is read-only; if it is a standby, use the URL of the primary"

SERVERS: list[tuple[str, Access, str]] = [
    (
        "postgresql+psycopg",
        read_only_postgresql,
        f"cannot execute CREATE TABLE in a read-only transaction; {STANDBY}",
    ),
    (
        "mysql+pymysql",
        read_only_mysql,
        f"…Cannot execute statement in a READ ONLY transaction…; {STANDBY}",
    ),
    ("postgresql+psycopg", of_reader, f"permission denied for schema public…; {GRANTS}"),
    ("postgresql+asyncpg", of_reader, f"permission denied for schema public…; {GRANTS}"),
    ("mysql+pymysql", of_reader, f"CREATE command denied to user 'reader_… (1142); {GRANTS}"),
    ("mysql+aiomysql", of_reader, f"CREATE command denied to user 'reader_… (1142); {GRANTS}"),
    ("postgresql+psycopg", unknown, f'…database "nosuch" does not exist; {CREATE_IT}'),
    ("postgresql+asyncpg", unknown, f'database "nosuch" does not exist; {CREATE_IT}'),
    ("mysql+pymysql", unknown, f"Unknown database 'nosuch' (1049); {CREATE_IT}"),
    ("mysql+pymysql", of_nobody, f"…Access denied for user 'nosuch'@…; {GRANTS}"),
    ("mysql+aiomysql", of_nobody, f"…Access denied for user 'nosuch'@…; {GRANTS}"),
    ("postgresql+psycopg", of_nobody, f"…; {GRANTS}"),
    ("postgresql+asyncpg", of_nobody, f"…; {GRANTS}"),
]


@pytest.mark.parametrize(("driver", "access", "line"), SERVERS)
def test_server_refuses(pending: Project, driver: str, access: Access, line: str) -> None:
    with new_database(driver.split("+")[0]) as database, access(database) as url:
        shown = url.set(drivername=driver)
        pending.environment["DATABASE_URL"] = shown.render_as_string(hide_password=False)
        for app, command in (("users", "migrate"), ("books", "alembic")):
            pending.warm = access is not SERVERS[0][1]
            expected = f"{app}: {shown.render_as_string(hide_password=True)}: {line}"
            assert_line(refused(pending, *COMMANDS[command]), expected)
        assert database.tables() == set()


def books_again(project: Project) -> None:
    """Let the database be as it was before the revision of books."""
    project.sqlite("DROP TABLE books")
    project.sqlite("DELETE FROM alembic_version_books")


def upgrade_with(*lines: str) -> Break:
    """Put lines at the end of the upgrade of books, which is still to come."""
    text = "\n".join(f"    {line}" for line in lines)
    return both(books_again, revision("\n\n\ndef downgrade", f"\n{text}\n\n\ndef downgrade"))


AT = "at src/my_project/books/migrations/…_initial.py, line 28"

UPGRADES = {
    "raises": Case(
        upgrade_with("raise RuntimeError('broken\\nin two lines')"),
        f"books: RuntimeError: broken in two lines, {AT}",
    ),
    "raises what a database could have said": Case(
        upgrade_with("raise TimeoutError('request to https://billing timed out')"),
        f"books: TimeoutError: request to https://billing timed out, {AT}",
    ),
    "raises what a disk could have said": Case(
        upgrade_with("raise ValueError('price list is full')"),
        f"books: ValueError: price list is full, {AT}",
    ),
    "imports what is not installed": Case(
        upgrade_with("import nosuch"),
        f"books: ModuleNotFoundError: No module named 'nosuch', {AT}",
    ),
    "exits": Case(
        upgrade_with("raise SystemExit(0)"),
        f"books: SystemExit: 0, {AT}",
    ),
    "has wrong SQL": Case(
        upgrade_with("op.execute('SELECT   *\\nFROM nosuch')"),
        f"books: no such table: nosuch, {AT}, in: SELECT * FROM nosuch",
    ),
    "creates what exists": Case(
        sql("DELETE FROM alembic_version_books"),
        "books: table books already exists, at src/my_project/books/migrations/…_initial.py,"
        " line 21, in: CREATE TABLE books (…",
    ),
    "fills the disk": Case(
        upgrade_with("op.execute('PRAGMA max_page_count = 1')", "op.execute('CREATE TABLE a (b)')"),
        "books: database or disk is full, at src/my_project/books/migrations/…_initial.py,"
        " line 29, in: CREATE TABLE a (b)",
    ),
    "is interrupted": Case(
        upgrade_with("import os", "os.kill(os.getpid(), 2)"),
        "books: interrupted; run the command again to continue",
    ),
}


@pytest.mark.parametrize(("case", "first"), parameters(upgrade=UPGRADES))
def test_upgrade_fails(case: Case, first: set[str], pending: Project) -> None:
    case.breaks(pending)
    tables = pending.tables()
    interrupted = "interrupted" in case.line
    pending.warm = not (first or interrupted)
    done = pending.run("./migrate.sh", status=130 if interrupted else 1)
    assert_line(done.stderr.rstrip("\n"), case.line)
    [users, summary] = done.stdout.splitlines()
    assert users.startswith("users  applied ")
    assert summary == "stopped at books; not done: none"
    assert pending.tables() == tables
    for command in case.commands:
        assert_line(refused(pending, *COMMANDS[command]), case.line)


def test_interrupted_while_starting(pending: Project) -> None:
    file("argparse.py", "import os\nos.kill(os.getpid(), 2)")(pending)  # before any other
    pending.warm = False
    done = pending.run("./migrate.sh", status=-2)
    assert done.stdout + done.stderr == ""


def test_interrupted_once_while_comparing(changed: Project) -> None:
    changed.warm = False
    once = "import os\nfrom pathlib import Path\nif not Path('once').exists():\n"
    models(f"{once}    Path('once').touch()\n    os.kill(os.getpid(), 2)")(changed)
    done = changed.run("python", "-m", "migrations", "check", status=130)
    assert done.stderr.endswith(": interrupted; run the command again to continue\n")
    assert done.stdout == ""


def test_interrupted_elsewhere(pending: Project, changed: Project, postgresql: Database) -> None:
    line = "interrupted; run the command again to continue"
    pending.warm = changed.warm = False
    models("import os\nos.kill(os.getpid(), 2)")(changed)
    # What users may own depends on the models of all.
    for app, command in (("users", "generate"), ("books", "check")):
        assert refused(changed, *COMMANDS[command]) == f"{app}: {line}"
    upgrade_with("import os", "os.kill(os.getpid(), 2)")(pending)
    pending.environment["DATABASE_URL"] = postgresql.with_driver("postgresql+asyncpg").text
    assert pending.refused("./migrate.sh") == f"books: {line}"
    assert postgresql.tables() == {"users", "alembic_version_users"}


def test_disk_full(pending: Project, changed: Project) -> None:
    line = refused(changed, "bash", "-c", "ulimit -f 0; exec ./generate.sh")
    assert line == "users: File too large"
    line = refused(pending, "bash", "-c", "ulimit -f 0; exec ./migrate.sh")
    assert_line(line, "users: disk I/O error, at …_add_users_email.py, line …, in: ALTER TABLE…")


def read_only(path: Path, *command: str) -> tuple[str, ...]:
    """The command, with a file or a folder that it cannot write to."""
    if os.geteuid() != 0:
        path.chmod(0o555 if path.is_dir() else 0o444)
        return command
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("root may write everywhere, and there is no unshare to mount read-only")
    mount = 'mount --bind "$0" "$0"; mount -o remount,ro,bind "$0"; exec "$@"'
    return ("unshare", "-m", "sh", "-ec", mount, str(path), *command)


def test_read_only(pending: Project, changed: Project) -> None:
    folder = changed.package / "users" / "migrations"
    line = refused(changed, *read_only(folder, "./generate.sh"))
    assert_line(line, "users: src/my_project/users/migrations/….py: …")
    line = refused(pending, *read_only(pending.path / "my_project.db", "./migrate.sh"))
    assert_line(line, "users: attempt to write a readonly database, at …, line …, in: ALTER TABLE…")


def test_type_that_exists_may_be_adopted(tmp_path: Path, postgresql: Database) -> None:
    project = bake(tmp_path, apps="shop", database="postgresql")
    project.environment["DATABASE_URL"] = postgresql.text
    project.add_column("shop", "kind", "sa.Enum('a', 'b', name='kind')")
    project.generate()
    postgresql.query("CREATE TYPE kind AS ENUM ('a', 'b')")
    assert_line(
        project.refused("./migrate.sh"),
        'shop: type "kind" already exists, at …;'
        " if it existed before the app's first revision, run: python -m migrations adopt;"
        " if an earlier attempt left it, drop it",
    )


def test_timeout_of_the_server_is_not_its_end(pending: Project, postgresql: Database) -> None:
    upgrade_with("import time", "time.sleep(1)", "op.execute('SELECT 1')")(pending)
    options = {"options": "-c idle_in_transaction_session_timeout=100"}
    pending.environment["DATABASE_URL"] = Database(postgresql.url.update_query_dict(options)).text
    line = pending.refused("./migrate.sh")
    assert_line(line, "books: terminating connection due to idle-in-transaction timeout, …SELECT 1")


def test_locked_by_another_program(pending: Project, postgresql: Database) -> None:
    url = postgresql.url.update_query_dict({"options": "-c lock_timeout=100"})
    pending.environment["DATABASE_URL"] = Database(url).text
    pending.run("alembic", "--name", "users", "upgrade", "+1")
    with postgresql.engine() as engine, engine.begin() as connection:
        connection.exec_driver_sql("SELECT * FROM users")
        assert_line(
            pending.refused("./migrate.sh"),
            "users: canceling statement due to lock timeout, at …;"
            " another program is using the same tables; run the command again when it is done",
        )


def test_warnings_are_one_line(changed: Project) -> None:
    changed.warm = False
    with changed.revisions("books")[0].open("a") as file:
        file.write("import warnings\nwarnings.warn('odd\\n  thing')\n")
    for command in ("status", "generate"):
        done = changed.run(*COMMANDS[command])
        assert done.stderr == "warning: odd thing\n"


def test_raiseerr_shows_where(pending: Project) -> None:
    def shown(*command: str) -> str:
        done = pending.run("python", "-m", "migrations", "--raiseerr", *command, status=1)
        assert "Traceback" in done.stderr
        assert SECRET not in done.stderr
        return done.stderr

    sound = pending.models("books").read_text()
    models("raise RuntimeError('broken models')")(pending)
    assert "\nRuntimeError: broken models\n" in shown("-n", "books", "check")
    models(sound)(pending)
    upgrade_with("raise RuntimeError('broken revision')")(pending)
    for command in ("migrate", "upgrade head"):
        assert "\nRuntimeError: broken revision\n" in shown(*command.split())
    url(f"{HOSTS['psycopg']}://me:{QUOTED}@localhost:1/books")(pending)
    assert "OperationalError" in shown("status")
