"""What a provider's protocol offers the simulator.

A protocol is sans-IO: a request in, an answer's events or JSON out. To add one, write a module
with a class that has these methods and list the class in ``service.PROTOCOLS``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Protocol

from ._json import DecodeError, decode, encode, is_object
from .generate import Ask
from .http1 import Head, Headers, Request
from .script import Answer

__all__ = ["Call", "Event", "Refused", "WireProtocol", "json_body", "sse_event", "status_phrase"]


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

    addresses: ClassVar[Mapping[str, str]]
    """The environment variables by which the provider's clients find another address, each with
    the path that the address ends with."""

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

    def head(self, request: Request, token: str, now: float, *, stream: bool) -> Head:
        """The head of an answer; ``now`` is in seconds since 1970."""
        ...

    def error(self, refused: Refused, token: str) -> tuple[Headers, bytes]:
        """Headers and body of an error."""
        ...

    def failure(self, type: str | None, message: str | None) -> Refused:  # noqa: A002
        """The error of this type that breaks an answer off; by default an overloaded service's."""
        ...

    def error_event(self, failure: Refused, token: str) -> bytes:
        """An error within a stream."""
        ...

    def ping(self) -> bytes:
        """What keeps a stream alive."""
        ...

    def malformed(self) -> bytes:
        """An event that is none."""
        ...


def json_body(request: Request) -> dict[str, Any]:
    """The body of a request that must be a JSON object.

    Raises:
        Refused: It is none.
    """
    try:
        value = decode(request.body)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"The request body is not valid JSON: {error}") from error
    if not is_object(value):
        raise Refused(400, "The request body is not a JSON object")
    return value


def sse_event(data: Mapping[str, Any], name: str | None = None) -> bytes:
    """A server-sent event with a name, or without one."""
    event = b"" if name is None else b"event: %b\n" % name.encode()
    return event + b"data: %b\n\n" % encode(data)


def status_phrase(status: int) -> str:
    """What HTTP calls a status."""
    known = {member.value: member.phrase for member in HTTPStatus}
    return known.get(status, "Error")
