"""Anthropic's answers. The invariant: any events give deltas, a ProviderError or a ProtocolError,
and whatever becomes of the events around it, no text is lost."""

import json
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import accumulate, bytewise, decode

from dhenara_stream.core import deltas as d
from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.anthropic.stream import AnthropicDecoder
from dhenara_stream.dialects.base import ErrorReply
from dhenara_stream.dialects.errors import reply_error
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
    ChatResponseGenericContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCallContentItem,
)

# --- reading transcripts ----------------------------------------------------------------------


def unfolded(text: str) -> str:
    return text.replace("\n    ", "")


def lines(payloads: str) -> list[str]:
    """Payloads of events: each a line, with the indented lines that follow it."""
    return [line for line in unfolded(payloads).splitlines() if line]


def sse(*payloads: str) -> bytes:
    """The stream whose events have these payloads, named by their types."""
    named = ((json.loads(line)["type"], line) for part in payloads for line in lines(part))
    return "".join(f"event: {name}\ndata: {line}\n\n" for name, line in named).encode()


def read(stream: bytes | str) -> tuple[list[d.Delta], AnthropicDecoder]:
    """The deltas of a stream, the same whole and byte by byte."""
    body = sse(stream) if isinstance(stream, str) else stream
    whole, pieces = AnthropicDecoder(), AnthropicDecoder()
    said = [delta for deltas in decode([body], whole) for delta in deltas]
    assert said == [delta for deltas in decode(bytewise(body), pieces) for delta in deltas]
    assert (whole.complete, whole.skipped) == (pieces.complete, pieces.skipped)
    return said, whole


def deltas(stream: bytes | str) -> list[d.Delta]:
    return read(stream)[0]


def answer(stream: bytes | str) -> ChatResponse:
    """What becomes of a stream, which has to be complete."""
    said, decoder = read(stream)
    assert decoder.complete
    return accumulate([said])


def document(message: dict[str, Any]) -> list[d.Delta]:
    decoder = AnthropicDecoder()
    said = list(decoder.decode_document(json.dumps(message).encode()))
    assert decoder.complete
    return said


def one(payload: str, *, name: str = "", decoder: AnthropicDecoder | None = None) -> list[d.Delta]:
    """The deltas of one event."""
    event = ServerSentEvent(payload.encode("utf-8", "surrogateescape"), name)
    return list((decoder or AnthropicDecoder()).decode(event))


START = """
{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",
    "model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,
    "usage":{"input_tokens":12,"output_tokens":1}}}
"""
END = """
{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},
    "usage":{"output_tokens":17}}
{"type":"message_stop"}
"""


def contents(blocks: str) -> list[Any]:
    """The items of an answer made of these events and the usual ones around them."""
    return answer(sse(START, blocks, END)).choices[0].contents or []


# --- whole answers ----------------------------------------------------------------------------

THINKING = unfolded("""\
event: message_start
data: {"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant",
    "model":"claude-sonnet-4-5-20250929","content":[],"stop_reason":null,"stop_sequence":null,
    "usage":{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":2000,
    "output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"",
    "signature":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta",
    "thinking":"Two plus two.","estimated_tokens":4}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta",
    "signature":"RXhhbXBsZQ=="}   }

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Fo"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"ur"}          }

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},
    "usage":{"input_tokens":12,"cache_read_input_tokens":2000,"output_tokens":17,
    "output_tokens_details":{"thinking_tokens":9}}}

event: message_stop
data: {"type":"message_stop"}

""").encode()


def test_a_stream_is_said_in_neutral_terms_event_by_event() -> None:
    said = list(decode([THINKING], AnthropicDecoder()))
    first, last = said[0][1], said[-2][0]
    assert isinstance(first, d.UsageUpdate)
    assert isinstance(last, d.UsageUpdate)
    assert [list(deltas) for deltas in said] == [
        [d.StreamInfo(id="msg_01", model="claude-sonnet-4-5-20250929"), first],
        [d.BlockStart(0, "reasoning")],
        [d.Ping()],
        [d.ReasoningDelta(0, "Two plus two.")],
        [d.SignatureDelta(0, "RXhhbXBsZQ==")],
        [d.BlockEnd(0)],
        [d.BlockStart(1, "text")],
        [d.TextDelta(1, "Fo")],
        [d.TextDelta(1, "ur")],
        [d.BlockEnd(1)],
        [last, d.Finish("stop", "end_turn")],
        [],
    ]
    assert (first.usage.prompt_tokens, first.usage.completion_tokens) == (2012, 1)
    assert first.usage.native == {
        "input_tokens": 12,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 2000,
        "output_tokens": 1,
    }
    assert last.usage == d.TokenUsage(
        prompt_tokens=2012,
        completion_tokens=17,
        total_tokens=2029,
        reasoning_tokens=9,
        cache_read_tokens=2000,
        cache_write_tokens=0,
        native={
            "input_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 2000,
            "output_tokens": 17,
            "output_tokens_details": {"thinking_tokens": 9},
        },
    )


def test_reading_byte_by_byte_makes_no_difference() -> None:
    said, decoder = read(THINKING)
    assert (decoder.complete, decoder.skipped) == (True, 0)
    response = accumulate([said])
    assert (response.text(), response.reasoning()) == ("Four", "Two plus two.")


def test_only_message_stop_completes_an_answer() -> None:
    before_stop = THINKING[: THINKING.rindex(b"event:")]
    said, decoder = read(before_stop)
    assert not decoder.complete
    assert said[-1] == d.Finish("stop", "end_turn")


@pytest.mark.parametrize("line", [b"event: ", b"data: "])
def test_names_or_types_alone_are_enough(line: bytes) -> None:
    if line == b"event: ":
        stream = b"\n".join(s for s in THINKING.split(b"\n") if not s.startswith(line))
    else:
        types = {json.loads(s[6:])["type"] for s in THINKING.split(b"\n") if s.startswith(line)}
        stream = THINKING
        for one_type in types:  # those of the deltas and blocks stay
            stream = stream.replace(b'{"type":"%s",' % one_type.encode(), b"{")
            stream = stream.replace(b'{"type":"%s"}' % one_type.encode(), b"{}")
    assert deltas(stream) == deltas(THINKING)


def test_the_type_counts_and_not_the_name() -> None:
    renamed = THINKING.replace(b"event: content_block_delta", b"event: vertex_event")
    assert deltas(renamed) == deltas(THINKING)


# --- blocks -----------------------------------------------------------------------------------

WEB_SEARCH = """
{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use",
    "id":"srvtoolu_1","name":"web_search","input":{},"caller":{"type":"direct"}}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
    "partial_json":"{\\"query\\":"}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
    "partial_json":" \\"moon\\"}"}}
{"type":"content_block_stop","index":0}
{"type":"content_block_start","index":1,"content_block":{"type":"web_search_tool_result",
    "tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://a.example",
    "title":"Moon","encrypted_content":"RW5j","page_age":null}]}}
{"type":"content_block_stop","index":1}
{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"","citations":[]}}
{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta",
    "citation":{"type":"web_search_result_location","url":"https://a.example","title":"Moon",
    "encrypted_index":"RW8=","cited_text":"The Moon"}}}
{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"It orbits."}}
{"type":"content_block_stop","index":2}
"""


