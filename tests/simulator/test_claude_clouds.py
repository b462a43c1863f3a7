"""Claude on Bedrock and on Vertex AI: our client, over sockets and in memory, on asyncio, on trio
and without an event loop, has what it has from the model's makers; the official SDK reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import pytest
from anthropic.lib.bedrock import AnthropicBedrock, AsyncAnthropicBedrock
from anthropic.lib.vertex import AnthropicVertex, AsyncAnthropicVertex
from engine.support import PERSON, WEATHER, error_of, is_complete, read, text_of
from simulator.peer import SCRIPT

from dhenara_stream import AIModelClient
from dhenara_stream.simulator import (
    Answer,
    ErrorEvent,
    Fault,
    Malformed,
    OnlyPings,
    Respond,
    Simulator,
)
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelCallResponse,
    AIModelEndpoint,
    ChatResponse,
    ToolCallResult,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeSonnet45

KEY = "canary-0123456789"
REGION = {"region": "us-east-1"}
ACCOUNTS: dict[str, dict[str, Any]] = {
    "makers": {"provider": AIModelAPIProviderEnum.ANTHROPIC, "api_key": KEY},
    "bedrock, signed": {
        "provider": AIModelAPIProviderEnum.AMAZON_BEDROCK,
        "credentials": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": KEY},
        "config": REGION,
    },
    "bedrock, for a session": {
        "provider": AIModelAPIProviderEnum.AMAZON_BEDROCK,
        "credentials": {
            "access_key_id": "ASIAEXAMPLE",
            "secret_access_key": KEY,
            "session_token": f"{KEY}-of-a-session",
        },
        "config": REGION,
    },
    "bedrock, with a bearer token": {
        "provider": AIModelAPIProviderEnum.AMAZON_BEDROCK,
        "api_key": KEY,
        "config": REGION,
    },
    "vertex": {
        "provider": AIModelAPIProviderEnum.GOOGLE_VERTEX_AI,
        "credentials": {"access_token": KEY},
        "config": {"project_id": "p", "location": "us-east5"},
    },
}
CLOUDS = [name for name in ACCOUNTS if name != "makers"]


def client(cloud: str, url: str | None, *, is_async: bool = True, **settings: Any) -> AIModelClient:
    account = dict(ACCOUNTS[cloud])
    if url is not None:
        account["config"] = {**account.get("config", {}), "base_url": url}
    config = AIModelCallConfig(**{"streaming": True, "retries": 1, "timeout": 60.0, **settings})
    endpoint = AIModelEndpoint(api=AIModelAPI(**account), ai_model=ClaudeSonnet45)
    return AIModelClient(endpoint, config, is_async)


async def answered(at: AIModelClient, messages: list[Any]) -> ChatResponse:
    """The answer, which has to be complete."""
    async with at:
        response = await at.generate_async(messages=messages)
        return _answer(response, await read(response) if response.stream_generator else [])


def answered_sync(at: AIModelClient, messages: list[Any]) -> ChatResponse:
    with at:
        response = at.generate(messages=messages)
        return _answer(response, list(response.stream_generator or ()))


def _answer(response: AIModelCallResponse, items: list[Any]) -> ChatResponse:
    assert is_complete(items) or not items
    answer = items[-1][1].chat_response if items else response.chat_response
    assert isinstance(answer, ChatResponse), response.status
    return answer


def content(answer: ChatResponse) -> dict[str, Any]:
    """All but ids, which are each answer's own."""
    choice = answer.choices[0]
    assert answer.usage
    return {
        "text": answer.text(),
        "reasoning": answer.reasoning(),
        "blocks": [item.type for item in choice.contents or []],
        "tools": [(call.name, call.arguments) for call in answer.tools()],
        "finish": (choice.finish_reason, choice.native_finish_reason),
        "usage": (
            answer.usage.prompt_tokens,
            answer.usage.completion_tokens,
            answer.usage.cache_read_tokens,
            answer.usage.reasoning_tokens,
        ),
    }


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("wire", ["event", 13, "all"])
async def test_the_answer_is_that_of_the_makers(cloud: str, wire: Any) -> None:
    async with Simulator(SCRIPT, wire=wire) as sim:
        expected = content(await answered(client("makers", sim.url), ["Hi"]))
        assert expected["text"] == "The weather, then."
        assert content(await answered(client(cloud, sim.url), ["Hi"])) == expected
        whole = await answered(client(cloud, sim.url, streaming=False), ["Hi"])
        assert content(whole) == expected


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_answer_is_the_same_without_an_event_loop(cloud: str) -> None:
    with Simulator(SCRIPT) as sim:
        expected = content(answered_sync(client("makers", sim.url, is_async=False), ["Hi"]))
        for streaming in (True, False):
            at = client(cloud, sim.url, is_async=False, streaming=streaming)
            assert content(answered_sync(at, ["Hi"])) == expected


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_the_answer_is_the_same_in_test_mode(cloud: str) -> None:
    expected = await answered(client("makers", None, test_mode=True), ["Hi"])
    answer = await answered(client(cloud, None, test_mode=True), ["Hi"])
    assert answer.text() == expected.text()


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("streaming", [True, False])
async def test_thinking_and_the_result_of_a_tool_go_back(cloud: str, streaming: bool) -> None:
    settings: dict[str, Any] = {
        "streaming": streaming,
        "tools": [WEATHER],
        "reasoning": True,
        "max_output_tokens": 4000,
        "max_reasoning_tokens": 1024,
    }
    async with Simulator() as sim:
        messages: list[Any] = ["How is the weather in Paris?"]
        first = await answered(client(cloud, sim.url, **settings), messages)
        [call] = first.tools()
        assert first.reasoning()
        assert call.name == "get_weather"
        messages += [
            first.to_message_item(),
            ToolCallResult(call_id=call.call_id, output="18 degrees"),
        ]
        second = await answered(client(cloud, sim.url, **settings), messages)
        assert "18 degrees" in (second.text() or "")
        assert [record.status for record in sim.requests] == [200, 200]


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_structured_output(cloud: str) -> None:
    async with Simulator() as sim:
        at = client(cloud, sim.url, structured_output=PERSON)
        answer = await answered(at, ["Who are you?"])
        assert set(answer.structured() or {}) == {"name"}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        (Respond(400), "InvalidRequestError", 400),
        (Respond(403), "AuthenticationError", 403),
        (Respond(429), "RateLimitError", 429),
        (Respond(500), "ServerError", 500),
        (Respond(503), "OverloadedError", 503),
        (Malformed(deltas=1), "ProtocolError", None),
    ],
    ids=str,
)
async def test_errors(cloud: str, fault: Fault, error: str, status: int | None) -> None:
    async with Simulator(Answer("Hello there"), faults=fault) as sim:
        async with client(cloud, sim.url) as at:
            items = await read(await at.generate_async(prompt="Hi"))
        facts = error_of(items)
        assert facts["error_type"] == error
        if status is not None:
            assert facts["http_status"] == status


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_an_error_in_the_stream_keeps_what_came(cloud: str) -> None:
    async with Simulator(Answer("Hello there"), faults=ErrorEvent(deltas=1)) as sim:
        async with client(cloud, sim.url) as at:
            items = await read(await at.generate_async(prompt="Hi"))
        assert text_of(items) == "Hello"
        assert error_of(items)["error_type"] == "OverloadedError"
        whole = await client(cloud, sim.url, streaming=False).generate_async(prompt="Hi")
        assert whole.status is not None
        assert whole.status.successful is False


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_pings_are_no_content(cloud: str) -> None:
    fault = OnlyPings(deltas=1, interval=0.01)
    async with (
        Simulator(Answer("Hello there"), faults=fault) as sim,
        client(cloud, sim.url, content_idle_timeout=0.1) as at,
    ):
        items = await read(await at.generate_async(prompt="Hi"))
        assert text_of(items) == "Hello"
        assert error_of(items)["error_type"] == "ContentIdleTimeout"


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_no_secret_is_recorded(cloud: str) -> None:
    async with Simulator() as sim:
        await answered(client(cloud, sim.url), ["Hi"])
        [record] = sim.requests
        assert KEY not in repr(record)
        assert KEY not in str(record.headers)
        assert record.authenticated


