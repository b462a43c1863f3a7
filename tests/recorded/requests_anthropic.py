"""Recorded requests to the Messages API, said through the public types."""

import base64
from typing import Any

import msgspec
from corpus import Recording
from reading import accumulate
from sdk_types import accepted_by_anthropic

from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.dialects.base import WireRequest
from dhenara_stream.types.genai.ai_model import (
    AIModelAPIProviderEnum,
    AIModelProviderEnum,
    ChatModelSettings,
    FoundationModel,
)
from dhenara_stream.types.genai.dhenara.request import (
    AIModelCallConfig,
    HostedToolUserLocation,
    Prompt,
    StructuredOutputConfig,
    SystemInstruction,
    ToolCallResult,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)
from dhenara_stream.types.genai.dhenara.response import ChatResponse
from dhenara_stream.types.shared.file import StoredFile

from .requests import Dict, InexpressibleError, Requests, built

MARKED = "all but answers have marks: what a model said goes back as it was"
MAKER = AIModelProviderEnum.ANTHROPIC
CONTROLS = {"enabled": "token_budget", "adaptive": "effort"}
CHOICES = {"auto": "zero_or_more", "any": "one_or_more", "tool": "specific", "none": None}
FUNCTION_FIELDS = {"name", "description", "input_schema", "strict", "cache_control"}
SEARCH_FIELDS = {"type", "name", "max_uses", "allowed_domains", "blocked_domains", "user_location"}


def say(recording: Recording, asked: Dict) -> WireRequest:
    """The request that says what was recorded."""
    check_results(asked["messages"])
    return built(
        AnthropicDialect(),
        AIModelAPIProviderEnum.ANTHROPIC,
        named(asked),
        config(asked),
        [message for said in asked["messages"] for message in spoken(said)],
        instructions(asked.get("system") or []),
    )


def check_results(messages: list[Dict]) -> None:
    """See that each result answers a call."""
    blocks = [b for m in messages if isinstance(m["content"], list) for b in m["content"]]
    calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
    if any(b["type"] == "tool_result" and b["tool_use_id"] not in calls for b in blocks):
        raise InexpressibleError("a result that answers no call", "results belong to calls")


def named(asked: Dict) -> FoundationModel:
    """A model of that name, that takes what is asked of it."""
    control: Any = CONTROLS.get(asked.get("thinking", {}).get("type"), "none")
    settings = ChatModelSettings(
        max_context_window_tokens=10**7,
        max_output_tokens=10**6,
        max_reasoning_tokens=10**6,
        supports_reasoning=control != "none",
        reasoning_control=control,
        supported_reasoning_efforts=("low", "medium", "high", "xhigh", "max"),
    )
    return FoundationModel(provider=MAKER, model_name=asked["model"], settings=settings)


def config(asked: Dict) -> AIModelCallConfig:
    """All but the conversation."""
    given = {k: v for k, v in asked.items() if k not in ("model", "messages", "system")}
    fields: Dict = {
        "streaming": given.pop("stream"),
        **thinking(given),
        "max_output_tokens": given.pop("max_tokens"),
        **output(given),
        **choice(given),
    }
    tools = given.pop("tools", [])
    fields["tools"] = [function(tool) for tool in tools if not tool.keys() - FUNCTION_FIELDS]
    searches = [tool for tool in tools if is_search(tool)]
    fields["hosted_tools"] = [search(tool) for tool in searches]
    own = [tool for tool in tools if tool.keys() - FUNCTION_FIELDS and tool not in searches]
    return AIModelCallConfig(**fields, options={**given, "tools": own})


def thinking(given: Dict) -> Dict:
    """Thinking that the fields of a config can ask for; other goes as an option."""
    asked = given.get("thinking", {})
    most = given["max_tokens"] * 3 // 4  # a larger budget would be lowered
    if asked.keys() == {"type", "budget_tokens"} and asked["budget_tokens"] <= most:
        del given["thinking"]
        return {"reasoning": True, "max_reasoning_tokens": asked["budget_tokens"]}
    return {}


def output(given: Dict) -> Dict:
    """The schema that an answer has to keep, of this year's form or last year's."""
    told = dict(given.pop("output_config", {}))
    form = given.pop("output_format", None) or told.pop("format", None)
    if told:
        given["output_config"] = told
    if form and form["schema"].get("type") != "object":
        raise InexpressibleError("a schema of no object", "a structured output is one, everywhere")
    return (
        {"structured_output": StructuredOutputConfig(output_schema=form["schema"])} if form else {}
    )


def choice(given: Dict) -> Dict:
    asked = given.pop("tool_choice", None)
    if asked is None:
        return {}
    kind: Any = CHOICES[asked["type"]]
    parallel = not asked.get("disable_parallel_tool_use", False)
    chosen = ToolChoice(type=kind, specific_tool_name=asked.get("name"), parallel=parallel)
    return {"tool_choice": chosen}


def function(tool: Dict) -> ToolDefinition:
    made = ToolDefinition.from_schema(
        tool["name"], {"properties": {}, **tool["input_schema"]}, tool.get("description")
    )
    return made.model_copy(update={"strict": tool.get("strict"), "cache_control": mark(tool)})


def is_search(tool: Dict) -> bool:
    """Whether a tool is the web search that has a type of its own here."""
    return tool.get("type") == "web_search_20250305" and not tool.keys() - SEARCH_FIELDS


