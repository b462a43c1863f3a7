"""Recorded answers of the Messages API: what only they have."""

from __future__ import annotations

from typing import Any

from corpus import Recording

from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.types.genai.dhenara.response import (
    ChatResponseGenericContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseToolCallContentItem,
)

from .answers import Answers, Dict, Pairs, Reading, first_told, told

PROMPT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def counts(usage: Dict) -> tuple[int | None, ...]:
    return (
        told(usage, *PROMPT),
        told(usage, "output_tokens"),
        told(usage, *PROMPT, "output_tokens"),
        first_told(usage, "output_tokens_details.thinking_tokens"),
        first_told(usage, "cache_read_input_tokens"),
        first_told(usage, "cache_creation_input_tokens"),
    )


def block_type(item: Any) -> str:
    """The type of the block that an item was."""
    if isinstance(item, ChatResponseGenericContentItem):
        return item.block_type
    if isinstance(item, ChatResponseToolCallContentItem):
        return "tool_use"
    if isinstance(item, ChatResponseReasoningContentItem):
        hidden = "redacted_thinking_data" in item.metadata
        return "redacted_thinking" if hidden else "thinking"
    return "text"


def own(recording: Recording, reading: Reading) -> Pairs:
    """Blocks, signatures, citations and calls of the provider's own tools."""
    extra = recording.expected["extra"]
    items: list[Any] = reading.response.choices[0].contents or []
    by_type: dict[str, list[Any]] = {}
    for item in items:
        by_type.setdefault(block_type(item), []).append(item)
    signatures = [item.thinking_signature for item in by_type.get("thinking", [])]
    hidden = [
        item.metadata["redacted_thinking_data"] for item in by_type.get("redacted_thinking", [])
    ]
    hosted = [i.block for i in items if block_type(i) in ("server_tool_use", "mcp_tool_use")]
    cited = [len(i.message_contents[0].annotations or []) for i in by_type.get("text", [])]
    wanted_hosted = extra.get("server_tool_calls", [])
    return {
        "block types": ([block_type(item) for item in items], extra["block_types"]),
        "signatures": ([s for s in signatures if s], extra.get("signatures", [])),
        "redacted thinking": (hidden, extra.get("redacted_thinking", [])),
        "citations": (cited, extra.get("citation_counts", [0] * len(cited))),
        "server tool calls": (
            [(block["id"], block["name"], block["input"]) for block in hosted],
            [(call["id"], call["name"], call["arguments"]) for call in wanted_hosted],
        ),
    }


ANSWERS = Answers("anthropic", AnthropicDialect(), counts, own)
