"""The client's own connections: what HTTP/1.1 they speak, when one is used again, what goes another
way. What streams do with them is tested beside, over each of the ways.
"""

from __future__ import annotations

import gzip
import math
import select
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import httpx
import pytest
import respx
from anyio.streams.tls import TLSStream
from engine.support import (
    WHOLE,
    Peer,
    ThreadedServer,
    client_of,
    error_of,
    error_type,
    http_response,
    is_complete,
    lasting,
    peer,
    read,
    read_request,
    text_of,
)

from dhenara_stream import __version__
from dhenara_stream.engine import connections as module
from dhenara_stream.engine.asyncio_source import AsyncioNetwork
from dhenara_stream.engine.body import Body, Reply
from dhenara_stream.engine.connections import Connections
from dhenara_stream.engine.sources import AnyioNetwork, Expired, Network, Source

HERE = Path(__file__).parent
LONG = b"".join(b"%d," % number for number in range(150_000))  # many records of TLS
TRUSTING = ssl.create_default_context()


# How a connection is made there; elsewhere anyio makes it.
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


def answers(*responses: bytes, requests: list[bytes] | None = None) -> Any:
    """A peer that gives these responses on each of its connections, then closes it."""

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        for response in responses:
            got = await read_request(stream)
            if requests is not None:
                requests.append(got)
            await stream.send(response)

    return peer(behave)


def chunked(body: bytes, *, head: bytes = b"", end: bytes = b"0\r\n\r\n") -> bytes:
    start = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    return start + head + b"\r\n%x\r\n%b\r\n" % (len(body), body) + end


async def said(url: str, times: int = 1, **settings: Any) -> list[str]:
    """The texts of so many calls of one client, all complete."""
    async with client_of(url, **settings) as client:
        texts: list[str] = []
        for _ in range(times):
            items = await read(await client.generate_async(prompt="Hi"))
            assert is_complete(items), items
            texts.append(text_of(items))
        return texts


# --- responses


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(http_response(WHOLE), id="a length"),
        pytest.param(chunked(WHOLE), id="chunks"),
        pytest.param(chunked(WHOLE, end=b"0\r\nx-sum: 1\r\n\r\n"), id="trailers"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + http_response(WHOLE), id="status 100"),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + chunked(WHOLE), id="status 103"
        ),
    ],
)
async def test_after_a_whole_response_the_connection_is_used_again(response: bytes) -> None:
    async with answers(response, response) as server:
        assert await said(server.url, times=2) == ["Hello", "Hello"]
        assert server.connections == 1


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n" + WHOLE, id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + WHOLE, id="no length"),
        pytest.param(chunked(WHOLE, head=b"connection: Close\r\n"), id="connection: close"),
        pytest.param(chunked(WHOLE) + b"HTTP/1.1 200 OK", id="more than asked for"),
        pytest.param(chunked(WHOLE, head=b"content-length: 7\r\n"), id="two lengths"),
    ],
)
async def test_after_other_responses_the_connection_is_closed(response: bytes) -> None:
    async with answers(response) as server:
        assert await said(server.url, times=2) == ["Hello", "Hello"]
        assert server.connections == 2


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_body_is_not_waited_for(status: int) -> None:
    response = f"HTTP/1.1 {status} X\r\ncontent-length: 7\r\n\r\n".encode()

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(response)
        await anyio.sleep_forever()

    async with peer(behave) as server, client_of(server.url) as client:
        items = await read(await client.generate_async(prompt="Hi"))
        assert error_type(items) == "UnexpectedResponse"


async def test_more_than_a_body_that_is_empty_closes_the_connection() -> None:
    connections = own()
    async with answers(b"HTTP/1.1 401 X\r\ncontent-length: 0\r\n\r\n{}") as server:
        for _ in range(2):
            assert await take(connections, server.url) == b""
        assert server.connections == 2
        await connections.aclose()


