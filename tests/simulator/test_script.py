"""Answers and their blocks: what they take, what they refuse, how they are cut into pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhenara_stream.errors import ConfigError
from dhenara_stream.simulator import (
    Answer,
    RawBlock,
    RedactedThinking,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from dhenara_stream.simulator.script import pieces_of, split_json, split_text

any_: Any = None


def wrong(value: Any) -> Any:
    """A value that the types would not let pass."""
    return value


@given(st.text())
def test_pieces_are_the_text(text: str) -> None:
    assert "".join(split_text(text)) == text
    assert "".join(split_json(text)) == text


def test_pieces_are_about_a_word_each() -> None:
    assert split_text("One two  three.\n") == ["One", " two", "  three.", "\n"]
    assert split_text("x" * 30) == ["x" * 12, "x" * 12, "x" * 6]
    assert split_text("") == []


def test_blocks_without_pieces() -> None:
    assert pieces_of(RedactedThinking()) == []
    assert pieces_of(RawBlock({"type": "new"}, [{"type": "new_delta"}])) == []


def test_strings_become_text() -> None:
    assert Answer("Hello", Thinking("Hm")).content == (Text("Hello"), Thinking("Hm"))
    assert Answer("Hello") == Answer(Text("Hello"))


def test_an_answer_keeps_what_it_is_told() -> None:
    usage = Usage(input_tokens=3)
    answer = Answer(
        "No.",
        stop_reason="refusal",
        stop_sequence="x",
        stop_details={"type": "refusal"},
        usage=usage,
        model="m",
        id="msg_1",
    )
    assert (answer.stop_reason, answer.stop_sequence, answer.model, answer.id) == (
        "refusal",
        "x",
        "m",
        "msg_1",
    )
    assert answer.stop_details == {"type": "refusal"}
    assert answer.usage is usage


def test_what_is_given_is_copied() -> None:
    arguments = {"list": [1]}
    call = ToolCall("f", arguments)
    arguments["list"].append(2)
    assert call.arguments == {"list": [1]}


def test_arguments_are_sent_as_json_or_as_they_are() -> None:
    assert ToolCall("f").arguments_json == "{}"
    assert ToolCall("f", {"a": "ü"}).arguments_json == '{"a":"ü"}'
    assert ToolCall("f", '{"a": ').arguments_json == '{"a": '


def test_a_raw_block_is_whole_as_it_starts_unless_told() -> None:
    assert RawBlock({"type": "x"}).whole == {"type": "x"}
    assert RawBlock({"type": "x"}, whole={"type": "x", "a": 1}).whole == {"type": "x", "a": 1}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Text(any_), "Text.text must be a string, not None"),
        (lambda: Text("\ud800"), "Text.text must be text without lone surrogates"),
        (lambda: Text("x", citations=any_), "Text.citations must be a sequence of mappings"),
        (lambda: Text("x", citations=[any_]), r"Text.citations\[0\] must be a mapping"),
        (lambda: Thinking(any_), "Thinking.text must be a string"),
        (lambda: Thinking("x", signature=wrong(1)), "Thinking.signature must be a string"),
        (lambda: RedactedThinking(""), "RedactedThinking.data must be a string that is not empty"),
        (lambda: ToolCall(""), "ToolCall.name must be a string that is not empty"),
        (lambda: ToolCall("f", id=""), "ToolCall.id must be a string that is not empty"),
        (lambda: ToolCall("f", wrong(3)), "ToolCall.arguments must be a mapping, not 3"),
        (lambda: ToolCall("f", {"a": object()}), "ToolCall.arguments must be a value that JSON"),
        (lambda: ToolCall("f", "\ud800"), "ToolCall.arguments must be text without lone"),
        (lambda: RawBlock(any_), "RawBlock.block must be a mapping"),
        (lambda: RawBlock({}, wrong("ab")), "RawBlock.deltas must be a sequence of mappings"),
        (lambda: RawBlock({}, whole=wrong(1)), "RawBlock.whole must be a mapping"),
        (lambda: Answer(any_), r"Answer.content\[0\] must be a string or a content block"),
        (lambda: Answer("x", model=wrong(1)), "Answer.model must be a string"),
        (lambda: Answer("x", stop_details=wrong(1)), "Answer.stop_details must be a mapping"),
        (lambda: Answer("x", usage=wrong({"a": 1})), "Answer.usage must be a Usage"),
        (lambda: Usage(input_tokens=-1), "Usage.input_tokens must be an integer, at least 0"),
        (lambda: Usage(output_tokens=wrong(1.5)), "Usage.output_tokens must be an integer"),
        (lambda: Usage(thinking_tokens=True), "Usage.thinking_tokens must be an integer"),
        (lambda: Usage(cache_read_tokens=-1), "Usage.cache_read_tokens"),
        (lambda: Usage(cache_write_tokens=any_), "Usage.cache_write_tokens"),
        (lambda: Usage(extra=any_), "Usage.extra must be a mapping"),
    ],
)
def test_a_wrong_field_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
