"""Recorded answers, compared with what the providers' own SDKs make of them.

All that the four dialects have in common is here; what only one of them has is in its own module,
as a function of a reading that gives pairs: what was found, and what should have been.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from corpus import Recording, streams
from reading import at_random, bytewise, decode

from dhenara_stream.core.accumulator import Accumulator, AnswerFacts
from dhenara_stream.core.deltas import Delta
from dhenara_stream.dialects.base import Dialect, ErrorReply
from dhenara_stream.errors import DhenaraStreamError, ProtocolError, ProviderError
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum, ChatResponseUsage
from dhenara_stream.types.genai.dhenara.response import ChatResponse

Dict = dict[str, Any]
Pairs = Mapping[str, tuple[Any, Any]]

WAYS: dict[str, Callable[[Recording], list[bytes]]] = {
    "whole": lambda recording: [recording.body],
    "byte by byte": lambda recording: bytewise(recording.body),
    "at random cuts": lambda recording: at_random(recording.body, recording.id),
}
"""How a body may come."""

# Failures that the SDKs do not see, or see as their own: a line ``error: ...``, and no JSON.
UNSEEN_FAILURES = {"error_field_line", "non_json_data"}

CLASSES = {
    "BadRequestError": "InvalidRequestError",
    "NotFoundError": "InvalidRequestError",
    "PermissionDeniedError": "AuthenticationError",
    "AuthenticationError": "AuthenticationError",
    "ClientError": "InvalidRequestError",
    "APIError": "InvalidRequestError",  # the two that came inside a stream: both are a 400
}
"""What the SDKs call the errors that were recorded, and what they are here."""


@dataclass(frozen=True)
class Reading:
    """What became of a body.

    Attributes:
        response: The answer.
        said: All deltas.
        complete: Whether it is complete.
        skipped: How many events meant nothing.
        error: What ended it.
    """

    response: ChatResponse
    said: list[Delta]
    complete: bool
    skipped: int
    error: ProviderError | ProtocolError | None


def no_more(recording: Recording, reading: Reading) -> Pairs:
    """What a dialect has of its own, if it has nothing."""
    return {}


@dataclass(frozen=True)
class Answers:
    """The recorded answers of one dialect.

    Attributes:
        name: The dialect, as the corpus names it.
        dialect: The dialect.
        counts: The neutral counts, in the order of ``COUNTS``, that a usage tells (wire.md 11.2).
        own: What only this dialect has.
        skips: Kinds of recordings with one event that means nothing.
        call_id: The id that the provider gave to a call.
        calls_end_apart: Whether a call has an end of its own; else it is whole only in an answer
            that is complete.
    """

    name: str
    dialect: Dialect
    counts: Callable[[Dict], tuple[int | None, ...]]
    own: Callable[[Recording, Reading], Pairs] = no_more
    skips: frozenset[str] = frozenset()
    call_id: Callable[[Any], str | None] = lambda item: item.call_id
    calls_end_apart: bool = True

    def recordings(self, *, core_only: bool = False) -> list[Recording]:
        """All of them, or the small and diverse ones; none without the corpus."""
        return streams(self.name, core_only=core_only)

    def read(self, chunks: Iterable[bytes]) -> Reading:
        """What becomes of a body."""
        decoder: Any = self.dialect.decoder()
        answer = Accumulator(AnswerFacts(model="m", provider=AIModelProviderEnum.CUSTOM))
        said: list[Delta] = []
        error = None
        try:
            for deltas in decode(chunks, decoder):
                said += deltas
                answer.add(deltas)
        except (ProviderError, ProtocolError) as raised:
            error = raised
        complete = decoder.complete
        response = answer.response(complete=complete, streaming=True)
        return Reading(response, said, complete, decoder.skipped, error)

    def differences(self, recording: Recording, chunks: Iterable[bytes]) -> Pairs:
        """Where what becomes of a recording is not what should: by name, the two."""
        if recording.status != 200:
            reply = ErrorReply(status=recording.status, headers={}, body=b"".join(chunks))
            pairs = compared_errors(self.dialect.error(reply), recording)
        else:
            pairs = self._compared(recording, self.read(chunks))
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def _compared(self, recording: Recording, reading: Reading) -> Pairs:
        expected = recording.expected
        kinds = set(recording.meta["kinds"])
        fails = "error" in expected or bool(UNSEEN_FAILURES & kinds)
        pairs: dict[str, tuple[Any, Any]] = {
            "complete": (reading.complete, not fails and expected["finish_reason"] is not None),
            "fails": (reading.error is not None, fails),
            "skipped": (reading.skipped, int(bool(self.skips & kinds))),
            **self.compared(reading.response, recording, complete=reading.complete),
            **self.own(recording, reading),
        }
        if "error" in expected and reading.error is not None:
            pairs |= compared_errors(reading.error, recording)
        return pairs

    def compared(
        self, response: ChatResponse, recording: Recording, *, complete: bool = True
    ) -> Pairs:
        """What an answer says, and what it should say.

        Args:
            response: The answer.
            recording: What it was read from.
            complete: Whether it is complete.
        """
        expected = recording.expected
        choices = [choice_of(response, at) for at in range(len(response.choices))]
        whole_calls = complete or self.calls_end_apart
        usage = unambiguous(expected, "usage")
        native = (response.usage and response.usage.native) or None
        about = response.metadata.provider_metadata or {}
        return {
            "text": (response.text() or "", expected["text"]),
            "reasoning": (response.reasoning() or "", expected["reasoning"]),
            "refusal": (response.refusal(), expected.get("refusal")),
            "tool calls": (self.found_calls(response), wanted_calls(expected, whole=whole_calls)),
            "finish reason": (
                response.choices[0].native_finish_reason,
                expected["finish_reason"],
            ),
            # The SDKs drop what they do not know of a usage; it is kept here.
            "usage": (native and {k: v for k, v in native.items() if k in (usage or {})}, usage),
            "counts": (counted(response.usage), self.counts(usage) if usage else None),
            "choices": (
                [self.said_by(choice) for choice in choices],
                [
                    wanted_choice(choice, whole_calls=whole_calls)
                    for choice in expected.get("choices") or [expected]
                ],
            ),
            "id": (about.get("id"), known(expected, recording, "id")),
            "model": (about.get("model"), known(expected, recording, "model")),
        }

    def found_calls(self, response: ChatResponse) -> list[tuple[Any, ...]]:
        """The calls of an answer: id, name, and arguments, or their text if they are no object."""
        return [
            (
                self.call_id(item),
                item.name,
                item.arguments if item.parse_error is None else item.raw_arguments,
            )
            for item in response.tools()
        ]

    def said_by(self, choice: ChatResponse) -> tuple[Any, ...]:
        """What one of several choices says."""
        return (
            choice.choices[0].index,
            choice.text() or "",
            choice.reasoning() or "",
            self.found_calls(choice),
            choice.choices[0].native_finish_reason,
        )


def choice_of(response: ChatResponse, at: int) -> ChatResponse:
    """The answer with one of its choices alone."""
    return response.model_copy(update={"choices": [response.choices[at]]})


def unambiguous(expected: Dict, field: str) -> Any:
    """A field; where it is ambiguous, what the SDK itself says of it."""
    source = expected["reference"] if field in expected.get("ambiguous", ()) else expected
    return source[field]


def wanted_calls(expected: Dict, *, whole: bool) -> list[tuple[Any, ...]]:
    """Calls as :meth:`Answers.found_calls` has them."""
    limited = expected["finish_reason"] == "length"
    return [
        (call["id"], call["name"], wanted_arguments(call, whole=whole, limited=limited))
        for call in unambiguous(expected, "tool_calls")
    ]


def wanted_arguments(call: Dict, *, whole: bool, limited: bool) -> Any:
    """The arguments of a call, or their text if they are no object; none at all are empty ones,
    unless the answer was cut by its limit."""
    if whole and call.get("arguments_valid_json", True):
        return call["arguments"]
    return call["arguments_raw"] if call["arguments_raw"] or limited else {}


def wanted_choice(choice: Dict, *, whole_calls: bool) -> tuple[Any, ...]:
    """A choice as :meth:`Answers.said_by` has it."""
    return (
        choice.get("index", 0),
        choice["text"],
        choice["reasoning"],
        wanted_calls(choice, whole=whole_calls),
        choice["finish_reason"],
    )


def known(expected: Dict, recording: Recording, name: str) -> str | None:
    """An id or name; where the SDK keeps an empty one, the first in an event that is not."""
    told: str | None = expected["extra"][name]
    if told:
        return told
    events = re.findall(rb"^data: (\{.*)", recording.body, re.MULTILINE)
    return next((found for event in events if (found := _loaded(event).get(name))), None)


def _loaded(event: bytes) -> Dict:
    with suppress(ValueError):
        loaded: Dict = json.loads(event)
        return loaded
    return {}


COUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "reasoning_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
)


def counted(usage: ChatResponseUsage | None) -> tuple[int | None, ...] | None:
    """The neutral counts of a usage."""
    return None if usage is None else tuple(getattr(usage, name) for name in COUNTS)


def told(usage: Dict, *paths: str) -> int | None:
    """The sum of what stands at these paths of a usage; ``None`` if nothing does."""
    found = [at_path(usage, path) for path in paths]
    return None if all(one is None for one in found) else sum(one or 0 for one in found)


def first_told(usage: Dict, *paths: str) -> int | None:
    """What stands at the first of these paths of a usage where anything does."""
    return next((n for path in paths if (n := at_path(usage, path)) is not None), None)


def at_path(usage: Dict, path: str) -> int | None:
    """The number at a path with dots."""
    value: Any = usage
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value if value is None else int(value)


def compared_errors(error: DhenaraStreamError, recording: Recording) -> Pairs:
    """What an error says, and what it should say."""
    expected = recording.expected["error"]
    given = expected["body"]
    body: Dict = given if isinstance(given, dict) else {"message": given}
    shown = body.get("error", body)
    message = shown.get("message") or shown["detail"]
    named = CLASSES[expected["sdk_class"]]
    if "API_KEY_INVALID" in str(shown):  # Google's 400
        named = "AuthenticationError"
    status = expected.get("status_code") or shown.get("status_code") or shown["code"]
    return {
        "status": (error.http_status, status),
        "class": (type(error).__name__, named),
        "code": (error.code, code_of(shown)),
        "message": (message.rstrip(".") in error.message, True),
        "request_id": (error.request_id, body.get("request_id")),
    }


def code_of(shown: Dict) -> str | None:
    """The provider's code for an error: its type, its name, or its number."""
    return next((str(shown[key]) for key in ("type", "status", "code") if shown.get(key)), None)
