"""A response's body: its bytes, and its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

import anyio
import httpx

from dhenara_stream.errors import DhenaraStreamError

from .transport import CLOSE_TIMEOUT, translated

__all__ = ["drain", "response_body"]

# After the terminal event: enough for the end of the chunked body, too little to be noticed.
DRAIN_BYTES = 64 * 1024
DRAIN_SECONDS = 0.05


async def response_body(response: httpx.Response, url: str) -> AsyncGenerator[bytes, None]:
    """The body's bytes. The first item is empty: it makes the event loop know the generator,

    so that the connection is closed even if the stream is dropped before it is read.
    """
    encoded = response.headers.get("content-encoding", "identity") != "identity"
    chunks = response.aiter_bytes() if encoded else response.aiter_raw()
    try:
        yield b""
        with translated(url):
            async for data in chunks:
                yield data
    finally:
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await response.aclose()
            await _run_out(chunks)


async def _run_out(chunks: AsyncIterator[bytes]) -> None:
    """End the HTTP library's nested generators, whose connection is closed.

    Dropped half-way they would be left to the garbage collector, and trio warns of each. Resumed
    they meet the closed connection, and end with its error; that error is nobody's concern.
    """
    with suppress(httpx.HTTPError, httpx.StreamError, OSError):
        async for _ in chunks:
            pass


async def drain(body: AsyncGenerator[bytes, None]) -> None:
    drained = 0
    with anyio.move_on_after(DRAIN_SECONDS):
        try:
            async for data in body:
                drained += len(data)
                if drained > DRAIN_BYTES:
                    return
        except DhenaraStreamError:
            return  # the answer is complete; how its connection ends is nobody's concern
