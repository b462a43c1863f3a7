"""Answers of the Messages protocol: events, whole messages and errors, in neutral terms.

The rules of the decoder:

- A wire index stands for the block that was last started there, under an index of ours that no
  two blocks share: the wire's own if it is free, else the next after all. So an index that is
  used again, by mistake or because ``message_start`` held blocks already (programmatic tool
  calling), starts another block and changes none.
- A start at an open block of the same type and id tells more of that block, so does one at a block
  that pieces began. A start that repeats a block which is complete and has an id is skipped, with
  its pieces: the same call must not be made twice. So are the blocks of a ``message_start`` that
  repeats one.
- A piece for no block, or for a block of another kind, begins a block. Pieces without an index
  belong to the block begun last. No text is lost.
- A block that is not known is carried through. Text that its pieces hold is put into its fields
  when it ends.
- Blocks that ``message_start`` held, or whose stop was forgotten, end with ``message_stop``.
- Only ``message_stop`` completes an answer; what comes after it is skipped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dhenara_stream.core import deltas as d
from dhenara_stream.core.retry import should_retry
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.base import ErrorReply
from dhenara_stream.errors import (
    ProtocolError,
    ProviderError,
    UnexpectedResponse,
    provider_error_class,
)

from . import wire
from .wire import ContentBlockDelta, as_dict, as_text, decode_event, unreadable

__all__ = ["AnthropicDecoder", "anthropic_error"]

Dict = dict[str, Any]

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "pause",
    "compaction": "pause",
}

# What StreamInfo and Finish say of a message in fields of their own, or the blocks do.
_TOLD = frozenset({"id", "type", "role", "model", "content", "usage", "error"})
_TOLD_AT_END = frozenset({"stop_reason", "stop_sequence"})
_BESIDE = ("context_management", "input_transformations")  # in message_delta: beside the delta
_FACTS = ("stop_details", "container", *_BESIDE)


# --- blocks


class _Block:
    """A block that has begun.

    Attributes:
        index: Its index in neutral terms.
        kind: What it is: ``text``, ``reasoning``, ``tool``, ``opaque``, or ``repeated``.
        content: As it was started; empty if pieces began it.
        pieces: Of an opaque one: text by field, to be joined at its end.
    """

    __slots__ = ("content", "index", "kind", "open", "pieces", "takes")

    def __init__(self, index: int, kind: str, content: Dict) -> None:
        self.index = index
        self.kind = kind
        self.content = content
        self.open = kind != "repeated"
        self.takes: dict[type, Callable[[int, str], d.Delta]] = _TAKES.get(kind, {})
        self.pieces: dict[str, list[str]] = {}

    def is_told_again_by(self, content: Dict) -> bool:
        """Whether this start is of this block."""
        if not self.content:  # its pieces came first
            return self.open and _KINDS.get(_type(content), "opaque") == self.kind
        if _type(content) != _type(self.content):
            return False
        block_id = content.get("id")
        return block_id == self.content.get("id") and (self.open or block_id is not None)

    def add(self, piece: type, text: str) -> Sequence[d.Delta]:
        """Keep a piece of an opaque block's text; there is nothing to say of it yet."""
        field = _FIELD_OF_PIECE[piece]
        start = as_text(self.content.get(field))
        self.pieces.setdefault(field, [start]).append(text)
        return ()

    def end(self) -> list[d.Delta]:
        """Close it."""
        self.open = False
        ends: list[d.Delta] = []
        if self.pieces:
            texts = {field: "".join(pieces) for field, pieces in self.pieces.items()}
            ends.append(d.OpaqueUpdate(self.index, texts))
        return [*ends, d.BlockEnd(self.index)]


def _sign(index: int, signature: str) -> d.Delta:
    return d.OpaqueUpdate(index, {"signature": signature})


_TAKES: dict[str, dict[type, Callable[[int, str], d.Delta]]] = {
    "text": {wire.TextPiece: d.TextDelta, wire.SignaturePiece: d.SignatureDelta},
    "reasoning": {wire.ThinkingPiece: d.ReasoningDelta, wire.SignaturePiece: d.SignatureDelta},
    "tool": {wire.InputPiece: d.ToolArgumentsDelta, wire.SignaturePiece: d.SignatureDelta},
    "opaque": {wire.InputPiece: d.ToolArgumentsDelta, wire.SignaturePiece: _sign},
}

