"""Answers of Chat Completions. The invariant: any events give deltas, a ProviderError or a
ProtocolError, and whichever way a chunk is read, it says the same."""

import json
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import accumulate, bytewise, decode

from dhenara_stream.core import deltas as d
from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.openai_chat.stream import OpenAIChatDecoder
from dhenara_stream.errors import (
    AuthenticationError,
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
    ChatResponseTextContentItem,
    FinishReason,
)

Dict = dict[str, Any]

# --- making and reading streams ---------------------------------------------------------------

DONE = "[DONE]"


def chunk(delta: Any = None, finish: Any = None, *, index: Any = 0, **fields: Any) -> Dict:
    """A chunk with one choice."""
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", **fields} | {
        "choices": [choice]
    }


def text(piece: str, finish: str | None = None, **fields: Any) -> Dict:
    return chunk({"content": piece}, finish, **fields)


def call(*pieces: Any, **fields: Any) -> Dict:
    """A chunk with pieces of calls."""
    return chunk({"tool_calls": list(pieces)}, **fields)


def function(name: Any = None, arguments: Any = None, **fields: Any) -> Dict:
    """A piece of a call; what is ``None`` is left out."""
    body = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    return {**fields, "function": body}


STOP = chunk({}, "stop")
CALLS = chunk({}, "tool_calls")


def sse(*events: Dict | str) -> bytes:
    lines = (e if isinstance(e, str) else json.dumps(e, ensure_ascii=False) for e in events)
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def read(*events: Dict | str, lenient: bool = False) -> tuple[list[d.Delta], OpenAIChatDecoder]:
    """The deltas of a stream, the same whole and byte by byte."""
    body = sse(*events)
    whole, pieces = (OpenAIChatDecoder(lenient_end=lenient) for _ in range(2))
    said = [delta for deltas in decode([body], whole) for delta in deltas]
    assert said == [delta for deltas in decode(bytewise(body), pieces) for delta in deltas]
    assert (whole.complete, whole.skipped) == (pieces.complete, pieces.skipped)
    return said, whole


def deltas(*events: Dict | str) -> list[d.Delta]:
    """What a stream says of its content."""
    about = d.StreamInfo | d.BlockEnd | d.Finish
    return [delta for delta in read(*events)[0] if not isinstance(delta, about)]


def answer(*events: Dict | str) -> ChatResponse:
    """What becomes of a stream, which has to be complete."""
    said, decoder = read(*events)
    assert decoder.complete
    return accumulate([said])


def contents(*events: Dict | str) -> list[Any]:
    """The items of the first choice of a stream that ends well."""
    return answer(*events, STOP, DONE).choices[0].contents or []


def calls_of(*events: Dict | str) -> list[tuple[str | None, str, Any]]:
    return [
        (c.call_id, c.name, c.raw_arguments or c.arguments)
        for c in answer(*events, CALLS, DONE).tools()
    ]


def text_of(items: Iterable[Any], *kinds: str) -> str:
    """The text of the parts of these kinds."""
    texts = [item for item in items if type(item) is ChatResponseTextContentItem]
    parts = [part for item in texts for part in item.message_contents or []]
    return "".join(part.text or "" for part in parts if part.type in kinds)


def of_type(kind: type, said: Iterable[d.Delta]) -> list[Any]:
    return [delta for delta in said if isinstance(delta, kind)]


def one(event: Any, *, name: str = "", decoder: OpenAIChatDecoder | None = None) -> list[d.Delta]:
    """The deltas of one event."""
    data = event if isinstance(event, str) else json.dumps(event)
    return list((decoder or OpenAIChatDecoder()).decode(ServerSentEvent(data.encode(), name)))


def document(completion: Any) -> ChatResponse:
    decoder = OpenAIChatDecoder()
    said = decoder.decode_document(json.dumps(completion).encode())
    assert decoder.complete
    return accumulate([said])


def completion(message: Dict, finish: str = "stop", **fields: Any) -> Dict:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice]} | (
        fields
    )


# --- whole answers ----------------------------------------------------------------------------

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1767000000, "model": "m"}
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def piece_of_text(delta: Dict, finish: str | None = None) -> Dict:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**HEAD, "service_tier": "default", "choices": [choice], "usage": None, "p": "q8Zr"}


FOUR: list[Dict | str] = [
    piece_of_text({"role": "assistant", "content": "", "refusal": None}),
    piece_of_text({"content": "Fo"}),
    piece_of_text({"content": "ur"}),
    piece_of_text({}, "stop"),
    {**HEAD, "service_tier": "default", "choices": [], "usage": USAGE},
    DONE,
]


def test_a_stream_is_said_in_neutral_terms_event_by_event() -> None:
    facts = {"created": 1767000000, "service_tier": "default"}
    usage = d.TokenUsage(
        prompt_tokens=9,
        completion_tokens=5,
        total_tokens=14,
        reasoning_tokens=3,
        cache_read_tokens=4,
        native=USAGE,
    )
    assert [list(said) for said in decode([sse(*FOUR)], OpenAIChatDecoder())] == [
        [d.StreamInfo(id="chatcmpl-1", model="m", metadata=facts)],
        [d.TextDelta(0, "Fo")],
        [d.TextDelta(0, "ur")],
        [d.Finish("stop", "stop")],
        [d.UsageUpdate(usage)],
        [d.BlockEnd(0)],
    ]


def test_reasoning_comes_before_the_text() -> None:
    events = [
        chunk({"role": "assistant", "content": None, "reasoning_content": ""}),
        chunk({"content": None, "reasoning_content": "2+"}),
        chunk({"content": None, "reasoning_content": "2"}),
        chunk({"content": "Four", "reasoning_content": None}),
    ]
    assert deltas(*events) == [
        d.ReasoningDelta(0, "2+"),
        d.BlockInfo(0, metadata={"reasoning_field": "reasoning_content"}),
        d.ReasoningDelta(0, "2"),
        d.TextDelta(1, "Four"),
    ]
    response = answer(*events, STOP, DONE)
    assert (response.text(), response.reasoning()) == ("Four", "2+2")


def test_choices_interleave_and_each_has_its_own_blocks() -> None:
    response = answer(
        text("b", index=1),
        text("a", index=0),
        text("B", index=1),
        chunk({"tool_calls": [function("f", "{}", index=0, id="x")]}, index=0),
        chunk({}, "length", index=1),
        chunk({}, "stop", index=0),
        DONE,
    )
    first, second = response.choices
    assert [item.index for item in first.contents or []] == [0, 1]
    assert first.finish_reason == FinishReason.TOOL_CALLS
    assert (second.contents or [])[0].index == 0
    assert (second.index, second.native_finish_reason) == (1, "length")


def test_choices_in_one_chunk_without_numbers_are_numbered() -> None:
    both = {"choices": [{"delta": {"content": c}, "finish_reason": "stop"} for c in "ab"]}
    response = answer(both, DONE)
    assert [(c.index, len(c.contents or [])) for c in response.choices] == [(0, 1), (1, 1)]


def test_choices_in_one_chunk_have_their_own_numbers() -> None:
    pairs = ((1, "b"), (0, "a"))
    both = {"choices": [{"index": i, "delta": {"content": c}} for i, c in pairs]}
    assert deltas(both) == [d.TextDelta(0, "b", 1), d.TextDelta(0, "a", 0)]


