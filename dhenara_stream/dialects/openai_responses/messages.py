"""The conversation as the Responses API takes it: turns in, input items out.

The rules of the API, and what is done to keep them:

- An answer goes back item by item, with the ids and all that is encrypted, but only to where it
  came from: another place cannot read what this one has encrypted. From elsewhere come text and
  calls, without ids.
- Reasoning goes back if the place can read it: it is encrypted, or in plain words, or the place
  has kept it. To a model that does not reason it does not go. It must be followed by what came of
  it. Where reasoning is left out, what came of it goes without its ids, which would ask for it.
- A call's id occurs once and is short; the result names the same. Arguments are JSON text of an
  object; those that did not parse go as ``{"INVALID_JSON": text}``. A result that is an error
  says so in words.
- A call of a tool that takes free text goes back as such, and so does its result.
- Items of the API's own (hosted tools, compaction) go back as they came. A call that the caller
  would have to answer, and cannot, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from dhenara_stream.core.conversation import TextPart, Turn
from dhenara_stream.dialects.drafting import (
    IMAGES,
    NO_MESSAGE,
    PDF,
    CallIds,
    call_input,
    call_token,
    file_data,
    media_type,
)
from dhenara_stream.dialects.values import Dict, as_text
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import AIModelEndpoint, AIModelProviderEnum
from dhenara_stream.types.genai.dhenara.request import ToolCallResult
from dhenara_stream.types.genai.dhenara.response import (
    ChatMessageContentPart,
    ChatResponse,
    ChatResponseGenericContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseStructuredOutputContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCallContentItem,
)
from dhenara_stream.types.shared.file import FilePayload

__all__ = ["MAX_NAME", "build_input"]

Items = list[Dict]

MAX_CALL_ID = 64
MAX_NAME = 64

_NAMELESS = "unknown"
_DOCUMENTS = (
    PDF,
    "application/msword",
    "application/rtf",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
)

# What a part of a tool's result has one of, beside its type.
_RESULT_PARTS = {
    "text": ("text",),
    "input_text": ("text",),
    "input_image": ("image_url", "file_id"),
    "input_file": ("file_data", "file_id", "file_url"),
}
_RENAMED = {"text": "input_text"}
# Calls that wait for the caller's own shell, screen or files.
_CLIENT_CALLS = ("local_shell_call", "shell_call", "apply_patch_call", "computer_call")
_MESSAGE_FIELDS = ("status", "phase")


def build_input(
    turns: Sequence[Turn], endpoint: AIModelEndpoint, *, reasons: bool, stored: bool
) -> Items:
    """The items that say what the turns say.

    Args:
        turns: The conversation.
        endpoint: Where it goes.
        reasons: Whether the model takes reasoning.
        stored: Whether the place keeps the answers that it gives.

    Raises:
        ConfigError: If they cannot be sent.
    """
    calls = _Calls()
    items: Items = []
    for turn in turns:
        if turn.role == "user":
            items += _user(turn, calls)
        else:
            items += _assistant(turn, calls, endpoint, reasons=reasons, stored=stored)
    if not items:
        raise ConfigError("messages: nothing in them can be sent")
    return items


class _Ids(CallIds):
    """Ids that are short enough."""

    def fitted(self, call_id: str | None, number: int, *, own: bool) -> str:
        """See :meth:`CallIds.fitted`."""
        wanted, end = call_id or "call", "" if number == 1 else f"_{number}"
        if own and not end and len(wanted) <= MAX_CALL_ID:
            return wanted
        return call_token(wanted)[: MAX_CALL_ID - len(end)] + end


class _Calls:
    """The calls so far: their ids, and which of them took free text."""

    def __init__(self) -> None:
        self.ids = _Ids()
        self._custom: set[str] = set()

    def begin(self, call_id: str | None, *, own: bool, custom: bool) -> str:
        """An id for a call."""
        fitted = self.ids.of_call(call_id, own=own)
        if custom:
            self._custom.add(fitted)
        return fitted

    def answer(self, call_id: str | None) -> Dict:
        """The beginning of the item that answers a call."""
        fitted = self.ids.of_result(call_id)
        kind = "custom_tool_call_output" if fitted in self._custom else "function_call_output"
        return {"type": kind, "call_id": fitted}


# --- the user's turn


def _user(turn: Turn, calls: _Calls) -> Items:
    results: Items = []
    content: Items = []
    for part in turn.parts:
        if isinstance(part, ToolCallResult):
            results.append(calls.answer(part.call_id) | {"output": _output(part)})
        elif isinstance(part, TextPart):
            content += [{"type": "input_text", "text": part.text}] if part.text.strip() else []
        elif isinstance(part, FilePayload):
            content.append(_file(part))
        else:
            raise ConfigError("messages: a ChatResponse cannot stand in a turn of the user's")
    return [*results, *([{"role": "user", "content": content}] if content else [])]


def _output(result: ToolCallResult) -> str | Items:
    parts = _result_parts(result.output)
    if parts:
        return [{"type": "input_text", "text": "Error:"}, *parts] if result.is_error else parts
    text = "" if result.output is None else result.as_text()
    return f"Error: {text if text.strip() else NO_MESSAGE}" if result.is_error else text


def _result_parts(output: Any) -> Items:
    """The parts that an output is a list of; none for another output."""
    if not isinstance(output, list) or not all(map(_is_result_part, output)):  # pyright: ignore[reportUnknownArgumentType]
        return []
    parts = cast("Items", output)
    return [{**part, "type": _RENAMED.get(part["type"], part["type"])} for part in parts]


def _is_result_part(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    kind: Any = value.get("type")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    needed = _RESULT_PARTS.get(kind, ()) if isinstance(kind, str) else ()
    return any(name in value for name in needed)


def _file(file: FilePayload) -> Dict:
    kind = media_type(file)
    if kind in IMAGES:
        url = file.url if file.url is not None else _data_url(file, kind)
        return {"type": "input_image", "image_url": url, "detail": "auto"}
    if not file.is_text and kind not in _DOCUMENTS:
        raise ConfigError(
            f"file {file.name!r}: media type {file.media_type!r} cannot be sent to this model; "
            f"it takes {', '.join(IMAGES)}, PDF, Office documents and text (is the type right? "
            "it can be given)"
        )
    if file.url is not None:
        return {"type": "input_file", "file_url": file.url}
    if file.is_text:
        return {"type": "input_text", "text": _text_of(file)}
    data = _data_url(file, kind)
    return {"type": "input_file", "filename": file.name or "file", "file_data": data}


def _data_url(file: FilePayload, kind: str) -> str:
    return f"data:{kind};base64,{file_data(file)}"


def _text_of(file: FilePayload) -> str:
    text = file.text()
    if not text.strip():
        raise ConfigError(f"file {file.name!r}: is empty")
    return f"{file.name}:\n{text}" if file.name else text


# --- the assistant's turn


def _assistant(
    turn: Turn, calls: _Calls, endpoint: AIModelEndpoint, *, reasons: bool, stored: bool
) -> Items:
    calls.ids.begin_turn()
    items: Items = []
    for part in turn.parts:
        if isinstance(part, ChatResponse):
            own = _is_own(part, endpoint)
            answer = _Answer(calls, own=own, reasons=own and reasons, stored=stored)
            items += answer.items(part)
        elif isinstance(part, TextPart):
            items += [_said(part.text)] if part.text.strip() else []
        else:
            raise ConfigError(f"messages: {part.name!r} cannot stand in a turn of the assistant's")
    return items


def _is_own(response: ChatResponse, endpoint: AIModelEndpoint) -> bool:
    """Whether the place can read what is encrypted in an answer."""
    model = endpoint.ai_model
    if response.provider != model.provider:
        return False
    if response.provider == AIModelProviderEnum.CUSTOM and response.model != model.model_name:
        return False
    return response.api_provider in (None, endpoint.api.provider)


class _Answer:
    """One answer of a model's, item by item."""

    def __init__(self, calls: _Calls, *, own: bool, reasons: bool, stored: bool) -> None:
        self._calls = calls
        self._own = own
        self._reasons = reasons
        self._stored = stored
        self._has_ids = own
        self._items: Items = []
        self._open: tuple[Any, ...] = ()  # which message the last item is, if it is one

    def items(self, response: ChatResponse) -> Items:
        """All items of the answer that can be sent."""
        contents = (response.choices[0].contents if response.choices else None) or []
        self._has_ids = self._own and not any(map(self._cannot_be_read, contents))
        for item in contents:
            _ITEMS[type(item)](self, item)
        return _without_loose_ends(self._items)

    def _cannot_be_read(self, item: Any) -> bool:
        if not isinstance(item, ChatResponseReasoningContentItem):
            return False
        is_there = item.thinking_signature or item.message_contents or self._stored
        return not (self._reasons and item.thinking_id and is_there)

    def _add(self, item: Dict, key: tuple[Any, ...] = ()) -> None:
        self._items.append(item)
        self._open = key

    def _id(self, value: str | None) -> Dict:
        return {"id": value} if self._has_ids and value else {}

    def text(self, item: ChatResponseTextContentItem) -> None:
        """Text and refusals: a part of a message."""
        facts = item.metadata if self._own else {}
        facts = {name: facts[name] for name in _MESSAGE_FIELDS if name in facts}
        parts = item.message_contents or []
        if self._has_ids and item.message_id:
            self._add_parts(item.message_id, [_output_part(part) for part in parts], facts)
            return
        facts.pop("status", None)
        text = "".join(part.text or "" for part in parts)
        key = ("text", item.message_id, facts)
        if self._open == key:
            self._items[-1]["content"] += text
        elif text.strip():
            self._add(_said(text) | facts, key)

    def _add_parts(self, message_id: str, parts: Items, facts: Dict) -> None:
        key = ("parts", message_id)
        if self._open == key:
            self._items[-1]["content"] += parts
            return
        message: Dict = {"type": "message", "id": message_id, "role": "assistant"}
        self._add({**message, "status": "completed", "content": parts, **facts}, key)

    def reasoning(self, item: ChatResponseReasoningContentItem) -> None:
        """Reasoning, if the place can read it."""
        if self._cannot_be_read(item):
            return
        summary = [_part("summary_text", part) for part in item.thinking_summary or []]
        sent: Dict = {"type": "reasoning", **self._id(item.thinking_id), "summary": summary}
        if item.message_contents:
            sent["content"] = [_part("reasoning_text", part) for part in item.message_contents]
        if item.thinking_signature:
            sent["encrypted_content"] = item.thinking_signature
        self._add(sent | item.metadata)

    def call(self, item: ChatResponseToolCallContentItem) -> None:
        """A call of a function, or of a tool that takes free text."""
        call = item.tool_call
        facts = dict(call.metadata) if self._own and call.id else {}
        arguments = call_input(call)
        custom = facts.pop("type", None) == "custom" and isinstance(arguments.get("input"), str)
        sent: Dict = {"type": "custom_tool_call" if custom else "function_call"}
        sent |= self._id(call.id)
        sent["call_id"] = self._calls.begin(call.call_id, own=self._own, custom=custom)
        sent["name"] = call_token(call.name)[:MAX_NAME] or _NAMELESS
        if custom:
            sent["input"] = arguments["input"]
        else:
            sent["arguments"] = msgspec.json.encode(arguments).decode()
        self._add(sent | facts)

    def generic(self, item: ChatResponseGenericContentItem) -> None:
        """An item of the API's own, or a part of a message that is no text."""
        if not self._own or not as_text(item.block.get("type")):
            return
        if "message_id" not in item.metadata:
            self._add(item.block)
        elif self._id(item.metadata["message_id"]):
            self._add_parts(item.metadata["message_id"], [item.block], {})


