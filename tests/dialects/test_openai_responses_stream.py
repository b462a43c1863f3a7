"""The answers of the Responses protocol. The invariant: any events give deltas, a ProviderError or
a ProtocolError, and what is told many times is said once."""

import itertools
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from corpus import needs_corpus, streams
from hypothesis import given
from hypothesis import strategies as st
from reading import accumulate, bytewise, decode

from dhenara_stream.core import deltas as d
from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.openai_responses.items import places
from dhenara_stream.dialects.openai_responses.stream import OpenAIResponsesDecoder
from dhenara_stream.errors import (
    DhenaraStreamError,
    InvalidRequestError,
    OverloadedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    ServerError,
    UnexpectedResponse,
)
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum
from dhenara_stream.types.genai.dhenara.response import (
    ChatResponse,
    ChatResponseGenericContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseToolCall,
)

Dict = dict[str, Any]

TEXT_DELTAS = (d.TextDelta, d.ReasoningDelta, d.ReasoningSummaryDelta)

# --- reading transcripts ----------------------------------------------------------------------


def unfolded(text: str) -> str:
    return text.replace("\n    ", "")


def event(kind: str, **fields: Any) -> Dict:
    """An event ``response.<kind>``."""
    return {"type": f"response.{kind}", **fields}


def sse(*events: str | Dict) -> bytes:
    """The stream of these events: objects, or their JSON text."""
    lines = [e if isinstance(e, str) else json.dumps(e, ensure_ascii=False) for e in events]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def read(stream: bytes) -> tuple[list[d.Delta], OpenAIResponsesDecoder]:
    """The deltas of a stream, the same whole and byte by byte."""
    whole, pieces = OpenAIResponsesDecoder(), OpenAIResponsesDecoder()
    said = [delta for deltas in decode([stream], whole) for delta in deltas]
    assert said == [delta for deltas in decode(bytewise(stream), pieces) for delta in deltas]
    assert (whole.complete, whole.skipped) == (pieces.complete, pieces.skipped)
    return said, whole


def deltas(*events: str | Dict) -> list[d.Delta]:
    return read(sse(*events))[0]


def skipped(*events: str | Dict) -> int:
    """How many of these events mean nothing; the others say nothing, either."""
    said, decoder = read(sse(*events))
    assert said == []
    return decoder.skipped


def answer(*events: str | Dict) -> ChatResponse:
    """What becomes of events; the usual end is added if they have none."""
    said, decoder = read(sse(*events))
    if not decoder.complete:
        said, decoder = read(sse(*events, completed()))
    assert decoder.complete
    return accumulate([said])


def contents(*events: str | Dict) -> list[Any]:
    return answer(*events).choices[0].contents or []


def calls(*events: str | Dict) -> list[ChatResponseToolCall]:
    return [item.tool_call for item in answer(*events).tools()]


def texts(items: Iterable[Any]) -> list[tuple[int, str]]:
    return [(item.index, item.get_text()) for item in items]


def completed(*output: Any, **fields: Any) -> Dict:
    return event(
        "completed", response={"id": "resp_1", "status": "completed", "output": [*output], **fields}
    )


def document(response: Any) -> list[d.Delta]:
    decoder = OpenAIResponsesDecoder()
    said = list(decoder.decode_document(json.dumps(response).encode()))
    assert decoder.complete
    return said


def failure(payload: str | Dict, name: str = "") -> ProviderError:
    """The error that an event is."""
    data = payload if isinstance(payload, str) else json.dumps(payload)

    def read_all() -> None:
        decoder.decode(ServerSentEvent(data.encode(), name))
        decoder.end()

    decoder = OpenAIResponsesDecoder()
    with pytest.raises(ProviderError) as caught:
        read_all()
    assert not decoder.complete
    return caught.value


def item_event(word: str, at: int | None = 0, **item: Any) -> Dict:
    place = {} if at is None else {"output_index": at}
    return event(f"output_item.{word}", item=item, **place)


def added(kind: str, item_id: str | None = None, at: int | None = 0, **fields: Any) -> Dict:
    """The start of an item."""
    named = {} if item_id is None else {"id": item_id}
    return item_event("added", at, type=kind, **named, **fields)


def done(kind: str, item_id: str | None = None, at: int | None = 0, **fields: Any) -> Dict:
    """The end of an item."""
    named = {} if item_id is None else {"id": item_id}
    return item_event("done", at, type=kind, **named, **fields)


def piece(
    kind: str, delta: Any, item_id: str | None = "i", at: int | None = 0, **more: Any
) -> Dict:
    named = {} if item_id is None else {"item_id": item_id}
    place = {} if at is None else {"output_index": at}
    return event(f"{kind}.delta", **named, **place, **more, delta=delta)


def text(delta: Any, item_id: str | None = "i", at: int | None = 0, part: int = 0) -> Dict:
    return piece("output_text", delta, item_id, at, content_index=part)


def arguments(delta: Any, item_id: str | None = "i", at: int | None = 0) -> Dict:
    return piece("function_call_arguments", delta, item_id, at)


def said_text(value: str, **fields: Any) -> Dict:
    """A part of a message."""
    return {"type": "output_text", "text": value, "annotations": [], **fields}


# --- whole answers ----------------------------------------------------------------------------

REASONED = unfolded("""\
event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response",
    "created_at":1767000000,"status":"in_progress","model":"gpt-5-mini","output":[],"usage":null,
    "error":null,"incomplete_details":null,"instructions":"Add.","service_tier":"auto",
    "previous_response_id":"resp_0","tools":[],"temperature":1.0}}

event: response.in_progress
data: {"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1","object":
    "response","created_at":1767000000,"status":"in_progress","model":"gpt-5-mini","output":[],
    "usage":null,"service_tier":"auto","previous_response_id":"resp_0"}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"rs_1",
    "type":"reasoning","summary":[],"encrypted_content":"ZWFybHk="}}

event: response.reasoning_summary_part.added
data: {"type":"response.reasoning_summary_part.added","sequence_number":3,"item_id":"rs_1",
    "output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","sequence_number":4,"item_id":"rs_1",
    "output_index":0,"summary_index":0,"delta":"Add","obfuscation":"k2"}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","sequence_number":5,"item_id":"rs_1",
    "output_index":0,"summary_index":0,"delta":"ing."}

event: response.reasoning_summary_text.done
data: {"type":"response.reasoning_summary_text.done","sequence_number":6,"item_id":"rs_1",
    "output_index":0,"summary_index":0,"text":"Adding."}

event: response.reasoning_summary_part.done
data: {"type":"response.reasoning_summary_part.done","sequence_number":7,"item_id":"rs_1",
    "output_index":0,"summary_index":0,"part":{"type":"summary_text","text":"Adding."}}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":8,"output_index":0,"item":{"id":"rs_1",
    "type":"reasoning","summary":[{"type":"summary_text","text":"Adding."}],
    "encrypted_content":"b3BhcXVl"}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":9,"output_index":1,"item":{"id":
    "msg_1","type":"message","role":"assistant","status":"in_progress","content":[],
    "phase":"final_answer"}}

event: response.content_part.added
data: {"type":"response.content_part.added","sequence_number":10,"item_id":"msg_1","output_index":1,
    "content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":11,"item_id":"msg_1","output_index":1,
    "content_index":0,"delta":"Fo","logprobs":[],"obfuscation":"x"}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":12,"item_id":"msg_1","output_index":1,
    "content_index":0,"delta":"ur","logprobs":[],"obfuscation":"y"}

event: response.output_text.done
data: {"type":"response.output_text.done","sequence_number":13,"item_id":"msg_1","output_index":1,
    "content_index":0,"text":"Four","logprobs":[]}

event: response.content_part.done
data: {"type":"response.content_part.done","sequence_number":14,"item_id":"msg_1","output_index":1,
    "content_index":0,"part":{"type":"output_text","text":"Four","annotations":[],"logprobs":[]}}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":15,"output_index":1,"item":{"id":
    "msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text",
    "text":"Four","annotations":[],"logprobs":[]}],"phase":"final_answer"}}

event: response.completed
data: {"type":"response.completed","sequence_number":16,"response":{"id":"resp_1","object":
    "response","created_at":1767000000,"completed_at":1767000002,"status":"completed","model":"gpt-5-mini",
    "error":null,"incomplete_details":null,"service_tier":"default","previous_response_id":"resp_0",
    "output":[{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"Adding."}],
    "encrypted_content":"bGFzdA=="},{"id":"msg_1","type":"message","role":"assistant","status":
    "completed","content":[{"type":"output_text","text":"Four","annotations":[],"logprobs":[]}],
    "phase":"final_answer"}],"usage":{"input_tokens":2020,"input_tokens_details":{
    "cached_tokens":2000,"cache_write_tokens":3},"output_tokens":11,"output_tokens_details":{
    "reasoning_tokens":8},"total_tokens":2031}}}

""").encode()

USAGE = {
    "input_tokens": 2020,
    "input_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 3},
    "output_tokens": 11,
    "output_tokens_details": {"reasoning_tokens": 8},
    "total_tokens": 2031,
}


