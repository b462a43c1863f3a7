"""The OpenAI Responses protocol, as the service and Azure speak it (wire.md sections 4 and 8).

Blocks become items of the output. Texts and refusals in a row are one message. Thinking is
reasoning: it is shown as a summary where the request asks for one, and can go back in encrypted
form where the request includes that. A call is one of a function or of a custom tool, whichever
the request offers. A :class:`RawBlock` is any other item: ``block`` as it is added, ``whole`` as
it is done, and its deltas are the events in between, each with its type; the item's id, its place
and the event's number are filled in.

Why an answer ends is ``length`` or another reason for which the service calls it incomplete, or
``failed`` with the error in ``stop_details``; else it is completed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeAlias, TypeGuard

from . import azure
from ._json import array, encode, object_, string
from .generate import Ask, Tool
from .http1 import Request
from .openai_common import (
    CREATED,
    FREE_TEXT,
    OpenAIProtocol,
    authenticate,
    check,
    error_object,
    free_text,
    token_counts,
)
from .openai_responses_items import (
    CustomCall,
    FunctionCall,
    Message,
    OutputItem,
    Raw,
    Reasoning,
)
from .openai_responses_rules import complaints, effort, is_output
from .openai_responses_stored import StoredResponses
from .protocol import Call, Event, Refused, json_body, sse_event
from .script import Answer, Block, RawBlock, RedactedThinking, Refusal, Text, Thinking, ToolCall
from .signatures import Signatures

__all__ = ["AzureResponses", "OpenAIResponses"]

_Object: TypeAlias = dict[str, Any]


class OpenAIResponses(OpenAIProtocol):
    """``POST .../responses``; see :class:`~.protocol.WireProtocol`."""

    addresses: ClassVar[Mapping[str, str]] = {}  # those of Chat Completions lead here, too

    def __init__(self) -> None:
        self._signatures = Signatures()
        self._stored = StoredResponses()
        self._streams: dict[str, _Reply] = {}

    def serves(self, path: str) -> bool:
        """Whether requests to this path speak this protocol."""
        return path.endswith("/responses")

    def read(self, request: Request, token: str, *, require_key: bool, validate: bool) -> Call:
        """Understand a request, or raise :class:`Refused` with what the service would say."""
        self._authenticate(request, require_key=require_key)
        body = json_body(request)
        if validate:
            check(complaints(body, stored=self._stored, judge=self._signatures.judge))
        return Call(
            body=body,
            model=string(body.get("model")) or "gpt",
            stream=body.get("stream") is True,
            ask=_ask(body),
            token=token,
        )

    def _authenticate(self, request: Request, *, require_key: bool) -> None:
        if require_key:
            authenticate(request)

    def events(self, call: Call, answer: Answer) -> Iterator[Event]:
        """The answer as a stream of server-sent events."""
        reply = self._reply(call, answer)
        self._streams[call.token] = reply  # an error in the stream has its number there
        try:
            yield from reply.events(before_end=lambda: self._keep(call, reply))
        finally:
            del self._streams[call.token]

    def whole(self, call: Call, answer: Answer) -> bytes:
        """The answer as one JSON object."""
        reply = self._reply(call, answer)
        self._keep(call, reply)
        return encode(reply.whole())

    def _reply(self, call: Call, answer: Answer) -> _Reply:
        history = self._stored.history(string(call.body.get("previous_response_id"))) or []
        return _Reply(call, answer, self._signatures, history)

    def _keep(self, call: Call, reply: _Reply) -> None:
        if call.body.get("store") is not False and reply.status != "failed":
            previous = string(call.body.get("previous_response_id")) or None
            output = [dict(item.done) for item in reply.items]
            self._stored.keep(reply.id, previous, _items(call.body), output)

    def error_event(self, failure: Refused, token: str) -> bytes:
        """The event that ends a stream with an error; its fields are nested (wire.md 4.2)."""
        reply = self._streams.get(token)
        number = reply.number if reply else 0
        return _event("error", {"sequence_number": number, "error": error_object(failure)})

    def ping(self) -> bytes:
        """The event that keeps a stream alive; this one does without its number."""
        return _event("keepalive", {})

    def malformed(self) -> bytes:
        """A delta whose JSON breaks off."""
        fields = {"delta": "x", "output_index": 0}
        return _event("response.output_text.delta", fields)[:-6] + b"\n\n"


class AzureResponses(azure.Gateway, OpenAIResponses):
    """Responses as Azure speaks them; the model is a deployment (wire.md 8)."""

    operation: ClassVar[str] = "Responses_Create"

    def serves(self, path: str) -> bool:
        """Whether requests to this path speak this protocol."""
        return path in ("/openai/responses", "/openai/v1/responses")

    def _authenticate(self, request: Request, *, require_key: bool) -> None:
        azure.authenticate(request, require_key=require_key)


def _event(type_: str, fields: Mapping[str, Any]) -> bytes:
    return sse_event({"type": type_, **fields}, type_)


# --- what is asked --------------------------------------------------------------------------------


def _ask(body: Mapping[str, Any]) -> Ask:
    """What the request asks for; it holds for bodies of any shape."""
    turn = _last_turn(body)
    results = [item for item in turn if is_output(item)]
    tools = _tools(body)
    choice, forced = _choice(body, tools)
    limit = body.get("max_output_tokens")
    return Ask(
        prompt="\n".join(text for item in turn for text in _texts(item.get("content"))),
        thinking=_thinks(body) and not results,
        tools=tuple(choice),
        forced=forced,
        results=tuple("\n".join(_texts(item.get("output"))) for item in results),
        schema=_schema(body),
        max_tokens=limit if isinstance(limit, int) else None,
    )


def _items(body: Mapping[str, Any]) -> list[_Object]:
    """The input as items; a string stands for a message."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [object_(item) for item in array(given)]


