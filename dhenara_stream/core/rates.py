"""How fast calls may begin: limits by request and by token. Reads no clock: times come in."""

from __future__ import annotations

import math

__all__ = ["RateLimiter", "TokenEstimate"]

# What was not used for a while may be used at once: so many seconds' worth of it, no more. With a
# minute's worth, a minute could see twice the limit.
BURST_SECONDS = 1.0
# Nobody needs to wait for less: a clock may wake a hair too early.
_MOMENT = 1e-6
# What is taken for granted before the first answer tells more.
_TOKENS_PER_BYTE = 0.25
_OUTPUT_TOKENS = 1000.0


class RateLimiter:
    """Two leaky buckets, one for requests and one for tokens, each smooth.

    In any stretch of time at most the rate's worth is taken and, once, a burst: a second's worth,
    or as much as the largest call takes. A call that takes more than a burst leaves a debt, which
    those after it wait for. Whoever comes first is let through first.

    Args:
        requests_per_minute: The limit on requests; ``None``: there is none.
        tokens_per_minute: The limit on tokens, input and output together.
    """

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self._requests = _Bucket(requests_per_minute, least=1.0)
        self._tokens = _Bucket(tokens_per_minute, least=0.0)

    def wait(self, now: float, tokens: float) -> float:
        """Seconds until a call that takes so many tokens may begin; 0: now."""
        ready = max(self._requests.ready_at(1.0), self._tokens.ready_at(tokens))
        return ready - now if ready - now > _MOMENT else 0.0

    def take(self, now: float, tokens: float) -> None:
        """Note that such a call begins."""
        self._requests.take(now, 1.0)
        self._tokens.take(now, tokens)

    def settle(self, now: float, *, requests: int, more_tokens: float) -> None:
        """Note what a call took in the end: its requests, and how many more tokens than foreseen.

        What it did not take is given back.
        """
        self._requests.take(now, requests - 1.0)
        self._tokens.take(now, more_tokens)


class _Bucket:
    """A leaky bucket, by the time at which it was, or will be, empty of what may be taken."""

    def __init__(self, per_minute: float | None, least: float) -> None:
        self._seconds_each = 60.0 / per_minute if per_minute is not None else 0.0
        # In seconds, as all that is in it.
        self._burst = max(BURST_SECONDS, least * self._seconds_each)
        self._empty_at = -math.inf

    def ready_at(self, count: float) -> float:
        return self._empty_at + min(count * self._seconds_each, self._burst)

    def take(self, now: float, count: float) -> None:
        self._empty_at = max(self._empty_at, now - self._burst) + count * self._seconds_each


class TokenEstimate:
    """How many tokens a call will take: what those before it took, by the size of the request.

    Args:
        max_output_tokens: What an answer may take; counts until the first one tells more.
    """

    def __init__(self, max_output_tokens: int | None = None) -> None:
        self._output = float(max_output_tokens or _OUTPUT_TOKENS)
        self._calls = self._bytes = self._input_tokens = self._output_tokens = 0

    @property
    def is_a_guess(self) -> bool:
        """Whether no answer has told more yet."""
        return not self._calls

    def of(self, size: int) -> float:
        """Tokens of a call whose request has so many bytes, its answer included."""
        if self.is_a_guess:
            return size * _TOKENS_PER_BYTE + self._output
        return size * self._input_tokens / self._bytes + self._output_tokens / self._calls

    def learn(self, size: int, input_tokens: int, output_tokens: int) -> None:
        """Note what a call took."""
        self._calls += 1
        self._bytes += size
        self._input_tokens += input_tokens
        self._output_tokens += output_tokens
