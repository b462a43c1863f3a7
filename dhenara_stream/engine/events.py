"""What an answer's body is, told from its first bytes, and the events in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dhenara_stream.core.aws_eventstream import AWSEventStreamDecoder
from dhenara_stream.core.ndjson import NDJSONDecoder
from dhenara_stream.core.sse import BOM, FIELDS, ServerSentEvent, SSEDecoder
from dhenara_stream.errors import (
    EventTooLarge,
    ProtocolError,
    TruncatedStream,
    UnexpectedResponse,
)

__all__ = ["BodyEvents"]

# An excerpt of a body that is no answer is this long; so many blanks may come before the first
# byte that tells.
MAX_EXCERPT = 2048

_SSE = "text/event-stream"
_AWS_EVENT_STREAM = "application/vnd.amazon.eventstream"
_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")

_STARTS = (*FIELDS, b":")


class _Framing(Protocol):
    """Bytes in, events out, as :class:`~dhenara_stream.core.sse.SSEDecoder`."""

    @property
    def error(self) -> ProtocolError | None: ...

    @property
    def pending(self) -> bool: ...

    def feed(self, data: bytes) -> list[ServerSentEvent]: ...

    def flush(self) -> list[ServerSentEvent]: ...


class BodyEvents:
    """The events of one successful answer's body.

    Content types are often wrong, so the first bytes tell what it is: a stream of events, or one
    document. Only AWS's frames, which are no text, and lines of JSON, which begin as a document
    does, are known by their content type (wire.md 1.4).

    Args:
        status: The answer's HTTP status.
        content_type: Its content type; empty if it has none.
        max_event_bytes: How long an event, or a document, may be.
    """

    def __init__(self, *, status: int, content_type: str, max_event_bytes: int) -> None:
        self._status = status
        self._content_type = content_type
        self._kind = content_type.lower()
        self._limit = max_event_bytes
        self._framing: _Framing | None = None
        self._is_document = False
        self._pieces: list[bytes] = []  # of a document, or of what begins nobody knows what
        self._size = 0
        if _AWS_EVENT_STREAM in self._kind:
            self._framing = AWSEventStreamDecoder(max_event_bytes=max_event_bytes)

    @property
    def error(self) -> ProtocolError | None:
        """What broke the events, to be raised after those before it."""
        return None if self._framing is None else self._framing.error

    @property
    def pending(self) -> bool:
        """Whether an event is under way: it has begun, and lacks its end."""
        return self._framing is not None and self._framing.pending

    def feed(self, data: bytes) -> Sequence[ServerSentEvent]:
        """The events that the next bytes complete; of a document there are none.

        Raises:
            UnexpectedResponse: If this is no answer of a model.
            EventTooLarge: If it is a document that is too long.
        """
        if self._framing is not None:
            return self._framing.feed(data)
        self._pieces.append(data)
        self._size += len(data)
        if not self._is_document:
            start = b"".join(self._pieces)
            self._framing = framing = self._sniff(start)
            if framing is not None:
                self._pieces.clear()
                return framing.feed(start)
        if self._is_document and self._size > self._limit:
            raise EventTooLarge(
                f"the answer is longer than max_event_bytes ({self._limit}); raise that limit if "
                "answers of this size are meant"
            )
        return ()

    def document(self) -> bytes | None:
        """The whole body, if it is a document; to be asked for at the body's end."""
        return b"".join(self._pieces) if self._is_document else None

    def flush(self) -> Sequence[ServerSentEvent]:
        """The event that lacks only its end: the blank line, the line feed. It may be half of one.

        Raises:
            ProtocolError: If the body was no answer of a model.
        """
        if self._framing is None:
            raise self._unexpected(b"".join(self._pieces))
        return self._framing.flush()

    def _sniff(self, start: bytes) -> _Framing | None:
        """How the events lie in the body; ``None`` if there are none, or nothing tells yet."""
        head = start.removeprefix(BOM).lstrip()
        if BOM.startswith(start) or (not head and len(start) <= MAX_EXCERPT):
            return None
        if head[:1] in (b"{", b"["):
            if any(kind in self._kind for kind in _NDJSON):
                return NDJSONDecoder(max_event_bytes=self._limit)
            self._is_document = True
            return None
        if head[:1] == b"<" or not self._may_be_sse(head):
            raise self._unexpected(start)
        return SSEDecoder(max_event_bytes=self._limit)

    def _may_be_sse(self, head: bytes) -> bool:
        # Cut within the field's name, it is the field's beginning.
        known = any(head.startswith(field) or field.startswith(head) for field in _STARTS)
        return (bool(head) and known) or _SSE in self._kind

    def _unexpected(self, body: bytes) -> ProtocolError:
        if not body.strip():
            if _SSE in self._kind:
                return TruncatedStream("the answer ended before it began")
            return UnexpectedResponse(
                f"the server answered {self._status} with an empty body", http_status=self._status
            )
        excerpt = body[:MAX_EXCERPT].decode("utf-8", "replace")
        return UnexpectedResponse(
            f"the server answered {self._status} with {self._content_type or 'no content type'}, "
            "which is no answer of a model; does the base URL lead to a proxy or a login page?",
            http_status=self._status,
            details={"excerpt": excerpt, "content_type": self._content_type},
        )
