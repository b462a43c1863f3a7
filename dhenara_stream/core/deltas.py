"""The neutral vocabulary: what a dialect says, and the accumulator understands.

A dialect turns each event into a few of these. ``choice`` is the number of the answer, ``index``
the place of a block in it: the dialect gives each block its own index, in order of appearance.
A piece may come without a start; it then starts the block. None of them is a public type.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "AnnotationDelta",
    "BlockEnd",
    "BlockInfo",
    "BlockStart",
    "ChoiceInfo",
    "Delta",
    "Finish",
    "OpaqueStart",
    "OpaqueUpdate",
    "Ping",
    "ReasoningDelta",
    "ReasoningSummaryDelta",
    "RedactedReasoning",
    "RefusalDelta",
    "SignatureDelta",
    "StreamInfo",
    "TextDelta",
    "TokenUsage",
    "ToolArgumentsDelta",
    "ToolCallStart",
    "UsageUpdate",
]

Dict = dict[str, Any]


class _Piece(msgspec.Struct, frozen=True, gc=False):
    index: int
    text: str
    choice: int = 0


class TextDelta(_Piece, frozen=True, gc=False):
    """A piece of the answer's text."""


class RefusalDelta(_Piece, frozen=True, gc=False):
    """A piece of a refusal in words."""


class ReasoningDelta(_Piece, frozen=True, gc=False):
    """A piece of reasoning."""


class ReasoningSummaryDelta(_Piece, frozen=True, gc=False):
    """A piece of part number ``part`` of the summary of reasoning."""

    part: int = 0


class SignatureDelta(_Piece, frozen=True, gc=False):
    """A block's opaque signature, whole: it replaces an earlier one."""


class ToolArgumentsDelta(_Piece, frozen=True, gc=False):
    """A piece of the JSON text of a call's arguments, or of an opaque block's input."""


class BlockStart(msgspec.Struct, frozen=True, gc=False):
    """A block of text or reasoning begins, empty so far; ``kind`` is ``text`` or ``reasoning``."""

    index: int
    kind: str
    choice: int = 0


class ToolCallStart(msgspec.Struct, frozen=True, gc=False):
    """A call of one of the caller's tools begins.

    ``arguments`` holds them if they came whole; pieces that follow count instead.
    """

    index: int
    name: str
    call_id: str | None = None
    id: str | None = None
    arguments: Dict | None = None
    metadata: Dict | None = None
    choice: int = 0


class OpaqueStart(msgspec.Struct, frozen=True, gc=False):
    """A block that is carried through as it came.

    ``input_key`` names the field that pieces of JSON text fill, parsed at the block's end.
    """

    index: int
    block_type: str
    block: Dict
    input_key: str | None = None
    choice: int = 0


class OpaqueUpdate(msgspec.Struct, frozen=True, gc=False):
    """Fields that replace those of an opaque block."""

    index: int
    fields: Dict
    choice: int = 0


class RedactedReasoning(msgspec.Struct, frozen=True, gc=False):
    """Reasoning that the provider hides: opaque, whole, to be sent back."""

    index: int
    data: str
    choice: int = 0


class AnnotationDelta(msgspec.Struct, frozen=True, gc=False):
    """One more citation of a block of text."""

    index: int
    annotation: Dict
    choice: int = 0


class BlockInfo(msgspec.Struct, frozen=True, gc=False):
    """Facts about a block: the provider's id of it, and what goes into its metadata."""

    index: int
    id: str | None = None
    metadata: Dict | None = None
    choice: int = 0


class BlockEnd(msgspec.Struct, frozen=True, gc=False):
    """A block is complete. Only then is a tool call finished."""

    index: int
    choice: int = 0


class TokenUsage(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Usage so far, all of it: it replaces what was told before; ``None`` is "not told"."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    hosted_requests: dict[str, int] | None = None
    native: Dict | None = None


class UsageUpdate(msgspec.Struct, frozen=True, gc=False):
    """The usage so far."""

    usage: TokenUsage


class Finish(msgspec.Struct, frozen=True, gc=False):
    """Why a choice ended: the normalised word, and the provider's own."""

    reason: str
    native: str | None
    stop_sequence: str | None = None
    metadata: Dict | None = None
    choice: int = 0


class ChoiceInfo(msgspec.Struct, frozen=True, gc=False):
    """More facts about a choice: objects are merged, lists appended, other values replaced.

    With ``replace``, each value replaces the one of its key.
    """

    metadata: Dict
    choice: int = 0
    replace: bool = False


class StreamInfo(msgspec.Struct, frozen=True, gc=False):
    """Facts about the whole answer; ``None`` leaves what is known."""

    id: str | None = None
    model: str | None = None
    metadata: Dict | None = None


class Ping(msgspec.Struct, frozen=True, gc=False):
    """A sign of life without content."""


Delta = (
    TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ReasoningSummaryDelta
    | SignatureDelta
    | ToolArgumentsDelta
    | BlockStart
    | ToolCallStart
    | OpaqueStart
    | OpaqueUpdate
    | RedactedReasoning
    | AnnotationDelta
    | BlockInfo
    | BlockEnd
    | UsageUpdate
    | Finish
    | ChoiceInfo
    | StreamInfo
    | Ping
)
