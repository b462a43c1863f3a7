"""Calls of our client to servers of others: each protocol, each way to call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import anyio
import httpx

from dhenara_stream import AIModelClient
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelCallResponse,
    AIModelEndpoint,
    ChatResponse,
    FunctionDefinition,
    FunctionParameter,
    FunctionParameters,
    ToolDefinition,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45
from dhenara_stream.types.genai.foundation_models.google.chat import Gemini25Flash
from dhenara_stream.types.genai.foundation_models.openai.chat import GPT41Nano

KEY = "not-a-real-key"
PROTOCOLS = ("messages", "chat", "responses", "gemini")
WAYS = ("asyncio", "trio", "sync")

_PLACES: dict[str, Any] = {
    "messages": (AIModelAPIProviderEnum.ANTHROPIC, ClaudeHaiku45, {}),
    "chat": (AIModelAPIProviderEnum.OPEN_AI, GPT41Nano, {"api": "chat_completions"}),
    "responses": (AIModelAPIProviderEnum.OPEN_AI, GPT41Nano, {"api": "responses"}),
    "gemini": (AIModelAPIProviderEnum.GOOGLE_AI, Gemini25Flash, {}),
}

WEATHER = ToolDefinition(
    function=FunctionDefinition(
        name="get_weather",
        description="The weather in a city.",
        parameters=FunctionParameters(
            properties={
                "city": FunctionParameter(type="string", required=True),
                "days": FunctionParameter(type="integer", required=True),
            }
        ),
    )
)


def endpoint(protocol: str, url: str, **config: Any) -> AIModelEndpoint:
    """A server's address, as the place where the protocol is spoken."""
    provider, model, own = _PLACES[protocol]
    api = AIModelAPI(provider=provider, api_key=KEY, config={"base_url": url, **own, **config})
    return AIModelEndpoint(api=api, ai_model=model)


def service(name: str, url: str) -> AIModelEndpoint:
    """A server's address, as that of a service which speaks Chat Completions."""
    config = {"base_url": url, "service": name}
    provider = AIModelAPIProviderEnum.OPENAI_COMPATIBLE
    return AIModelEndpoint(
        api=AIModelAPI(provider=provider, api_key=KEY, config=config), ai_model=GPT41Nano
    )


@dataclass
class Outcome:
    """What a call gave.

    Attributes:
        response: What ``generate`` returned.
        items: What its stream yielded; nothing if it was not streamed.
        times: When each item came, in seconds since the call began.
    """

    response: AIModelCallResponse
    items: list[tuple[Any, Any]] = field(default_factory=list[tuple[Any, Any]])
    times: list[float] = field(default_factory=list[float])

    @property
    def answer(self) -> ChatResponse:
        """The consolidated answer of a call that was complete."""
        final = self.items[-1][1] if self.items else self.response
        assert final is not None, self.items[-1][0]
        assert final.chat_response is not None, final.status
        answer: ChatResponse = final.chat_response
        return answer


def ask(
    way: str,
    place: AIModelEndpoint,
    *prompts: str,
    http_client: httpx.AsyncClient | None = None,
    **config: Any,
) -> list[Outcome]:
    """Ask one thing after the other with one client; one attempt each, if nothing else is said."""
    settings: dict[str, Any] = {"streaming": True, "retries": 1, "timeout": 30.0, **config}
    is_async = way != "sync"
    client = AIModelClient(place, AIModelCallConfig(**settings), is_async, http_client=http_client)
    if is_async:
        return anyio.run(_ask_async, client, prompts, backend=way)
    return _ask_sync(client, prompts)


async def _ask_async(client: AIModelClient, prompts: Sequence[str]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    async with client:
        for prompt in prompts:
            begun = perf_counter()
            response = await client.generate_async(prompt=prompt)
            outcome = Outcome(response)
            if response.stream_generator is not None:
                async for item in response.stream_generator:
                    outcome.items.append(item)
                    outcome.times.append(perf_counter() - begun)
            outcomes.append(outcome)
    return outcomes


def _ask_sync(client: AIModelClient, prompts: Sequence[str]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with client:
        for prompt in prompts:
            begun = perf_counter()
            response = client.generate(prompt=prompt)
            outcome = Outcome(response)
            for item in response.stream_generator or ():
                outcome.items.append(item)
                outcome.times.append(perf_counter() - begun)
            outcomes.append(outcome)
    return outcomes