_KIND_OF_PIECE: dict[type, str] = {
    wire.TextPiece: "text",
    wire.ThinkingPiece: "reasoning",
    wire.SignaturePiece: "reasoning",
    wire.InputPiece: "tool",
}

_FIELD_OF_PIECE: dict[type, str] = {wire.TextPiece: "text", wire.ThinkingPiece: "thinking"}

_KINDS = {
    "text": "text",
    "thinking": "reasoning",
    "redacted_thinking": "reasoning",
    "tool_use": "tool",
}


def _type(content: Dict) -> str:
    """The type of a block; one without is text if it has any."""
    given = content.get("type")
    return given if isinstance(given, str) else "text" if "text" in content else ""


def _begin_text(index: int, content: Dict) -> Iterable[d.Delta]:
    yield d.BlockStart(index, "text")
    if text := as_text(content.get("text")):
        yield d.TextDelta(index, text)
    for citation in _as_list(content.get("citations")):
        if isinstance(citation, dict):
            yield d.AnnotationDelta(index, as_dict(citation))
    yield from _rest(index, content, ("type", "text", "citations"))


def _begin_thinking(index: int, content: Dict) -> Iterable[d.Delta]:
    yield d.BlockStart(index, "reasoning")
    if text := as_text(content.get("thinking")):
        yield d.ReasoningDelta(index, text)
    if signature := as_text(content.get("signature")):
        yield d.SignatureDelta(index, signature)
    yield from _rest(index, content, ("type", "thinking", "signature"))


def _begin_redacted(index: int, content: Dict) -> Iterable[d.Delta]:
    yield d.RedactedReasoning(index, as_text(content.get("data")))
    yield from _rest(index, content, ("type", "data"))


def _begin_tool(index: int, content: Dict) -> Iterable[d.Delta]:
    given = content.get("input")
    yield d.ToolCallStart(
        index,
        name=as_text(content.get("name")),
        call_id=as_text(content.get("id")) or None,
        arguments=as_dict(given) or None,
        metadata=_others(content, ("type", "id", "name", "input")) or None,
    )
    if isinstance(given, str) and given:  # some servers send the JSON text
        yield d.ToolArgumentsDelta(index, given)


def _begin_fallback(index: int, content: Dict) -> Iterable[d.Delta]:
    yield from _begin_opaque(index, content)
    if model := as_text(as_dict(content.get("to")).get("model")):
        yield d.StreamInfo(model=model)  # the one that answers


def _begin_opaque(index: int, content: Dict) -> Iterable[d.Delta]:
    yield d.OpaqueStart(index, _type(content), content, input_key="input")


def _rest(index: int, content: Dict, told: Iterable[str]) -> Iterable[d.Delta]:
    others = _others(content, told)
    if others:
        yield d.BlockInfo(index, metadata=others)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


def _others(content: Dict, told: Iterable[str]) -> Dict:
    return {k: v for k, v in content.items() if v is not None and k not in told}


_BEGIN: dict[str, Callable[[int, Dict], Iterable[d.Delta]]] = {
    "text": _begin_text,
    "thinking": _begin_thinking,
    "redacted_thinking": _begin_redacted,
    "tool_use": _begin_tool,
    "fallback": _begin_fallback,
}


# --- usage


def _merged(told: Dict, more: Dict) -> Dict:
    """Both, in a new dict: the last value of each key, but null erases nothing."""
    merged = dict(told)
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            news = {k: v for k, v in as_dict(value).items() if v is not None}
            merged[key] = {**merged[key], **news}
        elif value is not None or key not in merged:
            merged[key] = value
    return merged


