"""The same faults for us and for the peers: what each delivers, reports, and how long it takes.

    python -m benchmarks.faults [--only WORD ...] [--jobs 2] [--output benchmarks/FAULTS.md]

The simulator plays every fault in every protocol. Each client is a worker process of its own
(``peers.py``), which is killed where it does not end within the limit of a row. One function
judges all clients: what was delivered before a fault has to be kept, a fault has to end in an
error, of whatever type, and what can be completed has to be; in time, with the text as it was
sent, and without the key in an error or at another host.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from benchmarks.peers import CLIENTS, Client, brief
from benchmarks.places import ROOT, START, Missing, Place
from dhenara_stream.simulator import (
    Answer,
    CleanCut,
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
    Text,
    ToolCall,
    TornChunk,
    fingerprint,
)

KEY = "sk-canary-0123456789"

COMPLETE, ERROR = frozenset({"complete"}), frozenset({"error"})
EITHER = COMPLETE | ERROR

Faults = Fault | Sequence[Fault | None] | None


# --- the protocols and the rows


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol.

    Attributes:
        title: What it is called.
        failure: An error as it has it in JSON.
        whole_arguments: Whether a call's arguments come in one piece.
    """

    title: str
    failure: Mapping[str, Any]
    whole_arguments: bool = False


_OPENAI_FAILURE = {"error": {"type": "server_error", "message": "Oh", "code": None}}
PROTOCOLS = {
    "anthropic": Protocol(
        "Anthropic Messages",
        {"type": "error", "error": {"type": "api_error", "message": "Oh"}},
    ),
    "openai_chat": Protocol("OpenAI Chat Completions", _OPENAI_FAILURE),
    "openai_responses": Protocol("OpenAI Responses", _OPENAI_FAILURE),
    "gemini": Protocol(
        "Gemini",
        {"error": {"code": 500, "message": "Oh", "status": "INTERNAL"}},
        whole_arguments=True,
    ),
}

