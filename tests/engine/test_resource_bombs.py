"""Answers that are made to take all memory or all time: reliability.md, rows 47, 48 and 50.

Each is ended by a typed error, or by the answer's end; what was said before is kept; and memory
stays within the limit that was set, whatever is sent.
"""

from __future__ import annotations

import functools
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, Self

import anyio.abc
import anyio.lowlevel
import httpx
import pytest
from engine.served import DIALECTS, Served
from engine.support import (
    END,
    HELLO,
    START,
    STOP,
    client_of,
    error_of,
    error_type,
    is_complete,
    peer,
    read,
    read_request,
    sse,
    text_of,
)

from dhenara_stream.core import sse as sse_module
from dhenara_stream.core.sse import ServerSentEvent, SSEDecoder
from dhenara_stream.types import AIModelCallResponse

pytestmark = pytest.mark.usefixtures("every_road")

MIB = 2**20
PACKET = 1460
MARGIN = 16 * MIB
"""What an answer may take above its limit."""


# Where it has no part in what is tested.
in_one_event_loop = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class Body(httpx.AsyncByteStream):
    """A body of these pieces, which may be without end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()  # as all that waits for a network now and then
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


async def answered(
    pieces: Iterable[bytes],
    *,
    served: Served = DIALECTS["anthropic"],
    headers: dict[str, str] | None = None,
    status: int = 200,
    **settings: Any,
) -> tuple[list[Any], AIModelCallResponse]:
    """The items of an answer with this body, and the snapshot at its end."""
    sent = {"content-type": "text/event-stream", **(headers or {})}
    response = httpx.Response(status, headers=sent, stream=Body(pieces))
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: response)) as own:
        client = served.client("https://llm.example", http_client=own, **settings)
        answer = await client.generate_async(prompt="Hi")
        return await read(answer), answer.snapshot()


@dataclass(frozen=True, kw_only=True)
class Wire:
    """An answer of one text, as a protocol sends it.

    Attributes:
        begin: The events before the text.
        text: The event that says the text "Hello".
        end: The events after it.
    """

    begin: tuple[str, ...] = ()
    text: str
    end: tuple[str, ...]

    def said(self, text: str) -> bytes:
        """The answer up to its text, which is one event."""
        return sse(*self.begin) + sse(self.text).replace(b"Hello", text.encode())

    @property
    def rest(self) -> bytes:
        return sse(*self.end)


WIRES = {
    "anthropic": Wire(begin=(START,), text=HELLO, end=(END, STOP)),
    "openai_chat": Wire(
        text='{"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}',
        end=('{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}', "[DONE]"),
    ),
    "openai_responses": Wire(
        text='{"type":"response.output_text.delta","output_index":0,"content_index":0,'
        '"item_id":"m","delta":"Hello"}',
        end=('{"type":"response.completed","response":{"id":"r","status":"completed"}}',),
    ),
    "gemini": Wire(
        text='{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"Hello"}]}}]}',
        end=('{"candidates":[{"index":0,"finishReason":"STOP"}]}',),
    ),
}


def kept(snapshot: AIModelCallResponse) -> str | None:
    assert snapshot.chat_response is not None
    return snapshot.chat_response.text()


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """See that no more memory than this is held at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


def packets(data: bytes) -> Iterator[bytes]:
    return (data[i : i + PACKET] for i in range(0, len(data), PACKET))


# --- one large event --------------------------------------------------------------------------


class Work:
    """Bytes that were looked at, and bytes that were copied."""

    looked = copied = 0


def counted(search: Callable[..., Any]) -> Callable[..., Any]:
    """A way to search bytes that counts them."""

    def counting(searched: Any, *args: Any) -> Any:
        Work.looked += len(searched)
        return search(searched, *args)

    return counting


class CountedPiece(bytes):
    """A piece of a body that counts how often it is searched."""

    __contains__ = counted(bytes.__contains__)
    find = counted(bytes.find)


class CountedBuffer(bytearray):
    """A growing buffer that counts what is put in, and what is searched."""

    __contains__ = counted(bytearray.__contains__)
    find = counted(bytearray.find)

    def __iadd__(self, data: Any) -> Self:  # type: ignore[misc]
        Work.copied += len(data)
        self.extend(data)
        return self

    def __bytes__(self) -> bytes:
        Work.copied += len(self)
        return bytes(memoryview(self))


@pytest.mark.parametrize("mebibytes", [1, 4, 16])
def test_the_work_for_a_large_event_in_packets_grows_with_its_size(
    mebibytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse_module, "bytearray", CountedBuffer, raising=False)
    Work.looked = Work.copied = 0
    data = b"x" * (mebibytes * MIB)
    decoder = SSEDecoder()
    events: list[ServerSentEvent] = []
    for packet in packets(b"data: " + data + b"\n\n"):
        events += decoder.feed(CountedPiece(packet))
    assert [event.data == data for event in events] == [True]
    assert 0 < Work.looked <= 6 * len(data)
    assert 0 < Work.copied <= 3 * len(data)


