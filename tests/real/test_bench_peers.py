"""The clients of ``make bench-full`` that have an environment of their own, on a few events."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.clients import CLIENTS, Client
from benchmarks.measure import Case, Options, measure
from benchmarks.worker import Job

ELSEWHERE = [client for client in CLIENTS if client.place is not None]
JOBS = (Job("text", 20), Job("tool", 20), Job("text", 5, rate=100, streams=4, at_once=2))


def few(client: Client) -> Sequence[Case]:
    return [
        Case(
            section="few",
            name=f"{job.kind} {job.rate}",
            job=job,
            clients=(client.name,),
            dialect=client.dialect,
        )
        for job in JOBS
    ]


@pytest.mark.parametrize("client", ELSEWHERE, ids=lambda client: client.id)
def test_each_peer_hands_out_what_is_sent(client: Client) -> None:
    rows, versions = measure(few(client), Options(full=True), [client])

    notes = [row["note"] for row in rows if "note" in row]
    if any(note.startswith("not installed") for note in notes):
        pytest.skip(notes[0])
    assert notes == []
    assert versions[client.name].keys() == set(client.packages)