def all_sorts(index: int) -> list[d.Delta]:
    """What a choice says that has nearly everything in it."""
    audio = {"id": "a", "data": "UklG", "transcript": "Hm"}
    thinking = {"type": "thinking", "thinking": "t", "signature": "s"}
    reference = {"type": "reference", "reference_ids": [1]}
    details = [{"type": "reasoning.encrypted", "data": "RW5j"}]
    custom_call = {"index": 2, "id": "z", "custom": {"name": "g", "input": "i"}}
    deltas: list[Dict] = [
        {"reasoning_details": details},
        {"reasoning": "r", "content": "c", "refusal": "no", "mood": "so"},
        {"content": [thinking, reference, {"type": "image_url"}]},
        {"annotations": [{"type": "url_citation"}], "audio": audio, "images": [{"type": "image"}]},
        {"audio": {"expires_at": 1}},
        {"tool_calls": [function("f", "", index=0, id="x")]},
        {"tool_calls": [function(arguments="{}", index=0)]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ""}, "late": 1}]},
        {"tool_calls": [{"index": 1, "type": "web_search"}]},
        {"tool_calls": [{"index": 1, "status": "done"}, custom_call]},
        {"function_call": {"name": "h", "arguments": "{}"}},
        {"content": "d"},
        {"reasoning": "s"},
    ]
    said, decoder = read(
        *(chunk(delta, index=index) for delta in deltas), chunk({}, "stop", index=index), DONE
    )
    assert decoder.complete
    return said


def test_all_that_is_said_of_a_choice_names_it() -> None:
    first, second = all_sorts(0), all_sorts(1)
    assert {getattr(delta, "choice", 1) for delta in second} == {1}
    told: list[Any] = [delta for delta in second if hasattr(delta, "choice")]
    assert [msgspec.structs.replace(delta, choice=0) for delta in told] == [
        delta for delta in first if hasattr(delta, "choice")
    ]


# --- the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "strict", "lenient"),
    [
        ([text("a"), STOP, DONE], True, True),
        ([text("a"), STOP], True, True),
        ([text("a", "stop"), {"choices": [], "usage": USAGE}, DONE], True, True),
        ([text("a"), DONE], False, True),
        ([text("a")], False, True),
        ([text("a"), chunk({}, ""), DONE], False, True),
        ([text("a"), text("b", "stop", index=1), DONE], False, True),
        ([text("a"), text("b", "stop", index=1)], False, True),
        ([{"choices": [], "usage": USAGE}, DONE], False, False),
        ([DONE], False, False),
        ([], False, False),
    ],
)
def test_the_answer_is_complete_only_if_each_choice_is(
    events: list[Dict | str], strict: bool, lenient: bool
) -> None:
    said, decoder = read(*events)
    assert decoder.complete is strict
    assert bool(of_type(d.BlockEnd, said)) is strict
    assert read(*events, lenient=True)[1].complete is lenient


def test_no_server_is_lenient_that_is_not_said_to_be() -> None:
    decoder = OpenAIChatDecoder()
    one(text("a"), decoder=decoder)
    one("[DONE]", decoder=decoder)
    assert not decoder.complete


@pytest.mark.parametrize(
    ("after", "expected"),
    [({}, True), ({"role": "assistant"}, True), ({"role": "assistant", "content": "b"}, False)],
)
def test_an_answer_goes_on_with_news_alone(after: Dict, expected: bool) -> None:
    decoder = OpenAIChatDecoder()
    for event in (text("a", "stop"), chunk(after)):
        one(event, decoder=decoder)
    assert decoder.may_be_complete is expected


def test_a_finish_reason_alone_does_not_complete_it() -> None:
    decoder = OpenAIChatDecoder()
    one(text("a", "stop"), decoder=decoder)
    assert not decoder.complete
    one("[DONE]", decoder=decoder)
    assert decoder.complete


def test_nothing_counts_after_the_end() -> None:
    said, decoder = read(text("a"), STOP, DONE, text("b"), {"error": {"message": "x"}}, DONE)
    assert of_type(d.TextDelta, said) == [d.TextDelta(0, "a")]
    assert (decoder.complete, decoder.skipped) == (True, 3)


def test_a_truncated_answer_is_not_completed_by_its_end() -> None:
    said, decoder = read(text("a"), DONE, STOP)
    assert (decoder.complete, list(decoder.end())) == (False, [])
    assert of_type(d.Finish, said) == []


def test_the_end_of_the_body_adds_nothing_to_a_complete_answer() -> None:
    _, decoder = read(text("a"), STOP, DONE)
    assert (decoder.complete, list(decoder.end())) == (True, [])


@pytest.mark.parametrize("end", ["[DONE]", " [DONE] ", "[DONE] bye", "[DONE]\nbye"])
def test_the_end_in_odd_clothes(end: str) -> None:
    decoder = OpenAIChatDecoder()
    one(text("a", "stop"), decoder=decoder)
    one(end, decoder=decoder)
    assert decoder.complete


def test_a_blank_line_forgotten_before_the_end() -> None:
    decoder = OpenAIChatDecoder()
    lines = "\n".join([json.dumps(text("a")), json.dumps(text("b", "stop")), "[DONE]"])
    assert of_type(d.TextDelta, one(lines, decoder=decoder)) == [
        d.TextDelta(0, "a"),
        d.TextDelta(0, "b"),
    ]
    assert decoder.complete


def test_content_after_a_finish_reason_is_kept() -> None:
    events = [
        call(function("f", "", index=0, id="x")),
        call(function(arguments='{"a":', index=0)) | {},
        CALLS,
        call(function(arguments="1}", index=0)),
        text("Done."),
    ]
    response = answer(*events, CALLS, DONE)
    assert response.text() == "Done."
    assert response.tools()[0].arguments == {"a": 1}


@pytest.mark.parametrize("data", ["", " ", "\n"])
def test_events_without_data_say_nothing(data: str) -> None:
    assert one(data) == []


# --- reasoning --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delta", "expected", "field"),
    [
        ({"reasoning_content": "a"}, "a", "reasoning_content"),
        ({"reasoning": "a"}, "a", "reasoning"),
        ({"reasoning": "a", "reasoning_content": "a"}, "a", "reasoning_content"),
        ({"reasoning": "b", "reasoning_content": "a"}, "ab", "reasoning_content"),
        (
            {"reasoning_details": [{"type": "reasoning.text", "text": "a"}]},
            "a",
            "reasoning_details",
        ),
        (
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "a"}]},
            "a",
            "reasoning_details",
        ),
        (
            {"reasoning_details": {"type": "reasoning.text", "text": "a"}},
            "a",
            "reasoning_details",
        ),
        (
            {"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]},
            "a",
            "reasoning",
        ),
        ({"content": [{"type": "thinking", "thinking": "a"}]}, "a", "thinking"),
        ({"content": [{"type": "thinking", "thinking": ["a"]}]}, "a", "thinking"),
        ({"content": [{"type": "reasoning", "text": "a"}]}, "a", "thinking"),
        ({"content": [{"type": "reasoning", "reasoning": "a"}]}, "a", "thinking"),
        ({"content": [{"type": "reasoning", "summary": [{"text": "a"}]}]}, "a", "thinking"),
    ],
)
def test_reasoning_has_many_names(delta: Dict, expected: str, field: str) -> None:
    (item,) = contents(chunk(delta), chunk(delta))
    assert item.get_text() == expected * 2
    assert item.metadata["reasoning_field"] == field


