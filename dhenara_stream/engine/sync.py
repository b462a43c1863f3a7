"""The thread bridge: the async engine for code without an event loop. The only module with threads.

One background thread with an event loop serves all sync clients of the process, while there are
any. A stream is read there by a task, the pump, which appends items to a deque; the caller's thread
takes them off. Only where the caller has found the deque empty it is woken, and only when the pump
is about to wait itself: so items that arrive together are handed over together. The pump waits when
the caller falls behind: the caller's pace slows the server. The pump does not know the caller's
handle, so a handle that is dropped is finalised, and its pump cancelled.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import warnings
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

import anyio
import anyio.lowlevel
from anyio.from_thread import BlockingPortal

from dhenara_stream.errors import TransportError, UsageError
from dhenara_stream.types.genai.dhenara.response import (
    AIModelCallResponse,
    ExternalApiCallStatus,
    StreamItem,
)
from dhenara_stream.types.shared.api import SSEErrorResponse

from .sources import CLOSE_TIMEOUT
from .stream import LEFT_EARLY, Call, ChatStream
from .translation import client_closed
from .transport import Transport

__all__ = ["Bridge", "Guest", "Handle", "SyncChatStream"]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

# Items handed over and not yet taken: at the upper mark the pump waits (one more read may come on
# top), at the lower it goes on.
HIGH_WATER = 64
LOW_WATER = 16
# Closing waits this long at most for the event loop's own, bounded, cleanup.
JOIN_TIMEOUT = CLOSE_TIMEOUT + 1.0


class _Loop:
    """A running event loop in the background thread."""

    def __init__(self, portal: BlockingPortal) -> None:
        self.portal = portal
        # The portal's backend is asyncio: its loop has these two methods, which never block.
        loop: Any = anyio.lowlevel.current_token().native_token
        self.call_soon: Callable[..., object] = loop.call_soon
        self._call_soon_threadsafe: Callable[..., object] = loop.call_soon_threadsafe
        self._bell = anyio.Event()
        self._stopping = False
        # Transports of dropped clients, to be closed; kept until they are.
        self._orphans: deque[Transport] = deque()

    async def run(self) -> None:
        """Close what dropped clients left, until stopped."""
        while not self._stopping:
            await self._bell.wait()
            self._bell = anyio.Event()
            while self._orphans:
                await self._orphans[0].aclose()
                self._orphans.popleft()

    def start(self, function: Callable[..., Awaitable[_T]], *args: object) -> Future[_T]:
        """Start a task, from any thread but the loop's, on a loop that was just leased.

        Raises:
            UsageError: If it cannot run any more.
        """
        try:
            return self.portal.start_task_soon(function, *args)
        except RuntimeError as error:
            raise UsageError("the interpreter is shutting down: too late for a call") from error

    def soon(self, function: Callable[[], object]) -> None:
        """Call a function on the loop's thread, from any thread, without waiting for it."""
        with suppress(RuntimeError):  # the loop has ended, and with it whom the call concerned
            self._call_soon_threadsafe(function)

    def adopt(self, transport: Transport) -> None:
        """Close a transport whose client was dropped."""
        self._orphans.append(transport)
        self.soon(self._ring)

    def stop(self) -> None:
        """End the loop; what still runs in it is cancelled."""
        self._stopping = True
        self.soon(self._ring)

    def _ring(self) -> None:
        self._bell.set()


def _run(ready: Future[_Loop]) -> None:
    try:
        anyio.run(_serve, ready)
    except OSError as error:  # no descriptors left
        with suppress(InvalidStateError):  # the end of a loop that ran
            ready.set_exception(error)


async def _serve(ready: Future[_Loop]) -> None:
    async with BlockingPortal() as portal:
        loop = _Loop(portal)
        ready.set_result(loop)
        await loop.run()
        await portal.stop(cancel_remaining=True)


