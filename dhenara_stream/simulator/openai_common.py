"""What OpenAI's protocols have in common (wire.md 3.3).

That is keys, headers, error objects, names of models, and the words in which a request is refused.
Rules are generators of :class:`Complaint`. They run in order and stop at the first one, so a rule
may take for granted what an earlier one checks. The wording is what the service was seen to send,
where that is public, and written in its style where it is not; tests should match parts of it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ._json import array, encode, is_object, object_, string
from .http1 import Head, Headers, Request
from .protocol import Refused, status_phrase
from .script import Answer, Thinking, ToolCall, estimated_tokens, token_count

__all__ = [
    "CREATED",
    "FREE_TEXT",
    "IMAGE_TYPES",
    "Complaint",
    "Complaints",
    "OpenAIProtocol",
    "OpenAIRefused",
    "TokenCounts",
    "allowed",
    "authenticate",
    "bounded",
    "check",
    "efforts",
    "error_object",
    "error_response",
    "failure",
    "fields",
    "free_text",
    "function_schema",
    "head",
    "is_openai",
    "length",
    "logprob",
    "reasons",
    "reasons_now",
    "refused",
    "required",
    "strict_schema",
    "token_counts",
    "tool_name",
    "typed",
    "unsupported",
    "word",
]

_Object: TypeAlias = dict[str, Any]

CREATED = 1_767_225_600
"""When all answers were made: the first second of 2026."""

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp"})
"""The kinds of images that models read."""


# --- errors ---------------------------------------------------------------------------------------


class OpenAIRefused(Refused):
    """An error with all that OpenAI's error object tells."""

    def __init__(
        self,
        status: int,
        message: str | None = None,
        type: str | None = None,  # noqa: A002
        *,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(status, message, type)
        self.param = param
        self.code = code


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of error: what it looks like where nothing else is asked for."""

    status: int
    type: str
    code: str | None
    message: str | None = None


_BAD_REQUEST = "invalid_request_error"
_RATE = "Rate limit reached on {} per min. Please try again in 120ms."
_KINDS = (  # of one status the first is the usual one
    _Kind(400, _BAD_REQUEST, None),
    _Kind(400, _BAD_REQUEST, "context_length_exceeded"),
    _Kind(
        401,
        _BAD_REQUEST,
        "invalid_api_key",
        "Incorrect API key provided: sk-*****************0000. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
    ),
    _Kind(401, "authentication_error", None),
    _Kind(
        403,
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    _Kind(403, "permission_error", None),
    _Kind(
        404,
        _BAD_REQUEST,
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    _Kind(429, "requests", "rate_limit_exceeded", _RATE.format("requests")),
    _Kind(429, "tokens", "rate_limit_exceeded", _RATE.format("tokens")),
    _Kind(
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors.",
    ),
    _Kind(429, "insufficient_quota", "credit_balance_exhausted", "Your credit balance is used up."),
    _Kind(
        429,
        "rate_limit_error",
        "slow_down",
        "Your request rate rose too quickly. Please slow down and try again.",
    ),
    _Kind(
        500,
        "server_error",
        None,
        "The server had an error while processing your request. Sorry about that!",
    ),
    _Kind(
        503,
        "service_unavailable_error",
        "server_is_overloaded",
        "Our servers are currently overloaded. Please try again later.",
    ),
)
_OVERLOADED = "server_is_overloaded"


def _usual(status: int) -> _Kind:
    """The kind of error that a status stands for."""
    fallback = _Kind(status, _BAD_REQUEST if status < 500 else "server_error", None)
    return next((kind for kind in _KINDS if kind.status == status), fallback)


def _meant(name: str) -> _Kind:
    """The kind of error that a code or a type stands for; an unknown one is the server's."""
    found = [kind for kind in _KINDS if kind.code == name]
    found += [kind for kind in _KINDS if kind.type == name]
    return found[0] if found else _Kind(500, name, None)


def failure(type_: str | None, message: str | None) -> OpenAIRefused:
    """The error that breaks an answer off, by its type or code; by default of overload."""
    kind = _meant(type_ or _OVERLOADED)
    text = message or kind.message or status_phrase(kind.status)
    return OpenAIRefused(kind.status, text, kind.type, code=kind.code)


def error_object(error: Refused) -> _Object:
    """``{"message", "type", "param", "code"}``."""
    status = error.status
    plain: _Kind | OpenAIRefused = _usual(status) if error.type is None else _meant(error.type)
    if isinstance(error, OpenAIRefused):
        plain = error
    elif error.message is not None and error.type is None and status == 404:
        plain = _usual(400)  # not the model, then
    return {
        "message": error.message or plain.message or status_phrase(status),
        "type": plain.type or _usual(status).type,
        "param": error.param if isinstance(error, OpenAIRefused) else None,
        "code": plain.code,
    }


def error_response(error: Refused, token: str) -> tuple[Headers, bytes]:
    """Headers and body of an error."""
    headers = (("content-type", "application/json"), *_identity(token))
    return headers, encode({"error": error_object(error)})


# --- keys and headers -----------------------------------------------------------------------------

_KEYS_PAGE = "https://platform.openai.com/account/api-keys"
_KEY = re.compile(r"[\x21-\x7e]+")


def authenticate(request: Request) -> None:
    """Check that a request has a key; any will do.

    Raises:
        OpenAIRefused: It has none, or something that cannot be one.
    """
    scheme, _, key = (request.header("authorization") or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        message = (
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password "
            "field (with blank username) if you're accessing the API from your browser and are "
            "prompted for a username and password. You can obtain an API key from "
            f"{_KEYS_PAGE}."
        )
        raise OpenAIRefused(401, message, _BAD_REQUEST)
    if not _KEY.fullmatch(key.strip()):
        message = (
            f"Incorrect API key provided: {_masked(key.strip())}. You can find your API key at "
            f"{_KEYS_PAGE}."
        )
        raise OpenAIRefused(401, message, _BAD_REQUEST, code="invalid_api_key")


def _masked(key: str) -> str:
    """A key as the service shows it; of a short one nothing but its length."""
    hidden = len(key) - 12
    return "*" * len(key) if hidden < 8 else f"{key[:8]}{'*' * hidden}{key[-4:]}"


def _identity(token: str) -> Headers:
    return (
        ("x-request-id", f"req_{token}"),
        ("openai-organization", "dhenara-simulator"),
        ("openai-processing-ms", str(100 + int(token[:2], 16))),
        ("openai-version", "2020-10-01"),
    )


_LIMITS = {"requests": (10_000, "6ms"), "tokens": (2_000_000, "0s")}


def head(token: str, *, stream: bool) -> Head:
    """The head of an answer; resets of limits are durations (wire.md 3.3)."""
    kind = "text/event-stream; charset=utf-8" if stream else "application/json"
    headers = [("content-type", kind), *_identity(token)]
    for name, (limit, reset) in _LIMITS.items():
        for what, value in (("limit", limit), ("remaining", limit - 1), ("reset", reset)):
            headers.append((f"x-ratelimit-{what}-{name}", str(value)))
    return Head(200, (*headers, ("cache-control", "no-cache")))


class OpenAIProtocol:
    """The methods that OpenAI's protocols share; see :class:`~.protocol.WireProtocol`."""

    def head(self, request: Request, token: str, now: float, *, stream: bool) -> Head:
        """The head of an answer."""
        return head(token, stream=stream)

    def error(self, refused: Refused, token: str) -> tuple[Headers, bytes]:
        """Headers and body of an error (wire.md 3.3)."""
        return error_response(refused, token)

    def failure(self, type: str | None, message: str | None) -> Refused:  # noqa: A002
        """The error that ends a stream, by default of an overloaded service."""
        return failure(type, message)


# --- models ---------------------------------------------------------------------------------------

_OPENAI = re.compile(r"(ft:)?(gpt-(?!oss)|chatgpt-|codex-|computer-use-|o[1-9](?![a-z0-9]))")
_REASONING = re.compile(r"(ft:)?(codex-|computer-use-|o[1-9]|gpt-([5-9]|\d{2})(?!.*-chat))")


def is_openai(model: str) -> bool:
    """Whether a model is one that OpenAI serves, by its name."""
    return bool(_OPENAI.match(model))


def reasons(model: str) -> bool:
    """Whether a model is one of OpenAI's that reason."""
    return is_openai(model) and bool(_REASONING.match(model))


_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?")


def _version(model: str) -> tuple[int, int]:
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def efforts(model: str) -> tuple[str, ...]:
    """The efforts that one of OpenAI's models reasons with; none if it does not reason."""
    version = _version(model)
    if not reasons(model):
        return ()
    usual: tuple[str, ...] = ("low", "medium", "high")
    if version >= (5, 2) or "codex-max" in model:
        usual += ("xhigh", "max") if version >= (5, 6) else ("xhigh",)
    if version >= (5, 0) and "-pro" in model:
        return usual[1:] if version >= (5, 2) else ("high",)
    if version >= (5, 1) and "codex" not in model:
        return ("none", *usual)
    return ("minimal", *usual) if version == (5, 0) else usual


def reasons_now(model: str, effort: object) -> bool:
    """Whether one of OpenAI's models reasons with an effort, or without one.

    Without one the models from 5.1 to 5.4 that need not reason do not.
    """
    if effort is None:
        return reasons(model) and ("none" not in efforts(model) or _version(model) >= (5, 5))
    return reasons(model) and effort != "none"


# --- usage ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """The tokens of an answer, as OpenAI counts them.

    Attributes:
        input: All input, that from and into the cache included.
        cached: Of it, what was read from the cache.
        written: Of it, what was written to the cache.
        output: All output, reasoning included.
        reasoning: The reasoning in it.
    """

    input: int
    cached: int
    written: int
    output: int
    reasoning: int


def token_counts(answer: Answer, asked: Any) -> TokenCounts:
    """The counts that an answer says, or else those of its pieces and of what was asked.

    Args:
        answer: The answer.
        asked: The parts of the request that a model reads.
    """
    usage = answer.usage
    thoughts = [block for block in answer.content if isinstance(block, Thinking)]
    fresh, output, thinking = usage.input_tokens, usage.output_tokens, usage.thinking_tokens
    fresh = estimated_tokens(asked) if fresh is None else fresh
    return TokenCounts(
        input=fresh + usage.cache_read_tokens + usage.cache_write_tokens,
        cached=usage.cache_read_tokens,
        written=usage.cache_write_tokens,
        output=token_count(answer.content) if output is None else output,
        reasoning=token_count(thoughts) if thinking is None else thinking,
    )


# --- free text, probabilities ---------------------------------------------------------------------


FREE_TEXT: Mapping[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
"""The schema that stands for a tool that takes text instead of arguments."""


def free_text(call: ToolCall) -> str:
    """The text that a scripted call gives to such a tool: a string, or the field ``input``."""
    given = call.arguments
    if not isinstance(given, str) and set(given) == {"input"}:
        given = given["input"]
    return given if isinstance(given, str) else call.arguments_json


def logprob(token: str, alternatives: int) -> _Object:
    """How likely a token was, with so many alternatives; made up, the same each time."""
    value = -(zlib.crc32(token.encode()) % 1000) / 1000
    others = [(f" other{rank}", value - rank) for rank in range(1, alternatives)]
    ranked = [(token, value), *others][:alternatives]
    return {**_chance(token, value), "top_logprobs": [_chance(*pair) for pair in ranked]}


def _chance(token: str, value: float) -> _Object:
    return {"token": token, "logprob": value, "bytes": list(token.encode())}


# --- complaints -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a request's body.

    Attributes:
        message: In the service's words.
        param: The field that is meant.
        code: What kind of mistake it is.
        status: The HTTP status.
    """

    message: str
    param: str | None = None
    code: str | None = None
    status: int = 400


Complaints: TypeAlias = Iterator[Complaint]


def refused(complaint: Complaint) -> OpenAIRefused:
    """A complaint as the error that the client gets."""
    return OpenAIRefused(
        complaint.status,
        complaint.message,
        _BAD_REQUEST,
        param=complaint.param,
        code=complaint.code,
    )


def check(complaints: Complaints) -> None:
    """Go through the complaints about a request.

    Raises:
        OpenAIRefused: There is one.
    """
    for complaint in complaints:
        raise refused(complaint)


_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a string"),
    "integer": ((int,), "an integer"),
    "number": ((int, float), "a decimal"),
    "boolean": ((bool,), "a boolean"),
    "object": ((dict,), "an object"),
    "array": ((list,), "an array"),
    "string or array": ((str, list), "one of a string or array of objects"),
    "string or object": ((str, dict), "one of a string or object"),
}
_NAMES: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    dict: "an object",
    list: "an array",
    type(None): "null",
}


