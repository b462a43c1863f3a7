"""Every place that serves models: where its requests go, how they prove who sends them, and what
is said before anything is sent where something is missing.
"""

from __future__ import annotations

import json
import pickle
import sys
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from anyio.abc import ByteStream
from engine.support import http_response, is_complete, peer, read, read_request, sse, text_of

from dhenara_stream import (
    AIModelClient,
    AuthenticationError,
    ConfigError,
    ConnectError,
    DhenaraStreamError,
)
from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.engine.stream import Call
from dhenara_stream.providers import (
    PROVIDERS,
    SERVICES,
    Provider,
    Quirks,
    Route,
    aws,
    google,
    header_key,
    register_provider,
    register_service,
)
from dhenara_stream.providers.extras import need
from dhenara_stream.types import (
    AIModel,
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    BaseAIModel,
)
from dhenara_stream.types.genai.dhenara.request import WebSearchHostedTool
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45
from dhenara_stream.types.genai.foundation_models.deepseek.chat import DeepseekV4Flash
from dhenara_stream.types.genai.foundation_models.google.chat import Gemini25Flash
from dhenara_stream.types.genai.foundation_models.openai.chat import GPT41
from dhenara_stream.types.shared.secret import Secret

Dict = dict[str, Any]
KEY = "canary-key-0123456789"
AWS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "canary/secret"}
ACCOUNT = {"service_account_json": {"type": "service_account", "private_key": KEY}}
VERTEX = {"project_id": "p", "location": "europe-west1"}
AZURE = {"endpoint": "https://res.openai.azure.com"}

CLAUDE, CHAT = "messages", "chat_completions"
BEDROCK_CLAUDE = ClaudeHaiku45.clone("us.anthropic.claude-haiku-4-5-20251001-v1:0")
PROFILE = ClaudeHaiku45.clone("arn:aws:bedrock:us-east-1:1:inference-profile/x")
VERTEX_CLAUDE = ClaudeHaiku45.clone("claude-haiku-4-5@20251001")
ANY = AIModel(model_name="any/model", provider="custom", foundation_model=GPT41)  # type: ignore[arg-type]

EXTRA_VARIABLES = (
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    *("AWS_SESSION_TOKEN", "AWS_PROFILE", "AZURE_OPENAI_AD_TOKEN", "OPENAI_API_VERSION"),
    *("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION", "CLOUD_ML_REGION"),
    *("ANTHROPIC_VERTEX_PROJECT_ID", "GOOGLE_APPLICATION_CREDENTIALS"),
)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    aws._refreshable.cache_clear()  # pyright: ignore[reportPrivateUsage]
    google._credentials.cache_clear()  # pyright: ignore[reportPrivateUsage]
    for place in (*PROVIDERS.values(), *SERVICES.values()):
        own = [name for route in place.routes for name in route.base_url_envs]
        for name in (*own, *place.base_url_envs, place.key_env or "X", *EXTRA_VARIABLES):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def registered() -> Iterator[None]:
    """What a test registers is gone after it."""
    providers, services = PROVIDERS.copy(), SERVICES.copy()
    yield
    SERVICES.clear()
    SERVICES.update(services)
    PROVIDERS.update(providers)


def call(
    provider: str,
    model: BaseAIModel,
    config: Dict | None = None,
    *,
    api_key: str | None = None,
    credentials: Dict | None = None,
    **settings: Any,
) -> Call:
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum(provider),
        api_key=api_key,
        credentials=credentials,
        config=config or {},
    )
    asked = AIModelEndpoint(api=api, ai_model=model)
    client = AIModelClient(asked, AIModelCallConfig(**{"streaming": True, **settings}))
    return client._call("Hi", None, None, None)  # pyright: ignore[reportPrivateUsage]


def sent(it: Call) -> dict[str, str]:
    """The headers, with those that are made when the request is sent."""
    request = it.request
    headers = {**request.headers, **(request.signer.headers(request) if request.signer else {})}
    return {k: v.reveal() if isinstance(v, Secret) else v for k, v in headers.items()}


def body_of(it: Call) -> Dict:
    body: Dict = json.loads(it.request.body)
    return body


def refused(*args: Any, **fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*args, **fields)
    message = str(caught.value)
    assert KEY not in message
    return message


# --- every place

KEYED: Dict = {"api_key": KEY}
GEMINI = "models/gemini-2.5-flash"
STREAM = "streamGenerateContent?alt=sse"
AIPLATFORM = "aiplatform.googleapis.com"
TOKEN: Dict = {"credentials": {"access_token": "tok"}}
BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model"
BEDROCK_ID = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
AZURE_BASE = "https://res.openai.azure.com/openai"
BEARER = {"authorization": f"Bearer {KEY}"}

