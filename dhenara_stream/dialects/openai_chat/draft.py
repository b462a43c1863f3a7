"""What is asked for, of a server with such quirks."""

from __future__ import annotations

import math

from dhenara_stream.core.conversation import TextPart
from dhenara_stream.dialects.base import ChatRequest
from dhenara_stream.dialects.drafting import Draft, check_number
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.dhenara.request import ToolCallResult
from dhenara_stream.types.shared.file import FilePayload

from .quirks import Quirks

__all__ = ["REASONING_FIELDS", "ChatDraft"]

_RESERVED = {
    "model": "the endpoint's ai_model",
    "messages": "messages or prompt",
    "system": "instructions",
    "stream": "AIModelCallConfig.streaming",
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens", "max_output_tokens"),
        "AIModelCallConfig.max_output_tokens",
    ),
}
_FOREIGN = frozenset(
    (
        *("betas", "output_config", "context_management", "container", "mcp_servers"),
        *("candidate_count", "safety_settings", "generation_config", "thinking_config"),
        *("response_mime_type", "response_schema", "cached_content", "system_instruction"),
        *("include", "truncation", "previous_response_id", "max_tool_calls", "text", "input"),
        *("instructions", "background", "conversation", "contents"),
    )
)
_MORE_SAMPLING = frozenset(
    (
        *("top_k", "min_p", "top_a", "typical_p", "repetition_penalty", "repeat_penalty"),
        *("min_tokens", "best_of", "length_penalty", "ignore_eos", "mirostat"),
    )
)
_NUMBERS = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, math.inf),
    "top_logprobs": (0, 20),
}
REASONING_FIELDS = {
    "effort": ("reasoning_effort",),
    "object": ("reasoning",),
    "thinking": ("thinking", "reasoning_effort"),
    "none": (),
}
_PROVIDER_POLICIES = ("provider_compaction", "provider_context_editing")


class ChatDraft(Draft):
    """A draft of a request to a server with such quirks.

    Args:
        request: The call.
        quirks: What the server takes.

    Raises:
        ConfigError: If an option cannot be meant.
    """

    def __init__(self, request: ChatRequest, quirks: Quirks) -> None:
        super().__init__(request, _RESERVED)
        self.quirks = quirks
        known = REASONING_FIELDS[quirks.reasoning]
        foreign = {*_FOREIGN, "thinking", "reasoning", "reasoning_effort"} - set(known)
        self.leave_out_foreign(
            foreign if quirks.more_sampling else foreign | _MORE_SAMPLING, "this API"
        )
        for name, (least, most) in _NUMBERS.items():
            check_number(name, self.options.get(name), least, most)
        if self.options.get("top_logprobs") is not None and not self.options.get("logprobs"):
            raise ConfigError("options['top_logprobs']: needs options['logprobs']")
        policy = self.config.context_policy
        if policy is not None and policy.mode in _PROVIDER_POLICIES:
            self.note("context_policy", "left out, Chat Completions has none")
        if _has_marks(request, quirks):
            self.note("cache_control", "left out, this API has no such marks")
        self.hosted = self.config.hosted_tools or []

    def left_out(self, what: str) -> None:
        """Tell that something was left out for the server's sake."""
        self.note(what, "left out, this API does not take it")

    @property
    def can_reason(self) -> bool:
        """Whether the model reasons, and can be asked to."""
        settings = self.settings
        return (
            settings.supports_reasoning
            and settings.reasoning_control != "none"
            and self.quirks.reasoning != "none"
        )

    @property
    def can_skip_reasoning(self) -> bool:
        """Whether the model knows the effort ``none``."""
        efforts = self.settings.supported_reasoning_efforts or ()
        if not self.can_reason or "none" in efforts:
            return self.can_reason
        return self.quirks.none_effort and bool(efforts) and not self.refuses("temperature")


def _has_marks(request: ChatRequest, quirks: Quirks) -> bool:
    """Whether there are marks that cannot be sent; those at a tool's result never can."""
    parts = [part for turn in request.turns for part in turn.parts]
    results = [part for part in parts if isinstance(part, ToolCallResult)]
    said = [part for part in parts if isinstance(part, TextPart | FilePayload)]
    marked = [*request.system, *said, *(request.config.tools or [])]
    return any(item.cache_control for item in (results if quirks.cache_marks else results + marked))
