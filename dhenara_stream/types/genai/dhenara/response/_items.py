"""The blocks of an answer, and the pieces they arrive in."""

from __future__ import annotations

from typing import Any, ClassVar

from dhenara_stream.types.genai.dhenara.request._structured_output import StructuredOutputConfig
from dhenara_stream.types.shared.base import BaseEnum, BaseModel

__all__ = [
    "ChatMessageContentPart",
    "ChatResponseContentItem",
    "ChatResponseContentItemDelta",
    "ChatResponseContentItemType",
    "ChatResponseGenericContentItem",
    "ChatResponseGenericContentItemDelta",
    "ChatResponseReasoningContentItem",
    "ChatResponseReasoningContentItemDelta",
    "ChatResponseStructuredOutput",
    "ChatResponseStructuredOutputContentItem",
    "ChatResponseTextContentItem",
    "ChatResponseTextContentItemDelta",
    "ChatResponseToolCall",
    "ChatResponseToolCallContentItem",
    "ChatResponseToolCallContentItemDelta",
    "ChatResponseToolCallResult",
]

Dict = dict[str, Any]


class ChatResponseContentItemType(BaseEnum):
    """What a block of an answer is."""

    TEXT = "text"
    REASONING = "reasoning"
    GENERIC = "generic"
    TOOL_CALL = "tool_call"
    STRUCTURED_OUTPUT = "structured_output"


class ChatMessageContentPart(BaseModel, kw_only=True):
    """A part of a block.

    ``type`` is ``output_text``, ``refusal``, ``thinking`` or ``summary_text``.
    """

    type: str
    text: str | None = None
    annotations: list[Dict] | None = None
    metadata: Dict | None = None


class BaseChatResponseContentItem(BaseModel, kw_only=True, tag_field="type"):
    """What all blocks have; ``index`` is the block's place in the answer."""

    index: int = 0
    metadata: Dict = {}
    storage_metadata: Dict = {}
    custom_metadata: Dict = {}
    role: str | None = None


class ChatResponseTextContentItem(BaseChatResponseContentItem, kw_only=True, tag="text"):
    """Text, or a refusal (parts of type ``refusal``); citations are the parts' ``annotations``."""

    type: ClassVar[ChatResponseContentItemType] = ChatResponseContentItemType.TEXT

    message_id: str | None = None
    message_contents: list[ChatMessageContentPart] | None = None

    def get_text(self) -> str:
        """The text of all parts."""
        return "".join(part.text or "" for part in self.message_contents or [])


class ChatResponseReasoningContentItem(ChatResponseTextContentItem, kw_only=True, tag="reasoning"):
    """Reasoning as the provider shows it, with what it wants back.

    Attributes:
        thinking_id: The provider's id of the reasoning item.
        thinking_summary: The summary's parts, where the provider gives one.
        thinking_signature: Opaque; sent back unchanged on the next turn.
        thinking_status: The provider's word for how it ended.
    """

    type: ClassVar[ChatResponseContentItemType] = ChatResponseContentItemType.REASONING

    thinking_id: str | None = None
    thinking_summary: list[ChatMessageContentPart] | None = None
    thinking_signature: str | None = None
    thinking_status: str | None = None

    def get_text(self) -> str:
        """The reasoning, else its summary."""
        parts = self.message_contents or self.thinking_summary or []
        return "".join(part.text or "" for part in parts)


class ChatResponseToolCall(BaseModel, kw_only=True):
    """A call of one of the caller's tools.

    Attributes:
        call_id: What a ToolCallResult must name.
        id: The provider's id of the item, where it is another one.
        name: The tool.
        arguments: The parsed arguments; empty if they do not parse.
        raw_arguments: The text of the arguments, where they do not parse or were cut.
        parse_error: Why they do not parse; such a call must not be carried out.
        raw_data: As dhenara has it: the same as ``raw_arguments``.
    """

    call_id: str | None = None
    id: str | None = None
    name: str
    arguments: Dict = {}
    metadata: Dict = {}
    raw_arguments: str | None = None
    parse_error: str | None = None

    @property
    def raw_data(self) -> str | None:
        return self.raw_arguments


class ChatResponseToolCallContentItem(BaseChatResponseContentItem, kw_only=True, tag="tool_call"):
    """A tool call; the call's facts can be read here or at ``tool_call``."""

    type: ClassVar[ChatResponseContentItemType] = ChatResponseContentItemType.TOOL_CALL

    tool_call: ChatResponseToolCall

    @property
    def call_id(self) -> str | None:
        """What a ToolCallResult must name."""
        return self.tool_call.call_id

    @property
    def name(self) -> str:
        """The tool."""
        return self.tool_call.name

    @property
    def arguments(self) -> Dict:
        """The parsed arguments; empty if they do not parse."""
        return self.tool_call.arguments

    @property
    def raw_arguments(self) -> str | None:
        """The text of the arguments, where they do not parse or were cut."""
        return self.tool_call.raw_arguments

    @property
    def parse_error(self) -> str | None:
        """Why the arguments do not parse; such a call must not be carried out."""
        return self.tool_call.parse_error

    def get_text(self) -> str:
        """The call in words."""
        return f"Tool call: {self.tool_call.model_dump()}"


