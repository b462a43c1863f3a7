"""Deltas in; chunks, and at any time the whole answer so far, out.

Rules: text is appended and joined once, tool arguments are parsed once, at the block's end. The
last usage wins. What has been handed out is never changed afterwards, and shares nothing with what
is kept here. A call whose arguments were cut is never presented as finished.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import msgspec

from dhenara_stream.types.genai.ai_model import (
    AIModelAPIProviderEnum,
    AIModelProviderEnum,
    ChatResponseUsage,
    HostedToolUsage,
    UsageCharge,
)
from dhenara_stream.types.genai.dhenara.request import StructuredOutputConfig
from dhenara_stream.types.genai.dhenara.response import (
    AIModelCallResponseMetaData,
    ChatMessageContentPart,
    ChatResponse,
    ChatResponseChoice,
    ChatResponseChoiceDelta,
    ChatResponseChunk,
    ChatResponseContentItem,
    ChatResponseContentItemDelta,
    ChatResponseGenericContentItem,
    ChatResponseGenericContentItemDelta,
    ChatResponseReasoningContentItem,
    ChatResponseReasoningContentItemDelta,
    ChatResponseStructuredOutput,
    ChatResponseStructuredOutputContentItem,
    ChatResponseTextContentItem,
    ChatResponseTextContentItemDelta,
    ChatResponseToolCall,
    ChatResponseToolCallContentItem,
    ChatResponseToolCallContentItemDelta,
    FinishReason,
    StreamingChatResponse,
)
from dhenara_stream.types.shared.copies import deep_copied

from . import deltas as d

__all__ = ["Accumulator", "AnswerFacts"]

Dict = dict[str, Any]

ROLE = "assistant"
CUT = "the stream ended before the arguments were complete"
NAMELESS = "the call came without the name of its tool"
# After these the last block may be no more than a beginning.
CUT_SHORT = frozenset({FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.ERROR})


class AnswerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an answer before it comes.

    Attributes:
        model: The model's name.
        provider: Its maker.
        api_provider: Where the request goes.
        output: The schema that the answer must fit.
        output_tool: The tool whose arguments are the structured output.
        charge: The price of a usage.
    """

    model: str
    provider: AIModelProviderEnum
    api_provider: AIModelAPIProviderEnum | None = None
    output: StructuredOutputConfig | None = None
    output_tool: str | None = None
    charge: Callable[[ChatResponseUsage], UsageCharge | None] | None = None


class _Block(ABC):
    """One block being built."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.pieces: list[str] = []
        self.closed = False
        self.id: str | None = None
        self.metadata: Dict = {}

    def text(self) -> str:
        return "".join(self.pieces)

    @abstractmethod
    def item(self, complete: bool) -> ChatResponseContentItem: ...

    def end(self) -> ChatResponseContentItemDelta | None:
        """The last piece, if the block's end is news."""
        return None


class _Text(_Block):
    part_type = "output_text"

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.annotations: list[Dict] = []

    def parts(self) -> list[ChatMessageContentPart]:
        annotations = deep_copied(self.annotations) or None
        return [
            ChatMessageContentPart(type=self.part_type, text=self.text(), annotations=annotations)
        ]

    def item(self, complete: bool) -> ChatResponseContentItem:
        return ChatResponseTextContentItem(
            index=self.index,
            role=ROLE,
            message_id=self.id,
            message_contents=self.parts(),
            metadata=deep_copied(self.metadata),
        )

    def structured(self, output: StructuredOutputConfig) -> ChatResponseContentItem:
        return ChatResponseStructuredOutputContentItem(
            index=self.index,
            role=ROLE,
            message_id=self.id,
            message_contents=self.parts(),
            metadata=deep_copied(self.metadata),
            structured_output=ChatResponseStructuredOutput.from_text(self.text(), output),
        )


class _Refusal(_Text):
    part_type = "refusal"


class _Carrier(_Text):
    """The call whose arguments are the structured output."""