def typed(path: str, value: object, kind: str) -> Complaints:
    """Complaints about a value that is not of a kind, one of ``_TYPES``; "?" at its end: or null.

    Booleans are no numbers.
    """
    types, wanted = _TYPES[kind.removesuffix("?")]
    if value is None and kind.endswith("?"):
        return
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        message = (
            f"Invalid type for '{path}': expected {wanted}, but got {_NAMES[type(value)]} instead."
        )
        yield Complaint(message, path, "invalid_type")


def required(path: str, holder: Mapping[str, Any], name: str) -> Complaints:
    """Complaints about a field that is not there; ``path`` is the holder's, with its dot."""
    if name not in holder:
        message = f"Missing required parameter: '{path}{name}'."
        yield Complaint(message, path + name, "missing_required_parameter")


def fields(
    path: str, holder: Any, needed: Mapping[str, str], optional: Mapping[str, str]
) -> Complaints:
    """Complaints about a value that is no object, and its missing, mistyped and unknown fields.

    Args:
        path: The object's own.
        holder: The object.
        needed: The kinds of the fields that must be there; "" where any will do.
        optional: Those of the others.
    """
    yield from typed(path, holder, "object")
    inner = f"{path}." if path else ""
    for name in needed:
        yield from required(inner, holder, name)
    for name, kind in {**optional, **needed}.items():
        if name in holder and kind:
            yield from typed(inner + name, holder[name], kind)
    for name in holder:
        if name not in needed and name not in optional:
            yield Complaint(
                f"Unknown parameter: '{inner}{name}'.", inner + name, "unknown_parameter"
            )


