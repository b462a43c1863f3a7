"""Faults on demand: each says what goes wrong with one response, and where in it.

=====================  ==========================================================================
:class:`Respond`       another response instead: a status, headers, a body
:class:`Drop`          the connection is closed without an end of the response
:class:`Reset`         the connection is reset (RST)
:class:`Silence`       nothing more is sent, the connection stays open
:class:`CleanCut`      the body ends properly, the answer does not
:class:`TornChunk`     the body ends in the middle of an HTTP chunk
:class:`ErrorEvent`    the provider's error event, then the end of the body
:class:`OnlyPings`     the provider's pings, and nothing else, for ever
:class:`Malformed`     an event that is no event, then the rest of the answer
:class:`OpenEnd`       the whole answer, then a body that does not end
:class:`ContentType`   another ``content-type``, or none
=====================  ==========================================================================

Where a fault can strike in several places, at most one of these says how much is sent before:

- ``deltas=k``: right after the k-th piece of content (text, thinking, tool arguments); 0 is right
  before the first, so after everything that a stream opens with.
- ``events=k``: k whole events of the stream, whatever they hold, pings included.
- ``body_bytes=k``: k bytes of the body.
- ``header_bytes=k``: k bytes of the response's head (:class:`Drop`, :class:`Reset`,
  :class:`Silence` only); 0 is before any.

Where the answer has less than that, it is sent whole and the fault strikes at its end. Without a
position it strikes at the start: before the head where it can, else right after it.
An answer that is not streamed counts as one event with one piece of content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from dhenara_stream.errors import ConfigError

from . import _check
from ._json import encode

__all__ = [
    "CleanCut",
    "ContentType",
    "Drop",
    "ErrorEvent",
    "Fault",
    "Malformed",
    "OnlyPings",
    "OpenEnd",
    "PositionedFault",
    "Reset",
    "Respond",
    "Silence",
    "TornChunk",
]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def _header(owner: str, name: Any, value: Any) -> tuple[str, str]:
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise _check.fail(f"{owner} name", "an HTTP header name", name)
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        raise _check.fail(f"{owner}[{name!r}]", "a string that an HTTP header can carry", value)
    return name.lower(), value


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one response; the base of all faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionedFault(Fault):
    """A fault that strikes somewhere in a response; the base of those with a position.

    Attributes:
        deltas: Strikes after so many pieces of content.
        events: Strikes after so many events.
        body_bytes: Strikes after so many bytes of the body.

    Raises:
        ConfigError: More than one position, or one that is no integer of zero or more.
    """

    deltas: int | None = None
    events: int | None = None
    body_bytes: int | None = None

    positions: ClassVar[tuple[str, ...]] = ("deltas", "events", "body_bytes")

    def __post_init__(self) -> None:
        kind = type(self).__name__
        values = {name: getattr(self, name) for name in self.positions}
        given = {name: value for name, value in values.items() if value is not None}
        if len(given) > 1:
            raise ConfigError(f"{kind} takes one position, not {' and '.join(given)}")
        for name, value in given.items():
            _check.integer(f"{kind}.{name}", value, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadFault(PositionedFault):
    """A fault that can strike in the response's head, too; by default before it.

    Attributes:
        header_bytes: Strikes after so many bytes of the response's head.
    """

    header_bytes: int | None = None

    positions: ClassVar[tuple[str, ...]] = (*PositionedFault.positions, "header_bytes")

    @property
    def in_head(self) -> int | None:
        """After how many bytes of the head it strikes; ``None`` where it spares the head."""
        in_body = self.deltas, self.events, self.body_bytes
        return (self.header_bytes or 0) if in_body == (None, None, None) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(HeadFault):
    """The connection is closed (FIN) without an end of the response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(HeadFault):
    """The connection is reset (RST)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence(HeadFault):
    """Nothing more is sent until the client goes away or the simulator closes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanCut(PositionedFault):
    """The body ends as HTTP wants it, but without the end of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TornChunk(PositionedFault):
    """The connection is closed (FIN) in the middle of the HTTP chunk that would come next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent(PositionedFault):
    """The provider's error event; then the body ends and the connection is closed.

    A call that is not streamed gets the HTTP status that the type stands for.

    Attributes:
        type: The provider's error type; by default the one of an overloaded service.
        message: Its message; by default the provider's usual one.
    """

    type: str | None = None
    message: str | None = None

    def __post_init__(self) -> None:
        PositionedFault.__post_init__(self)
        if self.type is not None:
            _check.text("ErrorEvent.type", self.type, empty=False)
        if self.message is not None:
            _check.text("ErrorEvent.message", self.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyPings(PositionedFault):
    """Pings and nothing else, until the client goes away or the simulator closes.

    Attributes:
        interval: Seconds between two pings.
    """

    interval: float = 1.0

    def __post_init__(self) -> None:
        PositionedFault.__post_init__(self)
        _check.number("OnlyPings.interval", self.interval, zero=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed(PositionedFault):
    """Something that is no event of the protocol comes between two events; all else is sent.

    Attributes:
        raw: The bytes to insert; by default an event whose JSON is broken.
    """

    raw: bytes | None = None

    def __post_init__(self) -> None:
        PositionedFault.__post_init__(self)
        if self.raw is not None and not isinstance(cast("object", self.raw), bytes):
            raise _check.fail("Malformed.raw", "bytes", self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEnd(Fault):
    """The answer is complete, but the body does not end.

    Attributes:
        ping_interval: Seconds between pings after the answer; ``None``: nothing more comes.
    """

    ping_interval: float | None = None

    def __post_init__(self) -> None:
        if self.ping_interval is not None:
            _check.number("OpenEnd.ping_interval", self.ping_interval, zero=False)


@dataclass(frozen=True, slots=True)
class ContentType(Fault):
    """Another ``content-type`` than the answer has.

    Attributes:
        value: The header's value; ``None``: the header is not sent.
    """

    value: str | None

    def __post_init__(self) -> None:
        if self.value is not None:
            _header("ContentType", "value", self.value)


@dataclass(frozen=True, slots=True)
class Respond(Fault):
    """Another response instead of the answer: an error, a gateway's page, a redirect.

    Attributes:
        status: The HTTP status, 200 to 599.
        type: The provider's error type; by default the one that the status stands for.
        message: The error's message; by default the provider's usual one.
        body: Sent instead of the provider's error object: text, bytes, or a mapping for JSON.
            By default that object from 400 on, and nothing below.
        content_type: By default ``application/json``, for text and bytes ``text/html``.
        headers: More headers; they win. A ``content-length`` of your own is sent as it is, right
            or wrong, and the connection is closed after the body.
        retry_after: Seconds, for the ``retry-after`` header.

    Raises:
        ConfigError: A field that cannot be sent.
    """

    status: int
    type: str | None = field(default=None, kw_only=True)
    message: str | None = field(default=None, kw_only=True)
    body: str | bytes | Mapping[str, Any] | None = field(default=None, kw_only=True)
    content_type: str | None = field(default=None, kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], kw_only=True)
    retry_after: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check.integer("Respond.status", self.status, 200, 599)
        for name in ("type", "message"):
            if getattr(self, name) is not None:
                _check.text(f"Respond.{name}", getattr(self, name))
        if self.content_type is not None:
            _header("Respond.content_type", "value", self.content_type)
        if self.retry_after is not None:
            _check.number("Respond.retry_after", self.retry_after, zero=True)
        if not isinstance(cast("object", self.headers), Mapping):
            raise _check.fail("Respond.headers", "a mapping", self.headers)
        pairs = dict(_header("Respond.headers", *pair) for pair in self.headers.items())
        object.__setattr__(self, "headers", pairs)
        object.__setattr__(self, "body", _body(self.body))

    @property
    def content(self) -> bytes | None:
        """The body as it is sent; ``None`` where the provider's own is wanted."""
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else encode(self.body)

    def all_headers(self) -> dict[str, str]:
        """The headers that are asked for, in whichever field."""
        headers: dict[str, str] = {}
        if self.content_type is not None:
            headers["content-type"] = self.content_type
        if self.retry_after is not None:
            headers["retry-after"] = f"{self.retry_after:g}"
        return headers | dict(self.headers)


def _body(value: Any) -> str | bytes | dict[str, Any] | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return _check.text("Respond.body", value)
    return _check.json_object("Respond.body", value)
