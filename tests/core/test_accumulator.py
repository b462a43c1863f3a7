"""Deltas in; chunks, and the whole answer so far, out."""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhenara_stream.core import deltas as d
from dhenara_stream.core.accumulator import CUT, NAMELESS, Accumulator, AnswerFacts
from dhenara_stream.types import (
    AIModelAPIProviderEnum,
    AIModelProviderEnum,
    ChatMessageContentPart,
    ChatModelCostData,
    ChatResponse,
    ChatResponseContentItem,
    ChatResponseContentItemDelta,
    ChatResponseGenericContentItem,
    ChatResponseGenericContentItemDelta,
    ChatResponseReasoningContentItem,
    ChatResponseReasoningContentItemDelta,
    ChatResponseStructuredOutputContentItem,
    ChatResponseTextContentItem,
    ChatResponseTextContentItemDelta,
    ChatResponseToolCall,
    ChatResponseToolCallContentItem,
    ChatResponseToolCallContentItemDelta,
    ChatResponseUsage,
    FinishReason,
    HostedToolUsage,
    StreamingChatResponse,
    StructuredOutputConfig,
    UsageCharge,
)

Text = ChatResponseTextContentItemDelta
Reasoning = ChatResponseReasoningContentItemDelta
Call = ChatResponseToolCallContentItemDelta
Generic = ChatResponseGenericContentItemDelta


class City(msgspec.Struct):
    name: str


CITY = StructuredOutputConfig.from_model(City)


def accumulator(**facts: Any) -> Accumulator:
    """An accumulator that knows the model and these facts."""
    return Accumulator(
        AnswerFacts(
            model="m",
            provider=AIModelProviderEnum.ANTHROPIC,
            api_provider=AIModelAPIProviderEnum.AMAZON_BEDROCK,
            **facts,
        )
    )


def fed(*deltas: d.Delta, **facts: Any) -> Accumulator:
    """An accumulator that has got these, one by one."""
    made = accumulator(**facts)
    for delta in deltas:
        made.add([delta])
    return made


def whole(made: Accumulator, *, complete: bool = True) -> ChatResponse:
    """The answer so far."""
    return made.response(complete=complete, streaming=True)


def items(made: Accumulator, *, complete: bool = True) -> list[ChatResponseContentItem]:
    """The blocks of the first choice."""
    return whole(made, complete=complete).choices[0].contents or []


def pieces(chunk: StreamingChatResponse | None) -> list[ChatResponseContentItemDelta]:
    """The pieces of the first choice of a chunk."""
    assert chunk is not None
    return chunk.data.choice_deltas[0].content_deltas or []


def said(*deltas: d.Delta, **facts: Any) -> list[ChatResponseContentItemDelta]:
    """All pieces that these deltas give."""
    made = accumulator(**facts)
    chunks = [made.add([delta]) for delta in deltas]
    return [piece for chunk in chunks if chunk is not None for piece in pieces(chunk)]


def calls(made: Accumulator, *, complete: bool = True) -> list[ChatResponseToolCall]:
    """The tool calls."""
    return [item.tool_call for item in whole(made, complete=complete).tools()]


def part(text: str, kind: str = "output_text", **more: Any) -> ChatMessageContentPart:
    """A part of a block."""
    return ChatMessageContentPart(type=kind, text=text, **more)


# --- text, refusals, reasoning


def test_text_is_handed_out_piece_by_piece_and_joined_at_the_end() -> None:
    deltas = (d.TextDelta(0, "Hel"), d.TextDelta(0, "lo"), d.BlockEnd(0))
    assert said(*deltas) == [
        Text(index=0, text_delta="Hel", role="assistant"),
        Text(index=0, text_delta="lo", role="assistant"),
    ]
    assert items(fed(*deltas)) == [
        ChatResponseTextContentItem(index=0, role="assistant", message_contents=[part("Hello")])
    ]


def test_a_refusal_is_marked_in_its_pieces_and_its_part() -> None:
    deltas = (d.RefusalDelta(0, "I can"), d.RefusalDelta(0, "not"))
    assert said(*deltas) == [
        Text(index=0, text_delta="I can", role="assistant", metadata={"refusal": True}),
        Text(index=0, text_delta="not", role="assistant", metadata={"refusal": True}),
    ]
    response = whole(fed(*deltas))
    assert (response.refusal(), response.text()) == ("I cannot", None)


def test_reasoning_has_text_a_signature_and_an_id() -> None:
    deltas = (
        d.ReasoningDelta(0, "be"),
        d.ReasoningDelta(0, "cause"),
        d.SignatureDelta(0, "old"),
        d.SignatureDelta(0, "sig"),
        d.BlockInfo(0, id="rs_1"),
        d.BlockEnd(0),
    )
    assert said(*deltas) == [
        Reasoning(index=0, text_delta="be", role="assistant"),
        Reasoning(index=0, text_delta="cause", role="assistant"),
        Reasoning(index=0, text_delta="", thinking_signature="old", role="assistant"),
        Reasoning(index=0, text_delta="", thinking_signature="sig", role="assistant"),
    ]
    assert items(fed(*deltas)) == [
        ChatResponseReasoningContentItem(
            index=0,
            role="assistant",
            message_contents=[part("because", "thinking")],
            thinking_signature="sig",
            thinking_id="rs_1",
        )
    ]


def test_reasoning_says_how_it_ended() -> None:
    for status, told in (("completed", "completed"), (7, None)):
        start = d.BlockStart(0, "reasoning")
        (item,) = items(fed(start, d.BlockInfo(0, metadata={"status": status})))
        assert isinstance(item, ChatResponseReasoningContentItem)
        assert item.thinking_status == told


