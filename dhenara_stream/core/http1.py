"""HTTP/1.1 responses: heads that are as usual, and bodies, taken out of their framing (RFC 9112).

:func:`plain_head` reads a head, if it is one as all servers send. Each class reads one body, fed
with the bytes that follow the head, cut anywhere:

- :class:`ChunkedBody`: chunks, each with its size before it; a chunk of size 0 is the end.
- :class:`SizedBody`: as many bytes as the head said.
- :class:`UnsizedBody`: all until the connection is closed.

What lies in one piece of bytes comes out in one piece: a fast server's many small chunks cost one
call. Time is linear at any cut, and nothing is kept but an unfinished line between two chunks. What
comes before an error is not lost: the call that meets it returns that, and sets ``error``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec

__all__ = ["Body", "ChunkedBody", "Head", "SizedBody", "UnsizedBody", "joined", "plain_head"]

_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.1 [2-5][0-9]{2}(?: [\t -~]*)?\r\n(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+:[\t -~]*\r\n)*"
)
_STATUS = slice(9, 12)
_MAX_LENGTH_DIGITS = 18

_MAX_LINE = 4096
"""Of a chunk's size and its extensions, which nobody reads."""

_MAX_TRAILERS = 16 * 1024

_TOO_LONG = "a line between the chunks of the body is too long"
_HEX = b"0123456789abcdefABCDEF"
_MAX_DIGITS = 16


class Head(msgspec.Struct, frozen=True):
    """The head of a response.

    Attributes:
        status: The HTTP status.
        headers: By their names in lower case.
        rest: The bytes that came after it.
        persistent: Whether its version of HTTP keeps connections open.
    """

    status: int
    headers: dict[str, str]
    rest: bytes
    persistent: bool = True


def plain_head(data: bytes) -> Head | None:
    """The head of a response that begins with these bytes, if it is whole and as usual.

    The fast path, at a tenth of the price of h11, which is asked for all others: for what is cut,
    old, provisional, or in doubt about the length of its body, and for what is wrong.
    """
    end = data.find(b"\r\n\r\n") + 2
    if not _PLAIN_HEAD.fullmatch(data, 0, end):
        return None
    fields = [line.partition(":") for line in data[:end].decode("ascii").split("\r\n")[1:-1]]
    headers = joined((name.lower(), value.strip(" \t")) for name, _, value in fields)
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is None:
        known = length is None or (length.isdecimal() and len(length) <= _MAX_LENGTH_DIGITS)
    else:
        known = length is None and coding == "chunked"
    return Head(int(data[_STATUS]), headers, data[end + 2 :]) if known else None


