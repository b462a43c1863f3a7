"""What every dialect does with errors beside content, deep nesting, and ends that are left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from reading import accumulate

from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.dialects.base import Dialect, StreamDecoder
from dhenara_stream.dialects.gemini import GeminiDialect
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect
from dhenara_stream.dialects.openai_responses import OpenAIResponsesDialect
from dhenara_stream.errors import ProtocolError, ProviderError, ServerError
from dhenara_stream.types.genai.dhenara.response import ChatResponse

Dict = dict[str, Any]

DIALECTS: dict[str, Dialect] = {
    "anthropic": AnthropicDialect(),
    "gemini": GeminiDialect(),
    "chat": OpenAIChatDialect(),
    "responses": OpenAIResponsesDialect(),
}
BROKE: Dict = {"error": {"message": "Broke", "type": "server_error"}}


def sent(*payloads: Any) -> ServerSentEvent:
    """One event; of several payloads the blank lines between them were forgotten."""
    return ServerSentEvent(b"\n".join(json.dumps(payload).encode() for payload in payloads), "")


# --- an error beside content ------------------------------------------------------------------


def gemini_text(text: str, **more: Any) -> Dict:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, **more}]}


def chat_text(text: str, finish: str | None = None) -> Dict:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def anthropic_text(text: str) -> Dict:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def responses_text(text: str) -> Dict:
    return {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "delta": text}


TEXT: dict[str, Callable[[str], Dict]] = {
    "anthropic": anthropic_text,
    "gemini": gemini_text,
    "chat": chat_text,
    "responses": responses_text,
}
MESSAGE: Dict = {
    "type": "message",
    "id": "i",
    "content": [{"type": "output_text", "text": "ab", "annotations": []}],
}
DOCUMENTS: dict[str, Dict] = {
    "anthropic": {"type": "message", "content": [{"type": "text", "text": "ab"}]},
    "gemini": gemini_text("ab"),
    "chat": {"choices": [{"index": 0, "message": {"role": "assistant", "content": "ab"}}]},
    "responses": {"object": "response", "status": "completed", "output": [MESSAGE]},
}


def assert_it_follows(decoder: StreamDecoder, said: list[Any]) -> None:
    """The text is there, and the error is what the decoder says next."""
    assert accumulate(said, complete=False).text() == "ab"
    for go_on in (decoder.end, lambda: decoder.decode(sent({}))):
        with pytest.raises(ServerError, match="Broke"):
            go_on()
    assert decoder.failure is not None
    assert not decoder.complete


@pytest.mark.parametrize("name", DIALECTS)
def test_an_error_beside_text_follows_it(name: str) -> None:
    decoder, text = DIALECTS[name].decoder(), TEXT[name]
    said = [decoder.decode(sent(text("a"))), decoder.decode(sent({**text("b"), **BROKE}))]
    assert_it_follows(decoder, said)


@pytest.mark.parametrize("name", DIALECTS)
def test_an_error_behind_text_in_one_event_follows_it(name: str) -> None:
    decoder, text = DIALECTS[name].decoder(), TEXT[name]
    said = [decoder.decode(sent(text("ab"), BROKE, text("c")))]
    assert_it_follows(decoder, said)


@pytest.mark.parametrize("name", DIALECTS)
def test_an_error_in_a_document_follows_its_text(name: str) -> None:
    decoder = DIALECTS[name].decoder()
    said = [decoder.decode_document(json.dumps({**DOCUMENTS[name], **BROKE}).encode())]
    assert_it_follows(decoder, said)


@pytest.mark.parametrize("name", DIALECTS)
def test_an_error_alone_is_raised_at_once(name: str) -> None:
    decoder = DIALECTS[name].decoder()
    with pytest.raises(ServerError, match="Broke"):
        decoder.decode(sent(BROKE))
    with pytest.raises(ServerError, match="Broke"):
        decoder.decode_document(json.dumps(BROKE).encode())
    assert not decoder.complete


def test_an_error_in_the_event_that_ends_a_message_completes_nothing() -> None:
    decoder = DIALECTS["anthropic"].decoder()
    decoder.decode(sent(anthropic_text("a")))
    with pytest.raises(ServerError):
        decoder.decode(sent({"type": "message_stop", **BROKE}))
    assert not decoder.complete


@pytest.mark.parametrize(
    ("kind", "response"),
    [
        ("response.failed", {"status": "failed", **BROKE}),
        ("response.completed", {"status": "cancelled"}),
        ("response.cancelled", {}),
    ],
)
def test_what_a_failed_response_holds_is_told(kind: str, response: Dict) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":'}
    usage = {"input_tokens": 3, "output_tokens": 2}
    whole = {"output": [MESSAGE, call], "usage": usage, **response}
    decoder = DIALECTS["responses"].decoder()
    said = [
        decoder.decode(sent(responses_text("a"))),
        decoder.decode(sent({"type": kind, "response": whole})),
    ]
    answer = accumulate(said, complete=False)
    assert answer.text() == "ab"
    assert [cut.parse_error is not None for cut in answer.tools()] == [True]
    assert answer.usage is not None
    assert answer.usage.total_tokens == 5
    with pytest.raises(ProviderError):
        decoder.end()
    assert not decoder.complete


def test_an_error_beside_the_end_of_a_response_completes_nothing() -> None:
    decoder = DIALECTS["responses"].decoder()
    response = {"status": "completed", "output": [MESSAGE]}
    said = [decoder.decode(sent({"type": "response.completed", "response": response, **BROKE}))]
    assert accumulate(said, complete=False).text() == "ab"
    with pytest.raises(ServerError):
        decoder.end()
    assert not decoder.complete


# --- deep nesting -----------------------------------------------------------------------------


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def level_of(value: Any) -> int:
    depth = 0
    while isinstance(value, dict):
        (value,) = value.values()
        depth += 1
    return depth


# An opaque block that holds NEST, and a call whose arguments do.
BLOCKS = {
    "anthropic": (
        '{"type":"content_block_start","index":1,"content_block":{"type":"new","x":NEST}}',
        (
            '{"type":"content_block_start","index":2,"content_block":'
            '{"type":"tool_use","id":"c","name":"f","input":NEST}}'
        ),
    ),
    "gemini": (
        '{"candidates":[{"content":{"parts":[{"new":{"x":NEST}}]}}]}',
        '{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":NEST}}]}}]}',
    ),
    "chat": (
        '{"choices":[{"index":0,"delta":{"content":[{"type":"new","x":NEST}]}}]}',
        (
            '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":'
            '{"name":"f","arguments":NEST}}]}}]}'
        ),
    ),
    "responses": (
        '{"type":"response.output_item.done","output_index":1,"item":{"type":"new","x":NEST}}',
        (
            '{"type":"response.output_item.done","output_index":2,"item":'
            '{"type":"function_call","call_id":"c","name":"f","arguments":NEST}}'
        ),
    ),
}
EVENTS = [(name, event) for name, events in BLOCKS.items() for event in events]


def answer_to(name: str, *events: str) -> ChatResponse:
    """The answer, read as a user's code might: a snapshot at each step, and copies of it."""
    decoder = DIALECTS[name].decoder()
    said = [decoder.decode(sent(TEXT[name]("ab")))]
    for event in events:
        with suppress(ProtocolError):
            said.append(decoder.decode(ServerSentEvent(event.encode(), "")))
        accumulate(said, complete=False)
    answer = accumulate(said)
    assert answer.text() == "ab"
    return deepcopy(answer.model_copy(deep=True))


