"""Requests to the Gemini API.

``refusals`` says, from the API's rules alone, what the API would say to a body; no choice of model
and config may lead to one that it refuses.
"""

import base64
import itertools
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from corpus import Recording, needs_corpus, streams
from dialects.missing import LACKS_REASONING
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import accumulate, decode
from recorded.requests_gemini import joined
from sdk_types import accepted_by_gemini as accepted

from dhenara_stream.core.conversation import TextPart, Turn, conversation
from dhenara_stream.core.sse import SSEDecoder
from dhenara_stream.dialects.base import ChatRequest, ErrorReply, WireRequest
from dhenara_stream.dialects.gemini import GeminiDialect, Quirks
from dhenara_stream.dialects.gemini.messages import PLACEHOLDER
from dhenara_stream.dialects.gemini.schemas import gemini_schema
from dhenara_stream.dialects.gemini.stream import GeminiDecoder
from dhenara_stream.dialects.gemini.wire import OWN_CALL_ID, SIGNED_SPAN
from dhenara_stream.errors import AuthenticationError, ConfigError
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
from dhenara_stream.types.genai.foundation_models.google import chat
from dhenara_stream.types.shared.file import StoredFile

Dict = dict[str, Any]
GOOGLE = AIModelProviderEnum.GOOGLE_AI
MODELS: dict[str, FoundationModel] = {
    model.model_name: model
    for name in chat.__all__
    if isinstance(model := getattr(chat, name), FoundationModel)
}
EFFORT, BUDGET, ALWAYS, LITE, PLAIN = (
    chat.Gemini35Flash,
    chat.Gemini25Flash,
    chat.Gemini25Pro,  # thinks whatever one says
    chat.Gemini25FlashLite,
    chat.Gemini20Flash,  # does not think
)
VERTEX = Quirks(
    version="v1beta1",
    versions=("v1", "v1beta1"),
    models="publishers/google/models/",
    server_side_tools=False,
    excluded_domains=True,
    user_label="user",
)


# --- making calls


def endpoint(
    model: BaseAIModel, provider: AIModelAPIProviderEnum = AIModelAPIProviderEnum.GOOGLE_AI
) -> AIModelEndpoint:
    api = AIModelAPI(provider=provider, api_key="AIza0123456789")
    return AIModelEndpoint(api=api, ai_model=model)


def build_turns(
    turns: list[Turn],
    config: AIModelCallConfig | None = None,
    model: BaseAIModel = EFFORT,
    system: list[SystemInstruction] | None = None,
    quirks: Quirks | None = None,
) -> WireRequest:
    call = ChatRequest(
        endpoint=endpoint(model),
        config=config or AIModelCallConfig(),
        system=system or [],
        turns=turns,
    )
    return GeminiDialect(quirks).build_request(call)


def build(
    config: AIModelCallConfig | None = None,
    *,
    model: BaseAIModel = EFFORT,
    messages: Any = ("hi",),
    instructions: Any = None,
    quirks: Quirks | None = None,
    **fields: Any,
) -> WireRequest:
    """The request for a conversation, with a config or the fields of one."""
    system, turns = conversation(
        prompt=None, context=None, instructions=instructions, messages=list(messages)
    )
    return build_turns(turns, config or AIModelCallConfig(**fields), model, system, quirks)


def body(**arguments: Any) -> Dict:
    return dict(build(**arguments).body)


def generation(**arguments: Any) -> Dict:
    """The ``generationConfig``, without thinking if nothing is asked for."""
    found: Dict = body(**arguments).get("generationConfig", {})
    return {name: value for name, value in found.items() if name != "thinkingConfig"}


def thinking(**arguments: Any) -> Dict | None:
    found: Dict | None = body(**arguments).get("generationConfig", {}).get("thinkingConfig")
    return found


def notes(wire: WireRequest) -> list[str]:
    return [note.split(":")[0] for note in wire.adjustments]


def model_with(base: BaseAIModel = EFFORT, **fields: Any) -> FoundationModel:
    """A model like ``base`` with other settings."""
    changed = msgspec.structs.asdict(base.get_settings()) | fields
    return FoundationModel(
        provider=GOOGLE, model_name="like", settings=ChatModelSettings(**changed)
    )


def response(
    *items: ChatResponseContentItem,
    provider: AIModelProviderEnum = GOOGLE,
    place: AIModelAPIProviderEnum | None = None,
) -> ChatResponse:
    choice = ChatResponseChoice(index=0, contents=list(items))
    return ChatResponse(model="m", provider=provider, api_provider=place, choices=[choice])


def text(content: str, signature: str | None = None, **facts: Any) -> ChatResponseTextContentItem:
    metadata = facts | ({"thought_signature": signature} if signature else {})
    part = ChatMessageContentPart(type="output_text", text=content)
    return ChatResponseTextContentItem(message_contents=[part], metadata=metadata)


def thought(
    content: str, signature: str | None = None, **facts: Any
) -> ChatResponseReasoningContentItem:
    part = ChatMessageContentPart(type="thinking", text=content)
    return ChatResponseReasoningContentItem(
        message_contents=[part], thinking_signature=signature, metadata=facts
    )


def call(
    call_id: str | None = "c1", signature: str | None = None, **fields: Any
) -> ChatResponseToolCallContentItem:
    facts = fields.pop("metadata", {}) | ({"thought_signature": signature} if signature else {})
    given = {"name": "look", "arguments": {"at": "it"}} | fields
    made = ChatResponseToolCall(call_id=call_id, metadata=facts, **given)
    return ChatResponseToolCallContentItem(tool_call=made)


def invented(call_id: str = "call_1", signature: str | None = None, **fields: Any) -> Any:
    """A call that came without an id."""
    return call(call_id, signature, metadata={OWN_CALL_ID: True}, **fields)


def generic(block: Dict, kind: str = "") -> ChatResponseGenericContentItem:
    return ChatResponseGenericContentItem(block_type=kind, block=block)


def result(call_id: str | None = "c1", output: Any = "seen", **fields: Any) -> ToolCallResult:
    return ToolCallResult(call_id=call_id, output=output, **fields)


def assistant(content: str) -> Prompt:
    return Prompt(role=PromptMessageRoleEnum.ASSISTANT, text=content)


def tool(name: str = "look", schema: Dict | None = None, **fields: Any) -> ToolDefinition:
    given = schema or {"type": "object", "properties": {"at": {"type": "string"}}}
    made = ToolDefinition.from_schema(name, given, "Looks.")
    return ToolDefinition(function=made.function, **fields)


SEARCH = WebSearchHostedTool()
FORCED = (ToolChoice(type="one_or_more"), ToolChoice(type="specific", specific_tool_name="look"))
SCHEMA: Dict = {
    "type": "object",
    "properties": {
        "at": {"type": "integer", "minimum": 1, "multipleOf": 2, "description": "where"},
        "near": {"anyOf": [{"$ref": "#/$defs/Near"}, {"type": "null"}], "default": None},
        "kind": {"enum": ["a", "b", None]},
    },
    "required": ["at"],
    "$defs": {"Near": {"type": "object", "properties": {"by": {"const": "x"}}}},
}
RECURSIVE: Dict = {
    "type": "object",
    "properties": {"first": {"$ref": "#/definitions/Node"}},
    "required": ["first"],
    "definitions": {
        "Node": {
            "type": "object",
            "properties": {
                "next": {"type": "array", "items": {"$ref": "#/definitions/Node"}},
                "name": {"type": "string"},
            },
            "required": ["next", "name"],
        }
    },
}
OUTPUT = StructuredOutputConfig(output_schema=SCHEMA)
CODE: Dict = {"executableCode": {"language": "PYTHON", "code": "1"}}
RAN: Dict = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}
SEARCHED: Dict = {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "t"}}
FOUND: Dict = {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "id": "t", "response": {}}}
OTHER = AIModelProviderEnum.OPEN_AI

HISTORIES: dict[str, list[Any]] = {
    "a question": ["hi"],
    "a chat": ["hi", response(thought("t"), text("so", "c2ln")), "and?"],
    "a chat of another's": ["hi", assistant("so"), "and?"],
    "tools": ["hi", response(thought("t"), invented("call_1", "c2ln")), result("call_1")],
    "tools with ids": ["hi", response(call("a", "c2ln"), call("b")), result("b"), result("a")],
    "tools, unsigned": ["hi", response(text("a"), invented()), result("call_1"), "look well"],
    "tools, twice": [
        *("hi", response(call("a", "c2ln")), result("a")),
        *(response(call("b")), result("b")),
    ],
    "tools, of another maker": [
        *("hi", response(thought("t", "s"), call("call:1", name="a look"), provider=OTHER)),
        result("call:1"),
    ],
    "tools, of another place": [
        "hi",
        response(call("a", "c2ln"), place=AIModelAPIProviderEnum.GOOGLE_VERTEX_AI),
        result("a"),
    ],
    "tools, done": ["hi", response(call("a")), result("a"), response(text("so")), "and?"],
    "hosted tools": ["hi", response(generic(SEARCHED), generic(FOUND), text("so")), "and?"],
    "code": ["hi", response(generic(CODE), generic(RAN), text("so", "c2ln")), "and?"],
    "thoughts only": ["hi", response(thought("t", "s")), "and?"],
    "prefill": ["hi", assistant("It is ")],
}


# --- what the API would say

