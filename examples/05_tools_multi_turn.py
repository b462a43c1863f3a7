"""Tools over several turns: the model calls, we carry out, it goes on with what came out."""

import os
from typing import Literal

from dhenara_stream import AIModelClient
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    ChatResponse,
    ChatResponseToolCallContentItem,
    SSEErrorResponse,
    ToolCallResult,
    ToolCallResultsMessage,
    ToolDefinition,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeSonnet45

Messages = list[str | ChatResponse | ToolCallResultsMessage]
MAX_MESSAGES = 20  # a model may go on calling


def get_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """Look up the weather in a city.

    Args:
        city: The city's name.
        unit: The unit of the temperature.
    """
    return f"{city}: 21 degrees {unit}, light wind"


TOOLS = {"get_weather": get_weather}


def carry_out(call: ChatResponseToolCallContentItem) -> ToolCallResult:
    """Call the tool; what goes wrong is the model's to know."""
    try:
        if call.parse_error is not None:
            raise ValueError(call.parse_error)
        output = TOOLS[call.name](**call.arguments)
    except (KeyError, TypeError, ValueError) as error:
        return ToolCallResult(call_id=call.call_id, output=repr(error), is_error=True)
    print(f"{call.name}({call.arguments}) -> {output}")
    return ToolCallResult(call_id=call.call_id, output=output)


def turn(client: AIModelClient, messages: Messages) -> ChatResponse:
    """One turn of the model, its text printed as it comes."""
    response = client.generate(messages=messages)
    for chunk, final in response.stream_generator:
        if isinstance(chunk, SSEErrorResponse):
            raise RuntimeError(f"{chunk.data.error_code}: {chunk.data.message}")
        for choice in chunk.data.choice_deltas if chunk else ():
            for content in choice.content_deltas or ():
                if content.type == "text":
                    print(content.get_text_delta() or "", end="", flush=True)
        if final is not None:
            answer: ChatResponse = final.chat_response
            return answer
    raise AssertionError("a stream ends with an error or with the final response")


def main() -> None:
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=os.environ["ANTHROPIC_API_KEY"]
    )
    config = AIModelCallConfig(
        streaming=True,
        reasoning=True,
        max_reasoning_tokens=1024,
        max_output_tokens=4000,
        tools=[ToolDefinition.from_callable(tool) for tool in TOOLS.values()],
    )
    endpoint = AIModelEndpoint(api=api, ai_model=ClaudeSonnet45)
    with AIModelClient(endpoint, config, is_async=False) as client:
        messages: Messages = ["What is the weather like in Paris? Answer in one sentence."]
        answer = turn(client, messages)
        while (calls := answer.tools()) and len(messages) < MAX_MESSAGES:
            messages.append(answer.to_message_item())  # the signed thinking goes back, too
            messages.append(ToolCallResultsMessage(results=[carry_out(call) for call in calls]))
            answer = turn(client, messages)
    print("\n\nUsage of the last turn:", answer.usage)


if __name__ == "__main__":
    main()