def test_details_of_reasoning_are_kept_to_be_sent_back_with_their_pieces_joined() -> None:
    details = [
        {"type": "reasoning.text", "text": "2+", "format": "x", "index": 0, "signature": None},
        {"type": "reasoning.text", "text": "2", "format": "x", "index": 0, "id": "r"}
        | {"signature": None},
        {"type": "reasoning.text", "signature": "U2ln", "text": None, "index": 0},
        {"type": "reasoning.summary", "summary": "Su", "index": 1, "id": "a"},
        {"type": "reasoning.summary", "summary": "m", "index": 1, "id": "a"},
        {"type": "reasoning.summary", "summary": "other", "index": 1, "id": "b"},
        {"type": "reasoning.encrypted", "data": "RW5j", "index": 2, "id": "b"},
        {"type": "reasoning.encrypted", "data": "RW5k", "index": 2, "id": "b"},
    ]
    events = [chunk({"reasoning": "2+", "reasoning_details": details[:1]})]
    events += [chunk({"reasoning_details": [detail]}) for detail in details[1:]]
    item, said = contents(*events, text("4"))
    assert (item.get_text(), said.get_text()) == ("2+", "4")
    assert item.metadata == {
        "reasoning_field": "reasoning",
        "reasoning_details": [
            {
                "type": "reasoning.text",
                "text": "2+2",
                "format": "x",
                "index": 0,
                "id": "r",
                "signature": "U2ln",
            },
            {"type": "reasoning.summary", "summary": "Sum", "index": 1, "id": "a"},
            {"type": "reasoning.summary", "summary": "other", "index": 1, "id": "b"},
            *details[6:],
        ],
    }


def test_reasoning_that_is_hidden_is_a_block_of_its_own() -> None:
    detail = {"type": "reasoning.encrypted", "data": "RW5j", "format": "x", "id": None}
    item, said = contents(chunk({"content": "", "reasoning_details": [detail]}), text("4"))
    assert (item.get_text() or "", item.metadata) == ("", {"reasoning_details": [detail]})
    assert said.get_text() == "4"


def test_hidden_reasoning_begins_once() -> None:
    details = [{"type": "reasoning.encrypted", "data": data} for data in ("RW5j", "RW5k")]
    assert deltas(*(chunk({"reasoning_details": [detail]}) for detail in details)) == [
        d.BlockStart(0, "reasoning"),
        d.BlockInfo(0, metadata={"reasoning_details": details}),
    ]


@pytest.mark.parametrize(
    "other",
    [{"type": "reasoning.summary", "summary": "b", "index": 0}]
    + [{"type": "reasoning.text", "text": "b", **more} for more in ({"index": 1}, {})],
)
def test_details_of_another_type_or_index_are_others(other: Dict) -> None:
    details = [{"type": "reasoning.text", "text": "a", "index": 0}, other]
    (item,) = contents(*(chunk({"reasoning_details": [detail]}) for detail in details))
    assert item.metadata["reasoning_details"] == details


def test_details_of_reasoning_survive_a_cut() -> None:
    details = [{"type": "reasoning.text", "text": "Hm"}]
    said, _ = read(chunk({"reasoning": "Hm", "reasoning_details": details}))
    assert said[-1] == d.BlockInfo(0, metadata={"reasoning_details": details})


def test_content_may_be_a_list_of_parts() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "12*12"}]}
    signed = {"type": "thinking", "thinking": [{"type": "text", "text": "!"}], "signature": "Uw=="}
    reference = {"type": "reference", "reference_ids": [1]}
    image = {"type": "image_url", "image_url": "https://a.example"}
    inner = {"type": "thinking", "thinking": [{"type": "tool_reference", "tool": "web"}]}
    reasoning, said, refused, picture, tool = contents(
        chunk({"content": [thinking, signed | {"closed": True}, {"type": "text", "text": "1"}]}),
        chunk({"content": [{"type": "text", "text": "4", "annotations": [{"a": 1}]}, "4", 7]}),
        chunk({"content": {"type": "output_text", "text": "!"}}),
        chunk({"content": [reference, {"type": "refusal", "refusal": "no"}, image, inner]}),
    )
    assert (reasoning.get_text(), reasoning.thinking_signature) == ("12*12!", "Uw==")
    (part,) = said.message_contents
    assert (part.text, part.annotations) == ("144!", [{"a": 1}, reference])
    assert refused.message_contents[0].type == "refusal"
    assert (picture.block_type, picture.block) == ("image_url", image)
    assert (tool.block_type, tool.block) == ("tool_reference", inner["thinking"][0])


def test_a_signature_within_a_part() -> None:
    part = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "a", "signature": "s"}],
    }
    (item,) = contents(chunk({"content": [part]}))
    assert (item.get_text(), item.thinking_signature) == ("a", "s")


def test_a_signature_may_come_after_its_thoughts() -> None:
    (item,) = contents(
        chunk({"content": [{"type": "thinking", "thinking": "a"}]}),
        chunk({"content": [{"type": "thinking", "thinking": [], "signature": "s"}]}),
    )
    assert (item.get_text(), item.thinking_signature) == ("a", "s")


# --- other content ----------------------------------------------------------------------------


def test_a_refusal_is_no_text() -> None:
    events = [chunk({"content": None, "refusal": "I can"}), chunk({"refusal": "'t."})]
    response = answer(*events, STOP, DONE)
    assert (response.refusal(), response.text() or "") == ("I can't.", "")


def test_annotations_belong_to_the_text() -> None:
    citations = [{"type": "url_citation", "url_citation": {"url": f"https://{i}"}} for i in (1, 2)]
    (item,) = contents(
        text("See"),
        chunk({"annotations": citations[:1]}),
        chunk({"content": " that.", "annotations": [*citations[1:], None]}),
    )
    assert item.message_contents[0].annotations == citations


def test_sound_is_carried_through() -> None:
    (item,) = contents(
        chunk({"audio": {"id": "audio_1", "transcript": "Hel"}}),
        chunk({"audio": {"data": "UklG", "transcript": None}}),
        chunk({"audio": {"data": "Rg==", "transcript": "lo"}}),
        chunk({"audio": {"expires_at": 1}}),
        chunk({"audio": {}}),
    )
    assert (item.block_type, item.block) == (
        "audio",
        {"id": "audio_1", "data": "UklGRg==", "transcript": "Hello", "expires_at": 1},
    )


def test_each_piece_of_sound_is_said_once() -> None:
    assert deltas(
        chunk({"audio": {"id": "audio_1", "data": "UklG", "transcript": "Hel"}}),
        chunk({"audio": {"data": "Rg==", "transcript": "lo"}}),
    ) == [
        d.OpaqueStart(0, "audio", {"id": "audio_1"}, input_key="data"),
        d.ToolArgumentsDelta(0, "UklG"),
        d.ToolArgumentsDelta(0, "Rg=="),
        d.OpaqueUpdate(0, {"transcript": "Hello"}),
    ]


def test_images_are_carried_through() -> None:
    images = [{"type": "image_url", "image_url": {"url": "data:,"}}, {"b64_json": "AA=="}]
    _, *items = contents(text("Here"), chunk({"images": images}))
    assert [item.block for item in items] == images
    assert [item.block_type for item in items] == ["image_url", "image"]


