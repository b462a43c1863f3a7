"""The clients of ``make bench``, each driven as its documentation says, for a long time.

A client is opened once and asked many times: so connections are used again where it does that.
``ask(prompt)`` gives an iterator of its own items, as it hands them out; ``texts`` says which text
is in one, for who wants to know. This file is imported where only one client is installed: it
imports nothing but what that client needs.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks.peers import CLAUDE, DHENARA, GPT, LITELLM, OURS

__all__ = ["CLIENTS", "FLOOR", "OURS_ASYNC", "RAW", "Client"]

KEY = "sk-benchmark"
TOKENS = 1024
PATHS = {"anthropic": "/v1/messages", "openai_chat": "/v1/chat/completions"}
AIOHTTP, PYDANTIC_AI = ".real/aiohttp", ".real/pydantic-ai"

RAW, FLOOR, TRIO_FLOOR = "raw socket", "floor", "trio floor"
OURS_ASYNC, OURS_SYNC, OURS_TRIO = "dhenara_stream", "dhenara_stream sync", "dhenara_stream trio"
AIOHTTP_RAW, AIOHTTP_FULL = "aiohttp, bytes only", "aiohttp, full"

AsyncAsk = Callable[[str], AbstractAsyncContextManager[Any]]
SyncAsk = Callable[[str], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Client:
    """A way to ask.

    Attributes:
        name: The row it gets.
        dialect: What it speaks.
        packages: The distributions that it is, for their versions.
        open: Given the server's address, gives ``ask``.
        texts: The texts in an item.
        place: The environment it is installed in, where it is not the project's own.
        kind: ``asyncio``, ``trio`` or ``sync``.
        share: The share of the events that it is measured with in bursts, since it is slow.
        decodes: Whether its items are decoded; else they are bytes, in whatever batches.
    """

    name: str
    dialect: str
    packages: tuple[str, ...]
    open: Callable[[str], AbstractAsyncContextManager[AsyncAsk] | AbstractContextManager[SyncAsk]]
    texts: Callable[[Any], Sequence[str]]
    place: str | None = None
    kind: str = "asyncio"
    share: float = 1.0
    decodes: bool = True

    @property
    def id(self) -> str:
        """How a worker is told which client it is."""
        return f"{self.dialect}/{self.name}"


# --- what is in an item


_TIME = re.compile(rb'"(\d{10}\.\d{6})"')


def _no_texts(data: Any) -> Sequence[str]:
    """The times in bytes; nothing else can be told of them."""
    whole = b"".join(data) if isinstance(data, list) else data
    return [found.decode() for found in _TIME.findall(whole)]


def _public_texts(item: Any) -> Sequence[str]:
    """Of our chunks, and dhenara-ai's."""
    chunk = item[0]
    if chunk is None:
        return ()
    return [
        content.get_text_delta() or getattr(content, "arguments_delta", None) or ""
        for choice in chunk.data.choice_deltas
        for content in choice.content_deltas or ()
    ]


def _delta_texts(event: Any) -> Sequence[str]:
    """Of the anthropic SDK's events."""
    if event.type != "content_block_delta":
        return ()
    delta = event.delta
    return (delta.text if delta.type == "text_delta" else delta.partial_json,)


def _text_events(event: Any) -> Sequence[str]:
    """Of the events of ``.stream()``: anthropic's helper adds its own to those of the wire."""
    if event.type == "text":
        return (event.text,)
    return (event.partial_json,) if event.type == "input_json" else ()


def _choice_texts(chunk: Any) -> Sequence[str]:
    """Of the openai SDK's chunks, and litellm's."""
    texts: list[str] = []
    for choice in chunk.choices:
        texts.append(choice.delta.content or "")
        texts += [call.function.arguments or "" for call in choice.delta.tool_calls or ()]
    return texts


def _content_texts(event: Any) -> Sequence[str]:
    """Of the events of the openai SDK's ``.stream()``."""
    if event.type == "content.delta":
        return (event.delta,)
    is_call = event.type == "tool_calls.function.arguments.delta"
    return (event.arguments_delta,) if is_call else ()