class Talkative(ThreadedServer):
    """Says more than it was asked, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.connections = 0
        self.more, self.done = threading.Event(), threading.Event()

    def serve(self, listener: socket.socket) -> None:
        kept: list[socket.socket] = []
        for _ in range(2):
            connection, _ = listener.accept()
            kept.append(connection)
            self.connections += 1
            connection.recv(65536)
            connection.sendall(http_response(WHOLE))
            self.more.wait(5)
            connection.sendall(http_response(b"not what was asked"))
            self.done.set()
        for connection in kept:
            connection.close()


async def test_what_came_while_the_event_loop_stood_still_is_no_answer_to_the_next_request() -> (
    None
):
    connections = own()
    with Talkative() as server:
        assert await take(connections, server.url) == WHOLE
        server.more.set()
        server.done.wait(5)  # nothing else runs: the event loop has not seen it
        assert await take(connections, server.url) == WHOLE
        assert server.connections == 2
        await connections.aclose()


class SaysGoodbye(ThreadedServer):
    """Ends TLS after each answer, in the same packet, and leaves the connection open."""

    def __init__(self) -> None:
        super().__init__()
        self.url = self.url.replace("http://127.0.0.1", "https://localhost")
        self.connections = 0

    def serve(self, listener: socket.socket) -> None:
        kept: list[ssl.SSLSocket] = []
        context = of_the_server()
        for _ in range(2):
            connection, _ = listener.accept()
            secure = context.wrap_socket(connection, server_side=True)
            kept.append(secure)
            self.connections += 1
            secure.recv(65536)
            secure.setsockopt(socket.IPPROTO_TCP, TCP_CORK, 1)
            secure.sendall(http_response(WHOLE))
            secure.setblocking(False)
            with suppress(ssl.SSLWantReadError):
                secure.unwrap()
            secure.setsockopt(socket.IPPROTO_TCP, TCP_CORK, 0)
        for secure in kept:
            secure.close()


TCP_CORK = getattr(socket, "TCP_CORK", 0)


@pytest.mark.skipif(not TCP_CORK, reason="nothing makes one packet of two writes here")
async def test_a_connection_on_which_tls_has_ended_is_not_used_again() -> None:
    connections = Connections(network(), trusted)
    with SaysGoodbye() as server:
        for _ in range(2):
            assert await take(connections, server.url) == WHOLE
        assert server.connections == 2
        await connections.aclose()


@pytest.mark.parametrize("pieces", [1, 2])
async def test_what_came_beside_an_answer_over_tls_is_none_to_the_next_request(pieces: int) -> None:
    connections = Connections(network(), trusted)
    said = anyio.Event()

    async def behave(stream: TLSStream, _: int) -> None:
        await read_request(stream)
        both = http_response(WHOLE), http_response(b"not what was asked")
        for data in both if pieces == 2 else [b"".join(both)]:
            await stream.send(data)
        said.set()
        await stream.receive()

    async with secure_peer(behave) as server:
        for _ in range(2):
            assert await take(connections, server.url) == WHOLE
            await said.wait()
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
        assert server.connections == 2
        await connections.aclose()


@pytest.mark.parametrize(
    "response",
    [b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n", b""],
    ids=["no number", "no HTTP", "nothing"],
)
async def test_what_is_no_response_is_a_broken_connection(response: bytes) -> None:
    async with answers(response) as server, client_of(server.url, retries=1) as client:
        items = await read(await client.generate_async(prompt="Hi"))
        assert error_type(items) == "StreamInterrupted"


async def test_a_compressed_body_is_unpacked() -> None:
    packed = gzip.compress(WHOLE)
    async with answers(chunked(packed, head=b"content-encoding: gzip\r\n")) as server:
        assert await said(server.url) == ["Hello"]


async def test_a_body_that_is_compressed_twice_is_refused() -> None:
    async with (
        answers(chunked(WHOLE, head=b"content-encoding: gzip, br\r\n")) as server,
        client_of(server.url) as client,
    ):
        items = await read(await client.generate_async(prompt="Hi"))
        assert error_type(items) == "ProtocolError"
        assert "more than once" in error_of(items)["message"]


async def test_a_compressed_body_that_is_left_early_is_closed() -> None:
    packed = gzip.compress(WHOLE * 2000)
    over = anyio.Event()

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(chunked(packed, head=b"content-encoding: gzip\r\n", end=b""))
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        over.set()

    async with peer(behave) as server, client_of(server.url) as client:
        response = await client.generate_async(prompt="Hi")
        async with response.stream_generator as items:
            await anext(items)
        with anyio.fail_after(5):
            await over.wait()


class Refusing:
    """A source and its network: the peer takes no request, and says this, or breaks off."""

    def __init__(self, says: bytes | None) -> None:
        self.arrived = 0.0
        self.says = says

    async def connect(self, host: str, port: int, context: ssl.SSLContext | None) -> Source:
        return self

    async def read(self, deadline: float) -> bytes:
        if self.says is None:
            raise httpx.ReadError("reset")
        says, self.says = self.says, None
        return says

    async def write(self, data: bytes) -> None:
        raise httpx.WriteError("broken pipe")

    def interrupt(self) -> None: ...

    def is_idle(self) -> bool:
        return False

    async def aclose(self) -> None: ...

    def drop(self) -> None: ...


async def test_a_request_that_is_refused_before_it_was_sent_has_its_answer() -> None:
    connections = Connections(Refusing(http_response(b"Too large", status=413)), lambda: TRUSTING)
    reply = await ask(connections, "http://nowhere.invalid")
    assert reply.status == 413
    assert await reply.body.read(math.inf) == b"Too large"


async def test_a_request_that_cannot_be_sent_fails_for_that_reason() -> None:
    with pytest.raises(httpx.WriteError, match="broken pipe"):
        await ask(Connections(Refusing(None), lambda: TRUSTING), "http://nowhere.invalid")


class InPieces(Refusing):
    """One whose answer comes in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__(None)
        self.pieces = list(pieces)

    async def read(self, deadline: float) -> bytes:
        return self.pieces.pop(0)

    async def write(self, data: bytes) -> None: ...


