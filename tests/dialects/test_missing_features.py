"""A feature that is asked for and missing as a whole is refused; a nuance is a note."""

from __future__ import annotations

from typing import Any

import pytest

from dhenara_stream.core.conversation import conversation
from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.dialects.base import ChatRequest, Dialect, WireRequest
from dhenara_stream.dialects.gemini import GeminiDialect
from dhenara_stream.dialects.gemini import Quirks as GeminiQuirks
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect
from dhenara_stream.dialects.openai_chat import Quirks as ChatQuirks
from dhenara_stream.dialects.openai_responses import OpenAIResponsesDialect
from dhenara_stream.dialects.openai_responses import Quirks as ResponsesQuirks
from dhenara_stream.errors import ConfigError
from dhenara_stream.types import (
    AIModelAPI,
    AIModelCallConfig,
    AIModelEndpoint,
    BaseAIModel,
    ChatModelSettings,
    FoundationModel,
    StructuredOutputConfig,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeSonnet45

Dict = dict[str, Any]


def model(**settings: Any) -> FoundationModel:
    limits: Dict = {"max_context_window_tokens": 100_000, "max_output_tokens": 10_000}
    return FoundationModel(
        provider=ClaudeSonnet45.provider,
        model_name="plain-1",
        settings=ChatModelSettings.model_validate(limits | settings),
    )


PLAIN = model()
REASONER = model(supports_reasoning=True, reasoning_control="effort")

DIALECTS: dict[str, Dialect] = {
    "anthropic": AnthropicDialect(),
    "gemini": GeminiDialect(),
    "vertex": GeminiDialect(GeminiQuirks(server_side_tools=False)),
    "chat": OpenAIChatDialect(),
    "chat without search": OpenAIChatDialect(ChatQuirks(web_search="none")),
    "chat without tools": OpenAIChatDialect(ChatQuirks(tools=False)),
    "chat without formats": OpenAIChatDialect(
        ChatQuirks(tools=False, unsupported=("response_format",))
    ),
    "responses": OpenAIResponsesDialect(),
    "responses without search": OpenAIResponsesDialect(ResponsesQuirks(web_search=None)),
    "responses without text": OpenAIResponsesDialect(ResponsesQuirks(unsupported=("text",))),
}
OF_EACH = ("anthropic", "gemini", "chat", "responses")


def look(place: str) -> str:
    return place


TOOLS = [ToolDefinition.from_callable(look)]
SEARCH = [WebSearchHostedTool()]
OUTPUT = StructuredOutputConfig(
    output_schema={"type": "object", "properties": {"a": {"type": "string"}}}
)


def build(name: str, asked: BaseAIModel, **config: Any) -> WireRequest:
    api = AIModelAPI.model_validate({"provider": "anthropic", "api_key": "a-key-for-tests"})
    system, turns = conversation(prompt="Hi", context=None, instructions=None, messages=None)
    request = ChatRequest(
        endpoint=AIModelEndpoint(api=api, ai_model=asked),
        config=AIModelCallConfig(**config),
        system=system,
        turns=turns,
    )
    return DIALECTS[name].build_request(request)


def assert_three_ways_out(message: str, argument: str, feature: str) -> None:
    assert message.startswith(f"{argument}: plain-1 has no {feature} here. Use another model or ")
    assert "another provider" in message
    assert f"leave {argument} out" in message
    assert "declare it: " in message


@pytest.mark.parametrize("name", OF_EACH)
@pytest.mark.parametrize(
    ("config", "argument"),
    [
        ({"reasoning": True}, "reasoning"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"reasoning": True, "reasoning_effort": "low"}, "reasoning"),
    ],
)
def test_reasoning_of_a_model_without(name: str, config: Dict, argument: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(name, PLAIN, **config)
    assert_three_ways_out(caught.value.message, argument, "reasoning")
    assert "supports_reasoning=True" in caught.value.message
    build(name, REASONER, **config)


@pytest.mark.parametrize(
    ("name", "options", "argument"),
    [
        ("responses", {"reasoning": {"effort": "low"}}, "options['reasoning']"),
        ("responses", {"reasoning_effort": "low"}, "options['reasoning']"),
        ("gemini", {"thinking_config": {"thinking_level": "low"}}, "options['thinking_config']"),
        ("gemini", {"thinking_config": {"include_thoughts": True}}, "options['thinking_config']"),
        ("chat", {"reasoning_effort": "high"}, "options['reasoning_effort']"),
    ],
)
def test_reasoning_by_an_option_that_would_be_left_out(
    name: str, options: Dict, argument: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build(name, PLAIN, options=options)
    assert_three_ways_out(caught.value.message, argument, "reasoning")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("chat", {"reasoning_effort": "none"}),
        ("responses", {"reasoning_effort": "none"}),
        ("gemini", {"thinking_config": {"include_thoughts": False}}),
        ("gemini", {"thinking_config": {"thinking_budget": 0}}),
    ],
)
def test_an_option_that_asks_for_no_reasoning_is_no_error(name: str, options: Dict) -> None:
    build(name, PLAIN, options=options)


