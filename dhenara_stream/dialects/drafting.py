"""What the builders of requests share: notes, options, headers, the ids of tool calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import BaseAIModel
from dhenara_stream.types.shared.secret import Secret

from .base import ChatRequest
from .values import Dict

__all__ = [
    "HEADER_NAME",
    "CallIds",
    "Draft",
    "call_token",
    "check_number",
    "merged_body",
    "plain_copy",
]

HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_OWN_HEADERS = ("content-length", "content-type", "host", "transfer-encoding")


class Draft:
    """What is asked for, what of it is still to be used, and what had to be changed.

    Args:
        request: The call.
        reserved: Options that have a place of their own in the config, and which.

    Raises:
        ConfigError: If an option cannot be meant.
    """

    def __init__(self, request: ChatRequest, reserved: Mapping[str, str]) -> None:
        self.config = request.config
        self.model = request.endpoint.ai_model
        self.settings = self.model.get_settings()
        self.notes: list[str] = []
        self.headers = _extra_headers(self.config.options.get("extra_headers"))
        self.options = _options(self.config.options, self.model, reserved)

    def note(self, what: str, why: str) -> None:
        """Tell that something was changed."""
        self.notes.append(f"{what}: {why}")

    def refuses(self, field: str, form: str | None = None) -> bool:
        """Whether the model refuses a body field, or one form of it."""
        names = self.settings.unsupported_parameters
        return field in names or f"{field}.{form}" in names

    def refused(self, what: str) -> None:
        """Tell that something was left out."""
        self.note(what, f"left out, {self.model.model_name} does not take it")

    def texts(self, name: str) -> list[str]:
        """Take an option that is text or a list of texts.

        Raises:
            ConfigError: If it is neither.
        """
        given: Any = self.options.pop(name, None) or []
        try:
            return msgspec.convert([given] if isinstance(given, str) else given, list[str])
        except msgspec.ValidationError:
            raise ConfigError(f"options[{name!r}]: expected text or a list of texts") from None


def _options(given: Mapping[str, Any], model: BaseAIModel, reserved: Mapping[str, str]) -> Dict:
    """A checked copy of the options; ``None`` counts as not given."""
    options: Dict = {}
    for name, value in given.items():
        if name in reserved:
            raise ConfigError(f"options[{name!r}]: give it as {reserved[name]}")
        if not model.validate_options({name: value}):
            allowed = (model.get_valid_options(include_display_only=True) or {})[name]
            raise ConfigError(
                f"options[{name!r}]: {value!r} is not one of {allowed.allowed_values}, "
                f"the values that {model.model_name} allows"
            )
        if value is not None and name != "extra_headers":
            options[name] = plain_copy(f"options[{name!r}]", value)
    return options


def plain_copy(path: str, value: Any) -> Any:
    """A copy of ``value``, of what JSON has.

    Raises:
        ConfigError: If it cannot be sent as JSON.
    """
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except (TypeError, msgspec.MsgspecError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be sent as JSON: {error}") from None


def check_number(name: str, value: Any, least: float, most: float) -> None:
    """See that an option is a number in a range, if it is given.

    Raises:
        ConfigError: If it is not.
    """
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most:
        raise ConfigError(f"options[{name!r}]: expected a number from {least} to {most}")


def _extra_headers(given: Any) -> dict[str, Secret]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError("options['extra_headers']: expected a dict of strings")
    headers: dict[str, Secret] = {}
    for name, value in given.items():  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
            raise ConfigError(f"options['extra_headers']: {name!r} is no header name")
        if name.lower() in _OWN_HEADERS:
            raise ConfigError(f"options['extra_headers'][{name!r}]: cannot be changed")
        secret = Secret(value) if isinstance(value, str) else None
        if secret is None or not _is_printable_ascii(secret.reveal()):
            raise ConfigError(
                f"options['extra_headers'][{name!r}]: the value must be printable ASCII text"
            )
        headers[name.lower()] = secret
    return headers


def _is_printable_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()


def merged_body(body: Dict, options: Mapping[str, Any]) -> Dict:
    """The body with the options over it; dicts are merged into dicts."""
    merged = dict(body)
    for name, value in options.items():
        known = merged.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            value = {**known, **value}  # pyright: ignore[reportUnknownVariableType]
        merged[name] = value
    return merged


class CallIds:
    """Gives each tool call an id of its own that the API takes."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._open: dict[str | None, list[str]] = {}

    def begin_turn(self) -> None:
        """Forget the calls of the turn before."""
        self._open = {}

    def of_call(self, call_id: str | None) -> str:
        """An id for the next call of the turn, given its own."""
        wanted = call_token(call_id or "call")
        number, unique = 1, wanted
        while unique in self._used:
            number += 1
            unique = f"{wanted}_{number}"
        self._used.add(unique)
        self._open.setdefault(call_id, []).append(unique)
        return unique

    def of_result(self, call_id: str | None) -> str:
        """The id given to the call, of the turn before, that this answers.

        Raises:
            ConfigError: If there is none.
        """
        waiting = self._open.get(call_id)
        if not waiting:
            raise ConfigError(
                f"messages: the ToolCallResult for {call_id!r} answers no tool call of the turn "
                "before it"
            )
        return waiting.pop(0)


def call_token(text: str) -> str:
    """The text with what a tool call's id or name must not hold replaced."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", text)
