"""A response's body: its bytes, and its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import cast

import anyio
import httpx

from dhenara_stream.errors import ProtocolError

from .transport import CLOSE_TIMEOUT, host_of, translated

__all__ = ["drain", "response_body"]

# After the terminal event: enough for the end of the chunked body, too little to be noticed.
DRAIN_BYTES = 64 * 1024
DRAIN_SECONDS = 0.05

# More than any buffer of the HTTP library holds.
_RUN_OUT_BYTES = 16 * DRAIN_BYTES

# Of a compressed body at a time: gzip makes at most a thousand times as much of it.
_SLICE_BYTES = 256


async def response_body(response: httpx.Response, url: str) -> AsyncGenerator[bytes, None]:
    """The body's bytes, after an empty first item.

    With that item the event loop knows the generator, and closes the connection even if the
    stream is dropped before it is read.
    """
    slices: _Slices | None = None
    encoding = response.headers.get("content-encoding", "identity")
    encoded = encoding != "identity"
    decoded = response.is_stream_consumed  # by a mock that had it all
    if encoded and not decoded:
        response.stream = slices = _Slices(cast("httpx.AsyncByteStream", response.stream))
    chunks = response.aiter_bytes() if encoded or decoded else response.aiter_raw()
    begun = False
    try:
        yield b""
        if "," in encoding:
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


async def drain(body: AsyncGenerator[bytes, None]) -> None:
    """Read the end of the body of an answer that is complete, for a moment.

    How its connection ends is nobody's concern.
    """
    drained = 0
    with anyio.move_on_after(DRAIN_SECONDS), suppress(Exception):
        async for data in body:
            drained += len(data)
            if drained > DRAIN_BYTES:
                return