def test_a_stream_is_said_in_neutral_terms_event_by_event() -> None:
    facts = {"created_at": 1767000000, "previous_response_id": "resp_0"}
    assert [list(said) for said in decode([REASONED], OpenAIResponsesDecoder())] == [
        [d.StreamInfo("resp_1", "gpt-5-mini", {**facts, "service_tier": "auto"})],
        [d.Ping()],
        [d.BlockStart(0, "reasoning"), d.BlockInfo(0, id="rs_1")],
        [],
        [d.ReasoningSummaryDelta(0, "Add")],
        [d.ReasoningSummaryDelta(0, "ing.")],
        [],
        [],
        [d.SignatureDelta(0, "b3BhcXVl"), d.BlockEnd(0)],
        [],
        [d.BlockStart(1, "text"), d.BlockInfo(1, "msg_1", {"phase": "final_answer"})],
        [d.TextDelta(1, "Fo")],
        [d.TextDelta(1, "ur")],
        [],
        [],
        [
            d.BlockInfo(1, "msg_1", {"phase": "final_answer", "status": "completed"}),
            d.BlockEnd(1),
        ],
        [
            d.StreamInfo(
                *("resp_1", "gpt-5-mini"),
                {**facts, "completed_at": 1767000002, "service_tier": "default"},
            ),
            d.SignatureDelta(0, "bGFzdA=="),
            d.UsageUpdate(
                d.TokenUsage(
                    prompt_tokens=2020,
                    completion_tokens=11,
                    total_tokens=2031,
                    reasoning_tokens=8,
                    cache_read_tokens=2000,
                    cache_write_tokens=3,
                    native=USAGE,
                )
            ),
            d.Finish("stop", "completed"),
        ],
    ]


def test_reading_byte_by_byte_makes_no_difference() -> None:
    said, decoder = read(REASONED)
    assert (decoder.complete, decoder.skipped) == (True, 0)
    response = accumulate([said])
    assert (response.text(), response.reasoning()) == ("Four", "Adding.")


def test_only_the_event_that_ends_it_completes_an_answer() -> None:
    said, decoder = read(REASONED[: REASONED.rindex(b"event:")] + b"data: [DONE]\n\n")
    assert not decoder.complete
    assert accumulate([said], complete=False).text() == "Four"


@pytest.mark.parametrize("line", [b"event: ", b"data: "])
def test_names_or_types_alone_are_enough(line: bytes) -> None:
    if line == b"event: ":
        stream = b"\n".join(s for s in REASONED.split(b"\n") if not s.startswith(line))
    else:
        stream = REASONED
        for kind in {json.loads(s[6:])["type"] for s in REASONED.split(b"\n") if s[:1] == b"d"}:
            stream = stream.replace(b'{"type":"%s",' % kind.encode(), b"{")
    assert read(stream)[0] == read(REASONED)[0]


def test_the_type_counts_and_not_the_name() -> None:
    renamed = REASONED.replace(b"event: response.output_text.delta", b"event: message")
    assert read(renamed)[0] == read(REASONED)[0]


def test_the_done_of_proxies_is_nothing() -> None:
    assert skipped("[DONE]") == 0
    said, decoder = read(REASONED + b"data: [DONE]\n\n")
    assert said == read(REASONED)[0]
    assert decoder.skipped == 1


# --- messages ---------------------------------------------------------------------------------


def test_each_part_of_a_message_is_a_block() -> None:
    first, second, refusal = contents(
        added("message", "i", role="assistant"),
        text("a"),
        text("b", part=1),
        piece("refusal", "No", content_index=2),
        event("refusal.done", item_id="i", output_index=0, content_index=2, refusal="No."),
    )
    assert texts([first, second, refusal]) == [(0, "a"), (1, "b"), (2, "No.")]
    assert {item.message_id for item in (first, second, refusal)} == {"i"}
    assert refusal.message_contents[0].type == "refusal"


def test_pieces_of_parts_that_interleave_find_their_parts() -> None:
    events = [text("a"), text("b", part=1), text("c"), text("d", part=1)]
    assert texts(contents(*events)) == [(0, "ac"), (1, "bd")]


@pytest.mark.parametrize(
    "whole",
    [
        event("output_text.done", item_id="i", output_index=0, content_index=0, text="Four"),
        event("content_part.done", item_id="i", content_index=0, part=said_text("Four")),
        done("message", "i", content=[said_text("Four")]),
        done("message", "i", content="Four"),
        completed({"type": "message", "id": "i", "content": [said_text("Four")]}),
    ],
)
@pytest.mark.parametrize("told", ["", "Fo", "Four"])
def test_a_whole_text_tells_what_its_pieces_have_not(told: str, whole: Dict) -> None:
    said = deltas(text(told), whole)
    assert "".join(one.text for one in said if isinstance(one, d.TextDelta)) == "Four"


@pytest.mark.parametrize("whole", ["", "Five", "Fou", None])
def test_what_was_told_stays_told(whole: str | None) -> None:
    said = answer(text("Four"), event("output_text.done", item_id="i", text=whole))
    assert said.text() == "Four"


def test_what_an_item_holds_at_its_start_is_not_told_twice() -> None:
    start = added("message", "i", content=[said_text("Fo")])
    assert answer(start, text("Fo"), text("ur")).text() == "Four"
    assert answer(start).text() == "Fo"
    part = event("content_part.added", item_id="i", content_index=0, part=said_text("Fo"))
    assert answer(part, text("Fo"), text("ur")).text() == "Four"
    thought = {"type": "summary_text", "text": "So"}
    part = event("reasoning_summary_part.added", item_id="i", summary_index=0, part=thought)
    assert answer(part, summary("So"), summary(".")).reasoning() == "So."


CITED = {"type": "url_citation", "url": "https://a.example", "start_index": 0, "end_index": 2}
OTHER = {"type": "file_citation", "file_id": "file_1"}


@pytest.mark.parametrize("told", [[CITED, OTHER], [CITED, OTHER, None]])
def test_citations_are_told_once(told: list[Any]) -> None:
    (item,) = contents(
        text("It orbits."),
        event("output_text.annotation.added", item_id="i", content_index=0, annotation=CITED),
        event(
            "content_part.done",
            item_id="i",
            content_index=0,
            part=said_text("It orbits.", annotations=told),
        ),
        done("message", "i", content=[said_text("It orbits.", annotations=told)]),
    )
    assert item.message_contents[0].annotations == [CITED, OTHER]


def test_a_citation_that_comes_first_begins_the_text() -> None:
    cite = event("output_text.annotation.added", item_id="i", annotation=CITED)
    assert deltas(cite) == [
        d.BlockStart(0, "text"),
        d.BlockInfo(0, id="i"),
        d.AnnotationDelta(0, CITED),
    ]
    assert skipped(event("output_text.annotation.added", item_id="i", annotation=None)) == 1


def test_log_probabilities_are_kept() -> None:
    first, second = {"token": "Fo", "logprob": -0.5}, {"token": "ur", "logprob": -0.25}
    pieces = [
        piece("output_text", "Fo", content_index=0, logprobs=[first]),
        piece("output_text", "", content_index=0, logprobs=[second]),
    ]
    (item,) = contents(*pieces)
    assert item.metadata == {"logprobs": [first, second]}
    (item,) = contents(*pieces, done("message", "i", content=[said_text("Fo", logprobs=[second])]))
    assert item.metadata == {"logprobs": [second]}
    (item,) = contents(*pieces, done("message", "i", content=[said_text("Fo", logprobs=None)]))
    assert item.metadata == {"logprobs": [first, second]}


def test_facts_about_a_message_and_its_parts_are_kept() -> None:
    message: Dict = {
        "content": [said_text("Hi", tone="warm"), {"type": "text", "text": "!", "mood": None}],
        "status": "completed",
        "phase": "commentary",
        "agent": {"name": "a"},
    }
    facts = {"status": "completed", "phase": "commentary", "agent": {"name": "a"}}
    first, second = contents(done("message", "i", **message))
    assert (first.metadata, second.metadata) == ({"tone": "warm", **facts}, facts)


def test_parts_of_another_kind_are_carried_through() -> None:
    sound = {"type": "output_audio", "data": "AAAA"}
    start = event("content_part.added", item_id="i", content_index=0, part={"type": "output_audio"})
    end = event("content_part.done", item_id="i", content_index=0, part=sound)
    louder = {**sound, "volume": 2}
    (item,) = contents(start, end, done("message", "i", content=[sound]))
    assert (item.block_type, item.block) == ("output_audio", sound)
    assert item.metadata == {"message_id": "i"}
    (item,) = contents(end, done("message", "i", content=[louder]))
    assert item.block == louder


def test_other_parts_are_told_when_they_are_whole_each_as_a_block() -> None:
    start = event("content_part.added", item_id="i", content_index=0, part={"type": "output_audio"})
    assert deltas(start) == []
    parts = [{"type": "output_audio", "data": data} for data in ("AAAA", "BBBB")]
    ends = [
        event("content_part.done", item_id="i", content_index=i, part=part)
        for i, part in enumerate(parts)
    ]
    items = contents(start, *ends)
    assert [(item.index, item.block) for item in items] == list(enumerate(parts))


def test_a_part_that_is_whole_at_once_begins_its_block() -> None:
    end = event("content_part.done", item_id="i", content_index=0, part=said_text("a"))
    assert deltas(end) == [
        d.BlockStart(0, "text"),
        d.BlockInfo(0, id="i"),
        d.TextDelta(0, "a"),
    ]
    refusal = {"type": "refusal", "refusal": "No."}
    assert answer(done("message", "i", content=[refusal])).refusal() == "No."


def test_a_piece_of_no_part_is_of_the_first() -> None:
    end = event("content_part.done", item_id="i", content_index=0, part=said_text("ab"))
    assert texts(contents(piece("output_text", "a"), end)) == [(0, "ab")]


def test_parts_that_are_counted_in_another_way_are_the_same_parts() -> None:
    events = [
        text("a", part=3),
        text("b", part=5),
        done("message", "i", content=[said_text("a"), None, said_text("b."), said_text("c")]),
    ]
    assert texts(contents(*events)) == [(0, "a"), (1, "b."), (2, "c")]


