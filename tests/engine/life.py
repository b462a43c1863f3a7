"""A client's life as a machine of rules: what may be done to its streams, in any order.

Streams of all kinds are opened, read, cancelled, closed, left and dropped, and the client is closed
and used again. After each step this holds:

- What was handed out of a text is the beginning of what is known of it, and that of what was sent:
  nothing is lost, nothing comes twice, no stream gets another's.
- An answer is complete exactly if it was sent whole and read to its end.
- A stream that was dropped while it ran warned once; one that was closed, left or read did not.
- Nothing failed where nobody could see it.

At the end no descriptor, no task and no thread is left.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import traceback
import warnings
import weakref
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from engine.support import client_of, open_files, sync_client, text_of
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from dhenara_stream import UsageError
from dhenara_stream.simulator import (
    Answer,
    CleanCut,
    Drop,
    ErrorEvent,
    Fault,
    Malformed,
    OpenEnd,
    RecordedRequest,
    Reset,
    Respond,
    Silence,
    Simulator,
    TornChunk,
)
from dhenara_stream.types import AIModelCallResponse

__all__ = ["AsyncLife", "ForkingLife", "Life", "SyncLife", "simulator"]

FAULTS: dict[str, Callable[[int], Fault | None]] = {
    "none": lambda _: None,
    "open end": lambda _: OpenEnd(),
    "clean cut": lambda at: CleanCut(deltas=at),
    "torn chunk": lambda at: TornChunk(deltas=at),
    "drop": lambda at: Drop(deltas=at),
    "reset": lambda at: Reset(deltas=at),
    "error event": lambda at: ErrorEvent(deltas=at),
    "malformed": lambda at: Malformed(deltas=at),
    "silence": lambda at: Silence(deltas=at),
    "refusal": lambda _: Respond(400),
}
WHOLE = ("none", "open end")


@dataclass(kw_only=True)
class Told:
    """A stream, and what is known of it.

    Attributes:
        text: What the model says.
        fault: What goes wrong.
        at: After so many words; if there are fewer, after the answer's end.
        items: What was handed out.
        disturbed: Whether a read was cancelled, or the client closed.
        over: Whether it was closed, left or read to its end by us.
        read: Whether it was read to its end.
    """

    response: AIModelCallResponse
    text: str
    fault: str
    at: int
    items: list[Any] = field(default_factory=list[Any])
    disturbed: bool = False
    over: bool = False
    read: bool = False

    @property
    def stream(self) -> Any:
        return self.response.stream_generator

    @property
    def is_whole(self) -> bool:
        """Whether the whole answer is sent."""
        late = self.fault != "refusal" and self.at > len(self.text.split(" "))
        return self.fault in WHOLE or late

    @property
    def runs(self) -> bool:
        """Whether the answer is still arriving, by the stream's own word."""
        return not self.over and self.stream.status.message == "The answer is arriving"

    @property
    def is_silent(self) -> bool:
        """Whether reading on would wait for ever."""
        sent = " ".join(self.text.split(" ")[: self.at])
        stops = self.fault == "silence" and not self.is_whole
        return stops and self.runs and text_of(self.items) == sent


def simulator() -> Simulator:
    """A simulator that does what the prompt says."""
    return Simulator(_answer, faults=_fault)


def _words(request: RecordedRequest) -> list[str]:
    content = request.json["messages"][-1]["content"]
    prompt: str = content if isinstance(content, str) else content[0]["text"]
    return prompt.split("/")


def _answer(request: RecordedRequest) -> Answer:
    return Answer(_words(request)[0])


def _fault(request: RecordedRequest) -> Fault | None:
    _, fault, at = _words(request)
    return FAULTS[fault](int(at))


