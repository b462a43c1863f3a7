"""What services that speak Chat Completions accept: the first complaint about a request's body.

There are three services, told apart by the model's name. OpenAI's own models (``gpt-4o``, ``o3``)
have all rules, and refuse what is unknown; DeepSeek's (``deepseek-chat``, ``deepseek-v4-pro``) have
those that DeepSeek is known to have. Of all other names the service is anybody's: only what every
one of them refuses is refused, and fields that nobody knows are taken.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ._json import array, encode, is_array, is_object, object_, string
from .openai_common import (
    IMAGE_TYPES,
    Complaint,
    Complaints,
    allowed,
    bounded,
    efforts,
    fields,
    function_schema,
    is_openai,
    length,
    reasons,
    reasons_now,
    required,
    strict_schema,
    tool_name,
    typed,
    unsupported,
    word,
)

__all__ = ["Maker", "complaints", "deepseek_thinks", "maker_of"]

Maker: TypeAlias = Literal["openai", "deepseek", "other"]
_Object: TypeAlias = dict[str, Any]

_DEEPSEEK = re.compile(r"deepseek-(chat|reasoner|v\d[\w.-]*)")


def maker_of(model: str) -> Maker:
    """Whose service a model's name speaks of."""
    if is_openai(model):
        return "openai"
    return "deepseek" if _DEEPSEEK.fullmatch(model) else "other"


def deepseek_thinks(model: str, body: Mapping[str, Any]) -> bool:
    """Whether a model of DeepSeek's thinks; from V4 on they do by default (wire.md 9)."""
    asked = object_(body.get("thinking")).get("type")
    if asked is not None:
        return bool(asked != "disabled")
    return model != "deepseek-chat" and body.get("reasoning_effort") != "none"


