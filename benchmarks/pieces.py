"""Framing, decoding, and the noting of times alone, one event per chunk: nanoseconds per event.

python -m benchmarks.pieces ROUNDS
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks.floor import EVENTS, Framer
from benchmarks.replay import Plan, events
from dhenara_stream.core.sse import ServerSentEvent, SSEDecoder
from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.dialects.base import StreamDecoder
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect
from dhenara_stream.types.genai.dhenara.response import CallTiming

__all__ = ["measured"]

COUNT = 5000

Work = Callable[[Sequence[bytes]], None]


def _split(chunks: Sequence[bytes]) -> None:
    for chunk in chunks:
        chunk.split(b"\n\n")


def _floor_framer(chunks: Sequence[bytes]) -> None:
    feed = Framer().feed
    for chunk in chunks:
        feed(chunk)


def _our_framer(chunks: Sequence[bytes]) -> None:
    feed = SSEDecoder().feed
    for chunk in chunks:
        feed(chunk)


def _httpx_sse_framer(chunks: Sequence[bytes]) -> None:
    import httpx
    import httpx_sse

    response = httpx.Response(
        200, headers={"content-type": "text/event-stream"}, content=iter(chunks)
    )
    for _ in httpx_sse.EventSource(response).iter_sse():
        pass


def _anthropic_framer(chunks: Sequence[bytes]) -> None:
    from anthropic._streaming import SSEDecoder as Decoder

    for _ in Decoder().iter_bytes(iter(chunks)):
        pass


def _openai_framer(chunks: Sequence[bytes]) -> None:
    from openai._streaming import SSEDecoder as Decoder

    for _ in Decoder().iter_bytes(iter(chunks)):
        pass


FRAMERS: dict[str, Work] = {
    "split": _split,
    "floor": _floor_framer,
    "dhenara_stream": _our_framer,
    "httpx-sse": _httpx_sse_framer,
    "anthropic": _anthropic_framer,
    "openai": _openai_framer,
}


def _decoders(dialect: str) -> Iterator[tuple[str, Callable[[bytes], object]]]:
    yield "msgspec", EVENTS[dialect].decode
    yield "json.loads", json.loads
    ours = AnthropicDialect() if dialect == "anthropic" else OpenAIChatDialect()
    decoder: StreamDecoder = ours.decoder()
    yield "dhenara_stream", lambda data: decoder.decode(ServerSentEvent(data))


def _decode_all(decode: Callable[[bytes], object], data: Sequence[bytes]) -> None:
    for event in data:
        decode(event)


def _note_times(chunks: Sequence[bytes]) -> None:
    """What ``status.timing`` takes of an event that comes alone."""
    timing, last = CallTiming(), time.monotonic()
    for chunk in chunks:
        now = time.monotonic()
        timing.bytes_received += len(chunk)
        timing.events_received += 1
        timing.chunk_gaps.add(now - last)
        last = now


def measured(rounds: int, count: int = COUNT) -> list[dict[str, Any]]:
    """A row for each way."""
    rows: list[dict[str, Any]] = []
    for dialect, title in (("anthropic", "Anthropic"), ("openai_chat", "OpenAI chat")):
        chunks = events(dialect, Plan("text", count))[2:-3]
        data = Framer().feed(b"".join(chunks))
        works = [
            (f"framing, {title}", name, partial(work, chunks)) for name, work in FRAMERS.items()
        ]
        works += [
            (f"decoding, {title}", name, partial(_decode_all, decode, data))
            for name, decode in _decoders(dialect)
        ]
        works.append((f"timing, {title}", "dhenara_stream", partial(_note_times, chunks)))
        spent: dict[tuple[str, str], list[float]] = {}
        for _, _, work in works:
            work()  # which imports what it needs
        for _ in range(rounds):
            for case, name, work in works:
                begun = time.process_time()
                work()
                spent.setdefault((case, name), []).append(time.process_time() - begun)
        rows += [
            {"case": case, "client": name, "ns": statistics.median(times) / len(chunks) * 1e9}
            for (case, name), times in spent.items()
        ]
    return rows


if __name__ == "__main__":
    json.dump(measured(int(sys.argv[1])), sys.stdout)
