"""Recorded answers of the Responses API: what only they have."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from corpus import Recording

from dhenara_stream.dialects.openai_responses import OpenAIResponsesDialect
from dhenara_stream.types.genai.dhenara.response import (
    ChatResponseGenericContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCall,
    ChatResponseToolCallContentItem,
)

from .answers import Answers, Dict, Pairs, Reading, first_told, told


def counts(usage: Dict) -> tuple[int | None, ...]:
    return (
        told(usage, "input_tokens"),
        told(usage, "output_tokens"),
        told(usage, "total_tokens"),
        first_told(usage, "output_tokens_details.reasoning_tokens"),
        first_told(usage, "input_tokens_details.cached_tokens"),
        first_told(usage, "input_tokens_details.cache_write_tokens"),
    )


def own(recording: Recording, reading: Reading) -> Pairs:
    """Every item of the output, as it was told last; and the whole usage."""
    usage = reading.response.usage
    contents = reading.response.choices[0].contents or []
    return {
        "items": (
            list(map(comparable, items_of(contents))),
            list(map(comparable, told_items(recording))),
        ),
        "whole usage": (usage and usage.native, recording.expected["usage"]),
    }


def told_items(recording: Recording) -> list[Dict]:
    """The output of a recorded response: that of its last event, else its items one by one."""
    lines = [s[6:] for s in recording.body.split(b"\n") if s.startswith(b"data: {")]
    events: list[Dict] = []
    for line in lines:
        with suppress(ValueError):
            events.append(json.loads(line))
    output = events[-1].get("response", {}).get("output")
    return output or [e["item"] for e in events if e["type"] == "response.output_item.done"]


def comparable(item: Dict) -> Dict:
    """An item without what is empty; arguments parsed."""
    kept = {key: value for key, value in item.items() if value is not None}
    if item["type"] in ("message", "reasoning"):
        parts: list[Dict] = item.get("content") or []
        kept["content"] = [{k: v for k, v in p.items() if v not in (None, [])} for p in parts]
    if item["type"] == "function_call" and isinstance(item["arguments"], str):
        with suppress(ValueError):
            kept["arguments"] = json.loads(item["arguments"])
    return kept


def items_of(contents: Iterable[Any]) -> list[Dict]:
    """The items of the protocol that the blocks of an answer stand for."""
    items: list[Dict] = []
    for block in contents:
        if isinstance(block, ChatResponseGenericContentItem):
            items.append(block.block)
        elif isinstance(block, ChatResponseToolCallContentItem):
            items.append(call_item(block.tool_call))
        elif isinstance(block, ChatResponseReasoningContentItem):
            items.append(reasoning_item(block))
        else:
            message, part = message_item(block)
            if not items or items[-1].get("id") != message["id"]:
                items.append(message)
            items[-1]["content"].append(part)
    return items


def call_item(call: ChatResponseToolCall) -> Dict:
    facts = {"id": call.id, "call_id": call.call_id, "name": call.name, **call.metadata}
    return {**facts, "type": "function_call", "arguments": call.raw_arguments or call.arguments}


def reasoning_item(block: ChatResponseReasoningContentItem) -> Dict:
    text = [part.text for part in block.message_contents or []]
    return {
        "type": "reasoning",
        "id": block.thinking_id,
        "summary": [{"type": p.type, "text": p.text} for p in block.thinking_summary or []],
        "content": [{"type": "reasoning_text", "text": one} for one in text],
        "encrypted_content": block.thinking_signature,
        **block.metadata,
    }


def message_item(block: ChatResponseTextContentItem) -> tuple[Dict, Dict]:
    (part,) = block.message_contents or []
    facts = dict(block.metadata)
    key = "refusal" if part.type == "refusal" else "text"
    made = {"type": part.type, key: part.text, "annotations": part.annotations}
    made["logprobs"] = facts.pop("logprobs", None)
    message: Dict = {"type": "message", "role": "assistant", "id": block.message_id, "content": []}
    return message | facts, made


# A marker of another protocol after the end; and in the one that is no JSON, what is no event.
ANSWERS = Answers(
    "openai-responses",
    OpenAIResponsesDialect(),
    counts,
    own,
    skips=frozenset({"done_marker", "non_json_data"}),
)
