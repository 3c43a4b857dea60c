"""Advice on the most frequent errors, which is printed after the error itself."""

import re

from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import exc

from ..errors import failing_line, program

ADVICE = {
    r"can't locate revision|no such revision": (
        "is the code older than the database, or does the id belong to another app (add -n APP)?"
    ),
    r"multiple head": "merge them with: {program} -n APP merge heads -m merge",
    r"target database is not up to date": "run {migrate}",
    r"^keyerror: '(?!logger|handler|formatter)": (
        "if a revision has it as depends_on, write requires = ('APP:ID',) for another app's"
        " revision"
    ),
    r"\.ini: no such file": "run this in its folder, or name the file with -c (in Python: ini=)",
    r"connect(ion\.__init__)?\(\) got an unexpected keyword": (
        "remove that option from the URL, or use the driver's own: asyncpg has ssl for sslmode"
    ),
    r"could not find table .* foreign key": "for another app's table, write ForeignKey(Model.id)",
    r"^nosuchmoduleerror": "use a URL like postgresql+psycopg://, mysql+pymysql:// or sqlite:///",
    r"^modulenotfounderror": "install it, or use another driver in the URL",
    r"password authentication|access denied|role \S+ does not exist"
    r"|permission denied (for|to) |command denied|must be owner": (
        "check the user, the password and the grants"
    ),
    r"read.only (transaction|option|mode)|during recovery": (
        "the database is read-only; if it is a standby, use the URL of the primary"
    ),
    r"unknown database|(database|schema) \S+ does not exist|\.sqlite_master": (
        "create it first, or correct its name"
    ),
    r"(table|relation|type) \S+ already exists": (
        "if it existed before the app's first revision, run: {program} adopt;"
        " if an earlier attempt left it, drop it"
    ),
    r"unable to open database file": "does its folder exist, and may this user write there?",
    r"cannot proceed in --sql mode": "run it without --sql, as SQLite copies what it alters",
    r"constraint must have a name|it has no name": (
        "name it in the revision, or give the models a naming convention"
    ),
    r"queuepool limit|too many connections|connection limit|query_wait_timeout": (
        "allow two connections at a time: on PostgreSQL, one of them holds the lock"
    ),
    r"resolve host|translate host|name resolution|name or service|nodename"
    r"|connection refused|can't connect|connect call failed|timed out|timeout expired": (
        "is the database server running, and are host and port right?"
    ),
    r"deadlock|lock (wait )?timeout|database is locked": (
        "another program is using the same tables; run the command again when it is done"
    ),
    r"server closed|lost connection|\bterminating(?!.*timeout)|gone away|connection \w+ closed": (
        "the server went away; run the command again when it is back"
    ),
}
"""What to do about an error, by a pattern for its message; the first that matches counts."""


def advice(error: BaseException, said: str) -> str | None:
    """Return what to do about an error of a database, its driver, SQLAlchemy or Alembic, or None.

    The user's own code may raise errors with the same words. They get no advice.
    """
    of_a_library = exc.SQLAlchemyError | CommandError | RevisionError | ValueError
    if not failing_line(error) or isinstance(error, of_a_library):
        for pattern, text in ADVICE.items():
            if re.search(pattern, said, re.IGNORECASE):
                return text.format(program=program(), migrate=program("migrate"))
    return None
