"""LiteLLM's proxy in front of aimock: each protocol written once more, by others."""

from __future__ import annotations

import pytest
from engine.support import error_of, text_of
from real.answers import ANSWERS, expected
from real.calls import PROTOCOLS, WAYS, WEATHER, ask, endpoint, service
from real.sdks import ours

each_way = pytest.mark.parametrize("way", WAYS)
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "whole"])
@each_way
@each_protocol
@pytest.mark.parametrize("prompt", ANSWERS)
def test_the_answer_comes_through(
    litellm: str, protocol: str, way: str, streaming: bool, prompt: str
) -> None:
    tools = [WEATHER] if prompt == "Weather?" else None
    (outcome,) = ask(way, endpoint(protocol, litellm), prompt, streaming=streaming, tools=tools)
    assert ours(outcome.answer) == expected(protocol, prompt)


@each_way
@pytest.mark.parametrize("prompt", ANSWERS)
def test_the_answer_comes_through_to_the_service(litellm: str, way: str, prompt: str) -> None:
    (outcome,) = ask(way, service("litellm", litellm), prompt)
    assert ours(outcome.answer) == expected("chat", prompt)


@each_way
@each_protocol
def test_a_refusal_comes_through(litellm: str, protocol: str, way: str) -> None:
    (outcome,) = ask(way, endpoint(protocol, litellm), "Refuse me")
    error = error_of(outcome.items)
    assert len(outcome.items) == 1
    assert (error["error_type"], error["http_status"]) == ("RateLimitError", 429)
    assert "Rate limited" in error["message"]


@each_way
@each_protocol
def test_an_answer_that_breaks_off_behind_the_proxy_is_an_error(
    litellm: str, protocol: str, way: str
) -> None:
    # The proxy reports it: in the stream, or as the status if nothing was sent yet.
    (outcome,) = ask(way, endpoint(protocol, litellm), "Break off")
    assert error_of(outcome.items)["error_type"] == "ServerError"
    kept = outcome.response.snapshot().chat_response
    received = "" if kept is None else kept.text() or ""
    assert received == text_of(outcome.items[:-1])
    assert "sixteen" not in received


@each_way
def test_an_event_that_the_proxy_cuts_in_two_is_an_error(litellm: str, way: str) -> None:
    # It takes a line separator within Gemini's JSON for the end of the line.
    (outcome,) = ask(way, endpoint("gemini", litellm), "Separate them")
    assert error_of(outcome.items)["error_type"] == "ProtocolError"
