"""How much a call used, and what it costs."""

from __future__ import annotations

from typing import Any

from dhenara_stream.types.shared.base import BaseModel

__all__ = ["ChatResponseUsage", "HostedToolUsage", "UsageCharge", "UsageChargeComponent"]


class HostedToolUsage(BaseModel, kw_only=True):
    """Counters of tools that ran at the provider, e.g. ``request_counts["web_search"]``."""

    request_counts: dict[str, int] = {}
    token_counts: dict[str, int] = {}
    billing_counts: dict[str, int] = {}
    details: dict[str, Any] | None = None


class ChatResponseUsage(BaseModel, kw_only=True):
    """Tokens of one call, as the provider counted them. ``None`` is "not told", never 0.

    Attributes:
        total_tokens: ``prompt_tokens + completion_tokens``, unless the provider has its own total.
        prompt_tokens: All input, tokens read from or written to a cache included.
        completion_tokens: All output, reasoning included.
        reasoning_tokens: The part of ``completion_tokens`` that was reasoning.
        cache_read_tokens: The part of ``prompt_tokens`` that came from a cache.
        cache_write_tokens: The part of ``prompt_tokens`` that was written to a cache.
        cache_write_1h_tokens: The part of ``cache_write_tokens`` kept for an hour.
        hosted_tool_usage: Counters of hosted tools.
        native: The provider's own usage object.
    """

    total_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    hosted_tool_usage: HostedToolUsage | None = None
    native: dict[str, Any] | None = None


class UsageChargeComponent(BaseModel, kw_only=True):
    """One line of a bill, in US dollars."""

    key: str
    cost: float
    units: float | None = None
    unit: str | None = None
    metadata: dict[str, Any] | None = None


class UsageCharge(BaseModel, kw_only=True):
    """What a call cost in US dollars; ``charge`` is ``cost`` with the endpoint's multiplier."""

    cost: float
    charge: float | None = None
    components: list[UsageChargeComponent] | None = None
