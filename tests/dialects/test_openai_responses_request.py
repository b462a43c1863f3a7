"""Requests to the Responses API.

``refusals`` says, from the API's rules alone, what the API would say to a body; no choice of model
and config may lead to one that it refuses.
"""

import base64
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from corpus import Recording, needs_corpus, streams
from dialects.missing import asks_for_reasoning
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sdk_types import accepted_by_openai_responses as accepted

from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.conversation import TextPart, Turn, conversation
from dhenara_stream.core.sse import SSEDecoder
from dhenara_stream.dialects.base import ChatRequest, Dialect, ErrorReply, WireRequest
from dhenara_stream.dialects.drafting import OUTPUT_TOOL_PURPOSE
from dhenara_stream.dialects.openai_responses import OpenAIResponsesDialect, Quirks
from dhenara_stream.errors import ConfigError, DhenaraStreamError, RateLimitError
from dhenara_stream.types.genai.ai_model import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelEndpoint,
    AIModelProviderEnum,
    BaseAIModel,
    ChatModelSettings,
    FoundationModel,
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
    FinishReason,
)
from dhenara_stream.types.genai.foundation_models.openai import chat
from dhenara_stream.types.shared.file import FilePayload, StoredFile

Dict = dict[str, Any]
Places = AIModelAPIProviderEnum
Makers = AIModelProviderEnum
MODELS = {model.model_name: model for model in chat.CHAT_MODELS}
ALWAYS, CAN_SKIP, PLAIN = (
    chat.GPT5,  # reasons whatever one says
    chat.GPT55,  # reasons unless told not to
    chat.GPT4o,  # does not reason
)
ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"


# --- making calls


def build(
    config: AIModelCallConfig | None = None,
    *,
    model: BaseAIModel = ALWAYS,
    messages: Any = ("hi",),
    instructions: Any = None,
    quirks: Quirks | None = None,
    place: AIModelAPIProviderEnum = Places.OPEN_AI,
    **fields: Any,
) -> WireRequest:
    """The request for a conversation, with a config or the fields of one."""
    system, turns = conversation(
        prompt=None, context=None, instructions=instructions, messages=list(messages)
    )
    config = config or AIModelCallConfig(**fields)
    return build_turns(turns, config, model, system, quirks=quirks, place=place)


def build_turns(
    turns: list[Turn],
    config: AIModelCallConfig | None = None,
    model: BaseAIModel = ALWAYS,
    system: list[SystemInstruction] | None = None,
    *,
    quirks: Quirks | None = None,
    place: AIModelAPIProviderEnum = Places.OPEN_AI,
) -> WireRequest:
    api = AIModelAPI(provider=place, api_key="sk-0123456789")
    call = ChatRequest(
        endpoint=AIModelEndpoint(api=api, ai_model=model),
        config=config or AIModelCallConfig(),
        system=system or [],
        turns=turns,
    )
    dialect: Dialect = OpenAIResponsesDialect(quirks)
    return dialect.build_request(call)


def body(**arguments: Any) -> Dict:
    return dict(build(**arguments).body)


def items(*messages: Any, **arguments: Any) -> list[Dict]:
    """The input for a conversation that goes on with the user."""
    sent = build(messages=["hi", *messages, "so?"], **arguments).body["input"]
    assert (sent[0], sent[-1]) == (said("hi"), said("so?"))
    return list(sent[1:-1])


def said(content: str) -> Dict:
    return {"role": "user", "content": [{"type": "input_text", "text": content}]}


def model_with(base: BaseAIModel = ALWAYS, **fields: Any) -> FoundationModel:
    """A model like ``base`` with other settings."""
    changed = msgspec.structs.asdict(base.get_settings()) | fields
    return FoundationModel(
        provider=Makers.OPEN_AI, model_name="like", settings=ChatModelSettings(**changed)
    )


def response(
    *contents: ChatResponseContentItem,
    provider: AIModelProviderEnum = Makers.OPEN_AI,
    place: AIModelAPIProviderEnum | None = Places.OPEN_AI,
    finish: FinishReason = FinishReason.STOP,
) -> ChatResponse:
    choice = ChatResponseChoice(index=0, finish_reason=finish, contents=list(contents))
    return ChatResponse(model="m", provider=provider, api_provider=place, choices=[choice])


def foreign(*contents: ChatResponseContentItem) -> ChatResponse:
    return response(*contents, provider=Makers.ANTHROPIC, place=Places.ANTHROPIC)


def text(
    content: str,
    *citations: Dict,
    kind: str = "output_text",
    at: str | None = "msg_1",
    **metadata: Any,
) -> ChatResponseTextContentItem:
    part = ChatMessageContentPart(type=kind, text=content, annotations=list(citations) or None)
    return ChatResponseTextContentItem(message_id=at, message_contents=[part], metadata=metadata)


def reasoning(
    secret: str | None = "e+/=",
    *summary: str,
    at: str | None = "rs_1",
    plain: str | None = None,
    **metadata: Any,
) -> ChatResponseReasoningContentItem:
    parts = [ChatMessageContentPart(type="summary_text", text=part) for part in summary]
    content = [ChatMessageContentPart(type="thinking", text=plain)] if plain else None
    return ChatResponseReasoningContentItem(
        thinking_id=at,
        thinking_summary=parts or None,
        thinking_signature=secret,
        message_contents=content,
        metadata=metadata,
    )


def call(call_id: str | None = "call_1", **fields: Any) -> ChatResponseToolCallContentItem:
    known = {"name": "look", "arguments": {"at": "it"}, "id": "fc_1"} | fields
    return ChatResponseToolCallContentItem(tool_call=ChatResponseToolCall(call_id=call_id, **known))


def custom_call(
    call_id: str | None = "call_1", given: str = "x = 1"
) -> ChatResponseToolCallContentItem:
    facts = {"type": "custom", "status": "completed"}
    return call(call_id, name="run", id="ctc_1", arguments={"input": given}, metadata=facts)


def generic(block: Dict, **metadata: Any) -> ChatResponseGenericContentItem:
    kind = str(block.get("type", ""))
    return ChatResponseGenericContentItem(block_type=kind, block=block, metadata=metadata)


def result(call_id: str | None = "call_1", output: Any = "seen", **fields: Any) -> ToolCallResult:
    return ToolCallResult(call_id=call_id, output=output, **fields)


def assistant(content: str) -> Prompt:
    return Prompt(role=PromptMessageRoleEnum.ASSISTANT, text=content)


def tool(name: str = "look", schema: Dict | None = None, **fields: Any) -> ToolDefinition:
    known = schema or {"type": "object", "properties": {"at": {"type": "string"}}}
    definition = FunctionDefinition(
        name=name,
        description="Looks.",
        parameters=FunctionParameters(properties={}, json_schema=known),
    )
    return ToolDefinition(function=definition, **fields)


