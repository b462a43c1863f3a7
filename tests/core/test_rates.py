"""Limits by request and by token: smooth, never exceeded by more than a burst, never idle."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhenara_stream.core.rates import BURST_SECONDS, RateLimiter, TokenEstimate

TINY = 1e-5


def begin(limiter: RateLimiter, now: float, tokens: float) -> float:
    """When a call begins that comes now."""
    now += limiter.wait(now, tokens)
    assert limiter.wait(now, tokens) == 0
    limiter.take(now, tokens)
    return now


def starts(limiter: RateLimiter, count: int, tokens: float = 0.0) -> list[float]:
    """When calls begin that all come at once."""
    found = [begin(limiter, 0.0, tokens)]
    while len(found) < count:
        found.append(begin(limiter, found[-1], tokens))
    return found


# --- one limit


def test_without_limits_nobody_waits() -> None:
    assert starts(RateLimiter(None, None), 1000, tokens=1e9) == [0.0] * 1000


def test_slow_requests_begin_evenly() -> None:
    assert starts(RateLimiter(6, None), 4) == pytest.approx([0, 10, 20, 30])


def test_fast_requests_begin_evenly_after_a_second_s_worth() -> None:
    found = starts(RateLimiter(600, None), 30)
    assert found[:10] == [0.0] * 10
    assert found[10:] == pytest.approx([0.1 * n for n in range(1, 21)])


def test_a_minute_of_silence_allows_no_more_than_a_second_s_worth_at_once() -> None:
    limiter = RateLimiter(600, None)
    starts(limiter, 30)
    late = [begin(limiter, 100.0, 0.0) for _ in range(10)]
    assert late == [100.0] * 10
    assert limiter.wait(100.0, 0.0) == pytest.approx(0.1)


def test_a_call_of_more_tokens_than_a_burst_goes_and_the_next_one_waits_for_it() -> None:
    found = starts(RateLimiter(None, 6000), 3, tokens=1000)  # 100 a second
    assert found == pytest.approx([0.0, 10.0, 20.0])


def test_of_slow_tokens_too_no_more_than_a_second_s_worth_goes_at_once() -> None:
    assert starts(RateLimiter(None, 6), 3, tokens=0.5) == pytest.approx([0, 5, 10])


def test_nobody_waits_for_a_millionth_of_a_second() -> None:
    limiter = RateLimiter(None, 60)
    limiter.take(0.0, 1.0)
    assert limiter.wait(0.0, 1e-6) == 0
    assert limiter.wait(0.0, 2e-6) == pytest.approx(2e-6)


# --- what a call took in the end


def test_what_a_call_did_not_take_is_given_back() -> None:
    limiter = RateLimiter(None, 6000)
    begin(limiter, 0.0, 1000)
    limiter.settle(1.0, requests=1, more_tokens=-1000)
    assert limiter.wait(1.0, 1000) == 0


def test_what_is_given_back_is_no_more_than_a_burst() -> None:
    limiter = RateLimiter(None, 6000)
    limiter.settle(0.0, requests=1, more_tokens=-1e6)
    assert begin(limiter, 0.0, 100) == 0
    assert limiter.wait(0.0, 100) == pytest.approx(1.0)


def test_what_a_call_took_on_top_is_waited_for() -> None:
    limiter = RateLimiter(60, 6000)
    begin(limiter, 0.0, 100)
    limiter.settle(0.0, requests=1, more_tokens=500)
    assert limiter.wait(0.0, 100) == pytest.approx(6.0)


@pytest.mark.parametrize(("requests", "wait"), [(0, 0.0), (1, 1.0), (3, 3.0)])
def test_every_attempt_is_a_request(requests: int, wait: float) -> None:
    limiter = RateLimiter(60, None)
    begin(limiter, 0.0, 0)
    limiter.settle(0.0, requests=requests, more_tokens=0)
    assert limiter.wait(0.0, 0) == pytest.approx(wait)


# --- whatever comes, whenever


Calls = list[tuple[float, float]]
CALLS = st.lists(st.tuples(st.floats(0, 30), st.floats(0, 2000)), min_size=1, max_size=60)
RATES = st.one_of(st.none(), st.floats(1, 10_000))


def begun(limiter: RateLimiter, calls: Calls) -> list[tuple[float, float]]:
    """When calls begin that come some time after the one before, and how many tokens they take."""
    found: list[tuple[float, float]] = []
    now = 0.0
    for pause, tokens in calls:
        now = begin(limiter, now + pause, tokens)
        found.append((now, tokens))
    return found


def check_rate(taken: Sequence[tuple[float, float]], per_minute: float, burst: float) -> None:
    """In no stretch of time more is taken than the rate allows, and a burst."""
    for first in range(len(taken)):
        total = 0.0
        for now, count in taken[first:]:
            total += count
            allowed = (now - taken[first][0] + TINY) * per_minute / 60 + burst
            assert total <= allowed * (1 + 1e-9)


@given(RATES, RATES, CALLS)
def test_in_no_stretch_of_time_more_begins_than_the_limits_and_one_burst(
    requests: float | None, tokens: float | None, calls: Calls
) -> None:
    found = begun(RateLimiter(requests, tokens), calls)
    if requests is not None:
        check_rate([(now, 1.0) for now, _ in found], requests, max(requests / 60, 1.0))
    if tokens is not None:
        largest = max(count for _, count in found)
        check_rate(found, tokens, max(tokens / 60 * BURST_SECONDS, largest))


@given(RATES, RATES, CALLS)
def test_nobody_waits_a_moment_longer_than_the_limits_ask(
    requests: float | None, tokens: float | None, calls: Calls
) -> None:
    limiter = RateLimiter(requests, tokens)
    now = 0.0
    for pause, count in calls:
        now += pause
        wait = limiter.wait(now, count)
        if wait > TINY:
            assert limiter.wait(now + wait - TINY, count) > 0
        now += wait
        assert limiter.wait(now, count) == 0
        limiter.take(now, count)


@given(st.floats(60, 10_000), CALLS)
def test_what_was_really_taken_keeps_the_limit_whatever_was_expected(
    tokens: float, calls: Calls
) -> None:
    limiter = RateLimiter(None, tokens)
    found: list[tuple[float, float]] = []
    now = 0.0
    for pause, count in calls:  # one by one, each expected to take 500
        now = begin(limiter, now + pause, 500)
        limiter.settle(now, requests=1, more_tokens=count - 500)
        found.append((now, count))
    check_rate(found, tokens, max(tokens / 60 * BURST_SECONDS, *(c for _, c in found), 500))


# --- how many tokens


def test_before_the_first_answer_a_token_is_four_bytes_and_an_answer_what_it_may_be() -> None:
    assert TokenEstimate(200).of(400) == 300
    assert TokenEstimate().of(400) == 1100


def test_after_it_calls_are_expected_to_take_what_those_before_took() -> None:
    estimate = TokenEstimate(200)
    assert TokenEstimate(200).is_a_guess
    estimate.learn(100, 10, 50)
    assert not estimate.is_a_guess
    estimate.learn(300, 10, 150)
    assert estimate.of(1000) == pytest.approx(1000 * 20 / 400 + 100)
