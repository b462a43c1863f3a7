"""Our own client against OpenAI Responses: over sockets, in memory, at Azure's address."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from simulator.responses_peer import EVERYTHING, WEATHER

from dhenara_stream import AIModelClient, OverloadedError
from dhenara_stream.simulator import (
    Answer,
    ErrorEvent,
    OpenEnd,
    Refusal,
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
    AIModelEndpoint,
    BaseAIModel,
    ToolCallResult,
    ToolDefinition,
)
from dhenara_stream.types.genai.foundation_models.openai.chat import GPT4oMini, GPT5Mini
from dhenara_stream.types.shared import SSEErrorResponse

SCRIPT = Answer(
    Thinking("First.\n\nSecond."),
    Text("Hello there."),
    ToolCall("get_weather", {"city": "Paris"}),
    usage=Usage(input_tokens=11, output_tokens=22, cache_read_tokens=33),
)


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"18 degrees in {city}"


def azure(url: str, **config: Any) -> AIModelAPI:
    return AIModelAPI(
        provider=AIModelAPIProviderEnum.MICROSOFT_OPENAI,
        api_key="key-of-azure",
        config={"endpoint": url, **config},
    )


def openai(url: str) -> AIModelAPI:
    return AIModelAPI(
        provider=AIModelAPIProviderEnum.OPEN_AI,
        api_key="sk-test-key",
        config={"base_url": f"{url}/v1"},
    )


def client(
    api: AIModelAPI, *, is_async: bool = True, model: BaseAIModel = GPT5Mini, **config: Any
) -> AIModelClient:
    settings: dict[str, Any] = {"retry_delay": 0.0, "timeout": 10.0, "raise_errors": True, **config}
    endpoint = AIModelEndpoint(api=api, ai_model=model)
    return AIModelClient(endpoint, AIModelCallConfig(**settings), is_async)


async def ask(of: AIModelClient, **arguments: Any) -> Any:
    """What comes back in the end."""
    async with of:
        response = await of.generate_async(**(arguments or {"prompt": "Hi"}))
        if response.chat_response is not None:
            return response.chat_response
        async with response.stream_generator as stream:
            finals = [final async for _, final in stream if final is not None]
        return finals[0].chat_response


def ask_sync(of: AIModelClient) -> Any:
    with of:
        response = of.generate(prompt="Hi")
        if response.chat_response is not None:
            return response.chat_response
        *_, (_, final) = response.stream_generator
        return final.chat_response


ASKED: dict[str, Any] = {
    "reasoning": True,
    "tools": [ToolDefinition.from_callable(get_weather)],
}


def said(response: Any) -> dict[str, Any]:
    """What a response says, without what each request has of its own."""
    return {
        "text": response.text(),
        "reasoning": response.reasoning(),
        "refusal": response.refusal(),
        "calls": [(call.name, call.arguments) for call in (t.tool_call for t in response.tools())],
        "kinds": [content.type for content in response.choices[0].contents],
        "finish": response.choices[0].finish_reason,
        "usage": response.usage,
    }


def check_script(response: Any) -> None:
    found = said(response)
    assert found["text"] == "Hello there."
    assert found["reasoning"] == "First.\n\nSecond."
    assert found["calls"] == [("get_weather", {"city": "Paris"})]
    assert found["finish"] == "tool_calls"
    usage = found["usage"]
    assert (usage.prompt_tokens, usage.completion_tokens) == (44, 22)


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_scripted_answer(streaming: bool) -> None:
    async with Simulator(SCRIPT) as sim:
        check_script(await ask(client(openai(sim.url), streaming=streaming, **ASKED)))
        check_script(await ask(client(azure(sim.url), streaming=streaming, **ASKED)))
        dated = azure(sim.url, api_version="2025-04-01-preview")
        check_script(await ask(client(dated, streaming=streaming, **ASKED)))
    assert [record.path for record in sim.requests] == [
        "/v1/responses",
        "/openai/v1/responses",
        "/openai/responses",
    ]


@pytest.mark.parametrize("streaming", [True, False])
def test_a_scripted_answer_without_an_event_loop(streaming: bool) -> None:
    with Simulator(SCRIPT) as sim:
        api = openai(sim.url)
        check_script(ask_sync(client(api, is_async=False, streaming=streaming, **ASKED)))


@pytest.mark.parametrize("wire", ["all", 97])
async def test_a_scripted_answer_in_other_pieces(wire: Any) -> None:
    async with Simulator(SCRIPT, wire=wire) as sim:
        check_script(await ask(client(openai(sim.url), streaming=True, **ASKED)))


@pytest.mark.parametrize(
    "answer",
    [
        EVERYTHING,
        SCRIPT,
        Answer(Refusal("I will not.")),
        Answer("Cut", stop_reason="length"),
        Answer("Cut", stop_reason="content_filter"),
    ],
)
async def test_streamed_and_whole_are_read_alike(answer: Answer) -> None:
    async with Simulator(answer) as sim:
        options = {"include": ["message.output_text.logprobs"]}
        fields = {**ASKED, "model": GPT4oMini, "options": options, "reasoning": False}
        streamed = await ask(client(openai(sim.url), streaming=True, **fields))
        whole = await ask(client(openai(sim.url), **fields))
    assert said(streamed) == said(whole)


async def test_a_generated_conversation_with_a_tool() -> None:
    async with Simulator() as sim:
        messages: list[Any] = ["How is the weather in Paris?"]
        first = await ask(client(openai(sim.url), streaming=True, **ASKED), messages=messages)
        assert first.reasoning().startswith("The user asks")
        (call,) = first.tools()
        messages.append(first.to_message_item())
        result = get_weather(**call.tool_call.arguments)
        messages.append(ToolCallResult(call_id=call.tool_call.call_id, output=result))
        second = await ask(client(openai(sim.url), streaming=True, **ASKED), messages=messages)
        assert "18 degrees in example city" in second.text()
    sent = sim.requests[1].json["input"]
    kinds = [item.get("type") for item in sent]
    assert kinds == [None, "reasoning", "function_call", "function_call_output"]
    assert sent[1]["encrypted_content"]


async def test_structured_output() -> None:
    class City(msgspec.Struct):
        name: str
        population: int

    async with Simulator() as sim:
        response = await ask(client(openai(sim.url), streaming=True, structured_output=City))
    assert isinstance(response.structured_instance(), City)


@pytest.mark.parametrize("api", [openai("http://nowhere"), azure("http://nowhere")])
@pytest.mark.parametrize("streaming", [True, False])
async def test_without_a_network(api: AIModelAPI, streaming: bool) -> None:
    response = await ask(client(api, streaming=streaming, test_mode=True, **ASKED))
    assert response.text().startswith('You asked "Hi"')
    assert response.reasoning()


async def test_an_error_status() -> None:
    async with Simulator(faults=[Respond(503), None]) as sim:
        assert (await ask(client(openai(sim.url), streaming=True))).text()
    assert [record.status for record in sim.requests] == [503, 200]


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_error_in_the_stream(streaming: bool) -> None:
    async with Simulator(faults=ErrorEvent(deltas=2)) as sim:
        with pytest.raises(OverloadedError):
            await ask(client(openai(sim.url), streaming=streaming, retries=1))


async def test_a_response_that_failed() -> None:
    async with Simulator(Answer("Hm", stop_reason="failed")) as sim:
        of = client(openai(sim.url), streaming=True, raise_errors=False, retries=1)
        async with of:
            response = await of.generate_async(prompt="Hi")
            items = [item async for item in response.stream_generator]
    last = items[-1][0]
    assert isinstance(last, SSEErrorResponse)
    assert (last.data.details or {})["code"] == "server_error"


async def test_what_follows_the_end_is_not_waited_for() -> None:
    async with Simulator(Answer("Hi"), faults=OpenEnd(ping_interval=0.01)) as sim:
        assert (await ask(client(openai(sim.url), streaming=True))).text() == "Hi"


def test_the_tool_of_these_tests_is_the_one_that_is_asked_for() -> None:
    assert ToolDefinition.from_callable(get_weather).function.name == WEATHER["name"]
