"""Accounts, models, endpoints, prices: what they need, what they inherit, what a call costs."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import KEY, api, endpoint, model

from dhenara_stream.errors import ConfigError
from dhenara_stream.types import (
    AIModel,
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelEndpoint,
    AIModelFunctionalTypeEnum,
    AIModelProviderEnum,
    BaseAIModel,
    ChatModelCostData,
    ChatModelSettings,
    ChatResponseUsage,
    FoundationModel,
    HostedToolCostRule,
    HostedToolUsage,
    UsageChargeComponent,
    ValidOptionValue,
)
from dhenara_stream.types.genai.foundation_models import ALL_CHAT_MODELS
from dhenara_stream.types.resource import ResourceConfig

# --- accounts

AWS = {"access_key_id": KEY, "secret_access_key": KEY}
VERTEX = {"project_id": "p", "location": "l"}
GOOD: list[dict[str, Any]] = [
    {"provider": "openai", "api_key": KEY},
    {"provider": "google_gemini_api", "api_key": KEY},
    {"provider": "anthropic", "api_key": KEY},
    {"provider": "deepseek", "api_key": KEY},
    {"provider": "google_vertex_ai", "config": VERTEX},
    {
        "provider": "google_vertex_ai",
        "config": VERTEX,
        "credentials": {"service_account_json": '{"private_key": "x"}'},
    },
    {
        "provider": "google_vertex_ai",
        "config": VERTEX,
        "credentials": {"service_account_json": {"private_key": "x"}},
    },
    {"provider": "google_vertex_ai", "config": VERTEX, "credentials": {"access_token": KEY}},
    {"provider": "amazon_bedrock", "config": {"region": "r"}},
    {"provider": "amazon_bedrock", "config": {"region": "r"}, "credentials": AWS},
    {"provider": "microsoft_openai", "api_key": KEY, "config": {"endpoint": "https://a.example"}},
    {"provider": "openai_compatible", "config": {"base_url": "http://localhost:8000/v1"}},
    {"provider": "openai_compatible", "api_key": "EMPTY", "config": {"base_url": "http://[::1]"}},
    {"provider": "anthropic", "api_key": KEY, "config": {"headers": None}},
    {"provider": "anthropic", "api_key": KEY, "config": {"headers": {"X-A!1": "a b~"}}},
    {
        "provider": "anthropic",
        "api_key": KEY,
        "config": {"base_url": "https://b\u00fccher.example"},
    },
]


CLOUD_VARIABLES = [
    "ANTHROPIC_VERTEX_PROJECT_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AZURE_OPENAI_ENDPOINT",
    "CLOUD_ML_REGION",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_REGION",
]


@pytest.fixture(autouse=True)
def _no_cloud_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CLOUD_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("fields", GOOD)
def test_an_account_with_what_its_provider_needs_is_made(fields: dict[str, Any]) -> None:
    made = AIModelAPI.model_validate(fields)
    assert made.provider is AIModelAPIProviderEnum(fields["provider"])
    assert (made.order, made.enabled, made.reference_number) == (0, True, None)


INSTEAD: list[dict[str, Any]] = [
    {"provider": "google_vertex_ai", "api_key": KEY},
    {"provider": "google_vertex_ai", "config": VERTEX, "credentials": {"access_token": KEY}},
    {"provider": "amazon_bedrock", "api_key": KEY, "config": {"base_url": "https://a.example"}},
    {"provider": "microsoft_openai", "config": {"base_url": "https://a.example"}},
    {"provider": "openai_compatible", "config": {"service": "groq"}},
]


@pytest.mark.parametrize("fields", INSTEAD)
def test_what_a_provider_needs_can_be_there_in_another_way(fields: dict[str, Any]) -> None:
    assert AIModelAPI.model_validate(fields).provider == fields["provider"]


@pytest.mark.parametrize(
    ("provider", "environment"),
    [
        ("amazon_bedrock", ["AWS_REGION"]),
        ("amazon_bedrock", ["AWS_DEFAULT_REGION"]),
        ("google_vertex_ai", ["GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"]),
        ("google_vertex_ai", ["ANTHROPIC_VERTEX_PROJECT_ID", "CLOUD_ML_REGION"]),
        ("microsoft_openai", ["AZURE_OPENAI_ENDPOINT"]),
    ],
)
def test_what_a_provider_needs_can_be_in_the_environment(
    provider: str, environment: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in environment:
        monkeypatch.setenv(name, "x")
    assert AIModelAPI.model_validate({"provider": provider}).provider == provider


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"provider": "openai"}, "AIModelAPI.api_key: provider 'openai' needs an API key"),
    ({"provider": "anthropic", "api_key": ""}, "AIModelAPI.api_key: provider 'anthropic' needs"),
    (
        {"provider": "microsoft_azure_ai", "api_key": KEY},
        "AIModelAPI.provider: microsoft_azure_ai is no longer supported; use microsoft_openai",
    ),
    (
        {"provider": "google_vertex_ai", "config": {"project_id": "p"}},
        "AIModelAPI.config: google_vertex_ai needs 'location'",
    ),
    (
        {
            "provider": "google_vertex_ai",
            "config": VERTEX,
            "credentials": {"service_account_json": f"[{KEY}]"},
        },
        "AIModelAPI.credentials['service_account_json']: not a JSON object",
    ),
    (
        {
            "provider": "google_vertex_ai",
            "config": VERTEX,
            "credentials": {"service_account_json": '{"a": "\ud800"}'},
        },
        "AIModelAPI.credentials['service_account_json']: not a JSON object",
    ),
    ({"provider": "amazon_bedrock"}, "AIModelAPI.config: amazon_bedrock needs 'region'"),
    (
        {
            "provider": "amazon_bedrock",
            "config": {"region": "r"},
            "credentials": {"access_key_id": KEY},
        },
        "AIModelAPI.credentials: amazon_bedrock needs 'secret_access_key'",
    ),
    (
        {"provider": "microsoft_openai", "api_key": KEY},
        "AIModelAPI.config: microsoft_openai needs 'endpoint'",
    ),
    ({"provider": "openai_compatible"}, "AIModelAPI.config: openai_compatible needs 'base_url'"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_an_account_without_what_its_provider_needs_is_refused(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        AIModelAPI.model_validate(fields)
    assert str(caught.value).startswith(message)
    assert KEY not in str(caught.value)


def test_what_the_environment_says_need_not_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="amazon_bedrock needs 'region'"):
        AIModelAPI(provider=AIModelAPIProviderEnum.AMAZON_BEDROCK)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert AIModelAPI(provider=AIModelAPIProviderEnum.AMAZON_BEDROCK).config == {}


@pytest.mark.parametrize(
    "base_url",
    ["a.example", "ftp://a.example", "https://", "https://a.example\n", "https://a b", 5],
)
def test_a_base_url_that_is_none_is_refused(base_url: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"^AIModelAPI\.config\['base_url'\]: expected a URL like"
    ):
        AIModelAPI.model_validate(
            {"provider": "anthropic", "api_key": KEY, "config": {"base_url": base_url}}
        )


@pytest.mark.parametrize("key", ["base_url", "endpoint"])
def test_the_password_in_an_address_does_not_show(key: str) -> None:
    config = {"base_url": "https://host"} | {key: "https://me:hunter2@host:8080/v1"}
    api = AIModelAPI.model_validate({"provider": "anthropic", "api_key": KEY, "config": config})
    resources = ResourceConfig(model_apis=[api])
    shown = [
        *(repr(api.config), str(api.config), json.dumps(api.config), api.model_dump_json()),
        *(str(api.model_dump()), str(resources.model_dump()), repr(resources)),
        *(repr(pickle.loads(pickle.dumps(api)).config), str(copy.deepcopy(api).config)),
    ]
    assert all("hunter2" not in text for text in shown)
    assert api.model_dump()["config"][key] == "https://***@host:8080/v1"
    assert api.config[key].reveal() == "https://me:hunter2@host:8080/v1"
    assert copy.deepcopy(api).config[key].reveal() == api.config[key].reveal()
    assert api.model_copy(update={"order": 3}).config[key].reveal() == api.config[key].reveal()
    assert config[key] == "https://me:hunter2@host:8080/v1"  # the caller's own


@pytest.mark.parametrize(
    "base_url", ["https://me:hunter2/@host", "https://me:hun ter2@host", "https://me:x@host:port"]
)
def test_a_password_that_breaks_an_address_is_not_echoed(base_url: str) -> None:
    with pytest.raises(ConfigError, match="expected a URL like") as caught:
        AIModelAPI.model_validate(
            {"provider": "anthropic", "api_key": KEY, "config": {"base_url": base_url}}
        )
    assert "hun" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (["a"], r"config\['headers'\]: expected a dict of strings"),
        ({1: "a"}, r"config\['headers'\]\[1\]: this is no header name"),
        ({"": "a"}, r"config\['headers'\]\[''\]: this is no header name"),
        ({"a b": "a"}, r"config\['headers'\]\['a b'\]: this is no header name"),
        ({"a\r\nb": "a"}, r"this is no header name"),
        ({"\u00e9": "a"}, r"this is no header name"),
        ({"a": 1}, r"config\['headers'\]\['a'\]: the value is not a string"),
        ({"a": "b\r\nc: d"}, r"config\['headers'\]\['a'\]: the value has a control or non-ASCII"),
        ({"a": " b"}, r"config\['headers'\]\['a'\]: the value has whitespace at its start or end"),
        ({"a": "\u00e9"}, r"config\['headers'\]\['a'\]: the value has a control or non-ASCII"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(headers: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AIModelAPI.model_validate(
            {"provider": "anthropic", "api_key": KEY, "config": {"headers": headers}}
        )


def test_the_callers_config_is_not_changed() -> None:
    config = {"headers": {"x": "y"}}
    made = AIModelAPI(provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=KEY, config=config)
    assert type(config["headers"]["x"]) is str
    assert made.config["headers"] == {"x": "y"}


def test_the_credentials_of_a_provider_are_one_dict() -> None:
    made = AIModelAPI.model_validate(
        {"provider": "amazon_bedrock", "config": {"region": "r"}, "credentials": AWS}
    )
    assert made.get_provider_credentials() == {**AWS, "region": "r"}
    assert made.get_masked_credentials() == dict.fromkeys(AWS, "***")
    assert api().get_provider_credentials() == {"api_key": KEY}
    assert api().get_masked_credentials() == {}


def test_an_account_shows_its_provider_and_whether_it_has_a_key() -> None:
    assert repr(api()) == "AIModelAPI(provider='anthropic', api_key='***')"
    made = AIModelAPI.model_validate({"provider": "amazon_bedrock", "config": {"region": "r"}})
    assert repr(made) == "AIModelAPI(provider='amazon_bedrock', api_key=None)"


# --- settings


@pytest.mark.parametrize(
    ("given", "window", "most_input"),
    [
        ({"max_context_window_tokens": 100}, 100, 90),
        ({"max_input_tokens": 100}, 110, 100),
        ({"max_context_window_tokens": 150, "max_input_tokens": 100}, 150, 100),
        ({"max_context_window_tokens": 11}, 11, 1),
    ],
)
def test_the_window_and_the_input_follow_from_each_other(
    given: dict[str, int], window: int, most_input: int
) -> None:
    settings = ChatModelSettings.model_validate({"max_output_tokens": 10, **given})
    assert settings.max_context_window_tokens == window
    assert settings.max_input_tokens == most_input
    assert settings.model_copy() == settings


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "ChatModelSettings: give max_context_window_tokens or max_input_tokens"),
        ({"max_context_window_tokens": 10}, "max_context_window_tokens: leaves no room for input"),
        ({"max_input_tokens": 0}, "max_input_tokens: expected `int` >= 1"),
        (
            {
                "max_input_tokens": 10,
                "max_reasoning_tokens": 9,
                "max_output_tokens_reasoning_mode": 8,
            },
            "max_reasoning_tokens: more than max_output_tokens_reasoning_mode (8)",
        ),
    ],
)
def test_limits_that_make_no_sense_are_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ChatModelSettings.model_validate({"max_output_tokens": 10, **fields})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "control"),
    [
        ({}, "none"),
        ({"max_reasoning_tokens": 5}, "none"),
        ({"supports_reasoning": True}, "effort"),
        ({"supports_reasoning": True, "max_reasoning_tokens": 5}, "token_budget"),
        ({"supports_reasoning": True, "reasoning_control": "none"}, "none"),
        (
            {
                "supports_reasoning": True,
                "max_reasoning_tokens": 5,
                "max_output_tokens_reasoning_mode": 5,
            },
            "token_budget",
        ),
    ],
)
def test_how_to_ask_for_reasoning_follows_from_the_limits(
    fields: dict[str, Any], control: str
) -> None:
    settings = ChatModelSettings.model_validate(
        {"max_input_tokens": 10, "max_output_tokens": 10, **fields}
    )
    assert settings.reasoning_control == control


# --- models


def test_a_model_is_named_after_itself_unless_told() -> None:
    assert model().display_name == "model-1"
    assert model().functional_type == AIModelFunctionalTypeEnum.TEXT_GENERATION
    named = model().model_copy(update={"display_name": "Model One"})
    assert named.display_name == "Model One"
    for name in ("", "x" * 301):
        with pytest.raises(ConfigError, match=r"^FoundationModel\.model_name: expected `str` of"):
            model(name)


def test_the_name_on_the_wire_has_the_version_suffix() -> None:
    made = model()
    assert made.model_name_with_version_suffix == "model-1"
    made.metadata["version_suffix"] = "-latest"
    assert made.model_name_with_version_suffix == "model-1-latest"
    made.metadata["version_suffix"] = None
    assert made.model_name_with_version_suffix == "model-1"


def test_a_clone_is_the_same_under_another_name() -> None:
    ground = model()
    ground.metadata["a"] = 1
    clone = ground.clone("mine")
    assert isinstance(clone, AIModel)
    assert (clone.model_name, clone.display_name) == ("mine", "mine")
    assert clone.foundation_model is ground
    assert (ground.is_foundation_model, clone.is_foundation_model) == (True, False)
    assert clone.settings is None
    assert clone.get_settings() is ground.settings
    assert clone.get_cost_data() is ground.cost_data
    clone.metadata["a"] = 2
    assert ground.metadata == {"a": 1}


def test_an_instance_overrides_what_it_says_and_merges_metadata() -> None:
    ground = model()
    ground.metadata = {"a": 1, "b": 1}
    prices = ChatModelCostData(input_token_cost_per_million=9, output_token_cost_per_million=9)
    made = ground.create_instance(
        display_name="Mine", order=5, enabled=False, cost_data=prices, metadata={"b": 2}
    )
    assert (made.model_name, made.display_name, made.order) == ("model-1", "Mine", 5)
    assert made.enabled is False
    assert made.metadata == {"a": 1, "b": 2}
    assert made.get_cost_data() is prices
    with pytest.raises(ConfigError, match="AIModel: no field 'ordr'; did you mean 'order'"):
        ground.create_instance(ordr=5)


def test_a_model_of_ones_own_has_a_ground_or_settings() -> None:
    settings = ChatModelSettings(max_input_tokens=10, max_output_tokens=10)
    made = AIModel(provider=AIModelProviderEnum.CUSTOM, model_name="m", settings=settings)
    assert made.get_settings() is settings
    assert made.get_cost_data() is None
    with pytest.raises(ConfigError, match="AIModel 'm': give foundation_model or settings"):
        AIModel(provider=AIModelProviderEnum.CUSTOM, model_name="m")


def test_a_model_without_settings_says_how_to_give_them() -> None:
    made = FoundationModel(provider=AIModelProviderEnum.CUSTOM, model_name="m")
    with pytest.raises(ConfigError, match=r"model 'm' has no settings; give it settings=Chat"):
        made.get_settings()


@pytest.mark.parametrize("made", [model(), model().clone("mine")], ids=["foundation", "own"])
def test_a_dict_is_the_kind_of_model_that_its_fields_say(made: BaseAIModel) -> None:
    again = BaseAIModel.model_validate(made.model_dump())
    assert type(again) is type(made)
    assert again == made
    renamed = {
        "foundationModel" if k == "foundation_model" else k: v for k, v in made.model_dump().items()
    }
    assert BaseAIModel.model_validate(renamed) == made


@pytest.mark.parametrize("made", ALL_CHAT_MODELS, ids=lambda made: made.model_name)
def test_every_known_model_comes_back_from_its_dump(made: FoundationModel) -> None:
    assert BaseAIModel.model_validate_json(made.model_dump_json()) == made


# --- options


def test_options_are_checked_only_where_a_model_restricts_them() -> None:
    made = model()
    assert made.get_valid_options() is None
    assert made.validate_options({"temperature": 5})
    assert made.get_options_with_defaults({"temperature": 5}) == {"temperature": 5}
    shown = ValidOptionValue(
        allowed_values=["a"], default_value="a", cost_sensitive=False, display_only=True
    )
    quality = ValidOptionValue(allowed_values=[1, 2], default_value=2, cost_sensitive=True)
    made.valid_options = {"quality": quality, "shown": shown}
    assert made.get_valid_options() == {"quality": quality}
    assert made.get_valid_options(include_display_only=True) == made.valid_options
    assert made.validate_options({"quality": 1, "temperature": 5})
    assert not made.validate_options({"quality": 3})
    assert not made.validate_options({"shown": "b"})
    assert made.get_options_with_defaults({"seed": 1}) == {"quality": 2, "seed": 1}
    assert made.clone("mine").get_valid_options() == {"quality": quality}
    with pytest.raises(ConfigError, match="model 'model-1': an option has a value not allowed"):
        made.get_options_with_defaults({"quality": 3})


# --- prices

PRICES = ChatModelCostData(
    input_token_cost_per_million=3.0,
    output_token_cost_per_million=15.0,
    cache_read_token_cost_per_million=0.3,
    cache_write_token_cost_per_million=3.75,
    cache_write_1h_token_cost_per_million=6.0,
)


def costs(prices: ChatModelCostData, **usage: Any) -> dict[str, float]:
    """The lines of the bill."""
    charge = prices.calculate_usage_charge(ChatResponseUsage(**usage))
    assert charge.components is not None
    assert charge.cost == pytest.approx(sum(line.cost for line in charge.components))
    return {line.key: line.cost for line in charge.components}


def test_cached_tokens_have_prices_of_their_own() -> None:
    lines = costs(
        PRICES,
        prompt_tokens=1_000_000,
        completion_tokens=100_000,
        cache_read_tokens=500_000,
        cache_write_tokens=200_000,
        cache_write_1h_tokens=100_000,
    )
    assert lines == {
        "input_tokens": 0.9,
        "output_tokens": 1.5,
        "cache_read_tokens": 0.15,
        "cache_write_tokens": 0.375,
        "cache_write_1h_tokens": 0.6,
    }


def test_a_cache_price_that_is_not_known_is_the_next_best() -> None:
    plain = ChatModelCostData(input_token_cost_per_million=3, output_token_cost_per_million=15)
    usage = {
        "prompt_tokens": 4_000_000,
        "cache_read_tokens": 1_000_000,
        "cache_write_tokens": 2_000_000,
        "cache_write_1h_tokens": 1_000_000,
    }
    assert costs(plain, **usage) == {
        "input_tokens": 3.0,
        "output_tokens": 0.0,
        "cache_read_tokens": 3.0,
        "cache_write_tokens": 3.0,
        "cache_write_1h_tokens": 3.0,
    }
    free = plain.model_copy(update={"cache_write_token_cost_per_million": 0.0})
    assert costs(free, **usage)["cache_write_1h_tokens"] == 0.0


def test_a_few_tokens_of_a_cheap_model_cost_something() -> None:
    cheap = ChatModelCostData(input_token_cost_per_million=0.1, output_token_cost_per_million=0.4)
    assert costs(cheap, prompt_tokens=1, completion_tokens=1) == {
        "input_tokens": 1e-07,
        "output_tokens": 4e-07,
    }


def test_no_usage_costs_nothing_and_odd_counts_never_less() -> None:
    assert costs(PRICES) == {"input_tokens": 0.0, "output_tokens": 0.0}
    odd = costs(PRICES, prompt_tokens=1, cache_read_tokens=1_000_000, cache_write_1h_tokens=5)
    assert odd["input_tokens"] == 0.0
    assert "cache_write_tokens" not in odd


counts = st.none() | st.integers(0, 10**9)


@given(counts, counts, counts, counts, counts)
def test_no_count_makes_a_negative_line(a: Any, b: Any, c: Any, d: Any, e: Any) -> None:
    lines = costs(
        PRICES,
        prompt_tokens=a,
        completion_tokens=b,
        cache_read_tokens=c,
        cache_write_tokens=d,
        cache_write_1h_tokens=e,
    )
    assert min(lines.values()) >= 0


def test_the_charge_has_the_multiplier() -> None:
    usage = ChatResponseUsage(prompt_tokens=1_000_000)
    assert PRICES.calculate_usage_charge(usage).charge is None
    dearer = PRICES.model_copy(update={"cost_multiplier_percentage": 10})
    charge = dearer.calculate_usage_charge(usage)
    assert (charge.cost, charge.charge) == (3.0, 3.3)


def test_a_line_says_what_was_counted() -> None:
    charge = PRICES.calculate_usage_charge(ChatResponseUsage(completion_tokens=2_000_000))
    assert charge.components is not None
    assert charge.components[1] == UsageChargeComponent(
        key="output_tokens",
        cost=30.0,
        units=2_000_000,
        unit="token",
        metadata={"cost_per_million": 15.0},
    )


SEARCH = HostedToolCostRule(
    key="search",
    usage_bucket="request_counts",
    usage_key="web_search",
    flat_cost_per_unit=0.01,
    unit="request",
)


def test_hosted_tools_are_lines_of_the_bill_where_they_were_used() -> None:
    tokens = HostedToolCostRule(
        key="reading", usage_bucket="token_counts", usage_key="read", cost_per_million=2
    )
    prices = PRICES.model_copy(update={"hosted_tool_cost_rules": [SEARCH, tokens]})
    used = HostedToolUsage(request_counts={"web_search": 3}, token_counts={"read": 500_000})
    lines = costs(prices, hosted_tool_usage=used)
    assert (lines["search"], lines["reading"]) == (0.03, 1.0)
    assert "search" not in costs(prices)
    assert "search" not in costs(prices, hosted_tool_usage=HostedToolUsage())
    component = SEARCH.component(ChatResponseUsage(hosted_tool_usage=used))
    assert component == UsageChargeComponent(key="search", cost=0.03, units=3, unit="request")


@pytest.mark.parametrize("given", [{}, {"flat_cost_per_unit": 1, "cost_per_million": 1}])
def test_a_rule_has_exactly_one_price(given: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="'k': give exactly one of flat_cost_per_unit and cost_"):
        HostedToolCostRule.model_validate(
            {"key": "k", "usage_bucket": "token_counts", "usage_key": "u", **given}
        )


def test_a_price_is_not_negative() -> None:
    with pytest.raises(ConfigError, match=r"input_token_cost_per_million: expected `float` >= 0"):
        ChatModelCostData(input_token_cost_per_million=-1, output_token_cost_per_million=1)


def test_a_usage_of_another_kind_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="expected ChatResponseUsage, got dict"):
        endpoint().calculate_usage_charge({})  # type: ignore[arg-type]


def test_an_endpoints_prices_come_before_the_models() -> None:
    usage = ChatResponseUsage(prompt_tokens=1_000_000)
    at_list_price = endpoint().calculate_usage_charge(usage)
    assert at_list_price is not None
    assert at_list_price.cost == 1.0
    own = AIModelEndpoint(api=api(), ai_model=model(), cost_data=PRICES)
    assert own.get_cost_data() is PRICES
    charge = own.calculate_usage_charge(usage)
    assert charge is not None
    assert charge.cost == 3.0
    unpriced = model().model_copy(update={"cost_data": None})
    assert AIModelEndpoint(api=api(), ai_model=unpriced).calculate_usage_charge(usage) is None
