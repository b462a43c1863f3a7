"""Requests to Chat Completions, OpenAI's and others'.

``refusals`` says, from the rules of the API and of each server alone, what it would say to a body;
no choice of model and config may lead to one that it refuses.
"""

import base64
import itertools
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import completion_create_params as official
from pydantic import BaseModel, TypeAdapter

from dhenara_stream.core.conversation import TextPart, Turn, conversation
from dhenara_stream.dialects.base import ChatRequest, ErrorReply, WireRequest
from dhenara_stream.dialects.drafting import STRUCTURED_OUTPUT_TOOL
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect, Quirks
from dhenara_stream.dialects.openai_chat.messages import BRIDGE, UNKNOWN_REASONING
from dhenara_stream.dialects.openai_chat.request import build_request
from dhenara_stream.dialects.schema import OPENAI, compiles, strict_schema
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelEndpoint,
    AIModelProviderEnum,
    BaseAIModel,
    ChatModelSettings,
    FoundationModel,
    ValidOptionValue,
)
from dhenara_stream.types.genai.dhenara.request import (
    AIModelCallConfig,
    FunctionDefinition,
    FunctionParameters,
    HostedToolUserLocation,
    Prompt,
    PromptMessageRoleEnum,
    StructuredOutputConfig,
    SystemInstruction,
    ToolCallResult,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)
from dhenara_stream.types.genai.dhenara.response import (
    ChatMessageContentPart,
    ChatResponse,
    ChatResponseChoice,
    ChatResponseContentItem,
    ChatResponseGenericContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseStructuredOutput,
    ChatResponseStructuredOutputContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCall,
    ChatResponseToolCallContentItem,
)
from dhenara_stream.types.genai.foundation_models.anthropic import chat as claude
from dhenara_stream.types.genai.foundation_models.deepseek import chat as deepseek
from dhenara_stream.types.genai.foundation_models.google import chat as google
from dhenara_stream.types.genai.foundation_models.openai import chat
from dhenara_stream.types.shared.file import StoredFile

Dict = dict[str, Any]
OPEN_AI, CUSTOM = AIModelProviderEnum.OPEN_AI, AIModelProviderEnum.CUSTOM
PLAIN, REASONER, ALWAYS = (
    chat.GPT41,  # does not reason
    chat.GPT52,  # reasons if it is asked to
    chat.O4Mini,  # reasons whatever one says
)

