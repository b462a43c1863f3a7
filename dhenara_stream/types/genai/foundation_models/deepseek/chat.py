"""DeepSeek's chat models.

They accept sampling parameters and ignore them while thinking. ``response_format`` knows no
schema, so structured output goes through a tool call.
"""

from dhenara_stream.types.genai.ai_model import (
    AIModelProviderEnum,
    ChatModelCostData,
    ChatModelSettings,
    FoundationModel,
)

__all__ = [
    "CHAT_MODELS",
    "DeepseekR1",
    "DeepseekV4Flash",
    "DeepseekV4Pro",
]

_EFFORTS = ("low", "high", "max")

DeepseekV4Flash = FoundationModel(
    provider=AIModelProviderEnum.DEEPSEEK,
    model_name="deepseek-v4-flash",
    display_name="DeepSeek V4 Flash",
    order=20,
    settings=ChatModelSettings(
        max_context_window_tokens=1_000_000,
        max_output_tokens=384_000,
        supports_reasoning=True,
        max_output_tokens_reasoning_mode=384_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_EFFORTS,
        structured_output="tool",
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.14,
        output_token_cost_per_million=0.28,
        cache_read_token_cost_per_million=0.0028,
    ),
)

DeepseekV4Pro = FoundationModel(
    provider=AIModelProviderEnum.DEEPSEEK,
    model_name="deepseek-v4-pro",
    display_name="DeepSeek V4 Pro",
    order=21,
    settings=ChatModelSettings(
        max_context_window_tokens=1_000_000,
        max_output_tokens=384_000,
        supports_reasoning=True,
        max_output_tokens_reasoning_mode=384_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_EFFORTS,
        structured_output="tool",
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.435,
        output_token_cost_per_million=0.87,
        cache_read_token_cost_per_million=0.003625,
    ),
)

DeepseekR1 = FoundationModel(
    provider=AIModelProviderEnum.DEEPSEEK,
    model_name="DeepSeek-R1",
    display_name="DeepSeek-R1",
    order=90,
    enabled=False,
    settings=ChatModelSettings(
        max_context_window_tokens=128_000,
        max_output_tokens=8_000,
        supports_reasoning=True,
        reasoning_control="none",  # it always does
        unsupported_parameters=("logprobs", "top_logprobs"),
        structured_output="tool",
    ),
    metadata={"deprecated": True},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.6,
        output_token_cost_per_million=2.2,
    ),
)

CHAT_MODELS: list[FoundationModel] = [
    DeepseekV4Flash,
    DeepseekV4Pro,
]
