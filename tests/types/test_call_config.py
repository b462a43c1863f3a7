"""How a call is made: defaults, limits, rules, and the budgets that follow for a model."""

from __future__ import annotations

import math
from typing import Any

import pytest

from dhenara_stream.errors import ConfigError
from dhenara_stream.types import (
    AIModelCallConfig,
    AIModelContextPolicy,
    AIModelProviderEnum,
    ArtifactConfig,
    ChatModelSettings,
    FoundationModel,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeSonnet45


def tool(name: str) -> ToolDefinition:
    """A tool without parameters."""
    return ToolDefinition.from_schema(name, {"type": "object", "properties": {}})


def model(**settings: Any) -> FoundationModel:
    """A model with these limits beside an output of 100 tokens."""
    limits = ChatModelSettings(max_context_window_tokens=1000, max_output_tokens=100, **settings)
    return FoundationModel(provider=AIModelProviderEnum.CUSTOM, model_name="m", settings=limits)


def test_the_defaults_are_those_of_the_contract() -> None:
    assert AIModelCallConfig().model_dump(exclude_none=False) == {
        "streaming": False,
        "max_output_tokens": None,
        "reasoning": False,
        "max_reasoning_tokens": None,
        "reasoning_effort": None,
        "options": {},
        "tools": None,
        "hosted_tools": None,
        "tool_choice": None,
        "structured_output": None,
        "metadata": {},
        "timeout": None,
        "connect_timeout": 5.0,
        "first_event_timeout": 120.0,
        "idle_timeout": 120.0,
        "content_idle_timeout": None,
        "retries": 3,
        "retry_delay": 1.0,
        "max_retry_delay": 10.0,
        "raise_errors": False,
        "max_event_bytes": 64 * 1024 * 1024,
        "test_mode": False,
        "api_version_override": None,
        "artifact_config": None,
        "context_policy": None,
    }
    assert AIModelCallConfig().options is not AIModelCallConfig().options


CLOCKS = [
    "timeout",
    "connect_timeout",
    "first_event_timeout",
    "idle_timeout",
    "content_idle_timeout",
]


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_clock_is_a_positive_number_or_switched_off(clock: str) -> None:
    for value in (0.001, 5, math.inf, None):
        made = AIModelCallConfig.model_validate({clock: value})
        assert getattr(made, clock) == value
    wrong: list[object] = [0, -1, math.nan, "5", True]
    for no_time in wrong:
        with pytest.raises(ConfigError, match=rf"^AIModelCallConfig\.{clock}: expected `float`"):
            AIModelCallConfig.model_validate({clock: no_time})


@pytest.mark.parametrize("delay", ["retry_delay", "max_retry_delay"])
def test_a_delay_may_be_zero_but_not_negative(delay: str) -> None:
    assert getattr(AIModelCallConfig.model_validate({delay: 0}), delay) == 0
    with pytest.raises(ConfigError, match=rf"{delay}: expected `float` >= 0"):
        AIModelCallConfig.model_validate({delay: -0.1})


@pytest.mark.parametrize("count", ["max_output_tokens", "retries", "max_event_bytes"])
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_a_count_is_a_whole_number_above_zero(count: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^AIModelCallConfig\.{count}: expected `int`"):
        AIModelCallConfig.model_validate({count: value})


def test_the_first_event_has_longer_to_come_where_it_is_the_whole_answer() -> None:
    assert AIModelCallConfig(streaming=True).first_event_limit == 120.0
    assert AIModelCallConfig(streaming=False).first_event_limit == 600.0
    assert AIModelCallConfig(streaming=False, first_event_timeout=7).first_event_limit == 7.0
    assert AIModelCallConfig(streaming=False, first_event_timeout=None).first_event_limit is None


def test_a_key_in_an_extra_header_never_shows() -> None:
    options = {"extra_headers": {"x-key": "sk-very-secret", "x-number": 1}, "seed": 1}
    config = AIModelCallConfig(options=options)
    assert "sk-very-secret" not in repr(config) + config.model_dump_json()
    assert config.options["extra_headers"]["x-key"].reveal() == "sk-very-secret"
    assert config.options["extra_headers"]["x-number"] == 1
    assert options["extra_headers"] == {"x-key": "sk-very-secret", "x-number": 1}
    config.options = options
    assert "sk-very-secret" not in repr(config)


def test_two_tools_of_one_name_are_refused() -> None:
    assert AIModelCallConfig(tools=[tool("f")]).tools == [tool("f")]
    with pytest.raises(ConfigError, match=r"^AIModelCallConfig\.tools: two tools are named 'f'"):
        AIModelCallConfig(tools=[tool("f"), tool("g"), tool("f")])


def test_a_tool_that_is_chosen_must_be_there() -> None:
    choice = ToolChoice(type="specific", specific_tool_name="f")
    assert AIModelCallConfig(tools=[tool("f")], tool_choice=choice).tool_choice == choice
    message = r"^AIModelCallConfig\.tool_choice: no tool is named 'f' \(tools: \['g'\]\)"
    with pytest.raises(ConfigError, match=message):
        AIModelCallConfig(tools=[tool("g")], tool_choice=choice)
    with pytest.raises(ConfigError, match=r"no tool is named 'f' \(tools: \[\]\)"):
        AIModelCallConfig(tool_choice=choice)
    config = AIModelCallConfig(tools=[tool("f")], tool_choice=choice)
    with pytest.raises(ConfigError, match="no tool is named"):
        config.tools = []
    assert config.tools == [tool("f")]


def test_dicts_do_for_all_that_is_nested() -> None:
    config = AIModelCallConfig.model_validate(
        {
            "hostedTools": [{"maxUses": 2}],
            "contextPolicy": {"mode": "provider_compaction", "compactThresholdTokens": 5},
            "artifactConfig": {"enabled": True, "artifactRoot": "x", "pythonLogLevel": 10},
        }
    )
    assert config.hosted_tools == [WebSearchHostedTool(max_uses=2)]
    assert config.context_policy == AIModelContextPolicy(
        mode="provider_compaction", compact_threshold_tokens=5
    )
    assert config.artifact_config == ArtifactConfig(
        enabled=True, artifact_root="x", python_log_level=10
    )
    assert AIModelContextPolicy().mode == "fail_closed"
    with pytest.raises(ConfigError, match=r"context_policy: AIModelContextPolicy\.mode: .*allowed"):
        AIModelCallConfig.model_validate({"context_policy": {"mode": "shrink"}})


@pytest.mark.parametrize(
    ("metadata", "user"),
    [
        ({}, None),
        ({"user": "a"}, "a"),
        ({"user_id": "b", "user": "a"}, "b"),
        ({"user_id": 5}, "5"),
        ({"user_id": ""}, None),
    ],
)
def test_the_user_is_read_from_the_metadata(metadata: dict[str, Any], user: str | None) -> None:
    assert AIModelCallConfig(metadata=metadata).get_user() == user


# --- budgets

THINKING = {"supports_reasoning": True, "max_reasoning_tokens": 40}
LONG = {**THINKING, "max_output_tokens_reasoning_mode": 80}
EFFORT = {"supports_reasoning": True}


@pytest.mark.parametrize(
    ("config", "settings", "tokens", "budget"),
    [
        ({}, {}, 100, None),
        ({"max_output_tokens": 7}, {}, 7, None),
        ({"max_output_tokens": 700}, {}, 100, None),
        ({"reasoning": True}, {}, 100, None),
        ({"reasoning": True, "max_reasoning_tokens": 5}, {}, 100, None),
        ({"reasoning": True}, THINKING, 100, 40),
        ({"reasoning": True, "max_reasoning_tokens": 5}, THINKING, 100, 5),
        ({"reasoning": True, "max_reasoning_tokens": 500}, THINKING, 100, 40),
        ({"reasoning": False, "max_reasoning_tokens": 5}, THINKING, 100, None),
        ({"reasoning": True}, LONG, 80, 40),
        ({"reasoning": True, "max_output_tokens": 90}, LONG, 80, 40),
        ({"reasoning": True, "max_output_tokens": 9}, LONG, 9, 40),
        ({"reasoning": False}, LONG, 100, None),
        ({"reasoning": True, "max_reasoning_tokens": 5}, EFFORT, 100, None),
        ({"reasoning": True}, {**EFFORT, "reasoning_control": "token_budget"}, 100, None),
        (
            {"reasoning": True, "max_reasoning_tokens": 5},
            {**EFFORT, "reasoning_control": "token_budget"},
            100,
            5,
        ),
    ],
)
def test_the_budgets_are_the_calls_within_the_models(
    config: dict[str, Any], settings: dict[str, Any], tokens: int, budget: int | None
) -> None:
    made = AIModelCallConfig.model_validate(config)
    assert made.get_max_output_tokens(model(**settings)) == (tokens, budget)


def test_the_budgets_of_a_known_model_are_those_of_dhenara() -> None:
    assert AIModelCallConfig().get_max_output_tokens(ClaudeSonnet45) == (64000, None)
    reasoning = AIModelCallConfig(reasoning=True)
    assert reasoning.get_max_output_tokens(ClaudeSonnet45) == (64000, 32000)
    reasoning.max_reasoning_tokens = 100
    assert reasoning.get_max_output_tokens(ClaudeSonnet45) == (64000, 100)


def test_a_model_that_cannot_reason_does_not() -> None:
    assert AIModelCallConfig(reasoning=True).reasons(model(**EFFORT))
    assert not AIModelCallConfig(reasoning=True).reasons(model())
    assert not AIModelCallConfig().reasons(model(**EFFORT))