DEEPSEEK = Quirks(
    limit_field="max_tokens",
    always_limit=True,
    user_field="user",
    max_stops=16,
    empty_content="empty",
    refusals=False,
    images="none",
    pdfs="none",
    audio=False,
    reasoning="thinking",
    none_effort=False,
    reasoning_replay="tool_turns",
    reasoning_required=True,
    forced_tools_while_reasoning=False,
    strict_schemas=False,
    structured_output="json_object",
    web_search="none",
)
OPENROUTER = Quirks(
    limit_field="max_tokens",
    user_field="user",
    more_sampling=True,
    cache_marks=True,
    refusals=False,
    pdfs="file_url",
    reasoning="object",
    none_effort=False,
    reasoning_replay="always",
    reasoning_field="reasoning_details",
    web_search="server_tool",
)
MISTRAL = Quirks(
    limit_field="max_tokens",
    seed_field="random_seed",
    user_field=None,
    stream_options=False,
    unsupported=("logit_bias", "user"),
    empty_content="empty",
    refusals=False,
    strict_turns=True,
    prefill="prefix",
    call_ids="alnum9",
    pdfs="document_url",
    none_effort=False,
    reasoning_replay="always",
    reasoning_field="thinking",
    required_word="any",
    web_search="none",
)
GROQ = Quirks(
    user_field="user",
    unsupported=("logprobs", "top_logprobs", "logit_bias", "n"),
    refusals=False,
    pdfs="none",
    audio=False,
    none_effort=False,
    structured_output="tool",
    format_with_tools=False,
    web_search="none",
)
PERPLEXITY = Quirks(
    limit_field="max_tokens",
    user_field=None,
    unsupported=("logit_bias", "logprobs", "top_logprobs", "seed", "n"),
    refusals=False,
    strict_turns=True,
    prefill="none",
    pdfs="file_url",
    audio=False,
    none_effort=False,
    tools=False,
    web_search="domain_filter",
)
LOCAL = Quirks(  # llama.cpp, LM Studio
    limit_field="max_tokens",
    user_field="user",
    more_sampling=True,
    refusals=False,
    images="data",
    pdfs="none",
    none_effort=False,
    reasoning_replay="always",
    reasoning_field="received",
    tool_choice="word",
    strict_schemas=False,
    web_search="none",
)
OLD = Quirks(  # servers that know the least
    limit_field="max_tokens",
    user_field=None,
    stream_options=False,
    lenient_end=True,
    empty_content="absent",
    refusals=False,
    images="none",
    pdfs="none",
    audio=False,
    reasoning="none",
    none_effort=False,
    tool_choice="none",
    parallel_tool_calls=False,
    strict_schemas=False,
    structured_output="json_object",
    web_search="none",
)
SERVERS = {
    "openai": Quirks(),
    "azure": Quirks(user_field="user", web_search="none"),
    "deepseek": DEEPSEEK,
    "openrouter": OPENROUTER,
    "mistral": MISTRAL,
    "groq": GROQ,
    "perplexity": PERPLEXITY,
    "xai": Quirks(
        user_field="user",
        refusals=False,
        pdfs="none",
        audio=False,
        none_effort=False,
        reasoning_replay="always",
        web_search="none",
    ),
    "cerebras": Quirks(
        user_field="user",
        unsupported=("frequency_penalty", "presence_penalty", "logit_bias", "service_tier"),
        refusals=False,
        images="none",
        pdfs="none",
        audio=False,
        none_effort=False,
        reasoning_replay="always",
        reasoning_field="reasoning",
        parallel_tool_calls=False,
        format_with_tools=False,
        web_search="none",
    ),
    "vllm": Quirks(
        limit_field="max_tokens",
        user_field="user",
        more_sampling=True,
        refusals=False,
        pdfs="none",
        none_effort=False,
        reasoning_replay="always",
        reasoning_field="received",
        strict_schemas=False,
        web_search="none",
    ),
    "local": LOCAL,
    "old": OLD,
}


# --- making calls


API = AIModelAPI(provider=AIModelAPIProviderEnum.OPEN_AI, api_key="sk-0123456789")


def build(
    config: AIModelCallConfig | None = None,
    *,
    model: BaseAIModel = PLAIN,
    quirks: Quirks | None = None,
    messages: Any = ("hi",),
    instructions: Any = None,
    **fields: Any,
) -> WireRequest:
    """The request for a conversation, with a config or the fields of one."""
    system, turns = conversation(
        prompt=None, context=None, instructions=instructions, messages=list(messages)
    )
    return build_turns(turns, config or AIModelCallConfig(**fields), model, quirks, system)


def build_turns(
    turns: list[Turn],
    config: AIModelCallConfig | None = None,
    model: BaseAIModel = PLAIN,
    quirks: Quirks | None = None,
    system: list[SystemInstruction] | None = None,
) -> WireRequest:
    call = ChatRequest(
        endpoint=AIModelEndpoint(api=API, ai_model=model),
        config=config or AIModelCallConfig(),
        system=system or [],
        turns=turns,
    )
    return build_request(call, quirks)


def body(**arguments: Any) -> Dict:
    return dict(build(**arguments).body)


def noted(wire: WireRequest) -> list[str]:
    return [note.split(":")[0] for note in wire.adjustments]


