"""What OpenAI Responses refuses, and that it refuses nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from corpus import needs_corpus, streams
from simulator.responses_peer import ENCRYPTED, LOGPROBS, SQL, WEATHER, body

from dhenara_stream.core.conversation import conversation
from dhenara_stream.dialects.base import ChatRequest
from dhenara_stream.dialects.openai_responses import OpenAIResponsesDialect
from dhenara_stream.simulator.openai_common import Complaint
from dhenara_stream.simulator.openai_responses_rules import complaints, effort
from dhenara_stream.simulator.openai_responses_stored import StoredResponses
from dhenara_stream.simulator.signatures import Signatures
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    BaseAIModel,
    Prompt,
    StoredFile,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)
from dhenara_stream.types.genai.foundation_models.openai import chat

PLAIN, O3, GPT51, GPT52, UNKNOWN = "gpt-4o", "o3", "gpt-5.1", "gpt-5.2", "my-model"

SEAL = Signatures().sign("rs_1", "Hm")
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": SEAL}
USER = {"role": "user", "content": "Hi"}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "18"}
CUSTOM_CALL = {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"}
CUSTOM_RESULT = {"type": "custom_tool_call_output", "call_id": "c2", "output": "y"}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"}
FILE = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}
SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
KEPT = {
    "previous_response_id": "resp_kept",
    "input": [{"type": "function_call_output", "call_id": "kept", "output": ""}],
}


def kept() -> StoredResponses:
    """One response, in which a function is called after some reasoning."""
    stored = StoredResponses()
    call = {**CALL, "id": "fc_kept", "call_id": "kept"}
    reasoning = {"type": "reasoning", "id": "rs_kept", "summary": []}
    stored.keep("resp_kept", None, [USER], [reasoning, call])
    return stored


def judge(fields: dict[str, Any]) -> Complaint | None:
    stored = kept()
    return next(complaints(body(**fields), stored=stored, judge=Signatures().judge), None)


def given(*items: Any) -> dict[str, Any]:
    return {"input": list(items)}


def parts(*content: Any, role: str = "user") -> dict[str, Any]:
    return given({"role": role, "content": list(content)})


def format_(**fields: Any) -> dict[str, Any]:
    return {"text": {"format": fields}}


def schema(**rules: Any) -> dict[str, Any]:
    return format_(type="json_schema", name="n", schema=rules, strict=True)


def tool(**fields: Any) -> dict[str, Any]:
    return {"tools": [{**WEATHER, **fields}]}


def chosen(choice: Any, *tools: Any) -> dict[str, Any]:
    return {"tools": list(tools or (WEATHER, SQL)), "tool_choice": choice}


ACCEPTED: dict[str, dict[str, Any]] = {
    "plain": {},
    "nulls": dict.fromkeys(("temperature", "tools", "tool_choice", "store", "include", "text")),
    "limits": {"max_output_tokens": 16, "max_tool_calls": 1},
    "words": {
        "service_tier": "flex",
        "truncation": "auto",
        "prompt_cache_retention": "24h",
        "include": [ENCRYPTED],
    },
    "metadata": {"metadata": {"user_id": "u"}, "user": "u", "safety_identifier": "s"},
    "stream options": {"stream_options": {"include_obfuscation": False}},
    "background": {"background": True, "stream": False},
    "usual sampling of a model that reasons": {"temperature": 1, "top_p": 1.0, "top_logprobs": 0},
    "sampling": {"model": PLAIN, "temperature": 0.5, "top_p": 0.5, "include": [LOGPROBS]},
    "probabilities": {"model": PLAIN, "top_logprobs": 20, "include": [LOGPROBS]},
    "sampling without reasoning": {
        "model": GPT51,
        "temperature": 0.5,
        "reasoning": {"effort": "none"},
    },
    "sampling of a model that reasons if it is told to": {"model": GPT52, "top_p": 0.5},
    "a prompt": {"input": ..., "model": ..., "prompt": {"id": "pmpt_1"}},
    "a conversation": {"conversation": {"id": "conv_1"}, **given(RESULT)},
    "no input but a conversation": {"input": ..., "conversation": "conv_1"},
    "an empty input in a conversation": {"input": [], "conversation": "conv_1"},
    "what goes on": KEPT,
    "roles": given({"role": "system", "content": "x"}, {"role": "developer", "content": "x"}, USER),
    "an answer": given(USER, SAID, USER),
    "an answer as text": given(USER, {"role": "assistant", "content": "Hi"}, USER),
    "an answer with a phase": given({**SAID, "phase": "commentary"}, USER),
    "a refusal": parts({"type": "refusal", "refusal": "No"}, role="assistant"),
    "parts": parts({"type": "input_text", "text": "Hi"}, IMAGE, FILE),
    "an image by url": parts({"type": "input_image", "image_url": "https://example.com/a.png"}),
    "an image by id": parts({"type": "input_image", "file_id": "file_1"}),
    "a file by url": parts({"type": "input_file", "file_url": "https://example.com/a.pdf"}),
    "a file by id": parts({"type": "input_file", "file_id": "file_1"}),
    "a breakpoint": parts({"type": "input_text", "text": "Hi", "prompt_cache_breakpoint": {}}),
    "a call and its output": given(USER, CALL, RESULT),
    "calls and their outputs": given(CALL, CUSTOM_CALL, CUSTOM_RESULT, RESULT, USER),
    "an output of parts": given(CALL, {**RESULT, "output": [IMAGE], "status": "completed"}),
    "an output of nothing": given(CALL, {**RESULT, "output": []}),
    "reasoning": given(USER, REASONING, CALL, RESULT),
    "reasoning and an answer": given(REASONING, SAID, USER),
    "reasoning after reasoning": given(REASONING, {**REASONING, "id": None}, SAID),
    "reasoning without an id": given({**REASONING, "id": None}, CALL, RESULT),
    "reasoning in words": given(
        {
            "type": "reasoning",
            "id": "rs_2",
            "summary": [{"type": "summary_text", "text": "Hm"}],
            "content": [{"type": "reasoning_text", "text": "Hm"}],
        },
        SAID,
    ),
    "reasoning and a hosted tool": given(REASONING, {"type": "web_search_call", "id": "ws_1"}),
    "references": given(
        {"type": "item_reference", "id": "rs_kept"},
        {"type": "item_reference", "id": "fc_kept"},
        {**RESULT, "call_id": "kept"},
    ),
    "other items": given(
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    ),
    "reasoning to a model of one's own": {"model": UNKNOWN, **given(REASONING, SAID)},
    "tools": {"tools": [WEATHER, SQL]},
    "a tool without parameters": tool(parameters=None, strict=None),
    "a tool that is not strict": tool(parameters={"type": "object"}, strict=False),
    "a custom tool with a grammar": {"tools": [{**SQL, "format": {"type": "grammar"}}]},
    "hosted tools": {
        "tools": [
            {"type": "web_search", "search_context_size": "low"},
            {"type": "file_search", "vector_store_ids": ["vs_1"]},
            {"type": "code_interpreter", "container": {"type": "auto"}},
            {"type": "mcp", "server_label": "x", "server_url": "https://example.com/"},
        ],
        "max_tool_calls": 3,
        "parallel_tool_calls": False,
    },
    "a choice": chosen("required"),
    "a choice without tools": {"tool_choice": "auto"},
    "a function": chosen({"type": "function", "name": "get_weather"}),
    "a custom tool": chosen({"type": "custom", "name": "run_sql"}),
    "a hosted tool": chosen({"type": "web_search"}, {"type": "web_search"}),
    "a tool in a namespace": chosen(
        {"type": "function", "name": "get_weather"},
        {"type": "namespace", "name": "n", "tools": [WEATHER]},
    ),
    "allowed tools": chosen(
        {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "get_weather"}],
        }
    ),
    "a tool that comes with the input": {
        **chosen({"type": "function", "name": "found"}),
        **given(USER, {"type": "tool_search_output", "tools": []}),
    },
    "text": {"text": {"format": {"type": "text"}, "verbosity": "low"}},
    "a schema": schema(**SCHEMA),
    "a schema that is not strict": format_(
        type="json_schema", name="n", schema={"type": "object"}, description="d", strict=False
    ),
    "json": {**format_(type="json_object"), "input": "Write JSON."},
    "json in parts": {
        **format_(type="json_object"),
        **parts({"type": "input_text", "text": "In JSON, please."}),
    },
    "effort": {"reasoning": {"effort": "minimal", "summary": "auto"}},
    "the effort of a newer model": {"model": GPT52, "reasoning": {"effort": "xhigh"}},
    "the effort of a model of one's own": {
        "model": UNKNOWN,
        "reasoning": {"effort": "max"},
        "temperature": 0.5,
    },
    "the effort of a model nobody knows": {"model": "gpt-7", "reasoning": {"effort": "max"}},
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": ...}, "Missing required parameter: 'model'."),
    "an empty model": ({"model": ""}, "you must provide a model parameter"),
    "a model that is no text": ({"model": 3}, "Invalid type for 'model': expected a string"),
    "no input": ({"input": ...}, "One of 'input' or 'previous_response_id' or 'prompt' or"),
    "an empty input": ({"input": []}, "Invalid 'input': empty array."),
    "an input that is none": ({"input": 3}, "Invalid type for 'input': expected one of"),
    "another field": ({"top_k": 3}, "Unknown parameter: 'top_k'."),
    "messages": ({"messages": []}, "Unsupported parameter: 'messages'. In the Responses API"),
    "max_tokens": ({"max_tokens": 3}, "has moved to 'max_output_tokens'"),
    "a mistyped field": ({"store": 1}, "Invalid type for 'store': expected a boolean"),
    "too few tokens": ({"max_output_tokens": 15}, "Expected a value >= 16, but got 15"),
    "too hot": ({"temperature": 2.5}, "Expected a value <= 2, but got 2.5"),
    "a service tier": ({"service_tier": "x"}, "Invalid value: 'x'. Supported values are: 'auto'"),
    "an include": ({"include": ["x"]}, "Invalid value: 'x'. Supported values are:"),
    "metadata": ({"metadata": {"a": 1}}, "Invalid type for 'metadata.a': expected a string"),
    "long metadata": ({"metadata": {"a": "x" * 513}}, "Invalid 'metadata.a': string too long."),
    "metadata with a long name": ({"metadata": {"x" * 65: ""}}, "Invalid 'metadata': string too"),
    "much metadata": (
        {"metadata": {str(number): "" for number in range(17)}},
        "Invalid 'metadata': too many properties.",
    ),
    "stream options of another API": (
        {"stream_options": {"include_usage": True}},
        "Unknown parameter: 'stream_options.include_usage'.",
    ),
    "stream options without a stream": (
        {"stream": False, "stream_options": {"include_obfuscation": False}},
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    ),
    "background that is not stored": ({"background": True, "store": False}, "requires 'store'"),
    "two histories": (
        {"previous_response_id": "resp_kept", "conversation": "conv_1"},
        "Mutually exclusive parameters",
    ),
    "no id of a response": (
        {"previous_response_id": "x"},
        "Invalid 'previous_response_id': 'x'. Expected an ID that begins with 'resp'.",
    ),
    "a response that is not known": (
        {"previous_response_id": "resp_x"},
        "Previous response with id 'resp_x' not found.",
    ),
    "an item that is none": (given("Hi"), "Invalid type for 'input[0]': expected an object"),
    "an item without a type": (given({}), "Missing required parameter: 'input[0].type'."),
    "an item of another kind": (given({"type": "x"}), "Invalid value: 'x'. Supported values are"),
    "a role": (given({"role": "tool", "content": "x"}), "Invalid value: 'tool'. Supported values"),
    "a message without content": (
        given({"role": "user"}),
        "Missing required parameter: 'input[0].content'.",
    ),
    "a field of an item": (given({**USER, "name": "x"}), "Unknown parameter: 'input[0].name'."),
    "an id of another kind": (
        given({**SAID, "id": "x"}),
        "Invalid 'input[0].id': 'x'. Expected an ID that begins with 'msg'.",
    ),
    "a long id": (given({**SAID, "id": "msg_" + "x" * 64}), "Invalid 'input[0].id': string too"),
    "a long id of a call": (given({**CALL, "call_id": "x" * 65}), "Invalid 'input[0].call_id'"),
    "a call without a name": (given({**CALL, "name": ""}), "Invalid 'input[0].name': empty string"),
    "a call without an id": (
        given({"type": "function_call", "name": "f", "arguments": "{}"}),
        "Missing required parameter: 'input[0].call_id'.",
    ),
    "arguments that are no text": (
        given({**CALL, "arguments": {}}),
        "Invalid type for 'input[0].arguments': expected a string, but got an object instead.",
    ),
    "an item twice": (given(SAID, SAID), "Duplicate item found with id msg_1."),
    "a part that is none": (parts("Hi"), "Invalid type for 'input[0].content[0]'"),
    "a part without a type": (parts({}), "Missing required parameter: 'input[0].content[0].type'."),
    "a part of another API": (
        parts({"type": "text", "text": "Hi"}),
        "Invalid value: 'text'. Supported values are: 'input_text'",
    ),
    "a part of the other role": (
        parts({"type": "input_text", "text": "Hi"}, role="assistant"),
        "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
    ),
    "a field of a part": (
        parts({"type": "input_text", "text": "Hi", "x": 1}),
        "Unknown parameter: 'input[0].content[0].x'.",
    ),
    "an image without a place": (
        parts({"type": "input_image"}),
        "Missing required parameter: 'input[0].content[0].image_url'.",
    ),
    "an image as an object": (
        parts({**IMAGE, "image_url": {"url": "x"}}),
        "Invalid type for 'input[0].content[0].image_url': expected a string",
    ),
    "an image at no url": (
        parts({**IMAGE, "image_url": "a.png"}),
        "Invalid 'input[0].content[0].image_url'. Expected a valid URL",
    ),
    "an image of another type": (
        parts({**IMAGE, "image_url": "data:image/tiff;base64,aGk="}),
        "but got unsupported MIME type 'image/tiff'",
    ),
    "an image without a type": (
        parts({**IMAGE, "image_url": "data:;base64,aGk="}),
        "but got unsupported MIME type ''",
    ),
    "an image that is cut": (
        parts({**IMAGE, "image_url": "data:image/png"}),
        "but got unsupported MIME type ''",
    ),
    "an image that is no base64": (
        parts({**IMAGE, "image_url": "data:image/png;base64,a*b"}),
        "but got invalid base64",
    ),
    "an image of nothing": (
        parts({**IMAGE, "image_url": "data:image/png;base64,"}),
        "but got invalid base64",
    ),
    "an image's detail": (parts({**IMAGE, "detail": "x"}), "Invalid value: 'x'. Supported values"),
    "a file without a place": (
        parts({"type": "input_file", "filename": "a"}),
        "Missing required parameter: 'input[0].content[0].file_data'.",
    ),
    "a file that is no data url": (
        parts({**FILE, "file_data": "aGk="}),
        "Invalid 'input[0].content[0].file_data'. Expected a base64-encoded data URL",
    ),
    "an output without its call": (
        given(USER, RESULT),
        "No tool call found for function call output with call_id c1.",
    ),
    "an output before its call": (given(RESULT, CALL), "No tool call found for function call"),
    "an output of another kind of call": (
        given(CALL, {**CUSTOM_RESULT, "call_id": "c1"}),
        "No tool call found for custom tool call output with call_id c1.",
    ),
    "a call without its output": (
        given(USER, CALL, USER),
        "No tool output found for function call c1.",
    ),
    "a custom call without its output": (
        given(CUSTOM_CALL),
        "No tool output found for custom tool call c2.",
    ),
    "a kept call without its output": (
        {**KEPT, "input": "Go on"},
        "No tool output found for function call kept.",
    ),
    "reasoning at the end": (
        given(USER, REASONING),
        "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
    ),
    "reasoning before the user": (
        given(REASONING, USER),
        "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
    ),
    "reasoning before an output": (
        given(CALL, REASONING, RESULT),
        "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
    ),
    "reasoning without a summary": (
        given({"type": "reasoning", "id": "rs_1"}, SAID),
        "Missing required parameter: 'input[0].summary'.",
    ),
    "reasoning without content or an id": (
        given({"type": "reasoning", "summary": []}, SAID),
        "Missing required parameter: 'input[0].id'.",
    ),
    "reasoning that was not kept": (
        given({"type": "reasoning", "id": "rs_1", "summary": []}, SAID),
        "Item with id 'rs_1' not found.",
    ),
    "garbage": (
        given({**REASONING, "encrypted_content": "garbage"}, SAID),
        (
            "The encrypted content garbage could not be verified. Reason: Encrypted content could "
            "not be decrypted or parsed."
        ),
    ),
    "longer garbage": (
        given({**REASONING, "encrypted_content": "gAAAAABgarbage"}, SAID),
        "The encrypted content gAAA...bage could not be verified.",
    ),
    "encrypted content of another item": (
        given({**REASONING, "id": "rs_2"}, SAID),
        "Encrypted content item_id did not match the target item id.",
    ),
    "garbage without an id": (
        given({**REASONING, "id": None, "encrypted_content": "garbage"}, SAID),
        "could not be verified",
    ),
    "a kept item without its reasoning": (
        given({**CALL, "id": "fc_kept"}, RESULT),
        (
            "Item 'fc_kept' of type 'function_call' was provided without its required 'reasoning' "
            "item: 'rs_kept'."
        ),
    ),
    "a reference to nothing": (
        given({"type": "item_reference", "id": "msg_x"}),
        "Item with id 'msg_x' not found.",
    ),
    "reasoning to a model that does not": (
        {"model": PLAIN, **given(REASONING, SAID)},
        "Reasoning input items can only be provided to a reasoning or computer use model.",
    ),
    "a tool that is none": ({"tools": [3]}, "Invalid type for 'tools[0]': expected an object"),
    "a tool without a type": ({"tools": [{}]}, "Missing required parameter: 'tools[0].type'."),
    "a tool of another kind": ({"tools": [{"type": "x"}]}, "Invalid value: 'x'. Supported values"),
    "a tool of another API": (
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        "Missing required parameter: 'tools[0].name'.",
    ),
    "a tool's field": (tool(x=1), "Unknown parameter: 'tools[0].x'."),
    "a tool's name": (tool(name="a b"), "Invalid 'tools[0].name': string does not match pattern."),
    "a long name of a tool": (tool(name="x" * 65), "Invalid 'tools[0].name': string too long."),
    "parameters of another type": (
        tool(parameters={"type": "array"}, strict=False),
        (
            "Invalid schema for function 'get_weather': schema must be a JSON Schema of 'type: "
            '"object"\', got \'type: "array"\'.'
        ),
    ),
    "a strict tool": (
        tool(parameters={"type": "object", "properties": {}}),
        (
            "Invalid schema for function 'get_weather': In context=(), 'additionalProperties' is "
            "required to be supplied and to be false."
        ),
    ),
    "a custom tool's name": ({"tools": [{**SQL, "name": ""}]}, "Invalid 'tools[0].name'"),
    "a hosted tool without what it needs": (
        {"tools": [{"type": "file_search"}]},
        "Missing required parameter: 'tools[0].vector_store_ids'.",
    ),
    "a choice's word": (chosen("any"), "Invalid value: 'any'. Supported values are: 'none'"),
    "a required tool of none": (
        {"tool_choice": "required"},
        "Tool choice 'required' must be specified with 'tools' parameter.",
    ),
    "a choice without a type": (chosen({}), "Missing required parameter: 'tool_choice.type'."),
    "a choice of another kind": (chosen({"type": "any"}), "Invalid value: 'any'. Supported"),
    "a choice of another API": (
        chosen({"type": "function", "function": {"name": "get_weather"}}),
        "Missing required parameter: 'tool_choice.name'.",
    ),
    "a tool that is not there": (
        chosen({"type": "function", "name": "other"}),
        "Tool choice 'other' not found in 'tools' parameter.",
    ),
    "a hosted tool that is not there": (
        chosen({"type": "web_search"}),
        "Tool choice 'web_search' not found in 'tools' parameter.",
    ),
    "an allowed tool that is not there": (
        chosen({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}),
        "Tool choice 'mcp' not found in 'tools' parameter.",
    ),
    "a mode of allowed tools": (
        chosen({"type": "allowed_tools", "mode": "any", "tools": []}),
        "Invalid value: 'any'. Supported values are: 'auto' and 'required'.",
    ),
    "verbosity": ({"text": {"verbosity": "x"}}, "Invalid value: 'x'. Supported values are: 'low'"),
    "a format without a type": (format_(name="n"), "Missing required parameter: 'text.format."),
    "a format": (format_(type="yaml"), "Invalid value: 'yaml'. Supported values are: 'text'"),
    "a format of another API": (
        format_(type="json_schema", json_schema={}),
        "Missing required parameter: 'text.format.name'.",
    ),
    "a schema's name": (
        format_(type="json_schema", name="a b", schema=SCHEMA),
        "Invalid 'text.format.name': string does not match pattern.",
    ),
    "a schema that allows more": (
        schema(type="object", properties={}),
        "Invalid schema for response_format 'n': In context=(), 'additionalProperties' is required",
    ),
    "a schema that requires less": (
        schema(**{**SCHEMA, "properties": {"a": {"type": "string"}}}),
        "Missing 'a'",
    ),
    "json that nobody speaks of": (
        format_(type="json_object"),
        "Response input messages must contain the word 'json' in some form",
    ),
    "a field of reasoning": ({"reasoning": {"x": 1}}, "Unknown parameter: 'reasoning.x'."),
    "an effort": ({"reasoning": {"effort": "huge"}}, "Invalid value: 'huge'. Supported values"),
    "an effort of other models": (
        {"model": O3, "reasoning": {"effort": "minimal"}},
        (
            "Unsupported value: 'minimal' is not supported with the 'o3' model. Supported values "
            "are: 'low', 'medium', and 'high'."
        ),
    ),
    "sampling of a model that reasons": (
        {"temperature": 0.5},
        "Unsupported parameter: 'temperature' is not supported with this model.",
    ),
    "sampling while reasoning": (
        {"model": GPT51, "top_logprobs": 2, "reasoning": {"effort": "low"}},
        "Unsupported parameter: 'top_logprobs' is not supported with this model.",
    ),
    "reasoning of a model that does not": (
        {"model": PLAIN, "reasoning": {"effort": "low"}},
        "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
    ),
    "encrypted reasoning of a model that does not": (
        {"model": PLAIN, "include": [ENCRYPTED]},
        "Encrypted content is not supported with this model.",
    ),
}


@pytest.mark.parametrize("fields", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(fields: dict[str, Any]) -> None:
    assert judge(fields) is None


@pytest.mark.parametrize(("fields", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(fields: dict[str, Any], message: str) -> None:
    complaint = judge(fields)
    assert complaint is not None
    assert message in complaint.message


@pytest.mark.parametrize(
    ("fields", "param", "code", "status"),
    [
        ({"model": ...}, "model", "missing_required_parameter", 400),
        ({"top_k": 1}, "top_k", "unknown_parameter", 400),
        ({"max_output_tokens": 1}, "max_output_tokens", "integer_below_min_value", 400),
        (
            {"previous_response_id": "resp_x"},
            "previous_response_id",
            "previous_response_not_found",
            400,
        ),
        (
            given({**REASONING, "encrypted_content": "x"}, SAID),
            None,
            "invalid_encrypted_content",
            400,
        ),
        (given({"type": "item_reference", "id": "msg_x"}), "input", None, 404),
        (tool(parameters={"type": "x"}), "tools[0].parameters", "invalid_function_parameters", 400),
        (schema(type="object"), "text.format.schema", "invalid_json_schema", 400),
    ],
)
def test_what_else_is_told_of_a_refusal(
    fields: dict[str, Any], param: str | None, code: str | None, status: int
) -> None:
    complaint = judge(fields)
    assert complaint is not None
    assert (complaint.param, complaint.code, complaint.status) == (param, code, status)


# --- what the real service took -------------------------------------------------------------------


class Everything(StoredResponses):
    """A service that has kept whatever a request refers to."""

    def history(self, response_id: str) -> list[dict[str, Any]] | None:
        return [] if response_id else None

    def item(self, item_id: str) -> dict[str, Any] | None:
        return {"type": "reasoning", "id": item_id}


RECORDED = [recording for recording in streams("openai-responses") if recording.status == 200]


def the_complaint(sent: dict[str, Any]) -> Complaint | None:
    """What is said to a request whose references and seals are the real service's."""
    found = complaints(sent, stored=Everything(), judge=lambda *_: "valid")
    return next(found, None)