class _LoopThread:
    """The background thread: it runs while somebody holds a lease.

    Finalisers give leases back, and a finaliser may run at any point of any thread, also inside
    the methods here: so giving back never waits for the lock. Who holds it settles afterwards.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        # Held while a client leases or closes: here, so that a forked child has a free one.
        self.of_clients = threading.Lock()
        self._leases = 0
        self._returned: deque[None] = deque()
        self._loop: _Loop | None = None
        self._thread: threading.Thread | None = None

    def lease(self) -> _Loop:
        with self._lock:
            loop = self._loop or self._start()
            self._leases += 1
        self._settle()
        return loop

    def give_back(self, loop: _Loop, transport: Transport) -> None:
        """Give a lease back, and let the loop close the connections if they are still open."""
        if self._pid != os.getpid():
            return  # a forked child leaves its parent's thread alone
        loop.adopt(transport)
        self._returned.append(None)
        self._settle()

    def _settle(self) -> None:
        while self._returned and self._lock.acquire(blocking=False):
            try:
                while self._returned:
                    self._returned.popleft()
                    self._leases -= 1
                if self._leases == 0:
                    self._stop()
            finally:
                self._lock.release()

    def _start(self) -> _Loop:
        ready: Future[_Loop] = Future()
        self._thread = threading.Thread(
            target=_run, args=(ready,), name="dhenara-stream-loop", daemon=True
        )
        self._thread.start()
        try:
            self._loop = ready.result()
        except OSError as error:
            raise TransportError(f"the background event loop cannot start: {error}") from error
        except BaseException:  # Ctrl-C
            ready.add_done_callback(lambda done: done.result().stop())
            raise
        return self._loop

    def _stop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()

    def on_this_thread(self) -> bool:
        """Whether the caller is the event loop's own thread."""
        return self._thread is threading.current_thread()

    def join(self) -> None:
        """Wait for the thread's end, if it is ending."""
        thread = self._thread
        if thread is not None and self._loop is None and not self.on_this_thread():
            thread.join(JOIN_TIMEOUT)

    def shut_down(self) -> None:
        """End the thread, whoever holds a lease: the interpreter is going."""
        with self._lock:
            self._stop()
        self.join()


class _Process:
    """This process's background thread; a forked child gets its own."""

    def __init__(self) -> None:
        self.thread = _LoopThread()
        # What a forked child must neither use nor close: the parent's loop and sockets.
        self._inherited: list[_LoopThread] = []

    def forget_parent(self) -> None:
        self._inherited.append(self.thread)
        self.thread = _LoopThread()

    def shut_down(self) -> None:
        self.thread.shut_down()


_process = _Process()
with suppress(AttributeError):  # not on Windows
    os.register_at_fork(after_in_child=_process.forget_parent)
atexit.register(_process.shut_down)


class _Link:
    """What a pump and its handle share."""

    def __init__(self, loop: _Loop) -> None:
        self.loop = loop
        self.items: deque[StreamItem] = deque()
        self.core: ChatStream | None = None
        self.full: anyio.Event | None = None
        self.over = False
        self.ended = threading.Event()
        self.pumping: Future[None] | None = None
        self._open = False
        self._scope: anyio.CancelScope | None = None
        self._waiting = False
        self._wakes: SimpleQueue[None] = SimpleQueue()

    # --- on the event loop's thread

    async def pump(self, call: Call, transport: Transport) -> None:
        """Run the stream and hand over what comes."""
        try:
            with self._own_scope():
                self.core = ChatStream(call, transport)
                await self._run(self.core)
        finally:
            self.over = True
            self._wake()
            self.ended.set()

    async def _run(self, core: ChatStream) -> None:
        try:
            await core.open()
            self._open = True
            self._wake()
            while not core.ended:
                await core.wait()
                self._hand_over(core)
                if self._waiting:
                    # Runs when this task next waits: until then, more may come.
                    self.loop.call_soon(self._wake)
                if len(self.items) >= HIGH_WATER:
                    await self._wait_for_room()
        finally:
            # If cancelled: that it ended so is for the caller to see. A bug is raised there.
            if not isinstance(sys.exception(), Exception):
                core.break_off()
                self._hand_over(core)
            with anyio.CancelScope(shield=True):
                await core.release()

    def _hand_over(self, core: ChatStream) -> None:
        self.items.extend(core.ready)
        core.ready.clear()

    async def _wait_for_room(self) -> None:
        # Before the second look: the caller may just have taken the last item, and not seen it.
        full = self.full = anyio.Event()
        while len(self.items) >= HIGH_WATER and not full.is_set():
            await full.wait()

    def _wake(self) -> None:
        if self._waiting:
            self._waiting = False
            self._wakes.put(None)

    def _own_scope(self) -> anyio.CancelScope:
        # Made by whichever comes first, the pump or what cancels it.
        self._scope = self._scope or anyio.CancelScope()
        return self._scope

    def _cancel(self) -> None:
        if self.core is not None:
            self.core.abandon()
        self._own_scope().cancel()

    # --- on the caller's thread

    def wait_until_open(self) -> None:
        """Wait for the response's head, or for what kept it from coming."""
        self._wait(lambda: self._open)

    def wait_for_items(self) -> None:
        """Wait until there are items, or will be none."""
        self._wait(lambda: bool(self.items))

    def _wait(self, happened: Callable[[], bool]) -> None:
        # The pump does its part first and looks for a waiter then; here it is the other way round.
        self._waiting = True
        while not happened() and not self.over:
            self._wakes.get()
            self._waiting = True
        self._waiting = False
        if self.over:
            self._wakes.put(None)  # for another thread that waits

    def raise_failure(self) -> None:
        """Raise what ended the pump, once, if that is no answer to the call: a bug of ours."""
        pumping, self.pumping = self.pumping, None
        if pumping is not None:
            with suppress(CancelledError):
                pumping.result()

    def settle(self, core: ChatStream) -> None:
        """Let the stream take all that has arrived."""
        if self.over:
            return
        if _process.thread.on_this_thread():
            core.settle()
            return
        settled = threading.Event()

        def settle() -> None:
            core.settle()
            settled.set()

        self.loop.soon(settle)
        settled.wait(JOIN_TIMEOUT)

    def make_room(self) -> None:
        """Let the pump go on, if it waits and there is room."""
        full = self.full
        if full is not None and len(self.items) <= LOW_WATER:
            self.full = None
            self.loop.soon(full.set)

    def stop(self) -> None:
        """Ask the pump to end; does not wait."""
        if not self.over:
            self.loop.soon(self._cancel)


