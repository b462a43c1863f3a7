"""The OpenAI Chat Completions protocol, and Azure's face of it (wire.md sections 3 and 8 to 10).

It is spoken on every path that ends in ``/chat/completions``, so each service that speaks it can
be played. What an answer has no place for in the protocol is not sent: a signature of thinking,
redacted thinking, the stop sequence. Thinking itself is sent as DeepSeek sends it, as
``reasoning_content``; OpenAI's own models only count it.

A text's citations are ``annotations``. A :class:`RawBlock` has fields of the message: ``block``
and then each of its deltas is a ``delta`` of the stream, and ``whole`` is added to the message.
``Answer.stop_details`` are more fields of the choice that ends. A call of a tool that takes free
text (``type: custom``) is given a string, or the field ``input`` of its arguments. To a request
with the older ``functions`` the first call is answered as a ``function_call``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeAlias
from urllib.parse import unquote

from . import azure
from ._json import array, encode, is_array, is_object, object_, string
from .generate import Ask, Tool
from .http1 import Head, Headers, Request
from .openai_chat_rules import Maker, complaints, deepseek_thinks, maker_of
from .openai_common import (
    CREATED,
    FREE_TEXT,
    OpenAIProtocol,
    authenticate,
    check,
    error_object,
    free_text,
    is_openai,
    logprob,
    reasons_now,
    token_counts,
)
from .protocol import Call, Event, Refused, json_body, sse_event
from .script import (
    Answer,
    RawBlock,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    pieces_of,
    split_text,
)

__all__ = ["AzureChat", "OpenAIChat"]

_Object: TypeAlias = dict[str, Any]
_Shown: TypeAlias = Text | Refusal | Thinking | ToolCall | RawBlock


class OpenAIChat(OpenAIProtocol):
    """``POST .../chat/completions``; see :class:`~.protocol.WireProtocol`."""

    addresses: ClassVar[Mapping[str, str]] = {"OPENAI_BASE_URL": "/v1", "DEEPSEEK_BASE_URL": ""}

    def serves(self, path: str) -> bool:
        """Whether requests to this path speak this protocol."""
        return path.endswith("/chat/completions")

    def read(self, request: Request, token: str, *, require_key: bool, validate: bool) -> Call:
        """Understand a request, or raise :class:`Refused` with what the service would say."""
        if require_key:
            authenticate(request)
        body = json_body(request)
        model = string(body.get("model"))
        if validate:
            check(complaints(body, model, maker_of(model)))
        return _call(body, model, token)

    def events(self, call: Call, answer: Answer) -> Iterator[Event]:
        """The answer as a stream of server-sent events."""
        return _Reply(call, answer).events()

    def whole(self, call: Call, answer: Answer) -> bytes:
        """The answer as one JSON object."""
        return encode(_Reply(call, answer).whole())

    def error_event(self, failure: Refused, token: str) -> bytes:
        """The event that ends a stream with an error."""
        return sse_event({"error": error_object(failure)})

    def ping(self) -> bytes:
        """The comment that keeps a stream alive."""
        return b": keep-alive\n\n"

    def malformed(self) -> bytes:
        """A chunk whose JSON breaks off."""
        choice = {"index": 0, "delta": {"content": "x"}}
        return sse_event({"object": "chat.completion.chunk", "choices": [choice]})[:-6] + b"\n\n"


# --- Azure ----------------------------------------------------------------------------------------

_AZURE_PATH = re.compile(r"/openai/(?:v1|deployments/([^/]+))/chat/completions")
_SAFE = {
    kind: {"filtered": False, "severity": "safe"}
    for kind in ("hate", "self_harm", "sexual", "violence")
}
_PROMPT_FILTERS = [
    {
        "prompt_index": 0,
        "content_filter_results": {**_SAFE, "jailbreak": {"filtered": False, "detected": False}},
    }
]
_BLOCKED = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management "
    "policy. Please modify your prompt and retry. To learn more about our content filtering "
    "policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _AzureCall(Call):
    """A call of a deployment of Azure's."""


