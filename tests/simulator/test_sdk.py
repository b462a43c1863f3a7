"""The provider's own SDK is the judge: it streams from the simulator and reads its answers."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from simulator.peer import EVERYTHING, MODEL, WEATHER_SCHEMA

from dhenara_stream.simulator import (
    Answer,
    ErrorEvent,
    Respond,
    Simulator,
    Text,
    Thinking,
    ToolCall,
    Usage,
    fingerprint,
)

PROMPT: Any = [{"role": "user", "content": "Hi"}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": WEATHER_SCHEMA,
}


def call(**fields: Any) -> Any:
    return {"model": MODEL, "max_tokens": 2000, "messages": PROMPT, **fields}


def sync_client(sim: Simulator, **keywords: Any) -> Anthropic:
    return Anthropic(base_url=sim.url, api_key="sk-test", max_retries=0, **keywords)


def async_client(sim: Simulator, **keywords: Any) -> AsyncAnthropic:
    return AsyncAnthropic(base_url=sim.url, api_key="sk-test", max_retries=0, **keywords)


def streamed(sim: Simulator, **fields: Any) -> Any:
    with sync_client(sim) as client, client.messages.stream(**call(**fields)) as stream:
        return stream.get_final_message()


async def astreamed(sim: Simulator, **fields: Any) -> Any:
    async with async_client(sim) as client, client.messages.stream(**call(**fields)) as stream:
        return await stream.get_final_message()


def contents(message: Any) -> list[dict[str, Any]]:
    """The blocks, without the fields that the SDK adds of its own."""
    own = {"parsed_output", "caller", "toolset_name", "citations"}
    dumped = [block.model_dump() for block in message.content]
    return [
        {name: value for name, value in block.items() if name not in own or value}
        for block in dumped
    ]


SCRIPT = Answer(
    Thinking("Let me think about it."),
    Text("The weather, then."),
    ToolCall("get_weather", {"city": "Paris", "days": 3}, id="toolu_1"),
    usage=Usage(input_tokens=11, output_tokens=22, cache_read_tokens=33, cache_write_tokens=44),
)


def check_script(message: Any) -> None:
    thinking, *rest = contents(message)
    assert thinking["thinking"] == "Let me think about it."
    assert rest == [
        {"type": "text", "text": "The weather, then."},
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "get_weather",
            "input": {"city": "Paris", "days": 3},
        },
    ]
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.output_tokens) == (11, 22)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (33, 44)
    assert usage.output_tokens_details.thinking_tokens == 5


@pytest.mark.parametrize("sim", [{"answers": SCRIPT}], indirect=True)
def test_a_scripted_answer(sim: Simulator) -> None:
    check_script(streamed(sim))
    with sync_client(sim) as client:
        check_script(client.messages.create(**call()))
    assert sim.requests[0].key_fingerprint == fingerprint("sk-test")


@pytest.mark.parametrize("asim", [{"answers": SCRIPT}], indirect=True)
async def test_a_scripted_answer_async(asim: Simulator) -> None:
    check_script(await astreamed(asim))
    async with async_client(asim) as client:
        check_script(await client.messages.create(**call()))


@pytest.mark.parametrize("wire", ["byte", "all", 13])
async def test_a_scripted_answer_in_other_pieces(wire: Any) -> None:
    async with Simulator(SCRIPT, wire=wire) as sim:
        check_script(await astreamed(sim))


@pytest.mark.parametrize("asim", [{"answers": EVERYTHING}], indirect=True)
async def test_every_block_is_read_alike_streamed_and_whole(asim: Simulator) -> None:
    message = await astreamed(asim)
    async with async_client(asim) as client:
        whole = await client.messages.create(**call())
    ids = [{"id": None} if block["type"] == "tool_use" else {} for block in contents(whole)]
    got = [block | id_ for block, id_ in zip(contents(message), ids, strict=True)]
    assert got == [block | id_ for block, id_ in zip(contents(whole), ids, strict=True)]
    assert message.usage == whole.usage
    assert (message.stop_reason, message.role) == (whole.stop_reason, whole.role)


def test_generated_text_comes_in_pieces(sim: Simulator) -> None:
    with sync_client(sim) as client, client.messages.stream(**call()) as stream:
        pieces = list(stream.text_stream)
        assert len(pieces) > 20
        assert "".join(pieces) == stream.get_final_text()
        assert stream.request_id == stream.response.headers["request-id"]


async def test_generated_thinking(asim: Simulator) -> None:
    message = await astreamed(asim, thinking={"type": "enabled", "budget_tokens": 1024})
    assert [block.type for block in message.content] == ["thinking", "text"]
    hidden = await astreamed(
        asim, model="claude-opus-4-8", thinking={"type": "adaptive", "display": "omitted"}
    )
    assert hidden.content[0].thinking == ""
    assert hidden.content[0].signature


async def test_structured_output(asim: Simulator) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "integer"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    format_ = {"format": {"type": "json_schema", "schema": schema}}
    message = await astreamed(asim, output_config=format_)
    assert message.content[0].text == '{"answer":1}'


async def test_a_conversation_with_a_tool_and_thinking(asim: Simulator) -> None:
    fields: Any = {
        "tools": [WEATHER],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": "How is the weather in Paris?"}],
    }
    first = await astreamed(asim, **fields)
    assert [block.type for block in first.content] == ["thinking", "tool_use"]
    tool = first.content[1]
    assert tool.input == {"city": "example city", "unit": "celsius", "days": 3}
    result = {"type": "tool_result", "tool_use_id": tool.id, "content": "18 degrees"}
    fields["messages"] += [
        {
            "role": "assistant",
            "content": [block.model_dump(exclude_none=True) for block in first.content],
        },
        {"role": "user", "content": [result]},
    ]
    second = await astreamed(asim, **fields)
    assert "18 degrees" in second.content[0].text
    fields["messages"][1]["content"][0]["thinking"] += "!"
    with pytest.raises(anthropic.BadRequestError, match="cannot be modified"):
        await astreamed(asim, **fields)
    del fields["messages"][1]["content"][0]
    with pytest.raises(anthropic.BadRequestError, match="Expected `thinking`"):
        await astreamed(asim, **fields)


def test_a_forced_tool(sim: Simulator) -> None:
    choice = {"type": "tool", "name": "get_weather"}
    message = streamed(sim, tools=[WEATHER], tool_choice=choice)
    assert message.content[0].name == "get_weather"
    assert message.stop_reason == "tool_use"


def test_max_tokens_and_stop_sequences(sim: Simulator) -> None:
    cut = streamed(sim, max_tokens=3)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)
    stopped = streamed(sim, stop_sequences=["simulator"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "simulator")


ERRORS: list[tuple[int, type[anthropic.APIStatusError], str]] = [
    (400, anthropic.BadRequestError, "invalid_request_error"),
    (401, anthropic.AuthenticationError, "authentication_error"),
    (403, anthropic.PermissionDeniedError, "permission_error"),
    (404, anthropic.NotFoundError, "not_found_error"),
    (429, anthropic.RateLimitError, "rate_limit_error"),
    (529, anthropic.InternalServerError, "overloaded_error"),
]


@pytest.mark.parametrize(("status", "kind", "type_"), ERRORS)
def test_errors(status: int, kind: type[anthropic.APIStatusError], type_: str) -> None:
    with Simulator(faults=Respond(status)) as sim, pytest.raises(kind) as caught:
        streamed(sim)
    error: Any = caught.value
    assert error.status_code == status
    assert error.body["error"]["type"] == type_
    assert error.request_id == error.body["request_id"]


@pytest.mark.parametrize(("status", "kind", "type_"), ERRORS)
async def test_errors_async(status: int, kind: type[anthropic.APIStatusError], type_: str) -> None:
    async with Simulator(faults=Respond(status)) as sim:
        with pytest.raises(kind) as caught:
            await astreamed(sim)
    error: Any = caught.value
    assert error.body["error"]["type"] == type_


def test_an_error_in_the_stream() -> None:
    failure = pytest.raises(anthropic.APIStatusError)
    with Simulator(faults=ErrorEvent(deltas=2)) as sim, failure as caught:
        streamed(sim)
    assert "overloaded_error" in str(caught.value.body)


async def test_an_error_in_the_stream_async() -> None:
    async with Simulator(faults=ErrorEvent(deltas=2)) as sim:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await astreamed(sim)
    assert "overloaded_error" in str(caught.value.body)


def test_a_retried_call_gets_the_answer_it_was_to_get() -> None:
    faults = [Respond(529, headers={"retry-after-ms": "1"}), None]
    answers = [Answer("One."), Answer("Two.")]
    with Simulator(answers, faults=faults) as sim:
        client = Anthropic(base_url=sim.url, api_key="sk-test", max_retries=1)
        with client, client.messages.stream(**call()) as stream:
            assert stream.get_final_text() == "One."
        assert [record.status for record in sim.requests] == [529, 200]