def model_with(base: BaseAIModel = PLAIN, **fields: Any) -> FoundationModel:
    """A model like ``base`` with other settings."""
    maker = fields.pop("provider", base.provider)
    changed = msgspec.structs.asdict(base.get_settings()) | fields
    return FoundationModel(
        provider=maker, model_name="like", settings=ChatModelSettings(**changed)
    )


BUDGETED = model_with(
    provider=CUSTOM, supports_reasoning=True, max_reasoning_tokens=8000, reasoning_control=None
)


def response(
    *items: ChatResponseContentItem,
    provider: AIModelProviderEnum = OPEN_AI,
    model: str = "m",
) -> ChatResponse:
    choice = ChatResponseChoice(index=0, contents=list(items))
    return ChatResponse(model=model, provider=provider, choices=[choice])


def text(content: str, kind: str = "output_text") -> ChatResponseTextContentItem:
    part = ChatMessageContentPart(type=kind, text=content)
    return ChatResponseTextContentItem(message_contents=[part])


def thought(
    content: str | None = "t", signature: str | None = None, **metadata: Any
) -> ChatResponseReasoningContentItem:
    part = ChatMessageContentPart(type="thinking", text=content)
    return ChatResponseReasoningContentItem(
        message_contents=None if content is None else [part],
        thinking_signature=signature,
        metadata=metadata,
    )


def call(call_id: str | None = "call_1", **fields: Any) -> ChatResponseToolCallContentItem:
    made = {"name": "look", "arguments": {"at": "it"}} | fields
    return ChatResponseToolCallContentItem(tool_call=ChatResponseToolCall(call_id=call_id, **made))


def generic(block: Dict) -> ChatResponseGenericContentItem:
    return ChatResponseGenericContentItem(block_type=str(block.get("type", "audio")), block=block)


def result(call_id: str | None = "call_1", output: Any = "seen", **fields: Any) -> ToolCallResult:
    return ToolCallResult(call_id=call_id, output=output, **fields)


def assistant(content: str) -> Prompt:
    return Prompt(role=PromptMessageRoleEnum.ASSISTANT, text=content)


def tool(name: str = "look", schema: Dict | None = None, **fields: Any) -> ToolDefinition:
    parameters = schema or {"type": "object", "properties": {"at": {"type": "string"}}}
    definition = FunctionDefinition(
        name=name,
        description="Looks.",
        parameters=FunctionParameters(properties={}, json_schema=parameters),
    )
    return ToolDefinition(function=definition, **fields)


FORCED = (ToolChoice(type="one_or_more"), ToolChoice(type="specific", specific_tool_name="look"))
SCHEMA: Dict = {
    "title": "At a place",
    "type": "object",
    "properties": {
        "at": {"type": "integer", "minimum": 1, "default": 3},
        "near": {"anyOf": [{"$ref": "#/$defs/Near"}, {"type": "null"}], "default": None},
    },
    "required": ["at"],
    "$defs": {"Near": {"type": "object", "properties": {"by": {"enum": ["a", "b"]}}}},
}
STRICT: Dict = {
    "title": "At a place",
    "type": "object",
    "properties": {
        "at": {"type": "integer", "minimum": 1, "description": '{"default":3}'},
        "near": {"anyOf": [{"$ref": "#/$defs/Near"}, {"type": "null"}]},
    },
    "required": ["at", "near"],
    "additionalProperties": False,
    "$defs": {
        "Near": {
            "type": "object",
            "properties": {"by": {"type": "string", "enum": ["a", "b"]}},
            "required": ["by"],
            "additionalProperties": False,
        }
    },
}
OF_ANY_KEYS: Dict = {"type": "object", "additionalProperties": {"type": "string"}}
OUTPUT = StructuredOutputConfig(output_schema=SCHEMA)
OTHER = AIModelProviderEnum.COHERE
PNG = b"\x89PNG\r\n"