class Life(RuleBasedStateMachine):
    """The rules; how each is carried out is the subclass's."""

    url: ClassVar[str]
    sim: ClassVar[Simulator | None] = None

    streams: Bundle[Told] = Bundle("streams")

    def __init__(self) -> None:
        super().__init__()
        self.opened = 0
        self.told: list[Told] = []
        self.unraisable: list[str] = []
        self._hook = sys.unraisablehook
        sys.unraisablehook = lambda what: self.unraisable.append(
            f"{what.err_msg}: {what.exc_value}"
        )
        self._files = open_files()
        self._threads = threading.active_count()
        self.start()

    # --- how

    @abstractmethod
    def start(self) -> None:
        """Make a client."""

    @abstractmethod
    def finish(self) -> None:
        """Close the client for good; see that nothing of it runs."""

    @abstractmethod
    def generate(self, prompt: str) -> AIModelCallResponse: ...

    @abstractmethod
    def next(self, told: Told) -> bool:
        """Take an item, if there is one more."""

    @abstractmethod
    def disturb(self, told: Told, seconds: float) -> None:
        """Read, and end that from outside."""

    @abstractmethod
    def close_stream(self, told: Told) -> None: ...

    @abstractmethod
    def leave(self, told: Told, *, managed: bool) -> None:
        """Leave a loop over the stream at its first item, if it has one."""

    @abstractmethod
    def close_client(self) -> None: ...

    @abstractmethod
    def warnings_of_drop(self, told: Told) -> tuple[int, int]:
        """How many warnings dropping the stream gives, at least and at most."""

    def drop(self, told: Told) -> int:
        """Drop the stream; how many warnings that gave."""
        gone = weakref.ref(told.stream)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            del told.response
            gc.collect()
        categories = [w.category for w in warned]
        warned.clear()  # they hold what they warn of
        assert gone() is None
        assert set(categories) <= {ResourceWarning}
        return len(categories)

    # --- what

    @rule(
        target=streams,
        words=st.integers(1, 6),
        fault=st.sampled_from(sorted(FAULTS)),
        at=st.integers(0, 4),
    )
    def open(self, words: int, fault: str, at: int) -> Told:
        self.opened += 1
        text = " ".join(f"s{self.opened}w{n}" for n in range(words))
        response = self.generate(f"{text}/{fault}/{at}")
        told = Told(response=response, text=text, fault=fault, at=at)
        self.told.append(told)
        return told

    @rule(told=streams, count=st.integers(1, 4))
    def read(self, told: Told, count: int) -> None:
        for _ in range(count):
            if told.is_silent:
                return
            if not self.next(told):
                if not told.over:
                    told.over = told.read = True
                return

    @rule(told=streams)
    def read_to_the_end(self, told: Told) -> None:
        self.read(told, 1000)

    @rule(told=streams, seconds=st.sampled_from([0.0, 0.001]))
    def cancel_a_read(self, told: Told, seconds: float) -> None:
        if told.runs:
            told.disturbed = True
            self.disturb(told, seconds)

    @rule(told=streams)
    def close(self, told: Told) -> None:
        self.close_stream(told)
        told.over = True

    @rule(told=streams, managed=st.booleans())
    def leave_a_loop(self, told: Told, managed: bool) -> None:
        if not told.is_silent and not told.over:
            self.leave(told, managed=managed)
            told.over = True

    @rule(told=consumes(streams))
    def drop_a_stream(self, told: Told) -> None:
        least, most = self.warnings_of_drop(told)
        self.told.remove(told)
        assert least <= self.drop(told) <= most

    @rule()
    def close_the_client(self) -> None:
        self.close_client()
        for told in self.told:
            told.disturbed = told.disturbed or not told.read
        if self.sim is not None:
            self.sim.wait_closed_sync(2)

    @invariant()
    def nothing_is_lost_and_nothing_comes_twice(self) -> None:
        for told in self.told:
            snapshot = told.response.snapshot()
            assert snapshot.chat_response is not None
            known = snapshot.chat_response.text() or ""
            handed_out = text_of(told.items)
            assert known.startswith(handed_out)
            assert told.text.startswith(known)
            finals = [final for _, final in told.items if final is not None]
            if told.read:
                assert handed_out == known
                assert told.items
                assert (len(finals) == 1) == (told.stream.status.code == "success")
            if finals:
                assert told.is_whole
                assert known == told.text
                assert told.items[-1][1] is finals[0]
            elif told.read:
                assert not told.is_whole or told.disturbed

    @invariant()
    def nothing_fails_unseen(self) -> None:
        assert self.unraisable == []

    def _files_are_closed(self) -> bool:
        for _ in range(100):
            if open_files() <= self._files:
                return True
            if self.sim is not None:  # which may still have to accept, and close, a connection
                self.sim.wait_closed_sync(2)
        return False

    def teardown(self) -> None:
        try:
            for told in list(self.told):
                self.drop_a_stream(told)
            self.close_the_client()
            self.finish()
            gc.collect()
            self.nothing_fails_unseen()
            assert self._files_are_closed()
            assert threading.active_count() <= self._threads
        finally:
            sys.unraisablehook = self._hook


