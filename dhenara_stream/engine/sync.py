"""The thread bridge: the async engine for code without an event loop. The only module with threads.

One background thread with an event loop serves all sync clients of the process, while there are
any. A stream is read there by a task, the pump, which hands over one list of items for each read of
the socket; the caller's thread iterates the lists. The pump waits when the caller falls behind, so
the caller's pace slows the server. The pump does not know the caller's handle: a handle that is
dropped is finalised, and its pump cancelled.
"""

from __future__ import annotations

import atexit
import os
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import anyio
from anyio.from_thread import BlockingPortal

from dhenara_stream.errors import UsageError
from dhenara_stream.types.genai.dhenara.response import (
    AIModelCallResponse,
    ExternalApiCallStatus,
    StreamItem,
)
from dhenara_stream.types.shared.api import SSEErrorResponse

from .stream import Call, ChatStream
from .transport import CLOSE_TIMEOUT, Transport

__all__ = ["Bridge", "SyncChatStream"]

# Items handed over and not yet taken, above which the pump waits: a socket read may add a list.
MAX_WAITING = 64
# Closing waits this long at most for the event loop's own, bounded, cleanup.
JOIN_TIMEOUT = CLOSE_TIMEOUT + 1.0


class _LoopThread:
    """The background thread: it runs while somebody holds a lease.

    Finalisers give leases back, and a finaliser may run at any point of any thread, also inside
    the methods here: so giving back never waits for the lock. Who holds it settles afterwards.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._leases = 0
        self._returned: deque[None] = deque()
        self._portal: BlockingPortal | None = None
        self._stop: anyio.Event | None = None
        self._thread: threading.Thread | None = None
        # Transports of dropped clients: kept until closed, by a task or by the loop's end.
        self._orphans: set[Transport] = set()

    def lease(self) -> BlockingPortal:
        with self._lock:
            if self._portal is None:
                self._start()
            self._leases += 1
            portal = self._portal
        self._settle()
        assert portal is not None
        return portal

    def give_back(self, transport: Transport) -> None:
        """Give a lease back, and let the loop close the connections if they are still open."""
        if self._pid != os.getpid():
            return  # a forked child leaves its parent's thread alone
        self._orphans.add(transport)
        if self._portal is not None and not self.on_this_thread():
            with suppress(RuntimeError):  # the loop has ended, and closed them
                self._portal.start_task_soon(self._close, transport)
        self._returned.append(None)
        self._settle()

    async def _close(self, transport: Transport) -> None:
        await transport.aclose()
        self._orphans.discard(transport)

    def _settle(self) -> None:
        while self._returned and self._lock.acquire(blocking=False):
            try:
                while self._returned:
                    self._returned.popleft()
                    self._leases -= 1
                if self._leases == 0:
                    self._signal_stop()
            finally:
                self._lock.release()

    def _start(self) -> None:
        ready: Future[tuple[BlockingPortal, anyio.Event]] = Future()
        thread = threading.Thread(
            target=anyio.run, args=(_serve, ready), name="dhenara-stream-loop", daemon=True
        )
        thread.start()
        self._orphans = set()
        self._portal, self._stop = ready.result()
        self._thread = thread

    def _signal_stop(self) -> None:
        portal, stop, self._portal, self._stop = self._portal, self._stop, None, None
        if portal is not None and stop is not None:
            _soon(portal, self._thread, stop)

    def on_this_thread(self) -> bool:
        """Whether the caller is the event loop's own thread."""
        return self._thread is threading.current_thread()

    def join(self) -> None:
        """Wait for the thread's end, if it is ending."""
        thread = self._thread
        if thread is not None and self._portal is None and not self.on_this_thread():
            thread.join(JOIN_TIMEOUT)

    def shut_down(self) -> None:
        """End the thread, whoever holds a lease: the interpreter is going."""
        with self._lock:
            self._signal_stop()
        self.join()


