"""What is fuzzed: functions of bytes, each with its invariant in one sentence.

An input's first two bytes say how the rest is cut; the rest is what a server sent. ``run.py``
searches for inputs that break an invariant; ``test_fuzz.py`` runs the known inputs, on any machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import h11

from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.aws_eventstream import AWSEventStreamDecoder
from dhenara_stream.core.http1 import ChunkedBody, joined, plain_head
from dhenara_stream.core.sse import SSEDecoder
from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.dialects.base import Dialect, StreamDecoder
from dhenara_stream.dialects.gemini import GeminiDialect
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect
from dhenara_stream.dialects.openai_responses import OpenAIResponsesDialect
from dhenara_stream.errors import DhenaraStreamError, EventTooLarge, ProtocolError
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum

Framing = Callable[[], SSEDecoder | AWSEventStreamDecoder]
Target = Callable[[bytes], None]

LIMIT = 4096  # small, so that inputs reach it


def cut(data: bytes) -> tuple[bytes, list[bytes]]:
    """What a server sent, whole and in the pieces that the first two bytes stand for."""
    chance, body = random.Random(data[:2]), data[2:]
    pieces, at = [], 0
    while at < len(body):
        size = chance.choice((1, 1, 2, 3, 7, 40, 1000))
        pieces.append(body[at : at + size])
        at += size
    return body, pieces


def sse(data: bytes) -> None:
    """Events, and the error after them, do not depend on the cuts; nothing but size is an error."""
    _framed(data, lambda: SSEDecoder(max_event_bytes=LIMIT), EventTooLarge)


def aws_eventstream(data: bytes) -> None:
    """Frames with right checksums become events, anything else one typed error, at any cuts."""
    _framed(data, lambda: AWSEventStreamDecoder(max_event_bytes=LIMIT), ProtocolError)


def http1(data: bytes) -> None:
    """A head is read as h11 reads it or left to h11; chunks do not depend on the cuts."""
    body, pieces = cut(data)
    head = plain_head(body)
    if head is None:
        assert _chunks([body]) == _chunks(pieces)
        return
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="POST", target="/", headers=[("host", "a")]))
    parser.receive_data(body)
    response = parser.next_event()
    assert isinstance(response, h11.Response)
    assert response.status_code == head.status
    assert (
        joined((name.decode(), value.decode()) for name, value in response.headers) == head.headers
    )
    assert parser.trailing_data[0] == head.rest


def _chunks(pieces: Iterable[bytes]) -> tuple[bytes, bool, bool, str]:
    body = ChunkedBody()
    read = b"".join([body.feed(piece) for piece in pieces])
    return read, body.ended, body.surplus, body.error


def _framed(data: bytes, framing: Framing, wanted: type[DhenaraStreamError]) -> None:
    body, pieces = cut(data)
    whole, error = _events([body], framing())
    in_pieces, error_in_pieces = _events(pieces, framing())
    assert (whole, repr(error)) == (in_pieces, repr(error_in_pieces))
    assert error is None or isinstance(error, wanted | EventTooLarge)


def _events(pieces: Iterable[bytes], framing: Any) -> tuple[list[Any], DhenaraStreamError | None]:
    events: list[Any] = []
    try:
        for piece in pieces:
            events += framing.feed(piece)
            if framing.error is not None:
                raise framing.error
        events += framing.flush()
    except DhenaraStreamError as error:
        return events, error
    return events, None


def streamed(dialect: Dialect) -> Target:
    """A target for a dialect's streams.

    Any bytes give an answer or a typed error, at any cuts the same; the chunks add up to the
    consolidated response, and that can be dumped.
    """

    def target(data: bytes) -> None:
        body, pieces = cut(data)
        assert _answer([body], dialect) == _answer(pieces, dialect)

    target.__doc__ = streamed.__doc__
    return target


def document(dialect: Dialect) -> Target:
    """A target for a dialect's answers that are not streamed: an answer or a typed error."""

    def target(data: bytes) -> None:
        answer = _Answer(dialect)
        with suppress(DhenaraStreamError):
            answer.take(answer.decoder.decode_document(data[2:]))
        answer.check()

    target.__doc__ = document.__doc__
    return target


def _answer(pieces: Iterable[bytes], dialect: Dialect) -> tuple[str, str]:
    """The answer that a stream gives, dumped, and its error."""
    answer = _Answer(dialect)
    failure = ""
    try:
        for deltas in _decoded(pieces, answer.decoder):
            answer.take(deltas)
            if answer.decoder.complete:
                break
    except DhenaraStreamError as error:
        failure = repr(error)
    return answer.check(), failure


def _decoded(pieces: Iterable[bytes], decoder: StreamDecoder) -> Iterator[Any]:
    framing = SSEDecoder()
    for piece in pieces:
        yield from map(decoder.decode, framing.feed(piece))
    yield from map(decoder.decode, framing.flush())
    yield decoder.end()


class _Answer:
    """One answer: the chunks as they come, and the response that they add up to."""

    def __init__(self, dialect: Dialect) -> None:
        self.decoder = dialect.decoder()
        facts = AnswerFacts(model="m", provider=AIModelProviderEnum.OPEN_AI)
        self._accumulator = Accumulator(facts)
        self._text: dict[tuple[int, int], str] = {}

    def take(self, deltas: Any) -> None:
        chunk = self._accumulator.add(deltas)
        for choice in chunk.data.choice_deltas if chunk else ():
            for content in choice.content_deltas or ():
                if content.type == "text":
                    block = choice.index, content.index
                    self._text[block] = self._text.get(block, "") + (content.get_text_delta() or "")

    def check(self) -> str:
        """See that chunks and response agree; the response, dumped."""
        complete = self.decoder.complete
        response = self._accumulator.response(complete=complete, streaming=True)
        text = {
            (choice.index, item.index): item.get_text() or ""
            for choice in response.choices
            for item in choice.contents or ()
            if item.type == "text"
        }
        assert {block: said for block, said in text.items() if said} == {
            block: said for block, said in self._text.items() if said
        }
        self._accumulator.done().model_dump_json()
        return response.model_dump_json()


DIALECTS: dict[str, Dialect] = {
    "anthropic": AnthropicDialect(),
    "openai_chat": OpenAIChatDialect(),
    "openai_responses": OpenAIResponsesDialect(),
    "gemini": GeminiDialect(),
}
for _dialect in DIALECTS.values():
    _dialect.decoder()  # which loads it, while the fuzzer watches what is loaded
TARGETS: dict[str, Target] = {
    "sse": sse,
    "aws_eventstream": aws_eventstream,
    "http1": http1,
    **{name: streamed(dialect) for name, dialect in DIALECTS.items()},
    **{f"{name}_document": document(dialect) for name, dialect in DIALECTS.items()},
}
