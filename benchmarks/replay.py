"""The server that the benchmarks read from: answers prepared in advance, sent at a given pace.

    python -m benchmarks.replay

The prompt says what is sent (``Plan.prompt``), so that one client can ask for several answers over
one connection. Each event is an HTTP chunk of its own. Without a rate all are there at once. With
one, each stream has an event every ``1 / rate`` seconds, whose text is the time of its sending
(``time.monotonic``, which all processes of a machine share): the lag of a client is the time at
which it hands that text out, less the text. A late server does not count as a client's lag.

As a process it prints its addresses as a line of JSON, and serves until its input ends.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["CERTIFICATE", "DIALECTS", "END", "Plan", "events", "raise_file_limit", "text"]

CERTIFICATE = Path(__file__).resolve().parents[1] / "tests" / "engine" / "localhost.pem"
BACKLOG = 4096
CACHED = 8  # answers kept in memory
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
SEGMENT = 1460  # what one packet of Ethernet carries

_NO_TIME = "0000000000.000000"  # as long as every time that is sent
_MODEL = "benchmark"
_TOOL = {"id": "call_1", "name": "write"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent.

    Attributes:
        kind: ``text``, ``tool`` (a call's arguments), or ``large``: one event of text.
        size: How many deltas; of a large one how many bytes of text.
        rate: Events a second; 0 is as fast as it goes.
    """

    kind: str
    size: int
    rate: int = 0

    @property
    def prompt(self) -> str:
        """How a client asks for it."""
        return f"replay-{self.kind}-{self.size}-{self.rate}-"

    @staticmethod
    def asked(body: bytes) -> Plan:
        """What a request asks for.

        Raises:
            ValueError: If it asks for nothing.
        """
        found = re.search(rb"replay-(\w+)-(\d+)-(\d+)-", body)
        if found is None:
            raise ValueError("the request names no plan")
        return Plan(found[1].decode(), int(found[2]), int(found[3]))

    def pieces(self) -> Iterator[str]:
        """The text of each delta."""
        if self.kind == "large":
            yield "x" * self.size
        elif self.rate:
            yield from (_NO_TIME for _ in range(self.size))
        elif self.kind == "text":
            yield from (f" word{i}" for i in range(self.size))
        else:
            yield '{"words":["'
            yield from (f" word{i}" for i in range(self.size - 2))
            yield '"]}'


def text(plan: Plan) -> str:
    """All that is sent."""
    return "".join(plan.pieces())


# --- the dialects


def _data(value: Any) -> str:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n"


def _named(value: Mapping[str, Any]) -> bytes:
    return f"event: {value['type']}\n{_data(value)}".encode()