async def test_a_head_may_come_in_pieces() -> None:
    whole = http_response(b"Hello", status=201)
    connections = Connections(InPieces(whole[:9], whole[9:30], whole[30:]), lambda: TRUSTING)
    reply = await ask(connections, "http://nowhere.invalid")
    assert reply.status == 201
    assert reply.headers["content-type"] == "text/event-stream"
    assert await reply.body.read(math.inf) == b"Hello"


@pytest.mark.parametrize(
    ("name", "value"),
    [("x", "a\nb"), ("x", "a\rb"), ("x", "a\0"), ("x", "ä"), ("a b", "c"), ("", "c")],
)
async def test_headers_that_are_no_http_are_not_sent_and_not_shown(name: str, value: str) -> None:
    async with answers() as server:
        with pytest.raises(httpx.LocalProtocolError) as caught:
            await own().send(server.url, {name: value}, b"{}", silent)
        assert str(caught.value) == "a header has characters that no header may have"
        assert server.connections == 0


async def test_a_request_has_the_usual_headers_and_those_that_are_given() -> None:
    requests: list[bytes] = []
    async with answers(http_response(WHOLE), http_response(WHOLE), requests=requests) as server:
        connections = own()
        for headers in ({}, {"User-Agent": "mine", "x-key": "a b"}):
            reply = await connections.send(f"{server.url}/a%20b?c=d", headers, b"{}", silent)
            while await reply.body.read(math.inf):
                pass
            await reply.body.aclose()
        await connections.aclose()
        host = server.url.removeprefix("http://")
    first, second = (request.decode().split("\r\n") for request in requests)
    assert first == [
        "POST /a%20b?c=d HTTP/1.1",
        f"host: {host}",
        "accept: */*",
        "connection: keep-alive",
        f"user-agent: dhenara-stream/{__version__}",
        "content-length: 2",
        "",
        "{}",
    ]
    assert {"user-agent: mine", "x-key: a b"} < set(second)


@pytest.mark.parametrize(
    "url",
    ["ftp://localhost/", "//localhost/", "http://", "localhost"],
)
async def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol, match="begins with neither"):
        await ask(own(), url)


# --- the transport alone


def own() -> Connections:
    return Connections(network(), lambda: TRUSTING)


