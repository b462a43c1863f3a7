"""Chat Completions: an answer streamed and whole, errors, what is asked, and Azure's face."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from simulator.protocols import at_once, post, refused, streamed

from dhenara_stream.simulator import (
    Answer,
    ErrorEvent,
    Malformed,
    OnlyPings,
    OpenEnd,
    RawBlock,
    RedactedThinking,
    Refusal,
    Respond,
    Simulator,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from dhenara_stream.simulator.faults import Fault
from dhenara_stream.simulator.generate import Ask, Tool
from dhenara_stream.simulator.http1 import Request
from dhenara_stream.simulator.openai_chat import AzureChat, OpenAIChat
from dhenara_stream.simulator.openai_common import FREE_TEXT, error_object
from dhenara_stream.simulator.plan import Data, Repeat
from dhenara_stream.simulator.protocol import Call, Refused
from dhenara_stream.simulator.service import Service, Settings

PATH = "/v1/chat/completions"
DEPLOYED = "/openai/deployments/my%20gpt/chat/completions"
AZURE_V1 = "/openai/v1/chat/completions"
DATED = "api-version=2024-10-21"
GPT, DEEPSEEK = "gpt-4o", "deepseek-v4-pro"
CITED = {"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "x"}}
CUSTOM = {"type": "custom", "custom": {"name": "c"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

EVERYTHING = Answer(
    Thinking("Let me see."),
    RedactedThinking(),
    Text("Hello there", citations=[CITED]),
    Refusal("Not that, though."),
    ToolCall("get_time", {"zone": "Europe/Berlin"}),
    ToolCall("now", id="call_mine"),
    ToolCall("c", {"input": "free text"}),
    RawBlock({"x": ""}, [{"x": "1"}, {"x": "2"}], {"x": "12"}),
    usage=Usage(cache_read_tokens=7, extra={"cost": 0.5}),
)


def body(**fields: Any) -> dict[str, Any]:
    """A valid request body; fields given as ``...`` are left out."""
    whole = {
        "model": GPT,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def request(
    content: dict[str, Any] | bytes | None = None,
    path: str = PATH,
    query: str = "",
    **headers: str | None,
) -> Request:
    return post(
        path,
        body() if content is None else content,
        {"authorization": "Bearer sk-test"} | headers,
        query,
    )


def read(
    content: dict[str, Any] | bytes | None = None,
    *,
    validate: bool = True,
    require_key: bool = True,
    **headers: Any,
) -> Call:
    return OpenAIChat().read(
        request(content, **headers), "0a", require_key=require_key, validate=validate
    )


def refusal(*args: Any, **kwargs: Any) -> tuple[int, dict[str, Any]]:
    error = refused(read, *args, **kwargs)
    return error.status, error_object(error)


def parsed(data: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream, the mark of its end checked and left out."""
    *chunks, done, rest = data.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    return [msgspec.json.decode(chunk.removeprefix(b"data: ")) for chunk in chunks]


def stream(answer: Answer, **fields: Any) -> list[dict[str, Any]]:
    return parsed(streamed(OpenAIChat(), read(body(**fields), validate=False), answer))


def whole(answer: Answer, **fields: Any) -> dict[str, Any]:
    return at_once(OpenAIChat(), read(body(**fields), validate=False), answer)


def deltas(chunks: list[dict[str, Any]], index: int = 0) -> list[dict[str, Any]]:
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return [choice["delta"] for choice in choices if choice["index"] == index]


