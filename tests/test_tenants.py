"""The same apps for many tenants."""

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from private_servers import pgbouncer, private_server
from project import SECRET, Project, bake
from revisions import Checkpoints, add_revision
from tenants import KINDS, Tenants, with_tenants

ALL_OF_THEM = """
import os
import sqlalchemy as sa

def all_of_them():
    with sa.create_engine(os.environ["DATABASE_URL"]).connect() as connection:
        return connection.scalars(sa.text("SELECT name FROM accounts")).all()
"""

CREATE = "create one with: python -m migrations tenant NAME"

INVALID = "is not valid; use at most 63 letters, digits and underscores"

TENANT = "op.get_bind().engine.url.database.rpartition('/')[2].partition('.')[0]"
"""For a revision: the name of the tenant, on SQLite."""

NAMES = ("acme", "beta", "gamma", "delta", "omega")


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Tenants]:
    """Tenants in an SQLite file each."""
    with with_tenants("sqlite", tmp_path) as tenants:
        yield tenants


@pytest.fixture
def schemas(tmp_path: Path) -> Iterator[Tenants]:
    """Tenants in a schema each."""
    with with_tenants("schemas", tmp_path) as tenants:
        yield tenants


def heads(project: Project) -> tuple[str, str]:
    """The heads of both apps."""
    found = dict(re.findall(r"(?m)^(\w+):\n(\w+) \(head\)$", project.migrations("heads")))
    return found["users"], found["books"]


@pytest.mark.parametrize("kind", KINDS)
def test_story(kind: str, tmp_path: Path) -> None:
    with with_tenants(kind, tmp_path) as tenants:
        project = tenants.project
        tenants.make(*NAMES)
        assert project.generate().count("initial") == 2
        users, books = heads(project)
        created = f"created a schema for 5 tenants: {', '.join(NAMES)}\n"
        assert project.migrate("--jobs", "2") == (created if kind == "schemas" else "") + (
            f"users  applied {users} (initial) in 5 tenants\n"
            f"books  applied {books} (initial) in 5 tenants\n"
        )
        assert tenants.all_alike(NAMES)
        assert (
            project.migrate() == "users  up to date in 5 tenants\nbooks  up to date in 5 tenants\n"
        )
        assert project.migrations("check", "--tenant", "*") == (
            "users  no changes in 5 tenants\nbooks  no changes in 5 tenants\n"
        )

        project.add_column("users", "email")
        for name in NAMES[1:4]:
            tenants.of(name).query("ALTER TABLE users ADD COLUMN email INTEGER")
        project.generate()
        email, _ = heads(project)
        done = project.run("./migrate.sh", "--jobs", "2", status=1)
        assert done.stdout == (
            f"users  applied {email} (add users email) in 2 tenants\n"
            "books  up to date in 2 tenants\n"
        )
        [error, last] = done.stderr.splitlines()
        assert error.startswith("users: ")
        assert error.endswith(" (3 tenants: beta, gamma, delta)")
        again = "./migrate.sh --tenant beta --tenant gamma --tenant delta"
        assert last == f"3 of 5 tenants failed; to retry, run: {again}"
        assert [line.split() for line in project.migrations("status").splitlines()] == [
            ["app", "current", "head", "pending", "tenants"],
            ["users", users, email, "1", "3", "tenants:", "beta,", "gamma,", "delta"],
            ["users", email, email, "0", "2", "tenants"],
            ["books", books, books, "0", "5", "tenants"],
        ]
        found = json.loads(project.migrations("status", "--json"))
        assert [(row["tenant"], row["app"], len(row["pending"])) for row in found][2:4] == [
            ("beta", "users", 1),
            ("beta", "books", 0),
        ]
        for name in NAMES[1:4]:
            tenants.of(name).query("ALTER TABLE users DROP COLUMN email")
        assert project.run(*again.split()).stdout == (
            f"users  applied {email} (add users email) in 3 tenants\n"
            "books  up to date in 3 tenants\n"
        )
        assert tenants.all_alike(NAMES)

        done = project.run("python", "-m", "migrations", "tenant", "new")
        created, _, said = done.stdout.partition("users  ")
        assert created.startswith("created ") or kind == "schemas"
        assert f"users  {said}" == (
            f"users  applied {users} (initial), {email} (add users email)\n"
            f"books  applied {books} (initial)\n"
            "new is not in tenants.txt yet; add it\n"
        )
        assert tenants.all_alike(["acme", "new"])
        project.migrations("-n", "users", "downgrade", "-1", "--tenant", "a*")
        tenants.name(*NAMES, "new")
        assert "users  up to date in 5 tenants" not in project.migrate("--tenant", "a*")
        assert tenants.all_alike([*NAMES, "new"])
        done = project.run("python", "-m", "migrations", "downgrade", "base", "--jobs", "2")
        assert done.stderr == ""
        assert done.stdout.splitlines() == [
            "6 tenants: acme, beta, gamma, delta, omega, new",
            "books:",
            f"Running downgrade {books} -> , initial",
            "users:",
            f"Running downgrade {email} -> {users}, add users email",
            f"Running downgrade {users} -> , initial",
        ]
        assert tenants.of("beta").tables() == {"alembic_version_users", "alembic_version_books"}


