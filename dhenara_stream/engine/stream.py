"""The one async loop: open, feed, decode, accumulate, hand out, close.

Rules. A stream is a class with explicit state: while control is with the user no cancel scope and
no task group is open, and there is no task and no queue: the socket is the backpressure. Retries
happen only while nothing was handed out. After the terminal event the stream ends; what is left of
the body is drained for a moment, so that the connection can be used again, else closed. Whatever
ends the stream, what was received can be read with ``snapshot()``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import msgspec
from msgspec.structs import replace

from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.deltas import Delta
from dhenara_stream.core.retry import MAX_RETRY_AFTER, RetryPolicy, retry_after_seconds
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.base import Dialect, ErrorReply, StreamDecoder
from dhenara_stream.errors import (
    ConnectError,
    ConnectTimeout,
    DhenaraStreamError,
    FirstEventTimeout,
    ProtocolError,
    ProviderError,
    StreamInterrupted,
    StreamTimeout,
    TransportError,
    TruncatedStream,
    UnexpectedResponse,
    UsageError,
)
from dhenara_stream.providers.registry import HTTPRequest
from dhenara_stream.types.genai.dhenara.request import AIModelCallConfig
from dhenara_stream.types.genai.dhenara.response import (
    AIModelCallResponse,
    CallTiming,
    ChatResponseReasoningContentItemDelta,
    ExternalApiCallStatus,
    ExternalApiCallStatusEnum,
    StreamingChatResponse,
    StreamItem,
)
from dhenara_stream.types.shared.api import SSEErrorResponse
from dhenara_stream.types.shared.copies import deep_copied
from dhenara_stream.types.shared.secret import longer_secrets, redacted

from .body import Body, Reply, drain
from .chain import cut_at_secrets, without_frames
from .clocks import Clocks, clock
from .events import BodyEvents
from .sources import CLOSE_TIMEOUT, Expired
from .translation import FOREIGN, client_closed, host_of, translation
from .transport import Transport, signed

__all__ = ["LEFT_EARLY", "Call", "ChatStream"]

LEFT_EARLY = (
    "the stream was closed when its loop was left early; to go on reading after a loop, use it in "
    "a `with` or `async with` block, or take items with next() or anext()"
)
# An error body is read up to here.
MAX_ERROR_BYTES = 2**20
ERROR_BODY_SECONDS = 5.0
# Taken from those that have arrived, before they are handed out.
SLICE_EVENTS = 32
# A connection that was closed while it was idle breaks as soon as it is used: after a round trip.
DEAD_WITHIN = 0.5

# Seconds. To move a timer by less is not worth its price.
TIMER_SLACK = 0.005

_ANSWERED = "the answer was complete"
_ON_ITS_WAY = "The request is on its way"
_WAITING = "Waiting, since the provider asked for it"
_REQUEST_ID_HEADERS = ("request-id", "x-request-id", "apim-request-id", "x-amzn-requestid")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """All that a stream needs to know of its call."""

    request: HTTPRequest
    dialect: Dialect
    facts: AnswerFacts
    config: AIModelCallConfig
    api_provider: str
    model: str


class ChatStream:
    """One call, from the request to the last item; what both facades drive.

    ``wait`` gets the next items, ``release`` ends it. One task at a time drives it. With the
    ``closings`` of an earlier time it makes no attempt if the client was closed since.

    Attributes:
        ready: The items that have come, the same deque for life; whoever drives it empties it.
        reading: Whether a task waits for more, or for the end of the connection.
        ended: Whether there will be no more of them.
        status: How the call goes; kept up to date.
        error: What it failed with.
    """

    def __init__(self, call: Call, transport: Transport, *, closings: int | None = None) -> None:
        self.call = call
        self.ended = False
        self._timing = CallTiming()
        self._request = call.request
        self.status = ExternalApiCallStatus(
            status=ExternalApiCallStatusEnum.REQUEST_SEND,
            api_provider=call.api_provider,
            model=call.model,
            message=_ON_ITS_WAY,
            timing=self._timing,
            data={"adjustments": list(call.request.adjustments)}
            if call.request.adjustments
            else None,
        )
        self._transport = transport
        self._closings = transport.closings if closings is None else closings
        self._retry = RetryPolicy(
            retries=call.config.retries,
            delay=call.config.retry_delay,
            max_delay=call.config.max_retry_delay,
        )
        self._now = clock()
        self._clocks = Clocks(call.config, self._now())
        self.ready: deque[StreamItem] = deque()
        self._body: Body | None = None
        self._scope: anyio.CancelScope | None = None
        self.reading = False
        self._left: anyio.Event | None = None
        self._closing = self._dropped = False
        self._delivered = False
        self._has_connection = False
        self._connecting = False
        # When connecting began, when the last bytes came in, and the last content.
        self._connect_at = self._arrived_at = self._content_at = 0.0
        self._tunnelling = False
        self._half_open: anyio.abc.AsyncResource | None = None
        self._events: BodyEvents  # of the response under way
        self._turn = -math.inf  # the place in line that a refused call keeps
        self._reused = False
        self._revived = False
        self._complete = False
        self.error: DhenaraStreamError | None = None
        self._start_answer()

    def _start_answer(self) -> None:
        call = self.call
        self._arrived: Iterator[ServerSentEvent] | None = None  # and not taken yet
        self._decoder: StreamDecoder = call.dialect.decoder()
        self._answer = Accumulator(call.facts)

    # --- what the facades call

    async def open(self) -> None:
        """Send the request and wait for the response's head, with retries.

        A failure is handed out as the stream's first item.
        """
        await self.wait(opening=True)

    async def wait(self, *, opening: bool = False) -> None:
        """Wait until there are items, or the stream has ended and there are none.

        What ends it, an error or the whole answer, is the last that comes. This is what wakes up
        with each event of a live model: it does its work itself, since each coroutine between the
        loop and the socket has its price.

        Args:
            opening: Wait for the response's head only.

        Raises:
            UsageError: If another task is reading, or the stream was dropped.
        """
        if self._dropped:
            raise UsageError(LEFT_EARLY)
        if self.reading:
            raise UsageError("this stream is being read by another task; read it from one only")
        self.reading = cancelled = True
        try:
            while not (self.ready or self.ended or (opening and self._body is not None)):
                with _Boundary() as boundary:
                    if self._arrived is not None:
                        self._take_events()
                    elif self._body is None:
                        await self._connect()
                    else:
                        self._feed(await self._read(self._body))
                if boundary.error is not None:
                    await self._failed(boundary.error)
            if self.ended:  # before the last item: many a loop is left at it
                await self._close_body(reuse=self._complete)
            cancelled = False
        finally:
            if cancelled:  # the connection cannot be used again; what came is kept
                self._interrupt()
                await self._close_body(reuse=False)
            self.reading = False
            if self._left is not None:
                self._left.set()

    def break_off(self) -> None:
        """End the stream, if it has not ended, because its reading did; what came is ready."""
        self.settle()
        self._interrupt()

    async def collect(self) -> AIModelCallResponse:
        """Read to the end: the answer, or how the call failed.

        Raises:
            DhenaraStreamError: If it failed, and the config says so.
        """
        try:
            while not self.ended:
                self.ready.clear()
                await self.wait()
            final = self.ready[-1][1] if self.ready else None
        finally:
            await self.release()
        return final or self.failure()

    def failure(self) -> AIModelCallResponse:
        """What there is of a call that failed: its status, and the content that came.

        Raises:
            DhenaraStreamError: Instead, if the config says so.
        """
        self.raise_if_asked()
        if self._delivered:
            return self.snapshot()
        return AIModelCallResponse(status=self._status_now())

    def raise_if_asked(self) -> None:
        """Raise the error that the call failed with, if the config says so."""
        if self.error is not None and self.call.config.raise_errors:
            raise self.error

    async def release(self) -> None:
        """End the stream and let its connection go; wait for a reading task to leave it."""
        self.settle()
        self.abandon()
        if self.reading:
            self._closing = True
            self._left = self._left or anyio.Event()
            if self._body is not None:
                self._body.interrupt()
            if self._scope is not None:
                self._scope.cancel()
            await self._left.wait()
        self.ready.clear()
        await self._close_body(reuse=self._complete)

    def drop(self) -> None:
        """Let go without waiting, of a loop that was left: the event loop closes the connection."""
        self._dropped = True
        self.settle()
        self.abandon()
        self.ready.clear()
        body, self._body = self._body, None
        if body is not None:
            body.drop()

    def abandon(self) -> None:
        """Note that the caller has closed the stream."""
        if not self.ended:
            self.ended = True
            self.status.status = ExternalApiCallStatusEnum.RESPONSE_INCOMPLETE
            self.status.message = "The stream was closed before the answer was complete"

    def snapshot(self) -> AIModelCallResponse:
        """All that has arrived so far."""
        duration = self.status.timing.total if self.status.timing else None
        response = self._answer.response(
            complete=self._complete, streaming=self.call.config.streaming, duration=duration
        )
        return AIModelCallResponse(status=self._status_now(), chat_response=response)

    def _status_now(self) -> ExternalApiCallStatus:
        timing = self._timing
        timing = replace(timing, chunk_gaps=replace(timing.chunk_gaps))
        return replace(self.status, timing=timing, data=deep_copied(self.status.data))

    @property
    def is_open(self) -> bool:
        """Whether it holds a connection."""
        return self._body is not None

    # --- how it fails

    def _interrupt(self) -> None:
        """End the stream, if it has not ended, because its reading did."""
        if not self.ended:
            message = "the call was cancelled while it was read"
            error = StreamInterrupted(message, retryable=False)
            self._end_with(client_closed(_ANSWERED) if self._is_client_closed else error)

    @property
    def _is_client_closed(self) -> bool:
        return self._transport.closings != self._closings

    async def _failed(self, error: DhenaraStreamError) -> None:
        self._arrived = None  # what came before the error was taken
        await self._close_body(reuse=False)
        if self._closing:
            return
        closed = self._is_client_closed
        if closed and isinstance(error, StreamInterrupted):
            error = client_closed(_ANSWERED)
        last = self._delivered or closed
        if not last and self._is_dead_connection(error):
            self._revived = True
            self._timing.attempts -= 1
            return
        now = self._now()
        wait = None if last else self._retry.wait(error, self._timing.attempts)
        asked = (error.retry_after or 0.0) if error.retryable else 0.0
        shared = self._transport.shared_wait()
        if 0 < asked <= MAX_RETRY_AFTER:
            shared.told(now, asked)
        if wait is not None and now + wait < self._clocks.deadline:
            self.ready.clear()
            self._start_answer()
            self._revived = False
            if asked:
                self._turn = shared.turn(now)  # before those that come while it waits
                self.status.message = _WAITING
            await self._sleep(wait)
            return
        self._end_with(error)

    def _is_dead_connection(self, error: DhenaraStreamError) -> bool:
        """Whether a connection from the pool was closed by the peer while it was idle.

        That shows at once. Such an attempt never began: it is made again once, and does not count.
        """
        at_once = self._now() - self._clocks.sent < DEAD_WITHIN
        unanswered = self.status.http_status_code is None
        broke = isinstance(error, StreamInterrupted)
        return broke and unanswered and at_once and self._reused and not self._revived

    async def _sleep(self, seconds: float) -> None:
        with _Interruptible(self, math.inf):
            await self._transport.sleep(seconds)

    def _end_with(self, error: DhenaraStreamError) -> None:
        error.provider = error.provider or self.call.api_provider
        error.request_id = error.request_id or self.status.request_id
        error.content_delivered = self._delivered
        error.details.setdefault("attempts", self._timing.attempts)
        self._hide_secrets(error)
        self._arrived = None
        self.ended = True
        self._mark_total()
        status = self.status
        status.status = _failed_status(error, status)
        status.message = error.message
        status.code = error.code or type(error).__name__
        if error.http_status is not None and status.http_status_code is None:
            status.http_status_code = error.http_status
        self.error = error
        self.ready.append((SSEErrorResponse.from_error(error), None))

    def _hide_secrets(self, error: DhenaraStreamError) -> None:
        secrets = longer_secrets(self._request.headers.values())
        error.message = redacted(error.message, secrets)
        error.args = (error.message,)
        error.details = redacted(error.details, secrets)
        cut_at_secrets(error, secrets)

    # --- connecting

    async def _take_turn(self) -> None:
        """Wait with the other calls of this client, if one was told to.

        A call whose deadline lies before its turn does not wait to fail: it is sent at once. So
        such calls find out whether the provider has let go of its limit.

        Raises:
            StreamInterrupted: If the stream or its client was closed while it waited.
        """
        self._check_open()
        shared = self._transport.shared_wait()
        now = self._now()
        turn = self._turn if self._turn >= shared.until else shared.turn(now)
        self._turn = -math.inf
        while now < turn < self._clocks.deadline:
            self.status.message = _WAITING
            await self._sleep(turn - now)
            self._check_open()
            now = self._now()
            turn = shared.turn(now) if now < shared.until else now
        self.status.message = _ON_ITS_WAY

    def _check_open(self) -> None:
        if self._closing:
            raise _stream_closed()
        if self._is_client_closed:
            raise client_closed(_ANSWERED)

    async def _connect(self) -> None:
        await self._take_turn()
        self._timing.attempts += 1
        self._clocks.start_attempt(self._now())
        self._has_connection = self._connecting = self._reused = self._tunnelling = False
        self.status.http_status_code = self.status.request_id = None
        reply = await self._send()
        self._body = reply.body
        self._see_head(reply)
        if reply.status >= 300:
            raise await self._refusal(reply)

    async def _send(self) -> Reply:
        connect_timeout = self.call.config.connect_timeout
        trace = _Trace()
        try:
            with _Interruptible(self, self._clocks.next()) as scope:
                trace.follow = partial(self._follow, scope)
                self._request = await signed(self.call.request)
                self._check_open()
                return await self._transport.send(self._request, connect_timeout, trace)
            raise self._timeout(scope.deadline)
        except StreamInterrupted as error:
            if not self._tunnelling or self._is_client_closed:
                raise
            host = host_of(self.call.request.url)
            message = f"the proxy hung up before it had connected to {host}"
            raise ConnectError(message) from error.__cause__
        finally:
            trace.follow = None
            if self._connecting:
                await self._close_half_open()

    async def _close_half_open(self) -> None:
        """Close a connection whose handshake did not end; the HTTP library forgets those."""
        stream, self._half_open = self._half_open, None
        if stream is not None:
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await stream.aclose()

    def _follow(self, scope: anyio.CancelScope, event: str, info: Any) -> None:
        """Move the deadline with the connection's progress: connect, then the first event."""
        clocks = self._clocks
        self._has_connection = True
        if event.endswith("send_request_headers.started"):
            # To a proxy, which only httpx has: the connection is still being made.
            self._tunnelling = bool(info) and info["request"].method == b"CONNECT"
        if self._tunnelling:
            return
        if event == "connection.connect_tcp.started":
            self._connecting = True
            now = self._connect_at = self._now()
            scope.deadline = min(now + clocks.connect_limit, clocks.deadline)
        elif event == "connection.connect_tcp.complete":
            self._half_open = info["return_value"]
        elif event.endswith("send_request_headers.started"):
            self._reused = not self._connecting
            self._timing.connect = self._now() - self._connect_at if self._connecting else None
            self._connecting = False
            self._half_open = None
            self._restart_clocks(scope)
        elif event.endswith("send_request_body.complete"):
            self._restart_clocks(scope)

    def wait_in(self, scope: anyio.CancelScope | None) -> None:
        """Note the scope that the reading task waits in, so that closing can end the wait."""
        self._scope = scope

    def _restart_clocks(self, scope: anyio.CancelScope) -> None:
        self._clocks.start_attempt(self._now())
        deadline = self._clocks.next()
        if abs(deadline - scope.deadline) >= TIMER_SLACK:
            scope.deadline = deadline

    def _timeout(self, deadline: float) -> TransportError:
        """The error of a wait that was ended: by a clock, or because the stream was closed."""
        if self._closing:
            return _stream_closed()
        if self._connecting and deadline < self._clocks.deadline:
            host = host_of(self.call.request.url)
            seconds = self.call.config.connect_timeout
            return ConnectTimeout(f"connecting to {host} took longer than {seconds} s")
        kind, setting = self._clocks.fired()
        message = f"no answer in time: {setting} ran out"
        if self._transport.is_limited and not self._has_connection:
            message += "; maybe the limits of the http_client left no connection free"
        return kind(message, retryable=_timeout_retry(self, kind))

    def _see_head(self, reply: Reply) -> None:
        now = self._now()
        headers = reply.headers
        self._clocks.see_head(now)
        self._timing.headers = (reply.body.arrived or now) - self._clocks.begun
        status = self.status
        status.http_status_code = reply.status
        status.request_id = next(
            (headers[name] for name in _REQUEST_ID_HEADERS if name in headers), None
        )
        status.status = ExternalApiCallStatusEnum.RESPONSE_INCOMPLETE
        status.message = "The answer is arriving"
        self._events = BodyEvents(
            status=reply.status,
            content_type=headers.get("content-type", ""),
            max_event_bytes=self.call.config.max_event_bytes,
        )

    async def _refusal(self, reply: Reply) -> DhenaraStreamError:
        headers = dict(reply.headers)
        if reply.status < 400:
            target = host_of(headers.get("location", "")) or "another path"
            return UnexpectedResponse(
                f"the server answered {reply.status}, a redirect to {target}; redirects "
                "are not followed, since they would take the key along: set base_url to the "
                "final address",
                http_status=reply.status,
            )
        said = await self._read_error_body(reply.body)
        told = ErrorReply(status=reply.status, headers=headers, body=said)
        error = self.call.dialect.error(told)
        waited = retry_after_seconds(headers, datetime.now(UTC))
        if waited is not None:  # else what the body says stands
            error.retry_after = waited
        return error

    async def _read_error_body(self, body: Body) -> bytes:
        """What is said beside the status. If it breaks off or stalls, the status is the news."""
        pieces: list[bytes] = []
        size = 0
        with anyio.move_on_after(ERROR_BODY_SECONDS), suppress(TransportError):
            while size < MAX_ERROR_BYTES and (data := await self._read(body)) is not None:
                pieces.append(data)
                size += len(data)
        return b"".join(pieces)[:MAX_ERROR_BYTES]

    # --- receiving

    async def _read(self, body: Body) -> bytes | None:
        """The next bytes of the body; ``None`` at its end."""
        clocks = self._clocks
        clocks.resume(self._now())
        may_be_complete = self._decoder.may_be_complete and not self._is_under_way()
        deadline = clocks.next(may_be_complete=may_be_complete)
        try:
            data = await body.read(deadline)
        except Expired:
            if may_be_complete and not self._closing:
                return None  # a complete answer is no error because its body stays open
            raise self._timeout(deadline) from None
        except FOREIGN as error:
            raise translation(error, self.call.request.url) from error
        if data is not None:
            arrived = self._arrived_at = body.arrived
            clocks.read = max(clocks.read, arrived)  # it may have come before the reader did
            self._timing.bytes_received += len(data)
        return data

    def _is_under_way(self) -> bool:
        """Whether more is to come: an event has begun, or one of several choices may yet begin."""
        return self.call.request.choices > 1 or self._events.pending

    def _feed(self, data: bytes | None) -> None:
        if data is None:
            self._end_of_body()
        else:
            self._arrived = iter(self._events.feed(data))
            self._take_events()

    def settle(self) -> None:
        """Take all that has arrived, so that a snapshot has it; not while another thread reads."""
        with _Boundary() as boundary:
            while self._arrived is not None:
                self._take_events()
        if boundary.error is not None:  # there is content, so there is no other attempt
            self._end_with(boundary.error)

    def _take_events(self) -> None:
        """Hand out what the next events say, of those that have arrived.

        This loop is what a stream costs, beside the reading of its bytes. It takes some events at
        a time: chunks that wait for their reader fill the processor's caches and are walked by the
        garbage collector, which for a thousand events doubles their price.
        """
        decoder, ready = self._decoder, self.ready
        decode, add = decoder.decode, self._answer.add
        before, taken = len(ready), 0
        try:
            for event in islice(self._arrived or (), SLICE_EVENTS):
                taken += 1
                chunk = add(decode(event))
                if chunk is not None:
                    ready.append((chunk, None))
                if decoder.failure is not None:
                    raise decoder.failure
                if decoder.complete:
                    break
        finally:
            self._see(taken, before)
        if decoder.complete:
            self._arrived = None
            self._finish()
        elif taken < SLICE_EVENTS:
            self._arrived = None
            error = self._events.error
            if error is not None:
                raise error

    def _see(self, events: int, before: int) -> None:
        """Note the time of what was read: events, and the items that are new in the queue."""
        clocks, timing = self._clocks, self._timing
        now = self._arrived_at
        if events:
            clocks.event = clocks.read
            timing.events_received += events
            if not clocks.has_event:
                clocks.has_event = True
                timing.first_event = now - clocks.begun
        if len(self.ready) == before:
            return
        if self._delivered and now > self._content_at:
            timing.chunk_gaps.add(now - self._content_at)
        self._content_at = now
        clocks.content = clocks.read
        self._delivered = True
        if timing.first_content is None:
            timing.first_content = now - clocks.begun
        if timing.first_answer is None and any(map(_is_answer, islice(self.ready, before, None))):
            timing.first_answer = now - clocks.begun

    def _say(self, deltas: Sequence[Delta], *, events: int) -> None:
        """Hand out what the end of the body said, or the whole of it."""
        before = len(self.ready)
        chunk = self._answer.add(deltas)
        if chunk is not None:
            self.ready.append((chunk, None))
        self._see(events, before)
        if self._decoder.failure is not None:
            raise self._decoder.failure

    def _end_of_body(self) -> None:
        document = self._events.document()
        if document is not None:
            self._say(self._decoder.decode_document(document), events=1)
            self._finish()
            return
        is_whole = self._take_rest()
        if not self._complete:
            self._say(self._decoder.end(), events=0)
            if self._decoder.complete and is_whole:
                self._finish()
                return
            raise TruncatedStream(
                "the answer ended without its terminal event; what arrived is kept, and incomplete"
            )

    def _take_rest(self) -> bool:
        """Take the last event, if it lacks only its end; whether it is whole."""
        rest = self._events.flush()
        try:
            self._arrived = iter(rest)
            self._take_events()
        except ProtocolError:  # half an event: the answer was cut in it
            return False
        return True

    def _finish(self) -> None:
        self._complete = self.ended = True
        self._mark_total()
        self.status.status = ExternalApiCallStatusEnum.RESPONSE_RECEIVED_SUCCESS
        self.status.message = "The answer is complete"
        self.status.code = "success"
        if self.call.config.streaming:
            self.ready.append((self._answer.done(), None))
        self.ready.append((None, self.snapshot()))

    # --- small things

    def _mark_total(self) -> None:
        try:
            now = self._now()
        except RuntimeError:  # trio has ended: this is a finaliser, or a late snapshot
            now = self._arrived_at
        self._timing.total = now - self._clocks.begun

    async def _close_body(self, *, reuse: bool) -> None:
        body, self._body = self._body, None
        if body is None or (reuse and body.let_go()):
            return
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            try:
                if reuse:
                    await drain(body)
            finally:
                await body.aclose()


