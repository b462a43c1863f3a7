"""Claude on Bedrock: frames, exceptions, signatures; AWS's own client reads it."""

from __future__ import annotations

import base64
import json
import re
from contextlib import closing
from typing import Any
from urllib.parse import unquote

import pytest
from corpus import needs_corpus, streams
from simulator.peer import EVERYTHING, SCRIPT
from simulator.protocols import post, refused

from dhenara_stream.core.aws_eventstream import AWSEventStreamDecoder
from dhenara_stream.simulator import (
    Answer,
    ErrorEvent,
    Malformed,
    Respond,
    Simulator,
    ToolCall,
)
from dhenara_stream.simulator.anthropic import AnthropicMessages
from dhenara_stream.simulator.bedrock import BedrockClaude
from dhenara_stream.simulator.http1 import Request
from dhenara_stream.simulator.protocol import Call, Refused


def botocore(module: str) -> Any:
    """A module of AWS's own client, which is an extra."""
    return pytest.importorskip(f"botocore.{module}")


MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
STREAM = f"/model/{MODEL}/invoke-with-response-stream"
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/" + MODEL
MESSAGES = [{"role": "user", "content": "Hi"}]
BODY: dict[str, Any] = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 2000,
    "messages": MESSAGES,
}
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/bedrock/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0a' * 32}"
)
DATE = "20260102T030405Z"


def asked(
    fields: dict[str, Any] | None = None,
    *,
    path: str = STREAM,
    authorization: str | None = SIGNED,
    date: str | None = DATE,
    validate: bool = True,
    require_key: bool = True,
) -> Call:
    """How a request is understood; fields given as ``...`` are left out."""
    body = {name: value for name, value in {**BODY, **(fields or {})}.items() if value is not ...}
    given = {"authorization": authorization, "x-amz-date": date}
    request = post(path, body, given)
    return BedrockClaude().read(request, "0a", require_key=require_key, validate=validate)


def refusal(*args: Any, **keywords: Any) -> tuple[int, str | None, str | None]:
    error = refused(asked, *args, **keywords)
    return error.status, error.type, error.message


# --- what is asked


@pytest.mark.parametrize(
    ("path", "model", "streaming"),
    [
        (STREAM, "claude-sonnet-4-5-20250929", True),
        (STREAM.replace(":", "%3A"), "claude-sonnet-4-5-20250929", True),
        (f"/model/{MODEL}/invoke", "claude-sonnet-4-5-20250929", False),
        (f"/model/{ARN.replace('/', '%2F')}/invoke", "claude-sonnet-4-5-20250929", False),
        (f"/model/{ARN}/invoke", "claude-sonnet-4-5-20250929", False),
        ("/model/anthropic.claude-v2/invoke", "claude-v2", False),
        ("/model/anthropic.claude-opus-4-8/invoke", "claude-opus-4-8", False),
        ("/model/my%2Fmodel/invoke", "my/model", False),
    ],
)
def test_model_and_streaming_stand_in_the_path(path: str, model: str, streaming: bool) -> None:
    assert BedrockClaude().serves(path)
    call = asked(path=path)
    assert (call.model, call.stream) == (model, streaming)
    assert call.body == {
        "max_tokens": 2000,
        "messages": MESSAGES,
        "model": model,
        "stream": streaming,
    }


