"""Who is served, where requests go, and which headers they carry."""

from __future__ import annotations

import itertools
import pickle
import re
from base64 import b64encode
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from dhenara_stream import AIModelClient, ConfigError
from dhenara_stream.engine.stream import Call
from dhenara_stream.providers import registry
from dhenara_stream.providers.registry import PROVIDERS, SERVICES, provider_for
from dhenara_stream.types import (
    AIModel,
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    AIModelProviderEnum,
    BaseAIModel,
    StructuredOutputConfig,
    ToolDefinition,
)
from dhenara_stream.types.genai.foundation_models import ALL_CHAT_MODELS
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45
from dhenara_stream.types.shared.secret import Secret

KEY = "sk-ant-a-key-for-tests"
# What a provider wants beside the key.
CONFIG = {
    "endpoint": "https://mine.example",
    "project_id": "p",
    "location": "eu",
    "region": "eu-west-1",
    "base_url": "https://mine.example",
}


def endpoint(
    provider: AIModelAPIProviderEnum = AIModelAPIProviderEnum.ANTHROPIC,
    model: BaseAIModel = ClaudeHaiku45,
    **config: Any,
) -> AIModelEndpoint:
    api = AIModelAPI(provider=provider, api_key=KEY, config=config)
    return AIModelEndpoint(api=api, ai_model=model)


def call(config: dict[str, Any] | None = None, **options: Any) -> Call:
    client = AIModelClient(endpoint(**(config or {})), AIModelCallConfig(options=options))
    return client._call("Hi", None, None, None)  # pyright: ignore[reportPrivateUsage]


def headers(config: dict[str, Any] | None = None, **options: Any) -> dict[str, str]:
    sent = call(config, **options).request.headers
    return {name: getattr(value, "reveal", lambda v=value: v)() for name, value in sent.items()}


# --- who is served


DECLARED = [*PROVIDERS.values(), *SERVICES.values()]


@pytest.mark.parametrize("provider", DECLARED, ids=lambda p: p.title)
def test_a_declaration_is_sound(provider: registry.Provider) -> None:
    if isinstance(provider.base_url, str) and provider.base_url:
        parts = urlsplit(provider.base_url)
        assert parts.scheme == "https" or parts.hostname == "localhost"
        assert not provider.base_url.endswith("/")
    for route in provider.routes:
        assert route.api
        for name in (*provider.base_url_envs, *route.base_url_envs):
            assert re.fullmatch(r"[A-Z_]+_(BASE_URL|ENDPOINT)|AWS_ENDPOINT_URL_[A-Z_]+", name)
    assert not provider.key_required or provider.key_env
    assert re.fullmatch(r"([A-Z_]+_KEY|AWS_BEARER_TOKEN_BEDROCK)?", provider.key_env)
    assert provider.serves(AIModelProviderEnum.CUSTOM)
    assert all(name == name.lower() for name in provider.list_headers)


@pytest.mark.parametrize(
    ("name", "model"),
    list(itertools.product(PROVIDERS, ALL_CHAT_MODELS)),
    ids=lambda value: getattr(value, "value", None) or value.model_name,
)
def test_a_provider_serves_the_models_of_its_makers(
    name: AIModelAPIProviderEnum, model: BaseAIModel
) -> None:
    provider = PROVIDERS[name]
    asked = endpoint(name, model, **CONFIG)
    if provider.serves(model.provider):
        assert provider_for(asked) is provider
        return
    with pytest.raises(ConfigError) as caught:
        provider_for(asked)
    message = str(caught.value)
    assert "Unsupported provider" in message
    assert model.model_name in message
    assert model.provider.value in message
    assert name.value in message


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_models_of_ones_own_go_anywhere(name: AIModelAPIProviderEnum) -> None:
    model = AIModel(
        model_name="mine",
        provider=AIModelProviderEnum.CUSTOM,
        foundation_model=ClaudeHaiku45,
    )
    assert provider_for(endpoint(name, model, **CONFIG)).api_provider == name


