"""What the Gemini service accepts: the first complaint about a request's body, in its words.

The wording is what the service was seen to send, where that is public, and written in its style
where it is not; tests should match parts of it. Each rule is a generator of complaints. They run
in order and stop at the first one, so a rule may take for granted what an earlier one checks. They
see the body in the form that ``gemini_fields`` gives it.

What a model refuses is decided by its name: generation and size. Of names that are not known
(``gemini-flash-latest``, a tuned model) nothing is refused.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ._json import array, encode, is_array, is_object, object_, string
from .gemini_fields import FieldError, canonical, is_base64, snake, standard_base64
from .signatures import Judge

__all__ = ["SKIPS", "complaint", "sealed_by", "version_of"]

_Object: TypeAlias = dict[str, Any]
_Complaints: TypeAlias = Iterator[str]

SKIPS = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})
"""Signatures that are taken in place of a genuine one
(https://ai.google.dev/gemini-api/docs/thought-signatures)."""


def complaint(body: _Object, *, model: str, vertex: bool, judge: Judge) -> str | None:
    """What is wrong with a request's body, or ``None``.

    Args:
        body: The request's JSON.
        model: The model asked.
        vertex: Whether the API is Vertex AI's.
        judge: Tells whether a signature is one of the service, given what :func:`sealed_by` says
            of its part.
    """
    try:
        read = canonical(body, vertex=vertex)
    except FieldError as error:
        return str(error)
    return next(_complaints(_Asked(read, _model(model), vertex, judge)), None)


def sealed_by(part: Mapping[str, Any]) -> str:
    """What of a part its signature holds for: a call's name, nothing of other parts.

    Clients cut texts anew and write arguments anew, and the service takes them so.
    """
    return string(object_(part.get("functionCall")).get("name"))


def version_of(model: str) -> tuple[int, int] | None:
    """The generation of a model, ``(2, 5)``; ``None`` where its name does not say."""
    known = _model(model)
    return known.version if known else None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request under examination."""

    body: _Object
    model: _Model | None
    vertex: bool
    judge: Judge

    def invalid(self, path: str, message: str) -> str:
        """A complaint about a field, as each of the two APIs writes it."""
        if self.vertex:
            return (
                f"The GenerateContentRequest proto is invalid:\n  * {path}: [FIELD_INVALID] "
                f"{message}"
            )
        return f"* GenerateContentRequest.{path}: {message}\n"

    @property
    def generation(self) -> _Object:
        return object_(self.body.get("generationConfig"))

    @property
    def contents(self) -> list[_Object]:
        return array(self.body.get("contents"))

    def parts(self) -> Iterator[tuple[str, _Object]]:
        """Each part with its path."""
        for number, content in enumerate(self.contents):
            for place, part in enumerate(array(content.get("parts"))):
                yield f"contents[{number}].parts[{place}]", part

    def functions(self) -> Iterator[tuple[str, _Object]]:
        """Each function declaration with its path."""
        for number, tool in enumerate(array(self.body.get("tools"))):
            for place, function in enumerate(array(tool.get("functionDeclarations"))):
                yield f"tools[{number}].function_declarations[{place}]", function

    def own_tools(self) -> list[str]:
        """The tools of the service's own."""
        tools = [tool for entry in array(self.body.get("tools")) for tool in entry]
        return [snake(tool) for tool in tools if tool != "functionDeclarations"]


def _complaints(asked: _Asked) -> _Complaints:
    for rule in _RULES:
        yield from rule(asked)


# --- contents and their parts ---------------------------------------------------------------------

_KINDS = (
    *("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode"),
    *("codeExecutionResult", "toolCall", "toolResponse"),
)


def _contents(asked: _Asked) -> _Complaints:
    if not asked.contents:
        yield asked.invalid("contents", "contents is not specified")
    for number, content in enumerate(asked.contents):
        if content.get("role", "user") not in ("user", "model", "function"):
            yield "Please use a valid role: user, model."
        if not content.get("parts"):
            yield asked.invalid(f"contents[{number}].parts", "contents.parts must not be empty.")
    for path, part in asked.parts():
        yield from _part(asked, path, part)


def _part(asked: _Asked, path: str, part: _Object) -> _Complaints:
    kinds = [name for name in _KINDS if name in part]
    if not kinds and "thoughtSignature" not in part:
        yield asked.invalid(
            f"{path}.data", "required oneof field 'data' must have one initialized field"
        )
    if len(kinds) > 1:
        yield (
            f"Invalid value at '{path}' (oneof), oneof field 'data' is already set. Cannot set "
            f"'{kinds[1]}'"
        )
    for kind in ("functionCall", "functionResponse"):
        if kind in part and not part[kind].get("name"):
            yield asked.invalid(f"{path}.{snake(kind)}.name", "Name cannot be empty.")
    for kind in ("inlineData", "fileData"):
        if kind in part:
            yield from _media(asked, f"{path}.{snake(kind)}", part[kind])


_IMAGES = frozenset(f"image/{name}" for name in ("png", "jpeg", "jpg", "webp", "heic", "heif"))
_DOCUMENTS = frozenset(
    f"application/{name}" for name in ("pdf", "rtf", "x-javascript", "x-python", "javascript")
)
_FAMILIES = ("audio/", "video/", "text/")


def _media(asked: _Asked, path: str, media: _Object) -> _Complaints:
    kind = string(media.get("mimeType"))
    if "fileUri" in media and not kind:  # the service looks for itself
        return
    if not kind:
        yield asked.invalid(f"{path}.mime_type", "mime_type must be specified")
    if kind not in _IMAGES | _DOCUMENTS and not kind.startswith(_FAMILIES):
        yield f"Unsupported MIME type: {kind}"
    if not media.get("fileUri") and not media.get("data"):
        yield (
            "Unable to process input image. Please retry or report in "
            "https://developers.generativeai.google/guide/troubleshooting"
            if kind in _IMAGES
            else asked.invalid(f"{path}.data", "data must not be empty")
        )


def _count(content: Mapping[str, Any], kind: str) -> int:
    return sum(kind in part for part in array(content.get("parts")))


def _turns(asked: _Asked) -> _Complaints:
    """Calls follow the user, and are answered at once, all of them, and nothing else is."""
    nobody: _Object = {}
    for before, content, after in zip(
        [nobody, *asked.contents], asked.contents, [*asked.contents[1:], nobody], strict=False
    ):
        calls = _count(content, "functionCall")
        answers = _count(content, "functionResponse")
        if calls and before.get("role", "user" if before else "") not in ("user", "function"):
            yield (
                "Please ensure that function call turn comes immediately after a user turn or "
                "after a function response turn."
            )
        if calls and calls != _count(after, "functionResponse"):
            yield (
                "Please ensure that the number of function response parts is equal to the number "
                "of function call parts of the function call turn."
            )
        if answers and not _count(before, "functionCall"):
            yield (
                "Please ensure that function response turn comes immediately after a function "
                "call turn."
            )


# --- signatures -----------------------------------------------------------------------------------


def _signatures(asked: _Asked) -> _Complaints:
    for path, part in asked.parts():
        given = part.get("thoughtSignature")
        if not given or given in SKIPS:
            continue
        if asked.judge(sealed_by(part), standard_base64(given)) == "valid":
            continue
        if not is_base64(given):
            yield (
                f"Invalid value at '{path}.thought_signature' (TYPE_BYTES), Base64 decoding "
                f'failed for "{given[:40]}"'
            )
        yield "Thought signature is not valid." if asked.vertex else "Corrupted thought signature."


def _missing_signatures(asked: _Asked) -> _Complaints:
    """In the turn under way, the first call of each answer is signed, from Gemini 3 on."""
    if asked.model is None or asked.model.version < (3, 0):
        return
    for number in range(_turn_under_way(asked.contents), len(asked.contents)):
        calls = [part for part in asked.contents[number]["parts"] if "functionCall" in part]
        if not calls or calls[0].get("thoughtSignature"):
            continue
        name = calls[0]["functionCall"]["name"]
        if asked.vertex:
            yield (
                f"Unable to submit request because function call `{name}` in the {number + 1}. "
                "content block is missing a `thought_signature`. Learn more: "
                "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thought-signatures"
            )
        yield (
            "Function call is missing a thought_signature in functionCall parts. This is required "
            "for tools to work correctly, and missing thought_signature may lead to degraded model "
            f"performance. Additional data, function call `default_api:{name}` , position "
            f"{number + 1}. Please refer to "
            "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
        )


def _turn_under_way(contents: list[_Object]) -> int:
    """The number of the content in which the user last said something."""
    said = [
        number
        for number, content in enumerate(contents)
        if content.get("role", "user") == "user" and not _count(content, "functionResponse")
    ]
    return said[-1] if said else 0


# --- generation -----------------------------------------------------------------------------------

_MAX_STOPS = 5
_MIME_TYPES = frozenset(
    (
        *("text/plain", "application/json", "application/xml", "application/yaml"),
        "text/x.enum",
    )
)


@dataclass(frozen=True, slots=True)
class _Range:
    least: float
    most: float
    exclusive: str = ""  # how Vertex AI names the end, where it does not belong to the range


_RANGES = {
    "temperature": _Range(0, 2, "2.0001"),
    "topP": _Range(0, 1),
    "topK": _Range(1, math.inf),
    "candidateCount": _Range(1, 8, "9"),
    "maxOutputTokens": _Range(1, math.inf),
    "presencePenalty": _Range(-2, 2, "2"),
    "frequencyPenalty": _Range(-2, 2, "2"),
    "logprobs": _Range(0, 20, "21"),
}


def _out_of_range(asked: _Asked, name: str, value: float, within: _Range) -> str:
    most = f"{within.most:g}"
    if asked.vertex:
        end = f"{within.exclusive} (exclusive)" if within.exclusive else f"{most} (inclusive)"
        return (
            f"Unable to submit request because it has a {name} value of {value:g} but the "
            f"supported range is from {within.least:g} (inclusive) to {end}. Update the value and "
            "try again."
        )
    field = snake(name)
    known = f"in the range [{within.least:g}, {most}]"
    wanted = known if math.isfinite(within.most) else f"at least {within.least:g}"
    return asked.invalid(f"generation_config.{field}", f"{field} must be {wanted}.")


def _generation(asked: _Asked) -> _Complaints:
    config = asked.generation
    for name, within in _RANGES.items():
        if name in config and not within.least <= config[name] <= within.most:
            yield _out_of_range(asked, name, config[name], within)
    stops = array(config.get("stopSequences"))
    path = "generation_config.stop_sequences"
    if len(stops) > _MAX_STOPS:
        yield asked.invalid(path, f"at most {_MAX_STOPS} stop sequences can be specified.")
    if "" in stops:
        yield asked.invalid(path, "stop sequences must not be empty.")
    if "logprobs" in config and not config.get("responseLogprobs"):
        yield asked.invalid(
            "generation_config.logprobs", "can only be set when response_logprobs is true."
        )
    yield from _output(asked)


def _output(asked: _Asked) -> _Complaints:
    config = asked.generation
    kind = config.get("responseMimeType") or "text/plain"
    if kind not in _MIME_TYPES:
        yield asked.invalid(
            "generation_config.response_mime_type",
            "allowed mimetypes are `text/plain`, `application/json`, `application/xml`, "
            "`application/yaml` and `text/x.enum`.",
        )
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if name in config]
    if len(schemas) > 1:
        yield asked.invalid(
            "generation_config", "only one of response_schema and response_json_schema can be set."
        )
    for name in schemas:
        path = f"generation_config.{snake(name)}"
        if kind not in ("application/json", "text/x.enum"):
            yield asked.invalid(
                path, "only allowed when response_mime_type is application/json or text/x.enum."
            )
        rule = _schema if name == "responseSchema" else _json_schema
        yield from rule(asked, path, config[name])