def test_a_summary_keeps_its_parts_and_is_told_once() -> None:
    deltas = (
        d.ReasoningSummaryDelta(0, "a"),
        d.ReasoningSummaryDelta(0, "b"),
        d.ReasoningSummaryDelta(0, "c", part=1),
    )
    assert [piece.get_text_delta() for piece in said(*deltas)] == ["a", "b", "c"]
    assert said(*deltas)[0] == Reasoning(index=0, thinking_summary_delta="a", role="assistant")
    assert items(fed(*deltas)) == [
        ChatResponseReasoningContentItem(
            index=0,
            role="assistant",
            thinking_summary=[part("ab", "summary_text"), part("c", "summary_text")],
        )
    ]


def test_hidden_reasoning_is_kept_as_it_came() -> None:
    delta = d.RedactedReasoning(0, "opaque")
    assert said(delta) == [
        Reasoning(
            index=0,
            text_delta="",
            role="assistant",
            metadata={"redacted_thinking_data": "opaque"},
        )
    ]
    assert items(fed(delta))[0].metadata == {"redacted_thinking_data": "opaque"}


def test_a_signature_of_another_block_goes_into_its_metadata() -> None:
    made = fed(
        d.TextDelta(0, "a"),
        d.SignatureDelta(0, "s"),
        d.ToolCallStart(1, "f"),
        d.SignatureDelta(1, "t"),
    )
    text, call = items(made)
    assert text.metadata == {"thought_signature": "s"}
    assert isinstance(call, ChatResponseToolCallContentItem)
    assert call.tool_call.metadata == {"thought_signature": "t"}


def test_a_signature_alone_is_a_block_of_reasoning() -> None:
    (item,) = items(fed(d.SignatureDelta(3, "s")))
    assert isinstance(item, ChatResponseReasoningContentItem)
    assert (item.index, item.thinking_signature, item.get_text()) == (3, "s", "")


@pytest.mark.parametrize(
    "delta",
    [
        d.TextDelta(0, ""),
        d.RefusalDelta(0, ""),
        d.ReasoningDelta(0, ""),
        d.ReasoningSummaryDelta(0, ""),
        d.ToolArgumentsDelta(0, ""),
    ],
)
def test_an_empty_piece_is_no_news_and_starts_no_block(delta: d.Delta) -> None:
    made = accumulator()
    assert made.add([delta]) is None
    assert whole(made).choices == []


@pytest.mark.parametrize(
    ("kind", "cls"),
    [("text", ChatResponseTextContentItem), ("reasoning", ChatResponseReasoningContentItem)],
)
def test_a_block_that_begins_is_there_though_it_is_no_news(kind: str, cls: type) -> None:
    made = accumulator()
    assert made.add([d.BlockStart(0, kind)]) is None
    (item,) = items(made)
    assert type(item) is cls


def test_citations_stand_at_their_block() -> None:
    deltas = (
        d.TextDelta(0, "a"),
        d.AnnotationDelta(0, {"url": "x"}),
        d.AnnotationDelta(0, {"url": "y"}),
        d.TextDelta(1, "b"),
    )
    assert said(*deltas)[1] == Text(
        index=0,
        text_delta="",
        role="assistant",
        message_contents=[ChatMessageContentPart(type="output_text", annotations=[{"url": "x"}])],
    )
    first, second = items(fed(*deltas))
    assert isinstance(first, ChatResponseTextContentItem)
    assert first.message_contents == [part("a", annotations=[{"url": "x"}, {"url": "y"}])]
    assert isinstance(second, ChatResponseTextContentItem)
    assert second.message_contents == [part("b")]


# --- tool calls


def test_a_call_begins_grows_and_ends() -> None:
    deltas = (
        d.ToolCallStart(0, "f", call_id="c1", id="i1", metadata={"k": 1}),
        d.ToolArgumentsDelta(0, '{"a"'),
        d.ToolArgumentsDelta(0, ": 1}"),
        d.BlockEnd(0),
    )
    finished = ChatResponseToolCall(
        call_id="c1", id="i1", name="f", arguments={"a": 1}, metadata={"k": 1}
    )
    begun = ChatResponseToolCall(call_id="c1", id="i1", name="f", metadata={"k": 1})
    assert said(*deltas) == [
        Call(index=0, role="assistant", tool_call=begun, metadata={"tool_use_start": True}),
        Call(index=0, role="assistant", arguments_delta='{"a"'),
        Call(index=0, role="assistant", arguments_delta=": 1}"),
        Call(index=0, role="assistant", tool_call=finished, metadata={"finalize_tool_call": True}),
    ]
    assert calls(fed(*deltas)) == [finished]
    assert calls(fed(*deltas), complete=False) == [finished]


def test_arguments_that_came_whole_count_unless_pieces_follow() -> None:
    given = d.ToolCallStart(0, "f", arguments={"a": 1})
    assert calls(fed(given))[0].arguments == {"a": 1}
    assert calls(fed(given, d.BlockEnd(0)))[0].arguments == {"a": 1}
    pieces = d.ToolArgumentsDelta(0, '{"a": 2}')
    assert calls(fed(given, pieces, d.BlockEnd(0)))[0].arguments == {"a": 2}
    again = d.ToolCallStart(0, "f", arguments={"a": 3})
    assert calls(fed(given, pieces, again, d.BlockEnd(0)))[0].arguments == {"a": 3}