SEARCH: Dict = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "x"},
}
SHELL: Dict = {
    "type": "local_shell_call",
    "id": "lsh_1",
    "call_id": "call_9",
    "status": "completed",
    "action": {"type": "exec", "command": ["ls"], "env": {}},
}
CITATION: Dict = {
    "type": "url_citation",
    "url": "https://example.com",
    "title": "t",
    "start_index": 0,
    "end_index": 1,
}
SCHEMA: Dict = {
    "type": "object",
    "properties": {
        "at": {"type": "integer", "minimum": 1, "description": "where"},
        "near": {"anyOf": [{"$ref": "#/$defs/Near"}, {"type": "null"}], "default": None},
    },
    "required": ["at"],
    "$defs": {"Near": {"type": "object", "properties": {"by": {"enum": ["a", "b"]}}}},
}
STRICT: Dict = {
    "type": "object",
    "properties": {
        "at": {"type": "integer", "minimum": 1, "description": "where"},
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
LOOSE: Dict = {"type": "object", "properties": {"all": {"type": "object"}, "l": {"type": "array"}}}
OUTPUT = StructuredOutputConfig(output_schema=SCHEMA)
SPECIFIC = ToolChoice(type="specific", specific_tool_name="look")

HISTORIES: dict[str, list[Any]] = {
    "a question": ["hi"],
    "a chat": ["hi", response(reasoning(), text("so")), "and?"],
    "an answer that was cut": ["hi", response(reasoning()), "and?"],
    "a chat of another's": ["hi", assistant("so"), "and?"],
    "only the assistant": [assistant("so")],
    "tools, with reasoning": ["hi", response(reasoning(None, "s"), call()), result()],
    "tools, with encrypted reasoning": ["hi", response(reasoning("e", "s"), call()), result()],
    "tools, twice": [
        *("hi", response(reasoning(), call("a"), call("b"))),
        *(result("a"), result("b"), response(call("a")), result("a"), "look well"),
    ],
    "tools, custom": ["hi", response(custom_call(), call("b")), result("b"), result()],
    "tools, of another maker": [
        "hi",
        foreign(reasoning(), text("a"), call("call:" + "1" * 80), call(None)),
        *(result(None), result("call:" + "1" * 80)),
    ],
    "tools, of another place": [
        "hi",
        response(reasoning(), text("a"), call(), place=Places.MICROSOFT_OPENAI),
        result(),
    ],
    "a hosted search": ["hi", response(reasoning(), generic(SEARCH), text("so")), "and?"],
    "a shell that nobody has": ["hi", response(reasoning(), generic(SHELL)), "and?"],
}


# --- what the API would say


FIELDS = {
    *("model", "input", "stream", "instructions", "max_output_tokens", "reasoning", "text"),
    *("tools", "tool_choice", "include", "store", "previous_response_id", "conversation"),
    *("truncation", "parallel_tool_calls", "max_tool_calls", "temperature", "top_p"),
    *("top_logprobs", "metadata", "service_tier", "background", "prompt_cache_key"),
    *("safety_identifier", "context_management", "stream_options", "user"),
}


def refusals(sent: Mapping[str, Any], model: BaseAIModel) -> list[str]:
    """Why the API would refuse the body; empty if it takes it."""
    what = model.get_settings()
    return [
        *(f"needs {name}" for name in ("model", "input") if not sent.get(name)),
        *(f"no {name}" for name in sent.keys() - FIELDS),
        *(f"no {name}" for name in what.unsupported_parameters if name in sent),
        *_against_limits(sent, what),
        *_against_reasoning(sent, what),
        *_against_tools(sent),
        *_against_format(sent),
        *_against_input(sent["input"], sent, what),
    ]


def _against_limits(sent: Mapping[str, Any], what: ChatModelSettings) -> Iterator[str]:
    if not 16 <= sent.get("max_output_tokens", 16) <= what.max_output_tokens:
        yield f"max_output_tokens {sent['max_output_tokens']}"
    if not 0 <= sent.get("temperature", 0) <= 2 or not 0 <= sent.get("top_p", 0) <= 1:
        yield "temperature or top_p"
    if sent.keys() & {"stream_options"} and not sent.get("stream"):
        yield "stream_options without stream"
    if not all(isinstance(v, str) and len(v) <= 512 for v in sent.get("metadata", {}).values()):
        yield "metadata"


def _against_reasoning(sent: Mapping[str, Any], what: ChatModelSettings) -> Iterator[str]:
    include = sent.get("include", ())
    sampling = [name for name in ("temperature", "top_p", "top_logprobs") if name in sent]
    sampling += [LOGPROBS] if LOGPROBS in include else []
    if not what.supports_reasoning or what.reasoning_control == "none":
        if "reasoning" in sent or ENCRYPTED in include:
            yield "reasoning is not supported"
        if LOGPROBS in include and "logprobs" in what.unsupported_parameters:
            yield "logprobs are not supported"
        return
    can_skip = "temperature" not in what.unsupported_parameters
    efforts = [*(what.supported_reasoning_efforts or ()), *(["none"] if can_skip else [])]
    effort = sent.get("reasoning", {}).get("effort", efforts[0])
    if effort not in efforts:
        yield f"effort {effort}"
    if effort == "none" and "summary" in sent["reasoning"]:
        yield "a summary of nothing"
    if sampling and effort != "none":
        yield f"{sampling} and reasoning"


def _against_tools(sent: Mapping[str, Any]) -> Iterator[str]:
    tools = sent.get("tools", [])
    names = [tool["name"] for tool in tools if "name" in tool]
    if len(names) != len(set(names)):
        yield f"tools: names {names}"
    if not all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names):
        yield "tools: a name"
    choice = sent.get("tool_choice")
    if choice is not None and not tools:
        yield "tool_choice without tools"
    if isinstance(choice, dict) and choice.get("name", names[0]) not in names:
        yield f"tool_choice {choice}"
    for tool in tools:
        if tool["type"] == "function":
            yield from _against_schema(tool["parameters"], strict=tool["strict"])


def _against_format(sent: Mapping[str, Any]) -> Iterator[str]:
    form = sent.get("text", {}).get("format", {})
    if form.get("type") == "json_schema":
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", form["name"]):
            yield f"format: name {form['name']!r}"
        yield from _against_schema(form["schema"], strict=form["strict"])


def _against_schema(schema: Any, *, strict: bool, root: bool = True) -> Iterator[str]:
    if root and (schema.get("type") != "object" or "properties" not in schema):
        yield "schema: no object"
    if schema.get("type") == "array" and "items" not in schema:
        yield "schema: array without items"
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    inner += [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    if strict:
        yield from _against_strict(schema)
    for part in inner:
        yield from _against_schema(part, strict=strict, root=False)


def _against_strict(schema: Dict) -> Iterator[str]:
    if not schema.keys() & {"type", "anyOf", "$ref"}:
        yield f"schema: {schema} has no type"
    if schema.get("type") == "object":
        if schema.get("additionalProperties", True):
            yield "schema: additionalProperties"
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            yield "schema: required"
    if bad := schema.keys() & {"default", "allOf", "oneOf", "not", "minLength", "maxLength"}:
        yield f"schema: {bad}"


def _against_input(
    given: list[Dict], sent: Mapping[str, Any], what: ChatModelSettings
) -> Iterator[str]:
    waiting: dict[str, str] = {}
    seen: set[str] = set()
    for item, following in itertools.zip_longest(given, given[1:]):
        kind = item.get("type", "message")
        if kind.endswith("_output"):
            if waiting.pop(item["call_id"], None) != kind.removesuffix("_output"):
                yield f"no tool call found for {item}"
        elif kind == "message":
            if waiting:
                yield f"no tool output found for {waiting}"
            if not item["content"] or (item["role"] != "assistant" and "id" in item):
                yield f"message {item}"
        if kind in ("function_call", "custom_tool_call"):
            if item["call_id"] in seen or not 1 <= len(item["call_id"]) <= 64:
                yield f"call_id {item['call_id']}"
            waiting[item["call_id"]] = kind
            seen.add(item["call_id"])
            arguments = json.loads(item.get("arguments", "{}"))
            if not isinstance(arguments, dict) or not item["name"]:
                yield f"call {item}"
        if kind == "reasoning":
            yield from _against_reasoning_item(item, following, sent, what)
        if kind == "local_shell_call":
            yield "no tool output found for local shell call"
    if waiting:
        yield f"no tool output found for {waiting}"


def _against_reasoning_item(
    item: Dict, following: Dict | None, sent: Mapping[str, Any], what: ChatModelSettings
) -> Iterator[str]:
    if not what.supports_reasoning:
        yield "reasoning items can only be provided to a reasoning model"
    if following is None or following.get("role") == "user":
        yield f"{item['id']} was provided without its required following item"
    if sent.get("store") is False and not item.get("encrypted_content"):
        yield f"{item['id']} not found, items are not persisted"
    if "summary" not in item:
        yield "missing summary"


# --- every model, every config


def test_a_plain_call() -> None:
    wire = build(model=PLAIN)
    assert wire == WireRequest(
        path="/v1/responses",
        headers={"content-type": "application/json", "accept": "application/json"},
        body={"model": "gpt-4o", "input": [said("hi")], "store": False},
        adjustments=[],
    )
    streamed = build(model=PLAIN, streaming=True)
    assert streamed.body == {**wire.body, "stream": True}
    assert streamed.headers == {**wire.headers, "accept": "text/event-stream"}


def test_the_dialect() -> None:
    dialect: Dialect = OpenAIResponsesDialect()
    assert dialect.name == "openai_responses"
    assert not dialect.decoder().complete
    failed = ErrorReply(status=429, headers={}, body=b'{"error":{"message":"slow down"}}')
    assert isinstance(dialect.error(failed), RateLimitError)


LIMITS = (None, 1, 500, 1_000_000)
REASONING: tuple[Dict, ...] = (
    {},
    {"reasoning": True},
    {"reasoning": True, "max_reasoning_tokens": 100},
    {"reasoning": True, "reasoning_effort": "minimal"},
    {"reasoning": True, "reasoning_effort": "max"},
    {"reasoning_effort": "xhigh"},
)
TOOLS: tuple[Dict, ...] = (
    {},
    {"tools": [tool()]},
    {"tools": [tool()], "tool_choice": ToolChoice(type="one_or_more", parallel=False)},
    {"tools": [tool("look", LOOSE, strict=True)], "tool_choice": SPECIFIC},
    {"hosted_tools": [WebSearchHostedTool(max_uses=2)], "tool_choice": ToolChoice(type=None)},
    {"tool_choice": ToolChoice(type="one_or_more"), "structured_output": OUTPUT},
    {"tools": [tool(strict=True)], "structured_output": OUTPUT},
    {"tools": [tool()], "structured_output": StructuredOutputConfig(output_schema=LOOSE)},
)
SAMPLING: tuple[Dict, ...] = (
    {},
    {"temperature": 0, "top_p": None, "stop": ["x"]},
    {"temperature": 2, "top_p": 0.5, "seed": 1, "logit_bias": {"1": 1}},
    {"logprobs": True, "presence_penalty": 1},
    {"top_logprobs": 2, "include": ["web_search_call.action.sources"]},
    {"include": [ENCRYPTED], "stream_options": {"include_usage": True}},
)


BY_TOOL = [model_with(model, structured_output="tool") for model in (ALWAYS, CAN_SKIP, PLAIN)]


@pytest.mark.parametrize("model", [*MODELS.values(), *BY_TOOL], ids=lambda model: model.model_name)
def test_no_model_and_config_lead_to_a_refusal(model: FoundationModel) -> None:
    limits, some = itertools.cycle(LIMITS), itertools.cycle(SAMPLING)
    chosen = [(*both, next(some)) for both in itertools.product(REASONING, TOOLS)]
    chosen += [(reason, {}, options) for reason, options in itertools.product(REASONING, SAMPLING)]
    for reason, tools, options in chosen:
        config = AIModelCallConfig(
            max_output_tokens=next(limits), streaming=True, options=options, **reason, **tools
        )
        if not model.get_settings().supports_reasoning and asks_for_reasoning(config):
            continue
        sent = build(config, model=model).body
        assert refusals(sent, model) == [], (config, sent)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("name", MODELS)
def test_no_model_and_conversation_lead_to_a_refusal(name: str, history: str) -> None:
    model = MODELS[name]
    _, turns = conversation(
        prompt=None, context=None, instructions=None, messages=HISTORIES[history]
    )
    for options in ({}, {"store": True}):
        reasoning = model.get_settings().supports_reasoning
        config = AIModelCallConfig(reasoning=reasoning, options=options)
        wire = build_turns(turns, config, model)
        assert refusals(wire.body, model) == [], wire.body
    accepted(wire)


TEXTS = st.text("ab \n", max_size=4)
IDS = st.sampled_from(["a", "a.b", "a_b", "a" * 70, None])
MESSAGES = st.sampled_from([None, "msg_1", "msg_2"])
CONTENTS = st.one_of(
    st.builds(text, TEXTS, at=MESSAGES, kind=st.sampled_from(["output_text", "refusal"])),
    st.builds(text, TEXTS, at=MESSAGES, phase=st.just("commentary")),
    st.builds(reasoning, st.none() | st.just("s"), TEXTS, at=st.none() | st.just("rs_1")),
    st.just(generic(SEARCH)),
    st.just(generic(SHELL)),
)
CALLS = st.lists(IDS, max_size=3)
ORIGINS = st.sampled_from(
    [
        (Makers.OPEN_AI, Places.OPEN_AI),
        (Makers.OPEN_AI, None),
        (Makers.OPEN_AI, Places.MICROSOFT_OPENAI),
        (Makers.GOOGLE_AI, Places.GOOGLE_AI),
    ]
)
MAKERS_OF_CALLS: list[Callable[[str | None], ChatResponseContentItem]] = [call, custom_call]


@st.composite
def histories(draw: st.DrawFn) -> list[Any]:
    """Conversations whose calls are answered."""
    told: list[Any] = ["hi"]
    turns = st.lists(st.tuples(st.lists(CONTENTS, max_size=4), CALLS), max_size=3)
    for contents, calls in draw(turns):
        maker, place = draw(ORIGINS)
        made = [draw(st.sampled_from(MAKERS_OF_CALLS))(i) for i in calls]
        told.append(response(*contents, *made, provider=maker, place=place))
        told += [result(i, draw(TEXTS), is_error=draw(st.booleans())) for i in calls]
        told += draw(st.lists(st.just("and?"), min_size=0 if calls else 1, max_size=1))
    return told


@settings(max_examples=100)
@given(
    told=histories(),
    model=st.sampled_from(chat.CHAT_MODELS),
    limit=st.sampled_from(LIMITS),
    reason=st.sampled_from(REASONING),
    tools=st.sampled_from(TOOLS),
    options=st.sampled_from(SAMPLING),
    streaming=st.booleans(),
)
def test_any_conversation_and_config_is_taken(
    told: list[Any],
    model: FoundationModel,
    limit: int | None,
    reason: Dict,
    tools: Dict,
    options: Dict,
    streaming: bool,
) -> None:
    config = AIModelCallConfig(
        max_output_tokens=limit, streaming=streaming, options=options, **reason, **tools
    )
    before = deepcopy(told)
    assume(model.get_settings().supports_reasoning or not asks_for_reasoning(config))
    wire = build(config, model=model, messages=told, instructions=["a"])
    assert refusals(wire.body, model) == []
    accepted(wire)
    assert told == before


# --- reasoning


@pytest.mark.parametrize(
    ("model", "fields", "sent", "notes"),
    [
        (ALWAYS, {}, None, 0),
        (ALWAYS, {"reasoning": True}, {"summary": "auto"}, 0),
        (ALWAYS, {"reasoning": True, "reasoning_effort": "low"},
            {"effort": "low", "summary": "auto"}, 0),
        (ALWAYS, {"reasoning_effort": "max"}, {"effort": "high"}, 1),
        (ALWAYS, {"reasoning": True, "max_reasoning_tokens": 9}, {"summary": "auto"}, 1),
        (CAN_SKIP, {}, {"effort": "none"}, 0),
        (CAN_SKIP, {"reasoning": True}, {"effort": "medium", "summary": "auto"}, 0),
        (CAN_SKIP, {"reasoning_effort": "high"}, {"effort": "high"}, 0),
        (PLAIN, {}, None, 0),
        (model_with(unsupported_parameters=["reasoning"]),
            {"reasoning": True, "reasoning_effort": "low"}, None, 1),
        (model_with(unsupported_parameters=["reasoning"]), {"reasoning": True}, None, 0),
        (model_with(supported_reasoning_efforts=["none", "low", "high"]), {}, {"effort": "none"},
            0),
        (model_with(supported_reasoning_efforts=["none", "low", "high"]), {"reasoning": True},
            {"effort": "low", "summary": "auto"}, 0),
        (model_with(supported_reasoning_efforts=["none"]), {"reasoning": True},
            {"summary": "auto"}, 1),
        (model_with(CAN_SKIP, supported_reasoning_efforts=None), {}, None, 0),
        (model_with(reasoning_control="none"), {"reasoning": True}, None, 0),
        (model_with(reasoning_control="token_budget", max_reasoning_tokens=9,
            supported_reasoning_efforts=None), {"reasoning": True}, {"summary": "auto"}, 0),
        (model_with(reasoning_control="token_budget", max_reasoning_tokens=9,
            supported_reasoning_efforts=None), {"reasoning_effort": "low"}, {"effort": "low"}, 0),
    ],
)  # fmt: skip
def test_reasoning_is_asked_for_as_the_model_takes_it(
    model: BaseAIModel, fields: Dict, sent: Any, notes: int
) -> None:
    wire = build(model=model, **fields)
    assert wire.body.get("reasoning") == sent
    assert len(wire.adjustments) == notes


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"reasoning": {"effort": "none"}}, {"effort": "none"}),
        ({"reasoning_effort": "xhigh"}, {"effort": "xhigh", "summary": "auto"}),
        ({"reasoning": {"summary": "detailed"}}, {"effort": "medium", "summary": "detailed"}),
        ({"reasoning": {"effort": "low"}, "reasoning_effort": "high"},
            {"effort": "low", "summary": "auto"}),
    ],
)  # fmt: skip
def test_reasoning_in_options_wins(options: Dict, sent: Dict) -> None:
    assert body(model=CAN_SKIP, reasoning=True, options=options)["reasoning"] == sent