def _count(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def _token_usage(native: Dict) -> d.TokenUsage:
    metrics = as_dict(native.get(wire.METRICS))

    def count(key: str, metric: str) -> int | None:
        # Bedrock tells of the cache in its metrics only; elsewhere 0 stands for it.
        told = _count(native.get(key))
        return told or (_count(metrics.get(metric)) if metric in metrics else told)

    new = count("input_tokens", "inputTokenCount")
    read = count("cache_read_input_tokens", "cacheReadInputTokenCount")
    written = count("cache_creation_input_tokens", "cacheWriteInputTokenCount")
    prompt = None if new is None else new + (read or 0) + (written or 0)
    completion = count("output_tokens", "outputTokenCount")
    details = as_dict(native.get("output_tokens_details"))
    return d.TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=None if prompt is None or completion is None else prompt + completion,
        reasoning_tokens=_count(details.get("thinking_tokens")),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=_count(
            as_dict(native.get("cache_creation")).get("ephemeral_1h_input_tokens")
        ),
        hosted_requests=_hosted(as_dict(native.get("server_tool_use"))) or None,
        native=native,
    )


def _hosted(counts: Dict) -> dict[str, int]:
    known = {key.removesuffix("_requests"): _count(value) for key, value in counts.items()}
    return {key: value for key, value in known.items() if value is not None}


# --- the decoder