@pytest.mark.parametrize("kind", ["output_text", "reasoning_text", "summary_text"])
def test_parts_that_are_not_counted_follow_each_other(kind: str) -> None:
    name = f"reasoning_{kind}" if kind == "summary_text" else kind
    parts = [{"type": kind, "text": piece} for piece in ("a", "bc", "d")]
    of_item = "summary" if kind == "summary_text" else "content"
    said = deltas(
        event("content_part.added", item_id="i", part={"type": kind, "text": ""}),
        piece(name, "a"),
        event("content_part.done", item_id="i", part=parts[0]),
        event("content_part.added", item_id="i", part={"type": kind, "text": ""}),
        event("content_part.added", item_id="i", part={"type": kind, "text": ""}),
        piece(name, "b"),
        piece(name, "c"),
        event("content_part.done", item_id="i", part=parts[1]),
        event("content_part.added", item_id="i", part={"type": kind, "text": ""}),
        piece(name, "d"),
        done("message" if kind == "output_text" else "reasoning", "i", None, **{of_item: parts}),
    )
    pieces = [one for one in said if isinstance(one, TEXT_DELTAS)]
    assert [one.text for one in pieces] == ["a", "b", "c", "d"]
    places = {getattr(one, "part", one.index) for one in pieces}
    assert places == ({0} if kind == "reasoning_text" else {0, 1, 2})


@pytest.mark.parametrize(
    ("sorts", "begun", "expected"),
    [
        ("tt", [], [0, 1]),
        ("tt", [("t", 0), ("t", 1)], [0, 1]),
        ("tt", [("t", 1)], [0, 1]),
        ("tt", [("t", 4), ("t", 2)], [2, 4]),
        ("ttt", [("t", 4)], [4, 1, 2]),
        ("rt", [("t", 0)], [0, 0]),
        ("rt", [("t", 0), ("r", 1)], [1, 0]),
    ],
)
def test_where_parts_stand(sorts: str, begun: list[tuple[str, int]], expected: list[int]) -> None:
    assert places(sorts, begun) == expected


# --- reasoning --------------------------------------------------------------------------------


def summary(delta: Any, part: int | None = 0) -> Dict:
    index: Dict = {} if part is None else {"summary_index": part}
    return piece("reasoning_summary_text", delta, **index)


def test_parts_of_a_summary_are_told_once_each() -> None:
    parts = [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}]
    said = deltas(
        added("reasoning", "i", summary=[]),
        event("reasoning_summary_part.added", item_id="i", summary_index=0, part={"text": ""}),
        summary("One."),
        event("reasoning_summary_part.done", item_id="i", summary_index=0, part=parts[0]),
        event("reasoning_summary_part.added", item_id="i", summary_index=1, part=parts[1]),
        event("reasoning_summary_text.done", item_id="i", summary_index=1, text="Two."),
        done("reasoning", "i", summary=parts),
        completed({"type": "reasoning", "id": "i", "summary": parts}),
    )
    assert [(one.part, one.text) for one in said if isinstance(one, d.ReasoningSummaryDelta)] == [
        *((0, "One."), (1, "Two.")),
    ]


def test_a_part_of_a_summary_may_come_without_its_type() -> None:
    end = event("reasoning_summary_part.done", item_id="i", summary_index=0, part={"text": "So"})
    assert deltas(end)[2:] == [d.ReasoningSummaryDelta(0, "So")]


def test_reasoning_in_plain_words() -> None:
    (item,) = contents(
        added("reasoning", "i", summary=[], content=[], encrypted_content="", status="in_progress"),
        event("content_part.added", item_id="i", part={"type": "reasoning_text", "text": ""}),
        piece("reasoning_text", "Two and "),
        piece("reasoning_text", "two."),
        event("reasoning_text.done", item_id="i", content_index=0, text="Two and two."),
        done(
            "reasoning",
            "i",
            summary=[],
            content=[{"type": "reasoning_text", "text": "Two and two."}],
            status="completed",
            format="x",
        ),
    )
    assert isinstance(item, ChatResponseReasoningContentItem)
    assert (item.get_text(), item.thinking_id) == ("Two and two.", "i")
    assert (item.thinking_signature, item.thinking_status) == (None, "completed")
    assert item.metadata == {"status": "completed", "format": "x"}


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "reasoning_text", "text": "a"}, {"type": "reasoning_text", "text": "b"}],
        [{"type": "text", "text": "ab"}],
    ],
)
def test_parts_that_one_text_does_not_tell_are_kept(parts: list[Dict]) -> None:
    (item,) = contents(done("reasoning", "i", content=parts))
    assert item.get_text() == "ab"
    assert item.metadata == {"content": parts}


def test_what_is_encrypted_is_told_when_it_is_whole_and_again_when_it_changes() -> None:
    first: Dict = {"encrypted_content": "first"}
    said = deltas(
        added("reasoning", "i", encrypted_content="early"),
        done("reasoning", "i", **first),
        done("reasoning", "i", **first),
        completed({"type": "reasoning", "id": "i", "encrypted_content": "last"}),
    )
    assert [one.text for one in said if isinstance(one, d.SignatureDelta)] == ["first", "last"]
    assert contents(added("reasoning", "i", **first))[0].thinking_signature == "first"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_text"])
def test_older_names_of_reasoning(name: str) -> None:
    assert answer(
        piece(name, "Hm"), event(f"{name}.done", item_id="i", text="Hm.")
    ).reasoning() == ("Hm.")
    part = {"type": "reasoning_text", "text": "Hm"}
    (item,) = contents(event("reasoning_part.done", item_id="i", content_index=0, part=part))
    assert item.get_text() == "Hm"


def test_older_names_of_summaries() -> None:
    delta = {"type": "summary_text", "text": "So"}
    (item,) = contents(
        piece("reasoning_summary", delta, summary_index=0),
        event("reasoning_summary.done", item_id="i", summary_index=0, text="So."),
    )
    assert item.get_text() == "So."


# --- calls ------------------------------------------------------------------------------------

CALL = unfolded("""\
event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"fc_1",
    "type":"function_call","status":"in_progress","call_id":"call_a","name":"get_time",
    "arguments":"","namespace":"clock"}}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","sequence_number":3,"item_id":"fc_1",
    "output_index":0,"delta":"{\\"zone\\":","obfuscation":"a"}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","sequence_number":4,"item_id":"fc_1",
    "output_index":0,"delta":"\\"UTC\\"}"}

event: response.function_call_arguments.done
data: {"type":"response.function_call_arguments.done","sequence_number":5,"item_id":"fc_1",
    "output_index":0,"name":"get_time","arguments":"{\\"zone\\":\\"UTC\\"}"}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":6,"output_index":0,"item":{"id":"fc_1",
    "type":"function_call","status":"completed","call_id":"call_a","name":"get_time",
    "arguments":"{\\"zone\\":\\"UTC\\"}","namespace":"clock"}}

event: response.completed
data: {"type":"response.completed","sequence_number":7,"response":{"id":"resp_1","status":
    "completed","output":[],"usage":null}}

""").encode()


def test_a_call() -> None:
    assert read(CALL)[0] == [
        d.ToolCallStart(0, "get_time", "call_a", "fc_1", metadata={"namespace": "clock"}),
        d.ToolArgumentsDelta(0, '{"zone":'),
        d.ToolArgumentsDelta(0, '"UTC"}'),
        d.BlockInfo(0, "fc_1", {"status": "completed", "namespace": "clock"}),
        d.BlockEnd(0),
        d.StreamInfo(id="resp_1"),
        d.Finish("tool_calls", "completed"),
    ]
    (call,) = accumulate([read(CALL)[0]]).tools()
    assert (call.call_id, call.tool_call.id, call.name) == ("call_a", "fc_1", "get_time")
    assert call.arguments == {"zone": "UTC"}


def function(call_id: str = "call_a", name: str | None = "f", **fields: Any) -> Dict:
    return {"call_id": call_id, "name": name, **fields}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('{"a":1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ({"a": 2**70}, {"a": 2**70}),
        ("", {}),
        (None, {}),
        (7, {}),
    ],
)
@pytest.mark.parametrize("where", ["added", "done", "completed"])
def test_arguments_that_come_at_once(where: str, given: Any, expected: Dict) -> None:
    item = function(arguments=given)
    if where == "completed":
        (call,) = calls(completed({"type": "function_call", "id": "i", **item}))
    else:
        (call,) = calls(item_event(where, type="function_call", id="i", **item))
    assert call.parse_error is None or "out of range" in call.parse_error
    assert call.arguments == (expected if call.parse_error is None else {})


def test_the_end_of_the_arguments_may_hold_them() -> None:
    (call,) = calls(
        added("function_call", "i", **function()),
        event("function_call_arguments.done", item_id="i", arguments={"a": 1}),
    )
    assert call.arguments == {"a": 1}


@pytest.mark.parametrize(
    ("pieces", "whole", "expected"),
    [
        ('{"a":1}', '{"a":2}', {"a": 2}),
        ('{"a":1}{"a":1}', '{"a":1}', {"a": 1}),
        ('{"a":1}', '{ "a": 1 }', {"a": 1}),
        ('{"a":1}', "nonsense", {"a": 1}),
        ('{"a":1}', "[1]", {"a": 1}),
        ('{"a":', '{"a":1}', {"a": 1}),
    ],
)
def test_the_right_arguments_count(pieces: str, whole: str, expected: Dict) -> None:
    (call,) = calls(
        added("function_call", "i", **function()),
        arguments(pieces),
        done("function_call", "i", **function(arguments=whole)),
    )
    assert (call.arguments, call.parse_error) == (expected, None)


@pytest.mark.parametrize("whole", ['{ "a": 1 }', "nonsense", '{"a":1}', ""])
def test_arguments_that_are_no_others_are_not_told_again(whole: str) -> None:
    said = deltas(
        added("function_call", "i", **function()),
        arguments('{"a":1}'),
        done("function_call", "i", **function(arguments=whole)),
    )
    assert [one for one in said if not isinstance(one, d.BlockInfo)] == [
        d.ToolCallStart(0, "f", "call_a", "i"),
        d.ToolArgumentsDelta(0, '{"a":1}'),
        d.BlockEnd(0),
    ]


