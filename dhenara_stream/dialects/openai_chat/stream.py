"""Answers of Chat Completions: chunks and whole completions, in neutral terms.

The protocol has no blocks. The rules by which the decoder makes them:

- A choice has one block of reasoning, one of text and one of refusal, and one for each call and
  each other thing it holds; they are numbered in the order in which they appear. So an answer in
  chunks and one in a single document have the same blocks. They end with the stream, for servers
  send pieces even after a finish reason.
- Reasoning has many names. Of names that say the same in one delta one counts. The text of
  ``reasoning_details`` counts only where no plain text of reasoning came; the details themselves
  are kept as the block's metadata, pieces joined, because they have to be sent back. So is the
  name that the reasoning came by first, as ``reasoning_field``: that of a delta's field, or
  ``thinking`` if it was a part of the content.
- A piece of a call belongs to the newest call at its index; without an index to the call with its
  id, else to the last. It begins a call where there is none, where it names a function and has
  another id, and where it names another function without having the call's id. A call without an
  id gets one, for results have to name it. The text that a custom tool is called with is its
  argument ``input``.
- What a choice tells of itself (log probabilities, results of content filters) and the fields of
  a delta that nobody knows are the choice's metadata. Known things that are no text are carried
  through as blocks. A ``message`` beside a delta repeats what was said; alone it is the delta.
- The answer is complete when each choice that was seen has a finish reason, and then ``[DONE]``
  or the end of the body comes; a decoder with ``lenient_end`` does not ask for the reason. What
  comes after ``[DONE]`` is skipped.
- The lines of Ollama's own protocol are read too; there ``done`` is the end, and nothing else.
- An error in a chunk that says something else too is raised by the next call, so that nothing is
  lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from types import NoneType
from typing import Any

import msgspec

from dhenara_stream.core import deltas as d
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.errors import excerpt, stream_error
from dhenara_stream.dialects.failure import KeepsFailure, not_too_deep
from dhenara_stream.dialects.values import (
    NO_INDEX,
    Dict,
    as_count,
    as_dict,
    as_index,
    as_list,
    as_text,
    merged,
    payloads,
    unreadable,
    unwrapped,
)
from dhenara_stream.errors import (
    ProtocolError,
    TruncatedStream,
    UnexpectedResponse,
)

from . import ollama, wire
from .wire import decode_chunk

__all__ = ["OpenAIChatDecoder"]

FINISH_REASONS = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "error": "error",
    "abort": "error",
    "network_error": "error",
    "insufficient_system_resource": "error",
}

# Of these answers the last call may be no more than a beginning.
_CUT_SHORT = ("length", "content_filter", "error")

# Fields with a meaning of their own, or none: ``p`` and ``obfuscation`` are padding.
_OF_CHUNK = frozenset(
    {"id", "object", "model", "choices", "usage", "error", "obfuscation", "p", "x_groq"}
)
_OF_CHOICE = frozenset({"index", "delta", "message", "text", "finish_reason", "usage", "error"})
_OF_DELTA: dict[str, tuple[type, ...]] = {
    "role": (str, NoneType),
    "content": (str, list, dict, NoneType),
    "reasoning_content": (str, NoneType),
    "reasoning": (str, NoneType),
    "reasoning_details": (list, dict, NoneType),
    "refusal": (str, NoneType),
    "tool_calls": (list, dict, NoneType),
}
_RARELY_OF_DELTA: dict[str, tuple[type, ...]] = {
    "annotations": (list, dict),
    "audio": (dict,),
    "images": (list, dict),
    "function_call": (dict,),
}
_LABELS = ("name", "channel")  # of a delta: text that is no piece of a longer one

_LEGACY = -2  # stands for the index of a ``function_call``


def _dicts(value: Any) -> list[Dict]:
    """The objects in a list; one alone counts as a list."""
    if isinstance(value, dict):
        return [as_dict(value)]  # pyright: ignore[reportUnknownArgumentType]
    return [as_dict(item) for item in as_list(value) if isinstance(item, dict)]


def _others(given: Dict, *known: str) -> Dict:
    return {k: v for k, v in given.items() if v is not None and k not in known}


def _news(given: Dict) -> Dict:
    """The fields that say something; objects without their null fields."""
    told = {k: _others(as_dict(v)) if isinstance(v, dict) else v for k, v in given.items()}
    return {k: v for k, v in told.items() if v not in (None, "", [], {})}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # not msgspec: it refuses large numbers


# --- usage


def _token_usage(native: Dict) -> d.TokenUsage:
    of_prompt = as_dict(native.get("prompt_tokens_details"))
    of_completion = as_dict(native.get("completion_tokens_details"))
    by_lifetime = as_dict(native.get("cache_creation"))

    def count(*places: tuple[Dict, str]) -> int | None:
        counts = (as_count(place.get(key)) for place, key in places)
        return next((n for n in counts if n is not None), None)

    prompt = count((native, "prompt_tokens"), (native, "prompt_eval_count"))
    completion = count((native, "completion_tokens"), (native, "eval_count"))
    total = count((native, "total_tokens"))
    reasoning = count((of_completion, "reasoning_tokens"), (native, "reasoning_tokens"))
    if prompt is not None and completion is not None:
        if total is None:
            total = prompt + completion
        elif reasoning and total == prompt + completion + reasoning:
            completion += reasoning  # xAI counts them apart
    return d.TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        reasoning_tokens=reasoning,
        cache_read_tokens=count(
            (of_prompt, "cached_tokens"),
            (native, "prompt_cache_hit_tokens"),
            (native, "cache_read_input_tokens"),
            (native, "cached_tokens"),
        ),
        cache_write_tokens=count(
            (of_prompt, "cache_write_tokens"), (native, "cache_creation_input_tokens")
        ),
        cache_write_1h_tokens=count((by_lifetime, "ephemeral_1h_input_tokens")),
        hosted_requests=_hosted(native) or None,
        native=native,
    )


def _hosted(native: Dict) -> dict[str, int]:
    counts = as_dict(native.get("server_tool_use_details") or native.get("server_tool_use"))
    known = {key: as_count(n) for key, n in counts.items() if key.endswith("_requests")}
    known["web_search_requests"] = known.get("web_search_requests") or as_count(
        native.get("num_search_queries")
    )
    return {key.removesuffix("_requests"): n for key, n in known.items() if n is not None}


# --- blocks


class _Call:
    """A call of a tool.

    Attributes:
        index: Of its block.
        kind: ``function``, ``custom``, or another, which is carried through.
        name: Of the tool, once it is known; arguments that come before wait for it.
        plain: Whether pieces of its arguments are said as they are.
    """

    __slots__ = ("choice", "facts", "id", "index", "kind", "name", "opened", "plain", "waiting")

    def __init__(self, index: int, choice: int, kind: str) -> None:
        self.index = index
        self.choice = choice
        self.kind = kind
        self.id = self.name = ""
        self.facts: Dict = {}
        self.opened = self.plain = False
        self.waiting: list[str] = []

    def is_ended_by(self, call_id: str, name: str) -> bool:
        """Whether a piece at its index begins another call."""
        if not name:
            return False
        if call_id and self.id:
            return call_id != self.id
        return self.name not in ("", name)

    def take(self, piece: Dict, spare_id: str) -> Iterator[d.Delta]:
        """What a piece says. The spare id is for a call that has none when it begins."""
        self.id = self.id or as_text(piece.get("id"))
        if self.kind not in ("function", "custom"):
            yield from self._carry(piece)
            return
        body = _body_of(piece)
        given = body.get("input" if self.kind == "custom" else "arguments")
        facts = self._new_facts(piece, body)
        if self._is_named_by(as_text(body.get("name"))):
            self.id = self.id or spare_id
            whole = as_dict(given) or None
            yield d.ToolCallStart(
                self.index,
                name=self.name,
                call_id=self.id,
                arguments=whole,
                metadata=dict(self.facts) or None,
                choice=self.choice,
            )
            yield from self._release()
            given = None if whole else given
        elif facts:
            yield d.BlockInfo(self.index, metadata=facts, choice=self.choice)
        if given not in (None, "", {}):
            yield from self._argue(given if isinstance(given, str) else _json(given))

    def _new_facts(self, piece: Dict, body: Dict) -> Dict:
        known = ("index", "id", "name", "arguments", "input")
        facts = _others(piece, *known, "function", "custom")
        if body is not piece:
            facts |= _others(body, *known)
        facts["type"] = as_text(facts.get("type")) or self.kind
        if facts["type"] == "function":
            del facts["type"]
        facts = {k: v for k, v in facts.items() if self.facts.get(k) != v}
        self.facts |= facts
        return facts

    def _is_named_by(self, name: str) -> bool:
        """Whether the name is news: it comes whole as a rule, and often again."""
        if name in ("", self.name):
            return False
        self.name += name
        self.plain = self.kind == "function"
        return True

    def _argue(self, text: str) -> Iterator[d.Delta]:
        if self.kind == "custom":
            opening = "" if self.opened else '{"input":"'
            self.opened = True
            text = opening + _json(text)[1:-1]
        self.waiting.append(text)
        if self.name:
            yield from self._release()

    def _release(self) -> Iterator[d.Delta]:
        if self.waiting:
            yield d.ToolArgumentsDelta(self.index, "".join(self.waiting), self.choice)
            self.waiting.clear()

    def _carry(self, piece: Dict) -> Iterator[d.Delta]:
        fields = _others(piece, "index")
        if self.facts:
            yield d.OpaqueUpdate(self.index, fields, self.choice)
        else:
            yield d.OpaqueStart(self.index, self.kind, fields, choice=self.choice)
        self.facts |= fields

    def end(self, *, whole: bool) -> Iterator[d.Delta]:
        """Say what still waits. The text for a custom tool is closed if it is whole."""
        if self.kind == "custom" and whole:
            self.waiting.append('"}' if self.opened else '{"input":""}')
        yield from self._release()


def _body_of(piece: Dict) -> Dict:
    return as_dict(piece.get("function")) or as_dict(piece.get("custom")) or piece


def _kind_of_call(piece: Dict) -> str:
    if isinstance(piece.get("custom"), dict):
        return "custom"
    if any(key in piece for key in ("function", "name", "arguments")):
        return "function"
    return as_text(piece.get("type")) or "function"


class _Details:
    """The ``reasoning_details`` of a choice, as they have to be sent back."""

    def __init__(self) -> None:
        self._items: list[tuple[Dict, dict[str, list[str]]]] = []

    def add(self, detail: Dict) -> None:
        """Add one, or a piece of the last one."""
        if not self._is_piece(detail):
            self._items.append(({}, {}))
        fields, texts = self._items[-1]
        for key, value in detail.items():
            if key in ("text", "summary") and isinstance(value, str):
                texts.setdefault(key, []).append(value)
            elif value is not None or key not in fields:
                fields[key] = value

    def _is_piece(self, detail: Dict) -> bool:
        if not self._items or detail.get("type") not in ("reasoning.text", "reasoning.summary"):
            return False
        last, _ = self._items[-1]
        if any(last.get(key) != detail.get(key) for key in ("type", "index")):
            return False
        ids = (last.get("id"), detail.get("id"))
        return None in ids or ids[0] == ids[1]

    def whole(self) -> list[Dict]:
        """All of them, so far."""
        return [
            {**fields, **{key: "".join(pieces) for key, pieces in texts.items()}}
            for fields, texts in self._items
        ]


class _Choice:
    """One answer.

    Attributes:
        index: Its number.
        native: Its finish reason, once there is one.
        goes_on: Whether more came after its finish reason, which was none then.
        told: Whether a delta has said anything.
        places: The indexes of its blocks of one kind each: ``text``, ``reasoning``, ...
        reasoned: Where plain pieces of reasoning go, once there was one.
        filters: The results of content filters that came last; often all are the same.
        newest: The newest call at each wire index.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.native = ""
        self.goes_on = False
        self.told = False
        self.places: dict[str, int] = {}
        self.reasoned: int | None = None
        self.filters = msgspec.Raw()
        self.newest: dict[int, _Call] = {}
        self._calls: list[_Call] = []
        self._blocks = 0
        self._finish: d.Finish | None = None
        self._field: str | None = None
        self._details = _Details()
        self._transcript: list[str] = []

    def say(self, delta: Dict) -> Iterator[d.Delta]:
        """What a delta, or a message, says."""
        yield from self._reason(delta)
        if content := delta.get("content"):
            yield from self._hold(content)
        if refusal := as_text(delta.get("refusal")):
            yield d.RefusalDelta(self._at("refusal"), refusal, self.index)
        if calls := delta.get("tool_calls"):
            for piece in _dicts(calls):
                yield from self._call(as_index(piece.get("index")), piece)
        others = {k: v for k, v in delta.items() if not isinstance(v, _OF_DELTA.get(k, ()))}
        if others:
            yield from self._say_more(others)

    def _say_more(self, delta: Dict) -> Iterator[d.Delta]:
        """What the less common fields of a delta say."""
        for annotation in _dicts(delta.get("annotations")):
            yield d.AnnotationDelta(self._at("text"), annotation, self.index)
        if audio := as_dict(delta.get("audio")):
            yield from self._sound(audio)
        for image in _dicts(delta.get("images")):
            yield self._carry(as_text(image.get("type")) or "image", image)
        if legacy := as_dict(delta.get("function_call")):
            yield from self._call(_LEGACY, {"type": "function_call", "function": legacy})
        unknown = {
            # Text may be a piece of a longer one.
            k: [v] if isinstance(v, str) and v and k not in _LABELS else v
            for k, v in delta.items()
            if not isinstance(v, _RARELY_OF_DELTA.get(k, ()))
        }
        yield from self.inform(unknown)

    def inform(self, facts: Dict) -> Iterator[d.Delta]:
        """What is to be known of the choice."""
        if news := _news(facts):
            yield d.ChoiceInfo(news, self.index)

    def has_blocks(self) -> bool:
        """Whether there is anything in it."""
        return self._blocks > 0

    def finish(self) -> Iterator[d.Delta]:
        """Why it ended, if that is news."""
        if not self.native:
            return
        reason = FINISH_REASONS.get(self.native.lower(), "unknown")
        if reason == "stop" and any(call.name for call in self._calls):
            reason = "tool_calls"  # some servers do not tell the two apart
        finish = d.Finish(reason, self.native, choice=self.index)
        if finish != self._finish:
            self._finish = finish
            yield finish

    def end(self, *, complete: bool) -> Iterator[d.Delta]:
        """Say what is known only now; close the blocks if the answer is complete."""
        yield from self.finish()
        cut = self._finish is not None and self._finish.reason in _CUT_SHORT
        for call in self._calls:
            is_cut = cut and call is self._calls[-1]
            yield from call.end(whole=complete and not is_cut)
        if details := self._details.whole():
            metadata: Dict = {"reasoning_details": details}
            yield d.BlockInfo(self.places["reasoning"], metadata=metadata, choice=self.index)
        if self._transcript:
            transcript = "".join(self._transcript)
            yield d.OpaqueUpdate(self.places["audio"], {"transcript": transcript}, self.index)
        if complete:
            yield from (d.BlockEnd(at, self.index) for at in range(self._blocks))

    # --- its blocks

    def _begin(self) -> int:
        self._blocks += 1
        return self._blocks - 1

    def _at(self, kind: str) -> int:
        if kind not in self.places:
            self.places[kind] = self._begin()
        return self.places[kind]

    def _carry(self, kind: str, block: Dict) -> d.Delta:
        return d.OpaqueStart(self._begin(), kind, block, choice=self.index)

    def _reason(self, delta: Dict) -> Iterator[d.Delta]:
        told = ""
        for name in ("reasoning_content", "reasoning"):
            text = as_text(delta.get(name))
            if text and text != told:
                yield from self._think(text, name)
                self.reasoned, told = self.places["reasoning"], text
        if details := delta.get("reasoning_details"):
            yield from self._detail(_dicts(details))

    def _detail(self, details: list[Dict]) -> Iterator[d.Delta]:
        for detail in details:
            self._details.add(detail)
            text = as_text(detail.get("text")) or as_text(detail.get("summary"))
            if text and self.reasoned is None:
                yield from self._think(text, "reasoning_details")
            elif "reasoning" not in self.places:
                yield d.BlockStart(self._at("reasoning"), "reasoning", self.index)

    def _think(self, text: str, field: str) -> Iterator[d.Delta]:
        at = self._at("reasoning")
        yield d.ReasoningDelta(at, text, self.index)
        if self._field is None:
            self._field = field
            yield d.BlockInfo(at, metadata={"reasoning_field": field}, choice=self.index)

    def _hold(self, content: Any) -> Iterator[d.Delta]:
        for part in as_list(content) or [content]:
            if isinstance(part, str) and part:
                yield d.TextDelta(self._at("text"), part, self.index)
            elif isinstance(part, dict):
                yield from self._hold_part(as_dict(part))  # pyright: ignore[reportUnknownArgumentType]

    def _hold_part(self, part: Dict) -> Iterator[d.Delta]:
        kind = as_text(part.get("type"))
        if kind in ("thinking", "reasoning"):
            yield from self._think_part(part)
        elif kind == "refusal":
            yield from self.say({"refusal": part.get("refusal")})
        elif kind == "reference":
            yield d.AnnotationDelta(self._at("text"), part, self.index)
        elif kind in ("text", "output_text", "") and "text" in part:
            yield from self._hold(as_text(part["text"]))
            yield from self.say({"annotations": part.get("annotations")})
        else:
            yield self._carry(kind, part)

    def _think_part(self, part: Dict) -> Iterator[d.Delta]:
        # Mistral's has "thinking", Databricks' a "summary"; both hold more parts.
        names = ("thinking", "reasoning", "summary", "text")
        thoughts = next((part[name] for name in names if part.get(name)), None)
        for thought in [*(as_list(thoughts) or [thoughts]), {"signature": part.get("signature")}]:
            within = as_dict(thought)
            signature = as_text(within.get("signature"))
            if text := as_text(thought) or as_text(within.get("text")):
                yield from self._think(text, "thinking")
            elif within and "signature" not in within:
                yield self._carry(as_text(within.get("type")), within)
            if signature:
                yield d.SignatureDelta(self._at("reasoning"), signature, self.index)

    def _sound(self, audio: Dict) -> Iterator[d.Delta]:
        fields = _others(audio, "data", "transcript")
        if "audio" not in self.places:
            at = self._at("audio")
            yield d.OpaqueStart(at, "audio", fields, input_key="data", choice=self.index)
        elif fields:
            yield d.OpaqueUpdate(self._at("audio"), fields, self.index)
        if data := as_text(audio.get("data")):
            yield d.ToolArgumentsDelta(self._at("audio"), data, self.index)
        if transcript := as_text(audio.get("transcript")):
            self._transcript.append(transcript)

    def _call(self, at: int, piece: Dict) -> Iterator[d.Delta]:
        call_id = as_text(piece.get("id"))
        call = self._call_at(at, call_id, as_text(_body_of(piece).get("name")))
        if call is None:
            call = _Call(self._begin(), self.index, _kind_of_call(piece))
            self._calls.append(call)
        if at != NO_INDEX:
            self.newest[at] = call
        yield from call.take(piece, f"call_{len(self._calls) - 1}")

    def _call_at(self, at: int, call_id: str, name: str) -> _Call | None:
        """The call that a piece belongs to; ``None`` if it begins one."""
        if at != NO_INDEX:
            call = self.newest.get(at)
            return None if call is None or call.is_ended_by(call_id, name) else call
        calls = reversed(self._calls)
        if call_id or name:
            return next((call for call in calls if call_id and call.id == call_id), None)
        return next(calls, None)