def _thinking(asked: _Asked) -> _Complaints:
    config, model = object_(asked.generation.get("thinkingConfig")), asked.model
    budget, level = config.get("thinkingBudget"), config.get("thinkingLevel")
    if budget is not None and level is not None:
        yield "You can only set only one of thinking budget and thinking level."
    if budget == 0 and config.get("includeThoughts"):
        yield "Thinking_config.include_thoughts is only enabled when thinking is enabled."
    if model is None or not config:
        return
    if not model.thinks and (budget or level or config.get("includeThoughts")):
        yield (
            "Unable to submit request because thinking is not supported by this model. Learn more: "
            "https://ai.google.dev/gemini-api/docs/thinking"
        )
    if level is not None and model.version < (3, 0):
        yield "Thinking level is not supported for this model."
    if level is not None and level not in model.levels:
        yield (
            f"Thinking level {level} is not supported for this model. Please retry with other "
            "thinking level."
        )
    if budget is not None and model.thinks:
        yield from _budget(budget, model)


_DYNAMIC = -1  # the model decides


def _budget(budget: int, model: _Model) -> _Complaints:
    least, most = model.budgets
    if budget == 0 and not model.may_not_think:
        yield "Budget 0 is invalid. This model only works in thinking mode."
    if budget not in (_DYNAMIC, 0) and not least <= budget <= most:
        yield (
            f"The thinking budget {budget} is invalid. Please choose a value between {least} and "
            f"{most}."
        )