@pytest.mark.parametrize(("name", "event"), EVENTS)
def test_what_is_too_deep_to_be_parsed_is_refused_clearly(name: str, event: str) -> None:
    decoder = DIALECTS[name].decoder()
    with pytest.raises(ProtocolError, match="no JSON"):
        decoder.decode(ServerSentEvent(event.replace("NEST", nested(5000)).encode(), ""))
    assert answer_to(name, event.replace("NEST", nested(5000))).tools() == []


@pytest.mark.parametrize(("name", "event"), EVENTS)
def test_what_is_nested_some_hundred_levels_deep_is_kept(name: str, event: str) -> None:
    answer = answer_to(name, event.replace("NEST", nested(600)))
    contents = answer.choices[0].contents or []
    assert len(contents) == 2
    block: Any = getattr(contents[1], "block", None)
    if block is not None:
        assert level_of(block["x"] if "x" in block else block["new"]["x"]) == 600
        return
    (call,) = answer.tools()
    assert level_of(call.arguments) == 600


@pytest.mark.parametrize(("name", "event"), EVENTS)
def test_no_depth_ends_in_a_recursion_error(name: str, event: str) -> None:
    for depth in range(700, 1000, 20):
        answer_to(name, event.replace("NEST", nested(depth)))


ARGUMENTS: dict[str, Callable[[str], list[Dict]]] = {
    "anthropic": lambda text: [
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "c", "name": "f", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": text},
        },
    ],
    "gemini": lambda text: [
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": text}}]}}]}
    ],
    "chat": lambda text: [
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {
                        "tool_calls": [
                            {"index": 0, "id": "c", "function": {"name": "f", "arguments": text}}
                        ]
                    },
                }
            ]
        }
    ],
    "responses": lambda text: [
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""},
        },
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": text},
    ],
}


