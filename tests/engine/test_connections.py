"""Where requests go, over which connections, and that nothing is left of them."""

from __future__ import annotations

import gc
import gzip
import ssl
import threading
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import h2.exceptions
import httpx
import pytest
import respx
from anyio.streams.tls import TLSListener
from engine.support import (
    HELLO,
    KEY,
    LONG,
    SLOW,
    START,
    WHOLE,
    WORDS,
    client_of,
    error_of,
    error_type,
    http_response,
    is_complete,
    lasting,
    open_files,
    peer,
    read,
    read_request,
    sse,
    sync_client,
    text_of,
)

from dhenara_stream import AIModelClient, ConfigError, DhenaraStreamError, UsageError
from dhenara_stream.simulator import (
    Answer,
    OnlyPings,
    RecordedRequest,
    Respond,
    Silence,
    Simulator,
    fingerprint,
)
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45

CERTIFICATE = Path(__file__).with_name("localhost.pem")


def echo(request: RecordedRequest) -> Answer:
    """An answer that tells which question it is for."""
    content = request.json["messages"][-1]["content"]
    question = content if isinstance(content, str) else content[0]["text"]
    return Answer(f"answer {question}")


async def ask(client: AIModelClient, prompt: str = "Hi") -> str:
    items = await read(await client.generate_async(prompt=prompt))
    assert is_complete(items), items[-1]
    return text_of(items)


# --- reuse


async def test_calls_share_a_connection_in_and_out_of_a_context_manager() -> None:
    async with Simulator(LONG) as sim:
        client = client_of(sim.url)
        await ask(client)
        await ask(client)
        assert sim.connections.accepted == 1
        async with client:
            await ask(client)
            await ask(client)
        assert sim.connections.accepted == 1
        await sim.wait_closed()
        await ask(client)  # and it goes on, with a new one
        assert sim.connections.accepted == 2
        await client.aclose()
        await client.aclose()
        await sim.wait_closed()


async def test_answers_that_are_not_streamed_and_refusals_leave_a_connection_to_use() -> None:
    async with Simulator(LONG, faults=[None, Respond(400), None]) as sim:
        async with client_of(sim.url, streaming=False) as client:
            for _ in range(4):
                await client.generate_async(prompt="Hi")
        assert len(sim.requests) == 4
        assert sim.connections.accepted == 1


async def test_a_hundred_streams_in_a_row_use_one_connection() -> None:
    async with Simulator(Answer("Hi"), wire="all") as sim, client_of(sim.url) as client:
        for _ in range(100):
            await ask(client)
        assert sim.connections.accepted == 1


async def test_interleaved_streams_of_one_client_each_get_their_own_answer() -> None:
    async with Simulator(echo, tokens_per_second=SLOW) as sim, client_of(sim.url) as client:
        answers: dict[int, str] = {}

        async def one(number: int) -> None:
            answers[number] = await ask(client, str(number))

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(one, number)
        assert answers == {n: f"answer {n}" for n in range(100)}


async def test_two_streams_read_in_turn_do_not_mix() -> None:
    async with Simulator(echo) as sim, client_of(sim.url) as client:
        responses = [await client.generate_async(prompt=name) for name in ("a", "b")]
        first, second = (response.stream_generator for response in responses)
        items: tuple[list[Any], list[Any]] = ([], [])
        for _ in range(4):
            items[0].append(await anext(first))
            items[1].append(await anext(second))
        assert [text_of(some) for some in items] == [
            "answer a",
            "answer b",
        ]
        await client.aclose()


async def test_closing_the_client_ends_its_streams_and_the_next_call_works() -> None:
    async with Simulator(LONG, faults=[Silence(deltas=3), None]) as sim:
        client = client_of(sim.url)
        response = await client.generate_async(prompt="Hi")
        await anext(response.stream_generator)
        await client.aclose()
        await sim.wait_closed()
        assert error_type(await read(response)) == "StreamInterrupted"
        async with client:
            assert await ask(client) == WORDS


