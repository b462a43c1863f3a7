"""What ``make bench`` replays, runs, compares and reports; no test looks at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from benchmarks import bench, measure, pieces, replay, worker
from benchmarks.clients import CLIENTS, FLOOR, OURS_ASYNC, OURS_TRIO, RAW, Client
from benchmarks.floor import Framer, Full
from benchmarks.measure import Case, Options, Row, cases
from benchmarks.places import Missing, Place
from benchmarks.replay import Plan
from benchmarks.report import Results, compared, headline, page, sections, targets
from benchmarks.weight import PACKAGES, weigh
from benchmarks.worker import Job
from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.sse import SSEDecoder
from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.dialects.base import Dialect
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum

DIALECTS: dict[str, Dialect] = {
    "anthropic": AnthropicDialect(),
    "openai_chat": OpenAIChatDialect(),
}
PLANS = [Plan("text", 7), Plan("tool", 7), Plan("large", 5000)]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    place = Place(None, ["-m", "benchmarks.replay"])
    try:
        urls = place.line(time.monotonic() + 15)
        assert urls is not None
        yield urls["http"]
    finally:
        place.close()


# --- what is replayed


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.kind)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_replayed_is_a_whole_answer(dialect: str, plan: Plan) -> None:
    decoder = DIALECTS[dialect].decoder()
    facts = AnswerFacts(model="benchmark", provider=AIModelProviderEnum.CUSTOM)
    answer = Accumulator(facts)

    for event in SSEDecoder().feed(b"".join(replay.events(dialect, plan))):
        answer.add(decoder.decode(event))

    said = answer.response(complete=True, streaming=True)
    assert (decoder.complete, decoder.failure) == (True, None)
    if plan.kind == "tool":
        [call] = said.tools()
        assert (call.parse_error, call.arguments) == (
            None,
            {"words": [" word0 word1 word2 word3 word4"]},
        )
    else:
        assert said.text() == replay.text(plan)


def test_a_prompt_says_what_is_asked_for() -> None:
    plan = Plan("text", 50, rate=20)

    assert Plan.asked(f'{{"prompt": "{plan.prompt}"}}'.encode()) == plan
    with pytest.raises(ValueError, match="names no plan"):
        Plan.asked(b'{"prompt": "Hello"}')


@pytest.mark.parametrize("plan", PLANS[:2], ids=lambda plan: plan.kind)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_floor_reads_the_same_at_any_cut(dialect: str, plan: Plan) -> None:
    body = b"".join(replay.events(dialect, plan))
    whole = Framer().feed(body)
    items = Full(dialect).feed(body)

    assert len(items) == plan.size + 1
    for cut in range(len(body)):
        framer = Framer()
        assert framer.feed(body[:cut]) + framer.feed(body[cut:]) == whole
    framer = Framer()
    assert [event for byte in body for event in framer.feed(bytes([byte]))] == whole


# --- the clients


HERE = [client for client in CLIENTS if client.place is None]


def run(client: Client, url: str, *jobs: Job) -> list[Any]:
    """The jobs' results."""
    opened: Any = client.open(url)
    if client.kind == "sync":
        with opened as ask:
            return [worker.measured_sync(client, ask, job) for job in jobs]

    async def asked() -> list[Any]:
        async with opened as ask:
            return [await worker.measured(client, ask, job) for job in jobs]

    return anyio.run(asked, backend=client.kind)


@pytest.mark.parametrize("client", HERE, ids=lambda client: client.id)
def test_each_client_hands_out_what_is_sent(client: Client, url: str) -> None:
    text, paced, tool = run(
        client,
        url,
        Job("text", 20, check=True),
        Job("text", 5, rate=500, streams=4, at_once=2),
        Job("tool", 20, check=True),
    )

    assert text["first"] is not None
    assert text["lag_p99"] is None
    assert paced["lag_p99"] is not None
    assert {"cpu", "wall", "peak", "growth"} <= tool.keys()


