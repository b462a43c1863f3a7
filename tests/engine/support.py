"""What the engine's tests share: clients that are quick to give up, and what streams say."""

from __future__ import annotations

import signal
import socket
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.abc
import httpx
import pytest

from dhenara_stream import AIModelClient
from dhenara_stream.simulator import Answer, Simulator
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelCallResponse,
    AIModelEndpoint,
    BaseAIModel,
    FunctionDefinition,
    FunctionParameter,
    FunctionParameters,
    StructuredOutputConfig,
    ToolDefinition,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45
from dhenara_stream.types.shared import SSEErrorResponse

KEY = "sk-ant-canary-0123456789"
Item = tuple[Any, Any]

WORDS = " ".join(f"word{n}" for n in range(40))
LONG = Answer(WORDS)
SLOW = 400.0  # tokens a second: an answer that lasts a tenth of a second

WEATHER = ToolDefinition(
    function=FunctionDefinition(
        name="get_weather",
        description="The weather somewhere.",
        parameters=FunctionParameters(
            properties={"city": FunctionParameter(type="string", required=True)}
        ),
    )
)
PERSON = StructuredOutputConfig(
    output_schema={
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
)


def endpoint(url: str, model: BaseAIModel = ClaudeHaiku45, **api: Any) -> AIModelEndpoint:
    config = {"base_url": url, **api.pop("config", {})}
    account = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=KEY, config=config, **api
    )
    return AIModelEndpoint(api=account, ai_model=model)


def client_of(
    url: str,
    *,
    is_async: bool = True,
    model: BaseAIModel = ClaudeHaiku45,
    http_client: httpx.AsyncClient | None = None,
    **config: Any,
) -> AIModelClient:
    """A client that streams, and waits for nothing between two attempts."""
    settings: dict[str, Any] = {"streaming": True, "retry_delay": 0.0, "timeout": 10.0, **config}
    return AIModelClient(
        endpoint(url, model), AIModelCallConfig(**settings), is_async, http_client=http_client
    )


def sync_client(url: str, **settings: Any) -> AIModelClient:
    return client_of(url, is_async=False, **settings)


# --- what a stream says


async def read(response: AIModelCallResponse) -> list[Item]:
    return [item async for item in response.stream_generator]


def text_of(items: Iterable[Item]) -> str:
    """The text in the chunks."""
    chunks = [chunk.data for chunk, _ in items if chunk is not None]
    pieces = [
        piece.get_text_delta() or ""
        for data in chunks
        for choice in getattr(data, "choice_deltas", ())
        for piece in choice.content_deltas or ()
        if piece.type == "text"
    ]
    return "".join(pieces)


def text_so_far(response: AIModelCallResponse) -> str:
    """The text in a snapshot."""
    answer = response.snapshot().chat_response
    return (answer and answer.text()) or ""


def error_of(items: Iterable[Item]) -> dict[str, Any]:
    """The facts of the error that the items end with, with its message."""
    chunk, final = list(items)[-1]
    assert final is None
    assert isinstance(chunk, SSEErrorResponse), chunk
    return {"message": chunk.data.message, **(chunk.data.details or {})}


def error_type(items: Iterable[Item]) -> str:
    name: str = error_of(items)["error_type"]
    return name


def is_complete(items: list[Item]) -> bool:
    return bool(items) and items[-1][1] is not None


# --- a peer that does anything


class Peer:
    """A server of one's own for one connection after the other, without HTTP's good manners."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connections = 0


Behaviour = Any  # async (stream, number of the connection) -> None


@asynccontextmanager
async def peer(behave: Behaviour) -> AsyncIterator[Peer]:
    """Listen on a port; each connection is given to ``behave``, then closed."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    it = Peer(f"http://127.0.0.1:{port}")

    async def handle(stream: anyio.abc.SocketStream) -> None:
        it.connections += 1
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                await behave(stream, it.connections)

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield it
        tasks.cancel_scope.cancel()


