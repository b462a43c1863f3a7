"""Answers of the Messages protocol: events and whole messages, in neutral terms.

The rules of the decoder:

- A wire index stands for the block that was last started there, under an index of ours that no
  two blocks share: the wire's own if it is free, else the next after all. So an index that is
  used again, by mistake or because ``message_start`` held blocks already (programmatic tool
  calling), starts another block and changes none.
- A start at an open block of the same type and id tells more of that block (without ids: if it is
  text or reasoning), so does one at a block that pieces began. A start that repeats a block which
  is complete and has an id is skipped, with its pieces: the same call must not be made twice. So
  are the blocks of a ``message_start`` that repeats one.
- A piece for no block, or for a block of another kind, begins a block. Pieces without an index
  belong to the block begun last. No text is lost.
- A block that is not known is carried through. Text that its pieces hold is put into its fields
  when it ends.
- Blocks that ``message_start`` held, or whose stop was forgotten, end with ``message_stop``.
- Only ``message_stop`` completes an answer; what comes after it is skipped.
- An error in an event that says something else too is raised by the next call, so that nothing is
  lost; such an event completes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dhenara_stream.core import deltas as d
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.errors import excerpt, stream_error
from dhenara_stream.dialects.failure import KeepsFailure, not_too_deep
from dhenara_stream.dialects.values import (
    Dict,
    as_count,
    as_dict,
    as_list,
    as_text,
    merged,
    payloads,
    unreadable,
    unwrapped,
)
from dhenara_stream.errors import ProtocolError, UnexpectedResponse

from . import wire
from .wire import ContentBlockDelta, decode_event

__all__ = ["AnthropicDecoder"]

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
            return self.open and _KINDS.get(_type(content)) == self.kind
        if _type(content) != _type(self.content):
            return False
        block_id = content.get("id")
        return block_id == self.content.get("id") and (
            block_id is not None or (self.open and _type(content) in ("text", "thinking"))
        )

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
    for citation in as_list(content.get("citations")):
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


def _token_usage(native: Dict) -> d.TokenUsage:
    metrics = as_dict(native.get(wire.METRICS))

    def count(key: str, metric: str) -> int | None:
        # Bedrock tells of the cache in its metrics only; elsewhere 0 stands for it.
        told, measured = as_count(native.get(key)), as_count(metrics.get(metric))
        return told or (told if measured is None else measured)

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
        reasoning_tokens=as_count(details.get("thinking_tokens")),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=as_count(
            as_dict(native.get("cache_creation")).get("ephemeral_1h_input_tokens")
        ),
        hosted_requests=_hosted(as_dict(native.get("server_tool_use"))) or None,
        native=native,
    )


def _hosted(counts: Dict) -> dict[str, int]:
    known = {key.removesuffix("_requests"): as_count(value) for key, value in counts.items()}
    return {key: value for key, value in known.items() if value is not None}


# --- the decoder


class AnthropicDecoder(KeepsFailure):
    """Decodes one answer; the rules stand at the top of the module.

    Attributes:
        complete: Whether ``message_stop`` has come.
        skipped: How many events, blocks and pieces had no meaning, or came after the end.
    """

    may_be_complete = False  # before its terminal event no answer is

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

    def decode(self, event: ServerSentEvent) -> Sequence[d.Delta]:
        """What an event says.

        Raises:
            ProviderError: If it is an error, or the one before held one.
            ProtocolError: If it is no JSON.
        """
        if self.failure is not None:
            raise self.failure
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
        return self._say(happened)

    def decode_document(self, body: bytes) -> Sequence[d.Delta]:
        """What a whole message says; it is complete then.

        Raises:
            ProviderError: If it is an error.
            ProtocolError: If it is no message.
        """
        try:
            values = payloads(body)
        except (ValueError, RecursionError) as error:
            raise UnexpectedResponse(f"the answer is no JSON: {excerpt(body)}") from error
        value = unwrapped(values[0]) if len(values) == 1 else None
        message = as_dict(value)
        if wire.is_error(value, ""):
            self.failure = stream_error(value)
            has_content = bool(as_list(message.get("content")))
            beside = self._say(wire.MessageStart(message=message)) if has_content else ()
            return self.said_first(beside)
        if not isinstance(message.get("content"), list):
            raise UnexpectedResponse(f"the answer is no message: {excerpt(body)}")
        said = [*self._say(wire.MessageStart(message=message))]
        return [*said, *self._say(wire.MessageStop())]

    def end(self) -> Sequence[d.Delta]:
        """Nothing: without ``message_stop`` the answer is truncated.

        Raises:
            ProviderError: If the last event held an error.
        """
        self.raise_kept()
        return ()

    def _decode_slowly(self, event: ServerSentEvent) -> Sequence[d.Delta]:
        try:
            values = payloads(event.data)
        except (ValueError, RecursionError) as error:
            if event.event == "error":
                raise stream_error(event.data.decode("utf-8", "replace")) from None
            name = f"event {event.event!r}" if event.event else "an event without a name"
            raise ProtocolError(f"{name} is no JSON: {excerpt(event.data)}") from error
        said: list[d.Delta] = []
        for value in values:
            said += self._take(unwrapped(value), event.event)
            if self.failure is not None:
                break
        return self.said_first(said)

    def _take(self, payload: Any, name: str) -> Sequence[d.Delta]:
        if self.complete:
            return self._skip()
        if wire.is_error(payload, name):
            self.failure = stream_error(payload)
            # Its own type: the event line may name what the error came in place of.
            beside = wire.lenient(as_dict(payload), "")
            if beside is None or isinstance(beside, wire.MessageStop):
                return ()
            return self._say(beside)
        happened = wire.lenient(as_dict(payload), name)
        return self._skip() if happened is None else self._say(happened)

    @not_too_deep
    def _say(self, happened: wire.WireEvent) -> Sequence[d.Delta]:
        match happened:
            case wire.ContentBlockDelta():
                return self._on_piece(happened)
            case wire.ContentBlockStart():
                return self._on_block_start(happened)
            case wire.ContentBlockStop():
                return self._on_block_stop(happened)
            case wire.MessageDelta():
                return self._on_message_delta(happened)
            case wire.MessageStart():
                return self._on_message_start(happened)
            case wire.MessageStop():
                return self._on_message_stop(happened)
            case wire.OtherDelta():
                return self._on_other_delta(happened)
            case wire.Metrics():
                return self._tell_usage({wire.METRICS: happened.metrics})
            case _:
                return (d.Ping(),)

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
            for i, content in enumerate(as_list(message.get("content"))):
                # Before the end, an empty text is a placeholder of the block to be started there.
                if message.get("stop_reason") or as_dict(content) != {"type": "text", "text": ""}:
                    said += self._start_whole(i, as_dict(content))
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
        self._usage = merged(self._usage, more)
        return [d.UsageUpdate(_token_usage(self._usage))]

    def _on_message_stop(self, event: wire.MessageStop) -> Sequence[d.Delta]:
        self.complete = True
        said: list[d.Delta] = []
        for block in self._begun.values():
            if block.open:
                said += block.end()
        if event.metrics:
            said += self._tell_usage({wire.METRICS: event.metrics})
        return said

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

    def _start_whole(self, at: int, content: Dict) -> list[d.Delta]:
        """A block that the message itself holds.

        One with an id stays open: it may be a call whose input is still to come.
        """
        said = [*self._start(at, content)]
        block = self._blocks.get(at)
        if block is not None and block.open and content.get("id") is None:
            said += block.end()
        return said

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
