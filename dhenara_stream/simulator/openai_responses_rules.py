"""What the OpenAI Responses API accepts: complaints about a request's body, in its words.

See :mod:`.openai_common` for how rules work. What a model refuses is decided by its name; of names
that are not OpenAI's (``my-proxy-model``) nothing is refused. A hosted tool, and an item that is
none of the caller's to write, is looked into by nobody here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ._json import array, is_object, object_, string
from .openai_common import (
    IMAGE_TYPES,
    Complaint,
    Complaints,
    allowed,
    bounded,
    fields,
    function_schema,
    is_openai,
    length,
    reasons,
    required,
    strict_schema,
    tool_name,
    typed,
    unsupported,
    word,
)
from .openai_responses_stored import StoredResponses
from .signatures import Judge

__all__ = ["complaints", "effort", "is_output"]

_Object: TypeAlias = dict[str, Any]


def complaints(body: _Object, *, stored: StoredResponses, judge: Judge) -> Complaints:
    """What is wrong with a request's body; the first complaint is what the service says.

    Args:
        body: The request's JSON.
        stored: The responses that it may refer to.
        judge: Tells whether encrypted content is of the reasoning of that id.
    """
    asked = _Asked(body, stored, judge)
    for rule in _RULES:
        yield from rule(asked)


def is_output(item: Mapping[str, Any]) -> bool:
    """Whether an item is what one of the caller's tools has answered."""
    return string(item.get("type")) in _OUTPUTS


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request under examination."""

    body: _Object
    stored: StoredResponses
    judge: Judge

    @property
    def model(self) -> str:
        return string(self.body.get("model"))

    @property
    def reasoning(self) -> _Object:
        return object_(self.body.get("reasoning"))

    @property
    def tools(self) -> list[_Object]:
        return [object_(tool) for tool in array(self.body.get("tools"))]

    def items(self) -> Iterator[tuple[str, _Object]]:
        """The input's items with their paths; a string counts as a message."""
        given = self.body.get("input")
        if isinstance(given, str):
            yield "input", {"role": "user", "content": given}
        for number, item in enumerate(array(given)):
            yield f"input[{number}]", object_(item)

    def conversation(self) -> Iterator[tuple[str, _Object]]:
        """The items so far, references resolved; those of earlier turns have no path."""
        previous = string(self.body.get("previous_response_id"))
        for item in self.stored.history(previous) or []:
            yield "", item
        for path, item in self.items():
            meant = item
            if item.get("type") == "item_reference":
                meant = self.stored.item(string(item.get("id"))) or item
            yield path, meant


# --- the request itself ---------------------------------------------------------------------------

_FIELDS: Mapping[str, str] = {
    "access_programs": "object?",
    "background": "boolean?",
    "background_options": "object?",
    "context_management": "array?",
    "conversation": "string or object?",
    "image": "object?",
    "include": "array?",
    "input": "string or array?",
    "instructions": "string?",
    "max_output_tokens": "integer?",
    "max_tool_calls": "integer?",
    "metadata": "object?",
    "moderation": "object?",
    "parallel_tool_calls": "boolean?",
    "previous_response_id": "string?",
    "prompt": "object?",
    "prompt_cache_key": "string?",
    "prompt_cache_options": "object?",
    "prompt_cache_retention": "string?",
    "reasoning": "object?",
    "safety_identifier": "string?",
    "service_tier": "string?",
    "store": "boolean?",
    "stream": "boolean?",
    "stream_options": "object?",
    "temperature": "number?",
    "text": "object?",
    "tool_choice": "string or object?",
    "tools": "array?",
    "top_logprobs": "integer?",
    "top_p": "number?",
    "truncation": "string?",
    "user": "string?",
}
# Of Chat Completions, and what they are called here.
_MOVED = {
    "functions": "tools",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
_NO_INPUT = (
    "One of 'input' or 'previous_response_id' or 'prompt' or 'conversation' must be provided."
)


def _top_level(asked: _Asked) -> Complaints:
    body = asked.body
    for name, moved in _MOVED.items():
        if name in body:
            message = (
                f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved "
                f"to '{moved}'. Try again with the new parameter. See the API documentation for "
                "more information: https://platform.openai.com/docs/api-reference/responses/create."
            )
            yield Complaint(message, name, "unsupported_parameter")
    if body.get("prompt") is None:
        yield from required("", body, "model")
    yield from fields("", body, {}, {"model": "string?", **_FIELDS})
    if body.get("model") == "":
        yield Complaint("you must provide a model parameter", "model")
    sources = ("input", "previous_response_id", "prompt", "conversation")
    if not any(body.get(name) is not None for name in sources):
        yield Complaint(_NO_INPUT, "input", "missing_required_parameter")
    if body.get("input") == [] and not any(map(body.get, sources)):
        yield from length("input", [], least=1)


_RANGES: Mapping[str, tuple[float, float]] = {
    "max_output_tokens": (16, 2**31),
    "max_tool_calls": (1, 2**31),
    "temperature": (0, 2),
    "top_logprobs": (0, 20),
    "top_p": (0, 1),
}
_WORDS = {
    "prompt_cache_retention": ("in_memory", "in-memory", "24h"),
    "service_tier": ("auto", "default", "flex", "fast", "priority", "scale", "ultrafast"),
    "truncation": ("auto", "disabled"),
}
_INCLUDABLE = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
)


