"""Requests to the Messages API.

``refusals`` says, from the API's rules alone, what the API would say to a body; no choice of model
and config may lead to one that it refuses.
"""

import base64
import itertools
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pytest
from dialects.missing import LACKS_REASONING, asks_for_reasoning
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sdk_types import accepted_by_anthropic as accepted

from dhenara_stream.core.conversation import TextPart, Turn, conversation
from dhenara_stream.dialects.anthropic.request import STRUCTURED_OUTPUT_TOOL, build_request
from dhenara_stream.dialects.base import ChatRequest, WireRequest
from dhenara_stream.dialects.schema import compiles, strict_schema
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
    FinishReason,
)
from dhenara_stream.types.genai.foundation_models.anthropic import chat
from dhenara_stream.types.shared.file import StoredFile

Dict = dict[str, Any]
ANTHROPIC = AIModelProviderEnum.ANTHROPIC
MODELS = {model.model_name: model for model in chat.CHAT_MODELS}
BUDGET, EFFORT, ALWAYS, PLAIN = (
    chat.ClaudeSonnet45,  # a token budget
    chat.ClaudeOpus46,  # an effort
    chat.ClaudeFable5,  # thinks whatever one says
    chat.Claude35Haiku,  # does not think
)


# --- making calls


def build(
    config: AIModelCallConfig | None = None,
    *,
    model: BaseAIModel = BUDGET,
    messages: Any = ("hi",),
    instructions: Any = None,
    **fields: Any,
) -> WireRequest:
    """The request for a conversation, with a config or the fields of one."""
    system, turns = conversation(
        prompt=None, context=None, instructions=instructions, messages=list(messages)
    )
    return build_turns(turns, config or AIModelCallConfig(**fields), model, system)


API = AIModelAPI(provider=AIModelAPIProviderEnum.ANTHROPIC, api_key="sk-ant-0123456789")


def build_turns(
    turns: list[Turn],
    config: AIModelCallConfig | None = None,
    model: BaseAIModel = BUDGET,
    system: list[SystemInstruction] | None = None,
) -> WireRequest:
    endpoint = AIModelEndpoint(api=API, ai_model=model)
    call = ChatRequest(
        endpoint=endpoint, config=config or AIModelCallConfig(), system=system or [], turns=turns
    )
    return build_request(call)


def body(**arguments: Any) -> Dict:
    return dict(build(**arguments).body)


def model_with(base: BaseAIModel = BUDGET, **fields: Any) -> FoundationModel:
    """A model like ``base`` with other settings."""
    changed = msgspec.structs.asdict(base.get_settings()) | fields
    return FoundationModel(
        provider=ANTHROPIC, model_name="like", settings=ChatModelSettings(**changed)
    )


def response(
    *items: ChatResponseContentItem,
    provider: AIModelProviderEnum = ANTHROPIC,
    finish: FinishReason = FinishReason.STOP,
) -> ChatResponse:
    choice = ChatResponseChoice(index=0, finish_reason=finish, contents=list(items))
    return ChatResponse(model="m", provider=provider, choices=[choice])


def text(content: str, *citations: Dict, kind: str = "output_text") -> ChatResponseTextContentItem:
    part = ChatMessageContentPart(type=kind, text=content, annotations=list(citations) or None)
    return ChatResponseTextContentItem(message_contents=[part])


def thinking(content: str | None, signature: str | None) -> ChatResponseReasoningContentItem:
    part = ChatMessageContentPart(type="thinking", text=content)
    parts = None if content is None else [part]
    return ChatResponseReasoningContentItem(message_contents=parts, thinking_signature=signature)


def redacted(data: str) -> ChatResponseReasoningContentItem:
    return ChatResponseReasoningContentItem(metadata={"redacted_thinking_data": data})


def call(call_id: str | None = "toolu_1", **fields: Any) -> ChatResponseToolCallContentItem:
    given = {"name": "look", "arguments": {"at": "it"}} | fields
    return ChatResponseToolCallContentItem(tool_call=ChatResponseToolCall(call_id=call_id, **given))


def generic(block: Dict) -> ChatResponseGenericContentItem:
    return ChatResponseGenericContentItem(block_type=str(block.get("type", "")), block=block)


def result(call_id: str | None = "toolu_1", output: Any = "seen", **fields: Any) -> ToolCallResult:
    return ToolCallResult(call_id=call_id, output=output, **fields)


def assistant(content: str) -> Prompt:
    return Prompt(role=PromptMessageRoleEnum.ASSISTANT, text=content)


def tool(name: str = "look", schema: Dict | None = None, **fields: Any) -> ToolDefinition:
    given = schema or {"type": "object", "properties": {"at": {"type": "string"}}}
    definition = FunctionDefinition(
        name=name,
        description="Looks.",
        parameters=FunctionParameters(properties={}, json_schema=given),
    )
    return ToolDefinition(function=definition, **fields)


SEARCHING: Dict = {
    "type": "server_tool_use",
    "id": "srvtoolu_1",
    "name": "web_search",
    "input": {"query": "x"},
}
FOUND: Dict = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {
            "type": "web_search_result",
            "url": "https://example.com",
            "title": "t",
            "encrypted_content": "e+/=",
            "page_age": None,
        }
    ],
}
CITATION: Dict = {
    "type": "web_search_result_location",
    "url": "https://example.com",
    "title": None,
    "encrypted_index": "i+/=",
    "cited_text": "c",
}
FORCED = (ToolChoice(type="one_or_more"), ToolChoice(type="specific", specific_tool_name="look"))
SCHEMA: Dict = {
    "type": "object",
    "properties": {
        "at": {"type": "integer", "minimum": 1, "description": "where"},
        "near": {"anyOf": [{"$ref": "#/$defs/Near"}, {"type": "null"}], "default": None},
    },
    "required": ["at"],
    "$defs": {"Near": {"type": "object", "properties": {"by": {"type": "string"}}}},
}
RECURSIVE: Dict = {
    "type": "object",
    "properties": {"next": {"$ref": "#/$defs/Node"}},
    "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
}
OUTPUT = StructuredOutputConfig(output_schema=SCHEMA)

HISTORIES: dict[str, list[Any]] = {
    "a question": ["hi"],
    "a chat": ["hi", response(thinking("t", "s"), text("so")), "and?"],
    "a chat of another's": ["hi", assistant("so"), "and?"],
    "tools, with thinking": ["hi", response(thinking("t", "s"), call()), result()],
    "tools, with hidden thinking": ["hi", response(redacted("r"), text("a"), call()), result()],
    "tools, without thinking": ["hi", response(text("let me see"), call()), result(), "look well"],
    "tools, twice": [
        *("hi", response(thinking("t", "s"), call("a"))),
        *(result("a"), response(call("b")), result("b")),
    ],
    "tools, of another maker": [
        "hi",
        response(thinking("t", "s"), call("call:1"), provider=AIModelProviderEnum.OPEN_AI),
        result("call:1"),
    ],
    "tools, done": ["hi", response(call()), result(), response(text("so")), "and?"],
    "a pause": [
        "hi",
        response(thinking("t", "s"), text("a "), generic(SEARCHING), finish=FinishReason.PAUSE),
    ],
    "a pause after text": ["hi", response(text("a "), finish=FinishReason.PAUSE)],
    "a hosted search": ["hi", response(generic(SEARCHING), generic(FOUND), text("so")), "and?"],
    "an interrupted search": ["hi", response(text("a"), generic(SEARCHING)), "and?"],
    "interrupted thinking": ["hi", response(thinking("t", None)), "and?"],
    "thinking only": ["hi", response(text("a"), thinking("t", "s"), redacted("r")), "and?"],
    "prefill": ["hi", assistant("It is ")],
    "prefill with thinking": ["hi", response(thinking("t", "s"), text("It is\n"))],
}


# --- what the API would say


def refusals(sent: Mapping[str, Any], model: BaseAIModel) -> list[str]:
    """Why the API would refuse the body; empty if it takes it."""
    what = model.get_settings()
    return [
        *(f"needs {name}" for name in ("model", "max_tokens", "messages") if name not in sent),
        *(f"no {name}" for name in what.unsupported_parameters if name in sent),
        *(f"one of {g}" for g in what.exclusive_parameters if len(sent.keys() & set(g)) > 1),
        *_against_thinking(sent, what),
        *_against_tools(sent),
        *_against_messages(sent["messages"], sent.get("thinking") or {}, what),
        *_against_output(sent, what),
        *_against_marks(sent),
    ]


def _against_thinking(sent: Mapping[str, Any], what: ChatModelSettings) -> Iterator[str]:
    mode = sent.get("thinking", {"type": "none"})
    kind, max_tokens = mode["type"], sent["max_tokens"]
    on = kind in ("enabled", "adaptive")
    cap = (what.max_output_tokens_reasoning_mode if on else None) or what.max_output_tokens
    if not 1 <= max_tokens <= cap:
        yield f"max_tokens {max_tokens} of {cap}"
    control = {"enabled": "token_budget", "adaptive": "effort", "disabled": "effort"}
    if kind != "none" and (not what.supports_reasoning or what.reasoning_control != control[kind]):
        yield f"thinking {kind} is not supported"
    if kind == "enabled" and not 1024 <= mode["budget_tokens"] < max_tokens:
        yield f"budget {mode['budget_tokens']} of {max_tokens}"
    if kind == "enabled" and max_tokens - mode["budget_tokens"] < max_tokens // 4:
        yield "no room for the answer"
    if kind == "enabled" and sent.get("tool_choice", {}).get("type") in ("any", "tool"):
        yield "thinking and a forced tool choice"
    if on and sent.get("temperature", 1) != 1:
        yield "temperature and thinking"
    if on and ("top_k" in sent or sent.get("top_p", 1) < 0.95):
        yield "top_k or top_p and thinking"
    if not 0 <= sent.get("temperature", 0) <= 1:
        yield "temperature"