def _wire_texts(event: Any) -> Sequence[str]:
    """Of the floor's structs."""
    from benchmarks import floor

    if isinstance(event, floor.Completion):
        return _choice_texts(event)
    if not isinstance(event, floor.Delta):
        return ()
    piece: Any = event.delta
    return (getattr(piece, "text", None) or piece.partial_json,)


def _part_texts(event: Any) -> Sequence[str]:
    """Of pydantic-ai's events; the first piece comes with the start of its part."""
    if event.event_kind == "part_start":
        return (getattr(event.part, "content", None) or getattr(event.part, "args", None) or "",)
    if event.event_kind == "part_delta":
        delta = event.delta
        return (getattr(delta, "content_delta", None) or getattr(delta, "args_delta", None) or "",)
    return ()


# --- floors


@asynccontextmanager
async def _floor(dialect: str, reading: str, loop: str, url: str) -> AsyncIterator[Any]:
    from benchmarks import floor

    client = floor.trio_client if loop == "trio" else floor.asyncio_client
    async with client(url, dialect, getattr(floor, reading)) as ask:
        yield ask


@asynccontextmanager
async def _httpx_raw(dialect: str, url: str) -> AsyncIterator[Any]:
    import httpx

    async with httpx.AsyncClient(timeout=None, limits=_limits()) as client:

        @asynccontextmanager
        async def ask(prompt: str) -> AsyncIterator[Any]:
            async with client.stream("POST", url + PATHS[dialect], content=prompt) as response:
                yield response.aiter_raw()

        yield ask


def _limits() -> Any:
    import httpx

    return httpx.Limits(max_connections=None, max_keepalive_connections=100)


@asynccontextmanager
async def _httpx_sse(dialect: str, url: str) -> AsyncIterator[Any]:
    """The loop of httpx-sse's README, with msgspec and structs of the fields that are read."""
    import httpx
    import httpx_sse

    from benchmarks.floor import EVENTS

    decode = EVENTS[dialect].decode

    async def events(source: httpx_sse.EventSource) -> AsyncIterator[Any]:
        async for event in source.aiter_sse():
            if event.data != "[DONE]":
                yield decode(event.data)

    async with httpx.AsyncClient(timeout=None, limits=_limits()) as client:

        @asynccontextmanager
        async def ask(prompt: str) -> AsyncIterator[Any]:
            place, body = url + PATHS[dialect], {"prompt": prompt}
            async with httpx_sse.aconnect_sse(client, "POST", place, json=body) as source:
                yield events(source)

        yield ask


@asynccontextmanager
async def _aiohttp(dialect: str, full: bool, url: str) -> AsyncIterator[Any]:
    aiohttp: Any = import_module("aiohttp")
    from benchmarks.floor import ITEMS, Full

    async def items(content: Any) -> AsyncIterator[Any]:
        decoder = Full(dialect)
        async for data in content:
            for at in range(0, len(data), ITEMS):  # see there
                for item in decoder.feed(data[at : at + ITEMS]):
                    yield item

    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        @asynccontextmanager
        async def ask(prompt: str) -> AsyncIterator[Any]:
            async with session.post(url + PATHS[dialect], data=prompt) as response:
                content = response.content.iter_any()
                yield items(content) if full else content

        yield ask


# --- us, and dhenara-ai, whose names are ours


def _endpoint(types: Any, dialect: str, model: Any, url: str) -> Any:
    account: dict[str, Any] = {"base_url": url}
    if dialect == "openai_chat":
        account["api"] = "chat_completions"
    provider = "anthropic" if dialect == "anthropic" else "openai"
    api = types.AIModelAPI(provider=provider, api_key=KEY, config=account)
    return types.AIModelEndpoint(api=api, ai_model=model)


def _our_client(dialect: str, is_async: bool, url: str) -> Any:
    from dhenara_stream import AIModelClient, types
    from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45
    from dhenara_stream.types.genai.foundation_models.openai.chat import GPT41Nano

    model = ClaudeHaiku45 if dialect == "anthropic" else GPT41Nano
    config = types.AIModelCallConfig(streaming=True, raise_errors=True)
    return AIModelClient(_endpoint(types, dialect, model, url), config, is_async=is_async)


