"""The items of a response's output: what their pieces and what they themselves say.

The protocol tells everything several times: in pieces, then each text as a whole, then its part,
then the item, then the whole response. So the rules of an item are:

- What came in pieces is told as it comes. A whole text tells only what its pieces have not: its
  rest if it goes on from them, else nothing. What is told stays told; but arguments that differ
  from their pieces are replaced, for a call must be made with the right ones.
- What an item or a part holds at its start counts only if nothing better comes: it is told when
  the item is finished.
- An item may be finished more than once; the later time tells what is different.
- Each part of a message is a block of its own, with the message's id and facts. Reasoning is one
  block, with its summary; so is a call, and each item that is carried through.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec

from dhenara_stream.core import deltas as d
from dhenara_stream.dialects.values import NO_INDEX, Dict, as_dict, as_list, as_text

__all__ = [
    "Call",
    "CustomCall",
    "Item",
    "Message",
    "Opaque",
    "Part",
    "Reasoning",
    "Said",
    "Text",
    "others",
    "places",
]

Said = list[d.Delta]


def others(content: Dict, told: Iterable[str]) -> Dict:
    """What else is in an object; null is nothing."""
    return {k: v for k, v in content.items() if v is not None and k not in told}


def places(sorts: Sequence[str], begun: Iterable[tuple[str, int]]) -> list[int]:
    """Where the parts of an item as a whole stand, by their sorts: at the index it was begun at.

    That is a part's position, unless the server counts in another way; then it is the next one
    of its sort that is left over.
    """
    known = set(begun)
    left: dict[str, list[int]] = {}
    for sort, at in sorted(known - {(sort, i) for i, sort in enumerate(sorts)}, reverse=True):
        left.setdefault(sort, []).append(at)
    return [
        left[sort].pop() if (sort, i) not in known and left.get(sort) else i
        for i, sort in enumerate(sorts)
    ]


class Text:
    """A text that comes in pieces, and then as a whole.

    Attributes:
        index: The block it belongs to.
        make: Makes the delta of a piece.
        pieces: What has been told.
    """

    __slots__ = ("index", "make", "pieces")

    def __init__(self, index: int, make: Callable[[int, str], d.Delta]) -> None:
        self.index = index
        self.make = make
        self.pieces: list[str] = []

    def told(self) -> str:
        """All that has been told."""
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""

    def add(self, piece: str) -> Said:
        """Tell a piece."""
        if not piece:
            return []
        self.pieces.append(piece)
        return [self.make(self.index, piece)]

    def complete(self, whole: str) -> Said:
        """Tell the rest of a text, if it goes on from what has been told."""
        told = self.told()
        return self.add(whole[len(told) :]) if whole.startswith(told) else []


def _next(at: int, last: int, text: Text | None) -> int:
    """Where a part begins: without an index, after the last one, unless that is empty so far."""
    return last + 1 if at == NO_INDEX and text is not None and text.pieces else at


class Item(ABC):
    """An item that has begun.

    Attributes:
        content: As it was told last.
        open: Whether it has never been finished.
    """

    def __init__(self, content: Dict) -> None:
        self.content = content
        self.open = True

    @property
    def kind(self) -> str:
        """Its type."""
        return as_text(self.content.get("type"))

    def id(self) -> str | None:
        """The provider's id of it."""
        return as_text(self.content.get("id")) or None

    def could_be(self, content: Dict) -> bool:
        """Whether an item of its kind that is told to be this may be it."""
        names = {as_text(self.content.get("name")), as_text(content.get("name"))} - {""}
        return len(names) < 2

    def update(self, content: Dict) -> None:
        """Note what it is told to be now."""
        self.content = {**self.content, **others(content, ())}

    def begin(self) -> Said:
        """What its start says."""
        return []

    @abstractmethod
    def text(self, sort: str, at: int, said: Said) -> Text | None:
        """The text that a piece belongs to, begun if need be; ``None`` if it takes no more."""

    def whole(self, sort: str, at: int, text: str) -> Said:
        """What a whole text says."""
        said: Said = []
        target = self.text(sort, at, said)
        return [*said, *target.complete(text)] if target else said

    def part(self, at: int, part: Dict, *, done: bool) -> Said:
        """What a part of it says: nothing, where the whole item will."""
        return []

    @abstractmethod
    def finish(self, *, cut: bool) -> Said:
        """What the item, as it is told to be, says that has not been told.

        ``cut`` means that it may be no more than a beginning.
        """

    def is_cut(self, cut: bool) -> bool:
        """Whether it is no more than a beginning."""
        status = self.content.get("status")
        return status == "incomplete" or (cut and self.open and status != "completed")


