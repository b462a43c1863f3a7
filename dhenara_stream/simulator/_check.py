"""Checks of what callers pass in; each raises :class:`ConfigError` naming the field."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, cast

import msgspec

from dhenara_stream.errors import ConfigError

__all__ = [
    "fail",
    "flag",
    "integer",
    "json_object",
    "json_objects",
    "json_value",
    "number",
    "sequence",
    "text",
]


def fail(field: str, wanted: str, value: object) -> ConfigError:
    """The error for a field whose value is not what is wanted."""
    return ConfigError(f"{field} must be {wanted}, not {value!r}")


def integer(field: str, value: Any, minimum: int, maximum: int | None = None) -> int:
    """An integer (no bool) within the bounds."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if is_integer and minimum <= value and (maximum is None or value <= maximum):
        return int(value)
    bounds = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    raise fail(field, f"an integer, {bounds}", value)


def number(field: str, value: Any, *, zero: bool) -> float:
    """A finite number above zero, or zero where that is allowed."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and (value > 0 or (zero and value == 0)):
        return float(value)
    raise fail(field, "a number, " + ("zero or more" if zero else "above zero"), value)


def flag(field: str, value: Any) -> bool:
    """``True`` or ``False``."""
    if isinstance(value, bool):
        return value
    raise fail(field, "True or False", value)


def text(field: str, value: Any, *, empty: bool = True) -> str:
    """A string that UTF-8 can carry, and not an empty one where that is said."""
    if not isinstance(value, str) or not (value or empty):
        raise fail(field, "a string" if empty else "a string that is not empty", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise fail(field, "text without lone surrogates", value) from None
    return value


def json_value(field: str, value: Any) -> Any:
    """A copy of a value that JSON can carry; the caller's own stays his."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{field} must be a value that JSON can carry: {error}") from error


def json_object(field: str, value: Any) -> dict[str, Any]:
    """A copy of a mapping that JSON can carry."""
    if not isinstance(value, Mapping):
        raise fail(field, "a mapping", value)
    return cast("dict[str, Any]", json_value(field, dict(cast("Mapping[str, Any]", value))))


def json_objects(field: str, value: Any) -> tuple[dict[str, Any], ...]:
    """Copies of a sequence's mappings that JSON can carry."""
    items = sequence(field, value, "a sequence of mappings")
    return tuple(json_object(f"{field}[{index}]", item) for index, item in enumerate(items))


def sequence(field: str, value: Any, wanted: str) -> Sequence[Any]:
    """A sequence, and not a string."""
    if not _is_sequence(value):
        raise fail(field, wanted, value)
    return value


def _is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