# --- nothing is left


async def leave(client: AIModelClient, number: int) -> None:
    """Read a stream to its end, or leave it early in one of three ways."""
    response = await client.generate_async(prompt="Hi")
    if number % 9 == 0:
        async for _ in response.stream_generator:
            break
    elif number % 9 == 3:
        async with response.stream_generator as stream:
            await anext(stream)
    elif number % 9 == 6:
        with anyio.CancelScope() as scope:
            async for _ in response.stream_generator:
                scope.cancel()
    else:
        assert is_complete(await read(response))


def remains() -> int:
    """How many objects there are of the modules that handle a stream."""
    ours = ("dhenara_stream.engine", "dhenara_stream.core", "httpx", "httpcore", "h11")
    return sum(str(type(o).__module__).startswith(ours) for o in gc.get_objects())


async def test_hundreds_of_streams_leave_nothing() -> None:
    answer = Answer("One two three four")
    async with Simulator(answer, max_recorded=10) as sim, client_of(sim.url) as client:

        async def some(count: int) -> tuple[int, int, int]:
            """Objects, open files and threads, after so many streams."""
            limit = anyio.Semaphore(10)

            async def one(number: int) -> None:
                async with limit:
                    await leave(client, number)

            async with anyio.create_task_group() as tasks:
                for number in range(count):
                    tasks.start_soon(one, number)
            await client.aclose()
            await sim.wait_closed()
            gc.collect()
            return remains(), open_files(), threading.active_count()

        before = await some(30)
        after = await some(200)
        assert all(now <= then for now, then in zip(after, before, strict=True)), (after, before)


async def test_memory_does_not_grow_with_the_number_of_streams() -> None:
    settings: dict[str, Any] = {"wire": "all", "max_recorded": 10}
    async with Simulator(LONG, **settings) as sim, client_of(sim.url) as client:
        before = 0
        tracemalloc.start()
        try:
            for number in range(60):
                if number == 20:
                    gc.collect()
                    before = tracemalloc.get_traced_memory()[0]
                await leave(client, number)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        await client.aclose()
        assert grown < 40 * 1000  # an answer takes more than 20 kB


async def test_an_idle_connection_keeps_no_answer() -> None:
    async with Simulator(LONG) as sim, client_of(sim.url) as client:
        response = await client.generate_async(prompt="Hi")
        await read(response)
        kept = weakref.ref(response.stream_generator._core)  # pyright: ignore[reportPrivateUsage]
        del response
        gc.collect()
        assert kept() is None
        assert sim.connections.open == 1


# --- event loops


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "never closed"])
@pytest.mark.parametrize(
    "backends", [("asyncio", "asyncio"), ("asyncio", "trio"), ("trio", "asyncio"), ("trio", "trio")]
)
def test_one_client_in_one_event_loop_after_the_other(
    backends: tuple[str, str], closed: bool
) -> None:
    async def twice(client: AIModelClient) -> None:
        for _ in range(2):
            assert await ask(client) == WORDS
        if closed:
            await client.aclose()

    with Simulator(LONG) as sim:
        client = client_of(sim.url)
        for backend in backends:
            anyio.run(twice, client, backend=backend)
            sim.wait_closed_sync()
        assert sim.connections.accepted == len(backends)
    del client
    gc.collect()


def test_a_client_keeps_nothing_of_event_loops_that_are_gone() -> None:
    with Simulator(Answer("Hi")) as sim:
        client = client_of(sim.url)
        for _ in range(5):
            anyio.run(ask, client)
        gc.collect()
        assert len(client._transport._loops) == 0  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_event_loop_that_ends_closes_a_stream_that_is_left_open(backend: str) -> None:
    async def leave_open() -> None:
        response = await client_of(sim.url).generate_async(prompt="Hi")
        await anext(response.stream_generator)
        streams.append(response.stream_generator)

    streams: list[Any] = []
    with Simulator(LONG, faults=Silence(deltas=3)) as sim:
        anyio.run(leave_open, backend=backend)
        sim.wait_closed_sync()
        assert streams[0].snapshot().chat_response.text().startswith("word0")
        with pytest.warns(ResourceWarning, match="unclosed stream"):
            streams.clear()