# place, model, config, the rest, its URL, headers that it has
PLACES: list[tuple[str, BaseAIModel, Dict, Dict, str, dict[str, str]]] = [
    ("openai", GPT41, {}, KEYED, "https://api.openai.com/v1/responses", BEARER),
    (
        *("openai", GPT41, {"api": "responses"}, KEYED),
        *("https://api.openai.com/v1/responses", BEARER),
    ),
    (
        *("openai", GPT41, {"api": CHAT}, KEYED),
        *("https://api.openai.com/v1/chat/completions", BEARER),
    ),
    (
        *("anthropic", ClaudeHaiku45, {}, KEYED, "https://api.anthropic.com/v1/messages"),
        {"x-api-key": KEY, "anthropic-version": "2023-06-01"},
    ),
    (
        *("google_gemini_api", Gemini25Flash, {}, KEYED),
        f"https://generativelanguage.googleapis.com/v1beta/{GEMINI}:{STREAM}",
        {"x-goog-api-key": KEY},
    ),
    (
        *("google_gemini_api", Gemini25Flash, {}, {**KEYED, "streaming": False}),
        f"https://generativelanguage.googleapis.com/v1beta/{GEMINI}:generateContent",
        {"accept": "application/json"},
    ),
    (
        *("deepseek", DeepseekV4Flash, {}, KEYED),
        *("https://api.deepseek.com/v1/chat/completions", BEARER),
    ),
    # Azure
    (
        *("microsoft_openai", GPT41, AZURE, KEYED),
        *(f"{AZURE_BASE}/v1/responses", {"api-key": KEY}),
    ),
    (
        *("microsoft_openai", GPT41, {**AZURE, "api": CHAT}, KEYED),
        *(f"{AZURE_BASE}/v1/chat/completions", {"api-key": KEY}),
    ),
    (
        *("microsoft_openai", GPT41, {**AZURE, "api_version": date(2025, 4, 1)}, KEYED),
        *(f"{AZURE_BASE}/responses?api-version=2025-04-01", {"api-key": KEY}),
    ),
    (
        *("microsoft_openai", GPT41, {**AZURE, "api_version": "preview"}, KEYED),
        *(f"{AZURE_BASE}/v1/responses?api-version=preview", {"api-key": KEY}),
    ),
    (
        *("microsoft_openai", GPT41, {**AZURE, "api": CHAT, "api_version": "2024-10-21"}, KEYED),
        f"{AZURE_BASE}/deployments/gpt-4.1/chat/completions?api-version=2024-10-21",
        {"api-key": KEY},
    ),
    (
        *("microsoft_openai", DeepseekV4Flash, AZURE, {"credentials": {"ad_token": "tok"}}),
        *(f"{AZURE_BASE}/v1/chat/completions", {"authorization": "Bearer tok"}),
    ),
    (
        *("microsoft_openai", GPT41, AZURE),
        {"credentials": {"ad_token_provider": lambda: "fresh"}},
        *(f"{AZURE_BASE}/v1/responses", {"authorization": "Bearer fresh"}),
    ),
    # Vertex AI
    (
        *("google_vertex_ai", Gemini25Flash, VERTEX, TOKEN),
        (
            f"https://europe-west1-{AIPLATFORM}/v1beta1/projects/p/locations/europe-west1/"
            f"publishers/google/{GEMINI}:{STREAM}"
        ),
        {"authorization": "Bearer tok"},
    ),
    (
        *("google_vertex_ai", Gemini25Flash, {**VERTEX, "location": "global"}, TOKEN),
        (
            f"https://{AIPLATFORM}/v1beta1/projects/p/locations/global/"
            f"publishers/google/{GEMINI}:{STREAM}"
        ),
        {},
    ),
    (
        *("google_vertex_ai", Gemini25Flash, {**VERTEX, "location": "eu"}, TOKEN),
        (
            "https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/p/locations/eu/"
            f"publishers/google/{GEMINI}:{STREAM}"
        ),
        {},
    ),
    (
        *("google_vertex_ai", Gemini25Flash, {}, KEYED),
        f"https://{AIPLATFORM}/v1beta1/publishers/google/{GEMINI}:{STREAM}",
        {"x-goog-api-key": KEY},
    ),
    (
        *("google_vertex_ai", VERTEX_CLAUDE, {**VERTEX, "location": "us"}),
        {"credentials": {"token_provider": lambda: "fresh"}},
        (
            "https://aiplatform.us.rep.googleapis.com/v1/projects/p/locations/us/"
            "publishers/anthropic/models/claude-haiku-4-5@20251001:streamRawPredict"
        ),
        {"authorization": "Bearer fresh"},
    ),
    (
        *("google_vertex_ai", VERTEX_CLAUDE, {**VERTEX, "location": "global"}),
        {**TOKEN, "streaming": False},
        (
            f"https://{AIPLATFORM}/v1/projects/p/locations/global/"
            "publishers/anthropic/models/claude-haiku-4-5@20251001:rawPredict"
        ),
        {"authorization": "Bearer tok"},
    ),
    # Bedrock
    (
        *("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1"}, KEYED),
        f"{BEDROCK}/{BEDROCK_ID}/invoke-with-response-stream",
        {**BEARER, "accept": "application/vnd.amazon.eventstream"},
    ),
    (
        *("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1"}),
        {**KEYED, "streaming": False},
        *(f"{BEDROCK}/{BEDROCK_ID}/invoke", {"accept": "application/json"}),
    ),
    (
        *("amazon_bedrock", PROFILE, {"region": "us-east-1"}, KEYED),
        f"{BEDROCK}/arn:aws:bedrock:us-east-1:1:inference-profile%2Fx/invoke-with-response-stream",
        {},
    ),
    (
        *("amazon_bedrock", BEDROCK_CLAUDE, {"region": "cn-north-1"}, KEYED),
        (
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/"
            f"{BEDROCK_ID}/invoke-with-response-stream"
        ),
        {},
    ),
    # Anybody's
    (
        *("openai_compatible", ANY, {"base_url": "https://mine.example"}, {}),
        *("https://mine.example/v1/chat/completions", {}),
    ),
    *(
        ("openai_compatible", ANY, {"service": name}, KEYED, url, BEARER)
        for name, url in {
            "openrouter": "https://openrouter.ai/api/v1/chat/completions",
            "groq": "https://api.groq.com/openai/v1/chat/completions",
            "mistral": "https://api.mistral.ai/v1/chat/completions",
            "xai": "https://api.x.ai/v1/chat/completions",
            "together": "https://api.together.xyz/v1/chat/completions",
            "fireworks": "https://api.fireworks.ai/inference/v1/chat/completions",
            "cerebras": "https://api.cerebras.ai/v1/chat/completions",
            "perplexity": "https://api.perplexity.ai/chat/completions",
            "ollama": "http://localhost:11434/v1/chat/completions",
            "vllm": "http://localhost:8000/v1/chat/completions",
            "llama.cpp": "http://localhost:8080/v1/chat/completions",
            "lm_studio": "http://localhost:1234/v1/chat/completions",
            "litellm": "http://localhost:4000/v1/chat/completions",
        }.items()
    ),
]


