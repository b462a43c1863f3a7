"""The floor: what reading an answer costs with nothing in between, written by hand.

``Full`` does what this library does with a good answer, and nothing else: it frames the events,
decodes the fields that are read, accumulates, and gives the public ``(chunk, None)`` tuples and
the whole answer at the end. It knows no fault, no other protocol and no other block. ``Split``
decodes nothing. Both read from a socket, without an HTTP library; ``Full`` from others' bytes, too.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from benchmarks import replay
from dhenara_stream.types import AIModelAPIProviderEnum, AIModelCallResponse
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum
from dhenara_stream.types.genai.dhenara.response import (
    ChatMessageContentPart,
    ChatResponse,
    ChatResponseChoice,
    ChatResponseChoiceDelta,
    ChatResponseChunk,
    ChatResponseTextContentItem,
    ChatResponseTextContentItemDelta,
    ChatResponseToolCallContentItemDelta,
    StreamingChatResponse,
)

__all__ = ["Framer", "Full", "Split", "asyncio_client", "trio_client"]

Item = tuple[StreamingChatResponse, None] | tuple[None, AIModelCallResponse]
# What is read at a time. Of items, which are objects, a read makes few: with 256 KiB the garbage
# collector made an event cost twice as much (6.4 us, not 3.2).
BYTES, ITEMS = 256 * 1024, 16 * 1024
TLS_RECORD = 16 * 1024
WAITING = 1000  # items that wait for who reads them, before the socket does


# --- events


class Framer:
    """Bytes in, the data of the events out; for events of one data line that ends with LF."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that are complete now."""
        pieces = self._pieces
        end = data.find(b"\n\n")
        if 0 < end == len(data) - 2 and not pieces:  # one event, as in most chunks
            return [data[data.find(b"data: ") + 6 : -2]]
        if pieces and data.startswith(b"\n"):  # the blank line itself may be cut
            data = pieces.pop() + data
        *events, rest = data.split(b"\n\n")
        if events and pieces:
            events[0] = b"".join([*pieces, events[0]])
            pieces.clear()
        if rest:
            pieces.append(rest)
        return [event[event.find(b"data: ") + 6 :] for event in events]


class _TextPiece(msgspec.Struct, tag="text_delta"):
    text: str


class _JsonPiece(msgspec.Struct, tag="input_json_delta"):
    partial_json: str


class _Message(msgspec.Struct):
    id: str


class MessageStart(msgspec.Struct, tag="message_start"):
    """The beginning of an answer."""

    message: _Message


class Delta(msgspec.Struct, tag="content_block_delta"):
    """A piece of an answer."""

    delta: _TextPiece | _JsonPiece
    index: int


class _Ends(msgspec.Struct):
    stop_reason: str


class MessageDelta(msgspec.Struct, tag="message_delta"):
    """The end of an answer: why."""

    delta: _Ends


class MessageStop(msgspec.Struct, tag="message_stop"):
    """The end of an answer."""


class BlockStart(msgspec.Struct, tag="content_block_start"):
    """The beginning of a block, of which nothing is read."""


class BlockStop(msgspec.Struct, tag="content_block_stop"):
    """The end of a block, of which nothing is read."""


class _Function(msgspec.Struct):
    arguments: str = ""


class _Call(msgspec.Struct):
    function: _Function


class _ChoiceDelta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    delta: _ChoiceDelta
    finish_reason: str | None = None


class Completion(msgspec.Struct):
    """A chunk of Chat Completions."""

    id: str
    choices: list[_Choice]


EVENTS: dict[str, msgspec.json.Decoder[Any]] = {
    "anthropic": msgspec.json.Decoder(
        MessageStart | BlockStart | Delta | BlockStop | MessageDelta | MessageStop
    ),
    "openai_chat": msgspec.json.Decoder(Completion),
}


