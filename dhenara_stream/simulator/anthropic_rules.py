"""What the Anthropic service accepts: the first complaint about a request's body, in its words.

The wording is what the service was seen to send, where that is public, and written in its style
where it is not; tests should match parts of it. Each rule is a generator of complaints. They run
in order and stop at the first one, so a rule may take for granted what an earlier one checks.

What a model refuses is decided by its name: family and version. Of names that are not known
(``my-proxy-model``) nothing is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ._json import array, object_, string
from .signatures import Judge, Verdict

__all__ = ["complaint"]

_Object: TypeAlias = dict[str, Any]
_Complaints: TypeAlias = Iterator[str]

_DOCS = "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"


def complaint(body: _Object, *, betas: frozenset[str], judge: Judge) -> str | None:
    """What is wrong with a request's body, or ``None``.

    Args:
        body: The request's JSON.
        betas: The features that its ``anthropic-beta`` header names.
        judge: Tells whether a thinking block (text, signature) is as the service wrote it.
    """
    return next(_complaints(_Asked(body, betas, judge)), None)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request under examination."""

    body: _Object
    betas: frozenset[str]
    judge: Judge

    @property
    def model(self) -> _Model | None:
        return _model(string(self.body.get("model")))

    @property
    def thinking(self) -> str:
        """The kind of thinking asked for."""
        return string(object_(self.body.get("thinking")).get("type"))

    def blocks(self) -> Iterator[tuple[str, str, _Object]]:
        """Each content block with its path and its role; a string counts as a text block."""
        for number, message in enumerate(array(self.body.get("messages"))):
            for place, block in _blocks_of(message):
                yield f"messages.{number}.content.{place}", string(message.get("role")), block


def _blocks_of(message: _Object) -> Iterator[tuple[int, _Object]]:
    content = message.get("content")
    if isinstance(content, str):
        yield 0, {"type": "text", "text": content}
    for place, block in enumerate(array(content)):
        yield place, object_(block)


def _complaints(asked: _Asked) -> _Complaints:
    for rule in _RULES:
        yield from rule(asked)


# --- shapes ---------------------------------------------------------------------------------------

_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "Input should be a valid string"),
    "integer": ((int,), "Input should be a valid integer"),
    "number": ((int, float), "Input should be a valid number"),
    "boolean": ((bool,), "Input should be a valid boolean"),
    "object": ((dict,), "Input should be an object"),
    "list": ((list,), "Input should be a valid array"),
    "string or list": ((str, list), "Input should be a valid string or array"),
}

_REQUIRED = {"model": "string", "messages": "list", "max_tokens": "integer"}
_OPTIONAL = {
    "metadata": "object",
    "output_config": "object",
    "service_tier": "string",
    "stop_sequences": "list",
    "stream": "boolean",
    "system": "string or list",
    "temperature": "number",
    "thinking": "object",
    "tool_choice": "object",
    "tools": "list",
    "top_k": "integer",
    "top_p": "number",
}
# Those that may be null, and those whose shape is nobody's business here.
_OPEN = frozenset({"cache_control", "container", "diagnostics", "inference_geo", "speed"})
# Those that only a beta feature makes known.
_BETA = frozenset(
    {
        "billing_policy",
        "compaction",
        "context_management",
        "fallback_credit_token",
        "fallbacks",
        "mcp_servers",
        "output_format",
        "thread",
    }
)


def _typed(path: str, value: object, kind: str) -> _Complaints:
    types, message = _KINDS[kind]
    is_bool = isinstance(value, bool)
    if not isinstance(value, types) or (is_bool and bool not in types):
        yield f"{path}: {message}"


def _fields(path: str, holder: _Object, required: Mapping[str, str], optional: Any) -> _Complaints:
    """Complaints about an object's missing, mistyped and unknown fields."""
    for name, kind in required.items():
        if name not in holder:
            yield f"{path}{name}: Field required"
        yield from _typed(f"{path}{name}", holder[name], kind)
    for name in holder:
        if name not in required and name not in optional:
            yield f"{path}{name}: Extra inputs are not permitted"


