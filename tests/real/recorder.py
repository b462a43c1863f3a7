"""What a server really sent: the bodies, byte for byte, and what they say by the plainest reading.

The reading shares nothing with the client: lines, JSON, and the fields that the protocol names.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx


class _Tee(httpx.AsyncByteStream):
    """A body that is written down as it is read."""

    def __init__(self, stream: httpx.AsyncByteStream, body: bytearray) -> None:
        self._stream = stream
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._body += piece
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class Recorder(httpx.AsyncBaseTransport):
    """Sends requests, each over a connection of its own, and keeps the bodies of the answers."""

    def __init__(self) -> None:
        # No connection outlives its answer, so there is nothing to be closed at the end.
        self._transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))
        self.bodies: list[bytearray] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self.bodies.append(bytearray())
        return httpx.Response(
            status_code=response.status_code,
            headers=response.headers,
            stream=_Tee(response.stream, self.bodies[-1]),
            extensions=response.extensions,
        )

    def client(self) -> httpx.AsyncClient:
        """A client that sends through this."""
        return httpx.AsyncClient(transport=self)


def events(body: bytes | bytearray) -> list[dict[str, Any]]:
    """The JSON of each event, in order."""
    lines = [line[5:].strip() for line in bytes(body).split(b"\n") if line.startswith(b"data:")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


@dataclass
class Said:
    """What a body says.

    Attributes:
        prompt_tokens: ``None`` if it does not say.
    """

    text: str = ""
    finish: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


def read_messages(body: bytes | bytearray) -> Said:
    """An answer of Anthropic's protocol."""
    said = Said()
    for event in events(body):
        if event["type"] == "message_start":
            usage = event["message"]["usage"]
            said.prompt_tokens = usage["input_tokens"] + usage.get("cache_read_input_tokens", 0)
        elif event["type"] == "content_block_delta":
            said.text += event["delta"].get("text", "")
        elif event["type"] == "message_delta":
            said.finish = event["delta"]["stop_reason"]
            said.completion_tokens = event["usage"]["output_tokens"]
    return said


def read_chat(body: bytes | bytearray) -> Said:
    """An answer of Chat Completions."""
    said = Said()
    for event in events(body):
        for choice in event["choices"]:
            said.text += choice["delta"].get("content") or ""
            said.finish = choice["finish_reason"] or said.finish
        if usage := event.get("usage"):
            said.prompt_tokens = usage["prompt_tokens"]
            said.completion_tokens = usage["completion_tokens"]
    return said


def read_responses(body: bytes | bytearray) -> Said:
    """An answer of OpenAI's Responses."""
    said = Said()
    for event in events(body):
        if event["type"] == "response.output_text.delta":
            said.text += event["delta"]
        elif event["type"] == "response.completed":
            response = event["response"]
            said.finish = response["status"]
            said.prompt_tokens = response["usage"]["input_tokens"]
            said.completion_tokens = response["usage"]["output_tokens"]
    return said


def read_gemini(body: bytes | bytearray) -> Said:
    """An answer of Gemini's."""
    said = Said()
    for event in events(body):
        for candidate in event["candidates"]:
            parts = candidate["content"]["parts"]
            said.text += "".join(part.get("text", "") for part in parts if not part.get("thought"))
            said.finish = candidate.get("finishReason", said.finish)
        if usage := event.get("usageMetadata"):
            said.prompt_tokens = usage["promptTokenCount"]
            said.completion_tokens = usage["candidatesTokenCount"]
    return said


READERS = {
    "messages": read_messages,
    "chat": read_chat,
    "responses": read_responses,
    "gemini": read_gemini,
}
