"""The base of the public types: what is checked, what a dump shows, and that a key never shows."""

from __future__ import annotations

import copy
import json
import logging
import operator
import pickle
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec
import pydantic
import pytest
from samples import KEY, api, endpoint, full_answer, model

from dhenara_stream.errors import ConfigError
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    ChatModelSettings,
    ChatResponse,
    ChatResponseUsage,
    FunctionDefinition,
    Prompt,
    PromptText,
    Secret,
    StoredFile,
    StructuredOutputConfig,
    ToolCallResult,
    ToolChoice,
    ToolDefinition,
    UsageCharge,
)
from dhenara_stream.types.shared._coerce import coerce
from dhenara_stream.types.shared.base import BaseEnum, BaseModel, InputModel, dump
from dhenara_stream.types.shared.secret import check_secret, redacted

# --- checks


def prompt(text: Any) -> Prompt:
    return Prompt(text=text)


WRONG: list[tuple[Callable[[], object], str]] = [
    (
        lambda: AIModelCallConfig(max_output_tokens="400"),  # type: ignore[arg-type]
        "AIModelCallConfig.max_output_tokens: expected `int`, got `str`",
    ),
    (
        lambda: AIModelCallConfig(streaming="yes"),  # type: ignore[arg-type]
        "AIModelCallConfig.streaming: expected `bool`, got `str`",
    ),
    (
        lambda: AIModelCallConfig(retries=0),
        "AIModelCallConfig.retries: expected `int` >= 1",
    ),
    (
        lambda: AIModelCallConfig(reasoning_effort="huge"),  # type: ignore[arg-type]
        "AIModelCallConfig.reasoning_effort: invalid enum value 'huge'; allowed: 'minimal', 'low'",
    ),
    (
        lambda: AIModelAPI(provider="anthropics", api_key=KEY),  # type: ignore[arg-type]
        "AIModelAPI.provider: invalid enum value 'anthropics'; did you mean 'anthropic'? (allowed",
    ),
    (
        lambda: AIModelCallConfig(max_tokens=5),  # type: ignore[call-arg]
        "AIModelCallConfig: no field 'max_tokens'; did you mean ",
    ),
    (
        lambda: AIModelCallConfig(zzz=5),  # type: ignore[call-arg]
        "AIModelCallConfig: no field 'zzz' (fields: streaming, max_output_tokens, ",
    ),
    (lambda: AIModelEndpoint(order=1), "AIModelEndpoint: missing required field 'api'"),  # type: ignore[call-arg]
    (
        lambda: AIModelCallConfig(retries=2, maxRetryDelay=1, max_retry_delay=2),  # type: ignore[call-arg]
        "AIModelCallConfig: 'max_retry_delay' is given twice",
    ),
    (
        lambda: AIModelCallConfig(True),  # type: ignore[call-arg]
        "AIModelCallConfig: give each field by its name",
    ),
    (
        lambda: AIModelCallConfig(tools=[{"function": {"name": "f"}}]),  # type: ignore[list-item]
        "AIModelCallConfig.tools[0]: ToolDefinition.function: FunctionDefinition: missing required",
    ),
    (
        lambda: AIModelCallConfig(tools={}),  # type: ignore[arg-type]
        "AIModelCallConfig.tools: expected a list, got `dict`",
    ),
    (
        lambda: AIModelCallConfig(tools="f"),  # type: ignore[arg-type]
        "AIModelCallConfig.tools: expected a list, got `str`",
    ),
    (
        lambda: AIModelCallConfig(options=[1]),  # type: ignore[arg-type]
        "AIModelCallConfig.options: expected a dict, got `list`",
    ),
    (
        lambda: AIModelCallConfig(options={1: 2}),  # type: ignore[dict-item]
        "AIModelCallConfig.options: expected `str`, got `int`",
    ),
    (
        lambda: AIModelCallConfig(options=None),  # type: ignore[arg-type]
        "AIModelCallConfig.options: expected a dict, got None",
    ),
    (
        lambda: AIModelEndpoint(api="x", ai_model=model()),  # type: ignore[arg-type]
        "AIModelEndpoint.api: expected AIModelAPI or a dict, got `str`",
    ),
    (
        lambda: AIModelEndpoint(api=model(), ai_model=model()),  # type: ignore[arg-type]
        "AIModelEndpoint.api: expected AIModelAPI or a dict, got `FoundationModel`",
    ),
    (
        lambda: prompt({"content": {"txt": "x"}}),
        "Prompt.text: PromptText.content: Content: no field 'txt'; did you mean 'text'?",
    ),
    (
        lambda: Prompt.model_validate({"role": "user", "content": "hi"}),
        "Prompt: no field 'content'; did you mean 'text'? (fields: ",
    ),
    (lambda: prompt(5), "Prompt.text: expected one of str, PromptText, got `int`"),
    (
        lambda: AIModelCallConfig(structured_output=5),  # type: ignore[arg-type]
        "AIModelCallConfig.structured_output: expected one of StructuredOutputConfig, type",
    ),
    (
        lambda: AIModelCallConfig(structured_output={"output_schema": 5}),  # type: ignore[arg-type]
        "AIModelCallConfig.structured_output: StructuredOutputConfig.output_schema: expected a di",
    ),
    (
        lambda: ToolDefinition(
            function=FunctionDefinition.model_validate(
                {"name": "f", "parameters": {"properties": {}}}
            ),
            function_reference=5,  # type: ignore[arg-type]
        ),
        "ToolDefinition.function_reference: expected a callable, got `int`",
    ),
    (
        lambda: StructuredOutputConfig(output_schema={}, model_class_reference=5),  # type: ignore[arg-type]
        "StructuredOutputConfig.model_class_reference: expected a class, got `int`",
    ),
    (
        lambda: ChatModelSettings(
            max_context_window_tokens=10,
            max_output_tokens=5,
            supported_reasoning_efforts=("low", 1),  # type: ignore[arg-type]
        ),
        "ChatModelSettings.supported_reasoning_efforts: expected `str`, got `int`",
    ),
    (lambda: Prompt.model_validate(5), "Prompt: expected a dict, got `int`"),
    (lambda: Prompt.model_validate({1: 2}), "Prompt: no field 1 (fields: type, role, text"),
    (lambda: Prompt.model_validate_json("{"), "Prompt: not JSON: "),
    (lambda: Prompt.model_validate_json('{"text": null}'), "Prompt.text: expected one of str"),
    (
        lambda: ChatResponse.model_validate({"model": "m"}),
        "ChatResponse: Object missing required field `provider`",
    ),
    (lambda: ChatResponse.model_validate([]), "ChatResponse: expected a dict, got `list`"),
    (lambda: ChatResponse.model_validate_json(b"\xff"), "ChatResponse: not JSON: "),
    (lambda: ChatResponse.model_validate_json(b'"\xff"'), "ChatResponse: not JSON: 'utf-8' codec"),
    (
        lambda: Prompt.model_validate_json('"\ud800"'),
        "Prompt: not JSON: 'utf-8' codec can't encode",
    ),
    (lambda: Prompt.model_validate_json("[" * 100_000), "Prompt: not JSON: maximum recursion"),
    (
        lambda: full_answer().model_copy(update={"useage": None}),
        "ChatResponse: no field 'useage'; did you mean 'usage'?",
    ),
    (
        lambda: AIModelCallConfig().model_copy(update={"retry": 5}),
        "AIModelCallConfig: no field 'retry'; did you mean 'retries'?",
    ),
    (
        lambda: AIModelCallConfig().model_copy(update={"retries": "5"}),
        "AIModelCallConfig.retries: expected `int`, got `str`",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_a_wrong_value_is_refused_with_the_field_and_what_was_expected(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(message)) as caught:
        make()
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_camel_case_is_taken_beside_snake_case_at_every_depth() -> None:
    config = AIModelCallConfig(maxOutputTokens=5, retry_delay=2)  # type: ignore[call-arg]
    assert (config.max_output_tokens, config.retry_delay) == (5, 2.0)
    choice = {"type": "specific", "specificToolName": "f"}
    tool = {"function": {"name": "f", "parameters": {"properties": {}}}, "cacheControl": "5m"}
    nested = AIModelCallConfig.model_validate_json(
        json.dumps({"toolChoice": choice, "tools": [tool]})
    )
    assert nested.tool_choice == ToolChoice(type="specific", specific_tool_name="f")
    assert nested.tools is not None
    assert nested.tools[0].cache_control == "5m"


def test_strings_become_enum_members_and_dicts_become_structs() -> None:
    made = AIModelEndpoint.model_validate(
        {"api": {"provider": "anthropic", "api_key": KEY}, "ai_model": model().model_dump()}
    )
    assert made == endpoint()
    assert made.api.provider is AIModelAPIProviderEnum.ANTHROPIC


def test_a_whole_number_is_a_float_but_a_bool_is_no_number() -> None:
    assert AIModelCallConfig(timeout=5).timeout == 5.0
    with pytest.raises(ConfigError, match=r"timeout: expected `float`, got `bool`"):
        AIModelCallConfig(timeout=True)
    with pytest.raises(ConfigError, match=r"timeout: expected `float` > 0"):
        AIModelCallConfig(timeout=float("nan"))


def test_an_object_given_is_kept_and_a_container_is_copied() -> None:
    own, options = model(), {"stop": ["x"]}
    assert AIModelEndpoint(api=api(), ai_model=own).ai_model is own
    config = AIModelCallConfig(options=options)
    config.options["seed"] = 1
    assert options == {"stop": ["x"]}


def test_an_assignment_is_checked_like_a_new_value() -> None:
    config = AIModelCallConfig()
    config.tool_choice = {"type": "one_or_more"}  # type: ignore[assignment]
    assert config.tool_choice == ToolChoice(type="one_or_more")
    with pytest.raises(ConfigError, match=r"^AIModelCallConfig\.retries: expected `int`"):
        config.retries = "3"  # type: ignore[assignment]
    with pytest.raises(AttributeError, match="no field 'timout'; did you mean 'timeout'"):
        config.timout = 3  # type: ignore[attr-defined]


def test_an_assignment_that_breaks_a_rule_leaves_the_value_that_was() -> None:
    choice = ToolChoice(type="specific", specific_tool_name="f")
    with pytest.raises(ConfigError, match=r"^ToolChoice\.specific_tool_name: needed"):
        choice.specific_tool_name = None
    assert choice.specific_tool_name == "f"
    account = api()
    with pytest.raises(ConfigError, match="whitespace"):
        account.api_key = KEY + "\n"
    assert account.api_key == KEY


class Base(InputModel):
    """A struct of a user's own."""

    items: Sequence[int] = ()
    table: Mapping[str, list[int]] = msgspec.field(default_factory=dict[str, list[int]])
    anything: Any = None
    call: Callable[[], int] | None = None
    path: str | Path | None = None


def test_a_struct_of_a_users_own_is_checked_too() -> None:
    made = Base(items=(1, 2), table=MappingProxyType({"a": (1,)}))  # type: ignore[dict-item]
    assert made.items == [1, 2]
    assert made.table == {"a": [1]}
    assert Base(anything=made).anything is made
    assert Base(path=Path("x")).path == Path("x")
    for wrong, message in [
        ({"items": b"12"}, r"Base\.items: expected a list, got `bytes`"),
        ({"items": [1, "2"]}, r"Base\.items\[1\]: expected `int`, got `str`"),
        ({"table": {"a": ["x"]}}, r"Base\.table\.a\[0\]: expected `int`, got `str`"),
        ({"path": 5}, r"Base\.path: expected one of str, Path, got `int`"),
    ]:
        with pytest.raises(ConfigError, match=message):
            Base.model_validate(wrong)


def test_a_union_names_its_members_whatever_they_are() -> None:
    with pytest.raises(ConfigError, match=r"^x: expected one of list, dict, Literal, got `float`$"):
        coerce(1.5, list[int] | dict[str, int] | Literal["a"] | None, "x")


# --- dumps


class Colour(BaseEnum):
    RED = "red"
    BLUE = "blue"


def test_an_enum_member_is_its_value() -> None:
    assert Colour.values() == {"red", "blue"}
    assert f"{Colour.RED}" == str(Colour.RED) == "red"
    assert Colour("red") is Colour.RED


def test_a_dump_has_snake_case_keys_and_no_none() -> None:
    assert AIModelEndpoint(api=api(), ai_model=model()).model_dump()["api"] == {
        "provider": "anthropic",
        "api_key": "***",
        "config": {},
        "order": 0,
        "enabled": True,
    }
    with_none = api().model_dump(exclude_none=False)
    assert with_none["credentials"] is None
    assert list(with_none) == list(AIModelAPI.__struct_fields__)


def test_a_dump_is_nested_dicts_and_lists_of_copies() -> None:
    response = full_answer()
    dumped = response.model_dump()
    assert [block["type"] for block in dumped["choices"][0]["contents"]] == [
        "reasoning",
        "text",
        "tool_call",
        "structured_output",
        "generic",
    ]
    dumped["choices"][0]["contents"][2]["tool_call"]["arguments"]["a"] = 2
    dumped["usage"]["native"].clear()
    assert response == full_answer()


def test_a_python_dump_keeps_python_values_and_a_json_dump_has_what_json_has() -> None:
    file = StoredFile.from_bytes(b"\xff", "a.bin")
    assert file.model_dump()["content"]["content_bytes"] == b"\xff"
    assert file.model_dump(mode="json")["content"]["content_bytes"] == "/w=="
    result = ToolCallResult(output={"colour": Colour.RED, "on": Path("x"), "set": {1}, "t": (1,)})
    assert result.model_dump()["output"] == {
        "colour": Colour.RED,
        "on": Path("x"),
        "set": {1},
        "t": [1],
    }
    as_json = result.model_dump(mode="json")["output"]
    assert as_json == {"colour": "red", "on": "x", "set": [1], "t": [1]}
    assert type(as_json["colour"]) is str


def test_classes_and_functions_are_no_data() -> None:
    tool = ToolDefinition.from_callable(prompt)
    assert "function_reference" not in tool.model_dump(exclude_none=False)
    config = StructuredOutputConfig.from_model(ChatResponseUsage)
    assert set(config.model_dump()) == {"output_schema", "allow_post_process_on_error"}
    assert Base(anything=[Base]).model_dump(mode="json")["anything"] == [str(Base)]


def test_models_of_pydantic_are_dumped_too() -> None:
    class Point(pydantic.BaseModel):
        x: int
        path: Path

    made = Base(anything=Point(x=1, path=Path("p")))
    assert made.model_dump()["anything"] == {"x": 1, "path": Path("p")}
    assert made.model_dump(mode="json")["anything"] == {"x": 1, "path": "p"}
    assert dump([made])[0]["anything"] == {"x": 1, "path": "p"}


def test_include_and_exclude_pick_fields() -> None:
    charge = UsageCharge(cost=1.0)
    assert charge.model_dump(include={"cost"}) == {"cost": 1.0}
    assert charge.model_dump(exclude={"cost"}) == {}
    assert charge.model_dump(include=["cost", "charge"], exclude=["cost"], exclude_none=False) == {
        "charge": None
    }
    assert charge.model_dump_json(include=["cost"]) == '{"cost":1.0}'
    assert charge.model_dump_json(exclude=["cost", "charge"]) == '{"components":null}'


def test_json_text_keeps_nulls_unless_told_and_can_be_indented() -> None:
    charge = UsageCharge(cost=1.0)
    assert charge.model_dump_json() == '{"cost":1.0,"charge":null,"components":null}'
    assert charge.model_dump_json(exclude_none=True) == '{"cost":1.0}'
    assert charge.model_dump_json(exclude_none=True, indent=2) == '{\n  "cost": 1.0\n}'


def test_text_that_utf8_cannot_hold_is_refused_not_mangled() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        prompt("\ud800").model_dump_json()


ROUND_TRIPS: list[BaseModel] = [
    full_answer(),
    endpoint(),
    AIModelEndpoint(api=api(), ai_model=model().clone("mine")),
    AIModelCallConfig(
        streaming=True,
        tools=[ToolDefinition.from_schema("f", {"type": "object", "properties": {"x": {}}})],
        tool_choice=ToolChoice(type="specific", specific_tool_name="f"),
        structured_output=StructuredOutputConfig(output_schema={"type": "object"}),
        options={"stop": ["x"], "temperature": 0.5},
    ),
    Prompt(
        text=PromptText.model_validate({"template": {"text": "$var{x}", "variables": {"x": None}}}),
        files=[StoredFile.from_bytes(b"\x00\xff", "a.png")],
    ),
]


@pytest.mark.parametrize("value", ROUND_TRIPS, ids=lambda value: type(value).__name__)
def test_what_was_dumped_validates_to_the_same(value: BaseModel) -> None:
    cls = type(value)
    masked = cls.model_validate(value.model_dump())
    assert masked.model_dump(exclude_none=False) == value.model_dump(exclude_none=False)
    assert cls.model_validate(value.model_dump(mode="json")) == masked
    assert cls.model_validate_json(value.model_dump_json()) == masked
    assert cls.model_validate_json(value.model_dump_json().encode()) == masked
    assert cls.model_validate(value) is value


def test_a_copy_shares_what_it_holds_and_a_deep_copy_does_not() -> None:
    response = full_answer()
    assert response.model_copy() == response == response.model_copy(deep=True)
    assert response.model_copy().choices is response.choices
    assert response.model_copy(deep=True).choices[0] is not response.choices[0]
    other = response.model_copy(update={"model": "m2"})
    assert (other.model, response.model) == ("m2", "model-1")
    config = AIModelCallConfig(retries=2)
    assert config.model_copy(update={"timeout": 5}).timeout == 5.0
    assert config.timeout is None


# --- secrets


def account() -> AIModelAPI:
    return AIModelAPI(
        provider=AIModelAPIProviderEnum.AMAZON_BEDROCK,
        api_key=KEY,
        credentials={
            "access_key_id": KEY,
            "secret_access_key": KEY.encode(),
            "nested": {"list": [KEY, {"deep": KEY}], "number": 1},
            "service_json": json.dumps({"private_key": KEY}),
        },
        config={"region": "eu", "headers": {"x-key": KEY}},
    )


def logged(value: object, caplog: pytest.LogCaptureFixture) -> str:
    logging.getLogger("test").warning("%s %r", value, value)
    return caplog.text


def locals_in_traceback(value: object) -> str:
    try:
        raise RuntimeError
    except RuntimeError as error:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(report.format())


SHOWN: list[Callable[[AIModelAPI], object]] = [
    repr,
    str,
    "{}".format,
    lambda a: f"{a!r:>200}",
    lambda a: f"{a.api_key} {a.api_key!r} {a.api_key:>9} {a.api_key!s}",
    lambda a: "%s %r" % (a.api_key, a.api_key),  # noqa: UP031
    lambda a: "".join([a.api_key or "", " ", a.credentials["access_key_id"]]),  # type: ignore[index]
    lambda a: f"Bearer {a.api_key}" + (a.api_key or "") + (a.api_key or "")[:20],
    lambda a: (a.api_key or "").encode(),
    lambda a: repr(AIModelEndpoint(api=a, ai_model=model())),
    lambda a: a.model_dump(),
    lambda a: a.model_dump(mode="json", exclude_none=False),
    lambda a: a.model_dump_safe(),
    lambda a: a.model_dump_json(),
    lambda a: AIModelEndpoint(api=a, ai_model=model()).model_dump_json(),
    lambda a: json.dumps([a.api_key, a.credentials, a.config]),
    lambda a: a.get_masked_credentials(),
    lambda a: a.get_provider_credentials(),
    lambda a: json.dumps(a.get_provider_credentials()),
    pickle.dumps,
    lambda a: pickle.dumps(a.get_provider_credentials(), protocol=0),
    msgspec.structs.asdict,
    lambda a: list(a.__rich_repr__()),
    locals_in_traceback,
    lambda a: locals_in_traceback(a.get_provider_credentials()),
]


@pytest.mark.parametrize("show", SHOWN)
def test_a_key_never_shows(show: Callable[[AIModelAPI], object]) -> None:
    shown = show(account())
    text = shown.decode("latin-1") if isinstance(shown, bytes) else str(shown)
    assert KEY not in text
    assert "***" in text


def test_a_key_never_shows_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    assert KEY not in logged(account(), caplog) + logged(account().api_key, caplog)


def test_a_key_stays_sealed_when_it_is_assigned() -> None:
    a = api()
    a.api_key = KEY + "2"
    a.credentials = {"x": KEY}
    a.config = {"headers": {"x": KEY}}
    assert isinstance(a.api_key, Secret)
    assert KEY not in str(a.model_dump()) + str(msgspec.structs.asdict(a))
    changed = a.model_copy(update={"api_key": KEY + "3"})
    assert KEY not in str(changed.model_dump())
    assert Secret(changed.api_key or "").reveal() == KEY + "3"


def test_reveal_gives_the_key_and_copies_keep_it_working() -> None:
    for a in (
        account(),
        copy.copy(account()),
        copy.deepcopy(account()),
        account().model_copy(deep=True),
    ):
        assert isinstance(a.api_key, Secret)
        assert a.api_key.reveal() == KEY
        assert type(a.api_key.reveal()) is str
        assert a.credentials is not None
        assert a.credentials["secret_access_key"].reveal() == KEY
        assert a.credentials["nested"]["list"][1]["deep"].reveal() == KEY
        assert a.credentials["service_json"]["private_key"].reveal() == KEY
        assert a.config["headers"]["x-key"].reveal() == KEY
        assert a == account()


def test_a_pickle_and_a_dump_come_back_without_the_key() -> None:
    copies: list[AIModelAPI] = [
        pickle.loads(pickle.dumps(account())),
        AIModelAPI.model_validate(account().model_dump()),
        AIModelAPI.model_validate_json(account().model_dump_json()),
    ]
    for again in copies:
        assert again.api_key == "***"
        assert again.credentials is not None
        assert again.credentials["service_json"] == {"private_key": "***"}
        assert again.model_dump() == account().model_dump()


def test_a_secret_compares_and_hashes_as_the_plain_value() -> None:
    secret = Secret(KEY)
    assert secret == KEY
    assert secret == Secret(KEY)
    assert operator.ne(secret, KEY) is False
    assert operator.eq(KEY, secret) is True
    assert secret != "***"
    assert secret != Secret("other")
    assert secret != 5
    assert {secret, KEY} == {KEY}
    assert Secret(secret) is secret
    assert copy.copy(secret) is copy.deepcopy(secret) is secret
    assert not Secret("")


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (KEY + "\n", "has whitespace or a line end at its start or end; strip it"),
        ("\ufeff" + KEY, "has a non-ASCII character"),
        (" " + KEY, "has whitespace or a line end at its start or end; strip it"),
        (KEY + "\u00e9", "has a non-ASCII character"),
        ("sk-\u2026" + KEY, "has a non-ASCII character"),
        ("sk- " + KEY, "has whitespace or a control character inside"),
        ("sk-\x00" + KEY, "has whitespace or a control character inside"),
        ("sk-\r\n" + KEY, "has whitespace or a control character inside"),
        ("sk-1234", "is shorter than 8 characters; is it whole?"),
    ],
)
def test_a_key_that_cannot_be_sent_is_refused_without_an_echo(key: str, problem: str) -> None:
    makers: list[Callable[[], object]] = [
        lambda: AIModelAPI(provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=key),
        lambda: AIModelAPI.model_validate({"provider": "anthropic", "apiKey": key}),
        lambda: AIModelAPI.model_validate_json(
            json.dumps({"provider": "anthropic", "api_key": key})
        ),
        lambda: api().model_copy(update={"api_key": key}),
        lambda: setattr(api(), "api_key", key),
        lambda: AIModelEndpoint.model_validate(
            {"api": {"provider": "anthropic", "api_key": key}, "ai_model": model()}
        ),
    ]
    for make in makers:
        with pytest.raises(ConfigError, match=problem) as caught:
            make()
        assert "'anthropic'" in str(caught.value)
        report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = "".join(report.format()).split(" in <lambda>", 1)[1].split("dhenara_stream/", 1)[1]
        assert key not in frames
        assert repr(key)[1:-1] not in frames


