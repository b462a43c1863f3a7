"""The Anthropic Messages protocol, as the service speaks it (wire.md section 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from ._json import array, encode, object_, string
from .anthropic_rules import complaint
from .generate import Ask, Tool
from .http1 import Head, Headers, Request
from .protocol import Call, Event, Refused, json_body, sse_event, status_phrase
from .script import (
    Answer,
    Block,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    arguments_object,
    estimated_tokens,
    pieces_of,
    token_count,
)
from .signatures import Signatures

__all__ = ["AnthropicMessages", "Asked", "named_betas", "of_cloud"]

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUSES = {type_: status for status, type_ in _ERROR_TYPES.items()}
_MESSAGES = {
    401: "invalid x-api-key",
    413: "Request exceeds the maximum size",
    429: "This request would exceed your organization's rate limit. Please try again later.",
    500: "Internal server error",
    529: "Overloaded",
}
_VERSION = re.compile(r"20\d\d-\d\d-\d\d")
_LIMITS = {"requests": 4_000, "input-tokens": 2_000_000, "output-tokens": 400_000}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as ``POST /v1/messages`` would have it, wherever it was sent.

    Attributes:
        body: Its JSON.
        betas: The beta features that it names.
    """

    body: dict[str, Any]
    betas: frozenset[str]


class AnthropicMessages:
    """``POST /v1/messages``; see :class:`~.protocol.WireProtocol`.

    Clouds serve the same protocol with another path, key, framing and errors: subclasses.
    """

    addresses: ClassVar[Mapping[str, str]] = {"ANTHROPIC_BASE_URL": ""}

    mark: ClassVar[str] = ""
    """What ids made here bear behind their prefix."""

    def __init__(self) -> None:
        self._signatures = Signatures()

    def serves(self, path: str) -> bool:
        """Whether requests to this path speak this protocol."""
        return path == "/v1/messages"

    def read(self, request: Request, token: str, *, require_key: bool, validate: bool) -> Call:
        """Understand a request, or raise :class:`Refused` with what the service would say."""
        if require_key:
            self._authenticate(request)
        asked = self._asked(request, json_body(request), validate=validate)
        body = asked.body
        if validate:
            message = complaint(body, betas=asked.betas, judge=self._signatures.judge)
            if message is not None:
                raise Refused(400, message)
        return Call(
            body=body,
            model=string(body.get("model")) or "claude",
            stream=body.get("stream") is True,
            ask=_ask(body),
            token=token,
        )

    def _authenticate(self, request: Request) -> None:
        """See that there is a key, or raise :class:`Refused`."""
        key, bearer = request.header("x-api-key"), request.header("authorization")
        if key is None and bearer is None:
            raise Refused(401, "x-api-key header is required")
        if key is not None and not key:
            raise Refused(401, "invalid x-api-key")
        if key is None and not (bearer or "").partition(" ")[2]:
            raise Refused(401, "Invalid bearer token")

    def _asked(self, request: Request, body: dict[str, Any], *, validate: bool) -> Asked:
        """The request, after what is checked of its form, or raise :class:`Refused`."""
        if validate and not request.header("anthropic-version"):
            raise Refused(400, "anthropic-version: header is required")
        return Asked(body, named_betas(request))

    def events(self, call: Call, answer: Answer) -> Iterator[Event]:
        """The answer as a stream of events."""
        for event, content in self._reply(call, answer).events():
            yield Event(self._frame(event), content)

    def whole(self, call: Call, answer: Answer) -> bytes:
        """The answer as one JSON object."""
        return encode(self._reply(call, answer).whole())

    def _reply(self, call: Call, answer: Answer) -> _Reply:
        return _Reply(call, answer, self._signatures, self.mark)

    def _frame(self, event: Mapping[str, Any]) -> bytes:
        """An event as it stands in a stream: a server-sent one."""
        return sse_event(event, event["type"])

    def head(self, request: Request, token: str, now: float, *, stream: bool) -> Head:
        """The head of an answer."""
        kind = "text/event-stream; charset=utf-8" if stream else "application/json"
        reset = datetime.fromtimestamp(now + 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = [("content-type", kind), *self._identity(token)]
        for name, limit in _LIMITS.items():
            for what, value in (("limit", limit), ("remaining", limit - 1), ("reset", reset)):
                headers.append((f"anthropic-ratelimit-{name}-{what}", str(value)))
        return Head(200, (*headers, ("cache-control", "no-cache")))

    def error(self, refused: Refused, token: str) -> tuple[Headers, bytes]:
        """Headers and body of an error (wire.md 2.3)."""
        status = refused.status
        fallback = "invalid_request_error" if status < 500 else "api_error"
        error = {
            "type": refused.type or _ERROR_TYPES.get(status, fallback),
            "message": refused.message or _MESSAGES.get(status) or status_phrase(status),
        }
        body = {"type": "error", "error": error, "request_id": f"req_{self.mark}{token}"}
        return (("content-type", "application/json"), *self._identity(token)), encode(body)

    def failure(self, type: str | None, message: str | None) -> Refused:  # noqa: A002
        """The error that ends a stream, by default of an overloaded service."""
        status = _STATUSES.get(type or "overloaded_error", 500)
        return Refused(status, message or _MESSAGES.get(status), type or "overloaded_error")

    def error_event(self, failure: Refused, token: str) -> bytes:
        """The event that ends a stream with an error."""
        error = {"details": None, "type": failure.type, "message": failure.message}
        return self._frame({"type": "error", "error": error})

    def ping(self) -> bytes:
        """The event that keeps a stream alive."""
        return self._frame({"type": "ping"})

    def malformed(self) -> bytes:
        """A delta whose JSON breaks off."""
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}}
        return self._frame(delta)[:-6] + b"\n\n"

    def _identity(self, token: str) -> Headers:
        """Headers that tell whose answer it is, and which one."""
        organization = "00000000-0000-4000-8000-000000000000"
        request_id = ("request-id", f"req_{self.mark}{token}")
        return (request_id, ("anthropic-organization-id", organization))