def test_the_text_of_arguments_that_are_an_object_is_as_a_model_writes_it() -> None:
    said = deltas(done("function_call", "i", **function(arguments={"a": "é"})))
    assert d.ToolArgumentsDelta(0, '{"a": "é"}') in said


def test_two_interleaved_calls() -> None:
    first, second = calls(
        added("function_call", "i", 0, **function()),
        added("function_call", "j", 1, **function("call_b")),
        arguments('{"b":', "j", 1),
        arguments('{"a":', "i", 0),
        arguments("2}", "j", 1),
        arguments("1}", "i", 0),
    )
    assert (first.arguments, second.arguments) == ({"a": 1}, {"b": 2})


def test_a_call_that_pieces_begin_gets_its_name_later() -> None:
    (call,) = calls(
        arguments('{"a":'),
        added("function_call", "i", **function()),
        arguments("1}"),
        done("function_call", "i", **function()),
    )
    assert (call.name, call.call_id, call.id, call.arguments) == ("f", "call_a", "i", {"a": 1})
    (call,) = calls(
        arguments('{"a":1}'),
        event("function_call_arguments.done", item_id="i", name="f", arguments='{"a":1}'),
    )
    assert (call.name, call.arguments) == ("f", {"a": 1})


def test_a_call_without_a_name_must_not_be_carried_out() -> None:
    (call,) = calls(added("function_call", "i", call_id="call_a"), arguments("{}"))
    assert call.call_id == "call_a"
    assert call.parse_error


def incomplete(*output: Dict, reason: str | None = "max_output_tokens") -> Dict:
    return event(
        "incomplete",
        response={
            "status": "incomplete",
            "incomplete_details": {"reason": reason},
            "output": [*output],
        },
    )


@pytest.mark.parametrize("told", ['{"a":', ""])
@pytest.mark.parametrize("how", ["done", "output", "nothing"])
def test_a_call_that_was_cut_is_never_finished(told: str, how: str) -> None:
    cut = {"type": "function_call", "id": "i", **function(arguments=told, status="incomplete")}
    said = deltas(
        added("function_call", "i", **function(arguments="", status="in_progress")),
        arguments(told),
        *([item_event("done", **cut)] if how == "done" else []),
        incomplete(*([cut] if how == "output" else [])),
    )
    assert d.BlockEnd(0) not in said
    (call,) = accumulate([said]).tools()
    assert (call.arguments, call.raw_arguments) == ({}, told)
    assert call.parse_error


def test_a_call_that_was_whole_before_the_cut_is_finished() -> None:
    first = {"type": "function_call", "id": "i", **function(arguments="{}", status="completed")}
    for more in ([item_event("done", **first)], []):
        events = [item_event("added", **first), *more, incomplete(first)]
        assert d.BlockEnd(0) in deltas(*events)
        response = answer(*events)
        (call,) = response.tools()
        assert call.parse_error is None
        assert response.choices[0].finish_reason == "length"


def test_pieces_after_the_end_of_a_call_are_skipped() -> None:
    events = [
        added("function_call", "i", **function()),
        arguments("{}"),
        done("function_call", "i", **function(arguments="{}")),
        arguments('{"a":1}'),
        event("function_call_arguments.done", item_id="i", arguments='{"a":1}'),
    ]
    said, decoder = read(sse(*events))
    assert said[-1] == d.BlockEnd(0)
    assert decoder.skipped == 1


# --- calls of custom tools --------------------------------------------------------------------

CUSTOM = [
    added("custom_tool_call", "i", call_id="call_a", name="run", input="", status="in_progress"),
    piece("custom_tool_call_input", 'print("'),
    piece("custom_tool_call_input", 'é\n")'),
    event("custom_tool_call_input.done", item_id="i", output_index=0, input='print("é\n")'),
    done("custom_tool_call", "i", call_id="call_a", name="run", input='print("é\n")'),
]


def created(*tools: Dict) -> Dict:
    return event("created", response={"id": "resp_1", "tools": list(tools)})


NAMESPACE = {"type": "namespace", "tools": [{"type": "custom", "name": "run"}]}


@pytest.mark.parametrize(
    "start", [[], [created({"type": "custom", "name": "run"})], [created(NAMESPACE)]]
)
def test_the_call_of_a_custom_tool_has_its_free_text_as_input(start: list[Dict]) -> None:
    response = answer(*start, *CUSTOM)
    (call,) = response.tools()
    assert (call.name, call.call_id, call.tool_call.id) == ("run", "call_a", "i")
    assert call.arguments == {"input": 'print("é\n")'}
    assert call.tool_call.metadata["type"] == "custom"
    assert response.choices[0].finish_reason == "tool_calls"


def test_free_text_comes_as_the_pieces_of_json() -> None:
    said = deltas(*CUSTOM)
    pieces = [one for one in said if isinstance(one, d.ToolArgumentsDelta)]
    assert "".join(one.text for one in pieces) == '{"input":"print(\\"é\\n\\")"}'
    assert {one.index for one in pieces} == {0}


def test_free_text_that_differs_from_its_pieces_is_replaced() -> None:
    (call,) = calls(*CUSTOM[:2], done("custom_tool_call", "i", name="run", input="exit"))
    assert (call.arguments, call.parse_error) == ({"input": "exit"}, None)


def test_free_text_that_was_cut_is_no_call() -> None:
    (call,) = calls(*CUSTOM[:2], incomplete())
    assert call.parse_error
    assert call.raw_arguments == '{"input":"print(\\"'


def test_a_custom_tool_that_pieces_begin() -> None:
    events = [piece("custom_tool_call_input", "a"), done("custom_tool_call", "i", name="run")]
    for tools in ([], [created({"type": "custom", "name": "run"})]):
        (call,) = calls(*tools, *events)
        assert (call.name, call.arguments) == ("run", {"input": "a"})


def test_a_custom_tool_of_the_servers_own_is_carried_through() -> None:
    hosted = created({"type": "x_search"}, {"type": "custom", "name": "other"})
    response = answer(hosted, *CUSTOM)
    assert response.tools() == []
    assert response.choices[0].finish_reason == "stop"
    (item,) = response.choices[0].contents or []
    assert isinstance(item, ChatResponseGenericContentItem)
    assert item.block == CUSTOM[-1]["item"]
    (item,) = contents(created(), piece("custom_tool_call_input", '{"a":1}'))
    assert item.block == {"type": "custom_tool_call", "id": "i", "input": '{"a":1}'}
    (item,) = contents(created(), piece("custom_tool_call_input", '{"a":1}', None))
    assert item.block == {"type": "custom_tool_call", "input": '{"a":1}'}


# --- other items ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "status": "completed", "action": {"type": "search"}},
        {"type": "file_search_call", "queries": ["a"], "results": None},
        {"type": "computer_call", "call_id": "c", "action": {"type": "click", "x": 1}},
        {"type": "image_generation_call", "result": "AAAA"},
        {"type": "code_interpreter_call", "code": "1", "outputs": None, "container_id": "c"},
        {"type": "local_shell_call", "call_id": "c", "action": {"command": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a"}]},
        {"type": "apply_patch_call", "operation": {"type": "delete_file"}},
        {"type": "mcp_list_tools", "server_label": "s", "tools": []},
        {"type": "mcp_call", "name": "f", "arguments": '{"a": 1}', "error": None},
        {"type": "mcp_approval_request", "name": "f", "arguments": "{}"},
        {"type": "tool_search_call", "arguments": {"queries": ["a"]}, "call_id": "c"},
        {"type": "compaction", "encrypted_content": "b3BhcXVl"},
        {"type": "item_of_next_year", "nested": {"deep": [1, 2.5, None]}},
        {"no": "type"},
    ],
)
def test_other_items_are_carried_through_unchanged(item: Dict) -> None:
    whole = {"id": "i", **item}
    start = {k: v for k, v in whole.items() if k in ("id", "type")}
    for events in (
        [item_event("added", **start), item_event("done", **whole), completed(whole)],
        [item_event("added", **start), completed(whole)],
        [item_event("added", **whole)],
        [item_event("done", **whole)],
        [completed(whole)],
    ):
        (made,) = contents(*events)
        assert isinstance(made, ChatResponseGenericContentItem)
        assert (made.block_type, made.block) == (item.get("type", ""), whole)


def test_the_parts_of_another_item_are_told_with_it() -> None:
    part = event("content_part.done", item_id="i", content_index=0, part=said_text("a"))
    whole: Dict = {"type": "item_of_next_year", "id": "i", "content": [said_text("a")]}
    (item,) = contents(added("item_of_next_year", "i"), part, item_event("done", **whole))
    assert item.block == whole


def test_the_last_form_of_an_item_counts() -> None:
    last = {"type": "compaction", "id": "i", "encrypted_content": "last"}
    (item,) = contents(done("compaction", "i", encrypted_content="first", x=1), completed(last))
    assert item.block == last


CODE = [
    added("code_interpreter_call", "i", code="", outputs=[], status="in_progress"),
    event("code_interpreter_call.in_progress", item_id="i", output_index=0),
    piece("code_interpreter_call_code", "print("),
    piece("code_interpreter_call_code", "1)"),
    event("code_interpreter_call_code.done", item_id="i", output_index=0, code="print(1)"),
    event("code_interpreter_call.interpreting", item_id="i", output_index=0),
    done("code_interpreter_call", "i", code="print(1)", outputs=[], status="completed"),
]


