"""How a request proves who sends it: each a function from an account to headers, or to a signer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import AIModelAPI
from dhenara_stream.types.shared.secret import MASK, Secret, check_secret

from . import aws, google
from .base import Auth, HTTPRequest, Provider, Signer

__all__ = ["TokenSigner", "aws_signature", "azure", "bearer", "google_cloud", "header_key"]


class TokenSigner(msgspec.Struct, frozen=True):
    """A bearer token that is asked for at each attempt, in a worker thread.

    Attributes:
        token: Gives the token; it may wait.
    """

    token: Callable[[], Any]

    @property
    def blocking(self) -> bool:
        """See :class:`~dhenara_stream.providers.base.Signer`."""
        return True

    def headers(self, request: HTTPRequest) -> Mapping[str, str]:
        """See :class:`~dhenara_stream.providers.base.Signer`."""
        token = self.token()
        if not isinstance(token, str):
            raise ConfigError(f"the token's source gave `{type(token).__name__}`, not a string")
        return _bearing(_checked("the token that its source gave", token))


def header_key(name: str) -> Auth:
    """The API key as it is, in the header ``name``."""

    def headers(api: AIModelAPI, provider: Provider) -> Mapping[str, str]:
        key = _key(api, provider)
        return {name: key} if key else {}

    return headers


def bearer(api: AIModelAPI, provider: Provider) -> Mapping[str, str]:
    """The API key as a bearer token; nothing where none is needed and none is given."""
    key = _key(api, provider)
    return _bearing(key) if key else {}


def azure(api: AIModelAPI, provider: Provider) -> Mapping[str, str] | Signer:
    """A resource's key, or a token of Microsoft Entra, also from a function that gives one."""
    own = api.credentials or {}
    if api.api_key:
        return {"api-key": _own_key(api)}
    if callable(source := own.get("ad_token_provider")):
        return TokenSigner(source)
    if token := own.get("ad_token"):
        return _bearing(_checked("AIModelAPI.credentials['ad_token']", token))
    if key := _from_env(provider.key_env):
        return {"api-key": key}
    if token := _from_env("AZURE_OPENAI_AD_TOKEN"):
        return _bearing(token)
    raise ConfigError(
        f"{provider.title} needs an api_key, credentials with ad_token or ad_token_provider, or "
        f"the environment variable {provider.key_env} or AZURE_OPENAI_AD_TOKEN"
    )


def google_cloud(api: AIModelAPI, provider: Provider) -> Mapping[str, str] | Signer:
    """An express key, an access token, a service account, or what google-auth finds."""
    own = api.credentials or {}
    if api.api_key:
        return {"x-goog-api-key": _own_key(api)}
    if callable(source := own.get("token_provider")):
        return TokenSigner(source)
    if token := own.get("access_token"):
        return _bearing(_checked("AIModelAPI.credentials['access_token']", token))
    return TokenSigner(google.token_source(own.get("service_account_json")))


def aws_signature(service: str) -> Auth:
    """A Bedrock API key as a bearer token, or a signature with the account's AWS keys."""

    def sign(api: AIModelAPI, provider: Provider) -> Mapping[str, str] | Signer:
        if api.api_key:
            return _bearing(_own_key(api))
        own = api.credentials or api.config.get("profile")
        token = None if own else _from_env(provider.key_env)
        return _bearing(token) if token else aws.signer(api, service)

    return sign


def _bearing(token: Secret) -> dict[str, str]:
    return {"authorization": Secret(f"Bearer {token.reveal()}")}


def _key(api: AIModelAPI, provider: Provider) -> Secret | None:
    if api.api_key:
        return _own_key(api)
    key = _from_env(provider.key_env)
    if key is None and provider.key_required:
        raise ConfigError(
            f"{provider.title} needs a key: give AIModelAPI an api_key, or set the environment "
            f"variable {provider.key_env}"
        )
    return key


def _own_key(api: AIModelAPI) -> Secret:
    key = Secret(api.api_key or "")
    if key == MASK:
        raise ConfigError(
            f"AIModelAPI.api_key: the key for {api.provider.value!r} is not here (keys do not "
            "travel in pickles and dumps); make the AIModelAPI anew with its key"
        )
    return key


def _from_env(name: str) -> Secret | None:
    value = os.environ.get(name, "").strip() if name else ""
    return _checked(f"${name}", value) if value else None


def _checked(where: str, value: str) -> Secret:
    secret = Secret(value)
    if secret == MASK:
        raise ConfigError(f"{where} is not here (secrets do not travel in pickles and dumps)")
    if wrong := check_secret(secret.reveal()):
        raise ConfigError(f"{where} {wrong}")
    return secret