class _Facts:
    """What is beside the text of a block: told once, and again if it changes."""

    __slots__ = ("index", "told")

    def __init__(self, index: int) -> None:
        self.index = index
        self.told: tuple[str | None, Dict] = (None, {})

    def tell(self, block_id: str | None, metadata: Dict) -> Said:
        if (block_id, metadata) == self.told:
            return []
        self.told = (block_id, metadata)
        return [d.BlockInfo(self.index, id=block_id, metadata=metadata or None)]


# --- messages


class Part(Text):
    """A part of a message.

    Attributes:
        facts: What has been told beside its text.
        annotations: How many of its citations have been told.
        logprobs: Of its tokens, as far as they came.
        others: What else is in it.
    """

    __slots__ = ("annotations", "facts", "logprobs", "others")

    def __init__(self, index: int, sort: str) -> None:
        super().__init__(index, d.RefusalDelta if sort == "refusal" else d.TextDelta)
        self.facts = _Facts(index)
        self.annotations = 0
        self.logprobs: list[Any] = []
        self.others: Dict = {}

    def cite(self, annotation: Dict) -> Said:
        """Tell a citation."""
        self.annotations += 1
        return [d.AnnotationDelta(self.index, annotation)] if annotation else []

    def metadata(self) -> Dict:
        """What is beside its text and citations."""
        return self.others | ({"logprobs": self.logprobs} if self.logprobs else {})


_TEXT_PARTS = {"output_text": "text", "text": "text", "refusal": "refusal"}
_PART_FIELDS = ("type", "text", "refusal", "annotations", "logprobs")
_MESSAGE_FIELDS = ("id", "type", "role", "content")


class Message(Item):
    """Text, and refusals in words."""

    def __init__(self, content: Dict, new_index: Callable[[], int]) -> None:
        super().__init__(content)
        self._new_index = new_index
        self._parts: dict[tuple[str, int], Part] = {}
        self._opaque: dict[int, Opaque] = {}
        self._last = 0  # the part begun last

    def text(self, sort: str, at: int, said: Said) -> Part:
        """See :meth:`Item.text`."""
        at = self._last if at == NO_INDEX else at
        part = self._parts.get((sort, at))
        if part is None:
            self._last = at
            part = self._parts[sort, at] = Part(self._new_index(), sort)
            if sort == "text":
                facts = others(self.content, (*_MESSAGE_FIELDS, "status"))
                said += [d.BlockStart(part.index, "text"), *part.facts.tell(self.id(), facts)]
        return part

    def part(self, at: int, part: Dict, *, done: bool) -> Said:
        """See :meth:`Item.part`."""
        said: Said = []
        sort = _sort(part)
        if sort == "other":
            return self._other_part(at, part) if done else said
        if not done:
            at = _next(at, self._last, self._parts.get((sort, self._last)))
        block = self.text(sort, at, said)
        if done:
            said += block.complete(as_text(part.get("refusal" if sort == "refusal" else "text")))
            for annotation in as_list(part.get("annotations"))[block.annotations :]:
                said += block.cite(as_dict(annotation))
            block.logprobs = as_list(part.get("logprobs")) or block.logprobs
            block.others = others(part, _PART_FIELDS)
        return said

    def _other_part(self, at: int, part: Dict) -> Said:
        """Carry a part of another kind through."""
        opaque = self._opaque.get(at)
        if opaque is not None:
            opaque.update(part)
            return opaque.finish(cut=False)
        opaque = self._opaque[at] = Opaque(part, self._new_index())
        info = d.BlockInfo(opaque.index, metadata={"message_id": self.id()})
        return [*opaque.begin(), info, *opaque.finish(cut=False)]

    def finish(self, *, cut: bool) -> Said:
        """See :meth:`Item.finish`."""
        said: Said = []
        parts = self._whole_parts()
        at = places([_sort(part) for part in parts], self._parts)
        for i, part in zip(at, parts, strict=True):
            said += self.part(i, part, done=True)
        facts = others(self.content, _MESSAGE_FIELDS)
        for block in self._parts.values():
            said += block.facts.tell(self.id(), facts | block.metadata())
            if self.open:
                said.append(d.BlockEnd(block.index))
        self.open = False
        return said

    def _whole_parts(self) -> list[Dict]:
        content = self.content.get("content")
        if isinstance(content, str):
            return [{"type": "output_text", "text": content}]
        return [as_dict(part) for part in as_list(content) if part]


