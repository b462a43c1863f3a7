"""The clocks of a call: when a wait has to end, and with which error."""

from __future__ import annotations

import math

import anyio

from dhenara_stream.errors import (
    ContentIdleTimeout,
    DeadlineExceeded,
    FirstEventTimeout,
    IdleTimeout,
    StreamTimeout,
)
from dhenara_stream.types.genai.dhenara.request import AIModelCallConfig

__all__ = ["Clocks", "or_never"]


class Clocks:
    """When a wait has to end, and with which error. Times are the event loop's."""

    def __init__(self, config: AIModelCallConfig) -> None:
        self.config = config
        self.begun = anyio.current_time()
        self.deadline = self.begun + or_never(config.timeout)
        self.sent = self.read = self.content = self.begun
        self.has_event = self.has_byte = False

    def start_attempt(self, now: float) -> None:
        self.sent = self.read = self.content = now
        self.has_event = self.has_byte = False

    def waits(self) -> list[tuple[float, type[StreamTimeout], str]]:
        """The clocks that run now: when each fires, its error, and its setting."""
        config = self.config
        waits: list[tuple[float, type[StreamTimeout], str]] = [
            (self.deadline, DeadlineExceeded, f"timeout ({config.timeout} s)")
        ]
        if not self.has_event:
            limit = config.first_event_limit
            setting = f"first_event_timeout ({limit} s)"
            waits.append((self.sent + or_never(limit), FirstEventTimeout, setting))
        if self.has_byte:
            at = self.read + or_never(config.idle_timeout)
            waits.append((at, IdleTimeout, f"idle_timeout ({config.idle_timeout} s)"))
            at = self.content + or_never(config.content_idle_timeout)
            setting = f"content_idle_timeout ({config.content_idle_timeout} s)"
            waits.append((at, ContentIdleTimeout, setting))
        return waits

    def next(self) -> tuple[float, type[StreamTimeout], str]:
        return min(self.waits(), key=lambda wait: wait[0])


def or_never(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds
