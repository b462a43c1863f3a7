"""What the builders of requests share: notes, options, headers, the ids of tool calls.

One rule holds for all of them. A feature that is asked for and missing as a whole (a hosted tool,
tools, reasoning, structured output) changes what the request means: that is a ``ConfigError``,
which names the ways out. What is only shaped otherwise (a clamp, an option that is ignored, the
nearest effort) is a note in ``WireRequest.adjustments``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import BaseAIModel
from dhenara_stream.types.genai.dhenara.response import ChatResponseToolCall
from dhenara_stream.types.shared.file import FilePayload
from dhenara_stream.types.shared.secret import MASK, Secret

from .base import ChatRequest
from .schema import SchemaRules, strict_schema
from .values import Dict

__all__ = [
    "ANSWER_SHARE",
    "HEADER_NAME",
    "IMAGES",
    "INVALID_JSON",
    "MIN_BUDGET",
    "NO_MESSAGE",
    "OUTPUT_TOOL_PURPOSE",
    "PDF",
    "STRUCTURED_OUTPUT_TOOL",
    "CallIds",
    "Draft",
    "cache_mark",
    "call_input",
    "call_token",
    "check_names",
    "check_number",
    "check_output_type",
    "file_data",
    "free_name",
    "media_type",
    "merged_body",
    "plain_copy",
]

STRUCTURED_OUTPUT_TOOL = "structured_output"
"""The tool whose arguments are the answer, where no tool of the caller's has that name."""

OUTPUT_TOOL_PURPOSE = "Gives the final answer. Call it once, when the answer is known."
INVALID_JSON = "INVALID_JSON"  # the key that Anthropic's documentation gives for it
NO_MESSAGE = "The tool failed without a message."

IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
PDF = "application/pdf"
MIN_BUDGET = 1024  # of tokens to reason with, the least that Anthropic takes
ANSWER_SHARE = 4  # one part in so many of the limit on output is kept for the answer
_ALIASES = {"image/jpg": "image/jpeg", "application/x-pdf": PDF}
_MAX_CACHE_MARKS = 4

_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
_COMMON_EFFORTS = ("low", "medium", "high")

HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_OWN_HEADERS = ("content-length", "content-type", "host", "transfer-encoding")


