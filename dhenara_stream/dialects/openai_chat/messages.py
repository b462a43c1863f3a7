"""The conversation as Chat Completions takes it: turns in, messages out.

The rules of the API, and what is done to keep them:

- Each turn of the assistant's is one message: its texts, then its calls. A call's result is a
  message right after it, for which the API knows no mark of failure: that is told in words.
- A call's arguments are the text of a JSON object. Those that did not parse go as
  ``{"INVALID_JSON": text}``.
- Ids of calls go back as they came to where they came from. Others are made of letters that
  every server takes, and no longer than OpenAI takes.
- Text goes as one string where nothing else stands beside it, for not all servers take parts.
- Reasoning goes back to the model's maker only, if the server wants it at all, in the form that
  ``Quirks`` says. Of blocks of other kinds only sound goes back, by its id.
- A turn that comes out empty is dropped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from dhenara_stream.core.conversation import TextPart, Turn
from dhenara_stream.dialects.drafting import (
    IMAGES,
    NO_MESSAGE,
    PDF,
    CallIds,
    cache_mark,
    call_input,
    call_token,
    file_data,
    media_type,
)
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum, BaseAIModel
from dhenara_stream.types.genai.dhenara.request import SystemInstruction, ToolCallResult
from dhenara_stream.types.genai.dhenara.response import (
    ChatResponse,
    ChatResponseGenericContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseStructuredOutputContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCallContentItem,
)
from dhenara_stream.types.shared.file import FilePayload

from .quirks import Quirks

__all__ = ["BRIDGE", "MAX_NAME", "UNKNOWN_REASONING", "Place", "build_messages", "system_content"]

Dict = dict[str, Any]
Parts = list[Dict]

UNKNOWN_REASONING = " "
"""Stands for reasoning that must be there and is not known."""

BRIDGE = "Noted."
"""Said by the assistant where the user may not speak right after a tool."""

MAX_NAME = 64  # of a tool
_MAX_ID = 40
_NAMELESS = "unknown"
_SOUNDS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
_SEPARATOR = "\n\n"


class Place(NamedTuple):
    """Where the messages go.

    Attributes:
        model: The model.
        quirks: What the server takes.
        reasons: Whether the model reasons in this call.
    """

    model: BaseAIModel
    quirks: Quirks
    reasons: bool


def system_content(
    instructions: Sequence[SystemInstruction], more: str, quirks: Quirks
) -> str | Parts:
    """The text or the parts of the instructions; ``more`` is told after them."""
    texts = [(item.get_formatted_text(), item.cache_control) for item in instructions]
    texts = [(text, mark) for text, mark in texts if text.strip()]
    if quirks.cache_marks and any(mark for _, mark in texts):
        parts = [_text(text) | cache_mark(mark) for text, mark in texts]
        return [*parts, *([_text(more)] if more else [])]
    told = " ".join(text for text, _ in texts)
    return _SEPARATOR.join(filter(None, [told, more]))


def build_messages(turns: Sequence[Turn], place: Place) -> list[Dict]:
    """The messages that say what the turns say.

    Raises:
        ConfigError: If they cannot be sent.
    """
    ids = _Ids(place.quirks)
    messages: list[Dict] = []
    for turn in turns:
        made = _user(turn, ids, place) if turn.role == "user" else _said(turn, ids, place)
        for message in made:
            _append(messages, message, place.quirks)
    if not messages:
        raise ConfigError("messages: nothing in them can be sent")
    if place.quirks.strict_turns and messages[0]["role"] == "assistant":
        raise ConfigError("messages: the conversation must begin with the user, not the assistant")
    return messages


def _append(messages: list[Dict], message: Dict, quirks: Quirks) -> None:
    before = messages[-1]["role"] if messages else ""
    if message["role"] == "user" == before:  # what the assistant said between was nothing
        messages[-1]["content"] = _joined(messages[-1]["content"], message["content"])
        return
    if message["role"] == "user" and before == "tool" and quirks.strict_turns:
        messages.append({"role": "assistant", "content": BRIDGE})
    messages.append(message)


def _joined(content: str | Parts, more: str | Parts) -> str | Parts:
    if isinstance(content, str) and isinstance(more, str):
        return content + _SEPARATOR + more
    return [part for one in (content, more) for part in _parts(one)]


def _parts(content: str | Parts) -> Parts:
    return [_text(content)] if isinstance(content, str) else content


class _Ids(CallIds):
    """Ids that the server takes, unique within their turn."""

    def __init__(self, quirks: Quirks) -> None:
        super().__init__()
        self._form = quirks.call_ids

    def begin_turn(self) -> None:
        super().begin_turn()
        self._used.clear()

    def fitted(self, call_id: str | None, number: int, *, own: bool) -> str:
        wanted = call_id or "call"
        if self._form == "alnum9":
            fits = number == 1 and re.fullmatch("[a-zA-Z0-9]{9}", wanted)
            return wanted if fits else hashlib.sha256(f"{wanted}#{number}".encode()).hexdigest()[:9]
        ending = "" if number == 1 else f"_{number}"
        if own:
            return wanted + ending
        return call_token(wanted)[: _MAX_ID - len(ending)] + ending


# --- the user's turn


def _text(text: str) -> Dict:
    return {"type": "text", "text": text}


def _user(turn: Turn, ids: CallIds, place: Place) -> list[Dict]:
    results = [_result(part, ids) for part in turn.parts if isinstance(part, ToolCallResult)]
    parts = [_part(part, place.quirks) for part in turn.parts if _is_said(part)]
    return [*results, *([{"role": "user", "content": _content(parts)}] if parts else [])]


def _is_said(part: Any) -> bool:
    blank = isinstance(part, TextPart) and not part.text.strip()
    return not blank and not isinstance(part, ToolCallResult)


def _content(parts: Parts) -> str | Parts:
    if all(part.keys() == {"type", "text"} for part in parts):
        return _SEPARATOR.join(part["text"] for part in parts)
    return parts


def _result(result: ToolCallResult, ids: CallIds) -> Dict:
    text = _result_text(result.output) or ("" if result.output is None else result.as_text())
    if result.is_error:
        text = f"Error: {text if text.strip() else NO_MESSAGE}"
    return {"role": "tool", "tool_call_id": ids.of_result(result.call_id), "content": text}


def _result_text(output: Any) -> str:
    """The text of a list of parts that are all text; nothing for another output."""
    if not isinstance(output, list):
        return ""
    texts: list[Any] = [
        part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None  # pyright: ignore[reportUnknownMemberType]
        for part in output  # pyright: ignore[reportUnknownVariableType]
    ]
    return _SEPARATOR.join(texts) if all(isinstance(text, str) for text in texts) else ""


def _part(part: Any, quirks: Quirks) -> Dict:
    made = _text(part.text) if isinstance(part, TextPart) else _file(part, quirks)
    return made | (cache_mark(part.cache_control) if quirks.cache_marks else {})


def _file(file: FilePayload, quirks: Quirks) -> Dict:
    kind = media_type(file)
    if kind in IMAGES and quirks.images != "none":
        return {"type": "image_url", "image_url": {"url": _image_url(file, kind, quirks)}}
    if kind == PDF and quirks.pdfs != "none":
        return _pdf(file, quirks)
    if kind in _SOUNDS and quirks.audio:
        return {"type": "input_audio", "input_audio": _sound(file, kind)}
    if file.is_text:
        return _text(_file_text(file))
    raise ConfigError(
        f"file {file.name!r}: media type {file.media_type!r} cannot be sent to this model; it "
        f"takes {', '.join([*_taken(quirks), 'text'])} (is the type right? it can be given)"
    )


def _taken(quirks: Quirks) -> Iterator[str]:
    yield from IMAGES if quirks.images != "none" else ()
    yield from (PDF,) if quirks.pdfs != "none" else ()
    yield from ("audio/wav", "audio/mpeg") if quirks.audio else ()


def _data_url(file: FilePayload, kind: str) -> str:
    return f"data:{kind};base64,{file_data(file)}"


def _no_address(file: FilePayload) -> ConfigError:
    return ConfigError(
        f"file {file.name!r}: cannot be sent as a URL here; read it and send its content"
    )


def _image_url(file: FilePayload, kind: str, quirks: Quirks) -> str:
    if file.url is not None and quirks.images == "data":
        raise _no_address(file)
    return file.url or _data_url(file, kind)


def _pdf(file: FilePayload, quirks: Quirks) -> Dict:
    if file.url is not None and quirks.pdfs == "file":
        raise _no_address(file)
    source = file.url or _data_url(file, PDF)
    if quirks.pdfs == "document_url":
        return {"type": "document_url", "document_url": source, "document_name": file.name}
    return {"type": "file", "file": {"filename": file.name or "file.pdf", "file_data": source}}


def _sound(file: FilePayload, kind: str) -> Dict:
    if file.url is not None:
        raise _no_address(file)
    return {"data": file_data(file), "format": _SOUNDS[kind]}


def _file_text(file: FilePayload) -> str:
    if file.url is not None:
        raise _no_address(file)
    if not file.text().strip():
        raise ConfigError(f"file {file.name!r}: is empty")
    return f"{file.name}:\n{file.text()}" if file.name else file.text()


# --- the assistant's turn


class _Answer:
    """What is collected of a turn of the assistant's."""

    def __init__(self, ids: CallIds, model: BaseAIModel) -> None:
        self.ids = ids
        self.model = model
        self.own = False  # whether the model's maker made what is being read, too
        self.texts: list[str] = []
        self.pieces: list[str] = []  # of the text of the answer that is being read
        self.refusals: list[str] = []
        self.reasoning: list[ChatResponseReasoningContentItem] = []
        self.calls: list[Dict] = []
        self.audio: Dict = {}

    def read(self, response: ChatResponse) -> None:
        """Take in an answer."""
        self.own = _is_own(response, self.model)
        contents = (response.choices[0].contents if response.choices else None) or []
        self.pieces = []
        for item in contents:
            _ITEMS[type(item)](self, item)
        self.texts.append("".join(self.pieces))

    def text(self) -> str:
        """All that was said, but for refusals."""
        return _SEPARATOR.join(text for text in self.texts if text.strip())


