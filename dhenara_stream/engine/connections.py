"""HTTP/1.1 connections, made for streams: what carries the bytes of the client's own requests.

An httpx transport, for what matters here cheaper than httpx's own by far: a body's bytes come out
as they came in, without a parser's object and a copy for each chunk, and no connection is walked,
or polled, because another one is asked for or given back.

A connection carries one request at a time. Given back whole it is the first to be used again, since
the last used is the likeliest to be alive; what lies idle too long is closed. A request that is
cancelled takes its connection with it. Any number may be open: how many streams run at once is for
the caller to bound, or for the system.

Where something has taken the place of httpx's own sending (respx, VCR.py and instrumentation do),
requests go that way.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import FunctionType
from typing import Any, Self

import anyio
import h11
import httpcore
import httpx

from dhenara_stream.core.http1 import Body, ChunkedBody, SizedBody, UnsizedBody

from .sources import Network, Source

__all__ = ["BODY", "Connections", "StreamBody"]

# To each server. Idle connections are kept for the next call, briefly: servers close them too.
MAX_IDLE = 100
IDLE_SECONDS = 30.0

LIMITS = httpx.Limits(
    max_connections=None, max_keepalive_connections=MAX_IDLE, keepalive_expiry=IDLE_SECONDS
)
"""The same, where httpx's own transport carries the bytes."""

BODY = "dhenara_stream.body"
"""The extension of a response that holds its :class:`StreamBody`."""

# As httpcore has it: Kerberos tickets and cookies make some heads long.
_MAX_HEAD_BYTES = 100 * 1024

_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]
Trace = Callable[[str, Mapping[str, Any]], Awaitable[None]]


class Connections(httpx.AsyncBaseTransport):
    """The connections of one event loop.

    Args:
        network: What connects.
        context: What TLS connections are made with.
    """

    def __init__(self, network: Network, context: ssl.SSLContext) -> None:
        self._network = network
        self._context = context
        self._open: set[_Connection] = set()
        self._idle: dict[Origin, deque[_Connection]] = {}
        self._watched: httpx.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the response's body is still to be read.

        Raises:
            httpx.TransportError: If no response comes.
        """
        if is_watched():
            if self._watched is None:
                self._watched = httpx.AsyncHTTPTransport(verify=self._context, limits=LIMITS)
            return await self._watched.handle_async_request(request)
        origin = _origin(request.url)
        trace: Trace = request.extensions.get("trace", _no_trace)
        kept = self._take(origin)
        connection = kept or await self._connect(origin, trace)
        try:
            return await connection.exchange(request, trace)
        except BaseException as error:
            await connection.aclose()
            if kept is not None and isinstance(error, httpx.TransportError):
                self._close_idle(origin)  # the server has let go of this one, maybe of all
            raise

    async def aclose(self) -> None:
        """Close all connections, those in use too."""
        self._idle.clear()
        for connection in tuple(self._open):
            await connection.aclose()
        if self._watched is not None:
            await self._watched.aclose()

    def forget(self, connection: _Connection) -> None:
        """Note that a connection is closed."""
        self._open.discard(connection)

    def give_back(self, connection: _Connection) -> None:
        """Keep a connection for the next request, and close what has been idle too long."""
        now = connection.idle_since = anyio.current_time()
        idle = self._idle.setdefault(connection.origin, deque())
        idle.append(connection)
        while idle and (now - idle[0].idle_since > IDLE_SECONDS or len(idle) > MAX_IDLE):
            idle.popleft().drop()

    def _take(self, origin: Origin) -> _Connection | None:
        """The connection that was given back last, if it seems to be alive."""
        idle = self._idle.get(origin, ())
        now = anyio.current_time()
        while idle:
            connection = idle.pop()
            if now - connection.idle_since <= IDLE_SECONDS and connection.source.is_idle():
                return connection
            connection.drop()
        return None

    def _close_idle(self, origin: Origin) -> None:
        for connection in self._idle.pop(origin, ()):
            connection.drop()

    async def _connect(self, origin: Origin, trace: Trace) -> _Connection:
        scheme, host, port = origin
        await trace("connection.connect_tcp.started", {})
        context = self._context if scheme == "https" else None
        source = await self._network.connect(host, port, context)
        connection = _Connection(source, origin, self)
        self._open.add(connection)
        return connection


class _Connection:
    """One connection, with a request at a time."""

    def __init__(self, source: Source, origin: Origin, pool: Connections) -> None:
        self.source = source
        self.origin = origin
        self.idle_since = 0.0
        self._pool = pool

    async def exchange(self, request: httpx.Request, trace: Trace) -> httpx.Response:
        """Send a request and read the head of its response."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        try:
            head = parser.send(
                h11.Request(
                    method=request.method,
                    target=request.url.raw_path,
                    headers=request.headers.raw,
                )
            )
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error
        await trace("http11.send_request_headers.started", {"request": request})
        broken: Exception | None = None
        try:
            await self.source.write((head or b"") + request.content)
        except httpx.WriteError as error:  # it may have answered all the same
            broken = error
        await trace("http11.send_request_body.complete", {})
        answer = await self._read_head(parser, broken)
        begun, _ = parser.trailing_data
        body = StreamBody(self, _body_of(answer), begun, reusable=_is_reusable(answer))
        return httpx.Response(
            answer.status_code,
            headers=answer.headers.raw_items(),
            stream=body,
            extensions={
                "http_version": b"HTTP/" + answer.http_version,
                "reason_phrase": answer.reason,
                BODY: body,
            },
        )

    async def _read_head(self, parser: h11.Connection, broken: Exception | None) -> h11.Response:
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError as error:
                raise httpx.RemoteProtocolError(str(error)) from error
            if isinstance(event, h11.Response):
                return event
            if event is h11.NEED_DATA:  # else it is a head of status 1xx: the real one follows
                data = await self._more(broken)
                if not data:
                    raise httpx.RemoteProtocolError("the server hung up without an answer")
                parser.receive_data(data)

    async def _more(self, broken: Exception | None) -> bytes:
        try:
            return await self.source.read(_NEVER)
        except httpx.ReadError:
            if broken is not None:
                raise broken from None
            raise

    def give_back(self) -> None:
        """Let the next request have this connection."""
        self._pool.give_back(self)

    async def aclose(self) -> None:
        """Close it."""
        self._pool.forget(self)
        await self.source.aclose()

    def drop(self) -> None:
        """Close it without waiting."""
        self._pool.forget(self)
        self.source.drop()