@in_one_event_loop
@pytest.mark.parametrize(
    ("name", "mebibytes"),
    [("anthropic", 16), ("openai_chat", 4), ("openai_responses", 4), ("gemini", 4)],
)
async def test_a_large_event_in_packets_is_an_answer(name: str, mebibytes: int) -> None:
    text = "x" * (mebibytes * MIB)
    body = packets(WIRES[name].said(text) + WIRES[name].rest)
    with at_most(6 * len(text)):
        items, snapshot = await answered(body, served=DIALECTS[name])
    assert is_complete(items)
    assert kept(snapshot) == text


# --- many small ones --------------------------------------------------------------------------


def test_a_million_tiny_events_are_read_in_the_memory_of_a_few() -> None:
    decoder = SSEDecoder()
    count = 0
    for _ in range(90):
        count += len(decoder.feed(b"data:1\n\n" * 10_000))
    with at_most(8 * MIB):
        for _ in range(10):
            count += len(decoder.feed(b"data:1\n\n" * 10_000))
    assert count == 1_000_000


@in_one_event_loop
@pytest.mark.parametrize("name", DIALECTS)
async def test_tiny_events_that_say_nothing_leave_nothing(name: str) -> None:
    wire = WIRES[name]
    for count in (1, 200):  # first to have what is made once
        tiny = chain([wire.said("Hello")], repeat(b"data:{}\n\n" * 100, count), [wire.rest])
        with at_most(16 * MIB if count == 1 else MIB):
            items, snapshot = await answered(tiny, served=DIALECTS[name])
    assert is_complete(items)
    assert kept(snapshot) == "Hello"


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_million_empty_data_lines_are_one_event_too_large(name: str) -> None:
    lines = chain([WIRES[name].said("Hello")], repeat(b"data:\n" * 10_000, 100))
    with at_most(MIB + MARGIN):
        items, snapshot = await answered(lines, served=DIALECTS[name], max_event_bytes=MIB)
    assert_too_large(items, snapshot)


def assert_too_large(items: list[Any], snapshot: AIModelCallResponse) -> None:
    assert error_type(items) == "EventTooLarge"
    assert "max_event_bytes" in error_of(items)["message"]
    assert text_of(items) == kept(snapshot) == "Hello"


@pytest.mark.parametrize(
    "filler", [b"x", b": comment", b"y: " * 500], ids=["data", "comment", "field"]
)
async def test_a_line_that_does_not_end(filler: bytes) -> None:
    line = chain([WIRES["anthropic"].said("Hello"), b"data: "], repeat(filler * 1000))
    with at_most(2 * MIB + MARGIN):
        items, snapshot = await answered(line, max_event_bytes=MIB)
    assert_too_large(items, snapshot)


async def test_a_document_that_does_not_end() -> None:
    with at_most(2 * MIB + MARGIN):
        items, _ = await answered(chain([b"{"], repeat(b" " * 10_000)), max_event_bytes=MIB)
    assert error_type(items) == "EventTooLarge"


async def test_an_error_that_does_not_end_is_known_by_its_status() -> None:
    with at_most(2 * MIB + MARGIN):
        items, _ = await answered(chain([b"{"], repeat(b" " * 10_000)), status=400)
    assert error_type(items) == "InvalidRequestError"


# --- HTTP that does not end -------------------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
SAID = WIRES["anthropic"].said("Hello")
ONE_CHUNK = b"%x\r\n%b\r\n" % (len(SAID), SAID)

ENDLESS: dict[str, tuple[bytes, bytes, str]] = {
    "header lines": (b"HTTP/1.1 200 OK\r\n", b"x-filler: 1\r\n" * 500, ""),
    "a header line": (b"HTTP/1.1 200 OK\r\nx-filler: ", b"1" * 5000, ""),
    "a status line": (b"HTTP/1.1 200 ", b"O" * 5000, ""),
    "no HTTP": (b"", b"\0" * 5000, ""),
    "a chunk's size": (CHUNKED + ONE_CHUNK, b"0" * 5000, "Hello"),
    "a chunk's extension": (CHUNKED + ONE_CHUNK + b"5;x=", b"y" * 5000, "Hello"),
    "trailers": (CHUNKED + ONE_CHUNK + b"0\r\n", b"x-filler: 1\r\n" * 500, "Hello"),
}


@pytest.mark.parametrize(("begin", "more", "text"), ENDLESS.values(), ids=ENDLESS)
async def test_http_that_does_not_end_is_a_broken_connection(
    begin: bytes, more: bytes, text: str
) -> None:
    async def endless(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        await stream.send(begin)
        while True:
            await stream.send(more)

    async with peer(endless) as server:
        async with client_of(server.url, retries=2) as client:
            with at_most(MARGIN):
                items = await read(await client.generate_async(prompt="Hi"))
        assert server.connections == (1 if text else 2)
    assert error_type(items) == "StreamInterrupted"
    assert text_of(items) == text


async def test_answers_that_announce_the_answer_for_ever_are_ended_by_the_clock() -> None:
    async def interim(stream: anyio.abc.SocketStream, _: int) -> None:
        await read_request(stream)
        while True:
            await stream.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20)

    async with peer(interim) as server, client_of(server.url, timeout=0.3) as client:
        with at_most(MARGIN):
            items = await read(await client.generate_async(prompt="Hi"))
    assert error_type(items) == "DeadlineExceeded"


