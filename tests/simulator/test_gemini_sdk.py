"""Google's own SDK is the judge: it reads the simulator's answers, of both services.

It is tried on asyncio only, for it runs nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from simulator.test_gemini import (
    ANSWER,
    ARGS,
    BLOCKED,
    EVERYTHING,
    NEW,
    OLD,
    WEATHER,
    WEATHER_PROMPT,
    ask,
    endpoint,
    facts,
)

from dhenara_stream.simulator import (
    Answer,
    ErrorEvent,
    Respond,
    Simulator,
    Thinking,
    ToolCall,
    Usage,
    fingerprint,
)
from dhenara_stream.types.genai.foundation_models.google.chat import Gemini25Flash

Dict = dict[str, Any]

FUNCTION: Any = {
    "function_declarations": [
        {
            "name": "get_weather",
            "description": "The weather in a city.",
            "parameters_json_schema": WEATHER.function.parameters.to_schema(),
        }
    ]
}
CALLING = {"function_calling_config": {"stream_function_call_arguments": True}}
SHOWN: Dict = {"thinking_config": {"include_thoughts": True}}


@pytest.fixture(scope="module", params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The one event loop that the SDK runs on."""
    name: str = request.param
    return name


PLACES: dict[str, Dict] = {
    "gemini": {"api_key": "AIzaTest"},
    "vertex": {
        "vertexai": True,
        "project": "p",
        "location": "europe-west1",
        "credentials": Credentials("ya29.token"),  # type: ignore[no-untyped-call]
    },
    "express": {"vertexai": True, "api_key": "AIzaTest"},
}


def client_of(sim: Simulator, place: str = "gemini", **options: Any) -> genai.Client:
    options = {"base_url": sim.url, **options}
    return genai.Client(http_options=types.HttpOptions(**options), **PLACES[place])


def call(model: str = OLD, contents: Any = "Hi", **config: Any) -> Any:
    config["automatic_function_calling"] = {"disable": True}
    return {"model": model, "contents": contents, "config": config}


def streamed(sim: Simulator, place: str = "gemini", **fields: Any) -> list[Any]:
    with client_of(sim, place) as client:
        return list(client.models.generate_content_stream(**call(**fields)))


async def astreamed(sim: Simulator, place: str = "gemini", **fields: Any) -> list[Any]:
    async with client_of(sim, place).aio as client:
        stream = await client.models.generate_content_stream(**call(**fields))
        return [chunk async for chunk in stream]


def parts(chunks: Iterable[Any]) -> list[Any]:
    contents = [chunk.candidates[0].content for chunk in chunks]
    return [part for content in contents if content for part in content.parts or ()]


def functions(chunks: Iterable[Any]) -> list[Any]:
    return [part.function_call for part in parts(chunks) if part.function_call]


def texts(chunks: Iterable[Any], *, thought: bool = False) -> str:
    found = [part for part in parts(chunks) if bool(part.thought) == thought]
    return "".join(part.text or "" for part in found)


def calls(chunks: Iterable[Any]) -> list[tuple[str, Any]]:
    return [(function.name, function.args) for function in functions(chunks)]


def check_answer(chunks: list[Any]) -> None:
    assert texts(chunks, thought=True) == "Let me think."
    assert texts(chunks) == "The weather,"
    assert calls(chunks) == [("get_weather", {"city": "Paris", "days": 3})]
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    usage = chunks[-1].usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (44, 33)
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (17, 5)
    assert usage.total_token_count == 66


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sim", [{"answers": ANSWER}], indirect=True)
def test_a_scripted_answer(sim: Simulator, place: str) -> None:
    check_answer(streamed(sim, place, **SHOWN))
    with client_of(sim, place) as client:
        check_answer([client.models.generate_content(**call(**SHOWN))])
    key = "ya29.token" if place == "vertex" else "AIzaTest"
    assert sim.requests[0].key_fingerprint == fingerprint(key)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("asim", [{"answers": ANSWER}], indirect=True)