def joined(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header fields by name; values of one name are one, with commas (RFC 9110, section 5.3)."""
    headers: dict[str, str] = {}
    for name, value in fields:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


class UnsizedBody:
    """Reads a body that the end of the connection ends.

    Attributes:
        ended: Whether the whole body was read.
        error: What is wrong with it, in words; empty if nothing is. There is no more to read then.
        surplus: Whether bytes came after it: then nobody knows what the connection says next.
    """

    __slots__ = ("ended", "error", "surplus")

    def __init__(self) -> None:
        self.ended = self.surplus = False
        self.error = ""

    def feed(self, data: bytes) -> bytes:
        """What these bytes hold of the body."""
        return data

    def lacks(self) -> str:
        """What is missing if the connection ends now, in words; empty if nothing is."""
        return ""


class SizedBody(UnsizedBody):
    """Reads a body of a known size.

    Args:
        size: Its bytes.
    """

    __slots__ = ("_left",)

    def __init__(self, size: int) -> None:
        super().__init__()
        self._left = size
        self.ended = size == 0

    def feed(self, data: bytes) -> bytes:
        """As that of :class:`UnsizedBody`."""
        body = data[: self._left]
        self._left -= len(body)
        self.ended = self._left == 0
        self.surplus = len(body) < len(data)
        return body

    def lacks(self) -> str:
        """As that of :class:`UnsizedBody`."""
        return "" if self.ended else f"{self._left} bytes of the body are missing"


class ChunkedBody(UnsizedBody):
    """Reads a body in chunks."""

    __slots__ = ("_is_plain", "_kept", "_left", "_trailers")

    def __init__(self) -> None:
        super().__init__()
        self._left = 0  # of the chunk under way, with its CRLF
        self._kept = b""  # the beginning of a line
        self._is_plain = True  # no chunk so far held a CRLF
        self._trailers = -1  # bytes of the lines after the last chunk; -1 before it

    def feed(self, data: bytes) -> bytes:
        """As that of :class:`UnsizedBody`."""
        pieces: list[bytes] = []
        try:
            if self.error:
                return b""
            between = not self._left and not self._kept and self._trailers < 0
            if between and (chunk := _only_chunk(data)):
                return chunk
            self._read(data, pieces)
        except ValueError as error:
            self.error = str(error)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read(self, data: bytes, pieces: list[bytes]) -> None:
        if self._kept:
            data, self._kept = self._kept + data, b""
        if self._trailers >= 0:
            self._end(data, 0)
            return
        at = self._left  # where the chunk under way ends, here or after these bytes
        if at:
            self._go_on(data, pieces)
        if self._is_plain:
            at = self._read_whole(data, at, pieces)
        size = len(data)
        while at < size:
            begin = data.find(b"\r\n", at) + 2
            if begin < 2:
                self._keep(data[at:], _MAX_LINE + 1)  # its CR may have come
                break
            length = _chunk_size(data[at : begin - 2])
            end = begin + length
            if not length:
                self._end(data, begin)
                break
            if not data.startswith(b"\r\n", end):
                # Cut, in the chunk or within its CRLF; or wrong, which shows there.
                self._left = length + 2
                self._go_on(data[begin:], pieces)
                break
            pieces.append(data[begin:end])
            at = end + 2

    def _read_whole(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Read the chunks that are whole, if none of them holds a CRLF; where they end.

        The fast path, for half the price of the other. It takes the bytes between CRLFs, by turns,
        for sizes and chunks; if all those are right, so they are, read in any way.
        """
        parts = data[at : data.rfind(b"\r\n")].split(b"\r\n")
        sizes, chunks = parts[: len(parts) // 2 * 2 : 2], parts[1::2]
        try:
            lengths = list(map(_chunk_size, sizes))
        except ValueError:
            lengths = [-1]
        if 0 in lengths:  # the last chunk, which is none of these
            last = lengths.index(0)
            del lengths[last:], sizes[last:], chunks[last:]
        if lengths != list(map(len, chunks)):
            self._is_plain = False
            return at
        pieces += chunks
        return at + sum(map(len, sizes)) + sum(lengths) + 4 * len(chunks)

    def lacks(self) -> str:
        """As that of :class:`UnsizedBody`."""
        return "" if self.ended else "the last chunk of the body is missing"

    def _go_on(self, data: bytes, pieces: list[bytes]) -> None:
        """Read more of the chunk under way."""
        left = self._left
        if left > 2 and (piece := data[: left - 2]):
            pieces.append(piece)
        ending = data[max(left - 2, 0) : left]
        self._left = max(left - len(data), 0)
        if not b"\r\n"[2 - min(left, 2) :].startswith(ending):
            raise ValueError("a chunk of the body does not end where its size says")

    def _end(self, data: bytes, at: int) -> None:
        """Read the lines after the last chunk; the blank one is the end."""
        self._trailers = max(self._trailers, 0)
        while not self.ended:
            end = data.find(b"\r\n", at)
            if end < 0:
                self._keep(data[at:], _MAX_TRAILERS - self._trailers)
                return
            self._trailers += end + 2 - at
            if self._trailers > _MAX_TRAILERS:
                raise ValueError("the fields after the body are too long")
            self.ended = end == at
            at = end + 2
        self.surplus = at < len(data)

    def _keep(self, line: bytes, limit: int) -> None:
        if len(line) > limit:
            raise ValueError(_TOO_LONG)
        self._kept = line


Body = ChunkedBody | SizedBody | UnsizedBody


def _only_chunk(data: bytes) -> bytes:
    """The chunk, if the bytes are one and no more: a live model's. Else nothing."""
    begin = data.find(b"\r\n") + 2
    is_whole = begin > 1 and len(data) - begin - 2 == _chunk_size(data[: begin - 2])
    return data[begin:-2] if is_whole and data.endswith(b"\r\n") else b""


@lru_cache(maxsize=1024)
def _chunk_size(line: bytes) -> int:
    # Cached: the sizes of one answer's events are much alike.
    digits = line.partition(b";")[0].rstrip(b" \t")
    if len(line) > _MAX_LINE:
        raise ValueError(_TOO_LONG)
    if not digits or digits.strip(_HEX) or len(digits) > _MAX_DIGITS:
        raise ValueError(f"this is no size of a chunk of the body: {line[:32]!r}")
    return int(digits, 16)
