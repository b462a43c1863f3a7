"""SSE framing. The invariant: any bytes at any cuts give the same events, or the same events and
then the same ProtocolError, and nothing else."""

import json
import re
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from typing import NamedTuple

import pytest
from corpus import needs_corpus
from hypothesis import given
from hypothesis import strategies as st
from reading import bytewise, cut_at
from recorded.others import sse_cases, wrong_sse_cases

from dhenara_stream.core.sse import DEFAULT_MAX_EVENT_BYTES, ServerSentEvent, SSEDecoder
from dhenara_stream.errors import ConfigError, EventTooLarge, ProtocolError

BOM = b"\xef\xbb\xbf"

MakeDecoder = Callable[[], SSEDecoder]
lenient: MakeDecoder = SSEDecoder
strict: MakeDecoder = partial(
    SSEDecoder, flush_at_end=False, error_field=False, ignore_empty=False, bare_json=False
)


class Outcome(NamedTuple):
    """All that a reader can observe of a whole stream."""

    events: list[ServerSentEvent]
    error: tuple[type[ProtocolError], str] | None
    comments: int
    retry: int | None
    last_event_id: str


def outcome(chunks: Iterable[bytes], make: MakeDecoder = lenient) -> Outcome:
    decoder = make()
    events: list[ServerSentEvent] = []
    error = None
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        events += decoder.flush()
    except ProtocolError as exc:
        error = (type(exc), exc.message)
    return Outcome(events, error, decoder.comments, decoder.retry, decoder.last_event_id)


def read(stream: bytes, make: MakeDecoder = lenient) -> list[ServerSentEvent]:
    """The events of a stream that has no error, fed whole and byte by byte."""
    whole = outcome([stream], make)
    assert whole.error is None
    assert outcome(bytewise(stream), make) == whole
    return whole.events


def data_of(stream: bytes, make: MakeDecoder = lenient) -> list[bytes]:
    return [event.data for event in read(stream, make)]


def pieces(stream: bytes, size: int) -> Iterator[bytes]:
    for i in range(0, len(stream), size):
        yield stream[i : i + size]


@contextmanager
def memory() -> Iterator[Callable[[], int]]:
    """Counts the bytes that are allocated within and still held."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


# --- transcripts, in the shapes that providers send -------------------------------------------

ANTHROPIC = b"""\
event: message_start
data: {"type":"message_start","message":{"id":"msg_1"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"text":"Hi \xf0\x9f\x98\x80"}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"text":"!"}}

event: message_stop
data: {"type":"message_stop"}

"""

OPENAI = b"""\
: OPENROUTER PROCESSING

data: {"choices":[{"delta":{"content":"Hi"}}]}

data: {"choices":[],"usage":{"total_tokens":7}}

data: [DONE]