async def test_a_scripted_answer_async(asim: Simulator, place: str) -> None:
    check_answer(await astreamed(asim, place, **SHOWN))
    async with client_of(asim, place).aio as client:
        check_answer([await client.models.generate_content(**call(**SHOWN))])


@pytest.mark.parametrize("wire", ["byte", "all", 13])
async def test_a_scripted_answer_in_other_pieces(wire: Any) -> None:
    async with Simulator(ANSWER, wire=wire) as sim:
        check_answer(await astreamed(sim, **SHOWN))


async def test_our_client_reads_the_same() -> None:
    async with Simulator(ANSWER) as sim:
        chunks = await astreamed(sim, **SHOWN)
        ours = await ask(endpoint(sim.url, Gemini25Flash), ["Hi"], reasoning=True)
    found = facts(ours)
    assert found[:3] == (texts(chunks), texts(chunks, thought=True), calls(chunks))
    last = chunks[-1].usage_metadata
    assert found[4] == last.model_dump(by_alias=True, exclude_none=True, mode="json")


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_each_version_is_served(sim: Simulator, version: str) -> None:
    with client_of(sim, api_version=version) as client:
        assert client.models.generate_content(**call()).text
    assert sim.requests[0].path.startswith(f"/{version}/")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("asim", [{"answers": EVERYTHING}], indirect=True)
async def test_every_field_is_one_that_the_sdk_knows(asim: Simulator, place: str) -> None:
    chunks = await astreamed(asim, place)
    (code,) = [part.executable_code for part in parts(chunks) if part.executable_code]
    assert code.code == "1"
    assert chunks[-1].usage_metadata.tool_use_prompt_token_count == 3
    told = [chunk.candidates[0].grounding_metadata for chunk in chunks]
    grounded = [grounding for grounding in told if grounding]
    assert grounded[-1].grounding_chunks[0].web.uri == "https://example.com"


@pytest.mark.parametrize("place", ["gemini", "vertex"])
async def test_a_conversation_with_a_tool_and_thinking(asim: Simulator, place: str) -> None:
    fields = {"model": NEW, "tools": [FUNCTION], **SHOWN}
    first = await astreamed(asim, place, contents=WEATHER_PROMPT, **fields)
    (function,) = functions(first)
    assert (function.name, function.args) == ("get_weather", {"city": "example city", "days": 3})
    said = types.Content(role="model", parts=[part for part in parts(first) if part.function_call])
    result = types.Part.from_function_response(name=function.name, response={"output": "18 C"})
    contents = [
        types.Content(role="user", parts=[types.Part(text=WEATHER_PROMPT)]),
        said,
        types.Content(role="user", parts=[result]),
    ]
    second = await astreamed(asim, place, contents=contents, **fields)
    assert "18 C" in texts(second)
    assert said.parts
    said.parts[0].thought_signature = b"other"
    with pytest.raises(errors.ClientError, match=r"(?i)thought signature"):
        await astreamed(asim, place, contents=contents, **fields)
    said.parts[0].thought_signature = None
    with pytest.raises(errors.ClientError, match=r"is missing a `?thought_signature"):
        await astreamed(asim, place, contents=contents, **fields)


async def test_a_chat_goes_on(asim: Simulator) -> None:
    async with client_of(asim).aio as client:
        chat = client.chats.create(model=NEW, config=types.GenerateContentConfig(**SHOWN))
        for prompt in ("One", "Two"):
            stream = await chat.send_message_stream(prompt)
            assert f'You asked "{prompt}"' in texts([chunk async for chunk in stream])
    assert [turn["role"] for turn in asim.requests[-1].json["contents"]][-1] == "user"


def test_a_python_function_is_called(sim: Simulator) -> None:
    asked: list[str] = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "18 degrees"

    with client_of(sim) as client:
        response = client.models.generate_content(
            model=NEW,
            contents=WEATHER_PROMPT,
            config=types.GenerateContentConfig(tools=[get_weather]),
        )
    assert asked == ["example city"]
    assert "18 degrees" in (response.text or "")