def _top_level(asked: _Asked) -> _Complaints:
    known = {*_OPTIONAL, *_OPEN, *(_BETA if asked.betas else ())}
    yield from _fields("", asked.body, _REQUIRED, known)
    for name, kind in _OPTIONAL.items():
        if name in asked.body:
            yield from _typed(name, asked.body[name], kind)
    if not asked.body["model"]:
        yield "model: String should have at least 1 character"
    if not asked.body["messages"]:
        yield "messages: at least one message is required"
    if asked.body["max_tokens"] < 1:
        yield "max_tokens: Input should be greater than or equal to 1"


def _ranges(asked: _Asked) -> _Complaints:
    for name in ("temperature", "top_p"):
        value = asked.body.get(name, 0)
        if value < 0:
            yield f"{name}: Input should be greater than or equal to 0"
        if value > 1:
            yield f"{name}: Input should be less than or equal to 1"
    if asked.body.get("top_k", 0) < 0:
        yield "top_k: Input should be greater than or equal to 0"
    if asked.body.get("service_tier", "auto") not in ("auto", "standard_only"):
        yield "service_tier: Input should be 'auto' or 'standard_only'"
    yield from _fields("metadata.", object_(asked.body.get("metadata")), {}, {"user_id"})
    for number, stop in enumerate(array(asked.body.get("stop_sequences"))):
        yield from _typed(f"stop_sequences.{number}", stop, "string")
        if not stop.strip():
            yield "stop_sequences: each stop sequence must contain non-whitespace"


# --- messages and their blocks --------------------------------------------------------------------


def _messages(asked: _Asked) -> _Complaints:
    for number, message in enumerate(asked.body["messages"]):
        path = f"messages.{number}"
        yield from _typed(path, message, "object")
        yield from _fields(f"{path}.", message, {"role": "string", "content": "string or list"}, ())
        if message["role"] == "system":
            yield (
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
                'parameter, not "system" as an input message role.'
            )
        if message["role"] not in ("user", "assistant"):
            yield f"{path}.role: Input should be 'user' or 'assistant'"
    yield from _ends(asked.body["messages"])


def _ends(messages: list[_Object]) -> _Complaints:
    """Complaints about how a conversation begins and ends, and about empty messages."""
    if messages[0]["role"] != "user":
        yield 'messages: first message must use the "user" role'
    for number, message in enumerate(messages):
        is_prefill = message is messages[-1] and message["role"] == "assistant"
        if not message["content"] and not is_prefill:
            yield (
                f"messages.{number}: all messages must have non-empty content except for the "
                "optional final assistant message"
            )
    last = list(_blocks_of(messages[-1]))
    prefill = string(last[-1][1].get("text")) if last else ""
    if messages[-1]["role"] == "assistant" and prefill != prefill.rstrip():
        yield "messages: final assistant content cannot end with trailing whitespace"


_USER, _ASSISTANT = frozenset({"user"}), frozenset({"assistant"})
_BOTH = _USER | _ASSISTANT


@dataclass(frozen=True, slots=True)
class _BlockRule:
    roles: frozenset[str]
    required: Mapping[str, str]
    optional: frozenset[str]


def _block_rule(roles: frozenset[str], required: Mapping[str, str], *optional: str) -> _BlockRule:
    return _BlockRule(roles, required, frozenset({"type", *optional}))


