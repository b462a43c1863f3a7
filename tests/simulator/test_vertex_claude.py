"""Claude on Vertex AI: paths, tokens, two kinds of errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from simulator.protocols import post

from dhenara_stream.simulator import Answer, ToolCall
from dhenara_stream.simulator.http1 import Request
from dhenara_stream.simulator.protocol import Call, Refused
from dhenara_stream.simulator.vertex_claude import VertexClaude

MODELS = "/v1/projects/p/locations/us-east5/publishers/anthropic/models/"
MODEL = "claude-sonnet-4-5@20250929"
PATH = f"{MODELS}{MODEL}:streamRawPredict"
MESSAGES = [{"role": "user", "content": "Hi"}]
BODY: dict[str, Any] = {
    "anthropic_version": "vertex-2023-10-16",
    "max_tokens": 2000,
    "messages": MESSAGES,
    "stream": True,
}


def asked(
    fields: dict[str, Any] | None = None,
    *,
    path: str = PATH,
    authorization: str | None = "Bearer token",
    betas: str | None = None,
    validate: bool = True,
    require_key: bool = True,
) -> Call:
    """How a request is understood; fields given as ``...`` are left out."""
    body = {name: value for name, value in {**BODY, **(fields or {})}.items() if value is not ...}
    given = {"authorization": authorization, "anthropic-beta": betas}
    request = post(path, body, given)
    return VertexClaude().read(request, "0a", require_key=require_key, validate=validate)


@pytest.mark.parametrize(
    "path",
    [
        PATH,
        PATH.replace("@", "%40"),
        f"{MODELS}{MODEL}:rawPredict",
        "/v1/projects/a%3Ab/locations/global/publishers/anthropic/models/x:rawPredict",
    ],
)
def test_paths_of_claude_are_served(path: str) -> None:
    assert VertexClaude().serves(path)
    assert asked(path=path).model in ("claude-sonnet-4-5-20250929", "x")


@pytest.mark.parametrize(
    "path",
    [
        f"{MODELS}{MODEL}:countTokens",
        PATH.replace("anthropic", "google"),
        "/v1/messages",
        "/v1/publishers/anthropic/models/x:rawPredict",
    ],
)
def test_other_paths_are_not_served(path: str) -> None:
    assert not VertexClaude().serves(path)


def test_the_model_stands_in_the_path_and_streaming_in_the_body() -> None:
    call = asked()
    assert call.stream
    assert call.body == {
        "max_tokens": 2000,
        "messages": MESSAGES,
        "stream": True,
        "model": "claude-sonnet-4-5-20250929",
    }
    assert not asked({"stream": ...}, path=f"{MODELS}{MODEL}:rawPredict").stream


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"anthropic_version": ...}, "anthropic_version: Field required"),
        ({"anthropic_version": "v"}, "anthropic_version: Input should be 'vertex-2023-10-16'"),
        ({"model": MODEL}, "model: Extra inputs are not permitted"),
        ({"anthropic_beta": "x"}, "anthropic_beta: Input should be a valid array of strings"),
        ({"mcp_servers": []}, "mcp_servers: Extra inputs are not permitted"),
        ({"max_tokens": 10**6}, "max_tokens: 1000000 > 64000"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused) as caught:
        asked(fields)
    assert caught.value.status == 400
    assert message in str(caught.value.message)
    assert asked(fields, validate=False).stream


def test_betas_may_stand_in_the_header_or_in_the_body() -> None:
    asked({"mcp_servers": []}, betas="mcp-client-2025-11-20")
    asked({"mcp_servers": [], "anthropic_beta": ["mcp-client-2025-11-20"]})
    asked({"anthropic_version": "2026-10-21"})


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", "Basic eA=="])
def test_a_bearer_token_is_wanted(given: str | None) -> None:
    with pytest.raises(Refused) as caught:
        asked(authorization=given)
    assert caught.value.status == 401
    asked(authorization=given, require_key=False)


def error_of(refused: Refused) -> tuple[dict[str, str], Any]:
    headers, body = VertexClaude().error(refused, "0a")
    return dict(headers), json.loads(body)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (429, "RESOURCE_EXHAUSTED"),
    ],
)
def test_google_refuses_callers_and_quotas_in_its_own_words(status: int, word: str) -> None:
    headers, body = error_of(Refused(status, None))
    assert (body["error"]["code"], body["error"]["status"]) == (status, word)
    assert "request-id" not in headers


@pytest.mark.parametrize(
    ("refused", "type_"),
    [
        (Refused(400, "max_tokens: Field required"), "invalid_request_error"),
        (Refused(529, None), "overloaded_error"),
        (Refused(429, None, "rate_limit_error"), "rate_limit_error"),
    ],
)
def test_all_else_is_said_by_the_models_makers(refused: Refused, type_: str) -> None:
    headers, body = error_of(refused)
    assert (body["type"], body["error"]["type"]) == ("error", type_)
    assert headers == {"content-type": "application/json", "request-id": "req_vrtx_0a"}
    assert body["request_id"] == "req_vrtx_0a"


def test_the_stream_is_that_of_the_makers_but_for_ids_and_pings() -> None:
    stream = b"".join(e.data for e in VertexClaude().events(asked(), Answer(ToolCall("f"))))
    assert b'"msg_vrtx_0a"' in stream
    assert b'"toolu_vrtx_0a00"' in stream
    assert b'event: vertex_event\ndata: {"type":"ping"}\n\n' in stream
    assert stream.startswith(b"event: message_start\n")
    assert stream.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_the_head_tells_no_limits() -> None:
    head = VertexClaude().head(Request("POST", PATH, "", ()), "0a", 0.0, stream=True)
    assert dict(head.headers)["request-id"] == "req_vrtx_0a"
