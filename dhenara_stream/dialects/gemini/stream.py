"""Answers of the Gemini protocol: chunks and whole responses, in neutral terms.

The rules of the decoder:

- Parts of text that follow one another are one block, so are parts of reasoning; a part of another
  kind between them, or a second signature, begins another block. Parts that are empty are none.
- A signature belongs to the block of its part. One that comes in a part of its own, without text,
  belongs to the block under way if that is of its kind and has none; ``SIGNED_SPAN`` tells where
  in the block the signed part lies, so that the parts can be sent back as they came. Where there
  is no such block, that part is a block of its own and carried through.
- A call that came whole is complete at once. One whose arguments are streamed ends with the part
  that does not say ``willContinue``. It ends, too, where that part is missing, if the answer is
  done and no value was under way; else it stays a call whose arguments were cut.
- An answer whose body stays open may be complete, too, but not while a tool of the API's own, or
  the arguments of a call, are under way: what they bring may take its time.
- A call without an id gets one of ours, made of the answer's id and a number; ``OWN_CALL_ID``
  marks it. A call that repeats the id of an earlier one is skipped: it must not be made twice.
- All other parts are carried through as they came.
- ``finishReason`` ends nothing: hosted tools send it between their rounds, and usage or grounding
  may come after it. The last one wins. Nothing is complete before the end of the body, or before
  ``[DONE]``, which proxies send; it is then if each candidate seen has a reason, or the prompt was
  blocked.
- An error in a chunk that says something else too, or in a list behind other chunks, is raised by
  the next call, so that nothing is lost; so it is told that a document's list breaks off.
- The last usage wins. One without a total is no whole one: it adds to the one before.
- What grounding says stands whole in the choice's metadata; the sources of each stretch of text
  are told at the end, as annotations of the block that holds it, up to ``MAX_SOURCES``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

import msgspec

from dhenara_stream.core import deltas as d
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.dialects.errors import excerpt
from dhenara_stream.dialects.failure import KeepsFailure, not_too_deep
from dhenara_stream.dialects.values import (
    Dict,
    as_dict,
    as_index,
    as_list,
    as_text,
    leading_elements,
    merged,
    unreadable,
)
from dhenara_stream.errors import (
    ProtocolError,
    TruncatedStream,
    UnexpectedResponse,
)

from . import wire
from .arguments import ArgumentsWriter
from .wire import OWN_CALL_ID, SIGNED_SPAN, decode_text_chunk, others

__all__ = ["MAX_SOURCES", "GeminiDecoder"]

MAX_SOURCES = 1000
"""Annotations that grounding makes in one choice: an index of two bytes makes one of hundreds."""

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR"),
            "ESCALATION",
        ),
        "content_filter",
    ),
    **dict.fromkeys(
        (
            *("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"),
            *("TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "NO_IMAGE", "IMAGE_OTHER"),
        ),
        "error",
    ),
    # The numbers of those that have the same one in both APIs (enum-encoding=int).
    "1": "stop",
    "2": "length",
    "3": "content_filter",
    "4": "content_filter",
}

# What deltas say of a chunk, a candidate, a part, a call in fields of their own.
_TOLD = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId", "error"})
_ANSWERS = frozenset({"candidates", "promptFeedback", "usageMetadata"})
_MEANT = _ANSWERS | {"error"}
_TOLD_OF_CANDIDATE = frozenset(
    {"content", "finishReason", "index", "citationMetadata", "logprobsResult"}
)
_TOLD_OF_TEXT = frozenset({"text", "thought", "thoughtSignature"})
_TOLD_OF_CALL = frozenset({"functionCall", "thoughtSignature"})
_CALL_FIELDS = frozenset({"name", "id", "args", "partialArgs", "willContinue"})

_AWAIT_RESULT = frozenset({"executableCode", "toolCall"})

_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,30}")  # with what is put around it: 40, as OpenAI takes


# --- usage


def _token_usage(native: Dict) -> d.TokenUsage:
    told = wire.counts_in(native)
    thoughts = told.thoughts_token_count
    return d.TokenUsage(
        prompt_tokens=_sum(told.prompt_token_count, told.tool_use_prompt_token_count),
        completion_tokens=_sum(told.candidates_token_count, thoughts),
        total_tokens=told.total_token_count,
        reasoning_tokens=thoughts,
        cache_read_tokens=told.cached_content_token_count,
        native=native,
    )


def _sum(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


# --- blocks


class _Text:
    """A block of text or of reasoning.

    Attributes:
        thought: Whether it is reasoning.
        makes: What says a piece of it.
        pieces: Its text so far.
        signed: Whether it has a signature.
        span_due: How much of it was signed, if all of it was: to be told if there comes more.
    """

    __slots__ = ("index", "makes", "pieces", "signed", "span_due", "thought")

    def __init__(self, index: int, thought: bool) -> None:
        self.index = index
        self.thought = thought
        self.makes: type[d.TextDelta | d.ReasoningDelta] = (
            d.ReasoningDelta if thought else d.TextDelta
        )
        self.pieces: list[str] = []
        self.signed = False
        self.span_due = 0

    def size(self) -> int:
        return sum(map(len, self.pieces))


class _Call:
    """A call whose arguments are being streamed."""

    __slots__ = ("call_id", "index", "writer")

    def __init__(self, index: int, call_id: str) -> None:
        self.index = index
        self.call_id = call_id
        self.writer = ArgumentsWriter()


class _OwnIds:
    """Ids for calls without one, unlike those of any other answer if this one has an id."""

    def __init__(self) -> None:
        self.answer: str | None = None
        self._made = 0

    def make(self) -> str:
        self._made += 1
        plain = _PLAIN_ID.fullmatch(self.answer or "")
        return f"call_{plain[0]}_{self._made}" if plain else f"call_{self._made}"


class _Choice:
    """One answer.

    Attributes:
        block: The block of text or reasoning under way.
        native: The reason for its end, if it has come.
        skipped: How many parts had no meaning.
    """

    def __init__(self, number: int, own_ids: _OwnIds) -> None:
        self.number = number
        self._own_ids = own_ids
        self.block: _Text | None = None
        self.native: str | None = None
        self._goes_on = False  # more came after that reason
        self._awaits = False  # the last part asks a tool of the API's own, the result is to come
        self.skipped = 0
        self._next = 0
        self._texts: list[_Text] = []  # the blocks that may have citations
        self._call: _Call | None = None
        self._called = False
        self._given: set[str] = set()  # the ids of calls, without those of ours
        self._finish: d.Finish | None = None  # as told
        self._facts: Dict = {}
        self._cited: set[bytes] = set()

    def take(self, candidate: Dict) -> Iterator[d.Delta]:
        """What a chunk says of it."""
        reason = candidate.get("finishReason")
        native = "" if isinstance(reason, dict | list) else str(reason or "")
        ends = bool(native)
        self._goes_on = self._goes_on and not ends
        for part in as_list(as_dict(candidate.get("content")).get("parts")):
            if isinstance(part, dict):
                self._see_part(as_dict(part), ends)  # pyright: ignore[reportUnknownArgumentType]
                yield from self._on_part(as_dict(part))  # pyright: ignore[reportUnknownArgumentType]
            else:
                self.skipped += 1
        yield from self._on_facts(others(candidate, _TOLD_OF_CANDIDATE))
        if logprobs := as_dict(candidate.get("logprobsResult")):  # of the tokens of this chunk
            yield d.ChoiceInfo({"logprobsResult": logprobs}, self.number)
        yield from self._on_citations(as_dict(candidate.get("citationMetadata")))
        self.native = native or self.native
        yield from self._tell_finish()

    def block_prompt(self, reason: str) -> Iterator[d.Delta]:
        """The prompt was refused for this reason: so is the answer, if it had not ended."""
        if self.native is None:
            yield d.Finish("content_filter", reason, choice=self.number)

    def end(self, complete: bool) -> Iterator[d.Delta]:
        """What the end of the body says of it."""
        yield from self._on_grounding()
        if complete:
            yield from self._end_text()
            if self._finish is not None and self._finish.reason == "tool_calls":
                yield from self._end_call()

    def _take_index(self) -> int:
        self._next += 1
        return self._next - 1

    # --- parts

    def _see_part(self, part: Dict, ends: bool) -> None:
        kind = wire.kind_of(part)
        if kind or as_text(part.get("text")):
            self._goes_on = not ends
            self._awaits = kind in _AWAIT_RESULT

    @property
    def is_over(self) -> bool:
        """Whether it has a reason for its end, and nothing is under way."""
        is_under_way = self._goes_on or self._awaits or self._call is not None
        return self.native is not None and not is_under_way

    def _on_part(self, part: Dict) -> Iterator[d.Delta]:
        call = part.get("functionCall")
        if isinstance(call, dict):
            return self._on_call(part, as_dict(call))  # pyright: ignore[reportUnknownArgumentType]
        kind = wire.kind_of(part)
        return self._on_opaque(kind, part) if kind else self._on_text(part)

    def _on_opaque(self, kind: str, part: Dict) -> Iterator[d.Delta]:
        yield from self._end_text()
        index = self._take_index()
        yield d.OpaqueStart(index, kind, part, choice=self.number)
        yield d.BlockEnd(index, self.number)

    def _end_text(self) -> Iterator[d.Delta]:
        if self.block is not None:
            yield d.BlockEnd(self.block.index, self.number)
            self.block = None

    def _on_text(self, part: Dict) -> Iterator[d.Delta]:
        text, signature = as_text(part.get("text")), as_text(part.get("thoughtSignature"))
        if not text and not signature:
            return
        thought, block = bool(part.get("thought")), self.block
        if block is None or block.thought != thought or (signature and block.signed):
            if not text:
                yield from self._on_opaque("thoughtSignature", part)
                return
            yield from self._end_text()
            block = self._begin_text(thought)
        if block.span_due:
            yield self._info(block.index, {SIGNED_SPAN: [0, block.span_due]})
            block.span_due = 0
        if text:
            block.pieces.append(text)
            yield block.makes(block.index, text, self.number)
        if signature:
            yield from self._sign(block, len(text), signature)
        if more := others(part, _TOLD_OF_TEXT):
            yield self._info(block.index, more)

    def _begin_text(self, thought: bool) -> _Text:
        block = self.block = _Text(self._take_index(), thought)
        if not thought:
            self._texts.append(block)
        return block

    def _sign(self, block: _Text, length: int, signature: str) -> Iterator[d.Delta]:
        """Sign the last characters of a block, or only its end."""
        block.signed = True
        yield d.SignatureDelta(block.index, signature, self.number)
        end = block.size()
        if length == end:
            block.span_due = end
        else:
            yield self._info(block.index, {SIGNED_SPAN: [end - length, end]})

    def _info(self, index: int, metadata: Dict) -> d.Delta:
        return d.BlockInfo(index, metadata=metadata, choice=self.number)

    # --- calls

    def _on_call(self, part: Dict, call: Dict) -> Iterator[d.Delta]:
        yield from self._end_text()
        name, given = as_text(call.get("name")), as_text(call.get("id"))
        under_way = self._call
        if under_way is not None and (not name or given == under_way.call_id):
            yield from self._on_more(under_way, part, call)
        elif given in self._given or not (name or call.get("args") or call.get("partialArgs")):
            self.skipped += 1
        else:
            yield from self._end_call()
            yield from self._begin_call(part, call)

    def _begin_call(self, part: Dict, call: Dict) -> Iterator[d.Delta]:
        self._called = True
        metadata = others(part, _TOLD_OF_CALL) | others(call, _CALL_FIELDS)
        call_id = as_text(call.get("id"))
        if call_id:
            self._given.add(call_id)
        else:
            call_id, metadata[OWN_CALL_ID] = self._own_ids.make(), True
        args = call.get("args")
        streamed = bool(call.get("partialArgs")) or call.get("willContinue") is True
        index = self._take_index()
        yield d.ToolCallStart(
            index,
            as_text(call.get("name")),
            call_id=call_id,
            arguments=None if streamed else as_dict(args),
            metadata=metadata or None,
            choice=self.number,
        )
        if streamed:
            self._call = _Call(index, call_id)
            yield from self._on_more(self._call, part, call)
            return
        if args is not None and not isinstance(args, dict):
            text = args if isinstance(args, str) else msgspec.json.encode(args).decode()
            yield d.ToolArgumentsDelta(index, text, self.number)
        yield from self._sign_call(index, part)
        yield d.BlockEnd(index, self.number)

    def _sign_call(self, index: int, part: Dict) -> Iterator[d.Delta]:
        if signature := as_text(part.get("thoughtSignature")):
            yield d.SignatureDelta(index, signature, self.number)

    def _on_more(self, call: _Call, part: Dict, fields: Dict) -> Iterator[d.Delta]:
        """Arguments of the call under way, or its end."""
        yield from self._sign_call(call.index, part)
        writer = call.writer
        written = [writer.start()]
        for name, value in as_dict(fields.get("args")).items():
            written.append(writer.put([name], value, {name: value}))
        written += [writer.write(as_dict(item)) for item in as_list(fields.get("partialArgs"))]
        if text := "".join(written):
            yield d.ToolArgumentsDelta(call.index, text, self.number)
        if fields.get("willContinue") is not True:
            writer.goes_on = False
            yield from self._end_call()

    def _end_call(self) -> Iterator[d.Delta]:
        """End the call under way; one of which a value is under way was cut."""
        call, self._call = self._call, None
        if call is None or call.writer.goes_on:
            return
        if text := call.writer.end():
            yield d.ToolArgumentsDelta(call.index, text, self.number)
        yield d.BlockEnd(call.index, self.number)

    # --- what is told of it

    def _on_facts(self, told: Dict) -> Iterator[d.Delta]:
        news: Dict = {}
        for key, value in told.items():
            known = self._facts.get(key)
            if isinstance(value, dict) and isinstance(known, dict):
                value = merged(as_dict(known), as_dict(value))  # pyright: ignore[reportUnknownArgumentType]
            if value not in ({}, []) and value != known:
                news[key] = value
        if news:
            self._facts |= news
            yield d.ChoiceInfo(news, self.number, replace=True)

    def _tell_finish(self) -> Iterator[d.Delta]:
        native = self.native
        if native is None:
            return
        reason = FINISH_REASONS.get(native.upper(), "unknown")
        if reason == "stop" and self._called:
            reason = "tool_calls"
        finish = d.Finish(reason, native, choice=self.number)
        if finish != self._finish:
            self._finish = finish
            yield finish

    def _on_citations(self, told: Dict) -> Iterator[d.Delta]:
        news = {key: [*filter(self._is_new, as_list(value))] for key, value in told.items()}
        if not any(news.values()):
            return
        yield d.ChoiceInfo({"citationMetadata": news}, self.number)
        if self._texts:
            index = self._texts[-1].index
            for item in chain.from_iterable(news.values()):
                citation = {"type": "citation", "url": as_dict(item).get("uri"), **as_dict(item)}
                yield d.AnnotationDelta(index, citation, self.number)

    def _on_grounding(self) -> Iterator[d.Delta]:
        grounding = as_dict(self._facts.get("groundingMetadata"))
        found = _sources(grounding) if self._texts else iter(())
        texts = ["".join(block.pieces) for block in self._texts]
        at = 0
        for source in islice(found, MAX_SOURCES):
            if len(texts) > 1:
                # Stretches come in the order of the text; where none is found, nobody knows better.
                words, later = as_text(source["segment"].get("text")), range(at, len(texts))
                at = next((i for i in later if words in texts[i]), len(texts) - 1)
            if self._is_new(source):
                yield d.AnnotationDelta(self._texts[at].index, source, self.number)

    def _is_new(self, citation: Any) -> bool:
        """Whether this was not cited before."""
        key = msgspec.json.encode(citation, order="deterministic")
        known = key in self._cited
        self._cited.add(key)
        return not known


def _sources(grounding: Dict) -> Iterator[Dict]:
    """The sources of each stretch of text, each in short: the metadata have all of it."""
    chunks = as_list(grounding.get("groundingChunks"))
    for item in as_list(grounding.get("groundingSupports")):
        support = as_dict(item)
        for number in map(as_index, as_list(support.get("groundingChunkIndices"))):
            if 0 <= number < len(chunks):
                for kind, source in as_dict(chunks[number]).items():
                    yield {
                        "type": "grounding",
                        "kind": kind,
                        "url": as_dict(source).get("uri"),
                        "title": as_dict(source).get("title"),
                        "segment": as_dict(support.get("segment")),
                        "chunk_index": number,
                    }


# --- the decoder


class GeminiDecoder(KeepsFailure):
    """Decodes one answer; the rules stand at the top of the module.

    Attributes:
        complete: Whether the answer has ended as it should.
        may_be_complete: Whether each candidate that was seen is over, or the prompt was blocked.
            The fast path, which ends no candidate, leaves it as it is.
    """

    def __init__(self) -> None:
        self.complete = self.may_be_complete = False
        self._skipped = 0
        self._choices: dict[int, _Choice] = {}
        self._blocked = False
        self._usage: Dict = {}
        self._id: str | None = None
        self._model: str | None = None
        self._facts: Dict = {}
        self._own_ids = _OwnIds()

    @property
    def skipped(self) -> int:
        """How many chunks and parts had no meaning, or came after the end."""
        return self._skipped + sum(choice.skipped for choice in self._choices.values())

    def decode(self, event: ServerSentEvent) -> Sequence[d.Delta]:
        """What an event says.

        Raises:
            ProviderError: If it is an error, or the one before held one.
            ProtocolError: If it is no JSON.
        """
        self.raise_kept()
        if self.complete:
            self._skipped += 1
            return ()
        try:
            chunk = decode_text_chunk(event.data)
        except unreadable:
            return self._decode_slowly(event)
        # The fast path: nearly all chunks are a piece of the block under way.
        (candidate,) = chunk.candidates
        (part,) = candidate.content.parts
        choice = self._choices.get(candidate.index)
        block = None if choice is None or choice.native is not None else choice.block
        if (
            block is None
            or block.thought is not part.thought
            or block.span_due
            or not part.text
            or chunk.response_id != self._id
            or chunk.model_version != self._model
            or chunk.create_time != self._facts.get("createTime")
        ):
            return self._decode_slowly(event)
        block.pieces.append(part.text)
        piece = block.makes(block.index, part.text, candidate.index)
        return (piece, *self._tell_usage(chunk.usage_metadata))

    def decode_document(self, body: bytes) -> Sequence[d.Delta]:
        """What a whole answer says: one response, or the list of its chunks; it is complete then.

        A response may lack a reason for its end, the last chunk of a list may not.

        Raises:
            ProviderError: If it is an error.
            ProtocolError: If it is no answer, or ends too early.
        """
        try:
            chunks = wire.chunks_in(body)
        except (ValueError, RecursionError) as error:
            chunks = leading_elements(body)
            if not any(as_dict(chunk).keys() & _MEANT for chunk in chunks):
                raise UnexpectedResponse(f"the answer is no JSON: {excerpt(body)}") from error
            return self._take_cut(chunks)
        said = self._take(chunks, "")
        if self.failure is not None:
            return said
        if not any(as_dict(chunk).keys() & _ANSWERS for chunk in chunks):
            raise UnexpectedResponse(f"the answer is no Gemini response: {excerpt(body)}")
        said += self.end()
        is_list = body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
        if not self.complete and (is_list or not self._choices):
            raise TruncatedStream("the answer ended without a reason for its end")
        self.complete = True
        return said

    @not_too_deep
    def _take_cut(self, chunks: list[Any]) -> Sequence[d.Delta]:
        """What the whole chunks of a list say that breaks off; that it does is told after them."""
        said = self._take(chunks, "")
        for choice in self._choices.values():
            said += choice.end(complete=False)
        if self.failure is None:
            self.failure = TruncatedStream("the answer's list of chunks breaks off")
        return self.said_first(said)

    @not_too_deep
    def end(self) -> Sequence[d.Delta]:
        """What the end of the body says: whether the answer is complete.

        Raises:
            ProviderError: If the last event held an error.
        """
        self.raise_kept()
        if self.complete:
            return ()
        choices = self._choices.values()
        done = all(choice.native is not None for choice in choices) and bool(choices)
        done = done or self._blocked
        said = [delta for choice in choices for delta in choice.end(done)]
        self.complete = done
        return said

    def _decode_slowly(self, event: ServerSentEvent) -> Sequence[d.Delta]:
        if event.data.lstrip().startswith(b"[DONE]"):
            return self.end()
        try:
            chunks = wire.chunks_in(event.data)
        except (ValueError, RecursionError) as error:
            if event.event == "error":
                raise wire.refusal(event.data.decode("utf-8", "replace")) from None
            name = f"event {event.event!r}" if event.event else "an event without a name"
            raise ProtocolError(f"{name} is no JSON: {excerpt(event.data)}") from error
        return self._take(chunks, event.event)

    @not_too_deep
    def _take(self, chunks: list[Any], name: str) -> list[d.Delta]:
        said: list[d.Delta] = []
        for chunk in chunks:
            said += self._say(chunk, name)
            if self.failure is not None:
                break
        return self.said_first(said)

    def _say(self, payload: Any, name: str) -> Iterator[d.Delta]:
        chunk = as_dict(payload)
        if wire.is_error(payload, name):
            self.failure = wire.refusal(payload)
            self.failure.request_id = self.failure.request_id or self._id
            if not chunk.keys() & _ANSWERS:
                return
        if not chunk:
            self._skipped += 1
        yield from self._on_facts(chunk)
        for index, candidate in wire.numbered(chunk.get("candidates")):
            yield from self._choice(index).take(candidate)
        yield from self._on_feedback(as_dict(chunk.get("promptFeedback")))
        yield from self._tell_usage(as_dict(chunk.get("usageMetadata")))
        seen = self._choices.values()
        self.may_be_complete = self._blocked or (bool(seen) and all(it.is_over for it in seen))

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index, self._own_ids)
        return choice

    def _on_facts(self, chunk: Dict) -> Iterator[d.Delta]:
        answer = as_text(chunk.get("responseId")) or self._id
        model = as_text(chunk.get("modelVersion")) or self._model
        told = others(chunk, _TOLD)
        news = {key: value for key, value in told.items() if value != self._facts.get(key)}
        if news or (answer, model) != (self._id, self._model):
            self._id = self._own_ids.answer = answer
            self._model = model
            self._facts |= news
            yield d.StreamInfo(id=answer, model=model, metadata=news or None)

    def _on_feedback(self, feedback: Dict) -> Iterator[d.Delta]:
        reason = feedback.get("blockReason")
        if not reason or isinstance(reason, dict | list):
            return
        self._blocked = True
        for choice in list(self._choices.values()) or [self._choice(0)]:
            yield from choice.block_prompt(str(reason))

    def _tell_usage(self, usage: Dict | None) -> tuple[d.Delta, ...]:
        if not usage or usage == self._usage:
            return ()
        told = _token_usage(usage)
        if told.total_tokens is None:
            known, usage = self._usage, merged(self._usage, usage)
            if usage == known:
                return ()
            told = _token_usage(usage)
        self._usage = usage
        return (d.UsageUpdate(told),)
