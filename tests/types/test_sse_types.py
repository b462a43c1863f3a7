"""Stream events as text and back: nothing is lost, and no text makes the parser raise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import full_answer

from dhenara_stream.errors import RateLimitError
from dhenara_stream.types import (
    AIModelAPIProviderEnum,
    AIModelCallResponseMetaData,
    AIModelProviderEnum,
    ChatMessageContentPart,
    ChatResponseChoiceDelta,
    ChatResponseChunk,
    ChatResponseContentItemDelta,
    ChatResponseGenericContentItemDelta,
    ChatResponseReasoningContentItemDelta,
    ChatResponseTextContentItemDelta,
    ChatResponseToolCall,
    ChatResponseToolCallContentItemDelta,
    ChatResponseUsage,
    FinishReason,
    HostedToolUsage,
    Secret,
    StreamingChatResponse,
    UsageCharge,
    UsageChargeComponent,
)
from dhenara_stream.types.shared import (
    SSEErrorCode,
    SSEErrorData,
    SSEErrorResponse,
    SSEEventType,
    SSEResponse,
)
from dhenara_stream.types.shared.base import BaseModel

# --- values of every chunk class

texts = st.text()
maybe_text = st.none() | texts
ints = st.integers(-(2**63), 2**63)
scalars = (
    st.none() | st.booleans() | ints | st.floats(allow_nan=False, allow_infinity=False) | texts
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
dicts = st.dictionaries(texts, json_values, max_size=3)
counts = st.none() | st.integers(0, 10**12)
bases = {
    "index": st.integers(0, 9),
    "metadata": dicts,
    "storage_metadata": dicts,
    "custom_metadata": dicts,
    "role": maybe_text,
}
parts = st.builds(
    ChatMessageContentPart,
    type=texts,
    text=maybe_text,
    annotations=st.none() | st.lists(dicts, max_size=2),
    metadata=st.none() | dicts,
)
text_fields = {
    **bases,
    "text_delta": maybe_text,
    "message_id": maybe_text,
    "message_contents": st.none() | st.lists(parts, max_size=2),
}
calls = st.builds(
    ChatResponseToolCall,
    call_id=maybe_text,
    id=maybe_text,
    name=texts,
    arguments=dicts,
    metadata=dicts,
    raw_arguments=maybe_text,
    parse_error=maybe_text,
)
DELTAS: dict[type[ChatResponseContentItemDelta], st.SearchStrategy[Any]] = {
    ChatResponseTextContentItemDelta: st.builds(ChatResponseTextContentItemDelta, **text_fields),
    ChatResponseReasoningContentItemDelta: st.builds(
        ChatResponseReasoningContentItemDelta,
        **text_fields,
        thinking_summary_delta=maybe_text,
        thinking_id=maybe_text,
        thinking_signature=maybe_text,
    ),
    ChatResponseToolCallContentItemDelta: st.builds(
        ChatResponseToolCallContentItemDelta,
        **bases,
        tool_call=st.none() | calls,
        arguments_delta=maybe_text,
    ),
    ChatResponseGenericContentItemDelta: st.builds(ChatResponseGenericContentItemDelta, **bases),
}
usages = st.builds(
    ChatResponseUsage,
    total_tokens=counts,
    prompt_tokens=counts,
    cache_read_tokens=counts,
    hosted_tool_usage=st.none()
    | st.builds(HostedToolUsage, request_counts=st.dictionaries(texts, ints, max_size=2)),
    native=st.none() | dicts,
)
charges = st.builds(
    UsageCharge,
    cost=st.floats(0, 9),
    components=st.none()
    | st.lists(st.builds(UsageChargeComponent, key=texts, cost=st.floats(0, 9)), max_size=2),
)
choices = st.builds(
    ChatResponseChoiceDelta,
    index=st.integers(0, 9),
    finish_reason=st.none() | st.sampled_from(FinishReason),
    native_finish_reason=maybe_text,
    stop_sequence=maybe_text,
    content_deltas=st.none() | st.lists(st.one_of(*DELTAS.values()), max_size=3),
    metadata=dicts,
)
chunks = st.builds(
    ChatResponseChunk,
    model=texts,
    provider=st.sampled_from(AIModelProviderEnum),
    api_provider=st.none() | st.sampled_from(AIModelAPIProviderEnum),
    usage=st.none() | usages,
    usage_charge=st.none() | charges,
    choice_deltas=st.lists(choices, max_size=2),
    metadata=st.none() | st.builds(AIModelCallResponseMetaData, provider_metadata=dicts),
    done=st.booleans(),
)
ids = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))
retries = st.none() | st.integers(0, 10**6)
errors = st.builds(
    SSEErrorData,
    error_code=st.sampled_from(SSEErrorCode),
    message=texts,
    details=st.none() | dicts,
)
events: st.SearchStrategy[SSEResponse[Any]] = (
    st.builds(StreamingChatResponse, data=chunks, id=ids, retry=retries)
    | st.builds(SSEErrorResponse, data=errors, id=ids, retry=retries)
    | st.builds(SSEResponse, event=st.just(SSEEventType.PUSH), data=dicts, id=ids, retry=retries)
)


# Big values take long to make on a busy machine.
unhurried = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])


anything = st.text(st.characters(codec=None))  # also what UTF-8 cannot hold


def chunk(*deltas: ChatResponseContentItemDelta) -> StreamingChatResponse:
    """An event with these pieces."""
    data = ChatResponseChunk(
        model="m",
        provider=AIModelProviderEnum.ANTHROPIC,
        choice_deltas=[ChatResponseChoiceDelta(index=0, content_deltas=[*deltas])],
    )
    return StreamingChatResponse(data=data)


def text_chunk(text: str) -> StreamingChatResponse:
    """An event with one piece of text."""
    return chunk(ChatResponseTextContentItemDelta(text_delta=text))


def push(data: Any) -> SSEResponse[Any]:
    """An event of a service's own."""
    return SSEResponse(event=SSEEventType.PUSH, data=data)