def test_a_call_without_arguments_has_none() -> None:
    spaces: list[d.Delta] = [d.ToolArgumentsDelta(0, "  ")]
    for more in ([], spaces):
        made = fed(d.ToolCallStart(0, "f"), *more, d.BlockEnd(0), d.Finish("tool_calls", "x"))
        (call,) = calls(made)
        assert (call.arguments, call.parse_error, call.raw_arguments) == ({}, None, None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"a": ', "the arguments are not valid JSON: Input data was truncated"),
        ("{'a': 1}", "the arguments are not valid JSON: JSON is malformed"),
        ('{"a": 1} x', "the arguments are not valid JSON: JSON is malformed"),
        ("[1]", "the arguments are not a JSON object but `list`"),
        ("null", "the arguments are not a JSON object but `NoneType`"),
        ("[" * 100_000, "the arguments are not valid JSON: maximum recursion depth"),
        ('{"a": "\ud800"}', "the arguments are not valid JSON: 'utf-8' codec can't encode"),
    ],
    ids=["cut", "quotes", "more", "list", "null", "deep", "surrogate"],
)
@pytest.mark.parametrize("end", [[d.BlockEnd(0)], []], ids=["ended", "open"])
def test_arguments_that_do_not_parse_are_kept_as_text_with_the_reason(
    text: str, error: str, end: list[d.Delta]
) -> None:
    (call,) = calls(fed(d.ToolCallStart(0, "f"), d.ToolArgumentsDelta(0, text), *end))
    assert (call.arguments, call.raw_arguments) == ({}, text)
    assert call.parse_error is not None
    assert call.parse_error.startswith(error)


def test_a_call_that_was_cut_is_never_finished() -> None:
    start, piece = d.ToolCallStart(0, "f", call_id="c"), d.ToolArgumentsDelta(0, '{"a": 1}')
    for made, raw in ((fed(start), ""), (fed(start, piece), '{"a": 1}')):
        (call,) = calls(made, complete=False)
        assert (call.name, call.call_id) == ("f", "c")
        assert (call.arguments, call.raw_arguments, call.parse_error) == ({}, raw, CUT)


def test_an_open_call_of_a_complete_answer_is_finished() -> None:
    made = fed(d.ToolCallStart(0, "f"), d.ToolArgumentsDelta(0, '{"a": 1}'))
    assert calls(made)[0].arguments == {"a": 1}
    assert calls(made)[0].parse_error is None


@pytest.mark.parametrize("reason", ["length", "content_filter", "error"])
def test_a_call_that_was_cut_before_its_first_argument_is_not_finished(reason: str) -> None:
    end, cut = d.BlockEnd(0), d.Finish(reason, None)
    assert calls(fed(d.ToolCallStart(0, "f"), end, cut))[0].parse_error == CUT
    given = d.ToolCallStart(0, "f", arguments={})
    assert calls(fed(given, end, cut))[0].parse_error is None
    earlier = fed(d.ToolCallStart(0, "f"), end, d.TextDelta(1, "and"), cut)
    assert calls(earlier)[0].parse_error is None
    assert calls(fed(cut)) == []


@pytest.mark.parametrize("reason", ["tool_calls", "stop", "pause", "unknown"])
def test_a_call_without_arguments_is_finished_where_nothing_was_cut(reason: str) -> None:
    made = fed(d.ToolCallStart(0, "f"), d.BlockEnd(0), d.Finish(reason, None))
    assert calls(made)[0].parse_error is None


def test_arguments_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    decode = msgspec.json.decode

    def counted(text: str) -> Any:
        parsed.append(text)
        return decode(text)

    monkeypatch.setattr(msgspec.json, "decode", counted)
    made = fed(
        d.ToolCallStart(0, "f"),
        *[d.ToolArgumentsDelta(0, piece) for piece in ('{"a"', ":", "1", "}")],
        d.BlockEnd(0),
    )
    assert [calls(made) for _ in range(3)]
    assert parsed == ['{"a":1}']


def test_a_second_end_is_no_news() -> None:
    made = fed(d.ToolCallStart(0, "f"), d.BlockEnd(0))
    assert made.add([d.BlockEnd(0)]) is None
    assert made.add([d.BlockEnd(5)]) is None


def test_pieces_after_the_end_change_no_finished_call() -> None:
    made = fed(d.ToolCallStart(0, "f"), d.ToolArgumentsDelta(0, '{"a": 1}'), d.BlockEnd(0))
    calls(made)
    made.add([d.ToolArgumentsDelta(0, "x")])
    assert calls(made)[0].arguments == {"a": 1}


# --- opaque blocks


def test_an_opaque_block_is_carried_through() -> None:
    block = {"type": "new_kind", "deep": {"a": [1]}}
    deltas = (d.OpaqueStart(2, "new_kind", block), d.BlockEnd(2))
    assert said(*deltas) == [
        Generic(index=2, role="assistant", metadata={"block_type": "new_kind", "block": block})
    ]
    assert items(fed(*deltas)) == [
        ChatResponseGenericContentItem(
            index=2, role="assistant", block_type="new_kind", block=block
        )
    ]


def test_the_input_of_an_opaque_block_is_filled_in_at_its_end() -> None:
    deltas = (
        d.OpaqueStart(0, "server_tool_use", {"name": "s", "input": {}}, input_key="input"),
        d.ToolArgumentsDelta(0, '{"q"'),
        d.ToolArgumentsDelta(0, ':"x"}'),
        d.BlockEnd(0),
    )
    news = [piece.metadata for piece in said(*deltas)]
    assert news[1:3] == [{"input_delta": '{"q"'}, {"input_delta": ':"x"}'}]
    assert news[3] == {
        "block_type": "server_tool_use",
        "block": {"name": "s", "input": {"q": "x"}},
    }
    (item,) = items(fed(*deltas))
    assert isinstance(item, ChatResponseGenericContentItem)
    assert item.block == {"name": "s", "input": {"q": "x"}}
    assert item.get_text()


def test_input_that_does_not_parse_stays_text() -> None:
    start = d.OpaqueStart(0, "t", {"input": {}}, input_key="input")
    (item,) = items(fed(start, d.ToolArgumentsDelta(0, '{"q')))
    assert isinstance(item, ChatResponseGenericContentItem)
    assert item.block == {"input": '{"q'}


