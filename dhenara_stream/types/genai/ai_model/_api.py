"""Credentials and address of one account at one provider."""

from __future__ import annotations

from typing import Any

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.shared.base import InputModel
from dhenara_stream.types.shared.secret import MASK, Secret, check_secret

from ._enums import AIModelAPIProviderEnum

__all__ = ["AIModelAPI"]

_MIN_KEY_LENGTH = 8

# provider -> what must be there: a key, fields of `credentials`, fields of `config`.
_REQUIRED: dict[AIModelAPIProviderEnum, tuple[bool, tuple[str, ...], tuple[str, ...]]] = {
    AIModelAPIProviderEnum.OPEN_AI: (True, (), ()),
    AIModelAPIProviderEnum.GOOGLE_AI: (True, (), ()),
    AIModelAPIProviderEnum.ANTHROPIC: (True, (), ()),
    AIModelAPIProviderEnum.DEEPSEEK: (True, (), ()),
    AIModelAPIProviderEnum.MICROSOFT_OPENAI: (False, (), ("endpoint",)),
    AIModelAPIProviderEnum.GOOGLE_VERTEX_AI: (False, (), ("project_id", "location")),
    AIModelAPIProviderEnum.AMAZON_BEDROCK: (False, (), ("region",)),
    AIModelAPIProviderEnum.OPENAI_COMPATIBLE: (False, (), ("base_url",)),
}


class AIModelAPI(InputModel, kw_only=True):
    """An account at a provider. Its secrets never show in ``repr``, dumps or pickles.

    Attributes:
        provider: Where requests go.
        api_key: The key; read it with ``api_key.reveal()`` only to send it.
        credentials: Other secrets that the provider wants, e.g. AWS keys.
        config: ``base_url`` overrides the address, ``headers`` adds headers; ``api`` picks
            ``"responses"`` or ``"chat_completions"`` at OpenAI and Azure; and what the provider
            needs, e.g. ``region``.
    """

    provider: AIModelAPIProviderEnum
    api_key: str | None = None
    credentials: dict[str, Any] | None = None
    config: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
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
        key, credentials, config = _REQUIRED[self.provider]
        if key and not self.api_key:
            raise ConfigError(
                f"AIModelAPI.api_key: provider {self.provider.value!r} needs an API key"
            )
        for name in credentials:
            if name not in (self.credentials or {}):
                raise ConfigError(f"AIModelAPI.credentials: {self.provider.value} needs {name!r}")
        for name in config:
            if not self.config.get(name):
                raise ConfigError(f"AIModelAPI.config: {self.provider.value} needs {name!r}")

    def _check_config(self) -> None:
        base_url = self.config.get("base_url")
        if base_url is not None and not _is_http_url(base_url):
            raise ConfigError(
                "AIModelAPI.config['base_url']: expected a URL like https://host/path"
            )
        headers = self.config.get("headers")
        if headers is None:
            return
        if not isinstance(headers, dict):
            raise ConfigError("AIModelAPI.config['headers']: expected a dict of strings")
        for name, value in headers.items():  # pyright: ignore[reportUnknownVariableType]
            wrong = "is not a string" if not isinstance(value, str) else _header_problem(value)
            if wrong or not isinstance(name, str):
                raise ConfigError(f"AIModelAPI.config['headers'][{name!r}]: the value {wrong}")
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


def _checked_key(api: AIModelAPI) -> Secret:
    key = api.api_key or ""
    if isinstance(key, Secret):
        return key
    wrong = check_secret(key)
    if wrong is None and len(key) < _MIN_KEY_LENGTH:
        wrong = f"is shorter than {_MIN_KEY_LENGTH} characters; is it whole?"
    if wrong:
        raise ConfigError(f"AIModelAPI.api_key: the key for {api.provider.value!r} {wrong}")
    return Secret(key)


def _sealed(credentials: dict[str, Any]) -> dict[str, Any]:
    return {name: _seal(name, value) for name, value in credentials.items()}


def _seal(name: str, value: Any) -> Any:
    if not isinstance(value, str) or isinstance(value, Secret):
        return _sealed(value) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType]
    if not name.endswith("_json"):
        return Secret(value)
    try:
        parsed = msgspec.json.decode(value, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise ConfigError(f"AIModelAPI.credentials[{name!r}]: not a JSON object") from None
    return _sealed(parsed)


def _is_http_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _header_problem(value: str) -> str | None:
    if any(ord(character) < 32 or ord(character) > 126 for character in value):
        return "has a control or non-ASCII character"
    return None