HISTORIES: dict[str, list[Any]] = {
    "a question": ["hi"],
    "a chat": ["hi", response(thought(), text("so")), "and?"],
    "tools": ["hi", response(thought(), text("let me see"), call()), result()],
    "tools, then words": ["hi", response(call("a"), call("b")), result("a"), result("b"), "well?"],
    "tools, twice": ["hi", response(call("a")), result("a"), response(call("a")), result("a")],
    "tools, of another maker": [
        "hi",
        response(thought("t", "s"), call("call:1/" + "x" * 50), provider=OTHER),
        result("call:1/" + "x" * 50, is_error=True),
    ],
    "no ids": ["hi", response(call(None), call(None), provider=OTHER), result(None), result(None)],
    "a refusal": ["hi", response(text("no", "refusal")), "please"],
    "nothing to say": ["hi", response(thought(None)), "and?"],
    "an answer to go on with": ["hi", assistant("It is")],
}


# --- what the API would say


def refusals(sent: Mapping[str, Any], model: BaseAIModel, quirks: Quirks) -> list[str]:
    """Why the server would refuse the body; empty if it takes it."""
    what = model.get_settings()
    return [
        *(f"needs {name}" for name in ("model", "messages") if name not in sent),
        *(f"no {name}" for name in (*what.unsupported_parameters, *quirks.unsupported)
          if name in sent),
        *(f"one of {g}" for g in what.exclusive_parameters if len(sent.keys() & set(g)) > 1),
        *_against_fields(sent, what, quirks),
        *_against_reasoning(sent, what, quirks),
        *_against_tools(sent, quirks),
        *_against_messages(sent["messages"], quirks),
        *_against_output(sent, quirks),
    ]  # fmt: skip


KNOWN = {
    *("model", "messages", "stream", "stream_options", "temperature", "top_p", "n", "stop"),
    *("presence_penalty", "frequency_penalty", "logit_bias", "seed", "logprobs", "top_logprobs"),
    *("reasoning_effort", "verbosity", "response_format", "tools", "tool_choice", "store"),
    *("parallel_tool_calls", "metadata", "service_tier", "user", "safety_identifier"),
    *("prompt_cache_key", "modalities", "audio", "prediction", "web_search_options"),
    *("max_tokens", "max_completion_tokens"),
}


def _against_fields(sent: Mapping[str, Any], what: ChatModelSettings, q: Quirks) -> Iterator[str]:
    other_limit = {"max_tokens", "max_completion_tokens"} - {q.limit_field}
    yield from (f"unknown {name}" for name in other_limit & sent.keys())
    cap = max(what.max_output_tokens, what.max_output_tokens_reasoning_mode or 0)
    if not 1 <= sent.get(q.limit_field, 1) <= cap:
        yield f"{q.limit_field} of {cap}"
    if "stream_options" in sent and not (sent.get("stream") and q.stream_options):
        yield "stream_options"
    if sent.get("stream") and q.stream_options and not sent["stream_options"]["include_usage"]:
        yield "usage is not asked for"
    more = {"reasoning", "thinking", "random_seed", "search_domain_filter", "cache_control"}
    if not q.more_sampling:
        yield from (f"unknown {name}" for name in sent.keys() - KNOWN - more)
    if len(sent.get("stop", ())) > q.max_stops:
        yield "stop"
    if not 0 <= sent.get("temperature", 0) <= 2:
        yield "temperature"
    if "top_logprobs" in sent and not sent.get("logprobs"):
        yield "top_logprobs without logprobs"