def test_plain_alembic_for_one_tenant(schemas: Tenants) -> None:
    project = schemas.project
    schemas.make("acme", "beta")
    project.generate()
    project.migrate("--tenant", "acme")
    users, _ = heads(project)
    current = ("--name", "users", "current")
    done = project.run("alembic", "-x", "tenant=acme", *current)
    assert done.stdout == f"{users} (head)\n"
    assert project.run("alembic", "-x", "tenant=beta", *current).stdout == ""
    assert project.refused("alembic", *current) == (
        "users: has tenants; name one: --tenant NAME, or alembic -x tenant=NAME"
    )
    unknown = project.refused("alembic", "-x", "tenant=gamma", *current)
    assert unknown == f"tenants: there is no tenant gamma; {CREATE}"
    project.migrations("-x", "tenant=acme", "downgrade", "base")
    assert "users" not in schemas.of("acme").tables()


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ("acme\nbad-name", f"'bad-name' {INVALID}"),
        (f"postgresql://me:{SECRET}@host/db", f"'postgresql' {INVALID}"),
        ('acme\nx"; DROP', f"'x\";' {INVALID}"),
        ("acme\nbeta\nacme", "acme and acme have the same name or URL; correct one"),
        (
            "acme sqlite:///x.db\nbeta sqlite:///x.db",
            "acme and beta have the same name or URL; correct one",
        ),
        ("# nobody yet\n", f"there is no tenant *; {CREATE}"),
        (None, "tenants.txt: No such file or directory"),
    ],
)
def test_bad_lists(names: str | None, line: str, sqlite: Tenants) -> None:
    sqlite.make("acme")
    sqlite.project.generate()
    if names is None:
        (sqlite.project.path / "tenants.txt").unlink()
    else:
        (sqlite.project.path / "tenants.txt").write_text(names)
    for command in (["./migrate.sh"], ["./migrate.sh", "--jobs", "2"], ["./generate.sh"]):
        assert sqlite.project.refused(*command) == f"tenants: {line}"
    assert not (sqlite.project.path / "acme.db").stat().st_size


def test_a_bad_list_is_found_before_shared_apps_move(sqlite: Tenants) -> None:
    project = sqlite.project
    project.set_ini("users", "tenants", "none")
    project.environment["DATABASE_URL"] = f"sqlite:///{project.path}/my_project.db"
    sqlite.name("acme", "a-b")
    project.generate("users")
    assert project.refused("./migrate.sh") == f"tenants: 'a-b' {INVALID}"
    assert project.tables() == set()
    sqlite.name()
    assert "users  applied" in project.run("./migrate.sh", status=1).stdout