# --- addresses


@pytest.mark.parametrize(
    "form", ["{}", "{}/", "{}/v1", "{}/v1/", "{}//"], ids=["bare", "/", "/v1", "/v1/", "//"]
)
@pytest.mark.parametrize("where", ["config", "environment"])
async def test_the_address_in_every_form(
    form: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Simulator(Answer("Hi")) as sim:
        address = form.format(sim.url)
        config = {"base_url": address} if where == "config" else {}
        monkeypatch.setenv("ANTHROPIC_BASE_URL", address)
        async with AIModelClient(of(config), AIModelCallConfig(streaming=True)) as client:
            assert await ask(client) == "Hi"
        assert sim.requests[0].path == "/v1/messages"


def of(config: dict[str, Any]) -> AIModelEndpoint:
    api = AIModelAPI(provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=KEY, config=config)
    return AIModelEndpoint(api=api, ai_model=ClaudeHaiku45)


async def test_the_config_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    async with Simulator(Answer("Hi")) as sim, client_of(sim.url) as client:
        assert await ask(client) == "Hi"


async def test_a_path_before_the_protocols_own_stays() -> None:
    async def answer(stream: anyio.abc.SocketStream, _: int) -> None:
        seen.append((await read_request(stream)).split(b"\r\n")[0])
        await stream.send(http_response(WHOLE))

    seen: list[bytes] = []
    async with peer(answer) as server, client_of(f"{server.url}/llm/v1/") as client:
        assert await ask(client) == "Hello"
    assert seen == [b"POST /llm/v1/messages HTTP/1.1"]


async def test_headers_of_the_config_go_along() -> None:
    config = {"headers": {"X-Team": "blue", "anthropic-beta": "mine-1", "x-api-key": "another-key"}}
    async with Simulator(Answer("Hi")) as sim:
        config["base_url"] = sim.url  # type: ignore[assignment]
        call = AIModelCallConfig(streaming=True, options={"betas": ["theirs-2"]})
        async with AIModelClient(of(config), call) as client:
            await ask(client)
        [request] = sim.requests
        assert request.headers["x-team"] == "blue"
        assert request.headers["anthropic-beta"] == "theirs-2,mine-1"
        assert request.key_fingerprint == fingerprint("another-key")


async def test_the_key_goes_to_the_provider_and_to_no_other_host() -> None:
    async with Simulator(Answer("Hi")) as other:
        for status in (301, 302, 303, 307, 308):
            away = Respond(status, headers={"location": f"{other.url}/v1/messages"})
            async with Simulator(faults=away) as sim, client_of(sim.url) as client:
                error = error_of(await read(await client.generate_async(prompt="Hi")))
                assert error["error_type"] == "UnexpectedResponse"
                assert other.url.removeprefix("http://") in error["message"]
                [request] = sim.requests
                assert request.key_fingerprint == fingerprint(KEY)
        assert other.requests == []


@pytest.mark.parametrize("location", ["/elsewhere", "http://[", "http://me:secret@host.example/"])
async def test_a_redirect_to(location: str) -> None:
    away = Respond(307, headers={"location": location})
    async with Simulator(faults=away) as sim, client_of(sim.url) as client:
        error = error_of(await read(await client.generate_async(prompt="Hi")))
        assert error["error_type"] == "UnexpectedResponse"
        assert "secret" not in error["message"]


async def test_proxies_of_the_environment_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def proxy(stream: anyio.abc.SocketStream, _: int) -> None:
        seen.append((await read_request(stream)).split(b"\r\n")[0])
        await stream.send(http_response(WHOLE))

    seen: list[bytes] = []
    async with peer(proxy) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with client_of("http://llm.example") as client:
            assert await ask(client) == "Hello"
    assert seen == [b"POST http://llm.example/v1/messages HTTP/1.1"]


async def test_a_proxy_that_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    async def proxy(stream: anyio.abc.SocketStream, _: int) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    async with peer(proxy) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with client_of("https://llm.example", retries=1) as client:
            error = error_of(await read(await client.generate_async(prompt="Hi")))
    assert error["error_type"] == "ConnectError"
    assert "proxy" in error["message"]
    assert "407" in error["message"]


# --- TLS


async def tls_server(behave: Callable[[Any], Awaitable[None]], *, tasks: Any) -> str:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = TLSListener(plain, context, standard_compatible=False)

    async def handle(stream: Any) -> None:
        async with stream:
            await behave(stream)

    async def serve() -> None:
        async with listener:
            await listener.serve(handle)

    tasks.start_soon(serve)
    return f"https://localhost:{plain.extra(anyio.abc.SocketAttribute.local_port)}"


async def answer_forever(stream: Any) -> None:
    try:
        while True:
            await read_request(stream)
            await stream.send(http_response(WHOLE))
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        pass


async def test_a_server_with_a_certificate_that_nobody_signed() -> None:
    async with anyio.create_task_group() as tasks:
        url = await tls_server(answer_forever, tasks=tasks)
        async with client_of(url) as client:
            error = error_of(await read(await client.generate_async(prompt="Hi")))
        assert error["error_type"] == "ConnectError"
        assert error["retryable"] is False
        assert error["attempts"] == 1
        assert "localhost" in error["message"]
        assert "SSL_CERT_FILE" in error["message"]
        tasks.cancel_scope.cancel()


async def test_a_private_certificate_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    async with anyio.create_task_group() as tasks:
        url = await tls_server(answer_forever, tasks=tasks)
        async with client_of(url) as client:
            assert await ask(client) == "Hello"
            assert await ask(client) == "Hello"
            response = await client.generate_async(prompt="Hi")
            await response.stream_generator.aclose()
        async with client_of(url.replace("localhost", "127.0.0.1")) as client:
            assert await ask(client) == "Hello"
        tasks.cancel_scope.cancel()


async def test_a_server_that_speaks_no_tls() -> None:
    async def puzzled(stream: anyio.abc.SocketStream, _: int) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with peer(puzzled) as server:
        url = server.url.replace("http:", "https:")
        async with client_of(url, retries=1) as client:
            items = await read(await client.generate_async(prompt="Hi"))
            assert error_type(items) == "ConnectError"


# --- a client of the caller's


def transport(handler: Callable[[httpx.Request], Any]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(handler))


async def test_a_client_of_the_callers_is_used_and_stays_open() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=WHOLE)

    seen: list[httpx.Request] = []
    async with transport(handler) as own:
        client = client_of("https://llm.example", http_client=own)
        async with client:
            assert await ask(client) == "Hello"
        assert not own.is_closed
        assert await ask(client) == "Hello"
        await client.aclose()
        assert (await own.get("https://llm.example/")).status_code == 200
    assert seen[0].headers["x-api-key"] == KEY
    assert seen[0].content.startswith(b"{")
    assert str(seen[0].url) == "https://llm.example/v1/messages"


