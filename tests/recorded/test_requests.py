"""What was asked for in recorded requests can be asked for through the public types."""

from collections import Counter

import pytest
from corpus import needs_corpus

from .dialects import REQUESTS
from .requests import Requests

RECORDED = {"anthropic": 387, "openai-chat": 834, "openai-responses": 405, "gemini": 291}

# What cannot be said, and in how many of them it is.
UNSAID = {
    "anthropic": {
        "a mark for the cache in an answer": 4,
        "a result that answers no call": 2,
        "a schema of no object": 2,
        "a file that was uploaded before": 3,
        "a file whose bytes are not in the recording": 1,
    },
    "openai-chat": {
        "a result that names no call": 1,
        "a sound whose bytes are not in the recording": 1,
        "a temperature of 100": 1,
        "no messages at all": 1,
        "the name of a message": 1,
    },
    "openai-responses": {
        "a default in a strict schema": 6,
        "reasoning without its id": 6,
        "a text as a file": 1,
        "instructions within the conversation": 1,
        "the status of a result": 1,
    },
    "gemini": {
        "a parameter's default": 2,
        "a turn without content": 2,
        "a result that names no call": 1,
    },
}
UNTYPED = {"openai-responses": {"`sources` of a web search is null": 3}}

DIALECTS = pytest.mark.parametrize("requests", REQUESTS.values(), ids=REQUESTS)


@needs_corpus
@DIALECTS
def test_what_was_asked_for_can_be_asked_for(requests: Requests) -> None:
    outcomes = requests.outcomes()
    assert len(outcomes) == RECORDED[requests.name]
    assert {each.recording.id: each.differences for each in outcomes if each.differences} == {}
    unsaid = Counter(each.reason.partition(":")[0] for each in outcomes if each.reason)
    assert unsaid == UNSAID[requests.name]
    untyped = Counter(each.refused.partition(":")[0] for each in outcomes if each.refused)
    assert untyped == UNTYPED.get(requests.name, {})


@needs_corpus
@DIALECTS
def test_what_is_not_as_recorded_is_found(requests: Requests) -> None:
    recording = next(r for r in requests.recordings() if requests.outcome(r).differences == {})
    body = recording.request or {}
    turns = next(name for name in ("messages", "input", "contents") if name in body)
    limit = {"max_tokens": 7, "max_output_tokens": 7, "generationConfig": {"maxOutputTokens": 7}}
    for name, value in (("seed", 7), *limit.items(), (turns, body[turns] * 2)):
        said = requests.say(recording, body)
        changed = requests.plain({**body, name: value})
        assert changed != requests.plain(dict(said.body)), name