async def read_request(stream: anyio.abc.ByteReceiveStream) -> bytes:
    """One request, whole."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head = bytes(data).partition(b"\r\n\r\n")[0]
    lines = head.lower().split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
    while len(data) < len(head) + 4 + length:
        data += await stream.receive()
    return bytes(data)


def reset(stream: anyio.abc.SocketStream) -> None:
    """Let the system send RST when the connection is closed."""
    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def http_response(body: bytes, *, kind: str = "text/event-stream", status: int = 200) -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def sse(*events: str) -> bytes:
    """Events by their JSON data."""
    return b"".join(b"data: %b\n\n" % event.encode() for event in events)


START = '{"type":"message_start","message":{"id":"m","model":"x","usage":{"input_tokens":3}}}'
HELLO = '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}'
END = '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}'
STOP = '{"type":"message_stop"}'
WHOLE = sse(START, HELLO, END, STOP)
"""The shortest answer there is: "Hello"."""


# --- how long it takes


@asynccontextmanager
async def lasting(seconds: float) -> AsyncIterator[None]:
    """See that what is done in here takes so long, and at most 250 ms longer.

    What the machine takes for others does not count: a timer beside it tells how much that is.
    """
    begun = anyio.current_time()
    late = passed = 0.0

    async def measure() -> None:
        nonlocal late
        while True:
            before = anyio.current_time()
            await anyio.sleep(0.01)
            late += anyio.current_time() - before - 0.01

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(measure)
        yield
        passed = anyio.current_time() - begun
        tasks.cancel_scope.cancel()
    assert passed > seconds - 0.005
    assert passed - late < seconds + 0.25


# --- what is left


def open_files() -> int:
    """How many descriptors this process has open; 0 where the system does not tell."""
    try:
        return len(list(Path("/proc/self/fd").iterdir()))
    except OSError:
        return 0


@contextmanager
def serving(*args: Any, **settings: Any) -> Iterator[Simulator]:
    """A simulator in a thread of its own."""
    with Simulator(*args, **settings) as sim:
        yield sim


class ThreadedServer(ABC):
    """A server in a thread of its own, which goes on while the event loop stands still."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self.serve, args=(self._listener,), daemon=True)

    @abstractmethod
    def serve(self, listener: socket.socket) -> None:
        """What it does, in its thread."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(5)


class Firehose(ThreadedServer):
    """A server in a thread of its own that sends more than anybody wants to read.

    Attributes:
        sent: How many bytes of the answer the system took so far.
        blocked: Set once it takes no more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.blocked = threading.Event()
        self.closed = threading.Event()

    def serve(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + sse(START))
            text = "x" * 10_000
            delta = f'{{"type":"text_delta","text":"{text}"}}'
            event = sse(f'{{"type":"content_block_delta","index":0,"delta":{delta}}}')
            connection.settimeout(0.3)
            try:
                while True:
                    self._send(connection, event)
            except OSError:
                self.closed.set()

    def _send(self, connection: socket.socket, data: bytes) -> None:
        while data:
            try:
                count = connection.send(data)
            except TimeoutError:
                self.blocked.set()
            else:
                data = data[count:]
                self.sent += count


# --- Ctrl-C


def _place_in(thread: int) -> tuple[int, int]:
    """Where in its code a thread is."""
    frame = sys._current_frames()[thread]
    return id(frame), frame.f_lasti


@contextmanager
def ctrl_c_when(happened: Callable[[], object]) -> Iterator[None]:
    """Interrupt the main thread when the call has returned and it waits, as Ctrl-C does."""

    def interrupt() -> None:
        happened()
        main = threading.main_thread().ident
        assert main is not None
        before = None
        # A signal that comes just before Python begins to wait is seen after the wait only.
        while (now := _place_in(main)) != before:
            before = now
            time.sleep(0.01)
        signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)


needs_signals = pytest.mark.skipif(
    not hasattr(signal, "pthread_kill"), reason="no signals to threads here"
)