def test_text_that_is_lost_is_no_measurement(url: str) -> None:
    floor = next(client for client in CLIENTS if client.name == FLOOR)
    deaf = replace(floor, texts=lambda _item: ())

    with pytest.raises(ValueError, match="another text"):
        run(deaf, url, Job("text", 20, check=True))
    with pytest.raises(ValueError, match="0 of 5 texts"):
        run(deaf, url, Job("text", 5, rate=500))


def test_a_case_is_measured_and_what_cannot_be_is_said() -> None:
    bare = [c for c in CLIENTS if c.name in (RAW, FLOOR) and c.dialect == "anthropic"]
    absent = replace(bare[1], name="absent", place="nowhere")
    case = Case(
        section="burst",
        name="Anthropic",
        job=Job("text", 30),
        clients=(RAW, FLOOR, "absent"),
        rounds=2,
        fresh=True,
    )
    said: list[str] = []

    rows, versions = measure.measure([case], Options(full=True), [*bare, absent], said.append)

    raw, floor, missing = rows
    assert said == ["burst: Anthropic"]
    assert (raw["client"], floor["client"], floor["size"]) == (RAW, FLOOR, 30)
    assert {"cpu_us", "wall_s", "peak_mib", "kib_per_stream"} <= floor.keys()
    assert missing["note"] == "not installed: no nowhere"
    assert "httptools" in versions[FLOOR]


def test_a_process_that_does_not_start_is_missing() -> None:
    with pytest.raises(Missing, match="does not start"):
        Place(None, ["-c", "pass"]).started()


def test_without_full_only_what_is_installed_here_is_measured() -> None:
    quick, full = cases(Options()), cases(Options(full=True))

    keys = {(case.section, case.name): case for case in full}
    assert {case.section for case in quick} == {"burst", "paced", "streams", "requests"}
    for case in quick:  # else nothing could be compared
        assert keys[case.section, case.name].job == case.job
    assert [case.section for case in cases(Options(full=True, only=("growth",)))] == ["growth"] * 13


def test_imports_and_pieces_are_measured() -> None:
    weight = weigh(next(package for package in PACKAGES if package.name == "dhenara_stream"), 1)
    rows = pieces.measured(1, 20)

    assert weight["foreign"] == 0
    assert {"seconds", "mib", "disk_mib", "packages"} <= weight.keys()
    assert {row["client"] for row in rows} >= {"split", "dhenara_stream", "json.loads"}


# --- the page, and what got slower


def row(section: str, case: str, client: str, **figures: Any) -> Row:
    kind = case.rpartition(", ")[0] or case
    place = {"section": section, "case": case, "kind": kind, "client": client}
    return {**place, "size": 100, "streams": 1, **figures}


def results(**ours: float) -> Results:
    """A run: what is given of ours, all else is what it is."""
    rows = [
        row("burst", "Anthropic", RAW, cpu_us=0.5),
        row("burst", "Anthropic", FLOOR, cpu_us=2.0),
        row("burst", "Anthropic", OURS_ASYNC, cpu_us=ours.get("burst", 2.6)),
        row("burst", "Anthropic", "anthropic .stream()", cpu_us=56.0),
        row("burst", "Anthropic", "litellm", note="not installed: no .real/litellm"),
        row("burst", "OpenAI chat", FLOOR, cpu_us=2.0),
        row("burst", "OpenAI chat", OURS_ASYNC, cpu_us=ours.get("chat", 2.6)),
        row("streams", "100 at 20/s", FLOOR, cpu_us=60.0),
        row("streams", "100 at 20/s", OURS_TRIO, cpu_us=ours.get("trio", 90.0), lag_p99_ms=1.0),
        row("growth", "text, 1,000", OURS_ASYNC, cpu_us=2.0),
        row("growth", "text, 10,000", OURS_ASYNC, cpu_us=2.0),
        row("growth", "text, 30,000", OURS_ASYNC, cpu_us=2.0),
        row("growth", "text, 100,000", OURS_ASYNC, cpu_us=ours.get("long", 2.1)),
        row("growth", "text, 100,000", "litellm", note="over 45 s"),
        row("growth", "one event of 16 MiB", OURS_ASYNC, wall_s=0.2),
        {"section": "import", "case": "import", "client": "dhenara_stream", "seconds": 0.1},
        {"section": "import", "case": "import", "client": "litellm", "note": "not installed: x"},
        {"section": "pieces", "case": "framing, Anthropic", "client": "split", "ns": 400.0},
        {"section": "pieces", "case": "decoding, Anthropic", "client": "msgspec", "ns": 300.0},
    ]
    machine = {
        "cpu": "A CPU",
        "cores": 2,
        "system": "Linux 6.1",
        "python": "CPython 3.11.9",
        "date": "2026-01-02",
    }
    options = {"events": 20_000, "rounds": 3, "full": True}
    return Results(machine, options, {"anthropic create": {"anthropic": "1.0"}}, rows)