_ITEMS: dict[type, Callable[[_Answer, Any], None]] = {
    ChatResponseTextContentItem: _Answer.text,
    ChatResponseStructuredOutputContentItem: _Answer.text,
    ChatResponseReasoningContentItem: _Answer.reasoning,
    ChatResponseToolCallContentItem: _Answer.call,
    ChatResponseGenericContentItem: _Answer.generic,
}


def _said(text: str) -> Dict:
    return {"role": "assistant", "content": text}


def _part(kind: str, part: ChatMessageContentPart) -> Dict:
    return {"type": kind, "text": part.text or ""}


def _output_part(part: ChatMessageContentPart) -> Dict:
    if part.type == "refusal":
        return {"type": "refusal", "refusal": part.text or ""}
    return _part("output_text", part) | {"annotations": part.annotations or []}


def _without_loose_ends(items: Items) -> Items:
    """The items without calls that nothing answers, and reasoning that nothing follows."""
    answered = {item.get("call_id") for item in items if _kind(item).endswith("_output")}
    kept = [
        item
        for item in items
        if _kind(item) not in _CLIENT_CALLS or item.get("call_id") in answered
    ]
    while kept and _kind(kept[-1]) == "reasoning":
        kept.pop()
    return kept


def _kind(item: Dict) -> str:
    return as_text(item.get("type"))
