"""Recorded requests, said once more through the public types.

``say`` makes the call that asks for what a recorded body asks for, and builds its body; ``plain``
brings bodies to one form, so that order, defaults and spellings that mean the same do not count.
Each recorded body has to come out equal, but for what is found to be inexpressible, with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from corpus import Recording, streams
from pydantic import ValidationError

from dhenara_stream.core.conversation import conversation
from dhenara_stream.dialects.base import ChatRequest, Dialect, WireRequest
from dhenara_stream.types.genai.ai_model import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelEndpoint,
    BaseAIModel,
)
from dhenara_stream.types.genai.dhenara.request import AIModelCallConfig

Dict = dict[str, Any]


class InexpressibleError(Exception):
    """A body asks for what no call can: for this, because of that."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


@dataclass(frozen=True)
class Outcome:
    """What became of a recorded request.

    Attributes:
        recording: Where it was recorded.
        reason: Why it cannot be expressed; ``None`` if it was.
        differences: By name of the field, what was said and what was recorded.
        refused: Why the official SDK's types do not take the body; ``None`` if they do, or if it
            went to another's server.
    """

    recording: Recording
    reason: str | None = None
    differences: Mapping[str, tuple[Any, Any]] | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Requests:
    """The recorded requests of one dialect.

    Attributes:
        name: The dialect, as the corpus names it.
        say: The request that says what was recorded; raises :exc:`InexpressibleError`.
        plain: A body in one of the forms that mean the same.
        accepted: Raises if the official SDK's types have no place for all of a body.
        own_servers: Whether it went to the maker's own servers; only for them the SDK's types hold.
        untyped: Why the types have no place for a body, as far as that is known.
    """

    name: str
    say: Callable[[Recording, Dict], WireRequest]
    plain: Callable[[Dict], Dict]
    accepted: Callable[[WireRequest], Any]
    own_servers: Callable[[Recording], bool] = lambda recording: True
    untyped: Callable[[Dict], str | None] = lambda body: None

    def recordings(self) -> list[Recording]:
        """All whose request was recorded; none without the corpus."""
        return [r for r in streams(self.name) if r.request is not None]

    def outcomes(self) -> list[Outcome]:
        """What becomes of all of them."""
        return [self.outcome(recording) for recording in self.recordings()]

    def outcome(self, recording: Recording) -> Outcome:
        """What becomes of a recorded request."""
        asked = recording.request or {}
        try:
            wire = self.say(recording, asked)
        except InexpressibleError as error:
            return Outcome(recording, reason=str(error))
        made, wanted = self.plain(dict(wire.body)), self.plain(asked)
        differences = {
            name: (made.get(name), wanted.get(name))
            for name in made.keys() | wanted.keys()
            if made.get(name) != wanted.get(name)
        }
        refused = self._refused(wire) if self.own_servers(recording) else None
        return Outcome(recording, differences=differences, refused=refused)

    def _refused(self, wire: WireRequest) -> str | None:
        try:
            self.accepted(wire)
        except (ValidationError, AssertionError) as error:
            return self.untyped(dict(wire.body)) or f"for a reason that is not known: {error}"
        return None


def built(
    dialect: Dialect,
    place: AIModelAPIProviderEnum,
    model: BaseAIModel,
    config: AIModelCallConfig,
    messages: Iterable[Any],
    instructions: Any = None,
) -> WireRequest:
    """The request for a call at a place."""
    api = AIModelAPI(provider=place, api_key="sk-0123456789", config={"base_url": "https://a.b"})
    system, turns = conversation(
        prompt=None, context=None, instructions=instructions, messages=list(messages)
    )
    endpoint = AIModelEndpoint(api=api, ai_model=model)
    return dialect.build_request(
        ChatRequest(endpoint=endpoint, config=config, system=system, turns=turns)
    )