def _against_tools(sent: Mapping[str, Any]) -> Iterator[str]:
    names = [tool["name"] for tool in sent.get("tools", [])]
    if len(names) != len(set(names)):
        yield f"tools: names {names}"
    choice = sent.get("tool_choice")
    if choice is not None and not names:
        yield "tool_choice without tools"
    if choice is not None and choice["type"] == "tool" and choice["name"] not in names:
        yield f"tool_choice {choice}"
    if not all(re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", name) for name in names):
        yield "tools: a name"
    if not all(map(str.strip, sent.get("stop_sequences", ["x"]))):
        yield "stop_sequences: white space"


def _against_messages(messages: list[Dict], mode: Dict, what: ChatModelSettings) -> Iterator[str]:
    for i, message in enumerate(messages):
        if message["role"] != ("user", "assistant")[i % 2]:
            yield f"{i}: role"
        if not message["content"]:
            yield f"{i}: empty"
        following = messages[i + 1]["content"] if i + 1 < len(messages) else None
        yield from (f"{i}: {why}" for why in _against_content(message, following))
    calls = [b["id"] for m in messages for b in m["content"] if b["type"] == "tool_use"]
    if len(calls) != len(set(calls)):
        yield "tool_use ids must be unique"
    if messages[-1]["role"] == "assistant":
        yield from _against_ending(messages[-1]["content"], mode, what)
    if mode.get("type") == "enabled" and not _begins_with_thinking(messages):
        yield "expected thinking, but found something else"


def _against_content(message: Dict, following: list[Dict] | None) -> Iterator[str]:
    content = message["content"]
    kinds = [block["type"] for block in content]
    for block in content:
        if block["type"] == "text" and not block["text"].strip():
            yield "text must not be blank"
        if block["type"] == "tool_result" and block.get("is_error") and not block.get("content"):
            yield "content cannot be empty if is_error is true"
        if block["type"] == "tool_use" and not isinstance(block["input"], dict):
            yield "input"
    if message["role"] == "user":
        results = kinds.count("tool_result")
        if kinds[:results] != ["tool_result"] * results:
            yield "results must come first"
        return
    if kinds[-1] in ("thinking", "redacted_thinking"):
        yield "the final block cannot be thinking"
    if set(kinds) & {"tool_result", "image", "document"}:
        yield "not in an assistant's message"
    calls = [block["id"] for block in content if block["type"] == "tool_use"]
    if not all(re.fullmatch(r"[a-zA-Z0-9_-]+", i) for i in calls):
        yield f"ids {calls}"
    answered = [b["tool_use_id"] for b in following or [] if b["type"] == "tool_result"]
    if sorted(calls) != sorted(answered):
        yield f"calls {calls}, results {answered}"
    hosted = {b["id"] for b in content if b["type"] == "server_tool_use"}
    open_hosted = hosted - {b.get("tool_use_id") for b in content}
    if open_hosted and following is not None and not calls:
        yield f"no result for {open_hosted}"


def _against_ending(content: list[Dict], mode: Dict, what: ChatModelSettings) -> Iterator[str]:
    kinds = [block["type"] for block in content]
    always = not {"thinking", "thinking.disabled"}.isdisjoint(what.unsupported_parameters)
    off = mode.get("type", "disabled") == "disabled" and not always
    if off and {"thinking", "redacted_thinking"} & set(kinds):
        yield "thinking is disabled, the last message cannot contain it"
    if kinds[-1] == "text" and content[-1]["text"] != content[-1]["text"].rstrip():
        yield "cannot end with white space"


def _begins_with_thinking(messages: list[Dict]) -> bool:
    """Whether the assistant's turn under way does; without one, there is nothing to ask."""
    first = None
    for message in reversed(messages):
        if message["role"] == "assistant":
            first = message["content"][0]["type"]
        elif message["content"][0]["type"] != "tool_result":
            break
    return first in (None, "thinking", "redacted_thinking")


def _against_output(sent: Mapping[str, Any], what: ChatModelSettings) -> Iterator[str]:
    config = sent.get("output_config", {})
    known = what.supported_reasoning_efforts or ("low", "medium", "high")
    if "effort" in config and config["effort"] not in known:
        yield f"effort {config['effort']}"
    if "effort" in config and not (
        what.supported_reasoning_efforts or what.reasoning_control == "effort"
    ):
        yield "effort is not supported"
    if "format" in config:
        if what.structured_output != "native":
            yield "output_config.format is not supported"
        last = sent["messages"][-1]
        if last["role"] == "assistant" and last["content"][-1]["type"] == "text":
            yield "output_config.format and prefill"
        yield from _against_schema(config["format"]["schema"])
    for each in sent.get("tools", []):
        if each.get("strict"):
            yield from _against_schema(each["input_schema"])


UNSUPPORTED = {
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength"),
    *("maxLength", "maxItems", "uniqueItems", "prefixItems", "oneOf", "patternProperties"),
}


def _against_schema(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for part in schema:
            yield from _against_schema(part)
    elif isinstance(schema, dict):
        closed = schema.get("additionalProperties") is False
        if schema.get("type") == "object" and not closed:
            yield "additionalProperties must be false"
        yield from UNSUPPORTED & schema.keys()
        for name, part in schema.items():
            if name in ("properties", "$defs", "definitions"):
                yield from _against_schema(list(part.values()))
            elif name in ("items", "anyOf", "allOf"):
                yield from _against_schema(part)


def _against_marks(sent: Mapping[str, Any]) -> Iterator[str]:
    system = sent.get("system", "")
    blocks = [
        *sent.get("tools", []),
        *(system if isinstance(system, list) else []),
        *(block for message in sent["messages"] for block in message["content"]),
        sent,
    ]
    ttls = [b["cache_control"].get("ttl", "5m") for b in blocks if "cache_control" in b]
    if len(ttls) > 4:
        yield f"{len(ttls)} blocks with cache_control"
    if ttls != sorted(ttls):  # "1h" < "5m"
        yield "1h after 5m"


# --- every model, every config


def test_a_plain_call() -> None:
    wire = build(messages=["hi"], model=PLAIN)
    assert wire == WireRequest(
        path="/v1/messages",
        headers={
            "anthropic-version": "2023-06-01",
            "content-type": "application/json",
            "accept": "application/json",
        },
        body={
            "model": "claude-3-5-haiku-latest",
            "max_tokens": 8192,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        },
        adjustments=[],
    )
    streamed = build(messages=["hi"], model=PLAIN, streaming=True)
    assert streamed.body == {**wire.body, "stream": True}
    assert streamed.headers == {**wire.headers, "accept": "text/event-stream"}


LIMITS = (None, 1, 500, 1024, 1025, 2048, 100_000)
REASONING: tuple[Dict, ...] = (
    {},
    {"reasoning": True},
    {"reasoning": True, "max_reasoning_tokens": 100},
    {"reasoning": True, "max_reasoning_tokens": 100_000, "reasoning_effort": "minimal"},
    {"reasoning": True, "reasoning_effort": "max"},
    {"reasoning_effort": "xhigh"},
)
TOOLS: tuple[Dict, ...] = (
    {},
    {"tools": [tool()]},
    {"tools": [tool()], "tool_choice": FORCED[0]},
    {"tools": [tool()], "tool_choice": FORCED[1]},
    {"hosted_tools": [WebSearchHostedTool()], "tool_choice": ToolChoice(type=None)},
    {"tool_choice": FORCED[0], "structured_output": OUTPUT},
    {"tools": [tool(strict=True)], "structured_output": OUTPUT},
    {"tools": [tool()], "structured_output": StructuredOutputConfig(output_schema=RECURSIVE)},
)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("name", MODELS)
def test_no_model_and_config_lead_to_a_refusal(name: str, history: str) -> None:
    model = MODELS[name]
    limits = LIMITS if history in ("a question", "tools, with thinking") else (None, 2048)
    _, turns = conversation(
        prompt=None, context=None, instructions=None, messages=HISTORIES[history]
    )
    refused: list[str] = []
    for limit, reasoning, tools in itertools.product(limits, REASONING, TOOLS):
        config = AIModelCallConfig(max_output_tokens=limit, **reasoning, **tools)
        try:
            sent = build_turns(turns, config, model).body
        except ConfigError as error:
            refused.append(error.message)
        else:
            assert refusals(sent, model) == [], (config, sent)
    lacking = () if model.get_settings().supports_reasoning else LACKS_REASONING
    refused = [message for message in refused if not message.startswith(lacking)]
    reasons = ("structured_output: cannot be had", "messages: ")
    assert all(message.startswith(reasons) for message in refused)
    assert not refused or history.startswith(("prefill", "a pause after text"))


SAMPLING = [
    dict(zip(("temperature", "top_p", "top_k"), values, strict=True))
    for values in itertools.product((None, 0, 1), (None, 0.5, 0.97), (None, 5))
]


@pytest.mark.parametrize("name", MODELS)
def test_no_model_and_options_lead_to_a_refusal(name: str) -> None:
    model = MODELS[name]
    can_reason = model.get_settings().supports_reasoning
    for options, reasoning in itertools.product(SAMPLING, {False, can_reason}):
        sent = body(model=model, reasoning=reasoning, options=options)
        assert refusals(sent, model) == [], sent
        given = {key for key, value in options.items() if value is not None}
        assert sent.keys() & options.keys() <= given


TEXTS = st.text("ab \n", max_size=4)
IDS = st.sampled_from(["a", "a.b", "a_b", None])
ITEMS = st.one_of(
    TEXTS.map(text),
    st.builds(thinking, st.none() | TEXTS, st.none() | st.just("s")),
    st.just(redacted("r")),
    st.just(generic(SEARCHING)),
    st.just(generic(FOUND)),
)
CALLS = st.lists(IDS, max_size=3)
MAKERS = st.sampled_from([ANTHROPIC, AIModelProviderEnum.GOOGLE_AI])


@st.composite
def histories(draw: st.DrawFn) -> list[Any]:
    """Conversations whose calls are answered."""
    said: list[Any] = ["hi"]
    for items, calls in draw(st.lists(st.tuples(st.lists(ITEMS, max_size=4), CALLS), max_size=3)):
        said.append(response(*items, *map(call, calls), provider=draw(MAKERS)))
        said += [result(i, draw(TEXTS), is_error=draw(st.booleans())) for i in calls]
        said += draw(st.lists(st.just("and?"), min_size=0 if calls else 1, max_size=1))
    return said


MARKS = st.none() | st.sampled_from(["5m", "1h"])


@settings(max_examples=200)
@given(
    said=histories(),
    model=st.sampled_from(chat.CHAT_MODELS),
    limit=st.sampled_from(LIMITS),
    reasoning=st.sampled_from(REASONING),
    tools=st.sampled_from(TOOLS),
    sampling=st.sampled_from(SAMPLING),
    marks=st.lists(MARKS, max_size=4),
    streaming=st.booleans(),
)
def test_any_conversation_and_config_is_taken(
    said: list[Any],
    model: FoundationModel,
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
    assume(model.get_settings().supports_reasoning or not asks_for_reasoning(config))
    wire = build(config, model=model, messages=prompts + said, instructions=instructions)
    assert refusals(wire.body, model) == []
    accepted(wire)
    assert said == before


# --- thinking


@pytest.mark.parametrize(
    ("limit", "wanted", "budget", "notes"),
    [
        (None, None, 32_000, 0),
        (100_000, 5000, 5000, 1),
        (4096, None, 3072, 0),
        (4096, 4000, 3072, 1),
        (1366, None, 1025, 0),
        (1365, None, 1024, 0),
        (1364, None, None, 1),
        (1, None, None, 1),
        (None, 100, 1024, 1),
    ],
)
def test_the_budget_leaves_room_for_the_answer(
    limit: int | None, wanted: int | None, budget: int | None, notes: int
) -> None:
    wire = build(reasoning=True, max_output_tokens=limit, max_reasoning_tokens=wanted)
    expected = {"type": "enabled", "budget_tokens": budget} if budget else None
    assert wire.body.get("thinking") == expected
    assert wire.body["max_tokens"] == min(limit or 64_000, 64_000)
    assert len(wire.adjustments) == notes


def test_a_budget_without_a_limit_of_its_own_takes_what_the_answer_leaves() -> None:
    model = model_with(max_reasoning_tokens=None, reasoning_control="token_budget")
    assert body(model=model, reasoning=True, max_output_tokens=8000)["thinking"] == {
        "type": "enabled",
        "budget_tokens": 6000,
    }


UNASKED = model_with(EFFORT, unsupported_parameters=["thinking"])


@pytest.mark.parametrize(
    ("model", "reasoning", "expected"),
    [
        (EFFORT, True, {"type": "adaptive", "display": "summarized"}),
        (EFFORT, False, {"type": "disabled"}),
        (BUDGET, False, None),
        (ALWAYS, True, {"type": "adaptive", "display": "summarized"}),
        (ALWAYS, False, None),
        (UNASKED, True, None),
        (UNASKED, False, None),
        (PLAIN, False, None),
        (model_with(reasoning_control="none"), True, None),
        (model_with(EFFORT, unsupported_parameters=["thinking.disabled"]), False, None),
    ],
)
def test_thinking_is_asked_for_as_the_model_takes_it(
    model: BaseAIModel, reasoning: bool, expected: Dict | None
) -> None:
    wire = build(model=model, reasoning=reasoning)
    assert wire.body.get("thinking") == expected
    noted = [note for note in wire.adjustments if note.startswith("thinking: ")]
    assert len(noted) == (model is UNASKED and reasoning)


@pytest.mark.parametrize(
    ("model", "wanted", "sent"),
    [
        (EFFORT, "minimal", "low"),
        (EFFORT, "medium", "medium"),
        (EFFORT, "xhigh", "high"),
        (EFFORT, "max", "max"),
        (ALWAYS, "xhigh", "xhigh"),
        (chat.ClaudeOpus45, "max", "high"),
        (BUDGET, "high", None),
        (model_with(EFFORT, supported_reasoning_efforts=None), "low", "low"),
        (model_with(EFFORT, supported_reasoning_efforts=None), "max", "high"),
        (model_with(EFFORT, supported_reasoning_efforts=["high", "max"]), "low", "high"),
        (model_with(EFFORT, supported_reasoning_efforts=["own"]), "low", None),
        (model_with(EFFORT, supported_reasoning_efforts=[]), "low", None),
    ],
)
@pytest.mark.parametrize("reasoning", [False, True])
def test_the_effort_is_the_nearest_that_the_model_has(
    model: BaseAIModel, wanted: str, sent: str | None, reasoning: bool
) -> None:
    config = AIModelCallConfig(reasoning=reasoning, reasoning_effort=wanted)  # type: ignore[arg-type]
    wire = build(config, model=model)
    assert wire.body.get("output_config") == ({"effort": sent} if sent else None)
    noted = [note for note in wire.adjustments if note.startswith("reasoning_effort: ")]
    assert len(noted) == (wanted != sent)


def test_a_budget_and_an_effort_go_together() -> None:
    sent = body(model=chat.ClaudeOpus45, reasoning=True, reasoning_effort="low")
    assert sent["thinking"]["type"] == "enabled"
    assert sent["output_config"] == {"effort": "low"}


@pytest.mark.parametrize(
    ("history", "fields", "why"),
    [
        ("a question", {"tools": [tool()], "tool_choice": FORCED[0]}, "forced tool choice"),
        ("a question", {"tools": [tool()], "tool_choice": FORCED[1]}, "forced tool choice"),
        ("tools, without thinking", {}, "began without it"),
        ("tools, of another maker", {}, "began without it"),
        ("a pause after text", {}, "go on with the assistant's text"),
        ("prefill", {}, "go on with the assistant's text"),
        ("tools, with thinking", {}, None),
        ("tools, with hidden thinking", {}, None),
        ("tools, twice", {}, None),
        ("tools, done", {}, None),
        ("a pause", {}, None),
        ("a chat of another's", {}, None),
    ],
)
def test_where_a_budget_cannot_be_it_is_left_out(
    history: str, fields: Dict, why: str | None
) -> None:
    wire = build(reasoning=True, messages=HISTORIES[history], **fields)
    assert ("thinking" in wire.body) == (why is None)
    assert [why in note for note in wire.adjustments if why] == ([True] if why else [])
    if "tool_choice" in fields:
        assert wire.body["tool_choice"]["type"] in ("any", "tool")


def test_without_thinking_the_cap_is_the_one_without_thinking() -> None:
    model = chat.ClaudeSonnet40
    fields: Dict = {"model": model, "reasoning": True, "tools": [tool()]}
    assert body(**fields)["max_tokens"] == 64_000
    assert body(**fields, tool_choice=FORCED[0])["max_tokens"] == 8192


def test_effort_goes_with_a_forced_choice_and_with_tools_called_without_thinking() -> None:
    sent = body(
        model=EFFORT,
        reasoning=True,
        tools=[tool()],
        tool_choice=FORCED[0],
        messages=HISTORIES["tools, without thinking"],
    )
    assert (sent["thinking"]["type"], sent["tool_choice"]["type"]) == ("adaptive", "any")


def test_thinking_stands_in_the_last_turn_only_if_the_model_thinks_now() -> None:
    messages = HISTORIES["a pause"]
    kinds = {
        (model.model_name, reasoning): [
            block["type"]
            for block in body(model=model, messages=messages, reasoning=reasoning)["messages"][-1][
                "content"
            ]
        ]
        for model in (BUDGET, EFFORT, ALWAYS, PLAIN)
        for reasoning in {False, model.get_settings().supports_reasoning}
    }
    without = ["text", "server_tool_use"]
    assert {key for key, found in kinds.items() if found != without} == {
        (BUDGET.model_name, True),
        (EFFORT.model_name, True),
        (ALWAYS.model_name, True),
        (ALWAYS.model_name, False),
    }


@pytest.mark.parametrize(
    ("model", "given", "sent"),
    [
        (BUDGET, {"type": "enabled", "budget_tokens": 63_000}, ...),
        (EFFORT, {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}, ...),
        (EFFORT, {"type": "adaptive"}, ...),
        (BUDGET, {"type": "disabled"}, ...),
        (PLAIN, {"type": "adaptive"}, ...),
        (ALWAYS, {"type": "disabled"}, None),
        (model_with(EFFORT, unsupported_parameters=["thinking.enabled"]), {"type": "enabled",
            "budget_tokens": 2000}, None),
    ],
)  # fmt: skip
def test_thinking_given_in_options_wins(model: BaseAIModel, given: Dict, sent: Any) -> None:
    wire = build(model=model, reasoning=False, options={"thinking": given})
    assert wire.body.get("thinking") == (given if sent is ... else sent)
    assert len(wire.adjustments) == (sent is None)


def test_thinking_given_in_options_bows_to_the_api() -> None:
    options = {"thinking": {"type": "enabled", "budget_tokens": 2000}, "temperature": 0.5}
    wire = build(options=options, tools=[tool()], tool_choice=FORCED[0])
    assert "thinking" not in wire.body
    assert wire.body["temperature"] == 0.5
    assert build(options=options).body.keys() >= {"thinking"}
    assert "temperature" not in build(options=options).body
    refusing = model_with(EFFORT, unsupported_parameters=["thinking.disabled"])
    prefilled = build(model=refusing, reasoning=True, messages=HISTORIES["prefill"])
    assert "thinking" not in prefilled.body


def test_interleaved_thinking_may_have_a_budget_above_max_tokens() -> None:
    options = {"thinking": {"type": "enabled", "budget_tokens": 9000}, "betas": ["interleaved"]}
    sent = body(options=options, max_output_tokens=5000)
    assert sent["thinking"]["budget_tokens"] == 9000


# --- sampling and other options


@pytest.mark.parametrize(
    ("model", "reasoning", "options", "sent"),
    [
        (PLAIN, False, {"temperature": 0.5, "top_p": 0.5, "top_k": 5}, ...),
        (BUDGET, False, {"temperature": 0.5, "top_p": 0.5, "top_k": 5}, {"temperature", "top_k"}),
        (BUDGET, False, {"top_p": 0.5}, ...),
        (BUDGET, True, {"temperature": 0.5, "top_p": 0.97, "top_k": 5}, {"top_p"}),
        (BUDGET, True, {"temperature": 1, "top_p": 0.97}, {"temperature"}),
        (BUDGET, True, {"top_p": 0.9}, set()),
        (EFFORT, True, {"temperature": 0.5}, set()),
        (EFFORT, False, {"temperature": 0.5}, ...),
        (chat.ClaudeOpus48, False, {"temperature": 1, "top_p": 1, "top_k": 5}, set()),
        (BUDGET, False, {"temperature": None, "top_p": 0.5}, {"top_p"}),
    ],
)
def test_sampling_parameters_that_do_not_fit_are_left_out(
    model: BaseAIModel, reasoning: bool, options: Dict, sent: Any
) -> None:
    wire = build(model=model, reasoning=reasoning, options=options)
    expected = set(options) if sent is ... else sent
    assert wire.body.keys() & {"temperature", "top_p", "top_k"} == expected
    given = {name for name, value in options.items() if value is not None}
    assert {note.split(":")[0] for note in wire.adjustments} == given - expected


def test_options_pass_through_and_merge_last() -> None:
    options = {
        "service_tier": "auto",
        "container": "c",
        "metadata": {"more": 1},
        "output_config": {"task_budget": {"type": "tokens", "total": 20_000}},
        "unknown_yet": [1, {"a": None}],
    }
    sent = body(model=EFFORT, reasoning_effort="low", metadata={"user": "u1"}, options=options)
    assert sent["metadata"] == {"user_id": "u1", "more": 1}
    assert sent["output_config"] == {"effort": "low", **options["output_config"]}  # type: ignore[dict-item]
    assert {name: sent[name] for name in ("service_tier", "container", "unknown_yet")} == {
        name: options[name] for name in ("service_tier", "container", "unknown_yet")
    }
    assert body(options={"output_config": "x"}, model=EFFORT)["output_config"] == "x"


def test_options_are_copied() -> None:
    options: Dict = {"cache_control": {"type": "ephemeral"}, "tools": [{"name": "x", "a": [1]}]}
    before = deepcopy(options)
    marked = SystemInstruction(text="s", cache_control="1h")
    sent = body(options=options, instructions=[marked], messages=["a"])
    sent["tools"][0]["a"].append(2)
    assert options == before


def test_options_of_other_providers_are_left_out_or_translated() -> None:
    options = {"seed": 1, "n": 2, "logit_bias": {}, "user": 7, "parallel_tool_calls": False}
    wire = build(options=options, tools=[tool()])
    assert wire.body.keys() == {
        *("model", "max_tokens", "messages", "tools", "tool_choice", "metadata")
    }
    assert wire.body["metadata"] == {"user_id": "7"}
    assert wire.body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert [note.split(":")[0] for note in wire.adjustments] == [
        "options['logit_bias']",
        "options['n']",
        "options['seed']",
    ]
    named = body(options={"user": "x"}, metadata={"user_id": "y"})
    assert named["metadata"] == {"user_id": "y"}


@pytest.mark.parametrize(
    ("options", "sent", "notes"),
    [
        ({"stop": "x"}, ["x"], 0),
        ({"stop": ["x", "y", "x"]}, ["x", "y"], 0),
        ({"stop_sequences": "x"}, ["x"], 0),
        ({"stop": "x", "stop_sequences": ["y"]}, ["x", "y"], 0),
        ({"stop": ["\n", "x", ""]}, ["x"], 1),
        ({"stop": "\n\n"}, None, 1),
        ({"stop": []}, None, 0),
    ],
)
def test_stop_sequences(options: Dict, sent: Any, notes: int) -> None:
    wire = build(options=options)
    assert wire.body.get("stop_sequences") == sent
    assert len(wire.adjustments) == notes


def test_what_a_model_refuses_is_left_out() -> None:
    model = model_with(
        unsupported_parameters=["service_tier", "stop_sequences", "tool_choice.any", "metadata"]
    )
    wire = build(
        model=model,
        options={"service_tier": "auto", "stop": "x"},
        tools=[tool()],
        tool_choice=FORCED[0],
        metadata={"user": "u"},
    )
    assert wire.body.keys() == {"model", "max_tokens", "messages", "tools"}
    assert [note.split(":")[0] for note in wire.adjustments] == [
        *("tool_choice (any)", "service_tier", "stop_sequences", "metadata")
    ]
    auto = build(model=model, tools=[tool()], tool_choice=ToolChoice())
    assert auto.body["tool_choice"] == {"type": "auto"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"options": {"stop": " "}},
            ["stop_sequences: white space alone left out, the API does not take it"]),
        ({"tool_choice": ToolChoice()}, ["tool_choice: left out, there are no tools"]),
        ({"model": chat.ClaudeSonnet40, "tools": [tool(strict=True)]},
            ["tool 'look': strict left out, model or schema does not allow it"]),
        ({"options": {"seed": 1}},
            ["options['seed']: left out, the Messages API has no such field"]),
        ({"hosted_tools": [WebSearchHostedTool(external_web_access=False)]},
            ["hosted_tools: external_web_access: left out, this web search has no such option"]),
        ({"reasoning": True, "messages": HISTORIES["prefill"]},
            ["thinking: left out, the model is to go on with the assistant's text"]),
        ({"reasoning": True, "tools": [tool()], "tool_choice": FORCED[0]},
            ["thinking: left out, a forced tool choice excludes it"]),
        ({"reasoning": True, "messages": HISTORIES["tools, without thinking"]},
            ["thinking: left out, the turn with tool calls that is under way began without it"]),
        ({"reasoning": True, "options": {"temperature": 0.5, "top_k": 2}},
            ["temperature: left out, thinking excludes it",
             "top_k: left out, thinking excludes it"]),
        ({"reasoning": True, "options": {"top_p": 0.95}}, []),
        ({"model": model_with(EFFORT, unsupported_parameters=[]),
          "messages": HISTORIES["prefill"]}, []),
        ({"model": EFFORT, "context_policy":
            {"mode": "provider_compaction", "compact_threshold_tokens": 49_999}},
            ["context_policy.compact_threshold_tokens: raised to 50000, the least"]),
        ({"model": EFFORT, "context_policy":
            {"mode": "provider_compaction", "compact_threshold_tokens": 50_000}},
            []),
        ({"context_policy": {"mode": "provider_context_editing",
                             "edits": [{"type": "clear_thinking_20251015"}]}},
            ["context_policy: thinking is not cleared, for this call has none"]),
        ({"model": model_with(unsupported_parameters=["context_management.compact_20260112"]),
          "context_policy": {"mode": "provider_compaction"}},
            ["context_policy (compact_20260112): left out, like does not take it"]),
    ],
)  # fmt: skip
def test_what_is_changed_is_told_in_words(fields: Dict, told: list[str]) -> None:
    assert build(**fields).adjustments == told