@pytest.mark.parametrize(("provider", "model", "config", "fields", "url", "headers"), PLACES)
def test_the_request_to_every_place(
    provider: str,
    model: BaseAIModel,
    config: Dict,
    fields: Dict,
    url: str,
    headers: dict[str, str],
) -> None:
    made = call(provider, model, config, **fields)
    assert made.request.url == url
    assert sent(made).items() >= {"content-type": "application/json", **headers}.items()
    assert KEY not in repr(made)


def test_every_place_is_in_the_table() -> None:
    tried = {(place, config.get("service", "")) for place, _, config, *_ in PLACES}
    named = {(s.api_provider.value, s.name) for s in SERVICES.values()}
    assert tried == named | {(name.value, "") for name in PROVIDERS}


# --- bodies


def test_bedrocks_body_is_without_model_and_streaming() -> None:
    config = {"region": "us-east-1", "headers": {"anthropic-beta": "mine, yours"}}
    made = call("amazon_bedrock", BEDROCK_CLAUDE, config, api_key=KEY, options={"betas": ["a"]})
    body = body_of(made)
    assert body.keys() == {"anthropic_version", "anthropic_beta", "max_tokens", "messages"}
    assert body["anthropic_version"] == "bedrock-2023-05-31"
    assert body["anthropic_beta"] == ["a", "mine", "yours"]
    assert not sent(made).keys() & {"anthropic-version", "anthropic-beta", "x-api-key"}


def test_vertexs_body_for_claude_is_without_the_model() -> None:
    made = call("google_vertex_ai", VERTEX_CLAUDE, VERTEX, **TOKEN, options={"betas": ["a"]})
    body = body_of(made)
    assert body.keys() == {"anthropic_version", "max_tokens", "messages", "stream"}
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert "anthropic-version" not in sent(made)
    assert sent(made)["anthropic-beta"] == "a"


def test_a_service_is_asked_in_its_own_way() -> None:
    options = {"seed": 1}
    mistral = body_of(
        call("openai_compatible", ANY, {"service": "mistral"}, api_key=KEY, options=options)
    )
    assert (mistral["random_seed"], "stream_options" in mistral) == (1, False)
    groq = body_of(
        call("openai_compatible", ANY, {"service": "groq"}, api_key=KEY, options=options)
    )
    assert (groq["seed"], groq["stream_options"]) == (1, {"include_usage": True})


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.mistral.ai", "mistral"),
        ("https://API.mistral.ai/v1/", "mistral"),
        ("https://api.together.ai/v1", "together"),
        ("http://127.0.0.1:11434", "ollama"),
        ("http://localhost:8000", ""),
        ("https://mistral.example", ""),
    ],
)
def test_the_host_of_the_address_means_a_service(base_url: str, name: str) -> None:
    made = call("openai_compatible", ANY, {"base_url": base_url}, api_key=KEY)
    place = SERVICES[name] if name else PROVIDERS[AIModelAPIProviderEnum.OPENAI_COMPATIBLE]
    assert made.dialect is place.routes[0].dialect


def test_a_server_that_differs_is_told_of_by_its_quirks() -> None:
    config = {"base_url": "https://mine.example", "quirks": {"stream_options": False}}
    body = body_of(call("openai_compatible", ANY, config))
    assert "stream_options" not in body


