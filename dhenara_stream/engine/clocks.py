"""The clocks of a call: when a wait has to end, and with which error."""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio
import anyio.lowlevel

from dhenara_stream.errors import (
    ContentIdleTimeout,
    DeadlineExceeded,
    FirstEventTimeout,
    IdleTimeout,
    StreamTimeout,
)
from dhenara_stream.types.genai.dhenara.request import AIModelCallConfig

__all__ = ["GRACE", "Clocks", "clock"]

GRACE = 2.0
"""Seconds for more, where the answer would be complete if its body ended now, and it does not.

Chunks of one answer follow one another in less; a server that leaves the body open sends none.
"""


def clock() -> Callable[[], float]:
    """The running event loop's clock.

    On asyncio the loop's own method: anyio looks the loop up each time, at ten times the price.
    """
    loop = anyio.lowlevel.current_token().native_token
    time: Callable[[], float] | None = getattr(loop, "time", None)
    return time or anyio.current_time


class Clocks:
    """When things happened, and when a wait has to end. Times are the event loop's.

    Attributes:
        begun: When the call began.
        deadline: When the whole call has to be over.
        sent: When the request was sent.
        read: When bytes were last read; the response's head counts.
        content: When content last came; before any, when the head did.
        event: When an event, or a piece of one, last came; pings that are comments are none.
        has_head: Whether this attempt's response has begun.
        has_event: Whether this attempt's first event has come.
    """

    def __init__(self, config: AIModelCallConfig, now: float) -> None:
        self.begun = now
        self.deadline = self.begun + _or_never(config.timeout)
        self.connect_limit = _or_never(config.connect_timeout)
        self._config = config
        self._first_event = _or_never(config.first_event_limit)
        self._idle = _or_never(config.idle_timeout)
        self._content_idle = _or_never(config.content_idle_timeout)
        self.start_attempt(self.begun)

    def start_attempt(self, now: float) -> None:
        """A request is being sent."""
        self.sent = self.read = self.content = self.event = now
        self.has_head = self.has_event = False

    def see_head(self, now: float) -> None:
        """The response has begun."""
        self.read = self.content = now
        self.has_head = True

    def resume(self, now: float) -> None:
        """The reader is back: how long it was away is not the server's fault."""
        away = now - self.read
        self.read = now
        self.content += away
        self.event += away
        self.sent += away

    def next(self, *, may_be_complete: bool = False) -> float:
        """When the first of the clocks that run now fires.

        Args:
            may_be_complete: Whether the answer would be complete if its body ended now.
        """
        first = self.deadline
        if may_be_complete:
            first = min(first, self.event + GRACE)
        if not self.has_event:
            first = min(first, self.sent + self._first_event)
        if self.has_head:
            first = min(first, self.read + self._idle, self.content + self._content_idle)
        return first

    def fired(self) -> tuple[type[StreamTimeout], str]:
        """The error of the clock that fires first, and its setting."""
        config = self._config
        limit = config.first_event_limit
        first_event = math.inf if self.has_event else self.sent + self._first_event
        idle = self.read + self._idle if self.has_head else math.inf
        content_idle = self.content + self._content_idle if self.has_head else math.inf
        clocks: list[tuple[float, type[StreamTimeout], str]] = [
            (self.deadline, DeadlineExceeded, f"timeout ({config.timeout} s)"),
            (first_event, FirstEventTimeout, f"first_event_timeout ({limit} s)"),
            (idle, IdleTimeout, f"idle_timeout ({config.idle_timeout} s)"),
            (
                content_idle,
                ContentIdleTimeout,
                f"content_idle_timeout ({config.content_idle_timeout} s)",
            ),
        ]
        _, kind, setting = min(clocks, key=lambda clock: clock[0])
        return kind, setting


def _or_never(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds
