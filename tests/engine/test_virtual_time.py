"""Waits and clocks to the millisecond, and minutes long, on event loops with a clock of their own.

reliability.md, section 4, rows 10, 14, 34 and 35.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import httpx
import pytest
from engine import virtual
from engine.support import (
    END,
    HELLO,
    START,
    STOP,
    WHOLE,
    client_of,
    error_of,
    error_type,
    is_complete,
    read,
    sse,
    text_of,
)

from dhenara_stream.engine import stream
from dhenara_stream.types import ChunkGaps

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
TOO_MANY = '{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}'
OURS = 0.75
"""What the wait is where the provider's word cannot be read: all of ``retry_delay``."""


def date(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


class StoppedDatetime(datetime):
    """The wall's clock, which stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return NOW.astimezone(tz)


@pytest.fixture(autouse=True)
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall's clock stands still, and no wait is drawn by lot."""
    monkeypatch.setattr(stream, "datetime", StoppedDatetime)
    monkeypatch.setattr("random.uniform", lambda low, high: high)


class Service:
    """Answers from memory, and notes when it was asked."""

    def __init__(self, *replies: httpx.Response) -> None:
        self._replies = iter(replies)
        self.asked: list[float] = []

    def __call__(self, _: httpx.Request) -> httpx.Response:
        self.asked.append(anyio.current_time())
        return next(self._replies)

    async def call(self, **settings: Any) -> list[Any]:
        config: dict[str, Any] = {"timeout": None, "retry_delay": OURS, **settings}
        async with httpx.AsyncClient(transport=httpx.MockTransport(self)) as own:
            client = client_of("https://llm.example", http_client=own, **config)
            return await read(await client.generate_async(prompt="Hi"))


def refusal(headers: dict[str, str]) -> httpx.Response:
    return httpx.Response(429, headers=headers, content=TOO_MANY)


# --- the provider's word ----------------------------------------------------------------------

WAITS = {
    "0": ({"retry-after": "0"}, 0.0),
    "1": ({"retry-after": "1"}, 1.0),
    "1.5": ({"retry-after": "1.5"}, 1.5),
    "milliseconds": ({"retry-after-ms": "250"}, 0.25),
    "milliseconds before seconds": ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
    "a date": ({"retry-after": date(7)}, 7.0),
    "a date that has passed": ({"retry-after": date(-3600)}, 0.0),
    "60": ({"retry-after": "60"}, 60.0),
    "milliseconds of a minute": ({"retry-after-ms": "60000"}, 60.0),
    "garbage": ({"retry-after": "soon"}, OURS),
    "negative": ({"retry-after": "-1"}, OURS),
    "nothing": ({}, OURS),
}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("headers", "seconds"), WAITS.values(), ids=WAITS)
def test_the_next_attempt_is_made_exactly_when_the_provider_says(
    backend: str, headers: dict[str, str], seconds: float
) -> None:
    async def main() -> None:
        service = Service(refusal(headers), refusal(headers), httpx.Response(200, content=WHOLE))
        assert is_complete(await service.call(retries=3))
        first, second, third = service.asked
        assert second - first == pytest.approx(seconds, abs=1e-3)
        doubled = seconds * 2 if seconds == OURS else seconds
        # Calls that were told to wait go out one after the other: a moment may come on top.
        assert third - second == pytest.approx(doubled, abs=0.05)

    virtual.run(backend, main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "61"}, 61.0),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": date(61)}, 61.0),
        ({"retry-after-ms": "60001"}, 60.001),
    ],
    ids=["61", "86400", "a date", "milliseconds"],
)
def test_more_than_a_minute_is_the_callers_to_decide(
    backend: str, headers: dict[str, str], seconds: float
) -> None:
    async def main() -> None:
        begun = anyio.current_time()
        service = Service(refusal(headers))
        error = error_of(await service.call())
        assert anyio.current_time() == begun
        assert error["retry_after"] == pytest.approx(seconds)
        assert error["error_type"] == "RateLimitError"
        assert service.asked == [begun]

    virtual.run(backend, main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_wait_that_ends_after_the_deadline_is_not_begun(backend: str) -> None:
    async def main() -> None:
        for seconds, attempts in ((29, 2), (31, 1)):
            begun = anyio.current_time()
            replies = [refusal({"retry-after": str(seconds)}) for _ in range(3)]
            service = Service(*replies)
            assert error_type(await service.call(timeout=30.0)) == "RateLimitError"
            assert len(service.asked) == attempts
            assert anyio.current_time() - begun == pytest.approx(29 * (attempts - 1), abs=1e-3)

    virtual.run(backend, main)


# --- the wait of many -------------------------------------------------------------------------

CALLS = 100


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_calls_that_were_told_to_wait_do_not_come_back_all_at_once(backend: str) -> None:
    async def main() -> None:
        asked: list[float] = []
        all_are_under_way = anyio.Event()

        async def service(_: httpx.Request) -> httpx.Response:
            asked.append(anyio.current_time())
            if len(asked) > CALLS:
                return httpx.Response(200, content=WHOLE)
            if len(asked) == CALLS:
                all_are_under_way.set()
            await all_are_under_way.wait()
            return refusal({"retry-after": "0.2"})

        async def call() -> None:
            response = await client.generate_async(prompt="Hi")
            assert is_complete(await read(response))

        async with httpx.AsyncClient(transport=httpx.MockTransport(service)) as own:
            client = client_of("https://llm.example", http_client=own, timeout=None)
            async with anyio.create_task_group() as tasks:
                for _ in range(CALLS):
                    tasks.start_soon(call)
        refused, answered = asked[:CALLS], asked[CALLS:]
        assert len(answered) == CALLS
        assert min(answered) >= max(refused) + 0.2
        first = [time for time in answered if time < min(answered) + 0.1 - 1e-6]
        assert 1 < len(first) <= 10

    virtual.run(backend, main)


# --- minutes ----------------------------------------------------------------------------------


class Dripping(httpx.AsyncByteStream):
    """A body that begins at once, then gets the same bytes again and again."""

    def __init__(self, begin: bytes, drip: bytes, interval: float) -> None:
        self._begin: list[bytes] = [begin]
        self._drip = drip
        self._interval = interval
        self.drips = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._begin:
            return self._begin.pop()
        await anyio.sleep(self._interval)
        self.drips += 1
        return self._drip


PING = b": ping\n\n"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("drip", "interval", "settings", "error", "after"),
    [
        (PING, 0.25, {"timeout": 600.0}, "DeadlineExceeded", 600.0),
        (PING, 0.25, {"content_idle_timeout": 90.0}, "ContentIdleTimeout", 90.0),
        (PING, 119.0, {"timeout": 3600.0}, "DeadlineExceeded", 3600.0),
        (PING, 121.0, {"timeout": 3600.0}, "IdleTimeout", 120.0),
        (b"x", 1.0, {"timeout": 1800.0}, "DeadlineExceeded", 1800.0),
    ],
    ids=[
        "ten minutes of pings",
        "pings are no content",
        "an hour of rare pings",
        "too rare",
        "a byte a second",
    ],
)
def test_minutes_without_content(
    backend: str,
    drip: bytes,
    interval: float,
    settings: dict[str, float],
    error: str,
    after: float,
) -> None:
    async def main() -> None:
        begun = anyio.current_time()
        body = Dripping(sse(START, HELLO), drip, interval)
        items = await Service(httpx.Response(200, stream=body)).call(**settings)
        assert anyio.current_time() - begun == pytest.approx(after, abs=0.25)
        assert error_type(items) == error
        assert text_of(items) == "Hello"
        assert body.drips == pytest.approx(after // interval, abs=1)

    virtual.run(backend, main)


# --- what is told of it -----------------------------------------------------------------------


class Timed(httpx.AsyncByteStream):
    """A body in pieces, each after so many seconds."""

    def __init__(self, *pieces: tuple[float, bytes]) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for seconds, piece in self._pieces:
            await anyio.sleep(seconds)
            return piece
        raise StopAsyncIteration


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_waits_between_pieces_of_content_are_told_as_their_bytes_arrive(backend: str) -> None:
    async def main() -> None:
        body = Timed(
            (1.0, sse(START)),
            (2.0, sse(HELLO, HELLO)),  # together: no wait between them
            (4.0, PING),
            (4.0, sse(HELLO)),
            (0.5, sse(HELLO)),
            (0.25, sse(END, STOP)),
        )
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=body))
        ) as own:
            client = client_of("https://llm.example", http_client=own, timeout=None)
            items = await read(await client.generate_async(prompt="Hi"))
        timing = items[-1][1].status.timing
        assert timing.first_event == pytest.approx(1.0)
        assert timing.first_content == timing.first_answer == pytest.approx(3.0)
        gaps = timing.chunk_gaps
        assert gaps.count == 2
        assert gaps.longest == pytest.approx(8.0)
        assert gaps.total == pytest.approx(8.5)
        assert gaps.mean == pytest.approx(4.25)

    virtual.run(backend, main)


def test_where_there_was_no_wait_the_mean_is_none() -> None:
    assert ChunkGaps().mean == 0.0
