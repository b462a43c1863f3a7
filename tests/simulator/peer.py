"""A client that sees bytes: what a test says to a simulator, and how it reads what comes back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio
import anyio.abc
import msgspec

from dhenara_stream.simulator import (
    Answer,
    RawBlock,
    RedactedThinking,
    Simulator,
    Text,
    Thinking,
    ToolCall,
    Usage,
)

MODEL = "claude-haiku-4-5"
HEADERS = {
    "host": "simulator",
    "x-api-key": "sk-test",
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
}

EVERYTHING = Answer(
    Thinking("Let me see."),
    RedactedThinking("b3BhcXVl"),
    Text("Hello there", citations=[{"type": "char_location", "cited_text": "Hello"}]),
    ToolCall("get_time", {"zone": "Europe/Berlin"}),
    ToolCall("now", id="toolu_mine"),
    RawBlock(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        [{"type": "input_json_delta", "partial_json": '{"query":"x"}'}],
        {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "web_search",
            "input": {"query": "x"},
        },
    ),
    usage=Usage(cache_read_tokens=7, extra={"server_tool_use": {"web_search_requests": 1}}),
)
SCRIPT = Answer(
    Thinking("Let me think about it."),
    Text("The weather, then."),
    ToolCall("get_weather", {"city": "Paris"}, id="toolu_1"),
    usage=Usage(input_tokens=11, output_tokens=22, cache_read_tokens=33),
)
WEATHER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 3},
    },
    "required": ["city", "unit", "days"],
}


def body(prompt: str = "Hi", **fields: Any) -> dict[str, Any]:
    """A valid request body; fields given as ``...`` are left out."""
    messages = [{"role": "user", "content": prompt}]
    whole = {"model": MODEL, "max_tokens": 2000, "stream": True, "messages": messages, **fields}
    return {name: value for name, value in whole.items() if value is not ...}


def request(
    content: dict[str, Any] | bytes | None = None,
    *,
    method: str = "POST",
    path: str = "/v1/messages",
    close: bool = True,
    **headers: str | None,
) -> bytes:
    """A request's bytes; a header given as ``None`` is left out."""
    data = content if isinstance(content, bytes) else msgspec.json.encode(content or body())
    all_headers: dict[str, str | None] = {**HEADERS, "content-length": str(len(data))}
    all_headers |= {"connection": "close"} if close else {}
    all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in all_headers.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + data


@dataclass
class Reply:
    """What came back, taken apart.

    ``end`` says how the connection ended, ``complete`` whether the body did.
    """

    raw: bytes
    end: Literal["closed", "reset"]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    chunks: list[bytes] = field(default_factory=list[bytes])
    complete: bool = False

    def __post_init__(self) -> None:
        head, found, rest = self.raw.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = dict(line.split(": ", 1) for line in lines)
        if "transfer-encoding" in self.headers:
            self._read_chunks(rest)
        else:
            self.chunks = [rest]
            self.complete = len(rest) == int(self.headers.get("content-length", 0))

    def _read_chunks(self, rest: bytes) -> None:
        while match := re.match(rb"([0-9a-f]+)\r\n", rest):
            size, start = int(match[1], 16), match.end()
            chunk, rest = rest[start : start + size], rest[start + size + 2 :]
            if not size:
                self.complete = True
                return
            self.chunks.append(chunk)

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, type and message of an error."""
        return self.status, self.json["error"]["type"], self.json["error"]["message"]

    @property
    def events(self) -> list[dict[str, Any]]:
        return events(self.body)

    @property
    def kinds(self) -> list[str]:
        """The events' types, the deltas' own types for deltas."""
        return kinds(self.events)

    @property
    def text(self) -> str:
        return text(self.events)


def events(stream: bytes) -> list[dict[str, Any]]:
    """The whole events of a stream, each checked to carry its name twice."""
    found: list[dict[str, Any]] = []
    for frame in stream.split(b"\n\n")[:-1]:
        match = re.fullmatch(rb"event: (\w+)\ndata: (.*)", frame)
        assert match, frame
        found.append(msgspec.json.decode(match[2]))
        assert found[-1]["type"] == match[1].decode()
    return found


def kinds(found: Iterable[dict[str, Any]]) -> list[str]:
    return [event.get("delta", {}).get("type") or event["type"] for event in found]


def text(found: Iterable[dict[str, Any]]) -> str:
    return "".join(event.get("delta", {}).get("text", "") for event in found)


async def connect(sim: Simulator) -> anyio.abc.SocketStream:
    url = urlsplit(sim.url)
    assert url.hostname is not None
    assert url.port is not None
    return await anyio.connect_tcp(url.hostname, url.port)


async def read_to_end(stream: anyio.abc.ByteReceiveStream) -> Reply:
    """Everything until the connection ends."""
    raw = b""
    try:
        while True:
            raw += await stream.receive()
    except anyio.EndOfStream:
        return Reply(raw, "closed")
    except anyio.BrokenResourceError:
        return Reply(raw, "reset")


async def read_until(stream: anyio.abc.ByteReceiveStream, mark: bytes) -> bytes:
    """Everything up to a mark, and what came with it."""
    raw = b""
    while mark not in raw:
        raw += await stream.receive()
    return raw


async def is_silent(stream: anyio.abc.ByteReceiveStream) -> bool:
    """Whether nothing comes for some milliseconds, not even an end."""
    with anyio.move_on_after(0.02):
        await stream.receive()
        return False
    return True


async def talk(sim: Simulator, data: bytes | None = None) -> Reply:
    """Send a request over a connection of its own, read until the connection ends."""
    async with await connect(sim) as stream:
        await stream.send(data or request())
        return await read_to_end(stream)