def _against_reasoning(
    sent: Mapping[str, Any], what: ChatModelSettings, q: Quirks
) -> Iterator[str]:
    fields = {
        "effort": {"reasoning_effort"},
        "object": {"reasoning"},
        "thinking": {"thinking", "reasoning_effort"},
        "none": set[str](),
    }
    given = sent.keys() & {"reasoning_effort", "reasoning", "thinking"}
    yield from (f"unknown {name}" for name in given - fields[q.reasoning])
    if given and not what.supports_reasoning:
        yield f"{given} of a model that does not reason"
    asked = sent.get("reasoning", {})
    effort = sent.get("reasoning_effort", asked.get("effort"))
    known = what.supported_reasoning_efforts or ("low", "medium", "high")
    if effort not in (None, "none", *known):
        yield f"effort {effort}"
    if effort == "none" and not q.none_effort and "none" not in known:
        yield "effort none"
    if "max_tokens" in asked and not 1024 <= asked["max_tokens"] < sent[q.limit_field]:
        yield "reasoning.max_tokens"
    on = effort not in (None, "none") or sent.get("thinking", {}).get("type") == "enabled"
    if on and q.none_effort and {"temperature", "top_p", "logprobs"} & sent.keys():
        yield "sampling while it reasons"
    if on and not q.forced_tools_while_reasoning and sent.get("tool_choice", "none") != "none":
        yield "thinking mode does not support this tool_choice"
    if on and q.reasoning_required:
        for message in sent["messages"]:
            if message.get("tool_calls") and not message.get("reasoning_content"):
                yield "the reasoning_content must be passed back"


def _against_tools(sent: Mapping[str, Any], q: Quirks) -> Iterator[str]:
    tools = sent.get("tools", [])
    names = [tool["function"]["name"] for tool in tools if tool["type"] == "function"]
    if len(names) != len(set(names)):
        yield f"tools: names {names}"
    if not all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names):
        yield "tools: a name"
    if tools and not q.tools:
        yield "tools"
    if not tools and {"tool_choice", "parallel_tool_calls"} & sent.keys():
        yield "tool_choice without tools"
    if "parallel_tool_calls" in sent and not q.parallel_tool_calls:
        yield "parallel_tool_calls"
    choice = sent.get("tool_choice", "auto")
    if isinstance(choice, dict):
        if q.tool_choice != "named":
            yield "tool_choice is a string"
        elif choice["function"]["name"] not in names:
            yield f"tool_choice {choice}"
    elif choice not in ("auto", "none", q.required_word):
        yield f"tool_choice {choice}"
    if "tool_choice" in sent and q.tool_choice == "none":
        yield "tool_choice"
    for each in tools:
        function = each.get("function", {"parameters": {}})
        if function.get("strict"):
            if not q.strict_schemas:
                yield "strict"
            yield from _against_schema(function["parameters"])


def _against_messages(messages: list[Dict], q: Quirks) -> Iterator[str]:
    roles = [message["role"] for message in messages]
    if not {"system", "developer"}.isdisjoint(roles[1:]):
        yield "system must come first"
    if q.strict_turns and roles[roles[0] in ("system", "developer")] != "user":
        yield "the user must begin"
    waiting: list[str] = []
    for i, (before, message) in enumerate(zip(["", *roles], messages, strict=False)):
        yield from (f"{i}: {why}" for why in _against_message(message, before, q))
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield f"{i}: answers no call"
            waiting = [w for w in waiting if w != message["tool_call_id"]]
        elif waiting:
            yield f"{i}: no result for {waiting}"
        if message["role"] == "assistant":
            waiting = [each["id"] for each in message.get("tool_calls", [])]
            if len(waiting) != len(set(waiting)):
                yield f"{i}: ids {waiting}"
    if waiting:
        yield f"no result for {waiting}"
    if roles[-1] == "assistant" and q.prefill != "plain" and not messages[-1].get("prefix"):
        yield "the last message is the assistant's"


