"""What was measured, as a page: ratios first, and what of the targets is reached.

All is made from the results alone, so the same results give the same page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.clients import (
    AIOHTTP_FULL,
    AIOHTTP_RAW,
    FLOOR,
    OURS_ASYNC,
    OURS_SYNC,
    OURS_TRIO,
    RAW,
    TRIO_FLOOR,
)
from benchmarks.measure import Row
from benchmarks.weight import OURS

__all__ = ["PLOTS", "Results", "Target", "compared", "headline", "page", "sections", "targets"]

WORSE = 1.25
PLOTS = {
    "burst": "CPU per event of a burst, by client",
    "lag": "Lag against the number of live streams",
    "growth": "CPU per event against the length of the stream",
    "memory": "Memory per live stream",
}


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured at one time.

    Attributes:
        machine: Where.
        options: How much.
        versions: Of what, by client.
        rows: What came out.
    """

    machine: Mapping[str, Any]
    options: Mapping[str, Any]
    versions: Mapping[str, Mapping[str, str]]
    rows: Sequence[Row]

    def row(self, section: str, case: str, client: str) -> Row | None:
        """A row, if it was measured."""
        for row in self.rows:
            if (row["section"], row["case"], row["client"]) == (section, case, client):
                return None if "note" in row else row
        return None

    def value(self, section: str, case: str, client: str, name: str) -> float | None:
        """A figure, if it was measured."""
        row = self.row(section, case, client)
        return row.get(name) if row else None

    def ratio(
        self, section: str, case: str, client: str, other: str, name: str = "cpu_us"
    ) -> float | None:
        """A client's figure by that of another."""
        mine, theirs = (self.value(section, case, who, name) for who in (client, other))
        return mine / theirs if mine is not None and theirs else None

    def cases(self, section: str) -> list[str]:
        """The cases of a section, in their order."""
        return list(dict.fromkeys(row["case"] for row in self.rows if row["section"] == section))


# --- tables


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_line(heads), _line(["---"] * len(heads)), *map(_line, rows)]


