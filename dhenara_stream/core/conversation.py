"""What the caller said, in one neutral form: the arguments of ``generate`` become turns.

Rules: ``messages`` excludes ``prompt`` and ``context``. System prompts become instructions.
Neighbouring messages of one speaker become one turn. Tool results belong to the user.
Every tool call is answered in the turn after it, and every result answers a call. What is empty
or only white space says nothing and is left out.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.dhenara.request import (
    Prompt,
    PromptMessageRoleEnum,
    SystemInstruction,
    ToolCallResult,
    ToolCallResultsMessage,
)
from dhenara_stream.types.genai.dhenara.request._prompt import limit_words
from dhenara_stream.types.genai.dhenara.response import ChatResponse
from dhenara_stream.types.shared.file import FilePayload

__all__ = ["Part", "TextPart", "Turn", "conversation"]


class TextPart(msgspec.Struct, frozen=True):
    """Text; ``cache_control`` marks the end of a prefix to cache."""

    text: str
    cache_control: str | None = None


Part = TextPart | FilePayload | ToolCallResult | ChatResponse


class Turn(msgspec.Struct):
    """What one speaker says before the other one does."""

    role: Literal["user", "assistant"]
    parts: list[Part]


def conversation(
    *, prompt: Any, context: Any, instructions: Any, messages: Any
) -> tuple[list[SystemInstruction], list[Turn]]:
    """Instructions and turns from the arguments of a call.

    Raises:
        ConfigError: Naming the argument that is wrong.
    """
    system = list(_instructions(instructions))
    turns: list[Turn] = []
    for path, message in _messages(prompt, context, messages):
        if isinstance(message, Prompt) and message.role == PromptMessageRoleEnum.SYSTEM:
            system += _spoken(path, _as_instruction(path, message))
        else:
            _append(turns, path, message)
    if not turns:
        raise ConfigError("prompt: the conversation is empty; give prompt or messages")
    _check_pairs(turns)
    return system, turns


def _messages(prompt: Any, context: Any, messages: Any) -> Iterable[tuple[str, Any]]:
    if messages is not None and (prompt is not None or context):
        raise ConfigError("messages: give either messages or prompt (with context), not both")
    if messages is not None:
        for i, item in enumerate(_listed("messages", messages)):
            yield f"messages[{i}]", _message(f"messages[{i}]", item)
        return
    if prompt is None:
        raise ConfigError("prompt: give prompt or messages")
    for i, item in enumerate(_listed("context", context or [])):
        yield f"context[{i}]", _message(f"context[{i}]", item)
    yield "prompt", _message("prompt", prompt)


def _listed(path: str, value: Any) -> Sequence[Any]:
    if isinstance(value, str | Mapping | SystemInstruction | _MESSAGES):
        return [value]
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return value  # pyright: ignore[reportUnknownVariableType]
    raise ConfigError(f"{path}: expected a list, got `{type(value).__name__}`")


_MESSAGES = Prompt | ToolCallResult | ToolCallResultsMessage | ChatResponse
_BY_TYPE: dict[str, type[Prompt | ToolCallResult | ToolCallResultsMessage | ChatResponse]] = {
    "prompt": Prompt,
    "tool_result": ToolCallResult,
    "tool_result_message": ToolCallResultsMessage,
    "chat_response": ChatResponse,
}


def _message(path: str, value: Any) -> Any:
    if isinstance(value, _MESSAGES):
        return value
    if isinstance(value, str):
        return Prompt(text=value)
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{path}: expected text, a dict, a Prompt, a ChatResponse or a tool result, "
            f"got `{type(value).__name__}`"
        )
    given: dict[str, Any] = dict(value)  # pyright: ignore[reportUnknownArgumentType]
    with _named(path):
        return _BY_TYPE.get(str(given.get("type")), Prompt).model_validate(given)


def _instructions(value: Any) -> Iterable[SystemInstruction]:
    for i, item in enumerate(_listed("instructions", [] if value is None else value)):
        path = f"instructions[{i}]"
        yield from _spoken(path, _instruction(path, item))


def _instruction(path: str, item: Any) -> SystemInstruction:
    if isinstance(item, SystemInstruction):
        return item
    if isinstance(item, str):
        return SystemInstruction(text=item)
    if isinstance(item, Prompt):
        return _as_instruction(path, item)
    if not isinstance(item, Mapping):
        raise ConfigError(
            f"{path}: expected text, a dict or a SystemInstruction, got `{type(item).__name__}`"
        )
    with _named(path):
        return SystemInstruction.model_validate(item)


def _as_instruction(path: str, prompt: Prompt) -> SystemInstruction:
    if prompt.files:
        raise ConfigError(f"{path}.files: a system prompt holds text only")
    with _named(path):
        text = prompt.get_formatted_text()
    return SystemInstruction(text=text, cache_control=prompt.cache_control)


def _spoken(path: str, instruction: SystemInstruction) -> list[SystemInstruction]:
    with _named(path):
        text = instruction.get_formatted_text()
    return [instruction] if text.strip() else []


@contextmanager
def _named(path: str) -> Generator[None, None, None]:
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}") from error.__cause__


def _append(turns: list[Turn], path: str, message: Any) -> None:
    role, parts = _parts(path, message)
    if not parts and path == "prompt":
        raise ConfigError("prompt: is empty")
    if not parts:
        return
    if not turns or turns[-1].role != role:
        turns.append(Turn(role, []))
    turns[-1].parts += parts


def _parts(path: str, message: Any) -> tuple[Literal["user", "assistant"], list[Part]]:
    if isinstance(message, ToolCallResult):
        return "user", [message]
    if isinstance(message, ToolCallResultsMessage):
        return "user", list(message.results)
    if isinstance(message, ChatResponse):
        if not message.choices:
            raise ConfigError(f"{path}: the ChatResponse has no choices")
        return "assistant", [message]
    return ("assistant" if message.role == PromptMessageRoleEnum.ASSISTANT else "user"), (
        _prompt_parts(path, message)
    )


def _prompt_parts(path: str, prompt: Prompt) -> list[Part]:
    max_words = prompt.config.max_words_file if prompt.config else None
    parts: list[Part] = []
    for i, file in enumerate(prompt.files):
        with _named(f"{path}.files[{i}]"):
            parts.append(_limited(file.payload(), max_words))
    with _named(path):
        text = prompt.get_formatted_text()
    if text.strip():
        parts.append(TextPart(text, prompt.cache_control))
    elif parts:  # the mark is at the prompt's end, whatever that is
        parts[-1] = msgspec.structs.replace(parts[-1], cache_control=prompt.cache_control)
    return parts


def _limited(file: FilePayload, max_words: int | None) -> FilePayload:
    if max_words is None or file.data is None or not file.is_text:
        return file
    return msgspec.structs.replace(file, data=limit_words(file.text(), max_words).encode())


def _check_pairs(turns: list[Turn]) -> None:
    waiting: list[str | None] = []
    for turn in turns:
        if turn.role == "user":
            _answer(waiting, turn)
        else:
            waiting = _calls(turn)
    if waiting:
        raise ConfigError(_unanswered(waiting))


def _answer(waiting: list[str | None], turn: Turn) -> None:
    for part in turn.parts:
        if not isinstance(part, ToolCallResult):
            continue
        if part.call_id not in waiting:
            raise ConfigError(
                f"messages: the ToolCallResult for {part.call_id!r} answers no tool call of the "
                f"turn before it (waiting: {waiting})"
            )
        waiting.remove(part.call_id)
    if waiting:
        raise ConfigError(_unanswered(waiting))


def _calls(turn: Turn) -> list[str | None]:
    # Some providers give a call no id: a result without one answers it.
    return [
        call.call_id
        for part in turn.parts
        if isinstance(part, ChatResponse)
        for call in part.tools()
    ]


def _unanswered(waiting: list[str | None]) -> str:
    return (
        f"messages: no ToolCallResult for tool call {', '.join(map(repr, waiting))}; "
        "each call must be answered right after the response that holds it, one that does not "
        "parse with its parse_error"
    )
