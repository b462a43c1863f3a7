"""Event loops whose time passes only while nothing happens, for all of it at once.

What an hour lasts takes no time there, and is measured exactly. There must be no sockets: what
comes from outside comes too late.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import trio.testing

__all__ = ["run"]


class _JumpingSelector(selectors.DefaultSelector):
    """Where it would wait for a time, it lets the clock jump."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout if timeout is None else 0)
        if not ready and timeout:
            self.now += timeout
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(backend: str, main: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine function in virtual time."""
    options: dict[str, Any] = {"loop_factory": _JumpingLoop}
    if backend == "trio":
        options = {"clock": trio.testing.MockClock(autojump_threshold=0)}
    anyio.run(main, backend=backend, backend_options=options)