def figure(value: float | None) -> str:
    """A figure with as many digits as are worth reading."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{figure(value)} x"


_LAGS = (("p50 lag, ms", "lag_p50_ms"), ("p99 lag, ms", "lag_p99_ms"))
_CPU = ("CPU us/event", "cpu_us")
_FIRST = ("first chunk, ms", "first_ms")
_COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "burst": (_CPU, _FIRST, ("peak memory, MiB", "peak_mib")),
    "paced": (_CPU, *_LAGS),
    "streams": (
        _CPU,
        ("wall, s", "wall_s"),
        *_LAGS,
        ("KiB/stream", "kib_per_stream"),
    ),
    "requests": (("CPU us/request", "cpu_us"), _FIRST),
}


def _case_table(results: Results, section: str, case: str) -> list[str]:
    columns = _COLUMNS[section]
    rows: list[list[str]] = []
    for row in results.rows:
        if (row["section"], row["case"]) != (section, case):
            continue
        name = f"**{row['client']}**" if row["client"].startswith(OURS_ASYNC) else row["client"]
        if "note" in row:
            rows.append([name, row["note"], *("" for _ in columns)])
            continue
        times = _times(results.ratio(section, case, row["client"], FLOOR))
        rows.append([name, times, *(figure(row.get(column)) for _, column in columns)])
    return _table(["client", "CPU, times the floor", *(head for head, _ in columns)], rows)


def _pivot(rows: Sequence[Row], head: str, column: str, unit: str) -> list[str]:
    """One row for each client, one column for each case."""
    cases = list(dict.fromkeys(row["case"] for row in rows))
    names = dict.fromkeys(row["client"] for row in rows)
    cells = {(row["client"], row["case"]): row for row in rows}
    lines: list[list[str]] = []
    for name in names:
        mine = (cells.get((name, case), {}) for case in cases)
        lines.append([name, *(row.get("note") or figure(row.get(column)) for row in mine)])
    return _table([head, *(case.split(", ", 1)[-1] + unit for case in cases)], lines)


def _growth(results: Results) -> Iterator[str]:
    rows = [row for row in results.rows if row["section"] == "growth"]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        mine = [
            {**row, "case": row["case"].removeprefix(f"{kind}, ")}
            for row in rows
            if row["kind"] == kind
        ]
        yield from ("", f"### {_title(kind)}", "")
        if len(mine) == len({row["client"] for row in mine}):  # one length: seconds, not per event
            yield from _pivot(mine, "seconds", "wall_s", "")
        else:
            yield from _pivot(mine, "CPU us/event", "cpu_us", " events")


def _imports(results: Results) -> Iterator[str]:
    columns = ("seconds", "mib", "disk_mib", "packages")
    rows: list[list[str]] = []
    for row in results.rows:
        if row["section"] == "import":
            cells = [figure(row.get(column)) for column in columns[:-1]]
            packages = f"{row['packages']:.0f}" if "packages" in row else ""
            rows.append([row["client"], *([row["note"]] if "note" in row else [*cells, packages])])
    yield ""
    yield from _table(
        ["package", "import, s", "memory, MiB", "on the disk, MiB", "packages"],
        [[*row, *[""] * (5 - len(row))] for row in rows],
    )


def _pieces(results: Results) -> Iterator[str]:
    rows = [row for row in results.rows if row["section"] == "pieces"]
    for kind in ("framing", "decoding", "timing"):
        mine = [row for row in rows if row["case"].startswith(kind)]
        yield from ("", f"### {_title(kind)}", "")
        yield from _pivot(mine, "ns/event", "ns", "")


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]


def sections(results: Results) -> list[str]:
    """The tables of all that was measured, as Markdown."""
    lines: list[str] = []
    for section, title, said in _SECTIONS:
        if not results.cases(section):
            continue
        lines += ["", f"## {title}", "", *said]
        if section in PLOTS_OF and results.options.get("full"):
            lines += [line for plot in PLOTS_OF[section] for line in ("", _plot(plot))]
        if section in _COLUMNS:
            for case in results.cases(section):
                lines += ["", f"### {_title(case)}", "", *_case_table(results, section, case)]
        else:
            makers = {"growth": _growth, "import": _imports, "pieces": _pieces}
            lines += makers[section](results)
    return lines


PLOTS_OF = {"burst": ("burst",), "streams": ("lag", "memory"), "growth": ("growth",)}


def _plot(name: str) -> str:
    return f"![{PLOTS[name]}](plots/{name}.svg)"


_SECTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "burst",
        "One stream, as fast as it comes",
        (
            "One event per HTTP chunk, and the bytes are always there: what an event costs when",
            "nothing waits. Clients that are ten times as slow have a tenth of the events.",
        ),
    ),
    (
        "paced",
        "One stream, paced",
        (
            "400 events a second, one wake-up for each: how a live model looks. The wake-up is",
            "most of it. A lag is the time from sending an event to having its text.",
        ),
    ),
    (
        "streams",
        "Many live streams in one process",
        ("They begin within a second (10,000: within five). Memory is what the process grew by.",),
    ),
    (
        "requests",
        "Requests of 50 events on connections that are used again",
        ("All 50 are there at once. The first chunk is the first with text; of bytes, any.",),
    ),
    (
        "growth",
        "The length of a stream",
        ("A run is ended after 45 s, and longer ones of that client are not begun.",),
    ),
    (
        "import",
        "Import, memory, disk",
        (
            "The import in a new interpreter, with the memory that this then has; on the disk is a",
            "package with all that it needs, without compiled files.",
        ),
    ),
    (
        "pieces",
        "Framing, decoding, timing",
        (
            "Each alone, in one process, one event per chunk. The timing is what `status.timing`",
            "takes of an event: its time, its bytes, the gap before it.",
        ),
    ),
)


# --- targets


@dataclass(frozen=True, slots=True)
class Check:
    """A figure that has a bound."""

    label: str
    value: float | None
    bound: float
    unit: str = "x"
    at_least: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether it is within the bound; ``None`` if it was not measured."""
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        said = "not measured" if self.value is None else f"{figure(self.value)} {self.unit}"
        return f"{self.label} {said}".strip()