"""

GEMINI = b"".join(
    b'data: {"candidates":[{"content":{"parts":[{"text":"%s"}]}}]}\r\n\r\n' % text
    for text in (b"Hi", b"\xc3\xa9\xe2\x80\xa8", b"!")
)

NO_SPACE = b'data:{"delta":"a"}\n\ndata:{"delta":"b"}\n\nevent:end\ndata:{}\n\ndata: {"c":1}\n\n'

LLAMA_CPP = b'data: {"delta":"a"}\n\nerror: {"code":400}\n\ndata: [DONE]'

EVERYTHING = (
    BOM
    + b"retry: 10\nid: 1\nevent: a\ndata: x\ndata\n\n"
    + b":c\rdata: y\r\n\r\n\r\n\nerror: e\nfoo: b\ndata:z\n\nid\n\ndata: \n\nevent: a\ndata: w"
)

TRANSCRIPTS = [ANTHROPIC, OPENAI, GEMINI, NO_SPACE, LLAMA_CPP, EVERYTHING]


def test_a_stream_with_event_names_gives_name_and_data_of_each_event() -> None:
    events = read(ANTHROPIC)
    assert [event.event for event in events] == [
        "message_start",
        "content_block_delta",
        "ping",
        "content_block_delta",
        "message_stop",
    ]
    assert json.loads(events[1].data)["delta"]["text"] == "Hi \N{GRINNING FACE}"
    assert events[4] == ServerSentEvent(b'{"type":"message_stop"}', "message_stop")


def test_a_stream_without_event_names_gives_data_only() -> None:
    assert read(OPENAI) == [
        ServerSentEvent(b'{"choices":[{"delta":{"content":"Hi"}}]}'),
        ServerSentEvent(b'{"choices":[],"usage":{"total_tokens":7}}'),
        ServerSentEvent(b"[DONE]"),
    ]


def test_a_stream_with_crlf_gives_the_events_of_the_same_stream_with_lf() -> None:
    assert len(read(GEMINI)) == 3
    assert read(GEMINI) == read(GEMINI.replace(b"\r\n", b"\n"))


def test_a_stream_without_spaces_after_the_colons_gives_the_same_events() -> None:
    assert read(NO_SPACE) == [
        ServerSentEvent(b'{"delta":"a"}'),
        ServerSentEvent(b'{"delta":"b"}'),
        ServerSentEvent(b"{}", "end"),
        ServerSentEvent(b'{"c":1}'),
    ]


# --- lines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
def test_each_line_end_ends_a_line(end: bytes) -> None:
    stream = end.join([b"data: a", b"data: b", b"", b"", b"data: c", b"", b""])
    assert data_of(stream) == [b"a\nb", b"c"]


def test_line_ends_may_be_mixed() -> None:
    assert data_of(b"data: a\rdata: b\ndata: c\r\n\rdata: d\n\r\n") == [b"a\nb\nc", b"d"]


@pytest.mark.parametrize("text", ["\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_no_other_character_ends_a_line(text: str) -> None:
    assert data_of(f"data: a{text}b\n\n".encode()) == [f"a{text}b".encode()]


@pytest.mark.parametrize(
    ("stream", "pending"),
    [
        (b"", False),
        (b"data: 1\n\n", False),
        (b"data: 1\r\n\r", False),
        (b": ping", False),
        (b": ping\n", False),
        (b"data: 1\n\nd", True),
        (b"data: 1\n", True),
        (b"data: 1\n: ping", True),
        (b"id: 1\n", True),
    ],
)
def test_an_event_under_way_is_known(stream: bytes, pending: bool) -> None:
    for chunks in ([stream], bytewise(stream)):
        decoder = SSEDecoder()
        for chunk in chunks:
            decoder.feed(chunk)
        assert decoder.pending is pending


def test_a_cr_ends_the_event_without_waiting_for_a_line_feed() -> None:
    assert SSEDecoder().feed(b"data: a\r\r") == [ServerSentEvent(b"a")]


def test_a_line_feed_after_a_cr_is_no_line_of_its_own_even_in_the_next_chunk() -> None:
    decoder = strict()
    assert decoder.feed(b"data: a\r") == []
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: b\r\n\r") == [ServerSentEvent(b"a\nb")]
    assert decoder.feed(b"\ndata: c") == []
    assert decoder.feed(b"\n\n") == [ServerSentEvent(b"c")]


def test_a_line_under_way_goes_on_after_a_cr_at_the_end_of_a_chunk() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r") == []
    assert decoder.feed(b"data: b") == []
    assert decoder.feed(b"c\r\r") == [ServerSentEvent(b"a\nbc")]


@pytest.mark.parametrize("position", [1, 2, 3])
def test_a_character_cut_in_two_chunks_is_whole(position: int) -> None:
    stream = b"data: \xf0\x9f\x98\x80\n\n"
    assert outcome(cut_at(stream, [6 + position])).events == [ServerSentEvent(stream[6:10])]


# --- byte order mark --------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [[], [1], [2], [3], [1, 2], [1, 2, 3], [0, 0, 1]])
def test_a_byte_order_mark_before_the_first_line_is_skipped_at_any_cut(cuts: list[int]) -> None:
    stream = BOM + b"data: a\n\n"
    assert outcome(cut_at(stream, cuts)).events == [ServerSentEvent(b"a")]


def test_only_the_first_byte_order_mark_is_skipped() -> None:
    assert data_of(BOM + BOM + b"data: a\n\ndata: b\n\n") == [b"b"]
    assert data_of(b"\n" + BOM + b"data: a\n\ndata: b\n\n") == [b"b"]
    assert data_of(BOM + b"data: " + BOM + b"a\n\n") == [BOM + b"a"]


@pytest.mark.parametrize(
    "start", [b"\xef", b"\xef\xbb", BOM, b"\xefdata: x\n", b"\xef\xbb\xbedata\n"]
)
def test_the_start_of_a_byte_order_mark_alone_is_a_line_without_meaning(start: bytes) -> None:
    assert read(start) == []
    assert data_of(start + b"\ndata: a\n\n") == [b"a"]


# --- fields -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"data:a", b"a"),
        (b"data: a", b"a"),
        (b"data:  a ", b" a "),
        (b"data:\ta", b"\ta"),
        (b"data::a: b", b":a: b"),
        (b"data: !", b"!"),
        (b"data:!", b"!"),
        (b"data:\0", b"\0"),
        (b"data: a data: b", b"a data: b"),
        (b"data:a data: b", b"a data: b"),
    ],
)
def test_a_value_loses_one_space_after_its_colon(line: bytes, value: bytes) -> None:
    assert data_of(b"data:a\n\n" + line + b"\n\n") == [b"a", value]
    assert data_of(b"data: a\n\n" + line + b"\n\n") == [b"a", value]


@pytest.mark.parametrize(
    "line", [b"Data: x", b" data: x", b"data : x", b"dat: x", b"datax", b"x: y"]
)
def test_a_line_of_another_field_is_ignored(line: bytes) -> None:
    assert data_of(line + b"\n\n" + line + b"\ndata: a\n\n") == [b"a"]


def test_a_line_without_a_colon_is_a_field_with_an_empty_value() -> None:
    assert data_of(b"data: a\ndata\ndata: b\n\n") == [b"a\n\nb"]
    assert read(b"event: x\nevent\ndata: a\n\n") == [ServerSentEvent(b"a", "")]


def test_data_lines_are_joined_with_line_feeds() -> None:
    assert data_of(b"data: {\ndata: }\n\ndata: a\r\ndata:\r\n\r\n") == [b"{\n}", b"a\n"]


def test_data_that_are_not_utf8_come_out_as_they_were_sent() -> None:
    assert data_of(b"data: a\xff\xf0\x9f\n\n") == [b"a\xff\xf0\x9f"]


def test_the_last_event_line_names_the_event_and_only_that_event() -> None:
    assert read(b"event: a\nevent: b\ndata: 1\n\ndata: 2\n\n") == [
        ServerSentEvent(b"1", "b"),
        ServerSentEvent(b"2", ""),
    ]
    assert read(b"event: ping\n\ndata: 1\n\n") == [ServerSentEvent(b"1", "")]


def test_the_event_line_may_follow_the_data_line() -> None:
    assert read(b"data: 1\nevent: a\n\n") == [ServerSentEvent(b"1", "a")]


def test_the_name_is_message_where_none_was_sent() -> None:
    assert ServerSentEvent(b"1").name == "message"
    assert ServerSentEvent(b"1", "ping").name == "ping"
    assert [event.name for event in read(b"event:\ndata: 1\n\n")] == ["message"]


def test_names_are_right_however_many_and_long_they_are() -> None:
    names = [f"name-{i}" for i in range(50)] + ["x" * 100, "data: x", "\N{SNOWMAN}"]
    stream = "".join(f"event: {name}\ndata: {name}\n\n" for name in names * 3).encode()
    assert [(e.event, e.data.decode()) for e in read(stream)] == [(n, n) for n in names * 3]


def test_a_line_that_only_resembles_a_known_event_line_names_nothing() -> None:
    assert read(b"event: e\ndata: a\n\nevent: edata: b\n\ne\ndata: c\n\n") == [
        ServerSentEvent(b"a", "e"),
        ServerSentEvent(b"c", ""),
    ]


def test_a_name_or_id_that_is_not_utf8_gets_replacement_characters() -> None:
    assert read(b"event: a\xff\nid: \xf0\x9f\ndata: 1\n\n") == [
        ServerSentEvent(b"1", "a\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER}")
    ]


def test_an_id_stays_until_the_next_one_and_an_empty_one_ends_it() -> None:
    events = read(b"id: 1\ndata: a\n\ndata: b\n\nid: 2\n\ndata: c\n\nid\ndata: d\n\ndata: e\n\n")
    assert [event.id for event in events] == ["1", "1", "2", "", ""]


def test_an_id_with_a_nul_is_ignored() -> None:
    assert [event.id for event in read(b"id: 1\nid: 2\0\ndata: a\n\n")] == ["1"]


def test_the_last_event_id_counts_from_the_blank_line_on() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: 1\n")
    assert decoder.last_event_id == ""
    decoder.feed(b"\n")
    assert decoder.last_event_id == "1"


@pytest.mark.parametrize(
    ("value", "retry"),
    [
        (b"0", 0),
        (b"03000", 3000),
        (b"99999999999999999999", 99999999999999999999),
        (b"9" * 32, 10**32 - 1),
        (b"9" * 33, 7),
        *((value, 7) for value in (b"", b"+5", b"-5", b" 5", b"5 ", b"1_0", b"5x", b"1.5")),
        *((value.encode(), 7) for value in ("\N{SUPERSCRIPT TWO}", "\u0663", "9" * 5000)),
    ],
)
def test_retry_is_the_last_one_of_ascii_digits_only(value: bytes, retry: int) -> None:
    stream = b"retry: 7\n\nretry: " + value + b"\n\n"
    assert outcome([stream]) == Outcome([], None, 0, retry, "")
    assert outcome(bytewise(stream)) == outcome([stream])


def test_comments_are_counted_and_make_no_event() -> None:
    stream = b":\n: ping\n\ndata: a\n: in the event\ndata: b\n\n:cut off"
    for chunks in ([stream], bytewise(stream)):
        assert outcome(chunks) == Outcome([ServerSentEvent(b"a\nb")], None, 4, None, "")
    assert outcome([stream], strict).comments == 3


def test_blank_lines_make_no_event_even_when_an_id_is_known() -> None:
    assert data_of(b"\n\n\nid: 1\ndata: a\n\n\n\r\n\r\n\n\n", strict) == [b"a"]


# --- where servers leave the standard ---------------------------------------------------------


@pytest.mark.parametrize(
    "stream", [b"data: a\n\ndata: b\n", b"data: a\n\ndata: b", b"data: a\n\ndata: b\r"]
)
def test_an_event_without_its_blank_line_comes_at_the_end_of_the_stream(stream: bytes) -> None:
    decoder = SSEDecoder()
    assert decoder.feed(stream) == [ServerSentEvent(b"a")]
    assert decoder.flush() == [ServerSentEvent(b"b")]
    assert decoder.flush() == []
    assert data_of(stream, strict) == [b"a"]


def test_the_end_of_the_stream_keeps_name_and_id_of_the_event_it_ends() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"id: 1\nevent: e\ndata: a") == []
    assert decoder.flush() == [ServerSentEvent(b"a", "e", "1")]
    assert decoder.last_event_id == "1"


def test_strictly_an_unfinished_event_is_dropped_with_its_id() -> None:
    result = outcome([b"id: 1\ndata: a\n\nid: 2\ndata: b\nretry: 5"], strict)
    assert result == Outcome([ServerSentEvent(b"a", "", "1")], None, 0, None, "1")


def test_after_the_end_the_next_stream_starts_anew_with_the_last_id() -> None:
    decoder = strict()
    decoder.feed(b"id: 1\n\nretry: 5\nid: 2\ndata: lost\r")
    assert decoder.flush() == []
    assert decoder.feed(BOM + b"data: b\n\n") == [ServerSentEvent(b"b", "", "1")]
    assert decoder.retry == 5


def test_an_error_line_makes_an_error_event() -> None:
    assert read(LLAMA_CPP) == [
        ServerSentEvent(b'{"delta":"a"}'),
        ServerSentEvent(b'{"code":400}', "error"),
        ServerSentEvent(b"[DONE]"),
    ]
    assert data_of(LLAMA_CPP, strict) == [b'{"delta":"a"}']


def test_error_lines_beside_data_lines_make_an_event_of_their_own() -> None:
    assert read(b"error: {\nevent: x\ndata: a\nid: 1\nerror:}\n\ndata: b\n\n") == [
        ServerSentEvent(b"a", "x", "1"),
        ServerSentEvent(b"{\n}", "error", "1"),
        ServerSentEvent(b"b", "", "1"),
    ]


@pytest.mark.parametrize("block", [b"data:", b"data: ", b"data", b"event: x\ndata: ", b"error:"])
def test_an_event_with_empty_data_is_ignored(block: bytes) -> None:
    assert data_of(b"data: a\n\n" + block + b"\n\ndata: b\n\n" + block) == [b"a", b"b"]


@pytest.mark.parametrize("block", [b"data:", b"data: ", b"data"])
def test_strictly_an_event_with_empty_data_is_an_event(block: bytes) -> None:
    assert data_of(b"data: a\n\n" + block + b"\n\n", strict) == [b"a", b""]


# --- limits and errors ------------------------------------------------------------------------


def limited(max_event_bytes: int) -> MakeDecoder:
    return partial(SSEDecoder, max_event_bytes=max_event_bytes)


LIMIT = 2000  # for the tests; what may weigh beside the data is 1024
TOO_LARGE = [
    pytest.param(b"data: " + b"x" * (LIMIT + 1100) + b"\n\n", id="data line"),
    pytest.param(b"data: " + b"x" * (LIMIT + 1100), id="data line under way"),
    pytest.param(b"data: " + b"x" * (LIMIT + 1000), id="data line cut off at the end"),
    pytest.param(b"data: xx\n" * 50 + b"\n", id="many lines"),
    pytest.param(b"data:\n" * 50 + b"\n", id="many empty data lines"),
    pytest.param(b"data: x\r\n" * 50 + b"\r\n", id="many lines with CRLF"),
    pytest.param(b"junk\n" * 50, id="many lines of no known field"),
    pytest.param(b"event: x\n" * 50, id="many event lines"),
    pytest.param(b"data: a\n: " + b"x" * (LIMIT + 1100) + b"\n\n", id="comment in an event"),
    pytest.param(b"retry: 9\n" + b"x" * (LIMIT + 1100) + b"\n\n", id="after another field"),
]


@pytest.mark.parametrize("event", TOO_LARGE)
def test_an_event_above_the_limit_is_the_same_error_after_the_same_events_at_any_cut(
    event: bytes,
) -> None:
    stream = b": c\n\nid: 1\ndata: a\n\ndata: b\n\n" + event + b"\n\ndata: lost\n\n"
    expected = outcome([stream], limited(LIMIT))
    assert [e.data for e in expected.events] == [b"a", b"b"]
    assert expected.error is not None
    assert expected.error[0] is EventTooLarge
    for chunks in (bytewise(stream), *(cut_at(stream, [i]) for i in range(len(stream)))):
        assert outcome(chunks, limited(LIMIT)) == expected


def test_the_line_under_way_counts_with_the_lines_before_it() -> None:
    decoder = SSEDecoder(max_event_bytes=LIMIT)
    decoder.feed(b"data: " + b"x" * 1600 + b"\n")
    decoder.feed(b"data: " + b"x" * 1300)
    assert decoder.error is None
    decoder.feed(b"x" * 100)
    assert decoder.error is not None


def test_the_limit_is_exact() -> None:
    room = LIMIT + 1024
    largest = b"data: " + b"x" * (room - 64 - 6)
    assert outcome([largest + b"\n\n"], limited(LIMIT)).error is None
    assert outcome([largest + b"x\n\n"], limited(LIMIT)).error is not None
    decoder = SSEDecoder(max_event_bytes=LIMIT)
    decoder.feed(b"x" * room)
    assert decoder.error is None
    decoder.feed(b"x")
    assert decoder.error is not None


def test_the_error_names_the_limit_and_what_to_do() -> None:
    decoder = SSEDecoder(max_event_bytes=LIMIT)
    decoder.feed(b"x" * 9999)
    assert decoder.error is not None
    assert decoder.error.message == (
        "one server-sent event exceeds max_event_bytes=2000; "
        "raise max_event_bytes if this server may send events that large"
    )
    assert decoder.error.details == {"max_event_bytes": LIMIT}
    assert not decoder.error.retryable


def test_the_events_before_an_error_are_returned_and_every_later_call_raises_it() -> None:
    decoder = SSEDecoder(max_event_bytes=LIMIT)
    assert decoder.feed(b"data: a\n\ndata: " + b"x" * 9999) == [ServerSentEvent(b"a")]
    error = decoder.error
    for call in (partial(decoder.feed, b"data: b\n\n"), decoder.flush, partial(decoder.feed, b"")):
        with pytest.raises(EventTooLarge) as info:
            call()
        assert info.value is error


def test_an_error_met_at_the_end_of_the_stream_is_raised_at_once() -> None:
    decoder = SSEDecoder(max_event_bytes=LIMIT)
    assert decoder.feed(b"data: " + b"x" * (LIMIT + 1000)) == []
    assert decoder.error is None
    with pytest.raises(EventTooLarge):
        decoder.flush()
    assert decoder.error is not None


def test_after_an_error_nothing_of_the_stream_is_held() -> None:
    decoder = SSEDecoder(max_event_bytes=500_000)
    with memory() as held:
        decoder.feed(b"data: " + b"x" * 400_000)
        assert held() > 400_000
        decoder.feed(b"x" * 400_000)
        assert decoder.error is not None
        assert decoder.error.__traceback__ is None
        assert held() < 10_000


def test_between_events_little_is_held_however_many_names_were_seen() -> None:
    decoder = SSEDecoder()
    with memory() as held:
        for i in range(2000):
            decoder.feed(b"event: %d-%s\ndata: x\n\n" % (i, b"x" * (i % 200)))
        assert held() < 20_000


@pytest.mark.parametrize("framing", [b"data:%s\n\n", b"event: name\nid: 1\ndata: %s\nretry: 1\n\n"])
def test_data_as_large_as_the_limit_pass_with_the_lines_around_them(framing: bytes) -> None:
    for limit in (1, LIMIT, 70_000):
        stream = framing % (b"x" * limit)
        for chunks in ([stream], pieces(stream, 17)):
            assert [e.data for e in outcome(chunks, limited(limit)).events] == [b"x" * limit]


def test_the_limit_is_of_one_event_not_of_the_stream() -> None:
    stream = (b"data: " + b"x" * 1500 + b"\n\n") * 20
    for chunks in ([stream], pieces(stream, 100)):
        result = outcome(chunks, limited(LIMIT))
        assert (len(result.events), result.error) == (20, None)


def test_comments_without_end_are_no_large_event() -> None:
    decoder = SSEDecoder(max_event_bytes=1)
    for _ in range(1000):
        decoder.feed(b": ping\n")
    assert decoder.comments == 1000
    assert decoder.error is None


def test_empty_data_lines_weigh_what_they_cost_in_memory() -> None:
    decoder = SSEDecoder(max_event_bytes=2**20)
    assert decoder.feed(b"data:\n" * 16_000) == []
    assert isinstance(decoder.error, EventTooLarge)


def test_a_limit_below_one_byte_is_the_callers_error() -> None:
    with pytest.raises(ConfigError, match="max_event_bytes must be at least 1, not 0"):
        SSEDecoder(max_event_bytes=0)


def test_the_default_limit_is_64_mib() -> None:
    assert DEFAULT_MAX_EVENT_BYTES == 64 * 2**20


@pytest.mark.parametrize(("mebibytes", "size"), [(16, 1460), (2, 17), (64, 2**20)])
def test_a_large_event_comes_out_exact_whatever_the_pieces(mebibytes: int, size: int) -> None:
    data = b"0123456789abcde\0" * (mebibytes * 2**16)
    decoder = SSEDecoder()
    events: list[ServerSentEvent] = []
    for piece in pieces(b"data: " + data + b"\n\n", size):
        events += decoder.feed(piece)
    assert len(events) == 1
    assert events[0].data == data


def test_the_memory_for_an_event_in_tiny_pieces_is_about_twice_its_size() -> None:
    data = b"data: " + b"xy" * 50_000
    decoder = SSEDecoder()
    with memory():
        for piece in pieces(data, 2):
            decoder.feed(piece)
        assert len(decoder.flush()) == 1
        assert tracemalloc.get_traced_memory()[1] < 2.5 * len(data)


class CountingDecoder(SSEDecoder):
    """Counts the bytes that do not take the fast path."""

    slow = 0

    def _feed_lines(self, data: bytes, events: list[ServerSentEvent]) -> None:
        self.slow += len(data)
        super()._feed_lines(data, events)


@pytest.mark.parametrize(
    "event",
    [b"data: {}\n\n", b"data:{}\n\n", b"data: 0\n\n", b"event: e\ndata: {}\n\n"],
)
def test_only_the_first_of_many_like_events_is_read_line_by_line(event: bytes) -> None:
    decoder = CountingDecoder()
    other = b"data:no space\n\n"
    decoder.feed(other)
    assert len(decoder.feed(event * 1000)) == 1000
    for _ in range(1000):
        assert len(decoder.feed(event)) == 1
    assert decoder.slow <= len(other + event)


def test_the_first_data_line_with_a_space_is_not_read_line_by_line() -> None:
    decoder = CountingDecoder()
    assert decoder.feed(b"data: {}\n\n") == [ServerSentEvent(b"{}")]
    assert decoder.slow == 0


@pytest.mark.parametrize("cut", [3, -2, -1])
def test_after_an_event_in_two_pieces_the_next_are_not_read_line_by_line(cut: int) -> None:
    event = b"data: {}\n\n"
    decoder = CountingDecoder()
    assert decoder.feed(event[:cut]) == []
    assert len(decoder.feed(event[cut:] + event * 1000)) == 1001
    assert decoder.slow <= len(event) * 2


def test_31_names_in_short_lines_are_known_and_others_read_line_by_line() -> None:
    events = [b"event: %d\ndata: {}\n\n" % i for i in range(40)]
    decoder = CountingDecoder()
    assert len(decoder.feed(b"".join(events))) == 40
    before = decoder.slow
    assert len(decoder.feed(b"".join(events))) == 40
    assert decoder.slow - before == len(b"".join(events[31:]))


@pytest.mark.parametrize(("length", "known"), [(64, True), (65, False)])
def test_the_longest_line_of_a_known_name(length: int, known: bool) -> None:
    event = b"event: ".ljust(length, b"x") + b"\ndata: {}\n\n"
    decoder = CountingDecoder()
    decoder.feed(event)
    decoder.feed(event)
    assert decoder.slow == len(event) * (1 if known else 2)


def test_the_name_of_many_events_is_one_string_in_memory() -> None:
    first, second = SSEDecoder().feed(b"event: a name\r\ndata: x\r\n\r\n" * 2)
    assert first.event is second.event


# --- cuts -------------------------------------------------------------------------------------

SHORT = [
    b"data:a\n\ndat",
    b"data:\r\n\r\n\n",
    b"data\r\r\n\ndata",
    BOM + b"data:\r\n\r",
    "data:\N{GRINNING FACE}\n\n".encode(),
    b"event:e\ndata\n",
    b"id:\0\ndata:a\r",
    b":\rdata\r\n\r\n",
    b"error:x\n\n\n",
    b"retry:5\n\r\n",
    b"xdata: a\n\n",
]


@pytest.mark.parametrize("stream", SHORT)
@pytest.mark.parametrize("make", [lenient, strict], ids=["lenient", "strict"])
def test_a_short_stream_is_read_alike_at_all_its_cuts(stream: bytes, make: MakeDecoder) -> None:
    expected = outcome([stream], make)
    gaps = range(1, len(stream))
    for count in range(len(stream)):
        for cuts in combinations(gaps, count):
            assert outcome(cut_at(stream, cuts), make) == expected


@pytest.mark.parametrize("stream", TRANSCRIPTS)
@pytest.mark.parametrize("make", [lenient, strict], ids=["lenient", "strict"])
def test_a_transcript_is_read_alike_at_every_cut_in_two(stream: bytes, make: MakeDecoder) -> None:
    expected = outcome([stream], make)
    for i in range(len(stream)):
        assert outcome(cut_at(stream, [i]), make) == expected


FRAGMENTS = [
    *(b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r", b" ", b":", b"\0", b"\xff", b"!", b"{}"),
    *(BOM, b"\xef", b"\xbb", b"\xbf", "\N{GRINNING FACE}\u2028".encode()),
    *(b"data:", b"data: ", b"data", b"event:", b"event: e", b"id:", b"id: 7", b"retry: 3"),
    *(b"error:", b"error: {}", b": ping\n\n", b"x: y\n"),
    *(b"{", b"}", b"[", b"]", b'{"a": 1}\n', b'[\n"data: x"\n]\n\n', b'{"a": 1}\n\n'),
    *(b"data: {}\n\n", b"data:{}\n\n", b"event: e\ndata: {}\n\n", b"data: {}\r\n\r\n"),
    *(b"data: {}\ndata: {}\n\n", b"event: e\ndata: {}\nid: 8\n\n", b"data: \n\n"),
    *(b"data: x\n" * 9, b"data\n" * 9, b"z" * 700),
]
streams = st.one_of(
    st.binary(max_size=64), st.lists(st.sampled_from(FRAGMENTS), max_size=24).map(b"".join)
)
cut_lists = st.lists(st.integers(0, 3000) | st.integers(0, 60), max_size=12)
decoders: st.SearchStrategy[MakeDecoder] = st.builds(
    lambda **options: partial(SSEDecoder, **options),
    max_event_bytes=st.sampled_from([1, 40, 500, DEFAULT_MAX_EVENT_BYTES]),
    flush_at_end=st.booleans(),
    error_field=st.booleans(),
    ignore_empty=st.booleans(),
    bare_json=st.booleans(),
)


@given(streams, cut_lists, decoders)
def test_any_bytes_at_any_cuts_give_the_same_outcome(
    stream: bytes, cuts: list[int], make: MakeDecoder
) -> None:
    expected = outcome([stream], make)
    assert outcome(cut_at(stream, cuts), make) == expected
    assert outcome(bytewise(stream), make) == expected


@given(streams, decoders)
def test_an_event_is_delivered_with_the_byte_that_completes_it(
    stream: bytes, make: MakeDecoder
) -> None:
    delivered: list[ServerSentEvent] = []
    decoder = make()
    for i, byte in enumerate(bytewise(stream), 1):
        delivered += decoder.feed(byte)
        assert make().feed(stream[:i]) == delivered
        if decoder.error is not None:
            break


# --- JSON without a field ---------------------------------------------------------------------

ERROR = b'{\n  "error": {\n    "code": 503,\n    "message": "event: x"\n  }\n}'
HELLO = ServerSentEvent(b"{}")


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
@pytest.mark.parametrize(
    "text", [ERROR, b"[" + ERROR + b"]", b'{"error":"x"}', b"[\n]", b"[1e999]"]
)
def test_json_after_an_event_is_an_event(text: bytes, end: bytes) -> None:
    assert read(b"data: {}\n\n" + text + end) == [HELLO, ServerSentEvent(text)]


def test_json_is_read_alike_whatever_ends_its_lines() -> None:
    for ending in (b"\r", b"\r\n"):
        stream = (b"data: {}\n\n" + ERROR).replace(b"\n", ending)
        assert read(stream) == [HELLO, ServerSentEvent(ERROR)]


def test_each_block_may_hold_json() -> None:
    events = [HELLO, HELLO, ServerSentEvent(b"[]"), HELLO]
    assert read(b"{}\n\ndata: {}\n\n[]\n\n{}") == events


@pytest.mark.parametrize("line", [b"Xyz", b"x", b"0"])
def test_another_line_before_json_is_no_part_of_it(line: bytes) -> None:
    assert read(line + b"\n{}\n\n") == [HELLO]


def test_json_comes_after_the_other_events_of_its_block() -> None:
    stream = b'event: e\n{"a":\ndata: {}\nerror: no\n: hi\nretry: x\nid: \0\n1}\nid: 7\n\n'
    assert read(stream) == [
        ServerSentEvent(b"{}", "e", "7"),
        ServerSentEvent(b"no", "error", "7"),
        ServerSentEvent(b'{"a":\n1}', "e", "7"),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        b"[DONE]",
        b"[info] hello",
        b'{"error": {\n',
        b',"a"',
        b'["a",\n"b"',
        b' {"a": 1}',
        b'"a"',
        b"x: {}",
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_other_lines_are_ignored_as_the_standard_says(lines: bytes) -> None:
    assert outcome([b"data: {}\n\n" + lines + b"\n\ndata: {}\n\n"]).events == [HELLO, HELLO]


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        (b'{"a": 1}\n{"b": 2}', [b'{"a": 1}', b'{"b": 2}']),
        (ERROR + b"\n" + ERROR, [ERROR, ERROR]),
        (b",\n" + ERROR + b"\n]", [ERROR]),
        (b"," + ERROR + b"]", [ERROR]),
        (b"[" + ERROR, [ERROR]),
        (b"[{}\n,\n" + ERROR + b"\n,\n{", [b"{}", ERROR]),
        (b'{"cut":\n' + ERROR, [ERROR]),
    ],
)
def test_lines_that_are_no_json_together_may_be_several(lines: bytes, texts: list[bytes]) -> None:
    events = [ServerSentEvent(text) for text in texts]
    assert read(b"data: {}\n\n" + lines + b"\n\n") == [HELLO, *events]
    assert read(b"data: {}\n\n" + lines.replace(b"\n", b"\r\n")) == [HELLO, *events]


def test_json_without_a_field_can_be_left_to_the_standard() -> None:
    make = partial(SSEDecoder, bare_json=False)
    assert read(b"data: {}\n\n" + ERROR, make) == [HELLO]


def test_json_without_a_field_may_weigh_what_an_event_may() -> None:
    make = partial(SSEDecoder, max_event_bytes=5000)
    stream = b"[\n" + b"1,\n" * 2000
    for chunks in ([stream], bytewise(stream)):
        result = outcome(chunks, make)
        assert result.events == []
        assert result.error is not None
        assert result.error[0] is EventTooLarge


# --- the standard -----------------------------------------------------------------------------


def by_the_standard(stream: bytes) -> list[ServerSentEvent]:
    """The standard's algorithm, word for word, for a whole stream."""
    lines = re.split("\r\n|\r|\n", stream.removeprefix(BOM).decode("utf-8", "surrogateescape"))
    events: list[ServerSentEvent] = []
    data, event, last_id = "", "", ""
    for line in lines[:-1]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line and data:
            raw = data.removesuffix("\n").encode("utf-8", "surrogateescape")
            events.append(ServerSentEvent(raw, replaced(event), replaced(last_id)))
        if not line:
            data, event = "", ""
        elif field == "event":
            event = value
        elif field == "data":
            data += value + "\n"
        elif field == "id" and "\0" not in value:
            last_id = value
    return events


def replaced(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@given(streams)
def test_strictly_any_bytes_are_read_as_the_standard_says(stream: bytes) -> None:
    assert outcome([stream], strict).events == by_the_standard(stream)


# --- the recorded cases -----------------------------------------------------------------------


@needs_corpus
def test_all_128_cases_of_other_parsers_suites_are_read_as_expected() -> None:
    assert len(sse_cases()) == 128
    assert wrong_sse_cases() == set()