def test_the_same_figures_give_the_same_page(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    bench.saved(results(), path)
    before = path.read_text()

    again = bench.loaded(path)
    bench.saved(again, path)

    assert path.read_text() == before
    assert page(again) == page(results())


def test_the_page_has_ratios_first_and_says_where_and_what() -> None:
    lines = page(results()).splitlines()

    assert "| **dhenara_stream** | 1.30 x | 2.60 |  |  |" in lines
    assert "| litellm | not installed: no .real/litellm |  |  |  |" in lines
    assert "| litellm |  |  |  |  | over 45 s |" in lines
    assert "- anthropic create: anthropic 1.0" in lines
    assert any("A CPU, 2 cores, Linux 6.1, CPython 3.11.9" in line for line in lines)
    assert any("![Memory per live stream](plots/memory.svg)" in line for line in lines)
    assert lines.index("## Targets") < lines.index("## One stream, as fast as it comes")
    assert headline(results())[2].startswith("| **dhenara_stream** | 1.00 x | 1.00 x |")
    assert sections(replace(results(), rows=[])) == []


def test_a_target_is_reached_if_all_its_figures_are_within() -> None:
    def reached(found: Results) -> dict[str, str]:
        return {target.name: target.reached for target in targets(found)}

    good, bad = reached(results()), reached(results(chat=3.2, long=2.3))

    assert (good["burst, full"], bad["burst, full"]) == ("yes", "**no**")
    assert (good["growth"], bad["growth"]) == ("not measured", "**no**")
    assert good["burst over TLS"] == "not measured"
    assert "| burst, full | at most 1.5 x the floor | Anthropic 1.30 x, OpenAI chat 1.60 x |" in (
        page(results(chat=3.2))
    )


def test_what_got_slower_by_the_floor_is_named() -> None:
    assert compared(results(burst=2.9), results()) == [
        "None of 5 rows is slower than in the report of 2026-01-02."
    ]
    assert compared(results(burst=5.2, trio=120.0), results()) == [
        "slower: burst, Anthropic, dhenara_stream: 2.60 x the floor, 1.30 x before",
        "slower: streams, 100 at 20/s, dhenara_stream trio: 2.00 x the floor, 1.50 x before",
        "2 of 5 rows are slower than in the report of 2026-01-02.",
    ]


def test_another_size_is_not_compared() -> None:
    smaller = replace(results(), rows=[{**row, "size": 10} for row in results().rows])

    assert compared(smaller, results()) == [
        "Nothing here can be compared with the report of 2026-01-02: other sizes, or cases."
    ]


def test_a_slower_machine_is_not_slower() -> None:
    def slowed(row: Row) -> Row:
        return {**row, "cpu_us": 2 * row["cpu_us"]} if "cpu_us" in row else row

    slow = replace(results(), rows=list(map(slowed, results().rows)))

    assert compared(slow, results()) == [
        "None of 5 rows is slower than in the report of 2026-01-02."
    ]
