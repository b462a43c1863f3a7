"""Anthropic's chat models.

The data says what the Messages API takes from each: Opus 4.7 and everything after it refuse
sampling parameters, the 4.5 and 4.6 models take one of ``temperature`` and ``top_p``, and models
before 4.5 have no schema field for structured output.
"""

from dhenara_stream.types.genai.ai_model import (
    AIModelProviderEnum,
    ChatModelCostData,
    ChatModelSettings,
    FoundationModel,
    HostedToolCostRule,
)

__all__ = [
    "CHAT_MODELS",
    "Claude3Opus",
    "Claude35Haiku",
    "Claude35Sonnet",
    "Claude37Sonnet",
    "Claude40Sonnet",
    "ClaudeFable5",
    "ClaudeHaiku45",
    "ClaudeMythos5",
    "ClaudeOpus40",
    "ClaudeOpus45",
    "ClaudeOpus46",
    "ClaudeOpus47",
    "ClaudeOpus48",
    "ClaudeSonnet5",
    "ClaudeSonnet40",
    "ClaudeSonnet45",
    "ClaudeSonnet46",
]

_TO_HIGH = ("low", "medium", "high")
_TO_MAX = ("low", "medium", "high", "max")
_ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")

_SAMPLING = ("temperature", "top_p", "top_k")
_ONE_SAMPLER = (("temperature", "top_p"),)
# From Opus 4.6 on a conversation must not end with the assistant's words.
_PREFILL = ("assistant_prefill",)
_MANUAL_THINKING = ("thinking.enabled",)
_COMPACTION = ("context_management.compact_20260112",)
_BUDGET_ERA = ("thinking.adaptive", *_COMPACTION)

_WEB_SEARCH = HostedToolCostRule(
    key="hosted_tool:web_search",
    usage_bucket="billing_counts",
    usage_key="web_search",
    flat_cost_per_unit=0.01,
    unit="search",
    description="Anthropic web search, per search",
)


def _prices(
    input_price: float, output_price: float, *rules: HostedToolCostRule
) -> ChatModelCostData:
    # Anthropic derives every cache price from the input price.
    return ChatModelCostData(
        input_token_cost_per_million=input_price,
        output_token_cost_per_million=output_price,
        cache_read_token_cost_per_million=input_price / 10,
        cache_write_token_cost_per_million=input_price * 1.25,
        cache_write_1h_token_cost_per_million=input_price * 2,
        hosted_tool_cost_rules=list(rules) or None,
    )


ClaudeFable5 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-fable-5",
    display_name="Claude Fable 5",
    order=60,
    settings=ChatModelSettings(
        max_context_window_tokens=1_000_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        max_output_tokens_reasoning_mode=128_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_ALL_EFFORTS,
        unsupported_parameters=(*_SAMPLING, *_PREFILL, *_MANUAL_THINKING, "thinking.disabled"),
    ),
    cost_data=_prices(10, 50, _WEB_SEARCH),
)

ClaudeMythos5 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-mythos-5",
    display_name="Claude Mythos 5",
    order=61,
    enabled=False,
    beta=True,
    settings=ChatModelSettings(
        max_context_window_tokens=1_000_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        max_output_tokens_reasoning_mode=128_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_ALL_EFFORTS,
        unsupported_parameters=(*_SAMPLING, *_PREFILL, *_MANUAL_THINKING, "thinking.disabled"),
    ),
    metadata={"limited_availability": True},
    cost_data=_prices(10, 50, _WEB_SEARCH),
)

ClaudeOpus48 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-opus-4-8",
    display_name="Claude Opus 4.8",
    order=77,
    settings=ChatModelSettings(
        max_context_window_tokens=1_000_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        max_reasoning_tokens=32_000,
        max_output_tokens_reasoning_mode=128_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_ALL_EFFORTS,
        unsupported_parameters=(*_SAMPLING, *_PREFILL, *_MANUAL_THINKING),
    ),
    cost_data=_prices(5, 25, _WEB_SEARCH),
)

ClaudeOpus47 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-opus-4-7",
    display_name="Claude Opus 4.7",
    order=76,
    settings=ChatModelSettings(
        max_context_window_tokens=1_000_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        max_reasoning_tokens=32_000,
        max_output_tokens_reasoning_mode=128_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_ALL_EFFORTS,
        unsupported_parameters=(*_SAMPLING, *_PREFILL, *_MANUAL_THINKING),
    ),
    cost_data=_prices(5, 25, _WEB_SEARCH),
)

ClaudeOpus46 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-opus-4-6",
    display_name="Claude Opus 4.6",
    order=75,
    settings=ChatModelSettings(
        max_context_window_tokens=1_000_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        max_reasoning_tokens=32_000,
        max_output_tokens_reasoning_mode=128_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_MAX,
        unsupported_parameters=_PREFILL,
        exclusive_parameters=_ONE_SAMPLER,
    ),
    cost_data=_prices(5, 25, _WEB_SEARCH),
)

