"""What the Anthropic service refuses, and that it refuses nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from simulator.peer import body

from dhenara_stream.simulator.anthropic_rules import complaint
from dhenara_stream.simulator.signatures import Signatures

HAIKU, SONNET46, OPUS48 = "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-8"
SIGNED = {"type": "thinking", "thinking": "Hm", "signature": Signatures().sign("Hm", "Hm")}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
CALL2 = {**CALL, "id": "toolu_2"}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "18"}
RESULT2 = {**RESULT, "tool_use_id": "toolu_2"}
TEXT = {"type": "text", "text": "Hi"}
MANUAL = {"type": "enabled", "budget_tokens": 1024}
ADAPTIVE = {"type": "adaptive"}
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
CACHED = {"cache_control": {"type": "ephemeral"}}


def judge(fields: dict[str, Any], betas: tuple[str, ...] = ()) -> str | None:
    return complaint(body(**fields), betas=frozenset(betas), judge=Signatures().judge)


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def messages(*turns: Any) -> dict[str, Any]:
    return {"messages": list(turns)}


def first(*blocks: Any) -> dict[str, Any]:
    return messages(user(*blocks))


def replied(*blocks: Any) -> dict[str, Any]:
    """A conversation whose second turn, the assistant's, has these blocks."""
    return messages(user(TEXT), assistant(*blocks), user(TEXT))


def schema(**rules: Any) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": rules}}}


def source(kind: str, **fields: Any) -> dict[str, Any]:
    return first({"type": kind, "source": fields}, TEXT)


PNG = {"type": "base64", "media_type": "image/png", "data": "aGk="}

ACCEPTED: dict[str, dict[str, Any]] = {
    "plain": {},
    "system as text": {"system": "Be brief."},
    "system as blocks": {"system": [{**TEXT, **CACHED}]},
    "sampling": {"temperature": 0.5, "top_k": 5},
    "integers where numbers are": {"temperature": 1},
    "stop sequences": {"stop_sequences": ["END"]},
    "metadata": {"metadata": {"user_id": "u"}, "service_tier": "standard_only"},
    "nulls where they may be": {"container": None, "cache_control": None},
    "a string for content": messages({"role": "user", "content": "Hi"}),
    "turns in a row": messages(user(TEXT), user(TEXT), assistant(TEXT), user(TEXT)),
    "a prefill": messages(user(TEXT), assistant(TEXT)),
    "an empty prefill": messages(user(TEXT), assistant()),
    "an image": source("image", **PNG),
    "an image by url": source("image", type="url", url="https://example.com/a.png"),
    "a document": source("document", type="base64", media_type="application/pdf", data="aGk="),
    "a text document": source("document", type="text", media_type="text/plain", data="Hi"),
    "a document of blocks": source("document", type="content", content=[TEXT]),
    "a server tool's blocks": replied(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        TEXT,
    ),
    "a call and its result": messages(user(TEXT), assistant(TEXT, CALL), user(RESULT)),
    "two calls, results in any order, text after": messages(
        user(TEXT), assistant(CALL, CALL2), user(RESULT2, RESULT, TEXT)
    ),
    "results in two messages": messages(
        user(TEXT), assistant(CALL, CALL2), user(RESULT), user(RESULT2)
    ),
    "a result of blocks": messages(
        user(TEXT),
        assistant(CALL),
        user({**RESULT, "content": [TEXT, {"type": "image", "source": PNG}], "is_error": True}),
    ),
    "a result without content": messages(
        user(TEXT), assistant(CALL), user({"type": "tool_result", "tool_use_id": "toolu_1"})
    ),
    "tools": {"tools": [{**TOOL, "strict": True, "input_schema": SCHEMA}]},
    "a server tool": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "a toolset": {"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]},
    "tool choice": {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}},
    "no tools at once": {
        "tools": [TOOL],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    },
    "tools not to be used": {"tools": [TOOL], "tool_choice": {"type": "none"}},
    "thinking by budget": {"thinking": MANUAL, "temperature": 1, "top_p": ...},
    "thinking with top_p": {"thinking": MANUAL, "top_p": 0.95},
    "thinking adaptively": {"model": OPUS48, "thinking": {**ADAPTIVE, "display": "omitted"}},
    "no thinking": {"thinking": {"type": "disabled"}},
    "forced tools while thinking adaptively": {
        "model": OPUS48,
        "thinking": ADAPTIVE,
        "tools": [TOOL],
        "tool_choice": {"type": "any"},
    },
    "signed thinking": replied(SIGNED, {"type": "redacted_thinking", "data": "x"}, TEXT),
    "thinking leads a tool loop": {
        "thinking": MANUAL,
        **messages(
            user(TEXT), assistant(SIGNED, CALL), user(RESULT), assistant(CALL2), user(RESULT2)
        ),
    },
    "a tool loop that is over": {
        "thinking": MANUAL,
        **messages(user(TEXT), assistant(CALL), user(RESULT), assistant(TEXT), user(TEXT)),
    },
    "a tool loop without thinking, adaptively": {
        "model": SONNET46,
        "thinking": ADAPTIVE,
        **messages(user(TEXT), assistant(CALL), user(RESULT)),
    },
    "effort": {"model": "claude-opus-4-5", "output_config": {"effort": "low"}},
    "null effort": {"output_config": {"effort": None, "format": None}},
    "a schema": schema(
        type="object",
        properties={
            "a": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "b": {"type": ["null"]},
        },
        additionalProperties=False,
    ),
    "four breakpoints": {
        "system": [{**TEXT, **CACHED}],
        "tools": [{**TOOL, **CACHED}],
        **first({**TEXT, **CACHED}, {**TEXT, **CACHED}),
    },
    "an unknown model": {"model": "my-proxy/model", "temperature": 0.1, "top_p": 0.5},
    "an old model": {"model": "claude-3-opus-20240229", "temperature": 0.1, "top_p": 0.5},
}