def test_a_web_search_with_its_result_and_citation() -> None:
    use, result, text = contents(WEB_SEARCH)
    assert use.block == {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "web_search",
        "input": {"query": "moon"},
        "caller": {"type": "direct"},
    }
    assert result.block_type == "web_search_tool_result"
    assert result.block["content"][0]["encrypted_content"] == "RW5j"
    assert text.get_text() == "It orbits."
    assert [a["url"] for a in text.message_contents[0].annotations] == ["https://a.example"]


TOOL_CALL = """
{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_01",
    "name":"get_time","input":{},"caller":{"type":"direct"}}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
    "partial_json":"{\\"zone\\":"}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
    "partial_json":"\\"UTC\\"}"}}
{"type":"content_block_stop","index":0}
"""


def test_a_tool_call() -> None:
    assert deltas(TOOL_CALL) == [
        d.ToolCallStart(0, "get_time", call_id="toolu_01", metadata={"caller": {"type": "direct"}}),
        d.ToolArgumentsDelta(0, '{"zone":'),
        d.ToolArgumentsDelta(0, '"UTC"}'),
        d.BlockEnd(0),
    ]
    (call,) = contents(TOOL_CALL)
    assert (call.call_id, call.name, call.arguments) == ("toolu_01", "get_time", {"zone": "UTC"})


def test_a_tool_call_whose_input_is_there_at_the_start() -> None:
    (call,) = contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_01",
    "name":"f","input":{"a":1}}}
{"type":"content_block_stop","index":0}
""")
    assert call.arguments == {"a": 1}


def test_a_tool_call_whose_input_is_text_at_the_start() -> None:
    (call,) = contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_01",
    "name":"f","input":"{\\"a\\":1}"}}
{"type":"content_block_stop","index":0}
""")
    assert call.arguments == {"a": 1}


def test_two_interleaved_tool_calls() -> None:
    first, second = contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1",
    "name":"f","input":{}}}
{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_2",
    "name":"f","input":{}}}
{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",
    "partial_json":"{\\"b\\":"}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
    "partial_json":"{\\"a\\":"}}
{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"2}"}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"1}"}}
{"type":"content_block_stop","index":1}
{"type":"content_block_stop","index":0}
""")
    assert (first.arguments, second.arguments) == ({"a": 1}, {"b": 2})


def test_a_signature_without_reasoning_and_redacted_reasoning() -> None:
    omitted, redacted = contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"",
    "signature":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"U2ln"}}
{"type":"content_block_stop","index":0}
{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking",
    "data":"b3BhcXVl","model":"x"}}
{"type":"content_block_stop","index":1}
""")
    assert isinstance(omitted, ChatResponseReasoningContentItem)
    assert omitted.thinking_signature == "U2ln"
    assert isinstance(redacted, ChatResponseReasoningContentItem)
    assert redacted.metadata == {"redacted_thinking_data": "b3BhcXVl", "model": "x"}


def test_what_a_block_holds_at_its_start_is_its_first_piece() -> None:
    assert deltas("""
{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"Hm",
    "signature":"U2ln","level":1}}
{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"Yes",
    "citations":[{"type":"char_location"},null],"tone":"warm","mood":null}}
""") == [
        d.BlockStart(0, "reasoning"),
        d.ReasoningDelta(0, "Hm"),
        d.SignatureDelta(0, "U2ln"),
        d.BlockInfo(0, metadata={"level": 1}),
        d.BlockStart(1, "text"),
        d.TextDelta(1, "Yes"),
        d.AnnotationDelta(1, {"type": "char_location"}),
        d.BlockInfo(1, metadata={"tone": "warm"}),
    ]


@pytest.mark.parametrize(
    "block",
    [
        '{"type":"web_search_tool_result","tool_use_id":"s","content":{"type":"web_search_tool_result_error","error_code":"max_uses_exceeded"}}',
        '{"type":"web_fetch_tool_result","tool_use_id":"s","content":{"type":"web_fetch_result","url":"https://a.example"}}',
        '{"type":"code_execution_tool_result","tool_use_id":"s","content":{"return_code":0,"stdout":"4"}}',
        '{"type":"bash_code_execution_tool_result","tool_use_id":"s","content":{"stdout":""}}',
        '{"type":"text_editor_code_execution_tool_result","tool_use_id":"s","content":{}}',
        '{"type":"tool_search_tool_result","tool_use_id":"s","content":{"tool_references":[]}}',
        '{"type":"advisor_tool_result","tool_use_id":"s","content":{"text":"Do."}}',
        '{"type":"mcp_tool_result","tool_use_id":"m","is_error":false,"content":[{"type":"text","text":"4"}]}',
        '{"type":"mcp_tool_use","id":"m","name":"add","server_name":"sums","input":{"a":1}}',
        '{"type":"container_upload","file_id":"file_1"}',
        '{"type":"block_of_next_year","nested":{"deep":[1,2.5,null]}}',
    ],
)
def test_other_blocks_are_carried_through_unchanged(block: str) -> None:
    start = f'{{"type":"content_block_start","index":0,"content_block":{block}}}'
    (item,) = contents(start + '\n{"type":"content_block_stop","index":0}')
    assert isinstance(item, ChatResponseGenericContentItem)
    assert item.block == json.loads(block)
    assert item.block_type == item.block["type"]


def test_the_pieces_of_an_unknown_block_are_put_into_it() -> None:
    (item,) = contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"poem","title":"Moon","text":"O "}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Mo"}}
{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"rhyme?"}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"on"}}
{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"U2ln"}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
    "partial_json":"{\\"a\\":1}"}}
{"type":"content_block_stop","index":0}
""")
    assert item.block == {
        "type": "poem",
        "title": "Moon",
        "text": "O Moon",
        "thinking": "rhyme?",
        "signature": "U2ln",
        "input": {"a": 1},
    }


def test_compaction_replaces() -> None:
    (item,) = contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"compaction","content":null,
    "encrypted_content":null}}
{"type":"content_block_delta","index":0,"delta":{"type":"compaction_delta","content":"So far",
    "encrypted_content":"RW5j"}}
{"type":"content_block_stop","index":0}
""")
    assert item.block == {"type": "compaction", "content": "So far", "encrypted_content": "RW5j"}


def test_compaction_without_a_start() -> None:
    (item,) = contents(
        '{"type":"content_block_delta","index":0,"delta":{"type":"compaction_delta","content":"x"}}'
    )
    assert item.block == {"type": "compaction", "content": "x"}


def test_compaction_without_a_start_is_one_block_that_takes_text_too() -> None:
    (item,) = contents("""
{"type":"content_block_delta","index":0,"delta":{"type":"compaction_delta","content":"x"}}
{"type":"content_block_delta","index":0,"delta":{"type":"compaction_delta","content":"y"}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}
""")
    assert item.block == {"type": "compaction", "content": "y", "text": "Hi"}


