"""The bytes of one connection: a source gives what comes, takes what goes, and can be cut off.

Reading waits at most until a deadline, of the event loop's clock, and can be ended by another
task. Failures are httpx's exceptions, as of every transport.

:class:`AnyioSource` is that of every event loop but asyncio's, which has a cheaper one, in
:mod:`.asyncio_source`.
"""

from __future__ import annotations

import select
import ssl
from typing import Any, Protocol

import anyio
import anyio.abc
import httpx
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSAttribute

__all__ = [
    "CLOSE_TIMEOUT",
    "AnyioNetwork",
    "AnyioSource",
    "Expired",
    "Network",
    "Source",
    "has_news",
]

# Long enough to say goodbye on a healthy connection, short enough to go unnoticed.
CLOSE_TIMEOUT = 2.0

# What is asked for at once; as much as the kernel's buffer usually holds.
_READ_BYTES = 64 * 1024


class Expired(Exception):
    """A wait has ended without bytes: its deadline has come, or another task ended it."""


def has_news(descriptor: int) -> bool:
    """Whether a socket has something to read: bytes, its end, or an error."""
    if descriptor < 0:  # closed here
        return True
    if hasattr(select, "poll"):
        asked = select.poll()
        asked.register(descriptor, select.POLLIN)
        return bool(asked.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])


class Source(Protocol):
    """The bytes of one connection. One task at a time reads.

    Attributes:
        arrived: When the first of the bytes that were read last came in, by the event loop's clock;
            where it does not tell, when they were read.
    """

    arrived: float

    async def read(self, deadline: float) -> bytes:
        """What has come, waiting for it if nothing has; empty at the end.

        Raises:
            Expired: If the deadline came first, or :meth:`interrupt` was called.
            httpx.ReadError: If the connection broke.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            httpx.WriteError: If the connection broke.
        """
        ...

    def interrupt(self) -> None:
        """End the wait of the task that reads, if one does."""
        ...

    def is_idle(self) -> bool:
        """Whether it is open, and nothing has come that was not read."""
        ...

    async def aclose(self) -> None:
        """Close the connection; does not raise."""
        ...

    def drop(self) -> None:
        """Close it without waiting, from any thread; nobody may be reading."""
        ...


class Network(Protocol):
    """Connects."""

    async def connect(self, host: str, port: int, context: ssl.SSLContext | None) -> Source:
        """A new connection, with TLS if there is a context.

        Raises:
            httpx.ConnectError: If there is none.
        """
        ...


class AnyioNetwork:
    """Connects on any other event loop than asyncio's."""

    async def connect(self, host: str, port: int, context: ssl.SSLContext | None) -> Source:
        """As that of :class:`Network`."""
        try:
            if context is None:
                return AnyioSource(await anyio.connect_tcp(host, port))
            return AnyioSource(
                await anyio.connect_tcp(
                    host,
                    port,
                    tls=True,
                    ssl_context=context,
                    tls_hostname=host,
                    tls_standard_compatible=False,  # HTTP says itself where a body ends
                )
            )
        except (OSError, UnicodeError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            raise httpx.ConnectError(str(error) or "the connection was closed") from error


class AnyioSource:
    """A connection of anyio's."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self.arrived = 0.0
        self._stream = stream
        self._scope: anyio.CancelScope | None = None

    async def read(self, deadline: float) -> bytes:
        """As that of :class:`Source`."""
        with anyio.CancelScope(deadline=deadline) as self._scope:
            try:
                data = await self._stream.receive(_READ_BYTES)
                self.arrived = anyio.current_time()
                return data
            except anyio.EndOfStream:
                return b""
            except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
                raise httpx.ReadError(str(error)) from error
            finally:
                self._scope = None
        raise Expired

    async def write(self, data: bytes) -> None:
        """As that of :class:`Source`."""
        try:
            await self._stream.send(data)
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpx.WriteError(str(error)) from error

    def interrupt(self) -> None:
        """As that of :class:`Source`."""
        if self._scope is not None:
            self._scope.cancel()

    def is_idle(self) -> bool:
        """As that of :class:`Source`."""
        return not (self._holds_bytes() or has_news(self._socket.fileno()))

    def _holds_bytes(self) -> bool:
        """Whether TLS has taken more from the socket than was read: bytes, or a goodbye."""
        tls = self._stream.extra(TLSAttribute.ssl_object, None)  # noqa: S610  (this is no Django)
        if tls is None:
            return False
        try:
            tls.read(1)
        except ssl.SSLError as error:
            return not isinstance(error, ssl.SSLWantReadError)
        return True

    async def aclose(self) -> None:
        """As that of :class:`Source`."""
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await anyio.aclose_forcefully(self._stream)

    def drop(self) -> None:
        """As that of :class:`Source`."""
        self._socket.close()

    @property
    def _socket(self) -> Any:
        return self._stream.extra(SocketAttribute.raw_socket)  # noqa: S610  (this is no Django)