GENERATION = {
    *("temperature", "topP", "topK", "seed", "maxOutputTokens", "stopSequences", "candidateCount"),
    *("presencePenalty", "frequencyPenalty", "responseMimeType", "responseJsonSchema"),
    *("responseSchema", "responseLogprobs", "logprobs", "responseModalities", "thinkingConfig"),
}
FIELDS = {
    *("contents", "systemInstruction", "tools", "toolConfig", "safetySettings"),
    *("generationConfig", "cachedContent", "labels", "serviceTier", "store"),
}


def refusals(
    sent: Mapping[str, Any], model: BaseAIModel, quirks: Quirks | None = None
) -> list[str]:
    """Why the API would refuse the body; empty if it takes it."""
    what = model.get_settings()
    config: Dict = sent.get("generationConfig", {})
    names = {**sent, **config}
    return [
        *(f"unknown {name}" for name in sent if name not in FIELDS),
        *(f"unknown {name}" for name in config if name not in GENERATION),
        *(f"no {name}" for name in what.unsupported_parameters if name in names),
        *(f"one of {g}" for g in what.exclusive_parameters if len(names.keys() & set(g)) > 1),
        *_against_contents(sent["contents"], what),
        *_against_generation(config, what),
        *_against_thinking(config.get("thinkingConfig"), model),
        *_against_tools(sent, what, quirks or Quirks()),
    ]


def _against_contents(contents: list[Dict], what: ChatModelSettings) -> Iterator[str]:
    for i, content in enumerate(contents):
        if content["role"] != ("user", "model")[i % 2]:
            yield f"{i}: role"
        if not content["parts"]:
            yield f"{i}: no parts"
        yield from (f"{i}: {why}" for part in content["parts"] for why in _against_part(part))
        before = contents[i - 1]["parts"] if i else []
        calls = [part["functionCall"] for part in before if "functionCall" in part]
        answers = [p["functionResponse"] for p in content["parts"] if "functionResponse" in p]
        named = [[(it["name"], it.get("id")) for it in some] for some in (calls, answers)]
        if named[0] != named[1]:
            yield f"{i}: calls {calls}, responses {answers}"
        if not all("functionResponse" in part for part in content["parts"][: len(answers)]):
            yield f"{i}: responses must come first"
    if any("functionCall" in part for part in contents[-1]["parts"]):
        yield "a call without a response"
    yield from _against_signatures(contents, what)


KINDS = {
    *("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode"),
    *("codeExecutionResult", "toolCall", "toolResponse"),
}


def _against_part(part: Dict) -> Iterator[str]:
    kinds = part.keys() - {"thought", "thoughtSignature"}
    if len(kinds) != 1 or not kinds <= KINDS:
        yield f"a part that is {kinds}"
    if not part.get("text", "x") and "thoughtSignature" not in part:
        yield "an empty text"
    if "functionCall" in part:
        if not isinstance(part["functionCall"]["args"], dict):
            yield "args"
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}", part["functionCall"]["name"]):
            yield "a call's name"
    if "functionResponse" in part and not isinstance(part["functionResponse"]["response"], dict):
        yield "response"


def _against_signatures(contents: list[Dict], what: ChatModelSettings) -> Iterator[str]:
    signatures = [
        p["thoughtSignature"]
        for c in contents
        for p in c["parts"]
        if len(p) > 1 and "thoughtSignature" in p
    ]
    if signatures and not what.supports_reasoning:
        yield "a signature to a model that does not think"
    if PLACEHOLDER in signatures and what.reasoning_control != "effort":
        yield "the placeholder is no signature"
    if what.reasoning_control != "effort":
        return
    for content in reversed(contents):
        if content["role"] == "user" and "functionResponse" not in content["parts"][0]:
            return
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and "thoughtSignature" not in calls[0]:
            yield "the first call is missing a thought_signature"


def _against_generation(config: Dict, what: ChatModelSettings) -> Iterator[str]:
    cap = max(what.max_output_tokens_reasoning_mode or 0, what.max_output_tokens)
    if not 1 <= config.get("maxOutputTokens", 1) <= cap:
        yield "maxOutputTokens"
    if len(config.get("stopSequences", ())) > 5 or "" in config.get("stopSequences", ()):
        yield "stopSequences"
    if not 0 <= config.get("temperature", 0) <= 2:
        yield "temperature"
    if "responseJsonSchema" in config:
        if config.get("responseMimeType") != "application/json":
            yield "responseMimeType is required"
        yield from _against_schema(config["responseJsonSchema"])
    if "logprobs" in config and not config.get("responseLogprobs"):
        yield "logprobs without responseLogprobs"


BUDGETS = {"gemini-2.5-pro": 128, "gemini-2.5-flash": 1, "gemini-2.5-flash-lite": 512}


def _against_thinking(config: Dict | None, model: BaseAIModel) -> Iterator[str]:
    if config is None:
        return
    what = model.get_settings()
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    if not what.supports_reasoning:
        yield "thinking is not supported"
    if level is not None and budget is not None:
        yield "a level and a budget"
    levels = [effort.upper() for effort in what.supported_reasoning_efforts or ()]
    if level is not None and level not in levels:
        yield f"level {level}"
    if budget is not None and what.reasoning_control == "effort":
        yield "a budget"
    least = BUDGETS.get(model.model_name, 1)
    zero = budget == 0 and "thinkingBudget.0" not in what.unsupported_parameters
    in_range = budget is None or least <= budget <= (what.max_reasoning_tokens or 0)
    if not (in_range or zero or budget == -1):
        yield f"budget {budget}"
    if budget == 0 and config.get("includeThoughts"):
        yield "include_thoughts is only enabled when thinking is enabled"


def _against_tools(
    sent: Mapping[str, Any], what: ChatModelSettings, quirks: Quirks
) -> Iterator[str]:
    tools: list[Dict] = sent.get("tools", [])
    functions = [f for entry in tools for f in entry.get("functionDeclarations", ())]
    own = [entry for entry in tools if "functionDeclarations" not in entry]
    names = [function["name"] for function in functions]
    if len(names) != len(set(names)):
        yield f"names {names}"
    for function in functions:
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}", function["name"]):
            yield f"name {function['name']}"
        yield from _against_schema(function.get("parametersJsonSchema", True))
    config = sent.get("toolConfig", {})
    yield from _against_calling(config.get("functionCallingConfig", {}), names)
    told = config.get("includeServerSideToolInvocations", False)
    refused = "toolConfig.includeServerSideToolInvocations" in what.unsupported_parameters
    if told and (refused or not quirks.server_side_tools):
        yield "Tool call context circulation is not enabled"
    if functions and own and not told:
        yield "Please enable tool_config.include_server_side_tool_invocations"
    if "googleSearch" in what.unsupported_parameters and {"googleSearch": {}} in own:
        yield "google_search"


def _against_calling(calling: Dict, names: list[str]) -> Iterator[str]:
    mode, allowed = calling.get("mode", "AUTO"), calling.get("allowedFunctionNames")
    if mode not in ("AUTO", "ANY", "NONE", "VALIDATED"):
        yield f"mode {mode}"
    if calling and not names:
        yield "function_calling_config without function_declarations"
    if allowed is not None and (mode not in ("ANY", "VALIDATED") or not set(allowed) <= set(names)):
        yield f"allowed {allowed}"


KEYWORDS = {
    *("$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items"),
    *("prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf"),
    *("properties", "additionalProperties", "required", "propertyOrdering"),
}


