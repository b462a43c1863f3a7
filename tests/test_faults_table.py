"""What ``make faults`` plays and how it judges, on ourselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.faults import (
    PROTOCOLS,
    ROWS,
    Column,
    Outcome,
    Row,
    Worker,
    cell,
    kept_of,
    outcome_of,
    page,
    play,
    right,
)
from benchmarks.peers import CLIENTS, Client, brief
from dhenara_stream.simulator import Silence

OURS = [client for client in CLIENTS if client.name == "dhenara_stream"]
BY_NAME = {row.name: row for row in ROWS}
NOTHING = BY_NAME["nothing"]
CUT = BY_NAME["body ends cleanly in the middle"]
BUSY = BY_NAME["429 with `retry-after: 1`, twice"]
REDIRECT = BY_NAME["redirect to another origin"]
PLAYED = [
    NOTHING,
    CUT,
    BY_NAME["body without a length, cut inside an event"],
    BY_NAME["error event in the middle"],
    REDIRECT,
    BY_NAME["a key that ends with CR"],
    BY_NAME["a tool call cut in its arguments"],
    BY_NAME["an event of 1 MiB (read timeout 20 s)"],
]


@pytest.mark.parametrize("client", OURS, ids=lambda client: client.protocol)
def test_ours_is_right(client: Client) -> None:
    column = play(client, PLAYED)

    wrong = [
        (row.name, outcome)
        for row, outcome in zip(PLAYED, column.outcomes, strict=True)
        if not right(row, outcome)
    ]
    assert (wrong, column.missing, column.score(PLAYED)) == ([], None, (len(PLAYED), 0))
    assert column.versions["dhenara-stream"] in column.title


def test_a_client_that_does_not_end_is_killed_and_the_next_row_has_another_process() -> None:
    waits = Row(
        name="waits", right="", fault=lambda _protocol: Silence(deltas=2), kept=2, limit=0.3
    )
    worker = Worker(OURS[0])

    try:
        killed = outcome_of(worker, waits, PROTOCOLS["anthropic"])
        after = outcome_of(worker, NOTHING, PROTOCOLS["anthropic"])
    finally:
        worker.close()

    assert (killed.end, killed.kept, right(waits, killed)) == ("limit", 2, False)
    assert cell(waits, killed) == "✗ 2 of 4, **still waiting**, 0.3 s"
    assert right(NOTHING, after)


WHOLE = Outcome(end="complete", kept=4, of=4, seconds=0.0)
FAILED = Outcome(end="error", kept=2, of=4, seconds=0.0, error="Cut")


@pytest.mark.parametrize(
    ("row", "outcome", "said"),
    [
        (NOTHING, WHOLE, "✓ 4 of 4, no error, 0.0 s"),
        (NOTHING, replace(WHOLE, kept=3), "✗ 3 of 4, **no error**, 0.0 s"),
        (NOTHING, replace(FAILED, kept=4), "✗ 4 of 4, Cut, 0.0 s"),
        (CUT, FAILED, "✓ 2 of 4, Cut, 0.0 s"),
        (CUT, replace(FAILED, kept=1), "✗ 1 of 4, Cut, 0.0 s"),
        (CUT, replace(FAILED, kept=None), "✗ other text, Cut, 0.0 s"),
        (CUT, replace(FAILED, requests=2), "✗ 2 of 4, Cut, 0.0 s, 2 requests"),
        (CUT, replace(FAILED, seconds=99.0), "✗ 2 of 4, Cut, 99.0 s"),
        (CUT, replace(FAILED, leaked=True), "✗ 2 of 4, Cut, 0.0 s, **key leaked**"),
        (
            CUT,
            replace(WHOLE, kept=2, finish="stop"),
            '✗ 2 of 4, **no error**, finish "stop", 0.0 s',
        ),
        (BUSY, replace(WHOLE, seconds=2.1, requests=3), "✓ 4 of 4, no error, 2.1 s, 3 requests"),
        (BUSY, replace(WHOLE, seconds=0.1, requests=3), "✗ 4 of 4, no error, 0.1 s, 3 requests"),
        (REDIRECT, WHOLE, "✓ 4 of 4, no error, 0.0 s"),
        (REDIRECT, replace(WHOLE, leaked=True), "✗ 4 of 4, no error, 0.0 s, **key leaked**"),
    ],
)
def test_a_cell_says_what_happened_and_whether_it_is_right(
    row: Row, outcome: Outcome, said: str
) -> None:
    assert cell(row, outcome) == said


@pytest.mark.parametrize(
    ("pieces", "kept"),
    [
        ([], 0),
        (["One", " two"], 2),
        (["One", " tw"], 1),
        (["One two", " three four"], 4),
        (["One", " three"], None),
        (["One", " two", "One", " two"], None),
    ],
)
def test_what_is_kept_is_the_start_of_what_was_sent(pieces: list[str], kept: int | None) -> None:
    assert kept_of(("One", " two", " three", " four"), pieces) == kept


def test_a_long_piece_is_told_by_its_length_and_sum() -> None:
    assert brief("x" * 81) == brief("x" * 81) != brief("x" * 82)
    assert kept_of(("One", " " * 999), ["One", brief(" " * 999)]) == 2


def test_what_is_not_installed_is_said() -> None:
    missing = Client("absent", "gemini", ("absent",), OURS[0].ask)
    elsewhere = replace(missing, place="nowhere")

    columns = [play(elsewhere, [NOTHING]), Column(missing, missing="no absent")]

    assert columns[0].missing == "no nowhere"
    assert page(columns, [NOTHING]).splitlines()[-2:] == [
        "| nothing | 4 of 4 | not installed: no nowhere | not installed: no absent |",
        "| **right** | of 1 | not installed | not installed |",
    ]