RESTRICTED = FoundationModel(
    provider=ANTHROPIC,
    model_name="restricted",
    settings=BUDGET.settings,
    valid_options={
        "temperature": ValidOptionValue(
            allowed_values=[0, 1], default_value=1, cost_sensitive=False, display_only=True
        )
    },
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"options": {"model": "x"}}, r"options\['model'\]: give it as the endpoint's ai_model"),
        ({"options": {"messages": []}}, r"options\['messages'\]"),
        ({"options": {"stream": True}}, r"options\['stream'\]: .*AIModelCallConfig.streaming"),
        ({"options": {"system": "x"}}, r"options\['system'\]: give it as instructions"),
        ({"options": {"max_tokens": 5}}, r"options\['max_tokens'\]: .*max_output_tokens"),
        ({"options": {"temperature": 1.5}}, r"options\['temperature'\]: expected a number from 0"),
        ({"options": {"temperature": -0.1}, "model": chat.ClaudeOpus48}, "temperature"),
        ({"options": {"temperature": True}}, "temperature"),
        ({"options": {"temperature": "hot"}}, "temperature"),
        ({"options": {"top_p": 2}}, "top_p"),
        ({"options": {"top_k": -1}}, "top_k"),
        ({"options": {"stop": 3}}, r"options\['stop'\]: expected text"),
        ({"options": {"stop_sequences": ["a", 3]}}, r"options\['stop_sequences'\]: expected text"),
        ({"options": {"thing": object()}}, r"options\['thing'\]: cannot be sent as JSON"),
        ({"options": {"tools": "x"}}, r"options\['tools'\]: expected a list of dicts"),
        ({"options": {"tools": ["x"]}}, r"options\['tools'\]: expected a list of dicts"),
        (
            {"options": {"tool_choice": "look"}},
            r"^options\['tool_choice'\]: expected a dict .*; or use AIModelCallConfig.tool_choice$",
        ),
        ({"options": {"tool_choice": {"name": "x"}}}, r"options\['tool_choice'\]"),
        ({"options": {"thinking": True}}, r"^options\['thinking'\]: expected a dict with a type$"),
        ({"options": {"thinking": {"type": 1}}}, r"options\['thinking'\]: expected a dict"),
        ({"options": {"thinking": {"type": "enabled"}}}, "budget_tokens must be at least 1024"),
        (
            {"options": {"thinking": {"type": "enabled", "budget_tokens": 1000}}},
            "budget_tokens must be at least 1024",
        ),
        (
            {
                "options": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
                "max_output_tokens": 2000,
            },
            r"less than max_output_tokens \(2000\)",
        ),
        ({"options": {"temperature": 0.5}, "model": RESTRICTED}, r"0.5 is not one of \[0, 1\]"),
        ({"options": {"betas": 3}}, r"^options\['betas'\]: expected a list of names$"),
        ({"options": {"betas": ["a b"]}}, r"options\['betas'\]: 'a b' is no name"),
        ({"options": {"betas": [3]}}, r"options\['betas'\]: 3 is no name"),
        ({"options": {"extra_headers": 3}}, r"options\['extra_headers'\]: expected a dict"),
        ({"options": {"extra_headers": {"a b": "x"}}}, "'a b' is no header name"),
        ({"options": {"extra_headers": {3: "x"}}}, "3 is no header name"),
        ({"options": {"extra_headers": {"Host": "x"}}}, r"\['Host'\]: cannot be changed"),
        ({"options": {"extra_headers": {"a": "x\ny"}}}, r"\['a'\]: the value must be printable"),
        ({"options": {"extra_headers": {"a": 3}}}, r"\['a'\]: the value must be printable"),
        ({"tools": [tool()], "options": {"tools": [{"name": "look"}]}}, "two tools are named"),
        ({"hosted_tools": [WebSearchHostedTool()] * 2}, "two tools are named 'web_search'"),
        (
            {"tools": [tool(schema={"type": "object", "default": object()})]},
            "tool 'look': cannot be sent as JSON",
        ),
        (
            {"messages": HISTORIES["prefill"], "structured_output": OUTPUT},
            "structured_output: cannot .* assistant's text; the last message must be the user's$",
        ),
        (
            {
                "messages": HISTORIES["prefill"],
                "model": model_with(unsupported_parameters=["assistant_prefill"]),
            },
            "^messages: like does not .* assistant's text; the last message must be the user's$",
        ),
        (
            {
                "context_policy": {
                    "mode": "provider_context_editing",
                    "edits": [{"type": object()}],
                }
            },
            "^context_policy.edits: cannot be sent as JSON",
        ),
        ({"messages": [assistant("hi"), "so"]}, "^messages: the conversation must begin with"),
        ({"messages": [response(text(" "))]}, "^messages: nothing in them can be sent$"),
    ],
)
def test_wrong_input_is_named(fields: Dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**fields)


