"""A server that speaks HTTP/2 over TLS, and ends its answers as it is told."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path

import anyio
import anyio.abc
import httpx
from anyio.streams.tls import TLSStream
from engine.support import peer
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from hyperframe.frame import GoAwayFrame

from dhenara_stream.simulator import Answer, CleanCut, Simulator

__all__ = [
    "Http2Server",
    "Reply",
    "end",
    "go_away",
    "hang_up",
    "http2_client",
    "http2_server",
    "reset",
    "silence",
]

HERE = Path(__file__).parent

Ending = Callable[[H2Connection, int], bytes | None]
"""What follows on a stream: tells the connection, or gives raw bytes; ``None`` hangs up."""


def end(connection: H2Connection, number: int) -> bytes:
    """The stream ends."""
    connection.end_stream(number)
    return b""


def silence(_: H2Connection, __: int) -> bytes:
    """Nothing more comes."""
    return b""


def hang_up(_: H2Connection, __: int) -> None:
    """The connection is closed without a word."""
    return


def reset(code: ErrorCodes) -> Ending:
    """RST_STREAM (RFC 9113, section 6.4)."""

    def ending(connection: H2Connection, number: int) -> bytes:
        connection.reset_stream(number, code)
        return b""

    return ending


def go_away(last: Callable[[int], int], *, ends: bool = False) -> Ending:
    """GOAWAY (RFC 9113, section 6.8), with the last stream that was taken; and the end of this."""

    def ending(connection: H2Connection, number: int) -> bytes:
        if ends:
            connection.end_stream(number)
        told = connection.data_to_send()
        return told + GoAwayFrame(0, last_stream_id=last(number)).serialize()

    return ending


@dataclass(frozen=True)
class Reply:
    """How a request is answered.

    Attributes:
        deltas: After how many deltas the answer stops; ``None``: when it is whole.
        head: Whether it begins at all.
        ending: What follows then.
    """

    deltas: int | None = None
    head: bool = True
    ending: Ending = end


@dataclass
class Http2Server:
    """What there is of a server.

    Attributes:
        url: Where it listens.
        takes_all: Whether it lets a client send more than the first 64 KiB (RFC 9113, section 5.2).
        requests: The connection and the number of the stream of each request.
        resets: The streams that a client has ended by RST_STREAM.
    """

    url: str
    takes_all: bool
    requests: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    resets: list[int] = field(default_factory=list[int])


class _Connection:
    """One connection of a server."""

    def __init__(
        self,
        server: Http2Server,
        number: int,
        socket: anyio.abc.ByteStream,
        replies: Iterator[Reply],
        answer: Answer,
    ) -> None:
        self._server = server
        self._number = number
        self._socket = socket
        self._replies = replies
        self._answer = answer
        self._http2 = H2Connection(H2Configuration(client_side=False))
        self._sending = anyio.Lock()
        self._asked: dict[int, httpx.Request] = {}
        self._bodies: dict[int, bytearray] = {}

    async def serve(self) -> None:
        """Read requests and answer them, until either side hangs up."""
        http2 = self._http2
        http2.initiate_connection()
        async with anyio.create_task_group() as answers:
            await self._send()
            with suppress(anyio.EndOfStream, anyio.ClosedResourceError):
                while True:
                    for event in http2.receive_data(await self._socket.receive()):
                        if isinstance(event, RequestReceived):
                            self._begin(event)
                        elif isinstance(event, DataReceived):
                            self._bodies[event.stream_id] += event.data
                            if self._server.takes_all:
                                size = event.flow_controlled_length
                                http2.acknowledge_received_data(size, event.stream_id)
                        elif isinstance(event, StreamEnded):
                            self._server.requests.append((self._number, event.stream_id))
                            answers.start_soon(self._reply, event.stream_id, next(self._replies))
                        elif isinstance(event, StreamReset):
                            self._server.resets.append(event.stream_id)
                    await self._send()
            answers.cancel_scope.cancel()

    def _begin(self, event: RequestReceived) -> None:
        self._asked[event.stream_id] = _request(event.headers)
        self._bodies[event.stream_id] = bytearray()

    async def _send(self, more: bytes = b"") -> None:
        async with self._sending:
            await self._socket.send(self._http2.data_to_send() + more)

    async def _reply(self, number: int, reply: Reply) -> None:
        fault = None if reply.deltas is None else CleanCut(deltas=reply.deltas)
        asked, content = self._asked[number], bytes(self._bodies[number])
        memory = Simulator(self._answer, faults=fault).transport()
        request = httpx.Request(asked.method, asked.url, headers=asked.headers, content=content)
        if reply.head:
            response = await memory.handle_async_request(request)
            kind = response.headers["content-type"]
            self._http2.send_headers(number, [(":status", "200"), ("content-type", kind)])
            async for data in response.aiter_raw():
                self._http2.send_data(number, data)
                await self._send()
        more = reply.ending(self._http2, number)
        if more is None:
            await self._socket.aclose()
        else:
            await self._send(more)


def _request(headers: list[tuple[bytes, bytes]]) -> httpx.Request:
    """A request by its head."""
    told = dict(headers)
    url = f"https://{told[b':authority'].decode()}{told[b':path'].decode()}"
    plain = [(name, value) for name, value in headers if not name.startswith(b":")]
    return httpx.Request(told[b":method"].decode(), url, headers=plain)


@asynccontextmanager
async def http2_server(
    *replies: Reply, answer: Answer, takes_all: bool = True
) -> AsyncIterator[Http2Server]:
    """Serve; each request gets the next reply, and after the last a whole answer.

    Args:
        takes_all: Whether the server lets a client send more than the first 64 KiB.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(HERE / "signed.pem")
    context.set_alpn_protocols(["h2"])
    left = chain(replies, repeat(Reply()))
    server: Http2Server

    async def behave(stream: anyio.abc.SocketStream, number: int) -> None:
        secure = await TLSStream.wrap(
            stream, server_side=True, ssl_context=context, standard_compatible=False
        )
        await _Connection(server, number, secure, left, answer).serve()

    async with peer(behave) as listening:
        server = Http2Server(
            listening.url.replace("http://127.0.0.1", "https://localhost"), takes_all
        )
        yield server


def http2_client() -> httpx.AsyncClient:
    """A client of the caller's, that speaks HTTP/2 and trusts the server."""
    context = ssl.create_default_context(cafile=HERE / "authority.pem")
    return httpx.AsyncClient(http2=True, verify=context)
