"""What the simulated model answers: content blocks, usage and the reason it stopped.

An :class:`Answer` is provider-neutral; each protocol writes it in its own words, streamed or
whole. What a block or answer leaves open (ids, signatures, counts) the protocol fills in, the
same way each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from . import _check
from ._json import DecodeError, decode, encode, is_object

__all__ = [
    "Answer",
    "Block",
    "RawBlock",
    "RedactedThinking",
    "Refusal",
    "Text",
    "Thinking",
    "ToolCall",
    "Usage",
    "arguments_object",
    "estimated_tokens",
    "pieces_of",
    "split_json",
    "split_text",
    "token_count",
]

# Words with the space before them, as tokens have it; a long one comes in parts.
_WORDS = re.compile(r"\s*\S{1,12}|\s+")
_JSON_PIECE = 12


def split_text(text: str) -> list[str]:
    """The pieces that a text is streamed in: about a word each, together the text."""
    return _WORDS.findall(text)


def split_json(text: str) -> list[str]:
    """The pieces that a call's arguments are streamed in; they cut words, too."""
    return [text[start : start + _JSON_PIECE] for start in range(0, len(text), _JSON_PIECE)]


def _set(instance: object, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)  # these classes are frozen


@dataclass(frozen=True, slots=True)
class Text:
    """A block of text.

    Attributes:
        text: The text.
        citations: Citations in the provider's own form, sent after the text (wire.md 2.2).

    Raises:
        ConfigError: A field that cannot be sent.
    """

    text: str
    citations: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        _check.text("Text.text", self.text)
        _set(self, "citations", _check.json_objects("Text.citations", self.citations))


@dataclass(frozen=True, slots=True)
class Thinking:
    """A block of visible thinking.

    Attributes:
        text: The thinking.
        signature: What proves it on its way back; by default one that this simulator and every
            other one knows again.

    Raises:
        ConfigError: A field that cannot be sent.
    """

    text: str
    signature: str | None = None

    def __post_init__(self) -> None:
        _check.text("Thinking.text", self.text)
        if self.signature is not None:
            _check.text("Thinking.signature", self.signature)


