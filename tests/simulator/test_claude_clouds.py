"""Claude on Bedrock and on Vertex AI: our client, over sockets and in memory, on asyncio, on trio
and without an event loop, has what it has from the model's makers."""

from __future__ import annotations

from typing import Any

import pytest
from engine.support import error_of, is_complete, read, text_of

from dhenara_stream import AIModelClient
from dhenara_stream.simulator import (
    Answer,
    ErrorEvent,
    Fault,
    Malformed,
    OnlyPings,
    Respond,
    Simulator,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelCallResponse,
    AIModelEndpoint,
    ChatResponse,
    FunctionDefinition,
    FunctionParameter,
    FunctionParameters,
    StructuredOutputConfig,
    ToolCallResult,
    ToolDefinition,
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
SCRIPT = Answer(
    Thinking("Let me think about it."),
    Text("The weather, then."),
    ToolCall("get_weather", {"city": "Paris"}),
    usage=Usage(input_tokens=11, output_tokens=22, cache_read_tokens=33),
)
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