def complaints(
    body: _Object, model: str, maker: Maker, more: Mapping[str, str] | None = None
) -> Complaints:
    """What is wrong with a request's body.

    Args:
        body: The request's JSON.
        model: The model asked.
        maker: Whose rules it is to keep.
        more: The kinds of further fields that the service knows.
    """
    asked = _Asked(body, model, maker, more or {})
    for makers, rule in _RULES:
        if asked.maker in makers:
            yield from rule(asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request under examination."""

    body: _Object
    model: str
    maker: Maker
    more: Mapping[str, str]

    @property
    def strict(self) -> bool:
        """Whether what is unknown is refused."""
        return self.maker == "openai"

    def messages(self) -> Iterator[tuple[str, _Object]]:
        """Each message with its path."""
        for number, message in enumerate(self.body["messages"]):
            yield f"messages[{number}]", message

    def tools(self) -> list[_Object]:
        """The tools; of a request that has none, nothing."""
        return array(self.body.get("tools"))


# --- the top level --------------------------------------------------------------------------------

_KNOWN = {
    "audio": "object?",
    "frequency_penalty": "number?",
    "function_call": "string or object",
    "functions": "array",
    "logit_bias": "object?",
    "logprobs": "boolean?",
    "max_completion_tokens": "integer?",
    "max_tokens": "integer?",
    "metadata": "object?",
    "modalities": "array?",
    "moderation": "object?",
    "n": "integer?",
    "parallel_tool_calls": "boolean",
    "prediction": "object?",
    "presence_penalty": "number?",
    "prompt_cache_key": "string?",
    "prompt_cache_options": "object",
    "prompt_cache_retention": "string?",
    "reasoning_effort": "string?",
    "response_format": "object",
    "safety_identifier": "string?",
    "seed": "integer?",
    "service_tier": "string?",
    "stop": "string or array?",
    "store": "boolean?",
    "stream": "boolean?",
    "stream_options": "object?",
    "temperature": "number?",
    "tool_choice": "string or object",
    "tools": "array",
    "top_logprobs": "integer?",
    "top_p": "number?",
    "user": "string",
    "verbosity": "string?",
    "web_search_options": "object",
}


def _top_level(asked: _Asked) -> Complaints:
    body = asked.body
    if not asked.model:
        yield Complaint("you must provide a model parameter")
    yield from required("", body, "messages")
    yield from typed("messages", body["messages"], "array")
    yield from length("messages", body["messages"], least=1)
    for name, kind in {**_KNOWN, **asked.more}.items():
        if name in body:
            # Not every service tells null and a missing field apart.
            yield from typed(name, body[name], kind if asked.strict else kind.rstrip("?") + "?")
    unknown = [n for n in body if n not in ("model", "messages", *_KNOWN, *asked.more)]
    if unknown and asked.strict:
        s = "s" if len(unknown) > 1 else ""
        yield Complaint(f"Unrecognized request argument{s} supplied: {', '.join(unknown)}")


_RANGES = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "n": (1, 128),
    "top_logprobs": (0, 20),
    "max_tokens": (1, 2**31),
    "max_completion_tokens": (1, 2**31),
}


def _ranges(asked: _Asked) -> Complaints:
    body = asked.body
    for name, (least, most) in _RANGES.items():
        if body.get(name) is not None:
            yield from bounded(name, body[name], least, most)
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        yield Complaint(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
            "top_logprobs",
        )
    if body.get("stream_options") is not None and not body.get("stream"):
        yield Complaint(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )


_MOST_STOPS: Mapping[Maker, int | None] = {"openai": 4, "deepseek": 16, "other": None}


def _stop(asked: _Asked) -> Complaints:
    stops = array(asked.body.get("stop"))
    for number, text in enumerate(stops):
        yield from typed(f"stop[{number}]", text, "string")
    yield from length("stop", stops, most=_MOST_STOPS[asked.maker])


_SERVICE_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")


def _openai_values(asked: _Asked) -> Complaints:
    """Complaints about the values of what only OpenAI looks into."""
    body = asked.body
    words = {
        "service_tier": _SERVICE_TIERS,
        "verbosity": ("low", "medium", "high"),
        "prompt_cache_retention": ("in_memory", "in-memory", "24h"),
    }
    for name, supported in words.items():
        if body.get(name) is not None:
            yield from word(name, body[name], supported)
    for name in ("safety_identifier", "user"):
        yield from length(name, string(body.get(name)), most=128)
    for token, bias in object_(body.get("logit_bias")).items():
        yield from typed(f"logit_bias.{token}", bias, "number")
        yield from bounded(f"logit_bias.{token}", bias, -100, 100)
    if body.get("stream_options") is not None:
        known = {"include_usage": "boolean", "include_obfuscation": "boolean"}
        yield from fields("stream_options", body["stream_options"], {}, known)
    yield from _metadata(object_(body.get("metadata")))


def _metadata(metadata: _Object) -> Complaints:
    if len(metadata) > 16:
        yield Complaint(
            "Invalid 'metadata': too many properties. Expected an object with at most 16 "
            f"properties, but got an object with {len(metadata)} properties instead.",
            "metadata",
            "object_above_max_properties",
        )
    for name, value in metadata.items():
        yield from length(f"metadata.{name}", name, most=64)
        yield from typed(f"metadata.{name}", value, "string")
        yield from length(f"metadata.{name}", value, most=512)


def _output_kinds(asked: _Asked) -> Complaints:
    """Complaints about what is to be made; sound is nothing that the simulator makes."""
    kinds = array(asked.body.get("modalities"))
    for number, kind in enumerate(kinds):
        yield from word(f"modalities[{number}]", kind, ("text", "audio"))
    if "audio" in kinds or asked.body.get("audio") is not None:
        yield Complaint(
            "This model does not support audio output. Use the modality 'text' alone.",
            "modalities",
            "invalid_value",
        )
    prediction = asked.body.get("prediction")
    if prediction is not None:
        known = {"type": "string", "content": "string or array"}
        yield from fields("prediction", prediction, known, {})
        yield from word("prediction.type", prediction["type"], ("content",))


# --- messages -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Role:
    """What a message of a role holds in OpenAI's service."""

    needed: Mapping[str, str]
    optional: Mapping[str, str]
    parts: tuple[str, ...] = ("text",)


_CONTENT = "string or array"
_SYSTEM = _Role({"content": _CONTENT}, {"name": "string"})
_ROLES = {
    "system": _SYSTEM,
    "assistant": _Role(
        {},
        {
            "annotations": "array?",
            "audio": "object?",
            "content": f"{_CONTENT}?",
            "function_call": "object?",
            "name": "string",
            "refusal": "string?",
            "tool_calls": "array",
        },
        ("text", "refusal"),
    ),
    "user": _Role(
        {"content": _CONTENT}, {"name": "string"}, ("text", "image_url", "input_audio", "file")
    ),
    "function": _Role({"name": "string", "content": "string?"}, {}),
    "tool": _Role({"tool_call_id": "string", "content": _CONTENT}, {}),
    "developer": _SYSTEM,
}


def _messages(asked: _Asked) -> Complaints:
    for path, message in asked.messages():
        yield from typed(path, message, "object")
        yield from required(f"{path}.", message, "role")
        yield from word(f"{path}.role", message["role"], _ROLES)
        role = _ROLES[message["role"]]
        if asked.strict:
            yield from fields(path, message, {"role": "string", **role.needed}, role.optional)
        else:
            yield from typed(f"{path}.content", message.get("content"), f"{_CONTENT}?")
        yield from _parts(asked, path, message, role)
        if message["role"] == "assistant":
            yield from _said(asked, path, message)


def _said(asked: _Asked, path: str, message: _Object) -> Complaints:
    """Complaints about a message of the assistant's: it says or calls something."""
    said = ("content", "tool_calls", "function_call", "refusal", "audio")
    if all(message.get(name) is None for name in said):
        dotted = path.replace("[", ".[")
        yield Complaint(
            "Invalid value for 'content': expected a string, got null.", f"{dotted}.content"
        )
    if message.get("tool_calls") is None:
        return
    yield from typed(f"{path}.tool_calls", message["tool_calls"], "array")
    yield from length(f"{path}.tool_calls", message["tool_calls"], least=asked.strict)
    for number, call in enumerate(message["tool_calls"]):
        yield from _call(asked, f"{path}.tool_calls[{number}]", call)


def _call(asked: _Asked, path: str, call: Any) -> Complaints:
    yield from typed(path, call, "object")
    kind = call.get("type", ... if asked.strict else "function")
    if kind is ...:
        yield from required(f"{path}.", call, "type")
    yield from word(f"{path}.type", kind, ("function", "custom"))
    if asked.strict:
        yield from fields(path, call, {"id": "string", kind: "object"}, {"type": "string"})
        yield from length(f"{path}.id", call["id"], least=1, most=40)
    yield from required(f"{path}.", call, kind)
    text = "arguments" if kind == "function" else "input"
    more = {} if asked.strict else dict.fromkeys(object_(call[kind]), "")
    yield from fields(f"{path}.{kind}", call[kind], {"name": "string", text: "string"}, more)


def _parts(asked: _Asked, path: str, message: _Object, role: _Role) -> Complaints:
    content = message.get("content")
    if is_array(content) and asked.strict:
        yield from length(f"{path}.content", content, least=1)
    for number, part in enumerate(array(content)):
        where = f"{path}.content[{number}]"
        yield from typed(where, part, "object")
        kind = part.get("type")
        if asked.strict:
            yield from required(f"{where}.", part, "type")
            yield from word(f"{where}.type", kind, role.parts)
            yield from fields(where, part, {"type": "string", **_PARTS[kind]}, _MARKS)
        if kind in _PARTS and kind in part:
            yield from _PART_RULES[kind](f"{where}.{kind}", part[kind])


_MARKS = {"prompt_cache_breakpoint": "object"}
_PARTS: Mapping[str, Mapping[str, str]] = {
    "text": {"text": "string"},
    "refusal": {"refusal": "string"},
    "image_url": {"image_url": "object"},
    "input_audio": {"input_audio": "object"},
    "file": {"file": "object"},
}


def _image(path: str, image: Any) -> Complaints:
    image = {"url": image} if isinstance(image, str) else image  # some take the address alone
    yield from fields(path, image, {"url": "string"}, dict.fromkeys(object_(image), ""))
    detail = image.get("detail", "auto")
    yield from word(f"{path}.detail", detail, ("auto", "low", "high", "original"))
    url: str = image["url"]
    if not url.startswith("data:"):
        if not re.match(r"https?://[^\s/]", url):
            yield Complaint(
                f"Invalid '{path}'. Expected a valid URL, but got a value with an invalid format.",
                path,
                "invalid_value",
            )
        return
    wanted = (
        f"Invalid '{path}.url'. Expected a base64-encoded data URL with an image MIME type (e.g. "
        "'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got"
    )
    kind, _, data = url[5:].partition(";base64,")
    if kind not in IMAGE_TYPES:
        yield Complaint(f"{wanted} unsupported MIME type '{kind}'.", f"{path}.url", "invalid_value")
    if not _is_base64(data):
        yield Complaint(
            f"{wanted} an invalid base64-encoded value.", f"{path}.url", "invalid_base64"
        )


def _is_base64(text: str) -> bool:
    """Whether a text is base64 of something."""
    try:
        return bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False


def _sound(path: str, sound: Any) -> Complaints:
    sound = {"data": sound, "format": "wav"} if isinstance(sound, str) else sound  # Mistral's form
    yield from fields(path, sound, {"data": "string", "format": "string"}, {})
    yield from word(f"{path}.format", sound["format"], ("wav", "mp3"))
    data: str = sound["data"]
    if not _is_base64(data.rpartition(",")[2]):
        yield Complaint(
            f"Invalid '{path}.data'. Expected a base64-encoded value.",
            f"{path}.data",
            "invalid_base64",
        )


def _file(path: str, file: Any) -> Complaints:
    known = ("file_data", "file_id", "filename")
    yield from fields(path, file, {}, dict.fromkeys(known, "string"))
    if "file_id" not in file:
        yield from required(f"{path}.", file, "file_data")
        data: str = file["file_data"]
        if not re.match(r"data:[\w.+/-]+;base64,|https?://", data):
            yield Complaint(
                f"Invalid '{path}.file_data'. Expected a base64-encoded data URL with a MIME type "
                "(e.g. 'data:application/pdf;base64,aGk='), but got a value without the 'data:' "
                "prefix.",
                f"{path}.file_data",
                "invalid_value",
            )


def _plain(path: str, text: Any) -> Complaints:
    yield from typed(path, text, "string")


_PART_RULES: Mapping[str, Callable[[str, Any], Complaints]] = {
    "text": _plain,
    "refusal": _plain,
    "image_url": _image,
    "input_audio": _sound,
    "file": _file,
}


def _pairs(asked: _Asked) -> Complaints:
    """Each call is answered at once, and nothing else is."""
    waiting: list[Any] = []  # a service that gives its calls no ids takes results without, too
    caller = 0
    messages: list[_Object] = [*asked.body["messages"], {"role": "end"}]
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            yield from _answers(message, number, waiting)
            continue
        if waiting:
            yield Complaint(
                "An assistant message with 'tool_calls' must be followed by tool messages "
                "responding to each 'tool_call_id'. The following tool_call_ids did not have "
                f"response messages: {', '.join(map(str, waiting))}",
                f"messages.[{caller}].role",
            )
        caller = number
        waiting = [call.get("id") for call in message.get("tool_calls") or ()]


def _answers(message: _Object, number: int, waiting: list[Any]) -> Complaints:
    id_ = message.get("tool_call_id")
    if None not in waiting:
        yield from required(f"messages[{number}].", message, "tool_call_id")
    if id_ not in waiting:
        yield Complaint(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding "
            "message with 'tool_calls'.",
            f"messages.[{number}].role",
        )
    waiting.remove(id_)


# --- tools ----------------------------------------------------------------------------------------

_FUNCTION = {"description": "string?", "parameters": "object?", "strict": "boolean?"}
_CUSTOM = {"description": "string", "format": "object"}


def _tools(asked: _Asked) -> Complaints:
    tools = asked.body.get("tools")
    if tools is not None and asked.strict:
        yield from length("tools", tools, least=1, most=128)
    for number, tool in enumerate(asked.tools()):
        path = f"tools[{number}]"
        yield from typed(path, tool, "object")
        yield from required(f"{path}.", tool, "type")
        kind = tool["type"]
        if asked.strict:
            yield from word(f"{path}.type", kind, ("function", "custom"))
            yield from fields(path, tool, {"type": "string", kind: "object"}, {})
        if kind == "function":
            yield from required(f"{path}.", tool, "function")
            yield from _function(asked, f"{path}.function", tool["function"])
        elif kind == "custom" and asked.strict:
            yield from _custom(f"{path}.custom", tool["custom"])
    yield from _unique([name for tool in asked.tools() if (name := _name_of(tool))])


def _unique(names: list[str]) -> Complaints:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        yield Complaint(
            f"Invalid value for 'tools': tool names must be unique, but '{twice}' is given more "
            "than once.",
            "tools",
            "invalid_value",
        )


def _name_of(tool: Any) -> str:
    kind = string(object_(tool).get("type"))
    return string(object_(object_(tool).get(kind)).get("name"))


def _function(asked: _Asked, path: str, function: Any) -> Complaints:
    more = _FUNCTION if asked.strict else {**dict.fromkeys(object_(function), ""), **_FUNCTION}
    yield from fields(path, function, {"name": "string"}, more)
    yield from tool_name(f"{path}.name", function["name"])
    schema = function.get("parameters")
    if schema is None:
        return
    if not asked.strict:
        schema = {"type": "object", **schema}
    strict = asked.strict and bool(function.get("strict"))
    yield from function_schema(path, function["name"], schema, strict=strict)


def _custom(path: str, tool: _Object) -> Complaints:
    yield from fields(path, tool, {"name": "string"}, _CUSTOM)
    yield from tool_name(f"{path}.name", tool["name"])
    if "format" not in tool:
        return
    format_ = tool["format"]
    yield from required(f"{path}.format.", format_, "type")
    yield from word(f"{path}.format.type", format_["type"], ("text", "grammar"))
    if format_["type"] == "grammar":
        needed = {"type": "string", "grammar": "object"}
        yield from fields(f"{path}.format", format_, needed, {})
        known = {"definition": "string", "syntax": "string"}
        yield from fields(f"{path}.format.grammar", format_["grammar"], known, {})
        yield from word(
            f"{path}.format.grammar.syntax", format_["grammar"]["syntax"], ("lark", "regex")
        )


def _tool_choice(asked: _Asked) -> Complaints:
    body = asked.body
    for name in ("tool_choice", "parallel_tool_calls"):
        if name in body and asked.strict and not asked.tools():
            yield Complaint(
                f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.",
                name,
            )
    choice = body.get("tool_choice")
    if isinstance(choice, str) and asked.strict:
        yield from word("tool_choice", choice, ("none", "auto", "required"))
    if not is_object(choice):
        return
    kind = string(choice.get("type"))
    if asked.strict:
        yield from word("tool_choice.type", kind, ("allowed_tools", "function", "custom"))
        yield from fields("tool_choice", choice, {"type": "string", kind: "object"}, {})
    if kind == "allowed_tools":
        yield from _allowed_tools(asked, object_(choice.get(kind)))
    elif _name_of(choice) or asked.strict:
        yield from _is_declared(asked, "tool_choice", choice)


def _allowed_tools(asked: _Asked, choice: _Object) -> Complaints:
    path = "tool_choice.allowed_tools"
    yield from fields(path, choice, {"mode": "string", "tools": "array"}, {})
    yield from word(f"{path}.mode", choice["mode"], ("auto", "required"))
    for number, tool in enumerate(choice["tools"]):
        yield from _is_declared(asked, f"{path}.tools[{number}]", object_(tool))


def _is_declared(asked: _Asked, path: str, choice: _Object) -> Complaints:
    name = _name_of(choice)
    if name not in map(_name_of, asked.tools()):
        kind = string(choice.get("type"))
        yield Complaint(
            f"Invalid value for '{path}': no {kind} named '{name}' was specified in the 'tools' "
            "parameter.",
            path,
        )


def _functions(asked: _Asked) -> Complaints:
    """Complaints about functions, as tools were called at first."""
    body = asked.body
    if "function_call" in body and "functions" not in body:
        yield Complaint(
            "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' "
            "are specified.",
            "function_call",
        )
    if "functions" not in body:
        return
    yield from length("functions", body["functions"], least=1, most=128)
    for number, function in enumerate(body["functions"]):
        yield from _function(asked, f"functions[{number}]", function)
    choice = body.get("function_call", "auto")
    if isinstance(choice, str):
        yield from word("function_call", choice, ("none", "auto"))
        return
    yield from fields("function_call", choice, {"name": "string"}, {})
    if choice["name"] not in [function["name"] for function in body["functions"]]:
        yield Complaint(
            f"Invalid value for 'function_call': no function named '{choice['name']}' was "
            "specified in the 'functions' parameter.",
            "function_call",
        )


# --- structured output ----------------------------------------------------------------------------


def _response_format(asked: _Asked) -> Complaints:
    format_ = asked.body.get("response_format")
    if format_ is None:
        return
    path = "response_format"
    yield from required(f"{path}.", format_, "type")
    kind = format_["type"]
    if asked.strict:
        yield from word(f"{path}.type", kind, ("json_object", "json_schema", "text"))
    if kind == "json_schema":
        yield from required(f"{path}.", format_, "json_schema")
        yield from _schema(asked, f"{path}.json_schema", format_["json_schema"])
    elif kind == "json_object" and asked.strict and not _says_json(asked):
        yield Complaint(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            "messages",
        )


def _says_json(asked: _Asked) -> bool:
    return b"json" in encode([m.get("content") for _, m in asked.messages()]).lower()


def _schema(asked: _Asked, path: str, given: Any) -> Complaints:
    known = {"description": "string?", "schema": "object?", "strict": "boolean?"}
    if not asked.strict:
        yield from typed(path, given, "object")
        return
    yield from fields(path, given, {"name": "string"}, known)
    yield from tool_name(f"{path}.name", given["name"])
    yield from required(f"{path}.", given, "schema")
    if given.get("strict"):
        subject = f"response_format '{given['name']}'"
        yield from strict_schema(given["schema"], subject, "response_format")


# --- OpenAI's models ------------------------------------------------------------------------------

_DEFAULTS = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}
_WITHOUT_NONE = ("temperature", "top_p")
_TAKES_STOP = re.compile(r"o1|o3-mini|gpt-5\.5")
_TAKES_SEARCH = re.compile(r"-search-")


