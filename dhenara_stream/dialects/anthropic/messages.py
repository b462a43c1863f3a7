"""The conversation as the Messages API takes it: turns in, messages out.

The rules of the API, and what is done to keep them:

- Roles alternate; a turn that comes out empty is dropped, and its neighbours become one.
- Text is more than white space. The conversation's last text, if the assistant's, ends without.
- Tool results stand first in the user's turn. A call's id is of ``[a-zA-Z0-9_-]`` and occurs
  once; ids that are not are rewritten, on both sides.
- A call's input is an object. Arguments that did not parse go as ``{"INVALID_JSON": text}``.
- Thinking goes back byte for byte with its signature, and only to where it came from. An
  assistant's turn does not end with it.
- Blocks of the maker's own (hosted tools, compaction) go back as they came, to their maker. A
  hosted tool's call without its result stands in the last turn only, which the model continues,
  or before the results of the caller's own tools.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from dhenara_stream.core.conversation import TextPart, Turn
from dhenara_stream.dialects.drafting import (
    IMAGES,
    INVALID_JSON,
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
from dhenara_stream.types.genai.ai_model import BaseAIModel
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

__all__ = ["build_messages", "is_prefill", "lacks_thinking", "without_thinking"]

Dict = dict[str, Any]
Blocks = list[Dict]

_THINKING = ("thinking", "redacted_thinking")
_CALL_FIELDS = ("caller", "toolset_name")

# What a block of a tool result must have beside its type.
_RESULT_BLOCKS = {
    "text": "text",
    "image": "source",
    "document": "source",
    "search_result": "source",
    "tool_reference": "tool_name",
}


def build_messages(turns: Sequence[Turn], model: BaseAIModel) -> list[Dict]:
    """The messages that say what the turns say.

    Raises:
        ConfigError: If they cannot be sent.
    """
    ids = CallIds()
    messages: list[Dict] = []
    for i, turn in enumerate(turns):
        if turn.role == "user":
            content = _user(turn, ids)
        else:
            content = _assistant(turn, ids, model, last=i == len(turns) - 1)
        if content and messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += content
        elif content:
            messages.append({"role": turn.role, "content": content})
    if not messages:
        raise ConfigError("messages: nothing in them can be sent")
    if messages[0]["role"] == "assistant":
        raise ConfigError("messages: the conversation must begin with the user, not the assistant")
    if messages[-1]["role"] == "assistant":
        _strip_end(messages[-1]["content"])
    return messages


def is_prefill(messages: Sequence[Dict]) -> bool:
    """Whether the model is asked to go on with text of the assistant's.

    An answer that paused ends with a hosted tool: that is no such text.
    """
    last = messages[-1]
    return bool(last["role"] == "assistant" and last["content"][-1]["type"] == "text")


def lacks_thinking(messages: Sequence[Dict]) -> bool:
    """Whether the assistant's turn under way, tool calls and all, began without thinking."""
    under_way = list(itertools.takewhile(_is_of_turn_under_way, reversed(messages)))
    return bool(under_way) and under_way[-1]["content"][0]["type"] not in _THINKING


def _is_of_turn_under_way(message: Dict) -> bool:
    results = any(block["type"] == "tool_result" for block in message["content"])
    return message["role"] == "assistant" or results


def without_thinking(blocks: Blocks) -> Blocks:
    """The blocks without thinking."""
    return [block for block in blocks if block["type"] not in _THINKING]


# --- the user's turn


def _user(turn: Turn, ids: CallIds) -> Blocks:
    blocks = [block for part in turn.parts for block in _PARTS[type(part)](part, ids)]
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _text_part(part: TextPart, ids: CallIds) -> Blocks:
    return _text(part.text, cache_mark(part.cache_control))


def _text(text: str, fields: Dict) -> Blocks:
    return [{"type": "text", "text": text} | fields] if text.strip() else []


def _tool_result(result: ToolCallResult, ids: CallIds) -> Blocks:
    block: Dict = {"type": "tool_result", "tool_use_id": ids.of_result(result.call_id)}
    content = _result_content(result)
    if not content and result.is_error:
        content = NO_MESSAGE
    if content:
        block["content"] = content
    failed = {"is_error": True} if result.is_error else {}
    return [block | failed | cache_mark(result.cache_control)]


def _result_content(result: ToolCallResult) -> str | Blocks:
    output = result.output
    if output is None:
        return ""
    if isinstance(output, list) and output and all(map(_is_result_block, output)):  # pyright: ignore[reportUnknownArgumentType]
        blocks: Blocks = output  # pyright: ignore[reportUnknownVariableType]
        return [block for block in blocks if block.get("text", "a block").strip()]
    text = result.as_text()
    return text if text.strip() else ""


