"""Credentials and address of one account at one provider."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.shared._coerce import is_mapping, is_sequence
from dhenara_stream.types.shared.base import InputModel
from dhenara_stream.types.shared.secret import (
    MASK,
    Secret,
    SecretURL,
    check_secret,
    without_userinfo,
)

from ._enums import AIModelAPIProviderEnum

__all__ = ["AIModelAPI"]

_MIN_KEY_LENGTH = 8

# What can stand for a thing: an entry of `config` or `credentials` by its name, "api_key" itself,
# an environment variable with a "$". The first names it.
_Ways = tuple[str, ...]


class _Needs(msgspec.Struct, frozen=True):
    """What a provider needs: a key; of ``credentials``, if any are given; of ``config``."""

    key: bool = False
    credentials: tuple[_Ways, ...] = ()
    config: tuple[_Ways, ...] = ()


_GOOGLE_TOKENS = ("access_token", "token_provider")
_REQUIRED: dict[AIModelAPIProviderEnum, _Needs] = {
    AIModelAPIProviderEnum.OPEN_AI: _Needs(key=True),
    AIModelAPIProviderEnum.GOOGLE_AI: _Needs(key=True),
    AIModelAPIProviderEnum.ANTHROPIC: _Needs(key=True),
    AIModelAPIProviderEnum.DEEPSEEK: _Needs(key=True),
    AIModelAPIProviderEnum.MICROSOFT_OPENAI: _Needs(
        credentials=(("ad_token", "ad_token_provider", "api_key"),),
        config=(("endpoint", "base_url", "$AZURE_OPENAI_ENDPOINT"),),
    ),
    # An express key belongs to no project and no place.
    AIModelAPIProviderEnum.GOOGLE_VERTEX_AI: _Needs(
        credentials=(("service_account_json", *_GOOGLE_TOKENS),),
        config=(
            (
                *("project_id", "api_key"),
                *("$GOOGLE_CLOUD_PROJECT", "$ANTHROPIC_VERTEX_PROJECT_ID"),
            ),
            (
                *("location", "api_key"),
                *("$GOOGLE_CLOUD_LOCATION", "$CLOUD_ML_REGION", "$GOOGLE_CLOUD_REGION"),
            ),
        ),
    ),
    AIModelAPIProviderEnum.AMAZON_BEDROCK: _Needs(
        credentials=(("access_key_id",), ("secret_access_key",)),
        config=(("region", "base_url", "$AWS_REGION", "$AWS_DEFAULT_REGION"),),
    ),
    AIModelAPIProviderEnum.OPENAI_COMPATIBLE: _Needs(config=(("base_url", "service"),)),
}

_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f]+")
_HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


class AIModelAPI(InputModel, kw_only=True):
    """An account at a provider. Its secrets never show in ``repr``, dumps or pickles.

    Attributes:
        provider: Where requests go.
        api_key: The key; read it with ``api_key.reveal()`` only to send it.
        credentials: Other secrets that the provider wants: ``access_key_id``,
            ``secret_access_key`` and ``session_token`` of AWS; ``service_account_json``,
            ``access_token`` or ``token_provider`` (a function) of Google Cloud; ``ad_token`` or
            ``ad_token_provider`` of Azure.
        config: ``base_url`` overrides the address, ``headers`` adds headers; ``api`` picks
            ``"responses"`` or ``"chat_completions"`` at OpenAI and Azure; and what the provider
            needs: ``region`` and ``profile`` of AWS; ``project_id`` and ``location`` of Google
            Cloud; ``endpoint`` and ``api_version`` of Azure. Of a server that speaks Chat
            Completions, ``service`` names one that is known, and ``quirks`` says what it does in
            its own way.
    """

    provider: AIModelAPIProviderEnum
    api_key: str | None = None
    credentials: dict[str, Any] | None = None
    config: dict[str, Any] = {}
    order: int = 0
    enabled: bool = True
    reference_number: str | None = None

    def check(self) -> None:
        if self.provider == AIModelAPIProviderEnum.MICROSOFT_AZURE_AI:
            raise ConfigError(
                "AIModelAPI.provider: microsoft_azure_ai is no longer supported; "
                "use microsoft_openai"
            )
        self._check_required()
        if self.api_key is not None:
            msgspec.structs.force_setattr(self, "api_key", _checked_key(self))
        if self.credentials:
            msgspec.structs.force_setattr(self, "credentials", _sealed(self.credentials))
        self._check_config()

    def _check_required(self) -> None:
        needs, name = _REQUIRED[self.provider], self.provider.value
        if needs.key and not self.api_key:
            raise ConfigError(f"AIModelAPI.api_key: provider {name!r} needs an API key")
        for ways in needs.credentials if self.credentials else ():
            if not self._has_one_of(ways, self.credentials or {}):
                raise ConfigError(f"AIModelAPI.credentials: {name} needs {_in_words(ways)}")
        for ways in needs.config:
            if not self._has_one_of(ways, self.config):
                raise ConfigError(f"AIModelAPI.config: {name} needs {_in_words(ways)}")

    def _has_one_of(self, ways: _Ways, given: Mapping[str, Any]) -> bool:
        known = {**given, "api_key": self.api_key}
        return any(os.environ.get(w[1:]) if w.startswith("$") else known.get(w) for w in ways)

    def _check_config(self) -> None:
        base_url = self.config.get("base_url")
        if base_url is not None and not _is_url(base_url):
            raise ConfigError(
                "AIModelAPI.config['base_url']: expected a URL like https://host/path; in a user's "
                "name and password in it, all but letters, digits, - . _ and ~ as %XX"
            )
        for name, value in self.config.items():
            if isinstance(value, str) and without_userinfo(value) != value:
                self.config[name] = SecretURL(value)
        headers = self.config.get("headers")
        if headers is None:
            return
        if not isinstance(headers, dict):
            raise ConfigError("AIModelAPI.config['headers']: expected a dict of strings")
        for name, value in headers.items():  # pyright: ignore[reportUnknownVariableType]
            wrong = _header_problem(name, value)
            if wrong:
                raise ConfigError(f"AIModelAPI.config['headers'][{name!r}]: {wrong}")
        # A header can carry a key as well as api_key does.
        self.config["headers"] = _sealed(headers)  # pyright: ignore[reportUnknownArgumentType]

    def get_masked_credentials(self) -> dict[str, Any]:
        """The fields of ``credentials`` with every value masked."""
        return dict.fromkeys(self.credentials or {}, MASK)

    def get_provider_credentials(self) -> dict[str, Any]:
        """Key, credentials and config in one dict; the secrets stay sealed (``.reveal()``)."""
        own = {"api_key": self.api_key} if self.api_key is not None else {}
        return own | (self.credentials or {}) | self.config

    def __repr__(self) -> str:
        key = MASK if self.api_key is not None else None
        return f"AIModelAPI(provider={self.provider.value!r}, api_key={key!r})"

    def __rich_repr__(self) -> Any:
        yield "provider", self.provider.value
        yield "api_key", self.api_key


def _in_words(ways: _Ways) -> str:
    first, *others = (way if way.startswith("$") else repr(way) for way in ways)
    return f"{first} (or {', '.join(others)})" if others else first


def _checked_key(api: AIModelAPI) -> Secret:
    key = api.api_key or ""
    if isinstance(key, Secret) or key == MASK:  # the mask comes from a dump
        return Secret(key)
    wrong = check_secret(key)
    if wrong is None and _REQUIRED[api.provider].key and len(key) < _MIN_KEY_LENGTH:
        wrong = f"is shorter than {_MIN_KEY_LENGTH} characters; is it whole?"
    if wrong:
        raise ConfigError(f"AIModelAPI.api_key: the key for {api.provider.value!r} {wrong}")
    return Secret(key)


def _sealed(credentials: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {name: _seal(str(name), value) for name, value in credentials.items()}
    except RecursionError:
        raise ConfigError("AIModelAPI.credentials: a value holds itself") from None


def _seal(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if is_mapping(value):
        return _sealed(value)
    if is_sequence(value):
        return [_seal("", item) for item in value]
    if not isinstance(value, str) or isinstance(value, Secret):
        return value
    if not name.endswith("_json") or value == MASK:
        return Secret(value)
    try:
        parsed = msgspec.json.decode(value, type=dict[str, Any])
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise ConfigError(f"AIModelAPI.credentials[{name!r}]: not a JSON object") from None
    return _sealed(parsed)


def _is_url(value: Any) -> bool:
    if not isinstance(value, str) or not _URL.fullmatch(value):
        return False
    try:
        _ = urlsplit(value).port  # part of a password where a "/" in it is not %2F
    except ValueError:
        return False
    return True


def _header_problem(name: Any, value: Any) -> str | None:
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        return "this is no header name"
    if not isinstance(value, str):
        return "the value is not a string"
    if not isinstance(value, Secret) and not (value.isascii() and value.isprintable()):
        return "the value has a control or non-ASCII character"
    if not isinstance(value, Secret) and value != value.strip():
        return "the value has whitespace at its start or end"
    return None