def _soon(portal: BlockingPortal, thread: threading.Thread | None, event: anyio.Event) -> None:
    """Set an event of the loop's from any thread, without waiting for what comes of it."""
    if thread is threading.current_thread():
        event.set()
        return
    with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
        portal.start_task_soon(event.set)


async def _serve(ready: Future[tuple[BlockingPortal, anyio.Event]]) -> None:
    async with BlockingPortal() as portal:
        stop = anyio.Event()
        ready.set_result((portal, stop))
        await stop.wait()
        await portal.stop(cancel_remaining=True)


_loop_thread = _LoopThread()
# What a forked child must neither use nor close: the parent's loop and sockets.
_inherited: list[_LoopThread] = []


def _forget_parent() -> None:
    global _loop_thread
    _inherited.append(_loop_thread)
    _loop_thread = _LoopThread()


def _shut_down() -> None:
    _loop_thread.shut_down()


if hasattr(os, "register_at_fork"):  # pragma: no branch
    os.register_at_fork(after_in_child=_forget_parent)
atexit.register(_shut_down)


class _Link:
    """What a pump and its handle share."""

    def __init__(self, portal: BlockingPortal) -> None:
        self.portal = portal
        self.lists: SimpleQueue[list[StreamItem] | None] = SimpleQueue()
        self.core: ChatStream | None = None
        self.scope: anyio.CancelScope | None = None
        self.cancelled = False
        self.ended = threading.Event()
        self.put_count = 0
        self.taken_count = 0
        self.wake: anyio.Event | None = None

    # --- on the event loop's thread

    async def pump(self, call: Call, transport: Transport) -> None:
        """Run the stream and hand over what comes; the first list is empty: it is open."""
        try:
            with anyio.CancelScope() as self.scope:
                if self.cancelled:
                    return
                self.core = ChatStream(call, transport)
                await self._run(self.core)
        finally:
            self.lists.put(None)
            self.ended.set()

    async def _run(self, core: ChatStream) -> None:
        try:
            await core.open()
            self.lists.put([])
            while batch := await core.next_batch():
                self.put_count += len(batch)
                self.lists.put(batch)
                await self._wait_for_room()
        finally:
            with anyio.CancelScope(shield=True):
                await core.release()

    async def _wait_for_room(self) -> None:
        while self.put_count - self.taken_count >= MAX_WAITING:
            self.wake = anyio.Event()
            # The caller may have taken the last list before it could see the event.
            if self.put_count - self.taken_count >= MAX_WAITING:
                await self.wake.wait()
            self.wake = None

    def cancel(self) -> None:
        self.cancelled = True
        if self.scope is not None:
            self.scope.cancel()

    # --- on the caller's thread

    def take(self) -> list[StreamItem] | None:
        """The next list; waits for it. ``None``: there will be no more."""
        items = self.lists.get()
        self.taken_count += len(items or ())
        wake = self.wake
        if wake is not None and self.put_count - self.taken_count < MAX_WAITING:
            _soon(self.portal, None, wake)
        return items

    def stop(self) -> None:
        """Ask the pump to end; does not wait."""
        if self.ended.is_set():
            return
        if _loop_thread.on_this_thread():
            self.cancel()
            return
        with suppress(RuntimeError):  # the loop has ended, and the pump with it
            self.portal.start_task_soon(self.cancel)