def test_what_nobody_knows_of_a_delta_is_metadata_of_the_choice() -> None:
    response = answer(
        chunk(
            {"content": "a", "channel": "analysis", "mood": "so", "graph": {"x": [1], "y": None}}
        ),
        chunk(
            {"content": "b", "channel": "final", "mood": "-so", "graph": {"x": [2]}, "bit": False}
        ),
        chunk({"content": "c", "mood": "", "graph": {"y": None}, "audio": None, "images": 7}),
        chunk({"reasoning": {"odd": 1}, "content": 5, "token_id": 9}),
        STOP,
        DONE,
    )
    assert response.text() == "abc"
    assert response.choices[0].metadata == {
        "channel": "final",
        "mood": ["so", "-so"],
        "graph": {"x": [1, 2]},
        "bit": False,
        "images": 7,
        "reasoning": {"odd": 1},
        "content": 5,
        "token_id": 9,
    }


# --- message beside or instead of delta -------------------------------------------------------


def with_message(message: Any, **fields: Any) -> Dict:
    return {"choices": [{"index": 0, "message": message, **fields}]}


def test_a_message_beside_a_delta_is_ignored() -> None:
    events = [
        with_message({"content": "a"}, delta={"content": "a"}),
        with_message({"content": "ab"}, delta={"content": "b"}),
        with_message({"content": "ab"}, finish_reason="stop"),
        with_message({"content": "ab"}, delta=None),
    ]
    assert answer(*events, DONE).text() == "ab"


def test_a_message_instead_of_deltas_counts() -> None:
    first = chunk({}, choice=None)
    assert answer(first, with_message({"content": "ab"}, finish_reason="stop"), DONE).text() == "ab"
    role = chunk({"role": "assistant"})
    assert answer(role, with_message({"content": "ab"}), STOP, DONE).text() == "ab"
    pieces = [with_message({"content": "a"}), with_message({"content": "b"}, delta={})]
    assert answer(*pieces, STOP, DONE).text() == "ab"


def test_the_text_of_a_choice_counts_without_a_delta() -> None:
    event = {"choices": [{"index": 0, "text": "a"}]}
    assert answer(event, STOP, DONE).text() == "a"
    beside = {"choices": [{"index": 0, "text": "a", "delta": {"content": "a"}}]}
    assert answer(beside, STOP, DONE).text() == "a"


@pytest.mark.parametrize("delta", [None, [], "x", 7])
def test_a_delta_may_be_missing(delta: Any) -> None:
    response = answer({"choices": [{"index": 0, "delta": delta}, "odd"]}, text("a"), STOP, DONE)
    assert response.text() == "a"


# --- calls ------------------------------------------------------------------------------------


def test_a_call_in_pieces() -> None:
    assert deltas(
        call(function("get_time", "", index=0, id="call_1", type="function")),
        call(function(arguments='{"zone":', index=0)),
        call(function(arguments='"UTC"}', index=0)),
    ) == [
        d.ToolCallStart(0, "get_time", call_id="call_1"),
        d.ToolArgumentsDelta(0, '{"zone":'),
        d.ToolArgumentsDelta(0, '"UTC"}'),
    ]


def test_a_call_that_its_arguments_begin_waits_for_its_name() -> None:
    assert deltas(
        text("Well"),
        call(function(arguments='{"a":', index=0)),
        call(function(arguments="1}", index=0)),
        call(function("f", "", index=0, id="x")),
    ) == [d.TextDelta(0, "Well"), d.ToolCallStart(1, "f", call_id="x"), d.ToolArgumentsDelta(1, A)]


def test_a_piece_of_a_call_without_arguments_says_nothing() -> None:
    assert deltas(
        call(function("f", "", index=0, id="x")),
        call(function(arguments="", index=0)),
        call(function(index=0)),
    ) == [d.ToolCallStart(0, "f", call_id="x")]


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"content": "a", "reasoning": "b"}, [d.ReasoningDelta(1, "b"), d.TextDelta(0, "a")]),
        (
            {"content": "a", "reasoning_content": "b"},
            [d.ReasoningDelta(1, "b"), d.TextDelta(0, "a")],
        ),
        (
            {"reasoning_content": "a", "reasoning": "b"},
            [d.ReasoningDelta(1, "a"), d.ReasoningDelta(1, "b")],
        ),
        (
            {"content": "a", "tool_calls": [function(arguments="{", index=0)]},
            [d.TextDelta(0, "a"), d.ToolArgumentsDelta(2, "{")],
        ),
        (
            {"reasoning": "a", "tool_calls": [function(arguments="{", index=0)]},
            [d.ReasoningDelta(1, "a"), d.ToolArgumentsDelta(2, "{")],
        ),
    ],
)
def test_a_chunk_may_go_on_with_two_blocks(delta: Dict, expected: list[d.Delta]) -> None:
    begun = [text("a"), chunk({"reasoning": "b"}), call(function("f", "", index=0, id="x"))]
    assert deltas(*begun, chunk(delta))[4:] == expected


A, B = '{"a":1}', '{"b":2}'
BOTH = [("x", "f", {"a": 1}), ("y", "g", {"b": 2})]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(
            [function("f", A, index=0, id="x"), function("g", B, index=1, id="y")],
            BOTH,
            id="whole",
        ),
        pytest.param(
            [
                function("f", "", index=0, id="x"),
                function("g", "", index=1, id="y"),
                function(arguments='{"b":', index=1),
                function(arguments='{"a":', index=0),
                function(arguments="2}", index=1),
                function(arguments="1}", index=0),
            ],
            BOTH,
            id="interleaved",
        ),
        pytest.param(
            [function("f", A, index=3, id="x"), function("g", B, index=1, id="y")],
            BOTH,
            id="odd indexes",
        ),
        pytest.param(
            [function("f", A, id="x"), function("g", B, id="y")], BOTH, id="without an index"
        ),
        pytest.param(
            [
                function("f", '{"a":', id="x", index=None),
                function(arguments="1}", index=None),
                function("g", "", id="y"),
                function(arguments=B, id="y"),
            ],
            BOTH,
            id="pieces without an index",
        ),
        pytest.param(
            [
                function("f", "", id="x"),
                function("g", "", id="y"),
                function(arguments=A, id="x"),
                function(arguments=B, id="y"),
            ],
            BOTH,
            id="pieces by id",
        ),
        pytest.param(
            [function("f", A, index=0, id="x"), function("g", B, index=0, id="y")],
            BOTH,
            id="one index for all",
        ),
        pytest.param(
            [function("f", "{}", index=0, id="x"), function("f", "{}", index=0, id="y")],
            [("x", "f", {}), ("y", "f", {})],
            id="one index and name for all",
        ),
        pytest.param(
            [
                function("f", '{"a":', index=0, id="x"),
                function("", "1", index=0, id=""),
                function("f", "}", index=0, id="x"),
            ],
            BOTH[:1],
            id="name and id repeated",
        ),
        pytest.param(
            [
                function("f", '{"a":', index=0, id="x"),
                function(arguments="1}", index=0, id="other"),
            ],
            BOTH[:1],
            id="another id without a name",
        ),
        pytest.param(
            [function("get_", "", index=0, id="x"), function("time", "{}", index=0, id="x")],
            [("x", "get_time", {})],
            id="name in pieces",
        ),
        pytest.param(
            [function("f", A, index=0), function("f", "", index=0), function("g", B, index=0)],
            [("call_0", "f", {"a": 1}), ("call_1", "g", {"b": 2})],
            id="no ids, one index",
        ),
        pytest.param(
            [function("f", A), function("f", B)],
            [("call_0", "f", {"a": 1}), ("call_1", "f", {"b": 2})],
            id="no ids, no indexes",
        ),
        pytest.param(
            [
                function(arguments='{"a":', index=0),
                function(arguments="1", index=0),
                function("f", "}", index=0, id="x"),
            ],
            BOTH[:1],
            id="name last",
        ),
        pytest.param(
            [function(arguments="[1]", index=0)], [(None, "", "[1]")], id="no name at all"
        ),
        pytest.param([function("f", {"a": 1}, index=0, id="x")], BOTH[:1], id="object"),
        pytest.param(
            [function("f", {}, index=0, id="x"), function(arguments={"a": 1}, index=0)],
            BOTH[:1],
            id="object later",
        ),
        pytest.param(
            [function("f", {"no": 1}, index=0, id="x"), function(arguments=A, index=0)],
            BOTH[:1],
            id="object, then pieces",
        ),
        pytest.param(
            [{"index": 0, "id": "x", "function": {"name": "f", "arguments": None}}],
            [("x", "f", {})],
            id="null",
        ),
        pytest.param(
            [function("f", ["é"], index=0, id="x")],
            [("x", "f", '["é"]')],
            id="neither object nor text",
        ),
        pytest.param(
            [{"index": 0, "id": "x", "name": "f", "arguments": A}], BOTH[:1], id="no function"
        ),
        pytest.param(
            [{"index": 0, "id": "x", "function": None}, function("f", A, index=0)],
            BOTH[:1],
            id="function is null",
        ),
        pytest.param(
            [{"index": 0, "id": "x", "type": "function"}, function("f", A, index=0)],
            BOTH[:1],
            id="function follows",
        ),
        pytest.param(
            [{"index": 0, "id": "x"}, function("f", A, index=0)], BOTH[:1], id="all follows"
        ),
        pytest.param(
            [
                {"index": 0, "id": "x", "type": "call", "name": "f"},
                {"index": 0, "arguments": A},
            ],
            BOTH[:1],
            id="another type with a name",
        ),
        pytest.param(
            [
                {"index": 0, "id": "x", "type": "call", "arguments": A},
                {"index": 0, "name": "f"},
            ],
            BOTH[:1],
            id="another type with arguments",
        ),
        pytest.param(
            [function("f", A, index=0.0, id="x"), function("g", B, index="1", id="y")],
            BOTH,
            id="indexes that are no integers",
        ),
    ],
)
def test_calls_come_in_many_ways(pieces: list[Dict], expected: list[Any]) -> None:
    assert calls_of(*map(call, pieces)) == expected
    assert calls_of(call(*pieces)) == expected