def collected(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The completion that a stream's reader has at its end, by the rules of wire.md 3.2."""
    completion = {k: v for k, v in chunks[0].items() if k not in ("choices", "usage")}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        completion["usage"] = chunk.get("usage")
        for given in chunk["choices"]:
            choice = choices.setdefault(given["index"], {"index": given["index"], "message": {}})
            merge(choice["message"], given.pop("delta"))
            logprobs = given.pop("logprobs")
            if logprobs and choice.get("logprobs"):
                merge(choice["logprobs"], logprobs)
            else:
                choice["logprobs"] = logprobs or choice.get("logprobs")
            choice |= given
    completion["object"] = "chat.completion"
    completion["choices"] = list(choices.values())
    return completion


def merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        old = into.get(name)
        if name == "tool_calls":
            calls: list[dict[str, Any]] = into.setdefault(name, [])
            for piece in value:
                if piece.pop("index") == len(calls):
                    calls.append({})
                merge(calls[-1], piece)
        elif isinstance(old, dict):
            merge(old, value)
        elif isinstance(old, str | list) and value is not None:
            into[name] = old + value
        elif value is not None or name not in into:
            into[name] = value


def comparable(completion: dict[str, Any]) -> dict[str, Any]:
    """Without the empty fields that only the whole answer has."""
    for choice in completion["choices"]:
        message = choice["message"]
        if not message.get("annotations"):
            message.pop("annotations", None)
        if message.get("refusal") is None:
            message.pop("refusal", None)
    return completion


USAGE = {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize("model", [GPT, DEEPSEEK])
@pytest.mark.parametrize(
    "answer",
    [
        EVERYTHING,
        Answer("Hello"),
        Answer(),
        Answer(Thinking("Hm"), "Hi"),
        Answer(Thinking("Hm"), stop_reason="length"),
        Answer(Refusal("No.")),
        Answer(RawBlock({"x": "1"}), ToolCall("f")),
        Answer(ToolCall("f", {"a": 1}), "Then this."),
        Answer("One", Text(" two", citations=[CITED]), Text("", citations=[CITED])),
        Answer("Hi", id="chatcmpl-me", model="other", stop_details={"native": "x"}),
    ],
)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n": 3},
        {"logprobs": True, "top_logprobs": 2},
        {"tools": [CUSTOM]},
        {"functions": [{"name": "get_time"}]},
        {"service_tier": "flex"},
    ],
)
def test_the_whole_answer_is_what_the_stream_adds_up_to(
    answer: Answer, model: str, fields: dict[str, Any]
) -> None:
    fields = fields | {"model": model}
    streamed = collected(stream(answer, **USAGE, **fields))
    assert comparable(streamed) == comparable(whole(answer, **fields))


def test_the_order_of_chunks() -> None:
    chunks = stream(Answer("One two"), **USAGE)
    assert deltas(chunks) == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "One"},
        {"content": " two"},
        {},
    ]
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert reasons == [None, None, None, "stop"]
    assert chunks[-1]["choices"] == []
    assert [bool(chunk["usage"]) for chunk in chunks] == [False] * 4 + [True]
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-0a"}
    assert chunks[0]["object"] == "chat.completion.chunk"
    assert chunks[0]["service_tier"] == "default"


def test_usage_is_told_where_it_is_asked_for() -> None:
    assert all("usage" not in chunk for chunk in stream(Answer("Hi")))
    no_usage = {"stream_options": {"include_usage": False}, "model": "x"}
    assert all("usage" not in chunk for chunk in stream(Answer("Hi"), **no_usage))
    assert "usage" in whole(Answer("Hi"))


def test_others_tell_it_unasked_with_the_last_piece() -> None:
    chunks = stream(Answer("Hi"), model="x", n=2)
    assert ["usage" in chunk for chunk in chunks] == [False] * 5 + [True]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_thinking_is_sent_as_deepseek_sends_it() -> None:
    chunks = stream(Answer(Thinking("One two"), "Three"), model=DEEPSEEK)
    assert deltas(chunks) == [
        {"role": "assistant", "content": None, "reasoning_content": ""},
        {"content": None, "reasoning_content": "One"},
        {"content": None, "reasoning_content": " two"},
        {"content": "Three", "reasoning_content": None},
        {},
    ]
    message = whole(Answer(Thinking("One two"), "Three"), model=DEEPSEEK)["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Three", "reasoning_content": "One two"}


