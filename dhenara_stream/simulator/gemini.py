"""The Gemini protocol, as Google's two services speak it (wire.md sections 5 and 6).

:class:`GeminiAPI` is the Gemini API, :class:`VertexGemini` the same models on Vertex AI. With
``alt=sse`` a stream is server-sent events, without it one JSON array whose elements come one by
one. What a script's blocks become, ``gemini_reply`` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote

import msgspec

from ._json import array, encode, is_array, is_object, object_, string
from .gemini_fields import canonical
from .gemini_reply import Reply, shows_thoughts
from .gemini_rules import complaint
from .generate import Ask, Tool
from .http1 import Head, Headers, Request
from .protocol import Call, Event, Refused, json_body, status_phrase
from .script import Answer
from .signatures import Signatures

__all__ = ["GeminiAPI", "VertexGemini", "check_bearer"]

_JSON = "application/json; charset=UTF-8"
_SSE = "text/event-stream"
_CREDENTIALS = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. See "
    "https://developers.google.com/identity/sign-in/web/devconsole-project."
)

_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_WORDS = {status: word for word, status in reversed(_STATUSES.items())}
_MESSAGES = {
    400: "Request contains an invalid argument.",
    401: f"Request had invalid authentication credentials. {_CREDENTIALS}",
    403: "The caller does not have permission",
    404: "Requested entity was not found.",
    429: "Resource has been exhausted (e.g. check quota).",
    499: "The operation was cancelled.",
    500: (
        "An internal error has occurred. Please retry or report in "
        "https://developers.generativeai.google/guide/troubleshooting"
    ),
    503: "The model is overloaded. Please try again later.",
    504: "Deadline expired before operation could complete.",
}
_DETAIL = "type.googleapis.com/google.rpc."
_BAD_KEY = "API_KEY_INVALID"
_FIELD = re.compile(r"at '([^']+)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiCall(Call):
    """A request that was understood.

    Attributes:
        sse: Whether the stream is to be events, not a JSON array.
    """

    sse: bool


class GeminiAPI:
    """``POST /v1beta/models/{model}:streamGenerateContent`` and ``:generateContent``.

    See :class:`~.protocol.WireProtocol`.
    """

    addresses: ClassVar[Mapping[str, str]] = {"GOOGLE_GEMINI_BASE_URL": ""}

    vertex: ClassVar[bool] = False
    _path: ClassVar[re.Pattern[str]] = re.compile(
        r"/(?:v1|v1alpha|v1beta)/(?:models|tunedModels)/(?P<model>[^/:]+):(?P<method>\w+)"
    )

    def __init__(self) -> None:
        self._signatures = Signatures()
        # What comes before the next element of an array that is being sent, by the call's token.
        self._arrays: dict[str, bytes] = {}

    def serves(self, path: str) -> bool:
        """Whether requests to this path speak this protocol."""
        return bool(self._path.fullmatch(path))

    def read(self, request: Request, token: str, *, require_key: bool, validate: bool) -> Call:
        """Understand a request, or raise :class:`Refused` with what the service would say."""
        place = self._path.fullmatch(request.path)
        if place is None or place["method"] not in ("generateContent", "streamGenerateContent"):
            raise Refused(404, None)
        if require_key:
            self._authenticate(request)
        try:
            body = json_body(request)
        except Refused as refused:
            raise Refused(400, f"Invalid JSON payload received. {refused.message}") from refused
        model = unquote(place["model"])
        try:
            if validate:
                self._check(body, model)
            read = canonical(body, vertex=self.vertex, strict=False)
            ask = _ask(read)
        except RecursionError as error:
            raise Refused(400, "Invalid JSON payload received. Message too deep.") from error
        return GeminiCall(
            body=read,
            model=model,
            stream=place["method"] == "streamGenerateContent",
            ask=ask,
            token=token,
            sse=_is_sse(request),
        )

    def _check(self, body: dict[str, Any], model: str) -> None:
        judge = self._signatures.judge
        message = complaint(body, model=model, vertex=self.vertex, judge=judge)
        if message is not None:
            raise Refused(400, message)

    def _authenticate(self, request: Request) -> None:
        bearer = request.header("authorization")
        if _key(request):
            return
        if bearer is None:
            raise Refused(
                403,
                "Method doesn't allow unregistered callers (callers without established identity). "
                "Please use API Key or other form of API consumer identity to call this API.",
            )
        check_bearer(bearer)

    def events(self, call: Call, answer: Answer) -> Iterator[Event]:
        """The answer as a stream, of events or of an array's elements."""
        chunks = Reply(call, answer, self._signatures, self.vertex).chunks()
        if isinstance(call, GeminiCall) and not call.sse:
            return self._array(chunks, call.token)
        return (Event(_event(chunk), content) for chunk, content in chunks)

    def _array(self, chunks: Iterator[tuple[dict[str, Any], bool]], token: str) -> Iterator[Event]:
        self._arrays[token] = b"["
        try:
            for chunk, content in chunks:
                yield Event(self._arrays[token] + _pretty(chunk), content)
                self._arrays[token] = b"\n,\r\n"
            yield Event(b"\n]\n")
        finally:
            del self._arrays[token]

    def whole(self, call: Call, answer: Answer) -> bytes:
        """The answer as one JSON object."""
        return _pretty(Reply(call, answer, self._signatures, self.vertex).whole()) + b"\n"

    def head(self, request: Request, token: str, now: float, *, stream: bool) -> Head:
        """The head of an answer; the service has no id there and tells no limits (wire.md 5.3)."""
        kind = _SSE if stream and _is_sse(request) else _JSON
        return Head(200, (("content-type", kind), *_COMMON, ("content-disposition", "attachment")))

    def error(self, refused: Refused, token: str) -> tuple[Headers, bytes]:
        """Headers and body of an error (wire.md 5.3)."""
        return (("content-type", _JSON), *_COMMON), _pretty(_error(refused)) + b"\n"

    def failure(self, type: str | None, message: str | None) -> Refused:  # noqa: A002
        """The error that ends a stream, by default of an overloaded service.

        ``type`` is a status in Google's words, or ``API_KEY_INVALID``, the reason of a 400.
        """
        word = type or "UNAVAILABLE"
        return Refused(400 if word == _BAD_KEY else _STATUSES.get(word, 500), message, word)

    def error_event(self, failure: Refused, token: str) -> bytes:
        """The error as an event, or as the last element of an array."""
        before = self._arrays.get(token)
        error = _error(failure)
        return _event(error) if before is None else before + _pretty(error) + b"\n]\n"

    def ping(self) -> bytes:
        """An empty line, which readers of events and of JSON skip; the service has no ping."""
        return b"\r\n"

    def malformed(self) -> bytes:
        """A chunk whose JSON breaks off."""
        return b'data: {"candidates": [{"content": {"parts": [{"text"\r\n\r\n'


