"""The Anthropic protocol: an answer streamed and whole, errors, signatures, what is asked."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from simulator.peer import EVERYTHING, HEADERS, body, events, kinds, text
from simulator.protocols import at_once, post, refused, streamed

from dhenara_stream.simulator import (
    Answer,
    Refusal,
    Thinking,
    ToolCall,
    Usage,
)
from dhenara_stream.simulator.anthropic import AnthropicMessages
from dhenara_stream.simulator.generate import Ask, Tool
from dhenara_stream.simulator.http1 import Request
from dhenara_stream.simulator.protocol import Call, Refused
from dhenara_stream.simulator.signatures import Signatures

REQUEST = Request("POST", "/v1/messages", "", ())


def read(
    content: dict[str, Any] | bytes | None = None,
    *,
    validate: bool = True,
    require_key: bool = True,
    **headers: str | None,
) -> Call:
    request = post("/v1/messages", body() if content is None else content, HEADERS | headers)
    return AnthropicMessages().read(request, "0a", require_key=require_key, validate=validate)


def refusal(*args: Any, **kwargs: Any) -> tuple[int, str | None]:
    error = refused(read, *args, **kwargs)
    return error.status, error.message


def stream(answer: Answer, **fields: Any) -> list[dict[str, Any]]:
    return events(streamed(AnthropicMessages(), read(body(**fields), validate=False), answer))


def whole(answer: Answer, **fields: Any) -> dict[str, Any]:
    return at_once(AnthropicMessages(), read(body(**fields), validate=False), answer)


def collected(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a stream's reader has at its end, by the rules of wire.md 2.2."""
    message: dict[str, Any] = {}
    for event in found:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
            case "content_block_delta":
                fill(message["content"][event["index"]], event["delta"])
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
            case _:
                pass
    for block in message["content"]:
        if "arguments" in block:
            block["input"] = msgspec.json.decode(block.pop("arguments"))
    return message


def fill(block: dict[str, Any], delta: dict[str, Any]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            block["arguments"] = block.get("arguments", "") + delta["partial_json"]
        case "citations_delta":
            block["citations"].append(delta["citation"])
        case kind:
            raise AssertionError(kind)


@pytest.mark.parametrize(
    "answer",
    [
        EVERYTHING,
        Answer("Hello"),
        Answer(),
        Answer("No.", stop_reason="refusal", stop_details={"type": "refusal"}),
        Answer("Stop", stop_reason="stop_sequence", stop_sequence="X", id="msg_me", model="other"),
    ],
)
def test_the_whole_answer_is_what_the_stream_adds_up_to(answer: Answer) -> None:
    assert collected(stream(answer)) == whole(answer)


def test_the_order_of_events() -> None:
    assert kinds(stream(Answer(Thinking("Hm"), "Hi"))) == [
        "message_start",
        "content_block_start",
        "ping",
        "thinking_delta",
        "signature_delta",
        "content_block_stop",
        "content_block_start",
        "text_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_arguments_begin_with_an_empty_piece() -> None:
    found = stream(Answer(ToolCall("f", {"a": "some longer text"})))
    pieces = [
        event["delta"]["partial_json"]
        for event in found
        if event.get("delta", {}).get("type") == "input_json_delta"
    ]
    assert pieces[0] == ""
    assert len(pieces) > 2
    assert "".join(pieces) == '{"a":"some longer text"}'


def test_only_content_is_paced() -> None:
    found = AnthropicMessages().events(read(), Answer(Thinking("a b"), ToolCall("f", {"a": 1})))
    content = [events(event.data)[0]["delta"]["type"] for event in found if event.content]
    assert content == ["thinking_delta", "thinking_delta", "input_json_delta"]


def test_broken_arguments_are_streamed_as_they_are() -> None:
    answer = Answer(ToolCall("f", '{"a": '), stop_reason="length")
    found = stream(answer)
    assert found[4]["delta"]["partial_json"] == '{"a": '
    assert found[-2]["delta"]["stop_reason"] == "max_tokens"
    assert whole(answer)["content"][0]["input"] == {}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("Hi"), "end_turn"),
        (Answer("Hi", ToolCall("f")), "tool_use"),
        (Answer("Hi", stop_reason="length"), "max_tokens"),
        (Answer("Hi", stop_reason="pause_turn"), "pause_turn"),
    ],
)
def test_why_an_answer_ends(answer: Answer, reason: str) -> None:
    assert whole(answer)["stop_reason"] == reason


def test_usage_is_counted_where_it_is_not_told() -> None:
    usage = whole(Answer(Thinking("one two"), "three"))["usage"]
    assert usage["output_tokens"] == 3
    assert usage["output_tokens_details"] == {"thinking_tokens": 2}
    assert usage["input_tokens"] > 1
    assert "output_tokens_details" not in whole(Answer("three"))["usage"]