def test_openai_counts_thinking_and_does_not_show_it() -> None:
    answer = Answer(Thinking("One two"), "Three")
    assert deltas(stream(answer))[1:] == [{"content": "Three"}, {}]
    completion = whole(answer)
    assert "reasoning_content" not in completion["choices"][0]["message"]
    assert completion["usage"]["completion_tokens"] == 3
    assert completion["usage"]["completion_tokens_details"]["reasoning_tokens"] == 2


def test_calls_come_in_pieces() -> None:
    answer = Answer(ToolCall("f", {"city": "Paris"}, id="call_1"), ToolCall("g"))
    first, *pieces, second, last, end = deltas(stream(answer))
    assert first == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "index": 0,
                "id": "call_1",
                "type": "function",
                "function": {"name": "f", "arguments": ""},
            }
        ],
    }
    assert [piece["tool_calls"][0] for piece in pieces] == [
        {"index": 0, "function": {"arguments": '{"city":"Par'}},
        {"index": 0, "function": {"arguments": 'is"}'}},
    ]
    assert second["tool_calls"][0]["index"] == 1
    assert second["tool_calls"][0]["id"] == "call_0a01"
    assert last["tool_calls"][0]["function"] == {"arguments": "{}"}
    assert end == {}


def test_calls_after_text_begin_in_a_piece_of_their_own() -> None:
    opening, text, call, *_ = deltas(stream(Answer("Hi", ToolCall("f"))))
    assert opening["content"] == ""
    assert text == {"content": "Hi"}
    assert set(call) == {"tool_calls"}


