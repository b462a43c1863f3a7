"""Bodies of HTTP/1.1 responses, at any cut, as h11 reads them."""

import random
from collections.abc import Iterable
from itertools import combinations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhenara_stream.core.http1 import Body, ChunkedBody, SizedBody, UnsizedBody

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(chunks: Iterable[bytes], end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def read(body: Body, data: bytes, sizes: Iterable[int] = ()) -> bytes:
    """All of a body, fed in pieces of these sizes and the rest at once."""
    read, at = b"", 0
    for size in (*sizes, len(data)):
        read += body.feed(data[at : at + size])
        at += size
    return read


def as_h11_reads(data: bytes) -> tuple[bytes, bool]:
    """What h11 makes of a chunked body, and whether it is whole; an error says it is not."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(HEAD + data)
    read = b""
    try:
        while True:
            event = parser.next_event()
            if isinstance(event, h11.Data):
                read += event.data
            elif isinstance(event, h11.EndOfMessage):
                return read, True
            elif event is h11.NEED_DATA:
                return read, False
    except h11.RemoteProtocolError:
        return read, False


pieces = st.lists(st.integers(1, 12), max_size=60)
plain = st.binary(min_size=1, max_size=40)
with_line_ends = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b"0\r\n\r\n"]), min_size=1)


@given(st.lists(plain | with_line_ends.map(b"".join), max_size=12), pieces)
def test_a_body_in_chunks_comes_out_whole_at_any_cut(chunks: list[bytes], cuts: list[int]) -> None:
    body = ChunkedBody()
    assert read(body, chunked(chunks), cuts) == b"".join(chunks)
    assert body.ended
    assert not body.surplus
    assert body.error == ""
    assert body.lacks() == ""


def test_a_body_in_chunks_may_be_cut_in_three_anywhere() -> None:
    for chunks in ([b"abc", b"defgh", b"i"], [b"abcdefgh\r\nijkl"]):
        data = chunked(chunks)
        for first, second in combinations(range(len(data) + 1), 2):
            body = ChunkedBody()
            assert read(body, data, [first, second - first]) == b"".join(chunks)
            assert body.ended


@pytest.mark.parametrize("size", [15, 16, 255, 256, 4095, 4096, 65_536])
def test_a_chunk_of_any_size_comes_out_in_one_piece(size: int) -> None:
    body = ChunkedBody()
    data = chunked([b"x" * size], end=b"")
    assert body.feed(data) == b"x" * size
    assert (body.feed(data), body.error) == (b"x" * size, "")


@given(
    st.lists(
        st.sampled_from([b"3", b"\r\n", b"\r", b"abc", b"0", b"00", b";x=1", b" ", b"x: y", b"g"]),
        max_size=14,
    ).map(b"".join),
    pieces,
)
def test_what_may_be_no_body_is_read_as_h11_reads_it(data: bytes, cuts: list[int]) -> None:
    body = ChunkedBody()
    got = read(body, data, cuts)
    expected, whole = as_h11_reads(data)
    assert body.ended == whole or b"\r\n" in data.partition(b"0")[2]  # h11 looks at trailers
    if body.ended == whole:
        assert got == expected


@given(st.lists(plain, min_size=1, max_size=6), st.integers(0, 200))
def test_a_body_that_breaks_off_lacks_its_last_chunk(chunks: list[bytes], end: int) -> None:
    data = chunked(chunks)
    body = ChunkedBody()
    end = min(end, len(data) - 1)
    assert b"".join(chunks).startswith(read(body, data[:end]))
    assert not body.ended
    assert body.lacks() == "the last chunk of the body is missing"


@pytest.mark.parametrize(
    "size", [b"", b"x", b"-1", b"+1", b"0x1", b"1_0", b" 1", "١".encode(), b"1" * 17, b"1 1"]
)
def test_what_is_no_size_of_a_chunk_is_an_error_after_what_came_before(size: bytes) -> None:
    body = ChunkedBody()
    assert body.feed(b"2\r\nab\r\n" + size + b"\r\n") == b"ab"
    assert body.error.startswith("this is no size of a chunk of the body")
    assert not body.ended


@pytest.mark.parametrize("cut", range(5))
def test_before_one_byte_too_what_is_no_size_is_an_error(cut: int) -> None:
    body = ChunkedBody()
    assert read(body, b"x\r\na\r\n", [cut]) == b""
    assert body.error.startswith("this is no size of a chunk of the body")


def test_after_an_error_there_is_nothing_more() -> None:
    body = ChunkedBody()
    assert read(body, b"\r\n3\r\nabc\r\n0\r\n\r\n", [1, 1]) == b""
    assert body.error
    assert not body.ended


def test_sizes_may_have_leading_zeros_and_chunks_look_like_sizes() -> None:
    body = ChunkedBody()
    assert body.feed(b"2\r\nab\r\n001\r\n1\r\n02\r\n00\r\n000\r\n\r\n") == b"ab100"
    assert body.ended


def test_sizes_may_have_extensions_and_blanks_after_them() -> None:
    body = ChunkedBody()
    assert body.feed(b'2;a=1\r\nab\r\n1;b="c;d" \r\nc\r\n3 \t\r\ndef\r\n0;e\r\n\r\n') == b"abcdef"
    assert body.ended


@pytest.mark.parametrize(
    "data", [b"2\r\nabc\r\n", b"2\r\nab\n\r\n", b"2\r\nab\rX0\r\n", b"2\r\nabXY"]
)
@pytest.mark.parametrize("cut", [0, 3, 4, 5, 6])
def test_a_chunk_that_does_not_end_where_its_size_says_is_an_error(data: bytes, cut: int) -> None:
    body = ChunkedBody()
    assert read(body, data, [cut]) == b"ab"
    assert body.error == "a chunk of the body does not end where its size says"


@pytest.mark.parametrize("cuts", [(), [1] * 9000])
def test_a_size_that_does_not_end_is_an_error(cuts: list[int]) -> None:
    body = ChunkedBody()
    assert read(body, b"1\r\na\r\n1;" + b"x" * 8000, cuts) == b"a"
    assert body.error == "a line between the chunks of the body is too long"


def test_a_size_that_is_too_long_is_an_error_also_in_one_piece() -> None:
    body = ChunkedBody()
    assert body.feed(b"1\r\na\r\n1;" + b"x" * 5000 + b"\r\nb\r\n") == b"a"
    assert body.error == "a line between the chunks of the body is too long"


@pytest.mark.parametrize("cuts", [(), (6 + 4096,), (6 + 4097,)])
def test_a_size_may_have_four_kibibytes_with_its_extensions_at_any_cut(cuts: list[int]) -> None:
    body = ChunkedBody()
    assert read(body, b"1\r\na\r\n1;" + b"x" * 4094 + b"\r\nb\r\n0\r\n\r\n", cuts) == b"ab"
    assert body.ended
    body = ChunkedBody()
    assert read(body, b"1\r\na\r\n1;" + b"x" * 4095 + b"\r\nb\r\n0\r\n\r\n", cuts) == b"a"
    assert body.error == "a line between the chunks of the body is too long"
    body = ChunkedBody()
    assert body.feed(b"1;" + b"x" * 4096) == b""
    assert body.error == "a line between the chunks of the body is too long"


def test_trailers_are_skipped_at_any_cut() -> None:
    data = chunked([b"abc"], b"0\r\nx-sum: 1\r\ny: " + b"z" * 5000 + b"\r\n\r\n")
    for cuts in ((), [1] * len(data), [random.Random(1).randint(1, 30) for _ in range(300)]):
        body = ChunkedBody()
        assert read(body, data, cuts) == b"abc"
        assert body.ended
        assert not body.surplus


@pytest.mark.parametrize(
    ("trailers", "error"),
    [
        (b"a: b\r\n" * 12_000, "the fields after the body are too long"),
        (b"a" * 70_000, "a line between the chunks of the body is too long"),
        (b"a: b\r\n" * 2000 + b"a" * 5000, "a line between the chunks of the body is too long"),
    ],
)
def test_trailers_without_end_are_an_error(trailers: bytes, error: str) -> None:
    body = ChunkedBody()
    assert body.feed(chunked([b"abc"], b"0\r\n" + trailers)) == b"abc"
    assert body.error == error


@pytest.mark.parametrize("cuts", [(), [1] * 17_000])
def test_trailers_may_have_sixteen_kibibytes_with_the_blank_line(cuts: list[int]) -> None:
    end = b"0\r\na: b\r\nc: " + b"d" * (16 * 1024 - 13) + b"\r\n\r\n"
    body = ChunkedBody()
    assert read(body, chunked([b"abc"], end), cuts) == b"abc"
    assert body.ended
    body = ChunkedBody()
    assert read(body, chunked([b"abc"], end.replace(b"c", b"cc")), cuts) == b"abc"
    assert body.error == "the fields after the body are too long"
    assert not body.ended


def test_what_comes_after_the_body_is_surplus() -> None:
    body = ChunkedBody()
    assert body.feed(chunked([b"abc"]) + b"HTTP/1.1 200 OK") == b"abc"
    assert body.ended
    assert body.surplus


def test_the_work_for_a_large_chunk_in_small_pieces_grows_with_its_size_only() -> None:
    body = ChunkedBody()
    data = chunked([b"x" * 2_000_000])
    got = [body.feed(data[at : at + 700]) for at in range(0, len(data), 700)]
    assert sum(map(len, got)) == 2_000_000
    assert max(map(len, got)) <= 700  # nothing is gathered
    assert body.ended


def test_a_sized_body_ends_with_its_last_byte() -> None:
    body = SizedBody(5)
    assert body.feed(b"abc") == b"abc"
    assert body.lacks() == "2 bytes of the body are missing"
    assert body.feed(b"de") == b"de"
    assert body.ended
    assert not body.surplus
    assert body.lacks() == ""
    assert SizedBody(0).ended


def test_what_comes_after_a_sized_body_is_surplus() -> None:
    body = SizedBody(2)
    assert body.feed(b"abc") == b"ab"
    assert body.ended
    assert body.surplus


def test_a_body_without_size_ends_with_its_connection() -> None:
    body = UnsizedBody()
    assert body.feed(b"abc") == b"abc"
    assert not body.ended
    assert body.lacks() == ""