class AnthropicDecoder:
    """Decodes one answer; the rules stand at the top of the module.

    Attributes:
        complete: Whether ``message_stop`` has come.
        skipped: How many events, blocks and pieces had no meaning, or came after the end.
    """

    def __init__(self) -> None:
        self.complete = False
        self.skipped = 0
        self._blocks: dict[int, _Block] = {}  # by wire index
        self._begun: dict[int, _Block] = {}  # by ours, which are unique
        self._next = 0
        self._last = 0  # the wire index of the block started last
        self._usage: Dict = {}
        self._facts: Dict = {}
        self._id: str | None = None
        self._handlers: dict[type, Callable[[Any], Sequence[d.Delta]]] = {
            wire.ContentBlockDelta: self._on_piece,
            wire.OtherDelta: self._on_other_delta,
            wire.ContentBlockStart: self._on_block_start,
            wire.ContentBlockStop: self._on_block_stop,
            wire.MessageStart: self._on_message_start,
            wire.MessageDelta: self._on_message_delta,
            wire.MessageStop: self._on_message_stop,
            wire.Metrics: self._on_metrics,
            wire.PingEvent: self._on_ping,
        }

    def decode(self, event: ServerSentEvent) -> Sequence[d.Delta]:
        """What an event says.

        Raises:
            ProviderError: If it is an error.
            ProtocolError: If it is no JSON.
        """
        if self.complete:
            return self._skip()
        try:
            happened = decode_event(event.data)
        except unreadable:
            return self._decode_slowly(event)
        if happened.error:
            return self._decode_slowly(event)
        if type(happened) is ContentBlockDelta:
            # The fast path: nearly all events are pieces of an open block.
            block = self._blocks.get(happened.index)
            if block is not None:
                piece: Any = happened.delta
                made = block.takes.get(piece.__class__)
                if made is not None:
                    return (made(block.index, piece.text),) if piece.text else ()
        return self._handlers[type(happened)](happened)

    def decode_document(self, body: bytes) -> Sequence[d.Delta]:
        """What a whole message says; it is complete then.

        Raises:
            ProviderError: If it is an error.
            ProtocolError: If it is no message.
        """
        try:
            values = wire.payloads(body)
        except (ValueError, RecursionError) as error:
            raise UnexpectedResponse(f"the answer is no JSON: {_excerpt(body)}") from error
        value = _unwrapped(values[0]) if len(values) == 1 else None
        message = as_dict(value)
        if wire.is_error(value, ""):
            raise _stream_error(value)
        if not isinstance(message.get("content"), list):
            raise UnexpectedResponse(f"the answer is no message: {_excerpt(body)}")
        said = [*self._on_message_start(wire.MessageStart(message=message))]
        return [*said, *self._on_message_stop(wire.MessageStop())]

    def _decode_slowly(self, event: ServerSentEvent) -> Sequence[d.Delta]:
        try:
            values = wire.payloads(event.data)
        except (ValueError, RecursionError) as error:
            if event.event == "error":
                raise _stream_error(event.data.decode("utf-8", "replace")) from None
            name = f"event {event.event!r}" if event.event else "an event without a name"
            raise ProtocolError(f"{name} is no JSON: {_excerpt(event.data)}") from error
        said: list[d.Delta] = []
        for value in values:
            said += self._take(_unwrapped(value), event.event)
        return said

    def _take(self, payload: Any, name: str) -> Sequence[d.Delta]:
        if self.complete:
            return self._skip()
        if wire.is_error(payload, name):
            raise _stream_error(payload)
        happened = wire.lenient(as_dict(payload), name)
        return self._skip() if happened is None else self._handlers[type(happened)](happened)

    def _skip(self) -> Sequence[d.Delta]:
        self.skipped += 1
        return ()

    # --- the message

    def _on_message_start(self, event: wire.MessageStart) -> Sequence[d.Delta]:
        message = event.message
        message_id = as_text(message.get("id")) or None
        said: list[d.Delta] = [
            d.StreamInfo(
                id=message_id,
                model=as_text(message.get("model")) or None,
                metadata=_others(message, _TOLD | _TOLD_AT_END | {"stop_details"}) or None,
            )
        ]
        if message_id is None or message_id != self._id:
            for i, block in enumerate(_as_list(message.get("content"))):
                said += self._start(i, as_dict(block))
        self._id = message_id
        said += self._tell_usage(as_dict(message.get("usage")))
        self._facts |= {k: message[k] for k in _FACTS if message.get(k) is not None}
        return said + self._finish(message)

    def _on_message_delta(self, event: wire.MessageDelta) -> Sequence[d.Delta]:
        facts = _others(event.delta, _TOLD_AT_END)
        facts |= {k: v for k in _BESIDE if (v := getattr(event, k)) is not None}
        self._facts |= facts
        finish = self._finish(event.delta)
        if facts and not finish:
            finish = [d.StreamInfo(metadata=facts)]
        return [*self._tell_usage(event.usage or {}), *finish]

    def _finish(self, delta: Dict) -> list[d.Delta]:
        native = delta.get("stop_reason")
        if not native:
            return []
        return [
            d.Finish(
                FINISH_REASONS.get(as_text(native), "unknown"),
                str(native),
                stop_sequence=as_text(delta.get("stop_sequence")) or None,
                metadata=dict(self._facts) or None,
            )
        ]

    def _tell_usage(self, more: Dict) -> list[d.Delta]:
        if not more:
            return []
        self._usage = _merged(self._usage, more)
        return [d.UsageUpdate(_token_usage(self._usage))]

    def _on_metrics(self, event: wire.Metrics) -> Sequence[d.Delta]:
        return self._tell_usage({wire.METRICS: event.metrics})

    def _on_message_stop(self, event: wire.MessageStop) -> Sequence[d.Delta]:
        self.complete = True
        said: list[d.Delta] = []
        for block in self._begun.values():
            if block.open:
                said += block.end()
        if event.metrics:
            said += self._tell_usage({wire.METRICS: event.metrics})
        return said

    def _on_ping(self, _: wire.PingEvent) -> Sequence[d.Delta]:
        return (d.Ping(),)

    # --- its blocks

    def _on_block_start(self, event: wire.ContentBlockStart) -> Sequence[d.Delta]:
        return self._start(event.index if event.index >= 0 else self._next, event.content_block)

    def _start(self, at: int, content: Dict) -> Sequence[d.Delta]:
        if not content:  # the pieces that follow will start it
            return self._skip()
        kind = _type(content)
        block = self._blocks.get(at)
        if block is None or not block.is_told_again_by(content):
            block = self._begin(at, _KINDS.get(kind, "opaque"), content)
        elif not block.open:
            self._blocks[at] = _Block(block.index, "repeated", content)
            return self._skip()
        block.content = content
        return [*_BEGIN.get(kind, _begin_opaque)(block.index, content)]

    def _begin(self, at: int, kind: str, content: Dict) -> _Block:
        index = at if at not in self._begun else self._next
        self._next = max(self._next, index + 1)
        self._last = at
        block = self._blocks[at] = self._begun[index] = _Block(index, kind, content)
        return block

    def _on_block_stop(self, event: wire.ContentBlockStop) -> Sequence[d.Delta]:
        block = self._blocks.get(self._at(event.index))
        return block.end() if block is not None and block.open else self._skip()

    def _at(self, index: int) -> int:
        return index if index >= 0 else self._last

    def _on_piece(self, event: wire.ContentBlockDelta) -> Sequence[d.Delta]:
        """A piece that is not for the block at its index, or is no plain text."""
        at, piece = self._at(event.index), event.delta
        block = self._blocks.get(at)
        if isinstance(piece, wire.CitationPiece):
            return self._cite(at, block, piece.citation)
        if not piece.text:
            return ()
        made = block.takes.get(type(piece)) if block is not None else None
        if block is not None and made is None and block.kind in ("opaque", "repeated"):
            return block.add(type(piece), piece.text) if block.open else self._skip()
        if block is None or made is None:
            kind = _KIND_OF_PIECE[type(piece)]
            block, made = self._begin(at, kind, {}), _TAKES[kind][type(piece)]
        return (made(block.index, piece.text),)

    def _cite(self, at: int, block: _Block | None, citation: Dict) -> Sequence[d.Delta]:
        if block is None:
            block = self._begin(at, "text", {})
        if block.kind != "text":
            return self._skip()
        return (d.AnnotationDelta(block.index, citation),)

    def _on_other_delta(self, event: wire.OtherDelta) -> Sequence[d.Delta]:
        """Fields that replace those of a block, for the one type of delta that is known to."""
        if event.kind != "compaction_delta":
            return self._skip()
        at = self._at(event.index)
        block, said = self._blocks.get(at), list[d.Delta]()
        if block is None or block.kind != "opaque":
            content = {"type": "compaction"}
            block = self._begin(at, "opaque", content)
            said += _begin_opaque(block.index, content)
        return [*said, d.OpaqueUpdate(block.index, event.fields)]


