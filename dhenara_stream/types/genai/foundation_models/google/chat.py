"""Google's chat models.

Prices are those of prompts up to 200,000 tokens; Gemini 2.5 Pro and the 3 Pro models cost more
beyond. The 1.5 models have their price for prompts beyond 128,000.

The data says, too, what the Gemini API refuses of a request to each, and the range of its thinking
budget (https://ai.google.dev/gemini-api/docs/thinking).
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
    "Gemini3FlashPreview",
    "Gemini3Pro",
    "Gemini15Flash",
    "Gemini15Pro",
    "Gemini20Flash",
    "Gemini20FlashLite",
    "Gemini25Flash",
    "Gemini25FlashLite",
    "Gemini25Pro",
    "Gemini31FlashLite",
    "Gemini31FlashLitePreview",
    "Gemini31ProPreview",
    "Gemini31ProPreviewCustomTools",
    "Gemini35Flash",
]

# What the API answers with "... is not enabled for this model".
_PENALTIES = ("presencePenalty", "frequencyPenalty")
_REFUSED_BY_3 = (*_PENALTIES, "candidateCount")
# Tools of its own beside functions, and tools beside structured output, are for Gemini 3 only.
_NOT_MIXED = "toolConfig.includeServerSideToolInvocations"
_ONE_OF = (
    ("tools", "responseMimeType"),
    ("tools", "responseSchema"),
    ("tools", "responseJsonSchema"),
)

_FROM_LOW = ("low", "medium", "high")
_FROM_MINIMAL = ("minimal", "low", "medium", "high")

_SEARCH_QUERIES = [
    HostedToolCostRule(
        key="hosted_tool:web_search_queries",
        usage_bucket="billing_counts",
        usage_key="web_search_queries",
        flat_cost_per_unit=0.014,
        unit="query",
        description="Gemini 3 grounding with Google Search, per query",
    )
]
_GROUNDED_PROMPT = [
    HostedToolCostRule(
        key="hosted_tool:grounded_prompt",
        usage_bucket="billing_counts",
        usage_key="grounded_prompt",
        flat_cost_per_unit=0.035,
        unit="prompt",
        description="Gemini 2.5 grounding with Google Search, per grounded prompt",
    )
]

Gemini3Pro = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-3-pro-preview",
    display_name="Gemini 3 Pro Preview",
    order=52,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=65_535,
        supports_reasoning=True,
        max_reasoning_tokens=32_768,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="effort",
        supported_reasoning_efforts=("low", "high"),
        unsupported_parameters=_REFUSED_BY_3,
    ),
    metadata={"display_order": 10, "deprecated": True, "google_vertex_location": "global"},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=2,
        output_token_cost_per_million=12,
        cache_read_token_cost_per_million=0.2,
        hosted_tool_cost_rules=_SEARCH_QUERIES,
    ),
)

Gemini35Flash = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-3.5-flash",
    display_name="Gemini 3.5 Flash",
    order=49,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=65_536,
        supports_reasoning=True,
        max_reasoning_tokens=32_768,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_FROM_MINIMAL,
        unsupported_parameters=_REFUSED_BY_3,
    ),
    metadata={"display_order": 10, "google_vertex_location": "global"},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=1.5,
        output_token_cost_per_million=9,
        cache_read_token_cost_per_million=0.15,
        hosted_tool_cost_rules=_SEARCH_QUERIES,
    ),
)

Gemini31ProPreview = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-3.1-pro-preview",
    display_name="Gemini 3.1 Pro Preview",
    order=50,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=65_536,
        supports_reasoning=True,
        max_reasoning_tokens=32_768,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_FROM_LOW,
        unsupported_parameters=_REFUSED_BY_3,
    ),
    metadata={"display_order": 10, "google_vertex_location": "global"},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=2,
        output_token_cost_per_million=12,
        cache_read_token_cost_per_million=0.2,
        hosted_tool_cost_rules=_SEARCH_QUERIES,
    ),
)

Gemini31ProPreviewCustomTools = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-3.1-pro-preview-customtools",
    display_name="Gemini 3.1 Pro Preview (Custom Tools)",
    order=50,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=65_536,
        supports_reasoning=True,
        max_reasoning_tokens=32_768,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_FROM_LOW,
        unsupported_parameters=_REFUSED_BY_3,
    ),
    metadata={"display_order": 10, "google_vertex_location": "global"},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=2,
        output_token_cost_per_million=12,
        cache_read_token_cost_per_million=0.2,
        hosted_tool_cost_rules=_SEARCH_QUERIES,
    ),
)

Gemini3FlashPreview = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-3-flash-preview",
    display_name="Gemini 3 Flash Preview",
    order=51,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=65_536,
        supports_reasoning=True,
        max_reasoning_tokens=32_768,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_FROM_MINIMAL,
        unsupported_parameters=_REFUSED_BY_3,
    ),
    metadata={"display_order": 10, "google_vertex_location": "global"},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.5,
        output_token_cost_per_million=3,
        cache_read_token_cost_per_million=0.05,
        hosted_tool_cost_rules=_SEARCH_QUERIES,
    ),
)

Gemini31FlashLite = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-3.1-flash-lite",
    display_name="Gemini 3.1 Flash-Lite",
    order=52,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=65_536,
        supports_reasoning=True,
        max_reasoning_tokens=24_576,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_FROM_MINIMAL,
        unsupported_parameters=_REFUSED_BY_3,
    ),
    metadata={"display_order": 10, "google_vertex_location": "global"},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.25,
        output_token_cost_per_million=1.5,
        cache_read_token_cost_per_million=0.025,
        hosted_tool_cost_rules=_SEARCH_QUERIES,
    ),
)

Gemini31FlashLitePreview = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-3.1-flash-lite-preview",
    display_name="Gemini 3.1 Flash-Lite Preview",
    order=52,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=65_536,
        supports_reasoning=True,
        max_reasoning_tokens=24_576,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="effort",
        supported_reasoning_efforts=_FROM_MINIMAL,
        unsupported_parameters=_REFUSED_BY_3,
    ),
    metadata={"display_order": 10, "deprecated": True, "google_vertex_location": "global"},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.25,
        output_token_cost_per_million=1.5,
        cache_read_token_cost_per_million=0.025,
        hosted_tool_cost_rules=_SEARCH_QUERIES,
    ),
)

Gemini25Pro = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-2.5-pro",
    display_name="Gemini 2.5 Pro",
    order=52,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=65_535,
        supports_reasoning=True,
        max_reasoning_tokens=32_768,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="token_budget",
        unsupported_parameters=(*_PENALTIES, _NOT_MIXED, "thinkingBudget.0"),
        exclusive_parameters=_ONE_OF,
    ),
    metadata={"display_order": 10, "min_reasoning_tokens": 128},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=1.25,
        output_token_cost_per_million=10,
        cache_read_token_cost_per_million=0.125,
        hosted_tool_cost_rules=_GROUNDED_PROMPT,
    ),
)

Gemini25Flash = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-2.5-flash",
    display_name="Gemini 2.5 Flash",
    order=53,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=65_535,
        supports_reasoning=True,
        max_reasoning_tokens=32_768,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="token_budget",
        unsupported_parameters=(*_PENALTIES, _NOT_MIXED),
        exclusive_parameters=_ONE_OF,
    ),
    # The API refuses more than this, whatever the catalogue says.
    metadata={"display_order": 10, "max_reasoning_tokens": 24_576},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.3,
        output_token_cost_per_million=2.5,
        cache_read_token_cost_per_million=0.03,
        hosted_tool_cost_rules=_GROUNDED_PROMPT,
    ),
)

Gemini25FlashLite = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-2.5-flash-lite",
    display_name="Gemini 2.5 Flash Lite",
    order=53,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=65_535,
        supports_reasoning=True,
        max_reasoning_tokens=24_576,
        max_output_tokens_reasoning_mode=64_000,
        reasoning_control="token_budget",
        unsupported_parameters=(*_PENALTIES, _NOT_MIXED),
        exclusive_parameters=_ONE_OF,
    ),
    metadata={"display_order": 10, "min_reasoning_tokens": 512},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.1,
        output_token_cost_per_million=0.4,
        cache_read_token_cost_per_million=0.01,
        hosted_tool_cost_rules=_GROUNDED_PROMPT,
    ),
)

Gemini20Flash = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-2.0-flash",
    display_name="Gemini 2 Flash",
    order=82,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=8_192,
        unsupported_parameters=(_NOT_MIXED,),
        exclusive_parameters=_ONE_OF,
    ),
    metadata={"display_order": 10, "deprecated": True},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.1,
        output_token_cost_per_million=0.4,
        cache_read_token_cost_per_million=0.025,
    ),
)

Gemini20FlashLite = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-2.0-flash-lite",
    display_name="Gemini 2 Flash Lite",
    order=83,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=8_192,
        unsupported_parameters=(_NOT_MIXED,),
        exclusive_parameters=_ONE_OF,
    ),
    metadata={"display_order": 10, "deprecated": True},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.075,
        output_token_cost_per_million=0.3,
    ),
)

Gemini15Pro = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-1.5-pro",
    display_name="Gemini 1.5 Pro",
    order=21,
    settings=ChatModelSettings(
        max_input_tokens=2_097_152,
        max_output_tokens=8_192,
        unsupported_parameters=(_NOT_MIXED, "googleSearch"),
        exclusive_parameters=_ONE_OF,
    ),
    metadata={"display_order": 91},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=2.5,
        output_token_cost_per_million=10,
    ),
)

Gemini15Flash = FoundationModel(
    provider=AIModelProviderEnum.GOOGLE_AI,
    model_name="gemini-1.5-flash",
    display_name="Gemini 1.5 Flash",
    order=20,
    settings=ChatModelSettings(
        max_input_tokens=1_048_576,
        max_output_tokens=8_192,
        unsupported_parameters=(_NOT_MIXED, "googleSearch"),
        exclusive_parameters=_ONE_OF,
    ),
    metadata={"display_order": 92},
    cost_data=ChatModelCostData(
        input_token_cost_per_million=0.15,
        output_token_cost_per_million=0.6,
    ),
)

CHAT_MODELS: list[FoundationModel] = [
    Gemini35Flash,
    Gemini31ProPreview,
    Gemini31ProPreviewCustomTools,
    Gemini3FlashPreview,
    Gemini31FlashLite,
    Gemini25Pro,
    Gemini25Flash,
    Gemini25FlashLite,
    Gemini15Pro,
    Gemini15Flash,
]