def test_refused(sqlite: Tenants) -> None:
    project = sqlite.project
    sqlite.make("acme", "beta")
    project.generate()
    none = f"tenants: there is no tenant x*; {CREATE}"
    assert project.refused("./migrate.sh", "--tenant", "x*") == none
    for part in ("3/2", "1", "x/y", "1/0"):
        wrong = f"--part is {part}; write K/N, with K from 0 to N-1 or from 1 to N"
        assert project.refused("./migrate.sh", "--part", part) == wrong
    several = ("alembic", "-x", "tenant=*", "--name", "users", "current")
    one = "tenants: * is more than one; name one, such as acme"
    assert project.refused(*several) == one
    assert project.refused("./generate.sh", "--tenant", "*") == one
    line = project.refused("./migrate.sh", "--sql")
    assert line.startswith("users: has tenants; name one: ")
    assert "CREATE TABLE users" in project.migrate("--sql", "--tenant", "acme")
    bad = f"tenants: 'a-b' {INVALID}"
    assert project.refused("python", "-m", "migrations", "tenant", "a-b") == bad
    project.set_ini("DEFAULT", "tenant_schema", "s_{tenant}")
    wrong = (
        "users: tenant_schema needs PostgreSQL, no version_table_schema, and a name of at most 63"
        " letters, digits and underscores, not 's_acme'; correct it in alembic.ini"
    )
    assert project.refused("./migrate.sh") == wrong
    project.remove_line(project.path / "alembic.ini", "tenant_schema")
    project.set_ini("DEFAULT", "tenant_url", "sqlite:///one.db")
    line = project.run("./migrate.sh", status=1).stderr
    assert "users: all tenants would share one database; write {tenant} in " in line
    shutil.rmtree(project.path / "migrations" / "extras")
    missing = "an app with tenants needs migrations/extras/tenant/; copy it from the template"
    assert project.refused("./migrate.sh") == f"users: {missing}"


def test_a_project_that_was_baked_without_tenants(project: Project) -> None:
    project.set_ini("DEFAULT", "tenants", "tenants.txt")
    missing = "an app with tenants needs migrations/extras/tenant/; copy it from the template"
    assert project.refused("./migrate.sh") == f"users: {missing}"


def test_tenants_without_tenants(tmp_path: Path) -> None:
    project = bake(tmp_path, tenants=True)
    line = "--tenant acme: is only for apps with tenants; leave it out"
    assert project.refused("./migrate.sh", "--tenant", "acme") == line


def test_parts(sqlite: Tenants) -> None:
    names = [f"t{number}" for number in range(30)]
    sqlite.make(*names)
    sqlite.project.generate()
    counts = []
    for part in ("1/3", "2/3", "3/3"):
        found = re.search(r"in (\d+) tenants", sqlite.project.migrate("--part", part))
        assert found
        counts.append(int(found[1]))
    assert sum(counts) == 30
    assert min(counts) > 3
    assert "in 30 tenants" in sqlite.project.migrate()
    assert sqlite.project.migrate("--part", "0/3") == sqlite.project.migrate("--part", "3/3")


def test_ends_after_so_many_failures(sqlite: Tenants) -> None:
    sqlite.make(*NAMES)
    add_revision(sqlite.project, "users", "raise RuntimeError('no')")
    done = sqlite.project.run("./migrate.sh", "--max-failures", "2", status=1)
    [error, last] = done.stderr.splitlines()
    assert error.endswith(" (2 tenants: acme, beta)")
    rest = " ".join(f"--tenant {name}" for name in NAMES)
    assert last == f"2 of 5 tenants failed, 3 not begun; to continue, run: ./migrate.sh {rest}"

    names = [f"t{number}" for number in range(12)]
    sqlite.make(*names)
    done = sqlite.project.run("./migrate.sh", "--max-failures", "2", status=1)
    [_, last] = done.stderr.splitlines()
    assert last == "2 of 12 tenants failed, 10 not begun; to continue, run: ./migrate.sh"

    # A relative target goes further each time: only for tenants that are not done.
    upgrade = ("python", "-m", "migrations", "-n", "users", "upgrade", "+1")
    done = sqlite.project.run(*upgrade, "--max-failures", "1", status=1)
    rest = " ".join(f"--tenant {name}" for name in names)
    assert done.stderr.endswith(
        "1 of 12 tenants failed, 11 not begun; to continue, run: python -m migrations upgrade +1"
        f" -n users {rest}\n"
    )


