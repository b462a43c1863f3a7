"""The model constants: complete, valid, and priced."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import msgspec
import pytest

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import (
    AIModel,
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelEndpoint,
    AIModelFunctionalTypeEnum,
    AIModelProviderEnum,
    ChatModelCostData,
    ChatResponseUsage,
    FoundationModel,
    HostedToolUsage,
)
from dhenara_stream.types.genai.foundation_models import (
    ALL_CHAT_MODELS,
    ALL_FOUNDATION_MODELS,
    ANTHROPIC_CHAT_MODELS,
    DEEPSEEK_CHAT_MODELS,
    GOOGLE_CHAT_MODELS,
    OPENAI_CHAT_MODELS,
    FoundationModelFns,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import (
    Claude3Opus,
    Claude37Sonnet,
    Claude40Sonnet,
    ClaudeFable5,
    ClaudeHaiku45,
    ClaudeMythos5,
    ClaudeOpus45,
    ClaudeOpus48,
    ClaudeSonnet5,
    ClaudeSonnet40,
    ClaudeSonnet45,
    ClaudeSonnet46,
)
from dhenara_stream.types.genai.foundation_models.deepseek.chat import DeepseekR1, DeepseekV4Pro
from dhenara_stream.types.genai.foundation_models.google.chat import (
    Gemini3Pro,
    Gemini15Pro,
    Gemini25Pro,
    Gemini31FlashLite,
)
from dhenara_stream.types.genai.foundation_models.openai.chat import (
    GPT5,
    GPT51,
    GPT55,
    O1,
    O3,
    GPT4o,
    GPT5Nano,
    GPT55Pro,
    O1Mini,
)

MAKERS = {
    "anthropic": (AIModelProviderEnum.ANTHROPIC, ANTHROPIC_CHAT_MODELS, 17),
    "openai": (AIModelProviderEnum.OPEN_AI, OPENAI_CHAT_MODELS, 25),
    "google": (AIModelProviderEnum.GOOGLE_AI, GOOGLE_CHAT_MODELS, 10),
    "deepseek": (AIModelProviderEnum.DEEPSEEK, DEEPSEEK_CHAT_MODELS, 2),
}


def module(maker: str) -> ModuleType:
    return importlib.import_module(f"dhenara_stream.types.genai.foundation_models.{maker}.chat")


def constants(maker: str) -> dict[str, FoundationModel]:
    exported = {name: getattr(module(maker), name) for name in module(maker).__all__}
    del exported["CHAT_MODELS"]
    return exported


ALL_CONSTANTS = [model for maker in MAKERS for model in constants(maker).values()]


@pytest.mark.parametrize("maker", MAKERS)
def test_each_maker_lists_its_models(maker: str) -> None:
    provider, models, count = MAKERS[maker]
    assert len(models) == count
    assert models is module(maker).CHAT_MODELS
    assert {model.provider for model in constants(maker).values()} == {provider}
    assert all(model in constants(maker).values() for model in models)


@pytest.mark.parametrize("maker", MAKERS)
def test_every_constant_is_exported(maker: str) -> None:
    assigned = {k for k, v in vars(module(maker)).items() if isinstance(v, FoundationModel)}
    assert assigned == constants(maker).keys()


def test_the_lists_of_all_models_hold_the_makers_lists() -> None:
    assert len(ALL_CHAT_MODELS) == 17 + 25 + 10 + 2
    assert ALL_FOUNDATION_MODELS == ALL_CHAT_MODELS
    assert all(model in ALL_CHAT_MODELS for _, models, _ in MAKERS.values() for model in models)


def test_model_names_are_unique_but_for_the_alias() -> None:
    assert Claude40Sonnet is ClaudeSonnet40
    assert ALL_CHAT_MODELS.count(ClaudeSonnet40) == 2
    names = [model.model_name for model in ALL_CONSTANTS]
    names.remove("claude-sonnet-4-0")
    assert len(names) == len(set(names))


def test_models_that_are_gone_are_defined_but_not_listed() -> None:
    assert Gemini3Pro not in GOOGLE_CHAT_MODELS
    assert DeepseekR1 not in DEEPSEEK_CHAT_MODELS
    assert not DeepseekR1.enabled
    assert DeepseekR1.metadata == {"deprecated": True}


ALWAYS_REASON = (O1, O1Mini, DeepseekR1)


@pytest.mark.parametrize("model", ALL_CONSTANTS, ids=lambda model: model.model_name)
def test_every_constant_is_valid(model: FoundationModel) -> None:
    assert model.is_foundation_model
    assert model.functional_type == AIModelFunctionalTypeEnum.TEXT_GENERATION
    assert model.display_name
    settings = model.get_settings()
    assert settings.max_input_tokens is not None
    assert settings.max_context_window_tokens == (
        settings.max_input_tokens + settings.max_output_tokens
    )
    if settings.reasoning_control == "none":  # it never does, or cannot be told to
        assert settings.supports_reasoning == (model in ALWAYS_REASON)
    else:
        assert settings.supports_reasoning
    costs = model.get_cost_data()
    assert costs is not None
    assert 0 < costs.input_token_cost_per_million < costs.output_token_cost_per_million
    cached = costs.cache_read_token_cost_per_million
    assert cached is None or 0 < cached <= costs.input_token_cost_per_million / 2
    assert FoundationModel.model_validate(model.model_dump()) == model


ROWS = [
    # prices (input, output, cached), limits (window, input, output), control,
    # reasoning budget, output when reasoning, order
    (ClaudeFable5, (10, 50, 1), (1_000_000, 872_000, 128_000), "effort", None, 128_000, 60),
    (ClaudeSonnet45, (3, 15, 0.3), (200_000, 136_000, 64_000), "token_budget", 32_000, 64_000, 70),
    (ClaudeSonnet40, (3, 15, 0.3), (200_000, 191_808, 8_192), "token_budget", 32_000, 64_000, 70),
    (Claude3Opus, (15, 75, 1.5), (200_000, 195_904, 4_096), "none", None, None, 93),
    (GPT55, (5, 30, 0.5), (1_050_000, 922_000, 128_000), "effort", None, None, 0),
    (GPT55Pro, (30, 180, None), (1_050_000, 922_000, 128_000), "effort", None, None, 0),
    (GPT5Nano, (0.05, 0.4, 0.005), (400_000, 272_000, 128_000), "effort", None, None, 10),
    (GPT4o, (2.5, 10, 1.25), (128_000, 111_616, 16_384), "none", None, None, 10),
    (O1, (15, 60, 7.5), (200_000, 100_000, 100_000), "none", None, None, 20),
    (
        Gemini25Pro,
        (1.25, 10, 0.125),
        (1_114_111, 1_048_576, 65_535),
        "token_budget",
        32_768,
        64_000,
        52,
    ),
    (
        Gemini31FlashLite,
        (0.25, 1.5, 0.025),
        (1_114_112, 1_048_576, 65_536),
        "effort",
        24_576,
        64_000,
        52,
    ),
    (Gemini15Pro, (2.5, 10, None), (2_105_344, 2_097_152, 8_192), "none", None, None, 21),
    (
        DeepseekV4Pro,
        (0.435, 0.87, 0.003625),
        (1_000_000, 616_000, 384_000),
        "effort",
        None,
        384_000,
        21,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].model_name)
def test_limits_and_prices_are_the_published_ones(row: tuple[Any, ...]) -> None:
    model, prices, limits, control, budget, reasoning_output, order = row
    settings, costs = model.settings, model.cost_data
    assert prices == (
        costs.input_token_cost_per_million,
        costs.output_token_cost_per_million,
        costs.cache_read_token_cost_per_million,
    )
    assert limits == (
        settings.max_context_window_tokens,
        settings.max_input_tokens,
        settings.max_output_tokens,
    )
    assert settings.reasoning_control == control
    assert settings.max_reasoning_tokens == budget
    assert settings.max_output_tokens_reasoning_mode == reasoning_output
    assert model.order == order


def test_limited_models_say_so() -> None:
    assert ClaudeMythos5.beta
    assert not ClaudeMythos5.enabled
    assert ClaudeMythos5.metadata == {"limited_availability": True}
    assert O1Mini.metadata == {"display_order": 20}
    assert Gemini3Pro.metadata["google_vertex_location"] == "global"


EFFORTS = [
    (ClaudeOpus48, ("low", "medium", "high", "xhigh", "max")),
    (ClaudeSonnet46, ("low", "medium", "high", "max")),
    (ClaudeOpus45, ("low", "medium", "high")),
    (ClaudeSonnet45, None),
    (GPT55, ("low", "medium", "high", "xhigh")),
    (GPT55Pro, ("medium", "high", "xhigh")),
    (GPT5, ("low", "medium", "high")),
    (Gemini3Pro, ("low", "high")),
    (DeepseekV4Pro, ("low", "high", "max")),
]


@pytest.mark.parametrize(("model", "efforts"), EFFORTS)
def test_efforts_are_those_the_model_knows(
    model: FoundationModel, efforts: tuple[str, ...] | None
) -> None:
    assert model.get_settings().supported_reasoning_efforts == efforts


def test_what_a_request_may_hold_is_data() -> None:
    refused = ClaudeSonnet5.get_settings().unsupported_parameters
    assert refused[:3] == ("temperature", "top_p", "top_k")
    assert "thinking.disabled" in ClaudeFable5.get_settings().unsupported_parameters
    assert ClaudeHaiku45.get_settings().exclusive_parameters == (("temperature", "top_p"),)
    assert "temperature" in O3.get_settings().unsupported_parameters
    assert "temperature" not in GPT51.get_settings().unsupported_parameters
    assert GPT4o.get_settings().unsupported_parameters == ()
    tool_only = [m for m in ANTHROPIC_CHAT_MODELS if m.get_settings().structured_output == "tool"]
    assert ClaudeSonnet40 in tool_only
    assert ClaudeSonnet45 not in tool_only


def test_claude_3_goes_on_the_wire_with_its_suffix() -> None:
    assert Claude37Sonnet.model_name_with_version_suffix == "claude-3-7-sonnet-latest"
    assert ClaudeSonnet45.model_name_with_version_suffix == "claude-sonnet-4-5"


def test_a_model_is_found_by_its_exact_name() -> None:
    assert FoundationModelFns.get_foundation_model("claude-sonnet-4-5") is ClaudeSonnet45
    assert FoundationModelFns.get_foundation_model("claude-sonnet") is None
    assert FoundationModelFns.get_foundation_model("gpt-5", [GPT55, GPT5]) is GPT5
    assert FoundationModelFns.get_foundation_model("gpt-5", []) is None


def test_a_clone_inherits_limits_and_prices_and_owns_its_metadata() -> None:
    clone = Claude37Sonnet.clone("anthropic.claude-3-7-sonnet-v1")
    clone.metadata["version_suffix"] = None
    assert isinstance(clone, AIModel)
    assert clone.get_settings() is Claude37Sonnet.settings
    assert clone.get_cost_data() is Claude37Sonnet.cost_data
    assert clone.model_name_with_version_suffix == "anthropic.claude-3-7-sonnet-v1"
    assert Claude37Sonnet.metadata["version_suffix"] == "-latest"


def test_a_constant_refuses_a_wrong_value() -> None:
    with pytest.raises(ConfigError, match=r"FoundationModel\.order"):
        msgspec.structs.replace(GPT5).order = "first"  # type: ignore[assignment]


def components(
    model: FoundationModel | AIModelEndpoint, usage: ChatResponseUsage
) -> dict[str, float]:
    costs = model.get_cost_data()
    assert costs is not None
    charge = costs.calculate_usage_charge(usage)
    assert charge.cost == pytest.approx(sum(c.cost for c in charge.components or []))
    return {component.key: component.cost for component in charge.components or []}


def test_claude_prices_reads_and_both_kinds_of_cache_writes() -> None:
    usage = ChatResponseUsage(
        prompt_tokens=1_000_000,
        completion_tokens=100_000,
        cache_read_tokens=400_000,
        cache_write_tokens=300_000,
        cache_write_1h_tokens=100_000,
    )
    assert components(ClaudeSonnet45, usage) == pytest.approx(
        {
            "input_tokens": 0.9,  # 300,000 at $3
            "output_tokens": 1.5,
            "cache_read_tokens": 0.12,  # at a tenth
            "cache_write_tokens": 0.75,  # 200,000 at 1.25 times
            "cache_write_1h_tokens": 0.6,  # twice
        }
    )


def test_a_model_without_a_cache_price_charges_the_input_price() -> None:
    usage = ChatResponseUsage(
        prompt_tokens=1_000_000, completion_tokens=0, cache_read_tokens=500_000
    )
    costs = components(GPT55Pro, usage)
    assert costs["input_tokens"] == costs["cache_read_tokens"] == pytest.approx(15)


@pytest.mark.parametrize(
    ("model", "key", "cost"),
    [
        (ClaudeSonnet45, "web_search", 0.02),
        (GPT55, "web_search", 0.02),
        (Gemini31FlashLite, "web_search_queries", 0.028),
        (Gemini25Pro, "grounded_prompt", 0.07),
    ],
)
def test_hosted_searches_are_priced(model: FoundationModel, key: str, cost: float) -> None:
    hosted = HostedToolUsage(billing_counts={key: 2})
    usage = ChatResponseUsage(prompt_tokens=0, completion_tokens=0, hosted_tool_usage=hosted)
    assert components(model, usage)[f"hosted_tool:{key}"] == pytest.approx(cost)


def test_models_without_hosted_tools_have_no_rules_for_them() -> None:
    assert GPT4o.cost_data is not None
    assert ClaudeSonnet40.cost_data is not None
    assert GPT4o.cost_data.hosted_tool_cost_rules is None
    assert ClaudeSonnet40.cost_data.hosted_tool_cost_rules is None


def test_an_endpoint_may_have_its_own_prices() -> None:
    api = AIModelAPI(provider=AIModelAPIProviderEnum.OPEN_AI, api_key="sk-test-0123456789")
    usage = ChatResponseUsage(prompt_tokens=1_000_000, completion_tokens=1_000_000)
    plain = AIModelEndpoint(api=api, ai_model=GPT4o)
    prices = ChatModelCostData(
        input_token_cost_per_million=1,
        output_token_cost_per_million=2,
        cost_multiplier_percentage=50,
    )
    own = AIModelEndpoint(api=api, ai_model=GPT4o, cost_data=prices)
    charges = [endpoint.calculate_usage_charge(usage) for endpoint in (plain, own)]
    assert [charge and charge.cost for charge in charges] == [12.5, 3]
    assert [charge and charge.charge for charge in charges] == [None, 4.5]
