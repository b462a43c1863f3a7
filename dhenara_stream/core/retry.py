"""Whether a failed request is made again, and when. Reads no clock: times come in."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from dhenara_stream.errors import DhenaraStreamError

__all__ = [
    "MAX_RETRY_AFTER",
    "RetryPolicy",
    "SharedWait",
    "retry_after_seconds",
    "should_retry",
]

# A provider that asks for more than this is believed, and the wait is the caller's to decide.
MAX_RETRY_AFTER = 60.0
# After a shared wait: eight calls in the first 100 ms, then more and more, so that a line ends
# however many come. It is kept for so long at least.
_SPACING = 0.0125
_LINE_SECONDS = 1.0
# Far above any delay, and a float can still hold it.
_MOST_DOUBLINGS = 64


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Full-jitter exponential backoff under the provider's own word.

    Attributes:
        retries: Requests in all.
        delay: Upper bound of the first wait, in seconds; it doubles each time.
        max_delay: Upper bound of any wait, in seconds.
    """

    retries: int
    delay: float
    max_delay: float

    def wait(self, error: DhenaraStreamError, attempt: int) -> float | None:
        """Seconds to wait before attempt ``attempt + 1``; ``None``: do not try again."""
        if attempt >= self.retries or not error.retryable or error.content_delivered:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= MAX_RETRY_AFTER else None
        doubled = self.delay * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS)
        bound = min(doubled, self.max_delay)
        return random.uniform(0, bound)  # noqa: S311  (no secret depends on it)


class SharedWait:
    """The wait that a provider asked one call for, kept by all calls to the same place.

    At its end they go out one after the other, so that they do not meet its limit all at once.

    Attributes:
        until: When it ends, by the clock of the caller.
    """

    def __init__(self) -> None:
        self.until = -math.inf
        self._next = -math.inf

    def told(self, now: float, seconds: float) -> None:
        """Take note that a call was told to wait so many seconds."""
        if now + seconds > self.until:
            self.until = self._next = now + seconds

    def turn(self, now: float) -> float:
        """When one more call may go out; ``now`` where nothing is waited for."""
        if now > max(self.until + _LINE_SECONDS, self._next):
            return now
        turn = max(now, self._next)
        self._next = turn + _SPACING / (1 + turn - self.until)
        return turn


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """The wait that ``retry-after-ms`` or ``retry-after`` (seconds or a date) asks for.

    ``None`` if there is none that can be read; a date in the past is 0.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    # A date without a time zone is GMT, as all dates in HTTP.
    date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return max((date - now).total_seconds(), 0.0)


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else -1.0
    except ValueError:
        return None
    # A negative, infinite or NaN wait is no wait that anybody meant.
    return number if 0 <= number < float("inf") else None


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """What ``x-should-retry`` says; ``None`` if it says nothing."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())
