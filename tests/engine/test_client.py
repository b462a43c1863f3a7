"""The client: its arguments, and the errors that name what is wrong with them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from engine.support import KEY, client_of, endpoint, read, sync_client, text_of

from dhenara_stream import AIModelClient, ConfigError
from dhenara_stream.simulator import Answer, Simulator
from dhenara_stream.types import AIModelCallConfig, Prompt, PromptMessageRoleEnum


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("model_endpoint", {"model_endpoint": "claude"}),
        ("model_endpoint", {"model_endpoint": None}),
        ("config", {"config": {"streaming": True}}),
        ("http_client", {"http_client": "proxy"}),
    ],
)
def test_an_argument_of_a_wrong_type_is_named(name: str, arguments: dict[str, Any]) -> None:
    right: dict[str, Any] = {"model_endpoint": endpoint("http://x")}
    with pytest.raises(ConfigError, match=name):
        AIModelClient(**(right | arguments))


def test_a_sync_http_client_is_told_from_an_async_one() -> None:
    wrong: Any = httpx.Client()
    with pytest.raises(ConfigError, match=r"AsyncClient.*also under a sync client"):
        sync_client("http://x", http_client=wrong)
    wrong.close()


async def test_a_client_of_the_callers_has_no_place_in_test_mode() -> None:
    async with httpx.AsyncClient() as own:
        with pytest.raises(ConfigError, match="http_client: not used in test_mode"):
            client_of("http://x", http_client=own, test_mode=True)


def test_without_a_config_calls_are_made_in_the_usual_way() -> None:
    client = AIModelClient(endpoint("http://x"))
    assert client.config == AIModelCallConfig()
    assert client.is_async


def test_a_client_says_what_it_calls() -> None:
    assert repr(client_of("http://x")) == "<AIModelClient claude-haiku-4-5 at anthropic, async>"
    assert repr(sync_client("http://x")) == "<AIModelClient claude-haiku-4-5 at anthropic, sync>"
    assert KEY not in repr(client_of("http://x"))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"prompt": 3},
        {"prompt": "Hi", "messages": ["Hello"]},
        {"prompt": "Hi", "context": [3]},
        {"prompt": "Hi", "instructions": [3]},
        {"messages": []},
    ],
    ids=str,
)
def test_wrong_arguments_of_a_call_are_refused_before_anything_is_sent(
    arguments: dict[str, Any],
) -> None:
    with Simulator() as sim, sync_client(sim.url) as client:
        with pytest.raises(ConfigError):
            client.generate(**arguments)
        assert sim.requests == []


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"prompt": "Hi"}, ["Hi"]),
        ({"prompt": Prompt(role=PromptMessageRoleEnum.USER, text="Hi")}, ["Hi"]),
        (
            {"prompt": "And now?", "context": ["Hi", {"role": "assistant", "text": "Hello"}]},
            ["Hi", "Hello", "And now?"],
        ),
        ({"messages": ["Hi"]}, ["Hi"]),
    ],
    ids=str,
)
async def test_what_is_said_is_sent(arguments: dict[str, Any], sent: list[str]) -> None:
    async with Simulator(Answer("Yes")) as sim, client_of(sim.url) as client:
        response = await client.generate_async(**arguments, instructions="Be kind.")
        assert text_of(await read(response)) == "Yes"
        [request] = sim.requests
        messages = request.json["messages"]
        content = [part for message in messages for part in texts(message["content"])]
        assert content == sent
        assert "Be kind." in str(request.json["system"])


def texts(content: Any) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content]


async def test_the_other_names_of_a_call() -> None:
    async with Simulator(Answer("Hi")) as sim, client_of(sim.url) as client:
        for call in (
            client.generate_with_existing_connection_async,
            client.generate_with_existing_connection,
        ):
            assert text_of(await read(await call(prompt="Hi"))) == "Hi"
        await client.cleanup_async()
    with Simulator(Answer("Hi")) as sim, sync_client(sim.url) as client:
        for call in (
            client.generate_with_existing_connection_sync,
            client.generate_with_existing_connection,
        ):
            assert text_of(list(call(prompt="Hi").stream_generator)) == "Hi"
        client.cleanup_sync()