def test_other_mistakes_do_not_show_the_key_in_a_traceback_either() -> None:
    wrong: list[dict[str, Any]] = [
        {"provider": "anthropics", "api_key": KEY},
        {"provider": "anthropic", "apikey": KEY},
        {"provider": "anthropic", "api_key": KEY, "config": {"headers": {"x": KEY + "\n"}}},
        {"provider": "google_vertex_ai", "credentials": {"service_account_json": KEY}},
        {"provider": "amazon_bedrock", "credentials": {"access_key_id": KEY}},
    ]
    for fields in wrong:
        with pytest.raises(ConfigError) as caught:
            AIModelAPI.model_validate(fields)
        report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert KEY not in "".join(report.format()).split("dhenara_stream/types", 1)[1]
        assert KEY not in str(caught.value)


def test_every_text_in_credentials_is_sealed_whatever_the_keys_are() -> None:
    a = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=KEY, credentials={"x": {5: KEY}}
    )
    assert KEY not in str(a.model_dump())


def test_a_good_key_has_no_problem() -> None:
    assert check_secret(KEY) is None


def test_secrets_that_a_server_echoes_are_masked_at_every_depth() -> None:
    told = {"error": f"bad key {KEY}, {KEY}", "list": [KEY, ("a", KEY[:4])], "n": 1, "x": None}
    masked = {"error": "bad key ***, ***", "list": ["***", ["a", KEY[:4]]], "n": 1, "x": None}
    assert redacted(told, [KEY, "other"]) == masked
    assert redacted(told, []) == {**told, "list": [KEY, ["a", KEY[:4]]]}
