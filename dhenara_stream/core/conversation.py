"""What the caller said, in one neutral form: the arguments of ``generate`` become turns.

Rules: ``messages`` excludes ``prompt`` and ``context``. System prompts become instructions.
Neighbouring messages of one speaker become one turn. Tool results belong to the user.
Every tool call is answered in the turn after it, and every result answers a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
            system.append(_as_instruction(message))
        else:
            _append(turns, path, message)
    if not any(turn.parts for turn in turns):
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
    if isinstance(value, str | Prompt | Mapping | ChatResponse):
        return [value]
    if isinstance(value, Sequence):
        return value  # pyright: ignore[reportUnknownVariableType]
    raise ConfigError(f"{path}: expected a list, got `{type(value).__name__}`")


_BY_TYPE: dict[str, type[Prompt | ToolCallResult | ToolCallResultsMessage | ChatResponse]] = {
    "prompt": Prompt,
    "tool_result": ToolCallResult,
    "tool_result_message": ToolCallResultsMessage,
    "chat_response": ChatResponse,
}
_MESSAGES = (Prompt, ToolCallResult, ToolCallResultsMessage, ChatResponse)


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
    try:
        return _BY_TYPE.get(str(given.get("type")), Prompt).model_validate(given)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}") from None


def _instructions(value: Any) -> Iterable[SystemInstruction]:
    for i, item in enumerate(_listed("instructions", [] if value is None else value)):
        if isinstance(item, str):
            item = SystemInstruction(text=item)
        elif isinstance(item, Prompt):
            item = _as_instruction(item)
        elif not isinstance(item, SystemInstruction):
            if not isinstance(item, Mapping):
                raise ConfigError(
                    f"instructions[{i}]: expected text, a dict or a SystemInstruction, "
                    f"got `{type(item).__name__}`"
                )
            item = SystemInstruction.model_validate(item)
        if item.get_formatted_text():
            yield item


def _as_instruction(prompt: Prompt) -> SystemInstruction:
    return SystemInstruction(text=prompt.get_formatted_text(), cache_control=prompt.cache_control)


def _append(turns: list[Turn], path: str, message: Any) -> None:
    role, parts = _parts(path, message)
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
    parts: list[Part] = []
    for i, file in enumerate(prompt.files):
        try:
            parts.append(file.payload())
        except ConfigError as error:
            raise ConfigError(f"{path}.files[{i}]: {error.message}") from error.__cause__
    text = prompt.get_formatted_text()
    if text.strip():
        parts.append(TextPart(text, prompt.cache_control))
    return parts


def _check_pairs(turns: list[Turn]) -> None:
    waiting: list[str] = []
    for turn in turns:
        if turn.role == "user":
            _answer(waiting, turn)
        else:
            waiting = _calls(turn)
    if waiting and turns[-1].role == "assistant":
        raise ConfigError(_unanswered(waiting))


def _answer(waiting: list[str], turn: Turn) -> None:
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


def _calls(turn: Turn) -> list[str]:
    return [
        call.call_id
        for part in turn.parts
        if isinstance(part, ChatResponse)
        for call in part.tools()
        if call.call_id is not None
    ]


def _unanswered(waiting: list[str]) -> str:
    return (
        f"messages: no ToolCallResult for tool call {', '.join(map(repr, waiting))}; "
        "each call must be answered right after the response that holds it"
    )