def decode_error(text: str, data_type: Any = None) -> str:
    """The message of the event that stands for text that is none."""
    parsed = SSEResponse.parse_sse(text, data_type)
    assert type(parsed) is SSEErrorResponse
    assert parsed.data.error_code == SSEErrorCode.client_decode_error
    return parsed.data.message


# --- there and back


@unhurried
@given(events)
def test_every_event_comes_back_exactly_each_class_restored(event: SSEResponse[Any]) -> None:
    text = event.to_sse_format()
    parsed = SSEResponse.parse_sse(text)
    assert type(parsed) is type(event)
    assert parsed == event
    assert parsed.to_sse_format() == text


@unhurried
@given(events)
def test_a_browser_sees_one_event_and_no_line_of_its_own(event: SSEResponse[Any]) -> None:
    *lines, last, end = event.to_sse_format().split("\n")
    assert (last, end) == ("", "")
    assert all(re.match(r"(event|id|retry|data): ", line) for line in lines)
    assert not any("\r" in line for line in lines)


@pytest.mark.parametrize("cls", DELTAS, ids=lambda cls: cls.__name__)
@unhurried
@given(data=st.data())
def test_every_class_of_piece_keeps_its_class(cls: Any, data: st.DataObject) -> None:
    event = chunk(data.draw(DELTAS[cls]))
    parsed = StreamingChatResponse.parse_sse(event.to_sse_format())
    deltas = parsed.data.choice_deltas[0].content_deltas
    assert deltas is not None
    assert type(deltas[0]) is cls
    assert parsed == event


@pytest.mark.parametrize(
    "text",
    ["\u2028", "\u2029", "\x85", "\x0b\x0c", "\r", "\n", "\r\n", "\n\n", "\0", "\ufeff", "data: x"],
    ids=repr,
)
def test_odd_characters_of_a_text_come_back(text: str) -> None:
    event = text_chunk(f"a{text}b")
    assert SSEResponse.parse_sse(event.to_sse_format()) == event


