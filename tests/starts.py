"""Repositories that used Alembic in another way before, each made as that way's own docs say."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from project import Project

BASE = """\
import sqlalchemy as sa
from sqlalchemy import orm


class Base(orm.DeclarativeBase):
    pass
"""

USERS = """

class User(Base):
    __tablename__ = "users"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    email: orm.Mapped[str] = orm.mapped_column(sa.String(100), unique=True)
    balance: orm.Mapped[float] = orm.mapped_column(sa.Numeric(10, 2), server_default="0")


class Address(Base):
    __tablename__ = "addresses"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(User.id), index=True)
    street: orm.Mapped[str | None]
"""

ORDERS = """

class Order(Base):
    __tablename__ = "orders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(User.id), index=True)
    placed: orm.Mapped[str] = orm.mapped_column(sa.DateTime, server_default=sa.func.now())
"""

ROWS = {
    "users": "(id, email, balance) VALUES (1, 'ann', 1.5), (2, 'bob', 0)",
    "addresses": "(id, user_id, street) VALUES (7, 1, '7 Eccles Street'), (8, 2, NULL)",
    "orders": "(id, user_id, placed) VALUES (3, 2, '1904-06-16 08:00:00')",
}

MORE = (
    "INSERT INTO users (id, email) VALUES (99, 'admin')",
    "CREATE VIEW customers AS SELECT id, email FROM users",
)
"""What no model has."""

APPS = ("users", "orders")


@dataclass(frozen=True)
class Start:
    """What a repository had before, and which part of docs/adopting.md is about it."""

    title: str
    make: Callable[[Project, Sequence[str]], None]
    """Makes it in an empty folder, with its tables in the databases of these URLs."""
    files: tuple[str, ...] = ("shop.db",)
    """Its databases: one file each on SQLite."""
    variables: tuple[str, ...] = ("DATABASE_URL",)
    """The environment variables that name them elsewhere."""
    models: str = "shop/users/models.py"
    """A file with models of which one is changed in the end."""


def one_environment(repo: Project, urls: Sequence[str]) -> None:
    """Plain `alembic init`, with a revision for tables, one for a column, one for all else."""
    write(repo, "shop/models.py", BASE + USERS + ORDERS)
    init(repo, "alembic", urls)
    edit(repo, "alembic/env.py", "target_metadata = None", imports("models", "target_metadata"))
    autogenerate(repo)
    append(repo, "shop/models.py", "    note: orm.Mapped[str | None]\n")
    autogenerate(repo)
    repo.run("alembic", "revision", "-m", "first rows")
    [revision] = (repo.path / "alembic" / "versions").glob("*_first_rows.py")
    lines = "".join(f'    op.execute("{statement}")\n' for statement in MORE)
    revision.write_text(revision.read_text().replace("    pass\n", lines, 1))
    repo.run("alembic", "upgrade", "head")


def copied_environments(repo: Project, urls: Sequence[str]) -> None:
    """An env.py in every app, which hides the other apps' tables, and a section for each."""
    packages(repo)
    ini = f"[DEFAULT]\nprepend_sys_path = .\nsqlalchemy.url = {urls[0]}\n"
    for app in APPS:
        folder = f"shop/{app}/migrations"
        init(repo, folder, urls)
        edit(
            repo,
            f"{folder}/env.py",
            "target_metadata = None",
            f"{imports(f'{app}.models', 'target_metadata')}\n"
            "def include_object(item, name, kind, reflected, compare_to):\n"
            "    return compare_to is not None or not reflected",
        )
        edit(
            repo,
            f"{folder}/env.py",
            "connection=connection,",
            f"connection=connection, version_table='alembic_version_{app}',"
            " include_object=include_object,",
        )
        ini += f"[{app}]\nscript_location = %(here)s/{folder}\n"
    logging = (repo.path / "alembic.ini").read_text().partition("\n[loggers]\n")
    write(repo, "alembic.ini", ini + "".join(logging[1:]))
    autogenerate(repo, names=APPS)


def create_all(repo: Project, urls: Sequence[str]) -> None:
    """No Alembic."""
    packages(repo)
    lines = ["import sqlalchemy", f"engine = sqlalchemy.create_engine({urls[0]!r})"]
    for app in APPS:
        lines += [imports(f"{app}.models", "metadata"), "metadata.create_all(engine)"]
    repo.run("python", "-c", "\n".join(lines))