def _values(asked: _Asked) -> Complaints:
    body = asked.body
    for name, (least, most) in _RANGES.items():
        if body.get(name) is not None:
            yield from bounded(name, body[name], least, most)
    for name, words in _WORDS.items():
        if body.get(name) is not None:
            yield from word(name, body[name], words)
    for number, name in enumerate(array(body.get("include"))):
        yield from word(f"include[{number}]", name, _INCLUDABLE)
    yield from _metadata(object_(body.get("metadata")))
    options = object_(body.get("stream_options"))
    yield from fields("stream_options", options, {}, {"include_obfuscation": "boolean?"})
    if options and body.get("stream") is not True:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        yield Complaint(message, "stream_options")
    if body.get("background") and body.get("store") is False:
        yield Complaint("Background mode requires 'store' to be true.", "background")


def _metadata(metadata: _Object) -> Complaints:
    if len(metadata) > 16:
        message = (
            "Invalid 'metadata': too many properties. Expected an object with at most 16 "
            f"properties, but got an object with {len(metadata)} properties instead."
        )
        yield Complaint(message, "metadata", "object_above_max_properties")
    for name, value in metadata.items():
        yield from length("metadata", name, most=64)
        yield from typed(f"metadata.{name}", value, "string")
        yield from length(f"metadata.{name}", value, most=512)


def _previous(asked: _Asked) -> Complaints:
    """What came before is known, and is told in one way."""
    name = asked.body.get("previous_response_id")
    if name is None:
        return
    if asked.body.get("conversation") is not None:
        message = (
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Ensure you "
            "are only providing one of: 'previous_response_id' or 'conversation'."
        )
        yield Complaint(message, code="mutually_exclusive_parameters")
    yield from _prefix("previous_response_id", name, "resp")
    if asked.stored.history(name) is None:
        message = f"Previous response with id '{name}' not found."
        yield Complaint(message, "previous_response_id", "previous_response_not_found")


def _prefix(path: str, value: str, prefix: str) -> Complaints:
    """Complaints about an id that is not of the kind that it should be."""
    if not value.startswith(prefix):
        message = f"Invalid '{path}': '{value}'. Expected an ID that begins with '{prefix}'."
        yield Complaint(message, path, "invalid_value")
    yield from length(path, value, most=_LONGEST_ID)


# --- the input ------------------------------------------------------------------------------------

_LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class _Kind:
    """The fields of a kind of item, and what its id begins with."""

    needed: Mapping[str, str]
    optional: Mapping[str, str]
    prefix: str | None = None


