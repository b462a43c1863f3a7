"""Ollama's own answers, read by the decoder of Chat Completions."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from corpus import Recording, needs_corpus, streams
from reading import at_random

from dhenara_stream.core import deltas as d
from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.ndjson import NDJSONDecoder
from dhenara_stream.dialects.openai_chat.stream import OpenAIChatDecoder
from dhenara_stream.errors import ProtocolError, ProviderError, TruncatedStream
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum
from dhenara_stream.types.genai.dhenara.response import ChatResponse, FinishReason

Dict = dict[str, Any]


def line(message: Dict | None = None, **fields: Any) -> Dict:
    """A line of ``/api/chat``."""
    said = {"role": "assistant", "content": "", **(message or {})}
    return {"model": "m", "created_at": "T1", "message": said, "done": False, **fields}


def last(**fields: Any) -> Dict:
    return line(done=True, created_at="T2", **fields)


def body_of(*lines: Dict) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def decoded(chunks: Iterable[bytes]) -> tuple[ChatResponse, OpenAIChatDecoder]:
    """What becomes of a body that is streamed."""
    framing, decoder = NDJSONDecoder(max_event_bytes=2**20), OpenAIChatDecoder()
    answer = Accumulator(AnswerFacts(model="m", provider=AIModelProviderEnum.OPEN_AI))
    for chunk in chunks:
        for event in framing.feed(chunk):
            answer.add(decoder.decode(event))
    if not decoder.complete:
        answer.add(decoder.end())
    return answer.response(complete=decoder.complete, streaming=True), decoder


def at_once(body: bytes) -> ChatResponse:
    """What becomes of a body that is read whole."""
    decoder = OpenAIChatDecoder()
    answer = Accumulator(AnswerFacts(model="m", provider=AIModelProviderEnum.OPEN_AI))
    answer.add(decoder.decode_document(body))
    return answer.response(complete=decoder.complete, streaming=True)


def said_by_line(*lines: Dict) -> list[d.Delta]:
    """The deltas of a body that is streamed."""
    framing, decoder = NDJSONDecoder(max_event_bytes=2**20), OpenAIChatDecoder()
    return [delta for event in framing.feed(body_of(*lines)) for delta in decoder.decode(event)]


def read(*lines: Dict) -> ChatResponse:
    """What becomes of lines: the same, streamed and whole."""
    response, decoder = decoded([body_of(*lines)])
    assert (decoder.complete, decoder.skipped) == (True, 0)
    assert content(at_once(body_of(*lines))) == content(response)
    assert list(OpenAIChatDecoder().decode_document(body_of(*lines))) == said_by_line(*lines)
    return response


def content(response: ChatResponse) -> Dict:
    choice = response.choices[0]
    return {
        "text": response.text() or "",
        "reasoning": response.reasoning() or "",
        "tools": [(call.call_id, call.name, call.arguments) for call in response.tools()],
        "finish": (choice.finish_reason, choice.native_finish_reason),
        "usage": (response.usage.prompt_tokens, response.usage.completion_tokens)
        if response.usage
        else None,
    }


def test_lines_of_a_chat_are_an_answer() -> None:
    response = read(
        line({"thinking": "Hm"}),
        line({"thinking": "m."}),
        line({"content": "It is "}),
        line({"content": "so."}),
        last(done_reason="stop", prompt_eval_count=7, eval_count=5, eval_duration=123),
    )
    assert content(response) == {
        "text": "It is so.",
        "reasoning": "Hmm.",
        "tools": [],
        "finish": (FinishReason.STOP, "stop"),
        "usage": (7, 5),
    }
    assert response.usage
    assert response.usage.native == {
        "prompt_eval_count": 7,
        "eval_count": 5,
        "eval_duration": 123,
    }
    assert response.metadata.provider_metadata == {"id": None, "model": "m", "created_at": "T1"}


def test_lines_of_a_generation_are_an_answer() -> None:
    response = read(
        {"model": "m", "response": "", "thinking": "Hm.", "done": False},
        {"model": "m", "response": "Yes", "done": False},
        {"model": "m", "response": "", "done": True, "done_reason": "length", "context": [1, 2]},
    )
    assert content(response)["text"] == "Yes"
    assert content(response)["reasoning"] == "Hm."
    assert content(response)["finish"] == (FinishReason.LENGTH, "length")
    assert (response.metadata.provider_metadata or {})["context"] == [1, 2]


def test_calls_come_whole_with_arguments_that_are_an_object() -> None:
    calls = [
        {"function": {"index": 0, "name": "f", "arguments": {"a": 1}}},
        {"function": {"index": 1, "name": "f", "arguments": {}}},
    ]
    named: Dict = {"id": "call_x", "function": {"name": "g", "arguments": {"b": [2]}}}
    response = read(
        line({"tool_calls": calls}), line({"tool_calls": [named]}), last(done_reason="stop")
    )
    assert content(response)["tools"] == [
        ("call_0", "f", {"a": 1}),
        ("call_1", "f", {}),
        ("call_x", "g", {"b": [2]}),
    ]
    assert response.choices[0].finish_reason is FinishReason.TOOL_CALLS


def test_images_and_log_probabilities_are_kept() -> None:
    response = read(
        line({"content": "a", "images": ["iVBOR"]}, logprobs=[{"token": "a", "logprob": -0.1}]),
        last(done_reason="stop"),
    )
    choice = response.choices[0]
    assert (choice.metadata or {})["logprobs"] == {"content": [{"token": "a", "logprob": -0.1}]}
    assert '"iVBOR"' in response.model_dump_json()


def test_no_reason_is_invented_for_an_end_without_one() -> None:
    response = read(line({"content": "a"}), last())
    assert response.choices[0].finish_reason is None
    assert response.choices[0].native_finish_reason is None


def test_one_line_alone_is_a_whole_answer() -> None:
    response = read(line({"content": "All at once"}, done=True, done_reason="stop", eval_count=3))
    assert content(response)["text"] == "All at once"


def test_nothing_counts_after_the_last_line() -> None:
    response, decoder = decoded([body_of(line({"content": "a"}), last(), line({"content": "b"}))])
    assert response.text() == "a"
    assert decoder.skipped == 1


def test_an_answer_without_its_last_line_is_not_complete() -> None:
    lines = body_of(line({"content": "a"}), line({"content": "b"}))
    response, decoder = decoded([lines])
    assert (response.text(), decoder.complete) == ("ab", False)
    with pytest.raises(TruncatedStream, match=r"^the answer ended without its last line$"):
        OpenAIChatDecoder().decode_document(lines)


@pytest.mark.parametrize("lenient", [False, True])
def test_one_line_that_is_not_the_last_is_no_whole_answer(lenient: bool) -> None:
    cut = body_of(line({"content": "The answer is"}))
    for body in (cut, b"[" + cut + b"]"):
        decoder = OpenAIChatDecoder(lenient_end=lenient)
        with pytest.raises(TruncatedStream, match="last line"):
            decoder.decode_document(body)
        assert not decoder.complete


def test_a_lenient_end_is_none_of_lines() -> None:
    decoder = OpenAIChatDecoder(lenient_end=True)
    (event,) = NDJSONDecoder(max_event_bytes=2**20).feed(body_of(line({"content": "a"})))
    assert d.TextDelta(0, "a") in decoder.decode(event)
    decoder.end()
    assert not decoder.complete


def test_an_error_among_the_lines_is_an_error() -> None:
    lines = body_of(line({"content": "a"}), {"error": "the model runner has stopped"})
    with pytest.raises(ProviderError, match="the model runner has stopped"):
        decoded([lines])
    decoder = OpenAIChatDecoder()
    assert d.TextDelta(0, "a") in decoder.decode_document(lines)
    assert "the model runner has stopped" in str(decoder.failure)
    assert not decoder.complete


def test_other_lines_are_no_answer() -> None:
    with pytest.raises(ProtocolError, match="no completion"):
        OpenAIChatDecoder().decode_document(b'{"a":1}\n{"done":true}\n')


@pytest.mark.parametrize(
    "odd",
    [
        {"message": "text", "response": 7, "done": False},
        {"message": {"content": 7, "images": "x", "tool_calls": "x", "thinking": []}, "done": True},
        {"done": False},
        {"done": True, "logprobs": "x", "done_reason": 5, "eval_count": "x"},
    ],
)
def test_odd_lines_are_no_accident(odd: Dict) -> None:
    _, decoder = decoded([body_of(odd, last(done_reason="stop"))])
    assert decoder.complete


# --- recorded answers -------------------------------------------------------------------------


def recorded() -> list[Recording]:
    return [r for r in streams("other") if r.meta["sub_dialect"] == "ollama-ndjson"]


def expectation(recording: Recording) -> Dict:
    """What stands in the lines, read one by one. The corpus has no SDK's reading of them."""
    lines: list[Dict] = [json.loads(text) for text in recording.body.splitlines()]
    said: list[Dict] = [at.get("message") or {"content": at["response"]} for at in lines]
    calls = [call for one in said for call in one.get("tool_calls") or ()]
    finish = "tool_calls" if calls else lines[-1]["done_reason"]
    return {
        "text": "".join(one["content"] for one in said),
        "reasoning": "".join(one.get("thinking") or "" for one in said),
        "tools": [
            (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls
        ],
        "finish": (FinishReason(finish), lines[-1]["done_reason"]),
        "usage": (lines[-1].get("prompt_eval_count"), lines[-1]["eval_count"]),
    }


@needs_corpus
@pytest.mark.parametrize("part", range(8))
def test_all_31_recordings_are_read_as_their_lines_say(part: int) -> None:
    assert len(recorded()) == 31
    for recording in recorded()[part::8]:
        expected = expectation(recording)
        for chunks in ([recording.body], at_random(recording.body, recording.id)):
            response, decoder = decoded(chunks)
            assert content(response) == expected, recording
            assert (decoder.complete, decoder.skipped) == (True, 0)
        assert content(at_once(recording.body)) == expected, recording


@needs_corpus
def test_a_recording_that_is_cut_is_not_complete() -> None:
    for recording in recorded():
        _, decoder = decoded([recording.body[:-2]])
        assert not decoder.complete
