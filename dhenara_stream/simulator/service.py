"""A request in, the steps of a response out: the simulated provider without any I/O.

It decides what each request gets, in this order: its record, its fault, its protocol's checks,
its answer. The socket server and the in-memory transport both stand on it.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, TypeAlias, TypeVar, cast

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.shared.secret import MASK

from . import _check
from ._json import decode
from .anthropic import AnthropicMessages
from .bedrock import BedrockClaude
from .faults import ErrorEvent, Fault, Respond
from .gemini import GeminiAPI, VertexGemini
from .generate import generate
from .http1 import Head, Headers, Request
from .openai_chat import AzureChat, OpenAIChat
from .openai_responses import AzureResponses, OpenAIResponses
from .plan import Data, End, Pause, Step, Wire, head_fault, paced, plan, rechunked
from .protocol import Call, Event, Refused, WireProtocol
from .script import Answer, token_count
from .vertex_claude import VertexClaude

__all__ = ["Answers", "Faults", "RecordedRequest", "Service", "Settings", "fingerprint"]

PROTOCOLS = (
    AnthropicMessages,
    AzureChat,
    OpenAIChat,
    AzureResponses,
    OpenAIResponses,
    GeminiAPI,
    VertexGemini,
    BedrockClaude,
    VertexClaude,
)

_SECRET_HEADERS = frozenset(
    {
        *("api-key", "authorization", "cookie", "proxy-authorization", "x-api-key"),
        *("x-amz-security-token", "x-goog-api-key"),
    }
)


def fingerprint(key: str) -> str:
    """What a :class:`RecordedRequest` keeps of a key: the start of its SHA-256, in hex."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


@dataclass(slots=True)
class RecordedRequest:
    """A request that the simulator got, and what became of it.

    Attributes:
        method: The HTTP method.
        path: The path, without the query.
        query: The query, without the question mark; a key in it is masked.
        headers: Headers by lower-case name; those that hold secrets are masked.
        body: The body.
        connection: The number of the connection it came over, from 1; 0 in memory.
        time: When it had arrived, in seconds of :func:`time.monotonic`.
        key_fingerprint: :func:`fingerprint` of the key it was sent with, ``None`` without one.
        status: The status it was answered with; ``None`` where no head was sent.
        complete: Whether the response was sent to its end.
        client_left: Whether the client went away before that.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    connection: int
    time: float
    key_fingerprint: str | None
    status: int | None = None
    complete: bool = False
    client_left: bool = False

    @property
    def authenticated(self) -> bool:
        """Whether a key was sent."""
        return self.key_fingerprint is not None

    @property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            msgspec.DecodeError: The body is not JSON.
        """
        return decode(self.body)


_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key", "authorization")
_QUERY_KEY = re.compile(r"((?:^|&)key=)([^&]*)")  # Google's


def _key(request: Request) -> tuple[str, str]:
    """The key that a request was sent with, and its query without it."""
    found = _QUERY_KEY.search(request.query)
    query = _QUERY_KEY.sub(rf"\g<1>{MASK}", request.query)
    key = next(filter(None, map(request.header, _KEY_HEADERS)), found[2] if found else "")
    return (key[7:].strip() if key[:7].lower() == "bearer " else key), query


