"""The results of many calls for code without an event loop.

The calls run on the background event loop. Requests are taken from the caller's iterable in the
caller's own thread, while it waits for a result: it may read a file or a database cursor, and
blocks nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable

from dhenara_stream.errors import ConfigError, UsageError
from dhenara_stream.types.genai.dhenara.response import AIModelCallResult, AIModelCallsProgress

from .many import Job, ManyCalls, RequestLike, Signal
from .stream import LEFT_EARLY
from .sync import Bridge, Guest, Handle

__all__ = ["SyncManyResults"]


class SyncManyResults(Handle[AIModelCallResult]):
    """The results of many calls of a sync client, as they come.

    ::

        with client.generate_many(prompts) as results:
            for result in results:
                ...

    The block's end cancels what still runs; without ``with``, the loop's end does. One thread at a
    time reads them.
    """

    _kind = "results"
    _advice = "with client.generate_many(...)"

    def __init__(
        self,
        given: Iterable[RequestLike],
        calls: ManyCalls,
        bridge: Bridge,
    ) -> None:
        super().__init__()
        self._guest: Guest | None = None
        if not isinstance(given, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                f"requests: a sync client takes no async iterable, as `{type(given).__name__}` is"
            )
        self._given = iter(given)
        self._calls = calls
        self._bridge = bridge

    @property
    def progress(self) -> AIModelCallsProgress:
        """How far it has come."""
        return self._calls.progress()

    def __next__(self) -> AIModelCallResult:
        if self._left_early:
            raise UsageError(LEFT_EARLY)
        found: AIModelCallResult | None = None
        try:
            if not self._finished:
                found = self._next()
        finally:
            if found is None:  # there are no more, or it failed, or Ctrl-C
                self.close()
        if found is None:
            raise StopIteration
        return found

    def _next(self) -> AIModelCallResult | None:
        if self._guest is None:
            self._guest = self._bridge.guest(self._calls.serve, self._calls.stop)
        found = self._guest.ask(self._calls.advance, None)
        while found is Signal.ROOM:
            found = self._guest.ask(self._calls.advance, self._job())
        if isinstance(found, Signal):
            return None
        self._calls.report()
        return found

    def _job(self) -> Job | Signal | Exception:
        try:
            for given in self._given:
                return self._calls.requests.job(given)
        except Exception as error:  # noqa: BLE001  (the caller's own: raised after the results)
            return error
        return Signal.END

    def close(self) -> None:
        """Cancel what still runs. Safe at any time, from any thread."""
        self._finished = True
        if self._guest is not None:
            self._guest.close()

    def _has_more(self) -> bool:
        return True  # as far as anybody knows

    def _runs(self) -> bool:
        return self._guest is not None

    def _stop(self) -> None:
        if self._guest is not None:
            self._guest.stop()
