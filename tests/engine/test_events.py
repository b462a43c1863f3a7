"""What a body is, told from its content type and its first bytes, and the events in it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio.abc
import httpx
import pytest
from corpus import Recording, needs_corpus, streams
from engine.support import (
    KEY,
    Item,
    error_of,
    error_type,
    http_response,
    is_complete,
    peer,
    read,
    read_request,
    text_of,
)
from reading import at_random, bytewise

from dhenara_stream import AIModelClient
from dhenara_stream.engine.events import BodyEvents
from dhenara_stream.errors import (
    EventTooLarge,
    ProtocolError,
    TruncatedStream,
    UnexpectedResponse,
)
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
)
from dhenara_stream.types.genai.foundation_models.google.chat import Gemini25Flash
from dhenara_stream.types.genai.foundation_models.openai.chat import GPT4o

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"


def outcome(chunks: list[bytes], content_type: str, limit: int = 10_000) -> Any:
    """The data of the events, or the document, or the error that a body comes to."""
    body = BodyEvents(status=200, content_type=content_type, max_event_bytes=limit)
    found: list[bytes] = []
    try:
        for chunk in chunks:
            found += [event.data for event in body.feed(chunk)]
            if body.error is not None:
                raise body.error
        document = body.document()
        if document is not None:
            return document
        found += [event.data for event in body.flush()]
    except ProtocolError as error:
        return found, type(error)
    return found


EVENTS = b"data: 1\n\ndata: 2"
LINES = b'{"a":1}\n{"b":2}'


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (SSE, EVENTS, [b"1", b"2"]),
        ("", EVENTS, [b"1", b"2"]),
        ("application/json", EVENTS, [b"1", b"2"]),
        (NDJSON, EVENTS, [b"1", b"2"]),
        ("text/plain", b"\xef\xbb\xbf \r\n: hi\n\n" + EVENTS, [b"1", b"2"]),
        (SSE, b"x: y\n\n" + EVENTS, [b"1", b"2"]),
        (NDJSON, LINES, [b'{"a":1}', b'{"b":2}']),
        ("application/x-ndjson; charset=utf-8", LINES, [b'{"a":1}', b'{"b":2}']),
        ("Application/X-NDJSON", LINES, [b'{"a":1}', b'{"b":2}']),
        ("Text/Event-Stream", b"x: y\n\n" + EVENTS, [b"1", b"2"]),
        ("Text/Event-Stream", b"", ([], TruncatedStream)),
        ("application/jsonl", b"\n" + LINES, [b'{"a":1}', b'{"b":2}']),
        ("application/json", LINES, LINES),
        (SSE, b' {"a":\n1}', b' {"a":\n1}'),
        ("", b"[1]", b"[1]"),
        ("application/vnd.amazon.eventstream", b"{}" * 10, ([], ProtocolError)),
        ("Application/VND.Amazon.EventStream", b"{}" * 10, ([], ProtocolError)),
        ("text/html", b"<html>", ([], UnexpectedResponse)),
        (SSE, b"<html>", ([], UnexpectedResponse)),
        ("text/plain", b"x: y\n\n", ([], UnexpectedResponse)),
        ("text/plain", b" ", ([], UnexpectedResponse)),
        ("text/plain", b" " * 3000, ([], UnexpectedResponse)),
        ("text/plain", b"", ([], UnexpectedResponse)),
        (SSE, b"", ([], TruncatedStream)),
        (SSE, b"\xef\xbb", ([], UnexpectedResponse)),
    ],
)
def test_what_a_body_is(content_type: str, body: bytes, expected: Any) -> None:
    assert outcome([body], content_type) == expected
    assert outcome(bytewise(body), content_type) == expected


@pytest.mark.parametrize(
    ("content_type", "body", "before"),
    [
        (SSE, b"data: 1\n\ndata: " + b"x" * 2000 + b"\n\n", [b"1"]),
        (NDJSON, b"{}\n{" + b"1" * 2000 + b"\n", [b"{}"]),
        ("application/json", b"[" + b"1" * 2000, []),
    ],
)
def test_events_and_documents_may_be_only_so_long(
    content_type: str, body: bytes, before: list[bytes]
) -> None:
    assert outcome([body], content_type, 500) == (before, EventTooLarge)
    assert outcome(bytewise(body), content_type, 500) == (before, EventTooLarge)


# --- through the client


def client_for(
    url: str, *, gemini: bool = False, http_client: httpx.AsyncClient | None = None
) -> AIModelClient:
    provider = AIModelAPIProviderEnum.OPENAI_COMPATIBLE
    if gemini:
        provider = AIModelAPIProviderEnum.GOOGLE_AI
    api = AIModelAPI(provider=provider, api_key=KEY, config={"base_url": url})
    model = Gemini25Flash if gemini else GPT4o
    config = AIModelCallConfig(streaming=True, retries=1, timeout=10.0)
    endpoint = AIModelEndpoint(api=api, ai_model=model)
    return AIModelClient(endpoint, config, http_client=http_client)


async def answered(chunks: list[bytes], kind: str, *, gemini: bool = False) -> list[Item]:
    """What a client has of a body that comes in these pieces."""

    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        body = b"".join(chunks)
        await stream.send(http_response(body, kind=kind)[: -len(body)])
        for chunk in chunks:
            await stream.send(chunk)

    async with peer(answer) as server, client_for(server.url, gemini=gemini) as client:
        return await read(await client.generate_async(prompt="Hi"))


def a_line(content: str, **fields: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    line = {"model": "m", "message": message, "done": False, **fields}
    return json.dumps(line).encode() + b"\n"


def a_chunk(text: str) -> bytes:
    part = {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}]}
    return b"data: %b\r\n\r\n" % json.dumps(part).encode()


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_lines_of_json_are_streamed(size: int) -> None:
    body = a_line("Hel") + a_line("lo") + a_line("", done=True, done_reason="stop", eval_count=2)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    items = await answered(pieces, NDJSON)
    assert (text_of(items), is_complete(items)) == ("Hello", True)
    answer = items[-1][1].chat_response
    assert answer.choices[0].native_finish_reason == "stop"
    assert answer.usage.completion_tokens == 2


async def test_lines_of_json_without_the_last_one_are_a_truncated_answer() -> None:
    items = await answered([a_line("Hello"), a_line("", done=True)[:-20]], NDJSON)
    assert (text_of(items), error_type(items)) == ("Hello", "TruncatedStream")


async def test_an_error_among_lines_of_json_comes_after_what_was_said() -> None:
    items = await answered([a_line("Hello"), b'{"error":"out of memory"}\n'], NDJSON)
    assert text_of(items) == "Hello"
    assert error_of(items)["message"].endswith("out of memory")


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("wrap", [b"%b", b"[%b]\n", b"%b\n\n"])
async def test_an_error_in_plain_json_after_events_is_not_lost(wrap: bytes, size: int) -> None:
    error = {"error": {"code": 503, "message": "overloaded now", "status": "UNAVAILABLE"}}
    body = a_chunk("Hello") + wrap % json.dumps(error, indent=2).encode()
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    items = await answered(pieces, SSE, gemini=True)
    assert text_of(items) == "Hello"
    facts = error_of(items)
    assert facts["error_type"] == "OverloadedError"
    assert facts["http_status"] == 503
    assert "overloaded now" in facts["message"]


# --- recorded answers


async def replayed(recording: Recording, *, gemini: bool = False) -> list[Item]:
    """What a client has of a recorded body, cut at random, with its content type."""
    kind = recording.meta["content_type"] or NDJSON

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in at_random(recording.body, recording.id):
                yield chunk

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": kind}, stream=Body())

    transport = httpx.MockTransport(answer)
    async with (
        httpx.AsyncClient(transport=transport) as http,
        client_for("http://replay", gemini=gemini, http_client=http) as client,
    ):
        return await read(await client.generate_async(prompt="Hi"))


@needs_corpus
async def test_all_recorded_lines_of_ollama_are_streamed() -> None:
    recordings = [r for r in streams("other") if r.meta["sub_dialect"] == "ollama-ndjson"]
    assert len(recordings) == 31
    for recording in recordings:
        items = await replayed(recording)
        lines: list[dict[str, Any]] = [json.loads(text) for text in recording.body.splitlines()]
        said = [line.get("message") or {"content": line["response"]} for line in lines]
        assert is_complete(items), recording
        assert text_of(items) == "".join(one["content"] for one in said), recording
        answer = items[-1][1].chat_response
        assert answer.usage.completion_tokens == lines[-1]["eval_count"]
        assert len(answer.tools()) == sum(len(one.get("tool_calls") or ()) for one in said)


@needs_corpus
async def test_all_recorded_lists_of_gemini_are_answers() -> None:
    recordings = [r for r in streams("other") if r.meta["sub_dialect"] == "gemini-json-array"]
    assert len(recordings) == 20
    for recording in recordings:
        items = await replayed(recording, gemini=True)
        chunks: list[dict[str, Any]] = json.loads(recording.body)
        parts = [
            part
            for chunk in chunks
            for candidate in chunk.get("candidates", ())
            for part in candidate["content"].get("parts", ())
        ]
        assert is_complete(items), recording
        answer = items[-1][1].chat_response
        thoughts, words = (
            "".join(p.get("text", "") for p in parts if p.get("thought", False) is thought)
            for thought in (True, False)
        )
        assert (text_of(items), answer.reasoning() or "") == (words, thoughts), recording
        assert [(call.name, call.arguments) for call in answer.tools()] == [
            (part["functionCall"]["name"], part["functionCall"]["args"])
            for part in parts
            if "functionCall" in part
        ]
