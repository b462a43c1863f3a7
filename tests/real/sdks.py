"""What the providers' own SDKs make of a streamed answer, in terms that all share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai
from google import genai
from real.calls import KEY

from dhenara_stream.types import ChatResponse

Calls = list[tuple[str, dict[str, Any]]]


@dataclass
class Facts:
    """An answer: its text, reasoning and calls, the provider's finish reason, and the tokens."""

    text: str = ""
    reasoning: str = ""
    calls: Calls = field(default_factory=Calls)
    finish: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


def ours(answer: ChatResponse) -> Facts:
    """An answer of our client."""
    (choice,) = answer.choices
    assert answer.usage is not None
    return Facts(
        text=answer.text() or "",
        reasoning=answer.reasoning() or "",
        calls=[(call.name, call.arguments) for call in answer.tools()],
        finish=choice.native_finish_reason or "",
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
    )


def by_anthropic(url: str, prompt: str) -> Facts:
    """An answer by the SDK of Anthropic's."""
    with (
        anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0) as client,
        client.messages.stream(
            model="claude-haiku-4-5",
            max_tokens=500,
            messages=[{"role": "user", "content": prompt}],
        ) as stream,
    ):
        message = stream.get_final_message()
    facts = Facts(
        finish=message.stop_reason or "",
        prompt_tokens=message.usage.input_tokens,
        completion_tokens=message.usage.output_tokens,
    )
    for block in message.content:
        if block.type == "text":
            facts.text += block.text
        elif block.type == "thinking":
            facts.reasoning += block.thinking
        elif block.type == "tool_use":
            facts.calls.append((block.name, dict(block.input)))
    return facts


def by_openai_chat(url: str, prompt: str) -> Facts:
    """An answer of Chat Completions by the SDK of OpenAI's."""
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
        client.chat.completions.stream(
            model="gpt-4.1-nano",
            messages=[{"role": "user", "content": prompt}],
            stream_options={"include_usage": True},
        ) as stream,
    ):
        completion = stream.get_final_completion()
    (choice,) = completion.choices
    assert completion.usage is not None
    return Facts(
        text=choice.message.content or "",
        reasoning=getattr(choice.message, "reasoning_content", None) or "",
        calls=[
            (call.function.name, json.loads(call.function.arguments))
            for call in choice.message.tool_calls or ()
        ],
        finish=choice.finish_reason,
        prompt_tokens=completion.usage.prompt_tokens,
        completion_tokens=completion.usage.completion_tokens,
    )


def by_openai_responses(url: str, prompt: str) -> Facts:
    """An answer of Responses by the SDK of OpenAI's."""
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
        client.responses.stream(model="gpt-4.1-nano", input=prompt) as stream,
    ):
        response = stream.get_final_response()
    assert response.usage is not None
    facts = Facts(
        text=response.output_text,
        finish=response.status or "",
        prompt_tokens=response.usage.input_tokens,
        completion_tokens=response.usage.output_tokens,
    )
    for item in response.output:
        if item.type == "reasoning":
            facts.reasoning += "".join(part.text for part in item.summary)
        elif item.type == "function_call":
            facts.calls.append((item.name, json.loads(item.arguments)))
    return facts


def by_google(url: str, prompt: str) -> Facts:
    """An answer of Gemini's by the SDK of Google's, its chunks put together."""
    options = genai.types.HttpOptions(base_url=url, api_version="v1beta")  # aimock knows no other
    facts = Facts()
    with genai.Client(api_key=KEY, http_options=options) as client:
        for chunk in client.models.generate_content_stream(
            model="gemini-2.5-flash", contents=prompt
        ):
            for candidate in chunk.candidates or ():
                for part in (candidate.content and candidate.content.parts) or ():
                    if part.function_call is not None:
                        call = part.function_call
                        facts.calls.append((call.name or "", call.args or {}))
                    elif part.thought:
                        facts.reasoning += part.text or ""
                    else:
                        facts.text += part.text or ""
                if candidate.finish_reason is not None:
                    facts.finish = candidate.finish_reason.value
            if chunk.usage_metadata is not None:
                facts.prompt_tokens = chunk.usage_metadata.prompt_token_count
                facts.completion_tokens = chunk.usage_metadata.candidates_token_count
    return facts


BY_SDK: dict[str, Callable[[str, str], Facts]] = {
    "messages": by_anthropic,
    "chat": by_openai_chat,
    "responses": by_openai_responses,
    "gemini": by_google,
}