class AsyncLife(Life):
    """The life of an async client, whose event loop runs in a thread."""

    backend: ClassVar[str]

    def start(self) -> None:
        self._context: AbstractContextManager[BlockingPortal]
        self._context = start_blocking_portal(self.backend)
        self._portal = self._context.__enter__()
        self._client = self._do(self._make_client)
        self._tasks = self._do(self._running)

    def _do(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._portal.call(function, *args)

    async def _make_client(self) -> Any:
        return client_of(self.url)

    async def _running(self) -> int:
        return len(anyio.get_running_tasks())

    async def _until_idle(self) -> None:
        with anyio.fail_after(2):
            while await self._running() > self._tasks:
                await anyio.lowlevel.checkpoint()

    def finish(self) -> None:
        self._do(self._until_idle)
        self._context.__exit__(None, None, None)
        del self._client

    def generate(self, prompt: str) -> AIModelCallResponse:
        response: AIModelCallResponse = self._do(self._client.generate_async, prompt)
        return response

    def next(self, told: Told) -> bool:
        return bool(self._do(self._next, told))

    async def _next(self, told: Told) -> bool:
        try:
            item = await anext(told.stream)
        except (StopAsyncIteration, UsageError):
            return False
        told.items.append(item)
        return True

    def disturb(self, told: Told, seconds: float) -> None:
        self._do(self._cancelled, told, seconds)

    async def _cancelled(self, told: Told, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._next(told)

    def close_stream(self, told: Told) -> None:
        self._do(told.stream.aclose)

    def leave(self, told: Told, *, managed: bool) -> None:
        self._do(self._leave_managed if managed else self._leave, told)

    async def _leave(self, told: Told) -> None:
        async for item in told.stream:
            told.items.append(item)
            break

    async def _leave_managed(self, told: Told) -> None:
        async with told.stream:
            await self._leave(told)

    def close_client(self) -> None:
        self._do(self._client.aclose)

    def warnings_of_drop(self, told: Told) -> tuple[int, int]:
        count = int(told.runs)
        return count, count

    def drop(self, told: Told) -> int:
        return int(self._do(self._drop, told))

    async def _drop(self, told: Told) -> int:
        return super().drop(told)


class SyncLife(Life):
    """The life of a sync client."""

    def start(self) -> None:
        self._client = sync_client(self.url)

    def finish(self) -> None:
        del self._client

    def generate(self, prompt: str) -> AIModelCallResponse:
        return self._client.generate(prompt=prompt)

    def next(self, told: Told) -> bool:
        try:
            told.items.append(next(told.stream))
        except (StopIteration, UsageError):
            return False
        return True

    def disturb(self, told: Told, seconds: float) -> None:
        closer = threading.Timer(seconds, told.stream.close)
        closer.start()
        self.next(told)
        closer.join()
        told.over = True

    def close_stream(self, told: Told) -> None:
        told.stream.close()

    def leave(self, told: Told, *, managed: bool) -> None:
        if managed:
            with told.stream:
                self._leave(told)
        else:
            self._leave(told)

    def _leave(self, told: Told) -> None:
        for item in told.stream:
            told.items.append(item)
            break

    def close_client(self) -> None:
        self._client.close()

    def warnings_of_drop(self, told: Told) -> tuple[int, int]:
        if told.over:
            return 0, 0
        # What arrives meanwhile may end it, if that is what will come, or not have come yet.
        stays = told.fault == "silence" and not told.is_whole and not told.disturbed
        return int(stays), 1


class ForkingLife(SyncLife):
    """The life of a sync client whose process forks now and then."""

    @rule()
    def fork(self) -> None:
        child = os.fork()
        if not child:
            os._exit(self._in_child())
        assert os.waitpid(child, 0)[1] == 0

    def _in_child(self) -> int:
        """What a child may do: use the client, and leave the parent's streams alone."""
        try:
            for told in self.told:
                while self.next(told):
                    pass
                self.close_stream(told)
            self.nothing_fails_unseen()
            items = list(self.generate("child/none/0").stream_generator)
            assert text_of(items) == "child"
            self.close_client()
        except BaseException:  # noqa: BLE001  (the child must end here, whatever it is)
            traceback.print_exc()
            return 1
        return 0