def test_pieces_for_an_opaque_block_that_takes_none_leave_it_as_it_is() -> None:
    for start in (d.OpaqueStart(0, "t", {"a": 1}), d.OpaqueUpdate(0, {"a": 1})):
        (item,) = items(fed(start, d.ToolArgumentsDelta(0, "x")))
        assert isinstance(item, ChatResponseGenericContentItem)
        assert item.block == {"a": 1}


def test_news_of_an_opaque_block_replace_its_fields() -> None:
    deltas = (d.OpaqueStart(0, "t", {"a": 1, "b": 1}), d.OpaqueUpdate(0, {"b": 2}))
    assert said(*deltas)[1].metadata == {"block_type": "t", "block": {"a": 1, "b": 2}}
    assert said(deltas[1])[0].metadata == {"block_type": "", "block": {"b": 2}}


# --- facts about blocks


def test_facts_about_a_block_are_added_to_it() -> None:
    made = fed(
        d.TextDelta(0, "a"),
        d.BlockInfo(0, id="msg_1", metadata={"a": 1, "b": 1}),
        d.BlockInfo(0, metadata={"b": 2}),
        d.BlockInfo(7, id="nowhere"),
    )
    (item,) = items(made)
    assert isinstance(item, ChatResponseTextContentItem)
    assert (item.message_id, item.metadata) == ("msg_1", {"a": 1, "b": 2})


# --- order and stray indexes


@pytest.mark.parametrize(
    "deltas",
    [
        [d.TextDelta(3, "a", choice=2)],
        [d.RefusalDelta(3, "a", choice=2)],
        [d.ReasoningDelta(3, "a", choice=2)],
        [d.ReasoningSummaryDelta(3, "a", choice=2)],
        [d.SignatureDelta(3, "a", choice=2)],
        [d.RedactedReasoning(3, "a", choice=2)],
        [d.AnnotationDelta(3, {}, choice=2)],
        [d.ToolCallStart(3, "f", choice=2), d.ToolArgumentsDelta(3, "{}", choice=2)],
        [d.ToolCallStart(3, "output", choice=2), d.ToolArgumentsDelta(3, "{}", choice=2)],
        [d.OpaqueStart(3, "t", {}, choice=2), d.ToolArgumentsDelta(3, "{}", choice=2)],
        [d.OpaqueUpdate(3, {}, choice=2)],
    ],
    ids=lambda deltas: type(deltas[0]).__name__,
)
def test_all_pieces_of_a_block_and_the_block_stand_at_its_index_in_its_choice(
    deltas: list[d.Delta],
) -> None:
    facts = {"output": CITY, "output_tool": "output"}
    end, finish = d.BlockEnd(3, choice=2), d.Finish("stop", None, choice=2)
    info = d.BlockInfo(3, metadata={"a": 1}, choice=2)
    made = accumulator(**facts)
    chunks = [made.add([delta]) for delta in (*deltas, end, info, finish)]
    told = [choice for chunk in chunks if chunk for choice in chunk.data.choice_deltas]
    (choice,) = whole(made).choices
    assert [choice.index, *(some.index for some in told)] == [2] * (len(told) + 1)
    (item,) = choice.contents or []
    for each in [item, *(piece for some in told for piece in some.content_deltas or [])]:
        assert (each.index, each.role) == (3, "assistant")
    call = item.tool_call if isinstance(item, ChatResponseToolCallContentItem) else item
    assert call.metadata["a"] == 1


def test_blocks_stand_in_the_order_of_their_indexes() -> None:
    made = fed(
        d.TextDelta(5, "c"), d.ReasoningDelta(0, "a"), d.ToolCallStart(2, "f"), d.TextDelta(5, "d")
    )
    assert [item.index for item in items(made)] == [0, 2, 5]
    assert whole(made).text() == "cd"


def test_a_peer_that_mixes_up_its_indexes_loses_nothing() -> None:
    made = fed(
        d.TextDelta(0, "a"),
        d.ReasoningDelta(0, "why"),
        d.TextDelta(0, "b"),
        d.RefusalDelta(0, "no"),
        d.ToolCallStart(0, "f", call_id="1"),
        d.ToolArgumentsDelta(0, '{"a": 1}'),
        d.TextDelta(0, "c"),
        d.OpaqueStart(0, "t", {"x": 1}),
        d.BlockEnd(0),
    )
    response = whole(made)
    assert response.text() == "abc"
    assert response.reasoning() == "why"
    assert response.refusal() == "no"
    assert [call.arguments for call in response.tools()] == [{"a": 1}]
    assert [item.type for item in items(made)] == [
        "text",
        "reasoning",
        "text",
        "tool_call",
        "generic",
    ]


def test_facts_at_a_mixed_up_index_are_those_of_the_block_that_spoke_last() -> None:
    made = fed(
        d.TextDelta(0, "a"),
        d.ReasoningDelta(0, "why"),
        d.TextDelta(0, "b"),
        d.BlockInfo(0, metadata={"a": 1}),
    )
    assert [item.metadata for item in items(made)] == [{"a": 1}, {}]


def test_two_calls_at_one_index_stay_two() -> None:
    first = (d.ToolCallStart(0, "f", call_id="1"), d.ToolArgumentsDelta(0, '{"a": 1}'))
    second = (d.ToolCallStart(0, "g", call_id="2"), d.ToolArgumentsDelta(0, '{"b": 2}'))
    end: list[d.Delta] = [d.BlockEnd(0)]
    for between in ([], end):
        found = calls(fed(*first, *between, *second))
        assert [(c.name, c.call_id, c.arguments) for c in found] == [
            ("f", "1", {"a": 1}),
            ("g", "2", {"b": 2}),
        ]


