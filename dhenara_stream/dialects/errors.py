"""Errors as providers write them, in this library's terms, free of secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from dhenara_stream.core.retry import should_retry
from dhenara_stream.errors import ProviderError, provider_error_class

from .base import ErrorReply
from .values import Dict, as_dict, as_text, payloads, unwrapped

__all__ = ["excerpt", "reply_error", "stream_error"]

STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    # OpenAI
    "rate_limit_exceeded": 429,
    "slow_down": 429,
    "invalid_api_key": 401,
    "model_not_found": 404,
    "tokens": 429,
    "requests": 429,
    "insufficient_quota": 429,
    "credit_balance_exhausted": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "data_residency_mismatch": 400,
    "bio_policy": 400,
    "misalignment_policy_violation": 400,
    "vector_store_timeout": 504,
    "image_too_large": 400,
    "image_too_small": 400,
    "image_parse_error": 400,
    "image_content_policy_violation": 400,
    "image_file_too_large": 400,
    "image_file_not_found": 400,
    "unsupported_image_media_type": 400,
    "empty_image_file": 400,
    "failed_to_download_image": 400,
    "service_unavailable_error": 503,
    # Google
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "CANCELLED": 499,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "DATA_LOSS": 500,
    "UNKNOWN": 500,
}
"""The HTTP status that an error inside a stream stands for."""

_OUT_OF_MONEY = {"billing_error", "insufficient_quota", "credit_balance_exhausted"}

_ADVICE = {
    401: "check the API key",
    402: "check the account's billing",
    403: "check what the API key may do",
    404: "check the model's name and the base URL",
}

_REQUEST_ID_HEADERS = (
    "request-id",
    "x-request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "x-generation-id",
    "x-litellm-call-id",
)

EXCERPT = 200
"""Characters of what is no JSON that an error shows."""

MAX_TEXT = 2000
"""Characters of one text of the provider's that an error keeps."""

MAX_HTML = 4096
"""Characters of a page that are searched for its words."""

MAX_DEPTH = 16
"""Levels of an error's body that are kept."""


class _Said:
    """What the body of an error says, free of secrets."""

    def __init__(self, payload: Any) -> None:
        outer = as_dict(payload)
        inner = as_dict(outer.get("error")) or outer
        self.details: Dict = {"body": _cleaned(payload)} if payload else {}
        words = [inner.get(key) for key in ("message", "Message", "detail")]
        words += [outer.get("message"), outer.get("error"), payload]
        found = next((w for w in words if as_text(w).strip()), None)
        self.message = _cleaned_text(found.strip()) if found else self._body_in_words()
        kinds = [inner.get(key) for key in ("type", "status", "code")]
        self.code = next((_cleaned_text(str(k)) for k in kinds if _is_code(k)), None)
        # The code says more than the type: an `invalid_request_error` may be an `invalid_api_key`.
        meant = (STATUS_OF_TYPE.get(as_text(kind)) for kind in reversed(kinds))
        self.virtual_status = next((status for status in meant if status), None)
        ids = (as_text(outer.get("request_id")), as_text(inner.get("request_id")))
        self.request_id = next((_cleaned_text(i) for i in ids if i), None)
        numbers = [str(inner.get(key)) for key in ("status_code", "statusCode", "code", "status")]
        self.status = next((int(n) for n in numbers if _ERROR_STATUS.fullmatch(n)), None)

    def _body_in_words(self) -> str:
        if not self.details:
            return "no message"
        text = json.dumps(self.details["body"], ensure_ascii=False)
        return text if len(text) <= EXCERPT else text[:EXCERPT] + "..."


def _is_code(value: Any) -> bool:
    return isinstance(value, str | int) and value not in ("", "error", 0, False, True)


_ERROR_STATUS = re.compile(r"[45]\d\d", re.ASCII)


def stream_error(payload: Any) -> ProviderError:
    """The error that an event, or a body under a success status, stands for."""
    said = _Said(payload)
    status = said.virtual_status or said.status
    if status is None:
        status = 400 if (said.code or "").startswith("invalid_") else 500
    about = f" ({said.code})" if said.code else ""
    return provider_error_class(status)(
        f"the provider sent an error in its answer{about}: {said.message}",
        http_status=status,
        code=said.code,
        request_id=said.request_id,
        retryable=False if _out_of_money(status, said) else None,
        details=said.details,
    )