def test_a_custom_tool_is_given_text() -> None:
    answer = Answer(ToolCall("c", "some free text", id="call_1"))
    pieces = [delta["tool_calls"][0] for delta in deltas(stream(answer, tools=[CUSTOM]))[:-1]]
    start = {"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "c", "input": ""}}
    assert pieces == [
        start,
        {"index": 0, "custom": {"input": "some"}},
        {"index": 0, "custom": {"input": " free"}},
        {"index": 0, "custom": {"input": " text"}},
    ]


def test_functions_of_old_are_called_in_the_old_way() -> None:
    answer = Answer(ToolCall("f", {"a": 1}), ToolCall("g"))
    chunks = stream(answer, functions=[{"name": "f"}])
    first, second, third, *_ = deltas(chunks)
    assert first["function_call"] == {"name": "f", "arguments": ""}
    assert second == {"function_call": {"arguments": '{"a":1}'}}
    assert third["tool_calls"][0]["index"] == 0
    choice = whole(answer, functions=[{"name": "f"}])["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert choice["finish_reason"] == "function_call"


@pytest.mark.parametrize(
    ("answer", "fields", "reason"),
    [
        (Answer("Hi"), {}, "stop"),
        (Answer("Hi", ToolCall("f")), {}, "tool_calls"),
        (Answer("Hi", stop_reason="length"), {}, "length"),
        (Answer("Hi", stop_reason="content_filter"), {}, "content_filter"),
        (Answer("Hi", stop_reason="stop_sequence", stop_sequence="X"), {}, "stop"),
        (Answer(Refusal("No.")), {}, "stop"),
        (Answer(ToolCall("f")), {"tool_choice": "required"}, "tool_calls"),
        (Answer(ToolCall("f")), {"tool_choice": {"type": "function"}}, "stop"),
        (Answer(ToolCall("f")), {"tool_choice": {"type": "function"}, "model": "x"}, "tool_calls"),
    ],
)
def test_why_an_answer_ends(answer: Answer, fields: dict[str, Any], reason: str) -> None:
    assert whole(answer, **fields)["choices"][0]["finish_reason"] == reason
    assert stream(answer, **fields)[-1]["choices"][0]["finish_reason"] == reason


def test_choices_take_turns() -> None:
    chunks = stream(Answer("One two", ToolCall("f")), n=2)
    assert [chunk["choices"][0]["index"] for chunk in chunks] == [0, 1] * 6
    assert deltas(chunks)[:3] == deltas(chunks, 1)[:3]
    ids = [call[3]["tool_calls"][0]["id"] for call in (deltas(chunks), deltas(chunks, 1))]
    assert len(set(ids)) == 2
    assert whole(Answer("x"), n=2)["choices"][1]["index"] == 1
    assert len(whole(Answer("x"), n="two")["choices"]) == 1


def test_probabilities_are_told_where_they_are_asked_for() -> None:
    answer = Answer("One two", Refusal("No."))
    assert whole(answer)["choices"][0]["logprobs"] is None
    told = whole(answer, logprobs=True, top_logprobs=2)["choices"][0]["logprobs"]
    assert [token["token"] for token in told["content"]] == ["One", " two"]
    assert [token["token"] for token in told["refusal"]] == ["No."]
    assert len(told["content"][0]["top_logprobs"]) == 2
    assert whole(Answer("x"), logprobs=True)["choices"][0]["logprobs"]["refusal"] is None


def test_only_content_is_paced() -> None:
    answer = Answer(Thinking("a b"), Text("c", citations=[CITED]), ToolCall("f", {"a": 1}))
    events = OpenAIChat().events(read(body(model=DEEPSEEK), validate=False), answer)
    assert sum(event.content for event in events) == 4


def test_usage_is_what_it_is_told() -> None:
    told = Usage(
        input_tokens=1,
        output_tokens=9,
        cache_read_tokens=3,
        cache_write_tokens=4,
        thinking_tokens=2,
        extra={"cost": 1},
    )
    usage = whole(Answer("Hi", usage=told), model=DEEPSEEK)["usage"]
    assert usage == {
        "prompt_tokens": 8,
        "completion_tokens": 9,
        "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0, "cache_write_tokens": 4},
        "completion_tokens_details": {
            "reasoning_tokens": 2,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "prompt_cache_hit_tokens": 3,
        "prompt_cache_miss_tokens": 5,
        "cost": 1,
    }
    assert "prompt_cache_hit_tokens" not in whole(Answer("Hi"))["usage"]


# --- requests


def test_which_paths_it_serves() -> None:
    paths = (
        PATH,
        "/chat/completions",
        "/api/v1/chat/completions",
        "/inference/v1/chat/completions",
    )
    assert all(OpenAIChat().serves(path) for path in paths)
    assert not OpenAIChat().serves("/v1/completions")
    assert AzureChat().serves(DEPLOYED)
    assert AzureChat().serves(AZURE_V1)
    assert not any(AzureChat().serves(path) for path in (*paths, "/openai/x/chat/completions"))


def test_a_key_is_required() -> None:
    assert refusal(authorization=None)[0] == 401
    read(authorization=None, require_key=False)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    status, error = refusal(data, validate=False)
    assert (status, error["type"]) == (400, "invalid_request_error")


def test_complaints_become_refusals() -> None:
    status, error = refusal(body(temperature=3))
    assert (status, error["param"]) == (400, "temperature")
    read(body(temperature=3), validate=False)


def test_whether_a_stream_is_wanted() -> None:
    assert read(body(stream=True)).stream
    assert not read(body(stream=...)).stream
    assert read(body(model=...), validate=False).model == "model"


def asked(**fields: Any) -> Ask:
    return read(body(**fields), validate=False).ask


F, G, C = Tool("f", {"type": "object"}), Tool("g", None), Tool("c", FREE_TEXT)
TOOLS = [TOOL, {"type": "function", "function": {"name": "g"}}, CUSTOM, {"type": "web_search"}]


def test_what_is_asked() -> None:
    ask = asked(
        messages=[{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "x"}]}],
        tools=TOOLS,
        tool_choice="required",
        stop=["X", 3],
        response_format={"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        max_completion_tokens=5,
        max_tokens=7,
    )
    assert ask == Ask(
        prompt="Hi",
        tools=(F, G, C),
        forced=F,
        schema={"type": "object"},
        max_tokens=5,
        stop_sequences=("X",),
    )


@pytest.mark.parametrize(
    ("choice", "tools", "forced"),
    [
        ("auto", (F, G, C), None),
        ("none", (), None),
        ("any", (F, G, C), F),
        ({"type": "function", "function": {"name": "g"}}, (G,), G),
        ({"type": "custom", "custom": {"name": "c"}}, (C,), C),
        ({"type": "function", "function": {"name": "h"}}, (), None),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": TOOLS[1:3]}},
            (G, C),
            None,
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": TOOLS[1:2]}},
            (G,),
            G,
        ),
    ],
)
def test_which_tools_may_and_must_be_called(
    choice: Any, tools: tuple[Tool, ...], forced: Tool | None
) -> None:
    ask = asked(tools=TOOLS, tool_choice=choice)
    assert (ask.tools, ask.forced) == (tools, forced)


def test_functions_of_old_are_tools() -> None:
    ask = asked(functions=[TOOL["function"]], function_call={"name": "f"})
    assert (ask.tools, ask.forced) == ((F,), F)
    assert asked(functions=[TOOL["function"]], function_call="none").tools == ()


HI = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("messages", "prompt", "results"),
    [
        ([HI, {"role": "assistant", "content": "x"}], "Hi", ()),
        ([HI, {"role": "assistant"}, {"role": "tool", "content": "18"}], "", ("18",)),
        (
            [{"role": "assistant"}, {"role": "tool", "content": "18"}, {"role": "tool"}, HI],
            "Hi",
            ("18", ""),
        ),
        ([HI, {"role": "assistant"}, {"role": "function", "content": "18"}], "", ("18",)),
        ([{"role": "system", "content": "s"}, HI, HI], "Hi\nHi", ()),
        ("no list", "", ()),
        ([], "", ()),
    ],
)
def test_what_was_said_last(messages: Any, prompt: str, results: tuple[str, ...]) -> None:
    ask = asked(messages=messages)
    assert (ask.prompt, ask.results) == (prompt, results)


