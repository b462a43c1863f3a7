"""Recorded answers of Chat Completions, OpenAI's and others': what only they have."""

from __future__ import annotations

from dhenara_stream.dialects.openai_chat import OpenAIChatDialect

from .answers import Answers, Dict, first_told, told


def counts(usage: Dict) -> tuple[int | None, ...]:
    prompt, completion = told(usage, "prompt_tokens"), told(usage, "completion_tokens")
    total = told(usage, "total_tokens")
    reasoning = first_told(usage, "completion_tokens_details.reasoning_tokens", "reasoning_tokens")
    # xAI counts reasoning beside the completion; its total has it.
    apart = told(usage, "prompt_tokens", "completion_tokens") != total
    if apart and total == (prompt or 0) + (completion or 0) + (reasoning or 0):
        completion = told(usage, "completion_tokens", "completion_tokens_details.reasoning_tokens")
    return (
        prompt,
        completion,
        total,
        reasoning,
        first_told(
            usage,
            "prompt_tokens_details.cached_tokens",
            "prompt_cache_hit_tokens",
            "cache_read_input_tokens",
            "cached_tokens",
        ),
        first_told(
            usage, "prompt_tokens_details.cache_write_tokens", "cache_creation_input_tokens"
        ),
    )


ANSWERS = Answers("openai-chat", OpenAIChatDialect(), counts, calls_end_apart=False)
