"""Server-sent events: bytes in, events out.

The rules of the machine, which follow the HTML standard ("interpreting an event stream"):

- A line ends at CR, LF or CRLF, at no other byte. A CR ends its line at once, so that no event
  waits for one more byte; a LF that follows belongs to that CR, also in the next chunk.
- ``EF BB BF`` is skipped once, before the first line.
- ``field: value`` loses one space after the colon. A line without a colon is a field with an
  empty value, a line that starts with a colon is a comment: counted and dropped.
- ``data`` lines are joined with LF, ``event`` is the last one sent, ``id`` stays for later events
  until it is sent again (and is ignored if it holds a NUL), ``retry`` is ASCII digits only, 32 at
  most. Other fields are ignored. A blank line ends the event; without a data line there is none.
- Data are handed out as they came, even if they are not UTF-8: what decodes them can say so
  better. Event names and ids are text, with U+FFFD for what is not UTF-8.

Where model servers leave the standard, so does this reader, and each leniency has its switch:

- ``flush_at_end``: an event that the stream ends without its blank line, or within its last
  line, comes out of :meth:`SSEDecoder.flush`. It may be half an event; the standard drops it.
- ``error_field``: ``error`` lines, which the standard ignores, make an event named ``error`` of
  their own, after the event of the data lines in the same block, if there are any.
- ``ignore_empty``: an event whose data is empty is dropped; the standard delivers it.
- ``bare_json``: a JSON text among the lines of an event, which the standard takes for unknown
  fields, makes an event of its own, after the others of the same block. It begins with a line
  that begins with ``{``, ``[`` or ``,``; its lines are all that are no fields. So Google's servers
  end a stream with an error, printed over many lines (wire.md 5.3), which may be the rest of a
  list. Lines that are no JSON together are several texts, each of which begins with a line that
  begins with ``{``; brackets and commas of a list around them do not count. What is no JSON is
  ignored.

Limits and errors:

- An event weighs the bytes of its lines and ``_LINE_WEIGHT`` more for each; a comment weighs
  nothing once it is over. It may weigh ``max_event_bytes`` and ``_FRAMING``, so that data of
  ``max_event_bytes`` fits with the lines around it. More is :class:`EventTooLarge`, the only
  error there is.
- Any bytes, cut anywhere, give the same events, or the same events and then the same error.
- The events before an error are not lost: the :meth:`SSEDecoder.feed` that meets it returns
  them and sets :attr:`SSEDecoder.error`; every later call raises it. ``flush``, which has none to
  return beside an error, raises at once.
- Time is linear at any cut: the end of the line under way is sought in new bytes only. So is
  memory, about twice the largest event: that line lies in one growing buffer, because in a list
  of its pieces each small one would cost 50 bytes of its own.
"""

from __future__ import annotations

import re
from itertools import pairwise

import msgspec

from dhenara_stream.errors import ConfigError, EventTooLarge

__all__ = ["BOM", "DEFAULT_MAX_EVENT_BYTES", "FIELDS", "SSEDecoder", "ServerSentEvent"]

DEFAULT_MAX_EVENT_BYTES = 64 * 2**20
"""Images arrive as a single event: 2 MB were seen, and 4K ones in base64 may be ten times that.
More than this is a broken server."""

_LINE_WEIGHT = 64
"""What a short line costs in memory beside its bytes; without it, a million empty data lines
would be a small event."""

_FRAMING = 1024
"""Room for field names and for the event, id and retry lines."""

_MAX_RETRY_DIGITS = 32
"""Far more than any clock; ``int`` of thousands of digits is slow, or raises."""

_MAX_NAMES = 32
_MAX_NAME_LINE = 64
"""Bounds of the cache of event names: providers use about twenty short ones."""

FIELDS = (b"data", b"event", b"error", b"id", b"retry")
"""The names of all fields that are read."""

BOM = b"\xef\xbb\xbf"
"""What a body may begin with, to be skipped."""

_LIST_SIGNS = re.compile(rb"\A[\[,][\[, \t]*")  # before an object; other lines are indented
_CR, _LF, _COLON = b"\r\n:"  # as numbers: searching bytes for one is eight times as fast


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One event.

    Attributes:
        data: The values of the data lines, joined with LF, as they came.
        event: The value of the event line, ``""`` if there was none or it was empty.
        id: The last event id that was sent, with this event or before, ``""`` if none was.
    """

    data: bytes
    event: str = ""
    id: str = ""

    @property
    def name(self) -> str:
        """The event's type as the standard has it: ``"message"`` unless the event says another."""
        return self.event or "message"