@pytest.mark.parametrize(
    ("fields", "thinks"),
    [
        ({}, False),
        ({"model": "o3"}, True),
        ({"model": "gpt-5.2"}, False),
        ({"model": "gpt-5.2", "reasoning_effort": "low"}, True),
        ({"model": DEEPSEEK}, True),
        ({"model": DEEPSEEK, "thinking": {"type": "disabled"}}, False),
        ({"model": "deepseek-chat"}, False),
        ({"model": "deepseek-chat", "thinking": {"type": "enabled"}}, True),
        ({"model": "a/b"}, False),
        ({"model": "a/b", "reasoning_effort": "low"}, True),
        ({"model": "a/b", "reasoning_effort": "none"}, False),
        ({"model": "a/b", "reasoning": {"enabled": True}}, True),
        ({"model": "a/b", "reasoning": {"max_tokens": 9}}, True),
        ({"model": "a/b", "reasoning": {"enabled": False}}, False),
        ({"model": "a/b", "reasoning": {"effort": "none"}}, False),
        ({"model": "a/b", "thinking": {"type": "enabled"}}, True),
        ({"model": "a/b", "thinking": {"type": "disabled"}}, False),
    ],
)
def test_whether_the_model_thinks(fields: dict[str, Any], thinks: bool) -> None:
    assert asked(**fields).thinking is thinks


def test_other_limits_and_stops() -> None:
    assert asked(stop="X").stop_sequences == ("X",)
    assert asked(stop=None).stop_sequences == ()
    assert asked(max_tokens=7).max_tokens == 7
    assert asked(max_tokens="x").max_tokens is None
    schema = asked(response_format={"type": "json_object"}).schema
    assert schema is not None
    assert schema["type"] == "object"
    assert asked(response_format={"type": "text"}).schema is None