def test_one_call_may_stand_outside_a_list() -> None:
    assert calls_of(chunk({"tool_calls": function("f", A, id="x")})) == BOTH[:1]


def test_other_facts_of_a_call_are_its_metadata() -> None:
    thought = {"google": {"thought_signature": "U2ln"}}
    (first,) = answer(
        call(function("f", "", index=0, id="x", type="builtin", extra_content=thought)),
        call(function(arguments="{}", index=0, type="builtin")),
        call({"index": 0, "function": {"arguments": "", "strict": True}, "late": 1}),
        call({"index": 0, "function": {"arguments": ""}, "late": 1}),
        CALLS,
        DONE,
    ).tools()
    assert first.tool_call.metadata == {
        "type": "builtin",
        "extra_content": thought,
        "strict": True,
        "late": 1,
    }


def test_facts_of_a_call_are_told_once() -> None:
    facts: Dict = {"type": "builtin", "early": 1}
    assert deltas(
        call(function("f", "", index=0, id="x", **facts)),
        call({"index": 0, "function": {"arguments": ""}, **facts, "late": 1}),
        call({"index": 0, "function": {"arguments": ""}, **facts, "late": 1}),
        call({"index": 0, "function": {"arguments": A}, **facts}),
    ) == [
        d.ToolCallStart(0, "f", call_id="x", metadata=facts),
        d.BlockInfo(0, metadata={"late": 1}),
        d.ToolArgumentsDelta(0, A),
    ]


def test_a_call_is_finished_only_at_the_end() -> None:
    events = [call(function("f", A, index=0, id="x")), CALLS]
    said, _ = read(*events[:1])
    cut = accumulate([said], complete=False).tools()[0]
    assert (cut.arguments, cut.raw_arguments) == ({}, A)
    assert cut.parse_error is not None


def custom(name: str | None = None, given: Any = None, **fields: Any) -> Dict:
    body = {k: v for k, v in (("name", name), ("input", given)) if v is not None}
    return call({"index": 0, **fields, "custom": body})


def test_the_text_for_a_custom_tool_is_an_argument() -> None:
    events = [
        custom("shell", "", id="x", type="custom"),
        custom(given='echo "a'),
        custom(given='\\n"\u2028'),
    ]
    (made,) = answer(*events, CALLS, DONE).tools()
    assert (made.call_id, made.name) == ("x", "shell")
    assert made.tool_call.metadata == {"type": "custom"}
    assert made.arguments == {"input": 'echo "a\\n"\u2028'}
    assert answer(custom("shell"), CALLS, DONE).tools()[0].arguments == {"input": ""}
    (cut,) = answer(*events, chunk({}, "length"), DONE).tools()
    assert cut.parse_error is not None
    late = answer(custom(given="a"), custom("shell", "b"), STOP, DONE)
    assert late.tools()[0].arguments == {"input": "ab"}
    assert late.choices[0].finish_reason == FinishReason.TOOL_CALLS


def test_arguments_of_a_function_are_no_text_for_a_custom_tool() -> None:
    events = [custom("shell", "a", id="x"), call(function(arguments=A, index=0))]
    (made,) = answer(*events, CALLS, DONE).tools()
    assert made.arguments == {"input": "a"}


def test_a_function_call_of_old() -> None:
    events = [
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": A}}),
        chunk({"function_call": None}, "function_call"),
    ]
    response = answer(*events, DONE)
    (made,) = response.tools()
    assert (made.call_id, made.name, made.arguments) == ("call_0", "f", {"a": 1})
    assert made.tool_call.metadata == {"type": "function_call"}
    assert response.choices[0].finish_reason == FinishReason.TOOL_CALLS


def test_calls_of_another_type_are_carried_through() -> None:
    response = answer(
        call({"index": 0, "id": "ws_1", "type": "web_search", "web_search": {"query": "moon"}}),
        call({"index": 0}),
        call({"index": 0, "status": "done"}),
        call({"index": 1, "id": "ws_2", "type": "web_search"}),
        STOP,
        DONE,
    )
    first, second = response.choices[0].contents or []
    assert first.block == {  # type: ignore[union-attr]
        "id": "ws_1",
        "type": "web_search",
        "web_search": {"query": "moon"},
        "status": "done",
    }
    assert second.block == {"id": "ws_2", "type": "web_search"}  # type: ignore[union-attr]
    assert second.block_type == "web_search"  # type: ignore[union-attr]
    assert response.choices[0].finish_reason == FinishReason.STOP


# --- finish reasons ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("tool_use", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("sensitive", "content_filter"),
        ("error", "error"),
        ("abort", "error"),
        ("network_error", "error"),
        ("insufficient_system_resource", "error"),
        ("STOP", "stop"),
        ("reason_of_next_year", "unknown"),
    ],
)
def test_finish_reasons(native: str, reason: str) -> None:
    assert of_type(d.Finish, read(chunk({}, native))[0]) == [d.Finish(reason, native)]


