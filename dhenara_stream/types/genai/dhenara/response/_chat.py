"""A chat answer: whole, and in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Literal, Self

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import (
    AIModelAPIProviderEnum,
    AIModelProviderEnum,
    ChatResponseUsage,
    UsageCharge,
)
from dhenara_stream.types.genai.dhenara.request._prompt import (
    Prompt,
    PromptMessageRoleEnum,
    limit_words,
)
from dhenara_stream.types.shared.api import SSEEventType, SSEResponse
from dhenara_stream.types.shared.base import BaseEnum, BaseModel

from ._items import (
    ChatResponseContentItem,
    ChatResponseContentItemDelta,
    ChatResponseContentItemType,
    ChatResponseReasoningContentItem,
    ChatResponseStructuredOutput,
    ChatResponseStructuredOutputContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCallContentItem,
)

__all__ = [
    "AIModelCallResponseMetaData",
    "ChatResponse",
    "ChatResponseChoice",
    "ChatResponseChoiceDelta",
    "ChatResponseChunk",
    "FinishReason",
    "StreamingChatResponse",
]

Dict = dict[str, Any]


class FinishReason(BaseEnum):
    """Why an answer ended, the same for every provider."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    STOP_SEQUENCE = "stop_sequence"
    PAUSE = "pause"
    ERROR = "error"
    UNKNOWN = "unknown"


class AIModelCallResponseMetaData(BaseModel, kw_only=True):
    """Facts about a call beside its content.

    Attributes:
        streaming: Whether it was streamed.
        duration_seconds: From the start of the call to its end.
        provider_metadata: ``id`` and ``model`` as the provider names them, and what else it said.
    """

    streaming: bool = False
    duration_seconds: float | None = None
    provider_metadata: Dict | None = None


class ChatResponseChoice(BaseModel, kw_only=True):
    """One answer; most calls ask for one.

    Attributes:
        index: Its number.
        finish_reason: Why it ended; ``None`` if it did not.
        native_finish_reason: The same in the provider's own word.
        stop_sequence: The stop sequence that ended it.
        contents: Its blocks in order.
    """

    index: int
    finish_reason: FinishReason | None = None
    native_finish_reason: str | None = None
    stop_sequence: str | None = None
    contents: list[ChatResponseContentItem] | None = None
    metadata: Dict = {}