def _last_turn(body: Mapping[str, Any]) -> list[_Object]:
    """What the user and his tools said since the model did."""
    turn: list[_Object] = []
    for item in reversed(_items(body)):
        if item.get("role") == "user" or is_output(item):
            turn.insert(0, item)
        elif item.get("role") not in ("system", "developer"):
            break
    return turn


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = [object_(part) for part in array(content)]
    return [string(part.get("text")) for part in parts if part.get("type") == "input_text"]


def _tools(body: Mapping[str, Any]) -> list[Tool]:
    """The tools that the caller runs; the service runs the others."""
    found: list[Tool] = []
    for tool in map(object_, array(body.get("tools"))):
        name, kind = string(tool.get("name")), tool.get("type")
        if name and kind in ("function", "custom"):
            schema = FREE_TEXT if kind == "custom" else object_(tool.get("parameters"))
            found.append(Tool(name, schema))
    return found


def _custom_tools(body: Mapping[str, Any]) -> set[str]:
    tools = [object_(tool) for tool in array(body.get("tools"))]
    return {string(tool.get("name")) for tool in tools if tool.get("type") == "custom"}


def _choice(body: Mapping[str, Any], tools: list[Tool]) -> tuple[list[Tool], Tool | None]:
    """The tools that may be called, and the one that must be."""
    given = body.get("tool_choice")
    choice = object_(given)
    kind, name = choice.get("type"), choice.get("name")
    if given == "none":
        return [], None
    if kind in ("function", "custom"):
        return tools, next((tool for tool in tools if tool.name == name), None)
    if kind == "allowed_tools":
        names = [object_(tool).get("name") for tool in array(choice.get("tools"))]
        tools = [tool for tool in tools if tool.name in names]
    must = "required" in (given, choice.get("mode"))
    return tools, next(iter(tools), None) if must else None