def test_a_model_without_reasoning_is_not_told_to_do_without() -> None:
    wire = build(model=PLAIN, options={"reasoning": {"effort": "none"}})
    assert "reasoning" not in wire.body
    assert wire.adjustments == ["reasoning: left out, gpt-4o does not take it"]


@pytest.mark.parametrize(
    ("quirks", "fields", "sent"),
    [
        (Quirks(summary=False), {"reasoning": True}, {"effort": "medium"}),
        (Quirks(none_effort=False), {}, None),
        (Quirks(none_effort=False), {"reasoning": True}, {"summary": "auto"}),
    ],
)
def test_reasoning_on_other_servers(quirks: Quirks, fields: Dict, sent: Any) -> None:
    wire = build(model=CAN_SKIP, quirks=quirks, options={"temperature": 1}, **fields)
    assert wire.body.get("reasoning") == sent
    assert ("temperature" in wire.body) is not quirks.none_effort


# --- options


@pytest.mark.parametrize(
    ("model", "fields", "kept"),
    [
        (PLAIN, {}, {"temperature", "top_p", "top_logprobs", LOGPROBS}),
        (ALWAYS, {}, set()),
        (CAN_SKIP, {}, {"temperature", "top_p", "top_logprobs", LOGPROBS}),
        (CAN_SKIP, {"reasoning": True}, set()),
        (model_with(PLAIN, exclusive_parameters=[["temperature", "top_p"]]), {},
            {"temperature", "top_logprobs", LOGPROBS}),
    ],
)  # fmt: skip
def test_sampling_parameters_that_do_not_fit_are_left_out(
    model: BaseAIModel, fields: Dict, kept: set[str]
) -> None:
    options = {"temperature": 0.5, "top_p": 0.5, "top_logprobs": 1}
    wire = build(model=model, options=options, **fields)
    found = wire.body.keys() & options.keys() | set(wire.body.get("include", ())) - {ENCRYPTED}
    assert found == kept
    assert len(wire.adjustments) == 4 - len(kept)


