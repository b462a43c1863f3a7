"""Reading answers without a socket: bodies in pieces, events to deltas, deltas to an answer."""

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from dhenara_stream.core import deltas as d
from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.sse import SSEDecoder
from dhenara_stream.dialects.base import StreamDecoder
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum
from dhenara_stream.types.genai.dhenara.response import ChatResponse


def bytewise(body: bytes) -> list[bytes]:
    """A body byte by byte."""
    return [body[i : i + 1] for i in range(len(body))]


def cut_at(body: bytes, places: Iterable[int]) -> list[bytes]:
    """A body cut at those of these places that are in it."""
    cuts = sorted(place for place in places if place <= len(body))
    return [body[a:b] for a, b in pairwise([0, *cuts, len(body)])]


def at_random(body: bytes, seed: str) -> list[bytes]:
    """A body cut in fifty places, the same ones for the same seed."""
    chance = random.Random(seed)
    return cut_at(body, [chance.randrange(len(body) + 1) for _ in range(50)])


def decode(chunks: Iterable[bytes], decoder: StreamDecoder) -> Iterator[Sequence[d.Delta]]:
    """The deltas of each event of a body; if they did not complete the answer, of its end, too."""
    sse = SSEDecoder()
    for chunk in chunks:
        yield from map(decoder.decode, sse.feed(chunk))
    yield from map(decoder.decode, sse.flush())
    if not decoder.complete:
        yield decoder.end()


def accumulate(
    said: Iterable[Sequence[d.Delta]],
    *,
    complete: bool = True,
    provider: AIModelProviderEnum = AIModelProviderEnum.CUSTOM,
) -> ChatResponse:
    """The answer of a maker's model that deltas make."""
    answer = Accumulator(AnswerFacts(model="m", provider=provider))
    for one in said:
        answer.add(one)
    return answer.response(complete=complete, streaming=True)
