"""The simulated provider without sockets: an httpx transport that runs the same protocol code.

The bytes are those that the server sends, in the same pieces, with the same pauses and faults.
What only HTTP's framing can show (a torn chunk, a reset, a dropped connection) is raised as httpx
raises it; httpx's read timeout ends a silence. A ``content-length`` that lies is not noticed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any, NoReturn, Self

import anyio
import anyio.lowlevel
import httpx

from .http1 import Head, Request, is_bodiless
from .plan import Data, End, Gone, Hold, Pause, Repeat, Rst, Step, Torn
from .service import RecordedRequest, Service

__all__ = ["MemoryTransport"]


class MemoryTransport(httpx.AsyncBaseTransport):
    """Serves an ``httpx.AsyncClient`` from memory; ``Simulator(...).transport()`` makes it."""

    def __init__(self, service: Service, changed: Callable[[], None]) -> None:
        self._service = service
        self._changed = changed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, whatever its host.

        Raises:
            httpx.TransportError: A fault that a network client would see as this.
        """
        body = await request.aread()
        headers = tuple((name.lower(), value) for name, value in request.headers.multi_items())
        query = request.url.query.decode("ascii")
        received = Request(request.method, request.url.path, query, headers, body)
        record, steps = self._service.respond(received, 0)
        self._changed()
        content = _Content(steps, request, record, self._changed)
        head = await content.head()
        return httpx.Response(
            head.status,
            headers=list(head.headers),
            stream=content,
            extensions={"http_version": b"HTTP/1.1"},
            request=request,
        )


class _Content(httpx.AsyncByteStream):
    """The body of one response, made while it is read."""

    def __init__(
        self,
        steps: Iterator[Step],
        request: httpx.Request,
        record: RecordedRequest,
        changed: Callable[[], None],
    ) -> None:
        self._steps = steps
        self._request = request
        self._record = record
        self._changed = changed
        timeouts: dict[str, Any] = request.extensions.get("timeout", {})
        self._read_timeout: float | None = timeouts.get("read")
        self._due = anyio.current_time()  # when the last pause was to end
        self._ended = False

    async def head(self) -> Head:
        """The head of the response; it comes first."""
        step = next(self._steps)
        if not isinstance(step, Head):
            await self._fail(next(self._steps), "Server disconnected without sending a response.")
        self._record.status = step.status
        if is_bodiless(self._request.method, step.status):
            self._steps = iter((End(),))
        return step

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()  # before the next step is taken, so none is lost
        while True:
            match next(self._steps, None):
                case Data() as step:
                    return step.data
                case Pause() as step:
                    await self._pause(step.seconds)
                case Torn() as step:
                    self._steps = iter((Gone(),))
                    return step.data[: len(step.data) // 2]
                case Repeat() as step:
                    self._due = anyio.current_time()
                    again = (Data(step.data), Pause(step.interval))
                    self._steps = chain.from_iterable(repeat(again))
                case None:
                    raise StopAsyncIteration
                case step:
                    await self._finish(step)

    async def aclose(self) -> None:
        """The client is done with the response."""
        self._record.client_left = not self._ended
        self._changed()

    async def _finish(self, step: Step) -> None:
        """Do the last step."""
        if not isinstance(step, End):
            await self._fail(step, "peer closed connection without sending complete message body")
        self._ended = self._record.complete = True
        self._changed()

    async def _fail(self, step: Step, message: str) -> NoReturn:
        if isinstance(step, Hold):
            await self._silence()
        self._ended = True
        if isinstance(step, Rst):
            raise httpx.ReadError("Connection reset by peer", request=self._request)
        raise httpx.RemoteProtocolError(message, request=self._request)

    async def _pause(self, seconds: float) -> None:
        self._due += seconds
        left = self._due - anyio.current_time()
        if self._read_timeout is not None and left > self._read_timeout:
            await self._silence()
        await anyio.sleep(max(0.0, left))

    async def _silence(self) -> NoReturn:
        """Nothing comes; the client's read timeout ends it, if anything does."""
        await anyio.sleep(math.inf if self._read_timeout is None else self._read_timeout)
        raise httpx.ReadTimeout("The read operation timed out", request=self._request)
