"""A response as steps: pauses, positions of faults, how the body is cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
    Reset,
    Silence,
    TornChunk,
)
from dhenara_stream.simulator.anthropic import AnthropicMessages
from dhenara_stream.simulator.http1 import Head, Request
from dhenara_stream.simulator.plan import (
    Data,
    End,
    Gone,
    Hold,
    PartialHead,
    Pause,
    Repeat,
    Rst,
    Step,
    Torn,
    Wire,
    head_fault,
    paced,
    plan,
    rechunked,
)
from dhenara_stream.simulator.protocol import Event

HEAD = Head(200, (("content-type", "text/event-stream"),))
EVENTS = [
    Event(b"start;"),
    Event(b"one;", content=True),
    Event(b"two;", content=True),
    Event(b"stop;"),
]
PROTOCOL = AnthropicMessages()
PING = PROTOCOL.ping()


def steps(fault: Fault | None, rate: float | None = None) -> list[Step]:
    items = paced(EVENTS, 0.5 if rate else 0.0, rate)
    found = list(plan(HEAD, items, fault, PROTOCOL, "7"))
    assert found[0] == HEAD
    return found[1:]


def body(found: list[Step]) -> bytes:
    return b"".join(step.data for step in found if isinstance(step, Data))


def test_without_a_fault_all_is_sent() -> None:
    assert steps(None) == [Data(event.data) for event in EVENTS] + [End()]


def test_each_piece_of_content_waits_for_its_time() -> None:
    assert list(paced(EVENTS, 0.5, 10)) == [
        EVENTS[0],
        Pause(0.5),
        EVENTS[1],
        Pause(0.1),
        EVENTS[2],
        EVENTS[3],
    ]


def test_the_first_piece_waits_alone_without_a_rate() -> None:
    assert list(paced(EVENTS, 0.5, None)).count(Pause(0.5)) == 1


@pytest.mark.parametrize(
    ("position", "sent"),
    [
        ({}, b""),
        ({"deltas": 0}, b"start;"),
        ({"deltas": 1}, b"start;one;"),
        ({"deltas": 2}, b"start;one;two;"),
        ({"deltas": 3}, b"start;one;two;stop;"),
        ({"events": 0}, b""),
        ({"events": 1}, b"start;"),
        ({"events": 4}, b"start;one;two;stop;"),
        ({"events": 9}, b"start;one;two;stop;"),
        ({"body_bytes": 0}, b""),
        ({"body_bytes": 2}, b"st"),
        ({"body_bytes": 6}, b"start;"),
        ({"body_bytes": 8}, b"start;on"),
        ({"body_bytes": 99}, b"start;one;two;stop;"),
    ],
)
@pytest.mark.parametrize("rate", [None, 10])
def test_where_a_fault_strikes(position: dict[str, int], sent: bytes, rate: float | None) -> None:
    found = steps(CleanCut(**position), rate)
    assert body(found) == sent
    assert found[-1] == End()
    assert not found[:-1] or not isinstance(found[-2], Pause)  # it strikes before it waits


@pytest.mark.parametrize(
    ("fault", "last"),
    [
        (CleanCut(events=1), End()),
        (Drop(events=1), Gone()),
        (Reset(events=1), Rst()),
        (Silence(events=1), Hold()),
        (OnlyPings(events=1, interval=2), Repeat(PING, 2)),
        (TornChunk(events=1), Torn(b"one;")),
        (TornChunk(events=4), Torn(PING)),
        (TornChunk(body_bytes=8), Torn(b"e;")),
    ],
)
def test_how_a_response_fails(fault: Fault, last: Step) -> None:
    assert steps(fault)[-1] == last


def test_a_torn_chunk_waits_for_nothing() -> None:
    assert steps(TornChunk(deltas=1), 10)[-1] == Torn(b"two;")


def test_an_error_event_ends_the_body_and_the_connection() -> None:
    found = steps(ErrorEvent(deltas=1, type="api_error", message="No"))
    assert body(found).endswith(PROTOCOL.error_event(PROTOCOL.failure("api_error", "No"), "7"))
    assert found[-1] == End(close=True)


def test_something_malformed_comes_between() -> None:
    assert body(steps(Malformed(events=1, raw=b"?"))) == b"start;?one;two;stop;"
    assert PROTOCOL.malformed() in body(steps(Malformed()))


def test_an_open_end() -> None:
    assert steps(OpenEnd())[-1] == Hold()
    assert steps(OpenEnd(ping_interval=3))[-1] == Repeat(PING, 3)
    assert body(steps(OpenEnd())) == b"start;one;two;stop;"


@pytest.mark.parametrize("value", ["text/html", None])
def test_another_content_type(value: str | None) -> None:
    head, *rest = plan(HEAD, EVENTS, ContentType(value), PROTOCOL, "7")
    assert isinstance(head, Head)
    assert head.header("content-type") == value
    assert rest == steps(None)


def test_a_fault_in_the_head() -> None:
    assert head_fault(HEAD, None) is None
    assert head_fault(HEAD, CleanCut()) is None
    assert head_fault(HEAD, Reset(events=0)) is None
    failing = head_fault(HEAD, Silence(header_bytes=3))
    assert failing is not None
    assert list(failing) == [PartialHead(HEAD, 3), Hold()]


@pytest.mark.parametrize(
    ("wire", "pieces"),
    [
        ("event", [b"start;", b"one;", b"two;", b"stop;"]),
        ("all", [b"start;one;two;stop;"]),
        ("byte", [bytes([byte]) for byte in b"start;one;two;stop;"]),
        (4, [b"star", b"t;on", b"e;tw", b"o;st", b"op;"]),
        (19, [b"start;one;two;stop;"]),
    ],
)
def test_the_body_is_cut_as_told(wire: Wire, pieces: list[bytes]) -> None:
    head, *found, last = rechunked(plan(HEAD, EVENTS, None, PROTOCOL, "7"), wire)
    assert (head, last) == (HEAD, End())
    assert found == [Data(piece) for piece in pieces]


def test_what_was_written_is_out_before_a_pause() -> None:
    found = list(rechunked([Data(b"abc"), Pause(1), Data(b"d"), End()], 2))
    assert found == [Data(b"ab"), Data(b"c"), Pause(1), Data(b"d"), End()]


def test_all_at_once_comes_after_all_pauses() -> None:
    found = list(rechunked([Data(b"abc"), Pause(1), Data(b"d"), Hold()], "all"))
    assert found == [Pause(1), Data(b"abcd"), Hold()]


def test_a_plan_takes_an_event_at_a_time() -> None:
    made: list[int] = []

    def endless() -> Iterator[Event]:
        for number in range(1000):
            made.append(number)
            yield Event(b"x", content=True)

    lazy = rechunked(plan(HEAD, paced(endless(), 0, 5), None, PROTOCOL, "7"), "event")
    for _ in range(3):
        next(lazy)
    assert len(made) <= 3


def test_events_of_an_answer_are_lazy() -> None:
    request = Request("POST", "/v1/messages", "", (), b"{}")
    call = PROTOCOL.read(request, "token", require_key=False, validate=False)
    events = PROTOCOL.events(call, Answer("word " * 100_000))
    assert next(events).data.startswith(b"event: message_start")
