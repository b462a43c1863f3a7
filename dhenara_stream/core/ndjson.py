"""Framing of ``application/x-ndjson``, the body of Ollama's own streams: a line is an event.

Rules: a line ends at LF, at no other byte; blank space around it is no part of it, and a line of
nothing else is no event. A line that lacks its LF at the end of the body is an event too. A line
may be ``max_event_bytes`` long; a longer one ends the stream. Whatever the cuts, the events are the
same, and the pieces of a line that is still coming are joined once.
"""

from __future__ import annotations

from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.errors import EventTooLarge

__all__ = ["NDJSONDecoder"]


class NDJSONDecoder:
    """Bytes in, events out; used as :class:`~dhenara_stream.core.sse.SSEDecoder` is.

    Attributes:
        error: That a line was too long, once it was met; the events before it were returned.
    """

    def __init__(self, *, max_event_bytes: int) -> None:
        self.error: EventTooLarge | None = None
        self._limit = max_event_bytes
        self._line = bytearray()  # the line under way

    @property
    def pending(self) -> bool:
        """Whether a line is under way; blank space is none."""
        return bool(self._line) and not self._line.isspace()

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that ``data`` completes.

        Raises:
            EventTooLarge: The one that an earlier call has met.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        events: list[ServerSentEvent] = []
        *ends, rest = data.split(b"\n")
        try:
            for end in ends:
                self._keep(end)
                self._end_line(events)
            self._keep(rest)
        except EventTooLarge as error:
            self._line.clear()
            self.error = error.with_traceback(None)  # whose frames would keep the chunk
        return events

    def flush(self) -> list[ServerSentEvent]:
        """The last line, if it lacks its end. It may be half a line.

        Raises:
            EventTooLarge: The one that an earlier call has met.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        events: list[ServerSentEvent] = []
        self._end_line(events)
        return events

    def _keep(self, piece: bytes) -> None:
        """Add to the line under way."""
        if len(self._line) + len(piece) > self._limit:
            raise EventTooLarge(
                f"one line exceeds max_event_bytes={self._limit}; raise max_event_bytes if this "
                "server may send lines that long",
                details={"max_event_bytes": self._limit},
            )
        self._line += piece

    def _end_line(self, events: list[ServerSentEvent]) -> None:
        line = bytes(self._line).strip()
        self._line.clear()
        if line:
            events.append(ServerSentEvent(line))
