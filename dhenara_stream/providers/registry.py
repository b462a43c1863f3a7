"""Where each dialect is spoken, as data: one declaration a provider."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.dialects.base import ChatRequest, Dialect
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelEndpoint,
    AIModelProviderEnum,
)
from dhenara_stream.types.shared.secret import Secret

from .auth import Auth, header_key

__all__ = ["PROVIDERS", "HTTPRequest", "Provider", "provider_for"]


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One place that serves models.

    Attributes:
        api_provider: Its name.
        dialect: The protocol it speaks.
        base_url: Its address, without the version segment.
        base_url_env: The environment variable that overrides the address.
        version: The first segment of the protocol's paths, which a base URL may hold already.
        key_env: The environment variable that usually holds the key.
        auth: How a request proves who sends it.
        makers: Whose models it serves; models of ``CUSTOM`` makers go anywhere.
        list_headers: Headers that are lists: the caller's values add to those of the request.
    """

    api_provider: AIModelAPIProviderEnum
    dialect: Dialect
    base_url: str
    base_url_env: str
    version: str
    key_env: str
    auth: Auth
    makers: tuple[AIModelProviderEnum, ...]
    list_headers: tuple[str, ...] = ()


_DECLARED = (
    Provider(
        api_provider=AIModelAPIProviderEnum.ANTHROPIC,
        dialect=AnthropicDialect(),
        base_url="https://api.anthropic.com",
        base_url_env="ANTHROPIC_BASE_URL",
        version="v1",
        key_env="ANTHROPIC_API_KEY",
        auth=header_key("x-api-key"),
        makers=(AIModelProviderEnum.ANTHROPIC,),
        list_headers=("anthropic-beta",),
    ),
)

PROVIDERS: Mapping[AIModelAPIProviderEnum, Provider] = {p.api_provider: p for p in _DECLARED}


class HTTPRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request, ready to be sent. Its secret headers are sealed until then.

    Attributes:
        url: The whole address.
        headers: All headers but those of the HTTP framing.
        body: The JSON body.
        adjustments: What was left out because the model would refuse it, in words.
        output_tool: The tool that carries the structured output, if one does.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    adjustments: tuple[str, ...] = ()
    output_tool: str | None = None

    @classmethod
    def build(cls, provider: Provider, request: ChatRequest) -> HTTPRequest:
        """The HTTP request for a call.

        Raises:
            ConfigError: Naming the argument that keeps it from being made.
        """
        wire = provider.dialect.build_request(request)
        api = request.endpoint.api
        return cls(
            url=_base_url(provider, api) + wire.path,
            headers={
                **wire.headers,
                **provider.auth(api),
                **_own_headers(provider, wire.headers, api),
            },
            body=_encoded(wire.body),
            adjustments=tuple(wire.adjustments),
            output_tool=wire.output_tool,
        )


def _own_headers(provider: Provider, wire: Mapping[str, str], api: AIModelAPI) -> dict[str, str]:
    headers: dict[str, Secret] = {}
    given: dict[str, str] = api.config.get("headers") or {}
    for name, value in given.items():
        name, value = name.lower(), Secret(value)
        if name in provider.list_headers and name in wire:
            value = Secret(f"{wire[name]},{value.reveal()}")
        headers[name] = value
    return {**headers}


def _encoded(body: Mapping[str, object]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the request cannot be written as JSON: {error}") from error


def provider_for(endpoint: AIModelEndpoint) -> Provider:
    """The provider that an endpoint names.

    Raises:
        ConfigError: If it is not served, or does not serve the endpoint's model.
    """
    name, model = endpoint.api.provider, endpoint.ai_model
    provider = PROVIDERS.get(name)
    if provider is None:
        served = ", ".join(PROVIDERS)
        raise ConfigError(f"Unsupported API provider {name.value!r}: this version serves {served}")
    if model.provider not in (*provider.makers, AIModelProviderEnum.CUSTOM):
        raise ConfigError(
            f"Unsupported provider {model.provider.value!r} for the API {name.value!r}: it does "
            f"not serve the model {model.model_name!r}. Use an AIModelAPI of the model's maker, "
            "or another model, or a model with provider=AIModelProviderEnum.CUSTOM"
        )
    return provider


def _base_url(provider: Provider, api: AIModelAPI) -> str:
    given = api.config.get("base_url") or os.environ.get(provider.base_url_env)
    base = (given or provider.base_url).rstrip("/").removesuffix("/" + provider.version)
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(
            f"base URL {base!r} (from config['base_url'] or ${provider.base_url_env}): expected "
            "an address like https://host/path"
        )
    return base