def _is_result_block(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    kind: Any = value.get("type")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return isinstance(kind, str) and _RESULT_BLOCKS.get(kind) in value


def _file(file: FilePayload, ids: CallIds) -> Blocks:
    kind = media_type(file)
    mark = cache_mark(file.cache_control)
    if kind in IMAGES:
        return [{"type": "image", "source": _source(file, kind)} | mark]
    if kind == PDF:
        source = _source(file, kind)
    elif file.is_text:
        source = _text_source(file)
    else:
        raise ConfigError(
            f"file {file.name!r}: media type {file.media_type!r} cannot be sent to this model; "
            f"it takes {', '.join(IMAGES)}, {PDF} and text (is the type right? it can be given)"
        )
    title: Dict = {"title": file.name} if file.name else {}
    return [{"type": "document", "source": source} | title | mark]


def _source(file: FilePayload, kind: str) -> Dict:
    if file.url is not None:
        return {"type": "url", "url": file.url}
    return {"type": "base64", "media_type": kind, "data": file_data(file)}


def _text_source(file: FilePayload) -> Dict:
    if file.url is not None:
        raise ConfigError(
            f"file {file.name!r}: a text file cannot be sent as a URL; read it and send its content"
        )
    if not file.text().strip():
        raise ConfigError(f"file {file.name!r}: is empty")
    return {"type": "text", "media_type": "text/plain", "data": file.text()}


_PARTS: dict[type, Callable[[Any, CallIds], Blocks]] = {
    TextPart: _text_part,
    ToolCallResult: _tool_result,
    FilePayload: _file,
}


# --- the assistant's turn


class _Replay(NamedTuple):
    own: bool  # the model's maker made the answer, too
    thinking: bool
    ids: CallIds


def _assistant(turn: Turn, ids: CallIds, model: BaseAIModel, last: bool) -> Blocks:
    ids.begin_turn()
    blocks: Blocks = []
    for part in turn.parts:
        if isinstance(part, ChatResponse):
            blocks += _response(part, ids, model)
        elif isinstance(part, TextPart):
            blocks += _text_part(part, ids)
        else:
            raise ConfigError(f"messages: {part.name!r} cannot stand in a turn of the assistant's")
    if not last:
        blocks = _without_open_hosted_calls(blocks)
    while blocks and blocks[-1]["type"] in _THINKING:
        blocks.pop()
    return blocks


def _response(response: ChatResponse, ids: CallIds, model: BaseAIModel) -> Blocks:
    own = response.provider == model.provider
    replay = _Replay(own, own and model.get_settings().supports_reasoning, ids)
    contents = (response.choices[0].contents if response.choices else None) or []
    return [block for item in contents for block in _ITEMS[type(item)](item, replay)]


def _text_item(item: ChatResponseTextContentItem, replay: _Replay) -> Blocks:
    blocks: Blocks = []
    for part in item.message_contents or []:
        cited = replay.own and part.annotations
        blocks += _text(part.text or "", {"citations": part.annotations} if cited else {})
    return blocks


def _reasoning(item: ChatResponseReasoningContentItem, replay: _Replay) -> Blocks:
    data = item.metadata.get("redacted_thinking_data")
    if not replay.thinking:
        return []
    if data is not None:
        return [{"type": "redacted_thinking", "data": data}]
    if item.thinking_signature is None:
        return []
    text = "".join(part.text or "" for part in item.message_contents or [])
    return [{"type": "thinking", "thinking": text, "signature": item.thinking_signature}]


def _tool_call(item: ChatResponseToolCallContentItem, replay: _Replay) -> Blocks:
    call = item.tool_call
    block: Dict = {
        "type": "tool_use",
        "id": replay.ids.of_call(call.call_id),
        "name": call_token(call.name),
        "input": call_input(call),
    }
    fields = _CALL_FIELDS if replay.own else ()
    return [block | {name: call.metadata[name] for name in fields if name in call.metadata}]


def _generic(item: ChatResponseGenericContentItem, replay: _Replay) -> Blocks:
    if not replay.own or "type" not in item.block:
        return []
    block = dict(item.block)
    if isinstance(block.get("input"), str):
        block["input"] = {INVALID_JSON: block["input"]}
    return [block]


_ITEMS: dict[type, Callable[[Any, _Replay], Blocks]] = {
    ChatResponseTextContentItem: _text_item,
    ChatResponseStructuredOutputContentItem: _text_item,
    ChatResponseReasoningContentItem: _reasoning,
    ChatResponseToolCallContentItem: _tool_call,
    ChatResponseGenericContentItem: _generic,
}


def _without_open_hosted_calls(blocks: Blocks) -> Blocks:
    if any(block["type"] == "tool_use" for block in blocks):
        return blocks
    answered = {block.get("tool_use_id") for block in blocks}
    return [
        block
        for block in blocks
        if not block["type"].endswith("_tool_use") or block.get("id") in answered
    ]


def _strip_end(blocks: Blocks) -> None:
    if blocks[-1]["type"] == "text":
        blocks[-1] = blocks[-1] | {"text": blocks[-1]["text"].rstrip()}