def test_shared_apps_first(tmp_path: Path) -> None:
    """A function finds the tenants in a table of a shared app, which migrate creates before."""
    with with_tenants("schemas", tmp_path, apps="accounts, users, books") as tenants:
        project = tenants.project
        project.set_ini("accounts", "tenants", "none")
        project.set_ini("DEFAULT", "tenants", "my_project.tenants:all_of_them")
        accounts, users = project.models("accounts"), project.models("users")
        table = '__tablename__ = "accounts"'
        in_public = f'{table}\n    __table_args__ = {{"schema": "public"}}'
        accounts.write_text(accounts.read_text().replace(table, in_public))
        key = "    account: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(Account.id))\n"
        shared = "from my_project.accounts.models import Account\n"
        users.write_text(
            users.read_text().replace("from my_project.naming", f"{shared}from my_project.naming")
            + key
        )
        (project.package / "tenants.py").write_text(ALL_OF_THEM)

        line = project.refused("./generate.sh")
        assert line == 'tenants: relation "accounts" does not exist'
        project.generate("accounts")
        line = project.refused("./migrate.sh")
        assert line == f"tenants: there is no tenant *; {CREATE}"
        tenants.base.query("INSERT INTO accounts (name) VALUES ('acme'), ('beta')")
        project.generate()
        [initial] = project.revisions("users")
        [needed] = project.revisions("accounts")
        assert f"accounts:{needed.name.split('_')[4]}" in initial.read_text()
        out = project.migrate("--jobs", "2")
        assert [line.split()[:2] for line in out.splitlines()] == [
            ["accounts", "up"],
            ["created", "a"],
            ["users", "applied"],
            ["books", "applied"],
        ]
        assert out.endswith(" (initial) in 2 tenants\n")
        assert tenants.base.tables() == {"accounts", "alembic_version_accounts"}
        assert len(tenants.of("beta").schema()["users foreign_keys"]) == 1
        assert project.generate() == (
            "with acme, the first of 2 tenants:\n"
            "accounts  no changes\nusers     no changes\nbooks     no changes\n"
        )
        project.migrations("check", "--tenant", "*")
        rows = json.loads(project.migrations("status", "--json"))
        assert [(row["tenant"], row["app"]) for row in rows][:2] == [
            (None, "accounts"),
            ("acme", "users"),
        ]
        assert project.migrations("status").splitlines()[1].endswith("shared")
        project.migrations("downgrade", "base")
        assert tenants.base.tables() == {"alembic_version_accounts"}


def test_interrupted(sqlite: Tenants) -> None:
    project = sqlite.project
    sqlite.make(*NAMES)
    create = "op.create_table('users', sa.Column('id', sa.Integer))"
    add_revision(project, "users", f"{create}; reach({TENANT})")
    for jobs in ("1", "2"):
        checkpoints = Checkpoints.of(project)
        checkpoints.order("wait at gamma")
        with project.started("./migrate.sh", "--jobs", jobs, env=checkpoints.env) as run:
            checkpoints.wait_for("gamma", run)
            run.send_signal(signal.SIGINT)
            _, err = run.communicate(timeout=60)
        assert run.returncode == 130, err
        *_, gamma, last = err.splitlines()
        assert gamma.startswith("users: interrupted; run the command again to continue (")
        assert "gamma" in gamma
        assert re.fullmatch(
            r"\d of 5 tenants failed(, \d not begun; to continue, run: .*|; to retry, .*)", last
        ), err
        assert "Traceback" not in err
        assert sqlite.of("gamma").tables() == set()


def test_killed_worker_costs_its_tenant(sqlite: Tenants) -> None:
    project = sqlite.project
    sqlite.make(*NAMES)
    create = "op.create_table('users', sa.Column('id', sa.Integer))"
    pid = f"reach('pid ' + {TENANT} + ' ' + str(__import__('os').getpid()))"
    add_revision(project, "users", f"{create}; {pid}; reach({TENANT})")
    checkpoints = Checkpoints.of(project)
    checkpoints.order("wait at beta")
    with project.started("./migrate.sh", "--jobs", "2", env=checkpoints.env) as run:
        checkpoints.wait_for("beta", run)
        [worker] = (it.split()[2] for it in checkpoints.reached() if it.startswith("pid beta"))
        os.kill(int(worker), signal.SIGKILL)
        out, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "users  applied users_1 () in 4 tenants" in out
    assert err.splitlines() == [
        "beta: its process was killed by signal 9 (1 tenant: beta)",
        "1 of 5 tenants failed; to retry, run: ./migrate.sh --tenant beta",
    ]
    assert "up to date in 4 tenants" in project.migrate()