def create_all_and_stamp(repo: Project, urls: Sequence[str]) -> None:
    """Tables made by `create_all`, and a revision that changes one and cannot make it."""
    create_all(repo, urls)
    init(repo, "alembic", urls)
    lines = [imports(f"{app}.models", app) for app in APPS]
    lines.append("target_metadata = [users, orders]")
    edit(repo, "alembic/env.py", "target_metadata = None", "\n".join(lines))
    append(repo, "shop/orders/models.py", "    note: orm.Mapped[str | None]\n")
    autogenerate(repo)


def multidb(repo: Project, urls: Sequence[str]) -> None:
    """Alembic's own template for several databases, which no foreign key can cross."""
    packages(repo, ORDERS.replace("sa.ForeignKey(User.id), ", ""))
    init(repo, "alembic", urls, "--template", "multidb")
    both = [imports(f"{app}.models", app) for app in APPS]
    targets = "target_metadata = {'engine1': users, 'engine2': orders}"
    edit(repo, "alembic/env.py", "target_metadata = {}", "\n".join([*both, targets]))
    autogenerate(repo)


def several_bases(repo: Project, urls: Sequence[str]) -> None:
    """Two version folders in one environment, which share one version table."""
    packages(repo)
    init(repo, "alembic", urls)
    folders = [f"%(here)s/shop/{app}/versions" for app in APPS]
    edit(
        repo,
        "alembic.ini",
        "path_separator = os",
        f"path_separator = newline\nversion_locations =\n  {folders[0]}\n  {folders[1]}",
    )
    line = imports("users.models", "users")
    edit(repo, "alembic/env.py", "target_metadata = None", f"{line}\ntarget_metadata = [users]")
    autogenerate(repo, "--head base --version-path shop/users/versions")
    line = imports("orders.models", "orders")
    edit(
        repo,
        "alembic/env.py",
        "target_metadata = [users]",
        f"{line}\ntarget_metadata = [users, orders]",
    )
    autogenerate(repo, "--head base --version-path shop/orders/versions")


STARTS = [
    Start("One Alembic environment becomes one app", one_environment, models="shop/models.py"),
    Start("One Alembic environment becomes several apps", one_environment, models="shop/models.py"),
    Start("A copied env.py in every app", copied_environments),
    Start("Tables made by `create_all`", create_all),
    Start("Tables made by `create_all`", create_all_and_stamp),
    Start(
        "Alembic's multidb template",
        multidb,
        ("engine1.db", "engine2.db"),
        ("ENGINE1_DATABASE_URL", "ENGINE2_DATABASE_URL"),
    ),
    Start("Several version folders in one environment", several_bases),
]


def packages(repo: Project, orders: str = ORDERS) -> None:
    """A package with models for each of two apps; the one refers to the other's."""
    write(repo, "shop/users/models.py", BASE + USERS)
    write(repo, "shop/orders/models.py", f"from shop.users.models import User\n{BASE}{orders}")


def imports(module: str, name: str) -> str:
    """A line that imports the MetaData of a module by a name."""
    return f"from shop.{module} import Base; {name} = Base.metadata"


def init(repo: Project, folder: str, urls: Sequence[str], *options: str) -> None:
    """Run `alembic init`, and write the URLs into its ini."""
    repo.run("alembic", "init", *options, folder)
    todo = list(urls)
    text = (repo.path / "alembic.ini").read_text()
    text = re.sub(r"(?m)^sqlalchemy.url = .*", lambda _: f"sqlalchemy.url = {todo.pop(0)}", text)
    write(repo, "alembic.ini", text)


def autogenerate(repo: Project, options: str = "", names: Sequence[str] = ("alembic",)) -> None:
    """Write a revision with plain Alembic, and run it; for several sections if need be."""
    for name in names:
        for command in (f"revision --autogenerate -m old {options}", "upgrade heads"):
            repo.run("alembic", "--name", name, *command.split())


def write(repo: Project, path: str, text: str) -> None:
    """Write a file, and the folders above it."""
    file = repo.path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def append(repo: Project, path: str, text: str) -> None:
    """Write at the end of a file."""
    with (repo.path / path).open("a") as file:
        file.write(text)


def edit(repo: Project, path: str, old: str, new: str) -> None:
    """Replace what stands once in a file."""
    text = (repo.path / path).read_text()
    assert text.count(old) == 1, f"not once in {path}: {old}"
    write(repo, path, text.replace(old, new))