class VertexGemini(GeminiAPI):
    """Google's models on Vertex AI, in a project or with an express key (wire.md section 6)."""

    addresses: ClassVar[Mapping[str, str]] = {"GOOGLE_VERTEX_BASE_URL": ""}

    vertex: ClassVar[bool] = True
    _path: ClassVar[re.Pattern[str]] = re.compile(
        r"/(?:v1|v1beta1)(?P<project>/projects/[^/]+/locations/[^/]+)?"
        r"/(?:publishers/google/models|endpoints)/(?P<model>[^/:]+):(?P<method>\w+)"
    )

    def _authenticate(self, request: Request) -> None:
        place, bearer = self._path.fullmatch(request.path), request.header("authorization")
        if bearer is not None:
            check_bearer(bearer)
            return
        if not _key(request):
            message = f"Request is missing required authentication credential. {_CREDENTIALS}"
            raise Refused(401, message)
        if place is not None and place["project"]:
            raise Refused(
                401,
                "API keys are not supported by this API. Expected OAuth2 access token or other "
                "authentication credentials that assert a principal. See "
                "https://cloud.google.com/docs/authentication",
            )


# --- requests -------------------------------------------------------------------------------------


def _query(request: Request, name: str) -> str:
    return parse_qs(request.query).get(name, [""])[-1]


def _is_sse(request: Request) -> bool:
    return _query(request, "alt") == "sse"


def _key(request: Request) -> str:
    return request.header("x-goog-api-key") or _query(request, "key")


