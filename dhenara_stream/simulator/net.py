"""Sockets, without the streams that anyio wraps around them.

A reset must come without the FIN that a stream's close sends first, and a faulty response must
leave when it is written, not when a buffer is flushed. So this stands on the socket itself, and
on ``anyio.wait_readable`` and ``wait_writable``, which work alike on every event loop.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any

import anyio
import anyio.lowlevel

from dhenara_stream.errors import ConfigError

__all__ = ["ClientLeft", "Connection", "Listener"]

_REACHABLE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not what is bound
_READ_SIZE = 64 * 1024
_BACKLOG = 4096  # a thousand clients may come at once; the system cuts it to what it allows
_LINGER_SECONDS = 1.0
_RETRY_SECONDS = 0.05  # after an accept that failed for want of resources


class ClientLeft(Exception):
    """The client went away."""


class Connection:
    """One accepted connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # some systems say so when the client left already
            # Each write leaves at once, as its own segment where the system can.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock

    async def receive(self) -> bytes:
        """The bytes that come next; none when the client went away."""
        while True:
            try:
                return self._socket.recv(_READ_SIZE)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except OSError:
                return b""

    async def send(self, data: bytes) -> None:
        """Send all bytes, as fast as the client takes them.

        Raises:
            ClientLeft: The client went away.
        """
        await anyio.lowlevel.checkpoint()  # others get their turn, however fast the client is
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
            except OSError as error:
                raise ClientLeft from error

    async def linger(self) -> None:
        """Say that nothing more comes, and give the client a moment to read what came.

        Closing with bytes unread resets the connection, and takes an error just sent with it.
        """
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return
        with anyio.move_on_after(_LINGER_SECONDS):
            while await self.receive():
                pass

    def reset(self) -> None:
        """Close with RST: the client's next read fails, whatever it had not read is lost."""
        forever = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, forever)
        self._socket.close()

    def close(self) -> None:
        """Close with FIN; a second time does nothing."""
        self._socket.close()


class Listener:
    """A listening socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @classmethod
    async def bind(cls, host: str, port: int) -> Listener:
        """Listen at an address.

        Raises:
            ConfigError: There is no such address here, or it is taken.
        """
        family, address = await _resolve(host, port)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            _listen(sock, address)
        except OSError as error:
            sock.close()
            raise ConfigError(_why_not(host, port, error)) from error
        return cls(sock)

    @property
    def address(self) -> str:
        """``host:port`` for a client on this machine."""
        name: tuple[Any, ...] = self._socket.getsockname()
        host, port = str(name[0]), name[1]
        host = _REACHABLE.get(host, host)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def accept(self) -> Connection:
        """The next connection."""
        while True:
            try:
                return Connection(self._socket.accept()[0])
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except OSError:
                # The client left already, or descriptors ran out: others can still be served.
                await anyio.sleep(_RETRY_SECONDS)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


async def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """The family and the address of a socket that listens there."""
    try:
        found = await _addresses(host, port)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"cannot listen on host {host!r}: no such address ({error}); "
            'use "127.0.0.1" for this machine only, "0.0.0.0" for all its networks'
        ) from error
    family, _, _, _, address = found[0]
    return family, address


async def _addresses(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    kind, numeric = socket.SOCK_STREAM, socket.AI_NUMERICHOST
    try:  # a numeric address needs no look-up, so no thread for one
        return socket.getaddrinfo(host, port, type=kind, flags=numeric)
    except socket.gaierror:
        return await anyio.getaddrinfo(host, port, type=kind)


def _listen(sock: socket.socket, address: tuple[Any, ...]) -> None:
    sock.setblocking(False)
    reuse = sys.platform != "win32"  # there it would allow two servers on one port
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    sock.bind(address)
    sock.listen(_BACKLOG)


def _why_not(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            reason = "the port is in use; choose another one, or port=0 for any free one"
        case errno.EACCES:
            reason = "ports like this need more rights; choose one above 1023, or port=0"
        case errno.EADDRNOTAVAIL:
            reason = 'the address is not this machine\'s; use "127.0.0.1", or "0.0.0.0" for all'
        case _:
            reason = str(error)
    return f"cannot listen on {host}:{port}: {reason}"
