"""Side by side with plain Alembic: nothing that it gets right is wrong here.

Each case of tests/catalogue/ goes through the same steps in a project and in plain Alembic. What
plain Alembic gets right also goes through a project without autogenerate/. All cases that ought to
succeed do so together; only when they fail is each of them tried alone.
"""

import io
import os
import shutil
import sys
import warnings
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType

import alembic
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from catalogue import BASE, DATABASES, HEADER, Case, cases
from contents import Contents, contents, differences, empty
from project import Project, bake
from servers import Database, new_database

ENV = '''
"""What is in the env.py of Alembic's template `generic`, but for how it connects."""

from alembic import context

given = context.config.attributes
schemas = {table.schema for metadata in given["metadata"] for table in metadata.tables.values()}


def include_name(name, kind, parents):
    return kind != "schema" or name in {None, *schemas}


context.configure(
    connection=given["connection"],
    target_metadata=given["metadata"],
    compare_type=True,
    compare_server_default=True,
    render_as_batch=given["connection"].dialect.name == "sqlite",
    include_schemas=schemas > {None},
    include_name=include_name,
)
with context.begin_transaction():
    context.run_migrations()
'''


def metadata_of(case: Case, after: bool) -> sa.MetaData:
    """Import the models of a case, and return their MetaData."""
    module = ModuleType(f"models_of_{case.name}")
    sys.modules[module.__name__] = module  # a revision may name types that are defined there
    exec(compile(case.models(after), module.__name__, "exec"), module.__dict__)
    found: sa.MetaData = module.Base.metadata
    return found


def set_up(connection: sa.Connection, chosen: Sequence[Case]) -> None:
    """Run what cases need in a database before anything else."""
    for case in chosen:
        for statement in filter(str.strip, case.setup.split(";\n")):
            connection.exec_driver_sql(statement)
    connection.commit()


class Side(ABC):
    """A way to migrate cases: plain Alembic, or a project."""

    @abstractmethod
    def set_models(self, after: bool) -> None:
        """Have the models before or after the change."""

    @abstractmethod
    def generate(self) -> None:
        """Write a revision."""

    @abstractmethod
    def upgrade(self) -> None:
        """Apply the revisions."""

    @abstractmethod
    def check(self) -> None:
        """Fail if models and database differ."""

    @abstractmethod
    def downgrade(self, revision: str) -> None:
        """Take revisions back."""

    @abstractmethod
    def contents(self) -> Contents:
        """Look at what the database holds."""


class Plain(Side):
    """Plain Alembic: its own env.py, one history, called from Python."""

    def __init__(self, folder: Path, connection: sa.Connection, chosen: Sequence[Case]) -> None:
        self.connection = connection
        self.chosen = chosen
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "versions").mkdir(parents=True)
        (folder / "env.py").write_text(ENV)
        template = Path(alembic.__file__).with_name("templates") / "generic" / "script.py.mako"
        shutil.copy(template, folder)
        self.config = Config(stdout=io.StringIO(), cmd_opts=Namespace(quiet=True))
        self.config.set_main_option("script_location", str(folder))
        self.config.set_main_option("path_separator", "newline")
        self.config.attributes["connection"] = connection
        self.number = 0

    def set_models(self, after: bool) -> None:
        self.config.attributes["metadata"] = [metadata_of(case, after) for case in self.chosen]

    def _run(self, function: Callable[..., object], *arguments: object, **more: object) -> None:
        try:
            function(self.config, *arguments, **more)
        finally:
            self.connection.rollback()

    def generate(self) -> None:
        self.number += 1
        self._run(command.revision, autogenerate=True, rev_id=str(self.number))

    def upgrade(self) -> None:
        self._run(command.upgrade, "head")

    def check(self) -> None:
        self._run(command.check)

    def downgrade(self, revision: str) -> None:
        self._run(command.downgrade, revision)

    def contents(self) -> Contents:
        return contents(self.connection)


class Here(Side):
    """A project whose apps have ten cases each, or one with its own `Base`, in one database."""

    def __init__(
        self, folder: Path, database: Database, chosen: Sequence[Case], plug_in: bool = True
    ) -> None:
        self.database = database
        shared = [case for case in chosen if not case.has_own_base]
        groups = [shared[at : at + 10] for at in range(0, len(shared), 10)]
        self.apps = {group[0].name: group for group in groups}
        self.apps |= {case.name: [case] for case in chosen if case.has_own_base}
        kind = database.url.get_backend_name()
        self.project: Project = bake(folder, apps="first", database=kind)
        self.project.environment["DATABASE_URL"] = database.text
        ini = self.project.path / "alembic.ini"
        head, _, rest = ini.read_text().partition("[first]\n")
        _, section, rest = rest.partition("\n[")
        sections = []
        for app in self.apps:
            home = self.project.package / app
            for package in (home / "models", home / "migrations"):
                package.mkdir(parents=True)
            where = f"%(here)s/{home.relative_to(self.project.path)}/migrations"
            metadata = f"{self.project.package.name}.{app}.models:Base.metadata"
            sections.append(f"[{app}]\nmetadata = {metadata}\nversion_locations = {where}\n")
        ini.write_text(head + "\n".join(sections) + section + rest)
        shutil.rmtree(self.project.package / "first")
        if not plug_in:
            shutil.rmtree(self.project.path / "migrations" / "autogenerate")

    def set_models(self, after: bool) -> None:
        for app, group in self.apps.items():
            models = self.project.package / app / "models"
            if group[0].has_own_base:
                (models / "__init__.py").write_text(group[0].models(after))
                continue
            (models / "__init__.py").write_text(HEADER + BASE)
            for case in group:
                base = f"from {self.project.package.name}.{app}.models import Base\n"
                (models / f"{case.name}.py").write_text(case.models(after, base))

    def generate(self) -> None:
        self.project.run("./generate.sh")

    def upgrade(self) -> None:
        self.project.run("./migrate.sh")

    def check(self) -> None:
        self.project.migrations("check")

    def downgrade(self, revision: str) -> None:
        changed = [app for app, group in self.apps.items() if any(case.after for case in group)]
        apps = changed if revision == "-1" else self.apps
        names = [word for name in apps for word in ("-n", name)]
        self.project.migrations(*names, "downgrade", revision)

    def contents(self) -> Contents:
        with self.database.engine() as engine, engine.connect() as connection:
            return contents(connection)


