"""From names to an endpoint: which provider, which of its models, which account there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from dhenara_stream import ConfigError
from dhenara_stream.providers.registry import PROVIDERS, SERVICES, Provider
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    AIModelProviderEnum,
    ChatModelSettings,
    FoundationModel,
    ResourceConfig,
)
from dhenara_stream.types.genai.foundation_models import ALL_CHAT_MODELS, FoundationModelFns
from dhenara_stream.types.shared.base import did_you_mean

__all__ = [
    "ANY_KEY",
    "Names",
    "account",
    "cheapest",
    "endpoint_for",
    "keyed_providers",
    "models_of",
    "provider_named",
    "provider_serving",
    "titles",
]

ANY_KEY = "any-key-will-do"

# Of a model that is not catalogued. Only protocols that want a limit are told it: Anthropic's,
# whose smaller models have this one.
OUTPUT_TOKENS = 8192
_INPUT_TOKENS = 1_000_000  # nothing is checked against it


# --- the catalogue


def keyed_providers() -> list[Provider]:
    """Those that want a key and nothing else."""
    return [provider for provider in PROVIDERS.values() if provider.key_required]


def models_of(provider: Provider) -> dict[str, FoundationModel]:
    """The catalogued models that a provider serves; none of one that serves everybody's."""
    makers = {maker for route in provider.routes for maker in route.makers or ()}
    return {model.model_name: model for model in ALL_CHAT_MODELS if model.provider in makers}


def cheapest(models: dict[str, FoundationModel]) -> FoundationModel:
    """The cheapest model, for output, of those that can show their thinking."""

    def price(model: FoundationModel) -> tuple[bool, float]:
        costs = model.get_cost_data()
        price = costs.output_token_cost_per_million if costs else float("inf")
        return not model.get_settings().supports_reasoning, price

    return min(models.values(), key=price)


def titles(providers: Iterable[Provider]) -> str:
    """Their names, for people."""
    return ", ".join(provider.title for provider in providers)


def provider_named(name: str, providers: Iterable[Provider]) -> Provider:
    """The provider of that name.

    Raises:
        ConfigError: If there is none; it names those that there are.
    """
    known = {provider.title: provider for provider in providers}
    if name not in known:
        hint = did_you_mean(name, known)
        raise ConfigError(
            f"--provider: {name!r} is not known{hint}; known: {titles(known.values())}"
        )
    return known[name]


def provider_serving(model_name: str, providers: Iterable[Provider], advice: str = "") -> Provider:
    """The first provider that serves a catalogued model.

    Args:
        model_name: The model.
        providers: Those to choose from.
        advice: What else the caller can do, for the error.

    Raises:
        ConfigError: If there is none; it names the models that there are.
    """
    providers = list(providers)
    for provider in providers:
        if model_name in models_of(provider):
            return provider
    known = dict.fromkeys(name for p in providers for name in models_of(p))
    hint = did_you_mean(model_name, known)
    raise ConfigError(
        f"--model: {model_name!r} is not known{hint}{advice}; known: {', '.join(known)}"
    )


def account(
    provider: Provider, advice: str, *, key: str | None = None, base_url: str | None = None
) -> AIModelAPI:
    """An account at a provider, by default with the key of the environment.

    Args:
        provider: The provider.
        advice: What else the caller can do, where there is no key.
        key: The key.
        base_url: The address, if it is not the usual one.

    Raises:
        ConfigError: If a key is wanted and there is none, or another setting is missing or wrong.
    """
    if key is None and provider.key_required:
        key = os.environ.get(provider.key_env)
        if not key:
            raise ConfigError(
                f"{provider.title} wants a key: set the environment variable "
                f"{provider.key_env}, or {advice}"
            )
    config = {"service": provider.name, "base_url": base_url}
    given = {name: value for name, value in config.items() if value}
    return AIModelAPI(provider=provider.api_provider, api_key=key, config=given)