def _openai_model(asked: _Asked) -> Complaints:
    body, model = asked.body, asked.model
    if "web_search_options" in body and not _TAKES_SEARCH.search(model):
        yield unsupported("web_search_options")
    if not reasons(model):
        if body.get("reasoning_effort") is not None:
            yield Complaint("Unrecognized request argument supplied: reasoning_effort")
        if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
            yield Complaint(
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not "
                "supported.",
                "max_tokens",
                "invalid_parameter_combination",
            )
        return
    if body.get("max_tokens") is not None:
        yield unsupported("max_tokens", "Use 'max_completion_tokens' instead.")
    if body.get("reasoning_effort") is not None:
        yield from _effort(model, body["reasoning_effort"])
    yield from _reasoning_sampling(asked)


def _effort(model: str, effort: str) -> Complaints:
    supported = efforts(model)
    if effort not in supported:
        yield Complaint(
            f"Unsupported value: 'reasoning_effort' does not support '{effort}' with this model. "
            f"Supported values are: {allowed(supported)}.",
            "reasoning_effort",
            "unsupported_value",
        )


def _reasoning_sampling(asked: _Asked) -> Complaints:
    """Complaints about parameters that a model does not take, or not while it reasons."""
    body = asked.body
    reasoning = reasons_now(asked.model, body.get("reasoning_effort"))
    for name, default in _DEFAULTS.items():
        is_taken = name in _WITHOUT_NONE and not reasoning
        if body.get(name) not in (None, default) and not is_taken:
            yield Complaint(
                f"Unsupported value: '{name}' does not support {body[name]:g} with this model. "
                f"Only the default ({default}) value is supported.",
                name,
                "unsupported_value",
            )
    if body.get("logprobs") and reasoning:
        yield Complaint("You are not allowed to request logprobs from this model", status=403)
    if body.get("logit_bias"):
        yield unsupported("logit_bias")
    if body.get("stop") is not None and not _TAKES_STOP.match(asked.model):
        yield unsupported("stop")


