"""A response's body: its bytes, and its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from typing import Protocol, cast

import anyio
import httpx
import msgspec

from dhenara_stream.errors import ProtocolError

from .sources import CLOSE_TIMEOUT, Expired
from .translation import host_of, left_to_the_loop, translated

__all__ = ["Body", "Reply", "drain", "is_encoded", "reply_of"]

# After the terminal event: enough for the end of the chunked body, too little to be noticed.
DRAIN_BYTES = 64 * 1024
DRAIN_SECONDS = 0.05

# More than any buffer of the HTTP library holds.
_RUN_OUT_BYTES = 16 * DRAIN_BYTES

# Of a compressed body at a time: gzip makes at most a thousand times as much of it.
_SLICE_BYTES = 256


class Body(Protocol):
    """A response's body. One task at a time reads it."""

    @property
    def arrived(self) -> float:
        """When what was read last came in, the head at first, by the event loop's clock.

        0.0 before it is known.
        """
        ...

    async def read(self, deadline: float) -> bytes | None:
        """The next bytes; ``None`` at the end.

        Raises:
            Expired: If the deadline came first, or :meth:`interrupt` was called.
            httpx.HTTPError: If the connection broke, or the body did.
            DhenaraStreamError: The same, translated already.
        """
        ...

    def interrupt(self) -> None:
        """End the wait of the task that reads, if one does."""
        ...

    def let_go(self) -> bool:
        """Let the next request have the connection, if the body was read to its end.

        Returns:
            Whether the connection is gone, so that there is nothing to close.
        """
        ...

    async def aclose(self) -> None:
        """Let the connection go: to the next request if the body was read, else close it."""
        ...

    def drop(self) -> None:
        """Close the connection without waiting, from any thread; nobody may be reading."""
        ...


class Reply(msgspec.Struct, frozen=True, eq=False):
    """A response whose body is still to be read.

    Attributes:
        status: The HTTP status.
        headers: Its headers, by their names in lower case.
        body: Its body.
    """

    status: int
    headers: Mapping[str, str]
    body: Body


async def reply_of(response: httpx.Response, url: str) -> Reply:
    """A response that httpx reads."""
    body = _HTTPXBody(_chunks(response, url))
    await body.start()
    return Reply(response.status_code, response.headers, body)


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether a body is compressed, although nobody asked for it."""
    return headers.get("content-encoding", "identity") != "identity"


class _HTTPXBody:
    """A body that httpx reads, whatever carries its bytes."""

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self.arrived = 0.0
        self._chunks = chunks
        self._scope = anyio.CancelScope()  # of the last read

    async def start(self) -> None:
        """Let the event loop know the generator.

        It closes the connection then, even if the stream is dropped before it is read.
        """
        await anext(self._chunks)

    async def read(self, deadline: float) -> bytes | None:
        """As that of :class:`Body`."""
        with anyio.CancelScope(deadline=deadline) as self._scope:
            data = await anext(self._chunks, None)
            self.arrived = anyio.current_time()
            return data
        raise Expired

    def interrupt(self) -> None:
        """As that of :class:`Body`."""
        self._scope.cancel()

    def let_go(self) -> bool:
        """As that of :class:`Body`; the HTTP library wants to be waited for."""
        return False

    async def aclose(self) -> None:
        """As that of :class:`Body`."""
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await self._chunks.aclose()

    def drop(self) -> None:
        """As that of :class:`Body`."""
        with left_to_the_loop():
            del self._chunks


async def _chunks(response: httpx.Response, url: str) -> AsyncGenerator[bytes, None]:
    """The body's bytes, after an empty first item."""
    slices: _Slices | None = None
    encoded = is_encoded(response.headers)
    decoded = response.is_stream_consumed  # by a mock that had it all
    if encoded and not decoded:
        response.stream = slices = _Slices(cast("httpx.AsyncByteStream", response.stream))
    chunks = response.aiter_bytes() if encoded or decoded else response.aiter_raw()
    begun = False
    try:
        yield b""
        if "," in response.headers.get("content-encoding", ""):
            raise ProtocolError(f"the body from {host_of(url)} is compressed more than once")
        begun = True
        with translated(url):
            async for data in chunks:
                yield data
    finally:
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            with suppress(Exception):  # whatever a transport, maybe the caller's, fails with
                await response.aclose()
            if begun and slices is not None:
                slices.end()
                await _run_out(chunks)
                await _run_out(slices.pieces)
            elif begun:
                await _run_out(chunks)


class _Slices(httpx.AsyncByteStream):
    """A compressed body in slices, so that memory is not at the mercy of what they unpack to.

    The HTTP library unpacks at once what comes at once.
    """

    def __init__(self, body: httpx.AsyncByteStream) -> None:
        self.pieces = aiter(body)
        self._body = body
        self._piece = b""
        self._at = 0
        self._ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        if self._at >= len(self._piece):
            self._piece = await anext(self.pieces)
            self._at = 0
        begin, self._at = self._at, self._at + _SLICE_BYTES
        return self._piece[begin : self._at]

    async def aclose(self) -> None:
        await self._body.aclose()

    def end(self) -> None:
        """Let whoever reads this come to the end at once."""
        self._ended = True


async def _run_out(chunks: AsyncIterator[bytes]) -> None:
    """End the HTTP library's nested generators, whose connection is closed.

    Dropped half-way they would be left to the garbage collector, and trio warns of each. Resumed
    in a cancelled scope they end at once: after what is in the buffers they meet the closed
    connection, or their next wait is cancelled.
    """
    size = 0
    with anyio.CancelScope() as scope, suppress(Exception):
        scope.cancel()
        async for data in chunks:
            size += len(data)
            if size > _RUN_OUT_BYTES:  # a transport of the caller's that never waits
                return


async def drain(body: Body) -> None:
    """Read the end of the body of an answer that is complete, for a moment.

    How its connection ends is nobody's concern.
    """
    deadline = anyio.current_time() + DRAIN_SECONDS
    left = DRAIN_BYTES
    with suppress(Exception):
        while left > 0 and (data := await body.read(deadline)) is not None:
            left -= len(data)
