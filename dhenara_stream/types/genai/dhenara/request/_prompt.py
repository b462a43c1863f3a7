"""What is said to a model: prompts, instructions, tool results."""

from __future__ import annotations

import re
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.shared.base import BaseEnum, InputModel, dump
from dhenara_stream.types.shared.file import GenericFile

__all__ = [
    "CacheControl",
    "Content",
    "ContentType",
    "Prompt",
    "PromptConfig",
    "PromptMessageRoleEnum",
    "PromptText",
    "SystemInstruction",
    "TextTemplate",
    "TextTemplateVariableProps",
    "ToolCallResult",
    "ToolCallResultsMessage",
    "limit_words",
]

Dict = dict[str, Any]
Words = Annotated[int, msgspec.Meta(ge=1)]

# How long a provider may keep what it has read up to here, for a cheaper next call.
CacheControl = Literal["5m", "1h"]


class PromptMessageRoleEnum(BaseEnum):
    """Who says it."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class ContentType(BaseEnum):
    """Which field of a ``Content`` counts."""

    TEXT = "text"
    LIST = "list"
    DICT = "dict"
    JSONL = "jsonl"


def limit_words(text: str, max_words: int | None) -> str:
    """``text`` up to its ``max_words``-th word, line ends and all; all of it for ``None``."""
    if max_words is None:
        return text
    words = islice(_WORD.finditer(text), max_words, max_words + 1)
    too_many = next(words, None)
    return text if too_many is None else text[: too_many.start()].rstrip()


_WORD = re.compile(r"\S+")


class Content(InputModel, kw_only=True):
    """Text, a list of texts, or JSON data, as prompt text."""

    type: ContentType = ContentType.TEXT
    text: str | None = None
    textl: list[str] | None = None
    json_c: Dict = {}
    jsonl_c: list[Dict] = []

    def get_content(self, separator: str = "\n") -> str:
        """The content as text.

        Raises:
            ConfigError: If the field that ``type`` names is empty.
        """
        if self.type == ContentType.DICT:
            return self._needed(_json(self.json_c) if self.json_c else "", "json_c")
        if self.type == ContentType.JSONL:
            return self._needed("\n".join(map(_json, self.jsonl_c)), "jsonl_c")
        if self.type == ContentType.LIST:
            return self._needed(separator.join(self.textl or []), "textl")
        parts = [self.text] if self.text else []
        parts += self.textl or []
        parts += [_json(self.json_c)] if self.json_c else []
        parts += map(_json, self.jsonl_c)
        return separator.join(parts)

    def _needed(self, text: str, field: str) -> str:
        if not text:
            raise ConfigError(f"Content.{field}: needed for type {self.type.value!r}")
        return text


def _json(data: Any) -> str:
    return as_json_text(data, "Content")


def as_json_text(data: Any, path: str) -> str:
    """``data`` as JSON text; what JSON has not as its ``str``.

    Raises:
        ConfigError: If it cannot be written.
    """
    try:
        return msgspec.json.encode(dump(data)).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be written as JSON: {error}") from error


class TextTemplateVariableProps(InputModel, kw_only=True):
    """The default of a template's variable, and the values it may take."""

    default: Any = None
    allowed: list[Any] | None = None


class TextTemplate(InputModel, kw_only=True):
    """Text in which ``$var{name}`` stands for a variable."""

    text: str
    variables: dict[str, TextTemplateVariableProps | None] = {}
    disable_checks: bool = False

    def check(self) -> None:
        for name in () if self.disable_checks else self.variables:
            if f"$var{{{name}}}" not in self.text:
                raise ConfigError(
                    f"TextTemplate.variables: {name!r} does not occur as $var{{{name}}} in the text"
                )

    def render(self, values: Dict) -> str:
        """The text with ``values``, else the defaults, in place.

        What a value says is not rendered again. With ``disable_checks`` a variable that has
        neither stays as it is, and a value for none is left out.

        Raises:
            ConfigError: If a value is not allowed, a variable has none, or a value is for a
                variable that does not occur.
        """

        def value_of(variable: re.Match[str]) -> str:
            name = variable[1]
            props = self.variables.get(name) or TextTemplateVariableProps()
            value = values.get(name, props.default)
            if value is None:
                if self.disable_checks:
                    return variable[0]
                raise ConfigError(f"prompt variable {name!r}: has no value; give it in variables")
            if props.allowed is not None and value not in props.allowed:
                raise ConfigError(f"prompt variable {name!r}: {value!r} is not in {props.allowed}")
            return str(value)

        unknown = values.keys() - set(_VARIABLE.findall(self.text))
        if unknown and not self.disable_checks:
            name = min(unknown, key=str)
            raise ConfigError(f"prompt variable {name!r}: does not occur in the text")
        return _VARIABLE.sub(value_of, self.text)