@dataclass(frozen=True, slots=True)
class Target:
    """A row of the table of targets."""

    name: str
    wanted: str
    checks: tuple[Check, ...]

    @property
    def reached(self) -> str:
        """Whether all its bounds hold."""
        held = [check.holds for check in self.checks]
        if False in held:
            return "**no**"
        return "not measured" if None in held else "yes"


def targets(results: Results) -> list[Target]:
    """What was to be reached, and what is."""
    one, thousand, many = "one at a time", "1,000 at 20/s", "10,000 at 1/s"
    hundred = "100 at a time"
    anthropic, chat, tls = "Anthropic", "OpenAI chat", "Anthropic over TLS"

    def ratio(label: str, section: str, case: str, who: str, by: str, bound: float) -> Check:
        return Check(label, results.ratio(section, case, who, by), bound)

    def ours(section: str, case: str, name: str) -> float | None:
        return results.value(section, case, OURS_ASYNC, name)

    def beyond_raw(case: str, factor: float) -> float | None:
        mine = ours("streams", case, "lag_p99_ms")
        raw = results.value("streams", case, RAW, "lag_p99_ms")
        return None if mine is None or raw is None else mine - factor * raw

    def ahead(label: str, case: str, peer: str, bound: float) -> Check:
        times = results.ratio("burst", case, peer, OURS_ASYNC)
        return Check(label, times, bound, at_least=True)

    def grown(kind: str) -> Check:
        """From ten thousand events to a hundred thousand; there are four lengths."""
        mine = [
            row.get("cpu_us")
            for row in results.rows
            if (row["section"], row.get("kind"), row["client"]) == ("growth", kind, OURS_ASYNC)
        ]
        _, base, _, longest = mine if len(mine) == 4 else [None] * 4
        return Check(kind, longest / base if base and longest else None, 1.1)

    def weight(label: str, name: str, bound: float, unit: str) -> Check:
        return Check(label, results.value("import", "import", OURS, name), bound, unit)

    of_stream = (
        Check("memory", ours("streams", thousand, "kib_per_stream"), 30.0, "KiB"),
        Check("memory", ours("streams", many, "kib_per_stream"), 30.0, "KiB"),
    )
    return [
        Target(
            "burst, full",
            "at most 1.5 x the floor",
            tuple(ratio(c, "burst", c, OURS_ASYNC, FLOOR, 1.5) for c in (anthropic, chat)),
        ),
        Target(
            "burst beside the peers",
            "18 x anthropic `.stream()`, 16 x dhenara-ai, 30 x openai, 110 x litellm",
            (
                ahead("anthropic", anthropic, "anthropic .stream()", 18),
                ahead("dhenara-ai", anthropic, "dhenara-ai", 16),
                ahead("openai", chat, "openai create", 30),
                ahead("litellm", chat, "litellm", 110),
            ),
        ),
        Target(
            "burst over TLS",
            "at most 1.5 x aiohttp, full",
            (ratio("", "burst", tls, OURS_ASYNC, AIOHTTP_FULL, 1.5),),
        ),
        Target(
            "paced, full, asyncio",
            "at most 1.25 x raw",
            tuple(ratio(c, "paced", c, OURS_ASYNC, RAW, 1.25) for c in (anthropic, chat)),
        ),
        Target(
            "1,000 streams",
            "at most 1.5 x raw CPU, p99 lag at most 1.5 x raw's + 20 ms, at most 30 KiB per stream",
            (
                ratio("CPU", "streams", thousand, OURS_ASYNC, RAW, 1.5),
                Check("lag beyond 1.5 x raw's", beyond_raw(thousand, 1.5), 20.0, "ms"),
                of_stream[0],
            ),
        ),
        Target(
            "10,000 streams at 1 event/s",
            "completes, p99 lag under 250 ms beyond raw's, at most 30 KiB per stream",
            (
                Check("lag beyond raw's", beyond_raw(many, 1.0), 250.0, "ms"),
                of_stream[1],
            ),
        ),
        Target(
            "request of 50 events, alone / a hundred at a time",
            "at most 1.6 x aiohttp, bytes only",
            tuple(
                ratio(case, "requests", case, OURS_ASYNC, AIOHTTP_RAW, 1.6)
                for case in (one, hundred)
            ),
        ),
        Target(
            "sync facade",
            "at most 1.5 x the async CPU in bursts, at most 2 x paced",
            (
                ratio("burst", "burst", anthropic, OURS_SYNC, OURS_ASYNC, 1.5),
                ratio("paced", "paced", anthropic, OURS_SYNC, OURS_ASYNC, 2.0),
            ),
        ),
        Target(
            "growth",
            "CPU per event at 100,000 events at most 1.1 x that at 10,000; "
            "16 MiB in 1,460-byte pieces under 0.5 s",
            (
                grown("text"),
                grown("tool arguments"),
                Check("16 MiB", ours("growth", "one event of 16 MiB", "wall_s"), 0.5, "s"),
            ),
        ),
        Target(
            "trio",
            "at most 1.5 x a trio reader without an HTTP library",
            tuple(
                ratio(label, section, case, OURS_TRIO, TRIO_FLOOR, 1.5)
                for label, section, case in (
                    ("burst", "burst", anthropic),
                    ("OpenAI chat", "burst", chat),
                    ("paced", "paced", anthropic),
                    ("1,000 streams", "streams", thousand),
                    ("10,000 streams", "streams", many),
                    ("requests", "requests", one),
                    ("100 requests", "requests", hundred),
                )
            ),
        ),
        Target(
            "import",
            "at most 0.2 s and 35 MiB, no provider SDK, no pydantic, at most 5 MiB installed",
            (
                weight("", "seconds", 0.2, "s"),
                weight("", "mib", 35.0, "MiB"),
                weight("", "foreign", 0.0, "foreign modules"),
                weight("on the disk", "disk_mib", 5.0, "MiB"),
            ),
        ),
    ]


