"""The chunks of Chat Completions, and how they are read.

Nearly all chunks bring one piece of text, reasoning or arguments to one choice, and nothing else
that counts. Such a chunk is one decode into the structs here, which say exactly what it may hold:
a field that is not here, or not null where only null is nothing new, is an error. So every other
chunk, and every field that a server invents, is read the general way: as plain objects.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from dhenara_stream.dialects.values import Dict, as_dict

__all__ = ["Call", "Choice", "Chunk", "Delta", "Function", "decode_chunk", "error_in", "is_last"]

Nothing = Literal[""] | None


class Function(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A piece of a call's arguments."""

    name: Nothing = None
    arguments: str | None = None


class Call(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """More of a call that has begun."""

    index: int
    function: Function
    id: Nothing = None
    type: str | None = None


class Delta(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What is new in a choice."""

    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: Nothing = None
    tool_calls: Annotated[list[Call], msgspec.Meta(max_length=1)] | None = None
    function_call: None = None
    audio: None = None


class Choice(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One answer of those that were asked for."""

    delta: Delta
    index: int = 0
    finish_reason: Nothing = None
    native_finish_reason: Nothing = None
    logprobs: None = None
    stop_reason: None = None
    matched_stop: None = None
    token_ids: None = None
    content_filter_results: msgspec.Raw = msgspec.Raw()


class Chunk(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An event with one piece of one choice.

    What it tells of the answer, the first chunk and that with the finish reason tell too; those
    are read the general way.
    """

    choices: Annotated[list[Choice], msgspec.Meta(min_length=1, max_length=1)]
    id: str | None = None
    object: str | None = None
    created: int | float | None = None
    model: str | None = None
    usage: None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    provider: str | None = None
    obfuscation: str | None = None
    p: str | None = None


decode_chunk = msgspec.json.Decoder(Chunk).decode


def is_last(data: bytes) -> bool:
    """Whether an event says that the stream is at its end."""
    return data.strip().rpartition(b"\n")[2].startswith(b"[DONE]") or data.startswith(b"[DONE]")


def error_in(payload: Any, name: str) -> Any:
    """The error that an event or a document is or holds, else ``None``.

    Args:
        payload: Its JSON value.
        name: Of an event: that of its event line.
    """
    if not isinstance(payload, dict):
        return ({} if payload is None else payload) if name == "error" else None
    given = as_dict(payload)  # pyright: ignore[reportUnknownArgumentType]
    if given.get("error"):
        # What else the chunk holds is content, not part of the error.
        return {k: v for k, v in given.items() if k not in ("choices", "usage")}
    if "error" in (given.get("object"), given.get("type")):
        return given
    if isinstance(given.get("choices"), list):
        nested = as_dict(given.get("x_groq")).get("error")
        return {"error": nested} if nested else None
    is_flat = given.get("detail") or (given.get("message") and _has_error_status(given))
    return given if is_flat or name == "error" else None


def _has_error_status(given: Dict) -> bool:
    codes = (str(given.get(key)) for key in ("code", "status", "status_code", "statusCode"))
    return any(len(code) == 3 and code.isdecimal() and code[0] in "45" for code in codes)