@asynccontextmanager
async def _ours(dialect: str, url: str) -> AsyncIterator[Any]:
    async with _our_client(dialect, True, url) as client:

        @asynccontextmanager
        async def ask(prompt: str) -> AsyncIterator[Any]:
            response = await client.generate_async(prompt=prompt)
            async with response.stream_generator as stream:
                yield stream

        yield ask


@contextmanager
def _ours_sync(dialect: str, url: str) -> Iterator[Any]:
    with _our_client(dialect, False, url) as client:

        @contextmanager
        def ask(prompt: str) -> Iterator[Any]:
            with client.generate(prompt=prompt).stream_generator as stream:
                yield stream

        yield ask


def _dhenara_client(is_async: bool, url: str) -> Any:
    os.environ["ANTHROPIC_BASE_URL"] = url  # it has no setting for the address
    ai: Any = import_module("dhenara.ai")
    types: Any = import_module("dhenara.ai.types")
    models: Any = import_module("dhenara.ai.types.genai.foundation_models.anthropic.chat")
    api = types.AIModelAPI(provider="anthropic", api_key=KEY)
    endpoint = types.AIModelEndpoint(api=api, ai_model=models.ClaudeHaiku45)
    config = types.AIModelCallConfig(streaming=True)
    return ai.AIModelClient(model_endpoint=endpoint, config=config, is_async=is_async)


@asynccontextmanager
async def _dhenara(url: str) -> AsyncIterator[Any]:
    client = _dhenara_client(True, url)

    @asynccontextmanager
    async def ask(prompt: str) -> AsyncIterator[Any]:
        response = await client.generate_with_existing_connection_async(prompt=prompt)
        yield response.stream_generator

    yield ask
    await client.cleanup_async()


@contextmanager
def _dhenara_sync(url: str) -> Iterator[Any]:
    client = _dhenara_client(False, url)

    @contextmanager
    def ask(prompt: str) -> Iterator[Any]:
        yield client.generate_with_existing_connection_sync(prompt=prompt).stream_generator

    yield ask
    client.cleanup_sync()


# --- the official SDKs


def _messages(prompt: str) -> Any:
    return [{"role": "user", "content": prompt}]


@asynccontextmanager
async def _anthropic(helper: bool, url: str) -> AsyncIterator[Any]:
    anthropic: Any = import_module("anthropic")
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=url) as client:

        @asynccontextmanager
        async def ask(prompt: str) -> AsyncIterator[Any]:
            body = {"model": CLAUDE, "max_tokens": TOKENS, "messages": _messages(prompt)}
            if helper:
                async with client.messages.stream(**body) as stream:
                    yield stream
                    await stream.get_final_message()
            else:
                yield await client.messages.create(**body, stream=True)

        yield ask


@asynccontextmanager
async def _openai(helper: bool, url: str) -> AsyncIterator[Any]:
    openai: Any = import_module("openai")
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1") as client:

        @asynccontextmanager
        async def ask(prompt: str) -> AsyncIterator[Any]:
            body = {"model": GPT, "messages": _messages(prompt)}
            if helper:
                async with client.chat.completions.stream(**body) as stream:
                    yield stream
                    await stream.get_final_completion()
            else:
                yield await client.chat.completions.create(**body, stream=True)

        yield ask


# --- others


@asynccontextmanager
async def _litellm(dialect: str, url: str) -> AsyncIterator[Any]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch its prices
    litellm: Any = import_module("litellm")
    model, address = f"anthropic/{CLAUDE}", url
    if dialect == "openai_chat":
        model, address = f"openai/{GPT}", f"{url}/v1"

    @asynccontextmanager
    async def ask(prompt: str) -> AsyncIterator[Any]:
        yield await litellm.acompletion(
            model=model,
            api_base=address,
            api_key=KEY,
            messages=_messages(prompt),
            max_tokens=TOKENS,
            stream=True,
        )

    yield ask