class Draft:
    """What is asked for, what of it is still to be used, and what had to be changed.

    Args:
        request: The call.
        reserved: Options that have a place of their own in the config, and which.

    Raises:
        ConfigError: If an option cannot be meant, or reasoning is asked of a model without it.
    """

    def __init__(self, request: ChatRequest, reserved: Mapping[str, str]) -> None:
        self.config = request.config
        self.model = request.endpoint.ai_model
        self.settings = self.model.get_settings()
        self.notes: list[str] = []
        self.headers = _extra_headers(self.config.options.get("extra_headers"))
        self.options = _options(self.config.options, self.model, reserved)
        if self.config.reasoning:
            self.need_reasoning("reasoning")
        if self.config.reasoning_effort is not None:
            self.need_reasoning("reasoning_effort")

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

    def lacks(self, argument: str, feature: str, declaration: str) -> ConfigError:
        """The error of asking for a feature that is missing as a whole.

        Args:
            argument: What asks for it.
            feature: What is missing.
            declaration: How to say that the model, or the place, has it after all.
        """
        return ConfigError(
            f"{argument}: {self.model.model_name} has no {feature} here. Use another model or "
            f"another provider, or leave {argument} out; or, if it has, declare it: {declaration}"
        )

    def need_reasoning(self, argument: str) -> None:
        """See that the model, which is asked to reason, can.

        Raises:
            ConfigError: If it cannot.
        """
        if not self.settings.supports_reasoning:
            declaration = "ChatModelSettings(supports_reasoning=True, ...) in the model's settings"
            raise self.lacks(argument, "reasoning", declaration)

    def leave_out_foreign(self, names: Collection[str], api: str) -> None:
        """Leave out options that are fields of other APIs."""
        for name in sorted(self.options.keys() & set(names)):
            del self.options[name]
            self.note(f"options[{name!r}]", f"left out, {api} has no such field")

    def drop_unsupported(self, body: Dict) -> None:
        """Leave out the fields of a body that the model refuses.

        Raises:
            ConfigError: If the tools are one of them.
        """
        names = self.settings.unsupported_parameters
        if body.get("tools") and "tools" in names:
            asked, feature = self._what_needs_tools()
            raise self.lacks(asked, feature, "no 'tools' in its unsupported_parameters")
        for name in names:
            if body.pop(name, None) is not None:
                self.refused(name)

    def _what_needs_tools(self) -> tuple[str, str]:
        config = self.config
        given = config.tools or config.hosted_tools or config.options.get("tools")
        if config.output_config is None or given:
            return "tools", "tools"
        return "structured_output", "structured output"  # whose tool is the only one

    def drop_exclusive(self, body: Dict) -> None:
        """Leave out all fields but one of each group of which the model takes one."""
        for group in self.settings.exclusive_parameters:
            given = [name for name in group if name in body]
            for name in given[1:]:
                del body[name]
                self.note(name, f"left out, the model takes either it or {given[0]}")

    def effort(self, default: str | None = None, *, common: bool = False) -> str | None:
        """The reasoning effort that is asked for, or the nearest that the model has.

        Args:
            default: The effort where none is asked for.
            common: Whether a model whose efforts are not known has the common ones.
        """
        wanted = self.config.reasoning_effort or default
        if wanted is None:
            return None
        settings = self.settings
        known = settings.supported_reasoning_efforts
        if known is None and (common or settings.reasoning_control == "effort"):
            known = _COMMON_EFFORTS
        ranked = [effort for effort in _EFFORTS if effort in (known or ())]
        if not ranked:
            self.refused("reasoning_effort")
            return None
        below = [effort for effort in ranked if _EFFORTS.index(effort) <= _EFFORTS.index(wanted)]
        effort = below[-1] if below else ranked[0]
        if effort != wanted and self.config.reasoning_effort:
            self.note("reasoning_effort", f"{effort}, the nearest that the model has")
        return effort

    def output_limit(self, *, reasons: bool = True) -> int:
        """The tokens that the answer may take: as many as asked for, and as the model gives.

        Args:
            reasons: Whether the limit is that of reasoning, where the model has one and is asked.
        """
        limit, _ = self.config.get_max_output_tokens(self.model)
        if not reasons:
            limit = min(limit, self.settings.max_output_tokens)
        if limit < (self.config.max_output_tokens or 0):
            self.note("max_output_tokens", f"{limit}, the most that the model gives")
        return limit

    def output_schema(self) -> Dict:
        """A copy of the schema that the answer has to fit.

        Raises:
            ConfigError: If it cannot be sent, or is that of no object.
        """
        output = self.config.output_config
        schema: Dict = plain_copy("structured_output", output.output_schema if output else {})
        check_output_type(schema.get("type", "object"))
        return schema

    def budget(self) -> int | None:
        """The tokens to reason with: as many as asked for, and as the answer leaves."""
        max_tokens, wanted = self.config.get_max_output_tokens(self.model)
        most = max_tokens - max_tokens // ANSWER_SHARE
        if most < MIN_BUDGET:
            self.note(
                "reasoning",
                f"left out, max_output_tokens ({max_tokens}) has no room for {MIN_BUDGET} tokens "
                "of thinking and the answer",
            )
            return None
        budget = max(MIN_BUDGET, min(wanted or most, most))
        if self.config.max_reasoning_tokens not in (None, budget):
            self.note("max_reasoning_tokens", f"{budget}, for the model or max_output_tokens")
        return budget

    def strict(self, what: str, schema: Dict, rules: SchemaRules) -> Dict:
        """A copy of a schema that the API compiles; what it loses is noted."""
        lost: set[str] = set()
        strict: Dict = strict_schema(schema, lost, rules)
        if lost:
            self.note(what, f"told in words, not enforced: {', '.join(sorted(lost))}")
        return strict

    def fit_cache_marks(self, blocks: list[Dict]) -> None:
        """Keep as many marks as Anthropic's API takes, with a "1h" after no "5m".

        Args:
            blocks: All that may bear one, in the order in which the API reads them.
        """
        marked = [block for block in blocks if isinstance(block.get("cache_control"), dict)]
        for block in marked[:-_MAX_CACHE_MARKS]:
            del block["cache_control"]
        if len(marked) > _MAX_CACHE_MARKS:
            self.note(
                "cache_control", f"only the last {_MAX_CACHE_MARKS} marks kept, no more are taken"
            )
        # A longer prefix that lives an hour holds the shorter one: that costs nothing more.
        longest: Dict = {}
        for block in reversed(marked[-_MAX_CACHE_MARKS:]):
            if block["cache_control"].get("ttl") == "1h":
                longest = {"ttl": "1h"}
            elif longest:
                self.note("cache_control", "5m raised to 1h, for a mark after it says 1h")
            block["cache_control"] = block["cache_control"] | longest

    def raw_tools(self) -> list[Dict]:
        """Take the tools that are given as the API has them.

        Raises:
            ConfigError: If they are no list of dicts.
        """
        try:
            return msgspec.convert(self.options.pop("tools", None) or [], list[Dict])
        except msgspec.ValidationError:
            raise ConfigError("options['tools']: expected a list of dicts") from None

    def common_headers(self) -> dict[str, str]:
        """The headers that every protocol has."""
        accept = "text/event-stream" if self.config.streaming else "application/json"
        return {"content-type": "application/json", "accept": accept}

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
        if value is not None and name != "extra_headers":
            options[name] = plain_copy(f"options[{name!r}]", value)
        if not model.validate_options({name: value}):
            allowed = (model.get_valid_options(include_display_only=True) or {})[name]
            raise ConfigError(
                f"options[{name!r}]: {value!r} is not one of {allowed.allowed_values}, "
                f"the values that {model.model_name} allows"
            )
    return options