def test_from_a_program(sqlite: Tenants) -> None:
    sqlite.make("acme", "beta")
    sqlite.project.generate()
    lines = (
        "import os",
        "from migrations.commands.migrate import migrate_apps",
        "os.chdir('/')",  # the file of tenants is beside alembic.ini
        "migrate_apps(tenant='acme')",
        "migrate_apps()",
        "migrate_apps(tenant='gamma')",
    )
    done = sqlite.project.run("python", "-c", "\n".join(lines), status=1)
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].endswith(f"tenants: there is no tenant gamma; {CREATE}")
    assert sqlite.all_alike(["acme", "beta"])


@pytest.mark.parametrize("kind", KINDS)
def test_async_drivers(kind: str, tmp_path: Path) -> None:
    """And the tests of the project itself."""
    with with_tenants(kind, tmp_path, async_driver=True) as tenants:
        project = tenants.project
        driver = {"sqlite": "aiosqlite", "mysql": "aiomysql"}.get(kind, "asyncpg")
        url = tenants.base.with_driver(f"{tenants.base.url.get_backend_name()}+{driver}")
        if kind == "schemas":
            project.environment["DATABASE_URL"] = url.text
        else:
            place = tenants.url.partition(":")[2]
            project.environment["TENANT_URL"] = f"{url.url.drivername}:{place}"
        tenants.make("acme", "beta")
        project.generate()
        assert project.migrate("--jobs", "2").count(" in 2 tenants") == 2
        project.add_column("users", "email")
        project.generate()
        assert "(add users email) in 2 tenants" in project.migrate()
        assert project.migrations("check", "--tenant", "*").count("no changes in 2 tenants") == 2
        assert tenants.all_alike(["acme", "beta"])
        project.environment["DATABASE_URL"] = url.text if kind != "sqlite" else ""
        done = project.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
        assert "failed" not in done.stdout


def test_adopt_tables_of_tenants(schemas: Tenants) -> None:
    """The tables are there, nobody is stamped, and one tenant is not like the others."""
    schemas.make("acme", "beta", "gamma")
    for name in ("acme", "beta", "gamma"):
        schemas.base.query(f"CREATE SCHEMA s_{name}")
        size = 100 if name == "beta" else 200
        for table in ("users", "books"):
            columns = f"id SERIAL CONSTRAINT pk_{table} PRIMARY KEY, name VARCHAR({size}) NOT NULL"
            schemas.of(name).query(f"CREATE TABLE {table} ({columns})")
    adopt = ("python", "-m", "migrations", "adopt", "--yes")
    line = "tenants: * is more than one; name one, such as acme"
    assert schemas.project.refused(*adopt, "--tenant", "*") == line
    schemas.project.migrations("adopt", "--yes")
    done = schemas.project.run(*adopt, "--tenant", "*", status=1)
    assert re.sub(r"[0-9a-f]{12}", "ID", done.stdout) == (
        "users  stamped already: ID in 1 tenant\n       stamped ID in 1 tenant\n"
        "books  stamped already: ID in 1 tenant\n       stamped ID in 1 tenant\n"
    )
    assert done.stderr.splitlines()[0].endswith(" (1 tenant: beta)")
    assert schemas.project.migrations("check", "--tenant", "[ag]*").count("in 2 tenants") == 2


def test_remove_is_refused(sqlite: Tenants) -> None:
    sqlite.make("acme", "beta")
    sqlite.project.generate()
    sqlite.project.migrate()
    remove = ("python", "-m", "migrations", "remove", "users")
    assert sqlite.project.refused(*remove, "--yes") == (
        "users: remove needs one database; first run python -m migrations -n users downgrade"
        " base, then python -m migrations remove --keep-tables users"
    )
    sqlite.project.migrations("-n", "users", "downgrade", "base")
    sqlite.project.migrations("remove", "--keep-tables", "users", "--yes")
    assert sqlite.project.migrate() == "books  up to date in 2 tenants\n"


