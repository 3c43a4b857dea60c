"""How a run treats its terminal: SIGTERM like Ctrl-C, output that nobody reads, warnings."""

import os
import signal
import sys
import warnings
from io import TextIOWrapper

from ..errors import one_line


def start() -> None:
    """Prepare the process for a run; only `python -m migrations` does this."""
    stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")  # stdout may be closed
    # A character that the terminal's encoding lacks is printed as its number.
    errors = "backslashreplace" if stdout.errors == "strict" else stdout.errors
    sys.stdout = output = Output(stdout.buffer, stdout.encoding, errors, line_buffering=True)
    output.replaced = stdout
    # Docker and Kubernetes send SIGTERM. By default it ends a process silently, and PID 1 never.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    warnings.formatwarning = one_line_warning


class Output(TextIOWrapper):
    """Standard output that stops no migration when its reader is gone, as with `| head`."""

    replaced: object = None
    """The old standard output. It is kept because Python would close the file with it."""

    def write(self, text: str) -> int:
        """Write text, and return its length."""
        try:
            return super().write(text)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return len(text)


def one_line_warning(message: Warning | str, *_: object, **__: object) -> str:
    """Return what Python prints for a warning: its text, without the place in the code."""
    return f"warning: {one_line(str(message))}\n"