# --- tools ----------------------------------------------------------------------------------------

_FUNCTION_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_MAX_FUNCTIONS = 512


def _tools(asked: _Asked) -> _Complaints:
    functions = list(asked.functions())
    for path, function in functions:
        yield from _function(asked, path, function)
    if len(functions) > _MAX_FUNCTIONS:
        yield asked.invalid(
            "tools[0].function_declarations",
            f"At most {_MAX_FUNCTIONS} function declarations can be specified.",
        )
    names = Counter(function["name"] for _, function in functions)
    for name, count in names.items():
        if count > 1:
            yield f"Duplicate function declaration found: {name}"
    yield from _calling(asked, set(names))
    yield from _mixed(asked)


def _function(asked: _Asked, path: str, function: _Object) -> _Complaints:
    if not _FUNCTION_NAME.fullmatch(string(function.get("name"))):
        yield asked.invalid(
            f"{path}.name",
            "Invalid function name. Must start with a letter or an underscore. Must be "
            "alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), "
            "with a maximum length of 128.",
        )
    for name in ("parameters", "response"):
        own, json = function.get(name), function.get(f"{name}JsonSchema")
        if own is not None and json is not None:
            yield asked.invalid(
                path, f"only one of {name} and {name}_json_schema can be specified."
            )
        if own is not None:
            yield from _schema(asked, f"{path}.{name}", own)
        if json is not None:
            yield from _json_schema(asked, f"{path}.{name}_json_schema", json)
    if object_(function.get("parameters")).get("type", "OBJECT") != "OBJECT":
        yield asked.invalid(f"{path}.parameters", "schema should be of type OBJECT")