def test_a_fallback_names_the_model_that_answers() -> None:
    block = (
        '{"type":"fallback","from":{"model":"a"},"to":{"model":"b"},"trigger":{"type":"refusal"}}'
    )
    start = f'{{"type":"content_block_start","index":0,"content_block":{block}}}'
    assert deltas(start) == [
        d.OpaqueStart(0, "fallback", json.loads(block), input_key="input"),
        d.StreamInfo(model="b"),
    ]
    assert len(deltas(start.replace('"to"', '"via"'))) == 1


def test_unknown_deltas_and_events_are_skipped_and_counted() -> None:
    said, decoder = read("""
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"sound_delta","pcm":"AAAA"}}
{"type":"message_flourish","style":"baroque"}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi","new":1},"new":{}}
""")
    assert said == [d.BlockStart(0, "text"), d.TextDelta(0, "Hi")]
    assert decoder.skipped == 2


# --- the frame --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause"),
        ("compaction", "pause"),
        ("reason_of_next_year", "unknown"),
    ],
)
def test_finish_reasons(native: str, reason: str) -> None:
    assert one(f'{{"type":"message_delta","delta":{{"stop_reason":"{native}"}}}}') == [
        d.Finish(reason, native)
    ]


def test_a_stop_sequence() -> None:
    assert deltas(
        '{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"###"}}'
    ) == [d.Finish("stop_sequence", "stop_sequence", stop_sequence="###")]


def test_facts_beside_the_reason_go_with_it_whenever_they_came() -> None:
    assert deltas("""
{"type":"message_delta","delta":{"stop_reason":null,"container":{"id":"c"}},
    "context_management":{"applied_edits":[]}}
{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"category":"x"}},
    "input_transformations":[1]}
""") == [
        d.StreamInfo(
            metadata={"container": {"id": "c"}, "context_management": {"applied_edits": []}}
        ),
        d.Finish(
            "content_filter",
            "refusal",
            metadata={
                "container": {"id": "c"},
                "context_management": {"applied_edits": []},
                "stop_details": {"category": "x"},
                "input_transformations": [1],
            },
        ),
    ]


def test_no_reason_is_no_finish_and_the_last_one_wins() -> None:
    response = answer("""
{"type":"message_delta","delta":{"stop_reason":"max_tokens"}}
{"type":"message_delta","delta":{"stop_reason":"end_turn"}}
{"type":"message_delta","delta":{"stop_reason":null}}
{"type":"message_stop"}
""")
    assert response.choices[0].native_finish_reason == "end_turn"


def test_other_facts_of_the_message_are_told() -> None:
    assert one(
        '{"type":"message_start","message":{"id":"m","model":"x","role":"assistant",'
        '"provider":"Somebody","container":{"id":"c"},"service_tier":null}}'
    ) == [
        d.StreamInfo(id="m", model="x", metadata={"provider": "Somebody", "container": {"id": "c"}})
    ]


@pytest.mark.parametrize("message", ["", ',"message":null', ',"message":{}', ',"message":[]'])
def test_a_message_start_may_be_empty(message: str) -> None:
    assert one(f'{{"type":"message_start"{message}}}') == [d.StreamInfo()]


# --- usage ------------------------------------------------------------------------------------


def usage_of(*usages: str) -> list[d.TokenUsage]:
    lines = [f'{{"type":"message_delta","delta":{{}},"usage":{usage}}}' for usage in usages]
    return [delta.usage for delta in deltas("\n".join(lines)) if isinstance(delta, d.UsageUpdate)]


def test_the_last_usage_wins_key_by_key_and_null_erases_nothing() -> None:
    first, second, third = usage_of(
        '{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":7,'
        '"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4},'
        '"output_tokens":1,"service_tier":null,"output_tokens_details":null}',
        '{"input_tokens":null,"output_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":null},'
        '"server_tool_use":{"web_search_requests":2,"web_fetch_requests":0}}',
        '{"output_tokens":20,"output_tokens_details":{"thinking_tokens":6}}',
    )
    assert third == d.TokenUsage(
        prompt_tokens=22,
        completion_tokens=20,
        total_tokens=42,
        reasoning_tokens=6,
        cache_read_tokens=5,
        cache_write_tokens=7,
        cache_write_1h_tokens=4,
        hosted_requests={"web_search": 2, "web_fetch": 0},
        native={
            "input_tokens": 10,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
            "output_tokens": 20,
            "service_tier": None,
            "output_tokens_details": {"thinking_tokens": 6},
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        },
    )
    # What was told before has not changed since.
    assert first.native is not None
    assert first.native["output_tokens"] == 1
    assert second.native is not None
    assert (second.native["output_tokens"], second.reasoning_tokens) == (9, None)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ('{"output_tokens":3}', (None, 3, None)),
        ('{"input_tokens":3}', (3, None, None)),
        ('{"input_tokens":3.0,"output_tokens":2}', (3, 2, 5)),
        ('{"input_tokens":true,"output_tokens":-1,"service_tier":"x"}', (None, None, None)),
        ('{"input_tokens":"3","output_tokens":2.5}', (None, None, None)),
    ],
)
def test_what_is_not_told_is_not_zero(usage: str, expected: tuple[int | None, ...]) -> None:
    (told,) = usage_of(usage)
    assert (told.prompt_tokens, told.completion_tokens, told.total_tokens) == expected
    assert (told.cache_read_tokens, told.hosted_requests) == (None, None)


@pytest.mark.parametrize("usage", ["null", "{}", "[]", "7"])
def test_no_usage_is_not_told(usage: str) -> None:
    assert usage_of(usage) == []


METRICS = (
    '"amazon-bedrock-invocationMetrics":{"inputTokenCount":9,"outputTokenCount":8,'
    '"cacheReadInputTokenCount":50,"invocationLatency":1}'
)


@pytest.mark.parametrize(
    "last", [f'{{"type":"message_stop",{METRICS}}}', f"{{{METRICS}}}"], ids=["stop", "own event"]
)
def test_metrics_tell_what_the_usage_did_not(last: str) -> None:
    decoder = AnthropicDecoder()
    one(
        '{"type":"message_delta","delta":{},"usage":{"input_tokens":10,"output_tokens":0,'
        '"cache_read_input_tokens":0,"cache_creation_input_tokens":0}}',
        decoder=decoder,
    )
    (update,) = one(last, decoder=decoder)
    assert isinstance(update, d.UsageUpdate)
    told = update.usage
    assert (told.prompt_tokens, told.completion_tokens) == (60, 8)
    assert (told.cache_read_tokens, told.cache_write_tokens) == (50, 0)
    assert told.native is not None
    assert told.native["amazon-bedrock-invocationMetrics"]["invocationLatency"] == 1


def test_metrics_alone_tell_the_usage() -> None:
    metrics = (
        '{"inputTokenCount":9,"outputTokenCount":8,"cacheReadInputTokenCount":50,'
        '"cacheWriteInputTokenCount":4}'
    )
    (update,) = one(f'{{"amazon-bedrock-invocationMetrics":{metrics}}}')
    assert isinstance(update, d.UsageUpdate)
    told = update.usage
    assert (told.prompt_tokens, told.completion_tokens, told.total_tokens) == (63, 8, 71)
    assert (told.cache_read_tokens, told.cache_write_tokens) == (50, 4)