def word(path: str, value: object, supported: Collection[str]) -> Complaints:
    """Complaints about a value that is none of the words that are known."""
    if value not in supported:
        yield Complaint(
            f"Invalid value: '{value}'. Supported values are: {allowed(supported)}.",
            path,
            "invalid_value",
        )


def allowed(words: Collection[str]) -> str:
    """The words as the service lists them."""
    *others, last = [f"'{word}'" for word in words]
    comma = "," if len(others) > 1 else ""
    return f"{', '.join(others)}{comma} and {last}" if others else last


def bounded(path: str, value: Any, least: float, most: float) -> Complaints:
    """Complaints about a number that is too small or too large."""
    kind = "integer" if isinstance(value, int) and isinstance(least, int) else "decimal"
    for wrong, side, sign, bound, code in (
        (value < least, "below minimum", ">=", least, "below_min_value"),
        (value > most, "above maximum", "<=", most, "above_max_value"),
    ):
        if wrong:
            message = (
                f"Invalid '{path}': {kind} {side} value. Expected a value {sign} {bound:g}, but "
                f"got {value:g} instead."
            )
            yield Complaint(message, path, f"{kind}_{code}")


def length(path: str, value: Any, *, least: int = 0, most: int | None = None) -> Complaints:
    """Complaints about a string or an array that is too short or too long."""
    kind = "string" if isinstance(value, str) else "array"
    if len(value) < least:
        message = (
            f"Invalid '{path}': empty {kind}. Expected {_NAMES[type(value)]} with minimum length "
            f"{least}, but got an empty {kind} instead."
        )
        yield Complaint(message, path, f"empty_{kind}")
    if most is not None and len(value) > most:
        message = (
            f"Invalid '{path}': {kind} too long. Expected {_NAMES[type(value)]} with maximum "
            f"length {most}, but got {_NAMES[type(value)]} with length {len(value)} instead."
        )
        yield Complaint(message, path, f"{kind}_above_max_length")


