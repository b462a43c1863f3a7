"""A key is sent to the provider, and seen nowhere else."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from engine.support import KEY, LONG, client_of, error_of, read, sync_client

import dhenara_stream
from dhenara_stream import AIModelClient, ConfigError, DhenaraStreamError
from dhenara_stream.simulator import (
    Answer,
    CleanCut,
    Drop,
    ErrorEvent,
    Fault,
    Malformed,
    Reset,
    Respond,
    Silence,
    Simulator,
    TornChunk,
    fingerprint,
)
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45

pytestmark = pytest.mark.usefixtures("every_road")

CANARY = "canary-0123456789"
PACKAGE = str(Path(dhenara_stream.__file__).parent)
assert CANARY in KEY


def assert_clean(*values: Any) -> None:
    """No value shows the key, however it is looked at."""
    for value in values:
        for text in shown(value):
            assert CANARY not in text


def shown(value: Any) -> Iterator[str]:
    yield from (repr(value), str(value), f"{value}", f"{value!s:>10}")
    if hasattr(value, "model_dump"):
        yield str(value.model_dump())
        yield value.model_dump_json()
    if isinstance(value, BaseException):
        yield from chain_of(value)


def chain_of(error: BaseException) -> Iterator[str]:
    """All that a logger may write of an exception: its chain, and the locals of our frames."""
    link: BaseException | None = error
    while link is not None:
        yield repr(link) + str(link.args) + str(getattr(link, "__dict__", ""))
        yield "".join(traceback.format_exception(link))
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if frame.f_code.co_filename.startswith(PACKAGE):
                name = frame.f_code.co_qualname
                yield f"{name}: { ({k: repr(v) for k, v in frame.f_locals.items()}) }"
        link = link.__cause__ or link.__context__


FAULTS: list[Fault | None] = [
    None,
    Respond(400),
    Respond(401, message=f"invalid x-api-key {KEY}"),
    Respond(403, body={"error": {"message": f"the key {KEY} may not", "key": KEY}}),
    Respond(404, body=f"<html>{KEY}</html>"),
    Respond(429, retry_after=99),
    Respond(500, body=f"{{'x-api-key': '{KEY}'}}"),
    Respond(529),
    Respond(200, body=f"<html>you sent {KEY}</html>"),
    Respond(200, body={"error": {"type": "api_error", "message": KEY}}),
    Respond(307, headers={"location": "http://me:canary@127.0.0.1:9/"}),
    ErrorEvent(message=f"bad key {KEY}"),
    ErrorEvent(deltas=2, message=f"bad key {KEY}"),
    Malformed(raw=f"data: {{{KEY}\n\n".encode(), deltas=1),
    CleanCut(deltas=2),
    TornChunk(deltas=2),
    Drop(),
    Reset(),
    Drop(deltas=1),
    Silence(),
    Silence(deltas=1),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: repr(fault).replace(KEY, "KEY")[:60])
async def test_no_way_that_a_call_can_go_shows_the_key(
    fault: Fault | None, every_road: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings: dict[str, Any] = {"first_event_timeout": 0.1, "idle_timeout": 0.1, "retries": 1}
    async with Simulator(LONG, faults=fault) as sim:
        async with client_of(sim.url, **settings) as client:
            response = await client.generate_async(prompt="Hi")
            items = await read(response)
            assert_clean(client, response, response.snapshot(), response.status, *items)
            assert_clean(*(part for item in items for part in item))
        async with client_of(sim.url, **settings, raise_errors=True) as client:
            if fault is not None:
                with pytest.raises(DhenaraStreamError) as caught:
                    await read(await client.generate_async(prompt="Hi"))
                pickled = pickle.dumps(caught.value)
                assert CANARY.encode() not in pickled
                assert_clean(caught.value, pickle.loads(pickled))
        assert {request.key_fingerprint for request in sim.requests} == {fingerprint(KEY)}
    assert every_road == "own" or any(it.name.startswith("httpcore") for it in caplog.records)
    assert_clean(caplog.text, *(record.__dict__ for record in caplog.records))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://nobody.invalid"])
async def test_no_way_that_connecting_can_fail_shows_the_key(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = client_of(url, retries=1, raise_errors=True)
    with pytest.raises(DhenaraStreamError) as caught:
        await read(await client.generate_async(prompt="Hi"))
    assert_clean(caught.value, caplog.text)
    await client.aclose()


async def test_the_account_and_what_is_made_of_it_do_not_show_the_key() -> None:
    client = client_of("http://127.0.0.1:9", options={"temperature": 0.5})
    endpoint = client.model_endpoint
    call = client._call("Hi", None, None, None)  # pyright: ignore[reportPrivateUsage]
    things = [
        client,
        endpoint,
        endpoint.api,
        client.config,
        call,
        call.request,
        call.request.headers,
    ]
    assert_clean(*things, copy.deepcopy(endpoint), copy.copy(endpoint.api))
    assert CANARY.encode() not in pickle.dumps(endpoint)
    assert_clean(pickle.loads(pickle.dumps(endpoint)))


async def test_a_header_of_the_config_is_a_secret_too() -> None:
    headers = {"x-token": f"token-{CANARY}", "authorization": f"Bearer {CANARY}"}
    async with Simulator(faults=Respond(400, message=f"token-{CANARY}")) as sim:
        config = {"base_url": sim.url, "headers": headers}
        endpoint = account(config=config)
        async with AIModelClient(endpoint, AIModelCallConfig(streaming=True)) as client:
            response = await client.generate_async(prompt="Hi")
            items = await read(response)
            assert_clean(client, endpoint, endpoint.api, response, *items)
            assert_clean(client._call("Hi", None, None, None))  # pyright: ignore[reportPrivateUsage]
    assert CANARY.encode() not in pickle.dumps(endpoint)


def account(key: str | None = KEY, config: dict[str, Any] | None = None) -> AIModelEndpoint:
    api = AIModelAPI(provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=key, config=config or {})
    return AIModelEndpoint(api=api, ai_model=ClaudeHaiku45)


@pytest.mark.parametrize(
    "key",
    [
        f"{KEY}\r",
        f"{KEY}\n",
        f" {KEY}",
        f"{KEY} and more",
        f"{KEY}\t",
        f"{KEY}\x00",
        f"{KEY}\x7f",
        f"{KEY}é",
        f"{KEY}\u200b",
        "",
    ],
    ids=ascii,
)
def test_a_key_that_cannot_be_sent_is_refused_without_an_echo(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        account(key)
    assert isinstance(caught.value, ValueError)
    assert "api_key" in str(caught.value)
    assert_clean(caught.value)


@pytest.mark.parametrize(
    "value", [f"{CANARY}\r\nx: y", f"{CANARY}\x00", f"{CANARY}é", f"{CANARY} ", 3]
)
def test_a_header_that_cannot_be_sent_is_refused_without_an_echo(value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        account(config={"headers": {"x-token": value}})
    assert "headers" in str(caught.value)
    assert_clean(caught.value)


async def test_a_header_that_http_refuses_is_not_echoed() -> None:
    headers = {"x-token": f" {CANARY}"}
    config = AIModelCallConfig(raise_errors=True, options={"extra_headers": headers})
    async with Simulator(Answer("Hi")) as sim:
        endpoint = account(config={"base_url": sim.url})
        with pytest.raises(DhenaraStreamError) as caught:
            await AIModelClient(endpoint, config).generate_async(prompt="Hi")
        assert "not valid HTTP" in str(caught.value)
        assert_clean(caught.value)


def test_an_account_that_went_through_a_pickle_says_that_its_key_is_missing() -> None:
    endpoint = pickle.loads(pickle.dumps(account()))
    client = AIModelClient(endpoint, is_async=False)
    with pytest.raises(ConfigError, match="keys do not travel") as caught:
        client.generate(prompt="Hi")
    assert_clean(caught.value)


def test_a_sync_client_does_not_show_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        Simulator(faults=Respond(401, message=KEY)) as sim,
        sync_client(sim.url, raise_errors=True) as client,
    ):
        with pytest.raises(DhenaraStreamError) as caught:
            list(client.generate(prompt="Hi").stream_generator)
        assert_clean(client, caught.value, caplog.text)


async def test_an_answer_may_hold_what_looks_like_the_key() -> None:
    async with Simulator(Answer(f"Is it {KEY}?")) as sim, client_of(sim.url) as client:
        items = await read(await client.generate_async(prompt="Hi"))
        assert items[-1][1].chat_response.text() == f"Is it {KEY}?"


async def test_an_exception_of_a_transport_of_the_callers_keeps_the_key_to_itself() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("broken", request=request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as own:
        client = client_of("http://x", http_client=own, raise_errors=True, retries=1)
        with pytest.raises(DhenaraStreamError) as caught:
            await read(await client.generate_async(prompt="Hi"))
    assert_clean(caught.value)
    await anyio.lowlevel.checkpoint()


async def test_a_short_header_is_not_cut_out_of_messages() -> None:
    headers = {"extra_headers": {"x-flag": "1"}}
    refusal = Respond(404, message="no model 1 at /v1")
    async with Simulator(faults=refusal) as sim, client_of(sim.url, options=headers) as client:
        error = error_of(await read(await client.generate_async(prompt="Hi")))
    assert "no model 1 at /v1" in error["message"]
