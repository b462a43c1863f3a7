"""The events of the Messages protocol, and how they are read.

An event that is as documented is one decode into a struct. What is not (a type that is new, a
field of another type, a name without a type, two events in one, an escape or a byte that is no
character) is read once more, slowly: as plain objects, of which :func:`lenient` makes the same
structs. So there is one meaning of each event, whichever way it was read.

Only what has to be carried through stays a plain object; fields that nobody reads are not here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from dhenara_stream.dialects.values import NO_INDEX, Dict, as_dict, as_index, as_text

__all__ = [
    "CitationPiece",
    "ContentBlockDelta",
    "ContentBlockStart",
    "ContentBlockStop",
    "InputPiece",
    "MessageDelta",
    "MessageStart",
    "MessageStop",
    "Metrics",
    "OtherDelta",
    "Piece",
    "PingEvent",
    "SignaturePiece",
    "TextPiece",
    "ThinkingPiece",
    "WireEvent",
    "decode_event",
    "is_error",
    "lenient",
]

METRICS = "amazon-bedrock-invocationMetrics"


class TextPiece(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="text_delta"):
    """A piece of text."""

    text: str


class ThinkingPiece(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="thinking_delta"):
    """A piece of reasoning."""

    text: str = msgspec.field(name="thinking")


class SignaturePiece(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="signature_delta"
):
    """The signature of a block of reasoning, whole."""

    text: str = msgspec.field(name="signature")


class InputPiece(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="input_json_delta"):
    """A piece of the JSON text of a tool's input."""

    text: str = msgspec.field(name="partial_json")


class CitationPiece(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="citations_delta"):
    """One more citation."""

    citation: Dict


Piece = TextPiece | ThinkingPiece | SignaturePiece | InputPiece | CitationPiece


class WireEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="type"):
    """What any event may hold: an ``error`` makes it an error event, whatever else it is."""

    error: Any = None


class ContentBlockDelta(WireEvent, frozen=True, gc=False, kw_only=True, tag="content_block_delta"):
    """More of a block."""

    index: int = NO_INDEX
    delta: Piece


class ContentBlockStart(WireEvent, frozen=True, gc=False, kw_only=True, tag="content_block_start"):
    """A block begins."""

    index: int = NO_INDEX
    content_block: Dict


class ContentBlockStop(WireEvent, frozen=True, gc=False, kw_only=True, tag="content_block_stop"):
    """A block is complete."""

    index: int = NO_INDEX


class MessageStart(WireEvent, frozen=True, gc=False, kw_only=True, tag="message_start"):
    """The answer begins."""

    message: Dict


class MessageDelta(WireEvent, frozen=True, gc=False, kw_only=True, tag="message_delta"):
    """Why the answer ends, and the usage."""

    delta: Dict
    usage: Dict | None = None
    context_management: Any = None
    input_transformations: Any = None


class MessageStop(WireEvent, frozen=True, gc=False, kw_only=True, tag="message_stop"):
    """The answer is complete."""

    metrics: Dict | None = msgspec.field(name=METRICS, default=None)


class PingEvent(WireEvent, frozen=True, gc=False, kw_only=True, tag="ping"):
    """A sign of life."""


class OtherDelta(WireEvent, frozen=True, gc=False, kw_only=True):
    """More of a block, in a way of its own; made by :func:`lenient` only."""

    index: int
    kind: str
    fields: Dict


class Metrics(WireEvent, frozen=True, gc=False, kw_only=True):
    """Token counts in an event of their own; made by :func:`lenient` only."""

    metrics: Dict


decode_event = msgspec.json.Decoder(
    ContentBlockDelta
    | ContentBlockStart
    | ContentBlockStop
    | MessageStart
    | MessageDelta
    | MessageStop
    | PingEvent
).decode


def is_error(payload: Any, name: str) -> bool:
    """Whether an event is an error; ``name`` is that of its event line."""
    if not isinstance(payload, dict):
        return name == "error"
    given = cast("Dict", payload)
    kind = given.get("type")
    if given.get("error") or "error" in (kind, given.get("object")):
        return True
    return name == "error" and as_text(kind) not in _LENIENT


def lenient(payload: Dict, name: str) -> WireEvent | None:
    """The event that a plain object stands for; ``None`` if it is of no known type.

    The type is the object's own; if it has none, the name of the event line.
    """
    kind = payload.get("type")
    read = _LENIENT.get(kind if isinstance(kind, str) else name)
    if read is not None:
        return read(payload)
    return Metrics(metrics=as_dict(payload[METRICS])) if METRICS in payload else None


_PIECES: dict[str, tuple[str, type[TextPiece | ThinkingPiece | SignaturePiece | InputPiece]]] = {
    "text_delta": ("text", TextPiece),
    "thinking_delta": ("thinking", ThinkingPiece),
    "signature_delta": ("signature", SignaturePiece),
    "input_json_delta": ("partial_json", InputPiece),
}


def _block_delta(payload: Dict) -> WireEvent:
    index, delta = as_index(payload.get("index")), as_dict(payload.get("delta"))
    kind = delta.get("type")
    if not isinstance(kind, str):  # then the field says it
        kind = next((k for k, (field, _) in _PIECES.items() if field in delta), "")
    if kind in _PIECES:
        field, piece = _PIECES[kind]
        return ContentBlockDelta(index=index, delta=piece(as_text(delta.get(field))))
    if kind == "citations_delta" and isinstance(delta.get("citation"), dict):
        return ContentBlockDelta(index=index, delta=CitationPiece(delta["citation"]))
    fields = {key: value for key, value in delta.items() if key != "type"}
    return OtherDelta(index=index, kind=kind, fields=fields)


def _block_start(payload: Dict) -> WireEvent:
    return ContentBlockStart(
        index=as_index(payload.get("index")), content_block=as_dict(payload.get("content_block"))
    )


def _message_delta(payload: Dict) -> WireEvent:
    return MessageDelta(
        delta=as_dict(payload.get("delta")),
        usage=as_dict(payload.get("usage")),
        context_management=payload.get("context_management"),
        input_transformations=payload.get("input_transformations"),
    )


_LENIENT: dict[str, Callable[[Dict], WireEvent]] = {
    "content_block_delta": _block_delta,
    "content_block_start": _block_start,
    "content_block_stop": lambda payload: ContentBlockStop(index=as_index(payload.get("index"))),
    "message_start": lambda payload: MessageStart(message=as_dict(payload.get("message"))),
    "message_delta": _message_delta,
    "message_stop": lambda payload: MessageStop(metrics=as_dict(payload.get(METRICS))),
    "ping": lambda _: PingEvent(),
}