# --- what is out of order ---------------------------------------------------------------------


def texts(items: Iterable[Any]) -> list[tuple[int, str]]:
    return [
        (item.index, item.get_text())
        for item in items
        if isinstance(item, ChatResponseTextContentItem)
    ]


def test_without_any_start_or_stop_all_text_is_kept() -> None:
    pieces = [s for s in THINKING.split(b"\n\n") if b"_delta" in s]
    response = answer(b"\n\n".join([*pieces, b'data: {"type":"message_stop"}', b""]))
    assert (response.text(), response.reasoning()) == ("Four", "Two plus two.")


def test_a_stop_ends_the_block_at_its_index_not_the_last() -> None:
    said = deltas("""
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":""}}
{"type":"content_block_stop","index":0}
""")
    assert said == [d.BlockStart(0, "text"), d.BlockStart(1, "reasoning"), d.BlockEnd(0)]


def test_a_block_without_an_index_is_the_next() -> None:
    start = '{"type":"content_block_start","content_block":{"type":"text","text":""}}'
    stop = '{"type":"content_block_stop"}'
    said = deltas(f"{start}\n{stop}\n{start}\n{stop}")
    assert said == [
        *(d.BlockStart(0, "text"), d.BlockEnd(0), d.BlockStart(1, "text"), d.BlockEnd(1)),
    ]


def test_a_call_that_is_complete_stays_one_however_often_it_is_said_again() -> None:
    call = unfolded("""
{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1",
    "name":"f","input":{}}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}
{"type":"content_block_stop","index":0}
""")
    (item,) = contents(call * 3)
    assert item.tool_call.arguments == {}


def test_the_end_of_the_message_ends_all_blocks_that_are_open() -> None:
    said = deltas(f"""
{{"type":"content_block_start","index":0,"content_block":{{"type":"text","text":""}}}}
{{"type":"content_block_start","index":1,"content_block":{{"type":"thinking","thinking":""}}}}
{{"type":"message_stop",{METRICS}}}
""")
    assert said[2:4] == [d.BlockEnd(0), d.BlockEnd(1)]
    assert [type(delta) for delta in said[4:]] == [d.UsageUpdate]


def test_a_stop_for_no_block_and_a_second_stop_are_skipped() -> None:
    said, decoder = read("""
{"type":"content_block_stop","index":3}
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type":"content_block_stop","index":0}
{"type":"content_block_stop","index":0}
""")
    assert said == [d.BlockStart(0, "text"), d.BlockEnd(0)]
    assert decoder.skipped == 2


def test_text_for_a_block_that_has_ended_is_kept() -> None:
    assert texts(
        contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}
{"type":"content_block_stop","index":0}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}
""")
    ) == [(0, "ab")]


def test_pieces_for_an_unknown_block_that_has_ended_are_skipped() -> None:
    said, decoder = read("""
{"type":"content_block_start","index":0,"content_block":{"type":"poem"}}
{"type":"content_block_stop","index":0}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}
""")
    assert said[-1] == d.BlockEnd(0)
    assert decoder.skipped == 1


def test_an_index_that_is_used_again_is_another_block() -> None:
    first, call, second, third = contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}
{"type":"content_block_stop","index":0}
{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1",
    "name":"f","input":{}}}
{"type":"content_block_stop","index":1}
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}
{"type":"content_block_stop","index":0}
{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"c"}}
{"type":"content_block_stop","index":2}
""")
    assert texts([first, second, third]) == [(0, "a"), (2, "b"), (3, "c")]
    assert call.name == "f"


@pytest.mark.parametrize("kind", ["text", "thinking"])
def test_a_second_start_of_an_open_block_tells_more_of_it(kind: str) -> None:
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": kind, kind: "a"}}
    (item,) = contents(f"{json.dumps(start)}\n{json.dumps(start)}")
    assert item.get_text() == "aa"


def test_calls_at_one_index_are_two_calls_if_their_ids_differ() -> None:
    first, second = contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1",
    "name":"f","input":{}}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
    "partial_json":"{\\"a\\":1}"}}
{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_2",
    "name":"g","input":{}}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
    "partial_json":"{\\"b\\":2}"}}
{"type":"content_block_stop","index":0}
""")
    assert (first.name, first.arguments) == ("f", {"a": 1})
    assert (second.name, second.arguments) == ("g", {"b": 2})


def test_redacted_reasoning_at_one_index_is_kept_twice() -> None:
    items = contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"YQ=="}}
{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"Yg=="}}
""")
    assert [item.metadata["redacted_thinking_data"] for item in items] == ["YQ==", "Yg=="]


def test_a_start_that_comes_twice_makes_one_block() -> None:
    assert texts(
        contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}
{"type":"content_block_stop","index":0}
""")
    ) == [(0, "a")]


def test_a_call_that_comes_twice_is_one_call() -> None:
    said, decoder = read(TOOL_CALL + TOOL_CALL)
    assert said == deltas(TOOL_CALL)
    assert decoder.skipped == 4  # the empty piece is no news
    assert len(contents(TOOL_CALL + TOOL_CALL)) == 1


def test_pieces_before_their_start_belong_to_the_block() -> None:
    (call,) = contents("""
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
    "partial_json":"{\\"a\\":"}}
{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1",
    "name":"f","input":{}}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"1}"}}
{"type":"content_block_stop","index":0}
""")
    assert (call.name, call.arguments) == ("f", {"a": 1})


def test_a_piece_of_another_kind_begins_a_block() -> None:
    call, text = contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1",
    "name":"f","input":{}}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}
{"type":"content_block_stop","index":0}
""")
    assert isinstance(call, ChatResponseToolCallContentItem)
    assert (call.arguments, text.get_text()) == ({}, "Hi")


def test_citations_find_text_or_are_skipped() -> None:
    citation = '{"type":"citations_delta","citation":{"a":1}}'
    cite = f'{{"type":"content_block_delta","index":0,"delta":{citation}}}'
    assert one(cite) == [d.AnnotationDelta(0, {"a": 1})]
    said, decoder = read(lines(TOOL_CALL)[0] + "\n" + cite)
    assert len(said) == decoder.skipped == 1


def test_without_an_index_a_piece_belongs_to_the_last_block_and_a_start_is_the_next() -> None:
    assert texts(
        contents("""
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}
{"type":"content_block_stop"}
{"type":"content_block_start","index":null,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":-1,"delta":{"type":"text_delta","text":"b"}}
{"type":"content_block_delta","index":"x","delta":{"type":"text_delta","text":"c"}}
""")
    ) == [(0, "a"), (1, "bc")]


def test_a_repeated_message_start_changes_nothing() -> None:
    said, _ = read(START + START)
    assert said == deltas(START) * 2


def test_after_the_end_everything_is_skipped() -> None:
    said, decoder = read(
        sse(END)
        + sse(START, TOOL_CALL)
        + b'data: {"type":"message_stop"}\ndata: {"type":"ping"}\n\n'
        + b"event: error\ndata: Overloaded\n\ndata: [DONE]\n\n"
    )
    assert said == deltas(END)
    assert decoder.skipped == 9