def _calling(asked: _Asked, names: set[str]) -> _Complaints:
    config = object_(object_(asked.body.get("toolConfig")).get("functionCallingConfig"))
    path = "tool_config.function_calling_config.allowed_function_names"
    mode, allowed = config.get("mode", "AUTO"), array(config.get("allowedFunctionNames"))
    if config and mode != "NONE" and not names:
        yield "Function calling config is set without function_declarations."
    if allowed and mode not in ("ANY", "VALIDATED"):
        yield asked.invalid(path, f"only allowed when mode is ANY or VALIDATED, but it is {mode}.")
    for number, name in enumerate(allowed):
        if name not in names:
            yield asked.invalid(
                f"{path}[{number}]", f"function `{name}` is not in function_declarations."
            )


def _mixed(asked: _Asked) -> _Complaints:
    """What cannot be had together."""
    functions, own = any(asked.functions()), asked.own_tools()
    is_old = asked.model is not None and asked.model.version < (3, 0)
    tells = object_(asked.body.get("toolConfig")).get("includeServerSideToolInvocations")
    if functions and own and is_old:
        yield "Tool use with function calling is unsupported"
    if functions and own and asked.vertex:
        yield "Multiple tools are supported only when they are all search tools."
    if functions and own and not tells:
        yield (
            "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools "
            "with Function calling."
        )
    if tells and is_old:
        yield "Tool call context circulation is not enabled for this model."
    if is_old and asked.generation.get("responseMimeType") == "application/json":
        for what, used in (("Function calling", functions), ("Tool use", own)):
            if used:
                yield f"{what} with a response mime type: 'application/json' is unsupported"