def _against_message(message: Dict, before: str, q: Quirks) -> Iterator[str]:
    role, content = message["role"], message.get("content")
    if role != "assistant" and not isinstance(content, str) and not content:
        yield "content"
    if role == "user" and before == "tool" and q.strict_turns:
        yield "unexpected role user after role tool"
    if role == "assistant":
        if not content and not {"tool_calls", "refusal", "audio"} & message.keys():
            yield "content or tool_calls must be set"
        if "refusal" in message and not q.refusals:
            yield "refusal"
    if isinstance(content, list):
        kinds = [part["type"] for part in content]
        if role != "user" and set(kinds) - {"text", "thinking"}:
            yield f"parts {kinds}"
        if any("cache_control" in part for part in content) and not q.cache_marks:
            yield "cache_control"
    for each in message.get("tool_calls", []):
        size = "{9}" if q.call_ids == "alnum9" else "{1,40}"
        alphabet = "[a-zA-Z0-9]" if q.call_ids == "alnum9" else "[a-zA-Z0-9_-]"
        if not re.fullmatch(alphabet + size, each["id"]):
            yield f"id {each['id']}"
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", each["function"]["name"]):
            yield f"name {each['function']['name']}"
        if not isinstance(msgspec.json.decode(each["function"]["arguments"]), dict):
            yield "arguments"


def _against_output(sent: Mapping[str, Any], q: Quirks) -> Iterator[str]:
    form = sent.get("response_format")
    if form is None:
        return
    if form["type"] == "json_object" and "JSON" not in str(sent["messages"]):
        yield "'messages' must contain the word 'json'"
    if form["type"] == "json_schema":
        if q.structured_output == "json_object":
            yield "this response_format type is unavailable"
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", form["json_schema"]["name"]):
            yield "response_format: name"
        if form["json_schema"].get("strict"):
            yield from _against_schema(form["json_schema"]["schema"])
    if "tools" in sent and not q.format_with_tools:
        yield "json mode cannot be combined with tool calling"


NOT_STRICT = {
    *("default", "oneOf", "allOf", "not", "prefixItems", "patternProperties", "uniqueItems"),
    *("minLength", "maxLength", "contentEncoding", "examples"),
}


def _against_schema(schema: Any) -> Iterator[str]:
    if not schema.keys() & {"type", "$ref", "anyOf"}:
        yield "schema must have a 'type' key"
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "object" in kinds and schema.get("additionalProperties") is not False:
        yield "additionalProperties must be false"
    if "object" in kinds and sorted(schema["required"]) != sorted(schema["properties"]):
        yield "required must include every key in properties"
    if "array" in kinds and "items" not in schema:
        yield "array schema missing items"
    if "$ref" in schema and schema.keys() - {"$ref", "$defs", "definitions"}:
        yield "$ref cannot have keywords"
    yield from NOT_STRICT & schema.keys()
    parts = [
        *(part for name in ("properties", "$defs") for part in schema.get(name, {}).values()),
        *schema.get("anyOf", ()),
        *([schema["items"]] if "items" in schema else []),
    ]
    for part in parts:
        yield from _against_schema(part)


SDK = {
    False: TypeAdapter[Any](official.CompletionCreateParamsNonStreaming),
    True: TypeAdapter[Any](official.CompletionCreateParamsStreaming),
}


def whole(value: Any) -> Any:
    """What the SDK's types made of a value: they read lists lazily, and answers as objects."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return value
    return [whole(item) for item in value]


def accepted(wire: WireRequest) -> Dict:
    """The body, if it is JSON and the official SDK's types have a place for all of it."""
    sent = dict(wire.body)
    assert msgspec.json.decode(msgspec.json.encode(sent)) == sent
    assert whole(SDK["stream" in sent].validate_python(sent)) == sent
    return sent


# --- every model, every config


def test_a_plain_call() -> None:
    wire = build(instructions=["Be brief."])
    assert wire == WireRequest(
        path="/v1/chat/completions",
        headers={"content-type": "application/json", "accept": "application/json"},
        body={
            "model": "gpt-4.1",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "hi"},
            ],
        },
        adjustments=[],
    )
    streamed = build(instructions=["Be brief."], streaming=True)
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    assert streamed.body == {**wire.body, **usage}
    assert streamed.headers["accept"] == "text/event-stream"