def test_the_end_and_something_more_in_one_event() -> None:
    decoder = AnthropicDecoder()
    assert one('{"type":"message_stop"}\n{"type":"error"}', decoder=decoder) == []
    assert (decoder.complete, decoder.skipped) == (True, 1)


def test_blocks_without_a_stop_end_with_the_message() -> None:
    said = deltas(sse("\n".join(lines(TOOL_CALL)[:-1]), END))
    assert said[-1] == d.BlockEnd(0)
    assert d.BlockEnd(0) not in said[:-1]


# --- blocks in message_start ------------------------------------------------------------------

PROGRAMMATIC = """
{"type":"message_start","message":{"id":"msg_1","role":"assistant","model":"claude-x",
    "content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}},{"type":"tool_use",
    "id":"toolu_2","name":"g","input":{}}],"stop_reason":"tool_use","stop_sequence":null,
    "container":{"id":"c"},"usage":{"input_tokens":0,"output_tokens":0}}}
{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},
    "usage":{"output_tokens":0}}
{"type":"message_stop"}
"""


def test_calls_that_message_start_holds() -> None:
    response = answer(PROGRAMMATIC)
    assert [(c.call_id, c.name, c.arguments) for c in response.tools()] == [
        ("toolu_1", "f", {"a": 1}),
        ("toolu_2", "g", {}),
    ]
    assert response.choices[0].native_finish_reason == "tool_use"
    assert response.choices[0].metadata == {"container": {"id": "c"}}


def test_such_calls_are_finished_only_at_the_end() -> None:
    said, decoder = read(lines(PROGRAMMATIC)[0])
    assert not decoder.complete
    calls = accumulate([said], complete=False).tools()
    assert all(call.parse_error for call in calls)


def test_blocks_that_follow_do_not_collide_with_them() -> None:
    held = lines(PROGRAMMATIC)
    response = answer("\n".join([held[0], *lines(WEB_SEARCH), *held[1:]]))
    assert len(response.tools()) == 2
    assert [item.index for item in response.choices[0].contents or []] == [0, 1, 2, 3, 4]
    assert response.text() == "It orbits."


def test_a_call_that_is_held_and_then_streamed_is_one_call() -> None:
    held = lines(PROGRAMMATIC)
    streamed = TOOL_CALL.replace("toolu_01", "toolu_1").replace("get_time", "f")
    response = answer("\n".join([held[0], *lines(streamed), *held[1:]]))
    assert [(c.call_id, c.name, c.arguments) for c in response.tools()] == [
        ("toolu_1", "f", {"zone": "UTC"}),
        ("toolu_2", "g", {}),
    ]


def test_held_blocks_without_ids_are_whole_but_an_empty_text_is_a_placeholder() -> None:
    held = (
        '{"type":"message_start","message":{"id":"m","content":['
        '{"type":"text","text":""},{"type":"thinking","thinking":"Hm","signature":"U2ln"},7]}}'
    )
    said, decoder = read(held + "\n" + held)
    assert said == [
        d.StreamInfo(id="m"),
        d.BlockStart(1, "reasoning"),
        d.ReasoningDelta(1, "Hm"),
        d.SignatureDelta(1, "U2ln"),
        d.BlockEnd(1),
        d.StreamInfo(id="m"),
    ]
    assert decoder.skipped == 1


# --- odd types and broken encodings -----------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        '{"type":"content_block_delta","index":0.0,"delta":{"type":"text_delta","text":"Hi"}}',
        '{"type":"content_block_delta","index":"0","delta":{"type":"text_delta","text":"Hi"}}',
        '{"type":"content_block_delta","index":null,"delta":{"type":"text_delta","text":"Hi"}}',
        '{"type":"content_block_delta","index":true,"delta":{"type":"text_delta","text":"Hi"}}',
        '{"type":"content_block_delta","index":0,"delta":{"text":"Hi"}}',
        '{"type":"content_block_delta","index":0,"delta":{"type":null,"text":"Hi"}}',
        '[{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}]',
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"},"x":NaN}',
        '\ufeff{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}',
        '{"type":"content_block_delta","error":null,"delta":{"type":"text_delta","text":"Hi"}}',
        '{"type":"content_block_delta","error":{},"delta":{"type":"text_delta","text":"Hi"}}',
    ],
)
def test_odd_text_deltas_are_read(payload: str) -> None:
    assert one(payload) == [d.TextDelta(0, "Hi")]


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        ('{"thinking":"Hi"}', d.ReasoningDelta(0, "Hi")),
        ('{"signature":"Hi"}', d.SignatureDelta(0, "Hi")),
        ('{"partial_json":"Hi"}', d.ToolArgumentsDelta(0, "Hi")),
        ('{"type":"citations_delta","citation":{"x":NaN,"y":"z"}}', None),
    ],
)
def test_other_odd_deltas_are_read(piece: str, expected: d.Delta | None) -> None:
    said = one(f'{{"type":"content_block_delta","index":0,"delta":{piece}}}')
    assert said == [expected] if expected else isinstance(said[0], d.AnnotationDelta)


@pytest.mark.parametrize(
    "payload",
    [
        '{"type":"content_block_delta","index":0,"delta":null}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":null}}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"text","text":"Hi"}}',
        '{"type":"content_block_start","index":0}',
        '{"type":"content_block_start","index":0,"content_block":null}',
        '{"type":"content_block_start","index":0,"content_block":{}}',
        '{"type":"content_block_stop","index":{}}',
        '{"type":"unheard_of"}',
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
    decoder = AnthropicDecoder()
    assert one(payload, decoder=decoder) == []
    assert decoder.skipped == 1


@pytest.mark.parametrize("piece", ['"text":null', '"text":7', '"text":""'])
def test_a_delta_without_text_says_nothing(piece: str) -> None:
    delta = f'{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta",{piece}}}}}'
    assert one(delta) == []


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ('{"type":"text","text":null}', d.BlockStart(0, "text")),
        ('{"text":"","type":7}', d.BlockStart(0, "text")),
        ('{"type":"thinking"}', d.BlockStart(0, "reasoning")),
        ('{"type":"redacted_thinking"}', d.RedactedReasoning(0, "")),
        ('{"type":"tool_use","id":7,"name":null,"input":null}', d.ToolCallStart(0, "")),
        ('{"data":"x"}', d.OpaqueStart(0, "", {"data": "x"}, input_key="input")),
    ],
)
def test_odd_blocks_are_read(block: str, expected: d.Delta) -> None:
    assert one(f'{{"type":"content_block_start","index":0,"content_block":{block}}}') == [expected]