class _Trace:
    """Tells of a request's progress until its response begins.

    The connection keeps it, maybe for long; so it must not keep the stream.
    """

    def __init__(self) -> None:
        self.follow: Callable[[str, Any], None] | None = None

    async def __call__(self, event: str, info: Any) -> None:
        if self.follow is not None:
            self.follow(event, info)


class _Interruptible:
    """A cancel scope with a deadline, which the stream knows of, so that closing can end it."""

    def __init__(self, stream: ChatStream, deadline: float) -> None:
        self._stream = stream
        self._scope = anyio.CancelScope(deadline=deadline)

    def __enter__(self) -> anyio.CancelScope:
        self._stream.wait_in(self._scope)
        return self._scope.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._stream.wait_in(None)
        return bool(self._scope.__exit__(exc_type, exc, traceback))


def _is_answer(item: StreamItem) -> bool:
    chunk = item[0]
    return isinstance(chunk, StreamingChatResponse) and any(
        not isinstance(content, ChatResponseReasoningContentItemDelta)
        for choice in chunk.data.choice_deltas
        for content in choice.content_deltas or ()
    )


def _timeout_retry(stream: ChatStream, kind: type[StreamTimeout]) -> bool | None:
    # A whole answer that took too long was computed and paid for: not again.
    if kind is FirstEventTimeout and not stream.call.config.streaming:
        return False
    return None