ClaudeSonnet5 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-sonnet-5",
    display_name="Claude Sonnet 5",
    order=68,
    settings=ChatModelSettings(
        max_context_window_tokens=1_000_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        max_output_tokens_reasoning_mode=128_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_ALL_EFFORTS,
        unsupported_parameters=(*_SAMPLING, *_PREFILL, *_MANUAL_THINKING),
    ),
    cost_data=_prices(3, 15, _WEB_SEARCH),
)

ClaudeSonnet46 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-sonnet-4-6",
    display_name="Claude Sonnet 4.6",
    order=70,
    settings=ChatModelSettings(
        max_context_window_tokens=1_000_000,
        max_output_tokens=64_000,
        supports_reasoning=True,
        max_reasoning_tokens=32_000,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_MAX,
        unsupported_parameters=_PREFILL,
        exclusive_parameters=_ONE_SAMPLER,
    ),
    cost_data=_prices(3, 15, _WEB_SEARCH),
)

ClaudeOpus45 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-opus-4-5",
    display_name="Claude Opus 4.5",
    order=75,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=64_000,
        supports_reasoning=True,
        max_reasoning_tokens=32_000,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="token_budget",
        supported_reasoning_efforts=_TO_HIGH,
        unsupported_parameters=_BUDGET_ERA,
        exclusive_parameters=_ONE_SAMPLER,
    ),
    cost_data=_prices(5, 25, _WEB_SEARCH),
)

ClaudeSonnet45 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-sonnet-4-5",
    display_name="Claude Sonnet 4.5",
    order=70,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=64_000,
        supports_reasoning=True,
        max_reasoning_tokens=32_000,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="token_budget",
        unsupported_parameters=_BUDGET_ERA,
        exclusive_parameters=_ONE_SAMPLER,
    ),
    cost_data=_prices(3, 15, _WEB_SEARCH),
)

ClaudeHaiku45 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-haiku-4-5",
    display_name="Claude Haiku 4.5",
    order=82,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=64_000,
        supports_reasoning=True,
        max_reasoning_tokens=32_000,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="token_budget",
        unsupported_parameters=_BUDGET_ERA,
        exclusive_parameters=_ONE_SAMPLER,
    ),
    cost_data=_prices(1, 5, _WEB_SEARCH),
)

ClaudeSonnet40 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-sonnet-4-0",
    display_name="Claude Sonnet 4",
    order=70,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=8_192,
        supports_reasoning=True,
        max_reasoning_tokens=32_000,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="token_budget",
        unsupported_parameters=_BUDGET_ERA,
        structured_output="tool",
    ),
    cost_data=_prices(3, 15),
)

ClaudeOpus40 = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-opus-4-0",
    display_name="Claude Opus 4",
    order=75,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=8_192,
        supports_reasoning=True,
        max_reasoning_tokens=32_000,
        max_output_tokens_reasoning_mode=32_000,
        reasoning_control="token_budget",
        unsupported_parameters=_BUDGET_ERA,
        structured_output="tool",
    ),
    cost_data=_prices(15, 75),
)

Claude37Sonnet = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-3-7-sonnet",
    display_name="Claude Sonnet 3.7",
    order=81,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=8_192,
        supports_reasoning=True,
        max_reasoning_tokens=32_000,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="token_budget",
        unsupported_parameters=_BUDGET_ERA,
        structured_output="tool",
    ),
    metadata={"version_suffix": "-latest"},
    cost_data=_prices(3, 15),
)

Claude35Sonnet = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-3-5-sonnet",
    display_name="Claude Sonnet 3.5",
    order=81,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=8_192,
        unsupported_parameters=_COMPACTION,
        structured_output="tool",
    ),
    metadata={"version_suffix": "-latest"},
    cost_data=_prices(3, 15),
)

Claude35Haiku = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-3-5-haiku",
    display_name="Claude Haiku 3.5",
    order=82,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=8_192,
        unsupported_parameters=_COMPACTION,
        structured_output="tool",
    ),
    metadata={"version_suffix": "-latest"},
    cost_data=_prices(1, 5),
)

Claude3Opus = FoundationModel(
    provider=AIModelProviderEnum.ANTHROPIC,
    model_name="claude-3-opus",
    display_name="Claude 3 Opus",
    order=93,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=4_096,
        unsupported_parameters=_COMPACTION,
        structured_output="tool",
    ),
    metadata={"version_suffix": "-latest"},
    cost_data=_prices(15, 75),
)

Claude40Sonnet = ClaudeSonnet40

CHAT_MODELS: list[FoundationModel] = [
    ClaudeFable5,
    ClaudeMythos5,
    ClaudeOpus48,
    ClaudeOpus47,
    ClaudeOpus46,
    ClaudeSonnet5,
    ClaudeSonnet46,
    ClaudeOpus45,
    ClaudeSonnet45,
    ClaudeHaiku45,
    ClaudeSonnet40,
    ClaudeOpus40,
    Claude37Sonnet,
    Claude35Sonnet,
    Claude35Haiku,
    Claude3Opus,
    Claude40Sonnet,
]
