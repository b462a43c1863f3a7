"""On trio: two models race, the first whole answer wins, and what the other one said is kept."""

import os

import trio

from dhenara_stream import AIModelClient
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelCallResponse,
    AIModelEndpoint,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import (
    ClaudeHaiku45,
    ClaudeSonnet45,
)

PROMPT = "Explain structured concurrency in two sentences."


async def race(
    endpoint: AIModelEndpoint, everyone: trio.Nursery, started: list[AIModelCallResponse]
) -> None:
    """Run a call to its end, which is the end of the race."""
    config = AIModelCallConfig(streaming=True, max_output_tokens=400)
    async with AIModelClient(endpoint, config) as client:
        response = await client.generate_async(prompt=PROMPT)
        started.append(response)
        async with response.stream_generator as stream:
            async for _, final in stream:
                if final is not None:
                    everyone.cancel_scope.cancel()


async def main() -> None:
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=os.environ["ANTHROPIC_API_KEY"]
    )
    started: list[AIModelCallResponse] = []
    async with trio.open_nursery() as nursery:
        for model in (ClaudeHaiku45, ClaudeSonnet45):
            endpoint = AIModelEndpoint(api=api, ai_model=model)
            nursery.start_soon(race, endpoint, nursery, started)
    for response in started:
        snapshot = response.snapshot()
        assert snapshot.status
        assert snapshot.chat_response
        print(f"--- {snapshot.status.model}: {snapshot.status.message}")
        print(snapshot.chat_response.text())


if __name__ == "__main__":
    trio.run(main)
