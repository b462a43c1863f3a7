"""The provider's own SDK is the judge of OpenAI Responses, at OpenAI's address and at Azure's."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import BaseModel
from simulator.responses_peer import ALL_ASKED, ENCRYPTED, EVERYTHING, MODEL, SQL, WEATHER

from dhenara_stream.simulator import (
    Answer,
    ErrorEvent,
    Malformed,
    Respond,
    Simulator,
    Text,
    Thinking,
    ToolCall,
    Usage,
    fingerprint,
)
from dhenara_stream.simulator.openai_responses import OpenAIResponses

VERSION = "2025-04-01-preview"


def sync_client(sim: Simulator, **keywords: Any) -> OpenAI:
    return OpenAI(base_url=f"{sim.url}/v1", api_key="sk-test", max_retries=0, **keywords)


def async_client(sim: Simulator, **keywords: Any) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{sim.url}/v1", api_key="sk-test", max_retries=0, **keywords)


def call(**fields: Any) -> Any:
    return {"model": MODEL, "input": "Hi", **fields}


def streamed(client: OpenAI, **fields: Any) -> Any:
    with client, client.responses.stream(**call(**fields)) as stream:
        return stream.get_final_response()


async def astreamed(client: AsyncOpenAI, **fields: Any) -> Any:
    async with client, client.responses.stream(**call(**fields)) as stream:
        return await stream.get_final_response()


SCRIPT = Answer(
    Thinking("Let me think about it.\n\nYes."),
    Text("The weather, then."),
    ToolCall("get_weather", {"city": "Paris"}, id="call_1"),
    ToolCall("run_sql", "select 1"),
    usage=Usage(input_tokens=11, output_tokens=22, cache_read_tokens=33),
)


def check_script(response: Any) -> None:
    reasoning, message, function, custom = response.output
    assert [part.text for part in reasoning.summary] == ["Let me think about it.\n\nYes."]
    assert reasoning.encrypted_content
    assert message.content[0].text == response.output_text == "The weather, then."
    assert len(message.content[0].logprobs) == 3
    assert (function.call_id, function.name) == ("call_1", "get_weather")
    assert function.arguments == '{"city":"Paris"}'
    assert (custom.type, custom.input) == ("custom_tool_call", "select 1")
    assert response.status == "completed"
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (44, 22, 66)
    assert usage.input_tokens_details.cached_tokens == 33
    assert usage.output_tokens_details.reasoning_tokens == 6


@pytest.mark.parametrize("sim", [{"answers": SCRIPT}], indirect=True)
def test_a_scripted_answer(sim: Simulator) -> None:
    fields = {**ALL_ASKED, "model": "my-model"}
    check_script(streamed(sync_client(sim), **fields))
    with sync_client(sim) as client:
        check_script(client.responses.create(**call(**fields)))
    assert sim.requests[0].key_fingerprint == fingerprint("sk-test")


@pytest.mark.parametrize("asim", [{"answers": SCRIPT}], indirect=True)
async def test_a_scripted_answer_async(asim: Simulator) -> None:
    check_script(await astreamed(async_client(asim), **ALL_ASKED))
    async with async_client(asim) as client:
        check_script(await client.responses.create(**call(**ALL_ASKED)))


@pytest.mark.parametrize("wire", ["all", 97])
async def test_a_scripted_answer_in_other_pieces(wire: Any) -> None:
    async with Simulator(SCRIPT, wire=wire) as sim:
        check_script(await astreamed(async_client(sim), **ALL_ASKED))


async def test_a_short_answer_byte_by_byte() -> None:
    async with Simulator(Answer("Hi there"), wire="byte") as sim:
        assert (await astreamed(async_client(sim))).output_text == "Hi there"


@pytest.mark.parametrize("asim", [{"answers": EVERYTHING}], indirect=True)
async def test_every_item_is_read_alike_streamed_and_whole(asim: Simulator) -> None:
    async with async_client(asim) as client:
        whole = await client.responses.create(**call(**ALL_ASKED))
        events = [
            event async for event in await client.responses.create(**call(**ALL_ASKED, stream=True))
        ]
    last: Any = events[-1]
    assert last.type == "response.completed"
    own = {"id": None, "call_id": None, "encrypted_content": None}
    got = [item.model_dump() | own for item in last.response.output]
    assert got == [item.model_dump() | own for item in whole.output]
    assert last.response.usage == whole.usage
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_every_event_is_as_the_sdk_describes_it(sim: Simulator) -> None:
    with sync_client(sim, _strict_response_validation=True) as client:
        for fields in ({}, ALL_ASKED):
            for _ in client.responses.create(**call(**fields, stream=True)):
                pass
            assert client.responses.create(**call(**fields)).status == "completed"


def test_generated_text_comes_in_pieces(sim: Simulator) -> None:
    with sync_client(sim) as client, client.responses.stream(**call()) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert len(pieces) > 20
        assert "".join(pieces) == stream.get_final_response().output_text


async def test_structured_output(asim: Simulator) -> None:
    class Sum(BaseModel):
        answer: int

    async with async_client(asim) as client:
        response = await client.responses.parse(**call(text_format=Sum))
    assert response.output_parsed == Sum(answer=1)


async def test_a_conversation_with_a_tool_and_encrypted_reasoning(asim: Simulator) -> None:
    fields: Any = {
        "tools": [WEATHER, SQL],
        "store": False,
        "include": [ENCRYPTED],
        "input": [{"role": "user", "content": "How is the weather in Paris?"}],
    }
    first = await astreamed(async_client(asim), **fields)
    assert [item.type for item in first.output] == ["reasoning", "function_call"]
    tool = first.output[1]
    assert tool.arguments == '{"city":"example city"}'
    fields["input"] += [item.model_dump(exclude_none=True) for item in first.output]
    fields["input"][-1].pop("parsed_arguments", None)
    with pytest.raises(openai.BadRequestError, match="No tool output found for function call"):
        await astreamed(async_client(asim), **fields)
    fields["input"].append(
        {"type": "function_call_output", "call_id": tool.call_id, "output": "18 degrees"}
    )
    second = await astreamed(async_client(asim), **fields)
    assert "18 degrees" in second.output_text
    reasoning = fields["input"][1]
    reasoning["encrypted_content"] = "garbage" + reasoning["encrypted_content"]
    with pytest.raises(openai.BadRequestError, match="could not be verified") as caught:
        await astreamed(async_client(asim), **fields)
    assert caught.value.code == "invalid_encrypted_content"


def test_a_conversation_that_the_service_keeps(sim: Simulator) -> None:
    with sync_client(sim) as client:
        first = client.responses.create(**call(input="Run some SQL", tools=[SQL]))
        tool: Any = first.output[-1]
        assert (tool.type, tool.name) == ("custom_tool_call", "run_sql")
        result = {"type": "custom_tool_call_output", "call_id": tool.call_id, "output": "42 rows"}
        fields: Any = {"input": [result], "tools": [SQL], "previous_response_id": first.id}
        second = client.responses.create(**call(**fields))
        assert "42 rows" in second.output_text
        assert second.previous_response_id == first.id
        with pytest.raises(openai.BadRequestError, match="not found") as caught:
            client.responses.create(**call(previous_response_id="resp_other"))
    assert caught.value.code == "previous_response_not_found"


def test_a_forced_tool(sim: Simulator) -> None:
    choice = {"type": "function", "name": "get_weather"}
    response = streamed(sync_client(sim), tools=[WEATHER], tool_choice=choice)
    assert response.output[-1].name == "get_weather"


def test_an_answer_that_is_cut(sim: Simulator) -> None:
    with sync_client(sim) as client:
        events = list(client.responses.create(**call(max_output_tokens=16, stream=True)))
    last: Any = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.usage.output_tokens == 16


# --- errors ---

ERRORS: list[tuple[int, type[openai.APIStatusError], str | None]] = [
    (400, openai.BadRequestError, None),
    (401, openai.AuthenticationError, "invalid_api_key"),
    (403, openai.PermissionDeniedError, "unsupported_country_region_territory"),
    (404, openai.NotFoundError, "model_not_found"),
    (429, openai.RateLimitError, "rate_limit_exceeded"),
    (503, openai.InternalServerError, "server_is_overloaded"),
]


@pytest.mark.parametrize(("status", "kind", "code"), ERRORS)
def test_errors(status: int, kind: type[openai.APIStatusError], code: str | None) -> None:
    with Simulator(faults=Respond(status)) as sim, pytest.raises(kind) as caught:
        streamed(sync_client(sim))
    assert caught.value.status_code == status
    assert caught.value.code == code
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]


@pytest.mark.parametrize(("status", "kind", "code"), ERRORS)
async def test_errors_async(
    status: int, kind: type[openai.APIStatusError], code: str | None
) -> None:
    async with Simulator(faults=Respond(status)) as sim:
        with pytest.raises(kind) as caught:
            await astreamed(async_client(sim))
    assert caught.value.code == code


def test_a_refused_request_names_the_field(sim: Simulator) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        streamed(sync_client(sim), max_output_tokens=1)
    assert (caught.value.param, caught.value.code) == (
        "max_output_tokens",
        "integer_below_min_value",
    )


def test_an_error_in_the_stream() -> None:
    failure = pytest.raises(openai.APIError, match="overloaded")
    with Simulator(faults=ErrorEvent(deltas=2)) as sim, failure as caught:
        streamed(sync_client(sim))
    assert caught.value.code == "server_is_overloaded"


async def test_an_error_in_the_stream_async() -> None:
    async with Simulator(faults=ErrorEvent(deltas=2, type="rate_limit_exceeded")) as sim:
        with pytest.raises(openai.APIError, match="Rate limit") as caught:
            await astreamed(async_client(sim))
    assert caught.value.code == "rate_limit_exceeded"


def test_a_response_that_failed() -> None:
    script = Answer("Hm", stop_reason="failed", stop_details={"code": "invalid_prompt"})
    with Simulator(script) as sim, sync_client(sim) as client:
        *_, last = client.responses.create(**call(stream=True))
        whole = client.responses.create(**call())
    failed: Any = last
    assert failed.type == "response.failed"
    assert failed.response.error.code == "invalid_prompt"
    assert whole.status == "failed"
    assert whole.error == failed.response.error


def test_a_sign_of_life_disturbs_nobody() -> None:
    ping = Malformed(deltas=1, raw=OpenAIResponses().ping())
    with Simulator(Answer("Hi there"), faults=ping) as sim:
        assert streamed(sync_client(sim)).output_text == "Hi there"


def test_a_retried_call_gets_the_answer_it_was_to_get() -> None:
    faults = [Respond(503, headers={"retry-after-ms": "1"}), None]
    answers = [Answer("One."), Answer("Two.")]
    with Simulator(answers, faults=faults) as sim:
        client = OpenAI(base_url=f"{sim.url}/v1", api_key="sk-test", max_retries=1)
        assert streamed(client).output_text == "One."
        assert [record.status for record in sim.requests] == [503, 200]


# --- Azure ---


def azure(sim: Simulator, **keywords: Any) -> AzureOpenAI:
    return AzureOpenAI(
        azure_endpoint=sim.url, api_version=VERSION, api_key="key", max_retries=0, **keywords
    )


@pytest.mark.parametrize("sim", [{"answers": SCRIPT}], indirect=True)
def test_azure(sim: Simulator) -> None:
    check_script(streamed(azure(sim), **ALL_ASKED))
    with azure(sim) as client:
        check_script(client.responses.create(**call(**ALL_ASKED)))
    assert {record.path for record in sim.requests} == {"/openai/responses"}
    assert {record.query for record in sim.requests} == {f"api-version={VERSION}"}
    assert {record.key_fingerprint for record in sim.requests} == {fingerprint("key")}


@pytest.mark.parametrize("asim", [{"answers": SCRIPT}], indirect=True)
async def test_azure_with_a_token_of_entra(asim: Simulator) -> None:
    client = AsyncAzureOpenAI(
        azure_endpoint=asim.url, api_version=VERSION, azure_ad_token="token", max_retries=0
    )
    check_script(await astreamed(client, **ALL_ASKED))
    assert asim.requests[0].key_fingerprint == fingerprint("token")


@pytest.mark.parametrize("asim", [{"answers": SCRIPT}], indirect=True)
async def test_azure_without_a_date(asim: Simulator) -> None:
    base_url = f"{asim.url}/openai/v1/"
    client = AsyncOpenAI(base_url=base_url, api_key="token", max_retries=0)
    check_script(await astreamed(client, **ALL_ASKED))
    assert asim.requests[0].path == "/openai/v1/responses"


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Respond(401), openai.AuthenticationError, "401"),
        (Respond(429), openai.RateLimitError, "429"),
        (Respond(500), openai.InternalServerError, None),
    ],
)
def test_errors_of_azures(
    fault: Respond, kind: type[openai.APIStatusError], code: str | None
) -> None:
    with Simulator(faults=fault) as sim, pytest.raises(kind) as caught:
        streamed(azure(sim))
    assert caught.value.code == code
    assert caught.value.response.headers["apim-request-id"]


def test_an_error_in_a_stream_of_azures() -> None:
    failure = pytest.raises(openai.APIError, match="overloaded")
    with Simulator(faults=ErrorEvent(deltas=2)) as sim, failure:
        streamed(azure(sim))