def test_an_odd_reason_is_an_unknown_one() -> None:
    assert one('{"type":"message_delta","delta":{"stop_reason":7,"stop_sequence":[]}}') == [
        d.Finish("unknown", "7")
    ]
    assert one('{"type":"message_delta","delta":[]}') == []


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\ud83d", "\ufffd"),
        (r"a\ude00b", "a\ufffdb"),
        (r"\ud83d\ude00", "\N{GRINNING FACE}"),
        (r"\uD83D\ud83d\uDE00", "\ufffd\N{GRINNING FACE}"),
        (r"\ud83d\u0041", "\ufffdA"),
        (r"\\ud83d \ud83d", "\\ud83d \ufffd"),
        ("\udcff!", "\ufffd!"),  # a byte that is no UTF-8
    ],
)
def test_what_is_no_character_is_replaced(escaped: str, text: str) -> None:
    delta = f'{{"type":"content_block_delta","delta":{{"type":"text_delta","text":"{escaped}"}}}}'
    assert one(delta) == [d.TextDelta(0, text)]


def test_two_events_in_one_are_read_line_by_line() -> None:
    pieces = [s[6:] for s in THINKING.split(b"\n") if s.startswith(b"data: ")]
    merged = b"".join(b"data: %s\n" % piece for piece in pieces) + b"\n"
    assert deltas(merged) == deltas(THINKING)


def test_an_event_may_lie_over_several_lines() -> None:
    lines = '{"type":"content_block_delta","index":0,\n"delta":{"type":"text_delta",\n"text":"Hi"}}'
    assert one(lines) == [d.TextDelta(0, "Hi")]


@pytest.mark.parametrize("data", ["[DONE]", " [DONE] ", "[DONE]\n", "[DONE] bye", "", " \n"])
def test_done_and_nothing_are_ignored(data: str) -> None:
    decoder = AnthropicDecoder()
    assert one(data, name="data", decoder=decoder) == []
    assert (decoder.skipped, decoder.complete) == (0, False)


@pytest.mark.parametrize(
    ("data", "name", "named"),
    [
        ('{"type":"content_block_delta","ind', "content_block_delta", "'content_block_delta'"),
        ("upstream connect error", "", "an event without a name is no JSON"),
        ('{"type":"ping"}\nnonsense', "ping", "'ping'"),
        ("[" * 100_000, "", "an event without a name is no JSON"),
        ('{"type":"content_block_start","content_block":{"x":' + "[" * 5000, "x", "'x'"),
        ('{"index":' + "9" * 5000 + "}", "", "an event without a name is no JSON"),
    ],
)
def test_no_json_is_an_error_that_names_the_event(data: str, name: str, named: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        one(data, name=name)
    assert caught.value.message.startswith(("event ", named))
    assert named in caught.value.message
    assert data[:10] in caught.value.message
    assert len(caught.value.message) < 300
    assert not caught.value.retryable


def test_a_protocol_error_shows_no_key() -> None:
    with pytest.raises(ProtocolError) as caught:
        one("denied: sk-ant-api03-abcdefghij")
    assert "abcdefghij" not in caught.value.message


# --- errors in a stream -----------------------------------------------------------------------


def test_an_error_in_mid_stream() -> None:
    decoder = AnthropicDecoder()
    overloaded = unfolded("""\
event: error
data: {"type":"error","error":{"details":null,"type":"overloaded_error","message":"Overloaded"},
    "request_id":"req_1"}

""").encode()
    cut = THINKING.rindex(b"event: content_block_stop")
    events = decode([THINKING[:cut], overloaded], decoder)
    said = [delta for deltas in islice(events, 9) for delta in deltas]
    with pytest.raises(OverloadedError) as caught:
        next(events)
    assert said[-1] == d.TextDelta(1, "ur")
    assert not decoder.complete
    error = caught.value
    assert error.message == (
        "the provider sent an error in its answer (overloaded_error): Overloaded"
    )
    assert (error.http_status, error.code, error.request_id, error.retryable) == (
        *(529, "overloaded_error", "req_1", True),
    )
    assert error.details["body"]["error"]["type"] == "overloaded_error"


@pytest.mark.parametrize(
    ("kind", "status", "cls", "retryable"),
    [
        ("invalid_request_error", 400, InvalidRequestError, False),
        ("authentication_error", 401, AuthenticationError, False),
        ("billing_error", 402, InvalidRequestError, False),
        ("permission_error", 403, AuthenticationError, False),
        ("not_found_error", 404, InvalidRequestError, False),
        ("conflict_error", 409, ServerError, True),
        ("request_too_large", 413, InvalidRequestError, False),
        ("rate_limit_error", 429, RateLimitError, True),
        ("api_error", 500, ServerError, True),
        ("timeout_error", 504, ServerError, True),
        ("overloaded_error", 529, OverloadedError, True),
        ("invalid_something", 400, InvalidRequestError, False),
        ("error_of_next_year", 500, ServerError, True),
    ],
)
def test_an_error_stands_for_a_status(
    kind: str, status: int, cls: type[ProviderError], retryable: bool
) -> None:
    with pytest.raises(ProviderError) as caught:
        one(f'{{"type":"error","error":{{"type":"{kind}","message":"No"}}}}')
    assert type(caught.value) is cls
    assert (caught.value.http_status, caught.value.retryable) == (status, retryable)


@pytest.mark.parametrize(
    ("payload", "name", "facts"),
    [
        ('{"error":{"message":"Slow down","code":429}}', "", (429, "429", "Slow down")),
        ('{"error":{"message":"No","status_code":"503"}}', "", (503, None, "No")),
        ('{"error":"It broke"}', "", (500, None, "It broke")),
        ('{"error":["odd"]}', "", (500, None, '{"error": ["odd"]}')),
        ('{"error":true}', "ping", (500, None, '{"error": true}')),
        ('{"type":"error"}', "", (500, None, '{"type": "error"}')),
        ('{"type":"error","message":"Flat"}', "", (500, None, "Flat")),
        ('{"object":"error","message":"Flat","code":400}', "", (400, "400", "Flat")),
        ('{"type":"overloaded_error","message":"M"}', "error", (529, "overloaded_error", "M")),
        ('{"detail":"Gone"}', "error", (500, None, "Gone")),
        ('"Overloaded"', "error", (500, None, "Overloaded")),
        ("Overloaded", "error", (500, None, "Overloaded")),
        ("7", "error", (500, None, "7")),
        (
            '{"type":"content_block_stop","index":0,"error":{"type":"api_error","message":"M"}}',
            "",
            (500, "api_error", "M"),
        ),
        ('{"type":"ping"}\n{"type":"error","error":{"message":"M"}}', "", (500, None, "M")),
    ],
)
def test_errors_come_in_many_shapes(
    payload: str, name: str, facts: tuple[int, str | None, str]
) -> None:
    def read_all() -> None:
        one(payload, name=name, decoder=decoder)
        decoder.end()

    decoder = AnthropicDecoder()
    with pytest.raises(ProviderError) as caught:
        read_all()
    status, code, message = facts
    assert (caught.value.http_status, caught.value.code) == (status, code)
    about = f" ({code})" if code else ""
    assert caught.value.message == f"the provider sent an error in its answer{about}: {message}"


def test_a_known_event_named_error_is_that_event() -> None:
    assert one('{"type":"ping"}', name="error") == [d.Ping()]


# --- whole documents --------------------------------------------------------------------------


def consolidated(stream: bytes) -> dict[str, Any]:
    """The message that a well-formed stream of text, reasoning and calls tells of."""
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    for line in stream.decode().split("\n"):
        if not line.startswith("data: "):
            continue
        event = json.loads(line[6:])
        if event["type"] == "message_start":
            message = event["message"]
        elif event["type"] == "content_block_start":
            message["content"].append(event["content_block"])
        elif event["type"] == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            for key in ("text", "thinking", "signature"):
                block.update({key: block[key] + delta[key]} if key in delta else {})
            if "partial_json" in delta:
                inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
            if "citation" in delta:
                block["citations"].append(delta["citation"])
        elif event["type"] == "message_delta":
            message |= event["delta"]
            message["usage"] |= event["usage"]
    for index, text in inputs.items():
        message["content"][index]["input"] = json.loads(text)
    return message


@pytest.mark.parametrize(
    "stream",
    [THINKING, sse(START, TOOL_CALL, END), sse(START, WEB_SEARCH, END)],
    ids=["thinking", "tool call", "web search"],
)
def test_a_document_gives_the_same_answer_as_its_stream(stream: bytes) -> None:
    whole = accumulate([document(consolidated(stream))])
    assert whole.choices == answer(stream).choices
    assert whole.usage == answer(stream).usage
    assert whole.metadata == answer(stream).metadata


def test_an_empty_text_in_a_document_is_a_block() -> None:
    message = {"content": [{"type": "text", "text": ""}], "stop_reason": "end_turn"}
    assert document(message) == [
        *(d.StreamInfo(), d.BlockStart(0, "text"), d.BlockEnd(0), d.Finish("stop", "end_turn"))
    ]
    assert document({"content": []}) == [d.StreamInfo()]


def test_the_details_of_a_documents_end_are_told_with_the_end() -> None:
    details = {"stop_details": {"type": "refusal"}}
    message = {"content": [], "stop_reason": "refusal", **details}
    finish = d.Finish("content_filter", "refusal", metadata=details)
    assert document(message) == [d.StreamInfo(), finish]


def test_facts_of_a_message_stay_though_its_start_is_said_again_without_them() -> None:
    start = '{"type":"message_start","message":{"id":"msg_1"%s}}'
    said = deltas(sse(start % ',"container":{"id":"c"}', start % "", END))
    (finish,) = (delta for delta in said if isinstance(delta, d.Finish))
    assert finish.metadata == {"container": {"id": "c"}}


def test_a_document_may_be_an_error() -> None:
    with pytest.raises(RateLimitError) as caught:
        document({"type": "error", "error": {"type": "rate_limit_error", "message": "Slow"}})
    assert caught.value.http_status == 429


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Hello</html>",
        b"null",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"content":"x"}',
        b"{}\n{}",
    ],
)
def test_what_is_no_message_is_unexpected(body: bytes) -> None:
    decoder = AnthropicDecoder()
    with pytest.raises(UnexpectedResponse) as caught:
        decoder.decode_document(body)
    assert repr(body.decode()) in caught.value.message
    assert not decoder.complete