@needs_corpus
def test_whatever_the_real_service_took_is_accepted() -> None:
    requests = {recording.id: recording.request for recording in RECORDED}
    sent = {name: request for name, request in requests.items() if request is not None}
    assert len(sent) > 400
    refused = {name: found for name, request in sent.items() if (found := the_complaint(request))}
    assert not refused


# --- what our own client sends --------------------------------------------------------------------


def look(place: str, depth: int = 1) -> str:
    """Look somewhere."""
    return f"{place}{depth}"


NOTES = StoredFile.from_bytes(b"Notes", "notes.txt")
PDF = StoredFile.from_bytes(b"%PDF-1.4", "a.pdf")
PNG = StoredFile.from_bytes(b"\x89PNG\r\n\x1a\n", "a.png")
MESSAGES: list[Any] = [Prompt(text="Hi", files=[NOTES, PDF, PNG]), "Go on"]


class Output(msgspec.Struct):
    a: int
    b: str = ""


CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "streaming": {"streaming": True, "max_output_tokens": 5},
    "reasoning": {"reasoning": True, "reasoning_effort": "low", "max_output_tokens": 500},
    "high effort": {"reasoning": True, "reasoning_effort": "high"},
    "no reasoning": {"reasoning": False},
    "sampling": {"options": {"temperature": 0.3, "top_p": 0.4, "top_logprobs": 3}},
    "tools": {
        "tools": [ToolDefinition.from_callable(look)],
        "tool_choice": ToolChoice(type="specific", specific_tool_name="look"),
    },
    "any tool": {
        "tools": [ToolDefinition.from_callable(look)],
        "tool_choice": ToolChoice(type="one_or_more", parallel=False),
    },
    "a hosted tool": {"hosted_tools": [WebSearchHostedTool(max_uses=2)]},
    "structured output": {"structured_output": Output, "reasoning": True},
    "the user": {"metadata": {"user_id": "u"}, "options": {"verbosity": "low"}},
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("model", chat.CHAT_MODELS, ids=lambda model: model.model_name)
def test_whatever_our_own_client_sends_is_accepted(
    model: BaseAIModel, config: dict[str, Any]
) -> None:
    system, turns = conversation(
        prompt=None, context=None, instructions=["Be brief."], messages=MESSAGES
    )
    reasons = model.get_settings().supports_reasoning
    fields = {k: v for k, v in config.items() if reasons or not k.startswith("reasoning")}
    api = AIModelAPI(provider=AIModelAPIProviderEnum.OPEN_AI, api_key="sk-test-key")
    request = ChatRequest(
        endpoint=AIModelEndpoint(api=api, ai_model=model),
        config=AIModelCallConfig(**fields),
        system=system,
        turns=turns,
    )
    sent = json.loads(json.dumps(OpenAIResponsesDialect().build_request(request).body))
    assert next(complaints(sent, stored=kept(), judge=Signatures().judge), None) is None


