"""The chunks of the Gemini protocol, and how they are read.

A chunk that adds one piece of text to one candidate, as nearly all do, is one decode into structs.
They forbid fields that they do not know, so that a chunk which says anything else is none of
these: it is read once more, as plain objects. Nothing is missed, whatever Google adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, cast

import msgspec

from dhenara_stream.dialects.errors import stream_error
from dhenara_stream.dialects.values import (
    Dict,
    as_count,
    as_dict,
    as_index,
    as_list,
    as_text,
    payloads,
    unreadable,
)
from dhenara_stream.errors import AuthenticationError, ProviderError

__all__ = [
    "OWN_CALL_ID",
    "SIGNED_SPAN",
    "Counts",
    "TextChunk",
    "chunks_in",
    "counts_in",
    "decode_text_chunk",
    "informed",
    "is_error",
    "kind_of",
    "numbered",
    "others",
    "refusal",
]

OWN_CALL_ID = "own_call_id"
"""In the metadata of a tool call: its ``call_id`` is ours, Gemini gave none. Not to be sent."""

SIGNED_SPAN = "thought_signature_span"
"""In the metadata of a block of text or reasoning: ``[start, end]``, the characters of it that
the part with the signature holds, where that is not the whole block. What stands before and after
came in parts without one."""


class TextPart(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A piece of text, or of reasoning."""

    text: str
    thought: bool = False


class Content(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What a candidate says now."""

    parts: tuple[TextPart]
    role: str | None = None


class Candidate(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One of the answers."""

    content: Content
    index: int = 0


class TextChunk(
    msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True, rename="camel"
):
    """A chunk that adds one piece of text and tells the usage so far, no more."""

    candidates: tuple[Candidate]
    usage_metadata: Dict | None = None
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None


decode_text_chunk = msgspec.json.Decoder(TextChunk).decode

_Count = Annotated[int, msgspec.Meta(ge=0)] | None


class Counts(msgspec.Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """The counts of tokens in a usage that are read."""

    prompt_token_count: _Count = None
    tool_use_prompt_token_count: _Count = None
    candidates_token_count: _Count = None
    thoughts_token_count: _Count = None
    total_token_count: _Count = None
    cached_content_token_count: _Count = None


def counts_in(usage: Dict) -> Counts:
    """The counts that a usage tells; what is no count is not told."""
    try:
        return msgspec.convert(usage, Counts)
    except msgspec.ValidationError:
        counts = {key: as_count(value) for key, value in usage.items()}
        return msgspec.convert(counts, Counts)


def chunks_in(data: bytes) -> list[Any]:
    """The chunks in the data of an event or in a document, of which a list holds several.

    Raises:
        ValueError: If it is no JSON.
        RecursionError: If it is nested too deeply.
    """
    try:
        values: list[Any] = [msgspec.json.decode(data)]
    except unreadable:
        values = payloads(data)
    found: list[Any] = []
    for value in values:
        if isinstance(value, list):
            found += value
        else:
            found.append(value)
    return found


def numbered(candidates: Any) -> Iterator[tuple[int, Dict]]:
    """Each candidate with its index: 0 is left out on the wire, and some leave out all of them."""
    taken: set[int] = set()
    free = 0
    for candidate in as_list(candidates):
        fields = as_dict(candidate)
        index = as_index(fields.get("index"))
        if index < 0:
            while free in taken:
                free += 1
            index = free
        taken.add(index)
        yield index, fields


# Fields that say something of a part and are none of the kinds of what it holds.
_SIDE_FIELDS = frozenset({"thought", "partMetadata", "videoMetadata", "mediaResolution"})


def kind_of(part: Dict) -> str:
    """The field that says what a part holds; none for text, or for a signature alone."""
    if as_text(part.get("text")):
        return ""
    for key, value in part.items():
        plain = isinstance(value, str) and key in ("text", "thoughtSignature")
        if value is not None and not plain and key not in _SIDE_FIELDS:
            return key
    return ""


def others(fields: Dict, told: frozenset[str]) -> Dict:
    """The fields that are not told otherwise."""
    return {key: value for key, value in fields.items() if key not in told and value is not None}


# --- errors


def is_error(payload: Any, name: str) -> bool:
    """Whether a chunk is an error; ``name`` is that of its event line."""
    if not isinstance(payload, dict):
        return name == "error"
    chunk = cast("Dict", payload)
    return bool(chunk.get("error")) or (name == "error" and "candidates" not in chunk)


def refusal(payload: Any) -> ProviderError:
    """The error that a chunk, or a body under a success status, stands for."""
    return informed(stream_error(payload))


def informed(error: ProviderError) -> ProviderError:
    """The error with what its ``google.rpc`` details say: when to retry, and a wrong key (400)."""
    said = as_dict(as_dict(error.details.get("body")).get("error"))
    for item in as_list(said.get("details")):
        detail = as_dict(item)
        if error.retry_after is None:
            error.retry_after = _seconds(detail.get("retryDelay"))
        if detail.get("reason") == "API_KEY_INVALID":
            error = _refused_key(error)
    return error


def _refused_key(error: ProviderError) -> ProviderError:
    if isinstance(error, AuthenticationError):
        return error
    return AuthenticationError(
        error.message,
        http_status=error.http_status,
        code=error.code,
        request_id=error.request_id,
        retry_after=error.retry_after,
        details=error.details,
    )


_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)


def _seconds(duration: Any) -> float | None:
    """A duration: ``"7.5s"``, or its seconds and nanoseconds."""
    if isinstance(duration, dict):
        seconds = as_count(as_dict(duration).get("seconds"))  # pyright: ignore[reportUnknownArgumentType]
        nanos = as_count(as_dict(duration).get("nanos"))  # pyright: ignore[reportUnknownArgumentType]
        return None if seconds is None else seconds + (nanos or 0) / 1e9
    found = _DURATION.fullmatch(as_text(duration))
    return float(found[1]) if found else None