def test_the_dialect() -> None:
    dialect = OpenAIChatDialect(quirks=OLD, path="/chat/completions")
    _, turns = conversation(prompt="hi", context=None, instructions=None, messages=None)
    endpoint = AIModelEndpoint(api=API, ai_model=PLAIN)
    call = ChatRequest(endpoint=endpoint, config=AIModelCallConfig(), system=[], turns=turns)
    assert dialect.build_request(call).path == "/chat/completions"
    assert dialect.decoder().complete is False
    assert dialect.error(ErrorReply(status=429, headers={}, body=b"{}")).http_status == 429
    assert OpenAIChatDialect().build_request(call).path == "/v1/chat/completions"
    assert OpenAIChatDialect().quirks == Quirks()


LIMITS = (None, 1, 1500, 100_000)
REASONING: tuple[Dict, ...] = (
    {},
    {"reasoning": True},
    {"reasoning": True, "max_reasoning_tokens": 3000},
    {"reasoning": True, "reasoning_effort": "max"},
    {"reasoning_effort": "minimal"},
)
TOOLS: tuple[Dict, ...] = (
    {},
    {"tools": [tool()]},
    {"tools": [tool(strict=True), tool("other")], "tool_choice": FORCED[0]},
    {"tools": [tool(), tool("other")], "tool_choice": FORCED[1]},
    {"tools": [tool()], "tool_choice": ToolChoice(type=None, parallel=False)},
    {"tools": [tool()], "tool_choice": ToolChoice(parallel=False), "structured_output": OUTPUT},
    {"tool_choice": FORCED[0], "structured_output": OUTPUT},
    {"structured_output": StructuredOutputConfig(output_schema=OF_ANY_KEYS)},
)
SAMPLING: tuple[Dict, ...] = (
    {},
    {"temperature": 0.5, "top_p": 0.5, "top_k": 5, "seed": 7, "n": 2, "user": "u"},
    {"logprobs": True, "top_logprobs": 2, "logit_bias": {"1": 2}, "stop": ["a", "b"]},
    {"reasoning_effort": "none", "frequency_penalty": 1, "stream_options": {"x": 1}},
)
REASONS_TO_REFUSE = (
    "tools: this API has none",
    "messages: ",
)


def check(model: BaseAIModel, quirks: Quirks, history: str, config: AIModelCallConfig) -> None:
    """See that the call is refused with a reason, or that the server would take it."""
    try:
        wire = build(config, model=model, quirks=quirks, messages=HISTORIES[history])
    except ConfigError as error:
        assert error.message.startswith(REASONS_TO_REFUSE), error.message
    else:
        assert refusals(wire.body, model, quirks) == [], (config, wire.body)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("name", [model.model_name for model in chat.CHAT_MODELS])
def test_no_model_of_openais_and_config_lead_to_a_refusal(name: str, history: str) -> None:
    model = next(model for model in chat.CHAT_MODELS if model.model_name == name)
    for limit, reasoning, tools in itertools.product(LIMITS, REASONING, TOOLS):
        config = AIModelCallConfig(max_output_tokens=limit, **reasoning, **tools)
        check(model, Quirks(), history, config)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("name", [model.model_name for model in deepseek.CHAT_MODELS])
def test_no_model_of_deepseeks_and_config_lead_to_a_refusal(name: str, history: str) -> None:
    model = next(model for model in deepseek.CHAT_MODELS if model.model_name == name)
    for limit, reasoning, tools in itertools.product(LIMITS, REASONING, TOOLS):
        config = AIModelCallConfig(max_output_tokens=limit, **reasoning, **tools)
        check(model, DEEPSEEK, history, config)


# One of each way to reason and to be asked for it.
MODELS = [
    *(PLAIN, REASONER, ALWAYS, chat.GPT55Pro, chat.GPT51Codex, *deepseek.CHAT_MODELS, BUDGETED),
    *(deepseek.DeepseekR1, claude.ClaudeSonnet45, claude.ClaudeOpus46, claude.Claude35Haiku),
    *google.CHAT_MODELS[:3],
]


