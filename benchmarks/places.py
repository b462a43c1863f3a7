"""Processes that answer a line of JSON with lines of JSON, in whatever environment they need."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "START", "Missing", "Place", "Report", "answering", "python_of"]

Report = Callable[[Mapping[str, Any]], None]

ROOT = Path(__file__).resolve().parents[1]
START = 120.0  # seconds that a process may take to import its client and ask for the first time


class Missing(Exception):
    """The client is not installed; the message says what is missing."""


def python_of(place: str | None) -> Path:
    """The interpreter of an environment; of the project's own without one.

    Raises:
        Missing: If the environment is not there.
    """
    python = Path(sys.executable) if place is None else ROOT / place / "bin" / "python"
    if not python.exists():
        raise Missing(f"no {place}")
    return python


@contextmanager
def answering(packages: Iterable[str]) -> Iterator[Report | None]:
    """In a process that a :class:`Place` runs: what tells it a line, once the versions are told.

    ``None``, if one of the packages is not installed; that is told too.
    """
    # What clients print goes elsewhere.
    with os.fdopen(os.dup(1), "w") as channel:
        os.dup2(2, 1)

        def report(line: Mapping[str, Any]) -> None:
            print(json.dumps(line), file=channel, flush=True)

        try:
            versions = {name: version(name) for name in packages}
        except PackageNotFoundError as error:
            report({"missing": error.name})
            yield None
            return
        report({"versions": versions})
        yield report


class Place:
    """A running process.

    Args:
        place: The environment it runs in; the project's own if it is ``None``.
        arguments: Those of the interpreter.
        environment: Variables it gets beside ours; it gets none that names a proxy.

    Raises:
        Missing: If the environment is not there.
    """

    def __init__(
        self,
        place: str | None,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        inherited = {
            name: value for name, value in os.environ.items() if "proxy" not in name.lower()
        }
        self._process = subprocess.Popen(
            [str(python_of(place)), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**inherited, **(environment or {})},
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        print(json.dumps(message), file=self._process.stdin, flush=True)

    def line(self, deadline: float) -> dict[str, Any] | None:
        """The next line; ``None`` at the deadline (``time.monotonic``), or where it ended."""
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return None
        return None if line is None else json.loads(line)

    def started(self) -> dict[str, str]:
        """The versions of its packages, which it says first.

        Raises:
            Missing: If it says that one is not installed, or does not start.
        """
        said = self.line(time.monotonic() + START)
        if said is None or "missing" in said:
            self.close()
            raise Missing(f"no {said['missing']}" if said else "does not start")
        versions: dict[str, str] = said["versions"]
        return versions

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