@pytest.mark.parametrize(
    "path", ["/model/x", "/model//invoke", "/model/x/converse-stream", "/v1/messages", "/"]
)
def test_other_paths_are_not_served(path: str) -> None:
    assert not BedrockClaude().serves(path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"anthropic_version": ...}, "anthropic_version: Field required"),
        ({"anthropic_version": 7}, "anthropic_version: Input should be 'bedrock-2023-05-31'"),
        ({"anthropic_version": "v"}, "anthropic_version: Input should be 'bedrock-2023-05-31'"),
        ({"model": MODEL}, "model: Extra inputs are not permitted"),
        ({"stream": True}, "stream: Extra inputs are not permitted"),
        ({"anthropic_beta": "x"}, "anthropic_beta: Input should be a valid array of strings"),
        ({"anthropic_beta": ["x", 1]}, "anthropic_beta: Input should be a valid array of strings"),
        ({"mcp_servers": []}, "mcp_servers: Extra inputs are not permitted"),
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"thinking": {"type": "adaptive"}}, "adaptive thinking is not supported on this model"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], message: str) -> None:
    status, type_, said = refusal(fields)
    assert (status, type_) == (400, None)
    assert message in str(said)
    assert asked(fields, validate=False).stream


@pytest.mark.parametrize(
    "fields",
    [
        {"anthropic_version": "2026-10-21"},
        {"anthropic_beta": []},
        {"anthropic_beta": ["mcp-client-2025-11-20"], "mcp_servers": []},
        {"tools": []},
    ],
)
def test_what_is_accepted(fields: dict[str, Any]) -> None:
    assert asked(fields).ask.prompt == "Hi"


# --- who asks


@pytest.mark.parametrize("given", [SIGNED, SIGNED.replace(", ", ","), "Bearer key", "bearer key"])
def test_a_signature_or_a_bearer_token_is_wanted(given: str) -> None:
    asked(authorization=given)


