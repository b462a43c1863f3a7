"""Running a server of others for as long as it is needed, and no longer.

As a script, ``servers.py COMMAND...``, it is the guard between the tests and a server: it runs the
command until its own standard input ends, and then kills it with all that it started. The input
ends when the tests close it, and when they end in whatever way.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

LISTENS = re.compile(r"(?:listening|running) on (http://127\.0\.0\.1:\d+)")


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, within: float = 90.0
) -> Iterator[str]:
    """Run a server; yields its URL once it takes connections.

    Args:
        command: Starts it, at a port of the system's choice. It says where it listens.
        environment: Variables to be added.
        within: Seconds that it may take.
    """
    guard = subprocess.Popen(
        [sys.executable, __file__, *command],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    said: list[str] = []
    found: queue.Queue[str | None] = queue.Queue()

    def listen() -> None:
        assert guard.stdout is not None
        for line in guard.stdout:  # all of it: a full pipe would stop the server
            said.append(line)
            for url in LISTENS.findall(line):
                found.put(url)
        found.put(None)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    with guard:
        try:
            yield _connected(found, within, said)
        finally:
            assert guard.stdin is not None
            guard.stdin.close()
            guard.wait(10)
            listener.join(10)


def _connected(found: queue.Queue[str | None], within: float, said: list[str]) -> str:
    try:
        url = found.get(timeout=within)
    except queue.Empty:
        url = None
    if url is None:
        raise RuntimeError("the server did not start:\n" + "".join(said[-40:]))
    address = urlsplit(url)
    socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10).close()
    return url


def guard_command(command: Sequence[str]) -> None:
    """Run a command until the standard input ends, or the command."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def leave() -> None:
        child.wait()
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
    try:
        sys.stdin.read()
    finally:
        os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    guard_command(sys.argv[1:])