@pytest.mark.parametrize("fields", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_is_accepted(fields: dict[str, Any]) -> None:
    assert judge(fields) is None


REFUSED: list[tuple[dict[str, Any], str]] = [
    # the top level
    ({"model": ...}, "model: Field required"),
    ({"model": 3}, "model: Input should be a valid string"),
    ({"model": ""}, "model: String should have at least 1 character"),
    ({"messages": ...}, "messages: Field required"),
    ({"messages": {}}, "messages: Input should be a valid array"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"max_tokens": ...}, "max_tokens: Field required"),
    ({"max_tokens": None}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": 1.5}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
    ({"max_output_tokens": 3}, "max_output_tokens: Extra inputs are not permitted"),
    ({"stream": 1}, "stream: Input should be a valid boolean"),
    ({"system": None}, "system: Input should be a valid string or array"),
    ({"tool_choice": None}, "tool_choice: Input should be an object"),
    # ranges
    ({"temperature": 1.1}, "temperature: Input should be less than or equal to 1"),
    ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
    ({"top_p": 2}, "top_p: Input should be less than or equal to 1"),
    ({"top_k": -1}, "top_k: Input should be greater than or equal to 0"),
    ({"top_k": 1.5}, "top_k: Input should be a valid integer"),
    ({"service_tier": "fast"}, "service_tier: Input should be 'auto' or 'standard_only'"),
    ({"metadata": {"user": "u"}}, "metadata.user: Extra inputs are not permitted"),
    ({"stop_sequences": [3]}, "stop_sequences.0: Input should be a valid string"),
    ({"stop_sequences": [" "]}, "stop_sequences: each stop sequence must contain non-whitespace"),
    # messages
    (messages("Hi"), "messages.0: Input should be an object"),
    (messages({"role": "user"}), "messages.0.content: Field required"),
    (messages({"content": "Hi"}), "messages.0.role: Field required"),
    (messages({**user(TEXT), "name": "x"}), "messages.0.name: Extra inputs are not permitted"),
    (messages({"role": "system", "content": "x"}), 'messages: Unexpected role "system"'),
    (messages({"role": "tool", "content": "x"}), "messages.0.role: Input should be 'user' or"),
    (messages(assistant(TEXT)), 'messages: first message must use the "user" role'),
    (messages(user()), "messages.0: all messages must have non-empty content"),
    (messages({"role": "user", "content": ""}), "messages.0: all messages must have non-empty"),
    (messages(user(TEXT), assistant(), user(TEXT)), "messages.1: all messages must have"),
    (
        messages(user(TEXT), {"role": "assistant", "content": "Well "}),
        "messages: final assistant content cannot end with trailing whitespace",
    ),
    # blocks
    (first({"text": "Hi"}), "messages.0.content.0.type: Field required"),
    (first("Hi"), "messages.0.content.0.type: Field required"),
    (first({"type": "video"}), "messages.0.content.0: Input tag 'video' found using 'type'"),
    (first({"type": "text"}), "messages.0.content.0.text.text: Field required"),
    (first({"type": "text", "text": None}), "messages.0.content.0.text.text: Input should be a"),
    (first({**TEXT, "id": 1}), "messages.0.content.0.text.id: Extra inputs are not permitted"),
    (first({"type": "text", "text": ""}), "messages: text content blocks must be non-empty"),
    (first({"type": "text", "text": " "}), "messages: text content blocks must contain non-white"),
    (first(SIGNED, TEXT), "messages.0: `thinking` blocks are not allowed in `user` messages"),
    (replied(RESULT), "messages.1: `tool_result` blocks are not allowed in `assistant` messages"),
    (
        replied({"type": "thinking", "thinking": "Hm"}, TEXT),
        "messages.1.content.0.thinking.signature: Field required",
    ),
    (
        replied({**SIGNED, **CACHED}, TEXT),
        "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted",
    ),
    (
        replied({**CALL, "input": "{}"}),
        "messages.1.content.0.tool_use.input: Input should be an object",
    ),
    (
        replied({**CALL, "id": "call|1"}),
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
    (
        first({**RESULT, "tool_use_id": ""}),
        "messages.0.content.0.tool_result.tool_use_id: String should match pattern",
    ),
    (first({**RESULT, "content": 3}), "messages.0.content.0.tool_result.content: Input should be"),
    (first({**RESULT, "is_error": 1}), "messages.0.content.0.tool_result.is_error: Input should"),
    (
        first({**RESULT, "content": [{"type": "text"}]}),
        "messages.0.content.0.tool_result.content.0.text.text: Field required",
    ),
    (
        first({**RESULT, "content": [{**TEXT, **CACHED}]}),
        "messages.0.content.0.tool_result.content.0.cache_control: cache_control is not supported",
    ),
    (source("image", type="text"), "messages.0.content.0.image.source: Input tag 'text' found"),
    (source("image", type="url"), "messages.0.content.0.image.source.url.url: Field required"),
    (
        source("image", **{**PNG, "media_type": "image/bmp"}),
        "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg' or",
    ),
    (
        source("image", **{**PNG, "data": ""}),
        "messages.0.content.0.image.source.base64.data: String should have at least 1 character",
    ),
    (
        source("document", type="text", media_type="text/html", data="x"),
        "messages.0.content.0.document.source.text.media_type: Input should be 'text/plain'",
    ),
    ({"system": ["Be brief."]}, "system.0: Input should be an object"),
    ({"system": [{"type": "text", "text": ""}]}, "system: text content blocks must be non-empty"),
    # calls and results
    (
        messages(user(TEXT), assistant(CALL, CALL2), user(RESULT)),
        (
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: "
            "toolu_2."
        ),
    ),
    (messages(user(TEXT), assistant(CALL)), "messages.1: `tool_use` ids were found without"),
    (
        messages(user(TEXT), assistant(CALL), user(TEXT, RESULT)),
        "messages.1: `tool_use` ids were found without",
    ),
    (first(RESULT), "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks"),
    (
        messages(user(TEXT), assistant(CALL), user(RESULT, RESULT2)),
        "messages.2.content.1: unexpected `tool_use_id` found in `tool_result` blocks: toolu_2",
    ),
    (
        messages(user(TEXT), assistant(CALL), user(RESULT, RESULT)),
        "messages.2.content.1: each tool_use must have a single result",
    ),
    (
        messages(user(TEXT), assistant(CALL), user(RESULT), assistant(CALL), user(RESULT)),
        "messages: `tool_use` ids must be unique",
    ),
    # tools
    ({"tools": ["f"]}, "tools.0: Input should be an object"),
    ({"tools": [{"name": "f"}]}, "tools.0.custom.input_schema: Field required"),
    ({"tools": [{**TOOL, "parameters": {}}]}, "tools.0.custom.parameters: Extra inputs are not"),
    ({"tools": [{**TOOL, "description": None}]}, "tools.0.custom.description: Input should be a"),
    ({"tools": [{**TOOL, "name": "a b"}]}, "tools.0.custom.name: String should match pattern"),
    ({"tools": [{**TOOL, "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
    (
        {"tools": [{**TOOL, "input_schema": {"type": "string"}}]},
        "tools.0.custom.input_schema.type: Input should be 'object'",
    ),
    (
        {"tools": [{**TOOL, "strict": True}]},
        "tools.0.custom.input_schema: For 'object' type, 'additionalProperties' must be",
    ),
    ({"tools": [{"type": "function"}]}, "tools.0: Input tag 'function' found using 'type'"),
    ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
    ({"tool_choice": {"type": "auto"}}, "tool_choice: tool_choice may only be specified while"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "required"}},
        "tool_choice: Input tag 'required' found using 'type'",
    ),
    ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.tool.name: Field required"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}},
        "Tool 'g' not found in provided tools",
    ),
    (
        {"tools": [TOOL], "tool_choice": {"type": "none", "disable_parallel_tool_use": True}},
        "tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted",
    ),
    # thinking
    ({"thinking": {"type": "on"}}, "thinking: Input tag 'on' found using 'type'"),
    ({"thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
    (
        {"model": OPUS48, "thinking": {**ADAPTIVE, "budget_tokens": 1024}},
        "thinking.adaptive.budget_tokens: Extra inputs are not permitted",
    ),
    (
        {"thinking": {**MANUAL, "display": "full"}},
        "thinking.enabled.display: Input should be 'summarized' or 'omitted'",
    ),
    (
        {"thinking": {**MANUAL, "budget_tokens": 1023}},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    (
        {"thinking": MANUAL, "max_tokens": 1024},
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
    ),
    (
        {"thinking": MANUAL, "tools": [TOOL], "tool_choice": {"type": "any"}},
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    ({"thinking": MANUAL, "temperature": 0.5}, "`temperature` may only be set to 1 when thinking"),
    ({"thinking": MANUAL, "top_p": 0.9}, "`top_p` must be greater than or equal to 0.95 or unset"),
    ({"thinking": MANUAL, "top_k": 5}, "`top_k` must be unset when thinking is enabled"),
    (
        replied({**SIGNED, "signature": "bm9uZQ=="}, TEXT),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    (
        replied({**SIGNED, "thinking": "Ha"}, TEXT),
        "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant",
    ),
    (
        {"thinking": MANUAL, **messages(user(TEXT), assistant(CALL, SIGNED), user(RESULT))},
        (
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            "`tool_use`."
        ),
    ),
    # output
    (
        {"model": OPUS48, "output_config": {"effort": "minimal"}},
        "output_config.effort: Input should be one of 'low'",
    ),
    ({"output_config": {"schema": {}}}, "output_config.schema: Extra inputs are not permitted"),
    ({"output_config": {"format": "json"}}, "output_config.format: Input should be an object"),
    ({"output_config": {"format": {"type": "json"}}}, "output_config.format.type: Input should be"),
    (
        {"output_config": {"format": {"type": "json_schema"}}},
        "output_config.format.schema: Field required",
    ),
    (
        schema(type="object"),
        (
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be "
            "explicitly set to false"
        ),
    ),
    (
        schema(type="array", items={"type": "integer", "minimum": 1}),
        "output_config.format.schema: For 'integer' type, property 'minimum' is not supported",
    ),
    (
        schema(anyOf=[{"type": "string", "maxLength": 3}]),
        "output_config.format.schema: For 'string' type, property 'maxLength' is not supported",
    ),
    (
        {
            "system": [{**TEXT, **CACHED}] * 2,
            **CACHED,
            **first({**TEXT, **CACHED}, {**TEXT, **CACHED}),
        },
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    # models
    (
        {"max_tokens": 64_001},
        (
            "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for "
            "claude-haiku-4-5"
        ),
    ),
    ({"thinking": ADAPTIVE}, "adaptive thinking is not supported on this model"),
    (
        {"model": "claude-3-5-haiku-latest", "thinking": MANUAL},
        "'claude-3-5-haiku-latest' does not support thinking.",
    ),
    (
        {"model": OPUS48, "thinking": MANUAL},
        '"thinking.type.enabled" is not supported for this model.',
    ),
    ({"model": OPUS48, "temperature": 1}, "`temperature` is deprecated for this model."),
    ({"model": OPUS48, "top_k": 5}, "`top_k` is deprecated for this model."),
    (
        {"temperature": 1, "top_p": 1},
        "`temperature` and `top_p` cannot both be specified for this model.",
    ),
    ({"output_config": {"effort": "low"}}, "This model does not support the effort parameter."),
    (
        {"model": "claude-sonnet-4-20250514", **schema(**SCHEMA)},
        "'claude-sonnet-4-20250514' does not support output format.",
    ),
    (
        {"model": SONNET46, **messages(user(TEXT), assistant(TEXT))},
        "This model does not support assistant message prefill.",
    ),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_what_is_refused(fields: dict[str, Any], message: str) -> None:
    found = judge(fields)
    assert found is not None
    assert found.startswith(message), found


def test_interleaved_thinking_may_take_more_than_the_answer() -> None:
    fields = {"thinking": MANUAL, "max_tokens": 1024}
    assert judge(fields, ("interleaved-thinking-2025-05-14",)) is None


def test_beta_features_open_their_fields() -> None:
    fields = {"mcp_servers": [], "output_config": {"task_budget": {"type": "tokens"}}}
    assert judge(fields) is not None
    assert judge(fields, ("any-beta",)) is None


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("claude-3-opus-20240229", 4096),
        ("claude-3-5-sonnet-latest", 8192),
        ("claude-3-7-sonnet-latest", 64_000),
        ("claude-opus-4-20250514", 32_000),
        ("claude-opus-4-1", 32_000),
        ("claude-sonnet-4-20250514", 64_000),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 64_000),
        ("claude-opus-4-5", 64_000),
        ("claude-opus-4-6", 128_000),
        ("claude-sonnet-4-6", 64_000),
        ("claude-sonnet-5", 128_000),
        ("claude-mythos-5", 128_000),
    ],
)
def test_the_most_tokens_of_a_model(model: str, most: int) -> None:
    assert judge({"model": model, "max_tokens": most}) is None
    assert judge({"model": model, "max_tokens": most + 1}) is not None


@pytest.mark.parametrize(
    ("model", "by_budget", "adaptively", "sampling", "effort"),
    [
        ("claude-3-5-haiku-latest", False, False, True, False),
        ("claude-3-7-sonnet-latest", True, False, True, False),
        ("claude-haiku-4-5", True, False, True, False),
        ("claude-sonnet-4-5", True, False, True, False),
        ("claude-opus-4-5", True, False, True, True),
        ("claude-opus-4-6", True, True, True, True),
        ("claude-sonnet-4-6", True, True, True, True),
        ("claude-opus-4-7", False, True, False, True),
        ("claude-opus-4-8", False, True, False, True),
        ("claude-haiku-5", False, True, False, True),
        ("claude-fable-5", False, True, False, True),
    ],
)
def test_what_models_take(
    model: str, by_budget: bool, adaptively: bool, sampling: bool, effort: bool
) -> None:
    assert (judge({"model": model, "thinking": MANUAL}) is None) is by_budget
    assert (judge({"model": model, "thinking": ADAPTIVE}) is None) is adaptively
    assert (judge({"model": model, "temperature": 0.5}) is None) is sampling
    assert (judge({"model": model, "output_config": {"effort": "low"}}) is None) is effort