_OF_CALLS = {"status": "string?", "caller": "object?", "async": "boolean?", "namespace": "string?"}
_ANY_ID = {"type": "string", "id": "string?"}
_KINDS: Mapping[str, _Kind] = {
    "message": _Kind(
        {"role": "string", "content": "string or array"},
        {**_ANY_ID, "status": "string?", "phase": "string?"},
        "msg",
    ),
    "function_call": _Kind(
        {"call_id": "string", "name": "string", "arguments": "string"},
        {**_ANY_ID, **_OF_CALLS},
        "fc",
    ),
    "function_call_output": _Kind(
        {"call_id": "string", "output": "string or array"},
        {**_ANY_ID, **_OF_CALLS, "name": "string?"},
    ),
    "custom_tool_call": _Kind(
        {"call_id": "string", "name": "string", "input": "string"},
        {**_ANY_ID, **_OF_CALLS},
        "ctc",
    ),
    "custom_tool_call_output": _Kind(
        {"call_id": "string", "output": "string or array"},
        {**_ANY_ID, **_OF_CALLS, "name": "string?"},
    ),
    "reasoning": _Kind(
        {"summary": "array"},
        {**_ANY_ID, "content": "array?", "encrypted_content": "string?", "status": "string?"},
        "rs",
    ),
    "item_reference": _Kind({"id": "string"}, {"type": "string?"}),
}
_OUTPUTS = {
    "function_call_output": "function_call",
    "custom_tool_call_output": "custom_tool_call",
}
_OTHER_KINDS = (
    *("file_search_call", "computer_call", "computer_call_output", "web_search_call"),
    *("tool_search_call", "tool_search_output", "additional_tools", "compaction"),
    *("image_generation_call", "code_interpreter_call", "local_shell_call"),
    *("local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call"),
    *("apply_patch_call_output", "mcp_list_tools", "mcp_approval_request"),
    *("mcp_approval_response", "mcp_call", "compaction_trigger", "configuration_update"),
    *("program", "program_output"),
)
_ROLES = ("assistant", "system", "developer", "user")


def _kind(item: Mapping[str, Any]) -> str:
    kind = item.get("type")
    return "message" if kind is None and "role" in item else string(kind)


def _input(asked: _Asked) -> Complaints:
    for number, item in enumerate(array(asked.body.get("input"))):
        yield from typed(f"input[{number}]", item, "object")
    for path, item in asked.items():
        kind = _kind(item)
        if not kind:
            yield from required(f"{path}.", item, "type")
        yield from word(path, kind, (*_KINDS, *_OTHER_KINDS))
        if kind in _KINDS:
            yield from _item(path, kind, item)
    yield from _once(asked)


def _item(path: str, kind: str, item: _Object) -> Complaints:
    rule = _KINDS[kind]
    yield from fields(path, item, rule.needed, {"type": "string?", **rule.optional})
    if rule.prefix and item.get("id") is not None:
        yield from _prefix(f"{path}.id", item["id"], rule.prefix)
    if "call_id" in item:
        yield from length(f"{path}.call_id", item["call_id"], least=1, most=_LONGEST_ID)
    match kind:
        case "message":
            yield from word(f"{path}.role", item["role"], _ROLES)
            own = item["role"] == "assistant"
            yield from _parts(f"{path}.content", item["content"], _SAID if own else _GIVEN)
        case "function_call" | "custom_tool_call":
            yield from length(f"{path}.name", item["name"], least=1)
        case "function_call_output" | "custom_tool_call_output":
            yield from _parts(f"{path}.output", item["output"], _GIVEN)
        case "reasoning":
            yield from _parts(f"{path}.summary", item["summary"], _SUMMARY)
            yield from _parts(f"{path}.content", item.get("content"), _REASONING)
        case _:
            pass


def _once(asked: _Asked) -> Complaints:
    ids: set[str] = set()
    for path, item in asked.items():
        name = string(item.get("id"))
        if name and name in ids:
            message = (
                f"Duplicate item found with id {name}. Remove duplicate items from your input and "
                "try again."
            )
            yield Complaint(message, path or "input")
        ids.add(name)