class Full:
    """Bytes of a body in, public items out."""

    def __init__(self, dialect: str) -> None:
        self._frame = Framer().feed
        self._decode = EVENTS[dialect].decode
        self._read = self._anthropic if dialect == "anthropic" else self._chat
        self._id: str | None = None
        self._texts: list[str] = []
        self._provider = AIModelProviderEnum.ANTHROPIC
        self._place = AIModelAPIProviderEnum.ANTHROPIC
        if dialect == "openai_chat":
            self._provider = AIModelProviderEnum.OPEN_AI
            self._place = AIModelAPIProviderEnum.OPEN_AI

    def feed(self, data: bytes) -> list[Item]:
        """What the next bytes say."""
        items: list[Item] = []
        self.take(data, items)
        return items

    def take(self, data: bytes, items: list[Item]) -> None:
        """Add what the next bytes say."""
        for event in self._frame(data):
            self._read(event, items)

    def _anthropic(self, data: bytes, items: list[Item]) -> None:
        event = self._decode(data)
        if type(event) is Delta:
            piece = event.delta
            if isinstance(piece, _TextPiece):
                items.append(self._text(event.index, piece.text))
            else:
                items.append(self._arguments(event.index, piece.partial_json))
        elif type(event) is MessageStart:
            self._id = event.message.id
        elif type(event) is MessageStop:
            items.append(self._whole())

    def _chat(self, data: bytes, items: list[Item]) -> None:
        if data == b"[DONE]":
            items.append(self._whole())
            return
        event = self._decode(data)
        self._id = event.id
        for choice in event.choices:
            delta = choice.delta
            if delta.content:
                items.append(self._text(0, delta.content))
            texts = (call.function.arguments for call in delta.tool_calls or ())
            items += [self._arguments(0, text) for text in texts if text]

    def _text(self, index: int, text: str) -> Item:
        self._texts.append(text)
        return self._chunk(
            ChatResponseTextContentItemDelta(index=index, text_delta=text, role="assistant")
        )

    def _arguments(self, index: int, text: str) -> Item:
        self._texts.append(text)
        return self._chunk(
            ChatResponseToolCallContentItemDelta(
                index=index, arguments_delta=text, role="assistant"
            )
        )

    def _chunk(
        self, delta: ChatResponseTextContentItemDelta | ChatResponseToolCallContentItemDelta
    ) -> Item:
        choice = ChatResponseChoiceDelta(index=0, content_deltas=[delta])
        data = ChatResponseChunk(
            model="benchmark",
            provider=self._provider,
            api_provider=self._place,
            choice_deltas=[choice],
        )
        return StreamingChatResponse(id=self._id, data=data), None

    def _whole(self) -> Item:
        part = ChatMessageContentPart(type="output_text", text="".join(self._texts))
        item = ChatResponseTextContentItem(index=0, role="assistant", message_contents=[part])
        response = ChatResponse(
            model="benchmark",
            provider=self._provider,
            api_provider=self._place,
            choices=[ChatResponseChoice(index=0, contents=[item])],
        )
        return None, AIModelCallResponse(chat_response=response)


# --- a response: bytes of a socket in, items out


class Reading(Protocol):
    """A response that is read.

    Attributes:
        read: How many bytes to read at a time.
        ended: Whether it has ended.
    """

    read: int
    ended: bool

    def feed(self, data: bytes) -> Sequence[Any]:
        """The items that the next bytes complete."""
        ...


class Split:
    """Nothing decoded: an item is a list of what lies between two blank lines."""

    def __init__(self, _dialect: str) -> None:
        self.read = BYTES
        self.ended = False
        self._tail = b""

    def feed(self, data: bytes) -> Sequence[list[bytes]]:
        """One list for each read."""
        self._tail = (self._tail + data[-len(replay.END) :])[-len(replay.END) :]
        self.ended = self._tail == replay.END
        return (data.split(b"\n\n"),)


