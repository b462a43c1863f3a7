"""Gemini's answers. The invariant: any events give deltas, a ProviderError or a ProtocolError, the
same whether they are read fast or slowly, and no text is lost."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from corpus import needs_corpus, streams
from hypothesis import given
from hypothesis import strategies as st
from reading import accumulate, bytewise, decode

from dhenara_stream.core import deltas as d
from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.base import ErrorReply
from dhenara_stream.dialects.errors import reply_error
from dhenara_stream.dialects.gemini import stream as gemini_stream
from dhenara_stream.dialects.gemini.arguments import ArgumentsWriter, steps
from dhenara_stream.dialects.gemini.stream import MAX_SOURCES, GeminiDecoder
from dhenara_stream.dialects.gemini.wire import OWN_CALL_ID, SIGNED_SPAN, informed
from dhenara_stream.errors import (
    AuthenticationError,
    InvalidRequestError,
    OverloadedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    ServerError,
    TruncatedStream,
    UnexpectedResponse,
)
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum
from dhenara_stream.types.genai.dhenara.response import (
    ChatResponse,
    ChatResponseGenericContentItem,
)

Dict = dict[str, Any]

# --- reading transcripts ----------------------------------------------------------------------


def sse(*chunks: Dict) -> bytes:
    return b"".join(b"data: %s\r\n\r\n" % json.dumps(chunk).encode() for chunk in chunks)


def chunk(*parts: Any, finish: str | None = None, index: int | None = None, **more: Any) -> Dict:
    """A chunk with these parts in one candidate; ``more`` are fields of the candidate's."""
    candidate: Dict = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    candidate |= {"finishReason": finish} if finish else {}
    candidate |= {"index": index} if index is not None else {}
    return {"candidates": [candidate | more]}


def text(words: str, **more: Any) -> Dict:
    return {"text": words, **more}


def signed(part: Dict, signature: str = "c2ln") -> Dict:
    return {**part, "thoughtSignature": signature}


def call(name: str | None = None, /, **fields: Any) -> Dict:
    return {"functionCall": ({} if name is None else {"name": name}) | fields}


def read(stream: bytes | Sequence[Dict]) -> tuple[list[d.Delta], GeminiDecoder]:
    """The deltas of a stream, the same whole, byte by byte, and read slowly."""
    body = stream if isinstance(stream, bytes) else sse(*stream)
    whole, pieces, slow = GeminiDecoder(), GeminiDecoder(), GeminiDecoder()
    said = [delta for deltas in decode([body], whole) for delta in deltas]
    assert said == [delta for deltas in decode(bytewise(body), pieces) for delta in deltas]
    slow_body = body.replace(b'data: {"', b'data: {"fieldOfNextYear": null, "')
    assert said == [delta for deltas in decode([slow_body], slow) for delta in deltas]
    assert (whole.complete, whole.skipped) == (pieces.complete, pieces.skipped)
    return said, whole


def deltas(*chunks: Dict) -> list[d.Delta]:
    return read(chunks)[0]


def answer(*chunks: Dict) -> ChatResponse:
    """What becomes of a stream, which has to be complete."""
    said, decoder = read(chunks)
    assert decoder.complete
    return accumulate([said])


def contents(*chunks: Dict) -> list[Any]:
    """The items of an answer made of these chunks and a reason for its end."""
    return answer(*chunks, chunk(finish="STOP")).choices[0].contents or []


