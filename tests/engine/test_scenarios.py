"""What is streamed, on asyncio, on trio and in sync code: the same tuples, in the same order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec
import pytest
from engine.served import DIALECTS, FACES, Served
from engine.support import PERSON, WEATHER, WORDS, error_of, text_of

from dhenara_stream import AIModelClient, DhenaraStreamError
from dhenara_stream.engine import clocks
from dhenara_stream.simulator import (
    Answer,
    CleanCut,
    ContentType,
    Drop,
    ErrorEvent,
    Fault,
    Malformed,
    OnlyPings,
    OpenEnd,
    RawBlock,
    RedactedThinking,
    Refusal,
    Reset,
    Respond,
    Silence,
    Simulator,
    Text,
    Thinking,
    ToolCall,
    TornChunk,
    Usage,
)
from dhenara_stream.types import (
    AIModelCallResponse,
    BaseAIModel,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import Claude35Haiku
from dhenara_stream.types.shared import SSEErrorResponse, SSEEventType, SSEResponse

Items = list[tuple[Any, Any]]

SEARCH = RawBlock(
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
    [{"type": "input_json_delta", "partial_json": '{"query":"x"}'}],
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
)
FOUND = RawBlock(
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [{"type": "web_search_result", "url": "https://a", "title": "A"}],
    }
)
CITED = Text("It is so", citations=[{"type": "web_search_result_location", "url": "https://a"}])
HTML = "<html><title>Sign in</title></html>"


@dataclass(kw_only=True)
class Scenario:
    """An answer with what goes wrong, and what the user has of it in the end."""

    answer: Answer = field(default_factory=lambda: Answer(WORDS))
    faults: Fault | list[Fault | None] | None = None
    sim: dict[str, Any] = field(default_factory=dict[str, Any])
    model: BaseAIModel | None = None
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    requests: int = 1  # how many were made
    # What comes: of a complete answer ...
    text: str | None = None
    reasoning: str | None = None
    tools: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    finish: str = "stop"
    native: str | None = None  # the protocol's own word for the finish reason
    check: Callable[[AIModelCallResponse], object] | None = None
    same_whole: bool = True  # whether streaming=False gives the same answer
    # ... or of one that fails.
    error: str | None = None
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    says: str = ""


@dataclass(frozen=True)
class Case:
    """A scenario at a place."""

    served: Served
    scenario: Scenario


def first_words(count: int) -> str:
    """What has come after so many pieces of ``WORDS``."""
    return " ".join(WORDS.split(" ")[:count])


def blocks(response: AIModelCallResponse) -> list[str]:
    assert response.chat_response
    return [item.type for item in response.chat_response.choices[0].contents or []]


def _refused(response: AIModelCallResponse) -> None:
    assert response.chat_response
    assert response.chat_response.refusal() == "I will not."
    assert response.chat_response.text() is None


def _structured(response: AIModelCallResponse) -> None:
    assert response.chat_response
    assert response.chat_response.structured() == {"name": "Ada"}


def _cut_call(response: AIModelCallResponse) -> None:
    assert response.chat_response
    [call] = response.chat_response.tools()
    assert call.parse_error
    assert call.raw_arguments
    assert call.arguments == {}


THINKING = {  # where a model shows it
    "thinking, then text": Scenario(
        answer=Answer(Thinking("Let me see."), Text("Four.")),
        config={"reasoning": True},
        text="Four.",
        reasoning="Let me see.",
    ),
}

THINKING_CUT = {
    "thinking cut": Scenario(
        answer=Answer(Thinking("Let me see this."), Text("Four.")),
        config={"reasoning": True},
        faults=CleanCut(deltas=2),
        reasoning="Let me",
        error="TruncatedStream",
    ),
}


def broken_arguments(served: Served) -> dict[str, Scenario]:
    """Calls whose arguments are no JSON, where arguments come in pieces."""
    return {
        "a tool call with broken arguments": Scenario(
            answer=Answer(ToolCall("get_weather", '{"city": "Ul', id="toolu_1")),
            config={"tools": [WEATHER]},
            tools=[{"call_id": "toolu_1", "name": "get_weather", "arguments": {}}],
            finish="tool_calls",
            native=served.tool_use,
            check=_cut_call,
            same_whole=False,  # an answer that is not streamed cannot hold it
        ),
    }


CALL_CUT = {
    "a call cut within its arguments": Scenario(
        answer=Answer(ToolCall("get_weather", {"city": "Heidenheim an der Brenz"}, id="toolu_1")),
        config={"tools": [WEATHER]},
        faults=CleanCut(deltas=2),
        error="TruncatedStream",
        check=_cut_call,
    ),
}

ANTHROPIC_OWN = {  # what only Anthropic's protocol has
    "redacted thinking": Scenario(
        answer=Answer(RedactedThinking("b3BhcXVl"), Text("Four.")),
        text="Four.",
        check=lambda r: blocks(r) == ["reasoning", "text"],
    ),
    "a hosted tool with citations": Scenario(
        answer=Answer(SEARCH, FOUND, CITED),
        text="It is so",
        check=lambda r: blocks(r) == ["generic", "generic", "text"],
    ),
    "a block that nobody knows": Scenario(
        answer=Answer(RawBlock({"type": "hologram", "frames": [1, 2]}), Text("See?")),
        text="See?",
        check=lambda r: blocks(r) == ["generic", "text"],
    ),
    "a stop sequence": Scenario(
        answer=Answer("One", stop_reason="stop_sequence", stop_sequence="Two"),
        config={"options": {"stop": ["Two"]}},
        text="One",
        finish="stop_sequence",
        native="stop_sequence",
        check=lambda r: r.chat_response and r.chat_response.choices[0].stop_sequence == "Two",
    ),
    "a pause": Scenario(
        answer=Answer("Wait", stop_reason="pause_turn"),
        text="Wait",
        finish="pause",
        native="pause_turn",
    ),
    "an unknown reason to stop": Scenario(
        answer=Answer("Hm", stop_reason="moonrise"),
        text="Hm",
        finish="unknown",
        native="moonrise",
    ),
    "structured output by a tool": Scenario(
        answer=Answer(ToolCall("structured_output", {"name": "Ada"}, id="toolu_1")),
        model=Claude35Haiku,
        config={"structured_output": PERSON},
        native="tool_use",
        check=_structured,
    ),
    "a refusal": Scenario(
        answer=Answer("I would rather not.", stop_reason="refusal"),
        text="I would rather not.",
        finish="content_filter",
        native="refusal",
    ),
}


def complete(served: Served) -> dict[str, Scenario]:
    """Answers that are complete in the end, at any place."""
    return {
        **(THINKING if served.thinks else {}),
        **(broken_arguments(served) if served.streams_arguments else {}),
        **(ANTHROPIC_OWN if served.stop == "end_turn" else {}),
        "text": Scenario(answer=Answer("Hello there, you."), text="Hello there, you."),
        "text of many pieces": Scenario(text=WORDS),
        "text, byte by byte": Scenario(
            answer=Answer("One two three."), sim={"wire": "byte"}, text="One two three."
        ),
        "text, seven bytes at a time": Scenario(sim={"wire": 7}, text=WORDS),
        "text, all at once": Scenario(sim={"wire": "all"}, text=WORDS),
        "odd characters": Scenario(
            answer=Answer("a\u2028b\u0085c \U0001f600 \x00 é"),
            sim={"wire": 3},
            text="a\u2028b\u0085c \U0001f600 \x00 é",
        ),
        "two blocks of text": Scenario(answer=Answer("One. ", "Two."), text="One. Two."),
        "a tool call": Scenario(
            answer=Answer(ToolCall("get_weather", {"city": "Ulm"}, id="toolu_1")),
            config={"tools": [WEATHER]},
            tools=[{"call_id": "toolu_1", "name": "get_weather", "arguments": {"city": "Ulm"}}],
            finish="tool_calls",
            native=served.tool_use,
        ),
        "text and two tool calls": Scenario(
            answer=Answer(
                "I look.",
                ToolCall("get_weather", {"city": "Ulm"}, id="toolu_1"),
                ToolCall("get_weather", id="toolu_2"),
            ),
            config={"tools": [WEATHER]},
            text="I look.",
            tools=[
                {"call_id": "toolu_1", "name": "get_weather", "arguments": {"city": "Ulm"}},
                {"call_id": "toolu_2", "name": "get_weather", "arguments": {}},
            ],
            finish="tool_calls",
            native=served.tool_use,
        ),
        "a refusal in words": Scenario(
            answer=Answer(Refusal("I will not.")),
            text=None if served.refuses_in_words else "I will not.",
            finish="stop" if served.refuses_in_words else "content_filter",
            native=served.refusal,
            check=_refused if served.refuses_in_words else None,
        ),
        "the limit of tokens": Scenario(
            answer=Answer("And so", stop_reason="length"),
            text="And so",
            finish="length",
            native=served.limit,
        ),
        "an empty answer": Scenario(answer=Answer()),
        "an empty text": Scenario(answer=Answer(""), check=lambda r: blocks(r) == ["text"]),
        "structured output by a schema": Scenario(
            answer=Answer('{"name": "Ada"}'),
            config={"structured_output": PERSON},
            text='{"name": "Ada"}',
            check=_structured,
        ),
        "usage with a cache": Scenario(
            answer=Answer(
                "Hi", usage=Usage(input_tokens=10, output_tokens=2, cache_read_tokens=90)
            ),
            text="Hi",
            check=lambda r: (
                r.chat_response
                and r.chat_response.usage
                and (r.chat_response.usage.prompt_tokens, r.chat_response.usage.cache_read_tokens)
                == (100, 90)
            ),
        ),
        "a body that does not end": Scenario(faults=OpenEnd(), text=WORDS, same_whole=False),
        "pings after the end": Scenario(
            faults=OpenEnd(ping_interval=0.005), text=WORDS, same_whole=False
        ),
        "no content type": Scenario(faults=ContentType(None), text=WORDS),
        "a wrong content type": Scenario(faults=ContentType("text/html"), text=WORDS),
        "a whole answer to a call that streams": Scenario(
            faults=Respond(200, body=served.whole), text="All at once"
        ),
        # What is made again, for nothing was handed out.
        "an error 500 first": Scenario(faults=[Respond(500), None], requests=2, text=WORDS),
        "overload twice": Scenario(
            faults=[Respond(529), Respond(503), None], requests=3, text=WORDS
        ),
        "a rate limit first": Scenario(
            faults=[Respond(429, retry_after=0.01), None], requests=2, text=WORDS
        ),
        "a timeout of the server's first": Scenario(
            faults=[Respond(408), None], requests=2, text=WORDS
        ),
        "a conflict first": Scenario(faults=[Respond(409), None], requests=2, text=WORDS),
        "a dropped connection first": Scenario(faults=[Drop(), None], requests=2, text=WORDS),
        "a reset first": Scenario(faults=[Reset(), None], requests=2, text=WORDS),
        "a reset in the head first": Scenario(
            faults=[Reset(header_bytes=20), None], requests=2, text=WORDS
        ),
        "a reset before content first": Scenario(
            faults=[Reset(deltas=0), None], requests=2, text=WORDS
        ),
        "a silence first": Scenario(
            faults=[Silence(), None],
            config={"first_event_timeout": 0.4},
            requests=2,
            text=WORDS,
            same_whole=False,  # a whole answer that took too long was paid for: not made again
        ),
        "a cut before content first": Scenario(
            faults=[CleanCut(deltas=0), None], requests=2, text=WORDS, same_whole=False
        ),
        "a torn chunk before content first": Scenario(
            faults=[TornChunk(deltas=0), None], requests=2, text=WORDS
        ),
        "an error event first": Scenario(faults=[ErrorEvent(), None], requests=2, text=WORDS),
        "an error event before content first": Scenario(
            faults=[ErrorEvent(deltas=0), None], requests=2, text=WORDS
        ),
    }


def early(served: Served) -> dict[str, tuple[Fault, str, int | None, int]]:
    """What fails before anything was handed out: the fault, the error, its status, attempts."""
    overload, overload_status = served.overloaded
    return {
        "a bad request": (Respond(400), "InvalidRequestError", 400, 1),
        "a wrong key": (Respond(401), "AuthenticationError", 401, 1),
        "no money": (Respond(402), "InvalidRequestError", 402, 1),
        "no permission": (Respond(403), "AuthenticationError", 403, 1),
        "no such model": (Respond(404), "InvalidRequestError", 404, 1),
        "a request too large": (Respond(413), "InvalidRequestError", 413, 1),
        "a request not understood": (Respond(422), "InvalidRequestError", 422, 1),
        "a timeout of the server's": (Respond(408), "ServerError", 408, 2),
        "a conflict": (Respond(409), "ServerError", 409, 2),
        "a rate limit": (Respond(429), "RateLimitError", 429, 2),
        "a rate limit for an hour": (Respond(429, retry_after=3600), "RateLimitError", 429, 1),
        "a server's error": (Respond(500), "ServerError", 500, 2),
        "a bad gateway": (Respond(502, body=HTML), "ServerError", 502, 2),
        "a service that is not there": (Respond(503), "OverloadedError", 503, 2),
        "overload": (Respond(529), "OverloadedError", 529, 2),
        "a page": (Respond(200, body=HTML), "UnexpectedResponse", 200, 1),
        "plain words": (
            Respond(200, body="hello", content_type="text/plain"),
            "UnexpectedResponse",
            200,
            1,
        ),
        "an empty body": (Respond(200), "UnexpectedResponse", 200, 1),
        "an empty stream": (
            Respond(200, content_type="text/event-stream"),
            "TruncatedStream",
            None,
            2,
        ),
        "blank lines": (
            Respond(200, body="\n\n", content_type="text/event-stream"),
            "TruncatedStream",
            None,
            2,
        ),
        "nothing at all": (Respond(204), "UnexpectedResponse", 204, 1),
        "a redirect": (
            Respond(307, headers={"location": "http://127.0.0.1:9/"}),
            "UnexpectedResponse",
            307,
            1,
        ),
        "an error in JSON under 200": (
            Respond(200, body=served.failure),
            "ServerError",
            500,
            2,
        ),
        "JSON that is no answer": (Respond(200, body={"hello": 1}), "UnexpectedResponse", None, 1),
        "an error event": (ErrorEvent(), overload, overload_status, 2),
        "an error event that is the caller's fault": (
            ErrorEvent(type=served.caller_error),
            "InvalidRequestError",
            400,
            1,
        ),
        "an error event before content": (
            ErrorEvent(deltas=0, type=served.rate_error),
            "RateLimitError",
            429,
            2,
        ),
        "a dropped connection": (Drop(), "StreamInterrupted", None, 2),
        "a connection dropped in the head": (Drop(header_bytes=30), "StreamInterrupted", None, 2),
        "a connection dropped before content": (Drop(deltas=0), "StreamInterrupted", None, 2),
        "a reset": (Reset(), "StreamInterrupted", None, 2),
        "a reset before content": (Reset(deltas=0), "StreamInterrupted", None, 2),
        "a torn chunk before content": (TornChunk(deltas=0), "StreamInterrupted", None, 2),
        "a cut before any event": (CleanCut(body_bytes=3), "TruncatedStream", None, 2),
        "a cut before content": (CleanCut(deltas=0), "TruncatedStream", None, 2),
        "an event that is none": (Malformed(), "ProtocolError", None, 1),
        "an event that is none before content": (Malformed(deltas=0), "ProtocolError", None, 1),
        "silence before the head": (Silence(), "FirstEventTimeout", None, 2),
        "silence in the head": (Silence(header_bytes=20), "FirstEventTimeout", None, 2),
        "silence after the head": (Silence(events=0), "FirstEventTimeout", None, 2),
        "silence before content": (
            Silence(deltas=0),
            "IdleTimeout" if served.opens else "FirstEventTimeout",
            None,
            2,
        ),
        "pings before content": (
            OnlyPings(deltas=0, interval=0.03),
            "ContentIdleTimeout" if served.opens else "FirstEventTimeout",
            None,
            2,
        ),
    }


LATE: dict[str, tuple[Callable[..., Fault], str]] = {  # the chunks so far, then the error
    "an error event": (ErrorEvent, "OverloadedError"),
    "a dropped connection": (Drop, "StreamInterrupted"),
    "a torn chunk": (TornChunk, "StreamInterrupted"),
    "a clean cut": (CleanCut, "TruncatedStream"),
    "an event that is none": (Malformed, "ProtocolError"),
    "silence": (Silence, "IdleTimeout"),
    "pings": (lambda **k: OnlyPings(interval=0.03, **k), "ContentIdleTimeout"),
}
QUICK = {"first_event_timeout": 0.3, "idle_timeout": 0.3, "content_idle_timeout": 0.4}


def failing(served: Served) -> dict[str, Scenario]:
    """Answers that fail."""
    return {
        **(THINKING_CUT if served.thinks else {}),
        **(CALL_CUT if served.streams_arguments else {}),
        **{
            name: Scenario(
                faults=fault,
                error=error,
                facts={"http_status": status} if status else {},
                requests=requests,
                config={"retries": 2, **(QUICK if isinstance(fault, Silence | OnlyPings) else {})},
            )
            for name, (fault, error, status, requests) in early(served).items()
        },
        **{
            f"{name} after {count} pieces": Scenario(
                faults=fault(deltas=count),
                error=error,
                text=first_words(count),
                config=QUICK,
            )
            for name, (fault, error) in LATE.items()
            for count in ((7,) if name in ("silence", "pings") else (1, 7, 40))  # these take time
        },
        "a reset after content": Scenario(
            # The system may throw away what came before a reset; of the first piece we wait.
            faults=Reset(deltas=2),
            sim={"tokens_per_second": 20},
            error="StreamInterrupted",
            text=first_words(2),
        ),
        "an event longer than allowed": Scenario(
            answer=Answer(Text("So", citations=[{"type": "x", "title": "x" * 3000}])),
            text="So",
            config={"max_event_bytes": 1000},
            error="EventTooLarge",
            says="max_event_bytes",
        ),
        "a whole answer longer than allowed": Scenario(
            faults=Respond(200, body={**served.whole, "padding": "x" * 2000}),
            config={"max_event_bytes": 1000},
            error="EventTooLarge",
            says="max_event_bytes",
        ),
        "a rate limit past the deadline": Scenario(
            faults=Respond(429, retry_after=30),
            config={"timeout": 5.0},
            error="RateLimitError",
            facts={"retry_after": 30.0, "http_status": 429},
        ),
        "the deadline": Scenario(
            faults=Silence(deltas=3),
            config={"timeout": 0.5},
            error="DeadlineExceeded",
            text=first_words(3),
        ),
    }


AT_EVERY_PLACE = {
    "text of many pieces",
    "thinking, then text",
    "a tool call",
    "the limit of tokens",
    "structured output by a schema",
    "usage with a cache",
    "a body that does not end",
    "a whole answer to a call that streams",
    "overload twice",
    "a reset first",
    "an error event first",
    "a wrong key",
    "a rate limit",
    "a page",
    "an empty body",
    "an error in JSON under 200",
    "an error event",
    "an error event that is the caller's fault",
    "a cut before content",
    "an event that is none",
    "silence before the head",
    "an error event after 7 pieces",
    "a dropped connection after 7 pieces",
    "a torn chunk after 7 pieces",
    "a clean cut after 40 pieces",
    "an event that is none after 7 pieces",
    "silence after 7 pieces",
    "pings after 7 pieces",
    "a call cut within its arguments",
}


# --- running them


@dataclass
class Outcome:
    """What a user has in the end."""

    response: AIModelCallResponse
    items: Items
    requests: int
    raised: DhenaraStreamError | None = None

    @property
    def snapshot(self) -> AIModelCallResponse:
        return self.response.snapshot()


def simulator(scenario: Scenario) -> Simulator:
    return Simulator(scenario.answer, faults=scenario.faults, **scenario.sim)


def client(url: str, case: Case, *, is_async: bool, **more: Any) -> AIModelClient:
    settings = {"is_async": is_async, "model": case.scenario.model} | case.scenario.config | more
    return case.served.client(url, **settings)


async def run_async(case: Case, more: dict[str, Any]) -> Outcome:
    items: Items = []
    raised: DhenaraStreamError | None = None
    with anyio.fail_after(10):
        async with (
            simulator(case.scenario) as sim,
            client(sim.url, case, is_async=True, **more) as c,
        ):
            response = await c.generate_async(prompt="Hi")
            if response.stream_generator is not None:
                try:
                    async for item in response.stream_generator:
                        items.append(item)
                except DhenaraStreamError as error:
                    raised = error
                with pytest.raises(StopAsyncIteration):
                    await anext(response.stream_generator)
            return Outcome(response, items, len(sim.requests), raised)


def run_sync(case: Case, more: dict[str, Any]) -> Outcome:
    items: Items = []
    raised: DhenaraStreamError | None = None
    with simulator(case.scenario) as sim, client(sim.url, case, is_async=False, **more) as c:
        response = c.generate(prompt="Hi")
        if response.stream_generator is not None:
            try:
                for item in response.stream_generator:
                    items.append(item)
            except DhenaraStreamError as error:
                raised = error
            with pytest.raises(StopIteration):
                next(response.stream_generator)
        return Outcome(response, items, len(sim.requests), raised)


WAYS: list[Callable[[Case, dict[str, Any]], Outcome]] = [
    lambda case, more: anyio.run(run_async, case, more, backend="asyncio"),
    lambda case, more: anyio.run(run_async, case, more, backend="trio"),
    run_sync,
]


def each_way(case: Case, **more: Any) -> list[Outcome]:
    """The same on asyncio, on trio and in sync code; at once, for most of it is waiting."""
    with ThreadPoolExecutor(len(WAYS)) as pool:
        return list(pool.map(lambda run: run(case, more), WAYS))


def plain(value: Any) -> Any:
    """Without what differs from one run to the next."""
    if isinstance(value, tuple):
        return tuple(plain(part) for part in value)
    if value is None:
        return None
    dumped = value.model_dump(mode="json")
    text = msgspec.json.encode(_without(dumped)).decode()
    return msgspec.json.decode(_HOST.sub("HOST", text))


_HOST = re.compile(r"127\.0\.0\.1:\d+")
_TIMES = {"timing", "duration_seconds"}


def _without(value: Any, names: Set[str] = _TIMES) -> Any:
    if isinstance(value, dict):
        return {key: _without(part, names) for key, part in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(part, names) for part in value]
    return value


# --- the tests


@pytest.fixture(autouse=True)
def short_grace(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(case.scenario.faults, OpenEnd):
        monkeypatch.setattr(clocks, "GRACE", 0.2)


def assert_shape(items: Items, scenario: Scenario) -> None:
    """What holds for every stream: contract.md, section 2."""
    assert items
    for chunk, final in items:
        assert (chunk is None) != (final is None)
    *before, last = items
    chunks: list[Any] = [chunk for chunk, _ in before]
    for chunk in chunks:
        assert isinstance(chunk, SSEResponse)
        assert chunk.event == SSEEventType.TOKEN_STREAM
    if scenario.error is None:
        assert last[0] is None
        assert [chunk.data.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    else:
        assert isinstance(last[0], SSEErrorResponse)
        assert last[0].event == SSEEventType.ERROR
        assert not any(chunk.data.done for chunk in chunks)


def reasoning_of(items: Items) -> str:
    return "".join(
        piece.get_text_delta() or ""
        for chunk, _ in items
        if chunk is not None and not isinstance(chunk, SSEErrorResponse)
        for choice in chunk.data.choice_deltas
        for piece in choice.content_deltas
        if piece.type == "reasoning"
    )


def assert_complete(outcome: Outcome, case: Case) -> None:
    scenario = case.scenario
    final = outcome.items[-1][1]
    answer, status = final.chat_response, final.status
    assert status.successful
    assert status.http_status_code == 200
    assert status.code == "success"
    assert status.timing.attempts == scenario.requests
    [choice] = answer.choices or [None]
    done = outcome.items[-2][0].data
    assert done.usage == answer.usage
    assert done.usage_charge == answer.usage_charge
    assert answer.usage is None or answer.usage_charge is not None
    if choice is not None:
        assert choice.finish_reason == scenario.finish
        assert choice.native_finish_reason == (scenario.native or case.served.stop)
        assert done.choice_deltas[0].finish_reason == scenario.finish
    if scenario.text is not None:
        assert answer.text() == scenario.text
    if scenario.tools or scenario.text is None:
        calls = [{name: getattr(t, name) for name in _CALL} for t in answer.tools()]
        assert calls == scenario.tools
    assert answer.reasoning() == scenario.reasoning
    if scenario.check is not None:
        scenario.check(final)
    assert plain(outcome.snapshot) == plain(final)


_CALL = ("call_id", "name", "arguments")


def assert_failed(outcome: Outcome, case: Case) -> None:
    scenario = case.scenario
    error = error_of(outcome.items)
    assert error["error_type"] == scenario.error
    assert error["provider"] == case.served.provider.value
    assert error["attempts"] == scenario.requests
    assert {name: error.get(name) for name in scenario.facts} == scenario.facts
    assert scenario.says in error["message"]
    delivered = len(outcome.items) > 1
    assert error["content_delivered"] is delivered
    status = outcome.snapshot.status
    assert status is not None
    assert not status.successful
    assert status.message == error["message"]
    assert status == outcome.response.status
    if delivered:
        assert status.status == "response_incomplete"
    answer = outcome.snapshot.chat_response
    assert answer is not None
    assert all(choice.finish_reason is None for choice in answer.choices)
    assert (answer.text() or "") == (scenario.text or "")
    assert (answer.reasoning() or "") == (scenario.reasoning or "")
    if scenario.check is not None:
        scenario.check(outcome.snapshot)


def cases(
    served: Mapping[str, Served], tables: Callable[[Served], Mapping[str, Scenario]]
) -> list[Any]:
    return [
        pytest.param(Case(place, scenario), id=f"{at}-{name}")
        for at, place in served.items()
        for name, scenario in tables(place).items()
    ]


def every(served: Served) -> Mapping[str, Scenario]:
    """The whole table of a protocol."""
    return complete(served) | failing(served)


def some(served: Served) -> Mapping[str, Scenario]:
    """What a place may change of its protocol: addresses, frames, errors, endings."""
    return {name: scenario for name, scenario in every(served).items() if name in AT_EVERY_PLACE}


def without_streaming(served: Served) -> Mapping[str, Scenario]:
    """Answers that are the same without streaming."""
    return {name: it for name, it in complete(served).items() if it.same_whole}


def refusals(served: Served) -> Mapping[str, Scenario]:
    """Failures that have nothing to do with streaming."""
    return {name: it for name, it in failing(served).items() if isinstance(it.faults, Respond)}


@pytest.mark.parametrize("case", cases(DIALECTS, every) + cases(FACES, some))
def test_every_way_of_reading_gives_the_same_items(case: Case) -> None:
    scenario = case.scenario
    outcomes = each_way(case)
    for outcome in outcomes:
        assert outcome.requests == scenario.requests
        assert_shape(outcome.items, scenario)
        assert reasoning_of(outcome.items) == (scenario.reasoning or "")
        if scenario.error:
            assert_failed(outcome, case)
        else:
            assert_complete(outcome, case)
    first, *others = ([plain(item) for item in o.items] for o in outcomes)
    for other in others:
        assert other == first


_MADE_ANEW = {
    "id",
    "message_id",
    "thinking_id",
    "thinking_signature",
    "thought_signature_span",  # a stream brings it in a part of its own
}


def content(response: AIModelCallResponse) -> Any:
    """The answer, but for what tells of the call, and what each answer has anew."""
    dumped = plain(response.chat_response)
    del dumped["metadata"]
    return _without(dumped, _MADE_ANEW)


@pytest.mark.parametrize("case", cases(DIALECTS, without_streaming))
def test_the_same_answer_without_streaming_is_equal(case: Case) -> None:
    streamed = run_sync(case, {})
    for outcome in each_way(case, streaming=False):
        assert outcome.response.stream_generator is None
        assert outcome.requests == case.scenario.requests
        assert outcome.response.status is not None
        assert outcome.response.status.successful
        assert content(outcome.response) == content(streamed.items[-1][1])


@pytest.mark.parametrize("case", cases(DIALECTS, refusals))
def test_the_same_failure_without_streaming_is_in_the_status(case: Case) -> None:
    for outcome in each_way(case, streaming=False):
        assert outcome.response.stream_generator is None
        assert outcome.response.chat_response is None
        assert outcome.requests == case.scenario.requests
        status = outcome.response.status
        assert status is not None
        assert not status.successful
        assert status.message


def raising(served: Served) -> Mapping[str, Scenario]:
    """Failures; of those that take time, one is enough: they are raised in one place."""
    slow = Silence | OnlyPings
    few = {"silence after 7 pieces"} if served is DIALECTS["anthropic"] else set[str]()
    return {
        name: it
        for name, it in failing(served).items()
        if not isinstance(it.faults, slow) or name in few
    }


@pytest.mark.parametrize("case", cases(DIALECTS, raising))
def test_errors_are_raised_where_that_is_wanted(case: Case) -> None:
    for outcome in each_way(case, raise_errors=True):
        error = outcome.raised
        assert type(error).__name__ == case.scenario.error
        assert error is not None
        assert error.provider == case.served.provider.value
        assert error.content_delivered is bool(outcome.items)
        assert not any(isinstance(chunk, SSEErrorResponse) for chunk, _ in outcome.items)
        assert text_of(outcome.items) == (case.scenario.text or "")