def test_options_pass_through_and_merge_last() -> None:
    wire = build(
        model=PLAIN,
        structured_output=OUTPUT,
        metadata={"user": "u1"},
        options={
            "text": {"verbosity": "low"},
            "metadata": {"trace": "t"},
            "service_tier": "flex",
            "truncation": "auto",
            "user": "u2",
            "new_field": {"a": 1},
            "temperature": None,
        },
    )
    assert wire.body["metadata"] == {"user_id": "u1", "trace": "t"}
    assert wire.body["text"].keys() == {"format", "verbosity"}
    passed = {"service_tier": "flex", "truncation": "auto", "user": "u2", "new_field": {"a": 1}}
    assert wire.body.items() >= passed.items()
    assert "temperature" not in wire.body
    assert wire.adjustments == []


def test_options_of_other_apis_are_left_out_or_translated() -> None:
    options = {
        "stop": ["x"],
        "seed": 1,
        "n": 2,
        "top_k": 3,
        "thinking": {"type": "enabled"},
        "response_format": {"type": "json_object"},
        "frequency_penalty": 1,
        "betas": ["b"],
        "verbosity": "low",
        "logprobs": True,
    }
    wire = build(model=PLAIN, options=options)
    assert wire.body == {
        "model": "gpt-4o",
        "input": [said("hi")],
        "store": False,
        "text": {"verbosity": "low"},
        "include": [LOGPROBS],
    }
    assert len(wire.adjustments) == 8
    other = build(model=PLAIN, options=options, quirks=Quirks(more_options=True))
    assert other.body.keys() - wire.body.keys() == {"stop", "seed", "top_k", "frequency_penalty"}


@pytest.mark.parametrize(
    ("streaming", "given", "sent", "notes"),
    [
        (True, {"include_usage": True}, None, 0),
        (True, {"include_obfuscation": False, "include_usage": True},
            {"include_obfuscation": False}, 0),
        (False, {"include_obfuscation": False}, None, 1),
        (False, {"include_usage": True}, None, 0),
        (True, "no", None, 0),
    ],
)  # fmt: skip
def test_stream_options(streaming: bool, given: Any, sent: Any, notes: int) -> None:
    wire = build(streaming=streaming, options={"stream_options": given})
    assert wire.body.get("stream_options") == sent
    assert len(wire.adjustments) == notes


@pytest.mark.parametrize(
    ("options", "store", "include"),
    [
        ({}, False, [ENCRYPTED]),
        ({"include": [LOGPROBS]}, False, [ENCRYPTED]),
        ({"include": ["web_search_call.action.sources"]}, False,
            [ENCRYPTED, "web_search_call.action.sources"]),
        ({"include": [ENCRYPTED]}, False, [ENCRYPTED]),
        ({"include": []}, False, None),
        ({"store": False}, False, [ENCRYPTED]),
        ({"store": True}, True, None),
        ({"store": True, "include": [ENCRYPTED]}, True, [ENCRYPTED]),
        ({"previous_response_id": "resp_1"}, None, None),
        ({"conversation": "conv_1"}, None, None),
        ({"background": True}, None, None),
        ({"background": False}, False, [ENCRYPTED]),
        ({"previous_response_id": "resp_1", "store": False}, False, [ENCRYPTED]),
    ],
)  # fmt: skip
def test_nothing_is_stored_unless_options_say_so(options: Dict, store: Any, include: Any) -> None:
    sent = body(options=options)
    assert sent.get("store") is store
    assert sent.get("include") == include
    plain = build(model=PLAIN, options=options)
    assert ENCRYPTED not in plain.body.get("include", ())
    assert plain.body.get("store") is store


def test_fields_that_a_server_refuses_are_left_out() -> None:
    quirks = Quirks(unsupported=("store", "metadata", "user"))
    wire = build(quirks=quirks, metadata={"user": "u1"}, max_output_tokens=100)
    assert wire.body.keys() == {"model", "input", "max_output_tokens", "include"}
    assert len(wire.adjustments) == 2


def test_a_server_that_keeps_nothing_anyway() -> None:
    sent = body(quirks=Quirks(stateless=False))
    assert sent.keys() == {"model", "input"}
    told = ["hi", response(reasoning(None, "s"), text("so")), "and?"]
    kinds = [item.get("type") for item in body(messages=told, options={"store": True})["input"]]
    assert kinds == [None, "reasoning", "message", None]


@pytest.mark.parametrize(
    ("model", "limit", "sent", "notes"),
    [
        (PLAIN, None, None, 0),
        (PLAIN, 100, 100, 0),
        (PLAIN, 1_000_000, 16_384, 1),
        (PLAIN, 1, 16, 1),
        (PLAIN, 15, 16, 1),
        (PLAIN, 16, 16, 0),
        (model_with(max_output_tokens_reasoning_mode=9_000), 1_000_000, 128_000, 1),
    ],
)
def test_limits(model: BaseAIModel, limit: int | None, sent: int | None, notes: int) -> None:
    wire = build(model=model, max_output_tokens=limit)
    assert wire.body.get("max_output_tokens") == sent
    assert len(wire.adjustments) == notes


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"options": {"input": "x"}}, "options['input']: give it as messages or prompt"),
        ({"options": {"instructions": "x"}}, "options['instructions']: give it as instructions"),
        ({"options": {"max_tokens": 1}}, "options['max_tokens']: give it as AIModelCallConfig.max"),
        ({"options": {"temperature": 3}}, "options['temperature']: expected a number from 0 to 2"),
        ({"options": {"top_p": "1"}}, "options['top_p']: expected a number from 0 to 1"),
        ({"options": {"top_logprobs": 21}}, "options['top_logprobs']: expected a number"),
        ({"options": {"store": "no"}}, "options['store']: expected True or False"),
        ({"options": {"include": [1]}}, "options['include']: expected text or a list of texts"),
        ({"options": {"reasoning": "high"}}, "options['reasoning']: expected a dict"),
        ({"options": {"tools": "x"}}, "options['tools']: expected a list of dicts"),
        ({"options": {"tool_choice": "maybe"}}, "options['tool_choice']: expected 'auto'"),
        ({"options": {"tool_choice": {}}}, "options['tool_choice']: expected 'auto'"),
        ({"options": {"x": object()}}, "options['x']: cannot be sent as JSON"),
        ({"tools": [tool("a" * 65)]}, f"tools: the name {'a' * 65!r} is longer than 64"),
        ({"tools": [tool()], "options": {"tools": [{"type": "custom", "name": "look"}]}},
            "tools: two tools are named 'look'"),
        ({"metadata": {"user": "u" * 513}}, "metadata['user_id']: longer than 512 characters"),
        ({"structured_output": StructuredOutputConfig(output_schema={"type": "array"})},
            "structured_output: the schema's type must be 'object'"),
        ({"messages": ["hi", foreign(text("")), assistant(""), foreign()]}, None),
        ({"messages": [foreign(text(" "))]}, "messages: nothing in them can be sent"),
    ],
)  # fmt: skip
def test_wrong_input_is_named(fields: Dict, message: str | None) -> None:
    if message is None:
        assert build(**fields).body["input"] == [said("hi")]
        return
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        build(**fields)


NO_SEARCH_OPTION = "left out, this web search has no such option"


