"""Running the command in tests: in this process, and in one of its own."""

from __future__ import annotations

import io
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dhenara_stream.cli import main

ROOT = Path(__file__).resolve().parents[1]

posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals are POSIX's here")


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What is said about a wrong use, which ends with 2 and without a traceback."""
    try:
        code: Any = main(argv)
    except SystemExit as exit_:
        code = exit_.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert "error: " in err
    return err


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


# --- in a process of its own

# SIGINT may be ignored by whoever started these tests; a shell's foreground has it as here.
COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from dhenara_stream.cli import main
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def process(
    *argv: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process of its own, which ends with the block at the latest."""
    command = [sys.executable, "-W", "error", "-c", COMMAND, *argv]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(
        command, env=environment, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def read_until(file: int, wanted: bytes) -> bytes:
    """What comes until it has this, or until there is no more."""
    read = b""
    while wanted not in read and select.select([file], [], [], 15)[0]:
        try:
            piece = os.read(file, 65536)
        except OSError:  # a terminal's way to say that it ended
            piece = b""
        if not piece:
            break
        read += piece
    return read


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal."""
    ours, theirs = os.openpty()
    try:
        yield ours, theirs
    finally:
        os.close(ours)
