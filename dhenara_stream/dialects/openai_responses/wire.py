"""The events of the Responses protocol, and how they are read.

An event that is as documented is one decode into a struct. What is not (a type that is new, a
field of another type, a name without a type, two events in one, an escape or a byte that is no
character) is read once more, slowly: as plain objects, of which :func:`lenient` makes the same
structs. So there is one meaning of each event, whichever way it was read.

Events of hosted tools are read slowly, too: they are few, and there are more of them every month.

Only what has to be carried through stays a plain object; fields that nobody reads are not here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, ClassVar, cast, get_args

import msgspec

from dhenara_stream.dialects.values import NO_INDEX, Dict, as_dict, as_index, as_list, as_text

__all__ = [
    "AnnotationAdded",
    "Ended",
    "Hosted",
    "ItemAdded",
    "ItemDone",
    "ItemEvent",
    "Keepalive",
    "PartAdded",
    "PartDone",
    "PartEvent",
    "Piece",
    "Progress",
    "SummaryPartAdded",
    "SummaryPartDone",
    "TextPiece",
    "Whole",
    "WireEvent",
    "decode_event",
    "is_error",
    "lenient",
    "says_nothing",
]


class WireEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="type"):
    """What any event may hold: an ``error`` makes it an error event, whatever else it is."""

    error: Any = None


class ItemEvent(WireEvent, frozen=True, gc=False, kw_only=True):
    """An event of one item of the output.

    Some servers tell its id only, some its place only; some tell neither.
    """

    item_id: str | None = None
    output_index: int = NO_INDEX


class Piece(ItemEvent, frozen=True, gc=False, kw_only=True):
    """More of a text: part ``part`` of that ``sort`` of an item of one of those ``kinds``."""

    kinds: ClassVar[tuple[str, ...]] = ()
    sort: ClassVar[str] = ""

    delta: str
    part: int = msgspec.field(name="content_index", default=NO_INDEX)
    logprobs: list[Any] | None = None


class TextPiece(Piece, frozen=True, gc=False, kw_only=True, tag="response.output_text.delta"):
    """A piece of text."""

    kinds = ("message",)
    sort = "text"


class RefusalPiece(Piece, frozen=True, gc=False, kw_only=True, tag="response.refusal.delta"):
    """A piece of a refusal in words."""

    kinds = ("message",)
    sort = "refusal"


class ReasoningPiece(
    Piece, frozen=True, gc=False, kw_only=True, tag="response.reasoning_text.delta"
):
    """A piece of reasoning."""

    kinds = ("reasoning",)
    sort = "text"


class SummaryPiece(
    Piece, frozen=True, gc=False, kw_only=True, tag="response.reasoning_summary_text.delta"
):
    """A piece of a part of the summary of reasoning."""

    kinds = ("reasoning",)
    sort = "summary"

    part: int = msgspec.field(name="summary_index", default=NO_INDEX)


class ArgumentsPiece(
    Piece, frozen=True, gc=False, kw_only=True, tag="response.function_call_arguments.delta"
):
    """A piece of the JSON text of a call's arguments."""

    kinds = ("function_call", "custom_tool_call", "opaque")


class InputPiece(
    Piece, frozen=True, gc=False, kw_only=True, tag="response.custom_tool_call_input.delta"
):
    """A piece of the free text that a call of a custom tool takes."""

    kinds = ("custom_tool_call", "function_call", "opaque")


class Whole(ItemEvent, frozen=True, gc=False, kw_only=True):
    """A text as a whole, after its pieces; of arguments with the call's name. Else as `Piece`."""

    kinds: ClassVar[tuple[str, ...]] = ()
    sort: ClassVar[str] = ""

    text: str
    part: int = msgspec.field(name="content_index", default=NO_INDEX)
    name: str | None = None


class TextDone(Whole, frozen=True, gc=False, kw_only=True, tag="response.output_text.done"):
    """A text."""

    kinds = ("message",)
    sort = "text"


class RefusalDone(Whole, frozen=True, gc=False, kw_only=True, tag="response.refusal.done"):
    """A refusal in words."""

    kinds = ("message",)
    sort = "refusal"

    text: str = msgspec.field(name="refusal")


