"""Many calls, a few at a time: requests are taken as places become free, results as they come.

Each call is a task of one task group, which lives in the caller's ``async with`` block; on a sync
client, in a task of the background loop. A result that nobody takes holds its place: so neither
requests nor results pile up. What one call says is its result, never an error of the others.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import os
import time
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
    Sized,
)
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import anyio
import anyio.abc
import msgspec

from dhenara_stream.core.rates import RateLimiter, TokenEstimate
from dhenara_stream.errors import ConfigError, DhenaraStreamError, UsageError
from dhenara_stream.types.genai.dhenara.request import AIModelCallRequest, Prompt
from dhenara_stream.types.genai.dhenara.response import (
    AIModelCallResponse,
    AIModelCallResult,
    AIModelCallsProgress,
    ChatResponseStructuredOutputContentItem,
    ExternalApiCallStatus,
    ExternalApiCallStatusEnum,
)
from dhenara_stream.types.shared.secret import Secret

from .results_file import CallKey, ResultsFile
from .sources import CLOSE_TIMEOUT
from .stream import Call, ChatStream
from .translation import client_closed
from .transport import Transport

__all__ = [
    "AsyncManyResults",
    "Job",
    "ManyCalls",
    "ManyOptions",
    "OnProgress",
    "RequestLike",
    "Requests",
    "Signal",
]

RequestLike = str | Mapping[str, Any] | Prompt | AIModelCallRequest
OnProgress = Callable[[AIModelCallsProgress], object]

# Calls begun whose results are not taken yet, for each place: what a slow taker, or one slow call
# where results are wanted in order, holds in memory.
_WINDOW = 4
# The one header that changes answers: Anthropic's preview features (wire.md 2.1).
_BETAS = "anthropic-beta"

_ONCE = "the results of many calls can be read once; call generate_many again"


class ManyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls are made.

    Raises:
        ConfigError: Naming the argument that is wrong.
    """

    concurrency: int
    ordered: bool
    requests_per_minute: float | None
    tokens_per_minute: float | None
    results_file: str | os.PathLike[str] | None
    on_progress: OnProgress | None

    def __post_init__(self) -> None:
        if not _is_count(self.concurrency):
            raise ConfigError(
                f"concurrency: expected a whole number from 1 on, got {self.concurrency!r}"
            )
        for name in ("requests_per_minute", "tokens_per_minute"):
            limit = getattr(self, name)
            if limit is not None and not _is_positive(limit):
                raise ConfigError(f"{name}: expected a number above 0, or None, got {limit!r}")
        if not _is_one_of(self.results_file, str, os.PathLike):
            kind = type(self.results_file).__name__
            raise ConfigError(f"results_file: expected a path, got `{kind}`")
        if not _is_one_of(self.on_progress, Callable):
            kind = type(self.on_progress).__name__
            raise ConfigError(f"on_progress: expected a function, got `{kind}`")
        if inspect.iscoroutinefunction(self.on_progress):
            raise ConfigError("on_progress: expected a plain function, got one with `async def`")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_positive(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value < math.inf


def _is_one_of(value: object, *kinds: Any) -> bool:
    return value is None or isinstance(value, kinds)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One request, ready to be made; or what is wrong with it."""

    index: int
    id: str | None
    key: CallKey
    call: Call | ConfigError


class Requests:
    """Turns what the caller gives into jobs.

    Args:
        given: All that is given; its length is asked for, and names that are there twice.
        build: Makes a call of a request.

    Raises:
        ConfigError: If ``given`` is not many requests, or no call could be made at all.
    """

    def __init__(self, given: object, build: Callable[[AIModelCallRequest], Call]) -> None:
        if isinstance(given, str | bytes | Mapping | Prompt | AIModelCallRequest):
            kind = type(given).__name__  # pyright: ignore[reportUnknownArgumentType]
            raise ConfigError(f"requests: expected many, e.g. a list, got one `{kind}`")
        if not isinstance(given, Iterable | AsyncIterable):
            raise ConfigError(f"requests: expected an iterable, got `{type(given).__name__}`")
        # What is wrong with the place, the model or the config is wrong with every call.
        self.any_call = build(AIModelCallRequest(prompt="Hi"))
        self.total = len(given) if isinstance(given, Sized) else None
        self._build = build
        self._count = 0
        self._ids: set[str] = set()
        if isinstance(given, Sequence):
            for request in cast("Sequence[object]", given):
                self._see_id(_id_of(request))
            self._ids.clear()

    def job(self, given: object) -> Job:
        """The next job.

        Raises:
            ConfigError: If another request has the same name.
        """
        index, id = self._count, _id_of(given)  # noqa: A001  (the field's name)
        self._see_id(id)
        self._count += 1
        fingerprint = b""
        call: Call | ConfigError
        try:
            request = (
                given if isinstance(given, AIModelCallRequest) else AIModelCallRequest(prompt=given)
            )
            call = self._build(request)
            fingerprint = _fingerprint(call)
        except ConfigError as error:
            call = error
        key = CallKey(index if id is None else id, fingerprint)
        return Job(index=index, id=id, key=key, call=call)

    def _see_id(self, id: str | None) -> None:  # noqa: A002  (the field's name)
        if id is not None and id in self._ids:
            raise ConfigError(f"requests: two have the id {id!r}; their results would be confused")
        if id is not None:
            self._ids.add(id)


def _id_of(request: object) -> str | None:
    return request.id if isinstance(request, AIModelCallRequest) else None


def _fingerprint(call: Call) -> bytes:
    """Names all that decides the answer, and none of the credentials."""
    request = call.request
    what = hashlib.blake2b(digest_size=16)
    for part in (
        b"test_mode" if call.config.test_mode else b"",
        call.api_provider.encode(),
        call.model.encode(),
        request.url.encode(),
        Secret(request.headers.get(_BETAS, "")).reveal().encode(),
        request.body,
    ):
        what.update(b"%d:" % len(part) + part)
    return what.digest()


class Signal(Enum):
    """What there is instead of a result."""

    ROOM = "there is a place free for one more request"
    END = "there are no more results"


class ManyCalls:
    """The calls under way and their results; lives in one event loop."""

    def __init__(self, requests: Requests, options: ManyOptions, transport: Transport) -> None:
        self.requests = requests
        self._options = options
        self._transport = transport
        self._closings = transport.closings
        self._config = requests.any_call.config.model_copy(update={"raise_errors": False})
        self._pace: _Pace
        self._tally = _Tally(requests.total)
        self._file: ResultsFile | None = None
        self._is_open = self._is_closed = False
        self._tasks: anyio.abc.TaskGroup
        self._change: anyio.Event | None = None  # made where it is waited for: on the loop
        self._begun = self._taken = 0
        self._no_more = False
        self._error: Exception | None = None
        self._ready: deque[AIModelCallResult] = deque()
        self._ahead: dict[int, AIModelCallResult] = {}  # of those that come before them

    # --- its life

    async def __aenter__(self) -> Self:
        path = self._options.results_file
        if path is not None:
            self._file = await ResultsFile.open(Path(path))
        self._pace = _Pace(self._options, self.requests.any_call)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self.spawn(self._see_closing)
        self._tally.begin()
        self._is_open = True
        self._note_change()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._is_open = False
        self._tasks.cancel_scope.cancel()
        try:
            if isinstance(exc, anyio.get_cancelled_exc_class()):
                return await self._tasks.__aexit__(exc_type, exc, traceback)
            # What the caller raises is no error of the task group's, which would wrap it.
            await self._tasks.__aexit__(None, None, None)
            return None
        finally:
            self._close()

    def _close(self) -> None:
        self._is_closed = True
        self._tally.end()
        if self._file is not None:
            self._file.close()
        self._note_change()

    async def serve(self) -> None:
        """Live until stopped; for those that cannot use ``async with``."""
        try:
            async with self:
                while not self._is_closed:
                    await self._wait_for_change()
        except DhenaraStreamError as error:
            self._fail(error)

    def stop(self) -> None:
        """End what ``serve`` runs."""
        self._is_open = False
        self._is_closed = True
        self._note_change()

    async def _see_closing(self) -> None:
        """Wake those who wait for a turn, or a result, when the client is closed."""
        while not self._is_client_closed:
            await self._transport.sleep(math.inf)
        self._pace.end()
        self._note_change()

    def spawn(self, function: Callable[..., Any], *args: object) -> None:
        """Run something beside the calls."""
        self._tasks.start_soon(function, *args)

    def progress(self) -> AIModelCallsProgress:
        """How far it has come."""
        return self._tally.progress(running=self._running)

    def report(self) -> None:
        """Tell the caller how far it has come, if it wants to know."""
        if self._options.on_progress is not None:
            self._options.on_progress(self.progress())

    # --- requests in

    @property
    def _running(self) -> int:
        return self._begun - self._tally.done

    @property
    def _has_room(self) -> bool:
        window = _WINDOW * self._options.concurrency
        return (
            self._is_open
            and not self._is_over
            and self._running < self._options.concurrency
            and self._begun - self._taken < window
        )

    async def wait_for_room(self) -> None:
        """Wait until one more request may be given."""
        while not self._has_room:
            await self._wait_for_change()

    def give(self, request: object) -> None:
        """Make a request.

        Raises:
            ConfigError: If another one has the same name.
        """
        self.start(self.requests.job(request))

    def start(self, job: Job) -> None:
        """Start a job, unless the client was closed while the request was waited for."""
        if self._is_client_closed:
            return
        self._begun += 1
        self._tasks.start_soon(self._work, job)

    def end(self, error: Exception | None = None) -> None:
        """Take note that there are no more requests; ``error`` is raised after the last result."""
        self._no_more = True
        self._error = self._error or error
        self._note_change()

    @property
    def _is_over(self) -> bool:
        """Whether no more requests are made."""
        return self._no_more or self._is_client_closed

    @property
    def _is_client_closed(self) -> bool:
        return self._transport.closings != self._closings

    # --- results out

    async def next(self, *, or_room: bool = False) -> AIModelCallResult | Signal:
        """The next result, or ``END``; with ``or_room``, a free place comes first.

        Raises:
            Exception: What kept the requests from coming, after the last result.
            DhenaraStreamError: If the results file, or the client, fails.
        """
        while True:
            if or_room and self._has_room:
                return Signal.ROOM
            if self._ready:
                self._taken += 1
                self._note_change()
                return self._ready.popleft()
            if self._is_closed or (self._is_over and not self._running):
                return self._end()
            await self._wait_for_change()

    async def advance(self, given: Job | Signal | Exception | None) -> AIModelCallResult | Signal:
        """Take a job, ``END`` or what the caller's requests failed with; then as ``next``.

        After a job a result comes before a free place: requests may come slowly.
        """
        if isinstance(given, Job):
            self.start(given)
        elif given is not None:
            self.end(given if isinstance(given, Exception) else None)
        return await self.next(or_room=not (isinstance(given, Job) and self._ready))

    def _end(self) -> Signal:
        error, self._error = self._error, None
        if error is not None:
            raise error
        if not self._no_more and not self._is_closed:
            raise client_closed("all requests were made")
        return Signal.END

    def _fail(self, error: DhenaraStreamError) -> None:
        """End it all at once: what comes could not be kept."""
        if self._is_closed:
            return
        self._ready.clear()
        self._is_open, self._is_closed, self._error = False, True, error
        self._note_change()

    async def _wait_for_change(self) -> None:
        self._change = self._change or anyio.Event()
        await self._change.wait()

    def _note_change(self) -> None:
        if self._change is not None:
            self._change.set()
            self._change = None

    # --- one call

    async def _work(self, job: Job) -> None:
        try:
            result = await self._result(job)
        except DhenaraStreamError as error:  # the file's; a call's own is in its result
            self._fail(error)
            return
        if self._is_closed:  # another one could not be kept, so nothing is handed out any more
            return
        self._tally.add(result)
        if self._options.ordered:
            self._ahead[result.index] = result
            while (following := self._taken + len(self._ready)) in self._ahead:
                self._ready.append(self._ahead.pop(following))
        else:
            self._ready.append(result)
        self._note_change()

    async def _result(self, job: Job) -> AIModelCallResult:
        response = await self._file.finished(job.key) if self._file else None
        if response is not None:
            self._restore(response)
            return AIModelCallResult(index=job.index, id=job.id, response=response, from_file=True)
        response, error = await self._answer(job.call)
        if self._file is not None:
            await self._file.add(job.key, job.index, response)
        return AIModelCallResult(index=job.index, id=job.id, response=response, error=error)

    async def _answer(
        self, call: Call | ConfigError
    ) -> tuple[AIModelCallResponse, DhenaraStreamError | None]:
        if isinstance(call, ConfigError):
            return self._not_sent(call), call
        charge = await self._pace.wait_for_turn(len(call.request.body))
        call = msgspec.structs.replace(call, config=self._config)
        stream = ChatStream(call, self._transport, closings=self._closings)
        response = await stream.collect()
        self._pace.settle(charge, response)
        return response, stream.error

    def _not_sent(self, error: ConfigError) -> AIModelCallResponse:
        call = self.requests.any_call
        status = ExternalApiCallStatus(
            status=ExternalApiCallStatusEnum.REQUEST_NOT_SEND,
            api_provider=call.api_provider,
            model=call.model,
            message=error.message,
            code=type(error).__name__,
        )
        return AIModelCallResponse(status=status)

    def _restore(self, response: AIModelCallResponse) -> None:
        """Give a structured output its class again, which no file holds."""
        config = self._config.output_config
        for choice in response.chat_response.choices if response.chat_response else ():
            for item in choice.contents or ():
                if isinstance(item, ChatResponseStructuredOutputContentItem) and config:
                    item.structured_output.config = config


class _Charge(msgspec.Struct, eq=False):
    """What a call under way is expected to take."""

    size: int
    tokens: float


class _Pace:
    """Lets calls begin one after the other, as the rate limits allow."""

    def __init__(self, options: ManyOptions, any_call: Call) -> None:
        limits = options.requests_per_minute, options.tokens_per_minute
        self._limiter = RateLimiter(*limits)
        self._estimate = TokenEstimate(any_call.config.max_output_tokens)
        self._line = anyio.Lock()
        self._settled = anyio.Event()
        self._charges: set[_Charge] = set()
        self._has_ended = False

    async def wait_for_turn(self, size: int) -> _Charge:
        """Wait until a call whose request has so many bytes may begin, or the pace has ended."""
        charge = _Charge(size, 0.0)
        async with self._line:
            while not self._has_ended:
                charge.tokens = self._estimate.of(size)
                seconds = self._limiter.wait(anyio.current_time(), charge.tokens)
                if not seconds:
                    break
                with anyio.move_on_after(seconds):
                    await self._settled.wait()
            self._limiter.take(anyio.current_time(), charge.tokens)
        self._charges.add(charge)
        return charge

    def settle(self, charge: _Charge, response: AIModelCallResponse) -> None:
        """Note what a call took in the end."""
        now = anyio.current_time()
        self._charges.remove(charge)
        status, answer = response.status, response.chat_response
        attempts = status.timing.attempts if status and status.timing else 1
        usage = answer.usage if answer else None
        took = charge.tokens if answer else 0.0  # where the provider did not tell
        if usage and usage.prompt_tokens is not None and usage.completion_tokens is not None:
            took = usage.prompt_tokens + usage.completion_tokens
            if status and status.successful:
                was_a_guess = self._estimate.is_a_guess
                self._estimate.learn(charge.size, usage.prompt_tokens, usage.completion_tokens)
                if was_a_guess:
                    self._charge_anew(now)
        self._limiter.settle(now, requests=attempts, more_tokens=took - charge.tokens)
        self._wake()

    def _charge_anew(self, now: float) -> None:
        """Correct what the other calls under way are expected to take."""
        for charge in self._charges:
            before, charge.tokens = charge.tokens, self._estimate.of(charge.size)
            self._limiter.settle(now, requests=1, more_tokens=charge.tokens - before)

    def end(self) -> None:
        """Let all go on that wait: the client was closed, so they will not be sent."""
        self._has_ended = True
        self._wake()

    def _wake(self) -> None:
        self._settled.set()
        self._settled = anyio.Event()


class _Tally:
    """Counts how the calls went."""

    def __init__(self, total: int | None) -> None:
        self._total = total
        self.done = self._failed = self._from_file = 0
        self._prompt_tokens = self._completion_tokens = 0
        self._cost: float | None = None
        self._begun: float | None = None
        self._ended: float | None = None

    def begin(self) -> None:
        self._begun = time.monotonic()

    def end(self) -> None:
        self._ended = time.monotonic()

    def add(self, result: AIModelCallResult) -> None:
        self.done += 1
        self._failed += result.error is not None
        self._from_file += result.from_file
        answer = result.response.chat_response
        if result.from_file or answer is None:
            return
        if answer.usage is not None:
            self._prompt_tokens += answer.usage.prompt_tokens or 0
            self._completion_tokens += answer.usage.completion_tokens or 0
        if answer.usage_charge is not None:
            self._cost = (self._cost or 0.0) + answer.usage_charge.cost

    def progress(self, *, running: int) -> AIModelCallsProgress:
        now = self._ended if self._ended is not None else time.monotonic()
        return AIModelCallsProgress(
            total=self._total,
            done=self.done,
            failed=self._failed,
            from_file=self._from_file,
            running=running,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            cost=self._cost,
            elapsed_seconds=now - self._begun if self._begun is not None else 0.0,
        )


class AsyncManyResults:
    """The results of many calls of an async client, as they come.

    ::

        async with client.generate_many_async(prompts) as results:
            async for result in results:
                ...

    The block's end cancels what still runs. Several tasks may read them at once.
    """

    def __init__(
        self,
        given: Iterable[RequestLike] | AsyncIterable[RequestLike],
        calls: ManyCalls,
    ) -> None:
        self._given = given
        self._calls = calls
        self._state = "new"

    @property
    def progress(self) -> AIModelCallsProgress:
        """How far it has come."""
        return self._calls.progress()

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise UsageError(_ONCE)
        self._state = "open"
        await self._calls.__aenter__()
        self._calls.spawn(self._feed)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._state = "closed"
        return await self._calls.__aexit__(exc_type, exc, traceback)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AIModelCallResult:
        if self._state == "new":
            raise UsageError("use `async with client.generate_many_async(...) as results`")
        if self._state == "closed":
            raise UsageError(_ONCE)
        found = await self._calls.next()
        if isinstance(found, Signal):
            raise StopAsyncIteration
        self._calls.report()
        return found

    async def _feed(self) -> None:
        error: Exception | None = None
        try:
            await self._pull()
        except Exception as raised:  # noqa: BLE001  (the caller's own: raised after the results)
            error = raised
        self._calls.end(error)

    async def _pull(self) -> None:
        given, calls = self._given, self._calls
        await calls.wait_for_room()
        if not isinstance(given, AsyncIterable):
            for request in given:
                calls.give(request)
                await calls.wait_for_room()
            return
        try:
            async for request in given:
                calls.give(request)
                await calls.wait_for_room()
        finally:
            if isinstance(given, AsyncGenerator):
                with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                    await given.aclose()
