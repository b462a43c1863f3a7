"""Servers that speak Chat Completions, each with what it does in its own way."""

from __future__ import annotations

from urllib.parse import urlsplit

from dhenara_stream.dialects.openai_chat import OpenAIChatDialect, Quirks
from dhenara_stream.types.genai.ai_model import AIModelAPIProviderEnum

from .auth import bearer
from .base import Provider, Route

__all__ = ["COMPATIBLE", "SERVICES", "compatible"]

# A server that nothing is known of: the fields that most know, and nothing of OpenAI's own.
_PLAIN = Quirks(
    limit_field="max_tokens",
    user_field="user",
    more_sampling=True,
    refusals=False,
    none_effort=False,
    reasoning_replay="always",
    reasoning_field="received",
    web_search="none",
)


def compatible(
    name: str,
    base_url: str = "",
    *,
    key_env: str = "",
    key_required: bool = True,
    base_url_env: str = "",
    hosts: tuple[str, ...] | None = None,
    path: str = "/v1/chat/completions",
    quirks: Quirks | None = None,
) -> Provider:
    """A server that speaks Chat Completions.

    Args:
        name: Its name in ``AIModelAPI.config["service"]``.
        base_url: Its address, with the version segment or without.
        key_env: The environment variable that usually holds the key.
        key_required: Whether there must be a key.
        base_url_env: The environment variable that overrides the address.
        hosts: Hosts of a ``base_url`` that mean this server; that of its own if not given.
        path: Where it answers, below the address.
        quirks: How it differs from OpenAI's; like most servers if not given.
    """
    host = urlsplit(base_url).netloc.rpartition("@")[2].lower()
    return Provider(
        api_provider=AIModelAPIProviderEnum.OPENAI_COMPATIBLE,
        name=name,
        routes=(
            Route(dialect=OpenAIChatDialect(quirks or _PLAIN, path=path), api="chat_completions"),
        ),
        base_url=base_url,
        base_url_envs=(base_url_env,) if base_url_env else (),
        hosts=((host,) if host else ()) if hosts is None else hosts,
        key_env=key_env,
        key_required=key_required,
        auth=bearer,
    )


_LOCAL = Quirks(  # llama.cpp and what is built on it
    limit_field="max_tokens",
    user_field="user",
    more_sampling=True,
    refusals=False,
    images="data",
    pdfs="none",
    none_effort=False,
    reasoning_replay="always",
    reasoning_field="received",
    tool_choice="word",
    strict_schemas=False,
    web_search="none",
)

COMPATIBLE = compatible("", key_required=False)