class StreamBody(httpx.AsyncByteStream):
    """The body of a response, read straight from its connection."""

    def __init__(
        self, connection: _Connection, framing: Body, begun: bytes, *, reusable: bool
    ) -> None:
        self._connection: _Connection | None = connection
        self._source = connection.source
        self._framing = framing
        self._begun = begun  # what came with the head
        self._reusable = reusable

    async def read(self, deadline: float) -> bytes | None:
        """The next bytes; ``None`` at the end.

        Raises:
            Expired: If the deadline came first, or the wait was ended.
            httpx.TransportError: If the connection broke, or the body did.
        """
        framing = self._framing
        while not framing.ended:
            if framing.error:
                raise httpx.RemoteProtocolError(framing.error)
            data, self._begun = self._begun, b""
            if not data:
                data = await self._source.read(deadline)
                if not data:
                    if what := framing.lacks():
                        raise httpx.RemoteProtocolError(what)
                    return None
            if data := framing.feed(data):
                return data
        return None

    def interrupt(self) -> None:
        """End the wait of the task that reads, if one does."""
        self._source.interrupt()

    async def aclose(self) -> None:
        """Let the connection go: to the next request if the body was read, else close it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        framing = self._framing
        if self._reusable and framing.ended and not framing.surplus:
            connection.give_back()
        else:
            await connection.aclose()

    def drop(self) -> None:
        """Close the connection without waiting; from any thread."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        data = await self.read(_NEVER)
        if data is None:
            raise StopAsyncIteration
        return data


_NEVER = float("inf")


def is_watched() -> bool:
    """Whether something has taken the place of httpx's sending, to see or answer requests."""
    for method in (
        httpx.AsyncHTTPTransport.handle_async_request,
        httpcore.AsyncConnectionPool.handle_async_request,
    ):
        if not isinstance(method, FunctionType):
            return True
        if method.__globals__["__name__"].partition(".")[0] not in ("httpx", "httpcore"):
            return True
    return False


async def _no_trace(event: str, info: Mapping[str, Any]) -> None:
    pass


def _origin(url: httpx.URL) -> Origin:
    port = url.port or _PORTS.get(url.scheme)
    if port is None:
        what = f"an unsupported protocol '{url.scheme}://'" if url.scheme else "no protocol"
        raise httpx.UnsupportedProtocol(f"Request URL has {what}.")
    return url.scheme, url.raw_host.decode("ascii"), port


def _body_of(head: h11.Response) -> Body:
    fields = dict(head.headers)
    if head.status_code in (204, 304):
        return SizedBody(0)
    if b"transfer-encoding" in fields:  # it can only be "chunked": else it is no valid head
        return ChunkedBody()
    if b"content-length" in fields:
        return SizedBody(int(fields[b"content-length"]))
    return UnsizedBody()


def _is_reusable(head: h11.Response) -> bool:
    connection = b",".join(value for name, value in head.headers if name == b"connection")
    words = {word.strip() for word in connection.lower().split(b",")}
    return head.http_version == b"1.1" and b"close" not in words
