"""Framing of ``application/vnd.amazon.eventstream``, the body of Amazon Bedrock's streams.

A frame is: its length, the length of its headers, a CRC-32 of both, the headers, the payload, a
CRC-32 of all that (https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html). Frames
become the events that the model's own protocol would have sent as SSE: the payload of a ``chunk``
holds such an event in base64; an exception becomes an ``error`` event with its name.

Rules: a frame is taken when all its bytes are there and both checksums agree. The pieces of a frame
that is still coming are joined once. Whatever the cuts, the events are the same. A frame that is
broken ends the stream: nothing after it can be found.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.errors import EventTooLarge, ProtocolError

__all__ = ["AWSEventStreamDecoder", "encode_frame"]

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_MIN_FRAME = _PRELUDE.size + _CRC.size
# The limits of botocore, the reference client.
MAX_HEADERS = 128 * 1024
# Sizes of a header's value by its type; those of types 6 and 7 stand before the value.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _STRING = 6, 7

# What an exception inside a stream stands for (the service's model, `httpStatusCode`).
_ERRORS = {
    "throttlingException": ("rate_limit_error", 429),
    "validationException": ("invalid_request_error", 400),
    "internalServerException": ("api_error", 500),
    "modelStreamErrorException": ("api_error", 424),
    "modelTimeoutException": ("timeout_error", 408),
    "serviceUnavailableException": ("overloaded_error", 503),
}


class _Chunk(msgspec.Struct, frozen=True, gc=False):
    data: bytes = msgspec.field(name="bytes")


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
# What decoding a payload raises: on other JSON or none, on what is not UTF-8, on deep nesting.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A frame with headers of text, as the service sends it."""
    block = bytearray()
    for name, value in headers.items():
        named, told = name.encode(), value.encode()
        block += bytes([len(named)]) + named + bytes([_STRING])
        block += len(told).to_bytes(2, "big") + told
    total = _MIN_FRAME + len(block) + len(payload)
    frame = struct.pack(">II", total, len(block))
    frame += _CRC.pack(binascii.crc32(frame)) + block + payload
    return frame + _CRC.pack(binascii.crc32(frame))


class AWSEventStreamDecoder:
    """Bytes in, events out; used as :class:`~dhenara_stream.core.sse.SSEDecoder` is.

    Attributes:
        error: What is wrong with the bytes, once it was met; the events before it were returned.
    """

    def __init__(self, *, max_event_bytes: int) -> None:
        self.error: ProtocolError | None = None
        self._limit = max_event_bytes
        self._pieces: list[bytes] = []
        self._held = 0
        self._wanted = _PRELUDE.size

    @property
    def pending(self) -> bool:
        """Whether a frame is under way."""
        return self._held > 0

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that ``data`` completes.

        Raises:
            ProtocolError: The one that an earlier call has met.
        """
        if self.error is not None:
            raise self.error
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._wanted:
            return []
        buffer = b"".join(self._pieces)
        events: list[ServerSentEvent] = []
        at = 0
        try:
            while (frame := self._frame(buffer, at)) is not None:
                events += _events(frame)
                at += len(frame)
        except ProtocolError as error:
            self.error = error
        self._pieces = [buffer[at:]]
        self._held = len(buffer) - at
        return events

    def flush(self) -> list[ServerSentEvent]:
        """Nothing: a frame that is not whole is no event.

        Raises:
            ProtocolError: The one that an earlier call has met.
        """
        if self.error is not None:
            raise self.error
        return []

    def _frame(self, buffer: bytes, at: int) -> memoryview | None:
        """The frame that begins at ``at``; ``None`` if it is not whole."""
        left = len(buffer) - at
        self._wanted = _PRELUDE.size
        if left < _PRELUDE.size:
            return None
        total, headers, crc = _PRELUDE.unpack_from(buffer, at)
        if binascii.crc32(memoryview(buffer)[at : at + 8]) != crc:
            raise ProtocolError("an AWS event-stream frame has a wrong checksum in its prelude")
        if headers > MAX_HEADERS or total < _MIN_FRAME + headers:
            raise ProtocolError("an AWS event-stream frame has lengths that cannot be")
        if total > self._limit:
            raise EventTooLarge(
                f"an event of {total} bytes exceeds max_event_bytes ({self._limit}); raise that "
                "limit if events of this size are meant"
            )
        if left < total:
            self._wanted = total
            return None
        frame = memoryview(buffer)[at : at + total]
        if binascii.crc32(frame[:-4]) != _CRC.unpack(frame[-4:])[0]:
            raise ProtocolError("an AWS event-stream frame has a wrong checksum")
        return frame


def _events(frame: memoryview) -> Iterator[ServerSentEvent]:
    _, length, _ = _PRELUDE.unpack_from(frame)
    headers = dict(_headers(bytes(frame[_PRELUDE.size : _PRELUDE.size + length])))
    payload = bytes(frame[_PRELUDE.size + length : -_CRC.size])
    kind = headers.get(":event-type", "")
    if headers.get(":message-type") == "event" and kind not in _ERRORS:
        yield _event(kind, payload)
    else:
        name = headers.get(":exception-type") or headers.get(":error-code") or kind
        yield ServerSentEvent(_error(name, headers.get(":error-message"), payload), "error")


def _event(kind: str, payload: bytes) -> ServerSentEvent:
    try:
        return ServerSentEvent(_decode_chunk(payload).data)
    except _UNREADABLE:
        # Not the envelope of a model's event: an event of Bedrock's own.
        return ServerSentEvent(payload, kind)


def _error(name: str, message: str | None, payload: bytes) -> bytes:
    kind, status = _ERRORS.get(name, (name or "api_error", 500))
    told: dict[str, Any] = {}
    try:
        told = msgspec.json.decode(payload, type=dict[str, Any])
    except _UNREADABLE:
        message = message or payload.decode("utf-8", "replace")
    words = message or told.get("message") or told.get("Message") or name
    error: dict[str, Any] = {"type": kind, "message": words, "status": status, "aws": told}
    return msgspec.json.encode({"type": "error", "error": error})


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    """The headers with text; others are passed over."""
    at = 0
    try:
        while at < len(data):
            end = at + 1 + data[at]
            name, kind = data[at + 1 : end].decode(), data[end]
            at = end + 1
            if kind in (_BYTES, _STRING):
                size = int.from_bytes(data[at : at + 2], "big")
                at += 2
            else:
                size = _FIXED[kind]
            value = data[at : at + size]
            if len(value) < size:
                raise ProtocolError("an AWS event-stream frame has a header that is cut")
            at += size
            if kind == _STRING:
                yield name, value.decode()
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise ProtocolError("an AWS event-stream frame has headers that cannot be read") from error