# --- HTTP errors ------------------------------------------------------------------------------


def refused(status: int, body: str | bytes, **headers: str) -> ProviderError:
    data = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return reply_error(ErrorReply(status=status, headers=named, body=data))


def test_an_http_error() -> None:
    error = refused(
        401,
        '{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"},'
        '"request_id":"req_body"}',
        Request_Id="req_header",
    )
    assert type(error) is AuthenticationError
    assert error.message == (
        "HTTP 401 (authentication_error): invalid x-api-key; check the API key"
    )
    assert (error.http_status, error.code, error.request_id, error.retry_after) == (
        *(401, "authentication_error", "req_header", None),
    )
    assert error.details["body"]["error"]["message"] == "invalid x-api-key"


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, "", "HTTP 500: no message"),
        (401, "", "HTTP 401: no message; check the API key"),
        (500, "upstream\n  connect error", "HTTP 500: upstream connect error"),
        (
            502,
            "<html>\n<head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
            "HTTP 502: 502 Bad Gateway",
        ),
        (503, "<!DOCTYPE html><p>Back <b>soon</b></p>", "HTTP 503: Back soon"),
        (404, '{"error":{"type":"not_found_error","message":"model: x."}}', None),
        (400, '{"message":"Malformed"}', "HTTP 400: Malformed"),
        (400, '{"Message":"Malformed"}', "HTTP 400: Malformed"),
        (422, '{"detail":[{"loc":["body"]}]}', 'HTTP 422: {"detail": [{"loc": ["body"]}]}'),
        (
            429,
            '[{"error":{"code":429,"message":"Exhausted","status":"RESOURCE_EXHAUSTED"}}]',
            "HTTP 429 (RESOURCE_EXHAUSTED): Exhausted",
        ),
        (500, '{"error":"a"}\n{"error":"b"}', 'HTTP 500: [{"error": "a"}, {"error": "b"}]'),
        (500, '{"x":"' + "y" * 300 + '"}', 'HTTP 500: {"x": "' + "y" * 193 + "..."),
    ],
)
def test_bodies_of_http_errors(status: int, body: str, message: str | None) -> None:
    expected = message or (
        "HTTP 404 (not_found_error): model: x; check the model's name and the base URL"
    )
    assert refused(status, body).message == expected


def test_the_kind_of_an_error_may_stand_in_a_header() -> None:
    error = refused(
        *(429, '{"message":"Too many tokens"}'),
        x_amzn_errortype="ThrottlingException:http://internal.example/",
        x_amzn_RequestId="id-1",
    )
    assert error.message == "HTTP 429 (ThrottlingException): Too many tokens"
    assert (error.code, error.request_id) == ("ThrottlingException", "id-1")


def test_the_request_id_may_stand_in_the_body() -> None:
    assert refused(500, '{"error":{"message":"M"},"request_id":"req_1"}').request_id == "req_1"
    assert refused(500, '{"error":{"message":"M","request_id":"req_2"}}').request_id == "req_2"
    assert refused(500, '{"error":{"message":"M"},"request_id":null}').request_id is None


BROKE = '{"error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}'