def unsupported(name: str, instead: str = "") -> Complaint:
    """The complaint about a parameter that the model does not take, and what to do about it."""
    message = f"Unsupported parameter: '{name}' is not supported with this model. {instead}"
    return Complaint(message.rstrip(), name, "unsupported_parameter")


_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]+")


def tool_name(path: str, name: str) -> Complaints:
    """Complaints about the name of a tool, a function or a schema."""
    yield from length(path, name, least=1, most=64)
    if not _TOOL_NAME.fullmatch(name):
        message = (
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the "
            "pattern '^[a-zA-Z0-9_-]+$'."
        )
        yield Complaint(message, path, "invalid_value")


# --- schemas --------------------------------------------------------------------------------------

_NO_OBJECT = "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{}\"'."
_REFUSED_KEYWORDS = (
    *("allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas"),
    *("patternProperties", "unevaluatedProperties", "propertyNames", "minProperties"),
    *("maxProperties", "unevaluatedItems", "contains", "minContains", "maxContains"),
    "uniqueItems",
)
_MOST_PROPERTIES, _DEEPEST = 5_000, 10


def function_schema(path: str, name: str, schema: _Object, *, strict: bool) -> Complaints:
    """Complaints about the parameters of a function, of that path and that name."""
    subject, param, code = f"function '{name}'", f"{path}.parameters", "invalid_function_parameters"
    if schema and schema.get("type") != "object":
        problem = _NO_OBJECT.format(schema.get("type"))
        yield Complaint(f"Invalid schema for {subject}: {problem}", param, code)
    if strict:
        yield from strict_schema(schema, subject, param, code)