def _is_own(response: ChatResponse, model: BaseAIModel) -> bool:
    if response.provider != model.provider:
        return False
    # Of whose make a custom model is, its name alone says.
    return model.provider != AIModelProviderEnum.CUSTOM or response.model == model.model_name


def _said(turn: Turn, ids: CallIds, place: Place) -> list[Dict]:
    ids.begin_turn()
    answer = _Answer(ids, place.model)
    for part in turn.parts:
        if isinstance(part, ChatResponse):
            answer.read(part)
        elif isinstance(part, TextPart):
            answer.texts.append(part.text)
        else:
            raise ConfigError(f"messages: {part.name!r} cannot stand in a turn of the assistant's")
    return list(_message(answer, place))


def _message(answer: _Answer, place: Place) -> Iterator[Dict]:
    quirks = place.quirks
    fields, thoughts = _reasoning(answer, place)
    refusal = "".join(answer.refusals)
    text = answer.text()
    if refusal and quirks.refusals:
        fields["refusal"] = refusal
    else:
        text = _SEPARATOR.join(filter(None, [text, refusal]))
    if answer.audio:
        fields["audio"] = answer.audio
    if answer.calls:
        fields["tool_calls"] = answer.calls
    content: Any = [*thoughts, *([_text(text)] if text else [])] if thoughts else text
    if content or fields.keys() & {"refusal", "audio", "tool_calls"}:
        yield {"role": "assistant"} | _with_content(content, quirks) | fields


