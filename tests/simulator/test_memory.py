"""The transport without sockets gives what the server gives."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
import httpx
import pytest
from simulator.peer import HEADERS, body, events, text

from dhenara_stream.simulator import (
    Answer,
    CleanCut,
    Drop,
    ErrorEvent,
    Fault,
    OnlyPings,
    Reset,
    Respond,
    Silence,
    Simulator,
    TornChunk,
)

URL = "https://api.anthropic.com/v1/messages"
ANSWER = Answer("One two three.")


def client(sim: Simulator, **keywords: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=sim.transport(), headers=HEADERS, **keywords)


async def post(sim: Simulator, **fields: Any) -> httpx.Response:
    async with client(sim) as http:
        return await http.post(URL, json=body(**fields))


async def test_an_answer() -> None:
    sim = Simulator(ANSWER)
    response = await post(sim)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.http_version == "HTTP/1.1"
    assert text(events(response.content)) == "One two three."
    (record,) = sim.requests
    assert (record.connection, record.status, record.complete, record.client_left) == (
        0,
        200,
        True,
        False,
    )
    assert record.headers["x-api-key"] == "***"


@pytest.mark.parametrize(
    "fault",
    [None, CleanCut(deltas=2), ErrorEvent(deltas=1), Respond(529), Respond(200, body="<p>")],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_the_bytes_are_those_of_the_server(fault: Fault | None, stream: bool) -> None:
    http = httpx.AsyncClient(headers=HEADERS, trust_env=False)
    async with Simulator(ANSWER, faults=fault) as sim, http:
        served = await http.post(f"{sim.url}/v1/messages", json=body(stream=stream))
    remembered = await post(Simulator(ANSWER, faults=fault), stream=stream)
    assert remembered.status_code == served.status_code
    assert remembered.content == served.content


async def pieces(sim: Simulator) -> tuple[list[bytes], Exception | None]:
    """The pieces of the body, and the failure at their end."""
    found: list[bytes] = []
    http = client(sim, timeout=0.02)
    try:
        async with http, http.stream("POST", URL, json=body()) as response:
            await collect(response, found)
    except httpx.TransportError as error:
        return found, error
    return found, None


async def collect(response: httpx.Response, found: list[bytes]) -> None:
    async for piece in response.aiter_raw():
        found.append(piece)  # noqa: PERF401 - what came before a failure must be in it


async def test_pieces_come_as_they_are_cut() -> None:
    found, _ = await pieces(Simulator(ANSWER, wire=7))
    assert {len(piece) for piece in found[:-1]} == {7}


@pytest.mark.parametrize(
    ("fault", "kind", "sent"),
    [
        (Drop(), httpx.RemoteProtocolError, ""),
        (Drop(header_bytes=20), httpx.RemoteProtocolError, ""),
        (Reset(), httpx.ReadError, ""),
        (Silence(), httpx.ReadTimeout, ""),
        (Drop(deltas=2), httpx.RemoteProtocolError, "One two"),
        (TornChunk(deltas=2), httpx.RemoteProtocolError, "One two"),
        (Reset(deltas=2), httpx.ReadError, "One two"),
        (Silence(deltas=2), httpx.ReadTimeout, "One two"),
    ],
)
async def test_what_a_network_client_would_see(fault: Fault, kind: type, sent: str) -> None:
    sim = Simulator(ANSWER, faults=fault)
    found, error = await pieces(sim)
    assert isinstance(error, kind)
    assert isinstance(error, httpx.TransportError)
    assert error.request.url == URL
    assert text(events(b"".join(found))) == sent
    assert not sim.requests[0].complete
    assert (sim.requests[0].status == 200) == bool(sent)


async def test_half_of_the_next_event_comes_before_a_torn_chunk() -> None:
    found, _ = await pieces(Simulator(ANSWER, faults=TornChunk(deltas=1)))
    assert found[-1].startswith(b"event: content_block_delta")
    assert not found[-1].endswith(b"\n\n")


async def opened(sim: Simulator) -> httpx.AsyncByteStream:
    """A response's stream without the generators that httpx puts around it."""
    request = httpx.Request("POST", URL, headers=HEADERS, json=body())
    response = await sim.transport().handle_async_request(request)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return response.stream


async def test_pings_come_until_the_client_leaves() -> None:
    sim = Simulator(faults=OnlyPings(interval=0.001))
    content = await opened(sim)
    stream = aiter(content)
    for _ in range(3):
        assert b"ping" in await anext(stream)
    await content.aclose()
    assert sim.requests[0].client_left


async def test_pauses_are_kept() -> None:
    started = anyio.current_time()
    await post(Simulator(Answer("a b c d e"), tokens_per_second=1000, time_to_first_token=0.005))
    assert anyio.current_time() - started >= 0.009


async def test_a_pause_longer_than_the_read_timeout() -> None:
    _, error = await pieces(Simulator(time_to_first_token=60))
    assert isinstance(error, httpx.ReadTimeout)


async def test_silence_without_a_timeout_is_for_ever() -> None:
    sim = Simulator(ANSWER, faults=Silence(deltas=1))
    found: list[bytes] = []
    http = client(sim, timeout=None)
    with anyio.move_on_after(0.02) as scope:
        async with http, http.stream("POST", URL, json=body()) as response:
            await collect(response, found)
    assert scope.cancelled_caught
    assert text(events(b"".join(found))) == "One"
    assert sim.requests[0].client_left


async def test_a_cancelled_read_loses_nothing() -> None:
    stream = aiter(await opened(Simulator(ANSWER)))
    whole = b""
    for number in range(100):
        with anyio.CancelScope() as scope:
            if number % 2:
                scope.cancel()
            try:
                whole += await anext(stream)
            except StopAsyncIteration:
                break
    assert text(events(whole)) == "One two three."


@pytest.mark.parametrize("fault", [None, TornChunk()])
async def test_reading_after_the_end_gives_nothing(fault: Fault | None) -> None:
    sim = Simulator(faults=fault)
    content = await opened(sim)
    with contextlib.suppress(httpx.TransportError):
        async for _ in content:
            pass
    with pytest.raises(StopAsyncIteration):
        await anext(aiter(content))
    assert sim.requests[0].complete == (fault is None)


async def test_responses_without_a_body() -> None:
    sim = Simulator(faults=Respond(204, body="odd"))
    response = await post(sim)
    assert (response.status_code, response.content) == (204, b"")
    assert sim.requests[0].complete
    async with client(sim) as http:
        response = await http.head("https://x/")
    assert (response.status_code, response.content) == (404, b"")


async def test_waiting_works_without_sockets() -> None:
    sim = Simulator(faults=Silence(events=0))

    async def ask() -> None:
        async with client(sim) as http:
            await http.post(URL, json=body())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await sim.wait_requests(1)
        tasks.cancel_scope.cancel()
    assert sim.requests[0].client_left
