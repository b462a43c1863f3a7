"""aimock: all four protocols, with answers, faults and paces that are told to it (aimock.json)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from engine.support import error_of, text_of
from real.answers import ANSWERS, expected
from real.calls import PROTOCOLS, WAYS, WEATHER, ask, endpoint
from real.recorder import READERS, Recorder
from real.sdks import BY_SDK, ours

COUNTED = "one two three four five six seven eight nine ten eleven twelve"
each_way = pytest.mark.parametrize("way", WAYS)
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "whole"])
@each_way
@each_protocol
@pytest.mark.parametrize("prompt", ANSWERS)
def test_the_answer_is_the_one_that_was_told(
    aimock: str, protocol: str, way: str, streaming: bool, prompt: str
) -> None:
    tools = [WEATHER] if prompt == "Weather?" else None
    (outcome,) = ask(way, endpoint(protocol, aimock), prompt, streaming=streaming, tools=tools)
    assert ours(outcome.answer) == expected(protocol, prompt)
    if streaming:
        assert text_of(outcome.items[:-1]) == ANSWERS[prompt].text


@pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason:UserWarning")
@each_protocol
@pytest.mark.parametrize("prompt", ANSWERS)
def test_the_providers_sdk_says_the_same(aimock: str, protocol: str, prompt: str) -> None:
    (outcome,) = ask("sync", endpoint(protocol, aimock), prompt)
    assert ours(outcome.answer) == BY_SDK[protocol](aimock, prompt)


@each_way
@each_protocol
def test_a_line_separator_is_no_end_of_a_line(aimock: str, protocol: str, way: str) -> None:
    recorder = Recorder()
    (outcome,) = ask(
        way, endpoint(protocol, aimock), "Separate them", http_client=recorder.client()
    )
    assert "\u2028".encode() in recorder.bodies[0]
    assert outcome.answer.text() == "one line\u2028the next"


# --- what goes wrong


@each_way
@each_protocol
def test_a_refusal_tells_how_long_to_wait(aimock: str, protocol: str, way: str) -> None:
    (outcome,) = ask(way, endpoint(protocol, aimock), "Refuse me")
    assert len(outcome.items) == 1
    error = error_of(outcome.items)
    assert error["error_type"] == "RateLimitError"
    assert (error["http_status"], error["retry_after"]) == (429, 7.0)
    assert "Rate limited" in error["message"]


@each_way
@each_protocol
def test_an_overloaded_server_is_asked_again(aimock: str, protocol: str, way: str) -> None:
    place = endpoint(protocol, aimock, headers={"x-test-id": uuid4().hex})  # its count of requests
    (outcome,) = ask(way, place, "Recover soon", retries=2, retry_delay=0.0)
    assert outcome.answer.text() == "Here I am."
    assert outcome.items[-1][1].status.timing.attempts == 2


@each_way
@each_protocol
def test_an_answer_that_breaks_off_is_an_error_and_is_kept(
    aimock: str, protocol: str, way: str
) -> None:
    recorder = Recorder()
    (outcome,) = ask(way, endpoint(protocol, aimock), "Break off", http_client=recorder.client())
    sent = READERS[protocol](recorder.bodies[0]).text
    error = error_of(outcome.items)
    assert error["error_type"] == "StreamInterrupted"
    assert error["content_delivered"] is True
    kept = outcome.response.snapshot().chat_response
    assert kept is not None
    assert text_of(outcome.items[:-1]) == kept.text() == sent
    assert sent.startswith("one two")
    assert "sixteen" not in sent
    assert kept.choices[0].finish_reason is None


@each_way
@each_protocol
def test_a_connection_that_is_dropped(aimock: str, protocol: str, way: str) -> None:
    place = endpoint(protocol, aimock, headers={"x-aimock-chaos-disconnect": "1.0"})
    (outcome,) = ask(way, place, "Greet me", retries=2, retry_delay=0.0)
    error = error_of(outcome.items)
    assert len(outcome.items) == 1
    assert (error["error_type"], error["attempts"]) == ("StreamInterrupted", 2)


@each_way
@each_protocol
def test_an_answer_that_is_no_answer(aimock: str, protocol: str, way: str) -> None:
    place = endpoint(protocol, aimock, headers={"x-aimock-chaos-malformed": "1.0"})
    (outcome,) = ask(way, place, "Greet me")
    assert len(outcome.items) == 1
    assert error_of(outcome.items)["content_delivered"] is False


@each_way
@each_protocol
def test_pieces_are_handed_out_as_they_come(aimock: str, protocol: str, way: str) -> None:
    (outcome,) = ask(way, endpoint(protocol, aimock), "Take your time")
    assert outcome.answer.text() == COUNTED
    timing = outcome.items[-1][1].status.timing
    assert timing.first_content >= 0.3  # as told
    pieces = [at for at, (chunk, _) in zip(outcome.times, outcome.items, strict=True) if chunk]
    assert len(pieces) > 4
    assert pieces[-1] - pieces[0] > 0.05 * 3  # twenty a second
