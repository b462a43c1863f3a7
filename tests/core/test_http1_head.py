"""Heads of HTTP/1.1 responses: those that are read without h11 are read as h11 reads them."""

from itertools import chain

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dhenara_stream.core.http1 import Head, plain_head

LINE = b"HTTP/1.1 200 OK\r\n"
TYPE = b"content-type: text/event-stream\r\n"


def as_h11_reads(data: bytes) -> Head | None:
    """What h11 makes of the same bytes; nothing if it waits for more, or refuses them."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="POST", target="/", headers=[("host", "a")]))
    parser.receive_data(data)
    try:
        head = parser.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(head, h11.Response):
        return None
    headers: dict[str, str] = {}
    for name, value in head.headers:
        text = value.decode("ascii")
        key = name.decode("ascii")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Head(head.status_code, headers, parser.trailing_data[0])


@pytest.mark.parametrize(
    ("head", "status", "headers"),
    [
        (LINE + TYPE, 200, {"content-type": "text/event-stream"}),
        (b"HTTP/1.1 200\r\n" + TYPE, 200, {"content-type": "text/event-stream"}),
        (b"HTTP/1.1 204 No  Content\r\n", 204, {}),
        (LINE + b"Transfer-Encoding: chunked\r\n", 200, {"transfer-encoding": "chunked"}),
        (LINE + b"content-length: 000000000000000012\r\n", 200, {"content-length": f"{12:018}"}),
        (LINE + b"X-Empty:\r\nX-Blank: \t \r\n", 200, {"x-empty": "", "x-blank": ""}),
        (LINE + b"a: 1\r\nA:2\r\n", 200, {"a": "1, 2"}),
        (LINE + b"A: XbX\r\n", 200, {"a": "XbX"}),
        (LINE + b"date: Tue, 24 Nov 2026 17:00:00 GMT\t\r\n", 200, None),
        (b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\n", 429, {"retry-after": "7"}),
    ],
)
@pytest.mark.parametrize("rest", [b"", b"\r\n", b"5\r\nhello\r\n"])
def test_a_usual_head_is_read(
    head: bytes, status: int, headers: dict[str, str] | None, rest: bytes
) -> None:
    data = head + b"\r\n" + rest
    read = plain_head(data)
    assert read == as_h11_reads(data)
    assert read is not None
    assert (read.status, read.rest, read.persistent) == (status, rest, True)
    if headers is not None:
        assert read.headers == headers


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK",
        LINE,
        LINE + TYPE,
        LINE + TYPE + b"\r",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + LINE + b"\r\n",
        b"HTTP/1.1 600 What\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"\r\n" + LINE + b"\r\n",
        b"HTTP/1.1 200 OK\n\n",
        b"SSH-2.0\r\n\r\n",
        LINE + b"folded: a\r\n b\r\n\r\n",
        LINE + b"name : a\r\n\r\n",
        LINE + b"no colon\r\n\r\n",
        LINE + b": nameless\r\n\r\n",
        LINE + b"latin: \xe9\r\n\r\n",
        LINE + b"nul: a\0b\r\n\r\n",
        LINE + b"bare: a\rb\r\n\r\n",
        LINE + b"bare: a\nb: c\r\n\r\n",
        LINE + b"content-length: 1\r\nContent-Length: 1\r\n\r\n",
        LINE + b"content-length: 1, 1\r\n\r\n",
        LINE + b"content-length: -1\r\n\r\n",
        LINE + b"content-length: \r\n\r\n",
        LINE + b"content-length: 0000000000000000012\r\n\r\n",
        LINE + b"transfer-encoding: Chunked\r\n\r\n",
        LINE + b"transfer-encoding: gzip, chunked\r\n\r\n",
        LINE + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        LINE + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
    ],
)
def test_what_is_not_as_usual_is_left_to_h11(head: bytes) -> None:
    assert plain_head(head) is None


names = st.sampled_from(
    [b"a", b"B", b"content-length", b"Transfer-Encoding", b"connection", b"x y", b"", b"\xe9"]
)
values = st.sampled_from(
    [b"", b" ", b" b", b"\tc d ", b" 12", b" 1,1", b" +3", b" chunked", b" close", b"\x0b", b"\xe9"]
)
ends = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\n "])
fields = st.tuples(names, st.sampled_from([b":", b":", b" :", b""]), values, ends).map(b"".join)
lines = st.sampled_from(
    [LINE, b"HTTP/1.1 500 \r\n", b"HTTP/1.1 301\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 99\r\n"]
)


@given(lines, st.lists(fields, max_size=4), st.sampled_from([b"", b"\r\n", b"\r\nabc"]))
@example(LINE, [b"a: b\r\n"], b"\r\n\r\n\r\n")
def test_a_head_is_read_as_h11_reads_it_or_left_to_h11(
    line: bytes, fields: list[bytes], rest: bytes
) -> None:
    data = b"".join(chain([line], fields, [rest]))
    read = plain_head(data)
    assert read is None or read == as_h11_reads(data)