async def silent(event: str, info: Any) -> None:
    """A trace that nobody reads."""


async def ask(connections: Connections, url: str, **headers: str) -> Reply:
    return await connections.send(url, headers, b"{}", silent)


async def body_of(connections: Connections, url: str) -> Body:
    return (await ask(connections, url)).body


async def take(connections: Connections, url: str) -> bytes:
    """The body of one whole response."""
    body = await body_of(connections, url)
    got: list[bytes] = []
    while data := await body.read(math.inf):
        got.append(data)
    await body.aclose()
    await body.aclose()  # does nothing more
    body.drop()
    return b"".join(got)


async def test_connections_that_lie_idle_are_few_and_soon_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_IDLE", 2)
    connections = own()

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        while True:
            await read_request(stream)
            await stream.send(http_response(WHOLE))

    async with peer(behave) as server:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(take, connections, server.url)
        assert server.connections == 4
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(take, connections, server.url)
        assert server.connections == 5  # two were kept
        monkeypatch.setattr(module, "IDLE_SECONDS", -1.0)
        await take(connections, server.url)
        assert server.connections == 6
        await connections.aclose()


async def test_when_one_idle_connection_is_dead_the_others_are_not_tried() -> None:
    connections = own()

    async def behave(stream: anyio.abc.SocketStream, number: int) -> None:
        await read_request(stream)
        await stream.send(http_response(WHOLE))
        if number <= 3:  # says nothing of its end until it is asked again
            await read_request(stream)

    async with peer(behave) as server:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(take, connections, server.url)
        with pytest.raises(httpx.TransportError):
            await take(connections, server.url)
        await take(connections, server.url)
        assert server.connections == 4
        await connections.aclose()


