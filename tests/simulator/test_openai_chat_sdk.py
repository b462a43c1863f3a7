"""The official SDK and our own client are the judges: both read the simulator's answers alike."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from simulator.peer import WEATHER_SCHEMA

from dhenara_stream import AIModelClient
from dhenara_stream.simulator import (
    Answer,
    ErrorEvent,
    Refusal,
    Respond,
    Simulator,
    Thinking,
    ToolCall,
    Usage,
    fingerprint,
)
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    ChatResponse,
    SSEErrorResponse,
    StructuredOutputConfig,
    ToolCallResult,
    ToolCallResultsMessage,
    ToolDefinition,
)
from dhenara_stream.types.genai.ai_model import (
    AIModelProviderEnum,
    ChatModelSettings,
    FoundationModel,
)
from dhenara_stream.types.genai.foundation_models.deepseek.chat import DeepseekV4Pro
from dhenara_stream.types.genai.foundation_models.openai.chat import GPT5Mini, GPT41Mini

# The SDK leaves generators to the garbage collector at the end of a stream; trio says so.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator '(openai|http):ResourceWarning")

KEY = "sk-simulated"
PROMPT: Any = [{"role": "user", "content": "Hi"}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": WEATHER_SCHEMA},
}


def call(**fields: Any) -> Any:
    return {"model": "gpt-4o", "messages": PROMPT, **fields}


def sdk(sim: Simulator, **keywords: Any) -> OpenAI:
    return OpenAI(base_url=f"{sim.url}/v1", api_key=KEY, max_retries=0, **keywords)


def async_sdk(sim: Simulator) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{sim.url}/v1", api_key=KEY, max_retries=0)


def streamed(sim: Simulator, client: OpenAI | None = None, **fields: Any) -> Any:
    state = ChatCompletionStreamState()
    with client or sdk(sim) as opened:
        for chunk in opened.chat.completions.create(**call(**fields), stream=True):
            state.handle_chunk(chunk)
    return state.current_completion_snapshot


async def astreamed(sim: Simulator, client: AsyncOpenAI | None = None, **fields: Any) -> Any:
    state = ChatCompletionStreamState()
    async with client or async_sdk(sim) as opened:
        async for chunk in await opened.chat.completions.create(**call(**fields), stream=True):
            state.handle_chunk(chunk)
    return state.current_completion_snapshot


SCRIPT = Answer(
    Thinking("Let me think about it."),
    "The weather, then.",
    ToolCall("get_weather", {"city": "Paris", "days": 3}, id="call_1"),
    ToolCall("get_weather", {"city": "Rome"}, id="call_2"),
    usage=Usage(input_tokens=11, output_tokens=22, cache_read_tokens=33),
)
USAGE = {"include_usage": True}


def check_script(completion: Any, *, shown: bool = False) -> None:
    choice = completion.choices[0]
    assert choice.message.content == "The weather, then."
    assert getattr(choice.message, "reasoning_content", None) == (
        "Let me think about it." if shown else None
    )
    called = [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls]
    assert called == [
        ("call_1", "get_weather", '{"city":"Paris","days":3}'),
        ("call_2", "get_weather", '{"city":"Rome"}'),
    ]
    assert choice.finish_reason == "tool_calls"
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (44, 22, 66)
    assert usage.prompt_tokens_details.cached_tokens == 33
    assert usage.completion_tokens_details.reasoning_tokens == 5


@pytest.mark.parametrize("sim", [{"answers": SCRIPT}], indirect=True)
def test_a_scripted_answer(sim: Simulator) -> None:
    check_script(streamed(sim, stream_options=USAGE))
    with sdk(sim) as client:
        check_script(client.chat.completions.create(**call()))
        check_script(client.chat.completions.create(**call(model="deepseek-chat")), shown=True)
    assert sim.requests[0].key_fingerprint == fingerprint(KEY)


@pytest.mark.parametrize("asim", [{"answers": SCRIPT}], indirect=True)
async def test_a_scripted_answer_async(asim: Simulator) -> None:
    check_script(await astreamed(asim, stream_options=USAGE))
    async with async_sdk(asim) as client:
        check_script(await client.chat.completions.create(**call()))


@pytest.mark.parametrize("wire", ["byte", "all", 13])
async def test_a_scripted_answer_in_other_pieces(wire: Any) -> None:
    async with Simulator(SCRIPT, wire=wire) as sim:
        fields: Any = {"model": "deepseek-v4-pro", "stream_options": USAGE}
        check_script(await astreamed(sim, **fields), shown=True)


def test_generated_text_comes_in_pieces(sim: Simulator) -> None:
    with sdk(sim) as client, client.chat.completions.stream(**call()) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        assert len(pieces) > 20
        assert "".join(pieces) == stream.get_final_completion().choices[0].message.content


async def test_structured_output(asim: Simulator) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "integer"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    form = {"name": "answer", "schema": schema, "strict": True}
    format_ = {"type": "json_schema", "json_schema": form}
    completion = await astreamed(asim, response_format=format_)
    assert completion.choices[0].message.content == '{"answer":1}'
    ask: Any = [{"role": "user", "content": "Answer in JSON"}]
    completion = await astreamed(asim, messages=ask, response_format={"type": "json_object"})
    assert completion.choices[0].message.content == '{"answer":"example answer"}'


def test_several_choices_and_probabilities(sim: Simulator) -> None:
    completion = streamed(sim, n=3, logprobs=True, top_logprobs=2)
    assert len({choice.message.content for choice in completion.choices}) == 1
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    tokens = completion.choices[2].logprobs.content
    assert "".join(token.token for token in tokens) == completion.choices[2].message.content


async def test_a_conversation_with_a_tool(asim: Simulator) -> None:
    messages: Any = [{"role": "user", "content": "How is the weather in Paris?"}]
    first = await astreamed(asim, tools=[WEATHER], messages=messages)
    (tool,) = first.choices[0].message.tool_calls
    assert tool.function.arguments == '{"city":"example city","unit":"celsius","days":3}'
    messages += [
        {
            "role": "assistant",
            "tool_calls": [{"id": tool.id, "type": "function", "function": dict(tool.function)}],
        },
        {"role": "tool", "tool_call_id": tool.id, "content": "18 degrees"},
    ]
    for called in messages[1]["tool_calls"]:
        called["function"].pop("parsed_arguments", None)
    second = await astreamed(asim, tools=[WEATHER], messages=messages)
    assert "18 degrees" in second.choices[0].message.content
    del messages[2]
    with pytest.raises(openai.BadRequestError, match="did not have response messages"):
        await astreamed(asim, tools=[WEATHER], messages=messages)


def test_custom_tools_and_functions_of_old(sim: Simulator) -> None:
    tools: Any = [{"type": "custom", "custom": {"name": "c"}}]
    with sdk(sim) as client:
        completion: Any = client.chat.completions.create(
            **call(tools=tools, tool_choice="required")
        )
        (custom,) = completion.choices[0].message.tool_calls
        assert (custom.type, custom.custom.input) == ("custom", "example input")
        completion = client.chat.completions.create(
            **call(functions=[WEATHER["function"]], function_call={"name": "get_weather"})
        )
    assert completion.choices[0].message.function_call.name == "get_weather"
    assert completion.choices[0].finish_reason == "function_call"


def test_limits_and_stops(sim: Simulator) -> None:
    cut = streamed(sim, max_completion_tokens=3, stream_options=USAGE)
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 3)
    stopped = streamed(sim, stop="simulator")
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.choices[0].message.content.endswith("this is the ")
    reasoner = streamed(sim, model="o3", max_completion_tokens=3, stream_options=USAGE)
    assert reasoner.choices[0].message.content == ""
    assert reasoner.usage.completion_tokens_details.reasoning_tokens == 3


@pytest.mark.parametrize("sim", [{"answers": Answer(Refusal("Not that."))}], indirect=True)
def test_a_refusal(sim: Simulator) -> None:
    message = streamed(sim).choices[0].message
    assert (message.refusal, message.content) == ("Not that.", None)


ERRORS: list[tuple[int, type[openai.APIStatusError], str | None]] = [
    (400, openai.BadRequestError, None),
    (401, openai.AuthenticationError, "invalid_api_key"),
    (403, openai.PermissionDeniedError, "unsupported_country_region_territory"),
    (404, openai.NotFoundError, "model_not_found"),
    (429, openai.RateLimitError, "rate_limit_exceeded"),
    (500, openai.InternalServerError, None),
    (503, openai.InternalServerError, "server_is_overloaded"),
]


@pytest.mark.parametrize(("status", "kind", "code"), ERRORS)
async def test_errors(status: int, kind: type[openai.APIStatusError], code: str | None) -> None:
    async with Simulator(faults=Respond(status)) as sim:
        with pytest.raises(kind) as caught:
            await astreamed(sim)
    error = caught.value
    assert (error.status_code, error.code) == (status, code)
    assert (error.request_id or "").startswith("req_")


def test_an_error_sync() -> None:
    with Simulator(faults=Respond(429)) as sim, pytest.raises(openai.RateLimitError):
        streamed(sim)


def test_an_error_in_the_stream() -> None:
    failure = pytest.raises(openai.APIError)
    with Simulator(faults=ErrorEvent(deltas=2)) as sim, failure as caught:
        streamed(sim)
    assert caught.value.code == "server_is_overloaded"


async def test_an_error_in_the_stream_async() -> None:
    async with Simulator(faults=ErrorEvent(type="server_error", deltas=2)) as sim:
        with pytest.raises(openai.APIError) as caught:
            await astreamed(sim)
    assert caught.value.type == "server_error"


def test_a_retried_call_gets_the_answer_it_was_to_get() -> None:
    faults = [Respond(503, headers={"retry-after-ms": "1"}), None]
    with Simulator([Answer("One."), Answer("Two.")], faults=faults) as sim:
        client = OpenAI(base_url=f"{sim.url}/v1", api_key=KEY, max_retries=1)
        assert streamed(sim, client).choices[0].message.content == "One."
        assert [record.status for record in sim.requests] == [503, 200]


# --- Azure


def test_azure(sim: Simulator) -> None:
    keywords: Any = {"azure_endpoint": sim.url, "api_version": "2024-10-21", "max_retries": 0}
    completion = streamed(sim, AzureOpenAI(api_key=KEY, **keywords))
    assert "simulator" in completion.choices[0].message.content
    with AzureOpenAI(azure_ad_token="ey.J.x", **keywords) as client:
        whole: Any = client.chat.completions.create(**call())
    assert whole.choices[0].message.content == completion.choices[0].message.content
    assert whole.prompt_filter_results[0]["prompt_index"] == 0
    assert sim.requests[0].path == "/openai/deployments/gpt-4o/chat/completions"
    assert sim.requests[0].query == "api-version=2024-10-21"


async def test_azure_async(asim: Simulator) -> None:
    keywords: Any = {"azure_endpoint": asim.url, "api_version": "2024-10-21", "max_retries": 0}
    client = AsyncAzureOpenAI(api_key=KEY, **keywords)
    completion = await astreamed(asim, client)
    assert "simulator" in completion.choices[0].message.content


def test_azures_errors_in_the_sdk() -> None:
    with Simulator(faults=[Respond(429), Respond(400, type="content_filter")]) as sim:
        keywords: Any = {"azure_endpoint": sim.url, "api_version": "2024-10-21", "max_retries": 0}
        with AzureOpenAI(api_key=KEY, **keywords) as client:
            with pytest.raises(openai.RateLimitError, match="exceeded call rate limit"):
                client.chat.completions.create(**call())
            with pytest.raises(openai.BadRequestError) as caught:
                client.chat.completions.create(**call())
    assert caught.value.code == "content_filter"


# --- our own client


def model(name: str, *, reasons: bool = False) -> FoundationModel:
    """A model that the catalogue does not have."""
    settings = ChatModelSettings(
        max_context_window_tokens=100_000,
        max_output_tokens=8_000,
        supports_reasoning=reasons,
        reasoning_control="effort" if reasons else "none",
        supported_reasoning_efforts=("low", "high") if reasons else None,
    )
    return FoundationModel(
        model_name=name,
        display_name=name,
        provider=AIModelProviderEnum.CUSTOM,
        settings=settings,
        order=0,
    )


P = AIModelAPIProviderEnum
CHAT = {"api": "chat_completions"}
PLACES: dict[str, tuple[P, FoundationModel, str, dict[str, Any]]] = {
    "openai": (P.OPEN_AI, GPT41Mini, "/v1", CHAT),
    "openai, reasoning": (P.OPEN_AI, GPT5Mini, "", CHAT),
    "deepseek": (P.DEEPSEEK, DeepseekV4Pro, "", {}),
    "azure, dated": (P.MICROSOFT_OPENAI, GPT41Mini, "", {**CHAT, "api_version": "2024-10-21"}),
    "azure": (P.MICROSOFT_OPENAI, GPT5Mini, "", CHAT),
    "openrouter": (
        P.OPENAI_COMPATIBLE,
        model("a/b", reasons=True),
        "/api/v1",
        {"service": "openrouter"},
    ),
    "groq": (P.OPENAI_COMPATIBLE, model("llama"), "/openai/v1", {"service": "groq"}),
    "mistral": (P.OPENAI_COMPATIBLE, model("mistral"), "/v1", {"service": "mistral"}),
    "perplexity": (P.OPENAI_COMPATIBLE, model("sonar"), "", {"service": "perplexity"}),
    "fireworks": (P.OPENAI_COMPATIBLE, model("x"), "/inference/v1", {"service": "fireworks"}),
    "ollama": (P.OPENAI_COMPATIBLE, model("y"), "/v1", {"service": "ollama"}),
    "anything": (P.OPENAI_COMPATIBLE, model("z"), "/some/where/v2", {}),
}
SHOWN = ("deepseek", "openrouter")  # those that are asked to think, and show it
TOOLLESS = ("perplexity",)


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"{city}: 21 degrees"


def endpoint(place: str, url: str) -> AIModelEndpoint:
    provider, foundation, path, config = PLACES[place]
    key = "gsk_simulated" if place == "groq" else KEY
    api = AIModelAPI(provider=provider, api_key=key, config={**config, "base_url": url + path})
    return AIModelEndpoint(api=api, ai_model=foundation)


def config_of(place: str, **fields: Any) -> AIModelCallConfig:
    return AIModelCallConfig(reasoning=place in SHOWN, **fields)


async def answered(client: AIModelClient, **said: Any) -> ChatResponse:
    """The answer, however it comes; of a stream the chunks must add up to it."""
    response = await client.generate_async(**said)
    if response.chat_response is not None:
        return response.chat_response
    assert client.config.streaming, response.status
    text = ""
    async for chunk, final in response.stream_generator:
        assert not isinstance(chunk, SSEErrorResponse), chunk
        for choice in chunk.data.choice_deltas if chunk else ():
            for content in choice.content_deltas or ():
                text += (content.get_text_delta() or "") if content.type == "text" else ""
        if final is not None:
            answer: ChatResponse = final.chat_response
            assert text == (answer.text() or "")
            return answer
    raise AssertionError("the stream ended without an answer")


def told(answer: ChatResponse) -> dict[str, Any]:
    """What an answer says, without what each answer has of its own."""
    usage = answer.usage
    assert usage is not None
    return {
        "text": answer.text(),
        "reasoning": answer.reasoning(),
        "calls": [(tool.name, tool.arguments) for tool in answer.tools()],
        "finish": answer.choices[0].finish_reason,
        "usage": (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
    }


@pytest.mark.parametrize("place", PLACES)
async def test_our_client_is_answered_everywhere(place: str) -> None:
    said = []
    async with Simulator() as sim:
        for streaming in (True, False):
            config = config_of(place, streaming=streaming)
            async with AIModelClient(endpoint(place, sim.url), config) as client:
                said.append(told(await answered(client, prompt="Hi", instructions=["Be brief."])))
        assert {record.status for record in sim.requests} == {200}
    streamed_, whole = said
    assert streamed_ == whole
    assert "the simulator of dhenara_stream" in whole["text"]
    assert bool(whole["reasoning"]) is (place in SHOWN)


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("place", [place for place in PLACES if place not in TOOLLESS])
async def test_a_tool_round_trip_of_our_client(place: str, streaming: bool) -> None:
    config = config_of(
        place, streaming=streaming, tools=[ToolDefinition.from_callable(get_weather)]
    )
    async with Simulator() as sim, AIModelClient(endpoint(place, sim.url), config) as client:
        messages: list[Any] = ["What is the weather?"]
        first = await answered(client, messages=messages)
        (tool,) = first.tools()
        assert (tool.name, tool.arguments) == ("get_weather", {"city": "example city"})
        result = ToolCallResult(call_id=tool.call_id, output=get_weather(**tool.arguments))
        messages += [first, ToolCallResultsMessage(results=[result])]
        second = await answered(client, messages=messages)
        assert "21 degrees" in (second.text() or "")
        messages += [second, "Thanks"]
        assert "Thanks" in ((await answered(client, messages=messages)).text() or "")


async def test_what_is_not_replayed_is_refused() -> None:
    tools = [ToolDefinition.from_callable(get_weather)]
    config = AIModelCallConfig(streaming=False, reasoning=True, tools=tools)
    async with Simulator() as sim, AIModelClient(endpoint("deepseek", sim.url), config) as client:
        first = await answered(client, prompt="What is the weather?")
        assert first.reasoning()
        messages = sim.requests[0].json["messages"]
        function = {"name": "get_weather", "arguments": "{}"}
        tool = {"id": "call_1", "type": "function", "function": function}
        messages += [
            {"role": "assistant", "content": "", "tool_calls": [tool]},
            {"role": "tool", "tool_call_id": "call_1", "content": "x"},
        ]
        with pytest.raises(openai.BadRequestError, match="must be passed back"):
            await astreamed(sim, model="deepseek-v4-pro", messages=messages)


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("place", PLACES)
async def test_structured_output_of_our_client(place: str, streaming: bool) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    schema |= {"required": ["answer"]}
    output = StructuredOutputConfig(output_schema=schema)
    config = config_of(place, streaming=streaming, structured_output=output)
    async with Simulator() as sim, AIModelClient(endpoint(place, sim.url), config) as client:
        answer = await answered(client, prompt="Hi")
        assert answer.structured() == {"answer": "example answer"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("streaming", [True, False])
async def test_test_mode_answers_from_memory(place: str, streaming: bool) -> None:
    provider, foundation, _, config = PLACES[place]
    if provider == P.MICROSOFT_OPENAI or place == "anything":
        config = config | {"base_url": "https://x.openai.azure.com"}
    api = AIModelAPI(provider=provider, api_key=KEY, config=config)
    place_ = AIModelEndpoint(api=api, ai_model=foundation)
    async with AIModelClient(place_, config_of(place, streaming=streaming, test_mode=True)) as own:
        assert "simulator" in ((await answered(own, prompt="Hi")).text() or "")


def test_our_client_without_an_event_loop(sim: Simulator) -> None:
    config = AIModelCallConfig(streaming=True)
    with AIModelClient(endpoint("deepseek", sim.url), config, is_async=False) as client:
        final = [final for _, final in client.generate(prompt="Hi").stream_generator][-1]
    assert "simulator" in (final.chat_response.text() or "")


@pytest.mark.parametrize("asim", [{"answers": SCRIPT}], indirect=True)
@pytest.mark.parametrize("name", ["gpt-4.1-mini", "deepseek-v4-pro"])
async def test_the_sdk_and_our_client_read_the_same(asim: Simulator, name: str) -> None:
    completion = await astreamed(asim, model=name, stream_options=USAGE)
    place = "openai" if name.startswith("gpt") else "deepseek"
    async with AIModelClient(
        endpoint(place, asim.url), AIModelCallConfig(streaming=True)
    ) as client:
        answer = await answered(client, prompt="Hi")
    message = completion.choices[0].message
    assert answer.text() == message.content
    assert (answer.reasoning() or None) == getattr(message, "reasoning_content", None)
    calls = [(call_.id, call_.function.name) for call_ in message.tool_calls]
    assert [(tool.call_id, tool.name) for tool in answer.tools()] == calls
    usage = answer.usage
    assert usage is not None
    assert usage.total_tokens == completion.usage.total_tokens
    assert usage.completion_tokens == completion.usage.completion_tokens


@pytest.mark.parametrize("asim", [{"faults": ErrorEvent(deltas=2)}], indirect=True)
@pytest.mark.parametrize("place", ["openai", "azure"])
async def test_our_client_sees_an_error_in_the_stream(asim: Simulator, place: str) -> None:
    config = AIModelCallConfig(streaming=True)
    async with AIModelClient(endpoint(place, asim.url), config) as client:
        response = await client.generate_async(prompt="Hi")
        errors = [
            chunk.data
            async for chunk, _ in response.stream_generator
            if isinstance(chunk, SSEErrorResponse)
        ]
    (error,) = errors
    assert (error.details or {})["http_status"] == 503
    assert "overloaded" in error.message