def reply_error(reply: ErrorReply) -> ProviderError:
    """The error that an unsuccessful answer stands for; when to retry is not told here."""
    headers = {name.lower(): value for name, value in reply.headers.items()}
    said = _Said(_error_payload(reply.body))
    kind = headers.get("x-amzn-errortype", "").partition(":")[0]
    code = said.code or kind or None
    about = f" ({code})" if code else ""
    text = said.message
    if advice := _ADVICE.get(reply.status):
        text = f"{text.rstrip('.')}; {advice}"
    return provider_error_class(reply.status)(
        f"HTTP {reply.status}{about}: {text}",
        http_status=reply.status,
        code=code,
        request_id=_request_id(headers) or said.request_id,
        retryable=_retryable(reply.status, said, headers),
        details=said.details,
    )


def _request_id(headers: Mapping[str, str]) -> str | None:
    return next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None)


def _retryable(status: int, said: _Said, headers: Mapping[str, str]) -> bool | None:
    """Whether to try again; ``None`` leaves it to the status."""
    return False if _out_of_money(status, said) else should_retry(headers)


def _out_of_money(status: int, said: _Said) -> bool:
    # No wait fills an account, whatever the server thinks of retries.
    return status == 402 or said.code in _OUT_OF_MONEY or "credit balance" in said.message.lower()


def _error_payload(body: bytes) -> Any:
    """The JSON value in a body, else its words."""
    try:
        values = payloads(body)
        return unwrapped(values[0]) if len(values) == 1 else values
    except (ValueError, RecursionError):
        return _words(body.decode("utf-8", "replace"))


_TITLE = re.compile(r"<title[^<>]*>([^<]+)", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def _words(text: str) -> str:
    """Text without the tags of a page; of one with a title, that."""
    text = text.strip()
    if text.startswith("<"):
        page = text[:MAX_HTML]
        title = _TITLE.search(page)
        text = title[1] if title else _TAG.sub(" ", page)
    return " ".join(text[:MAX_HTML].split())


def excerpt(data: bytes) -> str:
    """The start of data that are not what they should be, to be shown."""
    text = _cleaned_text(data[: 4 * MAX_TEXT].decode("utf-8", "replace"))
    return repr(text if len(text) <= EXCERPT else text[:EXCERPT] + "...")


# A value counts as a secret if it is long and no plain word: "Bearer token" is none.
_VALUE = r"(?=[^\s\"',;<>]*\d)[^\s\"',;<>]{8,}|[^\s\"',;<>]{20,}"
_SECRET = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?P<key>sk-|AIza|AKIA|ya29\.)[\w*.…-]{6,}"
    rf"|(?P<scheme>Bearer\s+|Basic\s+)(?:{_VALUE})"
    r"|(?P<name>(?:api[-_ ]?key|authorization|token|secret|signature|password)"
    rf"[\"']?\s*[:=]\s*[\"']?)(?!Bearer|Basic)(?:{_VALUE})"
    r")",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(r"(api[-_]?key|authorization|token|secret|password)$", re.IGNORECASE)
_HIDDEN = "[redacted]"


def _hide(secret: re.Match[str]) -> str:
    return (secret["key"] or secret["scheme"] or secret["name"] or "") + _HIDDEN


def _cleaned_text(text: str) -> str:
    """The text, not too long, without anything that looks like a key: servers echo them."""
    text = _SECRET.sub(_hide, text[: 2 * MAX_TEXT])
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."


def _cleaned(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _cleaned_text(value)
    if isinstance(value, dict | list) and depth == MAX_DEPTH:
        return "..."
    if isinstance(value, dict):
        return {
            _cleaned_text(key): _HIDDEN
            if isinstance(item, str) and _SECRET_NAME.search(key)
            else _cleaned(item, depth + 1)
            for key, item in as_dict(value).items()  # pyright: ignore[reportUnknownArgumentType]
        }
    if isinstance(value, list):
        return [_cleaned(item, depth + 1) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value