def test_two_calls_without_an_id_at_one_index_stay_two_if_the_first_has_ended() -> None:
    made = fed(d.ToolCallStart(0, "f"), d.BlockEnd(0), d.ToolCallStart(0, "f"), d.BlockEnd(0))
    assert len(calls(made)) == 2


def test_a_start_that_is_said_again_is_the_same_call() -> None:
    start = d.ToolCallStart(0, "f", call_id="1")
    made = fed(start, d.ToolArgumentsDelta(0, '{"a"'), start, d.ToolArgumentsDelta(0, ":1}"))
    assert [call.arguments for call in calls(made)] == [{"a": 1}]


def test_arguments_before_their_start_belong_to_it() -> None:
    made = fed(
        d.ToolArgumentsDelta(0, '{"a"'), d.ToolCallStart(0, "f"), d.ToolArgumentsDelta(0, ":1}")
    )
    assert [(call.name, call.arguments) for call in calls(made)] == [("f", {"a": 1})]


@pytest.mark.parametrize("end", [[d.BlockEnd(0)], []])
def test_a_call_without_a_name_must_not_be_carried_out(end: list[d.Delta]) -> None:
    (call,) = calls(fed(d.ToolArgumentsDelta(0, '{"a":1}'), *end))
    assert (call.name, call.call_id, call.id, call.arguments) == ("", None, None, {})
    assert (call.raw_arguments, call.parse_error) == ('{"a":1}', NAMELESS)


def test_arguments_for_a_block_of_text_are_a_call_of_their_own() -> None:
    made = fed(d.TextDelta(0, "a"), d.ToolArgumentsDelta(0, "{}"))
    assert whole(made).text() == "a"
    assert [call.raw_arguments for call in calls(made)] == ["{}"]


# --- chunks


def test_what_one_event_says_is_one_chunk() -> None:
    made = fed(d.StreamInfo(id="msg_1", model="m-2026"))
    chunk = made.add([d.TextDelta(0, "a"), d.Ping(), d.TextDelta(1, "b"), d.BlockEnd(1)])
    assert chunk is not None
    assert chunk.id == "msg_1"
    assert chunk.data.model == "m"
    assert chunk.data.provider == AIModelProviderEnum.ANTHROPIC
    assert chunk.data.api_provider == AIModelAPIProviderEnum.AMAZON_BEDROCK
    assert (chunk.data.done, chunk.data.usage) == (False, None)
    assert [piece.get_text_delta() for piece in pieces(chunk)] == ["a", "b"]


@pytest.mark.parametrize(
    "delta",
    [
        d.Ping(),
        d.StreamInfo(id="x"),
        d.UsageUpdate(d.TokenUsage(prompt_tokens=1)),
        d.Finish("stop", "stop"),
        d.BlockInfo(0, id="x"),
        d.BlockEnd(0),
    ],
)
def test_what_is_no_content_makes_no_chunk(delta: d.Delta) -> None:
    assert accumulator().add([delta]) is None
    assert accumulator().add([]) is None


def test_the_last_chunk_has_the_reason_the_usage_and_the_price() -> None:
    made = fed(
        d.TextDelta(0, "a"),
        d.Finish("stop_sequence", "stop_sequence", stop_sequence="\n\n"),
        d.UsageUpdate(d.TokenUsage(prompt_tokens=1)),
        d.StreamInfo(id="msg_1"),
        charge=lambda usage: UsageCharge(cost=float(usage.prompt_tokens or 0)),
    )
    done = made.done()
    assert done.id == "msg_1"
    assert done.data.done is True
    assert done.data.usage == ChatResponseUsage(prompt_tokens=1)
    assert done.data.usage_charge == UsageCharge(cost=1.0)
    (choice,) = done.data.choice_deltas
    assert choice.finish_reason is FinishReason.STOP_SEQUENCE
    assert (choice.native_finish_reason, choice.stop_sequence) == ("stop_sequence", "\n\n")
    assert choice.content_deltas == [Text(text_delta="", role="assistant")]


def test_the_last_chunk_of_an_empty_answer_can_be_read_like_any_other() -> None:
    (choice,) = accumulator().done().data.choice_deltas
    assert (choice.index, choice.finish_reason) == (0, None)
    assert choice.content_deltas is not None
    assert choice.content_deltas[0].get_text_delta() == ""


# --- choices


def test_two_choices_are_two_answers() -> None:
    made = accumulator()
    chunk = made.add(
        [d.TextDelta(0, "b", choice=1), d.TextDelta(0, "a"), d.TextDelta(0, "c", choice=1)]
    )
    assert chunk is not None
    assert [choice.index for choice in chunk.data.choice_deltas] == [1, 0]
    assert [len(choice.content_deltas or []) for choice in chunk.data.choice_deltas] == [2, 1]
    made.add([d.Finish("length", "max", choice=1), d.ToolCallStart(1, "f", choice=1)])
    response = whole(made)
    assert [choice.index for choice in response.choices] == [0, 1]
    assert [choice.finish_reason for choice in response.choices] == [None, FinishReason.LENGTH]
    assert response.text() == "a"
    assert response.to_message_item(1).text() == "bc"
    assert [c.index for c in made.done().data.choice_deltas] == [0, 1]


@pytest.mark.parametrize("reason", FinishReason)
def test_the_reason_is_kept_in_both_words(reason: FinishReason) -> None:
    finish = d.Finish(reason.value, "native", stop_sequence="END", metadata={"a": 1})
    (choice,) = whole(fed(finish)).choices
    assert choice.finish_reason is reason
    assert (choice.native_finish_reason, choice.metadata) == ("native", {"a": 1})
    assert choice.stop_sequence == "END"