def _against_schema(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for part in schema:
            yield from _against_schema(part)
    elif isinstance(schema, dict):
        yield from schema.keys() - KEYWORDS
        if "$ref" in schema and not all(name.startswith("$") for name in schema):
            yield "beside $ref"
        if any(isinstance(value, bool) or value is None for value in schema.get("enum", ())):
            yield "enum"
        for name, part in schema.items():
            if name in ("properties", "$defs"):
                yield from _against_schema(list(part.values()))
            elif name in ("items", "anyOf", "prefixItems", "additionalProperties"):
                yield from _against_schema(part)


# --- every model, every config


def test_a_plain_call() -> None:
    wire = build(messages=["hi"], model=PLAIN)
    assert wire == WireRequest(
        path="/v1beta/models/gemini-2.0-flash:generateContent",
        headers={"content-type": "application/json", "accept": "application/json"},
        body={"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        adjustments=[],
    )
    streamed = build(messages=["hi"], model=PLAIN, streaming=True)
    assert streamed.body == wire.body
    assert streamed.path == "/v1beta/models/gemini-2.0-flash:streamGenerateContent?alt=sse"
    assert streamed.headers["accept"] == "text/event-stream"


LIMITS = (None, 1, 100, 500, 1000, 20_000, 100_000)
REASONING: tuple[Dict, ...] = (
    {},
    {"reasoning": True},
    {"reasoning": True, "max_reasoning_tokens": 100},
    {"reasoning": True, "max_reasoning_tokens": 100_000, "reasoning_effort": "minimal"},
    {"reasoning": True, "reasoning_effort": "max"},
    {"reasoning_effort": "medium"},
)
TOOLS: tuple[Dict, ...] = (
    {},
    {"tools": [tool()]},
    {"tools": [tool()], "tool_choice": FORCED[0]},
    {"tools": [tool()], "tool_choice": FORCED[1], "structured_output": OUTPUT},
    {"tools": [tool()], "hosted_tools": [SEARCH], "tool_choice": ToolChoice()},
    {"hosted_tools": [SEARCH], "tool_choice": ToolChoice(type=None)},
    {"hosted_tools": [SEARCH], "structured_output": OUTPUT},
    {"tool_choice": FORCED[0], "structured_output": OUTPUT},
    {"tools": [tool(strict=True, schema=SCHEMA)], "structured_output": OUTPUT},
    {"tools": [tool()], "structured_output": StructuredOutputConfig(output_schema=RECURSIVE)},
)


def assert_lacks(error: ConfigError, model: BaseAIModel, config: AIModelCallConfig) -> None:
    """The call was refused for a feature that was asked for, and that the model lacks."""
    if error.message.startswith("hosted_tools: "):
        assert config.hosted_tools
        alone = not config.tools and not config.structured_output
        assert not alone or "googleSearch" in model.get_settings().unsupported_parameters
    else:
        assert error.message.startswith(LACKS_REASONING)
        assert not model.get_settings().supports_reasoning


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("name", MODELS)
def test_no_model_and_config_lead_to_a_refusal(name: str, history: str) -> None:
    model = MODELS[name]
    limits = LIMITS if history in ("a question", "tools") else (None, 2048)
    _, turns = conversation(
        prompt=None, context=None, instructions=None, messages=HISTORIES[history]
    )
    for limit, reasoning, tools in itertools.product(limits, REASONING, TOOLS):
        config = AIModelCallConfig(max_output_tokens=limit, **reasoning, **tools)
        for quirks in (None, VERTEX):
            try:
                sent = build_turns(turns, config, model, quirks=quirks).body
            except ConfigError as error:
                assert_lacks(error, model, config)
            else:
                assert refusals(sent, model, quirks) == [], (config, sent)


SAMPLING = [
    dict(zip(("temperature", "top_k", "presence_penalty", "n", "logprobs"), values, strict=True))
    for values in itertools.product(
        (None, 0, 2), (None, 5), (None, 0.5), (None, 2), (None, True, 3)
    )
]


@pytest.mark.parametrize("name", MODELS)
def test_no_model_and_options_lead_to_a_refusal(name: str) -> None:
    model = MODELS[name]
    for options, reasoning in itertools.product(
        SAMPLING, {False, model.get_settings().supports_reasoning}
    ):
        sent = body(model=model, reasoning=reasoning, options=options)
        assert refusals(sent, model) == [], sent


TEXTS = st.text("ab \n", max_size=4)
IDS = st.sampled_from(["a", "a.b", "a_b", None])
SIGNATURES = st.none() | st.just("c2ln")
ITEMS = st.one_of(
    st.builds(text, TEXTS, SIGNATURES),
    st.builds(
        lambda words, at: text(words, "c2ln", **{SIGNED_SPAN: sorted(at)}),
        TEXTS,
        st.tuples(st.integers(0, 4), st.integers(0, 4)),
    ),
    st.builds(thought, TEXTS, SIGNATURES),
    st.sampled_from([generic(block) for block in (CODE, RAN, SEARCHED, FOUND, {})]),
)
CALLS = st.lists(st.tuples(IDS, SIGNATURES, st.booleans()), max_size=3)
MAKERS = st.sampled_from([GOOGLE, OTHER])
PLACES = st.sampled_from([None, *AIModelAPIProviderEnum])


@st.composite
def histories(draw: st.DrawFn) -> list[Any]:
    """Conversations whose calls are answered."""
    said: list[Any] = ["hi"]
    for items, calls in draw(st.lists(st.tuples(st.lists(ITEMS, max_size=4), CALLS), max_size=3)):
        made = [call(i, s, metadata={OWN_CALL_ID: True} if own else {}) for i, s, own in calls]
        said.append(response(*items, *made, provider=draw(MAKERS), place=draw(PLACES)))
        answers = [result(i, draw(TEXTS), is_error=draw(st.booleans())) for i, _, _ in calls]
        said += draw(st.permutations(answers))
        said += draw(st.lists(st.just("and?"), min_size=0 if calls else 1, max_size=1))
    return said


@settings(max_examples=150, deadline=None)
@given(
    said=histories(),
    model=st.sampled_from(list(MODELS.values())),
    limit=st.sampled_from(LIMITS),
    reasoning=st.sampled_from(REASONING),
    tools=st.sampled_from(TOOLS),
    sampling=st.sampled_from(SAMPLING),
    quirks=st.sampled_from([None, VERTEX]),
    streaming=st.booleans(),
)
def test_any_conversation_and_config_is_taken(
    said: list[Any],
    model: FoundationModel,
    limit: int | None,
    reasoning: Dict,
    tools: Dict,
    sampling: Dict,
    quirks: Quirks | None,
    streaming: bool,
) -> None:
    config = AIModelCallConfig(
        max_output_tokens=limit, streaming=streaming, options=sampling, **reasoning, **tools
    )
    before = deepcopy(said)
    try:
        wire = build(config, model=model, messages=said, instructions=["a", "b"], quirks=quirks)
    except ConfigError as error:
        assert_lacks(error, model, config)
        return
    assert refusals(wire.body, model, quirks) == []
    accepted(wire)
    assert said == before


# --- where it goes


def test_the_place_decides_on_the_path() -> None:
    path = build(model=EFFORT, streaming=True, quirks=VERTEX).path
    assert path == (
        "/v1beta1/publishers/google/models/gemini-3.5-flash:streamGenerateContent?alt=sse"
    )
    assert build(api_version_override="v1").path == "/v1/models/gemini-3.5-flash:generateContent"
    assert build(api_version_override="v1", quirks=VERTEX).path.startswith("/v1/publishers/")
    with pytest.raises(ConfigError, match=r"api_version_override: 'v2' is not one of v1, v1beta"):
        build(api_version_override="v2")


@pytest.mark.parametrize(
    ("name", "sent"),
    [("models/own", "own"), ("a/b?c#d e", "a%2Fb%3Fc%23d%20e"), ("a@1", "a@1")],
)
def test_the_models_name_is_one_segment_of_the_path(name: str, sent: str) -> None:
    assert build(model=EFFORT.clone(name)).path == f"/v1beta/models/{sent}:generateContent"


def test_the_dialect_decodes_what_it_asks_for() -> None:
    dialect = GeminiDialect()
    assert (dialect.name, dialect.quirks) == ("gemini", Quirks())
    assert isinstance(dialect.decoder(), GeminiDecoder)
    details = [{"reason": "API_KEY_INVALID"}]
    reply = msgspec.json.encode({"error": {"code": 400, "message": "no", "details": details}})
    error = dialect.error(ErrorReply(status=400, headers={}, body=reply))
    assert isinstance(error, AuthenticationError)


def test_headers() -> None:
    headers = build(options={"extra_headers": {"X-One": "1"}}).headers
    assert list(headers) == ["content-type", "accept", "x-one"]


# --- instructions, user, limits


def test_instructions_are_one_text() -> None:
    system = body(instructions=["Be brief.", " ", SystemInstruction(text="Be kind.")])
    assert system["systemInstruction"] == {"parts": [{"text": "Be brief. Be kind."}]}
    assert "systemInstruction" not in body()
    turns = [Turn("user", [TextPart("hi")])]
    assert "systemInstruction" not in build_turns(turns, system=[SystemInstruction(text=" ")]).body


def test_the_user_is_a_label_where_there_is_one() -> None:
    assert body(metadata={"user_id": "u-1"}, quirks=VERTEX)["labels"] == {"user": "u-1"}
    assert body(options={"user": 7}, quirks=VERTEX)["labels"] == {"user": "7"}
    both = body(metadata={"user": "a"}, options={"user": "b", "labels": {"c": "d"}}, quirks=VERTEX)
    assert both["labels"] == {"user": "a", "c": "d"}
    for wire in (build(metadata={"user": "u"}), build(metadata={"user": "U@x"}, quirks=VERTEX)):
        assert "labels" not in wire.body
        assert notes(wire) == ["user"]


def test_the_limit_on_output_is_the_models_at_most() -> None:
    assert "maxOutputTokens" not in generation()
    assert generation(max_output_tokens=10)["maxOutputTokens"] == 10
    assert generation(max_output_tokens=10**6)["maxOutputTokens"] == 65_536
    assert generation(max_output_tokens=10**6, reasoning=True)["maxOutputTokens"] == 64_000


@pytest.mark.parametrize("mode", ["provider_compaction", "provider_context_editing"])
def test_a_context_policy_of_the_providers_is_left_out(mode: str) -> None:
    assert notes(build(context_policy={"mode": mode})) == ["context_policy"]
    assert notes(build(context_policy={"mode": "fail_closed"})) == []


# --- thinking


@pytest.mark.parametrize(
    ("model", "fields", "sent"),
    [
        (EFFORT, {}, {"thinkingLevel": "MINIMAL"}),
        (chat.Gemini31ProPreview, {}, {"thinkingLevel": "LOW"}),
        (EFFORT, {"reasoning": True}, {"includeThoughts": True}),
        (EFFORT, {"reasoning": True, "reasoning_effort": "medium"},
            {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        (EFFORT, {"reasoning_effort": "medium"}, {"thinkingLevel": "MEDIUM"}),
        (chat.Gemini3Pro, {"reasoning_effort": "medium"}, {"thinkingLevel": "LOW"}),
        (EFFORT, {"reasoning_effort": "xhigh"}, {"thinkingLevel": "HIGH"}),
        (EFFORT, {"reasoning_effort": "max"}, {"thinkingLevel": "HIGH"}),
        (model_with(supported_reasoning_efforts=("low", "xhigh")), {"reasoning_effort": "max"},
            {"thinkingLevel": "XHIGH"}),
        (model_with(supported_reasoning_efforts=()), {}, None),
        (BUDGET, {}, {"thinkingBudget": 0}),
        (ALWAYS, {}, {"thinkingBudget": 128}),
        (BUDGET, {"reasoning": True}, {"includeThoughts": True, "thinkingBudget": -1}),
        (BUDGET, {"reasoning": True, "max_reasoning_tokens": 100},
            {"includeThoughts": True, "thinkingBudget": 100}),
        (BUDGET, {"reasoning": True, "max_reasoning_tokens": 10**6},
            {"includeThoughts": True, "thinkingBudget": 24_576}),
        (LITE, {"reasoning": True, "max_reasoning_tokens": 100},
            {"includeThoughts": True, "thinkingBudget": 512}),
        (LITE.clone("own"), {"reasoning": True, "max_reasoning_tokens": 100},
            {"includeThoughts": True, "thinkingBudget": 512}),
        (BUDGET, {"reasoning": True, "max_output_tokens": 4000},
            {"includeThoughts": True, "thinkingBudget": 3000}),
        (BUDGET, {"reasoning": True, "max_output_tokens": 4000, "max_reasoning_tokens": 3500},
            {"includeThoughts": True, "thinkingBudget": 3500}),
        (BUDGET, {"reasoning": True, "max_output_tokens": 10_921},
            {"includeThoughts": True, "thinkingBudget": 8191}),
        (BUDGET, {"reasoning": True, "max_output_tokens": 10_922},
            {"includeThoughts": True, "thinkingBudget": -1}),
        (LITE, {"reasoning": True, "max_output_tokens": 682},
            {"includeThoughts": True, "thinkingBudget": 512}),
        (BUDGET, {"reasoning_effort": "minimal"}, {"thinkingBudget": 1024}),
        (model_with(BUDGET), {"reasoning": True, "max_reasoning_tokens": 1},
            {"includeThoughts": True, "thinkingBudget": 1}),
        (BUDGET, {"reasoning_effort": "high"}, {"thinkingBudget": 24_576}),
        (BUDGET, {"reasoning": True, "max_output_tokens": 20_000},
            {"includeThoughts": True, "thinkingBudget": -1}),
        (LITE, {"reasoning": True, "max_output_tokens": 500}, {"thinkingBudget": 0}),
        (ALWAYS, {"reasoning": True, "max_output_tokens": 100},
            {"includeThoughts": True, "thinkingBudget": 128}),
        (BUDGET, {"reasoning": True, "reasoning_effort": "low"},
            {"includeThoughts": True, "thinkingBudget": 1024}),
        (BUDGET, {"reasoning_effort": "medium"}, {"thinkingBudget": 8192}),
        (ALWAYS, {"reasoning_effort": "max"}, {"thinkingBudget": 32_768}),
        (model_with(BUDGET, max_reasoning_tokens=None, reasoning_control="token_budget"),
            {"reasoning_effort": "max", "max_output_tokens": 8}, {"thinkingBudget": 6}),
        (PLAIN, {}, None),
        (model_with(reasoning_control="none"), {"reasoning": True}, None),
        (model_with(unsupported_parameters=("thinking_config",)), {"reasoning": True}, None),
    ],
)  # fmt: skip
def test_thinking_is_asked_for_as_the_model_takes_it(
    model: BaseAIModel, fields: Dict, sent: Dict | None
) -> None:
    assert thinking(model=model, **fields) == sent


def test_the_ground_of_a_model_knows_its_least_budget() -> None:
    own = msgspec.structs.replace(LITE.clone("own"), metadata={})
    assert thinking(model=own, reasoning=True, max_reasoning_tokens=1) == {
        "includeThoughts": True,
        "thinkingBudget": 512,
    }


# It reasons as it likes.
MUTE = model_with(EFFORT, reasoning_control="none")


@pytest.mark.parametrize(
    ("model", "fields", "noted"),
    [
        (EFFORT, {"reasoning": True}, []),
        (EFFORT, {"reasoning": True, "max_reasoning_tokens": 5}, ["max_reasoning_tokens"]),
        (EFFORT, {"reasoning_effort": "max"}, ["reasoning_effort"]),
        (BUDGET, {"reasoning": True, "max_reasoning_tokens": 5}, []),
        (BUDGET, {"reasoning": True, "max_reasoning_tokens": 10**6}, ["max_reasoning_tokens"]),
        (BUDGET, {"reasoning_effort": "low"}, ["reasoning_effort"]),
        (LITE, {"reasoning": True, "max_output_tokens": 9}, ["reasoning"]),
        (ALWAYS, {"reasoning": True, "max_output_tokens": 9}, ["reasoning"]),
        (PLAIN, {"options": {"thinking_config": {"thinking_budget": 0}}}, ["thinkingConfig"]),
        (MUTE, {"reasoning_effort": "low"}, ["reasoning_effort"]),
        (BUDGET, {"options": {"thinking_config": {"thinking_level": "LOW"}}}, ["thinkingLevel"]),
    ],
)
def test_what_is_not_asked_for_is_noted(model: BaseAIModel, fields: Dict, noted: list[str]) -> None:
    assert notes(build(model=model, **fields)) == noted


@pytest.mark.parametrize(
    ("model", "given", "sent"),
    [
        (EFFORT, {"thinking_config": {"thinking_level": "high"}}, {"thinkingLevel": "high"}),
        (EFFORT, {"thinking_config": {"thinking_budget": 9}}, {"thinkingBudget": 9}),
        (EFFORT, {"thinking_config": {}}, None),
        (BUDGET, {"generation_config": {"thinkingConfig": {"thinkingBudget": 9}}},
            {"thinkingBudget": 9}),
        (BUDGET, {"thinking_config": {"thinking_level": "LOW"}}, None),
    ],
)  # fmt: skip
def test_thinking_given_in_options_wins(model: BaseAIModel, given: Dict, sent: Dict | None) -> None:
    assert thinking(model=model, reasoning=True, options=given) == sent


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thinking_config": 5}, r"options\['thinking_config'\]: expected a dict"),
        ({"thinking_config": {"thinking_level": "LOW", "thinking_budget": 5}},
            r"^options\['thinking_config'\]: give a level or a budget, not both$"),
        ({"generation_config": []}, r"options\['generation_config'\]: expected a dict"),
        ({"generation_config": {"max_output_tokens": 5}},
            r"^options\['generation_config'\]: give maxOutputTokens as \w+\.max_output_tokens$"),
        ({"max_tokens": 5}, r"options\['max_tokens'\]: give it as AIModelCallConfig.max_output_"),
        ({"system_instruction": "x"}, r"options\['system_instruction'\]: give it as instructions"),
        ({"contents": []}, r"options\['contents'\]: give it as messages"),
        ({"temperature": 2.1}, r"options\['temperature'\]: expected a number from 0 to 2"),
        ({"top_p": "x"}, r"options\['top_p'\]: expected a number from 0 to 1"),
        ({"topK": 0}, r"options\['topK'\]: expected a number from 1 to"),
        ({"generation_config": {"top_p": 2}}, r"options\['topP'\]: expected a number"),
        ({"n": 9}, r"options\['candidateCount'\]: expected a number from 1 to 8"),
        ({"stop": 5}, r"options\['stop'\]: expected text or a list of texts"),
        ({"tools": 5}, r"options\['tools'\]: expected a list of dicts"),
        ({"tool_choice": {"type": "auto"}},
            r"^options\['tool_choice'\]: expected .* or use AIModelCallConfig.tool_choice or "),
        ({"tool_choice": []}, r"'required'; or use .* or options\['tool_config'\]$"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_meant_are_named(options: Dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(options=options)


# --- sampling and other options


def test_options_go_where_they_belong_and_merge_last() -> None:
    options = {
        "temperature": 0.5,
        "top_p": 0.9,
        "topK": 3,
        "seed": 7,
        "response_modalities": ["TEXT"],
        "generation_config": {"speech_config": {"language_code": "de"}, "unknown_yet": 1},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "cached_content": "cachedContents/1",
        "labels": {"a_b": "c"},
        "service_tier": "flex",
        "another_unknown": {"in_it": [{"as_well": None}]},
    }
    before = deepcopy(options)
    sent = body(model=PLAIN, options=options)
    assert sent.pop("contents")
    assert sent == {
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "cachedContent": "cachedContents/1",
        "labels": {"a_b": "c"},
        "serviceTier": "flex",
        "anotherUnknown": {"inIt": [{"asWell": None}]},
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 3,
            "seed": 7,
            "responseModalities": ["TEXT"],
            "speechConfig": {"languageCode": "de"},
            "unknownYet": 1,
        },
    }
    assert options == before


@pytest.mark.parametrize(
    ("options", "sent", "noted"),
    [
        ({"stop": "x"}, {"stopSequences": ["x"]}, []),
        ({"stop": ["x", "", "y"], "stop_sequences": ["x", "\n"]},
            {"stopSequences": ["x", "y", "\n"]}, []),
        ({"generation_config": {"stop_sequences": ["z"]}}, {"stopSequences": ["z"]}, []),
        ({"stop": list("abcde")}, {"stopSequences": list("abcde")}, []),
        ({"stop": list("abcdefg")}, {"stopSequences": list("abcde")}, ["stop_sequences"]),
        ({"n": 2}, {"candidateCount": 2}, []),
        ({"n": 2, "candidate_count": 3}, {"candidateCount": 3}, []),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}, []),
        ({"logprobs": False}, {"responseLogprobs": False}, []),
        ({"logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}, []),
        ({"logprobs": 3, "response_logprobs": False}, {"responseLogprobs": False, "logprobs": 3},
            []),
        ({"presence_penalty": 1}, {"presencePenalty": 1}, []),
        ({"logit_bias": {}, "min_p": 1}, {}, ["options['logit_bias']", "options['min_p']"]),
        ({"response_format": {"type": "json_object"}}, {}, ["options['response_format']"]),
        ({"responseFormat": [{}]}, {"responseFormat": [{}]}, []),
        ({"parallel_tool_calls": False}, {}, ["tool_choice.parallel"]),
        ({"parallel_tool_calls": True, "temperature": None}, {}, []),
    ],
)  # fmt: skip
def test_options_of_other_apis_are_translated_or_left_out(
    options: Dict, sent: Dict, noted: list[str]
) -> None:
    wire = build(model=PLAIN, options=options)
    assert wire.body.get("generationConfig", {}) == sent
    assert notes(wire) == noted


@pytest.mark.parametrize(
    ("model", "options", "gone"),
    [
        (EFFORT, {"presence_penalty": 1, "n": 2}, ["presencePenalty", "candidateCount"]),
        (BUDGET, {"frequency_penalty": 1, "n": 2}, ["frequencyPenalty"]),
        (model_with(unsupported_parameters=("top_k", "safety_settings")),
            {"topK": 1, "safety_settings": []}, ["topK", "safetySettings"]),
        (model_with(exclusive_parameters=(("top_p", "temperature"),)),
            {"temperature": 1, "top_p": 1}, ["temperature"]),
    ],
)  # fmt: skip
def test_options_that_the_model_refuses_are_left_out(
    model: BaseAIModel, options: Dict, gone: list[str]
) -> None:
    wire = build(model=model, options=options)
    assert notes(wire) == gone
    assert not {**wire.body, **wire.body["generationConfig"]}.keys() & set(gone)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"context_policy": {"mode": "provider_compaction"}},
            "context_policy: left out, the API has no provider_compaction"),
        ({"options": {"stop": list("abcdef")}},
            "stop_sequences: only the first 5 kept, no more are taken"),
        ({"metadata": {"user": "u"}}, "user: left out, the API has no field for it"),
        ({"metadata": {"user": "U"}, "quirks": VERTEX},
            "user: left out, a label takes up to 63 of a-z, 0-9, _ and - only"),
        ({"max_reasoning_tokens": 5, "reasoning": True},
            "max_reasoning_tokens: left out, the model takes an effort"),
        ({"model": LITE, "reasoning": True, "max_output_tokens": 9},
            "reasoning: no tokens, max_output_tokens has no room for 512 and the answer"),
        ({"model": ALWAYS, "reasoning": True, "max_output_tokens": 9},
            "reasoning: 128 tokens, max_output_tokens has no room for 128 and the answer"),
        ({"model": BUDGET, "reasoning": True, "max_reasoning_tokens": 10**6},
            "max_reasoning_tokens: 24576, for the model or max_output_tokens"),
        ({"model": BUDGET, "reasoning_effort": "low"},
            "reasoning_effort: as a budget of tokens, for the model takes no effort"),
        ({"hosted_tools": [WebSearchHostedTool()], "tool_choice": ToolChoice(type=None)},
            "hosted_tools: left out, no tool is to be called"),
        ({"hosted_tools": [WebSearchHostedTool(max_uses=1)]},
            "hosted_tools: max_uses: left out, this web search has no such option"),
        ({"tool_choice": FORCED[0]}, "tool_choice: left out, there are no functions"),
        ({"tools": [tool()], "tool_choice": ToolChoice(parallel=False)},
            "tool_choice.parallel: left out, the API may always call several at once"),
        ({"options": {"tools": [{"type": "function"}]}},
            "options['tools'] (function): left out, it is of another API's form"),
        ({"options": {"cached_content": "c"}, "instructions": ["a"]},
            "systemInstruction: left out, it belongs to the cached content"),
        ({"options": {"logit_bias": {}}},
            "options['logit_bias']: left out, the Gemini API has no such field"),
        ({"tools": [tool(strict=True, schema={"type": "object", "properties": {
            "at": {"type": "string", "pattern": "a", "maxLength": 1}}})]},
            "tool 'look': told in words, not enforced: maxLength, pattern"),
    ],
)  # fmt: skip
def test_what_is_changed_is_told_in_words(fields: Dict, told: str) -> None:
    assert build(**fields).adjustments == [told]


# --- tools


def test_functions() -> None:
    schema = {
        "type": "object",
        "properties": {"kind": {"type": "string", "enum": ["a_b", "c"], "minLength": 1}},
        "required": ["kind"],
    }
    bare = ToolDefinition.from_schema("bare", {"type": "object", "properties": {}})
    wire = build(tools=[tool(schema=schema), bare])
    kind = {"type": "string", "enum": ["a_b", "c"], "description": '{"minLength":1}'}
    assert accepted(wire)["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "look",
                    "description": "Looks.",
                    "parametersJsonSchema": {**schema, "properties": {"kind": kind}},
                },
                {"name": "bare"},
            ]
        }
    ]
    assert "toolConfig" not in wire.body
    assert notes(wire) == []