@pytest.mark.parametrize(
    ("quirks", "problem"),
    [({"nothing": 1}, "unknown field"), ({"tools": "no"}, "Expected `bool`"), (5, "quirks")],
)
def test_quirks_that_are_none(quirks: Any, problem: str) -> None:
    config = {"base_url": "https://mine.example", "quirks": quirks}
    assert problem in refused("openai_compatible", ANY, config)


def test_quirks_where_there_are_none() -> None:
    message = refused("anthropic", ClaudeHaiku45, {"quirks": {"tools": False}}, api_key=KEY)
    assert "OPENAI_COMPATIBLE" in message


# --- addresses of one's own

# place, model, config beside, the rest, variable, what follows the address (with its version)
OVERRIDES: list[tuple[str, BaseAIModel, Dict, Dict, str, str, str]] = [
    ("openai", GPT41, {}, KEYED, "OPENAI_BASE_URL", "/v1", "/responses"),
    ("openai", GPT41, {"api": CHAT}, KEYED, "OPENAI_BASE_URL", "/v1", "/chat/completions"),
    ("anthropic", ClaudeHaiku45, {}, KEYED, "ANTHROPIC_BASE_URL", "/v1", "/messages"),
    (
        *("google_gemini_api", Gemini25Flash, {}, KEYED, "GOOGLE_GEMINI_BASE_URL"),
        *("/v1beta", f"/{GEMINI}:{STREAM}"),
    ),
    (
        *("deepseek", DeepseekV4Flash, {}, KEYED, "DEEPSEEK_BASE_URL"),
        *("/v1", "/chat/completions"),
    ),
    (
        *("microsoft_openai", GPT41, {}, KEYED, "AZURE_OPENAI_ENDPOINT"),
        *("/openai/v1", "/responses"),
    ),
    (
        *("google_vertex_ai", Gemini25Flash, VERTEX, TOKEN, "GOOGLE_VERTEX_BASE_URL", "/v1beta1"),
        f"/projects/p/locations/europe-west1/publishers/google/{GEMINI}:{STREAM}",
    ),
    (
        *("google_vertex_ai", ClaudeHaiku45, VERTEX, TOKEN, "ANTHROPIC_VERTEX_BASE_URL", "/v1"),
        (
            "/projects/p/locations/europe-west1/publishers/anthropic/models/claude-haiku-4-5"
            ":streamRawPredict"
        ),
    ),
    (
        *("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1"}, KEYED),
        *("ANTHROPIC_BEDROCK_BASE_URL", ""),
        f"/model/{BEDROCK_ID}/invoke-with-response-stream",
    ),
    *(
        (
            *("openai_compatible", ANY, {"service": s.name}, KEYED, s.base_url_envs[0]),
            *("" if s.name == "perplexity" else "/v1", "/chat/completions"),
        )
        for s in SERVICES.values()
    ),
]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("where", ["config", "environment"])
@pytest.mark.parametrize(
    ("provider", "model", "config", "fields", "variable", "version", "path"), OVERRIDES
)
def test_an_address_of_ones_own(
    provider: str,
    model: BaseAIModel,
    config: Dict,
    fields: Dict,
    variable: str,
    version: str,
    path: str,
    where: str,
    versioned: bool,
    slash: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = f"http://127.0.0.1:9{version if versioned else ''}{slash}"
    monkeypatch.setenv(variable, given if where == "environment" else "https://other.example")
    if where == "config":
        config = {**config, "base_url": given}
    made = call(provider, model, config, **fields)
    assert made.request.url == f"http://127.0.0.1:9{version}{path}"


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://a.example/api/v3", "https://a.example/api/v3/chat/completions"),
        ("https://a.example/v1beta/openai/", "https://a.example/v1beta/openai/chat/completions"),
        ("https://a.example/beta", "https://a.example/beta/chat/completions"),
        ("https://a.example/x/chat/completions", "https://a.example/x/chat/completions"),
    ],
)
def test_an_address_with_another_version(base_url: str, url: str) -> None:
    assert call("openai_compatible", ANY, {"base_url": base_url}).request.url == url