def _sort(part: Dict) -> str:
    return _TEXT_PARTS.get(as_text(part.get("type")), "other")


# --- reasoning

_REASONING_FIELDS = ("id", "type", "summary", "content", "encrypted_content")


class Reasoning(Item):
    """Reasoning, its summary, and what the provider wants back."""

    def __init__(self, content: Dict, index: int) -> None:
        super().__init__(content)
        self.index = index
        self._texts: dict[tuple[str, int], Text] = {}
        self._last: dict[str, int] = {}  # the part of each sort begun last
        self._facts = _Facts(index)
        self._signature = ""

    def begin(self) -> Said:
        """See :meth:`Item.begin`."""
        return [d.BlockStart(self.index, "reasoning"), *self._facts.tell(self.id(), {})]

    def text(self, sort: str, at: int, said: Said) -> Text:
        """See :meth:`Item.text`."""
        at = self._last.get(sort, 0) if at == NO_INDEX else at
        text = self._texts.get((sort, at))
        if text is None:
            self._last[sort] = at
            make = d.ReasoningDelta if sort == "text" else partial(d.ReasoningSummaryDelta, part=at)
            text = self._texts[sort, at] = Text(self.index, make)
        return text

    def part(self, at: int, part: Dict, *, done: bool) -> Said:
        """See :meth:`Item.part`."""
        sort = "summary" if part.get("type") == "summary_text" else "text"
        if not done:
            last = self._last.get(sort, 0)
            at = _next(at, last, self._texts.get((sort, last)))
        text = self.text(sort, at, [])
        return text.complete(as_text(part.get("text"))) if done else []

    def finish(self, *, cut: bool) -> Said:
        """See :meth:`Item.finish`."""
        said: Said = []
        for key, sort in (("summary", "summary"), ("content", "text")):
            parts = [as_dict(part) for part in as_list(self.content.get(key))]
            at = places([sort] * len(parts), self._texts)
            for i, part in zip(at, parts, strict=True):
                said += self.text(sort, i, said).complete(as_text(part.get("text")))
        signature = as_text(self.content.get("encrypted_content"))
        if signature and signature != self._signature:
            self._signature = signature
            said.append(d.SignatureDelta(self.index, signature))
        said += self._facts.tell(self.id(), self._metadata())
        if self.open:
            said.append(d.BlockEnd(self.index))
        self.open = False
        return said

    def _metadata(self) -> Dict:
        facts = others(self.content, _REASONING_FIELDS)
        content = as_list(self.content.get("content"))
        if len(content) > 1 or any(as_dict(p).get("type") != "reasoning_text" for p in content):
            facts["content"] = content  # the block's text does not tell its parts
        return facts


# --- calls of the caller's tools

_CALL_FIELDS = ("id", "type", "call_id", "name")


class Call(Item):
    """A call of a function."""

    input_key = "arguments"

    def __init__(self, content: Dict, index: int) -> None:
        super().__init__(content)
        self.index = index
        self._text = Text(index, d.ToolArgumentsDelta)
        self._facts = _Facts(index)
        self._is_named = False
        self._is_replaced = False  # its pieces, by other arguments

    def begin(self) -> Said:
        """See :meth:`Item.begin`; a call that pieces began is told when its name comes."""
        return self._name() if self.content.get("name") else []

    def _name(self, arguments: Dict | None = None) -> Said:
        self._is_named = True
        metadata = self._metadata()
        metadata.pop("status", None)
        start = d.ToolCallStart(
            self.index,
            name=as_text(self.content.get("name")),
            call_id=as_text(self.content.get("call_id")) or None,
            id=self.id(),
            arguments=arguments,
            metadata=metadata or None,
        )
        return [start]

    def _metadata(self) -> Dict:
        return others(self.content, (*_CALL_FIELDS, self.input_key))

    def text(self, sort: str, at: int, said: Said) -> Text | None:
        """See :meth:`Item.text`."""
        return self._text if self.open else None

    def whole(self, sort: str, at: int, text: str) -> Said:
        """See :meth:`Item.whole`."""
        if self.open:
            self.update({self.input_key: text})
        return super().whole(sort, at, text)

    def finish(self, *, cut: bool) -> Said:
        """See :meth:`Item.finish`."""
        said: Said = [] if self._is_named else self._name()
        if self.open:
            said += self._complete(self.content.get(self.input_key))
        metadata = self._metadata()
        said += self._facts.tell(self.id(), metadata)
        if self.open and not self.is_cut(cut):
            self.open = False
            said += [*self._close(), d.BlockEnd(self.index)]
        return said

    def _complete(self, given: Any) -> Said:
        whole = json.dumps(given, ensure_ascii=False) if isinstance(given, dict) else as_text(given)
        rest = self._text.complete(whole)
        told = self._text.told()
        if rest or not whole or whole == told:
            return rest
        arguments = self._parsed(whole)
        if arguments is None or arguments == self._parsed(told):
            return []
        self._is_replaced = True
        return self._name(arguments)

    def _parsed(self, text: str) -> Dict | None:
        try:
            arguments = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return None
        return as_dict(arguments) if isinstance(arguments, dict) else None

    def _close(self) -> Said:
        return []