def test_a_provider_that_is_not_served_is_named_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = AIModelAPIProviderEnum.ANTHROPIC
    monkeypatch.setattr(registry, "PROVIDERS", {served: PROVIDERS[served]})
    with pytest.raises(ConfigError, match=r"Unsupported API provider 'openai'.*anthropic"):
        provider_for(endpoint(AIModelAPIProviderEnum.OPEN_AI))


def test_a_call_to_it_fails_before_anything_is_sent() -> None:
    wrong = next(model for model in ALL_CHAT_MODELS if model.provider != "anthropic")
    client = AIModelClient(endpoint(model=wrong), is_async=False)
    with pytest.raises(ConfigError, match="Unsupported provider"):
        client.generate(prompt="Hi")


# --- where requests go


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://host", "https://host/v1/messages"),
        ("https://host/", "https://host/v1/messages"),
        ("https://host///", "https://host/v1/messages"),
        ("https://host/v1", "https://host/v1/messages"),
        ("https://host/v1/", "https://host/v1/messages"),
        ("https://host/a/v1", "https://host/a/v1/messages"),
        ("https://host/a//v1/", "https://host/a/v1/messages"),
        ("https://host/v1beta", "https://host/v1beta/messages"),
        ("https://host/v1/messages", "https://host/v1/messages"),
        ("https://host/v1/account/gateway", "https://host/v1/account/gateway/v1/messages"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/messages"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1/messages"),
    ],
)
@pytest.mark.parametrize("where", ["config", "environment"])
def test_the_address(given: str, url: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", given if where == "environment" else "https://other")
    assert call({"base_url": given} if where == "config" else {}).request.url == url


@pytest.mark.parametrize("given", [None, "", "  ", "\n"])
def test_the_usual_address(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    if given is not None:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", given)
    assert call().request.url == "https://api.anthropic.com/v1/messages"


def test_a_line_end_of_an_env_file_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", " https://host/v1\r\n")
    assert call().request.url == "https://host/v1/messages"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("host", "no HTTP address"),
        ("//host", "no HTTP address"),
        ("ftp://host", "no HTTP address"),
        ("http://", "no HTTP address"),
        ("http:///path", "no HTTP address"),
        ("http://[::1", "wrong host or port"),
        ("http://host:port", "wrong host or port"),
        ("http://host:99999", "wrong host or port"),
        ("http://my host", "whitespace"),
        ("http://ho\x07st", "control character"),
        ("https://host/v1?key=1", "query"),
        ("https://host#top", "fragment"),
    ],
)
def test_a_wrong_address_in_the_environment(
    given: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", given)
    with pytest.raises(ConfigError, match=wrong) as caught:
        call()
    assert "ANTHROPIC_BASE_URL" in str(caught.value)


@pytest.mark.parametrize("given", ["host", "http://[::1", "https://host?key=1"])
def test_a_wrong_address_in_the_config(given: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        call({"base_url": given})


WRONG = [
    "https://me:hunter2@host?x=1",
    "https://me:hunter2/@host",
    "https://me:hunter2@host:port",
    "ftp://me:hunter2@host",
]


@pytest.mark.parametrize("given", WRONG)
@pytest.mark.parametrize("where", ["config", "environment"])
def test_a_password_in_a_wrong_address_is_not_shown(
    given: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", given)
    with pytest.raises(ConfigError) as caught:
        call({"base_url": given} if where == "config" else {})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("given", WRONG)
def test_a_password_in_a_wrong_address_of_a_service_is_not_shown(given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.register_service("mine", given)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("user", "sent"),
    [
        ("me:hunter2", b"me:hunter2"),
        ("me", b"me:"),
        (":hunter2", b":hunter2"),
        ("m%40e:p%2F%3A%C3%A9", "m@e:p/:é".encode()),
    ],
)
@pytest.mark.parametrize("where", ["config", "environment"])
def test_the_user_in_an_address_is_told_by_a_sealed_header(
    user: str, sent: bytes, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = f"https://{user}@host:8080/v1"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", given)
    made = call({"base_url": given} if where == "config" else {})
    assert made.request.url == "https://host:8080/v1/messages"
    proof = made.request.headers["authorization"]
    assert isinstance(proof, Secret)
    assert proof.reveal() == f"Basic {b64encode(sent).decode()}"
    assert "hunter2" not in repr(made)


WITH_USER = {"base_url": "https://me:hunter2@host/v1"}
COMPATIBLE = AIModelAPIProviderEnum.OPENAI_COMPATIBLE


@pytest.mark.parametrize(
    ("provider", "config", "told"),
    [
        (COMPATIBLE, WITH_USER, True),
        (COMPATIBLE, WITH_USER | {"headers": {"Authorization": "mine-alone"}}, False),
        (COMPATIBLE, {"base_url": "https://host/v1"}, False),
        (AIModelAPIProviderEnum.ANTHROPIC, WITH_USER, False),  # its key has a header of its own
    ],
)
def test_a_user_in_an_address_is_told_where_it_takes_the_place_of_the_key(
    provider: AIModelAPIProviderEnum, config: dict[str, Any], told: bool
) -> None:
    note = "base_url: its user and password are sent instead of the API key"
    made = prepared(endpoint(provider, **config).api)
    assert (note in made.request.adjustments) is told


def test_a_header_of_ones_own_goes_before_the_user_in_an_address() -> None:
    config = {"base_url": "https://me:hunter2@host", "headers": {"Authorization": "mine-alone"}}
    assert headers(config)["authorization"] == "mine-alone"


def prepared(api: AIModelAPI, config: AIModelCallConfig | None = None) -> Call:
    client = AIModelClient(AIModelEndpoint(api=api, ai_model=ClaudeHaiku45), config)
    return client._call("Hi", None, None, None)  # pyright: ignore[reportPrivateUsage]


def test_a_user_that_went_through_a_dump_is_not_sent() -> None:
    dumped = endpoint(base_url="https://me:hunter2@host/v1").api.model_dump()
    reloaded = AIModelAPI.model_validate(dumped | {"api_key": KEY})
    assert reloaded.config["base_url"] == "https://***@host/v1"
    with pytest.raises(ConfigError, match="user name and password are not here"):
        prepared(reloaded)


def test_a_header_that_went_through_a_dump_is_not_sent() -> None:
    dumped = endpoint(headers={"X-Team-Key": "a-key-of-the-team"}).api.model_dump()
    reloaded = AIModelAPI.model_validate(dumped | {"api_key": KEY})
    with pytest.raises(ConfigError, match=r"'headers'\]\['x-team-key'\]: the value is not here"):
        prepared(reloaded)


def test_an_extra_header_that_went_through_a_dump_is_not_sent() -> None:
    config = AIModelCallConfig(options={"extra_headers": {"X-Key": "a-key-of-the-team"}})
    reloaded = AIModelCallConfig.model_validate(config.model_dump())
    with pytest.raises(ConfigError, match=r"extra_headers'\]\['X-Key'\]: the value is not here"):
        prepared(endpoint().api, reloaded)


# --- which headers they carry


def test_the_key_is_sealed_until_it_is_sent() -> None:
    request = call().request
    assert headers()["x-api-key"] == KEY
    assert KEY not in repr(request)
    assert KEY not in str(request.headers)


def test_headers_of_the_config_win() -> None:
    own = {"X-Api-Key": "another-key", "X-Team": "blue", "Accept": "x/y"}
    sent = headers({"headers": own})
    assert sent["x-api-key"] == "another-key"
    assert sent["x-team"] == "blue"
    assert sent["accept"] == "x/y"


def test_a_header_is_sent_once_however_it_is_spelled() -> None:
    sent = headers(extra_headers={"X-Trace": "1", "ACCEPT": "x/y"})
    assert all(name == name.lower() for name in sent)
    assert sent["x-trace"] == "1"
    assert sent["accept"] == "x/y"


def test_a_header_that_is_a_list_grows() -> None:
    config = {"headers": {"anthropic-beta": "mine"}}
    assert headers(config)["anthropic-beta"] == "mine"
    assert headers(config, betas=["a", "b"])["anthropic-beta"] == "a,b,mine"
    extra = {"Anthropic-Beta": "theirs"}
    assert headers(config, extra_headers=extra)["anthropic-beta"] == "theirs,mine"


@pytest.mark.parametrize("config", [{}, {"headers": None}, {"headers": {}}])
def test_no_headers_of_ones_own(config: dict[str, Any]) -> None:
    assert headers(config)["x-api-key"] == KEY


def test_an_account_that_went_through_a_pickle_has_no_key() -> None:
    copied = pickle.loads(pickle.dumps(endpoint()))
    client = AIModelClient(copied, is_async=False)
    with pytest.raises(ConfigError, match=r"api_key.*'anthropic'.*keys do not travel"):
        client.generate(prompt="Hi")


# --- what cannot be sent


def deep() -> dict[str, Any]:
    it: dict[str, Any] = {}
    it["itself"] = it
    return it


@pytest.mark.parametrize(
    "options",
    [{"service_tier": object()}, {"service_tier": "\ud800"}, {"container": deep()}],
    ids=["an object", "half a character", "without an end"],
)
def test_options_that_are_no_json(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        call(None, **options)


def levels(depth: int) -> dict[str, Any]:
    it: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        it = {"type": "object", "properties": {"a": it}}
    return it


def asked_for(name: AIModelAPIProviderEnum, schema: dict[str, Any], *, strict: bool) -> Call:
    """A call whose tool and output have this schema."""
    model = AIModel(
        model_name="m", provider=AIModelProviderEnum.CUSTOM, foundation_model=ClaudeHaiku45
    )
    function = {"name": "f", "parameters": {"properties": {}, "json_schema": schema}}
    tool = ToolDefinition.model_validate({"function": function, "strict": strict})
    output = StructuredOutputConfig(output_schema={"type": "object", "$defs": {"a": schema}})
    config = AIModelCallConfig(tools=[tool], structured_output=output)
    client = AIModelClient(endpoint(name, model, **CONFIG), config)
    return client._call("Hi", None, None, None)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("schema", [deep(), levels(5000)], ids=["itself", "5000 levels"])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", list(PROVIDERS))
def test_schemas_without_an_end_are_refused(
    name: AIModelAPIProviderEnum, schema: dict[str, Any], strict: bool
) -> None:
    with pytest.raises(ConfigError):
        asked_for(name, schema, strict=strict)


@pytest.mark.parametrize("depth", [50, 150, 300, 450])
@pytest.mark.parametrize("name", list(PROVIDERS))
def test_no_depth_of_a_schema_ends_in_a_recursion_error(
    name: AIModelAPIProviderEnum, depth: int
) -> None:
    with suppress(ConfigError):
        asked_for(name, levels(depth), strict=True)


def test_what_a_dialect_cannot_follow_to_its_end_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_deep(*_: Any) -> None:
        raise RecursionError

    monkeypatch.setattr(
        "dhenara_stream.dialects.anthropic.AnthropicDialect.build_request", too_deep
    )
    with pytest.raises(ConfigError, match="nested too deeply"):
        call()


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "tool_result", "call_id": "c", "output": deep()}],
        [{"type": "chat_response", "model": "m", "provider": "anthropic", "choices": [deep()]}],
        [{"text": deep()}],
    ],
    ids=["a result", "an answer", "a text"],
)
def test_messages_without_an_end_are_refused(messages: list[Any]) -> None:
    client = AIModelClient(endpoint())
    with pytest.raises(ConfigError):
        client._call(None, None, None, messages)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    "fields",
    [
        {"credentials": deep() | {"access_key_id": "a", "secret_access_key": "b"}},
        {"config": {"quirks": deep(), "base_url": "https://mine.example"}},
        {"config": {"headers": deep()}},
    ],
    ids=["credentials", "quirks", "headers"],
)
def test_an_account_without_an_end_is_refused(fields: dict[str, Any]) -> None:
    name = "openai_compatible" if "quirks" in str(fields) else "anthropic"
    with pytest.raises(ConfigError):
        prepared(AIModelAPI.model_validate({"provider": name, "api_key": KEY, **fields}))


def test_half_a_character_in_a_prompt() -> None:
    client = AIModelClient(endpoint(), is_async=False)
    with pytest.raises(ConfigError, match="surrogates not allowed"):
        client.generate(prompt="half of \ud83d")
