"""The protocols, each at the places that serve it, as tables of scenarios and faults use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from dhenara_stream import AIModelClient
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
    BaseAIModel,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45
from dhenara_stream.types.genai.foundation_models.deepseek.chat import DeepseekV4Flash
from dhenara_stream.types.genai.foundation_models.google.chat import Gemini25Flash
from dhenara_stream.types.genai.foundation_models.openai.chat import GPT5Nano, GPT41Nano

__all__ = ["DIALECTS", "FACES", "SERVED", "Served"]

KEY = "sk-canary-0123456789"
Api = AIModelAPIProviderEnum


@dataclass(frozen=True, kw_only=True)
class Served:
    """A protocol at one place.

    Attributes:
        provider: The place.
        model: A model there.
        stop: Its word for an answer that is complete.
        tool_use: Its word for one that ends with a call.
        limit: Its word for one that the limit of tokens ended.
        refusal: Its word for one that refuses.
        overloaded: The error of an overloaded service, and its HTTP status.
        caller_error: Its type of error for what is the caller's fault.
        rate_error: Its type of error for too many requests.
        whole: An answer that is not streamed, of the text "All at once".
        failure: An error as it has it in JSON.
        opens: Whether a stream has events before its first content.
        thinks: Whether the model shows its thinking.
        refuses_in_words: Whether a refusal has a place of its own, beside the text.
        streams_arguments: Whether the arguments of a call come in pieces.
        account: What else an account there needs.
        suffix: The end of the base URL.
    """

    provider: AIModelAPIProviderEnum
    model: BaseAIModel
    stop: str
    tool_use: str
    limit: str
    refusal: str
    overloaded: tuple[str, int]
    caller_error: str
    rate_error: str
    whole: Mapping[str, Any]
    failure: Mapping[str, Any]
    opens: bool = True
    thinks: bool = True
    refuses_in_words: bool = False
    streams_arguments: bool = True
    account: Mapping[str, Any] = field(default_factory=dict[str, Any])
    suffix: str = ""

    def endpoint(self, url: str, model: BaseAIModel | None = None) -> AIModelEndpoint:
        """The model, served at this address."""
        account = {"api_key": KEY, "config": {}, **self.account}
        account["config"] = {"base_url": url + self.suffix, **account["config"]}
        if "credentials" in account:
            del account["api_key"]
        api = AIModelAPI(provider=self.provider, **account)
        return AIModelEndpoint(api=api, ai_model=model or self.model)

    def client(
        self,
        url: str,
        *,
        is_async: bool = True,
        model: BaseAIModel | None = None,
        http_client: httpx.AsyncClient | None = None,
        **config: Any,
    ) -> AIModelClient:
        """A client that streams, and waits for nothing between two attempts."""
        settings = {"streaming": True, "retry_delay": 0.0, "timeout": 10.0, **config}
        endpoint = self.endpoint(url, model)
        return AIModelClient(
            endpoint, AIModelCallConfig(**settings), is_async, http_client=http_client
        )


ANTHROPIC_WORDS: dict[str, Any] = {
    "model": ClaudeHaiku45,
    "stop": "end_turn",
    "tool_use": "tool_use",
    "limit": "max_tokens",
    "refusal": "refusal",
    "overloaded": ("OverloadedError", 529),
    "caller_error": "invalid_request_error",
    "rate_error": "rate_limit_error",
    "whole": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "All at once"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 5, "output_tokens": 3},
    },
    "failure": {"type": "error", "error": {"type": "api_error", "message": "Oh"}},
}
CHAT_WORDS: dict[str, Any] = {
    "model": GPT41Nano,
    "stop": "stop",
    "tool_use": "tool_calls",
    "limit": "length",
    "refusal": "stop",
    "refuses_in_words": True,
    "overloaded": ("OverloadedError", 503),
    "caller_error": "invalid_request_error",
    "rate_error": "rate_limit_exceeded",
    "whole": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "All at once"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    },
    "failure": {"error": {"type": "server_error", "message": "Oh", "code": None}},
    "thinks": False,
}
RESPONSES_WORDS: dict[str, Any] = {
    "model": GPT5Nano,
    "stop": "completed",
    "tool_use": "completed",
    "limit": "incomplete",
    "refusal": "completed",
    "refuses_in_words": True,
    "overloaded": ("OverloadedError", 503),
    "caller_error": "invalid_request_error",
    "rate_error": "rate_limit_exceeded",
    "whole": {
        "id": "resp_1",
        "object": "response",
        "model": "gpt",
        "status": "completed",
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "All at once", "annotations": []}],
            }
        ],
        "usage": {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8},
    },
    "failure": {"error": {"type": "server_error", "message": "Oh", "code": None}},
}
GEMINI_WORDS: dict[str, Any] = {
    "model": Gemini25Flash,
    "stop": "STOP",
    "tool_use": "STOP",
    "limit": "MAX_TOKENS",
    "refusal": "SAFETY",
    "overloaded": ("OverloadedError", 503),
    "caller_error": "INVALID_ARGUMENT",
    "rate_error": "RESOURCE_EXHAUSTED",
    "whole": {
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"text": "All at once"}]},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8},
        "modelVersion": "gemini",
        "responseId": "r1",
    },
    "failure": {"error": {"code": 500, "message": "Oh", "status": "INTERNAL"}},
    "opens": False,
    "streams_arguments": False,
}
BEDROCK_WORDS: dict[str, Any] = {
    **ANTHROPIC_WORDS,
    "model": ClaudeHaiku45.clone("us.anthropic.claude-haiku-4-5-20251001-v1:0"),
}
CHAT_COMPLETIONS = {"config": {"api": "chat_completions"}}
PROJECT = {
    "credentials": {"access_token": "ya29.canary"},
    "config": {"project_id": "p", "location": "europe-west1"},
}

DIALECTS = {
    "anthropic": Served(provider=Api.ANTHROPIC, **ANTHROPIC_WORDS),
    "openai_chat": Served(provider=Api.OPEN_AI, account=CHAT_COMPLETIONS, **CHAT_WORDS),
    "openai_responses": Served(provider=Api.OPEN_AI, **RESPONSES_WORDS),
    "gemini": Served(provider=Api.GOOGLE_AI, **GEMINI_WORDS),
}
FACES = {
    "deepseek": Served(
        provider=Api.DEEPSEEK, **CHAT_WORDS | {"model": DeepseekV4Flash, "thinks": True}
    ),
    "azure_chat": Served(provider=Api.MICROSOFT_OPENAI, account=CHAT_COMPLETIONS, **CHAT_WORDS),
    "azure_responses": Served(provider=Api.MICROSOFT_OPENAI, **RESPONSES_WORDS),
    "groq": Served(
        provider=Api.OPENAI_COMPATIBLE, account={"config": {"service": "groq"}}, **CHAT_WORDS
    ),
    "vertex_gemini": Served(provider=Api.GOOGLE_VERTEX_AI, account=PROJECT, **GEMINI_WORDS),
    "vertex_claude": Served(provider=Api.GOOGLE_VERTEX_AI, account=PROJECT, **ANTHROPIC_WORDS),
    "bedrock": Served(
        provider=Api.AMAZON_BEDROCK,
        account={
            "credentials": {"access_key_id": "AKIDCANARY", "secret_access_key": "canary/secret"},
            "config": {"region": "us-east-1"},
        },
        **BEDROCK_WORDS,
    ),
}
SERVED = DIALECTS | FACES
