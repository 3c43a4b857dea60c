"""Pages of this repository, followed word by word.

In their order, the blocks of a page are done as a reader would do them: the `$` lines of
`console` blocks are typed into one shell, and must print what stands below them. Of the others,
a block that begins with a comment naming a file is the text of that file, or goes at its end if
the comment says so. A `diff` block that begins so is a change to it; there, * may stand for what
differs from run to run.
"""

import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

# What differs from run to run: dates in file names, and revision ids.
CHANGING = [
    (r"\d{4}_\d\d_\d\d_\d{4}_", "DATE_"),
    (r"(?<![0-9a-z])[0-9a-f]{12}(?![0-9a-z])", "REVISION"),
]

CHANGE = """
import sys
from pathlib import Path
pattern, old, new = sys.argv[1:]
[path] = Path().glob(pattern)
text = path.read_text()
assert text.count(old) == 1, f"not once in {path}: {old}"
path.write_text(text.replace(old, new))
"""


def assert_runs_as_shown(page: str, folder: Path, env: Mapping[str, str]) -> None:
    """Do what a page says in a folder, and compare what is printed there with what it shows."""
    script, expected = ["exec 2>&1"], []
    for kind, text in re.findall(r"^```(\w+)\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE):
        if kind == "console":
            for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
                script += [f"echo {shlex.quote(f'$ {command}')}", command]
                expected += [f"$ {command}", *output.splitlines()]
        elif named := re.match(r"# (\S+\.\w+)(, at the end)?\n", text):
            rest = text.removeprefix(named[0])
            script += edits(kind, named[1], f"\n{rest}" if named[2] else rest, bool(named[2]))
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert masked(done.stdout) == masked("\n".join(expected))


def edits(kind: str, path: str, text: str, at_end: bool) -> list[str]:
    """The shell commands for a block that is a file's text or its end, or a change to a file."""
    if kind != "diff":
        return [f"printf %s {shlex.quote(text)} {'>>' if at_end else '>'} {path}"]
    lines = text.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in "- ")
    new = "".join(line[1:] for line in lines if line[0] in "+ ")
    return [shlex.join(["python3", "-IS", "-c", CHANGE, path, old, new])]


def masked(text: str) -> list[str]:
    """The lines of a text without what differs from run to run, and without blank ones."""
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text)
    return [line for line in text.splitlines() if line.strip()]


def section(page: str, title: str) -> str:
    """The part of a page below a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n", page, re.MULTILINE)
    assert found, f"no heading: {title}"
    rest = page[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", outside_blocks(rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def outside_blocks(text: str) -> str:
    """A text of the same length, with blanks for its code blocks: a # is a comment there."""
    return re.sub(r"^```.*?^```", lambda m: " " * len(m[0]), text, flags=re.DOTALL | re.MULTILINE)