@dataclass
class Expected:
    """What the database has to hold."""

    nothing: Contents
    before: Contents
    after: Contents


def expected(connection: sa.Connection, chosen: Sequence[Case]) -> Expected:
    """Have SQLAlchemy create what the models say, and look at it; the database is empty then."""
    found = []
    for after in (False, True):
        empty(connection)
        set_up(connection, chosen)
        if not after:
            found.append(contents(connection))
        for case in chosen:
            metadata_of(case, after).create_all(connection)
        connection.commit()
        found.append(contents(connection))
    empty(connection)
    return Expected(*found)


def wrong_step(side: Side, chosen: Sequence[Case], wanted: Expected) -> str:
    """Take all steps; return the first that goes wrong, and how, or an empty string."""

    def compare(step: str, should: Contents) -> None:
        if found := differences(should, side.contents()):
            raise AssertionError(f"{step}: {found}")

    step = "generate"
    try:
        for after in (False, True):
            side.set_models(after)
            if after and not any(case.after for case in chosen):
                continue
            step = "generate"
            side.generate()
            step = "upgrade"
            side.upgrade()
            step = "check"
            side.check()
            step = "schema"
            compare("after upgrade", wanted.after if after else wanted.before)
        step = "downgrade"
        if any(case.after for case in chosen):
            side.downgrade("-1")
            compare("to -1", wanted.before)
        side.downgrade("base")
        compare("to base", wanted.nothing)
        step = "upgrade"
        side.upgrade()
        step = "check"
        side.check()
        step = "schema"
        compare("after upgrade from base", wanted.after)
    except Exception as error:
        return f"{step}: {error or type(error).__name__}"
    return ""


@contextmanager
def scratch(kind: str, folder: Path) -> Iterator[sa.Connection]:
    """Connect to a database that is emptied again and again; SQLite's is in memory."""
    with new_database(kind, folder) as database:
        url = sa.make_url("sqlite://") if kind == "sqlite" else database.url
        engine = sa.create_engine(url, poolclass=sa.pool.StaticPool if kind == "sqlite" else None)
        with engine.connect() as connection:
            yield connection
        engine.dispose()


def outcomes(chosen: Sequence[Case], run: Callable[[Sequence[Case]], str]) -> dict[str, str]:
    """Return for each case at which step it goes wrong; halve what fails until it is one case."""
    said = run(chosen) if chosen else ""
    if not said or len(chosen) == 1:
        return dict.fromkeys((case.name for case in chosen), said)
    middle = len(chosen) // 2
    found = outcomes(chosen[:middle], run) | outcomes(chosen[middle:], run)
    together = ", ".join(case.name for case in chosen)
    return found if any(found.values()) else dict.fromkeys(found, f"{said} (with {together})")


@pytest.mark.parametrize("kind", DATABASES)
def test_nothing_is_worse_than_in_plain_alembic(kind: str, tmp_path: Path) -> None:
    names = os.environ.get("CASES", "").split()
    chosen = [case for case in cases(kind) if not names or case.name in names]
    folders = (tmp_path / str(number) for number in count())
    with scratch(kind, tmp_path) as connection, warnings.catch_warnings(action="ignore"):

        def in_plain(few: Sequence[Case]) -> str:
            wanted = expected(connection, few)
            set_up(connection, few)
            side = Plain(tmp_path / "plain", connection, few)
            return wrong_step(side, few, wanted)

        def in_project(few: Sequence[Case], plug_in: bool = True) -> str:
            wanted = expected(connection, few)
            folder = next(folders)
            folder.mkdir()
            with new_database(kind, folder) as database:
                with database.engine() as engine, engine.connect() as own:
                    set_up(own, few)
                return wrong_step(Here(folder, database, few, plug_in), few, wanted)

        found = {}
        for side, run in (("plain", in_plain), ("here", in_project)):
            found[side] = outcomes([it for it in chosen if not it.wrong(side, kind)], run)
            for case in chosen:
                if case.wrong(side, kind).startswith("chance"):
                    found[side][case.name] = "chance"
                elif case.wrong(side, kind):
                    found[side][case.name] = run([case])
        right = [case for case in chosen if not case.wrong("plain", kind)]
        bare = outcomes(right, partial(in_project, plug_in=False))
    unlike = [f"{name}, without autogenerate/: {step}" for name, step in bare.items() if step]
    for case in chosen:
        print(f"{kind:<10}  {case.name:<30}", end="")
        for side in found:
            said, step = case.wrong(side, kind), found[side][case.name]
            print(f"  {side}: {step.partition(':')[0] or 'right':<10}", end="")
            if said.partition(":")[0] != step.partition(":")[0]:
                unlike.append(
                    f"{case.name}, {side}: {step or 'right'}; expected: {said or 'right'}"
                )
        print()
        if case.wrong("here", kind) and not case.wrong("plain", kind):
            unlike.append(f"{case.name}: plain Alembic gets it right")
    assert not unlike, "\n".join(unlike)