# --- DeepSeek -------------------------------------------------------------------------------------


def _deepseek(asked: _Asked) -> Complaints:
    """Complaints about what DeepSeek has not, or wants in its own way (wire.md 9)."""
    body = asked.body
    for number, message in enumerate(body["messages"]):
        for part in array(message.get("content")):
            if part.get("type") != "text":
                yield _in_deepseeks_words(
                    "Failed to deserialize the JSON body into the target type: "
                    f"messages[{number}]: unknown variant `{part.get('type')}`, expected `text`"
                )
    kind = object_(body.get("response_format")).get("type", "text")
    if kind not in ("text", "json_object"):
        yield _in_deepseeks_words("This response_format type is unavailable now")
    if kind == "json_object" and not _says_json(asked):
        yield _in_deepseeks_words(
            "Prompt must contain the word 'json' in some form to use 'response_format' of type "
            "'json_object'."
        )
    thinking = object_(body.get("thinking")).get("type", "enabled")
    yield from word("thinking.type", thinking, ("enabled", "disabled"))
    if deepseek_thinks(asked.model, body):
        yield from _deepseek_thinking(body)


def _deepseek_thinking(body: _Object) -> Complaints:
    if body.get("tool_choice") not in (None, "auto", "none"):
        yield _in_deepseeks_words("Thinking mode does not support this tool_choice")
    for message in body["messages"]:
        if message.get("tool_calls") and not message.get("reasoning_content"):
            yield _in_deepseeks_words(
                "The `reasoning_content` in the thinking mode must be passed back to the API."
            )


def _in_deepseeks_words(message: str) -> Complaint:
    return Complaint(message, code="invalid_request_error")


_ALL: tuple[Maker, ...] = ("openai", "deepseek", "other")
_RULES: tuple[tuple[tuple[Maker, ...], Callable[[_Asked], Complaints]], ...] = (
    (_ALL, _top_level),
    (_ALL, _ranges),
    (_ALL, _stop),
    (("openai",), _openai_values),
    (_ALL, _output_kinds),
    (_ALL, _messages),
    (_ALL, _pairs),
    (_ALL, _tools),
    (_ALL, _tool_choice),
    (_ALL, _functions),
    (_ALL, _response_format),
    (("openai",), _openai_model),
    (("deepseek",), _deepseek),
)
