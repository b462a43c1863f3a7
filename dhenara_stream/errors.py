"""Everything this library raises, by whose fault it is.

::

    DhenaraStreamError
    ├── ConfigError (also ValueError)       the caller: a wrong argument, key, file or setting
    │   └── UsageError (also RuntimeError)  a method that does not fit: sync for async, closed, ...
    ├── TransportError                      the network
    │   ├── ConnectError                    no connection: DNS, refused, TLS, proxy
    │   ├── StreamInterrupted               the connection broke while the answer was read
    │   └── StreamTimeout (also TimeoutError)
    │       ├── ConnectTimeout              TCP and TLS took longer than connect_timeout
    │       ├── FirstEventTimeout           nothing arrived within first_event_timeout
    │       ├── IdleTimeout                 no byte for idle_timeout
    │       ├── ContentIdleTimeout          bytes, but no content, for content_idle_timeout
    │       └── DeadlineExceeded            the whole call took longer than timeout
    ├── ProtocolError                       the peer broke the format
    │   ├── TruncatedStream                 the answer ended without its terminal signal
    │   ├── EventTooLarge                   one event exceeded max_event_bytes
    │   └── UnexpectedResponse              a 200 that is no answer: HTML, an empty body, ...
    └── ProviderError                       the peer said no
        ├── AuthenticationError             401, 403
        ├── InvalidRequestError             400, 402, 404, 413, 422 and other 4xx
        ├── RateLimitError                  429
        ├── OverloadedError                 503, 529
        └── ServerError                     500, 502, 504 and other 5xx; also 408 and 409

Exceptions of the libraries underneath never reach the user; they are the ``__cause__``.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AuthenticationError",
    "ConfigError",
    "ConnectError",
    "ConnectTimeout",
    "ContentIdleTimeout",
    "DeadlineExceeded",
    "DhenaraStreamError",
    "EventTooLarge",
    "FirstEventTimeout",
    "IdleTimeout",
    "InvalidRequestError",
    "OverloadedError",
    "ProtocolError",
    "ProviderError",
    "RateLimitError",
    "ServerError",
    "StreamInterrupted",
    "StreamTimeout",
    "TransportError",
    "TruncatedStream",
    "UnexpectedResponse",
    "UsageError",
    "provider_error_class",
]


class DhenaraStreamError(Exception):
    """The root of the tree. Unknown facts are ``None``.

    Attributes:
        message: What went wrong, in words.
        provider: The API provider asked, e.g. ``"anthropic"``.
        http_status: HTTP status; for an error sent inside a 200 stream, the status it stands for.
        code: The provider's own error code or type, e.g. ``"overloaded_error"``.
        request_id: The provider's id of the request.
        retry_after: Seconds the provider asked to wait.
        retryable: Whether the same request may succeed later.
        content_delivered: Whether content had been handed out before the error.
        details: What else is known, JSON-like.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        http_status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
        content_delivered: bool = False,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.http_status = http_status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        if retryable is not None:
            self.retryable = retryable
        self.content_delivered = content_delivered
        self.details = details or {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))

    def facts(self) -> dict[str, Any]:
        """All that is known beside the message, as a JSON-like dict without ``None`` values."""
        known: dict[str, Any] = {
            "error_type": type(self).__name__,
            "provider": self.provider,
            "http_status": self.http_status,
            "code": self.code,
            "request_id": self.request_id,
            "retry_after": self.retry_after,
            "retryable": self.retryable,
            "content_delivered": self.content_delivered,
        }
        return self.details | {k: v for k, v in known.items() if v is not None}


def _rebuild(
    cls: type[DhenaraStreamError], message: str, state: dict[str, Any]
) -> DhenaraStreamError:
    error = cls(message)
    error.__dict__.update(state)
    return error


class ConfigError(DhenaraStreamError, ValueError):
    """The caller's input is wrong; nothing was sent."""


class UsageError(ConfigError, RuntimeError):
    """A method was called that does not fit: of a sync client in async code, of a closed one."""


class TransportError(DhenaraStreamError):
    """The network failed."""

    retryable = True


class ConnectError(TransportError):
    """No connection could be made."""


class StreamInterrupted(TransportError):
    """The connection broke while the answer was being read."""


class StreamTimeout(TransportError, TimeoutError):
    """One of the clocks of :class:`AIModelCallConfig` ran out."""


class ConnectTimeout(StreamTimeout):
    """``connect_timeout`` ran out."""


class FirstEventTimeout(StreamTimeout):
    """``first_event_timeout`` ran out."""


class IdleTimeout(StreamTimeout):
    """``idle_timeout`` ran out: not even a ping arrived."""


class ContentIdleTimeout(StreamTimeout):
    """``content_idle_timeout`` ran out: the connection lives, but no content comes."""


class DeadlineExceeded(StreamTimeout):
    """``timeout``, the deadline of the whole call, ran out."""

    retryable = False


class ProtocolError(DhenaraStreamError):
    """The peer sent something that is not the protocol."""


class TruncatedStream(ProtocolError):
    """The answer ended without its terminal signal; what came is kept, never called complete."""

    retryable = True


class EventTooLarge(ProtocolError):
    """One server-sent event exceeded ``max_event_bytes``."""


class UnexpectedResponse(ProtocolError):
    """A success status whose body is no answer, e.g. a gateway's HTML page."""


class ProviderError(DhenaraStreamError):
    """The provider refused or failed, and said so."""


class AuthenticationError(ProviderError):
    """The key is missing, wrong, or may not do this."""


class InvalidRequestError(ProviderError):
    """The provider rejects this request; sending it again will not help."""


class RateLimitError(ProviderError):
    """Too many requests or tokens; ``retry_after`` tells how long to wait, where known."""

    retryable = True


class OverloadedError(ProviderError):
    """The provider is overloaded."""

    retryable = True


class ServerError(ProviderError):
    """The provider failed."""

    retryable = True


def provider_error_class(status: int) -> type[ProviderError]:
    """The :class:`ProviderError` subclass that an HTTP status (real or virtual) stands for."""
    if status in (401, 403):
        return AuthenticationError
    if status == 429:
        return RateLimitError
    if status in (503, 529):
        return OverloadedError
    if status >= 500 or status in (408, 409):
        return ServerError
    if status >= 400:
        return InvalidRequestError
    return ProviderError
