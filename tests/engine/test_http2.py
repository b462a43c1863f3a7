"""HTTP/2, with a client of the caller's: reliability.md, section 4, row 67.

What the HTTP library does not do there, and a user has to know, is tested too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from engine.http2 import (
    Http2Server,
    Reply,
    end,
    go_away,
    hang_up,
    http2_client,
    http2_server,
    reset,
    silence,
)
from engine.served import DIALECTS, Served
from engine.support import error_of, error_type, is_complete, read, text_of
from h2.connection import H2Connection
from h2.errors import ErrorCodes

from dhenara_stream import AIModelClient
from dhenara_stream.simulator import Answer

ANSWER = Answer("One two three four")


def itself(number: int) -> int:
    return number


def nothing(_: int) -> int:
    return 0


def the_one_before(number: int) -> int:
    return number - 2


AGAIN = {  # what is made again, since nothing was handed out: on which connection
    "GOAWAY before the head, nothing taken": (Reply(head=False, ending=go_away(nothing)), 2),
    "GOAWAY before the head, all taken": (Reply(head=False, ending=go_away(itself)), 2),
    "GOAWAY before content": (Reply(deltas=0, ending=go_away(itself)), 2),
    "refused before the head": (Reply(head=False, ending=reset(ErrorCodes.REFUSED_STREAM)), 1),
    "RST_STREAM before content": (Reply(deltas=0, ending=reset(ErrorCodes.INTERNAL_ERROR)), 1),
    "hung up before the head": (Reply(head=False, ending=hang_up), 2),
    "hung up before content": (Reply(deltas=0, ending=hang_up), 2),
    "ended before content": (Reply(deltas=0, ending=end), 1),
}
LATE = {  # the error after two pieces
    "GOAWAY": (go_away(itself), "StreamInterrupted"),
    "RST_STREAM": (reset(ErrorCodes.INTERNAL_ERROR), "StreamInterrupted"),
    "hung up": (hang_up, "StreamInterrupted"),
    "ended": (end, "TruncatedStream"),
    "silence": (silence, "IdleTimeout"),
}
dialects = pytest.mark.parametrize("served", DIALECTS.values(), ids=DIALECTS)
Call = Callable[..., Awaitable[list[Any]]]


async def one_call(served: Served, server: Http2Server, **config: Any) -> list[Any]:
    async with http2_client() as own:
        client = served.client(server.url, http_client=own, **config)
        return await read(await client.generate_async(prompt="Hi"))


async def one_sync_call(served: Served, server: Http2Server, **config: Any) -> list[Any]:
    own = http2_client()

    def call() -> list[Any]:
        with served.client(server.url, is_async=False, http_client=own, **config) as client:
            items = list(client.generate(prompt="Hi").stream_generator)
            client._bridge._leased().portal.call(own.aclose)  # its connections belong to that loop
            return items

    return await anyio.to_thread.run_sync(call)


ways = pytest.mark.parametrize(
    ("anyio_backend", "call"),
    [("asyncio", one_call), ("trio", one_call), ("asyncio", one_sync_call)],
    ids=["asyncio", "trio", "sync"],
)


@ways
@dialects
@pytest.mark.parametrize(("reply", "connection"), AGAIN.values(), ids=AGAIN)
async def test_what_breaks_before_content_is_made_again(
    served: Served, reply: Reply, connection: int, call: Call
) -> None:
    async with http2_server(reply, answer=ANSWER) as server:
        items = await call(served, server)
    assert is_complete(items)
    assert text_of(items) == "One two three four"
    assert items[-1][1].status.timing.attempts == 2
    assert [on for on, _ in server.requests] == [1, connection]


@ways
@dialects
@pytest.mark.parametrize(("ending", "error"), LATE.values(), ids=LATE)
async def test_what_breaks_after_content_is_an_error_that_keeps_it(
    served: Served, ending: Any, error: str, call: Call
) -> None:
    async with http2_server(Reply(deltas=2, ending=ending), answer=ANSWER) as server:
        items = await call(served, server, idle_timeout=0.3)
    assert error_type(items) == error
    assert error_of(items)["content_delivered"] is True
    assert text_of(items) == "One two"
    assert len(server.requests) == 1


async def test_a_stream_that_a_server_has_not_taken_goes_to_another_connection_for_free() -> None:
    replies = Reply(), Reply(head=False, ending=go_away(the_one_before))
    async with http2_server(*replies, answer=ANSWER) as server, http2_client() as own:
        client = DIALECTS["anthropic"].client(server.url, http_client=own, retries=1)
        for _ in range(2):
            assert is_complete(await read(await client.generate_async(prompt="Hi")))
    assert server.requests == [(1, 1), (1, 3), (2, 1)]


async def test_after_a_whole_answer_a_goodbye_is_no_error() -> None:
    whole = Reply(ending=go_away(itself, ends=True))
    async with http2_server(whole, answer=ANSWER) as server, http2_client() as own:
        client = DIALECTS["anthropic"].client(server.url, http_client=own, retries=1)
        for _ in range(2):
            assert is_complete(await read(await client.generate_async(prompt="Hi")))
    assert server.requests == [(1, 1), (2, 1)]


async def test_a_request_that_the_server_does_not_take_ends_with_the_clock() -> None:
    async with (
        http2_server(answer=ANSWER, takes_all=False) as server,
        http2_client() as own,
    ):
        client = DIALECTS["anthropic"].client(
            server.url, http_client=own, first_event_timeout=0.3, retries=2
        )
        items = await read(await client.generate_async(prompt="x" * 100_000))
    assert error_type(items) == "FirstEventTimeout"
    assert error_of(items)["attempts"] == 2
    assert server.requests == []


@pytest.mark.parametrize("way", ["it is reset", "it is closed", "it is cancelled"])
async def test_what_befalls_one_stream_is_nothing_to_another_on_its_connection(way: str) -> None:
    async def other(client: AIModelClient) -> None:
        with anyio.CancelScope() as scope:
            async for _ in (await client.generate_async(prompt="Hi")).stream_generator:
                if way == "it is cancelled":
                    scope.cancel()
                elif way == "it is closed":
                    break

    answers: list[Any] = []
    broken = Reply(deltas=2, ending=reset(ErrorCodes.CANCEL) if way == "it is reset" else silence)
    async with http2_server(Reply(), broken, answer=ANSWER) as server, http2_client() as own:
        client = DIALECTS["anthropic"].client(server.url, http_client=own)
        first = await client.generate_async(prompt="Hi")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other, client)
            answers.append(await read(first))
        assert is_complete(answers[0])
        assert is_complete(await read(await client.generate_async(prompt="Hi")))
    assert server.requests == [(1, 1), (1, 3), (1, 5)]


async def test_a_server_is_not_told_of_a_stream_that_is_left() -> None:
    """The HTTP library sends no RST_STREAM (encode/httpcore#943); the place is free at once."""
    left = Reply(deltas=2, ending=silence)
    async with http2_server(left, answer=ANSWER) as server, http2_client() as own:
        client = DIALECTS["anthropic"].client(server.url, http_client=own)
        async with (await client.generate_async(prompt="Hi")).stream_generator as stream:
            await anext(stream)
        assert is_complete(await read(await client.generate_async(prompt="Hi")))
        assert server.requests == [(1, 1), (1, 3)]
        assert server.resets == []


def breaks_the_rules(connection: H2Connection, _: int) -> bytes:
    """A DATA frame on stream 0 (RFC 9113, section 6.1)."""
    return connection.data_to_send() + bytes([0, 0, 1, 0, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    "reply",
    [Reply(head=False, ending=breaks_the_rules), Reply(deltas=0, ending=breaks_the_rules)],
    ids=["before the head", "before content"],
)
async def test_a_server_that_breaks_the_rules_before_content_is_asked_again(reply: Reply) -> None:
    async with http2_server(reply, answer=ANSWER) as server:
        items = await one_call(DIALECTS["anthropic"], server)
    assert is_complete(items)
    assert [on for on, _ in server.requests] == [1, 2]


async def test_a_server_that_breaks_the_rules_after_content_broke_the_connection() -> None:
    reply = Reply(deltas=2, ending=breaks_the_rules)
    async with http2_server(reply, answer=ANSWER) as server:
        items = await one_call(DIALECTS["anthropic"], server)
    assert error_type(items) == "StreamInterrupted"
    assert text_of(items) == "One two"