@dataclass(frozen=True, slots=True)
class RedactedThinking:
    """A block of thinking that only the provider can read.

    Attributes:
        data: The opaque text.

    Raises:
        ConfigError: ``data`` cannot be sent.
    """

    data: str = "RGhlbmFyYSBzaW11bGF0b3I6IHJlZGFjdGVk"

    def __post_init__(self) -> None:
        _check.text("RedactedThinking.data", self.data, empty=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal, in words; where a protocol has no place for one, it is text.

    Attributes:
        text: The words.

    Raises:
        ConfigError: ``text`` cannot be sent.
    """

    text: str

    def __post_init__(self) -> None:
        _check.text("Refusal.text", self.text)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the caller's tools.

    Attributes:
        name: The tool's name.
        arguments: A mapping, or a string that is sent as it is, also where it is no JSON.
        id: The call's id; by default one that is made for each answer.

    Raises:
        ConfigError: A field that cannot be sent.
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict[str, Any])
    id: str | None = None

    def __post_init__(self) -> None:
        _check.text("ToolCall.name", self.name, empty=False)
        if self.id is not None:
            _check.text("ToolCall.id", self.id, empty=False)
        if isinstance(self.arguments, str):
            _check.text("ToolCall.arguments", self.arguments)
        else:
            _set(self, "arguments", _check.json_object("ToolCall.arguments", self.arguments))

    @property
    def arguments_json(self) -> str:
        """The arguments as they are sent."""
        given = self.arguments
        return given if isinstance(given, str) else encode(given).decode()


@dataclass(frozen=True, slots=True)
class RawBlock:
    """Any other block, in the provider's own form: server tools, their results, new inventions.

    Attributes:
        block: The block as a stream starts it.
        deltas: The ``delta`` objects that follow it in a stream; of OpenAI Responses whole events
            without what places them (item, index, number), of Gemini parts, as the block is one.
            Chat Completions have no blocks: block and deltas are fields of a choice's ``delta``.
        whole: The block as an answer that is not streamed has it; by default ``block``. Of Chat
            Completions these are fields of the message.

    Raises:
        ConfigError: A field that JSON cannot carry.
    """

    block: Mapping[str, Any]
    deltas: Sequence[Mapping[str, Any]] = ()
    whole: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _set(self, "block", _check.json_object("RawBlock.block", self.block))
        _set(self, "deltas", _check.json_objects("RawBlock.deltas", self.deltas))
        whole = self.block if self.whole is None else self.whole
        _set(self, "whole", _check.json_object("RawBlock.whole", whole))


Block: TypeAlias = Text | Thinking | RedactedThinking | Refusal | ToolCall | RawBlock


def pieces_of(block: Block) -> list[str]:
    """The pieces of content that a block is streamed in; each counts as one token."""
    match block:
        case Text() | Thinking() | Refusal():
            return split_text(block.text)
        case ToolCall():
            return split_json(block.arguments_json)
        case _:
            return []


def arguments_object(call: ToolCall) -> dict[str, Any] | None:
    """A call's arguments; ``None`` where they are no JSON object."""
    try:
        value = decode(call.arguments_json)
    except DecodeError:
        return None
    return value if is_object(value) else None


def token_count(blocks: Iterable[Block]) -> int:
    """The tokens of blocks: one for each piece."""
    return sum(len(pieces_of(block)) for block in blocks)


def estimated_tokens(read: Any) -> int:
    """The tokens of what a model reads, by the rule of thumb of four bytes each."""
    return max(1, len(encode(read)) // 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts; what is ``None`` is counted, one token for each piece of content.

    Attributes:
        input_tokens: Input that came from no cache and went into none.
        output_tokens: All output, thinking included.
        cache_read_tokens: Input read from the cache.
        cache_write_tokens: Input written to the cache.
        thinking_tokens: The thinking in ``output_tokens``.
        extra: More fields of the provider's own usage object.

    Raises:
        ConfigError: A count that is no integer of zero or more.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    thinking_tokens: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for name in ("input_tokens", "output_tokens", "thinking_tokens"):
            value = getattr(self, name)
            if value is not None:
                _check.integer(f"Usage.{name}", value, 0)
        _check.integer("Usage.cache_read_tokens", self.cache_read_tokens, 0)
        _check.integer("Usage.cache_write_tokens", self.cache_write_tokens, 0)
        _set(self, "extra", _check.json_object("Usage.extra", self.extra))


@dataclass(frozen=True, slots=True, init=False)
class Answer:
    """One answer of the simulated model: ``Answer("Hello")``, ``Answer(Thinking(..), Text(..))``.

    Attributes:
        content: The blocks in order; a string among the arguments is a :class:`Text`.
        stop_reason: Why it ends, in the provider's own words, or ``"length"`` for its word for
            that; by default what the content says.
        stop_sequence: The stop sequence that ended it.
        stop_details: What the provider adds to the reason, e.g. of a refusal.
        usage: Token counts.
        model: The model that answers; by default the one that was asked for.
        id: The message's id; by default one that is made for each answer.

    Raises:
        ConfigError: A field that cannot be sent.
    """

    content: tuple[Block, ...]
    stop_reason: str | None
    stop_sequence: str | None
    stop_details: Mapping[str, Any] | None
    usage: Usage
    model: str | None
    id: str | None

    def __init__(
        self,
        *content: str | Block,
        stop_reason: str | None = None,
        stop_sequence: str | None = None,
        stop_details: Mapping[str, Any] | None = None,
        usage: Usage | None = None,
        model: str | None = None,
        id: str | None = None,  # noqa: A002 - the protocols' own word
    ) -> None:
        texts = {"stop_reason": stop_reason, "stop_sequence": stop_sequence}
        for name, value in (texts | {"model": model, "id": id}).items():
            _set(self, name, value and _check.text(f"Answer.{name}", value))
        _set(self, "content", tuple(_block(index, item) for index, item in enumerate(content)))
        details = stop_details and _check.json_object("Answer.stop_details", stop_details)
        _set(self, "stop_details", details)
        _set(self, "usage", _usage(usage))


def _usage(value: Any) -> Usage:
    if value is None:
        return Usage()
    if isinstance(value, Usage):
        return value
    raise _check.fail("Answer.usage", "a Usage", value)


def _block(index: int, value: Any) -> Block:
    if isinstance(value, (Text, Thinking, RedactedThinking, Refusal, ToolCall, RawBlock)):
        return value
    if isinstance(value, str):
        return Text(value)
    raise _check.fail(f"Answer.content[{index}]", "a string or a content block", value)