async def test_structured_output(asim: Simulator) -> None:
    schema = {"type": "OBJECT", "properties": {"answer": {"type": "INTEGER"}}}
    config: Dict = {"response_mime_type": "application/json", "response_schema": schema}
    async with client_of(asim).aio as client:
        response = await client.models.generate_content(**call(**config))
    assert response.parsed == {"answer": 1}
    assert texts(await astreamed(asim, **config)) == '{"answer":1}'


@pytest.mark.parametrize("sim", [{"answers": Answer(ToolCall("f", ARGS))}], indirect=True)
def test_arguments_in_pieces(sim: Simulator) -> None:
    tools = [{"function_declarations": [{"name": "f"}]}]
    found = functions(streamed(sim, "vertex", model=NEW, tools=tools, tool_config=CALLING))
    assert (found[0].name, found[0].will_continue) == ("f", True)
    paths = [it.json_path for function in found for it in function.partial_args or ()]
    assert "$.days[2].deep" in paths


def test_limits_and_candidates(sim: Simulator) -> None:
    cut = streamed(sim, max_output_tokens=3)
    assert cut[-1].candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert cut[-1].usage_metadata.candidates_token_count == 3
    stopped = streamed(sim, stop_sequences=["simulator"])
    assert texts(stopped).endswith("and this is the ")
    with client_of(sim) as client:
        several = client.models.generate_content(**call(candidate_count=2))
    assert [candidate.index for candidate in several.candidates or ()] == [0, 1]


@pytest.mark.parametrize("sim", [{"answers": Answer(BLOCKED)}], indirect=True)
def test_a_blocked_prompt(sim: Simulator) -> None:
    (chunk,) = streamed(sim)
    assert chunk.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT
    assert not chunk.candidates


@pytest.mark.parametrize(
    "sim",
    [{"answers": Answer(Thinking("Hm."), "Hi", usage=Usage(input_tokens=1), id="me", model="m")}],
    indirect=True,
)
def test_what_vertex_adds(sim: Simulator) -> None:
    last = streamed(sim, "vertex")[-1]
    assert last.usage_metadata.traffic_type == types.TrafficType.ON_DEMAND
    assert last.create_time
    assert (last.response_id, last.model_version) == ("me", "m")


ERRORS: list[tuple[int, type[errors.APIError], str]] = [
    (400, errors.ClientError, "INVALID_ARGUMENT"),
    (403, errors.ClientError, "PERMISSION_DENIED"),
    (404, errors.ClientError, "NOT_FOUND"),
    (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
    (500, errors.ServerError, "INTERNAL"),
    (503, errors.ServerError, "UNAVAILABLE"),
]


@pytest.mark.parametrize(("status", "kind", "word"), ERRORS)
def test_errors(status: int, kind: type[errors.APIError], word: str) -> None:
    with Simulator(faults=Respond(status)) as sim, pytest.raises(kind) as caught:
        streamed(sim)
    assert (caught.value.code, caught.value.status) == (status, word)


@pytest.mark.parametrize(("status", "kind", "word"), ERRORS)
async def test_errors_async(status: int, kind: type[errors.APIError], word: str) -> None:
    async with Simulator(faults=Respond(status)) as sim:
        with pytest.raises(kind) as caught:
            await astreamed(sim)
    assert (caught.value.code, caught.value.status) == (status, word)


def test_an_error_in_the_stream() -> None:
    with Simulator(faults=ErrorEvent(deltas=2)) as sim, pytest.raises(errors.ServerError) as caught:
        streamed(sim)
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")


async def test_an_error_in_the_stream_async() -> None:
    async with Simulator(faults=ErrorEvent(deltas=2, type="RESOURCE_EXHAUSTED")) as sim:
        with pytest.raises(errors.ClientError) as caught:
            await astreamed(sim)
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")


def test_a_request_that_is_refused_says_why(sim: Simulator) -> None:
    with pytest.raises(errors.ClientError, match=r"temperature must be in the range \[0, 2\]"):
        streamed(sim, temperature=3)
