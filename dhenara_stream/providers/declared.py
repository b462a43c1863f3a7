"""The main places, as data: one declaration each."""

from __future__ import annotations

from dhenara_stream.dialects.anthropic import AnthropicDialect
from dhenara_stream.dialects.gemini import GeminiDialect
from dhenara_stream.dialects.gemini import Quirks as GeminiQuirks
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect, Quirks
from dhenara_stream.dialects.openai_responses import OpenAIResponsesDialect
from dhenara_stream.dialects.openai_responses import Quirks as ResponsesQuirks
from dhenara_stream.types.genai.ai_model import AIModelAPIProviderEnum as Api
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum as Maker

from . import places
from .auth import aws_signature, azure, bearer, google_cloud, header_key
from .base import Provider, Route
from .services import COMPATIBLE

__all__ = ["DECLARED"]

DECLARED = (
    Provider(
        api_provider=Api.ANTHROPIC,
        routes=(Route(dialect=AnthropicDialect(), makers=(Maker.ANTHROPIC,), api="messages"),),
        base_url="https://api.anthropic.com",
        base_url_envs=("ANTHROPIC_BASE_URL",),
        key_env="ANTHROPIC_API_KEY",
        auth=header_key("x-api-key"),
        list_headers=("anthropic-beta",),
    ),
    Provider(
        api_provider=Api.OPEN_AI,
        routes=(
            Route(dialect=OpenAIResponsesDialect(), makers=(Maker.OPEN_AI,), api="responses"),
            Route(dialect=OpenAIChatDialect(), makers=(Maker.OPEN_AI,), api="chat_completions"),
        ),
        base_url="https://api.openai.com",
        base_url_envs=("OPENAI_BASE_URL",),
        key_env="OPENAI_API_KEY",
        auth=bearer,
    ),
    Provider(
        api_provider=Api.GOOGLE_AI,
        routes=(Route(dialect=GeminiDialect(), makers=(Maker.GOOGLE_AI,), api="generate_content"),),
        base_url="https://generativelanguage.googleapis.com",
        base_url_envs=("GOOGLE_GEMINI_BASE_URL",),
        key_env="GEMINI_API_KEY",
        auth=header_key("x-goog-api-key"),
    ),
    Provider(
        api_provider=Api.DEEPSEEK,
        routes=(
            Route(
                dialect=OpenAIChatDialect(
                    Quirks(
                        limit_field="max_tokens",
                        always_limit=True,
                        user_field="user",
                        max_stops=16,
                        empty_content="empty",
                        refusals=False,
                        images="none",
                        pdfs="none",
                        audio=False,
                        reasoning="thinking",
                        none_effort=False,
                        reasoning_replay="tool_turns",
                        reasoning_required=True,
                        forced_tools_while_reasoning=False,
                        strict_schemas=False,
                        structured_output="json_object",
                        web_search="none",
                    )
                ),
                makers=(Maker.DEEPSEEK,),
                api="chat_completions",
            ),
        ),
        base_url="https://api.deepseek.com",
        base_url_envs=("DEEPSEEK_BASE_URL",),
        key_env="DEEPSEEK_API_KEY",
        auth=bearer,
    ),
    Provider(
        api_provider=Api.MICROSOFT_OPENAI,
        routes=(
            Route(
                dialect=OpenAIResponsesDialect(ResponsesQuirks(web_search="web_search_preview")),
                makers=(Maker.OPEN_AI,),
                api="responses",
                place=places.azure_responses,
            ),
            Route(
                dialect=OpenAIChatDialect(Quirks(user_field="user", web_search="none")),
                makers=(Maker.OPEN_AI, Maker.DEEPSEEK, Maker.META, Maker.COHERE),
                api="chat_completions",
                place=places.azure_chat,
            ),
        ),
        base_url="",
        base_url_keys=("base_url", "endpoint"),
        base_url_envs=("AZURE_OPENAI_ENDPOINT",),
        key_env="AZURE_OPENAI_API_KEY",
        key_required=False,
        auth=azure,
        tidy=places.azure_endpoint,
    ),
    Provider(
        api_provider=Api.GOOGLE_VERTEX_AI,
        routes=(
            Route(
                dialect=GeminiDialect(
                    GeminiQuirks(
                        version="v1beta1",
                        versions=("v1", "v1beta1"),
                        models="publishers/google/models/",
                        server_side_tools=False,
                        excluded_domains=True,
                        user_label="user",
                    )
                ),
                makers=(Maker.GOOGLE_AI,),
                api="generate_content",
                place=places.vertex_gemini,
            ),
            Route(
                dialect=AnthropicDialect(),
                makers=(Maker.ANTHROPIC,),
                api="messages",
                place=places.vertex_claude,
                base_url_envs=("ANTHROPIC_VERTEX_BASE_URL", "GOOGLE_VERTEX_BASE_URL"),
            ),
        ),
        base_url=places.vertex_address,
        base_url_envs=("GOOGLE_VERTEX_BASE_URL",),
        key_env="GOOGLE_API_KEY",
        key_required=False,
        auth=google_cloud,
        list_headers=("anthropic-beta",),
    ),
    Provider(
        api_provider=Api.AMAZON_BEDROCK,
        routes=(
            Route(
                dialect=AnthropicDialect(),
                makers=(Maker.ANTHROPIC,),
                api="messages",
                place=places.bedrock_claude,
                hosted_tools=False,
            ),
        ),
        base_url=places.bedrock_address,
        base_url_envs=("ANTHROPIC_BEDROCK_BASE_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        key_env="AWS_BEARER_TOKEN_BEDROCK",
        key_required=False,
        auth=aws_signature("bedrock"),
        list_headers=("anthropic-beta",),
    ),
    COMPATIBLE,
)