@pytest.mark.parametrize(
    "given", ["", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/", "/openai/v1/models"]
)
@pytest.mark.parametrize("key", ["endpoint", "base_url"])
def test_azures_endpoint_however_it_is_copied(key: str, given: str) -> None:
    made = call("microsoft_openai", GPT41, {key: f"https://r.azure.com{given}"}, api_key=KEY)
    assert made.request.url == "https://r.azure.com/openai/v1/responses"


def test_azures_endpoint_is_no_deployment() -> None:
    endpoint = "https://r.azure.com/openai/deployments/mine"
    message = refused("microsoft_openai", GPT41, {"endpoint": endpoint}, api_key=KEY)
    assert "deployment is the model's name" in message


# --- from the environment


@pytest.mark.parametrize(
    ("provider", "model", "environment", "url", "header"),
    [
        (
            *("microsoft_openai", GPT41),
            {
                "AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com/",
                "AZURE_OPENAI_API_KEY": KEY + "\n",
                "OPENAI_API_VERSION": "2025-04-01",
            },
            *(f"{AZURE_BASE}/responses?api-version=2025-04-01", ("api-key", KEY)),
        ),
        (
            *("microsoft_openai", GPT41),
            {
                "AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com/",
                "AZURE_OPENAI_AD_TOKEN": KEY,
                "OPENAI_API_VERSION": "v1",
            },
            *(f"{AZURE_BASE}/v1/responses", ("authorization", f"Bearer {KEY}")),
        ),
        (
            *("amazon_bedrock", BEDROCK_CLAUDE),
            {"AWS_DEFAULT_REGION": "us-east-1", "AWS_BEARER_TOKEN_BEDROCK": KEY},
            f"{BEDROCK}/{BEDROCK_ID}/invoke-with-response-stream",
            ("authorization", f"Bearer {KEY}"),
        ),
    ],
)
def test_an_account_of_the_environments(
    provider: str,
    model: BaseAIModel,
    environment: dict[str, str],
    url: str,
    header: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = call(provider, model)
    assert made.request.url == url
    assert sent(made)[header[0]] == header[1]


def test_vertexs_project_and_location_are_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_VERTEX_PROJECT_ID", "example.com:mine")
    monkeypatch.setenv("CLOUD_ML_REGION", "us-east5")
    url = call("google_vertex_ai", ClaudeHaiku45, **TOKEN).request.url
    assert "/projects/example.com:mine/locations/us-east5/" in url


@pytest.mark.parametrize("name", [s.name for s in SERVICES.values() if s.key_env])
def test_a_services_key_is_that_of_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SERVICES[name].key_env, KEY)
    made = call("openai_compatible", ANY, {"service": name})
    assert sent(made)["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_service_without_a_key(name: str) -> None:
    service = SERVICES[name]
    if service.key_required:
        message = refused("openai_compatible", ANY, {"service": name})
        assert "api_key" in message
        assert service.key_env in message
    else:
        made = call("openai_compatible", ANY, {"service": name})
        assert "authorization" not in sent(made)


def test_a_key_of_the_environments_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "a key with-blanks")
    message = refused("openai_compatible", ANY, {"service": "groq"})
    assert "$GROQ_API_KEY" in message
    assert "blanks" not in message


# --- what is missing or does not fit


@pytest.mark.parametrize(
    ("args", "fields", "named"),
    [
        (("openai", GPT41, {"api": "messages"}), KEYED, ["responses, chat_completions", "api"]),
        (("microsoft_openai", DeepseekV4Flash, {**AZURE, "api": "responses"}), KEYED, [CHAT]),
        (("openai", ClaudeHaiku45), KEYED, ["model's maker", "another model", "CUSTOM"]),
        (
            ("openai_compatible", ANY, {"service": "nobody"}),
            *(KEYED, ["openrouter", "base_url", "register_service"]),
        ),
        (("anthropic", ClaudeHaiku45, {"service": "groq"}), KEYED, ["anthropic has none"]),
        (("microsoft_openai", GPT41, AZURE), {}, ["api_key", "ad_token", "AZURE_OPENAI_API_KEY"]),
        (
            ("google_vertex_ai", ClaudeHaiku45, VERTEX),
            *(KEYED, ["service_account_json", "Gemini", "token_provider"]),
        ),
        (
            ("google_vertex_ai", Gemini25Flash, {**VERTEX, "location": "evil.example/"}),
            *(TOKEN, ["config['location']"]),
        ),
        (
            ("google_vertex_ai", Gemini25Flash, {**VERTEX, "project_id": "a/b"}),
            *(TOKEN, ["config['project_id']"]),
        ),
        (("amazon_bedrock", BEDROCK_CLAUDE, {"region": 5}), KEYED, ["config['region']"]),
        (
            ("amazon_bedrock", BEDROCK_CLAUDE, {"base_url": "https://mine.example"}),
            *({"credentials": AWS}, ["region", "AWS_REGION"]),
        ),
        (
            ("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1"}),
            {**KEYED, "hosted_tools": [WebSearchHostedTool()]},
            ["Leave them out", "tools", "model's maker"],
        ),
        (
            ("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1"}),
            {"credentials": {**AWS, "secret_access_key": "with blank"}},
            ["secret_access_key"],
        ),
        (
            ("microsoft_openai", GPT41, AZURE),
            *({"credentials": {"ad_token": "with blank"}}, ["ad_token"]),
        ),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_the_ways_out(
    args: tuple[Any, ...], fields: Dict, named: list[str]
) -> None:
    message = refused(*args, **fields)
    assert [name for name in named if name not in message] == []


def test_hosted_tools_go_where_they_work() -> None:
    made = call(
        "google_vertex_ai", VERTEX_CLAUDE, VERTEX, **TOKEN, hosted_tools=[WebSearchHostedTool()]
    )
    assert "tools" in body_of(made)


def test_a_region_of_the_environments_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us east")
    message = refused("amazon_bedrock", BEDROCK_CLAUDE, api_key=KEY)
    assert "$AWS_REGION" in message


@pytest.mark.parametrize(
    ("provider", "config", "credentials"),
    [
        ("amazon_bedrock", {"region": "us-east-1"}, AWS),
        ("google_vertex_ai", VERTEX, ACCOUNT),
        ("google_vertex_ai", VERTEX, {"access_token": KEY}),
        ("microsoft_openai", AZURE, {"ad_token": KEY}),
    ],
)
def test_credentials_that_went_through_a_pickle_are_gone(
    provider: str, config: Dict, credentials: Dict
) -> None:
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum(provider), credentials=credentials, config=config
    )
    api = pickle.loads(pickle.dumps(api))
    model = GPT41 if provider == "microsoft_openai" else ClaudeHaiku45
    client = AIModelClient(AIModelEndpoint(api=api, ai_model=model), is_async=False)
    with pytest.raises(ConfigError, match="do not travel"):
        client.generate(prompt="Hi")