def test_what_happens_to_a_hosted_tool_is_told() -> None:
    item = CODE[0]["item"]
    assert deltas(*CODE) == [
        d.OpaqueStart(0, "code_interpreter_call", item, input_key="code"),
        d.OpaqueUpdate(0, {"status": "in_progress"}),
        d.ToolArgumentsDelta(0, "print("),
        d.ToolArgumentsDelta(0, "1)"),
        d.Ping(),
        d.OpaqueUpdate(0, {"status": "interpreting"}),
        d.OpaqueStart(0, "code_interpreter_call", CODE[-1]["item"]),
        d.BlockEnd(0),
    ]


def test_an_item_that_ends_as_it_began_is_told_once() -> None:
    search: Dict = {"type": "web_search_call", "id": "i", "status": "completed"}
    events = [item_event("added", **search), item_event("done", **search), completed(search)]
    assert deltas(*events)[:2] == [
        d.OpaqueStart(0, "web_search_call", search, input_key="partial_input"),
        d.BlockEnd(0),
    ]


def test_pieces_after_the_end_of_a_hosted_tool_are_skipped() -> None:
    said, decoder = read(sse(*CODE, piece("mcp_call_arguments", "1"), CODE[2], arguments("1")))
    assert said == deltas(*CODE)
    assert decoder.skipped == 3


def test_the_item_counts_more_than_the_pieces_of_its_input() -> None:
    (item,) = contents(*CODE[:3], done("code_interpreter_call", "i", code="print(2)"))
    assert item.block["code"] == "print(2)"


@pytest.mark.parametrize("count", [4, 5])
def test_the_input_of_a_hosted_tool_is_whole_without_its_item(count: int) -> None:
    (item,) = contents(*CODE[:count])
    assert item.block["code"] == "print(1)"


def test_the_input_of_a_hosted_tool_that_was_cut_is_kept() -> None:
    cut = accumulate([deltas(*CODE[:3])], complete=False).choices[0].contents or []
    assert isinstance(cut[0], ChatResponseGenericContentItem)
    assert cut[0].block["code"] == "print("


def test_the_arguments_of_a_hosted_call_stay_text() -> None:
    start = added("mcp_call", "i", name="f", arguments="")
    for events in (
        [piece("mcp_call_arguments", '{"a":1}')],
        [arguments('{"a":1}')],
        [event("mcp_call_arguments.done", item_id="i", arguments='{"a":1}')],
        [event("function_call_arguments.done", item_id="i", arguments='{"a":1}')],
        [event("function_call_arguments.done", item_id="i", arguments='{"a":1}', name="f")],
    ):
        (item,) = contents(start, *events)
        assert item.block == {"type": "mcp_call", "id": "i", "name": "f", "arguments": '{"a":1}'}


def test_pieces_of_unknown_input_are_kept_until_the_item_is_whole() -> None:
    events = [
        added("shell_call", "i", action={"commands": []}),
        event("shell_call_command.added", output_index=0, command_index=0, command=""),
        event("shell_call_command.delta", output_index=0, command_index=0, delta="l"),
        event(
            "shell_call_command.delta",
            output_index=0,
            command_index=0,
            delta={"stdout": "s", "x": "!"},
        ),
        event("shell_call_command.delta", output_index=0, command_index=0, delta=7),
        event("shell_call_command.done", output_index=0, command_index=0, command="ls"),
    ]
    (item,) = contents(*events)
    assert item.block["partial_input"] == "ls!"
    (item,) = contents(*events, done("shell_call", "i", action={"commands": ["ls"]}))
    assert item.block == {"type": "shell_call", "id": "i", "action": {"commands": ["ls"]}}
    function_call = event("function_call_arguments.done", output_index=0, arguments="x")
    (item,) = contents(*events, function_call)
    assert "arguments" not in item.block


def test_an_image_on_its_way_is_told_and_then_replaced() -> None:
    start = added("image_generation_call", "i", status="in_progress")
    part = event(
        "image_generation_call.partial_image",
        item_id="i",
        output_index=0,
        sequence_number=7,
        partial_image_index=0,
        partial_image_b64="AAAA",
    )
    assert deltas(start, part)[1] == d.OpaqueUpdate(
        0, {"partial_image_index": 0, "partial_image_b64": "AAAA"}
    )
    (item,) = contents(start, part)
    assert item.block["partial_image_b64"] == "AAAA"
    (item,) = contents(start, part, done("image_generation_call", "i", status="in_progress"))
    assert item.block == {"type": "image_generation_call", "id": "i", "status": "in_progress"}


def test_a_status_is_told_only_where_the_item_has_one() -> None:
    start = added("mcp_list_tools", "i", tools=[])
    assert deltas(start, event("mcp_list_tools.in_progress", item_id="i"))[1:] == [d.Ping()]
    search = added("web_search_call", None, None, status="in_progress")
    said = deltas(search, event("web_search_call.searching"))
    assert said[1:] == [d.OpaqueUpdate(0, {"status": "searching"})]


def test_what_happens_to_no_item_is_skipped() -> None:
    searching = event("web_search_call.searching", item_id="ws_1", output_index=0)
    assert skipped(searching, event("audio.delta", delta="AAAA"), {"type": "a.b.c"}) == 3
    start = added("web_search_call", None, None)
    _, decoder = read(sse(start, event("audio.delta", delta="AAAA")))
    assert decoder.skipped == 1
    _, decoder = read(
        sse(added("web_search_call", "ws_1"), done("web_search_call", "ws_1"), searching)
    )
    assert decoder.skipped == 1


# --- servers that number or name their items in other ways ------------------------------------

LLAMA = [
    event("created", response={"id": "resp_1", "object": "response", "status": "in_progress"}),
    event("in_progress", response={"id": "resp_1", "object": "response", "status": "in_progress"}),
    added("reasoning", "rs_1", None, summary=[], content=[], encrypted_content=""),
    event("reasoning_text.delta", item_id="rs_1", delta="Hm"),
    event("reasoning_text.delta", item_id="rs_1", delta="."),
    added("message", "msg_1", None, content=[], role="assistant", status="in_progress"),
    event("content_part.added", item_id="msg_1", part={"type": "output_text", "text": ""}),
    event("output_text.delta", item_id="msg_1", delta="Wait"),
    event("output_text.delta", item_id="msg_1", delta="!"),
    added("function_call", None, None, call_id="fc_1", name="f", arguments=""),
    event("function_call_arguments.delta", item_id="fc_1", delta='{"a":'),
    added("function_call", None, None, call_id="fc_2", name="f", arguments=""),
    event("function_call_arguments.delta", item_id="fc_2", delta='{"b":2}'),
    event("function_call_arguments.delta", item_id="fc_1", delta="1}"),
    done("reasoning", "rs_1", None, content=[{"type": "reasoning_text", "text": "Hm."}]),
    event("output_text.done", item_id="msg_1", text="Wait!"),
    event("content_part.done", item_id="msg_1", part=said_text("Wait!")),
    done("message", "msg_1", None, content=[said_text("Wait!")], status="completed"),
    done("function_call", None, None, call_id="fc_1", name="f", arguments='{"a":1}'),
    done("function_call", None, None, call_id="fc_2", name="f", arguments='{"b":2}'),
]


def without(key: str, events: Iterable[Dict]) -> list[Dict]:
    return [{k: v for k, v in one.items() if k != key} for one in events]


@pytest.mark.parametrize(
    "output", [[], [one["item"] for one in LLAMA if one["type"] == "response.output_item.done"]]
)
def test_items_without_places(output: list[Dict]) -> None:
    response = answer(*LLAMA, completed(*output))
    assert (response.reasoning(), response.text()) == ("Hm.", "Wait!")
    assert [(c.call_id, c.arguments) for c in response.tools()] == [
        ("fc_1", {"a": 1}),
        ("fc_2", {"b": 2}),
    ]


def test_items_without_ids_or_places() -> None:
    events = without("item_id", [one for one in LLAMA if "fc_2" not in json.dumps(one)])
    for one in events:
        if "item" in one:  # which other tests read, too
            (one["item"],) = without("id", [one["item"]])
    response = answer(*events)
    assert (response.reasoning(), response.text()) == ("Hm.", "Wait!")
    assert [call.arguments for call in response.tools()] == [{"a": 1}]


def test_without_ids_or_places_a_new_start_is_a_new_item_after_the_end_of_the_last() -> None:
    events = [
        added("message", None, None),
        event("output_text.delta", delta="a"),
        done("message", None, None, content=[said_text("a")]),
        added("message", None, None),
        event("output_text.delta", delta="b"),
        done("message", None, None, content=[said_text("b")]),
    ]
    assert texts(contents(*events)) == [(0, "a"), (1, "b")]


def test_items_that_all_stand_at_place_0() -> None:
    response = answer(
        added("message", "msg_1"),
        text("a", "msg_1"),
        done("message", "msg_1", content=[said_text("a")]),
        added("message", "msg_2"),
        text("b", "msg_2"),
        added("function_call", "fc_1", **function()),
        arguments('{"a":', "fc_1"),
        text("c", "msg_2"),
        added("function_call", "fc_2", **function("call_b")),
        arguments("1}", "fc_1"),
        done("function_call", "fc_1", **function(arguments='{"a":1}')),
        done("message", "msg_2", content=[said_text("bc")]),
        text("d", "msg_3"),
        completed(
            {"type": "message", "id": "msg_1", "content": [said_text("a")]},
            {"type": "message", "id": "msg_2", "content": [said_text("bc")]},
            {"type": "function_call", "id": "fc_1", **function(arguments='{"a":1}')},
            {"type": "function_call", "id": "fc_2", **function("call_b", arguments="{}")},
            {"type": "message", "id": "msg_3", "content": [said_text("d")]},
        ),
    )
    assert response.text() == "abcd"
    assert [(c.call_id, c.arguments) for c in response.tools()] == [
        ("call_a", {"a": 1}),
        ("call_b", {}),
    ]


