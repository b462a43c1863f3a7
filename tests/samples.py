"""Values that many tests need: an account, an endpoint, an answer with every kind of block."""

from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallResponseMetaData,
    AIModelEndpoint,
    AIModelProviderEnum,
    ChatMessageContentPart,
    ChatModelCostData,
    ChatModelSettings,
    ChatResponse,
    ChatResponseChoice,
    ChatResponseGenericContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseStructuredOutput,
    ChatResponseStructuredOutputContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCall,
    ChatResponseToolCallContentItem,
    ChatResponseUsage,
    FinishReason,
    FoundationModel,
    HostedToolUsage,
    StructuredOutputConfig,
    UsageCharge,
)

KEY = "sk-very-secret-0123456789"


def model(name: str = "model-1") -> FoundationModel:
    """A model with limits and prices."""
    return FoundationModel(
        provider=AIModelProviderEnum.ANTHROPIC,
        model_name=name,
        settings=ChatModelSettings(max_context_window_tokens=1000, max_output_tokens=100),
        cost_data=ChatModelCostData(
            input_token_cost_per_million=1.0, output_token_cost_per_million=2.0
        ),
    )


def api() -> AIModelAPI:
    """An account whose key is ``KEY``."""
    return AIModelAPI(provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=KEY)


def endpoint() -> AIModelEndpoint:
    """That model at that account."""
    return AIModelEndpoint(api=api(), ai_model=model())


def text(*pieces: str, kind: str = "output_text") -> ChatResponseTextContentItem:
    """A block of text with a part for each piece."""
    parts = [ChatMessageContentPart(type=kind, text=piece) for piece in pieces]
    return ChatResponseTextContentItem(message_contents=parts)


def reasoning(
    thought: str | None = None, summary: str | None = None
) -> ChatResponseReasoningContentItem:
    """A block of reasoning."""
    parts = [ChatMessageContentPart(type="thinking", text=thought)] if thought else None
    told = [ChatMessageContentPart(type="summary_text", text=summary)] if summary else None
    return ChatResponseReasoningContentItem(message_contents=parts, thinking_summary=told)


def tool_call(name: str = "f", call_id: str = "c1") -> ChatResponseToolCallContentItem:
    """A call of a tool with the argument ``a``."""
    call = ChatResponseToolCall(call_id=call_id, name=name, arguments={"a": 1})
    return ChatResponseToolCallContentItem(tool_call=call)


def structured(raw: str = '{"a": 1}') -> ChatResponseStructuredOutputContentItem:
    """A block that had to be a JSON object."""
    config = StructuredOutputConfig(output_schema={"type": "object"})
    output = ChatResponseStructuredOutput.from_text(raw, config)
    parts = [ChatMessageContentPart(type="output_text", text=raw)]
    return ChatResponseStructuredOutputContentItem(message_contents=parts, structured_output=output)


def generic() -> ChatResponseGenericContentItem:
    """A block of the provider's own."""
    return ChatResponseGenericContentItem(block_type="new_kind", block={"type": "new_kind", "x": 1})


def answer(*choices: list[object] | None) -> ChatResponse:
    """An answer with these blocks in each choice."""
    return ChatResponse(
        model="model-1",
        provider=AIModelProviderEnum.ANTHROPIC,
        choices=[
            ChatResponseChoice(index=i, contents=contents)  # type: ignore[arg-type]
            for i, contents in enumerate(choices)
        ],
    )


def full_answer() -> ChatResponse:
    """An answer in which every field has a value, with a block of each kind."""
    blocks = [reasoning("why", "in short"), text("a", "b"), tool_call(), structured(), generic()]
    response = answer([*blocks])
    response.choices[0].finish_reason = FinishReason.TOOL_CALLS
    response.choices[0].native_finish_reason = "tool_use"
    response.api_provider = AIModelAPIProviderEnum.ANTHROPIC
    response.usage = ChatResponseUsage(
        total_tokens=15,
        prompt_tokens=10,
        completion_tokens=5,
        hosted_tool_usage=HostedToolUsage(request_counts={"web_search": 1}),
        native={"input_tokens": 10},
    )
    response.usage_charge = UsageCharge(cost=0.5)
    response.metadata = AIModelCallResponseMetaData(streaming=True, duration_seconds=1.5)
    response.provider_response = {"id": "msg_1"}
    return response
