"""What ``make bench`` measures: the cases, who is in them, and the rounds.

Each client has a process of its own. In a case all clients take turns, round by round, and what
counts is the median of the rounds. Where memory is measured, each run has a fresh process.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.clients import (
    AIOHTTP_FULL,
    AIOHTTP_RAW,
    CLIENTS,
    FLOOR,
    OURS_ASYNC,
    OURS_SYNC,
    OURS_TRIO,
    PATHS,
    RAW,
    TRIO_FLOOR,
    Client,
)
from benchmarks.places import Missing, Place, python_of
from benchmarks.replay import CERTIFICATE
from benchmarks.weight import PACKAGES, weigh
from benchmarks.worker import Job

__all__ = ["Case", "Options", "Row", "cases", "machine", "measure"]

Row = dict[str, Any]

LIMIT = 45.0  # seconds that a run may take
MIB = 2**20
LARGE = 16 * MIB
CHECKED = Job("text", 20, check=True)
CHECK_LIMIT = 60.0  # it imports what the client needs

SDKS = ("anthropic create", "anthropic .stream()", "openai create", "openai .stream()")
OTHERS = ("dhenara-ai", "dhenara-ai sync", "pydantic-ai", "litellm")
OURS = (OURS_ASYNC, OURS_SYNC, OURS_TRIO)
BARE = (RAW, FLOOR, TRIO_FLOOR, AIOHTTP_RAW, AIOHTTP_FULL, "httpx, bytes only")
BY_HAND = "httpx-sse + msgspec"
NO_THREADS = tuple(
    name for name in (*BARE, *OURS, BY_HAND, *SDKS, *OTHERS) if not name.endswith("sync")
)


@dataclass(frozen=True, slots=True)
class Options:
    """How much to measure.

    Attributes:
        events: The length of a burst.
        rounds: How often.
        full: Whether all is measured, with all peers; else what the project's own environment has.
        only: The sections to measure; all if there are none.
    """

    events: int = 20_000
    rounds: int = 3
    full: bool = False
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One comparison.

    Attributes:
        section: The section of the report that it is in.
        name: What is compared there.
        job: What each client does.
        clients: Who does it, of those that speak the dialect.
        dialect: What is spoken.
        secure: Whether over TLS.
        rounds: How often; where memory is told, slow clients once.
        limit: Seconds after which a run is ended.
        fresh: Whether each run has a process of its own, so that memory can be told.
        shares: Whether slow clients have a share of the events, or of the streams, only.
        per: What the CPU is divided by: ``event`` or ``request``.
    """

    section: str
    name: str
    job: Job
    clients: tuple[str, ...]
    dialect: str = "anthropic"
    secure: bool = False
    rounds: int = 1
    limit: float = LIMIT
    fresh: bool = False
    shares: bool = False
    per: str = "event"

    def job_of(self, client: Client) -> Job:
        """What this client does."""
        if not self.shares or client.share == 1.0:
            return self.job
        if self.per == "request":
            streams = max(self.job.at_once, int(self.job.streams * client.share))
            return replace(self.job, streams=streams)
        return replace(self.job, size=max(1, int(self.job.size * client.share)))


# --- the cases


def cases(options: Options) -> list[Case]:
    """All that is measured."""
    makers = (_bursts, _paced, _streams, _requests, _growth)
    found = [case for make in makers for case in make(options)]
    return [case for case in found if not options.only or case.section in options.only]


def _bursts(options: Options) -> Iterator[Case]:
    burst = Job("text", options.events)
    both = {"anthropic": "Anthropic", "openai_chat": "OpenAI chat"}
    for dialect, title in both.items():
        yield Case(
            section="burst",
            name=title,
            job=burst,
            clients=(*BARE, *OURS, BY_HAND, *SDKS, *OTHERS),
            dialect=dialect,
            rounds=options.rounds,
            shares=True,
        )
    if options.full:
        yield Case(
            section="burst",
            name="Anthropic over TLS",
            job=burst,
            clients=(FLOOR, AIOHTTP_FULL, OURS_ASYNC, BY_HAND, "anthropic create"),
            secure=True,
            rounds=options.rounds,
            shares=True,
        )