class Bridge:
    """A sync client's way to the event loop; one per client, for any number of threads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._loop: _Loop | None = None
        self._pid = 0
        self._lease: weakref.finalize[..., Bridge] | None = None

    def stream(self, call: Call) -> SyncChatStream:
        """Start a call and wait until it is open.

        Raises:
            UsageError: On the event loop's own thread, which must not wait for itself.
        """
        link = _Link(self._leased())
        stream = SyncChatStream(self, link)
        try:
            link.pumping = link.loop.start(link.pump, call, self._transport)
        except BaseException:  # Ctrl-C, or too late
            link.stop()
            raise
        stream.wait_until_open()
        return stream

    def guest(self, serve: Callable[[], Awaitable[None]], stop: Callable[[], object]) -> Guest:
        """Start what lives on from call to call, until it is stopped.

        Raises:
            UsageError: On the event loop's own thread, which must not wait for itself.
        """
        return Guest(self, self._leased(), serve, stop)

    def _leased(self) -> _Loop:
        thread = _process.thread
        if thread.on_this_thread():
            raise UsageError(
                "a sync client was used on the thread of its own event loop, which would wait "
                "for itself; use an async client there"
            )
        with thread.of_clients:
            if self._loop is None or self._pid != os.getpid():
                self._loop = thread.lease()
                self._pid = os.getpid()
                self._lease = weakref.finalize(self, thread.give_back, self._loop, self._transport)
                self._lease.atexit = False
            return self._loop

    def close(self) -> None:
        """Close the connections; the background thread ends if nobody else needs it."""
        thread = _process.thread
        with thread.of_clients:
            loop, lease, self._loop, self._lease = self._loop, self._lease, None, None
        if loop is None or lease is None or self._pid != os.getpid():
            return
        if not thread.on_this_thread():
            with suppress(RuntimeError):  # the loop has ended, and closed them
                loop.portal.call(self._transport.aclose)
        lease()
        thread.join()


class Guest:
    """What lives on the event loop from call to call of the caller's thread.

    It must not know the caller's handle, so that a handle that is dropped is finalised.
    """

    def __init__(
        self,
        bridge: Bridge,
        loop: _Loop,
        serve: Callable[[], Awaitable[None]],
        stop: Callable[[], object],
    ) -> None:
        self._bridge = bridge  # while it lives, the loop runs
        self._loop = loop
        self._stop = stop
        self._pid = os.getpid()
        try:
            self._serving: Future[None] | None = loop.start(serve)
        except BaseException:  # Ctrl-C, or too late
            loop.soon(stop)
            raise

    def ask(self, function: Callable[..., Awaitable[_T]], *args: object) -> _T:
        """Run a coroutine function on the event loop, and wait for what it returns.

        Raises:
            StreamInterrupted: If the loop ends before it does.
            UsageError: In a forked child, whose parent has the loop.
        """
        if self._pid != os.getpid():
            raise UsageError("this work belongs to the parent process; start it anew here")
        try:
            asked = self._loop.portal.start_task_soon(function, *args)
        except RuntimeError as error:  # the loop has ended
            raise client_closed("all was done") from error
        try:
            return asked.result()
        except CancelledError as error:
            raise client_closed("all was done") from error
        finally:
            del asked  # it holds the error, which holds this frame

    def stop(self) -> None:
        """Ask it to end; does not wait. A forked child leaves its parent's alone."""
        if self._pid == os.getpid():
            self._loop.soon(self._stop)

    def close(self) -> None:
        """End it, and wait until it has ended. A bug that ended it is raised, once."""
        self.stop()
        serving, self._serving = self._serving, None
        if serving and self._pid == os.getpid() and not _process.thread.on_this_thread():
            with suppress(CancelledError, TimeoutError):
                serving.result(JOIN_TIMEOUT)