class ChatResponse(BaseModel, kw_only=True):
    """The consolidated answer.

    Attributes:
        model: The model's name.
        provider: Its maker.
        api_provider: Where the request went.
        usage: Tokens used; ``None`` if the provider did not tell.
        usage_charge: Their price; ``None`` if none is known.
        choices: The answers.
        metadata: Facts about the call.
        provider_response: The provider's own object, where it was kept.
    """

    type: Literal["chat_response"] = "chat_response"
    model: str
    provider: AIModelProviderEnum
    api_provider: AIModelAPIProviderEnum | None = None
    usage: ChatResponseUsage | None = None
    usage_charge: UsageCharge | None = None
    choices: list[ChatResponseChoice] = []
    metadata: AIModelCallResponseMetaData = msgspec.field(
        default_factory=AIModelCallResponseMetaData
    )
    provider_response: Dict | None = None

    def _first_contents(self) -> list[ChatResponseContentItem]:
        return (self.choices[0].contents or []) if self.choices else []

    def _all_items(self) -> Iterator[ChatResponseContentItem]:
        for choice in self.choices:
            yield from choice.contents or []

    def _parts(self, *, refusal: bool) -> str | None:
        texts = [
            part.text
            for item in self._first_contents()
            if isinstance(item, ChatResponseTextContentItem)
            and not isinstance(item, ChatResponseReasoningContentItem)
            for part in item.message_contents or []
            if (part.type == "refusal") is refusal and part.text is not None
        ]
        return "".join(texts) if texts else None

    def text(self) -> str | None:
        """The whole text of the first choice; ``None`` if it has none."""
        return self._parts(refusal=False)

    def refusal(self) -> str | None:
        """The whole refusal of the first choice; ``None`` if it did not refuse in words."""
        return self._parts(refusal=True)

    def reasoning(self) -> str | None:
        """The whole reasoning of the first choice; ``None`` if none was shown."""
        items = self._first_contents()
        texts = [i.get_text() for i in items if isinstance(i, ChatResponseReasoningContentItem)]
        return "".join(texts) or None

    def tools(self) -> list[ChatResponseToolCallContentItem]:
        """The tool calls of the first choice, in order.

        Each has ``call_id``, ``name`` and ``arguments``; one whose arguments do not parse, or
        were cut, has ``parse_error`` and ``raw_arguments`` and must not be carried out.
        """
        items = self._first_contents()
        return [i for i in items if isinstance(i, ChatResponseToolCallContentItem)]

    def first(
        self, content_type: ChatResponseContentItemType | str
    ) -> ChatResponseContentItem | None:
        """The first block of a type, over all choices."""
        wanted = _item_type(content_type)
        return next((item for item in self._all_items() if item.type == wanted), None)

    def as_text(
        self, content_types: list[ChatResponseContentItemType | str] | None = None
    ) -> str | None:
        """The text of all blocks (of these types), a blank line between; ``None`` if none.

        Raises:
            ConfigError: If a type is unknown.
        """
        wanted = {_item_type(t) for t in content_types or list(ChatResponseContentItemType)}
        texts = [item.get_text() for item in self._all_items() if item.type in wanted]
        return "\n\n".join(text for text in texts if text) or None

    def structured_unprocessed(self) -> ChatResponseStructuredOutput | None:
        """The structured output with its raw text and, if it does not fit, the reason."""
        for item in self._all_items():
            if isinstance(item, ChatResponseStructuredOutputContentItem):
                return item.structured_output
        return None

    def structured(self) -> Dict | None:
        """The structured output's data; ``None`` if there is none that fits."""
        output = self.structured_unprocessed()
        return output.structured_data if output else None

    def structured_instance(self) -> Any:
        """The structured output as an instance of the class that was asked for, or ``None``."""
        output = self.structured_unprocessed()
        if output is None or output.structured_data is None:
            return None
        return output.config.instance(output.structured_data)

    structured_pyd = structured_instance

    def to_message_item(self, choice_index: int = 0) -> ChatResponse:
        """A copy that goes into ``messages`` of the next call; every block goes back unchanged.

        Raises:
            ConfigError: If there is no such choice.
        """
        if not 0 <= choice_index < len(self.choices):
            raise ConfigError(
                f"to_message_item: no choice {choice_index}, the response has {len(self.choices)}"
            )
        return self.model_copy(update={"choices": [deepcopy(self.choices[choice_index])]})

    def to_prompt(self, choice_index: int = 0, max_words_text: int | None = None) -> Prompt | None:
        """The choice's blocks as one assistant prompt of plain text; ``None`` if empty."""
        choice = self.choices[choice_index] if choice_index < len(self.choices) else None
        texts = [item.get_text() for item in (choice.contents if choice else None) or []]
        text = "\n".join(text for text in texts if text)
        if not text:
            return None
        return Prompt(role=PromptMessageRoleEnum.ASSISTANT, text=limit_words(text, max_words_text))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The response that :meth:`model_dump` wrote, each class restored."""
        return cls.model_validate(data)

    def preview_dict(self) -> Dict:
        """A dump without the content, for logs."""
        dumped = self.model_dump(mode="json", exclude={"choices", "provider_response"})
        return dumped | {"choices_summary": [_summary(choice) for choice in self.choices]}

    def get_visible_fields(self) -> Dict:
        """A dump without the provider's own objects."""
        return self.model_dump(exclude={"provider_response", "metadata"})


def _item_type(value: ChatResponseContentItemType | str) -> ChatResponseContentItemType:
    try:
        return ChatResponseContentItemType(value)
    except ValueError:
        known = ", ".join(ChatResponseContentItemType)
        raise ConfigError(f"unknown content type {value!r} (known: {known})") from None


def _summary(choice: ChatResponseChoice) -> Dict:
    types = [str(item.type) for item in choice.contents or []]
    return {"index": choice.index, "finish_reason": choice.finish_reason, "contents": types}


class ChatResponseChoiceDelta(BaseModel, kw_only=True):
    """What is new in one choice."""

    index: int
    finish_reason: FinishReason | None = None
    native_finish_reason: str | None = None
    stop_sequence: str | None = None
    content_deltas: list[ChatResponseContentItemDelta] | None = None
    metadata: Dict = {}


class ChatResponseChunk(BaseModel, kw_only=True):
    """What is new in the answer; the last one of a complete answer has ``done=True``.

    The last chunk carries the finish reasons, ``usage`` and ``usage_charge``.
    """

    model: str
    provider: AIModelProviderEnum
    api_provider: AIModelAPIProviderEnum | None = None
    usage: ChatResponseUsage | None = None
    usage_charge: UsageCharge | None = None
    choice_deltas: list[ChatResponseChoiceDelta] = []
    metadata: AIModelCallResponseMetaData | None = None
    done: bool = False

    def get_visible_fields(self) -> Dict:
        """A dump without the metadata."""
        return self.model_dump(exclude={"metadata"})


class StreamingChatResponse(SSEResponse[ChatResponseChunk], kw_only=True):
    """One chunk as an event; ``id`` is the provider's id of the message."""

    event: SSEEventType = SSEEventType.TOKEN_STREAM
    data: ChatResponseChunk


SSEResponse._restored[SSEEventType.TOKEN_STREAM] = (  # pyright: ignore[reportPrivateUsage]
    StreamingChatResponse,
    ChatResponseChunk,
)
