"""The HTTP client's life, and the one table from foreign exceptions to ours.

An HTTP client belongs to one event loop: each loop gets its own, made on first use and closed
with the loop, however that ends. The means is an async generator per loop, which every loop
closes when it shuts down.
"""

from __future__ import annotations

import functools
import os
import ssl
import warnings
import weakref
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import httpx

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

__all__ = ["CLOSE_TIMEOUT", "Transport", "left_to_the_loop", "translated"]

# Streams at once are bounded by the caller's own concurrency and by the system's descriptors,
# not by us; idle connections are kept for the next call, briefly, since servers close them too.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30.0)

# Long enough to say goodbye on a healthy connection, short enough to go unnoticed.
CLOSE_TIMEOUT = 2.0


class Transport:
    """Sends requests, over connections that are kept for the next one."""

    def __init__(self, http_client: httpx.AsyncClient | None = None) -> None:
        self._own = http_client
        self._loops: weakref.WeakKeyDictionary[object, _LoopClient] = weakref.WeakKeyDictionary()
        self._pid = os.getpid()

    def client(self) -> httpx.AsyncClient:
        """The HTTP client of the running event loop."""
        if self._own is not None:
            return self._own
        if self._pid != os.getpid():
            # After a fork the sockets are the parent's: leave them alone, unclosed.
            _inherited.append(self._loops)
            self._loops, self._pid = weakref.WeakKeyDictionary(), os.getpid()
        return self._loop_client().client

    def _loop_client(self) -> _LoopClient:
        token = anyio.lowlevel.current_token().native_token
        client = self._loops.get(token)
        if client is None:
            client = self._loops[token] = _LoopClient()
        return client

    async def send(
        self, request: HTTPRequest, limits: httpx.Timeout, extensions: Mapping[str, object]
    ) -> httpx.Response:
        """Send a request; the response's body is still to be read, and the response to be closed.

        Raises:
            DhenaraStreamError: If no response comes.
        """
        client = self.client()
        if self._own is None:
            await self._loop_client().start()
        with translated(request.url):
            built = client.build_request(
                "POST",
                request.url,
                content=request.body,
                headers=_revealed(request.headers),
                timeout=limits,
                extensions=dict(extensions),
            )
            return await client.send(built, stream=True, follow_redirects=False)

    async def aclose(self) -> None:
        """Close the running loop's connections. A client of the caller's stays open."""
        client = self._loops.pop(anyio.lowlevel.current_token().native_token, None)
        if client is not None:
            await client.aclose()


# What a forked child must neither use nor close.
_inherited: list[object] = []


def _revealed(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: v.reveal() if isinstance(v, Secret) else v for k, v in headers.items()}


class _LoopClient:
    """The HTTP client of one event loop."""

    def __init__(self) -> None:
        self.client = httpx.AsyncClient(limits=_LIMITS, verify=_ssl_context(_ssl_environment()))
        self._life = _until_the_loop_ends(self.client)
        self._started = False

    async def start(self) -> None:
        """Make the loop know of the generator that it is to close."""
        if not self._started:
            self._started = True
            await anext(self._life)

    async def aclose(self) -> None:
        await self._life.aclose()
        with anyio.CancelScope(shield=True):
            await self.client.aclose()

    def __del__(self) -> None:
        with left_to_the_loop():
            del self._life


@contextmanager
def left_to_the_loop() -> Generator[None]:
    """For dropping an async generator: the event loop closes it, and trio would warn of that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


async def _until_the_loop_ends(client: httpx.AsyncClient) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await client.aclose()


def _ssl_environment() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))


@functools.lru_cache(maxsize=4)
def _ssl_context(environment: tuple[str | None, ...]) -> ssl.SSLContext:
    # Reading the CA bundle takes about 20 ms: once per process, unless the environment changes.
    return httpx.create_ssl_context()


@contextmanager
def translated(url: str) -> Generator[None]:
    """Turn exceptions of the HTTP libraries into this library's, with the cause chained."""
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError) as error:
        raise _translate(error, urlsplit(url).netloc) from _without_frames(error)
    except RuntimeError as error:
        if "client has been closed" not in str(error):
            raise
        raise UsageError("the http_client is closed; make a new one") from _without_frames(error)


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
    what = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in what:
        what += " (for a private certificate authority set SSL_CERT_FILE, or pass http_client)"
        return kind(text.format(host=host, what=what), retryable=False)
    return kind(text.format(host=host, what=what))


def _without_frames(error: BaseException) -> BaseException:
    """The exception and its causes without their frames, whose locals hold the headers."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error
