"""The server, seen by a client that reads bytes off the socket."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from simulator.peer import (
    Reply,
    body,
    connect,
    events,
    is_silent,
    read_to_end,
    read_until,
    request,
    talk,
)

from dhenara_stream.simulator import (
    Answer,
    CleanCut,
    ContentType,
    Drop,
    ErrorEvent,
    Fault,
    Malformed,
    OnlyPings,
    OpenEnd,
    Reset,
    Respond,
    Silence,
    Simulator,
    TornChunk,
)
from dhenara_stream.simulator.net import Connection, Listener
from dhenara_stream.simulator.plan import Wire

ANSWER = Answer("One two three.")
STOP = b'data: {"type":"message_stop"}\n\n\r\n'


async def test_a_streamed_answer() -> None:
    async with Simulator(ANSWER) as sim:
        reply = await talk(sim)
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["connection"] == "close"
    assert reply.complete
    assert reply.text == "One two three."
    assert reply.kinds[-1] == "message_stop"


async def test_an_answer_that_is_not_streamed() -> None:
    async with Simulator(ANSWER) as sim:
        reply = await talk(sim, request(body(stream=False)))
    assert reply.headers["content-type"] == "application/json"
    assert reply.complete
    assert reply.json["content"] == [{"type": "text", "text": "One two three."}]


async def test_a_refused_request() -> None:
    async with Simulator() as sim:
        reply = await talk(sim, request(body(max_tokens=...)))
    assert reply.error == (400, "invalid_request_error", "max_tokens: Field required")
    assert reply.complete


async def test_a_request_without_a_key() -> None:
    async with Simulator() as sim:
        reply = await talk(sim, request(x_api_key=None))
        assert not sim.requests[0].authenticated
    assert reply.error == (401, "authentication_error", "x-api-key header is required")
    async with Simulator(require_key=False) as sim:
        assert (await talk(sim, request(x_api_key=None))).complete


@pytest.mark.parametrize("wire", ["event", "byte", "all", 5, 1_000_000])
async def test_chunks_on_the_wire(wire: Wire) -> None:
    async with Simulator(ANSWER, wire=wire) as sim:
        reply = await talk(sim)
    assert reply.text == "One two three."
    sizes = [len(chunk) for chunk in reply.chunks]
    match wire:
        case "event":
            assert len(sizes) == len(reply.events)
            assert all(len(events(chunk)) == 1 for chunk in reply.chunks)
        case "byte":
            assert set(sizes) == {1}
        case "all" | 1_000_000:
            assert len(sizes) == 1
        case size:
            assert set(sizes[:-1]) == {size}


async def test_a_connection_serves_request_after_request() -> None:
    async with Simulator(ANSWER) as sim, await connect(sim) as stream:
        for _ in range(3):
            await stream.send(request(close=False))
            raw = await read_until(stream, b"\r\n0\r\n\r\n")
            assert Reply(raw, "closed").text == "One two three."
        assert sim.connections.accepted == 1
        assert [record.connection for record in sim.requests] == [1, 1, 1]
        assert all(record.complete and record.status == 200 for record in sim.requests)


async def test_requests_that_come_in_pieces_or_ahead() -> None:
    async with Simulator(ANSWER) as sim, await connect(sim) as stream:
        data = request(close=False)
        await stream.send(data[:30])
        assert await is_silent(stream)
        await stream.send(data[30:] + data)
        raw = b""
        while raw.count(STOP) < 2:
            raw += await stream.receive()
        assert len(sim.requests) == 2


async def test_a_client_that_waits_to_continue() -> None:
    async with Simulator(ANSWER) as sim, await connect(sim) as stream:
        head, _, content = request(expect="100-continue").partition(b"\r\n\r\n")
        await stream.send(head + b"\r\n\r\n")
        assert await read_until(stream, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send(content)
        reply = await read_to_end(stream)
    assert reply.text == "One two three."


async def test_a_client_that_says_nothing_and_leaves() -> None:
    async with Simulator() as sim:
        async with await connect(sim):
            pass
        await sim.wait_closed()
        assert sim.requests == []


async def test_what_is_no_http_is_refused_and_the_connection_closed() -> None:
    async with Simulator() as sim:
        reply = await talk(sim, b"hello\r\n\r\nmore")
    assert reply.error == (400, "invalid_request_error", "The request line is malformed")
    assert reply.headers["connection"] == "close"
    assert sim.requests == []


async def test_a_body_that_is_too_large_is_refused_while_it_comes() -> None:
    async with Simulator(max_body_bytes=1000) as sim, await connect(sim) as stream:
        data = request(b"x" * 200_000)
        await stream.send(data)
        reply = await read_to_end(stream)
    assert reply.error[:2] == (413, "request_too_large")


async def test_a_head_request_gets_no_body() -> None:
    async with Simulator() as sim:
        reply = await talk(sim, request(method="HEAD", path="/"))
    assert reply.status == 404
    assert reply.body == b""
    assert int(reply.headers["content-length"]) > 0


async def test_a_redirect() -> None:
    fault = Respond(307, headers={"location": "http://elsewhere.invalid/"})
    async with Simulator(faults=fault) as sim:
        reply = await talk(sim)
    assert (reply.status, reply.headers["location"], reply.body) == (
        307,
        "http://elsewhere.invalid/",
        b"",
    )


async def test_a_content_length_that_lies() -> None:
    longer = Respond(200, body="abc", headers={"content-length": "9"})
    shorter = Respond(200, body="abc", headers={"content-length": "1"})
    async with Simulator(faults=[longer, shorter]) as sim:
        first = await talk(sim, request(close=False))
        second = await talk(sim, request(close=False))
    assert (first.body, first.complete, first.end) == (b"abc", False, "closed")
    assert (second.body, second.complete, second.end) == (b"abc", False, "closed")


# --- faults ---


async def struck(fault: Fault, **fields: Any) -> tuple[Reply, Simulator]:
    async with Simulator(ANSWER, faults=[fault]) as sim:
        reply = await talk(sim, request(body(**fields)))
        await sim.wait_closed()
    return reply, sim


async def test_a_clean_cut_ends_the_body_but_not_the_answer() -> None:
    reply, sim = await struck(CleanCut(deltas=2))
    assert reply.complete
    assert reply.end == "closed"
    assert reply.text == "One two"
    assert reply.kinds[-1] == "text_delta"
    assert sim.requests[0].complete


async def test_a_torn_chunk() -> None:
    reply, sim = await struck(TornChunk(deltas=2))
    assert not reply.complete
    assert reply.end == "closed"
    assert reply.text == "One two"
    assert b"event: content_block_delta".startswith(reply.chunks[-1][:10])
    assert not sim.requests[0].complete
    assert not sim.requests[0].client_left


async def test_a_dropped_connection() -> None:
    reply, _ = await struck(Drop(deltas=1))
    assert (reply.complete, reply.end, reply.text) == (False, "closed", "One")
    reply, sim = await struck(Drop())
    assert (reply.raw, reply.end) == (b"", "closed")
    assert sim.requests[0].status is None


async def test_a_reset_connection() -> None:
    reply, _ = await struck(Reset())
    assert (reply.raw, reply.end) == (b"", "reset")
    reply, _ = await struck(Reset(header_bytes=12))
    assert reply.end == "reset"
    assert reply.raw in (b"HTTP/1.1 200", b"")  # a reset may take what was not yet read with it


async def test_a_reset_after_content() -> None:
    reply, _ = await struck(Reset(deltas=2))
    assert (reply.complete, reply.end, reply.text) == (False, "reset", "One two")


@pytest.mark.parametrize("fault", [Silence(), Silence(header_bytes=9), Silence(deltas=1)])
async def test_silence_lasts_until_the_client_leaves(fault: Silence) -> None:
    async with Simulator(ANSWER, faults=fault) as sim:
        async with await connect(sim) as stream:
            await stream.send(request())
            if fault.in_head is None:
                await read_until(stream, b'"One"}}\n\n\r\n')
            elif fault.in_head:
                assert await stream.receive() == b"HTTP/1.1 "
            assert await is_silent(stream)
            await stream.send(b"x")  # what it sends meanwhile changes nothing
            assert await is_silent(stream)
        await sim.wait_closed()
        assert sim.requests[0].client_left
        assert not sim.requests[0].complete


async def test_silence_ends_with_the_simulator() -> None:
    async with Simulator(faults=Silence()) as sim:
        stream = await connect(sim)
        await stream.send(request())
        await sim.wait_requests(1)
    async with stream:
        assert (await read_to_end(stream)).raw == b""
    assert sim.connections.open == 0


async def test_an_error_event() -> None:
    reply, _ = await struck(ErrorEvent(deltas=1, message="Too much"))
    assert reply.complete
    assert reply.text == "One"
    assert reply.events[-1]["error"]["message"] == "Too much"
    assert reply.end == "closed"


async def test_an_error_event_closes_a_connection_that_would_stay() -> None:
    async with Simulator(faults=ErrorEvent()) as sim:
        reply = await talk(sim, request(close=False))
    assert [event["type"] for event in reply.events] == ["error"]


async def test_only_pings() -> None:
    async with Simulator(ANSWER, faults=OnlyPings(deltas=1, interval=0.001)) as sim:
        async with await connect(sim) as stream:
            await stream.send(request())
            raw = b""
            while raw.count(b"event: ping") < 4:
                raw += await stream.receive()
        await sim.wait_closed()
    assert Reply(raw, "closed").text == "One"


async def test_an_open_end() -> None:
    faults = [OpenEnd(), OpenEnd(ping_interval=0.001)]
    async with Simulator(ANSWER, faults=faults) as sim:
        async with await connect(sim) as stream:
            await stream.send(request())
            await read_until(stream, STOP)
            assert await is_silent(stream)
        async with await connect(sim) as stream:
            await stream.send(request())
            await read_until(stream, STOP)
            assert b"event: ping" in await stream.receive()


async def test_a_malformed_event() -> None:
    reply, _ = await struck(Malformed(deltas=1, raw=b"data: ?\n\n"))
    assert b'"One"}}\n\ndata: ?\n\nevent: content_block_delta' in reply.body
    assert reply.complete


@pytest.mark.parametrize("value", ["application/json", None])
async def test_another_content_type(value: str | None) -> None:
    reply, _ = await struck(ContentType(value))
    assert reply.headers.get("content-type") == value
    assert reply.text == "One two three."


async def test_a_cut_of_an_answer_that_is_not_streamed() -> None:
    reply, _ = await struck(CleanCut(body_bytes=10), stream=False)
    assert reply.complete
    assert len(reply.body) == 10


# --- pace, pressure, departures ---


async def test_the_rate_is_kept() -> None:
    async with Simulator(Answer("word " * 20), tokens_per_second=1000) as sim:
        started = anyio.current_time()
        await talk(sim)
        assert anyio.current_time() - started >= 0.019


async def test_a_client_that_leaves_in_a_pause_is_noticed() -> None:
    async with Simulator(time_to_first_token=60) as sim:
        async with await connect(sim) as stream:
            await stream.send(request())
            await stream.receive()
        await sim.wait_closed()
        assert sim.requests[0].client_left


async def test_a_client_that_sends_ahead_without_end_is_cut_off() -> None:
    async with Simulator(faults=Silence()) as sim:
        async with await connect(sim) as stream:
            await stream.send(request())
            with pytest.raises(anyio.BrokenResourceError):
                await stream.send(b"x" * 50_000_000)
        await sim.wait_closed()


async def test_a_slow_client_slows_the_server_down() -> None:
    async with Simulator(Answer("word " * 200_000)) as sim:
        async with await connect(sim) as stream:
            await stream.send(request())
            await stream.receive()
            with anyio.move_on_after(0.1):
                await sim.wait_closed()
            assert not sim.requests[0].complete
        await sim.wait_closed()
        assert sim.requests[0].client_left


async def test_a_slow_client_gets_it_all() -> None:
    async with Simulator(Answer("word " * 50_000), wire="all") as sim:
        reply = await talk(sim)
    assert len(reply.text) == 250_000


async def test_many_clients_at_once() -> None:
    async with Simulator() as sim:
        replies: list[Reply] = []

        async def ask(number: int) -> None:
            replies.append(await talk(sim, request(body(prompt=f"Number {number}?"))))

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(ask, number)
        await sim.wait_closed()
        assert sim.connections.accepted == 100
    texts = "\n".join(reply.text for reply in replies)
    assert all(f'"Number {number}?"' in texts for number in range(100))


async def test_a_thousand_connections_at_once() -> None:
    needed = 2500  # descriptors: both ends are ours
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        pytest.skip(f"the system gives us {soft} descriptors (at most {hard}), not {needed}")
    async with Simulator(faults=Silence()) as sim:
        url = urlsplit(sim.url)
        with ExitStack() as clients:  # plain sockets: what they cost is no part of this
            for made in range(20, 1001, 20):  # no more at once than a listening socket holds
                for _ in range(20):
                    client = socket.create_connection((url.hostname, url.port))
                    clients.enter_context(client).sendall(request())
                await sim.wait_requests(made)
            assert sim.connections.peak == 1000
        await sim.wait_closed()


async def test_many_connections_in_a_row() -> None:
    async with Simulator(ANSWER, wire="all") as sim:
        for _ in range(100):
            assert (await talk(sim)).complete
        await sim.wait_closed()
        assert (sim.connections.accepted, sim.connections.open) == (100, 0)


# --- sockets ---


class Refusing(socket.socket):
    """A listening socket that fails to accept once."""

    failed = False

    def accept(self) -> tuple[socket.socket, Any]:
        if not self.failed:
            self.failed = True
            raise OSError("no descriptors left")
        return super().accept()


async def test_an_accept_that_fails_is_tried_again() -> None:
    with Refusing() as server, socket.socket() as client:
        server.setblocking(False)
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        connection = await Listener(server).accept()
        connection.close()


async def test_a_connection_that_is_reset_reads_as_ended() -> None:
    near, far = socket.socketpair()
    with far:
        connection = Connection(near)
        far.close()
        assert await connection.receive() == b""
        connection.close()
        assert await connection.receive() == b""
        await connection.linger()
