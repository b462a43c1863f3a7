"""Keys of AWS: the account's own, the environment's, or what botocore finds (the extra ``aws``).

botocore is loaded when its keys are wanted first, in the worker thread that waits for them.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from dhenara_stream.errors import AuthenticationError, ConfigError
from dhenara_stream.types.genai.ai_model import AIModelAPI
from dhenara_stream.types.shared.secret import MASK, Secret, check_secret

from .base import HTTPRequest
from .extras import need
from .places import aws_region
from .sigv4 import AWSCredentials, signature_headers

__all__ = ["SigV4", "signer"]


class SigV4(msgspec.Struct, frozen=True, kw_only=True):
    """Signs requests.

    Attributes:
        region: Where.
        service: What for.
        credentials: The keys; botocore's if there are none.
        profile: The profile of the AWS config files that botocore is to use.
    """

    region: str
    service: str
    credentials: AWSCredentials | None
    profile: str | None = None

    @property
    def blocking(self) -> bool:
        """See :class:`~dhenara_stream.providers.base.Signer`."""
        return self.credentials is None

    def headers(self, request: HTTPRequest) -> Mapping[str, str]:
        """See :class:`~dhenara_stream.providers.base.Signer`."""
        return signature_headers(
            url=request.url,
            headers=request.headers,
            body=request.body,
            credentials=self.credentials or _of_botocore(self.profile),
            region=self.region,
            service=self.service,
            now=datetime.now(UTC),
        )


def signer(api: AIModelAPI, service: str) -> SigV4:
    """What signs an account's requests.

    Raises:
        ConfigError: If there is no region, or there can be no keys.
    """
    region, profile = aws_region(api), api.config.get("profile")
    given: Mapping[str, Any] = api.credentials or ({} if profile else _environment())
    keys = _keys(given) if given else None
    if keys is None:
        need(
            "aws",
            ("botocore",),
            "AWS profiles, roles and sign-ins",
            "give access_key_id and secret_access_key in AIModelAPI.credentials, or a Bedrock API "
            "key as api_key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_BEARER_TOKEN_BEDROCK",
        )
    return SigV4(region=region, service=service, credentials=keys, profile=profile)


def _environment() -> dict[str, str]:
    names = ("access_key_id", "secret_access_key", "session_token")
    found = {name: os.environ.get(f"AWS_{name.upper()}", "").strip() for name in names}
    return found if found["access_key_id"] and found["secret_access_key"] else {}


def _keys(given: Mapping[str, Any]) -> AWSCredentials:
    token = given.get("session_token")
    return AWSCredentials(
        access_key_id=_checked("access_key_id", given["access_key_id"]),
        secret_access_key=_checked("secret_access_key", given["secret_access_key"]),
        session_token=_checked("session_token", token) if token else None,
    )


def _checked(name: str, value: str) -> Secret:
    secret = Secret(value)
    if secret == MASK:
        raise ConfigError(
            f"AIModelAPI.credentials[{name!r}] is not here (secrets do not travel in pickles and "
            "dumps); make the AIModelAPI anew with its keys"
        )
    if wrong := check_secret(secret.reveal()):
        raise ConfigError(f"the AWS {name} {wrong}")
    return secret


def _of_botocore(profile: str | None) -> AWSCredentials:
    errors: Any = importlib.import_module("botocore.exceptions")
    try:
        found = _refreshable(profile, os.environ.get("AWS_PROFILE"))
        keys = found and found.get_frozen_credentials()
    except errors.BotoCoreError as error:
        what = type(error).__name__
        raise AuthenticationError(f"botocore gives no AWS keys: {what}: {error}") from error
    if not keys:
        raise ConfigError(
            "no AWS keys: give access_key_id and secret_access_key in AIModelAPI.credentials, or "
            "a profile in its config, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log "
            "in with the AWS command line"
        )
    return AWSCredentials(
        access_key_id=Secret(keys.access_key),
        secret_access_key=Secret(keys.secret_key),
        session_token=Secret(keys.token) if keys.token else None,
    )


@lru_cache(maxsize=32)
def _refreshable(profile: str | None, usual_profile: str | None) -> Any:
    """An object of botocore's, which renews its keys; made anew where the profile is another."""
    session: Any = importlib.import_module("botocore.session")
    return session.Session(profile=profile).get_credentials()
