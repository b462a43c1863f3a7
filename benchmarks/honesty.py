"""What clients report when an answer goes wrong: the same faults, from the simulator.

    python benchmarks/honesty.py

For each client and fault: the text that was handed out, and how the loop ended. The peers are
driven as their documentation says, with a read timeout of a second and no retries.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import httpx_sse

from dhenara_stream import AIModelClient
from dhenara_stream.simulator import (
    Answer,
    CleanCut,
    ErrorEvent,
    Fault,
    OpenEnd,
    Reset,
    Respond,
    Silence,
    Simulator,
    Text,
    TornChunk,
)
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    SSEErrorResponse,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45

FAULTS: dict[str, Fault] = {
    "ends cleanly in the middle": CleanCut(deltas=2),
    "cut inside an HTTP chunk": TornChunk(deltas=2),
    "connection reset": Reset(deltas=2),
    "error event in the 200 stream": ErrorEvent(deltas=2),
    "falls silent": Silence(deltas=2),
    "complete, body left open": OpenEnd(),
    "200 with an HTML page": Respond(200, content_type="text/html", body=b"<html>Sign in</html>"),
    "200 with an empty body": Respond(200, content_type="text/event-stream", body=b""),
}

Client = Callable[[str], Iterator[str]]


def ours(url: str) -> Iterator[str]:
    """dhenara_stream."""
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC,
        api_key="sk-benchmark",
        config={"base_url": url},
    )
    endpoint = AIModelEndpoint(api=api, ai_model=ClaudeHaiku45)
    config = AIModelCallConfig(streaming=True, retries=1, idle_timeout=1.0)
    with AIModelClient(endpoint, config, is_async=False) as client:
        for chunk, _final in client.generate(prompt="go").stream_generator:
            if isinstance(chunk, SSEErrorResponse):
                assert chunk.data.details is not None
                raise RuntimeError(chunk.data.details["error_type"])
            if chunk is not None:
                for choice in chunk.data.choice_deltas:
                    for content in choice.content_deltas or []:
                        yield content.get_text_delta() or ""


def sdk(url: str) -> anthropic.Anthropic:
    """The official SDK's client."""
    return anthropic.Anthropic(api_key="sk-benchmark", base_url=url, max_retries=0, timeout=1.0)


def sdk_create(url: str) -> Iterator[str]:
    """anthropic, ``create(stream=True)``."""
    with sdk(url) as client, client.messages.create(**_ASKED, stream=True) as stream:
        for event in stream:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                yield event.delta.text


def sdk_stream(url: str) -> Iterator[str]:
    """anthropic, ``.stream()``."""
    with sdk(url) as client, client.messages.stream(**_ASKED) as stream:
        yield from stream.text_stream
        stream.get_final_message()


def by_hand(url: str) -> Iterator[str]:
    """httpx-sse, by hand."""
    headers = {"x-api-key": "sk-benchmark", "anthropic-version": "2023-06-01"}
    body = {**_ASKED, "stream": True}
    with (
        httpx.Client(timeout=1.0, headers=headers) as client,
        httpx_sse.connect_sse(client, "POST", f"{url}/v1/messages", json=body) as source,
    ):
        for event in source.iter_sse():
            data = json.loads(event.data)
            if data["type"] == "content_block_delta":
                yield data["delta"].get("text", "")


_ASKED: Any = {
    "model": "claude-haiku-4-5",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "go"}],
}

CLIENTS: dict[str, Client] = {
    "dhenara_stream": ours,
    "anthropic create": sdk_create,
    "anthropic .stream()": sdk_stream,
    "httpx-sse by hand": by_hand,
}


def outcome(client: Client, fault: Fault) -> str:
    """What the loop saw, in a few words."""
    texts: list[str] = []
    with Simulator(Answer(Text("One two three four")), faults=fault) as sim:
        try:
            texts.extend(client(sim.url))
            end = "**no error**"
        except Exception as error:  # noqa: BLE001  (whatever a client raises is the result)
            name = str(error) if isinstance(error, RuntimeError) else type(error).__name__
            end = f"{name}"
    return f"{len([t for t in texts if t])} of 4, {end}"


def main() -> int:
    """Run and print a Markdown table."""
    print("| fault | " + " | ".join(CLIENTS) + " |")
    print("|---|" + "---|" * len(CLIENTS))
    for name, fault in FAULTS.items():
        cells = [outcome(client, fault) for client in CLIENTS.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