def test_how_much_a_model_thinks() -> None:
    assert effort({"model": "gpt-5"}) == "medium"
    assert effort({"model": "gpt-5.2"}) == "none"
    assert effort({"model": "gpt-5.2-pro"}) == "medium"
    assert effort({"model": "gpt-5.2", "reasoning": {"effort": "high"}}) == "high"
    assert effort({"model": "gpt-4o"}) is None


ODD: list[Any] = [None, True, 3, 0.5, "", "x", [], [[]], [None], {}, {"type": {}}, {"x": None}]


def bent(value: Any) -> Iterator[Any]:
    """The value with one thing in it replaced by each of the odd ones, in turn."""
    yield from ODD
    if isinstance(value, dict):
        fields: dict[str, Any] = value
        for name, inner in fields.items():
            yield from ({**fields, name: other} for other in bent(inner))
    if isinstance(value, list):
        items: list[Any] = value
        for place, inner in enumerate(items):
            yield from ([*items[:place], other, *items[place + 1 :]] for other in bent(inner))


@pytest.mark.parametrize("fields", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_body_of_any_shape_is_judged(fields: dict[str, Any]) -> None:
    stored, seals = kept(), Signatures()
    for other in bent(fields):
        sent = body(**other) if isinstance(other, dict) else body()
        complaint = next(complaints(sent, stored=stored, judge=seals.judge), None)
        assert complaint is None or complaint.message
