"""What autogenerate asks a database that many apps share: counted, not timed."""

import re
from collections import Counter
from pathlib import Path

from project import Project, bake
from servers import Database

APPS = [f"app_{number}" for number in range(12)]

# How each database is asked for columns, here of one table, there of any number. PostgreSQL
# is not asked which are SERIAL: the names of their sequences tell.
QUESTIONS = {
    "sqlite": {r'PRAGMA main\.table_xinfo\("(\w+)"\)': APPS},
    "postgresql": {
        r"\{'attidentity_1'.*'(filter_names)_1': ": ["filter_names"],
        r"(?i)join (pg_depend) d on": [],
    },
    "mysql": {r"SHOW CREATE TABLE `(\w+)`": APPS},
}


def test_each_table_is_reflected_once_in_all(database: Database, tmp_path: Path) -> None:
    project = bake(tmp_path, apps=",".join(APPS))
    project.environment["DATABASE_URL"] = database.text
    project.generate()
    project.migrate()
    ini = project.path / "alembic.ini"
    text = ini.read_text().replace("keys = root, migration", "keys = root, migration, sql")
    ini.write_text(f"{text}\n[logger_sql]\nlevel = INFO\nhandlers=\nqualname = sqlalchemy.engine\n")

    def assert_once(command: str, apps: list[str], status: int = 0) -> None:
        log = project.run("python", "-m", "migrations", command, status=status).stderr
        for question, once in QUESTIONS[database.url.get_backend_name()].items():
            assert Counter(re.findall(question, log)) == Counter(apps if once is APPS else once)

    assert_once("generate", APPS)
    assert_once("check", APPS)
    # An app with an error does not come between the others.
    [first] = project.path.glob(f"src/*/{APPS[0]}/migrations/*_initial.py")
    second = re.sub("(?m)^revision.*", 'revision = "2"', first.read_text())
    first.with_name("second.py").write_text(second)
    assert_once("check", APPS, status=1)


PROGRAM = """
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, Table, create_engine, pool

engine = create_engine("sqlite:///my_project.db", poolclass=pool.StaticPool)
config = Config("alembic.ini", ini_section="users")
config.attributes["connection"] = engine
command.upgrade(config, "head")
command.check(config)
users = Table("users", MetaData(), autoload_with=engine)
print(users.c.kind.server_default.arg.text, users.c.color.server_default.arg.text)
"""


def test_a_program_that_calls_alembic_reflects_as_before(project: Project) -> None:
    project.add_column("users", "kind", "sa.String(9), server_default='a :b'")
    project.generate("users")
    project.migrate("users")
    # In this revision SQLite copies the table, with the default that it has.
    project.add_column("users", "color", "sa.String(9), server_default='c :d', unique=True")
    project.generate("users")
    assert project.run("python", "-c", PROGRAM).stdout.splitlines()[-1] == "'a :b' 'c :d'"