def test_schemas_behind_a_pgbouncer_that_ignores_options(schemas: Tenants) -> None:
    schemas.make("acme", "beta")
    schemas.project.generate()
    with private_server(pgbouncer) as server:
        url = server.database.url.set(database=schemas.base.url.database)
        schemas.project.environment["DATABASE_URL"] = url.render_as_string(hide_password=False)
        done = schemas.project.run("./migrate.sh", status=1)
    assert "the session is in the schema public, not s_acme, " in done.stderr
    assert schemas.base.tables() == set()


def test_long_names_of_schemas(schemas: Tenants) -> None:
    schemas.make("a" * 62)
    assert f"not 's_{'a' * 62}'; correct it in " in schemas.project.refused("./migrate.sh")


def test_sql_for_a_schema(schemas: Tenants) -> None:
    schemas.make("acme", "beta")
    schemas.project.generate()
    sql = schemas.project.migrate("--sql", "--tenant", "acme")
    with schemas.base.engine() as engine, engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(sql)
    assert schemas.base.tables() == set()
    assert schemas.project.migrate("--tenant", "acme").count("up to date") == 2
    assert "users" in schemas.of("acme").tables()


def test_one_server_of_many_is_down(schemas: Tenants) -> None:
    here = schemas.base.text
    down = schemas.base.url.set(host="127.0.0.1", port=1).render_as_string(hide_password=False)
    schemas.make(f"acme {here}?application_name=a", f"beta {down}", f"gamma {here}")
    schemas.project.environment["DATABASE_URL"] = here
    schemas.project.generate()
    done = schemas.project.run("./migrate.sh", status=1)
    assert done.stdout.count("(initial) in 2 tenants") == 2
    assert "(1 tenant: beta)" in done.stderr


def test_a_part_without_tenants(sqlite: Tenants) -> None:
    sqlite.make("acme")
    sqlite.project.generate()
    out = [sqlite.project.migrate("--part", f"{part}/5") for part in range(5)]
    assert sorted(map(len, out))[:4] == [0] * 4


@pytest.mark.parametrize("kind", ["sqlite", "schemas"])
def test_downgrade_of_what_a_tenant_requires(kind: str, tmp_path: Path) -> None:
    with with_tenants(kind, tmp_path, apps="accounts, users") as tenants:
        project = tenants.project
        project.set_ini("accounts", "tenants", "none")
        project.environment["DATABASE_URL"] = tenants.base.text
        tenants.make("acme", "beta")
        required = add_revision(project, "accounts", "pass")
        add_revision(project, "accounts", "pass")
        add_revision(project, "users", "pass", requires=f"accounts:{required}")
        project.migrate()
        downgrade = ("python", "-m", "migrations", "-n", "accounts", "downgrade")
        project.run(*downgrade, "-1")  # nobody requires that one
        project.migrations("-n", "users", "downgrade", "base", "--tenant", "acme")
        line = (
            "accounts: revision users_1 of users still requires accounts:accounts_1;"
            " first run: python -m migrations -n users downgrade base"
        )
        done = project.run(*downgrade, "-1", status=1)
        assert done.stderr.splitlines()[-1] == line
        plain = project.run("alembic", "--name", "accounts", "downgrade", "base", status=None)
        assert plain.returncode
        assert "FAILED: users: has tenants" in plain.stdout
        project.migrations("-n", "users", "downgrade", "base", "--tenant", "beta")
        project.run(*downgrade, "-1")
        project.migrate()
        project.migrations("downgrade", "base")