# --- the official SDK


@dataclass(frozen=True)
class Official:
    """The official SDK's clients of a cloud, where they find a simulator, and as whom."""

    kind: Any
    async_kind: Any
    model: str
    address: Callable[[Simulator], str]
    account: dict[str, str]

    def client(self, sim: Simulator) -> Any:
        return self.kind(base_url=self.address(sim), max_retries=0, **self.account)

    def async_client(self, sim: Simulator) -> Any:
        return self.async_kind(base_url=self.address(sim), max_retries=0, **self.account)

    def call(self, **fields: Any) -> Any:
        messages = [{"role": "user", "content": "Hi"}]
        return {"model": self.model, "max_tokens": 2000, "messages": messages, **fields}


OFFICIAL = {
    "bedrock": Official(
        AnthropicBedrock,
        AsyncAnthropicBedrock,
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        lambda sim: sim.url,
        {"aws_region": "us-east-1", "api_key": "key"},
    ),
    "vertex": Official(
        AnthropicVertex,
        AsyncAnthropicVertex,
        "claude-sonnet-4-5@20250929",
        lambda sim: sim.base_urls["ANTHROPIC_VERTEX_BASE_URL"],
        {"region": "us-east5", "project_id": "p", "access_token": "token"},
    ),
}


@pytest.fixture(params=OFFICIAL)
def official(request: pytest.FixtureRequest) -> Official:
    if request.param == "bedrock":
        pytest.importorskip("botocore.eventstream", reason="the SDK reads frames with it")
    return OFFICIAL[request.param]