# --- the decoder


class OpenAIChatDecoder(KeepsFailure):
    """Decodes one answer; the rules stand at the top of the module.

    Args:
        lenient_end: Whether an answer is complete without a finish reason. For servers that
            never send one: of others, a truncated answer would count as complete.

    Attributes:
        complete: Whether the answer is complete.
        may_be_complete: Whether each choice that was seen ended with a reason; some servers omit
            ``[DONE]``. The fast path, which ends no choice, leaves it as it is.
        skipped: How many events had no meaning, or came after the end.
    """

    def __init__(self, *, lenient_end: bool = False) -> None:
        self.complete = self.may_be_complete = False
        self.skipped = 0
        self._lenient_end = lenient_end
        self._done = False
        self._in_lines = False  # of Ollama's own protocol
        self._choices: dict[int, _Choice] = {}
        self._id = self._model = ""
        self._facts: Dict = {}
        self._usage: Dict = {}

    def decode(self, event: ServerSentEvent) -> Sequence[d.Delta]:
        """What an event says.

        Raises:
            ProviderError: If it is an error, or the one before held one.
            ProtocolError: If it is no JSON.
        """
        if self.failure is not None:
            raise self.failure
        if self._done:
            return self._skip()
        try:
            chunk = decode_chunk(event.data)
        except unreadable:
            return self._decode_any(event)
        said = self._say_piece(chunk)
        return self._decode_any(event) if said is None else said

    def decode_document(self, body: bytes) -> Sequence[d.Delta]:
        """What a whole completion says, or all of Ollama's lines; it is complete then.

        Raises:
            ProviderError: If it is an error, or there is one in it.
            ProtocolError: If it is no completion, or lacks its last line.
        """
        try:
            values = payloads(body)
        except (ValueError, RecursionError) as error:
            raise UnexpectedResponse(f"the answer is no JSON: {excerpt(body)}") from error
        if not values or not ollama.is_line(values[0]):
            values = [unwrapped(values[0]) if len(values) == 1 else None]
        said = [delta for value in values for delta in self._take(value, "")]
        if self.failure is not None:
            return self.said_first(said)
        if not self._choices:
            raise UnexpectedResponse(f"the answer is no completion: {excerpt(body)}")
        if self._in_lines and not self._done:
            raise TruncatedStream("the answer ended without its last line")
        return said if self._done else [*said, *self._end(complete=True)]

    def end(self) -> Sequence[d.Delta]:
        """What the end of the body says: for servers that send no ``[DONE]`` it is the end.

        Raises:
            ProviderError: If the last event held an error.
        """
        self.raise_kept()
        return () if self._done else self._end(complete=self._is_finished())

    def _is_finished(self) -> bool:
        choices = self._choices.values()
        lenient = self._lenient_end and not self._in_lines
        return bool(choices) and (lenient or all(c.native for c in choices))

    def _end(self, *, complete: bool) -> list[d.Delta]:
        self._done, self.complete = True, complete
        said: list[d.Delta] = []
        for choice in self._choices.values():
            said += choice.end(complete=complete)
        return said

    def _skip(self) -> Sequence[d.Delta]:
        self.skipped += 1
        return ()

    # --- chunks

    def _say_piece(self, chunk: wire.Chunk) -> Sequence[d.Delta] | None:
        """The fast path: one piece of a block that has begun; ``None`` if it is not that."""
        given = chunk.choices[0]
        choice = self._choices.get(given.index)
        is_news = (chunk.id and not self._id) or (chunk.model and not self._model)
        if choice is None or is_news or choice.native:
            return None
        if given.content_filter_results != choice.filters:
            choice.filters = given.content_filter_results
            return None
        delta = given.delta
        text, calls = delta.content, delta.tool_calls
        reasoning = delta.reasoning_content or delta.reasoning
        if text:
            at = choice.places.get("text")
            if at is None or reasoning or calls:
                return None
            return (d.TextDelta(at, text, choice.index),)
        if reasoning:
            at = choice.reasoned
            if at is None or calls or (delta.reasoning_content and delta.reasoning):
                return None
            return (d.ReasoningDelta(at, reasoning, choice.index),)
        if not calls:
            return ()
        call = choice.newest.get(calls[0].index)
        if call is None or not call.plain:
            return None
        arguments = calls[0].function.arguments
        return (d.ToolArgumentsDelta(call.index, arguments, choice.index),) if arguments else ()

    def _decode_any(self, event: ServerSentEvent) -> Sequence[d.Delta]:
        said: list[d.Delta] = []
        for value in _values(event):
            said += self._take(unwrapped(value), event.event)
            if self.failure is not None:
                return self.said_first(said)
        if wire.is_last(event.data):
            said += self._end(complete=self._is_finished())
        return said

    @not_too_deep
    def _take(self, payload: Any, name: str) -> list[d.Delta]:
        chunk, error = as_dict(payload), wire.error_in(payload, name)
        is_last = False
        if ollama.is_line(chunk):
            self._in_lines = True
            is_last, chunk = chunk["done"], ollama.as_chunk(chunk)
        said = self._say(chunk) if error is None or chunk.get("choices") else []
        if error is not None:
            self.failure = stream_error(error)
        elif is_last:
            said += self._end(complete=True)
        return said

    def _say(self, chunk: Dict) -> list[d.Delta]:
        choices = _dicts(as_list(chunk.get("choices")))
        groq = as_dict(chunk.get("x_groq"))
        said = self._about(chunk, groq)
        for position, given in enumerate(choices):
            said += self._on_choice(position, given)
        for place in (chunk, groq, *choices):
            if usage := place.get("usage"):
                said += self._tell_usage(as_dict(usage))
        if not said and "choices" not in chunk and "usage" not in chunk:
            self._skip()
        seen = self._choices.values()
        self.may_be_complete = bool(seen) and all(it.native and not it.goes_on for it in seen)
        return said

    def _about(self, chunk: Dict, groq: Dict) -> list[d.Delta]:
        new_id = "" if self._id else as_text(chunk.get("id"))
        new_model = "" if self._model else as_text(chunk.get("model"))
        told = self._facts
        facts = {k: v for k, v in chunk.items() if k not in _OF_CHUNK and v and told.get(k) != v}
        if about_groq := _others(groq, "usage", "error"):
            facts["x_groq"] = as_dict(told.get("x_groq")) | about_groq
        for time in ("created", "created_at"):  # each of Ollama's lines has its own
            if time in told:
                facts.pop(time, None)
        if not (new_id or new_model or facts):
            return []
        self._id, self._model = self._id or new_id, self._model or new_model
        self._facts = told | facts
        return [d.StreamInfo(id=new_id or None, model=new_model or None, metadata=facts or None)]

    def _on_choice(self, position: int, given: Dict) -> Iterable[d.Delta]:
        index = as_index(given.get("index"))
        index = index if index >= 0 else position
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
        if delta := as_dict(given.get("delta")):
            yield from choice.say(delta)
            choice.told = choice.told or choice.has_blocks()
        elif not choice.told:
            yield from choice.say(as_dict(given.get("message")) or {"content": given.get("text")})
        others = {k: v for k, v in given.items() if v is not None and k not in _OF_CHOICE}
        if others:
            yield from choice.inform(others)
        if native := given.get("finish_reason"):
            choice.native = str(native)
            choice.goes_on = False
            yield from choice.finish()
        elif _news(_others(delta, "role")):
            choice.goes_on = True
        if error := given.get("error"):
            self.failure = stream_error({"error": error})

    def _tell_usage(self, more: Dict) -> list[d.Delta]:
        if all(value is None for value in more.values()):
            return []
        self._usage = merged(self._usage, more)
        return [d.UsageUpdate(_token_usage(self._usage))]


def _values(event: ServerSentEvent) -> list[Any]:
    """The JSON values of an event."""
    try:
        return [msgspec.json.decode(event.data)]
    except unreadable:
        pass
    try:
        return payloads(event.data)
    except (ValueError, RecursionError) as error:
        if event.event == "error":
            raise stream_error(event.data.decode("utf-8", "replace")) from None
        name = f"event {event.event!r}" if event.event else "an event without a name"
        raise ProtocolError(f"{name} is no JSON: {excerpt(event.data)}") from error
