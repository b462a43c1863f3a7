"""Every recorded answer is read as the provider's own SDK reads it, however its bytes come."""

from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
from corpus import Recording, needs_corpus
from reading import at_random

from dhenara_stream import AIModelClient, DhenaraStreamError, ProviderError
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    AIModelProviderEnum,
    ChatModelCostData,
    ChatModelSettings,
    ChatResponse,
    FoundationModel,
)

from .answers import WAYS, Answers, Pairs, compared_errors
from .dialects import ANSWERS

RECORDED = {"anthropic": 430, "openai-chat": 873, "openai-responses": 426, "gemini": 310}
PARTS = 8  # so that no test takes long

DIALECTS = pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS)


@needs_corpus
@DIALECTS
def test_these_answers_are_recorded(answers: Answers) -> None:
    assert len(answers.recordings()) == RECORDED[answers.name]


@needs_corpus
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("way", WAYS)
@DIALECTS
def test_they_are_read_as_the_sdk_reads_them(answers: Answers, way: str, part: int) -> None:
    wrong: dict[str, Pairs] = {}
    for recording in answers.recordings()[part::PARTS]:
        if found := answers.differences(recording, WAYS[way](recording)):
            wrong[recording.id] = found
    assert wrong == {}


# --- the comparison sees everything


def changes(recording: Recording) -> Iterator[tuple[str, str]]:
    """Change what is expected of an answer, one thing after the other: what, and what shows it."""
    kept = recording.expected
    told = {name: name.replace("_", " ") for name in ("text", "reasoning", "finish_reason")}
    for name, shown in told.items():
        recording.expected = {**kept, name: f"{kept[name]} "}
        yield name, shown
    recording.expected = {**kept, "refusal": "No."}
    yield "refusal", "refusal"
    recording.expected = {**kept, "error": {"body": "no", "sdk_class": "APIError"}}
    yield "error", "fails"
    for name in kept["usage"]:
        recording.expected = deepcopy(kept)
        recording.expected["usage"][name] = -1
        yield f"usage: {name}", "usage"
    for name in ("id", "name", "arguments"):
        recording.expected = deepcopy(kept)
        recording.expected["tool_calls"][0][name] = "other"
        yield f"tool_calls: {name}", "tool calls"
    recording.expected = {**kept, "tool_calls": kept["tool_calls"][1:]}
    yield "tool_calls: one more", "tool calls"


@needs_corpus
@DIALECTS
def test_whatever_is_not_as_expected_is_found(answers: Answers) -> None:
    recording = next(
        r
        for r in answers.recordings(core_only=True)
        if r.expected["tool_calls"] and r.expected["usage"] and "ambiguous" not in r.expected
    )
    assert answers.differences(recording, [recording.body]) == {}
    for changed, shown in changes(recording):
        assert shown in answers.differences(recording, [recording.body]), changed


# --- through the whole engine

PLACES: dict[str, AIModelAPIProviderEnum] = {
    "anthropic": AIModelAPIProviderEnum.ANTHROPIC,
    "openai-chat": AIModelAPIProviderEnum.OPENAI_COMPATIBLE,
    "openai-responses": AIModelAPIProviderEnum.OPEN_AI,
    "gemini": AIModelAPIProviderEnum.GOOGLE_AI,
}
MODEL = FoundationModel(
    model_name="any",
    provider=AIModelProviderEnum.CUSTOM,
    settings=ChatModelSettings(max_context_window_tokens=10**6, max_output_tokens=10**5),
    cost_data=ChatModelCostData(
        input_token_cost_per_million=1.0, output_token_cost_per_million=2.0
    ),
)


class Pieces(httpx.AsyncByteStream):
    """A body in these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def outcome(
    name: str, recording: Recording
) -> tuple[str, ChatResponse, DhenaraStreamError | None]:
    """The text in the chunks of a recording, the answer, and what ended it."""

    def answer(_: httpx.Request) -> httpx.Response:
        headers = {"content-type": recording.meta["content_type"] or "text/event-stream"}
        pieces = Pieces(at_random(recording.body, recording.id))
        return httpx.Response(recording.status, headers=headers, stream=pieces)

    config = {"base_url": "https://llm.example"}
    api = AIModelAPI(provider=PLACES[name], api_key="sk-0123456789", config=config)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as own:
        client = AIModelClient(
            AIModelEndpoint(api=api, ai_model=MODEL),
            AIModelCallConfig(streaming=True, retries=1, raise_errors=True),
            http_client=own,
        )
        response = await client.generate_async(prompt="Hi")
        text, error = "", None
        try:
            async for chunk, _ in response.stream_generator:
                text += said_in(chunk)
        except DhenaraStreamError as raised:
            error = raised
    answer_ = response.snapshot().chat_response
    assert answer_ is not None
    return text, answer_, error


def said_in(chunk: Any) -> str:
    """The text of the first choice that is in a chunk."""
    choices = [] if chunk is None else chunk.data.choice_deltas
    contents = [c.content_deltas or () for c in choices if c.index == 0]
    pieces = [piece for some in contents for piece in some if piece.type == "text"]
    return "".join(piece.get_text_delta() or "" for piece in pieces)


@needs_corpus
@pytest.mark.parametrize(
    ("name", "recording"),
    [(a.name, r) for a in ANSWERS.values() for r in a.recordings(core_only=True)],
    ids=lambda value: getattr(value, "id", value),
)
async def test_a_user_gets_what_the_sdk_reads(name: str, recording: Recording) -> None:
    answers, expected = ANSWERS[name], recording.expected
    text, response, error = await outcome(name, recording)
    if "error" in expected:
        assert isinstance(error, ProviderError)
        assert {k: p for k, p in compared_errors(error, recording).items() if p[0] != p[1]} == {}
    else:
        assert (error is None) == (expected["finish_reason"] is not None)
    if recording.status == 200:
        pairs = answers.compared(response, recording, complete=error is None)
        assert {name: pair for name, pair in pairs.items() if pair[0] != pair[1]} == {}
        assert (response.usage_charge is None) == (response.usage is None)
        assert text == expected["text"] + (expected.get("refusal") or "")
