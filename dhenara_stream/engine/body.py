"""A response's body: its bytes, and its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

import anyio
import httpx

from .transport import CLOSE_TIMEOUT, translated

__all__ = ["drain", "response_body"]

# After the terminal event: enough for the end of the chunked body, too little to be noticed.
DRAIN_BYTES = 64 * 1024
DRAIN_SECONDS = 0.05

# More than any buffer of the HTTP library holds.
_RUN_OUT_BYTES = 16 * DRAIN_BYTES


async def response_body(response: httpx.Response, url: str) -> AsyncGenerator[bytes, None]:
    """The body's bytes, after an empty first item.

    With that item the event loop knows the generator, and closes the connection even if the
    stream is dropped before it is read.
    """
    encoded = response.headers.get("content-encoding", "identity") != "identity"
    decoded = encoded or response.is_stream_consumed  # by a mock that had it all
    chunks = response.aiter_bytes() if decoded else response.aiter_raw()
    begun = False
    try:
        yield b""
        begun = True
        with translated(url):
            async for data in chunks:
                yield data
    finally:
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            with suppress(Exception):  # whatever a transport, maybe the caller's, fails with
                await response.aclose()
            if begun:
                await _run_out(chunks)


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
