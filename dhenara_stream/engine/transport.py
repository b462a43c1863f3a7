"""How requests are sent, and the life of what sends them.

Connections belong to one event loop: each loop gets its own, made on first use and closed with the
loop, however that ends. The means is an async generator per loop, which every loop closes when it
shuts down.

A request goes over connections of our own, but by httpx's means where those do not do: through a
client of the caller's, through a proxy of the environment, and where something has taken the place
of httpx's sending, to watch or answer requests (respx, VCR.py, instrumentation).
"""

from __future__ import annotations

import os
import ssl
import sys
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import lru_cache, partial
from types import FunctionType
from typing import Any, Self, cast
from urllib.request import getproxies

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import msgspec

from dhenara_stream.core.retry import SharedWait
from dhenara_stream.providers.registry import HTTPRequest
from dhenara_stream.types.shared.secret import Secret

from .asyncio_source import AsyncioNetwork
from .body import Reply, is_encoded, reply_of
from .connections import IDLE_SECONDS, MAX_IDLE, Connections, Trace
from .sources import CLOSE_TIMEOUT, AnyioNetwork
from .translation import client_closed, left_to_the_loop, translated

__all__ = ["Transport", "signed"]


class Transport:
    """Sends requests, over connections that are kept for the next one.

    Attributes:
        closings: How often connections were closed; a stream that ran then makes no new attempt.
    """

    def __init__(self, http_client: httpx.AsyncClient | None = None) -> None:
        self.closings = 0
        self._own = http_client
        self._start()

    @property
    def is_limited(self) -> bool:
        """Whether the connections are a caller's client's, which may allow only so many."""
        return self._own is not None

    def _start(self) -> None:
        self._pid = os.getpid()
        self._loops: weakref.WeakKeyDictionary[object, _LoopClient] = weakref.WeakKeyDictionary()
        # It keeps the clients: were they part of the same garbage as this, their sockets would be
        # finalised before the loop could close them.
        self._dropped = weakref.finalize(self, self._loops.clear)
        self._dropped.atexit = False
        self._waits: weakref.WeakKeyDictionary[object, _Waits] = weakref.WeakKeyDictionary()

    def shared_wait(self) -> SharedWait:
        """What calls of this client wait for together, by the running loop's clock."""
        return self._waits_of_loop().shared

    async def sleep(self, seconds: float) -> None:
        """Sleep, at most until the running loop's connections are closed."""
        sleeping = self._waits_of_loop().sleeping
        with anyio.CancelScope() as scope:
            sleeping.add(scope)
            try:
                await anyio.sleep(seconds)
            finally:
                sleeping.discard(scope)

    def _waits_of_loop(self) -> _Waits:
        loop = _running_loop()
        waits = self._waits.get(loop)
        if waits is None:
            waits = self._waits[loop] = _Waits()
        return waits

    def _loop_client(self) -> _LoopClient:
        if self._pid != os.getpid():
            # After a fork the sockets are the parent's: leave them alone, unclosed.
            _inherited.append(self._dropped.detach())
            self._start()
        loop = _running_loop()
        client = self._loops.get(loop)
        if client is None:
            client = _LoopClient(loop, partial(self._loops.pop, loop, None))
            self._loops[loop] = client
        return client

    async def send(
        self, request: HTTPRequest, connect_timeout: float | None, trace: Trace
    ) -> Reply:
        """Send a request; the body of the reply is still to be read, and to be closed.

        Args:
            request: The request.
            connect_timeout: Seconds that a connection may take, for a client of the caller's.
            trace: Told of the request's progress, as httpx tells its trace extension.

        Raises:
            DhenaraStreamError: If no reply comes.
        """
        with translated(request.url):
            if self._own is None:
                return await self._loop_client().send(request, connect_timeout, trace)
            built = _built(self._own, request, connect_timeout, trace)
            return await reply_of(await _send_with(self._own, built), request.url)

    async def aclose(self) -> None:
        """Close the running loop's connections. A client of the caller's stays open."""
        self.closings += 1
        for scope in self._waits_of_loop().sleeping:
            scope.cancel()
        client = self._loops.pop(_running_loop(), None)
        if client is not None:
            await client.aclose()


class _Waits:
    """What the calls of one event loop wait for."""

    def __init__(self) -> None:
        self.shared = SharedWait()
        self.sleeping: set[anyio.CancelScope] = set()


def _running_loop() -> object:
    return anyio.lowlevel.current_token().native_token


# What a forked child must neither use nor close.
_inherited: list[object] = []


async def signed(request: HTTPRequest) -> HTTPRequest:
    """The request with the headers that can be known only now.

    Where they may take time, a worker thread waits for them.

    Raises:
        DhenaraStreamError: If there are none.
    """
    signer = request.signer
    if signer is None:
        return request
    if signer.blocking:
        added = await anyio.to_thread.run_sync(signer.headers, request, abandon_on_cancel=True)
    else:
        added = signer.headers(request)
    return msgspec.structs.replace(request, headers={**request.headers, **added})


_SEND: Any = {"stream": True, "follow_redirects": False}