class SSEDecoder:
    """Reads one stream of server-sent events; the rules stand at the top of the module.

    Call :meth:`feed` with each chunk of the body and :meth:`flush` when it ended.

    Attributes:
        comments: How many comment lines were read; servers send them to show they are alive.
        error: The error that the stream ended with. Set by the call that met it, so that it is
            seen at once; every later call raises it.
        last_event_id: The id in force at the last blank line, to resume the stream from.
        retry: The last valid ``retry`` field: milliseconds to wait before a new connection.
    """

    __slots__ = (
        "_bare",
        "_bare_json",
        "_bom",
        "_data",
        "_error_field",
        "_errors",
        "_event",
        "_flush_at_end",
        "_id",
        "_ignore_empty",
        "_line",
        "_mark",
        "_max_event_bytes",
        "_names",
        "_skip_lf",
        "_weight",
        "comments",
        "error",
        "last_event_id",
        "retry",
    )

    def __init__(
        self,
        *,
        max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES,
        flush_at_end: bool = True,
        error_field: bool = True,
        ignore_empty: bool = True,
        bare_json: bool = True,
    ) -> None:
        if max_event_bytes < 1:
            raise ConfigError(f"max_event_bytes must be at least 1, not {max_event_bytes}")
        self._max_event_bytes = max_event_bytes
        self._flush_at_end = flush_at_end
        self._error_field = error_field
        self._ignore_empty = ignore_empty
        self._bare_json = bare_json
        self._mark = b"data: "  # how this server begins a data line: with the space or without
        self._names = {b"": ""}  # what precedes a data line: nothing, or an event line -> name
        self.comments = 0
        self.error: EventTooLarge | None = None
        self.last_event_id = ""
        self.retry: int | None = None
        self._reset()

    def _reset(self) -> None:
        """Stand before the first byte of a stream."""
        self._bom: bytes | None = b""  # what may be the start of a BOM; None once that is settled
        self._skip_lf = False  # the last byte was a CR
        self._line = bytearray()  # the line under way
        self._data: list[bytes] = []
        self._errors: list[bytes] = []
        self._bare: list[bytes] = []
        self._event = ""
        self._id = self.last_event_id
        self._weight = 0  # of the event's complete lines; not 0 exactly if there are any

    @property
    def pending(self) -> bool:
        """Whether an event is under way; a comment that is still coming is none."""
        return self._weight > 0 or (bool(self._line) and self._line[0] != _COLON)

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next bytes of the stream and return the events that they complete.

        Raises:
            EventTooLarge: An earlier call met it. The call that meets an error returns the events
                before it and sets :attr:`error`.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        events: list[ServerSentEvent] = []
        if self._bom is not None:
            data = self._without_bom(data)
        try:
            if self._weight or self._line or self._skip_lf:
                data = self._finish_event(data, events)
            if _CR in data or len(data) > self._max_event_bytes:
                self._feed_lines(data, events)
            elif data:
                self._feed_blocks(data, events)
        except EventTooLarge as error:
            self._fail(error)
        return events

    def flush(self) -> list[ServerSentEvent]:
        """End the stream and return the event that lacked its blank line, if that is wanted.

        Such an event may be half of what the server meant to send. The decoder is then ready for
        the body of a new connection; ``last_event_id`` and ``retry`` stay.

        Raises:
            EventTooLarge: This call or an earlier one met it.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        events: list[ServerSentEvent] = []
        if self._flush_at_end:
            try:
                if self._line:
                    self._end_line(self._take_line(), events)
                self._end_event(events)
            except EventTooLarge as error:
                self._fail(error)
                raise
        self._reset()
        return events

    def _fail(self, error: EventTooLarge) -> None:
        self._reset()  # gives the memory back
        self.error = error.with_traceback(None)  # whose frames would keep the chunk

    def _without_bom(self, data: bytes) -> bytes:
        head = (self._bom or b"") + data
        if BOM.startswith(head):
            self._bom = head
            return b""
        self._bom = None
        return head.removeprefix(BOM)

    def _finish_event(self, data: bytes, events: list[ServerSentEvent]) -> bytes:
        """Read to the end of the event under way, if it is found; return the rest."""
        end = data.find(b"\n\n") + 2
        if end < 2:
            end = len(data)
        self._feed_lines(data[:end], events)
        return data[end:]

    def _feed_blocks(self, data: bytes, events: list[ServerSentEvent]) -> None:
        """Read LF-only bytes, at most ``max_event_bytes`` of them, from the start of an event on.

        The fast path: takes the events that are one data line, with or without an event line
        seen before. Each of them begins and ends with nothing under way, so all else can go
        through :meth:`_feed_lines` block by block, and the two cannot disagree.
        """
        blocks = data.split(b"\n\n")
        tail = blocks.pop()
        names = self._names
        for block in blocks:
            head, _, payload = block.partition(self._mark)
            name = names.get(head)
            # payload > b"!" leaves out what is empty and what may start with the optional space.
            if name is not None and payload > b"!" and _LF not in payload:
                events.append(ServerSentEvent(payload, name, self._id))
            else:
                self._feed_lines(block + b"\n\n", events)
        if tail:
            self._feed_lines(tail, events)

    def _feed_lines(self, data: bytes, events: list[ServerSentEvent]) -> None:
        """Read any bytes, from any state."""
        if self._skip_lf and data:
            self._skip_lf = False
            data = data.removeprefix(b"\n")
        if _LF not in data and _CR not in data:
            self._keep(data)
            return
        lines = data.splitlines()  # of bytes: at CR, LF and CRLF only
        last = data[-1]
        rest = b"" if last in (_LF, _CR) else lines.pop()
        if self._line:
            self._line += lines[0]
            lines[0] = self._take_line()
        for line in lines:
            self._end_line(line, events)
        self._skip_lf = last == _CR
        if rest:
            self._keep(rest)

    def _keep(self, data: bytes) -> None:
        """Add to the line under way."""
        self._check(self._weight + len(self._line) + len(data))
        self._line += data

    def _take_line(self) -> bytes:
        line = bytes(self._line)
        self._line = bytearray()  # before the value is copied out: two copies at a time, not three
        return line

    def _check(self, weight: int) -> None:
        if weight > self._max_event_bytes + _FRAMING:
            raise EventTooLarge(
                f"one server-sent event exceeds max_event_bytes={self._max_event_bytes}; "
                "raise max_event_bytes if this server may send events that large",
                details={"max_event_bytes": self._max_event_bytes},
            )

    def _end_line(self, line: bytes, events: list[ServerSentEvent]) -> None:
        if not line:
            self._end_event(events)
        elif line[0] == _COLON:
            self._check(self._weight + len(line))  # as if it had come in pieces
            self.comments += 1
        else:
            self._weight += len(line) + _LINE_WEIGHT
            self._check(self._weight)
            if line[:6] == b"data: ":  # nearly all are, and the general way costs more
                self._data.append(line[6:])
                self._mark = b"data: "
            else:
                self._read_field(line)

    def _read_field(self, line: bytes) -> None:
        colon = line.find(b":")
        if colon < 0:
            colon = len(line)
        field = line[:colon]
        value = line[colon + (2 if line[colon + 1 : colon + 2] == b" " else 1) :]
        if field == b"data":
            self._data.append(value)
            self._mark = b"data:"
        elif field == b"event":
            self._event = self._read_name(line, value)
        elif field == b"error" and self._error_field:
            self._errors.append(value)
        elif field == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif field == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
            self.retry = int(value)
        elif self._bare_json and field not in FIELDS and (self._bare or line[0] in b"{[,"):
            self._bare.append(line)

    def _read_name(self, line: bytes, value: bytes) -> str:
        """Decode the value of an event line, and let :meth:`_feed_blocks` know such a line."""
        head = line + b"\n"
        name = self._names.get(head)
        if name is None:
            name = value.decode("utf-8", "replace")
            if len(self._names) < _MAX_NAMES and len(line) <= _MAX_NAME_LINE:
                self._names[head] = name
        return name

    def _end_event(self, events: list[ServerSentEvent]) -> None:
        if not self._weight:
            return
        self.last_event_id = self._id
        if self._data:
            self._add(events, self._data, self._event)
            self._data = []
        if self._errors:
            self._add(events, self._errors, "error")
            self._errors = []
        if self._bare:
            texts = _json_texts(self._bare)
            self._bare = []
            events += [ServerSentEvent(text, self._event, self._id) for text in texts]
        self._event = ""
        self._weight = 0

    def _add(self, events: list[ServerSentEvent], lines: list[bytes], name: str) -> None:
        data = b"\n".join(lines)
        if data or not self._ignore_empty:
            events.append(ServerSentEvent(data, name, self._id))


def _json_texts(lines: list[bytes]) -> list[bytes]:
    """The JSON that lines are together, or else each object among them."""
    whole = b"\n".join(lines)
    if _is_json(whole):
        return [whole]
    starts = [at for at, line in enumerate(lines) if _LIST_SIGNS.sub(b"", line)[:1] == b"{"]
    found = [
        b"\n".join(lines[start:end]).strip(b"[,] \t\n")
        for start, end in pairwise((*starts, len(lines)))
    ]
    return [text for text in found if _is_json(text)]


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