_BLOCKS = {
    "text": _block_rule(_BOTH, {"text": "string"}, "cache_control", "citations"),
    "image": _block_rule(_USER, {"source": "object"}, "cache_control", "transformations"),
    "document": _block_rule(
        _USER, {"source": "object"}, "cache_control", "citations", "context", "title"
    ),
    "tool_use": _block_rule(
        _ASSISTANT,
        {"id": "string", "name": "string", "input": "object"},
        "cache_control",
        "caller",
        "toolset_name",
    ),
    "tool_result": _block_rule(
        _USER,
        {"tool_use_id": "string"},
        "cache_control",
        "content",
        "is_error",
        "toolset_name",
    ),
    "thinking": _block_rule(_ASSISTANT, {"thinking": "string", "signature": "string"}),
    "redacted_thinking": _block_rule(_ASSISTANT, {"data": "string"}),
}
# Blocks of server tools and of beta features: sent back as they came, looked into by nobody here.
_OTHER_BLOCK = re.compile(
    r"search_result|server_tool_use|mcp_tool_use|container_upload|compaction|fallback"
    r"|[a-z_]+_tool_result|tool_reference|tool_addition|tool_removal|mcp_tool_listing"
)
_ID = re.compile(r"[a-zA-Z0-9_-]+")


def _blocks(asked: _Asked) -> _Complaints:
    for path, role, block in asked.blocks():
        kind = string(block.get("type"))
        if not kind:
            yield f"{path}.type: Field required"
        if kind in _BLOCKS:
            yield from _known_block(path, role, kind, block)
        elif not _OTHER_BLOCK.fullmatch(kind):
            tags = ", ".join(f"'{tag}'" for tag in _BLOCKS)
            yield (
                f"{path}: Input tag '{kind}' found using 'type' does not match any of the "
                f"expected tags: {tags}"
            )


def _known_block(path: str, role: str, kind: str, block: _Object) -> _Complaints:
    rule = _BLOCKS[kind]
    yield from _fields(f"{path}.{kind}.", block, rule.required, rule.optional)
    if role not in rule.roles:
        number = path.split(".")[1]
        yield f"messages.{number}: `{kind}` blocks are not allowed in `{role}` messages"
    match kind:
        case "text":
            yield from _text("messages", block["text"])
        case "image" | "document":
            yield from _source(f"{path}.{kind}.source", kind, block["source"])
        case "tool_use":
            yield from _id(f"{path}.tool_use.id", block["id"])
        case "tool_result":
            yield from _id(f"{path}.tool_result.tool_use_id", block["tool_use_id"])
            yield from _result_content(path, block)
        case _:
            pass


def _text(path: str, text: str) -> _Complaints:
    if not text:
        yield f"{path}: text content blocks must be non-empty"
    if not text.strip():
        yield f"{path}: text content blocks must contain non-whitespace text"


def _id(path: str, value: str) -> _Complaints:
    if not _ID.fullmatch(value):
        yield f"{path}: String should match pattern '^[a-zA-Z0-9_-]+$'"


def _result_content(path: str, block: _Object) -> _Complaints:
    yield from _typed(f"{path}.tool_result.content", block.get("content", ""), "string or list")
    yield from _typed(f"{path}.tool_result.is_error", block.get("is_error", False), "boolean")
    for place, part in _blocks_of({"content": array(block.get("content"))}):
        inner = f"{path}.tool_result.content.{place}"
        if part.get("type") == "text":
            yield from _fields(f"{inner}.text.", part, {"text": "string"}, _BLOCKS["text"].optional)
        if "cache_control" in part:
            yield f"{inner}.cache_control: cache_control is not supported here"


_MEDIA_TYPES = {
    "image": ("image/jpeg", "image/png", "image/gif", "image/webp"),
    "document": ("application/pdf",),
}
_SOURCES: Mapping[str, Mapping[str, str]] = {
    "base64": {"media_type": "string", "data": "string"},
    "url": {"url": "string"},
    "file": {"file_id": "string"},
    "text": {"media_type": "string", "data": "string"},
    "content": {"content": "string or list"},
}


def _source(path: str, kind: str, source: _Object) -> _Complaints:
    tag = string(source.get("type"))
    known = [name for name in _SOURCES if kind == "document" or name not in ("text", "content")]
    if tag not in known:
        tags = ", ".join(f"'{name}'" for name in known)
        yield (
            f"{path}: Input tag '{tag}' found using 'type' does not match any of the expected "
            f"tags: {tags}"
        )
    yield from _fields(f"{path}.{tag}.", source, _SOURCES[tag], {"type"})
    allowed = ("text/plain",) if tag == "text" else _MEDIA_TYPES[kind]
    if source.get("media_type", allowed[0]) not in allowed:
        wanted = " or ".join(f"'{name}'" for name in allowed)
        yield f"{path}.{tag}.media_type: Input should be {wanted}"
    if source.get("data") == "":
        yield f"{path}.{tag}.data: String should have at least 1 character"