def one(payload: Any, *, name: str = "", decoder: GeminiDecoder | None = None) -> list[d.Delta]:
    """The deltas of one event."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return list((decoder or GeminiDecoder()).decode(ServerSentEvent(data, name)))


# --- whole answers ----------------------------------------------------------------------------

ANSWER = b"""\
data: {"candidates": [{"content": {"parts": [{"text": "Adding two ","thought": true}],\
"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 8,"thoughtsTokenCount": 12,\
"totalTokenCount": 20},"modelVersion": "gemini-2.5-flash","responseId": "r1"}

data: {"candidates": [{"content": {"parts": [{"text": "numbers.","thought": true}],\
"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 8,"thoughtsTokenCount": 12,\
"totalTokenCount": 20},"modelVersion": "gemini-2.5-flash","responseId": "r1"}

data: {"candidates": [{"content": {"parts": [{"text": "Fo"}],"role": "model"},"index": 0}],\
"usageMetadata": {"promptTokenCount": 8,"thoughtsTokenCount": 12,"totalTokenCount": 20},\
"modelVersion": "gemini-2.5-flash","responseId": "r1"}

data: {"candidates": [{"content": {"parts": [{"text": "ur"}],"role": "model"},"index": 0}],\
"usageMetadata": {"promptTokenCount": 8,"candidatesTokenCount": 1,"thoughtsTokenCount": 12,\
"totalTokenCount": 21},"modelVersion": "gemini-2.5-flash","responseId": "r1"}

data: {"candidates": [{"content": {"parts": [{"text": "","thoughtSignature": "c2ln"}],\
"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 8,\
"candidatesTokenCount": 1,"thoughtsTokenCount": 12,"totalTokenCount": 21},\
"modelVersion": "gemini-2.5-flash","responseId": "r1"}

""".replace(b"\n", b"\r\n")


def test_a_stream_is_said_in_neutral_terms_event_by_event() -> None:
    said = list(decode([ANSWER], GeminiDecoder()))
    first, second = said[0][2], said[3][1]
    assert isinstance(first, d.UsageUpdate)
    assert isinstance(second, d.UsageUpdate)
    assert [list(deltas) for deltas in said] == [
        [
            d.StreamInfo(id="r1", model="gemini-2.5-flash"),
            d.ReasoningDelta(0, "Adding two "),
            first,
        ],
        [d.ReasoningDelta(0, "numbers.")],
        [d.BlockEnd(0), d.TextDelta(1, "Fo")],
        [d.TextDelta(1, "ur"), second],
        [
            d.SignatureDelta(1, "c2ln"),
            d.BlockInfo(1, metadata={SIGNED_SPAN: [4, 4]}),
            d.Finish("stop", "STOP"),
        ],
        [d.BlockEnd(1)],
    ]
    assert second.usage == d.TokenUsage(
        prompt_tokens=8,
        completion_tokens=13,
        total_tokens=21,
        reasoning_tokens=12,
        native={
            "promptTokenCount": 8,
            "candidatesTokenCount": 1,
            "thoughtsTokenCount": 12,
            "totalTokenCount": 21,
        },
    )


def test_reading_byte_by_byte_makes_no_difference() -> None:
    said, decoder = read(ANSWER)
    assert (decoder.complete, decoder.skipped) == (True, 0)
    response = accumulate([said])
    assert (response.text(), response.reasoning()) == ("Four", "Adding two numbers.")
    assert response.choices[0].finish_reason == "stop"


def whole(*chunks: Any) -> tuple[list[d.Delta], GeminiDecoder]:
    """A document: of one chunk a response, of several their list."""
    decoder = GeminiDecoder()
    value = chunks[0] if len(chunks) == 1 else list(chunks)
    return list(decoder.decode_document(json.dumps(value, indent=2).encode())), decoder


def test_a_list_of_chunks_says_what_their_stream_says() -> None:
    chunks = [json.loads(e.partition(b": ")[2]) for e in ANSWER.split(b"\r\n\r\n") if e]
    said, decoder = whole(*chunks)
    assert decoder.complete
    assert said == read(ANSWER)[0]


def test_a_whole_response_has_the_structure_of_a_streamed_one() -> None:
    (call_delta,) = (p for p in deltas(chunk(call("f", args={}))) if isinstance(p, d.ToolCallStart))
    said, decoder = whole(
        chunk(text("Hm", thought=True), signed(text("Four")), call("f", args={}), finish="STOP")
    )
    assert decoder.complete
    assert said == [
        d.ReasoningDelta(0, "Hm"),
        d.BlockEnd(0),
        d.TextDelta(1, "Four"),
        d.SignatureDelta(1, "c2ln"),
        d.BlockEnd(1),
        d.ToolCallStart(
            2, "f", call_id=call_delta.call_id, arguments={}, metadata={OWN_CALL_ID: True}
        ),
        d.BlockEnd(2),
        d.Finish("tool_calls", "STOP"),
    ]


def test_a_response_may_lack_a_reason_for_its_end_but_not_its_chunks() -> None:
    said, decoder = whole(chunk(text("Hi")))
    assert (said, decoder.complete) == ([d.TextDelta(0, "Hi")], True)
    with pytest.raises(TruncatedStream, match=r"^the answer ended without a reason for its end$"):
        whole(chunk(text("Hi")), chunk(text("!")))
    with pytest.raises(TruncatedStream):
        GeminiDecoder().decode_document(b"\xef\xbb\xbf[%s]" % json.dumps(chunk(text("a"))).encode())
    with pytest.raises(TruncatedStream):
        whole({"usageMetadata": {"promptTokenCount": 3}})


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        *((body, "no Gemini response") for body in ("", "[]", "{}", '{"message":"no"}', "[[]]")),
        *((body, "no JSON") for body in ("<html>", '{"a":', '[{"message":"no"},')),
    ],
)
def test_other_documents_are_no_answers(body: str, problem: str) -> None:
    with pytest.raises(UnexpectedResponse, match=f"^the answer is {problem}: "):
        GeminiDecoder().decode_document(body.encode())


@pytest.mark.parametrize("rest", [',\n{"candidates":[{"ind', ",", "", "\n", ",nonsense]"])
def test_of_a_list_that_breaks_off_the_whole_chunks_are_said(rest: str) -> None:
    decoder = GeminiDecoder()
    body = f"\ufeff [{json.dumps(chunk(text('hi')))}{rest}"
    assert decoder.decode_document(body.encode()) == [d.TextDelta(0, "hi")]
    assert isinstance(decoder.failure, TruncatedStream)
    assert not decoder.complete


def test_of_a_list_that_breaks_off_an_error_counts_first() -> None:
    decoder = GeminiDecoder()
    said = json.dumps([chunk(text("hi")), rpc_error("INTERNAL")])[:-1]
    assert decoder.decode_document(said.encode()) == [d.TextDelta(0, "hi")]
    assert isinstance(decoder.failure, ProviderError)
    with pytest.raises(ProviderError):
        GeminiDecoder().decode_document(json.dumps([rpc_error("INTERNAL")])[:-1].encode())


def test_a_list_that_breaks_off_may_say_nothing() -> None:
    with pytest.raises(TruncatedStream, match="breaks off"):
        GeminiDecoder().decode_document(b'[{"candidates":[]},')


def test_a_document_of_lines_is_a_list() -> None:
    lines = "\n".join(json.dumps(c) for c in (chunk(text("a")), chunk(text("b"), finish="STOP")))
    said = GeminiDecoder().decode_document(lines.encode())
    assert accumulate([said]).text() == "ab"


# --- the end ----------------------------------------------------------------------------------


def test_an_answer_is_complete_only_at_its_end() -> None:
    decoder = GeminiDecoder()
    one(chunk(text("a"), finish="STOP"), decoder=decoder)
    before, said = decoder.complete, decoder.end()
    assert (before, said, decoder.complete) == (False, [d.BlockEnd(0)], True)
    assert list(decoder.end()) == []
    assert [one(chunk(text("b")), decoder=decoder) for _ in range(2)] == [[], []]
    assert decoder.skipped == 2


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [{"usageMetadata": {"promptTokenCount": 1}}],
        [chunk(text("a"))],
        [chunk(text("a"), finish="STOP", index=0), chunk(text("b"), index=1)],
        [chunk(text("a"), finishReason="")],
        [chunk(text("a"), finishReason={"a": 1})],
        [{"promptFeedback": {"safetyRatings": []}}],
        [{"promptFeedback": {"blockReason": None}}],
        [{"promptFeedback": {"blockReason": []}}],
    ],
)
def test_without_a_reason_for_each_candidate_it_is_not_complete(chunks: list[Dict]) -> None:
    said, decoder = read(chunks)
    assert not decoder.complete
    assert not any(isinstance(delta, d.BlockEnd) for delta in said)


def test_a_reason_is_no_end_and_the_last_one_wins() -> None:
    run = {"executableCode": {"language": "PYTHON", "code": "print(42)"}}
    response = answer(
        chunk(run, finish="STOP"),
        chunk({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42"}}),
        chunk(text("42"), finish="MAX_TOKENS"),
        chunk(text("."), finishReason=None),
    )
    assert response.text() == "42."
    assert response.choices[0].native_finish_reason == "MAX_TOKENS"
    assert [item.index for item in response.choices[0].contents or ()] == [0, 1, 2]


def test_done_of_a_proxy_ends_an_answer_that_may_end() -> None:
    decoder = GeminiDecoder()
    assert one(b"[DONE]", decoder=decoder) == []
    one(chunk(text("a"), finish="STOP"), decoder=decoder)
    assert not decoder.complete
    assert one(b" [DONE]", decoder=decoder) == [d.BlockEnd(0)]
    assert decoder.complete


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("STOP", "stop"),
        ("stop", "stop"),
        (1, "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("IMAGE_RECITATION", "content_filter"),
        ("CONTINUATION", "pause"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("NO_IMAGE", "error"),
        ("OTHER", "unknown"),
        ("REASON_OF_NEXT_YEAR", "unknown"),
        (99, "unknown"),
    ],
)
def test_finish_reasons(native: Any, reason: str) -> None:
    assert deltas(chunk(finishReason=native)) == [d.Finish(reason, str(native))]


def test_stop_with_calls_is_tool_calls_in_any_order() -> None:
    for chunks in (
        [chunk(call("f"), finish="STOP")],
        [chunk(call("f")), chunk(finish="STOP")],
        [chunk(finish="STOP"), chunk(call("f"))],
    ):
        choice = answer(*chunks).choices[0]
        assert (choice.finish_reason, choice.native_finish_reason) == ("tool_calls", "STOP")
    assert deltas(chunk(call("f"), finish="MAX_TOKENS"))[-1] == d.Finish("length", "MAX_TOKENS")


# --- blocked prompts --------------------------------------------------------------------------

FEEDBACK = {
    "blockReason": "PROHIBITED_CONTENT",
    "safetyRatings": [{"category": "C", "probability": "HIGH"}],
}


def test_a_blocked_prompt() -> None:
    said, decoder = read([{"promptFeedback": FEEDBACK, "usageMetadata": {"promptTokenCount": 5}}])
    assert decoder.complete
    assert said == [
        d.StreamInfo(metadata={"promptFeedback": FEEDBACK}),
        d.Finish("content_filter", "PROHIBITED_CONTENT"),
        d.UsageUpdate(d.TokenUsage(prompt_tokens=5, native={"promptTokenCount": 5})),
    ]
    choice = accumulate([said]).choices[0]
    assert (choice.contents, choice.finish_reason) == ([], "content_filter")


def test_a_block_ends_the_candidates_that_have_not_ended() -> None:
    said = deltas(
        chunk(text("a"), finish="STOP"),
        chunk(text("b"), index=1),
        {"promptFeedback": FEEDBACK},
    )
    assert [delta for delta in said if isinstance(delta, d.Finish)] == [
        d.Finish("stop", "STOP"),
        d.Finish("content_filter", "PROHIBITED_CONTENT", choice=1),
    ]


def test_a_blocked_document() -> None:
    said, decoder = whole({"promptFeedback": {"blockReason": "OTHER"}})
    assert decoder.complete
    assert said[-1] == d.Finish("content_filter", "OTHER")


# --- text and reasoning -----------------------------------------------------------------------


def test_a_block_lasts_until_another_kind_comes() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0="}}
    assert deltas(
        chunk(text("a", thought=True), text("b", thought=True), text("c")),
        chunk(text("")),
        chunk(text("d"), picture, text("e")),
        chunk(text("f", thought=False)),
        chunk(text("g", thought=True)),
    ) == [
        d.ReasoningDelta(0, "a"),
        d.ReasoningDelta(0, "b"),
        d.BlockEnd(0),
        d.TextDelta(1, "c"),
        d.TextDelta(1, "d"),
        d.BlockEnd(1),
        d.OpaqueStart(2, "inlineData", picture),
        d.BlockEnd(2),
        d.TextDelta(3, "e"),
        d.TextDelta(3, "f"),
        d.BlockEnd(3),
        d.ReasoningDelta(4, "g"),
    ]


def test_other_fields_beside_text_are_kept() -> None:
    (item,) = contents(chunk(text("a", partMetadata={"k": 1}, ignored=None)))
    assert (item.get_text(), item.metadata) == ("a", {"partMetadata": {"k": 1}})


@pytest.mark.parametrize(
    "candidate",
    [
        {},
        {"content": None},
        {"content": {}},
        {"content": {"role": "model"}},
        {"content": {"parts": None}},
        {"content": {"parts": []}},
        {"content": {"parts": [{}]}},
        {"content": {"parts": [{"text": ""}]}},
        {"content": {"parts": [{"text": "", "thought": True}]}},
        {"content": {"parts": [{"text": None, "functionCall": None}]}},
        {"content": {"parts": {}}},
        {"content": "text"},
        None,
    ],
)
def test_a_candidate_may_say_nothing(candidate: Any) -> None:
    assert deltas({"candidates": [candidate]}) == []


def test_what_is_no_part_and_no_chunk_is_skipped_and_counted() -> None:
    said, decoder = read([chunk("words", 7), {"candidates": None}, {"candidates": []}])
    assert (said, decoder.skipped) == ([], 2)
    assert one(b"null", decoder=decoder) == one(b"{}", decoder=decoder) == []
    assert one(b"7", decoder=decoder) == one(b'"a"', decoder=decoder) == []
    assert decoder.skipped == 6


# --- signatures -------------------------------------------------------------------------------


def test_a_signature_of_a_whole_block() -> None:
    thought, said = contents(
        chunk(signed(text("Hm", thought=True), "cjE=")), chunk(signed(text("Four"), "czE="))
    )
    assert (thought.thinking_signature, thought.metadata) == ("cjE=", {})
    assert (said.get_text(), said.metadata) == ("Four", {"thought_signature": "czE="})


@pytest.mark.parametrize(
    ("parts", "words", "span"),
    [
        ([signed(text("ab")), text("cd"), text("ef")], "abcdef", [0, 2]),
        ([text("ab"), signed(text("cd"))], "abcd", [2, 4]),
        ([text("ab"), signed(text("cd")), text("ef")], "abcdef", [2, 4]),
        ([text("ab"), signed(text(""))], "ab", [2, 2]),
        ([text("ab"), signed({})], "ab", [2, 2]),
        ([text("ab"), signed(text("")), text("cd")], "abcd", [2, 2]),
    ],
)
def test_where_in_a_block_a_signed_part_lies(parts: list[Dict], words: str, span: Any) -> None:
    (item,) = contents(*map(chunk, parts))
    assert item.get_text() == words
    assert item.metadata == {"thought_signature": "c2ln", SIGNED_SPAN: span}


def test_an_empty_thought_signs_the_thoughts_before_it() -> None:
    thought, _ = contents(
        chunk(text("Hm", thought=True)), chunk(signed(text("", thought=True))), chunk(text("a"))
    )
    assert (thought.thinking_signature, thought.metadata) == ("c2ln", {SIGNED_SPAN: [2, 2]})


def test_a_second_signature_begins_another_block() -> None:
    first, second = contents(chunk(signed(text("ab"), "czE=")), chunk(signed(text("cd"), "czI=")))
    assert (first.get_text(), second.get_text()) == ("ab", "cd")
    assert first.metadata == {"thought_signature": "czE="}
    assert second.metadata == {"thought_signature": "czI="}


@pytest.mark.parametrize("lone", [signed(text("")), signed({}), signed({"thought": True})])
@pytest.mark.parametrize(
    "before",
    [
        [],
        [call("f", args={})],
        [text("ab", thought=True), text("cd"), {"fileData": {"fileUri": "gs://a"}}],
        [signed(text("ab", thought=True)), call("f")],
        [signed(text("ab"))],
    ],
)
def test_a_signature_without_a_block_is_a_block_of_its_own(before: list[Dict], lone: Dict) -> None:
    *_, item = contents(*map(chunk, [*before, lone]))
    assert isinstance(item, ChatResponseGenericContentItem)
    assert (item.block_type, item.block) == ("thoughtSignature", lone)


def test_text_after_a_thought_is_not_signed_for_it() -> None:
    thought, lone = contents(chunk(text("Hm", thought=True)), chunk(signed(text(""))))
    assert thought.thinking_signature is None
    assert lone.block == signed(text(""))


# --- calls ------------------------------------------------------------------------------------


def test_a_call_that_came_whole() -> None:
    said = deltas(chunk(signed(call("f", args={"a": [1, None]}, id="given"))))
    assert said == [
        d.ToolCallStart(0, "f", call_id="given", arguments={"a": [1, None]}),
        d.SignatureDelta(0, "c2ln"),
        d.BlockEnd(0),
    ]
    (item,) = contents(chunk(signed(call("f", args={"a": 1}, id="given"))))
    assert (item.call_id, item.arguments) == ("given", {"a": 1})
    assert item.tool_call.metadata == {"thought_signature": "c2ln"}


def test_calls_without_an_id_get_one_of_ours() -> None:
    chunks = [
        chunk(call("f", args={}), call("f", args={})),
        chunk(call("g", id="given")),
        chunk(call("g"), index=1),
    ]
    plain = [delta for delta in deltas(*chunks) if isinstance(delta, d.ToolCallStart)]
    assert [delta.call_id for delta in plain] == ["call_1", "call_2", "given", "call_3"]
    assert [delta.metadata for delta in plain] == [
        *({OWN_CALL_ID: True}, {OWN_CALL_ID: True}, None, {OWN_CALL_ID: True})
    ]
    for answer_id, made in (("r1_-", "call_r1_-_1"), ("a b", "call_1"), ("x" * 31, "call_1")):
        named = deltas({**chunks[0], "responseId": answer_id})[1]
        assert isinstance(named, d.ToolCallStart)
        assert named.call_id == made


def test_an_id_of_ours_does_not_hide_the_same_one_given_later() -> None:
    calls = contents(chunk(call("f")), chunk(call("g", id="call_1")))
    assert [item.name for item in calls] == ["f", "g"]


def test_a_call_that_repeats_an_id_is_skipped() -> None:
    said, decoder = read([chunk(call("f", id="x")), chunk(call("f", id="x", args={"a": 1}))])
    assert (len(said), decoder.skipped) == (2, 1)


def test_other_fields_of_a_call_are_kept() -> None:
    part = {**call("f", args={}, id="x", mood="good"), "thought": True}
    assert deltas(chunk(part))[0] == d.ToolCallStart(
        0, "f", call_id="x", arguments={}, metadata={"thought": True, "mood": "good"}
    )


@pytest.mark.parametrize(
    ("args", "arguments", "problem"),
    [
        (None, {}, None),
        ({}, {}, None),
        ('{"a":1}', {"a": 1}, None),
        ("", {}, None),
        ([1], {}, "not a JSON object"),
        ('{"a', {}, "not valid JSON"),
    ],
)
@pytest.mark.parametrize("finish", ["STOP", "MAX_TOKENS"])
def test_arguments_that_are_no_object(
    args: Any, arguments: Dict, problem: str | None, finish: str
) -> None:
    (item,) = answer(chunk(call("f", args=args), finish=finish)).tools()
    assert (item.arguments, problem or "") == (arguments, problem or "")
    assert (problem or "") in (item.parse_error or "")
    assert (item.parse_error is None) == (problem is None)
    if problem:
        assert item.raw_arguments == (args if isinstance(args, str) else json.dumps(args))


def test_a_call_without_a_name_must_not_be_made() -> None:
    for nameless in (call(args={"a": 1}), more(("$.a", 1))):
        (item,) = contents(chunk(nameless))
        assert item.parse_error == "the call came without the name of its tool"


def test_an_empty_call_with_nothing_to_end_is_skipped() -> None:
    said, decoder = read([chunk(call()), chunk(call(willContinue=True)), chunk(call("f"), call())])
    assert (len(said), decoder.skipped) == (2, 3)


# --- calls whose arguments are streamed -------------------------------------------------------


def more(*arguments: tuple[Any, ...], **fields: Any) -> Dict:
    """A part that goes on with a call: each argument a path, a value, and whether it goes on."""
    kinds = {str: "stringValue", bool: "boolValue", int: "numberValue", float: "numberValue"}
    written: list[Dict] = []
    for path, value, *goes_on in arguments:
        kind = kinds.get(type(value), "nullValue")
        going = {"willContinue": True} if goes_on else {}
        written.append({"jsonPath": path, kind: value, **going})
    return call(**({"partialArgs": written} if written else {}) | fields)


ON: Dict = {"willContinue": True}


def test_streamed_arguments_are_told_as_they_come() -> None:
    said = deltas(
        chunk(signed(call("cook", **ON))),
        chunk(more(("$.dish.parts[0].name", "Pas", True), **ON)),
        chunk(more(("$.dish.parts[0].name", "ta\n", True), **ON)),
        chunk(more(("$.dish.parts[0].name", ""), **ON)),
        chunk(call(**ON)),
        chunk(more(("$.dish.parts[0].grams", 500), ("$.dish.parts[1].name", "Salt"), **ON)),
        chunk(more(("$.hot", True), ("$.by", None), **ON)),
        chunk(call()),
    )
    assert said == [
        d.ToolCallStart(0, "cook", call_id="call_1", metadata={OWN_CALL_ID: True}),
        d.SignatureDelta(0, "c2ln"),
        d.ToolArgumentsDelta(0, "{"),
        d.ToolArgumentsDelta(0, '"dish":{"parts":[{"name":"Pas'),
        d.ToolArgumentsDelta(0, "ta\\n"),
        d.ToolArgumentsDelta(0, '","grams":500},{"name":"Salt'),
        d.ToolArgumentsDelta(0, '"}]},"hot":true,"by":null'),
        d.ToolArgumentsDelta(0, "}"),
        d.BlockEnd(0),
    ]
    (item,) = accumulate([said]).tools()
    assert item.arguments == {
        "dish": {"parts": [{"name": "Pasta\n", "grams": 500}, {"name": "Salt"}]},
        "hot": True,
        "by": None,
    }


def test_a_call_in_one_part_with_partial_arguments() -> None:
    (item,) = contents(chunk(more(("$.a", 2), ("$.b", 0.5), name="f", id="x")))
    assert (item.call_id, item.arguments) == ("x", {"a": 2, "b": 0.5})


def test_parallel_streamed_calls() -> None:
    first, second, third = contents(
        chunk(call("f", **ON)),
        chunk(more(("$.a", "Bos", True), **ON)),
        chunk(more(("$.a", "ton"), **ON)),
        chunk(call()),
        chunk(call("f", id="x", **ON)),
        chunk(
            text(""),
            call(
                "f", id="x", partialArgs=more(("$.a", "Rome"))["functionCall"]["partialArgs"], **ON
            ),
        ),
        chunk(call("g", args={"a": 1}, **ON)),  # which ends the one before, whose end is missing
        chunk(call()),
    )
    assert first.arguments == {"a": "Boston"}
    assert (second.call_id, second.arguments) == ("x", {"a": "Rome"})
    assert (third.name, third.arguments) == ("g", {"a": 1})


def test_text_may_come_between() -> None:
    said = deltas(
        chunk(text("a")),
        chunk(call("f", **ON)),
        chunk(text("b")),
        chunk(more(("$.a", 1))),
        chunk(text("c"), finish="STOP"),
    )
    response = accumulate([said])
    assert response.text() == "abc"
    assert [item.index for item in response.choices[0].contents or ()] == [0, 1, 2, 3]
    assert response.tools()[0].arguments == {"a": 1}


@pytest.mark.parametrize(
    ("finish", "goes_on", "arguments"),
    [("STOP", False, {"a": "x"}), ("STOP", True, None), ("MAX_TOKENS", False, None)],
)
def test_a_call_whose_end_is_missing(finish: str, goes_on: bool, arguments: Any) -> None:
    value = ("$.a", "x", True) if goes_on else ("$.a", "x")
    response = answer(chunk(call("f", **ON)), chunk(more(value, **ON)), chunk(finish=finish))
    (item,) = response.tools()
    assert (item.parse_error is None) == (arguments is not None)
    assert item.arguments == (arguments or {})


@pytest.mark.parametrize("arguments", [{}, {"a": 1}])
def test_a_call_whose_end_is_missing_may_have_had_no_partial_arguments(arguments: Dict) -> None:
    (item,) = contents(chunk(call("f", args=arguments, **ON)))
    assert (item.arguments, item.parse_error) == (arguments, None)


def test_a_call_cut_before_its_first_argument_is_not_presented_as_finished() -> None:
    (item,) = answer(chunk(call("f", **ON)), chunk(finish="MAX_TOKENS")).tools()
    assert item.parse_error
    said, decoder = read([chunk(call("f", **ON)), chunk(more(("$.a", 1), **ON))])
    assert not decoder.complete
    (item,) = accumulate([said], complete=False).tools()
    assert item.parse_error == "the stream ended before the arguments were complete"


@pytest.mark.parametrize(
    "argument",
    [
        ("$.a.b", 2),  # a value stands where this needs an object
        ("$.c", 2),  # an object stands where this is a value
        ("$.a", 2),  # again
        ("$.c.d[2]", 2),  # not the next
        ("$.c.d.e", 2),  # a list stands where this needs an object
        ("$.c[0]", 2),  # the reverse
        ("$.e[1]", 2),  # not the first
        ("$[0]", 2),
        ("$", 2),
        ("", 2),
        ("$..b", 2),
        ("$.c.d[*]", 2),
        ("$['a", 2),
        ("$['\\x']", 2),
        (None, 2),
    ],
)
def test_arguments_in_doubt_do_not_parse(argument: tuple[Any, Any]) -> None:
    (item,) = contents(
        chunk(call("f", **ON)),
        chunk(more(("$.a", 1), ("$.c.d[0]", "x"), **ON)),
        chunk(more(argument, **ON)),
        chunk(more(("$.z", 3))),
    )
    assert item.arguments == {}
    assert item.parse_error
    assert '"jsonPath":"$.z"' in item.raw_arguments


def test_arguments_again_after_their_object_is_closed_do_not_parse() -> None:
    (item,) = contents(chunk(more(("$.a.x", "1"), ("$.b", "2"), ("$.a.y", "3"), name="f")))
    assert item.parse_error
    (item,) = contents(chunk(call("f", args={"a": 1}, **ON)), chunk(call(args={"a": 2})))
    assert item.parse_error
    assert item.raw_arguments == '{"a":1{"a":2}'


def test_an_argument_without_a_value_says_nothing() -> None:
    (item,) = contents(
        chunk(call("f", **ON)), chunk(call(partialArgs=[{"jsonPath": "$.a"}, 7, {}]))
    )
    assert (item.arguments, item.parse_error) == ({}, None)


@pytest.mark.parametrize(
    ("before", "path"), [([], [0]), ([(["a"], "x")], ["a"])], ids=["no object", "text and number"]
)
def test_an_argument_without_a_place_stands_as_it_came_and_is_the_last(
    before: list[tuple[list[str | int], Any]], path: list[str | int]
) -> None:
    writer = ArgumentsWriter()
    writer.start()
    for place, value in before:
        writer.put(place, value, {})
    assert writer.put(path, 7, {"came": 7}) == '{"came":7}'
    assert writer.end() == ""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.a.b", ["a", "b"]),
        ("a.b", ["a", "b"]),
        ("$.a[0][12].b", ["a", 0, 12, "b"]),
        ("$['a b'][\"c.d\"].é", ["a b", "c.d", "é"]),
        ("$['it\\'s \"it\"']", ['it\'s "it"']),
        ('$["\\u00e9\\"\\\\"]', ['é"\\']),
        ("$['a]']", ["a]"]),
        ("$['\\ud83d']", None),
        ("$.a[1000000000]", None),
        ("$.a]", ["a]"]),
        ("$.a[", None),
    ],
)
def test_json_paths(path: str, expected: Any) -> None:
    assert steps(path) == expected


json_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
keys = st.text(min_size=1, max_size=3) | st.sampled_from(["a", "b", "a.b", "it's", '"', "[0]", "$"])
argument_trees: st.SearchStrategy[Any] = st.dictionaries(
    keys,
    st.recursive(
        json_scalars,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(keys, inner, min_size=1, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            quoted = json.dumps(key)
            yield from leaves(item, f"{path}[{quoted}]")
    elif isinstance(value, list):
        for i, item in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield from leaves(item, f"{path}[{i}]")
    else:
        yield path, value


@given(argument_trees, st.integers(1, 3))
def test_any_arguments_are_put_together_again(arguments: Dict, size: int) -> None:
    writer = ArgumentsWriter()
    pieces = [writer.start()]
    for path, value in leaves(arguments, "$"):
        if isinstance(value, str):
            for at in range(0, len(value) or 1, size):
                part = {"stringValue": value[at : at + size], "willContinue": True}
                pieces.append(writer.write({"jsonPath": path, **part}))
            pieces.append(writer.write({"jsonPath": path, "stringValue": ""}))
        else:
            kind = "nullValue" if value is None else "numberValue"
            pieces.append(writer.write({"jsonPath": path, kind: value}))
        with pytest.raises(ValueError, match=r"."):
            json.loads("".join(pieces))
    assert json.loads("".join([*pieces, writer.end()])) == arguments


# --- other parts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "image/png", "data": "iVBO" * 1000}},
        {"thought": True, "inlineData": {"mimeType": "image/png", "data": "iVBO"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "https://a.example"}},
        {"executableCode": {"language": "PYTHON", "code": "print(6 * 7)\n"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}},
        {"functionResponse": {"name": "f", "response": {}}},
        signed({"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {}, "id": "t"}}),
        signed({"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "id": "t"}}),
        {"partOfNextYear": {"deep": [1, 2.5, None]}, "text": ""},
        {"functionCall": "odd"},
        {"text": 7},
        {"text": "", "thoughtSignature": 7},
    ],
)
def test_other_parts_are_carried_through_unchanged(part: Dict) -> None:
    before, item, after = contents(chunk(text("a"), part), chunk(text("b")))
    assert (before.get_text(), after.get_text()) == ("a", "b")
    assert isinstance(item, ChatResponseGenericContentItem)
    assert item.block == part
    assert item.block_type in part


def test_text_counts_before_what_stands_beside_it() -> None:
    (item,) = contents(chunk(text("a", partOfNextYear=1)))
    assert (item.get_text(), item.metadata) == ("a", {"partOfNextYear": 1})


# --- choices ----------------------------------------------------------------------------------


def test_several_candidates() -> None:
    response = answer(
        {"candidates": [chunk(text("a"), index=1)["candidates"][0], {"index": 0}]},
        chunk(text("x"), index=0),
        chunk(text("b"), index=1, finish="STOP"),
        chunk(text("y"), index=0, finish="MAX_TOKENS"),
    )
    choices = response.choices
    assert [(c.index, c.native_finish_reason) for c in choices] == [(0, "MAX_TOKENS"), (1, "STOP")]
    assert [(c.contents or [])[0].get_text() for c in choices] == ["xy", "ab"]


def test_each_candidate_is_said_alike() -> None:
    cited: Dict = {"citationMetadata": {"citationSources": [{"uri": "https://a.example"}]}}
    supports = [support("ab", 0), support("end", 0)]
    grounding = {"groundingChunks": SOURCES, "groundingSupports": supports}

    def said(index: int) -> list[d.Delta]:
        thoughts = [text("Hm", thought=True), signed(text("", thought=True))]
        told, decoder = read(
            [
                chunk(*thoughts, text("!", thought=True), index=index),
                chunk(text("!", thought=True), index=index),
                chunk(text("a"), signed(text("b", new=1)), signed(text("c")), index=index, **cited),
                chunk({"executableCode": {"code": "1"}}, avgLogprobs=-0.5, index=index),
                chunk(signed(call("f", id="x", args=[1])), logprobsResult={"a": 1}, index=index),
                chunk(signed(call("g", **ON)), groundingMetadata=grounding, index=index),
                chunk(more(("$.a", 1), **ON), finish="STOP", index=index),
                chunk(text("end"), index=index),
            ]
        )
        return told + list(decoder.end())

    assert len({type(delta) for delta in said(0)}) == 11
    assert said(3) == [msgspec.structs.replace(delta, choice=3) for delta in said(0)]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ([None], [0]),
        ([None, None, None], [0, 1, 2]),
        ([None, 1], [0, 1]),
        ([1, None], [1, 0]),
        ([0, None, 5, None], [0, 1, 5, 2]),
        (["1", 2.0, -1, True], [1, 2, 0, 3]),
    ],
)
def test_indexes_may_be_left_out(given: list[Any], taken: list[int]) -> None:
    candidates = [
        {"content": {"parts": [{"text": "a"}]}, **({} if i is None else {"index": i})}
        for i in given
    ]
    said = deltas({"candidates": candidates})
    assert [delta.choice for delta in said if isinstance(delta, d.TextDelta)] == taken


# --- what is told of an answer ----------------------------------------------------------------


def test_facts_of_the_answer_are_told_when_they_are_new() -> None:
    about = {"responseId": "r1", "modelVersion": "m1", "createTime": "t", "modelStatus": None}
    assert deltas(
        {**about, **chunk(text("a"))},
        {**about, **chunk(text("b"))},
        {**about, "createTime": "u", "turnToken": "v"},
        {"modelVersion": "m2", "responseId": ""},
        {"promptFeedback": {"safetyRatings": [1]}, "turnToken": "v"},
        {"responseId": 7, "modelVersion": None},
    ) == [
        d.StreamInfo(id="r1", model="m1", metadata={"createTime": "t"}),
        d.TextDelta(0, "a"),
        d.TextDelta(0, "b"),
        d.StreamInfo(id="r1", model="m1", metadata={"createTime": "u", "turnToken": "v"}),
        d.StreamInfo(id="r1", model="m2"),
        d.StreamInfo(id="r1", model="m2", metadata={"promptFeedback": {"safetyRatings": [1]}}),
    ]


def test_facts_of_a_choice_stand_in_its_metadata_and_the_last_one_wins() -> None:
    choice = answer(
        chunk(text("a"), safetyRatings=[1], groundingMetadata={}, avgLogprobs=-0.5),
        chunk(text("b"), safetyRatings=[1], urlContextMetadata={"urlMetadata": [1]}),
        chunk(finish="STOP", safetyRatings=[2], avgLogprobs=-0.25, finishMessage="Done."),
        chunk(
            groundingMetadata={"webSearchQueries": ["q"], "searchEntryPoint": {"a": 1}},
            new={"a": 1},
        ),
        chunk(groundingMetadata={"webSearchQueries": ["r"]}, new="b", tokenCount=0, none=None),
    ).choices[0]
    assert choice.metadata == {
        "safetyRatings": [2],
        "avgLogprobs": -0.25,
        "finishMessage": "Done.",
        "urlContextMetadata": {"urlMetadata": [1]},
        "groundingMetadata": {"webSearchQueries": ["r"], "searchEntryPoint": {"a": 1}},
        "new": "b",
        "tokenCount": 0,
    }


def test_the_same_fact_is_told_once() -> None:
    same = [chunk(safetyRatings=[1])] * 2
    assert deltas(*same, chunk(avgLogprobs=-0.5), *same) == [
        d.ChoiceInfo({"safetyRatings": [1]}, replace=True),
        d.ChoiceInfo({"avgLogprobs": -0.5}, replace=True),
    ]


@pytest.mark.parametrize(
    "news", [{"responseId": "r2"}, {"modelVersion": "m2"}, {"createTime": "u"}], ids=str
)
def test_facts_are_told_with_the_text_they_came_with(news: Dict) -> None:
    about = {"responseId": "r1", "modelVersion": "m1", "createTime": "t"}
    said = deltas(*[{**about, **chunk(text("a"))}] * 2, {**about, **news, **chunk(text("b"))})
    assert [type(delta) for delta in said[-2:]] == [d.StreamInfo, d.TextDelta]


def test_logprobs_are_of_their_chunk() -> None:
    first, second = {"chosenCandidates": [{"token": "a"}]}, {"chosenCandidates": [{"token": "b"}]}
    choice = answer(
        chunk(text("a"), logprobsResult=first), chunk(finish="STOP", logprobsResult=second)
    ).choices[0]
    assert choice.metadata["logprobsResult"] == {
        "chosenCandidates": [{"token": "a"}, {"token": "b"}]
    }


# --- citations --------------------------------------------------------------------------------


def annotations(item: Any) -> list[Dict]:
    return item.message_contents[0].annotations or []


def test_citations_belong_to_the_text_under_way() -> None:
    first, second = {"uri": "https://a.example", "endIndex": 9}, {"uri": "https://b.example"}
    run = {"executableCode": {"code": "1"}}
    early = {"citationSources": [{"license": "mit"}]}
    said = deltas(
        chunk(citationMetadata=early),
        chunk(text("a"), citationMetadata={"citationSources": [first]}),
        chunk(run, citationMetadata={"citationSources": [first, 7], "citations": [second]}),
        chunk(text("b"), citationMetadata={"citations": [second], "other": 1}),
        chunk(finish="STOP", citationMetadata={"citations": [{"title": "T"}]}),
    )
    choice = accumulate([said]).choices[0]
    assert choice.contents is not None
    one_text, _, other_text = choice.contents
    assert annotations(one_text) == [
        {"type": "citation", "url": "https://a.example", **first},
        {"type": "citation", "url": None},
        {"type": "citation", "url": "https://b.example", **second},
    ]
    assert annotations(other_text) == [{"type": "citation", "url": None, "title": "T"}]
    assert choice.metadata["citationMetadata"] == {
        "citationSources": [{"license": "mit"}, first, 7],
        "citations": [second, {"title": "T"}],
    }


def test_a_citation_is_the_same_in_any_order_of_its_fields() -> None:
    first = {"uri": "https://a.example", "endIndex": 9}
    again = dict(reversed(first.items()))
    said = deltas(*(chunk(text("a"), citationMetadata={"a": [it]}) for it in (first, again)))
    assert len([delta for delta in said if isinstance(delta, d.AnnotationDelta)]) == 1


def support(words: str | None, *chunks: Any) -> Dict:
    segment = {} if words is None else {"segment": {"endIndex": 3, "text": words}}
    return {**segment, "groundingChunkIndices": list(chunks)}


SOURCES = [
    {"web": {"uri": "https://a.example", "title": "A"}},
    {"retrievedContext": {"text": "Long.", "title": "B"}},
    7,
]


def test_grounding_is_annotated_at_the_end() -> None:
    grounding = {
        "groundingChunks": SOURCES,
        "groundingSupports": [
            support("One.", 0, 1),
            support("One.", 1),
            support("Two.", 0, 2, 3, -1, None),
            support(None, 0),
            7,
        ],
    }
    decoder = GeminiDecoder()
    one(chunk(text("One. Two."), groundingMetadata=grounding), decoder=decoder)
    assert [type(delta) for delta in decoder.end()] == [d.AnnotationDelta] * 4
    assert one(chunk(finish="STOP"), decoder=decoder) == [d.Finish("stop", "STOP")]
    assert decoder.end() == [d.BlockEnd(0)]  # told once
    choice = answer(chunk(text("One. Two."), groundingMetadata=grounding, finish="STOP")).choices[0]
    assert choice.metadata == {"groundingMetadata": grounding}
    first, second, third, last = annotations((choice.contents or [])[0])
    assert first == {
        "type": "grounding",
        "kind": "web",
        "url": "https://a.example",
        "title": "A",
        "segment": {"endIndex": 3, "text": "One."},
        "chunk_index": 0,
    }
    assert (second["kind"], second["url"], second["title"]) == ("retrievedContext", None, "B")
    assert (third["segment"]["text"], last["segment"]) == ("Two.", {})


def test_grounding_goes_to_the_text_that_it_grounds() -> None:
    run = {"executableCode": {"code": "1"}}
    supports = [support("b", 0), support("a", 1), support("d", 0), support("q", 1)]
    grounding = {"groundingChunks": SOURCES, "groundingSupports": supports}
    texts = contents(
        chunk(text("a"), run, text("b"), run),
        chunk(text("a d"), run, text("c"), groundingMetadata=grounding),
    )[::2]
    cited = [[a["segment"]["text"] for a in annotations(item)] for item in texts]
    assert cited == [[], ["b"], ["a", "d"], ["q"]]


def test_what_is_grounded_may_have_come_in_pieces() -> None:
    grounding = {"groundingChunks": SOURCES, "groundingSupports": [support("One two.", 0)]}
    run = {"executableCode": {"code": "1"}}
    first, _, second = contents(
        chunk(text("One "), text("two."), run, text("Three."), groundingMetadata=grounding)
    )
    assert (len(annotations(first)), len(annotations(second))) == (1, 0)


def test_grounding_without_text_stays_in_the_metadata() -> None:
    grounding = {"groundingChunks": SOURCES, "groundingSupports": [support("a", 0)]}
    said = deltas(chunk(text("a", thought=True), groundingMetadata=grounding))
    assert not any(isinstance(delta, d.AnnotationDelta) for delta in said)


def test_annotations_of_grounding_are_bounded() -> None:
    supports = [support(f"a{n}", *[0] * 40) for n in range(MAX_SOURCES // 20)]
    grounding = {"groundingChunks": SOURCES, "groundingSupports": supports}
    said = deltas(chunk(text("a"), groundingMetadata=grounding))
    assert len([a for a in said if isinstance(a, d.AnnotationDelta)]) == MAX_SOURCES // 40


# --- usage ------------------------------------------------------------------------------------


def usage_of(*usages: Any) -> list[d.TokenUsage]:
    said = deltas(*({"usageMetadata": usage} for usage in usages))
    return [delta.usage for delta in said if isinstance(delta, d.UsageUpdate)]


def test_usage() -> None:
    native = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 80,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 5,
        "totalTokenCount": 132,
        "trafficType": "ON_DEMAND",
    }
    assert usage_of(native) == [
        d.TokenUsage(
            prompt_tokens=107,
            completion_tokens=25,
            total_tokens=132,
            reasoning_tokens=5,
            cache_read_tokens=80,
            native=native,
        )
    ]


def test_the_last_usage_wins_and_one_without_a_total_adds_to_it() -> None:
    first = {"promptTokenCount": 9, "candidatesTokenCount": 21, "totalTokenCount": 30}
    last = {"promptTokenCount": 87, "thoughtsTokenCount": 78, "totalTokenCount": 165}
    told = usage_of(first, {"trafficType": "T", "promptTokenCount": None}, last)
    assert [usage.native for usage in told] == [first, {**first, "trafficType": "T"}, last]
    assert [usage.completion_tokens for usage in told] == [21, 21, 78]
    assert len(usage_of(first, {"promptTokenCount": 9}, first)) == 1


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"candidatesTokenCount": 3}, (None, 3, None)),
        ({"thoughtsTokenCount": 3}, (None, 3, None)),
        ({"toolUsePromptTokenCount": 3.0}, (3, None, None)),
        ({"promptTokenCount": True, "totalTokenCount": -1}, (None, None, None)),
        ({"promptTokenCount": "3", "totalTokenCount": 2.5}, (None, None, None)),
    ],
)
def test_what_is_not_told_is_not_zero(usage: Dict, expected: tuple[int | None, ...]) -> None:
    (told,) = usage_of(usage)
    assert (told.prompt_tokens, told.completion_tokens, told.total_tokens) == expected
    assert (told.cache_read_tokens, told.reasoning_tokens in (None, 3)) == (None, True)


@pytest.mark.parametrize("usage", [None, {}, [], 7])
def test_no_usage_is_not_told(usage: Any) -> None:
    assert usage_of(usage) == []


def test_usage_is_told_with_the_text_it_counts_if_it_is_new() -> None:
    decoder = GeminiDecoder()
    counted = {"totalTokenCount": 1}
    one({**chunk(text("a")), "usageMetadata": counted}, decoder=decoder)
    told = [
        one({**chunk(text("b")), "usageMetadata": usage}, decoder=decoder)
        for usage in (counted, {"totalTokenCount": 2}, {"trafficType": "T"}, {})
    ]
    assert [len(said) for said in told] == [1, 2, 2, 1]
    assert told[2][1] == d.UsageUpdate(
        d.TokenUsage(total_tokens=2, native={"totalTokenCount": 2, "trafficType": "T"})
    )


# --- errors -----------------------------------------------------------------------------------


def rpc_error(status: str, code: Any = None, details: Any = None) -> Dict:
    said = {"code": code, "message": "M", "status": status, "details": details}
    return {"error": {key: value for key, value in said.items() if value is not None}}


@pytest.mark.parametrize(
    ("status", "code", "http_status", "kind", "retryable"),
    [
        ("INVALID_ARGUMENT", 400, 400, InvalidRequestError, False),
        ("UNAUTHENTICATED", None, 401, AuthenticationError, False),
        ("PERMISSION_DENIED", 403, 403, AuthenticationError, False),
        ("NOT_FOUND", 404, 404, InvalidRequestError, False),
        ("RESOURCE_EXHAUSTED", 429, 429, RateLimitError, True),
        ("CANCELLED", None, 499, InvalidRequestError, False),
        ("INTERNAL", 500, 500, ServerError, True),
        ("UNAVAILABLE", None, 503, OverloadedError, True),
        ("DEADLINE_EXCEEDED", 504, 504, ServerError, True),
        ("UNKNOWN", None, 500, ServerError, True),
        ("STATUS_OF_NEXT_YEAR", 418, 418, InvalidRequestError, False),
    ],
)
def test_an_error_in_a_stream(
    status: str, code: int | None, http_status: int, kind: type[ProviderError], retryable: bool
) -> None:
    decoder = GeminiDecoder()
    one({**chunk(text("a")), "responseId": "r1"}, decoder=decoder)
    with pytest.raises(ProviderError) as caught:
        one(rpc_error(status, code), decoder=decoder)
    error = caught.value
    assert type(error) is kind
    assert (error.http_status, error.code, error.retryable) == (http_status, status, retryable)
    assert (error.request_id, error.retry_after) == ("r1", None)
    assert not decoder.complete


RETRY = "type.googleapis.com/google.rpc.RetryInfo"


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ("7s", 7.0),
        ("34.074824224s", 34.074824224),
        ("0s", 0.0),
        ({"seconds": 7, "nanos": 500_000_000}, 7.5),
        ({"seconds": 7}, 7.0),
        ({"nanos": 7}, None),
        ("7", None),
        ("-7s", None),
        ("7s ", None),
        (7, None),
        (None, None),
    ],
)
def test_when_to_retry(delay: Any, seconds: float | None) -> None:
    details = [{"@type": "x"}, 7, {"@type": RETRY, "retryDelay": delay}, {"retryDelay": "99s"}]
    error = rpc_error("RESOURCE_EXHAUSTED", 429, details[: 3 if seconds is None else 4])
    with pytest.raises(RateLimitError) as caught:
        one(error)
    assert caught.value.retry_after == seconds


BAD_KEY = [{"reason": "API_KEY_INVALID"}, {"@type": RETRY, "retryDelay": "1s"}]


def test_a_wrong_key_is_no_invalid_request() -> None:
    with pytest.raises(AuthenticationError) as caught:
        one(rpc_error("INVALID_ARGUMENT", 400, BAD_KEY))
    error = caught.value
    assert (error.http_status, error.code, error.retry_after) == (400, "INVALID_ARGUMENT", 1.0)
    assert error.details["body"]["error"]["message"] == "M"
    reply = ErrorReply(
        status=401,
        headers={"x-request-id": "q"},
        body=json.dumps(rpc_error("UNAUTHENTICATED", 401, BAD_KEY)).encode(),
    )
    refused = informed(reply_error(reply))
    assert (type(refused), refused.request_id, refused.retry_after) == (
        *(AuthenticationError, "q", 1.0),
    )
    assert informed(reply_error(ErrorReply(status=500, headers={}, body=b""))).retry_after is None


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ([rpc_error("INTERNAL")], ""),
        ([chunk(text("a")), rpc_error("INTERNAL")], ""),
        ({**chunk(text("a")), **rpc_error("INTERNAL")}, ""),
        ({"error": "INTERNAL"}, ""),
        ({"message": "M"}, "error"),
        ("M", "error"),
        (b"M", "error"),
    ],
)
def test_errors_in_other_forms(payload: Any, name: str) -> None:
    def read_all() -> None:
        one(payload, name=name, decoder=decoder)
        decoder.end()

    decoder = GeminiDecoder()
    with pytest.raises(ServerError):
        read_all()
    assert not decoder.complete


def test_an_event_that_is_nothing_but_an_error_is_raised_at_once() -> None:
    for payload in ({"message": "M"}, b"M"):
        with pytest.raises(ServerError, match=r"\bM\b"):
            one(payload, name="error")


def test_a_document_may_be_an_error() -> None:
    with pytest.raises(ServerError):
        GeminiDecoder().decode_document(json.dumps(rpc_error("INTERNAL")).encode())


def test_a_chunk_is_no_error_because_its_event_is_named_so() -> None:
    assert one(chunk(text("a")), name="error") == [d.TextDelta(0, "a")]
    assert one({"error": None, **chunk(text("a"))}) == [d.TextDelta(0, "a")]


def test_what_is_no_json_is_no_chunk() -> None:
    with pytest.raises(ProtocolError, match="an event without a name is no JSON: '<html>'"):
        one(b"<html>")
    with pytest.raises(ProtocolError, match="event 'x' is no JSON"):
        one(b'{"a":', name="x")


def test_what_is_nested_too_deeply_is_refused() -> None:
    for depth in (100_000, *range(900, 1000, 5)):
        nest = b'{"a":' * depth + b"1" + b"}" * depth
        with suppress(ProtocolError):
            one(b'{"candidates":[{"content":{"parts":[{"functionCall":{"args":[%s]}}]}}]}' % nest)
    with pytest.raises(ProtocolError):
        one(b"[" * 100_000)


def test_a_little_less_depth_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_deep(*_: Any) -> Dict:
        raise RecursionError

    monkeypatch.setattr(gemini_stream, "others", too_deep)
    with pytest.raises(ProtocolError, match="nested too deeply"):
        one(chunk(text("a")))


# --- the wire ---------------------------------------------------------------------------------


def test_two_chunks_in_one_event() -> None:
    lines = b"\n".join(json.dumps(chunk(text(words))).encode() for words in "ab")
    assert one(lines) == [d.TextDelta(0, "a"), d.TextDelta(0, "b")]
    assert one([chunk(text("a")), chunk(text("b"))]) == [d.TextDelta(0, "a"), d.TextDelta(0, "b")]


def test_what_is_no_character_is_replaced() -> None:
    raw = json.dumps(chunk(text("AB"))).encode()
    for odd in (b"\\ud83d", b"\xff"):
        assert one(raw.replace(b"AB", odd)) == [d.TextDelta(0, "\ufffd")]
    assert one(raw.replace(b"AB", b"\\ud83d\\ude00")) == [d.TextDelta(0, "\N{GRINNING FACE}")]


@pytest.mark.parametrize(
    "body",
    [
        ANSWER.replace(b"\r\n", b"\n"),
        ANSWER.replace(b"data: ", b"data:"),
        ANSWER.removesuffix(b"\r\n\r\n"),
        b"\xef\xbb\xbf: hello\r\n\r\n" + ANSWER,
        b"data: [DONE]\r\n\r\n" + ANSWER + b"data: [DONE]\r\n\r\n",
    ],
)
def test_other_framing_makes_no_difference(body: bytes) -> None:
    assert read(body)[0] == read(ANSWER)[0]


def test_megabytes_in_one_event() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0K" * 300_000}}
    said = [s for s in decode([sse(chunk(picture, finish="STOP"))], GeminiDecoder()) if s]
    assert said[0][0] == d.OpaqueStart(0, "inlineData", picture)


# --- any events -------------------------------------------------------------------------------

KEYS = [
    *("candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall"),
    *("name", "args", "id", "partialArgs", "willContinue", "jsonPath", "stringValue", "index"),
    *("numberValue", "nullValue", "finishReason", "groundingMetadata", "groundingChunks", "web"),
    *("groundingSupports", "groundingChunkIndices", "segment", "uri", "citationMetadata"),
    *("citationSources", "usageMetadata", "totalTokenCount", "promptTokenCount", "responseId"),
    *("modelVersion", "promptFeedback", "blockReason", "error", "code", "status", "details"),
    *("retryDelay", "reason", "inlineData", "logprobsResult", "message", "createTime"),
]
WORDS = [
    *("STOP", "MAX_TOKENS", "$.a", "$.a[0]", "$.b.c", "7s", "API_KEY_INVALID", "INTERNAL", "model"),
    *("", "a", "call_1", "\ud83d", "\N{GRINNING FACE}", '{"a":1}', "[DONE]", "AIza12345678"),
]
odd_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**70, 1.0, 0.5, float("inf"), float("nan")])
    | st.sampled_from(WORDS)
)
odd_values: st.SearchStrategy[Any] = st.recursive(
    odd_leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)


def odd(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Nearly always this, and now and then anything."""
    return st.one_of(value, value, value, value, odd_values)


def fields(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return odd(st.fixed_dictionaries({}, optional={k: odd(v) for k, v in known.items()}))


words = st.sampled_from(WORDS)
flags = st.booleans()
partials = fields(jsonPath=words, stringValue=words, nullValue=st.none(), willContinue=flags)
calls = fields(
    name=words,
    id=words,
    args=st.dictionaries(words, odd_values, max_size=2),
    partialArgs=st.lists(partials, max_size=3),
    willContinue=flags,
)
parts = (
    fields(text=words, thought=flags, thoughtSignature=words)
    | fields(functionCall=calls, thoughtSignature=words)
    | fields(inlineData=odd_values, thoughtSignature=words)
)
groundings = fields(
    groundingChunks=st.lists(odd_values, max_size=2),
    groundingSupports=st.lists(
        fields(segment=fields(text=words), groundingChunkIndices=st.lists(st.integers(-1, 2))),
        max_size=2,
    ),
)
candidates = fields(
    index=st.integers(0, 2),
    content=fields(parts=st.lists(parts, max_size=3)),
    finishReason=words,
    groundingMetadata=groundings,
    citationMetadata=fields(citationSources=st.lists(odd_values, max_size=2)),
)
chunks = fields(
    candidates=st.lists(candidates, max_size=2),
    usageMetadata=fields(promptTokenCount=st.integers(0, 9), totalTokenCount=st.integers(0, 9)),
    promptFeedback=fields(blockReason=words),
    responseId=words,
    modelVersion=words,
) | st.fixed_dictionaries({"error": odd_values})
payload_lists = st.lists(chunks.map(json.dumps), min_size=1, max_size=2).map("\n".join)
event_lists = st.lists(
    st.builds(
        ServerSentEvent,
        payload_lists.map(str.encode) | st.binary(max_size=20),
        st.sampled_from(["", "", "error"]),
    ),
    max_size=6,
)


@given(event_lists)
def test_any_events_are_decoded_or_refused(events: list[ServerSentEvent]) -> None:
    decoder = GeminiDecoder()
    answer = Accumulator(AnswerFacts(model="m", provider=AIModelProviderEnum.GOOGLE_AI))
    for event in events:
        try:
            answer.add(decoder.decode(event))
        except (ProviderError, ProtocolError) as error:
            json.dumps(error.facts())
    with suppress(ProviderError):  # one that came with something else
        answer.add(decoder.end())
    answer.response(complete=decoder.complete, streaming=True).model_dump_json()


@given(payload_lists.map(str.encode) | st.binary(max_size=50))
def test_any_body_is_decoded_or_refused(body: bytes) -> None:
    error = informed(reply_error(ErrorReply(status=500, headers={}, body=body)))
    assert "12345678" not in error.message + repr(error.details)
    with suppress(ProviderError, ProtocolError):
        accumulate([GeminiDecoder().decode_document(body)]).model_dump_json()


plain_parts = st.builds(
    lambda words, thought: text(words, thought=True) if thought else text(words),
    st.text(max_size=3),
    st.booleans(),
)
any_parts = st.one_of(
    plain_parts,
    plain_parts.map(signed),
    st.sampled_from([{"inlineData": {"data": "a"}}, call("f"), call("f", **ON), call()]),
)


@given(st.lists(st.lists(any_parts, max_size=3), max_size=8))
def test_no_text_is_lost_and_reading_fast_makes_no_difference(chunked: list[list[Dict]]) -> None:
    said, _ = read([chunk(*parts) for parts in chunked])
    response = accumulate([said])
    told = [part for parts in chunked for part in parts if part.get("text")]
    spoken = "".join(part["text"] for part in told if not part.get("thought"))
    thought = "".join(part["text"] for part in told if part.get("thought"))
    assert (response.text() or "", response.reasoning() or "") == (spoken, thought)
    sent = sum("thoughtSignature" in part for parts in chunked for part in parts)
    kept = sum(
        isinstance(delta, d.SignatureDelta)
        or (isinstance(delta, d.OpaqueStart) and "thoughtSignature" in delta.block)
        for delta in said
    )
    assert sent == kept


def replayed(item: Any) -> list[Dict]:
    """The parts that a block of text or reasoning, or one that is carried through, came in."""
    if isinstance(item, ChatResponseGenericContentItem):
        return [item.block]
    words, kind = item.get_text(), {"thought": True} if item.type == "reasoning" else {}
    signature = getattr(item, "thinking_signature", item.metadata.get("thought_signature"))
    if signature is None:
        return [text(words, **kind)]
    start, end = item.metadata.get(SIGNED_SPAN, [0, len(words)])
    before, after = words[:start], words[end:]
    return [
        *([text(before, **kind)] if before else []),
        signed(text(words[start:end], **kind), signature),
        *([text(after, **kind)] if after else []),
    ]


def joined(parts: list[Dict]) -> list[Dict]:
    """The parts without empty ones, and with unsigned ones of a kind that follow one another as
    one."""
    out: list[Dict] = []
    for part in parts:
        same = out and "text" in out[-1] and part.keys() == out[-1].keys()
        if same and "thoughtSignature" not in part:
            out[-1] = {**part, "text": out[-1]["text"] + part["text"]}
        elif part.get("text") or "thoughtSignature" in part:
            out.append(part)
    return out


@given(st.lists(plain_parts | plain_parts.map(signed), max_size=8))
def test_the_parts_can_be_sent_back_as_they_came(sent: list[Dict]) -> None:
    back = [part for item in contents(*map(chunk, sent)) for part in replayed(item)]
    assert joined(back) == joined(sent)


# --- recorded answers -------------------------------------------------------------------------


@needs_corpus
def test_the_recorded_lists_of_chunks() -> None:
    lists = [r for r in streams("other") if r.meta["sub_dialect"] == "gemini-json-array"]
    assert len(lists) == 20
    for recording in lists:
        decoder = GeminiDecoder()
        response = accumulate([decoder.decode_document(recording.body)])
        assert (decoder.complete, decoder.skipped) == (True, 0)
        assert response.choices[0].finish_reason in ("stop", "tool_calls")
        assert response.text() or response.tools()
        assert all(item.parse_error is None for item in response.tools())
        assert response.usage is not None
        assert response.usage.total_tokens