@pytest.mark.parametrize(
    ("fields", "notes"),
    [
        ({"max_output_tokens": 1, "model": PLAIN}, ["max_output_tokens: raised to 16, the least"]),
        ({"context_policy": {"mode": "provider_context_editing"}},
            ["context_policy: left out, the API has no provider_context_editing"]),
        ({"context_policy": {"mode": "provider_compaction", "instructions": "i"}},
            ["context_policy.instructions: left out, the API has no such option"]),
        ({"context_policy": {"mode": "provider_compaction", "compact_threshold_tokens": 5}},
            ["context_policy.compact_threshold_tokens: raised to 1000, the least"]),
        ({"reasoning": True, "max_reasoning_tokens": 9, "model": ALWAYS},
            ["max_reasoning_tokens: left out, the API takes an effort"]),
        ({"options": {"include": [ENCRYPTED]}, "model": PLAIN},
            ["include (reasoning.encrypted_content): left out, gpt-4o does not take it"]),
        ({"hosted_tools": [WebSearchHostedTool(return_token_budget="default")]},
            [f"hosted_tools: return_token_budget: {NO_SEARCH_OPTION}"]),
        ({"hosted_tools": [WebSearchHostedTool(max_uses=3)] * 2},
            ["hosted_tools: max_uses: left out, the limit of the API is one for all tools"]),
        ({"tool_choice": ToolChoice()}, ["tool_choice: left out, there are no tools"]),
        ({"structured_output": StructuredOutputConfig(output_schema=LOOSE)},
            ["structured_output: told, not enforced, for its schema cannot be made strict"]),
        ({"options": {"user": "u"}, "quirks": Quirks(unsupported=("user",))},
            ["user: left out, this API does not take it"]),
        ({"options": {"logprobs": True},
          "model": model_with(PLAIN, unsupported_parameters=["logprobs"])},
            ["logprobs: left out, like does not take it"]),
        ({"options": {"top_p": 1}, "model": CAN_SKIP, "reasoning": True},
            ["top_p: left out, the model takes it only without reasoning"]),
        ({"options": {"logprobs": True}, "model": CAN_SKIP, "reasoning": True},
            ["logprobs: left out, the model takes it only without reasoning"]),
        ({"options": {"stream_options": {"x": 1}}},
            ["stream_options: left out, the answer is not streamed"]),
    ],
)  # fmt: skip
def test_notes_say_what_was_done_and_why(fields: Dict, notes: list[str]) -> None:
    assert build(**fields).adjustments == notes


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"options": {"tool_choice": {}}},
            ("options['tool_choice']: expected 'auto', 'none', 'required' or a dict with a type; "
             "or use AIModelCallConfig.tool_choice")),
        ({"options": {"store": "no"}}, "options['store']: expected True or False"),
        ({"options": {"reasoning": "high"}}, "options['reasoning']: expected a dict"),
        ({"metadata": {"user": "u" * 513}}, "metadata['user_id']: longer than 512 characters"),
        ({"messages": [foreign(text(" "))]}, "messages: nothing in them can be sent"),
    ],
)  # fmt: skip
def test_refusals_say_what_is_wrong(fields: Dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(**fields)
    assert caught.value.message == message


def test_headers_of_the_caller() -> None:
    wire = build(options={"extra_headers": {"X-Trace": "t", "accept": "*/*"}})
    assert wire.headers["x-trace"] == "t"
    assert wire.headers["accept"] == "*/*"
    assert "extra_headers" not in wire.body


@pytest.mark.parametrize(
    ("quirks", "sent"),
    [
        (Quirks(), {"metadata": {"user_id": "u1"}}),
        (Quirks(user="safety_identifier"), {"safety_identifier": "u1"}),
        (Quirks(user="user"), {"user": "u1"}),
    ],
)
def test_the_user_is_named(quirks: Quirks, sent: Dict) -> None:
    wire = build(metadata={"user_id": "u1"}, quirks=quirks)
    assert wire.body.items() >= sent.items()


# --- instructions, tools


def test_names_may_be_as_long_as_the_api_takes() -> None:
    sent = body(metadata={"user_id": "u" * 512}, tools=[tool("x" * 64)])
    assert len(sent["metadata"]["user_id"]) == 512
    assert len(sent["tools"][0]["name"]) == 64


def test_instructions() -> None:
    given = ["Be brief.", SystemInstruction(text=" "), "Be kind."]
    sent = body(instructions=given)
    assert (sent["instructions"], sent["input"]) == ("Be brief. Be kind.", [said("hi")])
    sent = body(instructions=given, quirks=Quirks(instructions="developer"))
    first = {"role": "developer", "content": "Be brief. Be kind."}
    assert "instructions" not in sent
    assert sent["input"] == [first, said("hi")]
    assert body(quirks=Quirks(instructions="system"))["input"] == [said("hi")]


def test_tools_are_described() -> None:
    wire = build(
        tools=[
            tool("plain"),
            tool("strict", SCHEMA, strict=True),
            tool("loose", LOOSE, strict=True),
            ToolDefinition(
                function=FunctionDefinition(
                    name="bare", parameters=FunctionParameters(properties={})
                )
            ),
        ],
        options={"tools": [{"type": "custom", "name": "run"}]},
    )
    plain, strict, loose, bare, raw = wire.body["tools"]
    assert plain == {
        "type": "function",
        "name": "plain",
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
        "strict": False,
    }
    assert (strict["parameters"], strict["strict"]) == (STRICT, True)
    assert loose["parameters"]["properties"]["l"] == {"type": "array", "items": {}}
    assert loose["strict"] is False
    assert bare == {
        "type": "function",
        "name": "bare",
        "parameters": {"type": "object", "properties": {}},
        "strict": False,
    }
    assert raw == {"type": "custom", "name": "run"}
    assert wire.adjustments == ["tool 'loose': strict left out, the schema does not allow it"]
    accepted(wire)


def test_web_search() -> None:
    location = HostedToolUserLocation(city="Ulm", country="DE")
    search = WebSearchHostedTool(
        allowed_domains=["example.com"],
        user_location=location,
        max_uses=3,
        search_context_size="high",
        external_web_access=False,
        return_token_budget="default",
    )
    wire = build(hosted_tools=[search])
    assert wire.body["tools"] == [
        {
            "type": "web_search",
            "search_context_size": "high",
            "user_location": {"type": "approximate", "city": "Ulm", "country": "DE"},
            "filters": {"allowed_domains": ["example.com"]},
            "external_web_access": False,
        }
    ]
    assert wire.body["max_tool_calls"] == 3
    assert [note.partition(",")[0] for note in wire.adjustments] == [
        "hosted_tools: return_token_budget: left out"
    ]
    accepted(wire)
    bare = build(hosted_tools=[WebSearchHostedTool(blocked_domains=["example.com"])])
    assert bare.body["tools"] == [{"type": "web_search"}]
    assert len(bare.adjustments) == 1


def test_web_search_of_other_servers() -> None:
    search = WebSearchHostedTool(
        allowed_domains=["a.b"], search_context_size="low", max_uses=1, external_web_access=True
    )
    wire = build(hosted_tools=[search], quirks=Quirks(web_search="web_search_preview"))
    assert wire.body["tools"] == [{"type": "web_search_preview", "search_context_size": "low"}]
    assert len(wire.adjustments) == 2


def test_one_limit_for_all_hosted_tools() -> None:
    wire = build(
        hosted_tools=[WebSearchHostedTool(max_uses=3)],
        tools=[tool()],
        options={"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
    )
    assert "max_tool_calls" not in wire.body
    assert len(wire.adjustments) == 1


@pytest.mark.parametrize(
    ("choice", "options", "sent"),
    [
        (None, {}, {}),
        (ToolChoice(), {}, {"tool_choice": "auto"}),
        (ToolChoice(type="one_or_more"), {}, {"tool_choice": "required"}),
        (ToolChoice(type=None), {}, {"tool_choice": "none"}),
        (SPECIFIC, {}, {"tool_choice": {"type": "function", "name": "look"}}),
        (ToolChoice(parallel=False), {}, {"tool_choice": "auto", "parallel_tool_calls": False}),
        (ToolChoice(parallel=False), {"parallel_tool_calls": True},
            {"tool_choice": "auto", "parallel_tool_calls": True}),
        (None, {"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        (SPECIFIC, {"tool_choice": "any"}, {"tool_choice": "required"}),
        (None, {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}},
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}),
    ],
)  # fmt: skip
def test_tool_choice(choice: ToolChoice | None, options: Dict, sent: Dict) -> None:
    found = body(tools=[tool()], tool_choice=choice, options=options)
    assert {k: v for k, v in found.items() if k in ("tool_choice", "parallel_tool_calls")} == sent


@pytest.mark.parametrize(("kind", "notes"), [("one_or_more", 1), ("zero_or_more", 1), (None, 0)])
def test_a_tool_choice_without_tools_is_left_out(kind: Any, notes: int) -> None:
    wire = build(tool_choice=ToolChoice(type=kind, parallel=False))
    assert not wire.body.keys() & {"tool_choice", "parallel_tool_calls"}
    assert len(wire.adjustments) == notes


# --- structured output


@dataclass
class Answer:
    """An answer with all the trimmings."""

    where: int
    why: list[str]


@pytest.mark.parametrize(
    ("output", "name", "schema", "strict", "notes"),
    [
        (OUTPUT, "structured_output", STRICT, True, 0),
        (StructuredOutputConfig(output_schema={**SCHEMA, "title": "My place"}), "My_place",
            STRICT | {"title": "My place"}, True, 0),
        (StructuredOutputConfig(output_schema={"properties": {}}), "structured_output",
            {"type": "object", "properties": {}}, False, 1),
        (StructuredOutputConfig(output_schema=LOOSE), "structured_output",
            {"type": "object", "properties": {"all": {"type": "object"},
                                              "l": {"type": "array", "items": {}}}}, False, 1),
        (StructuredOutputConfig(output_schema={"type": "object", "properties": {},
                                               "anyOf": [{"type": "object", "properties": {}}]}),
            "structured_output",
            {"type": "object", "properties": {}, "anyOf": [{"type": "object", "properties": {}}]},
            False, 1),
        (Answer, "Answer", {
            "title": "Answer", "description": "An answer with all the trimmings.",
            "type": "object",
            "properties": {"where": {"type": "integer"},
                           "why": {"type": "array", "items": {"type": "string"}}},
            "required": ["where", "why"], "additionalProperties": False}, True, 0),
    ],
)  # fmt: skip
def test_a_schema_field(output: Any, name: str, schema: Dict, strict: bool, notes: int) -> None:
    wire = build(structured_output=output)
    form = {"type": "json_schema", "name": name, "schema": schema, "strict": strict}
    assert wire.body["text"] == {"format": form}
    assert len(wire.adjustments) == notes
    assert wire.output_tool is None


@pytest.mark.parametrize(
    ("fields", "choice", "parallel"),
    [
        ({}, {"type": "function", "name": "structured_output"}, False),
        ({"tools": [tool()]}, "required", None),
        ({"tools": [tool()], "tool_choice": ToolChoice(parallel=False)}, "required", False),
        ({"tools": [tool()], "tool_choice": SPECIFIC}, {"type": "function", "name": "look"}, None),
        ({"tools": [tool()], "tool_choice": ToolChoice(type=None)},
            {"type": "function", "name": "structured_output"}, False),
    ],
)  # fmt: skip
def test_a_tool_carries_it_where_the_model_has_no_field(
    fields: Dict, choice: Any, parallel: Any
) -> None:
    model = model_with(structured_output="tool")
    wire = build(model=model, structured_output=OUTPUT, **fields)
    assert wire.output_tool == "structured_output"
    assert "text" not in wire.body
    assert wire.body["tool_choice"] == choice
    assert wire.body.get("parallel_tool_calls") is parallel
    carrier = wire.body["tools"][-1]
    assert carrier == {
        "type": "function",
        "name": "structured_output",
        "description": OUTPUT_TOOL_PURPOSE,
        "parameters": STRICT,
        "strict": True,
    }


def test_the_tool_takes_no_name_of_the_callers() -> None:
    model = model_with(structured_output="tool")
    taken = [tool("structured_output")]
    assert build(model=model, structured_output=OUTPUT, tools=taken).output_tool == (
        "structured_output_"
    )


# --- context policy


@pytest.mark.parametrize(
    ("policy", "sent", "notes"),
    [
        ({}, None, 0),
        ({"mode": "client_compaction"}, None, 0),
        ({"mode": "provider_compaction"}, [{"type": "compaction"}], 0),
        ({"mode": "provider_compaction", "compact_threshold_tokens": 5000},
            [{"type": "compaction", "compact_threshold": 5000}], 0),
        ({"mode": "provider_compaction", "compact_threshold_tokens": 5},
            [{"type": "compaction", "compact_threshold": 1000}], 1),
        ({"mode": "provider_compaction", "compact_threshold_tokens": 1000},
            [{"type": "compaction", "compact_threshold": 1000}], 0),
        ({"mode": "provider_compaction", "edits": [{"type": "x"}], "instructions": "i",
            "pause_after_compaction": True}, [{"type": "compaction"}], 3),
        ({"mode": "provider_context_editing"}, None, 1),
    ],
)  # fmt: skip
def test_context_policy(policy: Dict, sent: Any, notes: int) -> None:
    wire = build(context_policy=policy)
    assert wire.body.get("context_management") == sent
    assert len(wire.adjustments) == notes
    accepted(wire)


def test_a_server_that_does_not_compact() -> None:
    policy = {"mode": "provider_compaction"}
    wire = build(context_policy=policy, quirks=Quirks(compaction=False))
    assert "context_management" not in wire.body
    assert wire.adjustments == ["context_policy: left out, the API has no provider_compaction"]


# --- files and results


PNG = b"\x89PNG"
B64 = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("file", "part"),
    [
        (StoredFile.from_bytes(PNG, "a.png"),
            {"type": "input_image", "image_url": f"data:image/png;base64,{B64}", "detail": "auto"}),
        (StoredFile.from_bytes(PNG, "a", "image/JPG; q=1"),
            {"type": "input_image", "image_url": f"data:image/jpeg;base64,{B64}",
             "detail": "auto"}),
        (StoredFile.from_url("https://a.b/c.webp"),
            {"type": "input_image", "image_url": "https://a.b/c.webp", "detail": "auto"}),
        (StoredFile.from_bytes(PNG, "a.pdf"),
            {"type": "input_file", "filename": "a.pdf",
             "file_data": f"data:application/pdf;base64,{B64}"}),
        (StoredFile.from_bytes(PNG, "", "application/pdf"),
            {"type": "input_file", "filename": "file",
             "file_data": f"data:application/pdf;base64,{B64}"}),
        (StoredFile.from_url("https://a.b/c.pdf"),
            {"type": "input_file", "file_url": "https://a.b/c.pdf"}),
        (StoredFile.from_url("https://a.b/c.docx"),
            {"type": "input_file", "file_url": "https://a.b/c.docx"}),
        (StoredFile.from_url("https://a.b/c.txt"),
            {"type": "input_file", "file_url": "https://a.b/c.txt"}),
        (StoredFile.from_bytes(b"x = 1", "a.py"), {"type": "input_text", "text": "a.py:\nx = 1"}),
        (StoredFile.from_bytes(b"x", "", "text/plain"), {"type": "input_text", "text": "x"}),
    ],
)  # fmt: skip
def test_files(file: StoredFile, part: Dict) -> None:
    wire = build(messages=[Prompt(text="see", files=[file])])
    content = [part, {"type": "input_text", "text": "see"}]
    assert wire.body["input"] == [{"role": "user", "content": content}]
    accepted(wire)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (StoredFile.from_bytes(b"", "a.png"), "file 'a.png': is empty"),
        (StoredFile.from_bytes(b"", "a.pdf"), "file 'a.pdf': is empty"),
        (StoredFile.from_bytes(b" ", "a.txt"), "file 'a.txt': is empty"),
        (StoredFile.from_bytes(b"x", "a.mp3"), "file 'a.mp3': media type 'audio/mpeg' cannot be"),
        (StoredFile.from_url("https://a.b/c"), "file 'c': media type 'application/octet-stream'"),
    ],
)
def test_files_that_cannot_be_sent_are_named(file: StoredFile, message: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        build(messages=[Prompt(text="see", files=[file])])


def test_what_files_can_be_sent_is_told() -> None:
    file = StoredFile.from_bytes(b"x", "a.mp3")
    with pytest.raises(ConfigError) as caught:
        build(messages=[Prompt(text="see", files=[file])])
    assert caught.value.message == (
        "file 'a.mp3': media type 'audio/mpeg' cannot be sent to this model; it takes image/jpeg, "
        "image/png, image/gif, image/webp, PDF, Office documents and text (is the type right? it "
        "can be given)"
    )


def test_what_stands_in_the_wrong_turn_is_refused() -> None:
    file = FilePayload(name="a.png", media_type="image/png", data=PNG)
    with pytest.raises(
        ConfigError, match=r"^messages: 'a\.png' cannot stand in a turn of the assistant's$"
    ):
        build_turns([Turn("assistant", [file])])
    with pytest.raises(
        ConfigError, match=r"^messages: a ChatResponse cannot stand in a turn of the user's$"
    ):
        build_turns([Turn("user", [response(text("a"))])])
    with pytest.raises(ConfigError, match="messages: the ToolCallResult for 'x' answers no"):
        build_turns([Turn("user", [result("x")])])


PARTS = [{"type": "input_image", "image_url": "https://a.b/c"}, {"type": "input_text", "text": "a"}]


@pytest.mark.parametrize(
    ("output", "fields", "sent"),
    [
        ("seen", {}, "seen"),
        (None, {}, ""),
        ({"a": [1]}, {}, '{"a":[1]}'),
        ([], {}, "[]"),
        ("lost", {"is_error": True}, "Error: lost"),
        (" ", {"is_error": True}, "Error: The tool failed without a message."),
        (None, {"is_error": True}, "Error: The tool failed without a message."),
        ({"code": 1}, {"is_error": True}, 'Error: {"code":1}'),
        (PARTS, {}, PARTS),
        (PARTS, {"is_error": True}, [{"type": "input_text", "text": "Error:"}, *PARTS]),
        ([{"type": "input_image"}], {}, '[{"type":"input_image"}]'),
        ([{"type": 1}, "a"], {}, '[{"type":1},"a"]'),
        (["a"], {}, '["a"]'),
        ([{"type": "text", "text": "a"}], {}, [{"type": "input_text", "text": "a"}]),
    ],
)
def test_tool_results(output: Any, fields: Dict, sent: Any) -> None:
    told = items(response(call()), result(output=output, **fields))
    assert told[1] == {"type": "function_call_output", "call_id": "call_1", "output": sent}


def test_results_come_first_in_their_turn() -> None:
    turn = Turn("user", [TextPart("now"), result(), TextPart(" ")])
    sent = build_turns([Turn("assistant", [response(call())]), turn]).body["input"]
    assert [item.get("type") for item in sent] == ["function_call", "function_call_output", None]
    assert sent[-1] == said("now")


# --- replay


WHOLE = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "s"}, {"type": "summary_text", "text": "t"}],
        "encrypted_content": "e+/=",
        "format": "f",
    },
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "incomplete",
        "content": [
            {"type": "output_text", "text": "I", "annotations": [CITATION]},
            {"type": "refusal", "refusal": "no"},
            {"type": "odd", "id": "o_1"},
        ],
        "phase": "commentary",
    },
    SEARCH,
    {
        "type": "message",
        "id": "msg_2",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "", "annotations": []}],
    },
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call.1",
        "name": "look",
        "arguments": '{"at":"it"}',
        "status": "completed",
        "namespace": "n",
    },
    {"type": "function_call_output", "call_id": "call.1", "output": "seen"},
]


