"""OpenAI Responses: an answer streamed and whole, errors, what is kept, what is asked."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from simulator.protocols import at_once, post, refused, streamed
from simulator.responses_peer import (
    ALL_ASKED,
    ENCRYPTED,
    EVERYTHING,
    HEADERS,
    LOGPROBS,
    MODEL,
    PATH,
    SQL,
    WEATHER,
    body,
    collected,
    events,
    kinds,
)

from dhenara_stream.simulator import (
    Answer,
    RawBlock,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from dhenara_stream.simulator.generate import Ask, Tool
from dhenara_stream.simulator.http1 import Request
from dhenara_stream.simulator.openai_responses import AzureResponses, OpenAIResponses
from dhenara_stream.simulator.openai_responses_stored import StoredResponses
from dhenara_stream.simulator.protocol import Call, Refused
from dhenara_stream.simulator.signatures import Signatures

AZURE = "/openai/responses"
AZURE_V1 = "/openai/v1/responses"


def read(
    content: dict[str, Any] | bytes | None = None,
    *,
    protocol: OpenAIResponses | None = None,
    path: str = PATH,
    query: str = "",
    validate: bool = True,
    require_key: bool = True,
    token: str = "0a",
    **headers: str | None,
) -> Call:
    request = post(path, body() if content is None else content, HEADERS | headers, query)
    kind = AzureResponses if path.startswith("/openai/") else OpenAIResponses
    protocol = protocol or kind()
    return protocol.read(request, token, require_key=require_key, validate=validate)


def refusal(*args: Any, **kwargs: Any) -> tuple[int, str | None]:
    error = refused(read, *args, **kwargs)
    return error.status, error.message


def stream(answer: Answer, **fields: Any) -> list[dict[str, Any]]:
    return events(streamed(OpenAIResponses(), read(body(**fields), validate=False), answer))


def whole(answer: Answer, **fields: Any) -> dict[str, Any]:
    return at_once(OpenAIResponses(), read(body(**fields), validate=False), answer)


def output(answer: Answer, **fields: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = whole(answer, **fields)["output"]
    return items


# --- answers ---


@pytest.mark.parametrize("fields", [{}, ALL_ASKED], ids=["nothing asked", "all asked"])
@pytest.mark.parametrize(
    "answer",
    [
        EVERYTHING,
        Answer("Hello"),
        Answer(),
        Answer(Text(""), Thinking("")),
        Answer("Two", "parts", Thinking("Hm"), "and another message"),
        Answer("Cut", stop_reason="length", id="resp_me", model="other"),
        Answer(ToolCall("f", '{"a": '), stop_reason="length"),
        Answer("No", stop_reason="failed", stop_details={"code": "bio_policy"}),
    ],
)
def test_the_whole_answer_is_what_the_stream_adds_up_to(
    answer: Answer, fields: dict[str, Any]
) -> None:
    found = stream(answer, **fields)
    expected = whole(answer, **fields)
    assert found[-1]["response"] == expected
    assert collected(found) == expected["output"]


def test_the_order_of_events() -> None:
    answer = Answer(Thinking("Hm"), "Hi", Refusal("No"), ToolCall("f", {"a": 1}))
    assert kinds(stream(answer, reasoning={"summary": "auto"})) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_a_response_repeats_the_request() -> None:
    format_ = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    response = stream(
        Answer("Hi"),
        instructions="Be brief.",
        max_output_tokens=99,
        metadata={"a": "b"},
        temperature=None,
        tools=[WEATHER, {"type": "function", "name": "f"}, {"type": "web_search"}],
        text={"format": format_},
        conversation="conv_1",
        service_tier="auto",
        store=False,
    )[0]["response"]
    assert response["id"] == "resp_0a"
    assert response["object"] == "response"
    assert (response["status"], response["output"]) == ("in_progress", [])
    assert (response["model"], response["usage"]) == (MODEL, None)
    assert response["instructions"] == "Be brief."
    assert (response["max_output_tokens"], response["temperature"]) == (99, 1.0)
    assert (response["metadata"], response["store"]) == ({"a": "b"}, False)
    assert response["tools"][0] == WEATHER
    assert response["tools"][1:] == [
        {"type": "function", "name": "f", "description": None, "strict": True},
        {"type": "web_search"},
    ]
    assert response["text"]["format"] == {**format_, "strict": True, "description": None}
    assert response["conversation"] == {"id": "conv_1"}
    assert response["reasoning"] == {"effort": "medium", "summary": None}


def test_a_completed_response_says_when_and_how_it_was_served() -> None:
    response = whole(Answer("Hi"))
    assert response["completed_at"] == response["created_at"] == 1_767_225_600
    assert response["service_tier"] == "default"
    assert whole(Answer("Hi"), service_tier="flex")["service_tier"] == "flex"


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (Answer("Hi"), "completed", None),
        (Answer("Hi", stop_reason="completed"), "completed", None),
        (Answer("Hi", ToolCall("f")), "completed", None),
        (Answer("Hi", stop_reason="length"), "incomplete", "max_output_tokens"),
        (Answer("Hi", stop_reason="max_output_tokens"), "incomplete", "max_output_tokens"),
        (Answer("Hi", stop_reason="content_filter"), "incomplete", "content_filter"),
    ],
)
def test_why_an_answer_ends(answer: Answer, status: str, reason: str | None) -> None:
    response = whole(answer)
    assert response["status"] == status
    assert (response["incomplete_details"] or {}).get("reason") == reason
    assert response["error"] is None
    assert (response["completed_at"] is None) == (status == "incomplete")
    assert response["output"][-1]["status"] == status


def test_a_failed_response_has_an_error_and_is_not_kept() -> None:
    protocol = OpenAIResponses()
    call = read(protocol=protocol)
    response = msgspec.json.decode(protocol.whole(call, Answer("Hi", stop_reason="failed")))
    assert response["status"] == "failed"
    assert response["error"]["code"] == "server_error"
    follow_up = body(previous_response_id="resp_0a")
    assert refusal(follow_up, protocol=protocol)[1] == (
        "Previous response with id 'resp_0a' not found."
    )


def test_texts_in_a_row_are_parts_of_one_message() -> None:
    message, call, last = output(Answer("a", Refusal("b"), ToolCall("f"), "c"))
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]
    assert call["type"] == "function_call"
    assert (message["id"], call["id"], last["id"]) == ("msg_0a00", "fc_0a01", "msg_0a02")
    assert call["call_id"] == "call_0a01"


def test_reasoning_is_summarised_where_that_is_asked_for() -> None:
    answer = Answer(Thinking("One thought.\n\nAnother one."))
    assert output(answer) == [{"id": "rs_0a00", "type": "reasoning", "summary": []}]
    for reasoning in ({"summary": "auto"}, {"generate_summary": "concise"}):
        (item,) = output(answer, reasoning=reasoning)
        assert item["summary"] == [{"type": "summary_text", "text": "One thought.\n\nAnother one."}]


def test_encrypted_content_is_told_where_that_is_asked_for() -> None:
    answer = Answer(Thinking("secret"), RedactedThinking("b3BhcXVl"), Thinking("x", "mine"))
    assert not any("encrypted_content" in item for item in output(answer))
    first, second, third = output(answer, include=[ENCRYPTED])
    assert Signatures().judge("rs_0a00", first["encrypted_content"]) == "valid"
    assert Signatures().judge("rs_0a01", first["encrypted_content"]) == "modified"
    assert second["encrypted_content"] == "b3BhcXVl"
    assert third["encrypted_content"] == "mine"
    (other,) = output(Answer(Thinking("other")), include=[ENCRYPTED])
    assert other["encrypted_content"] != first["encrypted_content"]


def test_probabilities_are_told_where_they_are_asked_for() -> None:
    part = output(Answer("Hello there"))[0]["content"][0]
    assert part["logprobs"] == []
    part = output(Answer("Hello there"), include=[LOGPROBS], top_logprobs=2)[0]["content"][0]
    assert "".join(entry["token"] for entry in part["logprobs"]) == "Hello there"
    for entry in part["logprobs"]:
        assert entry["logprob"] <= 0
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert [top["token"] for top in entry["top_logprobs"]] == [entry["token"], " other1"]
    (entry,) = output(Answer("Hi"), include=[LOGPROBS])[0]["content"][0]["logprobs"]
    assert entry["top_logprobs"] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"input": "select 1"}, "select 1"),
        ("select 1", "select 1"),
        ({"input": 1}, '{"input":1}'),
        ({"a": "b"}, '{"a":"b"}'),
    ],
)
def test_a_call_of_a_custom_tool_takes_free_text(arguments: Any, text: str) -> None:
    (item,) = output(Answer(ToolCall("run_sql", arguments)), tools=[SQL])
    assert (item["type"], item["input"], item["id"]) == ("custom_tool_call", text, "ctc_0a00")
    assert "arguments" not in item


def test_the_events_of_a_raw_item_are_placed() -> None:
    block = RawBlock(
        {"id": "ci_1", "type": "code_interpreter_call"},
        [
            {"type": "response.code_interpreter_call_code.delta", "delta": "1"},
            {"type": "response.code_interpreter_call.completed", "item_id": "ci_9"},
        ],
    )
    call = read()
    found = list(OpenAIResponses().events(call, Answer("Hi", block)))
    decoded = events(b"".join(event.data for event in found))
    delta, completed = decoded[-4:-2]
    assert delta["item_id"] == "ci_1"
    assert (delta["output_index"], delta["delta"]) == (1, "1")
    assert completed["item_id"] == "ci_9"
    assert [event.content for event in found[-4:-2]] == [True, False]
    nameless = stream(Answer(RawBlock({"type": "x"}, [{"type": "response.x.y"}])))
    assert "item_id" not in nameless[3]


def test_only_content_is_paced() -> None:
    answer = Answer(Thinking("a b"), "c", ToolCall("f", {"a": 1}))
    call = read(body(reasoning={"summary": "auto"}))
    found = [event for event in OpenAIResponses().events(call, answer) if event.content]
    assert kinds(events(b"".join(event.data for event in found))) == [
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "output_text.delta",
        "function_call_arguments.delta",
    ]


def test_usage_is_counted_where_it_is_not_told() -> None:
    usage = whole(Answer(Thinking("one two"), "three"))["usage"]
    assert usage["output_tokens"] == 3
    assert usage["output_tokens_details"] == {"reasoning_tokens": 2}
    assert usage["total_tokens"] == usage["input_tokens"] + 3


def test_usage_is_what_it_is_told() -> None:
    told = Usage(
        input_tokens=1,
        output_tokens=2,
        cache_read_tokens=3,
        cache_write_tokens=4,
        thinking_tokens=1,
        extra={"cost": 5},
    )
    assert whole(Answer("Hi", usage=told))["usage"] == {
        "input_tokens": 8,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 4},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 10,
        "cost": 5,
    }


# --- what is kept ---


def turn(
    protocol: OpenAIResponses, token: str, answer: Answer, prompt: Any = "Hi", **fields: Any
) -> dict[str, Any]:
    """One turn of a conversation that the service keeps."""
    call = read(body(prompt, **fields), protocol=protocol, token=token)
    found = b"".join(event.data for event in protocol.events(call, answer))
    response: dict[str, Any] = events(found)[-1]["response"]
    return response


RESULT = {"type": "function_call_output", "call_id": "call_a00", "output": "18"}
ITEM_OF_NOBODY = {"type": "item_reference", "id": "msg_x"}


def test_a_conversation_goes_on_from_a_response() -> None:
    protocol = OpenAIResponses()
    first = turn(protocol, "a", Answer(ToolCall("get_weather")), tools=[WEATHER])
    goes_on: dict[str, Any] = {"previous_response_id": "resp_a"}
    second = turn(protocol, "b", Answer("18 degrees"), [RESULT], **goes_on)
    assert second["previous_response_id"] == first["id"] == "resp_a"
    assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"]
    turn(protocol, "c", Answer("Bye"), previous_response_id="resp_b")
    message = "No tool output found for function call call_a00."
    assert refusal(body(**goes_on), protocol=protocol) == (400, message)


def test_a_response_may_go_on_from_one_of_its_own_id() -> None:
    protocol, answer = OpenAIResponses(), Answer("Hi", id="resp_1")
    first = turn(protocol, "a", answer)
    longer = [turn(protocol, "b", answer, previous_response_id="resp_1") for _ in range(3)]
    counts = [response["usage"]["input_tokens"] for response in (first, *longer)]
    assert counts == sorted(set(counts))


def test_a_response_is_not_kept_where_it_is_not_to_be() -> None:
    protocol = OpenAIResponses()
    turn(protocol, "a", Answer("Hi"), store=False)
    status, message = refusal(body(previous_response_id="resp_a"), protocol=protocol)
    assert (status, message) == (400, "Previous response with id 'resp_a' not found.")
    read(body(previous_response_id="resp_a"), validate=False)


def test_a_stream_that_is_left_early_is_not_kept() -> None:
    protocol = OpenAIResponses()
    call = read(body(), protocol=protocol)
    found = protocol.events(call, Answer("Hi"))
    assert next(found).data
    del found
    assert refusal(body(previous_response_id="resp_0a"), protocol=protocol)[0] == 400


def test_items_that_were_kept_can_be_referred_to() -> None:
    protocol = OpenAIResponses()
    answer = Answer(Thinking("Hm"), ToolCall("get_weather"))
    reasoning, call = turn(protocol, "a", answer, tools=[WEATHER])["output"]
    references = [{"type": "item_reference", "id": item["id"]} for item in (reasoning, call)]
    result = {**RESULT, "call_id": call["call_id"]}
    read(body([*references, result]), protocol=protocol)
    read(body([reasoning, call, result]), protocol=protocol)
    status, message = refusal(body([ITEM_OF_NOBODY]), protocol=protocol)
    assert status == 404
    assert message is not None
    assert message.startswith("Item with id 'msg_x' not found.")
    status, message = refusal(body([reasoning, call, result]))
    assert status == 404
    assert message is not None
    assert message.startswith(f"Item with id '{reasoning['id']}' not found.")
    message = (
        f"Item '{call['id']}' of type 'function_call' was provided without its required "
        f"'reasoning' item: '{reasoning['id']}'."
    )
    assert refusal(body([call, result]), protocol=protocol) == (400, message)
    read(body([{**call, "id": None}, result]), protocol=protocol)


def test_encrypted_reasoning_goes_back_to_any_simulator() -> None:
    answer = Answer(Thinking("Hm"), "Hi")
    asked: dict[str, Any] = {"store": False, "include": [ENCRYPTED]}
    reasoning, message = turn(OpenAIResponses(), "a", answer, **asked)["output"]
    read(body([reasoning, message, {"role": "user", "content": "Go on"}], **asked))


def test_what_is_kept_has_a_limit() -> None:
    stored = StoredResponses(most=2)
    for name in ("a", "b", "c"):
        stored.keep(name, None, [], [{"id": f"rs_{name}", "type": "reasoning"}, {"id": name}])
    assert stored.history("a") is None
    assert stored.item("rs_a") is None
    assert stored.reasoning_of("a") is None
    assert stored.item("rs_c") == {"id": "rs_c", "type": "reasoning"}
    assert stored.reasoning_of("c") == "rs_c"
    stored.keep("d", "c", [{"role": "user"}], [{}])
    assert stored.history("d") == [
        {"id": "rs_c", "type": "reasoning"},
        {"id": "c"},
        {"role": "user"},
        {},
    ]
    stored.keep("e", None, [], [])
    assert stored.history("d") is None  # a part of it is forgotten


def test_responses_of_one_id_are_forgotten_one_by_one() -> None:
    stored = StoredResponses(most=2)
    old, new = {"id": "i", "text": "old"}, {"id": "i", "text": "new"}
    stored.keep("a", None, [], [old])
    stored.keep("a", "a", [], [new])
    assert stored.history("a") == [old, new]
    stored.keep("b", "a", [], [])
    assert stored.history("b") is None
    assert stored.item("i") == new
    stored.keep("c", None, [], [])
    assert stored.item("i") is None


def test_what_is_kept_has_a_size() -> None:
    stored = StoredResponses(most_bytes=100)
    stored.keep("a", None, [{"text": "x" * 60}], [])
    stored.keep("b", None, [{"text": "x" * 60}], [])
    assert (stored.history("a"), stored.history("b")) == (None, [{"text": "x" * 60}])
    stored.keep("b", None, [], [])
    assert stored.history("b") == []
    stored.keep("c", None, [{"text": "x" * 100}], [])
    assert stored.history("c") is None


# --- requests ---


@pytest.mark.parametrize(
    ("path", "served"),
    [
        (PATH, True),
        ("/responses", True),
        ("/v1/chat/completions", False),
        ("/v1/responses/resp_1", False),
        ("/v1/responses/compact", False),
    ],
)
def test_which_paths_are_served(path: str, served: bool) -> None:
    assert OpenAIResponses().serves(path) == served
    assert not AzureResponses().serves(path)


@pytest.mark.parametrize("path", [AZURE, AZURE_V1])
def test_which_paths_are_azures(path: str) -> None:
    assert AzureResponses().serves(path)


@pytest.mark.parametrize("header", [None, "", "Bearer ", "token"])
def test_a_key_is_required(header: str | None) -> None:
    status, message = refusal(authorization=header)
    assert status == 401
    assert message is not None
    assert message.startswith("You didn't provide an API key.")
    read(authorization=header, require_key=False)


@pytest.mark.parametrize(
    "headers",
    [
        {"api_key": "k", "authorization": None},
        {"api_key": "k", "authorization": "Bearer t"},
        {"authorization": "bearer t"},
    ],
)
def test_azure_takes_a_key_or_a_token(headers: Any) -> None:
    read(path=AZURE_V1, **headers)
    read(path=AZURE, query="api-version=2025-04-01-preview", **headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": None},
        {"authorization": "Bearer "},
        {"api_key": "", "authorization": None},
    ],
)
def test_azure_requires_one(headers: Any) -> None:
    status, message = refusal(path=AZURE_V1, **headers)
    assert status == 401
    assert message is not None
    assert message.startswith("Access denied due to invalid subscription key")
    read(path=AZURE_V1, require_key=False, **headers)


def test_a_dated_api_of_azures_needs_its_version() -> None:
    assert refusal(path=AZURE) == (404, "Resource not found")
    assert refusal(path=AZURE, require_key=False) == (404, "Resource not found")


def test_errors_of_azures_gateway_have_a_code_and_a_message() -> None:
    with pytest.raises(Refused) as caught:
        read(path=AZURE)
    headers, data = AzureResponses().error(caught.value, "77")
    assert msgspec.json.decode(data) == {"error": {"code": "404", "message": "Resource not found"}}
    assert dict(headers)["apim-request-id"] == "77"
    _, data = AzureResponses().error(Refused(429, None), "77")
    error = msgspec.json.decode(data)["error"]
    assert error["code"] == "429"
    assert error["message"].startswith("Requests to the Responses_Create Operation")


@pytest.mark.parametrize("refused", [Refused(500, None), Refused(429, None, "tokens")])
def test_other_errors_of_azures_are_openais(refused: Refused) -> None:
    headers, data = AzureResponses().error(refused, "77")
    assert set(msgspec.json.decode(data)["error"]) == {"message", "type", "param", "code"}
    assert dict(headers)["apim-request-id"] == "77"


def test_what_is_no_object_is_refused() -> None:
    assert refusal(b"[]") == (400, "The request body is not a JSON object")


def test_complaints_become_refusals() -> None:
    assert refusal(body(model=...)) == (400, "Missing required parameter: 'model'.")
    read(body(model=...), validate=False)


def test_whether_a_stream_is_wanted() -> None:
    assert read(body(stream=True)).stream
    assert not read(body(stream=False)).stream
    assert not read(body(stream=...)).stream


def asked(prompt: Any = "Hi", **fields: Any) -> Ask:
    return read(body(prompt, **fields), validate=False).ask


FUNCTION = Tool("get_weather", WEATHER["parameters"])
FREE = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
CUSTOM = Tool("run_sql", FREE)


def test_what_is_asked() -> None:
    ask = asked(
        tools=[WEATHER, SQL, {"type": "web_search"}, {"type": "function"}],
        tool_choice={"type": "function", "name": "get_weather"},
        text={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        max_output_tokens=50,
    )
    assert ask == Ask(
        prompt="Hi",
        thinking=True,
        tools=(FUNCTION, CUSTOM),
        forced=FUNCTION,
        schema={"type": "object"},
        max_tokens=50,
    )
    assert asked(text={"format": {"type": "json_object"}}).schema == {"type": "object"}
    assert asked(text={"format": {"type": "text"}}).schema is None


ALLOWED = [{"type": "custom", "name": "run_sql"}]


@pytest.mark.parametrize(
    ("choice", "tools", "forced"),
    [
        (None, (FUNCTION, CUSTOM), None),
        ("auto", (FUNCTION, CUSTOM), None),
        ("none", (), None),
        ("required", (FUNCTION, CUSTOM), FUNCTION),
        ({"type": "custom", "name": "run_sql"}, (FUNCTION, CUSTOM), CUSTOM),
        ({"type": "function", "name": "other"}, (FUNCTION, CUSTOM), None),
        ({"type": "web_search"}, (FUNCTION, CUSTOM), None),
        ({"type": "allowed_tools", "mode": "auto", "tools": ALLOWED}, (CUSTOM,), None),
        ({"type": "allowed_tools", "mode": "required", "tools": ALLOWED}, (CUSTOM,), CUSTOM),
        ({"type": "allowed_tools", "mode": "required", "tools": []}, (), None),
    ],
)
def test_which_tools_may_be_called(
    choice: Any, tools: tuple[Tool, ...], forced: Tool | None
) -> None:
    ask = asked(tools=[WEATHER, SQL], tool_choice=choice)
    assert (ask.tools, ask.forced) == (tools, forced)


@pytest.mark.parametrize(
    ("fields", "thinks"),
    [
        ({}, True),
        ({"model": "o3"}, True),
        ({"model": "gpt-4o"}, False),
        ({"model": "gpt-5-chat-latest"}, False),
        ({"model": "gpt-5.1"}, False),
        ({"model": "gpt-5.1-codex"}, True),
        ({"model": "gpt-5.5"}, True),
        ({"model": "gpt-5.1", "reasoning": {"effort": "low"}}, True),
        ({"reasoning": {"effort": "none", "summary": "auto"}}, False),
        ({"model": "grok-4"}, False),
        ({"model": "grok-4", "reasoning": {"summary": "auto"}}, True),
    ],
)
def test_whether_the_model_thinks(fields: dict[str, Any], thinks: bool) -> None:
    assert asked(**fields).thinking == thinks


def test_the_last_turn_is_what_counts() -> None:
    results = [
        {"type": "function_call_output", "call_id": "1", "output": "18 degrees"},
        {
            "type": "custom_tool_call_output",
            "call_id": "2",
            "output": [{"type": "input_text", "text": "rain"}, {"type": "input_image"}],
        },
    ]
    ask = asked(
        [
            {"role": "user", "content": "Old"},
            {"role": "assistant", "content": "Old"},
            *results,
            {"role": "developer", "content": "Be brief"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "New"}]},
        ]
    )
    assert ask.results == ("18 degrees", "rain")
    assert ask.prompt == "New"
    assert not ask.thinking


def test_a_body_of_any_shape_asks_something() -> None:
    names: tuple[str, ...] = (
        "input",
        "tools",
        "tool_choice",
        "reasoning",
        "text",
        "include",
        "max_output_tokens",
    )
    names += ("conversation", "service_tier", "top_logprobs", "previous_response_id")
    shapes: list[Any] = [3.5, [3], {"type": []}, [{"type": {}, "role": []}]]
    for odd in shapes:
        call = read(dict.fromkeys(names, odd), validate=False)
        assert call.ask == Ask()
        assert whole(Answer(ToolCall("f"), "Hi"), **dict.fromkeys(names, odd))
    assert read(b"{}", validate=False).model == "gpt"


# --- errors ---


def failed(protocol: OpenAIResponses, token: str, type_: str | None = None) -> dict[str, Any]:
    (event,) = events(protocol.error_event(protocol.failure(type_, None), token))
    return event


def test_an_error_event_has_its_fields_nested() -> None:
    event = failed(OpenAIResponses(), "77")
    assert event["type"] == "error"
    assert event["sequence_number"] == 0
    error = event["error"]
    assert error["code"] == "server_is_overloaded"
    assert error["type"] == "service_unavailable_error"
    assert error["param"] is None
    assert failed(OpenAIResponses(), "77", "tokens")["error"]["code"] == "rate_limit_exceeded"


def test_an_error_event_is_numbered_like_the_stream_it_ends() -> None:
    protocol = OpenAIResponses()
    found = protocol.events(read(protocol=protocol), Answer("Hi"))
    sent = [next(found), next(found)]
    not_sent = next(found)
    assert failed(protocol, "0a")["sequence_number"] == events(not_sent.data)[0]["sequence_number"]
    assert len(sent) == failed(protocol, "0a")["sequence_number"]


def test_errors() -> None:
    headers, data = OpenAIResponses().error(Refused(429, None), "77")
    assert msgspec.json.decode(data)["error"]["code"] == "rate_limit_exceeded"
    assert dict(headers)["x-request-id"] == "req_77"


def test_a_sign_of_life_and_what_is_no_event() -> None:
    assert OpenAIResponses().ping() == b'event: keepalive\ndata: {"type":"keepalive"}\n\n'
    data = OpenAIResponses().malformed().removesuffix(b"\n\n").split(b"data: ")[1]
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(data)


@pytest.mark.parametrize(("path", "is_azure"), [(PATH, False), (AZURE_V1, True)])
def test_the_head_of_an_answer(path: str, is_azure: bool) -> None:
    request = Request("POST", path, "", ())
    protocol = AzureResponses() if is_azure else OpenAIResponses()
    head = protocol.head(request, "77", 0.0, stream=True)
    assert head.header("content-type") == "text/event-stream; charset=utf-8"
    assert head.header("x-request-id") == "req_77"
    assert head.header("apim-request-id") == ("77" if is_azure else None)
    whole_head = protocol.head(request, "77", 0.0, stream=False)
    assert whole_head.header("content-type") == "application/json"