def _system(asked: _Asked) -> _Complaints:
    for place, block in enumerate(array(asked.body.get("system"))):
        yield from _typed(f"system.{place}", block, "object")
        required = {"type": "string", "text": "string"}
        yield from _fields(f"system.{place}.", block, required, _BLOCKS["text"].optional)
        yield from _text("system", block["text"])


# --- tools and their results ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Turn:
    """The messages in a row that have one role; the service reads them as one."""

    role: str
    number: int
    blocks: list[tuple[str, _Object]]

    def of(self, kind: str) -> list[tuple[str, _Object]]:
        return [(path, block) for path, block in self.blocks if block["type"] == kind]

    def leading_results(self) -> set[str]:
        """The calls that are answered before anything else is said."""
        answered: set[str] = set()
        for _, block in self.blocks:
            if block["type"] != "tool_result":
                break
            answered.add(block["tool_use_id"])
        return answered


def _turns(asked: _Asked) -> list[_Turn]:
    turns: list[_Turn] = []
    for path, role, block in asked.blocks():
        if not turns or turns[-1].role != role:
            turns.append(_Turn(role, int(path.split(".")[1]), []))
        turns[-1].blocks.append((path, block))
    return turns


def _pairs(asked: _Asked) -> _Complaints:
    """Each call is answered at once and once, and nothing else is."""
    turns = _turns(asked)
    ids = [block["id"] for turn in turns for _, block in turn.of("tool_use")]
    if len(ids) != len(set(ids)):
        yield "messages: `tool_use` ids must be unique"
    for turn, following in zip(turns, [*turns[1:], None], strict=True):
        answered = following.leading_results() if following else set[str]()
        missing = [block["id"] for _, block in turn.of("tool_use") if block["id"] not in answered]
        if missing:
            yield (
                f"messages.{turn.number}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after: {', '.join(missing)}. Each `tool_use` block must have a "
                "corresponding `tool_result` block in the next message."
            )
    for previous, turn in zip([None, *turns], turns, strict=False):
        yield from _results(previous, turn)


def _results(previous: _Turn | None, turn: _Turn) -> _Complaints:
    open_calls = {block["id"] for _, block in previous.of("tool_use")} if previous else set[str]()
    answered: set[str] = set()
    for path, block in turn.of("tool_result"):
        call = block["tool_use_id"]
        if call not in open_calls:
            yield (
                f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: {call}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous "
                "message."
            )
        if call in answered:
            yield (
                f"{path}: each tool_use must have a single result. Found multiple `tool_result` "
                f"blocks with id: {call}"
            )
        answered.add(call)


_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_SERVER_TOOL = re.compile(r"[a-z0-9_]+_\d{8}|mcp_toolset")
_TOOL_OPTIONAL = frozenset(
    {
        "allowed_callers",
        "cache_control",
        "defer_loading",
        "description",
        "eager_input_streaming",
        "input_examples",
        "strict",
        "type",
    }
)


def _tools(asked: _Asked) -> _Complaints:
    for number, tool in enumerate(array(asked.body.get("tools"))):
        yield from _typed(f"tools.{number}", tool, "object")
        kind = tool.get("type") or "custom"
        if kind == "custom":
            yield from _custom_tool(f"tools.{number}.custom", tool)
        elif not _SERVER_TOOL.fullmatch(kind):
            yield (
                f"tools.{number}: Input tag '{kind}' found using 'type' does not match any of the "
                "expected tags"
            )
    names = [tool["name"] for tool in array(asked.body.get("tools")) if "name" in tool]
    if len(names) != len(set(names)):
        yield "tools: Tool names must be unique."