async def test_an_idle_connection_that_was_closed_or_spoken_on_is_not_used() -> None:
    for more in (b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"):
        connections = own()
        said_more = anyio.Event()
        go = anyio.Event()

        async def behave(
            stream: anyio.abc.SocketStream,
            number: int,
            more: bytes = more,
            said_more: anyio.Event = said_more,
            go: anyio.Event = go,
        ) -> None:
            await read_request(stream)
            await stream.send(http_response(WHOLE))
            if number == 1:
                await go.wait()
                if more:
                    await stream.send(more)
                    said_more.set()
                    await anyio.sleep_forever()
                said_more.set()

        async with peer(behave) as server:
            await take(connections, server.url)
            go.set()
            await said_more.wait()
            for _ in range(10):  # the event loop looks at its sockets at each
                await anyio.lowlevel.checkpoint()
            await take(connections, server.url)
            assert server.connections == 2
            await connections.aclose()


# --- what goes another way


async def test_respx_answers_the_requests_of_a_client() -> None:
    with respx.mock:
        route = respx.post("https://nowhere.invalid/v1/messages")
        route.respond(200, content=WHOLE, headers={"content-type": "text/event-stream"})
        assert await said("https://nowhere.invalid") == ["Hello"]
        assert route.called


async def test_who_watches_httpx_sees_the_requests_of_a_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    handle: Callable[..., Awaitable[httpx.Response]] = httpx.AsyncHTTPTransport.handle_async_request

    async def watch(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return await handle(self, request)

    class Watch:
        """As instrumentation does it: an object in the place of a method."""

        def __get__(self, instance: Any, owner: Any) -> Any:
            return self if instance is None else watch.__get__(instance)

    async with answers(http_response(WHOLE), http_response(WHOLE)) as server:
        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", watch)
        assert await said(server.url) == ["Hello"]
        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", Watch())
        assert await said(server.url) == ["Hello"]
    assert seen == ["/v1/messages"] * 2


async def test_of_a_body_that_breaks_off_what_came_is_kept() -> None:
    for response in (
        chunked(WHOLE)[:-20],
        chunked(WHOLE, end=b"nonsense\r\n\r\n"),
        http_response(WHOLE)[:-1],
    ):
        connections = own()
        async with answers(response) as server:
            body = await body_of(connections, server.url)
            got = b""
            with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012
                while data := await body.read(math.inf):
                    got += data
            assert WHOLE.startswith(got)
            assert got
            await body.aclose()
            await connections.aclose()


async def test_closing_the_connections_ends_those_in_use() -> None:
    connections = own()
    over = anyio.Event()

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(http_response(WHOLE)[:-5])
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        over.set()

    async with peer(behave) as server:
        body = await body_of(connections, server.url)
        assert await body.read(math.inf)
        await connections.aclose()
        with anyio.fail_after(5):
            await over.wait()
        with pytest.raises(httpx.TransportError):
            await body.read(math.inf)
        await body.aclose()


# --- sources


def network() -> Network:
    """That of the running event loop."""
    loop = anyio.lowlevel.current_token().native_token
    return AsyncioNetwork.of(loop) or AnyioNetwork()


async def exchange(behave: Any, use: Callable[[Source], Awaitable[None]]) -> None:
    """Use a connection to a peer."""
    async with peer(behave) as server:
        source = await network().connect("127.0.0.1", port_of(server), None)
        await use(source)
        await source.aclose()


def port_of(server: Peer) -> int:
    return int(server.url.rpartition(":")[2])


async def test_a_read_ends_at_its_deadline_and_the_next_one_goes_on() -> None:
    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await stream.receive()
        await stream.send(b"late")
        await stream.receive()

    async def use(source: Source) -> None:
        for deadline in (anyio.current_time() + 0.02, anyio.current_time() - 1):
            with pytest.raises(Expired):
                await source.read(deadline)
        await source.write(b"go")
        assert await source.read(anyio.current_time() + 10) == b"late"

    await exchange(behave, use)


async def test_a_read_with_an_earlier_deadline_than_the_last_ends_at_its_own() -> None:
    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await stream.send(b"a")
        await stream.receive()

    async def use(source: Source) -> None:
        assert await source.read(anyio.current_time() + 1000) == b"a"
        with anyio.fail_after(5), pytest.raises(Expired):
            await source.read(anyio.current_time() + 0.02)

    await exchange(behave, use)


@on_asyncio
async def test_small_requests_go_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loop: Any = anyio.lowlevel.current_token().native_token
    connect = loop.sock_connect
    connected: list[socket.socket] = []

    async def sock_connect(connecting: socket.socket, address: Any) -> None:
        connected.append(connecting)
        await connect(connecting, address)

    monkeypatch.setattr(loop, "sock_connect", sock_connect)

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await stream.receive()

    async def use(source: Source) -> None:
        (it,) = connected
        assert it.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    await exchange(behave, use)


async def test_where_there_is_no_poll_another_call_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "poll")

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await stream.receive()
        await stream.send(b"news")
        await stream.receive()

    async def use(source: Source) -> None:
        assert source.is_idle()
        await source.write(b"go")
        while source.is_idle():
            await anyio.lowlevel.checkpoint()

    await exchange(behave, use)


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
async def test_a_name_that_is_none_is_an_error(host: str) -> None:
    with pytest.raises(httpx.ConnectError):
        await network().connect(host, 80, None)


async def test_it_is_known_when_bytes_came_in_that_are_read_later() -> None:
    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await stream.send(b"early")
        await stream.receive()

    async def use(source: Source) -> None:
        before = anyio.current_time()
        while source.is_idle():
            await anyio.lowlevel.checkpoint()
        for _ in range(3):  # the event loop takes what the system has
            await anyio.lowlevel.checkpoint()
        there = anyio.current_time()
        while anyio.current_time() < there + 0.01:
            await anyio.lowlevel.checkpoint()
        assert await source.read(math.inf) == b"early"
        assert before <= source.arrived
        if isinstance(network(), AsyncioNetwork):
            assert source.arrived <= there
        else:
            assert source.arrived <= anyio.current_time()

    await exchange(behave, use)


async def test_another_task_ends_a_read() -> None:
    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await stream.receive()

    async def use(source: Source) -> None:
        source.interrupt()  # nobody reads: nothing happens
        ended = anyio.Event()

        async def reading() -> None:
            with pytest.raises(Expired):
                await source.read(math.inf)
            ended.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reading)
            await anyio.wait_all_tasks_blocked()
            source.interrupt()
            source.interrupt()
            await ended.wait()

    await exchange(behave, use)