def test_headers_of_ones_own_are_proof_enough() -> None:
    config = {"region": "us-east-1", "headers": {"Authorization": "Bearer own"}}
    made = call("amazon_bedrock", BEDROCK_CLAUDE, config)
    assert sent(made)["authorization"] == "Bearer own"
    assert made.request.signer is None


@pytest.mark.parametrize(("token", "problem"), [(5, "not a string"), ("a b", "whitespace")])
def test_a_tokens_source_that_gives_none(token: Any, problem: str) -> None:
    credentials = {"ad_token_provider": lambda: token}
    made = call("microsoft_openai", GPT41, AZURE, credentials=credentials)
    with pytest.raises(ConfigError, match=problem):
        sent(made)


# --- places of one's own


@pytest.mark.usefixtures("registered")
def test_a_new_server_costs_one_declaration() -> None:
    register_service("acme", "https://llm.acme.example/v1", key_env="ACME_KEY")

    for config in ({"service": "acme"}, {"base_url": "https://llm.acme.example"}):
        made = call("openai_compatible", ANY, config, api_key=KEY)
        assert made.request.url == "https://llm.acme.example/v1/chat/completions"
        assert sent(made)["authorization"] == f"Bearer {KEY}"
        assert body_of(made)["stream_options"] == {"include_usage": True}
    assert "ACME_KEY" in refused("openai_compatible", ANY, {"service": "acme"})


@pytest.mark.usefixtures("registered")
def test_a_user_in_the_address_of_a_new_server_is_sealed() -> None:
    declared = register_service("acme", "https://me:hunter2@LLM.acme.example/v1")
    assert "hunter2" not in repr(declared)
    assert declared.hosts == ("llm.acme.example",)
    made = call("openai_compatible", ANY, {"service": "acme"}, api_key=KEY)
    assert made.request.url == "https://LLM.acme.example/v1/chat/completions"
    assert "hunter2" not in repr(made)
    assert sent(made)["authorization"] == f"Basic {b64encode(b'me:hunter2').decode()}"


async def test_a_new_servers_answer_is_streamed_for_one_declaration(
    registered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []

    async def acme(stream: ByteStream, number: int) -> None:
        heard.append(await read_request(stream))
        await stream.send(http_response(ACMES_ANSWER))

    monkeypatch.setenv("ACME_KEY", KEY)
    async with peer(acme) as server:
        register_service(
            "acme", f"{server.url}/v1", key_env="ACME_KEY", quirks=Quirks(limit_field="max_tokens")
        )

        config: Dict = {"service": "acme"}
        api = AIModelAPI(provider=AIModelAPIProviderEnum.OPENAI_COMPATIBLE, config=config)
        streaming = AIModelCallConfig(streaming=True, max_output_tokens=5)
        async with AIModelClient(AIModelEndpoint(api=api, ai_model=ANY), streaming) as client:
            items = await read(await client.generate_async(prompt="Hi"))
    (request,) = heard
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions ")
    assert f"Bearer {KEY}".encode() in head
    sent = json.loads(body)
    assert sent.items() >= {"model": "any/model", "stream": True, "max_tokens": 5}.items()
    assert sent["messages"] == [{"role": "user", "content": "Hi"}]
    assert is_complete(items)
    answer = items[-1][1].chat_response
    assert text_of(items) == answer.text() == "Hello"
    assert answer.reasoning() == "Hm."
    assert [(call.call_id, call.name, call.arguments) for call in answer.tools()] == [
        ("call_1", "look", {"at": 1})
    ]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 2)


CALLED = '{"index":0,"id":"call_1","function":{"name":"look","arguments":"{\\"at\\":1}"}}'
ACMES_ANSWER = sse(
    '{"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hm."}}]}',
    '{"choices":[{"index":0,"delta":{"content":"Hel"}}]}',
    '{"choices":[{"index":0,"delta":{"content":"lo"}}]}',
    '{"choices":[{"index":0,"delta":{"tool_calls":[' + CALLED + "]}}]}",
    '{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}',
    '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}',
    "[DONE]",
)