def _custom_tool(path: str, tool: _Object) -> _Complaints:
    required = {"name": "string", "input_schema": "object"}
    yield from _fields(f"{path}.", tool, required, _TOOL_OPTIONAL)
    yield from _typed(f"{path}.description", tool.get("description", ""), "string")
    if not _TOOL_NAME.fullmatch(tool["name"]):
        yield f"{path}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
    if "type" not in tool["input_schema"]:
        yield f"{path}.input_schema.type: Field required"
    if tool["input_schema"]["type"] != "object":
        yield f"{path}.input_schema.type: Input should be 'object'"
    if tool.get("strict"):
        yield from _strict_schema(f"{path}.input_schema", tool["input_schema"])


def _tool_choice(asked: _Asked) -> _Complaints:
    if "tool_choice" not in asked.body:
        return
    choice = asked.body["tool_choice"]
    kind = choice.get("type")
    if kind not in ("auto", "any", "tool", "none"):
        yield (
            f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the "
            "expected tags: 'auto', 'any', 'tool', 'none'"
        )
    optional = {"type"} if kind == "none" else {"type", "disable_parallel_tool_use"}
    required = {"name": "string"} if kind == "tool" else dict[str, str]()
    yield from _fields(f"tool_choice.{kind}.", choice, required, optional)
    if not asked.body.get("tools"):
        yield "tool_choice: tool_choice may only be specified while providing tools."
    names = [object_(tool).get("name") for tool in array(asked.body.get("tools"))]
    if kind == "tool" and choice["name"] not in names:
        yield f"Tool '{choice['name']}' not found in provided tools"


# --- thinking -------------------------------------------------------------------------------------

_THINKING = {
    "enabled": ({"budget_tokens": "integer"}, {"type", "display"}),
    "adaptive": (dict[str, str](), {"type", "display"}),
    "disabled": (dict[str, str](), {"type"}),
    "between_tools": (dict[str, str](), {"type"}),
}


def _thinking(asked: _Asked) -> _Complaints:
    if "thinking" not in asked.body:
        return
    thinking, kind = asked.body["thinking"], asked.thinking
    if kind not in _THINKING:
        yield (
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected "
            "tags: 'adaptive', 'disabled', 'enabled'"
        )
    required, optional = _THINKING[kind]
    yield from _fields(f"thinking.{kind}.", thinking, required, optional)
    if thinking.get("display") not in (None, "summarized", "omitted"):
        yield f"thinking.{kind}.display: Input should be 'summarized' or 'omitted'"
    if kind == "enabled":
        yield from _manual_thinking(asked)
    if kind in ("enabled", "adaptive"):
        yield from _thinking_sampling(asked.body)


def _manual_thinking(asked: _Asked) -> _Complaints:
    budget = asked.body["thinking"]["budget_tokens"]
    if budget < 1024:
        yield "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
    interleaved = any(beta.startswith("interleaved-thinking") for beta in asked.betas)
    if budget >= asked.body["max_tokens"] and not interleaved:
        yield (
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our "
            f"documentation at {_DOCS}#max-tokens-and-context-window-size"
        )
    if object_(asked.body.get("tool_choice")).get("type") in ("any", "tool"):
        yield "Thinking may not be enabled when tool_choice forces tool use."


def _thinking_sampling(body: _Object) -> _Complaints:
    where = (
        "when thinking is enabled. Please consult our documentation at "
        f"{_DOCS}#important-considerations-when-using-extended-thinking"
    )
    if body.get("temperature", 1) != 1:
        yield f"`temperature` may only be set to 1 {where}"
    if body.get("top_p", 1) < 0.95:
        yield f"`top_p` must be greater than or equal to 0.95 or unset {where}"
    if "top_k" in body:
        yield f"`top_k` must be unset {where}"


