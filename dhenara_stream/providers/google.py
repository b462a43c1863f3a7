"""Access tokens of Google Cloud, by google-auth: the extra ``google``.

It is loaded when the first token is wanted, in the worker thread that waits for it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import msgspec

from dhenara_stream.errors import AuthenticationError, ConfigError, ConnectError
from dhenara_stream.types.shared.secret import MASK, Secret

from .extras import need

__all__ = ["token_source"]

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def token_source(service_account: Mapping[str, Any] | None) -> Callable[[], str]:
    """Gives tokens, for an hour the same, of a service account or of the environment's account.

    Raises:
        ConfigError: If google-auth is not there.
    """
    need(
        "google",
        ("google.auth", "requests"),
        "Google Cloud credentials",
        "give an access_token or a token_provider in AIModelAPI.credentials, or an express api_key",
    )
    info = _plain(service_account) if service_account else None
    # As text, so that accounts are told apart by what they are.
    text = Secret(msgspec.json.encode(info, order="deterministic").decode()) if info else None
    return partial(_token, text)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, Secret) and value == MASK:
        raise ConfigError(
            "AIModelAPI.credentials['service_account_json'] is not here (secrets do not travel in "
            "pickles and dumps)"
        )
    return value.reveal() if isinstance(value, Secret) else value


def _token(service_account: Secret | None) -> str:
    errors: Any = importlib.import_module("google.auth.exceptions")
    try:
        credentials = _credentials(
            service_account, os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
        )
        if not credentials.valid:
            transport: Any = importlib.import_module("google.auth.transport.requests")
            credentials.refresh(transport.Request())
    except errors.TransportError as error:
        raise ConnectError("Google's token server cannot be reached") from error
    except (errors.DefaultCredentialsError, ValueError) as error:
        if service_account is not None:
            raise ConfigError(
                "AIModelAPI.credentials['service_account_json']: google-auth cannot read it "
                f"({type(error).__name__}); expected the JSON that Google gave, whole"
            ) from None  # the cause may show a key
        raise ConfigError(
            "no Google Cloud credentials: give credentials with service_account_json, "
            "access_token or token_provider, or an express api_key; or set "
            "GOOGLE_APPLICATION_CREDENTIALS, or log in with gcloud"
        ) from error
    except errors.GoogleAuthError as error:
        what = type(error).__name__
        raise AuthenticationError(f"Google gives no access token: {what}") from error
    token: str = credentials.token
    return token


@lru_cache(maxsize=32)
def _credentials(service_account: Secret | None, file: str | None) -> Any:
    """Google's own object, which keeps its token; made anew where the file is another."""
    if service_account is None:
        found, _ = importlib.import_module("google.auth").default(scopes=_SCOPES)
        return found
    accounts: Any = importlib.import_module("google.oauth2.service_account")
    info = msgspec.json.decode(service_account.reveal())
    return accounts.Credentials.from_service_account_info(info, scopes=_SCOPES)