# --- the page


HEADLINE = (
    OURS_ASYNC,
    "anthropic create",
    "anthropic .stream()",
    "openai create",
    "openai .stream()",
    "dhenara-ai",
    "pydantic-ai",
    "litellm",
)


def headline(results: Results) -> list[str]:
    """The peers beside us, in one table."""
    thousand, longest = "1,000 at 20/s", "text, 100,000"
    lines: list[list[str]] = []
    for name in HEADLINE:
        chat = name.startswith("openai")
        streams = f"{thousand}, OpenAI chat" if chat else thousand
        growth = longest.replace("text", "text, OpenAI chat") if chat else longest
        long = next((r for r in results.rows if (r["case"], r["client"]) == (growth, name)), {})
        lag = results.value("streams", streams, name, "lag_p99_ms")
        lines.append(
            [
                f"**{name}**" if name == OURS_ASYNC else name,
                *(
                    _times(results.ratio("burst", case, name, OURS_ASYNC))
                    for case in ("Anthropic", "OpenAI chat")
                ),
                f"{lag:,.0f} ms" if lag is not None else "",
                figure(results.value("streams", streams, name, "kib_per_stream")),
                long.get("note") or figure(long.get("cpu_us")),
            ]
        )
    heads = [
        "client",
        "CPU per event, Anthropic",
        "CPU per event, OpenAI chat",
        "p99 lag, 1,000 live streams",
        "KiB per live stream",
        "us/event, 100,000 events",
    ]
    return _table(heads, lines)


def page(results: Results) -> str:
    """The whole page."""
    machine, options = results.machine, results.options
    origin = (
        f"`make bench-full`, {machine['date']}: {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['system']}, {machine['python']}, loopback; {options['events']:,} events in a "
        f"burst, medians of up to {options['rounds']} interleaved rounds."
    )
    lines = [
        "# What an event costs",
        "",
        origin,
        "",
        *INTRODUCTION,
        "",
        "## Beside the peers",
        "",
        "CPU per event of a burst, by ours.",
        "",
        *headline(results),
        "",
        "## Targets",
        "",
        *_table(
            ["", "target", "measured", "reached"],
            (
                [goal.name, goal.wanted, ", ".join(map(str, goal.checks)), goal.reached]
                for goal in targets(results)
            ),
        ),
        "",
        *IN_THE_WAY,
        *sections(results),
        "",
        "## Versions",
        "",
        *(
            f"- {name}: {', '.join(f'{package} {v}' for package, v in sorted(found.items()))}"
            for name, found in results.versions.items()
            if found
        ),
    ]
    return "\n".join([*lines, ""])