class _Reasoning(_Block):
    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.signature: str | None = None
        self.summary: dict[int, list[str]] = {}

    def item(self, complete: bool) -> ChatResponseContentItem:
        text = self.text()
        parts = [ChatMessageContentPart(type="thinking", text=text)] if text else None
        summary = [
            ChatMessageContentPart(type="summary_text", text="".join(pieces))
            for pieces in list(self.summary.values())
        ]
        status = self.metadata.get("status")
        return ChatResponseReasoningContentItem(
            index=self.index,
            role=ROLE,
            message_contents=parts,
            thinking_id=self.id,
            thinking_summary=summary or None,
            thinking_signature=self.signature,
            thinking_status=status if isinstance(status, str) else None,
            metadata=deep_copied(self.metadata),
        )


class _ToolCall(_Block):
    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.name = ""
        self.call_id: str | None = None
        self.given: Dict | None = None
        self.cut = False
        self.parsed: tuple[Dict, str | None] | None = None

    def is_empty(self) -> bool:
        return not self.pieces and self.given is None

    def call(self, complete: bool) -> ChatResponseToolCall:
        arguments, error = self.arguments(complete)
        return ChatResponseToolCall(
            call_id=self.call_id,
            id=self.id,
            name=self.name,
            arguments=deep_copied(arguments),
            metadata=deep_copied(self.metadata),
            raw_arguments=None if error is None else self.text(),
            parse_error=error,
        )

    def arguments(self, complete: bool) -> tuple[Dict, str | None]:
        if self.cut or not complete:
            return {}, CUT
        if not self.name:
            return {}, NAMELESS
        if not self.closed:
            return _arguments(self.text(), self.given)
        if self.parsed is None:
            self.parsed = _arguments(self.text(), self.given)
        return self.parsed

    def item(self, complete: bool) -> ChatResponseContentItem:
        call = self.call(complete or self.closed)
        return ChatResponseToolCallContentItem(index=self.index, role=ROLE, tool_call=call)

    def end(self) -> ChatResponseContentItemDelta:
        return ChatResponseToolCallContentItemDelta(
            index=self.index,
            role=ROLE,
            tool_call=self.call(True),
            metadata={"finalize_tool_call": True},
        )


def _arguments(text: str, given: Dict | None) -> tuple[Dict, str | None]:
    if not text.strip():
        return given or {}, None
    try:
        parsed = msgspec.json.decode(text)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        return {}, f"the arguments are not valid JSON: {error}"
    if not isinstance(parsed, dict):
        return {}, f"the arguments are not a JSON object but `{type(parsed).__name__}`"
    return parsed, None  # pyright: ignore[reportUnknownVariableType]


class _Opaque(_Block):
    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.block_type = ""
        self.block: Dict = {}
        self.input_key: str | None = None

    def whole(self) -> Dict:
        """The block with its input filled in; input that does not parse stays text."""
        text = self.text()
        if not text or self.input_key is None:
            return deep_copied(self.block)
        arguments, error = _arguments(text, None)
        return {**deep_copied(self.block), self.input_key: text if error else arguments}

    def item(self, complete: bool) -> ChatResponseContentItem:
        return ChatResponseGenericContentItem(
            index=self.index,
            role=ROLE,
            block_type=self.block_type,
            block=self.whole(),
            metadata=deep_copied(self.metadata),
        )

    def news(self) -> ChatResponseContentItemDelta:
        metadata: Dict = {"block_type": self.block_type, "block": self.whole()}
        return ChatResponseGenericContentItemDelta(index=self.index, role=ROLE, metadata=metadata)

    def end(self) -> ChatResponseContentItemDelta | None:
        return self.news() if self.pieces else None


