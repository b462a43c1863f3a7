"""A protocol of the simulator by itself: what it is sent, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from dhenara_stream.simulator import Answer
from dhenara_stream.simulator.http1 import Request
from dhenara_stream.simulator.protocol import Call, Refused, WireProtocol


def post(
    path: str,
    content: dict[str, Any] | bytes,
    headers: Mapping[str, str | None],
    query: str = "",
) -> Request:
    """A request.

    In a header's name, an underscore is a hyphen; the last value counts, and ``None`` is left out.
    """
    data = content if isinstance(content, bytes) else msgspec.json.encode(content)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    pairs = tuple((name, value) for name, value in named.items() if value is not None)
    return Request("POST", path, query, pairs, data)


def refused(read: Callable[..., Call], *args: Any, **keywords: Any) -> Refused:
    """Why something is refused that is read as a request."""
    with pytest.raises(Refused) as caught:
        read(*args, **keywords)
    return caught.value


def streamed(protocol: WireProtocol, call: Call, answer: Answer) -> bytes:
    """The body of an answer that is streamed."""
    return b"".join(event.data for event in protocol.events(call, answer))


def at_once(protocol: WireProtocol, call: Call, answer: Answer) -> dict[str, Any]:
    """An answer that is not streamed."""
    decoded: dict[str, Any] = msgspec.json.decode(protocol.whole(call, answer))
    return decoded