async def test_a_client_of_the_callers_that_is_closed() -> None:
    own = transport(lambda _: httpx.Response(200))
    await own.aclose()
    items = await read(await client_of("https://x", http_client=own).generate_async(prompt="Hi"))
    assert error_type(items) == "UsageError"
    assert "http_client is closed" in error_of(items)["message"]


def test_a_client_of_the_callers_in_sync_code() -> None:
    own = transport(lambda _: httpx.Response(200, content=WHOLE))
    with sync_client("https://llm.example", http_client=own) as client:
        assert text_of(list(client.generate(prompt="Hi").stream_generator)) == "Hello"
    assert not own.is_closed
    anyio.run(own.aclose)


@pytest.mark.parametrize("own", [True, False], ids=["own client", "our client"])
async def test_respx_answers(own: bool) -> None:
    with respx.mock(base_url="https://api.anthropic.com") as router:
        route = router.post("/v1/messages").respond(200, content=WHOLE)
        http_client = httpx.AsyncClient() if own else None
        async with AIModelClient(
            of({}), AIModelCallConfig(streaming=True), http_client=http_client
        ) as client:
            assert await ask(client) == "Hello"
        assert route.call_count == 1
        if http_client is not None:
            await http_client.aclose()


class Stream(httpx.AsyncByteStream):
    """A body of a transport of the caller's."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        self.closed = True


class Endless:
    """The beginning of an answer, then the same event for ever."""

    def __init__(self, wait: float | None) -> None:
        self._wait = wait
        self._pieces = iter([sse(START, HELLO)])

    def __aiter__(self) -> Endless:
        return self

    async def __anext__(self) -> bytes:
        if self._wait is not None:
            await anyio.sleep(self._wait)
        return next(self._pieces, b': ping\n\ndata: {"type":"ping"}\n\n' * 100)


@pytest.mark.parametrize("wait", [0.001, 30.0])
async def test_an_endless_body_of_a_transport_of_the_callers_is_left(wait: float) -> None:
    body = Stream(Endless(wait))
    settings: dict[str, Any] = {"timeout": 0.2, "retries": 1}
    own = transport(lambda _: httpx.Response(200, stream=body))
    client = client_of("https://llm.example", http_client=own, **settings)
    async with lasting(0.2 if wait == 30.0 else 0.0):
        response = await client.generate_async(prompt="Hi")
        async with response.stream_generator as stream:
            item = await anext(stream)
    assert (error_type([item]) if wait == 30.0 else text_of([item])) in (
        "DeadlineExceeded",
        "Hello",
    )
    assert body.closed
    await own.aclose()


# On trio there is a warning of the generator that httpx reads such a body with.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_endless_body_that_never_waits_is_left() -> None:
    body = Stream(Endless(None))
    own = transport(lambda _: httpx.Response(200, stream=body))
    response = await client_of("https://llm.example", http_client=own).generate_async(prompt="Hi")
    async with response.stream_generator as stream:
        assert text_of([await anext(stream)]) == "Hello"
    assert body.closed
    await own.aclose()


class Broken(httpx.AsyncByteStream):
    """The whole answer, then nothing but failures of a kind that no HTTP library has."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield WHOLE
        raise ZeroDivisionError

    async def aclose(self) -> None:
        raise ZeroDivisionError


