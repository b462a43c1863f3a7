"""What a provider's protocol offers the simulator.

A protocol is sans-IO: a request in, an answer's events or JSON out. To add one, write a module
with a class that has these methods and list the class in ``service.PROTOCOLS``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from .generate import Ask
from .http1 import Head, Headers, Request
from .script import Answer

__all__ = ["Call", "Event", "Refused", "WireProtocol"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a streamed answer.

    Attributes:
        data: Its bytes, framing included.
        content: Whether it carries a piece of content; those are what a token rate paces.
    """

    data: bytes
    content: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that was understood.

    Attributes:
        body: Its JSON.
        model: The model asked.
        stream: Whether the answer is to be streamed.
        ask: What is asked, whatever the protocol.
        token: A text that no other request of this simulator has, for ids.
    """

    body: dict[str, Any]
    model: str
    stream: bool
    ask: Ask
    token: str


class Refused(Exception):
    """The request gets an error instead of an answer."""

    def __init__(self, status: int, message: str | None, type: str | None = None) -> None:  # noqa: A002
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.type = type


class WireProtocol(Protocol):
    """One provider's protocol; an instance serves one simulator."""

    base_url_variable: str
    """The environment variable by which the provider's clients find another address."""

    def serves(self, path: str) -> bool:
        """Whether requests to this path speak this protocol."""
        ...

    def read(self, request: Request, token: str, *, require_key: bool, validate: bool) -> Call:
        """Understand a request.

        Raises:
            Refused: It is not what the provider accepts.
        """
        ...

    def events(self, call: Call, answer: Answer) -> Iterator[Event]:
        """The answer as a stream."""
        ...

    def whole(self, call: Call, answer: Answer) -> bytes:
        """The answer in one piece."""
        ...

    def head(self, token: str, now: float, *, stream: bool) -> Head:
        """The head of an answer; ``now`` is in seconds since 1970."""
        ...

    def error(self, refused: Refused, token: str) -> tuple[Headers, bytes]:
        """Headers and body of an error."""
        ...

    def error_status(self, type: str) -> int:  # noqa: A002
        """The HTTP status that an error type stands for."""
        ...

    def error_event(self, type: str, message: str) -> bytes:  # noqa: A002
        """An error within a stream."""
        ...

    def ping(self) -> bytes:
        """What keeps a stream alive."""
        ...

    def malformed(self) -> bytes:
        """An event that is none."""
        ...
