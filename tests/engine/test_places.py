"""Answers of Bedrock and Vertex AI through the whole stack; requests signed as they are sent."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from engine.support import END, HELLO, START, STOP, WHOLE, error_of, is_complete, read, text_of

from dhenara_stream import AIModelClient
from dhenara_stream.core.aws_eventstream import encode_frame
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45
from dhenara_stream.types.genai.foundation_models.google.chat import Gemini25Flash

Reply = Callable[[httpx.Request], httpx.Response]

EVENT_STREAM = {"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "r-1"}
MODEL = ClaudeHaiku45.clone("us.anthropic.claude-haiku-4-5-20251001-v1:0")
MESSAGE = json.dumps(
    {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "x",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
)


def frame(kind: str, name: str, payload: bytes) -> bytes:
    """An event, or an exception, of that name."""
    return encode_frame({":message-type": kind, f":{kind}-type": name}, payload)


def frames(*events: str) -> bytes:
    payloads = ({"bytes": base64.b64encode(event.encode()).decode()} for event in events)
    return b"".join(frame("event", "chunk", json.dumps(p).encode()) for p in payloads)


THROTTLED = frame("exception", "throttlingException", b'{"message":"Too many tokens"}')


def bedrock(reply: Reply, *, is_async: bool = True, **settings: Any) -> AIModelClient:
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.AMAZON_BEDROCK,
        credentials={"access_key_id": "AKIDEXAMPLE", "secret_access_key": "canary/secret"},
        config={"region": "us-east-1"},
    )
    return client_of(api, reply, is_async=is_async, **settings)


def vertex(source: Callable[[], str], reply: Reply, **settings: Any) -> AIModelClient:
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.GOOGLE_VERTEX_AI,
        credentials={"token_provider": source},
        config={"project_id": "p", "location": "global"},
    )
    return client_of(api, reply, **settings)


def client_of(
    api: AIModelAPI, reply: Reply, *, is_async: bool = True, model: Any = MODEL, **settings: Any
) -> AIModelClient:
    config = AIModelCallConfig(**{"streaming": True, "retry_delay": 0.0, **settings})
    return AIModelClient(
        AIModelEndpoint(api=api, ai_model=model),
        config,
        is_async,
        http_client=httpx.AsyncClient(transport=httpx.MockTransport(reply)),
    )


# --- Bedrock


async def test_a_bedrock_answer() -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, headers=EVENT_STREAM, content=frames(START, HELLO, END, STOP))

    response = await bedrock(reply).generate_async("Hi")
    items = await read(response)

    assert text_of(items) == "Hello"
    assert is_complete(items)
    answer = items[-1][1].chat_response
    assert answer.text() == "Hello"
    assert answer.usage.prompt_tokens == 3
    assert response.status is not None
    assert response.status.request_id == "r-1"
    (request,) = seen
    model = b"us.anthropic.claude-haiku-4-5-20251001-v1:0"
    assert request.url.raw_path == b"/model/%b/invoke-with-response-stream" % model
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")


async def test_a_bedrock_answer_that_is_not_streamed() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        assert request.url.path.endswith("/invoke")
        return httpx.Response(200, json=json.loads(MESSAGE))

    response = await bedrock(reply, streaming=False).generate_async("Hi")
    assert response.chat_response is not None
    assert response.chat_response.text() == "Hello"


def test_a_bedrock_answer_without_an_event_loop() -> None:
    body = frames(START, HELLO, END, STOP)
    with bedrock(
        lambda request: httpx.Response(200, headers=EVENT_STREAM, content=body), is_async=False
    ) as client:
        items = list(client.generate("Hi").stream_generator)
    assert text_of(items) == "Hello"
    assert is_complete(items)


async def test_each_attempt_is_signed_anew() -> None:
    dates: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        dates.append(request.headers["x-amz-date"])
        if len(dates) == 1:
            time.sleep(1.1)  # the date has no fractions
            return httpx.Response(200, headers=EVENT_STREAM, content=THROTTLED)
        return httpx.Response(200, headers=EVENT_STREAM, content=frames(START, HELLO, END, STOP))

    items = await read(await bedrock(reply).generate_async("Hi"))
    assert is_complete(items)
    assert len(set(dates)) == 2


async def test_an_exception_within_a_bedrock_answer() -> None:
    body = frames(START, HELLO) + THROTTLED

    def reply(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=EVENT_STREAM, content=body)

    items = await read(await bedrock(reply).generate_async("Hi"))
    error = error_of(items)
    assert text_of(items) == "Hello"
    assert (error["error_type"], error["http_status"]) == ("RateLimitError", 429)
    assert "Too many tokens" in error["message"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (frames(START, HELLO), "TruncatedStream"),
        (frames(START, HELLO) + frames(STOP)[:-1], "TruncatedStream"),
        (frames(START, HELLO) + b"\xff" * 20, "ProtocolError"),
        (b"", "TruncatedStream"),
    ],
    ids=["no end", "half a frame", "no frame", "nothing"],
)
async def test_a_bedrock_answer_that_breaks_off(body: bytes, error: str) -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=EVENT_STREAM, content=body)

    items = await read(await bedrock(reply, retries=1).generate_async("Hi"))
    assert error_of(items)["error_type"] == error
    assert text_of(items) == ("Hello" if body else "")


async def test_bedrock_refuses() -> None:
    headers = {"x-amzn-errortype": "AccessDeniedException:http://x", "x-amzn-requestid": "r-2"}

    def reply(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403, headers=headers, json={"message": "No access"})

    error = error_of(await read(await bedrock(reply).generate_async("Hi")))
    assert error["error_type"] == "AuthenticationError"
    assert (error["code"], error["request_id"]) == ("AccessDeniedException", "r-2")


# --- Vertex AI


async def test_a_vertex_answer_of_claudes() -> None:
    threads: list[int] = []

    def source() -> str:
        threads.append(threading.get_ident())
        return "token"

    def reply(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer token"
        assert request.url.path.endswith(":streamRawPredict")
        ping = b'event: vertex_event\ndata: {"type":"ping"}\n\n'
        kind = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=kind, content=ping + WHOLE)

    items = await read(await vertex(source, reply).generate_async("Hi"))
    assert text_of(items) == "Hello"
    assert is_complete(items)
    assert threads != [threading.get_ident()]


async def test_a_vertex_answer_of_geminis() -> None:
    chunk = {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}
        ],
        "usageMetadata": {
            "promptTokenCount": 3,
            "candidatesTokenCount": 2,
            "totalTokenCount": 5,
            "trafficType": "ON_DEMAND",
        },
    }

    def reply(request: httpx.Request) -> httpx.Response:
        assert request.url.query == b"alt=sse"
        body = f"data: {json.dumps(chunk)}\r\n\r\n"
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=body)

    client = vertex(lambda: "token", reply, model=Gemini25Flash)
    items = await read(await client.generate_async("Hi"))
    assert text_of(items) == "Hello"
    assert is_complete(items)


async def test_vertex_refuses_in_a_list() -> None:
    told = {"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED"}

    def reply(request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, json=[{"error": told}])

    items = await read(await vertex(lambda: "token", reply, retries=1).generate_async("Hi"))
    error = error_of(items)
    assert (error["error_type"], error["code"]) == ("RateLimitError", "RESOURCE_EXHAUSTED")


# --- the signer


async def test_a_token_that_a_server_echoes_is_not_shown() -> None:
    token = "canary-0123456789-token"

    def reply(request: httpx.Request) -> httpx.Response:
        said = request.headers["authorization"]
        return httpx.Response(400, json={"error": {"message": f"odd: {said}"}})

    error = error_of(await read(await vertex(lambda: token, reply).generate_async("Hi")))
    assert error["http_status"] == 400
    assert token not in repr(error)


async def test_a_signer_that_fails_is_an_error_of_the_stream() -> None:
    def source() -> str:
        raise ValueError("no luck")

    def reply(request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing is sent")

    error = error_of(await read(await vertex(source, reply).generate_async("Hi")))
    assert "ValueError: no luck" in error["message"]


async def test_the_deadline_holds_while_a_signer_waits() -> None:
    released = threading.Event()

    def source() -> str:
        released.wait(5)
        return "token"

    def reply(request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing is sent")

    begun = time.monotonic()
    client = vertex(source, reply, timeout=0.2)
    try:
        items = await read(await client.generate_async("Hi"))
    finally:
        released.set()
    assert error_of(items)["error_type"] == "DeadlineExceeded"
    assert time.monotonic() - begun < 3
