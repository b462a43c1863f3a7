"""How a request proves who sends it: each a function from an account to headers."""

from __future__ import annotations

from collections.abc import Callable

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import AIModelAPI
from dhenara_stream.types.shared.secret import MASK, Secret

__all__ = ["Auth", "header_key"]

Auth = Callable[[AIModelAPI], dict[str, str]]


def header_key(name: str) -> Auth:
    """The API key as it is, in the header ``name``."""

    def headers(api: AIModelAPI) -> dict[str, str]:
        return {name: _key(api)}

    return headers


def _key(api: AIModelAPI) -> Secret:
    key = Secret(api.api_key or "")
    if not key or key == MASK:
        raise ConfigError(
            f"AIModelAPI.api_key: the key for {api.provider.value!r} is not here (keys do not "
            "travel in pickles and dumps); make the AIModelAPI anew with its key"
        )
    return key