class _Boundary:
    """The one boundary for errors: what is raised within becomes an error item, a bug too."""

    def __init__(self) -> None:
        self.error: DhenaraStreamError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(exc, Exception):  # cancellation and Ctrl-C pass
            return False
        if isinstance(exc, DhenaraStreamError):
            self.error = _without_frames(exc)
        else:
            self.error = _internal(exc)
        return True


def _without_frames(error: DhenaraStreamError) -> DhenaraStreamError:
    # They hold the stream, which will hold the error; and they would show what came.
    without_frames(error)
    return error


def _stream_closed() -> StreamInterrupted:
    return StreamInterrupted("the stream was closed", retryable=False)


def _internal(error: Exception) -> DhenaraStreamError:
    wrapped = DhenaraStreamError(f"internal error: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def _failed_status(
    error: DhenaraStreamError, status: ExternalApiCallStatus
) -> ExternalApiCallStatusEnum:
    if error.content_delivered:
        return ExternalApiCallStatusEnum.RESPONSE_INCOMPLETE
    if isinstance(error, ProviderError):
        return ExternalApiCallStatusEnum.RESPONSE_RECEIVED_API_ERROR
    if isinstance(error, ConnectTimeout):
        return ExternalApiCallStatusEnum.REQUEST_NOT_SEND
    if isinstance(error, StreamTimeout):
        return ExternalApiCallStatusEnum.RESPONSE_TIMEOUT
    if status.http_status_code is None and isinstance(error, TransportError):
        return ExternalApiCallStatusEnum.REQUEST_NOT_SEND
    if isinstance(error, TransportError | TruncatedStream | UnexpectedResponse):
        return ExternalApiCallStatusEnum.RESPONSE_INCOMPLETE
    return ExternalApiCallStatusEnum.INTERNAL_PROCESSING_ERROR
