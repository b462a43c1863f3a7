"""Answers that are complete, or failed, before their bodies end: contract.md, section 2."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import pytest
from engine.support import (
    Item,
    Peer,
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

from dhenara_stream import AIModelClient
from dhenara_stream.engine import clocks
from dhenara_stream.types import AIModelAPI, AIModelCallConfig, AIModelEndpoint, BaseAIModel
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45
from dhenara_stream.types.genai.foundation_models.google.chat import Gemini25Flash
from dhenara_stream.types.genai.foundation_models.openai.chat import GPT4oMini

pytestmark = pytest.mark.usefixtures("every_road")

GRACE = 0.1
BROKE = {"error": {"message": "Broke", "type": "server_error"}}


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "GRACE", GRACE)


def gemini(text: str, finish: str | None = None) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": text}]}, "finishReason": finish}
    return {"candidates": [candidate]}


def chat(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def anthropic(text: str) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def responses(text: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "delta": text}


PLACES: dict[str, tuple[str, BaseAIModel, dict[str, Any]]] = {
    "gemini": ("google_gemini_api", Gemini25Flash, {}),
    "chat": ("openai", GPT4oMini, {"api": "chat_completions"}),
    "responses": ("openai", GPT4oMini, {}),
    "anthropic": ("anthropic", ClaudeHaiku45, {}),
}


def client_at(place: str, server: Peer, **config: Any) -> AIModelClient:
    provider, model, own = PLACES[place]
    api = AIModelAPI.model_validate(
        {
            "provider": provider,
            "api_key": "a-key-for-tests",
            "config": {"base_url": server.url, **own},
        }
    )
    settings: dict[str, Any] = {"streaming": True, "retries": 1, "timeout": 10.0, **config}
    return AIModelClient(AIModelEndpoint(api=api, ai_model=model), AIModelCallConfig(**settings))


def events(*payloads: dict[str, Any]) -> bytes:
    return sse(*map(json.dumps, payloads))


Step = Callable[[anyio.abc.SocketStream], Awaitable[None]]


async def ask(place: str, body: bytes, then: Step, **config: Any) -> list[Item]:
    """What is read of a server that sends this, and then leaves the body open."""

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        await stream.send(head + body)
        await then(stream)

    async with peer(behave) as server, client_at(place, server, **config) as client:
        return await read(await client.generate_async(prompt="Hi"))


async def silence(_: anyio.abc.SocketStream) -> None:
    await anyio.sleep_forever()


async def pings(stream: anyio.abc.SocketStream) -> None:
    while True:
        await stream.send(b": ping\n\n")
        await anyio.sleep(GRACE / 10)


ANSWERS = {
    "gemini": events(gemini("a"), gemini("b", "STOP")),
    "chat": events(chat("a"), chat("b", "stop")),
}


@pytest.mark.parametrize("place", ANSWERS)
@pytest.mark.parametrize("then", [silence, pings])
async def test_a_complete_answer_whose_body_stays_open_is_complete_soon(
    place: str, then: Step
) -> None:
    async with lasting(GRACE):
        items = await ask(place, ANSWERS[place], then)
    assert is_complete(items)
    assert text_of(items) == "ab"


@pytest.mark.parametrize("clock", ["idle_timeout", "content_idle_timeout", "timeout"])
async def test_a_clock_that_is_shorter_makes_no_error_of_it(
    clock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocks, "GRACE", 60.0)
    assert is_complete(await ask("gemini", ANSWERS["gemini"], silence, **{clock: 0.2}))


async def test_what_comes_within_the_grace_is_of_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clocks, "GRACE", 60.0)

    async def more(stream: anyio.abc.SocketStream) -> None:
        await anyio.wait_all_tasks_blocked()
        await stream.send(events(gemini("c"), gemini("d", "MAX_TOKENS")))

    items = await ask("gemini", ANSWERS["gemini"], more)
    assert text_of(items) == "abcd"
    final = items[-1][1]
    assert final.chat_response.choices[0].native_finish_reason == "MAX_TOKENS"


LATER = {
    "gemini": events(gemini("c", "MAX_TOKENS")),
    "chat": events({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}),
}


@pytest.mark.parametrize("place", LATER)
async def test_an_event_under_way_is_waited_for(place: str) -> None:
    event = LATER[place]

    async def in_parts(stream: anyio.abc.SocketStream) -> None:
        for part in (event[20:30], event[30:]):
            await anyio.sleep(GRACE * 1.5)
            await stream.send(part)
        await anyio.sleep_forever()

    items = await ask(place, ANSWERS[place] + event[:20], in_parts)
    assert is_complete(items)
    if place == "gemini":
        assert text_of(items) == "abc"
    else:
        assert items[-1][1].chat_response.usage.completion_tokens == 4


def second(place: str) -> dict[str, Any]:
    """The whole of a second choice."""
    whole = gemini("c", "STOP") if place == "gemini" else chat("c", "stop")
    [choice] = whole["candidates" if place == "gemini" else "choices"]
    choice["index"] = 1
    return whole


@pytest.mark.parametrize("place", LATER)
async def test_of_several_choices_the_later_ones_are_waited_for(place: str) -> None:
    async def later(stream: anyio.abc.SocketStream) -> None:
        await anyio.sleep(GRACE * 2)
        await stream.send(events(second(place)))

    items = await ask(place, ANSWERS[place], later, options={"n": 2})
    assert is_complete(items)
    assert text_of(items) == "abc"


@pytest.mark.parametrize(
    "body",
    [
        events(gemini("a")),
        events(gemini("a", "STOP"), gemini("b")),
        events(
            {"candidates": [{"content": {"parts": [{"executableCode": {}}]}}]}, gemini("", "STOP")
        ),
    ],
    ids=["no reason yet", "it goes on", "a tool is at work"],
)
async def test_an_answer_under_way_gets_no_grace(body: bytes) -> None:
    items = await ask("gemini", body, silence, idle_timeout=GRACE * 3)
    assert error_type(items) == "IdleTimeout"


async def test_the_grace_does_not_run_while_the_reader_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grace = 0.4
    monkeypatch.setattr(clocks, "GRACE", grace)

    async def more(stream: anyio.abc.SocketStream) -> None:
        away.set()
        await back.wait()
        await stream.send(events(gemini("c", "STOP")))
        await anyio.sleep_forever()

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + ANSWERS["gemini"])
        await more(stream)

    away, back = anyio.Event(), anyio.Event()
    async with peer(behave) as server, client_at("gemini", server) as client:
        response = await client.generate_async(prompt="Hi")
        items: list[Item] = []
        async for item in response.stream_generator:
            items.append(item)
            if len(items) == 2:
                await away.wait()
                await anyio.sleep(grace * 1.25)
                back.set()
    assert text_of(items) == "abc"
    assert is_complete(items)


async def test_closing_in_the_grace_ends_the_stream_as_closing_does() -> None:
    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + ANSWERS["gemini"])
        await anyio.sleep_forever()

    async with peer(behave) as server, client_at("gemini", server) as client:
        response = await client.generate_async(prompt="Hi")
        stream = response.stream_generator
        assert text_of([await anext(stream), await anext(stream)]) == "ab"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, response)
            await anyio.wait_all_tasks_blocked()
            await stream.aclose()
        assert response.status is not None
        assert response.status.status == "response_incomplete"


# --- errors beside content


BESIDE = {
    "gemini": events(gemini("a"), {**gemini("b"), **BROKE}),
    "chat": events(chat("a"), {**chat("b"), **BROKE}),
    "anthropic": events(anthropic("a"), {**anthropic("b"), **BROKE}),
    "responses": events(responses("a"), {**responses("b"), **BROKE}),
}


@pytest.mark.parametrize("place", BESIDE)
async def test_an_error_beside_content_is_the_item_after_it(place: str) -> None:
    async with lasting(0.0):  # it does not wait for another event
        items = await ask(place, BESIDE[place], silence)
    assert text_of(items) == "ab"
    assert error_type(items) == "ServerError"


async def test_an_error_in_a_document_is_the_item_after_its_content() -> None:
    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        body = json.dumps({**gemini("ab", "STOP"), **BROKE}).encode()
        await stream.send(http_response(body, kind="application/json"))

    async with peer(behave) as server, client_at("gemini", server) as client:
        items = await read(await client.generate_async(prompt="Hi"))
    assert text_of(items) == "ab"
    assert error_type(items) == "ServerError"


async def hang_up(_: anyio.abc.SocketStream) -> None:
    """Return, which closes the connection."""


@pytest.mark.parametrize(
    ("place", "said"), [("gemini", gemini("Hello", "STOP")), ("chat", chat("Hello", "stop"))]
)
async def test_a_body_that_ends_within_an_event_is_no_complete_answer(
    place: str, said: dict[str, Any]
) -> None:
    items = await ask(place, events(said) + b'data: {"usage": {"prom', hang_up)
    assert error_type(items) == "TruncatedStream"
    assert text_of(items) == "Hello"