WORDS = ("One", " two", " three", " four")
CALL = ('{"city":"Lis', "bon, Portuga", "l, at the Ta", 'gus"}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault, and what is right about it.

    Attributes:
        name: What goes wrong.
        right: What is right, in words.
        fault: The faults of the simulator, for a protocol.
        pieces: What is answered.
        kept: How many pieces were sent before the fault; no client may lose them.
        ends: How the call may end.
        limit: Seconds after which a client that has not ended is killed.
        within: Seconds in which it should have ended; by default the limit.
        at_least: Seconds that the provider asked to wait.
        requests: How many requests may be sent, at most.
        timeout: The read timeout of all clients, in seconds.
        wire: What one HTTP chunk holds, as the simulator has it.
        key: The key that the client gets.
        rewrite: What becomes of the body before it is sent, without chunks, up to a close.
        redirect: Whether the answer is at another origin.
    """

    name: str
    right: str
    fault: Callable[[Protocol], Faults] = lambda _protocol: None
    pieces: tuple[str, ...] = WORDS
    kept: int = 0
    ends: frozenset[str] = ERROR
    limit: float = 15.0
    within: float | None = None
    at_least: float = 0.0
    requests: int = 3
    timeout: float = 5.0
    wire: Any = "event"
    key: str = KEY
    rewrite: Callable[[bytes], bytes] | None = None
    redirect: bool = False

    def expected(self, protocol: Protocol) -> tuple[str, ...]:
        """The pieces as this protocol sends them."""
        whole = self.pieces is CALL and protocol.whole_arguments
        return ("".join(CALL),) if whole else self.pieces

    def answer(self) -> Answer:
        """What the simulated model answers."""
        text = "".join(self.pieces)
        return Answer(ToolCall("weather", text) if self.pieces is CALL else Text(text))


def _fixed(fault: Faults) -> Callable[[Protocol], Faults]:
    return lambda _protocol: fault


def _cut(name: str, fault: Faults, **more: Any) -> Row:
    """A fault after two pieces, which no other request may hide."""
    return Row(name=name, fault=_fixed(fault), **{"right": CUT, "kept": 2, "requests": 1, **more})


def _whole(name: str, fault: Faults = None, **more: Any) -> Row:
    """A fault that the whole answer gets over."""
    return Row(name=name, fault=_fixed(fault), **{"right": ALL, "ends": COMPLETE, **more})


def _once(name: str, fault: Fault, **more: Any) -> Row:
    """A fault of the first request that may be reported, or gone with the next."""
    return Row(name=name, fault=_fixed([fault, None]), right=ONCE, ends=EITHER, **more)


def _instead(name: str, fault: Callable[[Protocol], Faults], **more: Any) -> Row:
    """Something else instead of an answer."""
    return Row(name=name, fault=fault, **{"right": "an error", **more})


def _half_event(body: bytes) -> bytes:
    """The body up to the middle of the event with the third piece."""
    before, word, _after = body.partition(b" three")
    return before + word[:3]


def _cr_only(body: bytes) -> bytes:
    return body.replace(b"\r\n", b"\n").replace(b"\n", b"\r")


def _no_space(body: bytes) -> bytes:
    return body.replace(b"data: ", b"data:")


def _large(mib: int, within: float) -> Row:
    """The same words with so many MiB of spaces before the second; they are one piece with it."""
    return _whole(
        f"an event of {mib} MiB (read timeout 20 s)",
        right=f"{ALL}, within {within:.0f} s",
        pieces=("One", " " * (mib * 2**20) + "two", " three", " four"),
        wire=1460,
        timeout=20.0,
        limit=20.0,
        within=within,
    )


CUT = "an error, 2 of 4 kept"
ALL = "4 of 4"
ONCE = "an error, or 4 of 4 after another request"
NOVELTY = b'event: novelty\ndata: {"type": "novelty"}\n\n'
BUSY = Respond(429, retry_after=1.0)

ROWS = (
    _whole("nothing"),
    _cut("body ends cleanly in the middle", CleanCut(deltas=2)),
    _cut("cut inside an HTTP chunk", TornChunk(deltas=2)),
    _cut("body without a length, cut inside an event", None, rewrite=_half_event),
    _cut("connection reset", Reset(deltas=2)),
    _cut("error event in the middle", ErrorEvent(deltas=2)),
    _once("error event first, once", ErrorEvent()),
    _instead("200 with an error in JSON", lambda protocol: Respond(200, body=protocol.failure)),
    _instead("200 with an HTML page", _fixed(Respond(200, body="<html>Sign in</html>"))),
    _instead(
        "200 with an empty body", _fixed(Respond(200, content_type="text/event-stream", body=b""))
    ),
    _cut(
        "silence in the middle (read timeout 1 s)",
        Silence(deltas=2),
        right=f"{CUT}, within 2 s",
        timeout=1.0,
        limit=5.0,
        within=2.0,
    ),
    _once("silence before the head, once (read timeout 1 s)", Silence(), timeout=1.0, limit=8.0),
    _cut(
        "only pings from the middle on (read timeout 1 s)",
        OnlyPings(deltas=2, interval=0.25),
        right=f"{CUT}, within 3 s",
        timeout=1.0,
        limit=3.0,
    ),
    _cut("an event with broken JSON", Malformed(deltas=2)),
    _whole("an event of an unknown type", Malformed(raw=NOVELTY, deltas=2)),
    _whole("a comment between events", Malformed(raw=b": keep-alive\n\n", deltas=2)),
    _whole(
        "complete, but the body stays open (read timeout 1 s)",
        OpenEnd(),
        right=f"{ALL}, within 2 s",
        timeout=1.0,
        limit=5.0,
        within=2.0,
    ),
    _whole("a byte order mark first", Malformed(raw=b"\xef\xbb\xbf")),
    _whole("lines that end with CR", rewrite=_cr_only),
    _whole("no space after `data:`", rewrite=_no_space),
    _whole("one byte a chunk", wire="byte"),
    _whole("U+2028 and U+0085 in the text", pieces=("One", "\u2028 two", "\u0085 three", " four")),
    _whole(
        "429 with `retry-after: 1`, twice",
        [BUSY, BUSY, None],
        right=f"{ALL}, 2 s later",
        at_least=1.9,
    ),
    _whole("500, once", [Respond(500), None]),
    _instead("401", _fixed(Respond(401)), right="an error, one request", requests=1),
    _whole("connection dropped before the head, once", [Drop(), None]),
    Row(
        name="redirect to another origin",
        right="the key does not go there",
        ends=EITHER,
        redirect=True,
    ),
    Row(
        name="a key that ends with CR",
        right="an error without the key, or 4 of 4",
        ends=EITHER,
        key=f"{KEY}\r",
    ),
    _cut(
        "a tool call cut in its arguments",
        CleanCut(deltas=1),
        right="an error, 1 piece kept",
        pieces=CALL,
        kept=1,
    ),
    _large(1, within=5.0),
    _large(8, within=20.0),
)


# --- serving a row


@dataclass(slots=True)
class Service:
    """Where a row is served, and what was seen there.

    Attributes:
        url: Where clients are sent.
        simulators: Who answers there, and where they send clients on to.
    """

    url: str
    simulators: list[Simulator] = field(default_factory=list[Simulator])

    @property
    def requests(self) -> int:
        """How many requests came to the first place."""
        return len(self.simulators[0].requests)

    @property
    def leaked(self) -> bool:
        """Whether the key came to a place that it was not meant for."""
        others = [request for sim in self.simulators[1:] for request in sim.requests]
        return any(request.key_fingerprint == fingerprint(KEY) for request in others)


@contextmanager
def served(row: Row, protocol: Protocol) -> Iterator[Service]:
    """The row, ready to be asked."""
    with ExitStack() as stack:
        first = Simulator(row.answer(), faults=row.fault(protocol), wire=row.wire)
        if row.redirect:
            other = stack.enter_context(first)
            first = Simulator(faults=lambda request: _redirected(request, other.url))
            yield Service(stack.enter_context(first).url, [first, other])
            return
        url = stack.enter_context(first).url
        if row.rewrite is not None:
            url = stack.enter_context(rewriting(url, row.rewrite))
        yield Service(url, [first])


def _redirected(request: RecordedRequest, url: str) -> Fault:
    query = request.query and f"?{request.query}"
    return Respond(307, headers={"location": f"{url}{request.path}{query}"})


@contextmanager
def rewriting(upstream: str, rewrite: Callable[[bytes], bytes]) -> Iterator[str]:
    """A relay that sends the rewritten body without a length or chunks, and closes."""

    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["content-length"]))
            kept = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = httpx.post(upstream + self.path, content=asked, headers=kept, trust_env=False)
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(rewrite(answer.content))
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# --- asking


class Worker:
    """A client's process; started when it is asked, and again after it was killed."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.versions: dict[str, str] = {}
        self._place: Place | None = None

    def ask(self, row: Row, url: str) -> dict[str, Any]:
        """The pieces and the end of a call; ``end`` is ``limit`` where it was killed.

        Raises:
            Missing: The client is not installed.
        """
        place = self._place or self._start()
        return self._asked(place, url, row.key, row.timeout, row.limit)

    def _asked(
        self, place: Place, url: str, key: str, timeout: float, limit: float
    ) -> dict[str, Any]:
        place.send({"url": url, "key": key, "timeout": timeout})
        pieces: list[str] = []
        deadline = time.monotonic() + limit
        while True:
            line = place.line(deadline)
            if line is None:
                self.close()
                return {"end": "limit", "pieces": pieces, "seconds": limit}
            if "end" in line:
                return {**line, "pieces": pieces}
            pieces.append(line["piece"])

    def _start(self) -> Place:
        arguments = ["-m", "benchmarks.peers", self.client.id]
        place = self._place = Place(self.client.place, arguments)
        self.versions = place.started()
        # The first call imports what the client needs, and does not count.
        with Simulator(Answer("Hello")) as sim:
            self._asked(place, sim.url, KEY, START, START)
        return place

    def close(self) -> None:
        """End the process."""
        place, self._place = self._place, None
        if place is not None:
            place.close()


# --- judging


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client made of a row.

    Attributes:
        end: ``complete``, ``error`` or ``limit``.
        kept: How many of the pieces it delivered; ``None`` where it is another text.
        of: How many there are.
        seconds: How long it took.
        requests: How many requests it sent.
        error: The type of its error.
        finish: The finish reason that it reports.
        leaked: Whether the key was in the error or came to another host.
    """

    end: str
    kept: int | None
    of: int
    seconds: float
    requests: int = 1
    error: str | None = None
    finish: str | None = None
    leaked: bool = False


def kept_of(expected: Sequence[str], pieces: Iterable[str]) -> int | None:
    """How many of the expected pieces these are the start of; ``None`` if they are not.

    Spaces do not count: clients that parse arguments write them anew.
    """
    got = "".join(pieces).replace(" ", "")
    sent = [brief(piece).replace(" ", "") for piece in expected]
    if not "".join(sent).startswith(got):
        return None
    return max(count for count in range(len(sent) + 1) if got.startswith("".join(sent[:count])))


def right(row: Row, outcome: Outcome) -> bool:
    """Whether an outcome is what it should be; the same for all clients."""
    if outcome.end not in row.ends or outcome.kept is None or outcome.leaked:
        return False
    wanted = outcome.of if outcome.end == "complete" and not row.redirect else row.kept
    in_time = row.at_least <= outcome.seconds <= (row.within or row.limit)
    return outcome.kept >= wanted and in_time and outcome.requests <= row.requests


def silent(row: Row, outcome: Outcome) -> bool:
    """Whether the loop ended as if all was well, and it was not."""
    return outcome.end == "complete" and (row.ends == ERROR or outcome.kept != outcome.of)


def cell(row: Row, outcome: Outcome) -> str:
    """An outcome in a few words."""
    good = right(row, outcome)
    text = "other text" if outcome.kept is None else f"{outcome.kept} of {outcome.of}"
    match outcome.end:
        case "limit":
            end = "**still waiting**"
        case "error":
            end = outcome.error or "error"
        case _:
            end = "**no error**" if silent(row, outcome) else "no error"
            if silent(row, outcome) and outcome.finish:
                end += f', finish "{outcome.finish}"'
    parts = [text, end, f"{outcome.seconds:.1f} s"]
    parts += [f"{outcome.requests} requests"] * (outcome.requests > 1)
    parts += ["**key leaked**"] * outcome.leaked
    return f"{'✓' if good else '✗'} {', '.join(parts)}"


def outcome_of(worker: Worker, row: Row, protocol: Protocol) -> Outcome:
    """Play a row for a client.

    Raises:
        Missing: The client is not installed.
    """
    expected = row.expected(protocol)
    with served(row, protocol) as service:
        said = worker.ask(row, service.url)
        return Outcome(
            end=said["end"],
            kept=kept_of(expected, said["pieces"]),
            of=len(expected),
            seconds=said["seconds"],
            requests=service.requests,
            error=said.get("error"),
            finish=said.get("finish"),
            leaked=said.get("leaked", False) or service.leaked,
        )


# --- the page


@dataclass(slots=True)
class Column:
    """A client and what it made of the rows, in their order; nothing where it is missing."""

    client: Client
    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    versions: dict[str, str] = field(default_factory=dict[str, str])
    missing: str | None = None

    @property
    def title(self) -> str:
        """The client with its version."""
        version = self.versions.get(self.client.packages[0])
        return f"{self.client.name} {version}" if version else self.client.name

    def score(self, rows: Sequence[Row]) -> tuple[int, int]:
        """How many rows are right, and how many ended as if they were."""
        pairs = list(zip(rows, self.outcomes, strict=True))
        return sum(right(*pair) for pair in pairs), sum(silent(*pair) for pair in pairs)


def play(client: Client, rows: Sequence[Row]) -> Column:
    """All rows for one client."""
    worker = Worker(client)
    column = Column(client)
    try:
        for row in rows:
            column.outcomes.append(outcome_of(worker, row, PROTOCOLS[client.protocol]))
    except Missing as missing:
        column.missing = str(missing)
    finally:
        worker.close()
    column.versions = worker.versions
    print(f"{client.id}: {_score(column, rows)}", file=sys.stderr)
    return column


def table(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """The columns of one protocol, as Markdown."""
    heads = ["what goes wrong", "right is", *(column.title for column in columns)]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for index, row in enumerate(rows):
        cells = [
            f"not installed: {column.missing}"
            if column.missing
            else cell(row, column.outcomes[index])
            for column in columns
        ]
        lines.append(_line([row.name, row.right, *cells]))
    scores = [_score(column, rows) for column in columns]
    return [*lines, _line(["**right**", f"of {len(rows)}", *scores])]


def _score(column: Column, rows: Sequence[Row]) -> str:
    if column.missing:
        return "not installed"
    good, quiet = column.score(rows)
    return f"**{good}**" + f", {quiet} silent" * (quiet > 0)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def summary(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """How many rows are right, client by protocol, as Markdown."""
    protocols = [name for name in PROTOCOLS if any(c.client.protocol == name for c in columns)]
    names = dict.fromkeys(column.client.name for column in columns)
    scores = {(c.client.name, c.client.protocol): _score(c, rows) for c in columns}
    heads = [f"right, of {len(rows)}", *(PROTOCOLS[name].title for name in protocols)]
    lines = [_line(heads), _line(["---"] * len(heads))]
    lines += [_line([name, *(scores.get((name, p), "") for p in protocols)]) for name in names]
    return lines


def page(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """The whole page."""
    origin = (
        f"`make faults`, {datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, loopback; {', '.join(versions(columns))}."
    )
    lines = ["# The same faults, for us and for the peers", "", origin, "", INTRODUCTION, ""]
    lines += summary(columns, rows)
    for name, protocol in PROTOCOLS.items():
        mine = [column for column in columns if column.client.protocol == name]
        if mine:
            lines += ["", f"## {protocol.title}", "", *table(mine, rows)]
    return "\n".join([*lines, ""])


def versions(columns: Iterable[Column]) -> list[str]:
    """What was run: each package with its version, and whose it is where there are two."""
    found = set[str]()
    for column in columns:
        owner = column.client.packages[0]
        for name, number in column.versions.items():
            inside = "" if column.client.place is None or name == owner else f" (in {owner})"
            found.add(f"{name} {number}{inside}")
    return sorted(found)


INTRODUCTION = """\
The simulator answers with four pieces of text, or of a call's arguments, and something goes wrong.
A cell says how many of them the caller got, how the loop ended, and when. ✓ is what "right is"
says; one function decides it for all clients: what came before a fault is kept, the text is the
one that was sent, a fault ends in an error of whatever type, what can be completed is, in time,
and no error and no other host has the key. A client that does not end is killed at the limit of
the row ("still waiting"). Silent, in the sums, is an answer that was not whole, or a fault, and a
loop that ended as if all was well.

Each client is the loop of its documentation, made anew each time, with three requests in all
(google-genai makes one unless told otherwise) and the same read timeout, 5 s where the row names
no other. Ours has that timeout for the gap between pieces of content, too; the peers have no such
setting. dhenara-ai has one timeout, and it is that one. By hand means: the status is checked, and
nothing else is."""


def main(argv: Sequence[str] | None = None) -> int:
    """Play all, and write the page."""
    parser = argparse.ArgumentParser(prog="faults", description="faults for us and the peers")
    parser.add_argument("--only", nargs="*", default=[], help="clients whose id has such a word")
    parser.add_argument("--rows", nargs="*", default=[], help="rows whose name has such a word")
    parser.add_argument("--jobs", type=int, default=2, help="clients at a time")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "FAULTS.md")
    options = parser.parse_args(argv)
    clients = [c for c in CLIENTS if _named(c.id, options.only)]
    rows = [row for row in ROWS if _named(row.name, options.rows)]
    with ThreadPoolExecutor(options.jobs) as pool:
        columns = list(pool.map(lambda client: play(client, rows), clients))
    options.output.write_text(page(columns, rows))
    print("\n".join(summary(columns, rows)))
    return 0


def _named(name: str, words: Sequence[str]) -> bool:
    return not words or any(word in name for word in words)


if __name__ == "__main__":
    sys.exit(main())