def test_the_least_budget_is_allowed() -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    assert body(options={"thinking": thinking})["thinking"] == thinking


def test_allowed_values_are_allowed() -> None:
    assert body(model=RESTRICTED, options={"temperature": 1})["temperature"] == 1


def test_a_pause_is_no_prefill() -> None:
    model = model_with(unsupported_parameters=["assistant_prefill"])
    sent = body(model=model, messages=HISTORIES["a pause"], structured_output=OUTPUT)
    assert refusals(sent, model) == []
    assert sent["messages"][-1]["role"] == "assistant"


# --- headers


def test_headers_of_the_caller() -> None:
    wire = build(
        options={
            "betas": ["one", "two"],
            "extra_headers": {
                "Anthropic-Beta": "two, three",
                "X-Key": "confidential",
                "anthropic-version": "2024-01-01",
            },
        }
    )
    assert wire.headers == {
        "anthropic-version": "2024-01-01",
        "content-type": "application/json",
        "accept": "application/json",
        "anthropic-beta": "one,two,three",
        "x-key": "confidential",
    }
    assert wire.body.keys() == {"model", "max_tokens", "messages"}
    assert "confidential" not in repr(wire)
    assert build(options={"betas": "one,two"}).headers["anthropic-beta"] == "one,two"
    assert "anthropic-beta" not in build(options={"betas": []}).headers


