"""The public API as type checkers see it: mypy and pyright read this file, nothing runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Literal, assert_type

import httpx
import msgspec

from dhenara_stream import (
    AIModelClient,
    ConfigError,
    DhenaraStreamError,
    FirstEventTimeout,
    RateLimitError,
    UsageError,
)
from dhenara_stream.types import (
    AIModel,
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelCallResponse,
    AIModelCallResult,
    AIModelCallsProgress,
    AIModelEndpoint,
    AsyncResults,
    AsyncStream,
    BaseAIModel,
    ChatResponse,
    ChatResponseChunk,
    ChatResponseContentItem,
    ChatResponseContentItemDelta,
    ChatResponseContentItemType,
    ChatResponseGenericContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseStructuredOutputContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCall,
    ChatResponseToolCallContentItem,
    ChatResponseUsage,
    ExternalApiCallStatus,
    FinishReason,
    FoundationModel,
    Prompt,
    Secret,
    StoredFile,
    StreamingChatResponse,
    StreamItem,
    StructuredOutputConfig,
    SyncResults,
    SyncStream,
    SystemInstruction,
    ToolCallResult,
    ToolDefinition,
    UsageCharge,
)
from dhenara_stream.types.conversation import ConversationNode
from dhenara_stream.types.genai.foundation_models import ALL_CHAT_MODELS, FoundationModelFns
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeSonnet45
from dhenara_stream.types.shared import SSEErrorData, SSEErrorResponse, SSEResponse


class City(msgspec.Struct):
    name: str


@dataclass
class Country:
    name: str


def weather(city: str) -> str:
    """The weather of a city."""
    return city


def made() -> AIModelClient:
    """Each field has its type; enum members may be given as such."""
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC,
        api_key="key",
        config={"base_url": "https://a.example", "headers": {"x": "y"}},
    )
    assert_type(api.api_key, str | None)
    assert_type(ClaudeSonnet45, FoundationModel)
    endpoint = AIModelEndpoint(api=api, ai_model=ClaudeSonnet45)
    assert_type(endpoint.ai_model, BaseAIModel)
    config = AIModelCallConfig(
        streaming=True,
        max_output_tokens=400,
        reasoning_effort="low",
        timeout=5,
        tools=[ToolDefinition.from_callable(weather), ToolDefinition.from_struct(City)],
        structured_output=City,
    )
    assert_type(config.timeout, float | None)
    assert_type(config.output_config, StructuredOutputConfig | None)
    assert_type(config.model_copy(update={"retries": 1}), AIModelCallConfig)
    assert_type(AIModelCallConfig.model_validate({"retries": 1}), AIModelCallConfig)
    assert_type(AIModelCallConfig.model_validate_json("{}"), AIModelCallConfig)
    assert_type(config.model_dump(), dict[str, Any])
    assert_type(config.model_dump_json(), str)
    client = AIModelClient(
        model_endpoint=endpoint, config=config, is_async=False, http_client=httpx.AsyncClient()
    )
    assert_type(client.model_endpoint, AIModelEndpoint)
    return client


def read_item(item: StreamItem) -> None:
    """Of the two sides of an item exactly one is there, and the checkers know."""
    chunk, final = item
    if chunk is None:
        assert_type(final, AIModelCallResponse | None)
    if isinstance(chunk, SSEErrorResponse):
        assert_type(chunk.data, SSEErrorData)
        assert_type(chunk.data.message, str)
    elif isinstance(chunk, StreamingChatResponse):
        assert_type(chunk.data, ChatResponseChunk)
        for choice in chunk.data.choice_deltas:
            assert_type(choice.finish_reason, FinishReason | None)
            for piece in choice.content_deltas or []:
                assert_type(piece.get_text_delta(), str | None)


def synchronous(client: AIModelClient) -> None:
    """A sync client's stream."""
    with client as entered:
        assert_type(entered, AIModelClient)
        response = entered.generate(
            prompt="Hi",
            context=["a", Prompt(text="b"), {"role": "user", "text": "c"}],
            instructions=["Be brief.", SystemInstruction(text="Be kind.")],
        )
    assert_type(response, AIModelCallResponse)
    assert_type(response.stream_generator, Any)
    assert_type(response.sync_stream_generator, SyncStream | None)
    assert_type(response.snapshot(), AIModelCallResponse)
    assert_type(response.status, ExternalApiCallStatus | None)
    if response.sync_stream_generator is not None:
        with response.sync_stream_generator as stream:
            assert_type(iter(stream), Iterator[StreamItem])
            assert_type(next(stream), StreamItem)
            for item in stream:
                read_item(item)
            assert_type(stream.status, ExternalApiCallStatus)
            assert_type(stream.snapshot(), AIModelCallResponse)
            stream.close()