class Bridge:
    """A sync client's way to the event loop; one per client, for any number of threads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._pid = 0
        self._lease: weakref.finalize[..., Bridge] | None = None

    def stream(self, call: Call) -> SyncChatStream:
        """Start a call and wait until it is open.

        Raises:
            UsageError: On the event loop's own thread, which must not wait for itself.
        """
        if _loop_thread.on_this_thread():
            raise UsageError(
                "a sync client was used on the thread of its own event loop, which would wait "
                "for itself; use an async client there"
            )
        link = _Link(self._leased())
        stream = SyncChatStream(self, link)
        link.portal.start_task_soon(link.pump, call, self._transport)
        stream.wait_until_open()
        return stream

    def _leased(self) -> BlockingPortal:
        with self._lock:
            if self._portal is None or self._pid != os.getpid():
                self._portal = _loop_thread.lease()
                self._pid = os.getpid()
                self._lease = weakref.finalize(self, _loop_thread.give_back, self._transport)
                self._lease.atexit = False
            return self._portal

    def close(self) -> None:
        """Close the connections; the background thread ends if nobody else needs it."""
        with self._lock:
            portal, lease, self._portal, self._lease = self._portal, self._lease, None, None
        if portal is None or lease is None or self._pid != os.getpid():
            return
        if not _loop_thread.on_this_thread():
            with suppress(RuntimeError):  # the loop has ended, and closed them
                portal.call(self._transport.aclose)
        lease()
        _loop_thread.join()


class SyncChatStream:
    """The stream of a sync client: ``for chunk, final in stream``.

    Exactly one of the two is not ``None``. Leaving the loop early closes the connection, as do
    ``close()``, a ``with`` block's end, Ctrl-C and the interpreter's exit.
    """

    def __init__(self, bridge: Bridge, link: _Link) -> None:
        self._bridge = bridge
        self._link = link
        self._pid = os.getpid()
        self._batch: deque[StreamItem] = deque()
        self._finished = False
        self._managed = False

    def wait_until_open(self) -> None:
        """Wait for the response's head; what failed is the first item."""
        self._take()

    @property
    def core(self) -> ChatStream:
        """The stream on the event loop's thread."""
        core = self._link.core
        if core is None:
            raise UsageError("the stream was closed before it began")
        return core

    @property
    def status(self) -> ExternalApiCallStatus:
        """How the call went so far; kept up to date."""
        return self.core.status

    def snapshot(self) -> AIModelCallResponse:
        """All that has arrived so far; works at any time, also after ``break`` or Ctrl-C."""
        return self.core.snapshot()

    def __iter__(self) -> Iterator[StreamItem]:
        return _Loop(self)

    def __next__(self) -> StreamItem:
        while not self._batch:
            if self._finished:
                raise StopIteration
            self._take()
        item = self._batch.popleft()
        core = self.core
        if core.error is not None and isinstance(item[0], SSEErrorResponse):
            if core.call.config.raise_errors:
                raise core.error
        return item

    def _take(self) -> None:
        if self._pid != os.getpid():
            raise UsageError("this stream belongs to the parent process; make a new call here")
        interrupted = True
        try:
            items = self._link.take()
            interrupted = False
        finally:
            if interrupted:  # Ctrl-C
                self.close()
        if items is None:
            self._finished = True
        else:
            self._batch.extend(items)

    def collect(self) -> AIModelCallResponse:
        """Read to the end: the answer, or how the call failed.

        Raises:
            DhenaraStreamError: If it failed, and the config says so.
        """
        final: AIModelCallResponse | None = None
        with self:
            for _, last in self:
                final = last
        return final or self.core.failure()

    def close(self) -> None:
        """End the stream and close its connection. Safe at any time, from any thread."""
        self._finished = True
        self._batch.clear()
        if self._pid != os.getpid():
            return
        self._link.stop()
        if not _loop_thread.on_this_thread():
            self._link.ended.wait(JOIN_TIMEOUT)

    def __enter__(self) -> Self:
        self._managed = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def abandon(self) -> None:
        """End the stream of a loop that was left early, without waiting."""
        if not self._managed and not self._finished and self._is_running():
            self._finished = True
            self._link.stop()

    def _is_running(self) -> bool:
        core = self._link.core
        return self._pid == os.getpid() and core is not None and not core.ended

    def __del__(self) -> None:
        if not self._finished and self._is_running():
            self._link.stop()
            warnings.warn(
                f"unclosed stream {self!r}; use `with response.stream_generator`",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )


class _Loop:
    """One ``for``: when it is left early, the stream is too."""

    def __init__(self, stream: SyncChatStream) -> None:
        self._stream = stream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamItem:
        return next(self._stream)

    def __del__(self) -> None:
        self._stream.abandon()
