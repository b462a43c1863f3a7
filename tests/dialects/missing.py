"""What is asked of models that do not have it."""

from __future__ import annotations

from dhenara_stream.types import AIModelCallConfig

# How the refusals of reasoning begin.
LACKS_REASONING = ("reasoning: ", "reasoning_effort: ")


def asks_for_reasoning(config: AIModelCallConfig) -> bool:
    return config.reasoning or config.reasoning_effort is not None