# --- nested -----------------------------------------------------------------------------------

LEVELS = 5000
NESTED = {
    "objects": '{"a":' * LEVELS + "1" + "}" * LEVELS,
    "lists": "[" * LEVELS + "]" * LEVELS,
    "half of them": "[" * LEVELS,
}


@in_one_event_loop
@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("where", ["the event", "a field that nobody knows"])
async def test_an_event_of_thousands_of_levels_is_a_typed_error(
    where: str, name: str, nested: str
) -> None:
    wire = WIRES[name]
    event = nested if where == "the event" else wire.text.replace("{", f'{{"x":{nested},', 1)
    items, snapshot = await answered(
        [wire.said("Hello"), sse(event), wire.rest], served=DIALECTS[name]
    )
    assert error_type(items) == "ProtocolError"
    assert error_of(items)["content_delivered"] is True
    assert text_of(items) == kept(snapshot) == "Hello"


@in_one_event_loop
@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("name", DIALECTS)
async def test_a_document_of_thousands_of_levels_is_a_typed_error(name: str, nested: str) -> None:
    headers = {"content-type": "application/json"}
    for status, error in ((200, "UnexpectedResponse"), (400, "InvalidRequestError")):
        items, _ = await answered(
            [nested.encode()], served=DIALECTS[name], headers=headers, status=status, retries=1
        )
        assert error_type(items) == error


@in_one_event_loop
@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
async def test_arguments_of_thousands_of_levels_are_kept_unread(nested: str) -> None:
    call = '{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t",'
    call += '"name":"f","input":{}}}'
    delta = {"type": "input_json_delta", "partial_json": nested}
    more = json.dumps({"type": "content_block_delta", "index": 0, "delta": delta})
    stop = '{"type":"content_block_stop","index":0}'
    items, snapshot = await answered([sse(START, call, more, stop, END, STOP)])
    assert is_complete(items)
    assert snapshot.chat_response is not None
    [tool] = snapshot.chat_response.tools()
    assert tool.raw_arguments == nested
    assert tool.parse_error
    assert tool.arguments == {}


# --- compressed -------------------------------------------------------------------------------


@functools.cache
def bomb() -> bytes:
    """The beginning of an answer, then 64 MiB in as many KiB."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS + 16)
    begin = packer.compress(SAID + b"data: ")
    return b"".join([begin, *(packer.compress(b" " * MIB) for _ in range(64)), packer.flush()])


GZIP = {"content-encoding": "gzip"}


@pytest.mark.parametrize("read_size", [PACKET, 64 * 1024])
async def test_a_body_that_grows_a_thousandfold_is_ended_at_the_limit(read_size: int) -> None:
    packed = bomb()
    assert len(packed) < 70 * 1024
    body = [packed[i : i + read_size] for i in range(0, len(packed), read_size)]
    with at_most(2 * MIB + MARGIN):
        items, snapshot = await answered(body, headers=GZIP, max_event_bytes=MIB)
    assert_too_large(items, snapshot)


async def test_a_packed_answer_that_breaks_off_is_truncated() -> None:
    items, snapshot = await answered([gzip.compress(SAID)[:-8]], headers=GZIP)
    assert error_type(items) == "TruncatedStream"
    assert text_of(items) == kept(snapshot) == "Hello"


async def test_a_packed_event_is_not_held_back_for_the_next_piece() -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS + 16)
    taken = 0

    def pieces() -> Iterator[bytes]:
        for number in range(5):
            assert taken == number
            event = WIRES["anthropic"].said("Hello") if number == 0 else sse(HELLO)
            yield packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)
        yield packer.compress(WIRES["anthropic"].rest) + packer.flush()

    response = httpx.Response(200, headers=GZIP, stream=Body(pieces()))
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: response)) as own:
        client = client_of("https://llm.example", http_client=own)
        async for chunk, _ in (await client.generate_async(prompt="Hi")).stream_generator:
            taken += chunk is not None
    assert taken == 6  # with the last, which has the end


async def test_what_is_packed_twice_is_not_unpacked() -> None:
    packed = gzip.compress(gzip.compress(SAID + WIRES["anthropic"].rest))
    items, _ = await answered([packed], headers={"content-encoding": "gzip, gzip"}, retries=1)
    assert error_type(items) == "ProtocolError"
    assert "more than once" in error_of(items)["message"]


@pytest.mark.parametrize("size", [1, 7, PACKET])
async def test_a_packed_answer_is_read_in_any_pieces(size: int) -> None:
    packed = gzip.compress(SAID * 100 + WIRES["anthropic"].rest)
    body = [packed[i : i + size] for i in range(0, len(packed), size)]
    items, _ = await answered([*body, b""], headers=GZIP)
    assert is_complete(items)
    assert text_of(items) == "Hello" * 100