def test_a_stop_with_calls_is_for_them_even_if_they_come_late() -> None:
    said, _ = read(text("a", "stop"), call(function("f", "{}", index=0, id="x")), DONE)
    assert of_type(d.Finish, said) == [d.Finish("stop", "stop"), d.Finish("tool_calls", "stop")]


def test_a_reason_is_told_once_and_the_last_one_counts() -> None:
    said, _ = read(text("a", "length"), chunk({}, "length"), chunk({}, None), DONE)
    assert of_type(d.Finish, said) == [d.Finish("length", "length")]
    assert answer(text("a", "stop"), chunk({}, "length"), DONE).choices[0].native_finish_reason == (
        "length"
    )


# --- usage ------------------------------------------------------------------------------------


def usage_of(*events: Dict | str) -> d.TokenUsage:
    told: d.TokenUsage = of_type(d.UsageUpdate, read(*events)[0])[-1].usage
    return told


GROQ = {"x_groq": {"id": "req_1", "usage": USAGE}}


@pytest.mark.parametrize(
    "events",
    [
        [text("a", "stop"), {"choices": [], "usage": USAGE}, DONE],
        [text("a", "stop", usage=USAGE), DONE],
        [text("a", usage={"prompt_tokens": 9, "completion_tokens": 1}), text("", usage=USAGE)],
        [text("a", "stop", usage=None, **GROQ), DONE],
        [{"choices": [{"index": 0, "delta": {}, "usage": USAGE}]}],
        [{"choices": [], "usage": USAGE}, {"choices": [], "usage": None, "moderation": {"ok": 1}}],
        [{"choices": [], "usage": USAGE}, {"choices": [], "usage": {}}],
        [{"choices": [], "usage": USAGE}, {"choices": [], "usage": dict.fromkeys(USAGE)}],
        [{"usage": USAGE}],
    ],
)
def test_usage_comes_anywhere_and_null_erases_nothing(events: list[Dict | str]) -> None:
    assert usage_of(*events) == d.TokenUsage(
        prompt_tokens=9,
        completion_tokens=5,
        total_tokens=14,
        reasoning_tokens=3,
        cache_read_tokens=4,
        native=USAGE,
    )


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2}, {"total_tokens": 3}),
        ({"prompt_tokens": 1}, {"completion_tokens": None, "total_tokens": None}),
        ({"prompt_tokens": 1.0, "completion_tokens": "2"}, {"completion_tokens": None}),
        (
            {"prompt_tokens": 600, "prompt_cache_hit_tokens": 512, "prompt_cache_miss_tokens": 88},
            {"cache_read_tokens": 512},
        ),
        (
            {"cache_read_input_tokens": 5, "cache_creation_input_tokens": 6},
            {"cache_read_tokens": 5, "cache_write_tokens": 6},
        ),
        ({"cached_tokens": 5, "cost": 0.1}, {"cache_read_tokens": 5}),
        (
            {"prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 3}},
            {"cache_read_tokens": 0, "cache_write_tokens": 3},
        ),
        (
            {"cache_creation": {"ephemeral_1h_input_tokens": 8}, "reasoning_tokens": 7},
            {"cache_write_1h_tokens": 8, "reasoning_tokens": 7},
        ),
        (
            {"server_tool_use_details": {"web_search_requests": 1, "tool_calls_executed": 2}},
            {"hosted_requests": {"web_search": 1}},
        ),
        ({"server_tool_use": {"fetch_requests": 2}}, {"hosted_requests": {"fetch": 2}}),
        ({"num_search_queries": 3}, {"hosted_requests": {"web_search": 3}}),
    ],
)
def test_counts_have_many_names(native: Dict, expected: Dict) -> None:
    told = usage_of({"choices": [], "usage": native})
    assert {key: getattr(told, key) for key in expected} == expected
    assert told.native == native


def test_reasoning_that_is_counted_apart_is_added() -> None:
    native = {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 354}
    native["completion_tokens_details"] = {"reasoning_tokens": 340}  # type: ignore[assignment]
    told = usage_of({"choices": [], "usage": native})
    assert (told.completion_tokens, told.reasoning_tokens, told.total_tokens) == (342, 340, 354)
    # But not where the sum is another, or it is part of the whole.
    for total in (14, 400):
        assert usage_of({"usage": {**native, "total_tokens": total}}).completion_tokens == 2


# --- facts ------------------------------------------------------------------------------------

SAFE = {"hate": {"filtered": False, "severity": "safe"}}


def azure(delta: Any, results: Any = None, finish: str | None = None) -> Dict:
    given = {"content_filter_results": SAFE if results is None else results, "delta": delta}
    choice = {"index": 0, "finish_reason": finish, **{k: v for k, v in given.items() if v != ""}}
    return {"id": "chatcmpl-az", "created": 5, "model": "gpt", "choices": [choice]}