def _schema(body: Mapping[str, Any]) -> _Object | None:
    format_ = object_(object_(body.get("text")).get("format"))
    kind = format_.get("type")
    if kind == "json_object":
        return {"type": "object"}
    return object_(format_.get("schema")) or None if kind == "json_schema" else None


def _summary(body: Mapping[str, Any]) -> str | None:
    """How a summary of the reasoning is asked for, if it is."""
    reasoning = object_(body.get("reasoning"))
    return string(reasoning.get("summary")) or string(reasoning.get("generate_summary")) or None


def _thinks(body: Mapping[str, Any]) -> bool:
    used = effort(body)
    return used != "none" and (used or _summary(body)) is not None


# --- the answer -----------------------------------------------------------------------------------


class _Reply:
    """One answer to one call, in the protocol's words, streamed or whole.

    Attributes:
        id: The response's id.
        status: How it ends.
        items: Its output.
        number: The number of its latest event; one that is not sent leaves it to an error.
    """

    def __init__(
        self, call: Call, answer: Answer, signatures: Signatures, history: list[_Object]
    ) -> None:
        self._call = call
        self._answer = answer
        self._signatures = signatures
        self._history = history
        include = array(call.body.get("include"))
        self._encrypts = "reasoning.encrypted_content" in include
        self._logprobs: int | None = None
        if "message.output_text.logprobs" in include:
            alternatives = call.body.get("top_logprobs")
            self._logprobs = alternatives if isinstance(alternatives, int) else 0
        self.id = answer.id or f"resp_{call.token}"
        self.status, self._ending = _end(answer)
        self.items = list(self._output())
        self.number = -1

    def events(self, before_end: Callable[[], None]) -> Iterator[Event]:
        """The stream; before its last event that function is called."""
        for name in ("response.created", "response.in_progress"):
            yield self._event(name, {"response": self._response("in_progress")})
        for place, item in enumerate(self.items):
            added = {"output_index": place, "item": item.added}
            yield self._event("response.output_item.added", added)
            of_item = {"item_id": item.added["id"]} if "id" in item.added else {}
            for name, fields, content in item.happenings():
                where = {**of_item, "output_index": place}
                yield self._event(name, {**where, **fields}, content=content)
            done = {"output_index": place, "item": item.done}
            yield self._event("response.output_item.done", done)
        before_end()
        yield self._event(f"response.{self.status}", {"response": self.whole()})

    def _event(self, type_: str, fields: Mapping[str, Any], *, content: bool = False) -> Event:
        self.number += 1
        return Event(_event(type_, {"sequence_number": self.number, **fields}), content)

    def whole(self) -> _Object:
        """The answer that is not streamed: what a stream's last event holds."""
        output = [item.done for item in self.items]
        completed = {"completed_at": CREATED} if self.status == "completed" else {}
        ending = {"output": output, "usage": self._usage(), **completed, **self._ending}
        tier = {"auto": "default"}.get(self._tier, self._tier)
        return self._response(self.status) | ending | {"service_tier": tier}

    @property
    def _tier(self) -> str:
        return string(self._call.body.get("service_tier")) or "auto"

    def _response(self, status: str) -> _Object:
        """The response, which repeats the request, before there is an output."""
        call, body = self._call, self._call.body
        repeated = {name: _repeated(body.get(name), value) for name, value in _REPEATED.items()}
        conversation = body.get("conversation")
        named = {"id": conversation} if isinstance(conversation, str) else conversation
        return {
            "id": self.id,
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": self._answer.model or call.model,
            "output": [],
            **repeated,
            **({"conversation": named} if named else {}),
            "reasoning": {"effort": effort(body), "summary": _summary(body)},
            "service_tier": self._tier,
            "text": _text(body),
            "tools": [_repeated_tool(tool) for tool in array(body.get("tools"))],
            "usage": None,
        }

    def _usage(self) -> _Object:
        body = self._call.body
        asked = [body.get("instructions"), self._history, body.get("input"), body.get("tools")]
        counts = token_counts(self._answer, asked)
        return {
            "input_tokens": counts.input,
            "input_tokens_details": {
                "cached_tokens": counts.cached,
                "cache_write_tokens": counts.written,
            },
            "output_tokens": counts.output,
            "output_tokens_details": {"reasoning_tokens": counts.reasoning},
            "total_tokens": counts.input + counts.output,
            **self._answer.usage.extra,
        }

    def _output(self) -> Iterator[OutputItem]:
        """The items; the last one is incomplete where the answer is."""
        groups = list(_grouped(self._answer.content))
        for place, group in enumerate(groups):
            is_cut = self.status == "incomplete" and place == len(groups) - 1
            yield self._item(place, group, "incomplete" if is_cut else "completed")

    def _item(self, place: int, group: list[Block], status: str) -> OutputItem:
        end = f"{self._call.token}{place:02}"
        match group[0]:
            case Text() | Refusal():
                return Message(f"msg_{end}", list(filter(_is_said, group)), status, self._logprobs)
            case ToolCall() as call:
                return self._tool_call(call, end, status)
            case RawBlock() as raw:
                return Raw(raw)
            case block:
                return self._reasoning(block, f"rs_{end}")

    def _tool_call(self, call: ToolCall, end: str, status: str) -> OutputItem:
        call_id = call.id or f"call_{end}"
        if call.name in _custom_tools(self._call.body):
            return CustomCall((f"ctc_{end}", call_id), call.name, free_text(call), status)
        return FunctionCall((f"fc_{end}", call_id), call.name, call.arguments_json, status)

    def _reasoning(self, block: Thinking | RedactedThinking, item_id: str) -> Reasoning:
        shown = block.text if isinstance(block, Thinking) and _summary(self._call.body) else ""
        return Reasoning(item_id, shown, self._encrypted(block, item_id))

    def _encrypted(self, block: Thinking | RedactedThinking, item_id: str) -> str | None:
        """The encrypted content, which is good for the item that it was sent with."""
        if not self._encrypts:
            return None
        given = block.signature if isinstance(block, Thinking) else block.data
        if given is None:
            return self._signatures.sign(item_id, block.text if isinstance(block, Thinking) else "")
        self._signatures.remember(given, item_id)
        return given