async def test_a_reader_that_is_away_stops_the_sender_and_lets_it_go_on() -> None:
    size = 8 * 2**20

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await stream.send(b"x" * size)

    async def use(source: Source) -> None:
        await anyio.wait_all_tasks_blocked()
        got, largest = 0, 0
        while data := await source.read(anyio.current_time() + 10):
            got, largest = got + len(data), max(largest, len(data))
        assert got == size
        assert largest < 2**20
        assert await source.read(math.inf) == b""

    await exchange(behave, use)


async def test_what_is_written_has_gone_out_when_writing_ends() -> None:
    size = 8 * 2**20
    got = 0

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        nonlocal got
        async for data in stream:
            got += len(data)

    async def use(source: Source) -> None:
        nonlocal got
        got = 0
        await source.write(b"x" * size)
        assert got > size - 2**23

    await exchange(behave, use)


async def test_writing_on_a_connection_that_broke_fails() -> None:
    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.shutdown(socket.SHUT_RDWR)

    async def use(source: Source) -> None:
        with pytest.raises(httpx.WriteError):  # noqa: PT012
            while True:
                await source.write(b"x" * 100_000)
                await anyio.lowlevel.checkpoint()
        assert not source.is_idle()

    await exchange(behave, use)


async def test_a_connection_is_dropped_from_any_thread() -> None:
    closed = anyio.Event()

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        nonlocal closed
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        closed.set()

    async def use(source: Source) -> None:
        nonlocal closed
        closed = anyio.Event()
        assert source.is_idle()
        await anyio.to_thread.run_sync(source.drop)
        for _ in range(3):  # the event loop closes at the end of a turn
            await anyio.lowlevel.checkpoint()
        assert not source.is_idle()
        with anyio.fail_after(5):
            await closed.wait()

    await exchange(behave, use)


@on_asyncio
async def test_a_host_with_a_silent_address_is_reached_at_its_other_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop: Any = anyio.lowlevel.current_token().native_token
    connect = loop.sock_connect
    cancelled: list[str] = []

    async def sock_connect(connecting: socket.socket, address: tuple[str, int]) -> None:
        if address[0] != "127.0.0.1":
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.append(address[0])
        await connect(connecting, address)

    async def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in ("127.0.0.2", "127.0.0.3", "127.0.0.1")]

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("dhenara_stream.engine.asyncio_source._HAPPY_EYEBALLS_DELAY", 0.01)
    async with answers(http_response(WHOLE)) as server:
        source = await network().connect("several.invalid", port_of(server), None)
        assert sorted(cancelled) == ["127.0.0.2", "127.0.0.3"]
        await source.aclose()


