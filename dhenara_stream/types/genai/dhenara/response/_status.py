"""How a call went."""

from __future__ import annotations

from typing import Any

import msgspec

from dhenara_stream.types.shared.base import BaseEnum, BaseModel

__all__ = ["CallTiming", "ChunkGaps", "ExternalApiCallStatus", "ExternalApiCallStatusEnum"]


class ExternalApiCallStatusEnum(BaseEnum):
    """The state of a call."""

    REQUEST_SEND = "request_send"
    REQUEST_NOT_SEND = "request_not_send"
    RESPONSE_RECEIVED_SUCCESS = "response_received_success"
    RESPONSE_RECEIVED_API_ERROR = "response_received_api_error"
    RESPONSE_TIMEOUT = "response_timeout"
    RESPONSE_INCOMPLETE = "response_incomplete"
    INTERNAL_PROCESSING_ERROR = "internal_processing_error"


class ChunkGaps(BaseModel, kw_only=True):
    """The waits between pieces of content, as their bytes arrived, in seconds.

    Pieces that arrive together have no wait between them.

    Attributes:
        count: How many waits there were.
        total: All of them.
        longest: The longest.
    """

    count: int = 0
    total: float = 0.0
    longest: float = 0.0

    @property
    def mean(self) -> float:
        """The mean wait; 0 if there was none."""
        return self.total / self.count if self.count else 0.0

    def add(self, gap: float) -> None:
        """Count one more."""
        self.count += 1
        self.total += gap
        if gap > self.longest:
            self.longest = gap


class CallTiming(BaseModel, kw_only=True):
    """When what happened in a call, and how much of it; ``None``: not yet.

    Times are seconds since the call began, on a monotonic clock; they are taken when bytes arrive,
    not when they are read by the caller.

    Attributes:
        connect: How long the connection took to be made, TLS and proxy included; ``None`` also if
            one was used again.
        headers: The response's head arrived: the time to first byte.
        first_event: The first event arrived.
        first_content: The first piece of content arrived: the time to first token.
        first_answer: The first content that is not reasoning arrived.
        total: The answer was complete, or failed.
        chunk_gaps: The waits between pieces of content.
        bytes_received: Bytes of the body so far.
        events_received: Events so far, pings included.
        attempts: Requests made, retries included.
    """

    connect: float | None = None
    headers: float | None = None
    first_event: float | None = None
    first_content: float | None = None
    first_answer: float | None = None
    total: float | None = None
    chunk_gaps: ChunkGaps = msgspec.field(default_factory=ChunkGaps)
    bytes_received: int = 0
    events_received: int = 0
    attempts: int = 0


class ExternalApiCallStatus(BaseModel, kw_only=True):
    """The state of a call, and what the provider said.

    Attributes:
        status: The state; ``RESPONSE_INCOMPLETE`` while a stream runs and if it broke off.
        api_provider: Where the request went.
        model: The model's name on the wire.
        message: The state in words.
        code: ``success``, the provider's error code, or the name of the exception class.
        http_status_code: The HTTP status as it came.
        request_id: The provider's id of the request.
        timing: When things happened.
        data: What else is known, e.g. ``adjustments``: what was left out of the request because
            the model would have refused it.
    """

    status: ExternalApiCallStatusEnum
    api_provider: str
    model: str
    message: str = ""
    code: str | None = None
    http_status_code: int | None = None
    request_id: str | None = None
    timing: CallTiming | None = None
    data: dict[str, Any] | None = None

    @property
    def successful(self) -> bool:
        """Whether a complete answer arrived."""
        return self.status == ExternalApiCallStatusEnum.RESPONSE_RECEIVED_SUCCESS
