"""What an async client's user holds: the stream of ``(chunk, final)`` tuples."""

from __future__ import annotations

import sys
import warnings
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from dhenara_stream.types.genai.dhenara.response import (
    AIModelCallResponse,
    ExternalApiCallStatus,
    StreamItem,
)
from dhenara_stream.types.shared.api import SSEErrorResponse

from .stream import ChatStream

__all__ = ["AsyncChatStream"]


class _Items:
    """Gives the items of a stream.

    The stream and the loops over it each are one of these: a coroutine that only calls another one
    would double the price.
    """

    _core: ChatStream

    async def __anext__(self) -> StreamItem:
        core = self._core
        ready = core.ready
        if len(ready) > 1 and not core.reading:
            return ready.popleft()  # what needs a look is the last of what comes together
        if not ready or core.ended:  # ended: the connection goes before the last item does
            await core.wait()
            if not ready:
                raise StopAsyncIteration
        item = ready.popleft()
        if isinstance(item[0], SSEErrorResponse):
            core.raise_if_asked()
        return item


class AsyncChatStream(_Items):
    """The stream of an async client: ``async for chunk, final in stream``.

    Exactly one of the two is not ``None``. Use it in ``async with``, or call ``aclose()``, where
    the loop may be left early: only then is the connection closed at a known time.
    """

    def __init__(self, core: ChatStream) -> None:
        self._core = core
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
        return _Loop(self, self._core)

    async def aclose(self) -> None:
        """End the stream and close its connection. Safe at any time, from any task."""
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
        core = self._core
        unread = len(core.ready) > (core.error is not None)  # an error that ended it is no answer
        if not self._managed and (unread or core.is_open or not core.ended):
            core.drop()

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


class _Loop(_Items):
    """One ``async for``: when it is left early, the stream is too."""

    def __init__(self, stream: AsyncChatStream, core: ChatStream) -> None:
        self._stream = stream
        self._core = core

    def __aiter__(self) -> Self:
        return self

    def __del__(self) -> None:
        self._stream.abandon()