# --- through the service: faults, errors, other faces


def respond(fault: Fault | None, sent: Request, answer: Answer | None = None) -> tuple[int, bytes]:
    """The status and the body of a response; of what is repeated without end, the first piece."""
    service = Service(Settings(answers=answer, faults=fault))
    _, steps = service.respond(sent, 1)
    head, *rest = steps
    pieces = [step.data for step in rest if isinstance(step, Data | Repeat)]
    return getattr(head, "status", 0), b"".join(pieces)


def frames(data: bytes) -> list[bytes]:
    return data.split(b"\n\n")[:-1]


def test_an_error_in_the_stream_ends_it() -> None:
    status, data = respond(ErrorEvent(deltas=1), request(), Answer("One two"))
    assert status == 200
    *_, text, last = frames(data)
    assert b'"One"' in text
    assert msgspec.json.decode(last.removeprefix(b"data: ")) == {
        "error": {
            "message": "Our servers are currently overloaded. Please try again later.",
            "type": "service_unavailable_error",
            "param": None,
            "code": "server_is_overloaded",
        }
    }


def test_an_error_instead_of_the_whole_answer() -> None:
    fault = ErrorEvent(type="rate_limit_exceeded", message="Wait.")
    status, data = respond(fault, request(body(stream=False)))
    error = msgspec.json.decode(data)["error"]
    assert (status, error["type"], error["message"]) == (429, "requests", "Wait.")


@pytest.mark.parametrize("sent", [request(), request(path=AZURE_V1, api_key="k")])
def test_pings_and_what_is_none(sent: Request) -> None:
    assert respond(OnlyPings(), sent)[1] == b": keep-alive\n\n"
    status, data = respond(OpenEnd(ping_interval=1.0), sent, Answer("Hi"))
    assert data.endswith(b"data: [DONE]\n\n: keep-alive\n\n")
    broken = frames(respond(Malformed(), sent, Answer("Hi"))[1])[0]
    assert broken.startswith(b"data: {")
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(broken.removeprefix(b"data: "))
    assert status == 200


def test_the_environment_variables_of_clients() -> None:
    urls = {**OpenAIChat.addresses, **AzureChat.addresses}
    assert urls == {"OPENAI_BASE_URL": "/v1", "DEEPSEEK_BASE_URL": "", "AZURE_OPENAI_ENDPOINT": ""}
    assert Simulator(Answer("Hi")).transport() is not None


# --- Azure


def azures(path: str = AZURE_V1, query: str = "", **fields: Any) -> Request:
    return request(body(**fields), path, query, authorization=None, api_key="k", host="x.azure.com")


def test_azure_tells_what_its_filters_say() -> None:
    status, data = respond(None, azures(), Answer("Hi"))
    first, opening, text, end = parsed(data)
    assert status == 200
    assert (first["choices"], first["id"], first["model"]) == ([], "", "")
    assert not first["prompt_filter_results"][0]["content_filter_results"]["hate"]["filtered"]
    results = [chunk["choices"][0]["content_filter_results"] for chunk in (opening, text, end)]
    assert [bool(result) for result in results] == [False, True, False]
    _, data = respond(None, azures(stream=False), Answer("Hi"))
    completion = msgspec.json.decode(data)
    assert completion["prompt_filter_results"] == first["prompt_filter_results"]
    assert completion["choices"][0]["content_filter_results"] == results[1]


def test_an_answer_that_azure_filters() -> None:
    violence = {"violence": {"filtered": True, "severity": "medium"}}
    answer = Answer(
        "Hi", stop_reason="content_filter", stop_details={"content_filter_results": violence}
    )
    *_, end = parsed(respond(None, azures(), answer)[1])
    assert end["choices"][0]["finish_reason"] == "content_filter"
    assert end["choices"][0]["content_filter_results"] == violence


