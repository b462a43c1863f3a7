"""Google Gemini."""

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

from .quirks import Quirks

__all__ = ["GeminiDialect", "Quirks"]


class GeminiDialect:
    """``generateContent``, https://ai.google.dev/api/generate-content.

    Args:
        quirks: What the place does in its own way; the Gemini API's own if not given.
    """

    name = "gemini"

    def __init__(self, quirks: Quirks | None = None) -> None:
        self.quirks = quirks or Quirks()

    def load(self) -> None:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        load_parts(__name__)

    def build_request(self, request: ChatRequest) -> WireRequest:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        from dhenara_stream.dialects.gemini.request import build_request

        return build_request(request, self.quirks)

    def decoder(self) -> StreamDecoder:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        from dhenara_stream.dialects.gemini.stream import GeminiDecoder

        return GeminiDecoder()

    def error(self, reply: ErrorReply) -> ProviderError:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        from dhenara_stream.dialects.gemini.wire import informed

        return informed(reply_error(reply))