class CustomCall(Call):
    """A call of a tool that takes free text.

    It is told as the call of a function with one parameter, ``input``.
    """

    input_key = "input"

    def __init__(self, content: Dict, index: int) -> None:
        super().__init__(content, index)
        self._text = Text(index, _escaped)

    def begin(self) -> Said:
        """See :meth:`Item.begin`."""
        return [*super().begin(), d.ToolArgumentsDelta(self.index, '{"input":"')]

    def _metadata(self) -> Dict:
        return {"type": "custom", **super()._metadata()}

    def _parsed(self, text: str) -> Dict | None:
        return {"input": text}

    def _close(self) -> Said:
        return [] if self._is_replaced else [d.ToolArgumentsDelta(self.index, '"}')]


def _escaped(index: int, piece: str) -> d.Delta:
    return d.ToolArgumentsDelta(index, json.dumps(piece, ensure_ascii=False)[1:-1])


# --- other items

_INPUT_KEYS = {
    "code_interpreter_call": "code",
    "custom_tool_call": "input",
    "mcp_call": "arguments",
}
_PARTIAL_INPUT = "partial_input"  # of an item that does not say where its pieces belong


class Opaque(Item):
    """An item that is carried through: a hosted tool's, or of a kind that is not known."""

    def __init__(self, content: Dict, index: int) -> None:
        super().__init__(content)
        self.index = index
        self._text = Text(index, d.ToolArgumentsDelta)
        self._key = _INPUT_KEYS.get(self.kind)
        self._is_touched = False  # what has been told is more than the item
        self._is_stale = False  # what has been told is not the item

    def begin(self) -> Said:
        """See :meth:`Item.begin`."""
        key = self._key or _PARTIAL_INPUT
        return [d.OpaqueStart(self.index, self.kind, self.content, input_key=key)]

    def update(self, content: Dict) -> None:
        """Note what it is now, all of it: it goes back to the provider unchanged."""
        if content != self.content or self._is_touched or self._text.pieces:
            self._is_stale = True
        self.content = content

    def text(self, sort: str, at: int, said: Said) -> Text | None:
        """See :meth:`Item.text`."""
        return self._text if self.open else None

    def whole(self, sort: str, at: int, text: str) -> Said:
        """See :meth:`Item.whole`."""
        if self._key is not None:
            self.update({**self.content, self._key: text})
        return []

    def happen(self, what: str, word: str, fields: Dict) -> Said:
        """What an event ``response.<what>.<word>`` with these fields says."""
        if word == "delta":
            return self._text.add(_piece(fields.get("delta")))
        if word == "done" and self._key in fields:
            return self.whole("", NO_INDEX, as_text(fields[self._key]))
        if not fields and what == self.kind and "status" in self.content:
            fields = {"status": word}
        if not fields:
            return []
        self._is_touched = True
        return [d.OpaqueUpdate(self.index, fields)]

    def finish(self, *, cut: bool) -> Said:
        """See :meth:`Item.finish`."""
        pieces = self._text.told()
        if self._key is not None and pieces and not self.content.get(self._key):
            self.update({**self.content, self._key: pieces})
        said: Said = []
        if self._is_stale:
            said.append(d.OpaqueStart(self.index, self.kind, self.content))
        if self.open:
            said.append(d.BlockEnd(self.index))
        self.open = self._is_touched = self._is_stale = False
        return said


def _piece(value: Any) -> str:
    """A piece of text; of an object, all texts in it: those of a shell's output come so."""
    if isinstance(value, dict):
        return "".join(map(as_text, as_dict(value).values()))
    return as_text(value)