class AzureChat(azure.Gateway, OpenAIChat):
    """Chat Completions as Azure speaks them, of a deployment or of its version 1."""

    addresses: ClassVar[Mapping[str, str]] = {"AZURE_OPENAI_ENDPOINT": ""}

    operation: ClassVar[str] = "ChatCompletions_Create"

    def serves(self, path: str) -> bool:
        """Whether requests to this path speak this protocol."""
        return _AZURE_PATH.fullmatch(path) is not None

    def read(self, request: Request, token: str, *, require_key: bool, validate: bool) -> Call:
        """Understand a request; in the older form of the API the path names the model."""
        if _is_groqs(request):
            return super().read(request, token, require_key=require_key, validate=validate)
        azure.authenticate(request, require_key=require_key)
        body = json_body(request)
        model = unquote(_AZURE_PATH.sub(r"\1", request.path)) or string(body.get("model"))
        if validate:
            maker: Maker = "openai" if is_openai(model) else "other"
            check(complaints(body, model, maker, {"data_sources": "array"}))
        return _call(body, model, token, _AzureCall)

    def events(self, call: Call, answer: Answer) -> Iterator[Event]:
        """The answer as a stream; before it comes what the filters say of the prompt."""
        is_azures = isinstance(call, _AzureCall)
        if is_azures:
            nothing: _Object = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
            yield Event(sse_event({**nothing, "prompt_filter_results": _PROMPT_FILTERS}))
        yield from _Reply(call, answer, filters=is_azures).events()

    def whole(self, call: Call, answer: Answer) -> bytes:
        """The answer as one JSON object."""
        if not isinstance(call, _AzureCall):
            return super().whole(call, answer)
        whole = _Reply(call, answer, filters=True).whole()
        return encode({**whole, "prompt_filter_results": _PROMPT_FILTERS})

    def head(self, request: Request, token: str, now: float, *, stream: bool) -> Head:
        """The head of an answer."""
        if _is_groqs(request):
            # There is no gateway of Azure's before it.
            return OpenAIChat.head(self, request, token, now, stream=stream)
        return super().head(request, token, now, stream=stream)

    def error(self, refused: Refused, token: str) -> tuple[Headers, bytes]:
        """Headers and body of an error: the gateway's, the content filter's, or OpenAI's."""
        headers, body = super().error(refused, token)
        if refused.type == "content_filter":
            body = encode({"error": _filtered(refused.message)})
        return headers, body

    def failure(self, type: str | None, message: str | None) -> Refused:  # noqa: A002
        """The error that ends a stream, by default of an overloaded service."""
        if type == "content_filter":
            return Refused(400, message, type)
        return super().failure(type, message)

    def error_event(self, failure: Refused, token: str) -> bytes:
        """The event that ends a stream with an error."""
        if failure.type == "content_filter":
            return sse_event({"error": _filtered(failure.message)})
        return super().error_event(failure, token)


def _is_groqs(request: Request) -> bool:
    """Whether a request is one of Groq's clients, whose path is that of Azure's version 1."""
    host, authorization = request.header("host") or "", request.header("authorization") or ""
    is_groqs = "groq.com" in host or authorization.lower().startswith("bearer gsk_")
    return is_groqs and request.path == "/openai/v1/chat/completions"


def _filtered(message: str | None) -> _Object:
    """The error of a prompt that a filter stops (wire.md 8)."""
    results = {**_SAFE, "violence": {"filtered": True, "severity": "medium"}}
    return {
        "message": message or _BLOCKED,
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": results,
        },
    }


# --- what is asked --------------------------------------------------------------------------------

_ANY_OBJECT = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
}


def _call(body: _Object, model: str, token: str, kind: type[Call] = Call) -> Call:
    stream = body.get("stream") is True
    ask = _ask(body, model)
    return kind(body=body, model=model or "model", stream=stream, ask=ask, token=token)


def _ask(body: Mapping[str, Any], model: str) -> Ask:
    """What the request asks for; it holds for bodies of any shape."""
    turn = _last_turn(body)
    results = [m for m in turn if m.get("role") in ("tool", "function")]
    asked = [m for m in turn if m.get("role") == "user"]
    tools, forced = _choice(body)
    limits = (body.get("max_completion_tokens"), body.get("max_tokens"))
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else array(stop)
    return Ask(
        prompt="\n".join(map(_text, asked)),
        thinking=_thinks(body, model),
        tools=tuple(tools),
        forced=forced,
        results=tuple(map(_text, results)),
        schema=_schema(body),
        max_tokens=next((limit for limit in limits if isinstance(limit, int)), None),
        stop_sequences=tuple(filter(None, map(string, stops))),
    )


