"""When a failed request is made again: bounded waits, and the provider's own word before them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhenara_stream.core.retry import (
    MAX_RETRY_AFTER,
    RetryPolicy,
    SharedWait,
    retry_after_seconds,
    should_retry,
)
from dhenara_stream.errors import ConnectError, InvalidRequestError, RateLimitError, ServerError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY = RetryPolicy(retries=5, delay=1.0, max_delay=10.0)


@pytest.fixture
def seeded() -> Iterator[None]:
    """The same random numbers each time; those of other tests are left alone."""
    state = random.getstate()
    random.seed(7)
    yield
    random.setstate(state)


def waits(policy: RetryPolicy, attempt: int, times: int = 500) -> list[float]:
    """Many waits after the same attempt."""
    found = [policy.wait(ServerError("x"), attempt) for _ in range(times)]
    return [wait for wait in found if wait is not None]


# --- the backoff


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize(("attempt", "bound"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0)])
def test_a_wait_is_anywhere_between_nothing_and_a_bound_that_doubles(
    attempt: int, bound: float
) -> None:
    found = waits(POLICY, attempt)
    assert len(found) == 500
    assert all(0 <= wait <= bound for wait in found)
    assert min(found) < 0.05 * bound
    assert max(found) > 0.95 * bound
    assert sum(found) / 500 == pytest.approx(bound / 2, rel=0.1)


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("attempt", [5, 64, 1025, 100_000])
def test_a_wait_is_never_longer_than_the_longest(attempt: int) -> None:
    policy = RetryPolicy(retries=10**6, delay=1.0, max_delay=10.0)
    found = waits(policy, attempt)
    assert 9.5 < max(found) <= 10.0


@given(
    st.integers(1, 10_000),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
)
def test_a_wait_is_within_its_bounds_whatever_they_are(
    attempt: int, delay: float, longest: float
) -> None:
    policy = RetryPolicy(retries=attempt + 1, delay=delay, max_delay=longest)
    wait = policy.wait(ServerError("x"), attempt)
    assert wait is not None
    assert 0 <= wait <= longest


def test_without_a_delay_there_is_no_wait() -> None:
    assert waits(RetryPolicy(retries=2, delay=0, max_delay=10), 1, times=3) == [0, 0, 0]
    assert waits(RetryPolicy(retries=2, delay=1, max_delay=0), 1, times=3) == [0, 0, 0]


# --- whether at all


def test_the_last_attempt_is_the_last() -> None:
    error = ConnectError("x")
    assert RetryPolicy(retries=1, delay=1, max_delay=1).wait(error, 1) is None
    assert POLICY.wait(error, 4) is not None
    assert POLICY.wait(error, 5) is None
    assert POLICY.wait(error, 6) is None


def test_what_will_fail_again_is_not_tried_again() -> None:
    assert POLICY.wait(InvalidRequestError("x"), 1) is None
    assert POLICY.wait(ServerError("x", retryable=False), 1) is None
    assert POLICY.wait(InvalidRequestError("x", retryable=True), 1) is not None


def test_after_content_nothing_is_tried_again() -> None:
    assert POLICY.wait(ServerError("x", content_delivered=True), 1) is None
    assert POLICY.wait(RateLimitError("x", retry_after=1, content_delivered=True), 1) is None


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(0.0, 0.0), (0.25, 0.25), (30.0, 30.0), (60.0, 60.0), (60.001, None), (61.0, None)],
)
def test_the_providers_word_counts_up_to_a_minute(asked: float, wait: float | None) -> None:
    assert MAX_RETRY_AFTER == 60.0
    assert POLICY.wait(RateLimitError("x", retry_after=asked), 1) == wait


def test_the_providers_word_makes_no_error_retryable_and_no_attempt_more() -> None:
    assert POLICY.wait(InvalidRequestError("x", retry_after=1), 1) is None
    assert POLICY.wait(RateLimitError("x", retry_after=1), 5) is None


# --- the headers


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after-ms": "-1", "retry-after": "7"}, 7.0),
        ({"retry-after-ms": "", "retry-after": "7"}, 7.0),
        ({"retry-after": "-7"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:35 GMT"}, 30.0),
        ({"retry-after": "Fri, 02 Jan 2026 04:04:35 +0100"}, 30.0),
        ({"retry-after": "Friday, 02-Jan-26 03:04:35 GMT"}, 30.0),
        ({"retry-after": "Fri Jan  2 03:04:35 2026"}, 30.0),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:35 -0000"}, 30.0),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:05 GMT"}, 0.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 02 Jan 2026 04:04:05 GMT"}, 3600.0),
        ({"retry-after": "Fri, 32 Jan 2026 03:04:05 GMT"}, None),
        ({"retry-after": "Fri, 02 Jan 99999 03:04:05 GMT"}, None),
        ({"retry-after": "Fri, 02 Jan 99999999999999999999 03:04:05 GMT"}, None),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:05 +9999"}, None),
    ],
)
def test_the_wait_that_the_headers_ask_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, NOW) == seconds
    assert retry_after_seconds(httpx.Headers(headers), NOW) == seconds


@given(st.timedeltas(timedelta(days=-1000), timedelta(days=1000)), st.integers(-23, 23))
def test_a_date_in_any_zone_is_the_time_until_it(ahead: timedelta, zone: int) -> None:
    date = (NOW + ahead).replace(microsecond=0).astimezone(timezone(timedelta(hours=zone)))
    seconds = retry_after_seconds({"retry-after": format_datetime(date)}, NOW)
    assert seconds == max((date - NOW).total_seconds(), 0.0)


months = st.sampled_from(["Jan", "Dec", "foo", ""])
dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon", "", "x"]),
    *[st.integers(-1, 40) | st.integers()],
    months,
    st.integers() | st.integers(1900, 2100),
    *[st.integers(-1, 70) | st.text("0123456789:+- ", max_size=3)] * 3,
    st.sampled_from(["GMT", "UTC", "-0000", "+9999", "EST", "x", ""]) | st.text(max_size=5),
)


@given(st.text() | dates, st.none() | st.text() | dates)
def test_garbage_is_no_wait_and_no_error(value: str, milliseconds: str | None) -> None:
    headers = {"retry-after": value}
    if milliseconds is not None:
        headers["retry-after-ms"] = milliseconds
    seconds = retry_after_seconds(headers, NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, None),
        ({"x-should-retry": "true"}, True),
        ({"x-should-retry": "True"}, True),
        ({"x-should-retry": "false"}, False),
        ({"x-should-retry": "maybe"}, None),
        ({"x-should-retry": ""}, None),
    ],
)
def test_what_x_should_retry_says(headers: dict[str, str], told: bool | None) -> None:
    assert should_retry(headers) is told
    assert should_retry(httpx.Headers(headers)) is told


# --- the wait that calls share


def test_nobody_waits_where_nobody_was_told_to() -> None:
    shared = SharedWait()
    assert [shared.turn(at) for at in (0.0, 5.0, 5.0)] == [0.0, 5.0, 5.0]


def test_after_the_wait_calls_go_out_one_after_the_other() -> None:
    shared = SharedWait()
    shared.told(10.0, 2.0)
    turns = [shared.turn(11.0) for _ in range(100)]
    assert turns[0] == 12.0
    assert turns == sorted(set(turns))
    assert sum(turn < 12.1 for turn in turns) <= 10
    assert turns[-1] < 14.0


def test_the_first_that_comes_after_the_wait_goes_at_once() -> None:
    shared = SharedWait()
    shared.told(10.0, 2.0)
    assert shared.turn(12.0) == 12.0
    assert shared.turn(12.5) == 12.5
    assert shared.turn(12.5) > 12.5


def test_the_line_is_over_after_a_second() -> None:
    shared = SharedWait()
    shared.told(10.0, 2.0)
    assert [shared.turn(13.1) for _ in range(3)] == [13.1] * 3
    assert shared.turn(13.0) < shared.turn(13.0)


def test_nobody_overtakes_a_line_that_lasts_longer() -> None:
    shared = SharedWait()
    shared.told(10.0, 2.0)
    last = max(shared.turn(11.0) for _ in range(300))
    assert last > 13.5
    assert shared.turn(13.4) > last


def test_a_line_ends_however_many_come() -> None:
    shared = SharedWait()
    shared.told(0.0, 2.0)
    arrivals = [at / 200 for at in range(10_000)]  # faster than the line goes at first
    turns = [shared.turn(at) for at in arrivals]
    assert turns == sorted(turns)
    assert turns[-1] == arrivals[-1]


def test_a_wait_with_the_same_end_gives_no_turn_a_second_time() -> None:
    shared = SharedWait()
    shared.told(10.0, 2.0)
    first = shared.turn(11.0)
    shared.told(11.0, 1.0)
    assert shared.turn(11.0) > first


def test_the_longest_wait_counts() -> None:
    shared = SharedWait()
    shared.told(10.0, 5.0)
    shared.told(11.0, 1.0)
    assert shared.until == 15.0
    assert shared.turn(11.0) == 15.0
    shared.told(11.0, 9.0)
    assert shared.turn(11.0) == 20.0