def test_facts_about_a_choice_grow() -> None:
    said_later = d.ChoiceInfo({"logprobs": {"content": [2], "x": 2}, "ids": [2], "y": 2, "z": {}})
    made = fed(
        d.ChoiceInfo({"logprobs": {"content": [1], "x": 1, "deep": {"a": 1}}, "ids": [1], "y": 1}),
        said_later,
        d.ChoiceInfo({"logprobs": {"deep": {"b": 1}}, "z": [3], "y": {"a": 1}}),
    )
    (choice,) = whole(made).choices
    assert choice.metadata == {
        "logprobs": {"content": [1, 2], "x": 2, "deep": {"b": 1}},
        "ids": [1, 2],
        "y": {"a": 1},
        "z": [3],
    }
    assert said_later.metadata["ids"] == [2]
    spoil(choice)
    made.add([d.ChoiceInfo({"ids": [3], "y": 5}, replace=True), d.Finish("stop", None)])
    (choice,) = whole(made).choices
    assert choice.metadata["ids"] == [3]
    assert choice.metadata["y"] == 5
    made.add([d.Finish("stop", None, metadata={"y": 6})])
    assert whole(made).choices[0].metadata["y"] == 6


def test_facts_of_the_caller_of_add_are_not_changed() -> None:
    first, second = {"a": [1]}, {"a": [2]}
    whole(fed(d.ChoiceInfo(first), d.ChoiceInfo(second)))
    assert (first, second) == ({"a": [1]}, {"a": [2]})


def test_without_a_reason_none_is_invented() -> None:
    (choice,) = whole(fed(d.TextDelta(0, "a"))).choices
    assert (choice.finish_reason, choice.native_finish_reason) == (None, None)
    assert (choice.stop_sequence, choice.metadata) == (None, {})


# --- usage, price, facts


FULL_USAGE = d.TokenUsage(
    prompt_tokens=10,
    completion_tokens=5,
    total_tokens=15,
    reasoning_tokens=3,
    cache_read_tokens=2,
    cache_write_tokens=4,
    cache_write_1h_tokens=1,
    hosted_requests={"web_search": 2},
    native={"input_tokens": 10, "details": {"x": 1}},
)


def test_usage_is_what_was_told_last_never_a_sum() -> None:
    made = fed(d.UsageUpdate(d.TokenUsage(prompt_tokens=9, completion_tokens=1)))
    assert made.usage() == ChatResponseUsage(prompt_tokens=9, completion_tokens=1)
    made.add([d.UsageUpdate(FULL_USAGE)])
    assert made.usage() == ChatResponseUsage(
        prompt_tokens=10,
        completion_tokens=5,
        total_tokens=15,
        reasoning_tokens=3,
        cache_read_tokens=2,
        cache_write_tokens=4,
        cache_write_1h_tokens=1,
        hosted_tool_usage=HostedToolUsage(
            request_counts={"web_search": 2}, billing_counts={"web_search": 2}
        ),
        native={"input_tokens": 10, "details": {"x": 1}},
    )
    assert whole(made).usage == made.usage()


def test_usage_that_was_not_told_is_none_and_has_no_price() -> None:
    made = accumulator(charge=lambda usage: UsageCharge(cost=1.0))
    assert made.usage() is None
    assert whole(made).usage_charge is None
    assert made.done().data.usage_charge is None


def test_the_price_is_none_where_none_is_known() -> None:
    told = d.UsageUpdate(FULL_USAGE)
    assert whole(fed(told)).usage_charge is None
    assert whole(fed(told, charge=lambda usage: None)).usage_charge is None
    prices = ChatModelCostData(input_token_cost_per_million=1, output_token_cost_per_million=1)
    charge = whole(fed(told, charge=prices.calculate_usage_charge)).usage_charge
    assert charge is not None
    assert charge.cost == pytest.approx(15e-6)


def test_the_answer_says_where_it_comes_from() -> None:
    made = fed(
        d.StreamInfo(id="msg_1", model="m-2026", metadata={"a": 1}),
        d.StreamInfo(metadata={"b": 2}),
    )
    response = made.response(complete=True, streaming=False, duration=1.5)
    assert (response.model, response.provider) == ("m", "anthropic")
    assert response.api_provider == AIModelAPIProviderEnum.AMAZON_BEDROCK
    assert response.metadata.streaming is False
    assert whole(made).metadata.streaming is True
    assert response.metadata.duration_seconds == 1.5
    assert response.metadata.provider_metadata == {
        "id": "msg_1",
        "model": "m-2026",
        "a": 1,
        "b": 2,
    }
    assert whole(accumulator()).metadata.provider_metadata == {"id": None}


# --- structured output


def structured(made: Accumulator) -> ChatResponseStructuredOutputContentItem:
    """The block of structured output."""
    found = [i for i in items(made) if isinstance(i, ChatResponseStructuredOutputContentItem)]
    assert len(found) == 1
    return found[0]


STOP = d.Finish("stop", "end_turn")
CITY_TEXT = '{"name": "Paris"}'


def test_the_last_text_is_the_structured_output() -> None:
    made = fed(
        d.TextDelta(0, "Searching."),
        d.OpaqueStart(1, "search", {}),
        d.TextDelta(2, '{"name":'),
        d.AnnotationDelta(2, {"url": "x"}),
        d.TextDelta(2, ' "Paris"}'),
        d.BlockInfo(2, id="msg_1"),
        STOP,
        output=CITY,
    )
    item = structured(made)
    assert (item.index, item.message_id) == (2, "msg_1")
    assert item.message_contents == [part(CITY_TEXT, annotations=[{"url": "x"}])]
    assert item.structured_output.structured_data == {"name": "Paris"}
    assert whole(made).structured_instance() == City(name="Paris")
    assert [i.type for i in items(made)] == ["text", "generic", "structured_output"]
    assert whole(made).text() == f"Searching.{CITY_TEXT}"


