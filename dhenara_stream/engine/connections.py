"""HTTP/1.1 connections, made for streams: what carries the bytes of the client's own requests.

For what matters here much cheaper than httpx's: a body's bytes come out as they came in, without a
parser's object and a copy for each chunk, and no connection is walked, or polled, because another
one is asked for or given back. h11 reads the heads that are not as usual.

A connection carries one request at a time. Given back whole it is the first to be used again, since
the last used is the likeliest to be alive; what lies idle too long is closed. A request that is
cancelled takes its connection with it. Any number may be open: how many streams run at once is for
the caller to bound, or for the system.
"""

from __future__ import annotations

import math
import re
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, Self

import anyio
import h11
import httpx
import msgspec

from dhenara_stream._version import __version__
from dhenara_stream.core.http1 import Body as Framing
from dhenara_stream.core.http1 import (
    ChunkedBody,
    Head,
    SizedBody,
    UnsizedBody,
    joined,
    plain_head,
)

from .body import Reply
from .sources import Network, Source

__all__ = ["IDLE_SECONDS", "MAX_IDLE", "Connections", "StreamBody", "Trace"]

# To each server. Idle connections are kept for the next call, briefly: servers close them too.
MAX_IDLE = 100
IDLE_SECONDS = 30.0

# As httpcore has it: Kerberos tickets and cookies make some heads long.
_MAX_HEAD_BYTES = 100 * 1024

_PORTS = {"http": 80, "https": 443}
_USER_AGENT = f"dhenara-stream/{__version__}"

Origin = tuple[str, str, int]
Trace = Callable[[str, Any], Awaitable[None]]
"""Told of a request's progress, by the names that httpx's trace extension has for it."""