def test_a_deployment_is_the_model() -> None:
    sent = azures(DEPLOYED, DATED, model=..., stream=False, data_sources=[])
    completion = msgspec.json.decode(respond(None, sent)[1])
    assert completion["model"] == "my gpt"
    sent = azures("/openai/deployments/gpt-4o/chat/completions", DATED, model=..., foo=1)
    service = Service(Settings(validate=False))
    assert getattr(next(service.respond(sent, 1)[1]), "status", 0) == 200
    status, data = respond(None, sent)
    assert status == 400
    assert msgspec.json.decode(data)["error"]["message"].endswith("argument supplied: foo")


def test_rules_of_other_places_are_not_azures() -> None:
    loop = [
        HI,
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", **TOOL, "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "x"},
    ]
    assert respond(None, azures(model=DEEPSEEK, messages=loop))[0] == 200
    assert respond(None, request(body(model=DEEPSEEK, messages=loop)))[0] == 400


def test_a_token_of_entra_will_do() -> None:
    assert respond(None, request(path=AZURE_V1, authorization="Bearer ey.J.x"))[0] == 200


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        (request(path=AZURE_V1, authorization=None), 401, "invalid subscription key"),
        (azures(DEPLOYED), 404, "Resource not found"),
    ],
)
def test_azures_gateway_refuses(sent: Request, status: int, message: str) -> None:
    got, data = respond(None, sent)
    error = msgspec.json.decode(data)["error"]
    assert (got, error["code"]) == (status, str(status))
    assert message in error["message"]


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (Respond(401), "401", "Access denied"),
        (Respond(404), "404", "The API deployment for this resource does not exist"),
        (Respond(429), "429", "exceeded call rate limit"),
        (Respond(429, message="Wait"), "429", "Wait"),
        (Respond(429, type="insufficient_quota"), "insufficient_quota", "exceeded your current"),
        (Respond(500), None, "The server had an error"),
        (Respond(400, type="content_filter"), "content_filter", "management policy"),
        (ErrorEvent(type="content_filter"), "content_filter", "management policy"),
        (ErrorEvent(), "server_is_overloaded", "overloaded"),
    ],
)
def test_azures_errors(fault: Fault, code: str | None, message: str) -> None:
    error = msgspec.json.decode(respond(fault, azures(stream=False))[1])["error"]
    assert error["code"] == code
    assert message in error["message"]


def test_what_azures_filter_says_of_a_prompt() -> None:
    for stream_ in (False, True):
        _, data = respond(ErrorEvent(type="content_filter"), azures(stream=stream_))
        error = msgspec.json.decode(data.removeprefix(b"data: "))["error"]
        assert (error["type"], error["param"], error["status"]) == (None, "prompt", 400)
        results = error["innererror"]["content_filter_result"]
        assert results["violence"] == {"filtered": True, "severity": "medium"}
    _, data = respond(ErrorEvent(), azures())
    assert b"server_is_overloaded" in data


@pytest.mark.parametrize("headers", [{"host": "api.groq.com"}, {"authorization": "Bearer gsk_x"}])
def test_groqs_path_is_not_azures_alone(headers: dict[str, str]) -> None:
    sent = request(body(model="llama"), AZURE_V1, **headers)
    first = parsed(respond(None, sent, Answer("Hi"))[1])[0]
    assert first["model"] == "llama"
    sent = request(body(model="llama", stream=False), AZURE_V1, **headers)
    assert "prompt_filter_results" not in msgspec.json.decode(respond(None, sent)[1])


def heads() -> Iterator[tuple[str, dict[str, str]]]:
    for name, sent in (("azure", azures()), ("groq", request(path=AZURE_V1, host="api.groq.com"))):
        yield name, dict(AzureChat().head(sent, "0a", 0.0, stream=True).headers)


def test_azures_headers() -> None:
    found = dict(heads())
    assert found["azure"]["apim-request-id"]
    assert "apim-request-id" not in found["groq"]
    assert dict(AzureChat().error(Refused(500, None), "0a")[0])["apim-request-id"]