_T = TypeVar("_T")
_Chooser: TypeAlias = Callable[[RecordedRequest], _T | None]
Answers: TypeAlias = Answer | Sequence[Answer | None] | _Chooser[Answer] | None
Faults: TypeAlias = Fault | Sequence[Fault | None] | _Chooser[Fault] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the provider behaves; see :class:`~dhenara_stream.simulator.Simulator`."""

    answers: Answers = None
    faults: Faults = None
    tokens_per_second: float | None = None
    time_to_first_token: float = 0.0
    wire: Wire = "event"
    validate: bool = True
    require_key: bool = True
    max_recorded: int = 10_000
    max_body_bytes: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.tokens_per_second is not None:
            _check.number("tokens_per_second", self.tokens_per_second, zero=False)
        _check.number("time_to_first_token", self.time_to_first_token, zero=True)
        if self.wire not in ("event", "byte", "all"):
            _check_wire(self.wire)
        _check.flag("validate", self.validate)
        _check.flag("require_key", self.require_key)
        _check.integer("max_recorded", self.max_recorded, 0)
        _check.integer("max_body_bytes", self.max_body_bytes, 1)


def _check_wire(value: Any) -> None:
    try:
        _check.integer("wire", value, 1)
    except ConfigError:
        wanted = '"event", "byte", "all" or a number of bytes above zero'
        raise _check.fail("wire", wanted, value) from None


def _chooser(name: str, kind: type[_T], given: Any, *, repeat_last: bool) -> _Chooser[_T]:
    """What each request gets, of answers or of faults, as a function."""
    if given is None or isinstance(given, kind):
        return lambda _record: given
    if callable(given) and not isinstance(given, type):
        function = cast("_Chooser[Any]", given)
        return lambda record: _member(f"what the function {name} returns", kind, function(record))
    items = _checked(name, kind, given)
    coming = chain(items, repeat(items[-1] if repeat_last else None))
    return lambda _record: next(coming)


def _checked(name: str, kind: type[_T], given: Any) -> list[_T | None]:
    one = kind.__name__
    wanted = f"one {one}, a list of {one} or None, or a function that returns one"
    items = _check.sequence(name, given, wanted)
    if not items:
        raise _check.fail(name, wanted, given)
    return [_member(f"{name}[{index}]", kind, item) for index, item in enumerate(items)]


def _member(name: str, kind: type[_T], item: Any) -> _T | None:
    if item is None or isinstance(item, kind):
        return item
    raise _check.fail(name, f"one of {kind.__name__} or None", item)


class Service:
    """The simulated provider; see the module."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.requests: list[RecordedRequest] = []
        self.protocols: list[WireProtocol] = [protocol() for protocol in PROTOCOLS]
        self._next_answer = _chooser("answers", Answer, settings.answers, repeat_last=True)
        self._next_fault = _chooser("faults", Fault, settings.faults, repeat_last=False)
        self.count = 0  # of the requests so far; ``requests`` may have forgotten some

    def respond(self, request: Request, connection: int) -> tuple[RecordedRequest, Iterator[Step]]:
        """The record of a request, and the steps of its response."""
        record = self._record(request, connection)
        token = self._token(request.body)
        protocol = next((p for p in self.protocols if p.serves(request.path)), None)
        try:
            steps = self._steps(protocol, request, record, token)
        except Refused as refused:
            head, body = _error(protocol or self.protocols[0], refused, token)
            steps = iter((head, Data(body), End()))
        return record, rechunked(steps, self.settings.wire)

    def reject(self, status: int, message: str) -> tuple[Head, bytes]:
        """The response to what is no request: its head and its body."""
        return _error(self.protocols[0], Refused(status, message), self._token(b""))

    def _record(self, request: Request, connection: int) -> RecordedRequest:
        key, query = _key(request)
        names = dict(request.headers)
        record = RecordedRequest(
            method=request.method,
            path=request.path,
            query=query,
            headers={
                name: MASK if name in _SECRET_HEADERS else request.header(name) or ""
                for name in names
            },
            body=request.body,
            connection=connection,
            time=time.monotonic(),
            key_fingerprint=fingerprint(key) if key else None,
        )
        self.count += 1
        self.requests.append(record)
        del self.requests[: -self.settings.max_recorded or None]  # none of none is all
        return record

    def _token(self, body: bytes) -> str:
        """What ids are made of: unlike for each request, the same in each run."""
        return hashlib.sha256(b"%d %b" % (self.count, body)).hexdigest()[:24]

    def _steps(
        self, protocol: WireProtocol | None, request: Request, record: RecordedRequest, token: str
    ) -> Iterator[Step]:
        if protocol is None:
            raise Refused(404, f"Not found: {request.path}")
        if request.method != "POST":
            raise Refused(405, "Method Not Allowed")
        fault = self._chosen("faults", self._next_fault, record)
        if isinstance(fault, Respond):
            return _instead(protocol, fault, token)
        failing = head_fault(protocol.head(request, token, time.time(), stream=True), fault)
        return failing or self._answered(protocol, request, record, token, fault)

    def _answered(
        self,
        protocol: WireProtocol,
        request: Request,
        record: RecordedRequest,
        token: str,
        fault: Fault | None,
    ) -> Iterator[Step]:
        settings = self.settings
        call = protocol.read(
            request, token, require_key=settings.require_key, validate=settings.validate
        )
        if isinstance(fault, ErrorEvent) and not call.stream:
            raise protocol.failure(fault.type, fault.message)
        answer = self._chosen("answers", self._next_answer, record) or generate(call.ask)
        head = protocol.head(request, token, time.time(), stream=call.stream)
        return plan(head, self._items(protocol, call, answer), fault, protocol, token)

    def _items(self, protocol: WireProtocol, call: Call, answer: Answer) -> Iterator[Event | Pause]:
        first, rate = self.settings.time_to_first_token, self.settings.tokens_per_second
        if call.stream:
            return paced(protocol.events(call, answer), first, rate)
        tokens = token_count(answer.content)
        whole = Event(protocol.whole(call, answer), content=True)
        return paced([whole], first + (tokens / rate if rate else 0.0), None)

    def _chosen(self, name: str, choose: _Chooser[_T], record: RecordedRequest) -> _T | None:
        """What the caller's list or function gives; its failure is the client's 500."""
        try:
            return choose(record)
        except Exception as error:
            message = f"Simulator({name}=...) failed: {type(error).__name__}: {error}"
            raise Refused(500, message) from error


def _error(protocol: WireProtocol, refused: Refused, token: str) -> tuple[Head, bytes]:
    headers, body = protocol.error(refused, token)
    return Head(refused.status, (*headers, ("content-length", str(len(body))))), body


def _instead(protocol: WireProtocol, fault: Respond, token: str) -> Iterator[Step]:
    """The response that a :class:`Respond` describes."""
    headers: Headers = ()
    body = fault.content
    if body is None and fault.status >= 400:
        headers, body = protocol.error(Refused(fault.status, fault.message, fault.type), token)
    elif body is not None:
        json = not isinstance(fault.body, (str, bytes))
        headers = (("content-type", "application/json" if json else "text/html"),)
    body = body or b""
    head = Head(fault.status, headers).with_header("content-length", str(len(body)))
    for name, value in fault.all_headers().items():
        head = head.with_header(name, value)
    return iter((head, Data(body), End(close="content-length" in fault.headers)))