# --- schemas --------------------------------------------------------------------------------------

_FORMATS = {
    "STRING": ("enum", "date-time"),
    "NUMBER": ("float", "double"),
    "INTEGER": ("int32", "int64"),
}


def _schema(asked: _Asked, path: str, schema: _Object) -> _Complaints:
    """A schema of the service's own kind, a subset of OpenAPI's; by the paths of its parts."""
    kind = schema.get("type")
    if kind is None and not schema.get("anyOf") and "ref" not in schema:
        yield asked.invalid(
            f"{path}.type", "must be specified when not using one_of, any_of or all_of fields"
        )
    if kind == "ARRAY" and "items" not in schema:
        yield asked.invalid(f"{path}.items", "missing field.")
    properties = object_(schema.get("properties"))
    for number, name in enumerate(array(schema.get("required"))):
        if name not in properties:
            yield asked.invalid(f"{path}.required[{number}]", "property is not defined")
    yield from _values(asked, path, schema)
    for name, part in properties.items():
        yield from _schema(asked, f"{path}.properties[{name}]", part)
    for number, part in enumerate(array(schema.get("anyOf"))):
        yield from _schema(asked, f"{path}.any_of[{number}]", part)
    if "items" in schema:
        yield from _schema(asked, f"{path}.items", schema["items"])


def _values(asked: _Asked, path: str, schema: _Object) -> _Complaints:
    kind = string(schema.get("type"))
    for number, value in enumerate(array(schema.get("enum"))):
        if kind != "STRING":
            yield asked.invalid(f"{path}.enum", "only allowed for STRING type")
        if not value:
            yield asked.invalid(f"{path}.enum[{number}]", "cannot be empty")
    allowed = _FORMATS.get(kind, ())
    if schema.get("format") and allowed and schema["format"] not in allowed:
        known = " and ".join(f"'{name}'" for name in allowed)
        yield asked.invalid(f"{path}.format", f"only {known} are supported for {kind} type")


_JSON_TYPES = frozenset(("string", "number", "integer", "boolean", "array", "object", "null"))
_JSON_SCHEMAS = ("items", "additionalProperties")
_JSON_NAMED = ("properties", "$defs")
_JSON_LISTED = ("anyOf", "oneOf", "prefixItems")


def _json_schema(asked: _Asked, path: str, schema: Any) -> _Complaints:
    """A JSON schema: what the service compiles of one, it must be able to."""
    if not is_object(schema):
        yield asked.invalid(path, f"must be a JSON schema, got {encode(schema).decode()[:40]}")
    pending: list[Any] = [schema]
    while pending:
        rules = object_(pending.pop())
        yield from _json_rules(asked, path, rules, schema)
        pending += [rules[name] for name in _JSON_SCHEMAS if name in rules]
        for name in _JSON_NAMED:
            pending += object_(rules.get(name)).values()
        for name in _JSON_LISTED:
            pending += array(rules.get(name))