def test_items_whose_ids_change_with_each_event() -> None:
    response = answer(
        added("reasoning", "id_1", 0),
        piece("reasoning_summary_text", "Hm", "id_2", 0, summary_index=0),
        done("reasoning", "id_3", 0, summary=[{"type": "summary_text", "text": "Hm."}]),
        added("message", "id_4", 1),
        text("a", "id_5", 1),
        text("b", "id_6", 1),
        event("output_text.done", item_id="id_7", output_index=1, content_index=0, text="ab"),
        done("message", "id_8", 1, content=[said_text("ab")]),
        added("function_call", "id_9", 2, **function()),
        arguments("{}", "id_10", 2),
        done("function_call", "id_11", 2, **function("call_b", arguments="{}")),
        completed(
            {"type": "reasoning", "id": "id_12", "summary": [{"text": "Hm."}]},
            {"type": "message", "id": "id_13", "content": [said_text("ab")]},
            {"type": "function_call", "id": "id_14", **function("call_c", arguments="{}")},
        ),
    )
    assert (response.reasoning(), response.text()) == ("Hm.", "ab")
    assert [item.index for item in response.choices[0].contents or []] == [0, 1, 2]
    assert [call.call_id for call in response.tools()] == ["call_a"]


def test_an_output_with_other_ids_and_places_is_matched_kind_by_kind() -> None:
    response = answer(
        text("a", "i", 5),
        added("function_call", "fc_1", 6, **function(name="f")),
        added("function_call", "fc_2", 7, **function("call_b", name="g")),
        text("b", "j", 8),
        completed(
            {"type": "message", "id": "x", "content": [said_text("a")]},
            {"type": "message", "id": "y", "content": [said_text("b")]},
            {"type": "message", "id": "z", "content": [said_text("c")]},
            {"type": "function_call", "id": "v", **function("call_v", name="f")},
            {"type": "function_call", "id": "w", **function("call_w", name="h")},
            None,
        ),
    )
    assert response.text() == "abc"
    assert [(c.call_id, c.name) for c in response.tools()] == [
        *(("call_a", "f"), ("call_b", "g"), ("call_w", "h")),
    ]


def test_ids_count_more_than_places_in_an_output() -> None:
    response = answer(
        text("a", "i", 0),
        completed(
            {"type": "message", "id": "j", "content": [said_text("b")]},
            {"type": "message", "id": "i", "content": [said_text("a.")]},
        ),
    )
    assert response.text() == "a.b"


def test_places_count_more_than_the_order_in_an_output() -> None:
    response = answer(
        text("b", "j", 1),
        text("a", "i", 0),
        completed(
            {"type": "message", "id": "x", "content": [said_text("a.")]},
            {"type": "message", "id": "y", "content": [said_text("b.")]},
        ),
    )
    assert response.text() == "b.a."


def test_a_call_of_another_tool_at_the_same_place_is_another_call() -> None:
    made = calls(
        added("function_call", "i", **function(name="f")),
        completed(
            {"type": "function_call", "id": "x", **function("call_x", name="g")},
            {"type": "function_call", "id": "y", **function("call_y", name="f")},
        ),
    )
    assert [(call.call_id, call.name) for call in made] == [("call_a", "f"), ("call_x", "g")]


def test_starts_find_the_calls_that_pieces_without_ids_began() -> None:
    first, second = calls(
        arguments('{"a":', None, 0),
        arguments('{"b":', None, 1),
        added("function_call", "i", 0, **function(name="f")),
        added("function_call", "j", 1, **function("call_b", name="g")),
        arguments("1}", None, 0),
        arguments("2}", None, 1),
    )
    assert (first.name, first.id, first.arguments) == ("f", "i", {"a": 1})
    assert (second.name, second.id, second.arguments) == ("g", "j", {"b": 2})


@pytest.mark.parametrize(
    "second",
    [
        added("function_call", "j", 0, **function("call_b")),
        added("function_call", "j", None, **function("call_b")),
        done("function_call", "j", None, **function("call_b")),
    ],
)
def test_an_item_with_another_id_is_another_item(second: Dict) -> None:
    at = second.get("output_index")
    made = calls(added("function_call", "i", at, **function("call_a")), second)
    assert [call.call_id for call in made] == ["call_a", "call_b"]


def test_another_item_at_the_place_of_one_under_way() -> None:
    first, second = calls(
        added("function_call", "i", **function(name="f")),
        done("function_call", "j", **function("call_b", name="g", arguments='{"b":2}')),
        arguments('{"a":1}', "i"),
    )
    assert (first.arguments, second.arguments) == ({"a": 1}, {"b": 2})


def test_a_start_that_comes_twice_is_one_item() -> None:
    start = added("message", "i")
    assert texts(contents(start, text("a"), start, text("b"))) == [(0, "ab")]
    end = done("message", "i", content=[said_text("ab")])
    assert texts(contents(start, text("ab"), end, start, end)) == [(0, "ab")]


def test_text_for_a_message_that_has_ended_is_kept() -> None:
    end = done("message", "i", content=[said_text("a")])
    assert texts(contents(text("a"), end, text("b"))) == [(0, "ab")]
    assert texts(contents(text("a"), end, text("b", None))) == [(0, "ab")]
    assert texts(contents(text("a"), end, text("b", "j"))) == [(0, "a"), (1, "b")]


def test_a_piece_for_an_item_of_another_kind_begins_one() -> None:
    reasoning, message = contents(added("reasoning", "i"), text("a"), piece("reasoning_text", "Hm"))
    assert (reasoning.get_text(), message.get_text()) == ("Hm", "a")


def test_a_part_for_an_item_of_another_kind_begins_one() -> None:
    part = event("content_part.done", item_id="j", output_index=0, part=said_text("a"))
    reasoning, message = contents(added("reasoning", "i", 0), part)
    assert (reasoning.type, message.get_text()) == ("reasoning", "a")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"item_id": "i", "at": None}, {"item_id": "j", "at": None}),
        ({"item_id": None, "at": 0}, {"item_id": None, "at": 1}),
    ],
)
def test_ids_alone_or_places_alone_tell_items_apart(first: Dict, second: Dict) -> None:
    events = [text("a", **first), text("b", **second), text("c", **first)]
    assert texts(contents(*events)) == [(0, "ac"), (1, "b")]


def test_without_any_start_or_end_all_text_is_kept() -> None:
    pieces = [s for s in REASONED.split(b"\n\n") if b".delta" in s]
    said, _ = read(b"\n\n".join([*pieces, b""]))
    response = accumulate([said])
    assert (response.text(), response.reasoning()) == ("Four", "Adding.")


# --- the response -----------------------------------------------------------------------------


def finish(*events: Dict) -> d.Finish:
    last = deltas(*events)[-1]
    assert isinstance(last, d.Finish)
    return last


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"reason": "max_output_tokens"}, "length"),
        ({"reason": "max_tokens"}, "length"),
        ({"reason": "content_filter"}, "content_filter"),
        ({"reason": "reason_of_next_year"}, "unknown"),
        ({"reason": 7}, "unknown"),
    ],
)
def test_an_incomplete_answer_says_why(details: Dict, reason: str) -> None:
    response = {"status": "incomplete", "incomplete_details": details}
    told = d.Finish(reason, "incomplete", metadata={"incomplete_details": details})
    assert finish(event("incomplete", response=response)) == told
    assert finish(event("completed", response=response)) == told


def test_an_incomplete_answer_may_say_nothing_more() -> None:
    assert finish(event("incomplete")) == d.Finish("unknown", "incomplete")


@pytest.mark.parametrize("kind", ["completed", "done"])
@pytest.mark.parametrize("response", [None, {}, {"status": None}, {"status": "in_progress"}, []])
def test_the_event_says_the_status_if_the_response_does_not(kind: str, response: Any) -> None:
    assert finish(event(kind, response=response)) == d.Finish("stop", "completed")


def test_facts_of_the_response_are_told_when_they_change() -> None:
    begun = {"id": "resp_1", "model": "m", "service_tier": "auto", "store": True}
    repeated = {"instructions": "Be brief.", "tools": [], "temperature": 1, "top_p": None}
    ended = {**begun, "service_tier": "flex", "moderation": {"flagged": False}}
    said = deltas(
        event("queued", response=begun | repeated),
        event("created", response=begun | repeated),
        event("in_progress", response=None),
        event("completed", response=ended),
    )
    facts = {"service_tier": "auto", "store": True}
    assert said == [
        d.StreamInfo("resp_1", "m", facts),
        d.Ping(),
        d.Ping(),
        d.StreamInfo(
            *("resp_1", "m"), {**facts, "service_tier": "flex", "moderation": {"flagged": False}}
        ),
        d.Finish("stop", "completed"),
    ]


@pytest.mark.parametrize("facts", [{"id": "resp_1"}, {"model": "m"}, {"store": True}])
def test_one_fact_of_the_response_is_worth_telling(facts: Dict) -> None:
    metadata = {name: facts[name] for name in facts if name == "store"} or None
    expected = d.StreamInfo(facts.get("id"), facts.get("model"), metadata)
    assert deltas(event("created", response=facts)) == [expected]


def test_keepalives_are_signs_of_life() -> None:
    assert deltas('{"type":"keepalive","sequence_number":2}') == [d.Ping()]


def test_items_that_come_only_at_the_end_are_told_then() -> None:
    response = answer(
        completed(
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "b3BhcXVl"},
            {"type": "message", "id": "msg_1", "content": [said_text("Hi", annotations=[CITED])]},
            {"type": "function_call", "id": "fc_1", **function(arguments='{"a":1}')},
            {"type": "web_search_call", "id": "ws_1"},
        )
    )
    assert response.text() == "Hi"
    assert [call.arguments for call in response.tools()] == [{"a": 1}]
    assert len(response.choices[0].contents or []) == 4


