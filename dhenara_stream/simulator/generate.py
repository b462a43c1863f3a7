"""The answer of a model that nobody scripted: made of the request, the same one each time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ._json import encode, object_
from .schema import sample
from .script import Answer, Block, Text, Thinking, ToolCall, pieces_of

__all__ = ["Ask", "Tool", "generate"]

_QUOTED = 200  # characters of a prompt or a result that an answer repeats


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model may call."""

    name: str
    schema: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a request asks for, whatever its protocol.

    Attributes:
        prompt: The text of the last turn.
        thinking: Whether the model should think before it answers.
        tools: The tools that it may call.
        forced: The tool that it must call.
        results: What the tools of the last turn answered.
        schema: The JSON schema that the answer must follow.
        max_tokens: The most tokens that it may take.
        stop_sequences: Texts that end it.
    """

    prompt: str = ""
    thinking: bool = False
    tools: tuple[Tool, ...] = ()
    forced: Tool | None = None
    results: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()


def generate(ask: Ask) -> Answer:
    """An answer to what is asked.

    A tool is called where the request forces it, or where the prompt has the words of its name
    ("What is the weather?" calls ``get_weather``); otherwise the answer is text, or JSON where a
    schema is given. ``max_tokens`` and stop sequences cut it as they would a model's.
    """
    blocks: list[Block] = [_main(ask)]
    if ask.thinking:
        blocks.insert(0, Thinking(_thoughts(ask)))
    return _limited(blocks, ask)


def _main(ask: Ask) -> Block:
    tool = ask.forced or _wanted(ask)
    if tool is not None:
        return ToolCall(tool.name, object_(sample(tool.schema)))
    if ask.schema is not None:
        return Text(encode(sample(ask.schema)).decode())
    return Text(_used_results(ask.results) if ask.results else _reply(ask.prompt))


_WORD = re.compile(r"[^\W_]+")
_FILLERS = frozenset({"a", "current", "fetch", "find", "get", "list", "read", "the", "tool"})


def _wanted(ask: Ask) -> Tool | None:
    """The tool that the prompt speaks of; none once tools have answered."""
    said = set(_WORD.findall(ask.prompt.casefold()))
    for tool in () if ask.results else ask.tools:
        words = set(_WORD.findall(tool.name.casefold()))
        if words and (words - _FILLERS or words) <= said:
            return tool
    return None


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= _QUOTED else f'"{line[:_QUOTED].rstrip()}..."'


def _thoughts(ask: Ask) -> str:
    asked = f"The user asks {_quote(ask.prompt)}" if ask.prompt else "The user sent no text"
    return (
        f"{asked}, and no model is behind this, so there is nothing to work out. But thinking "
        "comes before the answer, in pieces, just as this does. Now the answer."
    )


def _reply(prompt: str) -> str:
    asked = f"You asked {_quote(prompt)}" if prompt else "You sent no text"
    return (
        f"{asked}, and this is the simulator of dhenara_stream. It speaks the provider's protocol "
        "over a real connection, but no model is behind it. The same request always gets this "
        "same answer, word by word, with the events, usage and headers that the provider would "
        "send.\n\n"
        "To see something else, script the answers, slow them down, or break them on purpose."
    )


def _used_results(results: Iterable[str]) -> str:
    quoted = " and ".join(_quote(result) for result in results)
    return f"The tool answered {quoted}. That is all the simulator needs to know to finish."


def _limited(blocks: list[Block], ask: Ask) -> Answer:
    """The answer as far as the request lets it come."""
    stop_sequence = None
    if isinstance(blocks[-1], Text):
        text, stop_sequence = _stopped(blocks[-1].text, ask.stop_sequences)
        blocks = [*blocks[:-1], Text(text)] if text else blocks[:-1]
    kept = list(_first_tokens(blocks, ask.max_tokens))
    if kept != blocks:
        return Answer(*kept, stop_reason="length")
    reason = "stop_sequence" if stop_sequence else None
    return Answer(*kept, stop_reason=reason, stop_sequence=stop_sequence)


def _stopped(text: str, stop_sequences: Iterable[str]) -> tuple[str, str | None]:
    """A text up to the first stop sequence in it, and that sequence."""
    found = [(text.find(stop), stop) for stop in stop_sequences if stop in text]
    position, stop = min(found, default=(len(text), None))
    return text[:position], stop


def _first_tokens(blocks: Iterable[Block], budget: int | None) -> Iterable[Block]:
    """The blocks as far as the budget goes."""
    for block in blocks:
        pieces = pieces_of(block)
        if budget is None or len(pieces) <= budget:
            yield block
        elif budget:
            yield _cut(block, "".join(pieces[:budget]))
        budget = None if budget is None else max(0, budget - len(pieces))


def _cut(block: Block, content: str) -> Block:
    match block:
        case ToolCall():
            return ToolCall(block.name, content, block.id)
        case Thinking():
            return Thinking(content)
        case _:
            return Text(content)