IN_THE_WAY = (
    "What stands in the way of those that are not reached, by the profiler:",
    "",
    "- A wake-up for each event (paced, 1,000 streams, trio): a reader by hand does one thing",
    "  when its bytes come. Ours also looks at its clocks, notes the time, makes a chunk of it,",
    "  and goes through five coroutines from the loop to the socket. Alone, without a socket, an",
    "  event of one of a thousand streams is 28 us: 4.5 are asyncio's and the byte source's, 5",
    "  framing, decoding and the chunk where caches are warm; the rest is spread, no function has",
    "  more than 7 %. It was 34 us with eight coroutines. On trio a cancel scope for each read is",
    "  a quarter of it; to read the socket past anyio was tried there, and gained nothing.",
    "- Requests, and the lag of a thousand that begin together: alone, without a socket, a",
    "  request is 460 us to begin and 155 to end (545 and 190 with h11's heads, timers moved",
    "  twice and a scope for each end). A third of the beginning is the checking and building of",
    "  the request, a quarter sends it and reads the head, a tenth makes the stream; the end is",
    "  the answer, its usage, price and status.",
    "- The sync facade has two threads, whose price is the machine's mood: 1.4 x in a quieter",
    "  run.",
    "- litellm's price for an event of OpenAI chat is 90 to 110 x ours, from run to run.",
    "- Import: half of it is that of the dependencies, httpx above all; the rest is the types and",
    "  the catalogue. A protocol is loaded when a client is made for it. On a quieter machine it",
    "  took 0.17 s of CPU.",
)

INTRODUCTION = (
    "Read ratios, not microseconds: machines differ, ratios of one run hardly do. CPU is",
    "`time.process_time` of the client's process per event, from the request to the last item,",
    "with imports and the first connection done before. The floor is a reader by hand: asyncio,",
    "httptools, a framer for good events only, msgspec, and the same public chunks as ours, with",
    "the answer at the end. Full means that; the raw socket is split at blank lines, no more. A",
    "trio floor is the same on trio. Each client is driven as its documentation says, with its own",
    "defaults, in a process of its own; it is opened once, and its text was held against what was",
    "sent. google-genai speaks neither protocol, and is not here.",
    "",
    "To reproduce: `make bench-full`, on a machine that does nothing else; it installs the peers,",
    "each in an environment of its own. `make bench` takes a minute, and says what got",
    "slower than on this page.",
)


# --- against decay


def compared(now: Results, committed: Results) -> list[str]:
    """What got slower, as lines; ratios to the floor of the same run, since machines differ."""
    slower: list[str] = []
    count = 0
    for row in now.rows:
        place = row["section"], row["case"], row["client"]
        before = committed.row(*place)
        mine = now.ratio(*place, FLOOR)
        theirs = committed.ratio(*place, FLOOR)
        if not before or row["client"] == FLOOR or mine is None or theirs is None:
            continue
        if not all(_same(row, before) for row, before in _pairs(now, committed, place)):
            continue
        count += 1
        if mine > WORSE * theirs:
            slower.append(
                f"slower: {', '.join(place)}: {figure(mine)} x the floor, {figure(theirs)} x before"
            )
    date = committed.machine["date"]
    if not count:
        return [f"Nothing here can be compared with the report of {date}: other sizes, or cases."]
    if not slower:
        return [f"None of {count} rows is slower than in the report of {date}."]
    return [*slower, f"{len(slower)} of {count} rows are slower than in the report of {date}."]


def _pairs(
    now: Results, committed: Results, place: tuple[str, str, str]
) -> Iterator[tuple[Row, Row]]:
    """The row and its floor, in both runs."""
    section, case, client = place
    for name in (client, FLOOR):
        mine, theirs = now.row(section, case, name), committed.row(section, case, name)
        if mine and theirs:
            yield mine, theirs


def _same(row: Row, before: Row) -> bool:
    return all(row.get(name) == before.get(name) for name in ("size", "streams"))
