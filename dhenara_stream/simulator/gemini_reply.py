"""An answer in the words of the Gemini protocol (wire.md sections 5.2 and 6).

What a script's blocks are here:

- A :class:`~.script.RawBlock` is a part: ``block`` and each of ``deltas`` that of one chunk,
  ``whole`` what stands for them in an answer that is not streamed. One with ``promptFeedback`` is
  no part but that field of the response; an answer of nothing else is a blocked prompt, without
  candidates.
- A citation of a :class:`~.script.Text` is a ``groundingMetadata`` object or, if it has a ``uri``
  or a ``startIndex``, a source of ``citationMetadata``. Of several groundings the last one wins,
  field by field.
- Thinking is shown where ``includeThoughts`` asks for it. Its signature stands where the service
  puts it: on the call that follows, else at the end of the text that does.
  :class:`~.script.RedactedThinking` is such a signature alone. From Gemini 3 on, answers are signed
  without any thinking, too.
- A :class:`~.script.Refusal` is text that ends with ``SAFETY``.
- A call whose arguments are no JSON object is not sent: the service has no way to, and ends with
  ``MALFORMED_FUNCTION_CALL``.
- ``Answer.stop_details`` are more fields of the candidate, such as ``finishMessage``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ._json import array, encode, is_array, is_object, object_
from .gemini_fields import standard_base64
from .gemini_rules import sealed_by, version_of
from .protocol import Call
from .script import (
    Answer,
    Block,
    RawBlock,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    arguments_object,
    estimated_tokens,
    pieces_of,
    split_json,
    token_count,
)
from .signatures import Signatures

__all__ = ["Reply", "shows_thoughts"]

_CREATED = "2026-01-31T12:00:00.000000Z"
_CITATION_SOURCE = frozenset({"uri", "startIndex"})
_SAFETY = {
    "safetyRatings": [
        {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
    ]
}
_LOGPROB = -0.015625  # made up: of each character of a token
_UNSEEN = Thinking("")  # what the service signs where nothing is scripted

_Fields = dict[str, Any]


def shows_thoughts(body: Mapping[str, Any]) -> bool:
    """Whether a request wants to see the thinking."""
    config = object_(object_(body.get("generationConfig")).get("thinkingConfig"))
    return config.get("includeThoughts") is True


class Reply:
    """One answer to one call, streamed or whole.

    Args:
        call: The call; its body is canonical.
        answer: The answer.
        signatures: Those of the service.
        vertex: Whether the service is Vertex AI.
    """

    def __init__(self, call: Call, answer: Answer, signatures: Signatures, vertex: bool) -> None:
        self._call = call
        self._answer = answer
        self._signatures = signatures
        self._vertex = vertex
        self._config = object_(call.body.get("generationConfig"))
        self._shows = shows_thoughts(call.body)
        self._newer = (version_of(call.model) or (0, 0)) >= (3, 0)
        self._candidates = max(1, self._config.get("candidateCount", 1))
        self._end = len(answer.content)
        self._signed = self._sign()
        self._prompt_tokens = self._count_prompt()
        self._counts = self._count()
        self._tokens = 0  # streamed so far, by all candidates
        self._thoughts = 0

    # --- the two forms

    def chunks(self) -> Iterator[tuple[_Fields, bool]]:
        """The stream, chunk by chunk; True for those with content."""
        if self._is_blocked:
            yield self._response(self._feedback, self._usage({})), False
            return
        for fields, content in self._steps():
            for candidate in self._each(fields):
                yield self._response({"candidates": [candidate]}, self._usage_so_far()), content
        last = {"content": _content([self._last_part()]), **self._ending()}
        for candidate in self._each(last):
            response = {"candidates": [candidate], **self._feedback}
            yield self._response(response, self._usage(self._counts)), False

    def whole(self) -> _Fields:
        """The answer that is not streamed: what a stream's reader has at its end."""
        if self._is_blocked:
            return self._response(self._feedback, self._usage({}))
        blocks = enumerate(self._answer.content)
        parts = [part for index, block in blocks for part in self._part(index, block)]
        parts += [self._last_part()] if self._end in self._signed else []
        fields = {"content": _content(parts), **self._ending(), **self._citations()}
        if self._config.get("responseLogprobs") and (pieces := self._text_pieces()):
            fields["logprobsResult"] = self._logprobs(pieces)
        candidates = list(self._each(fields))
        response = {"candidates": candidates, **self._feedback}
        return self._response(response, self._usage(self._counts))

    @property
    def _feedback(self) -> _Fields:
        """What the response says of the prompt."""
        found = [fields for block in self._answer.content if (fields := _feedback(block))]
        return found[-1] if found else {}

    @property
    def _is_blocked(self) -> bool:
        return self._end > 0 and all(map(_feedback, self._answer.content))

    def _each(self, fields: _Fields) -> Iterator[_Fields]:
        """The same for each candidate; Vertex AI does not number the first one."""
        for index in range(self._candidates):
            yield fields | ({"index": index} if index or not self._vertex else {})

    def _response(self, fields: _Fields, usage: _Fields) -> _Fields:
        return {
            **fields,
            "usageMetadata": usage,
            "modelVersion": self._answer.model or self._call.model,
            **({"createTime": _CREATED} if self._vertex else {}),
            "responseId": self._answer.id or self._call.token,
        }

    def _ending(self) -> _Fields:
        answer = self._answer
        calls = [block for block in answer.content if isinstance(block, ToolCall)]
        broken = [block for block in calls if arguments_object(block) is None]
        ending: _Fields = {"finishReason": "STOP"}
        if answer.stop_reason is not None:
            words = {"length": "MAX_TOKENS", "stop_sequence": "STOP"}
            ending = {"finishReason": words.get(answer.stop_reason, answer.stop_reason)}
        elif any(isinstance(block, Refusal) for block in answer.content):
            ending = {"finishReason": "SAFETY", **_SAFETY}
        elif broken:
            told = f"Malformed function call: {broken[0].name}{broken[0].arguments_json}"
            ending = {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": told}
        elif calls and not self._vertex:
            ending["finishMessage"] = "Model generated function call(s)."
        if self._vertex:
            pieces = self._text_pieces()
            total = sum(map(_logprob, pieces))
            ending["avgLogprobs"] = total / len(pieces) if pieces else 0.0
        return ending | dict(answer.stop_details or {})

    # --- blocks in a stream

    def _steps(self) -> Iterator[tuple[_Fields, bool]]:
        """What each chunk says of a candidate; True for content."""
        for index, block in enumerate(self._answer.content):
            match block:
                case Text() | Refusal():
                    yield from self._text(index, block)
                case Thinking():
                    yield from self._thinking(block)
                case ToolCall():
                    yield from self._tool_call(index, block)
                case RawBlock() if not _feedback(block):
                    for part in (block.block, *block.deltas):
                        yield {"content": _content([part])}, True
                case _:
                    pass

    def _text(self, index: int, block: Text | Refusal) -> Iterator[tuple[_Fields, bool]]:
        for piece in pieces_of(block):
            self._tokens += self._candidates
            fields = {"content": _content([{"text": piece}])}
            if self._config.get("responseLogprobs"):
                fields["logprobsResult"] = self._logprobs([piece])
            yield fields, True
        if index in self._signed and index != self._end - 1:  # else the last chunk has it
            yield {"content": _content([{"text": "", **self._signature(index)}])}, False
        for citation in block.citations if isinstance(block, Text) else ():
            yield self._citation(citation), False

    def _thinking(self, block: Thinking) -> Iterator[tuple[_Fields, bool]]:
        for piece in pieces_of(block):
            self._thoughts += self._candidates
            if self._shows:
                yield {"content": _content([{"text": piece, "thought": True}])}, True

    def _tool_call(self, index: int, block: ToolCall) -> Iterator[tuple[_Fields, bool]]:
        args = arguments_object(block)
        if args is None:
            return
        self._tokens += self._candidates * token_count([block])
        calling = object_(object_(self._call.body.get("toolConfig")).get("functionCallingConfig"))
        leaves = list(_leaves(args, "$"))
        speakable = not any(value in ({}, []) for _, value in leaves)  # no path says an empty one
        if calling.get("streamFunctionCallArguments") is not True or not speakable:
            yield {"content": _content([self._function(index, block, {"args": args})])}, True
            return
        start = self._function(index, block, {"willContinue": True})
        yield {"content": _content([start])}, False
        for argument in _arguments(leaves):
            more = {"partialArgs": [argument], "willContinue": True}
            yield {"content": _content([{"functionCall": more}])}, True
        yield {"content": _content([{"functionCall": {}}])}, False

    def _last_part(self) -> _Fields:
        """What the last chunk says: nothing more, but perhaps the signature of what was said."""
        if self._end in self._signed:
            return {"text": "", **self._signature(self._end)}
        is_text = isinstance(next(iter(self._answer.content[-1:]), None), Text | Refusal)
        return {"text": "", **(self._signature(self._end - 1) if is_text else {})}

    # --- blocks, whole

    def _part(self, index: int, block: Block) -> Iterator[Mapping[str, Any]]:
        """The part that a block is, if it is one."""
        match block:
            case Text() | Refusal():
                signature = self._signature(index)
                if block.text or signature:
                    yield {"text": block.text, **signature}
            case Thinking():
                if self._shows and block.text:
                    yield {"text": block.text, "thought": True}
            case ToolCall():
                if (args := arguments_object(block)) is not None:
                    yield self._function(index, block, {"args": args})
            case RawBlock() if not _feedback(block):
                yield block.whole or block.block
            case _:
                pass

    def _function(self, index: int, block: ToolCall, more: _Fields) -> _Fields:
        # The Gemini API gives ids from Gemini 3 on, Vertex AI none.
        made = f"{self._call.token[:6]}{index:02}" if self._newer and not self._vertex else None
        id_ = block.id or made
        call = {"name": block.name, **more, **({"id": id_} if id_ else {})}
        return {"functionCall": call, **self._signature(index)}

    # --- citations, log probabilities

    def _citation(self, citation: Mapping[str, Any]) -> _Fields:
        if not citation.keys() & _CITATION_SOURCE:
            return {"groundingMetadata": citation}
        name = "citations" if self._vertex else "citationSources"
        return {"citationMetadata": {name: [citation]}}

    def _citations(self) -> _Fields:
        """All citations of an answer, as fields of its candidate."""
        texts = [block for block in self._answer.content if isinstance(block, Text)]
        made: _Fields = {}
        for told in (self._citation(citation) for text in texts for citation in text.citations):
            for name, fields in told.items():
                known = made.setdefault(name, {})
                for key, value in fields.items():
                    sources = name == "citationMetadata"
                    known[key] = [*known.get(key, ()), *value] if sources else value
        return made

    def _text_pieces(self) -> list[str]:
        blocks = [it for it in self._answer.content if isinstance(it, Text | Refusal)]
        return [piece for block in blocks for piece in pieces_of(block)]

    def _logprobs(self, pieces: list[str]) -> _Fields:
        """Made-up probabilities of tokens: the longer, the less likely."""
        places = range(self._config.get("logprobs", 0))
        top = [{"candidates": [_token(piece, place) for place in places]} for piece in pieces]
        return {"topCandidates": top, "chosenCandidates": [_token(piece, 0) for piece in pieces]}

    # --- signatures

    def _sign(self) -> dict[int, str]:
        """The signatures, by the number of the block that has it; the end's, where none has."""
        signed: dict[int, str] = {}
        due: Thinking | RedactedThinking | None = _UNSEEN if self._newer else None
        text: int | None = None  # the last block of text since then
        for index, block in enumerate(self._answer.content):
            match block:
                case Thinking() | RedactedThinking():
                    if due is not None and text is not None:
                        signed[text] = self._signature_of(due, "")
                    due, text = block, None
                case ToolCall() if due is not None and arguments_object(block) is not None:
                    seal = sealed_by({"functionCall": {"name": block.name}})
                    signed[index], due = self._signature_of(due, seal), None
                case Text() | Refusal():
                    text = index
                case _:
                    pass
        if due is not None and not (due is _UNSEEN and text is None):
            signed[self._end if text is None else text] = self._signature_of(due, "")
        return signed

    def _signature_of(self, thinking: Thinking | RedactedThinking, seal: str) -> str:
        """The signature of thinking, for the part that :func:`sealed_by` says this of."""
        given = thinking.signature if isinstance(thinking, Thinking) else thinking.data
        if given is None:
            return self._signatures.sign(seal, f"{self._call.token} {thinking}")
        self._signatures.remember(standard_base64(given), seal)
        return given

    def _signature(self, index: int) -> dict[str, str]:
        found = self._signed.get(index)
        return {"thoughtSignature": found} if found else {}

    # --- usage

    def _count_prompt(self) -> int:
        usage = self._answer.usage
        read = [self._call.body.get(name) for name in ("systemInstruction", "contents", "tools")]
        tokens = estimated_tokens(read) if usage.input_tokens is None else usage.input_tokens
        return tokens + usage.cache_read_tokens + usage.cache_write_tokens

    def _count(self) -> _Fields:
        """The tokens of the whole answer."""
        usage, blocks = self._answer.usage, self._answer.content
        thoughts = usage.thinking_tokens
        if thoughts is None and any(isinstance(block, Thinking) for block in blocks):
            thoughts = token_count(block for block in blocks if isinstance(block, Thinking))
            thoughts *= self._candidates
        said = token_count(block for block in blocks if not isinstance(block, Thinking))
        said *= self._candidates
        if usage.output_tokens is not None:
            thoughts = thoughts and min(thoughts, usage.output_tokens)
            said = usage.output_tokens - (thoughts or 0)
        counts = {"candidatesTokenCount": said}
        return counts | ({} if thoughts is None else {"thoughtsTokenCount": thoughts})

    def _usage_so_far(self) -> _Fields:
        """What a chunk amid the stream tells; Vertex AI tells nothing of tokens there."""
        if self._vertex:
            return {"trafficType": "ON_DEMAND"}
        so_far = {"candidatesTokenCount": self._tokens, "thoughtsTokenCount": self._thoughts}
        counts = self._counts.items()
        return self._with_prompt({k: min(so_far[k], count) for k, count in counts if so_far[k]})

    def _usage(self, counts: _Fields) -> _Fields:
        traffic = {"trafficType": "ON_DEMAND"} if self._vertex else {}
        return self._with_prompt(counts) | traffic | dict(self._answer.usage.extra)

    def _with_prompt(self, counts: _Fields) -> _Fields:
        prompt, cached = self._prompt_tokens, self._answer.usage.cache_read_tokens
        tools = self._answer.usage.extra.get("toolUsePromptTokenCount", 0)
        return {
            "promptTokenCount": prompt,
            **counts,
            "totalTokenCount": prompt + sum(counts.values()) + tools,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
            **({"cachedContentTokenCount": cached} if cached else {}),
        }


def _feedback(block: Block) -> _Fields:
    """What a block says of the prompt, if that is what it does."""
    if not isinstance(block, RawBlock) or "promptFeedback" not in block.block:
        return {}
    return {"promptFeedback": block.block["promptFeedback"]}


def _content(parts: list[Any]) -> _Fields:
    return {"parts": parts, "role": "model"}


def _logprob(piece: str) -> float:
    return len(piece) * _LOGPROB


def _token(piece: str, place: int) -> _Fields:
    """A token as the list of the likeliest ones has it, at a place from 0."""
    token = f"{piece}~{place}" if place else piece
    number = sum(token.encode())
    return {"token": token, "tokenId": number, "logProbability": _logprob(piece) - place}


# --- arguments that are streamed ------------------------------------------------------------------


_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def _leaves(holder: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each value that holds no others, with its JSON path."""
    if is_object(holder):
        steps = [(_named(name), value) for name, value in holder.items()]
    else:
        steps = [(f"[{number}]", value) for number, value in enumerate(array(holder))]
    for step, value in steps:
        if value and (is_object(value) or is_array(value)):
            yield from _leaves(value, path + step)
        else:
            yield path + step, value


def _named(name: str) -> str:
    return f".{name}" if _PLAIN_NAME.fullmatch(name) else f"[{encode(name).decode()}]"


def _arguments(leaves: Iterable[tuple[str, Any]]) -> Iterator[_Fields]:
    """The values as they are streamed; a text in pieces, then an empty one that ends it."""
    for path, value in leaves:
        if isinstance(value, str):
            for piece in split_json(value):
                yield {"jsonPath": path, "stringValue": piece, "willContinue": True}
            yield {"jsonPath": path, "stringValue": ""}
        elif value is None:
            yield {"jsonPath": path, "nullValue": "NULL_VALUE"}
        else:
            yield {
                "jsonPath": path,
                "boolValue" if isinstance(value, bool) else "numberValue": value,
            }