def strict_schema(schema: Any, subject: str, param: str, code: str | None = None) -> Complaints:
    """Complaints about a schema that strict output cannot follow.

    Args:
        schema: The schema.
        subject: Whose it is: ``function 'name'`` or ``response_format 'name'``.
        param: The field that is meant.
        code: The error's code.
    """
    root = object_(schema)
    for where, problem in _strict_problems(root):
        context = f"In context={where}, " if where is not None else ""
        yield Complaint(f"Invalid schema for {subject}: {context}{problem}", param, code)


def _strict_problems(root: _Object) -> Iterator[tuple[str | None, str]]:
    if root.get("type") != "object" or "anyOf" in root:
        given = root.get("type")
        yield None, _NO_OBJECT.format(given if isinstance(given, str) else None)
    total = 0
    for place, rules, depth in _subschemas(root):
        where = "(" + ", ".join(f"'{step}'" for step in place) + ("," * (len(place) == 1)) + ")"
        properties = object_(rules.get("properties"))
        total += len(properties)
        if total > _MOST_PROPERTIES or depth > _DEEPEST:
            yield None, "Expected at most 5000 object properties and 10 levels of nesting."
        yield from ((where, problem) for problem in _place_problems(rules, properties))


def _place_problems(rules: _Object, properties: _Object) -> Iterator[str]:
    for keyword in _REFUSED_KEYWORDS:
        if keyword in rules:
            yield f"'{keyword}' is not permitted."
    if not rules.keys() & {"type", "$ref", "anyOf", "enum", "const"}:
        yield "schema must have a 'type' key."
    kinds = array(rules.get("type")) or [rules.get("type")]
    if "object" in kinds:
        if rules.get("additionalProperties") is not False:
            yield "'additionalProperties' is required to be supplied and to be false."
        needed = [string(name) for name in array(rules.get("required"))]
        missing = next((name for name in properties if name not in needed), None)
        if missing is not None:
            yield (
                "'required' is required to be supplied and to be an array including every key in "
                f"properties. Missing '{missing}'."
            )
        extra = next((name for name in needed if name not in properties), None)
        if extra is not None:
            yield f"Extra required key '{extra}' supplied."
    if "array" in kinds and "items" not in rules:
        yield "array schema missing items."


def _subschemas(root: _Object) -> Iterator[tuple[tuple[str, ...], _Object, int]]:
    """A schema and all within it, each with its place and how many objects it is deep in."""
    pending: list[tuple[tuple[str, ...], Any, int]] = [((), root, 0)]
    while pending:
        place, rules, depth = pending.pop()
        if not is_object(rules):
            continue
        depth += "properties" in rules
        yield place, rules, depth
        inner = [((*place, "items"), rules["items"], depth)] if "items" in rules else []
        for number, choice in enumerate(array(rules.get("anyOf"))):
            inner.append(((*place, "anyOf", str(number)), choice, depth))
        for keyword in ("properties", "$defs", "definitions"):
            for name, part in object_(rules.get(keyword)).items():
                inner.append(((*place, keyword, name), part, depth))
        pending += reversed(inner)