def test_usage_is_what_it_is_told() -> None:
    told = Usage(
        input_tokens=1,
        output_tokens=2,
        cache_read_tokens=3,
        cache_write_tokens=4,
        thinking_tokens=0,
        extra={"inference_geo": "eu"},
    )
    usage = whole(Answer("Hi", usage=told))["usage"]
    assert usage == {
        "input_tokens": 1,
        "cache_creation_input_tokens": 4,
        "cache_read_input_tokens": 3,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"thinking_tokens": 0},
        "service_tier": "standard",
        "inference_geo": "eu",
    }


def test_thinking_that_is_not_shown_is_signed() -> None:
    thinking = {"type": "adaptive", "display": "omitted"}
    answer = Answer(Thinking("secret thought"), "Hi")
    block = whole(answer, thinking=thinking)["content"][0]
    assert block["thinking"] == ""
    assert Signatures().judge("", block["signature"]) == "valid"
    assert collected(stream(answer, thinking=thinking)) == whole(answer, thinking=thinking)
    other = whole(Answer(Thinking("other thought")), thinking=thinking)["content"][0]
    assert other["signature"] != block["signature"]


def test_signatures_are_known_again_by_any_simulator() -> None:
    signature = Signatures().sign("shown", "shown")
    assert Signatures().judge("shown", signature) == "valid"
    assert Signatures().judge("changed", signature) == "modified"
    assert Signatures().judge("shown", "bm9uc2Vuc2U=") == "invalid"
    assert Signatures().judge("shown", "no base64") == "invalid"
    assert Signatures().judge("shown", "") == "invalid"


def test_a_scripted_signature_is_known_once_it_was_sent() -> None:
    protocol = AnthropicMessages()
    thinking = {"type": "thinking", "thinking": "Hm", "signature": "mine"}
    replay = body(
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [thinking, {"type": "text", "text": "Hi"}]},
            {"role": "user", "content": "Go on"},
        ]
    )
    request = Request("POST", "", "", tuple(HEADERS.items()), msgspec.json.encode(replay))
    with pytest.raises(Refused, match="Invalid `signature`"):
        protocol.read(request, "1", require_key=True, validate=True)
    list(protocol.events(read(), Answer(Thinking("Hm", signature="mine"))))
    protocol.read(request, "1", require_key=True, validate=True)


def test_scripted_signatures_are_forgotten_at_last() -> None:
    signatures = Signatures()
    for number in range(10_001):
        signatures.remember(str(number), "x")
    assert signatures.judge("x", "0") == "invalid"
    assert signatures.judge("x", "1") == "valid"
    assert signatures.judge("y", "1") == "modified"


# --- requests ---


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"x_api_key": None}, "x-api-key header is required"),
        ({"x_api_key": ""}, "invalid x-api-key"),
        ({"x_api_key": None, "authorization": "Bearer "}, "Invalid bearer token"),
        ({"x_api_key": None, "authorization": "token"}, "Invalid bearer token"),
    ],
)
def test_a_key_is_required(headers: Any, message: str) -> None:
    assert refusal(**headers) == (401, message)
    read(require_key=False, **headers)


def test_a_bearer_token_is_a_key() -> None:
    read(x_api_key=None, authorization="Bearer t")


def test_the_version_is_required() -> None:
    assert refusal(anthropic_version=None) == (400, "anthropic-version: header is required")
    read(anthropic_version=None, validate=False)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a": NaN}'])
def test_what_is_not_json_is_refused(data: bytes) -> None:
    status, message = refusal(data, validate=False)
    assert status == 400
    assert message is not None
    assert message.startswith("The request body is not valid JSON")


def test_what_is_no_object_is_refused() -> None:
    assert refusal(b"[]") == (400, "The request body is not a JSON object")


def test_complaints_become_refusals() -> None:
    assert refusal(body(max_tokens=...)) == (400, "max_tokens: Field required")
    read(body(max_tokens=...), validate=False)


def test_beta_headers_open_beta_fields() -> None:
    content = body(context_management={})
    assert refusal(content) == (400, "context_management: Extra inputs are not permitted")
    read(content, anthropic_beta="context-management-2025-06-27, other")


def test_whether_a_stream_is_wanted() -> None:
    assert read(body(stream=True)).stream
    assert not read(body(stream=False)).stream
    assert not read(body(stream=...)).stream


def asked(**fields: Any) -> Ask:
    return read(body(**fields), validate=False).ask


def test_what_is_asked() -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}}
    ask = asked(
        prompt="Hi",
        thinking={"type": "adaptive"},
        tools=[tool, {"type": "web_search_20250305", "name": "web_search"}],
        tool_choice={"type": "tool", "name": "f"},
        stop_sequences=["X", 3],
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        max_tokens=5,
    )
    expected = Tool("f", {"type": "object"})
    assert ask == Ask(
        prompt="Hi",
        thinking=True,
        tools=(expected,),
        forced=expected,
        schema={"type": "object"},
        max_tokens=5,
        stop_sequences=("X",),
    )