class ChatResponseToolCallResult(BaseModel, kw_only=True):
    """What a tool gave."""

    tool_name: str
    call_id: str | None = None
    result: Any = None
    error: str | None = None


class ChatResponseStructuredOutput(BaseModel, kw_only=True):
    """An answer that had to fit a schema.

    Attributes:
        config: What was asked for.
        structured_data: The data, validated; ``None`` if it does not fit.
        raw_data: The text as it came.
        parse_error: Why it does not fit.
        post_processed: Whether the data had to be taken out of other text.
    """

    config: StructuredOutputConfig
    structured_data: Dict | None = None
    raw_data: str | None = None
    parse_error: str | None = None
    post_processed: bool = False

    @classmethod
    def from_text(cls, text: str, config: StructuredOutputConfig) -> ChatResponseStructuredOutput:
        """Parse and validate ``text``; what is wrong stands in ``parse_error``."""
        data, error, processed = config.parse(text)
        return cls(
            config=config,
            structured_data=data,
            raw_data=text,
            parse_error=error,
            post_processed=processed,
        )


class ChatResponseStructuredOutputContentItem(
    ChatResponseTextContentItem, kw_only=True, tag="structured_output"
):
    """Text that had to fit a schema, and the data in it."""

    type: ClassVar[ChatResponseContentItemType] = ChatResponseContentItemType.STRUCTURED_OUTPUT

    structured_output: ChatResponseStructuredOutput


class ChatResponseGenericContentItem(BaseChatResponseContentItem, kw_only=True, tag="generic"):
    """A block of the provider's own, carried through: hosted tools, opaque items, new kinds.

    Attributes:
        block_type: The provider's name for the kind of block.
        block: The block as it came; sent back unchanged on the next turn.
    """

    type: ClassVar[ChatResponseContentItemType] = ChatResponseContentItemType.GENERIC

    block_type: str = ""
    block: Dict = {}

    def get_text(self) -> str:
        """The block as text, for people."""
        return str(self.block)


ChatResponseContentItem = (
    ChatResponseTextContentItem
    | ChatResponseReasoningContentItem
    | ChatResponseToolCallContentItem
    | ChatResponseStructuredOutputContentItem
    | ChatResponseGenericContentItem
)


class BaseChatResponseContentItemDelta(BaseModel, kw_only=True, tag_field="type"):
    """What all pieces have; ``index`` is the place of the block that the piece belongs to."""

    index: int = 0
    metadata: Dict = {}
    storage_metadata: Dict = {}
    custom_metadata: Dict = {}
    role: str | None = None


class ChatResponseTextContentItemDelta(BaseChatResponseContentItemDelta, kw_only=True, tag="text"):
    """A piece of text; of a refusal if ``metadata["refusal"]``."""

    type: ClassVar[ChatResponseContentItemType] = ChatResponseContentItemType.TEXT

    text_delta: str | None = None
    message_id: str | None = None
    message_contents: list[ChatMessageContentPart] | None = None

    def get_text_delta(self) -> str | None:
        """The piece of text."""
        return self.text_delta


class ChatResponseReasoningContentItemDelta(
    ChatResponseTextContentItemDelta, kw_only=True, tag="reasoning"
):
    """A piece of reasoning, of its summary, or its signature."""

    type: ClassVar[ChatResponseContentItemType] = ChatResponseContentItemType.REASONING

    thinking_summary_delta: str | None = None
    thinking_id: str | None = None
    thinking_signature: str | None = None

    def get_text_delta(self) -> str | None:
        """The piece of reasoning, else of its summary."""
        return self.text_delta or self.thinking_summary_delta

    def get_thinking_summary_delta(self) -> str | None:
        """The piece of the summary."""
        return self.thinking_summary_delta


class ChatResponseToolCallContentItemDelta(
    BaseChatResponseContentItemDelta, kw_only=True, tag="tool_call"
):
    """The start of a tool call, a piece of its arguments, or its end.

    ``tool_call`` is there at the start (name and id, no arguments yet) and at the end
    (``metadata["finalize_tool_call"]``), with the parsed arguments.
    """

    type: ClassVar[ChatResponseContentItemType] = ChatResponseContentItemType.TOOL_CALL

    tool_call: ChatResponseToolCall | None = None
    arguments_delta: str | None = None

    def get_text_delta(self) -> str | None:
        """The piece of the arguments."""
        return self.arguments_delta


class ChatResponseGenericContentItemDelta(
    BaseChatResponseContentItemDelta, kw_only=True, tag="generic"
):
    """A block of the provider's own, or news of one, in ``metadata``."""

    type: ClassVar[ChatResponseContentItemType] = ChatResponseContentItemType.GENERIC

    def get_text_delta(self) -> str | None:
        """Nothing: such a block has no text of its own."""
        return None


ChatResponseContentItemDelta = (
    ChatResponseTextContentItemDelta
    | ChatResponseReasoningContentItemDelta
    | ChatResponseToolCallContentItemDelta
    | ChatResponseGenericContentItemDelta
)
