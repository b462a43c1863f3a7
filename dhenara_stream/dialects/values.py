"""JSON values of unknown shape, read leniently: what does not fit counts as absent."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import msgspec

__all__ = [
    "NO_INDEX",
    "Dict",
    "as_count",
    "as_dict",
    "as_index",
    "as_list",
    "as_text",
    "leading_elements",
    "merged",
    "payloads",
    "unreadable",
    "unwrapped",
]

Dict = dict[str, Any]

NO_INDEX = -1

unreadable = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a msgspec decoder raises for an event that has to be read slowly."""


# Whole pairs and all other escapes match too, so that the second backslash of an escaped one
# never looks like the start of an escape.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


_DECODER = json.JSONDecoder()
_LIST_START = re.compile(r"\s*\[\s*")
_LIST_COMMA = re.compile(r"\s*,\s*")


def _replace_lone(escape: re.Match[str]) -> str:
    return escape[0] if escape["lone"] is None else r"\ufffd"


def payloads(data: bytes) -> list[Any]:
    """The JSON values in the data of an event; nothing for ``[DONE]`` and the like.

    Data that are no JSON may be several values, one a line: a server that forgets the blank line
    between two events makes one of them. What is no character becomes U+FFFD.

    Raises:
        ValueError: If it is no JSON.
        RecursionError: If it is nested too deeply.
    """
    text = data.decode("utf-8", "replace").removeprefix("\ufeff").strip()
    if not text or text.startswith("[DONE]"):
        return []
    try:
        return [json.loads(_ESCAPE.sub(_replace_lone, text))]
    except (ValueError, RecursionError):
        lines = data.splitlines()
        if len(lines) < 2:
            raise
    return [value for line in lines for value in payloads(line)]


def leading_elements(data: bytes) -> list[Any]:
    """The whole elements that a JSON list begins with, which breaks off; none of other data."""
    text = _ESCAPE.sub(_replace_lone, data.decode("utf-8", "replace").removeprefix("\ufeff"))
    found: list[Any] = []
    start = _LIST_START.match(text)
    while start is not None:
        try:
            value, end = _DECODER.raw_decode(text, start.end())
        except (ValueError, RecursionError):
            return found
        found.append(value)
        start = _LIST_COMMA.match(text, end)
    return found


def as_dict(value: Any) -> Dict:
    """The value if it is an object, else an empty one."""
    return cast("Dict", value) if isinstance(value, dict) else {}


def as_text(value: Any) -> str:
    """The value if it is text, else none."""
    return value if isinstance(value, str) else ""


def as_list(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


def as_index(value: Any) -> int:
    """The value if it is a whole number, else ``NO_INDEX``."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else NO_INDEX


def as_count(value: Any) -> int | None:
    """The value if it is a number of something, else ``None``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def merged(told: Dict, more: Dict) -> Dict:
    """Both, in a new dict: the last value of each key, but null erases nothing."""
    merged = dict(told)
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            news = {k: v for k, v in as_dict(value).items() if v is not None}
            merged[key] = {**merged[key], **news}
        elif value is not None or key not in merged:
            merged[key] = value
    return merged


def unwrapped(value: Any) -> Any:
    """The one value of a list of one."""
    items = as_list(value)
    return items[0] if len(items) == 1 else value