def test_an_answer_goes_back_item_by_item() -> None:
    answer = response(
        reasoning("e+/=", "s", "t", format="f"),
        text("I", CITATION, status="incomplete", phase="commentary", logprobs=[1]),
        text("no", kind="refusal", status="incomplete", phase="commentary"),
        generic({"type": "odd", "id": "o_1"}, message_id="msg_1"),
        generic(SEARCH),
        text("", at="msg_2", status="completed"),
        call("call.1", metadata={"status": "completed", "namespace": "n"}),
    )
    assert items(answer, result("call.1")) == WHOLE
    restored = ChatResponse.model_validate_json(answer.to_message_item().model_dump_json())
    assert items(restored, result("call.1")) == WHOLE


def test_plain_reasoning_goes_back() -> None:
    content = [{"type": "reasoning_text", "text": "p"}]
    sent = {"type": "reasoning", "id": "rs_1", "summary": [], "content": content}
    assert items(response(reasoning(None, plain="p"), text("so")))[0] == sent
    parts = [*content, {"type": "odd"}]
    told = response(reasoning(None, plain="p", content=parts, status="completed"), text("so"))
    assert items(told)[0] == {**sent, "content": parts, "status": "completed"}


ANSWER = (
    reasoning("e", "s"),
    text("a", CITATION, status="completed", phase="commentary", logprobs=[]),
    text("b", phase="commentary"),
    text("c", at="msg_2", phase="final_answer"),
    generic(SEARCH),
    generic({"type": "odd"}, message_id="msg_2"),
    call("call.1", metadata={"status": "completed"}),
)
ALIEN = [
    {"role": "assistant", "content": "ab"},
    {"role": "assistant", "content": "c"},
    {
        "type": "function_call",
        "call_id": "call_1",
        "name": "look",
        "arguments": '{"at":"it"}',
    },
    {"type": "function_call_output", "call_id": "call_1", "output": "seen"},
]


