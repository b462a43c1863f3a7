"""Press Ctrl-C in the middle: the connection is closed, and what came is kept."""

import os
import sys

from dhenara_stream import AIModelClient
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    SSEErrorResponse,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeSonnet45


def main() -> int:
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=os.environ["ANTHROPIC_API_KEY"]
    )
    endpoint = AIModelEndpoint(api=api, ai_model=ClaudeSonnet45)
    config = AIModelCallConfig(streaming=True, max_output_tokens=2000)
    code = 0
    with AIModelClient(endpoint, config, is_async=False) as client:
        response = client.generate(prompt="Tell the history of the telegraph, at length.")
        try:
            for chunk, _ in response.stream_generator:
                if isinstance(chunk, SSEErrorResponse):
                    print(f"\n{chunk.data.message}", file=sys.stderr)
                    code = 1
                    continue
                for choice in chunk.data.choice_deltas if chunk else ():
                    for content in choice.content_deltas or ():
                        print(content.get_text_delta() or "", end="", flush=True)
        except KeyboardInterrupt:
            code = 130
    snapshot = response.snapshot()
    answer = snapshot.chat_response
    kept = (answer and answer.text()) or ""
    print(f"\n\n--- {len(kept)} characters are kept; usage: {answer and answer.usage}")
    print(f"--- {snapshot.status and snapshot.status.message}")
    return code


if __name__ == "__main__":
    sys.exit(main())