def test_the_first_chunk_may_know_nothing_yet() -> None:
    prompt = [{"prompt_index": 0, "content_filter_results": SAFE}]
    filtered = {"violence": {"filtered": True, "severity": "medium"}}
    response = answer(
        {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        | {"prompt_filter_results": prompt},
        azure("", {}),
        *(azure({"content": c}) for c in "abc"),
        azure({"content": "d"}, filtered),
        azure({"content": "e"}, filtered),
        azure("", {}),
        azure({}, {}, "content_filter"),
        DONE,
    )
    assert response.text() == "abcde"
    assert response.choices[0].finish_reason == FinishReason.CONTENT_FILTER
    assert response.choices[0].metadata == {"content_filter_results": SAFE | filtered}
    assert response.metadata.provider_metadata == {
        "id": "chatcmpl-az",
        "model": "gpt",
        "created": 5,
        "prompt_filter_results": prompt,
    }


def test_the_first_id_and_model_count() -> None:
    said, _ = read(
        text("a", id="", model=""),
        text("b", id="", model=""),
        text("c", model=""),
        text("d", id="other"),
        text("e", id="third", model="third"),
        DONE,
    )
    assert of_type(d.StreamInfo, said) == [
        d.StreamInfo(id="chatcmpl-1"),
        d.StreamInfo(model="m"),
    ]


def test_log_probabilities_are_put_together() -> None:
    def scored(piece: str, **logprobs: Any) -> Dict:
        event = text(piece)
        event["choices"][0]["logprobs"] = logprobs
        return event

    response = answer(
        scored("", content=[], refusal=None),
        scored("a", content=[{"token": "a", "logprob": -0.1}], refusal=None),
        scored("b", content=[{"token": "b", "logprob": -0.2}], refusal=None),
        scored("", content=None, refusal=None),
        STOP,
        DONE,
    )
    scores = response.choices[0].metadata["logprobs"]["content"]
    assert [score["token"] for score in scores] == ["a", "b"]


def test_facts_of_the_answer_are_told_when_they_change() -> None:
    sources: Dict = {"citations": ["https://a.example"]}
    said, _ = read(
        text("a", created=5, **sources, x_groq={"id": "r"}),
        text("b", created=6, **sources, x_groq={"id": "r", "usage": USAGE}),
        text("c", citations=["https://b.example"], provider="X", obfuscation="y"),
        text("d", provider="X", x_groq={"seed": 1}, novelty=None),
    )
    told = [info.metadata for info in of_type(d.StreamInfo, said)]
    assert told == [
        {"created": 5, **sources, "x_groq": {"id": "r"}},
        {"x_groq": {"id": "r"}},
        {"citations": ["https://b.example"], "provider": "X"},
        {"x_groq": {"id": "r", "seed": 1}},
    ]


def test_what_comes_after_the_reason_is_told_too() -> None:
    response = answer(text("a"), STOP, {"choices": [], "moderation": {"flagged": False}}, DONE)
    assert (response.metadata.provider_metadata or {})["moderation"] == {"flagged": False}


@pytest.mark.parametrize("event", [{}, {"usage_": 1} | {"object": "ping"}, [], 7, "text", None])
def test_events_without_meaning_are_skipped(event: Any) -> None:
    decoder = OpenAIChatDecoder()
    said = one(json.dumps(event), decoder=decoder)
    assert of_type(d.StreamInfo, said) == said
    assert decoder.skipped == (not said)


@pytest.mark.parametrize("event", [{"choices": []}, {"usage": None}, STOP, chunk({"content": ""})])
def test_what_might_say_more_is_not_skipped(event: Dict) -> None:
    decoder = OpenAIChatDecoder()
    one(event, decoder=decoder)
    assert decoder.skipped == 0


@pytest.mark.parametrize("choices", [None, [], {}, 7])
def test_choices_may_be_missing(choices: Any) -> None:
    assert answer({"choices": choices}, text("a"), STOP, DONE).text() == "a"


# --- errors -----------------------------------------------------------------------------------


def error_of(*events: Dict | str, name: str = "") -> ProviderError:
    decoder = OpenAIChatDecoder()
    *before, last = events
    for event in before:
        one(event, name=name, decoder=decoder)
    with pytest.raises(ProviderError) as caught:
        one(last, name=name, decoder=decoder)
    assert not decoder.complete
    with suppress(ProviderError):
        decoder.end()
    assert not decoder.complete
    return caught.value


@pytest.mark.parametrize(
    ("event", "kind", "status"),
    [
        ({"error": {"message": "Sorry.", "type": "server_error"}}, ServerError, 500),
        ({"error": {"message": "Sorry.", "code": 400}}, InvalidRequestError, 400),
        ({"error": {"message": "Sorry.", "code": "401"}}, AuthenticationError, 401),
        ({"error": {"message": "Sorry.", "code": "slow_down"}}, RateLimitError, 429),
        (
            {"error": {"message": "Sorry.", "type": "service_unavailable_error"}},
            OverloadedError,
            503,
        ),
        ({"error": "Sorry."}, ServerError, 500),
        ({"error": {"message": "Sorry."}, "message": "Sorry."}, ServerError, 500),
        ({"object": "error", "message": "Sorry.", "code": 400}, InvalidRequestError, 400),
        ({"type": "error", "message": "Sorry."}, ServerError, 500),
        ({"message": "Sorry.", "code": 422, "type": "Bad"}, InvalidRequestError, 422),
        ({"message": "Sorry.", "statusCode": 401}, AuthenticationError, 401),
        ({"detail": "Sorry."}, ServerError, 500),
        ({"choices": [], "x_groq": {"error": "Sorry."}}, ServerError, 500),
        ({"choices": None, "error": {"message": "Sorry."}}, ServerError, 500),
    ],
)
def test_errors_have_many_shapes(event: Dict, kind: type, status: int) -> None:
    error = error_of(event)
    assert type(error) is kind
    assert error.http_status == status
    assert error.message.endswith("Sorry.")


@pytest.mark.parametrize(
    "data",
    ['{"error":{"message":"x"}}', '{"detail":"x"}', '{"x":1}', "{}", '"x"', "null", "x", "7"],
)
def test_an_event_that_is_named_error_is_one(data: str) -> None:
    assert isinstance(error_of(data, name="error"), ServerError)


def test_an_error_in_words_says_them() -> None:
    assert error_of("Sorry.", name="error").message.endswith(": Sorry.")


def test_an_event_with_content_is_none_whatever_its_name() -> None:
    assert of_type(d.TextDelta, one(text("a"), name="error")) == [d.TextDelta(0, "a")]


def test_an_error_line_ends_the_answer() -> None:
    stream = sse(text("a")) + b'error: {"code":400,"message":"too long"}\n\ndata: [DONE]\n\n'
    decoder = OpenAIChatDecoder()
    with pytest.raises(InvalidRequestError, match="too long"):
        list(decode([stream], decoder))


BROKEN = chunk({"content": "b"}, "error", error={"code": 502, "message": "Gone"}, usage=USAGE)


@pytest.mark.parametrize("next_event", [DONE, text("c"), None])
def test_an_error_beside_content_is_raised_after_it(next_event: Dict | str | None) -> None:
    decoder = OpenAIChatDecoder()
    said = [*one(text("a"), decoder=decoder), *one(BROKEN, decoder=decoder)]
    response = accumulate([said], complete=False)
    assert response.text() == "ab"
    assert response.choices[0].native_finish_reason == "error"
    assert response.usage is not None
    assert decoder.failure is not None
    go_on = decoder.end if next_event is None else partial(one, next_event, decoder=decoder)
    with pytest.raises(ServerError, match="Gone") as caught:
        go_on()
    assert caught.value.http_status == 502
    assert "choices" not in caught.value.details["body"]


def test_an_error_of_groqs_is_no_fact_of_the_answer() -> None:
    decoder = OpenAIChatDecoder()
    said = one(text("a", x_groq={"id": "r", "error": "Sorry."}), decoder=decoder)
    assert said[0] == d.StreamInfo("chatcmpl-1", "m", {"x_groq": {"id": "r"}})
    with pytest.raises(ServerError, match="Sorry"):
        decoder.end()


def test_an_error_within_a_choice() -> None:
    event = chunk({"content": "a"})
    event["choices"][0]["error"] = {"code": 429, "message": "Slow"}
    decoder = OpenAIChatDecoder()
    assert of_type(d.TextDelta, one(event, decoder=decoder)) == [d.TextDelta(0, "a")]
    with pytest.raises(RateLimitError, match="Slow"):
        decoder.end()


def test_an_error_in_one_event_with_content_before_it() -> None:
    decoder = OpenAIChatDecoder()
    lines = f"{json.dumps(text('a'))}\n{json.dumps({'error': 'Sorry.'})}\n[DONE]"
    assert of_type(d.TextDelta, one(lines, decoder=decoder)) == [d.TextDelta(0, "a")]
    with pytest.raises(ServerError):
        decoder.end()


@pytest.mark.parametrize("name", ["", "message"])
@pytest.mark.parametrize(
    "data", ["{", "ping", '{"choices":[{"delta":{"content":"a"', "[" * 100_000], ids=range(4)
)
def test_what_is_no_json_is_refused(data: str, name: str) -> None:
    named = f"event '{name}'" if name else "an event without a name"
    with pytest.raises(ProtocolError, match=f"^{named} is no JSON"):
        one(data, name=name)


def test_half_a_pair_is_a_replacement_character() -> None:
    lone = json.dumps(text("@")).replace("@", "\\ud83d")
    raw = sse(text("@")).replace(b"@", b"\xff")
    assert of_type(d.TextDelta, one(lone)) == [d.TextDelta(0, "\ufffd")]
    assert accumulate(decode([raw], OpenAIChatDecoder())).text() == "\ufffd"


# --- documents --------------------------------------------------------------------------------

DETAILS = [{"type": "reasoning.text", "text": "Hm", "index": 0, "signature": "s"}]
MESSAGE = {
    "content": "Four",
    "reasoning": "Hm",
    "reasoning_details": DETAILS,
    "refusal": None,
    "annotations": [{"type": "url_citation"}],
    "audio": None,
    "function_call": None,
    "tool_calls": [function("f", A, id="x", type="function"), function("g", B, id="y")],
}


def test_a_document_is_the_same_answer_as_a_stream() -> None:
    streamed = answer(
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"reasoning": "H", "reasoning_details": [{**DETAILS[0], "text": "H"}]}),
        chunk({"reasoning": "m", "reasoning_details": [{**DETAILS[0], "text": "m"}]}),
        text("Fo"),
        text("ur"),
        chunk({"annotations": [{"type": "url_citation"}]}),
        call(function("f", "", index=0, id="x", type="function")),
        call(function(arguments=A, index=0)),
        call(function("g", B, index=1, id="y", type="function")),
        chunk({}, "tool_calls", usage=USAGE),
        DONE,
    )
    whole = document(completion(MESSAGE, "tool_calls", usage=USAGE))
    assert whole.choices == streamed.choices
    assert whole.usage == streamed.usage
    assert document([completion(MESSAGE, "tool_calls", usage=USAGE)]) == whole


