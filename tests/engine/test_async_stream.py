"""The stream of an async client: reading, leaving early, closing, cancelling, and its clocks."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import httpx
import msgspec
import pytest
from engine.support import (
    END,
    HELLO,
    LONG,
    SLOW,
    START,
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
    text_so_far,
)

from dhenara_stream import (
    AIModelClient,
    AuthenticationError,
    ContentIdleTimeout,
    DeadlineExceeded,
    FirstEventTimeout,
    IdleTimeout,
    StreamTimeout,
    UsageError,
)
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.anthropic.stream import AnthropicDecoder
from dhenara_stream.engine.stream import ChatStream
from dhenara_stream.providers.registry import HTTPRequest
from dhenara_stream.simulator import (
    Answer,
    ErrorEvent,
    OnlyPings,
    OpenEnd,
    Respond,
    Silence,
    Simulator,
    Text,
    Thinking,
)
from dhenara_stream.types import AIModelCallResponse, StreamItem
from dhenara_stream.types.shared.secret import Secret

pytestmark = pytest.mark.usefixtures("every_road")

Stream = Any
SILENT = Silence(deltas=3)
THREE = "word0 word1 word2"


async def take(stream: Stream, count: int) -> list[Any]:
    return [await anext(stream) for _ in range(count)]


# --- reading


async def test_items_come_one_by_one_and_then_no_more() -> None:
    async with Simulator(Answer("One two")) as sim, client_of(sim.url) as client:
        stream = (await client.generate_async(prompt="Hi")).stream_generator
        items = await take(stream, 4)
        assert text_of(items) == "One two"
        assert is_complete(items)
        for _ in range(3):
            with pytest.raises(StopAsyncIteration):
                await anext(stream)


async def test_chunks_come_while_the_answer_is_still_being_made() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        async with response.stream_generator as stream:
            assert text_of(await take(stream, 3)) == THREE


async def test_the_snapshot_follows_the_stream() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        before = response.snapshot()
        assert before.chat_response is not None
        assert before.chat_response.text() is None
        async with response.stream_generator as stream:
            await take(stream, 3)
            during = response.snapshot()
            assert during.chat_response is not None
            assert during.chat_response.text() == THREE
            assert during.status is not None
            assert during.status.status == "response_incomplete"
            assert stream.snapshot().chat_response == during.chat_response
        assert before.chat_response.text() is None  # and is not changed by it


async def test_a_loop_can_be_taken_up_again_inside_the_context_manager() -> None:
    async with Simulator(LONG, tokens_per_second=SLOW) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        async with response.stream_generator as stream:
            first: list[StreamItem] = []
            async for item in stream:
                first.append(item)
                break
            rest = [item async for item in stream]
        assert text_of([*first, *rest]) == WORDS
        assert is_complete(rest)


async def test_an_iterator_is_its_own_iterator() -> None:
    async with Simulator(Answer("Hi")) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        iterator: AsyncIterator[Any] = aiter(response.stream_generator)
        assert aiter(iterator) is iterator
        assert is_complete([item async for item in iterator])


async def test_a_dump_does_not_consume_the_stream() -> None:
    async with Simulator(Answer("Hi")) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        assert response.model_dump()["status"]["http_status_code"] == 200
        assert "async_stream_generator" not in response.model_dump(exclude_none=False)
        response.model_dump_json()
        assert text_of(await read(response)) == "Hi"


async def test_two_readers_are_refused_and_the_first_goes_on() -> None:
    refused = anyio.Event()

    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(http_response(WHOLE)[: -len(WHOLE)] + sse(START))
        await refused.wait()
        await stream.send(sse(HELLO, END, STOP))

    async with peer(answer) as server, client_of(server.url) as client:
        response = await client.generate_async(prompt="Hi")
        items: list[Any] = []

        async def reader() -> None:
            items.extend(await read(response))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(UsageError, match="read by another task"):
                await anext(response.stream_generator)
            refused.set()
        assert text_of(items) == "Hello"
        assert is_complete(items)


# --- status and timing


async def test_status_is_known_when_the_head_has_come() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        status = response.status
        assert status is not None
        assert status is response.stream_generator.status
        assert status.http_status_code == 200
        assert status.request_id
        assert status.request_id.startswith("req_")
        assert status.api_provider == "anthropic"
        assert status.model == "claude-haiku-4-5"
        assert status.timing is not None
        assert status.timing.attempts == 1
        assert status.timing.headers is not None
        assert status.timing.first_event is None
        assert status.timing.total is None
        await response.stream_generator.aclose()


async def test_timing_is_in_order() -> None:
    answer = Answer(Thinking("Let me see. " * 3), Text("Four."))
    async with (
        Simulator(answer, tokens_per_second=SLOW) as sim,
        client_of(sim.url, reasoning=True) as client,
    ):
        response = await client.generate_async(prompt="Hi")
        items = await read(response)
    status = response.status
    assert status is not None
    timing = status.timing
    assert timing is not None
    times = [timing.headers, timing.first_event, timing.first_content, timing.first_answer]
    known = [time for time in [0.0, *times, timing.total] if time is not None]
    assert len(known) == 6
    assert known == sorted(known)
    assert timing.first_answer != timing.first_content
    assert timing.bytes_received > 1000
    assert timing.events_received > len(items)  # pings, starts and stops, too
    final = items[-1][1]
    assert final.chat_response.metadata.duration_seconds == timing.total
    assert final.status == status


async def test_connecting_takes_time_only_where_a_connection_is_made() -> None:
    async with Simulator(Answer("One two")) as sim, client_of(sim.url) as client:
        first, second = [
            (await read(await client.generate_async(prompt="Hi")))[-1][1].status.timing
            for _ in range(2)
        ]
        assert 0 < first.connect < first.headers
        assert second.connect is None


async def test_the_time_of_a_failure_is_known() -> None:
    async with Simulator(faults=Respond(401)) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        await read(response)
        assert response.status is not None
        assert response.status.status == "response_received_api_error"
        assert response.status.code == "authentication_error"
        assert response.status.timing is not None
        assert response.status.timing.total is not None


async def test_what_was_left_out_of_the_request_is_told() -> None:
    async with Simulator(Answer("Hi")) as sim, client_of(sim.url, options={"seed": 1}) as client:
        response = await client.generate_async(prompt="Hi")
        await read(response)
    assert response.status is not None
    assert response.status.data is not None
    assert "seed" in str(response.status.data["adjustments"])


# --- closing


async def test_leaving_the_context_manager_closes_the_connection() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        async with response.stream_generator as stream:
            async for _ in stream:
                break
        await sim.wait_closed()
        assert_kept(response, "word0")


def assert_kept(response: AIModelCallResponse, text: str | None) -> None:
    """The snapshot has at least this, and says that it is incomplete."""
    snapshot = response.snapshot()
    assert snapshot.chat_response is not None
    assert snapshot.status is not None
    assert snapshot.status.status == "response_incomplete"
    assert not snapshot.status.successful
    kept = snapshot.chat_response.text()
    assert (kept or "").startswith(text or "")
    assert all(choice.finish_reason is None for choice in snapshot.chat_response.choices)


async def test_closing_ends_the_stream_at_any_time_and_again() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        for count in (0, 1, 3):
            response = await client.generate_async(prompt="Hi")
            stream = response.stream_generator
            await take(stream, count)
            await stream.aclose()
            await sim.wait_closed()
            await stream.aclose()
            assert [item async for item in stream] == []
            assert_kept(response, THREE[: 5 * count])


async def test_closing_a_stream_that_ended_changes_nothing() -> None:
    async with Simulator(Answer("Hi")) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        async with response.stream_generator:
            await read(response)
        assert response.status is not None
        assert response.status.successful
        assert response.snapshot().chat_response is not None


async def test_a_closed_failure_has_no_items() -> None:
    async with Simulator(faults=Respond(401)) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        await response.stream_generator.aclose()
        assert await read(response) == []
        assert response.status is not None
        assert response.status.code == "authentication_error"


@pytest.mark.parametrize("closers", [1, 2])
async def test_closing_from_another_task_ends_the_wait_of_the_reader(closers: int) -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        items: list[Any] = []

        async def reader() -> None:
            items.extend([item async for item in response.stream_generator])

        async with anyio.create_task_group() as readers:
            readers.start_soon(reader)
            await anyio.wait_all_tasks_blocked()
            async with anyio.create_task_group() as tasks:
                for _ in range(closers):
                    tasks.start_soon(response.stream_generator.aclose)
            await sim.wait_closed()
        assert text_of(items) in ("", THREE)
        assert_kept(response, THREE)


async def test_closing_from_another_task_ends_the_wait_for_another_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    async with (
        Simulator(LONG, faults=ErrorEvent(events=1)) as sim,
        client_of(sim.url, retry_delay=9.0) as client,
    ):
        response = await client.generate_async(prompt="Hi")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, response)
            await sim.wait_closed()
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(1):
                await response.stream_generator.aclose()
        assert len(sim.requests) == 1
        assert await read(response) == []


async def test_reading_in_one_task_and_closing_in_another() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        responses: list[AIModelCallResponse] = []

        async def start() -> None:
            response = await client.generate_async(prompt="Hi")
            await take(response.stream_generator, 2)
            responses.append(response)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start)
        [response] = responses
        await response.stream_generator.aclose()
        await sim.wait_closed()
        assert_kept(response, "word0 word1")


async def test_closing_waits_for_a_reader_that_is_just_leaving() -> None:
    leaving, leave = anyio.Event(), anyio.Event()

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield sse(START, HELLO, "{broken")

        async def aclose(self) -> None:
            leaving.set()
            await leave.wait()

    handler = httpx.MockTransport(lambda _: httpx.Response(200, stream=Body()))
    async with httpx.AsyncClient(transport=handler) as own:
        response = await client_of("http://x", http_client=own).generate_async(prompt="Hi")
        items: list[Any] = []

        async def reader() -> None:
            items.extend(await read(response))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader)
            await leaving.wait()
            tasks.start_soon(response.stream_generator.aclose)
            await anyio.wait_all_tasks_blocked()
            leave.set()
        assert text_of(items) in ("", "Hello")
        assert_kept(response, "Hello")


# --- leaving without closing


@pytest.mark.parametrize("count", [1, 3])
async def test_break_closes_the_connection_without_a_warning(count: int) -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        left = count
        async for _ in response.stream_generator:
            left -= 1
            if not left:
                break
        with anyio.fail_after(1):
            await sim.wait_closed()
        assert_kept(response, THREE[: 5 * count])
        with pytest.raises(UsageError, match="left early"):
            await read(response)
        del response
        gc.collect()


async def test_break_of_an_answer_that_came_at_once_ends_it_too() -> None:
    async with Simulator(LONG, wire="all") as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        async for _ in response.stream_generator:
            break
        with pytest.raises(UsageError, match="left early"):
            await read(response)
        final = response.snapshot()
        assert final.chat_response is not None
        assert final.chat_response.text() == WORDS


async def test_an_exception_in_the_loop_closes_the_connection() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        with pytest.raises(KeyError):  # noqa: PT012
            async for _ in response.stream_generator:
                raise KeyError
        with anyio.fail_after(1):
            await sim.wait_closed()


async def test_return_at_the_last_item_keeps_the_connection_for_the_next_call() -> None:
    async def answer() -> AIModelCallResponse:
        response = await client.generate_async(prompt="Hi")
        final: AIModelCallResponse | None = None
        async for _, final in response.stream_generator:
            if isinstance(final, AIModelCallResponse):
                return final
        raise AssertionError

    async with Simulator(LONG) as sim, client_of(sim.url) as client:
        for _ in range(3):
            assert (await answer()).chat_response is not None
        assert sim.connections.accepted == 1


async def test_a_snapshot_on_the_way_does_not_keep_the_connection_from_the_next_call() -> None:
    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        while True:
            await read_request(stream)
            await stream.send(http_response(sse(START, *[HELLO] * 100, END, STOP)))

    async def ask() -> AIModelCallResponse | None:
        response = await client.generate_async(prompt="Hi")
        await anext(response.stream_generator)
        response.snapshot()
        final: AIModelCallResponse | None = None
        async for _, final in response.stream_generator:
            if final is not None:
                return final
        return final

    async with peer(answer) as server, client_of(server.url) as client:
        for _ in range(3):
            assert await ask() is not None
        assert server.connections == 1


async def test_a_response_that_is_dropped_unread_warns_once_and_is_closed() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            del response
            gc.collect()
        assert [w.category for w in warned] == [ResourceWarning]
        assert "async with" in str(warned[0].message)
        with anyio.fail_after(1):
            await sim.wait_closed()


async def test_a_failure_that_is_dropped_unread_is_nobodys_concern() -> None:
    async with Simulator(faults=Respond(500)) as sim, client_of(sim.url, retries=1) as client:
        await client.generate_async(prompt="Hi")
        gc.collect()


async def test_a_client_that_is_dropped_leaves_no_connection() -> None:
    async with Simulator(Answer("Hi")) as sim:
        client = client_of(sim.url)
        await read(await client.generate_async(prompt="Hi"))
        assert sim.connections.open == 1
        del client
        gc.collect()
        with anyio.fail_after(1):
            await sim.wait_closed()


async def test_a_stream_outlives_its_client() -> None:
    async with Simulator(LONG, tokens_per_second=SLOW) as sim:
        response = await client_of(sim.url).generate_async(prompt="Hi")
        gc.collect()
        assert text_of(await read(response)) == WORDS


# --- cancellation


async def test_a_cancelled_wait_gives_one_error_and_then_the_end() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        stream = response.stream_generator
        items = await take(stream, 3)
        with anyio.move_on_after(0.05) as scope:
            await anext(stream)
        assert scope.cancelled_caught
        await sim.wait_closed()
        assert_kept(response, THREE)
        rest = [item async for item in stream]
        assert len(rest) == 1
        assert error_type(rest) == "StreamInterrupted"
        assert "cancelled" in error_of(rest)["message"]
        assert text_of(items) == THREE


async def test_after_a_cancelled_loop_another_one_gives_the_error() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        came = anyio.Event()

        async def loop() -> None:
            async for _ in response.stream_generator:
                if text_so_far(response) == THREE:
                    came.set()

        async with anyio.create_task_group() as group:
            group.start_soon(loop)
            await came.wait()
            group.cancel_scope.cancel()
        rest = [item async for item in response.stream_generator]
        assert error_type(rest) == "StreamInterrupted"
        assert text_so_far(response) == THREE


async def unending(stream: anyio.abc.SocketStream) -> None:
    """A whole answer in a body that stays open, so that its connection is not let go at once."""
    await read_request(stream)
    await stream.send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"%x\r\n%b\r\n" % (len(WHOLE), WHOLE)
    )


async def until_complete(response: AIModelCallResponse) -> None:
    while response.status is None or response.status.code != "success":
        await anyio.lowlevel.checkpoint()


async def test_a_second_reader_takes_nothing_while_the_first_lets_the_connection_go() -> None:
    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        await unending(stream)
        await told.wait()

    async def first() -> None:
        items.extend(await read(response))

    items: list[Any] = []
    told = anyio.Event()
    async with peer(answer) as server, client_of(server.url) as client:
        response = await client.generate_async(prompt="Hi")
        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await until_complete(response)
            with pytest.raises(UsageError, match="another task"):
                await anext(response.stream_generator)
        told.set()
    assert is_complete(items)
    assert text_of(items) == "Hello"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_of_asyncios_own_while_the_connection_goes_closes_it() -> None:
    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        await unending(stream)
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        gone.set()

    gone = anyio.Event()
    async with peer(answer) as server, client_of(server.url) as client:
        response = await client.generate_async(prompt="Hi")
        reading = asyncio.create_task(read(response))
        await until_complete(response)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        with anyio.fail_after(1):
            await gone.wait()


async def test_a_snapshot_while_a_failed_stream_closes_gives_the_error_once() -> None:
    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield sse(START, HELLO, "{broken", "{again")

        async def aclose(self) -> None:
            leaving.set()
            await leave.wait()

    async def reader() -> None:
        items.extend(await read(response))

    items: list[Any] = []
    leaving, leave = anyio.Event(), anyio.Event()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Body()))
    async with httpx.AsyncClient(transport=transport) as own:
        client = client_of("http://localhost", http_client=own)
        response = await client.generate_async(prompt="Hi")
        async with anyio.create_task_group() as group:
            group.start_soon(reader)
            await leaving.wait()
            response.snapshot()
            leave.set()
    assert len(items) == 2
    assert error_type(items) == "ProtocolError"


async def test_a_cancelled_task_closes_the_connection_and_keeps_what_came() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        begun = anyio.Event()

        async def reader() -> None:
            async for _ in response.stream_generator:
                begun.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader)
            await begun.wait()
            tasks.cancel_scope.cancel()
        await sim.wait_closed()
        assert_kept(response, "word0")


@pytest.mark.parametrize(
    "fault", [Silence(), Respond(500, retry_after=30)], ids=["the answer", "the next attempt"]
)
async def test_a_call_that_is_cancelled_while_it_waits_for(fault: Any) -> None:
    async with (
        Simulator(faults=fault) as sim,
        client_of(sim.url, timeout=None) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(client.generate_async, "Hi")
        await sim.wait_requests(1)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert sim.connections.open == 0


async def test_closing_and_cancelling_at_once() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, response)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(response.stream_generator.aclose)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(1):
            await response.stream_generator.aclose()
        await sim.wait_closed()
        assert await read(response) == []


async def test_a_storm_of_cancellations_leaves_the_client_usable() -> None:
    async with Simulator(LONG, tokens_per_second=2000) as sim, client_of(sim.url) as client:

        async def cancelled(seconds: float) -> None:
            with anyio.move_on_after(seconds):
                await read(await client.generate_async(prompt="Hi"))

        async with anyio.create_task_group() as tasks:
            for n in range(60):
                tasks.start_soon(cancelled, n / 2000)
        for _ in range(3):
            assert text_of(await read(await client.generate_async(prompt="Hi"))) == WORDS
        await client.aclose()
        await sim.wait_closed()


# --- errors


async def test_errors_are_raised_where_that_is_wanted() -> None:
    async with (
        Simulator(faults=Respond(401)) as sim,
        client_of(sim.url, raise_errors=True) as client,
    ):
        response = await client.generate_async(prompt="Hi")
        with pytest.raises(AuthenticationError, match="401") as caught:
            await read(response)
        assert caught.value.http_status == 401
        assert await read(response) == []
        with pytest.raises(AuthenticationError):
            await client_of(sim.url, streaming=False, raise_errors=True).generate_async(prompt="Hi")


async def test_a_bug_in_here_becomes_an_error_item(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("dhenara_stream.core.accumulator.Accumulator.add", broken)
    async with Simulator(LONG) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        items = await read(response)
        assert len(items) == 1
        assert "ZeroDivisionError" in error_of(items)["message"]
        assert response.status is not None
        assert response.status.status == "internal_processing_error"
        await sim.wait_closed()


async def test_nobody_listens() -> None:
    async with peer(lambda *_: anyio.lowlevel.checkpoint()) as nobody:
        pass
    client = client_of(nobody.url, retries=2)
    response = await client.generate_async(prompt="Hi")
    items = await read(response)
    error = error_of(items)
    assert error["error_type"] == "ConnectError"
    assert error["attempts"] == 2
    assert "Connection refused" in error["message"]
    assert response.status is not None
    assert response.status.status == "request_not_send"
    assert response.status.http_status_code is None


async def test_a_name_that_nobody_has() -> None:
    client = client_of("http://nobody.invalid", retries=1)
    error = error_of(await read(await client.generate_async(prompt="Hi")))
    assert error["error_type"] == "ConnectError"
    assert "nobody.invalid" in error["message"]


async def test_an_error_body_that_breaks_off_is_no_worse_than_the_status() -> None:
    async def cut(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(b"HTTP/1.1 400 X\r\ncontent-length: 100\r\n\r\n{")

    async with peer(cut) as server, client_of(server.url) as client:
        error = error_of(await read(await client.generate_async(prompt="Hi")))
        assert error["error_type"] == "InvalidRequestError"
        assert error["http_status"] == 400


async def test_of_a_long_error_body_a_part_will_do() -> None:
    async def long(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(b"HTTP/1.1 400 X\r\nconnection: close\r\n\r\n")
        while True:
            await stream.send(b"x" * 65536)

    async with peer(long) as server, client_of(server.url) as client:
        error = error_of(await read(await client.generate_async(prompt="Hi")))
        assert error["error_type"] == "InvalidRequestError"
        assert len(error["message"]) < 5000


# --- what a body may look like


@pytest.mark.parametrize("cut", [1, 3, 5, 20, 150])
async def test_the_first_bytes_may_come_in_any_pieces(cut: int) -> None:
    async def pieces(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        body = b"\xef\xbb\xbf\r\n" + WHOLE
        await stream.send(http_response(body, kind="text/plain")[: -len(body)])
        for start in range(0, len(body), cut):
            await stream.send(body[start : start + cut])
            await anyio.lowlevel.checkpoint()

    async with peer(pieces) as server, client_of(server.url) as client:
        assert text_of(await read(await client.generate_async(prompt="Hi"))) == "Hello"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(WHOLE[:-2], id="without its last blank line"),
        pytest.param(WHOLE[:-1], id="with half of its last blank line"),
        pytest.param(WHOLE + b"data: [DONE]\n\n", id="with more after its end"),
        pytest.param(b": hello\n\n" + WHOLE, id="after a comment"),
        pytest.param(b"retry: 10\n\n" + WHOLE, id="after a retry field"),
        pytest.param(b"id: 1\n" + WHOLE, id="with an id"),
        pytest.param(WHOLE.replace(b"data: ", b"data:"), id="without spaces"),
        pytest.param(WHOLE.replace(b"\n", b"\r\n"), id="with other line ends"),
    ],
)
async def test_a_complete_answer(body: bytes) -> None:
    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(http_response(body))

    async with peer(answer) as server, client_of(server.url) as client:
        items = await read(await client.generate_async(prompt="Hi"))
        assert text_of(items) == "Hello"
        assert is_complete(items)


async def test_half_an_event_at_the_end_is_not_taken_for_one() -> None:
    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(http_response(sse(START, HELLO) + b'data: {"type":"message_st'))

    async with peer(answer) as server, client_of(server.url) as client:
        items = await read(await client.generate_async(prompt="Hi"))
        assert error_type(items) == "TruncatedStream"
        assert text_of(items) == "Hello"


async def test_a_stream_that_is_no_stream_says_what_came() -> None:
    async with (
        Simulator(faults=Respond(200, body="<html>Please log in</html>")) as sim,
        client_of(sim.url) as client,
    ):
        error = error_of(await read(await client.generate_async(prompt="Hi")))
        assert error["excerpt"] == "<html>Please log in</html>"
        assert error["content_type"] == "text/html"


async def test_an_endless_line_of_blanks_is_no_stream() -> None:
    async with Simulator(faults=Respond(200, body=" " * 5000)) as sim, client_of(sim.url) as client:
        error = error_of(await read(await client.generate_async(prompt="Hi")))
        assert error["error_type"] == "UnexpectedResponse"


async def test_a_connection_that_breaks_after_the_end_is_nobodys_concern() -> None:
    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(http_response(WHOLE + b"and so on")[:-5])

    async with peer(answer) as server, client_of(server.url) as client:
        assert is_complete(await read(await client.generate_async(prompt="Hi")))


async def test_a_call_that_is_not_streamed_keeps_what_came_of_a_stream() -> None:
    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(http_response(sse(START, HELLO)))

    async with peer(answer) as server, client_of(server.url, streaming=False) as client:
        response = await client.generate_async(prompt="Hi")
        assert_kept(response, "Hello")
        assert response.status is not None
        assert response.status.code == "TruncatedStream"


# --- requests that are signed when they are sent


class Signer:
    """Signs with a number, anew for each attempt; or fails."""

    def __init__(self, blocking: bool, error: Exception | None = None) -> None:
        self.blocking = blocking
        self._error = error
        self._count = 0

    def headers(self, request: HTTPRequest) -> dict[str, str]:
        if self._error is not None:
            raise self._error
        self._count += 1
        return {"x-signature": Secret(f"signature-{self._count}")}


def signed(client: AIModelClient, signer: Signer) -> ChatStream:
    call = client._call("Hi", None, None, None)  # pyright: ignore[reportPrivateUsage]
    request = msgspec.structs.replace(call.request, signer=signer)
    call = msgspec.structs.replace(call, request=request)
    return ChatStream(call, client._transport)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("blocking", [True, False])
async def test_each_attempt_is_signed_anew(blocking: bool) -> None:
    said = Respond(500, message="signature-1 is not good enough")
    async with Simulator(LONG, faults=[said, Respond(401)]) as sim, client_of(sim.url) as client:
        response = await signed(client, Signer(blocking)).collect()
        assert [r.headers["x-signature"] for r in sim.requests] == ["signature-1", "signature-2"]
        assert response.status is not None
        assert "signature-" not in str(response)


async def test_a_request_that_cannot_be_signed_is_not_sent() -> None:
    refused = AuthenticationError("no credentials", http_status=403)
    async with Simulator(LONG) as sim, client_of(sim.url) as client:
        response = await signed(client, Signer(True, refused)).collect()
        assert sim.requests == []
        assert response.status is not None
        assert response.status.http_status_code == 403
        assert response.status.message == "no credentials"


# --- clocks


async def gone_silent(stream: anyio.abc.SocketStream, _: int) -> None:
    """Read what comes and say nothing."""
    while True:
        await stream.receive()


async def pinging(stream: anyio.abc.SocketStream, _: int) -> None:
    """Pings and comments for longer than any clock but that of content, then the answer."""
    await read_request(stream)
    await stream.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + sse(START))
    for n in range(20):
        await anyio.sleep(0.025)
        await stream.send(b": ping\n\n" if n % 2 else sse('{"type":"ping"}'))
    await stream.send(sse(HELLO, END, STOP))


def clock(limit: float) -> dict[str, float]:
    return {"limit": limit}


@pytest.mark.parametrize(
    ("setting", "fault", "error"),
    [
        ("timeout", Silence(), DeadlineExceeded),
        ("timeout", SILENT, DeadlineExceeded),
        ("timeout", OnlyPings(interval=0.02), DeadlineExceeded),
        ("timeout", Respond(500, retry_after=9), None),  # it does not wait for what is too late
        ("first_event_timeout", Silence(), FirstEventTimeout),
        ("first_event_timeout", Silence(events=0), FirstEventTimeout),
        ("idle_timeout", Silence(events=0), IdleTimeout),
        ("idle_timeout", SILENT, IdleTimeout),
        ("content_idle_timeout", SILENT, ContentIdleTimeout),
        ("content_idle_timeout", OnlyPings(deltas=3, interval=0.02), ContentIdleTimeout),
        ("content_idle_timeout", OnlyPings(interval=0.02), ContentIdleTimeout),
    ],
)
async def test_a_clock_ends_the_wait_when_it_says(
    setting: str, fault: Any, error: type[StreamTimeout] | None
) -> None:
    settings: dict[str, Any] = {"timeout": None, "retries": 1, setting: 0.3}
    async with Simulator(LONG, faults=fault) as sim, client_of(sim.url, **settings) as client:
        async with lasting(0.3 if error else 0.0):
            items = await read(await client.generate_async(prompt="Hi"))
        if error is not None:
            assert error_type(items) == error.__name__
            assert setting in error_of(items)["message"]
            assert issubclass(error, TimeoutError)
            with anyio.fail_after(2):
                await sim.wait_closed()


async def test_a_handshake_that_is_not_answered_ends_with_the_connect_timeout() -> None:
    async with peer(gone_silent) as server:
        url = server.url.replace("http:", "https:")
        async with client_of(url, connect_timeout=0.3, retries=1) as client, lasting(0.3):
            items = await read(await client.generate_async(prompt="Hi"))
        assert error_type(items) == "ConnectTimeout"


async def test_the_deadline_holds_while_connecting_too() -> None:
    async with peer(gone_silent) as server:
        url = server.url.replace("http:", "https:")
        async with client_of(url, connect_timeout=5.0, timeout=0.2) as client:
            items = await read(await client.generate_async(prompt="Hi"))
            assert error_type(items) == "DeadlineExceeded"


async def test_connecting_may_take_longer_than_the_first_event() -> None:
    async with peer(gone_silent) as server:
        url = server.url.replace("http:", "https:")
        settings: dict[str, Any] = {
            "connect_timeout": 0.3,
            "first_event_timeout": 0.1,
            "retries": 1,
        }
        async with client_of(url, **settings) as client:
            items = await read(await client.generate_async(prompt="Hi"))
            assert error_type(items) == "ConnectTimeout"


async def test_no_clock_fires_on_a_stream_that_pings() -> None:
    settings: dict[str, Any] = {"idle_timeout": 0.2, "first_event_timeout": 0.2, "timeout": 5.0}
    async with peer(pinging) as server, client_of(server.url, **settings) as client:
        assert text_of(await read(await client.generate_async(prompt="Hi"))) == "Hello"


async def test_clocks_that_are_switched_off_do_not_fire() -> None:
    off: dict[str, Any] = dict.fromkeys(
        ("timeout", "connect_timeout", "first_event_timeout", "idle_timeout"), None
    )
    async with peer(pinging) as server, client_of(server.url, **off) as client:
        assert text_of(await read(await client.generate_async(prompt="Hi"))) == "Hello"


# asyncio takes the whole request at once, and does not tell when it is on its way.
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_the_first_event_is_waited_for_from_when_the_request_is_sent() -> None:
    async def slow_reader(stream: anyio.abc.SocketStream, _: int) -> None:
        await anyio.sleep(0.5)
        await read_request(stream)
        await anyio.sleep(0.5)
        await stream.send(http_response(WHOLE))

    settings: dict[str, Any] = {"first_event_timeout": 0.9, "retries": 1}
    async with peer(slow_reader) as server, client_of(server.url, **settings) as client:
        items = await read(await client.generate_async(prompt="x" * 2**23))
        assert text_of(items) == "Hello"


async def test_a_slow_reader_is_not_the_servers_fault() -> None:
    settings: dict[str, Any] = {
        "idle_timeout": 0.1,
        "content_idle_timeout": 0.1,
        "first_event_timeout": 0.1,
    }
    async with (
        Simulator(LONG, tokens_per_second=1000) as sim,
        client_of(sim.url, **settings) as client,
    ):
        response = await client.generate_async(prompt="Hi")
        items: list[Any] = []
        async for item in response.stream_generator:
            if len(items) in (1, 20):
                await anyio.sleep(0.15)
            items.append(item)
        assert text_of(items) == WORDS


@pytest.mark.parametrize("fault", [OpenEnd(), OpenEnd(ping_interval=0.01)], ids=["silent", "pings"])
async def test_a_complete_answer_is_not_made_an_error_by_what_follows(fault: OpenEnd) -> None:
    settings: dict[str, Any] = {"idle_timeout": 2.0, "timeout": 5.0}
    async with Simulator(LONG, faults=fault) as sim, client_of(sim.url, **settings) as client:
        async with lasting(0.0):
            items = await read(await client.generate_async(prompt="Hi"))
        assert is_complete(items)
        await sim.wait_closed()


async def test_much_after_the_end_is_not_read() -> None:
    async def chatty(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + WHOLE)
        while True:
            await stream.send(b": " + b"x" * 65536)

    async with peer(chatty) as server, client_of(server.url) as client:
        assert is_complete(await read(await client.generate_async(prompt="Hi")))


async def test_a_snapshot_has_what_has_arrived_and_nobody_has_read() -> None:
    """Events are decoded some at a time, as they are read; a snapshot takes all that are there."""
    events = sse(START, *[HELLO] * 200)

    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(http_response(events + sse(END, STOP)))

    async with peer(answer) as server, client_of(server.url) as client:
        response = await client.generate_async(prompt="Hi")
        async with response.stream_generator as items:
            chunk, _ = await anext(items)
            assert text_of([(chunk, None)]) == "Hello"
            assert text_so_far(response).count("Hello") > 32
            rest = [item async for item in items]
    assert is_complete(rest)
    assert text_of(rest) == "Hello" * 199


async def test_an_error_that_a_snapshot_meets_comes_after_what_came_before_it() -> None:
    overloaded = '{"type":"error","error":{"type":"overloaded_error","message":"Later"}}'

    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(http_response(sse(START, *[HELLO] * 100, overloaded, HELLO)))

    async with peer(answer) as server, client_of(server.url) as client:
        response = await client.generate_async(prompt="Hi")
        async with response.stream_generator as items:
            await anext(items)
            status = response.snapshot().status
            assert status is not None
            assert status.code == "overloaded_error"
            rest = [item async for item in items]
    assert text_of(rest) == "Hello" * 99
    assert error_type(rest) == "OverloadedError"
    assert text_so_far(response) == "Hello" * 100


async def test_a_loop_over_an_answer_that_is_all_there_may_be_left_early() -> None:
    serving, _ = all_at_once(WHOLE)
    async with serving as server, client_of(server.url) as client:
        response = await client.generate_async(prompt="Hi")
        async for _ in response.stream_generator:
            break
        with pytest.raises(UsageError):
            await anext(response.stream_generator)


def all_at_once(body: bytes) -> Any:
    """A peer whose answer comes in one piece, and which says when it was let go."""
    over = anyio.Event()

    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(http_response(body))
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        over.set()

    return peer(answer), over


async def test_a_stream_that_a_snapshot_read_to_its_end_is_closed_when_it_is_dropped() -> None:
    serving, over = all_at_once(sse(START, *[HELLO] * 100, END, "oh no"))
    async with serving as server, client_of(server.url) as client:
        response = await client.generate_async(prompt="Hi")
        await anext(response.stream_generator)
        assert text_so_far(response) == "Hello" * 100
        del response
        gc.collect()
        with anyio.fail_after(5):
            await over.wait()


async def test_a_bug_that_a_snapshot_meets_is_an_error_of_the_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode = AnthropicDecoder.decode
    seen = 0

    def broken(decoder: AnthropicDecoder, event: ServerSentEvent) -> Any:
        nonlocal seen
        seen += 1
        if seen > 60:
            raise ZeroDivisionError("oh")
        return decode(decoder, event)

    monkeypatch.setattr(AnthropicDecoder, "decode", broken)
    serving, over = all_at_once(sse(START, *[HELLO] * 100, END, STOP))
    async with serving as server, client_of(server.url) as client:
        response = await client.generate_async(prompt="Hi")
        async with response.stream_generator as items:
            await anext(items)
            assert text_so_far(response) == "Hello" * 59
            rest = [item async for item in items]
        assert "internal error: ZeroDivisionError: oh" in error_of(rest)["message"]
        await client.aclose()  # which has the connection again, since its answer was read
        with anyio.fail_after(5):
            await over.wait()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_snapshot_can_be_taken_when_the_event_loop_has_ended(backend: str) -> None:
    serving, _ = all_at_once(sse(START, *[HELLO] * 100, END, STOP))

    async def main() -> AIModelCallResponse:
        async with serving as server, client_of(server.url) as client:
            response = await client.generate_async(prompt="Hi")
            await anext(response.stream_generator)
            return response

    response = anyio.run(main, backend=backend)
    assert text_so_far(response) == "Hello" * 100
