"""The exception tree: what is a kind of what, and what each error carries."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest

import dhenara_stream
from dhenara_stream import errors
from dhenara_stream.errors import (
    AuthenticationError,
    ConfigError,
    ConnectError,
    ConnectTimeout,
    ContentIdleTimeout,
    DeadlineExceeded,
    DhenaraStreamError,
    FirstEventTimeout,
    IdleTimeout,
    InvalidRequestError,
    OverloadedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    ServerError,
    StreamInterrupted,
    StreamTimeout,
    TransportError,
    TruncatedStream,
    UsageError,
    provider_error_class,
)
from dhenara_stream.types.shared import SSEErrorCode, SSEErrorData, SSEErrorResponse, SSEEventType

NAMES = [name for name in errors.__all__ if name[0].isupper()]
CLASSES: list[type[DhenaraStreamError]] = [getattr(errors, name) for name in NAMES]
RETRYABLE = {
    TransportError,
    ConnectError,
    StreamInterrupted,
    StreamTimeout,
    ConnectTimeout,
    FirstEventTimeout,
    IdleTimeout,
    ContentIdleTimeout,
    TruncatedStream,
    RateLimitError,
    OverloadedError,
    ServerError,
}

each_class = pytest.mark.parametrize("cls", CLASSES)


def full(cls: type[DhenaraStreamError]) -> DhenaraStreamError:
    """An error of which everything is known."""
    return cls(
        "it failed",
        provider="anthropic",
        http_status=529,
        code="overloaded_error",
        request_id="req_1",
        retry_after=1.5,
        retryable=True,
        content_delivered=True,
        details={"hint": ["a", 1]},
    )


def drawn_parents() -> dict[str, str]:
    """Class -> base class, as the module's docstring draws them."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z]\w+)", line)
        if found is None:
            continue
        depth = len(found[1]) // 4
        above[depth:] = [found[2]]
        if depth:
            parents[found[2]] = above[depth - 1]
    return parents


def test_the_tree_is_as_its_docstring_draws_it() -> None:
    real = {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}
    assert real.pop("DhenaraStreamError") == "Exception"
    assert drawn_parents() == real


def test_every_error_is_exported_at_the_top() -> None:
    assert set(NAMES) <= set(dhenara_stream.__all__)
    assert all(getattr(dhenara_stream, name) is getattr(errors, name) for name in NAMES)


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (ConfigError, ValueError),
        (UsageError, RuntimeError),
        (UsageError, ValueError),
        (StreamTimeout, TimeoutError),
        (DeadlineExceeded, TimeoutError),
        (ConnectTimeout, TimeoutError),
    ],
)
def test_code_that_catches_the_usual_builtin_catches_it(
    cls: type[DhenaraStreamError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin, match="it failed"):
        raise full(cls)


@each_class
def test_the_message_is_its_text_and_unknown_facts_are_none(cls: type[DhenaraStreamError]) -> None:
    error = cls("it failed")
    assert str(error) == error.message == "it failed"
    assert error.args == ("it failed",)
    unknown = (error.provider, error.http_status, error.code, error.request_id, error.retry_after)
    assert unknown == (None,) * 5
    assert error.content_delivered is False
    assert error.details == {}


@each_class
def test_retryable_is_what_its_class_says_unless_told(cls: type[DhenaraStreamError]) -> None:
    assert cls("x").retryable is (cls in RETRYABLE)
    assert cls("x", retryable=True).retryable is True
    assert cls("x", retryable=False).retryable is False
    assert cls("x").retryable is (cls in RETRYABLE)  # the class itself is left alone


@each_class
def test_facts_are_a_json_like_dict_of_what_is_known(cls: type[DhenaraStreamError]) -> None:
    assert full(cls).facts() == {
        "error_type": cls.__name__,
        "provider": "anthropic",
        "http_status": 529,
        "code": "overloaded_error",
        "request_id": "req_1",
        "retry_after": 1.5,
        "retryable": True,
        "content_delivered": True,
        "hint": ["a", 1],
    }
    assert set(cls("x").facts()) == {"error_type", "retryable", "content_delivered"}


def test_details_do_not_replace_a_known_fact() -> None:
    details = {"code": "theirs", "provider": "theirs"}
    facts = ProviderError("x", code="ours", details=details).facts()
    assert facts["code"] == "ours"
    assert facts["provider"] == "theirs"


@each_class
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_a_copied_or_pickled_error_is_the_same(cls: type[DhenaraStreamError], copied: Any) -> None:
    error = full(cls)
    error.add_note("while testing")
    again = copied(error)
    assert type(again) is cls
    assert str(again) == "it failed"
    assert vars(again) == vars(error)
    assert again.facts() == error.facts()


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (200, ProviderError),
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, InvalidRequestError),
        (403, AuthenticationError),
        (404, InvalidRequestError),
        (408, ServerError),
        (409, ServerError),
        (413, InvalidRequestError),
        (422, InvalidRequestError),
        (429, RateLimitError),
        (499, InvalidRequestError),
        (500, ServerError),
        (502, ServerError),
        (503, OverloadedError),
        (504, ServerError),
        (529, OverloadedError),
        (599, ServerError),
    ],
)
def test_a_status_stands_for_one_class(status: int, cls: type[ProviderError]) -> None:
    assert provider_error_class(status) is cls


@each_class
def test_each_error_is_the_data_of_an_error_event(cls: type[DhenaraStreamError]) -> None:
    error = full(cls)
    expected = SSEErrorCode.server_error
    if issubclass(cls, ProviderError | TransportError):
        expected = SSEErrorCode.external_api_error
    elif issubclass(cls, ProtocolError):
        expected = SSEErrorCode.client_decode_error
    event = SSEErrorResponse.from_error(error)
    assert event.event == SSEEventType.ERROR
    assert event.data == SSEErrorData(
        error_code=expected, message="it failed", details=error.facts()
    )
