"""Faults: what they take and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dhenara_stream.errors import ConfigError
from dhenara_stream.simulator import (
    CleanCut,
    ContentType,
    Drop,
    ErrorEvent,
    Malformed,
    OnlyPings,
    OpenEnd,
    Reset,
    Respond,
    Silence,
)

any_: Any = None


def wrong(value: Any) -> Any:
    """A value that the types would not let pass."""
    return value


def test_a_fault_of_the_head_strikes_before_it_unless_told() -> None:
    assert Reset().in_head == 0
    assert Drop(header_bytes=5).in_head == 5
    assert Silence(deltas=0).in_head is None
    assert Silence(events=0).in_head is None
    assert Silence(body_bytes=0).in_head is None


def test_headers_are_lower_case_and_the_callers_win() -> None:
    fault = Respond(429, content_type="text/plain", retry_after=1.5, headers={"Retry-After": "2"})
    assert fault.all_headers() == {"content-type": "text/plain", "retry-after": "2"}
    assert Respond(429, retry_after=30).all_headers() == {"retry-after": "30"}
    assert Respond(200).all_headers() == {}


def test_bodies() -> None:
    assert Respond(200).content is None
    assert Respond(200, body=b"\xff").content == b"\xff"
    assert Respond(200, body="ü").content == "ü".encode()
    assert Respond(200, body={"a": 1}).content == b'{"a":1}'


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reset(deltas=1, events=2), "Reset takes one position, not deltas and events"),
        (lambda: Reset(header_bytes=1, body_bytes=2), "not body_bytes and header_bytes"),
        (lambda: Reset(header_bytes=-1), "Reset.header_bytes must be an integer, at least 0"),
        (lambda: CleanCut(deltas=wrong("1")), "CleanCut.deltas must be an integer"),
        (lambda: ErrorEvent(type=""), "ErrorEvent.type must be a string that is not empty"),
        (lambda: ErrorEvent(message=wrong(1)), "ErrorEvent.message must be a string"),
        (lambda: OnlyPings(interval=0), "OnlyPings.interval must be a number, above zero, not 0"),
        (lambda: OnlyPings(interval=True), "OnlyPings.interval must be a number"),
        (lambda: OnlyPings(interval=float("nan")), "OnlyPings.interval must be a number"),
        (lambda: Malformed(raw=wrong("text")), "Malformed.raw must be bytes, not 'text'"),
        (lambda: OpenEnd(ping_interval=-1), "OpenEnd.ping_interval must be a number"),
        (lambda: ContentType("a\r\nb: c"), "ContentType.* must be a string that an HTTP header"),
        (lambda: Respond(99), "Respond.status must be an integer, from 200 to 599, not 99"),
        (lambda: Respond(600), "Respond.status must be an integer, from 200 to 599, not 600"),
        (lambda: Respond(400, type=wrong(1)), "Respond.type must be a string"),
        (lambda: Respond(400, content_type="\n"), "Respond.content_type"),
        (lambda: Respond(400, retry_after=-1), "Respond.retry_after must be a number, zero or"),
        (lambda: Respond(400, headers=any_), "Respond.headers must be a mapping"),
        (lambda: Respond(400, headers={"a b": "c"}), "Respond.headers name must be an HTTP header"),
        (lambda: Respond(400, headers={"a": any_}), r"Respond.headers\['a'\] must be a string"),
        (lambda: Respond(400, body=wrong(3)), "Respond.body must be a mapping"),
    ],
)
def test_a_wrong_field_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