def of_cloud(
    body: dict[str, Any], *, version: str, in_path: tuple[str, ...], validate: bool
) -> Asked:
    """A request of a cloud's clients, whose version and betas stand in the body.

    Args:
        body: Its JSON.
        version: The cloud's own version; the official SDK sends that of the makers instead.
        in_path: The fields that stand in the path there, and nowhere else.
        validate: Whether to check that.

    Raises:
        Refused: Something does not stand where it belongs.
    """
    betas = array(body.get("anthropic_beta"))
    if validate:
        if "anthropic_version" not in body:
            raise Refused(400, "anthropic_version: Field required")
        given = string(body["anthropic_version"])
        if given != version and not _VERSION.fullmatch(given):
            raise Refused(400, f"anthropic_version: Input should be '{version}'")
        for name in in_path:
            if name in body:
                raise Refused(400, f"{name}: Extra inputs are not permitted")
        if body.get("anthropic_beta", betas) != [beta for beta in betas if string(beta)]:
            raise Refused(400, "anthropic_beta: Input should be a valid array of strings")
    own = ("anthropic_version", "anthropic_beta")
    rest = {name: value for name, value in body.items() if name not in own}
    return Asked(rest, frozenset(map(string, betas)))


def named_betas(request: Request) -> frozenset[str]:
    """The beta features that a request's header names."""
    named = (request.header("anthropic-beta") or "").split(",")
    return frozenset(name.strip() for name in named if name.strip())


