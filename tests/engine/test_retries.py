"""When a request is made again, and when it is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
from engine.support import (
    END,
    HELLO,
    LONG,
    STOP,
    WHOLE,
    WORDS,
    client_of,
    error_of,
    error_type,
    http_response,
    is_complete,
    lasting,
    peer,
    read,
    read_request,
    sse,
    text_of,
)

from dhenara_stream import AIModelClient, RateLimitError
from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.dialects.base import ErrorReply
from dhenara_stream.engine import stream
from dhenara_stream.simulator import (
    CleanCut,
    Drop,
    ErrorEvent,
    Reset,
    Respond,
    Silence,
    Simulator,
    TornChunk,
)

pytestmark = pytest.mark.usefixtures("every_road")

Items = list[tuple[Any, Any]]


async def attempts(fault: Any, **settings: Any) -> tuple[int, Items]:
    """How many requests a call makes that always fails so, and what comes of it."""
    async with Simulator(LONG, faults=fault) as sim, client_of(sim.url, **settings) as client:
        items = await read(await client.generate_async(prompt="Hi"))
        return len(sim.requests), items


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 520, 529])
async def test_what_may_pass_is_tried_three_times(status: int) -> None:
    made, items = await attempts(Respond(status))
    assert made == 3
    assert error_of(items)["attempts"] == 3
    assert error_of(items)["retryable"] is True
    assert error_of(items)["http_status"] == status


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 418, 422])
async def test_what_will_not_pass_is_tried_once(status: int) -> None:
    made, items = await attempts(Respond(status))
    assert made == 1
    assert error_of(items)["retryable"] is False


@pytest.mark.parametrize("retries", [1, 2, 5])
async def test_the_number_of_attempts_is_the_callers(retries: int) -> None:
    made, items = await attempts(Respond(500), retries=retries)
    assert made == error_of(items)["attempts"] == retries


async def test_a_call_that_is_not_streamed_is_made_again_too() -> None:
    async with Simulator(LONG, faults=[Respond(500), Respond(529), None]) as sim:
        response = await client_of(sim.url, streaming=False).generate_async(prompt="Hi")
        assert response.chat_response is not None
        assert response.chat_response.text() == WORDS
        assert response.status is not None
        assert response.status.timing is not None
        assert response.status.timing.attempts == len(sim.requests) == 3


@pytest.mark.parametrize(
    "fault",
    [Reset(), Reset(deltas=0), Drop(), TornChunk(), CleanCut(), CleanCut(deltas=0)],
    ids=repr,
)
async def test_a_connection_that_breaks_before_content_is_made_again(fault: Any) -> None:
    made, items = await attempts(fault)
    assert made == 3
    assert error_of(items)["content_delivered"] is False


@pytest.mark.parametrize("fault", [Drop, TornChunk, CleanCut, ErrorEvent])
@pytest.mark.parametrize("deltas", [1, 5])
async def test_after_content_nothing_is_made_again(fault: Any, deltas: int) -> None:
    made, items = await attempts(fault(deltas=deltas))
    assert made == 1
    assert error_of(items)["content_delivered"] is True
    assert error_of(items)["attempts"] == 1


async def test_silence_before_content_is_not_waited_for_twice_as_long() -> None:
    async with lasting(0.4):
        made, items = await attempts(Silence(events=0), first_event_timeout=0.2, retries=2)
    assert made == 2
    assert error_type(items) == "FirstEventTimeout"


async def test_a_whole_answer_that_took_too_long_was_paid_for() -> None:
    async with Simulator(LONG, faults=Silence()) as sim:
        client = client_of(sim.url, streaming=False, first_event_timeout=0.2)
        response = await client.generate_async(prompt="Hi")
        made = len(sim.requests)
        await client.aclose()
    assert made == 1
    assert response.status is not None
    assert response.status.code == "FirstEventTimeout"


# --- errors inside a stream


@pytest.mark.parametrize(
    ("kind", "status", "made"),
    [
        ("overloaded_error", 529, 3),
        ("rate_limit_error", 429, 3),
        ("api_error", 500, 3),
        ("timeout_error", 504, 3),
        ("invalid_request_error", 400, 1),
        ("authentication_error", 401, 1),
        ("billing_error", 402, 1),
    ],
)
async def test_an_error_event_before_content_counts_as_the_status_it_stands_for(
    kind: str, status: int, made: int
) -> None:
    count, items = await attempts(ErrorEvent(deltas=0, type=kind))
    assert count == made
    assert error_of(items)["http_status"] == status
    assert error_of(items)["code"] == kind


async def test_of_an_attempt_that_failed_nothing_is_seen() -> None:
    def start(name: str) -> str:
        message = f'{{"id":"{name}","model":"{name}","usage":{{"input_tokens":1}}}}'
        return f'{{"type":"message_start","message":{message}}}'

    failure = '{"type":"error","error":{"type":"overloaded_error","message":"Later"}}'

    async def answer(stream: anyio.abc.SocketStream, number: int) -> None:
        await read_request(stream)
        end = (failure,) if number < 3 else (HELLO, END, STOP)
        await stream.send(http_response(sse(start(f"m{number}"), *end)))

    async with peer(answer) as server, client_of(server.url) as client:
        items = await read(await client.generate_async(prompt="Hi"))
    assert text_of(items) == "Hello"
    assert {chunk.id for chunk, _ in items if chunk} == {"m3"}
    metadata = items[-1][1].chat_response.metadata.provider_metadata
    assert (metadata["id"], metadata["model"]) == ("m3", "m3")


# --- when


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"retry-after-ms": "120"}, 0.12),
        ({"retry-after": "0.12"}, 0.12),
        ({"retry-after-ms": "120", "retry-after": "9"}, 0.12),
        ({"retry-after": "0"}, 0.0),
        (
            {"retry-after": format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)},
            0.0,
        ),
    ],
    ids=["milliseconds", "seconds", "both", "none", "a date that has passed"],
)
async def test_the_provider_is_waited_for_as_long_as_it_says(
    headers: dict[str, str], least: float
) -> None:
    async with lasting(least):
        made, items = await attempts([Respond(429, headers=headers), None], retry_delay=9.0)
    assert made == 2
    assert is_complete(items)


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "61"},
        {"retry-after": "86400"},
        {"retry-after-ms": "60001"},
        {"retry-after": format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)},
    ],
    ids=["61 s", "a day", "60001 ms", "a date"],
)
async def test_a_wait_of_more_than_a_minute_is_reported_at_once(headers: dict[str, str]) -> None:
    async with lasting(0.0):
        made, items = await attempts(Respond(429, headers=headers))
    assert made == 1
    assert error_of(items)["retry_after"] > 60
    assert error_of(items)["retryable"] is True


async def test_the_wait_is_told_when_the_attempts_are_used_up() -> None:
    _, items = await attempts(Respond(529, retry_after=0.01), retries=2)
    assert error_of(items)["retry_after"] == 0.01


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "inf", ""])
async def test_a_wait_that_cannot_be_read_is_ours(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = waits(monkeypatch)
    made, _ = await attempts(Respond(429, headers={"retry-after": value}), retries=2)
    assert made == 2
    assert bounds == [(0, 0.0)]


def waits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """The bounds that waits are drawn from; each is then nothing."""
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return 0.0

    monkeypatch.setattr("random.uniform", uniform)
    return bounds


async def test_waits_double_up_to_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = waits(monkeypatch)
    await attempts(Respond(500), retries=5, retry_delay=2.0, max_retry_delay=9.0)
    assert bounds == [(0, 2.0), (0, 4.0), (0, 8.0), (0, 9.0)]


async def test_the_deadline_is_not_waited_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    async with lasting(0.0):
        made, items = await attempts(Respond(500), retry_delay=9.0, timeout=5.0)
    assert made == 1
    assert error_type(items) == "ServerError"


async def test_the_deadline_holds_over_all_attempts() -> None:
    async with lasting(0.4):
        made, items = await attempts(Silence(), first_event_timeout=0.15, timeout=0.4, retries=9)
    assert made == 3
    assert error_type(items) == "DeadlineExceeded"


# --- the provider's word


@pytest.mark.parametrize(("status", "word", "made"), [(400, "true", 3), (500, "false", 1)])
async def test_the_provider_may_say_whether_to_try_again(status: int, word: str, made: int) -> None:
    count, items = await attempts(Respond(status, headers={"x-should-retry": word}))
    assert count == made
    assert error_of(items)["retryable"] is (word == "true")


@pytest.mark.parametrize(
    "fault",
    [
        Respond(402, headers={"x-should-retry": "true"}),
        Respond(429, type="insufficient_quota"),
        Respond(400, message="Your credit balance is too low to access the Anthropic API."),
        Respond(429, type="billing_error", retry_after=0.01),
    ],
    ids=repr,
)
async def test_no_wait_fills_an_account(fault: Respond) -> None:
    made, items = await attempts(fault)
    assert made == 1
    assert error_of(items)["retryable"] is False


# --- connections that died in the pool


async def test_a_connection_that_died_in_the_pool_is_replaced_for_free() -> None:
    async def once(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(http_response(WHOLE))
        await read_request(stream)  # and closes

    async with peer(once) as server, client_of(server.url, retries=1) as client:
        for _ in range(3):
            response = await client.generate_async(prompt="Hi")
            assert is_complete(await read(response))
            assert response.status is not None
            assert response.status.timing is not None
            assert response.status.timing.attempts == 1
        assert server.connections == 3


async def test_a_connection_is_replaced_for_free_once_only() -> None:
    async def once(stream: anyio.abc.SocketStream, number: int) -> None:
        await read_request(stream)
        if number == 1:
            await stream.send(http_response(WHOLE))
            await read_request(stream)

    async with peer(once) as server, client_of(server.url, retries=2) as client:
        await read(await client.generate_async(prompt="Hi"))
        items = await read(await client.generate_async(prompt="Hi"))
        assert error_type(items) == "StreamInterrupted"
        assert error_of(items)["attempts"] == 2
        assert server.connections == 1 + 2


async def test_a_connection_that_dies_within_the_answer_is_not_replaced_for_free() -> None:
    async def half(stream: anyio.abc.SocketStream, number: int) -> None:
        await read_request(stream)
        await stream.send(http_response(WHOLE))
        await read_request(stream)
        await stream.send(http_response(WHOLE)[:150])

    async with peer(half) as server, client_of(server.url, retries=1) as client:
        await read(await client.generate_async(prompt="Hi"))
        items = await read(await client.generate_async(prompt="Hi"))
        assert error_type(items) == "StreamInterrupted"
        assert server.connections == 1


async def test_a_wait_that_the_body_asks_for_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def error(_: Any, reply: ErrorReply) -> RateLimitError:
        return RateLimitError("slow down", http_status=reply.status, retry_after=75.0)

    monkeypatch.setattr(AnthropicDialect, "error", error)
    made, items = await attempts(Respond(429, retry_after=None))
    assert made == 1
    assert error_of(items)["retry_after"] == 75.0


async def test_a_request_that_was_worked_on_counts_as_an_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def behave(socket: anyio.abc.SocketStream, _: int) -> None:
        await read_request(socket)
        await socket.send(http_response(WHOLE))
        await read_request(socket)
        asked.append(1)

    asked: list[int] = []
    monkeypatch.setattr(stream, "DEAD_WITHIN", 0.0)
    async with peer(behave) as server, client_of(server.url, retries=1) as client:
        assert is_complete(await read(await client.generate_async(prompt="Hi")))
        items = await read(await client.generate_async(prompt="Hi"))
    assert len(asked) == 1
    assert error_of(items)["attempts"] == 1


async def test_a_refusal_whose_words_do_not_come_is_known_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def behave(socket: anyio.abc.SocketStream, _: int) -> None:
        await read_request(socket)
        await socket.send(b"HTTP/1.1 401 No\r\ncontent-length: 1000\r\n\r\n")
        await socket.receive()

    monkeypatch.setattr(stream, "ERROR_BODY_SECONDS", 0.05)
    async with peer(behave) as server, client_of(server.url) as client:
        items = await read(await client.generate_async(prompt="Hi"))
    assert error_of(items)["http_status"] == 401


# --- what calls wait for together


async def _complete_call(client: AIModelClient, prompt: str = "Hi") -> None:
    assert is_complete(await read(await client.generate_async(prompt=prompt)))


def is_told_to_wait(client: AIModelClient) -> bool:
    return client._transport.shared_wait().until > anyio.current_time()


async def test_a_call_that_begins_while_another_waits_waits_with_it() -> None:
    async with (
        Simulator(faults=[Respond(429, retry_after=0.3), None]) as sim,
        client_of(sim.url) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(_complete_call, client)
        while not is_told_to_wait(client):
            await anyio.lowlevel.checkpoint()
        await _complete_call(client)
    first, *others = sim.requests
    assert len(others) == 2
    assert all(request.time >= first.time + 0.3 for request in others)


async def test_a_call_that_cannot_wait_so_long_goes_out_at_once() -> None:
    async with (
        Simulator(faults=[Respond(429, retry_after=50), None]) as sim,
        client_of(sim.url, timeout=5.0) as client,
    ):
        refused = await read(await client.generate_async(prompt="Hi"))
        assert error_of(refused)["retry_after"] == 50
        with anyio.fail_after(4):
            await _complete_call(client)


async def test_a_call_that_waits_with_others_can_be_closed() -> None:
    async with (
        Simulator(faults=[Respond(429, retry_after=50), None]) as sim,
        client_of(sim.url, timeout=None, retries=1) as client,
    ):
        await read(await client.generate_async(prompt="Hi"))
        with anyio.move_on_after(0.05) as scope:
            await client.generate_async(prompt="Hi")
    assert scope.cancelled_caught
    assert len(sim.requests) == 1


async def test_the_call_that_was_told_to_wait_goes_before_those_that_come_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dhenara_stream.core.retry._SPACING", 0.2)
    async with (
        Simulator(faults=[Respond(429, retry_after=0.3), None]) as sim,
        client_of(sim.url) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(_complete_call, client, "first")
        while not is_told_to_wait(client):
            await anyio.lowlevel.checkpoint()
        for _ in range(3):
            tasks.start_soon(_complete_call, client)
    _, again, *others = sim.requests
    assert len(others) == 3
    assert b"first" in again.body


@pytest.mark.parametrize(
    "fault",
    [Respond(429, type="billing_error", retry_after=9), Respond(429, retry_after=0)],
    ids=["it will not pass", "nothing is asked for"],
)
async def test_what_is_no_wait_is_none_for_others(fault: Respond) -> None:
    async with Simulator(faults=[fault, None]) as sim, client_of(sim.url, retries=1) as client:
        await read(await client.generate_async(prompt="Hi"))
        assert client._transport.shared_wait().turn(5.0) == 5.0
        assert client._transport.shared_wait().turn(5.0) == 5.0


async def waiting(client: AIModelClient, response: Any) -> None:
    """Wait until the call waits, in the line or for its own time."""
    while not response.status.message.startswith("Waiting, since the provider asked"):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()


@pytest.mark.parametrize("closed", ["stream", "client"])
async def test_a_call_that_waits_with_others_sends_nothing_once_closed(closed: str) -> None:
    async with (
        Simulator(faults=ErrorEvent(events=1)) as sim,
        client_of(sim.url) as client,
        anyio.create_task_group() as tasks,
    ):
        response = await client.generate_async(prompt="Hi")
        client._transport.shared_wait().told(anyio.current_time(), 5.0)
        items: Items = []

        async def reader() -> None:
            items.extend(await read(response))

        tasks.start_soon(reader)
        await waiting(client, response)
        with anyio.fail_after(1):
            await (response.stream_generator if closed == "stream" else client).aclose()
            await anyio.wait_all_tasks_blocked()
        assert len(sim.requests) == 1
        if closed == "client":
            assert not client._transport._loops
            assert error_type(items) == "StreamInterrupted"
            assert "client was closed" in error_of(items)["message"]
        else:
            assert items == []


async def test_a_call_that_waits_for_its_own_time_ends_with_its_client() -> None:
    async with (
        Simulator(faults=Respond(429, retry_after=50)) as sim,
        client_of(sim.url, timeout=None) as client,
        anyio.create_task_group() as tasks,
    ):
        items: Items = []

        async def call() -> None:
            items.extend(await read(await client.generate_async(prompt="Hi")))

        tasks.start_soon(call)
        while not is_told_to_wait(client):
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(1):
            await client.aclose()
            await anyio.wait_all_tasks_blocked()
        assert len(sim.requests) == 1
        assert not client._transport._loops
        assert "client was closed" in error_of(items)["message"]
