"""Answers that nobody scripted."""

from __future__ import annotations

import msgspec

from dhenara_stream.simulator import Answer, Text, Thinking, ToolCall
from dhenara_stream.simulator.generate import Ask, Tool, generate

WEATHER = Tool("get_weather", {"type": "object", "properties": {"city": {"type": "string"}}})
CLOCK = Tool("clock", None)


def text(answer: Answer) -> str:
    return "".join(block.text for block in answer.content if isinstance(block, Text))


def test_the_same_question_gets_the_same_answer_that_quotes_it() -> None:
    answer = generate(Ask(prompt="Why  is\nthe sky blue?"))
    assert answer == generate(Ask(prompt="Why  is\nthe sky blue?"))
    assert '"Why is the sky blue?"' in text(answer)
    assert answer.stop_reason is None


def test_a_long_prompt_is_quoted_in_part() -> None:
    assert f'"{"x" * 200}..."' in text(generate(Ask(prompt="x" * 500)))


def test_no_prompt_is_no_problem() -> None:
    answer = generate(Ask(thinking=True))
    assert isinstance(answer.content[0], Thinking)
    assert "You sent no text" in text(answer)


def test_thinking_comes_first() -> None:
    thinking, reply = generate(Ask(prompt="Hi", thinking=True)).content
    assert isinstance(thinking, Thinking)
    assert '"Hi"' in thinking.text
    assert isinstance(reply, Text)


def test_a_forced_tool_is_called_with_arguments_that_fit() -> None:
    answer = generate(Ask(forced=WEATHER, tools=(WEATHER,), results=("x",)))
    assert answer.content == (ToolCall("get_weather", {"city": "example city"}),)
    assert generate(Ask(forced=CLOCK)).content == (ToolCall("clock"),)


def test_a_tool_is_called_when_the_prompt_has_its_words() -> None:
    tools = (CLOCK, WEATHER)
    called = generate(Ask(prompt="What is the WEATHER in Paris?", tools=tools))
    assert isinstance(called.content[0], ToolCall)
    assert called.content[0].name == "get_weather"
    assert isinstance(generate(Ask(prompt="Hello", tools=tools)).content[0], Text)
    assert isinstance(generate(Ask(prompt="list", tools=(Tool("list", {}),))).content[0], ToolCall)


def test_results_are_used() -> None:
    answer = generate(Ask(prompt="weather", tools=(WEATHER,), results=("18 degrees", "rain")))
    assert '"18 degrees" and "rain"' in text(answer)


def test_a_schema_gets_json() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert msgspec.json.decode(text(generate(Ask(schema=schema)))) == {"n": 1}


def test_max_tokens_cut_the_answer() -> None:
    answer = generate(Ask(prompt="Hi", max_tokens=3))
    assert text(answer) == 'You asked "Hi",'
    assert answer.stop_reason == "length"


def test_max_tokens_count_thinking() -> None:
    whole = generate(Ask(prompt="Hi", thinking=True))
    cut = generate(Ask(prompt="Hi", thinking=True, max_tokens=4))
    assert len(whole.content) == 2
    assert cut.content == (Thinking('The user asks "Hi",'),)
    assert cut.stop_reason == "length"


def test_max_tokens_cut_arguments_too() -> None:
    answer = generate(Ask(forced=WEATHER, max_tokens=1))
    assert answer.content == (ToolCall("get_weather", '{"city":"exa'),)


def test_enough_tokens_cut_nothing() -> None:
    assert generate(Ask(prompt="Hi", max_tokens=1000)) == generate(Ask(prompt="Hi"))


def test_the_first_stop_sequence_ends_the_text() -> None:
    answer = generate(Ask(prompt="Hi", stop_sequences=("nowhere", "simulator", "asked")))
    assert text(answer) == "You "
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "asked")


def test_a_stop_sequence_at_the_start_leaves_nothing() -> None:
    assert generate(Ask(prompt="Hi", stop_sequences=("You",))).content == ()


def test_stop_sequences_leave_calls_alone() -> None:
    answer = generate(Ask(forced=WEATHER, stop_sequences=("city",)))
    assert answer.stop_sequence is None