def test_after_the_end_everything_is_skipped() -> None:
    said, decoder = read(sse(completed(), text("a"), '{"type":"error"}', "nonsense"))
    assert said == deltas(completed())
    assert decoder.skipped == 3
    decoder = OpenAIResponsesDecoder()
    data = json.dumps(completed()) + '\n{"type":"error"}\n{"x":NaN}'
    decoder.decode(ServerSentEvent(data.encode()))
    assert (decoder.complete, decoder.skipped) == (True, 2)


# --- usage ------------------------------------------------------------------------------------


def usage_of(usage: Any, *events: Dict, **response: Any) -> list[d.TokenUsage]:
    said = deltas(*events, completed(usage=usage, **response))
    return [one.usage for one in said if isinstance(one, d.UsageUpdate)]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"output_tokens": 3}, (None, 3, None)),
        ({"input_tokens": 3}, (3, None, None)),
        ({"input_tokens": 3.0, "output_tokens": 2}, (3, 2, 5)),
        ({"input_tokens": 3, "output_tokens": 2, "total_tokens": 9}, (3, 2, 9)),
        ({"input_tokens": "3", "output_tokens": -1, "x": 1}, (None, None, None)),
    ],
)
def test_what_is_not_told_is_not_zero(usage: Dict, expected: tuple[int | None, ...]) -> None:
    (told,) = usage_of(usage)
    assert (told.prompt_tokens, told.completion_tokens, told.total_tokens) == expected
    assert (told.cache_read_tokens, told.reasoning_tokens, told.hosted_requests) == (None,) * 3
    assert told.native == usage


@pytest.mark.parametrize("usage", [None, {}, [], 7])
def test_no_usage_is_not_told(usage: Any) -> None:
    assert usage_of(usage) == []


def test_the_last_usage_wins_and_null_erases_nothing() -> None:
    early = event("in_progress", response={"usage": {"input_tokens": 3, "output_tokens": 1}})
    first, last = usage_of({"input_tokens": None, "output_tokens": 5}, early)
    assert (first.completion_tokens, last.prompt_tokens, last.completion_tokens) == (1, 3, 5)


SEARCHES = [
    added("web_search_call", "ws_1", 0, action={"type": "search"}),
    added("web_search_call", "ws_2", 1, action={"type": "open_page"}),
    added("web_search_call", "ws_3", 2),
    added("file_search_call", "fs_1", 3),
]


@pytest.mark.parametrize(
    ("usage", "response", "expected"),
    [
        ({"input_tokens": 1}, {}, {"web_search": 2}),
        (
            {"input_tokens": 1},
            {"tool_usage": {"web_search": {"num_requests": 7}}},
            {"web_search": 7},
        ),
        ({"input_tokens": 1}, {"tool_usage": {"image_gen": {"input_tokens": 0}}}, None),
        (
            {
                "server_side_tool_usage_details": {
                    "web_search_calls": 0,
                    "x_search_calls": 3,
                    "x": {},
                }
            },
            {},
            {"x_search": 3},
        ),
    ],
)
def test_uses_of_hosted_tools_are_counted(
    usage: Dict, response: Dict, expected: dict[str, int] | None
) -> None:
    (told,) = usage_of(usage, *SEARCHES, **response)
    assert told.hosted_requests == expected


# --- odd types and broken encodings -----------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        '{"type":"response.output_text.delta","item_id":null,"output_index":0.0,"delta":"Hi"}',
        '{"type":"response.output_text.delta","output_index":"0","content_index":null,"delta":"Hi"}',
        '{"type":"response.output_text.delta","item_id":7,"output_index":true,"delta":"Hi"}',
        '{"type":"response.output_text.delta","delta":"Hi","logprobs":7}',
        '{"type":"response.output_text.delta","delta":{"text":"Hi"}}',
        '[{"type":"response.output_text.delta","delta":"Hi"}]',
        '{"type":"response.output_text.delta","delta":"Hi","x":NaN}',
        '\ufeff{"type":"response.output_text.delta","delta":"Hi"}',
        '{"type":"response.output_text.delta","error":{},"delta":"Hi"}',
        '{"type":"response.output_text.done","text":"Hi"}',
    ],
)
def test_odd_pieces_of_text_are_read(payload: str) -> None:
    assert deltas(payload) == [d.BlockStart(0, "text"), d.TextDelta(0, "Hi")]


@pytest.mark.parametrize(
    "payload",
    [
        '{"type":"response.output_item.added"}',
        '{"type":"response.output_item.added","item":{}}',
        '{"type":"response.output_item.done","item":null}',
        '{"type":"response.content_part.done","part":[]}',
        '{"type":"unheard_of"}',
        '{"type":"response.unheard_of"}',
        '{"type":"response.unheard.of"}',
        '{"type":7}',
        '{"no":"type"}',
        "{}",
        "null",
        "7",
        '"text"',
        "[]",
        "[1, 2]",
    ],
)
def test_what_has_no_meaning_is_skipped_and_counted(payload: str) -> None:
    assert skipped(payload) == 1


@pytest.mark.parametrize("delta", ["", None, 7, [], True])
def test_a_piece_without_text_says_nothing(delta: Any) -> None:
    assert skipped(text(delta), arguments(delta), event("output_text.done", text=delta)) == 0
    assert deltas(text("a"), text(delta))[1:] == [d.BlockInfo(0, id="i"), d.TextDelta(0, "a")]


@pytest.mark.parametrize(
    ("escaped", "expected"),
    [
        (r"\ud83d", "\ufffd"),
        (r"a\ude00b", "a\ufffdb"),
        (r"\ud83d\ude00", "\N{GRINNING FACE}"),
        ("\N{GRINNING FACE}", "\N{GRINNING FACE}"),
    ],
)
def test_what_is_no_character_is_replaced(escaped: str, expected: str) -> None:
    piece = f'{{"type":"response.output_text.delta","delta":"{escaped}"}}'
    assert deltas(piece)[1:] == [d.TextDelta(0, expected)]


def test_two_events_in_one_are_read_line_by_line() -> None:
    lines = [s for s in REASONED.split(b"\n") if s.startswith(b"data: ")]
    assert read(b"\n".join(lines) + b"\n\n")[0] == read(REASONED)[0]


@pytest.mark.parametrize(
    ("data", "name", "named"),
    [
        (
            '{"type":"response.output_text.delta","del',
            "response.output_text.delta",
            "event 'response.output_text.delta' is no JSON",
        ),
        ('{"type":"response.completed","response":{', "", "an event without a name is no JSON"),
        ("upstream connect error", "", "an event without a name is no JSON"),
        ("[" * 100_000, "", "an event without a name is no JSON"),
        ('{"type":"keepalive"}\nnonsense', "message", "event 'message' is no JSON"),
    ],
)
def test_no_json_is_an_error_that_names_the_event(data: str, name: str, named: str) -> None:
    if data.startswith('{"type":"keepalive"'):
        data = data.replace("keepalive", "response.completed")
    with pytest.raises(ProtocolError) as caught:
        OpenAIResponsesDecoder().decode(ServerSentEvent(data.encode(), name))
    assert caught.value.message.startswith(named)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ('{"type":"response.created","response":{"id":', ""),
        (' { "type" : "response.in_progress","response":{"id":', "message"),
        ('{"response":{"id":', "response.queued"),
        ("nothing", "keepalive"),
    ],
)
def test_what_never_holds_content_may_be_no_json(data: str, name: str) -> None:
    decoder = OpenAIResponsesDecoder()
    assert decoder.decode(ServerSentEvent(data.encode(), name)) == ()
    assert decoder.skipped == 1


# --- errors in a stream -----------------------------------------------------------------------

LIMIT = "Rate limit reached. Please try again in 6.5s."


@pytest.mark.parametrize(
    ("payload", "cls", "status", "code", "message"),
    [
        (
            {"type": "error", "code": "rate_limit_exceeded", "message": LIMIT, "param": None},
            *(RateLimitError, 429, "rate_limit_exceeded", LIMIT),
        ),
        (
            {
                "type": "error",
                "sequence_number": 2,
                "error": {"type": "tokens", "code": "rate_limit_exceeded", "message": LIMIT},
            },
            *(RateLimitError, 429, "tokens", LIMIT),
        ),
        (
            event("failed", response={"error": {"code": "server_error", "message": "Sorry"}}),
            *(ServerError, 500, "server_error", "Sorry"),
        ),
        (
            event("failed", response={"error": {"code": "invalid_prompt", "message": "No"}}),
            *(InvalidRequestError, 400, "invalid_prompt", "No"),
        ),
        (
            event("failed", response={"error": {"code": "bio_policy", "message": "No"}}),
            *(InvalidRequestError, 400, "bio_policy", "No"),
        ),
        (
            event("failed", response={"error": {"code": "server_is_overloaded", "message": "No"}}),
            *(OverloadedError, 503, "server_is_overloaded", "No"),
        ),
        (
            completed(status="failed", error={"code": "server_error", "message": "Sorry"}),
            *(ServerError, 500, "server_error", "Sorry"),
        ),
        (event("failed", response={"error": "Gone"}), ServerError, 500, None, "Gone"),
        (event("failed"), ServerError, 500, None, "the response failed"),
        ({"error": {"message": "No", "code": 400}}, InvalidRequestError, 400, "400", "No"),
        ({"object": "error", "message": "Flat"}, ServerError, 500, None, "Flat"),
        (
            event("output_text.delta", delta="a", error={"message": "Broke"}),
            *(ServerError, 500, None, "Broke"),
        ),
    ],
)
def test_errors_come_in_many_shapes(
    payload: Dict, cls: type[ProviderError], status: int, code: str | None, message: str
) -> None:
    error = failure(payload)
    assert (type(error), error.http_status, error.code) == (cls, status, code)
    assert error.message.endswith(f": {message}")


