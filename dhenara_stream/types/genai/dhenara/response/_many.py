"""What comes of many calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol, Self

from dhenara_stream.errors import DhenaraStreamError
from dhenara_stream.types.shared.base import BaseModel

from ._call import AIModelCallResponse, SyncHandle

__all__ = ["AIModelCallResult", "AIModelCallsProgress", "AsyncResults", "SyncResults"]


class AIModelCallResult(BaseModel, kw_only=True):
    """How one of many calls ended.

    Attributes:
        index: The request's place among all, from 0.
        id: The request's own name, where it has one.
        response: The answer; of a call that failed its status, and the content that came.
        error: Why it failed; ``None`` if it did not.
        from_file: Whether the answer is an earlier run's, from ``results_file``.
    """

    index: int
    id: str | None = None
    response: AIModelCallResponse
    error: DhenaraStreamError | None = None
    from_file: bool = False


class AIModelCallsProgress(BaseModel, kw_only=True):
    """How far many calls have come.

    Attributes:
        total: How many requests there are; ``None`` if they have no length.
        done: Those that ended, however they did.
        failed: Those of them that failed.
        from_file: Those of them whose answer is an earlier run's.
        running: Those under way, or waiting for a rate limit.
        prompt_tokens: Input of the calls made, as the provider counted it.
        completion_tokens: Output of the calls made, reasoning included.
        cost: What the calls made cost in US dollars; ``None`` if no price is known.
        elapsed_seconds: Time since the first call could begin.
    """

    total: int | None = None
    done: int = 0
    failed: int = 0
    from_file: int = 0
    running: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    elapsed_seconds: float = 0.0

    @property
    def waiting(self) -> int | None:
        """Requests whose turn has not come; ``None`` if nobody knows."""
        return None if self.total is None else max(self.total - self.done - self.running, 0)


class AsyncResults(Protocol):
    """What ``generate_many_async`` returns: a context manager, and in it an async iterator."""

    @property
    def progress(self) -> AIModelCallsProgress: ...
    def __aiter__(self) -> AsyncIterator[AIModelCallResult]: ...
    async def __anext__(self) -> AIModelCallResult: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None: ...


class SyncResults(SyncHandle[AIModelCallResult], Protocol):
    """What ``generate_many`` returns."""

    @property
    def progress(self) -> AIModelCallsProgress: ...
