"""The process of one client, which measures what it is told to.

    python -m benchmarks.worker "anthropic/anthropic create"

Each line that it reads is a ``Job``; each is answered with a line. The client is opened once: what
it imports, and its connections, are there before the first job that counts.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from benchmarks.clients import CLIENTS, Client
from benchmarks.places import Report, answering
from benchmarks.replay import Plan, raise_file_limit, text

__all__ = ["Job"]

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Job:
    """What to measure.

    Attributes:
        kind: What each stream sends.
        size: How much of it.
        rate: Events a second.
        streams: How many streams in all.
        at_once: How many of them at a time, each over and over.
        ramp: Seconds over which those begin.
        check: Whether the text is held against what was sent; else it is measured.
    """

    kind: str
    size: int
    rate: int = 0
    streams: int = 1
    at_once: int = 1
    ramp: float = 0.0
    check: bool = False

    @property
    def plan(self) -> Plan:
        """What is sent."""
        return Plan(self.kind, self.size, self.rate)


@dataclass(slots=True)
class _Seen:
    """What was seen of the streams of a job; times in seconds."""

    items: int = 0
    firsts: array[float] = field(default_factory=lambda: array("d"))
    lags: array[float] = field(default_factory=lambda: array("d"))
    texts: list[str] = field(default_factory=list[str])


class _Stream:
    """Looks at the items of one stream.

    Every client pays for the same: a look at each item where times are sent, else at those up to
    the first text.
    """

    def __init__(self, client: Client, job: Job, seen: _Seen) -> None:
        self._texts = client.texts
        self._decodes = client.decodes
        self._job = job
        self._seen = seen
        self._asked = time.perf_counter()
        self._waits = True

    def look(self, item: Any) -> bool:
        """See what is in an item; whether to look at the next one, too."""
        job, seen = self._job, self._seen
        found = [one for one in self._texts(item) if one]
        if self._waits and (found or not self._decodes):
            self._waits = False
            seen.firsts.append(time.perf_counter() - self._asked)
        if job.rate:
            now = time.monotonic()
            seen.lags.extend(now - float(one) for one in found)
        elif job.check:
            seen.texts += found
        return self._waits or job.rate > 0 or job.check


async def _read(client: Client, ask: Any, job: Job, seen: _Seen) -> None:
    stream = _Stream(client, job, seen)
    items, looks = 0, True
    async with ask(job.plan.prompt) as given:
        async for item in given:
            items += 1
            if looks:
                looks = stream.look(item)
    seen.items += items


def _read_sync(client: Client, ask: Any, job: Job, seen: _Seen) -> None:
    stream = _Stream(client, job, seen)
    items, looks = 0, True
    with ask(job.plan.prompt) as given:
        for item in given:
            items += 1
            if looks:
                looks = stream.look(item)
    seen.items += items


async def _read_all(client: Client, ask: Any, job: Job, seen: _Seen) -> None:
    if job.streams == 1:
        await _read(client, ask, job, seen)
        return

    async def some(count: int) -> None:
        for _ in range(count):
            await _read(client, ask, job, seen)

    begun = time.monotonic()
    async with anyio.create_task_group() as group:
        for index in range(job.at_once):
            wait = begun + job.ramp * index / job.at_once - time.monotonic()
            await anyio.sleep(max(0.0, wait))
            group.start_soon(some, job.streams // job.at_once)


def _read_all_sync(client: Client, ask: Any, job: Job, seen: _Seen) -> None:
    for _ in range(job.streams):
        _read_sync(client, ask, job, seen)


# --- measuring


def _memory() -> int:
    """The memory in use, in bytes; where that cannot be told, the most there ever was."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    return _peak_memory()


def _peak_memory() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


class _Measured:
    """What happens inside the block, as the clocks of the process have it."""

    def __init__(self) -> None:
        gc.collect()
        self._memory = _memory()
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def result(self, client: Client, job: Job, seen: _Seen) -> Mapping[str, Any]:
        """What is sent back.

        Raises:
            ValueError: If it is not what was sent.
        """
        cpu = time.process_time() - self._cpu
        wall = time.perf_counter() - self._wall
        _held_against(client, job, seen)
        peak = _peak_memory()
        return {
            "cpu": cpu,
            "wall": wall,
            "first": _percentile(seen.firsts, 50),
            "lag_p50": _percentile(seen.lags, 50),
            "lag_p99": _percentile(seen.lags, 99),
            "peak": peak,
            "growth": max(0, peak - self._memory),
        }


def _held_against(client: Client, job: Job, seen: _Seen) -> None:
    """See that all was handed out."""
    sent = job.size * job.streams if job.kind != "large" else job.streams
    if job.rate and len(seen.lags) != sent:
        raise ValueError(f"{client.name} handed out {len(seen.lags)} of {sent} texts")
    if client.decodes and seen.items < sent:
        raise ValueError(f"{client.name} handed out {seen.items} items of {sent}")
    if client.decodes and job.check and "".join(seen.texts) != text(job.plan):
        raise ValueError(f"{client.name} handed out another text")


def _percentile(values: Sequence[float], percent: int) -> float | None:
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) * percent // 100] if ordered else None


async def measured(client: Client, ask: Any, job: Job) -> Mapping[str, Any]:
    """Do a job."""
    seen, clocks = _Seen(), _Measured()
    await _read_all(client, ask, job, seen)
    return clocks.result(client, job, seen)


def measured_sync(client: Client, ask: Any, job: Job) -> Mapping[str, Any]:
    """Do a job without an event loop."""
    seen, clocks = _Seen(), _Measured()
    _read_all_sync(client, ask, job, seen)
    return clocks.result(client, job, seen)


# --- the process


def _failure(error: BaseException) -> Mapping[str, Any]:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return {"failed": f"{type(error).__name__}: {error}"[:200]}


async def _serve(client: Client, url: str, report: Report) -> None:
    async with client.open(url) as ask:  # type: ignore[union-attr]
        for line in sys.stdin:
            try:
                report(await measured(client, ask, Job(**json.loads(line))))
            except Exception as error:  # noqa: BLE001  (whatever a client raises is the result)
                report(_failure(error))


def _serve_sync(client: Client, url: str, report: Report) -> None:
    with client.open(url) as ask:  # type: ignore[union-attr]
        for line in sys.stdin:
            try:
                report(measured_sync(client, ask, Job(**json.loads(line))))
            except Exception as error:  # noqa: BLE001  (whatever a client raises is the result)
                report(_failure(error))


def main(argv: Sequence[str]) -> int:
    """Answer each line; first say which versions are here."""
    name, url = argv
    client = next(one for one in CLIENTS if one.id == name)
    raise_file_limit()
    with answering(client.packages) as report:
        if report is None:
            return 1
        if client.kind == "sync":
            _serve_sync(client, url, report)
        else:
            anyio.run(_serve, client, url, report, backend=client.kind)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
