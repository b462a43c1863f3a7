"""Streams without end under random faults: does memory grow, does anything stay open?

    python benchmarks/soak.py [--seconds 120] [--concurrency 50] [--backend trio] [--seed 1]

A simulator in a process of its own answers; of its answers a third break in some way. This
process reads them with one client: most to the end, some it leaves, cancels or closes in the
middle, some it calls from threads. Each stream has to end in one of the ways that the contract
knows, with the text that was sent, as far as it came. Descriptors and threads have to be back
where they were at the end, and memory has to stay where it was after the first quarter.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from dhenara_stream import AIModelClient
from dhenara_stream.simulator import (
    Answer,
    CleanCut,
    ContentType,
    Drop,
    ErrorEvent,
    Fault,
    Malformed,
    OnlyPings,
    OpenEnd,
    RecordedRequest,
    Reset,
    Respond,
    Silence,
    Simulator,
    TornChunk,
)
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45
from dhenara_stream.types.shared import SSEErrorResponse

WORDS = " ".join(f"word{n}" for n in range(60))
PIECES = 60
FAULTY = 1 / 3
ALLOWED_GROWTH = 8.0  # MiB, from the first quarter to the end: what allocators leave lying
INTERVALS = 12


# --- the server


def serve(ready: Connection, seed: int) -> None:
    """Answer until this process is ended."""
    chance = random.Random(seed)

    def fault(_request: RecordedRequest) -> Fault | None:
        return _any_fault(chance) if chance.random() < FAULTY else None

    with Simulator(Answer(WORDS), faults=fault, max_recorded=0) as sim:
        ready.send(sim.url)
        threading.Event().wait()


def _any_fault(chance: random.Random) -> Fault:
    after = chance.randrange(PIECES + 1)
    return chance.choice(
        [
            CleanCut(deltas=after),
            ContentType(None),
            Drop(),
            Drop(deltas=after),
            ErrorEvent(deltas=after),
            Malformed(deltas=after),
            OnlyPings(deltas=after, interval=0.02),
            OpenEnd(),
            Reset(),
            Reset(deltas=after),
            Respond(429, retry_after=0.01),
            Respond(500),
            Respond(200, body="<html>Sign in</html>"),
            Silence(deltas=after),
            TornChunk(deltas=after),
        ]
    )


@contextmanager
def server(seed: int) -> Iterator[str]:
    """The simulator's address, while it runs."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, seed), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


# --- the client


@dataclass
class Tally:
    """What became of the streams."""

    ends: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])

    def count(self, end: str, text: str, *, whole: bool) -> None:
        """Take the end of a stream, and the text that it handed out."""
        self.ends[end] += 1
        if not WORDS.startswith(text) or (whole and text != WORDS):
            self.wrong.append(f"{end} with {text[-40:]!r}")


def client(url: str, *, is_async: bool) -> AIModelClient:
    """A client that is quick to give up."""
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC, api_key="sk-soak-0123", config={"base_url": url}
    )
    config = AIModelCallConfig(
        streaming=True,
        retry_delay=0.01,
        first_event_timeout=1.0,
        idle_timeout=0.5,
        content_idle_timeout=0.5,
        timeout=20.0,
    )
    endpoint = AIModelEndpoint(api=api, ai_model=ClaudeHaiku45)
    return AIModelClient(endpoint, config, is_async=is_async)


class Soak:
    """Streams until the time is over."""

    def __init__(self, url: str, seconds: float, seed: int) -> None:
        self.tally = Tally()
        self._asynchronous = client(url, is_async=True)
        self._synchronous = client(url, is_async=False)
        self._seconds = seconds
        self._chance = random.Random(seed + 1)

    async def run(self, concurrency: int) -> list[float]:
        """Stream; the resident memory after each interval, in MiB."""
        memory: list[float] = []
        async with self._asynchronous, anyio.create_task_group() as tasks:
            for _ in range(concurrency):
                tasks.start_soon(self._worker)
            for _ in range(INTERVALS):
                await anyio.sleep(self._seconds / INTERVALS)
                gc.collect()
                memory.append(resident())
                self._tell(memory[-1])
            tasks.cancel_scope.cancel()
        self._synchronous.close()
        return memory

    def _tell(self, memory: float) -> None:
        streams = sum(self.tally.ends.values())
        print(
            f"{streams:9,} streams  {memory:7.1f} MiB  {descriptors():5} descriptors  "
            f"{threading.active_count():3} threads",
            flush=True,
        )

    async def _worker(self) -> None:
        while True:
            way = self._chance.random()
            if way < 0.05:
                await anyio.to_thread.run_sync(self._in_a_thread, abandon_on_cancel=False)
            elif way < 0.15:
                with anyio.move_on_after(self._chance.random() * 0.05) as scope:
                    await self._stream(None)
                if scope.cancelled_caught:
                    self.tally.count("cancelled", "", whole=False)
            else:
                await self._stream(self._chance.randrange(PIECES) if way < 0.25 else None)

    async def _stream(self, leave_after: int | None) -> None:
        response = await self._asynchronous.generate_async(prompt="go")
        texts: list[str] = []
        last: Any = None
        async with response.stream_generator as stream:
            async for last in stream:
                texts.append(text_of(last))
                if len(texts) == leave_after:
                    break
        self._count(last, "".join(texts))

    def _in_a_thread(self) -> None:
        texts: list[str] = []
        last: Any = None
        for last in self._synchronous.generate(prompt="go").stream_generator:
            texts.append(text_of(last))
        self._count(last, "".join(texts))

    def _count(self, last: Any, text: str) -> None:
        chunk, final = last or (None, None)
        if final is not None:
            self.tally.count("complete", text, whole=True)
        elif isinstance(chunk, SSEErrorResponse):
            self.tally.count((chunk.data.details or {})["error_type"], text, whole=False)
        else:
            self.tally.count("left", text, whole=False)


def text_of(item: Any) -> str:
    """The text in an item of a stream."""
    chunk, _final = item
    if chunk is None or isinstance(chunk, SSEErrorResponse):
        return ""
    contents = chunk.data.choice_deltas[0].content_deltas or ()
    return "".join(content.get_text_delta() or "" for content in contents)


# --- what is left


def resident() -> float:
    """The memory of this process that is in use, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def main() -> int:
    """Soak and judge; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--backend", choices=("asyncio", "trio"), default="asyncio")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with server(args.seed) as url:
        anyio.run(anyio.sleep, 0, backend=args.backend)  # what a backend keeps is no leak
        before = descriptors(), threading.active_count()
        soak = Soak(url, args.seconds, args.seed)
        memory = anyio.run(soak.run, args.concurrency, backend=args.backend)
        gc.collect()
        after = descriptors(), threading.active_count()
    for end, count in soak.tally.ends.most_common():
        print(f"{count:9,} {end}")
    growth = memory[-1] - memory[INTERVALS // 4 - 1]
    faults = {
        f"descriptors went from {before[0]} to {after[0]}": after[0] > before[0],
        f"memory grew by {growth:.1f} MiB": growth > ALLOWED_GROWTH,
        f"{len(soak.tally.wrong)} wrong ends, e.g. {soak.tally.wrong[:3]}": bool(soak.tally.wrong),
    }
    found = [text for text, is_so in faults.items() if is_so]
    print(f"memory grew by {growth:.1f} MiB after the first quarter; {before} -> {after}")
    print("\n".join(found) or "nothing is left")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
