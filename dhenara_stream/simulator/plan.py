"""A response as steps: what is sent, with which pauses, and how it ends or fails.

The steps are lazy, so an answer of any size takes no memory; whoever performs them (the socket
server, the in-memory transport) decides nothing. ``Head``, ``Data``, ``Pause`` come any number of
times; the last step is one of the others.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal, TypeAlias

from .faults import (
    CleanCut,
    ContentType,
    ErrorEvent,
    Fault,
    HeadFault,
    Malformed,
    OnlyPings,
    OpenEnd,
    PositionedFault,
    Reset,
    Silence,
    TornChunk,
)
from .http1 import Head
from .protocol import Event, WireProtocol

__all__ = [
    "Data",
    "End",
    "Gone",
    "Hold",
    "PartialHead",
    "Pause",
    "Repeat",
    "Rst",
    "Step",
    "Torn",
    "Wire",
    "head_fault",
    "paced",
    "plan",
    "rechunked",
]

Wire: TypeAlias = Literal["event", "byte", "all"] | int


@dataclass(frozen=True, slots=True)
class PartialHead:
    """Send the first bytes of a head; the response fails with the next step."""

    head: Head
    size: int


@dataclass(frozen=True, slots=True)
class Data:
    """Send a piece of the body as one chunk."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Go on so many seconds after the moment that the last pause was to end.

    The first one counts from the request. So a rate is kept, however long sending takes.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class End:
    """End the body as HTTP wants it."""

    close: bool = False


@dataclass(frozen=True, slots=True)
class Torn:
    """Send half of this piece as if all of it came, then close the connection."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Gone:
    """Close the connection."""


@dataclass(frozen=True, slots=True)
class Rst:
    """Reset the connection."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Send nothing more."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send this piece again and again, with pauses between."""

    data: bytes
    interval: float


Step: TypeAlias = Head | PartialHead | Data | Pause | End | Torn | Gone | Rst | Hold | Repeat
_Item: TypeAlias = Event | Pause


def paced(
    events: Iterable[Event], first: float, tokens_per_second: float | None
) -> Iterator[_Item]:
    """The events with a pause before each piece of content, as long as a token takes."""
    later = 1 / tokens_per_second if tokens_per_second else 0.0
    seconds = first
    for event in events:
        if event.content:
            if seconds:
                yield Pause(seconds)
            seconds = later
        yield event


def head_fault(head: Head, fault: Fault | None) -> Iterator[Step] | None:
    """The steps of a response that fails before its head is out; ``None`` if it does not."""
    if not isinstance(fault, HeadFault) or fault.in_head is None:
        return None
    return iter((PartialHead(head, fault.in_head), _failure(fault)))


def plan(
    head: Head,
    items: Iterable[_Item],
    fault: Fault | None,
    protocol: WireProtocol,
    token: str,
) -> Iterator[Step]:
    """The steps of a response, with the fault that strikes it."""
    match fault:
        case PositionedFault():
            yield head
            yield from _struck(iter(items), fault, protocol, token)
        case ContentType():
            yield head.with_header("content-type", fault.value)
            yield from _all(items)
            yield End()
        case OpenEnd():
            yield head
            yield from _all(items)
            interval = fault.ping_interval
            yield Hold() if interval is None else Repeat(protocol.ping(), interval)
        case _:
            yield head
            yield from _all(items)
            yield End()


def _all(items: Iterable[_Item]) -> Iterator[Step]:
    for item in items:
        yield item if isinstance(item, Pause) else Data(item.data)


def _struck(
    items: Iterator[_Item], fault: PositionedFault, protocol: WireProtocol, token: str
) -> Iterator[Step]:
    rest = yield from _before(items, fault)
    match fault:
        case ErrorEvent():
            failure = protocol.failure(fault.type, fault.message)
            yield Data(protocol.error_event(failure, token))
            yield End(close=True)
        case Malformed():
            yield Data(protocol.malformed() if fault.raw is None else fault.raw)
            yield from _all(rest)
            yield End()
        case OnlyPings():
            yield Repeat(protocol.ping(), fault.interval)
        case TornChunk():
            datas = (item.data for item in rest if isinstance(item, Event))
            yield Torn(next(datas, protocol.ping()))
        case _:
            yield _failure(fault)


def _failure(fault: PositionedFault) -> Step:
    match fault:
        case CleanCut():
            return End()
        case Reset():
            return Rst()
        case Silence():
            return Hold()
        case _:
            return Gone()


def _before(
    items: Iterator[_Item], fault: PositionedFault
) -> Generator[Step, None, Iterator[_Item]]:
    """What is sent before the fault strikes; returns what would come after."""
    limit = _Limit(fault)
    for item in items:
        if limit.reached(item):
            return chain([item], items)
        if isinstance(item, Pause):
            yield item
            continue
        sent, kept = limit.split(item)
        yield Data(sent)
        if kept:
            return chain([Event(kept)], items)
    return items


class _Limit:
    """How much may still be sent before a fault strikes."""

    def __init__(self, fault: PositionedFault) -> None:
        self._before_content = fault.deltas == 0
        self._left = {
            "deltas": fault.deltas,
            "events": fault.events,
            "body_bytes": fault.body_bytes,
        }
        if set(self._left.values()) == {None}:
            self._left["events"] = 0

    def reached(self, item: _Item) -> bool:
        """Whether the fault strikes before this item."""
        if self._before_content:
            return isinstance(item, Pause) or item.content
        return 0 in self._left.values()

    def split(self, event: Event) -> tuple[bytes, bytes]:
        """What of this event may be sent, and what may not."""
        fits = self._left["body_bytes"]
        sent, kept = event.data[:fits], event.data[len(event.data[:fits]) :]
        spent = {"deltas": int(event.content), "events": 1, "body_bytes": len(sent)}
        for name, left in self._left.items():
            self._left[name] = None if left is None else left - spent[name]
        return sent, kept


_SIZES = {"event": 0, "byte": 1, "all": sys.maxsize}


def rechunked(steps: Iterable[Step], wire: Wire) -> Iterator[Step]:
    """The steps with the body cut anew: an event, a byte, n bytes or all of it at a time."""
    size = _SIZES[wire] if isinstance(wire, str) else wire
    buffer = bytearray()
    for step in steps:
        if size and isinstance(step, Data):
            buffer += step.data
            while len(buffer) >= size:
                yield Data(bytes(buffer[:size]))
                del buffer[:size]
            continue
        if buffer and not (wire == "all" and isinstance(step, Pause)):
            yield Data(bytes(buffer))
            buffer.clear()
        yield step
