"""The README's commands, run one after the other in a fresh copy, print what it shows."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from project import TEMPLATE

# What differs from run to run: dates in file names, and revision ids.
CHANGING = [
    (r"\d{4}_\d\d_\d\d_\d{4}_", "DATE_"),
    (r"(?<![0-9a-z])[0-9a-f]{12}(?![0-9a-z])", "REVISION"),
]


def test_every_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    files = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.check_output(files, cwd=TEMPLATE, text=True).split("\0")[:-1]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TEMPLATE / name, copy / name)
    readme = (copy / "README.md").read_text()
    assert_runs_as_shown(readme, copy)


def assert_runs_as_shown(page: str, folder: Path) -> None:
    """Run the `$` lines of a page's console blocks in one shell, and compare what they print."""
    blocks = re.findall(r"^```console\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    shown = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks), flags=re.MULTILINE)
    script = "exec 2>&1\n" + "".join(f"echo '$ '{quoted(c)}\n{c}\n" for c, _ in shown)
    outer = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=outer, capture_output=True, text=True, check=False
    )
    expected = "".join(f"$ {command}\n{output}" for command, output in shown)
    assert masked(done.stdout).splitlines() == masked(expected).splitlines()


def quoted(command: str) -> str:
    """A command as one word of a shell script."""
    return "'" + command.replace("'", "'\\''") + "'"


def masked(text: str) -> str:
    """A text without what differs from run to run, and without blank lines."""
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text)
    return "".join(line for line in text.splitlines(keepends=True) if line.strip())