class Handle(ABC, Generic[_T_co]):
    """What the caller's thread has of work on the event loop: an iterator, to be left any time.

    Leaving a ``for`` ends the work, unless it is in a ``with`` block; the block's end does.
    """

    # For a warning: what it is, and how it is used so that it is closed.
    _kind: ClassVar[str]
    _advice: ClassVar[str]

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._finished = False
        self._left_early = False
        self._managed = False

    @property
    def _is_inherited(self) -> bool:
        """Whether this is a forked child, which leaves its parent's work alone."""
        return self._pid != os.getpid()

    def __iter__(self) -> Iterator[_T_co]:
        return _Iteration(self)

    @abstractmethod
    def __next__(self) -> _T_co: ...

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

    @abstractmethod
    def close(self) -> None:
        """End the work, and wait until it has ended. Safe at any time, from any thread."""

    def abandon(self) -> None:
        """End the work for a loop that was left early, without waiting."""
        if not self._managed and not self._finished:
            self._finished = True
            self._left_early = self._has_more()
            self._stop()

    @abstractmethod
    def _has_more(self) -> bool:
        """Whether more could be read."""

    @abstractmethod
    def _runs(self) -> bool:
        """Whether there is work that has not ended."""

    @abstractmethod
    def _stop(self) -> None:
        """End the work, without waiting."""

    def __del__(self) -> None:
        runs = not self._finished and self._runs()
        self._stop()
        if runs and not self._is_inherited:
            warnings.warn(
                f"unclosed {self._kind} {self!r}; use `{self._advice}`",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )


class _Iteration(Generic[_T_co]):
    """One ``for``: when it is left early, what it goes over is too."""

    def __init__(self, handle: Handle[_T_co]) -> None:
        self._handle = handle

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T_co:
        return self._handle.__next__()

    def __del__(self) -> None:
        self._handle.abandon()


class SyncChatStream(Handle[StreamItem]):
    """The stream of a sync client: ``for chunk, final in stream``.

    Exactly one of the two is not ``None``. Leaving the loop early closes the connection, as do
    ``close()``, a ``with`` block's end, Ctrl-C and the interpreter's exit.
    """

    _kind = "stream"
    _advice = "with response.stream_generator"

    def __init__(self, bridge: Bridge, link: _Link) -> None:
        super().__init__()
        self._bridge = bridge
        self._link = link
        # Until it is closed: the pump may add to them for a moment more.
        self._items: deque[StreamItem] = link.items

    def wait_until_open(self) -> None:
        """Wait for the response's head; what failed is the first item."""
        self._wait(self._link.wait_until_open)

    @property
    def core(self) -> ChatStream:
        """The stream on the event loop's thread."""
        core = self._link.core
        if core is None:
            self._link.raise_failure()
            raise UsageError("the stream was closed before it began")
        return core

    @property
    def status(self) -> ExternalApiCallStatus:
        """How the call went so far; kept up to date."""
        return self.core.status

    def snapshot(self) -> AIModelCallResponse:
        """All that has arrived so far; works at any time, also after ``break`` or Ctrl-C."""
        core = self.core
        if not self._is_inherited:
            self._link.settle(core)
        return core.snapshot()

    def __next__(self) -> StreamItem:
        link = self._link
        while (item := self._next_item()) is None:
            self._wait_for_items()
        if link.full is not None:
            link.make_room()
        if isinstance(item[0], SSEErrorResponse):
            self.core.raise_if_asked()
        return item

    def _next_item(self) -> StreamItem | None:
        try:  # another thread may take the last one
            return self._items.popleft()
        except IndexError:
            return None

    def _wait_for_items(self) -> None:
        if self._left_early:
            raise UsageError(LEFT_EARLY)
        if not self._finished:
            self._wait(self._link.wait_for_items)
        if not self._items:
            self._finished = True
            self._link.raise_failure()
            raise StopIteration

    def _wait(self, wait: Callable[[], None]) -> None:
        if self._is_inherited:
            raise UsageError("this stream belongs to the parent process; make a new call here")
        interrupted = True
        try:
            wait()
            interrupted = False
        finally:
            if interrupted:  # Ctrl-C
                self.close()

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
        self._stop()
        if not self._is_inherited and not _process.thread.on_this_thread():
            self._link.ended.wait(JOIN_TIMEOUT)

    def _has_more(self) -> bool:
        return bool(self._items) or not self._link.over

    def _runs(self) -> bool:
        core = self._link.core
        return core is not None and not core.ended

    def _stop(self) -> None:
        self._items = deque[StreamItem]()
        if not self._is_inherited:
            self._link.stop()