@pytest.mark.parametrize(
    ("choice", "tools", "forced"),
    [
        ({"type": "any"}, ["f", "g"], "f"),
        ({"type": "any"}, [], None),
        ({"type": "tool", "name": "g"}, ["f", "g"], "g"),
        ({"type": "tool", "name": "h"}, ["f"], None),
        ({"type": "auto"}, ["f"], None),
        ({"type": "none"}, ["f"], None),
        (None, ["f"], None),
    ],
)
def test_which_tool_is_forced(choice: Any, tools: list[str], forced: str | None) -> None:
    offered = [{"name": name, "input_schema": {}} for name in tools]
    ask = asked(tools=offered, tool_choice=choice)
    assert (ask.forced.name if ask.forced else None) == forced
    assert bool(ask.tools) == (bool(tools) and choice != {"type": "none"})


def test_the_last_turn_is_what_counts() -> None:
    results = [
        {"type": "tool_result", "tool_use_id": "1", "content": "18 degrees"},
        {"type": "tool_result", "tool_use_id": "2", "content": [{"type": "text", "text": "rain"}]},
        {"type": "tool_result", "tool_use_id": "3"},
    ]
    ask = asked(
        thinking={"type": "enabled", "budget_tokens": 1024},
        messages=[
            {"role": "user", "content": "Old"},
            {"role": "assistant", "content": "Old"},
            {"role": "user", "content": results},
            {"role": "user", "content": [{"type": "text", "text": "New"}, {"type": "image"}]},
        ],
    )
    assert ask.results == ("18 degrees", "rain", "")
    assert ask.prompt == "New"
    assert not ask.thinking


def test_a_body_of_any_shape_asks_something() -> None:
    odd = dict.fromkeys(
        ("messages", "tools", "tool_choice", "thinking", "output_config", "stop_sequences"), 3
    )
    assert read(odd | {"max_tokens": "x"}, validate=False).ask == Ask()
    assert read(b"{}", validate=False).model == "claude"


# --- errors ---


@pytest.mark.parametrize(
    ("refused", "type_", "message"),
    [
        (Refused(429, None), "rate_limit_error", "This request would exceed"),
        (Refused(529, None), "overloaded_error", "Overloaded"),
        (Refused(503, None), "api_error", "Service Unavailable"),
        (Refused(418, "Tea"), "invalid_request_error", "Tea"),
        (Refused(599, None), "api_error", "Error"),
        (Refused(400, "No", "billing_error"), "billing_error", "No"),
    ],
)
def test_errors(refused: Refused, type_: str, message: str) -> None:
    headers, data = AnthropicMessages().error(refused, "77")
    decoded = msgspec.json.decode(data)
    assert decoded["type"] == "error"
    assert decoded["error"]["type"] == type_
    assert decoded["error"]["message"].startswith(message)
    assert decoded["request_id"] == dict(headers)["request-id"] == "req_77"


def test_statuses_of_error_types() -> None:
    assert AnthropicMessages().failure("overloaded_error", None).status == 529
    assert AnthropicMessages().failure("new_error", None).status == 500


def _failed(type_: str, message: str) -> bytes:
    protocol = AnthropicMessages()
    return protocol.error_event(protocol.failure(type_, message), "77")


def test_an_error_event() -> None:
    (event,) = events(_failed("api_error", "No"))
    assert event["error"] == {"details": None, "type": "api_error", "message": "No"}


def test_the_malformed_event_has_no_json() -> None:
    data = AnthropicMessages().malformed().removesuffix(b"\n\n").split(b"data: ")[1]
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(data)


def test_the_head_of_an_answer() -> None:
    head = AnthropicMessages().head(REQUEST, "77", 0.0, stream=True)
    assert head.header("content-type") == "text/event-stream; charset=utf-8"
    assert head.header("request-id") == "req_77"
    assert head.header("anthropic-ratelimit-requests-remaining") == "3999"
    assert head.header("anthropic-ratelimit-output-tokens-reset") == "1970-01-01T00:01:00Z"
    whole_head = AnthropicMessages().head(REQUEST, "", 0.0, stream=False)
    assert whole_head.header("content-type") == "application/json"


def test_a_refusal_is_text_with_its_own_stop_reason() -> None:
    message = collected(stream(Answer(Refusal("I will not."))))
    assert message["content"] == [{"type": "text", "text": "I will not."}]
    assert message["stop_reason"] == "refusal"
    assert whole(Answer(Refusal("I will not.")))["content"] == message["content"]


def test_text_is_streamed_whole() -> None:
    words = "Grüße, 世界! " * 20
    assert text(stream(Answer(words))) == words