def test_a_document_in_an_event() -> None:
    response = answer(completion({"content": "Four"}, usage=USAGE), DONE)
    assert response.text() == "Four"
    assert response.usage is not None


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "{}", '{"choices":[]}', '{"choices":{}}', '"x"', "[{},{}]", "{}\n{}"]
)
def test_what_is_no_completion_is_refused(body: str) -> None:
    with pytest.raises(UnexpectedResponse):
        OpenAIChatDecoder().decode_document(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "x"}},
        [{"error": {"message": "x"}}],
        {"object": "error", "message": "x"},
        {"detail": "x"},
        completion({"content": "a"}, error={"message": "x"}),
    ],
)
def test_a_document_may_be_an_error(body: Any) -> None:
    def read_all() -> None:
        decoder.decode_document(json.dumps(body).encode())
        decoder.end()

    decoder = OpenAIChatDecoder()
    with pytest.raises(ServerError, match="x"):
        read_all()
    assert not decoder.complete


# --- any events -------------------------------------------------------------------------------

KEYS = [
    *("choices", "delta", "message", "index", "content", "text", "finish_reason", "role", "usage"),
    *("error", "object", "type", "id", "model", "created", "x_groq", "code", "detail", "status"),
    *("reasoning", "reasoning_content", "reasoning_details", "refusal", "tool_calls", "function"),
    *("function_call", "name", "arguments", "custom", "input", "annotations", "audio", "images"),
    *("data", "transcript", "thinking", "summary", "signature", "logprobs", "prompt_tokens"),
    *("completion_tokens", "total_tokens", "completion_tokens_details", "reasoning_tokens"),
    *("content_filter_results", "server_tool_use", "web_search_requests", "novelty"),
]
WORDS = [
    *("", "a", "b", "x", "call_1", "stop", "length", "tool_calls", "error", "text", "thinking"),
    *("reasoning.text", "reasoning.encrypted", "refusal", "reference", "function", "custom"),
    *("web_search", "\ud83d", "\N{GRINNING FACE}", '{"a":1}', "[DONE]", "sk-12345678"),
]
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**70, 1.0, 0.5, float("inf"), float("nan")])
    | st.sampled_from(WORDS)
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)


json_values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | objects(inner), max_leaves=12
)
functions = st.fixed_dictionaries(
    {},
    optional={"name": json_values, "arguments": json_values, "input": json_values},
)
pieces_of_calls = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(0, 1) | json_values,
        "id": json_values,
        "type": json_values,
        "function": functions,
        "custom": functions,
    },
)
odd_deltas = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(KEYS, json_values),
        "tool_calls": st.lists(pieces_of_calls, max_size=2),
        "function_call": functions,
    },
)
odd_choices = st.fixed_dictionaries(
    {"delta": odd_deltas},
    optional=dict.fromkeys(["index", "message", "finish_reason", "error", "logprobs"], json_values),
)
odd_chunks = st.fixed_dictionaries(
    {"choices": st.lists(odd_choices, max_size=2)},
    optional=dict.fromkeys(["id", "model", "usage", "error", "x_groq", "novelty"], json_values),
)
payload_lists = st.lists((odd_chunks | json_values).map(json.dumps), min_size=1, max_size=2).map(
    "\n".join
)
event_lists = st.lists(
    st.builds(
        ServerSentEvent,
        payload_lists.map(str.encode) | st.binary(max_size=20) | st.just(b"[DONE]"),
        st.sampled_from(["", "", "error", "message"]),
    ),
    max_size=6,
)


@settings(max_examples=60)
@given(event_lists, st.booleans())
def test_any_events_are_decoded_or_refused(events: list[ServerSentEvent], lenient: bool) -> None:
    decoder = OpenAIChatDecoder(lenient_end=lenient)
    answer = Accumulator(AnswerFacts(model="m", provider=AIModelProviderEnum.OPEN_AI))
    for event in events:
        try:
            answer.add(decoder.decode(event))
        except (ProviderError, ProtocolError) as error:
            json.dumps(error.facts())
    with suppress(ProviderError):
        answer.add(decoder.end())
    answer.response(complete=decoder.complete, streaming=True).model_dump_json()


@settings(max_examples=60)
@given((odd_chunks | json_values).map(json.dumps).map(str.encode) | st.binary(max_size=50))
def test_any_body_is_decoded_or_refused(body: bytes) -> None:
    with suppress(ProviderError, UnexpectedResponse):
        accumulate([OpenAIChatDecoder().decode_document(body)]).model_dump_json()


little = st.sampled_from([None, "", "a", "b"])
plain_deltas = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": little,
        "reasoning": little,
        "reasoning_content": little,
        "refusal": little,
        "tool_calls": st.none()
        | st.lists(
            st.builds(
                function,
                st.sampled_from([None, None, "", "f", "g"]),
                st.sampled_from([None, "", "{", "}"]),
                index=st.integers(0, 1),
                id=st.sampled_from(["", "x", "y"]),
            ),
            max_size=2,
        ),
    },
)
plain_chunks = st.builds(
    chunk,
    plain_deltas,
    st.sampled_from([None, None, None, "stop"]),
    index=st.integers(0, 1),
    id=st.sampled_from(["", "i"]),
    model=st.sampled_from(["", "m"]),
)


@given(st.lists(plain_chunks, max_size=12))
def test_a_chunk_says_the_same_whichever_way_it_is_read(events: list[Dict]) -> None:
    fast, slow = OpenAIChatDecoder(), OpenAIChatDecoder()
    for event in events:
        # A field that is not known, and says nothing, takes the general way.
        assert one(event, decoder=fast) == one({**event, "novelty": None}, decoder=slow)
    assert fast.end() == slow.end()
    assert fast.complete == slow.complete


@given(st.lists(plain_chunks, max_size=12))
def test_no_text_is_lost(events: list[Dict]) -> None:
    response = accumulate(decode([sse(*events)], OpenAIChatDecoder()))
    for choice in response.choices:
        mine = [c["delta"] for e in events for c in e["choices"] if c["index"] == choice.index]
        pieces = [m.get(key) or "" for key in ("content", "refusal") for m in mine]
        assert sorted(text_of(choice.contents or [], "output_text", "refusal")) == sorted(
            "".join(pieces)
        )
