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
from corpus import Recording, needs_corpus, streams
from dialects.missing import LACKS_REASONING
from hypothesis import given, settings
from hypothesis import strategies as st
from sdk_types import accepted_by_openai_chat as accepted

from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.conversation import TextPart, Turn, conversation
from dhenara_stream.core.sse import SSEDecoder
from dhenara_stream.dialects.base import ChatRequest, ErrorReply, WireRequest
from dhenara_stream.dialects.drafting import OUTPUT_TOOL_PURPOSE, STRUCTURED_OUTPUT_TOOL
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect, Quirks
from dhenara_stream.dialects.openai_chat.messages import BRIDGE, UNKNOWN_REASONING
from dhenara_stream.dialects.openai_chat.request import build_request
from dhenara_stream.dialects.openai_chat.stream import OpenAIChatDecoder
from dhenara_stream.dialects.openai_responses import OpenAIResponsesDialect
from dhenara_stream.dialects.schema import OPENAI, compiles, strict_schema
from dhenara_stream.errors import ConfigError, ProtocolError, ProviderError
from dhenara_stream.providers.registry import PROVIDERS, SERVICES
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

# What every declared server does in its own way, and one that knows the least.
SERVERS: dict[str, Quirks] = {
    place.name or place.api_provider.value: route.dialect.quirks
    for place in (*PROVIDERS.values(), *SERVICES.values())
    for route in place.routes
    if isinstance(route.dialect, OpenAIChatDialect)
}
DEEPSEEK, OPENROUTER, MISTRAL, GROQ, PERPLEXITY, LOCAL = (
    SERVERS[name]
    for name in ("deepseek", "openrouter", "mistral", "groq", "perplexity", "llama.cpp")
)
SERVERS["old"] = OLD = Quirks(
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
    return FoundationModel(provider=maker, model_name="like", settings=ChatModelSettings(**changed))


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
    if "object" in kinds and sorted(schema.get("required", [])) != sorted(
        schema.get("properties", {})
    ):
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
REASONS_TO_REFUSE = ("messages: ",)


def lacking(model: BaseAIModel, quirks: Quirks) -> tuple[str, ...]:
    """How the refusals begin of what the model, or the server, lacks as a whole."""
    lacks = () if model.get_settings().supports_reasoning else LACKS_REASONING
    return lacks if quirks.tools else (*lacks, "tools: ")


def check(model: BaseAIModel, quirks: Quirks, history: str, config: AIModelCallConfig) -> None:
    """See that the call is refused with a reason, or that the server would take it."""
    try:
        wire = build(config, model=model, quirks=quirks, messages=HISTORIES[history])
    except ConfigError as error:
        reasons = REASONS_TO_REFUSE + lacking(model, quirks)
        found = [] if error.message.startswith(reasons) else [error.message]
    else:
        found = refusals(wire.body, model, quirks)
    assert found == [], config


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("name", [model.model_name for model in chat.CHAT_MODELS])
def test_no_model_of_openais_and_config_lead_to_a_refusal(name: str, history: str) -> None:
    model = next(model for model in chat.CHAT_MODELS if model.model_name == name)
    limits = LIMITS if history == "a question" else LIMITS[:1]
    for limit, reasoning, tools in itertools.product(limits, REASONING, TOOLS):
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
        reasons = REASONS_TO_REFUSE + lacking(model, quirks)
        assert error.message.startswith(reasons)  # noqa: PT017
        return
    assert refusals(wire.body, model, quirks) == []
    if server == "openai":
        accepted(wire)
    assert said == before


# --- reasoning


OPENAI_NONE = model_with(REASONER, supported_reasoning_efforts=["none", "low", "high"])
ALWAYS_THINKS = model_with(deepseek.DeepseekV4Pro, unsupported_parameters=["thinking.disabled"])


@pytest.mark.parametrize(
    ("model", "quirks", "fields", "sent"),
    [
        (PLAIN, Quirks(), {}, {}),
        (REASONER, Quirks(), {}, {"reasoning_effort": "none"}),
        (REASONER, Quirks(), {"reasoning": True}, {"reasoning_effort": "medium"}),
        (REASONER, Quirks(), {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        (REASONER, Quirks(), {"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}),
        (REASONER, Quirks(), {"reasoning_effort": "max"}, {"reasoning_effort": "xhigh"}),
        (REASONER, Quirks(none_effort=False), {}, {}),
        (REASONER, Quirks(reasoning="none"), {"reasoning": True}, {}),
        (ALWAYS, Quirks(), {}, {}),
        (ALWAYS, Quirks(), {"reasoning": True}, {"reasoning_effort": "medium"}),
        (OPENAI_NONE, Quirks(none_effort=False), {}, {"reasoning_effort": "none"}),
        (OPENAI_NONE, Quirks(), {"reasoning": True}, {"reasoning_effort": "low"}),
        (BUDGETED, Quirks(), {"reasoning": True}, {"reasoning_effort": "medium"}),
        (model_with(REASONER, reasoning_control="none"), Quirks(), {"reasoning": True}, {}),
        (REASONER, OPENROUTER, {}, {}),
        (OPENAI_NONE, OPENROUTER, {}, {"reasoning": {"effort": "none"}}),
        (REASONER, OPENROUTER, {"reasoning": True}, {"reasoning": {"enabled": True}}),
        (REASONER, OPENROUTER, {"reasoning_effort": "high"}, {"reasoning": {"effort": "high"}}),
        (BUDGETED, OPENROUTER, {"reasoning": True}, {"reasoning": {"max_tokens": 8000}}),
        (BUDGETED, OPENROUTER, {"reasoning": True, "max_reasoning_tokens": 2000},
            {"reasoning": {"max_tokens": 2000}}),
        (BUDGETED, OPENROUTER, {"reasoning": True, "max_output_tokens": 1000}, {}),
        (BUDGETED, OPENROUTER, {"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
        (model_with(REASONER, supported_reasoning_efforts=["odd"]), OPENROUTER,
            {"reasoning_effort": "low"}, {"reasoning": {"enabled": True}}),
        (model_with(REASONER, supported_reasoning_efforts=["odd"]), Quirks(),
            {"reasoning_effort": "low"}, {}),
        (deepseek.DeepseekV4Pro, DEEPSEEK, {}, {"thinking": {"type": "disabled"}}),
        (deepseek.DeepseekV4Pro, DEEPSEEK, {"reasoning": True}, {"thinking": {"type": "enabled"}}),
        (deepseek.DeepseekV4Pro, DEEPSEEK, {"reasoning_effort": "medium"},
            {"thinking": {"type": "enabled"}, "reasoning_effort": "low"}),
        (deepseek.DeepseekR1, DEEPSEEK, {"reasoning": True}, {}),
        (ALWAYS_THINKS, DEEPSEEK, {}, {"thinking": {"type": "enabled"}}),
        (REASONER, Quirks(), {"options": {"reasoning_effort": "none"}, "reasoning": True},
            {"reasoning_effort": "none"}),
        (PLAIN, Quirks(), {"options": {"reasoning_effort": "none"}}, {"reasoning_effort": "none"}),
        (REASONER, OPENROUTER, {"options": {"reasoning": {"exclude": True}}},
            {"reasoning": {"enabled": True, "exclude": True}}),
        (deepseek.DeepseekV4Pro, DEEPSEEK, {"options": {"thinking": {"type": "enabled"}}},
            {"thinking": {"type": "enabled"}}),
        (deepseek.DeepseekV4Pro, DEEPSEEK, {"options": {"reasoning_effort": "max"}},
            {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        (deepseek.DeepseekV4Pro, DEEPSEEK,
            {"options": {"thinking": {"type": "disabled"}}, "reasoning_effort": "high"},
            {"thinking": {"type": "disabled"}}),
    ],
)  # fmt: skip
def test_reasoning_is_asked_for_as_the_server_takes_it(
    model: BaseAIModel, quirks: Quirks, fields: Dict, sent: Dict
) -> None:
    made = body(model=model, quirks=quirks, **fields)
    names = ("reasoning_effort", "reasoning", "thinking")
    assert {name: made[name] for name in names if name in made} == sent


@pytest.mark.parametrize(
    ("model", "quirks", "fields", "notes"),
    [
        (REASONER, Quirks(), {"reasoning_effort": "max"}, ["reasoning_effort"]),
        (REASONER, Quirks(), {"reasoning": True}, []),
        (REASONER, OLD, {"reasoning_effort": "low"}, ["reasoning_effort"]),
        (REASONER, OLD, {"reasoning": True}, []),
        (REASONER, Quirks(), {"reasoning": True, "max_reasoning_tokens": 9},
            ["max_reasoning_tokens"]),
        (REASONER, OPENROUTER, {"reasoning": True, "max_reasoning_tokens": 9},
            ["max_reasoning_tokens"]),
        (BUDGETED, OPENROUTER, {"reasoning": True, "max_reasoning_tokens": 9},
            ["max_reasoning_tokens"]),
        (BUDGETED, OPENROUTER, {"reasoning": True, "max_output_tokens": 100}, ["reasoning"]),
        (deepseek.DeepseekV4Pro, DEEPSEEK, {"reasoning": True, "max_reasoning_tokens": 9},
            ["max_reasoning_tokens"]),
        (REASONER, Quirks(), {"options": {"thinking": 1, "reasoning": {}}},
            ["options['reasoning']", "options['thinking']"]),
        (REASONER, OLD, {"options": {"reasoning_effort": "low"}}, ["options['reasoning_effort']"]),
    ],
)  # fmt: skip
def test_what_of_reasoning_cannot_be_had_is_told(
    model: BaseAIModel, quirks: Quirks, fields: Dict, notes: list[str]
) -> None:
    assert noted(build(model=model, quirks=quirks, **fields)) == notes


def test_a_budget_brings_a_limit_above_it() -> None:
    sent = body(model=BUDGETED, quirks=OPENROUTER, reasoning=True)
    assert sent["max_tokens"] == BUDGETED.get_settings().max_output_tokens > 8000
    raw = body(model=BUDGETED, quirks=OPENROUTER, options={"reasoning": {"max_tokens": 2000}})
    assert "max_tokens" not in raw


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"reasoning": True}, set()),
        ({}, {"temperature", "top_p", "logprobs"}),
        ({"model": ALWAYS}, set()),
        ({"model": PLAIN}, {"temperature", "top_p", "logprobs"}),
        ({"model": REASONER, "reasoning": True, "quirks": DEEPSEEK},
            {"temperature", "top_p", "logprobs"}),
    ],
)  # fmt: skip
def test_sampling_parameters_go_where_the_model_does_not_reason(
    fields: Dict, sent: set[str]
) -> None:
    options = {"temperature": 0.5, "top_p": 0.5, "logprobs": True}
    given: Dict = {"model": REASONER} | fields
    wire = build(options=options, **given)
    assert wire.body.keys() & options.keys() == sent
    assert set(noted(wire)) == options.keys() - sent


@pytest.mark.parametrize(
    ("reasoning", "is_on"),
    [
        ({"enabled": True}, True),
        ({"effort": "low"}, True),
        ({"enabled": False}, False),
        ({"effort": "none"}, False),
        ({"enabled": False, "effort": "low"}, False),
        ({"enabled": True, "effort": "none"}, False),
    ],
)
def test_an_object_may_ask_for_reasoning_or_for_none(reasoning: Dict, is_on: bool) -> None:
    fields: Dict = {"quirks": OPENROUTER, "options": {"reasoning": reasoning}}
    if is_on:
        with pytest.raises(ConfigError, match=r"^options\['reasoning'\]"):
            build(model=PLAIN, **fields)
    else:
        assert body(model=PLAIN, **fields)["reasoning"] == reasoning


def test_where_a_tool_is_forced_some_models_do_not_reason() -> None:
    fields: Dict = {"model": deepseek.DeepseekV4Pro, "quirks": DEEPSEEK, "reasoning": True}
    fields |= {"tools": [tool()], "messages": HISTORIES["a question"]}
    unasked: Dict = fields | {"reasoning": False}
    quiet = build(tool_choice=FORCED[1], **unasked)
    assert quiet.body["thinking"] == {"type": "disabled"}
    assert noted(quiet) == []
    forced = build(tool_choice=FORCED[1], **fields)
    assert forced.body["thinking"] == {"type": "disabled"}
    assert forced.body["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert noted(forced) == ["reasoning"]
    free = build(tool_choice=ToolChoice(), **fields)
    assert free.body["thinking"] == {"type": "enabled"}
    assert "tool_choice" not in free.body
    forbidden = build(tool_choice=ToolChoice(type=None), **fields)
    assert forbidden.body["tool_choice"] == "none"
    structured = build(structured_output=OUTPUT, **fields)
    assert structured.body["thinking"] == {"type": "disabled"}
    assert structured.output_tool == STRUCTURED_OUTPUT_TOOL


@pytest.mark.parametrize("efforts", [("none", "low"), ("low",)])
def test_a_model_may_not_reason_where_it_has_tools(efforts: tuple[str, ...]) -> None:
    model = model_with(
        REASONER,
        supported_reasoning_efforts=efforts,
        unsupported_parameters=["reasoning_effort.with_tools", "temperature"],
    )
    wire = build(model=model, reasoning_effort="low", tools=[tool()])
    assert wire.body.get("reasoning_effort") == ("none" if "none" in efforts else None)
    assert noted(wire) == ["reasoning"]
    assert body(model=model, reasoning_effort="low")["reasoning_effort"] == "low"


# --- limits and options


@pytest.mark.parametrize(
    ("model", "quirks", "fields", "sent"),
    [
        (PLAIN, Quirks(), {}, {}),
        (PLAIN, Quirks(), {"max_output_tokens": 5}, {"max_completion_tokens": 5}),
        (PLAIN, Quirks(), {"max_output_tokens": 10**6}, {"max_completion_tokens": 32_768}),
        (PLAIN, OLD, {"max_output_tokens": 5}, {"max_tokens": 5}),
        (deepseek.DeepseekV4Pro, DEEPSEEK, {}, {"max_tokens": 384_000}),
        (model_with(REASONER, max_output_tokens=100, max_output_tokens_reasoning_mode=200),
            Quirks(), {"max_output_tokens": 500, "reasoning": True},
            {"max_completion_tokens": 200}),
        (model_with(deepseek.DeepseekV4Pro, max_output_tokens=100), DEEPSEEK,
            {"tools": [tool()], "tool_choice": FORCED[0], "reasoning": True}, {"max_tokens": 100}),
    ],
)  # fmt: skip
def test_the_limit_on_output(model: BaseAIModel, quirks: Quirks, fields: Dict, sent: Dict) -> None:
    made = body(model=model, quirks=quirks, **fields)
    names = ("max_tokens", "max_completion_tokens")
    assert {name: made[name] for name in names if name in made} == sent


def test_options_pass_through_and_merge_last() -> None:
    options = {
        "service_tier": "flex",
        "store": False,
        "verbosity": "low",
        "response_format": {"more": 1},
        "unknown_yet": [1, {"a": None}],
        "seed": 0,
        "n": 2,
        "user": "me",
        "temperature": None,
    }
    before = deepcopy(options)
    sent = body(options=options, structured_output=OUTPUT, metadata={"user": "u1"})
    assert sent["response_format"].keys() == {"type", "json_schema", "more"}
    assert sent["safety_identifier"] == "u1"
    left = options.keys() - {"response_format", "temperature"}
    assert {name: sent[name] for name in left} == {name: options[name] for name in left}
    assert "temperature" not in sent
    sent["unknown_yet"].append(2)
    assert options == before


@pytest.mark.parametrize(
    ("quirks", "options", "sent", "notes"),
    [
        (Quirks(), {"top_k": 5, "min_p": 0.1}, {}, ["options['min_p']", "options['top_k']"]),
        (LOCAL, {"top_k": 5, "min_p": 0.1}, {"top_k": 5, "min_p": 0.1}, []),
        (Quirks(), {"betas": ["x"], "safety_settings": []}, {},
            ["options['betas']", "options['safety_settings']"]),
        (Quirks(), {"seed": 7}, {"seed": 7}, []),
        (MISTRAL, {"seed": 7}, {"random_seed": 7}, []),
        (MISTRAL, {"random_seed": 0}, {"random_seed": 0}, []),
        (Quirks(), {"random_seed": 7}, {"seed": 7}, []),
        (MISTRAL, {"user": "x", "logit_bias": {"1": 1}}, {}, ["logit_bias", "user"]),
        (Quirks(), {"stop": "x"}, {"stop": ["x"]}, []),
        (Quirks(), {"stop": ["x", "\n"], "stop_sequences": "x"}, {"stop": ["x", "\n"]}, []),
        (Quirks(), {"stop": ["", ""]}, {}, []),
        (DEEPSEEK, {"stop": [str(i) for i in range(16)]}, {"stop": [str(i) for i in range(16)]},
            []),
        (Quirks(), {"stream_options": {"include_usage": True}}, {}, ["stream_options"]),
        (Quirks(), {"parallel_tool_calls": False, "tool_choice": "none"}, {}, []),
        (Quirks(), {"tool_choice": "any"}, {}, ["tool_choice"]),
    ],
)  # fmt: skip
def test_options_that_differ_from_server_to_server(
    quirks: Quirks, options: Dict, sent: Dict, notes: list[str]
) -> None:
    wire = build(quirks=quirks, options=options)
    plain = {"model", "messages", "max_tokens"}
    assert {k: v for k, v in wire.body.items() if k not in plain} == sent
    assert noted(wire) == notes


@pytest.mark.parametrize(
    ("quirks", "options", "sent"),
    [
        (Quirks(), {}, {"include_usage": True}),
        (Quirks(), {"stream_options": {"include_obfuscation": False}},
            {"include_usage": True, "include_obfuscation": False}),
        (Quirks(), {"stream_options": {"include_usage": False}}, {"include_usage": False}),
        (OLD, {"stream_options": {"include_usage": True}}, None),
    ],
)  # fmt: skip
def test_the_usage_of_a_stream_is_asked_for(quirks: Quirks, options: Dict, sent: Any) -> None:
    wire = build(quirks=quirks, options=options, streaming=True)
    assert wire.body["stream"] is True
    assert wire.body.get("stream_options") == sent
    assert noted(wire) == (["stream_options"] if options and sent is None else [])


@pytest.mark.parametrize(
    ("quirks", "sent"),
    [
        (Quirks(), {"safety_identifier": "7"}),
        (Quirks(user_field="user"), {"user": "7"}),
        (Quirks(user_field=None), {}),
    ],
)
def test_the_user(quirks: Quirks, sent: Dict) -> None:
    wire = build(quirks=quirks, metadata={"user_id": 7})
    assert {k: v for k, v in wire.body.items() if k not in ("model", "messages")} == sent
    assert noted(wire) == ([] if sent else ["metadata['user_id']"])


@pytest.mark.parametrize(("options", "choices"), [({}, 1), ({"n": 3}, 3)])
def test_how_many_answers_are_asked_for_is_told(options: Dict, choices: int) -> None:
    assert build(options=options).choices == choices


def test_names_may_be_as_long_as_the_api_takes() -> None:
    sent = body(metadata={"user_id": "u" * 128}, tools=[tool("x" * 64)])
    assert len(sent["safety_identifier"]) == 128
    assert len(sent["tools"][0]["function"]["name"]) == 64


def test_what_a_model_refuses_is_left_out() -> None:
    model = model_with(
        unsupported_parameters=["service_tier", "stop", "seed"],
        exclusive_parameters=[["temperature", "top_p"]],
    )
    options = {"service_tier": "auto", "stop": "x", "seed": 1, "temperature": 1, "top_p": 1}
    wire = build(model=model, options=options)
    assert wire.body.keys() == {"model", "messages", "temperature"}
    assert noted(wire) == ["service_tier", "stop", "seed", "top_p"]


@pytest.mark.parametrize("mode", ["provider_compaction", "provider_context_editing", "fail_closed"])
def test_context_policies_of_the_providers_own_are_told_to_be_missing(mode: str) -> None:
    wire = build(context_policy={"mode": mode})
    assert noted(wire) == ([] if mode == "fail_closed" else ["context_policy"])


RESTRICTED = FoundationModel(
    provider=OPEN_AI,
    model_name="restricted",
    settings=PLAIN.settings,
    valid_options={
        "verbosity": ValidOptionValue(
            allowed_values=["low"], default_value="low", cost_sensitive=False
        )
    },
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"options": {"model": "x"}}, r"options\['model'\]: give it as the endpoint's ai_model"),
        ({"options": {"messages": []}}, r"options\['messages'\]"),
        ({"options": {"stream": True}}, r"options\['stream'\]: .*AIModelCallConfig.streaming"),
        ({"options": {"max_tokens": 5}}, r"options\['max_tokens'\]: .*max_output_tokens"),
        ({"options": {"temperature": 2.5}}, r"options\['temperature'\]: expected a number from 0"),
        ({"options": {"presence_penalty": -3}}, "presence_penalty"),
        ({"options": {"n": 0}}, r"options\['n'\]"),
        ({"options": {"top_logprobs": 2}}, r"options\['top_logprobs'\]: needs options\['logprobs"),
        ({"options": {"stop": list("abcde")}}, r"options\['stop'\]: the API takes 4 at most"),
        ({"options": {"stop": 3}}, r"options\['stop'\]: expected text"),
        ({"options": {"thing": object()}}, r"options\['thing'\]: cannot be sent as JSON"),
        ({"options": {"tools": "x"}}, r"options\['tools'\]: expected a list of dicts"),
        ({"options": {"tool_choice": "look"}}, r"options\['tool_choice'\]: expected 'auto'"),
        ({"options": {"tool_choice": {"name": "x"}}}, r"options\['tool_choice'\]: expected"),
        ({"options": {"verbosity": "high"}, "model": RESTRICTED}, "'high' is not one of"),
        ({"options": {"extra_headers": {"host": "x"}}}, "extra_headers"),
        ({"metadata": {"user": "x" * 129}}, r"metadata\['user_id'\]: longer than 128"),
        ({"tools": [tool("x" * 65)]}, "tools: the name 'xxx.* is longer than 64 characters"),
        ({"tools": [tool()], "options": {"tools": [{"function": {"name": "look"}}]}}, "two tools"),
        ({"tools": [tool("code")],
          "options": {"tools": [{"type": "custom", "custom": {"name": "code"}}]}}, "two tools"),
        ({"tools": [tool(schema={"type": "object", "x": object()})]}, "tool 'look': cannot be"),
        ({"hosted_tools": [WebSearchHostedTool()], "quirks": Quirks(web_search="options"),
          "model": model_with(unsupported_parameters=["web_search_options"])},
            "hosted_tools: like has no web search here"),
        ({"structured_output": StructuredOutputConfig(output_schema={"type": "array"})},
            "structured_output: the schema's type must be 'object'"),
        ({"hosted_tools": [WebSearchHostedTool()] * 2}, "hosted_tools: the API takes one"),
        ({"messages": HISTORIES["an answer to go on with"], "quirks": PERPLEXITY},
            "messages: gpt-4.1 does not go on with the assistant's text here"),
        ({"messages": HISTORIES["an answer to go on with"],
          "model": model_with(unsupported_parameters=["assistant_prefill"])}, "messages: like "),
        ({"messages": [assistant("I"), "hi"], "quirks": MISTRAL},
            "^messages: the conversation must begin with the user, not the assistant$"),
        ({"messages": [assistant(" "), response(thought())]},
            "^messages: nothing in them can be sent$"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(fields: Dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**fields)


def test_extra_headers() -> None:
    wire = build(options={"extra_headers": {"X-Title": "mine"}})
    assert wire.headers.keys() == {"content-type", "accept", "x-title"}
    assert "mine" not in repr(wire)
    assert wire.body.keys() == {"model", "messages"}


NO_SEARCH_OPTION = "left out, this web search has no such option"


@pytest.mark.parametrize(
    ("fields", "notes"),
    [
        ({"model": model_with(unsupported_parameters=["messages.system"]), "instructions": ["a"]},
            ["instructions: told by the user, the model takes no system message"]),
        ({"options": {"stream_options": {"x": 1}}},
            ["stream_options: left out, the answer is not streamed, or the API has none"]),
        ({"structured_output": StructuredOutputConfig(output_schema=OF_ANY_KEYS)},
            ["structured_output: told, not enforced, for its schema cannot be made strict"]),
        ({"structured_output": OUTPUT, "quirks": OLD},
            ["structured_output: told in words, the API has no schemas"]),
        ({"model": deepseek.DeepseekV4Pro, "quirks": DEEPSEEK, "reasoning": True,
          "tools": [tool()], "tool_choice": FORCED[0]},
            ["reasoning: left out, no tool can be forced while the model reasons"]),
        ({"model": model_with(REASONER, unsupported_parameters=["reasoning_effort.with_tools"]),
          "reasoning": True, "tools": [tool()]},
            ["reasoning: left out, in this API the model does not reason where it has tools"]),
        ({"model": REASONER, "reasoning": True, "max_reasoning_tokens": 9},
            ["max_reasoning_tokens: left out, the API takes an effort"]),
        ({"model": REASONER, "reasoning": True, "options": {"top_p": 1}},
            ["top_p: left out, the model takes it only without reasoning"]),
        ({"tools": [tool("dict", OF_ANY_KEYS, strict=True)]},
            ["tool 'dict': strict left out, the API or the schema does not allow it"]),
        ({"tool_choice": FORCED[0]}, ["tool_choice: left out, there are no tools"]),
        ({"tools": [tool()], "tool_choice": ToolChoice(type=None), "quirks": OLD},
            ["tools: left out, the API knows no other way to forbid them"]),
        ({"tools": [tool(), tool("other")], "tool_choice": FORCED[1], "quirks": LOCAL},
            ["tools: only 'look' kept, the API can force a tool only if alone"]),
        ({"tools": [tool()], "tool_choice": FORCED[0], "quirks": OLD},
            ["tool_choice: left out, the API cannot force tools"]),
        ({"tools": [tool()], "tool_choice": ToolChoice(parallel=False), "quirks": OLD},
            ["parallel_tool_calls: left out, the API cannot forbid calls in parallel"]),
        ({"hosted_tools": [WebSearchHostedTool(max_uses=1)], "quirks": PERPLEXITY},
            [f"hosted_tools: max_uses: {NO_SEARCH_OPTION}"]),
        ({"hosted_tools": [WebSearchHostedTool(user_location=HostedToolUserLocation(timezone="T"))],
          "quirks": PERPLEXITY}, [f"hosted_tools: timezone: {NO_SEARCH_OPTION}"]),
        ({"metadata": {"user_id": 7}, "quirks": Quirks(user_field=None)},
            ["metadata['user_id']: left out, this API does not take it"]),
        ({"options": {"betas": ["x"]}}, ["options['betas']: left out, this API has no such field"]),
        ({"options": {"logprobs": True, "top_logprobs": 2}}, []),
        ({"context_policy": {"mode": "provider_compaction"}},
            ["context_policy: left out, Chat Completions has none"]),
        ({"messages": [Prompt(text="a", cache_control="5m")]},
            ["cache_control: left out, this API has no such marks"]),
    ],
)  # fmt: skip
def test_notes_say_what_was_done_and_why(fields: Dict, notes: list[str]) -> None:
    assert build(**fields).adjustments == notes


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"messages": HISTORIES["an answer to go on with"], "quirks": PERPLEXITY},
            ("messages: gpt-4.1 does not go on with the assistant's text here; "
             "the last message must be the user's")),
        ({"options": {"stop": list("abcde")}}, "options['stop']: the API takes 4 at most"),
        ({"metadata": {"user": "x" * 129}}, "metadata['user_id']: longer than 128 characters"),
        ({"options": {"tool_choice": "look"}},
            ("options['tool_choice']: expected 'auto', 'none', 'required' or a dict with a type; "
             "or use AIModelCallConfig.tool_choice")),
        ({"hosted_tools": [WebSearchHostedTool()] * 2},
            "hosted_tools: the API takes one web search"),
        ({"options": {"top_logprobs": 2}}, "options['top_logprobs']: needs options['logprobs']"),
        ({"tools": [tool()], "quirks": Quirks(tools=False)},
            ("tools: gpt-4.1 has no tools here. Use another model or another provider, or leave "
             "tools out; or, if it has, declare it: tools in AIModelAPI.config['quirks'] or by "
             "register_service")),
        ({"hosted_tools": [WebSearchHostedTool()], "quirks": Quirks(web_search="none")},
            ("hosted_tools: gpt-4.1 has no web search here. Use another model or another "
             "provider, or leave hosted_tools out; or, if it has, declare it: web_search in "
             "AIModelAPI.config['quirks'] or by register_service, and no 'web_search_options' in "
             "the model's unsupported_parameters. Another API of the same provider may have one "
             "(OpenAI's: Responses, without config['api'])")),
        ({"structured_output": OUTPUT,
          "quirks": Quirks(tools=False, unsupported=("response_format",))},
            ("structured_output: gpt-4.1 has no structured output here. Use another model or "
             "another provider, or leave structured_output out; or, if it has, declare it: no "
             "'response_format' in the unsupported parameters of model and server")),
    ],
)  # fmt: skip
def test_refusals_say_what_is_wrong(fields: Dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(**fields)
    assert caught.value.message == message


# --- tools


def test_tools() -> None:
    schema = {"type": "object", "properties": {"at": {"type": "array"}}, "required": ["at"]}
    bare = FunctionDefinition(name="bare", parameters=FunctionParameters(properties={}))
    raw = {"type": "custom", "custom": {"name": "code"}}
    wire = build(
        tools=[tool("plain", schema), ToolDefinition(function=bare), tool("lax", strict=False)],
        options={"tools": [raw]},
    )
    assert wire.body["tools"][:2] == [
        {
            "type": "function",
            "function": {
                "name": "plain",
                "description": "Looks.",
                "parameters": {
                    "type": "object",
                    "properties": {"at": {"type": "array", "items": {}}},
                    "required": ["at"],
                },
            },
        },
        {
            "type": "function",
            "function": {"name": "bare", "parameters": {"type": "object", "properties": {}}},
        },
    ]
    assert "strict" not in wire.body["tools"][2]["function"]
    assert wire.body["tools"][3] == raw
    assert schema["properties"] == {"at": {"type": "array"}}
    accepted(wire)


def test_strict_tools() -> None:
    wire = build(tools=[tool("kept", SCHEMA, strict=True), tool("dict", OF_ANY_KEYS, strict=True)])
    kept, loose = (each["function"] for each in accepted(wire)["tools"])
    assert (kept["strict"], kept["parameters"]) == (True, STRICT)
    assert "strict" not in loose
    assert loose["parameters"] == OF_ANY_KEYS
    assert noted(wire) == ["tool 'kept'", "tool 'dict'"]
    plain = build(tools=[tool("kept", SCHEMA, strict=True)], quirks=LOCAL)
    assert plain.body["tools"][0]["function"]["parameters"] == SCHEMA
    assert noted(plain) == ["tool 'kept'"]


NAMED = {"type": "function", "function": {"name": "look"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}
TWO = [tool(), tool("other")]


@pytest.mark.parametrize(
    ("choice", "quirks", "sent", "tools", "notes"),
    [
        (None, Quirks(), None, 2, []),
        (ToolChoice(), Quirks(), "auto", 2, []),
        (FORCED[0], Quirks(), "required", 2, []),
        (FORCED[1], Quirks(), NAMED, 2, []),
        (ToolChoice(type=None), Quirks(), "none", 2, []),
        ("any", Quirks(), "required", 2, []),
        ("required", MISTRAL, "any", 2, []),
        (NAMED, Quirks(), NAMED, 2, []),
        (ALLOWED, Quirks(), ALLOWED, 2, []),
        (ALLOWED, LOCAL, "auto", 2, []),
        (ALLOWED | {"allowed_tools": {"mode": "required"}}, LOCAL, "required", 2, []),
        ({"type": "custom", "custom": {"name": "code"}}, LOCAL, "required", 2, []),
        (NAMED, LOCAL, "required", 1, ["tools"]),
        ({"type": "custom", "custom": {"name": "look"}}, Quirks(),
            {"type": "custom", "custom": {"name": "look"}}, 2, []),
        (FORCED[0], MISTRAL, "any", 2, []),
        (FORCED[1], MISTRAL, NAMED, 2, []),
        (FORCED[0], LOCAL, "required", 2, []),
        (FORCED[1], LOCAL, "required", 1, ["tools"]),
        (ToolChoice(type=None), LOCAL, "none", 2, []),
        (ToolChoice(), OLD, None, 2, []),
        (FORCED[0], OLD, None, 2, ["tool_choice"]),
        (ToolChoice(type=None), OLD, None, 0, ["tools"]),
    ],
)  # fmt: skip
def test_tool_choices(choice: Any, quirks: Quirks, sent: Any, tools: int, notes: list[str]) -> None:
    given: Dict = {"tool_choice": choice}
    if choice is not None and not isinstance(choice, ToolChoice):
        given = {"options": {"tool_choice": choice}}
    wire = build(quirks=quirks, tools=TWO, **given)
    assert wire.body.get("tool_choice") == sent
    assert len(wire.body.get("tools", [])) == tools
    assert noted(wire) == notes
    if quirks == Quirks():
        accepted(wire)


def test_where_tools_are_left_out_nothing_is_said_of_them() -> None:
    fields: Dict = {"tools": [tool()], "tool_choice": ToolChoice(parallel=False)}
    sent = body(quirks=Quirks(unsupported=("tools",)), **fields)
    assert sent.keys() == {"model", "messages"}


def test_a_forced_tool_that_is_alone_needs_no_note() -> None:
    wire = build(quirks=LOCAL, tools=[tool()], tool_choice=FORCED[1])
    assert (wire.body["tool_choice"], noted(wire)) == ("required", [])


def test_a_schema_without_a_type_is_that_of_an_object() -> None:
    (made,) = body(tools=[tool(schema={"description": "d"})])["tools"]
    assert made["function"]["parameters"] == {
        "type": "object",
        "description": "d",
        "properties": {},
    }


def test_a_tool_choice_that_the_model_refuses_is_left_out() -> None:
    model = model_with(unsupported_parameters=["tool_choice.required", "tool_choice.function"])
    for choice in FORCED:
        wire = build(model=model, tools=TWO, tool_choice=choice)
        assert "tool_choice" not in wire.body
        assert noted(wire) == ["tool_choice"]
    assert body(model=model, tools=TWO, tool_choice=ToolChoice())["tool_choice"] == "auto"


@pytest.mark.parametrize(
    ("fields", "quirks", "sent", "notes"),
    [
        ({"tool_choice": ToolChoice(parallel=False)}, Quirks(), False, []),
        ({"tool_choice": ToolChoice()}, Quirks(), None, []),
        ({"options": {"parallel_tool_calls": False}}, Quirks(), False, []),
        ({"options": {"parallel_tool_calls": True}}, Quirks(), True, []),
        ({"options": {"parallel_tool_calls": True}}, OLD, None, []),
        ({"tool_choice": ToolChoice(parallel=False)}, OLD, None, ["parallel_tool_calls"]),
    ],
)
def test_calls_in_parallel(fields: Dict, quirks: Quirks, sent: Any, notes: list[str]) -> None:
    wire = build(quirks=quirks, tools=[tool()], **fields)
    assert wire.body.get("parallel_tool_calls") == sent
    assert noted(wire) == notes


# --- web search


PLACE = HostedToolUserLocation(city="Bern", country="CH", timezone="Europe/Zurich")
SEARCH = WebSearchHostedTool(
    allowed_domains=["a.ch"],
    user_location=PLACE,
    max_uses=2,
    search_context_size="low",
    external_web_access=False,
    return_token_budget="default",
)
BLOCKING = WebSearchHostedTool(blocked_domains=["b.ch"])


SEARCHING = FoundationModel(
    provider=chat.GPT4o.provider,
    model_name="gpt-4o-search-preview",
    settings=chat.GPT4o.get_settings(),
)


def test_web_search_of_openais() -> None:
    wire = build(hosted_tools=[SEARCH], model=SEARCHING)
    assert accepted(wire)["web_search_options"] == {
        "search_context_size": "low",
        "user_location": {
            "type": "approximate",
            "approximate": {"city": "Bern", "country": "CH", "timezone": "Europe/Zurich"},
        },
    }
    assert noted(wire) == ["hosted_tools"] * 4
    region = WebSearchHostedTool(user_location=HostedToolUserLocation(region="BE"))
    sent = body(hosted_tools=[region], model=SEARCHING)
    assert sent["web_search_options"]["user_location"]["approximate"] == {"region": "BE"}
    for how in ({"model": SEARCHING}, {"quirks": Quirks(web_search="options")}):
        sent = body(hosted_tools=[WebSearchHostedTool()], **how)
        assert sent["web_search_options"] == {}


@pytest.mark.parametrize("model", chat.CHAT_MODELS, ids=lambda model: model.model_name)
def test_models_of_openais_do_not_search_here_but_in_responses(model: FoundationModel) -> None:
    with pytest.raises(ConfigError, match=r"^hosted_tools: .*Responses, without config") as caught:
        build(hosted_tools=[SEARCH], model=model)
    assert "another model" in caught.value.message
    assert "leave hosted_tools out" in caught.value.message
    endpoint = AIModelEndpoint(api=API, ai_model=model)
    config = AIModelCallConfig(hosted_tools=[WebSearchHostedTool()])
    turns = [Turn("user", [TextPart("Hi")])]
    request = ChatRequest(endpoint=endpoint, config=config, system=[], turns=turns)
    assert OpenAIResponsesDialect().build_request(request).body["tools"] == [{"type": "web_search"}]


def test_web_search_as_a_tool_of_the_servers() -> None:
    wire = build(hosted_tools=[SEARCH], quirks=OPENROUTER, tools=[tool()])
    assert wire.body["tools"][1] == {
        "type": "openrouter:web_search",
        "parameters": {
            "allowed_domains": ["a.ch"],
            "search_context_size": "low",
            "user_location": {
                "type": "approximate",
                "city": "Bern",
                "country": "CH",
                "timezone": "Europe/Zurich",
            },
        },
    }
    assert noted(wire) == ["hosted_tools"] * 3
    blocking = body(hosted_tools=[BLOCKING], quirks=OPENROUTER)["tools"]
    assert blocking[0]["parameters"] == {"excluded_domains": ["b.ch"]}
    bare = body(hosted_tools=[WebSearchHostedTool()], quirks=OPENROUTER)["tools"]
    assert bare == [{"type": "openrouter:web_search"}]


def test_web_search_where_it_only_needs_its_filters() -> None:
    wire = build(hosted_tools=[SEARCH], quirks=PERPLEXITY)
    assert wire.body["search_domain_filter"] == ["a.ch"]
    assert wire.body["web_search_options"] == {
        "search_context_size": "low",
        "user_location": {"city": "Bern", "country": "CH"},
    }
    assert noted(wire) == ["hosted_tools"] * 4
    place = HostedToolUserLocation(region="BE", country="CH")
    placed = build(hosted_tools=[WebSearchHostedTool(user_location=place)], quirks=PERPLEXITY)
    assert placed.body["web_search_options"]["user_location"] == {"region": "BE", "country": "CH"}
    assert noted(placed) == []
    blocking = body(hosted_tools=[BLOCKING], quirks=PERPLEXITY)
    assert blocking["search_domain_filter"] == ["-b.ch"]
    assert "web_search_options" not in blocking


# --- structured output


@dataclass
class Answer:
    """An answer with all the trimmings."""

    where: int
    why: list[str] = field(default_factory=list)


class Sparse(TypedDict):
    here: NotRequired[int]


def test_a_response_format_holds_the_schema() -> None:
    wire = build(structured_output=OUTPUT)
    assert accepted(wire)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "At_a_place", "schema": STRICT, "strict": True},
    }
    assert wire.body["messages"] == [{"role": "user", "content": "hi"}]
    assert wire.output_tool is None
    assert noted(wire) == ["structured_output"]
    assert OUTPUT.output_schema == SCHEMA
    form = body(structured_output=Answer)["response_format"]["json_schema"]
    assert (form["name"], form["schema"]["required"]) == ("Answer", ["where", "why"])
    sparse = body(structured_output=Sparse)["response_format"]["json_schema"]
    assert sparse["schema"]["required"] == ["here"]
    nameless = StructuredOutputConfig(output_schema={"properties": {"a": {"type": "null"}}})
    form = body(structured_output=nameless)["response_format"]["json_schema"]
    assert (form["name"], form["schema"]["type"]) == (STRUCTURED_OUTPUT_TOOL, "object")


def test_a_list_of_anything_is_not_strict() -> None:
    schema: Dict = {"type": "object", "properties": {"l": {"type": "array"}}, "required": ["l"]}
    sent = body(tools=[tool(schema=schema, strict=True)],
                structured_output=StructuredOutputConfig(output_schema=schema))  # fmt: skip
    for holder in (sent["tools"][0]["function"], sent["response_format"]["json_schema"]):
        assert "strict" not in holder


def test_a_schema_that_cannot_be_strict_is_told() -> None:
    config = StructuredOutputConfig(output_schema=OF_ANY_KEYS)
    wire = build(structured_output=config)
    assert accepted(wire)["response_format"]["json_schema"] == {
        "name": STRUCTURED_OUTPUT_TOOL,
        "schema": OF_ANY_KEYS,
    }
    assert noted(wire) == ["structured_output"]
    as_it_is = build(structured_output=OUTPUT, quirks=LOCAL)
    assert as_it_is.body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert noted(as_it_is) == []


@pytest.mark.parametrize("instructions", [None, ["Be brief."]])
def test_a_server_without_schemas_is_told_in_words(instructions: Any) -> None:
    wire = build(structured_output=OUTPUT, quirks=OLD, instructions=instructions)
    assert wire.body["response_format"] == {"type": "json_object"}
    system = wire.body["messages"][0]
    assert system["role"] == "system"
    assert system["content"].startswith("Be brief." if instructions else "Answer with a JSON")
    assert system["content"].endswith(msgspec.json.encode(SCHEMA).decode())
    assert noted(wire) == ["structured_output"]


BY_TOOL = model_with(structured_output="tool")


@pytest.mark.parametrize(
    ("model", "quirks", "fields", "choice", "tools"),
    [
        (BY_TOOL, Quirks(), {}, "output", 1),
        (BY_TOOL, Quirks(), {"tools": [tool()]}, "required", 2),
        (BY_TOOL, Quirks(), {"tools": [tool()], "tool_choice": FORCED[1]}, NAMED, 2),
        (BY_TOOL, Quirks(), {"tools": [tool()], "tool_choice": ToolChoice(type=None)}, "output", 2),
        (BY_TOOL, LOCAL, {}, "required", 1),
        (BY_TOOL, LOCAL, {"tools": [tool()], "tool_choice": ToolChoice(type=None)}, "required", 1),
        (PLAIN, GROQ, {}, "output", 1),
        (PLAIN, SERVERS["cerebras"], {"tools": [tool()]}, "required", 2),
        (model_with(unsupported_parameters=["response_format"]), Quirks(), {}, "output", 1),
    ],
)
def test_a_tool_carries_what_the_format_does_not(
    model: BaseAIModel, quirks: Quirks, fields: Dict, choice: Any, tools: int
) -> None:
    wire = build(model=model, quirks=quirks, structured_output=OUTPUT, **fields)
    output = {"type": "function", "function": {"name": STRUCTURED_OUTPUT_TOOL}}
    assert wire.output_tool == STRUCTURED_OUTPUT_TOOL
    assert wire.body["tool_choice"] == (output if choice == "output" else choice)
    assert len(wire.body["tools"]) == tools
    function = wire.body["tools"][-1]["function"]
    assert function.get("strict", False) == quirks.strict_schemas
    assert function["description"] == OUTPUT_TOOL_PURPOSE
    assert "response_format" not in wire.body
    if choice == "output":
        expected = False if quirks.parallel_tool_calls else None
        assert wire.body.get("parallel_tool_calls") is expected


def test_only_the_call_that_is_the_answer_must_be_alone() -> None:
    fields: Dict = {"model": BY_TOOL, "structured_output": OUTPUT}
    alone = build(**fields, quirks=Quirks(parallel_tool_calls=False))
    assert "parallel_tool_calls" not in alone.body
    assert "parallel_tool_calls" not in noted(alone)
    for choice in FORCED:
        sent = body(**fields, tools=[tool()], tool_choice=choice)
        assert "parallel_tool_calls" not in sent
    assert body(tools=[tool()], tool_choice=FORCED[1]).keys() == {
        *("model", "messages", "tools", "tool_choice"),
    }


def test_the_tool_of_the_output_has_a_name_of_its_own() -> None:
    wire = build(model=BY_TOOL, structured_output=OUTPUT, tools=[tool(STRUCTURED_OUTPUT_TOOL)])
    assert wire.output_tool == STRUCTURED_OUTPUT_TOOL + "_"
    unforced = build(model=BY_TOOL, structured_output=OUTPUT, quirks=OLD)
    assert "tool_choice" in noted(unforced)
    toolless = build(model=BY_TOOL, structured_output=OUTPUT, quirks=PERPLEXITY)
    assert toolless.body["response_format"] == {"type": "json_object"}
    refusing = model_with(BY_TOOL, unsupported_parameters=["tools"])
    format_of = body(model=refusing, structured_output=OUTPUT)["response_format"]
    assert format_of == {"type": "json_object"}
    apart = Quirks(tools=False, format_with_tools=False)
    assert body(structured_output=OUTPUT, quirks=apart)["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("given", "made", "gone"),
    [
        ({"type": "object", "properties": {}}, {"type": "object", "properties": {},
            "required": [], "additionalProperties": False}, set()),
        ({"properties": {"a": {"const": 1}}, "required": []},
            {"type": "object", "properties": {"a": {"const": 1, "type": "integer"}},
             "required": ["a"], "additionalProperties": False}, set()),
        ({"type": ["object", "null"], "properties": {}}, {"type": ["object", "null"],
            "properties": {}, "required": [], "additionalProperties": False}, set()),
        ({"enum": ["a", None, True]}, {"enum": ["a", None, True],
            "type": ["string", "null", "boolean"]}, set()),
        ({"enum": [1.5], "type": "number"}, ..., set()),
        ({"type": "string", "pattern": "a", "format": "uri", "maxLength": 3},
            {"type": "string", "pattern": "a", "description": '{"format":"uri","maxLength":3}'},
            {"format", "maxLength"}),
        ({"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "null"}}, ..., set()),
        ({"oneOf": [{"type": "null"}, {"type": "integer", "maximum": 3}]},
            {"anyOf": [{"type": "null"}, {"type": "integer", "maximum": 3}]}, set()),
        ({"type": "string", "default": None}, {"type": "string"}, set()),
        ({"type": "string", "default": "x"}, {"type": "string",
            "description": '{"default":"x"}'}, {"default"}),
        ({"$ref": "#", "description": "d"}, {"$ref": "#"}, set()),
    ],
)  # fmt: skip
def test_strict_schemas(given: Dict, made: Any, gone: set[str]) -> None:
    before = deepcopy(given)
    lost: set[str] = set()
    assert strict_schema(given, lost, OPENAI) == (given if made is ... else made)
    assert lost == gone
    assert given == before


@pytest.mark.parametrize(
    ("part", "does"),
    [
        ({"type": "string"}, True),
        ({"enum": ["a"]}, True),
        ({"$ref": "#"}, True),
        ({"type": "array", "items": {"type": "null"}}, True),
        ({"type": "array", "prefixItems": [{"type": "null"}], "items": False}, True),
        ({"allOf": [{"type": "null"}]}, True),
        ({"type": "array"}, False),
        ({"type": "array", "items": {}}, False),
        ({}, False),
        (True, False),
        ({"anyOf": [{"type": "null"}, {}]}, False),
        ({"allOf": [{"type": "null"}, {"type": "null"}]}, False),
        ({"type": "object"}, False),
        ({"type": ["object", "null"], "additionalProperties": {"type": "null"}}, False),
    ],
)
def test_schemas_that_can_be_strict(part: Any, does: bool) -> None:
    assert compiles({"type": "object", "properties": {"a": part}}, OPENAI) is does
    assert not compiles({"anyOf": [{"type": "object", "properties": {}}]}, OPENAI)


# --- what the user says


def sent_messages(*messages: Any, **fields: Any) -> list[Dict]:
    made: list[Dict] = body(messages=messages, **fields)["messages"]
    return made


def content(*messages: Any, at: int = -1, **fields: Any) -> Any:
    return sent_messages(*messages, **fields)[at]["content"]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_come_first_in_one_message(role: Literal["system", "developer"]) -> None:
    wire = build(instructions=["a", " ", "b"], quirks=Quirks(system_role=role))
    assert accepted(wire)["messages"] == [
        {"role": role, "content": "a b"},
        {"role": "user", "content": "hi"},
    ]


def test_a_model_without_instructions_gets_them_from_the_user() -> None:
    model = model_with(unsupported_parameters=["messages.system"])
    wire = build(model=model, instructions=["a", "b"])
    assert wire.body["messages"] == [{"role": "user", "content": "a\n\nb\n\nhi"}]
    assert noted(wire) == ["instructions"]
    begun = build(model=model, instructions=["a"], messages=[assistant("I"), "hi"])
    said = [(message["role"], message["content"]) for message in begun.body["messages"]]
    assert said == [("user", "a"), ("assistant", "I"), ("user", "hi")]
    going = build(model=model, instructions=["a"], messages=["hi", assistant("I"), "so?"])
    assert [message["content"] for message in going.body["messages"]] == ["a\n\nhi", "I", "so?"]
    marked = SystemInstruction(text="a", cache_control="5m")
    seen = Prompt(text="see", files=[IMAGE_AT])
    fields: Dict = {"model": model, "quirks": OPENROUTER}
    shown = body(instructions=[marked, "b"], messages=[seen], **fields)["messages"][0]["content"]
    assert [part.get("text") for part in shown] == ["a", "b", None, "see"]
    assert [part.get("cache_control") for part in shown] == [{"type": "ephemeral"}] + [None] * 3
    assert noted(build(model=model)) == []


def test_text_is_one_string() -> None:
    assert content("a", "b") == "a\n\nb"
    note = StoredFile.from_bytes("é".encode(), "a.md")
    assert content(Prompt(text="see", files=[note])) == "a.md:\né\n\nsee"
    nameless = StoredFile.from_bytes(b"{}", "", "application/json")
    assert content(Prompt(text="see", files=[nameless])) == "{}\n\nsee"


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


PDF = StoredFile.from_bytes(b"%PDF", "a.pdf")
PDF_AT = StoredFile.from_url("https://example.com/a.pdf")
IMAGE_AT = StoredFile.from_url("https://example.com/a.webp")


@pytest.mark.parametrize(
    ("file", "quirks", "part"),
    [
        (StoredFile.from_bytes(PNG, "a.png"), Quirks(),
            {"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}}),
        (StoredFile.from_bytes(PNG, "a", "IMAGE/JPG; q=1"), LOCAL,
            {"type": "image_url", "image_url": {"url": data_url("image/jpeg", PNG)}}),
        (IMAGE_AT, Quirks(),
            {"type": "image_url", "image_url": {"url": "https://example.com/a.webp"}}),
        (PDF, Quirks(), {"type": "file", "file": {
            "filename": "a.pdf", "file_data": data_url("application/pdf", b"%PDF")}}),
        (StoredFile.from_bytes(b"%PDF", "", "application/x-pdf"), Quirks(), {"type": "file",
            "file": {"filename": "file.pdf", "file_data": data_url("application/pdf", b"%PDF")}}),
        (PDF_AT, OPENROUTER, {"type": "file", "file": {
            "filename": "a.pdf", "file_data": "https://example.com/a.pdf"}}),
        (PDF_AT, MISTRAL, {"type": "document_url", "document_name": "a.pdf",
            "document_url": "https://example.com/a.pdf"}),
        (StoredFile.from_bytes(b"RIFF", "a.wav"), Quirks(), {"type": "input_audio",
            "input_audio": {"data": base64.b64encode(b"RIFF").decode(), "format": "wav"}}),
        (StoredFile.from_bytes(b"ID3", "a.mp3"), Quirks(), {"type": "input_audio",
            "input_audio": {"data": base64.b64encode(b"ID3").decode(), "format": "mp3"}}),
    ],
)  # fmt: skip
def test_files(file: StoredFile, quirks: Quirks, part: Dict) -> None:
    wire = build(messages=[Prompt(text="see", files=[file])], quirks=quirks)
    assert wire.body["messages"][0]["content"] == [part, {"type": "text", "text": "see"}]
    if quirks == Quirks():
        accepted(wire)


@pytest.mark.parametrize(
    ("file", "quirks", "message"),
    [
        (
            StoredFile.from_bytes(b"x", "a.zip"),
            Quirks(),
            "takes image/jpeg.*/pdf, audio/wav, audio/mpeg, text ",
        ),
        (StoredFile.from_bytes(PNG, "a.png"), OLD, "file 'a.png': .*; it takes text "),
        (PDF, OLD, "file 'a.pdf': media type 'application/pdf' cannot be sent"),
        (StoredFile.from_bytes(b"x", "a.mp3"), OLD, "file 'a.mp3': media type 'audio/mpeg'"),
        (PDF_AT, Quirks(), "file 'a.pdf': cannot be sent as a URL here; read it"),
        (IMAGE_AT, LOCAL, "file 'a.webp': cannot be sent as a URL"),
        (StoredFile.from_url("https://example.com/a.txt"), Quirks(), "file 'a.txt': cannot be"),
        (StoredFile.from_url("https://example.com/a.mp3"), Quirks(), "file 'a.mp3': cannot be"),
        (StoredFile.from_bytes(b"", "a.png"), Quirks(), "file 'a.png': is empty"),
        (StoredFile.from_bytes(b" ", "a.txt"), Quirks(), "file 'a.txt': is empty"),
    ],
)
def test_files_that_cannot_be_sent_are_named(
    file: StoredFile, quirks: Quirks, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build(messages=[Prompt(text="see", files=[file])], quirks=quirks)


def test_a_file_in_a_turn_of_the_assistants_is_refused() -> None:
    prompt = Prompt(role=PromptMessageRoleEnum.ASSISTANT, text="see", files=[PDF])
    with pytest.raises(
        ConfigError, match=r"^messages: 'a.pdf' cannot stand in a turn of the assistant's$"
    ):
        build(messages=["hi", prompt, "so?"])
    with pytest.raises(ConfigError, match="messages: 'look' cannot stand in a turn of the"):
        build_turns([Turn("user", [TextPart("hi")]), Turn("assistant", [result(name="look")])])


def test_marks_of_what_to_cache() -> None:
    fields: Dict = {
        "instructions": [SystemInstruction(text="a", cache_control="1h"), "b"],
        "messages": [Prompt(text="c", cache_control="5m")],
        "tools": [tool(cache_control="1h")],
    }
    wire = build(quirks=OPENROUTER, **fields)
    short, long = ({"type": "ephemeral"} | more for more in ({}, {"ttl": "1h"}))
    assert wire.body["messages"] == [
        {
            "role": "system",
            "content": [
                {"type": "text", "text": "a", "cache_control": long},
                {"type": "text", "text": "b"},
            ],
        },
        {"role": "user", "content": [{"type": "text", "text": "c", "cache_control": short}]},
    ]
    assert wire.body["tools"][0]["cache_control"] == long
    assert noted(wire) == []
    plain = build(**fields)
    assert "cache_control" not in str(accepted(plain))
    assert noted(plain) == ["cache_control"]
    image = StoredFile.from_bytes(b"i", "i.png", "image/png")
    shown = Prompt(text="", files=[image], cache_control="1h")
    [message] = body(quirks=OPENROUTER, messages=[shown])["messages"]
    assert message["content"][0]["cache_control"] == long
    result_marked = ["hi", response(call()), result(cache_control="5m")]
    assert noted(build(quirks=OPENROUTER, messages=result_marked)) == ["cache_control"]
    told = body(quirks=msgspec.structs.replace(OLD, cache_marks=True), structured_output=OUTPUT,
                instructions=fields["instructions"])["messages"][0]["content"]  # fmt: skip
    assert told[2]["text"].startswith("Answer with a JSON object")


def test_the_last_four_marks_are_kept_with_the_long_ones_first() -> None:
    wire = build(
        quirks=OPENROUTER,
        tools=[tool(cache_control="5m"), tool("other", cache_control="5m")],
        instructions=[SystemInstruction(text="a", cache_control="5m")],
        messages=[Prompt(text=said, cache_control="5m") for said in "bc"],
        options={"cache_control": {"type": "ephemeral", "ttl": "1h"}},
    )
    system, user = (message["content"] for message in wire.body["messages"])
    marks = [part.get("cache_control") for part in (*wire.body["tools"], *system, *user)]
    long = {"type": "ephemeral", "ttl": "1h"}
    assert [*marks, wire.body["cache_control"]] == [None, None, long, long, long, long]
    assert noted(wire) == ["cache_control"] * 4


@pytest.mark.parametrize(
    ("output", "fields", "sent"),
    [
        ("seen", {}, "seen"),
        ("", {}, ""),
        (None, {}, ""),
        ({"a": 1}, {}, '{"a":1}'),
        (3, {}, "3"),
        ([], {}, "[]"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {}, "a\n\nb"),
        ([{"type": "image"}], {}, '[{"type":"image"}]'),
        (["a"], {}, '["a"]'),
        ("bad", {"is_error": True}, "Error: bad"),
        ({"why": "x"}, {"is_error": True}, 'Error: {"why":"x"}'),
        (" ", {"is_error": True}, "Error: The tool failed without a message."),
    ],
)
def test_tool_results(output: Any, fields: Dict, sent: str) -> None:
    messages = sent_messages("hi", response(call()), result(output=output, **fields))
    assert messages[2] == {"role": "tool", "tool_call_id": "call_1", "content": sent}


def test_results_come_before_the_users_words() -> None:
    messages = ["hi", response(call("a"), call("b")), result("a"), "and", result("b"), "so"]
    sent = sent_messages(*messages)
    assert [message["role"] for message in sent[2:]] == ["tool", "tool", "user"]
    assert sent[4]["content"] == "and\n\nso"
    strict = sent_messages(*messages, quirks=MISTRAL)
    assert strict[4] == {"role": "assistant", "content": BRIDGE}
    dropped = sent_messages(
        "hi", response(call("a")), result("a"), response(thought(None)), "so", quirks=PERPLEXITY
    )
    assert [message["role"] for message in dropped[2:]] == ["tool", "assistant", "user"]


def test_a_turn_that_comes_out_empty_is_dropped() -> None:
    empty = response(thought(), text(" "), generic({"type": "odd"}))
    assert sent_messages("a", empty, "b") == [{"role": "user", "content": "a\n\nb"}]
    seen = Prompt(text="see", files=[IMAGE_AT])
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.webp"}}
    say_a, say_see = ({"type": "text", "text": said} for said in ("a", "see"))
    assert content("a", empty, seen) == [say_a, image, say_see]
    nothing = ChatResponse(model="m", provider=OPEN_AI)
    turns = [Turn("user", [TextPart("a")]), Turn("assistant", [nothing]), Turn("user", [])]
    assert len(build_turns(turns).body["messages"]) == 1


# --- what the assistant said


ENCRYPTED = [
    {"type": "reasoning.summary", "summary": "s", "format": "f", "index": 0},
    {"type": "reasoning.encrypted", "data": "e+/=\u2028", "id": "rs_1", "index": 0},
]


@pytest.mark.parametrize(
    ("item", "quirks", "fields"),
    [
        (thought(), Quirks(), {}),
        (thought(reasoning_field="reasoning_content"), DEEPSEEK, {"reasoning_content": "t"}),
        (thought(None), DEEPSEEK, {}),
        (thought(reasoning_field="reasoning"), OPENROUTER, {"reasoning": "t"}),
        (thought(reasoning_field="reasoning", reasoning_details=ENCRYPTED), OPENROUTER,
            {"reasoning_details": ENCRYPTED}),
        (thought(None, reasoning_details=ENCRYPTED), OPENROUTER, {"reasoning_details": ENCRYPTED}),
        (thought("t", "signed"), OPENROUTER, {}),
        (thought(reasoning_field="thinking"), MISTRAL, {"content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]},
            {"type": "text", "text": "so"}]}),
        (thought(None, "signed"), MISTRAL, {"content": [
            {"type": "thinking", "thinking": [], "signature": "signed"},
            {"type": "text", "text": "so"}]}),
        (thought(None), MISTRAL, {}),
        (thought(reasoning_field="reasoning"), LOCAL, {"reasoning": "t"}),
        (thought(reasoning_field="reasoning_content"), LOCAL, {"reasoning_content": "t"}),
        (thought(reasoning_field="reasoning_details", reasoning_details=ENCRYPTED), LOCAL,
            {"reasoning_details": ENCRYPTED}),
        (thought(), LOCAL, {}),
        (thought(reasoning_field="odd"), LOCAL, {}),
        (thought(), SERVERS["cerebras"], {"reasoning": "t"}),
        (thought(None), SERVERS["cerebras"], {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("calls", [False, True])
def test_reasoning_goes_back_in_the_form_it_is_wanted(
    item: ChatResponseReasoningContentItem, quirks: Quirks, fields: Dict, calls: bool
) -> None:
    quirks = msgspec.structs.replace(quirks, call_ids="any")
    items: list[ChatResponseContentItem] = [item, text("so"), *([call()] if calls else [])]
    answer = response(*items)
    before = deepcopy(answer)
    said = sent_messages("hi", answer.to_message_item(), *([result()] if calls else ["and?"]),
                         quirks=quirks)[1]  # fmt: skip
    tool_calls = said.pop("tool_calls", None)
    if quirks.reasoning_replay == "tool_turns" and not calls:
        fields = {}
    assert said == {"role": "assistant", "content": "so"} | fields
    assert bool(tool_calls) == calls
    assert answer == before
    restored = ChatResponse.from_dict(answer.model_dump())
    last: list[Any] = [result()] if calls else ["and?"]
    assert sent_messages("hi", restored, *last, quirks=quirks)[1].items() >= said.items()


def test_the_text_of_reasoning_is_one() -> None:
    empty = ChatResponseReasoningContentItem(
        message_contents=[ChatMessageContentPart(type="thinking")]
    )
    answer = response(thought("2+"), empty, thought("2"), text("4"), call())
    said = sent_messages("hi", answer, result(), quirks=DEEPSEEK)[1]
    assert said["reasoning_content"] == "2+2"
    mistral = sent_messages("hi", response(thought("2+2"), call()), result(), quirks=MISTRAL)[1]
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "2+2"}]}]
    assert mistral["content"] == parts


def test_reasoning_that_must_be_there_is_stood_for_by_a_space() -> None:
    fields: Dict = {"model": deepseek.DeepseekV4Pro, "quirks": DEEPSEEK}
    maker = AIModelProviderEnum.DEEPSEEK
    for answer in (
        response(call(), provider=OTHER),
        response(thought(None), call(), provider=maker),
    ):
        messages = ["hi", answer, result()]
        said = sent_messages(*messages, reasoning=True, **fields)[1]
        assert said["reasoning_content"] == UNKNOWN_REASONING
        assert "reasoning_content" not in sent_messages(*messages, **fields)[1]
    known = response(thought("t"), call(), provider=maker)
    for reasoning in (False, True):
        said = sent_messages("hi", known, result(), reasoning=reasoning, **fields)[1]
        assert said["reasoning_content"] == "t"
    spoken = response(text("so"), provider=OTHER)
    said = sent_messages("hi", spoken, "and?", reasoning=True, **fields)[1]
    assert said == {"role": "assistant", "content": "so"}


def test_to_another_maker_goes_only_what_it_can_read() -> None:
    answer = response(
        thought("t", "s", reasoning_field="reasoning", reasoning_details=ENCRYPTED),
        text("a"),
        call("fc:1", name="a.look", metadata={"type": "custom", "extra_content": {"google": 1}}),
        generic({"id": "audio_1"}),
        provider=OTHER,
    )
    for quirks in (Quirks(), OPENROUTER, MISTRAL, LOCAL):
        said = sent_messages("hi", answer, result("fc:1"), quirks=quirks)
        assert said[1] == {
            "role": "assistant",
            "content": "a",
            "tool_calls": [
                {
                    "id": said[2]["tool_call_id"],
                    "type": "function",
                    "function": {"name": "a_look", "arguments": '{"at":"it"}'},
                }
            ],
        }
    assert said[2]["tool_call_id"] == "fc_1"


def test_custom_models_are_told_apart_by_their_names() -> None:
    model = model_with(provider=CUSTOM)
    for name, own in (("like", True), ("other", False)):
        answer = response(thought(reasoning_field="reasoning"), text("a"), provider=CUSTOM,
                          model=name)  # fmt: skip
        said = sent_messages("hi", answer, "and?", model=model, quirks=LOCAL)[1]
        assert ("reasoning" in said) is own


def test_calls_go_back_as_they_came() -> None:
    signed = {"google": {"thought_signature": "s+/="}}
    answer = response(
        call("functions.look:0", arguments={"at": {"a": [1, None, "é"]}}),
        call("call_2", name="code", arguments={"input": "x = 1"}, metadata={"type": "custom"}),
        call("call_3", arguments={}, metadata={"extra_content": signed, "type": "function"}),
    )
    results = [result(i) for i in ("functions.look:0", "call_2", "call_3")]
    said = sent_messages("hi", answer, *results)
    assert said[1] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "functions.look:0",
                "type": "function",
                "function": {"name": "look", "arguments": '{"at":{"a":[1,null,"é"]}}'},
            },
            {"id": "call_2", "type": "custom", "custom": {"name": "code", "input": "x = 1"}},
            {
                "id": "call_3",
                "type": "function",
                "function": {"name": "look", "arguments": "{}"},
                "extra_content": signed,
            },
        ],
    }
    assert [message["tool_call_id"] for message in said[2:]] == [
        *("functions.look:0", "call_2", "call_3")
    ]


@pytest.mark.parametrize(
    ("fields", "body_of_call"),
    [
        ({"raw_arguments": '{"at": "i'}, {"arguments": '{"INVALID_JSON":"{\\"at\\": \\"i"}'}),
        ({"raw_arguments": None}, {"arguments": "{}"}),
        ({"raw_arguments": '{"input":"x', "metadata": {"type": "custom"}},
            {"input": '{"input":"x'}),
        ({"raw_arguments": None, "metadata": {"type": "custom"}}, {"input": ""}),
    ],
)  # fmt: skip
def test_arguments_that_do_not_parse(fields: Dict, body_of_call: Dict) -> None:
    broken = call(arguments={}, parse_error="cut", **fields)
    made = sent_messages("hi", response(broken), result())[1]["tool_calls"][0]
    assert made[made["type"]] == {"name": "look"} | body_of_call


@pytest.mark.parametrize(
    ("quirks", "ids"),
    [
        (Quirks(), ["a.b", "a.b_2", "x" * 60, "call", "call_2"]),
        (MISTRAL, [r"[0-9a-f]{9}"] * 5),
    ],
)
def test_ids_of_its_own(quirks: Quirks, ids: list[str]) -> None:
    given = ["a.b", "a.b", "x" * 60, None, None]
    said = sent_messages("hi", response(*map(call, given)), *map(result, given), quirks=quirks)
    made = [each["id"] for each in said[1]["tool_calls"]]
    assert all(re.fullmatch(*pair) for pair in zip(ids, made, strict=True))
    assert len(set(made)) == 5
    assert [message["tool_call_id"] for message in said[2:]] == made


def test_ids_of_others() -> None:
    given = ["a.b", "a_b", "x" * 60, "x" * 61]
    answer = response(*map(call, given), provider=OTHER)
    said = sent_messages("hi", answer, *map(result, reversed(given)))
    made = [each["id"] for each in said[1]["tool_calls"]]
    assert made == ["a_b", "a_b_2", "x" * 40, "x" * 38 + "_2"]
    assert [message["tool_call_id"] for message in said[2:]] == made[::-1]
    kept = sent_messages("hi", response(call("abcDEF123")), result("abcDEF123"), quirks=MISTRAL)
    assert kept[2]["tool_call_id"] == "abcDEF123"


def test_names_that_no_tool_has() -> None:
    for name, made in (("", "unknown"), ("a b" + "x" * 80, "a_b" + "x" * 61)):
        said = sent_messages("hi", response(call(name=name)), result())[1]
        assert said["tool_calls"][0]["function"]["name"] == made


def test_a_result_that_answers_no_call_is_refused() -> None:
    with pytest.raises(ConfigError, match="the ToolCallResult for 'x' answers no tool call"):
        build_turns([Turn("user", [result("x")])])


@pytest.mark.parametrize(
    ("empty", "said"),
    [
        ("null", {"role": "assistant", "content": None}),
        ("empty", {"role": "assistant", "content": ""}),
        ("absent", {"role": "assistant"}),
    ],
)
def test_a_message_that_only_calls(empty: Literal["null", "empty", "absent"], said: Dict) -> None:
    quirks = Quirks(empty_content=empty)
    wire = build(messages=["hi", response(call()), result()], quirks=quirks)
    made = accepted(wire)["messages"][1]
    assert {name: made[name] for name in made if name != "tool_calls"} == said


def test_refusals() -> None:
    answer = response(text("I think", "output_text"), text("n", "refusal"), text("o", "refusal"))
    said = sent_messages("hi", answer, "please")[1]
    assert said == {"role": "assistant", "content": "I think", "refusal": "no"}
    alone = accepted(build(messages=["hi", response(text("no", "refusal")), "please"]))
    assert alone["messages"][1] == {"role": "assistant", "content": None, "refusal": "no"}
    as_text = sent_messages("hi", answer, "please", quirks=LOCAL)[1]
    assert as_text == {"role": "assistant", "content": "I think\n\nno"}


def test_sound_goes_back_by_its_id() -> None:
    answer = response(generic({"id": "audio_1", "data": "AA=="}), generic({"type": "audio"}))
    wire = build(messages=["hi", answer, "and?"])
    assert accepted(wire)["messages"][1] == {
        "role": "assistant",
        "content": None,
        "audio": {"id": "audio_1"},
    }


def test_a_turn_of_the_assistants_is_one_message() -> None:
    first, second = response(text("a "), text("b"), call("x")), response(text("c"), call("y"))
    said = sent_messages("hi", first, second, assistant("d"), result("x"), result("y"))
    assert [message["role"] for message in said] == ["user", "assistant", "tool", "tool"]
    assert said[1]["content"] == "a b\n\nc\n\nd"
    assert [each["id"] for each in said[1]["tool_calls"]] == ["x", "y"]


def test_structured_output_goes_back_as_its_text() -> None:
    data = '{"at":1}'
    item = ChatResponseStructuredOutputContentItem(
        message_contents=[
            ChatMessageContentPart(type="output_text", text=data),
            ChatMessageContentPart(type="output_text"),
            ChatMessageContentPart(type="refusal"),
        ],
        structured_output=ChatResponseStructuredOutput.from_text(data, OUTPUT),
    )
    bare = ChatResponseTextContentItem()
    said = sent_messages("hi", response(item, bare), "so?")[1]
    assert said == {"role": "assistant", "content": data}


def test_only_the_first_choice_is_sent() -> None:
    answer = response(text("first"))
    answer.choices.append(ChatResponseChoice(index=1, contents=[text("second")]))
    assert content("hi", answer, "so?", at=1) == "first"
    answer.choices[0].contents = None
    assert len(sent_messages("hi", answer, "so?")) == 1


@pytest.mark.parametrize(
    ("quirks", "more"),
    [(Quirks(), {}), (MISTRAL, {"prefix": True})],
)
def test_the_assistants_text_in_the_last_place(quirks: Quirks, more: Dict) -> None:
    said = sent_messages("hi", assistant("It is"), quirks=quirks)
    assert said[-1] == {"role": "assistant", "content": "It is"} | more


# --- the whole, once


def test_all_at_once_is_what_the_official_sdk_would_send() -> None:
    wire = build(
        model=REASONER,
        quirks=Quirks(web_search="options"),
        instructions=["Be brief."],
        messages=[
            Prompt(text="see", files=[StoredFile.from_bytes(PNG, "a.png"), PDF]),
            response(thought(), text("I"), call()),
            result(is_error=True),
            "and?",
        ],
        streaming=True,
        reasoning=True,
        reasoning_effort="high",
        max_output_tokens=4000,
        tools=[tool(strict=True)],
        hosted_tools=[WebSearchHostedTool(search_context_size="low")],
        tool_choice=ToolChoice(parallel=False),
        structured_output=Answer,
        metadata={"user_id": "u1"},
        options={"stop": ["END"], "service_tier": "auto", "seed": 3},
    )
    sent = accepted(wire)
    assert list(sent) == [
        *("model", "messages", "max_completion_tokens", "stream", "stream_options", "tools"),
        *("tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort"),
        *("web_search_options", "seed", "safety_identifier", "service_tier"),
    ]
    assert noted(wire) == ["stop"]
    assert "sk-0123" not in repr(wire)


@dataclass
class Sent:
    """A body that the server refuses."""

    change: Dict
    why: str
    quirks: Quirks = field(default_factory=Quirks)


@pytest.mark.parametrize(
    "wrong",
    [
        Sent({"max_completion_tokens": 0}, "max_completion_tokens of"),
        Sent({"max_tokens": 5}, "unknown max_tokens"),
        Sent({"top_k": 5}, "unknown top_k"),
        Sent({"stream_options": {}}, "stream_options"),
        Sent({"stop": list("abcde")}, "stop"),
        Sent({"reasoning_effort": "odd"}, "effort odd"),
        Sent({"reasoning_effort": "low", "top_p": 1}, "sampling"),
        Sent({"reasoning": {}}, "unknown reasoning"),
        Sent({"tool_choice": "required"}, "tool_choice without tools"),
        Sent({"temperature": 3}, "temperature"),
        Sent({"top_logprobs": 3}, "top_logprobs without"),
        Sent({"messages": [{"role": "assistant", "content": ""}]}, "0: content or"),
        Sent({"messages": [{"role": "tool", "tool_call_id": "x"}]}, "0: answers no call"),
        Sent({"messages": [{"role": "assistant", "tool_calls": [
            {"id": "a b", "function": {"name": "x", "arguments": "{}"}}]}]}, "0: id a b"),
        Sent({"response_format": {"type": "json_object"}}, "'messages' must contain"),
        Sent({"response_format": {"type": "json_schema", "json_schema": {
            "name": "x", "strict": True, "schema": {"type": "object"}}}}, "additionalProp"),
        Sent({"thinking": {"type": "enabled"}, "tool_choice": "required", "tools": []},
            "thinking mode", DEEPSEEK),
        Sent({"messages": [{"role": "assistant", "content": "x"}]}, "the user must begin", MISTRAL),
    ],
)  # fmt: skip
def test_the_rules_of_this_test_bite(wrong: Sent) -> None:
    good = body(model=REASONER, quirks=wrong.quirks)
    good.pop("reasoning_effort", None)
    good.pop("max_tokens", None)
    assert refusals(good, REASONER, wrong.quirks) == []
    why = refusals(good | wrong.change, REASONER, wrong.quirks)
    assert any(each.startswith(wrong.why) for each in why), why


# --- recordings


@needs_corpus
def test_recorded_answers_go_back_to_where_they_came_from() -> None:
    recordings = [r for r in streams("openai-chat", core_only=True) if r.status == 200]
    assert len(recordings) > 100
    for recording in recordings:
        quirks = SERVERS.get(recording.meta["server"].partition(".")[0], LOCAL)
        answer = decoded(recording)
        calls = answer.tools() if answer is not None else []
        if answer is None or not (answer.text() or calls):
            continue
        results: list[Any] = [result(each.call_id) for each in calls]
        wire = build(
            messages=["hi", answer, *(results or ["and?"])],
            model=FROM_THERE,
            quirks=msgspec.structs.replace(quirks, call_ids="any", strict_turns=False),
        )
        check_replay(wire.body["messages"][1], answer, quirks)
        if quirks in (Quirks(), LOCAL) and not answer.reasoning():
            accepted(wire)


FROM_THERE = model_with(provider=AIModelProviderEnum.META)


def decoded(recording: Recording) -> ChatResponse | None:
    """The answer as it is consolidated; ``None`` of one that failed."""
    facts = AnswerFacts(model="like", provider=AIModelProviderEnum.META)
    reader, decoder = SSEDecoder(), OpenAIChatDecoder()
    accumulator = Accumulator(facts)
    try:
        for event in (*reader.feed(recording.body), *reader.flush()):
            accumulator.add(decoder.decode(event))
        accumulator.add(() if decoder.complete else decoder.end())
    except (ProviderError, ProtocolError):
        return None
    return accumulator.response(complete=True, streaming=True)


def check_replay(said: Dict, answer: ChatResponse, quirks: Quirks) -> None:
    """See that a message says what the answer says."""
    content = said.get("content") or ""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part["type"] == "text")
    spoken = [answer.text() or "", said.get("refusal") or answer.refusal() or ""]
    assert content.split() == " ".join(spoken if "refusal" not in said else spoken[:1]).split()
    calls = said.get("tool_calls", ())
    assert [each["id"] for each in calls] == [each.call_id for each in answer.tools()]
    for each, call in zip(calls, answer.tools(), strict=True):
        assert each["function"]["name"] == call.name
        if call.parse_error is None:
            assert msgspec.json.decode(each["function"]["arguments"]) == call.arguments
    items = [item for item in answer.choices[0].contents or [] if item.type == "reasoning"]
    details = [d for item in items for d in item.metadata.get("reasoning_details", ())]
    if quirks == OPENROUTER and items:
        assert said["reasoning_details" if details else "reasoning"] == (
            details or answer.reasoning()
        )
    if quirks == DEEPSEEK and items and calls:
        assert said["reasoning_content"] == answer.reasoning()