async def _send_with(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send with a caller's client, whose connections may be limited."""
    answered = False
    try:
        response = await client.send(request, **_SEND)
        answered = True
        return response
    finally:
        if not answered:
            with anyio.CancelScope(shield=True):
                await _give_up_forgotten(client)


async def _give_up_forgotten(client: Any) -> None:
    """Give up the connections that were to be made for calls which were cancelled.

    A call that waits for a connection is given one when another call ends, even if it has just been
    cancelled. httpcore 1.0 then keeps that connection for ever: never made, and counted against
    the limit (encode/httpcore#1093). Little of its pool is public; another pool is left alone.
    """
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_assign_requests_to_connections"):
            used = [request.connection for request in pool._requests]
            for connection in pool.connections:
                if connection not in used and connection.info() == "CONNECTING":
                    pool._connections.remove(connection)
            await pool._close_connections(pool._assign_requests_to_connections())


def _built(
    client: httpx.AsyncClient, request: HTTPRequest, connect_timeout: float | None, trace: Trace
) -> httpx.Request:
    built = client.build_request(
        "POST",
        request.url,
        content=request.body,
        headers=_headers(request),
        timeout=httpx.Timeout(None, connect=connect_timeout),
        extensions={"trace": trace},
    )
    built.stream = _Content(request.body)
    return built


def _headers(request: HTTPRequest) -> dict[str, str]:
    # Compression would hold events back until a block is full.
    return {"accept-encoding": "identity", **_revealed(request.headers)}


def _revealed(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: v.reveal() if isinstance(v, Secret) else v for k, v in headers.items()}


class _Content(httpx.AsyncByteStream):
    """A request's body.

    httpx's own is read by an async generator, which a cancelled call leaves to the garbage
    collector.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._left = iter((body,))

    def __aiter__(self) -> Self:
        self._left = iter((self._body,))
        return self

    async def __anext__(self) -> bytes:
        for body in self._left:
            return body
        raise StopAsyncIteration


class _Sender:
    """What sends the requests of one event loop, and lets their connections go."""

    def __init__(self, loop: object) -> None:
        self._connections = Connections(AsyncioNetwork.of(loop) or AnyioNetwork(), _ssl_context_now)
        self._http: httpx.AsyncClient | None = None
        self._is_proxied = not _PROXIED.isdisjoint(getproxies())

    async def send(
        self, request: HTTPRequest, connect_timeout: float | None, trace: Trace
    ) -> Reply:
        if self._is_proxied or _is_watched():
            if self._http is None:
                self._http = httpx.AsyncClient(limits=_LIMITS, verify=_ssl_context_now())
            built = _built(self._http, request, connect_timeout, trace)
            return await reply_of(await self._http.send(built, **_SEND), request.url)
        reply = await self._connections.send(request.url, _headers(request), request.body, trace)
        if is_encoded(reply.headers):
            body = cast("httpx.AsyncByteStream", reply.body)
            unpacking = httpx.Response(reply.status, headers=reply.headers, stream=body)
            return await reply_of(unpacking, request.url)
        return reply

    async def aclose(self) -> None:
        await self._connections.aclose()
        if self._http is not None:
            await self._http.aclose()


class _LoopClient:
    """The sender of one event loop, and its life."""

    def __init__(self, loop: object, forget: Callable[[], object]) -> None:
        self._sender = _Sender(loop)
        self._life = _until_the_loop_ends(self._sender, forget)
        self._started = False
        self._sending: set[anyio.CancelScope] = set()

    async def send(
        self, request: HTTPRequest, connect_timeout: float | None, trace: Trace
    ) -> Reply:
        if not self._started:  # the loop gets to know of the generator that it is to close
            self._started = True
            await anext(self._life)
        with anyio.CancelScope() as scope:
            self._sending.add(scope)
            try:
                return await self._sender.send(request, connect_timeout, trace)
            finally:
                self._sending.discard(scope)
        raise client_closed("it had an answer")

    async def aclose(self) -> None:
        for scope in self._sending:  # their connections may not be known to the sender yet
            scope.cancel()
        await self._life.aclose()
        with anyio.CancelScope(shield=True):
            await self._sender.aclose()

    def __del__(self) -> None:
        with left_to_the_loop():
            del self._life


async def _until_the_loop_ends(
    sender: _Sender, forget: Callable[[], object]
) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        forget()
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await sender.aclose()


_LIMITS = httpx.Limits(
    max_connections=None, max_keepalive_connections=MAX_IDLE, keepalive_expiry=IDLE_SECONDS
)

# The kinds of address that httpx looks for a proxy for, in the environment or the system.
_PROXIED = {"http", "https", "all"}


def _is_watched() -> bool:
    """Whether something has taken the place of httpx's sending."""
    methods: list[object] = [
        httpx.AsyncClient.send,
        httpx.AsyncHTTPTransport.handle_async_request,
    ]
    httpcore = sys.modules.get("httpcore")  # if nobody has loaded it, nobody has changed it
    if httpcore is not None:
        methods.append(httpcore.AsyncConnectionPool.handle_async_request)
    return not all(map(_is_httpx_s, methods))


def _is_httpx_s(method: object) -> bool:
    if not isinstance(method, FunctionType):
        return False
    return method.__globals__["__name__"].partition(".")[0] in ("httpx", "httpcore")


def _ssl_context_now() -> ssl.SSLContext:
    return _ssl_context(tuple(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")))


@lru_cache(maxsize=4)
def _ssl_context(environment: tuple[str | None, ...]) -> ssl.SSLContext:
    # Reading the CA bundle takes about 20 ms: once per process, unless the environment changes.
    return httpx.create_ssl_context()