class Parsed:
    """HTTP by httptools, the body by ``Full``."""

    def __init__(self, dialect: str) -> None:
        from httptools import HttpResponseParser  # the environments of peers do not have it

        self.read = ITEMS
        self.ended = False
        self._take = Full(dialect).take
        self._items: list[Item] = []
        self._parse = HttpResponseParser(self).feed_data

    def on_body(self, data: bytes) -> None:
        """Part of the body; called by the parser."""
        self._take(data, self._items)

    def on_message_complete(self) -> None:
        """The end of the body; called by the parser."""
        self.ended = True

    def feed(self, data: bytes) -> Sequence[Item]:
        """The items of a read."""
        self._items = []
        self._parse(data)
        return self._items


# --- connections, which are used again: last in, first out


def _request(host: str, dialect: str, prompt: str) -> bytes:
    path = "/v1/messages" if dialect == "anthropic" else "/v1/chat/completions"
    body = prompt.encode()
    head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Link(asyncio.BufferedProtocol):
    """One connection of asyncio, and the response under way on it.

    Args:
        buffer: What is read into; all connections share it, since it is emptied at once.
        reading: How the first response is read; TLS asks for room before there is one.
    """

    def __init__(self, buffer: memoryview, reading: Reading) -> None:
        self._buffer = self._filling = buffer
        self.reading = reading
        self.transport: asyncio.Transport
        self._items: deque[Any] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> memoryview:
        # TLS wants to get rid of all it holds: what finds no room at the end is lost.
        room = max(self.reading.read, sizehint + TLS_RECORD)
        whole = self._buffer
        self._filling = whole[:room] if room <= len(whole) else memoryview(bytearray(room))
        return self._filling

    def buffer_updated(self, nbytes: int) -> None:
        self._items += self.reading.feed(bytes(self._filling[:nbytes]))
        self._wake()
        if len(self._items) > WAITING and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> _Link:
        return self

    async def __anext__(self) -> Any:
        while not self._items:
            if self.reading.ended:
                raise StopAsyncIteration
            if self._paused:
                self._paused = False
                self.transport.resume_reading()
            if self.transport.is_closing():
                raise ConnectionResetError("closed before the end")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._items.popleft()


@asynccontextmanager
async def asyncio_client(
    url: str, dialect: str, reading: Callable[[str], Reading]
) -> AsyncIterator[Any]:
    """Asks with an asyncio protocol."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 0
    secure = ssl.create_default_context() if address.scheme == "https" else None
    idle: list[_Link] = []
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(BYTES))

    @asynccontextmanager
    async def ask(prompt: str) -> AsyncIterator[AsyncIterator[Any]]:
        if idle:
            link = idle.pop()
            link.reading = reading(dialect)
        else:
            _, link = await loop.create_connection(
                lambda: _Link(buffer, reading(dialect)), host, port, ssl=secure
            )
        link.transport.write(_request(address.netloc, dialect, prompt))
        yield link
        idle.append(link)

    try:
        yield ask
    finally:
        for link in idle:
            link.transport.close()


@asynccontextmanager
async def trio_client(
    url: str, dialect: str, reading: Callable[[str], Reading]
) -> AsyncIterator[Any]:
    """Asks with a trio stream."""
    import trio

    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 0
    idle: list[trio.SocketStream] = []

    @asynccontextmanager
    async def ask(prompt: str) -> AsyncIterator[AsyncIterator[Any]]:
        stream = idle.pop() if idle else await trio.open_tcp_stream(host, port)
        await stream.send_all(_request(address.netloc, dialect, prompt))
        yield _received(stream, reading(dialect))
        idle.append(stream)

    yield ask
    for stream in idle:
        await stream.aclose()


async def _received(stream: Any, reading: Reading) -> AsyncIterator[Any]:
    while not reading.ended:
        data = await stream.receive_some(reading.read)
        if not data:
            raise ConnectionResetError("closed before the end")
        items: Iterable[Any] = reading.feed(data)
        for item in items:
            yield item