def _json_rules(asked: _Asked, path: str, rules: _Object, root: _Object) -> _Complaints:
    kinds = rules.get("type", [])
    for kind in kinds if is_array(kinds) else [kinds]:
        if string(kind).lower() not in _JSON_TYPES:
            yield asked.invalid(path, f"unknown type {encode(kind).decode()}")
    reference = rules.get("$ref", "#")
    name = string(reference).removeprefix("#/$defs/")
    if reference != "#" and name not in object_(root.get("$defs")):
        yield asked.invalid(path, f"reference {encode(reference).decode()} is not defined")
    if any(value is None or isinstance(value, bool) for value in array(rules.get("enum"))):
        yield asked.invalid(path, "enum values must be strings or numbers")


# --- the rest -------------------------------------------------------------------------------------


def _safety(asked: _Asked) -> _Complaints:
    settings = array(asked.body.get("safetySettings"))
    seen: set[str] = set()
    for number, setting in enumerate(settings):
        path = f"safety_settings[{number}]"
        for name in ("category", "threshold"):
            if string(setting.get(name, "UNSPECIFIED")).endswith("UNSPECIFIED"):
                yield asked.invalid(f"{path}.{name}", f"{name} must be specified.")
        if setting["category"] in seen:
            yield asked.invalid(
                path, f"element with repeated safety setting category: {setting['category']}"
            )
        seen.add(setting["category"])


def _cached(asked: _Asked) -> _Complaints:
    held = ("systemInstruction", "tools", "toolConfig")
    if asked.body.get("cachedContent") and any(name in asked.body for name in held):
        yield (
            "CachedContent can not be used with GenerateContent request setting "
            "system_instruction, tools or tool_config.\n\nProposed fix: move those values to "
            "CachedContent from GenerateContent request."
        )


# --- models ---------------------------------------------------------------------------------------

_NAME = re.compile(r"gemini-(\d+)(?:\.(\d+))?-(pro|flash-lite|flash)(.*)")
_NOT_FOR_CHAT = re.compile(r"-(image|tts|live|native-audio|computer-use|embedding)")


@dataclass(frozen=True, slots=True)
class _Model:
    """What a model's generation and size say about it (https://ai.google.dev/gemini-api/docs)."""

    version: tuple[int, int]
    size: str

    @property
    def thinks(self) -> bool:
        return self.version >= (2, 5)

    @property
    def may_not_think(self) -> bool:
        return self.size != "pro"

    @property
    def budgets(self) -> tuple[int, int]:
        """The least and the greatest budget for thinking, beside 0 and -1."""
        if self.version >= (3, 0):
            return 1, 65_536  # taken for the sake of old clients
        return {"pro": (128, 32_768), "flash-lite": (512, 24_576)}.get(self.size, (1, 24_576))

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels of thinking that it knows."""
        if self.size != "pro":
            return "MINIMAL", "LOW", "MEDIUM", "HIGH"
        return ("LOW", "HIGH") if self.version == (3, 0) else ("LOW", "MEDIUM", "HIGH")

    @property
    def max_output_tokens(self) -> int:
        """The most tokens that it writes."""
        return 65_536 if self.thinks else 8192


def _model(name: str) -> _Model | None:
    found = _NAME.match(name)
    if found is None or _NOT_FOR_CHAT.search(found[4]):
        return None
    return _Model((int(found[1]), int(found[2] or 0)), found[3])


def _model_limits(asked: _Asked) -> _Complaints:
    model, config = asked.model, asked.generation
    if model is None:
        return
    most = model.max_output_tokens
    if config.get("maxOutputTokens", 1) > most:
        within = _Range(1, most, str(most + 1))
        yield _out_of_range(asked, "maxOutputTokens", config["maxOutputTokens"], within)
    if config.get("candidateCount", 1) > 1 and model.version >= (3, 0):
        yield "Multiple candidates is not enabled for this model"
    if (config.get("presencePenalty") or config.get("frequencyPenalty")) and model.thinks:
        yield "Penalty is not enabled for this model"


_RULES: tuple[Callable[[_Asked], _Complaints], ...] = (
    _contents,
    _turns,
    _generation,
    _model_limits,
    _thinking,
    _tools,
    _safety,
    _cached,
    _signatures,
    _missing_signatures,
)