def test_a_strict_function_is_validated() -> None:
    schema = {"type": "object", "properties": {"at": {"type": "string", "pattern": "a"}}}
    wire = build(tools=[tool(strict=True, schema=schema)])
    assert wire.body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert wire.adjustments == ["tool 'look': told in words, not enforced: pattern"]
    forced = body(tools=[tool(strict=True)], tool_choice=FORCED[0])
    assert forced["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    model = model_with(unsupported_parameters=("functionCallingConfig.VALIDATED",))
    assert "toolConfig" not in body(model=model, tools=[tool(strict=True)])


def test_names_that_the_api_does_not_take() -> None:
    with pytest.raises(ConfigError, match="tool '1st': the API takes names that begin with a"):
        build(tools=[tool("1st")])
    raw = {"functionDeclarations": [{"name": "look"}, {}]}
    with pytest.raises(ConfigError, match="two tools are named 'look'"):
        build(tools=[tool()], options={"tools": [raw]})


ANY = {"functionCallingConfig": {"mode": "ANY"}}
ONE = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}}
NONE = {"functionCallingConfig": {"mode": "NONE"}}
AUTO = {"functionCallingConfig": {"mode": "AUTO"}}


@pytest.mark.parametrize(
    ("fields", "sent", "noted"),
    [
        ({}, None, []),
        ({"tool_choice": ToolChoice()}, AUTO, []),
        ({"tool_choice": FORCED[0]}, ANY, []),
        ({"tool_choice": FORCED[1]}, ONE, []),
        ({"tool_choice": ToolChoice(type=None)}, NONE, []),
        ({"tool_choice": ToolChoice(type="one_or_more", parallel=False)}, ANY,
            ["tool_choice.parallel"]),
        ({"options": {"tool_choice": "required"}}, ANY, []),
        ({"options": {"tool_choice": "auto"}, "tool_choice": FORCED[0]}, AUTO, []),
        ({"options": {"tool_config": {"function_calling_config": {"mode": "NONE"}}},
            "tool_choice": FORCED[0]}, NONE, []),
        ({"model": model_with(unsupported_parameters=("functionCallingConfig.ANY",)),
            "tool_choice": FORCED[0]}, None, ["tool_choice (ANY)"]),
    ],
)  # fmt: skip
def test_the_tool_choice_is_really_made(fields: Dict, sent: Dict | None, noted: list[str]) -> None:
    wire = build(tools=[tool()], **fields)
    assert wire.body.get("toolConfig") == sent
    assert notes(wire) == noted