def _thinking_blocks(asked: _Asked) -> _Complaints:
    """Thinking comes back as it was written, and leads the turn whose tools are at work."""
    for path, _, block in asked.blocks():
        if block["type"] == "thinking":
            yield from _signature(asked.judge(block["thinking"], block["signature"]), path)
    first = _first_of_tool_loop(_turns(asked))
    if first is None or asked.thinking != "enabled":
        return
    path, block = first.blocks[0]
    if block["type"] not in ("thinking", "redacted_thinking"):
        yield (
            f"{path}.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{block['type']}`. When `thinking` is enabled, a final `assistant` message must "
            "start with a thinking block (preceeding the lastmost set of `tool_use` and "
            "`tool_result` blocks). We recommend you include thinking blocks from previous turns. "
            f"To avoid this requirement, disable `thinking`. Please consult our documentation at "
            f"{_DOCS}"
        )


def _signature(verdict: Verdict, path: str) -> _Complaints:
    if verdict == "invalid":
        yield f"{path}: Invalid `signature` in `thinking` block"
    if verdict == "modified":
        yield (
            f"{path}: `thinking` or `redacted_thinking` blocks in the latest assistant message "
            "cannot be modified. These blocks must remain as they were in the original response."
        )


def _first_of_tool_loop(turns: list[_Turn]) -> _Turn | None:
    """The assistant's turn that began the use of tools that the last turn goes on with."""
    first = None
    for answer, results in zip(turns[-2::-2], turns[-1::-2], strict=False):
        if not results.of("tool_result"):
            break
        first = answer
    return first


# --- output ---------------------------------------------------------------------------------------

_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_UNSUPPORTED = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems"),
}


def _output(asked: _Asked) -> _Complaints:
    config = object_(asked.body.get("output_config"))
    optional = {"effort", "format"} | ({"task_budget"} if asked.betas else set[str]())
    yield from _fields("output_config.", config, {}, optional)
    if config.get("effort") not in (None, *_EFFORTS):
        wanted = ", ".join(f"'{effort}'" for effort in _EFFORTS)
        yield f"output_config.effort: Input should be one of {wanted}"
    if config.get("format") is not None:
        yield from _format(config["format"])


def _format(format_: Any) -> _Complaints:
    path = "output_config.format"
    yield from _typed(path, format_, "object")
    if format_.get("type") != "json_schema":
        yield f"{path}.type: Input should be 'json_schema'"
    yield from _fields(f"{path}.", format_, {"schema": "object"}, {"type"})
    yield from _strict_schema(f"{path}.schema", format_["schema"])


def _strict_schema(path: str, schema: _Object) -> _Complaints:
    """Complaints about a schema that the service could not hold an answer to."""
    for rules in _subschemas(schema):
        kind = string(rules.get("type"))
        if kind == "object" and rules.get("additionalProperties") is not False:
            yield (
                f"{path}: For 'object' type, 'additionalProperties' must be explicitly set to false"
            )
        for keyword in _UNSUPPORTED.get(kind, ()):
            if keyword in rules:
                yield f"{path}: For '{kind}' type, property '{keyword}' is not supported"


def _subschemas(schema: _Object) -> Iterator[_Object]:
    """A schema, and all schemas within it."""
    pending: list[Any] = [schema]
    while pending:
        part = pending.pop()
        pending += array(part)
        rules = object_(part)
        yield rules
        for keyword in ("anyOf", "allOf", "oneOf", "items", "prefixItems"):
            pending += [rules[keyword]] if keyword in rules else []
        for keyword in ("properties", "$defs", "definitions"):
            pending += object_(rules.get(keyword)).values()


def _cache_control(asked: _Asked) -> _Complaints:
    """At most four breakpoints; the one at the top level counts."""
    holders = [asked.body, *array(asked.body.get("tools")), *array(asked.body.get("system"))]
    holders += [block for _, _, block in asked.blocks()]
    found = sum(holder.get("cache_control") is not None for holder in holders)
    if found > 4:
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {found}."


# --- models ---------------------------------------------------------------------------------------

_NAME = re.compile(r"claude-([a-z]+)-(\d)(?:-(\d{1,2}))?(?!\d)")
_OLD_NAME = re.compile(r"claude-(\d)(?:-(\d))?-([a-z]+)")