def _last_turn(body: Mapping[str, Any]) -> list[_Object]:
    """The messages of the user and his tools since the assistant spoke."""
    messages = [object_(message) for message in array(body.get("messages"))]
    while messages and messages[-1].get("role") == "assistant":
        del messages[-1]  # it is to be gone on with
    turn: list[_Object] = []
    for message in reversed(messages):
        if message.get("role") == "assistant":
            break
        turn.insert(0, message)
    return turn


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    parts = [object_(part) for part in array(content)]
    texts = [string(part.get("text")) for part in parts if part.get("type") == "text"]
    return "\n".join(texts) if is_array(content) else string(content)


def _thinks(body: Mapping[str, Any], model: str) -> bool:
    """Whether the model thinks: of OpenAI's and DeepSeek's it is known, others have to be asked."""
    maker, effort = maker_of(model), body.get("reasoning_effort")
    if maker == "openai":
        return reasons_now(model, effort)
    if maker == "deepseek":
        return deepseek_thinks(model, body)
    if is_object(asked := body.get("reasoning")):
        return asked.get("enabled") is not False and asked.get("effort") != "none"
    if is_object(asked := body.get("thinking")):
        return asked.get("type") != "disabled"
    return effort not in (None, "none")


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    format_ = object_(body.get("response_format"))
    if format_.get("type") == "json_object":
        return _ANY_OBJECT
    return object_(object_(format_.get("json_schema")).get("schema")) or None


def _tools(body: Mapping[str, Any]) -> list[Tool]:
    """The tools that the caller runs, ``functions`` of old included."""
    given = [object_(tool) for tool in array(body.get("tools"))]
    functions = [object_(tool.get("function")) for tool in given]
    functions += map(object_, array(body.get("functions")))
    tools = [Tool(string(f.get("name")), f.get("parameters")) for f in functions]
    tools += [Tool(string(object_(tool.get("custom")).get("name")), FREE_TEXT) for tool in given]
    return [tool for tool in tools if tool.name]


def _choice(body: Mapping[str, Any]) -> tuple[list[Tool], Tool | None]:
    """The tools that the model may call, and the one that it must call."""
    tools = _tools(body)
    choice = body.get("tool_choice", body.get("function_call"))
    mode, names = choice, None
    if is_object(choice):
        kind = string(choice.get("type"))
        within = object_(choice.get(kind)) or choice
        named = [object_(tool) for tool in array(within.get("tools"))]
        names = [object_(tool.get(string(tool.get("type")))).get("name") for tool in named]
        names = names or [within.get("name")]
        mode = within.get("mode", "required")
        tools = [tool for tool in tools if tool.name in names]
    if mode == "none":
        return [], None
    must = mode in ("required", "any")  # Mistral's word is "any"
    return tools, tools[0] if must and tools else None


# --- the answer -----------------------------------------------------------------------------------


class _Delta(NamedTuple):
    """A piece of a choice: its fields, whether it carries content, and which kind of token."""

    fields: Mapping[str, Any]
    content: bool = False
    token: str | None = None