@pytest.mark.parametrize("server", SERVERS)
def test_no_server_and_config_lead_to_a_refusal(server: str) -> None:
    for model, reasoning, tools in itertools.product(MODELS, REASONING, TOOLS):
        for history in ("a question", "tools, of another maker"):
            config = AIModelCallConfig(streaming=True, **reasoning, **tools)
            check(model, SERVERS[server], history, config)


@pytest.mark.parametrize("server", SERVERS)
def test_no_server_and_options_lead_to_a_refusal(server: str) -> None:
    for model, reasoning, sampling in itertools.product(MODELS, REASONING[:2], SAMPLING):
        for streaming in (False, True):
            options = dict(sampling)
            known = model.get_settings().supports_reasoning and SERVERS[server].none_effort
            if not known or model.get_settings().reasoning_control == "token_budget":
                options.pop("reasoning_effort", None)
            config = AIModelCallConfig(options=options, streaming=streaming, **reasoning)
            check(model, SERVERS[server], "tools", config)


TEXTS = st.text("ab \n", max_size=4)
IDS = st.sampled_from(["a", "a.b", "a_b", None, "x" * 60])
ITEMS = st.one_of(
    TEXTS.map(text),
    TEXTS.map(lambda said: text(said, "refusal")),
    st.builds(thought, st.none() | TEXTS, st.none() | st.just("s")),
    st.just(thought(reasoning_field="reasoning", reasoning_details=[{"type": "reasoning.text"}])),
    st.just(generic({"type": "odd"})),
)
CALLS = st.lists(IDS, max_size=3)


@st.composite
def histories(draw: st.DrawFn) -> list[Any]:
    """Conversations of others' whose calls are answered."""
    said: list[Any] = ["hi"]
    for items, calls in draw(st.lists(st.tuples(st.lists(ITEMS, max_size=4), CALLS), max_size=3)):
        said.append(response(*items, *map(call, calls), provider=OTHER))
        said += [result(i, draw(TEXTS), is_error=draw(st.booleans())) for i in calls]
        said += draw(st.lists(st.just("and?"), min_size=0 if calls else 1, max_size=1))
    return said


MARKS = st.none() | st.sampled_from(["5m", "1h"])


@settings(max_examples=200)
@given(
    said=histories(),
    model=st.sampled_from([*MODELS, model_with(unsupported_parameters=["messages.system"])]),
    server=st.sampled_from(sorted(SERVERS)),
    limit=st.sampled_from(LIMITS),
    reasoning=st.sampled_from(REASONING),
    tools=st.sampled_from(TOOLS),
    sampling=st.sampled_from(SAMPLING[:3]),
    marks=st.lists(MARKS, max_size=4),
    streaming=st.booleans(),
)
def test_any_conversation_and_config_is_taken(
    said: list[Any],
    model: FoundationModel,
    server: str,
    limit: int | None,
    reasoning: Dict,
    tools: Dict,
    sampling: Dict,
    marks: list[Literal["5m", "1h"] | None],
    streaming: bool,
) -> None:
    config = AIModelCallConfig(
        max_output_tokens=limit, streaming=streaming, options=sampling, **reasoning, **tools
    )
    instructions = [SystemInstruction(text="a", cache_control=mark) for mark in marks]
    prompts = [Prompt(text="b", cache_control=mark) for mark in marks]
    before = deepcopy(said)
    quirks = SERVERS[server]
    try:
        wire = build(
            config,
            model=model,
            quirks=quirks,
            messages=prompts + said,
            instructions=instructions,
        )
    except ConfigError as error:
        assert error.message.startswith(REASONS_TO_REFUSE)  # noqa: PT017
        return
    assert refusals(wire.body, model, quirks) == []
    if server == "openai":
        accepted(wire)
    assert said == before