_ANY_PART = {"type": "string", "prompt_cache_breakpoint": "object?"}
_PARTS: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "input_text": ({"text": "string"}, {}),
    "input_image": ({}, {"image_url": "string?", "file_id": "string?", "detail": "string?"}),
    "input_file": (
        {},
        {
            "file_data": "string?",
            "file_id": "string?",
            "file_url": "string?",
            "filename": "string?",
            "detail": "string?",
        },
    ),
    "output_text": ({"text": "string"}, {"annotations": "array?", "logprobs": "array?"}),
    "refusal": ({"refusal": "string"}, {}),
    "summary_text": ({"text": "string"}, {}),
    "reasoning_text": ({"text": "string"}, {}),
}
_GIVEN = ("input_text", "input_image", "input_file")
_SAID = ("output_text", "refusal")
_SUMMARY = ("summary_text",)
_REASONING = ("reasoning_text",)
_DETAILS = ("low", "high", "auto", "original")


def _parts(path: str, content: Any, known: tuple[str, ...]) -> Complaints:
    for number, part in enumerate(array(content)):
        place = f"{path}[{number}]"
        yield from typed(place, part, "object")
        yield from required(f"{place}.", part, "type")
        yield from word(place, part["type"], known)
        needed, optional = _PARTS[part["type"]]
        yield from fields(place, part, needed, {**_ANY_PART, **optional})
        if part["type"] == "input_image":
            yield from _image(place, part)
        if part["type"] == "input_file":
            yield from _file(place, part)


_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]*,")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}\s*")


def _image(path: str, part: _Object) -> Complaints:
    yield from _one_of(path, part, ("image_url", "file_id"))
    if part.get("detail") is not None:
        yield from word(f"{path}.detail", part["detail"], _DETAILS)
    url = part.get("image_url")
    if url is None:
        return
    if not url.startswith(("http://", "https://", "data:")):
        message = (
            f"Invalid '{path}.image_url'. Expected a valid URL, but got a value with an invalid "
            "format."
        )
        yield Complaint(message, f"{path}.image_url", "invalid_value")
    if url.startswith("data:"):
        yield from _data(f"{path}.image_url", url, "an image MIME type", IMAGE_TYPES)


def _file(path: str, part: _Object) -> Complaints:
    yield from _one_of(path, part, ("file_data", "file_id", "file_url"))
    if part.get("file_data") is not None:
        yield from _data(f"{path}.file_data", part["file_data"], "a MIME type", None)


def _data(path: str, url: str, wanted: str, known: frozenset[str] | None) -> Complaints:
    found = _DATA_URL.match(url)
    kind = (found[1] or "") if found else ""
    if found is None or (known is not None and kind not in known):
        message = (
            f"Invalid '{path}'. Expected a base64-encoded data URL with {wanted} (e.g. "
            f"'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got unsupported MIME type "
            f"'{kind}'."
        )
        yield Complaint(message, path, "invalid_value")
    data = url.partition(",")[2]
    if not data or not _BASE64.fullmatch(data):
        message = f"Invalid '{path}'. Expected a base64-encoded data URL, but got invalid base64."
        yield Complaint(message, path, "invalid_base64")


def _one_of(path: str, part: _Object, names: tuple[str, ...]) -> Complaints:
    if all(part.get(name) is None for name in names):
        yield from required(f"{path}.", {}, names[0])


# --- what belongs together ------------------------------------------------------------------------

_CALLED = {"function_call": "function call", "custom_tool_call": "custom tool call"}


def _references(asked: _Asked) -> Complaints:
    """What is only named is kept here: items, and reasoning without its encrypted content."""
    for path, item in asked.items():
        kind, name = _kind(item), string(item.get("id"))
        is_bare = kind == "reasoning" and not (
            item.get("encrypted_content") is not None or item.get("content")
        )
        if is_bare:
            yield from required(f"{path}.", item, "id")
        if (is_bare or kind == "item_reference") and asked.stored.item(name) is None:
            message = (
                f"Item with id '{name}' not found. Items are not persisted when `store` is set to "
                "false. Try again with `store` set to true, or remove this item from your input."
            )
            yield Complaint(message, "input", status=404)


