"""How a call went."""

from __future__ import annotations

from typing import Any

from dhenara_stream.types.shared.base import BaseEnum, BaseModel

__all__ = ["CallTiming", "ExternalApiCallStatus", "ExternalApiCallStatusEnum"]


class ExternalApiCallStatusEnum(BaseEnum):
    """The state of a call."""

    REQUEST_SEND = "request_send"
    REQUEST_NOT_SEND = "request_not_send"
    RESPONSE_RECEIVED_SUCCESS = "response_received_success"
    RESPONSE_RECEIVED_API_ERROR = "response_received_api_error"
    RESPONSE_TIMEOUT = "response_timeout"
    RESPONSE_INCOMPLETE = "response_incomplete"
    INTERNAL_PROCESSING_ERROR = "internal_processing_error"


class CallTiming(BaseModel, kw_only=True):
    """Times of a call in seconds since it began, on a monotonic clock; ``None``: not yet.

    Attributes:
        headers: The response headers arrived.
        first_event: The first event arrived.
        first_content: The first piece of content arrived: the time to first token.
        first_answer: The first content that is not reasoning arrived.
        total: The answer was complete, or failed.
        bytes_received: Bytes of the body so far.
        events_received: Events so far, pings included.
        attempts: Requests made, retries included.
    """

    headers: float | None = None
    first_event: float | None = None
    first_content: float | None = None
    first_answer: float | None = None
    total: float | None = None
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