class _Reply:
    """One answer to one call, in the protocol's words, streamed or whole.

    Args:
        call: The call.
        answer: The answer.
        filters: Whether each choice tells what Azure's filters say.
    """

    def __init__(self, call: Call, answer: Answer, *, filters: bool = False) -> None:
        self._call = call
        self._answer = answer
        self._filters = filters
        self._is_openais = is_openai(call.model)
        self._blocks: list[_Shown] = [
            block
            for block in answer.content
            if not isinstance(block, RedactedThinking)
            and not (self._is_openais and isinstance(block, Thinking))
        ]
        self._thinks = any(isinstance(block, Thinking) for block in self._blocks)
        options = object_(call.body.get("stream_options"))
        self._tells_usage = options.get("include_usage") is True
        # Many services do, in the last piece; of some, like Mistral, it cannot be asked for.
        self._tells_usage_unasked = not (self._is_openais or "stream_options" in call.body)
        count = call.body.get("n")
        self._count = count if isinstance(count, int) and count > 1 else 1
        tools = [object_(tool) for tool in array(call.body.get("tools"))]
        self._custom = [object_(tool.get("custom")).get("name") for tool in tools]
        self._is_old = "functions" in call.body

    # --- streamed

    def events(self) -> Iterator[Event]:
        """The stream; the pieces of several choices take turns."""
        for deltas in zip(*map(self._deltas, range(self._count)), strict=True):
            for index, delta in enumerate(deltas):
                yield Event(self._chunk([self._piece(index, delta)]), delta.content)
        for index in range(self._count):
            is_last = index == self._count - 1
            usage = self._usage() if is_last and self._tells_usage_unasked else None
            yield Event(self._chunk([self._piece(index, _Delta({})) | self._ending()], usage))
        if self._tells_usage:
            yield Event(self._chunk([], self._usage()))
        yield Event(b"data: [DONE]\n\n")

    def _chunk(self, choices: list[_Object], usage: _Object | None = None) -> bytes:
        chunk = {**self._about("chat.completion.chunk"), "choices": choices}
        return sse_event(chunk | ({"usage": usage} if usage or self._tells_usage else {}))

    def _piece(self, index: int, delta: _Delta) -> _Object:
        logprobs = None if delta.token is None else self._logprobs({delta.token: [delta]})
        piece = {
            "index": index,
            "delta": delta.fields,
            "logprobs": logprobs,
            "finish_reason": None,
        }
        results = _SAFE if delta.content else {}
        return piece | ({"content_filter_results": results} if self._filters else {})

    def _deltas(self, choice: int) -> Iterator[_Delta]:
        """The pieces of a choice: who speaks, then what is said."""
        opening: _Object = {"role": "assistant", "content": self._nothing()}
        first: _Shown | None = self._blocks[0] if self._blocks else None
        match first:
            case ToolCall():
                pass  # it begins in the same piece
            case Thinking():
                yield _Delta({**opening, "reasoning_content": ""})
            case Refusal():
                yield _Delta({**opening, "refusal": ""})
            case _:
                yield _Delta(opening | ({"refusal": None} if self._is_openais else {}))
        calls = 0
        for place, block in enumerate(self._blocks):
            if isinstance(block, ToolCall):
                deltas = self._call_deltas(block, calls, choice)
                calls += 1
            else:
                deltas = self._block_deltas(block)
            for number, delta in enumerate(deltas):
                is_first = isinstance(block, ToolCall) and place == number == 0
                yield delta._replace(fields={**opening, **delta.fields}) if is_first else delta

    def _nothing(self) -> str | None:
        """What stands for the text where there is none."""
        others = (ToolCall, Thinking, Refusal)
        return None if self._blocks and isinstance(self._blocks[0], others) else ""

    def _block_deltas(self, block: Text | Refusal | Thinking | RawBlock) -> Iterator[_Delta]:
        match block:
            case Text():
                empty = {"reasoning_content": None} if self._thinks else {}
                for piece in pieces_of(block):
                    yield _Delta({"content": piece, **empty}, True, "content")
                for citation in block.citations:
                    yield _Delta({"annotations": [citation]})
            case Refusal():
                for piece in pieces_of(block):
                    yield _Delta({"refusal": piece}, True, "refusal")
            case Thinking():
                for piece in pieces_of(block):
                    yield _Delta({"content": None, "reasoning_content": piece}, True)
            case _:
                yield _Delta(block.block)
                yield from (_Delta(delta, True) for delta in block.deltas)

    def _call_deltas(self, call: ToolCall, number: int, choice: int) -> Iterator[_Delta]:
        kind, text, whole = self._called(call, number, choice)
        pieces = split_text(whole[kind][text]) if kind == "custom" else pieces_of(call)
        empty = {**whole[kind], text: ""}
        if kind == "function_call":
            yield _Delta({kind: empty})
            yield from (_Delta({kind: {text: piece}}, True) for piece in pieces)
            return
        index = number - self._is_old
        yield _Delta({"tool_calls": [{"index": index, **whole, kind: empty}]})
        for piece in pieces:
            yield _Delta({"tool_calls": [{"index": index, kind: {text: piece}}]}, True)

    # --- whole

    def whole(self) -> _Object:
        """The answer that is not streamed: what a stream's reader has at its end."""
        choices = [self._choice(index) for index in range(self._count)]
        return {**self._about("chat.completion"), "choices": choices, "usage": self._usage()}

    def _choice(self, index: int) -> _Object:
        tokens: dict[str, list[_Delta]] = {}
        for delta in self._deltas(index):
            if delta.token is not None:
                tokens.setdefault(delta.token, []).append(delta)
        return {
            "index": index,
            "message": self._message(index),
            "logprobs": self._logprobs(tokens),
            **({"content_filter_results": _SAFE} if self._filters else {}),
            **self._ending(),
        }

    def _message(self, choice: int) -> _Object:
        texts = [block for block in self._blocks if isinstance(block, Text)]
        refusals = [block.text for block in self._blocks if isinstance(block, Refusal)]
        thoughts = [block.text for block in self._blocks if isinstance(block, Thinking)]
        content = "".join(block.text for block in texts) if texts else self._nothing()
        message: _Object = {"role": "assistant", "content": content}
        if thoughts:
            message["reasoning_content"] = "".join(thoughts)
        if refusals or self._is_openais:
            message["refusal"] = "".join(refusals) or None
        annotations = [citation for block in texts for citation in block.citations]
        if annotations or self._is_openais:
            message["annotations"] = annotations
        calls = [block for block in self._blocks if isinstance(block, ToolCall)]
        for number, call in enumerate(calls):
            kind, _, whole = self._called(call, number, choice)
            if kind == "function_call":
                message[kind] = whole[kind]
            else:
                message.setdefault("tool_calls", []).append(whole)
        for block in self._blocks:
            message |= (block.whole or block.block) if isinstance(block, RawBlock) else {}
        return message

    # --- what both have

    def _about(self, kind: str) -> _Object:
        call, answer = self._call, self._answer
        tier = call.body.get("service_tier")
        tier = {"service_tier": "default" if tier in (None, "auto") else tier}
        return {
            "id": answer.id or f"chatcmpl-{call.token}",
            "object": kind,
            "created": CREATED,
            "model": answer.model or call.model,
            **(tier if self._is_openais else {}),
            "system_fingerprint": "fp_dhenara",
        }

    def _called(self, call: ToolCall, number: int, choice: int) -> tuple[str, str, _Object]:
        """A call as it is sent: its kind, the name of its argument, and the whole of it."""
        if self._is_old and not number:
            body: _Object = {"name": call.name, "arguments": call.arguments_json}
            return "function_call", "arguments", {"function_call": body}
        other = "" if choice == 0 else f"_{choice}"
        id_ = call.id or f"call_{self._call.token}{number:02}{other}"
        if call.name in self._custom:
            body = {"name": call.name, "input": free_text(call)}
            return "custom", "input", {"id": id_, "type": "custom", "custom": body}
        body = {"name": call.name, "arguments": call.arguments_json}
        return "function", "arguments", {"id": id_, "type": "function", "function": body}

    def _ending(self) -> _Object:
        answer = self._answer
        reason = answer.stop_reason or self._natural_reason()
        return {
            "finish_reason": {"stop_sequence": "stop"}.get(reason, reason),
            **(answer.stop_details or {}),
        }

    def _natural_reason(self) -> str:
        """Why the answer ends; OpenAI calls it a stop where the tool was named (wire.md 3.2)."""
        if not any(isinstance(block, ToolCall) for block in self._blocks):
            return "stop"
        if self._is_old:
            return "function_call"
        is_named = object_(self._call.body.get("tool_choice")).get("type") in ("function", "custom")
        return "stop" if is_named and self._is_openais else "tool_calls"

    def _logprobs(self, tokens: Mapping[str, list[_Delta]]) -> _Object | None:
        """How likely each token is, if there are any and that is asked for."""
        if not (tokens and self._call.body.get("logprobs")):
            return None
        most = self._call.body.get("top_logprobs")
        most = most if isinstance(most, int) else 0
        return {
            name: [logprob(delta.fields[name], most) for delta in tokens[name]]
            if name in tokens
            else None
            for name in ("content", "refusal")
        }

    def _usage(self) -> _Object:
        body = self._call.body
        names = ("messages", "tools", "functions", "response_format")
        counts = token_counts(self._answer, [body.get(name) for name in names])
        written = {"cache_write_tokens": counts.written} if counts.written else {}
        usage = {
            "prompt_tokens": counts.input,
            "completion_tokens": counts.output,
            "total_tokens": counts.input + counts.output,
            "prompt_tokens_details": {
                "cached_tokens": counts.cached,
                "audio_tokens": 0,
                **written,
            },
            "completion_tokens_details": {
                "reasoning_tokens": counts.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
        if maker_of(self._call.model) == "deepseek":
            usage["prompt_cache_hit_tokens"] = counts.cached
            usage["prompt_cache_miss_tokens"] = counts.input - counts.cached
        return usage | dict(self._answer.usage.extra)
