"""The base of every public struct, with the methods that dhenara's models have."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Collection, Mapping
from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, cast, get_type_hints

import msgspec

from dhenara_stream.errors import ConfigError

from ._coerce import coerce, did_you_mean, is_mapping, is_sequence
from .copies import deep_copied
from .secret import MASK, Secret

__all__ = ["BaseEnum", "BaseModel", "InputModel", "did_you_mean"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def discreet(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Raise ``function``'s ConfigError as its own: the frames below it may hold a key."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except ConfigError as error:
            failed = error.with_traceback(None)
            failed.__context__ = None
        del args, kwargs
        raise failed

    return call


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

    def model_dump_safe(self, **options: Any) -> dict[str, Any]:
        """The same as :meth:`model_dump`, which always masks secrets."""
        return self.model_dump(**options)

    def model_dump_json(
        self,
        *,
        indent: int | None = None,
        include: Collection[str] | None = None,
        exclude: Collection[str] | None = None,
        exclude_none: bool = False,
    ) -> str:
        """This struct as JSON text; ``null`` is written unless ``exclude_none``."""
        data = self.model_dump(
            mode="json", include=include, exclude=exclude, exclude_none=exclude_none
        )
        text = msgspec.json.encode(data)
        return (msgspec.json.format(text, indent=indent) if indent else text).decode()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; ``update`` replaces fields, ``deep`` copies what it holds, too.

        Raises:
            ConfigError: If ``update`` names a field that there is not.
        """
        for name in update or {}:
            if name not in self.__struct_fields__:
                raise ConfigError(_unknown_field(type(self), name))
        copied = deepcopy(self) if deep else self
        return msgspec.structs.replace(copied, **(update or {}))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # What it holds may be nested too deeply for copy.deepcopy.
        twin = memo[id(self)] = copy(self)
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(twin, name, deep_copied(getattr(self, name), memo))
        return twin

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
        except (msgspec.ValidationError, RecursionError) as error:
            raise ConfigError(f"{cls.__name__}: {error}") from None

    @classmethod
    def model_validate_json(cls, data: str | bytes) -> Self:
        """An instance of this class from JSON text.

        Raises:
            ConfigError: If it is no JSON, or a field does not fit.
        """
        try:
            obj = msgspec.json.decode(data)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            raise ConfigError(f"{cls.__name__}: not JSON: {error}") from None
        return cls.model_validate(obj)


def dump(value: object) -> Any:
    """What JSON has for ``value``: structs as dicts with ``None`` kept, secrets masked."""
    return _dump(value, exclude_none=False, as_json=True)


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
    if type(value) in _PLAIN:
        return value
    if hasattr(value, "model_dump") and not isinstance(value, type):  # pydantic's too
        return value.model_dump(mode="json" if as_json else "python", exclude_none=exclude_none)
    if isinstance(value, Secret):
        return str(value) or MASK
    if is_mapping(value):
        return {k: _dump(v, exclude_none, as_json) for k, v in value.items()}
    if is_sequence(value):
        return [_dump(v, exclude_none, as_json) for v in value]
    return msgspec.to_builtins(value, enc_hook=str) if as_json else value


_PLAIN = frozenset({str, int, float, bool, type(None)})


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

    if TYPE_CHECKING:
        ...  # by this method, checkers would take any arguments
    else:

        @discreet
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  (a metaclass)
            if args:
                raise ConfigError(f"{cls.__name__}: give each field by its name, as in a=1, b=2")
            return super().__call__(**_fields(cls, kwargs))


def _fields(cls: type[msgspec.Struct], given: Mapping[Any, Any]) -> dict[str, Any]:
    aliases = _aliases(cls)
    fields: dict[str, Any] = {}
    for key, value in given.items():
        name = aliases.get(key, key)
        if name not in cls.__struct_fields__:
            raise ConfigError(_unknown_field(cls, key))
        if name in fields:
            raise ConfigError(f"{cls.__name__}: {name!r} is given twice")
        fields[name] = value
    missing = [name for name in _required(cls) if name not in fields]
    if missing:
        raise ConfigError(f"{cls.__name__}: missing required field {missing[0]!r}")
    return fields


@functools.cache
def _checks(cls: type[msgspec.Struct]) -> tuple[tuple[str, Any, Any, str], ...]:
    """Of each field its name, its default, its type, and what errors call it."""
    hints = _hints(cast("Any", cls))
    return tuple(
        (field.name, field.default, hints[field.name], f"{cls.__name__}.{field.name}")
        for field in msgspec.structs.fields(cls)
    )


@functools.cache
def _required(cls: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(cls) if field.required)


def _unknown_field(cls: type[msgspec.Struct], name: object) -> str:
    fields = cls.__struct_fields__
    meant = _ELSEWHERE.get(name)
    hint = f"; did you mean {meant!r}?" if meant in fields else did_you_mean(str(name), fields)
    return f"{cls.__name__}: no field {name!r}{hint} (fields: {', '.join(fields)})"


# What the providers' own clients call it.
_ELSEWHERE: Mapping[object, str] = {"content": "text"}


class InputModel(BaseModel, metaclass=_InputMeta, kw_only=True):
    """A struct that users fill in: checked when made and when a field is assigned."""

    def __post_init__(self) -> None:
        for name, default, hint, path in _checks(cast("Any", type(self))):
            value = getattr(self, name)
            if value is not default:
                checked = coerce(value, hint, path)
                if checked is not value:
                    msgspec.structs.force_setattr(self, name, checked)
        self.check()

    def check(self) -> None:
        """Rules that concern more than one field; overridden where there are any.

        Raises:
            ConfigError: Naming the field.
        """

    if TYPE_CHECKING:
        ...  # by this method, checkers would take any attribute
    else:

        @discreet
        def __setattr__(self, name: str, value: Any) -> None:
            if name not in self.__struct_fields__:
                raise AttributeError(_unknown_field(type(self), name))
            before = getattr(self, name)
            path = f"{type(self).__name__}.{name}"
            super().__setattr__(name, coerce(value, _hints(type(self))[name], path))
            try:
                self.check()
            except ConfigError:
                msgspec.structs.force_setattr(self, name, before)
                raise

    @discreet
    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As for every struct; the new values are checked."""
        return super().model_copy(update=update, deep=deep)

    @classmethod
    @discreet
    def model_validate(cls, obj: Any) -> Self:
        """As for every struct; camelCase is accepted, an unknown field is not."""
        return super().model_validate(obj)

    @classmethod
    @discreet
    def model_validate_json(cls, data: str | bytes) -> Self:
        """As for every struct; camelCase is accepted, an unknown field is not."""
        return super().model_validate_json(data)

    @classmethod
    def _from_mapping(cls, obj: Mapping[str, Any]) -> Self:
        return cls(**_fields(cls, obj))