def test_without_functions_there_is_no_choice() -> None:
    wire = build(tool_choice=FORCED[0])
    assert "toolConfig" not in wire.body
    assert notes(wire) == ["tool_choice"]
    assert notes(build(tool_choice=ToolChoice(type=None))) == []
    config = {"tool_config": {"function_calling_config": {"mode": "ANY"}}}
    assert "toolConfig" not in build(options=config).body
    assert body(options={"tool_config": "x"}).get("toolConfig") is None
    where = {"retrieval_config": {"language_code": "de"}}
    kept = body(options={"tool_config": where | config["tool_config"]})["toolConfig"]
    assert kept == {"retrievalConfig": {"languageCode": "de"}}


def test_hosted_search() -> None:
    assert accepted(build(hosted_tools=[SEARCH]))["tools"] == [{"googleSearch": {}}]
    search = WebSearchHostedTool(blocked_domains=["a.com"], max_uses=2, search_context_size="low")
    wire = build(hosted_tools=[search])
    assert wire.body["tools"] == [{"googleSearch": {}}]
    assert notes(wire) == ["hosted_tools"] * 3
    on_vertex = build(hosted_tools=[search], quirks=VERTEX)
    assert accepted(on_vertex)["tools"] == [{"googleSearch": {"excludeDomains": ["a.com"]}}]
    where = WebSearchHostedTool(user_location=HostedToolUserLocation(city="Rome"))
    assert "user_location" in build(hosted_tools=[where]).adjustments[0]


MIXED = {"includeServerSideToolInvocations": True}


