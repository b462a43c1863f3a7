"""The one table from the HTTP libraries' exceptions to ours."""

from __future__ import annotations

import errno
import os
import ssl
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from dhenara_stream.errors import (
    ConfigError,
    ConnectError,
    ConnectTimeout,
    DhenaraStreamError,
    ProtocolError,
    StreamInterrupted,
    TransportError,
    UsageError,
)

from .chain import links, without_frames

__all__ = [
    "FOREIGN",
    "client_closed",
    "host_of",
    "left_to_the_loop",
    "translated",
    "translation",
]


@contextmanager
def left_to_the_loop() -> Generator[None]:
    """For dropping an async generator: the event loop closes it, and trio would warn of that."""
    with warnings.catch_warnings(module=warnings):  # not looked up: Python may be going down
        warnings.simplefilter("ignore", ResourceWarning)
        yield


@contextmanager
def translated(url: str) -> Generator[None]:
    """Turn exceptions of the HTTP libraries into this library's, with the cause chained."""
    try:
        yield
    except _foreign() as error:
        raise translation(error, url) from error
    except RuntimeError as error:
        if "client has been closed" not in str(error):
            raise
        raise UsageError("the http_client is closed; make a new one") from _quietly_without_frames(
            error
        )


FOREIGN = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError)
"""What the HTTP libraries raise, HTTP/2's aside."""

_HTTP2 = "h2.exceptions"


def client_closed(before: str) -> StreamInterrupted:
    """What it is that the client was closed; ``before`` says what did not come to its end."""
    return StreamInterrupted(f"the client was closed before {before}", retryable=False)


def _foreign() -> tuple[type[Exception], ...]:
    # What h2 raises while a body is read, httpx lets through. Only a client of the caller's has it.
    http2 = sys.modules.get(_HTTP2)
    return FOREIGN if http2 is None else (*FOREIGN, http2.H2Error)


def translation(error: Exception, url: str) -> DhenaraStreamError:
    """This library's exception for one of theirs, to be raised from it."""
    _quietly_without_frames(error)
    return _translate(error, host_of(url))


def host_of(url: str) -> str:
    """Host and port of a URL, without the password that may stand before them; maybe empty."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


# The first class that fits counts. Each text gets the host and what the library said.
_TABLE: tuple[tuple[type[BaseException], type[DhenaraStreamError], str], ...] = (
    (httpx.ConnectTimeout, ConnectTimeout, "connecting to {host} took too long"),
    (httpx.PoolTimeout, ConnectTimeout, "no connection to {host} became free in time"),
    (httpx.ProxyError, ConnectError, "the proxy did not connect to {host}: {what}"),
    (httpx.ConnectError, ConnectError, "cannot connect to {host}: {what}"),
    (httpx.UnsupportedProtocol, ConfigError, "the base URL is not usable: {what}"),
    (httpx.InvalidURL, ConfigError, "the base URL is not usable: {what}"),
    (
        httpx.LocalProtocolError,
        ConfigError,
        "the request to {host} is not valid HTTP; look at the key and config['headers']",
    ),
    (httpx.DecodingError, ProtocolError, "the body from {host} is wrongly compressed: {what}"),
    (httpx.NetworkError, StreamInterrupted, "the connection to {host} broke: {what}"),
    (httpx.RemoteProtocolError, StreamInterrupted, "the connection to {host} broke off: {what}"),
    (httpx.StreamError, StreamInterrupted, "the response of {host} was closed while it was read"),
    (OSError, TransportError, "the network failed on the way to {host}: {what}"),
    (BaseException, TransportError, "the request to {host} failed: {what}"),
)


def _translate(error: BaseException, host: str) -> DhenaraStreamError:
    if any(type(link).__module__ == _HTTP2 for link in links(error)):  # it may quote a header
        return StreamInterrupted(f"the connection to {host} broke off: it breaks HTTP/2's rules")
    kind, text = next((to, text) for cls, to, text in _TABLE if isinstance(error, cls))
    what = _reason(error)
    if "CERTIFICATE_VERIFY_FAILED" in what:
        what += " (for a private certificate authority set SSL_CERT_FILE, or pass http_client)"
        return kind(text.format(host=host, what=what), retryable=False)
    return kind(text.format(host=host, what=what))


def _reason(error: BaseException) -> str:
    """What the system said, the same on every event loop; else what the library said."""
    what = str(error) or type(error).__name__
    for link in links(error):
        if isinstance(link, ssl.SSLError):
            what = str(link)
        elif isinstance(link, OSError) and link.errno:
            known = link.errno in errno.errorcode  # that of a failed look-up is of another kind
            what = os.strerror(link.errno) if known else str(link.strerror)
    return what


def _quietly_without_frames(error: BaseException) -> BaseException:
    with left_to_the_loop():  # the HTTP library's generators, where a frame holds any
        return without_frames(error)
