"""Answers of the Responses protocol: events and whole responses, in neutral terms.

The rules of the decoder; those of each item stand in ``items``:

- Events are told apart by the type in their data, never by their event line.
- An event finds its item by the item's id, else by its place in the output, else it is for the
  last item of the kind. So it does on servers that tell neither id nor place, that put every item
  at place 0, and that give an item another id in each event. Where no item fits, one begins.
- Blocks have an index of their own, in order of appearance.
- A function call is a call. A call of a custom tool is one only if the response names that tool
  among the caller's: some servers tell so of tools of their own. All other items are carried
  through.
- ``response.completed`` and ``response.incomplete`` end an answer, by the status that the response
  has. What its output holds beyond what has been told is told then: an item that only comes
  there, the last form of what is encrypted. An empty output changes nothing. What comes after it
  is skipped.
- ``response.failed``, ``error`` and a response that was cancelled are errors of the provider's.
  One that comes with output, or in an event that says something else too, is raised by the next
  call, so that nothing is lost.
- An event that is no JSON is an error, unless it is one that never holds content.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dhenara_stream.core import deltas as d
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.errors import excerpt, stream_error
from dhenara_stream.dialects.failure import KeepsFailure, not_too_deep
from dhenara_stream.dialects.values import (
    NO_INDEX,
    Dict,
    as_count,
    as_dict,
    as_list,
    as_text,
    merged,
    payloads,
    unreadable,
    unwrapped,
)
from dhenara_stream.errors import ProtocolError, ProviderError, UnexpectedResponse

from . import wire
from .items import Call, CustomCall, Item, Message, Opaque, Part, Reasoning, Said, Text, others
from .wire import decode_event

__all__ = ["OpenAIResponsesDecoder"]

_ENDS = frozenset({"completed", "incomplete", "failed", "cancelled"})

_INCOMPLETE = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}

# Of a response: what is told in other ways, and what only repeats the request.
_TOLD = frozenset({"id", "object", "status", "model", "output", "usage", "error", "type"})
_ENDING = frozenset({"incomplete_details"})
_REPEATED = frozenset(
    {
        *("background", "frequency_penalty", "instructions", "max_output_tokens", "max_tool_calls"),
        *("metadata", "parallel_tool_calls", "presence_penalty", "prompt_cache_key"),
        *("prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier"),
        *("temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation"),
        "user",
    }
)

_OPAQUE = "opaque"  # the kind of all items that are carried through, beside their type
_MESSAGE = ("message", _OPAQUE)
_REASONING = ("reasoning", _OPAQUE)


class _Target:
    """What the last piece was a piece of."""

    __slots__ = ("at", "item_id", "kind", "output_index", "text")

    def __init__(self, piece: wire.Piece, text: Text) -> None:
        self.kind: type[wire.Piece] = type(piece)
        self.item_id = piece.item_id
        self.output_index = piece.output_index
        self.at = piece.part
        self.text = text


# --- usage


def _token_usage(native: Dict, hosted: dict[str, int]) -> d.TokenUsage:
    prompt = as_count(native.get("input_tokens"))
    completion = as_count(native.get("output_tokens"))
    total = as_count(native.get("total_tokens"))
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    of_input = as_dict(native.get("input_tokens_details"))
    of_output = as_dict(native.get("output_tokens_details"))
    return d.TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        reasoning_tokens=as_count(of_output.get("reasoning_tokens")),
        cache_read_tokens=as_count(of_input.get("cached_tokens")),
        cache_write_tokens=as_count(of_input.get("cache_write_tokens")),
        hosted_requests=hosted or None,
        native=native,
    )


def _hosted_requests(usage: Dict, response: Dict, items: Iterable[Item]) -> dict[str, int]:
    """How often hosted tools were used: as is told, else by the items there are."""
    told: Dict = {
        name.removesuffix("_calls"): count
        for name, count in as_dict(usage.get("server_side_tool_usage_details")).items()
    }
    for name, counts in as_dict(response.get("tool_usage")).items():
        told[name] = as_dict(counts).get("num_requests")
    if not told:
        told = {"web_search": sum(map(_is_search, items))}
    return {name: count for name, value in told.items() if (count := as_count(value))}


def _is_search(item: Item) -> bool:
    # Opening a found page is a web_search_call, too, but no search.
    action = as_dict(item.content.get("action")).get("type", "search")
    return item.kind == "web_search_call" and action == "search"


# --- the decoder


class OpenAIResponsesDecoder(KeepsFailure):
    """Decodes one answer; the rules stand at the top of the module.

    Attributes:
        complete: Whether the event that ends an answer has come.
        skipped: How many events had no meaning, or came after the end.
    """

    may_be_complete = False  # before its terminal event no answer is

    def __init__(self) -> None:
        self.complete = False
        self.skipped = 0
        self._items: list[Item] = []
        self._known: dict[tuple[str | int, str], Item] = {}  # by id or place, and kind
        self._last: dict[str, Item] = {}  # by kind
        self._target: _Target | None = None
        self._new_index = itertools.count().__next__
        self._custom_tools: set[str] | None = None
        self._info: tuple[Any, ...] = ()
        self._usage: Dict = {}

    def decode(self, event: ServerSentEvent) -> Sequence[d.Delta]:
        """What an event says.

        Raises:
            ProviderError: If it is an error, or the one before held one.
            ProtocolError: If it is no JSON.
        """
        self.raise_kept()
        if self.complete:
            return self._skip()
        try:
            happened: Any = decode_event(event.data)
        except unreadable:
            return self._decode_slowly(event)
        if happened.error:
            return self._decode_slowly(event)
        target = self._target
        if (
            target is not None
            and happened.__class__ is target.kind
            and happened.output_index == target.output_index
            and happened.part == target.at
            and happened.item_id == target.item_id
            and not happened.logprobs
        ):
            # The fast path: nearly all events are one more piece of the same text.
            piece, text = happened.delta, target.text
            if not piece:
                return ()
            text.pieces.append(piece)
            return (text.make(text.index, piece),)
        return self.said_first(self._say(happened))

    def decode_document(self, body: bytes) -> Sequence[d.Delta]:
        """What a whole response says; it is complete then.

        Raises:
            ProviderError: If it failed, or is an error.
            ProtocolError: If it is no response, or none that has ended.
        """
        try:
            values = payloads(body)
        except (ValueError, RecursionError) as error:
            raise UnexpectedResponse(f"the answer is no JSON: {excerpt(body)}") from error
        value = unwrapped(values[0]) if len(values) == 1 else None
        response = as_dict(value)
        status = response.get("status")
        if status != "failed" and wire.is_error(value, ""):
            self.failure = stream_error(value)
            return self.said_first(self._tell_rest(response))
        if status in ("queued", "in_progress"):
            raise UnexpectedResponse(f"the response has not ended, it is {status}")
        if status != "failed" and not isinstance(response.get("output"), list):
            raise UnexpectedResponse(f"the answer is no response: {excerpt(body)}")
        return self.said_first(self._end(response, as_text(status)))

    def end(self) -> Sequence[d.Delta]:
        """Nothing: without the event that ends it, the answer is truncated.

        Raises:
            ProviderError: If the last event held an error.
        """
        self.raise_kept()
        return ()

    def _decode_slowly(self, event: ServerSentEvent) -> Sequence[d.Delta]:
        try:
            values = payloads(event.data)
        except (ValueError, RecursionError) as error:
            if event.event == "error":
                raise stream_error(event.data.decode("utf-8", "replace")) from None
            if wire.says_nothing(event.data, event.event):
                return self._skip()
            name = f"event {event.event!r}" if event.event else "an event without a name"
            raise ProtocolError(f"{name} is no JSON: {excerpt(event.data)}") from error
        said: Said = []
        for value in values:
            said += self._take(unwrapped(value), event.event)
            if self.failure is not None:
                break
        return self.said_first(said)

    def _take(self, payload: Any, name: str) -> Sequence[d.Delta]:
        if self.complete:
            return self._skip()
        if wire.is_error(payload, name):
            self.failure = stream_error(payload)
            # Its own type: the event line may name what the error came in place of.
            beside = wire.lenient(as_dict(payload), "")
            if isinstance(beside, wire.Ended):
                return self._tell_rest(beside.response)
            return () if beside is None else self._say(beside)
        happened = wire.lenient(as_dict(payload), name)
        return self._skip() if happened is None else self._say(happened)

    @not_too_deep
    def _say(self, happened: wire.WireEvent) -> Sequence[d.Delta]:
        self._target = None
        match happened:
            case wire.Piece():
                return self._on_piece(happened)
            case wire.Whole():
                return self._on_whole(happened)
            case wire.PartEvent():
                return self._on_part(happened)
            case wire.AnnotationAdded():
                return self._on_annotation(happened)
            case wire.ItemAdded():
                return self._on_item_added(happened)
            case wire.ItemDone():
                return self._on_item_done(happened)
            case wire.Hosted():
                return self._on_hosted(happened)
            case wire.Progress():
                return self._on_progress(happened.response)
            case wire.Ended():
                return self._on_end(happened)
            case _:
                return (d.Ping(),)

    def _skip(self) -> Sequence[d.Delta]:
        self.skipped += 1
        return ()

    # --- the response

    def _on_progress(self, response: Dict) -> Sequence[d.Delta]:
        self._see_tools(response)
        return [*self._tell_info(response), *self._tell_usage(response)] or [d.Ping()]

    def _see_tools(self, response: Dict) -> None:
        tools = response.get("tools")
        if isinstance(tools, list):
            self._custom_tools = set(_custom_tools(as_list(tools)))

    def _tell_info(self, response: Dict) -> Said:
        response_id = as_text(response.get("id")) or None
        model = as_text(response.get("model")) or None
        metadata = others(response, _TOLD | _ENDING | _REPEATED)
        if (response_id, model, metadata) == self._info or not (response_id or model or metadata):
            return []
        self._info = (response_id, model, metadata)
        return [d.StreamInfo(id=response_id, model=model, metadata=metadata or None)]

    def _tell_usage(self, response: Dict) -> Said:
        usage = as_dict(response.get("usage"))
        if not usage:
            return []
        self._usage = merged(self._usage, usage)
        hosted = _hosted_requests(self._usage, response, self._items)
        return [d.UsageUpdate(_token_usage(self._usage, hosted))]

    def _on_end(self, event: wire.Ended) -> Sequence[d.Delta]:
        status = as_text(event.response.get("status"))
        return self._end(event.response, status if status in _ENDS else event.status)

    @not_too_deep
    def _end(self, response: Dict, status: str) -> Sequence[d.Delta]:
        self._see_tools(response)
        self.failure = _failure(response, status)
        if self.failure is not None:
            return self._tell_rest(response)
        said = self._tell_info(response)
        said += self._tell_output(as_list(response.get("output")), cut=status == "incomplete")
        said += self._tell_usage(response)
        self.complete = True
        details = others(response, response.keys() - _ENDING)
        finish = d.Finish(self._reason(response, status), status or None, metadata=details or None)
        return [*said, finish]

    def _tell_rest(self, response: Dict) -> Said:
        """What an answer that failed says that has not been told."""
        output = as_list(response.get("output"))
        said = self._tell_output(output, cut=True) if output else []
        return [*said, *self._tell_usage(response)]

    def _reason(self, response: Dict, status: str) -> str:
        if status == "incomplete":
            details = as_dict(response.get("incomplete_details"))
            return _INCOMPLETE.get(as_text(details.get("reason")), "unknown")
        if status != "completed":
            return "unknown"
        return "tool_calls" if any(isinstance(i, Call) for i in self._items) else "stop"

    def _tell_output(self, output: list[Any], *, cut: bool) -> Said:
        """What the whole output says that has not been told."""
        said: Said = []
        contents = [as_dict(content) for content in output if content]
        found = self._in_output(contents)
        for place, content in enumerate(contents):
            item = found.get(place)
            if item is None:
                item = self._begin(content, place, said)
            else:
                item.update(content)
            said += item.finish(cut=cut)
        for item in self._items:
            if item.open:
                said += item.finish(cut=cut)
        return said

    def _in_output(self, contents: Sequence[Dict]) -> dict[int, Item]:
        """The items that those of an output are, by place.

        They have the same id, else the same place and kind, else they are the next of their kind
        that is left over: some servers make up ids anew.
        """
        found: dict[int, Item] = {}
        left = dict.fromkeys(self._items)
        for find in (self._by_id, self._by_place):
            for place, content in enumerate(contents):
                item = find(content, place)
                if place not in found and item in left:
                    found[place] = item
                    del left[item]
        spare: dict[str, deque[Item]] = {}
        for item in left:
            spare.setdefault(item.kind, deque()).append(item)
        for place, content in enumerate(contents):
            of_kind = spare.get(_kind(content))
            if place not in found and of_kind and of_kind[0].could_be(content):
                found[place] = of_kind.popleft()
        return found

    def _by_id(self, content: Dict, _: int = NO_INDEX) -> Item | None:
        known = (self._known.get((name, _kind(content))) for name in _ids(content))
        return next((item for item in known if item is not None), None)

    def _by_place(self, content: Dict, place: int) -> Item | None:
        item = self._known.get((place, _kind(content)))
        return item if item is not None and item.could_be(content) else None

    # --- its items

    def _begin(self, content: Dict, place: int, said: Said) -> Item:
        item = self._new(content)
        self._items.append(item)
        self._register(item, place)
        said += item.begin()
        return item

    def _new(self, content: Dict) -> Item:
        kind = _kind(content)
        if kind == "message":
            return Message(content, self._new_index)
        if kind == "reasoning":
            return Reasoning(content, self._new_index())
        if kind == "function_call":
            return Call(content, self._new_index())
        if kind == "custom_tool_call" and self._is_callers(as_text(content.get("name"))):
            return CustomCall(content, self._new_index())
        return Opaque(content, self._new_index())

    def _is_callers(self, tool: str) -> bool:
        names = self._custom_tools
        return names is None or tool in names or (not tool and bool(names))

    def _register(self, item: Item, place: int) -> None:
        kinds = (item.kind, _OPAQUE) if isinstance(item, Opaque) else (item.kind,)
        keys: list[str | int] = [*_ids(item.content), *([place] if place >= 0 else [])]
        for kind in kinds:
            self._last[kind] = item
            for key in keys:
                self._known[key, kind] = item

    def _on_item_added(self, event: wire.ItemAdded) -> Sequence[d.Delta]:
        if not event.item:
            return self._skip()
        item = self._by_id(event.item) or self._open_at(event.item, event.output_index)
        said: Said = []
        if item is None:
            self._begin(event.item, event.output_index, said)
        elif item.open:
            item.update(event.item)
            self._register(item, event.output_index)
        return said

    def _open_at(self, content: Dict, place: int, *, renamed: bool = False) -> Item | None:
        """The item under way at this place, or without one the last, if this may be of it.

        If both have an id, it is another item; but servers that rename items keep their places.
        """
        kind = _kind(content)
        item = self._last.get(kind) if place == NO_INDEX else self._known.get((place, kind))
        if item is None or not item.open or not item.could_be(content):
            return None
        is_other = bool(_ids(content) and _ids(item.content))
        return None if is_other and (place == NO_INDEX or not renamed) else item

    def _on_item_done(self, event: wire.ItemDone) -> Sequence[d.Delta]:
        content, place = event.item, event.output_index
        if not content:
            return self._skip()
        said: Said = []
        item = self._by_id(content) or self._open_at(content, place, renamed=True)
        if item is None:
            item = self._begin(content, place, said)
        else:
            item.update(content)
            self._register(item, place)
        return [*said, *item.finish(cut=False)]

    # --- their pieces

    def _find(self, event: wire.ItemEvent, kinds: Sequence[str]) -> Item | None:
        for kind in kinds:
            item = self._known.get((event.item_id or "", kind))
            if item is not None:
                return item
        for kind in kinds:
            item = self._known.get((event.output_index, kind))
            if item is not None and (item.open or not event.item_id):
                return item
        if event.item_id or event.output_index != NO_INDEX:
            return None
        return next((self._last[kind] for kind in kinds if kind in self._last), None)

    def _find_or_begin(self, event: wire.ItemEvent, kinds: Sequence[str], said: Said) -> Item:
        item = self._find(event, kinds)
        if item is not None:
            return item
        content = {"type": kinds[0]} | ({"id": event.item_id} if event.item_id else {})
        return self._begin(content, event.output_index, said)

    def _on_piece(self, event: wire.Piece) -> Sequence[d.Delta]:
        """A piece of another text than the last one, or one with more to it."""
        if not (event.delta or event.logprobs):
            return ()
        said: Said = []
        item = self._find_or_begin(event, event.kinds, said)
        text = item.text(event.sort, event.part, said)
        if text is None:
            return self._skip()
        if event.logprobs and isinstance(text, Part):
            text.logprobs += event.logprobs
        self._target = _Target(event, text)
        return said + text.add(event.delta)

    def _on_whole(self, event: wire.Whole) -> Sequence[d.Delta]:
        if not event.text:
            return ()
        said: Said = []
        item = self._find_or_begin(event, event.kinds, said)
        if event.name and isinstance(item, Call):
            item.update({"name": event.name})
        return said + item.whole(event.sort, event.part, event.text)

    def _on_part(self, event: wire.PartEvent) -> Sequence[d.Delta]:
        part = event.part
        if not part:
            return self._skip()
        if isinstance(event, wire.SummaryPartAdded | wire.SummaryPartDone):
            part = {**part, "type": "summary_text"}
        is_reasoning = part.get("type") in ("reasoning_text", "summary_text")
        said: Said = []
        item = self._find_or_begin(event, (_REASONING if is_reasoning else _MESSAGE), said)
        return said + item.part(event.at, part, done=event.done)

    def _on_annotation(self, event: wire.AnnotationAdded) -> Sequence[d.Delta]:
        if not event.annotation:
            return self._skip()
        said: Said = []
        item = self._find_or_begin(event, ("message",), said)
        part = item.text("text", event.part, said)
        return said + part.cite(event.annotation) if isinstance(part, Part) else said

    def _on_hosted(self, event: wire.Hosted) -> Sequence[d.Delta]:
        """What happens to an item that is carried through; without one it has no meaning."""
        item = self._find(event, (_OPAQUE,))
        if not isinstance(item, Opaque) or not item.open:
            return self._skip()
        if not event.item_id and event.output_index == NO_INDEX and event.what != item.kind:
            return self._skip()
        return item.happen(event.what, event.word, event.fields) or [d.Ping()]


def _failure(response: Dict, status: str) -> ProviderError | None:
    """The error that a response of this status stands for."""
    if status == "failed":
        return stream_error({"error": response.get("error") or {"message": "the response failed"}})
    if status == "cancelled":
        message = "the provider says that the answer was cancelled"
        return ProviderError(message, code="cancelled", retryable=False)
    return None


def _kind(content: Dict) -> str:
    return as_text(content.get("type"))


def _ids(content: Dict) -> list[str]:
    return [name for key in ("id", "call_id") if (name := as_text(content.get(key)))]


def _custom_tools(tools: list[Any]) -> Iterator[str]:
    for tool in map(as_dict, tools):
        if tool.get("type") == "custom":
            yield as_text(tool.get("name"))
        yield from _custom_tools(as_list(tool.get("tools")))