def test_a_wrong_header_value_is_not_echoed() -> None:
    with pytest.raises(ConfigError) as caught:
        build(options={"extra_headers": {"x-key": "confidential\n"}})
    assert "confidential" not in str(caught.value)


# --- system, metadata, cache marks


def test_instructions_are_one_text_unless_a_prefix_is_marked() -> None:
    assert body(instructions=["a", "b"])["system"] == "a b"
    marked = SystemInstruction(text="b", cache_control="5m")
    assert body(instructions=["a", marked])["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}},
    ]
    blank = [SystemInstruction(text=" ", cache_control="1h")]
    assert "system" not in build_turns([Turn("user", [TextPart("hi")])], system=blank).body


def marks(sent: Mapping[str, Any]) -> list[str]:
    blocks = [
        *sent.get("tools", []),
        *sent.get("system", []),
        *(block for message in sent["messages"] for block in message["content"]),
        sent,
    ]
    return [b["cache_control"].get("ttl", "5m") for b in blocks if "cache_control" in b]


@pytest.mark.parametrize(
    ("tools", "system", "prompts", "kept", "notes"),
    [
        (["5m"], ["5m"], ["5m"], ["5m"] * 3, 0),
        (["1h"], ["1h"], ["5m"], ["1h", "1h", "5m"], 0),
        (["5m"], [None], ["1h", "5m"], ["1h", "1h", "5m"], 1),
        (["5m"], ["5m"], ["5m", "5m", "5m"], ["5m"] * 4, 1),
        (["5m"], ["5m"], ["5m", "5m", "1h"], ["1h"] * 4, 4),
    ],
)
def test_cache_marks(
    tools: list[Any], system: list[Any], prompts: list[Any], kept: list[str], notes: int
) -> None:
    wire = build(
        tools=[tool(f"t{i}", cache_control=mark) for i, mark in enumerate(tools)],
        messages=[Prompt(text="a", cache_control=mark) for mark in prompts],
        instructions=[SystemInstruction(text="s", cache_control=mark) for mark in system],
    )
    sent = accepted(wire)
    assert marks({"system": []} | sent if isinstance(sent.get("system"), list) else sent) == kept
    assert len(wire.adjustments) == notes


def test_results_and_files_have_marks_too() -> None:
    image = StoredFile.from_bytes(b"i", "i.png", "image/png")
    notes = StoredFile.from_bytes(b"n", "n.txt")
    sent = body(
        tools=[tool("look")],
        messages=[
            Prompt(text="", files=[notes, image], cache_control="1h"),
            response(call()),
            result(cache_control="5m"),
        ],
    )
    assert [
        (block["type"], block["cache_control"].get("ttl"))
        for message in sent["messages"]
        for block in message["content"]
        if "cache_control" in block
    ] == [("image", "1h"), ("tool_result", None)]


def test_the_mark_on_the_whole_request_counts_too() -> None:
    options = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    prompts = [Prompt(text="a", cache_control="5m") for _ in range(4)]
    sent = body(options=options, messages=prompts)
    assert marks(sent) == ["1h"] * 4
    assert sent["cache_control"] == options["cache_control"]


# --- tools


