"""The HTTP client's life, and the one table from foreign exceptions to ours.

An HTTP client belongs to one event loop: each loop gets its own, made on first use and closed
with the loop, however that ends. The means is an async generator per loop, which every loop
closes when it shuts down.
"""

from __future__ import annotations

import errno
import os
import ssl
import warnings
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import msgspec

from dhenara_stream.core.retry import SharedWait
from dhenara_stream.errors import (
    ConfigError,
    ConnectError,
    ConnectTimeout,
    DhenaraStreamError,
    ProtocolError,
    StreamInterrupted,
    TransportError,
    UsageError,
)
from dhenara_stream.providers.registry import HTTPRequest
from dhenara_stream.types.shared.secret import Secret

from .asyncio_source import AsyncioNetwork
from .chain import links, without_frames
from .connections import LIMITS, Connections
from .sources import CLOSE_TIMEOUT, AnyioNetwork

__all__ = ["Transport", "host_of", "left_to_the_loop", "signed", "translated", "translation"]


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
        self, request: HTTPRequest, limits: httpx.Timeout, extensions: Mapping[str, object]
    ) -> httpx.Response:
        """Send a request; the response's body is still to be read, and the response to be closed.

        Raises:
            DhenaraStreamError: If no response comes.
        """
        with translated(request.url):
            if self._own is not None:
                built = _built(self._own, request, limits, extensions)
                return await _send_with(self._own, built)
            client = self._loop_client()
            return await client.send(_built(client.http, request, limits, extensions))

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
    client: httpx.AsyncClient,
    request: HTTPRequest,
    limits: httpx.Timeout,
    extensions: Mapping[str, object],
) -> httpx.Request:
    built = client.build_request(
        "POST",
        request.url,
        content=request.body,
        # Compression would hold events back until a block is full.
        headers={"accept-encoding": "identity", **_revealed(request.headers)},
        timeout=limits,
        extensions=dict(extensions),
    )
    built.stream = _Content(request.body)
    return built


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


class _LoopClient:
    """The HTTP client of one event loop."""

    def __init__(self, loop: object, forget: Callable[[], object]) -> None:
        self.http = _http_client(loop)
        self._life = _until_the_loop_ends(self.http, forget)
        self._started = False
        self._sending: set[anyio.CancelScope] = set()

    async def send(self, request: httpx.Request) -> httpx.Response:
        if not self._started:  # the loop gets to know of the generator that it is to close
            self._started = True
            await anext(self._life)
        with anyio.CancelScope() as scope:
            self._sending.add(scope)
            try:
                return await self.http.send(request, **_SEND)
            finally:
                self._sending.discard(scope)
        raise StreamInterrupted("the client was closed")

    async def aclose(self) -> None:
        for scope in self._sending:  # their connections are not yet known to the HTTP client
            scope.cancel()
        await self._life.aclose()
        with anyio.CancelScope(shield=True):
            await self.http.aclose()

    def __del__(self) -> None:
        with left_to_the_loop():
            del self._life


def _http_client(loop: object) -> httpx.AsyncClient:
    context = _ssl_context(_ssl_environment())
    if not _PROXIED.isdisjoint(getproxies()):
        return httpx.AsyncClient(limits=LIMITS, verify=context)
    network = AsyncioNetwork.of(loop) or AnyioNetwork()
    return httpx.AsyncClient(transport=Connections(network, context))


# The kinds of address that httpx looks for a proxy for, in the environment or the system.
_PROXIED = {"http", "https", "all"}


@contextmanager
def left_to_the_loop() -> Generator[None]:
    """For dropping an async generator: the event loop closes it, and trio would warn of that."""
    with warnings.catch_warnings(module=warnings):  # not looked up: Python may be going down
        warnings.simplefilter("ignore", ResourceWarning)
        yield


async def _until_the_loop_ends(
    client: httpx.AsyncClient, forget: Callable[[], object]
) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        forget()
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await client.aclose()


def _ssl_environment() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))


@lru_cache(maxsize=4)
def _ssl_context(environment: tuple[str | None, ...]) -> ssl.SSLContext:
    # Reading the CA bundle takes about 20 ms: once per process, unless the environment changes.
    return httpx.create_ssl_context()


@contextmanager
def translated(url: str) -> Generator[None]:
    """Turn exceptions of the HTTP libraries into this library's, with the cause chained."""
    try:
        yield
    except FOREIGN as error:
        raise translation(error, url) from error
    except RuntimeError as error:
        if "client has been closed" not in str(error):
            raise
        raise UsageError("the http_client is closed; make a new one") from _quietly_without_frames(
            error
        )


FOREIGN = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError)
"""What the HTTP libraries raise."""


def translation(error: Exception, url: str) -> DhenaraStreamError:
    """This library's exception for one of theirs, to be raised from it."""
    _quietly_without_frames(error)
    return _translate(error, host_of(url))


def host_of(url: str) -> str:
    """Host and port of a URL, without the password that may stand before them; maybe empty."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


# The first class that fits counts. Each text gets the host and what the library said.
_TABLE: tuple[tuple[type[BaseException], type[DhenaraStreamError], str], ...] = (
    (httpx.ConnectTimeout, ConnectTimeout, "connecting to {host} took too long"),
    (httpx.PoolTimeout, ConnectTimeout, "no connection to {host} became free in time"),
    (httpx.ProxyError, ConnectError, "the proxy did not connect to {host}: {what}"),
    (httpx.ConnectError, ConnectError, "cannot connect to {host}: {what}"),
    (httpx.UnsupportedProtocol, ConfigError, "the base URL is not usable: {what}"),
    (httpx.InvalidURL, ConfigError, "the base URL is not usable: {what}"),
    (httpx.LocalProtocolError, ConfigError, "the request to {host} is not valid HTTP"),
    (httpx.DecodingError, ProtocolError, "the body from {host} is wrongly compressed: {what}"),
    (httpx.NetworkError, StreamInterrupted, "the connection to {host} broke: {what}"),
    (httpx.RemoteProtocolError, StreamInterrupted, "the connection to {host} broke off: {what}"),
    (httpx.StreamError, StreamInterrupted, "the response of {host} was closed while it was read"),
    (OSError, TransportError, "the network failed on the way to {host}: {what}"),
    (BaseException, TransportError, "the request to {host} failed: {what}"),
)


def _translate(error: BaseException, host: str) -> DhenaraStreamError:
    kind, text = next((to, text) for cls, to, text in _TABLE if isinstance(error, cls))
    what = _reason(error)
    if "CERTIFICATE_VERIFY_FAILED" in what:
        what += " (for a private certificate authority set SSL_CERT_FILE, or pass http_client)"
        return kind(text.format(host=host, what=what), retryable=False)
    return kind(text.format(host=host, what=what))


def _reason(error: BaseException) -> str:
    """What the system said, the same on every event loop; else what the library said."""
    what = str(error) or type(error).__name__
    for link in links(error):
        if isinstance(link, ssl.SSLError):
            what = str(link)
        elif isinstance(link, OSError) and link.errno:
            known = link.errno in errno.errorcode  # that of a failed look-up is of another kind
            what = os.strerror(link.errno) if known else str(link.strerror)
    return what


def _quietly_without_frames(error: BaseException) -> BaseException:
    with left_to_the_loop():  # the HTTP library's generators, where a frame holds any
        return without_frames(error)