_VARIABLE = re.compile(r"\$var\{([^{}]+)\}")


class PromptText(InputModel, kw_only=True):
    """Either content or a template."""

    content: Content | None = None
    template: TextTemplate | None = None

    def check(self) -> None:
        if (self.content is None) == (self.template is None):
            raise ConfigError("PromptText: give exactly one of content and template")

    def render(self, values: Dict) -> str:
        """The text, with ``values`` for the template's variables."""
        if self.template is not None:
            return self.template.render(values)
        return (self.content or Content()).get_content()


class PromptConfig(InputModel, kw_only=True):
    """Limits, in words, on the text and on each file."""

    max_words_text: Words | None = None
    max_words_file: Words | None = None


def _rendered(text: str | PromptText, values: Dict) -> str:
    if not isinstance(text, str):
        return text.render(values)
    return TextTemplate(text=text).render(values) if values else text


class Prompt(InputModel, kw_only=True):
    """One message.

    Attributes:
        role: Who says it.
        text: What is said.
        variables: Values for the variables of a template. With any, a plain text is one, too;
            without, it is sent as it is.
        files: Images, PDFs and text files that belong to it.
        config: Limits on its length.
        cache_control: Marks the end of a prefix that the provider may cache, where it takes
            such marks.
    """

    type: Literal["prompt"] = "prompt"
    role: PromptMessageRoleEnum = PromptMessageRoleEnum.USER
    text: str | PromptText
    variables: Dict = {}
    files: list[GenericFile] = []
    config: PromptConfig | None = None
    cache_control: CacheControl | None = None

    @classmethod
    def with_text(
        cls,
        text: str,
        variables: dict[str, TextTemplateVariableProps | None] | None = None,
        disable_checks: bool = False,
    ) -> Prompt:
        """A user's message from a template."""
        template = TextTemplate(text=text, variables=variables or {}, disable_checks=disable_checks)
        return cls(text=PromptText(template=template))

    @classmethod
    def with_dad_text(
        cls, text: str, variables: dict[str, TextTemplateVariableProps | None] | None = None
    ) -> Prompt:
        """A user's message from a template whose variables are not checked."""
        return cls.with_text(text, variables, disable_checks=True)

    def get_formatted_text(self, max_words: int | None = None) -> str:
        """The text with its variables in place, up to ``max_words`` words."""
        if max_words is None and self.config is not None:
            max_words = self.config.max_words_text
        return limit_words(_rendered(self.text, self.variables), max_words)


class SystemInstruction(InputModel, kw_only=True):
    """What the model is told before the conversation; its variables are as a prompt's."""

    text: str | PromptText
    variables: Dict = {}
    cache_control: CacheControl | None = None

    def get_formatted_text(self) -> str:
        """The text with its variables in place."""
        return _rendered(self.text, self.variables)


class ToolCallResult(InputModel, kw_only=True):
    """What a tool gave, for the call named ``call_id``.

    Attributes:
        call_id: The ``call_id`` of the tool call that this answers.
        output: Text, or data that goes as JSON.
        name: The tool.
        is_error: Whether the tool failed; ``output`` then says how.
        cache_control: Marks the end of a prefix that the provider may cache, where it takes
            marks.
    """

    type: Literal["tool_result"] = "tool_result"
    call_id: str | None = None
    output: Any = None
    name: str | None = None
    is_error: bool = False
    cache_control: CacheControl | None = None

    def as_text(self) -> str:
        """The output as text: a string as it is, anything else as JSON.

        Raises:
            ConfigError: If it cannot be written as JSON.
        """
        if isinstance(self.output, str):
            return self.output
        return as_json_text(self.output, "ToolCallResult.output")

    def as_json(self) -> Any:
        """The output as a JSON object or list; another value as ``{"result": value}``."""
        output: Any = self.output
        return output if isinstance(self.output, dict | list) else {"result": output}


class ToolCallResultsMessage(InputModel, kw_only=True):
    """The results of one turn's tool calls."""

    type: Literal["tool_result_message"] = "tool_result_message"
    results: list[ToolCallResult]

    def check(self) -> None:
        if not self.results:
            raise ConfigError("ToolCallResultsMessage.results: must contain at least one result")