def test_tools_are_described() -> None:
    schema = {"type": "object", "properties": {"at": {"type": "string", "minLength": 1}}}
    plain = tool("plain", schema, cache_control="1h")
    plain.function.description = None
    wire = build(tools=[plain, tool("kept", schema, strict=True), tool("lax", strict=False)])
    assert accepted(wire)["tools"] == [
        {
            "name": "plain",
            "input_schema": schema,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {
            "name": "kept",
            "description": "Looks.",
            "strict": True,
            "input_schema": {
                "type": "object",
                "properties": {"at": {"type": "string", "description": '{"minLength":1}'}},
                "additionalProperties": False,
            },
        },
        {
            "name": "lax",
            "description": "Looks.",
            "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}},
        },
    ]
    assert wire.adjustments == ["tool 'kept': told in words, not enforced: minLength"]


@pytest.mark.parametrize(
    ("model", "schema"),
    [
        (chat.ClaudeSonnet40, None),
        (BUDGET, RECURSIVE),
        (BUDGET, {"type": "object", "properties": {"any": {"type": "object"}}}),
    ],
)
def test_strict_is_left_out_where_it_cannot_be(model: BaseAIModel, schema: Dict | None) -> None:
    wire = build(model=model, tools=[tool("look", schema, strict=True)])
    assert "strict" not in wire.body["tools"][0]
    assert len(wire.adjustments) == 1


def test_tools_in_options_come_after_the_others() -> None:
    fetch = {"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 2}
    toolset = {"type": "mcp_toolset", "mcp_server_name": "s"}
    sent = body(tools=[tool()], options={"tools": [fetch, toolset]})
    assert sent["tools"][1:] == [fetch, toolset]


def test_web_search() -> None:
    search = WebSearchHostedTool(
        max_uses=3,
        allowed_domains=["example.com"],
        user_location=HostedToolUserLocation(city="Ulm", country="DE"),
        search_context_size="low",
        external_web_access=False,
        return_token_budget="default",
    )
    wire = build(hosted_tools=[search, *()])
    assert accepted(wire)["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "max_uses": 3,
            "allowed_domains": ["example.com"],
            "user_location": {"type": "approximate", "city": "Ulm", "country": "DE"},
        }
    ]
    assert [note.split(": ")[1] for note in wire.adjustments] == [
        "search_context_size",
        "external_web_access",
        "return_token_budget",
    ]


@pytest.mark.parametrize(
    ("choice", "options", "sent"),
    [
        (None, {}, None),
        (ToolChoice(), {}, {"type": "auto"}),
        (ToolChoice(type="one_or_more"), {}, {"type": "any"}),
        (FORCED[1], {}, {"type": "tool", "name": "look"}),
        (ToolChoice(type=None, parallel=False), {}, {"type": "none"}),
        (ToolChoice(parallel=False), {}, {"type": "auto", "disable_parallel_tool_use": True}),
        (FORCED[0], {"parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True}),
        (None, {"parallel_tool_calls": True}, None),
        (FORCED[0], {"tool_choice": "none"}, {"type": "none"}),
        (None, {"tool_choice": "required"}, {"type": "any"}),
        (None, {"tool_choice": {"type": "tool", "name": "look"}}, {"type": "tool", "name": "look"}),
    ],
)  # fmt: skip
def test_tool_choice(choice: ToolChoice | None, options: Dict, sent: Dict | None) -> None:
    wire = build(tools=[tool()], tool_choice=choice, options=options)
    assert accepted(wire).get("tool_choice") == sent


@pytest.mark.parametrize(("kind", "notes"), [("one_or_more", 1), ("zero_or_more", 1), (None, 0)])
def test_a_tool_choice_without_tools_is_left_out(kind: Any, notes: int) -> None:
    wire = build(tool_choice=ToolChoice(type=kind))
    assert "tool_choice" not in wire.body
    assert len(wire.adjustments) == notes


# --- structured output


def test_a_schema_field_where_the_model_has_one() -> None:
    before = deepcopy(SCHEMA)
    first, second = build(structured_output=OUTPUT), build(structured_output=OUTPUT)
    assert first == second
    assert before == SCHEMA
    assert first.output_tool is None
    assert accepted(first)["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {
                "at": {"type": "integer", "description": 'where\n\n{"minimum":1}'},
                "near": {"anyOf": [{"$ref": "#/$defs/Near"}, {"type": "null"}], "default": None},
            },
            "required": ["at"],
            "additionalProperties": False,
            "$defs": {
                "Near": {
                    "type": "object",
                    "properties": {"by": {"type": "string"}},
                    "additionalProperties": False,
                }
            },
        },
    }
    assert first.adjustments == ["structured_output: told in words, not enforced: minimum"]
    reasoned = body(structured_output=OUTPUT, reasoning=True)
    assert reasoned["thinking"]["type"] == "enabled"


OLD = chat.ClaudeSonnet40
FORCED_OUTPUT = {
    "type": "tool",
    "name": STRUCTURED_OUTPUT_TOOL,
    "disable_parallel_tool_use": True,
}


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, FORCED_OUTPUT),
        ({"tools": [tool()]}, {"type": "any"}),
        ({"tools": [tool()], "tool_choice": ToolChoice()}, {"type": "any"}),
        ({"tools": [tool()], "tool_choice": ToolChoice(type=None)}, FORCED_OUTPUT),
        ({"tools": [tool()], "tool_choice": FORCED[1]}, {"type": "tool", "name": "look"}),
        ({"hosted_tools": [WebSearchHostedTool()], "tool_choice": ToolChoice(parallel=False)},
            {"type": "any", "disable_parallel_tool_use": True}),
    ],
)  # fmt: skip
def test_a_tool_carries_it_where_the_model_has_no_field(fields: Dict, choice: Dict) -> None:
    before = deepcopy(SCHEMA)
    wire = build(model=OLD, reasoning=True, structured_output=OUTPUT, **fields)
    assert wire == build(model=OLD, reasoning=True, structured_output=OUTPUT, **fields)
    assert before == SCHEMA
    assert wire.output_tool == STRUCTURED_OUTPUT_TOOL
    sent = accepted(wire)
    assert sent["tools"][-1]["name"] == STRUCTURED_OUTPUT_TOOL
    assert sent["tools"][-1]["input_schema"] == SCHEMA
    assert sent["tool_choice"] == choice
    assert sent.keys().isdisjoint({"thinking", "output_config"})
    assert len(wire.adjustments) == 1


def test_the_tool_takes_no_name_of_the_callers() -> None:
    wire = build(model=OLD, tools=[tool(STRUCTURED_OUTPUT_TOOL)], structured_output=OUTPUT)
    assert wire.output_tool == wire.body["tools"][1]["name"] == STRUCTURED_OUTPUT_TOOL + "_"


@pytest.mark.parametrize(
    ("model", "schema"),
    [
        (BUDGET, RECURSIVE),
        (BUDGET, {"properties": {"again": {"$ref": "#"}}}),
        (BUDGET, {"type": "object"}),
        (EFFORT, {"type": "object", "properties": {"d": {"additionalProperties": {}, "type":
            "object"}}}),
    ],
)  # fmt: skip
def test_a_tool_carries_what_the_field_does_not_take(model: BaseAIModel, schema: Dict) -> None:
    config = StructuredOutputConfig(output_schema=schema)
    wire = build(model=model, structured_output=config)
    assert wire.body["tools"][0]["input_schema"] == {"type": "object"} | schema
    assert wire.output_tool == STRUCTURED_OUTPUT_TOOL
    assert wire.adjustments == [
        "structured_output: by a tool call, for its schema is recursive or has dicts"
    ]
    refusing = model_with(unsupported_parameters=["output_config"])
    assert build(model=refusing, structured_output=OUTPUT).output_tool == STRUCTURED_OUTPUT_TOOL


@pytest.mark.parametrize(
    ("given", "made", "gone"),
    [
        ({"type": "object"}, {"type": "object", "properties": {}, "additionalProperties": False},
            set()),
        ({"properties": {}, "additionalProperties": True},
            {"properties": {}, "additionalProperties": False}, set()),
        ({"properties": {}, "additionalProperties": {"type": "null"}},
            {"properties": {}, "additionalProperties": False,
             "description": '{"additionalProperties":{"type":"null"}}'},
            {"additionalProperties"}),
        ({"type": "string", "format": "uuid"}, ..., set()),
        ({"type": "string", "format": "odd", "title": "T"},
            {"type": "string", "title": "T", "description": '{"format":"odd"}'}, {"format"}),
        ({"enum": ["a", 1, None], "type": "string"}, ..., set()),
        ({"enum": [["a"]]}, {"description": '{"enum":[["a"]]}'}, {"enum"}),
        ({"const": 1}, ..., set()),
        ({"type": "array", "minItems": 1, "items": {"type": "object", "properties": {}}},
            {"type": "array", "minItems": 1,
             "items": {"type": "object", "properties": {}, "additionalProperties": False}}, set()),
        ({"type": "array", "minItems": 2, "maxItems": 3},
            {"type": "array", "description": '{"minItems":2,"maxItems":3}'},
            {"minItems", "maxItems"}),
        ({"type": "array", "prefixItems": [{"type": "null"}], "items": False},
            {"type": "array", "items": {"anyOf": [{"type": "null"}]}}, set()),
        ({"oneOf": [{"type": "string", "maxLength": 1}]},
            {"anyOf": [{"type": "string", "description": '{"maxLength":1}'}]}, {"maxLength"}),
        ({"allOf": [{"$ref": "#/$defs/A"}], "description": "d"}, {"$ref": "#/$defs/A"}, set()),
        ({"allOf": [{"type": "string"}, {"const": "a"}]}, ..., set()),
        ({"$ref": "#/$defs/A", "title": "t", "$defs": {"A": {"type": "object", "properties": {}}}},
            {"$ref": "#/$defs/A",
             "$defs": {"A": {"type": "object", "properties": {}, "additionalProperties": False}}},
            set()),
        ({"type": "array", "items": True}, ..., set()),
    ],
)  # fmt: skip
def test_strict_schemas(given: Dict, made: Any, gone: set[str]) -> None:
    before = deepcopy(given)
    lost: set[str] = set()
    assert strict_schema(given, lost) == (given if made is ... else made)
    assert lost == gone
    assert given == before


def test_schemas_that_compile() -> None:
    assert compiles(SCHEMA)
    assert compiles({"type": "object", "additionalProperties": False})
    assert compiles({"$ref": "#/definitions/A", "definitions": {"A": {"$ref": "other.json"}}})
    assert not compiles(RECURSIVE)


# --- context policy


