"""docs/limits.md: each of its bullets is shown by a case of the catalogue or by a test."""

import re
from pathlib import Path

from catalogue import DATABASES, cases
from project import TEMPLATE

BY_HAND = "test_written_by_hand.py::test_what_has_to_be_written_by_hand"
UNNUMBERED = "test_adopting.py::test_a_key_that_the_database_does_not_number"
ON_SQLITE = "test_sqlite.py::test_limits"
LOSES_NO_CLAUSE = "test_sqlite.py::test_a_copy_loses_no_clause"

TESTS = {
    "A primary key that the model numbers, but the database does not": UNNUMBERED,
    "A computed column that changes": BY_HAND,
    "An `EXCLUDE` constraint that is added or removed": BY_HAND,
    "An identity that is added, removed or changed": BY_HAND,
    "A check without a name that changes": ON_SQLITE,
    "A custom type whose `repr` does not create it": "test_changes.py::test_types_within_types",
    "An index on expressions that changes, or that no model has any more": ON_SQLITE,
    "A table with a clause that SQLAlchemy does not reflect": LOSES_NO_CLAUSE,
    "Parts of a copied table that SQLAlchemy does not know": ON_SQLITE,
}
"""The test for each bullet that no case shows: `test_file.py::test_name`."""


def test_every_limit_is_shown() -> None:
    page = (TEMPLATE / "docs" / "limits.md").read_text()
    bullets = re.findall(r"(?m)^- \*\*(.+?)\.\*\*", page)
    assert len(bullets) == len(re.findall("(?m)^- ", page))
    wrong = [case.wrong("here", kind) for kind in DATABASES for case in cases(kind)]
    by_cases = {text.partition(": ")[2] for text in wrong if text}
    assert sorted(bullets) == sorted(by_cases | TESTS.keys())
    for test in TESTS.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in Path(__file__).with_name(file).read_text()