@dataclass(frozen=True, slots=True)
class _Model:
    """What a model's family and version say about it."""

    name: str
    family: str
    version: tuple[int, int]

    @property
    def thinks(self) -> bool:
        return self.version >= (3, 7)

    @property
    def thinks_adaptively(self) -> bool:
        return self.version >= (4, 6) and not (self.family == "haiku" and self.version < (5, 0))

    @property
    def thinks_by_budget(self) -> bool:
        newest = (4, 7) if self.family == "opus" else (5, 0)
        return self.thinks and self.version < newest

    @property
    def takes_sampling(self) -> bool:
        return self.version < (4, 7)

    @property
    def takes_effort(self) -> bool:
        return self.thinks_adaptively or (self.family == "opus" and self.version >= (4, 5))

    @property
    def takes_schema(self) -> bool:
        return self.version >= (4, 1)

    @property
    def max_tokens(self) -> int:
        """The most tokens that it writes."""
        if self.version < (3, 5):
            return 4096
        if self.version < (3, 7):
            return 8192
        if self.family == "opus" and self.version < (4, 5):
            return 32_000
        small = self.version < (4, 6) or (self.family != "opus" and self.version < (5, 0))
        return 64_000 if small else 128_000


def _model(name: str) -> _Model | None:
    if old := _OLD_NAME.search(name):
        return _Model(name, old[3], (int(old[1]), int(old[2] or 0)))
    if new := _NAME.search(name):
        return _Model(name, new[1], (int(new[2]), int(new[3] or 0)))
    return None


def _model_limits(asked: _Asked) -> _Complaints:
    model, body = asked.model, asked.body
    if model is None:
        return
    if body["max_tokens"] > model.max_tokens:
        yield (
            f"max_tokens: {body['max_tokens']} > {model.max_tokens}, which is the maximum allowed "
            f"number of output tokens for {model.name}"
        )
    if asked.thinking in ("enabled", "adaptive"):
        yield from _model_thinking(model, asked.thinking)
    output = object_(body.get("output_config"))
    if output.get("effort") is not None and not model.takes_effort:
        yield "This model does not support the effort parameter."
    if output.get("format") is not None and not model.takes_schema:
        yield f"'{model.name}' does not support output format."
    if model.version >= (4, 6) and _is_prefilled(body["messages"][-1]):
        yield (
            "This model does not support assistant message prefill. The conversation must end with "
            "a user message."
        )


def _is_prefilled(last: Any) -> bool:
    """Whether the answer is begun for the model; a paused turn of its tools goes on as it is."""
    content = last["content"]
    if last["role"] != "assistant" or isinstance(content, str):
        return bool(last["role"] == "assistant")
    return object_(content[-1]).get("type") in ("text", "thinking", "redacted_thinking")


def _model_thinking(model: _Model, kind: str) -> _Complaints:
    if not model.thinks:
        yield f"'{model.name}' does not support thinking."
    if kind == "adaptive" and not model.thinks_adaptively:
        yield "adaptive thinking is not supported on this model"
    if kind == "enabled" and not model.thinks_by_budget:
        yield (
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" '
            'and "output_config.effort" to control thinking behavior.'
        )


def _model_sampling(asked: _Asked) -> _Complaints:
    model, body = asked.model, asked.body
    if model is None:
        return
    for name in ("temperature", "top_p", "top_k"):
        if name in body and not model.takes_sampling:
            yield f"`{name}` is deprecated for this model."
    if {"temperature", "top_p"} <= body.keys() and model.version >= (4, 1):
        yield (
            "`temperature` and `top_p` cannot both be specified for this model. Please use only "
            "one."
        )


_RULES: tuple[Callable[[_Asked], _Complaints], ...] = (
    _top_level,
    _ranges,
    _messages,
    _blocks,
    _system,
    _pairs,
    _tools,
    _tool_choice,
    _model_limits,
    _model_sampling,
    _thinking,
    _thinking_blocks,
    _output,
    _cache_control,
)