@pytest.mark.parametrize(
    ("fields", "tools", "config", "noted"),
    [
        ({}, 2, MIXED, []),
        ({"tool_choice": ToolChoice()}, 2, MIXED, []),
        ({"tool_choice": FORCED[0]}, 2, MIXED | ANY, []),
        ({"tool_choice": ToolChoice(type=None)}, 1, NONE, ["hosted_tools"]),
        ({"structured_output": OUTPUT}, 2, MIXED, ["structured_output"]),
    ],
)  # fmt: skip
def test_tools_of_the_apis_own_go_with_functions_where_they_can(
    fields: Dict, tools: int, config: Dict | None, noted: list[str]
) -> None:
    wire = build(tools=[tool()], hosted_tools=[SEARCH], **fields)
    assert len(wire.body["tools"]) == tools
    assert wire.body.get("toolConfig") == config
    assert notes(wire) == noted


def test_a_search_says_which_of_its_options_there_are_not() -> None:
    given: Dict = {
        "user_location": HostedToolUserLocation(city="Rome"),
        "max_uses": 2,
        "search_context_size": "low",
        "external_web_access": False,
        "return_token_budget": "default",
        "blocked_domains": ["b.com"],
    }
    told = build(hosted_tools=[WebSearchHostedTool(**given)]).adjustments
    assert [note.split(": ")[1] for note in told] == list(given)
    (only,) = build(hosted_tools=[WebSearchHostedTool(allowed_domains=["a.com"])]).adjustments
    assert "allowed_domains" in only


@pytest.mark.parametrize(
    ("fields", "beside"),
    [
        ({"tools": [tool()]}, "functions, of which structured output may be one"),
        ({"structured_output": OUTPUT}, "structured output"),
    ],
)
def test_tools_of_the_apis_own_that_go_with_nothing_else_are_refused(
    fields: Dict, beside: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build(model=BUDGET, hosted_tools=[SEARCH], **fields)
    assert str(caught.value) == (
        f"hosted_tools: {BUDGET.model_name} does not take them together with {beside} here. Use "
        "another model or another provider, or leave one of the two out; or, if it does, declare "
        "it in the model's settings (unsupported_parameters, exclusive_parameters)"
    )


def test_a_search_that_the_model_has_not_is_refused() -> None:
    model = model_with(unsupported_parameters=("google_search",))
    with pytest.raises(ConfigError) as caught:
        build(model=model, hosted_tools=[SEARCH])
    assert str(caught.value) == (
        "hosted_tools: like has no web search here. Use another model or another provider, or "
        "leave hosted_tools out; or, if it has, declare it: no 'googleSearch' in the model's "
        "unsupported_parameters"
    )


def test_raw_tools() -> None:
    options = {
        "tools": [
            {"code_execution": {}},
            {
                "function_declarations": [{"name": "raw", "parameters": {"a_b": 1}}],
                "url_context": {},
            },
            {"function_declarations": None},
            {"type": "function", "name": "of_openai"},
        ]
    }
    wire = build(tools=[tool()], options=options)
    functions, *own = wire.body["tools"]
    assert [function["name"] for function in functions["functionDeclarations"]] == ["look", "raw"]
    assert functions["functionDeclarations"][1]["parameters"] == {"a_b": 1}
    assert own == [{"codeExecution": {}}, {"urlContext": {}}]
    assert notes(wire) == ["options['tools'] (function)"]


# --- structured output


def test_structured_output_by_schema() -> None:
    before = deepcopy(SCHEMA)
    wire = build(structured_output=OUTPUT, options={"temperature": 0})
    assert wire.output_tool is None
    assert accepted(wire)["generationConfig"] == {
        "thinkingConfig": {"thinkingLevel": "MINIMAL"},
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "object",
            "properties": {
                "at": {
                    "type": "integer",
                    "minimum": 1,
                    "description": 'where\n\n{"multipleOf":2}',
                },
                "near": {"anyOf": [{"$ref": "#/$defs/Near"}, {"type": "null"}]},
                "kind": {"anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}]},
            },
            "required": ["at"],
            "$defs": {
                "Near": {
                    "type": "object",
                    "properties": {"by": {"type": "string", "enum": ["x"]}},
                }
            },
        },
        "temperature": 0,
    }
    assert wire.adjustments == ["structured_output: told in words, not enforced: multipleOf"]
    assert before == SCHEMA
    plain = StructuredOutputConfig(output_schema={"properties": {"at": {"type": "string"}}})
    assert notes(build(structured_output=plain)) == []


BY_TOOL = model_with(structured_output="tool")
OUTPUT_ONLY = {"functionCallingConfig": {
    "mode": "ANY", "allowedFunctionNames": ["structured_output"]}}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "name", "config"),
    [
        ({"model": BY_TOOL}, "structured_output", OUTPUT_ONLY),
        ({"model": BY_TOOL, "tool_choice": FORCED[0]}, "structured_output", OUTPUT_ONLY),
        ({"model": BY_TOOL, "tools": [tool()]}, "structured_output", ANY),
        ({"model": BUDGET, "tools": [tool()]}, "structured_output", ANY),
        ({"model": BUDGET, "tools": [tool()], "tool_choice": FORCED[1]}, "structured_output", ONE),
        ({"model": BUDGET, "tools": [tool()], "tool_choice": ToolChoice(type=None)},
            "structured_output", OUTPUT_ONLY),
        ({"model": BUDGET, "tools": [tool("structured_output")]}, "structured_output_", ANY),
        ({"model": model_with(unsupported_parameters=("response_json_schema",))},
            "structured_output", OUTPUT_ONLY),
        ({"tools": [tool()]}, None, None),
        ({"model": BUDGET}, None, None),
    ],
)  # fmt: skip
def test_structured_output_by_a_function(
    fields: Dict, name: str | None, config: Dict | None
) -> None:
    wire = build(structured_output=OUTPUT, **fields)
    assert wire.output_tool == name
    assert wire.body.get("toolConfig") == config
    assert ("responseJsonSchema" in wire.body["generationConfig"]) == (name is None)
    if name is not None:
        assert wire.body["tools"][0]["functionDeclarations"][-1]["name"] == name
    accepted(wire)


def test_the_request_says_how_many_answers_it_asks_for() -> None:
    assert (build().choices, build(model=PLAIN, options={"n": 2}).choices) == (1, 2)


def test_a_search_goes_before_a_raw_media_type() -> None:
    mime = {"response_mime_type": "application/json"}
    raw = build(model=BUDGET, hosted_tools=[SEARCH], options=mime)
    assert "responseMimeType" not in raw.body["generationConfig"]
    assert notes(raw) == ["responseMimeType"]


def test_cached_content_holds_instructions_and_tools() -> None:
    fields: Dict = {"instructions": ["a"], "tools": [tool()], "tool_choice": FORCED[0]}
    fields["options"] = {"cached_content": "cachedContents/1"}
    wire = build(**fields)
    assert accepted(wire).keys() == {"contents", "cachedContent", "generationConfig"}
    assert notes(wire) == ["systemInstruction", "tools", "toolConfig"]
    native = build(model=BUDGET, structured_output=OUTPUT, **fields)
    assert native.output_tool is None
    assert "responseJsonSchema" in native.body["generationConfig"]
    with pytest.raises(
        ConfigError,
        match=r"^structured_output: cannot be had of this model beside .*, which holds all tools$",
    ):
        build(model=BY_TOOL, structured_output=OUTPUT, **fields)


def test_structured_output_is_an_object() -> None:
    for schema in ({"type": "array", "items": {"type": "string"}}, {"$ref": "#/$defs/Gone"}):
        config = StructuredOutputConfig(output_schema=schema)
        with pytest.raises(ConfigError, match="structured_output: the schema's type must be 'obj"):
            build(structured_output=config)


@pytest.mark.parametrize(
    ("schema", "made", "lost"),
    [
        ({"properties": {"a": {"type": "string", "format": "date"}}}, ..., set()),
        ({"properties": {"a": {"type": "string", "format": "email"}}},
            {"properties": {"a": {"type": "string", "description": '{"format":"email"}'}}},
            {"format"}),
        ({"properties": {"a": {"type": "object", "additionalProperties": {"const": 1}}}},
            {"properties": {"a": {"type": "object", "additionalProperties":
                {"type": "integer", "enum": [1]}}}}, set()),
        ({"additionalProperties": False}, ..., set()),
        ({"properties": {"a": {"enum": [None]}}}, {"properties": {"a": {"type": "null"}}}, set()),
        ({"properties": {"a": {"type": ["string", "null"], "enum": ["x", None]}}},
            {"properties": {"a": {"anyOf": [{"type": "string", "enum": ["x"]}, {"type": "null"}]}}},
            set()),
        ({"properties": {"a": {"type": ["string", "integer", "null"], "enum": ["x", 1, None]}}},
            {"properties": {"a": {"anyOf": [{"type": ["string", "integer"], "enum": ["x", 1]},
                {"type": "null"}]}}}, set()),
        ({"properties": {"a": {"enum": [True, False]}}},
            {"properties": {"a": {"type": "boolean", "description": '{"enum":[true,false]}'}}},
            {"enum"}),
        ({"properties": {"a": {"oneOf": [{"type": "string"}, True]}}},
            {"properties": {"a": {"anyOf": [{"type": "string"}, True]}}}, set()),
        ({"properties": {"a": {"type": "array", "prefixItems": [{"type": "string"}]}}}, ..., set()),
        ({"properties": {"a": {"$ref": "#", "description": "d"}}, "required": ["a"]},
            {"properties": {"a": {"$ref": "#"}}, "required": []}, {"required"}),
        ({"$ref": "#/definitions/A", "definitions": {"A": {"properties": {"b": {"type": "null"}}}}},
            {"properties": {"b": {"type": "null"}},
                "$defs": {"A": {"type": "object", "properties": {"b": {"type": "null"}}}}}, set()),
        (RECURSIVE, {
            "properties": {"first": {"$ref": "#/$defs/Node"}}, "required": ["first"],
            "$defs": {"Node": {"type": "object", "required": ["name"], "properties": {
                "next": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
                "name": {"type": "string"}}}}}, {"required"}),
        ({"$defs": {"A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}},
            "required": ["b"]}, "B": {"type": "object", "properties": {"c": {"$ref": "#/$defs/C"}},
            "required": ["c"]}, "C": {"type": "string"}}}, ..., set()),
    ],
)  # fmt: skip
def test_schemas(schema: Dict, made: Any, lost: set[str]) -> None:
    before, gone = deepcopy(schema), set[str]()
    expected = schema if made is ... else made
    assert gemini_schema(schema, gone) == {"type": "object", **expected}
    assert (gone, schema) == (lost, before)