@on_asyncio
async def test_a_race_that_fails_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    loop: Any = anyio.lowlevel.current_token().native_token
    connect = loop.sock_connect
    connected: list[socket.socket] = []

    async def sock_connect(connecting: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == "127.0.0.2":
            try:
                await anyio.sleep_forever()
            finally:
                raise ZeroDivisionError
        connected.append(connecting)
        await connect(connecting, address)

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    monkeypatch.setattr(loop, "getaddrinfo", two_addresses)
    monkeypatch.setattr("dhenara_stream.engine.asyncio_source._HAPPY_EYEBALLS_DELAY", 0.01)
    async with answers(http_response(WHOLE)) as server:
        with pytest.raises(ExceptionGroup):
            await network().connect("several.invalid", port_of(server), None)
    assert [it.fileno() for it in connected] == [-1]


@on_asyncio
async def test_a_host_whose_several_addresses_refuse_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop: Any = anyio.lowlevel.current_token().native_token
    monkeypatch.setattr(loop, "getaddrinfo", two_addresses)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # and does not listen
        with pytest.raises(httpx.ConnectError, match=r"refused|Connect call failed"):
            await network().connect("several.invalid", taken.getsockname()[1], None)


async def two_addresses(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    return [(*kind, (address, port)) for address in ("127.0.0.2", "127.0.0.1")]


async def test_a_host_whose_addresses_all_refuse_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "::1"):
            with pytest.raises(httpx.ConnectError):
                await network().connect(host, port, None)


@on_asyncio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_call_that_is_cancelled_while_it_connects_leaves_no_socket(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop: Any = anyio.lowlevel.current_token().native_token
    connected: list[socket.socket] = []
    connect = loop.sock_connect
    async with answers(http_response(WHOLE)) as server:
        with anyio.CancelScope() as scope:

            async def sock_connect(connecting: socket.socket, address: Any) -> None:
                await connect(connecting, address)
                connected.append(connecting)
                scope.cancel()

            monkeypatch.setattr(loop, "sock_connect", sock_connect)
            await network().connect(host, port_of(server), None)
        for _ in range(3):  # the event loop closes at the end of a turn
            await anyio.lowlevel.checkpoint()
        assert {it.fileno() for it in connected} == {-1}


# --- TLS


def trusted() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(HERE / "authority.pem"))


def of_the_server() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(HERE / "signed.pem")
    return context


@asynccontextmanager
async def secure_peer(behave: Callable[[TLSStream, int], Awaitable[None]]) -> AsyncIterator[Peer]:
    """A peer that speaks TLS, for localhost."""
    context = of_the_server()

    async def securely(stream: anyio.abc.SocketStream, number: int) -> None:
        try:
            secure = await TLSStream.wrap(
                stream, server_side=True, ssl_context=context, standard_compatible=False
            )
        except ssl.SSLError:
            return
        await behave(secure, number)

    async with peer(securely) as server:
        server.url = server.url.replace("http://127.0.0.1", "https://localhost")
        yield server


async def answer_long(stream: TLSStream, _: int) -> None:
    for _ in range(2):
        await read_request(stream)
        await stream.send(http_response(LONG))
    await stream.receive()


async def test_tls_is_spoken_where_the_url_says_so() -> None:
    connections = Connections(network(), trusted)
    async with secure_peer(answer_long) as server:
        for _ in range(2):
            assert await take(connections, server.url) == LONG
        assert server.connections == 1
        await connections.aclose()


async def test_an_address_with_a_zone_is_looked_up() -> None:
    with pytest.raises(httpx.ConnectError):
        await network().connect("fe80::1%no-such-zone", 9, None)


async def test_who_is_not_trusted_is_not_spoken_to() -> None:
    async with secure_peer(answer_long) as server:
        with pytest.raises(httpx.ConnectError):
            await take(own(), server.url)


async def test_who_speaks_no_tls_is_not_spoken_to() -> None:
    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await stream.receive()

    async with peer(behave) as server:
        with pytest.raises(httpx.ConnectError):
            await take(own(), server.url.replace("http:", "https:"))


async def test_what_a_peer_sent_over_tls_before_it_hung_up_is_read_by_a_reader_that_is_late() -> (
    None
):
    over = anyio.Event()

    async def behave(stream: TLSStream, _: int) -> None:
        await read_request(stream)
        await stream.send(http_response(LONG))
        await stream.transport_stream.aclose()
        over.set()

    connections = Connections(network(), trusted)
    async with secure_peer(behave) as server:
        body = await body_of(connections, server.url)
        got = await body.read(math.inf) or b""
        with anyio.move_on_after(1):  # where the sender is not stopped by the late reader
            await over.wait()
        while data := await body.read(math.inf):
            got += data
        assert got == LONG
        await body.aclose()
        await connections.aclose()


async def test_the_first_event_is_waited_for_as_long_over_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def behave(stream: TLSStream, _: int) -> None:
        await read_request(stream)
        await anyio.sleep_forever()

    monkeypatch.setenv("SSL_CERT_FILE", str(HERE / "authority.pem"))
    settings: dict[str, Any] = {"first_event_timeout": 0.3, "retries": 1}
    async with secure_peer(behave) as server, client_of(server.url, **settings) as client:
        async with lasting(0.3):
            items = await read(await client.generate_async(prompt="Hi"))
        assert error_type(items) == "FirstEventTimeout"
