"""What each request gets: its record, its fault, its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from simulator.peer import HEADERS, body, events, text

from dhenara_stream.errors import ConfigError
from dhenara_stream.simulator import (
    Answer,
    CleanCut,
    ErrorEvent,
    RecordedRequest,
    Reset,
    Respond,
    Text,
    ToolCall,
    fingerprint,
)
from dhenara_stream.simulator.http1 import Head, Request
from dhenara_stream.simulator.plan import Data, End, PartialHead, Pause, Step
from dhenara_stream.simulator.service import Service, Settings

any_: Any = None


def request(
    content: Any = None, *, method: str = "POST", path: str = "/v1/messages", **headers: str
) -> Request:
    named = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    data = msgspec.json.encode(body() if content is None else content)
    return Request(method, path, "beta=true", tuple(named.items()), data)


def respond(service: Service, *args: Any, **kwargs: Any) -> tuple[Head, bytes, Step]:
    """Head, body and last step of the response to a request."""
    _, steps = service.respond(request(*args, **kwargs), 1)
    head, *rest, last = steps
    assert isinstance(head, Head)
    return head, b"".join(step.data for step in rest if isinstance(step, Data)), last


def said(service: Service) -> str:
    return text(events(respond(service)[1]))


def serve(**settings: Any) -> Service:
    return Service(Settings(**settings))


def test_a_request_is_recorded_without_its_secrets() -> None:
    service = serve()
    record, _ = service.respond(
        request(authorization="Bearer sk-other", cookie="c=1", x_api_key="sk-secret"), 7
    )
    assert service.requests == [record]
    assert (record.method, record.path, record.query) == ("POST", "/v1/messages", "beta=true")
    assert record.connection == 7
    assert record.json == body()
    assert record.headers["content-type"] == "application/json"
    assert {name for name, value in record.headers.items() if value == "***"} == {
        "authorization",
        "cookie",
        "x-api-key",
    }
    assert "sk-" not in repr(record)
    assert record.authenticated
    assert record.key_fingerprint == fingerprint("sk-secret")


def test_a_bearer_token_is_the_key_where_there_is_no_other() -> None:
    service = serve()
    pairs = (("host", "h"), ("authorization", "Bearer sk-token"))
    record, _ = service.respond(Request("POST", "/", "", pairs, b""), 1)
    assert record.key_fingerprint == fingerprint("sk-token")
    bare, _ = service.respond(Request("POST", "/", "", (), b""), 1)
    assert not bare.authenticated


def test_the_last_requests_are_kept() -> None:
    service = serve(max_recorded=2)
    for number in range(4):
        service.respond(request({"n": number}), 1)
    assert [record.json["n"] for record in service.requests] == [2, 3]
    assert service.count == 4


def test_no_request_is_kept_where_none_is_wanted() -> None:
    service = serve(max_recorded=0)
    service.respond(request(), 1)
    assert service.requests == []
    assert service.count == 1


def test_without_a_script_the_answer_is_made_of_the_request() -> None:
    assert '"Hi"' in said(serve())


def test_one_answer_is_for_all_requests() -> None:
    service = serve(answers=Answer("One."))
    assert [said(service) for _ in range(2)] == ["One.", "One."]


def test_answers_come_in_order_and_the_last_goes_on() -> None:
    service = serve(answers=[Answer("One."), None, Answer("Two.")])
    first, second, *rest = [said(service) for _ in range(4)]
    assert first == "One."
    assert "simulator" in second
    assert rest == ["Two.", "Two."]


def test_a_function_answers() -> None:
    def choose(record: RecordedRequest) -> Answer | None:
        return Answer(record.json["messages"][0]["content"]) if record.connection else None

    assert said(serve(answers=choose)) == "Hi"
    service = serve(answers=choose)
    _, steps = service.respond(request(), 0)
    assert b"simulator" in b"".join(step.data for step in steps if isinstance(step, Data))


@pytest.mark.parametrize(
    ("setting", "function", "message"),
    [
        ("answers", lambda _: 1 / 0, "Simulator(answers=...) failed: ZeroDivisionError: division"),
        (
            "answers",
            lambda _: "Hi",
            "Simulator(answers=...) failed: ConfigError: what the function",
        ),
        ("faults", lambda _: Answer("Hi"), "Simulator(faults=...) failed: ConfigError"),
    ],
)
def test_a_function_that_fails_gives_a_500(
    setting: str, function: Callable[[Any], Any], message: str
) -> None:
    head, data, _ = respond(serve(**{setting: function}))
    assert head.status == 500
    assert msgspec.json.decode(data)["error"]["message"].startswith(message)


def test_one_fault_is_for_all_requests() -> None:
    service = serve(faults=Respond(401))
    assert [respond(service)[0].status for _ in range(2)] == [401, 401]


def test_faults_come_in_order_and_then_all_is_well() -> None:
    service = serve(faults=[Respond(529), None, Respond(429)])
    assert [respond(service)[0].status for _ in range(5)] == [529, 200, 429, 200, 200]


def test_a_function_chooses_faults() -> None:
    refused: list[RecordedRequest] = []

    def choose(record: RecordedRequest) -> Respond | None:
        refused.append(record)
        return Respond(429) if len(refused) < 2 else None

    service = serve(faults=choose)
    assert [respond(service)[0].status for _ in range(2)] == [429, 200]


def test_who_gets_no_answer_uses_none_up() -> None:
    service = serve(
        answers=[Answer("One."), Answer("Two.")],
        faults=[Respond(529), Reset(), ErrorEvent(), None, None],
    )
    respond(service)
    service.respond(request(), 1)
    respond(service, body(stream=False))  # an error event stands for a status here
    respond(service, {})
    assert said(service) == "One."


def test_a_fault_of_the_head_takes_the_place_of_checks() -> None:
    service = serve(faults=Reset(header_bytes=9))
    _, steps = service.respond(request({}), 1)
    assert isinstance(next(steps), PartialHead)


def test_an_answer_that_is_not_streamed() -> None:
    head, data, last = respond(serve(answers=Answer("One.")), body(stream=False))
    assert head.header("content-type") == "application/json"
    assert msgspec.json.decode(data)["content"] == [{"type": "text", "text": "One."}]
    assert last == End()


def test_faults_of_an_answer_that_is_not_streamed() -> None:
    service = serve(faults=[ErrorEvent(), ErrorEvent(type="new_error"), CleanCut(body_bytes=9)])
    plain = body(stream=False)
    assert respond(service, plain)[0].status == 529
    assert respond(service, plain)[0].status == 500
    assert len(respond(service, plain)[1]) == 9


def pauses(service: Service, content: Any) -> list[float]:
    _, steps = service.respond(request(content), 1)
    return [step.seconds for step in steps if isinstance(step, Pause)]


def test_an_answer_takes_its_time() -> None:
    service = serve(answers=Answer("One two three."), tokens_per_second=10, time_to_first_token=0.5)
    assert pauses(service, body()) == [0.5, 0.1, 0.1]
    assert pauses(service, body(stream=False)) == [pytest.approx(0.8)]
    assert pauses(serve(time_to_first_token=2), body(stream=False)) == [2]
    assert pauses(serve(), body()) == []


def test_pieces_on_the_wire() -> None:
    _, steps = serve(answers=Answer("One."), wire=7).respond(request(), 1)
    sizes = [len(step.data) for step in steps if isinstance(step, Data)]
    assert set(sizes[:-1]) == {7}


def test_other_paths_and_methods() -> None:
    service = serve(faults=[Respond(529)])
    head, data, _ = respond(service, path="/v1/v1/messages")
    assert head.status == 404
    assert msgspec.json.decode(data)["error"] == {
        "type": "not_found_error",
        "message": "Not found: /v1/v1/messages",
    }
    assert respond(service, method="GET")[0].status == 405
    assert respond(service)[0].status == 529  # those before took no fault


def test_ids_differ_and_are_the_same_in_each_run() -> None:
    def ids(service: Service) -> list[str]:
        found = [respond(service)[0].header("request-id") for _ in range(2)]
        return [id_ or "" for id_ in found]

    first, second = ids(serve())
    assert first != second
    assert ids(serve()) == [first, second]


def test_calls_have_ids_of_their_own() -> None:
    service = serve(answers=Answer(ToolCall("f"), ToolCall("f")))
    _, data, _ = respond(service, body(stream=False))
    one, two = (block["id"] for block in msgspec.json.decode(data)["content"])
    assert one != two
    assert one.startswith("toolu_")


def test_a_response_instead() -> None:
    service = serve(
        faults=[
            Respond(429, retry_after=3, message="Slow down", type="slow_error"),
            Respond(200, body="<html>"),
            Respond(200, body={"a": 1}, headers={"x-extra": "1"}),
            Respond(204),
            Respond(502, body=b"\xff", content_type="application/octet-stream"),
            Respond(500, headers={"request-id": "mine"}),
            Respond(200, body="abc", headers={"content-length": "9"}),
        ]
    )
    head, data, last = respond(service)
    assert (head.status, head.header("retry-after")) == (429, "3")
    assert msgspec.json.decode(data)["error"] == {"type": "slow_error", "message": "Slow down"}
    assert head.header("content-length") == str(len(data))
    assert last == End()
    head, data, _ = respond(service)
    assert (head.header("content-type"), data) == ("text/html", b"<html>")
    head, data, _ = respond(service)
    assert (head.header("content-type"), data) == ("application/json", b'{"a":1}')
    assert head.header("x-extra") == "1"
    head, data, _ = respond(service)
    assert (head.header("content-type"), data) == (None, b"")
    head, data, _ = respond(service)
    assert (head.header("content-type"), data) == ("application/octet-stream", b"\xff")
    assert respond(service)[0].header("request-id") == "mine"
    head, data, last = respond(service)
    assert (head.header("content-length"), last) == ("9", End(close=True))


def test_what_is_no_request_gets_an_error_too() -> None:
    head, data = serve().reject(431, "Too large")
    assert head.status == 431
    assert msgspec.json.decode(data)["error"]["message"] == "Too large"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"answers": "Hi"}, "answers must be one Answer, a list of Answer or None, or a function"),
        ({"answers": []}, "answers must be one Answer"),
        ({"answers": [Text("Hi")]}, r"answers\[0\] must be one of Answer or None"),
        ({"answers": Answer}, "answers must be one Answer"),
        ({"faults": 3}, "faults must be one Fault"),
        ({"faults": [None, Reset]}, r"faults\[1\] must be one of Fault or None"),
        ({"tokens_per_second": 0}, "tokens_per_second must be a number, above zero, not 0"),
        ({"time_to_first_token": -1}, "time_to_first_token must be a number, zero or more"),
        ({"wire": "bytes"}, 'wire must be "event", "byte", "all" or a number of bytes above zero'),
        ({"wire": 0}, "wire must be"),
        ({"validate": 1}, "validate must be True or False, not 1"),
        ({"require_key": any_}, "require_key must be True or False"),
        ({"max_recorded": -1}, "max_recorded must be an integer"),
        ({"max_body_bytes": 0}, "max_body_bytes must be an integer, at least 1"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        serve(**settings)