class ReasoningDone(Whole, frozen=True, gc=False, kw_only=True, tag="response.reasoning_text.done"):
    """A reasoning."""

    kinds = ("reasoning",)
    sort = "text"


class SummaryDone(
    Whole, frozen=True, gc=False, kw_only=True, tag="response.reasoning_summary_text.done"
):
    """A part of the summary of reasoning."""

    kinds = ("reasoning",)
    sort = "summary"

    part: int = msgspec.field(name="summary_index", default=NO_INDEX)


class ArgumentsDone(
    Whole, frozen=True, gc=False, kw_only=True, tag="response.function_call_arguments.done"
):
    """The JSON text of a call's arguments."""

    kinds = ArgumentsPiece.kinds

    text: str = msgspec.field(name="arguments")


class InputDone(
    Whole, frozen=True, gc=False, kw_only=True, tag="response.custom_tool_call_input.done"
):
    """The free text that a call of a custom tool takes."""

    kinds = InputPiece.kinds

    text: str = msgspec.field(name="input")


class PartEvent(ItemEvent, frozen=True, gc=False, kw_only=True):
    """A part of an item: empty as a rule, or complete if ``done``."""

    done: ClassVar[bool] = False

    part: Dict
    at: int = msgspec.field(name="content_index", default=NO_INDEX)


class PartAdded(PartEvent, frozen=True, gc=False, kw_only=True, tag="response.content_part.added"):
    """A part begins."""


class PartDone(PartEvent, frozen=True, gc=False, kw_only=True, tag="response.content_part.done"):
    """A part is complete."""

    done = True


class SummaryPartAdded(
    PartEvent, frozen=True, gc=False, kw_only=True, tag="response.reasoning_summary_part.added"
):
    """A part of the summary of reasoning begins."""

    at: int = msgspec.field(name="summary_index", default=NO_INDEX)


class SummaryPartDone(
    PartEvent, frozen=True, gc=False, kw_only=True, tag="response.reasoning_summary_part.done"
):
    """A part of the summary of reasoning is complete."""

    done = True

    at: int = msgspec.field(name="summary_index", default=NO_INDEX)


class AnnotationAdded(
    ItemEvent, frozen=True, gc=False, kw_only=True, tag="response.output_text.annotation.added"
):
    """One more citation."""

    annotation: Dict
    part: int = msgspec.field(name="content_index", default=NO_INDEX)


class ItemAdded(WireEvent, frozen=True, gc=False, kw_only=True, tag="response.output_item.added"):
    """An item begins."""

    item: Dict
    output_index: int = NO_INDEX


class ItemDone(WireEvent, frozen=True, gc=False, kw_only=True, tag="response.output_item.done"):
    """An item is complete."""

    item: Dict
    output_index: int = NO_INDEX


class Progress(WireEvent, frozen=True, gc=False, kw_only=True):
    """The answer is under way."""

    response: Dict


class Created(Progress, frozen=True, gc=False, kw_only=True, tag="response.created"):
    """The answer begins."""


class Queued(Progress, frozen=True, gc=False, kw_only=True, tag="response.queued"):
    """The answer has to wait for its turn."""


class InProgress(Progress, frozen=True, gc=False, kw_only=True, tag="response.in_progress"):
    """The model is at work."""


class Ended(WireEvent, frozen=True, gc=False, kw_only=True):
    """The answer has ended; ``status`` is how, unless the response says it."""

    status: ClassVar[str] = "completed"

    response: Dict


class Completed(Ended, frozen=True, gc=False, kw_only=True, tag="response.completed"):
    """The answer is complete."""


class Incomplete(Ended, frozen=True, gc=False, kw_only=True, tag="response.incomplete"):
    """The answer was cut, and the response says why."""

    status = "incomplete"


class Failed(Ended, frozen=True, gc=False, kw_only=True, tag="response.failed"):
    """The provider failed."""

    status = "failed"


class Cancelled(Ended, frozen=True, gc=False, kw_only=True, tag="response.cancelled"):
    """Somebody cancelled the answer."""

    status = "cancelled"


class Keepalive(WireEvent, frozen=True, gc=False, kw_only=True, tag="keepalive"):
    """A sign of life."""


class Hosted(ItemEvent, frozen=True, gc=False, kw_only=True):
    """What happens to an item of another kind; made by :func:`lenient` only.

    Its type is ``response.<what>.<word>``.
    """

    what: str
    word: str
    fields: Dict


