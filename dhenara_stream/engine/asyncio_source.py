"""The bytes of one connection, on asyncio: the one place that names an event loop.

The reason is its price. anyio's stream switches the reading of its socket on and off around each
read, and a deadline there is a cancel scope with a timer of its own; at a live model's pace, where
each event is a wake-up, that is what a stream costs. Here the loop's own callbacks fill a buffer, a
reader that finds it empty waits on one future, and one timer per connection, rarely moved, watches
over all its deadlines.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
import ssl
from contextlib import suppress
from typing import Any, Self, cast

import anyio
import httpx

from .sources import CLOSE_TIMEOUT, Expired, has_news

__all__ = ["AsyncioNetwork", "AsyncioSource"]

# A reader that falls behind by this much stops the reading from the socket.
_HIGH_WATER = 256 * 1024

# What one read takes from the kernel at most. One buffer serves a loop: it is emptied at once.
_READ_BYTES = 128 * 1024

_TLS_RECORD = 16 * 1024

# After so many seconds a host's next address is tried beside the one that is silent (RFC 8305).
_HAPPY_EYEBALLS_DELAY = 0.25

_Address = tuple[int, tuple[Any, ...]]  # the family, and what a socket calls an address


class AsyncioNetwork:
    """Connects on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buffer = memoryview(bytearray(_READ_BYTES))  # TLS fills it slice by slice

    @classmethod
    def of(cls, loop: object) -> Self | None:
        """That of an event loop, if it is one of asyncio's; uvloop's is."""
        return cls(loop) if isinstance(loop, asyncio.AbstractEventLoop) else None

    async def connect(self, host: str, port: int, context: ssl.SSLContext | None) -> AsyncioSource:
        """A new connection.

        Raises:
            httpx.ConnectError: If there is none.
        """
        source = AsyncioSource(self._loop, self._buffer)
        try:
            await self._loop.create_connection(
                lambda: source,
                sock=await self._connected(host, port),
                ssl=context,
                server_hostname=None if context is None else host,
            )
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error) or "the connection was closed") from error
        return source

    async def _connected(self, host: str, port: int) -> socket.socket:
        """A socket that is connected to the first of the host's addresses that answers.

        Not the event loop's own way, which forgets a socket if it is cancelled in the wrong moment.
        """
        addresses = await self._addresses(host, port)
        race = _Race(self._loop)
        try:
            if len(addresses) == 1:
                await race.connect(*addresses[0])
            else:
                await self._race(race, addresses)
        except BaseException:
            race.close()
            raise
        if race.winner is None:
            raise race.errors[0]
        return race.winner

    async def _race(self, race: _Race, addresses: list[_Address]) -> None:
        async with anyio.create_task_group() as group:
            for address in addresses:
                failed = anyio.Event()
                group.start_soon(race.attempt, address, failed, group.cancel_scope)
                with anyio.move_on_after(_HAPPY_EYEBALLS_DELAY):
                    await failed.wait()

    async def _addresses(self, host: str, port: int) -> list[_Address]:
        with suppress(ValueError):  # an address needs no thread to look it up
            if ipaddress.ip_address(host).version == 4:
                return [(socket.AF_INET, (host, port))]
            if "%" not in host:
                return [(socket.AF_INET6, (host, port, 0, 0))]
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]


class _Race:
    """Attempts to connect, of which one wins."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.winner: socket.socket | None = None
        self.errors: list[OSError] = []
        self._loop = loop

    async def attempt(
        self, address: _Address, failed: anyio.Event, others: anyio.CancelScope
    ) -> None:
        """Connect; the first that has ends the others."""
        try:
            await self.connect(*address)
            others.cancel()
        except OSError as error:
            self.errors.append(error)
            failed.set()

    async def connect(self, family: int, address: tuple[Any, ...]) -> None:
        """Connect."""
        # With the protocol named, asyncio sets TCP_NODELAY.
        connecting = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            connecting.setblocking(False)
            await self._loop.sock_connect(connecting, address)
            self.winner = self.winner or connecting
        finally:
            if self.winner is not connecting:
                connecting.close()

    def close(self) -> None:
        """Close what was connected; nobody wants it any more."""
        if self.winner is not None:
            self.winner.close()


class AsyncioSource(asyncio.BufferedProtocol):
    """A connection on an event loop of asyncio's; see :class:`~.sources.Source`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, buffer: memoryview) -> None:
        self._loop = loop
        self._transport: asyncio.Transport  # from connection_made on
        self._buffer = self._filling = buffer
        self.arrived = self._came = 0.0
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._has_ended = False
        self._error: BaseException | None = None
        self._full: asyncio.Future[None] | None = None  # while more cannot be written
        self._lost = asyncio.Event()

    # --- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        # So that what was written has gone out. With 0 as the upper one, TLS stops at each write.
        self._transport.set_write_buffer_limits(high=1, low=0)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Called by the event loop, for TLS with the number of bytes that it holds.

        It must get rid of all: at the connection's end it lets go of what no buffer had room for.
        """
        needed = sizehint + _TLS_RECORD
        whole = self._buffer
        self._filling = whole if needed <= len(whole) else memoryview(bytearray(needed))
        return self._filling

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the event loop."""
        if not self._pieces:
            self._came = self._loop.time()
        self._pieces.append(bytes(self._filling[:nbytes]))
        self._size += nbytes
        if self._size > _HIGH_WATER:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Called by the event loop, which then closes the connection."""
        self._has_ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._has_ended = True
        self._error = exc
        if self._timer is not None:
            self._timer.cancel()
        self._wake()
        self.resume_writing()
        self._lost.set()

    def pause_writing(self) -> None:
        """Called by the event loop."""
        self._full = self._loop.create_future()

    def resume_writing(self) -> None:
        """Called by the event loop."""
        full, self._full = self._full, None
        if full is not None and not full.done():
            full.set_result(None)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- what the reader calls

    async def read(self, deadline: float) -> bytes:
        """As that of :class:`~.sources.Source`."""
        if not self._pieces and not self._has_ended:
            self._deadline = deadline
            if self._timer is None or deadline < self._timer.when():
                self._set_timer()
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
                self._deadline = math.inf
        pieces = self._pieces
        if not pieces:
            if not self._has_ended:
                raise Expired
            if self._error is not None:
                raise httpx.ReadError(str(self._error)) from self._error
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        self.arrived = self._came
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """As that of :class:`~.sources.Source`."""
        if not self._lost.is_set():
            self._transport.write(data)
        if self._full is not None:
            await self._full
        if self._lost.is_set():
            raise httpx.WriteError(str(self._error or "it was closed")) from self._error

    def interrupt(self) -> None:
        """As that of :class:`~.sources.Source`."""
        self._wake()

    def is_idle(self) -> bool:
        """As that of :class:`~.sources.Source`."""
        if self._has_ended or self._pieces:
            return False
        # What the loop has not seen yet, since its caller did not let it.
        return not has_news(self._transport.get_extra_info("socket").fileno())

    async def aclose(self) -> None:
        """As that of :class:`~.sources.Source`."""
        self._abort()
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await self._lost.wait()

    def drop(self) -> None:
        """As that of :class:`~.sources.Source`."""
        with suppress(RuntimeError):  # the loop has ended, and closed it
            self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        self._transport.close()  # says goodbye where TLS does
        self._transport.abort()

    def _set_timer(self) -> None:
        """See to it that the reader wakes at its deadline, which is mostly later than the last."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._deadline < math.inf:
            self._timer = self._loop.call_at(self._deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._deadline <= self._loop.time():
            self._wake()
        else:
            self._set_timer()