@pytest.mark.parametrize(
    ("maker", "place"),
    [(Makers.ANTHROPIC, Places.ANTHROPIC), (Makers.OPEN_AI, Places.MICROSOFT_OPENAI)],
)
def test_to_another_place_goes_only_what_it_can_read(maker: Makers, place: Places) -> None:
    answer = response(*ANSWER, provider=maker, place=place)
    assert items(answer, result("call.1")) == ALIEN


def test_without_its_reasoning_an_answer_has_no_ids() -> None:
    sent = items(response(*ANSWER), result("call.1"), model=PLAIN)
    assert sent == [
        {"role": "assistant", "content": "ab", "phase": "commentary"},
        {"role": "assistant", "content": "c", "phase": "final_answer"},
        SEARCH,
        {**ALIEN[2], "call_id": "call.1", "status": "completed"},
        {**ALIEN[3], "call_id": "call.1"},
    ]
    assert items(response(reasoning(None, "s"), text("so"))) == [
        {"role": "assistant", "content": "so"}
    ]
    assert items(response(reasoning(at=None), text("so"))) == [
        {"role": "assistant", "content": "so"}
    ]


def test_a_model_of_ones_own_is_known_by_its_name() -> None:
    fields = msgspec.structs.asdict(ALWAYS.get_settings())
    model = FoundationModel(
        provider=Makers.CUSTOM, model_name="m", settings=ChatModelSettings(**fields)
    )
    other = FoundationModel(
        provider=Makers.CUSTOM, model_name="n", settings=ChatModelSettings(**fields)
    )
    answer = response(text("so"), provider=Makers.CUSTOM, place=None)
    assert "id" in items(answer, model=model)[0]
    assert "id" not in items(answer, model=other)[0]


def test_custom_tools() -> None:
    sent = items(response(custom_call(), call("b", id=None)), result("b"), result())
    assert sent == [
        {
            "type": "custom_tool_call",
            "id": "ctc_1",
            "call_id": "call_1",
            "name": "run",
            "input": "x = 1",
            "status": "completed",
        },
        {"type": "function_call", "call_id": "b", "name": "look", "arguments": '{"at":"it"}'},
        {"type": "function_call_output", "call_id": "b", "output": "seen"},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "seen"},
    ]
    sent = items(foreign(custom_call()), result())
    assert [item["type"] for item in sent] == ["function_call", "function_call_output"]
    assert sent[0]["arguments"] == '{"input":"x = 1"}'
    cut = call(metadata={"type": "custom"}, arguments={}, parse_error="cut", raw_arguments="x")
    assert items(response(cut), result())[0]["type"] == "function_call"


@pytest.mark.parametrize(
    ("raw", "sent"), [(None, "{}"), ("", "{}"), ('{"a', '{"INVALID_JSON":"{\\"a"}')]
)
def test_arguments_that_do_not_parse_go_as_an_object(raw: str | None, sent: str) -> None:
    broken = call(arguments={}, raw_arguments=raw, parse_error="cut")
    assert items(response(broken), result())[0]["arguments"] == sent


def test_ids_are_unique_and_short() -> None:
    long = "x" * 100
    told = [
        *("hi", response(call("a")), result("a"), response(call("a")), result("a")),
        *(foreign(call(long), call(long), call(None)), result(long), result(long), result(None)),
        *(response(call(None, id=None)), result(None)),
    ]
    sent = body(messages=told)["input"][1:]
    ids = [item["call_id"] for item in sent if item["type"] == "function_call"]
    assert ids == ["a", "a_2", "x" * 64, "x" * 62 + "_2", "call", "call_2"]
    assert ids == [item["call_id"] for item in sent if item["type"] == "function_call_output"]


def test_names_of_tools_are_such_as_the_api_takes() -> None:
    assert items(response(call(name="")), result())[0]["name"] == "unknown"
    sent = items(foreign(call(name="a.b" + "c" * 80)), result())
    assert sent[0]["name"] == "a_b" + "c" * 61


def test_what_would_need_an_answer_is_left_out() -> None:
    assert items(response(reasoning(), generic(SHELL))) == []
    output = {"type": "shell_call_output", "id": "sho_1", "call_id": "call_9", "output": []}
    shell = {**SHELL, "type": "shell_call"}
    answer = response(reasoning(), generic(shell), generic(output), text("so"))
    kinds = [item["type"] for item in items(answer)]
    assert kinds == ["reasoning", "shell_call", "shell_call_output", "message"]