_DECLARED = (
    compatible(
        "openrouter",
        "https://openrouter.ai/api/v1",
        key_env="OPENROUTER_API_KEY",
        base_url_env="OPENROUTER_BASE_URL",
        quirks=Quirks(
            limit_field="max_tokens",
            user_field="user",
            more_sampling=True,
            cache_marks=True,
            refusals=False,
            pdfs="file_url",
            reasoning="object",
            none_effort=False,
            reasoning_replay="always",
            reasoning_field="reasoning_details",
            web_search="server_tool",
        ),
    ),
    compatible(
        "groq",
        "https://api.groq.com/openai/v1",
        key_env="GROQ_API_KEY",
        base_url_env="GROQ_BASE_URL",
        quirks=Quirks(
            user_field="user",
            unsupported=("logprobs", "top_logprobs", "logit_bias", "n"),
            refusals=False,
            pdfs="none",
            audio=False,
            none_effort=False,
            structured_output="tool",
            format_with_tools=False,
            web_search="none",
        ),
    ),
    compatible(
        "mistral",
        "https://api.mistral.ai/v1",
        key_env="MISTRAL_API_KEY",
        base_url_env="MISTRAL_BASE_URL",
        quirks=Quirks(
            limit_field="max_tokens",
            seed_field="random_seed",
            user_field=None,
            stream_options=False,
            unsupported=("logit_bias", "user"),
            empty_content="empty",
            refusals=False,
            strict_turns=True,
            prefill="prefix",
            call_ids="alnum9",
            pdfs="document_url",
            none_effort=False,
            reasoning_replay="always",
            reasoning_field="thinking",
            required_word="any",
            web_search="none",
        ),
    ),
    compatible(
        "xai",
        "https://api.x.ai/v1",
        key_env="XAI_API_KEY",
        base_url_env="XAI_BASE_URL",
        quirks=Quirks(
            user_field="user",
            refusals=False,
            pdfs="none",
            audio=False,
            none_effort=False,
            reasoning_replay="always",
            web_search="none",
        ),
    ),
    compatible(
        "together",
        "https://api.together.xyz/v1",
        key_env="TOGETHER_API_KEY",
        base_url_env="TOGETHER_BASE_URL",
        hosts=("api.together.xyz", "api.together.ai"),
        quirks=Quirks(
            limit_field="max_tokens",
            user_field=None,
            more_sampling=True,
            refusals=False,
            pdfs="none",
            none_effort=False,
            reasoning_replay="always",
            reasoning_field="received",
            web_search="none",
        ),
    ),
    compatible(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        key_env="FIREWORKS_API_KEY",
        base_url_env="FIREWORKS_BASE_URL",
        quirks=Quirks(
            limit_field="max_tokens",
            user_field="user",
            more_sampling=True,
            refusals=False,
            pdfs="none",
            audio=False,
            none_effort=False,
            reasoning_replay="always",
            reasoning_field="reasoning_content",
            web_search="none",
        ),
    ),
    compatible(
        "cerebras",
        "https://api.cerebras.ai/v1",
        key_env="CEREBRAS_API_KEY",
        base_url_env="CEREBRAS_BASE_URL",
        quirks=Quirks(
            user_field="user",
            unsupported=("frequency_penalty", "presence_penalty", "logit_bias", "service_tier"),
            refusals=False,
            images="none",
            pdfs="none",
            audio=False,
            none_effort=False,
            reasoning_replay="always",
            reasoning_field="reasoning",
            parallel_tool_calls=False,
            format_with_tools=False,
            web_search="none",
        ),
    ),
    compatible(
        "perplexity",
        "https://api.perplexity.ai",
        key_env="PERPLEXITY_API_KEY",
        base_url_env="PERPLEXITY_BASE_URL",
        path="/chat/completions",
        quirks=Quirks(
            limit_field="max_tokens",
            user_field=None,
            unsupported=("logit_bias", "logprobs", "top_logprobs", "seed", "n"),
            refusals=False,
            strict_turns=True,
            prefill="none",
            pdfs="file_url",
            audio=False,
            none_effort=False,
            tools=False,
            web_search="domain_filter",
        ),
    ),
    # Servers of one's own: a key only where one was set up, and the port is anybody's where the
    # number is a usual one.
    compatible(
        "ollama",
        "http://localhost:11434/v1",
        key_env="OLLAMA_API_KEY",
        key_required=False,
        base_url_env="OLLAMA_BASE_URL",
        hosts=("localhost:11434", "127.0.0.1:11434", "ollama.com"),
        quirks=Quirks(
            limit_field="max_tokens",
            user_field=None,
            refusals=False,
            images="data",
            pdfs="none",
            audio=False,
            none_effort=False,
            reasoning_replay="always",
            reasoning_field="reasoning",
            tool_choice="none",
            parallel_tool_calls=False,
            strict_schemas=False,
            web_search="none",
        ),
    ),
    compatible(
        "vllm",
        "http://localhost:8000/v1",
        key_env="VLLM_API_KEY",
        key_required=False,
        base_url_env="VLLM_BASE_URL",
        hosts=(),
        quirks=Quirks(
            limit_field="max_tokens",
            user_field="user",
            more_sampling=True,
            refusals=False,
            pdfs="none",
            none_effort=False,
            reasoning_replay="always",
            reasoning_field="received",
            strict_schemas=False,
            web_search="none",
        ),
    ),
    compatible(
        "llama.cpp",
        "http://localhost:8080/v1",
        key_env="LLAMA_API_KEY",
        key_required=False,
        base_url_env="LLAMA_CPP_BASE_URL",
        hosts=(),
        quirks=_LOCAL,
    ),
    compatible(
        "lm_studio",
        "http://localhost:1234/v1",
        key_env="LM_STUDIO_API_KEY",
        key_required=False,
        base_url_env="LM_STUDIO_BASE_URL",
        hosts=("localhost:1234", "127.0.0.1:1234"),
        quirks=_LOCAL,
    ),
    compatible(
        "litellm",
        "http://localhost:4000",
        key_env="LITELLM_API_KEY",
        key_required=False,
        base_url_env="LITELLM_BASE_URL",
        hosts=("localhost:4000", "127.0.0.1:4000"),
        quirks=Quirks(
            limit_field="max_tokens",
            user_field="user",
            cache_marks=True,
            more_sampling=True,
            none_effort=False,
            reasoning_replay="always",
            reasoning_field="received",
        ),
    ),
)

SERVICES: dict[str, Provider] = {service.name: service for service in _DECLARED}
