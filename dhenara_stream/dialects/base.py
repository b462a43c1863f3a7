"""What a wire protocol has to offer: a request body out, events in. Sans-IO, both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

import msgspec

from dhenara_stream.core.conversation import Turn
from dhenara_stream.core.deltas import Delta
from dhenara_stream.core.sse import ServerSentEvent
from dhenara_stream.errors import ProtocolError, ProviderError
from dhenara_stream.types.genai.ai_model import AIModelEndpoint
from dhenara_stream.types.genai.dhenara.request import AIModelCallConfig, SystemInstruction

__all__ = ["ChatRequest", "Dialect", "ErrorReply", "StreamDecoder", "WireRequest", "load_parts"]


class ChatRequest(msgspec.Struct, kw_only=True, frozen=True):
    """A call, in neutral form.

    Attributes:
        endpoint: The model and the place.
        config: How the call is made.
        system: What the model is told first.
        turns: The conversation; roles alternate, tool results stand in the user's turns.
    """

    endpoint: AIModelEndpoint
    config: AIModelCallConfig
    system: Sequence[SystemInstruction]
    turns: Sequence[Turn]


class WireRequest(msgspec.Struct, kw_only=True, frozen=True):
    """The dialect's part of an HTTP request; address and credentials are the provider's.

    Attributes:
        path: Below the base URL, the version segment included, e.g. ``/v1/messages``.
        headers: The protocol's own headers.
        body: The JSON body, as an object.
        adjustments: What was left out or changed because the model would refuse it, in words.
        output_tool: The tool that carries the structured output, where the model has no other way.
        choices: How many answers it asks for.
    """

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    adjustments: Sequence[str] = ()
    output_tool: str | None = None
    choices: int = 1


class ErrorReply(msgspec.Struct, kw_only=True, frozen=True):
    """An HTTP answer that is no success."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamDecoder(Protocol):
    """Decodes one answer; made anew for each.

    All attributes are looked at for each event.

    Attributes:
        complete: Whether the protocol's terminal signal has been seen.
        may_be_complete: Whether the answer would be complete if its body ended now. Where a
            protocol has no terminal event, or servers omit it, a body that stays open must not
            make an error of a complete answer: after a moment for more, it counts as ended.
    """

    complete: bool
    may_be_complete: bool

    @property
    def failure(self) -> ProviderError | ProtocolError | None:
        """An error that came with something else, which is said first.

        Whoever hands that out raises it then; else the next call does.
        """

    def decode(self, event: ServerSentEvent) -> Sequence[Delta]:
        """What an event says.

        Raises:
            ProviderError: If it is an error of the provider's.
            ProtocolError: If it is not this protocol.
        """
        ...

    def decode_document(self, body: bytes) -> Sequence[Delta]:
        """What a whole answer in one JSON document says; it ends complete.

        Raises:
            ProviderError: If it is an error of the provider's.
            ProtocolError: If it is no answer of this protocol.
        """
        ...

    def end(self) -> Sequence[Delta]:
        """What the end of the body says, before ``complete`` is looked at for the last time.

        Where a protocol has no terminal event of its own, the answer may be complete only now.
        """
        ...


def load_parts(package: str) -> None:
    """Load the parts of a dialect's package: 5 to 10 ms, if none has been needed yet."""
    for part in ("request", "stream"):
        import_module(f"{package}.{part}")


class Dialect(Protocol):
    """A wire protocol."""

    name: str

    def load(self) -> None:
        """Load what it needs, which else the first call would wait for, and its event loop."""
        ...

    def build_request(self, request: ChatRequest) -> WireRequest:
        """The request that asks for this.

        Raises:
            ConfigError: If it cannot be asked for, naming the argument.
        """
        ...

    def decoder(self) -> StreamDecoder:
        """A decoder for one answer."""
        ...

    def error(self, reply: ErrorReply) -> ProviderError:
        """The error that an unsuccessful answer stands for."""
        ...