@pytest.mark.parametrize(
    ("status", "body", "told", "retryable"),
    [
        (400, "{}", None, False),
        (400, "{}", "true", True),
        (429, "{}", None, True),
        (429, "{}", "false", False),
        (429, "{}", "perhaps", True),
        (529, "{}", None, True),
        (409, "{}", None, True),
        (413, "{}", None, False),
        (402, "{}", "true", False),
        (429, '{"error":{"type":"billing_error"}}', None, False),
        (429, '{"error":{"code":"insufficient_quota","message":"M"}}', None, False),
        (429, BROKE, "true", False),
        (500, BROKE, None, False),
    ],
)
def test_whether_to_try_again(status: int, body: str, told: str | None, retryable: bool) -> None:
    headers = {"x_should_retry": told} if told else {}
    assert refused(status, body, **headers).retryable is retryable


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("invalid x-api-key sk-ant-api03-SECRET_key-1", "invalid x-api-key sk-[redacted]"),
        ("key:\nsk-ant-SECRET1 is wrong", "key:\nsk-[redacted] is wrong"),
        ("sk-ant-***********SECRET", "sk-[redacted]"),
        ("got Bearer SECRET.abc123", "got Bearer [redacted]"),
        ("Authorization: Basic SECRET12345==", "Authorization: Basic [redacted]"),
        ("authorization=SECRET12345&x", "authorization=[redacted]"),
        ("api_key: 'SECRET12345'", "api_key: '[redacted]'"),
        ('{"token":"SECRETSECRETSECRETSECRET"}', '{"token":"[redacted]"}'),
        ("key AIzaSECRETSECRET", "key AIza[redacted]"),
        ("Bearer token is missing", "Bearer token is missing"),
        ("api key: required", "api key: required"),
        ("a task-force-of-ten", "a task-force-of-ten"),
        ("max_tokens: 1000000000 > 8192", "max_tokens: 1000000000 > 8192"),
    ],
)
def test_keys_are_not_echoed(message: str, shown: str) -> None:
    error = refused(400, json.dumps({"error": {"message": message}, "list": [message]}))
    assert error.message == f"HTTP 400: {shown}"
    assert error.details["body"] == {"error": {"message": shown}, "list": [shown]}
    with pytest.raises(ProviderError) as caught:
        one(json.dumps({"error": {"message": message}}))
    assert "SECRET" not in repr(caught.value) + repr(caught.value.facts())


def test_values_named_like_keys_are_not_echoed() -> None:
    error = refused(400, '{"headers":{"X-Api-Key":"plain","x-retries":"3","token":7}}')
    assert error.details["body"]["headers"] == {
        "X-Api-Key": "[redacted]",
        "x-retries": "3",
        "token": 7,
    }


def test_what_an_error_keeps_is_bounded() -> None:
    deep = '{"a":' * 40 + "1" + "}" * 40
    assert "..." in repr(refused(400, deep).details)
    long = refused(400, json.dumps({"error": {"message": "x" * 10_000}}))
    assert len(long.message) < 2100
    assert len(refused(400, "<p>" * 100_000 + "x").message) < 5000


@pytest.mark.parametrize(("size", "ending"), [(2000, ""), (2001, "...")])
def test_the_text_of_an_error_is_cut_where_it_is_too_long(size: int, ending: str) -> None:
    error = refused(400, json.dumps({"error": {"message": "x" * size}}))
    assert error.message == "HTTP 400: " + "x" * 2000 + ending


@pytest.mark.parametrize(("size", "ending"), [(191, '"}'), (192, '"...')])
def test_a_body_without_a_message_is_cut_where_it_is_too_long(size: int, ending: str) -> None:
    assert refused(500, json.dumps({"é": "y" * size})).message == (
        'HTTP 500: {"é": "' + "y" * size + ending
    )


@pytest.mark.parametrize("brackets", ['{"a":}', "[]"])
def test_the_body_of_an_error_is_kept_sixteen_levels_deep(brackets: str) -> None:
    opening, closing = brackets[:-1], brackets[-1]
    for levels in (15, 16, 17):
        body = f'{{"x":{opening * (levels - 1)}1{closing * (levels - 1)}}}'
        error = refused(500, body)
        inmost = '"..."' if levels == 17 else f"{opening}1{closing}"
        kept = min(levels, 16) - 1 - (levels < 17)
        expected = f'{{"x":{opening * kept}{inmost}{closing * kept}}}'
        assert error.details["body"] == json.loads(expected)


@pytest.mark.parametrize(("size", "ending"), [(200, ""), (201, "...")])
def test_what_is_no_json_is_shown_by_its_beginning(size: int, ending: str) -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        AnthropicDecoder().decode_document(b"x" * (size - 1) + b"\xff")
    assert caught.value.message.endswith(": " + repr(("x" * (size - 1) + "\ufffd")[:200] + ending))


# --- any events -------------------------------------------------------------------------------

KEYS = [
    *("type", "index", "delta", "content_block", "message", "usage", "error", "object", "text"),
    *("thinking", "signature", "partial_json", "citation", "citations", "content", "id", "name"),
    *("input", "data", "stop_reason", "stop_sequence", "container", "to", "model", "code"),
    *("input_tokens", "output_tokens", "cache_creation", "server_tool_use", "request_id"),
    *("amazon-bedrock-invocationMetrics", "output_tokens_details", "status"),
]
WORDS = [
    *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
    *("message_delta", "message_stop", "ping", "error", "text", "thinking", "redacted_thinking"),
    *("tool_use", "server_tool_use", "fallback", "compaction", "text_delta", "thinking_delta"),
    *("signature_delta", "input_json_delta", "citations_delta", "compaction_delta", "end_turn"),
    *("", "a", "toolu_1", "\ud83d", "\N{GRINNING FACE}", '{"a":1}', "[DONE]", "sk-ant-12345678"),
]
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**70, 1.0, 0.5, float("inf"), float("nan")])
    | st.sampled_from(WORDS)
)
json_values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
        | st.fixed_dictionaries(
            {"type": st.sampled_from(WORDS)}, optional=dict.fromkeys(KEYS[1:], inner)
        )
    ),
    max_leaves=12,
)
payload_lists = st.lists(json_values.map(json.dumps), min_size=1, max_size=2).map("\n".join)
event_lists = st.lists(
    st.builds(
        ServerSentEvent,
        payload_lists.map(str.encode) | st.binary(max_size=20),
        st.sampled_from(["", *WORDS[:8]]),
    ),
    max_size=8,
)


@given(event_lists)
def test_any_events_are_decoded_or_refused(events: list[ServerSentEvent]) -> None:
    decoder = AnthropicDecoder()
    answer = Accumulator(AnswerFacts(model="m", provider=AIModelProviderEnum.ANTHROPIC))
    for event in events:
        try:
            answer.add(decoder.decode(event))
        except (ProviderError, ProtocolError) as error:
            json.dumps(error.facts())
    answer.response(complete=decoder.complete, streaming=True).model_dump_json()


@given(payload_lists.map(str.encode) | st.binary(max_size=50))
def test_any_body_is_decoded_or_refused(body: bytes) -> None:
    error = reply_error(ErrorReply(status=500, headers={}, body=body))
    assert "12345678" not in error.message + repr(error.details)
    with suppress(ProviderError, UnexpectedResponse):
        accumulate([AnthropicDecoder().decode_document(body)]).model_dump_json()


PIECES = [s for s in THINKING.decode().split("\n\n") if "text_delta" in s]
FRAME = [s for s in THINKING.decode().split("\n\n") if s and "message_stop" not in s]


@given(st.lists(st.sampled_from(FRAME), max_size=20))
def test_no_text_is_lost_whatever_becomes_of_the_events_around_it(events: list[str]) -> None:
    stream = "".join(f"{event}\n\n" for event in [*events, THINKING.decode().split("\n\n")[-2]])
    response = accumulate(decode([stream.encode()], AnthropicDecoder()))
    pieces = [json.loads(e.partition("data: ")[2])["delta"] for e in events if "_delta" in e]
    for reading, key in ((response.text(), "text"), (response.reasoning(), "thinking")):
        assert sorted(reading or "") == sorted("".join(p.get(key, "") for p in pieces))