# --- the user's turn


def parts(*messages: Any, at: int = -1, **fields: Any) -> list[Dict]:
    """The parts of the content ``at``, of a body that all agree on."""
    found: list[Dict] = accepted(build(messages=messages, **fields))["contents"][at]["parts"]
    return found


PNG = b"\x89PNG\r\n"
PNG64 = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("file", "part"),
    [
        (StoredFile.from_bytes(PNG, "a.png"), {"inlineData": {
            "mimeType": "image/png", "data": PNG64}}),
        (StoredFile.from_bytes(PNG, "a", "IMAGE/JPG; q=1"), {"inlineData": {
            "mimeType": "image/jpeg", "data": PNG64}}),
        (StoredFile.from_bytes(b"%PDF", "a.pdf"), {"inlineData": {
            "mimeType": "application/pdf", "data": "JVBERg=="}}),
        (StoredFile.from_bytes(b"a,b", "a.csv"), {"inlineData": {
            "mimeType": "text/csv", "data": "YSxi"}}),
        (StoredFile.from_bytes(b"{}", "a.json"), {"inlineData": {
            "mimeType": "text/plain", "data": "e30="}}),
        (StoredFile.from_bytes(b"x", "a.mp3"), {"inlineData": {
            "mimeType": "audio/mpeg", "data": "eA=="}}),
        (StoredFile.from_url("https://example.com/a.webp"), {"fileData": {
            "mimeType": "image/webp", "fileUri": "https://example.com/a.webp"}}),
        (StoredFile.from_url("https://example.com/a.txt"), {"fileData": {
            "mimeType": "text/plain", "fileUri": "https://example.com/a.txt"}}),
        (StoredFile.from_url("gs://b/a.mp4"), {"fileData": {
            "mimeType": "video/mp4", "fileUri": "gs://b/a.mp4"}}),
        (StoredFile.from_url("https://example.com/files/1"), {"fileData": {
            "fileUri": "https://example.com/files/1"}}),
    ],
)  # fmt: skip
def test_files(file: StoredFile, part: Dict) -> None:
    assert parts(Prompt(text="see", files=[file])) == [part, {"text": "see"}]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (StoredFile.from_bytes(b"x", "a.gif"), "file 'a.gif': media type 'image/gif' cannot be"),
        (
            StoredFile.from_url("https://example.com/a.gif"),
            "it takes image/png, image/jpeg.*audio, video and",
        ),
        (
            StoredFile.from_bytes(b"x", "a.gif"),
            r"and text \(is the type right\? it can be given\)$",
        ),
        (StoredFile.from_bytes(b"x", "a"), "'application/octet-stream' cannot be sent"),
        (StoredFile.from_bytes(b"", "a.png"), "file 'a.png': is empty"),
        (StoredFile.from_bytes(b" ", "a.txt"), "file 'a.txt': is empty"),
    ],
)
def test_files_that_cannot_be_sent_are_named(file: StoredFile, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(messages=[Prompt(text="see", files=[file])])


@pytest.mark.parametrize(
    ("output", "is_error", "sent"),
    [
        ("seen", False, {"output": "seen"}),
        (None, False, {"output": ""}),
        ({"a": 1}, False, {"a": 1}),
        ({"output": 1}, False, {"output": {"output": 1}}),
        ({"error": 1}, False, {"output": {"error": 1}}),
        ([1], False, {"output": [1]}),
        (3, False, {"output": 3}),
        (SystemInstruction(text="x"), False,
            {"text": "x", "variables": {}, "cache_control": None}),
        ("bad", True, {"error": "bad"}),
        ({"code": 1}, True, {"error": {"code": 1}}),
        ("", True, {"error": "The tool failed without a message."}),
        (None, True, {"error": "The tool failed without a message."}),
    ],
)  # fmt: skip
def test_tool_results(output: Any, is_error: bool, sent: Dict) -> None:
    answer = result(output=output, is_error=is_error)
    assert parts("hi", response(call()), answer) == [
        {"functionResponse": {"id": "c1", "name": "look", "response": sent}}
    ]


def test_results_come_first_and_in_the_order_of_their_calls() -> None:
    calls = response(invented("a"), call("b", name="see"), invented("a", name="hear"))
    said = ["hi", calls, "so", result("b", 1), result("a", 2), "and", result("a", 3)]
    assert parts(*said) == [
        {"functionResponse": {"name": "look", "response": {"output": 2}}},
        {"functionResponse": {"id": "b", "name": "see", "response": {"output": 1}}},
        {"functionResponse": {"name": "hear", "response": {"output": 3}}},
        {"text": "so"},
        {"text": "and"},
    ]


def test_a_result_that_answers_no_call_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^messages: the ToolCallResult for 'x' .* turn before it$"
    ):
        build_turns([Turn("user", [result("x")])])


def test_turns_that_cannot_be_sent() -> None:
    with pytest.raises(ConfigError, match=r"^messages: nothing in them can be sent$"):
        build_turns([Turn("user", [TextPart(" ")])])
    with pytest.raises(ConfigError, match=r"^messages: .* begin with the user, not the assistant$"):
        build(messages=[assistant("a"), "b"])
    with pytest.raises(ConfigError, match=r"^messages: a ChatResponse .* of the user's$"):
        build_turns([Turn("user", [response(text("a"))])])
    with pytest.raises(ConfigError, match=r"^messages: .* of the assistant's$"):
        build_turns([Turn("user", [TextPart("a")]), Turn("assistant", [result()])])
    file = StoredFile.from_bytes(PNG, "a.png")
    prompt = Prompt(role=PromptMessageRoleEnum.ASSISTANT, text="see", files=[file])
    with pytest.raises(ConfigError, match=r"^messages: 'a.png' .* of the assistant's$"):
        build(messages=["hi", prompt])


def test_empty_turns_are_dropped_and_their_neighbours_become_one() -> None:
    assert build(messages=HISTORIES["thoughts only"]).body["contents"] == [
        {"role": "user", "parts": [{"text": "hi"}, {"text": "and?"}]}
    ]


def test_a_model_may_go_on_with_its_own_turn_unless_it_refuses() -> None:
    assert parts("hi", assistant("It is ")) == [{"text": "It is "}]
    model = model_with(unsupported_parameters=("assistant_prefill",))
    with pytest.raises(ConfigError, match=r"^messages: like .* last message must be the user's$"):
        build(model=model, messages=["hi", assistant("It is ")])


# --- the model's turn


