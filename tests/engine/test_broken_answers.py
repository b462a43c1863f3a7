"""Answers that break anywhere: reliability.md, section 4, rows 13, 15 to 19, 31 and 41."""

from __future__ import annotations

import json
import re
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
from engine.served import DIALECTS, Served
from engine.support import (
    WEATHER,
    error_of,
    error_type,
    is_complete,
    peer,
    read,
    read_request,
    reset,
    sse,
    text_of,
)
from engine.test_resource_bombs import WIRES, in_one_event_loop

from dhenara_stream.simulator import Answer, CleanCut, Simulator, ToolCall, Usage
from dhenara_stream.types import AIModelCallResponse

pytestmark = pytest.mark.usefixtures("every_road")

EVENTS = {"content-type": "text/event-stream"}
names = pytest.mark.parametrize("name", DIALECTS)


# --- cut anywhere -----------------------------------------------------------------------------

SAID = "Grüße \U0001f600"
ARGUMENTS = {"city": "Ulm \U0001f600"}
ANSWER = Answer(SAID, ToolCall("get_weather", ARGUMENTS, id="toolu_1"))
LAST_WORD = {  # without it no answer is complete
    "anthropic": b'"message_stop"',
    "openai_chat": b'"finish_reason":"tool_calls"',
    "openai_responses": b'"response.completed"',
    "gemini": b'"finishReason":"STOP"',
}


class Cut(httpx.AsyncBaseTransport):
    """A simulator's answer, of which only so many bytes come."""

    def __init__(self) -> None:
        self._memory = Simulator(ANSWER).transport()
        self.whole = b""
        self.at: int | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.whole:
            response = await self._memory.handle_async_request(request)
            self.whole = await response.aread()
        return httpx.Response(200, headers=EVENTS, content=self.whole[: self.at])


def places(body: bytes) -> list[int]:
    """Where it is cut: at each byte about the end of an event, at some within."""
    ends = [match.end() for match in re.finditer(rb"\r?\n\r?\n", body)]
    about = {at for end in ends for at in range(end - 6, end + 2)}
    return sorted(at for at in {*range(0, len(body), 29), *about} if at < len(body))


@in_one_event_loop
@names
async def test_an_answer_cut_anywhere_is_never_taken_for_a_whole_one(name: str) -> None:
    async def ask() -> tuple[list[Any], AIModelCallResponse]:
        response = await client.generate_async(prompt="Hi")
        return await read(response), response.snapshot()

    cut = Cut()
    async with httpx.AsyncClient(transport=cut) as own:
        settings: dict[str, Any] = {"retries": 1, "timeout": None, "tools": [WEATHER]}
        client = DIALECTS[name].client("https://llm.example", http_client=own, **settings)
        assert is_complete((await ask())[0])
        known = ""
        for at in places(cut.whole):
            cut.at = at
            items, snapshot = await ask()
            arrived = cut.whole[:at]
            if is_complete(items):
                assert LAST_WORD[name] in arrived
            else:
                assert error_type(items) == "TruncatedStream"
            assert snapshot.chat_response is not None
            text = snapshot.chat_response.text() or ""
            assert text == text_of(items)
            assert text.startswith(known)  # a byte more never takes anything away
            assert SAID.startswith(text)
            known = text
            for call in snapshot.chat_response.tools():
                assert call.parse_error or call.arguments == ARGUMENTS
                assert not (is_complete(items) and call.parse_error)
        assert known == SAID


@names
async def test_the_usage_that_was_told_before_a_cut_is_kept(name: str) -> None:
    usage = Usage(input_tokens=11, output_tokens=3)
    sim = Simulator(Answer("One two three", usage=usage), faults=CleanCut(deltas=2))
    async with httpx.AsyncClient(transport=sim.transport()) as own:
        client = DIALECTS[name].client("https://llm.example", http_client=own)
        response = await client.generate_async(prompt="Hi")
        assert error_type(await read(response)) == "TruncatedStream"
    kept = response.snapshot().chat_response
    assert kept is not None
    told = {"anthropic": 11, "gemini": 11}.get(name)  # the others tell it at the end
    assert (kept.usage and kept.usage.prompt_tokens) == told


# --- lengths that lie -------------------------------------------------------------------------


async def answered(served: Served, head: bytes, body: bytes, **settings: Any) -> list[Any]:
    """The items of an answer with this head and body, after which the server hangs up."""

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n" + head + body)

    async with peer(behave) as server, served.client(server.url, retries=1, **settings) as client:
        return await read(await client.generate_async(prompt="Hi"))


def length(size: int) -> bytes:
    return b"content-length: %d\r\n\r\n" % size


@names
async def test_a_body_shorter_than_its_length_is_interrupted(name: str) -> None:
    body = WIRES[name].said("Hello")
    items = await answered(DIALECTS[name], length(len(body) + 100), body)
    assert error_type(items) == "StreamInterrupted"
    assert text_of(items) == "Hello"


@names
async def test_a_body_longer_than_its_length_is_truncated(name: str) -> None:
    wire = WIRES[name]
    body = wire.said("Hello")
    items = await answered(DIALECTS[name], length(len(body)), body + wire.rest)
    assert error_type(items) == "TruncatedStream"
    assert text_of(items) == "Hello"


@names
@pytest.mark.parametrize("more", [-4, 4])
async def test_a_whole_answer_whose_length_is_wrong(name: str, more: int) -> None:
    wire = WIRES[name]
    body = wire.said("Hello") + wire.rest
    filler = b": more\n\n"
    items = await answered(DIALECTS[name], length(len(body) + len(filler) + more), body + filler)
    assert text_of(items) == "Hello"
    if name == "gemini" and more > 0:  # it has no last word, so more may have been to come
        assert error_type(items) == "StreamInterrupted"
    else:
        assert is_complete(items)


# --- resets -----------------------------------------------------------------------------------


@names
@pytest.mark.parametrize("count", [0, 1, 2, 5])
async def test_what_came_before_a_reset_is_kept(name: str, count: int) -> None:
    wire = WIRES[name]
    come = anyio.Semaphore(0)

    async def behave(stream: anyio.abc.SocketStream, number: int) -> None:
        await read_request(stream)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        await stream.send(head + sse(*wire.begin))
        if number > 1:
            await stream.send(sse(wire.text) + wire.rest)
            return
        for _ in range(count):
            await stream.send(sse(wire.text))
            await come.acquire()  # the system throws away what was not read before a reset
        reset(stream)

    async with peer(behave) as server, DIALECTS[name].client(server.url) as client:
        items: list[Any] = []
        async for item in (await client.generate_async(prompt="Hi")).stream_generator:
            items.append(item)
            come.release()
        assert server.connections == (1 if count else 2)
    if count:
        assert error_type(items) == "StreamInterrupted"
        assert text_of(items) == "Hello" * count
    else:
        assert is_complete(items)
        assert text_of(items) == "Hello"


# --- after the end ----------------------------------------------------------------------------


@names
async def test_an_error_after_the_last_word(name: str) -> None:
    wire, served = WIRES[name], DIALECTS[name]
    body = wire.said("Hello") + wire.rest + sse(json.dumps(served.failure))
    items = await answered(served, b"connection: close\r\n\r\n", body)
    assert text_of(items) == "Hello"
    if name == "gemini":  # which has no last word: usage and more follow the reason
        assert error_of(items)["content_delivered"] is True
    else:
        assert is_complete(items)