def _pairs(asked: _Asked) -> Complaints:
    """Each call has its output after it, and each output its call before it."""
    waiting: dict[tuple[str, str], None] = {}
    called: set[tuple[str, str]] = set()
    for _, item in asked.conversation():
        kind, call_id = _kind(item), string(item.get("call_id"))
        if kind in _CALLED:
            waiting[kind, call_id] = None
            called.add((kind, call_id))
        call = _OUTPUTS.get(kind)
        if call is None:
            continue
        waiting.pop((call, call_id), None)
        is_known = (call, call_id) in called or asked.body.get("conversation") is not None
        if not is_known:
            message = f"No tool call found for {_CALLED[call]} output with call_id {call_id}."
            yield Complaint(message, "input")
    for call, call_id in waiting:
        yield Complaint(f"No tool output found for {_CALLED[call]} {call_id}.", "input")


def _reasoning_items(asked: _Asked) -> Complaints:
    """Reasoning goes back as it came: untouched, and together with what came of it."""
    items = list(asked.conversation())
    followers = [item for _, item in items[1:]]
    for (path, item), following in zip(items, [*followers, _Object()], strict=False):
        if path and item.get("type") == "reasoning":
            yield from _encrypted(item, asked.judge)
            if not _is_of_model(following):
                message = (
                    f"Item '{string(item.get('id'))}' of type 'reasoning' was provided without its "
                    "required following item."
                )
                yield Complaint(message, "input")
    given = {string(item.get("id")) for _, item in items}
    for path, item in items:
        needed = asked.stored.reasoning_of(string(item.get("id")))
        if path and needed is not None and needed not in given:
            message = (
                f"Item '{item['id']}' of type '{_kind(item)}' was provided without its required "
                f"'reasoning' item: '{needed}'."
            )
            yield Complaint(message, "input")


def _is_of_model(item: _Object) -> bool:
    kind = _kind(item)
    if kind == "message":
        return item.get("role") == "assistant"
    return bool(kind) and not kind.endswith(("_output", "_response"))


def _encrypted(item: _Object, judge: Judge) -> Complaints:
    content, name = item.get("encrypted_content"), string(item.get("id"))
    if content is None:
        return
    verdict = judge(name, content)
    why = {"invalid": "Encrypted content could not be decrypted or parsed."}
    if name:
        why["modified"] = "Encrypted content item_id did not match the target item id."
    if verdict in why:
        shown = content if len(content) <= 12 else f"{content[:4]}...{content[-4:]}"
        message = f"The encrypted content {shown} could not be verified. Reason: {why[verdict]}"
        yield Complaint(message, code="invalid_encrypted_content")


# --- tools ----------------------------------------------------------------------------------------

_OF_FUNCTIONS = {
    "type": "string",
    "description": "string?",
    "strict": "boolean?",
    "parameters": "object?",
    "defer_loading": "boolean?",
    "output_schema": "object?",
    "allowed_callers": "array?",
    "async": "boolean?",
}
_OF_CUSTOM_TOOLS = {
    "type": "string",
    "description": "string?",
    "format": "object?",
    "defer_loading": "boolean?",
    "allowed_callers": "array?",
    "async": "boolean?",
}
# Tools of the service, and what they cannot do without.
_HOSTED: Mapping[str, tuple[str, ...]] = {
    "mcp": ("server_label",),
    "file_search": ("vector_store_ids",),
    "code_interpreter": ("container",),
    "namespace": ("name", "tools"),
    **dict.fromkeys(
        (
            *("web_search", "web_search_2025_08_26", "web_search_preview"),
            *("web_search_preview_2025_03_11", "computer", "computer_use_preview"),
            *("image_generation", "local_shell", "shell", "apply_patch", "tool_search"),
            "programmatic_tool_calling",
        ),
        (),
    ),
}


