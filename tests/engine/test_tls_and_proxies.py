"""TLS and proxies that fail: reliability.md, section 4, rows 23 and 24.

``authority.pem`` is a certificate authority of the tests; it signed ``signed.pem`` and
``expired.pem`` for localhost and ``elsewhere.pem`` for another name. Each of the three has its key;
``localhost.pem`` signed itself. All but the expired one are valid until 2126.
"""

from __future__ import annotations

import ssl
import traceback
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from anyio.streams.tls import TLSStream
from engine.support import (
    KEY,
    WHOLE,
    client_of,
    error_of,
    http_response,
    is_complete,
    peer,
    read,
    read_request,
    reset,
    text_of,
)

from dhenara_stream import ConnectError

HERE = Path(__file__).parent


def certificates(name: str) -> Any:
    """A peer that answers over TLS with this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(HERE / f"{name}.pem")

    async def behave(stream: anyio.abc.SocketStream, _: int) -> None:
        try:
            secure = await TLSStream.wrap(stream, server_side=True, ssl_context=context)
            await read_request(secure)
            await secure.send(http_response(WHOLE))
        except ssl.SSLError:
            pass  # the client does not trust it

    return peer(behave)


@pytest.mark.parametrize(
    ("certificate", "host", "why"),
    [
        ("expired", "localhost", "expired"),
        ("elsewhere", "localhost", "not valid for 'localhost'"),
        ("signed", "127.0.0.1", "not valid for '127.0.0.1'"),
        ("localhost", "localhost", "self-signed certificate"),
    ],
)
async def test_a_certificate_that_is_not_to_be_trusted(
    certificate: str, host: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(HERE / "authority.pem"))
    async with certificates(certificate) as server:
        address = server.url.removeprefix("http://127.0.0.1")
        async with client_of(f"https://{host}{address}", raise_errors=True) as client:
            response = await client.generate_async(prompt="Hi")
            with pytest.raises(ConnectError) as caught:
                await read(response)
        assert server.connections == 1
    error = caught.value
    assert not error.retryable
    assert host + address in error.message
    assert why in error.message
    told = "".join(traceback.format_exception(error))
    assert KEY not in told + repr(error) + repr(error.details) + repr(response.snapshot())


async def test_a_certificate_of_the_authority_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(HERE / "authority.pem"))
    async with certificates("signed") as server:
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        async with client_of(url) as client:
            items = await read(await client.generate_async(prompt="Hi"))
    assert is_complete(items)
    assert text_of(items) == "Hello"


PROXIES = {
    "502": (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502"),
    "407": (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
    "403": (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
    "drops the connection": (b"", "the proxy hung up"),
    "resets the connection": (None, "the proxy hung up"),
    "half a head": (b"HTTP/1.1 20", "the proxy hung up"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.9\r\n", "the proxy hung up"),
    "drops the tunnel": (b"HTTP/1.1 200 OK\r\n\r\n", ""),
}


@pytest.mark.parametrize(("said", "word"), PROXIES.values(), ids=PROXIES)
async def test_a_proxy_that_does_not_connect(
    said: bytes | None, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    async def proxy(stream: anyio.abc.SocketStream, _: int) -> None:
        asked.append(await stream.receive())
        if said is None:
            reset(stream)
        elif said:
            await stream.send(said)

    async with peer(proxy) as server:
        address = server.url.removeprefix("http://")
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:proxy-secret@{address}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with client_of("https://llm.example", retries=2) as client:
            response = await client.generate_async(prompt="Hi")
            told = error_of(await read(response))
        assert server.connections == 2
    assert told["error_type"] == "ConnectError"
    assert told["attempts"] == 2
    assert "llm.example" in told["message"]
    assert word in told["message"]
    assert all(request.startswith(b"CONNECT llm.example:443 ") for request in asked)
    shown = repr(told) + repr(response.snapshot())
    assert KEY not in shown
    assert KEY.encode() not in b"".join(asked)
    assert "proxy-secret" not in shown