async def asynchronous(client: AIModelClient) -> None:
    """An async client's stream."""
    async with client:
        response = await client.generate_async(
            messages=[Prompt(text="Hi"), ToolCallResult(call_id="c", output={"a": 1})],
            instructions="Be brief.",
        )
    assert_type(response, AIModelCallResponse)
    assert_type(response.async_stream_generator, AsyncStream | None)
    if response.async_stream_generator is not None:
        async with response.async_stream_generator as stream:
            assert_type(aiter(stream), AsyncIterator[StreamItem])
            assert_type(await anext(stream), StreamItem)
            async for item in stream:
                read_item(item)
            await stream.aclose()


def many(client: AIModelClient) -> None:
    """The results of many calls of a sync client."""
    results = client.generate_many(["a", {"text": "b"}], results_file="done.jsonl")
    assert_type(results, SyncResults)
    with results as entered:
        for result in entered:
            assert_type(result, AIModelCallResult)
        assert_type(next(entered), AIModelCallResult)
        assert_type(entered.progress, AIModelCallsProgress)
    results.close()


async def many_asynchronous(client: AIModelClient) -> None:
    """The results of many calls of an async client."""
    results = client.generate_many_async(["a", Prompt(text="b")])
    assert_type(results, AsyncResults)
    async with results as entered:
        async for result in entered:
            assert_type(result, AIModelCallResult)
        assert_type(await anext(entered), AIModelCallResult)
        assert_type(entered.progress, AIModelCallsProgress)


def relayed(item: StreamingChatResponse) -> None:
    """Events as text and back."""
    assert_type(item.to_sse_format(), str)
    assert_type(SSEResponse.parse_sse("data: 1"), SSEResponse[Any])
    assert_type(SSEErrorResponse.from_error(ConfigError("x")), SSEErrorResponse)


def read(answer: ChatResponse) -> None:
    """An answer's parts."""
    assert_type(answer.text(), str | None)
    assert_type(answer.refusal(), str | None)
    assert_type(answer.reasoning(), str | None)
    assert_type(answer.tools(), list[ChatResponseToolCallContentItem])
    assert_type(answer.tools()[0].arguments, dict[str, Any])
    assert_type(answer.tools()[0].tool_call, ChatResponseToolCall)
    assert_type(answer.structured(), dict[str, Any] | None)
    assert_type(answer.structured_instance(), Any)
    assert_type(answer.first(ChatResponseContentItemType.TEXT), ChatResponseContentItem | None)
    assert_type(answer.as_text(["text"]), str | None)
    assert_type(answer.to_message_item(), ChatResponse)
    assert_type(answer.to_prompt(), Prompt | None)
    assert_type(ChatResponse.from_dict({}), ChatResponse)
    assert_type(answer.usage, ChatResponseUsage | None)
    assert_type(answer.usage_charge, UsageCharge | None)
    assert_type(answer.model_dump(mode="json", exclude={"usage"}), dict[str, Any])
    node = ConversationNode(user_query="Hi", response=answer)
    assert_type(node.get_context(), list[Prompt])


def kind(item: ChatResponseContentItem) -> Literal["said", "thought", "called", "carried"]:
    """The union of blocks is closed."""
    if isinstance(item, ChatResponseReasoningContentItem):
        return "thought"
    if isinstance(item, ChatResponseStructuredOutputContentItem | ChatResponseTextContentItem):
        return "said"
    if isinstance(item, ChatResponseToolCallContentItem):
        return "called"
    assert_type(item, ChatResponseGenericContentItem)
    return "carried"


def piece_type(piece: ChatResponseContentItemDelta) -> ChatResponseContentItemType:
    """Blocks and pieces have a type."""
    return piece.type


def models() -> None:
    """Models are found and made."""
    assert_type(ALL_CHAT_MODELS, list[FoundationModel])
    assert_type(FoundationModelFns.get_foundation_model("x"), FoundationModel | None)
    assert_type(ClaudeSonnet45.clone("mine"), AIModel)
    assert_type(StructuredOutputConfig.from_model(Country), StructuredOutputConfig)
    assert_type(StoredFile.from_bytes(b"", "a"), StoredFile)
    assert_type(Secret("x").reveal(), str)


def handled(error: DhenaraStreamError) -> None:
    """Errors are also the builtin that fits."""
    assert_type(error.http_status, int | None)
    assert_type(error.facts(), dict[str, Any])
    as_builtin: TimeoutError = FirstEventTimeout("x")
    as_value: ValueError = UsageError("x")
    again: DhenaraStreamError = RateLimitError(str(as_builtin) + str(as_value), retry_after=1.0)
    raise again
