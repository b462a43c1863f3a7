"""What a call gives back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import msgspec

from dhenara_stream.types.shared.api import SSEErrorResponse
from dhenara_stream.types.shared.base import BaseModel

from ._chat import ChatResponse, StreamingChatResponse
from ._status import ExternalApiCallStatus

__all__ = ["AIModelCallResponse", "AsyncStream", "StreamItem", "SyncStream"]


class AIModelCallResponse(BaseModel, kw_only=True):
    """The answer, or the stream that it comes in.

    Attributes:
        status: How the call went so far; of a running stream it is kept up to date.
        chat_response: The consolidated answer; ``None`` while it streams.
        async_stream_generator: The stream of an async client.
        sync_stream_generator: The stream of a sync client.
    """

    status: ExternalApiCallStatus | None = None
    chat_response: ChatResponse | None = None
    async_stream_generator: AsyncStream | None = None
    sync_stream_generator: SyncStream | None = None

    @property
    def stream_generator(self) -> Any:
        """The stream of ``(chunk, final)`` tuples; ``None`` if the call was not streamed.

        Iterate it with ``async for`` for an async client, with ``for`` for a sync one.
        """
        return self.async_stream_generator or self.sync_stream_generator

    @property
    def full_response(self) -> ChatResponse | None:
        """The consolidated answer."""
        return self.chat_response

    def snapshot(self) -> AIModelCallResponse:
        """All that has arrived so far; works at any time, also after ``break`` or Ctrl-C.

        Of a call that is not streamed, or of a final response, it is the response itself.
        """
        stream = self.async_stream_generator or self.sync_stream_generator
        return stream.snapshot() if stream is not None else self

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As for every struct; the stream is left out and not consumed."""
        streams = {"async_stream_generator", "sync_stream_generator"}
        exclude = set(options.pop("exclude", None) or ()) | streams
        return super().model_dump(exclude=exclude, **options)

    def __deepcopy__(self, memo: dict[int, Any]) -> AIModelCallResponse:
        # A stream cannot be copied: both have it.
        status, answer = deepcopy((self.status, self.chat_response), memo)
        return msgspec.structs.replace(self, status=status, chat_response=answer)

    def preview_dict(self) -> dict[str, Any] | None:
        """A dump without the content, for logs; ``None`` when empty."""
        return self.chat_response.preview_dict() if self.chat_response else None


StreamItem = (
    tuple[StreamingChatResponse | SSEErrorResponse, None] | tuple[None, AIModelCallResponse]
)


_T_co = TypeVar("_T_co", covariant=True)


class AsyncStream(Protocol):
    """The stream of an async client: an async iterator and an async context manager."""

    @property
    def status(self) -> ExternalApiCallStatus: ...
    def snapshot(self) -> AIModelCallResponse: ...
    def __aiter__(self) -> AsyncIterator[StreamItem]: ...
    async def __anext__(self) -> StreamItem: ...
    async def aclose(self) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class SyncHandle(Protocol[_T_co]):
    """What a sync client's user holds: an iterator and a context manager."""

    def __iter__(self) -> Iterator[_T_co]: ...
    def __next__(self) -> _T_co: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class SyncStream(SyncHandle[StreamItem], Protocol):
    """The stream of a sync client."""

    @property
    def status(self) -> ExternalApiCallStatus: ...
    def snapshot(self) -> AIModelCallResponse: ...
