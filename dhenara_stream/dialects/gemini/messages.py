"""The conversation as the Gemini API takes it: turns in, contents out.

The rules of the API, and what is done to keep them:

- The user begins, and the roles alternate; a turn that comes out empty is dropped, and its
  neighbours become one. A text from elsewhere that is only white space says nothing.
- Function responses stand first in the user's turn, as many as there were calls, in their order:
  calls without ids are told apart by it. Each has the name of its call, and its id if this place
  gave one: ids of ours, and those of others, are not sent. Its response is an object.
- A call's arguments are an object. Those that did not parse go as ``{"INVALID_JSON": text}``.
- Signatures go back byte for byte on the part that had them, and only to the place that made them:
  no other can read them. Thoughts, and parts of the API's own (code that it ran, media that it
  made), go back to their maker; parts that are not known here, only to their place.
- In the turn under way, which began when the user last spoke, the first call of each answer must
  have a signature, where the model takes an effort; one that has none gets ``PLACEHOLDER``
  (https://ai.google.dev/gemini-api/docs/thought-signatures). Models that do not think get none.
- What the API's own tools did goes back only as a whole, to a place that takes it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from dhenara_stream.core.conversation import TextPart, Turn
from dhenara_stream.dialects.drafting import (
    NO_MESSAGE,
    PDF,
    call_input,
    file_data,
    media_type,
)
from dhenara_stream.dialects.values import Dict, as_text
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import AIModelEndpoint, AIModelProviderEnum
from dhenara_stream.types.genai.dhenara.request import ToolCallResult
from dhenara_stream.types.genai.dhenara.response import (
    ChatResponse,
    ChatResponseGenericContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseStructuredOutputContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCallContentItem,
)
from dhenara_stream.types.shared.file import FilePayload

from .wire import OWN_CALL_ID, SIGNED_SPAN

__all__ = ["PLACEHOLDER", "build_contents", "is_prefill"]

Parts = list[Dict]

PLACEHOLDER = "skip_thought_signature_validator"
"""The signature of calls that the API did not make itself, or not in this place."""

MAX_NAME = 128

_IMAGES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
_MEDIA = ("audio/", "video/")
_TEXTS = (
    *("text/plain", "text/html", "text/css", "text/csv", "text/markdown", "text/xml", "text/rtf"),
    "text/javascript",
)
_UNKNOWN = "application/octet-stream"

# Of a part, beside what it holds.
_SIDE_FIELDS = ("thought", "partMetadata", "videoMetadata", "mediaResolution")
_SERVER_SIDE = ("toolCall", "toolResponse")
# What every place takes of what another one has made.
_ANYWHERE = ("executableCode", "codeExecutionResult", "inlineData", "fileData")


def build_contents(
    turns: Sequence[Turn], endpoint: AIModelEndpoint, *, server_side_tools: bool
) -> list[Dict]:
    """The contents that say what the turns say.

    Args:
        turns: The conversation.
        endpoint: Where it goes.
        server_side_tools: Whether what the API's own tools did may go back.

    Raises:
        ConfigError: If they cannot be sent.
    """
    calls = _Calls()
    contents: list[Dict] = []
    for turn in turns:
        if turn.role == "user":
            role, parts = "user", _user(turn, calls)
        else:
            role, parts = "model", _model(turn, calls, endpoint, server_side_tools)
        if parts and contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    if not contents:
        raise ConfigError("messages: nothing in them can be sent")
    if contents[0]["role"] == "model":
        raise ConfigError("messages: the conversation must begin with the user, not the assistant")
    settings = endpoint.ai_model.get_settings()
    if settings.supports_reasoning and settings.reasoning_control == "effort":
        _sign_calls(contents)
    return contents


def is_prefill(contents: Sequence[Dict]) -> bool:
    """Whether the model is asked to go on with its own turn."""
    return bool(contents[-1]["role"] == "model")


def _sign_calls(contents: list[Dict]) -> None:
    for content in itertools.takewhile(_is_of_turn_under_way, reversed(contents)):
        calls = [part for part in content["parts"] if "functionCall" in part]
        for first in calls[:1]:
            first.setdefault("thoughtSignature", PLACEHOLDER)


def _is_of_turn_under_way(content: Dict) -> bool:
    answers = any("functionResponse" in part for part in content["parts"])
    return content["role"] == "model" or answers


class _Made(msgspec.Struct):
    """A call of the turn before, as it was sent."""

    call_id: str | None
    name: str
    sent_id: str | None
    response: Dict | None = None


class _Calls:
    """The calls of the turn before, and what answers them."""

    def __init__(self) -> None:
        self._made: list[_Made] = []

    def begin_turn(self) -> None:
        """Forget the calls of the turn before."""
        self._made = []

    def make(self, call_id: str | None, name: str, sent_id: str | None) -> None:
        """Remember a call."""
        self._made.append(_Made(call_id, name, sent_id))

    def answer(self, result: ToolCallResult) -> None:
        """Answer a call.

        Raises:
            ConfigError: If it has not been made, or is answered.
        """
        for made in self._made:
            if made.call_id == result.call_id and made.response is None:
                made.response = _response(result)
                return
        raise ConfigError(
            f"messages: the ToolCallResult for {result.call_id!r} answers no tool call of the "
            "turn before it"
        )

    def responses(self) -> Parts:
        """The answers, in the order of the calls."""
        return [
            {"functionResponse": _with_id(made.sent_id, name=made.name, response=made.response)}
            for made in self._made
            if made.response is not None
        ]


def _with_id(sent_id: str | None, **fields: Any) -> Dict:
    return {"id": sent_id, **fields} if sent_id else fields


# --- the user's turn


def _user(turn: Turn, calls: _Calls) -> Parts:
    parts: Parts = []
    for part in turn.parts:
        if isinstance(part, ToolCallResult):
            calls.answer(part)
        elif isinstance(part, TextPart):
            parts += _text(part.text)
        elif isinstance(part, FilePayload):
            parts.append(_file(part))
        else:
            raise ConfigError("messages: a ChatResponse cannot stand in a turn of the user's")
    parts = calls.responses() + parts
    calls.begin_turn()
    return parts


def _text(text: str) -> Parts:
    return [{"text": text}] if text.strip() else []


def _response(result: ToolCallResult) -> Dict:
    output: Any = result.output
    if output is not None and not isinstance(output, str):
        output = msgspec.json.decode(result.as_text())
    if result.is_error:
        return {"error": NO_MESSAGE if output in (None, "") else output}
    if isinstance(output, dict) and not output.keys() & {"output", "error"}:
        return output  # pyright: ignore[reportUnknownVariableType]
    return {"output": "" if output is None else output}


def _file(file: FilePayload) -> Dict:
    kind = media_type(file)
    text = file.is_text or kind in _TEXTS
    if not (text or kind in (*_IMAGES, PDF) or kind.startswith(_MEDIA)):
        if file.url is not None and kind == _UNKNOWN:  # the API looks for itself
            return {"fileData": {"fileUri": file.url}}
        raise ConfigError(
            f"file {file.name!r}: media type {file.media_type!r} cannot be sent to this model; "
            f"it takes {', '.join(_IMAGES)}, {PDF}, audio, video and text (is the type right? it "
            "can be given)"
        )
    if file.url is not None:
        return {"fileData": {"mimeType": kind, "fileUri": file.url}}
    if text and not file.text().strip():
        raise ConfigError(f"file {file.name!r}: is empty")
    kind = "text/plain" if text and kind not in _TEXTS else kind
    return {"inlineData": {"mimeType": kind, "data": file_data(file)}}


# --- the model's turn


class _Replay(NamedTuple):
    calls: _Calls
    own: bool  # the model's maker made the answer, too
    here: bool  # and in this place
    thinks: bool
    server_side_tools: bool

    def signature(self, given: Any) -> Dict:
        """The field for a signature, where it can be read."""
        sent = self.here and self.thinks and as_text(given)
        return {"thoughtSignature": given} if sent else {}


def _model(turn: Turn, calls: _Calls, endpoint: AIModelEndpoint, server_side_tools: bool) -> Parts:
    calls.begin_turn()
    parts: Parts = []
    for part in turn.parts:
        if isinstance(part, ChatResponse):
            replay = _replay(part, calls, endpoint, server_side_tools)
            contents = (part.choices[0].contents if part.choices else None) or []
            parts += [sent for item in contents for sent in _ITEMS[type(item)](item, replay)]
        elif isinstance(part, TextPart):
            parts += _text(part.text)
        else:
            raise ConfigError(f"messages: {part.name!r} cannot stand in a turn of the assistant's")
    return parts if any(map(_says_something, parts)) else []


def _says_something(part: Dict) -> bool:
    return "functionCall" in part or not part.get("thought")


def _replay(
    response: ChatResponse, calls: _Calls, endpoint: AIModelEndpoint, server_side_tools: bool
) -> _Replay:
    model = endpoint.ai_model
    own = response.provider == model.provider
    if own and model.provider == AIModelProviderEnum.CUSTOM:
        own = response.model == model.model_name
    here = own and response.api_provider in (None, endpoint.api.provider)
    thinks = model.get_settings().supports_reasoning
    return _Replay(calls, own, here, thinks, server_side_tools and here and thinks)


def _text_item(item: ChatResponseTextContentItem, replay: _Replay) -> Parts:
    if not replay.own:
        return _text(item.get_text())
    # Output that came by a tool call was not signed as text.
    given = None if "tool_call" in item.metadata else item.metadata.get("thought_signature")
    return _signed_text(item, {}, replay.signature(given))


def _reasoning(item: ChatResponseReasoningContentItem, replay: _Replay) -> Parts:
    if not (replay.own and replay.thinks):
        return []
    return _signed_text(item, {"thought": True}, replay.signature(item.thinking_signature))


def _signed_text(item: ChatResponseTextContentItem, kind: Dict, signature: Dict) -> Parts:
    text = item.get_text()
    if not signature:
        return [{"text": text, **kind}] if text else []
    start, end = item.metadata.get(SIGNED_SPAN, (0, len(text)))
    before, after = text[:start], text[end:]
    return [
        *([{"text": before, **kind}] if before else []),
        {"text": text[start:end], **kind, **signature},
        *([{"text": after, **kind}] if after else []),
    ]


def _tool_call(item: ChatResponseToolCallContentItem, replay: _Replay) -> Parts:
    call = item.tool_call
    facts = call.metadata if replay.here else {OWN_CALL_ID: True}
    name = _function_name(call.name)
    sent_id = None if facts.get(OWN_CALL_ID) else call.call_id
    replay.calls.make(call.call_id, name, sent_id)
    part: Dict = {"functionCall": _with_id(sent_id, name=name, args=call_input(call))}
    part |= {field: facts[field] for field in _SIDE_FIELDS if field in facts}
    return [part | replay.signature(facts.get("thought_signature"))]


def _function_name(name: str) -> str:
    name = re.sub(r"[^a-zA-Z0-9_.:-]", "_", name) or "unknown"
    return (name if re.match("[a-zA-Z_]", name) else f"_{name}")[:MAX_NAME]


def _generic(item: ChatResponseGenericContentItem, replay: _Replay) -> Parts:
    part = dict(item.block)
    if replay.own and not replay.here:  # it may have come by another protocol, too
        part = {name: part[name] for name in _ANYWHERE if name in part}
    # A call that is none cannot be answered, either.
    if not replay.own or item.block_type == "functionCall":
        return []
    if any(name in part for name in _SERVER_SIDE) and not replay.server_side_tools:
        return []
    part |= replay.signature(part.pop("thoughtSignature", None))
    says = any(name not in _SIDE_FIELDS and value != "" for name, value in part.items())
    return [part] if says else []


_ITEMS: dict[type, Callable[[Any, _Replay], Parts]] = {
    ChatResponseTextContentItem: _text_item,
    ChatResponseStructuredOutputContentItem: _text_item,
    ChatResponseReasoningContentItem: _reasoning,
    ChatResponseToolCallContentItem: _tool_call,
    ChatResponseGenericContentItem: _generic,
}