@asynccontextmanager
async def _pydantic_ai(dialect: str, url: str) -> AsyncIterator[Any]:
    direct: Any = import_module("pydantic_ai.direct")
    request: Any = import_module("pydantic_ai").ModelRequest
    family, version = ("anthropic", "") if dialect == "anthropic" else ("openai", "/v1")
    models: Any = import_module(f"pydantic_ai.models.{family}")
    providers: Any = import_module(f"pydantic_ai.providers.{family}")
    if dialect == "anthropic":
        provider = providers.AnthropicProvider(api_key=KEY, base_url=url)
        model = models.AnthropicModel(CLAUDE, provider=provider)
    else:
        provider = providers.OpenAIProvider(api_key=KEY, base_url=url + version)
        model = models.OpenAIChatModel(GPT, provider=provider)

    @asynccontextmanager
    async def ask(prompt: str) -> AsyncIterator[Any]:
        asked = [request.user_text_prompt(prompt)]
        async with direct.model_request_stream(model, asked) as stream:
            yield stream

    yield ask


# --- all


def _clients(dialect: str) -> Iterator[Client]:
    """Those that speak a dialect, from the barest on."""
    bare = partial(Client, dialect=dialect)
    httpx, sse = ("httpx",), ("httpx-sse", "httpx", "msgspec")
    tools = ("httptools", "msgspec")

    def floor(reading: str, loop: str) -> Any:
        return partial(_floor, dialect, reading, loop)

    yield bare(RAW, packages=(), open=floor("Split", "asyncio"), texts=_no_texts, decodes=False)
    yield bare(FLOOR, packages=tools, open=floor("Parsed", "asyncio"), texts=_public_texts)
    yield bare(
        TRIO_FLOOR,
        packages=("trio", *tools),
        open=floor("Parsed", "trio"),
        texts=_public_texts,
        kind="trio",
    )
    for name, full in ((AIOHTTP_RAW, False), (AIOHTTP_FULL, True)):
        yield bare(
            name,
            packages=("aiohttp",),
            open=partial(_aiohttp, dialect, full),
            texts=_public_texts if full else _no_texts,
            place=AIOHTTP,
            decodes=full,
        )
    yield bare(
        "httpx, bytes only",
        packages=httpx,
        open=partial(_httpx_raw, dialect),
        texts=_no_texts,
        decodes=False,
    )
    yield bare(OURS_ASYNC, packages=OURS, open=partial(_ours, dialect), texts=_public_texts)
    yield bare(
        OURS_SYNC,
        packages=OURS,
        open=partial(_ours_sync, dialect),
        texts=_public_texts,
        kind="sync",
    )
    yield bare(
        OURS_TRIO,
        packages=("trio", *OURS),
        open=partial(_ours, dialect),
        texts=_public_texts,
        kind="trio",
    )
    yield bare(
        "httpx-sse + msgspec", packages=sse, open=partial(_httpx_sse, dialect), texts=_wire_texts
    )


def _peers(dialect: str) -> Iterator[Client]:
    slow = partial(Client, dialect=dialect, share=0.1)
    if dialect == "anthropic":
        for name, helper in (("anthropic create", False), ("anthropic .stream()", True)):
            yield slow(
                name,
                packages=("anthropic",),
                open=partial(_anthropic, helper),
                texts=_text_events if helper else _delta_texts,
            )
        packages = ("dhenara-ai", "anthropic")
        for name, open_, kind in (
            ("dhenara-ai", _dhenara, "asyncio"),
            ("dhenara-ai sync", _dhenara_sync, "sync"),
        ):
            yield slow(
                name, packages=packages, open=open_, texts=_public_texts, place=DHENARA, kind=kind
            )
    else:
        for name, helper in (("openai create", False), ("openai .stream()", True)):
            yield slow(
                name,
                packages=("openai",),
                open=partial(_openai, helper),
                texts=_content_texts if helper else _choice_texts,
            )
    yield slow(
        "pydantic-ai",
        packages=("pydantic-ai-slim", "anthropic" if dialect == "anthropic" else "openai"),
        open=partial(_pydantic_ai, dialect),
        texts=_part_texts,
        place=PYDANTIC_AI,
    )
    yield slow(
        "litellm",
        packages=("litellm",),
        open=partial(_litellm, dialect),
        texts=_choice_texts,
        place=LITELLM,
    )


CLIENTS = tuple(
    client for dialect in PATHS for make in (_clients, _peers) for client in make(dialect)
)