# --- the endpoint that a command line names


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a command line says of a model and its place.

    Attributes:
        model: A catalogued model; a provider, a slash and a model; or, with ``provider`` or
            ``base_url``, any model's name as it is.
        provider: A provider, or a service that speaks Chat Completions.
        base_url: The address, if it is not the usual one.
        key_env: The environment variable with the key, if it is not the usual one.
        config: A credentials file, in place of the environment.
    """

    model: str | None = None
    provider: str | None = None
    base_url: str | None = None
    key_env: str | None = None
    config: str | None = None


def endpoint_for(names: Names, call: AIModelCallConfig) -> AIModelEndpoint:
    """The endpoint that the names mean, for such a call.

    Without a model it is the provider's cheapest. In test mode no name and no key is needed.

    Raises:
        ConfigError: Naming the option, the variable or the file that keeps it from being found.
    """
    file = _loaded(names)
    key = _key(names.key_env)
    if key is None and call.test_mode and file is None:
        key = ANY_KEY
    provider, model_name = _provider_and_model(names, call, file)
    if file is None:
        api = account(provider, "give --key-env or --config", key=key, base_url=names.base_url)
    else:
        api = _account_of(file, provider, names, key)
    return AIModelEndpoint(api=api, ai_model=_model(provider, model_name, call))


def _all() -> list[Provider]:
    return [*PROVIDERS.values(), *SERVICES.values()]


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise ConfigError(f"--key-env: the environment variable {variable!r} is not set")
    return key


def _provider_and_model(
    names: Names, call: AIModelCallConfig, file: ResourceConfig | None
) -> tuple[Provider, str | None]:
    if names.provider is not None:
        return provider_named(names.provider, _all()), names.model
    if names.model is not None:
        return _provider_of_model(names, names.model, file)
    if file is not None:
        return PROVIDERS[file.model_apis[0].provider], None
    if call.test_mode:
        return keyed_providers()[0], None
    raise ConfigError(
        "--model: which one? Give a model's name, or --provider for its cheapest, or --test-mode "
        "for an answer from memory"
    )


def _provider_of_model(
    names: Names, model: str, file: ResourceConfig | None
) -> tuple[Provider, str]:
    if file is not None and file.model_endpoints:
        return PROVIDERS[file.model_endpoints[0].api.provider], model
    advice = " (say whose it is: PROVIDER/MODEL)"
    if _catalogued(model) is None:
        known = {provider.title: provider for provider in _all()}
        head, _, rest = model.partition("/")
        if head in known and rest:
            return known[head], rest
        if names.base_url is not None:
            return PROVIDERS[AIModelAPIProviderEnum.OPENAI_COMPATIBLE], model
    return provider_serving(model, PROVIDERS.values(), advice), model


def _catalogued(name: str | None) -> FoundationModel | None:
    return None if name is None else FoundationModelFns.get_foundation_model(name)


def _model(provider: Provider, name: str | None, call: AIModelCallConfig) -> FoundationModel:
    models = models_of(provider)
    if name is None and not models:
        raise ConfigError(f"--model: which one of {provider.title}?")
    if name is None:
        return cheapest(models)
    return models.get(name) or _of_its_own(provider, name, call)


def _of_its_own(provider: Provider, name: str, call: AIModelCallConfig) -> FoundationModel:
    """A model that nothing is known of: it can do what it is asked for."""
    makers = provider.routes[0].makers
    return FoundationModel(
        provider=makers[0] if makers else AIModelProviderEnum.CUSTOM,
        model_name=name,
        settings=ChatModelSettings(
            max_input_tokens=_INPUT_TOKENS,
            max_output_tokens=call.max_output_tokens or OUTPUT_TOKENS,
            supports_reasoning=call.reasoning,
            max_reasoning_tokens=call.max_reasoning_tokens,
        ),
    )


# --- accounts in a file


def _loaded(names: Names) -> ResourceConfig | None:
    """The file's accounts, with an endpoint for the model if it is catalogued and served."""
    if names.config is None:
        return None
    file, model = ResourceConfig(), _catalogued(names.model)
    file.load_from_file(names.config, [model] if model else None, init_endpoints=bool(model))
    if not file.model_apis:
        raise ConfigError(f"{names.config}: there is no account in it")
    return file


def _account_of(
    file: ResourceConfig, provider: Provider, names: Names, key: str | None
) -> AIModelAPI:
    for api in file.model_apis:
        same_service = not provider.name or api.config.get("service") == provider.name
        if api.provider == provider.api_provider and same_service:
            config = api.config | ({"base_url": names.base_url} if names.base_url else {})
            return api.model_copy(update={"api_key": key or api.api_key, "config": config})
    raise ConfigError(f"{names.config}: there is no account at {provider.title} in it")