def plain_copy(path: str, value: Any) -> Any:
    """A copy of ``value``, of what JSON has.

    Raises:
        ConfigError: If it cannot be sent as JSON.
    """
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError) as error:
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


def check_output_type(kind: Any) -> None:
    """See that the type of the structured output is the one that every API takes.

    Raises:
        ConfigError: If it is not.
    """
    if kind != "object":
        raise ConfigError("structured_output: the schema's type must be 'object'")


def check_names(names: list[str]) -> None:
    """See that no two tools have one name.

    Raises:
        ConfigError: If two have.
    """
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"tools: two tools are named {name!r}; the API takes a name once")


def free_name(taken: Collection[str]) -> str:
    """A name for the tool that carries the structured output."""
    name = STRUCTURED_OUTPUT_TOOL
    while name in taken:
        name += "_"
    return name


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
        if secret == MASK:
            raise ConfigError(
                f"options['extra_headers'][{name!r}]: the value is not here (secrets do not travel "
                "in pickles and dumps); give it anew"
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

    def fitted(self, call_id: str | None, number: int, *, own: bool) -> str:
        """The id as the API takes it; another one for each number.

        ``own`` ids come from the API itself.
        """
        wanted = call_token(call_id or "call")
        return wanted if number == 1 else f"{wanted}_{number}"

    def begin_turn(self) -> None:
        """Forget the calls of the turn before."""
        self._open = {}

    def of_call(self, call_id: str | None, *, own: bool = False) -> str:
        """An id for the next call of the turn, given its own."""
        number = 1
        while (unique := self.fitted(call_id, number, own=own)) in self._used:
            number += 1
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


def call_input(call: ChatResponseToolCall) -> Dict:
    """The arguments of a call as an object, also if they did not parse."""
    if call.parse_error is None:
        return call.arguments
    return {INVALID_JSON: call.raw_arguments} if call.raw_arguments else {}


def cache_mark(value: str | None) -> Dict:
    """Anthropic's field that marks the end of a prefix to cache; nothing for ``None``."""
    if value is None:
        return {}
    return {"cache_control": {"type": "ephemeral"} | ({} if value == "5m" else {"ttl": value})}


def media_type(file: FilePayload) -> str:
    """The media type by its usual name, without parameters."""
    given = file.media_type.partition(";")[0].strip().lower()
    return _ALIASES.get(given, given)


def file_data(file: FilePayload) -> str:
    """The bytes in base64.

    Raises:
        ConfigError: If there are none.
    """
    if not file.data:
        raise ConfigError(f"file {file.name!r}: is empty")
    return file.base64()
