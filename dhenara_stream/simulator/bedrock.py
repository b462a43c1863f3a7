"""Claude on Amazon Bedrock: the Anthropic protocol in AWS's clothes (wire.md section 7).

Model and streaming stand in the path, version and betas in the body. Of a signature the form is
checked: whose keys made it, nobody here knows.
"""

from __future__ import annotations

import re
from binascii import crc32
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote
from uuid import UUID

from dhenara_stream.core.aws_eventstream import encode_frame

from ._json import encode
from .anthropic import AnthropicMessages, Asked, of_cloud
from .http1 import Head, Headers, Request
from .protocol import Call, Event, Refused, status_phrase
from .script import Answer

__all__ = ["BedrockClaude"]

VERSION = "bedrock-2023-05-31"

_PATH = re.compile(r"/model/.+/(?:invoke|invoke-with-response-stream)")
# What is left of an id without its region, its maker and its revision.
_CLAUDE = re.compile(r"anthropic\.(claude-.+?)(?:-v\d+(?::\w+)?)?$")
_JSON = "application/json"
_STREAM = "application/vnd.amazon.eventstream"

_STATUSES = {
    "ValidationException": 400,
    "UnrecognizedClientException": 401,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "ThrottlingException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}
_TYPES = {status: type_ for type_, status in reversed(_STATUSES.items())}
_MESSAGES = {
    401: "The security token included in the request is invalid.",
    403: "You don't have access to the model with the specified model ID.",
    404: "Could not resolve the foundation model from the provided model identifier.",
    408: "Model has timed out in processing the request. Try your request again.",
    424: "The model returned the following errors: internal error",
    429: "Too many requests, please wait before trying again.",
    500: "The system encountered an unexpected error during processing. Try your request again.",
    503: "Bedrock is unable to process your request.",
}
_CORAL = "http://internal.amazon.com/coral/com.amazon.bedrock/"

_SIGNATURE = "AWS4-HMAC-SHA256"
_PARTS = {
    "Credential": re.compile(r"[^/\s]+/\d{8}/[^/\s]+/bedrock/aws4_request"),
    "Signature": re.compile(r"[0-9a-f]{64}"),
    "SignedHeaders": re.compile(r"[a-z0-9-]+(;[a-z0-9-]+)*"),
}
_DATE = re.compile(r"\d{8}T\d{6}Z")

_PADDING = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class BedrockClaude(AnthropicMessages):
    """``POST /model/{id}/invoke-with-response-stream`` and ``/model/{id}/invoke``."""

    addresses: ClassVar[Mapping[str, str]] = {
        "ANTHROPIC_BEDROCK_BASE_URL": "",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "",
    }

    mark: ClassVar[str] = "bdrk_"

    def serves(self, path: str) -> bool:
        """Whether requests to this path speak this protocol."""
        return bool(_PATH.fullmatch(path))

    def _authenticate(self, request: Request) -> None:
        given = request.header("authorization")
        if not given:
            message = "Missing Authentication Token"
            raise Refused(403, message, "MissingAuthenticationTokenException")
        kind, _, rest = given.partition(" ")
        if kind.lower() == "bearer":
            if not rest.strip():
                raise Refused(403, "Bearer Token has expired", "AccessDeniedException")
        else:
            _check_signature(kind, rest, request)

    def _asked(self, request: Request, body: dict[str, Any], *, validate: bool) -> Asked:
        moved = ("model", "stream")
        asked = of_cloud(body, version=VERSION, in_path=moved, validate=validate)
        model, _, action = request.path.removeprefix("/model/").rpartition("/")
        placed = {"model": _own_name(unquote(model)), "stream": action != "invoke"}
        return Asked({**asked.body, **placed}, asked.betas)

    def events(self, call: Call, answer: Answer) -> Iterator[Event]:
        """The answer as frames; the last one has the counts, and none is a ping."""
        usage: dict[str, Any] = {}
        for event, content in self._reply(call, answer).events():
            if event["type"] == "message_delta":
                usage = event["usage"]
            if event["type"] == "message_stop":
                event["amazon-bedrock-invocationMetrics"] = _metrics(usage)
            if event["type"] != "ping":
                yield Event(self._frame(event), content)

    def _frame(self, event: Mapping[str, Any]) -> bytes:
        data = encode(event)
        padding = _PADDING[: 2 + crc32(data) % (len(_PADDING) - 1)].decode()
        headers = {":event-type": "chunk", ":content-type": _JSON, ":message-type": "event"}
        return encode_frame(headers, encode({"bytes": data, "p": padding}))

    def head(self, request: Request, token: str, now: float, *, stream: bool) -> Head:
        """The head of an answer; there is nothing of limits in it."""
        kind = ("content-type", _STREAM if stream else _JSON)
        inner = (("x-amzn-bedrock-content-type", _JSON),) if stream else ()
        return Head(200, (kind, *self._identity(token), *inner))

    def _identity(self, token: str) -> Headers:
        return (("x-amzn-requestid", str(UUID(token.ljust(32, "0")))),)

    def error(self, refused: Refused, token: str) -> tuple[Headers, bytes]:
        """Headers and body of an error (wire.md 7.4)."""
        status = refused.status
        fallback = "ValidationException" if status < 500 else "InternalServerException"
        type_ = refused.type or _TYPES.get(status, fallback)
        named = ("x-amzn-errortype", f"{type_[:1].upper()}{type_[1:]}:{_CORAL}")
        message = refused.message or _MESSAGES.get(status) or status_phrase(status)
        headers = (("content-type", _JSON), *self._identity(token), named)
        return headers, encode({"message": message})

    def failure(self, type: str | None, message: str | None) -> Refused:  # noqa: A002
        """The exception that ends a stream, by default of an overloaded service.

        ``type`` is its name, as in a stream (``throttlingException``) or as in an error's header.
        """
        given = type or "serviceUnavailableException"
        status = _STATUSES.get(given[:1].upper() + given[1:], 500)
        return Refused(status, message or _MESSAGES.get(status), given)

    def error_event(self, failure: Refused, token: str) -> bytes:
        """The exception that ends a stream."""
        name = str(failure.type)
        name = name[:1].lower() + name[1:]
        headers = {":exception-type": name, ":content-type": _JSON, ":message-type": "exception"}
        told: dict[str, Any] = {"message": failure.message}
        if name == "modelStreamErrorException":
            told |= {"originalStatusCode": failure.status, "originalMessage": failure.message}
        return encode_frame(headers, encode(told))

    def malformed(self) -> bytes:
        """A frame with a wrong checksum."""
        frame = self.ping()
        return frame[:-1] + bytes([frame[-1] ^ 1])


def _own_name(model: str) -> str:
    """The name that a model's makers give it, from its id or its profile's ARN."""
    found = _CLAUDE.search(model)
    return found[1] if found else model


def _check_signature(kind: str, rest: str, request: Request) -> None:
    """See that an authorization header has the form of a signature, version 4."""
    given = (part.strip().partition("=") for part in rest.split(","))
    parts = {name: value for name, _, value in given}
    lacking = [
        f"Authorization header requires '{name}' parameter."
        for name in _PARTS
        if kind != _SIGNATURE or not parts.get(name)
    ]
    date = request.header("x-amz-date") or ""
    if not date:
        lacking.append(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    if lacking:
        raise Refused(403, " ".join(lacking), "IncompleteSignatureException")
    wrong = [name for name, form in _PARTS.items() if not form.fullmatch(parts[name])]
    wrong += [] if _DATE.fullmatch(date) else ["X-Amz-Date"]
    if wrong:
        message = f"Authorization header has an invalid {' and '.join(wrong)}."
        raise Refused(403, message, "IncompleteSignatureException")
    if parts["Credential"].split("/")[1] != date[:8]:
        message = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date."
        raise Refused(403, message, "InvalidSignatureException")
    if "host" not in parts["SignedHeaders"].split(";"):
        message = "'Host' must be a 'SignedHeader' in the AWS Authorization."
        raise Refused(403, message, "InvalidSignatureException")


def _metrics(usage: Mapping[str, Any]) -> dict[str, int]:
    """What Bedrock counted; times are in milliseconds, and the same for all answers."""
    counts = {
        "inputTokenCount": usage["input_tokens"],
        "outputTokenCount": usage["output_tokens"],
        "invocationLatency": 1200,
        "firstByteLatency": 400,
    }
    cached = {
        "cacheReadInputTokenCount": usage["cache_read_input_tokens"],
        "cacheWriteInputTokenCount": usage["cache_creation_input_tokens"],
    }
    return counts | {name: count for name, count in cached.items() if count}
