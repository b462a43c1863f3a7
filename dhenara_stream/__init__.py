"""Streams chat answers from LLM providers: async first, with a thin sync facade.

::

    async with AIModelClient(endpoint, AIModelCallConfig(streaming=True)) as client:
        response = await client.generate_async(prompt="Hello")
        async for chunk, final in response.stream_generator:
            ...
"""

from dhenara_stream._version import __version__
from dhenara_stream.client import AIModelClient
from dhenara_stream.errors import (
    AuthenticationError,
    ConfigError,
    ConnectError,
    ConnectTimeout,
    ContentIdleTimeout,
    DeadlineExceeded,
    DhenaraStreamError,
    EventTooLarge,
    FirstEventTimeout,
    IdleTimeout,
    InvalidRequestError,
    OverloadedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    ServerError,
    StreamInterrupted,
    StreamTimeout,
    TransportError,
    TruncatedStream,
    UnexpectedResponse,
    UsageError,
)

__all__ = [
    "AIModelClient",
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
    "__version__",
]