class Connections:
    """The connections of one event loop.

    Args:
        network: What connects.
        context: Gives what TLS connections are made with.
    """

    def __init__(self, network: Network, context: Callable[[], ssl.SSLContext]) -> None:
        self._network = network
        self._context = context
        self._open: set[_Connection] = set()
        self._idle: dict[Origin, deque[_Connection]] = {}

    async def send(
        self, url: str, headers: Mapping[str, str], content: bytes, trace: Trace
    ) -> Reply:
        """Send a POST request; the body of the reply is still to be read, and to be closed.

        Raises:
            httpx.HTTPError: If no reply comes.
            httpx.InvalidURL: If the URL is none.
        """
        place = _place(url)
        request = _head(place, headers, len(content)) + content
        kept = self._take(place.origin)
        connection = kept or await self._connect(place.origin, trace)
        try:
            return await connection.exchange(request, trace)
        except BaseException as error:
            await connection.aclose()
            if kept is not None and isinstance(error, httpx.TransportError):
                self._close_idle(place.origin)  # the server has let go of this one, maybe of all
            raise

    async def aclose(self) -> None:
        """Close all connections, those in use too."""
        self._idle.clear()
        for connection in tuple(self._open):
            await connection.aclose()

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
        context = self._context() if scheme == "https" else None
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

    async def exchange(self, request: bytes, trace: Trace) -> Reply:
        """Send a request and read the head of its response."""
        await trace("http11.send_request_headers.started", {})
        broken: Exception | None = None
        try:
            await self.source.write(request)
        except httpx.WriteError as error:  # it may have been answered all the same
            broken = error
        await trace("http11.send_request_body.complete", {})
        data = await self._more(broken)
        head = plain_head(data) or await self._unusual_head(data, broken)
        framing = _framing(head.status, head.headers)
        reusable = head.persistent and not _is_doubtful(head.headers)
        body = StreamBody(self, framing, head.rest, reusable=reusable)
        return Reply(head.status, head.headers, body)

    async def _unusual_head(self, data: bytes, broken: Exception | None) -> Head:
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        parser.send(_ANY_POST)
        parser.receive_data(data)
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError as error:
                raise httpx.RemoteProtocolError(str(error)) from error
            if isinstance(event, h11.Response):
                return _head_of(event, parser.trailing_data[0])
            if event is h11.NEED_DATA:  # else it is a head of status 1xx: the real one follows
                parser.receive_data(await self._more(broken))

    async def _more(self, broken: Exception | None) -> bytes:
        try:
            data = await self.source.read(math.inf)
        except httpx.ReadError:
            if broken is not None:
                raise broken from None
            raise
        if not data:
            raise httpx.RemoteProtocolError("the server hung up without an answer")
        return data

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
        self, connection: _Connection, framing: Framing, begun: bytes, *, reusable: bool
    ) -> None:
        self._connection: _Connection | None = connection
        self._source = connection.source
        self._framing = framing
        self._begun = begun  # what came with the head
        self._reusable = reusable

    @property
    def arrived(self) -> float:
        """When what was read last came in."""
        return self._source.arrived

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
        connection = self._connection
        if connection is not None and not self.let_go():
            self._connection = None
            await connection.aclose()

    def let_go(self) -> bool:
        """As that of :class:`~.body.Body`."""
        connection, framing = self._connection, self._framing
        whole = framing.ended and not (framing.surplus or self._begun)
        if connection is not None and self._reusable and whole:
            self._connection = None
            connection.give_back()
        return self._connection is None

    def drop(self) -> None:
        """Close the connection without waiting; from any thread."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        data = await self.read(math.inf)
        if data is None:
            raise StopAsyncIteration
        return data


# To the parser of responses, all requests are like this one.
_ANY_POST = h11.Request(method="POST", target="/", headers=[("host", "a")])


class _Place(msgspec.Struct, frozen=True):
    """Where a URL leads.

    Attributes:
        origin: Scheme, host and port.
        host: The same as a header.
        target: The path and the query.
    """

    origin: Origin
    host: str
    target: str


@lru_cache(maxsize=64)
def _place(url: str) -> _Place:
    parsed = httpx.URL(url)
    port = parsed.port or _PORTS.get(parsed.scheme)
    if port is None or not parsed.raw_host:
        raise httpx.UnsupportedProtocol("it begins with neither http:// nor https://")
    return _Place(
        origin=(parsed.scheme, parsed.raw_host.decode("ascii"), port),
        host=parsed.netloc.decode("ascii"),
        target=parsed.raw_path.decode("ascii"),
    )


# As h11 has it: a token, and text without line ends, NUL or blanks around it.
_FIELDS = re.compile(r"(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+: (?:[!-~](?:[\t -~]*[!-~])?)?\r\n)+")


def _head(place: _Place, headers: Mapping[str, str], size: int) -> bytes:
    fields = {
        "host": place.host,
        "accept": "*/*",
        "connection": "keep-alive",
        "user-agent": _USER_AGENT,
        **{name.lower(): value for name, value in headers.items()},
        "content-length": str(size),
    }
    text = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
    if not _FIELDS.fullmatch(text):  # which of them is not said: it may be a key
        raise httpx.LocalProtocolError("a header has characters that no header may have")
    return f"POST {place.target} HTTP/1.1\r\n{text}\r\n".encode("ascii")


def _is_doubtful(headers: Mapping[str, str]) -> bool:
    """Whether the connection is to be closed: by its word, or since it has two for the length."""
    words = headers.get("connection", "").lower().split(",")
    closes = "close" in (word.strip() for word in words)
    return closes or ("transfer-encoding" in headers and "content-length" in headers)


def _head_of(response: h11.Response, rest: bytes) -> Head:
    fields = [(name.decode("ascii"), value.decode("latin-1")) for name, value in response.headers]
    headers = joined(fields)
    return Head(response.status_code, headers, rest, response.http_version == b"1.1")


def _framing(status: int, headers: Mapping[str, str]) -> Framing:
    if status in (204, 304):
        return SizedBody(0)
    if "transfer-encoding" in headers:  # "chunked": no head with another one is taken
        return ChunkedBody()
    if "content-length" in headers:
        return SizedBody(int(headers["content-length"]))
    return UnsizedBody()
