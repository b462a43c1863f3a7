"""What OpenAI's protocols have in common: keys, errors, headers, names, counts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dhenara_stream.simulator import Answer, Thinking, ToolCall, Usage
from dhenara_stream.simulator.http1 import Request
from dhenara_stream.simulator.openai_common import (
    OpenAIRefused,
    TokenCounts,
    authenticate,
    efforts,
    error_object,
    error_response,
    failure,
    free_text,
    head,
    is_openai,
    logprob,
    reasons,
    reasons_now,
    token_counts,
)
from dhenara_stream.simulator.protocol import Refused


def keyed(authorization: str | None) -> Request:
    headers = () if authorization is None else (("authorization", authorization),)
    return Request("POST", "/v1/chat/completions", "", headers)


@pytest.mark.parametrize("key", ["sk-test", "anything.at:all", "x"])
def test_any_key_is_taken(key: str) -> None:
    authenticate(keyed(f"Bearer {key}"))
    authenticate(keyed(f"bearer  {key} "))


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", "sk-test", "Basic sk-test"])
def test_a_key_is_required(given: str | None) -> None:
    with pytest.raises(OpenAIRefused) as caught:
        authenticate(keyed(given))
    assert caught.value.status == 401
    assert "You didn't provide an API key" in error_object(caught.value)["message"]
    assert error_object(caught.value)["code"] is None


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk-proj-0123 56789abcdef", "sk-proj-************cdef"),
        ("a b", "***"),
        ("sk-12345 789", "*" * 12),
    ],
)
def test_what_cannot_be_a_key_is_not_repeated_in_full(key: str, shown: str) -> None:
    with pytest.raises(OpenAIRefused) as caught:
        authenticate(keyed(f"Bearer {key}"))
    error = error_object(caught.value)
    assert error["message"].startswith(f"Incorrect API key provided: {shown}. You can find")
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")


@pytest.mark.parametrize(
    ("status", "type_", "code", "message"),
    [
        (400, "invalid_request_error", None, "Bad Request"),
        (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-***"),
        (403, "request_forbidden", "unsupported_country_region_territory", "Country"),
        (404, "invalid_request_error", "model_not_found", "The model does not exist"),
        (409, "invalid_request_error", None, "Conflict"),
        (429, "requests", "rate_limit_exceeded", "Rate limit reached on requests"),
        (500, "server_error", None, "The server had an error"),
        (503, "service_unavailable_error", "server_is_overloaded", "currently overloaded"),
        (599, "server_error", None, "Error"),
    ],
)
def test_each_status_has_its_error(status: int, type_: str, code: str | None, message: str) -> None:
    error = error_object(Refused(status, None))
    assert (error["type"], error["code"], error["param"]) == (type_, code, None)
    assert message in error["message"]


def test_an_error_is_named_by_its_type_or_its_code() -> None:
    error = error_object(Refused(429, None, "insufficient_quota"))
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    assert "exceeded your current quota" in error["message"]
    error = error_object(Refused(429, "Wait", "tokens"))
    assert error == {
        "message": "Wait",
        "type": "tokens",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert error_object(Refused(429, None, "slow_down"))["type"] == "rate_limit_error"
    assert error_object(Refused(418, "Tea", "teapot"))["type"] == "teapot"


def test_a_page_that_is_not_there_is_no_missing_model() -> None:
    assert error_object(Refused(404, "Not found: /x"))["code"] is None


def test_an_error_tells_the_field() -> None:
    refused = OpenAIRefused(400, "No.", param="messages[0]", code="invalid_type")
    assert error_object(refused) == {
        "message": "No.",
        "type": "invalid_request_error",
        "param": "messages[0]",
        "code": "invalid_type",
    }


@pytest.mark.parametrize(
    ("type_", "status", "code"),
    [
        (None, 503, "server_is_overloaded"),
        ("rate_limit_exceeded", 429, "rate_limit_exceeded"),
        ("server_error", 500, None),
        ("context_length_exceeded", 400, "context_length_exceeded"),
        ("invented", 500, None),
    ],
)
def test_what_breaks_an_answer_off(type_: str | None, status: int, code: str | None) -> None:
    broken = failure(type_, None)
    assert (broken.status, broken.code) == (status, code)
    assert broken.message
    assert failure(type_, "So.").message == "So."


def test_headers_and_body_of_an_error() -> None:
    headers, body = error_response(Refused(500, "No."), "0a")
    assert dict(headers)["x-request-id"] == "req_0a"
    assert msgspec.json.decode(body)["error"]["message"] == "No."


def test_the_head_of_an_answer() -> None:
    headers = dict(head("0a", stream=True).headers)
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["openai-processing-ms"] == "110"
    assert headers["openai-version"] == "2020-10-01"
    assert headers["x-ratelimit-limit-requests"] == "10000"
    assert headers["x-ratelimit-remaining-requests"] == "9999"
    assert headers["x-ratelimit-reset-requests"] == "6ms"
    assert dict(head("0a", stream=False).headers)["content-type"] == "application/json"


# --- models


def test_openais_own_models() -> None:
    for name in ("gpt-4o", "gpt-5.1", "chatgpt-4o-latest", "o3-mini", "ft:gpt-4o:x", "codex-mini"):
        assert is_openai(name)
    for name in ("gpt-oss-20b", "openai/gpt-4o", "o1x", "olmo", "deepseek-chat", ""):
        assert not is_openai(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-4o", ()),
        ("gpt-5-chat-latest", ()),
        ("other", ()),
        ("o3", ("low", "medium", "high")),
        ("gpt-5-mini", ("minimal", "low", "medium", "high")),
        ("gpt-5-pro", ("high",)),
        ("gpt-5.1", ("none", "low", "medium", "high")),
        ("gpt-5.1-codex", ("low", "medium", "high")),
        ("gpt-5.1-codex-max", ("low", "medium", "high", "xhigh")),
        ("gpt-5.2-pro", ("medium", "high", "xhigh")),
        ("gpt-5.5", ("none", "low", "medium", "high", "xhigh")),
        ("gpt-5.6", ("none", "low", "medium", "high", "xhigh", "max")),
    ],
)
def test_the_efforts_of_models(name: str, expected: tuple[str, ...]) -> None:
    assert efforts(name) == expected
    assert reasons(name) is bool(expected)


def test_whether_a_model_reasons_now() -> None:
    assert reasons_now("o3", None)
    assert reasons_now("gpt-5", None)
    assert reasons_now("gpt-5.5", None)
    assert not reasons_now("gpt-5.2", None)
    assert reasons_now("gpt-5.2", "low")
    assert not reasons_now("gpt-5.2", "none")
    assert not reasons_now("gpt-4o", "low")
    assert not reasons_now("gpt-4o", None)


# --- tokens


def test_tokens_are_counted_where_they_are_not_told() -> None:
    answer = Answer(Thinking("a b"), "c d e")
    assert token_counts(answer, "x" * 38) == TokenCounts(10, 0, 0, 5, 2)
    assert token_counts(Answer(), "").input == 1


def test_tokens_are_what_they_are_told_to_be() -> None:
    told = Usage(
        input_tokens=1,
        output_tokens=2,
        cache_read_tokens=3,
        cache_write_tokens=4,
        thinking_tokens=5,
    )
    assert token_counts(Answer("Hi", usage=told), "x") == TokenCounts(8, 3, 4, 2, 5)


def test_probabilities_are_made_up_the_same_each_time() -> None:
    chance = logprob("Hi", 3)
    assert chance == logprob("Hi", 3)
    assert chance["bytes"] == [72, 105]
    assert -1 < chance["logprob"] <= 0
    ranks: list[Any] = chance["top_logprobs"]
    assert [rank["token"] for rank in ranks] == ["Hi", " other1", " other2"]
    assert [rank["logprob"] for rank in ranks] == sorted(
        (rank["logprob"] for rank in ranks), reverse=True
    )
    assert logprob("Hi", 0)["top_logprobs"] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [("as it is", "as it is"), ({"input": "x"}, "x"), ({"input": 1}, '{"input":1}'), ({}, "{}")],
)
def test_the_text_for_a_tool_that_takes_text(arguments: Any, text: str) -> None:
    assert free_text(ToolCall("f", arguments)) == text
