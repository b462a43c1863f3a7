"""AWS Signature Version 4, for one POST request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from dhenara_stream.types.shared.secret import Secret

__all__ = ["AWSCredentials", "signature_headers"]

ALGORITHM = "AWS4-HMAC-SHA256"
# Proxies rewrite others on the way, which would break the signature.
_SIGNED = ("accept", "content-type", "host", "x-amz-date", "x-amz-security-token")


class AWSCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """An access key, and the token of a temporary one."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None


def signature_headers(
    *,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: AWSCredentials,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """The headers that sign a request; ``now`` is a time in UTC.

    The path must be sent exactly as it stands in ``url``, and ``body`` exactly as it is.
    """
    target = urlsplit(url)
    date = now.strftime("%Y%m%dT%H%M%SZ")
    added: dict[str, str] = {"x-amz-date": date}
    if credentials.session_token is not None:
        added["x-amz-security-token"] = credentials.session_token
    known = {name.lower(): value for name, value in headers.items()}
    signed = {
        name: _plain(value)
        for name, value in sorted({**known, **added, "host": _host(target)}.items())
        if name in _SIGNED
    }
    names = ";".join(signed)
    canonical = "\n".join(
        [
            "POST",
            quote(target.path or "/", safe="/~"),  # the path, already encoded, once more
            target.query,
            *(f"{name}:{value.strip()}" for name, value in signed.items()),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{ALGORITHM}\n{date}\n{scope}\n{digest}"
    signature = hmac.new(_key(credentials, scope), to_sign.encode(), hashlib.sha256).hexdigest()
    added["authorization"] = Secret(
        f"{ALGORITHM} Credential={_plain(credentials.access_key_id)}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return added


def _host(target: SplitResult) -> str:
    """As HTTP clients send it: in lower case, without the port that goes without saying."""
    host = target.netloc.rpartition("@")[2].lower()
    return host.removesuffix(":443" if target.scheme == "https" else ":80")


def _plain(value: str) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _key(credentials: AWSCredentials, scope: str) -> bytes:
    key = b"AWS4" + credentials.secret_access_key.reveal().encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
