"""Validation at the boundary: a value and a type hint in, the typed value out, or a clear error."""

from __future__ import annotations

import difflib
import enum
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeGuard, Union, get_args, get_origin

import msgspec

from dhenara_stream.errors import ConfigError

__all__ = ["coerce", "did_you_mean", "is_mapping", "is_sequence"]


def coerce(value: Any, hint: Any, path: str) -> Any:
    """``value`` as ``hint``; mappings become structs, strings become enum members.

    Raises:
        ConfigError: Naming ``path``, what was expected and what was given.
    """
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _union(value, get_args(hint), path)
    if origin in (list, Sequence):
        return _sequence(value, get_args(hint)[0], path)
    if origin in (dict, Mapping):
        return _mapping(value, get_args(hint), path)
    if hint is type:
        return _instance(value, type, "a class", path)
    if origin is Callable:
        return _instance(value, Callable, "a callable", path)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _struct(value, hint, path)
    return _leaf(value, hint, path)


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether ``value`` is a dict or the like."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether ``value`` is a list or the like, and not text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What an error adds where a name is nearly one that is known; nothing otherwise."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _kind(value: Any) -> str:
    return "None" if value is None else f"`{type(value).__name__}`"


def _instance(value: Any, cls: Any, what: str, path: str) -> Any:
    if not isinstance(value, cls):
        raise ConfigError(f"{path}: expected {what}, got {_kind(value)}")
    return value


def _union(value: Any, members: tuple[Any, ...], path: str) -> Any:
    if value is None and type(None) in members:
        return None
    errors: list[ConfigError] = []
    for member in members:
        if member is type(None):
            continue
        try:
            return coerce(value, member, path)
        except ConfigError as error:
            errors.append(error)
    # The complaint of a member that `value` is of the kind of says more than a list of members.
    closer = [error for error in errors if not error.message.startswith(f"{path}: expected")]
    if closer or len(errors) == 1:
        raise (closer or errors)[0]
    wanted = ", ".join(_name(m) for m in members if m is not type(None))
    raise ConfigError(f"{path}: expected one of {wanted}, got {_kind(value)}")


def _name(hint: Any) -> str:
    return str(getattr(hint, "__name__", hint))


def _sequence(value: Any, item: Any, path: str) -> list[Any]:
    if not is_sequence(value):
        raise ConfigError(f"{path}: expected a list, got {_kind(value)}")
    return [coerce(v, item, f"{path}[{i}]") for i, v in enumerate(value)]


def _mapping(value: Any, args: tuple[Any, ...], path: str) -> dict[Any, Any]:
    if not is_mapping(value):
        raise ConfigError(f"{path}: expected a dict, got {_kind(value)}")
    key, item = args
    return {coerce(k, key, path): coerce(v, item, f"{path}.{k}") for k, v in value.items()}


def _struct(value: Any, cls: Any, path: str) -> Any:
    if isinstance(value, cls):
        return value
    if not is_mapping(value):
        raise ConfigError(f"{path}: expected {_name(cls)} or a dict, got {_kind(value)}")
    try:
        return cls.model_validate(value)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}") from None


def _choices(value: Any, allowed: Sequence[Any]) -> str:
    """What an error adds where only some values are allowed."""
    if not allowed:
        return ""
    listed = f"allowed: {', '.join(map(repr, allowed))}"
    meant = did_you_mean(str(value), map(str, allowed))
    return f"{meant} ({listed})" if meant else f"; {listed}"


def _leaf(value: Any, hint: Any, path: str) -> Any:
    try:
        return msgspec.convert(value, hint)
    except (msgspec.ValidationError, RecursionError) as error:
        text = str(error)
        told = _choices(value, _allowed(hint))
        raise ConfigError(f"{path}: {text[:1].lower()}{text[1:]}{told}") from None


def _allowed(hint: Any) -> list[Any]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return [member.value for member in hint]
    return []
