"""The base of every public struct, with the methods that dhenara's models have."""

from __future__ import annotations

import difflib
import enum
import functools
from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal, Self, cast, get_type_hints

import msgspec

from dhenara_stream.errors import ConfigError

from ._coerce import coerce, is_mapping, is_sequence
from .secret import MASK, Secret

__all__ = ["BaseEnum", "BaseModel", "InputModel"]


class BaseEnum(enum.StrEnum):
    """A string enum: ``str(member)`` is the value."""

    @classmethod
    def values(cls) -> set[str]:
        """The values of all members."""
        return {member.value for member in cls}


class BaseModel(msgspec.Struct, kw_only=True):
    """A struct with ``model_dump`` and its companions."""

    def model_dump(
        self,
        *,
        mode: Literal["python", "json"] = "python",
        include: Collection[str] | None = None,
        exclude: Collection[str] | None = None,
        exclude_none: bool = True,
    ) -> dict[str, Any]:
        """This struct as a dict of builtins, with snake_case keys and secrets masked.

        ``mode="json"`` also turns enum members, bytes and the like into what JSON has.
        Fields that are ``None`` are left out unless ``exclude_none=False``. Reading a dump
        never consumes a stream.
        """
        dumped = _dump_struct(self, exclude_none, mode == "json")
        if include is not None:
            dumped = {k: v for k, v in dumped.items() if k in include}
        return {k: v for k, v in dumped.items() if not exclude or k not in exclude}

    def model_dump_json(self, *, indent: int | None = None, exclude_none: bool = False) -> str:
        """This struct as JSON text; ``null`` is written unless ``exclude_none``."""
        data = self.model_dump(mode="json", exclude_none=exclude_none)
        text = msgspec.json.encode(data)
        return (msgspec.json.format(text, indent=indent) if indent else text).decode()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; ``update`` replaces fields, ``deep`` copies what it holds, too."""
        copied = deepcopy(self) if deep else self
        return msgspec.structs.replace(copied, **(update or {}))

    @classmethod
    def model_validate(cls, obj: Any) -> Self:
        """An instance of this class from a dict (or an instance, returned as it is).

        Raises:
            ConfigError: Naming the field that does not fit.
        """
        if isinstance(obj, cls):
            return obj
        if not is_mapping(obj):
            raise ConfigError(f"{cls.__name__}: expected a dict, got `{type(obj).__name__}`")
        return cls._from_mapping(obj)

    @classmethod
    def _from_mapping(cls, obj: Mapping[str, Any]) -> Self:
        try:
            return msgspec.convert(obj, cls)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{cls.__name__}: {error}") from None

    @classmethod
    def model_validate_json(cls, data: str | bytes) -> Self:
        """An instance of this class from JSON text.

        Raises:
            ConfigError: If it is no JSON, or a field does not fit.
        """
        try:
            obj = msgspec.json.decode(data)
        except msgspec.DecodeError as error:
            raise ConfigError(f"{cls.__name__}: not JSON: {error}") from None
        return cls.model_validate(obj)


def _dump_struct(struct: msgspec.Struct, exclude_none: bool, as_json: bool) -> dict[str, Any]:
    config = struct.__struct_config__
    dumped: dict[str, Any] = {}
    if config.tag_field is not None:
        dumped[config.tag_field] = config.tag
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if value is None and exclude_none:
            continue
        if callable(value) and not isinstance(value, msgspec.Struct):
            continue  # a Python class or function: no data
        dumped[name] = _dump(value, exclude_none, as_json)
    return dumped


def _dump(value: Any, exclude_none: bool, as_json: bool) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json" if as_json else "python", exclude_none=exclude_none)
    if isinstance(value, Secret):
        return MASK
    if is_mapping(value):
        return {k: _dump(v, exclude_none, as_json) for k, v in value.items()}
    if is_sequence(value):
        return [_dump(v, exclude_none, as_json) for v in value]
    if as_json and value is not None and not isinstance(value, str | int | float):
        return msgspec.to_builtins(value, enc_hook=str)
    return str(value) if as_json and isinstance(value, enum.Enum) else value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


@functools.cache
def _aliases(cls: type[msgspec.Struct]) -> dict[str, str]:
    return {_camel(name): name for name in cls.__struct_fields__}


class _InputMeta(msgspec.StructMeta):
    """Turns a wrong call into a ConfigError that names the field; accepts camelCase."""

    if not TYPE_CHECKING:

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            known = cls.__struct_fields__
            aliases = _aliases(cls)
            fields = {aliases.get(name, name): value for name, value in kwargs.items()}
            tag_field = cls.__struct_config__.tag_field
            if tag_field and fields.get(tag_field) == cls.__struct_config__.tag:
                del fields[tag_field]
            for name in fields:
                if name not in known:
                    raise ConfigError(_unknown_field(cls, name))
            missing = [name for name in _required(cls) if name not in fields]
            if missing:
                raise ConfigError(f"{cls.__name__}: missing required field {missing[0]!r}")
            return super().__call__(**fields)


@functools.cache
def _required(cls: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(cls) if field.required)


def _unknown_field(cls: type[msgspec.Struct], name: str) -> str:
    close = difflib.get_close_matches(name, cls.__struct_fields__, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{cls.__name__}: no field {name!r}{hint} (fields: {', '.join(cls.__struct_fields__)})"


class InputModel(BaseModel, metaclass=_InputMeta, kw_only=True):
    """A struct that users fill in: checked when made and when a field is assigned."""

    def __post_init__(self) -> None:
        hints = _hints(cast("Any", type(self)))
        for name in self.__struct_fields__:
            value = getattr(self, name)
            checked = coerce(value, hints[name], f"{type(self).__name__}.{name}")
            if checked is not value:
                msgspec.structs.force_setattr(self, name, checked)
        self.check()

    def check(self) -> None:
        """Rules that concern more than one field; overridden where there are any.

        Raises:
            ConfigError: Naming the field.
        """

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            if name in self.__struct_fields__:
                path = f"{type(self).__name__}.{name}"
                value = coerce(value, _hints(type(self))[name], path)
            super().__setattr__(name, value)

    @classmethod
    def _from_mapping(cls, obj: Mapping[str, Any]) -> Self:
        return cls(**obj)
