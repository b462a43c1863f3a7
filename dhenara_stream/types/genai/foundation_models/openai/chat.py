"""OpenAI's chat models.

Reasoning models refuse sampling parameters while they reason. Those that know effort ``none``
(GPT-5.1 to 5.5 but for the Pro and Codex models) take ``temperature``, ``top_p`` and
``logprobs`` there, so for them only what is refused at every effort is listed.

Prices are those of prompts up to 272,000 tokens; GPT-5.4 and 5.5 cost more beyond.
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
    "GPT5",
    "GPT41",
    "GPT51",
    "GPT52",
    "GPT54",
    "GPT55",
    "O1",
    "O3",
    "GPT4o",
    "GPT4oMini",
    "GPT5Mini",
    "GPT5Nano",
    "GPT41Mini",
    "GPT41Nano",
    "GPT51Codex",
    "GPT51CodexMini",
    "GPT52Pro",
    "GPT53Codex",
    "GPT54Mini",
    "GPT54Nano",
    "GPT54Pro",
    "GPT55Pro",
    "O1Mini",
    "O3Mini",
    "O4Mini",
]

_TO_HIGH = ("low", "medium", "high")
_TO_XHIGH = ("low", "medium", "high", "xhigh")
_PRO_EFFORTS = ("medium", "high", "xhigh")

_SAMPLING = ("temperature", "top_p", "logprobs", "top_logprobs")
_PENALTIES = ("presence_penalty", "frequency_penalty", "logit_bias")

_WEB_SEARCH = [
    HostedToolCostRule(
        key="hosted_tool:web_search",
        usage_bucket="billing_counts",
        usage_key="web_search",
        flat_cost_per_unit=0.01,
        unit="call",
        description="OpenAI web search, per call",
    )
]

GPT55 = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.5",
    display_name="GPT-5.5",
    order=0,
    settings=ChatModelSettings(
        max_context_window_tokens=1_050_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_XHIGH,
        unsupported_parameters=_PENALTIES,
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=5,
        output_token_cost_per_million=30,
        cache_read_token_cost_per_million=0.5,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT55Pro = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.5-pro",
    display_name="GPT-5.5 Pro",
    order=0,
    settings=ChatModelSettings(
        max_context_window_tokens=1_050_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_PRO_EFFORTS,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=30,
        output_token_cost_per_million=180,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT54 = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.4",
    display_name="GPT-5.4",
    order=0,
    settings=ChatModelSettings(
        max_context_window_tokens=1_050_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_XHIGH,
        unsupported_parameters=(*_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=2.5,
        output_token_cost_per_million=15,
        cache_read_token_cost_per_million=0.25,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT54Pro = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.4-pro",
    display_name="GPT-5.4 Pro",
    order=0,
    settings=ChatModelSettings(
        max_context_window_tokens=1_050_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_PRO_EFFORTS,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=30,
        output_token_cost_per_million=180,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT54Mini = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.4-mini",
    display_name="GPT-5.4 Mini",
    order=1,
    settings=ChatModelSettings(
        max_context_window_tokens=400_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_XHIGH,
        unsupported_parameters=(*_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.75,
        output_token_cost_per_million=4.5,
        cache_read_token_cost_per_million=0.075,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT54Nano = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.4-nano",
    display_name="GPT-5.4 Nano",
    order=2,
    settings=ChatModelSettings(
        max_context_window_tokens=400_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_XHIGH,
        unsupported_parameters=(*_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.2,
        output_token_cost_per_million=1.25,
        cache_read_token_cost_per_million=0.02,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT53Codex = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.3-codex",
    display_name="GPT-5.3 Codex",
    order=5,
    settings=ChatModelSettings(
        max_context_window_tokens=400_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_XHIGH,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=1.75,
        output_token_cost_per_million=14,
        cache_read_token_cost_per_million=0.175,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT52 = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.2",
    display_name="GPT-5.2",
    order=0,
    settings=ChatModelSettings(
        max_context_window_tokens=400_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_XHIGH,
        unsupported_parameters=(*_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=1.75,
        output_token_cost_per_million=14,
        cache_read_token_cost_per_million=0.175,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT52Pro = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.2-pro",
    display_name="GPT-5.2 Pro",
    order=0,
    settings=ChatModelSettings(
        max_context_window_tokens=400_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_PRO_EFFORTS,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=21,
        output_token_cost_per_million=168,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT51 = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.1",
    display_name="GPT-5.1",
    order=10,
    settings=ChatModelSettings(
        max_context_window_tokens=400_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_HIGH,
        unsupported_parameters=(*_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=1.25,
        output_token_cost_per_million=10,
        cache_read_token_cost_per_million=0.125,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT51Codex = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.1-codex",
    display_name="GPT-5.1 Codex",
    order=10,
    settings=ChatModelSettings(
        max_context_window_tokens=400_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_HIGH,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=1.25,
        output_token_cost_per_million=10,
        cache_read_token_cost_per_million=0.125,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT51CodexMini = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5.1-codex-mini",
    display_name="GPT-5.1 Codex Mini",
    order=10,
    settings=ChatModelSettings(
        max_context_window_tokens=400_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_HIGH,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.25,
        output_token_cost_per_million=2,
        cache_read_token_cost_per_million=0.025,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT5 = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5",
    display_name="GPT-5",
    order=10,
    settings=ChatModelSettings(
        max_context_window_tokens=400_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_HIGH,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=1.25,
        output_token_cost_per_million=10,
        cache_read_token_cost_per_million=0.125,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT5Mini = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5-mini",
    display_name="GPT-5 Mini",
    order=10,
    settings=ChatModelSettings(
        max_context_window_tokens=400_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_HIGH,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.25,
        output_token_cost_per_million=2,
        cache_read_token_cost_per_million=0.025,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT5Nano = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-5-nano",
    display_name="GPT-5 Nano",
    order=10,
    settings=ChatModelSettings(
        max_context_window_tokens=400_000,
        max_output_tokens=128_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_HIGH,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.05,
        output_token_cost_per_million=0.4,
        cache_read_token_cost_per_million=0.005,
        hosted_tool_cost_rules=_WEB_SEARCH,
    ),
)

GPT4o = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-4o",
    display_name="GPT-4o",
    order=10,
    settings=ChatModelSettings(
        max_context_window_tokens=128_000,
        max_output_tokens=16_384,
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=2.5,
        output_token_cost_per_million=10,
        cache_read_token_cost_per_million=1.25,
    ),
)

GPT4oMini = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-4o-mini",
    display_name="GPT-4o-mini",
    order=11,
    settings=ChatModelSettings(
        max_context_window_tokens=128_000,
        max_output_tokens=16_384,
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.15,
        output_token_cost_per_million=0.6,
        cache_read_token_cost_per_million=0.075,
    ),
)

O1 = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="o1",
    display_name="o1",
    order=20,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=100_000,
        supports_reasoning=True,
        reasoning_control="none",  # it always does
        unsupported_parameters=(*_SAMPLING, *_PENALTIES),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=15,
        output_token_cost_per_million=60,
        cache_read_token_cost_per_million=7.5,
    ),
)

O1Mini = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="o1-mini",
    display_name="o1-mini",
    order=21,
    settings=ChatModelSettings(
        max_context_window_tokens=128_000,
        max_output_tokens=65_536,
        supports_reasoning=True,
        reasoning_control="none",  # it always does
        unsupported_parameters=(*_SAMPLING, *_PENALTIES),
    ),
    metadata={"display_order": 20},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=1.1,
        output_token_cost_per_million=4.4,
        cache_read_token_cost_per_million=0.55,
    ),
)

O3 = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="o3",
    display_name="o3",
    order=20,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=100_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_HIGH,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=2,
        output_token_cost_per_million=8,
        cache_read_token_cost_per_million=0.5,
    ),
)

O3Mini = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="o3-mini",
    display_name="o3-mini",
    order=22,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=100_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_HIGH,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=1.1,
        output_token_cost_per_million=4.4,
        cache_read_token_cost_per_million=0.55,
    ),
)

O4Mini = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="o4-mini",
    display_name="o4-mini",
    order=22,
    settings=ChatModelSettings(
        max_context_window_tokens=200_000,
        max_output_tokens=100_000,
        supports_reasoning=True,
        reasoning_control="effort",
        supported_reasoning_efforts=_TO_HIGH,
        unsupported_parameters=(*_SAMPLING, *_PENALTIES, "stop"),
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=1.1,
        output_token_cost_per_million=4.4,
        cache_read_token_cost_per_million=0.275,
    ),
)

GPT41 = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-4.1",
    display_name="GPT-4.1",
    order=11,
    settings=ChatModelSettings(
        max_context_window_tokens=1_047_576,
        max_output_tokens=32_768,
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=2,
        output_token_cost_per_million=8,
        cache_read_token_cost_per_million=0.5,
    ),
)

GPT41Mini = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-4.1-mini",
    display_name="GPT-4.1-mini",
    order=11,
    settings=ChatModelSettings(
        max_context_window_tokens=1_047_576,
        max_output_tokens=32_768,
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.4,
        output_token_cost_per_million=1.6,
        cache_read_token_cost_per_million=0.1,
    ),
)

GPT41Nano = FoundationModel(
    provider=AIModelProviderEnum.OPEN_AI,
    model_name="gpt-4.1-nano",
    display_name="GPT-4.1-nano",
    order=11,
    settings=ChatModelSettings(
        max_context_window_tokens=1_047_576,
        max_output_tokens=32_768,
    ),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.1,
        output_token_cost_per_million=0.4,
        cache_read_token_cost_per_million=0.025,
    ),
)

CHAT_MODELS: list[FoundationModel] = [
    GPT55,
    GPT55Pro,
    GPT54,
    GPT54Pro,
    GPT54Mini,
    GPT54Nano,
    GPT53Codex,
    GPT52,
    GPT52Pro,
    GPT51,
    GPT51Codex,
    GPT51CodexMini,
    GPT5,
    GPT5Mini,
    GPT5Nano,
    GPT4o,
    GPT4oMini,
    O1,
    O1Mini,
    O3,
    O3Mini,
    O4Mini,
    GPT41,
    GPT41Mini,
    GPT41Nano,
]
