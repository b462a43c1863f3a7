"""The framing of Amazon's event streams: whole, at every cut, and broken in every way."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import random
import struct
import zipfile
from typing import Any

import pytest
from corpus import CORPUS, needs_corpus

from dhenara_stream.core import aws_eventstream
from dhenara_stream.core.aws_eventstream import AWSEventStreamDecoder, encode_frame
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.errors import EventTooLarge, ProtocolError

TRANSCRIPT = (
    bytes.fromhex("000000e20000004bd638d3ce")
    + bytes.fromhex("0b3a6576656e742d747970650700056368756e6b")
    + bytes.fromhex("0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e")
    + bytes.fromhex("0d3a6d6573736167652d747970650700056576656e74")
    + b'{"bytes":"eyJ0eXBlIjoiY29udGVudF9ibG9ja19kZWx0YSIsImluZGV4IjowLCJkZWx0YSI6eyJ0eXBlIjoid'
    b'GV4dF9kZWx0YSIsInRleHQiOiJIaSJ9fQ==","p":"abcd"}' + bytes.fromhex("528ecb0b")
)
HI = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}'
LIMIT = 2**20


def text_header(name: str, value: str) -> bytes:
    data = value.encode()
    return header(name, 7, struct.pack(">H", len(data)) + data)


def header(name: str, kind: int, value: bytes) -> bytes:
    return bytes([len(name)]) + name.encode() + bytes([kind]) + value


def frame(headers: bytes, payload: bytes = b"") -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    data = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + payload
    return data + struct.pack(">I", binascii.crc32(data))


def event(data: bytes, kind: str = "chunk") -> bytes:
    payload = json.dumps({"bytes": base64.b64encode(data).decode(), "p": "ab"}).encode()
    return encode_frame({":message-type": "event", ":event-type": kind}, payload)


def exception(name: str, payload: bytes) -> bytes:
    return encode_frame({":message-type": "exception", ":exception-type": name}, payload)


def decode(data: bytes, *cuts: int) -> list[ServerSentEvent]:
    decoder = AWSEventStreamDecoder(max_event_bytes=LIMIT)
    edges = [0, *cuts, len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    events = [event for piece in pieces for event in decoder.feed(piece)]
    if decoder.error is not None:
        raise decoder.error
    return events + decoder.flush()


def error_of(data: bytes) -> dict[str, object]:
    (event,) = decode(data)
    assert event.event == "error"
    told: dict[str, Any] = json.loads(event.data)
    assert told["type"] == "error"
    error: dict[str, object] = told["error"]
    return error


# --- what comes out


def test_the_transcript() -> None:
    assert len(TRANSCRIPT) == 226
    assert decode(TRANSCRIPT) == [ServerSentEvent(HI)]
    assert event(HI) != TRANSCRIPT
    assert decode(event(HI)) == [ServerSentEvent(HI)]


def test_a_frame_is_encoded_as_the_service_does() -> None:
    headers = {
        ":event-type": "chunk",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert encode_frame(headers, TRANSCRIPT[12 + 75 : -4]) == TRANSCRIPT
    long = "v\N{GREEK SMALL LETTER ALPHA}" * 200
    assert encode_frame({"name": long}, b"") == frame(text_header("name", long))


def test_every_cut_gives_the_same_events() -> None:
    data = TRANSCRIPT + event(b'{"a":1}') + exception("throttlingException", b"{}") + TRANSCRIPT
    whole = decode(data)
    assert len(whole) == 4
    for cut in range(len(data) + 1):
        assert decode(data, cut) == whole
    assert decode(data, *range(1, len(data))) == whole


def test_headers_of_all_types_are_passed_over() -> None:
    others = [
        *(header("true", 0, b""), header("false", 1, b""), header("byte", 2, b"x")),
        *(header("short", 3, b"xx"), header("int", 4, b"x" * 4), header("long", 5, b"x" * 8)),
        *(header("bytes", 6, b"\0\2\xff\xfe"), header("time", 8, b"x" * 8)),
        header("uuid", 9, b"x" * 16),
    ]
    told = text_header(":event-type", "chunk") + text_header(":message-type", "event")
    payload = json.dumps({"bytes": base64.b64encode(HI).decode()}).encode()
    assert decode(frame(b"".join(others) + told, payload)) == [ServerSentEvent(HI)]


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    "payload",
    [b'{"metrics":{}}', b"no json", b'{"bytes":"?"}', b'{"bytes":"\xff"}', b'{"a":%s}' % DEEP],
    ids=["other", "no JSON", "no base64", "no UTF-8", "deep"],
)
def test_an_event_of_bedrocks_own_comes_as_it_is(payload: bytes) -> None:
    told = text_header(":message-type", "event") + text_header(":event-type", "metadata")
    assert decode(frame(told, payload)) == [ServerSentEvent(payload, "metadata")]


# --- errors inside a stream


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("throttlingException", "rate_limit_error", 429),
        ("validationException", "invalid_request_error", 400),
        ("internalServerException", "api_error", 500),
        ("modelStreamErrorException", "api_error", 424),
        ("modelTimeoutException", "timeout_error", 408),
        ("serviceUnavailableException", "overloaded_error", 503),
        ("somethingNewException", "somethingNewException", 500),
    ],
)
def test_an_exception_is_an_error(name: str, kind: str, status: int) -> None:
    payload = b'{"message":"Too many tokens","originalStatusCode":500}'
    assert error_of(exception(name, payload)) == {
        "type": kind,
        "status": status,
        "message": "Too many tokens",
        "aws": json.loads(payload),
    }


def test_an_event_that_is_an_exception_by_its_type() -> None:
    told = text_header(":message-type", "event")
    told += text_header(":event-type", "throttlingException")
    error = error_of(frame(told, b'{"Message":"slow"}'))
    assert (error["status"], error["message"]) == (429, "slow")


@pytest.mark.parametrize(
    ("headers", "payload", "kind", "message"),
    [
        ({":error-code": "Oops", ":error-message": "It broke"}, b"", "Oops", "It broke"),
        ({":error-code": "Oops"}, b"plain words", "Oops", "plain words"),
        ({":error-code": "Oops"}, b"\xff", "Oops", "\N{REPLACEMENT CHARACTER}"),
        ({":error-code": "Oops"}, b'{"a":"\xff"}', "Oops", '{"a":"\N{REPLACEMENT CHARACTER}"}'),
        ({":error-code": "Oops"}, b"", "Oops", "Oops"),
        ({}, b"[]", "api_error", "[]"),
        ({}, b"", "api_error", ""),
        pytest.param({}, DEEP, "api_error", DEEP.decode(), id="deep"),
    ],
)
def test_an_error_message(headers: dict[str, str], payload: bytes, kind: str, message: str) -> None:
    told = b"".join(text_header(*item) for item in {":message-type": "error", **headers}.items())
    error = error_of(frame(told, payload))
    assert error == {"type": kind, "status": 500, "message": message, "aws": {}}


# --- what is no event stream


def broken(data: bytes) -> ProtocolError:
    """The error that the bytes end with, the same whole and byte by byte."""
    found: list[ProtocolError] = []
    for cuts in ((), range(1, len(data))):
        with pytest.raises(ProtocolError) as caught:
            decode(data, *cuts)
        found.append(caught.value)
    assert str(found[0]) == str(found[1])
    return found[0]


@pytest.mark.parametrize("at", range(len(TRANSCRIPT)))
def test_a_bit_that_flipped_is_noticed(at: int) -> None:
    data = bytearray(TRANSCRIPT)
    data[at] ^= 1
    where = " in its prelude" if at < 12 else ""
    message = f"an AWS event-stream frame has a wrong checksum{where}"
    assert broken(bytes(data)).message == message


def prelude(total: int, headers: int) -> bytes:
    data = struct.pack(">II", total, headers)
    return data + struct.pack(">I", binascii.crc32(data))


@pytest.mark.parametrize(
    ("total", "headers"),
    [(0, 0), (15, 0), (20, 5), (2**31, 128 * 1024 + 1)],
    ids=["empty", "less than a frame", "more headers than frame", "too many headers"],
)
def test_lengths_that_cannot_be(total: int, headers: int) -> None:
    message = "an AWS event-stream frame has lengths that cannot be"
    assert broken(prelude(total, headers)).message == message


def test_a_frame_that_is_too_large_is_refused_before_it_is_there() -> None:
    error = broken(prelude(LIMIT + 1, 0))
    assert isinstance(error, EventTooLarge)
    assert error.message == (
        "an event of 1048577 bytes exceeds max_event_bytes (1048576); raise that limit if events "
        "of this size are meant"
    )


def test_frames_and_headers_as_large_as_their_limits_pass() -> None:
    told = text_header(":message-type", "event") + text_header(":event-type", "x")
    payload = b"x" * (LIMIT - 16 - len(told))
    assert decode(frame(told, payload)) == [ServerSentEvent(payload, "x")]
    told += header("y", 9, b"x" * 16) * ((128 * 1024 - len(told)) // 19)
    told += header("y" * (128 * 1024 - len(told) - 2), 0, b"")
    assert len(told) == 128 * 1024
    assert decode(frame(told)) == [ServerSentEvent(b"", "x")]


UNREADABLE = "an AWS event-stream frame has headers that cannot be read"
HEADER_CUT = "an AWS event-stream frame has a header that is cut"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (b"\x05abc", UNREADABLE),
        (b"\x01", UNREADABLE),
        (header("a", 10, b""), UNREADABLE),
        (header("a", 7, b"\0\x05abc"), HEADER_CUT),
        (header("a", 7, b"\0\1\xff"), UNREADABLE),
        (b"\x01\xff\x00", UNREADABLE),
        (header("a", 5, b"1234"), HEADER_CUT),
    ],
    ids=["name cut", "no type", "a new type", "text cut", "no UTF-8", "name no UTF-8", "cut"],
)
def test_headers_that_cannot_be_read(headers: bytes, message: str) -> None:
    assert broken(frame(headers)).message == message


def test_events_before_an_error_are_not_lost_and_nothing_comes_after() -> None:
    decoder = AWSEventStreamDecoder(max_event_bytes=LIMIT)
    assert decoder.feed(TRANSCRIPT + b"\xff" * 16) == [ServerSentEvent(HI)]
    assert decoder.error is not None
    with pytest.raises(ProtocolError, match="prelude"):
        decoder.feed(TRANSCRIPT)
    with pytest.raises(ProtocolError, match="prelude"):
        decoder.flush()


def test_a_frame_that_is_cut_is_no_event() -> None:
    decoder = AWSEventStreamDecoder(max_event_bytes=LIMIT)
    assert decoder.feed(TRANSCRIPT + TRANSCRIPT[:-1]) == [ServerSentEvent(HI)]
    assert decoder.flush() == []


@pytest.mark.parametrize("held", [0, 1, 12, len(TRANSCRIPT) - 1])
def test_a_frame_under_way_is_known(held: int) -> None:
    decoder = AWSEventStreamDecoder(max_event_bytes=LIMIT)
    decoder.feed(TRANSCRIPT + TRANSCRIPT[:held])
    assert decoder.pending is (held > 0)


class CountingDecoder(AWSEventStreamDecoder):
    """Counts how often the pieces are joined and looked at."""

    looks = 0

    def _frame(self, buffer: bytes, at: int) -> memoryview | None:
        self.looks += 1
        return super()._frame(buffer, at)


def test_a_long_frame_in_small_pieces_is_joined_once() -> None:
    decoder = CountingDecoder(max_event_bytes=LIMIT)
    long = event(b"x" * 200_000)
    data = long + TRANSCRIPT + long
    events = [e for i in range(0, len(data), 16) for e in decoder.feed(data[i : i + 16])]
    assert [len(e.data) for e in events] == [200_000, len(HI), 200_000]
    assert decoder.looks < 10


def test_the_limits_are_those_of_the_reference_client() -> None:
    reference = pytest.importorskip("botocore.eventstream")
    assert reference._MAX_HEADERS_LENGTH == aws_eventstream.MAX_HEADERS


# --- what Bedrock really sent


def recorded() -> list[tuple[dict[str, Any], bytes]]:
    """The recorded event streams, each with what is known of it."""
    found: list[tuple[dict[str, Any], bytes]] = []
    with zipfile.ZipFile(CORPUS / "streams.zip") as archive:
        for name in archive.namelist():
            if name.startswith("other/") and name.endswith("/meta.json"):
                meta = json.loads(archive.read(name))
                if meta["content_type"] == "application/vnd.amazon.eventstream":
                    body = archive.read(name.replace("meta.json", "response.sse"))
                    found.append((meta, body))
    return found


@needs_corpus
def test_recorded_streams_decode_whole_and_in_pieces() -> None:
    streams = recorded()
    assert len(streams) > 100
    for meta, body in streams:
        whole = decode(body)
        assert whole
        cuts = sorted(random.Random(meta["id"]).sample(range(len(body)), min(20, len(body))))
        assert decode(body, *cuts) == whole
        for item in whole:
            json.loads(item.data)


@needs_corpus
def test_recorded_answers_of_claudes_are_whole_answers() -> None:
    whole = 0
    for meta, body in recorded():
        events = decode(body)
        if b'"message_start"' not in events[0].data:
            continue  # another model, or another API
        decoder = AnthropicDialect().decoder()
        for event in events:
            decoder.decode(event)
        assert decoder.complete, meta["id"]
        whole += 1
    assert whole > 40
