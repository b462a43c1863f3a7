"""``-o KEY VALUE``: text from the command line, as the typed fields of a call's config."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec

from dhenara_stream import ConfigError
from dhenara_stream.types import AIModelCallConfig
from dhenara_stream.types.shared.base import did_you_mean

__all__ = ["KNOWN", "call_fields"]

_MOST = sys.float_info.max
_Number = Annotated[float, msgspec.Meta(ge=-_MOST, le=_MOST)]  # finite: JSON has no other

# Fields of the request body; the dialect checks their ranges, and leaves out what is not its own.
_BODY: dict[str, Any] = {
    "temperature": _Number,
    "top_p": _Number,
    "top_k": int,
    "min_p": _Number,
    "frequency_penalty": _Number,
    "presence_penalty": _Number,
    "seed": int,
    "stop": str,
    "user": str,
    "verbosity": Literal["low", "medium", "high"],
    "service_tier": str,
}
# Given as JSON.
_JSON = ("options", "metadata", "hosted_tools", "context_policy")
# What has an option of its own, and what a command has no use for.
_ELSEWHERE = ("streaming", "structured_output", "test_mode", "raise_errors")
_USELESS = ("artifact_config", "tools", "tool_choice")

_FIELDS: dict[str, Any] = {
    name: hint
    for name, hint in get_type_hints(AIModelCallConfig, include_extras=True).items()
    if name not in _ELSEWHERE + _USELESS
}
KNOWN = tuple(sorted(_BODY | _FIELDS))
"""The keys."""


def call_fields(given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The fields of :class:`AIModelCallConfig` that these pairs of key and text stand for.

    The last value of a key counts, but ``stop`` adds up. An effort or a budget for reasoning
    switches reasoning on.

    Raises:
        ConfigError: For a key that is not known, or a value that does not fit.
    """
    fields: dict[str, Any] = {}
    body: dict[str, Any] = {}
    for key, text in given:
        if key == "stop":
            body[key] = [*body.get(key, ()), text]
        elif key in _BODY:
            body[key] = _typed(key, text, _BODY[key])
        elif key in _JSON:
            fields[key] = _decoded(key, text)
        elif key in _FIELDS:
            fields[key] = _typed(key, text, _FIELDS[key])
        else:
            raise ConfigError(_unknown(key))
    if fields.keys() & {"reasoning_effort", "max_reasoning_tokens"}:
        fields.setdefault("reasoning", True)
    if body:
        fields["options"] = {**fields.get("options", {}), **body}
    return fields


def _typed(key: str, text: str, hint: Any) -> Any:
    try:
        return msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError as error:
        choices = _choices(hint)
        expected = str(error).removesuffix(", got `str`").replace("Expected", "expected")
        if choices:
            expected = f"expected one of {', '.join(choices)}"
    raise ConfigError(f"-o {key}: {expected}, got {text!r}")


def _choices(hint: Any) -> list[str]:
    """The words that a type allows, if it is a choice of words or nothing."""
    args = [arg for member in get_args(hint) for arg in (get_args(member) or (member,))]
    return [arg for arg in args if isinstance(arg, str)]


def _decoded(key: str, text: str) -> Any:
    try:
        value = msgspec.json.decode(text)
        msgspec.convert(value, dict if _FIELDS[key] == dict[str, Any] else object)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        raise ConfigError(f"-o {key}: expected JSON: {error}") from None
    return value


def _unknown(key: str) -> str:
    return (
        f"-o: {key!r} is not known{did_you_mean(key, KNOWN)}; known: {', '.join(KNOWN)}. Other "
        "fields of the request body go into options, as JSON"
    )