def _with_content(content: Any, quirks: Quirks) -> Dict:
    if not content and quirks.empty_content == "absent":
        return {}
    return {"content": content or (None if quirks.empty_content == "null" else "")}


# --- its reasoning


def _reasoning(answer: _Answer, place: Place) -> tuple[Dict, Parts]:
    """The fields that hold the reasoning, and the parts of the content that do."""
    quirks = place.quirks
    wanted = {"never": False, "tool_turns": bool(answer.calls), "always": True}
    if not wanted[quirks.reasoning_replay]:
        return {}, []
    items = answer.reasoning
    form = quirks.reasoning_field
    received = items[0].metadata.get("reasoning_field") if items else None
    if form == "received" and received is not None:
        form = received
    fields, parts = _FORMS.get(form, _no_reasoning)(items)
    if not fields and quirks.reasoning_required and answer.calls and place.reasons:
        fields = {"reasoning_content": UNKNOWN_REASONING}
    return fields, parts


def _no_reasoning(items: list[ChatResponseReasoningContentItem]) -> tuple[Dict, Parts]:
    return {}, []


def _thought(items: list[ChatResponseReasoningContentItem]) -> str:
    return "".join(part.text or "" for item in items for part in item.message_contents or [])


def _as_content(items: list[ChatResponseReasoningContentItem]) -> tuple[Dict, Parts]:
    text = _thought(items)
    return ({"reasoning_content": text} if text else {}), []