async def test_after_the_answer_failures_of_a_transport_are_nobodys_concern() -> None:
    async with transport(lambda _: httpx.Response(200, stream=Broken())) as own:
        client = client_of("https://x", http_client=own)
        assert await ask(client) == "Hello"
        response = await client.generate_async(prompt="Hi")
        await response.stream_generator.aclose()
        assert response.stream_generator.status.status == "response_incomplete"


def test_they_do_not_hide_the_answer_in_sync_code() -> None:
    own = transport(lambda _: httpx.Response(200, stream=Broken()))
    with sync_client("https://x", http_client=own) as client:
        assert is_complete(list(client.generate(prompt="Hi").stream_generator))
    anyio.run(own.aclose)


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (httpx.ConnectTimeout("x"), "ConnectTimeout"),
        (httpx.PoolTimeout("x"), "ConnectTimeout"),
        (httpx.ProxyError("x"), "ConnectError"),
        (httpx.ConnectError("x"), "ConnectError"),
        (httpx.UnsupportedProtocol("x"), "ConfigError"),
        (httpx.InvalidURL("x"), "ConfigError"),
        (httpx.LocalProtocolError("x"), "ConfigError"),
        (h2.exceptions.ProtocolError("x"), "StreamInterrupted"),
        (httpx.DecodingError("x"), "ProtocolError"),
        (httpx.ReadError("x"), "StreamInterrupted"),
        (httpx.WriteError("x"), "StreamInterrupted"),
        (httpx.RemoteProtocolError("x"), "StreamInterrupted"),
        (httpx.StreamConsumed(), "StreamInterrupted"),
        (OSError("x"), "TransportError"),
        (httpx.ReadTimeout("x"), "TransportError"),
        (httpx.TooManyRedirects("x"), "TransportError"),
        (ValueError("x"), "DhenaraStreamError"),
        (RuntimeError("x"), "DhenaraStreamError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_foreign_exceptions_are_translated(raised: Exception, error: str) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise raised

    settings: dict[str, Any] = {"retries": 1, "raise_errors": True}
    async with transport(handler) as own:
        client = client_of("https://llm.example:81", http_client=own, **settings)
        with pytest.raises(DhenaraStreamError) as caught:
            await read(await client.generate_async(prompt="Hi"))
    assert type(caught.value).__name__ == error
    if error != "ConfigError":
        assert caught.value.__cause__ is raised


async def test_a_compressed_body_is_read() -> None:
    headers = {"content-encoding": "gzip", "content-type": "text/event-stream"}
    async with transport(
        lambda _: httpx.Response(200, headers=headers, stream=pieces(gzip.compress(WHOLE), 7))
    ) as own:
        assert await ask(client_of("https://llm.example", http_client=own)) == "Hello"


def pieces(data: bytes, size: int) -> Stream:
    async def cut() -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    return Stream(cut())


# On trio there is a warning of a generator that httpx then drops half-way.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_body_that_is_wrongly_compressed() -> None:
    headers = {"content-encoding": "gzip"}
    async with transport(
        lambda _: httpx.Response(200, headers=headers, stream=pieces(b"no gzip at all", 99))
    ) as own:
        client = client_of("https://llm.example", http_client=own)
        items = await read(await client.generate_async(prompt="Hi"))
        assert error_type(items) == "ProtocolError"
        assert "compressed" in error_of(items)["message"]


# --- without a network


async def test_test_mode_answers_from_memory() -> None:
    endpoint = of({"base_url": "http://nobody.invalid"})
    config = AIModelCallConfig(streaming=True, test_mode=True)
    async with AIModelClient(endpoint, config) as client:
        assert await ask(client)
    with AIModelClient(endpoint, config, is_async=False) as client:
        items: list[Any] = list(client.generate(prompt="Hi").stream_generator)
        assert is_complete(items)


async def test_a_paced_answer_from_memory_can_be_left_at_once() -> None:
    sim = Simulator(LONG, faults=OnlyPings(deltas=2, interval=5.0))
    async with httpx.AsyncClient(transport=sim.transport()) as own:
        response = await client_of("http://x", http_client=own).generate_async(prompt="Hi")
        async with lasting(0.0), response.stream_generator as stream:
            await anext(stream)


async def test_a_client_that_was_never_used_can_be_closed() -> None:
    async with client_of("http://nobody.invalid"):
        pass
    await client_of("http://nobody.invalid").aclose()
    with sync_client("http://nobody.invalid"):
        pass
    sync_client("http://nobody.invalid").close()
    assert issubclass(UsageError, ConfigError)


async def test_a_proxy_that_says_nothing_is_part_of_connecting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def proxy(stream: anyio.abc.SocketStream, _: int) -> None:
        while True:
            await stream.receive()

    async with peer(proxy) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        limits: dict[str, Any] = {"connect_timeout": 0.1, "first_event_timeout": 5.0}
        async with client_of("https://llm.example", retries=1, **limits) as client:
            error = error_of(await read(await client.generate_async(prompt="Hi")))
    assert error["error_type"] == "ConnectTimeout"