def test_downgrade_of_a_part_leaves_shared_apps(tmp_path: Path) -> None:
    """The other parts may still need them, and each part would downgrade them once more."""
    with with_tenants("sqlite", tmp_path, apps="accounts, users") as tenants:
        project = tenants.project
        project.set_ini("accounts", "tenants", "none")
        project.environment["DATABASE_URL"] = tenants.base.text
        tenants.make("acme", "beta", "gamma")
        for app in ("accounts", "users"):
            add_revision(project, app, "pass")
        add_revision(project, "accounts", "pass")
        project.migrate()
        for part in ("1/2", "2/2"):
            project.migrations("downgrade", "-1", "--part", part)
        assert project.migrations("-n", "accounts", "current") == "accounts_2 (head)\n"
        assert "users_1" not in project.migrations("-n", "users", "current")


def test_x_arguments_from_a_program(sqlite: Tenants) -> None:
    sqlite.make("acme")
    read = "from alembic import context; assert context.get_x_argument(as_dictionary=True) == {}"
    add_revision(sqlite.project, "users", read)
    lines = (
        "from migrations.commands.migrate import migrate_apps",
        "migrate_apps()",
    )
    sqlite.project.run("python", "-c", "\n".join(lines))


@pytest.mark.parametrize("rest", [f":x@{SECRET}@127.0.0.1:1/db", f":{SECRET}/db"])
def test_no_password_of_a_bad_url_is_shown(rest: str, schemas: Tenants) -> None:
    """The password has an unquoted @, or the host is forgotten, so the password is the port."""
    project, bad = schemas.project, f"postgresql+psycopg://me{rest}"
    schemas.make("acme", "beta")
    project.generate()
    project.environment["DATABASE_URL"] = bad
    line = project.refused("./migrate.sh")
    assert line.startswith("users: DATABASE_URL is not a database URL like ")
    project.environment["DATABASE_URL"] = schemas.base.text
    schemas.name("acme", f"beta {bad}")
    for jobs in ("1", "2"):
        done = project.run("./migrate.sh", "--jobs", jobs, status=1)
        assert "users: the URL of beta is not a database URL like " in done.stderr
        assert SECRET not in done.stdout + done.stderr
        assert done.stdout.count(" in 1 tenant\n") == 2


def test_one_schema_cannot_be_read(schemas: Tenants) -> None:
    schemas.make("acme", "beta", "gamma")
    schemas.project.generate()
    schemas.project.migrate()
    schemas.base.query("ALTER TABLE s_beta.alembic_version_users RENAME version_num TO other")
    for command in (("./migrate.sh",), ("python", "-m", "migrations", "status")):
        done = schemas.project.run(*command, status=1)
        assert done.stdout.count(" 2 tenants") == 2
        assert "(1 tenant: beta)" in done.stderr


def test_schema_that_must_not_be_created(schemas: Tenants) -> None:
    schemas.make("acme")
    schemas.project.generate()
    with schemas.base.reader("secret") as url:
        schemas.project.environment["DATABASE_URL"] = url.render_as_string(hide_password=False)
        done = schemas.project.run("./migrate.sh", status=1)
    assert "created" not in done.stdout


def test_urls_from_a_function(schemas: Tenants) -> None:
    """SQLAlchemy shows its own without their passwords. One in a nullable column may be None."""
    project = schemas.project
    (project.package / "tenants.py").write_text(
        "import os\nfrom sqlalchemy import make_url\n"
        "def pairs():\n"
        "    return [('acme', make_url(os.environ['DATABASE_URL'])), ('beta', None)]\n"
    )
    project.set_ini("DEFAULT", "tenants", "my_project.tenants:pairs")
    url = schemas.base.url.set(password="secret")
    project.environment["DATABASE_URL"] = url.render_as_string(hide_password=False)
    add_revision(project, "users", "assert op.get_bind().engine.url.password == 'secret'")
    assert "applied users_1 () in 2 tenants" in project.migrate()


def test_history_of_one_tenant(sqlite: Tenants) -> None:
    sqlite.make("acme", "beta")
    sqlite.project.generate()
    sqlite.project.migrate("--tenant", "beta")
    users, _ = heads(sqlite.project)
    history = ("-n", "users", "history", "-i", "--tenant")
    assert f"{users} (head), initial" in sqlite.project.migrations(*history, "acme")
    assert "(current)" in sqlite.project.migrations(*history, "beta")


