"""What services that speak Chat Completions refuse, and that they refuse nothing else."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from corpus import Recording, needs_corpus, streams

from dhenara_stream.core.conversation import conversation
from dhenara_stream.dialects.base import ChatRequest
from dhenara_stream.providers.registry import route_for
from dhenara_stream.simulator.openai_chat_rules import complaints, deepseek_thinks, maker_of
from dhenara_stream.simulator.openai_common import Complaint
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    ToolChoice,
    ToolDefinition,
)
from dhenara_stream.types.genai.ai_model import FoundationModel
from dhenara_stream.types.genai.foundation_models.deepseek import chat as deepseek
from dhenara_stream.types.genai.foundation_models.openai import chat as openai

GPT, O3, GPT5, GPT52, DEEPSEEK, OTHER = (
    "gpt-4o",
    "o3",
    "gpt-5",
    "gpt-5.2",
    "deepseek-v4-pro",
    "meta/llama-4",
)
HI = {"role": "user", "content": "Hi"}
TEXT = {"type": "text", "text": "Hi"}
PNG = "data:image/png;base64,aGk="
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False, "required": []}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CUSTOM = {"type": "custom", "custom": {"name": "c"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALL2 = {**CALL, "id": "call_2"}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "18"}
RESULT2 = {**RESULT, "tool_call_id": "call_2"}


def judge(fields: dict[str, Any]) -> Complaint | None:
    """The first complaint about a body; fields given as ``...`` are left out."""
    whole = {"model": GPT, "messages": [HI], **fields}
    body = {name: value for name, value in whole.items() if value is not ...}
    model = body.get("model", "")
    return next(complaints(body, model, maker_of(model)), None)


def said(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"messages": list(messages), **fields}


def user(*parts: Any, **fields: Any) -> dict[str, Any]:
    return said({"role": "user", "content": list(parts)}, **fields)


def called(*calls: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **fields}


def image(url: Any, **fields: Any) -> dict[str, Any]:
    return user({"type": "image_url", "image_url": {"url": url, **fields}})


def tool(**fields: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f", **fields}}]}


def strict(**rules: Any) -> dict[str, Any]:
    return tool(strict=True, parameters=rules)


def custom(**fields: Any) -> dict[str, Any]:
    return {"tools": [{"type": "custom", "custom": {"name": "c", **fields}}]}


def schema(**fields: Any) -> dict[str, Any]:
    form = {"name": "s", "schema": SCHEMA, **fields}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def named(name: str, kind: str = "function") -> dict[str, Any]:
    return {"tool_choice": {"type": kind, kind: {"name": name}}}


def chosen(*names: str, mode: str = "auto") -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
    return {"tools": [TOOL], "tool_choice": choice}


GRAMMAR = {"type": "grammar", "grammar": {"definition": "a", "syntax": "regex"}}
LOOP = [HI, called(CALL), RESULT]

ACCEPTED: dict[str, dict[str, Any]] = {
    "plain": {},
    "nulls where they may be": dict.fromkeys(
        ("temperature", "stop", "stream", "stream_options", "max_tokens", "logprobs", "seed")
    ),
    "sampling": {"temperature": 0, "top_p": 0.5, "presence_penalty": -2, "seed": 1, "n": 3},
    "a stop": {"stop": "END"},
    "stops": {"stop": ["a", "b", "c", "d"]},
    "logprobs": {"logprobs": True, "top_logprobs": 20, "logit_bias": {"50256": -100}},
    "usage of a stream": {"stream": True, "stream_options": {"include_usage": True}},
    "limits": {"max_completion_tokens": 1},
    "an old limit": {"max_tokens": 1},
    "facts": {"metadata": {"a": "b"}, "store": True, "user": "u", "safety_identifier": "x"},
    "tiers": {"service_tier": "flex", "verbosity": "low", "prompt_cache_retention": "24h"},
    "text alone": {"modalities": ["text"], "response_format": {"type": "text"}},
    "a prediction": {"prediction": {"type": "content", "content": "Hi"}},
    "all roles": said(
        {"role": "developer", "content": [TEXT]},
        {"role": "system", "content": "Hi", "name": "s"},
        {"role": "user", "content": "Hi", "name": "u"},
        {"role": "assistant", "content": "Hi", "annotations": [], "refusal": None},
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": None},
    ),
    "parts of the assistant's": said(
        {"role": "assistant", "content": [TEXT, {"type": "refusal", "refusal": "No."}]}
    ),
    "a part with a mark": user({**TEXT, "prompt_cache_breakpoint": {"mode": "explicit"}}),
    "an image": image(PNG, detail="high"),
    "an image by url": image("https://example.com/a.png"),
    "sound": user({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}),
    "a file": user(
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a"}}
    ),
    "a file by id": user({"type": "file", "file": {"file_id": "file-1"}}),
    "a call and its result": said(*LOOP),
    "calls and their results": said(HI, called(CALL, CALL2), RESULT2, RESULT, HI),
    "a custom call": said(
        called({"id": "c", "type": "custom", "custom": {"name": "c", "input": "x"}}),
        {"role": "tool", "tool_call_id": "c", "content": [TEXT]},
    ),
    "tools": {"tools": [TOOL, CUSTOM], "tool_choice": "required", "parallel_tool_calls": False},
    "a named tool": {"tools": [TOOL], **named("f")},
    "a named custom tool": {"tools": [CUSTOM], **named("c", "custom")},
    "allowed tools": chosen("f", mode="required"),
    "a tool without parameters": tool(description="Looks."),
    "a tool with an empty schema": tool(parameters={}),
    "a strict tool": strict(**SCHEMA),
    "a tool's grammar": custom(format=GRAMMAR, description="x"),
    "a tool's text": custom(format={"type": "text"}),
    "functions": {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
    "functions at will": {"functions": [{"name": "f"}], "function_call": "auto"},
    "functions alone": {"functions": [{"name": "f"}]},
    "a schema": schema(strict=True),
    "a loose schema": schema(schema={"type": "object"}),
    "a strict schema": schema(
        strict=True,
        schema={
            "type": "object",
            "properties": {
                "a": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/d"}]},
                "b": {"type": ["array", "null"], "items": {"enum": [1, 2]}},
            },
            "required": ["a", "b"],
            "additionalProperties": False,
            "$defs": {"d": SCHEMA},
        },
    ),
    "an object": said(
        {"role": "user", "content": "As JSON!"}, response_format={"type": "json_object"}
    ),
    "a reasoner": {"model": O3, "max_completion_tokens": 9, "reasoning_effort": "low"},
    "a reasoner's defaults": {"model": O3, "temperature": 1, "top_p": 1, "presence_penalty": 0},
    "minimal effort": {"model": GPT5, "reasoning_effort": "minimal"},
    "most effort": {"model": "gpt-5.6", "reasoning_effort": "max"},
    "sampling without reasoning": {"model": GPT52, "temperature": 0.5, "logprobs": True},
    "sampling at no effort": {"model": "gpt-5.5", "reasoning_effort": "none", "top_p": 0.5},
    "a stop of one that takes it": {"model": "o1", "stop": "x"},
    "a pro's effort": {"model": "gpt-5.2-pro", "reasoning_effort": "xhigh"},
    "the first pro's effort": {"model": "gpt-5-pro", "reasoning_effort": "high"},
    "a codex": {"model": "gpt-5.1-codex-max", "reasoning_effort": "xhigh"},
    "a search": {"model": "gpt-4o-search-preview", "web_search_options": {}},
    "deepseek": {"model": DEEPSEEK, "stop": ["x"] * 16, "thinking": {"type": "enabled"}},
    "deepseek with parts": user(TEXT, model=DEEPSEEK),
    "deepseek's replay": said(
        HI, called(CALL, reasoning_content="Hm"), RESULT, model=DEEPSEEK, tools=[TOOL]
    ),
    "deepseek that does not think": said(
        *LOOP, model=DEEPSEEK, tools=[TOOL], tool_choice="required", thinking={"type": "disabled"}
    ),
    "deepseek's object": said(
        {"role": "user", "content": "json"}, model=DEEPSEEK, response_format={"type": "json_object"}
    ),
    "what others invent": {"model": OTHER, "top_k": 3, "thinking": {}, "stream_options": None},
    "what others may know": {
        "model": OTHER,
        "max_tokens": 5,
        "stop": ["x"] * 9,
        "temperature": 0.5,
        "reasoning_effort": "extreme",
        "tools": [
            {"type": "openrouter:web_search"},
            {"type": "function", "function": {"name": "f"}},
        ],
        "tool_choice": "any",
    },
    "others' choice": {"model": OTHER, "tool_choice": {"type": "search"}},
    "others' format": {"model": OTHER, "response_format": {"type": "regex"}},
    "others' schema": {**schema(strict=True, schema={"type": "object"}), "model": OTHER},
    "others' parts": user(
        {"type": "thinking", "thinking": []},
        {"type": "image_url", "image_url": PNG},
        {"type": "input_audio", "input_audio": "aGk="},
        {**TEXT, "cache_control": {}},
        model=OTHER,
    ),
    "others' messages": said(
        {"role": "assistant", "content": "x", "reasoning": "y"},
        {"role": "user", "content": None},
        called(),
        model=OTHER,
    ),
    "calls without ids": said(
        called({"function": {"name": "f", "arguments": "{}"}, "index": 0}),
        {"role": "tool", "content": "x"},
        model=OTHER,
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_accepted(name: str) -> None:
    assert judge(ACCEPTED[name]) is None


REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    # the top level
    ({"model": ...}, "you must provide a model parameter", None),
    ({"model": ""}, "you must provide a model parameter", None),
    ({"messages": ...}, "Missing required parameter: 'messages'.", "missing_required_parameter"),
    ({"messages": "Hi"}, "expected an array, but got a string instead", "invalid_type"),
    ({"messages": []}, "Expected an array with minimum length 1", "empty_array"),
    ({"foo": 1}, "Unrecognized request argument supplied: foo", None),
    ({"a": 1, "b": 2}, "Unrecognized request arguments supplied: a, b", None),
    ({"stream": "yes"}, "'stream': expected a boolean, but got a string", "invalid_type"),
    ({"seed": 1.5}, "expected an integer, but got a decimal instead", "invalid_type"),
    ({"n": True}, "expected an integer, but got a boolean instead", "invalid_type"),
    ({"user": None}, "expected a string, but got null instead", "invalid_type"),
    ({"temperature": 2.5}, "above maximum value. Expected a value <= 2", "decimal_above_max_value"),
    ({"temperature": -1}, "Expected a value >= 0, but got -1", "decimal_below_min_value"),
    ({"n": 0}, "integer below minimum value. Expected a value >= 1", "integer_below_min_value"),
    ({"max_tokens": 0}, "Expected a value >= 1", "integer_below_min_value"),
    ({"logprobs": True, "top_logprobs": 21}, "<= 20", "integer_above_max_value"),
    ({"top_logprobs": 2}, "only allowed when 'logprobs' is enabled", None),
    ({"stream_options": {}}, "only allowed when 'stream' is enabled", None),
    ({"stream": True, "stream_options": {"x": 1}}, "'stream_options.x'", "unknown_parameter"),
    ({"stop": ["x"] * 5}, "maximum length 4", "array_above_max_length"),
    ({"stop": [1]}, "'stop[0]': expected a string", "invalid_type"),
    ({"service_tier": "x"}, "Invalid value: 'x'. Supported values are: 'auto'", "invalid_value"),
    ({"user": "x" * 129}, "maximum length 128", "string_above_max_length"),
    ({"logit_bias": {"1": 101}}, "'logit_bias.1'", "integer_above_max_value"),
    ({"logit_bias": {"1": "x"}}, "'logit_bias.1': expected a decimal", "invalid_type"),
    ({"metadata": dict.fromkeys("abcdefghijklmnopq", "")}, "17 properties", None),
    ({"metadata": {"a": 1}}, "'metadata.a': expected a string", "invalid_type"),
    ({"metadata": {"x" * 65: ""}}, "maximum length 64", "string_above_max_length"),
    ({"metadata": {"a": "x" * 513}}, "maximum length 512", "string_above_max_length"),
    ({"modalities": ["text", "audio"]}, "does not support audio output", "invalid_value"),
    ({"audio": {"voice": "x", "format": "wav"}}, "does not support audio output", "invalid_value"),
    ({"modalities": ["smell"]}, "Invalid value: 'smell'", "invalid_value"),
    ({"prediction": {"type": "content"}}, "'prediction.content'", "missing_required_parameter"),
    ({"prediction": {"type": "x", "content": ""}}, "Invalid value: 'x'", "invalid_value"),
    # messages
    (said("Hi"), "'messages[0]': expected an object", "invalid_type"),
    (said({"content": "Hi"}), "'messages[0].role'", "missing_required_parameter"),
    (
        said({"role": "bot", "content": "Hi"}),
        (
            "Invalid value: 'bot'. Supported values are: 'system', 'assistant', 'user', "
            "'function', 'tool', and 'developer'."
        ),
        "invalid_value",
    ),
    (said({"role": "user"}), "'messages[0].content'", "missing_required_parameter"),
    (said({"role": "user", "content": 1}), "one of a string or array", "invalid_type"),
    (said({"role": "user", "content": None}), "but got null", "invalid_type"),
    (said({**HI, "x": 1}), "Unknown parameter: 'messages[0].x'", "unknown_parameter"),
    (said({"role": "assistant", "content": None}), "expected a string, got null", None),
    (user(), "Invalid 'messages[0].content': empty array", "empty_array"),
    (user("Hi"), "'messages[0].content[0]': expected an object", "invalid_type"),
    (user({"text": "Hi"}), "'messages[0].content[0].type'", "missing_required_parameter"),
    (user({"type": "x"}), "'text', 'image_url', 'input_audio', and 'file'", "invalid_value"),
    (user({"type": "text"}), "'messages[0].content[0].text'", "missing_required_parameter"),
    (user({**TEXT, "cache_control": {}}), "content[0].cache_control'", "unknown_parameter"),
    (
        said({"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}),
        "Invalid value: 'image_url'. Supported values are: 'text'.",
        "invalid_value",
    ),
    (image(1), "'messages[0].content[0].image_url.url'", "invalid_type"),
    (image("a.png"), "Expected a valid URL", "invalid_value"),
    (image("data:image/bmp;base64,aGk="), "unsupported MIME type 'image/bmp'", "invalid_value"),
    (image("data:image/png;base64,?"), "an invalid base64-encoded value", "invalid_base64"),
    (image("data:image/png;base64,"), "an invalid base64-encoded value", "invalid_base64"),
    (image(PNG, detail="huge"), "Invalid value: 'huge'", "invalid_value"),
    (
        user({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "ogg"}}),
        "Supported values are: 'wav' and 'mp3'",
        "invalid_value",
    ),
    (
        user({"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}}),
        "Expected a base64-encoded value",
        "invalid_base64",
    ),
    (user({"type": "file", "file": {}}), "file.file_data'", "missing_required_parameter"),
    (user({"type": "file", "file": {"file_data": "aGk="}}), "data URL", "invalid_value"),
    (user({"type": "file", "file": {"url": "x"}}), "file.url'", "unknown_parameter"),
    # calls
    (said(called()), "Invalid 'messages[0].tool_calls': empty array", "empty_array"),
    (said(called("x")), "'messages[0].tool_calls[0]': expected an object", "invalid_type"),
    (said(called({"id": "c"})), "tool_calls[0].type'", "missing_required_parameter"),
    (said(called({"id": "c", "type": "x"})), "Invalid value: 'x'", "invalid_value"),
    (said(called({"id": "c", "type": "function"})), ".function'", "missing_required_parameter"),
    (said(called({**CALL, "index": 0})), "tool_calls[0].index'", "unknown_parameter"),
    (said(called({**CALL, "id": "x" * 41})), "maximum length 40", "string_above_max_length"),
    (
        said(called({**CALL, "function": {"name": "f", "arguments": {}}})),
        "tool_calls[0].function.arguments': expected a string, but got an object",
        "invalid_type",
    ),
    (
        said(HI, called(CALL, CALL2), RESULT),
        "The following tool_call_ids did not have response messages: call_2",
        None,
    ),
    (said(HI, called(CALL), HI, RESULT), "did not have response messages: call_1", None),
    (said(HI, RESULT), "must be a response to a preceeding message with 'tool_calls'", None),
    (said(*LOOP, RESULT), "must be a response to a preceeding message", None),
    (said(*LOOP[:2], RESULT2), "must be a response to a preceeding message", None),
    (
        said(*LOOP[:2], {"role": "tool", "content": "x"}),
        "'messages[2].tool_call_id'",
        "missing_required_parameter",
    ),
    # tools
    ({"tools": []}, "Invalid 'tools': empty array", "empty_array"),
    ({"tools": [TOOL] * 129}, "maximum length 128", "array_above_max_length"),
    ({"tools": ["f"]}, "'tools[0]': expected an object", "invalid_type"),
    ({"tools": [{"function": {}}]}, "'tools[0].type'", "missing_required_parameter"),
    ({"tools": [{"type": "web_search"}]}, "Invalid value: 'web_search'", "invalid_value"),
    ({"tools": [{"type": "function", "name": "f"}]}, ".function'", "missing_required_parameter"),
    ({"tools": [TOOL, TOOL]}, "tool names must be unique, but 'f'", "invalid_value"),
    (tool(name=1), "'tools[0].function.name': expected a string", "invalid_type"),
    (tool(name=""), "'tools[0].function.name': empty string", "empty_string"),
    (tool(name="a b"), "string does not match pattern", "invalid_value"),
    (tool(input_schema={}), "function.input_schema'", "unknown_parameter"),
    (tool(parameters={"type": "array"}), "got 'type: \"array\"'", "invalid_function_parameters"),
    (tool(parameters={"properties": {}}), "got 'type: \"None\"'", "invalid_function_parameters"),
    (custom(format={}), "format.type'", "missing_required_parameter"),
    (custom(format={"type": "x"}), "Supported values are: 'text' and 'grammar'", "invalid_value"),
    (custom(format={"type": "grammar"}), "format.grammar'", "missing_required_parameter"),
    (
        custom(format={"type": "grammar", "grammar": {"definition": "a", "syntax": "ebnf"}}),
        "Supported values are: 'lark' and 'regex'",
        "invalid_value",
    ),
    ({"tool_choice": "auto"}, "'tool_choice' is only allowed when 'tools' are specified", None),
    ({"parallel_tool_calls": True}, "is only allowed when 'tools' are specified", None),
    ({"tools": [TOOL], "tool_choice": "any"}, "Invalid value: 'any'", "invalid_value"),
    ({"tools": [TOOL], **named("g")}, "no function named 'g' was specified in the 'tools'", None),
    (chosen("g"), "'tool_choice.allowed_tools.tools[0]': no function named 'g'", None),
    (chosen("f", mode="x"), "Invalid value: 'x'", "invalid_value"),
    ({"tools": [TOOL], "tool_choice": {"type": "x"}}, "Invalid value: 'x'", "invalid_value"),
    ({"function_call": "auto"}, "only allowed when 'functions' are specified", None),
    ({"functions": []}, "Invalid 'functions': empty array", "empty_array"),
    ({"functions": [{}]}, "'functions[0].name'", "missing_required_parameter"),
    ({"functions": [{"name": "f"}], "function_call": "x"}, "Invalid value", "invalid_value"),
    ({"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "named 'g'", None),
    # structured output
    ({"response_format": {}}, "'response_format.type'", "missing_required_parameter"),
    ({"response_format": {"type": "xml"}}, "'json_object', 'json_schema', and", "invalid_value"),
    (
        {"response_format": {"type": "json_schema"}},
        "'response_format.json_schema'",
        "missing_required_parameter",
    ),
    ({"response_format": {"type": "json_object"}}, "must contain the word 'json'", None),
    (schema(name="a b"), "string does not match pattern", "invalid_value"),
    (schema(x=1), "Unknown parameter: 'response_format.json_schema.x'", "unknown_parameter"),
    (schema(schema=None, strict=True), "schema must be a JSON Schema of 'type: \"object\"'", None),
    (
        schema(strict=True, schema={"type": "object"}),
        (
            "Invalid schema for response_format 's': In context=(), 'additionalProperties' is "
            "required to be supplied and to be false."
        ),
        None,
    ),
    # strict schemas
    (
        strict(**{**SCHEMA, "properties": {"a": {"type": "string"}}}),
        (
            "Invalid schema for function 'f': In context=(), 'required' is required to be supplied "
            "and to be an array including every key in properties. Missing 'a'."
        ),
        "invalid_function_parameters",
    ),
    (strict(**{**SCHEMA, "required": ["b"]}), "Extra required key 'b' supplied", None),
    (strict(**{**SCHEMA, "anyOf": []}), "schema must be a JSON Schema of", None),
    (
        strict(**{**SCHEMA, "properties": {"a": {}}, "required": ["a"]}),
        "In context=('properties', 'a'), schema must have a 'type' key.",
        None,
    ),
    (
        strict(**{**SCHEMA, "properties": {"a": {"type": "array"}}, "required": ["a"]}),
        "array schema missing items",
        None,
    ),
    (
        strict(
            **{
                **SCHEMA,
                "properties": {"a": {"type": "array", "items": {"allOf": [], "type": "string"}}},
                "required": ["a"],
            }
        ),
        "In context=('properties', 'a', 'items'), 'allOf' is not permitted.",
        None,
    ),
    (
        strict(**{**SCHEMA, "$defs": {"a": {"anyOf": [{"type": "object"}]}}}),
        "In context=('$defs', 'a', 'anyOf', '0'), 'additionalProperties'",
        None,
    ),
    # models
    (
        {"model": O3, "max_tokens": 9},
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead."
        ),
        "unsupported_parameter",
    ),
    (
        {"model": O3, "temperature": 0.5},
        (
            "Unsupported value: 'temperature' does not support 0.5 with this model. Only the "
            "default (1) value is supported."
        ),
        "unsupported_value",
    ),
    ({"model": O3, "frequency_penalty": 1}, "Only the default (0)", "unsupported_value"),
    ({"model": O3, "stop": "x"}, "'stop' is not supported", "unsupported_parameter"),
    ({"model": GPT5, "logit_bias": {"1": 1}}, "'logit_bias' is not", "unsupported_parameter"),
    ({"model": GPT5, "logprobs": True}, "not allowed to request logprobs", None),
    (
        {"model": O3, "reasoning_effort": "minimal"},
        (
            "'reasoning_effort' does not support 'minimal' with this model. Supported values are: "
            "'low', 'medium', and 'high'."
        ),
        "unsupported_value",
    ),
    ({"model": "gpt-5.4", "reasoning_effort": "max"}, "'max'", "unsupported_value"),
    ({"model": "gpt-5-pro", "reasoning_effort": "low"}, "are: 'high'.", "unsupported_value"),
    ({"model": "gpt-5.2-pro", "reasoning_effort": "low"}, "'medium', 'high'", "unsupported_value"),
    (
        {"model": GPT52, "reasoning_effort": "low", "temperature": 0},
        "'temperature' does not support 0",
        "unsupported_value",
    ),
    ({"model": "gpt-5.5", "top_p": 0.5}, "'top_p' does not support", "unsupported_value"),
    ({"reasoning_effort": "low"}, "Unrecognized request argument supplied: reasoning_effort", None),
    ({"max_tokens": 1, "max_completion_tokens": 1}, "at the same time", None),
    ({"web_search_options": {}}, "'web_search_options' is not", "unsupported_parameter"),
    # DeepSeek
    (
        said(*LOOP, model=DEEPSEEK),
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        "invalid_request_error",
    ),
    (said(*LOOP, model="deepseek-chat", thinking={"type": "enabled"}), "must be passed back", None),
    (
        {"model": DEEPSEEK, "tools": [TOOL], "tool_choice": "required"},
        "Thinking mode does not support this tool_choice",
        "invalid_request_error",
    ),
    ({**image(PNG), "model": DEEPSEEK}, "unknown variant `image_url`, expected `text`", None),
    ({**schema(), "model": DEEPSEEK}, "This response_format type is unavailable now", None),
    (
        {"model": DEEPSEEK, "response_format": {"type": "json_object"}},
        "Prompt must contain the word 'json'",
        None,
    ),
    ({"model": DEEPSEEK, "thinking": {"type": "x"}}, "Invalid value: 'x'", "invalid_value"),
    ({"model": DEEPSEEK, "stop": ["x"] * 17}, "maximum length 16", "array_above_max_length"),
    # others
    ({"model": OTHER, "temperature": 3}, "Expected a value <= 2", "decimal_above_max_value"),
    ({"model": OTHER, **said(HI, RESULT)}, "must be a response to a preceeding message", None),
    ({"model": OTHER, "stop": 1}, "'stop': expected one of a string or array", "invalid_type"),
    ({"model": OTHER, "tools": [TOOL], **named("g")}, "no function named 'g'", None),
    ({"model": OTHER, **schema(x=1), "response_format": {"type": "json_schema"}}, "Missing", None),
    (
        {"model": OTHER, "response_format": {"type": "json_schema", "json_schema": 1}},
        "expected an object",
        "invalid_type",
    ),
    ({"model": OTHER, **said({"role": "user", "content": 1})}, "array of objects?", None),
]


@pytest.mark.parametrize(
    ("fields", "message", "code"), REFUSED, ids=[message for _, message, _ in REFUSED]
)
def test_what_is_refused(fields: dict[str, Any], message: str, code: str | None) -> None:
    complaint = judge(fields)
    assert complaint is not None
    assert message.rstrip("?") in complaint.message
    assert code in (None, complaint.code)
    assert complaint.status in (400, 403)


def test_schemas_of_any_size_are_looked_at() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(11):
        deep = {**SCHEMA, "properties": {"a": deep}, "required": ["a"]}
    assert "10 levels of nesting" in getattr(judge(strict(**deep)), "message", "")
    names = [f"p{number}" for number in range(5001)]
    wide = {**SCHEMA, "properties": {name: {"type": "null"} for name in names}, "required": names}
    assert "5000 object properties" in getattr(judge(strict(**wide)), "message", "")
    odd = {**SCHEMA, "properties": {"a": True}, "required": ["a"]}
    assert judge(strict(**odd)) is None


def test_whose_service_a_name_speaks_of() -> None:
    names = ("gpt-4o", "ft:gpt-4o:me", "chatgpt-4o-latest", "o4-mini", "codex-mini-latest")
    assert {maker_of(name) for name in names} == {"openai"}
    assert {maker_of(name) for name in ("deepseek-chat", "deepseek-v4-pro")} == {"deepseek"}
    names = ("openai/gpt-4o", "gpt-oss-120b", "deepseek/deepseek-r1", "omni", "")
    assert {maker_of(name) for name in names} == {"other"}


def test_whether_deepseek_thinks() -> None:
    assert deepseek_thinks("deepseek-v4-pro", {})
    assert deepseek_thinks("deepseek-reasoner", {})
    assert deepseek_thinks("deepseek-chat", {"thinking": {"type": "enabled"}})
    assert not deepseek_thinks("deepseek-chat", {})
    assert not deepseek_thinks("deepseek-v4-pro", {"thinking": {"type": "disabled"}})
    assert not deepseek_thinks("deepseek-v4-pro", {"reasoning_effort": "none"})


# --- what services were seen to accept

# The first is no chat, but an old completion; of the second the sound was not recorded.
_NO_REQUESTS = (
    "--openllmetry-js--should-set-attributes-in-span-for-str",
    "--streaming-agent-sends-audio",
)


def _taken() -> list[Recording]:
    found = [r for r in streams("openai-chat") if r.request is not None and r.status == 200]
    return [r for r in found if not any(part in r.id for part in _NO_REQUESTS)]


@needs_corpus
def test_every_recorded_request_that_was_answered_is_accepted() -> None:
    found = {}
    for recording in _taken():
        body = recording.request or {}
        complaint = next(complaints(body, body["model"], maker_of(body["model"])), None)
        if complaint is not None:
            found[recording.id] = complaint
    assert len(_taken()) > 800
    assert found == {}


# --- what our own client sends


def look(at: str, times: int = 1) -> str:
    """Looks."""
    return at * times


LOOK = ToolDefinition.from_callable(look)
CONFIGS: list[dict[str, Any]] = [
    {},
    {"tools": [LOOK]},
    {"tools": [LOOK], "tool_choice": ToolChoice(type="one_or_more")},
    {"tools": [LOOK], "tool_choice": ToolChoice(type="specific", specific_tool_name="look")},
    {"structured_output": AIModelEndpoint},
    {"structured_output": AIModelEndpoint, "tools": [LOOK]},
    {"options": {"temperature": 0.5, "stop": ["x"], "presence_penalty": 1}, "max_output_tokens": 9},
]
PROVIDERS = (AIModelAPIProviderEnum.OPEN_AI, AIModelAPIProviderEnum.DEEPSEEK)
REASONING: list[dict[str, Any]] = [{}, {"reasoning": True}, {"reasoning_effort": "high"}]


@pytest.mark.parametrize(
    "model",
    [*openai.CHAT_MODELS, *deepseek.CHAT_MODELS],
    ids=lambda model: str(model.model_name),
)
def test_what_our_client_sends_is_accepted(model: FoundationModel) -> None:
    provider = PROVIDERS[model in deepseek.CHAT_MODELS]
    api = AIModelAPI(provider=provider, api_key="sk-simulated", config={"api": "chat_completions"})
    endpoint = AIModelEndpoint(api=api, ai_model=model)
    system, turns = conversation(
        prompt="Hi", context=None, instructions=["Be brief."], messages=None
    )
    ways = REASONING if model.get_settings().supports_reasoning else REASONING[:1]
    for fields, reasoning, streaming in itertools.product(CONFIGS, ways, (False, True)):
        config = AIModelCallConfig(streaming=streaming, **fields, **reasoning)
        request = ChatRequest(endpoint=endpoint, config=config, system=system, turns=turns)
        wire = route_for(endpoint).dialect.build_request(request)
        body = msgspec.json.decode(msgspec.json.encode(wire.body))
        assert next(complaints(body, body["model"], maker_of(body["model"])), None) is None
