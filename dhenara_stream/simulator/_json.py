"""JSON, and looking into JSON that may have any shape."""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec
from msgspec import DecodeError

__all__ = ["DecodeError", "array", "decode", "encode", "is_array", "is_object", "object_", "string"]

_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()

encode = _ENCODER.encode


def decode(data: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        msgspec.DecodeError: The text is not JSON.
    """
    return _DECODER.decode(data)


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether the value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether the value is a JSON array."""
    return isinstance(value, list)


def object_(value: Any) -> dict[str, Any]:
    """The value where it is a JSON object, else an empty one."""
    return value if is_object(value) else {}


def array(value: Any) -> list[Any]:
    """The value where it is a JSON array, else an empty one."""
    return value if is_array(value) else []


def string(value: object) -> str:
    """The value where it is a string, else an empty one."""
    return value if isinstance(value, str) else ""