def _tools(asked: _Asked) -> Complaints:
    for number, tool in enumerate(array(asked.body.get("tools"))):
        path = f"tools[{number}]"
        yield from typed(path, tool, "object")
        yield from required(f"{path}.", tool, "type")
        kind = tool["type"]
        yield from word(f"{path}.type", kind, ("function", "custom", *_HOSTED))
        if kind == "function":
            yield from _function(path, tool)
        elif kind == "custom":
            yield from fields(path, tool, {"name": "string"}, _OF_CUSTOM_TOOLS)
            yield from tool_name(f"{path}.name", tool["name"])
        for name in _HOSTED.get(kind, ()):
            yield from required(f"{path}.", tool, name)


def _function(path: str, tool: _Object) -> Complaints:
    yield from fields(path, tool, {"name": "string"}, _OF_FUNCTIONS)
    yield from tool_name(f"{path}.name", tool["name"])
    schema, strict = object_(tool.get("parameters")), tool.get("strict") is True
    yield from function_schema(path, tool["name"], schema, strict=strict)


_CHOICES = ("none", "auto", "required")


def _tool_choice(asked: _Asked) -> Complaints:
    choice = asked.body.get("tool_choice")
    if isinstance(choice, str):
        yield from word("tool_choice", choice, _CHOICES)
        if choice == "required" and not asked.tools:
            message = "Tool choice 'required' must be specified with 'tools' parameter."
            yield Complaint(message, "tool_choice")
    if not is_object(choice):
        return
    yield from required("tool_choice.", choice, "type")
    kind = choice["type"]
    yield from word("tool_choice.type", kind, ("function", "custom", "allowed_tools", *_HOSTED))
    if kind == "allowed_tools":
        needed = {"mode": "string", "tools": "array"}
        yield from fields("tool_choice", choice, needed, {"type": "string"})
        yield from word("tool_choice.mode", choice["mode"], ("auto", "required"))
        for tool in choice["tools"]:
            yield from _offered(asked, object_(tool))
        return
    if kind in ("function", "custom"):
        yield from fields("tool_choice", choice, {"name": "string"}, {"type": "string"})
    yield from _offered(asked, choice)


def _offered(asked: _Asked, choice: _Object) -> Complaints:
    """Complaints about a choice of a tool that the request does not offer.

    Some tools come with the input, and there may be any of them.
    """
    kind, name = string(choice.get("type")), choice.get("name")
    by_name = kind in ("function", "custom")
    offered = [tool.get("name") if by_name else tool.get("type") for tool in _all(asked.tools)]
    wanted = name if by_name else kind
    more = any(_kind(item) in _BRING_TOOLS for _, item in asked.conversation())
    if wanted not in offered and not more:
        yield Complaint(f"Tool choice '{wanted}' not found in 'tools' parameter.", "tool_choice")


_BRING_TOOLS = ("tool_search_output", "additional_tools")


def _all(tools: list[_Object]) -> Iterator[_Object]:
    """The tools, and those within them."""
    for tool in tools:
        yield tool
        yield from _all([object_(inner) for inner in array(tool.get("tools"))])


# --- text and reasoning ---------------------------------------------------------------------------

_FORMATS: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "text": ({}, {}),
    "json_object": ({}, {}),
    "json_schema": (
        {"name": "string", "schema": "object"},
        {"strict": "boolean?", "description": "string?"},
    ),
}
_VERBOSITIES = ("low", "medium", "high")
_JSON = re.compile("json", re.IGNORECASE)


def _text(asked: _Asked) -> Complaints:
    text = object_(asked.body.get("text"))
    yield from fields("text", text, {}, {"format": "object?", "verbosity": "string?"})
    if text.get("verbosity") is not None:
        yield from word("text.verbosity", text["verbosity"], _VERBOSITIES)
    format_ = text.get("format")
    if format_ is None:
        return
    yield from required("text.format.", format_, "type")
    kind = format_["type"]
    yield from word("text.format.type", kind, tuple(_FORMATS))
    needed, optional = _FORMATS[kind]
    yield from fields("text.format", format_, needed, {"type": "string", **optional})
    if kind == "json_schema":
        yield from tool_name("text.format.name", format_["name"])
        if format_.get("strict") is True:
            subject = f"response_format '{format_['name']}'"
            param, code = "text.format.schema", "invalid_json_schema"
            yield from strict_schema(format_["schema"], subject, param, code)
    if kind == "json_object" and not any(map(_JSON.search, _said(asked))):
        message = (
            "Response input messages must contain the word 'json' in some form to use "
            "'text.format' of type 'json_object'."
        )
        yield Complaint(message, "input")


