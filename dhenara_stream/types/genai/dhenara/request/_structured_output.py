"""Answers that have to fit a schema."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.shared.base import InputModel
from dhenara_stream.types.shared.copies import deep_copied

__all__ = ["StructuredOutputConfig"]

_REF = "#/$defs/"
_FENCE = re.compile(r"^\s*```[\w-]*\n(.*?)\n?```\s*$", re.DOTALL)


class StructuredOutputConfig(InputModel, kw_only=True):
    """The schema an answer must fit, and the class it stands for.

    Attributes:
        output_schema: A JSON schema of an object. It is copied, and never changed. Without a
            class, answers are validated with it where the extra ``schema`` is installed.
        model_class_reference: A msgspec Struct, dataclass, TypedDict or pydantic model; the
            answer is validated with it.
        allow_post_process_on_error: Whether a JSON object may be taken out of other text.
    """

    output_schema: dict[str, Any]
    model_class_reference: type | None = None
    allow_post_process_on_error: bool = False

    def check(self) -> None:
        msgspec.structs.force_setattr(self, "output_schema", deep_copied(self.output_schema))

    @classmethod
    def from_model(cls, model: type) -> StructuredOutputConfig:
        """A config for a class.

        Raises:
            ConfigError: If no JSON schema can be made of it.
        """
        return cls(output_schema=_schema_of(model), model_class_reference=model)

    def get_schema(self) -> dict[str, Any]:
        """A copy of the schema."""
        return deep_copied(self.output_schema)

    def get_model_class(self) -> type | None:
        """The class, where one was given."""
        return self.model_class_reference

    def instance(self, data: dict[str, Any]) -> Any:
        """``data`` as an instance of the class; ``data`` itself without one.

        Without a class it is held against the schema where the extra ``schema`` is installed.
        What is wrong with the schema itself, or strange to Python (an ECMA pattern, a ``$ref``
        that leads nowhere), is not held against the answer: the provider took the schema.

        Raises:
            ValueError: If it does not fit.
        """
        model: Any = self.model_class_reference
        if model is None:
            _hold_against(self.output_schema, data)
            return data
        if _is_pydantic(model):
            return model.model_validate(data)
        return msgspec.convert(data, model)

    def parse(self, text: str) -> tuple[dict[str, Any] | None, str | None, bool]:
        """``(data, error, post_processed)`` of an answer's text.

        The text is JSON, perhaps in a code fence; with ``allow_post_process_on_error`` the
        last JSON object in the text that fits will do.
        """
        data, error = self._load(text)
        if error is None:
            return data, None, False
        candidates = list(_objects_in(text)) if self.allow_post_process_on_error else []
        for candidate in reversed(candidates):
            found, why = self._load(candidate)
            if why is None:
                return found, None, True
        return None, error, False

    def _load(self, text: str) -> tuple[dict[str, Any] | None, str | None]:
        fenced = _FENCE.match(text)
        try:
            data = msgspec.json.decode(fenced.group(1) if fenced else text)
            if isinstance(data, str):  # an object inside a JSON string
                data = msgspec.json.decode(data)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            return None, str(error)
        if not isinstance(data, dict):
            return None, f"expected a JSON object, got {type(data).__name__}"
        try:
            self.instance(data)  # pyright: ignore[reportUnknownArgumentType]
        except Exception as error:  # noqa: BLE001  (the class is the caller's: it may raise anything)
            return None, str(error) or type(error).__name__
        return data, None  # pyright: ignore[reportUnknownVariableType]


def _hold_against(schema: dict[str, Any], data: dict[str, Any]) -> None:
    try:
        validators: Any = importlib.import_module("jsonschema.validators")
        registry: Any = importlib.import_module("referencing").Registry()
    except ImportError:
        return
    found: list[Any] = []
    with suppress(Exception):  # where the checker fails, only what it found until then counts
        # With a registry of its own, nothing that a schema refers to is fetched.
        validator = validators.validator_for(schema)(schema, registry=registry)
        found.extend(validator.iter_errors(data))
    error = importlib.import_module("jsonschema.exceptions").best_match(found)
    if error is not None:
        raise ValueError(f"{error.json_path}: {error.message}")


def _is_pydantic(model: Any) -> bool:
    return hasattr(model, "model_json_schema") and not issubclass(model, msgspec.Struct)


def _schema_of(model: Any) -> dict[str, Any]:
    schema, definitions = _pydantic_schema(model) if _is_pydantic(model) else _schema(model)
    name = str(schema.get("$ref", "")).removeprefix(_REF)
    root: dict[str, Any] = definitions.get(name, schema)
    if root.get("type") != "object":
        raise ConfigError(f"structured_output: {model!r} is not a JSON object")
    others = {key: value for key, value in definitions.items() if key != name}
    # A class that refers to itself keeps its own definition beside the root.
    if f"'{_REF}{name}'" in str(definitions):
        others[name] = deep_copied(root)
    return root | ({"$defs": others} if others else {})


def _pydantic_schema(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    schema: dict[str, Any] = model.model_json_schema()
    return schema, schema.pop("$defs", {})


def _schema(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        (schema,), definitions = msgspec.json.schema_components(
            [model], ref_template=_REF + "{name}"
        )
    except TypeError as error:
        raise ConfigError(
            f"structured_output: no JSON schema can be made of {model!r}: {why(error)}; give a "
            "msgspec Struct, a dataclass, a TypedDict, a pydantic model or a StructuredOutputConfig"
        ) from None
    return schema, definitions


def why(error: TypeError) -> str:
    """What msgspec says, without its advice on its own settings."""
    return str(error).splitlines()[-1]


def _objects_in(text: str) -> Iterator[str]:
    """The JSON objects in ``text``, but not those inside of others."""
    start, failed = text.find("{"), 0
    while start >= 0 and failed < _MOST_FAILURES:
        try:
            _, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
            failed += 1
        else:
            yield text[start:end]
        start = text.find("{", end)


_DECODER = json.JSONDecoder()
# Braces that begin no object: text with more of them is no answer, only slow to search.
_MOST_FAILURES = 2000