@pytest.mark.parametrize("payload", ['{"detail":"Gone"}', '"Gone"', "Gone", '{"type":"x"}'])
def test_the_name_may_say_that_an_event_is_an_error(payload: str) -> None:
    assert isinstance(failure(payload, "error"), ServerError)


def test_an_error_in_words_says_them() -> None:
    with pytest.raises(ServerError, match=r": \ufffdGone$"):
        OpenAIResponsesDecoder().decode(ServerSentEvent(b"\xffGone", "error"))


def test_a_known_event_named_error_is_that_event() -> None:
    for data in (text("a"), {**text("a"), "content_index": None}, event("future.event", x=1)):
        OpenAIResponsesDecoder().decode(ServerSentEvent(json.dumps(data).encode(), "error"))


def test_an_error_in_mid_stream_leaves_what_came() -> None:
    decoder = OpenAIResponsesDecoder()
    events = decode([sse(text("Fo"), {"type": "error", "message": "No"})], decoder)
    assert next(events)[-1] == d.TextDelta(0, "Fo")
    with pytest.raises(ServerError):
        next(events)
    assert not decoder.complete


@pytest.mark.parametrize(
    "payload", [event("cancelled", response={}), completed(status="cancelled")]
)
def test_a_cancelled_answer_is_an_error_that_will_not_pass(payload: Dict) -> None:
    error = failure(payload)
    assert (type(error), error.code, error.retryable) == (ProviderError, "cancelled", False)
    assert error.message == "the provider says that the answer was cancelled"


@pytest.mark.parametrize(("is_told", "ended"), [(False, []), (True, [1])])
def test_a_call_that_was_under_way_when_the_answer_failed_is_not_finished(
    is_told: bool, ended: list[int]
) -> None:
    call = {"type": "function_call", "id": "i", **function(arguments="{}")}
    error = {"code": "server_error", "message": "Sorry"}
    failed = event("failed", response={"error": error, "output": [call] if is_told else []})
    begun = [added("function_call", "i", **function()), arguments("{}"), text("a", "j", 1)]
    events = decode([sse(*begun, failed)], OpenAIResponsesDecoder())
    said = [delta for told in itertools.islice(events, 3 + is_told) for delta in told]
    assert [one.index for one in said if isinstance(one, d.BlockEnd)] == ended
    with pytest.raises(ServerError, match="Sorry"):
        next(events)


# --- whole documents --------------------------------------------------------------------------


def test_a_document_gives_the_same_answer_as_its_stream() -> None:
    response = json.loads(REASONED.split(b"data: ")[-1])["response"]
    assert accumulate([document(response)]) == accumulate([read(REASONED)[0]])
    assert document([response]) == document(response)


def test_an_incomplete_document() -> None:
    said = document(incomplete(CODE[-1]["item"])["response"])
    assert isinstance(said[-1], d.Finish)
    assert (said[-1].reason, said[-1].native) == ("length", "incomplete")


@pytest.mark.parametrize("status", [None, "status_of_next_year", 7])
def test_a_document_without_a_status_has_no_reason(status: Any) -> None:
    native = status if isinstance(status, str) else None
    assert document({"status": status, "output": []}) == [d.Finish("unknown", native)]


@pytest.mark.parametrize(
    ("response", "cls"),
    [
        ({"status": "failed", "error": {"code": "rate_limit_exceeded"}}, RateLimitError),
        ({"status": "failed", "error": None}, ServerError),
        ({"error": {"code": "server_error", "message": "Sorry"}}, ServerError),
        ({"status": "cancelled", "output": []}, ProviderError),
    ],
)
def test_documents_that_are_no_answer(response: Dict, cls: type[DhenaraStreamError]) -> None:
    decoder = OpenAIResponsesDecoder()
    with pytest.raises(cls) as caught:
        decoder.decode_document(json.dumps(response).encode())
    assert type(caught.value) is cls
    assert not decoder.complete


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_document_that_has_not_ended_is_no_answer(status: str) -> None:
    body = json.dumps({"status": status, "output": []}).encode()
    with pytest.raises(UnexpectedResponse, match=f"^the response has not ended, it is {status}$"):
        OpenAIResponsesDecoder().decode_document(body)


def test_the_error_of_a_failed_document_does_not_repeat_its_output() -> None:
    decoder = OpenAIResponsesDecoder()
    error = {"code": "server_error", "message": "Sorry"}
    message = {"type": "message", "id": "i", "content": [said_text("a")]}
    body = {"status": "failed", "error": error, "output": [message]}
    said = decoder.decode_document(json.dumps(body).encode())
    assert accumulate([said], complete=False).text() == "a"
    assert decoder.failure is not None
    assert decoder.failure.details["body"] == {"error": error}


@pytest.mark.parametrize(
    "body", [b"", b"<html>Hello</html>", b"null", b"[]", b"{}", b'{"choices":[]}', b"{}\n{}"]
)
def test_what_is_no_response_is_unexpected(body: bytes) -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        OpenAIResponsesDecoder().decode_document(body)
    assert repr(body.decode()) in caught.value.message


# --- any events -------------------------------------------------------------------------------

KEYS = [
    *("type", "item_id", "output_index", "content_index", "summary_index", "delta", "text"),
    *("arguments", "input", "refusal", "item", "part", "annotation", "response", "error", "name"),
    *("id", "call_id", "status", "content", "summary", "encrypted_content", "annotations"),
    *("logprobs", "output", "usage", "tools", "incomplete_details", "reason", "code", "action"),
    *("input_tokens", "output_tokens", "input_tokens_details", "tool_usage", "object", "model"),
]
KINDS = [
    *("response.created", "response.in_progress", "response.output_item.added"),
    *("response.output_item.done", "response.content_part.added", "response.content_part.done"),
    *("response.output_text.delta", "response.output_text.done", "response.refusal.delta"),
    *("response.reasoning_text.delta", "response.reasoning_summary_text.delta"),
    *("response.reasoning_summary_part.done", "response.output_text.annotation.added"),
    *("response.function_call_arguments.delta", "response.function_call_arguments.done"),
    *("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"),
    *("response.mcp_call_arguments.delta", "response.mcp_call.completed", "response.x.y"),
    *("response.completed", "response.incomplete", "response.failed", "error", "keepalive"),
]
WORDS = [
    *("message", "reasoning", "function_call", "custom_tool_call", "mcp_call", "web_search_call"),
    *("output_text", "refusal", "summary_text", "reasoning_text", "completed", "incomplete"),
    *("", "a", "ab", "i", "j", "\ud83d", "\N{GRINNING FACE}", '{"a":1}', "sk-ant-12345678"),
]
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**70, 1.0, 0.5, float("inf"), float("nan")])
    | st.sampled_from(WORDS)
)


def objects(types: list[str], inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Dict]:
    fields = st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    return st.builds(lambda kind, more: {"type": kind, **more}, st.sampled_from(types), fields)


values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | objects(WORDS, inner),
    max_leaves=6,
)
payload_lists = st.lists(objects(KINDS, values).map(json.dumps), min_size=1, max_size=2)
event_lists = st.lists(
    st.builds(
        ServerSentEvent,
        payload_lists.map("\n".join).map(str.encode)
        | values.map(json.dumps).map(str.encode)
        | st.binary(max_size=20),
        st.sampled_from(["", *KINDS]),
    ),
    max_size=5,
)


@given(event_lists)
def test_any_events_are_decoded_or_refused(events: list[ServerSentEvent]) -> None:
    decoder = OpenAIResponsesDecoder()
    answer = Accumulator(AnswerFacts(model="m", provider=AIModelProviderEnum.OPEN_AI))
    for one in events:
        try:
            answer.add(decoder.decode(one))
        except (ProviderError, ProtocolError) as error:
            json.dumps(error.facts())
    with suppress(ProviderError):  # one that came with something else
        answer.add(decoder.end())
    answer.response(complete=decoder.complete, streaming=True).model_dump_json()


@given(values.map(json.dumps).map(str.encode) | st.binary(max_size=50))
def test_any_body_is_decoded_or_refused(body: bytes) -> None:
    with suppress(ProviderError, UnexpectedResponse):
        accumulate([OpenAIResponsesDecoder().decode_document(body)]).model_dump_json()


FRAME = [s for s in REASONED.decode().split("\n\n") if s and ".delta" not in s]


@given(st.data())
def test_text_is_said_once_whatever_is_missing_around_it(data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.sampled_from(FRAME[:-1])))
    events = [s for s in REASONED.decode().split("\n\n") if s in kept or ".delta" in s]
    stream = "".join(f"{one}\n\n" for one in [*events, FRAME[-1]])
    decoder = OpenAIResponsesDecoder()
    response = accumulate(decode([stream.encode()], decoder))
    assert (response.text(), response.reasoning()) == ("Four", "Adding.")
    assert decoder.complete


@given(st.sets(st.integers(0, 5)))
def test_text_is_whole_whichever_of_its_pieces_came(lost: set[int]) -> None:
    pieces = [text(c) for i, c in enumerate("abcdef") if i not in lost]
    end = completed({"type": "message", "id": "i", "content": [said_text("abcdef")]})
    told = "".join(one["delta"] for one in pieces)
    assert answer(*pieces, end).text() == ("abcdef" if "abcdef".startswith(told) else told)


# --- recorded answers -------------------------------------------------------------------------


@needs_corpus
def test_whole_recorded_responses_give_the_same_answers_as_their_streams() -> None:
    for recording in streams("openai-responses", core_only=True):
        data = recording.body.strip().split(b"data: ")[-1]
        if b'"response.completed"' in data and "adjudicated" not in recording.expected:
            with suppress(ValueError):  # one is no JSON
                response = json.loads(data)["response"]
                streamed = accumulate(decode([recording.body], OpenAIResponsesDecoder()))
                assert accumulate([document(response)]) == streamed