def test_structured_output_goes_back_as_its_text() -> None:
    output = ChatResponseStructuredOutput.from_text('{"at":1}', OUTPUT)
    item = ChatResponseStructuredOutputContentItem(
        message_contents=[ChatMessageContentPart(type="output_text", text='{"at":1}')],
        structured_output=output,
        metadata={"tool_call": {"name": "structured_output"}},
    )
    assert items(response(item)) == [{"role": "assistant", "content": '{"at":1}'}]


def test_empty_items_are_dropped_and_prompts_of_the_assistants_are_kept() -> None:
    empty = ChatResponseTextContentItem()
    unknown = generic({"a": 1})
    sent = items(response(empty, unknown, text(" ", at=None)), assistant("so"), assistant(" "))
    assert sent == [{"role": "assistant", "content": "so"}]


def test_only_the_first_choice_is_sent() -> None:
    answer = response(text("first", at=None))
    second = ChatResponseChoice(index=1, contents=[text("second", at=None)])
    answer.choices.append(second)
    assert items(answer) == [{"role": "assistant", "content": "first"}]
    answer.choices[0].contents = None
    assert items(answer) == []
    answer.choices = []
    turns = [Turn("user", [TextPart("hi")]), Turn("assistant", [answer])]
    assert build_turns(turns).body["input"] == [said("hi")]


# --- recorded answers


def kept(item: Dict) -> Dict:
    """What of an item goes back; the rest is about the making of it."""
    if item["type"] == "message":
        parts = [{k: v for k, v in part.items() if k != "logprobs"} for part in item["content"]]
        names = ("id", "type", "role", "status", "phase")
        return {name: item[name] for name in names if item.get(name)} | {"content": parts}
    if item["type"] == "reasoning":
        return {name: value for name, value in item.items() if value not in (None, [], "")}
    if item["type"] == "function_call":
        return item | {"arguments": _parsed(item["arguments"])}
    return item


def _parsed(arguments: str) -> Dict:
    try:
        parsed: Dict = json.loads(arguments or "{}")
    except ValueError:
        return {"INVALID_JSON": arguments}
    return parsed


def output_of(recording: Recording) -> list[Dict]:
    """The items of a recorded answer, as they were told last."""
    found: dict[str, Dict] = {}
    for line in recording.body.splitlines():
        event = json.loads(line[5:]) if re.match(rb'data: *\{.*"response\.', line) else {}
        if event.get("type") == "response.output_item.done":
            found[event["item"]["id"]] = event["item"]
        if event.get("type") in ("response.completed", "response.incomplete"):
            return event["response"]["output"] or list(found.values())
    return list(found.values())


def answer_of(recording: Recording) -> ChatResponse | None:
    """What becomes of a recorded answer; ``None`` for one that failed."""
    decoder = OpenAIResponsesDialect().decoder()
    facts = AnswerFacts(model="m", provider=Makers.OPEN_AI, api_provider=Places.OPEN_AI)
    accumulator, sse = Accumulator(facts), SSEDecoder()
    try:
        for event in [*sse.feed(recording.body), *sse.flush()]:
            accumulator.add(decoder.decode(event))
    except DhenaraStreamError:
        return None
    return accumulator.response(complete=decoder.complete, streaming=True)


RECORDINGS = streams("openai-responses")
# Calls that only the caller can answer, and has no way to.
UNANSWERED = {"local_shell_call", "apply_patch_call", "computer_call"}


@needs_corpus
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.id)
def test_a_recorded_answer_goes_back_as_it_came(recording: Recording) -> None:
    answer = answer_of(recording)
    if answer is None or not answer.choices:
        pytest.skip("no answer")
    output = [item for item in output_of(recording) if item["type"] not in UNANSWERED]
    while output and output[-1]["type"] == "reasoning":
        output.pop()
    results = [result(item.call_id) for item in answer.tools()]
    config = AIModelCallConfig(options={"store": True})
    sent = build(config, messages=["hi", answer.to_message_item(), *results, "so?"]).body["input"]
    answers = ("function_call_output", "custom_tool_call_output")
    told = [item for item in sent[1:-1] if item["type"] not in answers]
    assert [kept(item) for item in told] == [kept(item) for item in output]


# --- the whole, once


def test_all_at_once_is_what_the_official_sdk_would_send() -> None:
    wire = build(
        model=CAN_SKIP,
        instructions=["Be brief."],
        messages=[
            Prompt(text="see", files=[StoredFile.from_bytes(PNG, "a.png")]),
            response(
                reasoning("e", "s"), text("I", CITATION), generic(SEARCH), call(), custom_call("c")
            ),
            *(result(), result("c"), "and?"),
        ],
        streaming=True,
        reasoning=True,
        reasoning_effort="high",
        max_output_tokens=4000,
        tools=[tool(strict=True)],
        hosted_tools=[WebSearchHostedTool(max_uses=1)],
        tool_choice=ToolChoice(parallel=False),
        structured_output=Answer,
        metadata={"user_id": "u1"},
        context_policy={"mode": "provider_compaction"},
        options={"service_tier": "auto", "stream_options": {"include_obfuscation": False}},
    )
    sent = accepted(wire)
    assert refusals(sent, CAN_SKIP) == []
    assert list(sent) == [
        *("model", "stream", "instructions", "input", "max_output_tokens", "reasoning", "text"),
        *("tools", "tool_choice", "parallel_tool_calls", "max_tool_calls", "store", "include"),
        *("context_management", "metadata", "service_tier", "stream_options"),
    ]
    assert "sk-01" not in repr(wire)


CALLED: Dict = {"type": "function_call", "call_id": "a", "name": "b", "arguments": "{}"}
BARE: Dict = {"type": "reasoning", "id": "rs_1", "encrypted_content": "e"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"input": []}, "needs input"),
        ({"stop": ["x"]}, "no stop"),
        ({"temperature": 1}, "no temperature"),
        ({"max_output_tokens": 1}, "max_output_tokens 1"),
        ({"top_p": 2}, "temperature or top_p"),
        ({"stream_options": {}}, "stream_options without stream"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"reasoning": {"effort": "none", "summary": "auto"}}, "effort none"),
        ({"reasoning": {"effort": "none", "summary": "auto"}}, "a summary of nothing"),
        ({"include": [LOGPROBS]}, "['message.output_text.logprobs'] and reasoning"),
        ({"tools": [{"type": "custom", "name": "a"}] * 2}, "tools: names"),
        ({"tools": [{"type": "custom", "name": "a b"}]}, "tools: a name"),
        ({"tool_choice": "auto"}, "tool_choice without tools"),
        ({"tools": [{"type": "custom", "name": "a"}], "tool_choice": {"name": "b"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "", "strict": True,
            "schema": {"type": "object", "properties": {"a": {}}}}}}, "format: name"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "strict": True,
            "schema": {"type": "object", "properties": {"a": {}}}}}}, "schema: required"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "strict": True,
            "schema": {"type": "object", "properties": {"a": {}}}}}}, "schema: additional"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "strict": True,
            "schema": {"type": "object", "properties": {"a": {}}}}}}, "schema: {} has no type"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "strict": True,
            "schema": {"type": "array", "default": 1}}}}, "schema: {'default'}"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "strict": False,
            "schema": {"type": "array"}}}}, "schema: no object"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "strict": False,
            "schema": {"type": "array"}}}}, "schema: array without items"),
        ({"input": [{"role": "user", "content": []}]}, "message"),
        ({"input": [{"type": "function_call_output", "call_id": "a"}]}, "no tool call found"),
        ({"input": [CALLED]}, "no tool output found"),
        ({"input": [CALLED, said("a")]}, "no tool output found"),
        ({"input": [CALLED, CALLED]}, "call_id a"),
        ({"input": [CALLED | {"arguments": "1"}]}, "call {"),
        ({"input": [{"type": "local_shell_call"}]}, "no tool output found for local"),
        ({"input": [BARE]}, "rs_1 was provided without"),
        ({"input": [BARE, said("a")]}, "rs_1 was provided without"),
        ({"input": [BARE]}, "missing summary"),
        ({"input": [{**BARE, "encrypted_content": None}]}, "rs_1 not found"),
    ],
)  # fmt: skip
def test_the_rules_of_this_test_bite(change: Dict, why: str) -> None:
    good = body()
    assert refusals(good, ALWAYS) == []
    assert any(reason.startswith(why) for reason in refusals(good | change, ALWAYS))


def test_the_rules_for_models_that_do_not_reason_bite() -> None:
    sent = body(model=PLAIN) | {"include": [ENCRYPTED], "input": [BARE]}
    found = refusals(sent, PLAIN)
    assert {"reasoning is not supported"} <= set(found)
    assert any(reason.startswith("reasoning items") for reason in found)
    assert refusals(body(model=chat.O1) | {"include": [LOGPROBS]}, chat.O1) == [
        "logprobs are not supported"
    ]
