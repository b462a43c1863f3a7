"""Recorded answers through the whole engine: the user gets what the provider's SDK reads."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from corpus import Recording, needs_corpus, streams
from engine.support import client_of, error_of, is_complete, read, text_of

from dhenara_stream.types import ChatResponse

RECORDINGS = streams("anthropic", core_only=True)


class Pieces(httpx.AsyncByteStream):
    """A body in these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def cut(body: bytes, seed: str) -> list[bytes]:
    chance = random.Random(seed)
    cuts = sorted(chance.randrange(len(body) + 1) for _ in range(40))
    return [body[a:b] for a, b in pairwise([0, *cuts, len(body)]) if a < b]


async def items_of(recording: Recording) -> list[Any]:
    def answer(_: httpx.Request) -> httpx.Response:
        headers = {"content-type": recording.meta["content_type"] or "text/event-stream"}
        pieces = Pieces(cut(recording.body, recording.id))
        return httpx.Response(recording.status, headers=headers, stream=pieces)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as own:
        client = client_of("https://llm.example", http_client=own, retries=1)
        return await read(await client.generate_async(prompt="Hi"))


def calls(response: ChatResponse) -> list[tuple[Any, ...]]:
    return [(c.call_id, c.name, c.raw_arguments or c.arguments) for c in response.tools()]


def expected_calls(expected: dict[str, Any]) -> list[tuple[Any, ...]]:
    if "tool_calls" in expected.get("ambiguous", ()):
        found = expected["reference"]["tool_calls"]
        return [(c["id"], c["name"], c["arguments_raw"]) for c in found]
    return [(c["id"], c["name"], c["arguments"]) for c in expected["tool_calls"]]


@needs_corpus
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda r: r.id)
async def test_a_recording_comes_out_as_its_sdk_reads_it(recording: Recording) -> None:
    items, expected = await items_of(recording), recording.expected
    if "error" in expected:
        assert error_of(items)["http_status"] == expected["error"]["status_code"]
        assert error_of(items)["code"] == expected["error"]["body"]["error"]["type"]
        return
    assert is_complete(items)
    response = items[-1][1].chat_response
    assert (response.text() or "") == text_of(items) == expected["text"]
    assert (response.reasoning() or "") == expected["reasoning"]
    assert calls(response) == expected_calls(expected)
    assert response.choices[0].native_finish_reason == expected["finish_reason"]
    native = (response.usage and response.usage.native) or {}
    assert {name: native[name] for name in expected["usage"]} == expected["usage"]
    assert response.usage_charge is not None
