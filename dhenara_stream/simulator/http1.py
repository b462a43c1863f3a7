"""HTTP/1.1, the server's side, on bytes: requests are read, responses are framed.

No I/O here. A request's head and body each have a limit; what is no HTTP raises
:class:`BadRequest` with the status to answer, after which the connection is of no more use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

__all__ = [
    "MAX_HEAD_BYTES",
    "BadRequest",
    "Framing",
    "Head",
    "Headers",
    "Request",
    "RequestReader",
    "is_bodiless",
]

Headers = tuple[tuple[str, str], ...]

MAX_HEAD_BYTES = 64 * 1024  # far above what clients send, far below what hurts

_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/(\d\.\d)")
_ORIGIN = re.compile(r"^https?://[^/?]*")  # a client that takes this for a proxy sends it
_HEADER_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_MAX_CHUNK_LINE = 1024


class BadRequest(Exception):
    """The client sent what is no HTTP/1.1 request, or one beyond the limits."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """A request, whole. Header names are lower-case, in the order they came."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The value of a header, several joined by commas; ``None`` where there is none."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None

    @property
    def keep_alive(self) -> bool:
        """Whether the client wants to go on with this connection."""
        return "close" not in _tokens(self.header("connection"))


def _tokens(value: str | None) -> list[str]:
    return [token.strip().lower() for token in (value or "").split(",")]


class RequestReader:
    """Bytes in, requests out."""

    def __init__(self, *, max_body_bytes: int) -> None:
        self._max_body = max_body_bytes
        self._buffer = bytearray()
        self._searched = 0  # the buffer's start, known to hold no end of a head
        self._head: Request | None = None
        self._body: _SizedBody | _ChunkedBody | None = None

    def wants_continue(self) -> bool:
        """Whether the client waits for ``100 Continue`` before it sends the body; said once."""
        if self._head is None or self._buffer:
            return False
        waits = "100-continue" in _tokens(self._head.header("expect"))
        if waits:
            rest = tuple(pair for pair in self._head.headers if pair[0] != "expect")
            self._head = Request(self._head.method, self._head.path, self._head.query, rest)
        return waits

    @property
    def buffered(self) -> int:
        """The bytes that wait to be read."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes that the client sent."""
        self._buffer += data

    def next_request(self) -> Request | None:
        """The next request, or ``None`` until more bytes come.

        Raises:
            BadRequest: The bytes are no request.
        """
        if self._head is None:
            self._read_head()
        if self._head is None or self._body is None or not self._body.read(self._buffer):
            return None
        head, body = self._head, bytes(self._body.content)
        self._head, self._body = None, None
        return Request(head.method, head.path, head.query, head.headers, body)

    def _read_head(self) -> None:
        while self._buffer.startswith(b"\r\n"):  # RFC 9112 2.2: an empty line before a request
            del self._buffer[:2]
        end = _HEAD_END.search(self._buffer, self._searched)
        if (end.start() if end else len(self._buffer)) > MAX_HEAD_BYTES:
            raise BadRequest(431, f"The request's head is larger than {MAX_HEAD_BYTES} bytes")
        if end is None:
            self._searched = max(0, len(self._buffer) - 3)
            return
        head = self._buffer[: end.start()].decode("latin-1")
        del self._buffer[: end.end()]
        self._searched = 0
        self._head = _parse_head(head)
        self._body = _body_of(self._head, self._max_body)


def _parse_head(text: str) -> Request:
    first, *lines = text.replace("\r\n", "\n").split("\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        raise BadRequest(400, "The request line is malformed")
    method, target, version = line.groups()
    if version != "1.1":
        raise BadRequest(505, f"HTTP/{version} is not spoken here, only HTTP/1.1")
    headers = tuple(_parse_header(number, line) for number, line in enumerate(lines, 1))
    if sum(name == "host" for name, _ in headers) != 1:
        raise BadRequest(400, "A request needs one host header")
    path, _, query = _ORIGIN.sub("", target, count=1).partition("?")
    return Request(method, path, query, headers)


def _parse_header(number: int, line: str) -> tuple[str, str]:
    match = _HEADER_LINE.fullmatch(line)
    if match is None:  # the line itself may hold a key
        raise BadRequest(400, f"Header line {number} is malformed")
    return match[1].lower(), match[2].rstrip(" \t")


def _body_of(head: Request, limit: int) -> _SizedBody | _ChunkedBody:
    encoding, length = head.header("transfer-encoding"), head.header("content-length")
    if encoding is None:
        return _SizedBody(_parse_length(length), limit)
    if length is not None:
        raise BadRequest(400, "Both content-length and transfer-encoding were sent")
    if _tokens(encoding) != ["chunked"]:
        raise BadRequest(501, f"The transfer-encoding {encoding!r} is not known here")
    return _ChunkedBody(limit)


def _parse_length(value: str | None) -> int:
    lengths = set(_tokens(value or "0"))
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,18}", length):
        raise BadRequest(400, "The content-length is malformed")
    return int(length)