@pytest.mark.usefixtures("registered")
def test_a_servers_ways_are_part_of_its_declaration() -> None:
    quirks = Quirks(limit_field="max_tokens", stream_options=False)
    register_service(
        *("acme", "https://acme.example"),
        key_required=False,
        base_url_env="ACME_URL",
        hosts=(),
        path="/chat",
        quirks=quirks,
    )
    made = call("openai_compatible", ANY, {"service": "acme"}, max_output_tokens=5)
    assert made.request.url == "https://acme.example/chat"
    assert body_of(made)["max_tokens"] == 5


@pytest.mark.usefixtures("registered")
def test_a_place_that_speaks_another_protocol() -> None:
    register_provider(
        Provider(
            api_provider=AIModelAPIProviderEnum.ANTHROPIC,
            name="gateway",
            routes=(Route(dialect=AnthropicDialect()),),
            base_url="https://gateway.example/anthropic",
            key_env="GATEWAY_KEY",
            auth=header_key("x-gateway-key"),
        )
    )
    made = call("anthropic", ANY, {"service": "gateway"}, api_key=KEY)
    assert made.request.url == "https://gateway.example/anthropic/v1/messages"
    assert sent(made)["x-gateway-key"] == KEY


@pytest.mark.usefixtures("registered")
def test_a_main_place_can_be_replaced() -> None:
    name = AIModelAPIProviderEnum.OPENAI_COMPATIBLE
    own = Provider(
        api_provider=name,
        routes=PROVIDERS[name].routes,
        base_url="https://usual.example",
        key_env="",
        key_required=False,
        auth=header_key("x-key"),
    )
    assert register_provider(own) is own
    made = call("openai_compatible", ANY, {"base_url": "https://b.example"})
    assert "x-key" not in sent(made)
    made = call("openai_compatible", ANY, {"base_url": "https://b.example"}, api_key=KEY)
    assert sent(made)["x-key"] == KEY


@pytest.mark.parametrize(("name", "url"), [("", "https://a.example"), ("a", "a.example")])
def test_a_declaration_without_a_name_or_an_address(name: str, url: str) -> None:
    with pytest.raises(ConfigError, match=r"^register_service: (name|base_url)"):
        register_service(name, url)


# --- keys of AWS


def test_bedrock_is_signed_for_with_the_accounts_keys() -> None:
    made = call(
        *("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1"}),
        credentials={**AWS, "session_token": "tok"},
    )
    headers = sent(made)
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/us-east-1/bedrock/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == "tok"
    now = datetime.strptime(headers["x-amz-date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
    assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)
    assert made.request.signer is not None
    assert not made.request.signer.blocking
    assert "canary" not in repr(made)


def test_bedrock_is_signed_for_with_the_environments_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    headers = sent(call("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1"}))
    assert "Credential=AKIDENV/" in headers["authorization"]
    assert "x-amz-security-token" not in headers


class _Frozen:
    access_key, secret_key = "AKIDBOTO", "secret"

    def __init__(self, token: str | None) -> None:
        self.token = token


def fake_botocore(monkeypatch: pytest.MonkeyPatch, found: Any) -> list[str | None]:
    """In place of botocore: a session whose credentials are ``found``; the profiles asked for."""
    asked: list[str | None] = []

    class BotoCoreError(Exception):
        pass

    class Credentials:
        def get_frozen_credentials(self) -> Any:
            if found == "expired":
                raise BotoCoreError("the session has expired")
            return found

    class Session:
        def __init__(self, profile: str | None) -> None:
            asked.append(profile)

        def get_credentials(self) -> Any:
            return found and Credentials()

    fakes = {name: ModuleType(name) for name in ("botocore", "botocore.exceptions")}
    fakes["botocore.exceptions"].BotoCoreError = BotoCoreError  # type: ignore[attr-defined]
    fakes["botocore.session"] = session = ModuleType("botocore.session")
    session.Session = Session  # type: ignore[attr-defined]
    for name, module in fakes.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("dhenara_stream.providers.extras._is_there", lambda module: True)
    return asked


@pytest.mark.parametrize("token", [None, "tok"])
def test_botocore_finds_keys_elsewhere(token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_botocore(monkeypatch, _Frozen(token))
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", KEY)  # the profile is meant
    made = call("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1", "profile": "work"})
    assert made.request.signer is not None
    assert made.request.signer.blocking
    assert asked == []  # nothing is read before the call
    headers = sent(made)
    assert "Credential=AKIDBOTO/" in headers["authorization"]
    assert headers.get("x-amz-security-token") == token
    sent(made)
    assert asked == ["work"]


