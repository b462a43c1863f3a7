"""The work for a stream grows with its length, and no faster: counted, not timed.

What is counted, from the bytes of the connection to the answer: each line of Python that runs, and
for each method of bytes, text or a list that is called, the length of what it is called on, since
it may walk or copy all of that. A buffer that is searched again from its beginning, or an answer
that is joined at each event, shows at once: twice the stream is then four times the work.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import FrameType
from typing import Any

import pytest

from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.http1 import ChunkedBody
from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.dialects.base import Dialect
from dhenara_stream.dialects.gemini import GeminiDialect
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect
from dhenara_stream.dialects.openai_responses import OpenAIResponsesDialect
from dhenara_stream.engine.events import BodyEvents
from dhenara_stream.types import AIModelProviderEnum

Event = dict[str, Any]
SIZED = (bytes, bytearray, str, list)


def work(function: Callable[[], object]) -> int:
    """How much work a function does; see above."""
    done = 0

    def line(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal done
        done += event == "line"
        return line

    def call(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal done
        if event == "c_call":
            on = getattr(arg, "__self__", None)
            if isinstance(on, SIZED) and arg.__name__ not in ("append", "pop", "__len__"):
                done += len(on)

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(line)
    sys.setprofile(call)
    try:
        function()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return done


# --- streams of so many pieces


def anthropic(delta: Event, block: Event, pieces: int) -> list[Event]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    return [
        {"type": "message_start", "message": {"id": "m", "model": "x", "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *[{"type": "content_block_delta", "index": 0, "delta": delta}] * pieces,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]


def anthropic_text(pieces: int, piece: str) -> list[Event]:
    return anthropic({"type": "text_delta", "text": piece}, {"type": "text", "text": ""}, pieces)


def anthropic_call(pieces: int, piece: str) -> list[Event]:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    return anthropic({"type": "input_json_delta", "partial_json": piece}, block, pieces)


def chat(delta: Event, first: Event, pieces: int) -> list[Event]:
    def chunk(delta: Event, reason: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "c", "model": "x", "choices": [choice]}

    return [chunk(first), *[chunk(delta)] * pieces, chunk({}, "stop")]


def chat_text(pieces: int, piece: str) -> list[Event]:
    return chat({"content": piece}, {"role": "assistant", "content": ""}, pieces)


def chat_call(pieces: int, piece: str) -> list[Event]:
    function = {"name": "f", "arguments": ""}
    first = {"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": function}]}
    more = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
    return chat(more, first, pieces)


def responses(item: Event, delta: Event, pieces: int) -> list[Event]:
    response = {"id": "r", "model": "x", "status": "in_progress", "output": []}
    return [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *[{"output_index": 0, "item_id": "i", **delta}] * pieces,
        {"type": "response.completed", "response": {**response, "status": "completed"}},
    ]


def responses_text(pieces: int, piece: str) -> list[Event]:
    item = {"type": "message", "id": "i", "role": "assistant", "content": []}
    delta = {"type": "response.output_text.delta", "content_index": 0, "delta": piece}
    return responses(item, delta, pieces)


def responses_call(pieces: int, piece: str) -> list[Event]:
    item = {"type": "function_call", "id": "i", "call_id": "t", "name": "f", "arguments": ""}
    return responses(
        item, {"type": "response.function_call_arguments.delta", "delta": piece}, pieces
    )


def gemini_text(pieces: int, piece: str) -> list[Event]:
    def chunk(**more: str) -> Event:
        parts = [{"text": piece}]
        candidate = {"index": 0, "content": {"role": "model", "parts": parts}, **more}
        return {"responseId": "r", "modelVersion": "x", "candidates": [candidate]}

    return [*[chunk()] * pieces, chunk(finishReason="STOP")]


STREAMS: dict[str, tuple[Dialect, Callable[[int, str], list[Event]]]] = {
    "Anthropic text": (AnthropicDialect(), anthropic_text),
    "Anthropic call": (AnthropicDialect(), anthropic_call),
    "Chat text": (OpenAIChatDialect(), chat_text),
    "Chat call": (OpenAIChatDialect(), chat_call),
    "Responses text": (OpenAIResponsesDialect(), responses_text),
    "Responses call": (OpenAIResponsesDialect(), responses_call),
    "Gemini text": (GeminiDialect(), gemini_text),
}


def body(events: Iterable[Event]) -> bytes:
    """The events on the wire, each in an HTTP chunk."""
    wires = [f"data: {json.dumps(event)}\n\n".encode() for event in (*events,)]
    return b"".join(b"%x\r\n%b\r\n" % (len(wire), wire) for wire in wires) + b"0\r\n\r\n"


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def read(dialect: Dialect, pieces: Sequence[bytes]) -> int:
    """All of an answer, as the engine reads it; how many chunks it has."""
    framing, decoder = ChunkedBody(), dialect.decoder()
    events = BodyEvents(status=200, content_type="text/event-stream", max_event_bytes=2**26)
    answer = Accumulator(AnswerFacts(model="x", provider=AIModelProviderEnum.OPEN_AI))
    chunks = 0
    for piece in pieces:
        for event in events.feed(framing.feed(piece)):
            chunks += answer.add(decoder.decode(event)) is not None
    answer.add(decoder.end())
    assert framing.ended
    assert answer.response(complete=decoder.complete, streaming=True).choices
    return chunks


def growth(dialect: Dialect, once: bytes, twice: bytes, size: int) -> float:
    """How much more work twice as long a stream is, in pieces of a size."""
    spent: list[int] = []
    for data in (once, twice):
        pieces = cut(data, size)
        spent.append(work(partial(read, dialect, pieces)))
    return spent[1] / spent[0] / (len(twice) / len(once))


@pytest.mark.parametrize("size", [65_536, 1_460, 7], ids=["as it comes", "packets", "crumbs"])
@pytest.mark.parametrize("stream", STREAMS)
def test_twice_as_many_events_are_twice_the_work(stream: str, size: int) -> None:
    dialect, made = STREAMS[stream]
    count = 60 if size == 7 else 1_500
    once, twice = (body(made(pieces, "12")) for pieces in (count, 2 * count))
    assert read(dialect, cut(twice, size)) >= 2 * count
    assert 0.85 < growth(dialect, once, twice, size) < 1.1


@pytest.mark.parametrize("stream", STREAMS)
def test_twice_as_large_an_event_is_twice_the_work(stream: str) -> None:
    dialect, made = STREAMS[stream]
    once, twice = (body(made(1, "1" * length)) for length in (200_000, 400_000))
    assert 0.85 < growth(dialect, once, twice, 1_460) < 1.1


@pytest.mark.parametrize("stream", STREAMS)
def test_each_byte_is_looked_at_a_few_times_only(stream: str) -> None:
    dialect, made = STREAMS[stream]
    large = body(made(1, "1" * 400_000))
    pieces = cut(large, 1_460)
    assert work(partial(read, dialect, pieces)) < 16 * len(large)


def test_a_reader_that_begins_anew_at_each_piece_would_be_found() -> None:
    def searching(pieces: Sequence[bytes]) -> None:
        buffer = b""
        for piece in pieces:
            buffer += piece
            buffer.find(b"\n\n")

    once, twice = (cut(b"x" * length, 100) for length in (20_000, 40_000))
    assert work(lambda: searching(twice)) > 3.5 * work(lambda: searching(once))