def search(tool: Dict) -> WebSearchHostedTool:
    place = tool.get("user_location")
    return WebSearchHostedTool(
        max_uses=tool.get("max_uses"),
        allowed_domains=tool.get("allowed_domains"),
        blocked_domains=tool.get("blocked_domains"),
        user_location=HostedToolUserLocation(**place) if place else None,
    )


def mark(block: Dict) -> Any:
    """The mark of a block for the cache."""
    given = block.get("cache_control")
    return given and given.get("ttl", "5m")


def instructions(system: Any) -> list[SystemInstruction]:
    blocks = [{"text": system}] if isinstance(system, str) else system
    return [SystemInstruction(text=block["text"], cache_control=mark(block)) for block in blocks]


# --- the conversation


def spoken(message: Dict) -> list[Any]:
    """The messages that say what one says."""
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if message["role"] == "assistant":
        return [answered(blocks)]
    return [USER[block["type"]](block) for block in blocks]


def answered(blocks: list[Dict]) -> ChatResponse:
    """The answer that has these blocks."""
    if any("cache_control" in block for block in blocks):
        raise InexpressibleError("a mark for the cache in an answer", MARKED)
    message = {"type": "message", "role": "assistant", "model": "m", "content": blocks}
    decoder = AnthropicDialect().decoder()
    return accumulate([decoder.decode_document(msgspec.json.encode(message))], provider=MAKER)


def text(block: Dict) -> Prompt:
    return Prompt(text=block["text"], cache_control=mark(block))


def file(block: Dict) -> Prompt:
    source = block["source"]
    if source["type"] == "file":
        raise InexpressibleError(
            "a file that was uploaded before", "files are sent as data or as an address"
        )
    if source["type"] == "url":
        kind = "image/png" if block["type"] == "image" else "application/pdf"
        found = StoredFile.from_url(source["url"], block.get("title", ""), kind)
        return Prompt(text="", files=[found], cache_control=mark(block))
    if source["data"].startswith("<elided"):
        raise InexpressibleError(
            "a file whose bytes are not in the recording", "there is nothing to send"
        )
    as_text = source["type"] == "text"
    data = source["data"].encode() if as_text else base64.b64decode(source["data"])
    found = StoredFile.from_bytes(data, block.get("title", ""), source["media_type"])
    return Prompt(text="", files=[found], cache_control=mark(block))


def result(block: Dict) -> ToolCallResult:
    return ToolCallResult(
        call_id=block["tool_use_id"],
        output=block["content"],
        is_error=block.get("is_error", False),
        cache_control=mark(block),
    )


USER: dict[str, Any] = {"text": text, "image": file, "document": file, "tool_result": result}


# --- both in one form


def plain(body: Dict) -> Dict:
    """The body in one of the forms that mean the same."""
    made = {name: value for name, value in body.items() if value not in (None, "", [], False)}
    made["messages"] = merged(body["messages"])
    made["system"] = plain_system(body.get("system") or [])
    made["tools"] = sorted(map(plain_tool, body.get("tools", [])), key=lambda tool: tool["name"])
    form = made.pop("output_format", None)
    config = dict(made.pop("output_config", {})) | ({"format": form} if form else {})
    if config:
        made["output_config"] = config
    chosen = {k: v for k, v in made.pop("tool_choice", {}).items() if v is not False}
    if chosen and chosen != {"type": "auto"} and made["tools"]:
        made["tool_choice"] = chosen
    return made


def plain_system(system: Any) -> Any:
    """Instructions without marks as their words."""
    blocks = [{"text": system}] if isinstance(system, str) else system
    if any("cache_control" in block for block in blocks):
        return [(block["text"], mark(block)) for block in blocks]
    return " ".join(" ".join(block["text"] for block in blocks).split())


def with_plain_mark(block: Dict) -> Dict:
    return {**block, "cache_control": mark(block)} if "cache_control" in block else block


def plain_tool(tool: Dict) -> Dict:
    made = with_plain_mark({k: v for k, v in tool.items() if v not in (None, False, "")})
    if "input_schema" in made:
        schema = {"properties": {}, **made["input_schema"]}
        made["input_schema"] = {k: v for k, v in schema.items() if (k, v) != ("required", [])}
    return made


def merged(messages: list[Dict]) -> list[Dict]:
    """The messages, neighbours of one role as one."""
    made: list[Dict] = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        blocks = [plain_block(block) for block in blocks if block.get("text", "said").strip()]
        if made and made[-1]["role"] == message["role"]:
            made[-1]["content"] += blocks
        else:
            made.append({"role": message["role"], "content": blocks})
    return made


def plain_block(block: Dict) -> Dict:
    made = with_plain_mark({k: v for k, v in block.items() if v not in (None, False)})
    if block["type"] == "tool_result" and isinstance(block["content"], list):
        texts = [part for part in block["content"] if part.keys() == {"type", "text"}]
        if len(texts) == len(block["content"]) == 1:
            made["content"] = texts[0]["text"]
    return made


def accepted(wire: WireRequest) -> Dict:
    """The body, if the SDK has types for it; those of computer use are beta."""
    kinds = [tool.get("type", "") for tool in wire.body.get("tools", [])]
    beta = any(kind.startswith("computer_") for kind in kinds)
    return accepted_by_anthropic(wire, beta=beta)


REQUESTS = Requests("anthropic", say, plain, accepted)
