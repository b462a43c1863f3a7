"""The items of a response's output: how each is added, what happens to it, how it is done.

What happens are events: their type, their fields (the item's id and place are added by whoever
sends them), and whether they carry content. See wire.md 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from .openai_common import logprob
from .script import RawBlock, Refusal, Text, pieces_of, split_json, split_text

__all__ = ["CustomCall", "FunctionCall", "Happenings", "Message", "OutputItem", "Raw", "Reasoning"]

_Object: TypeAlias = dict[str, Any]
Happenings: TypeAlias = Iterator[tuple[str, Mapping[str, Any], bool]]


class OutputItem(Protocol):
    """An item of the output."""

    @property
    def added(self) -> Mapping[str, Any]:
        """The item as it begins."""
        ...

    @property
    def done(self) -> Mapping[str, Any]:
        """The item as it ends."""
        ...

    def happenings(self) -> Happenings:
        """What happens in between."""
        ...


class Message:
    """A message: texts and refusals, each a part of it.

    Args:
        item_id: Its id.
        blocks: Its parts.
        status: Its status at the end.
        logprobs: How many alternatives each token's probability comes with; ``None``: no
            probabilities.
    """

    def __init__(
        self, item_id: str, blocks: Sequence[Text | Refusal], status: str, logprobs: int | None
    ) -> None:
        self._id = item_id
        self._blocks = blocks
        self._status = status
        self._logprobs = logprobs

    @property
    def added(self) -> _Object:
        """See :class:`OutputItem`."""
        return self._item("in_progress", [])

    @property
    def done(self) -> _Object:
        """See :class:`OutputItem`."""
        return self._item(self._status, [self._part(block) for block in self._blocks])

    def _item(self, status: str, content: list[_Object]) -> _Object:
        return {
            "id": self._id,
            "type": "message",
            "status": status,
            "content": content,
            "role": "assistant",
        }

    def _part(self, block: Text | Refusal) -> _Object:
        if isinstance(block, Refusal):
            return {"type": "refusal", "refusal": block.text}
        return {
            "type": "output_text",
            "annotations": list(block.citations),
            "logprobs": self._chances(pieces_of(block)),
            "text": block.text,
        }

    def _chances(self, pieces: Sequence[str]) -> list[_Object]:
        if self._logprobs is None:
            return []
        return [logprob(piece, self._logprobs) for piece in pieces]

    def happenings(self) -> Happenings:
        """See :class:`OutputItem`."""
        for index, block in enumerate(self._blocks):
            place = {"content_index": index}
            empty = self._part(type(block)(""))
            yield "response.content_part.added", {**place, "part": empty}, False
            inside = self._refusal(block) if isinstance(block, Refusal) else self._text(block)
            for name, fields, content in inside:
                yield name, {**place, **fields}, content
            yield "response.content_part.done", {**place, "part": self._part(block)}, False

    def _text(self, block: Text) -> Happenings:
        pieces = pieces_of(block)
        for piece in pieces:
            said = {"delta": piece, "logprobs": self._chances([piece])}
            yield "response.output_text.delta", said, True
        for index, citation in enumerate(block.citations):
            cited = {"annotation_index": index, "annotation": citation}
            yield "response.output_text.annotation.added", cited, False
        whole = {"text": block.text, "logprobs": self._chances(pieces)}
        yield "response.output_text.done", whole, False

    def _refusal(self, block: Refusal) -> Happenings:
        for piece in pieces_of(block):
            yield "response.refusal.delta", {"delta": piece}, True
        yield "response.refusal.done", {"refusal": block.text}, False


class Reasoning:
    """Reasoning: a summary in one part, and what only the service reads.

    Args:
        item_id: Its id.
        summary: The summary; empty where there is none.
        encrypted: The encrypted content; ``None`` where it is not told.
    """

    def __init__(self, item_id: str, summary: str, encrypted: str | None) -> None:
        self._id = item_id
        self._summary = summary
        self._encrypted = encrypted

    @property
    def added(self) -> _Object:
        """See :class:`OutputItem`."""
        return {"id": self._id, "type": "reasoning", "summary": []}

    @property
    def done(self) -> _Object:
        """See :class:`OutputItem`."""
        summary = [_summary(self._summary)] if self._summary else []
        item = {**self.added, "summary": summary}
        return item | ({} if self._encrypted is None else {"encrypted_content": self._encrypted})

    def happenings(self) -> Happenings:
        """See :class:`OutputItem`."""
        text = self._summary
        if not text:
            return
        place = {"summary_index": 0}
        yield "response.reasoning_summary_part.added", {**place, "part": _summary("")}, False
        for piece in split_text(text):
            yield "response.reasoning_summary_text.delta", {**place, "delta": piece}, True
        yield "response.reasoning_summary_text.done", {**place, "text": text}, False
        yield "response.reasoning_summary_part.done", {**place, "part": _summary(text)}, False


def _summary(text: str) -> _Object:
    return {"type": "summary_text", "text": text}


class _Call:
    """A call of one of the caller's tools; see the classes below."""

    type: str
    argument: str
    event: str

    def __init__(self, ids: tuple[str, str], name: str, argument: str, status: str) -> None:
        self._id, self._call_id = ids
        self._name = name
        self._argument = argument
        self._status = status

    @property
    def added(self) -> _Object:
        """See :class:`OutputItem`."""
        return self._item("in_progress", "")

    @property
    def done(self) -> _Object:
        """See :class:`OutputItem`."""
        return self._item(self._status, self._argument)

    def _item(self, status: str, argument: str) -> _Object:
        return {
            "id": self._id,
            "type": self.type,
            "status": status,
            self.argument: argument,
            "call_id": self._call_id,
            "name": self._name,
        }

    def happenings(self) -> Happenings:
        """See :class:`OutputItem`."""
        for piece in split_json(self._argument):
            yield f"{self.event}.delta", {"delta": piece}, True
        yield f"{self.event}.done", self._told(), False

    def _told(self) -> _Object:
        return {self.argument: self._argument}


class FunctionCall(_Call):
    """A call of a function; its argument is the text of a JSON object.

    Args:
        ids: The item's id, and the call's.
        name: The function's name.
        argument: The arguments.
        status: The status at the end.
    """

    type = "function_call"
    argument = "arguments"
    event = "response.function_call_arguments"

    def _told(self) -> _Object:
        return {**super()._told(), "name": self._name}


class CustomCall(_Call):
    """A call of a tool that takes free text. Arguments as of :class:`FunctionCall`."""

    type = "custom_tool_call"
    argument = "input"
    event = "response.custom_tool_call_input"


class Raw:
    """Any other item; of its deltas each is an event, and those of a piece carry content."""

    def __init__(self, block: RawBlock) -> None:
        self._block = block

    @property
    def added(self) -> Mapping[str, Any]:
        """See :class:`OutputItem`."""
        return self._block.block

    @property
    def done(self) -> Mapping[str, Any]:
        """See :class:`OutputItem`."""
        return self._block.whole or self._block.block

    def happenings(self) -> Happenings:
        """See :class:`OutputItem`."""
        for delta in self._block.deltas:
            fields = {name: value for name, value in delta.items() if name != "type"}
            name = str(delta.get("type"))
            yield name, fields, name.endswith(".delta")
