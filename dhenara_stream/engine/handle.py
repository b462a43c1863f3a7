"""What an async client's user holds: the stream of ``(chunk, final)`` tuples."""

from __future__ import annotations

import sys
import warnings
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from dhenara_stream.errors import UsageError
from dhenara_stream.types.genai.dhenara.response import (
    AIModelCallResponse,
    ExternalApiCallStatus,
    StreamItem,
)
from dhenara_stream.types.shared.api import SSEErrorResponse

from .stream import LEFT_EARLY, ChatStream

__all__ = ["AsyncChatStream"]


class AsyncChatStream:
    """The stream of an async client: ``async for chunk, final in stream``.

    Exactly one of the two is not ``None``. Use it in ``async with``, or call ``aclose()``, where
    the loop may be left early: only then is the connection closed at a known time.
    """

    def __init__(self, core: ChatStream) -> None:
        self._core = core
        self._batch: deque[StreamItem] = deque()
        self._left_early = False
        self._managed = False

    @property
    def status(self) -> ExternalApiCallStatus:
        """How the call went so far; kept up to date."""
        return self._core.status

    def snapshot(self) -> AIModelCallResponse:
        """All that has arrived so far; works at any time, also after ``break`` or an error.

        To be called in the event loop's thread.
        """
        self._core.settle()
        return self._core.snapshot()

    def __aiter__(self) -> AsyncIterator[StreamItem]:
        return _Loop(self)

    @property
    def batch(self) -> deque[StreamItem]:
        """What came together and is still to be handed out."""
        return self._batch

    async def __anext__(self) -> StreamItem:
        if len(self._batch) > 1:  # what needs a look is the last of its batch
            return self._batch.popleft()
        if self._left_early:
            raise UsageError(LEFT_EARLY)
        if not self._batch:
            self._batch = await self._core.next_batch()
            if not self._batch:
                raise StopAsyncIteration
        item = self._batch.popleft()
        if isinstance(item[0], SSEErrorResponse):
            self._core.raise_if_asked()
        return item

    async def aclose(self) -> None:
        """End the stream and close its connection. Safe at any time, from any task."""
        self._batch.clear()
        await self._core.release()

    async def __aenter__(self) -> Self:
        self._managed = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def abandon(self) -> None:
        """Let the event loop close the connection of a loop that was left early."""
        if not self._managed and (self._batch or self._core.is_open or not self._core.ended):
            self._left_early = True
            self._batch.clear()
            self._core.drop()

    def __del__(self) -> None:
        ended = self._core.ended
        if (self._core.is_open or not ended) and not sys.is_finalizing():
            self._core.drop()
        if not ended and not sys.is_finalizing():
            warnings.warn(
                f"unclosed stream {self!r}; use `async with response.stream_generator`",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )


class _Loop:
    """One ``async for``: when it is left early, the stream is too."""

    def __init__(self, stream: AsyncChatStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamItem:
        batch = self._stream.batch
        if len(batch) > 1:  # at half the price of another coroutine
            return batch.popleft()
        return await self._stream.__anext__()

    def __del__(self) -> None:
        self._stream.abandon()