@pytest.mark.parametrize("newline", ["\r\n", "\r", "\n"])
def test_each_line_end_of_the_format_is_taken(newline: str) -> None:
    event = text_chunk("a\nb")
    event.id, event.retry = "1", 5
    text = event.to_sse_format().replace("\n", newline)
    assert SSEResponse.parse_sse(text) == event
    assert SSEResponse.parse_sse(text.rstrip()) == event


@given(anything, st.none() | st.sampled_from([ChatResponseChunk, dict, str, int]))
def test_no_text_makes_the_parser_raise(text: str, data_type: Any) -> None:
    assert isinstance(SSEResponse.parse_sse(text, data_type), SSEResponse)
    assert isinstance(SSEResponse.parse_sse(f"event: push\ndata: {text}", data_type), SSEResponse)
    assert isinstance(SSEResponse.parse_sse(f"event: token_stream\ndata:{text}"), SSEResponse)


# --- the text


def test_the_text_is_an_event_stream_block() -> None:
    assert push({"a": [1, None]}).to_sse_format() == 'event: push\ndata: {"a":[1,null]}\n\n'
    event = SSEResponse(event=SSEEventType.PUSH, data="a\nb", id="7", retry=100)
    assert event.to_sse_format() == "event: push\nid: 7\nretry: 100\ndata: a\ndata: b\n\n"


def test_an_id_that_is_not_there_is_not_written() -> None:
    assert "id:" not in text_chunk("x").to_sse_format()


@pytest.mark.parametrize("end", ["\n", "\r", "\0"])
def test_an_id_that_would_break_the_block_is_left_out(end: str) -> None:
    event = text_chunk("x")
    event.id = f"1{end}data: injected"
    parsed = SSEResponse.parse_sse(event.to_sse_format())
    assert parsed == text_chunk("x")


def test_a_random_id_is_new_each_time() -> None:
    event = text_chunk("x")
    event.set_random_id()
    first = event.id
    event.set_random_id()
    assert first is not None
    assert event.id not in {None, first}


def test_only_error_events_are_errors() -> None:
    assert SSEErrorResponse.from_error(RateLimitError("slow down")).is_error()
    assert not text_chunk("x").is_error()


@pytest.mark.parametrize("data", [None, True, 5, 1.5, [], {}, [{"a": "\n"}], "text", "", "a\n\nb"])
def test_payloads_of_a_services_own_come_back(data: Any) -> None:
    parsed = SSEResponse.parse_sse(push(data).to_sse_format())
    assert type(parsed) is SSEResponse
    assert parsed == push(data)


def test_structs_inside_of_a_payload_are_dumped_and_secrets_masked() -> None:
    answer = full_answer()
    parsed = SSEResponse.parse_sse(push({"answer": answer, "all": [answer]}).to_sse_format())
    assert parsed.data["answer"] == parsed.data["all"][0]
    assert type(answer).from_dict(parsed.data["answer"]) == answer


@unhurried
@given(chunks)
def test_the_payload_is_the_structs_json(data: ChatResponseChunk) -> None:
    assert StreamingChatResponse(data=data).to_sse_format() == (
        f"event: token_stream\ndata: {data.model_dump_json()}\n\n"
    )


def test_what_json_has_not_is_text_and_secrets_are_masked() -> None:
    metadata = {"key": Secret("sk-very-secret"), "path": Path("x"), "time": timedelta(1)}
    event = chunk(ChatResponseGenericContentItemDelta(metadata=metadata))
    text = event.to_sse_format()
    assert f"data: {event.data.model_dump_json()}\n" in text
    parsed = SSEResponse.parse_sse(text)
    assert parsed.data.choice_deltas[0].content_deltas[0].metadata == {
        "key": "***",
        "path": "x",
        "time": "P1D",
    }


