"""HTTP/1.1 on bytes: each request whole, byte by byte, and with more behind it."""

from __future__ import annotations

import pytest

from dhenara_stream.simulator.http1 import (
    MAX_HEAD_BYTES,
    BadRequest,
    Framing,
    Head,
    Request,
    RequestReader,
)

CASES = {
    "no body": (b"GET /x?a=b HTTP/1.1\r\nHost: h\r\n\r\n", b""),
    "sized": (b"POST /x?a=b HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc", b"abc"),
    "sized twice": (
        b"POST /x?a=b HTTP/1.1\r\nhost: h\r\ncontent-length: 1, 1\r\n\r\na",
        b"a",
    ),
    "chunked": (
        (
            b"POST /x?a=b HTTP/1.1\r\nhost: h\r\ntransfer-encoding: Chunked\r\n\r\n"
            b"3\r\nabc\r\nA ;ext=1\r\n0123456789\r\n0\r\ntrailer: x\r\n\r\n"
        ),
        b"abc0123456789",
    ),
    "bare newlines": (b"POST /x?a=b HTTP/1.1\nhost: h\ncontent-length: 1\n\na", b"a"),
    "chunked with bare newlines": (
        b"POST /x?a=b HTTP/1.1\nhost: h\ntransfer-encoding: chunked\n\n1\na\n0\n\n",
        b"a",
    ),
    "empty lines first": (b"\r\n\r\nGET /x?a=b HTTP/1.1\r\nhost: h\r\n\r\n", b""),
    "absolute": (b"GET http://other:80/x?a=b HTTP/1.1\r\nhost: h\r\n\r\n", b""),
}


def reader(limit: int = 1000) -> RequestReader:
    return RequestReader(max_body_bytes=limit)


def read(data: bytes, limit: int = 1000) -> Request | None:
    machine = reader(limit)
    machine.feed(data)
    return machine.next_request()


@pytest.mark.parametrize(("data", "content"), CASES.values(), ids=CASES.keys())
def test_a_request_is_read(data: bytes, content: bytes) -> None:
    request = read(data)
    assert request is not None
    assert (request.path, request.query, request.body) == ("/x", "a=b", content)
    assert request.header("host") == "h"


@pytest.mark.parametrize(("data", "content"), CASES.values(), ids=CASES.keys())
def test_a_request_is_read_byte_by_byte(data: bytes, content: bytes) -> None:
    machine = reader()
    for byte in data[:-1]:
        machine.feed(bytes([byte]))
        assert machine.next_request() is None
    machine.feed(data[-1:])
    request = machine.next_request()
    assert request is not None
    assert request.body == content
    assert machine.buffered == 0


@pytest.mark.parametrize(("data", "content"), CASES.values(), ids=CASES.keys())
def test_what_comes_behind_is_the_next_request(data: bytes, content: bytes) -> None:
    machine = reader()
    machine.feed(data + data)
    assert machine.buffered == 2 * len(data)
    first, second = machine.next_request(), machine.next_request()
    assert first == second
    assert first is not None
    assert first.body == content
    assert machine.next_request() is None


def test_headers_are_lower_case_and_joined() -> None:
    request = read(b"GET / HTTP/1.1\r\nHost: h\r\nX-A: 1 \r\nx-a:2\r\nEmpty:\r\n\r\n")
    assert request is not None
    assert request.headers == (("host", "h"), ("x-a", "1"), ("x-a", "2"), ("empty", ""))
    assert request.header("x-a") == "1, 2"
    assert request.header("x-b") is None


def test_a_path_with_two_slashes_is_no_host() -> None:
    request = read(b"GET //v1/x HTTP/1.1\r\nhost: h\r\n\r\n")
    assert request is not None
    assert request.path == "//v1/x"