@pytest.mark.parametrize(
    ("policy", "edits", "beta"),
    [
        ({"mode": "fail_closed"}, None, None),
        ({"mode": "client_compaction", "compact_threshold_tokens": 5}, None, None),
        ({"mode": "provider_context_editing"}, [{"type": "clear_tool_uses_20250919"}],
            "context-management-2025-06-27"),
        ({"mode": "provider_context_editing", "compact_threshold_tokens": 9000},
            [{"type": "clear_tool_uses_20250919",
              "trigger": {"type": "input_tokens", "value": 9000}}],
            "context-management-2025-06-27"),
        ({"mode": "provider_context_editing",
          "edits": [{"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 1}},
                    {"type": "clear_thinking_20251015", "keep": "all"}]},
            [{"type": "clear_thinking_20251015", "keep": "all"},
             {"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 1}}],
            "context-management-2025-06-27"),
        ({"mode": "provider_compaction"}, [{"type": "compact_20260112"}], "compact-2026-01-12"),
        ({"mode": "provider_compaction", "compact_threshold_tokens": 60_000,
          "pause_after_compaction": True, "instructions": "Keep names."},
            [{"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 60_000},
              "pause_after_compaction": True, "instructions": "Keep names."}],
            "compact-2026-01-12"),
        ({"mode": "provider_compaction", "compact_threshold_tokens": 10},
            [{"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 50_000}}],
            "compact-2026-01-12"),
        ({"mode": "provider_compaction", "edits": [{"type": "compact_20260112"}]},
            [{"type": "compact_20260112"}], "compact-2026-01-12"),
        ({"mode": "provider_compaction", "edits": [{"type": "clear_tool_uses_20250919"}]},
            [{"type": "clear_tool_uses_20250919"}, {"type": "compact_20260112"}],
            "context-management-2025-06-27,compact-2026-01-12"),
    ],
)  # fmt: skip
def test_context_policy(policy: Dict, edits: Any, beta: str | None) -> None:
    given = deepcopy(policy)
    wire = build(model=EFFORT, reasoning=True, context_policy=policy)
    assert accepted(wire).get("context_management") == ({"edits": edits} if edits else None)
    assert wire.headers.get("anthropic-beta") == beta
    assert policy == given
    assert len(wire.adjustments) == (policy.get("compact_threshold_tokens") == 10)


def test_edits_that_do_not_fit_are_left_out() -> None:
    policy = {
        "mode": "provider_compaction",
        "edits": [{"type": "clear_thinking_20251015"}],
    }
    model = model_with(unsupported_parameters=["context_management.compact_20260112"])
    wire = build(model=model, context_policy=policy)
    assert "context_management" not in wire.body
    assert "anthropic-beta" not in wire.headers
    assert len(wire.adjustments) == 2


def test_without_thinking_other_edits_are_kept() -> None:
    edits = [{"type": "clear_thinking_20251015"}, {"type": "clear_tool_uses_20250919"}]
    sent = body(context_policy={"mode": "provider_context_editing", "edits": edits})
    assert sent["context_management"] == {"edits": edits[1:]}


def test_context_management_in_options_brings_its_beta() -> None:
    options = {"context_management": {"edits": [{"type": "compact_20260112"}]}}
    wire = build(options=options, model=EFFORT)
    assert wire.headers["anthropic-beta"] == "compact-2026-01-12"


def test_a_compacted_answer_brings_the_beta_of_compaction() -> None:
    block = {"type": "compaction", "content": None, "encrypted_content": "e"}
    wire = build(messages=["hi", response(generic(block), text("so")), "and?"])
    assert wire.body["messages"][1]["content"][0] == block
    assert wire.headers["anthropic-beta"] == "compact-2026-01-12"


# --- the user's turn


def content(*messages: Any, at: int = -1, **fields: Any) -> list[Dict]:
    """The blocks of the message ``at``, of a body that all agree on."""
    blocks: list[Dict] = accepted(build(messages=messages, **fields))["messages"][at]["content"]
    return blocks


def file_block(file: StoredFile) -> Dict:
    return content(Prompt(text="see", files=[file]))[0]


PNG = b"\x89PNG\r\n"


@pytest.mark.parametrize(
    ("file", "block"),
    [
        (StoredFile.from_bytes(PNG, "a.png"), {"type": "image", "source": {
            "type": "base64", "media_type": "image/png",
            "data": base64.b64encode(PNG).decode()}}),
        (StoredFile.from_bytes(PNG, "a", "IMAGE/JPG; q=1"), {"type": "image", "source": {
            "type": "base64", "media_type": "image/jpeg",
            "data": base64.b64encode(PNG).decode()}}),
        (StoredFile.from_url("https://example.com/a.webp"), {"type": "image", "source": {
            "type": "url", "url": "https://example.com/a.webp"}}),
        (StoredFile.from_bytes(b"%PDF", "a.pdf"), {"type": "document", "title": "a.pdf", "source": {
            "type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}}),
        (StoredFile.from_url("https://example.com/a.pdf"), {"type": "document", "title": "a.pdf",
            "source": {"type": "url", "url": "https://example.com/a.pdf"}}),
        (StoredFile.from_bytes("é".encode(), "a.md"), {"type": "document", "title": "a.md",
            "source": {"type": "text", "media_type": "text/plain", "data": "é"}}),
        (StoredFile.from_bytes(b"{}", "", "application/json"), {"type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "{}"}}),
    ],
)  # fmt: skip
def test_files(file: StoredFile, block: Dict) -> None:
    assert file_block(file) == block


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (StoredFile.from_bytes(b"x", "a.mp3"), "file 'a.mp3': media type 'audio/mpeg' cannot be"),
        (
            StoredFile.from_url("https://example.com/a"),
            "it takes image/jpeg, .*application/pdf and",
        ),
        (StoredFile.from_url("https://example.com/a.txt"), "file 'a.txt': a text file cannot"),
        (StoredFile.from_bytes(b"", "a.png"), "file 'a.png': is empty"),
        (StoredFile.from_bytes(b" ", "a.txt"), "file 'a.txt': is empty"),
    ],
)
def test_files_that_cannot_be_sent_are_named(file: StoredFile, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        file_block(file)


def test_a_file_in_a_turn_of_the_assistants_is_refused() -> None:
    prompt = Prompt(
        role=PromptMessageRoleEnum.ASSISTANT,
        text="see",
        files=[StoredFile.from_bytes(PNG, "a.png")],
    )
    with pytest.raises(ConfigError, match=r"^messages: 'a.png' cannot stand in a turn of the ass"):
        build(messages=["hi", prompt, "so?"])


def test_a_result_in_a_turn_of_the_assistants_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot stand in a turn of the assistant's"):
        build_turns([Turn("user", [TextPart("hi")]), Turn("assistant", [result()])])


IMAGE_BLOCK = {"type": "image", "source": {"type": "url", "url": "https://example.com/a"}}


@pytest.mark.parametrize(
    ("output", "fields", "expected"),
    [
        ("seen", {}, {"content": "seen"}),
        ("", {}, {}),
        (" ", {}, {}),
        (None, {}, {}),
        ("", {"is_error": True},
            {"content": "The tool failed without a message.", "is_error": True}),
        ("bad", {"is_error": True}, {"content": "bad", "is_error": True}),
        ({"a": 1}, {}, {"content": '{"a":1}'}),
        (3, {}, {"content": "3"}),
        ([], {}, {"content": "[]"}),
        ([1, 2], {}, {"content": "[1,2]"}),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": ""}, IMAGE_BLOCK], {},
            {"content": [{"type": "text", "text": "a"}, IMAGE_BLOCK]}),
        ([{"type": "text", "text": ""}], {}, {}),
        ([{"type": "text"}], {}, {"content": '[{"type":"text"}]'}),
        ([{"type": "odd", "text": "a"}], {}, {"content": '[{"type":"odd","text":"a"}]'}),
        ([{"type": ["x"]}], {}, {"content": '[{"type":["x"]}]'}),
    ],
)  # fmt: skip
def test_tool_results(output: Any, fields: Dict, expected: Dict) -> None:
    blocks = content("hi", response(call()), result(output=output, **fields))
    assert blocks == [{"type": "tool_result", "tool_use_id": "toolu_1", **expected}]


def test_results_come_first_in_their_turn() -> None:
    messages = ["hi", response(call("a"), call("b")), result("a"), "and", result("b"), "so"]
    blocks = content(*messages)
    assert [block["type"] for block in blocks] == ["tool_result", "tool_result", "text", "text"]
    assert [block["tool_use_id"] for block in blocks[:2]] == ["a", "b"]


def test_blank_text_is_dropped_with_its_turn() -> None:
    turns = [
        Turn("user", [TextPart("a")]),
        Turn("assistant", [TextPart(" ")]),
        Turn("user", [TextPart("\n"), TextPart("b", "5m")]),
    ]
    assert build_turns(turns).body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}},
            ],
        }
    ]


def test_a_result_that_answers_no_call_is_refused() -> None:
    with pytest.raises(ConfigError, match="the ToolCallResult for 'x' answers no tool call"):
        build_turns([Turn("user", [result("x")])])


# --- the assistant's turn


def test_an_answer_goes_back_byte_for_byte() -> None:
    """Thinking, hidden thinking, citations, hosted tools: unchanged and in order."""
    signature = "EqQBCgIYAhIM+/==\u2028 "
    blocks: list[Dict] = [
        {"type": "thinking", "thinking": " so\n\n", "signature": signature},
        {"type": "thinking", "thinking": "", "signature": "only"},
        {"type": "redacted_thinking", "data": "hidden=="},
        {"type": "text", "text": " a \n"},
        SEARCHING,
        FOUND,
        {"type": "text", "text": "b", "citations": [CITATION]},
        {"type": "container_upload", "file_id": "f"},
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "look",
            "input": {"at": {"a": [1, None]}},
            "caller": {"type": "direct"},
        },
    ]
    answer = response(
        thinking(" so\n\n", signature),
        thinking(None, "only"),
        redacted("hidden=="),
        text(" a \n"),
        generic(SEARCHING),
        generic(FOUND),
        text("b", CITATION),
        generic({"type": "container_upload", "file_id": "f"}),
        call(arguments={"at": {"a": [1, None]}}, metadata={"caller": {"type": "direct"}, "x": 1}),
    )
    before = deepcopy(answer)
    messages = ["hi", answer.to_message_item(), result()]
    assert content(*messages, at=1, reasoning=True) == blocks
    restored = ChatResponse.from_dict(answer.model_dump())
    assert content("hi", restored, result(), at=1) == blocks
    sent = body(messages=messages, tools=[tool()], options={"cache_control": {"type": "ephemeral"}})
    assert sent["messages"][1]["content"] == blocks
    assert answer == before


def test_to_another_maker_goes_only_what_it_can_read() -> None:
    answer = response(
        thinking("t", "s"),
        redacted("r"),
        text("a", CITATION),
        generic(SEARCHING),
        call("fc:1", name="a.look", metadata={"caller": {"type": "direct"}}),
        provider=AIModelProviderEnum.GOOGLE_AI,
    )
    assert content("hi", answer, result("fc:1"), at=1) == [
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "fc_1", "name": "a_look", "input": {"at": "it"}},
    ]
    assert content("hi", answer, result("fc:1"))[0]["tool_use_id"] == "fc_1"


def test_a_model_that_does_not_think_gets_no_thinking() -> None:
    messages = ["hi", response(thinking("t", "s"), redacted("r"), text("a")), "so?"]
    assert content(*messages, at=1, model=PLAIN) == [{"type": "text", "text": "a"}]


def test_ids_are_unique_and_of_the_apis_alphabet() -> None:
    first = response(call("a.b"), call("a_b"), call(None), call(None))
    messages: list[Any] = ["hi", first, *map(result, ("a_b", "a.b", None, None))]
    messages += [response(call("a.b")), result("a.b")]
    sent = accepted(build(messages=messages))["messages"]
    assert [block["id"] for block in sent[1]["content"]] == ["a_b", "a_b_2", "call", "call_2"]
    assert [block["tool_use_id"] for block in sent[2]["content"]] == [
        *("a_b_2", "a_b", "call", "call_2")
    ]
    assert sent[3]["content"][0]["id"] == sent[4]["content"][0]["tool_use_id"] == "a_b_3"


@pytest.mark.parametrize(
    ("raw", "sent"), [('{"at": "i', {"INVALID_JSON": '{"at": "i'}), ("", {}), (None, {})]
)
def test_arguments_that_do_not_parse_go_as_an_object(raw: str | None, sent: Dict) -> None:
    broken = call(arguments={}, raw_arguments=raw, parse_error="cut")
    assert content("hi", response(broken), result(), at=1)[0]["input"] == sent


def test_the_input_of_a_hosted_tool_that_does_not_parse_goes_as_an_object() -> None:
    cut = generic(SEARCHING | {"input": '{"que'})
    blocks = content("hi", response(cut, finish=FinishReason.LENGTH))
    assert blocks[0]["input"] == {"INVALID_JSON": '{"que'}


def test_structured_output_goes_back_as_its_text() -> None:
    data = '{"at":1}'
    structured = ChatResponseStructuredOutput.from_text(data, OUTPUT)
    item = ChatResponseStructuredOutputContentItem(
        message_contents=[ChatMessageContentPart(type="output_text", text=data)],
        structured_output=structured,
        metadata={"tool_call": {"call_id": "toolu_1", "name": STRUCTURED_OUTPUT_TOOL}},
    )
    assert content("hi", response(item), "so?", at=1) == [{"type": "text", "text": data}]


def test_refusals_go_back_as_text_and_empty_items_are_dropped() -> None:
    items: list[ChatResponseContentItem] = [
        text("no", kind="refusal"),
        text(""),
        ChatResponseTextContentItem(),
        generic({}),
    ]
    bare = ChatMessageContentPart(type="output_text")
    items.append(ChatResponseTextContentItem(message_contents=[bare]))
    assert content("hi", response(*items), "so?", at=1) == [{"type": "text", "text": "no"}]


def test_unsigned_thinking_and_thinking_at_the_end_are_left_out() -> None:
    answer = response(thinking("t", None), text("a"), thinking("t", "s"), redacted("r"))
    assert content("hi", answer, "so?", at=1, reasoning=True) == [{"type": "text", "text": "a"}]


def test_a_hosted_call_without_result_stands_where_the_api_takes_it() -> None:
    open_call = response(text("a"), generic(SEARCHING))
    assert len(content("hi", open_call)) == 2
    assert len(content("hi", open_call, "so?", at=1)) == 1
    answered = response(text("a"), generic(SEARCHING), generic(FOUND), text("so"))
    assert len(content("hi", answered, "and?", at=1)) == 4
    called_by_it = response(generic(SEARCHING), call())
    assert len(content("hi", called_by_it, result(), at=1)) == 2


def test_the_last_text_of_the_assistants_ends_without_white_space() -> None:
    assert content("hi", assistant("It is \n")) == [{"type": "text", "text": "It is"}]
    chat = ["hi", response(text("so ")), "and?", assistant("It is ")]
    assert content(*chat, at=1)[0]["text"] == "so "
    assert content(*chat)[0]["text"] == "It is"
    assert content("hi", response(text("It is "), generic(SEARCHING)))[0]["text"] == "It is "
    empty = ChatResponse(model="m", provider=ANTHROPIC)
    turns = [Turn("user", [TextPart("hi")]), Turn("assistant", [TextPart("a "), empty])]
    assert build_turns(turns).body["messages"][-1]["content"] == [{"type": "text", "text": "a"}]


def test_text_and_thinking_may_have_several_parts() -> None:
    parts = [ChatMessageContentPart(type="output_text", text=words) for words in ("a", None, "b")]
    answer = response(
        ChatResponseReasoningContentItem(message_contents=parts, thinking_signature="s"),
        ChatResponseTextContentItem(message_contents=parts),
    )
    thought, *texts = content("hi", answer, "so?", at=1)
    assert thought["thinking"] == "ab"
    assert [block["text"] for block in texts] == ["a", "b"]
    turns = [Turn("user", [TextPart("hi")]), Turn("assistant", [TextPart("a"), TextPart("b")])]
    assert len(build_turns(turns).body["messages"][1]["content"]) == 2


def test_only_the_first_choice_is_sent() -> None:
    answer = response(text("first"))
    answer.choices.append(ChatResponseChoice(index=1, contents=[text("second")]))
    assert content("hi", answer, "so?", at=1) == [{"type": "text", "text": "first"}]
    answer.choices[0].contents = None
    assert len(body(messages=["hi", answer, "so?"])["messages"]) == 1


# --- the whole, once


@dataclass
class Answer:
    """An answer with all the trimmings."""

    where: int
    why: list[str]


def test_all_at_once_is_what_the_official_sdk_would_send() -> None:
    wire = build(
        model=EFFORT,
        instructions=[SystemInstruction(text="Be brief.", cache_control="1h")],
        messages=[
            Prompt(text="see", files=[StoredFile.from_bytes(PNG, "a.png")]),
            response(thinking("t", "s"), text("I", CITATION), generic(SEARCHING), generic(FOUND)),
            "and?",
        ],
        streaming=True,
        reasoning=True,
        reasoning_effort="high",
        max_output_tokens=4000,
        tools=[tool(cache_control="5m", strict=True)],
        hosted_tools=[WebSearchHostedTool(max_uses=1)],
        tool_choice=ToolChoice(parallel=False),
        structured_output=Answer,
        metadata={"user_id": "u1"},
        options={"stop": ["END"], "service_tier": "auto", "temperature": 1},
    )
    sent = accepted(wire)
    assert refusals(sent, EFFORT) == []
    assert list(sent) == [
        *("model", "max_tokens", "stream", "system", "messages", "tools", "tool_choice"),
        *("thinking", "output_config", "stop_sequences", "metadata", "service_tier"),
        "temperature",
    ]
    assert "sk-ant" not in repr(wire)


@dataclass
class Sent:
    """A body that the API refuses."""

    change: Dict
    why: str


@pytest.mark.parametrize(
    "wrong",
    [
        Sent({"max_tokens": 0}, "max_tokens 0"),
        Sent({"thinking": {"type": "enabled", "budget_tokens": 5000}}, "budget 5000"),
        Sent({"thinking": {"type": "adaptive"}}, "thinking adaptive"),
        Sent({"temperature": 0.5, "top_p": 0.5}, "one of"),
        Sent({"tool_choice": {"type": "any"}}, "tool_choice without tools"),
        Sent({"messages": [{"role": "assistant", "content": [{"type": "text"}]}]}, "0: role"),
        Sent({"stop_sequences": ["\n"]}, "stop_sequences"),
        Sent({"output_config": {"format": {"schema": {"type": "object"}}}}, "additionalProp"),
        Sent({"output_config": {"effort": "low"}}, "effort is not supported"),
    ],
)
def test_the_rules_of_this_test_bite(wrong: Sent) -> None:
    good = {**body(messages=["hi"]), "max_tokens": 5000}
    assert refusals(good, BUDGET) == []
    sent = good | wrong.change
    if "messages" in wrong.change:
        sent["messages"][0]["content"][0]["text"] = "hi"
    assert any(why.startswith(wrong.why) for why in refusals(sent, BUDGET))
