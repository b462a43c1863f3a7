"""Recorded bodies that are no events of SSE, or of protocols whose answers have no expected result.

They are read as the engine reads them: framed by their content type and first bytes, decoded by
the dialect that they speak. What comes out has to be a complete answer, the same for all cuts.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from corpus import CORPUS, Recording, streams
from reading import accumulate, bytewise

from dhenara_stream.core.sse import SSEDecoder
from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.dialects.base import Dialect
from dhenara_stream.dialects.gemini import GeminiDialect
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect
from dhenara_stream.engine.events import BodyEvents

from .answers import WAYS

BEDROCK = "bedrock-eventstream"
DIALECTS: dict[str, Dialect] = {
    BEDROCK: AnthropicDialect(),
    "ollama-ndjson": OpenAIChatDialect(),
    "gemini-json-array": GeminiDialect(),
}
LIMIT = 2**24


def of_kind(kind: str) -> list[Recording]:
    """The recordings of a kind of body, as the corpus names it."""
    return [r for r in streams("other") if r.meta["sub_dialect"] == kind]


def is_claudes(recording: Recording) -> bool:
    """Whether these frames hold an answer in the Messages protocol."""
    return b"message_start" in framed(recording, [recording.body])[0]


def framed(recording: Recording, chunks: Iterable[bytes]) -> list[bytes]:
    """The payloads of the events of a body, or the one document that it is."""
    content_type = recording.meta["content_type"] or ""
    events = BodyEvents(status=200, content_type=content_type, max_event_bytes=LIMIT)
    found = [event.data for chunk in chunks for event in events.feed(chunk)]
    document = events.document()
    if document is not None:
        return [document]
    assert events.error is None
    return found + [event.data for event in events.flush()]


def read(recording: Recording, chunks: Iterable[bytes]) -> Any:
    """The answer that a body is; ``None`` if it is not complete."""
    content_type = recording.meta["content_type"] or ""
    events = BodyEvents(status=200, content_type=content_type, max_event_bytes=LIMIT)
    decoder = DIALECTS[recording.meta["sub_dialect"]].decoder()
    said = [decoder.decode(event) for chunk in chunks for event in events.feed(chunk)]
    document = events.document()
    if document is not None:
        said.append(decoder.decode_document(document))
    else:
        said += map(decoder.decode, events.flush())
        if not decoder.complete:
            said.append(decoder.end())
    if events.error is not None or not decoder.complete:
        return None
    return accumulate(said).model_dump(exclude={"metadata"})


def agreeing(recordings: Iterable[Recording], *, as_answers: bool) -> int:
    """How many of them are the same for all cuts: as complete answers, or as frames."""
    taken = read if as_answers else framed
    count = 0
    for recording in recordings:
        outcomes = [taken(recording, way(recording)) for way in WAYS.values()]
        count += bool(outcomes[0]) and outcomes.count(outcomes[0]) == len(outcomes)
    return count


# --- the cases of other SSE parsers


def sse_cases() -> list[dict[str, Any]]:
    """The cases; each has a stream and its events."""
    cases: list[dict[str, Any]] = json.loads((CORPUS / "sse-cases.json").read_bytes())["cases"]
    return cases


def chunkings(case: dict[str, Any]) -> Iterator[list[bytes]]:
    """The pieces that a stream may come in: whole, byte by byte, and those of the case."""
    stream = base64.b64decode(case["input_b64"])
    yield [stream]
    yield bytewise(stream)
    if "chunks_b64" in case:
        yield [base64.b64decode(chunk) for chunk in case["chunks_b64"]]


def wrong_sse_cases() -> set[str]:
    """The cases whose events are not as expected, in any of their pieces.

    The reader keeps to the standard: without what it does for model servers beyond that.
    """
    wrong: set[str] = set()
    for case in sse_cases():
        expected = [(event["event"], event["data"], event["id"]) for event in case["expected"]]
        for chunks in chunkings(case):
            decoder = SSEDecoder(
                flush_at_end=False, error_field=False, ignore_empty=False, bare_json=False
            )
            events = [event for chunk in chunks for event in decoder.feed(chunk)]
            events += decoder.flush()
            found = [(e.name, e.data.decode("utf-8", "replace"), e.id) for e in events]
            if (found, decoder.retry) != (expected, case["expected_retry_ms"]):
                wrong.add(case["id"])
    return wrong
