"""Signatures of AWS, by a vector of the reference client's and by that client itself."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from dhenara_stream.providers.sigv4 import AWSCredentials, signature_headers
from dhenara_stream.types.shared.secret import Secret

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOST = "bedrock-runtime.us-east-1.amazonaws.com"
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1{colon}0"
PATH = f"/model/{MODEL}/invoke-with-response-stream"
HEADERS = {"accept": "application/vnd.amazon.eventstream", "content-type": "application/json"}
BODY = b'{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[]}'
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
VECTORS = {
    ":": "ade2cdb0f3ff5834ba7943dfa164fe622239cdfc49837f7c7fa06ffb2a623b7d",
    "%3A": "2014318a25c1aa2e50cbc992d6da11de1f05c346091c16dd56af5af95c25c21e",
}


def signed(
    url: str, *, token: str | None = "TOK", headers: dict[str, str] = HEADERS, body: bytes = BODY
) -> dict[str, str]:
    keys = AWSCredentials(
        access_key_id=Secret("AKIDEXAMPLE"),
        secret_access_key=Secret(SECRET),
        session_token=Secret(token) if token else None,
    )
    made = signature_headers(
        url=url,
        headers=headers,
        body=body,
        credentials=keys,
        region="us-east-1",
        service="bedrock",
        now=NOW,
    )
    assert SECRET not in repr((keys, made))
    return {k: v.reveal() if isinstance(v, Secret) else v for k, v in made.items()}


@pytest.mark.parametrize("colon", VECTORS)
def test_the_vector(colon: str) -> None:
    headers = signed(f"https://{HOST}{PATH.format(colon=colon)}")
    assert headers == {
        "x-amz-date": "20260102T030405Z",
        "x-amz-security-token": "TOK",
        "authorization": "AWS4-HMAC-SHA256 "
        "Credential=AKIDEXAMPLE/20260102/us-east-1/bedrock/aws4_request, "
        "SignedHeaders=accept;content-type;host;x-amz-date;x-amz-security-token, "
        f"Signature={VECTORS[colon]}",
    }


@pytest.mark.parametrize("token", [None, "TOK"])
@pytest.mark.parametrize("path", [PATH.format(colon=c) for c in VECTORS] + ["/", "/a%2Fb/~c"])
def test_the_reference_client_signs_the_same(
    path: str, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth: Any = pytest.importorskip("botocore.auth")
    requests: Any = importlib.import_module("botocore.awsrequest")
    credentials: Any = importlib.import_module("botocore.credentials")
    # The name of its clock differs from version to version.
    clocks = {"get_current_datetime": lambda remove_tzinfo=True: NOW.replace(tzinfo=None)}
    for name, clock in clocks.items():
        monkeypatch.setattr(auth, name, clock)
    url = f"https://{HOST}{path}"
    request = requests.AWSRequest("POST", url, headers=HEADERS, data=BODY)
    keys = credentials.Credentials("AKIDEXAMPLE", SECRET, token)
    auth.SigV4Auth(keys, "bedrock", "us-east-1").add_auth(request)
    assert signed(url, token=token)["authorization"] == request.headers["Authorization"]


@pytest.mark.parametrize("colon", VECTORS)
def test_the_http_client_sends_the_path_that_is_signed(colon: str) -> None:
    path = PATH.format(colon=colon)
    assert httpx.Request("POST", f"https://{HOST}{path}").url.raw_path == path.encode()


@pytest.mark.parametrize(
    "url", [f"https://{HOST.upper()}/", f"https://{HOST}:443/", f"https://me:pw@{HOST}"]
)
def test_the_host_is_signed_as_it_is_sent(url: str) -> None:
    assert httpx.Request("POST", url).headers["host"] == HOST
    assert signed(url) == signed(f"https://{HOST}/")


def test_headers_that_proxies_change_are_not_signed() -> None:
    more = {**HEADERS, "User-Agent": "x", "accept-encoding": "gzip", "Connection": "close"}
    assert signed(f"https://{HOST}/", headers=more) == signed(f"https://{HOST}/")
    port = signed("http://localhost:80/"), signed("http://localhost/")
    assert port[0] == port[1]


def test_another_body_has_another_signature() -> None:
    url = f"https://{HOST}/"
    assert signed(url, body=b"{}") != signed(url)