@pytest.mark.parametrize(
    ("found", "error", "said"),
    [(None, ConfigError, "AWS_ACCESS_KEY_ID"), ("expired", AuthenticationError, "has expired")],
)
def test_botocore_finds_no_keys(
    found: Any, error: type[DhenaraStreamError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_botocore(monkeypatch, found)
    made = call("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1"})
    with pytest.raises(error, match=said):
        sent(made)


# --- tokens of Google


class _FakeGoogle:
    """In place of google-auth: one account, whose tokens are counted.

    Attributes:
        made: What accounts were made of.
        error: Raised instead of a token.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[Any] = []
        self.tokens = 0
        self.error: BaseException | None = None
        self.names = ("GoogleAuthError", "TransportError", "DefaultCredentialsError")
        root = type("GoogleAuthError", (Exception,), {})
        self.errors = {name: type(name, (root,), {}) for name in self.names[1:]}
        self.errors["GoogleAuthError"] = root
        self._install(monkeypatch)

    def _install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fake = self

        class Credentials:
            token = ""
            valid = False

            @classmethod
            def from_service_account_info(cls, info: Any, scopes: Any) -> Credentials:
                fake.made.append(info)
                return cls()

            def refresh(self, request: Any) -> None:
                if fake.error is not None:
                    raise fake.error
                fake.tokens += 1
                self.token, self.valid = f"token{fake.tokens}", True

        def default(scopes: Any) -> Any:
            fake.made.append(None)
            return Credentials(), "project"

        parts: dict[str, Dict] = {
            "google.auth": {"default": default},
            "google.auth.exceptions": self.errors,
            "google.auth.transport": {},
            "google.auth.transport.requests": {"Request": object},
            "google.oauth2": {},
            "google.oauth2.service_account": {"Credentials": Credentials},
        }
        for name, members in parts.items():
            module = ModuleType(name)
            vars(module).update(members)
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr("dhenara_stream.providers.extras._is_there", lambda module: True)


@pytest.mark.parametrize("credentials", [None, ACCOUNT])
def test_google_auth_gives_a_token_that_is_kept(
    credentials: Dict | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = _FakeGoogle(monkeypatch)
    made = call("google_vertex_ai", Gemini25Flash, VERTEX, credentials=credentials)
    assert made.request.signer is not None
    assert made.request.signer.blocking
    assert fake.made == []
    assert [sent(made)["authorization"] for _ in range(2)] == ["Bearer token1"] * 2
    assert fake.made == [credentials and credentials["service_account_json"]]
    assert KEY not in repr(made.request.headers)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("TransportError", ConnectError),
        ("DefaultCredentialsError", ConfigError),
        ("GoogleAuthError", AuthenticationError),
    ],
)
def test_google_auth_gives_no_token(
    name: str, error: type[DhenaraStreamError], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = _FakeGoogle(monkeypatch)
    fake.error = fake.errors[name]("no")
    made = call("google_vertex_ai", Gemini25Flash, VERTEX)
    with pytest.raises(error) as caught:
        sent(made)
    assert caught.value.__cause__ is fake.error


@pytest.mark.parametrize("name", ["DefaultCredentialsError", None])
def test_a_service_account_that_cannot_be_read(
    name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = _FakeGoogle(monkeypatch)
    fake.error = fake.errors[name](KEY) if name else ValueError(KEY)
    made = call("google_vertex_ai", Gemini25Flash, VERTEX, credentials=ACCOUNT)
    with pytest.raises(ConfigError, match="service_account_json") as caught:
        sent(made)
    assert caught.value.__cause__ is None
    assert KEY not in str(caught.value)


def test_the_real_google_auth_refuses_what_is_no_service_account() -> None:
    pytest.importorskip("google.auth")
    pytest.importorskip("requests")
    made = call("google_vertex_ai", Gemini25Flash, VERTEX, credentials=ACCOUNT)
    with pytest.raises(ConfigError, match=r"service_account_json.*MalformedError"):
        sent(made)


def test_the_real_botocore_knows_no_such_profile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("botocore")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    made = call("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1", "profile": "no-such"})
    with pytest.raises(AuthenticationError, match="ProfileNotFound"):
        sent(made)


def test_the_real_botocore_reads_a_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("botocore")
    file = tmp_path / "credentials"
    file.write_text("[work]\naws_access_key_id = AKIDFILE\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    made = call("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1", "profile": "work"})
    assert "Credential=AKIDFILE/" in sent(made)["authorization"]


def test_a_service_account_does_not_show_in_its_signer(monkeypatch: pytest.MonkeyPatch) -> None:
    _FakeGoogle(monkeypatch)
    made = call("google_vertex_ai", Gemini25Flash, VERTEX, credentials=ACCOUNT)
    assert KEY not in repr(made)


# --- extras that are not there


@pytest.mark.parametrize(
    ("args", "extra"),
    [
        (("google_vertex_ai", Gemini25Flash, VERTEX), "google"),
        (("amazon_bedrock", BEDROCK_CLAUDE, {"region": "us-east-1"}), "aws"),
    ],
)
def test_a_missing_extra_is_named_with_the_other_ways(
    args: tuple[Any, ...], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {"google": "requests", "aws": "botocore"}
    monkeypatch.setitem(sys.modules, modules[extra], None)
    monkeypatch.setattr("importlib.util._find_spec", lambda *args: None)
    monkeypatch.delitem(sys.modules, modules[extra])
    message = refused(*args)
    assert f"pip install 'dhenara-stream[{extra}]'" in message
    assert "api_key" in message


def test_an_extra_whose_package_is_not_there_at_all() -> None:
    need("x", ("json",), "things", "do without")
    with pytest.raises(ConfigError, match="do without"):
        need("x", ("no_such_package.part",), "things", "do without")