def test_line_ends_in_text_turn_into_lf() -> None:
    assert SSEResponse.parse_sse(push("a\r\nb\rc").to_sse_format()).data == "a\nb\nc"


# --- the payload's type


class Point(BaseModel):
    x: int


class PydanticPoint(pydantic.BaseModel):
    x: int


@dataclass
class DataPoint:
    x: int


class PlainPoint(msgspec.Struct):
    x: int


@pytest.mark.parametrize("cls", [Point, PydanticPoint, DataPoint, PlainPoint])
def test_a_payload_of_a_type_of_the_callers_is_restored(cls: Any) -> None:
    text = 'event: push\nid: 3\ndata: {"x": 1}\n\n'
    assert SSEResponse.parse_sse(text, data_type=cls) == SSEResponse(
        event=SSEEventType.PUSH, data=cls(x=1), id="3"
    )
    assert "x" in decode_error('event: push\ndata: {"x": "a"}', cls)
    assert decode_error('event: push\ndata: {"x": ', cls)


def test_text_stays_text_where_text_is_asked_for() -> None:
    assert SSEResponse.parse_sse("event: push\ndata: 5", data_type=str).data == "5"
    assert SSEResponse.parse_sse("event: push\ndata: 5").data == 5
    assert SSEResponse.parse_sse("event: push\ndata: [1]", data_type=list[int]).data == [1]
    assert "Expected `int`" in decode_error('event: push\ndata: "a"', int)


def test_a_chunk_asked_for_by_its_class_is_a_chunk() -> None:
    event = text_chunk("x")
    assert SSEResponse.parse_sse(event.to_sse_format(), data_type=ChatResponseChunk) == event


def test_a_token_event_with_a_payload_of_the_callers_own_is_restored() -> None:
    parsed = SSEResponse.parse_sse('event: token_stream\ndata: {"x": 1}', data_type=Point)
    assert parsed == SSEResponse(event=SSEEventType.TOKEN_STREAM, data=Point(x=1))


def test_an_error_event_is_an_error_whatever_type_is_asked_for() -> None:
    event = SSEErrorResponse.from_error(RateLimitError("slow down", retry_after=2.0))
    assert SSEResponse.parse_sse(event.to_sse_format(), data_type=Point) == event


# --- text that is no event


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the event has no data line"),
        (": a comment\n\n", "the event has no data line"),
        ("event: push\n\n", "the event has no data line"),
        ("data: 1", "unknown event type None (known: token_stream, push, error)"),
        ("event: message\ndata: 1", "unknown event type 'message'"),
        ("event: push\nretry: soon\ndata: 1", "invalid literal for int"),
        ("event: token_stream\ndata: {", "ChatResponseChunk: not JSON"),
        ("event: token_stream\ndata: []", "ChatResponseChunk: expected a dict, got `list`"),
        ('event: token_stream\ndata: {"model":"m"}', "missing required field `provider`"),
        ('event: error\ndata: {"error_code":"new","message":"m"}', "Invalid enum value 'new'"),
        ("event: error\ndata: oops", "SSEErrorData: not JSON"),
        ("event: push\ndata: " + "[" * 100_000, "recursion"),
        ("event: token_stream\ndata: " + "[" * 100_000, "recursion"),
        ('event: token_stream\ndata: "\ud800"', "surrogates not allowed"),
        ("event: push\ndata: 1\n\nevent: push\ndata: 2\n\n", "more than one event"),
    ],
)
def test_what_is_no_event_is_a_decode_error_that_says_why(text: str, message: str) -> None:
    assert message in decode_error(text)


@pytest.mark.parametrize(
    "text",
    [
        ": ping\n\nevent: push\ndata: 1\n\n",
        "\n\nevent: push\n: comment\ndata: 1\n\n: after\n\n",
        "event:push\ndata:1",
        "event: push\nunknown: field\nnameless\ndata: 1\n",
    ],
)
def test_comments_unknown_fields_and_missing_spaces_are_no_matter(text: str) -> None:
    assert SSEResponse.parse_sse(text) == push(1)
