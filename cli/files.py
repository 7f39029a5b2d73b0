"""Files that commands read and write. `-` is stdin or stdout; an input that cannot be read is wrong usage."""

import sys
from pathlib import Path

from cli.remote import USAGE, fail

STANDARD = "-"


def is_standard(file: str | Path) -> bool:
    """Tell whether stdin or stdout is meant."""
    return str(file) == STANDARD


def named(file: str | Path) -> str:
    """Name an input for people."""
    return "stdin" if is_standard(file) else str(file)


def read_bytes(file: str | Path) -> bytes:
    """Read an input whole, or end the command."""
    if is_standard(file):
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read", why=error.strerror or str(error), code=USAGE)


def check_readable(file: Path) -> None:
    """End the command where an input is not there: one that is sent is opened only then."""
    try:
        with file.open("rb"):
            return
    except OSError as error:
        fail(f"{file} cannot be read", why=error.strerror or str(error), code=USAGE)


def check_no_terminal() -> None:
    """End the command where bytes would be written to a terminal."""
    if sys.stdout.isatty():
        fail("a terminal cannot show such a file", do="send it into a file or a program: -o FILE, or > FILE", code=USAGE)


def write_bytes(content: bytes) -> None:
    """Write to stdout what is no text."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