def _as_reasoning(items: list[ChatResponseReasoningContentItem]) -> tuple[Dict, Parts]:
    text = _thought(items)
    return ({"reasoning": text} if text else {}), []


def _as_details(items: list[ChatResponseReasoningContentItem]) -> tuple[Dict, Parts]:
    details = [detail for item in items for detail in item.metadata.get("reasoning_details", ())]
    if details:
        return {"reasoning_details": details}, []
    # Without details only what came without them can be sent.
    return _as_reasoning([item for item in items if "reasoning_field" in item.metadata])


def _as_thinking(items: list[ChatResponseReasoningContentItem]) -> tuple[Dict, Parts]:
    parts: Parts = []
    for item in items:
        text, signature = _thought([item]), item.thinking_signature
        if text or signature:
            part: Dict = {"type": "thinking", "thinking": [_text(text)] if text else []}
            parts.append(part | ({"signature": signature} if signature else {}))
    return {}, parts


_FORMS: dict[str, Callable[[list[ChatResponseReasoningContentItem]], tuple[Dict, Parts]]] = {
    "reasoning_content": _as_content,
    "reasoning": _as_reasoning,
    "reasoning_details": _as_details,
    "thinking": _as_thinking,
}


# --- its blocks


def _read_text(answer: _Answer, item: ChatResponseTextContentItem) -> None:
    for part in item.message_contents or []:
        if part.type == "refusal":
            answer.refusals.append(part.text or "")
        else:
            answer.pieces.append(part.text or "")


def _read_reasoning(answer: _Answer, item: ChatResponseReasoningContentItem) -> None:
    if answer.own:
        answer.reasoning.append(item)


def _read_call(answer: _Answer, item: ChatResponseToolCallContentItem) -> None:
    call = item.tool_call
    made: Dict = {"id": answer.ids.of_call(call.call_id, own=answer.own)}
    name = call_token(call.name)[:MAX_NAME] or _NAMELESS
    if answer.own and call.metadata.get("type") == "custom":
        text = call.arguments.get("input", call.raw_arguments or "")
        made |= {"type": "custom", "custom": {"name": name, "input": text}}
    else:
        arguments = msgspec.json.encode(call_input(call)).decode()
        made |= {"type": "function", "function": {"name": name, "arguments": arguments}}
    if answer.own and "extra_content" in call.metadata:  # of Gemini's: signatures
        made["extra_content"] = call.metadata["extra_content"]
    answer.calls.append(made)


def _read_block(answer: _Answer, item: ChatResponseGenericContentItem) -> None:
    if answer.own and item.block_type == "audio" and "id" in item.block:
        answer.audio = {"id": item.block["id"]}


_ITEMS: dict[type, Callable[[_Answer, Any], None]] = {
    ChatResponseTextContentItem: _read_text,
    ChatResponseStructuredOutputContentItem: _read_text,
    ChatResponseReasoningContentItem: _read_reasoning,
    ChatResponseToolCallContentItem: _read_call,
    ChatResponseGenericContentItem: _read_block,
}