def _ask(body: Mapping[str, Any]) -> Ask:
    """What the request asks for; it holds for bodies of any shape."""
    turn = _last_turn(body)
    results = [block for block in turn if block.get("type") == "tool_result"]
    tools = {name: tool for tool in _tools(body) if (name := tool.name)}
    choice, thinking = object_(body.get("tool_choice")), object_(body.get("thinking"))
    named = tools.get(string(choice.get("name")))
    forced = {"tool": named, "any": next(iter(tools.values()), None)}
    format_ = object_(object_(body.get("output_config")).get("format"))
    limit = body.get("max_tokens")
    return Ask(
        prompt="\n".join(_texts(turn)),
        thinking=thinking.get("type") in ("enabled", "adaptive") and not results,
        tools=() if choice.get("type") == "none" else tuple(tools.values()),
        forced=forced.get(string(choice.get("type"))),
        results=tuple("\n".join(_texts(_blocks(block))) for block in results),
        schema=object_(format_.get("schema")) or None,
        max_tokens=limit if isinstance(limit, int) else None,
        stop_sequences=tuple(filter(None, map(string, array(body.get("stop_sequences"))))),
    )


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The content of a message or a tool's result as blocks; a string stands for one."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [object_(block) for block in array(content)]


def _last_turn(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The blocks of the last messages of one role."""
    messages = [object_(message) for message in array(body.get("messages"))]
    turn: list[dict[str, Any]] = []
    for message in reversed(messages):
        if message.get("role") != messages[-1].get("role"):
            break
        turn = _blocks(message) + turn
    return turn


def _texts(blocks: list[dict[str, Any]]) -> list[str]:
    return [string(block.get("text")) for block in blocks if block.get("type") == "text"]


def _tools(body: Mapping[str, Any]) -> list[Tool]:
    """The tools that the caller runs; the service runs the others."""
    tools = [object_(tool) for tool in array(body.get("tools"))]
    return [Tool(string(t.get("name")), t["input_schema"]) for t in tools if "input_schema" in t]


class _Reply:
    """One answer to one call, in the protocol's words, streamed or whole."""

    def __init__(self, call: Call, answer: Answer, signatures: Signatures, mark: str) -> None:
        self._call = call
        self._answer = answer
        self._signatures = signatures
        self._mark = mark
        self._omits = object_(call.body.get("thinking")).get("display") == "omitted"

    def events(self) -> Iterator[tuple[dict[str, Any], bool]]:
        """The events of the stream, and whether each carries a piece of content.

        A ping follows the first block's start, as the service sends it.
        """
        message = self._message([], None, self._usage_at_start())
        yield {"type": "message_start", "message": message}, False
        for index, block in enumerate(self._answer.content):
            start, deltas = self._streamed(index, block)
            yield {"type": "content_block_start", "index": index, "content_block": start}, False
            if not index:
                yield {"type": "ping"}, False
            for delta, content in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}, content
            yield {"type": "content_block_stop", "index": index}, False
        usage = self._usage_at_end()
        yield {"type": "message_delta", "delta": self._ending(), "usage": usage}, False
        yield {"type": "message_stop"}, False

    def whole(self) -> dict[str, Any]:
        """The answer that is not streamed: what a stream's reader has at its end."""
        content = [self._block(index, block) for index, block in enumerate(self._answer.content)]
        usage = self._usage_at_start() | self._usage_at_end()
        return self._message(content, self._ending(), usage)

    def _message(
        self, content: list[Any], ending: dict[str, Any] | None, usage: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "id": self._answer.id or f"msg_{self._mark}{self._call.token}",
            "type": "message",
            "role": "assistant",
            "model": self._answer.model or self._call.model,
            "content": content,
            **(ending or {"stop_reason": None, "stop_sequence": None}),
            "usage": usage,
        }

    def _ending(self) -> dict[str, Any]:
        answer = self._answer
        kinds = {type(block) for block in answer.content}
        natural = {Refusal: "refusal", ToolCall: "tool_use"}
        reason = answer.stop_reason or next(
            (word for kind, word in natural.items() if kind in kinds), "end_turn"
        )
        ending = {
            "stop_reason": {"length": "max_tokens"}.get(reason, reason),
            "stop_sequence": answer.stop_sequence,
        }
        return ending | ({"stop_details": answer.stop_details} if answer.stop_details else {})

    def _streamed(
        self, index: int, block: Block
    ) -> tuple[Mapping[str, Any], Iterator[tuple[Mapping[str, Any], bool]]]:
        """A block as it starts, and the deltas that fill it; True for those with content."""
        match block:
            case Text():
                start: dict[str, Any] = {"type": "text", "text": ""}
                return start | ({"citations": []} if block.citations else {}), _text(block)
            case Refusal():
                return {"type": "text", "text": ""}, _text(block)
            case Thinking():
                start = {"type": "thinking", "thinking": "", "signature": ""}
                return start, self._thinking(block)
            case ToolCall():
                return self._tool_use(index, block) | {"input": {}}, _arguments(block)
            case RedactedThinking():
                return self._block(index, block), iter(())
            case _:
                return block.block, ((delta, True) for delta in block.deltas)

    def _thinking(self, block: Thinking) -> Iterator[tuple[dict[str, Any], bool]]:
        for piece in () if self._omits else pieces_of(block):
            yield {"type": "thinking_delta", "thinking": piece}, True
        yield {"type": "signature_delta", "signature": self._signature(block)}, False

    def _block(self, index: int, block: Block) -> Mapping[str, Any]:
        """A block, whole."""
        match block:
            case Text():
                whole: dict[str, Any] = {"type": "text", "text": block.text}
                return whole | ({"citations": block.citations} if block.citations else {})
            case Refusal():
                return {"type": "text", "text": block.text}
            case Thinking():
                text = "" if self._omits else block.text
                return {"type": "thinking", "thinking": text, "signature": self._signature(block)}
            case RedactedThinking():
                return {"type": "redacted_thinking", "data": block.data}
            case ToolCall():
                return self._tool_use(index, block)
            case _:
                return block.whole or block.block

    def _tool_use(self, index: int, block: ToolCall) -> dict[str, Any]:
        id_ = block.id or f"toolu_{self._mark}{self._call.token}{index:02}"
        shown = arguments_object(block) or {}  # others cannot be shown but in a stream
        return {"type": "tool_use", "id": id_, "name": block.name, "input": shown}

    def _signature(self, block: Thinking) -> str:
        shown = "" if self._omits else block.text
        if block.signature is None:
            return self._signatures.sign(shown, block.text)
        self._signatures.remember(block.signature, shown)
        return block.signature

    def _usage_at_start(self) -> dict[str, Any]:
        usage = self._answer.usage
        return {
            **self._input_usage(),
            "cache_creation": {
                "ephemeral_5m_input_tokens": usage.cache_write_tokens,
                "ephemeral_1h_input_tokens": 0,
            },
            "output_tokens": 1,
            "service_tier": "standard",
        }

    def _usage_at_end(self) -> dict[str, Any]:
        usage = self._answer.usage
        content = self._answer.content
        thoughts = [block for block in content if isinstance(block, Thinking)]
        thinking = usage.thinking_tokens
        if thinking is None and thoughts:
            thinking = token_count(thoughts)
        details = {"output_tokens_details": {"thinking_tokens": thinking}}
        output = usage.output_tokens
        return {
            **self._input_usage(),
            "output_tokens": token_count(content) if output is None else output,
            **({} if thinking is None else details),
            **usage.extra,
        }

    def _input_usage(self) -> dict[str, Any]:
        usage = self._answer.usage
        read = [self._call.body.get(name) for name in ("system", "messages", "tools")]
        tokens = usage.input_tokens
        return {
            "input_tokens": estimated_tokens(read) if tokens is None else tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens,
            "cache_read_input_tokens": usage.cache_read_tokens,
        }


def _text(block: Text | Refusal) -> Iterator[tuple[dict[str, Any], bool]]:
    for piece in pieces_of(block):
        yield {"type": "text_delta", "text": piece}, True
    for citation in block.citations if isinstance(block, Text) else ():
        yield {"type": "citations_delta", "citation": citation}, False


def _arguments(block: ToolCall) -> Iterator[tuple[dict[str, Any], bool]]:
    yield {"type": "input_json_delta", "partial_json": ""}, False
    for piece in pieces_of(block):
        yield {"type": "input_json_delta", "partial_json": piece}, True
