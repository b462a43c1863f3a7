"""Many prompts, a few at a time, within the account's limits; run it again and it goes on."""

import os
import sys
from collections.abc import Iterator

from dhenara_stream import AIModelClient
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelCallRequest,
    AIModelCallsProgress,
    AIModelEndpoint,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45

REVIEWS = {
    "r1": "The battery lasts two days, I am impressed.",
    "r2": "It broke after a week.",
    "r3": "Good sound, but the app is a mess.",
    "r4": "Arrived late, works well.",
    "r5": "I would buy it again.",
    "r6": "The manual is a joke.",
}


def requests() -> Iterator[AIModelCallRequest]:
    """One for each review; a row of a table or a line of a file would do as well."""
    for name, review in REVIEWS.items():
        yield AIModelCallRequest(
            id=name, instructions="Answer with one word: good, bad or mixed.", prompt=review
        )


def show(progress: AIModelCallsProgress) -> None:
    cost = f"${progress.cost:.4f}" if progress.cost is not None else "no cost"
    failed, old = progress.failed, progress.from_file
    print(f"{progress.done} done, {failed} failed, {old} from before, {cost}", file=sys.stderr)


def main(results_file: str) -> None:
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=os.environ["ANTHROPIC_API_KEY"]
    )
    endpoint = AIModelEndpoint(api=api, ai_model=ClaudeHaiku45)
    config = AIModelCallConfig(max_output_tokens=50)
    with (
        AIModelClient(endpoint, config, is_async=False) as client,
        client.generate_many(
            requests(),
            concurrency=4,
            requests_per_minute=1000,
            tokens_per_minute=100_000,
            results_file=results_file,
            on_progress=show,
        ) as results,
    ):
        for result in results:
            answer = result.response.chat_response
            print(f"{result.id}: {result.error or (answer and answer.text())}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "reviews.jsonl")