@pytest.mark.parametrize(
    ("name", "unsupported"),
    [
        ("chat without search", []),
        ("chat", ["web_search_options"]),
        ("responses without search", []),
        ("gemini", ["googleSearch"]),
    ],
)
def test_a_search_where_there_is_none(name: str, unsupported: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        build(name, model(unsupported_parameters=unsupported), hosted_tools=SEARCH)
    assert_three_ways_out(caught.value.message, "hosted_tools", "web search")


@pytest.mark.parametrize("name", ["gemini", "vertex"])
def test_a_search_beside_functions_where_they_do_not_go_together(name: str) -> None:
    alone = model(unsupported_parameters=["toolConfig.includeServerSideToolInvocations"])
    for beside in ({"tools": TOOLS}, {"tools": TOOLS, "structured_output": OUTPUT}):
        with pytest.raises(ConfigError, match="not take them together with functions") as caught:
            build(name, alone, hosted_tools=SEARCH, **beside)
        assert caught.value.message.startswith("hosted_tools: ")
    forbidden = build(
        name, alone, hosted_tools=SEARCH, tools=TOOLS, tool_choice=ToolChoice(type=None)
    )
    assert forbidden.adjustments == ["hosted_tools: left out, no tool is to be called"]


def test_a_search_beside_structured_output_where_they_do_not_go_together() -> None:
    asked = model(exclusive_parameters=[["tools", "responseJsonSchema"]])
    with pytest.raises(ConfigError, match="together with structured output here"):
        build("gemini", asked, hosted_tools=SEARCH, structured_output=OUTPUT)


@pytest.mark.parametrize("name", OF_EACH)
def test_tools_of_a_model_without(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(name, model(unsupported_parameters=["tools"]), tools=TOOLS)
    assert_three_ways_out(caught.value.message, "tools", "tools")


def test_tools_of_a_server_without() -> None:
    with pytest.raises(ConfigError) as caught:
        build("chat without tools", PLAIN, tools=TOOLS)
    assert_three_ways_out(caught.value.message, "tools", "tools")


@pytest.mark.parametrize(
    ("name", "unsupported"),
    [
        ("chat", ["response_format", "tools"]),
        ("chat without tools", ["response_format"]),
        ("chat without formats", []),
    ],
)
def test_structured_output_where_there_is_no_way_to_it(name: str, unsupported: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        build(name, model(unsupported_parameters=unsupported), structured_output=OUTPUT)
    assert_three_ways_out(caught.value.message, "structured_output", "structured output")


@pytest.mark.parametrize(
    ("name", "unsupported"),
    [
        ("anthropic", ["output_config"]),
        ("gemini", ["responseJsonSchema"]),
        ("chat", ["response_format"]),
        ("responses", ["text"]),
        ("responses", ["text.format"]),
        ("responses without text", []),
    ],
)
def test_structured_output_takes_the_other_way_where_there_is_one(
    name: str, unsupported: list[str]
) -> None:
    asked = model(unsupported_parameters=unsupported)
    wire = build(name, asked, structured_output=OUTPUT)
    assert wire.output_tool == "structured_output"
    both = model(unsupported_parameters=[*unsupported, "tools"])
    with pytest.raises(ConfigError) as caught:
        build(name, both, structured_output=OUTPUT)
    assert_three_ways_out(caught.value.message, "structured_output", "structured output")


def test_tools_beside_structured_output_by_a_tool_are_named() -> None:
    asked = model(unsupported_parameters=["output_config", "tools"])
    with pytest.raises(ConfigError) as caught:
        build("anthropic", asked, structured_output=OUTPUT, tools=TOOLS)
    assert_three_ways_out(caught.value.message, "tools", "tools")


@pytest.mark.parametrize("name", OF_EACH)
@pytest.mark.parametrize("mode", ["native", "tool"])
@pytest.mark.parametrize("schema", [{"type": "string"}, {"type": "array", "items": {}}])
def test_structured_output_is_an_object(name: str, mode: str, schema: Dict) -> None:
    output = StructuredOutputConfig(output_schema=schema)
    with pytest.raises(ConfigError, match=r"^structured_output: .* type must be 'object'"):
        build(name, model(structured_output=mode), structured_output=output)


@pytest.mark.parametrize("name", OF_EACH)
def test_a_limit_above_the_models_is_lowered_and_told(name: str) -> None:
    wire = build(name, PLAIN, max_output_tokens=10**7)
    assert wire.adjustments == ["max_output_tokens: 10000, the most that the model gives"]
    assert "10000" in str(wire.body)
    assert build(name, PLAIN, max_output_tokens=10_000).adjustments == []


@pytest.mark.parametrize("name", OF_EACH)
def test_a_nuance_is_a_note(name: str) -> None:
    options = {"temperature": 0.5, "candidate_count": 1, "safety_settings": [], "betas": ["b"]}
    asked = model(unsupported_parameters=["temperature"])
    wire = build(name, asked, options=options)
    assert "temperature: left out, plain-1 does not take it" in wire.adjustments
    assert "temperature" not in str(wire.body)
