"""Anthropic Messages."""

from __future__ import annotations

from dhenara_stream.dialects.base import (
    ChatRequest,
    ErrorReply,
    StreamDecoder,
    WireRequest,
    load_parts,
)
from dhenara_stream.dialects.errors import reply_error
from dhenara_stream.errors import ProviderError

__all__ = ["AnthropicDialect"]


class AnthropicDialect:
    """The Messages API, https://docs.claude.com/en/api/messages-streaming."""

    name = "anthropic"

    def load(self) -> None:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        load_parts(__name__)

    def build_request(self, request: ChatRequest) -> WireRequest:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        from dhenara_stream.dialects.anthropic.request import build_request

        return build_request(request)

    def decoder(self) -> StreamDecoder:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        from dhenara_stream.dialects.anthropic.stream import AnthropicDecoder

        return AnthropicDecoder()

    def error(self, reply: ErrorReply) -> ProviderError:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        return reply_error(reply)
