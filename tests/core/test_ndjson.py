"""Framing of lines of JSON. The invariant: any bytes at any cuts give the same events, or the same
events and then the same error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import bytewise, cut_at

from dhenara_stream.core.ndjson import NDJSONDecoder
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.errors import EventTooLarge


def outcome(chunks: list[bytes], limit: int = 1000) -> tuple[list[bytes], str | None]:
    """The data of all events, and the error's message."""
    decoder = NDJSONDecoder(max_event_bytes=limit)
    events: list[ServerSentEvent] = []
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        events += decoder.flush()
    except EventTooLarge as error:
        return [event.data for event in events], error.message
    return [event.data for event in events], None


@pytest.mark.parametrize(
    ("stream", "lines"),
    [
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n\r\n \n{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'\n\n {"a":"\\n\xe2\x80\xa8"}\t\n', [b'{"a":"\\n\xe2\x80\xa8"}']),
        (b'{"a":1}\r{"b":2}\n', [b'{"a":1}\r{"b":2}']),
        (b"\n", []),
        (b"", []),
    ],
)
def test_each_line_is_an_event(stream: bytes, lines: list[bytes]) -> None:
    assert outcome([stream]) == outcome(bytewise(stream)) == (lines, None)


def test_an_event_has_no_name_and_comes_with_its_line_feed() -> None:
    decoder = NDJSONDecoder(max_event_bytes=10)
    assert decoder.feed(b"{") == []
    assert decoder.feed(b"}\n[") == [ServerSentEvent(b"{}")]
    assert decoder.flush() == [ServerSentEvent(b"[")]
    assert decoder.flush() == []


@pytest.mark.parametrize(
    ("stream", "pending"), [(b"", False), (b"{}\n", False), (b"{}\n \t\r", False), (b" {", True)]
)
def test_a_line_under_way_is_known(stream: bytes, pending: bool) -> None:
    decoder = NDJSONDecoder(max_event_bytes=100)
    for chunk in bytewise(stream):
        decoder.feed(chunk)
    assert decoder.pending is pending


def test_a_line_that_is_too_long_ends_the_stream_after_the_events_before_it() -> None:
    decoder = NDJSONDecoder(max_event_bytes=4)
    assert decoder.feed(b"1234\n12345\n1\n") == [ServerSentEvent(b"1234")]
    assert isinstance(decoder.error, EventTooLarge)
    assert decoder.error.message == (
        "one line exceeds max_event_bytes=4; raise max_event_bytes if this server may send lines "
        "that long"
    )
    assert decoder.error.details == {"max_event_bytes": 4}
    with pytest.raises(EventTooLarge, match="max_event_bytes=4"):
        decoder.feed(b"1\n")
    with pytest.raises(EventTooLarge, match="max_event_bytes=4"):
        decoder.flush()


@given(
    st.lists(st.sampled_from([b"{}", b"\n", b"\r\n", b" ", b"123456", b"\xff"])).map(b"".join),
    st.lists(st.integers(0, 40), max_size=6),
    st.sampled_from([1, 6, 1000]),
)
def test_any_bytes_at_any_cuts_give_the_same_outcome(
    stream: bytes, cuts: list[int], limit: int
) -> None:
    chunks = cut_at(stream, cuts)
    assert outcome(chunks, limit) == outcome([stream], limit) == outcome(bytewise(stream), limit)