def _said(asked: _Asked) -> Iterator[str]:
    """All text of the conversation's messages."""
    for _, item in asked.conversation():
        content = item.get("content")
        yield string(content)
        yield from (string(object_(part).get("text")) for part in array(content))


_SUMMARIES = ("auto", "concise", "detailed")
_REASONING_WORDS = {
    "context": ("auto", "current_turn", "all_turns"),
    "effort": ("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    "generate_summary": _SUMMARIES,
    "mode": ("standard", "pro"),
    "summary": _SUMMARIES,
}


def _reasoning(asked: _Asked) -> Complaints:
    known = dict.fromkeys(_REASONING_WORDS, "string?")
    yield from fields("reasoning", asked.reasoning, {}, known)
    for name, words in _REASONING_WORDS.items():
        if asked.reasoning.get(name) is not None:
            yield from word(f"reasoning.{name}", asked.reasoning[name], words)


# --- models ---------------------------------------------------------------------------------------

# The efforts of models, by the start of their names; the first line that fits counts.
_EFFORTS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"o\d"), ("low", "medium", "high")),
    (re.compile(r"gpt-5-pro"), ("high",)),
    (re.compile(r"gpt-5-codex"), ("low", "medium", "high")),
    (re.compile(r"gpt-5(?!\.)"), ("minimal", "low", "medium", "high")),
    (re.compile(r"gpt-5\.1(?!.*codex)"), ("none", "low", "medium", "high")),
    (re.compile(r"gpt-5\.[2-5](?!.*(codex|pro))"), ("none", "low", "medium", "high", "xhigh")),
)
# Those that do not reason unless they are told to.
_RELUCTANT = re.compile(r"gpt-5\.[1-4](?!.*(codex|pro))")


def effort(body: Mapping[str, Any]) -> str | None:
    """How much the model thinks: as it is told, else as it does of itself.

    ``None`` of a model that does not, or that nothing is known about.
    """
    given = string(object_(body.get("reasoning")).get("effort"))
    model = string(body.get("model"))
    if given or not reasons(model):
        return given or None
    return "none" if _RELUCTANT.match(model) else "medium"


def _model(asked: _Asked) -> Complaints:
    if not is_openai(asked.model):
        return
    if reasons(asked.model):
        yield from _reasoning_model(asked)
        return
    for name in ("effort", "summary"):
        if asked.reasoning.get(name) is not None:
            yield unsupported(f"reasoning.{name}")
    if "reasoning.encrypted_content" in array(asked.body.get("include")):
        yield Complaint("Encrypted content is not supported with this model.", "include")
    if any(_kind(item) == "reasoning" for _, item in asked.conversation()):
        message = (
            "Reasoning input items can only be provided to a reasoning or computer use model. "
            "Remove reasoning items from your input and try again."
        )
        yield Complaint(message, "input")


def _reasoning_model(asked: _Asked) -> Complaints:
    model, used = asked.model, effort(asked.body)
    efforts = next((words for pattern, words in _EFFORTS if pattern.match(model)), ())
    if asked.reasoning.get("effort") is not None and efforts and used not in efforts:
        message = (
            f"Unsupported value: '{used}' is not supported with the '{model}' model. Supported "
            f"values are: {allowed(efforts)}."
        )
        yield Complaint(message, "reasoning.effort", "unsupported_value")
    for name in ("temperature", "top_p", "top_logprobs"):
        usual = 0 if name == "top_logprobs" else 1
        if asked.body.get(name) not in (None, usual) and used != "none":
            yield unsupported(name)


_RULES: tuple[Callable[[_Asked], Complaints], ...] = (
    _top_level,
    _values,
    _previous,
    _input,
    _tools,
    _tool_choice,
    _text,
    _reasoning,
    _model,
    _references,
    _pairs,
    _reasoning_items,
)