def test_keep_alive_is_what_the_client_wants() -> None:
    stays = read(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
    leaves = read(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: x, Close\r\n\r\n")
    assert stays is not None
    assert stays.keep_alive
    assert leaves is not None
    assert not leaves.keep_alive


def test_continue_is_wanted_once_and_only_while_the_body_is_missing() -> None:
    machine = reader()
    assert not machine.wants_continue()
    head = b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-Continue\r\ncontent-length: 2\r\n\r\n"
    machine.feed(head)
    assert machine.next_request() is None
    assert machine.wants_continue()
    assert not machine.wants_continue()
    machine.feed(b"ab")
    request = machine.next_request()
    assert request is not None
    assert request.body == b"ab"


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"GET /\r\n\r\n", 400, "request line"),
        (b"G(T / HTTP/1.1\r\nhost: h\r\n\r\n", 400, "request line"),
        (b"\x16\x03\x01\x00\r\n\r\n", 400, "request line"),
        (b"GET / HTTP/1.0\r\nhost: h\r\n\r\n", 505, "HTTP/1.0"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "host"),
        (b"GET / HTTP/1.1\r\nhost: h\r\nhost: i\r\n\r\n", 400, "host"),
        (b"GET / HTTP/1.1\r\nhost: h\r\nsecret\r\n\r\n", 400, "Header line 2"),
        (b"GET / HTTP/1.1\r\nhost: h\r\n folded\r\n\r\n", 400, "Header line 2"),
        (b"GET / HTTP/1.1\r\nhost: h\r\na: \x00\r\n\r\n", 400, "Header line 2"),
        (b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: x\r\n\r\n", 400, "content-length"),
        (b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 1, 2\r\n\r\n", 400, "content-length"),
        (b"GET / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip\r\n\r\n", 501, "'gzip'"),
        (
            b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            400,
            "Both",
        ),
        (b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 11\r\n\r\n", 413, "larger than 10"),
        (b"a" * (MAX_HEAD_BYTES + 1), 431, "head is larger"),
        (b"GET / HTTP/1.1\r\na: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n", 431, "head is larger"),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, status: int, message: str) -> None:
    with pytest.raises(BadRequest, match=message) as caught:
        read(data, limit=10)
    assert caught.value.status == status
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"x\r\n", 400, "size of a chunk"),
        (b"1;" + b"x" * 2000, 400, "size of a chunk"),
        (b"3\r\nabcd\r\n", 400, "longer than it says"),
        (b"3\r\nabcx", 400, "longer than it says"),
        (b"3\r\nabc\rx", 400, "longer than it says"),
        (b"B\r\n", 413, "larger than 10"),
        (b"6\r\n123456\r\n6\r\n", 413, "larger than 10"),
        (b"0\r\n" + b"x" * (MAX_HEAD_BYTES + 1), 431, "trailer"),
    ],
)
def test_what_is_no_chunk_is_refused(data: bytes, status: int, message: str) -> None:
    head = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
    with pytest.raises(BadRequest, match=message) as caught:
        read(head + data, limit=10)
    assert caught.value.status == status


def test_a_response_is_chunked_unless_it_has_a_length() -> None:
    framing = Framing(Head(200, (("a", "b"),)))
    assert framing.head() == b"HTTP/1.1 200 OK\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n"
    assert framing.data(b"0123456789abcdefg") == b"11\r\n0123456789abcdefg\r\n"
    assert framing.data(b"") == b""
    assert framing.torn(b"abcd") == b"4\r\nab"
    assert framing.end() == b"0\r\n\r\n"


def test_a_response_with_a_length_is_plain() -> None:
    framing = Framing(Head(529, (("content-length", "4"),)), keep_alive=False)
    assert framing.head() == (
        b"HTTP/1.1 529 Site Overloaded\r\ncontent-length: 4\r\nconnection: close\r\n\r\n"
    )
    assert framing.data(b"abcd") == b"abcd"
    assert framing.torn(b"abcd") == b"ab"
    assert framing.end() == b""


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 204), ("POST", 304)])
def test_a_response_without_a_body(method: str, status: int) -> None:
    framing = Framing(Head(status, ()), method=method)
    assert b"transfer-encoding" not in framing.head()
    assert framing.data(b"abc") + framing.end() == b""


def test_a_status_that_nobody_knows() -> None:
    assert Framing(Head(599, ())).head().startswith(b"HTTP/1.1 599 Unknown\r\n")
