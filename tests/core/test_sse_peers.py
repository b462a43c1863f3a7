"""What other libraries' readers of server-sent events make of the same bytes.

The ways in which they differ from :class:`~dhenara_stream.core.sse.SSEDecoder` are a closed list,
:data:`DIFFERENCES`. Each is shown by a stream; what is left when all are set aside is none, for any
bytes at any cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from anthropic._streaming import SSEDecoder as AnthropicDecoder
from core.test_sse import BOM, cut_lists, outcome, streams
from httpx_sse import EventSource
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder as OpenAIDecoder
from reading import bytewise, cut_at

from dhenara_stream.core.sse import ServerSentEvent, SSEDecoder

Event = tuple[str, str, str]
"""Data, name and id."""


def httpx_sse(chunks: Iterable[bytes]) -> Iterator[Any]:
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return EventSource(httpx.Response(200, headers=headers, content=iter(chunks))).iter_sse()


def openai(chunks: Iterable[bytes]) -> Iterator[Any]:
    return OpenAIDecoder().iter_bytes(iter(chunks))


def anthropic(chunks: Iterable[bytes]) -> Iterator[Any]:
    return AnthropicDecoder().iter_bytes(iter(chunks))


PEERS: dict[str, Callable[[Iterable[bytes]], Iterator[Any]]] = {
    "httpx-sse": httpx_sse,
    "openai": openai,
    "anthropic": anthropic,
}
SDKS = ("openai", "anthropic")


def theirs(peer: str, chunks: Iterable[bytes]) -> tuple[list[Event], bool]:
    """Their events, and whether bytes that are not UTF-8 ended them."""
    events: list[Event] = []
    try:
        for event in PEERS[peer](chunks):
            name = None if event.event == "message" else event.event
            events.append((event.data, name or "", event.id or ""))
    except UnicodeDecodeError:
        return events, True
    return events, False


def ours(events: Iterable[ServerSentEvent]) -> list[Event]:
    return [
        (e.data.decode("utf-8", "replace"), "" if e.event == "message" else e.event, e.id)
        for e in events
    ]


# --- the differences --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A way in which other readers differ.

    Attributes:
        why: What is different, and for what reason.
        stream: Bytes that show it.
        ours: The events that we read there.
        theirs: Those of the others.
        peers: Who they are.
    """

    why: str
    stream: bytes
    ours: list[Event]
    theirs: list[Event] = field(default_factory=list[Event])
    peers: tuple[str, ...] = tuple(PEERS)


DIFFERENCES = {
    "byte order mark": Difference(
        why="the standard skips it; they take it for a part of the first field's name",
        stream=BOM + b"data: a\n\ndata: b\n\n",
        ours=[("a", "", ""), ("b", "", "")],
        theirs=[("b", "", "")],
    ),
    "no data": Difference(
        why="the standard makes no event of a block without data lines; they do, where it has a "
        "name, an id or a retry",
        stream=b"event: ping\n\nretry: 5\n\ndata: a\n\n",
        ours=[("a", "", "")],
        theirs=[("", "ping", ""), ("", "", ""), ("a", "", "")],
    ),
    "sticky id": Difference(
        why="once an id is known, each blank line is an event to them",
        stream=b"id: 7\ndata: a\n\n\n",
        ours=[("a", "", "7")],
        theirs=[("a", "", "7"), ("", "", "7")],
    ),
    "empty data": Difference(
        why="the standard delivers them; no model server means anything by them (ignore_empty)",
        stream=b"data\n\ndata: a\n\n",
        ours=[("a", "", "")],
        theirs=[("", "", ""), ("a", "", "")],
    ),
    "end without a blank line": Difference(
        why="servers forget it; whether it is half an event, its JSON tells (flush_at_end)",
        stream=b"data: a\n\ndata: b",
        ours=[("a", "", ""), ("b", "", "")],
        theirs=[("a", "", "")],
    ),
    "error lines": Difference(
        why="llama.cpp reports errors so; the standard ignores them (error_field)",
        stream=b"data: a\n\nerror: b\n\n",
        ours=[("a", "", ""), ("b", "error", "")],
        theirs=[("a", "", "")],
    ),
    "bare JSON": Difference(
        why="Google's servers end a stream with an error so; it is no field (bare_json)",
        stream=b'data: a\n\n{"error": 1}\n\n',
        ours=[("a", "", ""), ('{"error": 1}', "", "")],
        theirs=[("a", "", "")],
    ),
    "bytes that are not UTF-8": Difference(
        why="one wrong byte ends their stream with a UnicodeDecodeError; here, the data are the "
        "dialect's to decode",
        stream=b"data: a\n\ndata: \xff\n\ndata: b\n\n",
        ours=[("a", "", ""), ("\ufffd", "", ""), ("b", "", "")],
        theirs=[("a", "", "")],
        peers=SDKS,
    ),
}


@pytest.mark.parametrize(
    ("name", "peer"), [(name, peer) for name, row in DIFFERENCES.items() for peer in row.peers]
)
def test_a_known_difference_is_one(name: str, peer: str) -> None:
    row = DIFFERENCES[name]
    for chunks in ([row.stream], bytewise(row.stream)):
        assert ours(outcome(chunks).events) == row.ours, row.why
        assert theirs(peer, chunks)[0] == row.theirs, row.why


# --- and there is no other --------------------------------------------------------------------

# What other readers have taken for the end of a line, and what `int` takes for digits.
ODDITIES = [
    *(text.encode() for text in ("\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")),
    *("retry: \N{ARABIC-INDIC DIGIT THREE}\n".encode(), b"retry: 1_0\n", b"retry: +5\n"),
    *(b"id: 7\n", b"id: \0\n", b"id\n", b"event: message\n", b"data: x\r\rdata: y\r\n\n"),
]
LINES = [*ODDITIES, b"data: a", b"data:b", b"event: e", b": c", b"\n", b"\r", b"\r\n", b"\n\n"]
byte_streams = st.one_of(
    streams,
    st.lists(st.sampled_from(LINES), max_size=24).map(b"".join),
    st.lists(st.text("a:\r\n \u2028\x85", max_size=6), max_size=12).map(
        lambda texts: "".join(f"data: {text}\n\n" for text in texts).encode()
    ),
)
plain = partial(SSEDecoder, flush_at_end=False, error_field=False, bare_json=False)


@pytest.mark.parametrize("peer", PEERS)
@given(stream=byte_streams, cuts=cut_lists)
def test_no_other_difference_is_found(peer: str, stream: bytes, cuts: list[int]) -> None:
    chunks = [chunk for chunk in cut_at(stream.removeprefix(BOM), cuts) if chunk]
    read, broken = theirs(peer, chunks)
    known = [event for event in read if event[0]]  # without those that have no data
    expected = ours(outcome([stream], plain).events)
    if broken:
        assert peer in DIFFERENCES["bytes that are not UTF-8"].peers
        expected = expected[: len(known)]
    assert known == expected
