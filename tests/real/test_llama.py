"""llama.cpp's server: a real engine's streams, with what is odd about them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from engine.support import text_of
from real.calls import WAYS, Outcome, ask, endpoint, service
from real.recorder import READERS, Recorder, events

STREAMS = 60
SPOKEN = ("messages", "chat", "responses")
FINISHES = {
    "end_turn": "stop",
    "stop": "stop",
    "completed": "stop",
    "max_tokens": "length",
    "length": "length",
}
Recorded = list[tuple[Outcome, bytearray]]
Record = Callable[[str, str], Recorded]


def place(protocol: str, url: str) -> Any:
    return service("llama.cpp", url) if protocol == "chat" else endpoint(protocol, url)


@pytest.fixture(scope="module")
def record(llama: str) -> Record:
    """Sixty streams of a protocol, called in a way, with the bodies that the server sent."""

    @cache
    def recorded(protocol: str, way: str) -> Recorded:
        recorder = Recorder()
        outcomes = ask(
            way,
            place(protocol, llama),
            *(f"Say {number}" for number in range(STREAMS)),
            http_client=recorder.client(),
            max_output_tokens=16,
        )
        return list(zip(outcomes, recorder.bodies, strict=True))

    return recorded


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("protocol", SPOKEN)
def test_each_stream_gives_the_answer_that_was_sent(
    record: Record, protocol: str, way: str
) -> None:
    for outcome, body in record(protocol, way):
        said = READERS[protocol](body)
        answer = outcome.answer
        (choice,) = answer.choices
        assert text_of(outcome.items[:-1]) == said.text
        assert (answer.text() or "") == said.text
        assert choice.native_finish_reason == said.finish
        assert choice.finish_reason == FINISHES[str(said.finish)]
        assert answer.usage is not None
        assert answer.usage.completion_tokens == said.completion_tokens
        assert answer.usage.prompt_tokens == said.prompt_tokens


@pytest.mark.parametrize("protocol", SPOKEN)
def test_the_answers_are_as_long_as_allowed_and_differ(record: Record, protocol: str) -> None:
    answers = [outcome.answer for outcome, _ in record(protocol, "sync")]
    counts = [answer.usage.completion_tokens or 0 for answer in answers if answer.usage]
    assert len(counts) == STREAMS
    assert max(counts) == 16
    assert len({answer.text() for answer in answers}) > STREAMS // 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("protocol", SPOKEN)
def test_an_answer_in_one_piece(llama: str, protocol: str, way: str) -> None:
    config: dict[str, Any] = {"max_output_tokens": 16, "options": {"temperature": 0.0}}
    (whole,) = ask(way, place(protocol, llama), "Say it", streaming=False, **config)
    (streamed,) = ask(way, place(protocol, llama), "Say it", **config)
    assert whole.items == []
    assert whole.answer.text() == streamed.answer.text() != ""
    (choice,), (streamed_choice,) = whole.answer.choices, streamed.answer.choices
    assert choice.native_finish_reason == streamed_choice.native_finish_reason
    assert whole.answer.usage is not None
    assert streamed.answer.usage is not None
    assert whole.answer.usage.completion_tokens == streamed.answer.usage.completion_tokens


@pytest.mark.parametrize("way", WAYS)
def test_connections_that_the_server_gives_up_are_replaced(llama: str, way: str) -> None:
    # It keeps one for a hundred requests at most, and may close it while the next one comes.
    prompts = [f"Say {number}" for number in range(130)]
    again: dict[str, Any] = {"retries": 3, "retry_delay": 0.0}
    outcomes = ask(way, place("chat", llama), *prompts, max_output_tokens=1, **again)
    assert len([outcome.answer for outcome in outcomes]) == len(prompts)


# --- what is odd


def sent(record: Record, protocol: str) -> list[list[dict[str, Any]]]:
    """The events of each body."""
    return [events(body) for _, body in record(protocol, "sync")]


def test_messages_without_a_start(record: Record) -> None:
    # When the first token is not yet a whole character.
    headless = [
        outcome.answer
        for outcome, body in record("messages", "sync")
        if events(body)[0]["type"] != "message_start"
    ]
    assert headless
    for answer in headless:
        assert answer.usage is not None
        assert answer.usage.prompt_tokens is None
        assert answer.usage.total_tokens is None


def test_responses_without_places(record: Record) -> None:
    for happened in sent(record, "responses"):
        assert not any("output_index" in event or "content_index" in event for event in happened)
        assert "model" not in happened[0]["response"]


def test_first_deltas_of_chat_completions_without_content(record: Record) -> None:
    deltas = [happened[0]["choices"][0]["delta"] for happened in sent(record, "chat")]
    assert {"role": "assistant", "content": None} in deltas


@pytest.mark.parametrize("protocol", SPOKEN)
def test_characters_that_are_none(record: Record, protocol: str) -> None:
    texts = [outcome.answer.text() or "" for outcome, _ in record(protocol, "sync")]
    assert any("\ufffd" in text for text in texts)
    assert any(ord(sign) < 32 for text in texts for sign in text)


@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("way", WAYS)
def test_an_answer_without_content(llama: str, streaming: bool, way: str) -> None:
    end_at_once = {"logit_bias": [[2, 100]]}  # the token that ends an answer
    (outcome,) = ask(way, place("chat", llama), "Say it", streaming=streaming, options=end_at_once)
    (choice,) = outcome.answer.choices
    assert not outcome.answer.text()
    assert choice.finish_reason == "stop"


def test_characters_of_several_tokens(llama: str) -> None:
    (outcome,) = ask(
        "sync",
        place("chat", llama),
        "Say it",
        max_output_tokens=30,
        options={"grammar": 'root ::= "\u65e5" [\u4e00-\u9fa5]+'},
    )
    text = outcome.answer.text() or ""
    assert len(text) > 3
    assert {sign for sign in text if not "\u4e00" <= sign <= "\u9fa5"} <= {"\ufffd"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("protocol", SPOKEN)
def test_a_request_that_the_server_refuses(llama: str, protocol: str, way: str) -> None:
    (outcome,) = ask(way, place(protocol, llama), "long " * 3000)
    ((error, _),) = outcome.items
    assert error.data.details["http_status"] == 400
    assert "context" in error.data.message