def _paced(options: Options) -> Iterator[Case]:
    # One second at 400 events/s, unless bursts are short, too.
    paced = Job("text", min(400, max(10, options.events // 50)), rate=400)
    few = (RAW, FLOOR, *OURS, "anthropic create")
    yield Case(
        section="paced",
        name="Anthropic",
        job=paced,
        clients=(*BARE, *OURS, BY_HAND, *SDKS, *OTHERS) if options.full else few,
        rounds=min(2, options.rounds) if options.full else 1,
    )
    if options.full:
        yield Case(
            section="paced",
            name="OpenAI chat",
            job=paced,
            clients=(RAW, FLOOR, *OURS, *SDKS),
            dialect="openai_chat",
            rounds=min(2, options.rounds),
        )


def _streams(options: Options) -> Iterator[Case]:
    def many(count: int, clients: tuple[str, ...], rounds: int, **more: Any) -> Case:
        job = Job("text", 50, rate=20, streams=count, at_once=count, ramp=1.0)
        return Case(
            section="streams",
            job=job,
            clients=clients,
            rounds=rounds,
            fresh=True,
            **{"name": f"{count:,} at 20/s", **more},
        )

    if not options.full:
        yield many(100, (RAW, FLOOR, OURS_ASYNC, OURS_TRIO, "anthropic create"), 1)
        return
    twice = min(2, options.rounds)
    yield many(100, NO_THREADS, 1)
    yield many(1000, NO_THREADS, twice)
    clients = (RAW, FLOOR, OURS_ASYNC, *SDKS)
    yield many(1000, clients, 1, name="1,000 at 20/s, OpenAI chat", dialect="openai_chat")
    yield Case(
        section="streams",
        name="10,000 at 1/s",
        job=Job("text", 10, rate=1, streams=10_000, at_once=10_000, ramp=5.0),
        clients=(RAW, FLOOR, TRIO_FLOOR, AIOHTTP_RAW, AIOHTTP_FULL, OURS_ASYNC, OURS_TRIO),
        limit=2 * LIMIT,
        fresh=True,
    )


def _requests(options: Options) -> Iterator[Case]:
    count = max(100, options.events // 40)
    few = (RAW, FLOOR, OURS_ASYNC, OURS_TRIO, *SDKS)
    for name, streams, at_once in (("one at a time", count, 1), ("100 at a time", 4 * count, 100)):
        yield Case(
            section="requests",
            name=name,
            job=Job("text", 50, streams=streams, at_once=at_once),
            clients=NO_THREADS if options.full else few,
            rounds=min(2, options.rounds) if options.full else 1,
            shares=True,
            per="request",
        )


def _growth(options: Options) -> Iterator[Case]:
    if not options.full:
        return
    lengths = [options.events * n // 20 for n in (1, 10, 30, 100)]
    kinds = (
        ("text", "text", "anthropic", (*SDKS, "dhenara-ai", "pydantic-ai", "litellm")),
        ("tool arguments", "tool", "anthropic", SDKS),
        ("text, OpenAI chat", "text", "openai_chat", SDKS),
    )
    for title, kind, dialect, peers in kinds:
        for length in lengths:
            yield Case(
                section="growth",
                name=f"{title}, {length:,}",
                job=Job(kind, length),
                clients=(FLOOR, *OURS, *peers) if kind == "text" else (FLOOR, OURS_ASYNC, *peers),
                dialect=dialect,
            )
    yield Case(
        section="growth",
        name="one event of 16 MiB",
        job=Job("large", LARGE),
        clients=(FLOOR, AIOHTTP_FULL, *OURS, BY_HAND, "anthropic create"),
        fresh=True,
    )


# --- running


@dataclass(slots=True)
class _Crew:
    """The processes of the clients, by their ids and the schemes they use."""

    urls: Mapping[str, str]
    versions: dict[str, dict[str, str]]
    _places: dict[tuple[str, bool], Place] = field(default_factory=dict[tuple[str, bool], Place])

    def place(self, client: Client, secure: bool) -> Place:
        """A client's process, ready to measure.

        Raises:
            Missing: If it is not installed.
            RuntimeError: If it does not hand out what is sent.
        """
        key = client.id, secure
        if key not in self._places:
            url = self.urls["https" if secure else "http"]
            arguments = ["-m", "benchmarks.worker", client.id, url]
            place = Place(client.place, arguments, {"SSL_CERT_FILE": str(CERTIFICATE)})
            self.versions[client.name] = place.started()
            self._places[key] = place
            said = self.asked(client, secure, CHECKED, CHECK_LIMIT)
            if said is None or "failed" in said:
                self.dismiss(client, secure)
                raise RuntimeError(said["failed"] if said else "no answer")
        return self._places[key]

    def asked(self, client: Client, secure: bool, job: Job, limit: float) -> dict[str, Any] | None:
        """What a client says of a job; ``None`` if it was ended at the limit."""
        place = self.place(client, secure)
        deadline = time.monotonic() + limit
        try:
            place.send(asdict(job))
            said = place.line(deadline)
        except OSError:
            said = None
        if said is None:
            self.dismiss(client, secure)
            if time.monotonic() < deadline:
                return {"failed": "its process ended"}
        return said

    def dismiss(self, client: Client, secure: bool) -> None:
        """End a client's process."""
        place = self._places.pop((client.id, secure), None)
        if place is not None:
            place.close()

    def close(self) -> None:
        """End all."""
        while self._places:
            self._places.popitem()[1].close()


@contextmanager
def _replayed() -> Iterator[Mapping[str, str]]:
    """The addresses of the server, while it runs."""
    place = Place(None, ["-m", "benchmarks.replay"])
    try:
        urls = place.line(time.monotonic() + CHECK_LIMIT)
        assert urls is not None
        yield urls
    finally:
        place.close()


def measure(
    wanted: Iterable[Case],
    options: Options,
    clients: Sequence[Client] = CLIENTS,
    say: Callable[[str], None] = print,
) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """The rows of all cases, and the versions of what was measured, by client."""
    rows: list[Row] = []
    versions: dict[str, dict[str, str]] = {}
    with _replayed() as urls:
        crew = _Crew(urls, versions)
        section = ""
        try:
            for case in wanted:
                if case.section != section:
                    crew.close()
                    section = case.section
                say(f"{case.section}: {case.name}")
                mine = [c for c in clients if c.dialect == case.dialect and c.name in case.clients]
                if not options.full:
                    mine = [c for c in mine if c.place is None]
                rows += _rows(crew, case, mine, rows)
        finally:
            crew.close()
    return rows, versions


def _rows(crew: _Crew, case: Case, clients: Sequence[Client], before: Sequence[Row]) -> list[Row]:
    results: dict[str, list[dict[str, Any]]] = {client.name: [] for client in clients}
    notes = {client.name: _gave_up(case, client, before) for client in clients}
    _prepare(crew.urls["http"], case, clients)
    for _ in range(case.rounds):
        for client in clients:
            once = case.fresh and client.share < 1 and results[client.name]
            if notes[client.name] or once:
                continue
            try:
                said = crew.asked(client, case.secure, case.job_of(client), case.limit)
            except Missing as missing:
                notes[client.name] = f"not installed: {missing}"
                continue
            except RuntimeError as failure:
                notes[client.name] = f"failed: {failure}"
                continue
            if said is None:
                notes[client.name] = f"over {case.limit:.0f} s"
            elif "failed" in said:
                notes[client.name] = f"failed: {said['failed']}"
            else:
                results[client.name].append(said)
            if case.fresh:
                crew.dismiss(client, case.secure)
    return [_row(case, client, results[client.name], notes[client.name]) for client in clients]


def _prepare(url: str, case: Case, clients: Sequence[Client]) -> None:
    """Have the server prepare its answers, so that the first client does not wait for it."""
    path = PATHS[case.dialect]
    for plan in {case.job_of(client).plan for client in clients}:
        if not plan.rate:
            with urllib.request.urlopen(url + path, plan.prompt.encode()) as response:
                response.read()


def _gave_up(case: Case, client: Client, before: Sequence[Row]) -> str | None:
    """What a shorter stream of the same kind says of a longer one: it takes no less."""
    kind = _without_length(case)
    for row in before:
        same = row["section"] == case.section == "growth" and row["client"] == client.name
        if same and row["kind"] == kind and "note" in row:
            return str(row["note"])
    return None


def _without_length(case: Case) -> str:
    return re.sub(r", [\d,]+$", "", case.name)


def _row(case: Case, client: Client, results: Sequence[Mapping[str, Any]], note: str | None) -> Row:
    job = case.job_of(client)
    row: Row = {
        "section": case.section,
        "case": case.name,
        "kind": _without_length(case),
        "client": client.name,
        "size": job.size,
        "streams": job.streams,
    }
    if note:
        return {**row, "note": note}

    def median(name: str) -> float | None:
        found = [result[name] for result in results if result[name] is not None]
        return statistics.median(found) if found else None

    count = job.streams * (job.size if case.per == "event" and job.kind != "large" else 1)
    units = {
        "cpu_us": ("cpu", 1e6 / count),
        "wall_s": ("wall", 1.0),
        "first_ms": ("first", 1e3),
        "lag_p50_ms": ("lag_p50", 1e3),
        "lag_p99_ms": ("lag_p99", 1e3),
        "peak_mib": ("peak", 1 / MIB),
    }
    if case.fresh:
        units["kib_per_stream"] = ("growth", 1 / 1024 / job.at_once)
    for name, (source, factor) in units.items():
        value = median(source)
        if value is not None:
            row[name] = _rounded(value * factor)
    return row


def _rounded(value: float) -> float:
    """Four digits, which is more than is known."""
    return float(f"{value:.4g}")


# --- what has no stream: framing and decoding, imports


def pieces(options: Options) -> list[Row]:
    """Framing and decoding, in nanoseconds per event."""
    done = subprocess.run(
        [str(python_of(None)), "-m", "benchmarks.pieces", str(options.rounds)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    found: list[Row] = json.loads(done.stdout)
    return [{"section": "pieces", **row, "ns": _rounded(row["ns"])} for row in found]


def imports(options: Options) -> list[Row]:
    """What it costs to import each package, and to have it installed."""
    rows: list[Row] = []
    for package in PACKAGES:
        row: Row = {"section": "import", "case": "import", "client": package.name}
        try:
            weight = weigh(package, options.rounds)
        except Missing as missing:
            rows.append({**row, "note": f"not installed: {missing}"})
            continue
        rows.append({**row, **{name: _rounded(value) for name, value in weight.items()}})
    return rows


# --- where


def machine() -> dict[str, Any]:
    """What this is measured on; nothing that names the machine."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {re.match(r'[0-9.]*', platform.release())[0]}",  # type: ignore[index]
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _cpu() -> str:
    with suppress(OSError):
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        if found:
            return found[1]
    return platform.processor() or platform.machine() or sys.platform