def check_script(message: Any) -> None:
    thinking, text, tool = message.content
    assert (thinking.thinking, text.text) == ("Let me think about it.", "The weather, then.")
    assert (tool.id, tool.name, tool.input) == ("toolu_1", "get_weather", {"city": "Paris"})
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (11, 22)


def test_the_sdk_reads_an_answer(official: Official) -> None:
    with Simulator(SCRIPT) as sim, official.client(sim) as client:
        with client.messages.stream(**official.call()) as stream:
            check_script(stream.get_final_message())
        check_script(client.messages.create(**official.call()))


async def test_the_sdk_reads_an_answer_async(official: Official) -> None:
    async with Simulator(SCRIPT) as sim, official.async_client(sim) as client:
        async with client.messages.stream(**official.call()) as stream:
            check_script(await stream.get_final_message())
        check_script(await client.messages.create(**official.call()))


def test_the_sdk_sends_the_result_of_a_tool(official: Official) -> None:
    tool = {"name": "get_weather", "input_schema": {"type": "object", "properties": {}}}
    messages: Any = [{"role": "user", "content": "How is the weather?"}]
    call = official.call(
        tools=[tool], messages=messages, thinking={"type": "enabled", "budget_tokens": 1024}
    )
    with Simulator() as sim, official.client(sim) as client:
        with client.messages.stream(**call) as stream:
            first = stream.get_final_message()
        result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "Rain"}
        said = [block.model_dump(exclude_none=True) for block in first.content]
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": [result]}]
        assert "Rain" in client.messages.create(**call).content[0].text


@pytest.mark.parametrize(
    ("official", "status", "kind"),
    [
        ("bedrock", 400, anthropic.BadRequestError),
        ("bedrock", 403, anthropic.PermissionDeniedError),
        ("bedrock", 429, anthropic.RateLimitError),
        ("bedrock", 503, anthropic.InternalServerError),
        ("vertex", 400, anthropic.BadRequestError),
        ("vertex", 401, anthropic.AuthenticationError),
        ("vertex", 429, anthropic.RateLimitError),
        ("vertex", 529, anthropic.InternalServerError),
    ],
    indirect=["official"],
)
def test_the_sdk_reads_errors(
    official: Official, status: int, kind: type[anthropic.APIStatusError]
) -> None:
    failure = pytest.raises(kind)
    with Simulator(faults=Respond(status)) as sim, official.client(sim) as client, failure:
        client.messages.create(**official.call())


# The SDK leaves the generators it gave up to the garbage collector, and trio warns of them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("official", "fault", "kind", "message"),
    [
        (
            "bedrock",
            ErrorEvent(deltas=1, type="throttlingException"),
            anthropic.APIError,
            "Too many requests",
        ),
        ("vertex", ErrorEvent(deltas=1), anthropic.APIStatusError, "Overloaded"),
    ],
    indirect=["official"],
)
async def test_the_sdk_reads_an_error_within_a_stream(
    official: Official, fault: Fault, kind: type[anthropic.APIError], message: str
) -> None:
    async with Simulator(faults=fault) as sim, official.async_client(sim) as client:
        with pytest.raises(kind, match=message):
            async with client.messages.stream(**official.call()) as stream:
                await stream.get_final_message()