def test_interrupted_before_the_first_connection(schemas: Tenants) -> None:
    """Tenants that are up to date need no connection, and end like the others."""
    schemas.make("acme", "beta")
    add_revision(schemas.project, "users", "pass")
    schemas.project.migrate()
    [revision] = schemas.project.revisions("users")
    revision.write_text(revision.read_text() + "reach('load')\n")
    checkpoints = Checkpoints.of(schemas.project)
    checkpoints.order("wait at load")
    with schemas.project.started("./migrate.sh", env=checkpoints.env) as run:
        checkpoints.wait_for("load", run)
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "1 not begun" in err


def test_worker_dies_while_it_sends_its_result(sqlite: Tenants) -> None:
    sqlite.make("acme", "beta")
    add_revision(
        sqlite.project,
        "users",
        f"""\
        import os
        from multiprocessing.connection import Connection
        if {TENANT} == 'acme':
            die = lambda self, data: (os.write(self.fileno(), bytes(data)[:5]), os._exit(9))
            Connection._send = die
        """,
    )
    done = sqlite.project.run("./migrate.sh", "--jobs", "2", status=1)
    assert done.stderr.splitlines()[0] == "acme: its process exited with 9 (1 tenant: acme)"
    assert "in 1 tenant" in done.stdout


def test_half_done_revision_of_a_shared_app(tmp_path: Path) -> None:
    with with_tenants("mysql", tmp_path, apps="accounts, users") as tenants:
        project = tenants.project
        project.set_ini("accounts", "tenants", "none")
        project.environment["DATABASE_URL"] = tenants.base.text
        tenants.make("acme")
        create = "op.create_table('accounts', sa.Column('id', sa.Integer))"
        add_revision(project, "accounts", f"{create}; raise RuntimeError('no')")
        project.run("./migrate.sh", status=1)
        said = project.migrations("status")
        assert "revision accounts_1 is half done" in said
        assert "None" not in said


def test_line_to_paste_is_for_the_same_apps_and_tenants(sqlite: Tenants) -> None:
    names = [f"t{number}a" for number in range(12)]
    sqlite.make("beta", *names)
    add_revision(sqlite.project, "users", "raise RuntimeError('no')")
    add_revision(sqlite.project, "books", "pass")
    only = ("users", "--tenant", "*0a", "--tenant", "t*", "--part", "0/1")
    done = sqlite.project.run("./migrate.sh", *only, "--max-failures", "1", status=1)
    again = "./migrate.sh -n users --tenant '*0a' --tenant 't*' --part 0/1\n"
    assert done.stderr.endswith(f"1 of 12 tenants failed, 11 not begun; to continue, run: {again}")
    done = sqlite.project.run("./migrate.sh", *only[:3], status=1)
    again = "./migrate.sh -n users --tenant t0a --tenant t10a\n"
    assert done.stderr.endswith(f"2 of 2 tenants failed; to retry, run: {again}")


def test_check_of_a_part(sqlite: Tenants) -> None:
    sqlite.make(*NAMES)
    sqlite.project.generate()
    sqlite.project.migrate()
    out = "".join(sqlite.project.migrations("check", "--part", f"{part}/2") for part in range(2))
    assert sum(map(int, re.findall(r"users +no changes in (\d)", out))) == 5


def test_interrupted_twice(sqlite: Tenants) -> None:
    """A worker that does not stop is terminated. Its tenant is not forgotten."""
    sqlite.make("acme", "beta", "gamma")
    told = "import signal; signal.signal(signal.SIGINT, lambda *_: reach('told'))"
    add_revision(sqlite.project, "users", f"{told}; reach({TENANT})")
    checkpoints = Checkpoints.of(sqlite.project)
    for name in ("acme", "beta"):
        checkpoints.order(f"wait at {name}")
    with sqlite.project.started("./migrate.sh", "--jobs", "2", env=checkpoints.env) as run:
        for names in ("acme", "beta"):
            checkpoints.wait_for(names, run)
        run.send_signal(signal.SIGINT)
        checkpoints.wait_for("told", run)
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "was stopped in the middle (2 tenants: acme, beta)" in err
    assert "2 of 3 tenants failed, 1 not begun" in err
