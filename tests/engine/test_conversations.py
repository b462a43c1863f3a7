"""One conversation with tools that moves from place to place, as the services check it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import msgspec
import pytest
from engine.served import DIALECTS, SERVED, Served
from engine.support import WEATHER, read

from dhenara_stream.simulator import Answer, Simulator, Text, Thinking, ToolCall
from dhenara_stream.types import (
    AIModelCallResponse,
    ToolCallResult,
    ToolCallResultsMessage,
)

CITIES = ("Ulm", "Rome", "Lagos", "Lima", "Oslo")
ANSWERS = [
    answer
    for city in CITIES
    for answer in (
        Answer(
            Thinking(f"{city}: I have to look."),
            Text("I look."),
            ToolCall("get_weather", {"city": city}),
            ToolCall("get_weather", {"city": f"{city} Airport"}),
        ),
        Answer(Thinking("Now I know."), Text(f"It is warm in {city}.")),
    )
]
ORDERS = [
    pytest.param(order, id="-".join(order))
    for order in [
        *[(*order, order[0]) for order in permutations(DIALECTS)],
        ("deepseek", "anthropic", "deepseek", "gemini", "deepseek"),
        ("bedrock", "openai_responses", "vertex_claude", "anthropic", "bedrock"),
        ("azure_responses", "vertex_gemini", "azure_chat", "gemini", "openai_responses"),
        ("groq", "deepseek", "groq", "anthropic", "azure_chat"),
        *[(name,) * 5 for name in SERVED],
    ]
]


def settings(served: Served) -> dict[str, Any]:
    """Tools everywhere; thinking where the model has it."""
    has_thoughts = served.model.get_settings().supports_reasoning
    return {"tools": [WEATHER], "reasoning": True} if has_thoughts else {"tools": [WEATHER]}


def results(response: AIModelCallResponse) -> ToolCallResultsMessage:
    """What the tools answer; the second one fails."""
    assert response.chat_response
    first, second = response.chat_response.tools()
    return ToolCallResultsMessage(
        results=[
            ToolCallResult(call_id=first.call_id, output={"celsius": 21}),
            ToolCallResult(call_id=second.call_id, output="no station there", is_error=True),
        ]
    )


def check_calls(response: AIModelCallResponse, city: str) -> None:
    assert response.chat_response, response.status
    calls = [(call.name, call.arguments) for call in response.chat_response.tools()]
    assert calls == [
        ("get_weather", {"city": city}),
        ("get_weather", {"city": f"{city} Airport"}),
    ]


def check_answer(response: AIModelCallResponse, city: str) -> None:
    assert response.chat_response, response.status
    assert response.chat_response.text() == f"It is warm in {city}."


def check_requests(sim: Simulator) -> None:
    assert [request.status for request in sim.requests] == [200] * len(ANSWERS)
    last = msgspec.json.encode(sim.requests[-1].json).decode()
    for city in CITIES:  # nothing of the conversation was lost on the way
        assert f"{city} Airport" in last
        assert (f"It is warm in {city}." in last) is (city != CITIES[-1])


def message(response: AIModelCallResponse) -> Any:
    """A response as history."""
    assert response.chat_response
    return response.chat_response.to_message_item()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it has no part in what is sent
@pytest.mark.parametrize("order", ORDERS)
async def test_each_turn_is_another_places(order: Sequence[str]) -> None:
    messages: list[Any] = []
    async with Simulator(ANSWERS) as sim:
        for name, city in zip(order, CITIES, strict=True):
            served = SERVED[name]
            messages.append(f"How is the weather in {city}?")
            async with served.client(sim.url, **settings(served)) as client:
                asked = (await read(await client.generate_async(messages=messages)))[-1][1]
                check_calls(asked, city)
                messages += [message(asked), results(asked)]
                told = (await read(await client.generate_async(messages=messages)))[-1][1]
                check_answer(told, city)
                messages.append(message(told))
        check_requests(sim)


@pytest.mark.parametrize("order", ORDERS)
def test_the_results_of_a_call_go_to_another_place(order: Sequence[str]) -> None:
    messages: list[Any] = []
    with Simulator(ANSWERS) as sim:
        for number, city in enumerate(CITIES):
            messages.append(f"How is the weather in {city}?")
            asker, teller = SERVED[order[number]], SERVED[order[(number + 1) % len(order)]]
            once: dict[str, Any] = {**settings(asker), "streaming": False}
            with asker.client(sim.url, is_async=False, **once) as client:
                asked = client.generate(messages=messages)
            check_calls(asked, city)
            messages += [message(asked), results(asked)]
            with teller.client(sim.url, is_async=False, **settings(teller)) as client:
                [*_, (_, told)] = client.generate(messages=messages).stream_generator
            check_answer(told, city)
            messages.append(message(told))
        check_requests(sim)