def test_structured_output_that_does_not_fit_says_why() -> None:
    item = structured(fed(d.TextDelta(0, '{"name": "Pa'), d.Finish("length", "x"), output=CITY))
    assert item.structured_output.structured_data is None
    assert item.structured_output.parse_error
    assert item.structured_output.raw_data == '{"name": "Pa'


CALLED = d.Finish("tool_calls", "tool_use")


@pytest.mark.parametrize(
    "arguments",
    [
        [d.ToolArgumentsDelta(1, '{"name":'), d.ToolArgumentsDelta(1, ' "Paris"}')],
        [],
    ],
    ids=["in pieces", "whole"],
)
def test_a_tool_can_carry_the_structured_output(arguments: list[d.Delta]) -> None:
    given = None if arguments else {"name": "Paris"}
    deltas = (
        d.TextDelta(0, "Here:"),
        d.ToolCallStart(1, "output", call_id="c1", arguments=given),
        *arguments,
        d.BlockEnd(1),
        CALLED,
    )
    facts = {"output": CITY, "output_tool": "output"}
    pieces = said(*deltas, **facts)
    assert all(type(piece) is Text for piece in pieces)
    told = "Here:" if given else f"Here:{CITY_TEXT}"
    assert "".join(piece.get_text_delta() or "" for piece in pieces) == told
    made = fed(*deltas, **facts)
    response = whole(made)
    assert response.structured() == {"name": "Paris"}
    assert response.tools() == []
    assert response.choices[0].finish_reason is FinishReason.STOP
    assert response.choices[0].native_finish_reason == "tool_use"
    assert made.done().data.choice_deltas[0].finish_reason is FinishReason.STOP
    assert structured(made).metadata == {"tool_call": {"call_id": "c1", "name": "output"}}


def test_the_carrier_is_the_structured_output_wherever_it_stands() -> None:
    facts = {"output": CITY, "output_tool": "output"}
    made = fed(
        d.TextDelta(0, "Before."),
        d.ToolCallStart(0, "output"),
        d.ToolArgumentsDelta(0, CITY_TEXT),
        d.TextDelta(1, "After."),
        CALLED,
        **facts,
    )
    assert whole(made).structured() == {"name": "Paris"}
    assert [i.type for i in items(made)] == ["text", "structured_output", "text"]


def test_other_calls_come_before_structured_output() -> None:
    facts = {"output": CITY, "output_tool": "output"}
    made = fed(
        d.ToolCallStart(0, "output", arguments={"name": "Paris"}),
        d.ToolCallStart(1, "f", arguments={}),
        CALLED,
        **facts,
    )
    response = whole(made)
    assert response.choices[0].finish_reason is FinishReason.TOOL_CALLS
    assert response.structured() is None
    assert [call.name for call in response.tools()] == ["f"]
    other = fed(d.TextDelta(0, "{}"), d.ToolCallStart(1, "f"), CALLED, output=CITY)
    assert whole(other).structured_unprocessed() is None


@pytest.mark.parametrize(
    "deltas",
    [
        [d.TextDelta(0, CITY_TEXT)],
        [d.RefusalDelta(0, "no"), STOP],
        [STOP],
        [d.ReasoningDelta(0, "{}"), STOP],
    ],
    ids=["unfinished", "refused", "empty", "reasoning only"],
)
def test_where_there_is_none_there_is_no_structured_output(deltas: list[d.Delta]) -> None:
    assert whole(fed(*deltas, output=CITY)).structured_unprocessed() is None


def test_without_a_schema_text_stays_text() -> None:
    assert whole(fed(d.TextDelta(0, CITY_TEXT), STOP)).structured_unprocessed() is None


# --- what was handed out stays as it was

STORY: list[d.Delta] = [
    d.StreamInfo(id="msg_1", metadata={"deep": {"a": [1]}}),
    d.ReasoningDelta(0, "why"),
    d.SignatureDelta(0, "s"),
    d.BlockEnd(0),
    d.TextDelta(1, "a"),
    d.AnnotationDelta(1, {"deep": {"a": [1]}}),
    d.BlockInfo(1, id="i", metadata={"deep": {"a": [1]}}),
    d.UsageUpdate(FULL_USAGE),
    d.ToolCallStart(2, "f", "c", arguments={"deep": [1]}, metadata={"deep": {"a": [1]}}),
    d.BlockEnd(2),
    d.ToolCallStart(3, "g", "c2"),
    d.ToolArgumentsDelta(3, '{"deep": [1]}'),
    d.BlockEnd(3),
    d.OpaqueStart(4, "t", {"deep": {"a": [1]}}, input_key="input"),
    d.ToolArgumentsDelta(4, "{}"),
    d.OpaqueUpdate(4, {"more": {"a": [1]}}),
    d.BlockEnd(4),
    d.RedactedReasoning(5, "x"),
    d.ChoiceInfo({"logprobs": {"content": [{"a": [1]}]}}),
    d.ChoiceInfo({"logprobs": {"content": [{"a": [2]}]}}),
    d.Finish("tool_calls", "tool_use", metadata={"deep": {"a": [1]}}),
]


