"""One call from the command line: watched while it runs, and what there is at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dhenara_stream import ConfigError, DhenaraStreamError
from dhenara_stream.types import (
    AIModelCallResponse,
    ChatResponse,
    ChatResponseChunk,
    ChatResponseReasoningContentItem,
    ChatResponseReasoningContentItemDelta,
    ChatResponseTextContentItem,
    ChatResponseTextContentItemDelta,
    SSEErrorData,
    StreamingChatResponse,
)

__all__ = ["Outcome", "Piece", "pieces_of_chunk", "watch"]

Piece = tuple[str, bool]
"""Text to show, and whether it is thinking."""


@dataclass(slots=True)
class Outcome:
    """What there is when a call has ended, and how it did.

    Attributes:
        response: The answer as far as it came.
        error: What went wrong.
        interrupted: Whether Ctrl-C ended it.
    """

    response: AIModelCallResponse | None = None
    error: SSEErrorData | None = None
    interrupted: bool = False

    @property
    def answer(self) -> ChatResponse | None:
        """The consolidated answer as far as it came."""
        return self.response.chat_response if self.response else None

    def pieces(self) -> Iterator[Piece]:
        """What it has to show of the first choice, in the order of its blocks."""
        for choice in self.answer.choices[:1] if self.answer else ():
            for item in choice.contents or ():
                if isinstance(item, ChatResponseTextContentItem) and (text := item.get_text()):
                    yield text, isinstance(item, ChatResponseReasoningContentItem)


def watch(
    call: Callable[[], AIModelCallResponse], show: Callable[[ChatResponseChunk], None]
) -> Outcome:
    """Make a call, and show each chunk of a streamed answer as it comes.

    Args:
        call: Makes it, with a sync client and ``raise_errors=True``.
        show: Takes each chunk.

    Raises:
        ConfigError: If an argument of the call is wrong.
    """
    outcome, response = Outcome(), None
    try:
        response = call()
        if response.sync_stream_generator is not None:
            with response.sync_stream_generator as stream:
                for chunk, _ in stream:
                    if isinstance(chunk, StreamingChatResponse):
                        show(chunk.data)
    except ConfigError:
        raise
    except DhenaraStreamError as error:
        outcome.error = SSEErrorData.from_error(error)
    except KeyboardInterrupt:
        outcome.interrupted = True
    outcome.response = response.snapshot() if response else None
    return outcome


def pieces_of_chunk(chunk: ChatResponseChunk) -> Iterator[Piece]:
    """What a chunk has to show of the first choice: text, words of refusal, thinking."""
    for choice in chunk.choice_deltas:
        for item in choice.content_deltas or () if choice.index == 0 else ():
            if isinstance(item, ChatResponseTextContentItemDelta) and (
                text := item.get_text_delta()
            ):
                yield text, isinstance(item, ChatResponseReasoningContentItemDelta)
