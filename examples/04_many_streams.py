"""Many streams at once over one client: each task reads its own, and they share the connections."""

import os

import anyio

from dhenara_stream import AIModelClient
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelCallResponse,
    AIModelEndpoint,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45

TOPICS = [
    *("atoms", "bees", "clouds", "dunes", "echoes", "frost", "geysers", "hail"),
    *("islands", "jets", "kelp", "lava", "moss", "noise", "orbits", "plasma"),
]
AT_ONCE = 8


async def explain(client: AIModelClient, topic: str, slots: anyio.CapacityLimiter) -> None:
    async with slots:
        response = await client.generate_async(prompt=f"Explain {topic} in one sentence.")
        async with response.stream_generator as stream:
            async for chunk, final in stream:
                if final is not None:
                    report(topic, final)
                elif chunk.is_error():
                    print(f"{topic:8} failed: {chunk.data.message}")


def report(topic: str, final: AIModelCallResponse) -> None:
    assert final.chat_response
    assert final.status
    assert final.status.timing
    first, total = final.status.timing.first_content, final.status.timing.total
    print(f"{topic:8} first {first:.2f} s, all {total:.2f} s: {final.chat_response.text()}")


async def main() -> None:
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=os.environ["ANTHROPIC_API_KEY"]
    )
    endpoint = AIModelEndpoint(api=api, ai_model=ClaudeHaiku45)
    config = AIModelCallConfig(streaming=True, max_output_tokens=200)
    slots = anyio.CapacityLimiter(AT_ONCE)
    async with AIModelClient(endpoint, config) as client, anyio.create_task_group() as tasks:
        for topic in TOPICS:
            tasks.start_soon(explain, client, topic, slots)


if __name__ == "__main__":
    anyio.run(main)