# --- errors


STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status that an error inside a stream stands for."""

_OUT_OF_MONEY = {"billing_error", "insufficient_quota", "credit_balance_exhausted"}

_ADVICE = {
    401: "check the API key",
    402: "check the account's billing",
    403: "check what the API key may do",
    404: "check the model's name and the base URL",
}

_REQUEST_ID_HEADERS = (
    "request-id",
    "x-request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "x-generation-id",
    "x-litellm-call-id",
)

EXCERPT = 200
"""Characters of what is no JSON that an error shows."""

MAX_TEXT = 2000
"""Characters of one text of the provider's that an error keeps."""

MAX_HTML = 4096
"""Characters of a page that are searched for its words."""

MAX_DEPTH = 16
"""Levels of an error's body that are kept."""


class _Said:
    """What the body of an error says, free of secrets."""

    def __init__(self, payload: Any) -> None:
        outer = as_dict(payload)
        inner = as_dict(outer.get("error")) or outer
        self.details: Dict = {"body": _cleaned(payload)} if payload else {}
        words = [inner.get(key) for key in ("message", "Message", "detail")]
        words += [outer.get("message"), outer.get("error"), payload]
        found = next((w for w in words if as_text(w).strip()), None)
        self.message = _cleaned_text(found.strip()) if found else self._body_in_words()
        kinds = [inner.get(key) for key in ("type", "status", "code")]
        self.code = next((_cleaned_text(str(k)) for k in kinds if _is_code(k)), None)
        ids = (as_text(outer.get("request_id")), as_text(inner.get("request_id")))
        self.request_id = next((_cleaned_text(i) for i in ids if i), None)
        numbers = [str(inner.get(key)) for key in ("status_code", "code", "status")]
        self.status = next((int(n) for n in numbers if _ERROR_STATUS.fullmatch(n)), None)

    def _body_in_words(self) -> str:
        if not self.details:
            return "no message"
        text = json.dumps(self.details["body"], ensure_ascii=False)
        return text if len(text) <= EXCERPT else text[:EXCERPT] + "..."


def _is_code(value: Any) -> bool:
    return isinstance(value, str | int) and value not in ("", "error", 0, False, True)


_ERROR_STATUS = re.compile(r"[45]\d\d", re.ASCII)


def _stream_error(payload: Any) -> ProviderError:
    """The error that an event, or a body under a success status, stands for."""
    said = _Said(payload)
    status = STATUS_OF_TYPE.get(said.code or "") or said.status
    if status is None:
        status = 400 if (said.code or "").startswith("invalid_") else 500
    about = f" ({said.code})" if said.code else ""
    return provider_error_class(status)(
        f"the provider sent an error in its answer{about}: {said.message}",
        http_status=status,
        code=said.code,
        request_id=said.request_id,
        retryable=False if _out_of_money(status, said) else None,
        details=said.details,
    )