def _grown(told: Dict, more: Dict, levels: int = 2) -> Dict:
    """Both, in a new dict, so that a reader in another thread sees one or the other.

    Only lists grow where they are: long ones would be copied with every piece. Each has but one
    place, and its readers copy what it holds.
    """
    grown = dict(told)
    for key, value in more.items():
        known = grown.get(key)
        if isinstance(value, list) and isinstance(known, list):
            known += value  # pyright: ignore[reportUnknownVariableType]
        elif isinstance(value, list):
            grown[key] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(value, dict) and levels > 1:
            known = cast("Dict", known) if isinstance(known, dict) else {}
            grown[key] = _grown(known, cast("Dict", value), levels - 1)
        else:
            grown[key] = value
    return grown


_B = TypeVar("_B", bound=_Block)


class _Choice:
    """One answer being built."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.blocks: list[_Block] = []
        self.latest: dict[int, _Block] = {}
        self.kinds: dict[tuple[int, type[_Block]], _Block] = {}
        self.finish: d.Finish | None = None
        self.metadata: Dict = {}
        self.output_called = False

    def block(self, index: int, kind: type[_B]) -> _B:
        """The block of this kind at ``index``, begun if need be.

        Where a peer mixes up its indexes, each kind of block at an index is a block of its own:
        nothing is lost.
        """
        block = self.latest.get(index)
        if type(block) is kind:
            return block
        other = self.kinds.get((index, kind))
        if other is None:
            return self.begin(index, kind)
        self.latest[index] = other
        return cast("_B", other)

    def begin(self, index: int, kind: type[_B]) -> _B:
        """A new block, also where one of its kind stands."""
        block = self.latest[index] = self.kinds[index, kind] = kind(index)
        self.blocks.append(block)
        return block

    def in_order(self) -> list[_Block]:
        return sorted(self.blocks, key=lambda block: block.index)

    def reason(self) -> FinishReason | None:
        if self.finish is None:
            return None
        reason = FinishReason(self.finish.reason)
        # The call was only the carrier of the structured output: the model is done.
        if self.output_called and reason == FinishReason.TOOL_CALLS:
            calls = any(isinstance(block, _ToolCall) for block in self.blocks)
            return reason if calls else FinishReason.STOP
        return reason


class Accumulator:
    """Builds one answer. Reading it from another thread while it grows is safe."""

    def __init__(self, facts: AnswerFacts) -> None:
        self._facts = facts
        self._choices: dict[int, _Choice] = {}
        self._usage: d.TokenUsage | None = None
        self._id: str | None = None
        self._info: Dict = {}
        self._handlers: dict[type, Callable[[Any], ChatResponseContentItemDelta | None]] = {
            d.TextDelta: self._on_text,
            d.RefusalDelta: self._on_refusal,
            d.ReasoningDelta: self._on_reasoning,
            d.ReasoningSummaryDelta: self._on_summary,
            d.SignatureDelta: self._on_signature,
            d.ToolArgumentsDelta: self._on_arguments,
            d.BlockStart: self._on_start,
            d.ToolCallStart: self._on_call,
            d.OpaqueStart: self._on_opaque,
            d.OpaqueUpdate: self._on_opaque_update,
            d.RedactedReasoning: self._on_redacted,
            d.AnnotationDelta: self._on_annotation,
            d.BlockInfo: self._on_block_info,
            d.BlockEnd: self._on_end,
            d.UsageUpdate: self._on_usage,
            d.Finish: self._on_finish,
            d.ChoiceInfo: self._on_choice_info,
            d.StreamInfo: self._on_info,
            d.Ping: self._on_ping,
        }

    # --- deltas in, chunks out

    def add(self, deltas: Sequence[d.Delta]) -> StreamingChatResponse | None:
        """Take what an event says; a chunk with what is new in it, if it has content."""
        if len(deltas) == 1:  # nearly all events; in this way for two thirds of the price
            delta = deltas[0]
            content = self._handlers[delta.__class__](delta)
            if content is None:
                return None
            choice = ChatResponseChoiceDelta(
                index=getattr(delta, "choice", 0), content_deltas=[content]
            )
            return self._chunk([choice])
        news: dict[int, list[ChatResponseContentItemDelta]] = {}
        for delta in deltas:
            content = self._handlers[type(delta)](delta)
            if content is not None:
                news.setdefault(getattr(delta, "choice", 0), []).append(content)
        if not news:
            return None
        return self._chunk(
            [ChatResponseChoiceDelta(index=i, content_deltas=c) for i, c in news.items()]
        )

    def done(self) -> StreamingChatResponse:
        """The last chunk of a complete answer: finish reasons, usage, price.

        Each choice has an empty piece of text, so that code which looks at the first piece of
        the first choice of every chunk runs.
        """
        ends = [
            ChatResponseChoiceDelta(
                index=choice.index,
                finish_reason=choice.reason(),
                native_finish_reason=choice.finish.native if choice.finish else None,
                stop_sequence=choice.finish.stop_sequence if choice.finish else None,
                content_deltas=[ChatResponseTextContentItemDelta(text_delta="", role=ROLE)],
            )
            for choice in self._sorted_choices() or [_Choice(0)]
        ]
        chunk = self._chunk(ends)
        chunk.data.done = True
        chunk.data.usage = self.usage()
        chunk.data.usage_charge = self._charge(chunk.data.usage)
        return chunk

    def _chunk(self, choice_deltas: list[ChatResponseChoiceDelta]) -> StreamingChatResponse:
        facts = self._facts
        return StreamingChatResponse(
            id=self._id,
            data=ChatResponseChunk(
                model=facts.model,
                provider=facts.provider,
                api_provider=facts.api_provider,
                choice_deltas=choice_deltas,
            ),
        )

    # --- the whole answer so far

    def response(
        self, *, complete: bool, streaming: bool, duration: float | None = None
    ) -> ChatResponse:
        """The answer so far. Of an incomplete one, calls that were cut say so."""
        usage = self.usage()
        metadata = AIModelCallResponseMetaData(
            streaming=streaming,
            duration_seconds=duration,
            provider_metadata={"id": self._id, **deep_copied(self._info)},
        )
        return ChatResponse(
            model=self._facts.model,
            provider=self._facts.provider,
            api_provider=self._facts.api_provider,
            usage=usage,
            usage_charge=self._charge(usage),
            choices=[self._whole(choice, complete) for choice in self._sorted_choices()],
            metadata=metadata,
        )

    def usage(self) -> ChatResponseUsage | None:
        """The usage so far; ``None`` if the provider has not told."""
        told = self._usage
        if told is None:
            return None
        hosted = told.hosted_requests
        return ChatResponseUsage(
            total_tokens=told.total_tokens,
            prompt_tokens=told.prompt_tokens,
            completion_tokens=told.completion_tokens,
            reasoning_tokens=told.reasoning_tokens,
            cache_read_tokens=told.cache_read_tokens,
            cache_write_tokens=told.cache_write_tokens,
            cache_write_1h_tokens=told.cache_write_1h_tokens,
            hosted_tool_usage=HostedToolUsage(
                request_counts=dict(hosted), billing_counts=dict(hosted)
            )
            if hosted
            else None,
            native=deep_copied(told.native),
        )

    def _charge(self, usage: ChatResponseUsage | None) -> UsageCharge | None:
        charge = self._facts.charge
        return charge(usage) if charge is not None and usage is not None else None

    def _sorted_choices(self) -> list[_Choice]:
        return sorted(self._choices.values(), key=lambda choice: choice.index)

    def _whole(self, choice: _Choice, complete: bool) -> ChatResponseChoice:
        finish = choice.finish
        blocks = choice.in_order()
        contents = [block.item(complete) for block in blocks]
        if self._facts.output is not None and finish is not None:
            self._structure(choice, blocks, contents)
        return ChatResponseChoice(
            index=choice.index,
            finish_reason=choice.reason(),
            native_finish_reason=finish.native if finish else None,
            stop_sequence=finish.stop_sequence if finish else None,
            contents=contents,
            metadata=deep_copied({**choice.metadata, **((finish and finish.metadata) or {})}),
        )

    def _structure(
        self,
        choice: _Choice,
        blocks: list[_Block],
        contents: list[ChatResponseContentItem],
    ) -> None:
        """Turn its carrier, else the last text, into structured output; calls come first."""
        output = self._facts.output
        if output is None or choice.reason() == FinishReason.TOOL_CALLS:
            return
        kind = _Carrier if choice.output_called else _Text
        for i in reversed(range(len(blocks))):
            block = blocks[i]
            if type(block) is kind:
                contents[i] = block.structured(output)
                return

    # --- one method a delta

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
        return choice

    def _on_text(self, delta: d.TextDelta) -> ChatResponseContentItemDelta | None:
        if not delta.text:
            return None
        self._choice(delta.choice).block(delta.index, _Text).pieces.append(delta.text)
        return ChatResponseTextContentItemDelta(index=delta.index, text_delta=delta.text, role=ROLE)

    def _on_refusal(self, delta: d.RefusalDelta) -> ChatResponseContentItemDelta | None:
        if not delta.text:
            return None
        self._choice(delta.choice).block(delta.index, _Refusal).pieces.append(delta.text)
        return ChatResponseTextContentItemDelta(
            index=delta.index, text_delta=delta.text, role=ROLE, metadata={"refusal": True}
        )

    def _on_reasoning(self, delta: d.ReasoningDelta) -> ChatResponseContentItemDelta | None:
        if not delta.text:
            return None
        self._choice(delta.choice).block(delta.index, _Reasoning).pieces.append(delta.text)
        return ChatResponseReasoningContentItemDelta(
            index=delta.index, text_delta=delta.text, role=ROLE
        )

    def _on_summary(self, delta: d.ReasoningSummaryDelta) -> ChatResponseContentItemDelta | None:
        if not delta.text:
            return None
        block = self._choice(delta.choice).block(delta.index, _Reasoning)
        block.summary.setdefault(delta.part, []).append(delta.text)
        return ChatResponseReasoningContentItemDelta(
            index=delta.index, thinking_summary_delta=delta.text, role=ROLE
        )

    def _on_signature(self, delta: d.SignatureDelta) -> ChatResponseContentItemDelta:
        choice = self._choice(delta.choice)
        block = choice.latest.get(delta.index) or choice.block(delta.index, _Reasoning)
        if isinstance(block, _Reasoning):
            block.signature = delta.text
        else:
            block.metadata = {**block.metadata, "thought_signature": delta.text}
        return ChatResponseReasoningContentItemDelta(
            index=delta.index, text_delta="", thinking_signature=delta.text, role=ROLE
        )

    def _on_redacted(self, delta: d.RedactedReasoning) -> ChatResponseContentItemDelta:
        block = self._choice(delta.choice).block(delta.index, _Reasoning)
        block.metadata = {**block.metadata, "redacted_thinking_data": delta.data}
        return ChatResponseReasoningContentItemDelta(
            index=delta.index,
            text_delta="",
            role=ROLE,
            metadata={"redacted_thinking_data": delta.data},
        )

    def _on_arguments(self, delta: d.ToolArgumentsDelta) -> ChatResponseContentItemDelta | None:
        if not delta.text:
            return None
        choice = self._choice(delta.choice)
        block = choice.latest.get(delta.index)
        if not isinstance(block, _ToolCall | _Carrier | _Opaque):
            block = choice.block(delta.index, _ToolCall)
        block.pieces.append(delta.text)
        if isinstance(block, _ToolCall):
            return ChatResponseToolCallContentItemDelta(
                index=delta.index, arguments_delta=delta.text, role=ROLE
            )
        if isinstance(block, _Carrier):
            return ChatResponseTextContentItemDelta(
                index=delta.index, text_delta=delta.text, role=ROLE
            )
        return ChatResponseGenericContentItemDelta(
            index=delta.index, role=ROLE, metadata={"input_delta": delta.text}
        )

    def _on_start(self, delta: d.BlockStart) -> None:
        kind = _Reasoning if delta.kind == "reasoning" else _Text
        self._choice(delta.choice).block(delta.index, kind)

    def _on_call(self, delta: d.ToolCallStart) -> ChatResponseContentItemDelta | None:
        choice = self._choice(delta.choice)
        if delta.name == self._facts.output_tool:
            choice.output_called = True
            carrier = choice.block(delta.index, _Carrier)
            carrier.metadata = {"tool_call": {"call_id": delta.call_id, "name": delta.name}}
            if delta.arguments:
                carrier.pieces.append(msgspec.json.encode(delta.arguments).decode())
            return None
        block = choice.block(delta.index, _ToolCall)
        if block.name and (block.closed or block.call_id != delta.call_id):
            block = choice.begin(delta.index, _ToolCall)
        block.name, block.call_id, block.id = delta.name, delta.call_id, delta.id
        block.given = delta.arguments
        if delta.arguments is not None:
            block.pieces = []  # only pieces that follow count instead
        block.metadata = deep_copied(delta.metadata or {})
        started = ChatResponseToolCall(
            call_id=delta.call_id,
            id=delta.id,
            name=delta.name,
            metadata=deep_copied(block.metadata),
        )
        return ChatResponseToolCallContentItemDelta(
            index=delta.index, role=ROLE, tool_call=started, metadata={"tool_use_start": True}
        )

    def _on_opaque(self, delta: d.OpaqueStart) -> ChatResponseContentItemDelta:
        block = self._choice(delta.choice).block(delta.index, _Opaque)
        block.block_type, block.block = delta.block_type, delta.block
        block.input_key = delta.input_key
        return block.news()

    def _on_opaque_update(self, delta: d.OpaqueUpdate) -> ChatResponseContentItemDelta:
        block = self._choice(delta.choice).block(delta.index, _Opaque)
        block.block = {**block.block, **delta.fields}
        return block.news()

    def _on_annotation(self, delta: d.AnnotationDelta) -> ChatResponseContentItemDelta:
        block = self._choice(delta.choice).block(delta.index, _Text)
        block.annotations.append(delta.annotation)
        citation = deep_copied(delta.annotation)
        part = ChatMessageContentPart(type="output_text", annotations=[citation])
        return ChatResponseTextContentItemDelta(
            index=delta.index, text_delta="", role=ROLE, message_contents=[part]
        )

    def _on_block_info(self, delta: d.BlockInfo) -> None:
        block = self._choice(delta.choice).latest.get(delta.index)
        if block is not None:
            block.id = delta.id or block.id
            block.metadata = {**block.metadata, **(delta.metadata or {})}

    def _on_end(self, delta: d.BlockEnd) -> ChatResponseContentItemDelta | None:
        block = self._choice(delta.choice).latest.get(delta.index)
        if block is None or block.closed:
            return None
        block.closed = True
        return block.end()

    def _on_usage(self, delta: d.UsageUpdate) -> None:
        self._usage = delta.usage

    def _on_finish(self, delta: d.Finish) -> None:
        choice = self._choice(delta.choice)
        choice.finish = delta
        last = choice.blocks[-1] if choice.blocks else None
        # A call without arguments is complete, or it was cut before the first of them.
        if isinstance(last, _ToolCall) and last.is_empty():
            last.cut = delta.reason in CUT_SHORT

    def _on_choice_info(self, delta: d.ChoiceInfo) -> None:
        choice, news = self._choice(delta.choice), delta.metadata
        told = choice.metadata
        choice.metadata = {**told, **news} if delta.replace else _grown(told, news)

    def _on_info(self, delta: d.StreamInfo) -> None:
        self._id = delta.id or self._id
        model = {"model": delta.model} if delta.model else {}
        self._info = {**self._info, **model, **(delta.metadata or {})}

    def _on_ping(self, delta: d.Ping) -> None:
        pass