def check_bearer(bearer: str) -> None:
    """Check that an ``authorization`` header has a token, as Google does.

    Raises:
        Refused: It has none.
    """
    kind, _, token = bearer.partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Refused(401, None)


def _ask(body: Mapping[str, Any]) -> Ask:
    """What the request asks for; the body is in its canonical form."""
    turn = _last_turn(body)
    results = [object_(part.get("functionResponse")) for part in turn if "functionResponse" in part]
    tools = {name: tool for tool in _tools(body) if (name := tool.name)}
    calling = object_(object_(body.get("toolConfig")).get("functionCallingConfig"))
    config = object_(body.get("generationConfig"))
    allowed = [tools[name] for name in array(calling.get("allowedFunctionNames")) if name in tools]
    forced = calling.get("mode") == "ANY"
    in_json = config.get("responseMimeType") == "application/json"
    return Ask(
        prompt="\n".join(string(part.get("text")) for part in turn if "text" in part),
        thinking=shows_thoughts(body) and not results,
        tools=() if calling.get("mode") == "NONE" else tuple(tools.values()),
        forced=next(iter([*allowed, *tools.values()]), None) if forced else None,
        results=tuple(map(_result, results)),
        schema=(object_(_schema_of(config, "response")) or None) if in_json else None,
        max_tokens=config.get("maxOutputTokens"),
        stop_sequences=tuple(filter(None, array(config.get("stopSequences")))),
    )


def _last_turn(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of the last contents of one role."""
    contents = array(body.get("contents"))
    turn: list[dict[str, Any]] = []
    for content in reversed(contents):
        if content.get("role", "user") != contents[-1].get("role", "user"):
            break
        turn = array(content.get("parts")) + turn
    return turn


def _result(result: Mapping[str, Any]) -> str:
    response = object_(result.get("response"))
    said = response.get("output", response.get("result"))
    return said if isinstance(said, str) else encode(response).decode()


def _tools(body: Mapping[str, Any]) -> list[Tool]:
    """The functions of the caller's; the service runs the other tools."""
    declared = [
        function
        for tool in array(body.get("tools"))
        for function in array(tool.get("functionDeclarations"))
    ]
    return [Tool(string(it.get("name")), _schema_of(it, "parameters")) for it in declared]


def _schema_of(holder: Mapping[str, Any], name: str) -> Any:
    """A schema of either kind, as JSON schema."""
    own = "responseSchema" if name == "response" else name
    return holder.get(f"{name}JsonSchema") or _as_json_schema(holder.get(own))


def _as_json_schema(schema: Any) -> Any:
    """A schema of the service's own, whose types are in upper case."""
    if is_array(schema):
        return [_as_json_schema(part) for part in schema]
    if not is_object(schema):
        return schema
    made = {key: _as_json_schema(part) for key, part in schema.items()}
    kind = made.get("type")
    return made | {"type": kind.lower()} if isinstance(kind, str) else made


# --- framing and errors ---------------------------------------------------------------------------

_COMMON: Headers = (("vary", "Origin, X-Origin, Referer"), ("x-content-type-options", "nosniff"))


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: %b\r\n\r\n" % encode(chunk)


def _pretty(value: Mapping[str, Any]) -> bytes:
    """JSON as the service writes it for people to read."""
    return msgspec.json.format(encode(value), indent=2)


def _error(refused: Refused) -> dict[str, Any]:
    status = refused.status
    fallback = _WORDS.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    word = refused.type or fallback
    message = refused.message or _MESSAGES.get(status) or status_phrase(status)
    error: dict[str, Any] = {"code": status, "message": message, "status": word}
    if word == _BAD_KEY:
        error["message"] = refused.message or "API key not valid. Please pass a valid API key."
        error["status"] = fallback
        reason = {"reason": _BAD_KEY, "domain": "googleapis.com"}
        error["details"] = [{"@type": f"{_DETAIL}ErrorInfo", **reason}]
    elif message.startswith(("Invalid JSON payload received.", "Invalid value at")):
        named = _FIELD.search(message)
        violation = {"field": named[1]} if named else {}
        violations = [{**violation, "description": message}]
        error["details"] = [{"@type": f"{_DETAIL}BadRequest", "fieldViolations": violations}]
    return {"error": error}
