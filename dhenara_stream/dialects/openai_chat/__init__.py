"""OpenAI Chat Completions, and the many servers that speak it."""

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

from .quirks import PATH, Quirks

__all__ = ["OpenAIChatDialect", "Quirks"]


class OpenAIChatDialect:
    """Chat Completions, https://platform.openai.com/docs/api-reference/chat.

    Args:
        quirks: How the server differs from OpenAI's; not at all if not given.
        path: Below the base URL, the version segment included.
    """

    name = "openai_chat"

    def __init__(self, quirks: Quirks | None = None, *, path: str = PATH) -> None:
        self.quirks = quirks or Quirks()
        self.path = path

    def load(self) -> None:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        load_parts(__name__)

    def build_request(self, request: ChatRequest) -> WireRequest:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        from dhenara_stream.dialects.openai_chat.request import build_request

        return build_request(request, self.quirks, self.path)

    def decoder(self) -> StreamDecoder:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        from dhenara_stream.dialects.openai_chat.stream import OpenAIChatDecoder

        return OpenAIChatDecoder(lenient_end=self.quirks.lenient_end)

    def error(self, reply: ErrorReply) -> ProviderError:
        """See :class:`~dhenara_stream.dialects.base.Dialect`."""
        return reply_error(reply)