@pytest.mark.parametrize(
    ("authorization", "date", "type_", "message"),
    [
        (None, DATE, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        ("", DATE, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        ("Bearer ", DATE, "AccessDeniedException", "Bearer Token has expired"),
        ("Basic eA==", DATE, "IncompleteSignatureException", "requires 'Credential' parameter"),
        (SIGNED.replace("HMAC", "ECDSA"), DATE, "IncompleteSignatureException", "'Signature'"),
        (SIGNED.partition(", Sig")[0], DATE, "IncompleteSignatureException", "'Signature'"),
        (SIGNED, None, "IncompleteSignatureException", "a 'X-Amz-Date' or a 'Date' header"),
        (SIGNED, "today", "IncompleteSignatureException", "invalid X-Amz-Date"),
        (SIGNED[:-1], DATE, "IncompleteSignatureException", "invalid Signature"),
        (SIGNED.replace("host;", ";"), DATE, "IncompleteSignatureException", "SignedHeaders"),
        (SIGNED.replace("bedrock", "s3"), DATE, "IncompleteSignatureException", "Credential"),
        (SIGNED, "20260103T000000Z", "InvalidSignatureException", "Date in Credential scope"),
        (SIGNED.replace("host;", ""), DATE, "InvalidSignatureException", "'Host' must be"),
    ],
)
def test_who_is_refused(
    authorization: str | None, date: str | None, type_: str, message: str
) -> None:
    status, found, said = refusal(authorization=authorization, date=date)
    assert (status, found) == (403, type_)
    assert message in str(said)
    assert "AKIDEXAMPLE" not in str(said)
    asked(authorization=authorization, date=date, require_key=False)


# --- what is answered


def frames(answer: Answer) -> list[Any]:
    """The messages of a stream, as botocore reads them."""
    buffer = botocore("eventstream").EventStreamBuffer()
    for event in BedrockClaude().events(asked(validate=False), answer):
        buffer.add_data(event.data)
    return list(buffer)


def events_of(answer: Answer) -> list[dict[str, Any]]:
    payloads = [json.loads(frame.payload) for frame in frames(answer)]
    assert all(re.fullmatch("abc?[a-zA-Z0-9]*", payload["p"]) for payload in payloads)
    return [json.loads(base64.b64decode(payload["bytes"])) for payload in payloads]


def test_each_event_is_a_chunk() -> None:
    headers = {
        ":event-type": "chunk",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert [frame.headers for frame in frames(Answer("Hi"))] == [headers] * 6


def test_the_events_are_those_of_the_makers_without_pings() -> None:
    theirs = AnthropicMessages()
    call = asked(validate=False)
    sent = [event.data.partition(b"data: ")[2] for event in theirs.events(call, EVERYTHING)]
    expected = [event for event in map(json.loads, sent) if event["type"] != "ping"]
    found = events_of(EVERYTHING)
    assert found[-1].pop("amazon-bedrock-invocationMetrics")
    plain = json.dumps(found).replace("msg_bdrk_", "msg_").replace("toolu_bdrk_", "toolu_")
    assert [event["type"] for event in found] == [event["type"] for event in expected]
    texts = [event for event in json.loads(plain) if event["type"] != "content_block_delta"]
    assert texts == [event for event in expected if event["type"] != "content_block_delta"]


def test_the_last_event_has_the_counts() -> None:
    *_, last = events_of(SCRIPT)
    assert last == {
        "type": "message_stop",
        "amazon-bedrock-invocationMetrics": {
            "inputTokenCount": 11,
            "outputTokenCount": 22,
            "invocationLatency": 1200,
            "firstByteLatency": 400,
            "cacheReadInputTokenCount": 33,
        },
    }


def test_ids_bear_the_clouds_mark() -> None:
    whole = json.loads(BedrockClaude().whole(asked(), Answer(ToolCall("f"))))
    assert (whole["id"], whole["model"]) == ("msg_bdrk_0a", "claude-sonnet-4-5-20250929")
    assert whole["content"][0]["id"] == "toolu_bdrk_0a00"
    assert "amazon-bedrock-invocationMetrics" not in whole


@pytest.mark.parametrize(
    ("stream", "kind"),
    [(True, "application/vnd.amazon.eventstream"), (False, "application/json")],
)
def test_the_head(stream: bool, kind: str) -> None:
    request = Request("POST", STREAM, "", ())
    headers = dict(BedrockClaude().head(request, "0a" * 12, 0.0, stream=stream).headers)
    assert headers["content-type"] == kind
    assert headers["x-amzn-requestid"] == "0a0a0a0a-0a0a-0a0a-0a0a-0a0a00000000"
    assert ("x-amzn-bedrock-content-type" in headers) is stream


@pytest.mark.parametrize(
    ("refused", "type_", "message"),
    [
        (Refused(429, None), "ThrottlingException", "Too many requests"),
        (Refused(424, None), "ModelErrorException", "The model returned"),
        (Refused(409, None), "ValidationException", "Conflict"),
        (Refused(529, "Busy"), "InternalServerException", "Busy"),
        (Refused(503, "x", "serviceUnavailableException"), "ServiceUnavailableException", "x"),
    ],
)
def test_errors_are_named_in_a_header(refused: Refused, type_: str, message: str) -> None:
    headers, body = BedrockClaude().error(refused, "0a")
    assert dict(headers)["x-amzn-errortype"].partition(":")[0] == type_
    assert json.loads(body)["message"].startswith(message)
    assert list(json.loads(body)) == ["message"]


@pytest.mark.parametrize(
    ("type_", "name", "status"),
    [
        (None, "serviceUnavailableException", 503),
        ("throttlingException", "throttlingException", 429),
        ("ThrottlingException", "throttlingException", 429),
        ("modelStreamErrorException", "modelStreamErrorException", 424),
        ("somethingNew", "somethingNew", 500),
    ],
)
def test_an_exception_within_a_stream(type_: str | None, name: str, status: int) -> None:
    protocol = BedrockClaude()
    failure = protocol.failure(type_, "No.")
    buffer = botocore("eventstream").EventStreamBuffer()
    buffer.add_data(protocol.error_event(failure, "0a"))
    [frame] = buffer
    assert failure.status == status
    assert frame.headers == {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    told = json.loads(frame.payload)
    assert told.pop("message") == "No."
    original = {"originalStatusCode": 424, "originalMessage": "No."}
    assert told == (original if status == 424 else {})


def test_what_is_malformed_has_a_wrong_checksum() -> None:
    buffer = botocore("eventstream").EventStreamBuffer()
    buffer.add_data(BedrockClaude().malformed())
    with pytest.raises(botocore("eventstream").ChecksumMismatch):
        list(buffer)


# --- AWS's own client


def aws(sim: Simulator) -> Any:
    session = botocore("session").Session()
    session.set_credentials("AKIDEXAMPLE", "canary-secret", "canary-token")
    settings = botocore("config").Config(retries={"total_max_attempts": 1}, proxies={})
    return session.create_client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=sim.url, config=settings
    )


def invoked(sim: Simulator, model: str = MODEL, **fields: Any) -> list[dict[str, Any]]:
    response = aws(sim).invoke_model_with_response_stream(
        modelId=model, body=json.dumps({**BODY, **fields})
    )
    with closing(response["body"]) as body:
        return [json.loads(event["chunk"]["bytes"]) for event in body]


@pytest.mark.parametrize("sim", [{"answers": SCRIPT, "wire": 13}], indirect=True)
@pytest.mark.parametrize("model", [MODEL, ARN])
def test_aws_own_client_reads_a_stream(sim: Simulator, model: str) -> None:
    found = invoked(sim, model)
    assert [event["type"] for event in found[:2]] == ["message_start", "content_block_start"]
    texts = [event["delta"].get("text", "") for event in found if "delta" in event]
    assert "".join(texts) == "The weather, then."
    [record] = sim.requests
    assert record.status == 200
    assert "canary" not in str(record.headers)
    assert unquote(record.path) == f"/model/{model}/invoke-with-response-stream"


@pytest.mark.parametrize("sim", [{"answers": SCRIPT}], indirect=True)
def test_aws_own_client_reads_a_whole_answer(sim: Simulator) -> None:
    response = aws(sim).invoke_model(modelId=MODEL, body=json.dumps(BODY))
    answer = json.loads(response["body"].read())
    assert [block["type"] for block in answer["content"]] == ["thinking", "text", "tool_use"]
    assert response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (429, "ThrottlingException"),
        (503, "ServiceUnavailableException"),
    ],
)
def test_aws_own_client_reads_errors(status: int, code: str) -> None:
    fault = Respond(status, message="Not now")
    with (
        Simulator(faults=fault) as sim,
        pytest.raises(botocore("exceptions").ClientError) as caught,
    ):
        invoked(sim)
    assert caught.value.response["Error"] == {"Code": code, "Message": "Not now"}


def test_aws_own_client_reads_an_exception_within_a_stream() -> None:
    fault = ErrorEvent(deltas=1, type="throttlingException", message="Too many tokens")
    with (
        Simulator(faults=fault) as sim,
        pytest.raises(botocore("exceptions").EventStreamError) as caught,
    ):
        invoked(sim)
    assert caught.value.response["Error"] == {
        "Code": "throttlingException",
        "Message": "Too many tokens",
    }


def test_aws_own_client_notices_a_wrong_checksum() -> None:
    with (
        Simulator(faults=Malformed(deltas=1)) as sim,
        pytest.raises(botocore("eventstream").ChecksumMismatch),
    ):
        invoked(sim)


# --- recorded requests


@needs_corpus
def test_all_recorded_requests_to_claude_are_accepted() -> None:
    """But those of the old text completions, which have no ``anthropic_version``."""
    count = 0
    for recording in streams("other"):
        path = recording.meta["url_path"] or ""
        body = recording.request
        if "/invoke" not in path or "anthropic." not in path or body is None:
            continue
        if "anthropic_version" in body:
            count += 1
            assert asked({**dict.fromkeys(BODY, ...), **body}, path=path).stream, recording
            [*events] = AWSEventStreamDecoder(max_event_bytes=2**24).feed(recording.body)
            keys = set(json.loads(events[-1].data))
            assert keys == {"type", "amazon-bedrock-invocationMetrics"}, recording
    assert count > 20