def spoil(value: Any) -> None:
    """Change all that can be changed, at every depth."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            spoil(getattr(value, name))
    elif isinstance(value, dict):
        for inner in list(value.values()):
            spoil(inner)
        value["spoiled"] = True
    elif isinstance(value, list):
        for inner in list(value):
            spoil(inner)
        value.append("spoiled")


def test_no_chunk_and_no_snapshot_changes_later() -> None:
    made = accumulator()
    handed: list[tuple[Any, Any]] = []
    for delta in STORY:
        outs = (made.add([delta]), whole(made, complete=False), made.usage())
        handed += [(out, copy.deepcopy(out)) for out in outs]
    handed.append((made.done(), made.done()))
    assert all(now == then for now, then in handed)


def test_what_a_consumer_does_to_a_chunk_or_a_snapshot_changes_no_other() -> None:
    expected = whole(fed(*STORY))
    made = accumulator()
    for delta in copy.deepcopy(STORY):
        for out in (made.add([delta]), whole(made, complete=False), made.usage()):
            spoil(out)
    spoil(made.done())
    spoil(whole(made))
    assert whole(made) == expected


def test_a_snapshot_grows_with_the_answer() -> None:
    made = accumulator()
    seen = []
    for letter in "abc":
        made.add([d.TextDelta(0, letter)])
        seen.append(whole(made, complete=False))
    assert [snapshot.text() for snapshot in seen] == ["a", "ab", "abc"]


def test_it_can_be_read_from_another_thread_while_it_grows() -> None:
    made = accumulator()
    stop = threading.Event()
    failed: list[Exception] = []

    def read() -> None:
        try:
            while not stop.is_set():
                text = whole(made, complete=False).text() or ""
                assert text == "x" * len(text)
                made.usage()
        except Exception as error:  # noqa: BLE001  (whatever it is, the test fails)
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for i in range(2000):
            made.add([d.TextDelta(i % 50, "x"), d.AnnotationDelta(i % 50, {"i": i})])
            made.add([d.ReasoningSummaryDelta(50, "s", part=i), d.UsageUpdate(FULL_USAGE)])
            made.add([d.ToolCallStart(100 + i, "f"), d.TextDelta(0, "x", choice=i)])
    finally:
        stop.set()
        reader.join()
    assert failed == []


# --- any order at all

KINDS = ["text", "reasoning", "refusal"]
indexes = st.integers(0, 2)
choices = st.integers(0, 1)
words = st.sampled_from(["", "a", '{"a"', ":1}", "{}"])
dicts = st.sampled_from([{}, {"a": 1}])
names = st.sampled_from(["f", "g", "output"])
any_delta: st.SearchStrategy[d.Delta] = st.one_of(
    st.builds(d.TextDelta, indexes, words, choices),
    st.builds(d.RefusalDelta, indexes, words, choices),
    st.builds(d.ReasoningDelta, indexes, words, choices),
    st.builds(d.ReasoningSummaryDelta, indexes, words, choices, st.integers(0, 1)),
    st.builds(d.SignatureDelta, indexes, words, choices),
    st.builds(d.ToolArgumentsDelta, indexes, words, choices),
    st.builds(d.BlockStart, indexes, st.sampled_from(["text", "reasoning"]), choices),
    st.builds(d.ToolCallStart, indexes, names, st.none() | words, st.none(), st.none() | dicts),
    st.builds(d.OpaqueStart, indexes, words, dicts, st.none() | st.just("input")),
    st.builds(d.OpaqueUpdate, indexes, dicts),
    st.builds(d.RedactedReasoning, indexes, words),
    st.builds(d.AnnotationDelta, indexes, dicts),
    st.builds(d.BlockInfo, indexes, st.none() | words, st.none() | dicts),
    st.builds(d.BlockEnd, indexes, choices),
    st.builds(d.UsageUpdate, st.just(FULL_USAGE)),
    st.builds(d.ChoiceInfo, dicts, choices, st.booleans()),
    st.builds(d.Finish, st.sampled_from(list(FinishReason)), st.none() | words),
    st.builds(d.StreamInfo, st.none() | words, st.none() | words, st.none() | dicts),
    st.just(d.Ping()),
)


Piece = d.TextDelta | d.RefusalDelta | d.ReasoningDelta


def joined(deltas: Sequence[d.Delta], kind: type[Piece], choice: int) -> str:
    """The letters of all text of a kind, in any order."""
    texts = [x.text for x in deltas if isinstance(x, kind) and x.choice == choice]
    return "".join(sorted("".join(texts)))


@given(st.lists(any_delta, max_size=30), st.booleans(), st.booleans())
def test_no_order_of_deltas_fails_or_loses_text(
    deltas: list[d.Delta], complete: bool, with_output: bool
) -> None:
    facts: dict[str, Any] = {"output": CITY, "output_tool": "output"} if with_output else {}
    made = fed(*deltas, **facts)
    response = whole(made, complete=complete)
    assert whole(made, complete=complete) == response
    assert ChatResponse.from_dict(response.model_dump()).model_dump() == response.model_dump()
    made.done()
    for choice in response.choices:
        one = response.to_message_item(response.choices.index(choice))
        found_texts: list[tuple[type[Piece], str | None]] = [
            (d.ReasoningDelta, None if _summaries(one) else one.reasoning()),
            (d.RefusalDelta, one.refusal()),
            (d.TextDelta, None if with_output else one.text()),
        ]
        for kind, found in found_texts:
            if found is not None:
                assert "".join(sorted(found)) == joined(deltas, kind, choice.index)
        for call in one.tools():
            assert (call.parse_error is None) == (call.raw_arguments is None)
            assert call.parse_error is None or call.arguments == {}


def _summaries(response: ChatResponse) -> bool:
    contents = response.choices[0].contents or []
    return any(
        isinstance(item, ChatResponseReasoningContentItem) and item.thinking_summary
        for item in contents
    )


def test_a_long_answer_in_many_pieces_is_whole() -> None:
    pieces = ["x" * random.Random(i).randint(1, 9) for i in range(20_000)]
    made = fed(*[d.TextDelta(0, piece) for piece in pieces])
    assert whole(made).text() == "".join(pieces)