def is_error(payload: Any, name: str) -> bool:
    """Whether an event is an error; ``name`` is that of its event line."""
    if not isinstance(payload, dict):
        return name == "error"
    given = cast("Dict", payload)
    kind = given.get("type")
    if given.get("error") or "error" in (kind, given.get("object")):
        return True
    return name == "error" and not _is_known(as_text(kind))


def _is_known(kind: str) -> bool:
    return kind in _TYPES or kind.startswith("response.")


_TYPE = re.compile(rb'\s*\{\s*"type"\s*:\s*"([\w.]+)"')


def says_nothing(data: bytes, name: str) -> bool:
    """Whether data that are no JSON are of an event that says nothing of the answer's content."""
    found = _TYPE.match(data)
    kind = found[1].decode() if found else name
    return issubclass(_TYPES.get(kind, WireEvent), Progress | Keepalive)


def lenient(payload: Dict, name: str) -> WireEvent | None:
    """The event that a plain object stands for; ``None`` if it is of no known type.

    The type is the object's own; if it has none, the name of the event line.
    """
    kind = payload.get("type")
    kind = kind if isinstance(kind, str) else name
    known = _TYPES.get(kind)
    if known is not None:
        return _made(known, payload)
    return _hosted(kind, payload)


def _made(kind: type[WireEvent], payload: Dict) -> WireEvent:
    """A struct of the fields as they are, or as near as can be."""
    return kind(**{name: read(payload.get(key)) for name, key, read in _FIELDS[kind]})


_BESIDE = frozenset({"type", "sequence_number", "item_id", "output_index", "obfuscation"})


def _hosted(kind: str, payload: Dict) -> WireEvent | None:
    names = kind.split(".")
    if len(names) < 3 or names[0] != "response":
        return None
    return Hosted(
        item_id=_as_name(payload.get("item_id")),
        output_index=as_index(payload.get("output_index")),
        what=".".join(names[1:-1]),
        word=names[-1],
        fields={key: value for key, value in payload.items() if key not in _BESIDE},
    )


def _as_name(value: Any) -> str | None:
    return as_text(value) or None


def _as_told(value: Any) -> str:
    """A text; some servers send an object that holds it, or that it should be the JSON text of."""
    if not isinstance(value, dict):
        return as_text(value)
    given = as_dict(value)
    text = given.get("text")
    return text if isinstance(text, str) else json.dumps(given, ensure_ascii=False)


_READ_TYPE: dict[Any, Callable[[Any], Any]] = {
    int: as_index,
    str: _as_told,
    str | None: _as_name,
    Dict: as_dict,
    list[Any] | None: as_list,
    Any: lambda value: value,
}

_ALIASES: dict[str, type[WireEvent]] = {
    "response.done": Completed,
    "response.reasoning.delta": ReasoningPiece,
    "response.reasoning.done": ReasoningDone,
    "response.reasoning_part.added": PartAdded,
    "response.reasoning_part.done": PartDone,
    "response.reasoning_summary.delta": SummaryPiece,
    "response.reasoning_summary.done": SummaryDone,
}
"""Names that were, or are of other servers."""

_Event = (
    TextPiece
    | RefusalPiece
    | ReasoningPiece
    | SummaryPiece
    | ArgumentsPiece
    | InputPiece
    | TextDone
    | RefusalDone
    | ReasoningDone
    | SummaryDone
    | ArgumentsDone
    | InputDone
    | PartAdded
    | PartDone
    | SummaryPartAdded
    | SummaryPartDone
    | AnnotationAdded
    | ItemAdded
    | ItemDone
    | Created
    | Queued
    | InProgress
    | Completed
    | Incomplete
    | Failed
    | Cancelled
    | Keepalive
)

_EVENTS: tuple[type[WireEvent], ...] = get_args(_Event)

_TYPES = {str(event.__struct_config__.tag): event for event in _EVENTS} | _ALIASES

_FIELDS = {
    event: [(f.name, f.encode_name, _READ_TYPE[f.type]) for f in msgspec.structs.fields(event)]
    for event in _EVENTS
}

decode_event = msgspec.json.Decoder(_Event).decode