@pytest.mark.parametrize("name", DIALECTS)
def test_the_text_of_arguments_that_are_too_deep_is_kept(name: str) -> None:
    text = nested(5000)
    answer = answer_to(name, *map(json.dumps, ARGUMENTS[name](text)))
    (call,) = answer.tools()
    assert (call.arguments, call.raw_arguments) == ({}, text)
    assert call.parse_error is not None


@pytest.mark.parametrize("name", DIALECTS)
def test_a_document_that_is_nested_too_deeply_is_refused_clearly(name: str) -> None:
    document = json.dumps({**DOCUMENTS[name], "x": "NEST"}).replace('"NEST"', nested(5000))
    with pytest.raises(ProtocolError, match="no JSON"):
        DIALECTS[name].decoder().decode_document(document.encode())


@pytest.mark.parametrize("name", DIALECTS)
def test_a_little_less_depth_is_refused_clearly_too(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_deep(*_: Any) -> Any:
        raise RecursionError

    decoder = DIALECTS[name].decoder()
    for method in ("_tell_usage", "_tell_info", "_on_facts", "_about", "_on_message_start"):
        if hasattr(decoder, method):
            monkeypatch.setattr(decoder, method, too_deep)
    with pytest.raises(ProtocolError, match="nested too deeply"):
        decoder.decode_document(json.dumps(DOCUMENTS[name]).encode())


# --- whether an answer may be complete --------------------------------------------------------

CODE: Dict = {"executableCode": {"code": "1+1", "language": "PYTHON"}}
RESULT: Dict = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}
PART_OF_CALL: Dict = {"functionCall": {"name": "f", "partialArgs": [], "willContinue": True}}


def parts(*given: Dict, finish: str | None = None) -> Dict:
    return {"candidates": [{"content": {"parts": list(given)}, "finishReason": finish}]}


@pytest.mark.parametrize(
    ("name", "events", "may"),
    [
        ("gemini", [], False),
        ("gemini", [gemini_text("a")], False),
        ("gemini", [gemini_text("a", finishReason="STOP")], True),
        ("gemini", [gemini_text("a"), parts(finish="STOP")], True),
        ("gemini", [parts(finish="SAFETY")], True),
        ("gemini", [gemini_text("a", finishReason="STOP"), {"usageMetadata": {}}], True),
        # Between its rounds a tool may take long.
        ("gemini", [parts(CODE, finish="STOP")], False),
        ("gemini", [parts(CODE), parts(finish="STOP")], False),
        ("gemini", [parts(CODE, finish="STOP"), gemini_text("")], False),
        ("gemini", [parts(CODE, finish="STOP"), parts(RESULT)], False),
        ("gemini", [parts(CODE, finish="STOP"), parts(RESULT), gemini_text("a")], False),
        (
            "gemini",
            [
                *(parts(CODE, finish="STOP"), parts(RESULT), gemini_text("a"), gemini_text("b")),
                gemini_text("c", finishReason="STOP"),
            ],
            True,
        ),
        ("gemini", [gemini_text("a", finishReason="STOP"), gemini_text("b")], False),
        ("gemini", [gemini_text("a", finishReason="STOP"), gemini_text("b"), parts()], False),
        ("gemini", [parts(PART_OF_CALL, finish="STOP")], False),
        ("gemini", [{"promptFeedback": {"blockReason": "SAFETY"}}], True),
        ("chat", [], False),
        ("chat", [chat_text("a")], False),
        ("chat", [chat_text("a", "stop")], True),
        ("chat", [chat_text("a"), chat_text("", "stop"), {"choices": [], "usage": None}], True),
        ("chat", [chat_text("a", "stop"), chat_text("")], True),
        ("chat", [chat_text("a", "stop"), chat_text("b")], False),
        ("chat", [chat_text("a", "stop"), chat_text("b"), chat_text("c")], False),
        ("chat", [chat_text("a", "stop"), chat_text("b"), chat_text("c", "stop")], True),
        (
            "chat",
            [chat_text("a", "stop"), {"choices": [{"index": 1, "delta": {"content": "b"}}]}],
            False,
        ),
        ("anthropic", [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}], False),
        ("responses", [responses_text("a")], False),
    ],
)
def test_whether_an_answer_whose_body_stays_open_may_be_complete(
    name: str, events: list[Dict], may: bool
) -> None:
    decoder = DIALECTS[name].decoder()
    for event in events:
        decoder.decode(sent(event))
    assert decoder.may_be_complete is may
    if may:
        decoder.end()
        assert decoder.complete