def anthropic_error(reply: ErrorReply) -> ProviderError:
    """The error that an unsuccessful answer stands for; when to retry is not told here."""
    headers = {name.lower(): value for name, value in reply.headers.items()}
    said = _Said(_error_payload(reply.body))
    kind = headers.get("x-amzn-errortype", "").partition(":")[0]
    code = said.code or kind or None
    about = f" ({code})" if code else ""
    text = said.message
    if advice := _ADVICE.get(reply.status):
        text = f"{text.rstrip('.')}; {advice}"
    return provider_error_class(reply.status)(
        f"HTTP {reply.status}{about}: {text}",
        http_status=reply.status,
        code=code,
        request_id=_request_id(headers) or said.request_id,
        retryable=_retryable(reply.status, said, headers),
        details=said.details,
    )


def _request_id(headers: Mapping[str, str]) -> str | None:
    return next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None)


def _retryable(status: int, said: _Said, headers: Mapping[str, str]) -> bool | None:
    """Whether to try again; ``None`` leaves it to the status."""
    return False if _out_of_money(status, said) else should_retry(headers)


def _out_of_money(status: int, said: _Said) -> bool:
    # No wait fills an account, whatever the server thinks of retries.
    return status == 402 or said.code in _OUT_OF_MONEY or "credit balance" in said.message.lower()


def _error_payload(body: bytes) -> Any:
    """The JSON value in a body, else its words."""
    try:
        values = wire.payloads(body)
        return _unwrapped(values[0]) if len(values) == 1 else values
    except (ValueError, RecursionError):
        return _words(body.decode("utf-8", "replace"))


_TITLE = re.compile(r"<title[^<>]*>([^<]+)", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def _words(text: str) -> str:
    """Text without the tags of a page; of one with a title, that."""
    text = text.strip()
    if text.startswith("<"):
        page = text[:MAX_HTML]
        title = _TITLE.search(page)
        text = title[1] if title else _TAG.sub(" ", page)
    return " ".join(text[:MAX_HTML].split())


def _unwrapped(value: Any) -> Any:
    """The one value of a list of one."""
    items = _as_list(value)
    return items[0] if len(items) == 1 else value


def _excerpt(data: bytes) -> str:
    text = _cleaned_text(data[: 4 * MAX_TEXT].decode("utf-8", "replace"))
    return repr(text if len(text) <= EXCERPT else text[:EXCERPT] + "...")


# A value counts as a secret if it is long and no plain word: "Bearer token" is none.
_VALUE = r"(?=[^\s\"',;<>]*\d)[^\s\"',;<>]{8,}|[^\s\"',;<>]{20,}"
_SECRET = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?P<key>sk-|AIza|AKIA|ya29\.)[\w*.…-]{6,}"
    rf"|(?P<scheme>Bearer\s+|Basic\s+)(?:{_VALUE})"
    r"|(?P<name>(?:api[-_ ]?key|authorization|token|secret|signature|password)"
    rf"[\"']?\s*[:=]\s*[\"']?)(?!Bearer|Basic)(?:{_VALUE})"
    r")",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(r"(api[-_]?key|authorization|token|secret|password)$", re.IGNORECASE)
_HIDDEN = "[redacted]"


def _hide(secret: re.Match[str]) -> str:
    return (secret["key"] or secret["scheme"] or secret["name"] or "") + _HIDDEN


def _cleaned_text(text: str) -> str:
    """The text, not too long, without anything that looks like a key: servers echo them."""
    text = _SECRET.sub(_hide, text[: 2 * MAX_TEXT])
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."


def _cleaned(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _cleaned_text(value)
    if isinstance(value, dict | list) and depth == MAX_DEPTH:
        return "..."
    if isinstance(value, dict):
        return {
            _cleaned_text(key): _HIDDEN
            if isinstance(item, str) and _SECRET_NAME.search(key)
            else _cleaned(item, depth + 1)
            for key, item in as_dict(value).items()  # pyright: ignore[reportUnknownArgumentType]
        }
    if isinstance(value, list):
        return [_cleaned(item, depth + 1) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value