# What a response repeats of its request, and what it says where the request has nothing.
_REPEATED: Mapping[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def _repeated(given: Any, default: Any) -> Any:
    return default if given is None else given


def _text(body: Mapping[str, Any]) -> _Object:
    """What is said of the text's form; a schema is strict unless the request says otherwise."""
    given = object_(body.get("text"))
    format_ = object_(given.get("format")) or {"type": "text"}
    if format_.get("type") == "json_schema":
        format_ = {"description": None, "strict": True, **format_}
    return {"format": format_, "verbosity": given.get("verbosity") or "medium"}


def _repeated_tool(tool: Any) -> _Object:
    """A tool; the parameters of a function are strict unless the request says otherwise."""
    given = object_(tool)
    if given.get("type") != "function":
        return given
    return {"description": None, "strict": True, **given}


def _grouped(content: Iterable[Block]) -> Iterator[list[Block]]:
    """The blocks of each item: texts and refusals in a row belong together."""
    group: list[Block] = []
    for block in content:
        if group and not (_is_said(group[-1]) and _is_said(block)):
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def _is_said(block: Block) -> TypeGuard[Text | Refusal]:
    return isinstance(block, (Text, Refusal))


def _end(answer: Answer) -> tuple[str, _Object]:
    """The status that an answer ends with, and what is said about it."""
    reason, details = answer.stop_reason or "completed", answer.stop_details or {}
    if reason == "completed":
        return "completed", {}
    if reason == "failed":
        error = {"code": "server_error", "message": "The server had an error.", **details}
        return "failed", {"error": error}
    reason = {"length": "max_output_tokens"}.get(reason, reason)
    return "incomplete", {"incomplete_details": {"reason": reason, **details}}