def test_an_answer_goes_back_byte_for_byte() -> None:
    signature = "c2ln+/=="
    answer = response(
        thought(" so\n"),
        thought("then", signature, **{SIGNED_SPAN: [4, 4]}),
        text(" \n"),
        text("abc", signature, **{SIGNED_SPAN: [1, 2]}),
        generic(CODE | {"thoughtSignature": signature}),
        generic(RAN),
        generic({"text": "", "thoughtSignature": signature}),
        generic(SEARCHED | {"thoughtSignature": signature}),
        generic({"inlineData": {"mimeType": "image/png", "data": PNG64}}),
        call("f1", signature, arguments={"a": [1, None]}, metadata={"partMetadata": {"x": 1}}),
        invented("f2"),
    )
    expected = [
        {"text": " so\n", "thought": True},
        {"text": "then", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": signature},
        {"text": " \n"},
        {"text": "a"},
        {"text": "b", "thoughtSignature": signature},
        {"text": "c"},
        CODE | {"thoughtSignature": signature},
        RAN,
        {"text": "", "thoughtSignature": signature},
        SEARCHED | {"thoughtSignature": signature},
        {"inlineData": {"mimeType": "image/png", "data": PNG64}},
        {
            "functionCall": {"id": "f1", "name": "look", "args": {"a": [1, None]}},
            "partMetadata": {"x": 1},
            "thoughtSignature": signature,
        },
        {"functionCall": {"name": "look", "args": {"at": "it"}}},
    ]
    before = deepcopy(answer)
    for given_back in (answer.to_message_item(), ChatResponse.from_dict(answer.model_dump())):
        said = ["hi", given_back, result("f1"), result("f2")]
        assert body(messages=said)["contents"][1]["parts"] == expected
    assert answer == before


TRACE = (
    *(thought("t", "s"), text(" "), text("a", "s"), generic(CODE | {"thoughtSignature": "s"})),
    *(generic(SEARCHED), generic(RAN | {"partMetadata": {}})),
    call("f:1", "s", name="1 look", metadata={"partMetadata": {}}),
)


@pytest.mark.parametrize(
    ("fields", "model", "expected"),
    [
        ({"provider": OTHER}, EFFORT, [
            {"text": "a"},
            {"functionCall": {"name": "_1_look", "args": {"at": "it"}},
                "thoughtSignature": PLACEHOLDER}]),
        ({"place": AIModelAPIProviderEnum.GOOGLE_VERTEX_AI}, EFFORT, [
            {"text": "t", "thought": True}, {"text": " "}, {"text": "a"}, CODE, RAN,
            {"functionCall": {"name": "_1_look", "args": {"at": "it"}},
                "thoughtSignature": PLACEHOLDER}]),
        ({}, PLAIN, [
            {"text": " "}, {"text": "a"}, CODE, RAN | {"partMetadata": {}},
            {"functionCall": {"id": "f:1", "name": "_1_look", "args": {"at": "it"}},
                "partMetadata": {}}]),
    ],
)  # fmt: skip
def test_to_others_goes_only_what_they_can_read(
    fields: Dict, model: BaseAIModel, expected: list[Dict]
) -> None:
    said = ["hi", response(*TRACE, **fields), result("f:1")]
    sent = body(messages=said, model=model)["contents"]
    assert sent[1]["parts"] == expected
    answered, called = sent[2]["parts"][0]["functionResponse"], expected[-1]["functionCall"]
    assert [answered.get("id"), answered["name"]] == [called.get("id"), called["name"]]


def test_a_place_that_does_not_tell_of_its_tools_does_not_take_it_back() -> None:
    sent = build(messages=HISTORIES["hosted tools"], quirks=VERTEX).body["contents"]
    assert sent[1]["parts"] == [{"text": "so"}]


def test_models_of_your_own_know_their_own_answers() -> None:
    settings_ = EFFORT.get_settings()
    custom = AIModelProviderEnum.CUSTOM
    own = FoundationModel(provider=custom, model_name="m", settings=settings_)
    other = FoundationModel(provider=custom, model_name="n", settings=settings_)
    said = ["hi", response(thought("t"), text("a", "c2ln"), provider=custom), "so?"]
    assert len(parts(*said, at=1, model=own)) == 2
    assert parts(*said, at=1, model=other) == [{"text": "a"}]


@pytest.mark.parametrize(
    ("said", "signed"),
    [
        (["hi", response(call("a"), call("b")), result("a"), result("b")], [True, False]),
        (["hi", response(call("a", "c2ln"), call("b")), result("a"), result("b")], [True, False]),
        (["hi", response(call("a"), call("b", "c2ln")), result("a"), result("b")], [True, True]),
        (["hi", response(call("a")), result("a"), response(call("b")), result("b")], [True, True]),
        (["hi", response(call("a")), result("a"), "also", response(call("b")), result("b")],
            [True, True]),
        (["hi", response(call("a")), result("a"), response(text("so")), "and?",
            response(call("b")), result("b")], [False, True]),
        (["hi", response(call("a")), result("a"), response(text("so")), "and?"], [False]),
    ],
)  # fmt: skip
def test_the_first_call_of_each_answer_in_the_turn_under_way_is_signed(
    said: list[Any], signed: list[bool]
) -> None:
    sent = accepted(build(messages=said))["contents"]
    calls = [part for content in sent for part in content["parts"] if "functionCall" in part]
    assert ["thoughtSignature" in part for part in calls] == signed
    unsigned = body(messages=said, model=BUDGET)["contents"]
    assert PLACEHOLDER not in str(unsigned)


@pytest.mark.parametrize(
    ("raw", "sent"), [('{"at": "i', {"INVALID_JSON": '{"at": "i'}), ("", {}), (None, {})]
)
def test_arguments_that_do_not_parse_go_as_an_object(raw: str | None, sent: Dict) -> None:
    broken = call(arguments={}, raw_arguments=raw, parse_error="cut")
    assert parts("hi", response(broken), result(), at=1)[0]["functionCall"]["args"] == sent


def test_a_call_without_a_name_is_given_one() -> None:
    sent = parts("hi", response(call(name="")), result(), at=1)
    assert sent[0]["functionCall"]["name"] == "unknown"


@pytest.mark.parametrize(
    ("name", "sent"),
    [("GetIt", "GetIt"), ("a.b:c-d", "a.b:c-d"), ("1 look", "_1_look"), ("n" * 200, "n" * 128)],
)
def test_the_name_of_a_call_is_of_the_apis_alphabet(name: str, sent: str) -> None:
    made, answered = (parts("hi", response(call(name=name)), result(), at=at)[0] for at in (1, 2))
    assert made["functionCall"]["name"] == answered["functionResponse"]["name"] == sent


def test_structured_output_goes_back_as_its_text() -> None:
    data = '{"at":1}'
    for facts, signature in (({}, {"thoughtSignature": "c2ln"}), ({"tool_call": {}}, {})):
        item = ChatResponseStructuredOutputContentItem(
            message_contents=[ChatMessageContentPart(type="output_text", text=data)],
            structured_output=ChatResponseStructuredOutput.from_text(data, OUTPUT),
            metadata={"thought_signature": "c2ln", **facts},
        )
        assert parts("hi", response(item), "so?", at=1) == [{"text": data, **signature}]


def test_what_says_nothing_is_left_out() -> None:
    items: list[ChatResponseContentItem] = [
        text(""),
        ChatResponseTextContentItem(),
        generic({}),
        generic({"text": "", "thought": True}),
        generic({"functionCall": "odd"}, "functionCall"),
        text("a"),
    ]
    assert parts("hi", response(*items), "so?", at=1) == [{"text": "a"}]
    empty = ChatResponse(model="m", provider=GOOGLE)
    turns = [Turn("user", [TextPart("hi")]), Turn("assistant", [TextPart("a"), empty])]
    assert build_turns(turns).body["contents"][-1]["parts"] == [{"text": "a"}]


def test_a_turn_may_have_several_texts() -> None:
    said = [Turn("user", [TextPart("hi")]), Turn("assistant", [TextPart("a"), TextPart("b")])]
    assert build_turns(said).body["contents"][1]["parts"] == [{"text": "a"}, {"text": "b"}]


def test_a_call_made_in_thought_says_something() -> None:
    (made,) = parts("hi", response(call(metadata={"thought": True})), result(), at=1)
    assert (made["functionCall"]["name"], made["thought"]) == ("look", True)


def test_only_the_first_choice_is_sent() -> None:
    answer = response(text("first"))
    answer.choices.append(ChatResponseChoice(index=1, contents=[text("second")]))
    assert parts("hi", answer, "so?", at=1) == [{"text": "first"}]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"contents": [{"role": "model", "parts": [{"text": "a"}]}]}, "0: role"),
        ({"contents": [{"role": "user", "parts": [{"text": ""}]}]}, "0: an empty text"),
        ({"contents": [{"role": "user", "parts": [{"functionResponse": {
            "name": "a", "response": {}}}]}]}, "0: calls [], responses"),
        ({"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [
            {"functionCall": {"name": "a", "args": {}}}]}]}, "a call without a response"),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}}, "level MINIMAL"),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 1}}}, "a budget"),
        ({"generationConfig": {"presencePenalty": 1}}, "no presencePenalty"),
        ({"generationConfig": {"top_k": 1}}, "unknown top_k"),
        ({"generationConfig": {"responseJsonSchema": {}}}, "responseMimeType is required"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "function_calling_config"),
        ({"tools": [{"functionDeclarations": [{"name": "a", "parametersJsonSchema": {
            "const": 1}}]}]}, "const"),
        ({"tools": [{"functionDeclarations": [{"name": "a"}]}, {"googleSearch": {}}]},
            "Please enable"),
    ],
)  # fmt: skip
def test_the_rules_of_this_test_bite(change: Dict, why: str) -> None:
    model = chat.Gemini31ProPreview
    good = body(model=model)
    assert refusals(good, model) == []
    assert any(found.startswith(why) for found in refusals(good | change, model))


# --- recorded answers and requests


def streamed_answer(recording: Recording) -> ChatResponse:
    return accumulate(decode([recording.body], GeminiDecoder()), provider=GOOGLE)


def received_parts(recording: Recording) -> list[Dict]:
    sse = SSEDecoder()
    events = [*sse.feed(recording.body), *sse.flush()]
    chunks = [msgspec.json.decode(event.data) for event in events if event.data.startswith(b"{")]
    candidates = [c["candidates"][0] for c in chunks if c.get("candidates")]
    return [part for c in candidates for part in c.get("content", {}).get("parts", ())]


@needs_corpus
def test_recorded_answers_go_back_as_they_came() -> None:
    wrong: dict[str, Any] = {}
    seen = 0
    for recording in streams("gemini"):
        if recording.status != 200 or b"partialArgs" in recording.body:
            continue
        received, answer = joined(received_parts(recording)), streamed_answer(recording)
        said = ["hi", answer, *(result(found.call_id) for found in answer.tools()), "and?"]
        contents = build(messages=said, model=BUDGET).body["contents"]
        sent = contents[1]["parts"] if len(contents) > 2 else []
        for part in received:
            if "functionCall" in part:
                part["functionCall"].setdefault("args", {})
        if any(not part.get("thought") for part in received) and joined(sent) != received:
            wrong[recording.id] = (joined(sent), received)
        seen += bool(received)
    assert wrong == {}
    assert seen > 250