def _anthropic(plan: Plan) -> Iterator[bytes]:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": _MODEL,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 1},
    }
    block: dict[str, Any] = {"type": "text", "text": ""}
    kind, field, reason = "text_delta", "text", "end_turn"
    if plan.kind == "tool":
        block = {"type": "tool_use", **_TOOL, "input": {}}
        kind, field, reason = "input_json_delta", "partial_json", "tool_use"
    yield _named({"type": "message_start", "message": message})
    yield _named({"type": "content_block_start", "index": 0, "content_block": block})
    for piece in plan.pieces():
        delta = {"type": kind, field: piece}
        yield _named({"type": "content_block_delta", "index": 0, "delta": delta})
    yield _named({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": reason, "stop_sequence": None}
    usage = {"output_tokens": plan.size}
    yield _named({"type": "message_delta", "delta": stop, "usage": usage})
    yield _named({"type": "message_stop"})


def _openai_chat(plan: Plan) -> Iterator[bytes]:
    def chunk(choices: Sequence[Any], **more: Any) -> bytes:
        value = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": _MODEL,
            "choices": choices,
            **more,
        }
        return _data(value).encode()

    def choice(delta: Mapping[str, Any], finish: str | None = None) -> list[Any]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    first: dict[str, Any] = {"role": "assistant", "content": ""}
    if plan.kind == "tool":
        function = {"name": _TOOL["name"], "arguments": ""}
        call = {"index": 0, "id": _TOOL["id"], "type": "function", "function": function}
        first = {"role": "assistant", "content": None, "tool_calls": [call]}
    yield chunk(choice(first))
    for piece in plan.pieces():
        arguments = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        yield chunk(choice(arguments if plan.kind == "tool" else {"content": piece}))
    yield chunk(choice({}, "tool_calls" if plan.kind == "tool" else "stop"))
    usage = {"prompt_tokens": 12, "completion_tokens": plan.size, "total_tokens": 12 + plan.size}
    yield chunk([], usage=usage)
    yield b"data: [DONE]\n\n"


DIALECTS: dict[str, Callable[[Plan], Iterator[bytes]]] = {
    "anthropic": _anthropic,
    "openai_chat": _openai_chat,
}
_PATHS = {b"/messages": "anthropic", b"/chat/completions": "openai_chat"}


def events(dialect: str, plan: Plan) -> list[bytes]:
    """The events of an answer."""
    return list(DIALECTS[dialect](plan))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@lru_cache(CACHED)
def _burst(dialect: str, plan: Plan) -> bytes:
    """A whole response."""
    parts = events(dialect, plan)
    if plan.kind == "large":
        body = b"".join(parts)
        parts = [body[at : at + SEGMENT] for at in range(0, len(body), SEGMENT)]
    return b"".join([HEAD, *map(_chunk, parts), END])


@lru_cache(CACHED)
def _paced(dialect: str, plan: Plan) -> tuple[bytes, bytes, bytes, bytes]:
    """A response's start, its deltas before and after the time, and its end."""
    chunks = b"".join(map(_chunk, events(dialect, replace(plan, size=1))))
    before, after = chunks.split(_NO_TIME.encode())
    first, last = before.rfind(b"\r\n", 0, before.rfind(b"\r\n")) + 2, after.find(b"\r\n") + 2
    return HEAD + before[:first], before[first:], after[:last], after[last:] + END


# --- serving


class _Connection(asyncio.Protocol):
    """Answers one request after the other."""

    def __init__(self, paces: dict[int, _Pace]) -> None:
        self._paces = paces
        self._received = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if length is None or len(body) < int(length[1]):
            return
        self._received = b""
        path = head.split(b" ", 2)[1]
        dialect = next(name for end, name in _PATHS.items() if path.endswith(end))
        plan = Plan.asked(body)
        if not plan.rate:
            self.transport.write(_burst(dialect, plan))
            return
        pace = self._paces.setdefault(plan.rate, _Pace(plan.rate))
        pace.add(self.transport, plan.size, *_paced(dialect, plan))


@dataclass(slots=True)
class _Stream:
    """A paced stream under way."""

    due: float
    left: int
    transport: asyncio.Transport
    before: bytes
    after: bytes
    end: bytes


class _Pace:
    """All streams of one rate: in the order in which they are due, which never changes."""

    def __init__(self, rate: int) -> None:
        self._interval = 1 / rate
        self._streams: deque[_Stream] = deque()

    def add(
        self,
        transport: asyncio.Transport,
        size: int,
        start: bytes,
        before: bytes,
        after: bytes,
        end: bytes,
    ) -> None:
        """Begin a stream; its first delta is due in one interval."""
        transport.write(start)
        due = time.monotonic() + self._interval
        self._streams.append(_Stream(due, size, transport, before, after, end))
        if len(self._streams) == 1:
            self._wait()

    def _wait(self) -> None:
        # The loop's clock is time.monotonic.
        asyncio.get_running_loop().call_at(self._streams[0].due, self._send)

    def _send(self) -> None:
        streams, now = self._streams, time.monotonic()
        while streams and streams[0].due <= now:
            stream = streams.popleft()
            if stream.transport.is_closing():
                continue
            now = time.monotonic()
            stream.transport.write(b"%b%017.6f%b" % (stream.before, now, stream.after))
            stream.left -= 1
            if stream.left:
                stream.due += self._interval
                streams.append(stream)
            else:
                stream.transport.write(stream.end)
        if streams:
            self._wait()


def raise_file_limit() -> None:
    """As many open files as this user may have: each stream is one."""
    with suppress(ImportError):  # not on Windows
        import resource

        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def serve() -> None:
    """Serve, with and without TLS."""
    loop = asyncio.get_running_loop()
    paces: dict[int, _Pace] = {}
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    urls: dict[str, str] = {}
    for scheme, secure in (("http", None), ("https", context)):
        server = await loop.create_server(
            lambda: _Connection(paces), "127.0.0.1", 0, ssl=secure, backlog=BACKLOG
        )
        urls[scheme] = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(json.dumps(urls), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # its end is that of who started this


if __name__ == "__main__":
    raise_file_limit()
    sys.exit(asyncio.run(serve()))
