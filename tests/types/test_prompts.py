"""Prompts, instructions, templates and tool results as the text that a model reads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import answer, generic, text

from dhenara_stream.errors import ConfigError
from dhenara_stream.types import (
    Content,
    ContentType,
    Prompt,
    PromptConfig,
    PromptMessageRoleEnum,
    PromptText,
    StoredFile,
    SystemInstruction,
    TextTemplate,
    TextTemplateVariableProps,
    ToolCallResult,
    ToolCallResultsMessage,
)
from dhenara_stream.types.conversation import ConversationNode
from dhenara_stream.types.genai.dhenara.request._prompt import limit_words

Props = TextTemplateVariableProps


def template(text: str, **variables: Props | None) -> PromptText:
    """A template with these variables."""
    return PromptText(template=TextTemplate(text=text, variables=variables))


# --- prompts


def test_a_prompt_is_a_users_text_unless_it_says_more() -> None:
    prompt = Prompt(text="Hi $var{x}")
    assert (prompt.role, prompt.type, prompt.files) == (PromptMessageRoleEnum.USER, "prompt", [])
    assert prompt.get_formatted_text() == "Hi $var{x}"  # text is text; a template is a PromptText
    assert Prompt(role="assistant", text="").role == "assistant"  # type: ignore[arg-type]


def test_a_role_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"^Prompt\.role: .*allowed: 'user', 'assistant', 'sys"):
        Prompt.model_validate({"role": "tool", "text": "x"})


def test_variables_are_put_in_place() -> None:
    prompt = Prompt(text=template("$var{a}-$var{b}-$var{a}", a=None), variables={"a": 1, "b": 2})
    assert prompt.get_formatted_text() == "1-2-1"


@pytest.mark.parametrize("kind", [Prompt, SystemInstruction])
def test_with_variables_a_plain_text_is_a_template(
    kind: type[Prompt] | type[SystemInstruction],
) -> None:
    assert kind(text="Hi $var{x}", variables={"x": "Bob"}).get_formatted_text() == "Hi Bob"
    with pytest.raises(ConfigError, match=r"^prompt variable 'y': does not occur in the text"):
        kind(text="Hi $var{x}", variables={"y": "Bob"}).get_formatted_text()
    with pytest.raises(ConfigError, match=r"^prompt variable 'y': has no value"):
        kind(text="Hi $var{x} $var{y}", variables={"x": "Bob"}).get_formatted_text()


def test_a_variable_without_a_value_has_its_default() -> None:
    text = template("$var{a} $var{} $var{d", a=Props(default="x"))
    assert text.render({}) == "x $var{} $var{d"
    assert text.render({"a": "y"}) == "y $var{} $var{d"


@pytest.mark.parametrize("values", [{}, {"b": None}])
def test_a_variable_with_neither_value_nor_default_is_named(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^prompt variable 'b': has no value"):
        template("$var{a} $var{b}", a=Props(default="x")).render(values)


def test_without_checks_what_has_no_value_stays_and_what_has_no_place_is_left_out() -> None:
    prompt = Prompt.with_dad_text("$var{a} $var{b}")
    prompt.variables = {"a": 1, "c": 2}
    assert prompt.get_formatted_text() == "1 $var{b}"


def test_what_a_value_says_is_not_rendered_again() -> None:
    text = template("$var{a} $var{b}", a=None, b=None)
    assert text.render({"a": "$var{b}", "b": "secret"}) == "$var{b} secret"


def test_a_value_that_is_not_allowed_is_refused() -> None:
    text = template("$var{a}", a=Props(default="x", allowed=["x", "y"]))
    assert text.render({"a": "y"}) == "y"
    with pytest.raises(ConfigError, match=r"^prompt variable 'a': 'z' is not in \['x', 'y'\]"):
        text.render({"a": "z"})


def test_a_declared_variable_must_occur() -> None:
    message = r"^TextTemplate\.variables: 'b' does not occur as \$var\{b\} in the text"
    with pytest.raises(ConfigError, match=message):
        Prompt.with_text("Hi $var{a}", {"a": None, "b": None})
    assert Prompt.with_text("Hi", {"b": None}, disable_checks=True).get_formatted_text() == "Hi"
    assert Prompt.with_dad_text("Hi", {"b": None}).get_formatted_text() == "Hi"
    assert Prompt.with_dad_text("Hi").get_formatted_text() == "Hi"


def test_with_text_makes_a_users_message_of_a_template() -> None:
    prompt = Prompt.with_text("Hi $var{a}", {"a": Props(default="you")})
    assert prompt.role == PromptMessageRoleEnum.USER
    assert prompt.get_formatted_text() == "Hi you"
    prompt.variables["a"] = "there"
    assert prompt.get_formatted_text() == "Hi there"
    with pytest.raises(ConfigError, match=r"variables\.a: expected TextTemplateVariableProps or"):
        Prompt.with_text("Hi $var{a}", {"a": "you"})  # type: ignore[dict-item]


@pytest.mark.parametrize("fields", [{}, {"content": {"text": "x"}, "template": {"text": "x"}}])
def test_a_prompt_text_is_either_content_or_a_template(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^PromptText: give exactly one of content and template"):
        PromptText.model_validate(fields)


def test_an_instruction_is_text_content_or_a_template() -> None:
    assert SystemInstruction(text="x").get_formatted_text() == "x"
    content = PromptText(content=Content(text="y"))
    assert SystemInstruction(text=content).get_formatted_text() == "y"
    instruction = SystemInstruction(text=template("$var{a}", a=None), variables={"a": 1})
    assert instruction.get_formatted_text() == "1"


# --- limits


@pytest.mark.parametrize(
    ("text", "limit", "limited"),
    [
        ("a b c", None, "a b c"),
        ("a b c ", 3, "a b c "),
        ("a b c", 2, "a b"),
        ("  a\n\tb\n\nc d", 3, "  a\n\tb\n\nc"),
        ("", 1, ""),
        (" \n ", 1, " \n "),
    ],
)
def test_a_limit_keeps_the_first_words_and_their_line_ends(
    text: str, limit: int | None, limited: str
) -> None:
    assert limit_words(text, limit) == limited


@given(st.text("ab \n\t\u2003"), st.integers(1, 5))
def test_limited_text_begins_the_text_and_has_no_more_words(text: str, limit: int) -> None:
    limited = limit_words(text, limit)
    assert text.startswith(limited)
    assert limited.split() == text.split()[:limit]


def test_the_configs_limit_counts_unless_another_is_given() -> None:
    prompt = Prompt(text="a b c", config=PromptConfig(max_words_text=2))
    assert prompt.get_formatted_text() == "a b"
    assert prompt.get_formatted_text(max_words=1) == "a"
    assert Prompt(text="a b c", config=PromptConfig()).get_formatted_text() == "a b c"
    with pytest.raises(ConfigError, match=r"PromptConfig\.max_words_file: expected `int` >= 1"):
        PromptConfig(max_words_file=0)


# --- content


def test_content_of_the_text_type_is_all_that_there_is() -> None:
    content = Content(text="a", textl=["b", "c"], json_c={"d": 1}, jsonl_c=[{"e": 2}, {"f": 3}])
    assert content.type == ContentType.TEXT
    assert content.get_content() == 'a\nb\nc\n{"d":1}\n{"e":2}\n{"f":3}'
    assert content.get_content(separator="|") == 'a|b|c|{"d":1}|{"e":2}|{"f":3}'
    assert Content().get_content() == ""


@pytest.mark.parametrize(
    ("kind", "field", "value", "text"),
    [
        ("list", "textl", ["a", "b"], "a\nb"),
        ("dict", "json_c", {"a": [None, True]}, '{"a":[null,true]}'),
        ("jsonl", "jsonl_c", [{"a": 1}, {"b": 2}], '{"a":1}\n{"b":2}'),
    ],
)
def test_content_of_another_type_is_the_field_it_names(
    kind: str, field: str, value: Any, text: str
) -> None:
    assert Content.model_validate({"type": kind, field: value, "text": "no"}).get_content() == text
    with pytest.raises(ConfigError, match=rf"^Content\.{field}: needed for type '{kind}'"):
        Content.model_validate({"type": kind, "text": "no"}).get_content()


def test_content_that_json_cannot_hold_is_refused() -> None:
    assert Content(json_c={"a": Path("x")}).get_content() == '{"a":"x"}'
    with pytest.raises(ConfigError, match=r"^Content: cannot be written as JSON"):
        Content(json_c={"a": {(1, 2): 3}}).get_content()


# --- tool results


class Struct(msgspec.Struct):
    x: int


class Pydantic(pydantic.BaseModel):
    x: int


@pytest.mark.parametrize(
    ("output", "as_text"),
    [
        ("text", "text"),
        ("", ""),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ([1], "[1]"),
        (5, "5"),
        (None, "null"),
        (math.inf, "null"),
        (Struct(x=1), '{"x":1}'),
        (Pydantic(x=1), '{"x":1}'),
        ({"a": Pydantic(x=1), "b": (Struct(x=2),)}, '{"a":{"x":1},"b":[{"x":2}]}'),
        (Path("x"), '"x"'),
        (ValueError("wrong"), '"wrong"'),
        ("é\u2028", "é\u2028"),
        ({"é": "\u2028"}, '{"é":"\u2028"}'),
    ],
)
def test_an_output_as_text_is_itself_or_json(output: Any, as_text: str) -> None:
    assert ToolCallResult(call_id="c", output=output).as_text() == as_text


@pytest.mark.parametrize("output", [{(1, 2): 3}, {"a": "\ud800"}])
def test_an_output_that_json_cannot_hold_is_refused(output: Any) -> None:
    with pytest.raises(ConfigError, match=r"^ToolCallResult\.output: cannot be written as JSON"):
        ToolCallResult(output=output).as_text()


def test_an_output_that_holds_itself_is_refused() -> None:
    output: list[Any] = []
    output.append(output)
    with pytest.raises(ConfigError, match=r"^ToolCallResult\.output: cannot be written as JSON"):
        ToolCallResult(output=output).as_text()


@pytest.mark.parametrize("output", [{"a": 1}, [1], {}, []])
def test_objects_and_lists_are_json_as_they_are(output: Any) -> None:
    assert ToolCallResult(output=output).as_json() is output


@pytest.mark.parametrize("output", ["text", 5, None])
def test_another_output_is_the_result_in_an_object(output: Any) -> None:
    assert ToolCallResult(output=output).as_json() == {"result": output}


def test_a_message_of_results_has_at_least_one() -> None:
    message = ToolCallResultsMessage(results=[ToolCallResult(call_id="c", output=1)])
    assert (message.type, message.results[0].type) == ("tool_result_message", "tool_result")
    assert message.results[0].is_error is False
    with pytest.raises(ConfigError, match=r"results: must contain at least one result"):
        ToolCallResultsMessage(results=[])


# --- turns that are kept


def test_a_node_is_a_question_and_its_answer() -> None:
    file = StoredFile.from_bytes(b"x", "a.txt")
    node = ConversationNode(user_query="a b c", input_files=[file])
    assert node.get_prompt() == Prompt(text="a b c", files=[file], config=PromptConfig())
    assert node.get_context() == [node.get_prompt()]
    node.response = answer([text("d e f")])
    question, told = node.get_context(max_words_query=2, max_words_file=1, max_words_response=1)
    assert question == node.get_prompt(max_words_query=2, max_words_file=1)
    assert question.get_formatted_text() == "a b"
    assert question.config == PromptConfig(max_words_text=2, max_words_file=1)
    assert told == Prompt(role=PromptMessageRoleEnum.ASSISTANT, text="d")


def test_a_node_keeps_its_answer_through_a_dump() -> None:
    node = ConversationNode(user_query="a", response=answer([text("b"), generic()]))
    assert ConversationNode.model_validate_json(node.model_dump_json()) == node
