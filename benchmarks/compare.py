"""What one event of a stream costs, beside the peers: CPU per event, as figures and as ratios.

    python benchmarks/compare.py [--events 20000] [--rounds 5] [--markdown]

A replay server in its own process sends an Anthropic answer of many small text deltas, one event
per HTTP chunk, as fast as it goes. Each client runs in a process of its own, in interleaved
rounds; what counts is ``time.process_time`` from the request to the last item, per event, as the
median over the rounds. Read the ratios: machines differ, and this one may be busy.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import multiprocessing
import platform
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

Client = Callable[[str, int], Awaitable[int]]


# --- the server


def answer(events: int) -> bytes:
    """The HTTP response: one chunk an event."""
    start = {
        "type": "message_start",
        "message": {
            "id": "msg_bench",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 12, "output_tokens": 1},
        },
    }
    block = {"type": "content_block_start", "index": 0, "content_block": _EMPTY}
    parts = [_event(start), _event(block)]
    parts += [_event(_delta(f" word{i}")) for i in range(events)]
    parts += [
        _event({"type": "content_block_stop", "index": 0}),
        _event({"type": "message_delta", "delta": _STOP, "usage": {"output_tokens": events}}),
        _event({"type": "message_stop"}),
    ]
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return _HEAD + body + b"0\r\n\r\n"


_EMPTY = {"type": "text", "text": ""}
_STOP = {"stop_reason": "end_turn", "stop_sequence": None}
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _delta(text: str) -> Mapping[str, object]:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def _event(data: Mapping[str, object]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


def serve(ready: Connection, events: int) -> None:
    """Send the same answer to whoever asks."""
    whole = answer(events)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        await reader.readexactly(length)
        writer.write(whole)
        await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, family=socket.AF_INET)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


# --- the clients: each returns how many events or chunks it handed out


def _client(url: str, *, is_async: bool) -> Any:
    from dhenara_stream import AIModelClient
    from dhenara_stream.types import (
        AIModelAPI,
        AIModelAPIProviderEnum,
        AIModelCallConfig,
        AIModelEndpoint,
    )
    from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45

    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC,
        api_key="sk-benchmark",
        config={"base_url": url},
    )
    endpoint = AIModelEndpoint(api=api, ai_model=ClaudeHaiku45)
    return AIModelClient(endpoint, AIModelCallConfig(streaming=True), is_async=is_async)


async def dhenara_stream(url: str, events: int) -> int:
    """Decoded, accumulated, handed out as typed chunks, with the consolidated answer."""
    count = 0
    async with _client(url, is_async=True) as client:
        response = await client.generate_async(prompt="go")
        async for _item in response.stream_generator:
            count += 1
    return count


async def dhenara_stream_sync(url: str, events: int) -> int:
    """The same through the thread bridge."""
    with _client(url, is_async=False) as client:
        return sum(1 for _ in client.generate(prompt="go").stream_generator)


async def anthropic_create(url: str, events: int) -> int:
    """The official SDK's raw events; nothing is accumulated."""
    import anthropic

    count = 0
    async with anthropic.AsyncAnthropic(api_key="sk-benchmark", base_url=url) as client:
        stream = await client.messages.create(**_ASKED, stream=True)
        async for _event in stream:
            count += 1
    return count


async def anthropic_stream(url: str, events: int) -> int:
    """The official SDK's helper, which accumulates as this library does."""
    import anthropic

    count = 0
    async with (
        anthropic.AsyncAnthropic(api_key="sk-benchmark", base_url=url) as client,
        client.messages.stream(**_ASKED) as stream,
    ):
        async for _event in stream:
            count += 1
        await stream.get_final_message()
    return count


async def httpx_sse_json(url: str, events: int) -> int:
    """The usual loop by hand: httpx-sse and json, nothing accumulated."""
    count = 0
    async for data in _httpx_sse(url):
        json.loads(data)
        count += 1
    return count


async def httpx_raw(url: str, events: int) -> int:
    """The floor under httpx: bytes, nothing decoded."""
    import httpx

    async with (
        httpx.AsyncClient() as client,
        client.stream("POST", f"{url}/v1/messages", json={}) as response,
    ):
        async for _data in response.aiter_raw():
            pass
    return events


async def _httpx_sse(url: str) -> AsyncIterator[str]:
    import httpx
    import httpx_sse

    async with (
        httpx.AsyncClient() as client,
        httpx_sse.aconnect_sse(client, "POST", f"{url}/v1/messages", json={}) as source,
    ):
        async for event in source.aiter_sse():
            yield event.data


_ASKED: Any = {
    "model": "claude-haiku-4-5",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "go"}],
}

CLIENTS: dict[str, Client] = {
    "httpx, bytes only": httpx_raw,
    "dhenara_stream, async": dhenara_stream,
    "dhenara_stream, sync": dhenara_stream_sync,
    "httpx-sse + json": httpx_sse_json,
    "anthropic create(stream=True)": anthropic_create,
    "anthropic .stream()": anthropic_stream,
}


# --- measuring


def run_client(name: str, url: str, events: int, result: Connection) -> None:
    """One client, one stream: send its CPU seconds."""
    client = CLIENTS[name]

    async def measured() -> float:
        begun = time.process_time()
        handed_out = await client(url, events)
        spent = time.process_time() - begun
        assert handed_out >= events, f"{name} handed out {handed_out} of {events}"
        return spent

    # The first stream imports what the client needs, and does not count.
    asyncio.run(measured())
    result.send(asyncio.run(measured()))


@contextmanager
def server(events: int) -> Iterator[str]:
    """The replay server's address."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, events), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def measure(events: int, rounds: int) -> dict[str, float]:
    """Median CPU microseconds per event of each client."""
    context = multiprocessing.get_context("spawn")
    spent: dict[str, list[float]] = {name: [] for name in CLIENTS}
    with server(events) as url:
        for _ in range(rounds):
            for name in CLIENTS:
                here, there = context.Pipe()
                process = context.Process(target=run_client, args=(name, url, events, there))
                process.start()
                there.close()
                spent[name].append(here.recv())
                process.join()
    return {name: statistics.median(times) / events * 1e6 for name, times in spent.items()}


def report(costs: dict[str, float], events: int, rounds: int) -> str:
    """A Markdown table, ratios first."""
    ours = costs["dhenara_stream, async"]
    lines = ["| client | times ours | us CPU per event |", "|---|---|---|"]
    lines += [f"| {name} | {cost / ours:.1f} | {cost:.1f} |" for name, cost in costs.items()]
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("anthropic", "httpx", "httpx-sse")
    )
    lines.append(
        f"\n{events:,} text deltas, one per HTTP chunk, median of {rounds} interleaved rounds; "
        f"Python {platform.python_version()}, {versions}."
    )
    return "\n".join(lines)


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(report(measure(options.events, options.rounds), options.events, options.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