class _Content:
    """A request's body, as far as it came."""

    def __init__(self, limit: int) -> None:
        self.content = bytearray()
        self._limit = limit
        self._missing = 0

    def _take(self, buffer: bytearray) -> bool:
        """Move what is missing from the buffer to the content; whether that is all of it."""
        taken = buffer[: self._missing]
        del buffer[: self._missing]
        self.content += taken
        self._missing -= len(taken)
        return not self._missing

    def _expect(self, size: int) -> None:
        """So many bytes come next."""
        if len(self.content) + size > self._limit:
            raise BadRequest(413, f"The request's body is larger than {self._limit} bytes")
        self._missing = size


class _SizedBody(_Content):
    def __init__(self, size: int, limit: int) -> None:
        super().__init__(limit)
        self._expect(size)

    def read(self, buffer: bytearray) -> bool:
        """Take what belongs to the body out of the buffer; whether the body is whole."""
        return self._take(buffer)


class _ChunkedBody(_Content):
    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._in_chunk = False
        self._in_trailer = False

    def read(self, buffer: bytearray) -> bool:
        """Take what belongs to the body out of the buffer; whether the body is whole."""
        while not self._in_trailer:
            if not (self._read_chunk(buffer) if self._in_chunk else self._read_size(buffer)):
                return False
        return self._read_trailer(buffer)

    def _read_size(self, buffer: bytearray) -> bool:
        line = _CHUNK_SIZE.match(buffer)
        if line is None:
            if b"\n" in buffer or len(buffer) > _MAX_CHUNK_LINE:
                raise BadRequest(400, "The size of a chunk is malformed")
            return False
        size = int(line[1], 16)
        self._expect(size)
        del buffer[: line.end()]
        self._in_chunk, self._in_trailer = size > 0, size == 0
        return True

    def _read_chunk(self, buffer: bytearray) -> bool:
        end = _LINE_END.match(buffer) if self._take(buffer) else None
        if end is None:
            if bytes(buffer[:2]) not in (b"", b"\r"):
                raise BadRequest(400, "A chunk is longer than it says")
            return False
        del buffer[: end.end()]
        self._in_chunk = False
        return True

    def _read_trailer(self, buffer: bytearray) -> bool:
        """Skip the trailer's lines, up to the empty one; whether that came."""
        while b"\n" in buffer:
            end = buffer.index(b"\n") + 1
            line = bytes(buffer[:end])
            del buffer[:end]
            if not line.strip():
                return True
        if len(buffer) > MAX_HEAD_BYTES:
            raise BadRequest(431, f"The request's trailer is larger than {MAX_HEAD_BYTES} bytes")
        return False


@dataclass(frozen=True, slots=True)
class Head:
    """A response's status and headers; without a ``content-length`` the body is chunked."""

    status: int
    headers: Headers

    def header(self, name: str) -> str | None:
        """The value of a header that occurs once; ``None`` where there is none."""
        return next((value for key, value in self.headers if key == name), None)

    def with_header(self, name: str, value: str | None) -> Head:
        """This head with another value of a header, or without it."""
        rest = tuple(pair for pair in self.headers if pair[0] != name)
        return Head(self.status, rest if value is None else (*rest, (name, value)))


# Statuses that HTTPStatus does not know.
_REASONS = {529: "Site Overloaded"}


def is_bodiless(method: str, status: int) -> bool:
    """Whether a response has no body, whatever its headers say."""
    return method == "HEAD" or status in (204, 304)


class Framing:
    """One response as bytes: its head, then its body in chunks or plain."""

    def __init__(self, head: Head, *, method: str = "POST", keep_alive: bool = True) -> None:
        self._head = head
        self._bodiless = is_bodiless(method, head.status)
        self._chunked = head.header("content-length") is None and not self._bodiless
        self._keep_alive = keep_alive

    def head(self) -> bytes:
        """The status line and the headers."""
        lines = [f"HTTP/1.1 {self._head.status} {_reason(self._head.status)}"]
        lines += [f"{name}: {value}" for name, value in self._added(self._head.headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _added(self, headers: Headers) -> Iterable[tuple[str, str]]:
        yield from headers
        if self._chunked:
            yield "transfer-encoding", "chunked"
        if not self._keep_alive:
            yield "connection", "close"

    def data(self, data: bytes) -> bytes:
        """A piece of the body, one chunk."""
        if self._bodiless or not data:  # an empty chunk would end the body
            return b""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data

    def torn(self, data: bytes) -> bytes:
        """The first half of a piece of the body, in a chunk that promises all of it."""
        half = data[: len(data) // 2]
        return b"%x\r\n%b" % (len(data), half) if self._chunked else half

    def end(self) -> bytes:
        """The end of the body."""
        return b"0\r\n\r\n" if self._chunked else b""


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return _REASONS.get(status, "Unknown")
