"""What a stream hands out, and its server-sent-event text form."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from dhenara_stream.errors import DhenaraStreamError, ProtocolError, ProviderError, TransportError

from .base import BaseEnum, BaseModel, dump

__all__ = ["SSEErrorCode", "SSEErrorData", "SSEErrorResponse", "SSEEventType", "SSEResponse"]

T = TypeVar("T")


class SSEEventType(BaseEnum):
    """The event name on the wire between a service and its browser."""

    TOKEN_STREAM = "token_stream"  # noqa: S105  (no password)
    PUSH = "push"
    ERROR = "error"


class SSEErrorCode(BaseEnum):
    """The coarse kind of an error; ``details`` has the rest."""

    server_error = "server_error"
    external_api_error = "external_api_error"
    client_decode_error = "client_decode_error"


class SSEErrorData(BaseModel, kw_only=True):
    """An error as data.

    Attributes:
        error_code: ``external_api_error`` for what the provider or the network did,
            ``client_decode_error`` for a broken format, ``server_error`` for anything else.
        message: What went wrong, in words.
        details: What else is known: ``error_type`` (the exception's class name), ``provider``,
            ``http_status``, ``code``, ``request_id``, ``retry_after`` (seconds),
            ``retryable``, ``content_delivered``.
    """

    error_code: SSEErrorCode
    message: str
    details: dict[str, Any] | None = None

    @classmethod
    def from_error(cls, error: DhenaraStreamError) -> SSEErrorData:
        """The facts of an exception of this library."""
        code = SSEErrorCode.server_error
        if isinstance(error, ProviderError | TransportError):
            code = SSEErrorCode.external_api_error
        elif isinstance(error, ProtocolError):
            code = SSEErrorCode.client_decode_error
        return cls(error_code=code, message=error.message, details=error.facts())


class SSEResponse(BaseModel, Generic[T], kw_only=True):
    """One event: its kind and its payload.

    Attributes:
        event: The kind.
        data: The payload; a struct for ``TOKEN_STREAM`` and ``ERROR``.
        id: An id for the receiver's ``Last-Event-ID``.
        retry: Reconnection time for the receiver, in milliseconds.
    """

    event: SSEEventType
    data: T
    id: str | None = None
    retry: int | None = None

    # event -> (class, payload class), filled where those classes are defined.
    _restored: ClassVar[dict[SSEEventType, tuple[type[SSEResponse[Any]], type[BaseModel]]]] = {}

    def is_error(self) -> bool:
        """Whether this is an error event."""
        return self.event == SSEEventType.ERROR

    def set_random_id(self) -> None:
        """Give the event an id that no other has."""
        self.id = str(uuid.uuid4())

    def to_sse_format(self) -> str:
        """The event as text for a ``text/event-stream`` response, blank line included.

        The payload is written as JSON; text is written as it is, but its line ends turn into LF.
        An id with a line end or NUL in it is left out: the format cannot hold it.
        """
        lines = [f"event: {self.event}"]
        if self.id is not None and not _NO_ID.search(self.id):
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        if isinstance(self.data, str):
            lines += [f"data: {line}" for line in _LINE_END.split(self.data)]
        else:
            lines.append(f"data: {self._json()}")
        return "\n".join(lines) + "\n\n"

    def _json(self) -> str:
        _, restored = self._restored.get(self.event, (None, None))
        if type(self.data) is restored:
            with suppress(TypeError):  # something that is not JSON
                return msgspec.json.encode(self.data).decode()
        return msgspec.json.encode(dump(self.data)).decode()

    @classmethod
    def parse_sse(cls, text: str, data_type: Any = None) -> SSEResponse[Any]:
        """The event that :meth:`to_sse_format` wrote, each class restored.

        ``data_type`` is the type of the payload where it is not one of this library; an error
        event is restored whatever it is. Text that is not one such event gives an
        :class:`SSEErrorResponse` with code ``client_decode_error``.
        """
        try:
            return _parse(_fields(text), data_type)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            return SSEErrorResponse.decode_error(str(error))


class SSEErrorResponse(SSEResponse[SSEErrorData], kw_only=True):
    """An error event; after it the stream ends."""

    event: SSEEventType = SSEEventType.ERROR

    @classmethod
    def from_error(cls, error: DhenaraStreamError) -> SSEErrorResponse:
        """The event for an exception of this library."""
        return cls(data=SSEErrorData.from_error(error))

    @classmethod
    def decode_error(cls, message: str) -> SSEErrorResponse:
        """The event for text that could not be read."""
        return cls(data=SSEErrorData(error_code=SSEErrorCode.client_decode_error, message=message))


SSEResponse._restored[SSEEventType.ERROR] = (SSEErrorResponse, SSEErrorData)  # pyright: ignore[reportPrivateUsage]

# Only these end a line in an event stream; str.splitlines() knows too many more.
_LINE_END = re.compile(r"\r\n|\r|\n")
_NO_ID = re.compile(r"[\r\n\0]")


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    lines = iter(_LINE_END.split(text))
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data" and name in fields:
            fields[name] += "\n" + value
        elif name:
            fields[name] = value
        elif not line and fields:  # the blank line after the event
            _expect_end(lines)
    return fields


def _expect_end(lines: Iterable[str]) -> None:
    if any(line and not line.startswith(":") for line in lines):
        raise ValueError("more than one event; parse them one by one")


def _parse(fields: dict[str, str], data_type: Any) -> SSEResponse[Any]:
    if "data" not in fields:
        raise ValueError("the event has no data line")
    try:
        event = SSEEventType(fields.get("event", ""))
    except ValueError:
        known = ", ".join(SSEEventType)
        raise ValueError(f"unknown event type {fields.get('event')!r} (known: {known})") from None
    retry = int(fields["retry"]) if "retry" in fields else None
    build: Any
    payload: Any
    build, payload = SSEResponse._restored.get(event, (SSEResponse, None))  # pyright: ignore[reportPrivateUsage]
    if data_type is not None and data_type is not payload and event != SSEEventType.ERROR:
        build, payload = SSEResponse, data_type
    data = _payload(fields["data"], payload)
    response: SSEResponse[Any] = build(event=event, data=data, id=fields.get("id"), retry=retry)
    return response


def _payload(text: str, payload: Any) -> Any:
    if payload is str:
        return text
    if hasattr(payload, "model_validate_json"):
        return payload.model_validate_json(text)
    if payload is not None:
        return msgspec.json.decode(text, type=payload)
    try:
        return msgspec.json.decode(text)
    except (ValueError, msgspec.MsgspecError):
        return text
