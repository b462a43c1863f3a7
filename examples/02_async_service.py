"""The way of a service: one client for its whole life, a deadline for each call, typed errors."""

import os

import anyio

from dhenara_stream import AIModelClient, DhenaraStreamError, RateLimitError
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelCallResponse,
    AIModelEndpoint,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45

PROMPTS = ["What is a qubit?", "And what is entanglement?"]


def new_client() -> AIModelClient:
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=os.environ["ANTHROPIC_API_KEY"]
    )
    config = AIModelCallConfig(streaming=True, max_output_tokens=400, timeout=60, raise_errors=True)
    return AIModelClient(AIModelEndpoint(api=api, ai_model=ClaudeHaiku45), config)


async def ask(client: AIModelClient, prompt: str) -> AIModelCallResponse:
    """Print the answer as it comes; return it whole."""
    response = await client.generate_async(prompt=prompt, instructions=["Be concise."])
    async with response.stream_generator as stream:  # closed however this block is left
        async for chunk, _ in stream:
            for choice in chunk.data.choice_deltas if chunk else ():
                for content in choice.content_deltas or ():
                    print(content.get_text_delta() or "", end="", flush=True)
    return response.snapshot()


async def main() -> None:
    async with new_client() as client:
        for prompt in PROMPTS:
            print(f"> {prompt}")
            try:
                answer = await ask(client, prompt)
            except RateLimitError as error:
                print(f"\nToo many requests; the next one may come in {error.retry_after} s.")
            except DhenaraStreamError as error:
                print(f"\n{type(error).__name__}: {error.message} (request {error.request_id})")
            else:
                charge = answer.chat_response and answer.chat_response.usage_charge
                print(f"\n[${charge.cost:.6f}]\n" if charge else "\n[no price is known]\n")


if __name__ == "__main__":
    anyio.run(main)
